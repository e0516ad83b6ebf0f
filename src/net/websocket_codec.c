/* websocket_codec: see websocket_codec.h. */
#include "net/websocket_codec.h"
#include "crypto/crypto.h"
#include <stdlib.h>

/* ---- UTF-8 ---- */

/* After a first byte (Unicode 15, table 3-7). */
static bool begin_char(struct websocket_utf8 *u, uint8_t c) {
    u->least = 0x80, u->most = 0xBF;
    if (c >= 0xC2 && c <= 0xDF) {
        u->need = 1;
    } else if (c >= 0xE0 && c <= 0xEF) {
        u->need = 2;
        if (c == 0xE0) u->least = 0xA0;
        if (c == 0xED) u->most = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        u->need = 3;
        if (c == 0xF0) u->least = 0x90;
        if (c == 0xF4) u->most = 0x8F;
    } else {
        return false;
    }
    return true;
}

bool websocket_utf8_put(struct websocket_utf8 *u, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n;) {
        if (!u->need) {
            uint64_t eight;
            for (; n - i >= sizeof eight; i += sizeof eight) {
                memcpy(&eight, p + i, sizeof eight);
                if (eight & 0x8080808080808080u) break;
            }
            while (i < n && p[i] < 0x80) i++;
            if (i == n) return true;
            if (!begin_char(u, p[i++])) return false;
        } else {
            if (p[i] < u->least || p[i] > u->most) return false;
            u->need--;
            u->least = 0x80, u->most = 0xBF;
            i++;
        }
    }
    return true;
}

/* ---- what comes ---- */

void websocket_unmask(uint8_t *p, size_t n, const uint8_t mask[4], uint8_t at) {
    uint8_t turned[8];
    uint64_t key, eight;
    for (size_t i = 0; i < sizeof turned; i++) turned[i] = mask[(at + i) & 3];
    memcpy(&key, turned, sizeof key);
    size_t i = 0;
    for (; n - i >= sizeof key; i += sizeof key) {
        memcpy(&eight, p + i, sizeof eight);
        eight ^= key;
        memcpy(p + i, &eight, sizeof eight);
    }
    for (; i < n; i++) p[i] ^= turned[i & 7];
}

static enum websocket_result failed(struct websocket_in *in, uint16_t code, const char *why) {
    in->over = true;
    in->code = code;
    in->why = why;
    in->data = (str){0};
    return WEBSOCKET_ERROR;
}

static uint8_t head_bytes(const struct websocket_in *in) {
    uint8_t length = in->head[1] & 0x7F;
    return (uint8_t)(2 + (length == 127 ? 8 : length == 126 ? 2 : 0) + 4);
}

/* The payload's length; UINT64_MAX: it is not said in the fewest bytes, or more than there can be (§5.2). */
static uint64_t length_of(const struct websocket_in *in) {
    uint8_t said = in->head[1] & 0x7F;
    uint64_t n = 0;
    if (said < 126) return said;
    for (int i = 0; i < (said == 127 ? 8 : 2); i++) n = n << 8 | in->head[2 + i];
    return n < (said == 127 ? 65536u : 126u) || n >> 63 ? UINT64_MAX : n;
}

/* A frame's head is whole (§5.2, §5.4, §5.5). */
static const char *begin_frame(struct websocket_in *in) {
    uint8_t first = in->head[0], op = first & 15;
    bool control = op & 8, compressed = first & 0x40;
    in->fin = first & 0x80;
    in->op = op;
    in->left = length_of(in);
    if (first & 0x30 || (compressed && (!in->deflate || control || op == WEBSOCKET_OP_CONTINUATION)))
        return "a frame with a bit that means nothing here";
    if (op > WEBSOCKET_OP_PONG || (op > WEBSOCKET_OP_BINARY && op < WEBSOCKET_OP_CLOSE)) return "a frame of no known kind";
    if (!(in->head[1] & 0x80)) return "a frame of a client's that is not masked";
    if (in->left == UINT64_MAX) return "a frame's length is not said as it is to be";
    if (control && (!in->fin || in->left > WEBSOCKET_CONTROL_BYTES_MAX)) return "a control frame that is too long, or in pieces";
    if (!control && in->in_message != (op == WEBSOCKET_OP_CONTINUATION))
        return in->in_message ? "a message begins within another" : "a message goes on that has not begun";
    memcpy(in->mask, in->head + head_bytes(in) - 4, 4);
    in->mask_at = 0;
    in->control_n = 0;
    in->in_frame = true;
    if (control || op == WEBSOCKET_OP_CONTINUATION) return NULL;
    in->in_message = true;
    in->text = op == WEBSOCKET_OP_TEXT;
    in->compressed = compressed;
    in->came = 0;
    in->utf8 = (struct websocket_utf8){0};
    return NULL;
}

