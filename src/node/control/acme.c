/* acme: see acme.h.
 *
 *   a task:  ACCOUNT ──the account's key──> REQUEST ──the host's key and CSR──> CHANNEL ──acme_do──> TALKS ──acme_did──> READS ──an entry──> (over)
 *            of renewal information alone: CHANNEL ──> TALKS ──> (over)
 */
#include "node/control/acme.h"
#include "acme/acme.h"
#include "manifest/config.h"
#include "node/control/certificates.h"
#include "node/secrets.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LOOK_MS = 20'000,
    SOON_MS = 500,
    TASKS_MAX = 4,
    PACE_MS = 1000, /* between two tries of whatever host */
    BUCKETS = 1024,
    HOSTS_MAX = NODE_CERTS_MAX - 512, /* of a node: the operator's, and challenges, have room besides */
    AGAIN_S = 60,                     /* no host is tried twice in so many seconds */
    TASK_S = 1200,
    AWAY_S = 60,         /* an authority that does not answer has rest */
    LIMITED_S_MAX = 600, /* and one that is asked too much; the host itself waits for as long as was said */
    INFO_S = 6 * 3600,
    INFO_LEAST_S = 3600,
    INFO_MOST_S = 86'400,
    RENEWED_S = 3600, /* what has just come is not replaced, whatever it says of itself */
    CHANNEL_S = 30,
    WHY_MAX = 700,
    CHAINS_BIT = 1 << 30,
    PLANS_BIT = 1u << 31, /* of others */
    PROOFS_MAX = 16'384,
};
#define ACCOUNT_KEY "acme account"

struct host {
    struct host *next; /* of its bucket */
    arena *mem;        /* of why, certificate, from */
    uint64_t hash;
    uint32_t failures, app; /* app 0: none names it any more */
    int64_t next_s, begun_s, why_s, from_s, to_s, informed_s;
    str name, why, authority, certificate;
    bool forced, busy;
};
enum stage { ACCOUNT, REQUEST, CHANNEL, TALKS, READS };
struct task {
    struct task *next;
    struct control *control;
    arena *mem;
    enum stage stage;
    uint32_t id;
    bool informs;
    int64_t until_s;
    str host, directory, account, account_sealed, account_public, request, sealed, certificate;
    enum acme_challenge challenge;
    str token, proof; /* shown for it; empty: none */
    int in, out;      /* of the job */
};
struct authority { /* that has rest */
    struct authority *next;
    str directory;
    int64_t until_s;
};
struct control_acme {
    struct net_timer *timer;
    struct net_watch *watch;
    int fd; /* -1: there is no channel */
    int64_t asked_s;
    uint64_t begun_ns;
    struct host *buckets[BUCKETS];
    uint32_t hosts, last_id, tasks_count;
    struct task *tasks;
    struct authority *authorities;
};

