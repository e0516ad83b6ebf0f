/* foreign: what a file is that is neither WebAssembly nor an image, from its first bytes and its name; only what to say depends on it. */
#include "node/node_int.h"

struct foreign {
    str begin, name; /* one of both */
    size_t at;
    const char *what, *advice;
};
static const struct foreign table[] = {
#define BEGINS(bytes, offset, what, advice) {.begin = STR(bytes), .at = (offset), what, advice},
#define NAMED(n, what, advice) {.name = STR(n), .at = 0, what, advice},
#include "node/foreign.def"
#undef BEGINS
#undef NAMED
};

static bool fits(const struct foreign *f, str name, str begin) {
    if (f->begin.n) return str_starts(str_sub(begin, f->at, begin.n), f->begin);
    if (name.n < f->name.n || (name.n > f->name.n && f->name.p[0] != '.')) return false;
    return str_eq_nocase(str_sub(name, name.n - f->name.n, name.n), f->name);
}

static bool is_text(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' && s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t') return false;
    return true;
}

err node_foreign(const char *path, str begin, struct diag *d) {
    const char *slash = strrchr(path, '/');
    str name = str_c(slash ? slash + 1 : path), head = begin;
    while (head.n && memchr(" \t\r\n", head.p[0], 4)) head = str_sub(head, 1, head.n);
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (fits(&table[i], name, table[i].at ? begin : head))
            return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is %s, not WebAssembly: %s", table[i].what, table[i].advice);
    if (is_text(begin)) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is plain text, not WebAssembly");
    char bytes[3 * 4 + 1] = "";
    for (size_t i = 0; i < MIN(begin.n, (size_t)4); i++) snprintf(bytes + 3 * i, 4, " %02x", begin.p[i]);
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is not WebAssembly: that starts with 00 61 73 6d, this with%s", bytes);
}
