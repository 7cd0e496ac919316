#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The elastic engine beside ONNX Runtime on the same sub-networks: medians of alternating rounds, per number of threads.
#
# usage: test/bench/engine_vs_onnxruntime.sh BUILD ORT [--rounds N] [--runs N] [--threads 1,2] [--keep DIR]
#   BUILD  a build folder with LibTorch and ONNX export
#   ORT    a folder where `npm install --ignore-scripts onnxruntime-node@1.30.0` was run
# DSN_ENGINE_TARGET=avx2 and the like hold the engine to one instruction set.
set -euo pipefail

build=$1 ort=$2
shift 2
rounds=5 runs=60 threads=1,2 work=
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds=$2 ;;
    --runs) runs=$2 ;;
    --threads) threads=$2 ;;
    --keep) work=$2 ;;
    *) echo "engine_vs_onnxruntime.sh: error: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift 2
done
if [ -z "$work" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
here=$(cd "$(dirname "$0")" && pwd)
bench=$build/test/bench/engine_bench

if [ ! -e "$work/ofa-mbv3.safetensors" ]; then "$bench" --make "$work"; fi
if [ ! -d "$work/images" ]; then python3 "$here/noise_images.py" "$work/images"; fi
for space in ofa-mbv3 fmnist-mbv3; do
  [ -d "$work/onnx-$space" ] || "$build/tools/dsn/dsn" export --format onnx --supernet "$work/$space.safetensors" \
    --family "$work/$space.family.json" --data "folder:$work/images" --verify-images 1 --out "$work/onnx-$space" >&2
done

: > "$work/figures.jsonl"
for n in ${threads//,/ }; do
  for round in $(seq "$rounds"); do
    for space in ofa-mbv3 fmnist-mbv3; do
      "$bench" --threads "$n" --runs "$runs" "$work/$space.safetensors" "$work/$space"-[0-9].json >> "$work/figures.jsonl"
      NODE_PATH=$ort/node_modules node "$here/ort_bench.js" --threads "$n" --runs "$runs" "$work/onnx-$space"/level*.onnx |
        sed "s|$work/onnx-$space/level|$work/$space-|" >> "$work/figures.jsonl"
    done
  done
done

python3 - "$work/figures.jsonl" <<'PY'
import collections, json, re, statistics, sys
found = collections.defaultdict(list)
mmacs = {}
for line in open(sys.argv[1]):
    f = json.loads(line)
    model = re.sub(r'\.(json|onnx)$', '', f['model'].split('/')[-1])
    found[f['threads'], model, f.get('engine', 'onnxruntime')].append(f['median_ms'])
    if 'mmacs' in f: mmacs[model] = f['mmacs']
print(f"{'sub-network':<16}{'MMACs':>8}{'threads':>9}{'elastic ms':>12}{'ORT ms':>9}{'ratio':>7}")
for threads in sorted({t for t, _, _ in found}):
    for model in sorted(mmacs, key=mmacs.get):
        ours, theirs = (statistics.median(found[threads, model, e]) for e in ('elastic', 'onnxruntime'))
        print(f'{model:<16}{mmacs[model]:8.1f}{threads:9}{ours:12.3f}{theirs:9.3f}{theirs / ours:7.2f}')
PY
