/* A WASI 0.2 command for tests, by hand against the canonical ABI. Each argument is one operation, VERB[:PATH[:MORE]]; it prints
 * what came of it on a line. Paths are those of the granted folder that the last `dir:N` chose, at first the first one.
 *
 * cli.wasm is checked in, because Debian has no tool that makes a component of a core module. To make it anew:
 *   mkdir wit && cp -r cli.wit ../../wit/wasi-0.2/deps wit/
 *   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o core.wasm cli.c
 *   wasm-tools component embed --all-features wit -w cli-guest core.wasm -o embedded.wasm
 *   wasm-tools component new embedded.wasm -o cli.wasm
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface "@0.2.12"), import_name(name)))
#define ENVIRONMENT "wasi:cli/environment"
IMPORT(ENVIRONMENT, "get-arguments") void get_arguments(void *ret);
IMPORT(ENVIRONMENT, "get-environment") void get_environment(void *ret);
IMPORT(ENVIRONMENT, "initial-cwd") void initial_cwd(void *ret);
IMPORT("wasi:cli/exit", "exit") void exit_result(int is_err);
IMPORT("wasi:cli/exit", "exit-with-code") void exit_with_code(int code);
IMPORT("wasi:cli/stdin", "get-stdin") int get_stdin(void);
IMPORT("wasi:cli/stdout", "get-stdout") int get_stdout(void);
IMPORT("wasi:cli/stderr", "get-stderr") int get_stderr(void);
IMPORT("wasi:cli/terminal-stdin", "get-terminal-stdin") void terminal_stdin(void *ret);
IMPORT("wasi:cli/terminal-stdout", "get-terminal-stdout") void terminal_stdout(void *ret);
#define STREAMS "wasi:io/streams"
IMPORT(STREAMS, "[method]input-stream.blocking-read") void blocking_read(int self, int64_t n, void *ret);
IMPORT(STREAMS, "[method]input-stream.subscribe") int subscribe(int self);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void blocking_write(int self, const void *p, size_t n, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-splice") void blocking_splice(int self, int from, int64_t n, void *ret);
IMPORT(STREAMS, "[method]output-stream.check-write") void check_write(int self, void *ret);
IMPORT(STREAMS, "[method]output-stream.write") void write_stream(int self, const void *p, size_t n, void *ret);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(int);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(int);
IMPORT("wasi:io/poll", "poll") void poll(const int *list, size_t n, void *ret);
IMPORT("wasi:io/poll", "[resource-drop]pollable") void pollable_drop(int);
#define CLOCK "wasi:clocks/monotonic-clock"
IMPORT(CLOCK, "now") uint64_t now(void);
IMPORT(CLOCK, "resolution") uint64_t resolution(void);
IMPORT(CLOCK, "subscribe-duration") int subscribe_duration(uint64_t ns);
IMPORT(CLOCK, "subscribe-instant") int subscribe_instant(uint64_t when);
IMPORT("wasi:clocks/wall-clock", "now") void wall_now(void *ret);
IMPORT("wasi:random/random", "get-random-bytes") void random_bytes(uint64_t n, void *ret);
IMPORT("wasi:random/random", "get-random-u64") uint64_t random_u64(void);
IMPORT("wasi:random/insecure-seed", "insecure-seed") void insecure_seed(void *ret);
#define FS "wasi:filesystem/types"
IMPORT("wasi:filesystem/preopens", "get-directories") void get_directories(void *ret);
IMPORT(FS, "[method]descriptor.open-at")
void open_at(int self, int path_flags, const char *p, size_t n, int open_flags, int flags, void *ret);
IMPORT(FS, "[method]descriptor.read") void read_at(int self, uint64_t n, uint64_t offset, void *ret);
IMPORT(FS, "[method]descriptor.write") void write_at(int self, const void *p, size_t n, uint64_t offset, void *ret);
IMPORT(FS, "[method]descriptor.append-via-stream") void append_stream(int self, void *ret);
IMPORT(FS, "[method]descriptor.read-via-stream") void read_stream(int self, uint64_t offset, void *ret);
IMPORT(FS, "[method]descriptor.write-via-stream") void write_via_stream(int self, uint64_t offset, void *ret);
IMPORT(FS, "[method]descriptor.read-directory") void read_directory(int self, void *ret);
IMPORT(FS, "[method]directory-entry-stream.read-directory-entry") void read_entry(int self, void *ret);
IMPORT(FS, "[resource-drop]directory-entry-stream") void entries_drop(int);
IMPORT(FS, "[method]descriptor.get-flags") void get_flags(int self, void *ret);
IMPORT(FS, "[method]descriptor.get-type") void get_type(int self, void *ret);
IMPORT(FS, "[method]descriptor.set-size") void set_size(int self, uint64_t size, void *ret);
IMPORT(FS, "[method]descriptor.set-times")
void set_times(int self, int tag, uint64_t s, int ns, int tag2, uint64_t s2, int ns2, void *ret);
IMPORT(FS, "[method]descriptor.stat") void stat_of(int self, void *ret);
IMPORT(FS, "[method]descriptor.metadata-hash") void metadata_hash(int self, void *ret);
IMPORT(FS, "[method]descriptor.is-same-object") int is_same_object(int self, int other);
IMPORT(FS, "[method]descriptor.create-directory-at") void create_directory_at(int self, const char *p, size_t n, void *ret);
IMPORT(FS, "[method]descriptor.remove-directory-at") void remove_directory_at(int self, const char *p, size_t n, void *ret);
IMPORT(FS, "[method]descriptor.unlink-file-at") void unlink_file_at(int self, const char *p, size_t n, void *ret);
IMPORT(FS, "[method]descriptor.rename-at")
void rename_at(int self, const char *p, size_t n, int to, const char *q, size_t m, void *ret);
IMPORT(FS, "[method]descriptor.link-at")
void link_at(int self, int flags, const char *p, size_t n, int to, const char *q, size_t m, void *ret);
IMPORT(FS, "[method]descriptor.symlink-at")
void symlink_at(int self, const char *p, size_t n, const char *q, size_t m, void *ret);
IMPORT(FS, "[method]descriptor.readlink-at") void readlink_at(int self, const char *p, size_t n, void *ret);
IMPORT(FS, "filesystem-error-code") void filesystem_error_code(int err, void *ret);
IMPORT(FS, "[resource-drop]descriptor") void descriptor_drop(int);
IMPORT("wasi:io/error", "[resource-drop]error") void error_drop(int);
IMPORT("wasi:sockets/tcp-create-socket", "create-tcp-socket") void create_tcp_socket(int family, void *ret);
IMPORT("wasi:sockets/udp-create-socket", "create-udp-socket") void create_udp_socket(int family, void *ret);
IMPORT("wasi:sockets/instance-network", "instance-network") int instance_network(void);
IMPORT("wasi:sockets/ip-name-lookup", "resolve-addresses")
void resolve_addresses(int network, const char *p, size_t n, void *ret);

/* ---- memory and text ---- */

