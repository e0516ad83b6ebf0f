/* client: libcurl's multi interface on the loop.
 *
 *   curl says which sockets to watch (on_socket) and when to come back (on_timer); the loop calls curl_multi_socket_action;
 *   transfers that ended are collected in a job of the same turn, so that nobody is called back from inside curl.
 */
#include "net/client_int.h"

static void act(struct net_client *c, curl_socket_t fd, int mask) {
    int running;
    curl_multi_socket_action(c->multi, fd, mask, &running);
    net_job_queue(c->loop, &c->done_job);
}

static void collect_done(struct net_job *job) {
    struct net_client *c = container_of(job, struct net_client, done_job);
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left))) {
        if (m->msg != CURLMSG_DONE) continue;
        struct net_fetch *f = NULL;
        CURLcode result = m->data.result; /* m dies with the handle */
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        net_fetch_ended(f, result);
    }
}

static void on_poll(uv_poll_t *h, int status, int events) {
    struct net_client_socket *s = container_of(h, struct net_client_socket, poll);
    int mask = status < 0 ? CURL_CSELECT_ERR : (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    act(s->client, s->fd, mask);
}

static void free_socket(uv_handle_t *h) { free(container_of((uv_poll_t *)h, struct net_client_socket, poll)); }

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg) {
    struct net_client *c = arg;
    struct net_client_socket *s = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) uv_close((uv_handle_t *)&s->poll, free_socket);
        curl_multi_assign(c->multi, fd, NULL);
        return 0;
    }
    if (!s) {
        s = calloc(1, sizeof *s);
        ENSURE(s);
        *s = (struct net_client_socket){.client = c, .fd = fd};
        if (uv_poll_init(&c->loop->uv, &s->poll, fd) != 0) {
            free(s);
            return -1;
        }
        curl_multi_assign(c->multi, fd, s);
    }
    uv_poll_start(&s->poll, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0), on_poll);
    return 0;
}

static void on_timeout(uv_timer_t *h) { act(container_of(h, struct net_client, timer), CURL_SOCKET_TIMEOUT, 0); }

static int on_timer(CURLM *multi, long ms, void *arg) {
    struct net_client *c = arg;
    (void)multi;
    if (ms < 0) uv_timer_stop(&c->timer);
    else uv_timer_start(&c->timer, on_timeout, (uint64_t)ms, 0);
    return 0;
}

/* ---- deadlines ---- */

uint64_t net_client_deadline(const struct net_client *c, uint32_t ms, uint32_t ms_default) {
    if (!ms) ms = ms_default;
    return ms == NET_NO_LIMIT ? 0 : net_loop_now_ns(c->loop) + ms * 1000000ull;
}

static void expire(struct net_fetch *f) {
    f->deadline_ns = 0;
    if (f->phase == NET_FETCH_CONNECTING) {
        curl_off_t looked_up = 0;
        if (f->easy) curl_easy_getinfo(f->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up);
        if (looked_up) net_fetch_fail(f, NET_CONNECTION_TIMEOUT, "connecting took too long");
        else net_fetch_fail(f, NET_DNS_TIMEOUT, "the name lookup took too long");
    } else if (f->phase == NET_FETCH_SENT) {
        net_fetch_fail(f, NET_HTTP_RESPONSE_TIMEOUT, "no response came in time");
    } else {
        net_fetch_fail(f, NET_CONNECTION_READ_TIMEOUT, "the response's body took too long");
    }
}

static void on_sweep(uv_timer_t *h) {
    struct net_client *c = container_of(h, struct net_client, sweep);
    uint64_t now = net_loop_now_ns(c->loop);
    for (struct net_fetch *f = c->fetches; f; f = f->next)
        if (f->deadline_ns && now >= f->deadline_ns && f->phase < NET_FETCH_DONE && !f->freed) expire(f); /* tells by job: f stays */
    if (!c->fetches) uv_timer_stop(&c->sweep);
}

/* ---- handles ---- */

CURL *net_client_easy(struct net_client *c) {
    CURL *easy = c->idle_count ? c->idle[--c->idle_count] : curl_easy_init();
    ENSURE(easy);
    if (!uv_is_active((uv_handle_t *)&c->sweep)) uv_timer_again(&c->sweep);
    return easy;
}

void net_client_detach(struct net_fetch *f) {
    struct net_client *c = f->client;
    if (!f->easy) return;
    curl_multi_remove_handle(c->multi, f->easy);
    bool had_trailers = f->rq.has_body && f->send_left == UINT64_MAX; /* curl 7.88 forgets to reset their state: a later upload would overflow */
    if (c->idle_count < NET_FETCH_IDLE_EASY && !had_trailers) {
        curl_easy_reset(f->easy);
        c->idle[c->idle_count++] = f->easy;
    } else {
        curl_easy_cleanup(f->easy);
    }
    f->easy = NULL;
    curl_slist_free_all(f->headers);
    f->headers = NULL;
}

err net_client_new(const struct net_client_config *config, struct net_client **out, struct diag *d) {
    enum { SWEEP_MS = 50 };
    static bool ready;
    *out = NULL;
    if (!ready && curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) return diag_set(d, ERR_IO, DIAG_NOWHERE, "libcurl does not start");
    ready = true;
    struct net_client *c = calloc(1, sizeof *c);
    ENSURE(c);
    c->loop = config->loop;
    c->c = *config;
    if (config->ca_file.n >= sizeof c->ca_file) {
        free(c);
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the name of the certificate file is too long");
    }
    snprintf(c->ca_file, sizeof c->ca_file, STR_FMT, STR_ARG(config->ca_file));
    c->multi = curl_multi_init();
    ENSURE(c->multi);
    c->done_job.fn = collect_done;
    ENSURE(uv_timer_init(&c->loop->uv, &c->timer) == 0 && uv_timer_init(&c->loop->uv, &c->sweep) == 0);
    uv_timer_start(&c->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_timer_stop(&c->sweep);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)(config->connections_max ? config->connections_max : 256));
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)(config->idle_max ? config->idle_max : 64));
    *out = c;
    return ERR_OK;
}

static void on_closed(uv_handle_t *h) {
    struct net_client *c = h->data;
    if (--c->closing) return;
    free(c);
}

void net_client_free(struct net_client *c) {
    if (!c) return;
    while (c->fetches) {
        ENSURE(c->fetches->freed);
        struct net_job *job = &c->fetches->job;
        net_job_cancel(job);
        net_fetch_job(job);
    }
    net_job_cancel(&c->done_job);
    while (c->idle_count) curl_easy_cleanup(c->idle[--c->idle_count]);
    curl_multi_cleanup(c->multi);
    c->timer.data = c->sweep.data = c;
    c->closing = 2;
    uv_close((uv_handle_t *)&c->timer, on_closed);
    uv_close((uv_handle_t *)&c->sweep, on_closed);
}
