#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes, under AddressSanitizer and UBSan, the readers of foreign input with libFuzzer: PyTorch checkpoints (unpickler,
# zip and legacy format), safetensors, traces written by hand, requests to a run; and the elastic engine, on spaces and sub-networks that are
# drawn, against a plain computation. Builds in build-fuzz; what it learns stays there for the next run.
# Ends with the line "N targets clean, N failed"; an input that broke a target is left in build-fuzz and named.
#
# usage: scripts/fuzz.sh [SECONDS]     time for each target, 600 by default; --list prints the targets
# needs: apt-get install clang libclang-rt-14-dev (Debian 12), and what scripts/setup.sh installs
set -euo pipefail
cd "$(dirname "$0")/.."

targets=(torch_file safetensors trace request engine)
seconds=600
case "${1:-}" in
  -h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
  --list) printf '%s\n' "${targets[@]}"; exit 0 ;;
  '') ;;
  *[!0-9]*) echo "fuzz.sh: error: SECONDS: found '$1', expected a number" >&2; exit 2 ;;
  *) seconds=$1 ;;
esac
compiler=${CXX_FUZZ:-clang++}
if ! command -v "$compiler" >/dev/null; then
  echo "fuzz.sh: error: there is no $compiler" >&2
  echo "  hint: apt-get install clang libclang-rt-14-dev" >&2
  exit 4
fi

# Only what the targets need, compiled afresh: instrumented code does not mix with other builds.
folder=build-fuzz
mkdir -p "$folder"
core=lib/dsn/core
supernet=lib/dsn/supernet
flags=(-std=c++20 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -Ilib)
build() {  # NAME SOURCE...
  local name=$1 objects=() source object
  shift
  for source in "$@"; do
    object=$folder/$(basename "$source" .cc).o
    if [ ! "$object" -nt "$source" ] || [ -n "$(find lib -name '*.h' -newer "$object" -print -quit)" ]; then
      "$compiler" "${flags[@]}" -fsanitize=fuzzer-no-link -c "$source" -o "$object"
    fi
    objects+=("$object")
  done
  "$compiler" "${flags[@]}" -fsanitize=fuzzer "${objects[@]}" -lfmt -lzip -lz -lmd -o "$folder/fuzz_$name"
}
echo "== building in $folder"
shared=($core/{error,file,file_write,gzip,sha256}.cc)
build torch_file test/fuzz/fuzz_torch_file.cc "${shared[@]}" $supernet/{pickle,pickle_names,torch_file,torch_object,torch_values,zip_archive}.cc
build safetensors test/fuzz/fuzz_safetensors.cc "${shared[@]}" $core/{json_parse,json_view,safetensors}.cc
build request test/fuzz/fuzz_request.cc "${shared[@]}" $core/{json_parse,json_view}.cc lib/dsn/control/request.cc

# The trace's reader needs generated files (schemas): its libraries come from meson, instrumented alike.
if [ ! -d "$folder/libs" ]; then
  CXX=$compiler meson setup "$folder/libs" -Dtorch=disabled -Dopencv=disabled -Dtests=disabled -Db_lundef=false -Doptimization=1 \
    -Dcpp_args=-fsanitize=fuzzer-no-link,address,undefined >/dev/null
fi
ninja -C "$folder/libs" lib/dsn/replay/libdsn_replay.a >/dev/null
archives=("$folder"/libs/lib/dsn/{replay,core}/*.a)
"$compiler" "${flags[@]}" -fsanitize=fuzzer test/fuzz/fuzz_trace.cc -Wl,--start-group "${archives[@]}" -Wl,--end-group -lfmt -lz -lmd -o "$folder/fuzz_trace"

engine=$folder/engine/test/engine/test_elastic_fuzz
if [ ! -d "$folder/engine" ]; then
  meson setup "$folder/engine" -Dtorch=disabled -Dopencv=disabled -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 >/dev/null
fi
ninja -C "$folder/engine" test/engine/test_elastic_fuzz >/dev/null

# Every run goes on with other cases than the one before.
fuzz_engine() {
  local counter=$folder/engine-next first
  first=$(cat "$counter" 2>/dev/null || echo 1)
  echo $((first + 1000000)) >"$counter"
  DSN_FUZZ_SECONDS=$seconds DSN_FUZZ_FIRST=$first nice -n 19 "$engine"
}

clean=0
failed=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
for target in "${targets[@]}"; do
  echo "== $target for $seconds s"
  log=$folder/$target.log
  if [ "$target" = engine ]; then
    if fuzz_engine >"$log" 2>&1; then
      clean=$((clean + 1))
      sed -n 's/.*MESSAGE: /  engine: clean, /p' "$log"
    else
      failed=$((failed + 1))
      tail -n 40 "$log"
      echo "  engine: FAILED, see $log"
    fi
    continue
  fi
  learnt=$folder/corpus-$target
  mkdir -p "$learnt"
  # What breaks a target is written beside it; a leak, 2 GiB of memory or 10 s for one input break it too.
  if nice -n 19 "$folder/fuzz_$target" -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=2048 -timeout=10 \
      -print_final_stats=1 -artifact_prefix="$folder/$target-" "$learnt" "test/fuzz/corpus/$target" >"$log" 2>&1; then
    clean=$((clean + 1))
    grep -E 'number_of_executed_units|average_exec_per_sec|peak_rss_mb' "$log" | sed 's/^stat::/  /'
    echo "  $target: clean"
  else
    failed=$((failed + 1))
    tail -n 40 "$log"
    echo "  $target: FAILED, see $log and $folder/$target-*"
  fi
done
echo "$clean targets clean, $failed failed"
[ "$failed" -eq 0 ]
