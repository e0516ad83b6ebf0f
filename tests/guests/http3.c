/* A WASI 0.3 HTTP service for tests, by hand against the canonical ABI: well-behaved on some paths, badly on others.
 *
 * Its handler is lifted stackful, so that a request is handled by code that waits; each has a stack of its own for what C keeps in
 * memory. http3.wasm is checked in, because Debian has no tool that makes a component of a core module. To make it anew:
 *   mkdir wit && cp -r http3.wit ../../wit/wasi-0.3/deps wit/
 *   clang --target=wasm32 -O2 -mbulk-memory -nostdlib -Wl,--no-entry -o core.wasm http3.c
 *   wasm-tools component embed wit -w http3-guest core.wasm -o embedded.wasm
 *   wasm-tools component new embedded.wasm -o http3.wasm
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define TYPES "wasi:http/types@0.3.0"
#define HANDLER "wasi:http/handler@0.3.0"
#define CLOCK "wasi:clocks/monotonic-clock@0.3.0"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[method]fields.append")
void fields_append(int self, const char *name, size_t n, const void *value, size_t m, void *ret);
IMPORT(TYPES, "[method]fields.copy-all") void fields_all(int self, void *ret);
IMPORT(TYPES, "[resource-drop]fields") void fields_drop(int);
IMPORT(TYPES, "[static]response.new") void response_new(int headers, int some, int stream, int trailers, void *ret);
IMPORT(TYPES, "[method]response.set-status-code") int response_set_status(int self, int status);
IMPORT(TYPES, "[resource-drop]response") void response_drop(int);
IMPORT(TYPES, "[static]response.consume-body") void response_consume(int self, int result, void *ret);
IMPORT(TYPES, "[static]request.new")
void request_new(int headers, int some, int stream, int trailers, int some_options, int options, void *ret);
IMPORT(TYPES, "[method]request.set-method") int request_set_method(int self, int tag, const char *p, size_t n);
IMPORT(TYPES, "[method]request.set-path-with-query") int request_set_path(int self, int some, const char *p, size_t n);
IMPORT(TYPES, "[method]request.get-path-with-query") void request_path(int self, void *ret);
IMPORT(TYPES, "[method]request.get-headers") int request_headers(int self);
IMPORT(TYPES, "[static]request.consume-body") void request_consume(int self, int result, void *ret);
IMPORT(TYPES, "[resource-drop]request") void request_drop(int);
IMPORT(TYPES, "[stream-new-0][static]response.new") int64_t stream_new(void);
IMPORT(TYPES, "[async-lower][stream-write-0][static]response.new") int stream_write(int, const void *, size_t);
IMPORT(TYPES, "[stream-drop-writable-0][static]response.new") void stream_drop_writable(int);
IMPORT(TYPES, "[async-lower][stream-read-1][static]request.consume-body") int stream_read(int, void *, size_t);
IMPORT(TYPES, "[stream-drop-readable-1][static]request.consume-body") void stream_drop_readable(int);
IMPORT(TYPES, "[future-new-1][static]response.new") int64_t trailers_new(void);
IMPORT(TYPES, "[async-lower][future-write-1][static]response.new") int trailers_write(int, const void *);
IMPORT(TYPES, "[future-drop-writable-1][static]response.new") void trailers_drop_writable(int);
IMPORT(TYPES, "[async-lower][future-read-2][static]response.new") int sent_read(int, void *);
IMPORT(TYPES, "[future-drop-readable-2][static]response.new") void sent_drop(int);
IMPORT(TYPES, "[future-new-0][static]request.consume-body") int64_t verdict_new(void);
IMPORT(TYPES, "[async-lower][future-write-0][static]request.consume-body") int verdict_write(int, const void *);
IMPORT(TYPES, "[future-drop-writable-0][static]request.consume-body") void verdict_drop(int);
IMPORT(TYPES, "[async-lower][future-read-2][static]request.consume-body") int trailers_read(int, void *);
IMPORT(TYPES, "[future-drop-readable-2][static]request.consume-body") void trailers_drop(int);
IMPORT("[export]" HANDLER, "[task-return]handle")
void task_return(int is_err, int a, int b, int64_t c, int d, int e, int f, int g);
IMPORT(HANDLER, "[async-lower]handle") int next_handle(int request, void *ret);
IMPORT(CLOCK, "[async-lower]wait-for") int wait_for(int64_t ns);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-drop]") void set_drop(int);
IMPORT("$root", "[waitable-set-wait]") int set_wait(int set, void *event);
IMPORT("$root", "[backpressure-inc]") void backpressure_inc(void);
IMPORT("$root", "[backpressure-dec]") void backpressure_dec(void);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[subtask-drop]") void subtask_drop(int);

/* ---- memory ---- */

