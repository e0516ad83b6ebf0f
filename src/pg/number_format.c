/* number_format: to_char of numbers, and to_number, by a picture (PostgreSQL's manual, 9.8): "FM999,990.00", "S9999", "9.99EEEE", "RN".
 *
 * Digits stand where the picture has places: what it has more of is blank (0: zero), what the number has more of makes it "#". The sign is
 * written before the first digit, unless the picture says where (S SG MI PL PR). Symbols are those of the C locale.
 */
#include "pg/floats.h"
#include "pg/format.h"
#include "pg/numeric.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum key {
    N_COMMA,
    N_DOT,
    N_0,
    N_9,
    N_B,
    N_D,
    N_EEEE,
    N_FM,
    N_G,
    N_L,
    N_MI,
    N_PL,
    N_PR,
    N_RN,
    N_RN_LOWER,
    N_SG,
    N_S,
    N_TH,
    N_TH_LOWER,
    N_V
};
static const struct format_word words[] = {
    {",", N_COMMA},     {".", N_DOT}, {"0", N_0}, {"9", N_9},   {"B", N_B},         {"D", N_D},   {"EEEE", N_EEEE},
    {"FM", N_FM},       {"G", N_G},   {"L", N_L}, {"MI", N_MI}, {"PL", N_PL},       {"PR", N_PR}, {"RN", N_RN},
    {"SG", N_SG},       {"SP", -2},   {"S", N_S}, {"TH", N_TH}, {"V", N_V},         {"b", N_B},   {"d", N_D},
    {"eeee", N_EEEE},   {"fm", N_FM}, {"g", N_G}, {"l", N_L},   {"mi", N_MI},       {"pl", N_PL}, {"pr", N_PR},
    {"rn", N_RN_LOWER}, {"sg", N_SG}, {"sp", -2}, {"s", N_S},   {"th", N_TH_LOWER}, {"v", N_V},
};

struct picture {
    struct format format;
    int before, behind, shift; /* places; of V */
    int zero_from, zero_to;    /* the first and last place that is 0, from 1; 0: none */
    int sign_after;            /* places before S */
    bool point, fill, zero, left_sign, right_sign, minus, plus, bracket, roman, exponent, shifts;
};

static bool wrong(struct pg_call *call, const char *what) { return pg_raise(call, "42601", "%s", what); }

static bool add_place(struct pg_call *call, struct picture *p, bool zero) {
    if (p->bracket) return wrong(call, zero ? "\"0\" must be ahead of \"PR\"" : "\"9\" must be ahead of \"PR\"");
    if (!zero && p->shifts) return p->shift++, true;
    if (zero && !p->zero && !p->point) p->zero = true, p->zero_from = p->before + 1;
    if (p->point) p->behind++;
    else p->before++;
    if (zero) p->zero_to = p->before + p->behind;
    return true;
}