static enum websocket_result too_big(struct websocket_in *in) {
    return failed(in, WEBSOCKET_TOO_BIG, "a message is larger than it may be");
}

/* False: the head is not whole, or wrong: then *r is no WEBSOCKET_MORE. */
static bool take_head(struct websocket_in *in, const uint8_t *p, size_t n, size_t *used, enum websocket_result *r) {
    *r = WEBSOCKET_MORE;
    while (in->have < 2 || in->have < head_bytes(in)) {
        if (*used == n) return false;
        in->head[in->have++] = p[(*used)++];
        /* An unmasked one may have no more bytes than these: what is wrong is said now. */
        if (in->have == 2 && !(in->head[1] & 0x80)) {
            *r = failed(in, WEBSOCKET_PROTOCOL_ERROR, "a frame of a client's that is not masked");
            return false;
        }
    }
    const char *why = begin_frame(in);
    in->have = 0;
    if (why) *r = failed(in, WEBSOCKET_PROTOCOL_ERROR, why);
    else if (!(in->op & 8) && in->left > in->message_bytes_max - MIN(in->message.n, in->message_bytes_max) && !in->compressed)
        *r = too_big(in);
    return *r == WEBSOCKET_MORE;
}

static str take_payload(struct websocket_in *in, uint8_t *p, size_t n, size_t *used) {
    size_t k = MIN((uint64_t)(n - *used), in->left);
    uint8_t *at = p + *used;
    if (k) websocket_unmask(at, k, in->mask, in->mask_at);
    in->mask_at = (uint8_t)((in->mask_at + k) & 3);
    in->left -= k;
    *used += k;
    return (str){at, k};
}

static enum websocket_result take_close(struct websocket_in *in) {
    struct websocket_utf8 u = {0};
    in->over = true;
    in->code = WEBSOCKET_NO_CODE;
    in->data = (str){0};
    if (!in->control_n) return WEBSOCKET_CLOSE;
    if (in->control_n == 1) return failed(in, WEBSOCKET_PROTOCOL_ERROR, "a close frame with half a code");
    in->code = (uint16_t)(in->control[0] << 8 | in->control[1]);
    in->data = (str){in->control + 2, in->control_n - 2u};
    if (!websocket_code_ok(in->code)) return failed(in, WEBSOCKET_PROTOCOL_ERROR, "a close frame with a code that is none");
    if (!websocket_utf8_put(&u, in->data.p, in->data.n) || u.need)
        return failed(in, WEBSOCKET_INVALID_DATA, "the reason of a close frame is not UTF-8");
    return WEBSOCKET_CLOSE;
}

static enum websocket_result take_control(struct websocket_in *in, str some) {
    if (some.n) memcpy(in->control + in->control_n, some.p, some.n);
    in->control_n = (uint8_t)(in->control_n + some.n);
    if (in->left) return WEBSOCKET_MORE;
    in->in_frame = false;
    in->data = (str){in->control, in->control_n};
    if (in->op == WEBSOCKET_OP_CLOSE) return take_close(in);
    return in->op == WEBSOCKET_OP_PING ? WEBSOCKET_PING : WEBSOCKET_PONG;
}

static enum websocket_result not_utf8(struct websocket_in *in) {
    return failed(in, WEBSOCKET_INVALID_DATA, "a text message is not UTF-8");
}

static enum websocket_result inflate_some(struct websocket_in *in, str some) {
    size_t before = in->message.n;
    if (!in->inflater) in->inflater = websocket_inflater_take();
    in->came += some.n;
    switch (websocket_inflate(in->inflater, some.p, some.n, &in->message, in->message_bytes_max)) {
    case WEBSOCKET_INFLATE_BAD: return failed(in, WEBSOCKET_INVALID_DATA, "a message is not compressed as was agreed");
    case WEBSOCKET_INFLATE_MUCH: return too_big(in);
    default: break;
    }
    enum { FREE = 256 << 10, TIMES = 100 }; /* what is more than so much is at most so many times as much as came */
    if (in->message.n > FREE && in->message.n / TIMES > in->came) return too_big(in);
    if (in->text && !websocket_utf8_put(&in->utf8, in->message.p + before, in->message.n - before)) return not_utf8(in);
    return WEBSOCKET_MORE;
}

static enum websocket_result end_message(struct websocket_in *in) {
    static const uint8_t tail[] = {0, 0, 0xFF, 0xFF}; /* RFC 7692 §7.2.2 */
    if (in->compressed) {
        in->came += sizeof tail;
        enum websocket_result r = inflate_some(in, (str){tail, sizeof tail});
        if (r != WEBSOCKET_MORE) return r;
        websocket_inflater_give(in->inflater);
        in->inflater = NULL;
    }
    if (in->text && in->utf8.need) return not_utf8(in);
    in->in_message = false;
    in->data = buf_str(&in->message);
    in->shown = true;
    return WEBSOCKET_MESSAGE;
}

