/* before: the interfaces of Spin 1 (fermyon:spin, without a version): the same stores, databases and variables; a handle is a number, the
 * label's place among the grants, counted from 1. */
#include "spin/spin_int.h"
#include "spin_before.h"
#include "spin_world.h"

static const struct app_grants *grants(const struct host_call *call) { return app_instance_of(call->instance)->app->grants; }

/* ---- config ---- */

enum abi_trap spin_v1_spin_config_get_config(struct host_call *call, str key,
                                             struct spin_before_result_string_spin_config_error *result) {
    str value;
    enum spin_variable found = spin_variable_get(call, key, &value);
    result->is_err = found != SPIN_VARIABLE_THERE;
    if (!result->is_err) result->ok = value;
    else
        result->err = (struct spin_v1_spin_config_error){
            .tag = found == SPIN_VARIABLE_NO_NAME ? SPIN_V1_SPIN_CONFIG_ERROR_INVALID_KEY : SPIN_V1_SPIN_CONFIG_ERROR_PROVIDER,
            .provider = value};
    return ABI_TRAP_NONE;
}

/* ---- key-value ---- */

typedef struct spin_v1_spin_key_value_error kv_error;
static kv_error kv_io(const struct app_reply *r) {
    return (kv_error){.tag = SPIN_V1_SPIN_KEY_VALUE_ERROR_IO, .io = app_reply_text(r)};
}
static const kv_error no_store = {.tag = SPIN_V1_SPIN_KEY_VALUE_ERROR_INVALID_STORE};

static bool place_of(const struct host_call *call, spin_v1_spin_key_value_store store, str *place) {
    const struct app_grants *g = grants(call);
    bool ok = store && store <= g->stores.n;
    if (ok) *place = g->stores.p[store - 1].store;
    return ok;
}

