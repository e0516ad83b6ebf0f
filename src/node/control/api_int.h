/* The admin API: HTTP to control (api.def has its calls, schema.def what is said).
 *
 *   net_server ── on_request ──> api_call ── which row? who asks? may he? is the body what it has to be? ──> node_api_ID(call)
 *                                   └─ answered once: node_api_reply, node_api_empty, node_api_fail, node_api_refuse
 *
 *   api.c        dispatch, bodies, answers          schema.c   bodies against schema.def
 *   api_who.c    tokens in requests, and who fails  openapi.c  the description
 *   tokens.c     the tokens that there are          api_*.c    the calls
 *
 * 1. A handler answers once, at once or later; its call lives until then, also when the client has gone (on_gone says so).
 * 2. Nothing here waits, and nothing that a client chooses is unbounded: calls, bytes of bodies in all, time, lines.
 * 3. Who may not is told so before anything of what he sent is looked at, and whether there is what he asked about.
 */
#ifndef ORLO_NODE_CONTROL_API_INT_H
#define ORLO_NODE_CONTROL_API_INT_H

#include "base/json.h"
#include "net/server.h"
#include "node/control/tokens.h"

/* ---- the tables ---- */

enum api_id {
#define API(id, ...) API_ID_##id,
#include "node/control/api.def"
    API_IDS
};
enum api_param {
#define PARAM(id, ...) API_PARAM_##id,
#include "node/control/api.def"
    API_PARAMS
};
enum api_method { API_GET, API_HEAD, API_PUT, API_POST, API_DELETE, API_METHODS };
enum api_access { API_OPEN, API_ANY, API_READ_APP, API_WRITE_APP, API_READ_NODE, API_WRITE_NODE };
enum api_schema {
    API_SCHEMA_NONE,
    API_SCHEMA_BYTES,      /* a body that is no JSON */
    API_SCHEMA_TEXT_PLAIN, /* answers */
    API_SCHEMA_LINES,
    API_SCHEMA_Document,
#define SCHEMA(name, what) API_SCHEMA_##name,
#include "node/control/schema.def"
    API_SCHEMAS
};
enum api_type { API_TEXT, API_WHOLE, API_FLAG, API_ONE, API_MANY, API_TEXTS, API_WORD };
enum { API_QUERIES_MAX = 4 };

struct api_call;
struct api_row {
    const char *name, *path;
    enum api_method method;
    enum api_access access;
    enum api_schema body, answer;
    uint16_t status;
    void (*handler)(struct api_call *call);
    const char *summary;
};
extern const struct api_row node_api_rows[API_IDS];
struct api_query {
    enum api_id row;
    const char *name;
    enum api_type type;
    uint64_t least, most;
    const char *summary;
};
extern const struct api_query node_api_queries[];
extern const uint32_t node_api_queries_count;
extern const struct api_param_row { const char *name, *pattern, *summary; } node_api_params[API_PARAMS];
/* How a text has to look: a pattern as OpenAPI has it, or the values that there are, a space between them. NULL: neither. */
struct api_form {
    const char *pattern, *values, *format;
};
struct api_field {
    const char *key, *what;
    enum api_type type;
    enum api_schema of;          /* of ONE and MANY */
    const struct api_form *form; /* of TEXT and TEXTS; NULL: any */
    bool needed;
    uint64_t least, most;
};
struct api_schema_row {
    const char *name, *what;
    const struct api_field *fields;
    uint32_t count;
};
extern const struct api_schema_row node_api_schemas[API_SCHEMAS];
/* ERR_INVALID: d says what is wrong, *key (in out) where: "files[3].digest". */
[[nodiscard]] err node_api_schema_check(arena *out, enum api_schema schema, const struct json *v, str *key, struct diag *d);
/* A document as text; in to. */
void node_api_document(struct buf *to);

/* ---- calls ---- */

