/* quote: identifiers and literals as PostgreSQL writes them, and format(), which puts them into text. */
#include "pg/pg_int.h"
#include <stdlib.h>

/* ---- quoting ---- */

/* PostgreSQL 15's keywords but for the unreserved ones: an identifier that is one of them is quoted. Sorted. */
static const char *const keywords[] = {"all",
                                       "analyse",
                                       "analyze",
                                       "and",
                                       "any",
                                       "array",
                                       "as",
                                       "asc",
                                       "asymmetric",
                                       "authorization",
                                       "between",
                                       "bigint",
                                       "binary",
                                       "bit",
                                       "boolean",
                                       "both",
                                       "case",
                                       "cast",
                                       "char",
                                       "character",
                                       "check",
                                       "coalesce",
                                       "collate",
                                       "collation",
                                       "column",
                                       "concurrently",
                                       "constraint",
                                       "create",
                                       "cross",
                                       "current_catalog",
                                       "current_date",
                                       "current_role",
                                       "current_schema",
                                       "current_time",
                                       "current_timestamp",
                                       "current_user",
                                       "dec",
                                       "decimal",
                                       "default",
                                       "deferrable",
                                       "desc",
                                       "distinct",
                                       "do",
                                       "else",
                                       "end",
                                       "except",
                                       "exists",
                                       "extract",
                                       "false",
                                       "fetch",
                                       "float",
                                       "for",
                                       "foreign",
                                       "freeze",
                                       "from",
                                       "full",
                                       "grant",
                                       "greatest",
                                       "group",
                                       "grouping",
                                       "having",
                                       "ilike",
                                       "in",
                                       "initially",
                                       "inner",
                                       "inout",
                                       "int",
                                       "integer",
                                       "intersect",
                                       "interval",
                                       "into",
                                       "is",
                                       "isnull",
                                       "join",
                                       "lateral",
                                       "leading",
                                       "least",
                                       "left",
                                       "like",
                                       "limit",
                                       "localtime",
                                       "localtimestamp",
                                       "national",
                                       "natural",
                                       "nchar",
                                       "none",
                                       "normalize",
                                       "not",
                                       "notnull",
                                       "null",
                                       "nullif",
                                       "numeric",
                                       "offset",
                                       "on",
                                       "only",
                                       "or",
                                       "order",
                                       "out",
                                       "outer",
                                       "overlaps",
                                       "overlay",
                                       "placing",
                                       "position",
                                       "precision",
                                       "primary",
                                       "real",
                                       "references",
                                       "returning",
                                       "right",
                                       "row",
                                       "select",
                                       "session_user",
                                       "setof",
                                       "similar",
                                       "smallint",
                                       "some",
                                       "substring",
                                       "symmetric",
                                       "table",
                                       "tablesample",
                                       "then",
                                       "time",
                                       "timestamp",
                                       "to",
                                       "trailing",
                                       "treat",
                                       "trim",
                                       "true",
                                       "union",
                                       "unique",
                                       "user",
                                       "using",
                                       "values",
                                       "varchar",
                                       "variadic",
                                       "verbose",
                                       "when",
                                       "where",
                                       "window",
                                       "with",
                                       "xmlattributes",
                                       "xmlconcat",
                                       "xmlelement",
                                       "xmlexists",
                                       "xmlforest",
                                       "xmlnamespaces",
                                       "xmlparse",
                                       "xmlpi",
                                       "xmlroot",
                                       "xmlserialize",
                                       "xmltable"};

static int by_word(const void *a, const void *b) {
    const str *word = a;
    return str_cmp(*word, str_c(*(const char *const *)b));
}

static bool is_plain(str s) {
    if (!s.n || !((s.p[0] >= 'a' && s.p[0] <= 'z') || s.p[0] == '_')) return false;
    for (size_t i = 1; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_')) return false;
    return !bsearch(&s, keywords, ARRAY_COUNT(keywords), sizeof *keywords, by_word);
}

static void put_doubled(struct buf *b, str s, uint8_t quote, bool slashes) {
    buf_putc(b, quote);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == quote || (slashes && s.p[i] == '\\')) buf_putc(b, s.p[i]);
        buf_putc(b, s.p[i]);
    }
    buf_putc(b, quote);
}

