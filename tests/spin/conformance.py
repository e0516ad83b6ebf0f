#!/usr/bin/env python3
"""Spin's public conformance tests (github.com/fermyon/conformance-tests) against a node: each test is an application with its own spin.toml, and a
list of requests with the answers that a host of Spin's has to give. Neither is in this repository.

Usage: tests/spin/conformance.py ORLO TESTS COMPONENTS [FILTER]. TESTS: the folder `tests` of that repository; COMPONENTS: a folder with its
components built (key_value.wasm or key-value.wasm, …). Prints `ok|FAIL|SKIP NAME` lines, and 'N passed, N failed, N skipped'. What it passes,
and what is known to differ, is in docs/spin.md.
"""
import http.client, http.server, json, os, re, shutil, socketserver, subprocess, sys, tempfile, threading

TESTS, COMPONENTS = map(os.path.abspath, sys.argv[2:4])
FILTER = sys.argv[4] if len(sys.argv) > 4 else ""
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import *
from nodes import *

# What a test needs that this node has nothing to offer for.
ABSENT = {"redis": "no Redis yet", "mqtt": "no MQTT yet", "postgres": "no PostgreSQL yet", "mysql": "no MySQL yet"}
# Fields that a node adds to every answer.
OWN_FIELDS = {"x-request-id", "date", "server", "connection", "keep-alive"}


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *args):
        pass


class Back(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(4096):
            self.request.sendall(data)


def echo(kind):
    """A server of that kind and its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) if kind == "http-echo" else socketserver.ThreadingTCPServer(("127.0.0.1", 0), Back)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]


def json5(text):
    """As far as these tests use it: comments, names without quotes, a comma behind the last one."""
    text = re.sub(r"^\s*//.*$", "", text, flags=re.M)
    text = re.sub(r'([{,]\s*)([A-Za-z_]\w*)\s*:', r'\1"\2":', text)
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", text))


def component(name):
    want = name.replace("-", "_").replace(".", "_")
    for f in sorted(os.listdir(COMPONENTS)):
        stem = f.removesuffix(".wasm").replace("-", "_").replace(".", "_")
        same = stem in (want, want + "_test_component", want.replace("_v0_", "_rust_0_").replace("outbound_wasi_http", "wasi_http"))
        if f.endswith(".wasm") and same:
            return os.path.join(COMPONENTS, f)
    raise Skip(f"no component {name}")


def differences(expected, r, body):
    """What an answer has that it should not have, or the other way round."""
    out = []
    if r.status != expected.get("status", 200):
        out.append(f"status {r.status}, not {expected.get('status', 200)}")
    if body.decode("utf-8", "replace") != expected.get("body", ""):
        out.append(f"body {body[:200]!r}, not {expected.get('body', '')!r}")
    fields = {k.lower(): v for k, v in r.getheaders()}
    for want in expected.get("headers", []):
        name = want["name"].lower()
        if name not in fields and not want.get("optional"):
            out.append(f"no {name}")
        elif name in fields and want.get("value") is not None and fields[name].lower() != want["value"].lower():
            out.append(f"{name}: {fields[name]}, not {want['value']}")
        fields.pop(name, None)
    return out + [f"{k}: {v} besides" for k, v in fields.items() if k not in OWN_FIELDS]


def one(name):
    with open(os.path.join(TESTS, name, "test.json5")) as f:
        test = json5(f.read())
    for p in test.get("preconditions", []):
        if p["kind"] in ABSENT and "no-permission" not in name:
            raise Skip(ABSENT[p["kind"]])
    servers, port = [], None
    for p in test.get("preconditions", []):
        if p["kind"] in ("http-echo", "tcp-echo"):
            server, port = echo(p["kind"])
            servers.append(server)
    filled = lambda text: re.sub(r"%\{port=(\d+)\}", lambda m: str(port or m[1]), text)
    folder = tempfile.mkdtemp(prefix="spin-", dir=WORK)
    with open(os.path.join(TESTS, name, "spin.toml")) as f:
        told = filled(f.read())
    for source in set(re.findall(r"%\{source=([^}]+)\}", told)):
        shutil.copyfile(component(source), os.path.join(folder, source + ".wasm"))
        told = told.replace("%{source=" + source + "}", source + ".wasm")
    with open(os.path.join(folder, "spin.toml"), "w") as f:
        f.write(told)
    with node("--workers", "1") as n:
        code, out, error = orlo("deploy", folder, "--app", "conformance", "--host", "*", "--state", n.state, timeout=120)
        check(code == 0, out, error)
        for i in test["invocations"]:
            request = i["request"]
            c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=120)
            headers = {h["name"]: filled(h["value"]) for h in request.get("headers", [])}
            c.request(request.get("method", "GET"), request["path"], headers=headers)
            r = c.getresponse()
            said = differences(json.loads(filled(json.dumps(i["response"]))), r, r.read())
            check(not said, said, n.log()[-1500:])
            c.close()
    for server in servers:
        server.shutdown()


if __name__ == "__main__":
    names = sorted(n for n in os.listdir(TESTS) if FILTER in n and os.path.exists(os.path.join(TESTS, n, "spin.toml")))
    sys.argv[2:] = []
    run({"test_" + n: (lambda n=n: one(n)) for n in names})
