"""What a node tells of itself: metrics, health, traces, logs, top. Own parsers check what is said; where prometheus_client, promtool or
opentelemetry-proto can be had, theirs do too."""
import http.client, http.server, importlib.util, os, re, shutil, signal, struct, subprocess, sys, tempfile, threading, time, urllib.parse

from harness import *
from nodes import *

GUESTS_HERE = os.path.join(ROOT, "tests", "guests")


def component(name):
    return os.path.join(GUESTS_HERE, name + ".wasm")


# ---- metrics ----------------------------------------------------------------------------------------------------------


def ask(n, path, method="GET", **fields):
    c = Socket(n.state)
    try:
        return say(c, method, path, **fields)
    finally:
        c.close()


def parse(text):
    """{family: (type, {(name, frozenset of labels): value})} of Prometheus' text format; every rule of it that we could break is checked."""
    families, now, seen = {}, None, set()
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# UNIT ") or line == "# EOF":
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name not in families, "twice", name)
            now = families[name] = (kind, {})
            family = name
            continue
        m = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)', line)
        check(m, line)
        check(m[1].startswith(family), "outside of its family", line)
        labels = frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', m[2] or ""))
        check((m[1], labels) not in seen, "twice", line)
        seen.add((m[1], labels))
        now[1][m[1], labels] = float(m[3])
    return families


def samples(text, name, **labels):
    want = set(labels.items())
    return {ls: v for kind, of in parse(text).values() for (n, ls), v in of.items() if n == name and want <= ls}


def total(text, name, **labels):
    return sum(samples(text, name, **labels).values())


