/* control: what there is to serve. It holds the node's state, takes deployments from commands, and publishes snapshots.
 *
 *   command ── HTTP (api.c) ──> control ── compile_want, sign_want, publish ──> supervisor ──> job, keys, workers
 *                                       <─ compile_done, sign_done, published ──
 *
 * 1. It holds no key, and parses nothing that a stranger wrote: a module goes to a job, and what comes back is hashed and signed.
 * 2. It touches the folders of records and of images, which it got as descriptors, and nothing else.
 * 3. It is started anew when it dies; what it had acknowledged is in its files.
 */
#include "node/control/acme.h"
#include "node/control/admin_tls.h"
#include "node/control/api_int.h"
#include "node/control/blobs.h"
#include "node/control/data.h"
#include "manifest/config.h"
#include "node/control/places.h"
#include "node/disk.h"
#include "node/control/logs.h"
#include "node/control/metrics.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void node_control_end(struct control *c) {
    c->done = true;
    net_loop_stop(c->loop);
}

void node_control_tell(struct control *c, const struct node_message *m) {
    err e;
    while ((e = node_wire_send(c->wire, m)) == ERR_AGAIN) poll(&(struct pollfd){.fd = c->wire, .events = POLLOUT}, 1, -1);
    ENSURE(e != ERR_LIMIT);
    if (e != ERR_OK) node_control_end(c);
}

/* ---- who asks by messages: the supervisor, for `orlo serve` ---- */

static void drop_client(struct control *c, struct control_client *client) {
    struct control_client **at = &c->clients;
    while (*at != client) at = &(*at)->next;
    *at = client->next;
    node_deployment_client_gone(c, client);
    net_watch_free(client->watch);
    close(client->fd);
    free(client);
}

void node_control_answer(struct control *c, struct control_client *client, const struct node_message *m) {
    if (node_wire_send(client->fd, m) != ERR_OK) shutdown(client->fd, SHUT_RDWR); /* it is seen to be gone, soon */
}

static void on_client(void *arg, unsigned events);

static void add_client(struct control *c, int fd) {
    struct control_client *client = calloc(1, sizeof *client);
    ENSURE(client);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *client = (struct control_client){.next = c->clients, .control = c, .fd = fd};
    client->watch = net_watch_new(c->loop, fd, NET_READABLE, on_client, client);
    c->clients = client;
    if (!client->watch) drop_client(c, client);
}

/* False: nonsense. */
static bool hear_client(struct control *c, struct control_client *client, struct node_message *m) {
    if (client->busy) return false;
    if (m->type != NODE_MSG_deploy) return false;
    node_deployment_begin(c, client, m);
    return true;
}

static void on_client(void *arg, unsigned events) {
    struct control_client *client = arg;
    struct control *c = client->control;
    struct node_message m;
    enum node_wire_got got = node_wire_receive(client->fd, NODE_ROLE_command, NODE_ROLE_control, &m);
    if (got == NODE_WIRE_AGAIN) return;
    bool sense = got == NODE_WIRE_GOT && hear_client(c, client, &m);
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
    if (!sense && got != NODE_WIRE_CLOSED) log_event(LOG_ERROR, "role-cut-off", LF_CSTR("role", "command"));
    if (!sense) drop_client(c, client);
}

/* ---- the supervisor ---- */

static bool on_sign_done(struct control *c, const struct node_msg_sign_done *m) {
    if (m->id) return node_deployment_signed(c, m);
    memcpy(c->key.bytes, m->public, sizeof c->key.bytes);
    node_images_key_known(c, m->err, m->text);
    return true;
}

/* There is none that makes a node unfit to serve. */
static bool listen_at(struct control *c, int fd, int client_ca) {
    struct diag d = DIAG_INIT;
    const struct net_tls_config *tls = NULL;
    err e = c->db ? node_tokens_first(c, &d) : ERR_UNSUPPORTED;
    if (e == ERR_OK && client_ca >= 0) e = node_admin_tls_new(c, client_ca, &tls, &d);
    if (e == ERR_OK) e = node_api_listen(c->api, fd, false, tls, &d);
    if (client_ca >= 0) close(client_ca);
    if (e == ERR_OK) return true;
    close(fd);
    log_event(LOG_WARN, "admin-not-open", LF_CSTR("reason", d.text[0] ? d.text : err_text(e)));
    return true;
}

