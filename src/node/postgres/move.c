/* move: an app's database is read alone while its rows go to another engine, or come from one (control/move.c): FREEZE, THAW, SUMS; store/sums.c has the other
 * half of the last. That it is frozen stands in _orlo.meta, so that it is whoever ends meanwhile; asks look at the base's word (ask.c). */
#include "node/postgres/broker.h"
#include <stdio.h>

enum { FREEZE_MS = 60'000, OWN_MS = 60'000, SUMS_MS = 600'000, SUMS_BYTES_MAX = 16 << 20 };

/* False: it is over. */
static bool went_well(struct broker_errand *w, const struct postgres_answer *a) {
    if (postgres_outcome(a) == POSTGRES_DONE) return true;
    const struct postgres_error *e = postgres_error(a);
    node_errand_over(w, diag_set(&w->d, postgres_outcome(a) == POSTGRES_ERROR ? ERR_INVALID : ERR_CLOSED, DIAG_NOWHERE,
                                 "%s%s%.600s", e->state, *e->state ? ": " : "", e->message));
    return false;
}

static void ask_one(struct broker_errand *w, const char *text, postgres_told told) {
    (void)postgres_ask(
        w->base->admin,
        &(struct postgres_question){
            .statements = &(struct postgres_statement){.text = str_c(text)}, .count = 1, .ms_max = OWN_MS, .bytes_max = MiB},
        told, w);
}

/* ---- read alone ---- */

static void on_written(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (went_well(w, a)) node_errand_over(w, ERR_OK);
}

static void on_thawed(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (!went_well(w, a)) return;
    w->base->frozen = false;
    node_errand_over(w, ERR_OK);
}

/* What is under way ends first: none begins until then. */
void node_move_freeze(struct broker_errand *w) {
    w->was_frozen = w->base->frozen;
    w->base->frozen = w->base->held = true;
    w->came_ns = clock_mono_ns();
}

void node_move_tick(struct broker_errand *w) {
    struct broker_base *b = w->base;
    if (!b->held) return;
    if (b->running && b->admin && clock_mono_ns() < w->came_ns + MIN(w->ms_max, (uint32_t)FREEZE_MS) * 1'000'000ull) return;
    b->held = false;
    if (b->running && b->admin) { /* somebody's transaction goes on for as long as it likes: nobody else waits for it */
        b->frozen = w->was_frozen;
        node_errand_over(
            w, diag_set(&w->d, ERR_BUSY, DIAG_NOWHERE,
                        "a transaction of the app's has been open for all the time that is waited for it: try again later"));
        return;
    }
    if (b->admin) ask_one(w, "insert into _orlo.meta values ('frozen', '1') on conflict (key) do nothing", on_written);
    else node_errand_over(w, diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system is not there at the moment"));
}

/* Who followed the changes of the other one has had numbers that are not here: they go on behind those, and all is other. */
void node_move_thaw(struct broker_errand *w) {
    static const struct postgres_statement s[] = {
        {.text = STR_INIT("delete from _orlo.meta where key = 'frozen'")},
        {.text =
             STR_INIT("update _orlo.feed set last = greatest(last, (extract(epoch from clock_timestamp()) * 1000000)::bigint)")},
        {.text =
             STR_INIT("insert into _orlo.fed (at, op) values ((extract(epoch from clock_timestamp()) * 1000)::bigint, '*')")}};
    (void)postgres_ask(w->base->admin,
                       &(struct postgres_question){
                           .statements = s, .count = w->base->feeds ? ARRAY_COUNT(s) : 1, .ms_max = OWN_MS, .bytes_max = MiB},
                       on_thawed, w);
}

/* ---- what rows come to ---- */

static void put_quoted(struct buf *to, str s, uint8_t with) {
    buf_putc(to, with);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == with) buf_putc(to, with);
        buf_putc(to, s.p[i]);
    }
    buf_putc(to, with);
}

static str sum_of(arena *mem, const struct catalog *c, const struct catalog_relation *r) {
    const struct catalog_schema *schema = catalog_schema_of(c, r->schema);
    str in = schema ? schema->name : STR("public");
    struct buf b = {0};
    buf_puts(&b, STR("select "));
    put_quoted(&b, arena_fmt(mem, STR_FMT "." STR_FMT, STR_ARG(in), STR_ARG(r->name)), '\'');
    buf_puts(&b, STR(", count(*), sum(('x' || substr(encode(sha256(convert_to(''"));
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (r->columns.p[i].generated) continue;
        struct buf name = {0};
        put_quoted(&name, r->columns.p[i].name, '"');
        buf_printf(&b,
                   " || case when num_nulls(" STR_FMT ") = 1 then '-' else octet_length(format('%%s', " STR_FMT
                   ")) || ':' || format('%%s', " STR_FMT ") end",
                   STR_ARG(buf_str(&name)), STR_ARG(buf_str(&name)),
                   STR_ARG(buf_str(&name))); /* a cast to text is another text for some types */
        buf_free(&name);
    }
    buf_puts(&b, STR(", 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint) % 18446744073709551616 from only "));
    put_quoted(&b, in, '"'), buf_putc(&b, '.'), put_quoted(&b, r->name, '"');
    str text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static void on_summed(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct buf b = {0};
    if (!went_well(w, a)) return;
    for (uint32_t s = 0; s < w->sums; s++) {
        str name = postgres_value(a, 1 + s, 0, 0, NULL), rows = postgres_value(a, 1 + s, 0, 1, NULL),
            sum = postgres_value(a, 1 + s, 0, 2, NULL);
        if (!str_eqc(rows, "0"))
            buf_printf(&b, STR_FMT "\t" STR_FMT "\t" STR_FMT "\n", STR_ARG(name), STR_ARG(rows), STR_ARG(sum));
    }
    err e = node_errand_say(w, buf_str(&b));
    buf_free(&b);
    node_errand_over(w, e);
}

/* As the owner, by names that PostgreSQL's own come before: what he made is run by nobody above him. */
void node_move_sums(struct broker_errand *w) {
    struct broker_base *b = w->base;
    VEC(struct postgres_statement) s = {0};
    const struct catalog *c = b->made ? b->made->catalog : NULL;
    vec_push(w->mem, &s,
             ((struct postgres_statement){
                 .text = STR("select set_config('search_path', 'pg_catalog', true), set_config('timezone', 'UTC', true)")}));
    for (uint32_t i = 0; c && i < c->relations.n; i++)
        if (c->relations.p[i].kind == CATALOG_TABLE)
            vec_push(w->mem, &s, ((struct postgres_statement){.text = sum_of(w->mem, c, &c->relations.p[i])}));
    w->sums = s.n - 1;
    b->owner = node_base_connect(b, "postgres", "postgres", 1);
    (void)postgres_ask(b->owner,
                       &(struct postgres_question){
                           .statements = s.p, .count = s.n, .ms_max = SUMS_MS, .bytes_max = SUMS_BYTES_MAX, .undone = true},
                       on_summed, w);
}
