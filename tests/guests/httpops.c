/* A WASI 0.2 HTTP component that does what the path says: a small language over the objects of wasi:http, so that a test can bring each of
 * them into any state, drop it there, and look.
 *
 *   an object is a letter:  q request served   i its body   s its bytes   o outparam   F fields   T trailers to come
 *                           R response made    B its body   W its bytes
 *                           Q request made     b its body   w its bytes   f response to come   r response   I its body   S its bytes
 *   +X gets or makes X   -X drops it   !X finishes a body, sets the response (!o)   .X writes 5 bytes   :X writes 4096 without waiting
 *   *X writes as long as there is room
 *   <X reads to the end   ,X reads once   ~X waits for X   cN content-length N, for the next F, R or Q   mN method   nN status 200 + N
 *   eX sets the outparam to an error   x traps   what an object is missing for is passed over
 *
 * Behind '?' stands the authority that Q is for. What came of each is told in the response, if there is still one to give, and else in a
 * line on stderr. Made as http.wasm is (http.c), of httpops.wit. */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface "@0.2.12"), import_name(name)))
#define TYPES "wasi:http/types"
#define STREAMS "wasi:io/streams"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[method]fields.append") void fields_append(int, const char *, size_t, const void *, size_t, void *ret);
IMPORT(TYPES, "[resource-drop]fields") void fields_drop(int);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(int, void *ret);
IMPORT(TYPES, "[method]incoming-request.consume") void request_consume(int, void *ret);
IMPORT(TYPES, "[resource-drop]incoming-request") void request_drop(int);
IMPORT(TYPES, "[method]incoming-body.stream") void incoming_stream(int, void *ret);
IMPORT(TYPES, "[static]incoming-body.finish") int incoming_finish(int);
IMPORT(TYPES, "[resource-drop]incoming-body") void incoming_drop(int);
IMPORT(TYPES, "[method]future-trailers.subscribe") int trailers_subscribe(int);
IMPORT(TYPES, "[method]future-trailers.get") void trailers_get(int, void *ret);
IMPORT(TYPES, "[resource-drop]future-trailers") void trailers_drop(int);
IMPORT(TYPES, "[constructor]outgoing-response") int response_new(int fields);
IMPORT(TYPES, "[method]outgoing-response.set-status-code") int response_set_status(int, int);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int, void *ret);
IMPORT(TYPES, "[resource-drop]outgoing-response") void response_drop(int);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(int, void *ret);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(int, int some, int trailers, void *ret);
IMPORT(TYPES, "[resource-drop]outgoing-body") void body_drop(int);
IMPORT(TYPES, "[static]response-outparam.set") void outparam_set(int, int is_err, int, int, int64_t, int, int, int, int);
IMPORT(TYPES, "[resource-drop]response-outparam") void outparam_drop(int);
IMPORT(TYPES, "[constructor]outgoing-request") int outgoing_new(int fields);
IMPORT(TYPES, "[method]outgoing-request.set-method") int outgoing_method(int, int tag, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-scheme") int outgoing_scheme(int, int some, int tag, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-authority") int outgoing_authority(int, int some, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-path-with-query") int outgoing_path(int, int some, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.body") void outgoing_body(int, void *ret);
IMPORT(TYPES, "[resource-drop]outgoing-request") void outgoing_drop(int);
IMPORT("wasi:http/outgoing-handler", "handle") void outgoing_handle(int, int some, int options, void *ret);
IMPORT(TYPES, "[method]future-incoming-response.subscribe") int future_subscribe(int);
IMPORT(TYPES, "[method]future-incoming-response.get") void future_get(int, void *ret);
IMPORT(TYPES, "[resource-drop]future-incoming-response") void future_drop(int);
IMPORT(TYPES, "[method]incoming-response.status") int answer_status(int);
IMPORT(TYPES, "[method]incoming-response.consume") void answer_consume(int, void *ret);
IMPORT(TYPES, "[resource-drop]incoming-response") void answer_drop(int);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void stream_write(int, const void *, size_t, void *ret);
IMPORT(STREAMS, "[method]output-stream.check-write") void stream_check(int, void *ret);
IMPORT(STREAMS, "[method]output-stream.write") void stream_put(int, const void *, size_t, void *ret);
IMPORT(STREAMS, "[method]output-stream.subscribe") int output_subscribe(int);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(int);
IMPORT(STREAMS, "[method]input-stream.blocking-read") void stream_read(int, uint64_t, void *ret);
IMPORT(STREAMS, "[method]input-stream.subscribe") int input_subscribe(int);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(int);
IMPORT("wasi:io/poll", "[method]pollable.block") void poll_block(int);
IMPORT("wasi:io/poll", "[resource-drop]pollable") void poll_drop(int);
IMPORT("wasi:cli/stderr", "get-stderr") int get_stderr(void);

