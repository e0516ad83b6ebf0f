/* bytes: what a job found, as it travels to who asked for it. */
#include "manifest/manifest_int.h"

enum { LAYOUT = 1, COUNT_MAX = 100'000 };

static void put(struct buf *to, uint64_t v) { buf_put(to, &v, 8); }
static void put_str(struct buf *to, str s) {
    put(to, s.n);
    buf_puts(to, s);
}

static str get_str(struct rd *from) {
    uint64_t n = rd_u64le(from);
    if (n > rd_left(from)) rd_fail(from, "more than there is");
    return rd_bytes(from, n > rd_left(from) ? 0 : (size_t)n);
}

static uint32_t get_u32(struct rd *from) {
    uint64_t v = rd_u64le(from);
    if (v > UINT32_MAX) rd_fail(from, "a number out of range");
    return (uint32_t)v;
}

static uint32_t get_count(struct rd *from, size_t least) {
    uint64_t n = rd_u64le(from);
    if (n <= COUNT_MAX && n <= rd_left(from) / least) return (uint32_t)n;
    rd_fail(from, "more than there may be");
    return 0;
}

/* ---- a configuration ---- */

static void put_rules(struct buf *to, const struct app_net_rule *rules, uint32_t n) {
    struct app_grants g = {.net = {(struct app_net_rule *)(uintptr_t)rules, n, n}};
    app_grants_write(to, &g);
}

static void put_allow(struct buf *to, const struct manifest_allow *a) {
    put(to, a->http_said), put(to, a->net_said), put(to, a->dirs_said);
    put_rules(to, a->http.p, a->http.n);
    put_rules(to, a->net.p, a->net.n);
    put(to, a->dirs.n);
    for (uint32_t i = 0; i < a->dirs.n; i++) put_str(to, a->dirs.p[i].path), put(to, a->dirs.p[i].read_only);
}

static void put_limits(struct buf *to, const struct app_limits *l) {
    for (int id = 0; id < APP_SETTINGS; id++) {
        const uint64_t *at = app_limits_at((struct app_limits *)(uintptr_t)l, (enum app_setting_id)id);
        if (at) put(to, *at);
    }
}

void manifest_config_write(struct buf *to, const struct manifest_config *c) {
    const str texts[] = {c->admin,           c->domain,          c->url,
                         c->state,           c->key_file,        c->otlp.endpoint,
                         c->mail.relay.host, c->mail.relay.user, c->mail.relay.secret,
                         c->mail.relay.from, c->acme.email,      c->acme.ca_file,
                         c->acme.eab_kid,    c->acme.eab_key};
    const uint64_t numbers[] = {c->otlp.sample_ppm,
                                c->otlp.json,
                                (uint64_t)(c->access_log + 1),
                                (uint64_t)(c->logs_stderr + 1),
                                (uint64_t)(c->log_json + 1),
                                (uint64_t)(c->log_level + 1),
                                c->mail.relay.port,
                                c->mail.relay.tls,
                                c->mail.per_app_hour,
                                c->acme.terms,
                                c->acme.challenge};
    put(to, LAYOUT);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) put_str(to, texts[i]);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) put(to, numbers[i]);
    for (int id = 0; id < APP_SETTINGS; id++) put(to, c->settings[id]);
    put_limits(to, &c->defaults);
    put_limits(to, &c->max);
    put(to, c->listen.n);
    for (uint32_t i = 0; i < c->listen.n; i++) {
        put_str(to, c->listen.p[i].address);
        put(to, c->listen.p[i].proxy_protocol), put(to, c->listen.p[i].tls);
    }
    put_allow(to, &c->allow);
    put(to, c->trusted_proxies.n);
    for (uint32_t i = 0; i < c->trusted_proxies.n; i++) {
        const struct manifest_prefix *p = &c->trusted_proxies.p[i];
        put(to, p->prefix.v6), put(to, p->bits);
        buf_put(to, p->prefix.ip, sizeof p->prefix.ip);
    }
    put(to, c->cordons.n);
    for (uint32_t i = 0; i < c->cordons.n; i++) {
        const struct manifest_cordon *k = &c->cordons.p[i];
        put_str(to, k->name), put_str(to, k->data), put(to, k->workers), put(to, k->apps.n);
        for (uint32_t j = 0; j < k->apps.n; j++) put_str(to, k->apps.p[j]);
    }
    put(to, c->otlp.headers.n);
    for (uint32_t i = 0; i < c->otlp.headers.n; i++)
        put_str(to, c->otlp.headers.p[i].key), put_str(to, c->otlp.headers.p[i].value);
    put_str(to, c->tls.client_ca);
    put(to, c->tls.tls13_alone), put(to, c->tls.certificates.n);
    for (uint32_t i = 0; i < c->tls.certificates.n; i++)
        put_str(to, c->tls.certificates.p[i].cert), put_str(to, c->tls.certificates.p[i].key),
            put_str(to, c->tls.certificates.p[i].ocsp);
    put(to, c->acme.directories.n);
    for (uint32_t i = 0; i < c->acme.directories.n; i++) put_str(to, c->acme.directories.p[i]);
    put(to, c->acme.hosts.n);
    for (uint32_t i = 0; i < c->acme.hosts.n; i++) put_str(to, c->acme.hosts.p[i]);
}

