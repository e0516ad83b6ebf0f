/* record_rules: an app's rules for requests, at the end of its record (record.h). */
#include "app/pattern.h"
#include "app/record_int.h"

/* ---- writing ---- */

void app_cors_write(struct buf *to, const struct app_cors *c) {
    write_list(to, c->origins.p, c->origins.n);
    write_list(to, c->methods.p, c->methods.n);
    write_list(to, c->headers.p, c->headers.n);
    write_list(to, c->expose.p, c->expose.n);
    write_u32(to, c->credentials | c->private_network << 1);
    write_u32(to, c->max_age_s);
}

static void write_headers(struct buf *to, const struct app_headers *h) {
    write_str(to, h->match);
    write_u32(to, h->fields.n);
    for (uint32_t i = 0; i < h->fields.n; i++) {
        write_u32(to, h->fields.p[i].how);
        write_str(to, h->fields.p[i].name);
        write_str(to, h->fields.p[i].value);
    }
}

static void write_allow(struct buf *to, const struct app_allow *a) {
    write_str(to, a->match);
    write_list(to, a->methods.p, a->methods.n);
    buf_put(to, &a->body_bytes_max, 8);
}

static void write_rate(struct buf *to, const struct app_rate *r) {
    write_str(to, r->match);
    write_str(to, r->name);
    write_str(to, r->header);
    write_list(to, r->methods.p, r->methods.n);
    write_u32(to, r->requests), write_u32(to, r->per_s), write_u32(to, r->burst), write_u32(to, r->by);
}

static void write_moved(struct buf *to, const struct app_moved *m) {
    write_str(to, m->host);
    write_str(to, m->from);
    write_str(to, m->to);
    write_u32(to, m->query.n);
    for (uint32_t i = 0; i < m->query.n; i++) write_str(to, m->query.p[i].name), write_str(to, m->query.p[i].value);
    write_u32(to, m->status);
}

void app_rules_write(struct buf *to, const struct app_record *r) {
    const struct app_rules *s = &r->rules;
    for (uint32_t i = 0; i < r->files.n; i++) {
        const struct app_files *f = &r->files.p[i];
        write_u32(to, f->earlier_of);
        buf_put(to, &f->until_ms, 8);
        write_u32(to, f->cache.n);
        for (uint32_t k = 0; k < f->cache.n; k++) write_str(to, f->cache.p[k].match), write_str(to, f->cache.p[k].value);
    }
    write_u32(to, s->headers.n);
    for (uint32_t i = 0; i < s->headers.n; i++) write_headers(to, &s->headers.p[i]);
    write_u32(to, s->allows.n);
    for (uint32_t i = 0; i < s->allows.n; i++) write_allow(to, &s->allows.p[i]);
    write_u32(to, s->rates.n);
    for (uint32_t i = 0; i < s->rates.n; i++) write_rate(to, &s->rates.p[i]);
    write_u32(to, s->cors.n);
    for (uint32_t i = 0; i < s->cors.n; i++) write_str(to, s->cors.p[i].match), app_cors_write(to, &s->cors.p[i].cors);
    write_u32(to, s->moved.n);
    for (uint32_t i = 0; i < s->moved.n; i++) write_moved(to, &s->moved.p[i]);
    write_u32(to, s->hsts_s);
    write_u32(to, s->hsts_subdomains | s->hsts_preload << 1 | s->https << 2);
}

/* ---- reading ---- */

void app_cors_read(arena *out, struct rd *from, struct app_cors *c, bool first) {
    READ_LIST(out, from, &c->origins);
    READ_LIST(out, from, &c->methods);
    READ_LIST(out, from, &c->headers);
    READ_LIST(out, from, &c->expose);
    uint32_t flags = rd_u32le(from);
    if (!first && flags > 3) rd_fail(from, "no CORS rules");
    c->credentials = first ? flags != 0 : flags & 1;
    c->private_network = !first && flags & 2;
    c->max_age_s = rd_u32le(from);
}

static str read_pattern(struct rd *from) {
    str s = read_plain(from, APP_PATTERN_BYTES_MAX);
    if (!from->fail && app_pattern_wrong(s)) rd_fail(from, "no pattern of a path");
    return s;
}