extern char __heap_base;
static char *heap;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    uintptr_t at = ((heap ? (uintptr_t)heap : (uintptr_t)&__heap_base) + align - 1) & ~(align - 1);
    while (at + size > __builtin_wasm_memory_size(0) << 16)
        if (__builtin_wasm_memory_grow(0, 16) == (size_t)-1) __builtin_trap();
    heap = (char *)at + size;
    return (void *)at;
}

void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

struct text {
    const char *p;
    size_t n;
};
#define T(lit) ((struct text){lit, sizeof(lit) - 1})
static int same(struct text a, struct text b) {
    for (size_t i = 0; i < a.n && a.n == b.n; i++)
        if (a.p[i] != b.p[i]) return 0;
    return a.n == b.n;
}
static struct text cut(struct text *s) {
    size_t n = 0;
    while (n < s->n && s->p[n] != ':') n++;
    struct text head = {s->p, n};
    n += n < s->n;
    *s = (struct text){s->p + n, s->n - n};
    return head;
}
static uint64_t number_of(struct text s) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) v = v * 10 + (uint64_t)(s.p[i] - '0');
    return v;
}

/* The memory that results are returned to. */
static _Alignas(8) unsigned char ret[128];
static uint32_t u32(size_t at) { return *(uint32_t *)(ret + at); }
static uint64_t u64(size_t at) { return *(uint64_t *)(ret + at); }
static struct text list(size_t at) { return (struct text){(const char *)(uintptr_t)u32(at), u32(at + 4)}; }

