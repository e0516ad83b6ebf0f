/* store: the process that writes apps' data.
 *
 *   store_open ──> gives up all other rights ──> store_peer … ──> serves ──> nothing to do for long: store_rests ──> its wire is closed
 *                                                                              what had come by then is done ──> exit 0
 *
 * All that it is, knows and may touch came as messages (wire.def).
 */
#include "node/node_int.h"
#include "node/role.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { PEERS_MAX = 256 };
struct store {
    struct node_limits limits;
    int data; /* -1: nothing is kept */
    struct pollfd peers[PEERS_MAX];
    uint32_t peers_count;
    bool done;
};

static err open_store(struct store *s, struct diag *d) {
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_store, &m) != NODE_WIRE_GOT ||
        m.type != NODE_MSG_store_open)
        return ERR_CLOSED;
    log_init(STDERR_FILENO, m.store_open.log_json, (enum log_level)m.store_open.log_min);
    log_to(node_log_send, NULL);
    struct rd settings = rd_of(m.store_open.settings);
    node_settings_read(&settings, &s->limits);
    s->data = m.fds_count ? node_message_take(&m, 0) : -1;
    return settings.fail ? ERR_MALFORMED : node_sandbox_store(s->data, d);
}

static void hear(struct store *s) {
    struct node_message m;
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_store, &m);
    if (got == NODE_WIRE_AGAIN) return;
    if (got != NODE_WIRE_GOT || m.type != NODE_MSG_store_peer || s->peers_count == PEERS_MAX) s->done = true;
    else s->peers[s->peers_count++] = (struct pollfd){.fd = node_message_take(&m, 0), .events = POLLIN};
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
}

int node_store_main(void) {
    static struct store s;
    struct diag d = DIAG_INIT;
    signal(SIGPIPE, SIG_IGN);
    err e = open_store(&s, &d);
    if (e != ERR_OK) log_event(LOG_ERROR, "store-failed", LF_CSTR("reason", d.text[0] ? d.text : err_text(e)));
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    while (e == ERR_OK && !s.done) {
        struct pollfd wire = {.fd = NODE_WIRE_FD, .events = POLLIN};
        if (poll(&wire, 1, -1) > 0) hear(&s);
    }
    return e != ERR_OK;
}
