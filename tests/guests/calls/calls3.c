/* A WASI 0.3 HTTP service that does what a request says: / answers, /mirror hands the request's body back, /proxy?PORT passes it on and
 * hands the answer back, /p?PORT.HEX runs a program of calls (calls.h, and make.py, which makes calls3.wasm anew). Streams, futures,
 * subtasks and waitable sets are operations of their own. One request an instance: what it keeps is for one alone. */
#include "calls.h"

#define TYPES "wasi:http/types@0.3.0"
IMPORT(TYPES, "[stream-new-0][static]response.new") int64_t stream_new(void);
IMPORT(TYPES, "[async-lower][stream-write-0][static]response.new") int stream_write(int, const void *, size_t);
IMPORT(TYPES, "[async-lower][stream-read-0][static]response.new") int stream_read(int, void *, size_t);
IMPORT(TYPES, "[stream-cancel-write-0][static]response.new") int stream_cancel_write(int);
IMPORT(TYPES, "[stream-cancel-read-0][static]response.new") int stream_cancel_read(int);
IMPORT(TYPES, "[stream-drop-writable-0][static]response.new") void stream_drop_writable(int);
IMPORT(TYPES, "[stream-drop-readable-0][static]response.new") void stream_drop_readable(int);
IMPORT(TYPES, "[future-new-1][static]response.new") int64_t trailers_new(void);
IMPORT(TYPES, "[async-lower][future-write-1][static]response.new") int trailers_write(int, const void *);
IMPORT(TYPES, "[async-lower][future-read-1][static]response.new") int trailers_read(int, void *);
IMPORT(TYPES, "[future-cancel-write-1][static]response.new") int trailers_cancel_write(int);
IMPORT(TYPES, "[future-cancel-read-1][static]response.new") int trailers_cancel_read(int);
IMPORT(TYPES, "[future-drop-writable-1][static]response.new") void trailers_drop_writable(int);
IMPORT(TYPES, "[future-drop-readable-1][static]response.new") void trailers_drop_readable(int);
IMPORT(TYPES, "[future-new-2][static]response.new") int64_t sent_new(void);
IMPORT(TYPES, "[async-lower][future-write-2][static]response.new") int sent_write(int, const void *);
IMPORT(TYPES, "[async-lower][future-read-2][static]response.new") int sent_read(int, void *);
IMPORT(TYPES, "[future-cancel-write-2][static]response.new") int sent_cancel_write(int);
IMPORT(TYPES, "[future-cancel-read-2][static]response.new") int sent_cancel_read(int);
IMPORT(TYPES, "[future-drop-writable-2][static]response.new") void sent_drop_writable(int);
IMPORT(TYPES, "[future-drop-readable-2][static]response.new") void sent_drop_readable(int);
IMPORT("[export]wasi:http/handler@0.3.0", "[task-return]handle")
void task_return(int is_err, int a, int b, int64_t c, int d, int e, int f, int g);
IMPORT("wasi:http/client@0.3.0", "[async-lower]send") int client_send(int request, void *ret);
IMPORT("wasi:clocks/monotonic-clock@0.3.0", "[async-lower]wait-for") int wait_for(int64_t ns);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-drop]") void set_drop(int);
IMPORT("$root", "[waitable-set-wait]") int set_wait(int set, void *event);
IMPORT("$root", "[waitable-set-poll]") int set_poll(int set, void *event);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[subtask-cancel]") int subtask_cancel(int);
IMPORT("$root", "[subtask-drop]") void subtask_drop(int);

enum { ALIVE_MAX = 32, PENDING_MAX = 64, BLOCKED = -1 };
static int take(int kind, int own);
static void give(int kind, int handle);
#include "ops.h"

static int alive[KINDS][ALIVE_MAX], count[KINDS];

