/* post: what the courier is told, and who makes hashes of passwords. That they are there is the affair of roles.c. */
#include "node/migration.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Control's, to ask for certificates. Where there is none, control hears nothing, and asks again. */
static void open_acme_channel(struct supervisor *s) {
    int pair[2];
    s->acme_wanted = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        log_event(LOG_ERROR, "channel-not-made", LF_CSTR("role", "courier"), LF_CSTR("reason", strerror(errno)));
        return;
    }
    struct node_message peer = NODE_MESSAGE(acme_peer), end = NODE_MESSAGE(acme_channel);
    peer.fds[peer.fds_count++] = pair[1], end.fds[end.fds_count++] = pair[0];
    node_roles_tell(s, NODE_ROLE_courier, &peer);
    node_singles_tell(s, &end);
    close(pair[0]), close(pair[1]);
}

bool node_post_begin(struct supervisor *s) {
    const struct setup *setup = s->setup;
    struct log_style log = log_style();
    struct buf headers = {0};
    if (!setup) return false;
    const struct app_mail *relay = &setup->mail.relay;
    for (uint32_t i = 0; i < setup->otlp.headers.n; i++) {
        buf_puts(&headers, setup->otlp.headers.p[i].key), buf_putc(&headers, '\n');
        buf_puts(&headers, setup->otlp.headers.p[i].value), buf_putc(&headers, '\n');
    }
    struct node_message m = NODE_MESSAGE(courier_open, .log_json = log.json, .log_min = (uint8_t)log.min, .host = relay->host,
                                         .port = relay->port, .tls = relay->tls, .user = relay->user, .password = relay->secret,
                                         .from = relay->from, .endpoint = setup->otlp.endpoint, .headers = buf_str(&headers),
                                         .json = setup->otlp.json, .timeout_ms = 10'000);
    int ca = setup->acme_ca.n ? node_bytes_fd("orlo-authorities", setup->acme_ca) : -1;
    m.fds[m.fds_count++] = node_regions_courier(s, true);
    if (ca >= 0) m.fds[m.fds_count++] = ca;
    err e = m.fds[0] >= 0 ? node_wire_send(s->singles[NODE_ROLE_courier].process.wire, &m) : ERR_IO;
    node_supervisor_close(&ca);
    buf_free(&headers);
    if (e == ERR_OK && s->acme_wanted) open_acme_channel(s);
    return e == ERR_OK;
}

void node_post_acme_want(struct supervisor *s) {
    s->acme_wanted = true;
    if (s->singles[NODE_ROLE_courier].process.wire >= 0) open_acme_channel(s);
    else node_roles_want(s, NODE_ROLE_courier);
}

bool node_post_hear(struct supervisor *s, struct node_message *m) {
    if (m->type != NODE_MSG_courier_rests) return false;
    node_roles_rest(s, NODE_ROLE_courier);
    return true;
}

/* Workers see it by their channels. */
void node_post_lose(struct supervisor *s, int status) { (void)node_regions_courier(s, false); }

static bool same_otlp(const struct setup *a, const struct setup *b) {
    bool same =
        str_eq(a->otlp.endpoint, b->otlp.endpoint) && a->otlp.json == b->otlp.json && a->otlp.headers.n == b->otlp.headers.n;
    for (uint32_t i = 0; same && i < a->otlp.headers.n; i++)
        same = str_eq(a->otlp.headers.p[i].key, b->otlp.headers.p[i].key) &&
               str_eq(a->otlp.headers.p[i].value, b->otlp.headers.p[i].value);
    return same;
}

static bool same_mail(const struct setup *a, const struct setup *b) {
    const struct app_mail *x = &a->mail.relay, *y = &b->mail.relay;
    return str_eq(x->host, y->host) && x->port == y->port && x->tls == y->tls && str_eq(x->user, y->user) &&
           str_eq(x->secret, y->secret) && str_eq(x->from, y->from);
}

/* The courier of before knows another collector, or relay: workers find its channel closed, and ask for the next one. */
void node_post_setup(struct supervisor *s, const struct setup *before) {
    bool same = same_otlp(s->setup, before) && same_mail(s->setup, before) && str_eq(s->setup->acme_ca, before->acme_ca);
    if (!same) node_roles_end(s, NODE_ROLE_courier);
}

/* ---- hashes ---- */

bool node_hash_begin(struct supervisor *s) {
    struct log_style log = log_style();
    return node_wire_send(s->singles[NODE_ROLE_hash].process.wire,
                          &NODE_MESSAGE(hash_open, .log_json = log.json, .log_min = (uint8_t)log.min)) == ERR_OK;
}

bool node_hash_hear(struct supervisor *s, struct node_message *m) {
    if (m->type != NODE_MSG_hash_rests) return false;
    node_roles_rest(s, NODE_ROLE_hash);
    return true;
}

void node_hash_lose(struct supervisor *s, int status) {} /* workers see it by their channels, and ask anew */
