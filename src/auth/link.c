/* link: whose identity it is that came from a provider: one that is known, of a user; a new one of a user who is there, by an address that is surely his; or a new user's.
 *
 *   known identity ───────────────────────────────> its user
 *   an address that the provider is sure of ──────> the user who has it (linked)            what a provider is not sure of links nobody
 *   else ─────────────────────────────────────────> a new user
 *
 * 1. It is decided by what was read, and written where that is still so: else it is decided anew.
 * 2. What there was of a user whose address was not confirmed goes, where an identity comes that is: who signed up with another's address is not to have a door left open.
 * 3. The address that is confirmed is the one that the provider is sure of, and no other. */
#include "auth/provider_int.h"

enum { TRIES = 8 };

enum decision { EXISTS, LINKS, CREATES };
struct plan {
    enum decision decision;
    const struct json *user, *identity;
    str id, email; /* of the user; the address that he has, or will */
    str identity_id;
    bool sure;            /* that address is */
    bool drops;           /* what is his besides goes */
    bool confirms, waits; /* waits: for a mail, before he may sign in */
    struct auth_sent sent;
    bool again;
};

static void put_in(struct auth_batch *b, const char *column, const str *values, uint32_t n) {
    json_put_object(&b->w, NULL);
    json_put_cstr(&b->w, "column", column);
    json_put_cstr(&b->w, "op", "in");
    json_put_array(&b->w, "values");
    for (uint32_t i = 0; i < n; i++) json_put_str(&b->w, NULL, values[i]);
    json_put_end(&b->w);
    json_put_end(&b->w);
}

static bool k_has(const struct auth_known *k, str email) {
    for (uint32_t i = 0; i < k->sure_count; i++)
        if (str_eq(k->sure[i], email)) return true;
    return false;
}

/* ---- trees ---- */

static void insert_identity(struct auth_call *c, struct auth_batch *b, const struct auth_arrival *a, const struct plan *p) {
    struct json_writer *w = &b->w;
    auth_tree(b, "insert", "identities");
    auth_row(b);
    json_put_str(w, "id", p->identity_id);
    json_put_str(w, "provider_id", a->known->subject);
    json_put_str(w, "user_id", p->id);
    json_put_str(w, "provider", a->provider->name);
    json_put(w, "identity_data", a->known->data);
    json_put_str(w, "last_sign_in_at", c->now);
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(b);
    auth_end(b);
}

static void update_identity(struct auth_call *c, struct auth_batch *b, const struct auth_arrival *a, const struct plan *p) {
    auth_tree(b, "update", "identities");
    auth_set(b);
    json_put(&b->w, "identity_data", a->known->data);
    json_put_str(&b->w, "last_sign_in_at", c->now);
    json_put_str(&b->w, "updated_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", p->identity_id), auth_eq(b, "user_id", p->id), auth_end(b);
    auth_one(b);
    auth_end(b);
}

/* Nobody has changed him since he was read. */
static void put_unchanged(struct auth_batch *b, const struct json *user) {
    str at = json_str(json_get(user, "updated_at"));
    auth_where(b);
    auth_eq(b, "id", json_str(json_get(user, "id")));
    if (at.n) auth_eq(b, "updated_at", at);
    auth_end(b);
    auth_one(b);
    auth_end(b);
}

