/* dev: see dev.h. One process, which polls. */
#include "node/dev/dev.h"
#include "base/json.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_PORT = 8080, PORTS_TRIED = 16 };
static const uint64_t quiet_ns = 100'000'000; /* after the last change: editors write a file in several steps */

struct child {
    pid_t pid; /* 0: none */
    int out;   /* what it prints; -1: closed */
};
struct dev {
    const struct node_dev_config *config;
    struct node_dev_project project;
    struct node_dev_show show;
    struct node_dev_watch *watch;
    char *state; /* folder */
    char url[256];
    struct child node, step;
    enum { STARTING, WAITING, BUILDING, DEPLOYING, SEEDING, TELLING } state_now;
    bool fresh;        /* the database was not there when this began, and no seeds have filled it yet */
    bool edited;       /* a migration that was applied is not what it was */
    uint32_t at;       /* function that is being built */
    uint64_t to_build; /* a bit each: of this run */
    bool shown;        /* the table of routes, of this manifest */
    bool served;       /* a version is */
    enum node_dev_due due;
    uint64_t due_functions, due_at_ns;
    struct buf told; /* keys, as they are said */
    int signals;
    bool ending;
    err failed;
};

static void flush(struct dev *v) {
    size_t at = 0;
    while (at < v->show.out.n) {
        ssize_t n = write(STDOUT_FILENO, v->show.out.p + at, v->show.out.n - at);
        if (n < 0 && errno != EINTR) break;
        at += n > 0 ? (size_t)n : 0;
    }
    v->show.out.n = 0;
}

/* ---- children ---- */

/* In the child: its own group, so that Ctrl-C is ours to hand on; it does not outlive us. */
static void become_child(int out, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
}

