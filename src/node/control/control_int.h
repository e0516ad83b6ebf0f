/* Inside control: what there is to serve, and how it changes.
 *
 *   api.c …       HTTP: api_int.h
 *   control.c     start, the loop, who asks and what
 *   deployment.c  a record and its files on their way to being served
 *   records.c     apps: in memory, and as files that are whole or not there
 *   logs.c        what apps have logged: files, and who reads them (logs.h)
 *   metrics.c     what all processes have counted (metrics.h); metrics_text.c: as Prometheus reads it
 *   images.c      images: sealed memory files to hand out, and files
 */
#ifndef ORLO_NODE_CONTROL_INT_H
#define ORLO_NODE_CONTROL_INT_H

#include "net/loop.h"
#include "node/node_int.h"
#include "node/rights.h"
#include "node/role.h"
#include "node/snapshot.h"
#include "node/state.h"
#include <dirent.h>

enum { FILES_MAX = NODE_WIRE_FDS_MAX - 4, CLIENTS_MAX = 32 };

/* An app in the version that is served. */
struct control_app {
    struct control_app *next;
    arena *mem;
    struct app_record record; /* eager or not is said anew in each snapshot */
    struct node_rights rights;
};

struct control_image {
    struct control_image *next;
    uint8_t digest[APP_DIGEST_BYTES]; /* of what is signed of it */
    struct abi_key_public key;
    int fd; /* sealed; owned */
    uint64_t bytes, used;
};

struct control_client {
    struct control_client *next;
    struct control *control;
    struct net_watch *watch;
    int fd;
    struct deployment *busy; /* with its request; NULL: it may ask */
};

struct db;
struct control {
    struct net_loop *loop;
    struct db *db;                /* NULL: nothing is kept */
    struct api *api;              /* api.c */
    struct control_token *tokens; /* by id: tokens.c */
    uint32_t tokens_count;
    struct net_timer *tokens_timer;
    struct control_blob *blobs; /* blobs.c */
    uint64_t started_ns;
    int wire;
    struct node_state state; /* records -1: nothing is kept */
    struct node_limits limits;
    struct control_app *apps; /* by id */
    bool record_broken;       /* an app's, so nobody knows which images it has */
    uint32_t next_id;
    struct control_image *images;
    uint64_t images_used; /* a clock of their use */
    bool key_known, key_asked;
    struct abi_key_public key; /* the node's public half */
    VEC(struct control_ask {
        uint32_t id;
        uint8_t digest[APP_DIGEST_BYTES];
    })
    asks; /* for images, that wait for the key */
    arena *asks_mem;
    uint64_t generation;
    char url[257];
    arena *retired_mem;
    VEC(struct control_digest { uint8_t bytes[APP_DIGEST_BYTES]; })
    retired;                        /* of the version before: workers may ask for them still */
    struct control_region *regions; /* metrics.c */
    struct control_labels *labels;  /* metrics_text.c */
    struct control_logs *logs;      /* logs.c; NULL: none are kept */
    struct control_client *clients;
    struct deployment *deployments, *publishing;
    uint32_t last_deployment;
    bool done; /* node_control_end */
};

void node_control_end(struct control *c);                                /* once its turn is over */
void node_control_tell(struct control *c, const struct node_message *m); /* the supervisor */
void node_control_answer(struct control *c, struct control_client *client, const struct node_message *m);

/* ---- deployment.c ---- */

/* Both take the message's descriptors they need; what becomes of it is said to the client. */
void node_deployment_begin(struct control *c, struct control_client *client, struct node_message *m);
void node_deployment_drop(struct control *c, struct control_client *client, str name);
void node_deployment_client_gone(struct control *c, struct control_client *client);
bool node_deployment_compiled(struct control *c, const struct node_msg_compile_done *m); /* false: nobody asked */
bool node_deployment_signed(struct control *c, const struct node_msg_sign_done *m);
bool node_deployment_published(struct control *c, const struct node_msg_published *m);
/* All apps, as they are: after a start. */
err node_control_publish_all(struct control *c, struct diag *d);

/* ---- records.c ---- */

struct control_app *node_control_app_new(const struct app_record *r); /* a copy of its own */
void node_control_app_free(struct control_app *app);
struct control_app *node_control_app_named(const struct control *c, str name);
void node_control_app_put(struct control *c, struct control_app *app); /* takes it; one of that name makes room */
void node_control_app_remove(struct control *c, struct control_app *app);
/* Reads what the folder has. One broken record is logged, and left alone. */
[[nodiscard]] err node_records_load(struct control *c, struct diag *d);
/* Beside the record that is there; then in its place, or away. Nothing is kept: they succeed. */
[[nodiscard]] err node_records_stage(struct control *c, const struct app_record *r, struct diag *d);
[[nodiscard]] err node_records_commit(struct control *c, str name, struct diag *d);
void node_records_unstage(struct control *c, str name);
[[nodiscard]] err node_records_remove(struct control *c, str name, struct diag *d);
[[nodiscard]] err node_records_next_id(struct control *c, uint32_t *id, struct diag *d);
/* From its beginning. NULL: errno. */
DIR *node_control_read_folder(int folder);
/* Written whole under a name, or not at all: aside, synced, renamed, the folder synced. */
[[nodiscard]] err node_control_write_file(int folder, const char *name, int from, str bytes, struct diag *d);

/* ---- images.c ---- */

/* Takes the descriptor. Kept as a file as well, if anything is. */
[[nodiscard]] err node_images_add(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], const struct abi_key_public *key,
                                  int fd, struct diag *d);
void node_images_ask(struct control *c, uint32_t id, const uint8_t digest[APP_DIGEST_BYTES]);
void node_images_key_known(struct control *c, err e, str text);                      /* or not to be had */
void node_images_sweep(struct control *c);                                           /* at the start: files that no app has */
void node_images_release(struct control *c, const uint8_t digest[APP_DIGEST_BYTES]); /* if no app has it any more */
/* A new memory file with what is in one. */
[[nodiscard]] err node_images_copy(int from, uint64_t bytes, int *fd, struct diag *d);
[[nodiscard]] err node_images_seal(int fd, struct diag *d);

#endif
