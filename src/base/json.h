/* json: one way to write JSON (RFC 8259), and one to read it.
 *
 * 1. What is written is well-formed UTF-8, and JSON, whatever bytes it is made of: bytes that are no UTF-8 become U+FFFD, a number that
 *    JSON cannot say becomes null, and controls are escaped, so that a terminal that shows it obeys none.
 * 2. The writer allocates nothing: it appends to a buf. Where that has a cap (BUF_FIXED), what does not fit makes json_done false.
 * 3. Of what is read, bytes, depth and number of values are counted before anything is made of it. What is plainly right is read here (json_quick.c); of all
 *    else a library (jansson, which only json_read.c sees) says what it is.
 */
#ifndef ORLO_BASE_JSON_H
#define ORLO_BASE_JSON_H

#include "base/base.h"

/* ---- writing ------------------------------------------------------------------------------------
 *
 *   struct json_writer w = json_writer_of(&buf);
 *   json_put_object(&w, NULL);
 *   json_put_u64(&w, "status", 404);
 *   json_put_array(&w, "tags");
 *   json_put_str(&w, NULL, STR("x"));
 *   json_put_end(&w);
 *   json_put_end(&w);                     {"status":404,"tags":["x"]}
 *
 * The first argument after the writer is the member's key; NULL: an element of an array, or the document itself. */

enum { JSON_DEPTH_MAX = 64 };
struct json_writer {
    struct buf *b;
    uint64_t objects; /* a bit for each level that is open, the innermost lowest: an object? */
    uint32_t depth;
    bool comma; /* something stands before what comes next, on its level */
};
static inline struct json_writer json_writer_of(struct buf *b) { return (struct json_writer){.b = b}; }
void json_put_object(struct json_writer *w, const char *key);
void json_put_array(struct json_writer *w, const char *key);
void json_put_end(struct json_writer *w); /* of the innermost object or array */
void json_put_str(struct json_writer *w, const char *key, str v);
void json_put_cstr(struct json_writer *w, const char *key, const char *v); /* NULL: null */
/* In at most so many bytes (from 16), and then an ellipsis in place of what is left out; ends between two characters. */
void json_put_text(struct json_writer *w, const char *key, str v, size_t bytes_max);
void json_put_hex(struct json_writer *w, const char *key, const char *prefix, const uint8_t *p, size_t n); /* "sha256:01ab…" */
void json_put_u64(struct json_writer *w, const char *key, uint64_t v);
void json_put_i64(struct json_writer *w, const char *key, int64_t v);
void json_put_f64(struct json_writer *w, const char *key, double v); /* so that it is read as the same */
void json_put_ms(struct json_writer *w, const char *key, double v);  /* with three decimals, for people; quick */
void json_put_bool(struct json_writer *w, const char *key, bool v);
void json_put_null(struct json_writer *w, const char *key);
void json_put_raw(struct json_writer *w, const char *key, str json); /* that was read as JSON, as it stands */
[[nodiscard]] bool json_done(const struct json_writer *w); /* is there one whole document? Everything is closed and had room */

/* The inside of a JSON string, as it is written above; for text that is no JSON and yet is one line of what a terminal can show. */
void json_escape(struct buf *b, str v);
void json_escape_most(struct buf *b, str v, size_t bytes_max); /* as json_put_text has it */

/* ---- reading ------------------------------------------------------------------------------------ */

enum json_kind { JSON_KIND_NULL, JSON_KIND_BOOL, JSON_KIND_I64, JSON_KIND_F64, JSON_KIND_STR, JSON_KIND_ARRAY, JSON_KIND_OBJECT };
struct json {
    enum json_kind kind;
    uint32_t n; /* items */
    union {
        bool b;
        int64_t i;
        double f;
        str s; /* a NUL byte follows it; may hold some */
        struct json_member *members;
        struct json *items;
    };
};
struct json_member {
    str key;
    struct json v;
};
struct json_limits {
    size_t bytes_max;
    uint32_t depth_max, values_max; /* at most JSON_DEPTH_MAX; keys are no values */
};
/* A document of one value, made in out; text may be freed then. ERR_LIMIT, ERR_MALFORMED (two members of one key are; so is a number that
 * fits neither an int64 nor a double): d says line and column, and has the offset. Takes memory in proportion to values_max. */
[[nodiscard]] err json_read(arena *out, str text, const struct json_limits *limits, struct json *v, struct diag *d);
bool json_equals(const struct json *a, const struct json *b); /* members in any order */
void json_put(struct json_writer *w, const char *key, const struct json *v);

/* All take NULL, and what is of another kind: nothing is there then. */
const struct json *json_get(const struct json *object, const char *key); /* NULL: no such member */
static inline bool json_is(const struct json *v, enum json_kind kind) { return v && v->kind == kind; }
static inline uint32_t json_count(const struct json *array) { return json_is(array, JSON_KIND_ARRAY) ? array->n : 0; }
static inline const struct json *json_item(const struct json *array, uint32_t i) {
    return i < json_count(array) ? &array->items[i] : NULL;
}
static inline str json_str(const struct json *v) { return json_is(v, JSON_KIND_STR) ? v->s : (str){0}; }
static inline const char *json_cstr(const struct json *v) { return json_is(v, JSON_KIND_STR) ? (const char *)v->s.p : NULL; }
static inline int64_t json_i64(const struct json *v) { return json_is(v, JSON_KIND_I64) ? v->i : 0; }
static inline bool json_bool(const struct json *v) { return json_is(v, JSON_KIND_BOOL) && v->b; }
/* for each item of an array, or of nothing */
#define JSON_EACH(item, array)                                                                                                   \
    for (const struct json *item = json_item((array), 0), *item##_end = item + json_count(array); item < item##_end; item++)

#endif
