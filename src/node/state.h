/* state: the folder in which a node keeps what it has.
 *
 *   STATE/node.key       32 bytes, of the role keys (key.c)
 *   STATE/lock           held by the node that runs on it
 *   STATE/control.sock   where commands ask (control.c)
 *   STATE/apps/NAME      a record each, whole or not there
 *   STATE/images/DIGEST  an image each, named by its SHA-256
 *   STATE/data           apps' data (store/)
 */
#ifndef ORLO_NODE_STATE_H
#define ORLO_NODE_STATE_H

#include "base/base.h"

struct node_state {
    int lock, socket, records, images, data; /* -1: none */
};
/* Where it is: dir, or if that is NULL $ORLO_STATE, else $XDG_STATE_HOME/orlo, else ~/.local/state/orlo. */
str node_state_folder(arena *out, const char *dir);
/* mkdir -p, the last one 0700. path is changed, and changed back. */
bool node_state_make_folder(char *path);
/* Makes what is missing, and takes the lock. ERR_BUSY: another node runs on it; ERR_IO. */
[[nodiscard]] err node_state_open(str folder, struct node_state *out, struct diag *d);
void node_state_close(struct node_state *s);
/* To the node that runs on it: a connection, or -1 with d. ERR_NOT_FOUND: none runs; ERR_DENIED. */
[[nodiscard]] err node_state_connect(str folder, int *fd, struct diag *d);

#endif
