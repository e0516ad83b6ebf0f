/* worker: a process that serves requests until it is told to rest.
 *
 *   start, dir … ──> gives up all other rights ──> snapshot, images ──> applied ──> live ──> serves ──> SIGTERM, `rest`, or the
 *   supervisor is gone ──> drains ──> exit 0
 *
 * All that it is, knows and may touch came as messages (wire.def).
 */
#include "net/loop.h"
#include "net/server.h"
#include "app/hops.h"
#include "node/meters.h"
#include "node/pack.h"
#include "node/secrets.h"
#include "node/worker/texts.h"
#include "node/worker/gate.h"
#include "node/worker/apps.h"
#include "node/worker/inbox.h"
#include "node/worker/data.h"
#include "node/worker/hashes.h"
#include "node/worker/mails.h"
#include "node/worker/follow.h"
#include "node/worker/query.h"
#include "node/worker/tls.h"
#include "node/role.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct worker {
    arena *mem;
    struct node_worker_config config;
    struct node_limits limits;
    struct node_rights rights;
    uint32_t opening; /* images */
    struct node_guest guest;
    struct node_apps *apps;
    struct node_handler *handler;
    struct node_inbox *inbox;
    struct node_tls *tls;
    struct node_follow *follow;                /* NULL: another does it */
    struct net_server *servers[NODE_EARS_MAX]; /* by config.ears */
    uint32_t servers_count, drained;
    struct net_watch *wire;
    struct net_timer *alone; /* NULL: it has a supervisor */
    struct said {
        struct said *next;
        struct buf packet;
    } * said; /* to the supervisor, for which its socket had no room; in order */
    bool draining;
};

static void on_drained(void *arg) {
    struct worker *w = arg;
    if (++w->drained == w->servers_count) net_loop_stop(w->guest.loop);
}

/* keep_idle: a client that holds a connection may be about to use it once more; others of this cordon are there for what comes. */
static void drain(struct worker *w, bool keep_idle) {
    if (w->draining) return;
    w->draining = true;
    if (w->follow) node_follow_rest(w->follow);
    node_mails_rest(w->guest.mails);
    uint32_t ms = (uint32_t)MIN(w->limits.drain_ms_max, UINT32_MAX - 1);
    if (!w->servers_count) net_loop_stop(w->guest.loop); /* it was never live */
    node_inbox_drain(w->inbox, keep_idle);
    for (uint32_t i = 0; i < w->servers_count; i++) net_server_drain(w->servers[i], ms, keep_idle, on_drained, w);
}

static void on_signal(void *arg, int signum) { drain(arg, false); }

static uint32_t ms_of(uint64_t ms) { return (uint32_t)MIN(ms, NET_NO_LIMIT); }

/* From here on it is not its own fault alone if it dies. */
static void on_accept(void *arg) { node_pulse->served = 1; }

static err open_servers(struct worker *w, struct diag *d) {
    const struct node_limits *l = &w->limits;
    uint32_t ears = w->config.ears.n;
    for (uint32_t i = 0; i < ears; i++) {
        struct net_server_config config = {
            .loop = w->guest.loop,
            .fd = w->config.ears.p[i].fd,
            .port = w->config.ears.p[i].port,
            .proxied = w->config.ears.p[i].proxied,
            .tls = w->config.ears.p[i].tls ? node_tls_config(w->tls) : NULL,
            .trusted = w->config.trusted.p,
            .trusted_count = w->config.trusted.n,
            .connections_max = ms_of(l->connections_max),
            .header_ms_max = ms_of(l->header_ms_max),
            .body_ms_max = ms_of(l->body_idle_ms_max),
            .idle_ms_max = ms_of(l->idle_ms_max),
            .head_bytes_max = (uint32_t)l->request_head_bytes_max,
            .target_bytes_max = (uint32_t)l->target_bytes_max,
            .fields_max = (uint32_t)l->request_fields_max,
            .handler_ms_max = NET_NO_LIMIT, /* the app's: handler.c */
            .memory_bytes_max = node_connections_memory(l, w->config.workers) / ears,
            .on_accept = on_accept,
            .on_request = node_handler_request,
            .on_refused = node_handler_refused,
            .arg = w->handler,
        };
        TRY(net_server_new(&config, &w->servers[i], d));
        w->servers_count++;
    }
    return ERR_OK;
}