/* A handle of this type, the newest for a 0; an owned one leaves the pool, unless it is to be used after it is gone. */
static int take(int kind, int own) {
    int b = byte();
    if (b == 255) return byte();
    if (!count[kind]) return skip = 1, 0;
    int i = count[kind] - 1 - b % count[kind], h = alive[kind][i];
    if (own && b < 250) {
        for (; i + 1 < count[kind]; i++) alive[kind][i] = alive[kind][i + 1];
        count[kind]--;
    }
    return h;
}
static void give(int kind, int handle) {
    if (count[kind] < ALIVE_MAX) alive[kind][count[kind]++] = handle;
}
static void give_pair(int readable, int writable, int64_t pair) {
    give(readable, (int)pair);
    give(writable, (int)(pair >> 32));
}

/* ---- what is to come ---- */

static struct {
    int waitable, is_response;
    uint8_t *to;
} pending[PENDING_MAX];
static unsigned pendings;
static void expect(int waitable, int is_response, uint8_t *to) {
    pending[pendings % PENDING_MAX].waitable = waitable;
    pending[pendings % PENDING_MAX].is_response = is_response;
    pending[pendings++ % PENDING_MAX].to = to;
}
static void arrived(const uint8_t *p, int is_response) {
    if (p[0]) return;
    if (is_response) give(K_RESPONSE, *(const int *)(p + 8));
    else if (p[8]) give(K_FIELDS, *(const int *)(p + 12));
}
static void happened(int event, const int *about) {
    for (unsigned i = 0; event && i < PENDING_MAX; i++)
        if (pending[i].to && pending[i].waitable == about[0] && (!pending[i].is_response || about[1] == 2)) {
            arrived(pending[i].to, pending[i].is_response);
            pending[i].to = 0;
        }
}

/* ---- operations ---- */

static void do_stream_new(void) { give_pair(K_STREAM, K_STREAM_OUT, stream_new()); }
static void do_stream_write(void) {
    int h = take(K_STREAM_OUT, 0), n, p = text(&n);
    if (!skip) stream_write(h, (const void *)p, (size_t)n);
}
static void do_stream_read(void) {
    int h = take(K_STREAM, 0);
    size_t n = (size_t)number();
    if (!skip) stream_read(h, junk, n);
}
static void do_trailers_new(void) { give_pair(K_FUTURE_TRAILERS, K_FUTURE_TRAILERS_OUT, trailers_new()); }
static void do_trailers_write(void) {
    int h = take(K_FUTURE_TRAILERS_OUT, 0);
    uint64_t *value = room(64);
    uint8_t *v = (uint8_t *)value;
    memset(v, 0, 64);
    switch (tag(3)) {
    case 0: break;
    case 1:
        v[8] = 1;
        *(int *)(v + 12) = take(K_FIELDS, 1);
        break;
    default: v[0] = 1, v[8] = (uint8_t)byte();
    }
    if (!skip) trailers_write(h, v);
}
static void do_trailers_read(void) {
    int h = take(K_FUTURE_TRAILERS, 0);
    uint8_t *to = room(64);
    if (skip) return;
    if (trailers_read(h, to) == BLOCKED) expect(h, 0, to);
    else arrived(to, 0);
}
static void do_sent_new(void) { give_pair(K_FUTURE_SENT, K_FUTURE_SENT_OUT, sent_new()); }
static void do_sent_write(void) {
    int h = take(K_FUTURE_SENT_OUT, 0);
    uint8_t *v = room(64);
    memset(v, 0, 64);
    v[0] = (uint8_t)tag(2);
    if (v[0]) v[8] = (uint8_t)byte();
    if (!skip) sent_write(h, v);
}
static void do_sent_read(void) {
    int h = take(K_FUTURE_SENT, 0);
    if (!skip) sent_read(h, room(64));
}
static void do_send(void) {
    int h = take(K_REQUEST, 1);
    uint8_t *to = room(64);
    if (skip) return;
    int s = client_send(h, to);
    if ((s & 15) == 2) {
        arrived(to, 1);
    } else {
        give(K_SUBTASK, s >> 4);
        expect(s >> 4, 1, to);
    }
}
static void do_wait_for(void) {
    int s = wait_for((int64_t)byte() * 100000);
    if ((s & 15) != 2) give(K_SUBTASK, s >> 4);
}
static void do_set_new(void) { give(K_SET, set_new()); }
static void do_set_wait(void) {
    int h = take(K_SET, 0), about[2];
    if (!skip) happened(set_wait(h, about), about);
}
static void do_set_poll(void) {
    int h = take(K_SET, 0), about[2];
    if (!skip) happened(set_poll(h, about), about);
}
static void do_join(void) {
    static const uint8_t kinds[] = {K_SUBTASK,     K_STREAM,          K_STREAM_OUT, K_FUTURE_TRAILERS, K_FUTURE_TRAILERS_OUT,
                                    K_FUTURE_SENT, K_FUTURE_SENT_OUT, K_SET};
    int w = take(kinds[byte() % (int)sizeof kinds], 0), set = byte() % 8 == 7 ? 0 : take(K_SET, 0);
    if (!skip) join(w, set);
}
static void do_task_return(void) {
    if (byte() % 8 == 7) task_return(1, byte(), 0, 0, 0, 0, 0, 0);
    else {
        int h = take(K_RESPONSE, 1);
        if (!skip) task_return(0, h, 0, 0, 0, 0, 0, 0);
    }
}
#define DO(name, kind, own, call)                                                                                                \
    static void do_##name(void) {                                                                                                \
        int h = take(kind, own);                                                                                                 \
        if (!skip) call(h);                                                                                                      \
    }