struct api;
struct api_call {
    struct api_call *prev, *next; /* ring of the api's */
    struct api *api;
    struct control *control;
    const struct api_row *row;
    struct net_exchange *x;
    arena *mem; /* of all that the call has */
    struct token_scope who;
    str params[API_PARAMS]; /* those of the row's path */
    struct {
        const struct api_query *query;
        uint64_t number;
        str word;
    } queries[API_QUERIES_MAX];
    uint32_t queries_count;
    const struct json *body;                /* NULL: none came */
    struct buf out;                         /* the answer's body */
    struct json_writer w;                   /* to it */
    bool gone, working;                     /* the client is; a thread is at its body */
    bool streams;                           /* its answer is lines, as they come */
    void (*on_gone)(struct api_call *call); /* the client is; or, of one that waits, its time is over */
    void *state;                            /* the handler's */
    /* until the handler has it: */
    struct buf in;
    size_t counted; /* of in, in the api's sum */
    struct diag d;
    err e;
    str wrong_key;
    struct json json;
};

/* The number that the query gives; what it is otherwise where it was not given. */
uint64_t node_api_number(const struct api_call *call, const char *query, uint64_t otherwise);
str node_api_word(const struct api_call *call, const char *query);
/* A member of the body. */
static inline const struct json *node_api_member(const struct api_call *call, const char *key) {
    return json_get(call->body, key);
}

/* ---- answers: each ends the call ---- */

void node_api_reply(struct api_call *call); /* what was written to call->w, with the row's status */
void node_api_empty(struct api_call *call); /* 204, or whatever the row says */
void node_api_text(struct api_call *call, const char *type, str text);
void node_api_text_with(struct api_call *call, uint16_t status, const char *type, str text);
struct api_problem {
    uint16_t status;
    const char *code; /* "not_found" */
    str message, key, limit;
    uint32_t line, retry_s; /* 0: none */
    uint64_t offset;        /* plus 1; 0: none */
};
void node_api_refuse(struct api_call *call, const struct api_problem *p);
/* Status and code of what e is; d says what a person reads. */
void node_api_fail(struct api_call *call, err e, const struct diag *d);
void node_api_fail_at(struct api_call *call, err e, const struct diag *d, str key, uint32_t line);
struct api_problem node_api_problem(err e, const struct diag *d);
void node_api_put_problem(struct json_writer *w, const char *member, const struct api_problem *p);
void node_api_end(struct api_call *call); /* without an answer: nobody is there to hear it */
/* Fields of its own besides. */
void node_api_reply_with(struct api_call *call, uint16_t status, const struct net_field *fields, uint32_t count);

/* Lines as they come: the head, then each. False: there is no room (it was left out), or nobody any more. Ends with node_api_end. */
void node_api_stream(struct api_call *call);
[[nodiscard]] bool node_api_line(struct api_call *call, str line);

/* "2026-01-31T23:59:59Z" */
enum { API_TIME_BYTES = 21 };
const char *node_api_time(uint64_t unix_s, char to[static API_TIME_BYTES]);

/* ---- api.c's life ---- */

struct api *node_api_new(struct control *c);
/* Takes the listening socket. operator: who connects may do all. */
/* Nobody is let in any more; who asks already is answered, within seconds; then done is called, once. */
void node_api_drain(struct api *api, void (*done)(void *arg), void *arg);
[[nodiscard]] err node_api_listen(struct api *api, int fd, bool operator, const struct net_tls_config * tls, struct diag *d);

/* What became of a reload, to who asked for it first. */
void node_api_reloaded(struct api *api, const struct node_msg_reloaded *m);

/* ---- api_who.c ---- */

struct api_failures; /* by where they come from */
struct api_failures *node_api_failures_new(void);
/* False: who asks has been told why. */
bool node_api_admit(struct api_call *call, struct api_failures *failures);

/* ---- api_observe.c ---- */

/* Members of a status: how the node does. */
void node_api_put_node(struct api_call *call);
void node_api_put_notes(struct api_call *call);
void node_api_put_certificates(struct api_call *call); /* notes of them: api_certificates.c */ /* elements of its notes */
uint64_t node_api_uptime_ms(const struct control *c);

/* ---- handlers ---- */

uint32_t node_api_deployments_count(void); /* under way */

#define API(id, ...) void node_api_##id(struct api_call *call);
#include "node/control/api.def"

#endif
