/* api_blobs: files on their way to control.
 *
 *   PUT ── open ──┬─> a piece is read as it comes ── written, hashed ─┐        (threads: blobs.c)
 *                 │   ^                                              │
 *                 │   └──────────────────────────────────────────────┘
 *                 └─ the body's end ── all of it: checked, synced ──> 201; a part: 202, and it goes on with the next PUT
 *
 * While a piece is written nothing is read, so that who sends faster than the disk takes is held up by his own connection.
 */
#include "node/control/api_int.h"
#include "node/control/blobs.h"
#include "node/control/store.h"
#include "node/pack.h"
#include <fcntl.h>

enum { SLOWEST_BYTES_S = 16 << 10 }; /* who is slower begins again where he was cut off */

static bool digest_of(str hex, uint8_t digest[APP_DIGEST_BYTES]) {
    if (hex.n != 2 * APP_DIGEST_BYTES) return false;
    for (size_t i = 0; i < hex.n; i++) {
        uint8_t c = hex.p[i], v = c >= '0' && c <= '9' ? c - '0' : c - 'a' + 10;
        digest[i / 2] = (uint8_t)(digest[i / 2] << 4 | v);
    }
    return true;
}

/* ---- what is here ---- */

struct missing {
    int folder; /* of packs */
    struct map packed, blobs;
    VEC(struct pack_name { uint8_t digest[APP_DIGEST_BYTES]; }) packs; /* of the app's versions */
};

static err list_packs(struct api_call *call, struct missing *m, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(call->control->db, &rows, d,
                 "select f.digest from files f join apps a on a.id = f.app where a.name = ? and f.kind = ? "
                 "group by f.digest order by max(f.version) desc",
                 DB_TEXT(call->params[API_PARAM_app]), DB_I64(CONTROL_PACK)));
    while (db_next(rows))
        if (db_str(rows, 0).n == APP_DIGEST_BYTES)
            memcpy(vec_add(call->mem, &m->packs)->digest, db_str(rows, 0).p, APP_DIGEST_BYTES);
    return db_end(rows, d);
}

/* On a thread: what is in a version's static folders need not come again. */
static void read_packs(void *arg) {
    struct api_call *call = arg;
    struct missing *m = call->state;
    for (uint32_t i = 0, known = 0; i < m->packs.n && known < CONTROL_PACKED_MAX; i++) {
        char name[NODE_DIGEST_NAME_BYTES];
        struct node_pack *pack;
        struct diag unused = DIAG_INIT;
        uint32_t count;
        node_digest_name(m->packs.p[i].digest, name);
        int fd = openat(m->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || node_pack_open(fd, m->packs.p[i].digest, &pack, &unused) != ERR_OK) continue;
        const struct node_pack_file *files = node_pack_files(pack, &count);
        known += count;
        for (uint32_t k = 0; k < count; k++)
            map_put(call->mem, &m->packed, arena_str(call->mem, (str){files[k].digest, sizeof files[k].digest}), 1);
        node_pack_unref(pack);
    }
}

static void answer_missing(struct api_call *call) {
    struct missing *m = call->state;
    uint64_t at;
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "missing");
    JSON_EACH(item, node_api_member(call, "digests")) {
        uint8_t digest[APP_DIGEST_BYTES] = {0};
        ENSURE(digest_of(json_str(item), digest));
        str key = {digest, sizeof digest};
        const struct control_blob *b = map_get(&m->blobs, key, &at) ? (const struct control_blob *)(uintptr_t)at : NULL;
        if ((b && b->whole) || map_get(&m->packed, key, &at)) continue;
        json_put_object(&call->w, NULL);
        json_put_str(&call->w, "digest", json_str(item));
        json_put_u64(&call->w, "offset", b ? b->bytes : 0);
        json_put_end(&call->w);
    }
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

