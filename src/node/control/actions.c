/* actions: what may be asked of control besides a deployment (deploy.h). */
#include "node/control/control_int.h"
#include "node/control/deploy.h"

static void refuse(control_done_fn done, void *arg) {
    struct diag d = DIAG_INIT;
    err e = diag_set(&d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this node keeps no versions yet");
    done(arg, &(struct control_result){.err = e, .d = &d});
}

uint32_t node_control_deploy(struct control *c, const struct control_deploy *what) { return 0; }
void node_control_cancel(struct control *c, uint32_t deployment) {}
void node_control_rollback(struct control *c, str app, uint32_t version, const struct control_who *who, control_done_fn done,
                           void *arg) {
    refuse(done, arg);
}
void node_control_promote(struct control *c, str app, uint32_t version, uint32_t permille, const struct control_who *who,
                          control_done_fn done, void *arg) {
    refuse(done, arg);
}
void node_control_drop(struct control *c, str app, const struct control_who *who, control_done_fn done, void *arg) {
    refuse(done, arg);
}
err node_control_versions(struct control *c, arena *out, str app, struct control_version **versions, uint32_t *count,
                          struct diag *d) {
    return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this node keeps no versions yet");
}
void node_control_secret_set(struct control *c, str app, str key, str value, control_done_fn done, void *arg) {
    refuse(done, arg);
}
void node_control_secret_remove(struct control *c, str app, str key, control_done_fn done, void *arg) { refuse(done, arg); }
err node_control_secrets(struct control *c, arena *out, str app, struct control_secret **secrets, uint32_t *count,
                         struct diag *d) {
    return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this node keeps no secrets yet");
}
void node_control_token(struct control *c, str app, str role, control_done_fn done, void *arg) { refuse(done, arg); }