/* 0 in the child; its output is c->out. -1: errno. */
static pid_t start(struct child *c) {
    int pair[2];
    pid_t parent = getpid();
    if (pipe2(pair, O_CLOEXEC)) return -1;
    pid_t pid = fork();
    if (pid == 0) {
        become_child(pair[1], parent);
        return 0;
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return -1;
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    *c = (struct child){pid, pair[0]};
    return pid;
}

static void start_node(struct dev *v) {
    if (start(&v->node) != 0) return;
    struct diag d = DIAG_INIT;
    struct node_serve_config config = {
        .listen = v->config->listen,
        .listen_count = v->config->listen_count,
        .limits = v->config->limits,
        .state_dir = v->state,
        .dev = true,
        .no_admin = true,
    };
    log_init(STDERR_FILENO, true, LOG_INFO);
    err e = node_serve(&config, &d);
    if (e != ERR_OK) dprintf(STDERR_FILENO, "%s\n", d.text[0] ? d.text : err_text(e));
    _exit(e != ERR_OK);
}

static void start_build(struct dev *v) {
    const struct node_dev_function *f = &v->project.functions.p[v->at];
    node_dev_show_say(&v->show, "building " STR_FMT ": %s", STR_ARG(f->name), f->command);
    if (start(&v->step) != 0) return;
    if (chdir(v->config->dir) || (f->folder && chdir(f->folder))) {
        fprintf(stderr, "%s: %s\n", f->folder ? f->folder : v->config->dir, strerror(errno));
        _exit(1);
    }
    execl("/bin/sh", "sh", "-c", f->command, (char *)NULL);
    _exit(127);
}

static void start_deployment(struct dev *v) {
    if (start(&v->step) != 0) return;
    execl("/proc/self/exe", "orlo", "deploy", v->config->dir, "--state", v->state, "--host", "*", "--no-build", (char *)NULL);
    _exit(127);
}

static void start_command(struct dev *v, const char *const *words) {
    if (start(&v->step) != 0) return;
    execv("/proc/self/exe", (char *const *)(uintptr_t)words);
    _exit(127);
}

/* All at once, as `db reset` has it: whatever fails, the database is as it was. */
static void start_seeding(struct dev *v) {
    node_dev_show_say(&v->show, "the database is new: its seeds are run");
    start_command(v, (const char *const[]){"orlo", "db", "reset", v->config->dir, "--yes", "--state", v->state, NULL});
}

static void start_telling(struct dev *v) {
    arena *scratch = arena_new(0);
    start_command(v, (const char *const[]){"orlo", "keys", arena_cstr(scratch, v->project.name), "--state", v->state, NULL});
    arena_free(scratch);
}

/* ---- steps ---- */

static void next_step(struct dev *v) {
    uint32_t n = v->project.functions.n;
    while (v->at < n && !(v->project.functions.p[v->at].command && (v->at >= 64 || v->to_build >> v->at & 1))) v->at++;
    v->state_now = v->at < n ? BUILDING : DEPLOYING;
    v->edited = false;
    if (v->at < n) start_build(v);
    else start_deployment(v);
    if (v->step.pid > 0) return;
    node_dev_show_complain(&v->show, "no process could be started: %s", strerror(errno));
    v->state_now = WAITING;
}

static void begin(struct dev *v, uint64_t functions) {
    v->at = 0;
    v->to_build = functions;
    next_step(v);
}

static bool read_project(struct dev *v) {
    struct diag d = DIAG_INIT;
    struct node_dev_project fresh;
    err e = node_dev_project_read(v->config->dir, &fresh, &v->show.out, &d);
    if (e != ERR_OK) {
        node_dev_show_complain(&v->show, "%s", d.text[0] ? d.text : err_text(e));
        return false;
    }
    node_dev_project_free(&v->project);
    v->project = fresh;
    v->shown = false;
    return true;
}

static void say_reset(struct dev *v, const char *why) {
    node_dev_show_say(&v->show,
                      "%s: `orlo db reset %s --yes --state %s` empties the database, applies all migrations and runs the seeds",
                      why, v->config->dir, v->state);
}

/* What has changed, once it has been quiet for a moment and nothing is under way. */
static void act_on_changes(struct dev *v, uint64_t now) {
    if (v->due == NODE_DEV_NOTHING || v->state_now != WAITING || now < v->due_at_ns) return;
    enum node_dev_due due = v->due;
    uint64_t functions = v->due_functions;
    v->due = NODE_DEV_NOTHING;
    v->due_functions = 0;
    if (due == NODE_DEV_SEEDS) {
        say_reset(v, "the seeds have changed");
        return;
    }
    if (due == NODE_DEV_READ) {
        if (!read_project(v)) return;
        functions = UINT64_MAX;
    }
    begin(v, functions);
}

/* While something is built, what it writes is no change; what its sources are is one all the same. */
static void hear_changes(struct dev *v) {
    str path;
    enum node_dev_watch_got got;
    while ((got = node_dev_watch_next(v->watch, &path)) != NODE_DEV_WATCH_NOTHING) {
        uint64_t functions = got == NODE_DEV_WATCH_LOST ? UINT64_MAX : 0;
        enum node_dev_due due = got == NODE_DEV_WATCH_LOST ? NODE_DEV_READ : node_dev_due(&v->project, path, &functions);
        if (due == NODE_DEV_DEPLOY && v->state_now == BUILDING) continue;
        if (due == NODE_DEV_NOTHING) continue;
        v->due = MAX(v->due, due);
        v->due_functions |= functions;
        v->due_at_ns = clock_mono_ns() + quiet_ns;
    }
}

static void show_table(struct dev *v) {
    if (v->shown) return;
    v->shown = true;
    bool everywhere = false;
    for (size_t i = 0; i < v->config->listen_count; i++) everywhere |= !v->config->listen[i].host.n;
    buf_putc(&v->show.out, '\n');
    node_dev_urls(&v->project, str_c(v->url), everywhere, &v->show.out);
    buf_putc(&v->show.out, '\n');
}

static str port_text(const struct dev *v) {
    str url = str_c(v->url);
    size_t colon = url.n;
    while (colon && url.p[colon - 1] != ':') colon--;
    return str_sub(url, colon, url.n);
}

/* With the key for everybody behind it, which a browser sends to nobody. */
static void tell_page(struct dev *v) {
    static const char begin[] = "SUPABASE_ANON_KEY=";
    const uint8_t *at = v->told.n ? memmem(v->told.p, v->told.n, begin, sizeof begin - 1) : NULL;
    str key = {0}, rest;
    if (at) str_cut((str){at + sizeof begin - 1, v->told.n - (size_t)(at - v->told.p) - (sizeof begin - 1)}, '\n', &key, &rest);
    node_dev_show_say(&v->show,
                      "what it has, and a page to try it: http://" STR_FMT ".localhost:" STR_FMT "/_orlo/rest%s" STR_FMT,
                      STR_ARG(v->project.name), STR_ARG(port_text(v)), key.n ? "#" : "", STR_ARG(key));
    buf_free(&v->told);
}

/* Where the app has a database, and this is the first time: how it is asked. */
static void tell_database(struct dev *v) {
    node_dev_show_say(&v->show, "the database is asked at http://" STR_FMT ".localhost:" STR_FMT "/rest/v1, with a key:",
                      STR_ARG(v->project.name), STR_ARG(port_text(v)));
    v->state_now = TELLING;
    start_telling(v);
    if (v->step.pid <= 0) v->state_now = WAITING;
}

static void deployed(struct dev *v) {
    bool first = !v->served;
    v->served = true;
    show_table(v);
    v->state_now = WAITING;
    if (!v->project.has_database) return;
    if (v->fresh && v->project.seeds.n) {
        v->state_now = SEEDING;
        start_seeding(v);
        if (v->step.pid <= 0) v->state_now = WAITING;
    } else if (first) tell_database(v);
}

static void step_ended(struct dev *v, int status) {
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool built = v->state_now == BUILDING;
    if (v->state_now == SEEDING) {
        if (ok) v->fresh = false;
        else node_dev_show_complain(&v->show, "the seeds failed: the database has its tables, and no rows of theirs");
        tell_database(v);
        return;
    }
    if (v->state_now == TELLING) {
        tell_page(v);
        v->state_now = WAITING;
        return;
    }
    if (!ok) {
        node_dev_show_complain(&v->show, "%s failed; %s", built ? "the build" : "the deployment",
                               v->served ? "what is served is the version before" : "nothing is served yet");
        v->state_now = WAITING;
        if (v->edited) say_reset(v, "if nobody has this migration but you");
        return;
    }
    if (built) {
        hear_changes(v);
        v->at++;
        next_step(v);
        return;
    }
    deployed(v);
}

/* ---- what is heard ---- */

static void close_end(int *fd) {
    close(*fd);
    *fd = -1;
}

static str step_name(const struct dev *v) {
    if (v->state_now == BUILDING && v->at < v->project.functions.n) return v->project.functions.p[v->at].name;
    return v->state_now == SEEDING ? STR("seeds") : v->state_now == TELLING ? STR("keys") : STR("deploy");
}

static void hear_step(struct dev *v) {
    uint8_t piece[8 * KiB];
    ssize_t n;
    while ((n = read(v->step.out, piece, sizeof piece)) > 0) {
        node_dev_show_of(&v->show, step_name(v), (str){piece, (size_t)n});
        if (v->state_now == TELLING && v->told.n < sizeof piece) buf_put(&v->told, piece, (size_t)n);
        v->edited |= memmem(piece, (size_t)n, " was applied, and ", 18) != NULL; /* node_migration_pending */
    }
    if (n == 0 || errno != EAGAIN) close_end(&v->step.out);
}

/* False: there is no more of it now. */
static bool hear_node(struct dev *v) {
    uint8_t piece[32 * KiB];
    ssize_t n = read(v->node.out, piece, sizeof piece);
    if (n > 0) node_dev_show_put(&v->show, (str){piece, (size_t)n});
    if (n == 0 || (n < 0 && errno != EAGAIN)) close_end(&v->node.out);
    return n > 0;
}

static void on_event(void *arg, str event, const struct json *e) {
    struct dev *v = arg;
    if (!str_eqc(event, "serving") || v->state_now != STARTING) return;
    snprintf(v->url, sizeof v->url, STR_FMT, STR_ARG(json_str(json_get(e, "url"))));
    begin(v, UINT64_MAX);
}

static void reap(struct dev *v) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        struct child *c = pid == v->node.pid ? &v->node : pid == v->step.pid ? &v->step : NULL;
        if (!c) continue;
        if (c == &v->step && c->out >= 0) hear_step(v);
        while (c == &v->node && c->out >= 0 && hear_node(v)) {}
        if (c == &v->step) node_dev_show_of_end(&v->show, step_name(v));
        if (c->out >= 0) close(c->out); /* whoever it left behind may have it still */
        *c = (struct child){0, -1};
        if (c == &v->step && !v->ending) step_ended(v, status);
        if (c == &v->node && !v->ending) v->failed = ERR_IO;
    }
}

