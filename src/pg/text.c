/* text: text's own functions: lengths, parts, padding, case, joining. Positions and lengths are characters (chars.h), unless a name says octets.
 * What a result is made of by repeating is bounded before it is made. */
#include "pg/chars.h"
#include "pg/pg_int.h"

static bool too_long(struct pg_call *call, uint64_t bytes) {
    if (bytes <= PG_VALUE_BYTES_MAX) return false;
    pg_raise(call, "54000", "requested length too large");
    return true;
}

/* ---- text forms ---- */

bool pg_text_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    (void)call, (void)typmod;
    *out = DB_TEXT(text);
    return true;
}
bool pg_text_out(struct pg_call *call, struct db_value v, struct buf *text) {
    (void)call;
    buf_puts(text, v.s);
    return true;
}

/* More than n characters: spaces alone may be cut, or whatever there is where the cast is explicit. */
static bool cut(struct pg_call *call, str *s, int32_t typmod, bool is_explicit, const char *type) {
    size_t limit = (size_t)(typmod - 4), at = pg_chars_skip(*s, limit);
    for (size_t i = at; !is_explicit && i < s->n; i++)
        if (s->p[i] != ' ') return pg_raise(call, "22001", "value too long for type %s(%d)", type, typmod - 4);
    s->n = at;
    return true;
}

bool pg_varchar_sized(struct pg_call *call, str s, int32_t typmod, bool is_explicit, struct db_value *out) {
    if (typmod >= 4 && !cut(call, &s, typmod, is_explicit, "character varying")) return false;
    *out = DB_TEXT(s);
    return true;
}

bool pg_bpchar_sized(struct pg_call *call, str s, int32_t typmod, bool is_explicit, struct db_value *out) {
    if (typmod >= 4 && !cut(call, &s, typmod, is_explicit, "character")) return false;
    *out = DB_TEXT(s);
    size_t chars = pg_chars_count(s), want = typmod >= 4 ? (size_t)(typmod - 4) : 0;
    if (chars >= want) return true;
    if (too_long(call, s.n + want - chars)) return false;
    uint8_t *p = arena_alloc(call->mem, s.n + want - chars, 1);
    if (s.n) memcpy(p, s.p, s.n);
    memset(p + s.n, ' ', want - chars);
    *out = DB_TEXT(((str){p, s.n + want - chars}));
    return true;
}

bool pg_varchar_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return pg_varchar_sized(call, text, typmod, false, out);
}
bool pg_varchar_out(struct pg_call *call, struct db_value v, struct buf *text) { return pg_text_out(call, v, text); }
bool pg_bpchar_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return pg_bpchar_sized(call, text, typmod, false, out);
}
bool pg_bpchar_out(struct pg_call *call, struct db_value v, struct buf *text) { return pg_text_out(call, v, text); }
bool pg_citext_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return pg_text_in(call, text, typmod, out);
}
bool pg_citext_out(struct pg_call *call, struct db_value v, struct buf *text) { return pg_text_out(call, v, text); }

/* Cut to 63 bytes, between characters. */
static str name_of(str s) {
    size_t n = 0;
    while (n < s.n && n + pg_char_bytes(s, n) <= 63) n += pg_char_bytes(s, n);
    return str_sub(s, 0, n);
}
bool pg_name_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return pg_text_in(call, name_of(text), typmod, out);
}
bool pg_name_out(struct pg_call *call, struct db_value v, struct buf *text) { return pg_text_out(call, v, text); }
bool pg_char_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return pg_text_in(call, str_sub(text, 0, text.n && text.p[0] < 0x80 ? 1 : 0), typmod, out);
}
bool pg_char_out(struct pg_call *call, struct db_value v, struct buf *text) { return pg_text_out(call, v, text); }

