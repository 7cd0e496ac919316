#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes spaces.cc: every shipped search space, as a string literal.

usage: embed_spaces.py OUTPUT SPACE.json...
"""
import json
import pathlib
import sys

entries = []
for path in map(pathlib.Path, sys.argv[2:]):
    text = path.read_text(encoding="utf-8")
    if json.loads(text)["name"] != path.stem:
        sys.exit(f"{path}: /name: expected the file's name, {path.stem!r}")
    entries.append(f'      {{"{path.stem}", R"dsn_space({text})dsn_space"}},\n')
pathlib.Path(sys.argv[1]).write_text(
    "// Made by embed_spaces.py from lib/dsn/space/spaces.\n"
    "#include <string>\n#include <string_view>\n#include <utility>\n#include <vector>\n\n"
    "namespace dsn {\n"
    "const std::vector<std::pair<std::string, std::string_view>>& shipped_spaces();\n"
    "const std::vector<std::pair<std::string, std::string_view>>& shipped_spaces() {\n"
    "  static const std::vector<std::pair<std::string, std::string_view>> spaces{\n" + "".join(entries) + "  };\n"
    "  return spaces;\n}\n"
    "}  // namespace dsn\n",
    encoding="utf-8",
)
