#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests the elastic engine on 64-bit Arm without an Arm machine: cross-compiles it and runs its tests under qemu, the NEON
# kernels one by one, and whole drawn networks against a plain computation.
#
# usage: scripts/engine_on_arm.sh [FOLDER]     (build-arm64)
# needs: what scripts/aarch64-linux-gnu.ini says, and qemu-user
set -euo pipefail
case "${1:-}" in
  -h | --help) sed -n '3,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."

out=${1:-build-arm64}
if [ ! -d "$out" ]; then
  meson setup "$out" --cross-file scripts/aarch64-linux-gnu.ini -Doptimization=1 -Ddebug=false -Dtorch=disabled -Dopencv=disabled -Donnx=disabled
fi
tests=(kernels elastic_fuzz)
ninja -C "$out" "${tests[@]/#/test/engine/test_}"
for name in "${tests[@]}"; do
  echo "== $name"
  qemu-aarch64 "$out/test/engine/test_$name"
done