enum { BLOCKED = -1, COMPLETED = 0, DROPPED = 1, STACK_BYTES = 16384, STACKS = 64, BODY_BYTES = 65536 };
static uint8_t heap[1 << 20] __attribute__((aligned(16)));
static size_t used;
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t n, size_t align, size_t size) {
    used = (used + align - 1) & ~(align - 1);
    if (used + size > sizeof heap) used = 0; /* what lies there is of requests long ago */
    void *p = heap + used;
    used += size;
    return p;
}

static uint8_t stacks[STACKS][STACK_BYTES] __attribute__((aligned(16)));
static uint8_t bodies[STACKS][BODY_BYTES];
static uint8_t taken[STACKS];
static inline void *stack(void) {
    void *p;
    __asm__ volatile("global.get __stack_pointer\nlocal.set %0" : "=r"(p));
    return p;
}
static inline void set_stack(void *p) { __asm__ volatile("local.get %0\nglobal.set __stack_pointer" : : "r"(p)); }

static int served, done_later, sent_ok, sent_failed;

/* ---- waiting ---- */

struct task {
    int set, out, trailers, slot;
    uint8_t *body;
    union {
        uint8_t b[128];
        int32_t i[32];
        int64_t l[16];
    } r;
};

/* The event's second payload. */
static __attribute__((noinline)) int await(struct task *t, int waitable) { /* 0: for nothing */
    int event[2];
    if (waitable) join(waitable, t->set);
    void *sp = stack();
    set_wait(t->set, event);
    set_stack(sp);
    if (waitable) join(waitable, 0);
    return event[1];
}

static void sleep_ms(struct task *t, int ms) {
    int s = wait_for((int64_t)ms * 1000000);
    if ((s & 15) == 2) return;
    while (await(t, s >> 4) != 2) {}
    subtask_drop(s >> 4);
}

/* False: the reader is gone. */
static int put(struct task *t, const void *p, size_t n) {
    for (size_t off = 0; off < n;) {
        int s = stream_write(t->out, (const uint8_t *)p + off, n - off);
        if (s == BLOCKED) s = await(t, t->out);
        off += (uint32_t)s >> 4;
        if ((s & 15) != COMPLETED) return 0;
    }
    return 1;
}

static void write_trailers(struct task *t, int fields) { /* 0: none; -1: an error */
    uint64_t value[8] = {0};
    uint8_t *v = (uint8_t *)value;
    if (fields < 0) {
        v[0] = 1;
        v[8] = 38; /* internal-error(none) */
    } else if (fields) {
        v[8] = 1;
        *(int32_t *)(v + 12) = fields;
    }
    if (trailers_write(t->trailers, value) == BLOCKED) await(t, t->trailers);
    trailers_drop_writable(t->trailers);
}

static size_t length(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}
static int same(const char *p, size_t n, const char *s) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != s[i] || !s[i]) return 0;
    return !s[n];
}
static int value(const char *p, size_t n) {
    int v = 0;
    for (size_t i = 0; i < n && p[i] >= '0' && p[i] <= '9'; i++) v = v * 10 + p[i] - '0';
    return v;
}
static int number(char *to, int v) {
    char digits[12];
    int n = 0, i = 0;
    do digits[n++] = '0' + v % 10;
    while (v /= 10);
    while (n) to[i++] = digits[--n];
    to[i++] = '\n';
    return i;
}

/* Answers with a head; the body and its trailers are written afterwards. keep_sent: gives the future of its transmission. */
static int respond(struct task *t, int status, const char *content_length, int keep_sent) {
    int headers = fields_new();
    fields_append(headers, "content-type", 12, "text/plain", 10, t->r.b);
    if (content_length) fields_append(headers, "content-length", 14, content_length, length(content_length), t->r.b);
    int64_t s = stream_new(), f = trailers_new();
    t->out = s >> 32;
    t->trailers = f >> 32;
    response_new(headers, 1, (int)s, (int)f, t->r.b);
    int response = t->r.i[0], sent = t->r.i[1];
    response_set_status(response, status);
    if (!keep_sent) sent_drop(sent);
    task_return(0, response, 0, 0, 0, 0, 0, 0);
    return sent;
}

