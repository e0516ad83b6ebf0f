/* tree: a query tree of a guest's, and its parameters, as one text of JSON.
 *
 *   {"from": "notes", "where": {"column": "id", "op": "eq", "value": {"$": 1}}}   +   [integer(7)]
 *   {"query": {"from": "notes", "where": {"column": "id", "op": "eq", "value": 7}}, "counted": true}
 *
 * 1. A parameter cannot become anything but one value: text is written as a string, and JSON is looked at, so that it ends where it began.
 * 2. Whether all of it is a tree says whoever reads it (query.h). What is copied is counted as the guest's own work, and bounded.
 */
#include "tables/tables_int.h"
#include <math.h>

enum { PIECE = 64 << 10 };
static const char hex_digits[] = "0123456789abcdef";

struct body {
    struct host_call *call;
    struct buf *b;
    tables_error *error;
    bool failed, interrupted;
    size_t worked;
};

static void fail(struct body *t, const char *code, const char *message) {
    if (!t->failed) *t->error = tables_error_of(code, message, "");
    t->failed = true;
}

/* After each piece. False: it is to end. */
static bool goes_on(struct body *t, size_t bytes) {
    t->worked += bytes;
    if (t->worked >= PIECE) {
        t->interrupted |= !host_work(t->call->instance, t->worked);
        t->worked = 0;
    }
    if (t->b->full) fail(t, "54000", "a query with its parameters is larger than 16 MiB");
    return !t->failed && !t->interrupted;
}

static void put(struct body *t, str s) {
    while (s.n && goes_on(t, MIN(s.n, (size_t)PIECE))) {
        buf_puts(t->b, str_sub(s, 0, PIECE));
        s = str_sub(s, PIECE, s.n);
    }
}

/* Between two characters, so that each is well-formed by itself. */
static void put_text(struct body *t, str s) {
    buf_putc(t->b, '"');
    while (s.n && goes_on(t, MIN(s.n, (size_t)PIECE))) {
        size_t n = MIN(s.n, (size_t)PIECE);
        while (n < s.n && (s.p[n] & 0xc0) == 0x80) n++;
        json_escape(t->b, str_sub(s, 0, n));
        s = str_sub(s, n, s.n);
    }
    buf_putc(t->b, '"');
}

static void put_bytes(struct body *t, str s) {
    buf_puts(t->b, STR("\"\\\\x"));
    for (size_t i = 0; i < s.n; i++) {
        if (i % PIECE == 0 && !goes_on(t, MIN(s.n - i, (size_t)PIECE))) return;
        buf_putc(t->b, (uint8_t)hex_digits[s.p[i] >> 4]);
        buf_putc(t->b, (uint8_t)hex_digits[s.p[i] & 15]);
    }
    buf_putc(t->b, '"');
}

static size_t digits(str s, size_t at) {
    while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9') at++;
    return at;
}

/* As JSON has numbers. What PostgreSQL has besides ("NaN", ".5") goes as text. */
static bool is_number(str s) {
    size_t at = s.n && s.p[0] == '-', from = at;
    at = digits(s, at);
    if (at == from || (s.p[from] == '0' && at > from + 1)) return false;
    if (at < s.n && s.p[at] == '.') {
        from = at + 1;
        at = digits(s, from);
        if (at == from) return false;
    }
    if (at < s.n && (s.p[at] | 32) == 'e') {
        from = at + 1;
        if (from < s.n && (s.p[from] == '+' || s.p[from] == '-')) from++;
        at = digits(s, from);
        if (at == from) return false;
    }
    return at == s.n;
}

/* Behind the string that begins at `at`; the text's end, or beyond: it has none. */
static size_t string_end(struct body *t, str s, size_t at) {
    size_t looked = at++;
    for (; at < s.n && s.p[at] != '"'; at++) {
        at += s.p[at] == '\\';
        if (at - looked < PIECE) continue;
        if (!goes_on(t, at - looked)) return s.n + 1;
        looked = at;
    }
    return at + 1;
}

/* It ends where it began: brackets are closed in it, and strings; and there is something. What it is besides is found out by who reads all of it. */
static bool is_closed(struct body *t, str s) {
    size_t depth = 0, words = 0;
    for (size_t i = 0; i < s.n;) {
        uint8_t c = s.p[i];
        if (!goes_on(t, 1)) return false;
        words += c > ' ';
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && !depth--) return false;
        if ((c == ',' || c == ':') && !depth) return false;
        i = c == '"' ? string_end(t, s, i) : i + 1;
        if (i > s.n) return false;
    }
    return !depth && words;
}

