/* Inside record.c and record_rules.c: what a record's bytes are made of. */
#ifndef ORLO_APP_RECORD_INT_H
#define ORLO_APP_RECORD_INT_H

#include "app/record.h"

static inline void write_u32(struct buf *to, uint64_t v) {
    ENSURE(v <= UINT32_MAX);
    buf_put(to, &(uint32_t){(uint32_t)v}, 4);
}

static inline void write_str(struct buf *to, str s) {
    write_u32(to, s.n);
    buf_puts(to, s);
}

static inline str read_str(struct rd *from, size_t most) {
    uint32_t n = rd_u32le(from);
    if (n > most) rd_fail(from, "a name is too long");
    return rd_bytes(from, n > most ? 0 : n);
}

static inline uint32_t read_count(struct rd *from, size_t least, uint32_t most) {
    uint32_t n = rd_u32le(from);
    if (n <= most && n <= rd_left(from) / least) return n;
    rd_fail(from, "more than there may be");
    return 0;
}

static inline void write_list(struct buf *to, const str *list, uint32_t n) {
    write_u32(to, n);
    for (uint32_t i = 0; i < n; i++) write_str(to, list[i]);
}

static inline bool plain(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] == 0x7f) return false;
    return true;
}

/* What is written into a header, or looked up in a folder. */
static inline str read_plain(struct rd *from, size_t most) {
    str s = read_str(from, most);
    if (!plain(s)) rd_fail(from, "a name with control characters");
    return s;
}

#define READ_LIST(out, from, list)                                                                                               \
    for (uint32_t n_ = read_count(from, 4, APP_CORS_MAX); n_ && !(from)->fail; n_--)                                             \
    vec_push(out, list, read_plain(from, APP_URL_MAX))

void app_rules_write(struct buf *to, const struct app_record *r);
void app_rules_read(arena *out, struct rd *from, struct app_record *r);
void app_cors_write(struct buf *to, const struct app_cors *c);
void app_cors_read(arena *out, struct rd *from, struct app_cors *c, bool first); /* first: as layouts before the tenth had it */

#endif
