/* sessions: those that a user has, told to him and to the app's owner, ended by either; and those that ended by themselves, swept away.
 *
 * Swept is what ended a day ago or more, by a sign-in, and of the app at most every SWEEP_EVERY_S: a stretch of so many rows from a place by chance is looked at.
 * So what it takes is bounded, however many there are, and nobody keeps where it was. */
#include "auth/auth_int.h"

enum { LIST_MAX = 500, SWEEP_ROWS = 250, SWEEP_EVERY_S = 10, SWEEP_AFTER_S = 24 * 3600 };

/* ---- told ---- */

static void put_text(struct json_writer *w, const char *key, const struct json *v) {
    if (json_str(v).n) json_put_str(w, key, json_str(v));
}

/* "192.0.2.7/32", as inet has it in JSON. */
static str address_of(const struct json *v) { return str_sub(json_str(v), 0, str_find(json_str(v), '/')); }

static void put_session(struct auth_call *c, struct json_writer *w, const struct json *s) {
    str id = json_str(json_get(s, "id"));
    int64_t end = auth_session_end(c, s);
    json_put_object(w, NULL);
    json_put_str(w, "id", id);
    auth_put_time(w, "created_at", json_get(s, "created_at"));
    auth_put_time(w, "updated_at", json_get(s, "updated_at"));
    auth_put_time(w, "refreshed_at", json_get(s, "refreshed_at"));
    if (end != INT64_MAX) json_put_str(w, "not_after", auth_time_text(c->mem, end));
    put_text(w, "aal", json_get(s, "aal"));
    if (address_of(json_get(s, "ip")).n) json_put_str(w, "ip", address_of(json_get(s, "ip")));
    put_text(w, "user_agent", json_get(s, "user_agent"));
    put_text(w, "tag", json_get(s, "tag"));
    put_text(w, "factor_id", json_get(s, "factor_id"));
    put_text(w, "oauth_client_id", json_get(s, "oauth_client_id"));
    json_put_array(w, "amr");
    JSON_EACH(a, json_get(s, "mfa_amr_claims")) json_put_str(w, NULL, json_str(json_get(a, "authentication_method")));
    json_put_end(w);
    if (c->session) json_put_bool(w, "current", str_eq(id, json_str(json_get(c->session, "id"))));
    json_put_end(w);
}

/* The newest first; what has ended is no more. */
static bool answer_list(struct auth_call *c, str user) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "sessions");
    json_put_raw(&b.w, "select",
                 STR("[\"*\",{\"embed\":\"mfa_amr_claims\",\"select\":[\"*\"],\"order\":[\"created_at\",\"id\"]}]"));
    auth_where(&b), auth_eq(&b, "user_id", user), auth_end(&b);
    json_put_raw(&b.w, "order", STR("[{\"column\":\"created_at\",\"desc\":true},{\"column\":\"id\",\"desc\":true}]"));
    json_put_u64(&b.w, "limit", LIST_MAX);
    auth_end(&b);
    if (auth_run(c, &b, "Database error finding sessions", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    struct json_writer w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_array(&w, "sessions");
    JSON_EACH(s, json_get(json_item(&answers, 0), "rows")) if (auth_session_end(c, s) > c->host->now_us) put_session(c, &w, s);
    json_put_end(&w);
    json_put_end(&w);
    return auth_answer(c, 200);
}

bool auth_do_sessions(struct auth_call *c) { return answer_list(c, json_str(json_get(c->user, "id"))); }

/* ---- ended ---- */

/* id empty: all of the user's. actor: who does it, in the audit log. */
static bool end_some(struct auth_call *c, str user, str id, str actor, str name) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_audit(c, &b, "token_revoked", "token", actor, name, NULL);
    auth_tree(&b, "delete", "sessions");
    auth_where(&b);
    auth_eq(&b, "user_id", user);
    if (id.n) auth_eq(&b, "id", id);
    auth_end(&b);
    if (id.n) auth_one(&b);
    auth_end(&b);
    enum auth_ran ran = auth_run(c, &b, "Database error ending sessions", &answers);
    if (ran == AUTH_MOVED) return auth_fail_status(c, AUTH_ERROR_session_not_found, 404, "Session not found");
    return ran == AUTH_RAN ? auth_answer(c, 204) : auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool ids_ok(struct auth_call *c, str session) {
    if (auth_is_id(session)) return true;
    return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "session_id must be an UUID");
}

