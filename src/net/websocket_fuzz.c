/* websocket_fuzz: any bytes as what a client sends once it has its WebSocket; what begins with a byte above 0x7f as what it offers of extensions.
 *
 * What must hold: the same bytes say the same whole, byte by byte and in random pieces; nothing is larger than it may be, and text is UTF-8; what was
 * read can be written and read again, compressed, too. The canary breaks the first of these. */
#include "base/fuzz.h"
#include "net/websocket_codec.h"

enum { MESSAGE_MAX = 64 << 10, EVENTS = 4096 };

struct said {
    uint8_t kind;
    bool text;
    uint16_t code;
    uint64_t hash, n;
};
struct run {
    struct said said[EVENTS];
    size_t n;
    bool compressed; /* some message was: what is wrong first may be found in another order */
};

static void read_back(str message, bool text, bool squeeze) {
    static const uint8_t mask[4] = {1, 2, 3, 250};
    struct websocket_in in = {.message_bytes_max = MESSAGE_MAX, .deflate = true};
    uint8_t head[WEBSOCKET_HEAD_BYTES_MAX];
    str body = message, small;
    bool compressed = squeeze && websocket_deflate(message, 15, &small);
    if (compressed) body = small;
    size_t n = websocket_head(head, text ? WEBSOCKET_OP_TEXT : WEBSOCKET_OP_BINARY, true, compressed, body.n), used;
    uint8_t *frame = malloc(n + 4 + body.n);
    ENSURE(frame);
    memcpy(frame, head, n);
    frame[1] |= 0x80;
    memcpy(frame + n, mask, 4);
    if (body.n) memcpy(frame + n + 4, body.p, body.n);
    websocket_unmask(frame + n + 4, body.n, mask, 0);
    ENSURE(websocket_read(&in, frame, n + 4 + body.n, &used) == WEBSOCKET_MESSAGE);
    ENSURE(used == n + 4 + body.n && in.text == text && str_eq(in.data, message));
    websocket_in_free(&in);
    free(frame);
}

static void note(struct run *r, const struct websocket_in *in, enum websocket_result what, bool again) {
    bool content = what != WEBSOCKET_ERROR;
    if (content) ENSURE(in->data.n <= (what == WEBSOCKET_MESSAGE ? (size_t)MESSAGE_MAX : (size_t)WEBSOCKET_CONTROL_BYTES_MAX));
    if (what == WEBSOCKET_MESSAGE && in->text) ENSURE(str_is_utf8(in->data));
    if (what == WEBSOCKET_CLOSE) ENSURE(str_is_utf8(in->data) && (in->code == WEBSOCKET_NO_CODE || websocket_code_ok(in->code)));
    if (what == WEBSOCKET_ERROR)
        ENSURE(in->code == WEBSOCKET_PROTOCOL_ERROR || in->code == WEBSOCKET_INVALID_DATA || in->code == WEBSOCKET_TOO_BIG);
    if (again && what == WEBSOCKET_MESSAGE) {
        read_back(in->data, in->text, false);
        read_back(in->data, in->text, true);
    }
    if (r->n == EVENTS) return;
    r->said[r->n++] = (struct said){(uint8_t)what, what == WEBSOCKET_MESSAGE && in->text,
                                    what == WEBSOCKET_CLOSE || what == WEBSOCKET_ERROR ? in->code : 0,
                                    content ? str_hash(in->data) : 0, content ? in->data.n : 0};
}

/* rng 0: all at once; 1: byte by byte. */
static void run(struct run *r, const uint8_t *data, size_t size, uint64_t rng, bool deflate, bool again) {
    struct websocket_in in = {.message_bytes_max = MESSAGE_MAX, .deflate = deflate};
    *r = (struct run){.n = 0};
    for (size_t at = 0; at < size;) {
        size_t n = rng == 0 ? size - at : 1, used;
        if (rng > 1) {
            rng = rng * 6364136223846793005u + 1442695040888963407u;
            n = MIN(size - at, 1 + (size_t)(rng >> 33) % 40);
        }
        uint8_t *piece = malloc(n); /* of its size: a sanitizer sees the first byte too many */
        ENSURE(piece);
        memcpy(piece, data + at, n);
        if (canary && rng == 1 && at == 3) piece[0] ^= 1;
        for (size_t from = 0; from < n;) {
            enum websocket_result what = websocket_read(&in, piece + from, n - from, &used);
            ENSURE(used <= n - from);
            from += used;
            r->compressed |= in.compressed;
            if (what != WEBSOCKET_MORE) note(r, &in, what, again);
            else ENSURE(from == n);
        }
        free(piece);
        at += n;
    }
    websocket_in_free(&in);
}

static void compare(const struct run *a, const struct run *b) {
    ENSURE(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct said *x = &a->said[i], *y = &b->said[i];
        ENSURE(x->kind == y->kind);
        if (x->kind == WEBSOCKET_ERROR && a->compressed) continue;
        ENSURE(x->text == y->text && x->code == y->code && x->n == y->n && x->hash == y->hash);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct run whole, bytes, pieces;
    if (!size) return 0;
    if (data[0] > 0x7f) {
        struct websocket_deflate d = {0};
        bool ok = websocket_deflate_choose((str){data + 1, size - 1}, &d);
        ENSURE(!ok || !d.on || (d.bits >= 9 && d.bits <= 15 && str_starts(d.answer, STR("permessage-deflate"))));
        return 0;
    }
    bool deflate = data[0] & 1;
    run(&whole, data + 1, size - 1, 0, deflate, true);
    run(&bytes, data + 1, size - 1, 1, deflate, false);
    run(&pieces, data + 1, size - 1, size * 2 + 3, deflate, false);
    compare(&whole, &bytes);
    compare(&whole, &pieces);
    return 0;
}