static void finish(struct task *t) {
    stream_drop_writable(t->out);
    write_trailers(t, 0);
}

static void text(struct task *t, int status, const char *s, size_t n) {
    respond(t, status, 0, 0);
    put(t, s, n);
    finish(t);
}

/* ---- paths ---- */

static void consume(struct task *t, int request, int *stream, int *trailers) {
    int64_t v = verdict_new();
    request_consume(request, (int)v, t->r.b);
    *stream = t->r.i[0];
    *trailers = t->r.i[1];
    uint64_t ok[8] = {0};
    if (verdict_write(v >> 32, ok) == BLOCKED) await(t, v >> 32);
    verdict_drop(v >> 32);
}

/* slow_ms: between two reads, of small pieces. */
static void echo(struct task *t, int request, int slow_ms, size_t piece) {
    int in, trailers;
    consume(t, request, &in, &trailers);
    respond(t, 200, 0, 0);
    for (;;) {
        int s = stream_read(in, t->body, piece);
        if (s == BLOCKED) s = await(t, in);
        if ((uint32_t)s >> 4 && !put(t, t->body, (uint32_t)s >> 4)) break;
        if ((s & 15) != COMPLETED) break;
        if (slow_ms) sleep_ms(t, slow_ms);
    }
    stream_drop_readable(in);
    stream_drop_writable(t->out);
    if (trailers_read(trailers, t->r.b) == BLOCKED) await(t, trailers);
    trailers_drop(trailers);
    int have = !t->r.b[0] && t->r.b[8] ? t->r.i[3] : 0;
    write_trailers(t, have);
}

/* What arrives leaves: the host's stream goes back to the host. */
static void hand_on(struct task *t, int stream, int trailers) {
    response_new(fields_new(), 1, stream, trailers, t->r.b);
    int response = t->r.i[0];
    sent_drop(t->r.i[1]);
    task_return(0, response, 0, 0, 0, 0, 0, 0);
}

static void hand_back(struct task *t, int request) {
    int in, trailers;
    consume(t, request, &in, &trailers);
    hand_on(t, in, trailers);
}

/* back: of the answer, too, the stream is handed on, not the message. */
static void proxy(struct task *t, int request, int back) {
    int in, trailers;
    consume(t, request, &in, &trailers);
    request_new(fields_new(), 1, in, trailers, 0, 0, t->r.b);
    int own = t->r.i[0];
    sent_drop(t->r.i[1]);
    request_set_method(own, 2 /* POST */, 0, 0);
    request_set_path(own, 1, "/up", 3);
    int s = next_handle(own, t->r.b);
    if ((s & 15) != 2) {
        while (await(t, s >> 4) != 2) {}
        subtask_drop(s >> 4);
    }
    if (t->r.b[0]) return task_return(1, t->r.b[8], 0, 0, 0, 0, 0, 0);
    int response = t->r.i[2];
    if (!back) return task_return(0, response, 0, 0, 0, 0, 0, 0);
    int64_t v = verdict_new();
    response_consume(response, (int)v, t->r.b);
    in = t->r.i[0];
    trailers = t->r.i[1];
    uint64_t ok[8] = {0};
    if (verdict_write(v >> 32, ok) == BLOCKED) await(t, v >> 32);
    verdict_drop(v >> 32);
    hand_on(t, in, trailers);
}

/* Each message's end is how the reader of the one before took it. */
static void chain(struct task *t, int n, int trap) {
    int64_t v = verdict_new();
    int future = (int)v;
    for (int i = 0; i < n; i++) {
        response_new(fields_new(), 0, 0, (int)trailers_new(), t->r.b);
        int response = t->r.i[0], sent = t->r.i[1];
        response_consume(response, future, t->r.b);
        stream_drop_readable(t->r.i[0]);
        future = sent;
    }
    if (trap) __builtin_trap();
    uint64_t ok[8] = {0};
    if (verdict_write(v >> 32, ok) == BLOCKED) await(t, v >> 32);
}

