/* p2: a WASI 0.2 component that answers HTTP: wasi:http/incoming-handler, one request an instance. */
#include "wasi/p2/p2_int.h"

static err bind(struct wasi_image *image, struct diag *d) {
    const struct host_export *ex = host_component_export(image->component, &wasi_http_incoming_handler_handle_export, d);
    image->kind_data = (void *)(uintptr_t)ex;
    return ex ? ERR_OK : diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it does not export wasi:http/incoming-handler");
}

/* The two arguments of handle; false: over a limit. */
static bool make_arguments(struct wasi_run *run, struct wasi_http_types_incoming_request **request,
                           struct wasi_http_types_response_outparam **out) {
    struct net_exchange *x = run->request->exchange;
    *request = app_object_new(run->i->base.in, sizeof **request, NULL);
    *out = *request ? app_object_new(run->i->base.in, sizeof **out, NULL) : NULL;
    if (!*out) {
        app_object_unref(run->i->base.in, *request);
        return false;
    }
    (*request)->exchange = x;
    (*request)->request = net_exchange_request(x);
    (*request)->https = str_eqc((*request)->request->scheme, "https");
    (*out)->exchange = x;
    return true;
}

/* handle has returned. The response must be whole: the guest runs no more. */
static void conclude(struct wasi_run *run, const struct wasi_p2_served *served) {
    if (!served->answered) wasi_run_end(run, WASI_END_NO_RESPONSE, "%s", "it returned without setting its response");
    else if (served->body && served->body->error == NET_HTTP_RESPONSE_BODY_SIZE)
        wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "its body is not as long as its content-length says");
    else if (served->body && !served->body->finished)
        wasi_run_end(run, WASI_END_NO_RESPONSE, "it returned without finishing the body of its response, whose status is %u",
                     net_exchange_stats(run->request->exchange).status);
    else if (net_sink_error(net_exchange_sink(run->request->exchange)) != NET_OK)
        wasi_run_end(run, WASI_END_CLIENT_GONE, "%s", "");
    else wasi_run_end(run, WASI_END_OK, "%s", "");
}

static void unref_body(void *arg) {
    struct wasi_run *run = arg;
    app_object_unref(run->i->base.in, ((struct wasi_p2_served *)run->state)->body);
}

static void run_handler(struct wasi_run *run) {
    struct wasi_p2_served *served = arena_make(run->i->base.mem, struct wasi_p2_served);
    run->state = served;
    arena_cleanup(run->i->base.mem, unref_body, run);
    struct wasi_http_types_incoming_request *request;
    struct wasi_http_types_response_outparam *out;
    if (!make_arguments(run, &request, &out)) {
        wasi_run_end(run, WASI_END_LIMIT, "%s", "the host memory of an instance is too small for a request");
        return;
    }
    struct host_call call;
    host_call_begin(&call, run->i->base.in);
    enum abi_trap t = wasi_http_incoming_handler_call_handle(&call, run->image->kind_data, request, out);
    host_call_end(&call);
    if (!t && served->body && !wasi_p2_body_flush(run, served->body)) t = ABI_TRAP_INTERRUPTED;
    if (t) wasi_run_end_trap(run, t);
    else conclude(run, served);
}

const struct wasi_ops wasi_p2_http_ops = {.bind = bind, .main = run_handler};
