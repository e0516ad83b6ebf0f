/* cgi_head_fuzz: any bytes as what a CGI program writes.
 *
 * What must hold: the same bytes give the same answer whole, byte by byte and in random pieces; what is accepted is fit for an
 * HTTP response. The canary breaks the first of these. */
#include "base/fuzz.h"
#include "wasi/http/cgi_head.h"

enum { HEAD_BYTES_MAX = 512 };

static void put_answer(struct buf *log, enum wasi_cgi_result r, size_t used, const struct wasi_cgi_head *h, const char *why) {
    if (r == CGI_BAD) buf_printf(log, "bad: %s", why);
    if (r != CGI_DONE) return;
    ENSURE(h->status >= 200 && h->status <= 599 && used <= HEAD_BYTES_MAX);
    buf_printf(log, "%u after %zu:", h->status, used);
    for (uint32_t i = 0; i < h->fields.n; i++) {
        str name = h->fields.p[i].name, value = h->fields.p[i].value;
        ENSURE(net_field_name_ok(name) && net_field_value_ok(value) && !str_eq_nocase(name, STR("status")));
        buf_printf(log, " " STR_FMT "=" STR_FMT, STR_ARG(name), STR_ARG(value));
    }
}

/* rng 0: all at once; 1: byte by byte; else in random pieces. */
static void run(str text, uint64_t rng, struct buf *log) {
    arena *mem = arena_new(0);
    struct wasi_cgi_head h = {.bytes.max = HEAD_BYTES_MAX};
    enum wasi_cgi_result r = CGI_MORE;
    const char *why = NULL;
    size_t at = 0, used = 0;
    while (r == CGI_MORE && at < text.n) {
        size_t n = rng ? 1 : text.n - at;
        if (rng > 1) {
            rng = rng * 6364136223846793005u + 1442695040888963407u;
            n = MIN(1 + (rng >> 33) % 40, text.n - at);
        }
        uint8_t *piece = malloc(n);
        memcpy(piece, text.p + at, n);
        r = wasi_cgi_head_feed(&h, mem, (str){piece, n}, &used, &why);
        free(piece);
        ENSURE(r != CGI_DONE || used <= n);
        at += r == CGI_DONE ? used : n;
    }
    put_answer(log, r, at, &h, why);
    buf_free(&h.bytes);
    arena_free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf whole = {}, pieces = {};
    run((str){data, size}, 0, &whole);
    for (uint64_t rng = 1; rng <= 3; rng++) {
        pieces.n = 0;
        run((str){data, size}, rng, &pieces);
        if (canary && pieces.n) pieces.p[0] ^= 1;
        ENSURE(str_eq(buf_str(&whole), buf_str(&pieces)));
    }
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
