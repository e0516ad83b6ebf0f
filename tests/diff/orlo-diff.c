/* orlo-diff: runs modules and says what came of it, line by line, for comparison with another engine (run.py).
 *
 *   orlo-diff                  serves requests from stdin, each in a process of its own
 *   orlo-diff --replay FOLDER  runs every NAME.wasm there in several configurations; its lines must be those of NAME.expect
 *
 * A request is a line "module BYTES CALLS [name=number…]", the module's bytes, and CALLS lines "EXPORT SLOT…": the export's index
 * and its arguments' canonical slots in hexadecimal. The answer ends with "end", or "crash SIGNAL"; before that stand
 *
 *   call 3 0000002a -> i32:00000001 f64:nan     or "call 3 0000002a trap integer overflow"
 *   global 5 i64:0000000000000001               NaNs are one value: their bits are the engine's choice
 *   memory 6 65536 SHA-256 (first 8 bytes)
 *   table 7 4 -xx-                              which elements are null
 *   error TEXT                                  it cannot be linked; "start trap TEXT": not be instantiated
 *
 * Bytes that start with "pair" and a size hold two modules: the second one imports what it shares with the first ("h").
 */
#include "engine/engine.h"
#include "link/link.h"
#include "link/store.h"
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Enough for every module that run.py makes, but for those that ask for what no instance gets. */
static const struct engine_config limits = {.memory_bytes_max = 256u << 20, .verify = true};

enum { SLOTS_MAX = 2100, TWINS_MAX = 4, SECONDS_MAX = 30, EXPORTS_MAX = 4096, TABLE_SHOWN_MAX = 64 };

/* How a module is compiled and run; none of it may show in the outcome. */
struct config {
    uint64_t registers; /* link_options.registers */
    uint64_t cpu;       /* ABI_CPU_* not to be used */
    uint64_t snapshot;
    uint64_t threads;
    uint64_t slice_ns; /* 0: the default */
    uint64_t twins;    /* instances that run at the same time, preempting each other */
    uint64_t again;    /* then once more, in used slots */
    uint64_t collect;  /* garbage, at every allocation */
};
static const struct {
    const char *name;
    size_t offset;
} config_fields[] = {
    {"registers", offsetof(struct config, registers)}, {"cpu", offsetof(struct config, cpu)},
    {"snapshot", offsetof(struct config, snapshot)},   {"threads", offsetof(struct config, threads)},
    {"slice", offsetof(struct config, slice_ns)},      {"twins", offsetof(struct config, twins)},
    {"again", offsetof(struct config, again)},         {"collect", offsetof(struct config, collect)},
};

struct call {
    uint32_t export;
    uint32_t slots_count;
    uint64_t *slots;
};
struct request {
    str wasm;
    struct config config;
    struct call *calls;
    uint32_t calls_count;
};

/* ---- values as text ---- */

/* Puts one value; gives the number of its slots. */
static uint32_t put_value(struct buf *out, wasm_type t, const uint64_t *v) {
    uint32_t low = (uint32_t)v[0];
    if (t == WASM_I32) buf_printf(out, " i32:%08x", low);
    else if (t == WASM_I64) buf_printf(out, " i64:%016" PRIx64, v[0]);
    else if (t == WASM_F32 && (low & 0x7fffffff) > 0x7f800000) buf_printf(out, " f32:nan");
    else if (t == WASM_F32) buf_printf(out, " f32:%08x", low);
    else if (t == WASM_F64 && (v[0] & INT64_MAX) > 0x7ffull << 52) buf_printf(out, " f64:nan");
    else if (t == WASM_F64) buf_printf(out, " f64:%016" PRIx64, v[0]);
    else if (t == WASM_V128) buf_printf(out, " v128:%016" PRIx64 "%016" PRIx64, v[1], v[0]);
    else buf_printf(out, " ref:%c", v[0] ? 'x' : '-');
    return wasm_type_slots(t);
}

