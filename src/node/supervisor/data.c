/* data: what the store is told, and says. That it is there is the affair of roles.c. */
#include "node/supervisor/supervisor_int.h"
#include <stdlib.h>

struct forgotten { /* an app that is no more */
    struct forgotten *next;
    uint32_t app;
    char name[64];
};

static void tell_forgotten(struct supervisor *s) {
    for (struct forgotten *f; (f = s->forgotten);) {
        node_roles_tell(s, NODE_ROLE_store, &NODE_MESSAGE(store_forget, .app = f->app, .name = str_c(f->name)));
        s->forgotten = f->next;
        free(f);
    }
}

bool node_data_begin(struct supervisor *s) {
    struct log_style log = log_style();
    struct buf settings = {0};
    node_settings_write(&settings, &s->setup->limits);
    struct node_message m =
        NODE_MESSAGE(store_open, .log_json = log.json, .log_min = (uint8_t)log.min, .settings = buf_str(&settings));
    if (s->state.data >= 0) m.fds[m.fds_count++] = s->state.data;
    err e = node_wire_send(s->singles[NODE_ROLE_store].process.wire, &m);
    buf_free(&settings);
    if (e == ERR_OK) tell_forgotten(s);
    return e == ERR_OK;
}

bool node_data_hear(struct supervisor *s, struct node_message *m) {
    if (m->type != NODE_MSG_store_rests) return false;
    node_roles_rest(s, NODE_ROLE_store);
    return true;
}

/* Workers see it by their channels. */
void node_data_lose(struct supervisor *s, int status) {}

void node_data_forget(struct supervisor *s, const struct node_msg_data_forget *m) {
    struct forgotten *f = calloc(1, sizeof *f);
    ENSURE(f && m->name.n < sizeof f->name);
    f->next = s->forgotten;
    f->app = m->app;
    memcpy(f->name, m->name.p, m->name.n);
    s->forgotten = f;
    const struct single *store = &s->singles[NODE_ROLE_store];
    if (store->process.wire >= 0 && !store->rests) tell_forgotten(s);
    else if (s->state.data >= 0) node_roles_want(s, NODE_ROLE_store);
}
