/* p2: wasi:cli, and the run of a command component: by itself, or served as a CGI program (http/cgi.h).
 */
#include "wasi/http/cgi.h"
#include "wasi/p2/p2_int.h"
#include "wasi/sys.h"
#include <errno.h>

/* ---- environment ---- */

enum abi_trap wasi_cli_environment_get_environment(struct host_call *call, struct wasi_p2_list_tuple2_string_string *result) {
    struct wasi_sys_pairs pairs = {};
    enum abi_trap t = wasi_sys_environment(call, &pairs);
    static_assert(sizeof *result->p == sizeof *pairs.p && sizeof *result == sizeof pairs);
    memcpy(result, &pairs, sizeof pairs);
    return t;
}

enum abi_trap wasi_cli_environment_get_arguments(struct host_call *call, struct wasi_p2_list_string *result) {
    struct wasi_sys_strings strings = {};
    enum abi_trap t = wasi_sys_arguments(call, &strings);
    *result = (struct wasi_p2_list_string){strings.p, strings.n};
    return t;
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

static struct wasi_cgi *cgi_in(void *stream) {
    return wasi_sys_cgi(wasi_instance_of(((struct wasi_io_streams_input_stream *)stream)->in));
}
static enum net_flow request_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                                  struct wasi_io_error_error **e) {
    enum net_flow flow = wasi_cgi_read(cgi_in(s), p, n, got);
    if (flow == NET_FLOW_FAILED) *e = wasi_p2_error(s->in, NET_OK, EIO);
    return flow;
}
static bool request_ready(void *object) { return wasi_cgi_readable(cgi_in(object)); }
static void request_listen(void *object, struct engine_fiber *f) {
    wasi_cgi_listen_input(cgi_in(object), f ? wasi_p2_wake : NULL, f);
}
static const struct wasi_p2_source source_request = {request_read, {request_ready, request_listen}};

enum abi_trap wasi_cli_stdin_get_stdin(struct host_call *call, struct wasi_io_streams_input_stream **result) {
    struct wasi_instance *i = wasi_caller(call);
    bool fd = i->run && !i->run->request->exchange && i->run->config.stdin_fd >= 0;
    enum abi_trap t = wasi_p2_input_stream(call,
                                           wasi_sys_cgi(i) ? &source_request
                                           : fd            ? &wasi_p2_source_fd
                                                           : &wasi_p2_source_empty,
                                           NULL, result);
    if (!t && fd) (*result)->fd = i->run->config.stdin_fd;
    return t;
}

/* ---- standard output and error ---- */

enum { ROOM = 64 << 10, LOG_ROOM = 16 << 10 /* what becomes lines of the log is more work */ };

static const struct app_request *request_of(struct wasi_io_streams_output_stream *s) { return app_request_in(s->in); }
static struct wasi_cgi *cgi_out(void *stream) {
    return wasi_sys_cgi(wasi_instance_of(((struct wasi_io_streams_output_stream *)stream)->in));
}
static size_t out_room(struct wasi_io_streams_output_stream *s) { return request_of(s)->out.write ? LOG_ROOM : ROOM; }
static size_t err_room(struct wasi_io_streams_output_stream *s) { return request_of(s)->err.write ? LOG_ROOM : ROOM; }
static bool put(struct wasi_io_streams_output_stream *s, const struct app_out *out, str bytes, struct wasi_io_error_error **e) {
    int error = app_out_write(out, bytes);
    if (error) *e = wasi_p2_error(s->in, NET_OK, error);
    return !error;
}
static bool out_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    return put(s, &request_of(s)->out, bytes, e);
}
static bool err_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    return put(s, &request_of(s)->err, bytes, e);
}
static enum wasi_p2_state out_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **e) { return P2_OPEN; }
static bool out_ready(void *object) { return true; }
static void out_listen(void *object, struct engine_fiber *f) {}
static const struct wasi_p2_sink sink_out = {out_room, out_write, out_state, {out_ready, out_listen}};
static const struct wasi_p2_sink sink_err = {err_room, err_write, out_state, {out_ready, out_listen}};

