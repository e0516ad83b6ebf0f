/* move: an app's database is read alone while its rows go to another engine, or come from one (control/move.c): FREEZE, THAW, SUMS; store/sums.c has the other
 * half of the last. That it is frozen stands in _orlo.meta, so that it is whoever ends meanwhile; asks look at the base's word (ask.c). */
#include "node/postgres/broker.h"
#include <stdio.h>

#include "move_begin.h"
#include "move_hold.h"
#include "move_release.h"
#include "move_undo.h"

enum { FREEZE_MS = 60'000, OWN_MS = 60'000, SUMS_MS = 600'000, SUMS_BYTES_MAX = 16 << 20 };

const char *const node_move_before[BROKER_MOVE_BEFORE] = {move_undo, move_begin}, *const node_move_rows = move_hold;

/* False: it is over. */
static bool went_well(struct broker_errand *w, const struct postgres_answer *a) {
    if (postgres_outcome(a) == POSTGRES_DONE) return true;
    const struct postgres_error *e = postgres_error(a);
    node_errand_over(w, diag_set(&w->d, postgres_outcome(a) == POSTGRES_ERROR ? ERR_INVALID : ERR_CLOSED, DIAG_NOWHERE,
                                 "%s%s%.600s", e->state, *e->state ? ": " : "", e->message));
    return false;
}

static void ask_some(struct broker_errand *w, const struct postgres_statement *s, uint32_t n, uint32_t ms_max,
                     postgres_told told) {
    (void)postgres_ask(w->base->admin,
                       &(struct postgres_question){.statements = s, .count = n, .ms_max = ms_max, .bytes_max = MiB}, told, w);
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
    if (w->base->secret[0]) node_base_reload(w);
    else node_errand_over(w, ERR_OK);
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
    const struct postgres_statement s[] = {
        {.text = STR("insert into _orlo.meta values ('frozen', '1') on conflict (key) do nothing")},
        {.text = str_c(move_release)}};
    bool server = b->secret[0];
    if (b->admin) ask_some(w, s, server ? 2 : 1, server ? MAX(w->ms_max, (uint32_t)OWN_MS) : OWN_MS, on_written);
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
    static const struct postgres_statement of_server[] = {
        {.text = STR_INIT("delete from _orlo.meta where key = 'frozen'")},
        {.text = STR_INIT("drop table if exists _orlo.before, _orlo.held")}}; /* it is there: nothing is undone any more */
    if (w->base->secret[0]) ask_some(w, of_server, ARRAY_COUNT(of_server), OWN_MS, on_thawed);
    else ask_some(w, s, w->base->feeds ? ARRAY_COUNT(s) : 1, OWN_MS, on_thawed);
}

/* ---- into a server that somebody runs ---- */

static void on_undone(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (!went_well(w, a)) return;
    w->base->frozen = false;
    str left = postgres_value(a, 1, 0, 0, NULL);
    if (left.n) log_event(LOG_WARN, "postgres-lacks", LF_CSTR("app", w->base->name), LF_STR("sql", left));
    node_base_reload(w);
}

void node_move_undo(struct broker_errand *w) {
    const struct postgres_statement s[] = {{.text = str_c(move_undo)},
                                           {.text = STR("select pg_catalog.current_setting('orlo.left', true)")}};
    if (w->base->secret[0]) ask_some(w, s, ARRAY_COUNT(s), SUMS_MS, on_undone);
    else node_errand_over(w, diag_set(&w->d, ERR_UNSUPPORTED, DIAG_NOWHERE, "a cluster of the node's own goes with its files"));
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
