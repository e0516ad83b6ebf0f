/* metrics_text: the sums (metrics.c) in the words of Prometheus: one family after another, each with its samples.
 *
 *   app ── asked for ──> among the first labels_max, or busier than one of those ──> a label of its own
 *     └── else, or when it is not any more ──> counted under (other)
 *
 * 1. The number of series is bounded: so many apps have a label, so many of their functions and versions are shown.
 * 2. Nothing is lost, and nothing is counted twice: whatever is counted makes exactly one series greater. So an app that gets a label starts
 *    there at 0 (`base`: what was counted under (other) before), and what one had counted under its label when it lost it does not come back
 *    under (other) (`shown`). Sums of increases are right whatever labels did in between, and no counter goes back.
 */
#include "node/control/metrics.h"
#include "node/control/acme.h"
#include "node/control/control_int.h"
#include <stdlib.h>

const char node_metrics_type[] = "text/plain; version=0.0.4; charset=utf-8",
           node_metrics_type_open[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

bool node_metrics_wants_open(str accept) {
    static const str open = STR_INIT("application/openmetrics-text");
    for (str one; accept.n;) {
        str_cut(accept, ',', &one, &accept);
        one = str_trim(one);
        if (str_starts(one, open) && str_find(one, ';') >= open.n) return true;
    }
    return false;
}

/* ---- labels ---- */

enum { RANK_NS_IN_S = 60, SWAPS_MAX = 16 };

/* What is shown of an app, or not: the sums of one, apart from where they are. */
struct counted {
    struct node_meter_app app;
    struct node_meter_call all;
    VEC(struct control_call) calls;
};
struct control_label {
    struct control_label *next;
    arena *mem; /* its own */
    str name;
    struct counted base;
    struct node_meter_app shown_app; /* the last time */
    struct node_meter_call shown_all;
    uint64_t ranked; /* requests, when labels were last looked over */
    bool seen;
};
struct control_labels {
    struct control_label *first;
    uint32_t n;
    struct node_meter_app shown_app; /* under labels that are gone */
    struct node_meter_call shown_all;
    uint64_t rank_at_ns;
    bool others; /* some app was shown under (other) the last time */
    arena *ranked_mem;
    struct map ranked; /* requests of each app without a label */
};

static void add(void *to, const void *from, size_t bytes, bool minus) {
    uint64_t *t = to;
    const uint64_t *f = from;
    for (size_t i = 0; i < bytes / sizeof *t; i++) t[i] += minus ? -f[i] : f[i];
}
#define ADD(to, from) add((to), (from), sizeof *(to), false)
#define TAKE(to, from) add((to), (from), sizeof *(to), true)

static uint64_t requests_of(const struct node_meter_call *c) {
    return c->requests_gone + c->requests_1xx + c->requests_2xx + c->requests_3xx + c->requests_4xx + c->requests_5xx;
}

static struct control_labels *labels_of(struct control *c) {
    if (!c->labels) {
        c->labels = calloc(1, sizeof *c->labels);
        ENSURE(c->labels);
    }
    return c->labels;
}

/* fresh: nothing of it was shown under (other). */
static void give_label(struct control_labels *l, struct control_counts *a, bool fresh) {
    arena *mem = arena_new(0);
    struct control_label *label = arena_make(mem, struct control_label);
    *label = (struct control_label){.next = l->first, .mem = mem, .name = arena_str(mem, a->name), .seen = true};
    if (!fresh) {
        label->base.app = a->counts, label->base.all = a->all;
        for (uint32_t i = 0; i < a->calls.n; i++) {
            struct control_call *call = vec_add(mem, &label->base.calls);
            *call = a->calls.p[i];
            call->function = arena_str(mem, call->function);
        }
    }
    label->ranked = requests_of(&a->all);
    l->first = label;
    l->n++;
    a->label = label;
}

static void drop_label(struct control_labels *l, struct control_label *label) {
    struct control_label **at = &l->first;
    while (*at != label) at = &(*at)->next;
    *at = label->next;
    l->n--;
    ADD(&l->shown_app, &label->shown_app);
    ADD(&l->shown_all, &label->shown_all);
    arena_free(label->mem);
}

static void find_labels(struct control_labels *l, struct control_sums *s, arena *scratch) {
    struct map by_name = {0};
    uint64_t at;
    for (struct control_label *label = l->first; label; label = label->next) {
        label->seen = false;
        map_put(scratch, &by_name, label->name, (uintptr_t)label);
    }
    for (uint32_t i = 1; i < s->apps.n; i++) {
        if (!map_get(&by_name, s->apps.p[i].name, &at)) continue;
        s->apps.p[i].label = (struct control_label *)(uintptr_t)at;
        s->apps.p[i].label->seen = true;
    }
    for (struct control_label *label = l->first, *next; label; label = next) {
        next = label->next;
        if (!label->seen) drop_label(l, label);
    }
}

/* Requests since labels were last looked over. */
static uint64_t lately(const struct control_labels *l, const struct control_counts *a) {
    uint64_t before = 0;
    if (a->label) before = a->label->ranked;
    else (void)map_get(&l->ranked, a->name, &before);
    return requests_of(&a->all) - before;
}

static bool swap_one(struct control_labels *l, struct control_sums *s) {
    struct control_counts *best = NULL, *worst = NULL;
    for (uint32_t i = 1; i < s->apps.n; i++) {
        struct control_counts *a = &s->apps.p[i];
        if (!a->label && (!best || lately(l, a) > lately(l, best))) best = a;
        if (a->label && (!worst || lately(l, a) < lately(l, worst))) worst = a;
    }
    if (!best || !worst || lately(l, best) <= 2 * lately(l, worst) + 16) return false;
    drop_label(l, worst->label);
    worst->label = NULL;
    give_label(l, best, false);
    return true;
}

static void look_over(struct control_labels *l, struct control_sums *s) {
    uint64_t now = clock_mono_ns();
    if (now < l->rank_at_ns) return;
    for (int i = 0; i < SWAPS_MAX && l->rank_at_ns && swap_one(l, s); i++) {}
    arena_free(l->ranked_mem);
    l->ranked_mem = arena_new(0);
    l->ranked = (struct map){0};
    for (uint32_t i = 1; i < s->apps.n; i++) {
        struct control_counts *a = &s->apps.p[i];
        if (a->label) a->label->ranked = requests_of(&a->all);
        else map_put(l->ranked_mem, &l->ranked, arena_str(l->ranked_mem, a->name), requests_of(&a->all));
    }
    l->rank_at_ns = now + RANK_NS_IN_S * 1'000'000'000ull;
}

static int busier_first(const void *a, const void *b) {
    uint64_t x = requests_of(&(*(struct control_counts *const *)a)->all),
             y = requests_of(&(*(struct control_counts *const *)b)->all);
    return x > y ? -1 : x < y;
}

/* Those that are free go to whoever has had most requests. As long as all apps have one, nothing was shown under (other). */
static void give_labels(struct control_labels *l, struct control_sums *s, arena *scratch, uint64_t max) {
    VEC(struct control_counts *) without = {0};
    for (uint32_t i = 1; i < s->apps.n; i++)
        if (!s->apps.p[i].label) vec_push(scratch, &without, &s->apps.p[i]);
    if (without.n && l->n < max) qsort(without.p, without.n, sizeof *without.p, busier_first);
    for (uint32_t i = 0; i < without.n && l->n < max; i++) give_label(l, without.p[i], !l->others);
    l->others = without.n && without.p[without.n - 1]->label == NULL;
}

/* What is shown: of each app with a label what came since it has it, and all the rest together. */
static void take_apart(struct control_labels *l, struct control_sums *s) {
    struct control_counts *other = &s->apps.p[0];
    for (uint32_t i = 1; i < s->apps.n; i++) {
        struct control_counts *a = &s->apps.p[i];
        struct control_label *label = a->label;
        if (!label) {
            ADD(&other->counts, &a->counts);
            ADD(&other->all, &a->all);
            ADD(&other->now, &a->now);
            continue;
        }
        ADD(&other->counts, &label->base.app);
        ADD(&other->all, &label->base.all);
        TAKE(&a->counts, &label->base.app);
        TAKE(&a->all, &label->base.all);
        label->shown_app = a->counts, label->shown_all = a->all;
        for (uint32_t k = 0; k < a->calls.n; k++)
            for (uint32_t b = 0; b < label->base.calls.n; b++) {
                const struct control_call *base = &label->base.calls.p[b];
                if (base->version == a->calls.p[k].version && str_eq(base->function, a->calls.p[k].function))
                    TAKE(&a->calls.p[k].counts, &base->counts);
            }
    }
    TAKE(&other->counts, &l->shown_app);
    TAKE(&other->all, &l->shown_all);
}

/* ---- families ---- */

enum scope { SCOPE_CALL, SCOPE_APP, SCOPE_APP_NOW, SCOPE_WORKER, SCOPE_WORKER_NOW, SCOPE_NODE, SCOPE_NODE_NOW };
enum kind { KIND_COUNT, KIND_BYTES, KIND_SECONDS, KIND_HISTOGRAM };
static const struct meter {
    enum scope scope;
    enum kind kind;
    size_t at; /* in its struct */
    const char *family, *label, *help;
} meters[] = {
#define TYPE_CALL struct node_meter_call
#define TYPE_APP struct node_meter_app
#define TYPE_APP_NOW struct node_meter_app_now
#define TYPE_WORKER struct node_meter_worker
#define TYPE_WORKER_NOW struct node_meter_worker_now
#define TYPE_NODE struct node_meter_node
#define TYPE_NODE_NOW struct node_meter_node_now
#define METER(scope, kind, field, family, label, help)                                                                           \
    {SCOPE_##scope, KIND_##kind, offsetof(TYPE_##scope, field), family, label, help},
#include "node/meters.def"
};

struct text {
    struct buf *b;
    bool open;
    const struct control_sums *sums;
    arena *scratch;
};

static bool is_now(enum scope scope) { return scope == SCOPE_APP_NOW || scope == SCOPE_WORKER_NOW || scope == SCOPE_NODE_NOW; }
static const char *unit_of(enum kind kind) {
    return kind == KIND_BYTES ? "_bytes" : kind == KIND_SECONDS || kind == KIND_HISTOGRAM ? "_seconds" : "";
}

/* Of a counter the classic format names the samples, OpenMetrics the family. */
static void put_header(struct text *t, const char *family, enum kind kind, bool now, const char *help) {
    const char *type = kind == KIND_HISTOGRAM ? "histogram" : now ? "gauge" : "counter";
    const char *total = !t->open && kind != KIND_HISTOGRAM && !now ? "_total" : "";
    buf_printf(t->b, "# HELP %s%s%s %s.\n# TYPE %s%s%s %s\n", family, unit_of(kind), total, help, family, unit_of(kind), total,
               type);
    if (t->open && unit_of(kind)[0]) buf_printf(t->b, "# UNIT %s%s %s\n", family, unit_of(kind), unit_of(kind) + 1);
}

static void put_label(struct buf *b, const char *key, str value) {
    buf_puts(b, str_c(key));
    buf_puts(b, STR("=\""));
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\') buf_putc(b, '\\');
        buf_putc(b, value.p[i]);
    }
    buf_putc(b, '"');
}

static void put_seconds(struct buf *b, uint64_t ns) {
    buf_printf(b, "%llu.%09llu", (unsigned long long)(ns / 1'000'000'000), (unsigned long long)(ns % 1'000'000'000));
}

static void put_name(struct text *t, const struct meter *m, const char *suffix, str labels, const char *more) {
    buf_printf(t->b, "%s%s%s", m->family, unit_of(m->kind), suffix);
    bool some = labels.n || m->label[0] || more[0];
    if (some) buf_putc(t->b, '{');
    buf_puts(t->b, labels);
    if (m->label[0]) buf_printf(t->b, "%s%s", labels.n ? "," : "", m->label);
    if (more[0]) buf_printf(t->b, "%s%s", labels.n || m->label[0] ? "," : "", more);
    if (some) buf_putc(t->b, '}');
    buf_putc(t->b, ' ');
}

static void put_count(struct text *t, const struct meter *m, const char *suffix, str labels, const char *more, uint64_t v) {
    put_name(t, m, suffix, labels, more);
    buf_u64(t->b, v);
    buf_putc(t->b, '\n');
}

static void put_histogram(struct text *t, const struct meter *m, str labels, const struct node_meter_histogram *h) {
    char bound[48];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < NODE_METER_BUCKETS; i++) {
        sum += h->of[i];
        if (!node_meter_bounds_shown[i]) continue;
        snprintf(bound, sizeof bound, "le=\"%g\"", (double)node_meter_bounds_ns[i] / 1e9);
        if (t->open && !strchr(bound, '.') && !strchr(bound, 'e'))
            snprintf(bound, sizeof bound, "le=\"%.1f\"", (double)node_meter_bounds_ns[i] / 1e9);
        put_count(t, m, "_bucket", labels, bound, sum);
    }
    sum += h->of[NODE_METER_BUCKETS];
    put_count(t, m, "_bucket", labels, "le=\"+Inf\"", sum);
    put_name(t, m, "_sum", labels, "");
    put_seconds(t->b, h->sum_ns);
    buf_putc(t->b, '\n');
    put_count(t, m, "_count", labels, "", sum);
}

