#!/usr/bin/env python3
"""Holds the call graph of the rooms that work on what guests choose against the tables below, as gcc sees it (-fcallgraph-info).

1. Every cycle is listed, with the depth that bounds it and who checks that; its frames times that depth fit the stack it runs on.
2. Whoever tells host code of something (a callback of the table TOLD) is where nothing can be taken away from under a caller: no public
   function of host and net gets there, but those that say so.
3. Every other call through a pointer in host, app, wasi and net is known: of which functions, or why it leads nowhere.

Usage: tests/callgraph.py [BUILD], whose compile_commands.json says how the files are compiled. Prints 'N passed, N failed, N skipped'.
"""
import collections, concurrent.futures, json, os, re, shlex, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build"))
# rooms: what is left of the stack for one cycle. A fiber's: half of what host code finds (abi.h); a job's main thread.
ROOM = {"host": 128 << 10, "app": 128 << 10, "wasi": 128 << 10, "net": 1 << 20, "webauthn": 128 << 10, "component": 4 << 20, "link": 4 << 20, "node": 4 << 20}

KNOWN = ("host", "app", "wasi", "net")  # where every call through a pointer is

LAYERS = "a stream is over another: an upgrade's, TLS, a socket"
TYPES, SCOPES = "component/types.c: CMAX_TYPE_DEPTH", "component/decode.c, type_dec.c: CMAX_SCOPE_DEPTH"
# (depth, the functions that call each other, what bounds it). …: and others, as long as their frames fit.
CYCLES = [
    (100, "host_load lift_list load_elements load_record load_variant", TYPES),
    (100, "host_store lower_list store_elements store_record store_variant", TYPES),
    (100, "host_lift_flat lift_flat_record lift_flat_variant", TYPES),
    (100, "host_lower_flat lower_flat_variant", TYPES),
    (100, "host_type_equal equal equal_fields", TYPES),
    (100, "host_value_equal equal_cases equal_list", TYPES),
    (100, "build_host_part map_entry plan_fields two_cases type_of", TYPES),
    (6, "host_die check_deadlock host_end_drop drop_in app_object_unref …",
     "host_die does its work once (in->dead); an object refers only to what was there before it: a pollable, a stream, a body, a message, a "
     "fetch; a value's types: as above, and only drop_in is in them"),
    (10, "ask_earlier begin serve_itself node_files_serve node_handler_again",
     "a file that is not there is looked for in APP_EARLIER_MAX earlier versions of its folder, each once"),
    (100, "cdec_core_type module_decl module_type", SCOPES),
    (100, "cdec_type declaration definition scoped_type", SCOPES),
    (100, "decode_component nested_component section", SCOPES),
    (100, "cflat_type flat_case", TYPES),
    (200, "csub_entity csub_open sub_component sub_instance sub_type", TYPES),
    (200, "csubst_entity csubst_type subst_externs subst_parts", TYPES),
    (100, "sub_element sub_fields sub_result sub_value", TYPES),
    (200, "walk_externs walk_type", TYPES),
    (200, "csub_bind", TYPES),
    (200, "csub_rename", TYPES),
    (100, "component_validate_code", SCOPES),
    (2, "net_addr_class", "an IPv6 address has one IPv4 address in it"),
    (2, "net_addr_prefix_class", "the same"),
    (200, "name_types", TYPES),
    (200, "parts_visible", TYPES),
    (100, "visible", TYPES),
    (200, "explicit_resources", TYPES),
    (200, "bind", TYPES),
    (200, "root_exports", TYPES),
    (200, "import_instance import_item", TYPES),
    (100, "fields_of type_of", TYPES),
    (200, "child instantiate replay", SCOPES + "; a component that is an argument is as deep as its type"),
    (100, "plan_print_type plan_print_type_definition print_fields print_result", TYPES),
    (100, "core_type module_type", SCOPES),
    (200, "declarations definition type", SCOPES),
    (100, "print_component section", SCOPES),
    (3, "failed go_on send", "node/courier/authorities.c: who was not answered waits, or is over"),
    (10, "skip skip_map", "webauthn/cbor.c: DEPTH_MAX"),
    (3, "flush tls_send tls_sendv taken_send taken_sendv net_stream_send net_stream_sendv net_stream_sendv_each", LAYERS),
    (3, "tls_listen net_stream_listen", LAYERS),
    (3, "tls_close taken_close net_conn_close net_stream_close", LAYERS),
    (3, "feed tls_recv taken_recv net_stream_recv", LAYERS),
    (3, "tls_has_input taken_has_input net_stream_has_input", LAYERS),
    (3, "tls_local taken_local", LAYERS),
    (3, "tls_shutdown taken_shutdown net_stream_shutdown", LAYERS),
    (3, "net_stream_tell on_ready on_below upgraded_ready", LAYERS),
    (33, "add add_below", "node/dev/watch.c: DEPTH_MAX"),
    (34, "add_entry add_folder", "node/command/bundle.c: DEPTH_MAX"),
    (64, "write_at", "where in a JSON document: JSON_DEPTH_MAX"),
    (64, "check_field check_items check_object", "JSON_DEPTH_MAX"),
    (2, "on_files serve want_files", "node/worker/reader.c: where there are no files, nobody waits behind it"),
    (2, "copy_folder", "node/command/backup.c: its depth"),
    (8, "give_data", "node/command/backup.c: its depth"),
    (201, "dump_after", "node/store/errand.c: its depth"),
    (201, "list_after", "node/postgres/errand.c: its depth"),
    (4, "put_type", "node/command/db_types.c: an array has no arrays, a domain's base is no domain"),
    (4, "type_of", "node/command/db_shapes.c: a domain's base is no domain"),
    (2, "commit node_ask_begin node_ask_over node_feed_ask node_tx_over run send_it", "node/postgres/tx.c: what fails before it is sent ends its transaction"),
    (57, "check_where", "node/worker/computed.c: QUERY_DEPTH_MAX"),
    (9, "check_select", "node/worker/computed.c: QUERY_EMBEDS_MAX"),
    (2, "over node_config_reload", "node/supervisor/config.c: who asks while it is read anew is answered by one more"),
    (64, "component name nested template_args type …", "node/demangle_int.h: DEMANGLE_DEPTH_MAX"),
    (64, "path type generic_args nested …", "node/demangle_int.h: DEMANGLE_DEPTH_MAX"),
]
# Functions that look at the stack before they go on, so that what leads back to them is no cycle.
CHECKED = {"host_core_call": "engine_stack_room"}