bool auth_do_session_delete(struct auth_call *c) {
    str user = json_str(json_get(c->user, "id"));
    return ids_ok(c, c->id) && end_some(c, user, c->id, user, json_str(json_get(c->user, "email")));
}

static bool load(struct auth_call *c, const struct json **user) {
    if (!auth_is_id(c->id)) return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "user_id must be an UUID");
    if (!auth_read_user(c, "id", c->id, user)) return false;
    return *user || auth_fail(c, AUTH_ERROR_user_not_found);
}

bool auth_do_admin_sessions(struct auth_call *c) {
    const struct json *user;
    return load(c, &user) && answer_list(c, c->id);
}

static bool admin_end(struct auth_call *c, str session) {
    const struct json *user;
    return load(c, &user) && end_some(c, c->id, session, STR("00000000-0000-0000-0000-000000000000"), STR("service_role"));
}

bool auth_do_admin_sessions_delete(struct auth_call *c) { return admin_end(c, (str){0}); }
bool auth_do_admin_session_delete(struct auth_call *c) { return ids_ok(c, c->other) && admin_end(c, c->other); }

/* ---- swept ---- */

static void select_stretch(struct auth_batch *b, const char *op, str from) {
    auth_tree(b, "select", "sessions");
    json_put_raw(&b->w, "select", STR("[\"id\",\"created_at\",\"refreshed_at\",\"not_after\"]"));
    auth_where(b), auth_op(b, "id", op, from), auth_end(b);
    json_put_raw(&b->w, "order", STR("[\"id\"]"));
    json_put_u64(&b->w, "limit", SWEEP_ROWS);
    auth_end(b);
}

/* Of both stretches those that are over. */
static bool put_swept(struct auth_call *c, struct auth_batch *b, const struct json *answers) {
    uint32_t n = 0;
    auth_tree(b, "delete", "sessions");
    auth_where(b);
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "column", "id");
    json_put_cstr(&b->w, "op", "in");
    json_put_array(&b->w, "values");
    for (uint32_t i = 0; i < 2; i++) JSON_EACH(s, json_get(json_item(answers, i), "rows")) {
            int64_t end = auth_session_end(c, s);
            if (end == INT64_MAX || end > c->host->now_us - SWEEP_AFTER_S * 1'000'000ll) continue;
            json_put_str(&b->w, NULL, json_str(json_get(s, "id")));
            n++;
        }
    json_put_end(&b->w);
    json_put_end(&b->w);
    auth_end(b);
    auth_end(b);
    return n;
}

void auth_sweep_sessions(const struct auth_call *of) {
    struct auth_call c = *of; /* what becomes of it is nobody's error */
    struct auth_batch b;
    struct json answers;
    c.out = (struct buf){0};
    if (c.failed || c.host->limit(c.host->arg, STR("sweep"), SWEEP_EVERY_S * 1'000'000'000ull, 1, true)) return;
    str from = auth_new_id(&c);
    auth_batch_begin(&b);
    select_stretch(&b, "gte", from);
    select_stretch(&b, "lt", from);
    if (auth_run(&c, &b, "Database error sweeping sessions", &answers) != AUTH_RAN) return;
    auth_batch_begin(&b);
    if (put_swept(&c, &b, &answers)) (void)auth_run(&c, &b, "Database error sweeping sessions", &answers);
    else buf_free(&b.b);
}