/* of: the struct of the meter's scope. Of a family with several rows for one thing those that never happened are left out. */
static void put_sample(struct text *t, const struct meter *m, str labels, const void *of) {
    const void *at = (const char *)of + m->at;
    uint64_t v = *(const uint64_t *)at;
    bool many = m->scope <= SCOPE_APP_NOW;
    if (m->kind == KIND_HISTOGRAM) {
        put_histogram(t, m, labels, at);
    } else if (m->kind == KIND_SECONDS) {
        put_name(t, m, is_now(m->scope) ? "" : "_total", labels, "");
        put_seconds(t->b, v);
        buf_putc(t->b, '\n');
    } else if (v || !m->label[0] || !many) {
        put_count(t, m, is_now(m->scope) ? "" : "_total", labels, "", v);
    }
}

static str app_labels(struct text *t, str app) {
    struct buf b = {0};
    put_label(&b, "app", app);
    str labels = arena_str(t->scratch, buf_str(&b));
    buf_free(&b);
    return labels;
}

static str call_labels(struct text *t, str app, str function, str version) {
    struct buf b = {0};
    put_label(&b, "app", app);
    buf_putc(&b, ','), put_label(&b, "function", function);
    buf_putc(&b, ','), put_label(&b, "version", version);
    str labels = arena_str(t->scratch, buf_str(&b));
    buf_free(&b);
    return labels;
}

