/* bytes: bytea, uuid, inet; encodings and digests. */
#include "crypto/crypto.h"
#include "pg/chars.h"
#include "pg/pg_int.h"
#include <arpa/inet.h>
#include <stdlib.h>

/* ---- hex ---- */

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
static void put_hex(struct buf *b, str s) {
    static const char digits[] = "0123456789abcdef";
    buf_reserve(b, 2 * s.n);
    for (size_t i = 0; i < s.n; i++) buf_put(b, (char[]){digits[s.p[i] >> 4], digits[s.p[i] & 15]}, 2);
}
/* Blanks between are nothing. */
static bool take_hex(struct pg_call *call, str s, struct buf *b) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\t' || s.p[i] == '\r') continue;
        int high = hex_digit(s.p[i]), low = i + 1 < s.n ? hex_digit(s.p[i + 1]) : 0;
        if (high < 0)
            return pg_raise(call, "22023", "invalid hexadecimal digit: \"%.*s\"", (int)pg_char_bytes(s, i),
                            (const char *)s.p + i);
        if (++i >= s.n) return pg_raise(call, "22023", "invalid hexadecimal data: odd number of digits");
        if (low < 0)
            return pg_raise(call, "22023", "invalid hexadecimal digit: \"%.*s\"", (int)pg_char_bytes(s, i),
                            (const char *)s.p + i);
        buf_putc(b, (uint8_t)(high << 4 | low));
    }
    return true;
}

/* ---- bytea's escape form ---- */

static bool take_escape(struct pg_call *call, str s, struct buf *b) {
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t *p = s.p + i;
        if (*p != '\\') {
            buf_putc(b, *p);
        } else if (i + 1 < s.n && p[1] == '\\') {
            buf_putc(b, '\\');
            i++;
        } else if (i + 3 < s.n && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
            buf_putc(b, (uint8_t)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')));
            i += 3;
        } else {
            return pg_raise(call, "22P02", "invalid input syntax for type %s", "bytea");
        }
    }
    return true;
}
static void put_escape(struct buf *b, str s, bool printable) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') buf_puts(b, STR("\\\\"));
        else if (s.p[i] >= 0x80 || !s.p[i] || (printable && (s.p[i] < 0x20 || s.p[i] == 0x7f))) buf_printf(b, "\\%03o", s.p[i]);
        else buf_putc(b, s.p[i]);
    }
}

static struct db_value built_bytes(struct pg_call *call, struct buf *b) {
    struct db_value v = pg_call_built(call, b);
    if (v.kind == DB_TEXTUAL) v.kind = DB_BYTES;
    return v;
}

bool pg_bytea_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct buf *b = pg_call_buf(call);
    (void)typmod;
    bool hex = text.n >= 2 && text.p[0] == '\\' && text.p[1] == 'x';
    if (hex ? !take_hex(call, str_sub(text, 2, text.n), b) : !take_escape(call, text, b)) return false;
    *out = built_bytes(call, b);
    return !pg_raised(call);
}
bool pg_bytea_out(struct pg_call *call, struct db_value v, struct buf *text) {
    (void)call;
    buf_puts(text, STR("\\x"));
    put_hex(text, v.s);
    return true;
}

