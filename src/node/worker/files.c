/* files: static folders, served from packs (node/pack.h): no guest runs. What has a hash in its name, and is not there, was perhaps in an earlier
 * version, whose pages are still open: those packs are asked next, as parts of their own.
 *
 *   serve ─┬─> answered at once: what is small and in the kernel's memory, what has no body
 *          └─> SENDING ── room in the sink ──> read ──> written … ──> all of it: over
 *                 │          └─ not in the kernel's memory: a thread reads a piece, which the app is charged for
 *                 └─ the client is gone ──> over, once no thread reads for it
 *
 * 1. The loop never waits for a disk.
 * 2. A slow client holds its request and the pack, and a piece of a file only while a thread reads it.
 * 3. However many parts are asked for, no byte of a file is sent twice, and there are at most NODE_FILES_RANGES_MAX.
 */
#include "engine/engine.h"
#include "net/loop.h"
#include "node/worker/files.h"
#include "node/worker/handler_int.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIECE = 64 << 10 };

struct node_sending {
    struct node_request *r;
    struct node_pack *pack;
    uint64_t base; /* where the file begins in the pack */
    struct node_files_part part;
    uint32_t range;    /* which of them is sent */
    uint64_t at, left; /* of it, in the pack */
    struct buf words;  /* of several, what stands before each and behind the last */
    size_t word, ends[NODE_FILES_RANGES_MAX + 1];
    uint8_t *piece;    /* while a thread reads it, and until it is written; NULL: none */
    size_t n, written; /* of the piece; how much of it the sink took */
    ssize_t got;
    bool reading, gone, cold; /* cold: some of it was not in the kernel's memory */
    uint32_t number;          /* of the file in its pack */
};

/* ---- its fields ---- */

struct fields {
    struct net_field of[16];
    uint32_t n;
    char etag[NODE_FILES_ETAG], date[NODE_FILES_DATE], range[80], length[24], type[64];
};

static void add(struct fields *f, const char *name, str value) { f->of[f->n++] = (struct net_field){str_c(name), value}; }

/* What a file is sent as. */
struct form {
    str type, coding; /* coding empty: none */
    str cache;
    bool varies;
    uint64_t bytes; /* of the answer */
};

static size_t put_range(char *to, size_t n, const struct node_files_range *r, uint64_t of) {
    return (size_t)snprintf(to, n, "bytes %llu-%llu/%llu", (unsigned long long)r->from,
                            (unsigned long long)(r->from + r->bytes - 1), (unsigned long long)of);
}

static void describe(struct fields *to, const struct node_request *r, const struct node_pack_file *f, const struct form *form,
                     const struct node_files_part *part) {
    to->n = 0;
    add(to, "x-request-id", str_c(r->id));
    if (part->status != 404) {
        node_files_etag(f, to->etag);
        add(to, "etag", (str){(uint8_t *)to->etag, NODE_FILES_ETAG - 1});
        if (f->modified) {
            node_files_date(f->modified, to->date);
            add(to, "last-modified", (str){(uint8_t *)to->date, NODE_FILES_DATE - 1});
        }
    }
    add(to, "cache-control", form->cache);
    if (form->varies) add(to, "vary", STR("accept-encoding"));
    if (part->status == 304) return;
    if (part->n > 1) {
        snprintf(to->type, sizeof to->type, "multipart/byteranges; boundary=orlo%s", r->id);
        add(to, "content-type", str_c(to->type));
    } else add(to, "content-type", form->type);
    if (form->coding.n) add(to, "content-encoding", form->coding);
    if (part->status != 404) add(to, "accept-ranges", STR("bytes"));
    if (part->status == 206 && part->n == 1)
        add(to, "content-range", (str){(uint8_t *)to->range, put_range(to->range, sizeof to->range, part->of, f->bytes)});
    for (uint32_t i = 0; i < ARRAY_COUNT(node_page_safety); i++) to->of[to->n++] = node_page_safety[i];
    add(to, "content-length",
        (str){(uint8_t *)to->length, (size_t)snprintf(to->length, sizeof to->length, "%llu", (unsigned long long)form->bytes)});
}

