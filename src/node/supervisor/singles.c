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
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t second_ns = 1'000'000'000u;

/* ---- keys ---- */

static void answer_key_ask(struct supervisor *s, uint32_t i, const struct node_message *m) {
    node_singles_tell(s, m);
    s->key_asks[i] = s->key_asks[--s->key_asks_count];
    if (!s->key_asks_count) s->keys_idle_at_ns = clock_mono_ns() + node_role_idle_s(NODE_ROLE_keys) * second_ns;
}

static void refuse_signatures(struct supervisor *s, err e, str why) {
    while (s->key_asks_count) answer_key_ask(s, 0, &NODE_MESSAGE(sign_done, .id = s->key_asks[0].id, .err = e, .text = why));
}

static void give_key(struct supervisor *s, uint32_t i, const uint8_t *signature) {
    struct node_message m = NODE_MESSAGE(sign_done, .id = s->key_asks[i].id, .err = ERR_OK);
    memcpy(m.sign_done.public, s->key.bytes, sizeof s->key.bytes);
    if (signature) memcpy(m.sign_done.signature, signature, sizeof m.sign_done.signature);
    answer_key_ask(s, i, &m);
}

/* Those who asked for the public half alone. */
static void give_public(struct supervisor *s) {
    for (uint32_t i = s->key_asks_count; i-- > 0;)
        if (s->key_opened && s->key_asks[i].public_alone) give_key(s, i, NULL);
}

/* It holds nothing that is not kept elsewhere, so it is ended like that. Nobody waits for it to be gone. */
static void end_keys(struct supervisor *s) {
    node_roles_end(s, NODE_ROLE_keys);
    s->key_opened = false;
}

bool node_singles_begin_keys(struct supervisor *s) {
    arena *scratch = arena_new(0);
    struct node_message m = NODE_MESSAGE(open_key, .make = s->key_made);
    if (s->key_kept) m.open_key.folder = node_state_folder(scratch, s->config->state_dir);
    s->key_opened = false;
    err e = node_wire_send(s->singles[NODE_ROLE_keys].process.wire, &m);
    arena_free(scratch);
    return e == ERR_OK;
}

void node_singles_lose_keys(struct supervisor *s, int status) {
    s->key_opened = false;
    refuse_signatures(s, ERR_IO, STR("the process that holds the node's key died"));
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

static bool on_sign_want(struct supervisor *s, const struct node_msg_sign_want *m) {
    struct node_message ask = NODE_MESSAGE(sign, .id = m->id);
    if (s->key_asks_count == KEYS_ASKS_MAX) return false;
    bool there = have_keys(s);
    s->key_asks[s->key_asks_count++] = (struct key_ask){m->id, m->public_alone};
    memcpy(ask.sign.purpose, m->purpose, sizeof ask.sign.purpose);
    memcpy(ask.sign.digest, m->digest, sizeof ask.sign.digest);
    err e = there ? ERR_OK : ERR_IO;
    if (there && !m->public_alone) e = node_wire_send(s->singles[NODE_ROLE_keys].process.wire, &ask);
    if (e != ERR_OK) refuse_signatures(s, ERR_IO, STR("there is no process that holds the node's key"));
    give_public(s);
    return true;
}

static bool on_key(struct supervisor *s, const struct node_msg_key *m) {
    if (s->key_opened) return false;
    if (m->err != ERR_OK) { /* it ends now */
        refuse_signatures(s, m->err, m->text);
        return true;
    }
    memcpy(s->key.bytes, m->public, sizeof s->key.bytes);
    s->key_opened = true;
    give_public(s);
    return true;
}

static bool on_signature(struct supervisor *s, const struct node_msg_signature *m) {
    for (uint32_t i = 0; i < s->key_asks_count && s->key_opened; i++)
        if (s->key_asks[i].id == m->id && !s->key_asks[i].public_alone) {
            give_key(s, i, m->signature);
            return true;
        }
    return false;
}

bool node_singles_hear_keys(struct supervisor *s, struct node_message *m) {
    return m->type == NODE_MSG_key ? on_key(s, &m->key) : m->type == NODE_MSG_signature && on_signature(s, &m->signature);
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
    bool is_manifest;
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
    if (!w->is_manifest) {
        node_meter_inc(r->err == ERR_OK ? &node_meters->node.compiles : &node_meters->node.compiles_failed);
        node_meter_time(&node_meters->node.compile_duration, clock_mono_ns() - w->since_ns);
    }
    if (r->err == ERR_OK && !w->is_manifest)
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
    w->is_manifest = true;
    node_manifest_limits(&config);
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
        struct node_message m = NODE_MESSAGE(image_ask, .id = ask->id);
        memcpy(m.image_ask.digest, ask->digest, sizeof ask->digest);
        ask->sent = true;
        s->asks_sent++;
        node_singles_tell(s, &m);
    }
}

