/* A WASI 0.3 command for tests, by hand against the canonical ABI. Each argument is one operation, VERB[:PATH[:MORE]]; it prints
 * what came of it on a line. Paths are those of the granted folder that the last `dir:N` chose, at first the first one.
 *
 * cli3.wasm is checked in, because Debian has no tool that makes a component of a core module. To make it anew:
 *   mkdir wit && cp -r cli3.wit ../../wit/wasi-0.3/deps wit/
 *   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o core.wasm cli3.c
 *   wasm-tools component embed wit -w cli3-guest core.wasm -o embedded.wasm
 *   wasm-tools component new embedded.wasm -o cli3.wasm
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define OF(interface, name) IMPORT("wasi:" interface "@0.3.0", name)
OF("cli/environment", "get-arguments") void get_arguments(void *ret);
OF("cli/environment", "get-environment") void get_environment(void *ret);
OF("cli/environment", "get-initial-cwd") void initial_cwd(void *ret);
OF("cli/exit", "exit") void exit_result(int is_err);
OF("cli/exit", "exit-with-code") void exit_with_code(int code);
OF("cli/terminal-stdin", "get-terminal-stdin") void terminal_stdin(void *ret);
OF("cli/terminal-stdout", "get-terminal-stdout") void terminal_stdout(void *ret);
OF("cli/stdin", "read-via-stream") void stdin_stream(void *ret);
OF("cli/stdin", "[async-lower][stream-read-0]read-via-stream") uint32_t stdin_read(int s, void *p, size_t n);
OF("cli/stdin", "[stream-cancel-read-0]read-via-stream") uint32_t stdin_cancel(int s);
OF("cli/stdin", "[stream-drop-readable-0]read-via-stream") void stdin_drop(int s);
OF("cli/stdin", "[future-read-1]read-via-stream") uint32_t stdin_result(int f, void *p);
OF("cli/stdin", "[future-drop-readable-1]read-via-stream") void stdin_result_drop(int f);
OF("cli/stdout", "write-via-stream") int stdout_stream(int s);
OF("cli/stdout", "[stream-new-0]write-via-stream") uint64_t out_new(void);
OF("cli/stdout", "[stream-write-0]write-via-stream") uint32_t out_write(int s, const void *p, size_t n);
OF("cli/stdout", "[stream-drop-writable-0]write-via-stream") void out_drop(int s);
OF("cli/stdout", "[future-read-1]write-via-stream") uint32_t out_result(int f, void *p);
OF("cli/stdout", "[future-drop-readable-1]write-via-stream") void out_result_drop(int f);
OF("cli/stderr", "write-via-stream") int stderr_stream(int s);
OF("clocks/monotonic-clock", "now") uint64_t now(void);
OF("clocks/monotonic-clock", "[async-lower]wait-for") uint32_t wait_for(uint64_t ns);
OF("clocks/monotonic-clock", "wait-until") void wait_until(uint64_t when);
OF("clocks/system-clock", "now") void system_now(void *ret);
OF("random/random", "get-random-bytes") void random_bytes(uint64_t n, void *ret);
OF("random/insecure-seed", "get-insecure-seed") void insecure_seed(void *ret);
#define FS "filesystem/types"
#define METHOD(name) "[method]descriptor." name
OF("filesystem/preopens", "get-directories") void get_directories(void *ret);
OF(FS, METHOD("open-at")) void open_at(int self, int path_flags, const char *p, size_t n, int open_flags, int flags, void *ret);
OF(FS, METHOD("read-via-stream")) void read_stream(int self, uint64_t offset, void *ret);
OF(FS, "[stream-read-0]" METHOD("read-via-stream")) uint32_t file_read(int s, void *p, size_t n);
OF(FS, "[stream-drop-readable-0]" METHOD("read-via-stream")) void file_drop(int s);
OF(FS, "[future-read-1]" METHOD("read-via-stream")) uint32_t file_result(int f, void *p);
OF(FS, "[future-drop-readable-1]" METHOD("read-via-stream")) void file_result_drop(int f);
OF(FS, METHOD("write-via-stream")) int write_stream(int self, int s, uint64_t offset);
OF(FS, METHOD("append-via-stream")) int append_stream(int self, int s);
OF(FS, METHOD("read-directory")) void read_directory(int self, void *ret);
OF(FS, "[stream-read-0]" METHOD("read-directory")) uint32_t entries_read(int s, void *p, size_t n);
OF(FS, "[stream-drop-readable-0]" METHOD("read-directory")) void entries_drop(int s);
OF(FS, METHOD("get-flags")) void get_flags(int self, void *ret);
OF(FS, METHOD("get-type")) void get_type(int self, void *ret);
OF(FS, METHOD("set-size")) void set_size(int self, uint64_t size, void *ret);
OF(FS, METHOD("set-times")) void set_times(int self, int tag, int64_t s, int ns, int tag2, int64_t s2, int ns2, void *ret);
OF(FS, METHOD("stat")) void stat_of(int self, void *ret);
OF(FS, METHOD("sync")) void sync_file(int self, void *ret);
OF(FS, "[async-lower]" METHOD("sync")) uint32_t sync_async(int self, void *ret);
OF(FS, METHOD("metadata-hash")) void metadata_hash(int self, void *ret);
OF(FS, METHOD("is-same-object")) int is_same_object(int self, int other);
OF(FS, METHOD("create-directory-at")) void create_directory_at(int self, const char *p, size_t n, void *ret);
OF(FS, METHOD("remove-directory-at")) void remove_directory_at(int self, const char *p, size_t n, void *ret);
OF(FS, METHOD("unlink-file-at")) void unlink_file_at(int self, const char *p, size_t n, void *ret);
OF(FS, METHOD("rename-at")) void rename_at(int self, const char *p, size_t n, int to, const char *q, size_t m, void *ret);
OF(FS, METHOD("link-at")) void link_at(int self, int flags, const char *p, size_t n, int to, const char *q, size_t m, void *ret);
OF(FS, METHOD("symlink-at")) void symlink_at(int self, const char *p, size_t n, const char *q, size_t m, void *ret);
OF(FS, METHOD("readlink-at")) void readlink_at(int self, const char *p, size_t n, void *ret);
OF(FS, "[resource-drop]descriptor") void descriptor_drop(int);
IMPORT("$root", "[waitable-set-new]") int set_new(void);
IMPORT("$root", "[waitable-set-wait]") int set_wait(int set, void *event);
IMPORT("$root", "[waitable-set-drop]") void set_drop(int set);
IMPORT("$root", "[waitable-join]") void join(int waitable, int set);
IMPORT("$root", "[subtask-cancel]") uint32_t subtask_cancel(int subtask);
IMPORT("$root", "[subtask-drop]") void subtask_drop(int subtask);

enum { BLOCKED = 0xffffffff, RETURNED = 2, DROPPED = 1 };

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

static int out = -1;
static void put(struct text s) {
    while (s.n) {
        uint32_t r = out_write(out, s.p, s.n);
        if (r & 15) exit_with_code(99);
        s = (struct text){s.p + (r >> 4), s.n - (r >> 4)};
    }
}
static void put_number(uint64_t v) {
    char text[24], *p = text + sizeof text;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    put((struct text){p, (size_t)(text + sizeof text - p)});
}

/* Of a result<_, error-code>, or one whose payload lies at `at`. True: ok. */
static int ok(size_t at) {
    if (ret[0]) put(T("error ")), put_number(ret[at]);
    return !ret[0];
}