static int64_t now_s(void) { return (int64_t)(clock_wall_ns() / 1'000'000'000u); }

static const struct manifest_acme *config(const struct control *c) {
    return c->config && c->config->acme.directories.n && c->db ? &c->config->acme : NULL;
}

const char *node_acme_state_text(enum control_acme_state s) {
    static const char *const text[CONTROL_ACME_STATES] = {"operator", "served", "due", "failed", "left"};
    return text[s];
}

/* ---- hosts ---- */

static struct host *find(const struct control_acme *a, str name) {
    uint64_t hash = str_hash(name);
    struct host *h = a->buckets[hash % BUCKETS];
    while (h && !(h->hash == hash && str_eq(h->name, name))) h = h->next;
    return h;
}

static struct host *add(struct control_acme *a, str name) {
    arena *mem = arena_new(0);
    struct host *h = arena_make(mem, struct host);
    *h = (struct host){.mem = mem, .hash = str_hash(name), .name = arena_str(mem, name)};
    h->next = a->buckets[h->hash % BUCKETS];
    a->buckets[h->hash % BUCKETS] = h;
    a->hosts++;
    return h;
}

static void forget_host(struct control *c, struct host *h) {
    struct host **at = &c->acme->buckets[h->hash % BUCKETS];
    struct diag d = DIAG_INIT;
    while (*at != h) at = &(*at)->next;
    *at = h->next;
    c->acme->hosts--;
    if (db_run(c->db, &d, "delete from acme_hosts where host = ?", DB_TEXT(h->name)) != ERR_OK)
        log_event(LOG_WARN, "certificate-state-not-kept", LF_STR("host", h->name), LF_CSTR("reason", d.text));
    arena_free(h->mem);
}

/* False: it cannot be written down, so nothing is tried. */
static bool keep(struct control *c, const struct host *h) {
    struct diag d = DIAG_INIT;
    err e = db_run(
        c->db, &d,
        "insert or replace into acme_hosts (host, failures, next, begun, authority, why, why_at, certificate, renew_from,"
        " renew_to, informed) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        DB_TEXT(h->name), DB_I64(h->failures), DB_I64(h->next_s), DB_I64(h->begun_s), DB_TEXT(h->authority), DB_TEXT(h->why),
        DB_I64(h->why_s), DB_TEXT(h->certificate), DB_I64(h->from_s), DB_I64(h->to_s), DB_I64(h->informed_s));
    if (e == ERR_OK) return true;
    log_event(LOG_WARN, "certificate-state-not-kept", LF_STR("host", h->name), LF_CSTR("reason", d.text));
    return false;
}

static void load(struct control *c) {
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    err e = db_query(c->db, &rows, &d,
                     "select host, failures, next, begun, authority, why, why_at, certificate, renew_from, renew_to, informed"
                     " from acme_hosts limit 10000");
    if (e == ERR_OK) {
        while (db_next(rows)) {
            struct host *h = add(c->acme, db_str(rows, 0));
            h->failures = (uint32_t)db_i64(rows, 1), h->next_s = db_i64(rows, 2), h->begun_s = db_i64(rows, 3);
            h->authority = arena_str(h->mem, db_str(rows, 4)), h->why = arena_str(h->mem, db_str(rows, 5));
            h->why_s = db_i64(rows, 6), h->certificate = arena_str(h->mem, db_str(rows, 7));
            h->from_s = db_i64(rows, 8), h->to_s = db_i64(rows, 9), h->informed_s = db_i64(rows, 10);
        }
        e = db_end(rows, &d);
    }
    if (e != ERR_OK) log_event(LOG_WARN, "certificate-state-not-kept", LF_CSTR("host", "*"), LF_CSTR("reason", d.text));
}

/* A name that the world's DNS may have; an authority gives nothing for addresses, stars, and what is this machine's own. */
static bool may_have(const struct control *c, str host) {
    static const str own[] = {STR_INIT("localhost"), STR_INIT("local"), STR_INIT("internal"), STR_INIT("invalid"),
                              STR_INIT("onion")};
    size_t dots = 0;
    bool letters = false;
    if (!host.n || host.n > 253) return false;
    for (size_t i = 0; i < host.n; i++) {
        uint8_t b = host.p[i];
        if (!((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '-' || b == '.')) return false;
        if (b == '.') dots++, letters = false;
        else letters |= b > '9';
    }
    if (!dots || !letters) return false;
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        if (str_ends(host, own[i]) && (host.n == own[i].n || host.p[host.n - own[i].n - 1] == '.')) return false;
    const struct manifest_acme *m = config(c);
    bool named = !m->hosts.n;
    for (uint32_t i = 0; i < m->hosts.n && !named; i++) {
        str p = m->hosts.p[i];
        named = str_eqc(p, "*") || str_eq(p, host) || (str_starts(p, STR("*.")) && str_ends(host, str_sub(p, 1, p.n)));
    }
    return named;
}

static bool take_host(struct control *c, str name, const struct control_app *app, uint32_t *count) {
    struct control_acme *a = c->acme;
    if (!may_have(c, name) || *count >= CONTROL_ACME_APP_HOSTS_MAX) return false;
    struct host *h = find(a, name);
    if (!h && a->hosts >= HOSTS_MAX) return false;
    if (!h) h = add(a, name);
    if (h->app != app->id) ++*count;
    h->app = app->id;
    return true;
}

static void take_version(struct control *c, const struct control_served *s, const struct control_app *app, uint32_t *count) {
    for (uint32_t i = 0; s && i < s->hosts.n; i++) (void)take_host(c, s->hosts.p[i], app, count);
}

/* Which hosts are named by whom, as it is now. */
static void look_at_apps(struct control *c) {
    char own[APP_HOST_MAX + APP_NAME_MAX + 2];
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct host *h = c->acme->buckets[i]; h; h = h->next) h->app = 0;
    for (const struct control_app *app = c->apps; app; app = app->next) {
        uint32_t count = 0;
        int n = snprintf(own, sizeof own, STR_FMT ".%s", STR_ARG(app->name), c->domain);
        str name = {(uint8_t *)own, (size_t)n};
        (void)take_host(c, name, app, &count);
        take_version(c, app->state.live, app, &count);
        take_version(c, app->state.canary, app, &count);
    }
}

/* ---- when ---- */

/* A place in a span that is the same each time, and another for each host and certificate. */
static int64_t within(const struct host *h, int64_t salt, int64_t span) {
    uint64_t v = (h->hash ^ (uint64_t)salt * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return span > 0 ? (int64_t)((v >> 20) % (uint64_t)span) : 0;
}

/* In the authority's window, else behind two thirds of its time, and up to a twentieth of it later. */
static int64_t renew_at(const struct host *h, const struct node_certificate *cert) {
    int64_t from = cert->chain.not_before_s, to = cert->chain.not_after_s, all = to - from;
    int64_t own = from + all / 3 * 2 + within(h, to, all / 20);
    if (!h->to_s) return own;
    return MIN(h->from_s + within(h, h->from_s, h->to_s - h->from_s), to - all / 20); /* never as late as it would be no more */
}

static int64_t pause_s(uint32_t failures) {
    static const int32_t minutes[] = {2, 5, 15, 30, 60, 180, 360, 720, 1440};
    int64_t s = minutes[MIN(failures, (uint32_t)ARRAY_COUNT(minutes)) - (failures > 0)] * 60;
    uint32_t chance;
    crypto_random(&chance, sizeof chance);
    return MAX(s + s / 4 - (int64_t)(chance % (uint32_t)(s / 2 + 1)), (int64_t)AGAIN_S);
}

/* ---- authorities ---- */

static void rest(struct control_acme *a, str directory, int64_t seconds) {
    struct authority *r = a->authorities;
    while (r && !str_eq(r->directory, directory)) r = r->next;
    if (!r) {
        r = malloc(sizeof *r + directory.n);
        ENSURE(r);
        *r = (struct authority){.next = a->authorities, .directory = {(uint8_t *)(r + 1), directory.n}};
        if (directory.n) memcpy(r + 1, directory.p, directory.n);
        a->authorities = r;
    }
    r->until_s = MAX(r->until_s, now_s() + seconds);
}

static bool rests(const struct control_acme *a, str directory) {
    for (const struct authority *r = a->authorities; r; r = r->next)
        if (str_eq(r->directory, directory)) return r->until_s > now_s();
    return false;
}

/* With each failure the next one. Empty: all have rest. */
static str choose(const struct control *c, uint32_t failures) {
    const struct manifest_acme *m = config(c);
    for (uint32_t i = 0; i < m->directories.n; i++) {
        str one = m->directories.p[(failures + i) % m->directories.n];
        if (!rests(c->acme, one)) return one;
    }
    return (str){0};
}

/* ---- a task's end ---- */

static void publish_proofs(struct control *c);

static void close_channel(struct control_acme *a) {
    if (a->watch) net_watch_free(a->watch);
    if (a->fd >= 0) close(a->fd);
    a->watch = NULL, a->fd = -1;
}

static void hide_proof(struct task *t) {
    struct diag d = DIAG_INIT;
    if (!t->proof.n) return;
    t->proof = (str){0};
    if (t->challenge == ACME_HTTP_01) publish_proofs(t->control);
    else if (node_certificates_drop(t->control, NODE_CERT_CHALLENGE, t->host, &d) != ERR_OK)
        log_event(LOG_WARN, "certificate-state-not-kept", LF_STR("host", t->host), LF_CSTR("reason", d.text));
}

static void end_task(struct task *t) {
    struct control_acme *a = t->control->acme;
    struct task **at = &a->tasks;
    struct host *h = find(a, t->host);
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    a->tasks_count--;
    hide_proof(t);
    if (h) h->busy = false;
    if (t->in >= 0) close(t->in);
    if (t->out >= 0) close(t->out);
    arena_free(t->mem);
    if (!a->tasks) close_channel(a);
    net_timer_start(a->timer, SOON_MS, LOOK_MS);
}

static int64_t days_left(const struct control *c, str host) {
    const struct node_certificate *cert = node_certificates_find((struct control *)(uintptr_t)c, NODE_CERT_ACME, host);
    return cert ? MAX((cert->chain.not_after_s - now_s()) / 86'400, (int64_t)0) : 0;
}

/* retry_s: what the authority has said; 0: nothing. */
static void fail_task(struct task *t, str why, int64_t retry_s) {
    struct control *c = t->control;
    struct host *h = find(c->acme, t->host);
    if (h && t->informs) {
        h->informed_s = now_s() + MAX(MIN(retry_s, (int64_t)INFO_MOST_S), (int64_t)INFO_LEAST_S);
        (void)keep(c, h);
        log_event(LOG_INFO, "renewal-not-told", LF_STR("host", t->host), LF_STR("authority", t->directory),
                  LF_STR("reason", why));
    } else if (h) {
        h->why = arena_str(h->mem, str_sub(why, 0, WHY_MAX));
        h->why_s = now_s();
        h->authority = arena_str(h->mem, t->directory);
        h->next_s = MAX(h->next_s, now_s() + retry_s);
        (void)keep(c, h);
        log_event(LOG_WARN, "certificate-not-given", LF_STR("host", t->host), LF_STR("authority", t->directory),
                  LF_STR("reason", h->why), LF_I64("next_s", MAX(h->next_s - now_s(), (int64_t)0)),
                  LF_I64("days_left", days_left(c, t->host)));
    }
    end_task(t);
}

static void fail_of(struct task *t, const struct diag *d, err e) { fail_task(t, str_c(d->text[0] ? d->text : err_text(e)), 0); }

/* ---- a certificate has come ---- */

static err take_entry(struct task *t, struct diag *d) {
    struct node_certificate cert;
    str bytes;
    if (!node_certificates_map(t->mem, t->out, &bytes))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "what the job made cannot be read");
    struct rd from = rd_of(bytes);
    if (!node_certificate_next(t->mem, &from, &cert) || rd_left(&from) || !cert.chain.names.n)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "what the job made is no certificate");
    cert.source = NODE_CERT_ACME;
    cert.sealed = t->sealed;
    cert.from = t->directory;
    cert.chain.names.p[0] = t->host, cert.chain.names.n = 1; /* of one host, as it was asked for */
    return node_certificates_put(t->control, &cert, d);
}

static void succeed(struct task *t) {
    struct control *c = t->control;
    struct host *h = find(c->acme, t->host);
    if (h) {
        h->failures = 0, h->from_s = h->to_s = 0;
        h->next_s = now_s() + RENEWED_S;
        h->why = (str){0};
        h->forced = false;
        h->authority = arena_str(h->mem, t->directory);
        h->certificate = arena_str(h->mem, t->certificate);
        h->informed_s = t->certificate.n ? now_s() + AGAIN_S : INT64_MAX;
        (void)keep(c, h);
    }
    log_event(LOG_INFO, "certificate-given", LF_STR("host", t->host), LF_STR("authority", t->directory),
              LF_I64("days_left", days_left(c, t->host)));
    end_task(t);
}

bool node_acme_read(struct control *c, const struct node_msg_compile_done *m) {
    struct diag d = DIAG_INIT;
    if (!c->acme || !(m->id & CHAINS_BIT) || m->id & PLANS_BIT) return false;
    struct task *t = c->acme->tasks;
    while (t && !(t->stage == READS && (t->id | CHAINS_BIT) == m->id)) t = t->next;
    if (!t) return true;
    err e = node_diag_of(&d, m->err, m->offset, m->text);
    if (e == ERR_OK) e = take_entry(t, &d);
    else diag_prefix(&d, "the certificate that came is refused");
    if (e == ERR_OK) succeed(t);
    else fail_of(t, &d, e);
    return true;
}

static err read_chain(struct task *t, str chain, struct diag *d) {
    t->in = node_bytes_fd("orlo-chain", chain);
    t->out = memfd_create("orlo-certificate", MFD_CLOEXEC);
    if (t->in < 0 || t->out < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file");
    t->stage = READS;
    struct node_message m =
        NODE_MESSAGE(chain_want, .id = t->id | CHAINS_BIT, .host = t->host, .request = t->request, .bytes = chain.n);
    m.fds[m.fds_count++] = t->in, m.fds[m.fds_count++] = t->out;
    node_control_tell(t->control, &m);
    return ERR_OK;
}

/* ---- what the courier says ---- */

static void send(struct task *t, const struct node_message *m) {
    if (node_wire_send(t->control->acme->fd, m) != ERR_OK) close_channel(t->control->acme); /* the look finds it */
}

static struct task *task_of(const struct control_acme *a, uint32_t id) {
    struct task *t = a->tasks;
    while (t && t->id != id) t = t->next;
    return t;
}

/* Of asks of keys: a task may be gone, or another by then. */
struct asked {
    uint32_t id;
};
static struct asked *asked_for(const struct task *t) {
    struct asked *a = malloc(sizeof *a);
    ENSURE(a);
    a->id = t->id;
    return a;
}
static struct task *task_asked(struct control *c, void *arg) {
    struct asked *a = arg;
    uint32_t id = a->id;
    free(a);
    return task_of(c->acme, id);
}

static void ask_keys(struct task *t, uint8_t does, str key, str value, str message,
                     void (*said)(struct control *c, void *arg, err e, str value, const struct diag *d)) {
    struct diag d = DIAG_INIT;
    struct asked *arg = asked_for(t);
    const struct control_key_ask ask = {.key = key, .does = does, .value = value, .message = message, .said = said, .arg = arg};
    err e = node_secrets_ask(t->control, &ask, &d);
    if (e == ERR_OK) return;
    free(arg);
    fail_of(t, &d, e);
}

static void signature_came(struct control *c, void *arg, err e, str value, const struct diag *d) {
    struct task *t = task_asked(c, arg);
    if (!t || t->stage != TALKS) return;
    bool ok = e == ERR_OK && value.n == CRYPTO_ES256_SIGNATURE_BYTES;
    if (!ok) log_event(LOG_WARN, "certificate-not-signed", LF_STR("host", t->host), LF_CSTR("reason", d->text));
    send(t, &NODE_MESSAGE(acme_signed, .id = t->id, .signature = ok ? value : (str){0}));
}

static void on_sign(struct control *c, const struct node_msg_acme_sign *m) {
    struct task *t = task_of(c->acme, m->id);
    if (!t || t->stage != TALKS) return;
    if (!m->mac) {
        ask_keys(t, NODE_SECRET_SIGNS_PAIR + CRYPTO_ES256, STR(ACCOUNT_KEY), t->account_sealed, m->message, signature_came);
        return;
    }
    uint8_t mac[CRYPTO_SHA256_BYTES];
    str key = {0};
    bool ok = config(c) && node_base64url_read(t->mem, config(c)->eab_key, &key);
    if (ok) crypto_hmac_sha256(key, m->message, mac);
    send(t, &NODE_MESSAGE(acme_signed, .id = t->id, .signature = ok ? (str){mac, sizeof mac} : (str){0}));
}

static void publish_proofs(struct control *c) {
    struct buf b = {.max = PROOFS_MAX};
    for (const struct task *t = c->acme->tasks; t; t = t->next)
        if (t->proof.n && t->challenge == ACME_HTTP_01)
            buf_printf(&b, STR_FMT "\n" STR_FMT "\n" STR_FMT "\n", STR_ARG(t->host), STR_ARG(t->token), STR_ARG(t->proof));
    node_control_tell(c, &NODE_MESSAGE(proofs_set, .table = buf_str(&b)));
    buf_free(&b);
}

static void proven(struct task *t, err e, const char *why) {
    send(t, &NODE_MESSAGE(acme_proven, .id = t->id, .err = e, .text = str_c(why)));
}

/* "u16, DER, a sealed key", as keys answers. False: it is none. */
static bool take_made(struct task *t, str value, str *made, str *sealed) {
    struct rd r = rd_of(value);
    uint32_t low = rd_u8(&r), n = low | (uint32_t)rd_u8(&r) << 8;
    str der = rd_bytes(&r, n);
    if (r.fail || !rd_left(&r)) return false;
    *made = arena_str(t->mem, der);
    *sealed = arena_str(t->mem, (str){r.p, rd_left(&r)});
    return true;
}

static void challenge_came(struct control *c, void *arg, err e, str value, const struct diag *d) {
    struct task *t = task_asked(c, arg);
    struct diag own = DIAG_INIT;
    str made, sealed;
    if (!t || t->stage != TALKS) return;
    if (e != ERR_OK || !take_made(t, value, &made, &sealed)) {
        proven(t, ERR_IO, d->text[0] ? d->text : "no certificate for the challenge");
        return;
    }
    struct node_certificate cert = {.source = NODE_CERT_CHALLENGE, .sealed = sealed, .from = t->directory};
    cert.chain.der[0] = made, cert.chain.count = 1;
    *vec_add(t->mem, &cert.chain.names) = t->host;
    cert.chain.not_before_s = now_s() - 3600, cert.chain.not_after_s = now_s() + 7 * 86'400;
    e = node_certificates_put(c, &cert, &own);
    if (e != ERR_OK) t->proof = (str){0};
    proven(t, e, own.text);
}

static void on_prove(struct control *c, const struct node_msg_acme_prove *m) {
    struct task *t = task_of(c->acme, m->id);
    uint8_t message[CRYPTO_SHA256_BYTES + APP_HOST_MAX + 1];
    if (!t || t->stage != TALKS || t->proof.n) return;
    for (size_t i = 0; i < m->token.n + m->proof.n; i++) {
        uint8_t b = i < m->token.n ? m->token.p[i] : m->proof.p[i - m->token.n];
        if (b <= ' ' || b >= 0x7f || b == '/') return; /* a hearsay that is none */
    }
    t->challenge = (enum acme_challenge)m->challenge;
    t->token = arena_str(t->mem, m->token), t->proof = arena_str(t->mem, m->proof);
    if (t->challenge == ACME_HTTP_01) {
        publish_proofs(c);
        proven(t, ERR_OK, "");
        return;
    }
    crypto_sha256(t->proof, message);
    ENSURE(t->host.n <= APP_HOST_MAX);
    memcpy(message + CRYPTO_SHA256_BYTES, t->host.p, t->host.n);
    ask_keys(t, NODE_SECRET_MAKES_CHALLENGE, STR("acme challenge"), (str){0}, (str){message, CRYPTO_SHA256_BYTES + t->host.n},
             challenge_came);
}

static void keep_account(struct control *c, const struct task *t, str url) {
    struct diag d = DIAG_INIT;
    if (str_eq(url, t->account)) return;
    if (db_run(c->db, &d, "update acme_accounts set url = ? where directory = ?", DB_TEXT(url), DB_TEXT(t->directory)) != ERR_OK)
        log_event(LOG_WARN, "certificate-state-not-kept", LF_STR("host", t->host), LF_CSTR("reason", d.text));
}

static void take_info(struct task *t, const struct node_msg_acme_did *m) {
    struct control *c = t->control;
    struct host *h = find(c->acme, t->host);
    if (h) {
        int64_t again = m->retry_s ? (int64_t)m->retry_s : INFO_S;
        h->informed_s = m->informs ? now_s() + MAX(MIN(again, (int64_t)INFO_MOST_S), (int64_t)INFO_LEAST_S) : INT64_MAX;
        if (m->to_s && m->to_s < INT64_MAX) h->from_s = (int64_t)m->from_s, h->to_s = (int64_t)m->to_s;
        (void)keep(c, h);
    }
    end_task(t);
}

static void on_did(struct control *c, const struct node_msg_acme_did *m) {
    struct task *t = task_of(c->acme, m->id);
    struct diag d = DIAG_INIT;
    if (!t || t->stage != TALKS) return;
    hide_proof(t);
    if (!t->informs) keep_account(c, t, m->account);
    if (m->fault == ACME_FAULT_AWAY) rest(c->acme, t->directory, AWAY_S);
    if (m->fault == ACME_FAULT_LATER)
        rest(c->acme, t->directory, (int64_t)MAX(MIN(m->retry_s, (uint64_t)LIMITED_S_MAX), (uint64_t)AWAY_S));
    if (m->fault != ACME_FAULT_NONE) {
        fail_task(t, m->why, (int64_t)MIN(m->retry_s, (uint64_t)31 * 86'400));
    } else if (t->informs) {
        take_info(t, m);
    } else {
        t->certificate = arena_str(t->mem, m->certificate);
        err e = read_chain(t, m->chain, &d);
        if (e != ERR_OK) fail_of(t, &d, e);
    }
}

/* Whatever it was told is to be told anew, to another one. */
static void lose_channel(struct control *c) {
    close_channel(c->acme);
    for (struct task *t = c->acme->tasks, *next; t; t = next) {
        next = t->next;
        if (t->stage == TALKS) fail_task(t, STR("the process that speaks to authorities ended; it is tried again"), 0);
    }
}

static void on_courier(void *arg, unsigned events) {
    enum { PACKETS = 32 };
    struct control *c = arg;
    struct node_message m;
    for (int i = 0; i < PACKETS && c->acme->fd >= 0; i++) {
        enum node_wire_got got = node_wire_receive(c->acme->fd, NODE_ROLE_courier, NODE_ROLE_control, &m);
        if (got == NODE_WIRE_AGAIN) return;
        bool sense = got == NODE_WIRE_GOT;
        if (sense && m.type == NODE_MSG_acme_sign) on_sign(c, &m.acme_sign);
        else if (sense && m.type == NODE_MSG_acme_prove) on_prove(c, &m.acme_prove);
        else if (sense && m.type == NODE_MSG_acme_did) on_did(c, &m.acme_did);
        else sense = false;
        if (got == NODE_WIRE_GOT) node_message_drop(&m);
        if (!sense) lose_channel(c);
    }
}

/* ---- a task begins ---- */

static void talk(struct task *t) {
    struct control *c = t->control;
    const struct manifest_acme *m = config(c);
    struct host *h = find(c->acme, t->host);
    if (!m || !h) {
        fail_task(t, STR("it is not wanted any more"), 0);
        return;
    }
    bool first = m->challenge == MANIFEST_ACME_TLS_ALPN_01 || (m->challenge == MANIFEST_ACME_ANY && h->failures % 2 == 0);
    struct node_message say =
        NODE_MESSAGE(acme_do, .id = t->id, .directory = t->directory, .account = t->account, .binding = m->eab_kid,
                     .email = m->email, .terms = m->terms, .host = t->host, .challenge = first ? ACME_TLS_ALPN_01 : ACME_HTTP_01,
                     .either = m->challenge == MANIFEST_ACME_ANY, .request = t->request, .certificate = h->certificate);
    if (t->account_public.n == sizeof say.acme_do.public) memcpy(say.acme_do.public, t->account_public.p, t->account_public.n);
    t->stage = TALKS;
    send(t, &say);
}

static void talk_all(struct control *c) {
    struct control_acme *a = c->acme;
    for (struct task *t = a->tasks, *next; t; t = next) {
        next = t->next;
        if (t->stage != CHANNEL) continue;
        if (a->fd < 0) {
            if (now_s() - a->asked_s < CHANNEL_S) return;
            a->asked_s = now_s();
            node_control_tell(c, &NODE_MESSAGE(acme_want));
            return;
        }
        talk(t);
    }
}

void node_acme_channel(struct control *c, int fd) {
    struct control_acme *a = c->acme;
    if (!a || !a->tasks) {
        close(fd);
        return;
    }
    lose_channel(c);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    a->fd = fd;
    a->asked_s = 0;
    a->watch = net_watch_new(c->loop, fd, NET_READABLE, on_courier, c);
    if (!a->watch) close_channel(a);
    talk_all(c);
}

static void request_came(struct control *c, void *arg, err e, str value, const struct diag *d) {
    struct task *t = task_asked(c, arg);
    if (!t || t->stage != REQUEST) return;
    if (e != ERR_OK) {
        fail_of(t, d, e);
    } else if (!take_made(t, value, &t->request, &t->sealed)) {
        fail_task(t, STR("keys made no request"), 0);
    } else {
        t->stage = CHANNEL;
        talk_all(c);
    }
}

static void ask_request(struct task *t) {
    t->stage = REQUEST;
    ask_keys(t, NODE_SECRET_MAKES_REQUEST, STR("acme request"), (str){0}, t->host, request_came);
}

static bool load_account(struct task *t) {
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    if (db_query(t->control->db, &rows, &d, "select url, sealed, public from acme_accounts where directory = ?",
                 DB_TEXT(t->directory)) != ERR_OK)
        return false;
    bool there = db_next(rows);
    if (there) {
        t->account = arena_str(t->mem, db_str(rows, 0)), t->account_sealed = arena_str(t->mem, db_str(rows, 1));
        t->account_public = arena_str(t->mem, db_str(rows, 2));
    }
    return db_end(rows, &d) == ERR_OK && there;
}

/* Another task may have made it meanwhile: the first one stays. */
static void account_came(struct control *c, void *arg, err e, str value, const struct diag *d) {
    struct task *t = task_asked(c, arg);
    struct diag own = DIAG_INIT;
    str public, sealed;
    if (!t || t->stage != ACCOUNT) return;
    if (e == ERR_OK && !take_made(t, value, &public, &sealed)) e = ERR_MALFORMED;
    if (e == ERR_OK)
        e = db_run(c->db, &own,
                   "insert or ignore into acme_accounts (directory, url, sealed, public, created) values (?, '', ?, ?, ?)",
                   DB_TEXT(t->directory), DB_BLOB(sealed), DB_BLOB(public), DB_I64(now_s()));
    if (e == ERR_OK && load_account(t)) ask_request(t);
    else fail_of(t, own.text[0] ? &own : d, e == ERR_OK ? ERR_IO : e);
}

static struct task *new_task(struct control *c, struct host *h, str directory, bool informs) {
    struct control_acme *a = c->acme;
    arena *mem = arena_new(0);
    struct task *t = arena_make(mem, struct task);
    *t = (struct task){.next = a->tasks, .control = c, .mem = mem, .informs = informs, .in = -1, .out = -1};
    t->id = a->last_id = a->last_id % (CHAINS_BIT - 1) + 1;
    t->host = arena_str(mem, h->name), t->directory = arena_str(mem, directory);
    t->until_s = now_s() + TASK_S;
    h->busy = true;
    a->tasks = t;
    a->tasks_count++;
    a->begun_ns = clock_mono_ns();
    return t;
}

/* Written down first, as if it had failed. */
static void try(struct control *c, struct host *h, str directory) {
    h->begun_s = now_s();
    h->failures++;
    h->next_s = now_s() + pause_s(h->failures);
    h->forced = false;
    if (!keep(c, h)) return;
    struct task *t = new_task(c, h, directory, false);
    t->stage = ACCOUNT;
    if (load_account(t)) ask_request(t);
    else ask_keys(t, NODE_SECRET_MAKES_PAIR + CRYPTO_ES256, STR(ACCOUNT_KEY), (str){0}, (str){0}, account_came);
}

static void inform(struct control *c, struct host *h) {
    h->informed_s = now_s() + INFO_S;
    if (!keep(c, h)) return;
    struct task *t = new_task(c, h, h->authority, true);
    t->stage = CHANNEL;
    talk_all(c);
}

/* ---- looking ---- */

/* The directory that gave it is asked about it for as long as the operator has it. */
static bool is_configured(const struct control *c, str directory) {
    const struct manifest_acme *m = config(c);
    for (uint32_t i = 0; i < m->directories.n; i++)
        if (str_eq(m->directories.p[i], directory)) return true;
    return false;
}

static bool is_due(struct control *c, const struct host *h) {
    const struct node_certificate *cert = node_certificates_find(c, NODE_CERT_ACME, h->name);
    return !cert || h->forced || now_s() >= renew_at(h, cert);
}

static void look_at(struct control *c, struct host *h) {
    const struct node_certificate *cert = node_certificates_find(c, NODE_CERT_ACME, h->name);
    int64_t now = now_s();
    if (h->busy) return;
    if (!h->app) { /* nobody wants it: what is there is served to its end, and then forgotten */
        struct diag d = DIAG_INIT;
        if (cert && cert->chain.not_after_s > now) return;
        if (!cert || node_certificates_drop(c, NODE_CERT_ACME, h->name, &d) == ERR_OK) forget_host(c, h);
        return;
    }
    if (node_certificates_find(c, NODE_CERT_OPERATOR, h->name)) return;
    if (is_due(c, h)) {
        if (now < (h->forced ? h->begun_s + AGAIN_S : h->next_s)) return;
        str directory = choose(c, h->failures);
        if (directory.n) try(c, h, directory);
    } else if (now >= h->informed_s && h->certificate.n && is_configured(c, h->authority) && !rests(c->acme, h->authority)) {
        inform(c, h);
    }
}

static bool may_begin(const struct control_acme *a) {
    return a->tasks_count < TASKS_MAX && (!a->begun_ns || clock_mono_ns() - a->begun_ns >= PACE_MS * 1'000'000ull);
}

static void end_late(struct control *c) {
    for (struct task *t = c->acme->tasks, *next; t; t = next) {
        next = t->next;
        if (now_s() > t->until_s) fail_task(t, STR("it took too long, and was given up"), 0);
    }
}

static void look(struct control *c) {
    struct control_acme *a = c->acme;
    if (!config(c)) {
        while (a->tasks) end_task(a->tasks);
        net_timer_stop(a->timer);
        return;
    }
    end_late(c);
    if (a->fd < 0) lose_channel(c);
    look_at_apps(c);
    bool more = false;
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct host *h = a->buckets[i], *next; h; h = next) {
            next = h->next;
            if (may_begin(a)) look_at(c, h);
            else more = true;
        }
    talk_all(c);
    net_timer_start(a->timer, more ? PACE_MS : LOOK_MS, LOOK_MS);
}

static void on_timer(void *arg) { look(arg); }

void node_acme_changed(struct control *c) {
    if (c->acme) net_timer_start(c->acme->timer, SOON_MS, LOOK_MS);
}

void node_acme_open(struct control *c) {
    if (!c->db) return;
    c->acme = calloc(1, sizeof *c->acme);
    ENSURE(c->acme);
    c->acme->fd = -1;
    c->acme->timer = net_timer_new(c->loop, on_timer, c);
    load(c);
    node_acme_changed(c);
}

/* ---- as others see it ---- */

static void tell_host(struct control *c, struct host *h, void (*fn)(void *arg, const struct control_acme_cert *cert), void *arg) {
    const struct node_certificate *cert = node_certificates_find(c, NODE_CERT_ACME, h->name);
    const struct control_app *app = h->app ? node_control_app_numbered(c, h->app) : NULL;
    if (node_certificates_find(c, NODE_CERT_OPERATOR, h->name) || (!h->app && !cert)) return;
    struct control_acme_cert out = {.host = h->name,
                                    .app = app ? app->name : (str){0},
                                    .from = h->authority,
                                    .not_after_s = cert ? cert->chain.not_after_s : 0,
                                    .renew_s = cert ? renew_at(h, cert) : 0,
                                    .next_s = h->failures ? h->next_s : 0,
                                    .why = h->why,
                                    .why_s = h->why_s,
                                    .failures = h->failures};
    out.state = !app                   ? CONTROL_ACME_LEFT
                : !is_due(c, h)        ? CONTROL_ACME_SERVED
                : h->why.n && !h->busy ? CONTROL_ACME_FAILED
                                       : CONTROL_ACME_DUE;
    fn(arg, &out);
}

struct telling {
    void (*fn)(void *arg, const struct control_acme_cert *cert);
    void *arg;
};
static void tell_own(void *arg, const struct node_certificate *cert) {
    struct telling *t = arg;
    if (cert->source != NODE_CERT_OPERATOR) return;
    for (uint32_t i = 0; i < cert->chain.names.n; i++)
        t->fn(t->arg, &(struct control_acme_cert){.state = CONTROL_ACME_OPERATOR,
                                                  .host = cert->chain.names.p[i],
                                                  .from = cert->from,
                                                  .not_after_s = cert->chain.not_after_s});
}

void node_acme_each(struct control *c, void (*fn)(void *arg, const struct control_acme_cert *cert), void *arg) {
    node_certificates_each(c, tell_own, &(struct telling){fn, arg});
    if (config(c)) look_at_apps(c);
    for (uint32_t i = 0; c->acme && i < BUCKETS; i++)
        for (struct host *h = c->acme->buckets[i]; h; h = h->next) tell_host(c, h, fn, arg);
}

err node_acme_renew(struct control *c, str host, struct diag *d) {
    if (!c->acme || !config(c))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this node asks no authority: its configuration has no [acme]");
    look_at_apps(c);
    struct host *h = find(c->acme, host);
    if (!h || !h->app)
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE,
                        "no app that is deployed names the host " STR_FMT ", or [acme] hosts does not have it",
                        STR_ARG(str_sub(host, 0, 253)));
    if (node_certificates_find(c, NODE_CERT_OPERATOR, host))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the host " STR_FMT " has a certificate of the operator's files",
                        STR_ARG(host));
    if (h->busy || now_s() < h->begun_s + AGAIN_S)
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "that is under way, or was tried less than a minute ago");
    h->forced = true;
    node_acme_changed(c);
    return ERR_OK;
}