static struct net_server *server_at(void *arg, uint32_t port) {
    const struct worker *w = arg;
    for (uint32_t i = 0; i < w->servers_count; i++)
        if (w->config.ears.p[i].port == port) return w->servers[i];
    return w->servers_count ? w->servers[0] : NULL; /* of a door that is no more */
}

static uint64_t generation_of(void *arg) { return node_apps_generation(((const struct worker *)arg)->apps); }

/* ---- what the supervisor says ---- */

static void forget_said(struct worker *w) {
    struct said *said = w->said;
    w->said = said->next;
    buf_free(&said->packet);
    free(said);
}

static void say_more(struct worker *w) {
    while (w->said && node_wire_send_packet(NODE_WIRE_FD, buf_str(&w->said->packet)) != ERR_AGAIN)
        forget_said(w); /* said, or nobody is there to hear: seen soon */
    if (w->wire) net_watch_events(w->wire, NET_READABLE | (w->said ? NET_WRITABLE : 0));
}

/* What there is no room for waits: an image that is not asked for never comes. */
static void say(struct worker *w, const struct node_message *m) {
    struct said *said = calloc(1, sizeof *said), **at = &w->said;
    ENSURE(said && node_wire_encode(m, &said->packet));
    while (*at) at = &(*at)->next;
    *at = said;
    say_more(w);
}

static void say_applied(void *arg, uint64_t generation, err e, const struct diag *d) {
    say(arg, &NODE_MESSAGE(applied, .generation = generation, .err = e, .offset = d->offset, .text = str_c(d->text)));
}

static void say_want(void *arg, const struct node_part *part) {
    struct node_owner owner = node_part_owner(part);
    struct node_message m = NODE_MESSAGE(image_want, .app = owner.app, .version = owner.version, .revision = owner.revision);
    memcpy(m.image_want.digest, part->digest, APP_DIGEST_BYTES);
    say(arg, &m);
}

static void say_courier_want(void *arg) { say(arg, &NODE_MESSAGE(channel_want, .to = NODE_CHANNEL_courier)); }

static void say_mail_waits(void *arg, uint32_t app) { say(arg, &NODE_MESSAGE(mail_waits, .app = app)); }

static void say_postgres_want(void *arg) { say(arg, &NODE_MESSAGE(channel_want, .to = NODE_CHANNEL_postgres)); }

static void say_hash_want(void *arg) { say(arg, &NODE_MESSAGE(channel_want, .to = NODE_CHANNEL_hash)); }

static bool say_translator_want(void *arg, uint32_t app) {
    say(arg, &NODE_MESSAGE(translator_want, .app = app));
    return true;
}

static void say_keys_want(void *arg) { say(arg, &NODE_MESSAGE(channel_want, .to = NODE_CHANNEL_keys)); }

static void say_data_want(void *arg) { say(arg, &NODE_MESSAGE(channel_want, .to = NODE_CHANNEL_store)); }

static void part_changed(void *arg, struct node_part *part) { node_handler_part_changed(((struct worker *)arg)->handler, part); }

static void prepare(struct worker *w, struct node_message *m) {
    struct diag d = DIAG_INIT;
    struct node_snapshot *s;
    err e = node_snapshot_map(m->fds[0], &s, &d);
    if (e != ERR_OK) say_applied(w, m->snapshot.generation, e, &d);
    else node_apps_prepare(w->apps, s, m->snapshot.proven);
}

