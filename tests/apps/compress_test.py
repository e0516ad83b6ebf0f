"""Compression of answers: who takes it gets it, by his own weights; what is not to be changed is not; what streams is not held back; and what is large is made as it is taken."""
import http.client, urllib.parse

from harness import *
from nodes import *

MANIFEST = """name = "APP"
[functions.f]
source = "answer.wasm"
routes = ["/"]
"""


def query(**said):
    """Of answer.c: h may be a list; `_` in a name is nothing."""
    return "/?" + "&".join(f"{k}={urllib.parse.quote(str(v), safe='')}" for k, values in said.items() for v in (values if isinstance(values, list) else [values]))


def folder_of(app, more="", files=None):
    folder = tempfile.mkdtemp(prefix="app-", dir=WORK)
    shutil.copy(guest("answer"), os.path.join(folder, "answer.wasm"))
    with open(os.path.join(folder, "orlo.toml"), "w", encoding="utf-8") as f:
        f.write(MANIFEST.replace("APP", app) + more)
    for name, data in (files or {}).items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    return folder


# (what who asks takes, what the answer is like, the coding that it has)
WHO = [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("gzip, deflate, br", "br"), ("gzip, deflate, br, zstd", "zstd"), ("*", "zstd"), ("br;q=0.1, gzip", "gzip"),
       ("identity", None), ("deflate", None), ("gzip;q=0", None), ("identity;q=0", None), ("", None), ("gzip;q=x", None)]
LARGE = {"n": 20000}
WHAT = [  # asked for with gzip
    ("small", {"n": 900, "h": "Content-Length: 920"}, None), ("just enough", {"n": 1004, "h": "Content-Length: 1024"}, "gzip"), ("json", {"n": 5000, "h": "Content-Type: application/json"}, "gzip"),
    ("problem", {"n": 5000, "s": 404, "h": "Content-Type: application/problem+json"}, "gzip"), ("picture", {**LARGE, "h": "Content-Type: image/png"}, None),
    ("named in the manifest", {**LARGE, "h": "Content-Type: model/x"}, "gzip"), ("coded", {**LARGE, "h": "Content-Encoding: br"}, None),
    ("not to be changed", {**LARGE, "h": "Cache-Control: public, no-transform"}, None), ("a part", {**LARGE, "s": 206, "h": "Content-Range: bytes 0-9/10"}, None),
    ("digest", {**LARGE, "h": "Repr-Digest: sha-256=:AA:"}, None),
]


def test_compress_who_and_what():
    with node("--workers", "1") as n:
        for app, more in (("on", '[compress]\ntypes = ["model/"]\n'), ("off", "[compress]\nenabled = false\n")):
            code, out, error = orlo("deploy", folder_of(app, more), "--state", n.state, timeout=120)
            check(code == 0, code, out, error)
        for said, coding in WHO:
            for http2 in ((), ("--http2-prior-knowledge",)):
                a = n.get("on", query(**LARGE, h='ETag: "v"'), "-H", f"Accept-Encoding: {said}", *http2)
                eq((said, a.status, a.fields.get("content-encoding"), a.fields.get("vary"), a.fields["etag"]),
                   (said, 200, coding, coding and "accept-encoding", 'W/"v"' if coding else '"v"'))
                check(len(a.body) < 3000 if coding else len(a.body) > 20000, said, len(a.body))
                plain = n.get("on", query(**LARGE), "-H", f"Accept-Encoding: {said}", "--compressed", *http2)
                check(plain.text.startswith("run ") and plain.text.rstrip().count("\n") > 100 and 20000 < len(plain.body) < 20100, said, plain.text[:99])
            eq(n.get("off", query(**LARGE), "-H", f"Accept-Encoding: {said}").fields.get("content-encoding"), None)
        for what, said, coding in WHAT:
            a = n.get("on", query(**said), "-H", "Accept-Encoding: gzip")
            eq((what, a.fields.get("content-encoding") if coding or what != "coded" else None), (what, coding))
            if what == "coded":
                eq(a.fields["content-encoding"], "br")
                check(a.text.startswith("run "), a.text[:50])
        # A part is of the bytes as they are; who has what was compressed is told that it is still so; a head says what the whole would.
        eq(n.get("on", query(**LARGE), "-H", "Accept-Encoding: gzip", "-H", "Range: bytes=0-10").fields.get("content-encoding"), None)
        same = n.get("on", query(s=304, h='ETag: "v"'), "-H", "Accept-Encoding: gzip", "-H", 'If-None-Match: W/"v"')
        eq((same.status, same.fields["etag"], same.fields["vary"], same.body), (304, 'W/"v"', "accept-encoding", b""))
        eq(n.get("on", query(s=304, h='ETag: "v"'), "-H", "Accept-Encoding: gzip", "-H", 'If-None-Match: "v"').fields["etag"], '"v"')
        head = n.get("on", query(h=["Content-Length: 20000", 'ETag: "v"']), "-I", "-H", "Accept-Encoding: gzip")
        eq((head.fields.get("content-encoding"), head.fields.get("content-length"), head.fields["etag"]), ("gzip", None, 'W/"v"'))
        # A failure behind the head is seen; one before it was sent is a page of ours.
        check(n.get("on", query(t=1, n=0), "-H", "Accept-Encoding: gzip").status == 500)