/* ---- answers without a file ---- */

static void answer(struct node_request *r, uint16_t status, const char *name, str value) {
    struct net_field fields[] = {{STR("x-request-id"), str_c(r->id)},
                                 {STR("content-type"), STR("text/plain; charset=utf-8")},
                                 {STR("x-content-type-options"), STR("nosniff")},
                                 {str_c(name), value}};
    str text = str_c(net_status_text(status));
    err e = net_exchange_reply(r->exchange, status, fields, ARRAY_COUNT(fields), text);
    if (e != ERR_OK) log_event(LOG_DEBUG, "file-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    node_handler_over(r);
}

static void answer_page(struct node_request *r, enum node_refusal what) {
    node_refuse(r, what);
    node_handler_over(r);
}

/* To where it was asked for, and otherwise before the query. From there it is the same whatever route, or server before us, led here. */
static void lead_to(struct node_request *r, const char *before, str last, const char *behind) {
    struct buf to = {0};
    buf_puts(&to, str_c(before));
    buf_puts(&to, last);
    buf_puts(&to, str_c(behind));
    buf_puts(&to, str_sub(r->path, str_find(r->path, '?'), r->path.n));
    answer(r, 308, "location", buf_str(&to));
    buf_free(&to);
}

/* What the path ends with, without a last slash. */
static str last_segment(const struct node_request *r, bool slash) {
    size_t end = str_find(r->path, '?') - slash, from = end;
    while (from && r->path.p[from - 1] != '/') from--;
    return str_sub(r->path, from, end - from);
}

static void add_slash(struct node_request *r) { lead_to(r, "./", last_segment(r, false), "/"); }
static void drop_slash(struct node_request *r) { lead_to(r, "../", last_segment(r, true), ""); }
/* "/docs/about.html" → "./about", "/docs/index.html" → "./" */
static void drop_ending(struct node_request *r) {
    str name = last_segment(r, false);
    name.n -= 5;
    lead_to(r, "./", str_eqc(name, "index") ? (str){0} : name, "");
}

/* ---- sending ---- */

static void over(struct node_sending *s) {
    struct node_request *r = s->r;
    net_sink_notify(net_exchange_sink(r->exchange), NULL, NULL);
    if (s->piece) engine_unpay(r->app->share, PIECE);
    free(s->piece);
    buf_free(&s->words);
    node_pack_unref(s->pack);
    free(s);
    r->sending = NULL;
    r->handler->busy--;
    node_handler_over(r);
}

/* It will never be whole: whoever reads it sees that by its length. */
static void broken(struct node_sending *s, const char *why) {
    log_event(LOG_ERROR, "file-not-read", LF_CSTR("request", s->r->id), LF_CSTR("app", s->r->app->name), LF_CSTR("reason", why));
    net_sink_abort(net_exchange_sink(s->r->exchange), NET_INTERNAL_ERROR);
    over(s);
}

static ssize_t read_cached(int fd, uint8_t *to, size_t n, uint64_t at) {
    struct iovec v = {to, n};
    return preadv2(fd, &v, 1, (off_t)at, RWF_NOWAIT);
}

static void pump(void *arg);

static void read_piece(void *arg) { /* on a thread */
    struct node_sending *s = arg;
    do s->got = pread(node_pack_fd(s->pack), s->piece, s->n, (off_t)s->at);
    while (s->got < 0 && errno == EINTR);
}

static void piece_read(void *arg, bool ran) {
    struct node_sending *s = arg;
    s->reading = false;
    if (s->gone) {
        over(s);
        return;
    }
    if (!ran || s->got <= 0) {
        broken(s, ran && s->got == 0 ? "the pack is cut short" : "the disk says no");
        return;
    }
    s->n = (size_t)s->got;
    s->written = 0;
    pump(s);
}

static void have_it_read(struct node_sending *s) {
    struct node_app *app = s->r->app;
    if (!s->piece) {
        if (!engine_pay(app->share, PIECE)) {
            broken(s, "the app may not hold more memory");
            return;
        }
        s->piece = malloc(PIECE);
        ENSURE(s->piece);
    }
    s->cold = true;
    s->n = (size_t)MIN(s->left, (uint64_t)PIECE);
    s->written = s->n;
    s->reading = true;
    net_work_new(app->guest->loop, app->party, read_piece, piece_read, s);
}

/* True: so much was taken, more may be. */
static bool put(struct node_sending *s, const uint8_t *p, size_t n) {
    if (net_sink_write(net_exchange_sink(s->r->exchange), (str){p, n}) != ERR_OK) return false; /* gone: said soon */
    s->at += n, s->left -= n;
    return true;
}

static void drop_piece(struct node_sending *s) {
    engine_unpay(s->r->app->share, PIECE);
    free(s->piece);
    s->piece = NULL;
}

/* What stands before the range. False: there is no room, or nobody. */
static bool put_words(struct node_sending *s) {
    struct net_sink *sink = net_exchange_sink(s->r->exchange);
    while (s->word < s->ends[s->range]) {
        size_t n = MIN(net_sink_room(sink), s->ends[s->range] - s->word);
        if (!n || net_sink_write(sink, (str){s->words.p + s->word, n}) != ERR_OK) return false;
        s->word += n;
    }
    return true;
}

/* Without a copy, where the file was read from the kernel's memory within this second, so that the loop will hardly wait for a disk. */
static bool put_uncopied(struct node_sending *s) {
    enum { LEAST = 32 << 10 };
    if (s->piece || s->left < LEAST || !node_pack_is_warm(s->pack, s->number, net_loop_turn_ns(s->r->handler->guest->loop)))
        return false;
    size_t n = net_exchange_send_file(s->r->exchange, node_pack_fd(s->pack), s->at, (size_t)MIN(s->left, (uint64_t)1 << 30));
    s->at += n, s->left -= n;
    return n;
}

/* As much of the range as there is room for. False: the rest comes later. */
static bool put_range_bytes(struct node_sending *s) {
    static uint8_t block[PIECE];
    struct net_sink *sink = net_exchange_sink(s->r->exchange);
    while (s->left) {
        if (put_uncopied(s)) continue;
        size_t room = (size_t)MIN((uint64_t)MIN(net_sink_room(sink), (size_t)PIECE), s->left);
        if (!room) return false;
        if (s->piece) {
            size_t n = MIN(room, s->n - s->written);
            if (!put(s, s->piece + s->written, n)) return false;
            s->written += n;
            if (s->written == s->n) drop_piece(s);
            continue;
        }
        ssize_t got = read_cached(node_pack_fd(s->pack), block, room, s->at);
        if (got <= 0) {
            have_it_read(s);
            return false;
        }
        if (!put(s, block, (size_t)got)) return false;
    }
    if (!s->cold && s->part.n == 1) node_pack_warmed(s->pack, s->number, net_loop_turn_ns(s->r->handler->guest->loop));
    return true;
}

static void next_range(struct node_sending *s) {
    s->range++;
    if (s->range == s->part.n) return;
    s->at = s->base + s->part.of[s->range].from;
    s->left = s->part.of[s->range].bytes;
}

/* As much as there is room for. */
static void pump(void *arg) {
    struct node_sending *s = arg;
    if (s->reading || s->gone) return;
    while (s->range < s->part.n) {
        if (!put_words(s) || !put_range_bytes(s)) return; /* s may be over */
        next_range(s);
    }
    if (!put_words(s)) return;
    err e = net_sink_finish(net_exchange_sink(s->r->exchange), NULL, 0);
    if (e != ERR_OK) log_event(LOG_DEBUG, "file-not-sent", LF_CSTR("request", s->r->id), LF_CSTR("reason", err_text(e)));
    over(s);
}

void node_files_gone(struct node_request *r) {
    struct node_sending *s = r->sending;
    s->gone = true;
    if (!s->reading) over(s);
}

static struct node_sending *new_sending(struct node_request *r, const struct node_pack_file *f,
                                        const struct node_files_part *part) {
    struct node_sending *s = calloc(1, sizeof *s);
    ENSURE(s);
    *s = (struct node_sending){.r = r, .base = f->at, .part = *part, .at = f->at + part->of[0].from, .left = part->of[0].bytes};
    return s;
}

/* What stands between several parts (RFC 9110 §14.6). The boundary is of 64 random bits: no file has it but by chance. */
static uint64_t word_parts(struct node_sending *s, const struct node_pack_file *f, const struct form *form) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < s->part.n; i++) {
        char range[80];
        put_range(range, sizeof range, &s->part.of[i], f->bytes);
        buf_printf(&s->words, "%s--orlo%s\r\ncontent-type: " STR_FMT "\r\ncontent-range: %s\r\n\r\n", i ? "\r\n" : "", s->r->id,
                   STR_ARG(form->type), range);
        s->ends[i] = s->words.n;
        bytes += s->part.of[i].bytes;
    }
    buf_printf(&s->words, "\r\n--orlo%s--\r\n", s->r->id);
    s->ends[s->part.n] = s->words.n;
    return bytes + s->words.n;
}

