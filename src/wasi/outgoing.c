/* outgoing: grants, loops and texts of a guest's requests (outgoing.h). */
#include "wasi/outgoing.h"
#include "wasi/p3_http.h"
#include <stdlib.h>

enum { LOOPS_MAX = 8, URI_BYTES_MAX = 64 << 10 };
#define LOOP_TOKEN "orlo"

/* ---- strings ---- */

void charged_free(struct host_instance *in, str s) {
    host_uncharge(in, s.n);
    free((void *)(uintptr_t)s.p);
}

bool charged_replace(struct host_instance *in, str *to, str s) {
    if (!host_charge(in, s.n)) return false;
    uint8_t *p = malloc(s.n + 1);
    ENSURE(p);
    if (s.n) memcpy(p, s.p, s.n);
    charged_free(in, *to);
    *to = (str){p, s.n};
    return true;
}

bool uri_part_ok(str s, const char *ends, bool above_ascii) {
    if (s.n > URI_BYTES_MAX) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 0x80 && above_ascii) continue;
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\"<>\\^`{|}", s.p[i]) || strchr(ends, s.p[i])) return false;
    }
    return true;
}

/* ---- what may be reached ---- */

/* "host:port" or "[v6]:port" taken apart; port 0 when it says none. False: the port is no number. */
static bool split_authority(str authority, str *host, uint16_t *port) {
    size_t colon = authority.n;
    while (colon > 0 && authority.p[colon - 1] != ':' && authority.p[colon - 1] != ']') colon--;
    *port = 0;
    *host = authority;
    if (colon == 0 || authority.p[colon - 1] != ':') return authority.n > 0;
    uint64_t v;
    *host = str_sub(authority, 0, colon - 1);
    if (colon == authority.n) return host->n > 0;
    if (!str_to_u64(str_sub(authority, colon, authority.n), &v) || v == 0 || v > UINT16_MAX) return false;
    *port = (uint16_t)v;
    return host->n > 0;
}

static uint32_t loops_of(str seen) {
    uint32_t n = 0;
    str one;
    while (seen.n) {
        str_cut(seen, ',', &one, &seen);
        n += str_eqc(str_trim(one), LOOP_TOKEN);
    }
    return n;
}

str outgoing_seen_by(const struct wasi_run *run) {
    return run->config.exchange ? outgoing_seen(run->config.exchange) : p3_service_seen(run->in);
}

bool outgoing_loops(str seen) { return loops_of(seen) >= LOOPS_MAX; }

str outgoing_seen(const struct net_exchange *x) {
    const struct net_request *r = x ? net_exchange_request(x) : NULL;
    str seen = {};
    for (uint32_t i = 0; r && i < r->fields_count; i++)
        if (str_eq_nocase(r->fields[i].name, STR("cdn-loop"))) seen = r->fields[i].value;
    return seen;
}

enum net_error outgoing_refuse(struct wasi_run *run, str scheme, str authority, str seen) {
    str host;
    uint16_t port;
    bool http = str_eqc(scheme, "http");
    if (!http && !str_eqc(scheme, "https")) return NET_HTTP_PROTOCOL_ERROR;
    if (!split_authority(authority, &host, &port)) return NET_HTTP_REQUEST_URI_INVALID;
    if (!port) port = http ? 80 : 443;
    if (!wasi_app_allows(run->app, host, port)) {
        log_event(LOG_WARN, "outgoing-request-denied", LF_STR("request", run->config.request_id), LF_STR("host", host),
                  LF_U64("port", port), LF_CSTR("grant", "--allow-http HOST[:PORT]"));
        return NET_HTTP_REQUEST_DENIED;
    }
    if (outgoing_loops(seen)) return NET_LOOP_DETECTED;
    return wasi_app_client(run->app) ? NET_OK : NET_CONFIGURATION_ERROR;
}

/* ---- what is sent besides ---- */

struct net_field outgoing_loop(arena *out, str seen) {
    str value = seen.n ? arena_fmt(out, STR_FMT ", " LOOP_TOKEN, STR_ARG(seen)) : STR(LOOP_TOKEN);
    return (struct net_field){STR("cdn-loop"), value};
}

uint32_t outgoing_ms(bool some, uint64_t ns, uint64_t otherwise) {
    uint64_t ms = some ? ns / 1000000 + (ns % 1000000 != 0) : otherwise;
    return (uint32_t)MIN(MAX(ms, (uint64_t)1), (uint64_t)UINT32_MAX - 1);
}
