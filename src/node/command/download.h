/* download: a file that a manifest names by URL and digest: from the cache, or from where it is, once. */
#ifndef ORLO_NODE_COMMAND_DOWNLOAD_H
#define ORLO_NODE_COMMAND_DOWNLOAD_H

#include "manifest/manifest.h"

/* Fetches what is not in the cache yet ($XDG_CACHE_HOME/orlo, else ~/.cache/orlo), and says where it is: m->fetches.p[i].path. What comes is
 * what the digest says, or refused (ERR_SIGNATURE). ERR_NETWORK, ERR_NOT_FOUND, ERR_LIMIT, ERR_IO: d says which, and what to do. */
[[nodiscard]] err node_manifest_fetch(arena *mem, struct manifest *m, struct diag *d);
/* The file that a function is made of: of the folder (empty: this one; else with a slash at its end), or where it was fetched to. */
char *node_manifest_source(arena *mem, const struct manifest *m, str folder, uint32_t function);

#endif
