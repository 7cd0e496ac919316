#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs dsn into a folder of its own, and builds and runs programs against it as users would.

usage: check.py BUILD CONSUMERS SAMPLES PREFIX SANITIZE COMPILER PACKAGE...
Ends with 77 when there is no pkg-config. See README.md.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, CONSUMERS, SAMPLES, PREFIX, SANITIZE, COMPILER, *PACKAGES = sys.argv[1:]
NOT_OF_A_DEVICE = re.compile(r"lib(torch|c10)")


def run(*command, **options):
    """Output of a command that must work."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="dsn-install-")
        cls.addClassCleanup(cls.folder.cleanup)
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", cls.folder.name)
        cls.prefix = cls.folder.name + PREFIX
        cls.share = os.path.join(cls.prefix, "share/dsn")
        cls.files = {os.path.relpath(os.path.join(where, name), cls.prefix) for where, _, names in os.walk(cls.prefix) for name in names}
        pc = next(file for file in cls.files if file.endswith("pkgconfig/dsn.pc"))
        cls.libdir = os.path.dirname(os.path.dirname(os.path.join(cls.prefix, pc)))
        cls.env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(cls.libdir, "pkgconfig"), "LD_LIBRARY_PATH": cls.libdir, "DSN_PREFIX": cls.prefix}

    def flags(self, package, *what):
        return shlex.split(run("pkg-config", "--define-variable=prefix=" + self.prefix, *what, package, env=self.env))

    def compile(self, package, source, output, *more):
        # A sanitized library needs its run-time in the program; nothing else is added to pkg-config's words.
        compiler = shlex.split(COMPILER) + ([] if SANITIZE == "none" else ["-fsanitize=" + SANITIZE])
        language = ["-x", "c", "-std=c11"] if source.endswith(".c") else ["-std=c++20"]
        run(*compiler, "-O0", "-Wall", "-Wextra", "-Werror", *language, *self.flags(package, "--cflags"), source, "-x", "none", "-o", output,
            *(more or self.flags(package, "--libs")))

    def test_what_is_installed(self):
        expected = ["bin/dsn", "include/dsn/version.h", "include/dsn/core/release.h", "include/dsn/deploy/bundle.h",
                    "share/bash-completion/completions/dsn", "share/zsh/site-functions/_dsn", "share/man/man1/dsn.1",
                    "share/dsn/examples/fmnist-mbv3.safetensors", "share/dsn/profiles/jetson-xavier-nx.platform.json"]
        for file in expected:
            self.assertIn(file, self.files)
        for package in PACKAGES:
            self.assertTrue(any(file.endswith(f"pkgconfig/{package}.pc") for file in self.files), package)

    def test_the_installed_tool_runs_and_each_command_has_a_page(self):
        tool = os.path.join(self.prefix, "bin/dsn")
        self.assertIn("executors:", run(tool, "--version", env=self.env))
        listed = run(tool, "--help", env=self.env).split("Subcommands:\n")[1]
        commands = re.findall(r"^  (\S+)", listed, flags=re.M)
        self.assertGreater(len(commands), 8)
        for command in commands:
            self.assertIn(f"share/man/man1/dsn-{command}.1", self.files)

    def test_version_of_the_packages(self):
        with open(os.path.join(self.prefix, "include/dsn/core/release.h"), encoding="utf-8") as file:
            release = ".".join(re.findall(r"DSN_VERSION_\w+ (\d+)", file.read()))
        for package in PACKAGES:
            self.assertEqual(" ".join(self.flags(package, "--modversion")), release)

    def test_dsn_asks_for_neither_torch_nor_what_only_its_sources_use(self):
        words = self.flags("dsn", "--cflags", "--libs")
        for word in words:
            self.assertIsNone(re.search(r"torch|c10|eigen|hwy|CLI11|valijson|-isystem", word), words)
        self.assertLess(sum(word.startswith("-lopencv") for word in words), 6, words)

    def test_installed_headers_need_no_header_that_is_not_installed(self):
        headers = sorted(file.removeprefix("include/") for file in self.files if file.startswith("include/dsn/"))
        self.assertGreater(len(headers), 30)
        text = {}
        for header in headers:
            with open(os.path.join(self.prefix, "include", header), encoding="utf-8") as file:
                text[header] = re.findall(r'#include ["<](.*)[">]', file.read())
        for header in headers:
            for included in text[header]:
                if included.startswith("dsn/"):
                    self.assertIn(included, headers, f"{header} includes it")
        # Those without LibTorch compile with what the package dsn gives; each is included twice to try its guard.
        torch = {header for header in headers if any(re.match("torch/|ATen/|c10/", included) for included in text[header])}
        while more := {header for header in headers if header not in torch and torch & set(text[header])}:
            torch |= more
        source = os.path.join(self.folder.name, "headers.cc")
        with open(source, "w", encoding="utf-8") as file:
            file.writelines(f'#include "{header}"\n' for header in 2 * [h for h in headers if h not in torch])
        self.compile("dsn", source, os.devnull, "-fsyntax-only")

    def consumers(self, package):
        folder = os.path.join(CONSUMERS, package)
        names = sorted(os.listdir(folder))
        self.assertTrue(names)
        for name in names:
            if name.endswith(".py") and SANITIZE != "none":
                continue  # Python would have to start with the sanitizer's run-time
            with self.subTest(consumer=f"{package}/{name}"):
                source = os.path.join(folder, name)
                if name.endswith(".py"):
                    command = [sys.executable, source]
                else:
                    command = [os.path.join(self.folder.name, name + ".program")]
                    self.compile(package, source, command[0])
                    if package != "dsn-torch":
                        self.assertIsNone(NOT_OF_A_DEVICE.search(run("ldd", command[0], env=self.env)))
                print(f"{package}/{name}: {run(*command, self.share, env=self.env).strip()}")

    def test_consumers_of_dsn(self):
        self.consumers("dsn")

    def test_the_examples_that_embed_dsn(self):
        examples = os.path.join(self.share, "examples/embed")
        if "executors: none" in run(os.path.join(self.prefix, "bin/dsn"), "--version", env=self.env):
            self.skipTest("this build has no executor")
        program = os.path.join(self.folder.name, "embed")
        # With the torch executor there is none in the package dsn: see the consumers of dsn-torch.
        self.compile("dsn", os.path.join(examples, "embed.cc"), program)
        bundle, platform = os.path.join(SAMPLES, "small.dsnb"), os.path.join(SAMPLES, "board.platform.json")
        said = run(program, bundle, "fashion-mnist", "500", platform, env=self.env)
        self.assertRegex(said, r"level \d: \d+ answers\n(.*\n)*\d+ of 600 within the target; \d+ of 600 right")
        if SANITIZE != "none":
            return  # Python would have to start with the sanitizer's run-time
        said = run(sys.executable, os.path.join(examples, "embed.py"), bundle, "500", platform, env=self.env)
        self.assertRegex(said, r"\d+ of 1000 right, \d+ within the target")

    def test_consumers_of_the_c_api(self):
        self.consumers("dsn-c")

    def test_packages_hand_out_include_folders_and_libraries_only(self):
        for package in PACKAGES:
            for word in self.flags(package, "--cflags", "--libs"):
                # As needed: what only export uses is not loaded by programs that do not export.
                self.assertRegex(word, r"^(-I|-isystem|-L|-l|-pthread|-Wl,--as-needed)", package)

    @unittest.skipUnless("dsn-torch" in PACKAGES, "this build has no LibTorch")
    def test_consumers_of_dsn_torch(self):
        self.consumers("dsn-torch")


if __name__ == "__main__":
    if shutil.which("pkg-config") is None:
        print("no pkg-config here")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
