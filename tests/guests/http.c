/* A WASI 0.2 HTTP component for tests, by hand against the canonical ABI: well-behaved on some paths, badly on others.
 *
 * http.wasm is checked in, because Debian has no tool that makes a component of a core module. To make it anew:
 *   mkdir wit && cp -r http.wit ../../wit/wasi-0.2/deps wit/
 *   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o core.wasm http.c
 *   wasm-tools component embed wit -w http-guest core.wasm -o embedded.wasm
 *   wasm-tools component new embedded.wasm -o http.wasm
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define TYPES "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[method]fields.append")
void fields_append(int self, const char *name, size_t n, const void *value, size_t m, void *ret);
IMPORT(TYPES, "[constructor]outgoing-response") int response_new(int fields);
IMPORT(TYPES, "[method]outgoing-response.set-status-code") int response_set_status(int self, int status);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int self, void *ret);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(int self, void *ret);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(int self, int some, int trailers, void *ret);
IMPORT(TYPES, "[static]response-outparam.set")
void outparam_set(int outparam, int is_err, int a, int b, int64_t c, int d, int e, int f, int g);
IMPORT(TYPES, "[resource-drop]response-outparam") void outparam_drop(int);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(int self, void *ret);
IMPORT(TYPES, "[method]incoming-request.consume") void request_consume(int self, void *ret);
IMPORT(TYPES, "[resource-drop]incoming-request") void request_drop(int);
IMPORT(TYPES, "[method]incoming-body.stream") void incoming_stream(int self, void *ret);
IMPORT(TYPES, "[resource-drop]incoming-body") void incoming_drop(int);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void stream_write(int self, const void *p, size_t n, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-splice") void stream_splice(int self, int from, uint64_t n, void *ret);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(int);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(int);
IMPORT("wasi:cli/stderr@0.2.12", "get-stderr") int get_stderr(void);

void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}
void *memset(void *to, int c, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = (char)c;
    return to;
}

static uint8_t heap[1 << 17] __attribute__((aligned(8)));
static size_t heap_used;
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_n, size_t align, size_t n) {
    heap_used = (heap_used + align - 1) & ~(align - 1);
    void *p = heap + heap_used;
    heap_used += n;
    if (heap_used > sizeof heap) __builtin_trap();
    if (old) memcpy(p, old, old_n < n ? old_n : n);
    return p;
}

/* A result lowered to memory: the case at 0, a 32-bit payload at 4, a 64-bit one at 8. */
union ret {
    uint8_t is_err;
    int32_t word[16];
};
static int ok(const union ret *r) {
    if (r->is_err) __builtin_trap();
    return r->word[1];
}

static size_t length(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}
static const char *path;
static size_t path_n;
static int is(const char *s) {
    size_t n = 0;
    while (n < path_n && s[n] && s[n] == path[n]) n++;
    return !s[n] && (n == path_n || path[n] == '?');
}

static int body, out; /* of the response */
static void respond(int outparam, int status) {
    union ret r;
    int fields = fields_new();
    fields_append(fields, "content-type", 12, "text/plain", 10, &r);
    int response = response_new(fields);
    if (response_set_status(response, status)) __builtin_trap();
    response_body(response, &r);
    body = ok(&r);
    outparam_set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
    body_write(body, &r);
    out = ok(&r);
}
static void put(const void *p, size_t n) {
    union ret r;
    for (size_t k; n; n -= k, p = (const char *)p + k) {
        k = n < 4096 ? n : 4096; /* what blocking-write-and-flush takes */
        stream_write(out, p, k, &r);
        ok(&r);
    }
}
static void puts_(const char *s) { put(s, length(s)); }
static void finish(void) {
    union ret r;
    output_drop(out);
    body_finish(body, 0, 0, &r);
    ok(&r);
}

static void echo(int request, int outparam) {
    union ret r;
    request_consume(request, &r);
    int incoming = ok(&r);
    incoming_stream(incoming, &r);
    int in = ok(&r);
    respond(outparam, 200);
    do stream_splice(out, in, 1 << 20, &r);
    while (!r.is_err); /* closed: the end */
    input_drop(in);
    incoming_drop(incoming);
    finish();
}

static unsigned counter;

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int outparam) {
    union ret r;
    request_path(request, &r);
    if (r.is_err) path = (const char *)(intptr_t)r.word[1], path_n = (size_t)r.word[2]; /* option: the case is `some` */
    counter++;
    if (is("/echo")) {
        echo(request, outparam);
        return;
    }
    if (is("/trap")) __builtin_trap();
    if (is("/loop"))
        for (volatile int i = 0;; i++) {}
    if (is("/noreply")) {
        outparam_drop(outparam);
        return;
    }
    if (is("/forgets")) return;
    if (is("/error")) { /* Err(internal-error(none)): the last case of error-code */
        outparam_set(outparam, 1, 38, 0, 0, 0, 0, 0, 0);
        return;
    }
    if (is("/stderr")) {
        int err = get_stderr();
        stream_write(err, "one\ntwo\n", 8, &r);
        output_drop(err);
    }
    respond(outparam, is("/teapot") ? 418 : 200);
    if (is("/twice")) respond(outparam, 200); /* the handle is gone: a trap, with the head out */
    if (is("/half")) {
        puts_("half of it");
        __builtin_trap();
    }
    if (is("/unfinished")) {
        puts_("no end");
        return;
    }
    if (is("/after")) {
        finish();
        puts_("too late"); /* the stream is gone: a trap */
    }
    if (is("/big")) {
        static char piece[4096];
        for (size_t i = 0; i < sizeof piece; i++) piece[i] = 'x';
        for (int i = 0; i < 4096; i++) put(piece, sizeof piece);
    }
    puts_("hello from ");
    put(path, path_n);
    puts_("\n");
    if (is("/counter")) put(counter == 1 ? "1" : "more", counter == 1 ? 1 : 4);
    finish();
    request_drop(request);
}