/* The first time it also begins to accept. */
static void go_live(struct worker *w, uint64_t generation) {
    struct diag d = DIAG_INIT;
    if (!node_apps_live(w->apps, generation)) return;
    err e = w->servers_count ? ERR_OK : open_servers(w, &d);
    if (e != ERR_OK) log_event(LOG_ERROR, "worker-failed", LF_U64("worker", w->config.index), LF_CSTR("reason", d.text));
    if (!w->draining) node_inbox_live(w->inbox);
    if (w->follow) node_follow_live(w->follow);
    node_mails_live(w->guest.mails);
    say(w, &NODE_MESSAGE(serves, .generation = generation));
}

/* Others serve what comes from now on: on connections that it holds, too. */
static void go_to_rest(struct worker *w) {
    node_handler_rest(w->handler);
    drain(w, true);
    say(w, &NODE_MESSAGE(rests));
}

/* An image that has come: its signature is over all of it, so a thread looks at it while the loop goes on. */
struct opening {
    struct worker *worker;
    uint8_t digest[APP_DIGEST_BYTES];
    struct node_owner owner;
    struct node_image image;
    bool is_pack; /* of static files */
    char why[800];
};

static void open_image(void *arg) {
    struct opening *o = arg;
    struct diag d = DIAG_INIT;
    if (o->is_pack) {
        int fd = o->image.fd;
        o->image.fd = -1;
        if (node_pack_open(fd, o->digest, &o->image.pack, &d) != ERR_OK) snprintf(o->why, sizeof o->why, "%s", d.text);
        return;
    }
    if (node_image_open(&o->image, &d) != ERR_OK) o->image.opened = (struct abi_image){.fd = -1}; /* who loads it hears why */
}

static void image_opened(void *arg, bool ran) {
    struct opening *o = arg;
    o->worker->opening--;
    if (o->is_pack && !o->image.pack) node_apps_image(o->worker->apps, o->digest, &o->owner, NULL, str_c(o->why));
    else node_apps_image(o->worker->apps, o->digest, &o->owner, &o->image, STR(""));
    node_image_close(&o->image);
    free(o);
}

/* False: they are not there whole. */
static bool take_secrets(struct node_image *image, int fd) {
    struct stat st;
    uint8_t *p = fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= NODE_SECRETS_FILE_MAX ? malloc((size_t)st.st_size) : NULL;
    ssize_t n = p ? pread(fd, p, (size_t)st.st_size, 0) : -1;
    image->secrets = (str){p, n > 0 ? (size_t)n : 0};
    return n == st.st_size;
}

static void image_came(struct worker *w, struct node_message *m) {
    struct node_owner owner = {m->image.app, m->image.version, m->image.revision};
    if (m->image.err != ERR_OK || !m->fds_count) {
        node_apps_image(w->apps, m->image.digest, &owner, NULL, m->image.text.n ? m->image.text : STR("there is no image"));
        return;
    }
    struct opening *o = calloc(1, sizeof *o);
    ENSURE(o);
    o->worker = w;
    o->owner = owner;
    if (m->fds_count == 2 && !take_secrets(&o->image, m->fds[1]))
        log_event(LOG_ERROR, "secrets-not-read", LF_U64("app", owner.app));
    o->image.fd = node_message_take(m, 0);
    memcpy(o->image.key.bytes, m->image.key, sizeof o->image.key.bytes);
    memcpy(o->digest, m->image.digest, APP_DIGEST_BYTES);
    o->is_pack = node_apps_want_pack(w->apps, o->digest);
    w->opening++;
    net_work_new(w->guest.loop, NULL, open_image, image_opened, o);
}