static void send_bit_by_bit(struct node_request *r, const struct node_pack_file *f, struct form *form,
                            const struct node_files_part *part) {
    struct fields fields;
    struct node_sending *s = new_sending(r, f, part);
    if (part->n > 1) form->bytes = word_parts(s, f, form);
    describe(&fields, r, f, form, part);
    if (net_exchange_respond(r->exchange, part->status, fields.of, fields.n) != ERR_OK) {
        buf_free(&s->words);
        free(s);
        node_handler_over(r);
        return;
    }
    uint32_t count;
    s->pack = node_pack_ref(r->pack);
    s->number = (uint32_t)(f - node_pack_files(r->pack, &count));
    s->cold = part->of->bytes != f->bytes; /* what of it was not asked for may be */
    r->sending = s;
    r->handler->busy++;
    net_sink_notify(net_exchange_sink(r->exchange), pump, s);
    pump(s);
}

static void send(struct node_request *r, const struct node_pack_file *f, struct form *form, const struct node_files_part *part) {
    static uint8_t block[PIECE];
    struct fields fields;
    const struct node_files_range *of = part->of;
    bool body = part->status != 304 && !str_eq(net_exchange_request(r->exchange)->method, STR("HEAD"));
    bool small = !body || (part->n == 1 && of->bytes <= PIECE);
    form->bytes = part->n ? of->bytes : 0;
    if (!small || (body && of->bytes &&
                   read_cached(node_pack_fd(r->pack), block, (size_t)of->bytes, f->at + of->from) != (ssize_t)of->bytes)) {
        send_bit_by_bit(r, f, form, part);
        return;
    }
    describe(&fields, r, f, form, part);
    err e = net_exchange_reply(r->exchange, part->status, fields.of, fields.n, (str){block, body ? (size_t)of->bytes : 0});
    if (e != ERR_OK) log_event(LOG_DEBUG, "file-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    node_handler_over(r);
}

/* ---- what is asked for ---- */

static bool wants_page(const struct net_request *rq) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, STR("accept")))
            for (size_t k = 0; k + 9 <= rq->fields[i].value.n; k++)
                if (str_eq_nocase(str_sub(rq->fields[i].value, k, 9), STR("text/html"))) return true;
    return false;
}

