/* tls: see tls.h. */
#include "node/worker/tls.h"
#include "net/tls.h"
#include "node/certificates.h"
#include "node/worker/apps.h"
#include "node/worker/inbox.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct set;
struct entry {
    struct node_certificate c;
    struct set *set;
    struct crypto_tls_identity *identity; /* NULL: nobody has asked */
    bool broken;                          /* it cannot be one */
};
/* All of a memory file, until it is no more the current one and nobody was shown anything of it. */
struct set {
    arena *mem;
    uint32_t holds;
    VEC(struct entry *) entries;
    struct map by_name, challenges; /* to an index of entries, and one */
    bool tls13_alone;
};
/* A handshake that waits for its signature. So many are with keys at once: what else a worker asks there (tokens, what is sealed) waits behind no more. */
enum { ASKED_MAX = 64, WAITING_MAX = 4096 };
struct signing {
    struct signing *next, **at; /* of those that wait */
    struct node_tls *tls;
    struct net_tls_ask *ask;
    const struct entry *entry; /* of an identity that the connection holds */
    uint16_t scheme;
    struct node_hashing *hashing; /* NULL: it waits */
    str message;                  /* as long as the handshake stands still */
};
struct node_tls {
    struct node_tls_options o;
    struct signing *first, **last; /* that wait, the oldest first */
    uint32_t asked, waiting;
    struct set *set; /* NULL: none came */
    const struct crypto_tickets *tickets;
    struct net_tls_config config;
};

/* ---- the set ---- */

static void let_go(struct set *s) {
    if (s && !--s->holds) arena_free(s->mem);
}

static void drop_entry(void *arg) { let_go(((struct entry *)arg)->set); }

/* No more for who comes. */
static void retire(struct set *s) {
    for (uint32_t i = 0; s && i < s->entries.n; i++) {
        crypto_tls_identity_drop(s->entries.p[i]->identity);
        s->entries.p[i]->identity = NULL;
    }
    let_go(s);
}

/* Of several for a name the one that holds longest; an operator's before others. */
static bool better(const struct entry *a, const struct entry *b) {
    if (a->c.source != b->c.source) return a->c.source < b->c.source;
    return a->c.chain.not_after_s > b->c.chain.not_after_s;
}

static void add(struct set *s, struct entry *e) {
    struct map *names = e->c.source == NODE_CERT_CHALLENGE ? &s->challenges : &s->by_name;
    uint64_t at;
    vec_push(s->mem, &s->entries, e);
    for (uint32_t i = 0; i < e->c.chain.names.n; i++) {
        str name = e->c.chain.names.p[i];
        if (map_get(names, name, &at) && !better(e, s->entries.p[at])) continue;
        (void)map_put(s->mem, names, name, s->entries.n - 1);
    }
}

static struct set *read_set(int fd) {
    arena *mem = arena_new(0);
    struct set *s = arena_make(mem, struct set);
    struct node_certificate c;
    str bytes;
    *s = (struct set){.mem = mem, .holds = 1};
    struct rd from = {0};
    bool ok = node_certificates_map(mem, fd, &bytes);
    for (from = rd_of(bytes); ok && s->entries.n < NODE_CERTS_MAX && node_certificate_next(mem, &from, &c);) {
        struct entry *e = arena_make(mem, struct entry);
        *e = (struct entry){.c = c, .set = s};
        add(s, e);
    }
    if (ok && !from.fail) return s;
    let_go(s);
    return NULL;
}

