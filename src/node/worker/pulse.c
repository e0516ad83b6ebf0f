/* pulse: what a worker publishes of itself on a page that the supervisor maps: whether its loop turns, which requests it has, and,
 * when it is asked or dies, what it is doing.
 *
 * The supervisor takes all of it for hearsay: it copies what it reads, and a text is cut and shown as text.
 */
#include "engine/engine.h"
#include "host/host.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- in the worker ---- */

static struct node_pulse nothing; /* of a process that nobody watches */
struct node_pulse *node_pulse = &nothing;

err node_pulse_map(int fd, struct diag *d) {
    void *p = mmap(NULL, sizeof *node_pulse, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the shared page cannot be mapped: %s", strerror(errno));
    node_pulse = p;
    return ERR_OK;
}

static void put(char *to, size_t max, size_t *n, str s) {
    for (size_t i = 0; i < s.n && *n + 1 < max; i++) to[(*n)++] = (char)s.p[i];
}

static void say_what(void) {
    str module, name, request = {0};
    struct engine_instance *in = engine_doing(&module, &name);
    size_t n = 0, k = 0;
    if (in) request = app_doing_for(in);
    put(node_pulse->doing, sizeof node_pulse->doing, &n, !in ? STR("the node's own code") : name.n ? module : STR("guest code"));
    if (name.n) put(node_pulse->doing, sizeof node_pulse->doing, &n, STR(" "));
    put(node_pulse->doing, sizeof node_pulse->doing, &n, name);
    node_pulse->doing[n] = 0;
    put(node_pulse->running, sizeof node_pulse->running, &k, request);
    node_pulse->running[k] = 0;
    __atomic_store_n(&node_pulse->told, 1, __ATOMIC_RELEASE); /* pairs with node_pulse_read */
}

static void on_asked(int sig) { say_what(); }

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction before[ARRAY_COUNT(fatal)];

/* What is no guest's trap comes here. The instruction runs again, or the signal is raised again, and ends the process. */
static void on_fatal(int sig, siginfo_t *info, void *context) {
    say_what();
    for (size_t i = 0; i < ARRAY_COUNT(fatal); i++) {
        if (fatal[i] != sig) continue;
        sigaction(sig, &before[i], NULL);
        if (before[i].sa_flags & SA_SIGINFO && before[i].sa_sigaction)
            before[i].sa_sigaction(sig, info, context); /* a sanitizer's */
        else if (info->si_code <= 0) raise(sig);
    }
}

void node_pulse_signals(void) {
    struct sigaction asked = {.sa_handler = on_asked, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigaction(SIGUSR1, &asked, NULL);
    signal(SIGUSR2, SIG_IGN);
    struct sigaction dying = {.sa_sigaction = on_fatal, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    for (size_t i = 0; i < ARRAY_COUNT(fatal); i++) sigaction(fatal[i], &dying, &before[i]);
}

uint32_t node_pulse_begin(uint32_t app, const char id[NODE_ID_BYTES]) {
    struct node_pulse *p = node_pulse;
    for (uint32_t i = 0; i < NODE_PULSE_REQUESTS; i++) {
        uint32_t at = (p->next + i) % NODE_PULSE_REQUESTS;
        if (p->requests[at].used) continue;
        p->next = at + 1;
        memcpy(p->requests[at].id, id, NODE_ID_BYTES);
        p->requests[at].app = app;
        p->requests[at].used = 1;
        return at;
    }
    return NODE_PULSE_REQUESTS; /* more than are named */
}

void node_pulse_end(uint32_t at) {
    if (at < NODE_PULSE_REQUESTS) node_pulse->requests[at].used = 0;
}

/* ---- in the supervisor ---- */

int node_pulse_new(struct node_pulse **out) {
    int fd = memfd_create("orlo-pulse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *p = MAP_FAILED;
    /* Sealed: a worker that made it shorter would make the supervisor fault. */
    if (fd >= 0 && ftruncate(fd, sizeof **out) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        p = mmap(NULL, sizeof **out, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *out = p == MAP_FAILED ? NULL : p;
    if (*out) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

void node_pulse_free(struct node_pulse *p) { munmap(p, sizeof *p); }

void node_pulse_read(const struct node_pulse *p, struct node_death *death, struct buf *ids, char doing[NODE_DOING_BYTES]) {
    static struct node_pulse copy;
    bool told = __atomic_load_n(&p->told, __ATOMIC_ACQUIRE);
    memcpy(&copy, p, sizeof copy);
    *death = (struct node_death){.served = copy.served, .running = NODE_NO_APP};
    copy.running[sizeof copy.running - 1] = copy.doing[sizeof copy.doing - 1] = 0;
    snprintf(doing, NODE_DOING_BYTES, "%s", told ? copy.doing : "");
    if (told && copy.running[0]) buf_puts(ids, str_c(copy.running));
    for (size_t i = 0; i < NODE_PULSE_REQUESTS; i++) {
        if (!copy.requests[i].used) continue;
        str id = {(uint8_t *)copy.requests[i].id, strnlen(copy.requests[i].id, NODE_ID_BYTES)};
        bool runs = told && str_eqc(id, copy.running);
        if (runs) death->running = copy.requests[i].app;
        else buf_printf(ids, ids->n ? " " STR_FMT : STR_FMT, STR_ARG(id));
        size_t k = 0;
        while (k < death->apps_count && death->apps[k] != copy.requests[i].app) k++;
        if (k == death->apps_count && k < ARRAY_COUNT(death->apps)) death->apps[death->apps_count++] = copy.requests[i].app;
    }
}
