/* Inside control: what there is to serve, and how it changes.
 *
 *   api.c …       HTTP: api_int.h
 *   control.c     start, the loop, who asks and what
 *   deployment.c  a manifest or record and its files on their way to being a version
 *   change.c      what all workers are to serve from now on: one change after the other
 *   actions.c     rollback, promotion, the end of an app, and what versions there are
 *   apps.c        what is served, in memory
 *   store.c       what is kept: a database; upgrade.c: what came before it
 *   logs.c        what apps have logged: files, and who reads them (logs.h)
 *   metrics.c     what all processes have counted (metrics.h); metrics_text.c: as Prometheus reads it
 *   data.c        what is asked of apps' databases (data.h); migrate.c: files of SQL on their way there
 *   move.c        a database that goes to another engine
 *   secrets.c     apps' secrets; keys.c: what their callers are known by (keys.h)
 *   acme.c        certificates from authorities (acme.h)
 *   images.c      images: sealed memory files to hand out, and files
 */
#ifndef ORLO_NODE_CONTROL_INT_H
#define ORLO_NODE_CONTROL_INT_H

#include "net/loop.h"
#include "node/control/deploy.h"
#include "node/control/store.h"
#include "node/node_int.h"
#include "node/rights.h"
#include "node/role.h"
#include "node/snapshot.h"
#include "node/state.h"
#include <dirent.h>

