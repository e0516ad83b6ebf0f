/* handover: what one Orlo says to another that takes its place (`orlo upgrade`), and the command to the node that runs. Not wire.def's messages: both sides may be
 * of different versions, so this changes by additions alone.
 *
 *   packet of a SOCK_SEQPACKET = "orlo 1 VERB\n"  "KEY VALUE\n" …  ["\n" body]     descriptors beside it
 *
 *   command ── upgrade ──> node          ── said …, done | failed ──> command                           at STATE/upgrade.sock (supervisor/upgrade.c)
 *   old <── hello ── new                  who it is: version, format of the state, layouts
 *   old ── offer, door …, inbox …, region …, offered ──> new
 *   old <── prepared ── new               its configuration is read, its doors are there; it has written nothing
 *   old ── go ──> new                     the old control has ended: node.db is the new one's
 *   old <── serving | failed ── new       all its workers serve
 *   old ── yours, cluster …, clusters ──> new
 *   old ── lend, image-want ──> new ── lent, image ──> old      where wire.def is the same in both: for workers of the old one that still serve
 *   old ── done ──> new                   nothing of it is left
 *   new ── main ──> the first one, which waits as a parent (supervisor/stay.c)
 *
 * What comes is a process' of the same user, and read as if it were anybody's.
 */
#ifndef ORLO_NODE_HANDOVER_H
#define ORLO_NODE_HANDOVER_H

#include "base/base.h"

enum {
    NODE_HANDOVER_FDS_MAX = 200,
    NODE_HANDOVER_FIELDS_MAX = 32,
    NODE_HANDOVER_BYTES_MAX = 96 << 10,
    NODE_HANDOVER_FD = 3,
    NODE_HANDOVER_LOG_FD = 4
};
#define NODE_HANDOVER_VARIABLE                                                                                                   \
    "ORLO_HANDOVER" /* in the environment of who takes over: it has the channel at 3, and at 4 the log */

struct node_handover {
    str verb, body;
    struct {
        str key, value;
    } fields[NODE_HANDOVER_FIELDS_MAX];
    uint32_t count;
    int fds[NODE_HANDOVER_FDS_MAX]; /* -1: taken */
    int fds_count;
};
/* False: nonsense. Borrows; fds are left alone. */
[[nodiscard]] bool node_handover_parse(str bytes, struct node_handover *m);
bool node_handover_is(const struct node_handover *m, const char *verb);
str node_handover_str(const struct node_handover *m, const char *key);      /* empty: it does not say */
uint64_t node_handover_u64(const struct node_handover *m, const char *key); /* 0: it does not say, or no number */
int node_handover_take(struct node_handover *m, int i);                     /* -1: there is none */
void node_handover_drop(struct node_handover *m);

/* A packet: begun, filled, sent. A value has no line end: what has one is cut there. */
void node_handover_begin(struct buf *b, const char *verb);
void node_handover_put(struct buf *b, const char *key, str value);
void node_handover_put_u64(struct buf *b, const char *key, uint64_t value);
/* Frees b. Descriptors stay the sender's. ERR_CLOSED; ERR_AGAIN: the other end does not read. */
[[nodiscard]] err node_handover_send(int fd, struct buf *b, str body, const int *fds, int count);
enum node_handover_got { NODE_HANDOVER_GOT, NODE_HANDOVER_AGAIN, NODE_HANDOVER_CLOSED };
/* What it borrows holds until the next call. Nonsense is as if the other end were closed. */
enum node_handover_got node_handover_receive(int fd, struct node_handover *m);

/* By which two versions know whether what their processes say to each other is the same (wire.def, channels.def); and what they share in memory. */
void node_handover_layouts(char wire[static 33], char rates[static 33], char meters[static 33]);

#endif
