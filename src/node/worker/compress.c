/* compress: see compress.h.
 *
 * 1. What says that it is not to be changed is not: no-transform, a content-encoding or a part of a body, digests of it.
 * 2. What is changed says so: content-encoding, vary, a weak etag (RFC 9110 §8.8.3: other bytes, the same meaning), no length of before. A 304 about a weak etag
 *    that was made here has the same one.
 * 3. Nothing of it where who asks does not take it: then an answer is as it was, and its vary, too. An answer as it is is good for everybody.
 */
#include "node/worker/compress.h"
#include "engine/engine.h"
#include "node/worker/handler_int.h"
#include <stdlib.h>

enum {
    AT_ONCE_MAX = 128 << 10, /* of a body that is given all at once: more would hold up others, and goes as it is */
    SLICES = 256 << 10,      /* in a turn, of all of a worker's together */
    SLICE_MIN = 4 << 10,
    SLICE_MAX = 32 << 10,
    ETAG_MAX = 256,
};

struct node_compress {
    struct net_filter filter;
    struct node_request *r;
    struct engine_share *share; /* that pays, while there is an encoder */
    struct coding_encoder *encoder;
    enum coding coding;
    struct net_field *fields; /* of the last head */
    char etag[ETAG_MAX + 3];
    size_t taken; /* in this turn */
};
static uint32_t encoders; /* of this worker */

static bool is(str name, const char *word) { return str_eq_nocase(name, str_c(word)); }

/* A list of words, with or without parameters. */
static bool lists(str list, const char *word) {
    for (str one; list.n;) {
        str_cut(list, ',', &one, &list);
        if (is(str_trim(one), word)) return true;
    }
    return false;
}

/* ---- what is worth it ---- */

static bool is_bound(const struct net_field *f) { /* to its bytes as they are */
    static const char *const names[] = {"content-range", "content-digest", "repr-digest", "digest", "content-md5"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (is(f->name, names[i])) return true;
    return (is(f->name, "content-encoding") && !is(f->value, "identity")) ||
           (is(f->name, "cache-control") && lists(f->value, "no-transform"));
}

static bool is_worth(const struct app_compress *c, str type) {
    for (uint32_t i = 0; i < c->types.n; i++)
        if (coding_type_is(type, c->types.p[i])) return true;
    return coding_type_worth(type);
}

static enum net_filter_says says_of(const struct app_compress *c, const struct net_answer *head, uint64_t bytes, bool at_once) {
    bool worth = false;
    if (head->status < 200 || head->status == 204 || head->status == 205 || head->status == 206 || head->status == 304)
        return NET_FILTER_NOT;
    for (uint32_t i = 0; i < head->fields_count; i++) {
        if (is_bound(&head->fields[i])) return NET_FILTER_NOT;
        worth |= is(head->fields[i].name, "content-type") && is_worth(c, head->fields[i].value);
    }
    if (!worth || bytes < (c->bytes_min ? c->bytes_min : APP_COMPRESS_MIN) || (at_once && bytes > AT_ONCE_MAX))
        return NET_FILTER_NOT;
    return bytes == NET_FILTER_UNKNOWN ? NET_FILTER_PERHAPS : NET_FILTER_IS;
}

/* What who asks takes of this; IDENTITY: nothing, or he wants a part. */
static enum coding coding_for(const struct net_request *rq) {
    struct coding_accept a = {0};
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        str name = rq->fields[i].name;
        if (name.n == 15 && is(name, "accept-encoding")) coding_accept_add(&a, rq->fields[i].value);
        else if (name.n == 5 && is(name, "range")) return CODING_IDENTITY; /* of the bytes as they are */
    }
    return a.said ? coding_choose(&a) : CODING_IDENTITY;
}

/* ---- a head that says so ---- */

static struct node_compress *of(struct net_filter *f) { return container_of(f, struct node_compress, filter); }

static str weak(struct node_compress *c, str etag) {
    if (str_starts(etag, STR("W/")) || etag.n > ETAG_MAX) return etag;
    memcpy(c->etag, "W/", 2);
    memcpy(c->etag + 2, etag.p, etag.n);
    return (str){(uint8_t *)c->etag, etag.n + 2};
}

static struct net_field *fields_anew(struct node_compress *c, const struct net_answer *head) {
    free(c->fields);
    c->fields = malloc((head->fields_count + 2) * sizeof *c->fields);
    ENSURE(c->fields);
    return c->fields;
}