void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

static uint8_t heap[1 << 20] __attribute__((aligned(8)));
static size_t used, kept;
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_n, size_t align, size_t n) {
    used = (used + align - 1) & ~(align - 1);
    if (used + n > sizeof heap) used = (kept + align - 1) & ~(align - 1); /* what lies there has been looked at */
    void *p = heap + used;
    used += n;
    if (old) memcpy(p, old, old_n < n ? old_n : n);
    return p;
}

union ret {
    uint8_t b[96];
    int32_t w[24];
} __attribute__((aligned(8)));

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

static int at[128], length = -1, method, status = 200;
static const char *authority;
static size_t authority_n;
static const uint8_t zeroes[4096];

/* The handle goes away with the call. */
static int take(char x) {
    int h = at[(int)x];
    at[(int)x] = 0;
    return h;
}

static int fields(void) {
    union ret r;
    int f = at['F'] ? take('F') : fields_new();
    char digit = (char)('0' + length);
    if (length >= 0) fields_append(f, "content-length", 14, &digit, 1, &r);
    if (length >= 0 && r.b[0]) say("refused");
    length = -1;
    return f;
}

/* ok with a handle for x, or an error. */
static void got(char x, const union ret *r) {
    if (r->b[0]) say("error");
    else {
        at[(int)x] = r->w[1];
        say("ok");
    }
}

static void get_answer(int future) {
    static union ret r; /* option<result<result<incoming-response, error-code>>>: at 0, 8, 16, its payload at 24 */
    future_get(future, &r);
    if (!r.b[0]) say("none");
    else if (r.b[8]) say("taken");
    else if (r.b[16]) say("error"), say_number(r.b[24]);
    else at['r'] = r.w[6], say_number((uint32_t)answer_status(r.w[6]));
}

static void get_trailers(int future) {
    static union ret r; /* option<result<result<option<trailers>, error-code>>> */
    trailers_get(future, &r);
    if (!r.b[0]) say("none");
    else if (r.b[8]) say("taken");
    else if (r.b[16]) say("error"), say_number(r.b[24]);
    else say(r.b[24] ? "trailers" : "ok");
}

static void make(char x) {
    union ret r;
    switch (x) {
    case 'i':
        if (at['q']) request_consume(at['q'], &r), got(x, &r);
        break;
    case 's':
        if (at['i']) incoming_stream(at['i'], &r), got(x, &r);
        break;
    case 'S':
        if (at['I']) incoming_stream(at['I'], &r), got(x, &r);
        break;
    case 'T':
        if (at['I'] || at['i']) at['T'] = incoming_finish(take(at['I'] ? 'I' : 'i'));
        break;
    case 't':
        if (at['T']) get_trailers(at['T']);
        break;
    case 'F': at['F'] = fields(); break;
    case 'R':
        at['R'] = response_new(fields());
        response_set_status(at['R'], status);
        break;
    case 'B':
        if (at['R']) response_body(at['R'], &r), got(x, &r);
        break;
    case 'W':
        if (at['B']) body_write(at['B'], &r), got(x, &r);
        break;
    case 'Q':
        at['Q'] = outgoing_new(fields());
        outgoing_method(at['Q'], method, NULL, 0);
        outgoing_scheme(at['Q'], 1, 0, NULL, 0);
        outgoing_authority(at['Q'], 1, authority, authority_n);
        outgoing_path(at['Q'], 1, "/made", 5);
        break;
    case 'b':
        if (at['Q']) outgoing_body(at['Q'], &r), got(x, &r);
        break;
    case 'w':
        if (at['b']) body_write(at['b'], &r), got(x, &r);
        break;
    case 'f':
        if (!at['Q']) break;
        outgoing_handle(take('Q'), 0, 0, &r);
        if (r.b[0]) say("error"), say_number(r.b[8]);
        else at['f'] = r.w[2];
        break;
    case 'r':
        if (at['f']) get_answer(at['f']);
        break;
    case 'I':
        if (at['r']) answer_consume(at['r'], &r), got(x, &r);
        break;
    }
}

