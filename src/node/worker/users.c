/* users: /auth/v1 of an app that has users: what the room auth asks for is done here: its questions to the app's database, passwords, signatures, limits.
 *
 *   serve ──> READS its body ──> RUNS, on a fiber of the app's share: it parks for each answer ──> answered, from the loop
 *                                  └─ the client is gone: it goes on to its end all the same, for what was begun is to be whole
 *
 * Who sends his body slowly holds no place of those who wait for an answer: a visit counts once it runs, and before that only where it is larger than a
 * sign-in is (SMALL). Where a key is wanted, it has to be good; a token that does not hold is nobody's, and no reason to refuse what needs none: who refreshes a session
 * brings an old one.
 */
#include "app/hops.h"
#include "auth/auth.h"
#include "engine/engine.h"
#include "net/addr.h"
#include "net/loop.h"
#include "node/secrets.h"
#include "node/worker/calls.h"
#include "node/worker/gate.h"
#include "node/worker/handler_int.h"
#include "node/worker/hashes.h"
#include "node/worker/hooks.h"
#include "node/worker/keys.h"
#include "node/worker/mails.h"
#include "node/worker/query.h"
#include <stdlib.h>
#include <time.h>

enum {
    FIELDS_MAX = AUTH_FIELDS_MAX + 6,
    VISITS_MAX = 128 /* of an app in a worker */,
    SMALL = 4096,
    LARGE_MAX = 64,
    MESSAGE_MAX = 32768,
    CALL_MS = 10'000,
    CALL_BYTES = 64 << 10,
    STALE_S = 86'400
};
static const str at = STR_INIT("/auth/v1");

struct node_users {
    struct node_request *r; /* NULL: it is gone */
    struct node_handler *handler;
    struct node_app *app;
    arena *mem;
    struct buf body;
    struct auth_request rq;
    struct auth_response answer;
    struct engine_fiber *fiber; /* NULL: it does not run yet, or any more */
    struct engine_post post;
    bool dev, runs, large; /* what it counts as */
    bool goes;             /* from its being spawned to its end */
    /* what it waits for: */
    bool told, dead; /* dead: its share was ended */
    struct node_query *query;
    struct node_hashing *hashing;
    struct node_call *call;
    struct auth_fetched *fetched;
    err called;
    struct node_hooking *hooking;
    struct net_timer *timer; /* of what it waits for no longer than that; NULL: it has never */
    bool late;
    struct auth_called *hooked;
    struct engine_post early; /* the answer, before its end */
    arena *out;
    str said;
    struct pg_error *error;
    bool ok;
    struct node_hashed hashed;
    struct auth_post *posts;
    struct node_mail **mails; /* of those that are under way */
    uint32_t posts_left;
    void (*delivered)(void *arg, int64_t again_us); /* it sends what waits; else it is a request */
    void *delivered_arg;
    int64_t again_us;
    bool wrote; /* a mail */
};

static void free_users(struct node_users *u) {
    u->handler->busy--; /* only now: what goes on without its client is waited for, too */
    u->app->users -= u->runs, u->app->users_large -= u->large;
    u->app->requests--;
    if (u->body.p) explicit_bzero(u->body.p, u->body.n);
    net_timer_free(u->timer);
    buf_free(&u->body);
    arena_free(u->mem);
    free(u);
}

/* ---- what the room asks for, on its fiber ---- */

static bool await(struct node_users *u) {
    while (!u->told && !u->dead) u->dead = !engine_park(u->app->guest->engine);
    return u->told;
}

static void wake(struct node_users *u) {
    u->told = true;
    engine_ready(u->fiber);
}

static void on_query(void *arg, const struct node_query_answer *a) {
    struct node_users *u = arg;
    u->query = NULL;
    u->ok = a->ok;
    if (a->ok) u->said = arena_str(u->out, a->body);
    else *u->error = *a->error;
    wake(u);
}

