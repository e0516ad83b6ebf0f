/* A command for tests of `orlo run`: its arguments, its environment, its input, its exit status. */
#include "p1.h"

__attribute__((export_name("_start"))) void start(void) {
    load_args();
    if (words_count < 2) {
        put(1, "no arguments\n");
        return;
    }
    const char *verb = words[1];
    if (same(verb, "args")) {
        for (size_t i = 0; i < words_count; i++) put(1, words[i]), put(1, "\n");
    } else if (same(verb, "env")) {
        load_environ();
        for (size_t i = 0; i < words_count; i++) put(1, words[i]), put(1, "\n");
    } else if (same(verb, "cat")) {
        static char piece[4096];
        for (size_t n; (n = get_bytes(0, piece, sizeof piece)) && put_bytes(1, piece, n);) {}
    } else if (same(verb, "exit")) {
        put(2, "leaving\n");
        proc_exit(7);
    } else if (same(verb, "trap")) {
        __builtin_trap();
    }
}
