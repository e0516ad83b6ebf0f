/* run: this process becomes the one worker of a command, with its own standard streams. */
#include "engine/engine.h"
#include "net/loop.h"
#include "node/worker/apps.h"
#include <signal.h>
#include <unistd.h>

struct running {
    struct node_guest guest;
    struct wasi_outcome outcome;
    struct buf trace; /* of a trap; the record itself lives no longer than the instance */
    enum abi_trap trap;
    char trap_text[256];
    bool done;
};

static void on_done(void *arg, const struct wasi_outcome *o) {
    struct running *r = arg;
    r->outcome = *o;
    r->done = true;
    if (o->trap) {
        r->trace.max = 64 * KiB;
        node_backtrace_lines(o->trap, &r->trace);
        r->trap = o->trap->trap;
        memcpy(r->trap_text, o->trap->text, sizeof r->trap_text);
    }
    net_loop_stop(r->guest.loop);
}

static err outcome_of(struct running *r, int *status, struct diag *d) {
    *status = r->outcome.exit_status;
    switch (r->outcome.end) {
    case WASI_END_OK:
    case WASI_END_EXIT: return ERR_OK;
    case WASI_END_TRAP:
        for (str rest = buf_str(&r->trace), line; rest.n;) { /* longer than a diagnostic may be */
            str_cut(rest, '\n', &line, &rest);
            fprintf(stderr, "  " STR_FMT "\n", STR_ARG(line));
        }
        return diag_set(d, ERR_TRAP, DIAG_NOWHERE, "the guest trapped: %s",
                        r->trap_text[0] ? r->trap_text : abi_trap_text(r->trap));
    default:
        return diag_set(d, ERR_TRAP, DIAG_NOWHERE, "the guest was stopped%s%s", r->outcome.text[0] ? ": " : "", r->outcome.text);
    }
}

/* The command as an app, and its one part loaded. */
static err open_command(struct running *r, arena *mem, const struct node_run_config *config, const struct node_limits *limits,
                        struct node_image *image, struct node_part **part, struct diag *d) {
    struct app_record record;
    struct node_app *app;
    app_record_of_file(mem, str_c(config->file), &config->grants, &limits->app, &record);
    struct node_rights rights = {0};
    node_rights_of(mem, &rights, &config->grants);
    struct node_guest_config guest = {.rights = &rights, .limits = limits, .keep = &image->fd, .keep_count = 1};
    TRY(node_guest_folders(mem, &r->guest, &config->grants, d));
    TRY(node_guest_open(&r->guest, &guest, d));
    TRY(node_app_new(&r->guest, arena_new(0), &record, &app, d));
    *part = &app->parts[0];
    return node_part_load(*part, image, config->args, config->args_count, d);
}

static err run_image(const struct node_run_config *config, const struct node_limits *limits, struct node_image *image,
                     int *status, struct diag *d) {
    arena *mem = arena_new(0);
    struct node_part *part;
    struct running r = {.done = false};
    TRY(open_command(&r, mem, config, limits, image, &part, d));
    enum wasi_kind kind = wasi_image_kind(part->image);
    if (!wasi_kind_runs(kind))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is a %s: start it with orlo serve", wasi_kind_text(kind));
    struct app_request request;
    app_request_begin(&request, &part->of, (str){}, NULL);
    request.out = (struct app_out){.fd = STDOUT_FILENO};
    request.err = (struct app_out){.fd = STDERR_FILENO};
    struct wasi_run_config run = {.request = &request, .stdin_fd = STDIN_FILENO, .done = on_done, .arg = &r};
    struct wasi_run *started = wasi_start(part->image, &run);
    if (!started) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "no instance can be made: address space or memory is out");
    net_loop_wake(r.guest.loop);
    net_loop_run(r.guest.loop);
    if (!r.done) { /* nothing is left that could wake the guest */
        wasi_run_kill(started);
        net_loop_wake(r.guest.loop);
        net_loop_run(r.guest.loop);
        if (r.done && !r.outcome.text[0])
            snprintf(r.outcome.text, sizeof r.outcome.text, "it waits for something that cannot happen");
    }
    if (!r.done) return diag_set(d, ERR_TRAP, DIAG_NOWHERE, "the guest cannot be stopped");
    err e = outcome_of(&r, status, d);
    buf_free(&r.trace);
    wasi_run_free(started);
    node_guest_close(&r.guest);
    arena_free(mem);
    return e;
}

err node_run(const struct node_run_config *config, int *status, struct diag *d) {
    struct node_limits limits = config->limits;
    node_limits_fill(&limits);
    limits.app.instances_max = 1;
    struct node_input in;
    TRY(node_grants_check(&config->grants, d));
    TRY(node_input_open(config->file, &in, d));
    struct node_image image = {.fd = -1};
    err e = node_image_for(&in, config->file, config->state_dir, &limits, &image, d);
    close(in.fd);
    if (e != ERR_OK) return e;
    signal(SIGPIPE, SIG_IGN); /* the guest sees EPIPE */
    return run_image(config, &limits, &image, status, d);
}
