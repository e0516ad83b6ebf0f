/* place: where a server is that somebody else runs, as its URL says; and coming to it, on a thread: names are resolved there, TLS is begun, a password is
 * hashed as often as the server likes (SCRAM), up to an end (rounds.c). Each of that blocks in libpq, and none of it ends when nobody waits any more.
 *
 *   connection ──reach──> [ a thread: getaddrinfo ─> which addresses may be ─> libpq ] ──posted──> connection, if it is there yet
 *
 * 1. What a URL may say is a list: nothing that would have libpq read a file of the node's, or speak to a local socket.
 * 2. A name's addresses are looked at, and libpq is given those, so that none comes between.
 * 3. A thread that nobody waits for goes on until libpq lets go, some seconds at the most: whoever has places has REACHES_MAX at a time, whatever their number, and all together
 *    REACHES_ALL. All addresses of a place have one time together, and what a server says before it lets in has an end.
 * 4. What is said of a failure has no name in it that the URL has: hosts, users, databases are left out. */
#include "net/addr.h"
#include "postgres/postgres_int.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REACHES_MAX = 2,
    REACHES_ALL = 16,
    REACH_MS = 10'000,
    ADDRESS_MS = 1000,
    HEARD_MAX = 1 << 20,
    LEAST_READ = 8 << 10,
    TLS_MS = 200
};
static const uint64_t ms_ns = 1'000'000u;
/* A path that is none: libpq takes it for a file that somebody does not have. */
#define NOWHERE "/dev/null/none"
enum { NICE = 10, HOSTS_MAX = 8, ADDRESSES_MAX = 16, PAIRS_MAX = 32, OLDEST = 150000 };

struct pair {
    const char *key;
    char *value;
};
struct postgres_place {
    uint32_t users, reaches;
    bool private, verifies, plain;
    char *hosts[HOSTS_MAX], *ports[HOSTS_MAX];
    uint32_t hosts_count;
    struct pair pairs[PAIRS_MAX];
    uint32_t pairs_count;
};
static struct postgres_reach *reaches[REACHES_ALL]; /* on the loop's thread, as all counts here; NULL: one may begin */

/* ---- what a URL says ---- */

static const char *const passed[] = {"user",
                                     "password",
                                     "dbname",
                                     "sslmode",
                                     "options",
                                     "sslsni",
                                     "ssl_min_protocol_version",
                                     "channel_binding",
                                     "target_session_attrs",
                                     "application_name",
                                     "sslnegotiation"};
static const char *const left_out[] = {"connect_timeout",  "keepalives",       "keepalives_idle", "keepalives_interval",
                                       "keepalives_count", "tcp_user_timeout", "client_encoding", "fallback_application_name",
                                       "gssencmode"}; /* ours hold */

static bool is_among(const char *key, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(key, list[i])) return true;
    return false;
}

static void put_pair(struct postgres_place *p, const char *key, const char *value) {
    ENSURE(p->pairs_count < PAIRS_MAX);
    char *copy = strdup(value);
    ENSURE(copy);
    p->pairs[p->pairs_count++] = (struct pair){key, copy};
}

static const char *value_of(const PQconninfoOption *o, const char *key) {
    for (; o->keyword; o++)
        if (!strcmp(o->keyword, key)) return o->val && *o->val ? o->val : NULL;
    return NULL;
}

/* "a,b": each of them. */
static uint32_t cut_list(const char *text, char *to[static HOSTS_MAX]) {
    uint32_t n = 0;
    for (const char *at = text; n < HOSTS_MAX; at++) {
        size_t length = strcspn(at, ",");
        to[n] = strndup(at, length);
        ENSURE(to[n]);
        n++;
        at += length;
        if (!*at) return n;
    }
    return HOSTS_MAX + 1;
}