static bool query(void *arg, arena *out, str batch, str *answer, struct pg_error *error) {
    struct node_users *u = arg;
    const struct node_tree_ask ask = {
        .role = STR("service_role"), .claims = STR("{}"), .method = u->rq.method, .path = u->rq.path, .body = batch};
    u->told = false;
    u->out = out, u->error = error;
    if (!u->dead) u->query = node_data_query(u->app, &ask, on_query, u);
    if (!await(u)) {
        if (u->query) node_data_query_cancel(u->query);
        u->query = NULL;
        node_tree_fail(error, "57P01", "the app's share was ended");
        return false;
    }
    *answer = u->said;
    return u->ok;
}

static void on_hashed(void *arg, const struct node_hashed *said) {
    struct node_users *u = arg;
    u->hashing = NULL;
    u->hashed = *said;
    if (u->out) u->said = arena_str(u->out, said->hash);
    wake(u);
}

/* What was asked last. */
static enum auth_done hashed(struct node_users *u) {
    if (!await(u)) {
        if (u->hashing) node_hashes_cancel(u->hashing);
        u->hashing = NULL;
        return AUTH_BUSY;
    }
    return u->hashed.err == ERR_OK ? AUTH_DONE : u->hashed.err == ERR_BUSY ? AUTH_BUSY : AUTH_BROKEN;
}

static enum auth_done ask_hash(struct node_users *u, arena *out, str given, str with) {
    u->told = false;
    u->out = out;
    if (given.n > NODE_PASSWORD_BYTES_MAX || with.n >= CRYPTO_HASH_TEXT_MAX) return AUTH_BROKEN;
    if (!u->dead) u->hashing = node_hashes_ask(u->app->guest->hashes, u->app->record.id, given, with, on_hashed, u);
    return hashed(u);
}

static enum auth_done make_hash(void *arg, arena *out, str password, str *made) {
    struct node_users *u = arg;
    enum auth_done done = ask_hash(u, out, password, (str){0});
    if (done == AUTH_DONE) *made = u->said;
    return done == AUTH_DONE && !made->n ? AUTH_BROKEN : done;
}

static enum auth_done verify(void *arg, str password, str hash, bool *right, bool *old) {
    struct node_users *u = arg;
    enum auth_done done = ask_hash(u, NULL, password, hash.n ? hash : STR("-"));
    *right = done == AUTH_DONE && u->hashed.right;
    *old = done == AUTH_DONE && u->hashed.old;
    return done;
}

static enum auth_done sign(void *arg, arena *out, str claims, str *token) {
    struct node_users *u = arg;
    struct node_keys_signer s;
    struct buf b = {0};
    if (!node_keys_signer(u->app->keys, out, claims, &s)) return AUTH_BROKEN;
    if (!s.signature.n) {
        u->told = false;
        u->out = out;
        if (s.message.n > MESSAGE_MAX) return AUTH_BROKEN;
        if (!u->dead)
            u->hashing = node_hashes_sign(u->app->guest->signers, u->app->record.id, s.algorithm, s.key, s.sealed, s.message,
                                          on_hashed, u);
        enum auth_done done = hashed(u);
        if (done != AUTH_DONE) return done;
        s.signature = u->said;
    }
    buf_puts(&b, s.message);
    buf_putc(&b, '.');
    node_base64url(&b, s.signature);
    *token = arena_str(out, buf_str(&b));
    buf_free(&b);
    return AUTH_DONE;
}

static const str sealed_mark = STR_INIT("orlo1.");

static enum auth_done vault(struct node_users *u, arena *out, bool opens, str about, str bytes) {
    str pass = node_keys_pass(u->app->keys);
    u->told = false;
    u->out = out;
    if (!pass.n || about.n > 255 || bytes.n > (size_t)NODE_VAULT_BYTES_MAX + (opens ? CRYPTO_SEAL_MORE_BYTES : 0))
        return AUTH_BROKEN;
    if (!u->dead)
        u->hashing = node_hashes_vault(u->app->guest->signers, u->app->record.id, pass, opens, about, bytes, on_hashed, u);
    return hashed(u);
}

