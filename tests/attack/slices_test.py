"""Slices: no single call, whatever size a guest gives it, keeps others from their turn or outlives its deadline; and each host function
that is given a size says what bounds it."""
import glob, select
from harness import *
from memory_test import CORE, PREVIEW1, leb, leb64, section, sized
import memory_test

GUEST = os.path.join(ROOT, "tests", "guests", "slices.wasm")


def ask(s, path, body_too=False):
    more = b"Content-Length: 10\r\n" if body_too else b""  # and nothing of it is sent
    return raw(s.port, f"{'POST' if body_too else 'GET'} {path} HTTP/1.1\r\nHost: attacker\r\nConnection: close\r\n".encode() + more + b"\r\n", 120)


def status_of(answer):
    found = re.match(rb"HTTP/1\.1 (\d+) ", answer)
    return int(found.group(1)) if found else answer[:100]


def ends(wasm, paths, status, **about):
    """Each path is one call that would go on for ever, or for long: it ends with this status, and meanwhile others are answered."""
    with serving(wasm, "--workers", "1", "--timeout", "1s", "--no-access-log") as s:
        for path in paths:
            with attacked(s, **about) as by:
                before = by.asked
                eq((path, status_of(ask(s, path, body_too="poll" in path))), (path, status))
                check(by.asked > before, path, "nobody else was answered meanwhile")


# ---- calls that end only by the deadline -----------------------------------------------------------------------------------


def test_endless_calls_02():
    ends(GUEST, ["/zeroes", "/has?32", "/random?8", "/poll?400000"], 504, grows_kib=64 << 10)


def test_endless_calls_p1():
    ends(guest("slices1"), ["/flood?64", "/poll?1", "/random?64", "/fill?64", "/loop?1"], 504, grows_kib=64 << 10)


def test_sixteen_loops():
    """They take turns with each other, and who needs little goes first."""
    with serving(guest("slices1"), "--workers", "1", "--timeout", "5s") as s:
        with attacked(s) as by:
            loops = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(16)]
            for c in loops:
                c.sendall(b"GET /loop HTTP/1.1\r\nHost: attacker\r\nConnection: close\r\n\r\n")
            select.select(loops, [], [], 60)  # until the first deadline
            check(by.asked >= 20, by.asked)
            for c in loops:
                c.settimeout(60)
                eq(c.recv(12), b"HTTP/1.1 504")
                c.close()


# ---- calls that end ----------------------------------------------------------------------------------------------------


def test_what_is_too_large_is_refused_unread():
    ends(GUEST, ["/append?64"], 500, grows_kib=64 << 10)


def test_lines_are_counted():
    with serving(GUEST, "--workers", "1", "--timeout", "30s", "--no-access-log") as s:
        with attacked(s, grows_kib=64 << 10):
            eq(status_of(ask(s, "/lines?32")), 200)
        eq(s.wait_event("guest-lines-dropped")["lines"], (32 << 20) - 1000)


def test_log_bytes_are_limited():
    """Control characters: six bytes of the log for each."""
    with serving(guest("slices1"), "--workers", "1", "--timeout", "30s", "--no-access-log") as s:
        with attacked(s, grows_kib=64 << 10):
            before = len(s.text)
            eq(status_of(ask(s, "/control")), 200)
        dropped = s.wait_event("guest-lines-dropped")["lines"]
        check(len(s.text) - before < 600 << 10, len(s.text) - before)
        eq(dropped, 1000 - len(s.events("guest")))


def test_many_handles():
    """Tens of thousands of objects are let go of when the guest ends: in steps, between which others are answered."""
    with serving(GUEST, "--workers", "1", "--no-access-log") as s:
        with attacked(s, grows_kib=8 << 10):
            for _ in range(8):
                eq(status_of(ask(s, "/handles?60000")), 200)


# ---- traps and starts ----------------------------------------------------------------------------------------------------------