static void on_signal(struct dev *v) {
    struct signalfd_siginfo info;
    while (read(v->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD) continue;
        int signum = v->ending ? SIGKILL : (int)info.ssi_signo;
        v->ending = true;
        if (v->step.pid > 0) kill(-v->step.pid, signum == SIGKILL ? SIGKILL : SIGTERM);
        if (v->node.pid > 0) kill(v->node.pid, signum == SIGKILL ? SIGKILL : SIGTERM);
    }
    reap(v);
}

static void turn(struct dev *v) {
    struct pollfd fds[] = {{.fd = v->signals, .events = POLLIN},
                           {.fd = v->node.out, .events = POLLIN},
                           {.fd = v->step.out, .events = POLLIN},
                           {.fd = v->watch ? node_dev_watch_fd(v->watch) : -1, .events = POLLIN}};
    uint64_t now = clock_mono_ns();
    bool waits = v->due != NODE_DEV_NOTHING && v->state_now == WAITING;
    int ms = !waits ? -1 : v->due_at_ns <= now ? 0 : (int)((v->due_at_ns - now) / 1'000'000 + 1);
    if (poll(fds, ARRAY_COUNT(fds), ms) < 0 && errno != EINTR) return;
    if (fds[1].revents && v->node.out >= 0) hear_node(v);
    if (fds[2].revents && v->step.out >= 0) hear_step(v);
    if (fds[3].revents) hear_changes(v);
    if (fds[0].revents) on_signal(v);
    act_on_changes(v, clock_mono_ns());
    flush(v);
}

