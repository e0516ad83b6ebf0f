/* certificates: see certificates.h. */
#include "node/control/certificates.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct held {
    struct held *next;
    arena *mem;
    struct node_certificate c;
};
struct control_certificates {
    struct held *first; /* the operator's first, in his order; the rest as they came */
    uint32_t count;
};

static struct control_certificates *of(struct control *c) {
    if (c->certificates) return c->certificates;
    c->certificates = calloc(1, sizeof *c->certificates);
    ENSURE(c->certificates);
    return c->certificates;
}

/* ---- the list ---- */

/* Its own bytes, of which the entry borrows. NULL: nonsense. */
static struct held *hold(str bytes) {
    arena *mem = arena_new(0);
    struct held *h = arena_make(mem, struct held);
    *h = (struct held){.mem = mem};
    struct rd from = rd_of(arena_str(mem, bytes));
    if (node_certificate_next(mem, &from, &h->c) && !rd_left(&from) && h->c.chain.names.n && h->c.chain.count) return h;
    arena_free(mem);
    return NULL;
}

static void append(struct control_certificates *all, struct held *h) {
    struct held **at = &all->first;
    while (*at && ((*at)->c.source <= h->c.source)) at = &(*at)->next;
    h->next = *at;
    *at = h;
    all->count++;
}

static void drop_at(struct control_certificates *all, struct held **at) {
    struct held *h = *at;
    *at = h->next;
    all->count--;
    arena_free(h->mem);
}

static struct held **find(struct control_certificates *all, enum node_certificate_source source, str name) {
    struct held **at = &all->first;
    while (*at && !((*at)->c.source == source && str_eq((*at)->c.chain.names.p[0], name))) at = &(*at)->next;
    return at;
}

/* ---- to workers ---- */

static void publish(struct control *c) {
    struct buf b = {.max = NODE_CERTS_BYTES_MAX};
    struct node_message m = NODE_MESSAGE(certificates_set);
    for (const struct held *h = of(c)->first; h; h = h->next) node_certificate_put(&b, &h->c);
    int fd = memfd_create("orlo-certificates", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool ok = fd >= 0 && !b.full && (!b.n || write(fd, b.p, b.n) == (ssize_t)b.n) &&
              fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
    if (!ok)
        log_event(LOG_ERROR, "certificates-not-published", LF_CSTR("reason", b.full ? "they are too many" : strerror(errno)));
    m.fds[m.fds_count++] = fd;
    if (ok) node_control_tell(c, &m);
    if (fd >= 0) close(fd);
    buf_free(&b);
}

void node_certificates_own(struct control *c, int fd) {
    struct control_certificates *all = of(c);
    arena *scratch = arena_new(0);
    struct node_certificate cert;
    bool had = false;
    str bytes = {0};
    while (all->first && all->first->c.source == NODE_CERT_OPERATOR) drop_at(all, &all->first), had = true;
    if (fd >= 0) (void)node_certificates_map(scratch, fd, &bytes);
    for (struct rd from = rd_of(bytes); node_certificate_next(scratch, &from, &cert);) {
        struct buf one = {0};
        node_certificate_put(&one, &cert);
        struct held *h = hold(buf_str(&one));
        if (h) append(all, h);
        buf_free(&one);
    }
    arena_free(scratch);
    if (fd >= 0) close(fd);
    if (had || fd >= 0) publish(c);
}

/* ---- what is kept ---- */

err node_certificates_open(struct control *c, struct diag *d) {
    struct db_rows *rows;
    uint32_t found = 0;
    if (!c->db) return ERR_OK;
    TRY(db_query(c->db, &rows, d, "select entry from certificates order by id"));
    while (db_next(rows)) {
        struct held *h = hold(db_str(rows, 0));
        if (h) append(of(c), h), found++;
        else
            log_event(LOG_ERROR, "certificate-broken", LF_CSTR("from", "node.db"),
                      LF_CSTR("reason", "it is no entry of this version"));
    }
    TRY(db_end(rows, d));
    if (found) publish(c);
    return ERR_OK;
}

static err keep(struct control *c, const struct held *h, str entry, struct diag *d) {
    if (h->c.source == NODE_CERT_CHALLENGE || !c->db) return ERR_OK;
    return db_run(c->db, d,
                  "insert or replace into certificates (source, name, entry, not_after, changed) values (?, ?, ?, ?, ?)",
                  DB_I64(h->c.source), DB_TEXT(h->c.chain.names.p[0]), DB_BLOB(entry), DB_I64(h->c.chain.not_after_s),
                  DB_I64(clock_wall_ns() / 1'000'000'000u));
}

err node_certificates_put(struct control *c, const struct node_certificate *cert, struct diag *d) {
    struct control_certificates *all = of(c);
    struct buf entry = {0};
    if (cert->source == NODE_CERT_OPERATOR || !cert->chain.names.n || !cert->chain.count || !cert->sealed.n)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is no certificate that can be kept");
    if (all->count >= NODE_CERTS_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a node has at most %d certificates", NODE_CERTS_MAX);
    node_certificate_put(&entry, cert);
    struct held *h = hold(buf_str(&entry));
    err e = h ? keep(c, h, buf_str(&entry), d) : diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is no certificate that can be kept");
    buf_free(&entry);
    if (e != ERR_OK) {
        if (h) arena_free(h->mem);
        return e;
    }
    struct held **old = find(all, h->c.source, h->c.chain.names.p[0]);
    if (*old) drop_at(all, old);
    append(all, h);
    publish(c);
    return ERR_OK;
}

err node_certificates_drop(struct control *c, enum node_certificate_source source, str name, struct diag *d) {
    struct held **at = find(of(c), source, name);
    if (!*at) return ERR_OK;
    if (c->db && source != NODE_CERT_CHALLENGE)
        TRY(db_run(c->db, d, "delete from certificates where source = ? and name = ?", DB_I64(source), DB_TEXT(name)));
    drop_at(of(c), at);
    publish(c);
    return ERR_OK;
}

void node_certificates_each(struct control *c, void (*fn)(void *arg, const struct node_certificate *cert), void *arg) {
    for (const struct held *h = c->certificates ? c->certificates->first : NULL; h; h = h->next) fn(arg, &h->c);
}

const struct node_certificate *node_certificates_find(struct control *c, enum node_certificate_source source, str host) {
    for (const struct held *h = of(c)->first; h; h = h->next) {
        bool may = source == NODE_CERT_SOURCES ? h->c.source != NODE_CERT_CHALLENGE : h->c.source == source;
        for (uint32_t i = 0; may && i < h->c.chain.names.n; i++)
            if (crypto_name_covers(h->c.chain.names.p[i], host)) return &h->c;
    }
    return NULL;
}
