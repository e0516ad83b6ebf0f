/* config: the operator's file (manifest/config.h) and the flags of the command line, as one; and the file read again while the node runs.
 *
 *   SIGHUP, `orlo reload` ──> READING by a job ─┬─ it has errors ──────────────────────────────────────────────> refused, with lines
 *                                               └─ setup: ports opened, workers counted ──> WAITING for control's turn
 *        ──control publishes anew, by it──> new workers, all ready ──> at work: the old ones rest   └─ one cannot ──> refused
 *
 * 1. What is refused has changed nothing: ports that were opened for it are closed, and control is told what holds.
 * 2. One at a time. Who asks meanwhile is answered by the next.
 * 3. A flag says otherwise than the file, as long as the node runs.
 */
#include "manifest/config.h"
#include "manifest/manifest.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- both as one ---- */

static const size_t limits_at[APP_SETTINGS] = {
#define AT_APP(field) [APP_SETTING_##field] = offsetof(struct node_limits, app.field),
#define AT_NODE(field) [APP_SETTING_##field] = offsetof(struct node_limits, field),
#define AT_CONNECTION(field) AT_NODE(field)
#define AT_COMPILE(field) AT_NODE(field)
#define SETTING(scope, field, ...) AT_##scope(field)
#include "app/settings.def"
#undef SETTING
#undef AT_APP
#undef AT_NODE
#undef AT_CONNECTION
#undef AT_COMPILE
};

static void merge_limits(struct node_limits *to, const struct manifest_config *file) {
    struct app_limits defaults = file->defaults;
    for (enum app_setting_id id = 0; id < APP_SETTINGS; id++) {
        uint64_t *at = (uint64_t *)(void *)((char *)to + limits_at[id]);
        bool apps = app_settings[id].scope == APP_SCOPE_APP;
        uint64_t said = apps ? *app_limits_at(&defaults, id) : file->settings[id];
        if (!*at) *at = said;
    }
}

static err merge_listens(arena *out, struct node_serve_config *to, const struct manifest_config *file, struct diag *d) {
    struct node_listen *listens = arena_array(out, struct node_listen, file->listen.n);
    for (uint32_t i = 0; i < file->listen.n; i++) TRY(node_listen_parse(out, file->listen.p[i].address, &listens[i], d));
    for (uint32_t i = 0; i < file->listen.n; i++)
        listens[i].proxied = file->listen.p[i].proxy_protocol, listens[i].tls = file->listen.p[i].tls;
    if (!to->listen_count) to->listen = listens, to->listen_count = file->listen.n;
    if (!file->admin.n || to->admin || to->no_admin) return ERR_OK;
    struct node_listen *admin = arena_make(out, struct node_listen);
    TRY(node_listen_parse(out, file->admin, admin, d));
    to->admin = admin;
    return ERR_OK;
}

/* Those of both; the URL is the command line's, if it says one. */
static void merge_proxies(arena *out, struct node_serve_config *to, const struct manifest_config *file) {
    struct net_prefix *trusted = arena_array(out, struct net_prefix, to->trusted_count + file->trusted_proxies.n + 1);
    size_t n = 0;
    for (; n < to->trusted_count; n++) trusted[n] = to->trusted[n];
    for (uint32_t i = 0; i < file->trusted_proxies.n; i++)
        trusted[n++] = (struct net_prefix){file->trusted_proxies.p[i].prefix, file->trusted_proxies.p[i].bits};
    to->trusted = trusted;
    to->trusted_count = n;
    if (!to->url.n) to->url = file->url;
}

static void merge_cordons(arena *out, struct node_serve_config *to, const struct manifest_config *file) {
    struct node_cordon *cordons = arena_array(out, struct node_cordon, file->cordons.n);
    for (uint32_t i = 0; i < file->cordons.n; i++) {
        const struct manifest_cordon *c = &file->cordons.p[i];
        cordons[i] = (struct node_cordon){c->name, c->apps.p, c->apps.n, c->workers, c->data};
    }
    to->cordons = cordons;
    to->cordons_count = file->cordons.n;
}