/* What he has said of himself, with what the provider says over it. */
static bool merge(struct auth_call *c, const struct auth_arrival *a, const struct plan *p, struct json *merged) {
    static const struct json_limits limits = {64 << 10, JSON_DEPTH_MAX, 20'000};
    struct buf text = {0};
    struct json_writer t = json_writer_of(&text);
    auth_put_merged(&t, NULL, p->drops ? NULL : json_get(p->user, "raw_user_meta_data"), a->known->data);
    bool ok = json_read(c->mem, arena_str(c->mem, buf_str(&text)), &limits, merged, NULL) == ERR_OK;
    buf_free(&text);
    return ok || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

/* Most who come have been here, and nothing of them is new: then nothing is written, and several at once wait for nobody. */
static bool is_as_it_was(const struct auth_arrival *a, const struct plan *p, const struct json *merged) {
    bool has = false;
    JSON_EACH(one, json_get(json_get(p->user, "raw_app_meta_data"), "providers")) has |= str_eq(json_str(one), a->provider->name);
    return has && p->decision == EXISTS && !p->drops && !p->confirms &&
           json_equals(merged, json_get(p->user, "raw_user_meta_data"));
}

/* By what somebody comes in, or who came in may come again. */
static const char *const doors[] = {"one_time_tokens",     "flow_state",           "webauthn_credentials",
                                    "webauthn_challenges", "orlo_recovery_codes",  "sessions",
                                    "mfa_factors",         "oauth_authorizations", "oauth_consents"};

static void update_user(struct auth_call *c, struct auth_batch *b, const struct auth_arrival *a, const struct plan *p) {
    struct json_writer *w = &b->w;
    struct json_member verified = {STR_INIT("email_verified"), {.kind = JSON_KIND_BOOL, .b = true}};
    struct json merged = {.kind = JSON_KIND_OBJECT};
    const struct json over = {.kind = JSON_KIND_OBJECT, .n = p->confirms, .members = &verified};
    if (!merge(c, a, p, &merged) || is_as_it_was(a, p, &merged)) return;
    auth_tree(b, "update", "users");
    auth_set(b);
    size_t since = b->b.n;
    auth_put_merged(w, "raw_user_meta_data", &merged, &over);
    auth_bound_metadata(c, &b->b, since, AUTH_USER_DATA_MAX, "user_metadata");
    auth_put_providers(w, "raw_app_meta_data", p->user, p->drops ? NULL : json_get(p->user, "identities"), NULL,
                       a->provider->name);
    if (p->drops) {
        json_put_cstr(w, "encrypted_password", "");
        json_put_null(w, "phone"), json_put_null(w, "phone_confirmed_at");
        json_put_cstr(w, "email_change", ""), json_put_cstr(w, "phone_change", "");
        json_put_bool(w, "is_anonymous", false);
    }
    if (p->confirms) json_put_str(w, "email_confirmed_at", c->now), json_put_cstr(w, "confirmation_token", "");
    json_put_str(w, "updated_at", c->now);
    auth_end(b);
    put_unchanged(b, p->user);
    if (!p->drops) return;
    auth_tree(b, "delete", "identities");
    auth_where(b), auth_eq(b, "user_id", p->id), auth_op(b, "id", "neq", p->identity_id), auth_end(b), auth_end(b);
    for (size_t i = 0; i < ARRAY_COUNT(doors); i++) {
        auth_tree(b, "delete", doors[i]);
        auth_where(b), auth_eq(b, "user_id", p->id), auth_end(b), auth_end(b);
    }
}

static void create_user(struct auth_call *c, struct auth_batch *b, const struct auth_arrival *a, const struct plan *p) {
    struct json said = {0};
    struct buf text = {0};
    struct json_writer t = json_writer_of(&text);
    static const struct json_limits limits = {4 << 10, 8, 100};
    json_put_object(&t, NULL);
    auth_put_providers(&t, "a", NULL, NULL, NULL, a->provider->name);
    json_put_end(&t);
    if (json_read(c->mem, arena_str(c->mem, buf_str(&text)), &limits, &said, NULL) != ERR_OK) said.n = 0;
    buf_free(&text);
    const struct auth_new_user u = {.id = p->id,
                                    .email = p->email,
                                    .provider = a->provider->name,
                                    .email_confirmed = p->confirms,
                                    .bare = true,
                                    .app_data = json_get(&said, "a"),
                                    .user_data = a->known->data};
    auth_insert_user(c, b, &u);
}

/* ---- its end ---- */

static bool end(struct auth_call *c, struct auth_arrival *a, struct plan *p, struct auth_batch *b) {
    struct json answers;
    bool goes_on = !p->waits;
    if (goes_on && a->spend) a->spend(c, b, a->arg, p->id);
    if (goes_on && a->begins) auth_insert_session(c, b, p->id, "oauth", &a->session);
    auth_select_user(b);
    auth_where(b), auth_eq(b, "id", p->id), auth_end(b), auth_end(b);
    uint32_t last = b->n - 1;
    enum auth_ran ran = auth_run(c, b, "Error saving the user of a provider", &answers);
    p->again = ran == AUTH_MOVED || ran == AUTH_TAKEN;
    if (ran != AUTH_RAN) return p->again || c->failed ? false : auth_fail(c, AUTH_ERROR_unexpected_failure);
    a->user = auth_first(&answers, last);
    if (p->sent.code.n) auth_told_mail(c, AUTH_MAIL_SIGN_UP, p->email, &p->sent);
    return a->user || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool fail_unsure(struct auth_call *c, const struct auth_arrival *a, bool sent) {
    str name = a->provider->name;
    if (sent)
        return auth_fail_text(c, AUTH_ERROR_provider_email_needs_verification,
                              "Unverified email with " STR_FMT ". A confirmation email has been sent to your " STR_FMT " email",
                              STR_ARG(name), STR_ARG(name));
    return auth_fail_text(c, AUTH_ERROR_provider_email_needs_verification,
                          "Unverified email with " STR_FMT ". Verify the email with " STR_FMT " in order to sign in",
                          STR_ARG(name), STR_ARG(name));
}

/* ---- who comes by himself ---- */

static const struct json *linked_by(struct auth_call *c, const struct json *identities, str *user) {
    JSON_EACH(i, json_get(identities, "rows")) {
        str id = json_str(json_get(i, "user_id"));
        if (!json_bool(json_get(json_get(i, "identity_data"), "email_verified"))) continue; /* whoever says that he has it */
        if (user->n && !str_eq(*user, id)) {
            (void)auth_fail_text(c, AUTH_ERROR_unexpected_failure,
                                 "Multiple accounts with the same email address in the same linking domain detected: default");
            return NULL;
        }
        *user = id;
    }
    return identities;
}

static bool decide(struct auth_call *c, const struct auth_arrival *a, struct plan *p) {
    const struct auth_known *k = a->known;
    struct auth_batch b;
    struct json answers;
    str linked = {0};
    auth_batch_begin(&b);
    auth_select_identity(&b);
    auth_where(&b), auth_eq(&b, "provider", a->provider->name), auth_eq(&b, "provider_id", k->subject), auth_end(&b),
        auth_end(&b);
    auth_select_user(&b); /* who has the address */
    auth_where(&b), auth_eq(&b, "is_sso_user", STR("false"));
    if (k->sure_count) put_in(&b, "email", k->sure, k->sure_count);
    else auth_eq(&b, "email", k->email);
    auth_end(&b), auth_end(&b);
    auth_tree(&b, "select", "identities");
    json_put_raw(&b.w, "select", STR("[\"user_id\",\"identity_data\"]"));
    auth_where(&b), put_in(&b, "email", k->sure, k->sure_count), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Database error finding identity", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    p->identity = auth_first(&answers, 0);
    p->user = json_get(p->identity, "users");
    p->decision = EXISTS, p->identity_id = json_str(json_get(p->identity, "id"));
    p->email = p->identity ? json_str(json_get(p->user, "email")) : k->email;
    p->sure = k->verified && str_eq(p->email, k->email);
    if (p->identity) return json_is(p->user, JSON_KIND_OBJECT) || auth_fail(c, AUTH_ERROR_unexpected_failure);
    p->identity_id = auth_new_id(c);
    const struct json *other = auth_first(&answers, 1);
    p->decision = CREATES, p->user = NULL;
    if (!k->sure_count) {
        if (other) p->email = (str){0}, p->sure = false; /* somebody has it, and whether it is he nobody knows */
        return true;
    }
    if (!linked_by(c, json_item(&answers, 2), &linked)) return false;
    if (!linked.n && json_count(json_get(json_item(&answers, 1), "rows")) > 1)
        return auth_fail_text(c, AUTH_ERROR_unexpected_failure,
                              "Multiple accounts with the same email address in the same linking domain detected: default");
    p->user = other;
    if (linked.n && !str_eq(json_str(json_get(other, "id")), linked) && !auth_read_user(c, "id", linked, &p->user)) return false;
    if (p->user) p->decision = LINKS;
    return true;
}

/* At the address that the user had before. */
static void tell(struct auth_call *c, struct auth_batch *b, enum app_template_kind kind, const struct json *user, str provider) {
    auth_notify(c, b, kind, user, json_str(json_get(user, "email")), &(struct auth_words){.provider = provider});
}

static bool arrive(struct auth_call *c, struct auth_arrival *a, struct plan *p) {
    struct auth_batch b;
    str name = a->provider->name;
    if (!decide(c, a, p)) return false;
    bool is_new = p->decision == CREATES;
    if (is_new && !c->config->sign_up) return auth_fail(c, AUTH_ERROR_signup_disabled);
    if (p->user && auth_banned(c, p->user)) return auth_fail(c, AUTH_ERROR_user_banned);
    p->id = is_new ? auth_new_id(c) : json_str(json_get(p->user, "id"));
    bool has_email = p->email.n || !a->provider->email_optional, confirmed = p->user && auth_confirmed(p->user);
    /* A user who is linked by an address that is not his first one is not confirmed by it. */
    if (p->decision == LINKS) p->sure = k_has(a->known, json_str(json_get(p->user, "email")));
    if (has_email && !confirmed) {
        p->drops = !is_new;
        p->confirms = p->sure || !c->config->confirm_email;
        p->waits = !p->confirms;
    }
    bool mails = p->waits && p->email.n;
    if (mails && !auth_may_mail(c, p->email)) return false;
    auth_batch_begin(&b);
    if (is_new) create_user(c, &b, a, p);
    if (p->decision == EXISTS) update_identity(c, &b, a, p);
    else insert_identity(c, &b, a, p);
    if (!is_new) update_user(c, &b, a, p);
    char *provider = arena_cstr(c->mem, name);
    if (p->decision == LINKS) {
        auth_audit(c, &b, "identity_linked", "user", p->id, p->email, provider);
        tell(c, &b, APP_TEMPLATE_identity_linked, p->user, name);
    }
    if (p->confirms) auth_audit(c, &b, "user_signedup", "team", p->id, p->email, provider);
    else if (!p->waits) auth_audit(c, &b, "login", "account", p->id, p->email, provider);
    if (mails) auth_send(c, &b, AUTH_MAIL_SIGN_UP, p->id, p->email, false, true, &p->sent);
    if (!end(c, a, p, &b)) return false;
    if (is_new && a->user) auth_as_made(a->user);
    return !p->waits || fail_unsure(c, a, mails);
}

/* ---- who was invited ---- */

static bool find_invited(struct auth_call *c, str token, const struct json **user, str *row) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "one_time_tokens");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "token_hash", token), auth_eq(&b, "token_type", STR("confirmation_token")), auth_end(&b),
        auth_end(&b);
    if (auth_run(c, &b, "Database error finding user", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *t = auth_first(&answers, 0);
    int64_t made = auth_time_of(json_get(t, "created_at"));
    *row = json_str(json_get(t, "id"));
    *user = NULL;
    if (t && c->host->now_us - made <= (int64_t)c->config->otp_s * 1'000'000 &&
        !auth_read_user(c, "id", json_str(json_get(t, "user_id")), user))
        return false;
    return true;
}

bool auth_is_invited(struct auth_call *c, str token) {
    const struct json *user;
    str row;
    return find_invited(c, token, &user, &row) &&
           (user || auth_fail_text(c, AUTH_ERROR_user_not_found, "User identified by token not found"));
}

static bool accept(struct auth_call *c, struct auth_arrival *a, struct plan *p) {
    struct auth_batch b;
    str row;
    if (!find_invited(c, a->invite, &p->user, &row)) return false;
    if (!p->user) return auth_fail(c, AUTH_ERROR_invite_not_found);
    p->id = json_str(json_get(p->user, "id")), p->email = json_str(json_get(p->user, "email"));
    if (!str_eq(p->email, a->known->email) && !k_has(a->known, p->email))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Invited email does not match emails from external provider");
    if (auth_banned(c, p->user)) return auth_fail(c, AUTH_ERROR_user_banned);
    p->identity_id = auth_new_id(c);
    p->decision = LINKS;
    p->drops = p->confirms = !auth_confirmed(p->user);
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "one_time_tokens");
    auth_where(&b), auth_eq(&b, "id", row), auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    insert_identity(c, &b, a, p);
    update_user(c, &b, a, p);
    auth_audit(c, &b, "invite_accepted", "account", p->id, p->email, arena_cstr(c->mem, a->provider->name));
    return end(c, a, p, &b);
}

/* ---- who has an account, and adds to it ---- */

static bool find_taken(struct auth_call *c, const struct auth_arrival *a, const struct plan *p) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "identities");
    json_put_raw(&b.w, "select", STR("[\"user_id\"]"));
    auth_where(&b), auth_eq(&b, "provider", a->provider->name), auth_eq(&b, "provider_id", a->known->subject), auth_end(&b),
        auth_end(&b);
    auth_tree(&b, "select", "users");
    json_put_raw(&b.w, "select", STR("[\"id\"]"));
    auth_where(&b), auth_eq(&b, "email", a->known->email), auth_eq(&b, "is_sso_user", STR("false")), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Database error finding identity for linking", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *there = auth_first(&answers, 0);
    if (there)
        return auth_fail_text(c, AUTH_ERROR_identity_already_exists, "%s",
                              str_eq(json_str(json_get(there, "user_id")), p->id) ? "Identity is already linked"
                                                                                  : "Identity is already linked to another user");
    if (!json_str(json_get(p->user, "email")).n && a->known->email.n && auth_first(&answers, 1))
        return auth_fail_status(c, AUTH_ERROR_email_exists, 400, "A user with this email address has already been registered");
    return true;
}

