#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What weight sharing costs and what dsn's family gains, on Fashion-MNIST: levels of the super-network beside the same
# sub-networks trained alone, and the family beside that of a slimmable super-network (width only), all with the
# recipe of train-fashion-mnist.sh. Hours on a small machine; what is in FOLDER already is not done again.
#
# usage: scripts/compare-fashion-mnist.sh FOLDER [LEVELS_ALONE [EPOCHS]]     (default levels "0 1 2 5", 24 epochs)
#   DSN=path of the tool (default build/tools/dsn/dsn)
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  -h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
  "" | -*) echo "compare-fashion-mnist.sh: error: expected a folder for the results" >&2; exit 2 ;;
esac
mkdir -p "$1"
folder=$(cd "$1" && pwd)
levels=${2:-0 1 2 5}
epochs=${3:-24}
export DSN=${DSN:-build/tools/dsn/dsn}
if [ ! -x "$DSN" ]; then
  echo "compare-fashion-mnist.sh: error: no $DSN: build first (scripts/quickstart.sh does), or set DSN" >&2
  exit 2
fi
data=fashion-mnist

# train NAME OPTIONS...: once, and on from where it was interrupted
train() {
  local out=$folder/$1.safetensors
  shift
  local resume=()
  if [ -f "$out.state" ]; then
    resume=(--resume)
  elif [ -f "$out" ]; then
    return
  fi
  scripts/train-fashion-mnist.sh "$out" --epochs "$epochs" "$@" "${resume[@]}" >/dev/null
}

# family NAME: latencies of this machine, then the levels on the front, each measured and evaluated
family() {
  if [ -f "$folder/$1.family.json" ]; then return; fi
  "$DSN" profile --supernet "$folder/$1.safetensors" --threads 1 --seed 1 --out "$folder/$1.lut.json" >/dev/null
  "$DSN" search --supernet "$folder/$1.safetensors" --data $data --lut "$folder/$1.lut.json" --seed 1 --levels 6 \
    --out "$folder/$1.family.json" >/dev/null
}

train elastic
family elastic
train slimmable --space fmnist-slimmable
family slimmable
for level in $levels; do
  python3 scripts/compare-fashion-mnist.py level "$folder/elastic.family.json" "$level" >"$folder/level$level.json"
  train "alone$level" --method static --subnet "$folder/level$level.json"
  "$DSN" eval "$folder/alone$level.safetensors" --subnet "$folder/level$level.json" --data $data --json >"$folder/alone$level.eval.json"
done
python3 scripts/compare-fashion-mnist.py table "$folder"