/* ---- the host ---- */

static uint64_t settled(wasm_type t, uint64_t v) {
    if (t == WASM_F32) return (v & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : (uint32_t)v; /* the high half is anything */
    if (t == WASM_F64 && (v & INT64_MAX) > 0x7ffull << 52) return 0x7ff8ull << 48;
    return v;
}

struct host {
    const struct wasm_deftype *type;
    uint32_t number; /* of the import */
};

/* Every imported function: its results are a hash of its arguments (as in reference.py). */
static enum abi_trap host_hash(struct engine_call *call, uint64_t *args) {
    const struct host *host = engine_call_data(call);
    const struct wasm_deftype *t = host->type;
    uint64_t h = 0xcbf29ce484222325 ^ host->number;
    for (uint32_t i = 0; i < t->params_count; i++) h = (h ^ settled(t->params[i], args[i])) * 0x100000001b3;
    if ((h >> 32 & 0x3f) == 5) return engine_trap(engine_call_instance(call), ABI_TRAP_HOST, "the host fails");
    for (uint32_t k = 0; k < t->results_count; k++) {
        uint64_t x = h * (2 * k + 1);
        x ^= x >> 29;
        float f = (float)(x & 0xffff) - 32768;
        double d = (double)(x & UINT32_MAX) - 2147483648.0;
        args[k] = t->results[k] == WASM_I32 ? (uint32_t)x : x;
        if (t->results[k] == WASM_F32) args[k] = 0, memcpy(&args[k], &f, sizeof f);
        if (t->results[k] == WASM_F64) memcpy(&args[k], &d, sizeof d);
    }
    return ABI_TRAP_NONE;
}

static void bind_host(struct engine_image *image, const struct wasm_module *m, arena *a) {
    const struct abi_image *im = engine_image_abi(image);
    const struct abi_image_host *hosts = abi_image_at(im, im->head->hosts, struct abi_image_host);
    for (uint32_t i = 0; i < im->head->hosts.count; i++)
        for (uint32_t k = 0; k < m->imports_count; k++) {
            if (!str_eq(m->imports[k].name, abi_image_str(im, hosts[i].name))) continue;
            struct host *h = arena_make(a, struct host);
            *h = (struct host){wasm_func_type(m, m->imports[k].index), m->imports[k].index};
            engine_image_bind(image, i, host_hash, h);
        }
}

/* ---- one instance ---- */

struct run {
    const struct request *q;
    const struct wasm_module *m;
    struct engine_instance *in;
    struct buf out;
    uint64_t args[SLOTS_MAX];
};

/* The canonical slots of a call; an externref is given by its number, 0 is null. */
static void put_args(const struct call *c, const struct wasm_deftype *t, uint64_t *args) {
    memset(args, 0, SLOTS_MAX * sizeof *args);
    if (c->slots_count) memcpy(args, c->slots, c->slots_count * sizeof *args);
    for (uint32_t i = 0, slot = 0; i < t->params_count; slot += wasm_type_slots(t->params[i++]))
        if (t->params[i] == WASM_EXTERNREF && args[slot]) args[slot] = abi_ref_host(args[slot]);
}

static void put_call(struct buf *out, const struct call *c, const struct wasm_deftype *t, enum abi_trap trap,
                     const uint64_t *results) {
    buf_printf(out, "call %u", c->export);
    for (uint32_t i = 0; i < c->slots_count; i++) buf_printf(out, " %" PRIx64, c->slots[i]);
    if (trap != ABI_TRAP_NONE) buf_printf(out, " trap %s", abi_trap_text(trap));
    else buf_puts(out, STR(" ->"));
    for (uint32_t i = 0, slot = 0; trap == ABI_TRAP_NONE && i < t->results_count; i++)
        slot += put_value(out, t->results[i], results + slot);
    buf_putc(out, '\n');
}

static void run_one_call(struct run *r, const struct call *c) {
    uint64_t *args = r->args;
    const struct wasm_export *x = &r->m->exports[c->export];
    const struct wasm_deftype *t = wasm_func_type(r->m, x->index);
    put_args(c, t, args);
    const struct abi_func *f = engine_export_func(engine_instance_image(r->in), 0, x->name);
    ENSURE(f);
    enum abi_trap trap = engine_call(r->in, f, args);
    put_call(&r->out, c, t, trap, args);
}

static void put_memory_bytes(struct buf *out, uint32_t export, str bytes) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(bytes, digest);
    buf_printf(out, "memory %u %zu ", export, bytes.n);
    for (int i = 0; i < 8; i++) buf_printf(out, "%02x", digest[i]);
    buf_putc(out, '\n');
}

