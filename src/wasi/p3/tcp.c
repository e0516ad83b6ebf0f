/* p3: wasi:sockets/types tcp-socket.
 *
 *   listener   net_sock ──accept──> stream<tcp-socket>
 *   receiver   net_sock ──────────> stream<u8>, and a future of how it ended
 *   sender     stream<u8> ────────> net_sock, and a future of how it ended:   DRAINING ──> FLUSHING (its queue) ──> over
 *
 * 1. Each keeps its socket. A sender outlives its stream while bytes are queued; should the instance end meanwhile, net_sock sends
 *    them on its own.
 * 2. Receiving takes from the kernel what the guest asks for, and no more: a guest that does not read slows its peer.
 */
#include "wasi/p3/sock.h"
#include <stdlib.h>

enum { CHUNK_BYTES = 64 << 10, GLANCE_BYTES = 4 << 10, LIMIT_RETRY_MS = 50 };

struct wasi3_sockets_types_tcp_socket {
    struct wasi_sock s; /* must be first */
};
typedef struct wasi3_sockets_types_tcp_socket tcp_socket;

static enum abi_trap no_memory(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for another stream of a socket");
}

static void *make(struct host_instance *in, size_t n) {
    if (!host_charge(in, n)) return NULL;
    void *p = calloc(1, n);
    ENSURE(p);
    return p;
}

enum abi_trap
wasi3_sockets_types_tcp_socket_create(struct host_call *call, enum wasi3_sockets_types_ip_address_family address_family,
                                      struct wasi_p3_result_sockets_types_tcp_socket_sockets_types_error_code *result) {
    bool v6 = address_family == WASI3_SOCKETS_TYPES_IP_ADDRESS_FAMILY_IPV6;
    return P3_SOCK_SAY(result, wasi_sock_new(call->instance, sizeof(tcp_socket), NET_SOCK_TCP, v6, &result->ok));
}
void wasi3_sockets_types_tcp_socket_drop(struct host_instance *in, tcp_socket *self) { app_object_unref(in, self); }

enum abi_trap wasi3_sockets_types_tcp_socket_bind(struct host_call *call, tcp_socket *self,
                                                  const struct wasi3_sockets_types_ip_socket_address *local_address,
                                                  wasi_p3_sock_result *result) {
    struct net_addr a = SOCK_ADDR(local_address);
    return P3_SOCK_SAY(result, wasi_sock_bind(&self->s, &a));
}

static bool try_connect(struct wasi_p3_sock_op *op) {
    enum net_sock_error e = wasi_sock_tcp_connected(op->s);
    if (e == NET_SOCK_WOULD_BLOCK) return false;
    *(wasi_p3_sock_result *)op->result = wasi_p3_sock_result_of(e);
    return true;
}

enum abi_trap wasi3_sockets_types_tcp_socket_connect(struct host_call *call, tcp_socket *self,
                                                     const struct wasi3_sockets_types_ip_socket_address *remote_address,
                                                     wasi_p3_sock_result *result) {
    struct net_addr a = SOCK_ADDR(remote_address);
    enum net_sock_error e = wasi_sock_tcp_connect(&self->s, &a);
    if (e != NET_SOCK_OK) return P3_SOCK_SAY(result, e);
    return wasi_p3_sock_perform(call, &self->s,
                                &(struct wasi_p3_sock_op){.try = try_connect, .event = NET_WRITABLE, .result = result});
}

/* ---- listening ---- */

struct listener {
    struct host_instance *in;
    struct wasi_sock *s; /* referenced */
    struct wasi_p3_feed *feed;
    struct net_wait wait;
    struct net_timer *retry; /* of an accept that met a limit */
    tcp_socket *next;        /* accepted, and not yet taken */
};

static void listener_wake(void *arg) { wasi_p3_feed_wake(((struct listener *)arg)->feed); }

static enum net_flow listener_peek(void *arg, size_t want, const void **p, size_t *n) {
    struct listener *l = arg;
    enum net_sock_error e = l->next ? NET_SOCK_OK : wasi_sock_tcp_accept(l->s, sizeof *l->next, &l->next);
    switch (e) {
    case NET_SOCK_OK:
        *p = &l->next;
        *n = 1;
        return NET_FLOW_DATA;
    case NET_SOCK_WOULD_BLOCK: net_sock_wait(l->s->sock, NET_READABLE, &l->wait, listener_wake, l); return NET_FLOW_WAIT;
    case NET_SOCK_SOCKET_LIMIT:
    case NET_SOCK_OUT_OF_MEMORY: net_timer_start(l->retry, LIMIT_RETRY_MS, 0); return NET_FLOW_WAIT;
    default: return NET_FLOW_FAILED;
    }
}
static void listener_consume(void *arg, size_t n) { ((struct listener *)arg)->next = NULL; }

static void listener_over(void *arg) {
    struct listener *l = arg;
    net_wait_cancel(&l->wait);
    net_timer_free(l->retry);
    app_object_unref(l->in, l->next);
    app_object_unref(l->in, l->s);
    host_uncharge(l->in, sizeof *l);
    free(l);
}
static const struct wasi_p3_feed_ops listener_ops = {listener_peek, listener_consume, listener_over};

