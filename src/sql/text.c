/* text: what the translator makes its text of, and how it says that something is refused.
 *
 * 1. The first problem holds; all later ones are dropped.
 * 2. Whatever is made is counted (cx->work): a text that would double and double again ends as 54001, long before memory does.
 * 3. A literal is one token of SQLite's, or something in brackets; control characters go through hexadecimal, so that the marks of fragments
 *    are never a part of data.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/translate_int.h"

/* ---- refusals ---- */

static err err_of_state(const char *state) {
    if (!strcmp(state, "0A000")) return ERR_UNSUPPORTED;
    if (!strcmp(state, "54001")) return ERR_LIMIT;
    return ERR_INVALID;
}

err sql_refuse(struct sql_context *cx, int32_t location, const char *state, const char *fmt, ...) {
    struct sql_problem *p = &cx->problem;
    if (p->set) return err_of_state(p->state);
    p->set = true;
    p->location = location;
    memcpy(p->state, state, 5);
    p->state[5] = 0;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->message, sizeof p->message, fmt, ap);
    va_end(ap);
    return err_of_state(state);
}

void sql_hint(struct sql_context *cx, const char *fmt, ...) {
    if (cx->problem.hint[0]) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cx->problem.hint, sizeof cx->problem.hint, fmt, ap);
    va_end(ap);
}

void sql_detail(struct sql_context *cx, const char *fmt, ...) {
    if (cx->problem.detail[0]) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cx->problem.detail, sizeof cx->problem.detail, fmt, ap);
    va_end(ap);
}

err sql_unsupported(struct sql_context *cx, int32_t location, const char *what, const char *instead) {
    err e = sql_refuse(cx, location, "0A000", "%s is not supported on SQLite", what);
    if (instead) sql_hint(cx, "%s", instead);
    return e;
}

/* ---- text ---- */

static err too_much(struct sql_context *cx, int32_t location) {
    err e = sql_refuse(cx, location, "54001", "statement is too complex");
    sql_hint(cx, "With the functions and views that it uses written out, it takes more than %u bytes.",
             (unsigned)(cx->copied ? SQL_COPIED_MAX : SQL_TEXT_MAX));
    return e;
}

str sql_fmt(struct sql_context *cx, const char *fmt, ...) {
    if (cx->work > SQL_WORK_MAX) too_much(cx, -1);
    if (cx->problem.set) return STR("null"); /* nothing will be made of it */
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(cx->mem, fmt, ap);
    va_end(ap);
    cx->work += s.n;
    if (s.n > (cx->copied ? SQL_COPIED_MAX : SQL_TEXT_MAX)) too_much(cx, -1);
    return s;
}

err sql_check_size(struct sql_context *cx, str text, int32_t location) {
    if (cx->problem.set) return err_of_state(cx->problem.state);
    return text.n > (cx->copied ? SQL_COPIED_MAX : SQL_TEXT_MAX) ? too_much(cx, location) : ERR_OK;
}

err sql_check_work(struct sql_context *cx, int32_t location) {
    if (cx->problem.set) return err_of_state(cx->problem.state);
    return cx->work > SQL_WORK_MAX ? too_much(cx, location) : ERR_OK;
}

err sql_enter(struct sql_context *cx, int32_t location) {
    if (cx->problem.set) return err_of_state(cx->problem.state);
    if (cx->depth >= SQL_DEPTH_MAX) return sql_refuse(cx, location, "54001", "stack depth limit exceeded");
    if (cx->work > SQL_WORK_MAX) return too_much(cx, location);
    cx->depth++;
    return ERR_OK;
}

void sql_leave(struct sql_context *cx) { cx->depth--; }

str sql_alias(struct sql_context *cx) { return sql_fmt(cx, "a%u", ++cx->aliases); }

