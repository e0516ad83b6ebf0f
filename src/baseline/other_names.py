#!/usr/bin/env python3
"""A header that gives every function of a library another name. usage: other_names.py NM LIBRARY"""
import subprocess, sys

for line in subprocess.run([sys.argv[1], "--defined-only", "-g", "-P", sys.argv[2]], capture_output=True, text=True, check=True).stdout.splitlines():
    name, *kind = line.split()
    if kind and kind[0] == "T":
        print(f"#define {name} other_{name}")
