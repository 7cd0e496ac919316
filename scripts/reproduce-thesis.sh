#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The energy and latency study of the thesis, replayed: one and two models of the published Dynamic-OFA family on a simulated Jetson
# Xavier NX, over a grid of targets, rates, contention, accuracy floors and power modes. Writes results.csv, results.json and a page
# that begins with the definitions. Needs a built dsn and python3; takes about two minutes on one core.
#
#   scripts/reproduce-thesis.sh [--dsn PATH] [--out FOLDER] [--jobs N] [--quick]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
exec python3 "$here/scripts/reproduce_thesis.py" --root "$here" "$@"