str sql_joined(struct sql_context *cx, const str *parts, uint32_t n, const char *between) {
    size_t gap = strlen(between), bytes = 0;
    for (uint32_t i = 0; i < n; i++) bytes += parts[i].n + gap;
    cx->work += bytes;
    if (cx->work > SQL_WORK_MAX) {
        too_much(cx, -1);
        return STR("null");
    }
    uint8_t *p = arena_alloc(cx->mem, bytes + 1, 1), *at = p;
    for (uint32_t i = 0; i < n; i++) {
        if (i) memcpy(at, between, gap), at += gap;
        if (parts[i].n) memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return (str){p, (size_t)(at - p)};
}

/* ---- names and literals ---- */

static str doubled(arena *mem, str s, uint8_t quote) {
    size_t more = 2;
    for (size_t i = 0; i < s.n; i++) more += s.p[i] == quote;
    uint8_t *p = arena_alloc(mem, s.n + more + 1, 1), *at = p;
    *at++ = quote;
    for (size_t i = 0; i < s.n; i++) {
        *at++ = s.p[i];
        if (s.p[i] == quote) *at++ = quote;
    }
    *at++ = quote;
    return (str){p, (size_t)(at - p)};
}

str sql_quoted(arena *mem, str name) { return doubled(mem, name, '"'); }

static str in_hex(arena *mem, str s, const char *before, const char *after) {
    static const char digits[] = "0123456789abcdef";
    size_t b = strlen(before), a = strlen(after);
    uint8_t *p = arena_alloc(mem, b + a + 2 * s.n + 1, 1), *at = p;
    memcpy(at, before, b);
    at += b;
    for (size_t i = 0; i < s.n; i++) {
        *at++ = (uint8_t)digits[s.p[i] >> 4];
        *at++ = (uint8_t)digits[s.p[i] & 15];
    }
    memcpy(at, after, a);
    return (str){p, b + a + 2 * s.n};
}

str sql_literal_text(arena *mem, str text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 32 && text.p[i] != '\n' && text.p[i] != '\t') return in_hex(mem, text, "cast(x'", "' as text)");
    return doubled(mem, text, '\'');
}

static str literal_real(arena *mem, double f) {
    if (isinf(f)) return f < 0 ? STR("(-9e999)") : STR("9e999");
    char digits[40];
    snprintf(digits, sizeof digits, "%.17g", f);
    bool marked = strpbrk(digits, ".e");
    return arena_fmt(mem, signbit(f) ? "(%s%s)" : "%s%s", digits, marked ? "" : ".0");
}

str sql_literal(arena *mem, struct db_value v) {
    switch (v.kind) {
    case DB_NULL: return STR("null");
    case DB_INTEGER: return arena_fmt(mem, v.i < 0 ? "(%" PRId64 ")" : "%" PRId64, v.i);
    case DB_REAL: return literal_real(mem, v.f);
    case DB_TEXTUAL: return sql_literal_text(mem, v.s);
    case DB_BYTES: return in_hex(mem, v.s, "x'", "'");
    }
    return STR("null");
}

/* ---- trees ---- */

str sql_name_of(const PgQuery__Node *node) {
    return node && node->node_case == PG_QUERY__NODE__NODE_STRING ? str_c(node->string->sval) : (str){0};
}

int32_t sql_location_of(const PgQuery__Node *node) {
    if (!node) return -1;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_EXPR: return node->a_expr->location;
    case PG_QUERY__NODE__NODE_A_CONST: return node->a_const->location;
    case PG_QUERY__NODE__NODE_COLUMN_REF: return node->column_ref->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL: return node->func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST: return node->type_cast->location;
    case PG_QUERY__NODE__NODE_SUB_LINK: return node->sub_link->location;
    case PG_QUERY__NODE__NODE_CASE_EXPR: return node->case_expr->location;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return node->coalesce_expr->location;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: return node->min_max_expr->location;
    case PG_QUERY__NODE__NODE_BOOL_EXPR: return node->bool_expr->location;
    case PG_QUERY__NODE__NODE_NULL_TEST: return node->null_test->location;
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: return node->boolean_test->location;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return node->a_array_expr->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR: return node->row_expr->location;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: return node->sqlvalue_function->location;
    case PG_QUERY__NODE__NODE_PARAM_REF: return node->param_ref->location;
    case PG_QUERY__NODE__NODE_RES_TARGET: return node->res_target->location;
    case PG_QUERY__NODE__NODE_RANGE_VAR: return node->range_var->location;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return node->collate_clause->location;
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return sql_location_of(node->a_indirection->arg);
    default: return -1;
    }
}