/* ---- base64 ---- */

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* With a line feed after every 76, as PostgreSQL. */
static void put_base64(struct buf *b, str s) {
    size_t column = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)s.p[i] << 16 | (i + 1 < s.n ? (uint32_t)s.p[i + 1] << 8 : 0) | (i + 2 < s.n ? s.p[i + 2] : 0);
        char four[4] = {base64_letters[v >> 18], base64_letters[v >> 12 & 63], base64_letters[v >> 6 & 63],
                        base64_letters[v & 63]};
        if (i + 1 >= s.n) four[2] = '=';
        if (i + 2 >= s.n) four[3] = '=';
        buf_put(b, four, 4);
        if ((column += 4) >= 76) buf_putc(b, '\n'), column = 0;
    }
    if (b->n && b->p[b->n - 1] == '\n') b->n--;
}
static bool take_base64(struct pg_call *call, str s, struct buf *b) {
    uint32_t v = 0, have = 0, pad = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
        const char *at = c ? strchr(base64_letters, c) : NULL;
        if (c == '=') {
            if (!pad) {
                if (have == 2) pad = 1;
                else if (have == 3) pad = 2;
                else return pg_raise(call, "22023", "unexpected \"=\" while decoding base64 sequence");
            }
            v <<= 6;
        } else if (at) {
            v = v << 6 | (uint32_t)(at - base64_letters);
        } else {
            return pg_raise(call, "22023", "invalid symbol \"%.*s\" found while decoding base64 sequence",
                            (int)pg_char_bytes(s, i), (const char *)s.p + i);
        }
        if (++have < 4) continue;
        buf_putc(b, (uint8_t)(v >> 16));
        if (!pad || pad > 1) buf_putc(b, (uint8_t)(v >> 8));
        if (!pad || pad > 2) buf_putc(b, (uint8_t)v);
        v = have = 0;
    }
    if (!have) return true;
    pg_raise(call, "22023", "invalid base64 end sequence");
    pg_raise_hint(call, "Input data is missing padding, is truncated, or is otherwise corrupted.");
    return false;
}

static bool no_encoding(struct pg_call *call, str name) {
    return pg_raise(call, "22023", "unrecognized encoding: \"" STR_FMT "\"", STR_ARG(name));
}
PG_FN(pg_encode) {
    struct buf *b = pg_call_buf(call);
    if (str_eq_nocase(args[1].s, STR("hex"))) put_hex(b, args[0].s);
    else if (str_eq_nocase(args[1].s, STR("base64"))) put_base64(b, args[0].s);
    else if (str_eq_nocase(args[1].s, STR("escape"))) put_escape(b, args[0].s, false);
    else return (void)no_encoding(call, args[1].s);
    *out = pg_call_built(call, b);
}
PG_FN(pg_decode) {
    struct buf *b = pg_call_buf(call);
    bool ok;
    if (str_eq_nocase(args[1].s, STR("hex"))) ok = take_hex(call, args[0].s, b);
    else if (str_eq_nocase(args[1].s, STR("base64"))) ok = take_base64(call, args[0].s, b);
    else if (str_eq_nocase(args[1].s, STR("escape"))) ok = take_escape(call, args[0].s, b);
    else return (void)no_encoding(call, args[1].s);
    if (ok) *out = built_bytes(call, b);
}

/* ---- characters ---- */

static bool is_utf8_name(str name) {
    return str_eq_nocase(name, STR("utf8")) || str_eq_nocase(name, STR("utf-8")) || str_eq_nocase(name, STR("unicode"));
}
static bool is_latin1_name(str name) {
    return str_eq_nocase(name, STR("latin1")) || str_eq_nocase(name, STR("iso88591")) || str_eq_nocase(name, STR("iso_8859_1"));
}
static bool is_ascii_name(str name) { return str_eq_nocase(name, STR("sql_ascii")); }

