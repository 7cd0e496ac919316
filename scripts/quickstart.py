#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of quickstart.sh: the goal from what was measured, and the table at the end.

usage: quickstart.py plan FAMILY.json LUT.json    prints "TARGET FPS", for dsn run
       quickstart.py table FOLDER                 FOLDER/runs/CONDITION.POLICY.ROUND.json -> a table
"""
import json
import pathlib
import sys

# Alone, the largest level uses this part of a core: it keeps up. Beside as many busy processes as there are cores a fair scheduler leaves
# an always-runnable thread half to two thirds of a core: then it falls behind for good, while smaller levels need less than their share.
LARGEST_USES = 0.5
# A fair scheduler also makes a thread wait for some of its neighbours' slices of about 3 ms, however little it computes: a target below
# that could be met by no sub-network. Measured here: p99 of 4 to 8 ms for a thread that needs a fifth to a half of a core.
TARGET_S = 0.015

POLICIES = {"dsn": "dsn", "largest": "static:largest", "smallest": "static:smallest"}
CONDITIONS = {"alone": "alone", "loaded": "beside stress-ng"}


def read(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def plan(family_path, lut_path):
    family, lut = read(family_path), read(lut_path)
    largest = family["levels"][-1]["config"]
    row = next(level for level in lut["levels"] if level["config"] == largest)
    single = [i for i, point in enumerate(lut["points"]) if point["threads"] == 1 and point["batch"] == 1]
    latency_s = min(entry["latency_s"] for entry in row["at"] if entry["point"] in single)
    period_s = latency_s / LARGEST_USES
    # Slower machines: the target still leaves time for a few frames.
    print(f"{max(TARGET_S, 4 * period_s) * 1e3:.0f}ms {1 / period_s:.0f}")


def combine(paths):
    """Rounds of one policy as one run: counts are summed, latencies are the worst round's."""
    runs = [read(path)["run"] for path in paths]
    total = {key: sum(run[key] for run in runs) for key in ("arrivals", "met", "labelled", "correct", "switches")}
    for quantile in ("p50_s", "p99_s"):
        known = [run["latency"][quantile] for run in runs if run["latency"][quantile] is not None]
        total[quantile] = max(known) if known else None
    total["target_s"] = runs[0]["target_s"]
    return total


def percent(part, whole, digits):
    return f"{100 * part / whole:.{digits}f} %" if whole else "-"


def millis(seconds):
    return "-" if seconds is None else f"{seconds * 1e3:.2f} ms"


def table(folder):
    found, rows = {}, []
    for condition, condition_text in CONDITIONS.items():
        for key, policy in POLICIES.items():
            paths = sorted(pathlib.Path(folder, "runs").glob(f"{condition}.{key}.*.json"))
            if not paths:
                continue
            run = found[condition, key] = combine(paths)
            rows.append([condition_text, policy, percent(run["met"], run["arrivals"], 1), percent(run["correct"], run["labelled"], 2),
                         millis(run["p50_s"]), millis(run["p99_s"]), str(run["switches"])])
    header = ["the machine is", "policy", "deadlines met", "accuracy", "p50", "p99", "switches"]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip())
    print(f"\nThe target is {millis(found['loaded', 'dsn']['target_s'])} from a frame's arrival to its result.")
    dsn, largest, smallest = (found["loaded", key] for key in POLICIES)
    print(f"Under load dsn met {percent(dsn['met'], dsn['arrivals'], 1)} of its deadlines, the largest sub-network alone "
          f"{percent(largest['met'], largest['arrivals'], 1)};")
    gain = 100 * (dsn["correct"] / dsn["labelled"] - smallest["correct"] / smallest["labelled"])
    print(f"its accuracy was {abs(gain):.2f} points {'above' if gain >= 0 else 'below'} that of the smallest.")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "plan":
        plan(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 3 and sys.argv[1] == "table":
        table(sys.argv[2])
    else:
        sys.exit(__doc__)
