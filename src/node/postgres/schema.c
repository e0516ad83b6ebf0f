/* schema: what a database is made of, as SQL, object by object: what stands in it, whoever made it; and what the app's migrations make of an empty one.
 *
 *   SCHEMA   a database beside it, _diff, of the template ──a plan's statements, in a transaction of which nothing stays──> its objects
 *            the app's own ──────────────────────────────────────────────────────────────────────────────────────────────> its objects
 *            _diff goes; what is left of one that did not come to its end goes with the next
 *
 * An object is a line of JSON: [phase, kind, key, SQL that makes it, SQL that takes it away, the table that it is of]. Phases are the order in which they can be made (command/db_schema.c);
 * 31 and 32, columns and their nulls, stand in their table's SQL too. Of the platform's own the same stands in both. Where somebody else runs the server there is no second list.
 */
#include "node/postgres/broker.h"

enum { OWN_MS = 60'000, BYTES_MAX = 64 << 20, LATE_MS = 2000 };

static const char objects[] =
    "with ns as materialized (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname not in "
    "('information_schema', '_orlo')), "
    "ext as materialized (select classid, objid from pg_depend where deptype = 'e'), "
    "own as materialized (select d.objid from pg_depend d where d.classid = 'pg_class'::regclass and d.deptype = 'i' and "
    "d.refclassid = 'pg_class'::regclass), "
    "rel as materialized (select c.*, n.nspname, format('%I.%I', n.nspname, c.relname) as whole, "
    "case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'f' then 'foreign "
    "table' else 'table' end as what "
    "from pg_class c join ns n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and not exists "
    "(select from ext e where e.classid = 'pg_class'::regclass and e.objid = c.oid)), "
    "col as materialized (select a.*, r.whole, r.oid as reloid, t.typname, format('%s.%I', r.whole, a.attname) as name, "
    "format_type(a.atttypid, a.atttypmod) as typ, "
    "case when a.attcollation <> 0 and a.attcollation <> t.typcollation then (select format(' collate %I.%I', cn.nspname, "
    "co.collname) from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation) "
    "else '' end as coll, "
    "pg_get_expr(d.adbin, d.adrelid) as def "
    "from pg_attribute a join rel r on r.oid = a.attrelid and r.relkind in ('r', 'p', 'f') join pg_type t on t.oid = "
    "a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum "
    "where a.attnum > 0 and not a.attisdropped and a.attislocal), "
    "fn as materialized (select p.*, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) "
    "as whole, case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as what "
    "from pg_proc p join ns n on n.oid = p.pronamespace where not exists (select from ext e where e.classid = "
    "'pg_proc'::regclass and e.objid = p.oid)), "
    "typ as materialized (select t.*, format('%I.%I', n.nspname, t.typname) as whole from pg_type t join ns n on n.oid = "
    "t.typnamespace left join pg_class c on c.oid = t.typrelid "
    "where (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and c.relkind = 'c')) and not exists (select from ext e where "
    "e.classid = 'pg_type'::regclass and e.objid = t.oid)), "
    "acl (phase, what, whole, acl, own) as ( "
    "select 85, 'table', whole, coalesce(relacl, acldefault('r', relowner)), relowner from rel where relkind in ('r', 'p', "
    "'v', 'm', 'f') "
    "union all select 85, 'sequence', whole, coalesce(relacl, acldefault('s', relowner)), relowner from rel where relkind "
    "= 'S' "
    "union all select 86, what, whole, coalesce(proacl, acldefault('f', proowner)), proowner from fn where prokind in "
    "('f', 'p', 'w') "
    "union all select 84, 'schema', format('%I', n.nspname), coalesce(n.nspacl, acldefault('n', n.nspowner)), n.nspowner "
    "from pg_namespace n join ns on ns.oid = n.oid), "
    "given as (select a.phase, a.what, a.whole, case when x.grantee = 0 then 'public' else format('%I', g.rolname) end as "
    "grantee, string_agg(lower(x.privilege_type), ', ' order by x.privilege_type) filter (where not x.is_grantable) as "
    "plain, "
    "string_agg(lower(x.privilege_type), ', ' order by x.privilege_type) filter (where x.is_grantable) as with_option "
    "from acl a cross join lateral aclexplode(a.acl) x left join pg_roles g on g.oid = x.grantee where x.grantee <> a.own "
    "group by 1, 2, 3, 4) "
    "select json_build_array(phase, kind, key, text, gone, of)::text from ( "
    "select 10 as phase, 0::bigint as place, 'schema' as kind, format('%I', nspname) as key, format('create schema if not "
    "exists %I;', nspname) as text, format('drop schema %I;', nspname) as gone, '' as of from ns where nspname <> 'public' "
    "union all select 15, e.oid::bigint, 'extension', quote_ident(e.extname), format('create extension if not exists %I "
    "with schema %I;', e.extname, n.nspname), format('drop extension %I;', e.extname), '' from pg_extension e join "
    "pg_namespace n on n.oid = e.extnamespace where e.extname <> 'plpgsql' "
    "union all select 20, t.oid::bigint, case t.typtype when 'd' then 'domain' else 'type' end, t.whole, "
    "case t.typtype when 'e' then format('create type %s as enum (%s);', t.whole, (select "
    "string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) from pg_enum where enumtypid = t.oid)) "
    "when 'd' then format('create domain %s as %s%s%s%s;', t.whole, format_type(t.typbasetype, t.typtypmod), coalesce(' "
    "default ' || t.typdefault, ''), case when t.typnotnull then ' not null' else '' end, "
    "(select string_agg(format(' constraint %I %s', conname, pg_get_constraintdef(oid)), '' order by conname) from "
    "pg_constraint where contypid = t.oid)) "
    "when 'r' then format('create type %s as range (subtype = %s);', t.whole, (select format_type(rngsubtype, null) from "
    "pg_range where rngtypid = t.oid)) "
    "else format('create type %s as (%s);', t.whole, (select string_agg(format('%I %s', attname, format_type(atttypid, "
    "atttypmod)), ', ' order by attnum) from pg_attribute where attrelid = t.typrelid and attnum > 0 and not "
    "attisdropped)) end, "
    "format('drop %s %s;', case t.typtype when 'd' then 'domain' else 'type' end, t.whole), '' from typ t "
    "union all select 25, r.oid::bigint, 'sequence', r.whole, format('create sequence %s as %s increment by %s minvalue %s "
    "maxvalue %s start with %s cache %s%s;', r.whole, format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax, "
    "s.seqstart, s.seqcache, case when s.seqcycle then ' cycle' else '' end), "
    "format('drop sequence %s;', r.whole), '' from rel r join pg_sequence s on s.seqrelid = r.oid where not exists (select "
    "from own o where o.objid = r.oid) "
    "union all select 30, case when r.relispartition then 4294967296 else 0 end + r.oid::bigint, 'table', r.whole, "
    "case when r.relispartition then format('create table %s partition of %s %s%s;', r.whole, (select format('%I.%I', "
    "n.nspname, p.relname) from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace n on n.oid = "
    "p.relnamespace where i.inhrelid = r.oid), pg_get_expr(r.relpartbound, r.oid), coalesce(' partition by ' || "
    "pg_get_partkeydef(r.oid), '')) "
    "else format(E'create %stable %s (%s)%s%s;', case when r.relpersistence = 'u' then 'unlogged ' else '' end, r.whole, "
    "(select string_agg(format(E'\\n    %I %s%s%s%s', c.attname, c.typ, c.coll, case when c.attgenerated = 's' then "
    "format(' generated always as (%s) stored', c.def) when c.attidentity = 'a' then ' generated always as identity' when "
    "c.attidentity = 'd' then ' generated by default as identity' else '' end, case when c.attnotnull then ' not null' "
    "else '' end), ',' order by c.attnum) || E'\\n' from col c where c.reloid = r.oid), "
    "(select format(' inherits (%s)', string_agg(format('%I.%I', n.nspname, p.relname), ', ' order by i.inhseqno)) from "
    "pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace n on n.oid = p.relnamespace where i.inhrelid = "
    "r.oid having count(*) > 0), "
    "coalesce(' partition by ' || pg_get_partkeydef(r.oid), '')) end, "
    "format('drop table %s;', r.whole), '' from rel r where r.relkind in ('r', 'p') "
    "union all select 31, c.attnum, 'column', c.name, format('alter table %s add column %I %s%s%s;', c.whole, c.attname, "
    "c.typ, c.coll, case when c.attgenerated = 's' then format(' generated always as (%s) stored', c.def) when "
    "c.attidentity = 'a' then ' generated always as identity' when c.attidentity = 'd' then ' generated by default as "
    "identity' else '' end), "
    "format('alter table %s drop column %I;', c.whole, c.attname), c.whole from col c "
    "union all select 32, c.attnum, 'not null', c.name, format('alter table %s alter column %I set not null;', c.whole, "
    "c.attname), format('alter table %s alter column %I drop not null;', c.whole, c.attname), c.whole from col c where "
    "c.attnotnull "
    "union all select 40, f.oid::bigint, f.what, f.whole, case when f.prokind = 'a' then format('-- aggregate %s: not told "
    "here', f.whole) else pg_get_functiondef(f.oid) || ';' end, format('drop %s %s;', f.what, f.whole), '' from fn f "
    "union all select 40, r.oid::bigint, r.what, r.whole, format(E'create %s %s%s as\\n%s', r.what, r.whole, coalesce(' "
    "with (' || array_to_string(r.reloptions, ', ') || ')', ''), pg_get_viewdef(r.oid)), format('drop %s %s;', r.what, "
    "r.whole), '' from rel r where r.relkind in ('v', 'm') "
    "union all select 41, r.oid::bigint, 'foreign table', r.whole, format('-- foreign table %s: not told here', r.whole), "
    "'', '' from rel r where r.relkind = 'f' "
    "union all select 45, c.attnum, 'default', c.name, format('alter table %s alter column %I set default %s;', c.whole, "
    "c.attname, c.def), format('alter table %s alter column %I drop default;', c.whole, c.attname), c.whole from col c "
    "where c.def is not null and c.attgenerated = '' "
    "union all select case when k.contype = 'f' then 65 else 50 end, case k.contype when 'p' then 0 when 'u' then 1 else 2 "
    "end, 'constraint', format('%s %I', r.whole, k.conname), format('alter table %s add constraint %I %s;', r.whole, "
    "k.conname, pg_get_constraintdef(k.oid)), format('alter table %s drop constraint %I;', r.whole, k.conname), r.whole "
    "from pg_constraint k join rel r on r.oid = k.conrelid where k.contype in ('p', 'u', 'c', 'x', 'f') and k.conparentid "
    "= 0 and k.conislocal "
    "union all select 60, x.oid::bigint, 'index', format('%I.%I', r.nspname, x.relname), pg_get_indexdef(x.oid) || ';', "
    "format('drop index %I.%I;', r.nspname, x.relname), r.whole "
    "from pg_index i join pg_class x on x.oid = i.indexrelid join rel r on r.oid = i.indrelid where not exists (select "
    "from pg_constraint k where k.conindid = x.oid and k.contype in ('p', 'u', 'x')) and not x.relispartition "
    "union all select 66, r.oid::bigint, 'owned sequence', r.whole, format('alter sequence %s owned by %s.%I;', r.whole, "
    "o.whole, a.attname), format('alter sequence %s owned by none;', r.whole), o.whole "
    "from rel r join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype = 'a' and "
    "d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 join rel o on o.oid = d.refobjid join pg_attribute a on "
    "a.attrelid = o.oid and a.attnum = d.refobjsubid where r.relkind = 'S' "
    "union all select 70, t.oid::bigint, 'trigger', format('%s %I', r.whole, t.tgname), pg_get_triggerdef(t.oid) || ';' || "
    "case t.tgenabled when 'D' then format(E'\\nalter table %s disable trigger %I;', r.whole, t.tgname) when 'R' then "
    "format(E'\\nalter table %s enable replica trigger %I;', r.whole, t.tgname) when 'A' then format(E'\\nalter table %s "
    "enable always trigger %I;', r.whole, t.tgname) else '' end, "
    "format('drop trigger %I on %s;', t.tgname, r.whole), r.whole from pg_trigger t join rel r on r.oid = t.tgrelid join "
    "pg_proc p on p.oid = t.tgfoid join pg_namespace pn on pn.oid = p.pronamespace where not t.tgisinternal and pn.nspname "
    "<> '_orlo' and t.tgparentid = 0 "
    "union all select 75, 0, 'row level security', r.whole, format('alter table %s enable row level security;', r.whole), "
    "format('alter table %s disable row level security;', r.whole), r.whole from rel r where r.relrowsecurity "
    "union all select 76, 0, 'forced row level security', r.whole, format('alter table %s force row level security;', "
    "r.whole), format('alter table %s no force row level security;', r.whole), r.whole from rel r where "
    "r.relforcerowsecurity "
    "union all select 80, 0, 'policy', format('%s %I', r.whole, p.polname), format('create policy %I on %s as %s for %s to "
    "%s%s%s;', p.polname, r.whole, case when p.polpermissive then 'permissive' else 'restrictive' end, "
    "case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' "
    "end, (select string_agg(case when u.role = 0 then 'public' else quote_ident(g.rolname) end, ', ' order by g.rolname) "
    "from unnest(p.polroles) as u (role) left join pg_roles g on g.oid = u.role), "
    "' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) "
    "|| ')'), format('drop policy %I on %s;', p.polname, r.whole), r.whole from pg_policy p join rel r on r.oid = "
    "p.polrelid "
    "union all select a.phase, 0, 'grants', a.what || ' ' || a.whole, format('revoke all on %s %s from public, anon, "
    "authenticated, service_role;', a.what, a.whole) || coalesce((select string_agg(case when g.plain is null then '' else "
    "format(E'\\ngrant %s on %s %s to %s;', g.plain, g.what, g.whole, g.grantee) end || case when g.with_option is null "
    "then '' else format(E'\\ngrant %s on %s %s to %s with grant option;', g.with_option, g.what, g.whole, g.grantee) end, "
    "'' order by g.grantee) from given g where g.what = a.what and g.whole = a.whole), ''), '', '' from acl a where "
    "(a.what, a.whole) <> ('schema', 'public') "
    "union all select 87, c.attnum, 'column grants', c.name, string_agg(format('grant %s (%I) on table %s to %s;', "
    "lower(x.privilege_type), c.attname, c.whole, case when x.grantee = 0 then 'public' else format('%I', g.rolname) end), "
    "E'\\n' order by g.rolname, x.privilege_type), string_agg(format('revoke %s (%I) on table %s from %s;', "
    "lower(x.privilege_type), c.attname, c.whole, case when x.grantee = 0 then 'public' else format('%I', g.rolname) end), "
    "E'\\n' order by g.rolname, x.privilege_type), c.whole "
    "from col c cross join lateral aclexplode(c.attacl) x left join pg_roles g on g.oid = x.grantee group by c.attnum, "
    "c.name, c.whole "
    "union all select 88, 0, 'publication', format('%I %s', p.pubname, r.whole), format('alter publication %I add table "
    "%s;', p.pubname, r.whole), format('alter publication %I drop table %s;', p.pubname, r.whole), r.whole from "
    "pg_publication_rel m join pg_publication p on p.oid = m.prpubid join rel r on r.oid = m.prrelid "
    "union all select 90, 0, 'comment', i.type || ' ' || i.identity, format('comment on %s %s is %L;', case i.type when "
    "'table column' then 'column' when 'view column' then 'column' when 'table constraint' then 'constraint' else i.type "
    "end, i.identity, d.description), format('comment on %s %s is null;', case i.type when 'table column' then 'column' "
    "when 'view column' then 'column' when 'table constraint' then 'constraint' else i.type end, i.identity), '' "
    "from pg_description d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i where "
    "coalesce(i.schema, '') not in ('pg_catalog', 'information_schema', '_orlo') and coalesce(i.schema, '') !~ '^pg_' and "
    "i.type in ('table', 'view', 'materialized view', 'sequence', 'index', 'table column', 'view column', 'function', "
    "'procedure', 'type', 'domain', 'policy', 'trigger', 'table constraint') "
    "and not exists (select from ext e where e.classid = d.classoid and e.objid = d.objoid) "
    ") as o order by phase, place, key collate \"C\" ";

struct schema {
    struct broker_errand *errand;
    struct migration_plan plan;
    VEC(struct postgres_statement) s;
    VEC(const struct migration_step *) steps; /* of s; NULL: our own */
    struct postgres *beside;                  /* connections to _diff */
    struct buf out;
    bool made, ends; /* made: there is one to be dropped; ends: it is to be, where nobody is told */
};

static err say_failed(struct schema *x, const struct postgres_answer *a) {
    const struct postgres_error *e = postgres_error(a);
    struct broker_errand *w = x->errand;
    if (w->e != ERR_OK) return w->e;
    return diag_set(&w->d, postgres_outcome(a) == POSTGRES_ERROR ? ERR_INVALID : ERR_CLOSED, DIAG_NOWHERE, "%s%s%.600s", e->state,
                    *e->state ? ": " : "", e->message);
}

static void over(struct schema *x) {
    struct broker_errand *w = x->errand;
    err e = w->e;
    if (e == ERR_OK) e = node_errand_say(w, buf_str(&x->out));
    buf_free(&x->out);
    w->schema = NULL;
    node_errand_over(w, e);
}

static void ask(struct schema *x, struct postgres *db, const char *text, bool bare, postgres_told told) {
    const struct postgres_statement s = {.text = str_c(text)};
    (void)postgres_ask(
        db, &(struct postgres_question){.statements = &s, .count = 1, .ms_max = OWN_MS, .bytes_max = MiB, .bare = bare}, told, x);
}

static void put_objects(struct schema *x, const struct postgres_answer *a, uint32_t statement) {
    for (uint32_t i = 0; i < postgres_rows(a, statement); i++) {
        buf_puts(&x->out, postgres_value(a, statement, i, 0, NULL));
        buf_putc(&x->out, '\n');
    }
}

/* ---- what the migrations make ---- */

static void on_dropped(void *arg, const struct postgres_answer *a) {
    struct schema *x = arg;
    if (postgres_outcome(a) != POSTGRES_DONE) x->errand->e = say_failed(x, a);
    over(x);
}

static err name_step(struct schema *x, const struct postgres_error *e) {
    struct broker_errand *w = x->errand;
    const struct migration_step *of = e->statement < x->steps.n ? x->steps.p[e->statement] : NULL;
    for (uint32_t i = 0; of && i < x->plan.parts.n; i++) {
        const struct migration_part *p = &x->plan.parts.p[i];
        if (of < p->steps.p || of >= p->steps.p + p->steps.n) continue;
        return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE,
                        STR_FMT ":%u: %s: %.600s (as it is run beside the database, to be compared with it)", STR_ARG(p->name),
                        of->line, e->state, e->message);
    }
    return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s: %.600s", e->state, e->message);
}

