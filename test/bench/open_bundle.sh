#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From disk to the first answer: a bundle with all its levels in dsn, beside ONNX Runtime creating a session for the
# largest level alone. New processes, alternating; medians.
#
# usage: open_bundle.sh OPEN_BENCH BUNDLE MODEL.onnx ORT_BENCH.js [RUNS]
#   ORT_BENCH.js: prints create_ms and median_ms as JSON; must find its onnxruntime-node package
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '3,7s/^# \{0,1\}//p' "$0"; exit 2; fi
bench=$1 bundle=$2 model=$3 ort=$4 runs=${5:-9}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for _ in $(seq "$runs"); do
  "$bench" "$bundle" >>"$out"
  node "$ort" --runs 1 --warmup 0 "$model" >>"$out"
done
python3 - "$out" <<'PY'
import json, statistics, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
ours = [line for line in lines if "engine" in line]
peer = [line["create_ms"] + line["median_ms"] for line in lines if "create_ms" in line]
spread = lambda xs: f"{statistics.median(xs):.1f} ms ({min(xs):.1f} to {max(xs):.1f}, n={len(xs)})"
print(f"dsn, {ours[0]['levels']} levels, engine {ours[0]['engine']}, bundle of {ours[0]['bundle_mb']} MB")
for key in ("open_ms", "prepare_ms", "first_ms", "total_ms"):
    print(f"  {key:<11}{spread([line[key] for line in ours])}")
print(f"ONNX Runtime, one level: session and first inference {spread(peer)}")
print(f"ratio {statistics.median(peer) / statistics.median([line['total_ms'] for line in ours]):.2f}")
PY
