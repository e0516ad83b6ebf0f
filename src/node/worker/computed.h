/* computed: columns of tables and views that a function of the app computes, where /rest/v1 is asked for them (a function's `columns`).
 *
 *   ?select=id,total ──node_computed_plan──> id, and what total needs ──the database──> rows ──POST /computed, all at once──> values ──> rows with total
 *
 * 1. It is one call a column for all rows of an answer; so the answer is no larger than NODE_COMPUTED_BYTES_MAX, and not told in parts.
 * 2. Who asks has to be allowed to see what is needed; the function is called as he is, and has no more time than he has.
 * 3. Nothing is filtered or ordered by such a column, and it is in no embed: that is refused.
 */
#ifndef ORLO_NODE_COMPUTED_H
#define ORLO_NODE_COMPUTED_H

#include "node/worker/handler_int.h"
#include "rest/rest.h"

enum { NODE_COMPUTED_MAX = 8 /* of a request */, NODE_COMPUTED_BYTES_MAX = 1 << 20, NODE_COMPUTED_ROWS_MAX = 10'000 };

struct node_computed {
    uint32_t count;
    struct {
        uint32_t function, column; /* whose columns, which of them: of the record */
        str name;                  /* as the answer has it */
    } of[NODE_COMPUTED_MAX];
};
/* What a plan's tree asks for of such columns becomes what they need. False: *error. None: out->count is 0. On any thread. */
[[nodiscard]] bool node_computed_plan(arena *mem, const struct app_record *record, struct rest_plan *plan,
                                      struct node_computed *out, struct pg_error *error);

struct node_computing;
/* body: the rows, as they were answered: a list, or one. told: from the loop, once; error NULL: body is what is answered, and lives as long as the call. Copies
 * body. */
typedef void (*node_computed_told)(void *arg, str body, const struct pg_error *error);
struct node_computing *node_computed_ask(struct node_request *r, const struct node_computed *what, str body,
                                         node_computed_told told, void *arg);
void node_computing_cancel(struct node_computing *c); /* nobody is told */

#endif