static void fields_back(struct task *t, int request) {
    int headers = request_headers(request);
    fields_all(headers, t->r.b);
    struct entry {
        const char *name;
        size_t n;
        const char *value;
        size_t m;
    } *e = (struct entry *)t->r.i[0];
    size_t count = t->r.i[1];
    respond(t, 200, 0, 0);
    for (size_t i = 0; i < count; i++) put(t, e[i].name, e[i].n), put(t, "=", 1), put(t, e[i].value, e[i].m), put(t, "\n", 1);
    finish(t);
    fields_drop(headers);
    request_drop(request);
}

static void forward(struct task *t, int request) {
    int s = next_handle(request, t->r.b);
    if ((s & 15) != 2) {
        while (await(t, s >> 4) != 2) {}
        subtask_drop(s >> 4);
    }
    if (t->r.b[0]) task_return(1, t->r.b[8], 0, 0, 0, 0, 0, 0);
    else task_return(0, t->r.i[2], 0, 0, 0, 0, 0, 0);
}

static void misuse(struct task *t, int request, char which) {
    int in, trailers;
    switch (which) {
    case '1': /* drops a stream that is being read */
        consume(t, request, &in, &trailers);
        if (stream_read(in, t->body, 100) == BLOCKED) stream_drop_readable(in);
        break;
    case '2': /* writes after the end was dropped */
        respond(t, 200, 0, 0);
        stream_drop_writable(t->out);
        stream_write(t->out, "x", 1);
        break;
    case '3': /* answers twice */
        respond(t, 200, 0, 0);
        respond(t, 200, 0, 0);
        break;
    case '4': /* floods the table */
        for (;;) set_new();
    case '5': /* drops a future that it never wrote */
        respond(t, 200, 0, 0);
        trailers_drop_writable(t->trailers);
        break;
    case '6': /* reads out of its memory */
        consume(t, request, &in, &trailers);
        stream_read(in, (void *)0xfffffff0, 1000);
        break;
    case '7': /* two writes at once */
        respond(t, 200, 0, 0);
        stream_write(t->out, bodies, sizeof bodies);
        stream_write(t->out, bodies, sizeof bodies);
        break;
    case '8': /* joins what is no waitable */ join(12345, t->set); break;
    case '9': /* floods with streams */
        for (;;) stream_new();
    }
    __builtin_trap();
}

/* ---- gRPC: orlo.test.Echo, whose messages are bytes (a byte, four of their length in network order, and they) ---- */

static int calls_left; /* calls whose client went away while they were written to */

static void respond_grpc(struct task *t) {
    int headers = fields_new();
    fields_append(headers, "content-type", 12, "application/grpc", 16, t->r.b);
    int64_t s = stream_new(), f = trailers_new();
    t->out = s >> 32;
    t->trailers = f >> 32;
    response_new(headers, 1, (int)s, (int)f, t->r.b);
    int response = t->r.i[0];
    sent_drop(t->r.i[1]);
    task_return(0, response, 0, 0, 0, 0, 0, 0);
}

static void finish_grpc(struct task *t, const char *status, const char *message) {
    int fields = fields_new();
    fields_append(fields, "grpc-status", 11, status, length(status), t->r.b);
    if (message) fields_append(fields, "grpc-message", 12, message, length(message), t->r.b);
    stream_drop_writable(t->out);
    write_trailers(t, fields);
}

static int put_message(struct task *t, const void *p, size_t n) {
    uint8_t head[5] = {0, n >> 24, n >> 16, n >> 8, n};
    return put(t, head, 5) && put(t, p, n);
}

/* A message's bytes to t->body, at most BODY_BYTES; -1: there are no more. */
static int get_message(struct task *t, int in) {
    uint8_t *to = t->body;
    size_t have = 0, want = 5;
    uint32_t n = 0;
    for (;;) {
        if (have == want && want == 5 && to == t->body) {
            n = (uint32_t)to[1] << 24 | to[2] << 16 | to[3] << 8 | to[4];
            if (n > BODY_BYTES - 5) return -1;
            to += 5;
            have = 0;
            want = n;
        }
        if (have == want && to != t->body) break;
        int s = stream_read(in, to + have, want - have);
        if (s == BLOCKED) s = await(t, in);
        have += (uint32_t)s >> 4;
        if ((s & 15) != COMPLETED && have < want) return -1;
    }
    for (uint32_t i = 0; i < n; i++) t->body[i] = t->body[i + 5];
    return (int)n;
}