static void take_tickets(struct node_tls *t, int fd) {
    void *p = t->tickets ? MAP_FAILED : mmap(NULL, sizeof *t->tickets, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return; /* it is one and the same all the time */
    crypto_tickets_use(t->tickets = p);
}

void node_tls_take(struct node_tls *t, int fd, int tickets, bool tls13_alone) {
    struct set *s = read_set(fd);
    close(fd);
    take_tickets(t, tickets);
    if (!s) {
        log_event(LOG_ERROR, "certificates-not-read");
        return;
    }
    s->tls13_alone = tls13_alone;
    retire(t->set);
    t->set = s;
}

/* ---- who it is ---- */

static struct crypto_tls_identity *identity_of(struct entry *e) {
    struct diag d = DIAG_INIT;
    if (e->identity || e->broken) return e->identity;
    e->identity = crypto_tls_identity_new(&(struct crypto_tls_identity_config){.chain = e->c.chain.der,
                                                                               .chain_count = e->c.chain.count,
                                                                               .challenge = e->c.source == NODE_CERT_CHALLENGE,
                                                                               .tls13_alone = e->set->tls13_alone,
                                                                               .ocsp = e->c.ocsp,
                                                                               .ocsp_until_s = e->c.ocsp_until_s,
                                                                               .arg = e,
                                                                               .drop = drop_entry},
                                          &d);
    e->broken = !e->identity;
    if (e->identity) e->set->holds++;
    else log_event(LOG_ERROR, "certificate-broken", LF_STR("from", e->c.from), LF_CSTR("reason", d.text));
    return e->identity;
}

static struct entry *named(struct set *s, const struct map *names, str name) {
    uint64_t at;
    char star[256];
    if (map_get(names, name, &at)) return s->entries.p[at];
    size_t dot = str_find(name, '.');
    if (dot == name.n || name.n - dot + 1 > sizeof star) return NULL;
    star[0] = '*';
    memcpy(star + 1, name.p + dot, name.n - dot);
    return map_get(names, (str){(uint8_t *)star, name.n - dot + 1}, &at) ? s->entries.p[at] : NULL;
}

static struct crypto_tls_identity *choose(void *arg, const struct crypto_hello *hello) {
    struct set *s = ((struct node_tls *)arg)->set;
    uint64_t at;
    if (!s) return NULL;
    if (hello->challenge) return map_get(&s->challenges, hello->server_name, &at) ? identity_of(s->entries.p[at]) : NULL;
    struct entry *e = hello->server_name.n ? named(s, &s->by_name, hello->server_name) : NULL;
    for (uint32_t i = 0; !e && i < s->entries.n; i++)
        if (s->entries.p[i]->c.source != NODE_CERT_CHALLENGE) e = s->entries.p[i]; /* whoever asks for nobody that is known */
    return e ? identity_of(e) : NULL;
}

/* By the app that the client asks for, as it asks before there is TLS. */
static bool elsewhere(void *arg, const struct net_server *server, str name, struct net_pass *to) {
    const struct node_tls *t = arg;
    const struct node_entry *e = t->o.inbox && name.n ? node_apps_at(t->o.apps, name) : NULL;
    return e && e->cordon != t->o.cordon && node_inbox_way(t->o.inbox, e->cordon, net_server_port(server), to);
}

bool node_tls_covers(const struct net_tls_facts *facts, str authority) {
    const struct entry *e = crypto_tls_identity_arg(facts->identity);
    char host[256];
    size_t n = authority.n && authority.p[0] == '[' ? authority.n : str_find(authority, ':');
    if (!facts->server_name.n || !n || n > sizeof host) return true;
    for (size_t i = 0; i < n; i++)
        host[i] = (char)(authority.p[i] >= 'A' && authority.p[i] <= 'Z' ? authority.p[i] | 0x20 : authority.p[i]);
    str name = {(uint8_t *)host, n};
    if (n > 1 && host[n - 1] == '.') name.n--;
    if (str_eq(name, facts->server_name)) return true;
    for (uint32_t i = 0; i < e->c.chain.names.n; i++)
        if (crypto_name_covers(e->c.chain.names.p[i], name)) return true;
    return false;
}

/* ---- signatures ---- */

static void ask_more(struct node_tls *t);

static void told(void *arg, const struct node_hashed *said) {
    struct signing *s = arg;
    struct node_tls *t = s->tls;
    struct net_tls_ask *ask = s->ask;
    free(s);
    t->asked--;
    net_tls_told(ask, said->err == ERR_OK ? said->hash : (str){0});
    ask_more(t);
}

static void leave(struct signing *s) {
    *s->at = s->next;
    if (s->next) s->next->at = s->at;
    else s->tls->last = s->at;
    s->tls->waiting--;
}

static void ask_more(struct node_tls *t) {
    while (t->first && t->asked < ASKED_MAX) {
        struct signing *s = t->first;
        leave(s);
        t->asked++;
        s->hashing = node_hashes_tls(t->o.signers, s->scheme, s->entry->c.sealed, s->message, told, s);
    }
}

static void *sign(void *arg, struct net_tls_ask *ask, const struct crypto_tls_identity *who, uint16_t scheme, str message) {
    struct node_tls *t = arg;
    if (t->waiting == WAITING_MAX) return NULL;
    struct signing *s = malloc(sizeof *s);
    ENSURE(s);
    *s = (struct signing){
        .at = t->last, .tls = t, .ask = ask, .entry = crypto_tls_identity_arg(who), .scheme = scheme, .message = message};
    *t->last = s;
    t->last = &s->next;
    t->waiting++;
    ask_more(t);
    return s;
}

static void cancel(void *arg, void *asked) {
    struct signing *s = asked;
    struct node_tls *t = s->tls;
    if (s->hashing) node_hashes_cancel(s->hashing), t->asked--;
    else leave(s);
    free(s);
    ask_more(t);
}

/* ---- its life ---- */

struct node_tls *node_tls_new(const struct node_tls_options *o) {
    struct node_tls *t = calloc(1, sizeof *t);
    ENSURE(t);
    *t = (struct node_tls){.o = *o,
                           .config = {.choose = choose, .elsewhere = elsewhere, .sign = sign, .cancel = cancel, .arg = t}};
    t->last = &t->first;
    return t;
}

const struct net_tls_config *node_tls_config(struct node_tls *t) { return &t->config; }

void node_tls_free(struct node_tls *t) {
    if (!t) return;
    retire(t->set);
    crypto_tickets_use(NULL);
    if (t->tickets) munmap((void *)(uintptr_t)t->tickets, sizeof *t->tickets);
    free(t);
}
