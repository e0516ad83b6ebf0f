/* auth: what manifests say of an app's users (docs/auth.md), for who reads orlo.toml and a Supabase project's config.toml. */
#include "mail/mail.h"
#include "manifest/manifest_int.h"

static const struct {
    uint32_t least, most;
} bounds[] = {
#define X(name, usual, least, most) {least, most},
    APP_AUTH_NUMBERS(X)
#undef X
};

void manifest_auth_begin(struct reader *r) {
    app_auth_usual(&r->to->record.auth);
    r->to->record.auth.on = true;
}

/* "https://host/path", "myapp://callback": a scheme, and nothing that a header's line or a page would take for its own. */
static bool is_url(str s, bool glob) {
    size_t colon = str_find(s, ':');
    bool ok = s.n <= 2048 && colon && colon + 2 < s.n && s.p[colon + 1] == '/' && s.p[colon + 2] == '/';
    for (size_t i = 0; i < s.n && ok; i++)
        ok = s.p[i] > ' ' && s.p[i] != 0x7f && s.p[i] != '"' && s.p[i] != '<' && s.p[i] != '\\';
    for (size_t i = 0; i < colon && ok; i++) {
        uint8_t c = s.p[i] | 32;
        ok = (c >= 'a' && c <= 'z') || (i && ((c >= '0' && c <= '9') || s.p[i] == '+' || s.p[i] == '-' || s.p[i] == '.')) ||
             (glob && s.p[i] == '*');
    }
    return ok;
}

void manifest_auth_site(struct reader *r, const struct toml *v) {
    if (!is_url(v->s, false)) manifest_error(r, v, "it takes a URL: \"https://app.example\"");
    else r->to->record.auth.site_url = v->s;
}

static void one_redirect(struct reader *r, void *to, const struct toml *v) {
    if (!is_url(v->s, true)) manifest_error(r, v, "it takes a URL, in which * stands for a part: \"https://*.app.example/**\"");
    else vec_push(r->mem, &r->to->record.auth.redirects, v->s);
}
void manifest_auth_redirects(struct reader *r, const struct toml *v) {
    manifest_each(r, v, APP_AUTH_REDIRECTS_MAX, one_redirect, NULL);
}

/* A domain, in small letters: no address of a machine, no port. */
void manifest_auth_rp_id(struct reader *r, const struct toml *v) {
    bool ok = v->s.n && v->s.n <= 253 && v->s.p[0] != '.' && v->s.p[v->s.n - 1] != '.', letter = false;
    for (size_t i = 0; i < v->s.n && ok; i++) {
        uint8_t c = v->s.p[i];
        letter |= c >= 'a' && c <= 'z';
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (c == '.' && v->s.p[i - 1] != '.');
    }
    if (!ok || !letter) manifest_error(r, v, "it takes a domain in small letters, without scheme and port: \"app.example\"");
    else r->to->record.auth.rp_id = v->s;
}

void manifest_auth_rp_name(struct reader *r, const struct toml *v) {
    bool ok = v->s.n && v->s.n <= 128;
    for (size_t i = 0; i < v->s.n && ok; i++) ok = v->s.p[i] >= ' ' && v->s.p[i] != 0x7f;
    if (!ok) manifest_error(r, v, "it takes a name of up to 128 bytes");
    else r->to->record.auth.rp_name = v->s;
}

/* As browsers tell it: no path, no slash behind it. */
static void one_origin(struct reader *r, void *to, const struct toml *v) {
    bool app = str_starts(v->s, STR("android:apk-key-hash:")) || str_starts(v->s, STR("ios:bundle-id:"));
    size_t scheme = str_starts(v->s, STR("https://")) ? 8 : str_starts(v->s, STR("http://")) ? 7 : 0;
    bool ok = app ? v->s.n <= 256 : scheme && is_url(v->s, false) && v->s.n > scheme;
    for (size_t i = 0; i < v->s.n && ok; i++)
        ok = app ? v->s.p[i] > ' ' && v->s.p[i] < 0x7f
                 : i < scheme || (v->s.p[i] != '/' && v->s.p[i] != '?' && v->s.p[i] != '#' && v->s.p[i] != '@' &&
                                  !(v->s.p[i] >= 'A' && v->s.p[i] <= 'Z'));
    if (!ok) manifest_error(r, v, "it takes where a page is from, without a path: \"https://app.example\"");
    else vec_push(r->mem, &r->to->record.auth.rp_origins, v->s);
}
void manifest_auth_origins(struct reader *r, const struct toml *v) {
    manifest_each(r, v, APP_AUTH_ORIGINS_MAX, one_origin, NULL);
}

