#!/usr/bin/env python3
"""A file as a C string: embed.py OUT NAME FILE."""
import sys

out, name, path = sys.argv[1:]
with open(path, encoding="utf-8") as f, open(out, "w", encoding="utf-8") as to:
    lines = ['    "' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for line in f.read().splitlines()]
    to.write(f"static const char {name}[] =\n" + "\n".join(lines) + ";\n")
