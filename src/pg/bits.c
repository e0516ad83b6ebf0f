/* bits: bit(n) and bit varying(n), as they are stored: a text of 0 and 1, whose order is PostgreSQL's. */
#include "pg/pg_int.h"

static int32_t hex_of(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* How long the character at the text's begin is, to name it. */
static int char_bytes(str s) {
    size_t n = 1;
    while (n < s.n && (s.p[n] & 0xc0) == 0x80) n++;
    return (int)n;
}

/* "101", "b101", "x1f" */
static bool read_bits(struct pg_call *call, str text, str *out) {
    bool hex = text.n && (text.p[0] == 'x' || text.p[0] == 'X'),
         marked = hex || (text.n && (text.p[0] == 'b' || text.p[0] == 'B'));
    str digits = str_sub(text, marked, text.n);
    uint8_t *p = pg_call_alloc(call, digits.n * (hex ? 4 : 1)), *at = p;
    if (!p) return false;
    for (size_t i = 0; i < digits.n; i++) {
        uint8_t c = digits.p[i];
        int32_t v = hex ? hex_of(c) : c == '0' || c == '1' ? c - '0' : -1;
        if (v < 0)
            return pg_raise(call, "22P02", "\"%.*s\" is not a valid %s digit", char_bytes(str_sub(digits, i, digits.n)),
                            (const char *)digits.p + i, hex ? "hexadecimal" : "binary");
        for (int32_t bit = hex ? 3 : 0; bit >= 0; bit--) *at++ = (uint8_t)('0' + (v >> bit & 1));
    }
    *out = (str){p, (size_t)(at - p)};
    return true;
}

/* Of what is cast too long is cut, too short is filled up on the right. */
static bool filled(struct pg_call *call, str s, size_t n, struct db_value *out) {
    uint8_t *p = pg_call_alloc(call, n);
    if (!p) return false;
    memset(p, '0', n);
    if (s.n) memcpy(p, s.p, MIN(s.n, n));
    *out = DB_TEXT(((str){p, n}));
    return true;
}

bool pg_bits_sized(struct pg_call *call, uint32_t type, str s, int32_t typmod, bool is_explicit, struct db_value *out) {
    *out = DB_TEXT(s);
    if (typmod < 1 || s.n == (size_t)typmod) return true;
    if (type == PG_BIT && is_explicit) return filled(call, s, (size_t)typmod, out);
    if (type == PG_BIT) return pg_raise(call, "22026", "bit string length %zu does not match type bit(%d)", s.n, typmod);
    if (s.n < (size_t)typmod) return true;
    if (!is_explicit) return pg_raise(call, "22001", "bit string too long for type bit varying(%d)", typmod);
    *out = DB_TEXT(str_sub(s, 0, (size_t)typmod));
    return true;
}

bool pg_bit_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    str bits;
    return read_bits(call, text, &bits) && pg_bits_sized(call, PG_BIT, bits, typmod, false, out);
}
bool pg_bit_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }
bool pg_varbit_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    str bits;
    return read_bits(call, text, &bits) && pg_bits_sized(call, PG_VARBIT, bits, typmod, false, out);
}
bool pg_varbit_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }

/* (value, typmod, is it explicit?) */
PG_FN(pg_bit_cast) { (void)pg_bits_sized(call, PG_BIT, args[0].s, (int32_t)args[1].i, args[2].i, out); }
PG_FN(pg_varbit_cast) { (void)pg_bits_sized(call, PG_VARBIT, args[0].s, (int32_t)args[1].i, args[2].i, out); }

/* A text is read, then cut or filled up: (text, typmod). */
PG_FN(pg_bit_of_text) {
    str bits;
    if (read_bits(call, args[0].s, &bits)) (void)pg_bits_sized(call, PG_BIT, bits, (int32_t)args[1].i, true, out);
}

/* ---- numbers ---- */

/* (number, its width, typmod): the lowest bits; more than it has are its sign. */
PG_FN(pg_bit_of_int) {
    int64_t v = args[0].i, width = args[1].i, count = args[2].i < 1 ? 1 : args[2].i;
    uint8_t *p = pg_call_alloc(call, (size_t)count);
    for (int64_t i = 0; p && i < count; i++) {
        int64_t bit = count - 1 - i;
        p[i] = (uint8_t)('0' + (v >> MIN(bit, width - 1) & 1));
    }
    if (p) *out = DB_TEXT(((str){p, (size_t)count}));
}

