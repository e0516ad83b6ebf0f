/* plan: a query as it is sent: its trees read, resolved by the catalogue, printed, and all that stands around them.
 *
 *   ask ──its outline, its role … are those of one that was made──> that one's text and results' form; this one's values
 *       └─else──> read ──> resolved ──> printed ─────────────────> (kept, if it is a select)
 *
 * 1. What is kept is of one catalogue (broker_made), and goes with it: names, rights and types are as that has them.
 * 2. A plan is found by all that its text hangs on: the role, what the app says of itself, the tree but for what it compares with (query_outline). Of who asks
 *    nothing is in it: claims, headers and whatever else is his come with each ask.
 * 3. Whether callers may be that role, and may ask that, was looked at when it was made, by the same catalogue.
 */
#include "node/postgres/broker.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    KEPT_MAX = 256,            /* plans of a catalogue */
    KEPT_BYTES_MAX = 4 << 20,  /* of them */
    SMALL_BYTES = 4 << 10,     /* a tree whose plan is kept */
    ONE_BYTES_MAX = 256 << 10, /* a plan that is */
    STATEMENTS_MAX = 6         /* of one: settings, before, a tree's three, said */
};
static const uint64_t ms_ns = 1'000'000u;

struct broker_plan {
    struct broker_plan *next, **at; /* of those with the same hash */
    struct broker_plan *newer, *older;
    uint64_t hash;
    str key;
    uint32_t users; /* asks, and that it is kept */
    arena *mem;
    struct query_batch batch;
    struct query_text *texts;
    struct postgres_statement *statements;
    uint32_t statements_count, first;
    struct query_slot *slots;
    uint32_t slots_count;
    size_t bytes;
};

/* ---- what is sent ---- */

static const char size_behind[] = "select set_config('role', 'none', true), "
                                  "pg_catalog.pg_database_size(pg_catalog.current_database()), set_config('role', $1, true)";

struct postgres_statement node_plan_statement(arena *mem, str text, const struct query_bound *values, uint32_t n) {
    struct postgres_value *v = arena_array(mem, struct postgres_value, n + 1);
    for (uint32_t i = 0; i < n; i++) v[i] = (struct postgres_value){.null = values[i].null, .text = values[i].text};
    return (struct postgres_statement){.text = text, .values = v, .count = n, .kept = true};
}

