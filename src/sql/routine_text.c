/* routine_text: a text that a function runs (EXECUTE), as its statements: what sql/routine.c makes of one that stands in the function's body.
 *
 * 1. Names are looked for, and relations seen, as in the function: no variable of its is in sight, but $1, $2 …
 * 2. What is of its definer's in other functions is called, and never taken in: the text has the function's rights and no others.
 * 3. Texts are bounded as statements of files are (parse.c), and no more than CATALOG_TEXT_PARTS_MAX stand in one.
 */
#include "sql/parse.h"
#include "sql/routine_int.h"
#include <stdio.h>

struct answering {
    arena *mem;
    const struct catalog *catalog;
    const struct sql_reader *reader;
    const struct catalog_text *text;
    struct catalog_text_answer *out;
    struct sql_context cx;
    struct routine r;
    struct catalog_routine made; /* casts */
};

static void wrong(struct answering *a, const char *state, const char *message, const char *hint) {
    *a->out = (struct catalog_text_answer){.state = str_c(state), .message = arena_str(a->mem, str_c(message))};
    if (hint) a->out->hint = str_c(hint);
}

static void wrong_problem(struct answering *a) {
    const struct sql_problem *p = &a->cx.problem;
    if (!p->set) {
        wrong(a, "XX000", "a statement is not understood", NULL);
        return;
    }
    *a->out = (struct catalog_text_answer){.state = arena_str(a->mem, str_c(p->state)),
                                           .message = arena_str(a->mem, str_c(p->message)),
                                           .detail = arena_str(a->mem, str_c(p->detail)),
                                           .hint = arena_str(a->mem, str_c(p->hint))};
}

/* ---- what EXECUTE does not do ---- */

static bool is_rows(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT || n->node_case == PG_QUERY__NODE__NODE_INSERT_STMT ||
           n->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT || n->node_case == PG_QUERY__NODE__NODE_DELETE_STMT ||
           n->node_case == PG_QUERY__NODE__NODE_MERGE_STMT;
}

static bool refuses(struct answering *a, const PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        wrong(a, "0A000", "EXECUTE of transaction commands is not implemented", NULL);
        return true;
    case PG_QUERY__NODE__NODE_COPY_STMT: wrong(a, "0A000", "cannot COPY to/from client in PL/pgSQL", NULL); return true;
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        if (!n->select_stmt->into_clause) return false;
        wrong(a, "0A000", "EXECUTE of SELECT ... INTO is not implemented",
              "You might want to use EXECUTE ... INTO or EXECUTE CREATE TABLE ... AS instead.");
        return true;
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
    case PG_QUERY__NODE__NODE_LOCK_STMT:
    case PG_QUERY__NODE__NODE_VACUUM_STMT: return false;
    case PG_QUERY__NODE__NODE_DO_STMT:
        wrong(a, "0A000", "EXECUTE of a DO block is not there on SQLite", "Write the statements themselves.");
        return true;
    default: break;
    }
    wrong(a, "0A000", "EXECUTE of a statement that defines something is not there on SQLite, once the app is deployed",
          "Do it in a migration.");
    return true;
}

/* ---- the parts ---- */

/* What is not of the type that is wanted is cast when it is there. */
static void add_casts(struct answering *a, struct catalog_text_part *p) {
    const catalog_fields *want = &a->text->want;
    bool any = false;
    for (uint32_t i = 0; i < p->columns.n && i < want->n; i++)
        any |= p->columns.p[i].type != want->p[i].type || p->columns.p[i].typmod != want->p[i].typmod;
    if (!any || a->text->use == CATALOG_TEXT_RESULT) return;
    for (uint32_t i = 0; i < p->columns.n && i < want->n; i++) {
        const struct catalog_field *from = &p->columns.p[i], *to = &want->p[i];
        uint32_t e;
        struct catalog_fragment none = {.typmod = -1};
        if (from->type == to->type && (from->typmod == to->typmod || to->typmod == -1)) {
            vec_push(a->mem, &p->casts, none);
            continue;
        }
        if (sql_routine_cast(&a->r, 0, from->type, to->type, to->typmod, &e) == ERR_OK)
            vec_push(a->mem, &p->casts, a->made.statements.p[e]);
    }
}

