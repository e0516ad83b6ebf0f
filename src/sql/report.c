/* report: what is said of migrations: refusals, remarks, what only PostgreSQL can. All at once, each once. */
#include "sql/ddl_int.h"
#include <stdio.h>

enum { NOTES_MAX = 1'000 };

void sql_note_add(arena *mem, struct sql_report *report, struct sql_note note) {
    if (note.severity == SQL_REFUSAL) report->refused++;
    if (note.severity == SQL_NEEDS_POSTGRES) report->needs_postgres++;
    if (note.severity == SQL_LATER) report->raises++;
    if (report->notes.n >= NOTES_MAX) return;
    for (uint32_t i = report->notes.n; i-- > 0 && i + 20 > report->notes.n;) { /* the same of the same place: once */
        const struct sql_note *n = &report->notes.p[i];
        if (n->line == note.line && n->column == note.column && str_eq(n->file, note.file) && str_eq(n->text, note.text)) return;
    }
    vec_push(mem, &report->notes, note);
}

/* With PostgreSQL behind it, it says itself what is wrong, and knows what no migration says (what a DO block made): only what is no statement, what may not
 * stand there, and what is too large is refused before. */
static bool is_for_postgres(const struct sql_ddl *d, const char *code) {
    static const char *const ours[] = {"42601", "42501", "54", "XX"};
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++)
        if (!strncmp(code, ours[i], strlen(ours[i]))) return false;
    return d->engine == CATALOG_POSTGRES && !d->platform;
}

static void judge(struct sql_ddl *d, enum sql_severity severity, str text) {
    static const uint8_t verdicts[] = {
        [SQL_REFUSAL] = SQL_VERDICT_REFUSED,   [SQL_NEEDS_POSTGRES] = SQL_VERDICT_RUNS, [SQL_LATER] = SQL_VERDICT_LATER,
        [SQL_RECORDED] = SQL_VERDICT_RECORDED, [SQL_IGNORED] = SQL_VERDICT_IGNORED,     [SQL_REMARK] = SQL_VERDICT_RUNS,
        [SQL_LINT] = SQL_VERDICT_RUNS};
    struct sql_statement *s = (struct sql_statement *)(uintptr_t)d->statement;
    if (!s || s->verdict >= verdicts[severity]) return;
    s->verdict = verdicts[severity], s->why = text;
}

static void say(struct sql_ddl *d, enum sql_severity severity, int32_t location, const char *code, str text,
                const char *instead) {
    if (severity == SQL_REFUSAL && is_for_postgres(d, code)) severity = SQL_NEEDS_POSTGRES;
    judge(d, severity, text);
    struct sql_note n = {.severity = (uint8_t)severity, .code = arena_str(d->mem, str_c(code)), .text = text};
    text_tame((char *)(uintptr_t)text.p, text.n);
    if (instead) n.instead = arena_str(d->mem, str_c(instead));
    if (d->file) {
        n.file = d->file->name;
        uint64_t at =
            d->statement ? (location >= 0 ? (uint64_t)d->statement->base + (uint64_t)location : d->statement->offset) : 0;
        if (d->statement) sql_place(d->file->text, d->statement, at, &n.line, &n.column);
    }
    sql_note_add(d->mem, d->report, n);
}

err sql_refuse_at(struct sql_ddl *d, int32_t location, const char *state, const char *instead, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(d->mem, fmt, ap);
    va_end(ap);
    say(d, SQL_REFUSAL, location, state, text, instead);
    return ERR_INVALID;
}

/* With PostgreSQL behind it, it is nothing to refuse: the report says what keeps the project from SQLite. */
static err only_postgres(struct sql_ddl *d, int32_t location, const char *code, str text, const char *instead) {
    say(d, d->engine == CATALOG_POSTGRES ? SQL_NEEDS_POSTGRES : SQL_REFUSAL, location, code, text,
        instead || d->engine == CATALOG_POSTGRES ? instead : "database = \"postgres\" runs it");
    if (d->engine == CATALOG_SQLITE) d->report->needs_postgres++;
    return ERR_INVALID;
}

err sql_needs_postgres(struct sql_ddl *d, int32_t location, const char *instead, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(d->mem, fmt, ap);
    va_end(ap);
    return only_postgres(d, location, "0A000", text, instead);
}

