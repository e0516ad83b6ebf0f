/* A WASI 0.3 HTTP component that does what the path says, as httpops.c does for 0.2: a small language over the objects of wasi:http.
 *
 *   an object is a letter:  q request served   s its bytes   T its trailers to come
 *                           R response made    W its bytes   D its trailers   n how it was sent
 *                           Q request made     w its bytes   d its trailers   m how it was sent
 *                           f response to come   r response  S its bytes      U its trailers to come
 *   +X gets or makes X (+e, +k: R and Q without bytes)   -X drops it   !X finishes trailers, answers (!o)   .X writes 5 bytes   :X writes
 *   4096 without waiting   <X reads to the end   ,X reads once   ~X waits for X   cN content-length N   mN method
 *   p. has the served request go to where Q goes   +g sends it   eX answers with an error   x traps
 *
 * Behind '?' stands the authority that Q is for. What came of each is told in the response, if none was given before.
 * Made as http3.wasm is (http3.c), of httpops3.wit. */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define TYPES "wasi:http/types@0.3.0"
#define HANDLER "wasi:http/handler@0.3.0"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[method]fields.append") void fields_append(int, const char *, size_t, const void *, size_t, void *ret);
IMPORT(TYPES, "[static]response.new") void response_new(int headers, int some, int stream, int trailers, void *ret);
IMPORT(TYPES, "[static]response.consume-body") void response_consume(int, int result, void *ret);
IMPORT(TYPES, "[method]response.get-status-code") int response_status(int);
IMPORT(TYPES, "[resource-drop]response") void response_drop(int);
IMPORT(TYPES, "[static]request.new")
void request_new(int headers, int some, int stream, int trailers, int has_options, int options, void *ret);
IMPORT(TYPES, "[static]request.consume-body") void request_consume(int, int result, void *ret);
IMPORT(TYPES, "[method]request.get-path-with-query") void request_path(int, void *ret);
IMPORT(TYPES, "[method]request.set-method") int request_method(int, int tag, const char *, size_t);
IMPORT(TYPES, "[method]request.set-scheme") int request_scheme(int, int some, int tag, const char *, size_t);
IMPORT(TYPES, "[method]request.set-authority") int request_authority(int, int some, const char *, size_t);
IMPORT(TYPES, "[method]request.set-path-with-query") int request_set_path(int, int some, const char *, size_t);
IMPORT(TYPES, "[resource-drop]request") void request_drop(int);
IMPORT(TYPES, "[stream-new-0][static]response.new") int64_t stream_new(void);
IMPORT(TYPES, "[async-lower][stream-write-0][static]response.new") int stream_write(int, const void *, size_t);
IMPORT(TYPES, "[stream-cancel-write-0][static]response.new") int stream_cancel(int);
IMPORT(TYPES, "[stream-drop-writable-0][static]response.new") void writer_drop(int);
IMPORT(TYPES, "[async-lower][stream-read-1][static]request.consume-body") int stream_read(int, void *, size_t);
IMPORT(TYPES, "[stream-drop-readable-1][static]request.consume-body") void reader_drop(int);
IMPORT(TYPES, "[future-new-1][static]response.new") int64_t trailers_new(void);
IMPORT(TYPES, "[async-lower][future-write-1][static]response.new") int trailers_write(int, const void *);
IMPORT(TYPES, "[future-drop-writable-1][static]response.new") void trailers_writer_drop(int);
IMPORT(TYPES, "[async-lower][future-read-2][static]request.consume-body") int trailers_read(int, void *);
IMPORT(TYPES, "[future-drop-readable-2][static]request.consume-body") void trailers_drop(int);
IMPORT(TYPES, "[async-lower][future-read-2][static]response.new") int sent_read(int, void *);
IMPORT(TYPES, "[future-drop-readable-2][static]response.new") void sent_drop(int);
IMPORT(TYPES, "[future-new-0][static]request.consume-body") int64_t verdict_new(void);
IMPORT(TYPES, "[async-lower][future-write-0][static]request.consume-body") int verdict_write(int, const void *);
IMPORT(TYPES, "[future-drop-writable-0][static]request.consume-body") void verdict_drop(int);
IMPORT("wasi:http/client@0.3.0", "[async-lower]send") int client_send(int request, void *ret);
IMPORT("[export]" HANDLER, "[task-return]handle") void task_return(int is_err, int, int, int64_t, int, int, int, int);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-drop]") void set_drop(int);
IMPORT("$root", "[waitable-set-wait]") int set_wait(int set, void *event);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[subtask-drop]") void subtask_drop(int);
IMPORT("$root", "[subtask-cancel]") int subtask_cancel(int);