/* What is asked for is put behind it. */
void manifest_auth_leaked(struct reader *r, const struct toml *v) {
    bool ok = is_url(v->s, false) && (str_starts(v->s, STR("https://")) || str_starts(v->s, STR("http://"))) &&
              (v->s.p[v->s.n - 1] == '/' || v->s.p[v->s.n - 1] == '=');
    if (!ok) manifest_error(r, v, "it takes a URL that ends with a slash: \"https://api.pwnedpasswords.com/range/\"");
    else r->to->record.auth.leaked_url = v->s, r->to->record.auth.calls = true;
}

void manifest_auth_password(struct reader *r, const struct toml *v) {
    static const char *const words[] = {
#define X(name, word) word,
        APP_PASSWORDS_LIST(X)
#undef X
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eqc(v->s, words[i])) {
            r->to->record.auth.passwords = i;
            return;
        }
    manifest_error(r, v, "it takes \"%s\", \"%s\" or \"%s\"", words[1], words[2], words[3]);
}

void manifest_auth_number(struct reader *r, const struct toml *v, enum manifest_auth_number which, int64_t value) {
    uint32_t *const places[] = {
#define X(name, ...) &r->to->record.auth.name,
        APP_AUTH_NUMBERS(X)
#undef X
    };
    if (value < bounds[which].least || value > bounds[which].most)
        manifest_error(r, v, "it takes %u to %u, not %lld", bounds[which].least, bounds[which].most, (long long)value);
    else *places[which] = (uint32_t)value;
}

/* ---- mails ---- */

void manifest_mail_host(struct reader *r, const struct toml *v, struct app_mail *m) {
    struct net_addr a;
    str name, text = v->s;
    bool v6 = text.n > 2 && text.p[0] == '[';
    if (v6) text = str_sub(text, 1, text.n - 2);
    if (text.n > APP_HOST_MAX || (!net_addr_parse(text, &a) && !net_name_ascii(r->mem, text, &name)))
        manifest_error(r, v, "it takes a name or an address, without a port: \"smtp.example.org\"");
    else m->host = text;
}

void manifest_mail_port(struct reader *r, const struct toml *v, struct app_mail *m) {
    if (v->i < 1 || v->i > UINT16_MAX) manifest_error(r, v, "it takes a port, 1 to 65535");
    else m->port = (uint32_t)v->i;
}

void manifest_mail_tls(struct reader *r, const struct toml *v, struct app_mail *m) {
    static const char *const words[] = {
#define X(name, word) word,
        APP_MAIL_TLS_LIST(X)
#undef X
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eqc(v->s, words[i])) {
            m->tls = (uint8_t)i;
            return;
        }
    manifest_error(r, v, "it takes \"%s\", \"%s\", \"%s\" or \"%s\"", words[0], words[1], words[2], words[3]);
}

void manifest_mail_words(struct reader *r, const struct toml *v, str *to) {
    bool ok = v->s.n <= APP_MAIL_WORDS_MAX && str_is_utf8(v->s);
    for (size_t i = 0; i < v->s.n && ok; i++) ok = v->s.p[i] >= ' ' && v->s.p[i] != 0x7f;
    if (!ok) manifest_error(r, v, "it takes a line of up to %d bytes", APP_MAIL_WORDS_MAX);
    else *to = v->s;
}

void manifest_mail_address(struct reader *r, const struct toml *v, str *to) {
    if (!mail_address_ok(v->s)) manifest_error(r, v, "it takes an address: \"no-reply@shop.example\"");
    else *to = v->s;
}

void manifest_mail_finish(struct reader *r, const struct toml *v, struct app_mail *m, const char *from) {
    if (!m->port) m->port = 587;
    if (m->host.n && !m->from.n) manifest_error(r, v, "it lacks %s: the address that mails are from", from);
    if (m->secret.n && !m->user.n) manifest_error(r, v, "it has a password, and no user");
    if (m->user.n && !m->secret.n) manifest_error(r, v, "it has a user, and no password");
    if (!m->host.n && (m->user.n || m->from.n))
        manifest_error(r, v, "it lacks a host: what the node's relay takes, its operator says");
}