/* False: it has no room for more, now. */
static bool give_image(const struct proc *p, struct node_message *give, const uint8_t digest[32]) {
    memcpy(give->image.digest, digest, sizeof give->image.digest);
    err e = node_wire_send(p->process.wire, give);
    if (e != ERR_OK && e != ERR_AGAIN) node_process_signal(&p->process, SIGKILL);
    return e != ERR_AGAIN;
}

void node_singles_image_want(struct supervisor *s, struct proc *p, const struct node_msg_image_want *m) {
    struct image_ask *ask = ask_of(s, 0);
    struct node_message full = NODE_MESSAGE(image, .err = ERR_BUSY, .text = STR("too many images are asked for at once"));
    if (!ask) {
        if (!give_image(p, &full, m->digest)) node_process_signal(&p->process, SIGKILL); /* it asks, and does not listen */
        return;
    }
    *ask = (struct image_ask){.id = s->last_ask = s->last_ask % (UINT32_MAX - 1) + 1, .pid = p->process.pid};
    memcpy(ask->digest, m->digest, sizeof ask->digest);
    send_asks(s);
}

static bool on_image_give(struct supervisor *s, struct node_message *m) {
    struct image_ask *ask = m->image_give.id ? ask_of(s, m->image_give.id) : NULL;
    struct proc *p = s->procs;
    if ((m->image_give.err == ERR_OK) != (m->fds_count == 1) || !s->asks_sent) return false;
    s->asks_sent--;
    while (ask && p && p->process.pid != ask->pid) p = p->next;
    bool done = true;
    if (ask && p && p->process.wire >= 0) {
        struct node_message give = NODE_MESSAGE(image, .err = m->image_give.err, .text = m->image_give.text);
        memcpy(give.image.key, m->image_give.key, sizeof give.image.key);
        if (m->fds_count) give.fds[give.fds_count++] = m->fds[0];
        done = give_image(p, &give, ask->digest);
    }
    if (!done) ask->sent = false, s->asks_at_ns = clock_mono_ns() + second_ns / 10;
    else if (ask) ask->id = 0; /* else its worker has died meanwhile */
    if (done) send_asks(s);
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
                     .generation = s->now.generation, .url = str_sub(s->setup->shown, 0, 256));
    for (int i = 0; i < NODE_STATE_OF_CONTROL && s->state.lock >= 0; i++) m.fds[m.fds_count++] = node_state_fds(&s->state)[i];
    node_singles_tell(s, &m);
    buf_free(&settings);
    node_cordons_tell_control(s, s->setup, false);
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
    for (struct image_ask *ask = s->asks; ask < s->asks + ASKS_MAX; ask++) ask->sent = false;
    send_asks(s);
}

bool node_singles_hear_control(struct supervisor *s, struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_governs: on_governs(s, &m->governs); return true;
    case NODE_MSG_compile_want: on_compile_want(s, m); return true;
    case NODE_MSG_manifest_want: on_manifest_want(s, m); return true;
    case NODE_MSG_compile_cancel: cancel_wanted(s, &m->compile_cancel.id); return true;
    case NODE_MSG_sign_want: return on_sign_want(s, &m->sign_want);
    case NODE_MSG_right: return node_publish_right(s, &m->right);
    case NODE_MSG_publish: return node_publish_begin(s, m);
    case NODE_MSG_image_give: return on_image_give(s, m);
    case NODE_MSG_data_forget: node_data_forget(s, &m->data_forget); return true;
    default: return false;
    }
}

void node_singles_lose_control(struct supervisor *s, int status) {
    cancel_wanted(s, NULL);
    node_publish_forget_rights(s);
    s->key_asks_count = 0;
    end_keys(s); /* what it signs now, nobody waits for */
    node_supervisor_close(&s->client_fd);
    s->deploying = s->governs = false;
    s->asks_sent = 0;
    struct diag d = DIAG_INIT; /* what it was publishing is taken back: it says anew what there is to be */
    diag_set(&d, ERR_IO, DIAG_NOWHERE, "control died");
    node_publish_fail(s, ERR_IO, &d);
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
    return keys_are_idle(s) ? MIN(due, s->keys_idle_at_ns) : due;
}

void node_singles_end(struct supervisor *s) {
    cancel_wanted(s, NULL);
    node_supervisor_close(&s->client_fd);
}
