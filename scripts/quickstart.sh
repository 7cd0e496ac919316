#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to a managed run on this machine: packages, build, profile, search, export, run alone and beside a load, replay.
# Every step leaves its files in one folder.
#
# usage: scripts/quickstart.sh [FOLDER]     (default ./dsn-quickstart)
set -euo pipefail

case "${1:-}" in
  -h | --help) sed -n '3,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
  -*) echo "quickstart.sh: error: unknown option '$1'" >&2; exit 2 ;;
esac
mkdir -p "${1:-dsn-quickstart}"
folder=$(cd "${1:-dsn-quickstart}" && pwd)
cd "$(dirname "$0")/.."

supernet=examples/fmnist-mbv3.safetensors
trace=examples/xavier-nx-contention.trace.json
data=fashion-mnist
threads=1           # the other cores are for whatever else runs
seconds_alone=8     # of each policy
seconds_loaded=10   # of each policy in each round
seed=1

load_pid=
stop_load() {
  if [ -n "$load_pid" ]; then
    kill "$load_pid" 2>/dev/null || true
    wait "$load_pid" 2>/dev/null || true
    load_pid=
  fi
}
trap stop_load EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

began=$SECONDS
step() { printf '\n== %s  (%d min %02d s)\n' "$1" $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)); }
show() { printf '$ dsn %s\n' "$*"; "$dsn" "$@"; }

step "packages"
scripts/setup.sh

step "build"
build=$folder/build
if [ ! -f "$build/build.ninja" ]; then
  meson setup "$build" --buildtype=release -Doptimization=2 -Dtorch=enabled -Dtests=disabled -Dbench=disabled >"$folder/build.log"
fi
ninja -C "$build" tools/dsn/dsn
dsn=$build/tools/dsn/dsn

step "what this machine is"
show platform --out "$folder/platform.json"

step "profile: what the super-network's blocks cost on this machine"
show profile --supernet "$supernet" --threads "$threads" --seed "$seed" --out "$folder/lut.json"

step "search: sub-networks that trade accuracy for latency, measured one by one"
show search --supernet "$supernet" --data "$data" --lut "$folder/lut.json" --seed "$seed" --out "$folder/family.json"

step "export: what a device needs, in one folder"
show export --format bundle --supernet "$supernet" --family "$folder/family.json" --out "$folder/bundle"

read -r target fps < <(python3 scripts/quickstart.py plan "$folder/family.json" "$folder/family.lut.json")
mkdir -p "$folder/runs"
rm -f "$folder"/runs/*.json
# run CONDITION POLICY ROUND SECONDS
run() {
  local policy=$2
  if [ "$policy" != dsn ]; then policy=static:$policy; fi
  "$dsn" run "$folder/bundle" --input "$data" --target-latency "$target" --fps "$fps" --overrun queue --policy "$policy" --threads "$threads" \
    --seed "$seed" --duration "${4}s" --log "$folder/runs/$1.$2.$3.jsonl" --out "$folder/runs/$1.$2.$3.json" --quiet >/dev/null
  printf '  %-8s %-16s done\n' "$1" "$policy"
}

step "run: $fps frames a second, each to be ready $target after it came; alone"
for policy in dsn largest smallest; do run alone "$policy" 1 "$seconds_alone"; done

step "run: the same beside stress-ng on all cores"
stress-ng --cpu "$(nproc)" --timeout $((7 * seconds_loaded + 60))s --quiet &
load_pid=$!
sleep 1
for policy in dsn largest smallest; do run loaded "$policy" 1 "$seconds_loaded"; done
for policy in smallest largest dsn; do run loaded "$policy" 2 "$seconds_loaded"; done
stop_load

step "replay: the same policy in a simulated Jetson Xavier NX, beside Linux governors"
show replay "$trace" --out "$folder/replay.json"

step "the result"
python3 scripts/quickstart.py table "$folder"
cat <<NEXT

Everything is in $folder:
  lut.json  family.json  bundle/  runs/*.jsonl (a line per frame)  replay.json
Next, try
  $dsn run $folder/bundle --input $data --target-latency $target --fps $fps --overrun queue --duration 30s   # start your own load meanwhile
  $dsn run $folder/bundle --input camera:0 --target-latency 20ms --fps 30
  $dsn train --data $data --epochs 2 --out my.safetensors
  $dsn replay $trace --policy dsn,static:smallest,schedutil --json
NEXT
