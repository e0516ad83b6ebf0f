/* chain: what an authority gave is read by a job: whether it is for that host, of the key that was asked with, holds now, and can be served. */
#include "node/certificates.h"
#include "crypto/crypto.h"
#include "node/node_int.h"
#include "node/supervisor/jobs.h"
#include <errno.h>
#include <unistd.h>

enum { BYTES_MAX = 64 << 10 };

static err check(const struct node_msg_chain *m, const struct crypto_chain *chain, struct diag *d) {
    uint8_t public[CRYPTO_REQUEST_PUBLIC_MAX];
    size_t n;
    bool covers = false;
    if (!crypto_request_public(m->request, public, &n))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "there was no request for it");
    if (!str_eq((str){public, n}, chain->public))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is of another key than it was asked for with");
    for (uint32_t i = 0; i < chain->names.n; i++) covers |= crypto_name_covers(chain->names.p[i], m->host);
    if (!covers) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is not for the host " STR_FMT, STR_ARG(m->host));
    TRY(node_certificate_holds(chain, (int64_t)(clock_wall_ns() / 1'000'000'000u), d));
    struct crypto_tls_identity *i =
        crypto_tls_identity_new(&(struct crypto_tls_identity_config){.chain = chain->der, .chain_count = chain->count}, d);
    crypto_tls_identity_drop(i);
    return i ? ERR_OK : ERR_UNSUPPORTED;
}

err node_chain_job(const struct node_message *what, int in, int out, struct node_job_result *result) {
    struct diag *d = &result->diag;
    const struct node_msg_chain *m = &what->chain;
    arena *mem = arena_new(0);
    struct buf b = {0};
    struct node_certificate c = {.source = NODE_CERT_ACME, .sealed = STR("-")};
    size_t bytes = (size_t)MIN(m->bytes, (uint64_t)BYTES_MAX);
    uint8_t *p = arena_alloc(mem, bytes + 1, 1);
    if (!bytes || pread(in, p, bytes, 0) != (ssize_t)bytes)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "it became shorter while it was read");
    TRY(crypto_chain_read(mem, (str){p, bytes}, &c.chain, d));
    TRY(check(m, &c.chain, d));
    node_certificate_put(&b, &c);
    return write(out, b.p, b.n) == (ssize_t)b.n ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot write: %s", strerror(errno));
}

void node_chain_limits(struct node_job_config *config) {
    config->memory_bytes_max = 128 * MiB;
    config->file_bytes_max = 1 * MiB;
    config->cpu_s_max = 5;
}
