#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Images per second of a training step: dsn (one process, two workers) beside the same step in Python with two threads,
# and two ranks of one worker beside one rank of two. Alternating repetitions, medians, ratios. A quiet machine of two
# cores is assumed; Python's part needs Debian's python3-torch and is left out without it.
#
# usage: test/bench/train_throughput.sh [BUILD] [REPETITIONS] [STEPS]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build} repetitions=${2:-5} steps=${3:-20}
bench=$build/test/bench/train_bench
python=${PYTHON:-/usr/bin/python3}
[ -x "$bench" ] || { echo "train_throughput.sh: error: no $bench: build it first" >&2; exit 2; }
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

rate() { sed 's/.*"images_per_s": \([0-9.]*\).*/\1/'; }
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
spread() { sort -n "$1" | awk 'NR == 1 { low = $1 } END { printf "%s to %s", low, $1 }'; }

two_ranks() {
  local port=$((20000 + RANDOM % 20000))
  RANK=1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$bench" "$steps" 1 &
  RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$bench" "$steps" 1 | rate
  wait $!
}

have_python=false
if "$python" -c 'import torch' 2> /dev/null; then have_python=true; fi
"$bench" "$steps" 2 "$temp/tasks.json" > /dev/null # warm page cache, and the sub-networks that Python runs too
for ((i = 0; i < repetitions; ++i)); do
  "$bench" "$steps" 2 | rate >> "$temp/dsn"
  if $have_python; then
    "$python" test/bench/train_step.py "$temp/tasks.json" --threads 2 | rate >> "$temp/python-channels-last"
    "$python" test/bench/train_step.py "$temp/tasks.json" --threads 2 --contiguous | rate >> "$temp/python-contiguous"
  fi
  two_ranks >> "$temp/dsn-two-ranks"
done

ours=$(median "$temp/dsn")
printf '%-24s %10s   %s\n' 'batch 128, 3 passes' 'images/s' 'lowest to highest'
for name in dsn dsn-two-ranks python-channels-last python-contiguous; do
  [ -s "$temp/$name" ] || continue
  printf '%-24s %10.1f   %s\n' "$name" "$(median "$temp/$name")" "$(spread "$temp/$name")"
done
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }
printf 'two ranks of one worker / one rank of two: %s\n' "$(ratio "$(median "$temp/dsn-two-ranks")" "$ours")"
if $have_python; then
  best=$(for f in channels-last contiguous; do median "$temp/python-$f"; done | sort -n | tail -1)
  printf 'dsn / the faster of the Python ones: %s\n' "$(ratio "$ours" "$best")"
else
  echo "python3-torch is not installed: no comparison with Python" >&2
fi
