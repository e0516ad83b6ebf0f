/* admin_tls: see admin_tls.c. */
#ifndef ORLO_NODE_CONTROL_ADMIN_TLS_H
#define ORLO_NODE_CONTROL_ADMIN_TLS_H

#include "node/control/control_int.h"

struct net_tls_config;
/* fd: a file of authorities, borrowed. As long as control lives. ERR_INVALID: it cannot be read as one. */
[[nodiscard]] err node_admin_tls_new(struct control *c, int fd, const struct net_tls_config **out, struct diag *d);

#endif
