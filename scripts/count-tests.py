#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test cases in meson's testlog.json: doctest's own summary of each program, one for a program without.

usage: count-tests.py TESTLOG.json...
Prints the programs with what they counted on stderr and "PASSED FAILED" on stdout.
"""
import json
import re
import sys

SUMMARY = re.compile(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def count(test):
    """(passed, failed) of one program."""
    found = SUMMARY.findall(COLOUR.sub("", test.get("stdout") or ""))
    passed = sum(int(row[1]) for row in found)
    failed = sum(int(row[2]) for row in found)
    if test["result"] == "SKIP":
        return passed, failed
    if test["result"] not in ("OK", "EXPECTEDFAIL"):
        # A crash, a timeout or a sanitizer's report fails the program, whatever it had counted before.
        return passed, max(failed, 1)
    return (passed, failed) if found else (1, 0)


def main(paths):
    total_passed = total_failed = 0
    for path in paths:
        with open(path, encoding="utf-8") as log:
            for line in log:
                test = json.loads(line)
                passed, failed = count(test)
                print(f"{test['name']:<32} {test['result']:<8} {passed} passed, {failed} failed", file=sys.stderr)
                total_passed += passed
                total_failed += failed
    print(total_passed, total_failed)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
