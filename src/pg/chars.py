#!/usr/bin/env python3
"""Writes chars.def: what the C.UTF-8 locale of the C library says of characters, which is what PostgreSQL with that locale goes by.

  EVEN(first, last, upper, lower)         of first, first + 2 … last: what is added to have it in upper and in lower case
  ODD(first, last, upper, lower)
  WORD(first, last)                       letters and digits (iswalnum)

Run by hand, on Debian 12: src/pg/chars.py > src/pg/chars.def"""
import ctypes

libc = ctypes.CDLL("libc.so.6")
libc.setlocale.restype = ctypes.c_char_p
assert libc.setlocale(6, b"C.UTF-8")
last_char = 0x10FFFF


def runs(values, step_max):
    """[(first, last, step, value)] of a sorted list of (character, value)."""
    out = []
    for c, v in values:
        if out:
            f, l, s, w = out[-1]
            if v == w and c - l <= step_max and (s == 0 or c - l == s):
                out[-1] = (f, c, c - l, w)
                continue
        out.append((c, c, 0, v))
    return [(f, l, s or 1, v) for f, l, s, v in out]


cases, words = [], []
for c in range(last_char + 1):
    up, low = libc.towupper(c) - c, libc.towlower(c) - c
    if up or low:
        cases.append((c, (up, low)))
    if libc.iswalnum(c):
        words.append((c, True))
print("/* What C.UTF-8 says of characters: written by chars.py. */")
for p, name in ((0, "EVEN"), (1, "ODD")): # characters in turn upper and lower are two runs
    for f, l, _, (up, low) in runs([x for x in cases if x[0] % 2 == p], 2):
        print(f"{name}({f:#x}, {l:#x}, {up}, {low})")
for f, l, _, _ in runs(words, 1):
    print(f"WORD({f:#x}, {l:#x})")
print("#undef EVEN\n#undef ODD\n#undef WORD")
