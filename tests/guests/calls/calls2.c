/* A WASI 0.2 HTTP component that does what a request says: / answers, /proxy?PORT passes it on and back, /p?PORT.HEX runs a program of
 * calls (calls.h, and make.py, which makes calls2.wasm anew). A program that calls what it must not is ended by a trap: that is fine. */
#include "calls.h"

enum { ALIVE_MAX = 32 };
static int take(int kind, int own);
static void give(int kind, int handle);
#include "ops.h"

static int alive[KINDS][ALIVE_MAX], count[KINDS];

/* A handle of this type, the newest for a 0; an owned one leaves the pool, unless it is to be used after it is gone. */
static int take(int kind, int own) {
    int b = byte();
    if (b == 255) return byte();
    if (!count[kind]) return skip = 1, 0;
    int i = count[kind] - 1 - b % count[kind], h = alive[kind][i];
    if (own && b < 250) {
        for (; i + 1 < count[kind]; i++) alive[kind][i] = alive[kind][i + 1];
        count[kind]--;
    }
    return h;
}
static void give(int kind, int handle) {
    if (count[kind] < ALIVE_MAX) alive[kind][count[kind]++] = handle;
}

static int ok(void) {
    if (ret[0]) __builtin_trap();
    return *(int *)(ret + 4);
}

static void hello(int outparam) {
    int response = outgoing_response_new(fields_new());
    outgoing_response_body(response, ret);
    int body = ok();
    response_outparam_set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
    outgoing_body_write(body, ret);
    int out = ok();
    output_stream_blocking_write_and_flush(out, (int)"hello\n", 6, ret);
    output_stream_drop(out);
    outgoing_body_finish(body, 0, 0, ret);
}

/* All of it; whatever fails is a trap. The upstream's end may be an error: so is ours then. */
static void pass(int in, int out) {
    do output_stream_blocking_splice(out, in, 1 << 16, ret);
    while (!ret[0]);
    input_stream_drop(in);
    output_stream_drop(out);
}
static void proxy(int request, int outparam) {
    int up = outgoing_request_new(fields_new());
    outgoing_request_set_method(up, 2, 0, 0);
    outgoing_request_set_scheme(up, 1, 0, 0, 0);
    outgoing_request_set_authority(up, 1, (int)authority, (int)authority_n);
    outgoing_request_set_path_with_query(up, 1, (int)"/up", 3);
    outgoing_request_body(up, ret);
    int up_body = ok();
    outgoing_handler_handle(up, 0, 0, ret);
    int future = ret[0] ? (__builtin_trap(), 0) : *(int *)(ret + 8);
    outgoing_body_write(up_body, ret);
    int out = ok();
    incoming_request_consume(request, ret);
    int body = ok();
    incoming_body_stream(body, ret);
    pass(ok(), out);
    incoming_body_drop(body);
    outgoing_body_finish(up_body, 0, 0, ret);
    int ready = future_incoming_response_subscribe(future);
    pollable_block(ready);
    pollable_drop(ready);
    future_incoming_response_get(future, ret);
    if (!ret[0] || ret[8] || ret[16]) __builtin_trap();
    int answer = *(int *)(ret + 24);
    int response = outgoing_response_new(fields_new());
    outgoing_response_set_status_code(response, incoming_response_status(answer));
    outgoing_response_body(response, ret);
    int down_body = ok();
    response_outparam_set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
    outgoing_body_write(down_body, ret);
    out = ok();
    incoming_response_consume(answer, ret);
    body = ok();
    incoming_body_stream(body, ret);
    pass(ok(), out);
    incoming_body_drop(body);
    outgoing_body_finish(down_body, 0, 0, ret);
}

#define OP(name, fn) fn /* make.py reads the names */
static void (*const more[])(void) = {
    OP("again", again),
};

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void handle(int request, int outparam) {
    incoming_request_path_with_query(request, ret);
    if (ret[0]) path = *(const char **)(ret + 4), path_n = *(size_t *)(ret + 8);
    if (!is("/p") && !is("/proxy")) return hello(outparam);
    read_program();
    if (is("/proxy")) return proxy(request, outparam);
    give(K_INCOMING_REQUEST, request);
    give(K_RESPONSE_OUTPARAM, outparam);
    enum { OPS = sizeof ops / sizeof *ops, MORE = sizeof more / sizeof *more };
    while (at < program_n) {
        unsigned i = (unsigned)byte() % (OPS + MORE);
        skip = 0;
        (i < OPS ? ops[i] : more[i - OPS])();
    }
}
