#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds dsn with warnings as errors and runs every test: with all it finds, then with -Dtorch=disabled as a device would.
# Ends with the line "N passed, N failed"; its status is 0 only when something passed and nothing failed.
#
# usage: scripts/test.sh [--sanitize address|thread] [--no-setup] [--only full|device]
#   --sanitize  one build with AddressSanitizer and UBSan, or with ThreadSanitizer, without LibTorch (which is not instrumented)
#   --no-setup  take the packages as they are
#   --only      one of the two builds
set -euo pipefail
cd "$(dirname "$0")/.."

sanitize=
setup=true
builds=(full device)
while [ $# -gt 0 ]; do
  case "$1" in
    --sanitize)
      sanitize=${2:-}
      case "$sanitize" in
        address) builds=(address) ;;
        thread) builds=(thread) ;;
        *) echo "test.sh: error: --sanitize: found '$sanitize', expected address or thread" >&2; exit 2 ;;
      esac
      shift ;;
    --no-setup) setup=false ;;
    --only)
      case "${2:-}" in
        full | device) builds=("$2") ;;
        *) echo "test.sh: error: --only: found '${2:-}', expected full or device" >&2; exit 2 ;;
      esac
      shift ;;
    -h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "test.sh: error: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift
done

# What each build is for. The device build is not optimised: it compiles everything once more, and this halves the time.
# Warnings are errors in these two; GCC's data-flow warnings are false in instrumented code.
options() {
  case "$1" in
    full) echo "-Dwerror=true -Doptimization=2 -Ddebug=false" ;;
    device) echo "-Dwerror=true -Doptimization=0 -Ddebug=false -Dtorch=disabled -Dbench=disabled" ;;
    address) echo "-Doptimization=1 -Ddebug=true -Dtorch=disabled -Dbench=disabled -Db_sanitize=address,undefined -Db_lundef=false" ;;
    thread) echo "-Doptimization=1 -Ddebug=true -Dtorch=disabled -Dbench=disabled -Db_sanitize=thread -Db_lundef=false" ;;
  esac
}

logs=()
finished=false
# The last line, on every way out: what ran before a build broke is counted too.
conclude() {
  local status=$?
  local passed=0 failed=0
  if [ ${#logs[@]} -gt 0 ]; then read -r passed failed < <(python3 scripts/count-tests.py "${logs[@]}"); fi
  if ! $finished || [ "$failed" -gt 0 ] || [ "$passed" -eq 0 ]; then
    if [ "$status" -eq 0 ]; then status=1; fi
  fi
  echo "$passed passed, $failed failed"
  exit "$status"
}
trap conclude EXIT

if $setup; then scripts/setup.sh; fi
for build in "${builds[@]}"; do
  folder=build-test-$build
  echo "== $build build in $folder"
  rm -f "$folder/meson-logs/testlog.json"
  # shellcheck disable=SC2046  # options are words
  if [ -d "$folder" ]; then
    meson configure "$folder" $(options "$build")
  else
    meson setup "$folder" $(options "$build")
  fi
  ninja -C "$folder"
  echo "== $build tests"
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 meson test -C "$folder" --no-rebuild --print-errorlogs || true
  if [ -f "$folder/meson-logs/testlog.json" ]; then logs+=("$folder/meson-logs/testlog.json"); fi
done
finished=true
