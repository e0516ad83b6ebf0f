/* Inside the spin room: questions of guests, and answers as streams. */
#ifndef ORLO_SPIN_INT_H
#define ORLO_SPIN_INT_H

#include "app/app.h"
#include "app/data.h"
#include "app/object.h"
#include "app/wait.h"

/* Who keeps what the guest's app has; NULL: nobody. */
struct app_data *spin_data(const struct host_call *call);
/* The place of what was granted by that label; false: nothing was. */
struct app_store;
bool spin_granted(const struct app_store *list, uint32_t count, str label, str *place);

/* ---- store.c ---- */

enum abi_trap spin_keys_get(struct host_call *call, str place, str key, app_fill fill, void *about, void *result);
enum abi_trap spin_keys_set(struct host_call *call, str place, str key, str value, app_fill fill, void *about, void *result);
enum abi_trap spin_keys_delete(struct host_call *call, str place, str key, app_fill fill, void *about, void *result);
enum abi_trap spin_keys_exists(struct host_call *call, str place, str key, app_fill fill, void *about, void *result);
struct spin_key_page { /* of all keys */
    struct app_reply reply;
    bool more;
    str *to; /* the call's memory */
    size_t n, cap;
};
enum abi_trap spin_keys_all(struct host_call *call, str place, void *about, struct spin_key_page *p); /* on a fiber */

/* ---- sqlite.c ---- */

struct spin_sql { /* what a connection is to its statements */
    str place;
    int64_t number, last_rowid;
    uint64_t changes;
    bool in_transaction;
};
/* rows of a statement, in the types of version 3; those of the others look the same. */
struct spin_rows {
    struct app_reply reply;
    str *columns;
    void *rows; /* struct spin_sqlite_sqlite_row_result */
    size_t columns_count, rows_count;
};
struct spin_parameters { /* a list of values, in the same way */
    const void *p;
    size_t n;
};
/* On a fiber. False: no memory, or the guest is to end: *trap. */
enum abi_trap spin_sql_run(struct host_call *call, struct spin_sql *sql, void *about, str statement,
                           struct spin_parameters parameters, struct spin_rows *out);
void spin_sql_close(struct app *app, const struct spin_sql *sql);

/* ---- config.c ---- */

enum spin_variable { SPIN_VARIABLE_THERE, SPIN_VARIABLE_UNDEFINED, SPIN_VARIABLE_NO_NAME, SPIN_VARIABLE_WITHHELD };
/* The text of a refusal is the call's memory. */
enum spin_variable spin_variable_get(struct host_call *call, str name, str *value_or_why);

/* ---- giver.c: a stream of what was answered, and the future that says whether that is all ---- */

struct spin_giver;
struct spin_giver_ops {
    size_t element_bytes; /* in host layout */
    size_t result_bytes;  /* of the future's value */
    /* Elements of one answer; allocated in mem. Sets *n; `more` says whether there is another page, and is asked for with `after`. */
    const void *(*elements)(arena *mem, const struct app_answer *a, size_t *n, bool *more);
    void (*after)(struct app_question *q, const struct app_answer *a,
                  arena *mem);                                            /* changes q into the next page's; NULL: one page */
    void (*failed)(const struct app_answer *a, arena *mem, void *result); /* the future's value where it is an error */
};
/* first: an answer that is there, which is copied; NULL: q is asked when somebody reads, its values live as long as the program. Gives both
 * ends. False: no memory; nothing was made. */
[[nodiscard]] bool spin_giver_new(struct host_instance *in, const struct spin_giver_ops *ops, const struct app_question *q,
                                  const struct app_answer *first, struct host_stream **s, struct host_future **f);

#endif
