/* claims: what a provider says of somebody, as his identity keeps it: GoTrue's members, of which providers.def says what they are made of.
 *
 *   said ──map──> sub, name, picture …   + iss, email, email_verified, phone_verified, custom_claims
 *
 * 1. Nothing of it is believed to be small, or of its kind: a member that is not what it should be is not there. Who has no sub is nobody.
 * 2. An address is his where the provider says so, by the rule of its row; where that is not said, it is not. */
#include "auth/provider_int.h"

enum { TEXT_MAX = 1024, SUBJECT_MAX = 255, CUSTOM_MAX = 1024, CUSTOM_COUNT_MAX = 64 };

/* ---- what is said ---- */

/* "a>b": a member of a member. */
static const struct json *at(const struct json *said, str path) {
    str one;
    while (path.n && said) {
        str_cut(path, '>', &one, &path);
        const struct json *next = NULL;
        for (uint32_t i = 0; json_is(said, JSON_KIND_OBJECT) && i < said->n && !next; i++)
            if (str_eq(said->members[i].key, one)) next = &said->members[i].v;
        said = next;
    }
    return said;
}

/* Empty: it is no text, or none that may be kept. */
static str text_of(const struct json *v, size_t most) {
    str s = json_str(v);
    return s.n && s.n <= most && !memchr(s.p, 0, s.n) ? s : (str){0};
}

static str id_of(struct auth_call *c, const struct json *v) {
    if (json_is(v, JSON_KIND_I64)) return arena_fmt(c->mem, "%lld", (long long)v->i);
    return text_of(v, SUBJECT_MAX);
}

static bool is_true(const struct json *v) { return json_bool(v) || str_eqc(json_str(v), "true") || str_eqc(json_str(v), "1"); }

static bool is_sure(const struct auth_claims *k, const char *rule) {
    str left = str_c(rule ? rule : ""), one;
    if (str_eqc(left, "*")) return true;
    if (left.n && left.p[0] == '?') return text_of(at(k->said, str_sub(left, 1, left.n)), TEXT_MAX).n;
    while (left.n) {
        str_cut(left, '|', &one, &left);
        if (is_true(at(k->said, one))) return true;
    }
    return false;
}

/* ---- what is kept ---- */

static bool is_id(str target) { return str_eqc(target, "sub") || str_eqc(target, "provider_id"); }

static void put(struct auth_claims *k, str target, const struct json *v) {
    const char *key = arena_cstr(k->c->mem, target);
    str s = is_id(target) ? id_of(k->c, v) : text_of(v, TEXT_MAX);
    bool number = str_eqc(target, "iat") || str_eqc(target, "exp") || str_eqc(target, "updated_at");
    if (s.n) json_put_str(&k->w, key, s);
    else if (number && v && (v->kind == JSON_KIND_I64 || v->kind == JSON_KIND_F64)) json_put(&k->w, key, v);
}

static void put_mapped(struct auth_claims *k) {
    str left = str_c(k->p->preset->map), one, target, path;
    while (left.n) {
        str_cut(left, ' ', &one, &left);
        str_cut(one, '=', &target, &path);
        if (one.n) put(k, target, at(k->said, path));
    }
}

static const char *const usual[] = {"sub",         "iat",         "exp",
                                    "name",        "family_name", "given_name",
                                    "middle_name", "nickname",    "preferred_username",
                                    "profile",     "picture",     "website",
                                    "gender",      "birthdate",   "zoneinfo",
                                    "locale",      "updated_at",  "phone",
                                    "full_name",   "avatar_url",  "slug",
                                    "provider_id", "user_name"};

/* Where the app's own row of the provider says that a member is another's. */
static const struct json *mapped(const struct auth_claims *k, const char *target) {
    const struct json *from = json_get(k->p->map, target);
    if (json_is(from, JSON_KIND_STR)) {
        const struct json *v = at(k->said, json_str(from));
        return v ? v : json_get(k->said, target);
    }
    return from ? from : json_get(k->said, target);
}

static void put_usual(struct auth_claims *k) {
    for (size_t i = 0; i < ARRAY_COUNT(usual); i++) {
        const struct json *v = mapped(k, usual[i]);
        if (!v && !strcmp(usual[i], "sub")) v = json_get(k->said, "id");
        put(k, str_c(usual[i]), v);
    }
}

static void put_custom_one(struct auth_claims *k, str name) {
    const struct json *v = NULL;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    for (uint32_t i = 0; i < k->said->n && !v; i++)
        if (str_eq(k->said->members[i].key, name)) v = &k->said->members[i].v;
    if (!v || name.n > SUBJECT_MAX || (name.n && memchr(name.p, 0, name.n))) return;
    json_put(&w, NULL, v);
    if (b.n <= CUSTOM_MAX) json_put_raw(&k->w, arena_cstr(k->c->mem, name), buf_str(&b));
    buf_free(&b);
}

static void put_custom(struct auth_claims *k) {
    str left = str_c(k->p->preset && k->p->preset->custom ? k->p->preset->custom : ""), one;
    if (!left.n && !json_count(k->p->allow)) return;
    struct json_writer was = k->w;
    size_t before = k->b.n;
    json_put_object(&k->w, "custom_claims");
    size_t since = k->b.n;
    while (left.n) {
        str_cut(left, ' ', &one, &left);
        put_custom_one(k, one);
    }
    JSON_EACH(name, k->p->allow) put_custom_one(k, json_str(name));
    if (k->b.n == since || k->b.n - since > AUTH_USER_DATA_MAX / 2) { /* none, or more than a token may have of it */
        k->w = was;
        k->b.n = before;
    } else json_put_end(&k->w);
}

/* ---- what a row does not say ---- */