enum { BLOCKED = -1, COMPLETED = 0 };

static uint8_t heap[1 << 18] __attribute__((aligned(16)));
static size_t used;
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t n, size_t align, size_t size) {
    used = (used + align - 1) & ~(align - 1);
    if (used + size > sizeof heap) __builtin_trap();
    void *p = heap + used;
    used += size;
    return p;
}

static union ret {
    uint8_t b[128];
    int32_t i[32];
} r __attribute__((aligned(16))), sent_result __attribute__((aligned(16))); /* of a send: for as long as it runs */

static char text[16384];
static size_t text_n;
static void say(const char *s) {
    while (*s && text_n < sizeof text) text[text_n++] = *s++;
}
static void say_number(uint32_t v) {
    char digits[12];
    int i = 12;
    do digits[--i] = (char)('0' + v % 10);
    while (v /= 10);
    while (i < 12 && text_n < sizeof text) text[text_n++] = digits[i++];
}

static int at[128], set, length = -1, method, returned, going; /* going: the send that f stands for has not returned */
static const char *authority;
static size_t authority_n;
static uint8_t bytes[65536];

static int take(char x) {
    int h = at[(int)x];
    at[(int)x] = 0;
    return h;
}

static int await(int waitable) {
    int event[2];
    join(waitable, set);
    set_wait(set, event);
    join(waitable, 0);
    return event[1];
}

static int fields(void) {
    int f = fields_new();
    char digit = (char)('0' + length);
    if (length >= 0) {
        fields_append(f, "content-length", 14, &digit, 1, &r);
        if (r.b[0]) say("refused");
    }
    length = -1;
    return f;
}

static void new_ends(char stream, char trailers, int *s, int *t) {
    int64_t ends = stream ? stream_new() : 0, future = trailers_new();
    if (stream) at[(int)stream] = (int)(ends >> 32);
    at[(int)trailers] = (int)(future >> 32);
    *s = (int)ends;
    *t = (int)future;
}

static void aim(int request) {
    request_scheme(request, 1, 0, NULL, 0);
    request_authority(request, 1, authority, authority_n);
    request_set_path(request, 1, "/made", 5);
}

static void consume(char from, char stream, char trailers) {
    uint64_t ok[8] = {0};
    int64_t v = verdict_new();
    if (from == 'q') request_consume(take('q'), (int)v, &r);
    else response_consume(take('r'), (int)v, &r);
    at[(int)stream] = r.i[0];
    at[(int)trailers] = r.i[1];
    if (verdict_write((int)(v >> 32), ok) == BLOCKED) await((int)(v >> 32));
    verdict_drop((int)(v >> 32));
}

static void answered(void) {
    if (sent_result.b[0]) say("error"), say_number(sent_result.b[8]);
    else at['r'] = sent_result.i[2], say_number((uint32_t)response_status(at['r']));
}

static void send(int request) {
    int s = client_send(request, &sent_result);
    going = (s & 15) != 2;
    at['f'] = s >> 4;
    if (!going) answered();
}

static void make(char x) {
    int stream, trailers;
    switch (x) {
    case 's':
        if (at['q']) consume('q', 's', 'T');
        break;
    case 'S':
        if (at['r']) consume('r', 'S', 'U');
        break;
    case 'R':
    case 'e':
        new_ends(x == 'R' ? 'W' : 0, 'D', &stream, &trailers);
        response_new(fields(), x == 'R', stream, trailers, &r);
        at['R'] = r.i[0];
        at['n'] = r.i[1];
        break;
    case 'Q':
    case 'k':
        new_ends(x == 'Q' ? 'w' : 0, 'd', &stream, &trailers);
        request_new(fields(), x == 'Q', stream, trailers, 0, 0, &r);
        at['Q'] = r.i[0];
        at['m'] = r.i[1];
        request_method(at['Q'], method, NULL, 0);
        aim(at['Q']);
        break;
    case 'f':
        if (at['Q']) send(take('Q'));
        break;
    case 'g':
        if (at['q']) send(take('q'));
        break;
    }
}

static void drop(char x) {
    static const struct {
        char x;
        void (*fn)(int);
    } rows[] = {{'q', request_drop}, {'s', reader_drop},          {'T', trailers_drop}, {'R', response_drop},
                {'W', writer_drop},  {'D', trailers_writer_drop}, {'n', sent_drop},     {'Q', request_drop},
                {'w', writer_drop},  {'d', trailers_writer_drop}, {'m', sent_drop},     {'r', response_drop},
                {'S', reader_drop},  {'U', trailers_drop}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].x == x && at[(int)x]) rows[i].fn(take(x));
    if (x == 'f' && going) {
        int state = subtask_cancel(at['f']);
        going = 0;
        say_number((uint32_t)state);
        subtask_drop(take('f'));
    }
}