DO(stream_cancel_write, K_STREAM_OUT, 0, stream_cancel_write)
DO(stream_cancel_read, K_STREAM, 0, stream_cancel_read)
DO(stream_drop_writable, K_STREAM_OUT, 1, stream_drop_writable)
DO(stream_drop_readable, K_STREAM, 1, stream_drop_readable)
DO(trailers_cancel_write, K_FUTURE_TRAILERS_OUT, 0, trailers_cancel_write)
DO(trailers_cancel_read, K_FUTURE_TRAILERS, 0, trailers_cancel_read)
DO(trailers_drop_writable, K_FUTURE_TRAILERS_OUT, 1, trailers_drop_writable)
DO(trailers_drop_readable, K_FUTURE_TRAILERS, 1, trailers_drop_readable)
DO(sent_cancel_write, K_FUTURE_SENT_OUT, 0, sent_cancel_write)
DO(sent_cancel_read, K_FUTURE_SENT, 0, sent_cancel_read)
DO(sent_drop_writable, K_FUTURE_SENT_OUT, 1, sent_drop_writable)
DO(sent_drop_readable, K_FUTURE_SENT, 1, sent_drop_readable)
DO(subtask_cancel, K_SUBTASK, 0, subtask_cancel)
DO(subtask_drop, K_SUBTASK, 1, subtask_drop)
DO(set_drop, K_SET, 1, set_drop)

#define OP(name, fn) fn /* make.py reads the names */
static void (*const more[])(void) = {
    OP("stream.new", do_stream_new),
    OP("stream.write", do_stream_write),
    OP("stream.read", do_stream_read),
    OP("stream.cancel-write", do_stream_cancel_write),
    OP("stream.cancel-read", do_stream_cancel_read),
    OP("stream.drop-writable", do_stream_drop_writable),
    OP("stream.drop-readable", do_stream_drop_readable),
    OP("trailers.new", do_trailers_new),
    OP("trailers.write", do_trailers_write),
    OP("trailers.read", do_trailers_read),
    OP("trailers.cancel-write", do_trailers_cancel_write),
    OP("trailers.cancel-read", do_trailers_cancel_read),
    OP("trailers.drop-writable", do_trailers_drop_writable),
    OP("trailers.drop-readable", do_trailers_drop_readable),
    OP("sent.new", do_sent_new),
    OP("sent.write", do_sent_write),
    OP("sent.read", do_sent_read),
    OP("sent.cancel-write", do_sent_cancel_write),
    OP("sent.cancel-read", do_sent_cancel_read),
    OP("sent.drop-writable", do_sent_drop_writable),
    OP("sent.drop-readable", do_sent_drop_readable),
    OP("client.send", do_send),
    OP("wait-for", do_wait_for),
    OP("set.new", do_set_new),
    OP("set.wait", do_set_wait),
    OP("set.poll", do_set_poll),
    OP("set.drop", do_set_drop),
    OP("join", do_join),
    OP("subtask.cancel", do_subtask_cancel),
    OP("subtask.drop", do_subtask_drop),
    OP("task.return", do_task_return),
    OP("again", again),
};

