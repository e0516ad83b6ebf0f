/* A WASI 0.2 HTTP component that asks a single host call for as much work as it can. slices.wasm is checked in; it is made as http.wasm
 * is (http.c), from slices.wit, with -mbulk-memory. The number in a path is a size: of megabytes, or of things. */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define TYPES "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[method]fields.append")
void fields_append(int self, const char *name, size_t n, const void *value, size_t m, void *ret);
IMPORT(TYPES, "[method]fields.has") int fields_has(int self, const char *name, size_t n);
IMPORT(TYPES, "[constructor]outgoing-response") int response_new(int fields);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(int self, void *ret);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(int self, void *ret);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(int self, int some, int trailers, void *ret);
IMPORT(TYPES, "[static]response-outparam.set")
void outparam_set(int outparam, int is_err, int a, int b, int64_t c, int d, int e, int f, int g);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(int self, void *ret);
IMPORT(TYPES, "[method]incoming-request.consume") void request_consume(int self, void *ret);
IMPORT(TYPES, "[method]incoming-body.stream") void incoming_stream(int self, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void stream_write(int self, const void *p, size_t n, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-write-zeroes-and-flush") void stream_zeroes(int self, uint64_t n, void *ret);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(int);
IMPORT(STREAMS, "[method]input-stream.subscribe") int input_subscribe(int self);
IMPORT("wasi:io/poll@0.2.12", "poll") void poll(const int *p, size_t n, void *ret);
IMPORT("wasi:cli/stderr@0.2.12", "get-stderr") int get_stderr(void);
IMPORT("wasi:random/random@0.2.12", "get-random-bytes") void get_random_bytes(uint64_t n, void *ret);

static char *grown(size_t mb) {
    size_t at = __builtin_wasm_memory_grow(0, 16 * mb);
    if (at == (size_t)-1) __builtin_trap();
    return (char *)(at << 16);
}

static char *heap, *heap_end;
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_n, size_t align, size_t n) {
    if (old) __builtin_trap();
    if (!heap) heap = grown(16), heap_end = heap + (16 << 20);
    char *p = (char *)(((size_t)heap + align - 1) & ~(align - 1));
    if (n > (size_t)(heap_end - p)) __builtin_trap();
    heap = p + n;
    return p;
}

union ret {
    uint8_t is_err;
    int32_t word[16];
};
static int ok(const union ret *r) {
    if (r->is_err) __builtin_trap();
    return r->word[1];
}

static const char *path;
static size_t path_n;
static int is(const char *s) {
    size_t n = 0;
    while (n < path_n && s[n] && s[n] == path[n]) n++;
    return !s[n] && (n == path_n || path[n] == '?');
}
static size_t number(void) {
    size_t v = 0;
    for (size_t i = 0; i < path_n; i++)
        if (path[i] >= '0' && path[i] <= '9') v = 10 * v + (size_t)(path[i] - '0');
    return v;
}

static void say_hello(int outparam) {
    union ret r;
    int response = response_new(fields_new());
    response_body(response, &r);
    int body = ok(&r);
    outparam_set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
    body_write(body, &r);
    int out = ok(&r);
    stream_write(out, "hello\n", 6, &r);
    output_drop(out);
    body_finish(body, 0, 0, &r);
}

static char *filled(char c, size_t mb) {
    char *p = grown(mb);
    __builtin_memset(p, c, mb << 20);
    return p;
}

/* The same pollable so many times, which is never ready: the client sends nothing more. */
static void poll_many(int request, size_t n) {
    union ret r;
    request_consume(request, &r);
    incoming_stream(ok(&r), &r);
    int pollable = input_subscribe(ok(&r)), *list = (int *)grown(n / (1 << 18) + 1);
    for (size_t i = 0; i < n; i++) list[i] = pollable;
    poll(list, n, &r);
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int outparam) {
    union ret r;
    request_path(request, &r);
    if (r.is_err) path = (const char *)(intptr_t)r.word[1], path_n = (size_t)r.word[2]; /* option: the case is `some` */
    size_t n = number();
    if (is("/zeroes")) stream_zeroes(get_stderr(), 1ull << 62, &r);
    if (is("/lines")) stream_write(get_stderr(), filled('\n', n), n << 20, &r);
    if (is("/has"))
        for (char *p = filled('a', n);;) fields_has(fields_new(), p, n << 20);
    if (is("/append")) {
        char *p = filled('a', n);
        for (int f = fields_new();;) fields_append(f, p, n << 20, p, n << 20, &r);
    }
    if (is("/random"))
        for (;; heap = heap_end - (16 << 20)) get_random_bytes(n << 20, &r);
    if (is("/poll")) poll_many(request, n);
    if (is("/handles"))
        for (size_t i = 0; i < n; i++) fields_append(fields_new(), "a", 1, "b", 1, &r);
    say_hello(outparam);
}