def recursive_giant(loads, depth):
    """A function with so many places that may trap, called so deep; then it traps."""
    junk = b"\x20\0\x28\2\0\x1a" * loads  # i32.load of the parameter, dropped
    deep = (b"\0" + b"\x20\0\x45\4\x40\0\x0b"  # 0: unreachable
            + b"\x20\0\x41" + leb64(123456789) + b"\x46\4\x40" + junk + b"\x0b"
            + b"\x20\0\x41\1\x6b\x10\0\x20\0\x1a" + b"\x0b")
    start = b"\0\x41" + leb64(depth) + b"\x10\0\x0b"
    return (CORE + section(1, [b"\x60\1\x7f\0", b"\x60\0\0"]) + section(3, [b"\0", b"\1"]) + section(5, [b"\0\1"]) +
            section(7, [memory_test.name("_start") + b"\0\1", memory_test.name("memory") + b"\2\0"]) + section(10, [sized(deep), sized(start)]))


def test_trap_in_a_giant_function():
    """Its backtrace has all the frames there is room for (what it costs is counted in abi/sites and shown by ./dev bench hostile)."""
    with serving(file_of("giant.wasm", recursive_giant(300_000, 2000)), "--workers", "1") as s:
        with attacked(s, status=500):
            eq(status_of(ask(s, "/")), 500)
        failed = s.wait_event("guest-failed")
        eq(failed["detail"], "unreachable")
        eq(failed["backtrace"].count("func[0]"), 64)


def test_start_that_never_ends():
    start = b"\0\3\x40\x0c\0\x0b\x0b"  # loop: br 0
    wasm = (CORE + section(1, [b"\x60\4\x7f\x7f\x7f\x7f\1\x7f", b"\x60\0\0"]) + section(2, [memory_test.name(PREVIEW1) + memory_test.name("fd_write") + b"\0\0"]) +
            section(3, [b"\1", b"\1"]) + section(5, [b"\0\1"]) + section(7, [memory_test.name("_start") + b"\0\2", memory_test.name("memory") + b"\2\0"]) +
            b"\x08" + sized(leb(1)) + section(10, [sized(start), sized(b"\0\x0b")]))
    with serving(file_of("loopstart.wasm", wasm), "--workers", "1", "--timeout", "1s") as s:
        with attacked(s, status=504):
            eq(status_of(ask(s, "/")), 504)


# ---- every host function that is given a size -----------------------------------------------------------------------------------