void sql_remark(struct sql_ddl *d, int32_t location, const char *instead, const char *fmt, ...) {
    if (d->platform || d->engine == CATALOG_POSTGRES) return;
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(d->mem, fmt, ap);
    va_end(ap);
    say(d, SQL_REMARK, location, "01000", text, instead);
}

void sql_ignored(struct sql_ddl *d, int32_t location, const char *fmt, ...) {
    if (d->platform || d->engine == CATALOG_POSTGRES) return;
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(d->mem, fmt, ap);
    va_end(ap);
    say(d, SQL_IGNORED, location, "01000", text, NULL);
}

void sql_recorded(struct sql_ddl *d, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(d->mem, fmt, ap);
    va_end(ap);
    say(d, SQL_RECORDED, -1, "01000", text, NULL);
}

/* Is it about something whose making was refused before? That has been said. */
static bool follows(struct sql_ddl *d, const char *message) {
    bool function = !strncmp(message, "function ", 9);
    const char *from = function ? message + 9 : strchr(message, '"'), *to;
    if (!from) return false;
    from += !function;
    to = strchr(from, function ? '(' : '"');
    if (!to) return false;
    str name = {(const uint8_t *)from, (size_t)(to - from)};
    uint64_t there;
    size_t dot = str_find(name, '.');
    return map_get(&d->poisoned, name, &there) || (dot < name.n && map_get(&d->poisoned, str_sub(name, dot + 1, name.n), &there));
}

/* Types that extensions of PostgreSQL's bring, which SQLite has nothing of. */
static bool of_extension(const char *message) {
    static const char *const types[] = {"vector", "halfvec", "sparsevec", "geography", "geometry",
                                        "hstore", "ltree",   "cube",      "box2d",     "raster"};
    char wanted[48];
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        snprintf(wanted, sizeof wanted, "type \"%s\" does", types[i]);
        if (strstr(message, wanted)) return true;
        snprintf(wanted, sizeof wanted, ".%s\" does", types[i]);
        if (strstr(message, wanted)) return true;
    }
    return false;
}

/* ---- what can wait until it is run ---- */

static const char builtins[] =
#define NAMES(names) " " names
#include "sql/builtins.def"
#undef NAMES
    " ";

static bool is_builtin(str name) {
    char wanted[80];
    if (str_starts(name, STR("pg_catalog."))) name = str_sub(name, 11, name.n);
    if (!name.n || name.n > 63) return false;
    snprintf(wanted, sizeof wanted, " " STR_FMT " ", STR_ARG(name));
    return strstr(builtins, wanted) != NULL;
}

static bool lacks_extension(const struct sql_ddl *d) {
    for (uint32_t i = 0; i < d->c->extensions.n; i++)
        if (d->c->extensions.p[i].how == CATALOG_EXT_ABSENT) return true;
    return false;
}

/* "function left(text) does not exist" */
static str function_in(const char *message) {
    static const char before[] = "function ";
    if (strncmp(message, before, sizeof before - 1) != 0) return (str){0};
    str name = str_c(message + sizeof before - 1);
    return str_sub(name, 0, str_find(name, '('));
}

/* "operator does not exist: uuid = text": of such names and types there are PostgreSQL's own operators, and no extension adds any. */
static bool is_plain_operator(const char *message) {
    static const char before[] = "operator does not exist: ", *const names[] = {" = ", " <> ", " < ", " > ", " <= ", " >= ",
                                                                                " + ", " - ",  " * ", " / ", " || ", " ~~ "};
    static const char *const types[] = {"uuid",
                                        "text",
                                        "character varying",
                                        "integer",
                                        "bigint",
                                        "smallint",
                                        "numeric",
                                        "boolean",
                                        "date",
                                        "timestamp with time zone",
                                        "timestamp without time zone",
                                        "interval",
                                        "json",
                                        "jsonb",
                                        "double precision",
                                        "real",
                                        "name",
                                        "bytea"};
    if (strncmp(message, before, sizeof before - 1) != 0) return false;
    str all = str_c(message + sizeof before - 1);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const uint8_t *at = memmem(all.p, all.n, names[i], strlen(names[i]));
        if (!at) continue;
        size_t to = (size_t)(at - all.p), known = 0;
        str sides[] = {str_sub(all, 0, to), str_sub(all, to + strlen(names[i]), all.n)};
        for (size_t k = 0; k < 2 * ARRAY_COUNT(types); k++) known += str_eqc(sides[k % 2], types[k / 2]);
        return known == 2;
    }
    return false;
}