static void mark(struct node_compress *c, struct net_answer *head) {
    struct net_field *to = fields_anew(c, head);
    uint32_t n = 0;
    bool varies = false;
    for (uint32_t i = 0; i < head->fields_count; i++) {
        struct net_field f = head->fields[i];
        if (is(f.name, "content-length") || is(f.name, "content-encoding") || is(f.name, "accept-ranges")) continue;
        if (is(f.name, "etag") && f.value.n > ETAG_MAX) continue;
        if (is(f.name, "etag")) f.value = weak(c, f.value);
        varies |= is(f.name, "vary") && (lists(f.value, "accept-encoding") || lists(f.value, "*"));
        to[n++] = f;
    }
    to[n++] = (struct net_field){STR("content-encoding"), str_c(coding_name(c->coding))};
    if (!varies) to[n++] = (struct net_field){STR("vary"), STR("accept-encoding")};
    head->fields = to;
    head->fields_count = n;
}

/* Who asks has of it what was compressed here: that is the one which is meant. */
static void mark_same(struct node_compress *c, struct net_answer *head) {
    const struct net_request *rq = net_exchange_request(c->r->exchange);
    for (uint32_t i = 0; i < head->fields_count; i++) {
        const struct net_field *f = &head->fields[i];
        if (!is(f->name, "etag") || f->value.n > ETAG_MAX || str_starts(f->value, STR("W/"))) continue;
        str etag = weak(c, f->value);
        for (uint32_t k = 0; k < rq->fields_count; k++) {
            if (!is(rq->fields[k].name, "if-none-match") || !lists(rq->fields[k].value, c->etag)) continue;
            struct net_field *to = fields_anew(c, head);
            memcpy(to, head->fields, head->fields_count * sizeof *to);
            to[i].value = etag;
            to[head->fields_count] = (struct net_field){STR("vary"), STR("accept-encoding")};
            head->fields = to;
            head->fields_count++;
            return;
        }
    }
}

/* ---- the filter ---- */

static void answer_left(struct net_filter *f) {
    struct node_compress *c = of(f);
    if (!c->encoder) return;
    coding_free(c->encoder);
    c->encoder = NULL;
    engine_unpay(c->share, coding_bytes(c->coding));
    encoders--;
}

/* False: the app has no memory for it. */
static bool start(struct node_compress *c) {
    c->share = c->r->app->share;
    if (!engine_pay(c->share, coding_bytes(c->coding))) return false;
    c->encoder = coding_new(c->coding);
    c->taken = 0;
    encoders++;
    return true;
}

static enum net_filter_says answer_begun(struct net_filter *f, struct net_answer *head, uint64_t bytes, bool at_once,
                                         bool no_body) {
    struct node_compress *c = of(f);
    answer_left(f);
    c->etag[ETAG_MAX + 2] = 0;
    memset(c->etag, 0, 3);
    if (head->status == 304) mark_same(c, head);
    enum net_filter_says says = says_of(&c->r->app->record.compress, head, bytes, at_once);
    if (says != NET_FILTER_IS || (!no_body && !start(c))) return says == NET_FILTER_PERHAPS ? says : NET_FILTER_NOT;
    mark(c, head);
    return NET_FILTER_IS;
}

static size_t filter_room(struct net_filter *f) {
    const struct node_compress *c = of(f);
    size_t slice = MAX(MIN((size_t)SLICES / MAX(encoders, 1u), (size_t)SLICE_MAX), (size_t)SLICE_MIN);
    return slice > c->taken ? slice - c->taken : 0;
}

static bool filter_run(struct net_filter *f, enum net_filter_op op, str *in, uint8_t *to, size_t room, size_t *made) {
    static const enum coding_op ops[] = {
        [NET_FILTER_MORE] = CODING_MORE, [NET_FILTER_FLUSH] = CODING_FLUSH, [NET_FILTER_END] = CODING_END};
    struct node_compress *c = of(f);
    size_t before = in->n;
    uint64_t began_ns = clock_mono_ns();
    bool done = coding_run(c->encoder, ops[op], in, to, room, made);
    c->taken += before - in->n;
    engine_share_charge(c->share, clock_mono_ns() - began_ns);
    return done;
}

static void filter_turn(struct net_filter *f) { of(f)->taken = 0; }

void node_compress_begin(struct node_request *r) {
    const struct app_compress *rules = &r->app->record.compress;
    enum coding coding = LIKELY(!rules->off) ? coding_for(net_exchange_request(r->exchange)) : CODING_IDENTITY;
    if (coding == CODING_IDENTITY) return;
    struct node_compress *c = calloc(1, sizeof *c);
    ENSURE(c);
    *c = (struct node_compress){.filter = {.begin = answer_begun,
                                           .room = filter_room,
                                           .run = filter_run,
                                           .turn = filter_turn,
                                           .stop = answer_left,
                                           .hold = rules->bytes_min ? rules->bytes_min : APP_COMPRESS_MIN},
                                .r = r,
                                .coding = coding};
    r->compress = c;
    net_exchange_filter(r->exchange, &c->filter);
}

void node_compress_forget(struct node_request *r) {
    struct node_compress *c = r->compress;
    if (!c) return;
    r->compress = NULL;
    free(c->fields);
    free(c);
}
