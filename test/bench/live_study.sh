#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the manager does on this machine, with real inference and real contention, beside other policies in the same run:
#   step  one application; stress-ng on all cores comes and goes every 5 s
#   two   two applications with different targets and rates on the machine's cores
# Policies alternate within a repetition; a repetition of one study takes less than 250 s. Nothing else should run meanwhile.
#
# usage: live_study.sh DSN BUNDLE FOLDER step|two REPETITION     measures; figures go to FOLDER
#        live_study.sh DSN BUNDLE FOLDER table                   the table of all repetitions in FOLDER
#   BUNDLE: of examples/fmnist-mbv3.safetensors, measured here with one thread, as scripts/quickstart.sh makes it:
#     dsn profile --supernet examples/fmnist-mbv3.safetensors --threads 1 --out lut.json
#     dsn search --supernet examples/fmnist-mbv3.safetensors --data fashion-mnist --lut lut.json --out family.json
#     dsn export --supernet examples/fmnist-mbv3.safetensors --family family.json --out BUNDLE
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '3,14s/^# \{0,1\}//p' "$0"; exit 2; fi
exec python3 "$(dirname "$0")/live_study.py" "$@"
