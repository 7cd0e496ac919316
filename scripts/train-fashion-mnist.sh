#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Trains the super-network that examples/ ships, as it was trained. About 55 minutes of two AMD Zen 4 cores.
#
# usage: scripts/train-fashion-mnist.sh [OUT.safetensors] [dsn train options, e.g. --resume]
#
# The same recipe for what it is compared with:
#   OUT --method static --subnet CONFIG.json      one sub-network alone
#   OUT --space fmnist-slimmable                  a width-only super-network
#   OUT --method shrink                           progressive shrinking
# scripts/compare-fashion-mnist.sh makes the comparison.
set -euo pipefail
cd "$(dirname "$0")/.."

out=examples/fmnist-mbv3.safetensors
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
  out=$1
  shift
fi
dsn=${DSN:-build/tools/dsn/dsn}
if [ ! -x "$dsn" ]; then
  echo "train-fashion-mnist.sh: error: no $dsn: build first (scripts/quickstart.sh does), or set DSN" >&2
  exit 2
fi
# The shipped weights are the averaged ones. The number of workers is part of the recipe: each normalises its half of a batch by itself.
exec "$dsn" train --space fmnist-mbv3 --data fashion-mnist --out "$out" --curve "${out%.safetensors}.curve.jsonl" \
  --epochs 40 --batch 128 --workers 2 --lr 0.2 --warmup-epochs 1 --weight-decay 1e-4 --label-smoothing 0.1 --dropout 0.1 \
  --random-subnets 1 --ema 0.999 --clip-norm 5 --pad 2 --evaluate-every 4 --seed 1 "$@"
