#!/usr/bin/env python3
"""Writes the system's time zones (tzdata) as C: zones.py FOLDER > zones_data.h, at build time, so that nobody opens a file at run time.

Reads version 2 of TZif (RFC 8536): all transitions as 64-bit seconds, and the rule for what comes after them."""
import os, struct, sys


def read(path):
    """(times, types of them, [(offset, dst, abbreviation)], footer), or None: no zone"""
    with open(path, "rb") as f:
        b = f.read()
    if b[:4] != b"TZif" or b[4:5] < b"2":
        return None
    at = 0
    for size in (4, 8):
        isutc, isstd, leap, times, types, chars = struct.unpack(">6l", b[at + 20 : at + 44])
        at += 44
        if size == 8:
            break
        at += times * 5 + types * 6 + chars + leap * 8 + isstd + isutc
    when = struct.unpack(f">{times}q", b[at : at + 8 * times])
    at += 8 * times
    of = list(b[at : at + times])
    at += times
    kinds = [struct.unpack(">lBB", b[at + 6 * i : at + 6 * i + 6]) for i in range(types)]
    at += 6 * types
    names = b[at : at + chars]
    at += chars + leap * 12 + isstd + isutc
    footer = b[at:].strip(b"\n").decode()
    return when, of, [(o, d, names[i:].split(b"\0")[0].decode()) for o, d, i in kinds], footer


def zones(top):
    for base, folders, files in os.walk(top):
        folders[:] = sorted(f for f in folders if f not in ("posix", "right"))
        for name in files:
            path = os.path.join(base, name)
            zone = read(path) if name not in ("posixrules", "localtime", "Factory") else None
            if zone:
                yield os.path.relpath(path, top), zone


def main():
    found = sorted(zones(sys.argv[1]), key=lambda z: z[0].lower())
    if not found:
        sys.exit(f"{sys.argv[1]} has no time zones: install tzdata")
    times, of, kinds, texts, where, rows = [], [], [], bytearray(b"\0"), {}, []

    def text(s):
        b = s.encode() + b"\0"
        at = texts.find(b"\0" + b)
        if at < 0:
            at = len(texts) - 1
            texts.extend(b)
        return at + 1

    for name, zone in found:
        key = repr(zone)
        if key not in where:
            where[key] = f"{len(times)}, {len(zone[0])}, {len(kinds)}, {len(zone[2])}, {text(zone[3])}"
            times.extend(zone[0])
            of.extend(zone[1])
            kinds.extend((o, d, text(a)) for o, d, a in zone[2])
        rows.append(f"{{{text(name)}, {where[key]}}},")
    print("/* Made by zones.py. */")
    print(f"static const int64_t zone_times[] = {{{','.join(f'{t}ll' if t != -(1 << 63) else 'INT64_MIN' for t in times)}}};")
    print(f"static const uint8_t zone_types_of[] = {{{','.join(map(str, of))}}};")
    print("static const struct zone_type zone_types[] = {" + ",".join("{%d,%d,%d}" % k for k in kinds) + "};")
    print("static const uint8_t zone_texts[] = {" + ",".join(map(str, texts)) + "};")
    print("static const struct pg_zone zones[] = {" + "\n".join(rows) + "};")


main()
