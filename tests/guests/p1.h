/* Preview 1 by hand: what a small guest needs, without a C library. */
#ifndef P1_H
#define P1_H
#include <stddef.h>
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))
struct iovec {
    const void *p;
    size_t n;
};
IMPORT("fd_write") int fd_write(int fd, const struct iovec *v, size_t count, size_t *done);
IMPORT("fd_read") int fd_read(int fd, const struct iovec *v, size_t count, size_t *done);
IMPORT("proc_exit") _Noreturn void proc_exit(int code);
IMPORT("environ_sizes_get") int environ_sizes_get(size_t *count, size_t *bytes);
IMPORT("environ_get") int environ_get(char **environ, char *buffer);
IMPORT("args_sizes_get") int args_sizes_get(size_t *count, size_t *bytes);
IMPORT("args_get") int args_get(char **argv, char *buffer);

void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((char *)to)[i] = ((const char *)from)[i];
    return to;
}
void *memset(void *to, int c, size_t n) {
    for (size_t i = 0; i < n; i++) ((char *)to)[i] = (char)c;
    return to;
}
static size_t length(const char *s) {
    size_t n = 0;
    while (s[n]) n++;
    return n;
}
static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static int put_bytes(int fd, const void *p, size_t n) {
    while (n) {
        size_t done = 0;
        struct iovec v = {p, n};
        if (fd_write(fd, &v, 1, &done)) return 0;
        p = (const char *)p + done;
        n -= done;
    }
    return 1;
}
static int put(int fd, const char *s) { return put_bytes(fd, s, length(s)); }
static void put_number(int fd, uint64_t v) {
    char text[24], *p = text + sizeof text;
    *--p = 0;
    do *--p = (char)('0' + v % 10);
    while (v /= 10);
    put(fd, p);
}
static size_t get_bytes(int fd, void *p, size_t n) {
    size_t done = 0;
    struct iovec v = {p, n};
    return fd_read(fd, &v, 1, &done) ? 0 : done;
}

static char *words[256], text_[32768];
static size_t words_count;
static void load_environ(void) {
    size_t bytes;
    if (environ_sizes_get(&words_count, &bytes) || words_count >= 256 || bytes > sizeof text_) proc_exit(99);
    environ_get(words, text_);
}
static void load_args(void) {
    size_t bytes;
    if (args_sizes_get(&words_count, &bytes) || words_count >= 256 || bytes > sizeof text_) proc_exit(99);
    args_get(words, text_);
}
/* After load_environ. */
static const char *variable(const char *name) {
    size_t n = length(name);
    for (size_t i = 0; i < words_count; i++) {
        size_t k = 0;
        while (k < n && words[i][k] == name[k]) k++;
        if (k == n && words[i][n] == '=') return words[i] + n + 1;
    }
    return "";
}
#endif