/* Whoever uses a channel takes its end. */
static bool channel_came(struct worker *w, struct node_message *m) {
    switch (m->channel.to) {
    case NODE_CHANNEL_postgres: node_data_channel(w->guest.postgres, node_message_take(m, 0)); return true;
    case NODE_CHANNEL_store: node_data_channel(w->guest.data, node_message_take(m, 0)); return true;
    case NODE_CHANNEL_keys: node_hashes_channel(w->guest.signers, node_message_take(m, 0)); return true;
    case NODE_CHANNEL_hash: node_hashes_channel(w->guest.hashes, node_message_take(m, 0)); return true;
    case NODE_CHANNEL_courier:
        if (w->guest.tracer) node_tracer_channel(w->guest.tracer, fcntl(m->fds[0], F_DUPFD_CLOEXEC, 0));
        node_mails_channel(w->guest.mails, node_message_take(m, 0));
        return true;
    case NODE_CHANNEL_logs: node_applog_channel(w->guest.applog, node_message_take(m, 0)); return true;
    default: return false;
    }
}

/* False: the supervisor is gone, or not ours. */
static bool hear(struct worker *w, struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_snapshot: prepare(w, m); return true;
    case NODE_MSG_live: go_live(w, m->live.generation); return true;
    case NODE_MSG_image: image_came(w, m); return true;
    case NODE_MSG_channel: return channel_came(w, m);
    case NODE_MSG_rest: go_to_rest(w); return true;
    case NODE_MSG_certificates:
        node_tls_take(w->tls, node_message_take(m, 0), node_message_take(m, 1), m->certificates.tls13_alone);
        return true;
    case NODE_MSG_translator:
        node_texts_channel(w->guest.texts, m->translator.app, m->fds_count ? node_message_take(m, 0) : -1);
        return true;
    case NODE_MSG_news:
        if (w->follow) node_follow_news(w->follow, m->news.app);
        return true;
    case NODE_MSG_proofs: node_handler_proofs(w->handler, m->proofs.table); return true;
    case NODE_MSG_mail_news: node_mails_wait(w->guest.mails, m->mail_news.app); return true;
    case NODE_MSG_inbox:
        node_inbox_set(w->inbox, m->inbox.cordon, m->inbox.own, m->fds_count ? node_message_take(m, 0) : -1);
        return true;
    default: return false;
    }
}

/* What only a supervisor could have brought does not come any more: who waits for it is answered, before the drain's end cuts him off. */
static void on_alone(void *arg) { node_apps_alone(((struct worker *)arg)->apps); }

static void be_alone(struct worker *w) {
    enum { LOOK_MS = 200 };
    node_data_alone(w->guest.data);
    node_data_alone(w->guest.postgres);
    node_hashes_alone(w->guest.hashes);
    node_hashes_alone(w->guest.signers);
    w->alone = net_timer_new(w->guest.loop, on_alone, w);
    net_timer_start(w->alone, LOOK_MS, LOOK_MS);
}

static void on_wire(void *arg, unsigned events) {
    struct worker *w = arg;
    struct node_message m;
    if (events & NET_WRITABLE) say_more(w);
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_worker, &m);
    if (got == NODE_WIRE_AGAIN) return;
    bool ok = got == NODE_WIRE_GOT && hear(w, &m);
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
    if (ok) return;
    net_watch_free(w->wire);
    w->wire = NULL;
    be_alone(w);
    drain(w, false);
}

/* ---- its beginning ---- */

static bool await(struct node_message *m, enum node_message_type type) {
    return node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_worker, m) == NODE_WIRE_GOT && m->type == type;
}