static enum auth_done seal(void *arg, arena *out, str about, str plain, str *sealed) {
    struct node_users *u = arg;
    struct buf b = {0};
    enum auth_done done = vault(u, out, false, about, plain);
    if (done != AUTH_DONE) return done;
    buf_puts(&b, sealed_mark);
    node_base64url(&b, u->said);
    *sealed = arena_str(out, buf_str(&b));
    buf_free(&b);
    return AUTH_DONE;
}

static enum auth_done unseal(void *arg, arena *out, str about, str sealed, str *plain) {
    struct node_users *u = arg;
    str bytes;
    if (!str_starts(sealed, sealed_mark) || sealed.n > 2 * NODE_VAULT_BYTES_MAX ||
        !node_base64url_read(out, str_sub(sealed, sealed_mark.n, sealed.n), &bytes))
        return AUTH_BROKEN;
    enum auth_done done = vault(u, out, true, about, bytes);
    if (done == AUTH_DONE) *plain = u->said;
    return done;
}

/* ---- hooks ---- */

static str loop_of(const struct node_users *u) {
    for (uint32_t i = 0; i < u->rq.fields_count; i++)
        if (app_hops_field(u->rq.fields[i].name)) return u->rq.fields[i].value;
    return (str){0};
}

static void on_hooked(void *arg, const struct node_hook_said *said) {
    struct node_users *u = arg;
    u->hooking = NULL;
    u->late = said->late;
    *u->hooked = (struct auth_called){.status = said->status,
                                      .type = arena_str(u->out, said->type),
                                      .retry = arena_str(u->out, said->retry),
                                      .body = arena_str(u->out, said->body)};
    wake(u);
}

static enum auth_done call_function(struct node_users *u, const struct auth_call_ask *ask) {
    struct net_field *fields = arena_array(u->out, struct net_field, ask->fields_count + 1);
    for (uint32_t i = 0; i < ask->fields_count; i++) fields[i] = (struct net_field){ask->fields[i].name, ask->fields[i].value};
    const struct node_hook_ask to = {.function = ask->name,
                                     .body = ask->body,
                                     .fields = fields,
                                     .fields_count = ask->fields_count,
                                     .loop = loop_of(u),
                                     .ms = ask->ms,
                                     .bytes_max = ask->bytes_max};
    if (u->dead || !(u->hooking = node_hook_ask(u->app, &to, on_hooked, u))) return AUTH_BROKEN;
    if (!await(u)) {
        if (u->hooking) node_hook_cancel(u->hooking);
        u->hooking = NULL;
        return AUTH_BROKEN;
    }
    return u->late ? AUTH_BUSY : u->hooked->status ? AUTH_DONE : AUTH_BROKEN;
}

static void on_late(void *arg) {
    struct node_users *u = arg;
    if (u->told) return;
    u->late = true;
    wake(u);
}

static void start_timer(struct node_users *u, uint32_t ms) {
    if (!u->timer) u->timer = net_timer_new(u->app->guest->loop, on_late, u);
    net_timer_start(u->timer, ms, 0);
}

static void wait_for(void *arg, uint32_t ms) {
    struct node_users *u = arg;
    u->told = u->late = false;
    start_timer(u, ms);
    (void)await(u);
    net_timer_stop(u->timer);
}

