/* singles: what control and keys say and are told, and the jobs that control wants. That they are there is the affair of roles.c.
 *
 *   control ──compile_want──> a job            ──compile_done──> control    started with the node, and anew whenever it dies
 *           ──sign_want────> keys ──signature──> ──sign_done──>             started when it is asked, ended when it is idle
 *           <──image_ask──── a worker's image_want
 *
 * 1. Who asked is told, whatever becomes of who was asked: what keys had not answered when it died is refused, what control had not is
 *    asked again once it governs again.
 * 2. keys gets digests by message from here alone, and what it says goes to control.
 */
#include "node/meters.h"
#include "node/supervisor/supervisor_int.h"
#include "node/state.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t second_ns = 1'000'000'000u;

/* ---- keys ---- */

static void wait_for_idle_keys(struct supervisor *s) {
    s->keys_idle_at_ns = clock_mono_ns() + node_role_idle_s(NODE_ROLE_keys) * second_ns;
}

static void forget_key_ask(struct supervisor *s, uint32_t i) {
    s->key_asks[i] = s->key_asks[--s->key_asks_count];
    if (!s->key_asks_count) wait_for_idle_keys(s);
}

static void give_secrets(struct supervisor *s, uint32_t id, err e, str text);

static void refuse_key_ask(struct supervisor *s, uint32_t i, err e, str why) {
    struct key_ask ask = s->key_asks[i];
    forget_key_ask(s, i);
    if (ask.what == UNSEALS) give_secrets(s, ask.id, e, why);
    else if (ask.what == SEALS) node_singles_tell(s, &NODE_MESSAGE(secret_done, .id = ask.id, .err = e, .text = why));
    else node_singles_tell(s, &NODE_MESSAGE(sign_done, .id = ask.id, .err = e, .text = why));
}

static void refuse_key_asks(struct supervisor *s, err e, str why) {
    while (s->key_asks_count) refuse_key_ask(s, 0, e, why);
}

static void give_key(struct supervisor *s, uint32_t i, const uint8_t *signature) {
    struct node_message m = NODE_MESSAGE(sign_done, .id = s->key_asks[i].id, .err = ERR_OK);
    memcpy(m.sign_done.public, s->key.bytes, sizeof s->key.bytes);
    if (signature) memcpy(m.sign_done.signature, signature, sizeof m.sign_done.signature);
    node_singles_tell(s, &m);
    forget_key_ask(s, i);
}

/* Those who asked for the public half alone. */
static void give_public(struct supervisor *s) {
    for (uint32_t i = s->key_asks_count; i-- > 0;)
        if (s->key_opened && s->key_asks[i].what == SAYS_PUBLIC) give_key(s, i, NULL);
}

/* It holds nothing that is not kept elsewhere, so it is ended like that. Nobody waits for it to be gone. */
static void end_keys(struct supervisor *s) {
    node_roles_end(s, NODE_ROLE_keys);
    s->key_opened = false;
}

/* The operator's, or what systemd hands over; empty: the state folder's own. */
str node_singles_seal_file(const struct supervisor *s, arena *scratch) {
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    if (s->config->key_file) return str_c(s->config->key_file);
    str path = credentials && *credentials == '/' ? arena_fmt(scratch, "%s/orlo-seal-key", credentials) : (str){0};
    return path.n && access((const char *)path.p, F_OK) == 0 ? path : (str){0};
}

bool node_singles_begin_keys(struct supervisor *s) {
    arena *scratch = arena_new(0);
    struct node_message m = NODE_MESSAGE(open_key, .make = s->key_made);
    if (s->key_kept) m.open_key.folder = node_state_folder(scratch, s->config->state_dir);
    m.open_key.seal_file = node_singles_seal_file(s, scratch);
    s->key_opened = false;
    wait_for_idle_keys(s); /* a worker may be who wants it */
    err e = node_wire_send(s->singles[NODE_ROLE_keys].process.wire, &m);
    arena_free(scratch);
    return e == ERR_OK;
}

void node_singles_lose_keys(struct supervisor *s, int status) {
    s->key_opened = false;
    refuse_key_asks(s, ERR_IO, STR("the process that holds the node's keys died"));
}