static err take_hosts(struct postgres_place *p, const PQconninfoOption *o, struct diag *d) {
    const char *host = value_of(o, "host"), *ports = value_of(o, "port");
    char *listed[HOSTS_MAX];
    if (!host) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it names no host: postgres://USER:PASSWORD@HOST/DATABASE");
    if (strchr(host, '/') || *host == '@')
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "its host is a folder: a server of yours is reached by TCP, at a name or an address");
    uint32_t n = cut_list(host, p->hosts), m = ports ? cut_list(ports, listed) : 0;
    p->hosts_count = MIN(n, (uint32_t)HOSTS_MAX);
    for (uint32_t i = 0; i < p->hosts_count; i++) {
        const char *port = m ? listed[m == 1 ? 0 : MIN(i, MIN(m, (uint32_t)HOSTS_MAX) - 1)] : "";
        p->ports[i] = strdup(*port ? port : "5432");
        ENSURE(p->ports[i]);
    }
    for (uint32_t i = 0; i < MIN(m, (uint32_t)HOSTS_MAX); i++) free(listed[i]);
    if (n > HOSTS_MAX || (m > 1 && m != n))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it has up to %d hosts, and a port for each or one for all", HOSTS_MAX);
    for (uint32_t i = 0; i < n; i++)
        if (!*p->hosts[i]) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "one of its hosts has no name");
    return ERR_OK;
}

/* What OpenSSL's variables say, else the system's store. libpq's own word for it came with its version 16. */
static const char *authorities(void) {
    const char *const files[] = {getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt",
                                 "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < ARRAY_COUNT(files); i++)
        if (files[i] && *files[i] && access(files[i], R_OK) == 0) return files[i];
    return files[1];
}

static err take_pairs(struct postgres_place *p, const PQconninfoOption *o, struct diag *d) {
    for (const PQconninfoOption *i = o; i->keyword; i++) {
        bool is_host = !strcmp(i->keyword, "host") || !strcmp(i->keyword, "port");
        bool is_system = !strcmp(i->keyword, "sslrootcert") && i->val && !strcmp(i->val, "system");
        if (!i->val || !*i->val || is_host || is_system || is_among(i->keyword, left_out, ARRAY_COUNT(left_out))) continue;
        if (!is_among(i->keyword, passed, ARRAY_COUNT(passed)))
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "its parameter %s is not for a server of yours", i->keyword);
        put_pair(p, i->keyword, i->val);
    }
    const char *mode = value_of(o, "sslmode"), *root = value_of(o, "sslrootcert");
    p->verifies = root || (mode && !strncmp(mode, "verify-", 7));
    if (root && !mode) put_pair(p, "sslmode", "verify-full");
    if (p->verifies) put_pair(p, "sslrootcert", authorities());
    if (!value_of(o, "user")) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it names no user");
    if (!value_of(o, "dbname")) put_pair(p, "dbname", value_of(o, "user"));
    if (!value_of(o, "application_name")) put_pair(p, "application_name", "orlo");
    static const char *const ours[][2] = {
        {"keepalives_idle", "20"},     {"keepalives_interval", "5"}, {"keepalives_count", "3"},
        {"tcp_user_timeout", "20000"}, {"client_encoding", "UTF8"},  {"gssencmode", "disable"},
        {"passfile", NOWHERE},         {"sslcert", NOWHERE}}; /* those of whoever runs the node are his */
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) put_pair(p, ours[i][0], ours[i][1]);
    return ERR_OK;
}

/* libpq would say what it did not understand: that may be a password. */
err postgres_place_new(str url, bool private, struct postgres_place **out, struct diag *d) {
    struct postgres_place *p = calloc(1, sizeof *p);
    char *text = strndup((const char *)url.p, url.n), *why = NULL;
    ENSURE(p && text);
    p->users = 1;
    p->private = private;
    bool is_url = !strncmp(text, "postgres://", 11) || !strncmp(text, "postgresql://", 13);
    PQconninfoOption *o = is_url && strlen(text) == url.n ? PQconninfoParse(text, &why) : NULL;
    err e = o ? take_hosts(p, o, d)
              : diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                         "it is no URL postgres://USER:PASSWORD@HOST/DATABASE (what is special in a password is written %%XX)");
    if (e == ERR_OK) e = take_pairs(p, o, d);
    PQconninfoFree(o);
    PQfreemem(why);
    explicit_bzero(text, strlen(text));
    free(text);
    if (e == ERR_OK) *out = p;
    else postgres_place_free(p);
    return e;
}