# What host code is told by. field, or caller:field: (who may call it, which functions of which room it may be; None: the owner's)
TOLD = {
    "waker": ("tell_waker", r"wasi:(feed_run|drain_run|promise_run|await_run|out_run)"),
    "on_done": ("tell_done", r"wasi:on_(socket_)?done|host:wake_caller"),
    "on_end": ("tell_end", r"wasi:on_task_over"),
    "on_death": ("tell_death", r"wasi:on_death"),
    "on_idle": ("tell_idle", r"wasi:on_idle"),
    "cancel": ("tell_cancel node_data_query_cancel", r"wasi:\w+_cancel"), "end:cancel": ("end", r"node:cancel"),
    "cancel:cancel": ("cancel", r"node:(cancel|cancel_asked)"), "cancel_asked:cancel": ("cancel_asked", r"node:cancel"), "refuse_parts:cancel": ("refuse_parts", r"node:cancel"), "free_line:cancel": ("free_line", r"node:cancel"),
    "gone": ("tell_gone app_late_end", r"wasi:\w+_gone"),
    "on_over": ("tell_inlet_over tell_outlet_over", r"wasi:(on_inlet_over|on_response_over|body_over)"),
    "take_message:on_message": ("take_message", r"wasi:on_message"), "go_on:on_room": ("go_on", r"wasi:on_room"), "tell_ending:on_ending": ("tell_ending", r"wasi:on_ending"),
    "say_end:on_end": ("say_end", r"wasi:on_end"), "on_job:on_over": ("on_job", r"wasi:on_over"), "maybe_over:on_over": ("maybe_over", r"wasi:on_socket_over"),
    "over": ("feed_over drain_over", r"wasi:(?!feed_|drain_|inlet_over|tell_)(\w+_over|inlet_fed)"),
    "await_run:fn": ("await_run", r"wasi:(outlet_trailers|forward_verdict|verdict_of_reader)"),
    "notify": ("net_source_tell net_sink_tell", None),
    "event": ("report_gone on_deadline net_exchange_tell_over http2_exchange_expired http2_exchange_abandon", None),
    "take_all:of": ("take_all", r"net:(digit|key_byte|token_byte|base64_byte)"),
    "on_request": ("http1_exchange_begin http2_exchange_begin begin", None),
    "on_refused": ("http1_exchange_refuse http2_exchange_refuse take_proxy trusts on_invalid pay took end_with", None),
    "net_upgrade_begin:fn": ("net_upgrade_begin", None), "http2_tunnel_begin:fn": ("http2_tunnel_begin", None), "http2_tunnel_abandon:fn": ("http2_tunnel_abandon", None),
    "report_no_upgrade:fn": ("report_no_upgrade", None),
    "net_stream_tell:ready": ("net_stream_tell", r"net:(on_ready|on_below|on_io|on_handshake)"),
    "on_change": ("http1_fetch_job tell_asker", None),
    "on_accept": ("accept_some net_server_adopt", None),
}
# Public functions that get to one all the same, and say so.
SAY_SO = {
    "host_instance_release": "tells what is left to tell",
    "host_bound": "the engine's: where a guest's call ends",
    "host_call_export": "runs the guest, on its fiber",
    "host_instance_start": "the same",
    "net_loop_run": "the loop itself",
    "net_server_adopt": "the same, of a connection that another process accepted",
    "net_server_drain": "accepts whom the kernel let in: on_accept, which is told of a number",
    "net_server_free": "an upgrade whose 101 has not left: its owner hears that there is none",
    "net_client_free": "of fetches that were freed it runs the job, which then tells nobody",
}
# What runs a guest's code that cannot tell: its built-ins are refused, and host_bound looks at the same flag.
SILENT = {"host_cx_realloc": r"no_leave = true", "run_post_return": r"no_leave = true"}