#define OTHER STR("(other)")

static void put_calls(struct text *t, const struct meter *m) {
    for (uint32_t i = 0; i < t->sums->apps.n; i++) {
        const struct control_counts *a = &t->sums->apps.p[i];
        if (!i) put_sample(t, m, call_labels(t, OTHER, OTHER, OTHER), &a->all);
        for (uint32_t k = 0; a->label && k < a->calls.n && k < NODE_METRICS_CALLS_MAX; k++) {
            const struct control_call *c = &a->calls.p[k];
            put_sample(t, m, call_labels(t, a->name, c->function, arena_fmt(t->scratch, "%u", c->version)), &c->counts);
        }
    }
}

static void put_apps(struct text *t, const struct meter *m) {
    for (uint32_t i = 0; i < t->sums->apps.n; i++) {
        const struct control_counts *a = &t->sums->apps.p[i];
        if (i && !a->label) continue;
        put_sample(t, m, app_labels(t, i ? a->name : OTHER), m->scope == SCOPE_APP ? (const void *)&a->counts : &a->now);
    }
}

static void put_workers(struct text *t, const struct meter *m) {
    for (uint32_t i = 0; i < t->sums->workers.n; i++) {
        const struct control_worker *w = &t->sums->workers.p[i];
        put_sample(t, m, arena_fmt(t->scratch, "worker=\"%u\"", w->slot),
                   m->scope == SCOPE_WORKER ? (const void *)&w->counts : &w->now);
    }
}