/* Who has no address yet has this one. */
static void update_target(struct auth_call *c, struct auth_batch *b, const struct auth_arrival *a, const struct plan *p) {
    struct json_writer *w = &b->w;
    auth_tree(b, "update", "users");
    auth_set(b);
    auth_put_providers(w, "raw_app_meta_data", p->user, json_get(p->user, "identities"), NULL, a->provider->name);
    if (p->email.n) json_put_str(w, "email", p->email);
    if (p->confirms) json_put_str(w, "email_confirmed_at", c->now);
    if (p->confirms || !a->known->email.n) json_put_bool(w, "is_anonymous", false);
    json_put_str(w, "updated_at", c->now);
    auth_end(b);
    put_unchanged(b, p->user);
}

static bool add(struct auth_call *c, struct auth_arrival *a, struct plan *p) {
    struct auth_batch b;
    str own;
    if (!auth_read_user(c, "id", a->target, &p->user)) return false;
    if (!p->user) return auth_fail_status(c, AUTH_ERROR_user_not_found, 422, "Linking target user not found");
    if (auth_banned(c, p->user)) return auth_fail(c, AUTH_ERROR_user_banned);
    p->id = json_str(json_get(p->user, "id")), own = json_str(json_get(p->user, "email"));
    if (!find_taken(c, a, p)) return false;
    p->identity_id = auth_new_id(c);
    if (!own.n) p->email = a->known->email, p->confirms = p->email.n && (a->known->verified || !c->config->confirm_email);
    p->waits = p->email.n && !p->confirms;
    if (p->waits && !auth_may_mail(c, p->email)) return false;
    auth_batch_begin(&b);
    insert_identity(c, &b, a, p);
    update_target(c, &b, a, p);
    auth_audit(c, &b, "identity_linked", "user", p->id, own.n ? own : p->email, arena_cstr(c->mem, a->provider->name));
    tell(c, &b, APP_TEMPLATE_identity_linked, p->user, a->provider->name);
    if (p->waits) auth_send(c, &b, AUTH_MAIL_SIGN_UP, p->id, p->email, false, true, &p->sent);
    if (!end(c, a, p, &b)) return false;
    if (!p->waits) return true;
    return auth_fail_status(c, AUTH_ERROR_email_not_confirmed, 422,
                            (const char *)arena_fmt(c->mem,
                                                    "Unverified email with " STR_FMT
                                                    ". A confirmation email has been sent to your " STR_FMT " email",
                                                    STR_ARG(a->provider->name), STR_ARG(a->provider->name))
                                .p);
}