/* One that has closed its wire is about to end. */
static bool have_keys(struct supervisor *s) {
    const struct single *keys = &s->singles[NODE_ROLE_keys];
    if (keys->process.pid > 0 && keys->process.wire < 0) {
        end_keys(s);
        node_singles_lose_keys(s, 0);
    }
    return node_roles_start(s, NODE_ROLE_keys);
}

/* False: it asks more than it may. m NULL: the public half alone. */
static bool ask_keys(struct supervisor *s, uint32_t id, int what, const struct node_message *m) {
    if (s->key_asks_count == KEYS_ASKS_MAX) return false;
    bool there = have_keys(s);
    s->key_asks[s->key_asks_count++] = (struct key_ask){id, what};
    err e = there ? ERR_OK : ERR_IO;
    if (there && m) e = node_wire_send(s->singles[NODE_ROLE_keys].process.wire, m);
    if (e != ERR_OK) refuse_key_asks(s, ERR_IO, STR("there is no process that holds the node's keys"));
    return true;
}

bool node_singles_tell_keys(struct supervisor *s, const struct node_message *m) {
    bool told = have_keys(s) && node_wire_send(s->singles[NODE_ROLE_keys].process.wire, m) == ERR_OK;
    if (told) wait_for_idle_keys(s);
    return told;
}

static bool on_sign_want(struct supervisor *s, const struct node_msg_sign_want *m) {
    struct node_message ask = NODE_MESSAGE(sign, .id = m->id);
    memcpy(ask.sign.purpose, m->purpose, sizeof ask.sign.purpose);
    memcpy(ask.sign.digest, m->digest, sizeof ask.sign.digest);
    if (!ask_keys(s, m->id, m->public_alone ? SAYS_PUBLIC : SIGNS, m->public_alone ? NULL : &ask)) return false;
    give_public(s);
    return true;
}

static bool on_secret_want(struct supervisor *s, const struct node_msg_secret_want *m) {
    struct node_message ask = NODE_MESSAGE(secret, .id = m->id, .does = m->does, .app = m->app, .key = m->key, .value = m->value,
                                           .message = m->message);
    return ask_keys(s, m->id, SEALS, &ask);
}

static uint32_t key_ask_of(const struct supervisor *s, uint32_t id, int what) {
    uint32_t i = 0;
    while (i < s->key_asks_count && !(s->key_asks[i].id == id && (int)s->key_asks[i].what == what)) i++;
    return i;
}

static bool on_secret_said(struct supervisor *s, const struct node_msg_secret_said *m) {
    uint32_t i = key_ask_of(s, m->id, SEALS);
    if (i == s->key_asks_count || !s->key_opened) return false;
    forget_key_ask(s, i);
    node_singles_tell(s, &NODE_MESSAGE(secret_done, .id = m->id, .err = m->err, .text = m->text, .value = m->value));
    return true;
}

static bool on_unsealed(struct supervisor *s, const struct node_msg_unsealed *m) {
    uint32_t i = key_ask_of(s, m->id, UNSEALS);
    if (i == s->key_asks_count || !s->key_opened) return false;
    forget_key_ask(s, i);
    give_secrets(s, m->id, m->err, m->text);
    return true;
}

static bool on_key(struct supervisor *s, const struct node_msg_key *m) {
    if (s->key_opened) return false;
    if (m->err != ERR_OK) { /* it ends now */
        refuse_key_asks(s, m->err, m->text);
        return true;
    }
    memcpy(s->key.bytes, m->public, sizeof s->key.bytes);
    s->key_opened = true;
    give_public(s);
    return true;
}

static bool on_signature(struct supervisor *s, const struct node_msg_signature *m) {
    uint32_t i = key_ask_of(s, m->id, SIGNS);
    if (i == s->key_asks_count || !s->key_opened) return false;
    give_key(s, i, m->signature);
    return true;
}

bool node_singles_hear_keys(struct supervisor *s, struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_key: return on_key(s, &m->key);
    case NODE_MSG_signature: return on_signature(s, &m->signature);
    case NODE_MSG_secret_said: return on_secret_said(s, &m->secret_said);
    case NODE_MSG_unsealed: return on_unsealed(s, &m->unsealed);
    case NODE_MSG_keys_used: wait_for_idle_keys(s); return s->key_opened;
    default: return false;
    }
}

void node_singles_use_key(struct supervisor *s, bool kept, bool made) {
    if (s->key_kept != kept || s->key_made != made) end_keys(s);
    s->key_kept = kept;
    s->key_made = made;
}

