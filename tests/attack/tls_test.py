"""Outgoing TLS through the whole program, from inside a worker's sandbox: whom it trusts, and whom it does not."""
import ssl
from harness import *

FETCH = [os.path.join(ROOT, "tests", "guests", n) for n in ("fetch.wasm", "fetch3.wasm")]


def certificate(name, alternatives):
    """(certificate, key): self-signed, for these names."""
    if not shutil.which("openssl"):
        raise Skip("needs openssl")
    cert, key = os.path.join(WORK, name + ".pem"), os.path.join(WORK, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=" + name, "-addext", "subjectAltName=" + alternatives, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@contextlib.contextmanager
def tls_server(cert, key, version=None):
    """Answers 204; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if version:
        context.minimum_version = context.maximum_version = version

    def serve(c):
        with contextlib.suppress(OSError):
            with context.wrap_socket(c, server_side=True) as t:
                t.recv(65536)
                t.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as s:
        threading.Thread(target=accept, daemon=True).start()
        yield s.getsockname()[1]
        s.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def trusting(path):
    os.environ["SSL_CERT_FILE"] = path
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]


def asked(wasm, host, port, trust):
    """What the guest says, and how the log calls a failure."""
    with trusting(trust), serving(wasm, "--allow-http", host, "--allow-http", "127.0.0.1", "--workers", "1") as s:
        text = curl(f"{s.url}/https?{host}:{port}").text
        return text, s.wait_event("outgoing-request-failed")["error"] if text.startswith("failed") else None


def test_tls_trust():
    """The operator's own authority, for the very name or address; nobody else, and no other name."""
    named, key = certificate("named", "DNS:localhost")
    literal, literal_key = certificate("literal", "IP:127.0.0.1")
    other, _ = certificate("other", "DNS:localhost")
    for wasm in FETCH:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with tls_server(named, key, version=version) as port:
                text, why = asked(wasm, "localhost", port, named)
                eq((text, why), ("status 204\n", None))
        with tls_server(named, key) as port:
            eq(asked(wasm, "localhost", port, other)[1], "TLS-certificate-error")
            eq(asked(wasm, "127.0.0.1", port, named)[1], "TLS-certificate-error")  # its certificate names no address
        with tls_server(literal, literal_key) as port:
            text, why = asked(wasm, "127.0.0.1", port, literal)
            eq((text, why), ("status 204\n", None))
            eq(asked(wasm, "localhost", port, literal)[1], "TLS-certificate-error")

