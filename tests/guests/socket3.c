/* A service of WebSockets for tests (wasmcloud:websocket/handler), by hand against the canonical ABI: well-behaved on some paths, badly on others.
 *
 * Its handler is lifted stackful, as http3.c's is. socket3.wasm is checked in, because Debian has no tool that makes a component of a core module. To
 * make it anew:
 *   mkdir -p wit/deps && cp socket3.wit wit/ && cp -r ../../wit/wasi-0.3/deps ../../wit/websocket/deps wit/
 *   clang --target=wasm32 -O2 -mbulk-memory -nostdlib -Wl,--no-entry -o core.wasm socket3.c
 *   wasm-tools component embed wit -w socket3-guest core.wasm -o embedded.wasm
 *   wasm-tools component new embedded.wasm -o socket3.wasm
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define HANDLER "wasmcloud:websocket/handler@0.1.0"
#define OWN "[export]" HANDLER
#define CLOCK "wasi:clocks/monotonic-clock@0.3.0"
IMPORT(OWN, "[async-lower][stream-read-0]handle") int stream_read(int, void *, size_t);
IMPORT(OWN, "[stream-drop-readable-0]handle") void stream_drop_readable(int);
IMPORT(OWN, "[stream-new-1]handle") int64_t stream_new(void);
IMPORT(OWN, "[async-lower][stream-write-1]handle") int stream_write(int, const void *, size_t);
IMPORT(OWN, "[stream-drop-writable-1]handle") void stream_drop_writable(int);
IMPORT(OWN, "[task-return]handle") void task_return(int is_err, const void *a, size_t b);
IMPORT(CLOCK, "[async-lower]wait-for") int wait_for(int64_t ns);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-drop]") void set_drop(int);
IMPORT("$root", "[waitable-set-wait]") int set_wait(int set, void *event);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[subtask-drop]") void subtask_drop(int);

/* ---- memory ---- */

enum { BLOCKED = -1, COMPLETED = 0, STACK_BYTES = 8192, STACKS = 256, TEXT = 0, BINARY = 1, CLOSE = 2 };
static uint8_t heap[24 << 20] __attribute__((aligned(16)));
static size_t used;
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t n, size_t align, size_t size) {
    used = (used + align - 1) & ~(align - 1);
    if (used + size > sizeof heap) used = 0; /* what lies there is of messages long ago */
    void *p = heap + used;
    used += size;
    return p;
}

static uint8_t stacks[STACKS][STACK_BYTES] __attribute__((aligned(16)));
static uint8_t taken[STACKS];
static inline void *stack(void) {
    void *p;
    __asm__ volatile("global.get __stack_pointer\nlocal.set %0" : "=r"(p));
    return p;
}
static inline void set_stack(void *p) { __asm__ volatile("local.get %0\nglobal.set __stack_pointer" : : "r"(p)); }

struct frame {
    uint8_t tag;
    union {
        struct {
            const char *p;
            size_t n;
        };
        struct {
            uint16_t code;
            const char *reason;
            size_t reason_n;
        };
    };
};
_Static_assert(sizeof(struct frame) == 16, "as the canonical ABI has it");
struct text {
    const char *p;
    size_t n;
};
struct header {
    struct text name, value;
};
struct request {
    struct text path, query;
    const struct header *headers;
    size_t headers_n;
    const struct text *protocols;
    size_t protocols_n;
};

static int opened, ended, closed_with;

/* ---- waiting ---- */

struct task {
    int set, in, out;
};

/* The event's second payload. */
static __attribute__((noinline)) int await(struct task *t, int waitable) {
    int event[2];
    join(waitable, t->set);
    void *sp = stack();
    set_wait(t->set, event);
    set_stack(sp);
    join(waitable, 0);
    return event[1];
}

static void sleep_ms(struct task *t, int ms) {
    int s = wait_for((int64_t)ms * 1000000);
    if ((s & 15) == 2) return;
    while (await(t, s >> 4) != 2) {}
    subtask_drop(s >> 4);
}

/* False: it has ended. */
static int get(struct task *t, struct frame *f) {
    int s = stream_read(t->in, f, 1);
    if (s == BLOCKED) s = await(t, t->in);
    return (uint32_t)s >> 4 == 1;
}

static int put(struct task *t, const struct frame *f) {
    int s = stream_write(t->out, f, 1);
    if (s == BLOCKED) s = await(t, t->out);
    return (uint32_t)s >> 4 == 1;
}

static size_t length(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}
static int same(struct text a, const char *s) {
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != s[i] || !s[i]) return 0;
    return !s[a.n];
}
static int say(struct task *t, const char *p, size_t n) { return put(t, &(struct frame){.tag = TEXT, .p = p, .n = n}); }
static int says(struct task *t, const char *s) { return say(t, s, length(s)); }
static int say_number(struct task *t, int v) {
    char digits[12];
    int at = sizeof digits;
    do digits[--at] = '0' + v % 10;
    while (v /= 10);
    return say(t, digits + at, sizeof digits - at);
}
static void shut(struct task *t, int code, const char *reason) {
    put(t, &(struct frame){.tag = CLOSE, .code = code, .reason = reason, .reason_n = length(reason)});
}