enum abi_trap
wasi3_sockets_types_tcp_socket_listen(struct host_call *call, tcp_socket *self,
                                      struct wasi_p3_result_stream_sockets_types_tcp_socket_sockets_types_error_code *result) {
    enum net_sock_error e = wasi_sock_tcp_listen(&self->s);
    if (e != NET_SOCK_OK) return P3_SOCK_SAY(result, e);
    struct listener *l = make(call->instance, sizeof *l);
    if (!l) return no_memory(call);
    l->in = call->instance;
    l->s = app_object_ref(self);
    l->retry = net_timer_new(wasi_caller(call)->base.app->loop, listener_wake, l);
    result->ok = wasi_p3_feed_new(l->in, &listener_ops, l, &l->feed);
    if (result->ok) return ABI_TRAP_NONE;
    listener_over(l);
    return no_memory(call);
}

/* ---- receiving ---- */

struct receiver {
    struct host_instance *in;
    struct wasi_sock *s; /* referenced; NULL: it ended before it began */
    struct wasi_p3_feed *feed;
    struct wasi_p3_promise *promise;
    struct net_wait wait;
    enum net_sock_error error;
    uint8_t *bytes; /* heap; NULL: none */
    size_t at, n;
};

static void receiver_wake(void *arg) { wasi_p3_feed_wake(((struct receiver *)arg)->feed); }

static void drop_bytes(struct receiver *r) {
    free(r->bytes);
    r->bytes = NULL;
}

static enum net_flow receive_some(struct receiver *r, size_t want) {
    size_t max = want ? MIN(want, (size_t)CHUNK_BYTES) : GLANCE_BYTES;
    r->bytes = malloc(max); /* its cost is in what a socket is charged */
    ENSURE(r->bytes);
    r->at = r->n = 0;
    enum net_sock_error e = net_sock_receive(r->s->sock, r->bytes, max, &r->n);
    if (r->n) return NET_FLOW_DATA;
    drop_bytes(r);
    if (e == NET_SOCK_WOULD_BLOCK) {
        net_sock_wait(r->s->sock, NET_READABLE, &r->wait, receiver_wake, r);
        return NET_FLOW_WAIT;
    }
    r->error = e;
    return e == NET_SOCK_OK ? NET_FLOW_END : NET_FLOW_FAILED;
}

static enum net_flow receiver_peek(void *arg, size_t want, const void **p, size_t *n) {
    struct receiver *r = arg;
    enum net_flow flow = !r->s ? NET_FLOW_FAILED : r->bytes ? NET_FLOW_DATA : receive_some(r, want);
    if (flow == NET_FLOW_DATA) {
        *p = r->bytes + r->at;
        *n = r->n - r->at;
    }
    return flow;
}

static void receiver_consume(void *arg, size_t n) {
    struct receiver *r = arg;
    r->at += n;
    if (r->at == r->n) drop_bytes(r);
}

static void receiver_over(void *arg) {
    struct receiver *r = arg;
    struct wasi_p3_promise *promise = r->promise;
    wasi_p3_sock_result result = wasi_p3_sock_result_of(r->error);
    net_wait_cancel(&r->wait);
    drop_bytes(r);
    if (r->s) wasi_sock_tcp_shut(r->s, true, false);
    app_object_unref(r->in, r->s);
    host_uncharge(r->in, sizeof *r);
    free(r);
    wasi_p3_promise_keep(promise, &result, NULL);
}
static const struct wasi_p3_feed_ops receiver_ops = {receiver_peek, receiver_consume, receiver_over};

enum abi_trap
wasi3_sockets_types_tcp_socket_receive(struct host_call *call, tcp_socket *self,
                                       struct wasi_p3_tuple2_stream_u8_future_result_void_sockets_types_error_code *result) {
    struct receiver *r = make(call->instance, sizeof *r);
    if (!r) return no_memory(call);
    r->in = call->instance;
    result->f1 = wasi_p3_promise_new(r->in, sizeof(wasi_p3_sock_result), &r->promise);
    result->f0 = result->f1 ? wasi_p3_feed_new(r->in, &receiver_ops, r, &r->feed) : NULL;
    if (!result->f0) {
        if (result->f1) {
            wasi_p3_promise_abandon(r->promise);
            host_future_close(result->f1);
        }
        host_uncharge(r->in, sizeof *r);
        free(r);
        return no_memory(call);
    }
    r->error = wasi_sock_tcp_take_receiving(&self->s);
    if (r->error == NET_SOCK_OK) {
        r->s = app_object_ref(self);
    } else {
        wasi_p3_feed_stop(r->feed);
        receiver_over(r);
    }
    return ABI_TRAP_NONE;
}

/* ---- sending ---- */

