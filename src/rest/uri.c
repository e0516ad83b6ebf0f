/* uri: query strings: taken apart, and put together again in one order. */
#include "rest/rest_int.h"
#include <stdlib.h>

static int hex_of(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool rest_unescape(arena *out, str s, bool plus, str *to) {
    uint8_t *p = arena_alloc(out, s.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? hex_of(s.p[i + 1]) : -1, low = high >= 0 ? hex_of(s.p[i + 2]) : -1;
        if (low >= 0) p[n++] = (uint8_t)(high << 4 | low), i += 2;
        else p[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i]; /* a % that escapes nothing is itself, as PostgREST has it */
    }
    *to = (str){p, n};
    return str_is_utf8(*to) && !memchr(p, 0, n);
}

void rest_escape(struct buf *to, str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool plain =
            (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) buf_putc(to, c);
        else buf_printf(to, "%%%02X", c);
    }
}

bool rest_params_of(arena *out, str query, rest_params *to, struct pg_error *error) {
    if (query.n > REST_QUERY_BYTES_MAX)
        return rest_fail(error, "54000", "a query string has at most %d bytes", REST_QUERY_BYTES_MAX);
    while (query.n) {
        str one, name, value;
        struct rest_param p;
        str_cut(query, '&', &one, &query);
        if (!one.n) continue;
        str_cut(one, '=', &name, &value);
        if (!rest_unescape(out, name, true, &p.name) || !rest_unescape(out, value, true, &p.value))
            return rest_fail(error, "22021", "invalid byte sequence for encoding \"UTF8\" in the query string");
        if (to->n == REST_PARAMS_MAX)
            return rest_fail(error, "54000", "a query string has at most %d parameters", REST_PARAMS_MAX);
        vec_push(out, to, p);
    }
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct rest_param *const *x = a, *const *y = b;
    int c = str_cmp((*x)->name, (*y)->name);
    return c ? c : (*x < *y ? -1 : *x > *y); /* those of one name stay as they were */
}

str rest_canonical(arena *out, const rest_params *params) {
    const struct rest_param **sorted = arena_array(out, const struct rest_param *, params->n + 1);
    struct buf b = {0};
    for (uint32_t i = 0; i < params->n; i++) sorted[i] = &params->p[i];
    qsort(sorted, params->n, sizeof *sorted, by_name);
    for (uint32_t i = 0; i < params->n; i++) {
        bool again = i && str_eq(sorted[i]->name, sorted[i - 1]->name);
        if (i) buf_putc(&b, again ? ',' : '&');
        if (!again) rest_escape(&b, sorted[i]->name), buf_putc(&b, '=');
        rest_escape(&b, sorted[i]->value);
    }
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

str rest_field_of(const struct rest_request *rq, const char *name, bool *there) {
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        if (!str_eq_nocase(rq->fields[i].name, str_c(name))) continue;
        *there = true;
        return rq->fields[i].value;
    }
    *there = false;
    return (str){0};
}