static void send_found(struct node_request *r, const struct node_pack_file *f) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct form form = {.type = node_files_type(f->path), .cache = node_files_cache(r->part->files, f->path)};
    f = node_files_coded(r->pack, f, rq->fields, rq->fields_count, &form.coding, &form.varies);
    struct node_files_part part = node_files_part(f, str_eqc(rq->method, "GET"), rq->fields, rq->fields_count);
    char range[40];
    snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)f->bytes);
    if (part.status == 412) answer(r, 412, "cache-control", STR("no-store"));
    else if (part.status == 416) answer(r, 416, "content-range", str_c(range));
    else send(r, f, &form, &part);
}

/* What is not there is the folder's own page. */
static void send_not_here(struct node_request *r, const struct node_pack_file *f) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct form form = {.type = node_files_type(f->path), .cache = STR("no-cache")};
    f = node_files_coded(r->pack, f, rq->fields, rq->fields_count, &form.coding, &form.varies);
    send(r, f, &form, &(struct node_files_part){.status = 404, .n = 1, .of = {{0, f->bytes}}});
}

/* ---- what pages of earlier versions ask for ---- */

static uint32_t number_of(const struct node_part *part) {
    return (uint32_t)(part - part->app->parts) - part->app->record.functions.n;
}

/* Which part was asked: its pack is looked in, and the request is its folder's again. */
static struct node_part *take_pack(struct node_request *r) {
    struct node_part *asked = r->part;
    const struct app_record *of = &r->app->record;
    r->pack = asked->pack;
    if (asked->files->earlier_of) r->part = &r->app->parts[of->functions.n + asked->files->earlier_of - 1];
    return asked;
}

