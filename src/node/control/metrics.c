/* metrics: what workers and the supervisor have counted (meters.h), summed up.
 *
 * 1. Regions are mapped to be read, and hearsay: what is read is copied, counts of rows are bounded, names are cut and checked.
 * 2. A region is copied whole between two moves of its rows; one that moves on and on is taken as it was found: a sum may then be
 *    wrong for once.
 * 3. Apps are told apart by name: one that was deleted and deployed anew counts on.
 */
#include "node/control/metrics.h"
#include "node/control/control_int.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REGIONS_MAX = 4096, TRIES = 3 };
struct control_region {
    struct control_region *next;
    uint32_t slot;
    const struct node_meters_region *of;
};

bool node_metrics_add(struct control *c, uint32_t slot, int fd) {
    struct stat st;
    uint32_t n = 0;
    for (const struct control_region *r = c->regions; r; r = r->next) n++;
    bool sense = n < REGIONS_MAX && fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(struct node_meters_region);
    const struct node_meters_region *of = sense ? node_meters_open(fd, false) : NULL;
    close(fd);
    if (!of) return sense;
    struct control_region *r = calloc(1, sizeof *r);
    ENSURE(r);
    *r = (struct control_region){c->regions, slot, of};
    c->regions = r;
    return true;
}

/* ---- copies ---- */

struct copy {
    struct node_meters head;
    struct node_meters_app *apps; /* head.apps of them */
    struct node_meters_call *calls;
};

/* Word by word: the writer stores words (node_meter_add), so none is torn. */
static void copy_words(void *to, const void *from, size_t bytes) {
    uint64_t *t = to;
    const uint64_t *f = from;
    for (size_t i = 0; i < bytes / sizeof *t; i++) t[i] = __atomic_load_n(&f[i], __ATOMIC_RELAXED);
}
static_assert(sizeof(struct node_meters) % 8 == 0 && sizeof(struct node_meters_app) % 8 == 0 &&
                  sizeof(struct node_meters_call) % 8 == 0,
              "words");

static uint32_t bounded(const uint32_t *n, uint32_t max) {
    return MIN(MAX(__atomic_load_n(n, __ATOMIC_ACQUIRE), 1u), max); /* pairs with the row's release */
}

static void take_copy(arena *out, const struct node_meters_region *r, struct copy *to) {
    const uint64_t *moves = &r->head.moves;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = __atomic_load_n(moves, __ATOMIC_SEQ_CST);
        uint32_t calls = bounded(&r->head.calls, NODE_METERS_CALLS), apps = bounded(&r->head.apps, NODE_METERS_APPS);
        copy_words(&to->head, &r->head, sizeof to->head);
        to->head.apps = apps, to->head.calls = calls;
        to->apps = arena_array(out, struct node_meters_app, apps);
        to->calls = arena_array(out, struct node_meters_call, calls);
        copy_words(to->apps, r->apps, apps * sizeof *to->apps);
        copy_words(to->calls, r->calls, calls * sizeof *to->calls);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!(before & 1) && __atomic_load_n(moves, __ATOMIC_SEQ_CST) == before) return;
    }
}

/* ---- sums ---- */

static void add_words(void *to, const void *from, size_t bytes) {
    uint64_t *t = to;
    const uint64_t *f = from;
    for (size_t i = 0; i < bytes / sizeof *t; i++) t[i] += f[i];
}
#define ADD(to, from) add_words((to), (from), sizeof *(to))

/* What a worker calls something: text for a label, whatever it is. */
static str name_of(arena *out, const char name[NODE_METERS_NAME + 1]) {
    str s = arena_str(out, (str){(const uint8_t *)name, strnlen(name, NODE_METERS_NAME)});
    uint8_t *p = (uint8_t *)(uintptr_t)s.p;
    for (size_t i = 0; i < s.n; i++)
        if (p[i] < ' ' || p[i] == 0x7f) p[i] = '?';
    if (!str_is_utf8(s))
        for (size_t i = 0; i < s.n; i++)
            if (p[i] >= 0x80) p[i] = '?';
    return s;
}

struct summing {
    arena *out;
    struct control_sums *sums;
    struct map apps, calls; /* by name; by index of the app, version and name */
};

/* Row 0 is the app without a name. */
static uint32_t app_of(struct summing *s, const struct node_meters_app *a, bool first) {
    str name = first ? (str){0} : name_of(s->out, a->name);
    uint64_t at;
    if (map_get(&s->apps, name, &at)) return (uint32_t)at;
    at = s->sums->apps.n;
    vec_add(s->out, &s->sums->apps)->name = name;
    map_put(s->out, &s->apps, name, at);
    return (uint32_t)at;
}