err node_config_merge(arena *out, const struct node_serve_config *flags, const struct manifest_config *file,
                      struct node_serve_config *to, struct diag *d) {
    *to = *flags;
    if (!file) return ERR_OK;
    merge_limits(&to->limits, file);
    TRY(merge_listens(out, to, file, d));
    merge_cordons(out, to, file);
    merge_proxies(out, to, file);
    to->no_access_log = flags->no_access_log || file->access_log == 0;
    if (!flags->state_dir && file->state.n) to->state_dir = arena_cstr(out, file->state);
    if (!flags->key_file && file->key_file.n) to->key_file = arena_cstr(out, file->key_file);
    to->logs_alone = flags->logs_alone || file->logs_stderr == 0;
    uint32_t said = flags->otlp.sample_ppm;
    if (!flags->otlp.endpoint.n && file->otlp.endpoint.n)
        to->otlp = (struct node_otlp){file->otlp.endpoint, file->otlp.headers.p, file->otlp.headers.n,
                                      said == NODE_OTLP_UNSAID ? file->otlp.sample_ppm : said, file->otlp.json};
    return ERR_OK;
}

/* ---- what control is told of it ---- */

void node_config_tell(struct supervisor *s, const struct setup *setup) {
    struct buf settings = {0};
    node_settings_write(&settings, &setup->limits);
    struct node_message m = NODE_MESSAGE(config, .url = str_sub(setup->url, 0, 256), .settings = buf_str(&settings));
    int fd = setup->file.n ? memfd_create("orlo-config", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
    if (fd >= 0 && write(fd, setup->file.p, setup->file.n) == (ssize_t)setup->file.n) m.fds[m.fds_count++] = fd;
    if (setup->certificates >= 0 && m.fds_count) m.fds[m.fds_count++] = setup->certificates;
    node_singles_tell(s, &m);
    buf_free(&settings);
    if (fd >= 0) close(fd);
}

/* ---- again ---- */

static void over(struct supervisor *s, err e, const struct diag *d) {
    struct reload *r = &s->reload;
    const char *file = s->config->config_file ? s->config->config_file : "";
    if (e == ERR_OK)
        log_event(LOG_INFO, "reloaded", LF_CSTR("file", file), LF_U64("workers", node_setup_workers(s->setup)),
                  LF_U64("ms", (clock_mono_ns() - r->since_ns) / 1000000u));
    else log_event(LOG_ERROR, "reload-failed", LF_CSTR("file", file), LF_CSTR("reason", d->text[0] ? d->text : err_text(e)));
    for (; r->askers; r->askers--) node_singles_tell(s, &NODE_MESSAGE(reloaded, .err = e, .text = str_c(d->text)));
    node_setup_free(r->setup);
    r->setup = NULL;
    r->state = RELOAD_IDLE;
    if (s->announced) node_notify_ready(s);
    if (!r->again) return;
    r->again = false;
    r->askers = r->askers_again;
    r->askers_again = 0;
    node_config_reload(s, false);
}

static void refuse(struct supervisor *s, err e, struct diag *d) {
    node_config_tell(s, s->setup);
    node_cordons_tell_control(s, s->setup, 0);
    node_certificates_refused(s);
    over(s, e, d);
}

/* All errors that there is room for, each with its line. */
static err wrong(const struct manifest *m, const char *file, struct diag *d) {
    struct buf b = {.max = sizeof d->text - 1};
    arena *scratch = arena_new(0);
    for (uint32_t i = 0; i < m->notes.n; i++)
        if (m->notes.p[i].is_error) {
            str text = manifest_note_text(scratch, file, &m->notes.p[i]);
            buf_printf(&b, b.n ? "; " STR_FMT : STR_FMT, STR_ARG(text));
        }
    diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT, STR_ARG(buf_str(&b)));
    buf_free(&b);
    arena_free(scratch);
    return ERR_INVALID;
}

