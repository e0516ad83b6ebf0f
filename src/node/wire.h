/* wire: the messages that the node's processes send each other, from one table (wire.def).
 *
 *   struct node_message m = NODE_MESSAGE(applied, .generation = 7, .err = ERR_OK);
 *   node_wire_send(fd, &m)                  the descriptors in m.fds stay the sender's
 *   node_wire_receive(fd, NODE_ROLE_worker, NODE_ROLE_supervisor, &m)   what comes in m.fds is the receiver's: node_message_take, _drop
 *
 * 1. What comes is hearsay. A message that is not in the table, not from such a sender to such a receiver, too long or too short, with a
 *    wrong number of descriptors or a field out of its range is nonsense, and whoever sent it is cut off.
 * 2. A message has one encoding: what was decoded encodes to the same bytes.
 */
#ifndef ORLO_NODE_WIRE_H
#define ORLO_NODE_WIRE_H

#include "app/data.h"
#include "base/base.h"
#include "node/migration.h"
#include "node/secrets.h"

enum node_role {
#define X(name, ...) NODE_ROLE_##name,
#include "node/roles.def"
#undef X
    NODE_ROLES
};

enum node_channel {
#define CHANNEL(name, role) NODE_CHANNEL_##name,
#include "node/channels.def"
#undef CHANNEL
    NODE_CHANNELS
};
enum { NODE_MANIFEST_FORMATS = 5 }; /* enum manifest_format */

enum { NODE_WIRE_FDS_MAX = 20, NODE_TEXT_MAX = 767 /* of a TEXT: what a diag holds */ };

enum node_message_type {
#define MSG(name, ...) NODE_MSG_##name,
#include "node/wire.def"
    NODE_MSG_COUNT
};

#define MSG(name, ...) struct node_msg_##name {
#define FLAG(f) bool f;
#define U8(f) uint8_t f;
#define U32(f) uint32_t f;
#define U64(f) uint64_t f;
#define CHOICE(f, n) uint8_t f;
#define CODE(f) err f;
#define FIXED(f, n) uint8_t f[n];
#define BYTES(f, max) str f;
#define NAME(f, max) str f;
#define TEXT(f, max) str f;
#define END(name)                                                                                                                \
    }                                                                                                                            \
    ;
#include "node/wire.def"

struct node_message {
    enum node_message_type type;
    union {
#define MSG(name, ...) struct node_msg_##name name;
#include "node/wire.def"
    };
    int fds[NODE_WIRE_FDS_MAX]; /* -1: taken */
    int fds_count;
};
#define NODE_MESSAGE(name, ...) ((struct node_message){.type = NODE_MSG_##name, .name = {__VA_ARGS__}})

const char *node_role_text(enum node_role role);
const char *node_message_text(enum node_message_type type);

/* Appends the encoding. False: a field is longer than it may be (a TEXT is cut, and its control characters are replaced). */
[[nodiscard]] bool node_wire_encode(const struct node_message *m, struct buf *out);
/* False: nonsense. Strings are borrowed from bytes; m->fds_count is what came with them. */
[[nodiscard]] bool node_wire_decode(str bytes, enum node_role from, enum node_role to, struct node_message *m);

/* ERR_AGAIN: the descriptor does not block, and its other end does not read; ERR_LIMIT: a field is too long; ERR_CLOSED. */
[[nodiscard]] err node_wire_send(int fd, const struct node_message *m);
/* What node_wire_encode made, without descriptors: for who keeps what there was no room for. */
[[nodiscard]] err node_wire_send_packet(int fd, str packet);
enum node_wire_got { NODE_WIRE_GOT, NODE_WIRE_AGAIN, NODE_WIRE_CLOSED, NODE_WIRE_NONSENSE };
/* Strings hold until the next call in this process. Only after GOT there is anything in m. */
enum node_wire_got node_wire_receive(int fd, enum node_role from, enum node_role to, struct node_message *m);
/* As receive, but waits where there is nothing yet. */
enum node_wire_got node_wire_await(int fd, enum node_role from, enum node_role to, struct node_message *m);
int node_message_take(struct node_message *m, int i); /* the descriptor is the caller's from now on */
void node_message_drop(struct node_message *m);       /* closes those that were not taken */

/* What went wrong elsewhere, as if it had gone wrong here; ERR_OK: nothing did. */
err node_diag_of(struct diag *d, err e, uint64_t offset, str text);

#endif
