/* files: static folders, served from packs (node/pack.h): no guest runs.
 *
 *   serve ─┬─> answered at once: what is small and in the kernel's memory, what has no body
 *          └─> SENDING ── room in the sink ──> read ──> written … ──> all of it: over
 *                 │          └─ not in the kernel's memory: a thread reads a piece, which the app is charged for
 *                 └─ the client is gone ──> over, once no thread reads for it
 *
 * 1. The loop never waits for a disk.
 * 2. A slow client holds its request and the pack, and a piece of a file only while a thread reads it.
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
    uint64_t at, left;
    uint8_t *piece;    /* while a thread reads it, and until it is written; NULL: none */
    size_t n, written; /* of the piece; how much of it the sink took */
    ssize_t got;
    bool reading, gone;
};

/* ---- its fields ---- */

struct fields {
    struct net_field of[12];
    uint32_t n;
    char etag[NODE_FILES_ETAG], date[NODE_FILES_DATE], range[80], length[24];
};

static void add(struct fields *f, const char *name, str value) { f->of[f->n++] = (struct net_field){str_c(name), value}; }

/* What a file is sent as. */
struct form {
    str type, coding; /* empty: none */
    bool varies;
};

static void describe(struct fields *to, const struct node_request *r, const struct node_pack_file *f, const struct form *form,
                     const struct node_files_part *part) {
    to->n = 0;
    node_files_etag(f, to->etag);
    add(to, "x-request-id", str_c(r->id));
    add(to, "etag", str_c(to->etag));
    if (f->modified) {
        node_files_date(f->modified, to->date);
        add(to, "last-modified", str_c(to->date));
    }
    add(to, "cache-control", STR("public, max-age=0, must-revalidate"));
    if (form->varies) add(to, "vary", STR("accept-encoding"));
    if (part->status == 304) return;
    add(to, "content-type", form->type);
    if (form->coding.n) add(to, "content-encoding", form->coding);
    add(to, "x-content-type-options", STR("nosniff"));
    add(to, "accept-ranges", STR("bytes"));
    if (part->status == 206) {
        snprintf(to->range, sizeof to->range, "bytes %llu-%llu/%llu", (unsigned long long)part->from,
                 (unsigned long long)(part->from + part->bytes - 1), (unsigned long long)f->bytes);
        add(to, "content-range", str_c(to->range));
    }
    snprintf(to->length, sizeof to->length, "%llu", (unsigned long long)part->bytes);
    add(to, "content-length", str_c(to->length));
}

/* ---- answers without a file ---- */