/* The outcome of a stream of a file, which its future has. */
static void put_outcome(int future) {
    file_result(future, ret);
    file_result_drop(future);
    ok(4);
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

enum { CREATE = 1, DIRECTORY = 2, EXCLUSIVE = 4, TRUNCATE = 8, READ = 1, WRITE = 2, FILE_SYNC = 4, MUTATE = 32 };

/* -1: the error is printed. */
static int open(struct text path, int open_flags, int flags) {
    open_at(dir, 1, path.p, path.n, open_flags, flags, ret);
    return ok(4) ? (int)u32(4) : -1;
}

static void list_directory(struct text path) {
    static struct {
        uint32_t type, other[3];
        struct text name;
    } some[3];
    int d = open(path, 0, READ);
    if (d < 0) return;
    read_directory(d, ret);
    int entries = (int)u32(0), future = (int)u32(4);
    for (;;) {
        uint32_t r = entries_read(entries, some, 3);
        for (uint32_t i = 0; i < r >> 4; i++) put(some[i].name), put(T("=")), put_number(some[i].type & 255), put(T(" "));
        if (r & 15) break;
    }
    entries_drop(entries);
    put_outcome(future);
    descriptor_drop(d);
}

/* Prints what there is from offset on, `size` bytes at a time. */
static void read_all(int f, uint64_t offset, size_t size) {
    static char some[64];
    read_stream(f, offset, ret);
    int s = (int)u32(0), future = (int)u32(4);
    for (;;) {
        uint32_t r = file_read(s, some, size);
        put((struct text){some, r >> 4});
        if (r & 15) break;
    }
    file_drop(s);
    put_outcome(future);
}

/* A stream's writable end is kept, its readable end goes where `to` says. */
enum sink { AT_START, AT_TWO, AT_END };
static int begin_write(int f, enum sink to, int *writable) {
    uint64_t ends = out_new();
    *writable = (int)(ends >> 32);
    return to == AT_END ? append_stream(f, (int)ends) : write_stream(f, (int)ends, to == AT_TWO ? 2 : 0);
}

static void write_all(int f, enum sink to, struct text s) {
    int w, future = begin_write(f, to, &w);
    while (s.n) {
        uint32_t r = out_write(w, s.p, s.n);
        s = (struct text){s.p + (r >> 4), s.n - (r >> 4)};
        if (r & 15) break;
    }
    out_drop(w);
    put_outcome(future);
}

/* Many pages through the file, and back: prints how many bytes came and whether they are the same. */
static void big(int f, uint64_t pages) {
    static unsigned char page[65536];
    int w, future = begin_write(f, AT_START, &w);
    for (uint64_t i = 0; i < pages; i++) {
        for (size_t k = 0; k < sizeof page; k++) page[k] = (unsigned char)(k * 7 + i + (k >> 8));
        for (size_t at = 0; at < sizeof page;) at += out_write(w, page + at, sizeof page - at) >> 4;
    }
    out_drop(w);
    put_outcome(future);
    read_stream(f, 0, ret);
    int s = (int)u32(0), good = 1;
    future = (int)u32(4);
    uint64_t n = 0;
    for (;;) {
        uint32_t r = file_read(s, page, sizeof page);
        for (uint32_t k = 0; k < r >> 4; k++, n++)
            good &= page[k] == (unsigned char)((n & 65535) * 7 + (n >> 16) + ((n & 65535) >> 8));
        if (r & 15) break;
    }
    file_drop(s);
    put_outcome(future);
    put_number(n), put(good ? T(" same") : T(" other"));
}

/* As many syncs at once as it says: each is pending, all end. */
static void syncs(int f, uint64_t count) {
    static _Alignas(8) unsigned char results[64][24];
    int set = set_new(), event[2];
    uint64_t pending = 0, failed = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t r = sync_async(f, results[i & 63]);
        if ((r & 15) == RETURNED) continue;
        join((int)(r >> 4), set);
        pending++;
    }
    for (uint64_t i = 0; i < pending; i++) {
        set_wait(set, event);
        subtask_drop(event[0]);
    }
    for (size_t i = 0; i < 64; i++) failed += results[i][0];
    set_drop(set);
    put_number(pending > 0), put(T(" ")), put_number(failed);
}

