/* fetch: fetches as their owners see them. */
#include "net/fetch_int.h"

bool net_quota_take(struct net_quota *q) {
    for (const struct net_quota *at = q; at; at = at->of)
        if (at->max && at->used >= at->max) return false;
    for (; q; q = q->of) q->used++;
    return true;
}

void net_quota_give(struct net_quota *q) {
    for (; q; q = q->of) q->used--;
}

void net_fetch_free(struct net_fetch *f) {
    if (f) f->free(f);
}

const struct net_response *net_fetch_response(const struct net_fetch *f) { return f->response.status ? &f->response : NULL; }
enum net_error net_fetch_error(const struct net_fetch *f) { return f->error; }
str net_fetch_error_text(const struct net_fetch *f) {
    return str_c(f->error_text[0] ? f->error_text : f->error ? net_error_text(f->error) : "");
}
str net_fetch_scheme(const struct net_fetch *f) { return f->scheme; }
str net_fetch_authority(const struct net_fetch *f) { return f->authority; }
const struct net_addr *net_fetch_prohibited(const struct net_fetch *f) { return f->prohibited ? &f->prohibited_address : NULL; }
struct net_source *net_fetch_source(struct net_fetch *f) {
    return &f->source;
}
struct net_sink *net_fetch_sink(struct net_fetch *f) {
    return &f->sink;
}
