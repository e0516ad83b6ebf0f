/* websocket_codec: frames of RFC 6455 and messages made of them, the server's side; permessage-deflate (RFC 7692). Knows no socket and no clock.
 *
 *   bytes ──> head ──> payload ─┬─> control frame (125 bytes at most)
 *                               └─> unmasked ──[inflated]──> UTF-8 looked at ──> message, once its last fragment is there
 *
 * 1. A message that comes whole in one frame, within the bytes given, is shown where it stands: nothing is copied or held.
 * 2. What a frame announces costs nothing before it comes. What is held is at most message_bytes_max; text that cannot become UTF-8, and a frame that
 *    cannot be one, is an error with its first wrong byte.
 * 3. No compression context outlives a message, in either direction: who is silent holds no window. What is inflated is bounded, and so is by how much
 *    it may be more than what came.
 */
#ifndef ORLO_NET_WEBSOCKET_CODEC_H
#define ORLO_NET_WEBSOCKET_CODEC_H

#include "base/base.h"

enum websocket_op {
    WEBSOCKET_OP_CONTINUATION = 0,
    WEBSOCKET_OP_TEXT = 1,
    WEBSOCKET_OP_BINARY = 2,
    WEBSOCKET_OP_CLOSE = 8,
    WEBSOCKET_OP_PING = 9,
    WEBSOCKET_OP_PONG = 10
};
enum { /* RFC 6455 §7.4.1; those that are never sent: NO_CODE, ABNORMAL */
       WEBSOCKET_NORMAL = 1000,
       WEBSOCKET_GOING_AWAY = 1001,
       WEBSOCKET_PROTOCOL_ERROR = 1002,
       WEBSOCKET_NO_CODE = 1005,
       WEBSOCKET_ABNORMAL = 1006,
       WEBSOCKET_INVALID_DATA = 1007,
       WEBSOCKET_POLICY = 1008,
       WEBSOCKET_TOO_BIG = 1009,
       WEBSOCKET_INTERNAL_ERROR = 1011,
       WEBSOCKET_TRY_AGAIN = 1013,
};
enum { WEBSOCKET_CONTROL_BYTES_MAX = 125, WEBSOCKET_HEAD_BYTES_MAX = 10, WEBSOCKET_REASON_BYTES_MAX = 123 };

/* Of UTF-8 that comes in pieces. {0}: nothing came. */
struct websocket_utf8 {
    uint8_t need, least, most; /* bytes that a character lacks; between what the next of them is to be */
};
bool websocket_utf8_put(struct websocket_utf8 *u, const uint8_t *p, size_t n); /* false: it cannot become any */

struct websocket_inflater;
enum websocket_result {
    WEBSOCKET_MORE,    /* all that was given is used up */
    WEBSOCKET_MESSAGE, /* data, text */
    WEBSOCKET_PING,    /* data */
    WEBSOCKET_PONG,    /* data */
    WEBSOCKET_CLOSE,   /* code, which may be WEBSOCKET_NO_CODE; data: the reason. Nothing comes behind it */
    WEBSOCKET_ERROR,   /* code and why: how to close. Nothing more can be read */
};
struct websocket_in {
    uint64_t message_bytes_max;
    bool deflate; /* it was agreed */
    /* what was found: */
    str data; /* until the next call: in the bytes that were given, or here */
    bool text;
    uint16_t code;
    const char *why;
    /* private: */
    uint8_t head[14], have;
    uint8_t op; /* of the frame; a message's first one says `text` and `compressed` */
    bool in_frame, fin, in_message, compressed, shown, over;
    uint64_t left; /* of the frame's payload */
    uint64_t came; /* of a compressed message */
    uint8_t mask[4];
    uint8_t mask_at;
    struct websocket_utf8 utf8;
    struct websocket_inflater *inflater;
    struct buf message;
    uint8_t control[WEBSOCKET_CONTROL_BYTES_MAX], control_n;
};
/* Up to the next thing there is to say. p is written over. *used: bytes of it that are over; data may stand in them. */
enum websocket_result websocket_read(struct websocket_in *in, uint8_t *p, size_t n, size_t *used);
/* Bytes that a message costs which is not whole: what came of it, and who decompresses it. */
enum { WEBSOCKET_INFLATER_BYTES = 48 << 10 };
static inline size_t websocket_held(const struct websocket_in *in) {
    return in->message.cap + (in->inflater ? (size_t)WEBSOCKET_INFLATER_BYTES : 0);
}
void websocket_in_free(struct websocket_in *in);

/* A frame's head, of a server: nothing is masked. Bytes of it. */
size_t websocket_head(uint8_t to[WEBSOCKET_HEAD_BYTES_MAX], enum websocket_op op, bool fin, bool compressed, uint64_t payload);
bool websocket_code_ok(uint16_t code); /* may stand in a close frame */
/* A close frame's payload, code and as much of reason as fits. WEBSOCKET_NO_CODE: empty. Bytes of it. */
size_t websocket_close_payload(uint8_t to[WEBSOCKET_CONTROL_BYTES_MAX], uint16_t code, str reason);
void websocket_unmask(uint8_t *p, size_t n, const uint8_t mask[4], uint8_t at);

/* ---- the opening handshake ---- */

bool websocket_key_ok(str key); /* 16 bytes in base64 (§4.2.1) */
enum { WEBSOCKET_ACCEPT_BYTES = 28 };
void websocket_accept(str key, char to[WEBSOCKET_ACCEPT_BYTES + 1]); /* Sec-WebSocket-Accept */
/* Of Sec-WebSocket-Extensions. bits: of the window that we compress with; answer: what is said back, which lasts for ever. */
struct websocket_deflate {
    bool on;
    uint8_t bits;
    str answer;
};
/* The first offer in value that can be taken (RFC 7692 §5.1). False: value is no list of extensions (§9.1). */
bool websocket_deflate_choose(str value, struct websocket_deflate *d);

/* ---- permessage-deflate ---- */

/* The message, compressed; it is this thread's until the next call. False: that would not be less. */
bool websocket_deflate(str message, uint8_t bits, str *out);

/* Inside the codec: websocket_deflate.c. */
enum websocket_inflate { WEBSOCKET_INFLATED, WEBSOCKET_INFLATE_BAD, WEBSOCKET_INFLATE_MUCH };
struct websocket_inflater *websocket_inflater_take(void);
void websocket_inflater_give(struct websocket_inflater *z);
/* Appends what comes of p, within most bytes in all. */
enum websocket_inflate websocket_inflate(struct websocket_inflater *z, const uint8_t *p, size_t n, struct buf *to, uint64_t most);

#endif