static str left_ms(const struct broker_ask *a, arena *mem) {
    uint64_t now = clock_mono_ns(), left = a->until_ns > now ? (a->until_ns - now) / ms_ns : 0;
    struct buf b = {0};
    if (a->streams) left = BROKER_OPEN_MS; /* the server counts the time for which nobody takes its rows, too */
    buf_u64(&b, MAX(left, (uint64_t)1));
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

/* Everything that policies and functions may ask for, then who it is: for the transaction alone, and the same for the whole batch. */
struct postgres_statement node_plan_settings(struct broker_ask *a, arena *mem, const struct pg_session *s) {
    struct query_text t;
    query_print_settings(mem, s, &a->batch, &t);
    struct query_bound *v = arena_array(mem, struct query_bound, t.values_count + 2);
    uint32_t n = t.values_count;
    memcpy(v, t.values, n * sizeof *v);
    v[n] = (struct query_bound){.text = left_ms(a, mem)};
    v[n + 1] = (struct query_bound){.text = a->writes ? STR("off") : STR("on")};
    str text = arena_fmt(
        mem, "select %s%sset_config('statement_timeout', $%u, true), set_config('transaction_read_only', $%u, true), " STR_FMT,
        a->sized ? "pg_catalog.pg_database_size(pg_catalog.current_database()), " : "",
        a->writes && !a->errand && a->changes_max <= 1 ? "set_config('orlo.changes', 'off', true), " : "", n + 1, n + 2,
        STR_ARG(t.text));
    if (a->writes && a->hops) text = arena_fmt(mem, STR_FMT ", set_config('orlo.hops', '%u', true)", STR_ARG(text), a->hops);
    return node_plan_statement(mem, text, v, n + 2);
}

/* A value with a NUL would be cut off there. */
static bool has_nul(const struct postgres_statement *s) {
    for (uint32_t i = 0; i < s->count; i++)
        if (s->values[i].text.n && memchr(s->values[i].text.p, 0, s->values[i].text.n)) return true;
    return false;
}

bool node_plan_put(struct broker_ask *a, struct postgres_statement s) {
    if (has_nul(&s)) {
        node_tree_fail(&a->error, "22021", "invalid byte sequence for encoding \"UTF8\": 0x00");
        return false;
    }
    a->statements[a->statements_count++] = s;
    return true;
}

/* ---- made ---- */

static bool is_growing(const struct query *q) { return query_writes(q) && q->kind != QUERY_DELETE; }

static bool print_all(struct broker_ask *a, arena *mem, struct pg_session *session) {
    struct query_batch *b = &a->batch;
    for (uint32_t i = 0; i < b->count; i++) {
        if (!query_resolve(mem, a->made->catalog, session, &b->queries[i], &a->error) ||
            !query_print_postgres(mem, a->made->catalog, session, &b->queries[i], &a->texts[i], &a->error)) {
            a->error.place = b->many ? i + 1 : 0;
            return false;
        }
        bool writes = query_writes(&b->queries[i]);
        a->writes |= writes || a->of_tx;
        a->grows |= writes && is_growing(&b->queries[i]);
    }
    for (uint32_t i = 0; i < b->count && a->writes; i++) {
        const struct query *q = &b->queries[i];
        if (q->kind != QUERY_CALL || !q->reads_only || q->function->volatility != CATALOG_IS_VOLATILE) continue;
        node_tree_fail(&a->error, "25006", "a function that may write is asked for by what only reads, beside others that write");
        a->error.place = b->many ? i + 1 : 0;
        return false;
    }
    return true;
}

static void put_all(struct broker_ask *a, arena *mem, const struct pg_session *session) {
    struct query_text before;
    bool ok = node_plan_put(a, node_plan_settings(a, mem, session));
    if (ok && query_print_before(mem, &a->batch, &before)) ok = node_plan_put(a, node_plan_statement(mem, before.text, NULL, 0));
    a->first = a->statements_count;
    for (uint32_t i = 0; i < a->batch.count && ok; i++) {
        const struct query_text *t = &a->texts[i];
        ok =
            node_plan_put(a, node_plan_statement(mem, t->text, t->values, t->values_count)) &&
            (!t->count.n || node_plan_put(a, node_plan_statement(mem, t->count, t->count_values, t->count_values_count))) &&
            (!t->planned.n || node_plan_put(a, node_plan_statement(mem, t->planned, t->planned_values, t->planned_values_count)));
    }
    if (ok && a->batch.counted && !a->batch.silent) ok = node_plan_put(a, node_plan_statement(mem, query_ask_said, NULL, 0));
    if (ok && a->batch.rollback && a->writes) ok = node_plan_put(a, node_plan_statement(mem, query_ask_constraints, NULL, 0));
    struct query_bound role = {.text = a->who.role};
    if (ok && a->sized) (void)node_plan_put(a, node_plan_statement(mem, str_c(size_behind), &role, 1));
}

/* Which of the base's needs is looked at on the loop, before. mem: where what is made of the tree is. */
static void make(struct broker_ask *a, arena *mem, const struct node_tree_ask *who) {
    if (!node_tree_read_batch(mem, who, &a->batch, &a->error)) return;
    if (!a->made) {
        node_tree_fail(&a->error, "42P01", "nothing was migrated to this database yet");
        return;
    }
    if (!node_tree_may_be(a->made->catalog, who->role, who->own.n, &a->error) || !node_tree_may_ask(who, &a->batch, &a->error))
        return;
    struct pg_session session = node_tree_session(who, mem);
    session.types = a->made->types;
    a->texts = arena_array(mem, struct query_text, a->batch.count + 1);
    a->statements = arena_array(mem, struct postgres_statement, 3 * a->batch.count + 8);
    a->batch.before = who->before;
    a->batch.search = who->search;
    a->batch.silent = a->made->silent;
    memset(a->texts, 0, sizeof *a->texts * (a->batch.count + 1));
    if (!print_all(a, mem, &session)) return;
    if (a->writes && a->base->frozen) {
        node_tree_fail(&a->error, "57P03", NODE_TREE_MOVES);
        return;
    }
    a->sized &= a->grows;
    if (a->streams) node_stream_put(a, &session);
    else put_all(a, mem, &session);
}

void node_plan_make(void *arg) {
    struct broker_ask *a = arg;
    make(a, a->mem, &a->who);
}

/* ---- kept ---- */

static void unlink_plan(struct broker_made *made, struct broker_plan *p) {
    *p->at = p->next;
    if (p->next) p->next->at = p->at;
    if (p->newer) p->newer->older = p->older;
    else made->newest = p->older;
    if (p->older) p->older->newer = p->newer;
    else made->oldest = p->newer;
    made->plans_count--, made->plans_bytes -= p->bytes;
}

static void link_plan(struct broker_made *made, struct broker_plan *p) {
    p->at = &made->plans[p->hash % BROKER_PLANS_HASH];
    p->next = *p->at;
    if (p->next) p->next->at = &p->next;
    *p->at = p;
    p->newer = NULL, p->older = made->newest;
    if (p->older) p->older->newer = p;
    else made->oldest = p;
    made->newest = p;
    made->plans_count++, made->plans_bytes += p->bytes;
}

void node_plan_unref(struct broker_plan *p) {
    if (p && !--p->users) arena_free(p->mem); /* it is in there */
}

static void drop(struct broker_made *made, struct broker_plan *p) {
    unlink_plan(made, p);
    node_plan_unref(p);
}

void node_plans_free(struct broker_made *made) {
    while (made->oldest) drop(made, made->oldest);
}

/* ---- found ---- */

static void put_part(struct buf *b, str s) {
    uint32_t n = (uint32_t)s.n;
    buf_put(b, &n, sizeof n);
    buf_puts(b, s);
}

/* All that a plan hangs on; false: it is not one that is kept. */
static bool key_of(const struct broker_ask *a, struct query_outline *o) {
    const struct node_tree_ask *w = &a->who;
    const str parts[] = {w->role, w->before, w->search, w->explains, w->rows};
    if (!a->made || a->of_tx || a->errand || w->body.n > SMALL_BYTES) return false;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) put_part(&o->text, parts[i]);
    return query_outline(w->body, o);
}

