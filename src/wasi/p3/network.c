/* p3: what sockets share: errors, operations that wait; and wasi:sockets/ip-name-lookup. */
#include "wasi/p3/sock.h"
#include <stdlib.h>

struct wasi3_sockets_types_error_code wasi_p3_sock_error(enum net_sock_error e) {
    static const enum wasi3_sockets_types_error_code_tag codes[] = {
#define X(name, p2, p3, text) [NET_SOCK_##name] = WASI3_SOCKETS_TYPES_ERROR_CODE_##p3,
#include "net/sock_error.def"
#undef X
    };
    return (struct wasi3_sockets_types_error_code){.tag = codes[e]};
}

wasi_p3_sock_result wasi_p3_sock_result_of(enum net_sock_error e) {
    wasi_p3_sock_result r = {.is_err = e != NET_SOCK_OK};
    if (r.is_err) r.err = wasi_p3_sock_error(e);
    return r;
}

/* ---- operations that wait ---- */

static void op_free(struct wasi_p3_sock_op *op) {
    struct host_instance *in = op->s->in;
    net_wait_cancel(&op->wait);
    app_object_unref(in, op->s);
    host_uncharge(in, sizeof *op);
    free(op);
}

static void op_try(void *arg) {
    struct wasi_p3_sock_op *op = arg;
    if (!op->try(op)) {
        net_sock_wait(op->s->sock, op->event, &op->wait, op_try, op);
        return;
    }
    struct host_pending *pending = op->pending;
    op_free(op);
    host_pending_done(pending);
}

static void op_gone(struct host_pending *pending, void *arg) { op_free(arg); }
static void op_cancel(struct host_pending *pending, void *arg) {
    op_free(arg);
    host_pending_cancelled(pending);
}
static const struct host_pending_ops op_ops = {op_cancel, op_gone};

enum abi_trap wasi_p3_sock_perform(struct host_call *call, struct wasi_sock *s, const struct wasi_p3_sock_op *like) {
    struct wasi_p3_sock_op first = *like, *op;
    first.call = call;
    first.s = s;
    if (first.try(&first)) return ABI_TRAP_NONE;
    if (!host_charge(s->in, sizeof *op)) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many calls at once");
    op = malloc(sizeof *op);
    ENSURE(op);
    *op = first;
    app_object_ref(s);
    op->pending = host_pend(call, &op_ops, op);
    if (!op->pending) {
        op_free(op);
        return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many calls at once");
    }
    net_sock_wait(s->sock, op->event, &op->wait, op_try, op);
    return ABI_TRAP_NONE;
}

/* ---- ip-name-lookup ---- */

typedef struct wasi_p3_result_list_sockets_types_ip_address_sockets_ip_name_lookup_error_code lookup_result;

struct lookup_op {
    struct host_instance *in;
    struct host_call *call;
    struct host_pending *pending;
    struct wasi_sock_lookup lookup;
    lookup_result *result;
};

static void name_error(enum wasi_sock_name_error e, lookup_result *result) {
    static const enum wasi3_sockets_ip_name_lookup_error_code_tag codes[] = {
        [SOCK_NAME_DENIED] = WASI3_SOCKETS_IP_NAME_LOOKUP_ERROR_CODE_ACCESS_DENIED,
        [SOCK_NAME_INVALID] = WASI3_SOCKETS_IP_NAME_LOOKUP_ERROR_CODE_INVALID_ARGUMENT,
        [SOCK_NAME_NONE] = WASI3_SOCKETS_IP_NAME_LOOKUP_ERROR_CODE_NAME_UNRESOLVABLE,
        [SOCK_NAME_TEMPORARY] = WASI3_SOCKETS_IP_NAME_LOOKUP_ERROR_CODE_TEMPORARY_RESOLVER_FAILURE,
        [SOCK_NAME_PERMANENT] = WASI3_SOCKETS_IP_NAME_LOOKUP_ERROR_CODE_PERMANENT_RESOLVER_FAILURE,
    };
    result->is_err = true;
    result->err.tag = codes[e];
}

static void put_addresses(struct lookup_op *op) {
    uint32_t count;
    const struct net_addr *list = wasi_sock_lookup_addresses(&op->lookup, &count);
    op->result->ok.p = host_alloc(op->call, count * sizeof *op->result->ok.p, _Alignof(struct wasi3_sockets_types_ip_address));
    if (!op->result->ok.p) {
        name_error(SOCK_NAME_TEMPORARY, op->result);
        return;
    }
    op->result->ok.n = count;
    memset(op->result->ok.p, 0, count * sizeof *op->result->ok.p);
    for (uint32_t i = 0; i < count; i++) SOCK_PUT_IP(&list[i], &op->result->ok.p[i]);
}

static void answer(struct lookup_op *op) {
    if (op->lookup.error != SOCK_NAME_OK) name_error(op->lookup.error, op->result);
    else put_addresses(op);
}

static void lookup_free(struct lookup_op *op) {
    wasi_sock_lookup_end(&op->lookup);
    host_uncharge(op->in, sizeof *op);
    free(op);
}

static void on_answer(void *arg) {
    struct lookup_op *op = arg;
    struct host_pending *pending = op->pending;
    answer(op);
    lookup_free(op);
    host_pending_done(pending);
}

static void lookup_gone(struct host_pending *pending, void *arg) { lookup_free(arg); }
static void lookup_cancel(struct host_pending *pending, void *arg) {
    lookup_free(arg);
    host_pending_cancelled(pending);
}
static const struct host_pending_ops lookup_ops = {lookup_cancel, lookup_gone};

enum abi_trap wasi3_sockets_ip_name_lookup_resolve_addresses(struct host_call *call, str name, lookup_result *result) {
    if (!host_charge(call->instance, sizeof(struct lookup_op)))
        return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many lookups at once");
    struct lookup_op *op = malloc(sizeof *op);
    ENSURE(op);
    *op = (struct lookup_op){.in = call->instance, .call = call, .result = result};
    wasi_sock_lookup_start(&op->lookup, call->instance, name, on_answer, op);
    if (!op->lookup.lookup) {
        answer(op);
        lookup_free(op);
        return ABI_TRAP_NONE;
    }
    op->pending = host_pend(call, &lookup_ops, op);
    if (op->pending) return ABI_TRAP_NONE;
    lookup_free(op);
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many lookups at once");
}