/* What the operator says of apps, from now on. */
static void take_config(struct control *c, struct node_message *m) {
    arena *mem = arena_new(0);
    struct manifest_config *config = arena_make(mem, struct manifest_config);
    struct stat st;
    uint8_t *p = NULL;
    struct rd settings = rd_of(m->config.settings);
    node_settings_read(&settings, &c->limits);
    ENSURE(!settings.fail);
    if (c->state.db >= 0) node_disk_limit(c->limits.disk_percent_max);
    manifest_config_init(config);
    if (m->fds_count && fstat(m->fds[0], &st) == 0) {
        p = arena_alloc(mem, (size_t)st.st_size + 1, 1);
        struct rd r = rd_of((str){p, pread(m->fds[0], p, (size_t)st.st_size, 0) == st.st_size ? (size_t)st.st_size : 0});
        manifest_config_read(mem, &r, config);
        if (r.fail) manifest_config_init(config);
    }
    if (c->state.db >= 0)
        snprintf(c->domain, sizeof c->domain, STR_FMT, STR_ARG(config->domain.n ? config->domain : STR("localhost")));
    if (m->config.url.n) snprintf(c->url, sizeof c->url, STR_FMT, STR_ARG(m->config.url));
    node_certificates_own(c, m->fds_count > 1 ? node_message_take(m, 1) : -1);
    arena *before = c->config_mem;
    c->config = p ? config : NULL;
    c->config_mem = mem;
    arena_free(before);
    node_acme_changed(c);
}

/* Who asks what it is waits until it governs. */
static void listen_to_commands(struct control *c) {
    struct diag d = DIAG_INIT;
    if (c->state.socket >= 0 && c->governs && !c->waits && !c->listens)
        ENSURE(node_api_listen(c->api, c->state.socket, true, NULL, &d) == ERR_OK);
    c->listens |= c->governs && !c->waits;
    if (!c->listens || c->admin_fd < 0) return;
    (void)listen_at(c, c->admin_fd, c->client_ca_fd);
    c->admin_fd = c->client_ca_fd = -1;
}

static void on_rested(void *arg) { node_control_end(arg); }

/* Who asks meanwhile waits at the socket for the next one. */
static void rest(struct control *c) {
    if (c->deployments || c->changes || c->publishing || c->moves || c->backup || c->migrating || c->secret_ops) {
        node_control_tell(c, &NODE_MESSAGE(control_busy));
        return;
    }
    node_api_drain(c->api, on_rested, c);
}

static bool hear_supervisor(struct control *c, struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_control_open:
        c->waits = false;
        listen_to_commands(c);
        return true;
    case NODE_MSG_control_rest: rest(c); return true;
    case NODE_MSG_client: add_client(c, node_message_take(m, 0)); return true;
    case NODE_MSG_admin:
        if (c->admin_fd >= 0) close(c->admin_fd);
        if (c->client_ca_fd >= 0) close(c->client_ca_fd);
        c->admin_fd = node_message_take(m, 0);
        c->client_ca_fd = m->fds_count > 1 ? node_message_take(m, 1) : -1;
        listen_to_commands(c);
        return true;
    case NODE_MSG_compile_done:
        return node_acme_read(c, &m->compile_done) || node_migrate_planned(c, &m->compile_done) ||
               node_deployment_compiled(c, &m->compile_done);
    case NODE_MSG_data_done: return node_data_said(c, &m->data_done);
    case NODE_MSG_sign_done: return on_sign_done(c, &m->sign_done);
    case NODE_MSG_published: return node_change_published(c, &m->published);
    case NODE_MSG_config: take_config(c, m); return true;
    case NODE_MSG_reloaded: node_api_reloaded(c->api, &m->reloaded); return true;
    case NODE_MSG_places: return node_places_hear(c, &m->places);
    case NODE_MSG_isolate: node_places_isolate(c, &m->isolate); return true;
    case NODE_MSG_meters: return node_metrics_add(c, m->meters.slot, node_message_take(m, 0));
    case NODE_MSG_logs_peer: return node_logs_peer(c, node_message_take(m, 0));
    case NODE_MSG_server_ask: node_secrets_server(c, &m->server_ask); return true;
    case NODE_MSG_acme_channel: node_acme_channel(c, node_message_take(m, 0)); return true;
    case NODE_MSG_image_ask: node_images_ask(c, &m->image_ask); return true;
    case NODE_MSG_secret_done: return node_secrets_said(c, &m->secret_done);
    default: return false;
    }
}

