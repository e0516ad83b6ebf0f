#!/usr/bin/env python3
"""Prints chains.wast: definitions that lead to definitions, without the guest's code between, as often as a component likes. They end as
calls do: "call stack exhausted". (chains.wast itself is a thousand lines of the same.)"""
DESTRUCTORS = 1000


def row(name, times, of):
    """A component of `times` instances of another in a row."""
    print(f"  (component ${name} (import \"f\" (func $f)) (alias outer $lifts ${of} (component $part))")
    print("    (instance $i0 (instantiate $part (with \"f\" (func $f))))")
    for k in range(1, times):
        print(f"    (instance $i{k} (instantiate $part (with \"f\" (func $i{k - 1} \"f\"))))")
    print(f"    (export \"f\" (func $i{times - 1} \"f\")))")


def lifts():
    """One lifts what it lowers; Long is 768 of it."""
    print("(component definition $lifts")
    print("  (component $One (import \"f\" (func $f)) (core func $c (canon lower (func $f))) (func (export \"f\") (canon lift (core func $c))))")
    row("Short", 16, "One")
    row("Middle", 16, "Short")
    row("Long", 3, "Middle")
    print("  (component $Base (core module $M (func (export \"f\"))) (core instance $m (instantiate $M))")
    print("    (func (export \"f\") (canon lift (core func $m \"f\"))))")
    print("  (instance $base (instantiate $Base))")
    for name in ("Short", "Long"):
        print(f"  (instance ${name} (instantiate ${name} (with \"f\" (func $base \"f\"))))")
    print("  (export \"short\" (func $Short \"f\"))\n  (export \"long\" (func $Long \"f\")))")


def destructors(n):
    """The destructor of each resource drops one of the resource before."""
    print("(component definition $destructors")
    print("  (core module $M0 (func (export \"drop\") (param i32)))\n  (core instance $m0 (instantiate $M0))")
    for k in range(n):
        before = f"(core func $drop{k - 1})" if k else "(core func $m0 \"drop\")"
        print(f"  (type $R{k} (resource (rep i32) (dtor {before})))")
        print(f"  (core func $new{k} (canon resource.new $R{k})) (core func $drop{k} (canon resource.drop $R{k}))")
    print("  (core module $M")
    for k in range(n):
        print(f"    (import \"\" \"n{k}\" (func $n{k} (param i32) (result i32)))")
    print("    (import \"\" \"short\" (func $short (param i32))) (import \"\" \"long\" (func $long (param i32)))")
    for name, depth in (("short", 30), ("long", n)):
        print(f"    (func (export \"{name}\") (i32.const 0) {' '.join(f'(call $n{k})' for k in range(depth))} (call ${name}))")
    print("  )\n  (core instance $m (instantiate $M (with \"\" (instance")
    print(f"    (export \"short\" (func $drop29)) (export \"long\" (func $drop{n - 1}))")
    for k in range(n):
        print(f"    (export \"n{k}\" (func $new{k}))")
    print("  ))))\n  (func (export \"short\") (canon lift (core func $m \"short\")))\n  (func (export \"long\") (canon lift (core func $m \"long\"))))")


for make, name in ((lifts, "lifts"), (lambda: destructors(DESTRUCTORS), "destructors")):
    make()
    print(f"(component instance $i ${name})\n(assert_return (invoke $i \"short\"))\n(assert_trap (invoke $i \"long\") \"call stack exhausted\")")
