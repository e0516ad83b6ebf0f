/* Fuzz: a PROXY header out of any bytes: it stays within them and its bound, and what is the beginning of a whole one asks for more. The rest is read as
 * the values of Forwarded and X-Forwarded-For. */
#include "base/fuzz.h"
#include "net/forwarded.h"
#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net_proxy p, part;
    enum net_proxy_result r = net_proxy_parse(data, size, &p);
    if (canary) p.bytes++;
    ENSURE(r != NET_PROXY_ERROR || p.why[0]);
    ENSURE(r != NET_PROXY_MORE || size < NET_PROXY_BYTES_MAX);
    if (r == NET_PROXY_DONE) {
        ENSURE(p.bytes && p.bytes <= size && p.bytes <= NET_PROXY_BYTES_MAX);
        for (size_t n = 0; n < p.bytes; n++) ENSURE(net_proxy_parse(data, n, &part) == NET_PROXY_MORE);
    }
    static const struct net_prefix trusted = {{.ip = {10}}, 8};
    arena *mem = arena_new(0);
    struct net_forwarded f;
    str value = {data, size};
    static const char *const names[] = {"forwarded", "x-forwarded-for", "x-forwarded-host"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct net_field field = {str_c(names[i]), value};
        net_forwarded_read(mem, &field, 1, &trusted, 1, &f);
        ENSURE(f.said && (!f.scheme.n || str_eqc(f.scheme, "http") || str_eqc(f.scheme, "https")));
    }
    arena_free(mem);
    return 0;
}
