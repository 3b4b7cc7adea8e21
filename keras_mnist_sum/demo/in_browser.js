// Answers without a server: by ONNX Runtime Web and `model.onnx` beside the page.
"use strict";
const RUNTIME = "RUNTIME"; // the folder of its files, as an address

const session = (async () => {
  const base = new URL(RUNTIME, document.baseURI).href;
  const ort = await import(`${base}ort.wasm.min.mjs`);
  ort.env.wasm.wasmPaths = base;
  ort.env.wasm.numThreads = 1; // More need headers that few hosts send.
  return [ort, await ort.InferenceSession.create("model.onnx")];
})();
session.catch(() => {}); // Whoever asks is told.
addEventListener("DOMContentLoaded", () => {
  const whence = RUNTIME.includes("://") ? ` from ${RUNTIME}` : "";
  document.querySelector("header p").append(` It runs in this browser, by ONNX Runtime Web${whence}.`);
});

// `ink` is 0-255 in `side` x `side` pixels. The answer is the server's.
globalThis.answerHere = async (ink, side, number, task) => {
  const image = toMnist(ink, side, task.image);
  let ort, model;
  try { [ort, model] = await session; } catch (error) {
    return {error: `ONNX Runtime Web or the model cannot be loaded: ${error.message ?? error}`};
  }
  const oneHot = Float32Array.from({length: 10}, (_, i) => Number(i === number));
  const results = await model.run({
    image: new ort.Tensor("float32", Float32Array.from(image, x => x / 255), [1, ...task.image]),
    number: new ort.Tensor("float32", oneHot, [1, 10]),
  });
  const predictions = {}, values = {};
  for (const {name, values: classes} of task.outputs) {
    const given = predictions[name] = Array.from(results[name].data);
    values[name] = given.length > 1
      ? classes[given.indexOf(Math.max(...given))] : toEven(given[0]);
  }
  const agree = task.outputs.every(({name, table}) =>
    values[name] === table[values.digit][number]);
  return {number, values, agree, predictions, image: btoa(String.fromCharCode(...image))};
};

// === As inference/pictures.py prepares strokes ===

// Python rounds a half to the even neighbour.
function toEven(x) {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + Math.abs(floor % 2) : Math.round(x);
}

function toMnist(ink, side, [height]) {
  return centred(fitted(cut({pixels: Float64Array.from(ink), rows: side, columns: side}, 0.3 * 255), 20), height);
}

const at = ({pixels, rows, columns}, row, column) =>
  row < 0 || column < 0 || row >= rows || column >= columns ? 0 : pixels[row * columns + column];

function mapped({rows, columns}, value) {
  const pixels = new Float64Array(rows * columns);
  for (let i = 0; i < pixels.length; i++) pixels[i] = value(Math.floor(i / columns), i % columns);
  return {pixels, rows, columns};
}

// What lies in the box around all that is above `least`.
function cut(image, least) {
  const rows = [], columns = [];
  image.pixels.forEach((x, i) => {
    if (x <= least) return;
    rows.push(Math.floor(i / image.columns));
    columns.push(i % image.columns);
  });
  const low = all => all.reduce((a, b) => Math.min(a, b), Infinity);
  const high = all => all.reduce((a, b) => Math.max(a, b), 0);
  const [top, left] = [low(rows), low(columns)];
  const shape = {rows: high(rows) - top + 1, columns: high(columns) - left + 1};
  return mapped(shape, (row, column) => at(image, top + row, left + column));
}

const padded = (image, by) => mapped(
  {rows: image.rows + 2 * by, columns: image.columns + 2 * by},
  (row, column) => at(image, row - by, column - by));

// The highest value within `reach` pixels each way.
function highestNear(image, reach) {
  const near = Array.from({length: 2 * reach + 1}, (_, i) => i - reach);
  const across = mapped(image, (row, column) => Math.max(...near.map(i => at(image, row, column + i))));
  return mapped(image, (row, column) => Math.max(...near.map(i => at(across, row + i, column))));
}

// The strokes in `box` x `box` pixels, one side maybe less; a pen 2 wide.
function fitted(strokes, box) {
  const drawn = padded(mapped(strokes, (row, column) => Number(at(strokes, row, column) > 127.5)), 1);
  const edge = highestNear(mapped(drawn, (row, column) => 1 - at(drawn, row, column)), 1);
  const sum = all => all.reduce((a, b) => a + b, 0);
  const outline = sum(drawn.pixels.map((x, i) => x * edge.pixels[i]));
  const width = 2 * sum(drawn.pixels) / Math.max(outline, 1);
  const lacking = 2 * Math.max(strokes.rows, strokes.columns) / box - width;
  if (lacking >= 2) {
    const reach = toEven(lacking / 2);
    strokes = highestNear(padded(strokes, reach), reach);
  }
  const scale = box / Math.max(strokes.rows, strokes.columns);
  const size = side => Math.max(1, toEven(side * scale));
  const flat = resized(strokes, size(strokes.columns));
  return turned(resized(turned(flat), size(strokes.rows)));
}

const turned = image => mapped(
  {rows: image.columns, columns: image.rows}, (row, column) => at(image, column, row));

// Rows of another length, by a bicubic filter over all that a pixel covers,
// in 8 bits: as Pillow does it.
function resized(image, columns) {
  const scale = image.columns / columns, wide = Math.max(scale, 1);
  const cubic = x => x < 1 ? (1.5 * x - 2.5) * x * x + 1
    : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  const filters = Array.from({length: columns}, (_, column) => {
    const centre = (column + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - 2 * wide + 0.5), 0);
    const last = Math.min(Math.trunc(centre + 2 * wide + 0.5), image.columns);
    const weights = Array.from({length: last - first},
      (_, i) => cubic(Math.abs((i + first - centre + 0.5) / wide)));
    const total = weights.reduce((a, b) => a + b, 0);
    return [first, weights.map(x => x / total)];
  });
  return mapped({rows: image.rows, columns}, (row, column) => {
    const [first, weights] = filters[column];
    const value = weights.reduce((sum, x, i) => sum + x * at(image, row, first + i), 0);
    return Math.min(Math.max(Math.round(value), 0), 255);
  });
}

// The digit in `size` x `size` pixels, its centre of mass in the middle.
function centred(digit, size) {
  let mass = 0, row = 0, column = 0;
  digit.pixels.forEach((x, i) => {
    mass += x;
    row += x * Math.floor(i / digit.columns);
    column += x * (i % digit.columns);
  });
  const place = (centre, side) =>
    Math.min(Math.max(toEven(size / 2 - centre / mass), 0), size - side);
  const [top, left] = [place(row, digit.rows), place(column, digit.columns)];
  const highest = digit.pixels.reduce((a, b) => Math.max(a, b), 0);
  return Uint8Array.from(
    mapped({rows: size, columns: size}, (i, j) => toEven(at(digit, i - top, j - left) * (255 / highest))).pixels);
}