static void put_meters(struct text *t) {
    for (size_t i = 0; i < ARRAY_COUNT(meters); i++) {
        const struct meter *m = &meters[i];
        if (!i || strcmp(m->family, m[-1].family) != 0 || m->kind != m[-1].kind)
            put_header(t, m->family, m->kind, is_now(m->scope), m->help);
        switch (m->scope) {
        case SCOPE_CALL: put_calls(t, m); break;
        case SCOPE_APP:
        case SCOPE_APP_NOW: put_apps(t, m); break;
        case SCOPE_WORKER:
        case SCOPE_WORKER_NOW: put_workers(t, m); break;
        case SCOPE_NODE: put_sample(t, m, (str){0}, &t->sums->node); break;
        case SCOPE_NODE_NOW: put_sample(t, m, (str){0}, &t->sums->node_now); break;
        }
    }
}

static void put_limits(struct text *t) {
    static const struct meter m = {SCOPE_APP, KIND_COUNT, 0, "orlo_limit_hits", "", "Requests that met a limit, by its key"};
    put_header(t, m.family, m.kind, false, m.help);
    for (uint32_t i = 0; i < t->sums->apps.n; i++) {
        const struct control_counts *a = &t->sums->apps.p[i];
        for (uint32_t k = 0; (!i || a->label) && k < APP_SETTINGS; k++) {
            if (!a->counts.limits[k]) continue;
            struct buf more = {0};
            put_label(&more, "limit", str_c(app_settings[k].key));
            buf_putc(&more, 0);
            put_count(t, &m, "_total", app_labels(t, i ? a->name : OTHER), (const char *)more.p, a->counts.limits[k]);
            buf_free(&more);
        }
    }
}

