/* The HTTP client's own shapes. libcurl runs only on the loop's own stack, from its callbacks: calls of the owner, who may be on
 * a small fiber stack, note what they want and queue the fetch's job. */
#ifndef ORLO_NET_CLIENT_INT_H
#define ORLO_NET_CLIENT_INT_H

#include "net/net_int.h"
#include <curl/curl.h>

enum {
    NET_FETCH_BODY_BYTES = 64 << 10, /* of the response buffered before reading stops; curl may add one block of 16 KiB */
    NET_FETCH_SEND_BYTES = 64 << 10, /* of the request's body buffered */
    NET_FETCH_IDLE_EASY = 16,
};

struct net_client_socket {
    uv_poll_t poll;
    struct net_client *client;
    curl_socket_t fd;
};

struct net_client {
    struct net_loop *loop;
    struct net_client_config c;
    char ca_file[512];
    CURLM *multi;
    uv_timer_t timer, sweep;
    uint8_t closing;
    struct net_job done_job; /* asks curl which transfers ended */
    struct net_fetch *fetches;
    CURL *idle[NET_FETCH_IDLE_EASY];
    uint32_t idle_count;
};

struct net_bytes_queue {
    struct buf b;
    size_t off;
};
static inline size_t net_queue_left(const struct net_bytes_queue *q) { return q->b.n - q->off; }

enum net_fetch_phase { NET_FETCH_NEW, NET_FETCH_CONNECTING, NET_FETCH_SENT, NET_FETCH_HEAD, NET_FETCH_DONE };

struct net_fetch {
    struct net_fetch *next, **prev;
    struct net_client *client;
    struct net_job job;
    struct net_source source;
    struct net_sink sink;
    void (*on_change)(void *arg);
    void *arg;
    arena *mem; /* copies of the request; the response's head and trailers */
    struct net_fetch_request rq;
    CURL *easy;
    struct curl_slist *headers;
    uint8_t phase;
    bool freed, changed, told_sink;
    bool recv_paused, send_paused; /* as curl knows it */
    bool send_finished, send_closed;
    bool has_head;
    bool head_open;                /* between a status line and its empty line */
    bool prohibited, tried;        /* an address was turned down, one was not */
    struct net_addr prohibited_address;
    bool counted;                  /* in rq.quota */
    enum net_error error;
    enum net_error abort;          /* its owner gave up the request's body */
    const char *stop_text;         /* why we ended the transfer */
    char error_text[CURL_ERROR_SIZE];
    uint64_t deadline_ns;
    uint64_t send_left;            /* of the declared content-length; UINT64_MAX: none */
    struct net_response response;
    VEC(struct net_field) fields, trailers;
    uint32_t head_bytes;
    struct net_bytes_queue body, send;
    const struct net_field *send_trailers;
    uint32_t send_trailers_count;
};

/* fetch.c */
err net_fetch_start(struct net_fetch *f);                         /* sets up f->easy */
void net_fetch_ended(struct net_fetch *f, CURLcode result);
void net_fetch_fail(struct net_fetch *f, enum net_error e, const char *text); /* and takes it off curl */
void net_fetch_job(struct net_job *job);
/* client.c */
void net_client_detach(struct net_fetch *f); /* off the multi handle; the easy handle is kept for reuse */
CURL *net_client_easy(struct net_client *c);
uint64_t net_client_deadline(const struct net_client *c, uint32_t ms, uint32_t ms_default);

#endif