static bool latin1_out(struct pg_call *call, str s, struct buf *b) {
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t c = pg_char_at(s, i, &k);
        if (c > 0xff) {
            struct buf *hex = pg_call_buf(call);
            for (size_t j = 0; j < k; j++) buf_printf(hex, "%s0x%02x", j ? " " : "", s.p[i + j]);
            return pg_raise(call, "22P05",
                            "character with byte sequence " STR_FMT
                            " in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
                            STR_ARG(buf_str(hex)));
        }
        buf_putc(b, (uint8_t)c);
    }
    return true;
}
PG_FN(pg_convert_to) {
    struct buf *b = pg_call_buf(call);
    if (is_utf8_name(args[1].s) || is_ascii_name(args[1].s)) buf_puts(b, args[0].s);
    else if (!is_latin1_name(args[1].s))
        return (void)pg_raise(call, "22023", "invalid destination encoding name \"" STR_FMT "\"", STR_ARG(args[1].s));
    else if (!latin1_out(call, args[0].s, b)) return;
    *out = built_bytes(call, b);
}
static bool check_utf8(struct pg_call *call, str s) {
    if (!memchr(s.n ? s.p : (const uint8_t *)"x", 0, s.n) && str_is_utf8(s)) return true;
    for (size_t i = 0, k; i < s.n; i += k) {
        k = pg_char_bytes(s, i);
        if (s.p[i] && str_is_utf8(str_sub(s, i, k))) continue;
        struct buf *hex = pg_call_buf(call);
        size_t want = s.p[i] >= 0xf8 ? 1 : s.p[i] >= 0xf0 ? 4 : s.p[i] >= 0xe0 ? 3 : s.p[i] >= 0xc0 ? 2 : 1;
        for (size_t j = 0; j < want && i + j < s.n; j++) buf_printf(hex, "%s0x%02x", j ? " " : "", s.p[i + j]);
        return pg_raise(call, "22021", "invalid byte sequence for encoding \"UTF8\": " STR_FMT, STR_ARG(buf_str(hex)));
    }
    return true;
}
PG_FN(pg_convert_from) {
    struct buf *b = pg_call_buf(call);
    if (is_utf8_name(args[1].s) || is_ascii_name(args[1].s)) {
        if (!check_utf8(call, args[0].s)) return;
        buf_puts(b, args[0].s);
    } else if (is_latin1_name(args[1].s)) {
        for (size_t i = 0; i < args[0].s.n; i++) {
            uint8_t bytes[4];
            if (!args[0].s.p[i]) return (void)pg_raise(call, "22021", "invalid byte sequence for encoding \"LATIN1\": 0x00");
            buf_put(b, bytes, pg_char_encode(args[0].s.p[i], bytes));
        }
    } else {
        return (void)pg_raise(call, "22023", "invalid source encoding name \"" STR_FMT "\"", STR_ARG(args[1].s));
    }
    *out = pg_call_built(call, b);
}
PG_FN(pg_get_byte) {
    if (args[1].i < 0 || args[1].i >= (int64_t)args[0].s.n)
        return (void)pg_raise(call, "2202E", "index %lld out of valid range, 0..%lld", (long long)args[1].i,
                              (long long)args[0].s.n - 1);
    *out = DB_I64(args[0].s.p[args[1].i]);
}
PG_FN(pg_set_byte) {
    if (args[1].i < 0 || args[1].i >= (int64_t)args[0].s.n)
        return (void)pg_raise(call, "2202E", "index %lld out of valid range, 0..%lld", (long long)args[1].i,
                              (long long)args[0].s.n - 1);
    str s = arena_str(call->mem, args[0].s);
    ((uint8_t *)(uintptr_t)s.p)[args[1].i] = (uint8_t)args[2].i;
    *out = DB_BLOB(s);
}

/* ---- digests ---- */