static void put(struct text s) {
    int out = get_stdout();
    for (size_t done = 0; done < s.n;) {
        size_t n = s.n - done < 4096 ? s.n - done : 4096;
        unsigned char r[16];
        blocking_write(out, s.p + done, n, r);
        if (r[0]) __builtin_trap();
        done += n;
    }
    output_drop(out);
}
static void put_number(uint64_t v) {
    char text[24], *p = text + sizeof text;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    put((struct text){p, (size_t)(text + sizeof text - p)});
}

/* ---- results ---- */

/* Of a result<_, error-code>, or one whose payload lies at `at`. True: ok. */
static int ok(size_t at) {
    if (ret[0]) put(T("error ")), put_number(ret[at]);
    return !ret[0];
}
/* Of a result<_, stream-error> whose payload lies at `at`. */
static int stream_ok(size_t at) {
    if (!ret[0]) return 1;
    if (ret[at]) return put(T("closed")), 0;
    int error = (int)u32(at + 4);
    filesystem_error_code(error, ret);
    put(T("failed ")), put_number(ret[0] ? ret[1] : 999);
    error_drop(error);
    return 0;
}

/* ---- files ---- */

static int dir = -1, dirs_list[8];

static void choose(size_t i) {
    if (dir < 0) {
        get_directories(ret);
        struct {
            int handle;
            struct text path;
        } *all = (void *)list(0).p;
        for (size_t k = 0, n = u32(4); k < n && k < 8; k++) dirs_list[k] = all[k].handle;
    }
    dir = dirs_list[i];
}

enum { CREATE = 1, DIRECTORY = 2, EXCLUSIVE = 4, TRUNCATE = 8, READ = 1, WRITE = 2, MUTATE = 32 };

/* -1: the error is printed. */
static int open(struct text path, int open_flags, int flags) {
    open_at(dir, 1, path.p, path.n, open_flags, flags, ret);
    return ok(4) ? (int)u32(4) : -1;
}

static void list_directory(struct text path) {
    int d = open(path, DIRECTORY, READ);
    if (d < 0) return;
    read_directory(d, ret);
    if (!ok(4)) return;
    int entries = (int)u32(4);
    for (;;) {
        read_entry(entries, ret);
        if (!ok(4) || !ret[4]) break;
        uint32_t type = ret[8];
        put(list(12)), put(T("=")), put_number(type), put(T(" "));
    }
    entries_drop(entries);
    descriptor_drop(d);
}

static void read_all(int f) {
    for (uint64_t at = 0;;) {
        read_at(f, 1000, at, ret);
        if (!ok(4)) return;
        at += u32(8);
        int end = ret[12];
        put(list(4));
        if (end) return;
    }
}

static void copy_stream(int f, uint64_t offset) {
    read_stream(f, offset, ret);
    if (!ok(4)) return;
    int in = (int)u32(4);
    for (;;) {
        blocking_read(in, 7, ret);
        if (!stream_ok(4)) break;
        put(list(4));
    }
    input_drop(in);
}

static void write_to(int out, struct text more) {
    blocking_write(out, more.p, more.n, ret);
    stream_ok(4);
    output_drop(out);
}

