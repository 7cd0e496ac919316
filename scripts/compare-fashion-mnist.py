#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of compare-fashion-mnist.sh.

usage: compare-fashion-mnist.py level FAMILY.json N    prints the sub-network of level N
       compare-fashion-mnist.py table FOLDER           FOLDER/{elastic,slimmable}.family*.json, FOLDER/aloneN.eval.json -> tables
"""
import json
import pathlib
import statistics
import sys


def read(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def front(folder, name):
    """Levels as (latency_s, accuracy, macs), by latency: measured on this machine, test accuracy."""
    family, lut = read(folder / f"{name}.family.json"), read(folder / f"{name}.family.lut.json")
    points = []
    for level in family["levels"]:
        row = next(row for row in lut["levels"] if row["config"] == level["config"])
        points.append((min(entry["latency_s"] for entry in row["at"]), level["accuracy"], level["macs"]))
    return sorted(points)


def between(x, points):
    """Linear interpolation in points [(x, y)] ascending in x; None outside."""
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if x0 <= x <= x1:
            return y0 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return None


def rising(points):
    """The front proper: each slower level more accurate than all faster ones."""
    kept = []
    for point in points:
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return kept


def alone_table(folder):
    family = read(folder / "elastic.family.json")
    print("level  MMACs  shared %  alone %  shared - alone, points")
    for level in family["levels"]:
        path = folder / f"alone{level['id']}.eval.json"
        if not path.exists():
            continue
        alone = read(path)["eval"]["subnets"][0]["top1"]["accuracy"]
        print(f"{level['id']:5d}  {level['macs'] / 1e6:5.2f}  {100 * level['accuracy']:8.2f}  {100 * alone:7.2f}  "
              f"{100 * (level['accuracy'] - alone):+22.2f}")


def front_table(folder):
    elastic, slimmable = rising(front(folder, "elastic")), rising(front(folder, "slimmable"))
    for name, points in (("elastic", elastic), ("slimmable", slimmable)):
        print(f"{name}: " + ", ".join(f"{1e6 * t:.0f} us {100 * a:.2f} %" for t, a, _ in points))
    speedups, gains = [], []
    for latency_s, accuracy, _ in slimmable:
        same_accuracy = between(accuracy, [(a, t) for t, a, _ in elastic])
        same_latency = between(latency_s, [(t, a) for t, a, _ in elastic])
        if same_accuracy is not None:
            speedups.append(latency_s / same_accuracy)
        if same_latency is not None:
            gains.append(100 * (same_latency - accuracy))
    if speedups:
        print(f"elastic at the accuracy of a slimmable level: {statistics.median(speedups):.2f} times as fast (median), "
              f"{min(speedups):.2f} to {max(speedups):.2f}, n={len(speedups)}")
    if gains:
        print(f"elastic at the latency of a slimmable level: {statistics.median(gains):+.2f} points (median), "
              f"{min(gains):+.2f} to {max(gains):+.2f}, n={len(gains)}")


def main(argv):
    if len(argv) == 4 and argv[1] == "level":
        print(json.dumps(read(argv[2])["levels"][int(argv[3])]["config"]))
    elif len(argv) == 3 and argv[1] == "table":
        folder = pathlib.Path(argv[2])
        print("Fashion-MNIST test accuracy (10,000 images), batch norm calibrated; latency measured on this machine, one thread\n")
        alone_table(folder)
        print()
        front_table(folder)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv)
