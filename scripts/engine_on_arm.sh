#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests the elastic engine's NEON kernels without an Arm machine: cross-compiles them and their test, and runs it under qemu.
#
# usage: scripts/engine_on_arm.sh [FOLDER]
# needs: g++-aarch64-linux-gnu, qemu-user, libhwy-dev and what dsn needs. Of foreign libraries only headers are used.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$(mktemp -d)}
mkdir -p "$out/include"
# Headers that do not depend on the architecture; the system's own include folder would bring x86's.
for header in hwy nlohmann fmt doctest; do ln -sfn "/usr/include/$header" "$out/include/$header"; done
cxx=(aarch64-linux-gnu-g++ -std=c++20 -Wall -Wextra -I"$root/lib" -I"$root/test" -isystem "$out/include" -DFMT_HEADER_ONLY)
off='-DHWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)'

objects=()
for source in conv_kernels depthwise_kernels; do
  "${cxx[@]}" -O3 -DNDEBUG "$off" -c "$root/lib/dsn/engine/elastic/$source.cc" -o "$out/$source.o"
  objects+=("$out/$source.o")
done
for source in lib/dsn/engine/elastic/targets lib/dsn/core/error test/engine/kernels_test test/doctest_main; do
  "${cxx[@]}" -O1 -c "$root/$source.cc" -o "$out/$(basename "$source").o"
  objects+=("$out/$(basename "$source").o")
done
aarch64-linux-gnu-g++ -static "${objects[@]}" -o "$out/kernels_test"
qemu-aarch64 "$out/kernels_test"
