#!/usr/bin/env python3
"""Breaks suites to see that orlo-spec notices.

Usage: tests/spec/canary.py ORLO_SPEC [--seed S] [--count N] [PATH…]
Every command of the suites in tests/spec/canary (made from the .wast beside them, by `wasm-tools json-from-wast FILE.wast
-o FILE.json --wasm-dir . --pretty`) is broken in every way below; of each PATH, N commands that S picks, in one way each. A
broken command has to fail, and only it. Prints what went unnoticed, then 'N passed, N failed'.
"""
import argparse, copy, glob, json, os, random, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
OTHER_TYPE = {"i32": "i64", "i64": "i32", "f32": "i32", "f64": "i64", "u32": "s32", "s32": "u32", "u8": "s8", "u16": "s16", "s8": "u8",
              "s16": "u16", "u64": "s64", "s64": "u64", "string": "list", "bool": "u8", "char": "u32", "funcref": "externref",
              "externref": "funcref", "enum": "string", "record": "tuple", "tuple": "record", "option": "result", "list": "string"}


def edited(command, path, change):
    """A copy in which change(parent, key) has been applied to what the path of keys leads to."""
    c = copy.deepcopy(command)
    at = c
    for key in path[:-1]:
        at = at[key]
    change(at, path[-1])
    return c


def put(v):
    return lambda at, key: at.__setitem__(key, v)


def drop(at, key):
    del at[key]


def is_number(v):
    return isinstance(v, str) and re.fullmatch(r"-?\d+", v)


def broken_values(command, path, value):
    """Ways to make an expected value another one."""
    kind, v = value["type"], value.get("value")
    if kind == "either":  # each of its alternatives at once
        wrong = [next((x[1] for x in broken_values({"v": a}, ["v"], a) if x[0] == "another value"), None) for a in value["values"]]
        if all(wrong):
            yield "another value", edited(command, path, put({"type": "either", "values": [w["v"] for w in wrong]}))
        yield "no alternative", edited(command, path + ["values"], put([]))
        return
    if isinstance(v, list) and kind == "v128":
        lane = v[-1]
        yield "another value", edited(command, path + ["value", -1], put(str(int(lane) ^ 1) if is_number(lane) else "0"))
        yield "a lane missing", edited(command, path + ["value", -1], drop)
        yield "a lane too wide", edited(command, path + ["value", 0], put(str(1 << 64)))
        yield "other lanes", edited(command, path + ["lane_type"], put("i128"))
        return
    if isinstance(v, bool):
        yield "another value", edited(command, path + ["value"], put(not v))
    elif is_number(v) and kind != "string":
        yield "another value", edited(command, path + ["value"], put(str(int(v) ^ 1)))
        yield "a value too wide", edited(command, path + ["value"], put(str(abs(int(v)) + (1 << 64))))
        if kind in ("i32", "f32", "u32", "s32"):
            yield "33 bits", edited(command, path + ["value"], put(str(abs(int(v)) + (1 << 32))))
        if kind in ("externref",):
            yield "null instead", edited(command, path + ["value"], put("null"))
        yield "no number", edited(command, path + ["value"], put(v + "x"))
    elif isinstance(v, str) and v.startswith("nan:"):
        yield "another value", edited(command, path + ["value"], put("0"))
        yield "an unknown pattern", edited(command, path + ["value"], put("nan:any"))
    elif v == "null" or kind.startswith("null") or kind == "refnull":
        yield "another value", edited(command, path, put({"type": "externref" if kind in ("refnull", "externref") else "funcref", "value": "3"}))
    elif v is None and kind.endswith("ref"):
        yield "another value", edited(command, path + ["value"], put("null"))
    elif isinstance(v, str):
        yield "another value", edited(command, path + ["value"], put(v + "x"))
    elif isinstance(v, list) and v:
        yield "another value", edited(command, path + ["value", -1], drop)
    if kind in OTHER_TYPE:
        yield "another type", edited(command, path + ["type"], put(OTHER_TYPE[kind]))
    yield "an unknown type", edited(command, path + ["type"], put("v256"))


