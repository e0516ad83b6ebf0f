"""What every attack relies on: that harm done to a server is seen."""
from harness import *

HELLO = os.path.join(ROOT, "examples", "hello", "hello.wasm")


def noticed(s, harm):
    """What attacked() says of this harm."""
    try:
        with attacked(s):
            harm()
    except AssertionError as e:
        return str(e)
    raise AssertionError("it was not noticed")


def test_attacked_is_content():
    with serving(HELLO, "--workers", "1") as s:
        with attacked(s) as by:
            for _ in range(100):
                eq(raw(s.port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[:15], b"HTTP/1.1 200 OK")
        check(by.asked >= 12, by.asked)


def test_attacked_notices_a_death():
    with serving(HELLO, "--workers", "1") as s:
        def kill():
            processes.kill(s.role("worker"))
            s.wait_event("worker-died")
        has(noticed(s, kill), "worker-died")


def test_attacked_notices_silence():
    with serving(HELLO, "--workers", "1") as s:
        worker = s.workers()[0]
        try:
            with processes.stopped(worker, may_end=True), attacked(s, timeout_s=2) as by:
                by.enough.wait(4)  # short: twice what the bystander bears
        except AssertionError as e:
            check("not answered" in str(e) or "worker-" in str(e), str(e))
        else:
            raise AssertionError("it was not noticed")


def test_reports_are_read():
    lines = ["a", "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x611 at pc 0x1", "    #0 0x55b2947015fb  (/nowhere/orlo+0xf485fb)"]
    eq(sanitize.report_in("\n".join(lines)), "\n".join(lines[1:]))
    eq(sanitize.report_in("x.c:3:4: runtime error: shift exponent 64"), "x.c:3:4: runtime error: shift exponent 64")
    eq(sanitize.report_in("all is well"), None)