static void on_made(void *arg, const struct postgres_answer *a) {
    struct schema *x = arg;
    struct broker_errand *w = x->errand;
    if (postgres_outcome(a) == POSTGRES_DONE) buf_puts(&x->out, STR("-\n")), put_objects(x, a, x->s.n - 1);
    else if (postgres_outcome(a) == POSTGRES_ERROR) w->e = name_step(x, postgres_error(a));
    else w->e = say_failed(x, a);
    x->ends = true;
}

static void push(struct schema *x, str text, const struct migration_step *step) {
    arena *mem = x->errand->mem;
    vec_push(mem, &x->s, ((struct postgres_statement){.text = text}));
    vec_push(mem, &x->steps, step);
}

/* Roles are of the whole server: they are there. */
static bool makes_role(str text) {
    static const char *const words[] = {"create role ", "create user ", "create group "};
    while (text.n && (text.p[0] <= ' ' || str_starts(text, STR("--")))) {
        str line;
        if (text.p[0] <= ' ') text = str_sub(text, 1, text.n);
        else str_cut(text, '\n', &line, &text);
    }
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eq_nocase(str_sub(text, 0, strlen(words[i])), str_c(words[i])) && !str_starts(text, STR("create user mapping")))
            return true;
    return false;
}

static void on_there(void *arg, const struct postgres_answer *a) {
    struct schema *x = arg;
    struct broker_errand *w = x->errand;
    if (postgres_outcome(a) != POSTGRES_DONE) {
        w->e = say_failed(x, a);
        over(x);
        return;
    }
    x->made = true;
    push(x, arena_fmt(w->mem, "set local statement_timeout = %u", w->ms_max), NULL);
    for (uint32_t i = 0; i < x->plan.parts.n; i++) {
        const struct migration_part *p = &x->plan.parts.p[i];
        for (uint32_t k = 0; k < p->steps.n; k++)
            if (!makes_role(p->steps.p[k].text)) push(x, p->steps.p[k].text, &p->steps.p[k]);
        push(x, STR("reset session authorization"), NULL);
        push(x, STR("reset role"), NULL);
        push(x, STR("reset search_path"), NULL);
    }
    push(x, STR("set local search_path = pg_catalog"), NULL);
    push(x, str_c(objects), NULL);
    x->beside = node_base_connect(w->base, "postgres", "_diff", 1);
    uint64_t ms = MIN((uint64_t)w->ms_max * (x->s.n + 1), (uint64_t)3'600'000);
    (void)postgres_ask(x->beside,
                       &(struct postgres_question){
                           .statements = x->s.p, .count = x->s.n, .ms_max = (uint32_t)ms, .bytes_max = BYTES_MAX, .undone = true},
                       on_made, x);
}

