/* p2: wasi:cli, and the run of a command component: by itself, or served as a CGI program (cgi.h).
 *
 * Standard streams of a run:          stdin               stdout        stderr
 *   a command                         config.stdin_fd     config.out    config.err
 *   a command that serves a request   the request's body  the response  config.err
 *   an incoming-handler               empty               config.out    config.err
 */
#include "wasi/cgi.h"
#include "wasi/p2_int.h"
#include <errno.h>
#include <unistd.h>

/* NULL: the run is no CGI program. The first to ask makes it, since instantiation may do so before the command runs. */
static struct cgi *cgi_of(struct wasi_run *run) {
    if (run->app->kind != WASI_P2_COMMAND || !run->config.exchange) return NULL;
    if (!run->state) run->state = cgi_begin(run);
    return run->state;
}

/* ---- environment ---- */

/* A string of a component is UTF-8, so what is not becomes U+FFFD. {NULL, 0}: no memory. */
static str utf8_of(struct host_call *call, str s) {
    if (str_is_utf8(s)) return s;
    uint8_t *p = host_alloc(call, s.n * 3, 1);
    if (!p) return (str){};
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t len = 1; /* of the character at i, or 0 */
        while (len <= 4 && i + len <= s.n && !str_is_utf8(str_sub(s, i, len))) len++;
        bool good = len <= 4 && i + len <= s.n;
        memcpy(p + n, good ? s.p + i : (const uint8_t *)"\xef\xbf\xbd", good ? len : 3);
        n += good ? len : 3;
        i += good ? len : 1;
    }
    return (str){p, n};
}

enum abi_trap wasi_cli_environment_get_environment(struct host_call *call, struct wasi_p2_list_tuple2_string_string *result) {
    struct wasi_run *run = p2_run(call);
    uint32_t n = (uint32_t)run->app->config.env_count;
    const struct wasi_env *env = cgi_of(run) ? cgi_env(cgi_of(run), &n) : run->app->config.env;
    result->p = host_alloc(call, (n + 1) * sizeof *result->p, _Alignof(str));
    if (!result->p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the environment");
    for (result->n = 0; result->n < n; result->n++)
        result->p[result->n] =
            (struct wasi_p2_tuple2_string_string){utf8_of(call, env[result->n].key), utf8_of(call, env[result->n].value)};
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_cli_environment_get_arguments(struct host_call *call, struct wasi_p2_list_string *result) {
    const struct wasi_config *config = &p2_run(call)->app->config;
    result->p = host_alloc(call, (config->args_count + 1) * sizeof(str), _Alignof(str));
    if (!result->p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the arguments");
    for (size_t i = 0; i < config->args_count; i++) result->p[result->n++] = utf8_of(call, config->args[i]);
    return ABI_TRAP_NONE;
}

/* There is none: paths are relative to what is granted. */
enum abi_trap wasi_cli_environment_initial_cwd(struct host_call *call, struct wasi_p2_option_string *result) {
    return ABI_TRAP_NONE;
}

/* ---- exit ---- */

enum abi_trap wasi_cli_exit_exit(struct host_call *call, const struct wasi_p2_result_void_void *status) {
    return engine_exit(host_instance_engine(call->instance), status->is_err);
}
enum abi_trap wasi_cli_exit_exit_with_code(struct host_call *call, uint8_t status_code) {
    return engine_exit(host_instance_engine(call->instance), status_code);
}

/* ---- standard input ---- */

static struct cgi *cgi_in(void *stream) {
    return cgi_of(host_instance_user(((struct wasi_io_streams_input_stream *)stream)->in));
}
static enum net_flow request_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                                  struct wasi_io_error_error **e) {
    enum net_flow flow = cgi_read(cgi_in(s), p, n, got);
    if (flow == NET_FLOW_FAILED) *e = p2_error(s->in, NET_OK, EIO);
    return flow;
}
static bool request_ready(void *object) { return cgi_readable(cgi_in(object)); }
static void request_listen(void *object, struct engine_fiber *f) { cgi_listen_input(cgi_in(object), f); }
static const struct p2_source source_request = {request_read, {request_ready, request_listen}};

enum abi_trap wasi_cli_stdin_get_stdin(struct host_call *call, struct wasi_io_streams_input_stream **result) {
    struct wasi_run *run = p2_run(call);
    bool fd = !run->config.exchange && run->config.stdin_fd >= 0;
    enum abi_trap t = p2_input_stream(call, cgi_of(run) ? &source_request : fd ? &p2_source_fd : &p2_source_empty, NULL, result);
    if (!t && fd) (*result)->fd = run->config.stdin_fd;
    return t;
}

/* ---- standard output and error ---- */

enum { ROOM = 64 << 10 };

static struct wasi_run *run_out(struct wasi_io_streams_output_stream *s) { return host_instance_user(s->in); }
static size_t out_room(struct wasi_io_streams_output_stream *s) { return ROOM; }
static bool put(struct wasi_io_streams_output_stream *s, const struct wasi_out *out, str bytes, struct wasi_io_error_error **e) {
    int error = wasi_out_write(out, bytes);
    if (error) *e = p2_error(s->in, NET_OK, error);
    return !error;
}
static bool out_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    return put(s, &run_out(s)->config.out, bytes, e);
}
static bool err_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    return put(s, &run_out(s)->config.err, bytes, e);
}
static enum p2_state out_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **e) { return P2_OPEN; }
static bool out_ready(void *object) { return true; }
static void out_listen(void *object, struct engine_fiber *f) {}
static const struct p2_sink sink_out = {out_room, out_write, out_state, {out_ready, out_listen}};
static const struct p2_sink sink_err = {out_room, err_write, out_state, {out_ready, out_listen}};