static void put_one(struct text *t, const char *family, enum kind kind, const char *help, uint64_t v) {
    struct meter m = {SCOPE_NODE_NOW, kind, 0, family, "", help};
    put_header(t, family, kind, true, help);
    put_count(t, &m, "", (str){0}, "", v);
}

static void put_node(struct text *t, const struct control *c) {
    uint32_t apps = 0;
    for (const struct control_app *app = c->apps; app; app = app->next) apps++;
    buf_printf(t->b, "# HELP orlo_build%s The version that runs.\n# TYPE orlo_build%s %s\n", t->open ? "" : "_info",
               t->open ? "" : "_info", t->open ? "info" : "gauge");
    buf_printf(t->b, "orlo_build_info{version=\"%s\"} 1\n", ORLO_VERSION);
    put_one(t, "orlo_apps", KIND_COUNT, "Apps that are deployed", apps);
    put_one(t, "orlo_apps_labelled", KIND_COUNT, "Apps that have series of their own here", c->labels->n);
}

/* ---- certificates ---- */

enum { CERTIFICATES_MAX = 200 };
struct certificates {
    struct text *text;
    uint32_t shown;
    uint64_t states[CONTROL_ACME_STATES];
};

static void put_certificate(void *arg, const struct control_acme_cert *cert) {
    struct certificates *c = arg;
    struct buf labels = {0};
    c->states[cert->state]++;
    if (!cert->not_after_s || c->shown++ >= CERTIFICATES_MAX) return;
    put_label(&labels, "host", cert->host);
    buf_printf(c->text->b, "orlo_certificate_not_after_seconds{" STR_FMT "} %lld\n", STR_ARG(buf_str(&labels)),
               (long long)cert->not_after_s);
    buf_free(&labels);
}

static void put_certificates(struct text *t, struct control *c) {
    static const char family[] = "orlo_certificate_not_after", states[] = "orlo_certificates";
    struct certificates all = {.text = t};
    put_header(t, family, KIND_SECONDS, true, "Until when a host's certificate is good, since 1970: of the first 200");
    node_acme_each(c, put_certificate, &all);
    put_header(t, states, KIND_COUNT, true, "Certificates by what becomes of them (docs/admin-api.md)");
    for (uint32_t i = 0; i < CONTROL_ACME_STATES; i++)
        buf_printf(t->b, "%s{state=\"%s\"} %llu\n", states, node_acme_state_text((enum control_acme_state)i),
                   (unsigned long long)all.states[i]);
}

void node_metrics_forget_labels(struct control *c) {
    struct control_labels *l = c->labels;
    while (l && l->first) drop_label(l, l->first);
    if (l) arena_free(l->ranked_mem);
    free(l);
    c->labels = NULL;
}

void node_metrics_rank_now(struct control *c) { labels_of(c)->rank_at_ns = 1; }

void node_metrics_text(struct control *c, bool openmetrics, struct buf *to) {
    struct control_sums sums;
    arena *scratch = arena_new(0);
    struct control_labels *l = labels_of(c);
    node_metrics_sum(c, scratch, &sums);
    find_labels(l, &sums, scratch);
    give_labels(l, &sums, scratch, c->limits.metrics_apps_max);
    look_over(l, &sums);
    take_apart(l, &sums);
    struct text t = {.b = to, .open = openmetrics, .sums = &sums, .scratch = scratch};
    put_node(&t, c);
    put_meters(&t);
    put_limits(&t);
    put_certificates(&t, c);
    if (openmetrics) buf_puts(to, STR("# EOF\n"));
    arena_free(scratch);
}
