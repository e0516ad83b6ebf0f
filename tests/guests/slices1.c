/* A CGI guest that asks a single call for as much work as it can. The number in the query is a size in megabytes. */
#include "p1.h"

IMPORT("random_get") int random_get(void *p, size_t n);
IMPORT("poll_oneoff") int poll_oneoff(const void *in, void *out, size_t n, size_t *done);

static char *grown(size_t mb) { return (char *)((size_t)__builtin_wasm_memory_grow(0, 16 * mb) << 16); }

/* memory.fill */
__attribute__((target("bulk-memory"))) static void fill(char *p, int c, size_t n) { __builtin_memset(p, c, n); }

/* 1024 pieces that are all the same megabytes of line feeds. */
static void flood(size_t mb) {
    static struct iovec v[1024];
    size_t done;
    char *p = grown(mb);
    fill(p, '\n', mb << 20);
    for (int i = 0; i < 1024; i++) v[i] = (struct iovec){p, mb << 20};
    fd_write(2, v, 1024, &done);
}

/* 1000 lines of 8191 control characters. */
static void control_characters(void) {
    char *p = grown(8);
    fill(p, 1, 8 << 20);
    for (size_t i = 1; i <= 1000; i++) p[8192 * i - 1] = '\n';
    put_bytes(2, p, 8192 * 1000);
}

/* Clocks that ring in a thousand years, and a descriptor that is looked at for each. */
static void poll_many(void) {
    enum { N = 1 << 16, SUBSCRIPTION = 48 };
    char *in = grown(4), *out = grown(4);
    size_t done;
    for (size_t i = 0; i < N; i++)
        *(uint64_t *)(in + i * SUBSCRIPTION + 16) = 1, *(uint64_t *)(in + i * SUBSCRIPTION + 24) = 1ull << 62;
    poll_oneoff(in, out, N, &done);
}

__attribute__((export_name("_start"))) void start(void) {
    load_environ();
    const char *path = variable("PATH_INFO"), *query = variable("QUERY_STRING");
    size_t n = 0;
    for (; *query >= '0' && *query <= '9'; query++) n = 10 * n + (size_t)(*query - '0');
    if (same(path, "/flood")) flood(n);
    if (same(path, "/control")) control_characters();
    if (same(path, "/poll")) poll_many();
    if (same(path, "/loop"))
        for (volatile int i = 0;; i++) {}
    if (same(path, "/random"))
        for (char *p = grown(n);;) random_get(p, n << 20);
    if (same(path, "/fill"))
        for (char *p = grown(n);;) fill(p, (int)n, n << 20);
    put(1, "Content-Type: text/plain\n\nhello\n");
}