/* ---- paths ---- */

static void echo(struct task *t, int slow_ms) {
    struct frame f;
    while (get(t, &f)) {
        if (f.tag == CLOSE) closed_with = f.code;
        if (f.tag == CLOSE || !put(t, &f)) break;
        if (slow_ms) sleep_ms(t, slow_ms);
    }
}

static void describe(struct task *t, const struct request *rq) {
    say(t, rq->path.p, rq->path.n);
    say(t, rq->query.p, rq->query.n);
    for (size_t i = 0; i < rq->protocols_n; i++) say(t, rq->protocols[i].p, rq->protocols[i].n);
    for (size_t i = 0; i < rq->headers_n; i++)
        if (same(rq->headers[i].name, "origin") || same(rq->headers[i].name, "x-test"))
            say(t, rq->headers[i].value.p, rq->headers[i].value.n);
}

static __attribute__((noinline)) void handle_on(struct task *t, const struct request *rq) {
    struct frame f;
    opened++;
#define PATH(s) same(rq->path, s)
    if (PATH("/refuse")) return task_return(1, "not today", 9);
    if (PATH("/trap")) __builtin_trap();
    if (PATH("/nothing")) return;    /* ends without a result */
    if (PATH("/before")) get(t, &f); /* it listens before it says that it will speak */
    int64_t s = stream_new();
    t->out = s >> 32;
    task_return(0, (void *)(uintptr_t)(uint32_t)s, 0);
    if (PATH("/before")) put(t, &f);
    if (PATH("/echo")) echo(t, 0);
    if (PATH("/slow")) echo(t, 300);
    if (PATH("/request")) describe(t, rq);
    if (PATH("/silent")) sleep_ms(t, 3600000);
    if (PATH("/deaf")) { /* wants none of what comes */
        stream_drop_readable(t->in);
        t->in = 0;
        for (int i = 0; i < 5 && says(t, "still here"); i++) sleep_ms(t, 50);
    }
    if (PATH("/flood")) {
        while (put(t, &(struct frame){.tag = BINARY, .p = (const char *)heap, .n = 65536})) {}
    }
    if (PATH("/push")) {
        for (int i = 0; i < 3; i++) say_number(t, i), sleep_ms(t, 20);
        shut(t, 4001, "that was all");
    }
    if (PATH("/no-code")) shut(t, 1005, "");
    if (PATH("/bad-code")) shut(t, 999, "no such code");
    if (PATH("/long-reason"))
        shut(t, 4002,
             "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
             "\u00e9"
             "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
             "\u00e9"
             "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
             "\u00e9\u00e9\u00e9\u00e9");
    if (PATH("/large")) put(t, &(struct frame){.tag = BINARY, .p = (const char *)heap, .n = 2 << 20});
    if (PATH("/traps")) {
        get(t, &f);
        __builtin_trap();
    }
    if (PATH("/loops")) {
        get(t, &f);
        for (volatile int i = 0;; i++) {}
    }
    if (PATH("/works")) { /* as long with each message as a request may for all */
        while (get(t, &f) && f.tag != CLOSE) {
            for (volatile int i = 0; i < 30000000; i++) {}
            if (!put(t, &f)) break;
        }
    }
    if (PATH("/farewell")) { /* has something to say when it is told that it is over */
        while (get(t, &f) && f.tag != CLOSE) {}
        if (says(t, "farewell")) say_number(t, f.code);
    }
    if (PATH("/lingers")) {
        while (get(t, &f) && f.tag != CLOSE) {}
        sleep_ms(t, 3600000);
    }
    if (PATH("/keeps")) return; /* its end is never dropped, and nobody is left to write */
    if (PATH("/opened")) say_number(t, opened);
    if (PATH("/ended")) say_number(t, ended);
    if (PATH("/closed-with")) say_number(t, closed_with);
    stream_drop_writable(t->out);
    if (t->in) stream_drop_readable(t->in);
}

EXPORT("[async-lift-stackful]" HANDLER "#handle")
void handle(const char *path, size_t path_n, const char *query, size_t query_n, const struct header *headers, size_t headers_n,
            const struct text *protocols, size_t protocols_n, int incoming) {
    int slot = 0;
    while (slot < STACKS && taken[slot]) slot++;
    if (slot == STACKS) __builtin_trap();
    taken[slot] = 1;
    void *sp = stack();
    struct task *t = (struct task *)stacks[slot];
    struct request *rq = (struct request *)(t + 1);
    *t = (struct task){.set = set_new(), .in = incoming};
    *rq = (struct request){{path, path_n}, {query, query_n}, headers, headers_n, protocols, protocols_n};
    set_stack(stacks[slot] + STACK_BYTES);
    handle_on(t, rq);
    set_stack(sp);
    set_drop(t->set);
    taken[slot] = 0;
    ended++;
}
