"""C to core WebAssembly for tests: clang compiles, wasm-ld links, nothing else runs.

Left to link, clang runs a `wasm-opt` that it finds (Debian's package binaryen brings one), which drops the name section that
backtraces are made from.
"""
import os, shutil, subprocess


def find(*names):
    return next((path for name in names if (path := shutil.which(name))), None)


def build(source, out):
    """Makes the module `out`, without libc. False where the tools are not here."""
    clang, ld = find("clang", "clang-14", "clang-19"), find("wasm-ld", "wasm-ld-14", "wasm-ld-19")
    if not clang or not ld:
        return False
    subprocess.run([clang, "--target=wasm32", "-O2", "-nostdlib", "-c", "-o", out + ".o", source], check=True)
    subprocess.run([ld, "--no-entry", "-o", out, out + ".o"], check=True)
    os.unlink(out + ".o")
    return True
