/* Echoes WebSockets (wasmcloud:websocket/handler), lifted with a callback: a connection that waits holds no stack, so an instance has very many. For
 * bench/edge.py. echo3.wasm is made as socket3.wasm is. */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define HANDLER "wasmcloud:websocket/handler@0.1.0"
#define OWN "[export]" HANDLER
IMPORT(OWN, "[async-lower][stream-read-0]handle") int stream_read(int, void *, size_t);
IMPORT(OWN, "[stream-drop-readable-0]handle") void stream_drop_readable(int);
IMPORT(OWN, "[stream-new-1]handle") int64_t stream_new(void);
IMPORT(OWN, "[async-lower][stream-write-1]handle") int stream_write(int, const void *, size_t);
IMPORT(OWN, "[stream-drop-writable-1]handle") void stream_drop_writable(int);
IMPORT(OWN, "[task-return]handle") void task_return(int is_err, const void *a, size_t b);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-drop]") void set_drop(int);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[context-get-0]") int context_get(void);
IMPORT("$root", "[context-set-0]") void context_set(int);

enum { BLOCKED = -1, EXIT = 0, WAIT = 2, SOCKETS = 4096, CLOSE = 2 };
static uint8_t heap[2 << 20] __attribute__((aligned(16)));
static size_t used;
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t n, size_t align, size_t size) {
    used = (used + align - 1) & ~(align - 1);
    if (used + size > sizeof heap) used = 0; /* what lies there was sent long ago */
    void *p = heap + used;
    used += size;
    return p;
}

static struct socket {
    int in, out, set, next;
    uint32_t frame[4];
    uint8_t writes;
} sockets[SOCKETS];
static int unused, free_list; /* of indices, and one more */

/* s: how the copy went that is under way; BLOCKED: it is to be begun. */
static int go_on(struct socket *k, int s, int begun) {
    for (;; begun = 0) {
        int end = k->writes ? k->out : k->in;
        if (!begun) s = k->writes ? stream_write(k->out, k->frame, 1) : stream_read(k->in, k->frame, 1);
        if (s == BLOCKED) {
            join(end, k->set);
            return WAIT | k->set << 4;
        }
        if ((uint32_t)s >> 4 != 1 || (!k->writes && (k->frame[0] & 255) == CLOSE)) break;
        k->writes = !k->writes;
    }
    stream_drop_readable(k->in);
    stream_drop_writable(k->out);
    set_drop(k->set);
    k->next = free_list;
    free_list = (int)(k - sockets) + 1;
    return EXIT;
}

EXPORT("[async-lift]" HANDLER "#handle")
int handle(const char *path, size_t path_n, const char *query, size_t query_n, const void *headers, size_t headers_n,
           const void *protocols, size_t protocols_n, int incoming) {
    int i = free_list ? free_list - 1 : unused++;
    if (i >= SOCKETS) __builtin_trap();
    struct socket *k = &sockets[i];
    if (free_list) free_list = k->next;
    int64_t s = stream_new();
    *k = (struct socket){.in = incoming, .out = s >> 32, .set = set_new()};
    context_set(i);
    task_return(0, (void *)(uintptr_t)(uint32_t)s, 0);
    return go_on(k, 0, 0);
}

EXPORT("[callback][async-lift]" HANDLER "#handle") int callback(int event, int waitable, int result) {
    join(waitable, 0);
    return go_on(&sockets[context_get()], result, 1);
}