static const char *verb_of(str text) {
    struct catalog_mark m = {0};
    while (catalog_mark_next(text, m.end, &m))
        if (m.kind == 'P' && m.id == 1) {
            uint8_t c = m.end < text.n ? text.p[m.end] : 0;
            return c == 'i' ? "INSERT " : c == 'u' ? "UPDATE " : "DELETE ";
        }
    return "";
}

static bool is_result(struct answering *a, const struct catalog_text_part *p) {
    const catalog_fields *want = &a->text->want;
    char detail[256];
    const char *said = "structure of query does not match function result type";
    if (!p->columns.n) {
        const char *verb = verb_of(p->fragment.text);
        wrong(a, "42601", arena_cstr(a->mem, arena_fmt(a->mem, "%squery does not return tuples", verb[0] ? verb : "SET ")), NULL);
        return false;
    }
    if (p->columns.n != want->n) {
        snprintf(detail, sizeof detail, "Number of returned columns (%u) does not match expected column count (%u).",
                 p->columns.n, want->n);
        wrong(a, "42804", said, NULL);
        a->out->detail = arena_str(a->mem, str_c(detail));
        return false;
    }
    for (uint32_t i = 0; i < want->n; i++) {
        if (p->columns.p[i].type == want->p[i].type) continue;
        str is = sql_type_name(&a->cx, p->columns.p[i].type), should = sql_type_name(&a->cx, want->p[i].type);
        snprintf(detail, sizeof detail, "Returned type " STR_FMT " does not match expected type " STR_FMT " in column %u.",
                 STR_ARG(is), STR_ARG(should), i + 1);
        wrong(a, "42804", said, NULL);
        a->out->detail = arena_str(a->mem, str_c(detail));
        return false;
    }
    return true;
}

static bool add_part(struct answering *a, const PgQuery__Node *node) {
    struct catalog_text_part p = {.fragment.typmod = -1, .query = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT};
    bool wants = a->text->use == CATALOG_TEXT_INTO || a->text->use == CATALOG_TEXT_ROWS;
    if (refuses(a, node)) return false;
    if (sql_routine_fragment(&a->r, node, wants && p.query ? &a->text->want : NULL, &p.fragment, &p.columns) != ERR_OK) {
        wrong_problem(a);
        return false;
    }
    if (a->text->use == CATALOG_TEXT_RESULT && !is_result(a, &p)) return false;
    if (!p.query) add_casts(a, &p);
    p.query |= !is_rows(node); /* it does nothing, and gives nothing */
    vec_push(a->mem, &a->out->parts, p);
    return true;
}

static void add_parts(struct answering *a) {
    sql_statements all = {0};
    sql_parse(a->mem, a->text->text, &all);
    if (all.n > 1 && a->text->use == CATALOG_TEXT_ROWS) {
        wrong(a, "42P11", "cannot open multi-query plan as cursor", NULL);
        return;
    }
    if (all.n > CATALOG_TEXT_PARTS_MAX) {
        wrong(a, "54000", "a text has too many statements", NULL);
        return;
    }
    for (uint32_t i = 0; i < all.n; i++)
        if (!all.p[i].node) { /* nothing of it is run */
            *a->out =
                (struct catalog_text_answer){.state = arena_str(a->mem, str_c(all.p[i].state)), .message = all.p[i].message};
            return;
        }
    for (uint32_t i = 0; i < all.n; i++)
        if (!add_part(a, all.p[i].node)) return;
    if (!all.n && a->text->use == CATALOG_TEXT_RESULT) wrong(a, "42601", "empty query does not return tuples", NULL);
    bool gives = a->out->parts.n && a->out->parts.p[a->out->parts.n - 1].columns.n;
    if (a->text->use == CATALOG_TEXT_INTO && !gives) wrong(a, "42601", "INTO used with a command that cannot return data", NULL);
    else if (a->text->use == CATALOG_TEXT_ROWS && !gives)
        wrong(a, "42P11",
              arena_cstr(a->mem, arena_fmt(a->mem, "cannot open %squery as cursor",
                                           a->out->parts.n ? verb_of(a->out->parts.p[0].fragment.text) : "")),
              NULL);
}

