/* What calls2.c and calls3.c share: memory, the program, the pools. */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}
void *memset(void *to, int c, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = (char)c;
    return to;
}
static uint8_t heap[2 << 20] __attribute__((aligned(16)));
static size_t heap_used;
static void *room(size_t n) {
    heap_used = (heap_used + 15) & ~(size_t)15;
    if (n > sizeof heap) __builtin_trap();
    if (heap_used + n > sizeof heap) heap_used = 0; /* what lies there is long read */
    void *p = heap + heap_used;
    heap_used += n;
    return p;
}
EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_n, size_t align, size_t n) {
    void *p = room(n);
    if (old) memcpy(p, old, old_n < n ? old_n : n);
    return p;
}

/* ---- the request's path: /p?PORT.HEX ---- */

static const char *path;
static size_t path_n;
static int is(const char *s) {
    size_t n = 0;
    while (n < path_n && s[n] && s[n] == path[n]) n++;
    return !s[n] && (n == path_n || path[n] == '?');
}
static char authority[32] = "127.0.0.1:";
static size_t authority_n;
static uint8_t program[8192];
static size_t program_n, at;
static int nibble(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }
static void read_program(void) {
    size_t i = 0;
    authority_n = 10;
    while (i < path_n && path[i] != '?') i++;
    for (i++; i < path_n && path[i] != '.' && authority_n < sizeof authority; i++) authority[authority_n++] = path[i];
    for (i++; i + 1 < path_n && program_n < sizeof program; i += 2)
        program[program_n++] = (uint8_t)(nibble(path[i]) << 4 | nibble(path[i + 1]));
}
static int byte(void) { return at < program_n ? program[at++] : 0; }

/* Goes back over the last bytes of the program, so often. */
static void again(void) {
    static uint16_t turns[sizeof program];
    size_t here = at, back = (size_t)byte(), times = (size_t)byte();
    if (turns[here]++ < times * times / 4 && back + 1 < at) at = here - 1 - back;
}

/* ---- arguments ---- */

static uint8_t ret[1024] __attribute__((aligned(16)));
static uint8_t junk[1 << 17]; /* what is written, and where is read to */
static int skip;              /* there is nothing to call this with */

static int text(int *n) {
    static const char *const table[] = {
        "",        "/up",        "x",       "content-length", "10",       "host",    "transfer-encoding",
        "chunked", "connection", "close",   "a\xff\0b",       "bad name", "trailer", "abc",
        "5, 5",    "te",         "\r\nx: y"};
    static const uint8_t lengths[] = {0, 3, 1, 14, 2, 4, 17, 7, 10, 5, 4, 8, 7, 3, 4, 2, 6};
    unsigned i = (unsigned)byte();
    if (i == 100) return *n = (int)authority_n, (int)authority;
    if (i >= 250) return *n = 1 << (i - 250 + 11), (int)junk;
    i %= sizeof lengths;
    *n = lengths[i];
    return (int)table[i];
}
static int64_t number(void) {
    static const int64_t table[] = {0, 1, 5, 10, 100, 4096, 65536, 1 << 20, 200, 404, 1000000, INT64_C(1) << 32, INT64_C(1) << 62,
                                    -1};
    return table[(unsigned)byte() % (sizeof table / sizeof *table)];
}
static int tag(int cases) {
    int b = byte();
    return b >= 253 ? b : b % cases;
}