struct sender {
    struct host_instance *in;
    struct wasi_sock *s;         /* referenced */
    struct wasi_p3_drain *drain; /* NULL: FLUSHING */
    struct wasi_p3_promise *promise;
    struct net_wait wait;
    struct app_late late; /* while FLUSHING */
};

/* Everything was sent, or will not be. */
static void sender_end(struct sender *w, enum net_sock_error e) {
    struct wasi_p3_promise *promise = w->promise;
    wasi_p3_sock_result result = wasi_p3_sock_result_of(e);
    net_wait_cancel(&w->wait);
    wasi_sock_tcp_shut(w->s, false, true);
    app_object_unref(w->in, w->s);
    host_uncharge(w->in, sizeof *w);
    free(w);
    wasi_p3_promise_keep(promise, &result, NULL);
}

static void sender_wake(void *arg) {
    struct sender *w = arg;
    enum net_sock_error e = net_sock_queue_error(w->s->sock);
    if (e == NET_SOCK_OK) {
        wasi_p3_drain_wake(w->drain);
        return;
    }
    wasi_p3_drain_stop(w->drain);
    sender_end(w, e);
}

static size_t sender_room(void *arg) {
    struct sender *w = arg;
    size_t room = net_sock_room(w->s->sock);
    if (!room) net_sock_wait(w->s->sock, NET_WRITABLE, &w->wait, sender_wake, w);
    return room;
}

static bool sender_write(void *arg, str bytes) {
    struct sender *w = arg;
    enum net_sock_error e = net_sock_queue_error(w->s->sock);
    if (e == NET_SOCK_OK) e = net_sock_write(w->s->sock, bytes);
    if (e == NET_SOCK_OK) return true;
    sender_end(w, e);
    return false;
}

static void sender_flushed(void *arg) {
    struct sender *w = arg;
    app_late_remove(&w->late);
    sender_end(w, net_sock_queue_error(w->s->sock));
}
static void sender_gone(struct app_late *l) { sender_end(container_of(l, struct sender, late), NET_SOCK_CONNECTION_ABORTED); }

static void sender_over(void *arg, bool gone) {
    struct sender *w = arg;
    w->drain = NULL;
    net_wait_cancel(&w->wait);
    if (gone || net_sock_room(w->s->sock)) {
        sender_end(w, net_sock_queue_error(w->s->sock));
        return;
    }
    wasi_sock_tcp_shut(w->s, false, true); /* once the queue is empty */
    app_late_add(app_instance_of(w->in), &w->late, sender_gone);
    net_sock_wait(w->s->sock, NET_WRITABLE, &w->wait, sender_flushed, w);
}
static const struct wasi_p3_drain_ops sender_ops = {sender_room, sender_write, sender_over};

enum abi_trap wasi3_sockets_types_tcp_socket_send(struct host_call *call, tcp_socket *self, struct host_stream *data,
                                                  struct host_future **result) {
    struct wasi_p3_promise *promise;
    *result = wasi_p3_promise_new(call->instance, sizeof(wasi_p3_sock_result), &promise);
    if (!*result) {
        host_stream_close(data);
        return no_memory(call);
    }
    struct sender *w = NULL;
    enum net_sock_error e = wasi_sock_tcp_take_sending(&self->s);
    if (e == NET_SOCK_OK) {
        w = make(call->instance, sizeof *w);
        if (!w) e = NET_SOCK_OUT_OF_MEMORY;
    }
    if (!w) {
        wasi_p3_sock_result r = wasi_p3_sock_result_of(e);
        host_stream_close(data);
        wasi_p3_promise_keep(promise, &r, NULL);
        return ABI_TRAP_NONE;
    }
    *w = (struct sender){.in = call->instance, .s = app_object_ref(self), .promise = promise};
    w->drain = wasi_p3_drain_new(w->in, data, &sender_ops, w);
    if (w->drain) wasi_p3_drain_wake(w->drain);
    else sender_end(w, NET_SOCK_OUT_OF_MEMORY);
    return ABI_TRAP_NONE;
}

/* ---- properties ---- */

enum abi_trap wasi3_sockets_types_tcp_socket_get_is_listening(struct host_call *call, tcp_socket *self, bool *result) {
    *result = self->s.state == SOCK_LISTENING;
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_sockets_types_tcp_socket_set_listen_backlog_size(struct host_call *call, tcp_socket *self, uint64_t value,
                                                                     wasi_p3_sock_result *result) {
    return P3_SOCK_SAY(result, wasi_sock_tcp_set_backlog(&self->s, value));
}
P3_SOCK_FAMILY(wasi3_sockets_types_tcp_socket)
P3_SOCK_ADDRESS(wasi3_sockets_types_tcp_socket, get_local_address, wasi_sock_local)
P3_SOCK_ADDRESS(wasi3_sockets_types_tcp_socket, get_remote_address, wasi_sock_remote)
#define OPTION(name, option, type, r)                                                                                            \
    P3_SOCK_OPTION(wasi3_sockets_types_tcp_socket, name, option, type, wasi_p3_result_##r##_sockets_types_error_code)
#include "wasi/sock/tcp_option.def"
#undef OPTION