static void grpc(struct task *t, int request, const char *method, size_t n) {
    int in, trailers, got, count = 0, bytes = 0;
    char digits[16];
#define METHOD(s) same(method, n, s)
    consume(t, request, &in, &trailers);
    respond_grpc(t);
    if (METHOD("Unary")) {
        got = get_message(t, in);
        if (got >= 0) put_message(t, t->body, got);
    } else if (METHOD("Collect")) { /* a stream of the client's: how many bytes that was */
        while ((got = get_message(t, in)) >= 0) bytes += got;
        put_message(t, digits, number(digits, bytes) - 1);
    } else if (METHOD("Expand")) { /* of the server's: each byte of the message, for itself */
        got = get_message(t, in);
        for (int i = 0; i < got && put_message(t, t->body + i, 1); i++) {}
    } else if (METHOD("Chat")) { /* of both: each message when it comes */
        while ((got = get_message(t, in)) >= 0 && put_message(t, t->body, got)) {}
    } else if (METHOD("Forever")) {
        while (put_message(t, digits, number(digits, count++))) sleep_ms(t, 10);
        calls_left++;
    } else if (METHOD("Left")) {
        put_message(t, digits, number(digits, calls_left) - 1);
    } else if (METHOD("Sleep")) {
        sleep_ms(t, 60000);
    } else if (METHOD("Trap")) {
        __builtin_trap();
    }
    int known = n && method[0] != 'N', whole = 1;
    stream_drop_readable(in);
    if (METHOD("Collect")) { /* whether what ended was all of it */
        if (trailers_read(trailers, t->r.b) == BLOCKED) await(t, trailers);
        whole = !t->r.b[0];
    }
    trailers_drop(trailers);
    finish_grpc(t, !known ? "5" : whole ? "0" : "15", known ? 0 : "there is no such thing%21");
}

