/* ddl_step: what of migrations is no text of SQLite's, but run by the store as a function is: DO blocks, rows that fire triggers, statements that call PL/pgSQL.
 *
 *   create … alter …   │ update t …   do $$ … $$ │  alter …   │ insert …          │
 *                      └── calls of place 1 ─────┘            └── of place 2 ─────┘      each place: the catalogue as it is there, and its functions
 *
 * 1. A place is open from the first call on until a definition is changed. Its catalogue is written down as it ends, by what it differs in from the one before.
 * 2. What a call may come to (functions, triggers, what views and keys lead to) is compiled as it is there. All else of that catalogue's routines may be old.
 * 3. What a statement does that fails is undone as a whole: all pending files are one transaction.
 */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

/* ---- what a call comes to ---- */

enum { FUNCTION, RELATION };
struct reached {
    uint32_t id, kind;
};
struct reaching {
    struct sql_ddl *d;
    VEC(struct reached) left;
    bool all; /* of the catalogue is among them */
};

static void reach(struct reaching *x, uint32_t id, uint32_t kind) {
    catalog_ids *there = kind == FUNCTION ? &x->d->place.functions : &x->d->place.relations;
    if (catalog_ids_have(there, id)) return;
    vec_push(x->d->mem, there, id);
    vec_push(x->d->mem, &x->left, ((struct reached){id, kind}));
}

static void reach_fragment(struct reaching *x, const struct catalog_fragment *f) {
    struct catalog_mark m = {0};
    for (uint32_t i = 0; i < f->calls.n; i++) reach(x, f->calls.p[i], FUNCTION);
    for (uint32_t i = 0; i < f->reads.n; i++) reach(x, f->reads.p[i], RELATION);
    while (catalog_mark_next(f->text, m.end, &m))
        if (m.kind == 'R' || m.kind == 'B') reach(x, m.id, RELATION);
}

/* A text that it makes may name anything. */
static bool runs_texts(const struct catalog_routine *r) {
    for (uint32_t i = 0; i < r->code.n; i += CATALOG_OP_WIDTH)
        if (r->code.p[i] == CATALOG_OP_EXECUTE || r->code.p[i] == CATALOG_OP_OPEN_TEXT || r->code.p[i] == CATALOG_OP_GIVE_TEXT)
            return true;
    return false;
}

static void reach_routine(struct reaching *x, const struct catalog_routine *r) {
    if (!x->all && runs_texts(r)) {
        x->all = true;
        for (uint32_t i = 0; i < x->d->c->functions.n; i++) reach(x, x->d->c->functions.p[i].id, FUNCTION);
        for (uint32_t i = 0; i < x->d->c->relations.n; i++) reach(x, x->d->c->relations.p[i].id, RELATION);
    }
    for (uint32_t i = 0; i < r->statements.n; i++) reach_fragment(x, &r->statements.p[i]);
}

static struct catalog_function *function_of(struct sql_ddl *d, uint32_t id) {
    for (uint32_t i = 0; i < d->c->functions.n; i++)
        if (d->c->functions.p[i].id == id) return &d->c->functions.p[i];
    return NULL;
}

static void reach_function(struct reaching *x, uint32_t id) {
    struct catalog_function *f = function_of(x->d, id);
    if (!f) return;
    sql_compile_here(x->d, f);
    reach_routine(x, &f->routine);
    for (uint32_t i = 0; i < f->statements.n; i++) reach_fragment(x, &f->statements.p[i]);
    for (uint32_t i = 0; i < f->arguments.n; i++) reach_fragment(x, &f->arguments.p[i].default_value.fragment);
}

static void reach_relation(struct reaching *x, uint32_t id) {
    struct sql_ddl *d = x->d;
    const struct catalog_relation *r = catalog_relation_of(d->c, id);
    struct catalog_edge e = {0};
    if (!r) return;
    if (r->kind == CATALOG_VIEW) reach_fragment(x, &r->query.fragment);
    if (r->base) reach(x, r->base, RELATION);
    sql_compile_triggers_here(d, r);
    for (uint32_t i = 0; i < r->triggers.n; i++) reach_routine(x, &r->triggers.p[i].routine);
    for (uint32_t i = 0; i < r->columns.n; i++) reach_fragment(x, &r->columns.p[i].default_value.fragment);
    for (uint32_t i = 0; i < r->constraints.n; i++) reach_fragment(x, &r->constraints.p[i].check.fragment);
    for (uint32_t i = 0; i < r->policies.n; i++) {
        reach_fragment(x, &r->policies.p[i].using_expr.fragment);
        reach_fragment(x, &r->policies.p[i].check_expr.fragment);
    }
    while (catalog_edge_next(d->c, id, &e))
        if (e.key->reference == id) reach(x, e.from->id, RELATION);
}