static void put_json(struct body *t, str s) {
    if (is_closed(t, s)) put(t, s);
    else if (!t->interrupted) fail(t, "22P02", "a json parameter is no JSON");
}

static void put_real(struct body *t, double v) {
    if (isfinite(v)) buf_printf(t->b, "%.17g", v);
    else buf_puts(t->b, isnan(v) ? STR("\"NaN\"") : v > 0 ? STR("\"Infinity\"") : STR("\"-Infinity\""));
}

static void put_value(struct body *t, const struct orlo_database_client_value *v) {
    switch (v->tag) {
    case ORLO_DATABASE_CLIENT_VALUE_NULL: buf_puts(t->b, STR("null")); return;
    case ORLO_DATABASE_CLIENT_VALUE_BOOLEAN: buf_puts(t->b, v->boolean ? STR("true") : STR("false")); return;
    case ORLO_DATABASE_CLIENT_VALUE_INTEGER: buf_printf(t->b, "%lld", (long long)v->integer); return;
    case ORLO_DATABASE_CLIENT_VALUE_REAL: put_real(t, v->real); return;
    case ORLO_DATABASE_CLIENT_VALUE_NUMERIC:
        if (is_number(v->numeric)) put(t, v->numeric);
        else put_text(t, v->numeric);
        return;
    case ORLO_DATABASE_CLIENT_VALUE_TEXT: put_text(t, v->text); return;
    case ORLO_DATABASE_CLIENT_VALUE_BYTES: put_bytes(t, v->bytes); return;
    case ORLO_DATABASE_CLIENT_VALUE_JSON: put_json(t, v->json); return;
    }
}

static size_t blanks(str s, size_t at) {
    while (at < s.n && s.p[at] <= ' ') at++;
    return at;
}

/* {"$": 12} at `at`. How long it is; 0: something else stands there. */
static size_t parameter_at(str s, size_t at, uint64_t *number) {
    size_t i = blanks(s, at + 1);
    if (!str_starts(str_sub(s, i, s.n), STR("\"$\""))) return 0;
    i = blanks(s, i + 3);
    if (i == s.n || s.p[i] != ':') return 0;
    size_t from = blanks(s, i + 1), to = digits(s, from);
    i = blanks(s, to);
    return i < s.n && s.p[i] == '}' && str_to_u64(str_sub(s, from, to - from), number) ? i + 1 - at : 0;
}

static void put_tree(struct body *t, str tree, const struct orlo_database_client_value *parameters, size_t n) {
    size_t from = 0; /* what is copied next */
    for (size_t i = 0; i < tree.n && goes_on(t, 1);) {
        uint8_t c = tree.p[i];
        uint64_t number = 0;
        size_t length = c == '{' ? parameter_at(tree, i, &number) : 0;
        if (!length) {
            i = c == '"' ? string_end(t, tree, i) : i + 1;
            continue;
        }
        put(t, str_sub(tree, from, i - from));
        if (number && number <= n) put_value(t, &parameters[number - 1]);
        else fail(t, "42P02", "there is no parameter of that number");
        from = i += length;
    }
    put(t, str_sub(tree, MIN(from, tree.n), tree.n));
}

bool tables_body(struct host_call *call, str tree, const struct orlo_database_client_value *parameters, size_t n,
                 struct buf *body, tables_error *error, enum abi_trap *trap) {
    struct body t = {.call = call, .b = body, .error = error};
    *body = (struct buf){.max = QUERY_BYTES_MAX};
    *trap = ABI_TRAP_NONE;
    if (!is_closed(&t, tree)) {
        if (!t.interrupted) fail(&t, "PGRST102", "the query tree is no JSON");
    } else {
        buf_puts(body, STR("{\"query\": "));
        put_tree(&t, tree, parameters, n);
        buf_puts(body, STR(", \"counted\": true}"));
        (void)goes_on(&t, 0);
    }
    if (t.interrupted) *trap = ABI_TRAP_INTERRUPTED;
    return !t.failed && !t.interrupted;
}
