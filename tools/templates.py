#!/usr/bin/env python3
"""Makes the C table of what `orlo new` writes: every folder of examples/ that has an orlo.toml or a spin.toml, whole.

A file that several have (the interfaces of WASI) is there once. A template's description is the first line of that, a comment.

Usage: tools/templates.py EXAMPLES OUTPUT.c DEPFILE
"""
import os, re, sys

MADE_THERE = {"node_modules", ".venv", "target", "__pycache__", "app.wasm", "core.wasm", "package-lock.json", "dist", ".spin"}
KEPT = {"rust/Cargo.lock", "spin/Cargo.lock"}  # the versions that it was tried with


def files_of(folder, seen):
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in MADE_THERE)
        seen.append(path)
        for n in sorted(names):
            if n not in MADE_THERE and not n.endswith(".wasm"):
                seen.append(os.path.join(path, n))
                yield os.path.relpath(os.path.join(path, n), folder), seen[-1]


def literal(text):
    """Bytes as lines of a C string."""
    out, line = [], ""
    for b in text:
        c = chr(b)
        line += {"\n": "\\n", "\\": "\\\\", '"': '\\"', "\t": "\\t", "?": "\\?"}.get(c, c if 32 <= b < 127 else f"\\{b:03o}")
        if c == "\n" or len(line) > 120:
            out.append(f'"{line}"')
            line = ""
    return "\n    ".join(out + ([f'"{line}"'] if line or not out else []))


def main():
    examples, output, depfile = sys.argv[1:]
    seen, bodies, templates = [examples], {}, []
    for name in sorted(os.listdir(examples)):
        manifests = [os.path.join(examples, name, m) for m in ("orlo.toml", "spin.toml")]
        manifest = next((m for m in manifests if os.path.exists(m)), None)
        if not manifest:
            continue
        what = re.match(r"# (.*)\n", open(manifest, encoding="utf-8").read())
        if not what:
            sys.exit(f"{manifest}: its first line is to be a comment that says what the template is")
        files = []
        for inside, path in files_of(os.path.join(examples, name), seen):
            with open(path, "rb") as f:
                body = f.read()
            files.append((inside, bodies.setdefault(body, len(bodies)), os.access(path, os.X_OK)))
        templates.append((name, what[1], files))
    with open(output, "w", encoding="utf-8") as f:
        f.write('/* Made by tools/templates.py of what is in examples/. */\n#include "cli/new.h"\n\n')
        for body, i in bodies.items():
            f.write(f"static const char body_{i}[] =\n    {literal(body)};\n")
        for name, _, files in templates:
            f.write(f"static const struct cli_template_file files_{name.replace('-', '_')}[] = {{\n")
            f.writelines(f'    {{"{p}", body_{i}, sizeof body_{i} - 1, {"true" if x else "false"}}},\n' for p, i, x in files)
            f.write("};\n")
        f.write("const struct cli_template cli_templates[] = {\n")
        for name, what, files in templates:
            f.write(f"    {{{literal(name.encode())}, {literal(what.encode())}, files_{name.replace('-', '_')}, {len(files)}}},\n")
        f.write(f"}};\nconst size_t cli_templates_count = {len(templates)};\n")
    with open(depfile, "w", encoding="utf-8") as f:
        f.write(f"{output}: " + " ".join(p.replace(" ", "\\ ") for p in seen) + "\n")


main()
