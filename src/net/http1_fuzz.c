/* http1_fuzz: any bytes as what a client sends: heads, bodies, the next request, until they end or are refused; what begins with "HTTP/" as
 * what an upstream answers to GET.
 *
 * What must hold: the same bytes give the same answers whole, byte by byte and in random pieces; nothing that reads in two ways is
 * accepted (checked with eyes of its own on the accepted bytes); what was accepted can be written back within its bounds. The
 * canary breaks the first of these. */
#include "base/fuzz.h"
#include "net/http1.h"

static const struct http1_limits limits = {
    .head_bytes_max = 4096, .target_bytes_max = 1024, .fields_max = 32, .body_bytes_max = 1 << 20};

static size_t count(const uint8_t *p, size_t n, const char *lower) {
    size_t found = 0, k = strlen(lower);
    for (size_t i = 0; i + k <= n; i++) {
        size_t j = 0;
        while (j < k && (p[i + j] | (p[i + j] >= 'A' && p[i + j] <= 'Z' ? 0x20 : 0)) == (uint8_t)lower[j]) j++;
        found += j == k;
    }
    return found;
}

static void check_lines(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ENSURE(p[i] != 0 && p[i] != 0x7f && (p[i] >= 0x20 || p[i] == '\t' || p[i] == '\r' || p[i] == '\n'));
        if (p[i] == '\n') ENSURE(i && p[i - 1] == '\r');
        if (p[i] == '\r') ENSURE(i + 1 < n && p[i + 1] == '\n');
        if (p[i] == '\n' && i + 1 < n) ENSURE(p[i + 1] != ' ' && p[i + 1] != '\t');
    }
    ENSURE(!count(p, n, "content-length :") && !count(p, n, "transfer-encoding :"));
}

static void check_accepted(const struct http1_head *h, const uint8_t *p) {
    size_t n = h->bytes;
    check_lines(p, n);
    size_t lengths = count(p, n, "\ncontent-length:"), codings = count(p, n, "\ntransfer-encoding:"),
           hosts = count(p, n, "\nhost:");
    ENSURE(lengths <= 1 && hosts <= 1 && !(lengths && codings));
    ENSURE(hosts || h->rq.version == NET_HTTP_1_0);
    ENSURE(h->chunked == (codings > 0) && h->rq.has_body == (lengths + codings > 0));
    for (uint32_t i = 0; i < h->rq.fields_count; i++) {
        const struct net_field *f = &h->rq.fields[i];
        ENSURE(f->name.p >= p && f->value.p + f->value.n <= p + n && net_field_name_ok(f->name) && net_field_value_ok(f->value));
    }
}

static void write_back(const struct http1_head *h) {
    struct net_head r = {.status = 200, .fields = h->rq.fields, .fields_count = h->rq.fields_count};
    struct http1_frame f = {.close = true, .date = "Sun, 06 Nov 1994 08:49:37 GMT"};
    if (net_head_check(&r) != ERR_OK) return;
    size_t bytes = http1_response_bytes(&r, &f);
    uint8_t *out = malloc(bytes);
    ENSURE(out && (size_t)(http1_response_write(&r, &f, out) - out) <= bytes);
    free(out);
}

/* A client's bytes as they come: those not consumed yet, each time in memory of their size. */
struct feed {
    const uint8_t *data;
    size_t size, at, end; /* consumed, arrived */
    uint64_t rng;         /* 0: all at once; 1: byte by byte */
    uint8_t *now;
};

static void more(struct feed *f) {
    size_t n = 1;
    if (!f->rng) n = f->size;
    else if (f->rng > 1) {
        f->rng = f->rng * 6364136223846793005u + 1442695040888963407u;
        n = 1 + (f->rng >> 33) % 40;
    }
    f->end = MIN(f->size, f->end + n);
}

static uint8_t *window(struct feed *f) {
    uint8_t *next = malloc(f->end - f->at + 1);
    memcpy(next, f->data + f->at, f->end - f->at);
    free(f->now);
    return f->now = next;
}