static void put_ident(struct buf *b, str s) {
    if (is_plain(s)) buf_puts(b, s);
    else put_doubled(b, s, '"', false);
}

static void put_literal(struct buf *b, str s) {
    bool slashes = s.n && memchr(s.p, '\\', s.n);
    if (slashes) buf_putc(b, 'E');
    put_doubled(b, s, '\'', slashes);
}

PG_FN(pg_quote_ident) {
    struct buf *b = pg_call_buf(call);
    put_ident(b, args[0].s);
    *out = pg_call_built(call, b);
}
PG_FN(pg_quote_literal) {
    struct buf *b = pg_call_buf(call);
    put_literal(b, args[0].s);
    *out = pg_call_built(call, b);
}
PG_FN(pg_quote_nullable) {
    if (args[0].kind == DB_NULL) *out = DB_TEXT(STR("NULL"));
    else pg_quote_literal(call, args, n, out);
}
/* type, value: of any type */
static void quote_any(struct pg_call *call, const struct db_value *args, struct db_value *out) {
    struct buf *b = pg_call_buf(call), *text = pg_call_buf(call);
    if (args[0].i == PG_BOOL) buf_puts(text, args[1].i ? STR("true") : STR("false")); /* as its cast to text, not as it is sent */
    else if (!pg_value_out(call, (uint32_t)args[0].i, args[1], text)) return;
    put_literal(b, buf_str(text));
    *out = pg_call_built(call, b);
}
PG_FN(pg_quote_literal_any) { quote_any(call, args, out); }
PG_FN(pg_quote_nullable_any) {
    if (args[1].kind == DB_NULL) *out = DB_TEXT(STR("NULL"));
    else quote_any(call, args, out);
}

/* ---- format ----
 *
 *   %[argument$][-][width | * | *argument$](s | I | L)
 */

struct format {
    struct pg_call *call;
    str text;
    size_t at;
    const struct db_value *args; /* type, value … of the arguments after the text */
    uint32_t count, next;        /* next: from 1 */
    struct buf *out;
};
struct directive {
    uint32_t argument, width_argument; /* 0: the next; UINT32_MAX: none */
    bool left, width_from;
    int64_t width;
    uint8_t letter;
};

static bool unterminated(struct format *f) {
    pg_raise(f->call, "22023", "unterminated format() type specifier");
    pg_raise_hint(f->call, "For a single \"%%\" use \"%%%%\".");
    return false;
}
static bool more(struct format *f) { return f->at < f->text.n || unterminated(f); }

/* Digits; false: raised. *has: there are some. */
static bool number(struct format *f, int64_t *out, bool *has) {
    *out = 0;
    for (*has = false; f->at < f->text.n && f->text.p[f->at] >= '0' && f->text.p[f->at] <= '9'; f->at++) {
        *has = true;
        *out = *out * 10 + (f->text.p[f->at] - '0');
        if (*out > INT32_MAX) return pg_raise(f->call, "22003", "number is out of range");
    }
    return true;
}

static bool position(struct format *f, int64_t v, uint32_t *to) {
    if (!v) return pg_raise(f->call, "22023", "format specifies argument 0, but arguments are numbered from 1");
    *to = (uint32_t)v;
    return true;
}

/* What stands after a '*'. */
static bool indirect_width(struct format *f, struct directive *d) {
    int64_t v;
    bool has;
    d->width_from = true;
    if (!number(f, &v, &has) || !more(f)) return false;
    if (!has) return true;
    if (f->text.p[f->at] != '$') return pg_raise(f->call, "22023", "width argument position must be ended by \"$\"");
    f->at++;
    return position(f, v, &d->width_argument) && more(f);
}

