#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the tool as a device gets it: without LibTorch, OpenCV and tests, optimised across files, unused code dropped, stripped.
# Prints its size and the shared libraries it needs; fails when LibTorch or OpenCV is among them.
#
# usage: scripts/device-build.sh [--small] [--cross FILE] [DIR]     DIR: build folder, build-device by default
#   --small       optimise for size, not for speed
#   --cross FILE  a Meson cross file, such as scripts/aarch64-linux-gnu.ini
# NINJA may name another ninja. Needs: what scripts/setup.sh --device installs, but for libopencv-dev and doctest-dev
set -euo pipefail
cd "$(dirname "$0")/.."

folder=build-device
buildtype=release
setup=()
while [ $# -gt 0 ]; do
  case "$1" in
    --small) buildtype=minsize ;;
    --cross)
      [ -f "${2:-}" ] || { echo "device-build.sh: error: --cross: found '${2:-}', expected a file" >&2; exit 2; }
      setup=(--cross-file "$2")
      shift ;;
    -h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "device-build.sh: error: unknown option '$1'" >&2; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done

# Each function and object in a section of its own lets the linker drop those that the tool never reaches.
options=(-Dbuildtype="$buildtype" -Db_ndebug=true -Db_lto=true -Ddefault_library=static -Dwerror=false
  -Dtorch=disabled -Dopencv=disabled -Dtests=disabled -Dbench=disabled
  "-Dcpp_args=-ffunction-sections -fdata-sections" "-Dcpp_link_args=-Wl,--gc-sections -Wl,--as-needed")
if [ -f "$folder/build.ninja" ]; then
  meson configure "$folder" "${options[@]}"
else
  meson setup "${setup[@]}" "$folder" "${options[@]}"
fi
"${NINJA:-ninja}" -C "$folder" tools/dsn/dsn

# The target's own tools where they were named: the host's strip may not know its format.
tool() {  # NAME
  local found=
  if [ ${#setup[@]} -gt 0 ]; then found=$(sed -n "s/^$1 *= *'\(.*\)'.*/\1/p" "${setup[1]}"); fi
  echo "${found:-$1}"
}
binary=$folder/tools/dsn/dsn
"$(tool strip)" --strip-all -R .comment -o "$folder/dsn" "$binary"
mapfile -t needed < <("$(tool readelf)" -d "$folder/dsn" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')

echo "== $folder/dsn"
echo "size: $(stat -c %s "$folder/dsn") bytes stripped ($(stat -c %s "$binary") before)"
echo "shared libraries: ${needed[*]}"
for library in "${needed[@]}"; do
  case "$library" in
    libtorch* | libc10* | libopencv*)
      echo "device-build.sh: error: $folder/dsn needs $library, expected neither LibTorch nor OpenCV" >&2
      exit 1 ;;
  esac
done