static enum websocket_result take_data(struct websocket_in *in, str some) {
    bool ends = !in->left && in->fin;
    if (!in->left) in->in_frame = false;
    if (in->compressed) {
        enum websocket_result r = some.n ? inflate_some(in, some) : WEBSOCKET_MORE;
        return r == WEBSOCKET_MORE && ends ? end_message(in) : r;
    }
    if (in->text && !websocket_utf8_put(&in->utf8, some.p, some.n)) return not_utf8(in);
    if (ends && !in->message.n) { /* it stands where it came */
        if (in->text && in->utf8.need) return not_utf8(in);
        in->in_message = false;
        in->data = some;
        return WEBSOCKET_MESSAGE;
    }
    if (some.n) buf_puts(&in->message, some);
    return ends ? end_message(in) : WEBSOCKET_MORE;
}

enum websocket_result websocket_read(struct websocket_in *in, uint8_t *p, size_t n, size_t *used) {
    enum websocket_result r = WEBSOCKET_MORE;
    *used = 0;
    if (in->shown) {
        buf_free(&in->message);
        in->shown = false;
    }
    if (in->over) {
        *used = n;
        return WEBSOCKET_MORE;
    }
    while (r == WEBSOCKET_MORE) {
        if (!in->in_frame && !take_head(in, p, n, used, &r)) break;
        if (in->left && *used == n) break;
        str some = take_payload(in, p, n, used);
        r = in->op & 8 ? take_control(in, some) : take_data(in, some);
    }
    return r;
}

void websocket_in_free(struct websocket_in *in) {
    buf_free(&in->message);
    if (in->inflater) websocket_inflater_give(in->inflater);
    in->inflater = NULL;
    in->over = true;
    in->shown = false;
}

/* ---- what goes ---- */

size_t websocket_head(uint8_t to[WEBSOCKET_HEAD_BYTES_MAX], enum websocket_op op, bool fin, bool compressed, uint64_t payload) {
    to[0] = (uint8_t)((fin ? 0x80 : 0) | (compressed ? 0x40 : 0) | op);
    if (payload < 126) {
        to[1] = (uint8_t)payload;
        return 2;
    }
    int n = payload < 65536 ? 2 : 8;
    to[1] = n == 2 ? 126 : 127;
    for (int i = 0; i < n; i++) to[2 + i] = (uint8_t)(payload >> (8 * (n - 1 - i)));
    return 2u + (unsigned)n;
}

/* §7.4.2, and what IANA has registered since. */
bool websocket_code_ok(uint16_t code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != WEBSOCKET_NO_CODE && code != WEBSOCKET_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

size_t websocket_close_payload(uint8_t to[WEBSOCKET_CONTROL_BYTES_MAX], uint16_t code, str reason) {
    if (code == WEBSOCKET_NO_CODE) return 0;
    reason = str_sub(reason, 0, WEBSOCKET_REASON_BYTES_MAX);
    reason.n = str_utf8_prefix(reason);
    to[0] = (uint8_t)(code >> 8), to[1] = (uint8_t)code;
    if (reason.n) memcpy(to + 2, reason.p, reason.n);
    return 2 + reason.n;
}

/* ---- the opening handshake ---- */

static int base64_digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool websocket_key_ok(str key) {
    enum { DIGITS = 22 }; /* of 16 bytes; the last has four bits that are nothing */
    if (key.n != DIGITS + 2 || key.p[DIGITS] != '=' || key.p[DIGITS + 1] != '=') return false;
    for (size_t i = 0; i < DIGITS; i++)
        if (base64_digit(key.p[i]) < 0) return false;
    return !(base64_digit(key.p[DIGITS - 1]) & 15);
}

void websocket_accept(str key, char to[WEBSOCKET_ACCEPT_BYTES + 1]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char with[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* §1.3 */
    uint8_t said[24 + sizeof with - 1], hash[CRYPTO_DIGEST_BYTES_MAX] = {0};
    ENSURE(key.n == 24);
    memcpy(said, key.p, 24);
    memcpy(said + 24, with, sizeof with - 1);
    ENSURE(crypto_digest(STR("sha1"), (str){said, sizeof said}, hash) == 20);
    for (int i = 0; i < WEBSOCKET_ACCEPT_BYTES / 4; i++) {
        const uint8_t *three = hash + 3 * i;
        uint32_t bits = (uint32_t)three[0] << 16 | (uint32_t)three[1] << 8 | three[2];
        for (int k = 0; k < 4; k++) to[4 * i + k] = digits[bits >> (18 - 6 * k) & 63];
    }
    to[WEBSOCKET_ACCEPT_BYTES - 1] = '=';
    to[WEBSOCKET_ACCEPT_BYTES] = 0;
}