/* A sync is asked for and cancelled at once: prints 1 if it ended either way. */
static void cancel_sync(int f) {
    static _Alignas(8) unsigned char result[24];
    uint32_t r = sync_async(f, result);
    if ((r & 15) == RETURNED) return put_number(1);
    uint32_t end = subtask_cancel((int)(r >> 4));
    subtask_drop((int)(r >> 4));
    put_number(end >= RETURNED);
}

/* One file becomes another, in the host alone; prints whether each end was fine. */
static void transfer(int f, struct text to) {
    read_stream(f, 0, ret);
    int s = (int)u32(0), result = (int)u32(4), g = open(to, CREATE | TRUNCATE, WRITE);
    if (g < 0) return;
    put_outcome(write_stream(g, s, 0));
    put_outcome(result);
    descriptor_drop(g);
}

/* Leaves with a write, a read and a sync under way that nobody waits for: by exit, or by a trap. */
static void abandon(int f, struct text how) {
    static _Alignas(8) unsigned char result[24];
    static char page[50000];
    int w;
    begin_write(f, AT_START, &w);
    out_write(w, page, sizeof page);
    sync_async(f, result);
    read_stream(f, 0, ret);
    sync_async(f, result);
    if (same(how, T("exit"))) exit_with_code(0);
    if (same(how, T("drop"))) return out_drop(w), exit_with_code(0);
    __builtin_trap();
}

