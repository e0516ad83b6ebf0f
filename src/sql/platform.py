#!/usr/bin/env python3
"""platform/*.sql as a C table, in the order of their names: platform.py OUT FILE..."""
import os, re, sys


def literal(text):
    return "\n".join('    "' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for line in text.splitlines())


out, files = sys.argv[1], sorted(sys.argv[2:], key=os.path.basename)
with open(out, "w", encoding="utf-8") as f:
    f.write("static const struct sql_file platform_files[] = {\n")
    for path in files:
        text = open(path, encoding="utf-8").read()
        since = re.match(r"-- since (\d+)", text)
        f.write(f'{{.since = {since[1] if since else 1}, .name = STR_INIT("platform/{os.path.basename(path)}"), .text = STR_INIT(\n{literal(text)})}},\n')
    f.write("};\n")