static void finish(char x) {
    uint64_t none[8] = {0};
    if (x == 'o' && at['R'] && !returned) {
        returned = 1;
        task_return(0, take('R'), 0, 0, 0, 0, 0, 0);
    }
    if ((x != 'D' && x != 'd') || !at[(int)x]) return;
    if (trailers_write(at[(int)x], none) == BLOCKED) await(at[(int)x]);
    trailers_writer_drop(take(x));
}

static void put(char x, int wait) {
    if ((x != 'W' && x != 'w') || !at[(int)x]) return;
    int s = stream_write(at[(int)x], wait ? (const void *)"hello" : bytes, wait ? 5 : 4096);
    if (s == BLOCKED) s = wait ? await(at[(int)x]) : stream_cancel(at[(int)x]);
    say_number((uint32_t)s >> 4);
    if ((s & 15) == 1) say("dropped");
}

static void read(char x, int all) {
    uint32_t total = 0;
    int s;
    if ((x != 'S' && x != 's') || !at[(int)x]) return;
    do {
        s = stream_read(at[(int)x], bytes, sizeof bytes);
        if (s == BLOCKED) s = await(at[(int)x]);
        total += (uint32_t)s >> 4;
    } while (all && (s & 15) == COMPLETED);
    say_number(total);
    if ((s & 15) == 1) say("end");
}

static void wait(char x) {
    int h = at[(int)x];
    if (!h) return;
    if (x == 'f' && going) {
        while (await(h) != 2) {}
        subtask_drop(take('f'));
        going = 0;
        answered();
    }
    if (x == 'T' || x == 'U') {
        if (trailers_read(h, &r) == BLOCKED) await(h);
        trailers_drop(take(x));
    } else if (x == 'n' || x == 'm') {
        if (sent_read(h, &r) == BLOCKED) await(h);
        sent_drop(take(x));
    } else {
        return;
    }
    if (r.b[0]) say("error"), say_number(r.b[8]);
    else say("ok");
}

static void step(char verb, char x) {
    text[text_n++] = verb;
    text[text_n++] = x;
    switch (verb) {
    case '+': make(x); break;
    case '-': drop(x); break;
    case '!': finish(x); break;
    case '.': put(x, 1); break;
    case ':': put(x, 0); break;
    case '<': read(x, 1); break;
    case ',': read(x, 0); break;
    case '~': wait(x); break;
    case 'c': length = x - '0'; break;
    case 'm': method = x - '0'; break;
    case 'p':
        if (at['q']) aim(at['q']);
        break;
    case 'e':
        if (!returned) task_return(1, 38, 0, 0, 0, 0, 0, 0);
        returned = 1;
        break;
    case 'x': __builtin_trap();
    }
    say(" ");
}

static void tell(void) {
    if (returned) return;
    uint64_t none[8] = {0};
    int64_t s = stream_new(), f = trailers_new();
    length = -1;
    response_new(fields(), 1, (int)s, (int)f, &r);
    sent_drop(r.i[1]);
    task_return(0, r.i[0], 0, 0, 0, 0, 0, 0);
    say("\n");
    for (size_t i = 0; i < text_n;) {
        int n = stream_write((int)(s >> 32), text + i, text_n - i);
        if (n == BLOCKED) n = await((int)(s >> 32));
        i += (uint32_t)n >> 4;
        if ((n & 15) != COMPLETED) break;
    }
    writer_drop((int)(s >> 32));
    if (trailers_write((int)(f >> 32), none) == BLOCKED) await((int)(f >> 32));
    trailers_writer_drop((int)(f >> 32));
}

__attribute__((export_name("[async-lift-stackful]" HANDLER "#handle"))) void handle(int request) {
    request_path(request, &r);
    const char *ops = (const char *)(intptr_t)r.i[1] + 1;
    size_t n = (size_t)r.i[2] - 1, end = 0;
    while (end < n && ops[end] != '?') end++;
    authority = ops + end + 1;
    authority_n = end < n ? n - end - 1 : 0;
    set = set_new();
    at['q'] = request;
    for (size_t i = 0; i + 1 < end && text_n + 64 < sizeof text; i += 2) step(ops[i], ops[i + 1]);
    tell();
}
