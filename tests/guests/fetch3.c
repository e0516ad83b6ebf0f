/* The same as fetch.c, of WASI 0.3. Its handler is lifted stackful.
 *
 * fetch3.wasm is checked in. To make it anew:
 *   mkdir wit && cp -r fetch3.wit ../../wit/wasi-0.3/deps wit/
 *   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o core.wasm fetch3.c
 *   wasm-tools component embed wit -w fetch3-guest core.wasm -o embedded.wasm
 *   wasm-tools component new embedded.wasm -o fetch3.wasm
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define TYPES "wasi:http/types@0.3.0"
#define HANDLER "wasi:http/handler@0.3.0"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[static]response.new") void response_new(int headers, int some, int stream, int trailers, void *ret);
IMPORT(TYPES, "[method]response.get-status-code") int response_status(int self);
IMPORT(TYPES, "[method]request.get-path-with-query") void request_path(int self, void *ret);
IMPORT(TYPES, "[stream-new-0][static]response.new") int64_t stream_new(void);
IMPORT(TYPES, "[async-lower][stream-write-0][static]response.new") int stream_write(int, const void *, size_t);
IMPORT(TYPES, "[stream-drop-writable-0][static]response.new") void stream_drop_writable(int);
IMPORT(TYPES, "[future-new-1][static]response.new") int64_t trailers_new(void);
IMPORT(TYPES, "[async-lower][future-write-1][static]response.new") int trailers_write(int, const void *);
IMPORT(TYPES, "[future-drop-writable-1][static]response.new") void trailers_drop_writable(int);
IMPORT(TYPES, "[future-drop-readable-2][static]response.new") void sent_drop(int);
IMPORT("[export]" HANDLER, "[task-return]handle")
void task_return(int is_err, int a, int b, int64_t c, int d, int e, int f, int g);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-wait]") int set_wait(int set, void *event);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[subtask-drop]") void subtask_drop(int);
IMPORT(TYPES, "[static]request.new")
void request_new(int headers, int some, int stream, int trailers, int some_options, int options, void *ret);
IMPORT(TYPES, "[method]request.set-scheme") int request_set_scheme(int self, int some, int tag, const char *p, size_t n);
IMPORT(TYPES, "[method]request.set-authority") int request_set_authority(int self, int some, const char *p, size_t n);
IMPORT(TYPES, "[method]request.set-path-with-query") int request_set_path(int self, int some, const char *p, size_t n);
IMPORT(TYPES, "[future-new-1][static]request.new") int64_t request_trailers_new(void);
IMPORT(TYPES, "[async-lower][future-write-1][static]request.new") int request_trailers_write(int, const void *);
IMPORT(TYPES, "[future-drop-readable-2][static]request.new") void request_sent_drop(int);
IMPORT("wasi:http/client@0.3.0", "[async-lower]send") int client_send(int request, void *ret);

static uint8_t heap[1 << 16] __attribute__((aligned(8)));
static size_t heap_used;
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_n, size_t align, size_t n) {
    heap_used = (heap_used + align - 1) & ~(align - 1);
    void *p = heap + heap_used;
    heap_used += n;
    if (old || heap_used > sizeof heap) __builtin_trap();
    return p;
}

static union {
    uint8_t b[256];
    int32_t word[64];
} r, answer;
static uint64_t nothing[16];
static int set;
static int await(int waitable) {
    static int event[2];
    join(waitable, set);
    set_wait(set, event);
    join(waitable, 0);
    return event[1];
}

/* 1000 and more: a status; less: the case of error-code. */
static int fetch(const char *authority, size_t n, int https) {
    int64_t trailers = request_trailers_new();
    request_new(fields_new(), 0, 0, (int)trailers, 0, 0, &r);
    int request = r.word[0], end = (int)(trailers >> 32);
    request_sent_drop(r.word[1]);
    request_set_scheme(request, 1, https, 0, 0);
    request_set_path(request, 1, "/", 1);
    if (request_set_authority(request, 1, authority, n)) return 999;
    int sent = request_trailers_write(end, nothing);
    int task = client_send(request, &answer);
    if ((task & 15) != 2) {
        while (await(task >> 4) != 2) {}
        subtask_drop(task >> 4);
    }
    (void)sent; /* it may have been dropped unread */
    return answer.b[0] ? answer.b[8] : 1000 + response_status(answer.word[2]);
}

EXPORT("[async-lift-stackful]" HANDLER "#handle") void handle(int request) {
    request_path(request, &r);
    const char *path = (const char *)(size_t)r.word[1];
    size_t n = (size_t)r.word[2], at = 0;
    set = set_new();
    while (at < n && path[at] != '?') at++;
    int got = at < n ? fetch(path + at + 1, n - at - 1, at == 6) : 1000, v = got >= 1000 ? got - 1000 : got;
    char text[] = "status ...\n", wrong[] = "failed ...\n", *to = got >= 1000 ? text : wrong;
    static char line[11];
    for (int i = 9; i >= 7; i--, v /= 10) to[i] = (char)('0' + v % 10);
    for (int i = 0; i < 11; i++) line[i] = to[i];
    int64_t body = stream_new(), trailers = trailers_new();
    response_new(fields_new(), 1, (int)body, (int)trailers, &r);
    int response = r.word[0];
    sent_drop(r.word[1]);
    task_return(0, response, 0, 0, 0, 0, 0, 0);
    if (stream_write((int)(body >> 32), line, 11) == -1) await((int)(body >> 32));
    stream_drop_writable((int)(body >> 32));
    if (trailers_write((int)(trailers >> 32), nothing) == -1) await((int)(trailers >> 32));
    trailers_drop_writable((int)(trailers >> 32));
}