# Other calls through pointers: of which functions; None: not from here.
OTHER = {
    "tell:fn": r"(host|wasi):tell_\w+",
    "app_request_unref:gone": r"node:recycle", "app_news:news": r"node:on_news", "app_setting_parse:parse": r"app:app_parse_(bytes|ms)",
    "drop": r"wasi:\w+_drop|host:drop_stream_value|host:drop_error_context|wasi:drop_trailers",
    "destroy": r"wasi:\w*destroy",
    "start:ask": r"node:(ask|ask_tables)", "ask_tables:ask": r"node:ask", "fill": None,
    "reallocate": r"host:host_cx_realloc",
    "job": r"host:(take_offer|finish|cancel_wanted)",
    "builtin": r"host:host_(task_return|task_cancel|subtask_cancel|subtask_drop|wset_\w+|waitable_join|pipe_new_builtin"
               r"|end_(read|write|cancel_\w+|drop_\w+)|error_context_\w*builtin|error_context_debug_message|thread_(index|new_\w+|resume_\w+|suspend\w*|yield\w*))",
    "call_host:fn": None,  # a host function, for code of the guest's that has looked at the stack
    # sources and sinks of net; feeds and drains of 0.3
    "net_source_peek:peek": r"net:(source|local|down)_peek", "net_source_read:consume": r"net:(source|local|down)_consume", "net_source_consume:consume": r"net:(source|local|down)_consume",
    "net_source_trailers:trailers": r"net:(source|local|down)_trailers", "net_sink_room:room": r"net:(sink|up)_room", "net_sink_write:write": r"net:(sink|up)_write",
    "net_sink_finish:finish": r"net:(sink|up)_finish", "net_sink_abort:abort": r"net:(sink|up)_abort",
    # what a protocol is to connections, an exchange to its front, a stream to who has it (but for http2_tunnel.c's: nothing is over that)
    "on_ready:ready": r"net:(conn|upgraded|tls)_ready", "on_job:ready": r"net:(conn|tls)_ready", "net_conn_start:start": r"net:(conn|tls)_start", "become_http:start": r"net:conn_start",
    "sweep": r"net:(conn|upgraded|tls)_sweep",
    "drain": r"net:(conn|upgraded|tls)_drain", "abandon": r"net:(conn|upgraded|tls)_(abandon|kill)", "net_conn_make_room:kill": r"net:(conn|upgraded|tls)_kill",
    "net_conn_make_memory:kill": r"net:(conn|upgraded|tls)_kill", "on_sweep:kill": r"net:(conn|upgraded|tls)_kill",
    "respond": r"net:(exchange|local)_respond", "inform": r"net:(exchange|local)_inform", "sink_room:room": r"net:(exchange|local)_room",
    "sink_write:room": r"net:(exchange|local)_room", "put": r"net:(exchange|local)_put", "finish": r"net:(exchange|local)_finish",
    "sink_abort:abort": r"net:(exchange|local)_abort", "retract": r"net:(exchange|local)_retract", "limits": r"net:(exchange|local)_limits",
    "upgrade": r"net:(exchange|local)_upgrade", "peer": r"net:(exchange|local)_peer", "end": r"net:(exchange|local)_end",
    "recv": r"net:(plain|taken|sock|tls)_recv", "send": r"net:(plain|taken|sock|tls)_send", "sendv": r"net:(plain|taken|tls)_sendv|net:net_stream_sendv_each",
    "has_input": r"net:(plain|taken|sock|tls)_has_input", "local": r"net:(plain|taken|sock|tls)_local", "net_stream_listen:listen": r"net:(taken|sock|tls)_listen",
    "shutdown": r"net:(plain|taken|sock|tls)_shutdown", "net_fetch_free:free": r"net:(fetch|local)_free", "net_stream_close:close": r"net:(plain|taken|sock|tls)_close",
    "feed_peek:peek": r"wasi:(?!feed_)\w+_peek", "feed_consume:consume": r"wasi:(?!feed_)\w+_consume",
    "drain_room:room": r"wasi:(outlet|sender|output|writer)_room", "drain_write:write": r"wasi:(outlet|sender|output|writer)_write",
    "later": r"net:exchange_later|net:local_abort", "adopt": r"net:(conn|tls)_adopt", "pass": r"net:exchange_pass", "serve_for": r"net:exchange_serve_for",
    "amend": r"node:on_answer", "met": r"node:on_met", "outgoing": r"node:node_trace_outgoing", "open": None, "go_on_passing:give": None, "pass:give": None,
    # who a server is by TLS, and by whose key: the worker's, or control's
    "choose": r"node:choose", "elsewhere": r"node:elsewhere", "sign:sign": r"node:sign", "on_job:give": None,
    # websockets, and who has one: a guest of 0.3
    "charge": r"wasi:charge",
    "socket_consume:on_message": r"wasi:on_socket_message", "send_frame:on_message": r"wasi:on_socket_message",
    "net_exchange_send_file:file": r"net:exchange_file", "http1_out_file:file": r"net:plain_file",
    # what an answer goes through: who codes it, who watches it (nobody of this program's yet)
    "begin": r"node:answer_begun", "stop": r"node:answer_left", "put_head:head": None, "emit:data": None, "net_filtering_finish:data": None, "let_go:abort": r"net:(exchange|local)_abort",
    # of node's own, called as others are
    "end:over": None, "lose:gone": None, "show_event:event": None,
    # streams and pollables of 0.2
    "room": r"wasi:(out|response|file|body|tcp)_room", "write": r"wasi:(out|err|response|file|body|tcp)_write", "read": r"wasi:(request|file|body|fd|nothing|tcp)_read",
    "state": r"wasi:\w+_state", "readable": None, "wait_for:notify": None,
    "input_ready:ready": r"wasi:(request|always|body|fd)_ready|wasi:tcp_readable", "input_listen:listen": r"wasi:(request|never|body|fd)_listen|wasi:tcp_await_read",
    "output_listen:listen": r"wasi:(out|response|never|body)_listen|wasi:tcp_await_write",
    "ready": r"wasi:(?!wasi_|collect_)\w+_(ready|flushed)", "listen": r"wasi:(?!wasi_|cgi_)\w+_listen",
    "app_out_write:write": None,  # to the log, or a command's output
    "wants_out": r"wasi:body_wants_out", "try": r"wasi:try_\w+",
    # what the loop calls: a timer, a descriptor, a job, work of another thread
    "fn": None, "done": None, "turn": None, "allow_address": None, "run": None,
    "may:allow": None, "attempt_more:told": None, "on_attempt:told": None,  # of who dials, from the loop
    # of an app's kind, once a turn or a run
    "kill": None, "bind": None, "main": None, "close": None, "start": None, "free": None, "rest": None,
    # tables of a decoder, a printer, a macro
    "item": None, "section": None, "check": None, "rule": r"node:(encoding|symbol|path|type)", "generic": None, "error_of": None, "result_of": None, "call": None,
}


