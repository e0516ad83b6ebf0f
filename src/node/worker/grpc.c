/* grpc: see grpc.h. */
#include "node/worker/grpc.h"

enum {
    DEADLINE_EXCEEDED = 4,
    PERMISSION_DENIED = 7,
    RESOURCE_EXHAUSTED = 8,
    UNIMPLEMENTED = 12,
    INTERNAL = 13,
    UNAVAILABLE = 14,
    UNAUTHENTICATED = 16
};

static str field(const struct net_request *rq, const char *name) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, str_c(name))) return rq->fields[i].value;
    return (str){0};
}

bool node_grpc_asks(const struct net_request *rq) {
    static const char type[] = "application/grpc";
    if (rq->version != NET_HTTP_2) return false;
    str v = field(rq, "content-type");
    size_t n = sizeof type - 1;
    if (v.n < n || !str_eq_nocase(str_sub(v, 0, n), str_c(type))) return false;
    return v.n == n || v.p[n] == '+' || v.p[n] == ';';
}

/* At most eight digits, and a unit. */
uint32_t node_grpc_timeout_ms(const struct net_request *rq) {
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'H', 3600'000'000'000}, {'M', 60'000'000'000}, {'S', 1'000'000'000}, {'m', 1'000'000}, {'u', 1000}, {'n', 1}};
    str v = field(rq, "grpc-timeout");
    uint64_t n;
    if (v.n < 2 || v.n > 9 || !str_to_u64(str_sub(v, 0, v.n - 1), &n)) return 0;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++)
        if (units[i].unit == v.p[v.n - 1])
            return (uint32_t)MIN(MAX((n * units[i].ns + 999'999) / 1'000'000, 1u), (uint64_t)UINT32_MAX - 1);
    return 0;
}

/* As clients do it themselves (http-grpc-status-mapping.md), but for two that are better known here: what took too long is nothing to be tried again, and
 * too large is no fault that nobody knows. */
uint32_t node_grpc_status(uint16_t http_status) {
    switch (http_status) {
    case 401: return UNAUTHENTICATED;
    case 403: return PERMISSION_DENIED;
    case 404: return UNIMPLEMENTED;
    case 413:
    case 431: return RESOURCE_EXHAUSTED;
    case 504:
    case 408: return DEADLINE_EXCEEDED;
    case 429:
    case 502:
    case 503: return UNAVAILABLE;
    default: return INTERNAL;
    }
}

str node_grpc_message(arena *out, str sentence) {
    uint8_t *to = arena_array(out, uint8_t, sentence.n * 3);
    size_t n = 0;
    for (size_t i = 0; i < sentence.n; i++) {
        uint8_t b = sentence.p[i];
        if (b >= 0x20 && b <= 0x7e && b != '%') {
            to[n++] = b;
            continue;
        }
        to[n++] = '%';
        to[n++] = (uint8_t) "0123456789ABCDEF"[b >> 4];
        to[n++] = (uint8_t) "0123456789ABCDEF"[b & 15];
    }
    return (str){to, n};
}