/* ---- what is not a program ---- */

static int set;
static int await(int waitable) {
    int about[2];
    join(waitable, set);
    set_wait(set, about);
    join(waitable, 0);
    return about[1];
}
static void settle(int64_t future, int (*write)(int, const void *), void (*drop)(int)) { /* with an ok */
    static uint64_t value[16];
    if (write((int)(future >> 32), value) == BLOCKED) await((int)(future >> 32));
    drop((int)(future >> 32));
}
static void hello(void) {
    int64_t s = stream_new(), t = trailers_new();
    response_new(fields_new(), 1, (int)s, (int)t, ret);
    int response = *(int *)ret;
    sent_drop_readable(*(int *)(ret + 4));
    task_return(0, response, 0, 0, 0, 0, 0, 0);
    if (stream_write((int)(s >> 32), "hello\n", 6) == BLOCKED) await((int)(s >> 32));
    stream_drop_writable((int)(s >> 32));
    settle(t, trailers_write, trailers_drop_writable);
}
static void mirror(int request) {
    int64_t verdict = sent_new();
    request_consume_body(request, (int)verdict, ret);
    int body = *(int *)ret, trailers = *(int *)(ret + 4);
    response_new(fields_new(), 1, body, trailers, ret);
    sent_drop_readable(*(int *)(ret + 4));
    task_return(0, *(int *)ret, 0, 0, 0, 0, 0, 0);
    settle(verdict, sent_write, sent_drop_writable);
}
static void proxy(int request) {
    int64_t verdict = sent_new(), answered = sent_new();
    request_consume_body(request, (int)verdict, ret);
    int body = *(int *)ret, trailers = *(int *)(ret + 4);
    request_new(fields_new(), 1, body, trailers, 0, 0, ret);
    int up = *(int *)ret;
    sent_drop_readable(*(int *)(ret + 4));
    request_set_method(up, 2, 0, 0);
    request_set_scheme(up, 1, 0, 0, 0);
    request_set_authority(up, 1, (int)authority, (int)authority_n);
    request_set_path_with_query(up, 1, (int)"/up", 3);
    static uint64_t to[16];
    int s = client_send(up, to);
    if ((s & 15) != 2) {
        while (await(s >> 4) != 2) {}
        subtask_drop(s >> 4);
    }
    if (((uint8_t *)to)[0]) {
        task_return(1, 38, 0, 0, 0, 0, 0, 0);
    } else {
        int response = ((int *)to)[2], status = response_get_status_code(response);
        response_consume_body(response, (int)answered, ret);
        body = *(int *)ret, trailers = *(int *)(ret + 4);
        response_new(fields_new(), 1, body, trailers, ret);
        response = *(int *)ret;
        response_set_status_code(response, status);
        sent_drop_readable(*(int *)(ret + 4));
        task_return(0, response, 0, 0, 0, 0, 0, 0);
        settle(answered, sent_write, sent_drop_writable);
    }
    settle(verdict, sent_write, sent_drop_writable);
}

EXPORT("[async-lift-stackful]wasi:http/handler@0.3.0#handle") void handle(int request) {
    request_get_path_with_query(request, ret);
    if (ret[0]) path = *(const char **)(ret + 4), path_n = *(size_t *)(ret + 8);
    set = set_new();
    if (is("/mirror")) return mirror(request);
    if (!is("/p") && !is("/proxy")) return hello();
    read_program();
    if (is("/proxy")) return proxy(request);
    give(K_REQUEST, request);
    enum { OPS = sizeof ops / sizeof *ops, MORE = sizeof more / sizeof *more };
    while (at < program_n) {
        unsigned i = (unsigned)byte() % (OPS + MORE);
        skip = 0;
        (i < OPS ? ops[i] : more[i - OPS])();
    }
}