def test_compress_streams():
    """Events are there when they are said; a client that does not read holds what is made for it, and nobody else."""
    with node("--workers", "1") as n:
        code, out, error = orlo("deploy", folder_of("a"), "--state", n.state, timeout=120)
        check(code == 0, code, out, error)
        import zlib
        conn = http.client.HTTPConnection("127.0.0.1", n.port, timeout=PATIENCE_S)
        conn.request("GET", query(h="Content-Type: text/event-stream", e="5.300"), headers={"Host": "a.localhost", "Accept-Encoding": "gzip"})
        answer, plain, got = conn.getresponse(), zlib.decompressobj(31), b""
        eq(answer.getheader("content-encoding"), "gzip")
        turns = 0  # what came by itself: each event is one, as the guest waits behind it
        while piece := answer.read1(65536):
            turns += 1
            got += plain.decompress(piece)
        check(got.endswith(b"data: 4\n\n") and plain.eof and turns >= 5, turns, got)
        # 200 MB for who reads nothing of it at first: the node makes no more than there is room for.
        slow = socket.create_connection(("127.0.0.1", n.port), timeout=PATIENCE_S)
        slow.sendall(b"GET " + query(n=200 << 20).encode() + b" HTTP/1.1\r\nHost: a.localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
        for _ in range(20):
            eq(n.get("a", query(n=50000), "-H", "Accept-Encoding: zstd").status, 200)
        kib = n.resident_kib()
        check(kib is None or SANITIZED or kib < 100 << 10, kib)
        out, plain, total = b"", zlib.decompressobj(31), 0
        while b"\r\n\r\n" not in out:
            out += slow.recv(65536)
        reader = http.client.HTTPResponse(slow)
        out = out.partition(b"\r\n\r\n")[2]
        while True:  # chunks, taken apart by hand
            while b"\r\n" not in out:
                out += slow.recv(65536)
            size, _, out = out.partition(b"\r\n")
            size = int(size, 16)
            while len(out) < size + 2:
                out += slow.recv(65536)
            total += len(plain.decompress(out[:size]))
            out = out[size + 2 :]
            if not size:
                break
        check(plain.eof and total > 200 << 20, total)
        slow.close()


def test_compress_files_and_uploads():
    """Static files, small and large, whole and in parts; a bomb that is uploaded stays what it is."""
    text = b"all work and no play makes jack a dull boy\n" * 5000
    with node("--workers", "1") as n:
        more = '[[files]]\nroute = "/public"\nfolder = "public"\n'
        files = {"public/a.txt": text, "public/small.txt": text[:100], "public/b.js": text[:5000], "public/b.js.br": b"\x8b\x02\x80precompressed\x03", "public/c.png": text}
        code, out, error = orlo("deploy", folder_of("a", more, files), "--state", n.state, timeout=120)
        check(code == 0, code, out, error)
        for name, coding in (("a.txt", "gzip"), ("small.txt", None), ("b.js", "gzip"), ("c.png", None)):
            a = n.get("a", "/public/" + name, "-H", "Accept-Encoding: gzip", "--compressed")
            eq((name, a.status, a.fields.get("content-encoding"), a.body), (name, 200, coding, files["public/" + name]))
            same = n.get("a", "/public/" + name, "-H", "Accept-Encoding: gzip", "-H", "If-None-Match: " + a.fields["etag"])
            eq((same.status, same.fields["etag"]), (304, a.fields["etag"]))
            head = n.get("a", "/public/" + name, "-I", "-H", "Accept-Encoding: gzip")
            eq((name, head.fields.get("content-encoding"), head.fields["etag"]), (name, coding, a.fields["etag"]))
        eq(n.get("a", "/public/b.js", "-H", "Accept-Encoding: br").body, files["public/b.js.br"])  # never twice
        part = n.get("a", "/public/a.txt", "-H", "Accept-Encoding: gzip", "-H", "Range: bytes=5-9")
        eq((part.status, part.body, part.fields.get("content-encoding")), (206, text[5:10], None))
        import gzip
        bomb = gzip.compress(bytes(64 << 20))
        check(len(bomb) < 100000)
        a = n.get("a", query(p=["CONTENT_LENGTH", "/CONTENT_LENGTH"]), "-H", "Content-Encoding: gzip", data=bomb)
        has(a.text, f"/CONTENT_LENGTH={len(bomb)}\n") if "/CONTENT_LENGTH=" in a.text else eq(a.status, 200)
        kib = n.resident_kib()
        check(kib is None or SANITIZED or kib < 60 << 10, kib)
