#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes page_assets.cc: every file given, as a string constant named after it.

usage: embed.py OUTPUT NAME=FILE...
"""
import pathlib
import sys

DELIMITER = "dsn_page"


def main(output, pairs):
    parts = []
    for pair in pairs:
        name, path = pair.split("=", 1)
        text = pathlib.Path(path).read_text(encoding="utf-8")
        if f"){DELIMITER}\"" in text or "</script" in text.lower():
            sys.exit(f"{path}: holds what would end the literal or the page's script")
        parts.append(f'extern const char k{name}[] = R"{DELIMITER}({text}){DELIMITER}";\n')
    pathlib.Path(output).write_text(
        '// Made by embed.py from lib/dsn/replay/web.\n#include "dsn/replay/page_assets.h"\n\nnamespace dsn::page_assets {\n'
        + "".join(parts) + "}  // namespace dsn::page_assets\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
