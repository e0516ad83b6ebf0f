/* admin_tls: the admin API by TLS: who this is, by the node's certificates; who may come, by the operator's authorities; signatures by keys, as everything that
 * control wants of them.
 *
 * 1. Who has no certificate of one of those authorities gets no further than the handshake: not a byte of HTTP is read of him.
 * 2. A token is asked for all the same: the certificate says that somebody may speak, the token what he may. */
#include "node/control/admin_tls.h"
#include "node/control/certificates.h"
#include "node/secrets.h"
#include "net/tls.h"
#include <stdlib.h>
#include <unistd.h>

enum { KEPT = 16 };

struct signing {
    struct control_admin_tls *tls;
    struct net_tls_ask *ask; /* NULL: nobody waits any more */
};
struct control_admin_tls {
    struct control *control;
    str client_ca; /* heap */
    struct kept {
        struct crypto_tls_identity *identity; /* NULL: none */
        str own, sealed;                      /* heap: whose it is, and by what it signs */
    } kept[KEPT];
    uint32_t turn;
    struct net_tls_config config;
};

static str copy(str s) {
    uint8_t *p = malloc(s.n + 1);
    ENSURE(p);
    if (s.n) memcpy(p, s.p, s.n);
    return (str){p, s.n};
}

static void drop(struct kept *k) {
    crypto_tls_identity_drop(k->identity);
    free((void *)(uintptr_t)k->own.p);
    free((void *)(uintptr_t)k->sealed.p);
    *k = (struct kept){0};
}

/* Made once for a certificate; another takes the place of who was made first. */
static struct crypto_tls_identity *identity_of(struct control_admin_tls *t, const struct node_certificate *c, struct diag *d) {
    for (uint32_t i = 0; i < KEPT; i++)
        if (t->kept[i].identity && str_eq(t->kept[i].own, c->chain.der[0]) && str_eq(t->kept[i].sealed, c->sealed))
            return t->kept[i].identity;
    struct kept *k = &t->kept[t->turn++ % KEPT];
    drop(k);
    k->sealed = copy(c->sealed);
    k->own = copy(c->chain.der[0]);
    k->identity = crypto_tls_identity_new(
        &(struct crypto_tls_identity_config){
            .chain = c->chain.der, .chain_count = c->chain.count, .client_ca = t->client_ca, .arg = k},
        d);
    return k->identity;
}

static void first(void *arg, const struct node_certificate *c) {
    const struct node_certificate **to = arg;
    if (!*to && c->source != NODE_CERT_CHALLENGE) *to = c;
}

static struct crypto_tls_identity *choose(void *arg, const struct crypto_hello *hello) {
    struct control_admin_tls *t = arg;
    struct diag d = DIAG_INIT;
    const struct node_certificate *c =
        hello->server_name.n ? node_certificates_find(t->control, NODE_CERT_SOURCES, hello->server_name) : NULL;
    if (!c) node_certificates_each(t->control, first, &c);
    if (!c || hello->challenge) return NULL;
    struct crypto_tls_identity *i = identity_of(t, c, &d);
    if (!i) log_event(LOG_ERROR, "certificate-broken", LF_STR("from", c->from), LF_CSTR("reason", d.text));
    return i;
}

static void said(struct control *c, void *arg, err e, str value, const struct diag *d) {
    struct signing *s = arg;
    struct net_tls_ask *ask = s->ask;
    free(s);
    if (ask) net_tls_told(ask, e == ERR_OK ? value : (str){0});
}

static void *sign(void *arg, struct net_tls_ask *ask, const struct crypto_tls_identity *who, uint16_t scheme, str message) {
    struct control_admin_tls *t = arg;
    const struct kept *k = crypto_tls_identity_arg(who);
    uint8_t bytes[2 + CRYPTO_TLS_MESSAGE_MAX];
    struct diag d = DIAG_INIT;
    if (k->identity != who || message.n > CRYPTO_TLS_MESSAGE_MAX) return NULL; /* another has its place by now */
    bytes[0] = (uint8_t)scheme, bytes[1] = (uint8_t)(scheme >> 8);
    memcpy(bytes + 2, message.p, message.n);
    struct signing *s = malloc(sizeof *s);
    ENSURE(s);
    *s = (struct signing){t, ask};
    struct control_key_ask what = {.does = NODE_SECRET_SIGNS_TLS,
                                   .key = STR("tls"),
                                   .value = k->sealed,
                                   .message = {bytes, 2 + message.n},
                                   .said = said,
                                   .arg = s};
    if (node_secrets_ask(t->control, &what, &d) == ERR_OK) return s;
    free(s);
    return NULL;
}

static void cancel(void *arg, void *asked) { ((struct signing *)asked)->ask = NULL; }

/* ---- its life ---- */

/* Any key will do to see whether the authorities can be read. */
static err try_authorities(struct control_admin_tls *t, struct diag *d) {
    const struct node_certificate *c = NULL;
    node_certificates_each(t->control, first, &c);
    if (!c) return ERR_OK; /* there may be one later */
    return identity_of(t, c, d) ? ERR_OK : ERR_INVALID;
}

err node_admin_tls_new(struct control *c, int fd, const struct net_tls_config **out, struct diag *d) {
    uint8_t *p = malloc(NODE_CERT_FILE_BYTES_MAX);
    struct control_admin_tls *t = calloc(1, sizeof *t);
    ENSURE(p && t);
    ssize_t n = pread(fd, p, NODE_CERT_FILE_BYTES_MAX, 0);
    *t = (struct control_admin_tls){.control = c, .client_ca = copy((str){p, n > 0 ? (size_t)n : 0})};
    t->config = (struct net_tls_config){.choose = choose, .sign = sign, .cancel = cancel, .arg = t};
    free(p);
    err e = t->client_ca.n ? try_authorities(t, d) : diag_set(d, ERR_INVALID, DIAG_NOWHERE, "client_ca is empty");
    *out = &t->config;
    if (e == ERR_OK) return e;
    for (uint32_t i = 0; i < KEPT; i++) drop(&t->kept[i]);
    free((void *)(uintptr_t)t->client_ca.p);
    free(t);
    *out = NULL;
    return e;
}