/* ---- beginning and end ---- */

/* DIR/.orlo, which no version control takes along: what functions keep is there the next time, too. */
static err make_state(struct dev *v, struct diag *d) {
    size_t n = strlen(v->config->dir) + sizeof "/.orlo/.gitignore";
    v->state = malloc(n);
    ENSURE(v->state);
    snprintf(v->state, n, "%s/.orlo/.gitignore", v->config->dir);
    char *slash = strrchr(v->state, '/');
    *slash = 0;
    if (mkdir(v->state, 0700) && errno != EEXIST)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be made: %s", v->state, strerror(errno));
    *slash = '/';
    int fd = open(v->state, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        dprintf(fd, "*\n");
        close(fd);
    }
    *slash = 0;
    return ERR_OK;
}

/* DIR/.orlo/data/NAME.N/app.db is there once anything was migrated. */
static bool has_data(const struct dev *v) {
    arena *scratch = arena_new(0);
    glob_t found;
    str pattern = arena_fmt(scratch, "%s/data/" STR_FMT ".*/app.db", v->state, STR_ARG(v->project.name));
    int code = glob(arena_cstr(scratch, pattern), GLOB_NOSORT, NULL, &found);
    if (code == 0) globfree(&found);
    arena_free(scratch);
    return code == 0;
}

/* Whether a port is free on every address. */
static bool is_free(uint16_t port) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0, on = 1;
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (fd < 0) return true; /* who listens will say so */
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool ok = bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0;
    close(fd);
    return ok;
}

static struct node_listen first_free_port(void) {
    struct node_listen l = {.port = DEFAULT_PORT};
    for (uint16_t i = 0; i < PORTS_TRIED; i++) {
        l.port = (uint16_t)(DEFAULT_PORT + i);
        if (is_free(l.port)) return l;
    }
    return (struct node_listen){.port = DEFAULT_PORT};
}

static void take_signals(struct dev *v) {
    static const int heard[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_COUNT(heard); i++) sigaddset(&set, heard[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    v->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    ENSURE(v->signals >= 0);
    signal(SIGPIPE, SIG_IGN);
}

err node_dev(const struct node_dev_config *said, struct diag *d) {
    struct node_dev_config filled = *said, *config = &filled;
    struct node_listen free_port = first_free_port();
    if (!config->listen_count) config->listen = &free_port, config->listen_count = 1;
    struct dev v = {.config = config, .node.out = -1, .step.out = -1, .show = {.colour = config->colour, .event = on_event}};
    v.show.event_arg = &v;
    err e = node_dev_project_read(config->dir, &v.project, &v.show.out, d);
    if (e == ERR_OK) e = make_state(&v, d);
    if (e == ERR_OK) v.fresh = !has_data(&v);
    if (e == ERR_OK) e = node_dev_watch_new(config->dir, &v.watch, d);
    if (e == ERR_OK) {
        take_signals(&v);
        start_node(&v);
        if (v.node.pid <= 0) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "no process could be started: %s", strerror(errno));
    }
    while (e == ERR_OK && (v.node.pid > 0 || v.step.pid > 0) && !(v.failed && !v.step.pid)) {
        turn(&v);
        if (v.failed && v.step.pid > 0) kill(-v.step.pid, SIGTERM);
    }
    flush(&v);
    if (e == ERR_OK && v.failed) e = diag_set(d, v.failed, DIAG_NOWHERE, "the node has ended; what it said stands above");
    if (v.watch) node_dev_watch_free(v.watch);
    node_dev_project_free(&v.project);
    node_dev_show_free(&v.show);
    free(v.state);
    return e;
}