# functions: the file and the function of it that bounds what they do, and what must be said there
BOUNDS = [
    (r"wasi_io_poll_poll", "wasi/p2/io.c", "collect_ready", "host_work("),
    (r"wasi3?_random_\w+_bytes", "wasi/sys.c", "wasi_sys_random", "engine_work("),
    (r"wasi_io_streams_input_stream_(blocking_)?read", "wasi/p2/io.c", "read_stream", "STREAM_BYTES_MAX"),
    (r"wasi_io_streams_input_stream_(blocking_)?skip", "wasi/p2/io.c", "skip_stream", "sizeof scratch"),
    (r"wasi_io_streams_output_stream_(write|write_zeroes)", "wasi/p2/io.c", "check", "STREAM_BYTES_MAX"),
    (r"wasi_io_streams_output_stream_blocking_write(_zeroes)?_and_flush", "wasi/p2/io.c", "write_all", "host_work("),
    (r"wasi_io_streams_output_stream_(blocking_)?splice", "wasi/p2/io.c", "splice_streams", "STREAM_BYTES_MAX"),
    (r"wasi3?_http_types_fields_(from_list|set|append)", "wasi/http/fields.c", "wasi_http_fields_judge", "FIELDS_MAX"),
    (r"wasi3?_http_types_fields_(delete|get|has|get_and_delete)", "wasi/http/fields.c", "reserve", "FIELDS_MAX"),  # names are compared by length first
    (r"wasi_http_types_outgoing_request_set_(method|scheme)", "wasi/p2/fetch.c", "wasi_http_types_outgoing_request_set_method", "text.n > 64 ||"),
    (r"wasi3_http_types_request_set_(method|scheme)", "wasi/p3/http.c", "wasi3_http_types_request_set_method", "text.n > TOKEN_BYTES_MAX ||"),
    (r"wasi3?_http_types_(outgoing_)?request_set_(path_with_query|authority)", "wasi/http/outgoing.c", "wasi_uri_part_ok", "URI_BYTES_MAX"),
    (r"wasi_filesystem_types_descriptor_write", "wasi/fs/file.c", "wasi_fs_run_all", "engine_work("),
    (r"wasi3?_filesystem_types_descriptor_\w+_at", "wasi/fs/fs.c", "to_path", "ENAMETOOLONG"),
    (r"wasi_sockets_udp_outgoing_datagram_stream_send", "wasi/p2/udp.c", "wasi_sockets_udp_outgoing_datagram_stream_send", "permit"),
    (r"wasi_sockets_udp_incoming_datagram_stream_receive", "wasi/p2/udp.c", "wasi_sockets_udp_incoming_datagram_stream_receive", "MIN("),
    (r"wasi3_sockets_types_udp_socket_send", "wasi/sock/udp.c", "wasi_sock_udp_send", "NET_SOCK_DATAGRAM_MAX"),
    (r"wasi3?_sockets_ip_name_lookup_resolve_addresses", "net/name.c", "net_name_ascii", "NAME_BYTES_MAX"),
    (r"read of a file", "wasi/p2/fs_io.c", "wasi_filesystem_types_descriptor_read", "FS_SLICE_BYTES"),
    # what values themselves cost: strings and lists of any of these
    (r"lift a string", "host/string.c", "lift_utf8", "host_work("),
    (r"lift a string in UTF-16", "host/string.c", "lift_utf16_check", "host_work("),
    (r"lift a string as UTF-8", "host/string.c", "to_utf8", "worked("),
    (r"lower a string", "host/string.c", "copy", "host_copy("),
    (r"lower a string as UTF-8", "host/string.c", "to_guest_utf8", "worked("),
    (r"lower a string as UTF-16", "host/string.c", "rest_as_utf16", "worked("),
    (r"lower a string as Latin-1", "host/string.c", "to_guest_latin1", "worked("),
    (r"lower a string, widened", "host/string.c", "widen", "worked("),
    (r"lower a string, narrowed", "host/string.c", "probably_utf16", "worked("),
    (r"lift a list", "host/lift.c", "load_elements", "host_work("),
    (r"lower a list", "host/lower.c", "store_elements", "host_work("),
    (r"copy a list of numbers", "host/lower.c", "lower_list", "host_copy("),
    (r"a stream's meeting", "host/stream.c", "most", "MEETING_BYTES_MAX"),
    (r"a stream's drain", "wasi/p3/stream.c", "drain_run", "DRAIN_BYTES_MAX"),
    # preview 1
    (r"wasi_p1_(args|environ)_(get|sizes_get)", None, None, None),  # sizes are the operator's, and a head's
    (r"wasi_p1_fd_(read|pread|pwrite)", "wasi/fs/file.c", "wasi_fs_run_all", "engine_work("),
    (r"wasi_p1_fd_write", "wasi/p1/fd.c", "write_standard", "engine_work("),
    (r"wasi_p1_fd_readdir", "wasi/p1/fd.c", "wasi_p1_fd_readdir", "engine_work("),
    (r"wasi_p1_fd_prestat_dir_name", "wasi/p1/fd.c", "wasi_p1_fd_prestat_dir_name", "d->preopen.n"),
    (r"wasi_p1_path_\w+", "wasi/fs/fs.c", "to_path", "ENAMETOOLONG"),
    (r"wasi_p1_poll_oneoff", "wasi/p1/poll.c", "collect", "engine_work("),
    (r"wasi_p1_random_get", "wasi/sys.c", "wasi_sys_random", "engine_work("),
    (r"wasi_p1_sock_\w+", "wasi/p1/misc.c", "not_a_socket", "ENOTSOCK"),
    (r"wasi_p1_(clock_\w+|proc_\w+|sched_yield|fd_(advise|allocate|close|datasync|sync|fdstat_\w+|filestat_\w+|prestat_get|renumber|seek|tell))", None, None, None),
    # the engine's runtime calls
    (r"rt_MEMORY_(COPY|INIT)", "engine/fiber.c", "engine_copy", "engine_work("),
    (r"rt_MEMORY_FILL", "engine/rtcall.c", "rt_MEMORY_FILL", "engine_work("),
    (r"rt_DATA_RUN", "engine/rtcall.c", "rt_DATA_RUN", "engine_work("),
    (r"rt_TABLE_GROW", "engine/rtcall.c", "fill_table", "engine_work("),
    (r"rt_TABLE_(FILL)", "engine/rtcall.c", "rt_TABLE_FILL", "engine_work("),
    (r"rt_TABLE_(COPY)", "engine/rtcall.c", "rt_TABLE_COPY", "engine_work("),
    (r"rt_TABLE_(INIT)", "engine/rtcall.c", "rt_TABLE_INIT", "engine_work("),
    (r"rt_ARRAY_NEW(_DEFAULT|_DATA|_ELEM)?", "engine/heap.c", "clear_large", "engine_work("),
    (r"rt_ARRAY_FILL", "engine/rt_gc.c", "fill", "engine_work("),
    (r"rt_ARRAY_COPY", "engine/rt_gc.c", "rt_ARRAY_COPY", "engine_work("),
    (r"rt_ARRAY_INIT_DATA", "engine/rt_gc.c", "copy_data", "engine_work("),
    (r"rt_ARRAY_INIT_ELEM", "engine/rt_gc.c", "copy_elems", "engine_work("),
    (r"rt_MEMORY_GROW", None, None, None),  # the kernel gives access; nothing is touched
    (r"a collection", "engine/collect.c", "worked", "engine_work("),
]
SIZED = re.compile(r"\bstr \w+$|\w+_list_\w+ \w+$|option_string \*|_(method|scheme) \*|uint64_t (len|length|max_len|count|max_results)$|field_(key|name|value) \w+$")