static void on_supervisor(void *arg, unsigned events) {
    struct control *c = arg;
    struct node_message m;
    enum node_wire_got got = node_wire_receive(c->wire, NODE_ROLE_supervisor, NODE_ROLE_control, &m);
    if (got == NODE_WIRE_AGAIN) return;
    if (got != NODE_WIRE_GOT || !hear_supervisor(c, &m)) node_control_end(c);
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
}

/* ---- its life ---- */

static err await(struct control *c, enum node_message_type type, struct node_message *m, struct diag *d) {
    if (node_wire_await(c->wire, NODE_ROLE_supervisor, NODE_ROLE_control, m) == NODE_WIRE_GOT && m->type == type) return ERR_OK;
    node_control_end(c);
    return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "the supervisor is gone");
}

static err begin(struct control *c, struct diag *d) {
    struct node_message m;
    if (node_wire_await(c->wire, NODE_ROLE_supervisor, NODE_ROLE_control, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_govern) {
        node_control_end(c);
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
    }
    log_init(STDERR_FILENO, m.govern.log_json, (enum log_level)m.govern.log_min);
    log_to(node_log_send, NULL);
    c->generation = m.govern.generation;
    c->waits = m.govern.waits;
    snprintf(c->url, sizeof c->url, STR_FMT, STR_ARG(m.govern.url));
    struct rd settings = rd_of(m.govern.settings);
    node_settings_read(&settings, &c->limits);
    ENSURE(!settings.fail);
    for (int i = 0; i < NODE_STATE_OF_CONTROL && m.fds_count == NODE_STATE_OF_CONTROL; i++)
        node_state_fds(&c->state)[i] = node_message_take(&m, i);
    node_message_drop(&m);
    TRY(await(c, NODE_MSG_config, &m, d));
    take_config(c, &m);
    node_message_drop(&m);
    TRY(await(c, NODE_MSG_places, &m, d));
    node_places_hear(c, &m.places);
    fcntl(c->wire, F_SETFL, O_NONBLOCK);
    static int held;                                                   /* as long as this process lives */
    if (c->state.db >= 0) TRY(node_state_hold(c->state.db, &held, d)); /* one writer of node.db, whoever is about to go */
    TRY(node_store_enter(c, d));
    TRY(node_sandbox_control(&c->state, d));
    TRY(node_store_open(c, d));
    TRY(node_places_load(c, d));
    node_store_sweep(c);
    node_blobs_load(c);
    TRY(node_tokens_load(c, d));
    TRY(node_certificates_open(c, d));
    node_acme_open(c);
    node_logs_open(c);
    TRY(node_moves_mend(c, d));
    return c->state.records >= 0 ? node_control_publish_all(c, d) : ERR_OK;
}

/* Everything else it does because somebody said something. */
static void listen_to_all(struct control *c) {
    ENSURE(net_watch_new(c->loop, c->wire, NET_READABLE, on_supervisor, c));
    c->governs = true;
    listen_to_commands(c);
}

int node_control_main(void) {
    struct control c = {.wire = NODE_WIRE_FD, .admin_fd = -1, .client_ca_fd = -1, .next_id = 1, .asks_mem = arena_new(0)};
    struct diag d = DIAG_INIT;
    node_state_none(&c.state);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write that may not be is an error */
    c.loop = net_loop_new();
    c.api = node_api_new(&c);
    c.started_ns = clock_mono_ns();
    err e = begin(&c, &d);
    if (!c.done) node_control_tell(&c, &NODE_MESSAGE(governs, .err = e, .text = str_c(d.text)));
    if (e == ERR_OK && !c.done) listen_to_all(&c);
    while (e == ERR_OK && !c.done) net_loop_run(c.loop);
    return e != ERR_OK; /* the system takes back what it holds */
}
