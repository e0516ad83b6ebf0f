/* filter: what a response goes through on its way out of an exchange: a filter, which makes other bytes of its body (an encoder), and a tap, which sees what leaves
 * and may put another answer in its place (a cache).
 *
 *   respond, write …, finish ─> filter ─> tap ─> amend (exchange.h), ops (exchange_int.h)
 *
 * 1. A body whose length nobody knows yet waits with its head until it is long enough to be worth a filter, has ended, or the turn is over.
 * 2. What was written and not followed by more in its turn is flushed at the turn's end; who writes faster than he is let is not.
 * 3. Who writes is given room as the client, and the filter, have some. What a filter holds back may be put beyond that, when it is flushed or ends.
 */
#ifndef ORLO_NET_FILTER_H
#define ORLO_NET_FILTER_H

#include "net/exchange.h"

#define NET_FILTER_UNKNOWN UINT64_MAX    /* so many bytes: not known yet */
#define NET_FILTER_LONG (UINT64_MAX - 1) /* not known, and as many as filter.hold, or more to come */
enum net_filter_says { NET_FILTER_NOT, NET_FILTER_PERHAPS /* of UNKNOWN alone */, NET_FILTER_IS };
enum net_filter_op { NET_FILTER_MORE, NET_FILTER_FLUSH, NET_FILTER_END };
struct net_filter {
    /* A head is given. It may become another, as with net_exchange_amend; IS: without a content-length. at_once: all of it is there. no_body: it has none
     * by rule, and is as if it had. */
    enum net_filter_says (*begin)(struct net_filter *f, struct net_answer *head, uint64_t bytes, bool at_once, bool no_body);
    size_t (*room)(struct net_filter *f); /* what it takes in this turn */
    /* As coding_run. */
    bool (*run)(struct net_filter *f, enum net_filter_op op, str *in, uint8_t *to, size_t room, size_t *made);
    void (*turn)(struct net_filter *f); /* a turn of what it works for is over */
    void (*stop)(struct net_filter *f); /* this response is over, or taken back; another may begin */
    size_t hold;                        /* such a body waits until it has so many bytes */
};
enum net_tap_says { NET_TAP_NOT, NET_TAP_WATCH, NET_TAP_REPLACE };
struct net_tap {
    /* REPLACE: the head, and this as its body, are sent instead, and what is written is nobody's. */
    enum net_tap_says (*head)(struct net_tap *t, struct net_answer *head, str *body);
    void (*data)(struct net_tap *t, str data);
    void (*end)(struct net_tap *t, bool whole); /* of what was watched: once */
};
/* Before anything is responded, and each once; NULL: none. They must outlive x. */
void net_exchange_filter(struct net_exchange *x, struct net_filter *filter);
void net_exchange_tap(struct net_exchange *x, struct net_tap *tap);
/* That a tap put another answer in the place of what was given. */
bool net_exchange_replaced(const struct net_exchange *x);

#endif