static void reach_all(struct sql_ddl *d, const struct catalog_routine *from) {
    struct reaching x = {.d = d};
    str path[ARRAY_COUNT(d->path)];
    uint32_t n = d->path_n;
    memcpy(path, d->path, sizeof path);
    sql_path_reset(d);
    reach_routine(&x, from);
    for (uint32_t i = 0; i < x.left.n; i++)
        if (x.left.p[i].kind == FUNCTION) reach_function(&x, x.left.p[i].id);
        else reach_relation(&x, x.left.p[i].id);
    memcpy(d->path, path, sizeof path);
    d->path_n = n;
}

/* ---- places ---- */

void sql_place_end(struct sql_ddl *d) {
    struct sql_place *p = &d->place;
    struct buf text = {0}, delta = {0};
    uint32_t n = d->c->functions.n;
    if (!p->open) return;
    if (!d->report->refused) { /* else there is no plan */
        for (uint32_t i = 0; i < p->calls.n; i++) vec_push(d->mem, &d->c->functions, p->calls.p[i]);
        catalog_write(&text, d->c);
        d->c->functions.n = n;
        catalog_delta(&delta, buf_str(&p->text), buf_str(&text));
        vec_push(d->mem, &d->plan->catalogs, arena_str(d->mem, buf_str(&delta)));
        buf_free(&delta), buf_free(&p->text);
        p->text = text;
    } else vec_push(d->mem, &d->plan->catalogs, (str){0});
    p->open = false;
    p->calls.n = p->functions.n = p->relations.n = 0;
}

/* The first schema that names are looked for in. */
static uint32_t schema_here(struct sql_ddl *d) {
    for (uint32_t i = 0; i < d->path_n; i++) {
        const struct catalog_schema *s = catalog_schema_named(d->c, d->path[i]);
        if (s) return s->id;
    }
    const struct catalog_schema *s = catalog_schema_named(d->c, STR("public"));
    return s ? s->id : d->c->schemas.n ? d->c->schemas.p[0].id : 0;
}

struct catalog_function sql_step_function(struct sql_ddl *d, str source) {
    return (struct catalog_function){.id = d->c->next_id++,
                                     .schema = schema_here(d),
                                     .owner = d->c->owner,
                                     .name = STR("inline_code_block"),
                                     .language = STR("plpgsql"),
                                     .source = source,
                                     .definer = true,
                                     .returns = PG_VOID};
}

void sql_step_call(struct sql_ddl *d, struct catalog_function f) {
    struct sql_place *p = &d->place;
    if (!p->open) sql_refresh(d);
    reach_all(d, &f.routine);
    f.source = (str){0};
    p->open = true;
    vec_push(d->mem, &p->calls, f);
    sql_step(d, arena_fmt(d->mem, "%u", f.id));
    struct sql_plan_step *step = &d->out->steps.p[d->out->steps.n - 1];
    step->kind = SQL_STEP_CALL, step->catalog = d->plan->catalogs.n + 1;
}

/* ---- a statement of rows ---- */

/* A DO block's variables as their values. */
static str with_values(struct sql_ddl *d, str text) {
    struct catalog_mark m = {0};
    struct buf b = {0};
    size_t from = 0;
    if (!d->places_n) return text;
    while (catalog_mark_next(text, m.end, &m)) {
        if (m.kind != 'A' || !m.id || m.id > d->places_n) continue;
        buf_puts(&b, str_sub(text, from, m.at - from));
        buf_puts(&b, sql_literal(d->mem, d->places[m.id - 1]));
        from = m.end;
    }
    buf_puts(&b, str_sub(text, from, text.n));
    str s = arena_str(d->mem, buf_str(&b));
    buf_free(&b);
    return s;
}