def metrics(n):
    r = ask(n, "/metrics")
    eq((r.status, r.fields["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
    return r.text


def come_to(n, *wants):
    """The metrics once each (value, name, labels) has come: an answer is counted after its last byte, so who asks at once may be early.
    A counter that passes what it should be is a fault all the same."""
    found = []

    def there():
        found[:] = [metrics(n)]
        return all(total(found[0], name, **labels) >= value for value, name, labels in wants)

    with contextlib.suppress(AssertionError):
        until(there)
    for value, name, labels in wants:
        eq((name, labels, total(found[0], name, **labels)), (name, labels, value))
    return found[0]


def test_metrics():
    with node("--workers", "2") as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        n.deploy("blog", guest("tenant"), "--env", "APP=blog")
        for _ in range(20):
            eq(n.get("shop").status, 200)
        eq(n.get("blog", "/trap").status, 500)
        eq(n.get("nobody").status, 404)
        n.deploy("shop", guest("tenant"), "--env", "APP=new")
        for _ in range(5):
            eq(n.get("shop").status, 200)
        t = come_to(
            n,
            (20, "orlo_requests_total", dict(app="shop", version="1", code="2xx")),
            (5, "orlo_requests_total", dict(app="shop", version="2", code="2xx")),
            (100, "orlo_response_body_bytes_total", dict(app="shop", version="1")),
            (1, "orlo_requests_total", dict(app="blog", code="5xx")),
            (1, "orlo_failures_total", dict(app="blog", reason="trap")),
            (1, "orlo_requests_for_nobody_total", {}),
            (25, "orlo_request_duration_seconds_count", dict(app="shop")),
            (25, "orlo_request_duration_seconds_bucket", dict(app="shop", le="+Inf")),
            (2, "orlo_apps", {}),
            (2, "orlo_workers", {}),
        )
        check(total(t, "orlo_compiles_total", result="ok") >= 1, t)
        # What is sampled comes within a second.
        until(lambda: total(metrics(n), "orlo_instance_resets_total", app="shop") >= 25)
        until(lambda: total(metrics(n), "orlo_connections_accepted_total") >= 27)
        until(lambda: total(t := metrics(n), "orlo_app_cpu_seconds_total", app="shop") > 0 and total(t, "orlo_app_memory_bytes", app="shop") > 0)
        t = metrics(n)
        check(total(t, "orlo_loop_turn_duration_seconds_count") > 0, t)
        for name, (kind, of) in parse(t).items():  # each histogram is one
            if kind == "histogram":
                check_histogram(name, of)


def test_what_the_node_answers():
    """Redirects and refusals are an app's requests, too."""
    with node() as n:
        text = f"""
name = "shop"
limits = {{ requests_per_second = 1, burst = 3 }}
[functions.api]
source = "api.wasm"
routes = ["/"]
env = {{ APP = "shop" }}
[[redirects]]
from = "/old"
to = "/new"
"""
        d = deploy_manifest(n.state, "shop", text, {"api.wasm": open(guest("tenant"), "rb").read()})
        eq(d["state"], "done")
        statuses = [n.get("shop", p).status for p in ("/old", "/", *["/"] * 20)]
        check(statuses[0] == 308 and statuses[1] == 200 and 429 in statuses, statuses)
        refused = statuses.count(429)
        t = come_to(
            n,
            (1, "orlo_requests_total", dict(app="shop", function="(node)", code="3xx")),
            (refused, "orlo_requests_total", dict(app="shop", function="(node)", code="4xx")),
            (refused, "orlo_limit_hits_total", dict(app="shop", limit="requests_per_second")),
            (len(statuses), "orlo_requests_total", dict(app="shop")),
        )
        eq(total(t, "orlo_requests_for_nobody_total"), 0)


def check_histogram(name, of):
    rows = {}
    for (n, labels), v in of.items():
        if n == name + "_bucket":
            le = dict(labels)["le"]
            rows.setdefault(frozenset(l for l in labels if l[0] != "le"), []).append((float(le.replace("+Inf", "inf")), v))
    for labels, buckets in rows.items():
        values = [v for _, v in sorted(buckets)]
        eq(values, sorted(values))
        eq(values[-1], of[name + "_count", labels])
        check(of[name + "_sum", labels] >= 0, name)


def test_counters_never_go_back():
    """Workers die, control dies, workers are replaced by others: what was counted stays."""
    with node("--workers", "1") as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        seen, asked = 0, 0
        for step in range(4):
            for _ in range(10):
                eq(n.get("shop").status, 200)
            asked += 10
            t = come_to(n, (asked, "orlo_requests_total", dict(app="shop")))
            now = sum(v for kind, of in parse(t).values() if kind == "counter" for v in of.values())
            check(now >= seen, seen, now)
            seen = now
            if step == 0:
                kill_worker(n)
            elif step == 1:
                n.kill_control()
                until(lambda: try_metrics(n))
            elif step == 2:  # new rights: another generation of workers
                folder = tempfile.mkdtemp(dir=WORK)
                n.deploy("shop", guest("tenant"), "--env", "APP=shop", "--dir", f"{folder}::/d")
        check(total(metrics(n), "orlo_worker_deaths_total") >= 1, metrics(n))


def try_metrics(n):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return ask(n, "/metrics").status == 200


def kill_worker(n):
    before = len(n.events("worker-died"))
    processes.kill(n.role("worker"))
    n.wait_event("worker-died", count=before + 1)


def test_parsers_of_others():
    """OpenMetrics to who accepts it; and whoever has another parser finds nothing wrong."""
    with node() as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        eq(n.get("shop").status, 200)
        t = metrics(n)
        r = ask(n, "/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        eq((r.status, r.fields["content-type"]), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
        check(r.text.endswith("# EOF\n"), r.text[-100:])
        check("# TYPE orlo_requests counter\n" in r.text and "# UNIT orlo_app_memory_bytes bytes\n" in r.text, r.text[:2000])
        if shutil.which("promtool"):
            p = subprocess.run(["promtool", "check", "metrics"], input=t, capture_output=True, text=True)
            eq((p.returncode, p.stdout + p.stderr), (0, ""))
        if importlib.util.find_spec("prometheus_client"):
            from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_parser
            from prometheus_client.parser import text_string_to_metric_families as parser

            names = lambda families: sorted(f.name.removesuffix("_info") for f in families)
            eq(names(open_parser(r.text)), names(parser(t)))


def test_metrics_are_the_nodes():
    """Without a token, or with an app's, nobody learns what others do; health is for everybody."""
    with node() as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        host = urllib.parse.urlparse(n.admin).netloc
        of_app = ask_json(n, "/v1/tokens", {"app": "shop"})["token"]
        of_node = ask_json(n, "/v1/tokens", {"read_only": True})["token"]

        def by(token, path):
            c = http.client.HTTPConnection(host, timeout=60)
            try:
                return say(c, "GET", path, **({"authorization": "Bearer " + token} if token else {})).status
            finally:
                c.close()

        eq([by(t, "/metrics") for t in ("", of_app, of_node)], [401, 403, 200])
        eq([by(t, "/healthz") for t in ("", of_app)], [200, 200])
        eq(by("", "/readyz"), 200)
        eq(by(of_app, "/v1/apps/shop/logs"), 200)
        eq([by(of_app, "/v1/apps/blog/logs"), by(of_node, "/v1/apps/blog/logs"), by("", "/v1/apps/shop/logs")], [403, 404, 401])


def ask_json(n, path, body):
    c = Socket(n.state)
    try:
        r = say(c, "POST", path, body)
        check(r.status in (200, 201), r.status, r.text)
        return r.json
    finally:
        c.close()


def test_docs_name_every_metric():
    docs = open(os.path.join(ROOT, "docs", "monitoring.md")).read()
    for family in set(re.findall(r'"(orlo_\w+)"', open(os.path.join(SRC, "node", "meters.def")).read())):
        check(f"`{family}" in docs, family)


# ---- health -------------------------------------------------------------------------------------------------------------


def test_ready():
    with node() as n:
        eq((ask(n, "/healthz").text, ask(n, "/readyz").text), ("ok\n", "ready\n"))
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        hang = threading.Thread(target=lambda: n.get("shop", "/loop"), daemon=True)
        hang.start()
        until(lambda: total(metrics(n), "orlo_app_requests_in_progress", app="shop") == 1)
        n.proc.send_signal(signal.SIGTERM)
        until(lambda: ask(n, "/readyz").status == 503)
        has(ask(n, "/readyz").text, "told to stop")
        hang.join(PATIENCE_S)


# ---- top ----------------------------------------------------------------------------------------------------------------


def test_top():
    with node() as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        n.deploy("idle", guest("tenant"), "--env", "APP=idle")
        for _ in range(10):
            n.get("shop")
        n.get("shop", "/trap")
        come_to(n, (11, "orlo_requests_total", dict(app="shop")))
        top = ask(n, "/v1/top").json
        apps = {a["name"]: a for a in top["apps"]}
        eq(list(apps), ["shop"])
        eq((apps["shop"]["requests"], apps["shop"]["errors"]), (11, 1))
        eq(sum(b["requests"] for b in apps["shop"]["durations"]), 11)
        of_app = ask_json(n, "/v1/tokens", {"app": "idle"})["token"]
        eq(ask(n, "/v1/top").json["at_us"] > top["at_us"], True)
        code, out, error = orlo("top", "--once", "--json", "--state", n.state)
        eq((code, error), (0, ""))
        eq([a["name"] for a in json.loads(out)], ["shop"])
        code, out, error = orlo("top", "--sort", "nonsense", "--state", n.state)
        eq(code, 64)


# ---- status -----------------------------------------------------------------------------------------------------------------


def test_status():
    with node("--workers", "2") as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        for _ in range(3):
            n.get("shop")
        until(lambda: ask(n, "/v1/status").json["node"]["memory_bytes"])
        s = ask(n, "/v1/status").json
        eq((s["node"]["workers"], s["node"]["requests"], s["node"]["collector"], s["notes"]), (2, 3, "none", []))
        check(0 < s["node"]["disk_free_bytes"] <= s["node"]["disk_bytes"], s)
        code, out, error = orlo("status", "--state", n.state)
        eq((code, error), (0, ""))
        has(out, "workers      2, 0 died", "requests     3 so far")
        kill_worker(n)
        until(lambda: [x for x in ask(n, "/v1/status").json["notes"] if "1 workers have ended by themselves" in x["text"]])
        of_app = ask_json(n, "/v1/tokens", {"app": "shop"})["token"]
        c = http.client.HTTPConnection(urllib.parse.urlparse(n.admin).netloc, timeout=60)
        s = say(c, "GET", "/v1/status", authorization="Bearer " + of_app).json
        check("node" not in s and s["notes"] == [], s)
        c.close()


# ---- logs ----------------------------------------------------------------------------------------------------------------


def logs(n, app, query="lines=10000"):
    return [json.loads(l) for l in ask(n, f"/v1/apps/{app}/logs?{query}").text.splitlines()]


def test_logs():
    with node() as n:
        for app in ("shop", "blog"):
            n.deploy(app, guest("tenant"), "--env", f"APP={app}")
        eq(n.get("shop").status, 200)
        eq(n.get("blog", "/trap").status, 500)
        until(lambda: len(logs(n, "blog")) >= 2 and len(logs(n, "shop")) >= 1)
        shop, blog = logs(n, "shop"), logs(n, "blog")
        check({l["app"] for l in shop if "app" in l} == {"shop"} and {l["app"] for l in blog if "app" in l} == {"blog"}, shop, blog)
        eq([l["status"] for l in shop if l["event"] == "request"], [200])
        failure = [l for l in blog if l["event"] == "guest-failed"]
        check(len(failure) == 1 and "unreachable" in failure[0]["detail"], blog)
        eq([l["event"] for l in logs(n, "blog", "level=error")], ["guest-failed"])
        eq(logs(n, "shop", f"since_ms={int(time.time() * 1000) + 60_000}"), [])
        eq(ask(n, "/v1/apps/shop/logs?level=loud").status, 422)
        eq(ask(n, "/v1/apps/none/logs").status, 404)
        code, out, error = orlo("logs", "blog", "--level", "error", "--since", "1h", "--state", n.state)
        eq((code, error), (0, ""))
        check(len(out.splitlines()) == 1 and "guest-failed" in out, out)
        eq([json.loads(l)["event"] for l in orlo("logs", "blog", "--level", "error", "--json", "--state", n.state)[1].splitlines()], ["guest-failed"])
        eq(orlo("logs", "blog", "--since", "2100-01-01T00:00:00Z", "--state", n.state)[:2], (0, ""))
        everything = orlo("logs", "blog", "--state", n.state)[1]
        eq(orlo("logs", "blog", "--since", "36500d", "--state", n.state)[1], everything)  # before there was a clock
        for bad in (("--since", "yesterday"), ("--level", "loud"), ("--lines", "-1")):
            eq(orlo("logs", "blog", *bad, "--state", n.state)[0], 64)
        # What a guest floods is bounded, and said.
        eq(n.get("shop", "/flood").status, 200)
        until(lambda: [l for l in logs(n, "shop") if l["event"] == "guest-lines-dropped"])
        check(total(metrics(n), "orlo_log_lines_dropped_total", app="shop") >= 19000, metrics(n))
        # Deleted with the app; and who has its name next finds nothing.
        n.delete("shop")
        eq([f for f in os.listdir(os.path.join(n.state, "logs")) if f.startswith("shop.")], [])
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        eq([l for l in logs(n, "shop") if l["event"] == "request"], [])


def test_logs_followed():
    """Lines come as they are logged, also after control has died and come back (to who asks again), and end with the app."""
    with node() as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        c = Socket(n.state)
        c.request("GET", "/_orlo/v1/apps/shop/logs?follow=true&lines=0")
        r = c.getresponse()
        eq((r.status, r.getheader("content-type")), (200, "application/x-ndjson"))
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(json.loads(l) for l in iter(r.readline, b"")), daemon=True)
        reader.start()
        for i in range(50):
            eq(n.get("shop", f"/{i}").status, 200)
        until(lambda: len([l for l in lines if l["event"] == "request"]) == 50)
        eq(sorted(l["path"] for l in lines if l["event"] == "request"), sorted(f"/{i}" for i in range(50)))
        n.delete("shop")
        reader.join(PATIENCE_S)
        check(not reader.is_alive() and lines[-1]["event"] == "log-ends", lines[-3:])


def test_logs_after_restart():
    state = new_state()
    with node(state=state) as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        n.get("shop", "/first")
        until(lambda: [l for l in logs(n, "shop") if l.get("path") == "/first"])
        n.kill_control()
        until(lambda: try_metrics(n))
        until(lambda: n.get("shop", "/second").status == 200 and [l for l in logs(n, "shop") if l.get("path") == "/second"])
    with node(state=state) as n:
        paths = [l.get("path") for l in logs(n, "shop")]
        check("/first" in paths and "/second" in paths, paths)


# ---- traces --------------------------------------------------------------------------------------------------------------


def varint(b, i):
    v = shift = 0
    while True:
        v |= (b[i] & 127) << shift
        shift += 7
        i += 1
        if b[i - 1] < 128:
            return v, i


def message(b):
    """[(field, value)] of a message of protobuf: numbers, or bytes."""
    out, i = [], 0
    while i < len(b):
        tag, i = varint(b, i)
        if tag & 7 == 0:
            v, i = varint(b, i)
        elif tag & 7 == 1:
            v, i = struct.unpack("<Q", b[i : i + 8])[0], i + 8
        else:
            eq(tag & 7, 2)
            n, i = varint(b, i)
            v, i = b[i : i + n], i + n
        out.append((tag >> 3, v))
    return out


def field(b, number, otherwise=b""):
    return next((v for f, v in message(b) if f == number), otherwise)


def attributes(b, number):
    out = {}
    for f, v in message(b):
        if f == number:
            kind, value = message(field(v, 2))[0]
            out[field(v, 1).decode()] = value.decode() if kind == 1 else value
    return out


def spans_of_protobuf(body):
    for f, resource in message(body):
        eq(f, 1)
        service = attributes(field(resource, 1), 1)
        for f, scope in message(resource):
            for f2, s in message(scope) if f == 2 else ():
                if f2 == 2:
                    yield {"service": service["service.name"], "trace": field(s, 1).hex(), "span": field(s, 2).hex(),
                           "parent": field(s, 4).hex(), "state": field(s, 3).decode(), "name": field(s, 5).decode(),
                           "kind": field(s, 6), "start": field(s, 7), "end": field(s, 8), "attrs": attributes(s, 9),
                           "error": field(field(s, 15), 3, 0) == 2, "message": field(field(s, 15), 2).decode()}


def spans_of_json(body):
    for resource in json.loads(body)["resourceSpans"]:
        service = {a["key"]: a["value"] for a in resource["resource"]["attributes"]}
        for s in (s for scope in resource["scopeSpans"] for s in scope["spans"]):
            attrs = {a["key"]: int(a["value"]["intValue"]) if "intValue" in a["value"] else a["value"]["stringValue"] for a in s["attributes"]}
            yield {"service": service["service.name"]["stringValue"], "trace": s["traceId"], "span": s["spanId"],
                   "parent": s.get("parentSpanId", ""), "state": s.get("traceState", ""), "name": s["name"], "kind": s["kind"],
                   "start": int(s["startTimeUnixNano"]), "end": int(s["endTimeUnixNano"]), "attrs": attrs,
                   "error": s["status"].get("code") == 2, "message": s["status"].get("message", "")}


def check_with_protos(kind, body):
    if not importlib.util.find_spec("opentelemetry.proto") if importlib.util.find_spec("opentelemetry") else True:
        return
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    r = ExportTraceServiceRequest()
    if "json" in kind:
        text = json.loads(body)  # OTLP's identifiers are hexadecimal, which protobuf's own JSON is not
        json_format.Parse(json.dumps({**text, "resourceSpans": []}), r)
    else:
        r.ParseFromString(body)
        check(r.resource_spans and r.SerializeToString() == body, "it is written as others write it")


class Collector(http.server.ThreadingHTTPServer):
    """answer: of a request, (status, fields, body)."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # who asked is gone

    def __init__(self, answer=lambda body: (200, {}, b"")):
        self.spans, self.requests, self.answer = [], [], answer
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def wait(self, count, **attrs):
        got = lambda: [s for s in list(self.spans) if all(s["attrs"].get(k) == v for k, v in attrs.items())]
        until(lambda: len(got()) >= count)
        return got()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status, fields, answer = self.server.answer(body)
        self.server.requests.append((self.path, dict(self.headers)))
        kind = self.headers["content-type"]
        if status == 200:
            check_with_protos(kind, body)
            self.server.spans += spans_of_json(body) if "json" in kind else spans_of_protobuf(body)
        self.send_response(status)
        for k, v in fields.items():
            self.send_header(k, v)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked is gone
            self.wfile.write(answer)

    def do_GET(self):
        self.server.requests.append((self.path, dict(self.headers)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


TRACE, SPAN = "12345678901234567890123456789012", "1234567890123456"


def tree(spans):
    return {s["span"]: s for s in spans}


def test_traces():
    """A request, its function, what it asks of others: one trace, parents before their children, with what the next hop hears."""
    c, upstream = Collector(), Collector()
    port = upstream.server_address[1]
    with node("--otlp", c.url, "--otlp-sample", "1") as n:
        n.deploy("shop", component("fetch"), "--allow-http", "127.0.0.1")
        r = n.get("shop", f"/http?127.0.0.1:{port}", "-H", f"traceparent: 00-{TRACE}-{SPAN}-01", "-H", "tracestate: a=b,c@d=e")
        has(r.text, "status 204")
        spans = c.wait(count=3)
        by = {s["kind"]: s for s in spans}
        server, function, client = by[2], by[1], by[3]
        eq({s["trace"] for s in spans}, {TRACE})
        eq({s["state"] for s in spans}, {"a=b,c@d=e"})
        eq((server["parent"], function["parent"], client["parent"]), (SPAN, server["span"], function["span"]))
        eq({s["service"] for s in spans}, {"shop"})
        check(server["start"] <= function["start"] <= client["start"] <= client["end"] <= server["end"], spans)
        eq((server["attrs"]["http.response.status_code"], server["attrs"]["url.path"]), (200, "/http"))
        eq((client["attrs"]["http.response.status_code"], client["attrs"]["server.address"]), (204, f"127.0.0.1:{port}"))
        head = {k.lower(): v for k, v in upstream.requests[0][1].items()}
        eq((head["traceparent"], head["tracestate"]), (f"00-{TRACE}-{client['span']}-01", "a=b,c@d=e"))
        # Nobody sent one: a trace of its own. One that is not sampled: none, but passed on. Malformed: as if there were none.
        for sent, known in (((), False), (("-H", f"traceparent: 00-{TRACE}-{SPAN}-00"), True), (("-H", f"traceparent: 00-{TRACE}-{SPAN}-01-x"), False),
                            (("-H", f"traceparent: ff-{TRACE}-{SPAN}-01"), False)):
            before = len(upstream.requests)
            n.get("shop", f"/http?127.0.0.1:{port}", *sent)
            until(lambda: len(upstream.requests) > before)
            head = {k.lower(): v for k, v in upstream.requests[before][1].items()}
            eq((head["traceparent"][3:35] == TRACE, "tracestate" in head), (known, False))
        eq(n.get("shop", "/nonsense").status in (200, 500), True)
        failed = c.wait(1, **{"url.path": "/nonsense"})
        until(lambda: total(metrics(n), "orlo_spans_exported_total") >= 12)
        eq(total(metrics(n), "orlo_collector_up"), 1)
        eq(total(metrics(n), "orlo_outgoing_requests_total", app="shop", code="2xx") >= 5, True)


def test_traces_within_an_app():
    """A function that asks another of its app: one trace, the one's request below what the other sent."""
    c = Collector()
    text = """
name = "shop"
[functions.front]
source = "front.wasm"
routes = ["/"]
functions = ["back"]
[functions.back]
source = "back.wasm"
env = { APP = "back" }
"""
    with node("--otlp", c.url, "--otlp-sample", "1") as n:
        files = {"front.wasm": open(component("fetch"), "rb").read(), "back.wasm": open(guest("tenant"), "rb").read()}
        eq(deploy_manifest(n.state, "shop", text, files)["state"], "done")
        has(n.get("shop", "/http?back.internal").text, "status 200")
        until(lambda: len(c.spans) >= 5)
        eq(len({s["trace"] for s in c.spans}), 1)
        by = {(s["kind"], s["name"]): s for s in c.spans}
        chain = [by[k] for k in ((2, "GET front"), (1, "front"), (3, "GET"), (2, "GET back"), (1, "back"))]
        eq([s["parent"] for s in chain], ["", *(s["span"] for s in chain[:-1])])


def test_traces_of_none():
    """Nothing is exported: a trace that comes in goes out as it is, and none begins here."""
    upstream = Collector()
    port = upstream.server_address[1]
    with node() as n:
        n.deploy("shop", component("fetch"), "--allow-http", "127.0.0.1")
        n.get("shop", f"/http?127.0.0.1:{port}", "-H", f"traceparent: 00-{TRACE}-{SPAN}-01")
        n.get("shop", f"/http?127.0.0.1:{port}")
        until(lambda: len(upstream.requests) == 2)
        heads = [{k.lower(): v for k, v in h.items()} for _, h in upstream.requests]
        eq(heads[0]["traceparent"], f"00-{TRACE}-{SPAN}-01")
        check("traceparent" not in heads[1], heads[1])
        eq(n.processes("courier"), [])


def test_sampling():
    c = Collector()
    with node("--otlp", c.url, "--otlp-sample", "0") as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        for _ in range(20):
            n.get("shop")
        n.get("shop", "/asked", "-H", f"traceparent: 00-{TRACE}-{SPAN}-01")
        c.wait(count=2)
        eq({s["trace"] for s in c.spans}, {TRACE})
    for bad in ("2", "-1", "x", "101%"):
        code, _, error = orlo("serve", guest("tenant"), "--otlp-sample", bad)
        eq(code, 64)
    eq(orlo("serve", guest("tenant"), "--otlp", "ftp://x")[0], 64)


def test_collector_is_down():
    """Nobody waits for it, what is too much is dropped and counted, and once it is there it gets what is left."""
    answers = [503] * 2
    c = Collector(lambda body: (answers.pop() if answers else 200, {"retry-after": "1"}, b""))
    with node("--otlp", c.url, "--otlp-sample", "1") as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        eq(n.get("shop").status, 200)
        n.wait_event("collector-refuses")
        eq(total(metrics(n), "orlo_collector_up"), 0)
        c.wait(count=2)
        n.wait_event("collector-answers")
        until(lambda: total(metrics(n), "orlo_spans_exported_total") >= 2)
        # It rejects some, and says so: protobuf's partial_success.
        c.answer = lambda body: (200, {}, b"\x0a\x02\x08\x01")
        eq(n.get("shop").status, 200)
        until(lambda: total(metrics(n), "orlo_spans_lost_total") == 1)
        # It takes nothing, ever.
        c.answer = lambda body: (400, {}, b"")
        eq(n.get("shop").status, 200)
        until(lambda: total(metrics(n), "orlo_spans_lost_total") == 3)


def test_courier_dies():
    c = Collector()
    with node("--otlp", c.url, "--otlp-sample", "1", "--workers", "1") as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        eq(n.get("shop", "/1").status, 200)
        c.wait(1, **{"url.path": "/1"})
        processes.kill(n.role("courier"))
        n.wait_event("role-died")

        def again():
            eq(n.get("shop", "/2").status, 200)
            return [s for s in list(c.spans) if s["attrs"].get("url.path") == "/2"]

        until(again)


def test_operators_file():
    """Where traces go and what standard error gets, as the file says; and when it says otherwise, the other collector gets what comes then."""
    one, other = Collector(), Collector()
    state = new_state()
    path = os.path.join(WORK, f"observe-{os.path.basename(state)}.toml")

    def write(c):
        with open(path, "w") as f:
            f.write(f'workers = 1\n[logs]\nstderr = false\n[otlp]\nendpoint = "{c.url}"\nsample = 1.0\nformat = "json"\nheaders = {{ "x-key" = "secret" }}\n')

    write(one)
    with node("--config", path, state=state) as n:
        n.deploy("shop", guest("tenant"), "--env", "APP=shop")
        eq(n.get("shop", "/one").status, 200)
        one.wait(1, **{"url.path": "/one"})
        head = {k.lower(): v for k, v in one.requests[0][1].items()}
        eq((head["x-key"], head["content-type"]), ("secret", "application/json"))
        until(lambda: [l for l in logs(n, "shop") if l.get("path") == "/one"])
        eq([e for e in n.events("request")], [])
        write(other)
        eq(orlo("reload", "--state", state)[0], 0)

        def arrives():
            eq(n.get("shop", "/other").status, 200)
            return [s for s in list(other.spans) if s["attrs"].get("url.path") == "/other"]

        until(arrives)


if __name__ == "__main__":
    run(globals())
