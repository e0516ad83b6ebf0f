/* connection: as whom a guest asks, and one query of his. */
#include "tables/tables_int.h"

enum { CLAIMS_BYTES_MAX = 64 << 10 };

struct orlo_database_client_connection {
    struct app_object o;
    struct tables_who who;
};

/* ---- errors ---- */

tables_error tables_error_of(const char *code, const char *message, const char *hint) {
    return (tables_error){.code = str_c(code), .message = str_c(message), .hint = str_c(hint)};
}

tables_error tables_error_said(struct host_call *call, const struct pg_error *error) {
    return (tables_error){.code = host_alloc_str(call, str_c(error->state)),
                          .message = host_alloc_str(call, str_c(error->message)),
                          .detail = host_alloc_str(call, str_c(error->detail)),
                          .hint = host_alloc_str(call, str_c(error->hint))};
}

static str text_at(const struct app_reply *reply, uint32_t i) {
    return i < reply->count && reply->values[i].kind == APP_VALUE_TEXT ? reply->values[i].s : (str){0};
}

tables_error tables_error_reply(const struct app_reply *reply) {
    if (reply->outcome == APP_DATA_ERROR && text_at(reply, 0).n)
        return (tables_error){text_at(reply, 0), text_at(reply, 1), text_at(reply, 2), text_at(reply, 3)};
    if (reply->outcome == APP_DATA_TOO_LARGE) return tables_error_of("54000", "the answer is larger than a call may have", "");
    if (reply->outcome == APP_DATA_BUSY) return tables_error_of("53300", "too many queries of the app wait", "");
    return (tables_error){.code = STR("58030"), .message = app_reply_text(reply)};
}

/* ---- as whom ---- */

void tables_who_free(struct host_instance *in, struct tables_who *who) {
    app_charged_free(in, who->role);
    app_charged_free(in, who->claims);
}

void tables_who_values(const struct tables_who *who, str body, struct app_value to[static TABLES_ASK_VALUES]) {
    const str texts[TABLES_ASK_VALUES] = {who->role, who->claims, body};
    for (size_t i = 0; i < TABLES_ASK_VALUES; i++) to[i] = APP_TEXT(texts[i]);
}

static bool granted(const struct app *app, str as) {
    for (uint32_t i = 0; i < app->grants->roles.n; i++)
        if (str_eq(app->grants->roles.p[i], as) || str_eqc(app->grants->roles.p[i], "*")) return true;
    return false;
}

static bool are_claims(str claims) {
    arena *scratch = arena_new(0);
    struct json v;
    static const struct json_limits limits = {.bytes_max = CLAIMS_BYTES_MAX, .depth_max = 32, .values_max = 4096};
    bool ok = !claims.n || (json_read(scratch, claims, &limits, &v, NULL) == ERR_OK && v.kind == JSON_KIND_OBJECT);
    arena_free(scratch);
    return ok;
}

struct as {
    str word; /* of the manifest */
    str role, claims;
};
static bool as_whom(const struct app_request *rq, const struct orlo_database_client_identity *i, struct as *as,
                    tables_error *error) {
    const struct app_principal *p = &rq->principal;
    switch (i->tag) {
    case ORLO_DATABASE_CLIENT_IDENTITY_CALLER:
        *as = (struct as){STR("caller"), str_eqc(p->role, "anonymous") ? STR("anon") : p->role, p->claims};
        if (p->role.n) return true;
        *error = tables_error_of("28000", "the caller's token or key is not valid", "");
        return false;
    case ORLO_DATABASE_CLIENT_IDENTITY_SERVICE:
        *as = (struct as){STR("service_role"), STR("service_role"), STR("{\"role\":\"service_role\"}")};
        return true;
    default: break;
    }
    *as = (struct as){i->role.name, i->role.name, i->role.claims};
    if (are_claims(i->role.claims)) return true;
    *error = tables_error_of("22023", "claims are a JSON object of at most 64 KiB", "");
    return false;
}