static struct control_call *call_of(struct summing *s, uint32_t app, const struct node_meters_call *call) {
    str name = name_of(s->out, call->name);
    str key = arena_fmt(s->out, "%u %u " STR_FMT, app, call->version, STR_ARG(name));
    struct control_counts *of = &s->sums->apps.p[app];
    uint64_t at;
    if (map_get(&s->calls, key, &at)) return &of->calls.p[at];
    at = of->calls.n;
    map_put(s->out, &s->calls, key, at);
    struct control_call *c = vec_add(s->out, &of->calls);
    c->function = name;
    c->version = call->version;
    return c;
}

static void add_rows(struct summing *s, const struct copy *c) {
    uint32_t *at = arena_array(s->out, uint32_t, c->head.apps);
    for (uint32_t i = 0; i < c->head.apps; i++) {
        if (i && !c->apps[i].used) continue;
        at[i] = app_of(s, &c->apps[i], !i);
        struct control_counts *to = &s->sums->apps.p[at[i]];
        ADD(&to->counts, &c->apps[i].counts);
        ADD(&to->earlier, &c->apps[i].earlier);
        if (c->head.alive) ADD(&to->now, &c->apps[i].now);
    }
    ADD(&s->sums->apps.p[at[0]].earlier, &c->calls[0].counts);
    for (uint32_t i = 1; i < c->head.calls; i++) {
        const struct node_meters_call *call = &c->calls[i];
        if (!call->used) continue;
        uint32_t app = call->app < c->head.apps ? at[call->app] : at[0];
        ADD(app == at[0] ? &s->sums->apps.p[app].earlier : &call_of(s, app, call)->counts, &call->counts);
    }
}

static struct control_worker *worker_of(struct summing *s, uint32_t slot) {
    for (uint32_t i = 0; i < s->sums->workers.n; i++)
        if (s->sums->workers.p[i].slot == slot) return &s->sums->workers.p[i];
    struct control_worker *w = vec_add(s->out, &s->sums->workers);
    w->slot = slot;
    return w;
}

static void add_head(struct summing *s, uint32_t slot, const struct node_meters *m) {
    ADD(&s->sums->node, &m->node);
    if (m->alive) ADD(&s->sums->node_now, &m->node_now);
    if (slot >= NODE_METERS_COURIER) return;
    struct control_worker *w = worker_of(s, slot);
    ADD(&w->counts, &m->worker);
    if (m->alive) ADD(&w->now, &m->worker_now);
}

static int later_first(const void *a, const void *b) {
    const struct control_call *x = a, *y = b;
    if (x->version != y->version) return x->version < y->version ? 1 : -1;
    return str_cmp(x->function, y->function);
}

static int by_slot(const void *a, const void *b) {
    const struct control_worker *x = a, *y = b;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

void node_metrics_sum(const struct control *c, arena *out, struct control_sums *sums) {
    *sums = (struct control_sums){0};
    struct summing s = {.out = out, .sums = sums};
    app_of(&s, NULL, true);
    for (const struct control_region *r = c->regions; r; r = r->next) {
        struct copy copy;
        arena *scratch = arena_new(0);
        take_copy(scratch, r->of, &copy);
        add_head(&s, r->slot, &copy.head);
        add_rows(&s, &copy);
        arena_free(scratch);
    }
    ADD(&sums->node, &node_meters->node); /* control's own */
    for (uint32_t i = 0; i < sums->apps.n; i++) {
        struct control_counts *a = &sums->apps.p[i];
        a->all = a->earlier;
        for (uint32_t k = 0; k < a->calls.n; k++) ADD(&a->all, &a->calls.p[k].counts);
        if (a->calls.n) qsort(a->calls.p, a->calls.n, sizeof *a->calls.p, later_first);
    }
    if (sums->workers.n) qsort(sums->workers.p, sums->workers.n, sizeof *sums->workers.p, by_slot);
}

/* What the supervisor has counted, as it is. */
static const struct node_meters *supervisors(const struct control *c) {
    for (const struct control_region *r = c->regions; r; r = r->next)
        if (r->slot == UINT32_MAX) return &r->of->head;
    return NULL;
}

static uint64_t now_of(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }

bool node_metrics_ready(const struct control *c, struct buf *why) {
    const struct node_meters *m = supervisors(c);
    if (!m) buf_puts(why, STR("nothing is known of the workers yet\n"));
    else if (now_of(&m->node_now.draining)) buf_puts(why, STR("the node was told to stop, and finishes what is in progress\n"));
    else if (!now_of(&m->node_now.workers))
        buf_puts(why, STR("no worker serves: they are starting, or cannot start; the log says why\n"));
    return !why->n;
}

uint64_t node_metrics_began_ns(const struct control *c) {
    const struct node_meters *m = supervisors(c);
    return m ? now_of(&m->began_ns) : 0;
}

void node_metrics_close(struct control *c) {
    while (c->regions) {
        struct control_region *r = c->regions;
        c->regions = r->next;
        node_meters_close((struct node_meters_region *)(uintptr_t)r->of);
        free(r);
    }
    node_metrics_forget_labels(c);
}
