/* download: see download.h.
 *
 * 1. A file is in the cache under its digest, and only whole: written aside, hashed, synced, renamed.
 * 2. Redirects are followed, DOWNLOAD_HOPS_MAX of them; from https:// to https:// alone. */
#include "node/command/download.h"
#include "net/client.h"
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DOWNLOAD_HOPS_MAX = 5 };
static const uint64_t bytes_max = 256 * MiB;

struct download {
    struct net_loop *loop;
    struct net_client *client;
    struct net_fetch *fetch;
    struct buf body;
    bool ended, too_much;
    enum net_error error;
};

/* ---- one request ---- */

static void end(struct download *w, enum net_error e) {
    if (w->ended) return;
    w->ended = true;
    w->error = e;
    net_loop_stop(w->loop);
}

static void on_read(void *arg) {
    struct download *w = arg;
    struct net_source *source = net_fetch_source(w->fetch);
    str data;
    enum net_flow flow = NET_FLOW_WAIT;
    while (!w->ended && (flow = net_source_peek(source, &data)) == NET_FLOW_DATA) {
        w->too_much = w->body.n + data.n > bytes_max;
        if (w->too_much) end(w, NET_OK);
        else buf_puts(&w->body, data);
        net_source_consume(source, data.n);
    }
    if (flow == NET_FLOW_END) end(w, NET_OK);
    if (flow == NET_FLOW_FAILED) end(w, net_fetch_error(w->fetch) ? net_fetch_error(w->fetch) : NET_CONNECTION_TERMINATED);
}

static void on_change(void *arg) {
    struct download *w = arg;
    if (net_fetch_response(w->fetch)) on_read(w);
    else if (net_fetch_error(w->fetch)) end(w, net_fetch_error(w->fetch));
}

static str location_of(const struct net_response *r) {
    for (uint32_t i = 0; i < r->fields_count; i++)
        if (str_eq_nocase(r->fields[i].name, STR("location"))) return r->fields[i].value;
    return (str){0};
}

static bool cut_url(str url, struct net_fetch_request *rq) {
    rq->scheme = str_starts(url, STR("https://")) ? STR("https") : STR("http");
    if (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://"))) return false;
    str rest = str_sub(url, rq->scheme.n + 3, url.n);
    size_t slash = str_find(rest, '/');
    rq->authority = str_sub(rest, 0, slash);
    rq->path = slash < rest.n ? str_sub(rest, slash, rest.n) : STR("/");
    rq->path = str_sub(rq->path, 0, str_find(rq->path, '#'));
    return rq->authority.n;
}

/* The response of one URL: *next is where it leads instead; empty: it is there. */
static err ask(struct download *w, arena *mem, str url, str *next, struct diag *d) {
    static const struct net_field fields[] = {{STR_INIT("accept"), STR_INIT("*/*")},
                                              {STR_INIT("user-agent"), STR_INIT("orlo/" ORLO_VERSION)}};
    struct net_fetch_request rq = {.method = STR("GET"), .fields = fields, .fields_count = ARRAY_COUNT(fields)};
    w->ended = w->too_much = false, w->error = NET_OK, w->body.n = 0;
    *next = (str){0};
    enum net_error e = cut_url(url, &rq) ? net_fetch_new(w->client, &rq, on_change, w, &w->fetch) : NET_HTTP_REQUEST_URI_INVALID;
    if (e != NET_OK) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, STR_FMT " is no URL to fetch", STR_ARG(url));
    net_source_notify(net_fetch_source(w->fetch), on_read, w);
    if (!w->ended) net_loop_run(w->loop);
    const struct net_response *r = net_fetch_response(w->fetch);
    err failed = ERR_OK;
    if (w->error != NET_OK || !r || !w->ended)
        failed = diag_set(d, ERR_NETWORK, DIAG_NOWHERE, STR_FMT " cannot be fetched: " STR_FMT, STR_ARG(url),
                          STR_ARG(net_fetch_error_text(w->fetch)));
    else if (w->too_much)
        failed = diag_set(d, ERR_LIMIT, DIAG_NOWHERE, STR_FMT " has more than %llu MiB", STR_ARG(url),
                          (unsigned long long)(bytes_max / MiB));
    else if (r->status / 100 == 3 && location_of(r).n) *next = arena_str(mem, location_of(r));
    else if (r->status != 200)
        failed = diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, STR_FMT " answers with status %u", STR_ARG(url), r->status);
    net_fetch_free(w->fetch);
    return failed;
}

/* "/x" on the same server, or a URL of its own. */
static str resolve(arena *mem, str from, str to) {
    struct net_fetch_request rq = {0};
    if (!str_starts(to, STR("/")) || str_starts(to, STR("//")) || !cut_url(from, &rq)) return to;
    return arena_fmt(mem, STR_FMT "://" STR_FMT STR_FMT, STR_ARG(rq.scheme), STR_ARG(rq.authority), STR_ARG(to));
}

