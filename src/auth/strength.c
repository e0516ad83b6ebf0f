/* strength: what a new password has to have; and whether it is one that leaked, which a service knows that is told five of its hash's forty digits. */
#include "auth/auth_int.h"

enum { PASSWORD_MAX = 72, PREFIX = 5, DIGITS = 40, RANGE_BYTES_MAX = 512 << 10, ASK_MS = 2000, KEEP_S = 3600 };
static const char *const lower = "abcdefghijklmnopqrstuvwxyz", *const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                         *const digits = "0123456789", *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                         *const symbols = "!@#$%^&*()_+-=[]{};'\\:\"|<>?,./`~";

static bool has_any(str text, const char *set) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] && strchr(set, text.p[i])) return true;
    return false;
}

/* A range: "0018A45C4D1DEF81644B54AB7F969B88D65:10", a line each; what is there 0 times only fills it up. */
static bool is_in(str range, str rest) {
    str line, digits_of, times;
    uint64_t n;
    while (range.n) {
        str_cut(range, '\n', &line, &range);
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        str_cut(line, ':', &digits_of, &times);
        if (str_eq_nocase(digits_of, rest)) return !times.n || !str_to_u64(str_trim(times), &n) || n > 0;
    }
    return false;
}

/* False: an error is set, as nobody could say (where the app wants that). */
static bool ask_leaked(struct auth_call *c, str password, bool *leaked) {
    uint8_t digest[CRYPTO_DIGEST_BYTES_MAX];
    struct auth_fetched got = {0};
    *leaked = false;
    if (!c->config->leaked_url.n || !c->host->fetch) return true;
    size_t n = crypto_digest(STR("sha1"), password, digest);
    str hex = auth_hex(c->mem, digest, n), first = str_sub(hex, 0, PREFIX), rest = str_sub(hex, PREFIX, DIGITS);
    for (size_t i = 0; i < first.n; i++)
        if (first.p[i] >= 'a') ((uint8_t *)(uintptr_t)first.p)[i] &= 0xdf;
    static const struct auth_field fill = {STR_INIT("add-padding"), STR_INIT("true")};
    const struct auth_fetch ask = {.method = STR("GET"),
                                   .url = arena_fmt(c->mem, STR_FMT STR_FMT, STR_ARG(c->config->leaked_url), STR_ARG(first)),
                                   .fields = &fill,
                                   .fields_count = 1,
                                   .deadline_ms = ASK_MS,
                                   .bytes_max = RANGE_BYTES_MAX,
                                   .keep_s = KEEP_S};
    explicit_bzero(digest, sizeof digest);
    enum auth_done done = c->host->fetch(c->host->arg, c->mem, &ask, &got);
    if (done == AUTH_DONE && got.status == 200) *leaked = is_in(got.body, rest);
    else if (done != AUTH_DONE || got.status != 404) return !c->config->leaked_closed || auth_fail(c, AUTH_ERROR_later);
    return true;
}

bool auth_password_ok(struct auth_call *c, str password) {
    const char *const sets[APP_PASSWORDS][4] = {[APP_PASSWORD_LETTERS_DIGITS] = {letters, digits},
                                                [APP_PASSWORD_LOWER_UPPER_DIGITS] = {lower, upper, digits},
                                                [APP_PASSWORD_LOWER_UPPER_DIGITS_SYMBOLS] = {lower, upper, digits, symbols}};
    struct buf text = {0}, reasons = {0};
    struct json_writer w = json_writer_of(&reasons);
    bool is_short = password.n < c->config->password_min, lacks = false, leaked;
    if (password.n > PASSWORD_MAX)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Password cannot be longer than %d characters", PASSWORD_MAX);
    for (size_t i = 0; i < 4; i++)
        if (sets[c->config->passwords][i]) lacks |= !has_any(password, sets[c->config->passwords][i]);
    if (!ask_leaked(c, password, &leaked)) return false;
    if (!is_short && !lacks && !leaked) return true;
    json_put_object(&w, NULL);
    json_put_array(&w, "reasons");
    if (is_short) {
        json_put_cstr(&w, NULL, "length");
        buf_printf(&text, "Password should be at least %u characters.", c->config->password_min);
    }
    if (lacks) {
        json_put_cstr(&w, NULL, "characters");
        buf_printf(&text, "%sPassword should contain at least one character of each: ", text.n ? " " : "");
        for (size_t i = 0; i < 4 && sets[c->config->passwords][i]; i++)
            buf_printf(&text, "%s%s", i ? ", " : "", sets[c->config->passwords][i]);
        buf_putc(&text, '.');
    }
    if (leaked) {
        json_put_cstr(&w, NULL, "pwned");
        buf_printf(&text, "%sPassword is known to be weak and easy to guess, please choose a different one.", text.n ? " " : "");
    }
    json_put_end(&w), json_put_end(&w);
    c->reasons = arena_str(c->mem, buf_str(&reasons));
    (void)auth_fail_text(c, AUTH_ERROR_weak_password, STR_FMT, STR_ARG(buf_str(&text)));
    buf_free(&text), buf_free(&reasons);
    return false;
}