enum { FILES_MAX = NODE_WIRE_FDS_MAX - 4, CLIENTS_MAX = 32 };
/* Files of an app's static folders that are known to be here, the latest versions' first: in memory while they are looked for. */
enum { CONTROL_PACKED_MAX = 262'144 };

/* ---- apps.c: what is served ---- */

/* A version of an app. Never changed; whose it is frees it. */
struct control_served {
    uint32_t version;
    bool is_default;
    bool server; /* its tables are on one that somebody else runs */
    str bytes;   /* as app_record_write has it, with no word of being eager */
    arena *mem;  /* of the two below; NULL: there is none of either */
    VEC(str) hosts;
    struct node_rights rights;
    uint8_t own[];
};
struct control_served *node_served_new(const struct app_record *r);
void node_served_record(arena *out, const struct control_served *s, struct app_record *r); /* borrows s */
void node_served_free(struct control_served *s);                                           /* NULL is fine */

struct control_state {                    /* of an app */
    struct control_served *live, *canary; /* canary NULL: there is none */
    uint32_t permille;                    /* of requests, that the canary gets */
    uint64_t secrets_revision;
};
struct control_app {
    struct control_app *next, *previous, *next_named, *next_numbered;
    uint32_t id;
    str name;
    struct control_state state; /* live is never NULL */
    uint8_t own[APP_NAME_MAX];
};
struct control_app *node_control_app_named(const struct control *c, str name);
struct control_app *node_control_app_numbered(const struct control *c, uint32_t id);
/* What is live of it; borrows it. */
const struct app_record *node_control_app_record(arena *out, const struct control_app *app);
/* "http://shop.example.org:8080", as the world sees it; in out. */
str node_control_app_url(arena *out, const struct control *c, str app);
/* Makes it, or puts another state in place; takes what is in state. */
void node_control_app_put(struct control *c, uint32_t id, str name, const struct control_state *state);
void node_control_app_remove(struct control *c, struct control_app *app);

struct control_hosts { /* hosts.c */
    struct control_host **chains;
    uint32_t cap, n; /* cap: a power of two, or 0 */
};
/* Of what is live of an app and of its canary; remove before either is freed. */
void node_hosts_add(struct control *c, const struct control_app *app);
void node_hosts_remove(struct control *c, const struct control_app *app);
/* ERR_BUSY: another app than id has one of its hosts; d says which, and whose it is. served NULL is fine. */
[[nodiscard]] err node_hosts_check(const struct control *c, const struct control_served *served, uint32_t id, struct diag *d);

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

struct control {
    struct net_loop *loop;
    struct db *db;                /* NULL: nothing is kept */
    struct api *api;              /* api.c */
    struct control_token *tokens; /* by id: tokens.c */
    uint32_t tokens_count;
    struct net_timer *tokens_timer;
    struct control_blobs *blobs_index;
    struct control_blob *blobs; /* blobs.c */
    uint64_t started_ns;
    int wire;
    struct node_state state; /* records -1: nothing is kept */
    struct node_limits limits;
    struct control_app *apps, *last, *named[1024], *numbered[1024]; /* by id, from first to last */
    uint32_t apps_count;
    struct control_hosts hosts;
    bool record_broken; /* an app's, so nobody knows which images it has */
    uint32_t next_id;   /* where nothing is kept */
    struct control_image *images;
    uint64_t images_used; /* a clock of their use */
    bool key_known, key_asked;
    struct abi_key_public key;           /* the node's public half */
    VEC(struct node_msg_image_ask) asks; /* that wait for the key */
    arena *asks_mem;
    uint64_t generation;
    char url[257], domain[256];
    arena *config_mem;
    struct manifest_config *config; /* what the operator says of apps; NULL: nothing */
    arena *retired_mem;
    VEC(struct control_held) retired; /* files of versions that are no more: workers may ask for them still */
    uint32_t retired_due;             /* so many of them go when the timer rings */
    struct net_timer *sweep_timer;
    struct control_region *regions; /* metrics.c */
    struct control_places *places;  /* places.c */
    struct control_labels *labels;  /* metrics_text.c */
    struct control_logs *logs;      /* logs.c; NULL: none are kept */
    struct control_client *clients;
    struct deployment *deployments;
    uint32_t last_deployment;
    struct control_change *changes, *publishing; /* in the order in which they came; publishing is not one of them */
    bool changes_due, deployments_due;
    struct control_data_ask *data_asks; /* data.c */
    uint32_t last_data_ask;
    struct migrating *migrating;   /* migrate.c */
    struct control_move *moves;    /* move.c */
    bool clusters;                 /* one that is being made has those of apps */
    struct control_backup *backup; /* api_backup.c; NULL: none is being made */
    uint32_t last_migration;
    struct secret_op *secret_ops;
    struct control_key_uses *key_uses; /* keys.c; NULL: none was told of */
    uint32_t last_secret;
    struct control_certificates *certificates; /* certificates.c; NULL: none so far */
    struct control_acme *acme;                 /* acme.c; NULL: nothing is kept */
    int client_ca_fd;                          /* of who may come there by TLS; -1: it is plain */
    int admin_fd;                              /* at which nobody is let in yet; -1 */
    bool waits, governs, listens;              /* for control_open; it has read its state; commands are let in */
    bool done;                                 /* node_control_end */
};

void node_control_end(struct control *c);                                /* once its turn is over */
void node_control_tell(struct control *c, const struct node_message *m); /* the supervisor */
void node_control_answer(struct control *c, struct control_client *client, const struct node_message *m);

/* ---- change.c ----
 *
 *   WAITING ──its turn──> stage() ──published, begun()──> live in all workers, and ready ──> keep() ──> over(ERR_OK)
 *                            └── cannot be staged ──> over   └── cannot be served ──> undo() ──> over
 */

/* Made and freed by who wants it: over() is the last that is heard. */
struct control_change {
    struct control_change *next;
    str app;                 /* its name; empty: all as they are */
    uint32_t id;             /* stage() says it */
    bool drops;              /* the app */
    bool quiet;              /* workers serve what they did */
    bool eager;              /* who serves it has it loaded before it is live */
    struct control_state to; /* stage() fills it in; what is in it is the change's until it is the app's */
    uint64_t generation;
    err (*stage)(struct control *c, struct control_change *ch, struct diag *d); /* NULL: nothing to do; so the others */
    void (*begun)(struct control *c,
                  struct control_change *ch); /* it is on its way: what takes long besides. Sets waits if it does */
    bool waits;                               /* for node_change_ready, before it is kept or undone */
    bool told;                                /* by the supervisor: said, said_d */
    err said;
    struct diag said_d;
    err (*keep)(struct control *c, struct control_change *ch,
                struct diag *d); /* an error: control ends, and the next one serves what is kept */
    void (*undo)(struct control *c, struct control_change *ch);
    void (*over)(struct control *c, struct control_change *ch, err e, const struct diag *d);
    void *arg;
};
/* What it calls it calls from the loop. */
void node_change_begin(struct control *c, struct control_change *ch);
void node_change_go_on(struct control *c); /* what waited for a backup's moment */
bool node_backup_waits(const struct control *c);
void node_change_ready(struct control *c, struct control_change *ch);              /* what begun() began is over */
bool node_change_published(struct control *c, const struct node_msg_published *m); /* false: nobody asked */
/* All apps, as they are: after a start. */
[[nodiscard]] err node_control_publish_all(struct control *c, struct diag *d);
/* The same once more, for what is not theirs and yet in a snapshot. */
void node_control_publish_again(struct control *c);

/* ---- deployment.c ---- */

/* Takes the message's descriptors it needs; what becomes of it is said to the client. */
void node_deployment_begin(struct control *c, struct control_client *client, struct node_message *m);
void node_deployment_client_gone(struct control *c, struct control_client *client);
bool node_deployment_compiled(struct control *c, const struct node_msg_compile_done *m); /* false: nobody asked */
bool node_deployment_signed(struct control *c, const struct node_msg_sign_done *m);
/* Whether one that is under way has made, or found, that file. */
bool node_deployment_holds(const struct control *c, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES]);

/* ---- certificates.c (certificates.h) ---- */