static void put_memory(struct run *r, uint32_t export) {
    uint32_t index;
    ENSURE(engine_export_memory(engine_instance_image(r->in), 0, r->m->exports[export].name, &index));
    struct engine_bytes b = engine_memory(r->in, 0, index);
    put_memory_bytes(&r->out, export, (str){b.p, b.n});
}

static void put_table(struct run *r, uint32_t export) {
    struct abi_table fixed;
    uint32_t index = r->m->exports[export].index;
    const struct abi_table *t = engine_table_record(r->in, 0, index, &fixed);
    buf_printf(&r->out, "table %u %" PRIu64 " ", export, t->count);
    for (uint64_t i = 0; i < t->count && i < TABLE_SHOWN_MAX; i++)
        buf_putc(&r->out, engine_table_get(r->in, 0, index, i) ? 'x' : '-');
    buf_putc(&r->out, '\n');
}

static void put_state(struct run *r) {
    for (uint32_t i = 0; i < r->m->exports_count; i++) {
        const struct wasm_export *x = &r->m->exports[i];
        if (x->kind == WASM_EXTERN_GLOBAL) {
            buf_printf(&r->out, "global %u", i);
            put_value(&r->out, r->m->globals[x->index].type, engine_export_global(r->in, 0, x->name));
            buf_putc(&r->out, '\n');
        } else if (x->kind == WASM_EXTERN_MEMORY) put_memory(r, i);
        else if (x->kind == WASM_EXTERN_TABLE) put_table(r, i);
    }
}

static void run_fiber(void *arg) {
    struct run *r = arg;
    enum abi_trap trap = engine_instance_start(r->in);
    if (trap != ABI_TRAP_NONE) {
        buf_printf(&r->out, "start trap %s\n", abi_trap_text(trap));
        return;
    }
    for (uint32_t i = 0; i < r->q->calls_count; i++) run_one_call(r, &r->q->calls[i]);
    put_state(r);
}

static void run_twins(struct engine *e, struct engine_image *image, struct run *runs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        runs[i].in = engine_acquire(image, NULL);
        ENSURE(runs[i].in && engine_spawn(runs[i].in, run_fiber, &runs[i]));
    }
    for (bool busy = true; busy;) {
        engine_run(e, 1'000'000'000);
        busy = false;
        for (uint32_t i = 0; i < n; i++) busy = busy || engine_instance_fibers(runs[i].in);
    }
    for (uint32_t i = 0; i < n; i++) engine_release(runs[i].in);
}

