"""What docs/security.md says and no other test holds."""
from harness import *


def test_no_proxy_from_the_environment():
    """Whoever set http_proxy for the operator's shell did not speak of guests' requests."""
    asked, said = [], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

    def answer(listener, name):
        while True:
            c, _ = listener.accept()
            asked.append(name)
            c.recv(65536)
            c.sendall(said)
            c.close()
    upstream, proxy = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    for listener, name in ((upstream, "upstream"), (proxy, "proxy")):
        threading.Thread(target=answer, args=(listener, name), daemon=True).start()
    at, by = upstream.getsockname()[1], f"http://127.0.0.1:{proxy.getsockname()[1]}"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    before = {n: os.environ.get(n) for n in names}
    os.environ.update({n: by for n in names})
    try:
        for n in (2, 3):
            with serving(os.path.join(ROOT, "tests", "guests", "calls", f"calls{n}.wasm"), "--workers", "1", "--allow-http", f"127.0.0.1:{at}") as s:
                eq(curl(s.url + f"/proxy?{at}", "--noproxy", "*", data=b"x").text, "ok")
    finally:
        for n in names:
            os.environ.pop(n)
            os.environ.update({n: before[n]} if before[n] is not None else {})
    eq(asked, ["upstream", "upstream"])


def test_clients_have_deadlines():
    """A head that never ends, a body that stops, a connection that says nothing more: each is closed by the server."""
    says = {b"GET / HTTP/1.1\r\nHost:": "header", b"": "idle", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n": "idle",
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc": "body"}
    for said, which in says.items():
        long = {f"--{n}-timeout": "10m" for n in ("header", "body", "idle")}
        long[f"--{which}-timeout"] = "1s"
        if not said:  # no byte of a head has come: it is the head that is waited for
            long["--header-timeout"] = "1s"
        with serving(guest("cgi"), "--workers", "1", *[x for pair in long.items() for x in pair]) as s, attacked(s):
            raw(s.port, said, 60)
