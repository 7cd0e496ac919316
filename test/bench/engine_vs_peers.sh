#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The elastic engine beside ONNX Runtime on the same sub-networks, in alternating rounds: a table of medians, or of
# 99th percentiles with other work on all cores.
#
# usage: test/bench/engine_vs_peers.sh BUILD ORT [options]
#   BUILD              a build folder with LibTorch, ONNX export and -Dbench=enabled
#   ORT                a folder where `npm install --ignore-scripts onnxruntime-node@1.30.0` was run
#   --rounds N         5
#   --runs N           inferences of a round, 60
#   --threads 1,2
#   --sets a,b         of ofa-mbv3, dynamic-ofa, fmnist-mbv3: all
#   --all-peers        LibTorch (eager and frozen TorchScript) and OpenCV's dnn, too
#   --load             beside `stress-ng --cpu` on every core; the table shows 99th percentiles
#   --memory           instead: resident bytes of all levels here, of the largest one in ONNX Runtime
#   --keep DIR         models and exports are made there once, figures are left there
# DSN_ENGINE_TARGET=avx2 and the like hold the engine to one instruction set; its peers stay free.
set -euo pipefail
case "${1:-}" in
  '' | -h | --help) sed -n '3,18s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
build=$1 ort=$2
shift 2
rounds=5 runs=60 threads=1,2 sets=ofa-mbv3,dynamic-ofa,fmnist-mbv3 all_peers= load= memory= work=
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds=$2; shift ;;
    --runs) runs=$2; shift ;;
    --threads) threads=$2; shift ;;
    --sets) sets=$2; shift ;;
    --keep) work=$2; shift ;;
    --all-peers) all_peers=yes ;;
    --load) load=yes ;;
    --memory) memory=yes ;;
    *) echo "engine_vs_peers.sh: error: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift
done
stop() {
  if [ -n "${stress:-}" ]; then kill "$stress" 2>/dev/null || true; fi
  if [ -n "${made:-}" ]; then rm -rf "$made"; fi
}
trap stop EXIT
if [ -z "$work" ]; then work=$(mktemp -d) && made=$work; fi
here=$(cd "$(dirname "$0")" && pwd)
bench=$build/test/bench/engine_bench
export NODE_PATH=$ort/node_modules

[ -e "$work/ofa-mbv3.safetensors" ] || "$build/test/bench/engine_models" "$work" "$here/../../profiles"
[ -d "$work/images" ] || python3 "$here/noise_images.py" "$work/images"
for set in ${sets//,/ }; do
  for format in onnx ${all_peers:+torchscript}; do
    [ -d "$work/$format-$set" ] || "$build/tools/dsn/dsn" export --format "$format" --supernet "$work/$set.safetensors" \
      --family "$work/$set.family.json" --data "folder:$work/images" --verify-images 1 --out "$work/$format-$set" >&2
  done
done
named() { sed "s|$work/[a-z]*-$1/level|$work/$1-|"; }  # an export's level as the sub-network it is of

if [ -n "$memory" ]; then
  for set in ${sets//,/ }; do
    for n in ${threads//,/ }; do
      "$bench" --memory --threads "$n" "$work/$set.safetensors" "$work/$set"-[0-9].json
      node --expose-gc "$here/ort_bench.js" --memory 1 --threads "$n" "$(printf '%s\n' "$work/onnx-$set"/level*.onnx | tail -1)" | named "$set"
    done
  done
  exit
fi

if [ -n "$load" ]; then
  stress-ng --quiet --cpu "$(nproc)" &
  stress=$!
fi
: > "$work/figures.jsonl"
for n in ${threads//,/ }; do
  for round in $(seq "$rounds"); do
    for set in ${sets//,/ }; do
      subnets=("$work/$set"-[0-9].json)
      "$bench" --threads "$n" --runs "$runs" "$work/$set.safetensors" "${subnets[@]}" >> "$work/figures.jsonl"
      node "$here/ort_bench.js" --threads "$n" --runs "$runs" "$work/onnx-$set"/level*.onnx | named "$set" >> "$work/figures.jsonl"
      if [ -n "$all_peers" ]; then
        "$bench" --engine torch --threads "$n" --runs "$runs" "$work/$set.safetensors" "${subnets[@]}" >> "$work/figures.jsonl"
        for format in torchscript onnx; do
          "$build/test/bench/peers_bench" --threads "$n" --runs "$runs" "$work/$format-$set" | named "$set" >> "$work/figures.jsonl"
        done
      fi
    done
  done
done
python3 "$here/engine_table.py" "$work/figures.jsonl" ${load:+p99_ms}