static void with_file(struct text verb, int f, struct text more) {
    if (same(verb, T("read"))) read_all(f);
    else if (same(verb, T("stream"))) copy_stream(f, number_of(more));
    else if (same(verb, T("write"))) {
        write_at(f, more.p, more.n, 0, ret);
        if (ok(8)) put_number(u64(8));
    } else if (same(verb, T("append"))) {
        append_stream(f, ret);
        if (ok(4)) write_to((int)u32(4), more);
    } else if (same(verb, T("patch"))) {
        write_via_stream(f, 2, ret);
        if (ok(4)) write_to((int)u32(4), more);
    } else if (same(verb, T("size"))) set_size(f, number_of(more), ret), ok(1);
    else if (same(verb, T("touch"))) set_times(f, 2, 1000, 5, 0, 0, 0, ret), ok(1);
    else if (same(verb, T("badtime"))) set_times(f, 2, 1000, (1 << 30) - 1, 0, 0, 0, ret), ok(1);
    else if (same(verb, T("flags"))) get_flags(f, ret), put_number(ok(1) ? ret[1] : 0);
    else if (same(verb, T("type"))) get_type(f, ret), put_number(ok(1) ? ret[1] : 0);
    else if (same(verb, T("stat"))) {
        stat_of(f, ret);
        if (ok(8)) put_number(ret[8]), put(T(" ")), put_number(u64(24)), put(T(" ")), put_number(u64(40));
    } else if (same(verb, T("same"))) {
        int other = open(more, 0, READ);
        put_number((uint64_t)is_same_object(f, other));
        metadata_hash(f, ret);
        uint64_t lower = u64(8), upper = u64(16);
        metadata_hash(other, ret);
        put_number(lower == u64(8) && upper == u64(16));
    }
}

/* For which verbs, and how, a file is opened. */
static int file_verb(struct text verb, struct text path, struct text more) {
    static const struct {
        struct text verb;
        int open_flags, flags;
    } verbs[] = {{T("read"), 0, READ},    {T("stream"), 0, READ}, {T("write"), CREATE | TRUNCATE, WRITE},
                 {T("append"), 0, WRITE}, {T("patch"), 0, WRITE}, {T("size"), 0, WRITE},
                 {T("touch"), 0, READ},   {T("flags"), 0, READ},  {T("badtime"), 0, READ},
                 {T("type"), 0, READ},    {T("stat"), 0, READ},   {T("same"), 0, READ}};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!same(verb, verbs[i].verb)) continue;
        int f = open(path, verbs[i].open_flags, verbs[i].flags);
        if (f >= 0) with_file(verb, f, more), descriptor_drop(f);
        return 1;
    }
    return 0;
}

static int path_verb(struct text verb, struct text a, struct text b) {
    if (same(verb, T("dir"))) choose((size_t)number_of(a));
    else if (same(verb, T("ls"))) list_directory(a);
    else if (same(verb, T("mkdir"))) create_directory_at(dir, a.p, a.n, ret), ok(1);
    else if (same(verb, T("rmdir"))) remove_directory_at(dir, a.p, a.n, ret), ok(1);
    else if (same(verb, T("unlink"))) unlink_file_at(dir, a.p, a.n, ret), ok(1);
    else if (same(verb, T("rename"))) rename_at(dir, a.p, a.n, dir, b.p, b.n, ret), ok(1);
    else if (same(verb, T("give"))) rename_at(dir, a.p, a.n, dirs_list[1], b.p, b.n, ret), ok(1);
    else if (same(verb, T("link"))) link_at(dir, 0, a.p, a.n, dir, b.p, b.n, ret), ok(1);
    else if (same(verb, T("symlink"))) symlink_at(dir, a.p, a.n, b.p, b.n, ret), ok(1);
    else if (same(verb, T("readlink"))) {
        readlink_at(dir, a.p, a.n, ret);
        if (ok(4)) put(list(4));
    } else if (same(verb, T("mutable"))) { /* a folder asked for with the right to change what is in it */
        int d = open(a, DIRECTORY, READ | MUTATE);
        if (d >= 0) get_flags(d, ret), put_number(ret[1]), descriptor_drop(d);
    } else return 0;
    return 1;
}

