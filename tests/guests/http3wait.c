/* A WASI 0.3 HTTP service for tests, lifted with a callback: it waits an hour, and counts who asked it to stop.
 *
 *   GET /wait   waits; when it is cancelled it counts that, and says so by task.cancel
 *   GET /deaf   waits, and does not listen
 *   GET /       how often it was cancelled
 *
 * Its start asks the host for the time, so that every instance has to be started.
 *
 * Made as http3.wasm is (http3.c), of http3.wit. */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define TYPES "wasi:http/types@0.3.0"
#define HANDLER "wasi:http/handler@0.3.0"
IMPORT(TYPES, "[constructor]fields") int fields_new(void);
IMPORT(TYPES, "[static]response.new") void response_new(int headers, int some, int stream, int trailers, void *ret);
IMPORT(TYPES, "[method]request.get-path-with-query") void request_path(int self, void *ret);
IMPORT(TYPES, "[resource-drop]request") void request_drop(int);
IMPORT(TYPES, "[method]response.set-status-code") int response_set_status(int self, int status);
IMPORT(TYPES, "[future-new-1][static]response.new") int64_t trailers_new(void);
IMPORT(TYPES, "[async-lower][future-write-1][static]response.new") int trailers_write(int, const void *);
IMPORT(TYPES, "[future-drop-writable-1][static]response.new") void trailers_drop(int);
IMPORT(TYPES, "[future-drop-readable-2][static]response.new") void sent_drop(int);
IMPORT("[export]" HANDLER, "[task-return]handle")
void task_return(int is_err, int a, int b, int64_t c, int d, int e, int f, int g);
IMPORT("[export]$root", "[task-cancel]") void task_cancel(void);
IMPORT("wasi:clocks/monotonic-clock@0.3.0", "[async-lower]wait-for") int wait_for(int64_t ns);
IMPORT("wasi:clocks/monotonic-clock@0.3.0", "now") int64_t now(void);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-drop]") void set_drop(int);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[subtask-drop]") void subtask_drop(int);
IMPORT("$root", "[subtask-cancel]") int subtask_cancel(int);
IMPORT("$root", "[context-set-0]") void context_set(int);
IMPORT("$root", "[context-get-0]") int context_get(void);

enum { EXIT, YIELD, WAIT, EVENT_CANCELLED = 6, TASKS = 64 };
static uint8_t heap[1 << 16] __attribute__((aligned(16)));
static size_t used;
static int cancelled;
static struct task { int set, timer, trailers, deaf, answered; } tasks[TASKS];
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t n, size_t align, size_t size) {
    used = (used + align - 1) & ~(align - 1);
    if (used + size > sizeof heap) used = 0;
    void *p = heap + used;
    used += size;
    return p;
}

static int64_t started;
EXPORT("_initialize") void initialize(void) { started = now(); }

static int over(struct task *t) {
    set_drop(t->set);
    t->set = 0;
    return EXIT;
}

static const uint64_t no_trailers[8];

/* The status says it: 200 + how often. */
static int answer(struct task *t) {
    union {
        int32_t i[16];
    } r;
    int64_t f = trailers_new();
    t->trailers = f >> 32;
    t->answered = 1;
    response_new(fields_new(), 0, 0, (int)f, &r);
    int response = r.i[0];
    sent_drop(r.i[1]);
    response_set_status(response, 200 + cancelled);
    task_return(0, response, 0, 0, 0, 0, 0, 0);
    if (trailers_write(t->trailers, no_trailers) == -1) {
        join(t->trailers, t->set);
        return WAIT | t->set << 4;
    }
    trailers_drop(t->trailers);
    return over(t);
}

EXPORT("[async-lift]" HANDLER "#handle") int handle(int request) {
    union {
        uint8_t b[64];
        int32_t i[16];
    } r;
    int slot = 0;
    if (!started) __builtin_trap();
    while (slot < TASKS && tasks[slot].set) slot++;
    struct task *t = &tasks[slot];
    request_path(request, &r);
    const char *path = (const char *)r.i[1];
    size_t n = r.i[2];
    request_drop(request);
    context_set(slot);
    t->set = set_new();
    t->answered = 0;
    if (n < 5) return answer(t);
    t->deaf = path[1] == 'd';
    t->timer = wait_for(3600ll * 1000000000) >> 4;
    join(t->timer, t->set);
    return WAIT | t->set << 4;
}

EXPORT("[callback][async-lift]" HANDLER "#handle") int callback(int event, int index, int result) {
    struct task *t = &tasks[context_get()];
    if (t->answered) {
        join(t->trailers, 0);
        trailers_drop(t->trailers);
        return over(t);
    }
    if (event != EVENT_CANCELLED) __builtin_trap();
    if (t->deaf) return WAIT | t->set << 4;
    join(t->timer, 0);
    subtask_cancel(t->timer);
    subtask_drop(t->timer);
    cancelled++;
    task_cancel();
    return over(t);
}
