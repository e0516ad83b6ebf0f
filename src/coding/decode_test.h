/* What tests decode with. True: it was whole. */
#include "coding/coding.h"
#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static bool decode_br(str in, struct buf *to) {
    BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    BrotliDecoderResult r;
    do {
        uint8_t out[4096], *at = out;
        size_t left = sizeof out;
        r = BrotliDecoderDecompressStream(d, &in.n, &in.p, &left, &at, NULL);
        buf_put(to, out, sizeof out - left);
    } while (r == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
    BrotliDecoderDestroyInstance(d);
    return r == BROTLI_DECODER_RESULT_SUCCESS && !in.n;
}

static bool decode_zstd(str in, struct buf *to) {
    ZSTD_DStream *d = ZSTD_createDStream();
    ZSTD_inBuffer from = {in.p, in.n, 0};
    size_t r = 1;
    for (bool more = true; more;) {
        uint8_t out[4096];
        ZSTD_outBuffer o = {out, sizeof out, 0};
        r = ZSTD_decompressStream(d, &o, &from);
        if (ZSTD_isError(r)) break;
        buf_put(to, out, o.pos);
        more = r && (from.pos < from.size || o.pos == o.size);
    }
    ZSTD_freeDStream(d);
    return r == 0 && from.pos == from.size;
}

static bool decode_gzip(str in, struct buf *to) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};
    int r = inflateInit2(&z, 31);
    while (r == Z_OK) {
        uint8_t out[4096];
        z.next_out = out, z.avail_out = sizeof out;
        r = inflate(&z, Z_NO_FLUSH);
        buf_put(to, out, sizeof out - z.avail_out);
    }
    inflateEnd(&z);
    return r == Z_STREAM_END && !z.avail_in;
}

static bool decode(enum coding c, str in, struct buf *to) {
    switch (c) {
    case CODING_BR: return decode_br(in, to);
    case CODING_ZSTD: return decode_zstd(in, to);
    case CODING_GZIP: return decode_gzip(in, to);
    default: return false;
    }
}
