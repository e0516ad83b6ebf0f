/* rest: PostgREST's way to ask over HTTP: a request's parts become a query tree (query/query.h), and the tree's answer becomes status, fields and body.
 *
 *   method, path, query string, fields, body ──rest_plan_of──> struct rest_plan ──(whoever runs plan->batch)──> rest_answer ──> status, fields, body
 *                                       └─ refused ──> rest_refuse ──────────────────────────────────────────────────────────┘
 *
 * 1. No sockets, no catalogue, no clock: bytes in, bytes out. What needs a catalogue is said in the tree, and found out by whoever resolves it.
 * 2. Nothing that a client sent is dropped in silence: what is not understood is refused with its place (PGRST100), but for preferences and fields,
 *    which PostgREST ignores unless handling=strict.
 * 3. Sizes are bounded before anything is made of them: REST_…_MAX, and those of the tree.
 * 4. Operators, preferences, media types and statuses are rows of tables (query/ops.def, prefer.def, media.def, status.def).
 */
#ifndef ORLO_REST_H
#define ORLO_REST_H

#include "base/base.h"
#include "query/query.h"

enum {
    REST_QUERY_BYTES_MAX = 64 << 10, /* of a query string */
    REST_PARAMS_MAX = 1000,          /* name=value in it */
    REST_FILTERS_MAX = 1000,         /* all in all */
    REST_DEPTH_MAX = 10,             /* of and and or in each other */
    REST_STEPS_MAX = 32,             /* of a JSON path */
    REST_FIELDS_MAX = 48,            /* of an answer: ten of ours, the rest a function's */
    REST_SCHEMAS_MAX = 32,
    REST_BATCH_MAX = 200,       /* requests of a batch */
    REST_BATCH_FIELDS_MAX = 32, /* of one of them */
};

struct rest_field {
    str name, value;
};
struct rest_request {
    str method, path /* behind /rest/v1, as sent */, query /* behind ?, as sent */, body;
    const struct rest_field *fields;
    uint32_t fields_count;
};
struct rest_options {
    const str *schemas; /* that are exposed; the first one is asked where no other is */
    uint32_t schemas_count;
    const str *path; /* behind it are looked through; NULL: public, extensions */
    uint32_t path_count;
    bool aggregates;   /* are let through */
    bool no_openapi;   /* the document of what there is is not shown */
    bool explains;     /* may ask how a query is run (application/vnd.pgrst.plan) */
    bool undo;         /* Prefer: tx=rollback counts */
    bool target_names; /* an embed with an alias may be filtered by its target's name */
    uint32_t rows_max; /* of each list; 0: any */
    str root;          /* a function, "f" or "schema.f", that answers / in the place of the OpenAPI document; empty: none */
    bool terse;        /* errors tell their code and message alone */
};

enum rest_action {
    REST_READ,
    REST_CREATE,
    REST_PUT,
    REST_UPDATE,
    REST_DELETE,
    REST_CALL,
    REST_DESCRIBE,
    REST_ALLOW,
    REST_BATCH /* of several, in one transaction (batch.c) */
};
/* What was preferred: 0, or 1 + its place in prefer.def's row. */
struct rest_prefer {
    uint8_t resolution, returns, count, tx, missing, handling;
    str max_affected; /* as it was said; empty: was not */
    str time_zone;    /* the same */
    str unknown;      /* all that mean nothing, with ", " between them */
};
enum { REST_MERGE = 1, REST_IGNORE };
enum { REST_FULL = 1, REST_MINIMAL, REST_HEADERS };
enum { REST_EXACT = 1, REST_PLANNED, REST_ESTIMATED };
enum { REST_COMMIT = 1, REST_ROLLBACK };
enum { REST_DEFAULT = 1, REST_NULL };
enum { REST_STRICT = 1, REST_LENIENT };

/* A column that a function of the app's computes: of a description. */
struct rest_computed {
    str table, name, type;
};

struct rest_plan {
    enum rest_action action;
    bool head; /* no body is wanted */
    struct query_batch batch;
    struct rest_prefer prefer;
    str media; /* of a plan that is asked for; empty: what the answer's head says */
    str schema, relation;
    bool negotiated; /* which schema: it is said in the answer */
    str canonical;   /* the query string, sorted */
    int64_t offset;
    bool called; /* it is a function */
    bool root;   /* … that stands for the OpenAPI document */
    bool terse;
    const str *functions;       /* that are called as the database's are, and are the app's own: of a description */
    const bool *functions_read; /* of each: by GET, too */
    uint32_t functions_count;
    const struct rest_computed *computed; /* of the plan's schema */
    uint32_t computed_count;
    struct rest_plan *parts; /* of a batch */
    uint32_t parts_count;
};
/* What an answer needs of it stays when the rest goes, which its request and its tree are in. */
void rest_plan_keep(arena *out, struct rest_plan *plan);
/* The Cookie field as JSON, an object of texts; empty: there is none. */
str rest_cookies(arena *out, const struct rest_request *rq);
/* All that it holds stands in out, or in the request. False: *error. */
[[nodiscard]] bool rest_plan_of(arena *out, const struct rest_options *o, const struct rest_request *rq, struct rest_plan *plan,
                                struct pg_error *error);

struct rest_response {
    uint16_t status;
    struct rest_field fields[REST_FIELDS_MAX];
    uint32_t fields_count;
    str body;
    bool has_body; /* content-length is its length; else the answer has none at all */
};
/* head, body: as query_batch_read_head gives them of a counted batch's answer. */
void rest_answer(arena *out, const struct rest_plan *plan, const struct query_head *head, str body, struct rest_response *r);
/* The same of what came, heads and all, of a batch too. */
void rest_answer_all(arena *out, const struct rest_plan *plan, str answer, struct rest_response *r);
/* how: REST_NOBODY: who asked has shown no token; REST_TERSE: no details, no hint. */
enum { REST_NOBODY = 1, REST_TERSE = 2 };
void rest_refuse(arena *out, const struct pg_error *error, uint32_t how, struct rest_response *r);
uint16_t rest_status_of(const struct pg_error *error, bool nobody);

#endif
