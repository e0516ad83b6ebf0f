/* explain: which rights and policies hold for a role on a table, and which of the rows that there are each of them lets through: as PostgreSQL has them, whoever made them.
 *
 *   what there is ──> for each command: how many rows pass, all policies together, and each by itself ──it fails──> each by itself, so that it is known whose fault it is
 *
 * 1. A policy's expression is evaluated as the role, with its claims: what it calls and reads is what the role may. The rows are the owner's, by a function of his, which is
 *    there for the transaction alone: of that nothing stays, and it may write nothing but that function.
 * 2. The owner asks, and he alone is told: a count says how many rows there are.
 */
#include "node/postgres/broker.h"
#include <stdio.h>

enum { OWN_MS = 60'000, LATE_MS = 2000, BYTES_MAX = 4 << 20 };
enum { SELECT, INSERT, UPDATE, DELETE, COMMANDS };
static const char *const words[COMMANDS] = {"select", "insert", "update", "delete"};
static const char letters[COMMANDS] = {'r', 'a', 'w', 'd'};

struct policy {
    str name, using, check;
    bool permissive;
    char command; /* '*', or of letters */
};
struct item { /* what is asked next: a command, of all policies (NONE), or of one */
    uint32_t command, policy;
};
enum { NONE = UINT32_MAX };
struct explain {
    struct broker_errand *errand;
    str schema, table, role, claims, command;
    str rows, alias; /* select * from it, as a literal; its name */
    bool active, secured, granted[COMMANDS], partly[COMMANDS], enters;
    VEC(struct policy) policies;
    VEC(struct item) items;
    uint32_t at;
    struct buf out;
};

static void over(struct explain *x, err e) {
    struct broker_errand *w = x->errand;
    if (e == ERR_OK) e = node_errand_say(w, buf_str(&x->out));
    buf_free(&x->out);
    node_errand_over(w, e);
}

static err failed(struct explain *x, const struct postgres_answer *a) {
    const struct postgres_error *e = postgres_error(a);
    return diag_set(&x->errand->d, postgres_outcome(a) == POSTGRES_ERROR ? ERR_INVALID : ERR_CLOSED, DIAG_NOWHERE, "%s%s%.600s",
                    e->state, *e->state ? ": " : "", e->message);
}

static void ask(struct explain *x, const struct postgres_statement *s, uint32_t n, postgres_told told) {
    struct broker_errand *w = x->errand;
    (void)postgres_ask(w->base->owner,
                       &(struct postgres_question){
                           .statements = s, .count = n, .ms_max = w->ms_max + LATE_MS, .bytes_max = BYTES_MAX, .undone = true},
                       told, x);
}

/* ---- expressions ---- */

static bool finds(uint32_t command) { return command != INSERT; }
static bool makes(uint32_t command) { return command == INSERT || command == UPDATE; }

static bool is_for(const struct policy *p, uint32_t command) { return p->command == '*' || p->command == letters[command]; }
static str expression_of(const struct policy *p, bool check) { return check && p->check.n ? p->check : p->using; }

/* (a or b) and c; nothing allows it: false. */
static void put_all(const struct explain *x, uint32_t command, bool check, struct buf *b) {
    bool any = false;
    if (!x->active) {
        buf_puts(b, STR("true"));
        return;
    }
    buf_putc(b, '(');
    for (uint32_t i = 0; i < x->policies.n; i++) {
        const struct policy *p = &x->policies.p[i];
        str e = expression_of(p, check);
        if (!p->permissive || !is_for(p, command) || !e.n) continue;
        buf_printf(b, "%s(" STR_FMT ")", any ? " or " : "", STR_ARG(e));
        any = true;
    }
    buf_puts(b, any ? STR(")") : STR("false)"));
    for (uint32_t i = 0; i < x->policies.n; i++) {
        const struct policy *p = &x->policies.p[i];
        str e = expression_of(p, check);
        if (!p->permissive && is_for(p, command) && e.n) buf_printf(b, " and (" STR_FMT ")", STR_ARG(e));
    }
}

static void put_count(struct buf *b, str e) {
    if (e.n) buf_printf(b, ", count(*) filter (where " STR_FMT ")", STR_ARG(e));
    else buf_puts(b, STR(", count(*)"));
}

static void put_counts(const struct explain *x, struct item of, struct buf *b) {
    for (int check = 0; check < 2; check++) {
        if (check ? !makes(of.command) : !finds(of.command)) continue;
        struct buf all = {0};
        put_all(x, of.command, check, &all);
        if (of.policy == NONE) put_count(b, buf_str(&all));
        for (uint32_t i = 0; i < x->policies.n; i++)
            if (is_for(&x->policies.p[i], of.command) && (of.policy == NONE || of.policy == i))
                put_count(b, expression_of(&x->policies.p[i], check));
        buf_free(&all);
    }
}

/* ---- what it comes to ---- */

/* "  1 of 2 rows pass; "own": 1" */
static void tell_counts(struct explain *x, const struct postgres_answer *a, uint32_t statement, struct item of) {
    uint32_t at = 1;
    str rows = postgres_value(a, statement, 0, 0, NULL);
    for (int check = 0; check < 2; check++) {
        if (check ? !makes(of.command) : !finds(of.command)) continue;
        if (of.policy == NONE) {
            str pass = postgres_value(a, statement, 0, at++, NULL);
            buf_printf(&x->out, "  " STR_FMT " of " STR_FMT " rows %s", STR_ARG(pass), STR_ARG(rows),
                       check ? "would be taken as new ones" : "pass");
        }
        bool first = true;
        for (uint32_t i = 0; i < x->policies.n; i++) {
            const struct policy *p = &x->policies.p[i];
            if (!is_for(p, of.command) || (of.policy != NONE && of.policy != i)) continue;
            str n = postgres_value(a, statement, 0, at++, NULL);
            buf_printf(&x->out, "%s \"" STR_FMT "\": " STR_FMT,
                       of.policy != NONE ? " "
                       : first           ? ";"
                                         : ",",
                       STR_ARG(p->name), STR_ARG(n));
            if (of.policy != NONE) buf_puts(&x->out, check ? STR(" rows would be taken as new ones") : STR(" rows pass"));
            first = false;
        }
        buf_putc(&x->out, '\n');
    }
}

static void ask_next(struct explain *x);

/* One that fails, fails whoever asks: which one it is, is looked for. */
static void on_counted(void *arg, const struct postgres_answer *a) {
    struct explain *x = arg;
    struct item of = x->items.p[x->at];
    if (postgres_outcome(a) != POSTGRES_DONE && postgres_outcome(a) != POSTGRES_ERROR) {
        over(x, failed(x, a));
        return;
    }
    if (of.policy == NONE) buf_printf(&x->out, "%s, by the rows that there are:\n", words[of.command]);
    if (postgres_outcome(a) == POSTGRES_DONE) {
        tell_counts(x, a, 4, of);
    } else {
        const struct postgres_error *e = postgres_error(a);
        if (of.policy == NONE) buf_printf(&x->out, "  %s: %s\n", e->state, e->message);
        else buf_printf(&x->out, "  \"" STR_FMT "\": %s: %s\n", STR_ARG(x->policies.p[of.policy].name), e->state, e->message);
        VEC(struct item) more = {0};
        for (uint32_t i = 0; of.policy == NONE && i < x->policies.n; i++)
            if (is_for(&x->policies.p[i], of.command)) vec_push(x->errand->mem, &more, ((struct item){of.command, i}));
        for (uint32_t i = x->at + 1; i < x->items.n; i++) vec_push(x->errand->mem, &more, x->items.p[i]);
        x->items.n = x->at + 1;
        for (uint32_t i = 0; i < more.n; i++) vec_push(x->errand->mem, &x->items, more.p[i]);
    }
    x->at++;
    ask_next(x);
}

static void ask_next(struct explain *x) {
    struct broker_errand *w = x->errand;
    char limit[16];
    if (x->at == x->items.n) {
        over(x, ERR_OK);
        return;
    }
    if (!w->base->owner) {
        over(x, diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system ended meanwhile"));
        return;
    }
    snprintf(limit, sizeof limit, "%u", w->ms_max);
    struct postgres_value *v = arena_array(w->mem, struct postgres_value, 3);
    v[0] = (struct postgres_value){.text = arena_str(w->mem, str_c(limit))};
    v[1] = (struct postgres_value){.text = x->claims.n ? x->claims : STR("{}")};
    v[2] = (struct postgres_value){.text = x->role};
    struct buf b = {0};
    buf_puts(&b, STR("select count(*)"));
    put_counts(x, x->items.p[x->at], &b);
    buf_printf(&b, " from pg_temp._orlo_rows() as " STR_FMT, STR_ARG(x->alias));
    const struct postgres_statement s[] = {
        {.text = STR_INIT("select set_config('search_path', 'pg_catalog', true), set_config('statement_timeout', $1, true)"),
         .values = v,
         .count = 1},
        {.text = arena_fmt(w->mem,
                           "create function pg_temp._orlo_rows() returns setof " STR_FMT "." STR_FMT
                           " language sql security definer set search_path = pg_catalog as " STR_FMT,
                           STR_ARG(x->schema), STR_ARG(x->alias), STR_ARG(x->rows))},
        {.text = STR_INIT("grant execute on function pg_temp._orlo_rows() to public")},
        {.text = STR_INIT("select set_config('transaction_read_only', 'on', true), set_config('request.jwt.claims', $1, true), "
                          "set_config('role', $2, true)"),
         .values = v + 1,
         .count = 2},
        {.text = arena_str(w->mem, buf_str(&b))}};
    buf_free(&b);
    ask(x, s, ARRAY_COUNT(s), on_counted);
}

/* ---- in words ---- */

static void tell_policies(struct explain *x, uint32_t command) {
    bool any = false;
    for (int permissive = 1; permissive >= 0; permissive--)
        for (uint32_t i = 0; i < x->policies.n; i++) {
            const struct policy *p = &x->policies.p[i];
            if (p->permissive != (permissive == 1) || !is_for(p, command)) continue;
            any |= p->permissive;
            buf_printf(&x->out, "  %s \"" STR_FMT "\"", permissive ? "allows:" : "and only if:", STR_ARG(p->name));
            if (finds(command)) buf_printf(&x->out, " rows where " STR_FMT, STR_ARG(p->using));
            if (makes(command))
                buf_printf(&x->out, "%s new rows where " STR_FMT, finds(command) ? ", to" : "", STR_ARG(expression_of(p, true)));
            buf_putc(&x->out, '\n');
        }
    if (!any) buf_puts(&x->out, STR("  no policy allows it: no row passes\n"));
}

static void tell_words(struct explain *x) {
    struct broker_errand *w = x->errand;
    buf_printf(&x->out, STR_FMT "." STR_FMT " as " STR_FMT "\n", STR_ARG(x->schema), STR_ARG(x->alias), STR_ARG(x->role));
    if (!x->enters) buf_printf(&x->out, "its schema: not granted (42501)\n");
    for (uint32_t i = 0; i < COMMANDS; i++) {
        if (x->command.n && !str_eqc(x->command, words[i])) continue;
        buf_printf(&x->out, "%s: %s\n", words[i],
                   x->granted[i]  ? "granted"
                   : x->partly[i] ? "granted for some columns alone (42501 for the others)"
                                  : "not granted (42501)");
        if (x->active) tell_policies(x, i);
        else
            buf_puts(&x->out, x->secured ? STR("  policies do not hold for this role: all rows\n")
                                         : STR("  row level security is off: all rows\n"));
        vec_push(w->mem, &x->items, ((struct item){i, NONE}));
    }
}

/* ---- what there is ---- */

static bool is_true(const struct postgres_answer *a, uint32_t s, uint32_t row, uint32_t column) {
    return str_eqc(postgres_value(a, s, row, column, NULL), "t");
}

static void on_there(void *arg, const struct postgres_answer *a) {
    struct explain *x = arg;
    struct broker_errand *w = x->errand;
    if (postgres_outcome(a) != POSTGRES_DONE) {
        over(x, failed(x, a));
        return;
    }
    if (!postgres_rows(a, 1)) {
        over(x, diag_set(&w->d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no table " STR_FMT "." STR_FMT, STR_ARG(x->schema),
                         STR_ARG(x->table)));
        return;
    }
    x->alias = arena_str(w->mem, postgres_value(a, 1, 0, 0, NULL));
    x->rows = arena_str(w->mem, postgres_value(a, 1, 0, 1, NULL));
    x->secured = is_true(a, 1, 0, 2), x->active = is_true(a, 1, 0, 3), x->enters = is_true(a, 1, 0, 4);
    x->schema = arena_str(w->mem, postgres_value(a, 1, 0, 5, NULL));
    for (uint32_t i = 0; i < COMMANDS; i++)
        x->granted[i] = is_true(a, 1, 0, 6 + 2 * i), x->partly[i] = is_true(a, 1, 0, 7 + 2 * i);
    for (uint32_t i = 0; i < postgres_rows(a, 2); i++) {
        struct policy p = {.name = arena_str(w->mem, postgres_value(a, 2, i, 0, NULL)),
                           .permissive = is_true(a, 2, i, 1),
                           .using = arena_str(w->mem, postgres_value(a, 2, i, 3, NULL)),
                           .check = arena_str(w->mem, postgres_value(a, 2, i, 4, NULL))};
        str command = postgres_value(a, 2, i, 2, NULL);
        p.command = command.n ? (char)command.p[0] : '*';
        vec_push(w->mem, &x->policies, p);
    }
    tell_words(x);
    ask_next(x);
}

static err read_ask(struct explain *x) {
    static const struct json_limits limits = {.bytes_max = 512 << 10, .depth_max = 8, .values_max = 64};
    struct broker_errand *w = x->errand;
    struct json v;
    struct pg_error error = {0};
    str text;
    TRY(node_fd_bytes(w->mem, w->in, MiB, &text, &w->d));
    TRY(json_read(w->mem, text, &limits, &v, &w->d));
    x->role = json_str(json_get(&v, "role")), x->claims = json_str(json_get(&v, "claims"));
    x->command = json_str(json_get(&v, "command")), x->table = json_str(json_get(&v, "table"));
    size_t dot = str_find(x->table, '.');
    x->schema = STR("public");
    if (dot < x->table.n) x->schema = str_sub(x->table, 0, dot), x->table = str_sub(x->table, dot + 1, x->table.n);
    const str all[] = {x->role, x->claims, x->table, x->schema};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (all[i].n && memchr(all[i].p, 0, all[i].n))
            return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "22021: no name has a NUL");
    if (!w->base->made) return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "42P01: nothing was migrated to this database yet");
    if (node_tree_may_be(w->base->made->catalog, x->role, false, &error)) return ERR_OK;
    return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s: %s", error.state, error.message);
}