static void not_here(struct node_request *r) {
    const struct node_pack_file *f;
    str rest = str_sub(r->path, r->matched, r->path.n);
    r->pack = r->part->pack; /* it was there: it was asked first */
    (void)node_files_find(r->pack, r->part->files, rest, false, &f);
    if (f) send_not_here(r, f);
    else answer_page(r, NODE_REFUSE_NO_FILE);
}

/* The next of the earlier ones, if the name has a hash; it may have to be loaded first. */
static void ask_earlier(struct node_request *r, const struct node_part *asked) {
    const struct app_record *of = &r->app->record;
    uint32_t folder = number_of(r->part) + 1;
    uint64_t now = clock_wall_ns() / 1'000'000;
    size_t query = str_find(r->path, '?');
    bool hashed = query > r->matched && node_files_hashed(str_sub(r->path, r->matched + 1, query - r->matched - 1));
    for (uint32_t i = number_of(asked) + 1; hashed && i < of->files.n; i++) {
        if (of->files.p[i].earlier_of != folder || of->files.p[i].until_ms <= now) continue;
        r->part = &r->app->parts[of->functions.n + i];
        node_handler_again(r);
        return;
    }
    not_here(r);
}

void node_files_serve(struct node_request *r) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    const struct node_pack_file *f;
    if (str_eqc(rq->method, "OPTIONS")) {
        answer(r, 204, "allow", STR("GET, HEAD, OPTIONS"));
        return;
    }
    if (!str_eqc(rq->method, "GET") && !str_eqc(rq->method, "HEAD")) {
        answer(r, 405, "allow", STR("GET, HEAD, OPTIONS"));
        return;
    }
    str rest = str_sub(r->path, r->matched, r->path.n);
    bool bare = r->matched && (!rest.n || rest.p[0] == '?'); /* "/docs", which is the folder "/docs/" */
    const struct node_part *asked = take_pack(r);
    if (asked != r->part) { /* an earlier version's */
        if (!node_files_earlier(r->pack, rest, &f)) ask_earlier(r, asked);
        else send_found(r, f);
        return;
    }
    switch (node_files_find(r->pack, r->part->files, rest, wants_page(rq), &f)) {
    case NODE_FILES_BAD: answer_page(r, NODE_REFUSE_BAD_PATH); return;
    case NODE_FILES_SLASH: add_slash(r); return;
    case NODE_FILES_NO_SLASH: drop_slash(r); return;
    case NODE_FILES_CLEAN: drop_ending(r); return;
    case NODE_FILES_FILE:
        if (bare && r->part->files->index.n) add_slash(r);
        else send_found(r, f);
        return;
    case NODE_FILES_NOT_HERE: ask_earlier(r, asked); return;
    }
}
