/* state: the folder in which a node keeps what it has.
 *
 *   STATE/node.key       32 bytes, of the role keys (key.c)
 *   STATE/lock           held by the node that runs on it
 *   STATE/control.sock   where commands ask (control.c)
 *   STATE/upgrade.sock   where `orlo upgrade` asks the supervisor itself (supervisor/upgrade.c)
 *   STATE/db/node.db     apps, versions, secrets, tokens (control/store.c)
 *   STATE/images/DIGEST  an image each, named by its SHA-256
 *   STATE/packs/DIGEST   static folders
 *   STATE/blobs/…        what came for a deployment that is not there yet
 *   STATE/logs/…         what apps' guests said
 *   STATE/apps/NAME      what there was before node.db: a record each
 *   STATE/data           apps' data (store/)
 *   STATE/clusters/APP   the PostgreSQL of an app, by its number (supervisor/cluster.c)
 */
#ifndef ORLO_NODE_STATE_H
#define ORLO_NODE_STATE_H

#include "base/base.h"

/* X(role, field, name): folders, and the role that alone writes to each. */
#define NODE_STATE_FOLDERS(X)                                                                                                    \
    X(control, records, "apps")                                                                                                  \
    X(control, images, "images")                                                                                                 \
    X(control, db, "db")                                                                                                         \
    X(control, blobs, "blobs")                                                                                                   \
    X(control, packs, "packs")                                                                                                   \
    X(control, logs, "logs")                                                                                                     \
    X(store, data, "data")                                                                                                       \
    X(supervisor, clusters, "clusters")
struct node_state { /* -1: none */
    int lock, socket;
#define X(role, field, name) int field;
    NODE_STATE_FOLDERS(X)
#undef X
    int upgrade;
};
/* What control has of it: the first so many. */
enum { NODE_STATE_OF_CONTROL = 8 };
static_assert(offsetof(struct node_state, data) == NODE_STATE_OF_CONTROL * sizeof(int), "and no more");
static inline int *node_state_fds(struct node_state *s) { return &s->lock; }
/* Where it is: dir, or if that is NULL $ORLO_STATE, else $XDG_STATE_HOME/orlo, else ~/.local/state/orlo. */
str node_state_folder(arena *out, const char *dir);
/* mkdir -p, the last one 0700. path is changed, and changed back. */
bool node_state_make_folder(char *path);
/* Makes what is missing, and takes the lock. ERR_BUSY: another node runs on it; ERR_IO. */
[[nodiscard]] err node_state_open(str folder, struct node_state *out, struct diag *d);
/* The same, with the lock and the sockets in out that a node before this one handed on, as far as it did; the rest of it is node_state_none. */
[[nodiscard]] err node_state_go_on(str folder, struct node_state *out, struct diag *d);
/* The role that writes in a folder of the state is one process, whatever its starters believe: it holds the folder's lock for as long as it lives, and waits for
 * whoever has it. ERR_IO; ERR_BUSY: after minutes. *own: closing it gives it back. */
[[nodiscard]] err node_state_hold(int folder, int *own, struct diag *d);
void node_state_none(struct node_state *s); /* -1 each */
void node_state_close(struct node_state *s);
/* To the node that runs on it: a connection, or -1 with d. ERR_NOT_FOUND: none runs; ERR_DENIED. */
[[nodiscard]] err node_state_connect(str folder, int *fd, struct diag *d);
[[nodiscard]] err node_state_connect_upgrade(str folder, int *fd, struct diag *d); /* likewise: a SOCK_SEQPACKET */

#endif