/* 0: not said. */
static uint64_t get_setting(struct rd *from, enum app_setting_id id) {
    uint64_t v = rd_u64le(from);
    if (!from->fail && v && app_setting_check(id, "", v, NULL) != ERR_OK) rd_fail(from, "a setting out of range");
    return v;
}

static void get_limits(struct rd *from, struct app_limits *l) {
    for (int id = 0; id < APP_SETTINGS; id++) {
        uint64_t *at = app_limits_at(l, (enum app_setting_id)id);
        if (at) *at = get_setting(from, (enum app_setting_id)id);
    }
}

static void get_allow(arena *out, struct rd *from, struct manifest_allow *a) {
    struct app_grants http, net;
    a->http_said = rd_u64le(from) != 0, a->net_said = rd_u64le(from) != 0, a->dirs_said = rd_u64le(from) != 0;
    app_grants_read(out, from, &http);
    app_grants_read(out, from, &net);
    memcpy(&a->http, &http.net, sizeof a->http);
    memcpy(&a->net, &net.net, sizeof a->net);
    for (uint32_t n = get_count(from, 16); n && !from->fail; n--) {
        struct manifest_folder f = {.path = get_str(from)};
        f.read_only = rd_u64le(from) != 0;
        vec_push(out, &a->dirs, f);
    }
}

static struct manifest_prefix get_prefix(struct rd *from) {
    struct manifest_prefix p = {.prefix.v6 = rd_u64le(from) != 0};
    uint64_t bits = rd_u64le(from);
    str ip = rd_bytes(from, sizeof p.prefix.ip);
    if (ip.n) memcpy(p.prefix.ip, ip.p, ip.n);
    if (bits > (p.prefix.v6 ? 128 : 32)) rd_fail(from, "no prefix");
    p.bits = (uint8_t)bits;
    return p;
}

static struct manifest_cordon get_cordon(arena *out, struct rd *from) {
    struct manifest_cordon k = {.name = get_str(from), .data = get_str(from)};
    k.workers = get_u32(from);
    for (uint32_t n = get_count(from, 8); n && !from->fail; n--) vec_push(out, &k.apps, get_str(from));
    return k;
}

static int get_choice(struct rd *from, uint64_t most) {
    uint64_t v = rd_u64le(from);
    if (v > most + 1) rd_fail(from, "a choice out of range");
    return (int)MIN(v, most + 1) - 1;
}

