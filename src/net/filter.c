/* filter: see filter.h. */
#include "net/filter.h"
#include "net/exchange_int.h"
#include <stdlib.h>

enum { BLOCK = 32 << 10 };

struct net_filtering {
    struct net_filter *filter;
    struct net_tap *tap;
    bool held, on, watched, replaced;
    bool dirty; /* the filter may hold something that the client could use */
    arena *mem; /* of the head that is held */
    struct net_answer head;
    struct buf in;  /* of its body */
    uint64_t taken; /* of the body, as it was written */
};

static struct net_filtering *filtering_of(struct net_exchange *x) {
    if (!x->filtering) x->filtering = calloc(1, sizeof *x->filtering);
    ENSURE(x->filtering);
    return x->filtering;
}
void net_exchange_filter(struct net_exchange *x, struct net_filter *filter) { filtering_of(x)->filter = filter; }
void net_exchange_tap(struct net_exchange *x, struct net_tap *tap) { filtering_of(x)->tap = tap; }
bool net_exchange_replaced(const struct net_exchange *x) { return x->filtering && x->filtering->replaced; }

static void emit(struct net_exchange *x, str data) {
    struct net_filtering *f = x->filtering;
    x->out_bytes += data.n;
    if (f->watched) f->tap->data(f->tap, data);
    x->ops->put(x, data);
}

static void run(struct net_exchange *x, enum net_filter_op op, str in, struct buf *to) {
    static uint8_t block[BLOCK];
    struct net_filter *f = x->filtering->filter;
    for (bool done = false; !done;) {
        size_t n = 0;
        done = f->run(f, op, &in, block, sizeof block, &n);
        if (n && to) buf_put(to, block, n);
        else if (n) emit(x, (str){block, n});
    }
    x->filtering->dirty = op == NET_FILTER_MORE;
}

/* ---- the head ---- */

static err put_head(struct net_exchange *x, struct net_answer *a) {
    struct net_filtering *f = x->filtering;
    str body = {0};
    enum net_tap_says says = f->tap ? f->tap->head(f->tap, a, &body) : NET_TAP_NOT;
    f->watched = says == NET_TAP_WATCH;
    if (x->amend) x->amend(x->amend_arg, a);
    struct net_head h = {.status = a->status, .fields = a->fields, .fields_count = a->fields_count};
    TRY(net_head_check(&h));
    x->responded = true;
    x->status = a->status;
    x->events = h.events && x->left == UINT64_MAX;
    x->no_body = a->status == 205 || net_response_bodiless(x->rq->method, a->status); /* of what it has become */
    f->replaced = says == NET_TAP_REPLACE;
    if (f->replaced || (x->no_body && !str_eq(x->rq->method, STR("HEAD")))) x->left = UINT64_MAX;
    if (f->on && (x->no_body || f->replaced)) f->on = false, f->filter->stop(f->filter);
    x->ops->respond(x, &h);
    if (!f->replaced) return ERR_OK;
    x->finished = true;
    if (!x->no_body) x->out_bytes += body.n;
    x->ops->finish(x, x->no_body ? (str){0} : body, NULL, 0);
    return ERR_OK;
}

static void forget_held(struct net_filtering *f) {
    f->held = false;
    arena_free(f->mem);
    f->mem = NULL;
    buf_free(&f->in);
    f->in = (struct buf){0};
}

static void hold(struct net_exchange *x, const struct net_answer *a) {
    struct net_filtering *f = x->filtering;
    f->held = true;
    f->mem = arena_new(0);
    struct net_field *fields = arena_array(f->mem, struct net_field, a->fields_count + 1);
    for (uint32_t i = 0; i < a->fields_count; i++)
        fields[i] = (struct net_field){arena_str(f->mem, a->fields[i].name), arena_str(f->mem, a->fields[i].value)};
    f->head = (struct net_answer){a->status, fields, a->fields_count};
    x->responded = true;
    x->status = a->status;
    x->ops->later(x);
}

/* at_once: so many bytes are all there will be. */
err net_filtering_respond(struct net_exchange *x, struct net_answer *a, uint64_t bytes, bool at_once) {
    struct net_filtering *f = x->filtering;
    f->taken = 0;
    f->dirty = f->on = f->watched = false;
    if (!f->filter) return put_head(x, a);
    enum net_filter_says says = f->filter->begin(f->filter, a, bytes, at_once, x->no_body);
    if (says == NET_FILTER_PERHAPS && !x->no_body && !x->rq->has_body) { /* else a 100 may have to go before it */
        hold(x, a);
        return ERR_OK;
    }
    if (says == NET_FILTER_PERHAPS && !x->no_body) says = f->filter->begin(f->filter, a, NET_FILTER_LONG, false, false);
    f->on = says == NET_FILTER_IS && !x->no_body;
    err e = put_head(x, a);
    if (e != ERR_OK && f->on) f->on = false, f->filter->stop(f->filter);
    return e;
}

