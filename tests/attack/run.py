#!/usr/bin/env python3
"""Hostile guests, clients, upstreams and files against the orlo program: whatever they do, workers live on, others are answered
meanwhile, nothing leaks, and memory goes back to where it was. What is being attacked is the file: tests/attack/AREA_test.py.

Usage: tests/attack/run.py ORLO [FILTER]. A FILTER is a part of a test's name. Prints `ok|FAIL|SKIP NAME` lines, and
'N passed, N failed, N skipped'.
"""
import os, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import harness

if __name__ == "__main__":
    harness.run_parts(HERE)
