#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""git_version.py on repositories made for the purpose: tags, none, no git, an archive. usage: git_version_test.py SCRIPT"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.abspath(sys.argv.pop(1))
QUIET = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_COMMITTER_DATE": "2026-02-03T23:30:00 -0300",
         "GIT_AUTHOR_DATE": "2026-02-03T23:30:00 -0300"}


class GitVersion(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.source = os.path.join(self.folder.name, "dsn")
        os.mkdir(self.source)
        self.write("meson.build", "project('dsn')")

    def write(self, name, text):
        with open(os.path.join(self.source, name), "w", encoding="utf-8") as file:
            file.write(text)

    def git(self, *args, where=None):
        env = {**os.environ, **QUIET}
        subprocess.run(["git", "-C", where or self.source, "-c", "user.name=t", "-c", "user.email=t@t", *args], env=env, check=True,
                       capture_output=True)

    def commit(self, text):
        self.write("file", text)
        self.git("add", "-A")
        self.git("commit", "-m", text)

    def repository(self):
        self.git("init", "-q")
        self.commit("one")

    def run_script(self, *args, **env):
        clean = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
        subprocess.run([sys.executable, SCRIPT, "--source", self.source, "--project-version", "0.1.0", *args], env={**clean, **env}, check=True)

    def header(self, **env):
        """(version, commit, date) as a compiler sees them."""
        out = os.path.join(self.folder.name, "version_data.h")
        self.run_script("--out", out, **env)
        with open(out, encoding="utf-8") as file:
            return tuple(re.findall(r'#define DSN_GIT_\w+ "(.*)"', file.read()))

    def test_before_the_first_tag_the_project_version_and_the_commit(self):
        self.repository()
        version, commit, date = self.header()
        self.assertRegex(version, r"^0\.1\.0\+g[0-9a-f]{7,12}$")
        self.assertRegex(commit, r"^[0-9a-f]{12}$")
        self.assertTrue(commit.startswith(version.split("+g")[1]))
        self.assertEqual(date, "2026-02-04")  # in UTC

    def test_at_a_tag_the_tag_and_later_how_far_from_it(self):
        self.repository()
        self.git("tag", "v0.2.0")
        self.git("tag", "nightly")
        self.assertEqual(self.header()[0], "0.2.0")
        self.commit("two")
        self.git("tag", "another")
        self.assertRegex(self.header()[0], r"^0\.2\.0\+1\.g[0-9a-f]{7,12}$")

    def test_changed_files_show(self):
        self.repository()
        self.git("tag", "v0.2.0")
        self.write("file", "changed")
        version, commit, _ = self.header()
        self.assertEqual(version, "0.2.0+dirty")
        self.assertRegex(commit, r"^[0-9a-f]{12}-dirty$")

    def test_without_git_the_project_version(self):
        self.assertEqual(self.header()[:2], ("0.1.0", "unknown"))
        self.repository()
        self.assertEqual(self.header(PATH="/nowhere")[:2], ("0.1.0", "unknown"))

    def test_a_repository_around_the_sources_is_not_theirs(self):
        self.git("init", "-q", where=self.folder.name)
        self.git("add", "-A", where=self.folder.name)
        self.git("commit", "-m", "theirs", where=self.folder.name)
        self.assertEqual(self.header()[:2], ("0.1.0", "unknown"))

    def test_an_archive_carries_what_git_knew(self):
        self.repository()
        self.git("tag", "v0.3.0")
        known = self.header()
        self.run_script("--dist", MESON_DIST_ROOT=self.source)
        os.rename(os.path.join(self.source, ".git"), os.path.join(self.folder.name, "elsewhere"))
        self.assertEqual(self.header(), known)

    def test_source_date_epoch_is_the_date(self):
        self.repository()
        self.assertEqual(self.header(SOURCE_DATE_EPOCH="0")[2], "1970-01-01")

    def test_an_unchanged_version_leaves_the_header_alone(self):
        self.repository()
        out = os.path.join(self.folder.name, "version_data.h")
        self.header()
        os.utime(out, (1, 1))
        self.header()
        self.assertEqual(os.stat(out).st_mtime, 1)
        self.commit("two")
        self.header()
        self.assertGreater(os.stat(out).st_mtime, 1)


if __name__ == "__main__":
    if subprocess.run(["git", "--version"], capture_output=True, check=False).returncode != 0:
        print("no git here")
        sys.exit(77)
    unittest.main()