/* ---- the rest ---- */

/* Waits for the first of two alarms and prints which it was; then for the other. */
static void sleep_twice(uint64_t ms) {
    uint64_t start = now();
    int both[2] = {subscribe_duration(ms * 4 * 1000000), subscribe_instant(start + ms * 1000000)};
    poll(both, 2, ret);
    put_number(u32(4)), put_number(*(const uint32_t *)list(0).p);
    put(now() - start >= ms * 1000000 ? T(" late") : T(" early"));
    poll(both, 1, ret);
    put(now() - start >= ms * 4 * 1000000 ? T(" late") : T(" early"));
    pollable_drop(both[0]), pollable_drop(both[1]);
}

static void copy_input(void) {
    int in = get_stdin(), out = get_stdout(), ready = subscribe(in);
    for (;;) {
        poll(&ready, 1, ret);
        blocking_splice(out, in, 5000, ret);
        if (ret[0]) break;
    }
    pollable_drop(ready);
    input_drop(in), output_drop(out);
}

static void random_verb(uint64_t n) {
    random_bytes(n, ret);
    struct text a = list(0);
    random_bytes(n, ret);
    struct text b = list(0);
    insecure_seed(ret);
    uint64_t seed = u64(0);
    put_number(a.n), put(T(" ")), put_number(n ? !same(a, b) : 2), put_number(random_u64() != random_u64()),
        put_number(seed != u64(8));
}

static void sockets(void) {
    create_tcp_socket(0, ret), ok(4), put(T(" "));
    create_udp_socket(1, ret), ok(4), put(T(" "));
    resolve_addresses(instance_network(), "localhost", 9, ret), ok(4);
}

static void over_write(void) {
    int out = get_stdout();
    check_write(out, ret);
    static char zeros[1 << 17];
    write_stream(out, zeros, (size_t)u64(8) + 1, ret);
}

static void operate(struct text s) {
    struct text all = s, verb = cut(&s), a = cut(&s);
    if (file_verb(verb, a, s) || path_verb(verb, a, s)) return;
    if (same(verb, T("env"))) {
        get_environment(ret);
        struct {
            struct text key, value;
        } *env = (void *)list(0).p;
        for (size_t i = 0, n = u32(4); i < n; i++) put(env[i].key), put(T("=")), put(env[i].value), put(T(" "));
    } else if (same(verb, T("cwd"))) initial_cwd(ret), put_number(ret[0]);
    else if (same(verb, T("terminals"))) terminal_stdin(ret), put_number(ret[0]), terminal_stdout(ret), put_number(ret[0]);
    else if (same(verb, T("cat"))) copy_input();
    else if (same(verb, T("sleep"))) sleep_twice(number_of(a));
    else if (same(verb, T("wall"))) wall_now(ret), put_number(u64(0)), put(resolution() ? T("") : T("!"));
    else if (same(verb, T("random"))) random_verb(number_of(a));
    else if (same(verb, T("sockets"))) sockets();
    else if (same(verb, T("overwrite"))) over_write();
    else if (same(verb, T("exit"))) exit_result((int)number_of(a));
    else if (same(verb, T("code"))) exit_with_code((int)number_of(a));
    else put(all);
}

__attribute__((export_name("wasi:cli/run@0.2.12#run"))) int run(void) {
    get_arguments(ret);
    const struct text *args = (const void *)list(0).p;
    size_t count = u32(4);
    get_directories(ret);
    if (u32(4)) choose(0);
    for (size_t i = 1; i < count; i++) {
        if (same(args[i], T("fail"))) return 1;
        operate(args[i]);
        put(T("\n"));
    }
    return 0;
}