void node_explain_begin(struct broker_errand *w) {
    static const char table[] =
        "select quote_ident(c.relname), quote_literal(format('select * from %I.%I', n.nspname, c.relname)), c.relrowsecurity, "
        "c.relrowsecurity and not (r.rolsuper or r.rolbypassrls) and (not pg_has_role(r.oid, c.relowner, 'USAGE') or "
        "c.relforcerowsecurity), has_schema_privilege(r.oid, n.oid, 'USAGE'), quote_ident(n.nspname), "
        "has_table_privilege(r.oid, c.oid, 'SELECT'), has_any_column_privilege(r.oid, c.oid, 'SELECT'), "
        "has_table_privilege(r.oid, c.oid, 'INSERT'), has_any_column_privilege(r.oid, c.oid, 'INSERT'), "
        "has_table_privilege(r.oid, c.oid, 'UPDATE'), has_any_column_privilege(r.oid, c.oid, 'UPDATE'), "
        "has_table_privilege(r.oid, c.oid, 'DELETE'), has_table_privilege(r.oid, c.oid, 'DELETE') "
        "from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_roles r "
        "where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p') and r.rolname = $3";
    static const char policies[] =
        "select p.polname, p.polpermissive, p.polcmd, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, "
        "p.polrelid) "
        "from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = $1 and c.relname = $2 and exists (select from unnest(p.polroles) as u (role) where u.role = 0 or "
        "pg_has_role((select oid from pg_roles where rolname = $3), u.role, 'USAGE')) order by p.polname";
    struct broker_base *b = w->base;
    struct explain *x = arena_make(w->mem, struct explain);
    *x = (struct explain){.errand = w};
    err e = read_ask(x);
    if (e != ERR_OK) {
        over(x, e);
        return;
    }
    struct postgres_value *v = arena_array(w->mem, struct postgres_value, 3);
    v[0] = (struct postgres_value){.text = x->schema}, v[1] = (struct postgres_value){.text = x->table};
    v[2] = (struct postgres_value){.text = x->role};
    const struct postgres_statement s[] = {{.text = STR_INIT("select set_config('search_path', 'pg_catalog', true)")},
                                           {.text = str_c(table), .values = v, .count = 3},
                                           {.text = str_c(policies), .values = v, .count = 3}};
    b->owner = node_base_connect(b, "postgres", "postgres", 1);
    ask(x, s, ARRAY_COUNT(s), on_there);
}