PG_FN(pg_text_name) { *out = DB_TEXT(name_of(args[0].s)); }
PG_FN(pg_text_char) { pg_char_in(call, args[0].s, -1, out); }
PG_FN(pg_bpchar_text) {
    str s = args[0].s;
    while (s.n && s.p[s.n - 1] == ' ') s.n--;
    *out = DB_TEXT(s);
}
/* value, typmod, explicit */
PG_FN(pg_varchar_cast) { (void)pg_varchar_sized(call, args[0].s, (int32_t)args[1].i, args[2].i, out); }
PG_FN(pg_bpchar_cast) { (void)pg_bpchar_sized(call, args[0].s, (int32_t)args[1].i, args[2].i, out); }

/* ---- lengths ---- */

PG_FN(pg_length) { *out = DB_I64(pg_chars_count(args[0].s)); }
PG_FN(pg_bpchar_length) {
    struct db_value trimmed;
    pg_bpchar_text(call, args, n, &trimmed);
    *out = DB_I64(pg_chars_count(trimmed.s));
}
PG_FN(pg_octet_length) { *out = DB_I64(args[0].s.n); }
PG_FN(pg_bit_length) { *out = DB_I64(args[0].s.n * 8); }
PG_FN(pg_ascii) {
    size_t k;
    *out = DB_I64(args[0].s.n ? pg_char_at(args[0].s, 0, &k) : 0);
}
PG_FN(pg_chr) {
    int64_t c = args[0].i;
    uint8_t *p = arena_alloc(call->mem, 4, 1);
    if (c < 0) pg_raise(call, "22023", "character number must be positive");
    else if (!c) pg_raise(call, "54000", "null character not permitted");
    else if (c > 0x10ffff) pg_raise(call, "54000", "requested character too large for encoding: %u", (unsigned)c);
    else if (c >= 0xd800 && c <= 0xdfff) pg_raise(call, "54000", "requested character not valid for encoding: %u", (unsigned)c);
    else *out = DB_TEXT(((str){p, pg_char_encode((uint32_t)c, p)}));
}

/* ---- case ---- */

PG_FN(pg_lower) {
    struct buf *b = pg_call_buf(call);
    pg_chars_lower(b, args[0].s);
    *out = pg_call_built(call, b);
}
PG_FN(pg_upper) {
    struct buf *b = pg_call_buf(call);
    pg_chars_upper(b, args[0].s);
    *out = pg_call_built(call, b);
}
PG_FN(pg_initcap) {
    struct buf *b = pg_call_buf(call);
    bool inside = false;
    for (size_t i = 0, k; i < args[0].s.n; i += k) {
        uint8_t bytes[4];
        uint32_t c = pg_char_at(args[0].s, i, &k);
        c = inside ? pg_char_lower(c) : pg_char_upper(c);
        buf_put(b, bytes, pg_char_encode(c, bytes));
        inside = pg_char_is_word(c);
    }
    *out = pg_call_built(call, b);
}

/* ---- parts ---- */

/* from (1: the first), count characters; both as chosen */
static str part(str s, int64_t from, int64_t count) {
    int64_t end = __builtin_add_overflow(from, count, &end) ? INT64_MAX : end;
    from = MAX(from, 1);
    if (end <= from) return (str){s.p, 0};
    size_t at = pg_chars_skip(s, (uint64_t)from - 1);
    str rest = str_sub(s, at, s.n);
    return str_sub(rest, 0, pg_chars_skip(rest, (uint64_t)(end - from)));
}
PG_FN(pg_substr) {
    if (n > 2 && args[2].i < 0) pg_raise(call, "22011", "negative substring length not allowed");
    else *out = DB_TEXT(part(args[0].s, args[1].i, n > 2 ? args[2].i : INT64_MAX));
}
PG_FN(pg_bytea_substr) {
    if (n > 2 && args[2].i < 0) {
        pg_raise(call, "22011", "negative substring length not allowed");
        return;
    }
    int64_t from = args[1].i, end = n > 2 ? from + args[2].i : INT64_MAX;
    from = MAX(from, 1);
    *out = DB_BLOB(str_sub(args[0].s, MIN((size_t)from - 1, args[0].s.n), end > from ? (size_t)(end - from) : 0));
}
PG_FN(pg_left) {
    int64_t k = args[1].i;
    if (k < 0) k = MAX((int64_t)pg_chars_count(args[0].s) + k, 0);
    *out = DB_TEXT(str_sub(args[0].s, 0, pg_chars_skip(args[0].s, (uint64_t)k)));
}
PG_FN(pg_right) {
    int64_t k = args[1].i, all = (int64_t)pg_chars_count(args[0].s);
    k = k < 0 ? -k : MAX(all - k, 0);
    *out = DB_TEXT(str_sub(args[0].s, pg_chars_skip(args[0].s, (uint64_t)k), args[0].s.n));
}