void postgres_place_hold(struct postgres_place *p) { p->users++; }

void postgres_place_free(struct postgres_place *p) {
    if (!p || --p->users) return;
    for (uint32_t i = 0; i < p->hosts_count; i++) free(p->hosts[i]), free(p->ports[i]);
    for (uint32_t i = 0; i < p->pairs_count; i++) {
        explicit_bzero(p->pairs[i].value, strlen(p->pairs[i].value));
        free(p->pairs[i].value);
    }
    free(p);
}

bool postgres_place_busy(const struct postgres_place *p) { return p->reaches > 0; }
bool postgres_place_plain(const struct postgres_place *p) { return p->plain; }

bool postgres_place_same(const struct postgres_place *a, const struct postgres_place *b) {
    bool same = a->hosts_count == b->hosts_count && a->pairs_count == b->pairs_count && a->private == b->private;
    for (uint32_t i = 0; same && i < a->hosts_count; i++)
        same = !strcmp(a->hosts[i], b->hosts[i]) && !strcmp(a->ports[i], b->ports[i]);
    for (uint32_t i = 0; same && i < a->pairs_count; i++)
        same = !strcmp(a->pairs[i].key, b->pairs[i].key) && !strcmp(a->pairs[i].value, b->pairs[i].value);
    return same;
}

/* ---- on a thread ---- */

struct postgres_reach {
    struct postgres_connection *c; /* NULL: nobody waits; on the loop's thread */
    struct postgres_place *place;
    uint32_t whose;
    struct net_loop *loop;
    PGconn *raw;
    bool plain, refused; /* refused: as it is, it will not go otherwise */
    char why[256];
    uint64_t until_ns;
    struct {
        const char *host, *port;
        char address[NET_ADDR_TEXT_MAX];
    } ways[ADDRESSES_MAX];
    uint32_t ways_count;
};

static void fail_reach(struct postgres_reach *r, bool refused, const char *why) {
    if (r->why[0]) return;
    r->refused = refused;
    snprintf(r->why, sizeof r->why, "%s", why);
}

/* As outgoing rules for names have it: public ones, and private ones of names that no stranger decides on. */
static bool may_be(const struct postgres_place *p, const struct net_addr *a, bool is_name, bool local) {
    switch (net_addr_class(a)) {
    case NET_ADDR_PUBLIC: return true;
    case NET_ADDR_PRIVATE: return p->private || (is_name && local);
    case NET_ADDR_LOOPBACK: return p->private;
    default: return false;
    }
}

static void put_addresses(struct postgres_reach *r, const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    struct net_addr literal;
    arena *scratch = arena_new(0);
    str name = {0};
    bool is_name = !net_addr_parse(str_c(host), &literal);
    bool local = is_name && net_name_ascii(scratch, str_c(host), &name) && net_name_local(name);
    uint32_t before = r->ways_count;
    int how = is_name && !name.n ? EAI_NONAME
                                 : getaddrinfo(is_name ? (const char *)arena_cstr(scratch, name) : host, NULL, &hints, &found);
    if (how == EAI_AGAIN) fail_reach(r, false, "the name of its host cannot be resolved at the moment");
    else if (how) fail_reach(r, false, "the name of its host is not known");
    bool any = false;
    for (struct addrinfo *a = found; a && r->ways_count < ADDRESSES_MAX; a = a->ai_next) {
        struct net_addr at;
        net_addr_of(a->ai_addr, &at);
        any = true;
        if (!may_be(r->place, &at, is_name, local)) continue;
        r->ways[r->ways_count].host = host, r->ways[r->ways_count].port = port;
        (void)net_addr_text(&at, false, r->ways[r->ways_count].address);
        r->ways_count++;
    }
    if (any && r->ways_count == before)
        fail_reach(r, true,
                   "its host is at an address that is not public: where the operator wants that, postgres_private = 1 stands in "
                   "the node's configuration");
    if (found) freeaddrinfo(found);
    arena_free(scratch);
}