/* ---- messages to telephones ---- */

void manifest_sms_provider(struct reader *r, const struct toml *v, str word, struct app_sms *s) {
    static const char *const words[] = {
#define X(name, word, ...) word,
        APP_SMS_LIST(X)
#undef X
    };
    for (uint32_t i = 1; i < ARRAY_COUNT(words); i++)
        if (str_eqc(word, words[i])) {
            s->provider = (uint8_t)i;
            r->to->record.auth.calls = true;
            return;
        }
    manifest_error(r, v, "it takes \"twilio\", \"vonage\", \"messagebird\" or \"textlocal\"");
}

void manifest_sms_url(struct reader *r, const struct toml *v, struct app_sms *s) {
    bool http = str_starts(v->s, STR("https://")) || str_starts(v->s, STR("http://"));
    if (!http || !is_url(v->s, false)) manifest_error(r, v, "it takes a URL: \"https://api.ie1.twilio.com\"");
    else s->url = v->s;
    while (s->url.n && s->url.p[s->url.n - 1] == '/') s->url.n--;
}

void manifest_sms_words(struct reader *r, const struct toml *v, struct app_sms *s) {
    struct buf b = {0};
    struct mail_fault fault = {0};
    bool ok = v->s.n <= APP_SMS_WORDS_MAX && str_is_utf8(v->s) && mail_sms_words(v->s, STR("0000000000"), &b, &fault);
    for (size_t i = 0; i < v->s.n && ok; i++) ok = v->s.p[i] >= ' ' && v->s.p[i] != 0x7f;
    bool says = ok && memmem(b.p, b.n, "0000000000", 10);
    buf_free(&b);
    if (says) s->words = v->s;
    else
        manifest_error(r, v, "it takes a line of up to %d bytes, in which {{ .Code }} stands for the code%s%s", APP_SMS_WORDS_MAX,
                       fault.line ? ": " : "", fault.text);
}

static bool are_digits(str s, size_t least, size_t most) {
    bool ok = s.n >= least && s.n <= most;
    for (size_t i = 0; i < s.n && ok; i++) ok = s.p[i] >= '0' && s.p[i] <= '9';
    return ok;
}

static void one_test(struct reader *r, void *to, const struct toml *v) {
    struct app_sms *s = to;
    str phone = str_starts(v->key, STR("+")) ? str_sub(v->key, 1, v->key.n) : v->key;
    if (!manifest_is(r, v, MANIFEST_STRING)) return;
    if (!are_digits(phone, 2, 15) || phone.p[0] == '0')
        manifest_error(r, v, "a number has up to 15 digits, with its country's code before it");
    else if (!are_digits(v->s, 6, 10)) manifest_error(r, v, "a code has 6 to 10 digits");
    else vec_push(r->mem, &s->tests, ((struct app_test_code){phone, v->s}));
}
void manifest_sms_tests(struct reader *r, const struct toml *v, struct app_sms *s) {
    manifest_each(r, v, APP_SMS_TESTS_MAX, one_test, s);
}

void manifest_sms_finish(struct reader *r, const struct toml *v, struct app_sms *s) {
    bool named = s->provider == APP_SMS_TWILIO || s->provider == APP_SMS_VONAGE;
    if (!s->provider) return;
    if (named && !s->account.n) manifest_error(r, v, "it lacks an account");
    if (!s->secret.n) manifest_error(r, v, "it lacks a token");
    if (!s->from.n) manifest_error(r, v, "it lacks from: who messages are from");
}

bool manifest_auth_time(str text, int64_t *s) {
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {
        {"ns", 1}, {"us", 1000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
    uint64_t total = 0, n;
    while (text.n) {
        size_t digits = 0, letters;
        while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9') digits++;
        letters = digits;
        while (letters < text.n && text.p[letters] >= 'a') letters++;
        str unit = str_sub(text, digits, letters - digits);
        size_t i = 0;
        while (i < ARRAY_COUNT(units) && !str_eqc(unit, units[i].unit)) i++;
        if (i == ARRAY_COUNT(units) || !str_to_u64(str_sub(text, 0, digits), &n) || n > UINT64_MAX / 4 / units[i].ns)
            return false;
        total += n * units[i].ns;
        if (total > INT64_MAX) return false;
        text = str_sub(text, letters, text.n);
    }
    *s = (int64_t)((total + 999'999'999) / 1'000'000'000);
    return true;
}
