/* p3: wasi:cli, and the run of a 0.3 command: by itself, or served as a CGI program (http/cgi.h). sys.h says what its streams are.
 *
 * Nothing that a guest writes is kept here: a stream to a full pipe waits in the guest, so the run's end loses nothing that a
 * write had accepted.
 */
#include "wasi/http/cgi.h"
#include "wasi/p3/p3_int.h"
#include "wasi/standard.h"
#include "wasi/sys.h"
#include <errno.h>

typedef struct wasi_p3_result_void_cli_types_error_code outcome;

static outcome outcome_of(int error) {
    return (outcome){.is_err = error,
                     .err = error == EPIPE    ? WASI3_CLI_TYPES_ERROR_CODE_PIPE
                            : error == EILSEQ ? WASI3_CLI_TYPES_ERROR_CODE_ILLEGAL_BYTE_SEQUENCE
                                              : WASI3_CLI_TYPES_ERROR_CODE_IO};
}

static enum abi_trap no_memory(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for another standard stream");
}

/* ---- environment, exit ---- */

enum abi_trap wasi3_cli_environment_get_environment(struct host_call *call, struct wasi_p3_list_tuple2_string_string *result) {
    struct wasi_sys_pairs pairs = {};
    enum abi_trap t = wasi_sys_environment(call, &pairs);
    static_assert(sizeof *result->p == sizeof *pairs.p && sizeof *result == sizeof pairs);
    memcpy(result, &pairs, sizeof pairs);
    return t;
}

enum abi_trap wasi3_cli_environment_get_arguments(struct host_call *call, struct wasi_p3_list_string *result) {
    struct wasi_sys_strings strings = {};
    enum abi_trap t = wasi_sys_arguments(call, &strings);
    *result = (struct wasi_p3_list_string){strings.p, strings.n};
    return t;
}

