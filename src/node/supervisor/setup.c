/* setup: what the configuration makes of the node's processes: doors, limits, workers and cordons of them.
 *
 *   the command line, the operator's file ──> setup ──> at work
 *                                    └── read again ──> setup ──with the next publication──> at work; the one before is freed
 *
 * 1. A setup is whole or is not there. What two of them have in common, doors, is the same in both.
 * 2. A cordon keeps its number for as long as its name is configured.
 */
#include "manifest/config.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <sched.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKERS_MAX = 256 };

/* A container's share of processor time, in cores, rounded up; 0: no limit. */
static uint32_t cores_quota(void) {
    char text[64] = "";
    int fd = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    unsigned long long quota, period; /* "max 100000" has no quota */
    return n > 0 && sscanf(text, "%llu %llu", &quota, &period) == 2 && period ? (uint32_t)((quota + period - 1) / period) : 0;
}

uint32_t node_setup_cores(void) {
    cpu_set_t set;
    uint32_t n = sched_getaffinity(0, sizeof set, &set) ? 1 : (uint32_t)MAX(CPU_COUNT(&set), 1), quota = cores_quota();
    return quota ? MIN(n, quota) : n;
}

static err open_doors(struct setup *s, const struct node_serve_config *config, const struct setup *before, struct diag *d) {
    static const struct node_listen usual = {STR_INIT("127.0.0.1"), 8080, false, false};
    const struct node_listen *listens = config->listen_count ? config->listen : &usual;
    size_t count = config->listen_count ? config->listen_count : 1;
    if (count > NODE_LISTEN_MAX)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "at most %d addresses (--listen), not %zu", NODE_LISTEN_MAX, count);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++)
            if (str_eq(listens[k].host, listens[i].host) && listens[k].port == listens[i].port && listens[i].port)
                return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "port %u of one address is listened at twice", listens[i].port);
        struct door *door;
        err e = node_door_open(&listens[i], s, before, &door, d);
        if (door) {
            s->speaks[s->doors_count].proxied = listens[i].proxied, s->speaks[s->doors_count].tls = listens[i].tls;
            s->doors[s->doors_count++] = door;
        }
        TRY(e);
        str url = node_door_url(s->mem, door, listens[i].tls);
        if (!i) s->shown = url;
        else s->also = s->also.n ? arena_fmt(s->mem, STR_FMT " " STR_FMT, STR_ARG(s->also), STR_ARG(url)) : url;
    }
    return ERR_OK;
}

static uint32_t number_of(const struct setup *s, str name) {
    for (uint32_t i = 0; s && i < s->cordons.n; i++)
        if (str_eq(s->cordons.p[i].name, name)) return s->cordons.p[i].id;
    return 0;
}

static bool has_number(const struct setup *s, uint32_t id) {
    for (uint32_t i = 0; s && i < s->cordons.n; i++)
        if (s->cordons.p[i].id == id) return true;
    return false;
}

static err take_cordons(struct setup *s, const struct node_serve_config *config, const struct setup *before, struct diag *d) {
    if (config->cordons_count > CORDONS_MAX)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "at most %d cordons, not %zu", CORDONS_MAX, config->cordons_count);
    uint32_t all = s->workers;
    for (size_t i = 0; i < config->cordons_count; i++) {
        const struct node_cordon *c = &config->cordons[i];
        uint32_t id = number_of(before, c->name), free = 1;
        while (!id && (has_number(before, free) || has_number(s, free))) free++;
        struct setup_cordon *own = vec_add(s->mem, &s->cordons);
        *own = (struct setup_cordon){.name = arena_str(s->mem, c->name),
                                     .data = arena_str(s->mem, c->data),
                                     .id = id ? id : free,
                                     .workers = c->workers ? c->workers : 1};
        for (size_t k = 0; k < c->apps_count; k++) *vec_add(s->mem, &own->apps) = arena_str(s->mem, c->apps[k]);
        if (own->workers > WORKERS_MAX || (all += own->workers) > WORKERS_MAX)
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "at most %d workers in all", WORKERS_MAX);
    }
    return ERR_OK;
}

