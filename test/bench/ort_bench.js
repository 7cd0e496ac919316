// SPDX-License-Identifier: Apache-2.0
// Times ONNX models with ONNX Runtime (CPU), the peer that users would pick for a static network.
//   npm install --ignore-scripts onnxruntime-node@1.30.0
//   node ort_bench.js [--threads N] [--runs N] [--warmup N] model.onnx...
//   node --expose-gc ort_bench.js --memory 1 model.onnx      resident bytes that a session and its inferences add
// Prints one JSON object per line: model, input shape, session creation, and latency median, MAD, minimum and 99th percentile (milliseconds).
const ort = require('onnxruntime-node');
const fs = require('fs');
const opt = { threads: 1, runs: 50, warmup: 10, memory: 0 };
const models = [];
for (let i = 2; i < process.argv.length; i++) {
  const m = /^--(\w+)$/.exec(process.argv[i]);
  if (m && m[1] in opt) opt[m[1]] = Number(process.argv[++i]);
  else models.push(process.argv[i]);
}
if (!models.length) { console.error('usage: node ort_bench.js [--threads N] [--runs N] [--warmup N] model.onnx...'); process.exit(2); }
const median = a => { const s = [...a].sort((x, y) => x - y); const n = s.length >> 1; return s.length % 2 ? s[n] : (s[n - 1] + s[n]) / 2; };
(async () => {
  for (const model of models) {
    if (!fs.existsSync(model)) { console.error(`no such file: ${model}`); process.exit(2); }
    if (opt.memory) global.gc();
    const resident = process.memoryUsage().rss;
    const t0 = performance.now();
    const s = await ort.InferenceSession.create(model, { intraOpNumThreads: opt.threads, interOpNumThreads: 1, graphOptimizationLevel: 'all' });
    const create_ms = performance.now() - t0;
    const name = s.inputNames[0];
    const meta = s.inputMetadata && s.inputMetadata[0];
    const shape = (meta && meta.shape ? meta.shape : [1, 3, 224, 224]).map(d => (typeof d === 'number' && d > 0 ? d : 1));
    const n = shape.reduce((a, b) => a * b, 1);
    const x = new ort.Tensor('float32', Float32Array.from({ length: n }, () => Math.random() - 0.5), shape);
    for (let k = 0; k < opt.warmup; k++) await s.run({ [name]: x });
    const ms = [];
    for (let k = 0; k < opt.runs; k++) { const a = performance.now(); await s.run({ [name]: x }); ms.push(performance.now() - a); }
    if (opt.memory) {
      global.gc();
      console.log(JSON.stringify({ model, threads: opt.threads, resident_mb: (process.memoryUsage().rss - resident) / 1e6, file_mb: fs.statSync(model).size / 1e6 }));
      continue;
    }
    const med = median(ms);
    const sorted = [...ms].sort((a, b) => a - b);
    const at = 0.99 * (sorted.length - 1), below = Math.floor(at);
    const p99_ms = sorted[below] + (at - below) * ((sorted[below + 1] || sorted[below]) - sorted[below]);
    console.log(JSON.stringify({ model, shape, threads: opt.threads, create_ms, median_ms: med, mad_ms: median(ms.map(v => Math.abs(v - med))), min_ms: Math.min(...ms), p99_ms }));
  }
})();