static void with_file(struct text verb, int f, struct text more) {
    if (same(verb, T("read"))) read_all(f, number_of(more), 7);
    else if (same(verb, T("write"))) write_all(f, AT_START, more);
    else if (same(verb, T("append"))) write_all(f, AT_END, more);
    else if (same(verb, T("patch"))) write_all(f, AT_TWO, more);
    else if (same(verb, T("big"))) big(f, number_of(more));
    else if (same(verb, T("syncs"))) syncs(f, number_of(more));
    else if (same(verb, T("cancel"))) cancel_sync(f);
    else if (same(verb, T("abandon"))) abandon(f, more);
    else if (same(verb, T("transfer"))) transfer(f, more);
    else if (same(verb, T("size"))) set_size(f, number_of(more), ret), ok(4);
    else if (same(verb, T("sync"))) sync_file(f, ret), ok(4);
    else if (same(verb, T("touch"))) set_times(f, 2, -1, 5, 2, 1000, 0, ret), ok(4);
    else if (same(verb, T("badtime"))) set_times(f, 2, 1000, (1 << 30) - 1, 0, 0, 0, ret), ok(4);
    else if (same(verb, T("flags"))) get_flags(f, ret), put_number(ok(4) ? ret[4] : 0);
    else if (same(verb, T("type"))) get_type(f, ret), put_number(ok(4) ? ret[4] : 0);
    else if (same(verb, T("drop"))) { /* the stream, with something in it yet */ read_stream(f, 0, ret);
        int s = (int)u32(0), future = (int)u32(4);
        static char one;
        put_number(file_read(s, &one, 1) >> 4);
        file_drop(s);
        put_outcome(future);
    } else if (same(verb, T("stat"))) {
        stat_of(f, ret);
        if (ok(8))
            put_number(ret[8]), put(T(" ")), put_number(u64(32)), put(T(" ")), put_number(u64(48) + 2), put(T(" ")),
                put_number(u64(72));
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
    } verbs[] = {{T("read"), 0, READ},
                 {T("write"), CREATE | TRUNCATE, WRITE},
                 {T("append"), 0, WRITE},
                 {T("patch"), 0, WRITE},
                 {T("size"), 0, WRITE},
                 {T("touch"), 0, READ},
                 {T("flags"), 0, READ},
                 {T("badtime"), 0, READ},
                 {T("type"), 0, READ},
                 {T("stat"), 0, READ},
                 {T("same"), 0, READ},
                 {T("drop"), 0, READ},
                 {T("big"), CREATE | TRUNCATE, READ | WRITE},
                 {T("syncs"), 0, WRITE},
                 {T("cancel"), 0, WRITE},
                 {T("sync"), 0, READ},
                 {T("transfer"), 0, READ},
                 {T("abandon"), CREATE | TRUNCATE, READ | WRITE | FILE_SYNC}};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!same(verb, verbs[i].verb)) continue;
        int f = open(path, verbs[i].open_flags, verbs[i].flags);
        if (f >= 0) with_file(verb, f, more), descriptor_drop(f);
        return 1;
    }
    return 0;
}