/* ---- jobs that control wants ---- */

struct wanted {
    struct wanted *next;
    struct supervisor *supervisor;
    struct node_job *job;
    uint32_t id;
    int in, out;
    uint64_t since_ns;
    bool is_text; /* no image comes out */
};

static void forget_wanted(struct wanted *w) {
    struct wanted **at = &w->supervisor->wanted;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    close(w->in), close(w->out);
    free(w);
}

static void on_compiled(void *arg, const struct node_job_result *r) {
    struct wanted *w = arg;
    if (!w->is_text) {
        node_meter_inc(r->err == ERR_OK ? &node_meters->node.compiles : &node_meters->node.compiles_failed);
        node_meter_time(&node_meters->node.compile_duration, clock_mono_ns() - w->since_ns);
    }
    if (r->err == ERR_OK && !w->is_text)
        log_event(LOG_DEBUG, "image-ready", LF_U64("ms", (clock_mono_ns() - w->since_ns) / 1000000u));
    node_singles_tell(w->supervisor, &NODE_MESSAGE(compile_done, .id = w->id, .err = r->err, .offset = r->diag.offset,
                                                   .text = str_c(r->diag.text), .kind = r->kind));
    forget_wanted(w);
}

static struct wanted *new_wanted(struct supervisor *s, struct node_message *m, uint32_t id) {
    struct wanted *w = malloc(sizeof *w);
    ENSURE(w);
    *w = (struct wanted){s->wanted, s, NULL, id, node_message_take(m, 0), node_message_take(m, 1), clock_mono_ns(), false};
    s->wanted = w;
    return w;
}

/* Or who asked is told that too many wait. */
static void begin_wanted(struct wanted *w, struct node_job_config *config) {
    config->in = w->in, config->out = w->out, config->done = on_compiled, config->arg = w;
    w->job = node_jobs_add(&w->supervisor->jobs, config);
    if (w->job) return;
    struct node_job_result full = {.diag = DIAG_INIT};
    full.err = diag_set(&full.diag, ERR_BUSY, DIAG_NOWHERE, "%d files wait to be compiled, as many as may; try again later",
                        NODE_JOBS_WAITING_MAX);
    on_compiled(w, &full);
}

static void on_compile_want(struct supervisor *s, struct node_message *m) {
    const struct node_msg_compile_want *want = &m->compile_want;
    struct wanted *w = new_wanted(s, m, want->id);
    struct node_message what = NODE_MESSAGE(compile, .bytes = want->bytes, .memory_bytes_max = want->memory_bytes_max,
                                            .image_bytes_max = s->setup->limits.image_bytes_max);
    if (want->is_image) {
        what = NODE_MESSAGE(look);
        memcpy(what.look.key, want->key, sizeof what.look.key);
    }
    char title[256];
    snprintf(title, sizeof title, STR_FMT, STR_ARG(want->title));
    struct node_job_config config = {.what = &what,
                                     .memory_bytes_max = s->setup->limits.compile_memory_bytes_max,
                                     .file_bytes_max = s->setup->limits.image_bytes_max,
                                     .cpu_s_max = (s->setup->limits.compile_ms_max + 999) / 1000,
                                     .title = title};
    if (!want->is_image) (void)have_keys(s); /* by the time it is asked, it is there */
    begin_wanted(w, &config);
}

static void on_manifest_want(struct supervisor *s, struct node_message *m) {
    const struct node_msg_manifest_want *want = &m->manifest_want;
    struct wanted *w = new_wanted(s, m, want->id);
    struct node_message what = NODE_MESSAGE(manifest, .format = want->format, .name = want->name, .bytes = want->bytes);
    struct node_job_config config = {.what = &what, .title = "reading the manifest"};
    w->is_text = true;
    node_manifest_limits(&config);
    begin_wanted(w, &config);
}

static void on_migrate_want(struct supervisor *s, struct node_message *m) {
    const struct node_msg_migrate_want *want = &m->migrate_want;
    struct wanted *w = new_wanted(s, m, want->id);
    struct node_message what = NODE_MESSAGE(migrate, .bytes = want->bytes);
    char title[128];
    snprintf(title, sizeof title, "reading the migrations of " STR_FMT, STR_ARG(want->app));
    struct node_job_config config = {.what = &what, .title = title};
    w->is_text = true;
    node_migrate_limits(&config);
    begin_wanted(w, &config);
}