bool sql_is_lack(const struct sql_ddl *d, const struct sql_problem *p) {
    if (d->platform || d->engine != CATALOG_SQLITE) return false;
    if (!strcmp(p->state, "0A000") || !strcmp(p->state, "54001")) return true;
    bool missing = !strcmp(p->state, "42883") || !strcmp(p->state, "42704");
    return missing && ((lacks_extension(d) && !is_plain_operator(p->message)) || is_builtin(function_in(p->message)));
}

static void raises(struct sql_ddl *d, int32_t location, const char *code, str text, const char *instead) {
    if (d->refreshing) return; /* it was said when it was made */
    say(d, d->report->strict ? SQL_REFUSAL : SQL_LATER, location, code, text, instead);
}

void sql_raises(struct sql_ddl *d, int32_t location, const char *code, const char *instead, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    raises(d, location, code, arena_vfmt(d->mem, fmt, ap), instead);
    va_end(ap);
}

err sql_put_off(struct sql_ddl *d, const struct sql_context *cx, str *why_not, const char *fmt, ...) {
    const struct sql_problem *p = &cx->problem;
    *why_not = arena_str(d->mem, str_c(p->message));
    if (!sql_is_lack(d, p) || d->report->strict) return sql_refuse_problem(d, cx);
    va_list ap;
    va_start(ap, fmt);
    str what = arena_vfmt(d->mem, fmt, ap);
    va_end(ap);
    raises(d, p->location, "0A000",
           arena_fmt(d->mem, STR_FMT ": %s%s%s", STR_ARG(what), p->message, p->detail[0] ? ": " : "", p->detail),
           p->hint[0] && strcmp(p->state, "42883") != 0 ? p->hint : "database = \"postgres\" runs it");
    return ERR_OK;
}

#define BY_HAND                                                                                                                  \
    "no migration creates it: is it spelled so? Made by hand in the dashboard? orlo db pull writes what stands there as the "    \
    "first migration; or add its create table"

err sql_refuse_problem(struct sql_ddl *d, const struct sql_context *cx) {
    const struct sql_problem *p = &cx->problem;
    if (follows(d, p->message)) return ERR_INVALID;
    str text =
        arena_fmt(d->mem, "%s%s%s%s", p->message, p->detail[0] ? ": " : "", p->detail, p->in[0] ? " (in what it calls)" : "");
    if (!strcmp(p->state, "42704") && of_extension(p->message))
        return only_postgres(d, p->location, "0A000", text, "database = \"postgres\" with the extension installed");
    if (!strcmp(p->state, "0A000") || !strcmp(p->state, "54001"))
        return only_postgres(d, p->location, p->state, text,
                             p->hint[0]           ? p->hint
                             : p->state[0] == '5' ? "take a part of it into a function, a view or a WITH query"
                                                  : NULL);
    if (sql_is_lack(d, p))
        return only_postgres(d, p->location, "0A000", text, NULL); /* one of PostgreSQL's own, or of an extension's */
    /* A function that is not known may be one of PostgreSQL's that is not there: on that engine it is PostgreSQL's to say. */
    if (d->engine == CATALOG_POSTGRES && (!strcmp(p->state, "42883") || !strcmp(p->state, "42704")))
        return only_postgres(d, p->location, p->state, text, "a deployment is refused unless PostgreSQL has it, or an extension");
    bool relation = !strcmp(p->state, "42P01") && strstr(p->message, "relation");
    say(d, SQL_REFUSAL, p->location, p->state, text,
        p->hint[0]                   ? p->hint
        : relation                   ? BY_HAND
        : !strcmp(p->state, "42883") ? "if it is one of PostgreSQL's own, database = \"postgres\" has it"
                                     : NULL);
    return ERR_INVALID;
}

err sql_no_relation(struct sql_ddl *d, const PgQuery__RangeVar *var) {
    str name = sql_dotted(d, str_c(var->schemaname), str_c(var->relname));
    uint64_t there;
    if (map_get(&d->poisoned, str_c(var->relname), &there)) return ERR_INVALID;
    return sql_refuse_at(d, var->location, "42P01", BY_HAND, "relation \"" STR_FMT "\" does not exist", STR_ARG(name));
}