static void packs_read(void *arg, bool ran) {
    struct api_call *call = arg;
    struct missing *m = call->state;
    call->working = false;
    for (const struct control_blob *b = call->control->blobs; b; b = b->next)
        if (str_eqc(call->params[API_PARAM_app], b->app))
            map_put(call->mem, &m->blobs, (str){b->digest, sizeof b->digest}, (uint64_t)(uintptr_t)b);
    answer_missing(call);
}

void node_api_missing(struct api_call *call) {
    struct missing *m = arena_make(call->mem, struct missing);
    struct diag d = DIAG_INIT;
    *m = (struct missing){.folder = call->control->state.packs};
    call->state = m;
    err e = list_packs(call, m, &d);
    if (e != ERR_OK) {
        node_api_fail(call, e, &d);
        return;
    }
    call->working = true;
    net_work_new(call->control->loop, NULL, read_packs, packs_read, call);
}

/* As the IETF's resumable uploads have them. */
static void answer_offset(struct api_call *call, uint16_t status, uint64_t offset, bool whole) {
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)offset);
    const struct net_field fields[] = {{STR("upload-offset"), str_c(number)},
                                       {STR("upload-complete"), whole ? STR("?1") : STR("?0")}};
    node_api_reply_with(call, status, fields, ARRAY_COUNT(fields));
}

void node_api_blob(struct api_call *call) {
    uint8_t digest[APP_DIGEST_BYTES] = {0};
    ENSURE(digest_of(call->params[API_PARAM_digest], digest));
    const struct control_blob *b = node_blob_find(call->control, call->params[API_PARAM_app], digest);
    if (b) answer_offset(call, 200, b->bytes, b->whole);
    else node_api_fail(call, ERR_NOT_FOUND, NULL);
}

/* ---- uploads ---- */

struct upload {
    struct control_upload *to; /* NULL: it has left */
    uint64_t left;             /* of the body */
    bool ready, ends;
};

static void answer_failed(struct api_call *call, err e, const struct diag *d) {
    struct api_problem p = node_api_problem(e, d);
    if (e == ERR_LIMIT) p.status = 413;
    if (e == ERR_BUSY) p.retry_s = 1;
    if (call->gone) node_api_end(call);
    else node_api_refuse(call, &p);
}

static void leave(struct api_call *call) {
    struct upload *u = call->state;
    if (u->to) node_upload_leave(u->to);
    u->to = NULL;
}

static void read_piece(struct api_call *call);

static void on_more(void *arg) {
    struct api_call *call = arg;
    struct upload *u = call->state;
    if (u->ready) read_piece(call);
}

static void cut_off(struct api_call *call) {
    uint16_t status = net_exchange_body_status(call->x);
    leave(call);
    if (call->gone || !status) node_api_end(call);
    else
        node_api_refuse(call, &(struct api_problem){.status = status,
                                                    .code = "malformed",
                                                    .message = STR("the body did not arrive as HTTP has it, or not in time")});
}

static void read_piece(struct api_call *call) {
    struct upload *u = call->state;
    struct net_source *source = net_exchange_source(call->x);
    enum net_flow flow = NET_FLOW_WAIT;
    str data;
    while (u->to->piece.n < UPLOAD_PIECE_BYTES && (flow = net_source_peek(source, &data)) == NET_FLOW_DATA) {
        size_t n = MIN(data.n, UPLOAD_PIECE_BYTES - u->to->piece.n);
        ENSURE(n <= u->left); /* a body of a declared length */
        buf_put(&u->to->piece, data.p, n);
        net_source_consume(source, n);
        u->left -= n;
    }
    if (flow == NET_FLOW_FAILED) {
        cut_off(call);
    } else if (u->to->piece.n == UPLOAD_PIECE_BYTES || (u->to->piece.n && flow == NET_FLOW_END)) {
        u->ready = false;
        node_upload_put(u->to);
    } else if (flow == NET_FLOW_END) {
        u->ready = false, u->ends = true;
        node_upload_finish(u->to);
    } /* else what has come waits for more, or for the end */
}

