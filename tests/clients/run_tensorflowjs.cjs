// Answers by TensorFlow.js: `node ... FOLDER IN.json OUT.json`.
const fs = require("fs");
const tf = require("@tensorflow/tfjs");

async function main([folder, given, out]) {
  const model = JSON.parse(fs.readFileSync(`${folder}/model.json`));
  const files = model.weightsManifest.flatMap(({paths}) => paths);
  const bytes = Buffer.concat(files.map(file => fs.readFileSync(`${folder}/${file}`)));
  const graph = await tf.loadGraphModel({load: async () => ({
    ...model,
    weightSpecs: model.weightsManifest.flatMap(({weights}) => weights),
    weightData: new Uint8Array(bytes).buffer,
  })});
  const {image, number} = JSON.parse(fs.readFileSync(given));
  const answers = {digit: [], sum: [], difference: []}, times = [];
  for (let i = 0; i < image.length; i++) {
    const start = performance.now();
    const inputs = {image: tf.tensor([image[i]]), number: tf.tensor([number[i]])};
    // The converter drops the names and keeps their alphabetical order.
    const results = graph.execute(inputs, ["Identity", "Identity_1", "Identity_2"]);
    ["difference", "digit", "sum"].forEach((name, j) => answers[name].push(results[j].arraySync()[0]));
    times.push(performance.now() - start);
    if (!i && graph.predict(inputs).length !== 3) throw new Error("`predict` gives three");
  }
  fs.writeFileSync(out, JSON.stringify(answers));
  process.stdout.write(times.join(" ") + "\n");
}
console.log = console.warn = console.info = () => {};
main(process.argv.slice(2));
