/* websocket_deflate: permessage-deflate (RFC 7692): what is offered and taken, and raw deflate behind it.
 *
 * Neither side keeps a window from message to message: we say so of ours, and ask it of the client's, in each answer (§7.1.1). So what a
 * connection costs that rests is nothing, and a thread has a few states for all of them. */
#include "coding/coding.h"
#include "net/websocket_codec.h"
#include <stdlib.h>

/* ---- what is offered ---- */

static bool is_token(str s) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i], small = c | 0x20;
        if (!(small >= 'a' && small <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr(others, c))) return false;
    }
    return s.n;
}

/* name[=value], where a value in quotes is a token, too (RFC 6455 §9.1). */
static bool parameter(str s, str *name, str *value, bool *has_value) {
    *has_value = str_cut(s, '=', name, value);
    *name = str_trim(*name);
    *value = str_trim(*value);
    if (*has_value && value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"')
        *value = str_sub(*value, 1, value->n - 2);
    return is_token(*name) && (!*has_value || is_token(*value));
}

static bool window_bits(str value, uint8_t *bits) {
    uint64_t n;
    if (!value.n || value.n > 2 || value.p[0] == '0' || !str_to_u64(value, &n) || n < 8 || n > 15) return false;
    *bits = (uint8_t)n;
    return true;
}

enum { SERVER_NO_TAKEOVER = 1, CLIENT_NO_TAKEOVER = 2, SERVER_BITS = 4, CLIENT_BITS = 8 };

/* §7.1: one that has a parameter twice, or one that we do not know, is not taken. */
static bool take_parameter(str name, str value, bool has_value, unsigned *seen, uint8_t *bits) {
    uint8_t clients;
    unsigned what = str_eq_nocase(name, STR("server_no_context_takeover"))   ? SERVER_NO_TAKEOVER
                    : str_eq_nocase(name, STR("client_no_context_takeover")) ? CLIENT_NO_TAKEOVER
                    : str_eq_nocase(name, STR("server_max_window_bits"))     ? SERVER_BITS
                    : str_eq_nocase(name, STR("client_max_window_bits"))     ? CLIENT_BITS
                                                                             : 0u;
    if (!what || *seen & what) return false;
    *seen |= what;
    if (what == SERVER_BITS) return has_value && window_bits(value, bits) && *bits > 8; /* zlib's smallest is 9 */
    if (what == CLIENT_BITS) return !has_value || window_bits(value, &clients);
    return !has_value;
}

/* False: it is malformed. */
static bool offer(str s, bool *taken, struct websocket_deflate *d) {
    str part, name, value;
    unsigned seen = 0;
    uint8_t bits = 15;
    bool has_value;
    str_cut(s, ';', &part, &s);
    name = str_trim(part);
    if (!is_token(name)) return false;
    *taken = str_eq_nocase(name, STR("permessage-deflate"));
    while (s.n) {
        str_cut(s, ';', &part, &s);
        if (!parameter(str_trim(part), &name, &value, &has_value)) return false;
        *taken = *taken && take_parameter(name, value, has_value, &seen, &bits);
    }
    if (!*taken) return true;
#define ANSWER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
#define BITS(n) STR_INIT(ANSWER "; server_max_window_bits=" #n)
    static const str answers[] = {BITS(9), BITS(10), BITS(11), BITS(12), BITS(13), BITS(14), BITS(15)};
    d->on = true;
    d->bits = bits;
    d->answer = seen & SERVER_BITS ? answers[bits - 9] : STR(ANSWER);
    return true;
}

bool websocket_deflate_choose(str value, struct websocket_deflate *d) {
    str one;
    while (value.n) {
        bool taken = false;
        str_cut(value, ',', &one, &value);
        if (!str_trim(one).n) continue;
        struct websocket_deflate of = {0};
        if (!offer(one, &taken, &of)) return false;
        if (taken && !d->on) *d = of;
    }
    return true;
}

/* ---- messages ---- */

struct websocket_inflater {
    struct websocket_inflater *next;
    struct coding_raw *raw;
};
enum { SPARE_MAX = 8, WINDOW = 15 /* a client with a smaller one is within it */ };
static _Thread_local struct websocket_inflater *spare;
static _Thread_local unsigned spare_count;

struct websocket_inflater *websocket_inflater_take(void) {
    struct websocket_inflater *i = spare;
    if (i) {
        spare = i->next;
        spare_count--;
        coding_raw_reset(i->raw);
        return i;
    }
    i = calloc(1, sizeof *i);
    ENSURE(i);
    i->raw = coding_raw_new(true, WINDOW, 0);
    ENSURE(coding_raw_bytes(i->raw) <= WEBSOCKET_INFLATER_BYTES);
    return i;
}

void websocket_inflater_give(struct websocket_inflater *i) {
    if (spare_count < SPARE_MAX) {
        i->next = spare;
        spare = i;
        spare_count++;
        return;
    }
    coding_raw_free(i->raw);
    free(i);
}

enum websocket_inflate websocket_inflate(struct websocket_inflater *i, const uint8_t *p, size_t n, struct buf *to,
                                         uint64_t most) {
    enum { STEP = 16 << 10 };
    str in = {p, n};
    for (;;) {
        size_t made;
        ENSURE(buf_reserve(to, STEP));
        enum coding_raw_said said = coding_raw_run(i->raw, false, &in, to->p + to->n, to->cap - to->n, &made);
        to->n += made;
        if (to->n > most) return WEBSOCKET_INFLATE_MUCH;
        if (said == CODING_RAW_BAD) return WEBSOCKET_INFLATE_BAD;
        if (said == CODING_RAW_END) coding_raw_reset(i->raw); /* what follows a last block begins anew (RFC 7692 §7.2.3.4) */
        if (said == CODING_RAW_DONE || (said == CODING_RAW_END && !in.n)) return WEBSOCKET_INFLATED;
        if (said == CODING_RAW_MORE && !made && to->cap > to->n) return WEBSOCKET_INFLATE_BAD; /* it goes no further */
    }
}

static _Thread_local struct coding_raw *deflaters[16]; /* by the bits of their windows */
static _Thread_local struct buf deflated;

bool websocket_deflate(str message, uint8_t bits, str *out) {
    enum { KEPT = 256 << 10, SMALL = 64, LEVEL = 2 };
    if (message.n < SMALL || message.n > UINT32_MAX / 4) return false; /* of less it would seldom be less */
    if (!deflaters[bits]) deflaters[bits] = coding_raw_new(false, bits, LEVEL);
    else coding_raw_reset(deflaters[bits]);
    if (deflated.cap > KEPT) buf_free(&deflated);
    deflated.n = 0;
    ENSURE(buf_reserve(&deflated, message.n));
    str in = message;
    size_t n;
    /* No more room than that: where it is used up, there is nothing to win. */
    if (coding_raw_run(deflaters[bits], true, &in, deflated.p, message.n, &n) != CODING_RAW_DONE || n < 4) return false;
    *out = (str){deflated.p, n - 4}; /* without the empty block's 00 00 FF FF (§7.2.1) */
    return true;
}