static void on_chain_want(struct supervisor *s, struct node_message *m) {
    const struct node_msg_chain_want *want = &m->chain_want;
    struct wanted *w = new_wanted(s, m, want->id);
    struct node_message what = NODE_MESSAGE(chain, .host = want->host, .request = want->request, .bytes = want->bytes);
    struct node_job_config config = {.what = &what, .title = "reading a certificate"};
    w->is_text = true;
    node_chain_limits(&config);
    begin_wanted(w, &config);
}

static void cancel_wanted(struct supervisor *s, const uint32_t *id) {
    for (struct wanted *w = s->wanted, *next; w; w = next) {
        next = w->next;
        if (id && w->id != *id) continue;
        node_jobs_cancel(&s->jobs, w->job);
        forget_wanted(w);
    }
}

/* ---- images that workers want ---- */

static struct image_ask *ask_of(struct supervisor *s, uint32_t id) {
    for (struct image_ask *ask = s->asks; ask < s->asks + ASKS_MAX; ask++)
        if (ask->id == id) return ask;
    return NULL;
}

/* So many at a time: control's socket holds them, and who is behind has had his asks answered before. */
enum { ASKS_SENT_MAX = 64 };

static void send_asks(struct supervisor *s) {
    for (struct image_ask *ask = s->asks; s->governs && s->asks_sent < ASKS_SENT_MAX && ask < s->asks + ASKS_MAX; ask++) {
        if (!ask->id || ask->sent) continue;
        struct node_message m = NODE_MESSAGE(image_ask, .id = ask->id, .app = ask->app, .version = ask->version);
        memcpy(m.image_ask.digest, ask->digest, sizeof ask->digest);
        ask->sent = true;
        s->asks_sent++;
        node_singles_tell(s, &m);
    }
}

static void close_ask(struct image_ask *ask) {
    if (ask->image >= 0) close(ask->image);
    if (ask->secrets >= 0) close(ask->secrets);
    ask->image = ask->secrets = -1;
}

/* False: it has no room for more, now. */
static bool give_image(struct supervisor *s, const struct image_ask *ask, err e, str why) {
    struct proc *p = s->procs;
    struct node_message give =
        NODE_MESSAGE(image, .err = e, .text = why, .app = ask->app, .version = ask->version, .revision = ask->revision);
    memcpy(give.image.digest, ask->digest, sizeof give.image.digest);
    memcpy(give.image.key, ask->key, sizeof give.image.key);
    if (e == ERR_OK && ask->image >= 0) give.fds[give.fds_count++] = ask->image;
    if (give.fds_count && ask->secrets >= 0) give.fds[give.fds_count++] = ask->secrets;
    if (ask->lent) return node_takeover_image(s, ask->lent, &give) != ERR_AGAIN;
    while (p && p->process.pid != ask->pid) p = p->next;
    if (!p || p->process.wire < 0) return true; /* it has died meanwhile */
    e = node_wire_send(p->process.wire, &give);
    if (e != ERR_OK && e != ERR_AGAIN) node_process_signal(&p->process, SIGKILL);
    return e != ERR_AGAIN;
}

static void give(struct supervisor *s, struct image_ask *ask, err e, str why) {
    bool done = give_image(s, ask, e, why);
    close_ask(ask);
    if (done) ask->id = 0;
    else ask->sent = false, s->asks_at_ns = clock_mono_ns() + second_ns / 10;
    if (done) send_asks(s);
}

static void image_want(struct supervisor *s, pid_t pid, uint32_t lent, const struct node_msg_image_want *m) {
    struct image_ask *ask = ask_of(s, 0), now = {.id = s->last_ask = s->last_ask % (UINT32_MAX - 1) + 1,
                                                 .pid = pid,
                                                 .lent = lent,
                                                 .app = m->app,
                                                 .version = m->version,
                                                 .revision = m->revision,
                                                 .image = -1,
                                                 .secrets = -1};
    memcpy(now.digest, m->digest, sizeof now.digest);
    if (!ask) {
        if (!give_image(s, &now, ERR_BUSY, STR("too many images are asked for at once")) && pid > 0)
            kill(pid, SIGKILL); /* it asks, and does not listen */
        return;
    }
    *ask = now;
    send_asks(s);
}