static struct broker_plan *find(struct broker_made *made, str key, uint64_t hash) {
    struct broker_plan *p = made->plans[hash % BROKER_PLANS_HASH];
    while (p && (p->hash != hash || !str_eq(p->key, key))) p = p->next;
    return p;
}

/* Its values are this ask's. */
static void take(struct broker_ask *a, struct broker_plan *p, const struct query_outline *o) {
    const struct pg_session s = node_tree_session(&a->who, a->mem);
    const str own[QUERY_SETTINGS_OWN] = {s.claims, s.headers, s.cookies, s.method, s.path};
    struct postgres_value *values[STATEMENTS_MAX];
    ENSURE(p->statements_count <= STATEMENTS_MAX);
    a->plan = p, p->users++;
    a->batch = p->batch;
    a->texts = p->texts;
    a->first = p->first, a->sized = false;
    a->statements = arena_array(a->mem, struct postgres_statement, p->statements_count);
    for (uint32_t i = 0; i < p->statements_count; i++) {
        struct postgres_statement *to = &a->statements[i];
        *to = p->statements[i];
        values[i] = arena_array(a->mem, struct postgres_value, to->count + 1);
        memcpy(values[i], to->values, to->count * sizeof *to->values);
        to->values = values[i];
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(own); i++) values[0][i].text = own[i];
    values[0][p->statements[0].count - 2].text = left_ms(a, a->mem);
    for (uint32_t i = 0; i < p->slots_count; i++) {
        const struct query_slot *slot = &p->slots[i];
        values[p->first + slot->statement][slot->value].text = query_slot_text(a->mem, &slot->of, o->holes[slot->hole]);
    }
    for (uint32_t i = 0; i < p->statements_count; i++)
        if (!node_plan_put(a, a->statements[i])) return;
}

static void keep(struct broker_made *made, struct broker_plan *p, str key, uint64_t hash) {
    for (uint32_t i = 0; i < p->statements_count; i++)
        p->statements[i].lasts = true, p->statements[i].hash = postgres_statement_hash(&p->statements[i]);
    p->key = arena_str(p->mem, key);
    p->hash = hash;
    p->bytes = arena_bytes(p->mem);
    if (p->bytes > ONE_BYTES_MAX) return;
    while (made->oldest && (made->plans_count >= KEPT_MAX || made->plans_bytes + p->bytes > KEPT_BYTES_MAX))
        drop(made, made->oldest);
    p->users++;
    link_plan(made, p);
}

/* Made in memory of its own, which it is kept in. */
static void make_kept(struct broker_ask *a, str key, uint64_t hash) {
    arena *mem = arena_new(0);
    struct broker_plan *p = arena_make(mem, struct broker_plan);
    struct node_tree_ask who;
    struct query_outline o = {0};
    *p = (struct broker_plan){.mem = mem, .users = 1};
    a->plan = p;
    node_tree_ask_copy(mem, &a->who, &who);
    make(a, mem, &who);
    if (a->error.set || a->writes || a->batch.many || a->batch.queries[0].kind != QUERY_SELECT || a->batch.queries[0].explain)
        return;
    p->batch = a->batch, p->texts = a->texts;
    p->statements = a->statements, p->statements_count = a->statements_count, p->first = a->first;
    if (query_outline(who.body, &o) && query_slots(mem, &o, p->texts, &p->slots, &p->slots_count)) keep(a->made, p, key, hash);
    buf_free(&o.text);
}

void node_plan_find(struct broker_ask *a) {
    struct query_outline o = {0};
    if (key_of(a, &o)) {
        str key = buf_str(&o.text);
        uint64_t hash = str_hash(key);
        struct broker_plan *p = find(a->made, key, hash);
        if (p) {
            unlink_plan(a->made, p), link_plan(a->made, p);
            take(a, p, &o);
        } else make_kept(a, key, hash);
    } else node_plan_make(a);
    buf_free(&o.text);
}
