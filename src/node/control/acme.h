/* acme: certificates from authorities, for the hosts at which apps answer.
 *
 *   which hosts: deployed apps' ──┐
 *   what there is: certificates ──┼─> due? ──> a try: written down ──> keys: a request ──> courier: the dialogue ──> a job reads the chain
 *   what went wrong, and when ────┘                                        <── sign, prove ──┘                        └─> certificates_put
 *
 * 1. A try is written down before it begins, with when the next one may be: whatever dies meanwhile, a host is not tried twice in a minute, and what keeps
 *    failing is tried ever less often.
 * 2. What is there goes on being served whatever fails here.
 * 3. No client's request begins anything: hosts are those that an app names which is deployed, so many of an app and of a node.
 */
#ifndef ORLO_NODE_CONTROL_ACME_H
#define ORLO_NODE_CONTROL_ACME_H

#include "node/control/control_int.h"

enum { CONTROL_ACME_APP_HOSTS_MAX = 100 };

void node_acme_open(struct control *c);    /* once the database and the certificates are */
void node_acme_changed(struct control *c); /* apps, or the operator's file: it looks, soon */
void node_acme_channel(struct control *c, int fd);
bool node_acme_read(struct control *c, const struct node_msg_compile_done *m); /* false: no chain was to be read by that name */

/* What there is of certificates, an entry for each host that is to have one, and each that has one. */
enum control_acme_state {
    CONTROL_ACME_OPERATOR, /* the operator's file is served */
    CONTROL_ACME_SERVED,   /* one is there, and not due */
    CONTROL_ACME_DUE,      /* it is to be had, or renewed, and that is under way or about to be */
    CONTROL_ACME_FAILED,   /* it did not work, and is tried again */
    CONTROL_ACME_LEFT,     /* no app names the host any more */
    CONTROL_ACME_STATES
};
const char *node_acme_state_text(enum control_acme_state s);
struct control_acme_cert {
    enum control_acme_state state;
    str host, app;       /* app empty: no app's */
    str from;            /* the file or the authority */
    int64_t not_after_s; /* 0: there is none */
    int64_t renew_s;     /* when it is due; 0: nobody renews it */
    int64_t next_s;      /* not tried before then; 0: whenever it is due */
    str why;             /* what went wrong last; empty: nothing */
    int64_t why_s;
    uint32_t failures;
};
/* Borrowed until it returns. */
void node_acme_each(struct control *c, void (*fn)(void *arg, const struct control_acme_cert *cert), void *arg);
/* A host's certificate is asked for now. ERR_NOT_FOUND: no app names it, or it is none of these; ERR_BUSY: that was tried in the last minute; ERR_UNSUPPORTED: there is
 * no authority. */
[[nodiscard]] err node_acme_renew(struct control *c, str host, struct diag *d);

#endif
