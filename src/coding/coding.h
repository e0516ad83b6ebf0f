/* coding: content codings of HTTP (RFC 9110 §8.4.1) on what goes out: which one who asks takes, what is worth it, and encoders. No I/O. Nothing decodes what
 * clients upload: it stays as it is, so there is no bomb to be let in. Raw deflate, both ways, is for messages of a WebSocket (RFC 7692).
 *
 *   Accept-Encoding ──> coding_accept ──> the coding ──> coding_new ──> coding_run … (FLUSH …) ──> END
 *
 * 1. An encoder holds no more than coding_bytes says, whatever it is fed: who pays for it pays that before it is made.
 * 2. A run works for no longer than its input is large; what it holds back is bounded by that, too.
 */
#ifndef ORLO_CODING_H
#define ORLO_CODING_H

#include "base/base.h"

enum coding {
#define X(name, said, level, window, bytes) CODING_##name,
    CODING_IDENTITY,
#include "coding/codings.def"
#undef X
    CODINGS
};
const char *coding_name(enum coding c); /* "br"; of identity "" */

/* ---- what who asks takes (RFC 9110 §12.5.3) ---- */

struct coding_accept {
    uint16_t of[CODINGS], any; /* weights in thousandths, and one more; 0: it was not named */
    bool said;
};
/* One more Accept-Encoding field: several are one list. What is malformed in it is as if it were not there. */
void coding_accept_add(struct coding_accept *a, str value);
/* The best that it takes; of those that it likes as much ours comes first. IDENTITY where nothing else is wanted more, or nothing is taken at all: then an answer
 * as it is is better than none. */
enum coding coding_choose(const struct coding_accept *a);

/* ---- what is worth it ---- */

bool coding_type_worth(str content_type);           /* "text/html; charset=utf-8": of types that are not compressed already */
bool coding_type_is(str content_type, str pattern); /* "text/csv", "text/" and all below it */

/* ---- encoders ---- */

struct coding_encoder;
uint64_t coding_bytes(enum coding c); /* that one holds at most */
struct coding_encoder *coding_new(enum coding c);
void coding_free(struct coding_encoder *e); /* NULL is fine */
enum coding_op {
    CODING_MORE,
    CODING_FLUSH, /* what was put in can be decoded from what came out */
    CODING_END
};
/* Takes of in what it can and writes to to[0..room); *made: so many. True: in is used up, and what op asks for is done. Called again with the same op until
 * then; nothing after END. */
[[nodiscard]] bool coding_run(struct coding_encoder *e, enum coding_op op, str *in, uint8_t *to, size_t room, size_t *made);

/* ---- raw deflate (RFC 1951), both ways ---- */

enum { CODING_RAW_MEMORY = 7 }; /* zlib's memLevel */
enum coding_raw_said {
    CODING_RAW_DONE, /* in is used up, and all of it that can be is in to */
    CODING_RAW_MORE, /* to is full: call again with what is left of in */
    CODING_RAW_END,  /* of one that inflates: a final block has ended; what is left of in is behind it. Reset before more */
    CODING_RAW_BAD,  /* of one that inflates: it is none. Reset before more */
};
struct coding_raw;
/* window: 9 to 15. It holds 2^window bytes and 16 KiB at most where it inflates, four times that and 80 KiB where it deflates. */
struct coding_raw *coding_raw_new(bool inflates, unsigned window, int level);
uint64_t coding_raw_bytes(const struct coding_raw *r); /* that it holds at most */
void coding_raw_reset(struct coding_raw *r);           /* as if it were new: no context taken over */
void coding_raw_free(struct coding_raw *r);            /* NULL is fine */
/* Takes of in what it can and writes to to[0..room); *made: so many. flush (of one that deflates): what was put in can be inflated from what came out, which then
 * ends with 00 00 ff ff. However little room there is at a time, it makes as much: who inflates bounds what he takes. */
[[nodiscard]] enum coding_raw_said coding_raw_run(struct coding_raw *r, bool flush, str *in, uint8_t *to, size_t room,
                                                  size_t *made);

#endif
