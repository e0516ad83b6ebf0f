/* data: see data.h. */
#include "node/control/data.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct control_data_ask {
    struct control_data_ask *next;
    struct control *c;
    uint32_t id;
    int out;
    void (*done)(void *arg, err e, const struct diag *d, int out);
    void *arg;
    err e; /* of one that was never sent */
    struct diag d;
};

static void end(struct control_data_ask *ask, err e, const struct diag *d) {
    if (e != ERR_OK && ask->out >= 0) close(ask->out), ask->out = -1;
    ask->done(ask->arg, e, d, ask->out);
    free(ask);
}

static void on_unsent(void *arg) {
    struct control_data_ask *ask = arg;
    end(ask, ask->e, &ask->d);
}

static err send_ask(struct control *c, const struct control_data_want *want, struct control_data_ask *ask) {
    int empty = want->in < 0 ? memfd_create("orlo-nothing", MFD_CLOEXEC) : -1;
    ask->out = memfd_create("orlo-told", MFD_CLOEXEC);
    if (ask->out < 0 || (want->in < 0 && empty < 0)) {
        if (empty >= 0) close(empty);
        return diag_set(&ask->d, ERR_IO, DIAG_NOWHERE, "no memory file: there are too many open");
    }
    struct node_message m =
        NODE_MESSAGE(data_want, .id = ask->id, .does = (uint8_t)want->does, .app = want->app, .name = want->name,
                     .postgres = want->postgres, .secret = want->secret, .bytes = want->in < 0 ? 0 : want->bytes,
                     .bytes_max = want->limits->database_bytes_max, .ms_max = want->ms_max);
    m.fds[0] = want->in < 0 ? empty : want->in, m.fds[1] = ask->out, m.fds_count = 2;
    node_control_tell(c, &m);
    if (empty >= 0) close(empty);
    return ERR_OK;
}

void node_data_ask(struct control *c, const struct control_data_want *want) {
    struct control_data_ask *ask = calloc(1, sizeof *ask);
    ENSURE(ask);
    *ask = (struct control_data_ask){.c = c, .out = -1, .done = want->done, .arg = want->arg, .d = DIAG_INIT};
    ask->id = c->last_data_ask = c->last_data_ask % (UINT32_MAX - 1) + 1;
    ask->e = send_ask(c, want, ask);
    if (ask->e != ERR_OK) {
        net_loop_post(c->loop, on_unsent, ask);
        return;
    }
    ask->next = c->data_asks;
    c->data_asks = ask;
}

bool node_data_said(struct control *c, const struct node_msg_data_done *m) {
    struct control_data_ask **at = &c->data_asks, *ask;
    struct diag d = DIAG_INIT;
    while (*at && (*at)->id != m->id) at = &(*at)->next;
    if (!(ask = *at)) return false;
    *at = ask->next;
    err e = node_diag_of(&d, m->err, m->offset, m->text);
    end(ask, e, &d);
    return true;
}