static err started(struct worker *w, struct node_message *m, struct diag *d) {
    log_init(STDERR_FILENO, m->start.log_json, (enum log_level)m->start.log_min);
    log_to(node_log_send, NULL);
    w->rights.network = m->start.network;
    w->rights.any_port_out = m->start.any_port_out;
    ENSURE(node_rights_set_ports(&w->rights, m->start.ports));
    struct rd settings = rd_of(m->start.settings);
    node_settings_read(&settings, &w->limits);
    ENSURE(!settings.fail);
    w->config = (struct node_worker_config){.limits = &w->limits,
                                            .access_log = m->start.access_log,
                                            .dev = m->start.dev,
                                            .traces = m->start.traces,
                                            .sample_ppm = m->start.sample_ppm,
                                            .logs_alone = m->start.logs_alone,
                                            .index = m->start.index,
                                            .workers = m->start.workers};
    app_hops_key(m->start.hops_key);
    for (str t = m->start.trusted; t.n >= 17; t = str_sub(t, 17, t.n)) {
        struct net_prefix *p = vec_add(w->mem, &w->config.trusted);
        bool v6 = t.p[16] <= 128;
        *p = (struct net_prefix){.prefix.v6 = v6, .bits = v6 ? t.p[16] : (uint8_t)MIN(t.p[16] - 129, 32)};
        memcpy(p->prefix.ip, t.p, 16);
    }
    w->config.cordon = m->start.cordon;
    w->config.follows = m->start.follows;
    w->guest.relay_hour = m->start.relay_hour;
    w->config.shown = str_c(arena_cstr(w->mem, m->start.shown));
    err e = node_pulse_map(m->fds[0], d);
    if (e == ERR_OK) e = node_meters_map(m->fds[1], d);
    if (e == ERR_OK) e = node_rates_map(m->fds[2], d);
    node_message_drop(m);
    return e;
}

static err closed(struct diag *d) { return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "the supervisor is gone"); }

static err take_ears(struct worker *w, uint32_t count, struct diag *d) {
    struct node_message m;
    if (count > NODE_EARS_MAX) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it has %u sockets to listen at", count);
    for (uint32_t i = 0; i < count; i++) {
        if (!await(&m, NODE_MSG_ear)) return closed(d);
        struct node_ear ear = {m.fds_count ? node_message_take(&m, 0) : -1, (uint16_t)m.ear.port, m.ear.proxied, m.ear.tls};
        vec_push(w->mem, &w->config.ears, ear);
    }
    return ERR_OK;
}

static err take_folders(struct worker *w, uint32_t count, struct diag *d) {
    struct node_message m;
    for (uint32_t i = 0; i < count; i++) {
        if (!await(&m, NODE_MSG_dir)) return closed(d);
        struct node_folder folder = {arena_str(w->mem, m.dir.path), node_message_take(&m, 0), m.dir.write};
        vec_push(w->mem, &w->guest.folders, folder);
    }
    return ERR_OK;
}