void sql_step_statement(struct sql_ddl *d, const struct catalog_fragment *statement) {
    struct catalog_function f = sql_step_function(d, (str){0});
    struct catalog_fragment own = *statement;
    bool reads = !(own.flags & CATALOG_WRITES);
    const uint32_t code[][CATALOG_OP_WIDTH] = {{CATALOG_OP_RUN, 0, UINT32_MAX, 0, reads ? CATALOG_RUN_QUERY : 0, 1},
                                               {CATALOG_OP_RETURN_NULL, 0, 0, 0, 0, 1}};
    own.text = with_values(d, own.text);
    for (size_t i = 0; i < ARRAY_COUNT(code); i++)
        for (size_t k = 0; k < CATALOG_OP_WIDTH; k++) vec_push(d->mem, &f.routine.code, code[i][k]);
    vec_push(d->mem, &f.routine.statements, own);
    f.routine.places = 1;
    sql_step_call(d, f);
}

err sql_step_with(struct sql_ddl *d, const PgQuery__Node *node) {
    struct sql_context cx = sql_context_of(d);
    struct catalog_function f = sql_step_function(d, (str){0});
    sql_flush(d);
    if (sql_compile_statement(&cx, &f, node, &f.routine) != ERR_OK) return sql_refuse_problem(d, &cx);
    if (d->engine != CATALOG_SQLITE) return ERR_OK;
    for (uint32_t i = 0; i < f.routine.statements.n; i++) {
        struct catalog_fragment *s = &f.routine.statements.p[i];
        str text = sql_expanded(d, s->text, NULL);
        if (!text.n || !sql_reads(d->reader, d->mem, text)) return sql_too_complex(d);
        s->text = with_values(d, s->text);
    }
    sql_step_call(d, f);
    return ERR_OK;
}

/* The relation that a statement writes, and how. */
static const struct catalog_relation *target_of(struct sql_ddl *d, str fragment, uint32_t *events) {
    static const struct {
        const char *verb;
        uint32_t event;
    } verbs[] = {
        {"insert into ", CATALOG_TRIGGER_INSERT}, {"update ", CATALOG_TRIGGER_UPDATE}, {"delete from ", CATALOG_TRIGGER_DELETE}};
    struct catalog_mark m = {0};
    const struct catalog_relation *r = NULL;
    *events = 0;
    while (catalog_mark_next(fragment, m.end, &m)) {
        if (m.kind == 'P' && m.id == 7) *events |= CATALOG_TRIGGER_UPDATE; /* an upsert's */
        for (size_t i = 0; !r && (m.kind == 'R' || m.kind == 'B') && i < ARRAY_COUNT(verbs); i++)
            if (str_ends(str_sub(fragment, 0, m.at), str_c(verbs[i].verb)))
                r = catalog_relation_of(d->c, m.id), *events |= verbs[i].event;
    }
    return r;
}

static bool has_triggers(const struct catalog_relation *r, uint32_t events) {
    for (uint32_t i = 0; i < r->triggers.n; i++)
        if (!r->triggers.p[i].disabled && r->triggers.p[i].when & events) return true;
    return false;
}

/* Of what is written, or of what keys take along. */
static bool fires(struct sql_ddl *d, str fragment) {
    uint32_t events;
    const struct catalog_relation *r = target_of(d, fragment, &events);
    catalog_ids seen = {0};
    if (!r) return false;
    if (r->kind == CATALOG_VIEW || has_triggers(r, events)) return true;
    if (!(events & (CATALOG_TRIGGER_DELETE | CATALOG_TRIGGER_UPDATE))) return false;
    vec_push(d->mem, &seen, r->id);
    for (uint32_t i = 0; i < seen.n; i++) {
        struct catalog_edge e = {0};
        while (catalog_edge_next(d->c, seen.p[i], &e)) {
            uint8_t act = events & CATALOG_TRIGGER_DELETE ? e.key->on_delete : e.key->on_update;
            if (e.key->reference != seen.p[i] || act <= CATALOG_RESTRICT || catalog_ids_have(&seen, e.from->id)) continue;
            if (e.from->triggers.n) return true;
            vec_push(d->mem, &seen, e.from->id);
        }
    }
    return false;
}

/* text: expanded. Nothing fires for rows that are copied: that is among them. */
bool sql_is_call(struct sql_ddl *d, const struct catalog_fragment *f, str text) {
    static const char call[] = "query_"; /* of PL/pgSQL's */
    if (d->engine != CATALOG_SQLITE || d->file->copied || d->platform) return false;
    return (text.n && memmem(text.p, text.n, call, sizeof call - 1)) || fires(d, f->text);
}
