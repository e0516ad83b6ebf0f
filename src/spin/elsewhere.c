/* elsewhere: what Spin offers and this node does not have yet: Redis, MQTT, MySQL, PostgreSQL, models. Each function answers its interface's own
 * error, as if nobody listened at that address; no connection ever comes to be, so there is none whose methods could be called.
 *
 * Of a function that may reach nothing the address is not permitted, as under Spin; else the text says why the connection failed. */
#include "spin/spin_int.h"
#include "spin_before.h"
#include "spin_pg.h"
#include "spin_world.h"
#include <stdio.h>

static const str why = STR_INIT("this node has no client for it yet; use a socket, if the language has one");

static bool reaches_nothing(const struct host_call *call) { return !app_instance_of(call->instance)->app->grants->net.n; }

/* Where nothing may be reached, the text says so of the address. */
static str why_not(struct host_call *call, str address) {
    char text[300];
    if (!reaches_nothing(call)) return why;
    int n =
        snprintf(text, sizeof text, "address %.*s is not permitted", (int)MIN(address.n, (size_t)200), (const char *)address.p);
    str s = {(const uint8_t *)text, (size_t)n};
    return str_is_utf8(s) ? host_alloc_str(call, s) : why;
}

/* The result is the error `tag_`, whose text is text_ (of a tag that has none it is not looked at). */
#define FAIL(tag_, field, text_)                                                                                                 \
    do {                                                                                                                         \
        result->is_err = true;                                                                                                   \
        result->err.tag = (tag_);                                                                                                \
        result->err.field = (text_);                                                                                             \
        return ABI_TRAP_NONE;                                                                                                    \
    } while (0)

struct spin_postgres_postgres_connection_builder {
    struct app_object o;
};

/* ---- fermyon:spin@2, llm ---- */

enum abi_trap fermyon_spin_llm_infer(struct host_call *call, fermyon_spin_llm_inferencing_model model, str prompt,
                                     const struct spin_world_option_spin_llm_inferencing_params *params,
                                     struct spin_world_result_spin_llm_inferencing_result_spin_llm_error *result) {
    FAIL(FERMYON_SPIN_LLM_ERROR_MODEL_NOT_SUPPORTED, runtime_error, why);
}
enum abi_trap fermyon_spin_llm_generate_embeddings(struct host_call *call, fermyon_spin_llm_embedding_model model,
                                                   struct spin_world_list_string text,
                                                   struct spin_world_result_spin_llm_embeddings_result_spin_llm_error *result) {
    FAIL(FERMYON_SPIN_LLM_ERROR_MODEL_NOT_SUPPORTED, runtime_error, why);
}

/* ---- fermyon:spin@2, mqtt ---- */