size_t pg_text_find(str s, str what, size_t at) {
    const uint8_t *p = at <= s.n && what.n <= s.n - at ? (what.n ? memmem(s.p + at, s.n - at, what.p, what.n) : s.p + at) : NULL;
    return p ? (size_t)(p - s.p) : s.n + 1;
}
PG_FN(pg_strpos) {
    size_t at = pg_text_find(args[0].s, args[1].s, 0);
    *out = DB_I64(!args[1].s.n ? 1 : at > args[0].s.n ? 0 : pg_chars_count(str_sub(args[0].s, 0, at)) + 1);
}
PG_FN(pg_bytea_position) {
    size_t at = pg_text_find(args[0].s, args[1].s, 0);
    *out = DB_I64(!args[1].s.n ? 1 : at > args[0].s.n ? 0 : at + 1);
}
PG_FN(pg_starts_with) { *out = pg_bool(str_starts(args[0].s, args[1].s)); }

PG_FN(pg_split_part) {
    str s = args[0].s, sep = args[1].s;
    int64_t field = args[2].i;
    if (!field) {
        pg_raise(call, "22023", "field position must not be zero");
        return;
    }
    *out = DB_TEXT(((str){s.p, 0}));
    if (!sep.n) {
        if (field == 1 || field == -1) *out = DB_TEXT(s);
        return;
    }
    int64_t fields = 1;
    for (size_t at = 0; field < 0 && (at = pg_text_find(s, sep, at)) <= s.n; at += sep.n) fields++;
    if (field < 0) field += fields + 1;
    for (size_t from = 0; field > 0; field--) {
        size_t at = pg_text_find(s, sep, from);
        if (field == 1) *out = DB_TEXT(str_sub(s, from, MIN(at, s.n) - from));
        if (at > s.n) return;
        from = at + sep.n;
    }
}

/* ---- made longer ---- */

static bool put_times(struct pg_call *call, struct buf *b, str s, uint64_t times) {
    for (uint64_t i = 0; i < times && pg_call_works(call, s.n + 1); i++) buf_puts(b, s);
    return !pg_raised(call);
}
PG_FN(pg_repeat) {
    uint64_t times = args[1].i < 0 ? 0 : (uint64_t)args[1].i, bytes = 0;
    if (__builtin_mul_overflow(times, args[0].s.n, &bytes)) bytes = UINT64_MAX;
    if (too_long(call, bytes)) return;
    struct buf *b = pg_call_buf(call);
    if (bytes) put_times(call, b, args[0].s, times);
    *out = pg_call_built(call, b);
}

/* n characters of fill, repeated */
static void put_fill(struct buf *b, str fill, uint64_t chars) {
    while (chars && !b->full) {
        size_t at = pg_chars_skip(fill, chars);
        buf_puts(b, str_sub(fill, 0, at));
        chars -= pg_chars_count(str_sub(fill, 0, at));
    }
}
static void pad(struct pg_call *call, const struct db_value *args, uint32_t n, bool left, struct db_value *out) {
    str s = args[0].s, fill = n > 2 ? args[2].s : STR(" ");
    uint64_t want = args[1].i < 0 ? 0 : (uint64_t)args[1].i, has = pg_chars_count(s);
    if (too_long(call, want)) return;
    struct buf *b = pg_call_buf(call);
    if (want < has || !fill.n) s = str_sub(s, 0, pg_chars_skip(s, want)), has = want;
    if (left) put_fill(b, fill, want - has);
    buf_puts(b, s);
    if (!left) put_fill(b, fill, want - has);
    if (!b->full) *out = pg_call_built(call, b);
    else pg_raise(call, "54000", "requested length too large");
}
PG_FN(pg_lpad) { pad(call, args, n, true, out); }
PG_FN(pg_rpad) { pad(call, args, n, false, out); }

