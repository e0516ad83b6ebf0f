/* bundle: the files that a manifest names, as they lie on this disk. */
#ifndef ORLO_NODE_COMMAND_BUNDLE_H
#define ORLO_NODE_COMMAND_BUNDLE_H

#include "crypto/crypto.h"
#include "manifest/manifest.h"

enum { BUNDLE_FILES_MAX = 65'536 };
struct bundle_file {
    str path; /* as the manifest names it: "api.wasm", "public/index.html" */
    str disk;
    uint64_t bytes, modified_s;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    bool is_source, is_seed; /* of a function; what fills a database */
};
struct bundle {
    arena *mem;
    VEC(struct bundle_file) files; /* by path, each once */
    uint64_t bytes;                /* of all */
    str at_fault;                  /* where it could not be: the file */
};
/* Functions' sources, all that is below static folders but what begins with a dot (.well-known is taken), and migrations. ERR_NOT_FOUND, ERR_DENIED, ERR_MALFORMED (a source
 * that is no WebAssembly), ERR_LIMIT, ERR_IO. */
[[nodiscard]] err node_bundle_of(arena *mem, const struct manifest *m, str folder, struct bundle *out, struct diag *d);
/* The files of SQL alone: migrations, and with seeds what fills the database behind them, in the order in which they are run. */
[[nodiscard]] err node_bundle_of_sql(arena *mem, const struct manifest *m, str folder, bool seeds, struct bundle *out,
                                     struct diag *d);
[[nodiscard]] err node_bundle_hash(struct bundle *b, void (*moved)(void *arg, uint64_t bytes), void *arg, struct diag *d);
/* What of its files the node lacks, once they are hashed. shows: how it goes, on a terminal. deploy.c */
struct ask;
[[nodiscard]] err node_bundle_upload(struct ask *a, str app, struct bundle *b, bool shows, struct diag *d);
/* To be read; -1. */
int node_bundle_open(const struct bundle_file *f);

#endif