struct node_certificate;                                                     /* node/certificates.h */
void node_certificates_own(struct control *c, int fd);                       /* takes it: the operator's, from now on; -1: none */
[[nodiscard]] err node_certificates_open(struct control *c, struct diag *d); /* what is kept; once the database is */

/* ---- secrets.c ---- */

bool node_secrets_said(struct control *c, const struct node_msg_secret_done *m); /* false: nobody asked */
struct control_key_ask {
    uint32_t app;
    str key; /* what it is sealed for */
    uint8_t does;
    str value, message;
    void (*said)(struct control *c, void *arg, err e, str value, const struct diag *d); /* later, once */
    void *arg;
};
/* Asks keys for something of an app's. ERR_BUSY: too much is asked for at once. */
[[nodiscard]] err node_secrets_ask(struct control *c, const struct control_key_ask *ask, struct diag *d);
/* A change by which all workers get the app anew, with what is kept of its secrets and keys. */
void node_secrets_to(struct control *c, struct control_change *ch, uint32_t app, uint64_t revision);
void node_secrets_refuse(struct control *c, control_done_fn done, void *arg, err e, const struct diag *d); /* said later */
/* What keys is to open for a worker that serves that version; *fd -1: nothing. */
void node_secrets_server(struct control *c, const struct node_msg_server_ask *m); /* the URL of one, sealed, for who asked */
[[nodiscard]] err node_secrets_file(struct control *c, uint32_t app, uint32_t version, int *fd, struct diag *d);
/* Those that a version asks for, must have, and are not set. */
struct control_keys {
    str *p;
    uint32_t n, cap;
};
[[nodiscard]] err node_secrets_missing(struct control *c, const struct app_record *r, arena *out, struct control_keys *missing,
                                       struct diag *d);

/* ---- keys.c (keys.h) ---- */

/* The key that its tokens are signed with is made, where there is none: done. False: nothing is to be waited for. */
bool node_keys_needed(struct control *c, uint32_t app, bool users, control_done_fn done, void *arg); /* users: of ES256 */
/* What a worker gets of them: entries of a secrets' file. */
[[nodiscard]] err node_keys_put(struct control *c, arena *scratch, const struct app_record *r, struct buf *to, struct diag *d);
void node_keys_note_use(struct control *c, uint32_t app, uint32_t key); /* a worker's word */

/* ---- files.c ---- */

enum { NODE_DIGEST_NAME_BYTES = 2 * APP_DIGEST_BYTES + 1 };
void node_digest_name(const uint8_t digest[APP_DIGEST_BYTES], char name[static NODE_DIGEST_NAME_BYTES]);
bool node_digest_of_name(str name, uint8_t digest[APP_DIGEST_BYTES]);
/* From its beginning. NULL: errno. */
DIR *node_control_read_folder(int folder);
/* Written whole under a name, or not at all: aside, synced, renamed, the folder synced. from: a descriptor, or -1: bytes. On any thread.
 * ERR_LIMIT: the disk is full; ERR_IO. */
[[nodiscard]] err node_control_write_file(int folder, const char *name, int from, str bytes, struct diag *d);
/* The same of a descriptor's, and not yet on the disk for good: whoever names it sees to that (sync_file, then sync_folder), and whoever finds
 * it holds it against its digest. */
[[nodiscard]] err node_control_copy_file(int folder, const char *name, int from, struct diag *d);
[[nodiscard]] err node_control_sync_file(int folder, const char *name, struct diag *d);
[[nodiscard]] err node_control_sync_folder(int folder, const char *name, struct diag *d);
/* All of one that is no longer than it may be; bytes of out. False: it is none. */
bool node_control_read_file(arena *out, int folder, const char *name, size_t bytes_max, str *bytes);

/* ---- images.c ---- */

/* Takes the descriptor, of a sealed memory file. */
void node_images_put(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], const struct abi_key_public *key, int fd);
bool node_images_have(struct control *c, const uint8_t digest[APP_DIGEST_BYTES], uint64_t *bytes); /* bytes may be NULL */
void node_images_forget(struct control *c, const uint8_t digest[APP_DIGEST_BYTES]);                /* it is not what it was */
/* What an image of a module goes by besides the module. */
void node_images_how(const struct app_function *f, uint8_t how[APP_DIGEST_BYTES]);
/* An image, or a pack. */
void node_images_ask(struct control *c, const struct node_msg_image_ask *ask);
void node_images_key_known(struct control *c, err e, str text); /* or not to be had */
/* A file that a version named which is no more: workers may ask for it for some seconds; then it goes, if nobody names it. */
void node_images_retire(struct control *c, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES]);
void node_images_retire_app(struct control *c, const struct control_app *app); /* what is live of it */
void node_images_sweep(struct control *c);
/* A new memory file with what is in one. */
[[nodiscard]] err node_images_copy(int from, uint64_t bytes, int *fd, struct diag *d);
[[nodiscard]] err node_images_seal(int fd, struct diag *d);

#endif