static err follow(struct download *w, arena *mem, str url, struct diag *d) {
    for (int hop = 0; hop <= DOWNLOAD_HOPS_MAX; hop++) {
        str next;
        TRY(ask(w, mem, url, &next, d));
        if (!next.n) return ERR_OK;
        next = resolve(mem, url, next);
        if (str_starts(url, STR("https://")) && !str_starts(next, STR("https://")))
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE, STR_FMT " leads to " STR_FMT ", which is not encrypted", STR_ARG(url),
                            STR_ARG(str_sub(next, 0, 200)));
        url = next;
    }
    return diag_set(d, ERR_NETWORK, DIAG_NOWHERE, STR_FMT " leads on and on", STR_ARG(url));
}

/* ---- the cache ---- */

static char *cache_folder(arena *mem) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    str parent = base && base[0] == '/' ? str_c(base) : arena_fmt(mem, "%s/.cache", home && home[0] == '/' ? home : "/tmp");
    char *folder = arena_cstr(mem, arena_fmt(mem, STR_FMT "/orlo", STR_ARG(parent)));
    mkdir(arena_cstr(mem, parent), 0700);
    mkdir(folder, 0700);
    return folder;
}

static char *cached_path(arena *mem, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct buf hex = {0};
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) buf_printf(&hex, "%02x", digest[i]);
    char *path = arena_cstr(mem, arena_fmt(mem, "%s/" STR_FMT ".wasm", cache_folder(mem), STR_ARG(buf_str(&hex))));
    buf_free(&hex);
    return path;
}

static bool is_cached(const char *path, const uint8_t digest[APP_DIGEST_BYTES]) {
    struct buf b = {.max = bytes_max};
    uint8_t is[CRYPTO_SHA256_BYTES], piece[16 * KiB];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    for (ssize_t n; fd >= 0 && (n = read(fd, piece, sizeof piece)) > 0;) buf_put(&b, piece, (size_t)n);
    if (fd >= 0) close(fd);
    crypto_sha256(buf_str(&b), is);
    bool same = fd >= 0 && !b.full && !memcmp(is, digest, sizeof is);
    buf_free(&b);
    return same;
}

static err keep(arena *mem, const char *path, str bytes, struct diag *d) {
    char *part = arena_cstr(mem, arena_fmt(mem, "%s.%d.part", path, (int)getpid()));
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0;
    while (ok && bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        ok = n > 0 || (n < 0 && errno == EINTR);
        if (n > 0) bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    ok = ok && fsync(fd) == 0 && rename(part, path) == 0;
    err e = ok ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    if (!ok) unlink(part);
    return e;
}

static err fetch_one(struct download *w, arena *mem, struct manifest_source *s, struct diag *d) {
    uint8_t is[CRYPTO_SHA256_BYTES];
    s->path = str_c(cached_path(mem, s->digest));
    if (is_cached((const char *)s->path.p, s->digest)) return ERR_OK;
    TRY(follow(w, mem, s->url, d));
    crypto_sha256(buf_str(&w->body), is);
    if (memcmp(is, s->digest, sizeof is) != 0)
        return diag_set(d, ERR_SIGNATURE, DIAG_NOWHERE,
                        STR_FMT " is not what the manifest's digest says: it has changed, or is somebody else's",
                        STR_ARG(s->url));
    return keep(mem, (const char *)s->path.p, buf_str(&w->body), d);
}

err node_manifest_fetch(arena *mem, struct manifest *m, struct diag *d) {
    if (!m->fetches.n) return ERR_OK;
    struct download w = {.loop = net_loop_new()};
    struct net_client_config config = {.loop = w.loop};
    err e = net_client_new(&config, &w.client, d);
    for (uint32_t i = 0; e == ERR_OK && i < m->fetches.n; i++) e = fetch_one(&w, mem, &m->fetches.p[i], d);
    if (w.client) net_client_free(w.client);
    net_loop_free(w.loop);
    buf_free(&w.body);
    return e;
}

char *node_manifest_source(arena *mem, const struct manifest *m, str folder, uint32_t function) {
    const struct app_function *f = &m->record.functions.p[function];
    for (uint32_t i = 0; i < m->fetches.n; i++)
        if (str_eq(m->fetches.p[i].function, f->name) && m->fetches.p[i].path.n) return arena_cstr(mem, m->fetches.p[i].path);
    return arena_cstr(mem, arena_fmt(mem, STR_FMT STR_FMT, STR_ARG(folder), STR_ARG(f->source)));
}
