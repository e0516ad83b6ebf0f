/* certificates: see certificates.h. */
#include "node/certificates.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { LAYOUT = 1 /* entries are kept in node.db */ };

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

void node_certificate_put(struct buf *to, const struct node_certificate *c) {
    put(to, LAYOUT), put(to, c->source);
    put(to, c->chain.count);
    for (uint32_t i = 0; i < c->chain.count; i++) put_str(to, c->chain.der[i]);
    put(to, c->chain.names.n);
    for (uint32_t i = 0; i < c->chain.names.n; i++) put_str(to, c->chain.names.p[i]);
    put(to, (uint64_t)c->chain.not_before_s), put(to, (uint64_t)c->chain.not_after_s), put(to, c->chain.must_staple);
    put_str(to, c->chain.ocsp_url), put_str(to, c->chain.issuer);
    put_str(to, c->sealed), put_str(to, c->ocsp), put_str(to, c->from), put(to, (uint64_t)c->ocsp_until_s);
}

bool node_certificate_next(arena *out, struct rd *from, struct node_certificate *c) {
    *c = (struct node_certificate){0};
    if (from->fail || !rd_left(from)) return false;
    if (rd_u64le(from) != LAYOUT) rd_fail(from, "of another layout");
    uint64_t source = rd_u64le(from), count = rd_u64le(from);
    if (source >= NODE_CERT_SOURCES || count > CRYPTO_CHAIN_MAX) rd_fail(from, "no certificate");
    c->source = (enum node_certificate_source)source;
    for (uint64_t i = 0; i < count && !from->fail; i++) c->chain.der[c->chain.count++] = get_str(from);
    uint64_t names = rd_u64le(from);
    if (names > CRYPTO_CHAIN_NAMES_MAX) rd_fail(from, "too many names");
    for (uint64_t i = 0; i < names && !from->fail; i++) vec_push(out, &c->chain.names, get_str(from));
    c->chain.not_before_s = (int64_t)rd_u64le(from), c->chain.not_after_s = (int64_t)rd_u64le(from);
    c->chain.must_staple = rd_u64le(from) != 0;
    c->chain.ocsp_url = get_str(from), c->chain.issuer = get_str(from);
    c->sealed = get_str(from), c->ocsp = get_str(from), c->from = get_str(from), c->ocsp_until_s = (int64_t)rd_u64le(from);
    return !from->fail;
}

static void unmap(void *p) {
    const str *bytes = p;
    munmap((void *)(uintptr_t)bytes->p, bytes->n);
}

bool node_certificates_map(arena *out, int fd, str *bytes) {
    struct stat st;
    *bytes = (str){0};
    if (fstat(fd, &st) || st.st_size < 0 || st.st_size > NODE_CERTS_BYTES_MAX) return false;
    if (!st.st_size) return true;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return false;
    str *kept = arena_make(out, str);
    *kept = *bytes = (str){p, (size_t)st.st_size};
    arena_cleanup(out, unmap, kept);
    return true;
}

static void say_day(int64_t s, char to[static 32]) {
    struct tm tm;
    time_t t = (time_t)s;
    gmtime_r(&t, &tm);
    strftime(to, 32, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

err node_certificate_holds(const struct crypto_chain *chain, int64_t now_s, struct diag *d) {
    char day[32];
    if (now_s > chain->not_after_s) {
        say_day(chain->not_after_s, day);
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the certificate has expired: it was valid until %s", day);
    }
    if (now_s >= chain->not_before_s) return ERR_OK;
    say_day(chain->not_before_s, day);
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the certificate is not valid yet: it is from %s on", day);
}