/* As GoTrue's own role, to which projects grant their hooks; where the server's is not to be that one, as the service_role. */
static enum auth_done call_sql(struct node_users *u, const struct auth_call_ask *ask) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    str schema, name;
    str_cut(ask->name, '.', &schema, &name);
    json_put_object(&w, NULL);
    json_put_object(&w, "query");
    json_put_cstr(&w, "kind", "call");
    json_put_str(&w, "schema", schema);
    json_put_str(&w, "function", name);
    json_put_object(&w, "raw");
    json_put_cstr(&w, "type", "json");
    json_put_bool(&w, "named", true);
    json_put_str(&w, "body", ask->body);
    for (int i = 0; i < 3; i++) json_put_end(&w);
    struct node_tree_ask tree = {.role = STR(NODE_TREE_OWN_ROLE),
                                 .own = STR("1"),
                                 .claims = STR("{}"),
                                 .method = u->rq.method,
                                 .path = u->rq.path,
                                 .body = arena_str(u->out, buf_str(&b))};
    buf_free(&b);
    u->error = &u->hooked->error;
    bool again = true;
    for (int tries = 0; tries < 2 && again; tries++) {
        u->told = u->late = false;
        *u->error = (struct pg_error){0};
        if (!u->dead) u->query = node_data_query(u->app, &tree, on_query, u);
        start_timer(u, ask->ms);
        bool told = await(u);
        net_timer_stop(u->timer);
        if (u->query) node_data_query_cancel(u->query);
        u->query = NULL;
        if (!told || u->late) return told ? AUTH_BUSY : AUTH_BROKEN;
        again = !u->ok && !strcmp(u->error->state, "42501") && strstr(u->error->message, "set role");
        tree.role = STR("service_role");
    }
    u->hooked->body = u->said;
    return u->ok ? AUTH_DONE : !strcmp(u->error->state, "57014") ? AUTH_BUSY : AUTH_BROKEN;
}

static enum auth_done call(void *arg, arena *out, const struct auth_call_ask *ask, struct auth_called *to) {
    struct node_users *u = arg;
    u->told = u->late = false;
    u->out = out;
    u->hooked = to;
    *to = (struct auth_called){0};
    return ask->sql ? call_sql(u, ask) : call_function(u, ask);
}

static uint64_t limit(void *arg, str key, uint64_t each_ns, uint64_t burst, bool take) {
    const struct node_users *u = arg;
    return node_rates_take_key(u->app->record.id, key, each_ns, burst, clock_mono_ns(), take);
}

static void on_called(void *arg, const struct node_called *said) {
    struct node_users *u = arg;
    struct auth_field *fields = arena_array(u->out, struct auth_field, said->fields_count + 1);
    u->call = NULL;
    u->called = said->err;
    for (uint32_t i = 0; i < said->fields_count; i++)
        fields[i] = (struct auth_field){arena_str(u->out, said->fields[i].name), arena_str(u->out, said->fields[i].value)};
    *u->fetched = (struct auth_fetched){
        .status = said->status, .fields = fields, .fields_count = said->fields_count, .body = arena_str(u->out, said->body)};
    u->said = arena_str(u->out, str_c(said->why));
    wake(u);
}

/* Where to alone: what stands in a query is not everybody's. */
static void log_call(const struct node_users *u, str url, str why) {
    struct node_call_url to;
    bool known = node_call_url_read(url, &to);
    log_event(LOG_WARN, "auth-call-failed", LF_CSTR("request", u->r ? u->r->id : ""), LF_CSTR("app", u->app->name),
              LF_STR("host", known ? to.authority : STR("")), LF_STR("reason", why));
}

