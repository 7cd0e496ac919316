#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what dsn is built from, by apt. Does nothing when all of it is there.
#
# usage: scripts/setup.sh [--list] [--device]
#   --list    only print the packages, each with its reason
#   --device  what a device needs to build with -Dtorch=disabled: no LibTorch, no data set, no load generator
set -euo pipefail

# package | needed on a device | reason
packages() {
  cat <<'LIST'
g++|device|compiler (C++20)
meson|device|build system
ninja-build|device|runs the build
pkg-config|device|finds libraries for meson
cmake|device|how meson finds CLI11 and doctest
python3|device|embeds schemas and search spaces at build time
nlohmann-json3-dev|device|JSON: every file format but the weights
libfmt-dev|device|text formatting
libcli11-dev|device|command line
libvalijson-dev|device|checks files against JSON schemas
libmd-dev|device|SHA-256 of artefacts
zlib1g-dev|device|compressed data sets
libzip-dev|device|PyTorch checkpoints, which are zip archives, for dsn import
libeigen3-dev|device|linear algebra of the accuracy predictor
libhwy-dev|device|vector instructions of every CPU from one source, for the elastic engine
libopencv-dev|device|image folders, video files, cameras; runs exported ONNX files again
libonnx-dev||ONNX files of dsn export, and their checker
libprotobuf-dev||what ONNX files are made of
doctest-dev|device|tests
mandoc||checks the manual pages (tests)
groff-base||checks them, too
zsh||checks its completion (tests)
libbenchmark-dev||micro-benchmarks
libtorch-dev||training, searching and the torch executor
libopenblas0-pthread||fast matrix products for LibTorch; the reference BLAS is many times slower
libgloo-dev||headers of what LibTorch talks with between processes of one training
dataset-fashion-mnist||the images of the quickstart
stress-ng||the load of the quickstart
LIST
}

only_device=false
list=false
for argument in "$@"; do
  case "$argument" in
    --list) list=true ;;
    --device) only_device=true ;;
    -h | --help) sed -n '3,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: error: unknown option '$argument'" >&2; exit 2 ;;
  esac
done

wanted=()
while IFS='|' read -r package device reason; do
  if $only_device && [ -z "$device" ]; then continue; fi
  if $list; then printf '%-24s %s\n' "$package" "$reason"; fi
  wanted+=("$package")
done < <(packages)
if $list; then exit 0; fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup.sh: all ${#wanted[@]} packages are installed"
  exit 0
fi

echo "setup.sh: installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: error: installing packages needs root, and there is no sudo" >&2
    echo "  hint: as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 4
  fi
  as_root=(sudo)
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