void manifest_config_read(arena *out, struct rd *from, struct manifest_config *c) {
    manifest_config_init(c);
    str *const texts[] = {&c->admin,           &c->domain,          &c->url,
                          &c->state,           &c->key_file,        &c->otlp.endpoint,
                          &c->mail.relay.host, &c->mail.relay.user, &c->mail.relay.secret,
                          &c->mail.relay.from, &c->acme.email,      &c->acme.ca_file,
                          &c->acme.eab_kid,    &c->acme.eab_key};
    if (rd_u64le(from) != LAYOUT) rd_fail(from, "of another layout");
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) *texts[i] = get_str(from);
    c->otlp.sample_ppm = get_u32(from);
    c->otlp.json = rd_u64le(from) != 0;
    c->access_log = get_choice(from, 1), c->logs_stderr = get_choice(from, 1);
    c->log_json = get_choice(from, 1), c->log_level = get_choice(from, LOG_ERROR);
    c->mail.relay.port = get_u32(from), c->mail.relay.tls = (uint8_t)get_u32(from), c->mail.per_app_hour = get_u32(from);
    c->acme.terms = rd_u64le(from) != 0, c->acme.challenge = get_u32(from);
    if (c->acme.challenge >= MANIFEST_ACME_CHALLENGES) rd_fail(from, "no challenge");
    if (c->mail.relay.port > UINT16_MAX || c->mail.relay.tls >= APP_MAIL_TLS_KINDS) rd_fail(from, "no relay");
    for (int id = 0; id < APP_SETTINGS; id++) c->settings[id] = get_setting(from, (enum app_setting_id)id);
    get_limits(from, &c->defaults);
    get_limits(from, &c->max);
    for (uint32_t n = get_count(from, 24); n && !from->fail; n--) {
        struct manifest_listen l = {.address = get_str(from)};
        l.proxy_protocol = rd_u64le(from) != 0, l.tls = rd_u64le(from) != 0;
        vec_push(out, &c->listen, l);
    }
    get_allow(out, from, &c->allow);
    for (uint32_t n = get_count(from, 32); n && !from->fail; n--) vec_push(out, &c->trusted_proxies, get_prefix(from));
    for (uint32_t n = get_count(from, 32); n && !from->fail; n--) vec_push(out, &c->cordons, get_cordon(out, from));
    for (uint32_t n = get_count(from, 16); n && !from->fail; n--) {
        struct app_env h = {.key = get_str(from)};
        h.value = get_str(from);
        vec_push(out, &c->otlp.headers, h);
    }
    c->tls.client_ca = get_str(from);
    c->tls.tls13_alone = rd_u64le(from) != 0;
    for (uint32_t n = get_count(from, 24); n && !from->fail; n--) {
        struct manifest_certificate k = {.cert = get_str(from)};
        k.key = get_str(from), k.ocsp = get_str(from);
        vec_push(out, &c->tls.certificates, k);
    }
    for (uint32_t n = get_count(from, 8); n && !from->fail; n--) vec_push(out, &c->acme.directories, get_str(from));
    for (uint32_t n = get_count(from, 8); n && !from->fail; n--) vec_push(out, &c->acme.hosts, get_str(from));
}

/* ---- a manifest ---- */

void manifest_write(struct buf *to, const struct manifest *m) {
    put(to, m->format);
    put(to, m->errors);
    put(to, m->notes.n);
    for (uint32_t i = 0; i < m->notes.n; i++) {
        const struct manifest_note *n = &m->notes.p[i];
        put(to, n->line), put(to, n->column), put(to, n->is_error);
        put_str(to, n->key), put_str(to, n->text);
    }
    if (m->errors || m->format == MANIFEST_MAILS) return;
    if (m->format == MANIFEST_CONFIG) {
        manifest_config_write(to, m->config);
        return;
    }
    app_record_write(to, &m->record);
    put(to, m->said.n);
    for (uint32_t i = 0; i < m->said.n; i++) put_limits(to, &m->said.p[i]);
    put(to, m->builds.n);
    for (uint32_t i = 0; i < m->builds.n; i++) {
        const struct manifest_build *b = &m->builds.p[i];
        put_str(to, b->function), put_str(to, b->command), put_str(to, b->dir), put(to, b->watch.n);
        for (uint32_t k = 0; k < b->watch.n; k++) put_str(to, b->watch.p[k]);
    }
    put(to, m->places.n);
    for (uint32_t i = 0; i < m->places.n; i++) {
        put_str(to, m->places.p[i].key);
        put(to, m->places.p[i].line), put(to, m->places.p[i].column);
    }
    put_str(to, m->database.migrations), put_str(to, m->database.url);
    put(to, m->database.migrations_said), put(to, m->database.seeds_said), put(to, m->database.seeds.n);
    for (uint32_t i = 0; i < m->database.seeds.n; i++) put_str(to, m->database.seeds.p[i]);
    put(to, m->fetches.n);
    for (uint32_t i = 0; i < m->fetches.n; i++) {
        put_str(to, m->fetches.p[i].function), put_str(to, m->fetches.p[i].url);
        buf_put(to, m->fetches.p[i].digest, APP_DIGEST_BYTES);
    }
}

