/* A CGI guest that takes memory: /grow?MIB, /hold?MIB (until the request's body ends), /deep?FRAMES, /keep?MIB (a little, of its own). */
#include "p1.h"

static uint64_t number(const char *s) {
    uint64_t v = 0;
    while (*s >= '0' && *s <= '9') v = v * 10 + (uint64_t)(*s++ - '0');
    return v;
}

/* Grows by a mebibyte at a time and writes to each page; how many there were. */
static uint64_t take(uint64_t mib) {
    uint64_t n = 0;
    for (; n < mib; n++) {
        size_t old = __builtin_wasm_memory_grow(0, 16);
        if (old == (size_t)-1) break;
        for (size_t at = old << 16, end = at + (1 << 20); at < end; at += 4096) *(volatile char *)at = 1;
    }
    return n;
}

/* Some hundred bytes of the frame stack each, and none of linear memory. */
__attribute__((noinline)) static uint64_t deep(uint64_t n) {
    uint64_t a = n, b = n, c = n, d = n, e = n, f = n, g = n, h = n;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h));
    if (!n) return 1;
    uint64_t below = deep(n - 1);
    __asm__ volatile("" : "+r"(below));
    return below + a + b + c + d + e + f + g + h;
}

__attribute__((export_name("_start"))) void start(void) {
    load_environ();
    const char *path = variable("PATH_INFO");
    uint64_t n = number(variable("QUERY_STRING"));
    if (same(path, "/grow")) n = take(n);
    if (same(path, "/deep")) n = deep(n) > 0;
    if (same(path, "/hold")) {
        static char piece[256];
        n = take(n);
        put(1, "Content-Type: text/plain\n\nholding ");
        while (get_bytes(0, piece, sizeof piece)) {}
    } else {
        put(1, "Content-Type: text/plain\n\ntook ");
    }
    put_number(1, n);
    put(1, "\n");
}
