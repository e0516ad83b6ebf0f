/* A CGI guest for tests (RFC 3875): well-behaved on some paths, badly on others. */
#include "p1.h"

static void hello(const char *path) {
    put(1, "Content-Type: text/plain\r\nX-Guest: cgi\r\n\r\nhello from ");
    put(1, path);
    put(1, "\n");
}

static void echo(void) {
    static char piece[65536];
    put(1, "Content-Type: application/octet-stream\r\n\r\n");
    for (size_t n; (n = get_bytes(0, piece, sizeof piece));) put_bytes(1, piece, n);
}

static void show_environ(void) {
    put(1, "Content-Type: text/plain\n\n");
    for (size_t i = 0; i < words_count; i++) {
        put(1, words[i]);
        put(1, "\n");
    }
}

static void big(void) {
    static char piece[65536];
    memset(piece, 'x', sizeof piece);
    put(1, "Content-Type: text/plain\n\n");
    for (int i = 0; i < 256; i++)
        if (!put_bytes(1, piece, sizeof piece)) proc_exit(3);
}

/* Without end, and without linear memory: the call stack is what runs out. */
__attribute__((noinline)) static int recurse(int n) {
    __asm__ volatile("" : "+r"(n));
    int deeper = recurse(n + 1);
    __asm__ volatile("" : "+r"(deeper));
    return deeper + n;
}

static int ends(const char *s, const char *end) {
    size_t n = length(s), m = length(end);
    return n >= m && same(s + n - m, end);
}

/* /redirect?n redirects here n times, and then to /env?left=0; what it writes besides is not for the client. */
static void redirect(const char *query) {
    put(1, "Location: ");
    if (query[0] > '1' && query[0] <= '9') {
        char next[] = "/redirect?0";
        next[10] = (char)(query[0] - 1);
        put(1, next);
    } else put(1, "/env?left=0");
    put(1, "\n\n");
    for (int i = 0; i < 20000; i++) put(1, "not for the client\n");
}

static unsigned counter; /* a fresh instance has 0 */

__attribute__((export_name("_start"))) void start(void) {
    load_environ();
    const char *path = variable("PATH_INFO");
    if (!path[0]) path = "/";
    if (ends(path, "/echo")) echo();
    else if (ends(path, "/env")) show_environ();
    else if (ends(path, "/status")) put(1, "Status: 418 I'm a teapot\nContent-Type: text/plain\n\nshort and stout\n");
    else if (same(path, "/trap")) __builtin_trap();
    else if (same(path, "/loop"))
        for (volatile int i = 0;; i++) {}
    else if (same(path, "/deep")) put_number(1, (unsigned)recurse(0));
    else if (same(path, "/far")) *(volatile char *)0x7fff0000 = 1;
    else if (same(path, "/exit")) proc_exit(7);
    else if (same(path, "/redirect")) redirect(variable("QUERY_STRING"));
    else if (same(path, "/circle")) put(1, "Location: /circle\n\n");
    else if (same(path, "/away")) put(1, "Location: //example.org/env\n\n");
    else if (same(path, "/fragment")) put(1, "Location: /env#there\n\n");
    else if (same(path, "/more")) put(1, "Location: /env\nSet-Cookie: a=b\n\n");
    else if (same(path, "/moved")) put(1, "Status: 301 Moved\nLocation: /env\n\n");
    else if (same(path, "/nothing")) return;
    else if (same(path, "/garbage")) put(1, "this is no header\n\nbody\n");
    else if (same(path, "/half")) {
        static char piece[65536];
        memset(piece, 'y', sizeof piece);
        put(1, "Content-Type: text/plain\n\n");
        for (int i = 0; i < 8; i++) put_bytes(1, piece, sizeof piece);
        __builtin_trap();
    } else if (same(path, "/stderr")) {
        put(2, "first line\nsecond ");
        put(2, "line\nunfinished");
        hello(path);
    } else if (same(path, "/counter")) {
        put(1, "Content-Type: text/plain\n\n");
        put_number(1, ++counter);
    } else if (same(path, "/big")) big();
    else hello(path);
}