/* As many streams of one file as it is given, with their descriptor dropped: prints how many. */
static void open_all(struct text path) {
    uint64_t count = 0;
    for (;; count++) {
        open_at(dir, 1, path.p, path.n, 0, READ, ret);
        if (ret[0]) break;
        int f = (int)u32(4);
        read_stream(f, 0, ret);
        descriptor_drop(f);
    }
    put_number(count), put(T(" ")), ok(4);
}

static int path_verb(struct text verb, struct text a, struct text b) {
    if (same(verb, T("dir"))) choose((size_t)number_of(a));
    else if (same(verb, T("ls"))) list_directory(a);
    else if (same(verb, T("mkdir"))) create_directory_at(dir, a.p, a.n, ret), ok(4);
    else if (same(verb, T("rmdir"))) remove_directory_at(dir, a.p, a.n, ret), ok(4);
    else if (same(verb, T("unlink"))) unlink_file_at(dir, a.p, a.n, ret), ok(4);
    else if (same(verb, T("rename"))) rename_at(dir, a.p, a.n, dir, b.p, b.n, ret), ok(4);
    else if (same(verb, T("give"))) rename_at(dir, a.p, a.n, dirs_list[1], b.p, b.n, ret), ok(4);
    else if (same(verb, T("link"))) link_at(dir, 0, a.p, a.n, dir, b.p, b.n, ret), ok(4);
    else if (same(verb, T("symlink"))) symlink_at(dir, a.p, a.n, b.p, b.n, ret), ok(4);
    else if (same(verb, T("openall"))) open_all(a);
    else if (same(verb, T("readlink"))) {
        readlink_at(dir, a.p, a.n, ret);
        if (ok(4)) put(list(4));
    } else if (same(verb, T("mutable"))) { /* a folder asked for with the right to change what is in it */
        int d = open(a, DIRECTORY, READ | MUTATE);
        if (d >= 0) get_flags(d, ret), put_number(ret[4]), descriptor_drop(d);
    } else return 0;
    return 1;
}

/* ---- the rest ---- */

/* Two waits at once; prints which ended first, and whether both took long enough. */
static void sleep_twice(uint64_t ms) {
    uint64_t start = now();
    uint32_t slow = wait_for(ms * 4 * 1000000), quick = wait_for(ms * 1000000);
    int set = set_new(), event[2];
    join((int)(slow >> 4), set), join((int)(quick >> 4), set);
    set_wait(set, event);
    put(event[0] == (int)(quick >> 4) ? T("quick") : T("slow")), put(now() - start >= ms * 1000000 ? T(" late") : T(" early"));
    set_wait(set, event);
    put(now() - start >= ms * 4 * 1000000 ? T(" late") : T(" early"));
    subtask_drop((int)(slow >> 4)), subtask_drop((int)(quick >> 4));
    set_drop(set);
    wait_until(start); /* long past */
}

/* An hour's wait, cancelled. */
static void cancel_sleep(void) {
    uint64_t start = now();
    uint32_t r = wait_for(3600ull * 1000000000);
    put_number(subtask_cancel((int)(r >> 4)));
    subtask_drop((int)(r >> 4));
    put(now() - start < 60000000000 ? T(" soon") : T(" late"));
}

/* Standard input as it is becomes a standard output of its own. */
static void splice(void) {
    stdin_stream(ret);
    int result = (int)u32(4), future = stdout_stream((int)u32(0));
    out_result(future, ret);
    put_number(ret[0]);
    stdin_result(result, ret);
    put_number(ret[0]);
    out_result_drop(future), stdin_result_drop(result);
}

static void copy_input(void) {
    static char some[5000];
    stdin_stream(ret);
    int s = (int)u32(0), future = (int)u32(4);
    int set = set_new(), event[2];
    join(s, set);
    for (;;) {
        uint32_t r = stdin_read(s, some, sizeof some);
        if (r == BLOCKED) set_wait(set, event), r = (uint32_t)event[1];
        put((struct text){some, r >> 4});
        if (r & 15) break;
    }
    join(s, 0);
    set_drop(set);
    stdin_drop(s);
    stdin_result(future, ret), stdin_result_drop(future);
    put_number(ret[0]);
}

