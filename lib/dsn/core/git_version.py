#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes version_data.h: version, commit and date of the sources, from git or from what a release's archive carries.

usage: git_version.py --source DIR --project-version X.Y.Z --out FILE    the header; not touched when nothing changed
       git_version.py --source DIR --project-version X.Y.Z --dist        run by `meson dist`: puts .version into the archive
"""
import argparse
import os
import re
import subprocess
import sys
import time

ARCHIVED = ".version"  # three lines: version, commit, date


def git(source, *args):
    """Output of git, or None when there is no git or it refuses."""
    try:
        done = subprocess.run(["git", "--no-optional-locks", "-C", source, *args], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def version_of(describe, project_version):
    """The version for `git describe --always --dirty --match 'v[0-9]*'`: see dsn/version.h."""
    dirty = describe.endswith("-dirty")
    describe = describe.removesuffix("-dirty")
    tagged = re.fullmatch(r"v(\d.*?)(?:-(\d+)-g([0-9a-f]+))?", describe)
    if tagged is None:
        version, local = project_version, ["g" + describe]
    else:
        version, local = tagged[1], [tagged[2], "g" + tagged[3]] if tagged[2] else []
    if dirty:
        local.append("dirty")
    # A tag may have a "+" of its own (v1.0.0+vendor): what follows is joined by a dot then.
    return version + ("." if "+" in version else "+") * bool(local) + ".".join(local)


def from_git(source, project_version):
    # A release unpacked inside someone's repository must not take that repository's commit.
    top = git(source, "rev-parse", "--show-toplevel")
    if top is None or not os.path.samefile(top, source):
        return None
    # `match` keeps other tags out; --first-parent would miss tags on release branches.
    describe = git(source, "describe", "--tags", "--always", "--dirty", "--match", "v[0-9]*")
    commit = git(source, "rev-parse", "--short=12", "HEAD")
    date = git(source, "log", "-1", "--format=%ct")
    if not describe or not commit or not date:
        return None
    return version_of(describe, project_version), commit + ("-dirty" if describe.endswith("-dirty") else ""), utc_date(int(date))


def from_archive(source):
    try:
        with open(os.path.join(source, ARCHIVED), encoding="utf-8") as file:
            lines = file.read().split("\n")
    except OSError:
        return None
    return tuple(lines[:3]) if len(lines) >= 3 and all(lines[:3]) else None


def from_nothing(source, project_version):
    changed = os.path.getmtime(os.path.join(source, "meson.build"))
    return project_version, "unknown", utc_date(int(changed))


def utc_date(seconds):
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def identify(source, project_version):
    version, commit, date = from_git(source, project_version) or from_archive(source) or from_nothing(source, project_version)
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return version, commit, utc_date(int(epoch)) if epoch.isdigit() else date


def write_if_changed(path, text):
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except OSError:
        pass
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--project-version", required=True)
    parser.add_argument("--out")
    parser.add_argument("--dist", action="store_true")
    args = parser.parse_args()
    version, commit, date = identify(args.source, args.project_version)
    if args.dist:
        write_if_changed(os.path.join(os.environ["MESON_DIST_ROOT"], ARCHIVED), f"{version}\n{commit}\n{date}\n")
        return 0
    write_if_changed(args.out, "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n"
                     f'#define DSN_GIT_VERSION "{version}"\n#define DSN_GIT_COMMIT "{commit}"\n#define DSN_GIT_DATE "{date}"\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