static bool digest(struct pg_call *call, str name, str s, str *out) {
    uint8_t *p = arena_alloc(call->mem, CRYPTO_DIGEST_BYTES_MAX, 1);
    size_t bytes = crypto_digest(name, s, p);
    *out = (str){p, bytes};
    return bytes > 0 && pg_call_works(call, s.n * 3);
}
PG_FN(pg_md5) {
    str d;
    struct buf *b = pg_call_buf(call);
    if (!digest(call, STR("md5"), args[0].s, &d)) return;
    put_hex(b, d);
    *out = pg_call_built(call, b);
}
#define SHA(bits)                                                                                                                \
    PG_FN(pg_sha##bits) {                                                                                                        \
        str d;                                                                                                                   \
        if (digest(call, STR("sha" #bits), args[0].s, &d)) *out = DB_BLOB(d);                                                    \
    }
SHA(224)
SHA(256)
SHA(384)
SHA(512)
/* pgcrypto: data, algorithm */
PG_FN(pg_digest) {
    str d, name = str_trim(args[1].s);
    if (digest(call, name, args[0].s, &d)) *out = DB_BLOB(d);
    else pg_raise(call, "22023", "Cannot use \"" STR_FMT "\": No such hash algorithm", STR_ARG(name));
}
/* data, key, algorithm */
PG_FN(pg_hmac) {
    uint8_t *p = arena_alloc(call->mem, CRYPTO_DIGEST_BYTES_MAX, 1);
    size_t bytes = crypto_hmac(args[2].s, args[1].s, args[0].s, p);
    if (bytes && pg_call_works(call, args[0].s.n * 3)) *out = DB_BLOB(((str){p, bytes}));
    else pg_raise(call, "22023", "Cannot use \"" STR_FMT "\": No such hash algorithm", STR_ARG(args[2].s));
}
PG_FN(pg_gen_random_bytes) {
    if (args[0].i < 1 || args[0].i > 1024) return (void)pg_raise(call, "39000", "Length not in range");
    uint8_t *p = arena_alloc(call->mem, (size_t)args[0].i, 1);
    crypto_random(p, (size_t)args[0].i);
    *out = DB_BLOB(((str){p, (size_t)args[0].i}));
}

/* ---- passwords ----
 *
 * bf costs 2^rounds; what is dearer than a node may spend within one call is refused, since nothing can stop it meanwhile. */

enum { ROUNDS_MAX = 10 };
static bool dear(struct pg_call *call) {
    return pg_raise(call, "0A000", "crypt() with more than %d rounds of bf is not supported on SQLite", ROUNDS_MAX);
}
PG_FN(pg_crypt) {
    str salt = args[1].s;
    char *to = (char *)arena_alloc(call->mem, CRYPTO_PASSWORD_BYTES_MAX, 1);
    bool bf = str_starts(salt, STR("$2a$")) || str_starts(salt, STR("$2x$"));
    if (bf && salt.n > 6 && (salt.p[4] - '0') * 10 + (salt.p[5] - '0') > ROUNDS_MAX) return (void)dear(call);
    if (!bf && !str_starts(salt, STR("$1$")))
        return (void)(salt.n >= 2 && salt.p[0] != '$'
                          ? pg_raise(call, "0A000", "crypt() of des is not supported on SQLite: use gen_salt('bf')")
                          : pg_raise(call, "39000", "invalid salt"));
    if (!crypto_password(arena_cstr(call->mem, args[0].s), arena_cstr(call->mem, salt), to))
        return (void)pg_raise(call, "39000", "invalid salt");
    if (pg_call_works(call, 1000000)) *out = DB_TEXT(str_c(to));
}
static const char radix64[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static const char itoa64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static void bf_salt(struct buf *b, int64_t rounds) {
    uint8_t random[16];
    crypto_random(random, sizeof random);
    buf_printf(b, "$2a$%02d$", (int)rounds);
    for (size_t i = 0; i < 16; i += 3) { /* as crypt reads them: 22 letters of 16 bytes */
        uint32_t a = random[i], c = i + 1 < 16 ? random[i + 1] : 0, d = i + 2 < 16 ? random[i + 2] : 0;
        buf_putc(b, (uint8_t)radix64[a >> 2]);
        buf_putc(b, (uint8_t)radix64[(a & 3) << 4 | c >> 4]);
        if (i + 1 >= 16) break;
        buf_putc(b, (uint8_t)radix64[(c & 15) << 2 | d >> 6]);
        buf_putc(b, (uint8_t)radix64[d & 63]);
    }
}
/* type [, rounds] */
PG_FN(pg_gen_salt) {
    struct buf *b = pg_call_buf(call);
    if (str_eq_nocase(args[0].s, STR("bf"))) {
        int64_t rounds = n > 1 && args[1].i ? args[1].i : 6;
        if (rounds < 4 || rounds > 31) return (void)pg_raise(call, "22023", "gen_salt: Incorrect number of rounds");
        if (rounds > ROUNDS_MAX) return (void)dear(call);
        bf_salt(b, rounds);
    } else if (str_eq_nocase(args[0].s, STR("md5"))) {
        uint8_t random[8];
        if (n > 1 && args[1].i && args[1].i != 1000) return (void)pg_raise(call, "22023", "gen_salt: Incorrect number of rounds");
        crypto_random(random, sizeof random);
        buf_puts(b, STR("$1$"));
        for (size_t i = 0; i < sizeof random; i++) buf_putc(b, (uint8_t)itoa64[random[i] & 63]);
    } else if (str_eq_nocase(args[0].s, STR("des")) || str_eq_nocase(args[0].s, STR("xdes"))) {
        return (void)pg_raise(call, "0A000", "gen_salt() of des is not supported on SQLite: use 'bf'");
    } else {
        return (void)pg_raise(call, "22023", "gen_salt: Unknown salt algorithm");
    }
    *out = pg_call_built(call, b);
}

/* ---- uuid ---- */

static bool bad_uuid(struct pg_call *call, str text) {
    return pg_raise(call, "22P02", "invalid input syntax for type %s: \"" STR_FMT "\"", "uuid", STR_ARG(str_sub(text, 0, 400)));
}
/* 32 digits, a hyphen after any four of them, braces around */
bool pg_uuid_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    uint8_t *p = arena_alloc(call->mem, 16, 1);
    str s = text;
    (void)typmod;
    if (s.n && s.p[0] == '{') {
        if (s.p[s.n - 1] != '}') return bad_uuid(call, text);
        s = str_sub(s, 1, s.n - 2);
    }
    size_t i = 0;
    for (uint32_t k = 0; k < 16; k++) {
        int high = i < s.n ? hex_digit(s.p[i]) : -1, low = i + 1 < s.n ? hex_digit(s.p[i + 1]) : -1;
        if (high < 0 || low < 0) return bad_uuid(call, text);
        p[k] = (uint8_t)(high << 4 | low);
        i += 2;
        if (k % 2 && k < 15 && i < s.n && s.p[i] == '-') i++;
    }
    if (i != s.n) return bad_uuid(call, text);
    *out = DB_BLOB(((str){p, 16}));
    return true;
}
bool pg_uuid_out(struct pg_call *call, struct db_value v, struct buf *text) {
    if (v.s.n != 16) return pg_raise(call, "XX001", "a stored uuid is damaged");
    static const uint8_t parts[] = {4, 2, 2, 2, 6};
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts; at += parts[i++]) {
        if (i) buf_putc(text, '-');
        put_hex(text, str_sub(v.s, at, parts[i]));
    }
    return true;
}
PG_FN(pg_gen_random_uuid) {
    uint8_t *p = arena_alloc(call->mem, 16, 1);
    crypto_random(p, 16);
    p[6] = (uint8_t)(0x40 | (p[6] & 15));
    p[8] = (uint8_t)(0x80 | (p[8] & 63));
    *out = DB_BLOB(((str){p, 16}));
}
PG_FN(pg_uuid_nil) { *out = DB_BLOB(str_sub(STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 0, 16)); }

/* ---- inet, cidr: text as PostgreSQL prints it ---- */

struct address {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
    uint32_t bits;
};
static bool read_address(str text, struct address *out) {
    char word[64];
    str address, mask;
    uint64_t bits;
    bool has = str_cut(text, '/', &address, &mask);
    if (address.n >= sizeof word || !address.n) return false;
    memcpy(word, address.p, address.n);
    word[address.n] = 0;
    *out = (struct address){.family = memchr(word, ':', address.n) ? AF_INET6 : AF_INET};
    if (inet_pton(out->family, word, out->bytes) != 1) return false;
    out->bits = out->family == AF_INET ? 32 : 128;
    if (!has) return true;
    if (!str_to_u64(mask, &bits) || bits > out->bits) return false;
    out->bits = (uint32_t)bits;
    return true;
}
static bool put_address(struct buf *b, const struct address *a, bool always) {
    char word[64];
    if (!inet_ntop(a->family, a->bytes, word, sizeof word)) return false;
    buf_puts(b, str_c(word));
    if (always || a->bits != (a->family == AF_INET ? 32 : 128)) buf_printf(b, "/%u", a->bits);
    return true;
}
static bool address_in(struct pg_call *call, str text, bool cidr, struct db_value *out) {
    struct address a;
    struct buf *b = pg_call_buf(call);
    if (!read_address(text, &a))
        return pg_raise(call, "22P02", "invalid input syntax for type %s: \"" STR_FMT "\"", cidr ? "cidr" : "inet",
                        STR_ARG(str_sub(text, 0, 400)));
    for (uint32_t i = a.bits; cidr && i < (a.family == AF_INET ? 32u : 128u); i++)
        if (a.bytes[i / 8] & 0x80 >> i % 8) {
            pg_raise(call, "22P02", "invalid cidr value: \"" STR_FMT "\"", STR_ARG(str_sub(text, 0, 400)));
            pg_raise_detail(call, "Value has bits set to right of mask.");
            return false;
        }
    put_address(b, &a, cidr);
    *out = pg_call_built(call, b);
    return true;
}
bool pg_inet_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return (void)typmod, address_in(call, text, false, out);
}
bool pg_inet_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }
bool pg_cidr_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return (void)typmod, address_in(call, text, true, out);
}
bool pg_cidr_out(struct pg_call *call, struct db_value v, struct buf *text) { return (void)call, buf_puts(text, v.s), true; }

