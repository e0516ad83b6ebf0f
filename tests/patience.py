#!/usr/bin/env python3
"""Refuses in tests what passes on an idle machine and fails, some day, on a loaded one.

1. Other processes are signalled, listed and looked at by tests/processes.py alone: each may be gone at any moment.
2. Nobody sleeps: until() waits for what must come, in_vain() for what must not, pace() is a client's pause.
3. What is waited for has PATIENCE_S, or as long as a line says with `# short: WHY`: nothing under half a minute is a verdict.
4. next(iter(X)) has a second argument: X may be empty.
5. A port that is to be told is free_port()'s: one that the kernel gave away a moment ago is some client's by now.
6. Who waits until any client's request was taken says who asked: it may be answered, and gone, before anybody looks.

What is no test of a running Orlo (generators of modules, surveys) is not looked at.
"""
import ast, glob, os, sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HELPERS = ("tests/processes.py", "tests/patience.py")
NOT_LOOKED_AT = ("tests/survey/", "tests/diff/", "tests/fuzz/")
LEAST_S = 30


def called(node):
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def number(node):
    return node.value if isinstance(node, ast.Constant) and type(node.value) in (int, float) else None


def faults(text):
    """(line, what is wrong) of one program."""
    lines = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            said = "".join(v.value for v in node.values if isinstance(v, ast.Constant))
            if said.startswith("/proc/") and isinstance(node.values[0], ast.Constant) and node.values[0].value == "/proc/" and said not in ("/proc//mem", "/proc//maps"):
                yield node.lineno, f"{said.replace('//', '/PID/')} is read by processes.read() and its kin"
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("test_") and "port" in node.name and "bind((" in ast.unparse(node):
            yield node.lineno, f"{node.name}(): processes.free_port() is there"
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        whole = ast.unparse(node.func)
        if whole in ("os.kill", "os.killpg"):
            yield node.lineno, f"{whole}: processes.kill(), kill_if_there() or stopped()"
        if whole == "time.sleep":
            yield node.lineno, "time.sleep: until(), in_vain() or pace()"
        if name in ("run", "Popen", "check_output") and node.args and isinstance(node.args[0], ast.List) and node.args[0].elts and getattr(node.args[0].elts[0], "value", None) in ("ps", "pgrep", "pkill", "killall"):
            yield node.lineno, "processes are listed by processes.children(), and signalled one by one"
        if name == "next" and len(node.args) == 1 and isinstance(node.args[0], ast.Call) and called(node.args[0]) == "iter":
            yield node.lineno, "next(iter(…)) of what may be empty"
        if name == "wait_event" and len(node.args) > 1 and number(node.args[1]) is not None:
            yield node.lineno, "wait_event() has its time; how many there are is count="
        if name == "wait_taken" and not node.args and not node.keywords:
            yield node.lineno, "wait_taken() of this client, or of what was asked="
        seconds = [number(k.value) for k in node.keywords if k.arg in ("timeout", "seconds")]
        if name in ("wait", "join", "communicate", "settimeout") and len(node.args) == 1 and not node.keywords:
            seconds.append(number(node.args[0]))
        if any(s is not None and 1 <= s < LEAST_S for s in seconds) and "# short: " not in lines[node.lineno - 1]:
            yield node.lineno, f"{min(s for s in seconds if s)} s: PATIENCE_S, or why so short"


WRONG = '''os.kill(p, 9)
time.sleep(1)
subprocess.run(["ps", "-e"])
next(iter(x))
n.wait_event("x", 10)
p.wait(20)
curl(u, timeout=5)
open(f"/proc/{p}/stat")
def some_port(): s.bind(("127.0.0.1", 0))
n.wait_taken()
p.wait(20)  # short: it is said why
'''


def main():
    bad, looked = [], 0
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "**", "*.py"), recursive=True)):
        name = os.path.relpath(path, ROOT)
        if name in HELPERS or name.startswith(NOT_LOOKED_AT):
            continue
        looked += 1
        with open(path, encoding="utf-8") as f:
            bad += [f"{name}:{line}: {what}" for line, what in sorted(faults(f.read()))]
    # The check itself: what is wrong here has to be seen.
    if (seen := {line for line, _ in faults(WRONG)}) != set(range(1, 11)):
        bad.append(f"tests/patience.py: of ten lines that are wrong it sees {sorted(seen)}")
    for line in bad:
        print("FAIL " + line)
    print(f"{looked + 1 - len(bad) if looked >= len(bad) else 0} passed, {len(bad)} failed, 0 skipped")
    sys.exit(1 if bad else 0)


main()
