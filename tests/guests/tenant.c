/* A CGI guest for tests of many apps: tells what it was granted, and misbehaves on request.
 *
 *   /env        its environment                  /read?PATH   a file of its first folder, or "errno N"
 *   /write?PATH writes its variable APP there    /trap  /loop  /grow  /flood (of its standard error)
 */
#include "p1.h"

IMPORT("path_open")
int path_open(int fd, int lookup, const char *path, size_t n, int oflags, int64_t rights, int64_t inheriting, int fdflags,
              int *out);
IMPORT("fd_close") int fd_close(int fd);

enum { CREAT = 1, TRUNC = 8, R_READ = 1 << 1, R_WRITE = 1 << 6, FOLDER = 3 };

static void failed(int why) {
    put(1, "errno ");
    put_number(1, (uint64_t)why);
    put(1, "\n");
}

static void read_file(const char *path) {
    static char piece[4096];
    int fd, why = path_open(FOLDER, 1, path, length(path), 0, R_READ, 0, 0, &fd);
    if (why) return failed(why);
    for (size_t n; (n = get_bytes(fd, piece, sizeof piece));) put_bytes(1, piece, n);
    fd_close(fd);
}

static void write_file(const char *path) {
    int fd, why = path_open(FOLDER, 1, path, length(path), CREAT | TRUNC, R_WRITE, 0, 0, &fd);
    if (why) return failed(why);
    put(fd, variable("APP"));
    fd_close(fd);
    put(1, "written\n");
}

static void grow(void) {
    for (;;) {
        size_t at = __builtin_wasm_memory_grow(0, 16);
        if (at == (size_t)-1) __builtin_trap();
        for (size_t i = 0; i < 16 << 16; i += 4096) *(volatile char *)((at << 16) + i) = 1;
    }
}

__attribute__((export_name("_start"))) void start(void) {
    load_environ();
    const char *path = variable("PATH_INFO"), *query = variable("QUERY_STRING");
    if (same(path, "/trap")) __builtin_trap();
    while (same(path, "/loop")) __asm__ volatile("");
    if (same(path, "/grow")) grow();
    if (same(path, "/flood"))
        for (int i = 0; i < 20000; i++) put(2, "a line that nobody wants to read, again and again and again\n");
    put(1, "Content-Type: text/plain\n\n");
    if (same(path, "/read")) return read_file(query);
    if (same(path, "/write")) return write_file(query);
    if (!same(path, "/env")) return (void)(put(1, variable("APP")), put(1, "\n"));
    for (size_t i = 0; i < words_count; i++) put(1, words[i]), put(1, "\n");
}
