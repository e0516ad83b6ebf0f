/* data: what an app keeps with the node, as host functions ask for it. Whoever answers is the node's affair: a process that writes for all.
 *
 *   struct app_question q = {.op = APP_KV_GET, .place = store, .values = &APP_TEXT(key), .count = 1};
 *   ask = app_data_ask(app, &q, on_told, arg);          // on_told(arg, &answer) later, from the loop; or app_data_cancel(ask)
 *
 * 1. A question is answered once, whatever becomes of who answers: APP_DATA_LOST says that nobody knows whether it was done.
 * 2. What was written is on the disk when it is answered APP_DATA_OK.
 * 3. As bytes a question's or an answer's values have one form; reading refuses all else.
 */
#ifndef ORLO_APP_DATA_H
#define ORLO_APP_DATA_H

#include "base/base.h"

struct app;

enum app_data_op {
#define X(name, ...) APP_##name,
#include "app/data.def"
#undef X
    APP_DATA_OPS
};
bool app_data_writes(enum app_data_op op);
enum app_data_of { APP_OF_KEYS, APP_OF_SQL, APP_OF_APP, APP_DATA_OFS };
enum app_data_of app_data_of(enum app_data_op op);

/* What is done in a transaction (APP_TX). Its number is unique among those of whoever asks. */
enum app_tx { APP_TX_BEGIN /* and a first query */, APP_TX_QUERY, APP_TX_COMMIT, APP_TX_ROLLBACK, APP_TX_KINDS };
enum { APP_TX_VALUES = 3 /* before those of a query */ };

enum app_data_outcome {
    APP_DATA_OK,
    APP_DATA_FULL,      /* a quota, or the disk: text says which */
    APP_DATA_TOO_LARGE, /* a key, a value, an answer */
    APP_DATA_REFUSED,   /* what was asked is wrong: a statement, a constraint, a key that holds no number */
    APP_DATA_LATE,      /* it took too long, and was undone */
    APP_DATA_BUSY,      /* too many wait */
    APP_DATA_LOST,      /* who was to do it ended meanwhile */
    APP_DATA_FAILED,    /* the disk, a damaged file */
    APP_DATA_ERROR,     /* an SQLSTATE: the values are state, message, detail, hint, schema, table, column, constraint */
    APP_DATA_OUTCOMES
};

struct app_value {
    enum app_value_kind { APP_VALUE_NULL, APP_VALUE_INTEGER, APP_VALUE_REAL, APP_VALUE_TEXT, APP_VALUE_BYTES } kind;
    union {
        int64_t i;
        double f;
        str s; /* borrowed */
    };
};
#define APP_I64(v) ((struct app_value){APP_VALUE_INTEGER, {.i = (int64_t)(v)}})
#define APP_TEXT(v) ((struct app_value){APP_VALUE_TEXT, {.s = (v)}})
#define APP_BLOB(v) ((struct app_value){APP_VALUE_BYTES, {.s = (v)}})

/* A part of what is answered, before it is told: bytes, as long as the call. */
typedef void (*app_part)(void *arg, str bytes);
struct app_question {
    enum app_data_op op;
    str place; /* of the store or database, in its app */
    const struct app_value *values;
    uint32_t count;
    uint32_t hops; /* of the request because of which it is asked (app/hops.h): a change that it makes has them */
    app_part part; /* NULL: it is wanted whole. Else it may come in parts, if what is asked says so, too */
};
struct app_answer {
    enum app_data_outcome outcome;
    str text; /* why not */
    const struct app_value *values;
    uint32_t count;
    int *files; /* of APP_OPEN; who keeps one puts -1 in its place */
};

struct app_ask;
typedef void (*app_told)(void *arg, const struct app_answer *answer); /* which lives as long as the call */
/* The node's: everything in q is copied. NULL: too many are under way for this app. */
struct app_data {
    struct app_ask *(*ask)(struct app_data *data, struct app *app, const struct app_question *q, app_told told, void *arg);
    void (*cancel)(struct app_data *data, struct app_ask *ask); /* told is not called; it may be done all the same */
    void (*more)(struct app_data *data, struct app_ask *ask,
                 uint32_t parts); /* so many of its parts are used up; NULL: it gives none */
};

/* ---- as bytes ---- */

void app_values_write(struct buf *to, const struct app_value *values, uint32_t count);
/* All of from. Strings are borrowed; the array is out's. Where it fails (from->fail) there are none. */
const struct app_value *app_values_read(arena *out, struct rd *from, uint32_t *count);

#endif