static void run_image(const struct request *q, const struct wasm_module *m, struct abi_image im, arena *a, struct buf *out) {
    struct engine_config config = limits;
    config.slice_ns = q->config.slice_ns;
    config.collect_always = q->config.collect;
    struct engine *e = engine_new(&config);
    struct engine_image *image = engine_image_load(engine_share_own(e), im);
    bind_host(image, m, a);
    static struct run runs[TWINS_MAX + 1];
    uint32_t twins = (uint32_t)MAX(1u, MIN(q->config.twins, (uint64_t)TWINS_MAX));
    for (uint32_t i = 0; i <= TWINS_MAX; i++) runs[i].q = q, runs[i].m = m;
    run_twins(e, image, runs, twins);
    if (q->config.again) run_twins(e, image, &runs[TWINS_MAX], 1);
    for (uint32_t i = 1; i <= TWINS_MAX; i++) {
        if ((i < twins || (i == TWINS_MAX && q->config.again)) && !str_eq(buf_str(&runs[0].out), buf_str(&runs[i].out)))
            buf_printf(out, "run %u differs; it was\n" STR_FMT "and the first\n", i, STR_ARG(buf_str(&runs[i].out)));
        buf_free(&runs[i].out);
    }
    buf_puts(out, buf_str(&runs[0].out));
    buf_free(&runs[0].out);
    engine_image_unload(image);
    engine_free(e);
}

/* ---- two modules, one with the other's memories, tables, globals and functions ---- */

static void put_item(const struct wasm_module *m, uint32_t export, const struct link_store_item *x, struct buf *out) {
    if (x->kind == WASM_EXTERN_GLOBAL) {
        buf_printf(out, "global %u", export);
        put_value(out, m->globals[m->exports[export].index].type, x->record);
        buf_putc(out, '\n');
    } else if (x->kind == WASM_EXTERN_MEMORY) {
        const struct abi_memory *memory = x->record;
        put_memory_bytes(out, export, (str){memory->base, memory->bytes});
    } else if (x->kind == WASM_EXTERN_TABLE) {
        const struct abi_table *t = x->record;
        buf_printf(out, "table %u %" PRIu64 " ", export, t->count);
        for (uint64_t i = 0; i < t->count && i < TABLE_SHOWN_MAX; i++) buf_putc(out, t->elements[i] ? 'x' : '-');
        buf_putc(out, '\n');
    }
}

static void call_item(const struct wasm_module *m, struct link_store_instance *in, const struct call *c, struct buf *out) {
    static uint64_t args[SLOTS_MAX];
    struct link_store_item item;
    ENSURE(link_store_export(in, m->exports[c->export].name, &item));
    const struct wasm_deftype *t = wasm_func_type(m, m->exports[c->export].index);
    put_args(c, t, args);
    put_call(out, c, t, link_store_call(in, item.func, args), args);
}

static err run_pair(const struct request *q, const struct wasm_module *m, str first, str second, struct buf *out,
                    struct diag *d) {
    struct engine_config config = limits;
    config.slice_ns = q->config.slice_ns;
    config.collect_always = q->config.collect;
    struct engine *e = engine_new(&config);
    struct link_store *store = link_store_new(e);
    struct link_store_instance *a, *b;
    enum abi_trap trap;
    err error = link_store_instantiate(store, first, &a, &trap, d);
    if (error == ERR_OK) {
        link_store_register(store, STR("h"), a);
        error = link_store_instantiate(store, second, &b, &trap, d);
    }
    if (error == ERR_TRAP) buf_printf(out, "start trap %s\n", abi_trap_text(trap));
    for (uint32_t i = 0; error == ERR_OK && i < q->calls_count; i++) call_item(m, b, &q->calls[i], out);
    for (uint32_t i = 0; error == ERR_OK && i < m->exports_count; i++) {
        struct link_store_item item;
        ENSURE(link_store_export(b, m->exports[i].name, &item));
        put_item(m, i, &item, out);
    }
    link_store_free(store);
    engine_free(e);
    return error == ERR_TRAP ? ERR_OK : error;
}

/* ---- one module ---- */

static bool calls_fit(const struct request *q, const struct wasm_module *m) {
    for (uint32_t i = 0; i < q->calls_count; i++) {
        const struct call *c = &q->calls[i];
        if (c->export >= m->exports_count || m->exports[c->export].kind != WASM_EXTERN_FUNC) return false;
        const struct wasm_deftype *t = wasm_func_type(m, m->exports[c->export].index);
        uint32_t args = 0, results = 0;
        for (uint32_t k = 0; k < t->params_count; k++) args += wasm_type_slots(t->params[k]);
        for (uint32_t k = 0; k < t->results_count; k++) results += wasm_type_slots(t->results[k]);
        if (args != c->slots_count || MAX(args, results) > SLOTS_MAX) return false;
    }
    return true;
}