static size_t response_room(struct wasi_io_streams_output_stream *s) { return cgi_room(cgi_of(run_out(s))); }
static bool response_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    int error = 0;
    enum abi_trap t = cgi_write(cgi_of(run_out(s)), bytes, &error);
    if (error) *e = p2_error(s->in, NET_OK, error);
    return !t && !error;
}
static enum p2_state response_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **e) {
    if (!cgi_broken(cgi_of(run_out(s)))) return P2_OPEN;
    *e = p2_error(s->in, NET_OK, EPIPE);
    return P2_FAILED;
}
static bool response_ready(void *object) { return response_room(object) || cgi_broken(cgi_of(run_out(object))); }
static void response_listen(void *object, struct engine_fiber *f) { cgi_listen_output(cgi_of(run_out(object)), f); }
static const struct p2_sink sink_response = {response_room, response_write, response_state, {response_ready, response_listen}};

enum abi_trap wasi_cli_stdout_get_stdout(struct host_call *call, struct wasi_io_streams_output_stream **result) {
    return p2_output_stream(call, cgi_of(p2_run(call)) ? &sink_response : &sink_out, NULL, result);
}
enum abi_trap wasi_cli_stderr_get_stderr(struct host_call *call, struct wasi_io_streams_output_stream **result) {
    return p2_output_stream(call, &sink_err, NULL, result);
}

/* ---- terminals: only to be asked whether there is one ---- */

struct wasi_cli_terminal_input_terminal_input {
    struct p2_object o;
};
struct wasi_cli_terminal_output_terminal_output {
    struct p2_object o;
};

void wasi_cli_terminal_input_terminal_input_drop(struct host_instance *in, struct wasi_cli_terminal_input_terminal_input *self) {
    p2_unref(in, self);
}
void wasi_cli_terminal_output_terminal_output_drop(struct host_instance *in,
                                                   struct wasi_cli_terminal_output_terminal_output *self) {
    p2_unref(in, self);
}

enum abi_trap wasi_cli_terminal_stdin_get_terminal_stdin(struct host_call *call,
                                                         struct wasi_p2_option_cli_terminal_input_terminal_input *result) {
    const struct wasi_run_config *config = &p2_run(call)->config;
    if (config->exchange || config->stdin_fd < 0 || !isatty(config->stdin_fd)) return ABI_TRAP_NONE;
    P2_NEW(call, terminal, wasi_cli_terminal_input_terminal_input, NULL);
    result->some = true;
    result->value = terminal;
    return ABI_TRAP_NONE;
}

static enum abi_trap terminal_of(struct host_call *call, const struct wasi_out *out,
                                 struct wasi_p2_option_cli_terminal_output_terminal_output *result) {
    if (p2_run(call)->config.exchange || out->write || out->fd < 0 || !isatty(out->fd)) return ABI_TRAP_NONE;
    P2_NEW(call, terminal, wasi_cli_terminal_output_terminal_output, NULL);
    result->some = true;
    result->value = terminal;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_cli_terminal_stdout_get_terminal_stdout(struct host_call *call,
                                                           struct wasi_p2_option_cli_terminal_output_terminal_output *result) {
    return terminal_of(call, &p2_run(call)->config.out, result);
}
enum abi_trap wasi_cli_terminal_stderr_get_terminal_stderr(struct host_call *call,
                                                           struct wasi_p2_option_cli_terminal_output_terminal_output *result) {
    return terminal_of(call, &p2_run(call)->config.err, result);
}

/* ---- the run of a command ---- */

static err bind(struct wasi_app *app, struct diag *d) {
    app->kind_data = (void *)(uintptr_t)host_component_export(app->component, &wasi_cli_run_run_export, d);
    if (!app->kind_data) return diag_set(d, ERR_LINK, DIAG_NOWHERE, "it does not export wasi:cli/run");
    return ERR_OK;
}

static void run_command(struct wasi_run *run) {
    struct cgi *cgi = cgi_of(run);
    struct host_call call;
    struct wasi_p2_result_void_void result = {};
    host_call_begin(&call, run->in);
    enum abi_trap t = wasi_cli_run_call_run(&call, run->app->kind_data, &result);
    host_call_end(&call);
    int status = t == ABI_TRAP_EXIT ? engine_last_trap(host_instance_engine(run->in))->exit_code : result.is_err;
    if (t != ABI_TRAP_NONE && t != ABI_TRAP_EXIT) wasi_run_end_trap(run, t);
    else if (cgi) cgi_end(cgi, status);
    else {
        run->outcome.exit_status = status;
        wasi_run_end(run, WASI_END_OK, "%s", "");
    }
}

const struct wasi_ops wasi_p2_command_ops = {.bind = bind, .main = run_command};