def sources():
    with open(os.path.join(BUILD, "compile_commands.json")) as f:
        for c in json.load(f):
            path = os.path.normpath(os.path.join(c["directory"], c["file"]))
            room = re.fullmatch(re.escape(os.path.join(ROOT, "src")) + r"/(\w+)/(?:(?!testdata/)\w+/)*\w+\.c", path)
            if room and room[1] in ROOM and not re.search(r"_(test|fuzz)\.c$", path):
                yield path, c["directory"], [a for a in shlex.split(c["command"]) if re.match(r"-(I|D(?!_FORTIFY)|std|isystem|include)", a)]


def compile_all(out):
    """{file: its .ci}"""
    def one(s):
        path, folder, flags = s
        to = os.path.join(out, os.path.relpath(path, ROOT).replace("/", "+"))
        subprocess.run(["gcc", "-w", *flags, "-O0", "-fcallgraph-info=su", "-S", "-o", to + ".s", path], cwd=folder, check=True, capture_output=True)
        return path, to + ".ci"
    seen = {s[0]: s for s in sources()}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(one, seen.values()))


class Graph:
    """Nodes are 'room/file.c:name' for static functions, 'name' for others."""

    def __init__(self, files):
        self.calls, self.bytes, self.room, self.files, self.through = collections.defaultdict(set), {}, {}, {}, []
        for path, ci in files.items():
            room = path.split("/src/")[1].split("/")[0]
            with open(ci) as f:
                for line in f:
                    self.line(path, room, line)

    def name(self, path, title):
        return f"{path.split('/src/')[1]}:{title.rsplit(':', 1)[1]}" if ":" in title else title

    def line(self, path, room, line):
        if m := re.match(r'node: \{ title: "([^"]+)" label: "[^"]*?(?:\\n(\d+) bytes[^"]*)?"( shape)?', line):
            if not m[3]:
                n = self.name(path, m[1])
                self.bytes[n], self.room[n], self.files[self.short(n)] = int(m[2] or 0), room, path.split("/src/")[1]
        elif m := re.match(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"(?: label: "([^"]+)")?', line):
            a, b = self.name(path, m[1]), self.name(path, m[2])
            if b == "__indirect_call":
                self.through.append((a, self.field(m[3], path)))
            else:
                self.calls[a].add(b)

    def field(self, where, path):
        """The name of the pointer that is called at file:line:column."""
        file, line, column = where.rsplit(":", 2)
        file = os.path.normpath(os.path.join(BUILD, file))
        with open(file) as f:
            text = f.read().split("\n")[int(line) - 1]
        names = [m for m in re.finditer(r"(?:->|\.|\b)(\w+)\(", text) if not m[1].isupper() and m[1] not in ("if", "while", "for", "switch", "return", "sizeof")]
        pointed = [m for m in names if re.search(r"(->|\.)$", text[:m.start(1)])]
        near = lambda m: abs(m.start(1) - int(column) + 1)
        best = min(pointed or names, key=near, default=None)
        return best[1] if best else "section"

    def file(self, name):
        return self.files[name]

    def short(self, n):
        return n.rsplit(":", 1)[-1]

    def link(self):
        """Calls through pointers become edges."""
        by_name = collections.defaultdict(list)
        for n in self.bytes:
            by_name[self.short(n)].append(n)
        unknown = set()
        for a, field in self.through:
            key = f"{self.short(a)}:{field}"
            row = TOLD.get(key) or TOLD.get(field)
            pattern = row[1] if row else OTHER[key] if key in OTHER else OTHER.get(field, "?")
            if pattern == "?":
                if self.room[a] in KNOWN:
                    unknown.add(f"{a} calls through {field}")
            elif pattern:
                to = {n for name, ns in by_name.items() for n in ns if re.fullmatch(pattern, f"{self.room[n]}:{name}")}
                self.calls[a] |= to
                if not to:
                    unknown.add(f"{a} calls nothing through {field}")
        return unknown

    def cycles(self):
        """Tarjan's strongly connected components, without recursion."""
        index, low, stack, on, out = {}, {}, [], set(), []
        for root in list(self.calls):
            work = [(root, iter(sorted(self.calls[root])))] if root not in index else []
            if work:
                index[root] = low[root] = len(index)
                stack.append(root), on.add(root)
            while work:
                v, it = work[-1]
                for w in it:
                    if self.short(w) in CHECKED:
                        continue
                    if w not in index:
                        index[w] = low[w] = len(index)
                        stack.append(w), on.add(w)
                        work.append((w, iter(sorted(self.calls.get(w, ())))))
                        break
                    if w in on:
                        low[v] = min(low[v], index[w])
                else:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[v])
                    if low[v] == index[v]:
                        part = []
                        while not part or part[-1] != v:
                            part.append(stack.pop())
                            on.discard(part[-1])
                        if len(part) > 1 or v in self.calls[v]:
                            out.append(sorted(part))
        return out

    def callers(self, target):
        up = collections.defaultdict(set)
        for a, bs in self.calls.items():
            for b in bs:
                up[b].add(a)
        found, todo = set(), [target]
        while todo:
            for a in up[todo.pop()] - found:
                if self.short(a) not in SILENT:
                    found.add(a)
                    todo.append(a)
        return found


def public(header):
    with open(os.path.join(ROOT, "src", header)) as f:
        return set(re.findall(r"\b((?:host|net)_\w+)\(", f.read()))


def check(graph):
    problems = [f"a call through a pointer that no table knows: {u}" for u in sorted(graph.link())]
    passed = len(graph.through) - len(problems)
    rows = {frozenset(members.split()): (depth, why) for depth, members, why in CYCLES}
    found = set()
    for part in graph.cycles():
        names = frozenset(map(graph.short, part))
        room = graph.room[part[0]]
        row = next((r for r in rows if r == names or ("…" in r and r - {"…"} <= names)), None)
        if not row:
            problems.append(f"functions call each other, and no row says how deep: {' '.join(sorted(part))}")
            continue
        found.add(row)
        size = sum(graph.bytes.get(n, 0) for n in part)
        if size * rows[row][0] > ROOM[room]:
            problems.append(f"{rows[row][0]} times {size} bytes is more than {ROOM[room]}: {' '.join(sorted(names))}")
        passed += 1
    problems += [f"a row whose functions do not all call each other: {' '.join(sorted(r))}" for r in rows.keys() - found]
    for name, looks in CHECKED.items():
        if looks not in graph.calls[name]:
            problems.append(f"{name} does not ask {looks}")
    for name, has in SILENT.items():
        with open(os.path.join(ROOT, "src", graph.file(name))) as f:
            body = re.search(rf"^[^\n]*\b{name}\(.*?^}}", f.read(), re.M | re.S)
        if not re.search(has, body[0]):
            problems.append(f"{name} does not see to {has}")
    for a, field in sorted(set(graph.through)):
        key = f"{graph.short(a)}:{field}"
        row = TOLD.get(key) or (TOLD.get(field) if key not in OTHER else None)
        if row and graph.short(a) not in row[0].split():
            problems.append(f"{a} calls {field}, which only {row[0]} may")
        passed += bool(row)
    interface = public("host/host.h") | public("net/loop.h") | public("net/flow.h") | public("net/exchange.h") | public("net/stream.h") | public("net/local.h") | public("net/server.h") | public("net/client.h") | public("net/websocket.h") | {"host_bound"}
    telling = {a for a, field in graph.through if field in TOLD and not TOLD[field][1]} | {"host/note.c:tell"}
    for t in sorted(telling):
        if t not in graph.bytes:
            problems.append(f"{t} is gone")
        for who in sorted(graph.callers(t) & interface - SAY_SO.keys()):
            problems.append(f"{who} may call back, by {t}: who calls it could lose what it holds")
        passed += 1
    return passed, problems


def main():
    try:
        gcc = subprocess.run(["gcc", "--version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        gcc = ""
    if not gcc or not os.path.exists(os.path.join(BUILD, "compile_commands.json")):
        print("SKIP callgraph: needs gcc and a build\n0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory() as out:
        graph = Graph(compile_all(out))
    passed, problems = check(graph)
    for p in problems:
        print("FAIL " + p)
    print(f"{passed} passed, {len(problems)} failed, 0 skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