def broken(c):
    """All ways to break a command, as (how, command): each makes it one that has to fail."""
    kind, action, text = c["type"], c.get("action"), c.get("text")
    if c.get("module_type") == "text" and "binary_filename" not in c:
        return
    yield "an unknown command", edited(c, ["type"], put("assert_nothing"))
    for key in ("binary_filename", "filename"):
        if key in c:
            yield "a missing file", edited(c, [key], put("missing.wasm"))
            break
    if action:
        yield "another export", edited(c, ["action", "field"], put("no such export"))
        yield "an unknown module", edited(c, ["action", "module"], put("no such module"))
        yield "an unknown action", edited(c, ["action", "type"], put("call"))
        if action["type"] == "invoke":
            yield "an argument more", edited(c, ["action", "args"], put(action["args"] + [{"type": "i32", "value": "0"}]))
            if action["args"]:
                yield "an argument less", edited(c, ["action", "args", -1], drop)
                yield "an argument of an unknown type", edited(c, ["action", "args", 0, "type"], put("v256"))
                kind_of = action["args"][0]["type"]
                if kind_of in OTHER_TYPE:
                    yield "an argument of another type", edited(c, ["action", "args", 0, "type"], put(OTHER_TYPE[kind_of]))
    if kind == "assert_return":
        yield "a trap instead", {**c, "type": "assert_trap", "text": "unreachable"}
        yield "an exception instead", {**c, "type": "assert_exception"}
        yield "a result more", edited(c, ["expected"], put(c["expected"] + [{"type": "i32", "value": "0"}]))
        for i, value in enumerate(c["expected"]):
            yield from broken_values(c, ["expected", i], value)
        if c["expected"]:
            yield "a result less", edited(c, ["expected", -1], drop)
            yield "no results", edited(c, ["expected"], put([]))
    if action and kind in ("assert_trap", "assert_exhaustion", "assert_exception"):
        yield "a result instead", {**c, "type": "assert_return", "expected": []}
        yield "an action instead", {**c, "type": "action"}
    if kind in ("assert_trap", "assert_exception") and action:
        yield "an exhaustion instead", {**c, "type": "assert_exhaustion"}
    if kind == "assert_exhaustion":
        yield "a trap instead", {**c, "type": "assert_trap"}
    if text:
        yield "another text", edited(c, ["text"], put("integer overflow" if text != "integer overflow" else "unreachable"))
        yield "no text", edited(c, ["text"], drop)
    if kind in ("assert_invalid", "assert_malformed"):
        yield "a module", {**c, "type": "module"}
        yield "unlinkable", {**c, "type": "assert_unlinkable"}
        if text != "invalid leading byte":  # orlo-spec takes it for the other on purpose
            yield "the other kind", {**c, "type": "assert_malformed" if kind == "assert_invalid" else "assert_invalid"}
    if kind in ("assert_unlinkable", "assert_uninstantiable") or (kind == "assert_trap" and not action):
        yield "a module", {**c, "type": "module"}
        yield "invalid", {**c, "type": "assert_invalid"}
        yield "the other kind", {**c, "type": "assert_uninstantiable" if kind == "assert_unlinkable" else "assert_unlinkable"}
    if kind in ("module", "module_definition"):
        yield "invalid", {**c, "type": "assert_invalid", "text": "type mismatch"}
        yield "malformed", {**c, "type": "assert_malformed", "text": "unexpected end"}
        yield "unlinkable", {**c, "type": "assert_unlinkable", "text": "unknown import"}
    if kind == "module_instance":
        yield "another definition", edited(c, ["module"], put("no such definition"))
    if kind == "register" and "name" in c:
        yield "another instance", edited(c, ["name"], put("no such instance"))


class Mutants:
    """Broken copies of suites in a folder of their own."""

    def __init__(self, scratch):
        self.scratch, self.all = scratch, []

    def add(self, path, index, how, command):
        folder = os.path.join(self.scratch, f"{len(self.all):04}")
        os.mkdir(folder)
        commands = json.load(open(path))["commands"][:index] + [command]
        for c in commands:
            for name in (c.get("filename"), c.get("binary_filename")):
                source = name and os.path.join(os.path.dirname(path), name)
                if source and os.path.exists(source):
                    os.path.exists(os.path.join(folder, name)) or os.symlink(os.path.abspath(source), os.path.join(folder, name))
        with open(os.path.join(folder, "mutant.json"), "w") as f:
            json.dump({"commands": commands}, f)
        self.all.append((folder, f"{os.path.basename(path)}:{command['line']} {command['type']}: {how}", command["line"]))

    def run(self, program):
        """What went unnoticed."""
        out = subprocess.run([program, "-v", self.scratch], capture_output=True, text=True).stdout.splitlines()
        status = {line.split(":")[0].split()[-1]: line for line in out if re.match(r"(ok  |FAIL) \S+: \d+ passed", line)}
        for folder, name, line in self.all:
            path = os.path.join(folder, "mutant.json")
            says = status.get(path, "FAIL it is not there")
            complaints = [x for x in out if x.startswith(path + ":") and ": skipped (" not in x]
            if not says.startswith("FAIL"):
                yield f"{name}: unnoticed: {says}"
            elif len(complaints) != 1 or not complaints[0].startswith(f"{path}:{line}: "):
                yield f"{name}: something else failed: {complaints[:2]} {says}"


def suites_of(program, paths):
    """The JSON files under the paths that pass whole as they are."""
    out = subprocess.run([program, *paths], capture_output=True, text=True).stdout
    return re.findall(r"^ok   (\S+): ", out, re.M)


def main():
    p = argparse.ArgumentParser(description="Breaks suites to see that orlo-spec notices.")
    p.add_argument("orlo_spec", metavar="ORLO_SPEC")
    p.add_argument("paths", nargs="*")
    p.add_argument("--seed", default="1")
    p.add_argument("--count", type=int, default=150)
    a = p.parse_args()
    program, failed = os.path.abspath(a.orlo_spec), []
    scratch = tempfile.mkdtemp(prefix="orlo-canary-")
    mutants = Mutants(scratch)
    try:
        own = sorted(glob.glob(os.path.join(HERE, "canary", "*.json")))
        whole = suites_of(program, own)
        failed += [f"{path}: does not pass as it is" for path in own if path not in whole]
        for path in own:
            for i, c in enumerate(json.load(open(path))["commands"]):
                for how, command in broken(c):
                    mutants.add(path, i, how, command)
        rng = random.Random(a.seed)
        for path in a.paths:
            for suite in rng.choices(suites_of(program, [path]), k=a.count):
                commands = json.load(open(suite))["commands"]
                i = rng.randrange(len(commands))
                ways = list(broken(commands[i]))
                if ways:
                    mutants.add(suite, i, *rng.choice(ways))
        failed += mutants.run(program)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for text in failed:
        print("FAIL " + text)
    print(f"{len(mutants.all) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed or not mutants.all else 0)


main()
