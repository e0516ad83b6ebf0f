/* who: a service, as small as one can be (who.wit): it needs what it offers and who calls, and nothing of WASI. */
#include "app/app.h"
#include "who.h"

char who_said[256]; /* what guests say, a line each */

enum abi_trap orlo_test_who_app(struct host_call *call, str *result) {
    *result = app_request_of(call)->app->name;
    return ABI_TRAP_NONE;
}

enum abi_trap orlo_test_who_request(struct host_call *call, str *result) {
    *result = app_request_of(call)->id;
    return ABI_TRAP_NONE;
}

enum abi_trap orlo_test_who_say(struct host_call *call, str text) {
    size_t n = strlen(who_said);
    snprintf(who_said + n, sizeof who_said - n, STR_FMT "\n", STR_ARG(text));
    return ABI_TRAP_NONE;
}
