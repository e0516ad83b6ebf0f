/* A WASI 0.2 HTTP component that asks for what its query says, for tests: GET /http?AUTHORITY or /https?AUTHORITY answers
 * "status N", or "failed N", N being the case of error-code.
 *
 * fetch.wasm is checked in, because Debian has no tool that makes a component of a core module. To make it anew:
 *   mkdir wit && cp -r fetch.wit ../../wit/wasi-0.2/deps wit/
 *   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o core.wasm fetch.c
 *   wasm-tools component embed wit -w fetch-guest core.wasm -o embedded.wasm
 *   wasm-tools component new embedded.wasm -o fetch.wasm
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define TYPES "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"
#define POLL "wasi:io/poll@0.2.12"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[constructor]outgoing-response") int response_new(int fields);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int self, void *ret);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(int self, void *ret);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(int self, int some, int trailers, void *ret);
IMPORT(TYPES, "[static]response-outparam.set")
void outparam_set(int outparam, int is_err, int a, int b, int64_t c, int d, int e, int f, int g);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(int self, void *ret);
IMPORT(TYPES, "[constructor]outgoing-request") int request_new(int fields);
IMPORT(TYPES, "[method]outgoing-request.set-path-with-query") int request_set_path(int self, int some, const char *p, size_t n);
IMPORT(TYPES, "[method]outgoing-request.set-scheme") int request_set_scheme(int self, int some, int tag, const char *p, size_t n);
IMPORT(TYPES, "[method]outgoing-request.set-authority") int request_set_authority(int self, int some, const char *p, size_t n);
IMPORT(TYPES, "[method]future-incoming-response.subscribe") int future_subscribe(int self);
IMPORT(TYPES, "[method]future-incoming-response.get") void future_get(int self, void *ret);
IMPORT(TYPES, "[method]incoming-response.status") int incoming_status(int self);
IMPORT("wasi:http/outgoing-handler@0.2.12", "handle") void outgoing_handle(int request, int some, int options, void *ret);
IMPORT(POLL, "[method]pollable.block") void pollable_block(int);
IMPORT(POLL, "[resource-drop]pollable") void pollable_drop(int);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void stream_write(int self, const void *p, size_t n, void *ret);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(int);

static uint8_t heap[1 << 16] __attribute__((aligned(8)));
static size_t heap_used;
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_n, size_t align, size_t n) {
    heap_used = (heap_used + align - 1) & ~(align - 1);
    void *p = heap + heap_used;
    heap_used += n;
    if (old || heap_used > sizeof heap) __builtin_trap();
    return p;
}

union ret {
    uint8_t b[64];
    int32_t word[16];
};
static int ok(const union ret *r) {
    if (r->b[0]) __builtin_trap();
    return r->word[1];
}

/* 1000 and more: a status; less: the case of error-code. */
static int fetch(const char *authority, size_t n, int https) {
    union ret r;
    int request = request_new(fields_new());
    if (request_set_scheme(request, 1, https, 0, 0) || request_set_path(request, 1, "/", 1)) __builtin_trap();
    if (request_set_authority(request, 1, authority, n)) return 999;
    outgoing_handle(request, 0, 0, &r);
    if (r.b[0]) return r.b[8];
    int future = r.word[2], ready = future_subscribe(future);
    pollable_block(ready);
    pollable_drop(ready);
    future_get(future, &r); /* option<result<result<response, error-code>>> */
    if (!r.b[0] || r.b[8]) __builtin_trap();
    return r.b[16] ? r.b[24] : 1000 + incoming_status(r.word[6]);
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int outparam) {
    union ret r;
    request_path(request, &r);
    const char *path = (const char *)r.word[1];
    size_t n = (size_t)r.word[2], at = 0;
    while (at < n && path[at] != '?') at++;
    int got = at < n ? fetch(path + at + 1, n - at - 1, at == 6) : 1000, v = got >= 1000 ? got - 1000 : got;
    char text[] = "status ...\n", wrong[] = "failed ...\n", *to = got >= 1000 ? text : wrong;
    for (int i = 9; i >= 7; i--, v /= 10) to[i] = (char)('0' + v % 10);
    int response = response_new(fields_new());
    response_body(response, &r);
    int body = ok(&r);
    outparam_set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
    body_write(body, &r);
    int out = ok(&r);
    stream_write(out, to, 11, &r);
    output_drop(out);
    body_finish(body, 0, 0, &r);
}
