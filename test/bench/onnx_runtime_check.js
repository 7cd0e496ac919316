// SPDX-License-Identifier: Apache-2.0
// Whether ONNX Runtime computes what dsn computes: runs each model of an export on its samples.
//
//   npm install --ignore-scripts onnxruntime-node
//   dsn export bundle --format onnx --dynamic-batch --verify-images 1000 --samples --out onnx
//   node onnx_runtime_check.js [--batch N] FOLDER...
//
// Prints one JSON object per model: images, how many have the same largest logit as dsn's own, and the largest difference of a logit over
// the largest logit of its image. Exit status 1 when a difference is over 1e-4 or a largest logit is another one.
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

const kTolerance = 1e-4;

// name -> {shape, values}; https://github.com/huggingface/safetensors
function readTensors(file) {
  const bytes = fs.readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start));
  const tensors = {};
  for (const [name, {dtype, shape, data_offsets: [from, to]}] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (dtype !== 'F32') throw new Error(`${file}: ${name}: found ${dtype}, expected F32`);
    const copy = bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to);
    tensors[name] = {shape, values: new Float32Array(copy)};
  }
  return tensors;
}

const indexOfLargest = values => values.reduce((best, v, i) => (v > values[best] ? i : best), 0);

function compare(expected, found) {
  let largest = 0, difference = 0;
  for (let c = 0; c < expected.length; ++c) {
    largest = Math.max(largest, Math.abs(expected[c]));
    const d = Math.abs(expected[c] - found[c]);
    difference = Number.isNaN(d) ? Infinity : Math.max(difference, d);
  }
  return {difference: difference / largest, alike: indexOfLargest(expected) === indexOfLargest(found)};
}

async function check(folder, network, samples, batch) {
  const file = network.files[0].file;
  const session = await ort.InferenceSession.create(path.join(folder, file), {intraOpNumThreads: 1, interOpNumThreads: 1});
  const input = samples[`input.${network.resolution}`], expected = samples[`logits.${path.parse(file).name}`];
  const images = input.shape[0], size = input.values.length / images, classes = expected.shape[1];
  let top1 = 0, difference = 0;
  for (let first = 0; first < images; first += batch) {
    const n = Math.min(batch, images - first);
    const x = new ort.Tensor('float32', input.values.slice(first * size, (first + n) * size), [n, ...input.shape.slice(1)]);
    const {logits} = await session.run({input: x});
    for (let i = 0; i < n; ++i) {
      const one = compare(expected.values.subarray((first + i) * classes, (first + i + 1) * classes),
                          logits.data.subarray(i * classes, (i + 1) * classes));
      top1 += one.alike ? 1 : 0;
      difference = Math.max(difference, one.difference);
    }
  }
  return {model: path.join(folder, file), batch, images, top1_alike: top1, largest_relative_difference: difference,
          passed: top1 === images && difference <= kTolerance};
}

async function main(args) {
  let batch = 1;
  const folders = [];
  for (let i = 0; i < args.length; ++i) {
    if (args[i] === '--batch') batch = Number(args[++i]);
    else folders.push(args[i]);
  }
  if (folders.length === 0 || !(batch >= 1)) {
    console.error('usage: node onnx_runtime_check.js [--batch N] FOLDER...');
    return 2;
  }
  let passed = true;
  for (const folder of folders) {
    const index = JSON.parse(fs.readFileSync(path.join(folder, 'index.json'), 'utf8'));
    if (!index.samples) throw new Error(`${folder} has no samples: dsn export --samples writes them`);
    const samples = readTensors(path.join(folder, index.samples.file));
    for (const network of index.networks) {
      const result = await check(folder, network, samples, batch);
      console.log(JSON.stringify(result));
      passed = passed && result.passed;
    }
  }
  return passed ? 0 : 1;
}

main(process.argv.slice(2)).then(status => process.exit(status), error => {
  console.error(`onnx_runtime_check: ${error.message}`);
  process.exit(1);
});