static void answer(struct node_request *r, uint16_t status, const char *name, str value) {
    struct net_field fields[] = {
        {STR("x-request-id"), str_c(r->id)}, {STR("content-type"), STR("text/plain; charset=utf-8")}, {str_c(name), value}};
    str text = str_c(net_status_text(status));
    err e = net_exchange_reply(r->exchange, status, fields, ARRAY_COUNT(fields), text);
    if (e != ERR_OK) log_event(LOG_DEBUG, "file-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    node_handler_over(r);
}

static void answer_page(struct node_request *r, enum node_refusal what) {
    node_refuse(r, what);
    node_handler_over(r);
}

/* To where it was asked for, and a slash before the query. From there it is the same whatever route, or server before us, led here. */
static void add_slash(struct node_request *r) {
    size_t query = str_find(r->path, '?'), from = query;
    struct buf to = {0};
    while (from && r->path.p[from - 1] != '/') from--;
    buf_puts(&to, STR("./"));
    buf_puts(&to, str_sub(r->path, from, query - from));
    buf_putc(&to, '/');
    buf_puts(&to, str_sub(r->path, query, r->path.n));
    answer(r, 308, "location", buf_str(&to));
    buf_free(&to);
}

/* ---- sending ---- */

static void over(struct node_sending *s) {
    struct node_request *r = s->r;
    net_sink_notify(net_exchange_sink(r->exchange), NULL, NULL);
    if (s->piece) engine_unpay(r->app->share, PIECE);
    free(s->piece);
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

/* As much as there is room for. */
static void pump(void *arg) {
    static uint8_t block[PIECE];
    struct node_sending *s = arg;
    struct net_sink *sink = net_exchange_sink(s->r->exchange);
    while (s->left && !s->reading && !s->gone) {
        size_t room = (size_t)MIN((uint64_t)MIN(net_sink_room(sink), (size_t)PIECE), s->left);
        if (!room) return;
        if (s->piece) {
            size_t n = MIN(room, s->n - s->written);
            if (!put(s, s->piece + s->written, n)) return;
            s->written += n;
            if (s->written == s->n) drop_piece(s);
            continue;
        }
        ssize_t got = read_cached(node_pack_fd(s->pack), block, room, s->at);
        if (got <= 0) {
            have_it_read(s);
            return;
        }
        if (!put(s, block, (size_t)got)) return;
    }
    if (s->left || s->reading || s->gone) return;
    err e = net_sink_finish(sink, NULL, 0);
    if (e != ERR_OK) log_event(LOG_DEBUG, "file-not-sent", LF_CSTR("request", s->r->id), LF_CSTR("reason", err_text(e)));
    over(s);
}

void node_files_gone(struct node_request *r) {
    struct node_sending *s = r->sending;
    s->gone = true;
    if (!s->reading) over(s);
}

static void begin_sending(struct node_request *r, const struct node_pack_file *f, const struct node_files_part *part) {
    struct node_sending *s = calloc(1, sizeof *s);
    ENSURE(s);
    *s = (struct node_sending){.r = r, .pack = node_pack_ref(r->part->pack), .at = f->at + part->from, .left = part->bytes};
    r->sending = s;
    r->handler->busy++;
    net_sink_notify(net_exchange_sink(r->exchange), pump, s);
    pump(s);
}

static void send(struct node_request *r, const struct node_pack_file *f, const struct form *form,
                 const struct node_files_part *part) {
    static uint8_t block[PIECE];
    struct fields fields;
    describe(&fields, r, f, form, part);
    bool body = part->status != 304 && !str_eq(net_exchange_request(r->exchange)->method, STR("HEAD"));
    bool small = !body || part->bytes <= PIECE;
    if (small &&
        (!body || !part->bytes ||
         read_cached(node_pack_fd(r->part->pack), block, (size_t)part->bytes, f->at + part->from) == (ssize_t)part->bytes)) {
        err e = net_exchange_reply(r->exchange, part->status, fields.of, fields.n, (str){block, body ? (size_t)part->bytes : 0});
        if (e != ERR_OK) log_event(LOG_DEBUG, "file-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
        node_handler_over(r);
        return;
    }
    if (net_exchange_respond(r->exchange, part->status, fields.of, fields.n) == ERR_OK) begin_sending(r, f, part);
    else node_handler_over(r);
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
    struct form form = {.type = node_files_type(f->path)};
    f = node_files_coded(r->part->pack, f, rq->fields, rq->fields_count, &form.coding, &form.varies);
    struct node_files_part part = node_files_part(f, rq->fields, rq->fields_count);
    char range[40];
    snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)f->bytes);
    if (part.status == 412) answer(r, 412, "cache-control", STR("no-store"));
    else if (part.status == 416) answer(r, 416, "content-range", str_c(range));
    else send(r, f, &form, &part);
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
    switch (node_files_find(r->part->pack, r->part->files, rest, wants_page(rq), &f)) {
    case NODE_FILES_BAD: answer_page(r, NODE_REFUSE_BAD_PATH); return;
    case NODE_FILES_SLASH: add_slash(r); return;
    case NODE_FILES_FILE:
        if (bare && r->part->files->index.n) add_slash(r);
        else send_found(r, f);
        return;
    case NODE_FILES_NOT_HERE: break;
    }
    if (f) send(r, f, &(struct form){.type = node_files_type(f->path)}, &(struct node_files_part){404, 0, f->bytes});
    else answer_page(r, NODE_REFUSE_NO_FILE);
}
