/* flags: a manifest of what the command line says, so that there is one way of deploying. */
#ifndef ORLO_NODE_COMMAND_FLAGS_H
#define ORLO_NODE_COMMAND_FLAGS_H

#include "node/node.h"

/* An orlo.toml of one function, whose source is `source`. ERR_NOT_FOUND: a folder that is not there; ERR_USAGE. */
[[nodiscard]] err node_flags_manifest(const struct node_deploy_config *c, str source, struct buf *to, struct diag *d);

#endif
