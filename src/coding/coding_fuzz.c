/* Fuzz: the first byte says how the rest is cut and what is done with it. As Accept-Encoding, whole and cut into two fields: what is chosen was not refused.
 * As a body: what comes out decodes to what went in, flushed wherever that falls, and no encoder holds more than it may (encode.c's own check). */
#include "base/fuzz.h"
#include "coding/coding.h"
#include "coding/decode_test.h"

static void choose(const uint8_t *data, size_t size) {
    struct coding_accept a = {0}, two = {0};
    coding_accept_add(&a, (str){data, size});
    enum coding c = coding_choose(&a);
    ENSURE(c < CODINGS);
    ENSURE(c == CODING_IDENTITY || (a.of[c] ? a.of[c] > 1 : a.any > 1));
    size_t comma = str_find((str){data, size}, ',');
    coding_accept_add(&two, (str){data, comma});
    if (comma < size) coding_accept_add(&two, (str){data + comma + 1, size - comma - 1});
    ENSURE(coding_choose(&two) == c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    uint8_t how = data[0];
    data++, size--;
    choose(data, size);
    if (canary) how = (uint8_t)(how & ~3u);
    enum coding c = (enum coding)(CODING_IDENTITY + 1 + how % (CODINGS - 1));
    size_t piece = 1u + (how >> 2) * 7u;
    struct buf made = {0}, back = {0};
    struct coding_encoder *e = coding_new(c);
    uint8_t to[97];
    size_t n, turn = 0;
    for (size_t at = 0; at < size;) {
        str in = {data + at, MIN(piece, size - at)};
        enum coding_op op = turn++ % 3 == 2 ? CODING_FLUSH : CODING_MORE;
        at += in.n;
        for (bool done = false; !done; buf_put(&made, to, n)) done = coding_run(e, op, &in, to, sizeof to, &n);
        if (op == CODING_FLUSH) {
            back.n = 0;
            decode(c, buf_str(&made), &back);
            ENSURE(str_eq(buf_str(&back), (str){data, at}));
        }
    }
    str nothing = {0};
    for (bool done = false; !done; buf_put(&made, to, n)) done = coding_run(e, CODING_END, &nothing, to, sizeof to, &n);
    if (canary && made.n) made.p[made.n - 1] ^= 1, made.n--;
    back.n = 0;
    bool whole = decode(c, buf_str(&made), &back);
    ENSURE(whole && str_eq(buf_str(&back), (str){data, size}));
    coding_free(e);
    buf_free(&made), buf_free(&back);
    return 0;
}
