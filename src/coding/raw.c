/* raw: see coding.h. */
#include "coding/coding.h"
#include <stdlib.h>
#include <zlib.h>

struct coding_raw {
    z_stream z;
    bool inflates;
    uint64_t bytes, bytes_max;
};

static void *take(void *arg, unsigned count, unsigned size) {
    struct coding_raw *r = arg;
    size_t n = (size_t)count * size;
    r->bytes += n;
    ENSURE(r->bytes <= r->bytes_max);
    void *p = malloc(n);
    ENSURE(p);
    return p;
}
static void give(void *arg, void *p) { free(p); }

/* As zconf.h has it, and what their states are besides. */
static uint64_t bytes_of(bool inflates, unsigned window) {
    return inflates ? (1ull << window) + (16 << 10) : (1ull << (window + 2)) + (1ull << (CODING_RAW_MEMORY + 9)) + (16 << 10);
}

struct coding_raw *coding_raw_new(bool inflates, unsigned window, int level) {
    ENSURE(window >= 9 && window <= 15); /* zlib makes 9 of 8 */
    struct coding_raw *r = calloc(1, sizeof *r);
    ENSURE(r);
    *r = (struct coding_raw){.inflates = inflates, .bytes_max = bytes_of(inflates, window)};
    r->z.zalloc = take, r->z.zfree = give, r->z.opaque = r;
    int e = inflates ? inflateInit2(&r->z, -(int)window)
                     : deflateInit2(&r->z, level, Z_DEFLATED, -(int)window, CODING_RAW_MEMORY, Z_DEFAULT_STRATEGY);
    ENSURE(e == Z_OK);
    return r;
}

uint64_t coding_raw_bytes(const struct coding_raw *r) { return r->bytes_max; }

void coding_raw_reset(struct coding_raw *r) {
    int e = r->inflates ? inflateReset(&r->z) : deflateReset(&r->z);
    ENSURE(e == Z_OK);
}

void coding_raw_free(struct coding_raw *r) {
    if (!r) return;
    if (r->inflates) inflateEnd(&r->z);
    else deflateEnd(&r->z);
    free(r);
}

enum coding_raw_said coding_raw_run(struct coding_raw *r, bool flush, str *in, uint8_t *to, size_t room, size_t *made) {
    z_stream *z = &r->z;
    uInt n = (uInt)MIN(in->n, (size_t)1 << 30), out = (uInt)MIN(room, (size_t)1 << 30);
    z->next_in = (Bytef *)(uintptr_t)in->p, z->avail_in = n;
    z->next_out = to, z->avail_out = out;
    int e = r->inflates ? inflate(z, Z_SYNC_FLUSH) : deflate(z, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    *in = str_sub(*in, n - z->avail_in, in->n);
    *made = out - z->avail_out;
    if (e == Z_STREAM_END) return CODING_RAW_END;
    if (e != Z_OK && e != Z_BUF_ERROR) return CODING_RAW_BAD;
    return in->n || !z->avail_out ? CODING_RAW_MORE : CODING_RAW_DONE;
}