PG_FN(pg_reverse) {
    str s = args[0].s;
    struct buf *b = pg_call_buf(call);
    for (size_t at = s.n; at;) {
        size_t from = pg_char_before(s, at);
        buf_put(b, s.p + from, at - from);
        at = from;
    }
    *out = pg_call_built(call, b);
}

/* ---- trimmed, replaced ---- */

/* Which characters: ASCII by a bit each, others by looking. */
struct set {
    uint64_t ascii[2];
    str chars;
};
static struct set set_of(str chars) {
    struct set set = {.chars = chars};
    for (size_t i = 0; i < chars.n; i++)
        if (chars.p[i] < 0x80) set.ascii[chars.p[i] >> 6] |= 1ull << (chars.p[i] & 63);
    return set;
}
static bool set_has(const struct set *set, str one) {
    if (one.p[0] < 0x80) return set->ascii[one.p[0] >> 6] >> (one.p[0] & 63) & 1;
    for (size_t i = 0, k; i < set->chars.n; i += k) {
        k = pg_char_bytes(set->chars, i);
        if (k == one.n && !memcmp(set->chars.p + i, one.p, k)) return true;
    }
    return false;
}
enum { LEFT = 1, RIGHT = 2 };
static void trim(struct pg_call *call, const struct db_value *args, uint32_t n, int sides, struct db_value *out) {
    str s = args[0].s;
    struct set set = set_of(n > 1 ? args[1].s : STR(" "));
    while (sides & LEFT && s.n && pg_call_works(call, 1 + set.chars.n)) {
        str one = str_sub(s, 0, pg_char_bytes(s, 0));
        if (!set_has(&set, one)) break;
        s = str_sub(s, one.n, s.n);
    }
    while (sides & RIGHT && s.n && pg_call_works(call, 1 + set.chars.n)) {
        size_t from = pg_char_before(s, s.n);
        if (!set_has(&set, str_sub(s, from, s.n))) break;
        s.n = from;
    }
    *out = DB_TEXT(s);
}
PG_FN(pg_btrim) { trim(call, args, n, LEFT | RIGHT, out); }
PG_FN(pg_ltrim) { trim(call, args, n, LEFT, out); }
PG_FN(pg_rtrim) { trim(call, args, n, RIGHT, out); }

static bool byte_in(str set, uint8_t c) { return set.n && memchr(set.p, c, set.n); }
static void trim_bytes(const struct db_value *args, int sides, struct db_value *out) {
    str s = args[0].s;
    while (sides & LEFT && s.n && byte_in(args[1].s, s.p[0])) s = str_sub(s, 1, s.n);
    while (sides & RIGHT && s.n && byte_in(args[1].s, s.p[s.n - 1])) s.n--;
    *out = DB_BLOB(s);
}
PG_FN(pg_bytea_btrim) { trim_bytes(args, LEFT | RIGHT, out); }
PG_FN(pg_bytea_ltrim) { trim_bytes(args, LEFT, out); }
PG_FN(pg_bytea_rtrim) { trim_bytes(args, RIGHT, out); }

PG_FN(pg_replace) {
    str s = args[0].s, what = args[1].s;
    struct buf *b = pg_call_buf(call);
    size_t from = 0;
    if (!what.n) {
        *out = args[0];
        return;
    }
    for (size_t at; (at = pg_text_find(s, what, from)) <= s.n && pg_call_works(call, 10 + args[2].s.n); from = at + what.n) {
        buf_puts(b, str_sub(s, from, at - from));
        if (!buf_puts(b, args[2].s)) break;
    }
    buf_puts(b, str_sub(s, from, s.n));
    *out = pg_call_built(call, b);
}

