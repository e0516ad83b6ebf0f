/* encode: see coding.h. Each coding is a row of functions over the library that its field has. Whatever they allocate is counted, and is no more than the
 * row of codings.def says. */
#include "coding/coding.h"
#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* contexts with an allocator of one's own; the library is in the program, so it cannot be another one */
#include <zstd.h>

struct coding_encoder {
    enum coding coding;
    uint64_t bytes; /* that it holds */
    union {
        BrotliEncoderState *br;
        ZSTD_CCtx *zstd;
        z_stream gzip;
    };
};

static const struct {
    int level, window;
    uint64_t bytes;
} rows[CODINGS] = {
#define X(name, said, level, window, bytes) [CODING_##name] = {level, window, bytes},
#include "coding/codings.def"
#undef X
};
uint64_t coding_bytes(enum coding c) { return rows[c].bytes; }

/* ---- memory ---- */

struct block {
    _Alignas(16) size_t n;
    uint8_t bytes[];
};

static void *take(void *arg, size_t n) {
    struct coding_encoder *e = arg;
    struct block *b = malloc(sizeof *b + n);
    ENSURE(b);
    e->bytes += n;
    ENSURE(e->bytes <= rows[e->coding].bytes);
    b->n = n;
    return b->bytes;
}

static void give(void *arg, void *p) {
    if (!p) return;
    struct coding_encoder *e = arg;
    struct block *b = container_of((uint8_t(*)[0])p, struct block, bytes);
    e->bytes -= b->n;
    free(b);
}

static void *take_array(void *arg, unsigned count, unsigned size) { return take(arg, (size_t)count * size); }

/* ---- br ---- */

static void br_new(struct coding_encoder *e) {
    e->br = BrotliEncoderCreateInstance(take, give, e);
    ENSURE(e->br);
    BrotliEncoderSetParameter(e->br, BROTLI_PARAM_QUALITY, (uint32_t)rows[CODING_BR].level);
    BrotliEncoderSetParameter(e->br, BROTLI_PARAM_LGWIN, (uint32_t)rows[CODING_BR].window);
    BrotliEncoderSetParameter(e->br, BROTLI_PARAM_LGBLOCK, 16);
}

static bool br_run(struct coding_encoder *e, enum coding_op op, str *in, uint8_t *to, size_t room, size_t *made) {
    static const BrotliEncoderOperation ops[] = {BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH};
    size_t left = room;
    BROTLI_BOOL ok = BrotliEncoderCompressStream(e->br, ops[op], &in->n, &in->p, &left, &to, NULL);
    ENSURE(ok);
    *made = room - left;
    return !in->n && !BrotliEncoderHasMoreOutput(e->br) && (op != CODING_END || BrotliEncoderIsFinished(e->br));
}

static void br_free(struct coding_encoder *e) { BrotliEncoderDestroyInstance(e->br); }

/* ---- zstd ---- */

static void zstd_new(struct coding_encoder *e) {
    e->zstd = ZSTD_createCCtx_advanced((ZSTD_customMem){take, give, e});
    ENSURE(e->zstd);
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, rows[CODING_ZSTD].level);
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_windowLog, rows[CODING_ZSTD].window); /* RFC 9659: no more than 8 MiB */
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_hashLog, 15);
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_chainLog, 15);
}

static bool zstd_run(struct coding_encoder *e, enum coding_op op, str *in, uint8_t *to, size_t room, size_t *made) {
    static const ZSTD_EndDirective ops[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer from = {in->p, in->n, 0};
    ZSTD_outBuffer out = {to, room, 0};
    size_t left = ZSTD_compressStream2(e->zstd, &out, &from, ops[op]);
    ENSURE(!ZSTD_isError(left));
    *in = str_sub(*in, from.pos, in->n);
    *made = out.pos;
    return !in->n && (op == CODING_MORE || !left);
}

static void zstd_free(struct coding_encoder *e) { ZSTD_freeCCtx(e->zstd); }

/* ---- gzip ---- */

static void gzip_new(struct coding_encoder *e) {
    e->gzip = (z_stream){.zalloc = take_array, .zfree = give, .opaque = e};
    int r = deflateInit2(&e->gzip, rows[CODING_GZIP].level, Z_DEFLATED, rows[CODING_GZIP].window + 16, 8, Z_DEFAULT_STRATEGY);
    ENSURE(r == Z_OK);
}

static bool gzip_run(struct coding_encoder *e, enum coding_op op, str *in, uint8_t *to, size_t room, size_t *made) {
    static const int ops[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *z = &e->gzip;
    uInt n = (uInt)MIN(in->n, (size_t)1 << 30), out = (uInt)MIN(room, (size_t)1 << 30);
    z->next_in = (Bytef *)(uintptr_t)in->p, z->avail_in = n;
    z->next_out = to, z->avail_out = out;
    int r = deflate(z, ops[op]);
    ENSURE(r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR); /* the last: there was nothing to do */
    *in = str_sub(*in, n - z->avail_in, in->n);
    *made = out - z->avail_out;
    return !in->n && (op == CODING_END ? r == Z_STREAM_END : z->avail_out > 0);
}

static void gzip_free(struct coding_encoder *e) { deflateEnd(&e->gzip); }

/* ---- all of them ---- */

static const struct {
    void (*make)(struct coding_encoder *e);
    bool (*run)(struct coding_encoder *e, enum coding_op op, str *in, uint8_t *to, size_t room, size_t *made);
    void (*free)(struct coding_encoder *e);
} kinds[CODINGS] = {[CODING_BR] = {br_new, br_run, br_free},
                    [CODING_ZSTD] = {zstd_new, zstd_run, zstd_free},
                    [CODING_GZIP] = {gzip_new, gzip_run, gzip_free}};

struct coding_encoder *coding_new(enum coding c) {
    ENSURE(c > CODING_IDENTITY && c < CODINGS);
    struct coding_encoder *e = calloc(1, sizeof *e);
    ENSURE(e);
    e->coding = c;
    kinds[c].make(e);
    return e;
}

void coding_free(struct coding_encoder *e) {
    if (!e) return;
    kinds[e->coding].free(e);
    ENSURE(!e->bytes);
    free(e);
}

bool coding_run(struct coding_encoder *e, enum coding_op op, str *in, uint8_t *to, size_t room, size_t *made) {
    return kinds[e->coding].run(e, op, in, to, room, made);
}