static bool add_key(struct pg_call *call, struct picture *p, int key) {
    bool signs = p->plus || p->minus || p->bracket;
    if (p->exponent) return wrong(call, "\"EEEE\" must be the last pattern used");
    switch (key) {
    case N_9:
    case N_0: return add_place(call, p, key == N_0);
    case N_D:
    case N_DOT:
        if (p->point) return wrong(call, "multiple decimal points");
        if (p->shifts) return wrong(call, "cannot use \"V\" and decimal point together");
        p->point = true;
        return true;
    case N_FM: p->fill = true; return true;
    case N_S:
        if (p->left_sign || p->right_sign) return wrong(call, "cannot use \"S\" twice");
        if (signs) return wrong(call, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        if (p->point) p->right_sign = true;
        else p->left_sign = true, p->sign_after = p->before;
        return true;
    case N_MI:
    case N_PL:
    case N_SG:
        if (p->left_sign || p->right_sign)
            return wrong(call, key == N_MI   ? "cannot use \"S\" and \"MI\" together"
                               : key == N_PL ? "cannot use \"S\" and \"PL\" together"
                                             : "cannot use \"S\" and \"SG\" together");
        p->minus |= key != N_PL, p->plus |= key != N_MI;
        return true;
    case N_PR:
        if (p->left_sign || p->right_sign || p->plus || p->minus)
            return wrong(call, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
        p->bracket = true;
        return true;
    case N_RN:
    case N_RN_LOWER: p->roman = true; return true;
    case N_V:
        if (p->point) return wrong(call, "cannot use \"V\" and decimal point together");
        p->shifts = true;
        return true;
    case N_EEEE:
        if (p->fill || p->left_sign || p->right_sign || signs || p->roman || p->shifts)
            return wrong(call, "\"EEEE\" is incompatible with other formats");
        p->exponent = true;
        return true;
    default: return true;
    }
}

static bool read_picture(struct pg_call *call, str text, struct picture *p) {
    *p = (struct picture){0};
    if (!pg_format_cut(call, text, words, ARRAY_COUNT(words), false, &p->format)) return false;
    for (uint32_t i = 0; i < p->format.count; i++)
        if (p->format.nodes[i].keyword >= 0 && !add_key(call, p, p->format.nodes[i].keyword)) return false;
    return true;
}

/* ---- writing ---- */

struct writing {
    const struct picture *p;
    struct buf *out;
    const char *number, *at, *last; /* the digits without sign; where we are; the last that is shown under FM, or NULL */
    char sign;
    bool sign_done, begun, bracket, sign_behind;
    int blanks; /* places that the number has not */
    int place, places;
};

/* Of digits behind the point: the last that is no zero; else the point. */
static const char *last_relevant(const char *number) {
    const char *point = strchr(number, '.'), *last = point;
    for (const char *p = point; p && *p; p++)
        if (*p != '0') last = p;
    return last;
}

/* "0.5" under 9.9: the zero is none */
static bool zero_before_point(const struct writing *w) {
    return !w->p->zero && w->at == w->number && *w->number == '0' && w->p->behind;
}

static void put_sign(struct writing *w) {
    bool zero_here = w->p->zero && w->p->zero_from - 1 == w->place, only_point = w->last && *w->last == '.';
    if (w->sign_done || (w->place < w->blanks && !zero_here) || (zero_before_point(w) && !only_point)) return;
    if (w->p->left_sign || w->p->right_sign) {
        if (w->sign_behind) return;
        buf_putc(w->out, (uint8_t)w->sign);
    } else if (w->bracket) {
        buf_putc(w->out, w->sign == '+' ? ' ' : '<');
    } else if (w->sign == '-') {
        buf_putc(w->out, '-');
    } else if (!w->p->fill) {
        buf_putc(w->out, ' ');
    }
    w->sign_done = true;
}

static void put_digit(struct writing *w, bool zero) {
    if (*w->at == '.') {
        buf_putc(w->out, '.');
    } else if (w->last && w->at > w->last && !zero) {
        ;
    } else if (zero_before_point(w)) {
        if (!w->p->fill) buf_putc(w->out, ' ');
        else if (w->last && *w->last == '.') buf_putc(w->out, '0');
    } else if (*w->at) {
        buf_putc(w->out, (uint8_t)*w->at);
        w->begun = true;
    }
    if (*w->at) w->at++;
}

static void put_place(struct writing *w, bool zero) {
    w->begun = false;
    put_sign(w);
    bool blank = w->place < w->blanks, zeros = w->p->zero && w->p->zero_from - 1 <= w->place;
    if (blank && !zeros) {
        if (!w->p->fill) buf_putc(w->out, ' ');
    } else if (blank) {
        buf_putc(w->out, '0');
        w->begun = true;
    } else {
        put_digit(w, zero);
    }
    int end = w->places + (w->blanks ? 1 : 0) + w->p->point;
    if (w->last && w->last == w->at) end = w->place;
    if (w->place + 1 == end) {
        if (w->sign_done && w->bracket) buf_putc(w->out, w->sign == '+' ? ' ' : '>');
        else if (w->sign_behind) buf_putc(w->out, (uint8_t)w->sign);
    }
    w->place++;
}

static void put_roman(struct writing *w, int64_t v, bool lower) {
    static const struct {
        int value;
        char text[3];
    } parts[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
                 {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"}};
    char text[20] = "";
    size_t n = 0;
    if (v < 1 || v > 3999) memset(text, '#', n = 15);
    for (size_t i = 0; v >= 1 && v <= 3999 && i < ARRAY_COUNT(parts); i++)
        for (; v >= parts[i].value; v -= parts[i].value)
            for (const char *p = parts[i].text; *p; p++) text[n++] = (char)(lower ? tolower(*p) : *p);
    for (size_t i = n; !w->p->fill && i < 15; i++) buf_putc(w->out, ' ');
    buf_put(w->out, text, n);
}

static void put_node(struct writing *w, const struct format_node *n, int64_t roman) {
    bool ordinal = !w->p->roman && *w->number != '#' && w->sign != '-' && !w->p->point;
    switch (n->keyword) {
    case N_9:
    case N_0:
    case N_DOT:
    case N_D:
        if (!w->p->roman) put_place(w, n->keyword == N_0);
        break;
    case N_COMMA:
    case N_G:
        if (w->begun) buf_putc(w->out, ',');
        else if (!w->p->fill) buf_putc(w->out, ' ');
        break;
    case N_L: buf_putc(w->out, ' '); break;
    case N_RN:
    case N_RN_LOWER: put_roman(w, roman, n->keyword == N_RN_LOWER); break;
    case N_TH:
    case N_TH_LOWER:
        if (ordinal) buf_puts(w->out, str_c(pg_format_ordinal(str_c(w->number), n->keyword == N_TH)));
        break;
    case N_MI:
        if (w->sign == '-' || !w->p->fill) buf_putc(w->out, w->sign == '-' ? '-' : ' ');
        break;
    case N_PL:
        if (w->sign == '+' || !w->p->fill) buf_putc(w->out, w->sign == '+' ? '+' : ' ');
        break;
    case N_SG: buf_putc(w->out, (uint8_t)w->sign); break;
    default:
        if (n->keyword == -1) buf_puts(w->out, n->text);
        break;
    }
}

/* number: digits, perhaps a point and more; of what has too many places "##.##" */
static void write_number(struct pg_call *call, const struct picture *p, const char *number, char sign, int64_t roman,
                         struct db_value *out) {
    struct buf b = {.max = PG_VALUE_BYTES_MAX};
    int have = (int)strcspn(number, "."), before = p->before + p->shift;
    char *crossed = pg_call_alloc(call, (size_t)(before + p->behind) + 2);
    if (!crossed) return;
    if (have > before && !p->roman) {
        memset(crossed, '#', (size_t)(before + 1 + p->behind));
        crossed[before] = '.';
        number = crossed;
    }
    struct writing w = {.p = p, .out = &b, .number = number, .at = number, .sign = sign, .bracket = p->bracket};
    w.blanks = MAX(before - have, 0);
    w.places = p->behind + before - 1;
    w.sign_behind = p->right_sign || (p->left_sign && p->before == p->sign_after);
    if (p->plus || p->minus) {
        w.sign_done = !(p->plus && !p->minus);
    } else {
        if (sign != '-' && p->fill) w.bracket = false;
        w.sign_done = sign == '+' && p->fill && !p->left_sign && !p->right_sign;
    }
    if (p->fill && p->point) {
        w.last = last_relevant(number);
        if (w.last && p->zero_to > w.blanks) {
            const char *zero = number + MIN((int)strlen(number) - 1, p->zero_to - w.blanks);
            if (w.last < zero) w.last = zero;
        }
    }
    if (!w.sign_done && !w.blanks) w.places++;
    for (uint32_t i = 0; i < p->format.count; i++) put_node(&w, &p->format.nodes[i], roman);
    *out = pg_call_text(call, buf_str(&b));
    buf_free(&b);
}

/* ---- what is written ---- */

static bool nothing(str format, struct db_value *out) {
    if (!format.n) *out = DB_TEXT(STR(""));
    return !format.n;
}

static bool roman_of(struct pg_call *call, struct num x, int64_t *out) {
    if (x.kind == NUM_INF) return pg_raise(call, "0A000", "cannot convert infinity to integer");
    if (x.kind == NUM_NAN) return pg_raise(call, "0A000", "cannot convert NaN to integer");
    bool fits = pg_num_to_i64(x, out) && *out >= INT32_MIN && *out <= INT32_MAX;
    return fits || pg_raise(call, "22003", "integer out of range");
}

/* d.dde+xx; in front a blank, or the sign. Of a numeric 9.99 becomes 10.0 (carry: not), as it does in PostgreSQL. */
static void write_exponent(struct pg_call *call, struct num x, bool carry, const struct picture *p, struct db_value *out) {
    char *crossed = pg_call_alloc(call, (size_t)(p->before + p->behind) + 16);
    if (!crossed) return;
    if (x.kind != NUM_FINITE) { /* as many places crossed as it would have */
        size_t n = (size_t)(p->before + p->behind) + 6;
        memset(crossed, '#', n);
        crossed[0] = ' ', crossed[p->before + 1] = '.';
        *out = pg_call_text(call, (str){(const uint8_t *)crossed, n});
        return;
    }
    int32_t exponent = 0;
    if (x.n) exponent = x.weight * NUM_DIGITS + (x.d[0] > 999 ? 3 : x.d[0] > 99 ? 2 : x.d[0] > 9 ? 1 : 0);
    struct num mantissa = pg_num_round(call, pg_num_shift(call, x, -exponent), p->behind);
    struct db_value text = pg_num_value(call, num_abs(mantissa));
    if (carry && text.kind == DB_TEXTUAL && text.s.n > 1 && text.s.p[0] == '1' && text.s.p[1] == '0') { /* 9.99 became 10.0 */
        exponent++;
        text = pg_num_value(call, num_abs(pg_num_round(call, pg_num_shift(call, x, -exponent), p->behind)));
    }
    if (text.kind != DB_TEXTUAL) return;
    struct buf b = {.max = PG_VALUE_BYTES_MAX};
    buf_printf(&b, "%c" STR_FMT "e%c%02d", x.minus ? '-' : ' ', STR_ARG(text.s), exponent < 0 ? '-' : '+', abs(exponent));
    *out = pg_call_text(call, buf_str(&b));
    buf_free(&b);
}

static void write_numeric(struct pg_call *call, struct num x, bool carry, str format, struct db_value *out) {
    struct picture p;
    int64_t roman = 0;
    if (nothing(format, out) || !read_picture(call, format, &p)) return;
    if (p.exponent) {
        write_exponent(call, x, carry, &p, out);
        return;
    }
    if (p.roman && !roman_of(call, x, &roman)) return;
    if (p.shifts && x.kind == NUM_FINITE) x = pg_num_shift(call, x, p.shift);
    struct num shown = pg_num_round(call, x, p.behind);
    struct db_value text = pg_num_value(call, num_abs(shown));
    if (text.kind == DB_TEXTUAL) write_number(call, &p, arena_cstr(call->mem, text.s), shown.minus ? '-' : '+', roman, out);
}
PG_FN(pg_to_char_numeric) { write_numeric(call, pg_num_of(call, args[0]), false, args[1].s, out); }
PG_FN(pg_to_char_int) { write_numeric(call, pg_num_of_i64(call, args[0].i), true, args[1].s, out); }

/* With as many digits as the type has. */
static void write_float(struct pg_call *call, double v, int digits, str format, struct db_value *out) {
    struct picture p;
    if (nothing(format, out) || !read_picture(call, format, &p)) return;
    if (p.exponent) {
        write_exponent(call, pg_num_of_f64(call, v, 17), true, &p, out);
        return;
    }
    if (p.shifts) v *= pow(10, p.shift);
    int before = snprintf(NULL, 0, "%.0f", fabs(v)), behind = before >= digits ? 0 : MIN(p.behind, digits - before);
    char *text = pg_call_alloc(call, 800);
    if (!text) return;
    snprintf(text, 800, "%.*f", behind, v);
    bool minus = text[0] == '-';
    int64_t roman = 0;
    if (p.roman && fabs(v) < INT32_MAX) roman = (int64_t)rint(v);
    if (isinf(v)) memset(text + minus, '9', 799), text[799] = 0; /* too long for any picture */
    p.behind = behind;
    write_number(call, &p, text + minus, minus ? '-' : '+', roman, out);
}
PG_FN(pg_to_char_float8) { write_float(call, pg_f64(args[0]), 15, args[1].s, out); }
PG_FN(pg_to_char_float4) { write_float(call, pg_f64(args[0]), 6, args[1].s, out); }

/* ---- to_number ---- */

struct taking {
    str in;
    struct buf digits;
    bool minus, point, begun;
};

static void take_sign(struct taking *t, const struct picture *p) {
    if (!t->in.n || t->begun) return;
    uint8_t c = t->in.p[0];
    bool bracket = c == '<' && p->bracket;
    if (c != '-' && c != '+' && !bracket) return;
    t->minus = c != '+';
    t->in = str_sub(t->in, 1, t->in.n);
}

/* A digit's place, or a point's: blanks and a sign may stand before the first. */
static void take_place(struct taking *t, const struct picture *p) {
    while (t->in.n && !t->begun && t->in.p[0] == ' ') t->in = str_sub(t->in, 1, t->in.n);
    take_sign(t, p);
    if (!t->in.n) return;
    uint8_t c = t->in.p[0];
    if (isdigit(c)) {
        buf_putc(&t->digits, c);
        t->begun = true;
    } else if (c == '.' && p->point && !t->point) {
        buf_putc(&t->digits, c);
        t->begun = t->point = true;
    } else {
        return;
    }
    t->in = str_sub(t->in, 1, t->in.n);
}

static void take_node(struct taking *t, const struct picture *p, const struct format_node *n) {
    switch (n->keyword) {
    case N_9:
    case N_0:
    case N_DOT:
    case N_D: take_place(t, p); break;
    case N_COMMA:
    case N_G:
        if (t->in.n && t->in.p[0] == ',') t->in = str_sub(t->in, 1, t->in.n);
        break;
    case N_MI:
    case N_PL:
    case N_SG:
    case N_S:
        if (t->in.n && (t->in.p[0] == '-' || t->in.p[0] == '+')) {
            t->minus = t->in.p[0] == '-';
            t->in = str_sub(t->in, 1, t->in.n);
        }
        break;
    case N_FM:
    case N_PR:
    case N_V:
    case N_B: break;
    default:
        if (t->in.n && !isdigit(t->in.p[0]) && !strchr("+-.,", t->in.p[0])) t->in = str_sub(t->in, 1, t->in.n);
        break;
    }
}

PG_FN(pg_to_number) {
    struct picture p;
    struct taking t = {.in = args[0].s, .digits = {.max = 4096}};
    struct num x;
    if (!args[1].s.n || !read_picture(call, args[1].s, &p)) return;
    if (p.exponent || p.roman) {
        pg_raise(call, "0A000", p.exponent ? "\"EEEE\" not supported for input" : "\"RN\" not supported for input");
        return;
    }
    for (uint32_t i = 0; i < p.format.count; i++) take_node(&t, &p, &p.format.nodes[i]);
    bool rest_minus = t.in.n && t.in.p[0] == '-' && (p.left_sign || p.right_sign || p.minus);
    if (!t.begun) buf_putc(&t.digits, ' ');
    if (pg_num_read(call, buf_str(&t.digits), &x)) {
        if (t.minus || rest_minus) x = num_minus(x);
        int32_t precision = p.before + p.shift + p.behind;
        if (precision > 0 && precision <= 1000) x = pg_num_sized(call, x, (precision << 16 | p.behind) + 4);
        if (p.shifts) x = pg_num_mul(call, x, pg_num_power(call, pg_num_of_i64(call, 10), pg_num_of_i64(call, -p.shift)));
        *out = pg_num_value(call, x);
    }
    buf_free(&t.digits);
}
