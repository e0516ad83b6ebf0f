#!/usr/bin/env python3
"""docs/tour.md, followed literally: every line of its shell blocks is typed in, in order, and does what the text says.

What is not typed: cloning and installing (./dev fresh does that). Ports are others, since those may be in use.
Usage: tests/tour/run.py ORLO. Prints `ok|FAIL|SKIP NAME` lines, and 'N passed, N failed, N skipped'.
"""
import glob, importlib.util, os, re, sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import *

TOUR = os.path.join(ROOT, "docs", "tour.md")
NOT_TYPED = re.compile(r"git clone|\./dev |install -m|apt-get ")


def examples():
    spec = importlib.util.spec_from_file_location("examples", os.path.join(ROOT, "tests", "examples", "run.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Visitor:
    """Somebody with a shell, whose working directory stays."""

    def __init__(self):
        self.at = os.path.join(WORK, "home")
        bin = os.path.join(WORK, "bin")
        os.makedirs(self.at, exist_ok=True)
        os.makedirs(bin, exist_ok=True)
        if not os.path.exists(os.path.join(bin, "orlo")):
            os.symlink(ORLO, os.path.join(bin, "orlo"))
        self.ports = {"8080": str(free_port()), "8089": str(free_port())}
        self.env = dict(os.environ, PATH=bin + ":" + os.environ["PATH"], HOME=self.at)
        self.background = []

    def words(self, line):
        line = re.sub(r"\b(8080|8089)\b", lambda m: self.ports[m[1]], line)
        return line + f" --admin 127.0.0.1:{self.ports['8089']}" if line.startswith("orlo node") else line

    def type(self, line, *, fails=False):
        p = subprocess.run(["bash", "-c", f"{self.words(line)}\ncode=$?; pwd > {WORK}/pwd; exit $code"], cwd=self.at, env=self.env, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=600)
        check(fails or p.returncode == 0, line, p.returncode, p.stdout[-2000:], p.stderr[-2000:])
        with open(f"{WORK}/pwd") as f:
            self.at = f.read().strip()
        return p.stdout + p.stderr

    def leave_running(self, line, until_printed):
        log = open(os.path.join(WORK, f"log-{len(self.background)}"), "w+")
        p = subprocess.Popen(["bash", "-c", "exec " + self.words(line)], cwd=self.at, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.background.append(p)
        read = lambda: open(log.name).read()
        until(lambda: until_printed in read() or p.poll() is not None)
        check(p.poll() is None, line, read()[-3000:])
        return p, read

    def end(self):
        for p in self.background:
            if p.poll() is None:
                p.send_signal(signal.SIGINT)
                p.wait(60)


def lines_of(section):
    """What is typed in a section of the tour."""
    text = open(TOUR).read().split(f"\n## {section}.")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = [l.split("  #")[0].strip() for b in blocks for l in b.splitlines()]
    return [l for l in lines if l and not NOT_TYPED.match(l)]


def test_tour():
    made = examples().make("c", "clang", "wasm-ld", "node", "npm")
    v = Visitor()
    try:
        follow(v, os.path.dirname(made))
    finally:
        v.end()


def follow(v, made):
    url = f"http://127.0.0.1:{v.ports['8080']}"
    ask = lambda: json.loads(curl(url + "/hello/you", "-H", "Host: shop.localhost").text)
    new, checks, dev = lines_of(2)
    v.type(new)
    os.symlink(os.path.join(made, "node_modules"), os.path.join(v.at, "node_modules"))  # what npm has fetched already
    has(v.type(checks, fails=True), "app.wasm")
    p, read = v.leave_running(dev + f" --listen 127.0.0.1:{v.ports['8080']}", "http://shop.localhost")
    eq(ask(), {"greeting": "Moin", "name": "you"})
    curl(url + "/fetch?url=http://127.0.0.1:9/")
    until(lambda: "outgoing-request-denied" in read())
    p.send_signal(signal.SIGINT)
    eq(p.wait(60), 0)
    node, deploy, get = lines_of(3)
    p, read = v.leave_running(node, '"serving"')
    has(read(), "first-token")
    has(v.type(deploy), "http://shop.localhost", "version 1")
    has(v.type(get), "Moin")
    edit, deploy, versions, get, rollback, share, promote = lines_of(4)
    v.type(edit)
    has(v.type(deploy), "version 2")
    eq([l.split()[0] for l in v.type(versions).splitlines() if l.split()[0].isdigit()], ["2", "1"])
    has(v.type(get), "Servus")
    v.type(rollback)
    eq(ask()["greeting"], "Moin")
    v.type(share)
    got = [ask()["greeting"] for _ in range(200)]
    check(set(got) == {"Moin", "Servus"} and 3 <= got.count("Servus") <= 60, got.count("Servus"))
    v.type(promote)
    eq({ask()["greeting"] for _ in range(20)}, {"Servus"})
    give, list_ = lines_of(5)
    v.type(give)
    listed = v.type(list_)
    check("GREETING" in listed and "s3cret" not in listed, listed)
    (token,) = lines_of(6)
    token = re.search(r"orlo_\w+", v.type(token))[0]
    has(v.type(f"orlo deploy --to http://127.0.0.1:8089 --token {token}"), "version 3")
    status, top, logs, health = lines_of(7)
    has(v.type(status), "apps")
    has(v.type(top), "shop")
    has(v.type(logs), "/hello/you")
    v.type(health)
    (delete,) = lines_of(8)
    v.type(delete)
    eq(curl(url + "/", "-H", "Host: shop.localhost").status, 404)
    p.send_signal(signal.SIGINT)
    eq(p.wait(60), 0)
    check("s3cret" not in read(), "a secret in the log")


def test_a_database():
    v = Visitor()
    v.at = os.path.join(WORK, "home-2")
    os.makedirs(v.at)
    try:
        p, read = v.leave_running(lines_of(3)[0] + " --state " + os.path.join(WORK, "state-2"), '"serving"')
        v.env["ORLO_STATE"] = os.path.join(WORK, "state-2")
        new, checks, deploy, keys, write, ask, hide, query, explain, change, again, status, backup = lines_of(9)
        v.type(new)
        has(v.type(checks), "the app book")
        has(v.type(deploy), "migrated 001_entries.sql", "version 1")
        v.type(keys)
        v.type(write)
        has(v.type(ask), '[{"name":"Ada","message":"The first entry."}]')
        has(v.type(hide), "42501")
        has(v.type(query), "Ada")
        has(v.type(explain), "what is not hidden is for everybody")
        v.type(change)
        has(v.type(again), "migrated 002_likes.sql", "version 2")
        has(v.type(status), "002_likes.sql", "applied")
        has(v.type(backup), "restored once, and whole")
    finally:
        v.end()


def test_functions_and_a_telephone():
    """What cargo makes is checked in (tests/guests/stock.wasm, of examples/stock): tests/examples builds it."""
    v = Visitor()
    v.at = os.path.join(WORK, "home-3")
    os.makedirs(v.at)
    v.env["ORLO_STATE"] = os.path.join(WORK, "state-3")
    cargo = os.path.join(WORK, "cargo", "cargo")
    os.makedirs(os.path.dirname(cargo))
    with open(cargo, "w") as f:
        f.write(f"#!/bin/sh\nmkdir -p target/wasm32-wasip2/release && cp {ROOT}/tests/guests/stock.wasm target/wasm32-wasip2/release/app.wasm\n")
    os.chmod(cargo, 0o755)
    v.env["PATH"] = os.path.dirname(cargo) + ":" + v.env["PATH"]
    book = lambda n, of: '{"id":%d,"item":"book","count":%d}' % (n, of)
    try:
        p, read = v.leave_running(lines_of(3)[0] + " --state " + v.env["ORLO_STATE"], '"serving"')
        new, deploy, keys, token, items, order, own, nobody, types, low, move, again, both, lower = lines_of(10)
        v.type(new)
        has(v.type(deploy), "migrated 001_stock.sql", "version 1", "granted to low")
        v.type(keys)
        v.type(token)
        has(v.type(items), '[{"name":"book","stock":3}]')
        has(v.type(order), '{"left":1,"order":1}')
        has(v.type(own), f"[{book(1, 2)}]")
        has(v.type(nobody), "[]")
        v.type(types)
        with open(os.path.join(v.at, "database.dart")) as f:
            has(f.read(), "class Orders", "fromJson")
        until(lambda: '"book"' in v.type(low))
        has(v.type(low), '[{"item":"book","stock":1}]')
        if not glob.glob("/usr/lib/postgresql/1[5-9]/bin/postgres"):
            raise Skip("its second half needs PostgreSQL 15 or newer")
        has(v.type(move), "shop is on postgres, as version 2")
        has(v.type(again), '{"left":0,"order":2}')
        has(v.type(both), f"[{book(1, 2)},{book(2, 1)}]")
        until(lambda: '"stock":0' in v.type(lower))
        check("changes-missed" not in read() and "change-given-up" not in read(), read()[-2000:])
    finally:
        v.end()


if __name__ == "__main__":
    run(globals())