static size_t response_room(struct wasi_io_streams_output_stream *s) { return wasi_cgi_room(cgi_out(s)); }
static bool response_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    int error = 0;
    enum abi_trap t = wasi_cgi_write(cgi_out(s), bytes, &error);
    if (error) *e = wasi_p2_error(s->in, NET_OK, error);
    return !t && !error;
}
static enum wasi_p2_state response_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **e) {
    if (!wasi_cgi_broken(cgi_out(s))) return P2_OPEN;
    *e = wasi_p2_error(s->in, NET_OK, EPIPE);
    return P2_FAILED;
}
static bool response_ready(void *object) { return response_room(object) || wasi_cgi_broken(cgi_out(object)); }
static void response_listen(void *object, struct engine_fiber *f) {
    wasi_cgi_listen_output(cgi_out(object), f ? wasi_p2_wake : NULL, f);
}
static const struct wasi_p2_sink sink_response = {
    response_room, response_write, response_state, {response_ready, response_listen}};

enum abi_trap wasi_cli_stdout_get_stdout(struct host_call *call, struct wasi_io_streams_output_stream **result) {
    return wasi_p2_output_stream(call, wasi_sys_cgi(wasi_caller(call)) ? &sink_response : &sink_out, NULL, result);
}
enum abi_trap wasi_cli_stderr_get_stderr(struct host_call *call, struct wasi_io_streams_output_stream **result) {
    return wasi_p2_output_stream(call, &sink_err, NULL, result);
}

/* ---- terminals: only to be asked whether there is one (wasi_sys_terminal) ---- */

void wasi_cli_terminal_input_terminal_input_drop(struct host_instance *in, struct wasi_cli_terminal_input_terminal_input *self) {
    app_object_unref(in, self);
}
void wasi_cli_terminal_output_terminal_output_drop(struct host_instance *in,
                                                   struct wasi_cli_terminal_output_terminal_output *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_cli_terminal_stdin_get_terminal_stdin(struct host_call *call,
                                                         struct wasi_p2_option_cli_terminal_input_terminal_input *result) {
    return wasi_sys_terminal(call, SYS_STDIN, &result->some, (void **)&result->value);
}
enum abi_trap wasi_cli_terminal_stdout_get_terminal_stdout(struct host_call *call,
                                                           struct wasi_p2_option_cli_terminal_output_terminal_output *result) {
    return wasi_sys_terminal(call, SYS_STDOUT, &result->some, (void **)&result->value);
}
enum abi_trap wasi_cli_terminal_stderr_get_terminal_stderr(struct host_call *call,
                                                           struct wasi_p2_option_cli_terminal_output_terminal_output *result) {
    return wasi_sys_terminal(call, SYS_STDERR, &result->some, (void **)&result->value);
}

/* ---- the run of a command ---- */

static err bind(struct wasi_image *image, struct diag *d) {
    image->kind_data = (void *)(uintptr_t)host_component_export(image->component, &wasi_cli_run_run_export, d);
    if (!image->kind_data) return diag_set(d, ERR_LINK, DIAG_NOWHERE, "it does not export wasi:cli/run");
    return ERR_OK;
}

static void run_command(struct wasi_run *run) {
    struct wasi_cgi *cgi = wasi_sys_cgi(run->i);
    if (run->ended) return;
    struct host_call call;
    struct wasi_p2_result_void_void result = {};
    host_call_begin(&call, run->i->base.in);
    enum abi_trap t = wasi_cli_run_call_run(&call, run->image->kind_data, &result);
    host_call_end(&call);
    int status = t == ABI_TRAP_EXIT ? engine_last_trap(host_instance_engine(run->i->base.in))->exit_code : result.is_err;
    if (t != ABI_TRAP_NONE && t != ABI_TRAP_EXIT) wasi_run_end_trap(run, t);
    else if (cgi) wasi_cgi_end(cgi, status);
    else {
        run->outcome.exit_status = status;
        wasi_run_end(run, WASI_END_OK, "%s", "");
    }
}

const struct wasi_ops wasi_p2_command_ops = {.bind = bind, .main = run_command, .cgi = true};