bool auth_arrive(struct auth_call *c, struct auth_arrival *a) {
    for (int i = 0; i < TRIES; i++) {
        struct plan p = {0};
        bool done = a->target.n ? add(c, a, &p) : a->invite.n ? accept(c, a, &p) : arrive(c, a, &p);
        if (!p.again || c->failed) return done;
    }
    return auth_fail(c, AUTH_ERROR_later);
}

/* ---- what goes again ---- */

/* The rank of an identity whose address a user is to have: sure ones, others, those without. */
static int rank(const struct json *i) {
    if (!json_str(json_get(i, "email")).n) return 2;
    return !json_bool(json_get(json_get(i, "identity_data"), "email_verified"));
}

static const struct json *best(struct auth_call *c, const struct json *gone, bool *keeps) {
    const struct json *first = NULL;
    str own = json_str(json_get(c->user, "email"));
    *keeps = false;
    JSON_EACH(i, json_get(c->user, "identities")) {
        if (i == gone) continue;
        *keeps |= str_eq(json_str(json_get(i, "email")), own);
        if (!first || rank(i) < rank(first)) first = i; /* they come in the order in which they were made */
    }
    return first;
}

static void put_email_of(struct auth_call *c, struct json_writer *w, const struct json *next) {
    static const char *const columns[] = {"confirmation_token",         "recovery_token",
                                          "reauthentication_token",     "email_change_token_new",
                                          "email_change_token_current", "email_change"};
    str email = json_str(json_get(next, "email"));
    bool sure = email.n && (!rank(next) || !c->config->confirm_email);
    if (email.n) json_put_str(w, "email", email);
    else json_put_null(w, "email");
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) json_put_cstr(w, columns[i], "");
    if (!sure) json_put_null(w, "email_confirmed_at");
}

