/* http: see http.h. */
#include "net/http1_int.h"

bool net_token_ok(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!(http1_class[s.p[i]] & CLASS_TOKEN)) return false;
    return s.n > 0;
}

bool net_field_name_ok(str name) { return net_token_ok(name); }
bool net_field_value_ok(str value) { return http1_scan_text(value.p, 0, value.n) == value.n; }

const char *net_status_text(uint16_t status) {
    switch (status) {
#define X(code, text)                                                                                                            \
    case code:                                                                                                                   \
        return text;
#include "net/status.def"
#undef X
    default: return "";
    }
}

bool net_response_bodiless(str method, uint16_t status) {
    return status < 200 || status == 204 || status == 304 || str_eq(method, STR("HEAD")) ||
           (status < 300 && str_eq(method, STR("CONNECT")));
}

const char *net_error_text(enum net_error e) {
    static const char *const text[] = {
        "ok",
#define X(name, wit, text) text,
#include "net/http_error.def"
#undef X
    };
    return e < NET_ERROR_COUNT ? text[e] : "?";
}

const char *net_error_wit(enum net_error e) {
    static const char *const wit[] = {
        "",
#define X(name, wit, text) wit,
#include "net/http_error.def"
#undef X
    };
    return e < NET_ERROR_COUNT ? wit[e] : "?";
}