static struct manifest_note get_note(struct rd *from) {
    struct manifest_note n = {.line = get_u32(from), .column = get_u32(from)};
    n.is_error = rd_u64le(from) != 0;
    n.key = get_str(from), n.text = get_str(from);
    return n;
}

static struct manifest_build get_build(arena *out, struct rd *from) {
    struct manifest_build b = {.function = get_str(from)};
    b.command = get_str(from), b.dir = get_str(from);
    for (uint32_t n = get_count(from, 8); n && !from->fail; n--) vec_push(out, &b.watch, get_str(from));
    return b;
}

static struct manifest_source get_fetch(struct rd *from) {
    struct manifest_source s = {.function = get_str(from)};
    s.url = get_str(from);
    str digest = rd_bytes(from, APP_DIGEST_BYTES);
    if (digest.n) memcpy(s.digest, digest.p, digest.n);
    return s;
}

static void get_content(arena *out, struct rd *from, struct manifest *m) {
    if (m->format == MANIFEST_MAILS) return;
    if (m->format == MANIFEST_CONFIG) {
        m->config = arena_make(out, struct manifest_config);
        manifest_config_read(out, from, m->config);
        return;
    }
    app_record_read(out, from, &m->record);
    for (uint32_t n = get_count(from, 8); n && !from->fail; n--) get_limits(from, vec_add(out, &m->said));
    if (!from->fail && m->said.n != m->record.functions.n + 1) rd_fail(from, "limits of functions that are not there");
    for (uint32_t n = get_count(from, 32); n && !from->fail; n--) vec_push(out, &m->builds, get_build(out, from));
    for (uint32_t n = get_count(from, 24); n && !from->fail; n--) {
        struct manifest_place place = {.key = get_str(from)};
        place.line = get_u32(from), place.column = get_u32(from);
        vec_push(out, &m->places, place);
    }
    m->database.migrations = get_str(from), m->database.url = get_str(from);
    m->database.migrations_said = rd_u64le(from) != 0, m->database.seeds_said = rd_u64le(from) != 0;
    for (uint32_t n = get_count(from, 8); n && !from->fail; n--) vec_push(out, &m->database.seeds, get_str(from));
    for (uint32_t n = get_count(from, 48); n && !from->fail; n--) vec_push(out, &m->fetches, get_fetch(from));
}

err manifest_decode(arena *out, str bytes, struct manifest *m, struct diag *d) {
    struct rd from = rd_of(bytes);
    *m = (struct manifest){0};
    uint64_t format = rd_u64le(&from);
    if (format >= MANIFEST_FORMATS) rd_fail(&from, "of no known format");
    m->format = (enum manifest_format)MIN(format, (uint64_t)MANIFEST_FORMATS - 1);
    m->errors = get_u32(&from);
    for (uint32_t n = get_count(&from, 40); n && !from.fail; n--) vec_push(out, &m->notes, get_note(&from));
    if (!m->errors && !from.fail) get_content(out, &from, m);
    if (!from.fail && rd_left(&from)) rd_fail(&from, "bytes behind it");
    return from.fail ? diag_set(d, ERR_MALFORMED, from.fail_at, "what the job made of it: %s", from.fail) : ERR_OK;
}