/* There is none: paths are relative to what is granted. */
enum abi_trap wasi3_cli_environment_get_initial_cwd(struct host_call *call, struct wasi_p3_option_string *result) {
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_cli_exit_exit(struct host_call *call, const struct wasi_p3_result_void_void *status) {
    return engine_exit(host_instance_engine(call->instance), status->is_err);
}
enum abi_trap wasi3_cli_exit_exit_with_code(struct host_call *call, uint8_t status_code) {
    return engine_exit(host_instance_engine(call->instance), status_code);
}

/* ---- standard input ---- */

enum { INPUT_BYTES = 16 << 10 };

struct input {
    struct host_instance *in;
    struct net_loop *loop;
    struct wasi_cgi *cgi; /* NULL: */
    int fd;               /* -1: empty */
    struct wasi_std_watch *watch;
    struct wasi_p3_feed *feed;
    struct wasi_p3_promise *promise;
    int error;
    enum net_flow last; /* what a peek said: END and FAILED stand (a terminal would go on behind its end) */
    size_t at, n;
    uint8_t bytes[INPUT_BYTES];
};

static void input_wake(void *arg) {
    struct input *i = arg;
    wasi_std_watch_free(i->watch);
    i->watch = NULL;
    if (i->cgi) wasi_cgi_listen_input(i->cgi, NULL, NULL);
    wasi_p3_feed_wake(i->feed);
}

static enum net_flow input_wait(struct input *i) {
    if (i->cgi) wasi_cgi_listen_input(i->cgi, input_wake, i);
    else if (!i->watch) i->watch = wasi_std_watch_new(i->loop, i->fd, NET_READABLE, input_wake, i);
    return NET_FLOW_WAIT;
}

static enum net_flow input_fill(struct input *i, size_t want) {
    size_t n = want ? MIN(want, sizeof i->bytes) : sizeof i->bytes;
    i->at = i->n = 0;
    if (i->cgi) {
        enum net_flow flow = wasi_cgi_read(i->cgi, i->bytes, n, &i->n);
        if (flow == NET_FLOW_FAILED) i->error = EIO;
        return flow == NET_FLOW_WAIT ? input_wait(i) : flow;
    }
    if (i->fd < 0) return NET_FLOW_END;
    int e = wasi_std_read(i->fd, i->bytes, n, &i->n);
    if (e == EAGAIN) return input_wait(i);
    i->error = e;
    return e ? NET_FLOW_FAILED : i->n ? NET_FLOW_DATA : NET_FLOW_END;
}

static enum net_flow input_peek(void *arg, size_t want, const void **p, size_t *n) {
    struct input *i = arg;
    bool over = i->last == NET_FLOW_END || i->last == NET_FLOW_FAILED;
    enum net_flow flow = over ? i->last : i->at < i->n ? NET_FLOW_DATA : input_fill(i, want);
    i->last = flow;
    *p = i->bytes + i->at;
    *n = i->n - i->at;
    return flow;
}

static void input_consume(void *arg, size_t n) { ((struct input *)arg)->at += n; }

static void input_free(struct input *i) {
    wasi_std_watch_free(i->watch);
    if (i->cgi) wasi_cgi_listen_input(i->cgi, NULL, NULL);
    host_uncharge(i->in, sizeof *i);
    free(i);
}

static void input_over(void *arg) {
    struct input *i = arg;
    outcome o = outcome_of(i->error);
    struct wasi_p3_promise *promise = i->promise;
    input_free(i);
    wasi_p3_promise_keep(promise, &o, NULL);
}

static const struct wasi_p3_feed_ops input_ops = {input_peek, input_consume, input_over};

enum abi_trap wasi3_cli_stdin_read_via_stream(struct host_call *call,
                                              struct wasi_p3_tuple2_stream_u8_future_result_void_cli_types_error_code *result) {
    const struct wasi_run *run = wasi_caller(call)->run;
    struct wasi_cgi *cgi = wasi_sys_cgi(wasi_caller(call));
    if (!host_charge(call->instance, sizeof(struct input))) return no_memory(call);
    struct input *i = calloc(1, sizeof *i);
    ENSURE(i);
    i->in = call->instance;
    i->loop = wasi_caller(call)->base.app->loop;
    i->cgi = cgi;
    i->fd = !run || run->request->exchange ? -1 : run->config.stdin_fd;
    result->f1 = wasi_p3_promise_new(i->in, sizeof(outcome), &i->promise);
    result->f0 = result->f1 ? wasi_p3_feed_new(i->in, &input_ops, i, &i->feed) : NULL;
    if (result->f0) return ABI_TRAP_NONE;
    if (result->f1) {
        wasi_p3_promise_abandon(i->promise);
        host_future_close(result->f1);
    }
    input_free(i);
    return no_memory(call);
}

/* ---- standard output and error ---- */

enum { LOG_BYTES = 16 << 10 };

struct output {
    struct host_instance *in;
    struct net_loop *loop;
    struct wasi_cgi *cgi; /* NULL: */
    bool err;             /* standard error */
    struct wasi_std_watch *watch;
    struct wasi_p3_drain *drain;
    struct wasi_p3_promise *promise;
};

static void output_wake(void *arg) {
    struct output *o = arg;
    wasi_std_watch_free(o->watch);
    o->watch = NULL;
    if (o->cgi) wasi_cgi_listen_output(o->cgi, NULL, NULL);
    wasi_p3_drain_wake(o->drain);
}

/* Asked each time: an instance that serves several has one standard output for all of them. */
static const struct app_out *output_to(const struct output *o) {
    const struct app_request *rq = app_request_in(o->in);
    return o->err ? &rq->err : &rq->out;
}

static size_t output_room(void *arg) {
    struct output *o = arg;
    const struct app_out *to = output_to(o);
    bool plain = !o->cgi && (to->write || to->fd < 0);
    size_t room = o->cgi  ? (wasi_cgi_broken(o->cgi) ? 1 : wasi_cgi_room(o->cgi))
                  : plain ? (size_t)LOG_BYTES
                          : wasi_std_room(to->fd);
    if (room) return room;
    if (o->cgi) wasi_cgi_listen_output(o->cgi, output_wake, o);
    else if (!o->watch) o->watch = wasi_std_watch_new(o->loop, to->fd, NET_WRITABLE, output_wake, o);
    return 0;
}

static void output_free(struct output *o, int error) {
    outcome result = outcome_of(error);
    struct wasi_p3_promise *promise = o->promise;
    wasi_std_watch_free(o->watch);
    if (o->cgi) wasi_cgi_listen_output(o->cgi, NULL, NULL);
    host_uncharge(o->in, sizeof *o);
    free(o);
    if (promise) wasi_p3_promise_keep(promise, &result, NULL);
}

static bool output_write(void *arg, str bytes) {
    struct output *o = arg;
    int error = o->cgi ? wasi_cgi_put(o->cgi, bytes) : app_out_write(output_to(o), bytes);
    if (error) output_free(o, error);
    return !error;
}

static void output_over(void *arg, bool gone) { output_free(arg, 0); }

static const struct wasi_p3_drain_ops output_ops = {output_room, output_write, output_over};

static enum abi_trap output(struct host_call *call, struct host_stream *data, struct wasi_cgi *cgi, bool err,
                            struct host_future **result) {
    if (!host_charge(call->instance, sizeof(struct output))) {
        host_stream_close(data);
        return no_memory(call);
    }
    struct output *o = malloc(sizeof *o);
    ENSURE(o);
    *o = (struct output){.in = call->instance, .loop = wasi_caller(call)->base.app->loop, .cgi = cgi, .err = err};
    *result = wasi_p3_promise_new(o->in, sizeof(outcome), &o->promise);
    o->drain = wasi_p3_drain_new(o->in, data, &output_ops, o); /* which has taken the stream, also when it is NULL */
    if (*result && o->drain) {
        wasi_p3_drain_wake(o->drain);
        return ABI_TRAP_NONE;
    }
    if (o->drain) wasi_p3_drain_stop(o->drain);
    if (*result) {
        wasi_p3_promise_abandon(o->promise);
        host_future_close(*result);
    }
    o->promise = NULL;
    output_free(o, 0);
    return no_memory(call);
}

enum abi_trap wasi3_cli_stdout_write_via_stream(struct host_call *call, struct host_stream *data, struct host_future **result) {
    return output(call, data, wasi_sys_cgi(wasi_caller(call)), false, result);
}
enum abi_trap wasi3_cli_stderr_write_via_stream(struct host_call *call, struct host_stream *data, struct host_future **result) {
    return output(call, data, NULL, true, result);
}

/* ---- terminals: only to be asked whether there is one (wasi_sys_terminal) ---- */

void wasi3_cli_terminal_input_terminal_input_drop(struct host_instance *in,
                                                  struct wasi3_cli_terminal_input_terminal_input *self) {
    app_object_unref(in, self);
}
void wasi3_cli_terminal_output_terminal_output_drop(struct host_instance *in,
                                                    struct wasi3_cli_terminal_output_terminal_output *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi3_cli_terminal_stdin_get_terminal_stdin(struct host_call *call,
                                                          struct wasi_p3_option_cli_terminal_input_terminal_input *result) {
    return wasi_sys_terminal(call, SYS_STDIN, &result->some, (void **)&result->value);
}
enum abi_trap wasi3_cli_terminal_stdout_get_terminal_stdout(struct host_call *call,
                                                            struct wasi_p3_option_cli_terminal_output_terminal_output *result) {
    return wasi_sys_terminal(call, SYS_STDOUT, &result->some, (void **)&result->value);
}
enum abi_trap wasi3_cli_terminal_stderr_get_terminal_stderr(struct host_call *call,
                                                            struct wasi_p3_option_cli_terminal_output_terminal_output *result) {
    return wasi_sys_terminal(call, SYS_STDERR, &result->some, (void **)&result->value);
}

/* ---- the run of a command ---- */

static err bind(struct wasi_image *image, struct diag *d) {
    image->kind_data = (void *)(uintptr_t)host_component_export(image->component, &wasi3_cli_run_run_export, d);
    if (!image->kind_data) return diag_set(d, ERR_LINK, DIAG_NOWHERE, "it does not export wasi:cli/run");
    return ERR_OK;
}

static void on_idle(struct host_instance *in, void *fiber) { engine_ready(fiber); }

/* run has returned; what it started may still be at work. False: killed. */
static bool wait_for_tasks(struct wasi_run *run) {
    struct engine *engine = run->image->app->engine;
    bool alive = true;
    host_instance_on_idle(run->i->base.in, on_idle, engine_fiber_current(engine));
    while (alive && !host_instance_dead(run->i->base.in) && host_instance_tasks(run->i->base.in)) alive = engine_park(engine);
    host_instance_on_idle(run->i->base.in, NULL, NULL);
    return alive;
}

static void run_command(struct wasi_run *run) {
    struct wasi_cgi *cgi = wasi_sys_cgi(run->i);
    if (run->ended) return;
    struct host_call call;
    struct wasi_p3_result_void_void result = {};
    host_call_begin(&call, run->i->base.in);
    enum abi_trap t = wasi3_cli_run_call_run(&call, run->image->kind_data, &result);
    host_call_end(&call);
    if (!t && !wait_for_tasks(run)) t = ABI_TRAP_INTERRUPTED;
    if (!t && host_instance_dead(run->i->base.in)) t = engine_last_trap(host_instance_engine(run->i->base.in))->trap;
    int status = t == ABI_TRAP_EXIT ? engine_last_trap(host_instance_engine(run->i->base.in))->exit_code : result.is_err;
    if (t != ABI_TRAP_NONE && t != ABI_TRAP_EXIT) wasi_run_end_trap(run, t);
    else if (cgi) wasi_cgi_end(cgi, status);
    else {
        run->outcome.exit_status = status;
        wasi_run_end(run, WASI_END_OK, "%s", "");
    }
}

const struct wasi_ops wasi_p3_command_ops = {.bind = bind, .main = run_command, .cgi = true};
