// Answers by ONNX Runtime Web: `node ... MODEL IN.json OUT.json`.
import fs from "fs";
import {createRequire} from "module";

const [path, given, out] = process.argv.slice(2);
const ort = createRequire(import.meta.url)("onnxruntime-web/wasm");
ort.env.wasm.numThreads = 1;
const model = await ort.InferenceSession.create(new Uint8Array(fs.readFileSync(path)));
const {image, number} = JSON.parse(fs.readFileSync(given));
const tensor = (row, shape) => new ort.Tensor("float32", row.flat(Infinity), [1, ...shape]);
const answers = {}, times = [];
for (let i = 0; i < image.length; i++) {
  const start = performance.now();
  const results = await model.run({image: tensor(image[i], [28, 28, 1]), number: tensor(number[i], [10])});
  for (const [name, {data}] of Object.entries(results)) (answers[name] ??= []).push(Array.from(data));
  times.push(performance.now() - start);
}
fs.writeFileSync(out, JSON.stringify(answers));
console.log(times.join(" "));