static bool is_loopback(const PGconn *raw) {
    struct sockaddr_storage peer = {0};
    socklen_t n = sizeof peer;
    struct net_addr a;
    if (getpeername(PQsocket(raw), (struct sockaddr *)&peer, &n)) return false;
    net_addr_of((const struct sockaddr *)&peer, &a);
    return net_addr_class(&a) == NET_ADDR_LOOPBACK;
}

/* libpq's words without what stands before them, and without what stands in quotes: names of the URL's. */
static void take_words(struct postgres_reach *r) {
    const char *text = PQerrorMessage(r->raw), *at = strstr(text, " failed: ");
    struct buf b = {.max = sizeof r->why - 1};
    bool quoted = false;
    at = at ? at + strlen(" failed: ") : text;
    if (!strncmp(at, "FATAL:  ", 8)) at += 8;
    for (; *at && *at != '\n'; at++) {
        if (*at == '"') {
            quoted = !quoted;
            if (quoted) buf_puts(&b, STR("\"…\""));
        } else if (!quoted) buf_putc(&b, (uint8_t)*at);
    }
    char why[256];
    snprintf(why, sizeof why, STR_FMT, STR_ARG(buf_str(&b)));
    buf_free(&b);
    bool refused = strstr(why, "authentication") || strstr(why, "pg_hba") || strstr(why, "does not exist") ||
                   strstr(why, "certificate") || strstr(why, "SSL");
    fail_reach(r, refused, *why ? why : "it does not answer");
}

/* What statements raise for whoever sits there: libpq would write it to the log, as if the node had said so. */
static void let_go(void *arg, const char *notice) {}

