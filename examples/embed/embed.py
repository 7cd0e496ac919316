#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dsn from Python, through its C API and ctypes: classifies Fashion-MNIST's test images under a latency target.

usage: embed.py BUNDLE TARGET_MS [PLATFORM.json]
The library is found as libdsn-c.so.0 (LD_LIBRARY_PATH, or an installed dsn).
"""
import collections
import ctypes
import gzip
import json
import sys

DATA = "/usr/share/datasets/fashion-mnist/t10k-"  # Debian's dataset-fashion-mnist


class Goal(ctypes.Structure):
    _fields_ = [("target_s", ctypes.c_double), ("probability", ctypes.c_double),
                ("min_accuracy", ctypes.c_double), ("period_s", ctypes.c_double)]


class Answer(ctypes.Structure):
    _fields_ = [("class_index", ctypes.c_int32), ("level", ctypes.c_int32), ("confidence", ctypes.c_float),
                ("slowdown", ctypes.c_float), ("latency_s", ctypes.c_double), ("met", ctypes.c_int32),
                ("feasible", ctypes.c_int32)]


def load():
    dsn = ctypes.CDLL("libdsn-c.so.0")
    dsn.dsn_last_error.restype = ctypes.c_char_p
    dsn.dsn_class_name.restype = ctypes.c_char_p
    dsn.dsn_class_name.argtypes = [ctypes.c_void_p, ctypes.c_int]
    dsn.dsn_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(Goal), ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
    dsn.dsn_classify.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                                 ctypes.c_double, ctypes.POINTER(Answer)]
    dsn.dsn_close.argtypes = [ctypes.c_void_p]
    return dsn


def require(dsn, status):
    if status != 0:
        sys.exit(f"embed.py: error: {dsn.dsn_last_error().decode()}")


def main(argv):
    if len(argv) not in (3, 4):
        sys.exit(__doc__)
    images = gzip.open(DATA + "images-idx3-ubyte.gz").read()[16:]
    labels = gzip.open(DATA + "labels-idx1-ubyte.gz").read()[8:]
    options = json.dumps({"platform": argv[3]} if len(argv) == 4 else {}).encode()
    dsn = load()
    app = ctypes.c_void_p()
    require(dsn, dsn.dsn_open(argv[1].encode(), Goal(target_s=float(argv[2]) / 1e3), options, ctypes.byref(app)))
    answer, right, met, levels = Answer(), 0, 0, collections.Counter()
    count = min(len(labels), 1000)
    for i in range(count):
        pixels = images[784 * i:784 * (i + 1)]
        require(dsn, dsn.dsn_classify(app, pixels, 28, 28, 1, 0.0, ctypes.byref(answer)))
        right += answer.class_index == labels[i]
        met += answer.met
        levels[answer.level] += 1
    print(f"the last one is a {dsn.dsn_class_name(app, answer.class_index).decode()}, {100 * answer.confidence:.0f} % sure")
    print(f"{right} of {count} right, {met} within the target; answers by level: {dict(sorted(levels.items()))}")
    dsn.dsn_close(app)


if __name__ == "__main__":
    main(sys.argv)