/* label, name, field: each has the place of its argument. Fields of a row come one after the other. */
static void put_variable(struct answering *a, str named, uint32_t type) {
    str label, name, field, rest;
    str_cut(named, 0x1f, &label, &rest);
    str_cut(rest, 0x1f, &name, &field);
    struct sql_variables *s = a->r.scope;
    if (!str_eq(s->label, label)) {
        s = arena_make(a->mem, struct sql_variables);
        sql_routine_open(&a->r, s, label);
    }
    struct sql_variable *last = s->list.n ? s->list.p[s->list.n - 1] : NULL;
    if (!field.n) {
        sql_routine_variable(&a->r, name, type, -1, NULL)->record = type == PG_RECORD; /* no field: it is not assigned yet */
        return;
    }
    if (!last || !last->fields || !str_eq(last->name, name)) {
        catalog_fields *fields = arena_make(a->mem, catalog_fields);
        *fields = (catalog_fields){0};
        last = sql_routine_variable(&a->r, name, PG_RECORD, -1, NULL);
        last->fields = fields, last->record = true;
    } else sql_routine_places(&a->r, 1);
    vec_push(a->mem, (catalog_fields *)(uintptr_t)last->fields, ((struct catalog_field){field, type, -1}));
}

static void answer_text(arena *mem, const struct catalog *c, const struct sql_reader *reader, const struct catalog_text *text,
                        struct catalog_text_answer *out) {
    static const str path[] = {STR_INIT("public"), STR_INIT("extensions")};
    struct answering a = {.mem = mem, .catalog = c, .reader = reader, .text = text, .out = out};
    struct sql_variables scope;
    const struct catalog_function *f = NULL;
    *out = (struct catalog_text_answer){0};
    for (uint32_t i = 0; i < c->functions.n; i++)
        if (c->functions.p[i].id == text->function) f = &c->functions.p[i];
    const struct catalog_function block = {
        .name = STR("inline_code_block"), .definer = true, .owner = c->owner, .returns = PG_VOID};
    if (!text->function) f = &block; /* a DO block's, which has its owner's rights */
    if (!f) {
        wrong(&a, "42883", "function does not exist", NULL);
        return;
    }
    a.cx = (struct sql_context){
        .mem = mem, .catalog = c, .path = path, .path_count = ARRAY_COUNT(path), .reader = reader, .dynamic = true};
    a.r = (struct routine){.cx = &a.cx, .f = f, .out = &a.made, .source = text->text};
    sql_routine_inside(&a.cx, f);
    sql_routine_open(&a.r, &scope, (str){0});
    for (uint32_t i = 0; !text->names.n && i < text->arguments.n; i++)
        sql_routine_variable(&a.r, arena_fmt(mem, "$%u", i + 1), text->arguments.p[i], -1,
                             sql_routine_fields(&a.r, text->arguments.p[i]));
    for (uint32_t i = 0; i < text->arguments.n && i < text->names.n; i++)
        put_variable(&a, text->names.p[i], text->arguments.p[i]);
    sql_transition_tables(&a.cx, catalog_relation_of(c, text->rows_of), text->old_table, text->new_table);
    add_parts(&a);
}

/* ---- from bytes to bytes ---- */

struct deep {
    const struct catalog *c;
    const struct sql_reader *reader;
    str text;
    struct buf *answer;
    struct diag *d;
    err e;
};

static void *on_stack(void *arg) {
    struct deep *x = arg;
    struct catalog_text text;
    struct catalog_text_answer answer;
    arena *mem = arena_new(0);
    x->e = catalog_text_read(mem, x->text, &text, x->d);
    if (x->e == ERR_OK) {
        answer_text(mem, x->c, x->reader, &text, &answer);
        catalog_text_answer_write(x->answer, &answer);
    }
    arena_free(mem);
    return NULL;
}

err sql_text_answers(const struct catalog *c, const struct sql_reader *reader, str text, struct buf *answer, struct diag *d) {
    struct deep x = {c, reader, text, answer, d, ERR_OK};
    sql_on_deep_stack(on_stack, &x);
    return x.e;
}
