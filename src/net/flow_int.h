/* What stands behind a source or a sink: who implements one embeds it. */
#ifndef ORLO_NET_FLOW_INT_H
#define ORLO_NET_FLOW_INT_H

#include "net/flow.h"

struct net_source_ops {
    enum net_flow (*peek)(struct net_source *s, str *data);
    void (*consume)(struct net_source *s, size_t n);
    const struct net_field *(*trailers)(const struct net_source *s, uint32_t *count);
};
struct net_source {
    const struct net_source_ops *ops;
    void (*notify)(void *arg);
    void *notify_arg;
    enum net_error error;
    bool waiting; /* the last peek said WAIT and nobody was told since */
};

struct net_sink_ops {
    size_t (*room)(const struct net_sink *s);
    err (*write)(struct net_sink *s, str data);
    err (*finish)(struct net_sink *s, const struct net_field *trailers, uint32_t count);
    void (*abort)(struct net_sink *s, enum net_error e);
};
struct net_sink {
    const struct net_sink_ops *ops;
    void (*notify)(void *arg);
    void *notify_arg;
    enum net_error error;
};

static inline void net_source_tell(struct net_source *s) {
    if (!s->waiting) return;
    s->waiting = false;
    if (s->notify) s->notify(s->notify_arg);
}
static inline void net_sink_tell(struct net_sink *s) {
    if (s->notify) s->notify(s->notify_arg);
}

#endif