static err take(struct supervisor *s, int out, struct setup **setup, struct diag *d) {
    struct manifest m;
    struct node_serve_config merged;
    struct stat st;
    arena *mem = arena_new(0);
    err e = fstat(out, &st) || st.st_size < 0 ? ERR_IO : ERR_OK;
    uint8_t *p = arena_alloc(mem, (size_t)st.st_size + 1, 1);
    if (e == ERR_OK && pread(out, p, (size_t)st.st_size, 0) != st.st_size) e = ERR_IO;
    if (e == ERR_OK) e = manifest_decode(mem, (str){p, (size_t)st.st_size}, &m, d);
    if (e == ERR_OK && m.errors) e = wrong(&m, s->config->config_file, d);
    if (e == ERR_OK) e = node_config_merge(mem, s->flags, m.config, &merged, d);
    if (e == ERR_OK) e = node_setup_new(&merged, m.config, s->setup, setup, d);
    if (e == ERR_OK) e = node_certificates_of(s, m.config, *setup, d);
    if (e != ERR_OK && *setup) node_setup_free(*setup), *setup = NULL;
    arena_free(mem);
    return e;
}

static void on_read(void *arg, const struct node_job_result *result) {
    struct supervisor *s = arg;
    struct reload *r = &s->reload;
    struct diag d = DIAG_INIT;
    err e = node_diag_of(&d, result->err, result->diag.offset, str_c(result->diag.text));
    if (e == ERR_OK) e = take(s, r->out, &r->setup, &d);
    close(r->in), close(r->out);
    if (e != ERR_OK) over(s, e, &d);
    else r->state = RELOAD_READ;
}

static err begin(struct supervisor *s, struct diag *d) {
    struct reload *r = &s->reload;
    struct stat st;
    if (!s->config->config_file)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                        "this node was started without a configuration file (orlo node --config FILE)");
    r->in = open(s->config->config_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->in < 0 || fstat(r->in, &st))
        return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s: %s", s->config->config_file,
                        strerror(errno));
    r->out = memfd_create("orlo-config", MFD_CLOEXEC);
    struct node_message what = NODE_MESSAGE(manifest, .format = MANIFEST_CONFIG, .bytes = (uint64_t)st.st_size);
    struct node_job_config config = {
        .what = &what, .in = r->in, .out = r->out, .title = "reading the configuration", .done = on_read, .arg = s};
    node_manifest_limits(&config);
    if (r->out >= 0 && node_jobs_add(&s->jobs, &config)) return ERR_OK;
    close(r->in);
    node_supervisor_close(&r->out);
    return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "too many files wait to be read or compiled; try again later");
}

void node_config_reload(struct supervisor *s, bool asked) {
    struct reload *r = &s->reload;
    struct diag d = DIAG_INIT;
    if (s->draining) return;
    if (r->state != RELOAD_IDLE) {
        r->again = true;
        r->askers_again += asked;
        return;
    }
    r->askers += asked;
    r->since_ns = clock_mono_ns();
    r->state = RELOAD_READING;
    node_notify_reloading(s);
    err e = begin(s, &d);
    if (e != ERR_OK) over(s, e, &d);
}

/* What is being published now is by what holds; then it is this one's turn. */
void node_config_act(struct supervisor *s, uint64_t now) {
    struct reload *r = &s->reload;
    struct diag d = DIAG_INIT;
    if (r->state == RELOAD_TOLD && now >= r->late_at_ns) {
        diag_set(&d, ERR_BUSY, DIAG_NOWHERE, "control did not publish what it was told within a minute");
        node_config_failed(s, ERR_BUSY, &d);
    }
    if (r->state != RELOAD_READ || s->next.generation || s->untold || !s->governs || !s->now.generation) return;
    r->state = RELOAD_TOLD;
    r->late_at_ns = now + 60'000'000'000u;
    node_config_tell(s, r->setup);
    node_cordons_tell_control(s, r->setup, ++s->revision);
}

bool node_config_comes(struct supervisor *s, uint32_t revision) {
    struct reload *r = &s->reload;
    if (r->state != RELOAD_TOLD || revision != s->revision) return false;
    s->coming_setup = r->setup;
    r->setup = NULL;
    r->state = RELOAD_COMING;
    return true;
}

void node_config_live(struct supervisor *s) {
    struct diag d = DIAG_INIT;
    if (s->reload.state != RELOAD_COMING) return;
    node_roles_end(s, NODE_ROLE_courier); /* new workers ask for it, if spans go anywhere */
    over(s, ERR_OK, &d);
}

void node_config_failed(struct supervisor *s, err e, const struct diag *d) {
    struct diag copy = *d;
    if (s->reload.state == RELOAD_COMING || s->reload.state == RELOAD_TOLD) refuse(s, e, &copy);
}