void fermyon_spin_mqtt_connection_drop(struct host_instance *in, struct fermyon_spin_mqtt_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap fermyon_spin_mqtt_connection_open(struct host_call *call, str address, str username, str password,
                                                uint64_t keep_alive_interval_in_secs,
                                                struct spin_world_result_spin_mqtt_connection_spin_mqtt_error *result) {
    FAIL(FERMYON_SPIN_MQTT_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap fermyon_spin_mqtt_connection_publish(struct host_call *call, struct fermyon_spin_mqtt_connection *self, str topic,
                                                   fermyon_spin_mqtt_payload payload, enum fermyon_spin_mqtt_qos qos,
                                                   struct spin_world_result_void_spin_mqtt_error *result) {
    FAIL(FERMYON_SPIN_MQTT_ERROR_OTHER, other, why);
}

/* ---- fermyon:spin@2, mysql ---- */

void fermyon_spin_mysql_connection_drop(struct host_instance *in, struct fermyon_spin_mysql_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap fermyon_spin_mysql_connection_open(struct host_call *call, str address,
                                                 struct spin_world_result_spin_mysql_connection_spin_rdbms_types_error *result) {
    FAIL(FERMYON_SPIN_RDBMS_TYPES_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap
fermyon_spin_mysql_connection_query(struct host_call *call, struct fermyon_spin_mysql_connection *self, str statement,
                                    struct spin_world_list_spin_rdbms_types_parameter_value params,
                                    struct spin_world_result_spin_rdbms_types_row_set_spin_rdbms_types_error *result) {
    FAIL(FERMYON_SPIN_RDBMS_TYPES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap fermyon_spin_mysql_connection_execute(struct host_call *call, struct fermyon_spin_mysql_connection *self,
                                                    str statement, struct spin_world_list_spin_rdbms_types_parameter_value params,
                                                    struct spin_world_result_void_spin_rdbms_types_error *result) {
    FAIL(FERMYON_SPIN_RDBMS_TYPES_ERROR_CONNECTION_FAILED, connection_failed, why);
}

/* ---- fermyon:spin@2, postgres ---- */

void fermyon_spin_postgres_connection_drop(struct host_instance *in, struct fermyon_spin_postgres_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap
fermyon_spin_postgres_connection_open(struct host_call *call, str address,
                                      struct spin_world_result_spin_postgres_connection_spin_rdbms_types_error *result) {
    FAIL(FERMYON_SPIN_RDBMS_TYPES_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap
fermyon_spin_postgres_connection_query(struct host_call *call, struct fermyon_spin_postgres_connection *self, str statement,
                                       struct spin_world_list_spin_rdbms_types_parameter_value params,
                                       struct spin_world_result_spin_rdbms_types_row_set_spin_rdbms_types_error *result) {
    FAIL(FERMYON_SPIN_RDBMS_TYPES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap fermyon_spin_postgres_connection_execute(struct host_call *call, struct fermyon_spin_postgres_connection *self,
                                                       str statement,
                                                       struct spin_world_list_spin_rdbms_types_parameter_value params,
                                                       struct spin_world_result_u64_spin_rdbms_types_error *result) {
    FAIL(FERMYON_SPIN_RDBMS_TYPES_ERROR_CONNECTION_FAILED, connection_failed, why);
}

/* ---- fermyon:spin@2, redis ---- */

void fermyon_spin_redis_connection_drop(struct host_instance *in, struct fermyon_spin_redis_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap fermyon_spin_redis_connection_open(struct host_call *call, str address,
                                                 struct spin_world_result_spin_redis_connection_spin_redis_error *result) {
    FAIL(reaches_nothing(call) ? FERMYON_SPIN_REDIS_ERROR_INVALID_ADDRESS : FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_publish(struct host_call *call, struct fermyon_spin_redis_connection *self,
                                                    str channel, fermyon_spin_redis_payload payload,
                                                    struct spin_world_result_void_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_get(struct host_call *call, struct fermyon_spin_redis_connection *self, str key,
                                                struct spin_world_result_option_list_u8_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_set(struct host_call *call, struct fermyon_spin_redis_connection *self, str key,
                                                fermyon_spin_redis_payload value,
                                                struct spin_world_result_void_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_incr(struct host_call *call, struct fermyon_spin_redis_connection *self, str key,
                                                 struct spin_world_result_s64_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_del(struct host_call *call, struct fermyon_spin_redis_connection *self,
                                                struct spin_world_list_string keys,
                                                struct spin_world_result_u32_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_sadd(struct host_call *call, struct fermyon_spin_redis_connection *self, str key,
                                                 struct spin_world_list_string values,
                                                 struct spin_world_result_u32_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_smembers(struct host_call *call, struct fermyon_spin_redis_connection *self, str key,
                                                     struct spin_world_result_list_string_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap fermyon_spin_redis_connection_srem(struct host_call *call, struct fermyon_spin_redis_connection *self, str key,
                                                 struct spin_world_list_string values,
                                                 struct spin_world_result_u32_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap
fermyon_spin_redis_connection_execute(struct host_call *call, struct fermyon_spin_redis_connection *self, str command,
                                      struct spin_world_list_spin_redis_redis_parameter arguments,
                                      struct spin_world_result_list_spin_redis_redis_result_spin_redis_error *result) {
    FAIL(FERMYON_SPIN_REDIS_ERROR_OTHER, other, why);
}

/* ---- spin:mqtt ---- */

void spin_mqtt_mqtt_connection_drop(struct host_instance *in, struct spin_mqtt_mqtt_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap spin_mqtt_mqtt_connection_open(struct host_call *call, str address, str username, str password,
                                             uint64_t keep_alive_interval_in_secs,
                                             struct spin_world_result_mqtt_mqtt_connection_mqtt_mqtt_error *result) {
    FAIL(SPIN_MQTT_MQTT_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap spin_mqtt_mqtt_connection_publish(struct host_call *call, struct spin_mqtt_mqtt_connection *self, str topic,
                                                spin_mqtt_mqtt_payload payload, enum spin_mqtt_mqtt_qos qos,
                                                struct spin_world_result_void_mqtt_mqtt_error *result) {
    FAIL(SPIN_MQTT_MQTT_ERROR_OTHER, other, why);
}

/* ---- spin:mysql ---- */

void spin_mysql_mysql_connection_drop(struct host_instance *in, struct spin_mysql_mysql_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap spin_mysql_mysql_connection_open(struct host_call *call, str address,
                                               struct spin_world_result_mysql_mysql_connection_mysql_mysql_error *result) {
    FAIL(SPIN_MYSQL_MYSQL_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap spin_mysql_mysql_connection_query(
    struct host_call *call, struct spin_mysql_mysql_connection *self, str statement,
    struct spin_world_list_mysql_mysql_parameter_value params,
    struct
    spin_world_result_tuple3_list_mysql_mysql_column_stream_list_mysql_mysql_db_value_future_result_void_mysql_mysql_error_mysql_mysql_error
        *result) {
    FAIL(SPIN_MYSQL_MYSQL_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap spin_mysql_mysql_connection_execute(struct host_call *call, struct spin_mysql_mysql_connection *self, str statement,
                                                  struct spin_world_list_mysql_mysql_parameter_value params,
                                                  struct spin_world_result_void_mysql_mysql_error *result) {
    FAIL(SPIN_MYSQL_MYSQL_ERROR_CONNECTION_FAILED, connection_failed, why);
}

/* ---- spin:postgres ---- */

void spin_postgres_postgres_connection_builder_drop(struct host_instance *in,
                                                    struct spin_postgres_postgres_connection_builder *self) {
    app_object_unref(in, self);
}
void spin_postgres_postgres_connection_drop(struct host_instance *in, struct spin_postgres_postgres_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap spin_postgres_postgres_connection_builder_new(struct host_call *call, str address,
                                                            struct spin_postgres_postgres_connection_builder **result) {
    APP_OBJECT_NEW(call, b, spin_postgres_postgres_connection_builder, NULL);
    *result = b;
    return ABI_TRAP_NONE;
}
enum abi_trap
spin_postgres_postgres_connection_builder_set_ca_root(struct host_call *call,
                                                      struct spin_postgres_postgres_connection_builder *self, str certificate,
                                                      struct spin_world_result_void_postgres_postgres_error *result) {
    return ABI_TRAP_NONE;
}
enum abi_trap spin_postgres_postgres_connection_builder_build(
    struct host_call *call, struct spin_postgres_postgres_connection_builder *self,
    struct spin_world_result_postgres_postgres_connection_postgres_postgres_error *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap spin_postgres_postgres_connection_builder_build_async(
    struct host_call *call, struct spin_postgres_postgres_connection_builder *self,
    struct spin_world_result_postgres_postgres_connection_postgres_postgres_error *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap
spin_postgres_postgres_connection_open(struct host_call *call, str address,
                                       struct spin_world_result_postgres_postgres_connection_postgres_postgres_error *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap spin_postgres_postgres_connection_open_async(
    struct host_call *call, str address, struct spin_world_result_postgres_postgres_connection_postgres_postgres_error *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap
spin_postgres_postgres_connection_query(struct host_call *call, struct spin_postgres_postgres_connection *self, str statement,
                                        struct spin_world_list_postgres_postgres_parameter_value params,
                                        struct spin_world_result_postgres_postgres_row_set_postgres_postgres_error *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap spin_postgres_postgres_connection_query_async(
    struct host_call *call, struct spin_postgres_postgres_connection *self, str statement,
    struct spin_world_list_postgres_postgres_parameter_value params,
    struct
    spin_world_result_tuple3_list_postgres_postgres_column_stream_list_postgres_postgres_db_value_future_result_void_postgres_postgres_error_postgres_postgres_error
        *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap spin_postgres_postgres_connection_execute(struct host_call *call, struct spin_postgres_postgres_connection *self,
                                                        str statement,
                                                        struct spin_world_list_postgres_postgres_parameter_value params,
                                                        struct spin_world_result_u64_postgres_postgres_error *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap spin_postgres_postgres_connection_execute_async(struct host_call *call,
                                                              struct spin_postgres_postgres_connection *self, str statement,
                                                              struct spin_world_list_postgres_postgres_parameter_value params,
                                                              struct spin_world_result_u64_postgres_postgres_error *result) {
    FAIL(SPIN_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}

/* ---- spin:redis ---- */

void spin_redis_redis_connection_drop(struct host_instance *in, struct spin_redis_redis_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap spin_redis_redis_connection_open(struct host_call *call, str address,
                                               struct spin_world_result_redis_redis_connection_redis_redis_error *result) {
    FAIL(reaches_nothing(call) ? SPIN_REDIS_REDIS_ERROR_INVALID_ADDRESS : SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_publish(struct host_call *call, struct spin_redis_redis_connection *self, str channel,
                                                  spin_redis_redis_payload payload,
                                                  struct spin_world_result_void_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_get(struct host_call *call, struct spin_redis_redis_connection *self, str key,
                                              struct spin_world_result_option_list_u8_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_set(struct host_call *call, struct spin_redis_redis_connection *self, str key,
                                              spin_redis_redis_payload value,
                                              struct spin_world_result_void_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_incr(struct host_call *call, struct spin_redis_redis_connection *self, str key,
                                               struct spin_world_result_s64_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_del(struct host_call *call, struct spin_redis_redis_connection *self,
                                              struct spin_world_list_string keys,
                                              struct spin_world_result_u32_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_sadd(struct host_call *call, struct spin_redis_redis_connection *self, str key,
                                               struct spin_world_list_string values,
                                               struct spin_world_result_u32_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_smembers(struct host_call *call, struct spin_redis_redis_connection *self, str key,
                                                   struct spin_world_result_list_string_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap spin_redis_redis_connection_srem(struct host_call *call, struct spin_redis_redis_connection *self, str key,
                                               struct spin_world_list_string values,
                                               struct spin_world_result_u32_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}
enum abi_trap
spin_redis_redis_connection_execute(struct host_call *call, struct spin_redis_redis_connection *self, str command,
                                    struct spin_world_list_redis_redis_redis_parameter arguments,
                                    struct spin_world_result_list_redis_redis_redis_result_redis_redis_error *result) {
    FAIL(SPIN_REDIS_REDIS_ERROR_OTHER, other, why);
}

/* ---- fermyon:spin, llm ---- */

enum abi_trap spin_v1_spin_llm_infer(struct host_call *call, spin_v1_spin_llm_inferencing_model model, str prompt,
                                     const struct spin_before_option_spin_llm_inferencing_params *params,
                                     struct spin_before_result_spin_llm_inferencing_result_spin_llm_error *result) {
    FAIL(SPIN_V1_SPIN_LLM_ERROR_MODEL_NOT_SUPPORTED, runtime_error, why);
}
enum abi_trap spin_v1_spin_llm_generate_embeddings(struct host_call *call, spin_v1_spin_llm_embedding_model model,
                                                   struct spin_before_list_string text,
                                                   struct spin_before_result_spin_llm_embeddings_result_spin_llm_error *result) {
    FAIL(SPIN_V1_SPIN_LLM_ERROR_MODEL_NOT_SUPPORTED, runtime_error, why);
}

/* ---- fermyon:spin, mysql ---- */

enum abi_trap spin_v1_spin_mysql_query(struct host_call *call, str address, str statement,
                                       struct spin_before_list_spin_rdbms_types_parameter_value params,
                                       struct spin_before_result_spin_rdbms_types_row_set_spin_mysql_mysql_error *result) {
    FAIL(SPIN_V1_SPIN_MYSQL_MYSQL_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap spin_v1_spin_mysql_execute(struct host_call *call, str address, str statement,
                                         struct spin_before_list_spin_rdbms_types_parameter_value params,
                                         struct spin_before_result_void_spin_mysql_mysql_error *result) {
    FAIL(SPIN_V1_SPIN_MYSQL_MYSQL_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}

/* ---- fermyon:spin, postgres ---- */

enum abi_trap spin_v1_spin_postgres_query(struct host_call *call, str address, str statement,
                                          struct spin_before_list_spin_rdbms_types_parameter_value params,
                                          struct spin_before_result_spin_rdbms_types_row_set_spin_postgres_pg_error *result) {
    FAIL(SPIN_V1_SPIN_POSTGRES_PG_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap spin_v1_spin_postgres_execute(struct host_call *call, str address, str statement,
                                            struct spin_before_list_spin_rdbms_types_parameter_value params,
                                            struct spin_before_result_u64_spin_postgres_pg_error *result) {
    FAIL(SPIN_V1_SPIN_POSTGRES_PG_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}

/* ---- fermyon:spin, redis ---- */

enum abi_trap spin_v1_spin_redis_publish(struct host_call *call, str address, str channel,
                                         spin_v1_spin_redis_types_payload payload,
                                         struct spin_before_result_void_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_redis_get(struct host_call *call, str address, str key,
                                     struct spin_before_result_list_u8_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_redis_set(struct host_call *call, str address, str key, spin_v1_spin_redis_types_payload value,
                                     struct spin_before_result_void_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_redis_incr(struct host_call *call, str address, str key,
                                      struct spin_before_result_s64_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_redis_del(struct host_call *call, str address, struct spin_before_list_string keys,
                                     struct spin_before_result_s64_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_redis_sadd(struct host_call *call, str address, str key, struct spin_before_list_string values,
                                      struct spin_before_result_s64_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_redis_smembers(struct host_call *call, str address, str key,
                                          struct spin_before_result_list_string_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap spin_v1_spin_redis_srem(struct host_call *call, str address, str key, struct spin_before_list_string values,
                                      struct spin_before_result_s64_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}
enum abi_trap
spin_v1_spin_redis_execute(struct host_call *call, str address, str command,
                           struct spin_before_list_spin_redis_types_redis_parameter arguments,
                           struct spin_before_result_list_spin_redis_types_redis_result_spin_redis_types_error *result) {
    result->is_err = true;
    result->err = SPIN_V1_SPIN_REDIS_TYPES_ERROR_ERROR;
    return ABI_TRAP_NONE;
}

/* ---- spin:postgres@3 ---- */

void spin_pg3_postgres_postgres_connection_drop(struct host_instance *in, struct spin_pg3_postgres_postgres_connection *self) {
    app_object_unref(in, self);
}
enum abi_trap
spin_pg3_postgres_postgres_connection_open(struct host_call *call, str address,
                                           struct spin_pg_result_postgres_postgres_connection_postgres_postgres_error *result) {
    FAIL(SPIN_PG3_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why_not(call, address));
}
enum abi_trap
spin_pg3_postgres_postgres_connection_query(struct host_call *call, struct spin_pg3_postgres_postgres_connection *self,
                                            str statement, struct spin_pg_list_postgres_postgres_parameter_value params,
                                            struct spin_pg_result_postgres_postgres_row_set_postgres_postgres_error *result) {
    FAIL(SPIN_PG3_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
enum abi_trap spin_pg3_postgres_postgres_connection_execute(struct host_call *call,
                                                            struct spin_pg3_postgres_postgres_connection *self, str statement,
                                                            struct spin_pg_list_postgres_postgres_parameter_value params,
                                                            struct spin_pg_result_u64_postgres_postgres_error *result) {
    FAIL(SPIN_PG3_POSTGRES_POSTGRES_ERROR_CONNECTION_FAILED, connection_failed, why);
}