static err open_worker(struct worker *w, struct diag *d) {
    const struct node_worker_config *c = &w->config;
    int keep[NODE_EARS_MAX + 1], n = 0;
    for (uint32_t i = 0; i < c->ears.n; i++)
        if (c->ears.p[i].fd >= 0) keep[n++] = c->ears.p[i].fd;
    keep[n++] = NODE_WIRE_FD;
    struct node_guest_config guest = {
        .rights = &w->rights, .limits = &w->limits, .workers = c->workers, .keep = keep, .keep_count = (size_t)n};
    TRY(node_guest_open(&w->guest, &guest, d));
    net_loop_beat(w->guest.loop, &node_pulse->beats);
    w->guest.data = node_data_new(w->guest.loop, NODE_DATA_TO_STORE, say_data_want, w);
    w->guest.postgres = node_data_new(w->guest.loop, NODE_DATA_TO_POSTGRES, say_postgres_want, w);
    w->guest.hashes = node_hashes_new(w->guest.loop, false, say_hash_want, w);
    w->guest.signers = node_hashes_new(w->guest.loop, true, say_keys_want, w);
    w->guest.readers = node_readers_new(&w->guest);
    w->guest.texts = node_texts_new(w->guest.engine, w->guest.loop, say_translator_want, w);
    w->apps = node_apps_new(
        &(struct node_apps_config){&w->guest, c->cordon, w->limits.app_idle_ms, say_want, say_applied, part_changed, w});
    w->guest.mails = node_mails_new(&(struct node_mails_config){.guest = &w->guest,
                                                                .apps = w->apps,
                                                                .cordon = c->cordon,
                                                                .relay_hour = w->guest.relay_hour,
                                                                .ms_max = w->limits.mail_ms_max,
                                                                .sends = c->follows,
                                                                .catches = c->dev,
                                                                .want = say_courier_want,
                                                                .waits = say_mail_waits,
                                                                .arg = w});
    node_applog_new(&w->guest, c->logs_alone);
    if (c->traces) node_tracer_new(&w->guest, c->sample_ppm, say_courier_want, w);
    node_sample_new(&w->guest, w->servers, &w->servers_count);
    w->handler = node_handler_new(&w->guest, w->apps, &w->limits, c->access_log, c->dev);
    node_handler_trust(w->handler, c->trusted.p, c->trusted.n);
    w->guest.under_way.max *= MAX(c->ears.n, 1u); /* each has its own connections */
    w->inbox = node_inbox_new(&(struct node_inbox_config){w->guest.loop, c->cordon, generation_of, server_at, w});
    node_handler_use_inbox(w->handler, w->inbox, c->cordon);
    w->tls = node_tls_new(&(struct node_tls_options){w->guest.signers, w->apps, w->inbox, c->cordon});
    if (c->follows) w->follow = node_follow_new(&w->guest, w->apps, w->handler);
    net_loop_on_signal(w->guest.loop, SIGTERM, on_signal, w);
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    w->wire = net_watch_new(w->guest.loop, NODE_WIRE_FD, NET_READABLE, on_wire, w);
    if (w->guest.tracer) node_tracer_flush(w->guest.tracer); /* which asks for a courier */
    return ERR_OK;
}

static err begin(struct worker *w, struct diag *d) {
    struct node_message m;
    if (!await(&m, NODE_MSG_start)) return closed(d);
    uint32_t ears = m.start.ears, folders = m.start.dirs;
    TRY(started(w, &m, d));
    TRY(take_ears(w, ears, d));
    TRY(take_folders(w, folders, d));
    return open_worker(w, d);
}

/* ---- its life ---- */

const char *node_kind_text(uint32_t wasi_kind) { return wasi_kind_text((enum wasi_kind)wasi_kind); }
bool node_kind_is_service(uint32_t wasi_kind) { return wasi_kind == WASI_P3_HTTP; }

int node_worker_main(void) {
    base_heap_tune();
    arena_keep();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    node_pulse_signals();
    static struct worker w;
    struct diag d = DIAG_INIT;
    w.mem = arena_new(0);
    err e = begin(&w, &d);
    if (e != ERR_OK) {
        diag_set(&d, e, DIAG_NOWHERE, "%s", err_text(e));
        say_applied(&w, 0, e, &d);
        return 1;
    }
    net_loop_run(w.guest.loop);
    log_hold(false);
    node_applog_flush(w.guest.applog);
    if (node_handler_busy(w.handler) || w.opening) return 0; /* cut off: the system takes back what they hold */
    node_sample_take(w.guest.sample);
    node_sample_free(w.guest.sample);
    node_follow_free(w.follow);
    node_mails_free(w.guest.mails);
    node_inbox_free(w.inbox);
    for (uint32_t i = 0; i < w.servers_count; i++) net_server_free(w.servers[i]);
    node_tls_free(w.tls);
    if (w.wire) net_watch_free(w.wire);
    if (w.alone) net_timer_free(w.alone);
    while (w.said) forget_said(&w);
    node_handler_end(w.handler);
    node_apps_free(w.apps);
    node_tracer_free(w.guest.tracer);
    node_guest_close(&w.guest);
    node_applog_free(w.guest.applog);
    node_handler_free(w.handler); /* what went on after a response referred to the request */
    arena_free(w.mem);
    return 0;
}
