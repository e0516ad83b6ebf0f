/* name_fuzz: any bytes as a host name and as an address, as a guest may give them.
 *
 * What must hold: a name that is accepted is fit for the DNS, and is itself when it is read again; so is an address. The canary
 * breaks the first of these. */
#include "base/fuzz.h"
#include "net/addr.h"

static void check_label(str label) {
    ENSURE(label.n && label.n <= 63 && label.p[0] != '-' && label.p[label.n - 1] != '-');
    for (size_t i = 0; i < label.n; i++) {
        uint8_t c = label.p[i];
        ENSURE((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_');
    }
}

static void check_name(arena *mem, str text) {
    str ascii, again;
    if (!net_name_ascii(mem, text, &ascii)) return;
    if (canary) ascii.n--;
    ENSURE(ascii.n && ascii.n <= 253 && !ascii.p[ascii.n]);
    for (str rest = ascii; rest.n;) {
        size_t dot = str_find(rest, '.');
        check_label(str_sub(rest, 0, dot));
        ENSURE(dot + 1 != rest.n);
        rest = str_sub(rest, dot + 1, rest.n);
    }
    ENSURE(net_name_ascii(mem, ascii, &again) && str_eq(ascii, again));
    struct net_addr a;
    ENSURE(!net_addr_parse(ascii, &a)); /* what is a name is no address */
    (void)net_name_local(ascii);
}

static void check_address(str text) {
    struct net_addr a, again;
    char to[NET_ADDR_TEXT_MAX];
    enum net_addr_class c;
    if (!net_addr_parse(text, &a)) return;
    ENSURE(net_addr_parse(str_c(net_addr_text(&a, false, to)), &again) && net_addr_same_ip(&a, &again));
    ENSURE(net_addr_prefix_class(&a, a.v6 ? 128 : 32, &c) && c == net_addr_class(&a));
    for (uint8_t bits = 0; bits <= (a.v6 ? 128 : 32); bits++) {
        ENSURE(net_addr_in(&a, &again, bits));
        if (net_addr_prefix_class(&a, bits, &c)) ENSURE(c == net_addr_class(&a));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    check_name(mem, (str){data, size});
    check_address((str){data, size});
    arena_free(mem);
    return 0;
}