static void drop(char x) {
    static const struct {
        char x;
        void (*fn)(int);
    } rows[] = {{'q', request_drop}, {'i', incoming_drop}, {'s', input_drop},    {'o', outparam_drop},
                {'F', fields_drop},  {'T', trailers_drop}, {'R', response_drop}, {'B', body_drop},
                {'W', output_drop},  {'Q', outgoing_drop}, {'b', body_drop},     {'w', output_drop},
                {'f', future_drop},  {'r', answer_drop},   {'I', incoming_drop}, {'S', input_drop}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].x == x && at[(int)x]) rows[i].fn(take(x));
}

static void finish(char x) {
    union ret r;
    if (!at[(int)x]) return;
    if (x == 'o') {
        if (at['R']) outparam_set(take('o'), 0, take('R'), 0, 0, 0, 0, 0, 0);
        return;
    }
    if (x != 'B' && x != 'b') return;
    body_finish(take(x), 0, 0, &r);
    if (r.b[0]) say("error"), say_number(r.b[8]);
    else say("ok");
}

static void put(char x, int wait) {
    union ret r;
    if (!at[(int)x] || (x != 'W' && x != 'w')) return;
    if (wait) {
        stream_write(at[(int)x], "hello", 5, &r);
    } else {
        stream_check(at[(int)x], &r);
        uint32_t room = (uint32_t)r.w[2];
        if (!r.b[0] && room) stream_put(at[(int)x], zeroes, room < sizeof zeroes ? room : sizeof zeroes, &r);
    }
    if (r.b[0]) say("error"), say_number(r.b[wait ? 4 : 4]);
    else say("ok");
}

/* As much as there is room for. */
static void fill(char x) {
    union ret r;
    uint32_t blocks = 0;
    if (!at[(int)x] || (x != 'W' && x != 'w')) return;
    for (;; blocks++) {
        stream_check(at[(int)x], &r);
        if (r.b[0] || !r.w[2]) break;
        stream_put(at[(int)x], zeroes, (uint32_t)r.w[2] < sizeof zeroes ? (uint32_t)r.w[2] : sizeof zeroes, &r);
        if (r.b[0]) break;
    }
    say(r.b[0] ? "error" : "full");
    say_number(blocks / 256);
}

static void read(char x, int all) {
    union ret r;
    uint32_t bytes = 0;
    if (!at[(int)x] || (x != 'S' && x != 's')) return;
    do {
        stream_read(at[(int)x], 60000, &r);
        if (!r.b[0]) bytes += (uint32_t)r.w[2];
    } while (all && !r.b[0]);
    say_number(bytes);
    if (r.b[0]) say(r.b[4] ? "end" : "error");
}

static void wait(char x) {
    int h = at[(int)x];
    if (!h) return;
    int p = x == 'f'               ? future_subscribe(h)
            : x == 'T'             ? trailers_subscribe(h)
            : x == 'W' || x == 'w' ? output_subscribe(h)
            : x == 'S' || x == 's' ? input_subscribe(h)
                                   : 0;
    if (!p) return;
    poll_block(p);
    poll_drop(p);
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
    case '*': fill(x); break;
    case '<': read(x, 1); break;
    case ',': read(x, 0); break;
    case '~': wait(x); break;
    case 'c': length = x - '0'; break;
    case 'm': method = x - '0'; break;
    case 'n': status = x == '9' ? 304 : 200 + (x - '0'); break;
    case 'e':
        if (at['o']) outparam_set(take('o'), 1, 38, 0, 0, 0, 0, 0, 0);
        break;
    case 'x': __builtin_trap();
    }
    say(" ");
}

static void tell(void) {
    union ret r;
    int out, body = 0;
    if (at['o']) {
        length = -1;
        int response = response_new(fields());
        response_body(response, &r);
        body = r.w[1];
        outparam_set(take('o'), 0, response, 0, 0, 0, 0, 0, 0);
        body_write(body, &r);
        out = r.w[1];
    } else {
        out = get_stderr();
    }
    say("\n");
    for (size_t i = 0; i < text_n; i += 4096) stream_write(out, text + i, text_n - i < 4096 ? text_n - i : 4096, &r);
    output_drop(out);
    if (body) body_finish(body, 0, 0, &r);
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int outparam) {
    union ret r;
    request_path(request, &r);
    const char *ops = (const char *)(intptr_t)r.w[1] + 1;
    size_t n = (size_t)r.w[2] - 1, end = 0;
    kept = used;
    while (end < n && ops[end] != '?') end++;
    authority = ops + end + 1;
    authority_n = end < n ? n - end - 1 : 0;
    at['q'] = request;
    at['o'] = outparam;
    for (size_t i = 0; i + 1 < end && text_n + 64 < sizeof text; i += 2) step(ops[i], ops[i + 1]);
    tell();
}