static void on_done(void *arg, err e, const struct diag *d) {
    struct api_call *call = arg;
    struct upload *u = call->state;
    uint64_t offset = u->to->from + u->to->written;
    bool whole = offset == u->to->total;
    if (u->ends) {
        u->to = NULL;
        if (e != ERR_OK) answer_failed(call, e, d);
        else answer_offset(call, whole ? 201 : 202, offset, whole);
    } else if (e != ERR_OK) {
        leave(call);
        answer_failed(call, e, d);
    } else {
        u->ready = true;
        read_piece(call);
    }
}

static void on_taken_over(void *arg) {
    struct api_call *call = arg;
    struct diag d = DIAG_INIT;
    ((struct upload *)call->state)->to = NULL;
    diag_set(&d, ERR_BUSY, DIAG_NOWHERE, "somebody else goes on with this upload");
    answer_failed(call, ERR_BUSY, &d);
}

/* The client is gone, or its time is over. What is being ended is: it may be whole. */
static void on_gone(struct api_call *call) {
    struct upload *u = call->state;
    if (u->ends) return;
    leave(call);
    if (call->gone) node_api_end(call);
    else
        node_api_refuse(call, &(struct api_problem){.status = 408,
                                                    .code = "timeout",
                                                    .message = STR("this took too long; go on from where it was cut off")});
}

/* "bytes 100-199/200". False: it is none. */
static bool parse_range(str value, uint64_t *from, uint64_t *to, uint64_t *total) {
    str unit, rest, first, last, all;
    return str_cut(value, ' ', &unit, &rest) && str_eq_nocase(unit, STR("bytes")) && str_cut(rest, '/', &rest, &all) &&
           str_cut(rest, '-', &first, &last) && str_to_u64(first, from) && str_to_u64(last, to) && str_to_u64(all, total) &&
           *from <= *to && *to < *total;
}

/* NULL: all is well. */
static const char *read_range(const struct net_request *rq, struct control_upload_want *want) {
    uint64_t to = 0;
    want->total = rq->content_length;
    if (!rq->has_body || rq->content_length == UINT64_MAX) return "a piece of a file needs its content-length";
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        if (!str_eq_nocase(rq->fields[i].name, STR("content-range"))) continue;
        if (!parse_range(rq->fields[i].value, &want->from, &to, &want->total)) return "content-range is to be: bytes FROM-TO/ALL";
        if (to - want->from + 1 != rq->content_length) return "content-range and content-length disagree";
    }
    return NULL;
}

void node_api_upload(struct api_call *call) {
    uint8_t digest[APP_DIGEST_BYTES] = {0};
    struct diag d = DIAG_INIT;
    const struct net_request *rq = net_exchange_request(call->x);
    struct control_upload_want want = {
        .app = call->params[API_PARAM_app], .digest = digest, .fn = on_done, .taken_over = on_taken_over, .arg = call};
    ENSURE(digest_of(call->params[API_PARAM_digest], digest));
    const char *wrong = read_range(rq, &want);
    if (wrong) {
        node_api_refuse(call,
                        &(struct api_problem){.status = rq->has_body ? 400 : 411, .code = "invalid", .message = str_c(wrong)});
        return;
    }
    const struct control_blob *b = node_blob_find(call->control, want.app, digest);
    if (b && b->whole) {
        answer_offset(call, 201, b->bytes, true);
        return;
    }
    struct upload *u = arena_make(call->mem, struct upload);
    *u = (struct upload){.left = rq->content_length};
    call->state = u;
    uint64_t ms = 60'000 + rq->content_length / SLOWEST_BYTES_S * 1000;
    err e = net_exchange_limits(call->x, (uint32_t)MIN(ms, (uint64_t)NET_NO_LIMIT - 1), MAX(rq->content_length, (uint64_t)1));
    if (e == ERR_OK) e = node_upload_begin(call->control, &want, &u->to, &d);
    if (e != ERR_OK) {
        if (e == ERR_INVALID) e = ERR_BUSY; /* 409: of what is here it knows better than the caller */
        answer_failed(call, e, &d);
        return;
    }
    call->on_gone = on_gone;
    net_source_notify(net_exchange_source(call->x), on_more, call);
}
