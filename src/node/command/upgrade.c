/* upgrade: `orlo upgrade` asks the node itself, at its state folder, to let another program take its place (supervisor/upgrade.c), and says what came of it. */
#include "node/handover.h"
#include "node/node_int.h"
#include "node/state.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static err ask(int fd, const struct node_upgrade_config *config, struct diag *d) {
    struct buf b = {0};
    char path[PATH_MAX] = "";
    if (config->program && !realpath(config->program, path))
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s: %s", config->program, strerror(errno));
    if (path[0] && access(path, X_OK)) return diag_set(d, ERR_DENIED, DIAG_NOWHERE, "%s: it may not be executed", path);
    node_handover_begin(&b, "upgrade");
    if (path[0]) node_handover_put(&b, "program", str_c(path));
    node_handover_put_u64(&b, "check", config->check);
    err e = node_handover_send(fd, &b, (str){0}, NULL, 0);
    return e == ERR_OK ? e : diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "the node does not take what is asked");
}

static err await(int fd, FILE *to, struct diag *d) {
    struct node_handover m;
    for (;;) {
        enum node_handover_got got = node_handover_receive(fd, &m);
        if (got == NODE_HANDOVER_AGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
            continue;
        }
        if (got == NODE_HANDOVER_CLOSED)
            return diag_set(d, ERR_CLOSED, DIAG_NOWHERE,
                            "the node ended before it said what came of it: orlo status tells whether one runs");
        str text = node_handover_str(&m, "text"), version = node_handover_str(&m, "version");
        bool done = node_handover_is(&m, "done"), failed = node_handover_is(&m, "failed");
        uint64_t code = node_handover_u64(&m, "err");
        if (failed) {
            diag_set(d, code && code < ERR_COUNT ? (err)code : ERR_UNSUPPORTED, DIAG_NOWHERE, "nothing was changed: " STR_FMT,
                     STR_ARG(text));
            text_tame(d->text, strlen(d->text));
            node_handover_drop(&m);
            return code && code < ERR_COUNT ? (err)code : ERR_UNSUPPORTED;
        }
        if (done && version.n) fprintf(to, "orlo " STR_FMT ": " STR_FMT "\n", STR_ARG(version), STR_ARG(text));
        else fprintf(to, STR_FMT "\n", STR_ARG(text));
        fflush(to);
        node_handover_drop(&m);
        if (done) return ERR_OK;
    }
}

err node_upgrade(const struct node_upgrade_config *config, FILE *to, struct diag *d) {
    arena *scratch = arena_new(0);
    int fd = -1;
    err e = node_state_connect_upgrade(node_state_folder(scratch, config->state_dir), &fd, d);
    if (e == ERR_OK) e = ask(fd, config, d);
    if (e == ERR_OK) e = await(fd, to, d);
    if (fd >= 0) close(fd);
    arena_free(scratch);
    return e;
}