static struct app_headers read_headers(arena *out, struct rd *from) {
    struct app_headers h = {.match = read_pattern(from)};
    for (uint32_t n = read_count(from, 12, APP_RULE_FIELDS_MAX); n && !from->fail; n--) {
        uint32_t how = rd_u32le(from);
        struct app_field f = {(uint8_t)how, read_plain(from, APP_FUNCTION_NAME_MAX), read_plain(from, APP_FIELD_BYTES_MAX)};
        if (how >= APP_FIELD_HOWS || !f.name.n) rd_fail(from, "no field");
        vec_push(out, &h.fields, f);
    }
    return h;
}

static struct app_allow read_allow(arena *out, struct rd *from) {
    struct app_allow a = {.match = read_pattern(from)};
    READ_LIST(out, from, &a.methods);
    a.body_bytes_max = rd_u64le(from);
    return a;
}

static struct app_rate read_rate(arena *out, struct rd *from) {
    struct app_rate r = {
        .match = read_pattern(from), .name = read_plain(from, APP_NAME_MAX), .header = read_plain(from, APP_FUNCTION_NAME_MAX)};
    READ_LIST(out, from, &r.methods);
    r.requests = rd_u32le(from), r.per_s = rd_u32le(from), r.burst = rd_u32le(from);
    uint32_t by = rd_u32le(from);
    r.by = (uint8_t)by;
    bool bounded =
        r.requests && r.requests <= APP_RATE_MAX && r.per_s && r.per_s <= APP_RATE_S_MAX && r.burst && r.burst <= APP_RATE_MAX;
    if (!bounded || by >= APP_RATE_BYS || (by == APP_RATE_BY_HEADER) != (r.header.n > 0)) rd_fail(from, "no rate");
    return r;
}

static struct app_moved read_moved(arena *out, struct rd *from) {
    struct app_moved m = {
        .host = read_plain(from, APP_HOST_MAX + 2), .from = read_pattern(from), .to = read_plain(from, APP_URL_MAX)};
    for (uint32_t n = read_count(from, 8, APP_RULE_WORDS_MAX); n && !from->fail; n--) {
        struct app_condition c = {read_plain(from, APP_FUNCTION_NAME_MAX), read_plain(from, APP_FUNCTION_NAME_MAX)};
        vec_push(out, &m.query, c);
    }
    uint32_t status = rd_u32le(from);
    if (!m.to.n || status < 300 || status > 399) rd_fail(from, "no redirect");
    m.status = (uint16_t)status;
    return m;
}

static void read_folder(arena *out, struct rd *from, struct app_record *r, uint32_t i) {
    struct app_files *f = &r->files.p[i];
    f->earlier_of = rd_u32le(from);
    f->until_ms = rd_u64le(from);
    if (f->earlier_of > i) rd_fail(from, "an earlier version of no folder"); /* it stands behind that */
    for (uint32_t n = read_count(from, 8, APP_RULES_MAX); n && !from->fail; n--) {
        struct app_cache c = {read_pattern(from), read_plain(from, APP_FIELD_BYTES_MAX)};
        vec_push(out, &f->cache, c);
    }
}

void app_rules_read(arena *out, struct rd *from, struct app_record *r) {
    struct app_rules *s = &r->rules;
    for (uint32_t i = 0; i < r->files.n && !from->fail; i++) read_folder(out, from, r, i);
    for (uint32_t n = read_count(from, 8, APP_RULES_MAX); n && !from->fail; n--)
        vec_push(out, &s->headers, read_headers(out, from));
    for (uint32_t n = read_count(from, 16, APP_RULES_MAX); n && !from->fail; n--)
        vec_push(out, &s->allows, read_allow(out, from));
    for (uint32_t n = read_count(from, 32, APP_RULES_MAX); n && !from->fail; n--) vec_push(out, &s->rates, read_rate(out, from));
    for (uint32_t n = read_count(from, 28, APP_RULES_MAX); n && !from->fail; n--) {
        struct app_cors_of c = {.match = read_pattern(from)};
        app_cors_read(out, from, &c.cors, false);
        vec_push(out, &s->cors, c);
    }
    for (uint32_t n = read_count(from, 20, APP_RULES_MAX); n && !from->fail; n--) vec_push(out, &s->moved, read_moved(out, from));
    s->hsts_s = rd_u32le(from);
    uint32_t flags = rd_u32le(from);
    if (flags > 7) rd_fail(from, "no rules");
    s->hsts_subdomains = flags & 1, s->hsts_preload = flags & 2, s->https = flags & 4;
    s->any = s->headers.n || s->allows.n || s->rates.n || s->cors.n || s->moved.n || s->hsts_s || s->https;
}
