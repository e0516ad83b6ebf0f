/* Inside of a deployment: deployment.c, its life and its functions; bundle.c, what it is made of. */
#ifndef ORLO_NODE_CONTROL_DEPLOYMENT_INT_H
#define ORLO_NODE_CONTROL_DEPLOYMENT_INT_H

#include "node/control/blobs.h"
#include "node/control/data.h"
#include "node/control/control_int.h"

struct node_pack;
struct bundle_pack { /* of a version that is kept */
    uint8_t digest[APP_DIGEST_BYTES];
    struct node_pack *open; /* NULL: it cannot be */
};
struct deployment {
    struct deployment *next;
    struct control *control;
    uint32_t id;
    struct control_client *client; /* NULL: gone, or nobody asked by messages */
    control_done_fn done;          /* NULL: the same of who asked by a call */
    control_progress_fn progress;
    void *arg;
    enum { READING, WAITING, HASHING, COMPILING, SIGNING, WRITING, PACKING, MIGRATING, CHANGING } state;
    bool cancelled, works; /* a thread is at it: it goes when that is over */
    bool dry_run, not_live;
    arena *mem;
    struct control_who who;
    uint8_t format;
    str app_name, manifest_name, folder;
    VEC(str) hosts, env;
    int manifest;                      /* what the job says of it; -1 */
    VEC(struct control_file) bundle;   /* what the manifest may name */
    struct app_record record;          /* as it is to be */
    uint32_t kind;                     /* of the first function */
    int files[FILES_MAX], files_count; /* of functions, where they came as descriptors */
    uint32_t at;                       /* function */
    int module, image;                 /* of that function; -1 */
    uint64_t module_bytes;
    bool is_image, image_fits, again;
    struct abi_image_signed sign;
    struct abi_key_public key;
    VEC(struct control_held) held;
    uint32_t compiled;
    VEC(struct bundle_pack) packs;
    struct map packed;                     /* files in them, by digest */
    VEC(struct app_files) earlier;         /* folders of what is live, and those that it asks besides */
    uint64_t packed_bytes;                 /* of the packs that are made, together: a file may be in several */
    str migrations, url;                   /* the folder; a server's, that is to be a secret */
    VEC(struct migration_file) sql;        /* what of the bundle is in it */
    VEC(struct control_migration) applied; /* what became of them */
    VEC(struct control_missing) missing;
    bool mails_asked; /* a job looks at the words of its mails */
    struct buf mails; /* those, as it is told them; on the heap only while a thread reads them */
    VEC(struct control_remark) remarks;
    str wrong; /* key of the manifest */
    uint32_t line;
    uint64_t ns;        /* when it began */
    err failed, synced; /* of what a thread did */
    struct diag d;
    struct control_change change;
};

struct deployment *node_deployment_new(struct control *c);
void node_deployment_end(struct control *c, struct deployment *dep, err e, const struct diag *d); /* answered, and gone */
void node_deployment_tell(struct control *c, const struct deployment *dep, const char *what, str of);
/* fn(dep) on a thread, which sets dep->failed and dep->d; then what follows, unless that failed, or it was given up meanwhile. */
void node_deployment_send(struct deployment *dep, void (*fn)(struct deployment *dep),
                          void (*then)(struct control *c, struct deployment *dep));
/* What it is to be is known: after those of its app that came before. */
void node_deployment_go_on(struct control *c, struct deployment *dep);
void node_deployment_hold(struct deployment *dep, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES],
                          uint64_t bytes);
/* Its migrations, and then that. */
void node_deployment_migrate(struct control *c, struct deployment *dep);
[[nodiscard]] err node_deployment_check(const struct control *c, const struct app_record *r, struct diag *d);

/* ---- bundle.c ---- */

/* The manifest's job is over. */
void node_bundle_read(struct control *c, struct deployment *dep, err e, const struct diag *d);
const struct control_file *node_bundle_file(const struct deployment *dep, str path); /* NULL: it is not in it */
/* Static folders become packs; then node_deployment_change. */
void node_bundle_pack(struct control *c, struct deployment *dep);
void node_bundle_close(struct deployment *dep);
/* What was uploaded, and no version names. */
void node_bundle_sweep(struct control *c, str app);

#endif