static bool kept(const struct node_users *u, arena *out, str url, uint64_t s, struct auth_fetched *to) {
    str body;
    if (!node_calls_kept(u->app, url, s * 1'000'000'000, &body)) return false;
    *to = (struct auth_fetched){.status = 200, .body = arena_str(out, body)};
    return true;
}

static enum auth_done fetch_now(struct node_users *u, arena *out, const struct auth_fetch *what, struct auth_fetched *to) {
    struct net_field *fields = arena_array(out, struct net_field, what->fields_count + 1);
    for (uint32_t i = 0; i < what->fields_count; i++) fields[i] = (struct net_field){what->fields[i].name, what->fields[i].value};
    const struct node_call_what call = {.method = what->method,
                                        .url = what->url,
                                        .fields = fields,
                                        .fields_count = what->fields_count,
                                        .body = what->body,
                                        .loop = loop_of(u),
                                        .deadline_ms = what->deadline_ms ? what->deadline_ms : CALL_MS,
                                        .bytes_max = what->bytes_max ? what->bytes_max : CALL_BYTES,
                                        .private = u->dev || u->handler->limits->auth_private};
    *to = (struct auth_fetched){0};
    u->told = false;
    u->out = out, u->fetched = to;
    if (!u->app->record.auth.calls) { /* its worker may have no network at all */
        log_call(u, what->url, STR("[auth] names nobody who is asked: custom_providers = true opens that"));
        return AUTH_BROKEN;
    }
    if (!u->dead) u->call = node_call_ask(u->app, &call, on_called, u);
    if (!await(u)) {
        if (u->call) node_call_cancel(u->call);
        u->call = NULL;
        return AUTH_BUSY;
    }
    if (u->called == ERR_OK) return AUTH_DONE;
    log_call(u, what->url, u->said);
    return u->called == ERR_BUSY ? AUTH_BUSY : AUTH_BROKEN;
}

static enum auth_done fetch(void *arg, arena *out, const struct auth_fetch *what, struct auth_fetched *to) {
    struct node_users *u = arg;
    if (what->keep_s && kept(u, out, what->url, what->keep_s, to)) return AUTH_DONE;
    enum auth_done done = fetch_now(u, out, what, to);
    if (what->keep_s && done == AUTH_DONE && to->status == 200) node_calls_keep(u->app, what->url, to->body);
    /* What was good yesterday is better than nobody signed in. */
    else if (what->keep_s && kept(u, out, what->url, STALE_S, to)) done = AUTH_DONE;
    return done;
}

static void ended(void *arg, str user, uint64_t for_s) {
    const struct node_users *u = arg;
    node_rates_end(u->app->record.id, user, for_s * 1'000'000'000u, clock_mono_ns());
}

static void failed(void *arg, const char *what, const struct pg_error *error) {
    const struct node_users *u = arg;
    bool row =
        str_starts(str_c(error->detail), STR("Failing row contains")); /* of users: with a hash of the password, and codes' */
    log_event(LOG_WARN, "auth-failed", LF_CSTR("request", u->r ? u->r->id : ""), LF_CSTR("app", u->app->name),
              LF_CSTR("what", what), LF_CSTR("code", error->state), LF_CSTR("reason", error->message),
              LF_CSTR("detail", row ? "" : error->detail));
}

static bool secret(void *arg, arena *out, str name, str *value) {
    const struct node_users *u = arg;
    if (!node_app_secret(u->app, name, value)) return false;
    *value = arena_str(out, *value);
    return true;
}

/* ---- mails ---- */

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

static int64_t the_clock(void *arg) { return now_us(); }

static void posted(struct auth_post *p, err e, str why) {
    p->done = e == ERR_OK ? AUTH_POSTED : e == ERR_DENIED ? AUTH_POST_NEVER : e == ERR_IO ? AUTH_POST_NOBODYS : AUTH_POST_LATER;
    p->done_us = now_us();
    snprintf(p->why, sizeof p->why, STR_FMT, STR_ARG(str_sub(why, 0, str_utf8_prefix(str_sub(why, 0, sizeof p->why - 1)))));
}

static void on_posted(void *arg, uint32_t nth, err e, str why) {
    struct node_users *u = arg;
    u->mails[nth] = NULL;
    posted(&u->posts[nth], e, why);
    if (!--u->posts_left) wake(u);
}

/* What the node's relay takes of an app is bounded; by a relay of its own, its owner's affair. */
static bool may_post(const struct node_users *u) {
    uint64_t hour_ns = 3'600'000'000'000, most = u->app->guest->relay_hour;
    return u->app->record.auth.mail.host.n ||
           !node_rates_take_key(u->app->record.id, STR("relay"), hour_ns / MAX(most, 1u), most, clock_mono_ns(), true);
}

static void post(void *arg, struct auth_post *mails, uint32_t n) {
    struct node_users *u = arg;
    u->told = false;
    u->posts = mails;
    u->mails = arena_array(u->mem, struct node_mail *, n);
    for (uint32_t i = 0; i < n; i++) {
        struct auth_post *p = &mails[i];
        const struct node_mail_what what = {.id = p->id,
                                            .to = p->to,
                                            .subject = p->subject,
                                            .text = p->text,
                                            .html = p->html,
                                            .made_s = p->made_s,
                                            .anywhere = u->dev || u->handler->limits->auth_private};
        if (!may_post(u)) posted(p, ERR_BUSY, STR("the node's relay takes no more of the app's for now"));
        else if (!u->dead) u->mails[i] = node_mail_ask(u->app->guest->mails, u->app, &what, i, on_posted, u), u->posts_left++;
        else posted(p, ERR_BUSY, STR("the app's share was ended"));
    }
    if (!u->posts_left || await(u)) return;
    for (uint32_t i = 0; i < n; i++) {
        if (!u->mails[i]) continue;
        node_mail_cancel(u->mails[i]);
        posted(&mails[i], ERR_BUSY, STR("the app's share was ended"));
    }
    u->posts_left = 0;
}

static void unsent(void *arg, str id, const char *kind, uint32_t attempts, uint64_t again_s, const char *why) {
    const struct node_users *u = arg;
    if (again_s)
        log_event(LOG_WARN, "mail-put-off", LF_CSTR("app", u->app->name), LF_STR("mail", id), LF_CSTR("kind", kind),
                  LF_U64("attempts", attempts), LF_U64("again_s", again_s), LF_CSTR("reason", why));
    else
        log_event(LOG_WARN, "mail-given-up", LF_CSTR("app", u->app->name), LF_STR("mail", id), LF_CSTR("kind", kind),
                  LF_U64("attempts", attempts), LF_CSTR("reason", why));
}

/* Only who develops may read other people's mail. */
static void mailed(void *arg, bool sms, const char *kind, str to, str link, str code) {
    struct node_users *u = arg;
    if (node_mails_leave(u->app->guest->mails, u->app, sms)) {
        u->wrote = true;
        return;
    }
    if (!u->dev) log_event(LOG_INFO, "mail-caught", LF_CSTR("app", u->app->name), LF_CSTR("kind", kind));
    else
        log_event(LOG_INFO, "mail-caught", LF_CSTR("app", u->app->name), LF_CSTR("kind", kind), LF_STR("to", to),
                  LF_STR("link", link), LF_STR("code", code));
}

/* ---- answers ---- */

static void finish(struct node_users *u) {
    struct node_request *r = u->r;
    net_source_notify(net_exchange_source(r->exchange), NULL, NULL);
    r->users = NULL;
    if (u->goes) u->r = NULL; /* it goes on, for itself */
    else free_users(u);
    node_handler_over(r);
}

static void respond(struct node_users *u) {
    struct node_request *r = u->r;
    const struct auth_response *a = &u->answer;
    struct net_field fields[FIELDS_MAX] = {{STR("x-request-id"), str_c(r->id)},
                                           {STR("access-control-expose-headers"),
                                            STR("X-Total-Count, Link, X-Supabase-Api-Version, X-Sb-Error-Code, X-Request-Id")}};
    uint32_t n = 2;
    bool cached = false;
    if (a->body.n) fields[n++] = (struct net_field){STR("content-type"), a->type.n ? a->type : STR("application/json")};
    for (uint32_t i = 0; i < a->fields_count; i++) {
        cached |= str_eqc(a->fields[i].name, "cache-control");
        if (net_field_value_ok(a->fields[i].value)) fields[n++] = (struct net_field){a->fields[i].name, a->fields[i].value};
    }
    if (!cached) fields[n++] = (struct net_field){STR("cache-control"), STR("no-store")};
    err e = net_exchange_reply(r->exchange, a->status, fields, n, a->body);
    if (e != ERR_OK) log_event(LOG_DEBUG, "answer-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
}

static void answer_early(void *arg) {
    struct node_users *u = arg;
    if (u->r) {
        respond(u);
        finish(u);
    }
    wake(u);
}

static void answer(void *arg) {
    struct node_users *u = arg;
    u->told = false;
    if (!u->r || u->dead) return;
    u->early = (struct engine_post){.fn = answer_early, .arg = u};
    engine_post(u->app->share, &u->early);
    if (!await(u)) engine_post_cancel(&u->early);
}

/* From the loop. */
static void ran(void *arg) {
    struct node_users *u = arg;
    u->fiber = NULL;
    u->goes = false;
    if (u->delivered) u->delivered(u->delivered_arg, u->dead ? now_us() + 1'000'000 : u->again_us);
    if (u->wrote) node_mails_wait(u->app->guest->mails, u->app->record.id);
    if (!u->r) {
        free_users(u);
        return;
    }
    if (u->dead) node_refuse(u->r, NODE_REFUSE_BUSY);
    else respond(u);
    finish(u);
}

static void run(void *arg) {
    struct node_users *u = arg;
    struct timespec now;
    u->fiber = engine_fiber_current(u->app->guest->engine);
    clock_gettime(CLOCK_REALTIME, &now);
    const struct auth_host host = {.arg = u,
                                   .now_us = (int64_t)now.tv_sec * 1'000'000 + now.tv_nsec / 1000,
                                   .query = query,
                                   .hash = make_hash,
                                   .verify = verify,
                                   .sign = sign,
                                   .seal = seal,
                                   .unseal = unseal,
                                   .call = call,
                                   .answer = answer,
                                   .wait = wait_for,
                                   .limit = limit,
                                   .ended = ended,
                                   .plain = u->dev || u->handler->limits->auth_private,
                                   .fetch = fetch,
                                   .secret = secret,
                                   .clock = the_clock,
                                   .catches = u->dev,
                                   .posts = node_mails_leave(u->app->guest->mails, u->app, false),
                                   .post = post,
                                   .post_s_max = node_mails_s_max(u->app->guest->mails),
                                   .unsent = unsent,
                                   .failed = failed,
                                   .mailed = mailed};
    if (u->delivered) u->again_us = auth_deliver(&host, &u->app->record.auth, u->mem);
    else auth_serve(&host, &u->app->record.auth, &u->rq, u->mem, &u->answer);
    engine_post(u->app->share, &u->post);
}

/* ---- deliveries ---- */

bool node_users_deliver(struct node_app *app, void (*told)(void *arg, int64_t again_us), void *arg) {
    struct node_handler *h = app->guest->handler;
    struct node_users *u = calloc(1, sizeof *u);
    ENSURE(u);
    *u = (struct node_users){
        .handler = h, .app = app, .mem = arena_new(0), .dev = h->dev, .goes = true, .delivered = told, .delivered_arg = arg};
    u->rq = (struct auth_request){.method = STR("POST"), .path = STR("/mails")};
    u->post = (struct engine_post){.fn = ran, .arg = u};
    app->requests++;
    h->busy++;
    if (engine_share_spawn(app->share, run, u)) {
        net_loop_wake(app->guest->loop);
        return true;
    }
    free_users(u);
    return false;
}

/* ---- requests ---- */

static void begin_request(struct node_users *u, const struct node_who_said *who) {
    struct node_request *r = u->r;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct net_addr peer;
    size_t end = str_find(r->path, '?');
    struct auth_field *fields = arena_array(u->mem, struct auth_field, rq->fields_count + 1);
    for (uint32_t i = 0; i < rq->fields_count; i++)
        fields[i] = (struct auth_field){arena_str(u->mem, rq->fields[i].name), arena_str(u->mem, rq->fields[i].value)};
    u->rq = (struct auth_request){.method = arena_str(u->mem, rq->method),
                                  .path = arena_str(u->mem, str_sub(r->path, at.n, end - at.n)),
                                  .query = arena_str(u->mem, str_sub(r->path, end + 1, r->path.n)),
                                  .fields = fields,
                                  .fields_count = rq->fields_count,
                                  .address = net_addr_parse(net_exchange_peer(r->exchange), &peer)
                                                 ? arena_str(u->mem, net_exchange_peer(r->exchange))
                                                 : (str){0}, /* a socket of this machine's */
                                  .url = node_keys_url(u->app->keys),
                                  .role = arena_str(u->mem, who->role),
                                  .claims = arena_str(u->mem, who->claims),
                                  .brings = who->brings,
                                  .token_why = who->why};
    if (!u->rq.url.n) u->rq.url = arena_fmt(u->mem, STR_FMT "://" STR_FMT, STR_ARG(rq->scheme), STR_ARG(rq->authority));
}

static void whole(struct node_users *u) {
    net_source_notify(net_exchange_source(u->r->exchange), NULL, NULL);
    u->rq.body = buf_str(&u->body);
    u->post = (struct engine_post){.fn = ran, .arg = u};
    u->runs = u->app->users < VISITS_MAX;
    u->app->users += u->runs;
    if (u->runs && engine_share_spawn(u->app->share, run, u)) {
        u->goes = true;
        net_loop_wake(u->app->guest->loop);
        return;
    }
    node_refuse(u->r, NODE_REFUSE_BUSY);
    finish(u);
}

static void refuse_body(struct node_users *u, uint16_t status) {
    node_refuse(u->r, node_refusal_of_body(status ? status : 400));
    finish(u);
}

static void read_body(void *arg) {
    struct node_users *u = arg;
    struct net_source *source = net_exchange_source(u->r->exchange);
    str data;
    for (;;) switch (net_source_peek(source, &data)) {
        case NET_FLOW_WAIT: return;
        case NET_FLOW_END: whole(u); return;
        case NET_FLOW_FAILED: refuse_body(u, net_exchange_body_status(u->r->exchange)); return;
        case NET_FLOW_DATA:
            if (u->body.n + data.n > AUTH_BODY_BYTES_MAX) {
                refuse_body(u, 413);
                return;
            }
            if (!u->large && u->body.n + data.n > SMALL) {
                if (u->app->users_large >= LARGE_MAX) {
                    net_source_notify(source, NULL, NULL);
                    node_refuse(u->r, NODE_REFUSE_BUSY);
                    finish(u);
                    return;
                }
                u->large = true;
                u->app->users_large++;
            }
            buf_puts(&u->body, data);
            net_source_consume(source, data.n);
        }
}

bool node_users_asked(const struct node_request *r) {
    return r->part->door && str_starts(r->path, at) && r->path.n > at.n && r->path.p[at.n] == '/' && !node_jwks_asked(r);
}

void node_users_serve(struct node_request *r) {
    struct node_who_said who;
    str path = str_sub(r->path, at.n, str_find(r->path, '?') - at.n);
    if (!node_who_key(r, auth_is_open(path), &who)) {
        node_handler_over(r);
        return;
    }
    struct node_users *u = calloc(1, sizeof *u);
    ENSURE(u);
    *u = (struct node_users){.r = r, .handler = r->handler, .app = r->app, .mem = arena_new(0), .dev = r->handler->dev};
    u->app->requests++; /* it stays until all is done */
    r->users = u;
    r->handler->busy++;
    begin_request(u, &who);
    net_source_notify(net_exchange_source(r->exchange), read_body, u);
    read_body(u);
}

void node_users_event(struct node_request *r) {
    struct node_users *u = r->users;
    if (r->killed != BY_CLIENT) node_refuse(r, r->limit);
    finish(u);
}
