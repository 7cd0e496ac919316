#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes schemas.cc: every JSON schema given, as a string literal.

usage: embed_schemas.py OUTPUT SCHEMA.json...
"""
import json
import pathlib
import sys

DELIMITER = "dsn_schema"


def main(output, paths):
    entries = []
    for path in sorted(map(pathlib.Path, paths), key=lambda p: p.name):
        text = path.read_text(encoding="utf-8")
        name = path.name.removesuffix(".json")
        try:
            schema = json.loads(text)
        except ValueError as error:
            sys.exit(f"{path}: not JSON: {error}")
        version = schema.get("x-version")
        if not isinstance(version, int) or version < 1:
            sys.exit(f"{path}: /x-version: found {version!r}, expected an integer of at least 1")
        found = schema.get("properties", {}).get("schema", {}).get("const")
        if found != name:
            sys.exit(f"{path}: /properties/schema/const: found {found!r}, expected {name!r} as in the file name")
        if f"){DELIMITER}\"" in text:
            sys.exit(f"{path}: holds the delimiter of the literal")
        entries.append(f'    {{"{name}", {version}, R"{DELIMITER}({text}){DELIMITER}"}},\n')
    pathlib.Path(output).write_text(
        "// Made by embed_schemas.py from lib/dsn/core/schema.\n"
        '#include "dsn/core/schemas.h"\n\n'
        "namespace dsn {\nnamespace {\n"
        "constexpr EmbeddedSchema kSchemas[] = {\n" + "".join(entries) + "};\n}  // namespace\n\n"
        "std::span<const EmbeddedSchema> embedded_schemas() noexcept { return kSchemas; }\n\n"
        "}  // namespace dsn\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