static err take_proxies(struct setup *s, const struct node_serve_config *config, struct diag *d) {
    bool proxied = false;
    if (config->trusted_count > NODE_TRUSTED_MAX)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "at most %d networks of proxies, not %zu", NODE_TRUSTED_MAX,
                        config->trusted_count);
    for (size_t i = 0; i < config->trusted_count; i++) *vec_add(s->mem, &s->trusted) = config->trusted[i];
    for (size_t i = 0; i < config->listen_count; i++) proxied |= config->listen[i].proxied;
    if (!proxied || config->trusted_count) return ERR_OK;
    return diag_set(
        d, ERR_USAGE, DIAG_NOWHERE,
        "where connections begin with a PROXY header, nobody is believed who is not named: trusted_proxies (--trusted-proxy)");
}

static void take_otlp(struct setup *s, const struct node_otlp *o) {
    s->otlp.endpoint = arena_str(s->mem, o->endpoint);
    s->otlp.sample_ppm = o->sample_ppm == NODE_OTLP_UNSAID ? 10'000 : o->sample_ppm;
    s->otlp.json = o->json;
    for (size_t i = 0; i < o->headers_count; i++) {
        struct app_env *h = vec_add(s->mem, &s->otlp.headers);
        *h = (struct app_env){.key = arena_str(s->mem, o->headers[i].key), .value = arena_str(s->mem, o->headers[i].value)};
    }
}

static void take_mail(struct setup *s, const struct manifest_mail *m) {
    s->mail = *m;
    s->mail.relay.host = arena_str(s->mem, m->relay.host), s->mail.relay.user = arena_str(s->mem, m->relay.user);
    s->mail.relay.secret = arena_str(s->mem, m->relay.secret), s->mail.relay.from = arena_str(s->mem, m->relay.from);
}

/* As it is now: who reads it has no way to it. */
static err read_authority(struct setup *s, str path, struct diag *d) {
    enum { BYTES_MAX = 1 << 20 };
    const char *name = arena_cstr(s->mem, path);
    if (!path.n) return ERR_OK;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint8_t *p = malloc(BYTES_MAX);
    ENSURE(p);
    ssize_t n = fd < 0 ? -1 : read(fd, p, BYTES_MAX);
    int why = errno;
    if (n > 0 && n < BYTES_MAX) s->acme_ca = arena_str(s->mem, (str){p, (size_t)n});
    free(p);
    if (fd >= 0) close(fd);
    if (s->acme_ca.n) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "[acme] ca_file: %s: %s", name,
                    n < 0 ? strerror(why) : "it is no file of certificates");
}

err node_setup_new(const struct node_serve_config *config, const struct manifest_config *file, const struct setup *before,
                   struct setup **out, struct diag *d) {
    struct buf bytes = {0};
    arena *mem = arena_new(0);
    struct setup *s = *out = arena_make(mem, struct setup);
    *s = (struct setup){.certificates = -1, .mem = mem, .limits = config->limits, .access_log = !config->no_access_log};
    node_limits_fill(&s->limits);
    take_otlp(s, &config->otlp);
    s->logs_alone = config->logs_alone;
    if (file) take_mail(s, &file->mail);
    if (file) manifest_config_write(&bytes, file);
    s->file = arena_str(mem, buf_str(&bytes));
    buf_free(&bytes);
    s->workers = (uint32_t)MIN(s->limits.workers ? s->limits.workers : node_setup_cores(), (uint64_t)WORKERS_MAX);
    err e = take_proxies(s, config, d);
    if (e == ERR_OK && file) e = read_authority(s, file->acme.ca_file, d);
    if (e == ERR_OK) e = take_cordons(s, config, before, d);
    if (e == ERR_OK) e = open_doors(s, config, before, d);
    s->url = config->url.n ? arena_str(s->mem, config->url) : s->shown;
    if (e == ERR_OK) return e;
    node_setup_free(s);
    *out = NULL;
    return e;
}

void node_setup_free(struct setup *s) {
    for (uint32_t i = 0; s && i < s->doors_count; i++) node_door_leave(s->doors[i]);
    if (s) node_supervisor_close(&s->certificates);
    if (s) arena_free(s->mem);
}

/* No more connections come; workers close theirs. */
void node_setup_close_doors(const struct setup *s) {
    for (uint32_t i = 0; i < s->doors_count; i++)
        for (struct door *door = s->doors[i]; door->count; door->count--) close(door->fds[door->count - 1]);
}

uint32_t node_setup_workers(const struct setup *s) {
    uint32_t n = s->workers;
    for (uint32_t i = 0; i < s->cordons.n; i++) n += s->cordons.p[i].workers;
    return n;
}

const struct setup *node_setup_of(const struct supervisor *s, const struct publication *what) {
    return what == &s->next && s->coming_setup ? s->coming_setup : s->setup;
}
