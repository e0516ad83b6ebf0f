#!/usr/bin/env python3
"""Hostile guests, clients, upstreams and files against the orlo program: whatever they do, workers live on, others are answered
meanwhile, nothing leaks, and memory goes back to where it was. What is being attacked is the file: tests/attack/AREA_test.py.

Usage: tests/attack/run.py ORLO [FILTER]. A FILTER is a part of a test's name. Prints `ok|FAIL|SKIP NAME` lines, and
'N passed, N failed, N skipped'.
"""
import glob, importlib, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import harness

if __name__ == "__main__":
    names = sorted(os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, "*_test.py")))
    harness.run(*(vars(importlib.import_module(n)) for n in names))
