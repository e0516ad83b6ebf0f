/* Inside the rest room. */
#ifndef ORLO_REST_INT_H
#define ORLO_REST_INT_H

#include "rest/rest.h"

/* Sets what is not set yet; gives false. */
bool rest_fail(struct pg_error *e, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool rest_fail_detail(struct pg_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool rest_fail_hint(struct pg_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- query strings (uri.c) ---- */

struct rest_param {
    str name, value;
};
typedef VEC(struct rest_param) rest_params;
/* name=value&…, decoded: + is a space. False: too many, no UTF-8, NUL. */
[[nodiscard]] bool rest_params_of(arena *out, str query, rest_params *to, struct pg_error *error);
bool rest_unescape(arena *out, str s, bool plus, str *to); /* false: it is no UTF-8, or holds NUL */
void rest_escape(struct buf *to, str s);                   /* as application/x-www-form-urlencoded has it, a space as %20 */
str rest_canonical(arena *out, const rest_params *params); /* sorted by name */
/* The value of the first such field; several of one name are not joined. */
str rest_field_of(const struct rest_request *rq, const char *name, bool *there);

/* ---- grammar (grammar.c, filter.c) ---- */

/* A text that is read from its front. The furthest place at which something else was expected is what an error tells. */
enum { REST_EXPECTED_MAX = 4 };
struct rest_text {
    arena *out;
    str s;
    size_t at;
    size_t bad;
    const char *expected[REST_EXPECTED_MAX];
    uint32_t expected_count, depth, filters;
    str beyond; /* an operator and its operand that stand behind ->>, whose value has none such */
};
struct rest_text rest_text_of(arena *out, str s);
bool rest_expected(struct rest_text *t, const char *what); /* here; gives false */
/* "failed to parse WHAT (INPUT)" (line 1, column N): false. skip: so many of its first bytes are ours, and no part of input. */
bool rest_unread(const struct rest_text *t, const char *what, str input, struct pg_error *error);

bool rest_is(struct rest_text *t, const char *word); /* it stands here; is taken */
bool rest_see(const struct rest_text *t, const char *word);
bool rest_end(const struct rest_text *t);
void rest_blanks(struct rest_text *t);
[[nodiscard]] bool rest_identifier(struct rest_text *t, str *name); /* letters, digits, _, $, space */
[[nodiscard]] bool rest_quoted(struct rest_text *t, str *value);
[[nodiscard]] bool rest_field_read(struct rest_text *t, struct query_field *f);
typedef VEC(str) rest_names;
[[nodiscard]] bool rest_names_read(struct rest_text *t, rest_names *to);
[[nodiscard]] bool rest_select_read(struct rest_text *t, struct query_select *to);
[[nodiscard]] bool rest_order_read(struct rest_text *t, struct query_select *to);
/* a.b.column->path: the names before the column, as they stand. */
[[nodiscard]] bool rest_path_read(struct rest_text *t, rest_names *path, struct query_field *f);

/* [not.]op[(any)].value: value is all that is left, or in a logic tree what stands before , and ). *none: it begins with no operator. */
[[nodiscard]] bool rest_test_read(struct rest_text *t, const struct query_field *f, bool logic, struct query_where *to,
                                  bool *none);
[[nodiscard]] bool rest_logic_read(struct rest_text *t, struct query_where *to); /* [not.]and(…), [not.]or(…) */

/* ---- bodies (body.c, csv.c) ---- */

bool rest_prefer_of(arena *out, const struct rest_request *rq, bool undo, struct rest_prefer *p, struct pg_error *error);
/* What is accepted, the best one first, as a tree takes it. False: a document of what there is is asked for in a form that there is not. */
[[nodiscard]] bool rest_media_of(arena *out, const struct rest_request *rq, const struct rest_options *o, struct rest_plan *plan,
                                 struct query *q, struct pg_error *error);
enum rest_content { REST_IN_JSON, REST_IN_CSV, REST_IN_FORM, REST_IN_TEXT, REST_IN_XML, REST_IN_BYTES, REST_IN_OTHER };
enum rest_content rest_content_of(str type);
/* CSV as a JSON array of objects. */
[[nodiscard]] bool rest_csv_read(arena *out, str csv, str *json, struct pg_error *error);

/* ---- batches (batch.c) ---- */

/* A request by itself. */
[[nodiscard]] bool rest_plan_one(arena *out, const struct rest_options *o, const struct rest_request *rq, struct rest_plan *plan,
                                 struct pg_error *error);
bool rest_is_batch(const struct rest_request *rq);
[[nodiscard]] bool rest_batch_of(arena *out, const struct rest_options *o, const struct rest_request *rq, struct rest_plan *plan,
                                 struct pg_error *error);
/* False: the answers are none. */
[[nodiscard]] bool rest_batch_answer(arena *out, const struct rest_plan *plan, str answers, struct query_said *said, str *body);

/* openapi.c: what query's description of a schema is as an OpenAPI document (Swagger 2.0, as PostgREST has it). */
str rest_openapi(arena *out, const struct rest_plan *plan, str description);

#endif
