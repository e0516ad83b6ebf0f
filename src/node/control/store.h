/* store: what control keeps, in STATE/db/node.db: apps, their versions and secrets, tokens, which image was made of which module.
 *
 *   staged ──commit──> kept ──live or canary──> has been live ──so many newer ones──> swept, with files that nobody else names
 *      └── anything else: as if it had never been
 *
 * 1. A version is a row before it is published, and counts once the app's row names it (or says that it is kept): one transaction, after all
 *    workers serve it, before anybody is told. At any moment an app is what it was, or what it is to be.
 * 2. Numbers of apps are given once in a node's life; those of versions count on.
 * 3. Files (images, packs, modules) lie beside the database, named by their digests. One is written before a version names it, and removed
 *    when none does.
 * 4. A database of a newer format, of another node, or one that is gone although the folder had one, is refused, and nothing is touched.
 */
#ifndef ORLO_NODE_CONTROL_STORE_H
#define ORLO_NODE_CONTROL_STORE_H

#include "app/record.h"
#include "db/db.h"

struct control;
enum control_file_kind { CONTROL_IMAGE, CONTROL_PACK, CONTROL_MODULE };
struct control_held { /* a file that a version names */
    enum control_file_kind kind;
    uint8_t digest[APP_DIGEST_BYTES];
    uint64_t bytes;
};

/* Where it is becomes the working directory: before there is a sandbox. */
[[nodiscard]] err node_store_enter(struct control *c, struct diag *d);
/* Opens it, after what came before it has become it; c->apps is filled. A control that keeps nothing: nothing happens. */
uint32_t node_store_format(void); /* of node.db, that this program writes */
[[nodiscard]] err node_store_open(struct control *c, struct diag *d);
/* What is in the folders and is nobody's: at the start, when nothing is under way. */
void node_store_sweep(struct control *c);

/* The app's number; one that is not there is made, without a version. */
[[nodiscard]] err node_store_app(struct control *c, str name, uint32_t *id, struct diag *d);
/* r->id is the app's; r->version becomes the next. */
[[nodiscard]] err node_store_stage(struct control *c, struct app_record *r, str by, const struct control_held *held,
                                   uint32_t count, struct diag *d);
void node_store_unstage(struct control *c, uint32_t app, uint32_t version); /* and the app, if it has nothing else */
/* What the app is from now on; version 0: none. Versions that are too many are swept. */
struct control_now {
    uint32_t app, live, canary, permille;
    uint32_t kept; /* a version that was staged, and is neither */
};
[[nodiscard]] err node_store_set(struct control *c, const struct control_now *now, uint64_t versions_max, struct diag *d);
[[nodiscard]] err node_store_drop(struct control *c, uint32_t app, struct diag *d);

/* ERR_NOT_FOUND: there is no such app, or version of it; d says so. */
[[nodiscard]] err node_store_now(struct control *c, str app, struct control_now *now, uint64_t *secrets_revision, struct diag *d);
[[nodiscard]] err node_store_record(struct control *c, arena *out, uint32_t app, uint32_t version, struct app_record *r,
                                    struct diag *d);
/* The one that was live before this one. ERR_NOT_FOUND: none was. */
[[nodiscard]] err node_store_before(struct control *c, const struct control_now *now, uint32_t *version, struct diag *d);

/* The image that was made of a module, and how (compiler, limits, machine). False: there is none. */
bool node_store_image(struct control *c, const uint8_t module[APP_DIGEST_BYTES], const uint8_t how[APP_DIGEST_BYTES],
                      uint8_t image[APP_DIGEST_BYTES], uint32_t *kind);
[[nodiscard]] err node_store_put_image(struct control *c, const uint8_t module[APP_DIGEST_BYTES],
                                       const uint8_t how[APP_DIGEST_BYTES], const uint8_t image[APP_DIGEST_BYTES], uint32_t kind,
                                       struct diag *d);
/* Whether a version names it. */
bool node_store_named(struct control *c, enum control_file_kind kind, const uint8_t digest[APP_DIGEST_BYTES]);

/* upgrade.c: apps that are still files of a folder become rows of the database, after a copy of the files was made. */
[[nodiscard]] err node_upgrade_apps(struct control *c, struct diag *d);

#endif