/* "pair", the first one's size, both; else one module. */
static str second_of(str wasm, str *first) {
    uint32_t n;
    *first = (str){0};
    if (!str_starts(wasm, STR("pair")) || wasm.n < 8) return wasm;
    memcpy(&n, wasm.p + 4, 4);
    *first = str_sub(wasm, 8, n);
    return str_sub(wasm, 8 + (size_t)n, wasm.n);
}

static void run_module(const struct request *q, struct buf *out) {
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d = DIAG_INIT;
    struct link_options o = {.no_snapshot = !q->config.snapshot,
                             .threads = (uint32_t)MAX(1u, q->config.threads),
                             .registers = (uint32_t)q->config.registers,
                             .cpu_features_unused = q->config.cpu};
    int fd;
    struct abi_image im;
    str first, second = second_of(q->wasm, &first);
    err e = wasm_decode(a, second, &m, &d);
    if (e == ERR_OK) e = wasm_validate(a, &m, NULL, &d);
    if (e == ERR_OK && !calls_fit(q, &m)) e = diag_set(&d, ERR_INVALID, DIAG_NOWHERE, "the calls do not fit the exports");
    if (e == ERR_OK && first.n) {
        e = run_pair(q, &m, first, second, out, &d);
        if (e != ERR_OK) buf_printf(out, "error %s: %s\n", err_name(e), d.text);
        arena_free(a);
        return;
    }
    if (e == ERR_OK) e = link_file_memfd(q->wasm, &o, &fd, NULL, &d);
    if (e == ERR_OK) e = abi_image_open(fd, NULL, &im, &d);
    const char *trap = strstr(d.text, "wasm trap: ");
    if (e == ERR_TRAP && trap) buf_printf(out, "start trap %.*s\n", (int)strcspn(trap + 11, "\n("), trap + 11);
    else if (e != ERR_OK) buf_printf(out, "error %s: %s\n", err_name(e), d.text);
    else run_image(q, &m, im, a, out);
    arena_free(a);
}

static void write_all(int fd, str s) {
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n <= 0) _exit(1);
        s = str_sub(s, (size_t)n, s.n);
    }
}

/* In a process of its own; what it wrote stands in out, then "end" or "crash". */
static void run_apart(const struct request *q, struct buf *out) {
    int p[2];
    ENSURE(pipe(p) == 0);
    pid_t pid = fork();
    ENSURE(pid >= 0);
    if (!pid) {
        struct buf lines = {0};
        close(p[0]);
        alarm(SECONDS_MAX);
        run_module(q, &lines);
        write_all(p[1], buf_str(&lines));
        exit(0);
    }
    close(p[1]);
    static uint8_t bytes[65536];
    for (ssize_t n; (n = read(p[0], bytes, sizeof bytes)) > 0;) buf_put(out, bytes, (size_t)n);
    close(p[0]);
    int status;
    ENSURE(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status)) buf_printf(out, "crash %s\n", WTERMSIG(status) == SIGALRM ? "time" : strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status)) buf_printf(out, "crash with status %d\n", WEXITSTATUS(status));
    else buf_puts(out, STR("end\n"));
}

/* ---- requests ---- */

/* "EXPORT SLOT…" up to anything that is no number. */
static struct call read_call(arena *a, const char *line) {
    struct call c = {0};
    char *p;
    c.export = (uint32_t)strtoul(line, &p, 10);
    VEC(uint64_t) slots = {0};
    for (char *next;; p = next) {
        uint64_t v = strtoull(p, &next, 16);
        if (next == p || (*next != ' ' && *next != '\n' && *next)) break;
        vec_push(a, &slots, v);
    }
    c.slots = slots.p;
    c.slots_count = slots.n;
    return c;
}

