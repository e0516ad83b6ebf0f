/* data: what the store is told, and says. That it is there is the affair of roles.c. */
#include "node/supervisor/supervisor_int.h"

bool node_data_begin(struct supervisor *s) {
    struct log_style log = log_style();
    struct buf settings = {0};
    node_settings_write(&settings, &s->setup->limits);
    struct node_message m =
        NODE_MESSAGE(store_open, .log_json = log.json, .log_min = (uint8_t)log.min, .settings = buf_str(&settings));
    if (s->state.data >= 0) m.fds[m.fds_count++] = s->state.data;
    err e = node_wire_send(s->singles[NODE_ROLE_store].process.wire, &m);
    buf_free(&settings);
    return e == ERR_OK;
}

bool node_data_hear(struct supervisor *s, struct node_message *m) {
    if (m->type != NODE_MSG_store_rests) return false;
    node_roles_rest(s, NODE_ROLE_store);
    return true;
}

/* Workers see it by their channels. */
void node_data_lose(struct supervisor *s, int status) {}