static uint64_t waiting_bytes(const struct postgres_reach *r) {
    int n = 0;
    return ioctl(PQsocket(r->raw), FIONREAD, &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

/* libpq's own waiting has a time for each address, and keeps whatever is said. */
static bool is_let_in(struct postgres_reach *r, uint64_t until_ns) {
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    uint64_t heard = 0;
    while (status == PGRES_POLLING_WRITING || status == PGRES_POLLING_READING) {
        uint64_t now = clock_mono_ns();
        struct pollfd p = {.fd = PQsocket(r->raw), .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        bool tls = PQsslInUse(r->raw); /* OpenSSL may have what poll does not see */
        if (now >= until_ns || heard > HEARD_MAX) {
            fail_reach(r, false, heard > HEARD_MAX ? "it says what nobody asked for" : "it does not answer");
            return false;
        }
        int ms = (int)((until_ns - now) / ms_ns) + 1;
        if (poll(&p, 1, tls ? MIN(ms, (int)TLS_MS) : ms) <= 0 && !tls) continue;
        uint64_t before = waiting_bytes(r);
        status = PQconnectPoll(r->raw);
        uint64_t after = waiting_bytes(r);
        heard += before > after ? before - after : MIN(before, LEAST_READ);
        for (PGnotify *n; (n = PQnotifies(r->raw));) PQfreemem(n);
    }
    if (status != PGRES_POLLING_OK && postgres_rounds_over())
        fail_reach(r, true, "it asks for more rounds of a password's hash than anybody computes");
    else if (status != PGRES_POLLING_OK) take_words(r);
    return status == PGRES_POLLING_OK;
}

static bool go_way(struct postgres_reach *r, uint32_t way, uint64_t until_ns) {
    const struct postgres_place *p = r->place;
    const char *keys[PAIRS_MAX + 4] = {"host", "hostaddr", "port"};
    const char *values[PAIRS_MAX + 4] = {r->ways[way].host, r->ways[way].address, r->ways[way].port};
    for (uint32_t i = 0; i < p->pairs_count; i++) keys[3 + i] = p->pairs[i].key, values[3 + i] = p->pairs[i].value;
    postgres_rounds_begin();
    r->raw = PQconnectStartParams(keys, values, 0);
    ENSURE(r->raw);
    PQsetNoticeProcessor(r->raw, let_go, NULL);
    if (PQstatus(r->raw) == CONNECTION_BAD) take_words(r);
    else if (is_let_in(r, until_ns)) {
        if (PQserverVersion(r->raw) >= OLDEST) return true;
        fail_reach(r, true, "it is older than PostgreSQL 15");
    }
    PQfinish(r->raw);
    r->raw = NULL;
    return false;
}

/* One after the other; what is left of the time is shared by those that are left. Of why none went, the first one's holds. */
static void come(struct postgres_reach *r) {
    const struct postgres_place *p = r->place;
    r->until_ns = clock_mono_ns() + REACH_MS * ms_ns;
    for (uint32_t i = 0; i < p->hosts_count && clock_mono_ns() < r->until_ns; i++) put_addresses(r, p->hosts[i], p->ports[i]);
    if (!r->ways_count) {
        fail_reach(r, false, "the name of its host cannot be resolved at the moment");
        return;
    }
    r->why[0] = 0, r->refused = false;
    for (uint32_t i = 0; i < r->ways_count && !r->refused; i++) {
        uint64_t now = clock_mono_ns(), left = now < r->until_ns ? r->until_ns - now : 0;
        if (i && !left) return;
        if (!go_way(r, i, now + MAX(left / (r->ways_count - i), ADDRESS_MS * ms_ns))) continue;
        r->why[0] = 0;
        r->plain = !PQsslInUse(r->raw) && !is_loopback(r->raw);
        return;
    }
}

static void on_come(void *arg) {
    struct postgres_reach *r = arg;
    struct postgres_connection *c = r->c;
    for (size_t i = 0; i < REACHES_ALL; i++)
        if (reaches[i] == r) reaches[i] = NULL;
    r->place->reaches--;
    r->place->plain |= r->plain;
    if (c) {
        PGconn *raw = r->why[0] ? NULL : r->raw;
        if (raw) r->raw = NULL;
        postgres_connection_reached(c, raw, r->why, r->refused);
    }
    PQfinish(r->raw);
    postgres_place_free(r->place);
    free(r);
}

static void *on_thread(void *arg) {
    struct postgres_reach *r = arg;
    setpriority(PRIO_PROCESS, 0, NICE); /* of this thread: what a server has it compute is behind what others wait for */
    come(r);
    net_loop_post(r->loop, on_come, r);
    return NULL;
}

/* Threads are detached: nobody waits for them at the end of the process. */
static bool start_thread(struct postgres_reach *r) {
    pthread_t thread;
    pthread_attr_t a;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool ok = pthread_create(&thread, &a, on_thread, r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    return ok;
}

/* Where there is room for one; NULL: there is none, or not for whose. */
static struct postgres_reach **room_of(uint32_t whose) {
    struct postgres_reach **room = NULL;
    uint32_t own = 0;
    for (size_t i = 0; i < REACHES_ALL; i++) {
        own += reaches[i] && reaches[i]->whose == whose;
        if (!reaches[i]) room = &reaches[i];
    }
    return own < REACHES_MAX ? room : NULL;
}

struct postgres_reach *postgres_reach_new(struct postgres_connection *c, struct postgres_place *place, uint32_t whose,
                                          struct net_loop *loop) {
    struct postgres_reach **room = room_of(whose);
    if (!room) return NULL;
    struct postgres_reach *r = calloc(1, sizeof *r);
    ENSURE(r);
    *r = (struct postgres_reach){.c = c, .place = place, .whose = whose, .loop = loop};
    if (!start_thread(r)) {
        free(r);
        return NULL;
    }
    *room = r;
    place->users++, place->reaches++;
    return r;
}

void postgres_reach_leave(struct postgres_reach *r) { r->c = NULL; }