bool auth_do_identity_delete(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    const struct json *gone = NULL;
    bool keeps;
    str user = json_str(json_get(c->user, "id"));
    if (!c->config->manual_linking) return auth_fail(c, AUTH_ERROR_manual_linking_disabled);
    if (!auth_is_id(c->id)) return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "identity_id must be an UUID");
    if (json_count(json_get(c->user, "identities")) <= 1) return auth_fail(c, AUTH_ERROR_single_identity_not_deletable);
    JSON_EACH(i, json_get(c->user, "identities")) if (str_eq_nocase(json_str(json_get(i, "id")), c->id)) gone = i;
    if (!gone) return auth_fail(c, AUTH_ERROR_identity_not_found);
    const struct json *next = best(c, gone, &keeps);
    bool phone = str_eqc(json_str(json_get(gone, "provider")), "phone"), other = !phone && !keeps;
    auth_batch_begin(&b);
    auth_audit(c, &b, "identity_unlinked", "user", user, json_str(json_get(c->user, "email")),
               arena_cstr(c->mem, json_str(json_get(gone, "provider"))));
    auth_tree(&b, "delete", "identities");
    auth_where(&b), auth_eq(&b, "id", json_str(json_get(gone, "id"))), auth_eq(&b, "user_id", user), auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    auth_tree(&b, "update", "users");
    auth_set(&b);
    auth_put_providers(&b.w, "raw_app_meta_data", c->user, json_get(c->user, "identities"), gone, (str){0});
    if (phone) json_put_null(&b.w, "phone"), json_put_null(&b.w, "phone_confirmed_at");
    if (other) put_email_of(c, &b.w, next);
    json_put_str(&b.w, "updated_at", c->now);
    auth_end(&b);
    put_unchanged(&b, c->user); /* two at once do not leave him with none */
    if (other) {
        auth_tree(&b, "delete", "one_time_tokens");
        auth_where(&b), auth_eq(&b, "user_id", user), auth_end(&b), auth_end(&b);
    }
    tell(c, &b, APP_TEMPLATE_identity_unlinked, c->user, json_str(json_get(gone, "provider")));
    enum auth_ran ran = auth_run(c, &b, "Database error deleting identity", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_conflict);
    if (ran == AUTH_TAKEN) return auth_fail(c, AUTH_ERROR_email_conflict_identity_not_deletable);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    buf_puts(&c->out, STR("{}"));
    return auth_answer(c, 200);
}
