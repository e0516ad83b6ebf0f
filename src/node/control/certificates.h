/* certificates: the node's own, in control: the operator's, as keys read them; and what was put here, which is kept.
 *
 *   operator's ─┐
 *   kept ───────┼─> one memory file ── certificates_set ──> supervisor ──> all workers, those too that start later
 *   challenges ─┘
 *
 * 1. Whatever is put, dropped or read anew is with all workers soon after; none of them is started anew for it.
 * 2. Of one source there is one entry for the first of its names: another takes its place.
 * 3. Challenges are in memory alone.
 */
#ifndef ORLO_NODE_CONTROL_CERTIFICATES_H
#define ORLO_NODE_CONTROL_CERTIFICATES_H

#include "node/certificates.h"
#include "node/control/control_int.h"

/* Copied; kept before this returns, and at workers soon. Its chain was read by a job or by keys, and is of the key that it has sealed. ERR_LIMIT: there are too
 * many; ERR_IO. */
[[nodiscard]] err node_certificates_put(struct control *c, const struct node_certificate *cert, struct diag *d);
/* The entry of that source whose first name this is; where there is none, nothing happens. */
[[nodiscard]] err node_certificates_drop(struct control *c, enum node_certificate_source source, str name, struct diag *d);
/* All there are, the operator's first. Borrowed until the next of the above. */
void node_certificates_each(struct control *c, void (*fn)(void *arg, const struct node_certificate *cert), void *arg);
/* The one that a host is shown, by name or by star; of that source (NODE_CERT_SOURCES: of any but challenges). NULL: none. Borrowed likewise. */
const struct node_certificate *node_certificates_find(struct control *c, enum node_certificate_source source, str host);

#endif