/* It is decided, by so many bytes. False: it could not be sent. */
static bool let_go(struct net_exchange *x, uint64_t bytes) {
    struct net_filtering *f = x->filtering;
    struct net_answer a = f->head;
    f->held = false;
    x->responded = false;
    f->on = f->filter->begin(f->filter, &a, bytes, bytes < NET_FILTER_LONG, false) == NET_FILTER_IS;
    if (put_head(x, &a) == ERR_OK) return true;
    if (f->on) f->on = false, f->filter->stop(f->filter);
    x->sink.error = NET_INTERNAL_ERROR; /* what is added to a head is ours, and well formed */
    x->ops->abort(x);
    return false;
}

/* What waited goes, and more is to come. */
static void let_go_on(struct net_exchange *x) {
    struct net_filtering *f = x->filtering;
    if (let_go(x, NET_FILTER_LONG) && !f->replaced && !x->no_body && f->in.n) {
        if (f->on) run(x, NET_FILTER_MORE, buf_str(&f->in), NULL);
        else emit(x, buf_str(&f->in));
    }
    forget_held(f);
}

/* ---- the body ---- */

size_t net_filtering_room(struct net_exchange *x, size_t room) {
    struct net_filtering *f = x->filtering;
    if (!f->on || !room) return room;
    size_t n = f->filter->room(f->filter);
    if (!n) x->ops->later(x); /* it has more in the next turn */
    return MIN(room, n);
}

/* data: as much as there is room for. ERR_LIMIT: it is more than may be; nothing was taken. */
err net_filtering_write(struct net_exchange *x, str data) {
    struct net_filtering *f = x->filtering;
    if (f->taken + data.n > x->out_max && !x->no_body) return ERR_LIMIT;
    f->taken += data.n;
    if (x->no_body) {
        x->out_bytes += data.n;
        return ERR_OK;
    }
    if (f->held) {
        buf_puts(&f->in, data);
        if (f->in.n >= f->filter->hold) let_go_on(x);
    } else if (f->on) {
        run(x, NET_FILTER_MORE, data, NULL);
        x->ops->later(x);
    } else {
        emit(x, data);
    }
    return ERR_OK;
}

/* last: all that it had, or its end. */
void net_filtering_finish(struct net_exchange *x, str last, const struct net_field *trailers, uint32_t count) {
    struct net_filtering *f = x->filtering;
    struct buf out = {0};
    if (f->held) {
        if (!let_go(x, f->in.n) || f->replaced) {
            forget_held(f);
            return;
        }
        last = buf_str(&f->in);
    }
    if (x->no_body) x->out_bytes += last.n, last = (str){0};
    if (f->on) {
        run(x, NET_FILTER_END, last, &out);
        f->on = false;
        f->filter->stop(f->filter);
        last = buf_str(&out);
    }
    x->out_bytes += last.n;
    x->finished = true;
    if (f->watched) {
        if (last.n) f->tap->data(f->tap, last);
        f->watched = false;
        f->tap->end(f->tap, true);
    }
    x->ops->finish(x, last, trailers, count);
    buf_free(&out);
    if (f->mem) forget_held(f);
}

void net_filtering_turn(struct net_exchange *x) {
    struct net_filtering *f = x->filtering;
    if (!x->live || x->closed || x->finished || x->aborted) return;
    if (f->held) let_go_on(x);
    if (f->on && f->dirty && !x->was_full) run(x, NET_FILTER_FLUSH, (str){0}, NULL);
    if (f->on) f->filter->turn(f->filter);
}

void net_filtering_told(struct net_exchange *x) {
    if (x->live && x->filtering->dirty) x->ops->later(x); /* unless more came, it is flushed */
}

/* ---- its end ---- */

bool net_filtering_touches(const struct net_exchange *x) {
    const struct net_filtering *f = x->filtering;
    return f->on || f->held || f->watched || f->replaced;
}
bool net_filtering_held(const struct net_exchange *x) { return x->filtering && x->filtering->held; }
void net_filtering_settle(struct net_exchange *x) {
    if (net_filtering_held(x)) let_go_on(x);
}

void net_filtering_forget(struct net_exchange *x) {
    struct net_filtering *f = x->filtering;
    if (f->mem) forget_held(f);
    if (f->on) f->on = false, f->filter->stop(f->filter);
    if (f->watched) f->watched = false, f->tap->end(f->tap, false);
    f->dirty = false;
}

void net_filtering_over(struct net_exchange *x) {
    struct net_filtering *f = x->filtering;
    net_filtering_forget(x);
    x->filtering = NULL;
    free(f);
}
