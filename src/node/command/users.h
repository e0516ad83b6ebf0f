/* users: an app's users, for `orlo users` and `orlo import`: asked of the node, and read from what other services export. */
#ifndef ORLO_NODE_COMMAND_USERS_H
#define ORLO_NODE_COMMAND_USERS_H

#include "base/json.h"
#include "node/command/ask.h"
#include "node/node.h"
#include "pg/pg.h"

struct users {
    const struct node_users_config *c;
    arena *mem;
    str app;
    struct ask *a;
};
/* The app that --app names, or the manifest of this folder. */
[[nodiscard]] err node_users_open(const struct node_users_config *c, const char *dir, struct users *u, struct diag *d);
/* {"batch": […]} as the service_role. ERR_OK: *answer; ERR_INVALID: *error says what the database said, if error->state is there. */
[[nodiscard]] err node_users_ask(struct users *u, arena *out, str batch, str *answer, struct pg_error *error, struct diag *d);

/* ---- users_read.c: what others export ---- */

struct identity {
    str provider, id;
    const struct json *data; /* NULL: none */
};
struct person {
    uint64_t line;
    const char *bad; /* why it is none; NULL: it is one */
    str id, email, phone, hash, password, role;
    str created, confirmed, phone_confirmed, signed_in, banned, deleted; /* times; empty: none */
    const struct json *user_data, *app_data;                             /* objects; NULL: none */
    str source, source_id;                                               /* "firebase_uid": what they called him */
    bool there;                                                          /* an account has its id */
    bool anonymous, sso;
    VEC(struct identity) identities;
};
struct users_reader;
/* format: "supabase", "firebase", "auth0", "csv"; NULL: by what stands in it. hashes: Auth0's file of passwords; config: Firebase's parameters; NULL: none. */
[[nodiscard]] err node_users_read(arena *mem, const char *path, const char *format, const char *hashes, const char *config,
                                  struct users_reader **r, struct diag *d);
/* False: there are no more. Strings live in out. */
bool node_users_next(struct users_reader *r, arena *out, struct person *p);
uint64_t node_users_read_permille(const struct users_reader *r); /* of the file */
void node_users_read_end(struct users_reader *r);

/* A file's text, mapped; to be given back by munmap. */
[[nodiscard]] err node_users_map(const char *path, str *text, struct diag *d);
/* An id that is the same each time for what a service calls somebody. */
str node_users_id_of(arena *out, str source, str id);

#endif