void node_singles_image_want(struct supervisor *s, struct proc *p, const struct node_msg_image_want *m) {
    if (!node_upgrade_image(s, p, m)) image_want(s, p->process.pid, 0, m);
}

void node_singles_image_lent(struct supervisor *s, uint32_t id, const struct node_msg_image_want *m) { image_want(s, 0, id, m); }

void node_singles_forget_asks(struct supervisor *s, pid_t pid) {
    for (struct image_ask *ask = s->asks; ask < s->asks + ASKS_MAX; ask++) {
        if (!ask->id || ask->pid != pid) continue;
        close_ask(ask);
        ask->id = 0;
    }
}

/* What keys has written for the worker, or why it could not. */
static void give_secrets(struct supervisor *s, uint32_t id, err e, str text) {
    struct image_ask *ask = ask_of(s, id);
    if (node_servers_unsealed(s, id, e, text)) return;
    if (!ask || ask->secrets < 0) return;
    if (e == ERR_OK && fcntl(ask->secrets, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) e = ERR_IO;
    give(s, ask, e, e != ERR_OK && !text.n ? STR("the app's secrets cannot be opened") : text);
}

bool node_singles_unseal(struct supervisor *s, uint32_t id, uint32_t app, int sealed, int opened) {
    struct node_message open = NODE_MESSAGE(unseal, .id = id, .app = app);
    open.fds[0] = sealed, open.fds[1] = opened, open.fds_count = 2;
    return ask_keys(s, id, UNSEALS, &open);
}

static void unseal(struct supervisor *s, struct image_ask *ask, struct node_message *m) {
    ask->image = node_message_take(m, 0);
    ask->secrets = memfd_create("orlo-secrets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ask->secrets < 0) give(s, ask, ERR_IO, STR("no memory file for the app's secrets"));
    else if (!node_singles_unseal(s, ask->id, ask->app, m->fds[1], ask->secrets))
        give_secrets(s, ask->id, ERR_BUSY, STR("too many secrets are asked for at once"));
}

static bool on_image_give(struct supervisor *s, struct node_message *m) {
    const struct node_msg_image_give *g = &m->image_give;
    struct image_ask *ask = g->id ? ask_of(s, g->id) : NULL;
    if ((g->err == ERR_OK) != (m->fds_count > 0) || !s->asks_sent) return false;
    if (m->fds_count == 2 && ask && g->app != ask->app) return false;
    s->asks_sent--;
    if (!ask) send_asks(s);
    if (!ask || ask->image >= 0) return true; /* asked again after control died, and answered twice */
    memcpy(ask->key, g->key, sizeof ask->key);
    if (m->fds_count == 2) {
        unseal(s, ask, m);
        return true;
    }
    if (m->fds_count) ask->image = node_message_take(m, 0);
    give(s, ask, g->err, g->text);
    return true;
}

/* ---- control ---- */

void node_singles_tell(struct supervisor *s, const struct node_message *m) { node_roles_tell(s, NODE_ROLE_control, m); }

bool node_singles_begin_control(struct supervisor *s) {
    struct log_style log = log_style();
    struct buf settings = {0};
    int pair[2];
    s->governs = false;
    node_settings_write(&settings, &s->setup->limits);
    struct node_message m =
        NODE_MESSAGE(govern, .log_json = log.json, .log_min = (uint8_t)log.min, .settings = buf_str(&settings),
                     .generation = MAX(s->now.generation, s->generation_before), .waits = node_takeover_waits(s),
                     .url = str_sub(s->setup->url, 0, 256));
    for (int i = 0; i < NODE_STATE_OF_CONTROL && s->state.lock >= 0; i++) m.fds[m.fds_count++] = node_state_fds(&s->state)[i];
    node_singles_tell(s, &m);
    buf_free(&settings);
    node_config_tell(s, s->setup);
    node_cordons_tell_control(s, s->setup, 0);
    node_regions_tell(s);
    node_admin_tell(s);
    if (!s->config->file || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return true;
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    m = NODE_MESSAGE(client);
    m.fds[m.fds_count++] = pair[1];
    node_singles_tell(s, &m);
    close(pair[1]);
    s->client_fd = pair[0];
    node_serve_deploy(s);
    return true;
}

static void on_governs(struct supervisor *s, const struct node_msg_governs *m) {
    struct diag d = DIAG_INIT;
    s->governs = node_diag_of(&d, m->err, DIAG_NOWHERE, m->text) == ERR_OK;
    if (!s->governs && !s->now.generation) node_supervisor_fail(s, m->err, &d);
    else if (!s->governs) log_event(LOG_ERROR, "control-failed", LF_CSTR("reason", d.text));
    s->asks_sent = 0;
    for (struct image_ask *ask = s->asks; ask < s->asks + ASKS_MAX; ask++)
        if (ask->id && ask->image < 0) ask->sent = false; /* others wait for keys */
    send_asks(s);
}

bool node_singles_hear_control(struct supervisor *s, struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_governs: on_governs(s, &m->governs); return true;
    case NODE_MSG_control_busy: node_upgrade_busy(s); return true;
    case NODE_MSG_compile_want: on_compile_want(s, m); return true;
    case NODE_MSG_manifest_want: on_manifest_want(s, m); return true;
    case NODE_MSG_migrate_want: on_migrate_want(s, m); return true;
    case NODE_MSG_data_want: return node_data_want(s, m);
    case NODE_MSG_compile_cancel: cancel_wanted(s, &m->compile_cancel.id); return true;
    case NODE_MSG_sign_want: return on_sign_want(s, &m->sign_want);
    case NODE_MSG_secret_want: return on_secret_want(s, &m->secret_want);
    case NODE_MSG_right: return node_publish_right(s, &m->right);
    case NODE_MSG_publish: return node_publish_begin(s, m);
    case NODE_MSG_certificates_set: return node_certificates_set(s, m);
    case NODE_MSG_chain_want: on_chain_want(s, m); return true;
    case NODE_MSG_acme_want: node_post_acme_want(s); return true;
    case NODE_MSG_proofs_set: node_workers_proofs(s, m->proofs_set.table); return true;
    case NODE_MSG_reload: node_config_reload(s, true); return true;
    case NODE_MSG_server_give: return node_servers_give(s, m);
    case NODE_MSG_server_changed: node_servers_changed(s, &m->server_changed); return true;
    case NODE_MSG_image_give: return on_image_give(s, m);
    case NODE_MSG_data_forget: node_data_forget(s, &m->data_forget); return true;
    default: return false;
    }
}

void node_singles_lose_control(struct supervisor *s, int status) {
    cancel_wanted(s, NULL);
    s->acme_wanted = false;
    node_data_forget_asks(s);
    node_servers_lose_control(s);
    node_data_let_go(s);
    node_publish_forget_rights(s);
    if (!node_upgrade_holds_control(s)) { /* else it has ended with nothing asked, and workers go on asking for signatures */
        end_keys(s);                      /* what it signs now, nobody waits for */
        refuse_key_asks(s, ERR_IO, STR("control died")); /* workers hear it */
    }
    node_supervisor_close(&s->client_fd);
    s->deploying = s->governs = false;
    s->asks_sent = 0;
    node_publish_forget_who_asked(s);
    struct diag d = DIAG_INIT; /* what it was publishing is taken back: it says anew what there is to be */
    diag_set(&d, ERR_IO, DIAG_NOWHERE, "control died");
    node_publish_fail(s, ERR_IO, &d);
    node_config_failed(s, ERR_IO, &d);
}

/* ---- as the loop has them ---- */

static bool keys_are_idle(const struct supervisor *s) {
    return s->singles[NODE_ROLE_keys].process.wire >= 0 && !s->key_asks_count && s->keys_idle_at_ns;
}

void node_singles_act(struct supervisor *s, uint64_t now) {
    if (s->asks_at_ns && now >= s->asks_at_ns) s->asks_at_ns = 0, send_asks(s);
    if (keys_are_idle(s) && now >= s->keys_idle_at_ns) end_keys(s);
}

uint64_t node_singles_due_ns(const struct supervisor *s) {
    uint64_t due = s->asks_at_ns ? s->asks_at_ns : UINT64_MAX;
    if (s->tickets_at_ns) due = MIN(due, s->tickets_at_ns);
    return keys_are_idle(s) ? MIN(due, s->keys_idle_at_ns) : due;
}

void node_singles_end(struct supervisor *s) {
    cancel_wanted(s, NULL);
    node_data_forget_asks(s);
    node_supervisor_close(&s->client_fd);
}