enum abi_trap spin_v1_spin_key_value_open(struct host_call *call, str name,
                                          struct spin_before_result_u32_spin_key_value_error *result) {
    const struct app_grants *g = grants(call);
    uint32_t at = 0;
    while (at < g->stores.n && !str_eq(g->stores.p[at].label, name)) at++;
    result->is_err = at == g->stores.n;
    if (result->is_err) result->err.tag = SPIN_V1_SPIN_KEY_VALUE_ERROR_ACCESS_DENIED;
    else result->ok = at + 1;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_key_value_close(struct host_call *call, spin_v1_spin_key_value_store store) { return ABI_TRAP_NONE; }

#define FILL(name, type, ...)                                                                                                    \
    static void name(struct host_call *call, const struct app_reply *r, void *about, void *result) {                             \
        type *to = result;                                                                                                       \
        to->is_err = r->outcome != APP_DATA_OK;                                                                                  \
        if (to->is_err) to->err = kv_io(r);                                                                                      \
        else { __VA_ARGS__ }                                                                                                     \
    }
FILL(fill_got, struct spin_before_result_list_u8_spin_key_value_error, {
    to->is_err = !r->count || r->values[0].kind != APP_VALUE_BYTES;
    if (to->is_err) to->err.tag = SPIN_V1_SPIN_KEY_VALUE_ERROR_NO_SUCH_KEY;
    else to->ok = r->values[0].s;
})
FILL(fill_done, struct spin_before_result_void_spin_key_value_error, {})
FILL(fill_bool, struct spin_before_result_bool_spin_key_value_error, { to->ok = r->count && r->values[0].i; })

#define PLACE_OR_ERROR(store)                                                                                                    \
    str place;                                                                                                                   \
    if (!place_of(call, store, &place)) {                                                                                        \
        result->is_err = true;                                                                                                   \
        result->err = no_store;                                                                                                  \
        return ABI_TRAP_NONE;                                                                                                    \
    }
enum abi_trap spin_v1_spin_key_value_get(struct host_call *call, spin_v1_spin_key_value_store store, str key,
                                         struct spin_before_result_list_u8_spin_key_value_error *result) {
    PLACE_OR_ERROR(store)
    return spin_keys_get(call, place, key, fill_got, NULL, result);
}
enum abi_trap spin_v1_spin_key_value_set(struct host_call *call, spin_v1_spin_key_value_store store, str key, str value,
                                         struct spin_before_result_void_spin_key_value_error *result) {
    PLACE_OR_ERROR(store)
    return spin_keys_set(call, place, key, value, fill_done, NULL, result);
}
enum abi_trap spin_v1_spin_key_value_delete(struct host_call *call, spin_v1_spin_key_value_store store, str key,
                                            struct spin_before_result_void_spin_key_value_error *result) {
    PLACE_OR_ERROR(store)
    return spin_keys_delete(call, place, key, fill_done, NULL, result);
}
enum abi_trap spin_v1_spin_key_value_exists(struct host_call *call, spin_v1_spin_key_value_store store, str key,
                                            struct spin_before_result_bool_spin_key_value_error *result) {
    PLACE_OR_ERROR(store)
    return spin_keys_exists(call, place, key, fill_bool, NULL, result);
}
enum abi_trap spin_v1_spin_key_value_get_keys(struct host_call *call, spin_v1_spin_key_value_store store,
                                              struct spin_before_result_list_string_spin_key_value_error *result) {
    PLACE_OR_ERROR(store)
    struct spin_key_page p = {0};
    enum abi_trap t = spin_keys_all(call, place, NULL, &p);
    result->is_err = p.reply.outcome != APP_DATA_OK;
    if (result->is_err) result->err = kv_io(&p.reply);
    else result->ok = (struct spin_before_list_string){p.to, p.n};
    return t;
}

/* ---- sqlite ---- */

static_assert(sizeof(struct spin_v1_spin_sqlite_row_result) == sizeof(struct spin_sqlite_sqlite_row_result));
static_assert(sizeof(struct spin_v1_spin_sqlite_value) == sizeof(struct spin_sqlite_sqlite_value));
static_assert(SPIN_V1_SPIN_SQLITE_VALUE_NULL == (int)SPIN_SQLITE_SQLITE_VALUE_NULL);

enum abi_trap spin_v1_spin_sqlite_open(struct host_call *call, str database,
                                       struct spin_before_result_u32_spin_sqlite_error *result) {
    const struct app_grants *g = grants(call);
    uint32_t at = 0;
    while (at < g->sqlite.n && !str_eq(g->sqlite.p[at].label, database)) at++;
    result->is_err = at == g->sqlite.n;
    if (result->is_err) result->err.tag = SPIN_V1_SPIN_SQLITE_ERROR_ACCESS_DENIED;
    else result->ok = at + 1;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_sqlite_close(struct host_call *call, spin_v1_spin_sqlite_connection conn) { return ABI_TRAP_NONE; }

/* Its handles are no objects, so nobody would say that one is gone: what it begins is ended at once. */
enum abi_trap spin_v1_spin_sqlite_execute(struct host_call *call, spin_v1_spin_sqlite_connection conn, str statement,
                                          struct spin_before_list_spin_sqlite_value parameters,
                                          struct spin_before_result_spin_sqlite_query_result_spin_sqlite_error *result) {
    const struct app_grants *g = grants(call);
    result->is_err = !conn || conn > g->sqlite.n;
    result->err.tag = SPIN_V1_SPIN_SQLITE_ERROR_INVALID_CONNECTION;
    if (result->is_err) return ABI_TRAP_NONE;
    struct spin_sql sql = {.place = g->sqlite.p[conn - 1].store, .number = -1};
    struct spin_rows rows = {0};
    enum abi_trap t = spin_sql_run(call, &sql, NULL, statement, (struct spin_parameters){parameters.p, parameters.n}, &rows);
    spin_sql_close(app_instance_of(call->instance)->app, &sql);
    result->is_err = rows.reply.outcome != APP_DATA_OK;
    if (rows.reply.outcome == APP_DATA_FULL) {
        result->err.tag = SPIN_V1_SPIN_SQLITE_ERROR_DATABASE_FULL;
    } else if (result->is_err) {
        result->err = (struct spin_v1_spin_sqlite_error){.tag = SPIN_V1_SPIN_SQLITE_ERROR_IO, .io = app_reply_text(&rows.reply)};
    } else {
        result->ok.columns.p = rows.columns, result->ok.columns.n = rows.columns_count;
        result->ok.rows.p = rows.rows, result->ok.rows.n = rows.rows_count;
    }
    return t;
}