static bool number_of(struct pg_call *call, str s, size_t width, const char *what, uint64_t *v) {
    if (s.n > width) return pg_raise(call, "22003", "%s out of range", what);
    *v = 0;
    for (size_t i = 0; i < s.n; i++) *v = *v << 1 | (s.p[i] == '1');
    return true;
}
PG_FN(pg_bit_int4) {
    uint64_t v;
    if (number_of(call, args[0].s, 32, "integer", &v)) *out = DB_I64((int32_t)(uint32_t)v);
}
PG_FN(pg_bit_int8) {
    uint64_t v;
    if (number_of(call, args[0].s, 64, "bigint", &v)) *out = DB_I64((int64_t)v);
}

/* ---- operators ---- */

static void both(struct pg_call *call, const struct db_value *args, char op, struct db_value *out) {
    str a = args[0].s, b = args[1].s;
    if (a.n != b.n) {
        (void)pg_raise(call, "22026", "cannot %s bit strings of different sizes", op == '&' ? "AND" : op == '|' ? "OR" : "XOR");
        return;
    }
    uint8_t *p = pg_call_alloc(call, a.n);
    for (size_t i = 0; p && i < a.n; i++) {
        bool x = a.p[i] == '1', y = b.p[i] == '1';
        p[i] = (uint8_t)('0' + (op == '&' ? x && y : op == '|' ? x || y : x != y));
    }
    if (p) *out = DB_TEXT(((str){p, a.n}));
}
PG_FN(pg_bits_and) { both(call, args, '&', out); }
PG_FN(pg_bits_or) { both(call, args, '|', out); }
PG_FN(pg_bits_xor) { both(call, args, '#', out); }
PG_FN(pg_bits_not) {
    uint8_t *p = pg_call_alloc(call, args[0].s.n);
    for (size_t i = 0; p && i < args[0].s.n; i++) p[i] = args[0].s.p[i] ^ 1;
    if (p) *out = DB_TEXT(((str){p, args[0].s.n}));
}

/* To the left by so many. */
static void shifted(struct pg_call *call, str s, int64_t by, struct db_value *out) {
    uint8_t *p = pg_call_alloc(call, s.n);
    for (int64_t i = 0; p && i < (int64_t)s.n; i++) {
        int64_t from = i + by;
        p[i] = from >= 0 && from < (int64_t)s.n ? s.p[from] : '0';
    }
    if (p) *out = DB_TEXT(((str){p, s.n}));
}
PG_FN(pg_bit_left) { shifted(call, args[0].s, args[1].i, out); }
PG_FN(pg_bit_right) { shifted(call, args[0].s, -args[1].i, out); }

/* ---- functions ---- */

PG_FN(pg_bit_octets) { *out = DB_I64((args[0].s.n + 7) / 8); }
PG_FN(pg_bit_ones) {
    int64_t ones = 0;
    for (size_t i = 0; i < args[0].s.n; i++) ones += args[0].s.p[i] == '1';
    *out = DB_I64(ones);
}

static bool is_index(struct pg_call *call, str s, int64_t i) {
    if (i >= 0 && i < (int64_t)s.n) return true;
    return pg_raise(call, "2202E", "bit index %lld out of valid range (0..%lld)", (long long)i, (long long)s.n - 1);
}
PG_FN(pg_bit_get) {
    if (is_index(call, args[0].s, args[1].i)) *out = DB_I64(args[0].s.p[args[1].i] == '1');
}
PG_FN(pg_bit_set) {
    if (!is_index(call, args[0].s, args[1].i)) return;
    if (args[2].i != 0 && args[2].i != 1) {
        (void)pg_raise(call, "22023", "new bit must be 0 or 1");
        return;
    }
    struct db_value copy = pg_call_text(call, args[0].s);
    if (copy.kind == DB_NULL) return;
    ((uint8_t *)(uintptr_t)copy.s.p)[args[1].i] = (uint8_t)('0' + args[2].i);
    *out = copy;
}
PG_FN(pg_bit_part) {
    int64_t from = args[1].i, to = n > 2 ? from + args[2].i : INT32_MAX;
    if (n > 2 && args[2].i < 0) {
        (void)pg_raise(call, "22011", "negative substring length not allowed");
        return;
    }
    from = MAX(from, (int64_t)1), to = MIN(to, (int64_t)args[0].s.n + 1);
    *out = DB_TEXT(str_sub(args[0].s, (size_t)(from - 1), from < to ? (size_t)(to - from) : 0));
}