static __attribute__((noinline)) void handle_on(struct task *t, int request) {
    request_path(request, t->r.b);
    const char *path = t->r.b[0] ? (const char *)t->r.i[1] : "";
    size_t n = t->r.b[0] ? t->r.i[2] : 0;
    char digits[16];
    served++;
#define PATH(s) same(path, n, s)
    if (PATH("/echo")) return echo(t, request, 0, BODY_BYTES);
    if (PATH("/slow")) return echo(t, request, 20, 16384);
    if (PATH("/hand-back")) return hand_back(t, request);
    if (PATH("/proxy")) return proxy(t, request, 0);
    if (PATH("/proxy-back")) return proxy(t, request, 1);
    if (PATH("/drop-body") || PATH("/half")) { /* wants none of the body, or a few bytes of it */
        int in, trailers;
        consume(t, request, &in, &trailers);
        if (PATH("/half") && stream_read(in, t->body, 3) == BLOCKED) await(t, in);
        stream_drop_readable(in);
        if (PATH("/half") && trailers_read(trailers, t->r.b) == BLOCKED) await(t, trailers);
        trailers_drop(trailers);
        return text(t, 200, "enough\n", 7);
    }
    if (n > 16 && same(path, 16, "/orlo.test.Echo/")) return grpc(t, request, path + 16, n - 16);
    if (PATH("/fields")) return fields_back(t, request);
    if (PATH("/forward")) return forward(t, request);
    if (n == 9 && path[1] == 'm') return misuse(t, request, path[8]); /* /misuse/N */
    if (PATH("/held")) {                                              /* the request outlives its exchange */
        text(t, 200, "held\n", 5);
        sleep_ms(t, 100);
        request_path(request, t->r.b);
        int headers = request_headers(request);
        fields_drop(headers);
        done_later += t->r.b[0] && t->r.i[2] == 5;
        request_drop(request);
        return;
    }
    request_drop(request);
    if (n > 7 && same(path, 7, "/chain?")) chain(t, value(path + 7, n - 7), 0);
    if (n > 11 && same(path, 11, "/chaintrap?")) chain(t, value(path + 11, n - 11), 1);
    if (PATH("/answer-then-trap")) {
        text(t, 200, "answered\n", 9);
        sleep_ms(t, 50);
        __builtin_trap();
    }
    if (PATH("/big")) {
        respond(t, 200, 0, 0);
        for (int i = 0; i < 256 && put(t, bodies, BODY_BYTES); i++) {}
        return finish(t);
    }
    if (PATH("/count")) return text(t, 200, digits, number(digits, served));
    if (PATH("/later")) return text(t, 200, digits, number(digits, done_later));
    if (PATH("/sent-ok")) return text(t, 200, digits, number(digits, sent_ok));
    if (PATH("/sent-failed")) return text(t, 200, digits, number(digits, sent_failed));
    if (PATH("/sleep")) {
        sleep_ms(t, 300);
        return text(t, 200, "slept\n", 6);
    }
    if (PATH("/alone")) { /* asks not to be called meanwhile */
        backpressure_inc();
        sleep_ms(t, 300);
        backpressure_dec();
        return text(t, 200, digits, number(digits, served));
    }
    if (PATH("/after")) { /* goes on once it has answered */
        text(t, 200, "after\n", 6);
        sleep_ms(t, 100);
        done_later++;
        return;
    }
    if (PATH("/sent")) {
        int sent = respond(t, 200, 0, 1);
        put(t, bodies, BODY_BYTES);
        for (int i = 0; i < 1000 && put(t, bodies, BODY_BYTES); i++) {}
        finish(t);
        if (sent_read(sent, t->r.b) == BLOCKED) await(t, sent);
        sent_drop(sent);
        *(t->r.b[0] ? &sent_failed : &sent_ok) += 1;
        return;
    }
    if (PATH("/grow")) {
        __builtin_wasm_memory_grow(0, 160); /* 10 MiB */
        return text(t, 200, "grown\n", 6);
    }
    if (PATH("/leak")) { /* 20 MB of the host's memory */
        static char value[2000];
        for (size_t i = 0; i < sizeof value; i++) value[i] = 'x';
        for (int i = 0; i < 10000; i++) fields_append(fields_new(), "x", 1, value, sizeof value, t->r.b);
        return text(t, 200, "leaked\n", 7);
    }
    if (PATH("/never")) return sleep_ms(t, 3600000);
    if (PATH("/stuck")) { /* waits for what cannot come */
        await(t, 0);
        return;
    }
    if (PATH("/loop"))
        for (volatile int i = 0;; i++) {}
    if (PATH("/forgets")) { /* the trailers never come */
        respond(t, 200, 0, 0);
        put(t, "part\n", 5);
        stream_drop_writable(t->out);
        sleep_ms(t, 3600000);
    }
    if (PATH("/late-trap")) {
        respond(t, 200, 0, 0);
        put(t, bodies, BODY_BYTES);
        put(t, bodies, BODY_BYTES);
        sleep_ms(t, 50);
        __builtin_trap();
    }
    if (PATH("/short") || PATH("/long")) {
        respond(t, 200, PATH("/short") ? "10" : "3", 0);
        put(t, "12345", 5);
        return finish(t);
    }
    if (PATH("/bad-end")) { /* the trailers are an error */
        respond(t, 200, 0, 0);
        put(t, "part\n", 5);
        stream_drop_writable(t->out);
        return write_trailers(t, -1);
    }
    if (PATH("/trailers")) {
        int fields = fields_new();
        fields_append(fields, "x-sum", 5, "7", 1, t->r.b);
        respond(t, 200, 0, 0);
        put(t, "body\n", 5);
        stream_drop_writable(t->out);
        return write_trailers(t, fields);
    }
    if (PATH("/error")) return task_return(1, 12 /* connection-limit is 11: TLS-protocol-error */, 0, 0, 0, 0, 0, 0);
    if (PATH("/status101")) {
        respond(t, 101, 0, 0);
        return finish(t);
    }
    if (PATH("/silent")) return; /* ends without a result */
    if (PATH("/trap")) __builtin_trap();
    respond(t, 200, 0, 0);
    put(t, "hello from ", 11);
    put(t, path, n);
    put(t, "\n", 1);
    finish(t);
}

EXPORT("[async-lift-stackful]" HANDLER "#handle") void handle(int request) {
    int slot = 0;
    while (slot < STACKS && taken[slot]) slot++;
    if (slot == STACKS) __builtin_trap();
    taken[slot] = 1;
    void *sp = stack();
    struct task *t = (struct task *)stacks[slot];
    *t = (struct task){.set = set_new(), .slot = slot, .body = bodies[slot]};
    set_stack(stacks[slot] + STACK_BYTES);
    handle_on(t, request);
    set_stack(sp);
    set_drop(t->set);
    taken[slot] = 0;
}