static void connection_destroy(struct host_instance *in, void *self) {
    tables_who_free(in, &((struct orlo_database_client_connection *)self)->who);
}

enum abi_trap
orlo_database_client_connection_open(struct host_call *call, const struct orlo_database_client_identity *identity,
                                     struct tables_wit_result_database_client_connection_database_client_error *result) {
    struct app_request *rq = app_request_of(call);
    const struct app *app = app_instance_of(call->instance)->app;
    struct as as;
    result->is_err = true;
    if (!app->tables) {
        result->err = tables_error_of("3D000", "the app has no database", "Its manifest says which: database = \"sqlite\".");
        return ABI_TRAP_NONE;
    }
    if (!as_whom(rq, identity, &as, &result->err)) return ABI_TRAP_NONE;
    if (!granted(app, as.word)) {
        app_request_lacks(rq, APP_LACK_DATABASE, as.word);
        result->err = tables_error_of("42501", "permission denied: the function was not granted the database as that one",
                                      "In its manifest, database = [\"caller\", …] of the function grants it.");
        return ABI_TRAP_NONE;
    }
    APP_OBJECT_NEW(call, c, orlo_database_client_connection, connection_destroy);
    result->is_err = !app_charged_replace(call->instance, &c->who.role, as.role) ||
                     !app_charged_replace(call->instance, &c->who.claims, as.claims);
    result->ok = c;
    if (!result->is_err) return ABI_TRAP_NONE;
    app_object_unref(call->instance, c);
    result->err = tables_error_of("53200", "out of memory", "");
    return ABI_TRAP_NONE;
}

void orlo_database_client_connection_drop(struct host_instance *in, struct orlo_database_client_connection *self) {
    app_object_unref(in, self);
}

/* ---- queries ---- */

static void fill_rows(struct host_call *call, const struct app_reply *reply, void *about, void *result) {
    tables_answer *to = result;
    if (reply->outcome == APP_DATA_OK && reply->count == 1 && reply->values[0].kind == APP_VALUE_TEXT) {
        tables_rows_answer(call, about, reply->values[0].s, to);
        return;
    }
    to->is_err = true;
    to->err = tables_error_reply(reply);
}

enum abi_trap orlo_database_client_connection_query(struct host_call *call, struct orlo_database_client_connection *self,
                                                    str tree, struct tables_wit_list_database_client_value parameters,
                                                    tables_answer *result) {
    struct app_data *tables = app_instance_of(call->instance)->app->tables;
    struct buf body;
    enum abi_trap t;
    result->is_err = !tables_body(call, tree, parameters.p, parameters.n, &body, &result->err, &t);
    uint64_t bytes = body.cap;
    bool charged = !result->is_err && host_charge(call->instance, bytes);
    struct tables_source *source = charged && tables->more ? tables_source_new(tables) : NULL;
    struct orlo_database_client_rows *rows = source ? tables_rows_new(call->instance, source) : NULL;
    if (source && !rows) tables_source_free(source);
    if (!result->is_err && (!charged || (source && !rows))) {
        result->is_err = true;
        result->err = tables_error_of("53200", "out of memory", "");
    }
    if (!result->is_err) {
        struct app_value values[TABLES_ASK_VALUES];
        tables_who_values(&self->who, buf_str(&body), values);
        struct app_question q = {.op = APP_QUERY,
                                 .place = STR("app"),
                                 .values = values,
                                 .count = ARRAY_COUNT(values),
                                 .hops = app_request_depth(app_request_of(call))};
        t = app_wait(call, source ? tables_source_data(source) : tables, &q, fill_rows, rows, result);
    }
    app_object_unref(call->instance, rows); /* who waits for it, and who has it, hold references of their own */
    if (charged) host_uncharge(call->instance, bytes);
    buf_free(&body);
    return t;
}

enum abi_trap
orlo_database_client_connection_begin(struct host_call *call, struct orlo_database_client_connection *self,
                                      struct tables_wit_result_database_client_transaction_database_client_error *result) {
    return tables_begin(call, &self->who, result);
}