static void read_config(char *line, struct config *c) {
    for (char *save, *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
        char *eq = strchr(word, '=');
        for (size_t i = 0; eq && i < ARRAY_COUNT(config_fields); i++)
            if (str_eqc((str){(uint8_t *)word, (size_t)(eq - word)}, config_fields[i].name))
                *(uint64_t *)(void *)((char *)c + config_fields[i].offset) = strtoull(eq + 1, NULL, 0);
    }
}

static bool serve_one(void) {
    static char *line;
    static size_t cap;
    size_t bytes;
    unsigned calls;
    int used = 0;
    if (getline(&line, &cap, stdin) < 0) return false;
    arena *a = arena_new(0);
    struct request q = {0};
    if (sscanf(line, "module %zu %u%n", &bytes, &calls, &used) != 2) return false;
    read_config(line + used, &q.config);
    uint8_t *wasm = malloc(bytes ? bytes : 1);
    bool ok = fread(wasm, 1, bytes, stdin) == bytes;
    q.wasm = (str){wasm, bytes};
    q.calls = arena_array(a, struct call, calls + 1);
    for (; ok && q.calls_count < calls; q.calls_count++) {
        ok = getline(&line, &cap, stdin) >= 0;
        if (ok) q.calls[q.calls_count] = read_call(a, line);
    }
    struct buf out = {0};
    if (ok) run_apart(&q, &out);
    write_all(1, buf_str(&out));
    buf_free(&out);
    free(wasm);
    arena_free(a);
    return ok;
}

/* ---- replay ---- */

static str read_file(arena *a, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return (str){0};
    struct buf b = {0};
    static uint8_t bytes[65536];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;) buf_put(&b, bytes, n);
    fclose(f);
    str s = arena_str(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static const struct config replay_configs[] = {
    {.snapshot = 1, .twins = 2, .slice_ns = 20'000, .again = 1},
    {.registers = 1, .again = 1},
    {.registers = 4, .collect = 1},
    {.cpu = UINT64_MAX},
};

static bool replay_one(const char *folder, const char *name) {
    arena *a = arena_new(0);
    str wasm = read_file(a, (char *)arena_fmt(a, "%s/%s.wasm", folder, name).p);
    str want = read_file(a, (char *)arena_fmt(a, "%s/%s.expect", folder, name).p);
    VEC(struct call) calls = {0};
    for (str rest = want, line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        if (str_starts(line, STR("call "))) vec_push(a, &calls, read_call(a, arena_cstr(a, str_sub(line, 5, line.n))));
    }
    bool ok = true;
    for (size_t i = 0; i < ARRAY_COUNT(replay_configs); i++) {
        struct request q = {wasm, replay_configs[i], calls.p, calls.n};
        struct buf out = {0};
        run_apart(&q, &out);
        if (!str_eq(buf_str(&out), want)) {
            printf("FAIL %s, configuration %zu:\n" STR_FMT "want\n" STR_FMT, name, i, STR_ARG(buf_str(&out)), STR_ARG(want));
            ok = false;
        }
        buf_free(&out);
    }
    arena_free(a);
    return ok;
}

static int replay(const char *folder) {
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort), failed = 0, passed = 0;
    for (int i = 0; i < n; i++) {
        char *name = entries[i]->d_name, *dot = strrchr(name, '.');
        if (dot && !strcmp(dot, ".wasm")) {
            *dot = 0;
            if (replay_one(folder, name)) passed++;
            else failed++;
            fflush(stdout);
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--replay")) return replay(argv[2]);
    if (argc != 1) {
        fprintf(stderr, "usage: %s [--replay FOLDER]\n", argv[0]);
        return 64;
    }
    while (serve_one()) {}
    return 0;
}