PG_FN(pg_translate) {
    str s = args[0].s, from = args[1].s, to = args[2].s;
    struct buf *b = pg_call_buf(call);
    for (size_t i = 0, k; i < s.n && pg_call_works(call, 1 + from.n); i += k) {
        k = pg_char_bytes(s, i);
        size_t at = 0, place = 0;
        for (size_t m; at < from.n; at += m, place++) {
            m = pg_char_bytes(from, at);
            if (m == k && !memcmp(from.p + at, s.p + i, k)) break;
        }
        if (at >= from.n) {
            buf_put(b, s.p + i, k);
            continue;
        }
        size_t other = pg_chars_skip(to, place);
        if (other < to.n) buf_put(b, to.p + other, pg_char_bytes(to, other));
    }
    *out = pg_call_built(call, b);
}

/* overlay(s placing by from at [for count]) */
static void overlay(struct pg_call *call, const struct db_value *args, uint32_t n, bool bytes, struct db_value *out) {
    str s = args[0].s, by = args[1].s;
    int64_t at = args[2].i, count = n > 3 ? args[3].i : (int64_t)(bytes ? by.n : pg_chars_count(by)), after;
    if (at <= 0) {
        pg_raise(call, "22011", "negative substring length not allowed");
        return;
    }
    if (__builtin_add_overflow(at, count, &after) || after > INT32_MAX) {
        pg_raise(call, "22003", "integer out of range");
        return;
    }
    struct buf *b = pg_call_buf(call);
    uint64_t before = (uint64_t)at - 1, rest = after < 1 ? 0 : (uint64_t)after - 1;
    size_t i = bytes ? MIN(before, s.n) : pg_chars_skip(s, before), j = bytes ? MIN(rest, s.n) : pg_chars_skip(s, rest);
    buf_puts(b, str_sub(s, 0, i));
    buf_puts(b, by);
    buf_puts(b, str_sub(s, j, s.n));
    *out = pg_call_built(call, b);
    if (bytes && out->kind == DB_TEXTUAL) out->kind = DB_BYTES;
}
PG_FN(pg_overlay) { overlay(call, args, n, false, out); }
PG_FN(pg_bytea_overlay) { overlay(call, args, n, true, out); }

/* ---- joined ---- */

PG_FN(pg_textcat) {
    struct buf *b = pg_call_buf(call);
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) bytes += args[i].s.n;
    if (bytes <= PG_VALUE_BYTES_MAX) buf_reserve(b, bytes);
    for (uint32_t i = 0; i < n; i++) buf_puts(b, args[i].s);
    *out = pg_call_built(call, b);
    if (args[0].kind == DB_BYTES && out->kind == DB_TEXTUAL) out->kind = DB_BYTES;
}

/* A value as text; of boolean "t" or "f". */
static bool put_any(struct pg_call *call, struct buf *b, const struct db_value *type_and_value) {
    return pg_value_out(call, (uint32_t)type_and_value[0].i, type_and_value[1], b);
}
/* type, value … */
PG_FN(pg_concat) {
    struct buf *b = pg_call_buf(call);
    for (uint32_t i = 0; i + 1 < n; i += 2)
        if (args[i + 1].kind != DB_NULL && !put_any(call, b, args + i)) return;
    *out = pg_call_built(call, b);
}
/* type and value of the separator, type, value … */
PG_FN(pg_concat_ws) {
    struct buf *b = pg_call_buf(call);
    bool first = true;
    if (n < 2 || args[1].kind == DB_NULL) return;
    for (uint32_t i = 2; i + 1 < n; i += 2) {
        if (args[i + 1].kind == DB_NULL) continue;
        if (!first && !put_any(call, b, args)) return;
        if (!put_any(call, b, args + i)) return;
        first = false;
    }
    *out = pg_call_built(call, b);
}

PG_FN(pg_to_hex) {
    struct buf *b = pg_call_buf(call);
    buf_printf(b, "%llx", (unsigned long long)args[0].i);
    *out = pg_call_built(call, b);
}
PG_FN(pg_to_hex4) {
    struct buf *b = pg_call_buf(call);
    buf_printf(b, "%x", (unsigned)(uint32_t)args[0].i);
    *out = pg_call_built(call, b);
}
