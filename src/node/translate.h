/* translate: a text that a function of an app runs (EXECUTE) is read by a process of its own, the app's translator (roles.def), as nobody vouches for its
 * bytes; who runs it, the store or a worker, asks by a channel of which the supervisor hands out the ends.
 *
 *   asker ── translate: a memory file with the text, one for the answer, the catalogue where that is another ──> translator
 *         <─ translated ──
 *
 * 1. One ask at a time. Whoever waits does so in his own way: a thread of the store stands still, a fiber of a worker parks.
 * 2. The other end may be anybody's by now: what it gives is bytes, of a bounded length, and what they mean is looked at by who runs them (query/script_wall.c).
 * 3. It ends when nobody has asked for long, when others need its place, or because of the text: whoever sees its end asks of its successor, and gives up with
 *    the third. */
#ifndef ORLO_NODE_TRANSLATE_H
#define ORLO_NODE_TRANSLATE_H

#include "catalog/catalog.h"
#include "pg/pg.h"

enum {
    NODE_TRANSLATED_BYTES_MAX = 16 << 20,
    NODE_TRANSLATOR_PAUSE_MS = 1000, /* for so long who asks waits for one that comes back */
    NODE_TRANSLATOR_TRIES = 3,       /* it had rested; it had to make room; else it is the text */
};
struct node_translating { /* zeroes, and fd -1 */
    int fd;               /* of the channel; -1: there is none */
    int files[2];         /* the text's, the answer's; 0: not yet made */
    uint32_t id;
    const struct catalog *sent; /* which one it has, and of which version */
    uint64_t version;
};
void node_translating_close(struct node_translating *t); /* the channel */
void node_translating_end(struct node_translating *t);   /* all of it */
/* ERR_CLOSED: the other end is gone, and the channel is to be closed; ERR_IO: there is no memory for it. */
[[nodiscard]] err node_translate_send(struct node_translating *t, const struct catalog *c, str text);
/* ERR_AGAIN: it has not answered; ERR_CLOSED: as above, or it said nonsense; ERR_INVALID: it cannot do that. Any thread may call it. */
[[nodiscard]] err node_translate_take(struct node_translating *t, arena *mem, str *answer);
void node_translate_failed(struct pg_error *error, err e); /* why there is no answer */

#endif
