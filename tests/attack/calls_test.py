"""What random calls of wasi:http found (tests/fuzz/calls.py), each as a program for tests/guests/calls."""
from harness import *

CALLS = os.path.join(ROOT, "tests", "guests", "calls")
FIELDS = ("[constructor]fields",)


def asked(s, n, *calls):
    """What comes of these calls with these operands (0: the newest handle, or none); that may be a failure, but not of the worker."""
    with open(os.path.join(CALLS, f"calls{n}.json")) as f:
        ops = {name: i for i, name in enumerate(json.load(f))}
    program = bytes(b for name, *operands in calls for b in (ops[name], *operands))
    return raw(s.port, f"GET /p?1.{program.hex()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def calls_served(n):
    return serving(os.path.join(CALLS, f"calls{n}.wasm"), "--workers", "1")


def test_calls_set_of_nothing():
    """Setting a field to no values, where there were none, moved no bytes from nowhere to nowhere."""
    for n in (2, 3):
        with calls_served(n) as s, attacked(s):
            has(asked(s, n, FIELDS, ("[method]fields.set", 0, 2, 0), ("[method]fields.delete", 0, 2), ("[resource-drop]fields", 0)), b"HTTP/1.1 500 ")


def test_calls_waits_give_memory_back():
    """16,000 calls that wait at once had 16 KiB each, scattered among what lives on: the worker stayed as large as it was then."""
    wait = ("wait-for", 255)
    with calls_served(3) as s, attacked(s, grows_kib=16 << 10):
        for _ in range(3):
            has(asked(s, 3, wait, ("again", len(wait), 255)), b"HTTP/1.1 500 ")
