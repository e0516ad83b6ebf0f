/* flow: sources and sinks as their users see them. */
#include "net/flow_int.h"

enum net_flow net_source_peek(struct net_source *s, str *data) {
    *data = (str){0};
    enum net_flow f = s->ops->peek(s, data);
    s->waiting = f == NET_FLOW_WAIT;
    return f;
}

void net_source_consume(struct net_source *s, size_t n) { s->ops->consume(s, n); }

enum net_flow net_source_read(struct net_source *s, void *p, size_t n, size_t *got) {
    str data;
    enum net_flow f = net_source_peek(s, &data);
    *got = f == NET_FLOW_DATA ? MIN(n, data.n) : 0;
    if (*got) {
        memcpy(p, data.p, *got);
        s->ops->consume(s, *got);
    }
    return f;
}

enum net_error net_source_error(const struct net_source *s) { return s->error; }

const struct net_field *net_source_trailers(const struct net_source *s, uint32_t *count) { return s->ops->trailers(s, count); }

void net_source_notify(struct net_source *s, void (*fn)(void *arg), void *arg) {
    s->notify = fn;
    s->notify_arg = arg;
}

size_t net_sink_room(const struct net_sink *s) { return s->ops->room(s); }
err net_sink_write(struct net_sink *s, str data) { return s->ops->write(s, data); }
void net_sink_abort(struct net_sink *s, enum net_error e) { s->ops->abort(s, e); }
err net_sink_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count) {
    return s->ops->finish(s, trailers, count);
}
enum net_error net_sink_error(const struct net_sink *s) { return s->error; }

void net_sink_notify(struct net_sink *s, void (*fn)(void *arg), void *arg) {
    s->notify = fn;
    s->notify_arg = arg;
}
