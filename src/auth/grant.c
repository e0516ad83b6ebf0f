/* grant: how a session is come by at /token: the kinds of grants.def. */
#include "auth/auth_int.h"

static const struct {
    const char *name;
    bool (*grant)(struct auth_call *c);
} grants[] = {
#define X(name, function) {#name, auth_grant_##function},
#include "auth/grants.def"
#undef X
};

bool auth_do_token(struct auth_call *c) {
    str type = auth_param(c, "grant_type");
    for (size_t i = 0; i < ARRAY_COUNT(grants); i++)
        if (str_eqc(type, grants[i].name)) return grants[i].grant(c);
    return auth_fail_text(c, AUTH_ERROR_invalid_credentials, "unsupported_grant_type");
}
