/* config: variables: spin:variables@3 and fermyon:spin/variables@2, and wasi:config, which asks for the same. */
#include "spin/spin_int.h"
#include "spin_world.h"
#include <stdio.h>

/* Letters, digits and single underscores between them; a letter first: as in a manifest. */
static bool is_name(str name) {
    bool ok = name.n && name.p[name.n - 1] != '_';
    for (size_t i = 0; ok && i < name.n; i++) {
        uint8_t c = name.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z', digit = c >= '0' && c <= '9',
             line = c == '_' && name.p[i - (i > 0)] != '_';
        ok = letter || (i && (digit || line));
    }
    return ok;
}

static const struct app_grants *grants(const struct host_call *call) { return app_instance_of(call->instance)->app->grants; }

static str why(struct host_call *call, const char *before, str name, const char *after) {
    char text[200];
    int n = snprintf(text, sizeof text, "%s\"%.*s\"%s", before, (int)MIN(name.n, (size_t)100), (const char *)name.p, after);
    str s = {(const uint8_t *)text, (size_t)n};
    return str_is_utf8(s) ? host_alloc_str(call, s) : STR("that name");
}

enum spin_variable spin_variable_get(struct host_call *call, str name, str *to) {
    const struct app_grants *g = grants(call);
    if (!is_name(name)) {
        *to = why(call, "", name, " is no name of a variable");
        return SPIN_VARIABLE_NO_NAME;
    }
    for (uint32_t i = 0; i < g->variables.n; i++) {
        if (!str_eq(g->variables.p[i].name, name)) continue;
        *to = g->variables.p[i].secret ? STR("its secret is not there") : g->variables.p[i].value;
        return g->variables.p[i].secret ? SPIN_VARIABLE_WITHHELD : SPIN_VARIABLE_THERE;
    }
    app_request_lacks(app_request_of(call), APP_LACK_VARIABLE, name);
    *to = why(call, "no variable ", name, " is given to this function");
    return SPIN_VARIABLE_UNDEFINED;
}

typedef struct spin_world_result_string_variables_variables_error got;
static_assert(sizeof(got) == sizeof(struct spin_world_result_string_spin_variables_error));
static_assert(SPIN_VARIABLES_VARIABLES_ERROR_OTHER == (int)FERMYON_SPIN_VARIABLES_ERROR_OTHER);

static enum abi_trap get(struct host_call *call, str name, got *result) {
    static const enum spin_variables_variables_error_tag tags[] = {
        [SPIN_VARIABLE_UNDEFINED] = SPIN_VARIABLES_VARIABLES_ERROR_UNDEFINED,
        [SPIN_VARIABLE_NO_NAME] = SPIN_VARIABLES_VARIABLES_ERROR_INVALID_NAME,
        [SPIN_VARIABLE_WITHHELD] = SPIN_VARIABLES_VARIABLES_ERROR_PROVIDER,
    };
    str value;
    enum spin_variable found = spin_variable_get(call, name, &value);
    result->is_err = found != SPIN_VARIABLE_THERE;
    if (result->is_err) result->err = (struct spin_variables_variables_error){.tag = tags[found], .other = value};
    else result->ok = value;
    return ABI_TRAP_NONE;
}

enum abi_trap spin_variables_variables_get(struct host_call *call, str name, got *result) { return get(call, name, result); }
enum abi_trap fermyon_spin_variables_get(struct host_call *call, str name,
                                         struct spin_world_result_string_spin_variables_error *result) {
    return get(call, name, (got *)(void *)result);
}

/* ---- wasi:config: a key that is not there is no error ---- */

enum abi_trap spin_wasi_config_store_get(struct host_call *call, str key,
                                         struct spin_world_result_option_string_config_store_error *result) {
    str value;
    enum spin_variable found = spin_variable_get(call, key, &value);
    result->is_err = found == SPIN_VARIABLE_WITHHELD;
    if (result->is_err) result->err = (struct spin_wasi_config_store_error){SPIN_WASI_CONFIG_STORE_ERROR_UPSTREAM, {value}};
    else result->ok.some = found == SPIN_VARIABLE_THERE;
    if (!result->is_err && result->ok.some) result->ok.value = value;
    return ABI_TRAP_NONE;
}

enum abi_trap spin_wasi_config_store_get_all(struct host_call *call,
                                             struct spin_world_result_list_tuple2_string_string_config_store_error *result) {
    const struct app_grants *g = grants(call);
    struct spin_world_tuple2_string_string *to = host_alloc(call, MAX(g->variables.n, 1u) * sizeof *to, 8);
    result->is_err = !to;
    if (!to) {
        result->err =
            (struct spin_wasi_config_store_error){SPIN_WASI_CONFIG_STORE_ERROR_IO, {STR("there is no memory for them")}};
        return ABI_TRAP_NONE;
    }
    result->ok.p = to;
    result->ok.n = 0;
    for (uint32_t i = 0; i < g->variables.n; i++)
        if (!g->variables.p[i].secret)
            to[result->ok.n++] = (struct spin_world_tuple2_string_string){g->variables.p[i].name, g->variables.p[i].value};
    return ABI_TRAP_NONE;
}