/* Asks for input that is not there, and takes that back. */
static void cancel_input(void) {
    static char some[16];
    stdin_stream(ret);
    int s = (int)u32(0), future = (int)u32(4);
    uint32_t r = stdin_read(s, some, sizeof some);
    put(r == BLOCKED ? T("blocked ") : T("there "));
    if (r == BLOCKED) r = stdin_cancel(s);
    put_number(r);
    stdin_drop(s);
    stdin_result(future, ret), stdin_result_drop(future);
    put(T(" ")), put_number(ret[0]);
}

static void write_error(struct text s) {
    uint64_t ends = out_new();
    int future = stderr_stream((int)ends);
    out_write((int)(ends >> 32), s.p, s.n);
    out_drop((int)(ends >> 32));
    out_result(future, ret), out_result_drop(future);
    put_number(ret[0]);
}

/* Writes until nobody reads, and says so on standard error. */
static void gush(void) {
    static char some[9999];
    uint64_t ends = out_new();
    int future = stdout_stream((int)ends);
    while (!(out_write((int)(ends >> 32), some, sizeof some) & 15)) continue;
    out_drop((int)(ends >> 32));
    out_result(future, ret);
    exit_with_code(ret[0] ? 10 + ret[1] : 9);
}

static void random_verb(uint64_t n) {
    random_bytes(n, ret);
    struct text a = list(0);
    random_bytes(n, ret);
    struct text b = list(0);
    insecure_seed(ret);
    uint64_t seed = u64(0);
    insecure_seed(ret);
    put_number(a.n), put(T(" ")), put_number(n ? !same(a, b) : 2), put_number(seed == u64(0));
}

static void operate(struct text s) {
    struct text all = s, verb = cut(&s), a = cut(&s);
    int event[2];
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
    else if (same(verb, T("splice"))) splice();
    else if (same(verb, T("takeback"))) cancel_input();
    else if (same(verb, T("gush"))) gush();
    else if (same(verb, T("err"))) write_error(a);
    else if (same(verb, T("sleep"))) sleep_twice(number_of(a));
    else if (same(verb, T("nosleep"))) cancel_sleep();
    else if (same(verb, T("flood")))
        while (wait_for(3600ull * 1000000000) >> 4) continue;
    else if (same(verb, T("deadlock"))) set_wait(set_new(), event);
    else if (same(verb, T("wall"))) system_now(ret), put_number(u64(0));
    else if (same(verb, T("random"))) random_verb(number_of(a));
    else if (same(verb, T("exit"))) exit_result((int)number_of(a));
    else if (same(verb, T("code"))) exit_with_code((int)number_of(a));
    else put(all);
}

/* Without arguments it answers as a CGI program: its query string is the one operation; without one, its request's method and path, and
 * the body as it came. */
static void answer(void) {
    put(T("Content-Type: text/plain\n\n"));
    get_environment(ret);
    struct {
        struct text key, value;
    } *env = (void *)list(0).p;
    size_t count = u32(4);
    for (size_t i = 0; i < count; i++)
        if (same(env[i].key, T("QUERY_STRING")) && env[i].value.n) {
            operate(env[i].value);
            return;
        }
    for (size_t i = 0; i < count; i++)
        if (same(env[i].key, T("REQUEST_METHOD")) || same(env[i].key, T("PATH_INFO"))) put(env[i].value), put(T("\n"));
    copy_input();
}

__attribute__((export_name("wasi:cli/run@0.3.0#run"))) int run(void) {
    uint64_t ends = out_new();
    int printed = stdout_stream((int)ends), status = 0;
    out = (int)(ends >> 32);
    get_arguments(ret);
    const struct text *args = (const void *)list(0).p;
    size_t count = u32(4);
    get_directories(ret);
    if (u32(4)) choose(0);
    if (count == 1) answer();
    for (size_t i = 1; i < count && !status; i++) {
        status = same(args[i], T("fail"));
        if (!status) operate(args[i]), put(T("\n"));
    }
    out_drop(out);
    out_result(printed, ret);
    return status || ret[0];
}
