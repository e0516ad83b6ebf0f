/* ask: a command's side of the admin API. One node, asked one thing after the other, over its socket or by its URL.
 *
 * 1. A command waits: each function here returns when it has its answer, or knows that there will be none.
 * 2. An answer that is an error is one here: d has what the node says about it, or what a person can do where it says nothing.
 */
#ifndef ORLO_NODE_COMMAND_ASK_H
#define ORLO_NODE_COMMAND_ASK_H

#include "base/json.h"
#include "node/node.h"

struct ask;
/* Nothing is sent yet. ERR_USAGE: the URL is none; ERR_NOT_FOUND, ERR_DENIED: no node runs on the folder, or it is another's. */
[[nodiscard]] err node_ask_open(const struct node_where *where, struct ask **out, struct diag *d);
void node_ask_close(struct ask *a);         /* NULL is fine */
bool node_ask_is_here(const struct ask *a); /* over the socket: on this machine, as the operator */

struct answer {
    uint16_t status; /* 0: none came */
    str text;        /* of the body; in the memory of the call */
    struct json body;
    uint64_t upload_offset;
    bool upload_complete;
};
/* What a call is about. */
struct ask_call {
    const char *method;
    str path;                    /* below /_orlo/v1: "/apps/shop" */
    const struct json_writer *w; /* of a body that was written to w->b; NULL: none */
};
/* Answers of 2xx: ERR_OK. Else as the node's code says it: ERR_NOT_FOUND, ERR_DENIED (also: no token, or a wrong one), ERR_BUSY, ERR_LIMIT … ERR_NETWORK:
 * nobody there, or no HTTP of ours; ERR_CLOSED: cut off before the answer. to->body is that of an error, too, where one came. */
[[nodiscard]] err node_ask(struct ask *a, arena *out, const struct ask_call *call, struct answer *to, struct diag *d);
/* The same, once; w NULL: no body. */
[[nodiscard]] err node_ask_once(const struct node_where *where, arena *mem, const char *method, str path,
                                const struct json_writer *w, struct answer *to, struct diag *d);
/* PUT of bytes from..total of a file. moved(arg, n): so many have left, in all. */
[[nodiscard]] err node_ask_upload(struct ask *a, arena *out, str path, int fd, uint64_t from, uint64_t total,
                                  void (*moved)(void *arg, uint64_t offset), void *arg, struct answer *to, struct diag *d);
/* GET of lines as they come, until the end: line(arg, text) false: enough. */
[[nodiscard]] err node_ask_lines(struct ask *a, arena *out, str path, bool (*line)(void *arg, str text), void *arg,
                                 struct diag *d);

/* What a code of the API is here; of one that is not known its status tells. */
err node_ask_code(str code, uint16_t status);
/* "/apps/%s": with its arguments percent-encoded. */
str node_ask_path(arena *out, const char *form, ...) PRINTF_LIKE(2, 3);

#endif