def source(path):
    with open(os.path.join(ROOT, "src", path), encoding="utf-8") as f:
        return f.read()


def body_of(path, function):
    """From its name to the brace that closes it."""
    found = re.search(rf"^(?:\w[^\n;]*[ *])?{re.escape(function)}\([^;{{]*\{{(?:[^\n]*\}}$|\n.*?^\}})", source(path), re.M | re.S)
    check(found, f"src/{path} has no function {function}")
    return found.group(0)


def functions_with_sizes():
    """Those that `wit` made the declarations of, preview 1's, the runtime's."""
    headers = glob.glob(os.path.join(os.path.dirname(ORLO), "src", "wasi", "wasi_p[23].h"))
    if len(headers) != 2:
        raise Skip("needs the build folder")
    for header in headers:
        with open(header, encoding="utf-8") as f:
            text = f.read()
        for function, params in re.findall(r"^enum abi_trap (\w+)\(struct host_call \*call,?\s*([^;]*)\);", text, re.M):
            params = [p.strip() for p in re.sub(r"\s+", " ", params).split(",")]
            if any(SIZED.search(p) for p in params if "*result" not in p and "host_export" not in p):
                yield function
    for function in re.findall(r"^X\((\w+),", source("wasi/p1/p1.def"), re.M):
        yield "wasi_p1_" + function
    for function, params in re.findall(r'^X\((\w+), "([^"]*)"', source("abi/rtcall.def"), re.M):
        if re.search(r"\bl (n|delta_pages)\b|\bi n\b", params):
            yield "rt_" + function


def test_every_size_is_bounded():
    functions = list(functions_with_sizes())
    check(len(functions) > 100, len(functions))
    unknown = [f for f in functions if not any(re.fullmatch(b[0], f) for b in BOUNDS)]
    check(not unknown, "functions that are given a size, of which tests/attack/slices_test.py does not say what bounds it:", unknown)
    idle = [b[0] for b in BOUNDS if re.match(r"wasi|rt_", b[0]) and not any(re.fullmatch(b[0], f) for f in functions)]
    check(not idle, "rows for functions that are not there:", idle)
    for row, path, function, words in BOUNDS:
        if path:
            check(words in body_of(path, function), f"{row}: {function} in src/{path} has no {words}")