static void on_gone(void *arg, const struct postgres_answer *a) {
    struct schema *x = arg;
    if (postgres_outcome(a) == POSTGRES_DONE && x->errand->base->admin) {
        ask(x, x->errand->base->admin, "create database _diff template _platform owner postgres", true, on_there);
        return;
    }
    x->errand->e = say_failed(x, a);
    over(x);
}

/* ---- what stands there ---- */

static void on_live(void *arg, const struct postgres_answer *a) {
    struct schema *x = arg;
    struct broker_errand *w = x->errand;
    if (postgres_outcome(a) != POSTGRES_DONE) {
        w->e = say_failed(x, a);
        over(x);
        return;
    }
    put_objects(x, a, 1);
    if (w->base->secret[0] || !w->base->admin) over(x);
    else ask(x, w->base->admin, "drop database if exists _diff with (force)", true, on_gone);
}

str node_schema_objects(void) { return str_c(objects); }

void node_schema_begin(struct broker_errand *w) {
    struct broker_base *b = w->base;
    struct schema *x = arena_make(w->mem, struct schema);
    str bytes = {0};
    *x = (struct schema){.errand = w};
    w->schema = x;
    err e = w->in >= 0 ? node_fd_bytes(w->mem, w->in, MIGRATION_PLAN_BYTES_MAX, &bytes, &w->d) : ERR_OK;
    if (e == ERR_OK && bytes.n) e = node_migration_plan_read(w->mem, bytes, &x->plan, &w->d);
    if (e == ERR_OK && x->plan.errors) e = diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "a plan that has mistakes");
    w->e = e;
    if (e != ERR_OK) {
        over(x);
        return;
    }
    const struct postgres_statement s[] = {{.text = STR_INIT("set local search_path = pg_catalog")}, {.text = str_c(objects)}};
    b->owner = node_base_connect(b, "postgres", "postgres", 1);
    (void)postgres_ask(b->owner,
                       &(struct postgres_question){
                           .statements = s, .count = ARRAY_COUNT(s), .ms_max = OWN_MS, .bytes_max = BYTES_MAX, .undone = true},
                       on_live, x);
}

/* Its connections are not closed where one of them is told something. */
void node_schema_tick(struct broker_errand *w) {
    struct schema *x = w->schema;
    if (!x || !x->ends) return;
    x->ends = false;
    if (x->beside) {
        postgres_end(x->beside, "it is done");
        postgres_free(x->beside);
        x->beside = NULL;
    }
    if (w->base->admin) {
        ask(x, w->base->admin, "drop database if exists _diff with (force)", true, on_dropped);
        return;
    }
    if (w->e == ERR_OK) w->e = diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system ended meanwhile");
    over(x);
}