static bool run_body(struct feed *f, uint64_t length, uint64_t max, struct buf *log) {
    struct http1_body b;
    enum http1_result r = HTTP1_MORE;
    http1_body_init(&b, length, max);
    while (!http1_body_done(&b) && r == HTTP1_MORE) {
        str data;
        size_t skip;
        if (f->at == f->end) {
            if (f->end == f->size) break;
            more(f);
        }
        r = http1_body_next(&b, window(f), f->end - f->at, &skip, &data);
        f->at += skip;
        if (data.n) {
            buf_puts(log, data);
            http1_body_took(&b, data.n);
            f->at += data.n;
        }
    }
    for (uint32_t i = 0; i < b.trailers_count; i++)
        buf_printf(log, "|" STR_FMT "=" STR_FMT, STR_ARG(b.trailers[i].name), STR_ARG(b.trailers[i].value));
    buf_printf(log, "|%u|%u\n", b.status, http1_body_done(&b));
    ENSURE(!b.chunked || b.total <= max);
    bool on = http1_body_done(&b);
    http1_body_free(&b);
    return on;
}

static bool run_request(struct feed *f, struct buf *log) {
    static struct net_field fields[32];
    struct http1_head h;
    http1_head_init(&h, &limits, fields);
    for (;;) {
        enum http1_result r = http1_head_parse(&h, window(f), f->end - f->at);
        if (r == HTTP1_MORE) {
            if (f->end == f->size) {
                buf_puts(log, STR("more\n"));
                return false;
            }
            more(f);
            continue;
        }
        if (r == HTTP1_ERROR) {
            buf_printf(log, "%u\n", h.status);
            return false;
        }
        break;
    }
    buf_printf(log, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " %u %d %d\n", STR_ARG(h.rq.method), STR_ARG(h.rq.scheme),
               STR_ARG(h.rq.authority), STR_ARG(h.rq.path), h.rq.fields_count, h.keep_alive, h.expect_continue);
    for (uint32_t i = 0; i < h.rq.fields_count; i++)
        buf_printf(log, STR_FMT "=" STR_FMT "\n", STR_ARG(h.rq.fields[i].name), STR_ARG(h.rq.fields[i].value));
    if (!count(f->now, h.bytes, "?")) check_accepted(&h, f->now); /* absolute-form with a query rewrites its bytes */
    write_back(&h);
    f->at += h.bytes;
    return run_body(f, h.rq.content_length, limits.body_bytes_max, log);
}

static void check_answer(const struct http1_answer *a, const uint8_t *p, size_t n) {
    size_t lengths = count(p, n, "\ncontent-length:"), codings = count(p, n, "\ntransfer-encoding:");
    bool none = a->status < 200 || a->status == 204 || a->status == 304;
    check_lines(p, n);
    ENSURE(lengths <= 1 && !(lengths && codings) && a->status >= 100 && a->status <= 999);
    ENSURE(a->chunked == (codings && !none) && a->until_close == (!codings && !lengths && !none) && (!none || !a->length));
}

static bool run_answer(struct feed *f, struct buf *log) {
    static struct net_field fields[32];
    struct http1_answer a = {.fields = fields};
    size_t seen = 0;
    const char *why;
    enum http1_result r;
    while ((r = http1_answer_end(window(f), f->end - f->at, &seen, &why)) == HTTP1_MORE && f->end < f->size) more(f);
    if (r == HTTP1_DONE) r = http1_answer_parse(&a, (str){f->now, seen}, STR("GET"), ARRAY_COUNT(fields));
    buf_printf(log, "%d %d\n", r, r == HTTP1_ERROR ? 0 : a.status);
    if (r != HTTP1_DONE) return false;
    check_answer(&a, f->now, seen);
    for (uint32_t i = 0; i < a.fields_count; i++)
        buf_printf(log, STR_FMT "=" STR_FMT "\n", STR_ARG(fields[i].name), STR_ARG(fields[i].value));
    f->at += seen;
    return a.status < 200 || (!a.until_close && run_body(f, a.length, UINT64_MAX, log));
}

static void run(const uint8_t *data, size_t size, uint64_t rng, struct buf *log) {
    struct feed f = {.data = data, .size = size, .rng = rng};
    more(&f);
    bool answers = size >= 5 && !memcmp(data, "HTTP/", 5);
    while (answers ? run_answer(&f, log) : run_request(&f, log)) {}
    free(f.now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf whole = {0}, pieces = {0};
    run(data, size, 0, &whole);
    for (uint64_t rng = 1; rng <= 3; rng++) {
        pieces.n = 0;
        run(data, size, rng, &pieces);
        if (canary && pieces.n) pieces.p[0] ^= 1;
        ENSURE(str_eq(buf_str(&whole), buf_str(&pieces)));
    }
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