static void put_text(struct auth_claims *k, const char *key, str s) {
    if (s.n && s.n <= TEXT_MAX) json_put_str(&k->w, key, s);
}

/* Whose tenant it is decides whether the address is believed: any other tenant's admin may write into it what he likes. Where the app has named one (url), it is that one's; and
 * Microsoft's own of personal accounts proves addresses. */
void auth_claims_azure(struct auth_claims *k) {
    const struct json *owner = json_get(k->said, "xms_edov");
    str iss = json_str(json_get(k->said, "iss"));
    bool personal = str_eqc(iss, "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0");
    k->sure = owner ? is_true(owner) : personal || k->p->tenant;
}

void auth_claims_discord(struct auth_claims *k) {
    str id = id_of(k->c, json_get(k->said, "id")), avatar = text_of(json_get(k->said, "avatar"), 256),
        name = text_of(json_get(k->said, "username"), 256), tag = text_of(json_get(k->said, "discriminator"), 16), url;
    uint64_t n = 0;
    bool plain = true;
    for (size_t i = 0; i < avatar.n; i++)
        plain &= (avatar.p[i] >= '0' && avatar.p[i] <= '9') || ((avatar.p[i] | 32) >= 'a' && (avatar.p[i] | 32) <= 'z') ||
                 avatar.p[i] == '_';
    if (avatar.n && plain)
        url = arena_fmt(k->c->mem, "https://cdn.discordapp.com/avatars/" STR_FMT "/" STR_FMT ".%s", STR_ARG(id), STR_ARG(avatar),
                        str_starts(avatar, STR("a_")) ? "gif" : "png");
    else
        url =
            arena_fmt(k->c->mem, "https://cdn.discordapp.com/embed/avatars/%u.png", (unsigned)(str_to_u64(tag, &n) ? n % 5 : 0));
    put_text(k, "name", arena_fmt(k->c->mem, STR_FMT "#" STR_FMT, STR_ARG(name), STR_ARG(tag)));
    put_text(k, "picture", url);
    put_text(k, "avatar_url", url);
}

void auth_claims_facebook(struct auth_claims *k) {
    str first = text_of(json_get(k->said, "first_name"), 256), last = text_of(json_get(k->said, "last_name"), 256);
    str name = str_trim(arena_fmt(k->c->mem, STR_FMT " " STR_FMT, STR_ARG(first), STR_ARG(last)));
    if (!name.n) name = text_of(json_get(k->said, "name"), 512); /* of an id_token */
    put_text(k, "name", name);
    put_text(k, "full_name", name);
    if (!json_get(json_get(k->said, "picture"), "data")) put_text(k, "picture", text_of(json_get(k->said, "picture"), TEXT_MAX));
}

/* ---- addresses ---- */

static void add_sure(struct auth_known *to, str email) {
    if (to->sure_count < AUTH_EMAILS_MAX) to->sure[to->sure_count++] = email;
}

/* In small letters; what is none is not there. */
static bool address(struct auth_call *c, str text, str *email) {
    if (c->failed || !text.n) return false;
    if (auth_email(c, text, email)) return true;
    c->failed = false;
    return false;
}

static void read_emails(struct auth_claims *k, const struct json *emails, struct auth_known *to) {
    struct auth_call *c = k->c;
    const struct auth_preset *preset = k->p->preset;
    str email, last = {0};
    bool last_sure = false, has_first = false;
    JSON_EACH(e, emails) {
        bool sure = json_bool(json_get(e, "verified")), first = json_bool(json_get(e, "primary"));
        if (!address(c, json_str(json_get(e, "email")), &email)) continue;
        if (sure) add_sure(to, email);
        last = email, last_sure = sure;
        if (first && !has_first) to->email = email, to->verified = sure, has_first = true;
    }
    str own = json_str(preset ? json_get(k->said, "email") : mapped(k, "email"));
    bool listed = emails && preset && !preset->verified; /* the list has all */
    if (!listed && address(c, own, &email)) {
        bool sure = preset ? k->sure || is_sure(k, preset->verified) : is_true(mapped(k, "email_verified"));
        to->email = email, to->verified = sure, has_first = true;
        if (sure) add_sure(to, email);
    }
    if (!has_first) to->email = last, to->verified = last_sure;
}

bool auth_claims_read(struct auth_call *c, const struct auth_provider *p, const struct json *said, const struct json *emails,
                      bool token, str name, struct auth_known *to) {
    static const struct json_limits limits = {64 << 10, JSON_DEPTH_MAX, 10'000};
    struct auth_claims k = {.c = c, .p = p, .said = said};
    struct json *data = arena_make(c->mem, struct json);
    struct diag d = DIAG_INIT;
    *to = (struct auth_known){0};
    if (!json_is(said, JSON_KIND_OBJECT))
        return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Error getting user profile from external provider");
    k.w = json_writer_of(&k.b);
    json_put_object(&k.w, NULL);
    str iss = token ? json_str(json_get(said, "iss")) : p->iss;
    put_text(&k, "iss", iss);
    if (p->preset) put_mapped(&k);
    else put_usual(&k);
    if (p->preset && p->preset->own) p->preset->own(&k);
    if (name.n) put_text(&k, "name", name), put_text(&k, "full_name", name);
    read_emails(&k, emails, to);
    if (to->email.n) json_put_str(&k.w, "email", to->email);
    json_put_bool(&k.w, "email_verified", to->verified);
    json_put_bool(&k.w, "phone_verified", false);
    put_custom(&k);
    json_put_end(&k.w);
    err e = json_read(c->mem, buf_str(&k.b), &limits, data, &d);
    buf_free(&k.b);
    to->data = data;
    to->subject = json_str(json_get(data, "sub"));
    if (e != ERR_OK || !to->subject.n)
        return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Error getting user profile from external provider");
    return true;
}
