#!/usr/bin/env python3
"""Makes who.wasm: a WASI 0.2 command that says what orlo:test/who (who.wit) answers. Debian has no tool that makes a component of a core
module, and this one is small enough to be spelled out.

Usage: src/node/testdata/who.py > src/node/testdata/who.wasm
"""
import sys

FUNC, MEMORY, CORE = b"\0", b"\2", b"\0"  # sorts


def name(s):
    return bytes([len(s)]) + s.encode()


def vec(*items):
    return bytes([len(items)]) + b"".join(items)


def section(number, body):
    assert len(body) < 16384
    size = bytes([len(body) & 127 | 128, len(body) >> 7]) if len(body) > 127 else bytes([len(body)])
    return bytes([number]) + size + body


def code(body, locals=b"\0"):
    return bytes([len(body) + len(locals)]) + locals + body


def core(*sections):
    return b"\0asm\1\0\0\0" + b"".join(sections)


# memory, and a realloc that only ever gives new bytes
allocator = core(
    section(1, vec(b"\x60" + vec(b"\x7f", b"\x7f", b"\x7f", b"\x7f") + vec(b"\x7f"))),
    section(3, vec(b"\0")),
    section(5, vec(b"\0\1")),
    section(6, vec(b"\x7f\1\x41\x80\x08\x0b")),  # from 1024 on
    section(7, vec(name("memory") + b"\2\0", name("realloc") + b"\0\0")),
    section(10, vec(code(b"\x23\0\x23\0\x20\3\x6a\x24\0\x0b"))))


def say_what(function):
    """function(16); say(load(16), load(20))"""
    return b"\x41\x10\x10" + function + b"\x41\x10\x28\2\0\x41\x10\x28\2\4\x10\2"


program = core(
    section(1, vec(b"\x60" + vec(b"\x7f") + vec(), b"\x60" + vec(b"\x7f", b"\x7f") + vec(), b"\x60" + vec() + vec(b"\x7f"))),
    section(2, vec(name("who") + name("app") + b"\0\0", name("who") + name("request") + b"\0\0", name("who") + name("say") + b"\0\1",
                   name("host") + name("memory") + b"\2\0\1")),
    section(3, vec(b"\2")),
    section(7, vec(name("run") + b"\0\3")),
    section(10, vec(code(say_what(b"\0") + say_what(b"\1") + b"\x41\0\x0b"))))

answers = b"\x40" + vec() + b"\0\x73"  # func() -> string
says = b"\x40" + vec(name("text") + b"\x73") + b"\1\0"  # func(text: string)
who = b"\x42" + vec(b"\1" + answers, b"\1" + says,
                    b"\4\0" + name("app") + b"\1\0", b"\4\0" + name("request") + b"\1\0", b"\4\0" + name("say") + b"\1\1")


def lower(function, *options):
    return b"\1\0" + bytes([function]) + vec(*options)


component = b"\0asm\x0d\0\1\0" + b"".join((
    section(7, vec(who)),
    section(10, vec(b"\0" + name("orlo:test/who") + b"\5\0")),
    section(1, allocator),
    section(1, program),
    section(2, vec(b"\0\0" + vec())),
    section(6, vec(CORE + MEMORY + b"\1\0" + name("memory"), CORE + FUNC + b"\1\0" + name("realloc"),
                   *(b"\1\0\0" + name(f) for f in ("app", "request", "say")))),
    section(8, vec(*(lower(f, b"\0", b"\3\0", b"\4\0") for f in (0, 1)), lower(2, b"\0", b"\3\0"))),
    section(2, vec(b"\1" + vec(*(name(f) + FUNC + bytes([i]) for f, i in (("app", 1), ("request", 2), ("say", 3)))),
                   b"\0\1" + vec(name("host") + b"\x12\0", name("who") + b"\x12\1"))),
    section(6, vec(CORE + FUNC + b"\1\2" + name("run"))),
    section(7, vec(b"\x6a\0\0", b"\x40" + vec() + b"\0\1")),  # result; func() -> result
    section(8, vec(b"\0\0\4" + vec() + b"\2")),
    section(5, vec(b"\1" + vec(b"\0" + name("run") + b"\1\3"))),
    section(11, vec(b"\0" + name("wasi:cli/run@0.2.12") + b"\5\1\0"))))
sys.stdout.buffer.write(component)