static int compare_bits(const struct address *a, const struct address *b, uint32_t bits) {
    int c = memcmp(a->bytes, b->bytes, bits / 8);
    if (c || !(bits % 8)) return c;
    uint8_t mask = (uint8_t)(0xff00 >> bits % 8), x = a->bytes[bits / 8] & mask, y = b->bytes[bits / 8] & mask;
    return x - y;
}
/* The collation: family, network, length of the mask, address. */
int pg_inet_compare(str a, str b) {
    struct address x, y;
    if (!read_address(a, &x) || !read_address(b, &y)) return str_cmp(a, b);
    if (x.family != y.family) return x.family == AF_INET ? -1 : 1;
    int c = compare_bits(&x, &y, MIN(x.bits, y.bits));
    if (!c) c = (x.bits > y.bits) - (x.bits < y.bits);
    return c ? c : memcmp(x.bytes, y.bytes, 16);
}
static bool subnet(str a, str b, bool equal) { /* is a within b? */
    struct address x, y;
    if (!read_address(a, &x) || !read_address(b, &y) || x.family != y.family) return false;
    return (x.bits > y.bits || (equal && x.bits == y.bits)) && compare_bits(&x, &y, y.bits) == 0;
}
PG_FN(pg_inet_sub) { *out = pg_bool(subnet(args[0].s, args[1].s, false)); }
PG_FN(pg_inet_subeq) { *out = pg_bool(subnet(args[0].s, args[1].s, true)); }
PG_FN(pg_inet_sup) { *out = pg_bool(subnet(args[1].s, args[0].s, false)); }
PG_FN(pg_inet_supeq) { *out = pg_bool(subnet(args[1].s, args[0].s, true)); }
PG_FN(pg_inet_host) {
    str address, mask;
    str_cut(args[0].s, '/', &address, &mask);
    *out = DB_TEXT(address);
}
PG_FN(pg_inet_text) {
    struct address a;
    struct buf *b = pg_call_buf(call);
    if (read_address(args[0].s, &a) && put_address(b, &a, true)) *out = pg_call_built(call, b);
}
PG_FN(pg_inet_family) { *out = DB_I64(args[0].s.n && memchr(args[0].s.p, ':', args[0].s.n) ? 6 : 4); }
PG_FN(pg_inet_masklen) {
    struct address a;
    if (read_address(args[0].s, &a)) *out = DB_I64(a.bits);
}