static bool read_directive(struct format *f, struct directive *d) {
    int64_t v;
    bool has;
    if (!more(f) || !number(f, &v, &has) || !more(f)) return false;
    if (has && f->text.p[f->at] != '$') {
        d->width = v; /* a width, and no position */
    } else {
        if (has) {
            f->at++;
            if (!position(f, v, &d->argument) || !more(f)) return false;
        }
        for (; f->text.p[f->at] == '-'; d->left = true)
            if (f->at++, !more(f)) return false;
        if (f->text.p[f->at] == '*') {
            f->at++;
            if (!more(f) || !indirect_width(f, d)) return false;
        } else if (!number(f, &d->width, &has) || !more(f)) {
            return false;
        }
    }
    d->letter = f->text.p[f->at++];
    if (d->letter == 's' || d->letter == 'I' || d->letter == 'L') return true;
    size_t bytes = 1;
    while (f->at - 1 + bytes < f->text.n && (f->text.p[f->at - 1 + bytes] & 0xc0) == 0x80) bytes++;
    pg_raise(f->call, "22023", "unrecognized format() type specifier \"%.*s\"", (int)bytes, (const char *)f->text.p + f->at - 1);
    pg_raise_hint(f->call, "For a single \"%%\" use \"%%%%\".");
    return false;
}

/* The argument at a place, 0: the next one. NULL: raised. */
static const struct db_value *argument(struct format *f, uint32_t place) {
    if (!place) place = f->next;
    f->next = place + 1;
    if (place <= f->count) return f->args + 2 * (place - 1);
    pg_raise(f->call, "22023", "too few arguments for format()");
    return NULL;
}

static bool take_width(struct format *f, struct directive *d) {
    const struct db_value *v = argument(f, d->width_argument);
    if (!v) return false;
    d->width = v[1].kind == DB_INTEGER ? v[1].i : 0;
    if (v[1].kind == DB_TEXTUAL) {
        struct db_value number;
        if (!pg_value_in(f->call, PG_INT4, -1, v[1].s, &number)) return false;
        d->width = number.i;
    }
    if (d->width < 0) d->left = true, d->width = -d->width;
    return true;
}

static bool put_argument(struct format *f, const struct directive *d, const struct db_value *v, struct buf *to) {
    struct buf *text = pg_call_buf(f->call);
    if (v[1].kind == DB_NULL) {
        if (d->letter == 'I') return pg_raise(f->call, "22004", "null values cannot be formatted as an SQL identifier");
        if (d->letter == 'L') buf_puts(to, STR("NULL"));
        return true;
    }
    if (!pg_value_out(f->call, (uint32_t)v[0].i, v[1], text)) return false;
    if (d->letter == 's') buf_puts(to, buf_str(text));
    else if (d->letter == 'I') put_ident(to, buf_str(text));
    else put_literal(to, buf_str(text));
    return true;
}

static bool put_directive(struct format *f) {
    struct directive d = {0};
    if (!read_directive(f, &d)) return false;
    if (d.width_from && !take_width(f, &d)) return false;
    const struct db_value *v = argument(f, d.argument);
    struct buf *text = pg_call_buf(f->call);
    if (!v || !put_argument(f, &d, v, text)) return false;
    if (d.width > PG_VALUE_BYTES_MAX) return pg_raise(f->call, "54000", "requested length too large");
    int64_t chars = 0;
    for (size_t i = 0; i < text->n; i++) chars += (text->p[i] & 0xc0) != 0x80;
    if (d.left) buf_puts(f->out, buf_str(text));
    for (int64_t i = chars; i < d.width; i++) buf_putc(f->out, ' ');
    if (!d.left) buf_puts(f->out, buf_str(text));
    return pg_call_works(f->call, (uint64_t)d.width + text->n + 10);
}

/* type and value of the text, type, value … */
PG_FN(pg_format) {
    if (n < 2 || args[1].kind == DB_NULL) return;
    struct format f = {call, args[1].s, 0, args + 2, (n - 2) / 2, 1, pg_call_buf(call)};
    while (f.at < f.text.n) {
        uint8_t c = f.text.p[f.at++];
        if (c != '%') {
            buf_putc(f.out, c);
        } else if (f.at < f.text.n && f.text.p[f.at] == '%') {
            buf_putc(f.out, '%');
            f.at++;
        } else if (!put_directive(&f)) {
            return;
        }
    }
    *out = pg_call_built(call, f.out);
}
