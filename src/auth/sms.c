/* sms: messages to telephones, on their way: each who brings them is a row of a table, that is filled and sent as a form.
 *
 *   {to} {+to} the number   {from}   {words}   {account}   {secret}   {channel}
 *
 * What is answered: taken; not now (429, 5xx, no answer); never (of this message); nobody's (the account, the token: the others are not tried either).
 */
#include "auth/auth_int.h"
#include <stdio.h>

enum { SEND_MS = 5000, ANSWER_BYTES = 16 << 10, FIELDS_MAX = 8, WHY_MAX = 150 };

static const struct preset {
    const char *path;
    const char *user;   /* of a basic authorization with the secret; NULL: none */
    const char *scheme; /* of an authorization that is the secret itself; NULL: none */
    struct {
        const char *name, *value;
    } fields[FIELDS_MAX];
    /* Where the answer says how it went, and which words of it mean so; NULL: its status alone does. */
    const char *list, *status, *reason;
    const char *taken, *later, *nobodys; /* words between spaces; taken NULL: all but these that are in never */
    const char *never;
} presets[APP_SMS_PROVIDERS] = {
    [APP_SMS_TWILIO] = {.path = "/2010-04-01/Accounts/{account}/Messages.json",
                        .user = "{account}",
                        .fields = {{"To", "{+to}"}, {"From", "{from}"}, {"Body", "{words}"}},
                        .status = "status",
                        .reason = "message",
                        .never = " failed undelivered "},
    [APP_SMS_VONAGE] = {.path = "/sms/json",
                        .fields = {{"from", "{from}"},
                                   {"to", "{to}"},
                                   {"text", "{words}"},
                                   {"type", "unicode"},
                                   {"api_key", "{account}"},
                                   {"api_secret", "{secret}"}},
                        .list = "messages",
                        .status = "status",
                        .reason = "error-text",
                        .taken = " 0 ",
                        .later = " 1 5 10 ",
                        .nobodys = " 2 3 4 8 9 11 14 "},
    [APP_SMS_MESSAGEBIRD] = {.path = "/messages",
                             .scheme = "AccessKey",
                             .fields = {{"originator", "{from}"},
                                        {"recipients", "{to}"},
                                        {"body", "{words}"},
                                        {"type", "sms"},
                                        {"datacoding", "unicode"}},
                             .list = "errors",
                             .reason = "description"},
    [APP_SMS_TEXTLOCAL] = {.path = "/send/",
                           .fields = {{"apikey", "{secret}"}, {"sender", "{from}"}, {"message", "{words}"}, {"numbers", "{to}"}},
                           .status = "status",
                           .taken = " success "},
};

/* ---- what is sent ---- */

struct filling {
    const struct app_sms *sms;
    str to, words, secret;
    bool whatsapp;
};

static bool is_number(str s) {
    size_t i = s.n && s.p[0] == '+';
    bool ok = i < s.n;
    for (; ok && i < s.n; i++) ok = s.p[i] >= '0' && s.p[i] <= '9';
    return ok;
}

static void put_filled(struct buf *to, const char *template, const struct filling *f, bool escaped) {
    for (str left = str_c(template); left.n;) {
        size_t open = str_find(left, '{'), close = str_find(left, '}');
        buf_puts(to, str_sub(left, 0, open));
        if (open == left.n) return;
        str name = str_sub(left, open + 1, close - open - 1), value = {0};
        struct buf v = {0};
        left = str_sub(left, close + 1, left.n);
        if (str_eqc(name, "to")) value = f->to;
        if (str_eqc(name, "words")) value = f->words;
        if (str_eqc(name, "account")) value = f->sms->account;
        if (str_eqc(name, "secret")) value = f->secret;
        if (str_eqc(name, "+to")) buf_printf(&v, "%s+" STR_FMT, f->whatsapp ? "whatsapp:" : "", STR_ARG(f->to));
        if (str_eqc(name, "from"))
            buf_printf(&v, "%s" STR_FMT, f->whatsapp && is_number(f->sms->from) ? "whatsapp:" : "", STR_ARG(f->sms->from));
        if (v.n) value = buf_str(&v);
        if (escaped) auth_put_escaped(to, value);
        else buf_puts(to, value);
        buf_free(&v);
    }
}

static str filled(arena *mem, const char *template, const struct filling *f, bool escaped) {
    struct buf b = {0};
    put_filled(&b, template, f, escaped);
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

static str authorization(arena *mem, const struct preset *p, const struct filling *f) {
    struct buf b = {0}, both = {0};
    if (p->scheme) buf_printf(&b, "%s " STR_FMT, p->scheme, STR_ARG(f->secret));
    if (p->user) {
        put_filled(&both, p->user, f, false);
        buf_printf(&both, ":" STR_FMT, STR_ARG(f->secret));
        buf_puts(&b, STR("Basic "));
        mail_put_base64(&b, buf_str(&both));
    }
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b), buf_free(&both);
    return s;
}

static str form(arena *mem, const struct preset *p, const struct filling *f) {
    struct buf b = {0};
    for (size_t i = 0; i < FIELDS_MAX && p->fields[i].name; i++) {
        buf_printf(&b, "%s%s=", i ? "&" : "", p->fields[i].name);
        put_filled(&b, p->fields[i].value, f, true);
    }
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

/* ---- what is answered ---- */

static bool is_word(const char *words, str word) {
    char between[40];
    if (!words || word.n > 30 || !word.n) return false;
    snprintf(between, sizeof between, " " STR_FMT " ", STR_ARG(word));
    return strstr(words, between);
}

static void say(struct auth_post *p, enum auth_posted done, const char *who, uint16_t status, str why) {
    size_t n;
    p->done = done;
    why = str_sub(why, 0, WHY_MAX);
    why.n = str_utf8_prefix(why);
    if (status)
        n = (size_t)snprintf(p->why, sizeof p->why, "%s answered %u%s" STR_FMT, who, status, why.n ? ": " : "", STR_ARG(why));
    else n = (size_t)snprintf(p->why, sizeof p->why, "%s: " STR_FMT, who, STR_ARG(why));
    for (size_t i = 0; i < MIN(n, sizeof p->why - 1); i++)
        if ((uint8_t)p->why[i] < ' ' || p->why[i] == 0x7f) p->why[i] = ' ';
}

static void judge(struct auth_call *c, const struct preset *preset, const char *who, const struct auth_fetched *answer,
                  struct auth_post *p) {
    static const struct json_limits limits = {ANSWER_BYTES, 16, 2000};
    struct json body = {0};
    struct diag d = DIAG_INIT;
    const struct json *of = &body;
    uint16_t status = answer->status;
    if (json_read(c->mem, answer->body, &limits, &body, &d) != ERR_OK) body = (struct json){0};
    if (preset->list) of = json_item(json_get(&body, preset->list), 0);
    str word = preset->status ? json_str(json_get(of, preset->status)) : (str){0};
    str why = preset->reason ? json_str(json_get(of, preset->reason)) : word;
    bool well = status / 100 == 2 && (preset->taken ? is_word(preset->taken, word) : !is_word(preset->never, word));
    if (well) say(p, AUTH_POSTED, who, status, why);
    else if (status == 429 || status / 100 == 5 || status == 408 || is_word(preset->later, word))
        say(p, AUTH_POST_LATER, who, status, why);
    else if (status == 401 || status == 403 || status == 404 || is_word(preset->nobodys, word))
        say(p, AUTH_POST_NOBODYS, who, status, why);
    else say(p, AUTH_POST_NEVER, who, status, why);
}

void auth_send_sms(struct auth_call *c, bool whatsapp, struct auth_post *p) {
    static const struct {
        const char *word, *url;
    } known[] = {
#define X(name, word, url, ...) {word, url},
        APP_SMS_LIST(X)
#undef X
    };
    const struct app_sms *sms = &c->config->sms;
    const struct preset *preset = &presets[sms->provider];
    struct filling f = {.sms = sms, .to = p->to, .words = p->text, .whatsapp = whatsapp};
    const char *who = known[sms->provider].word;
    struct auth_fetched answer;
    if (!c->host->secret || !c->host->secret(c->host->arg, c->mem, sms->secret, &f.secret)) {
        say(p, AUTH_POST_NOBODYS, who, 0, STR("its token is no secret of the app's yet"));
        return;
    }
    const struct auth_field fields[] = {{STR("content-type"), STR("application/x-www-form-urlencoded")},
                                        {STR("authorization"), authorization(c->mem, preset, &f)}};
    str base = sms->url.n ? sms->url : str_c(known[sms->provider].url);
    const struct auth_fetch ask = {
        .method = STR("POST"),
        .url = arena_fmt(c->mem, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(filled(c->mem, preset->path, &f, true))),
        .fields = fields,
        .fields_count = fields[1].value.n ? 2 : 1,
        .body = form(c->mem, preset, &f),
        .deadline_ms = SEND_MS,
        .bytes_max = ANSWER_BYTES};
    switch (c->host->fetch(c->host->arg, c->mem, &ask, &answer)) {
    case AUTH_DONE: judge(c, preset, who, &answer, p); return;
    case AUTH_BUSY: say(p, AUTH_POST_LATER, who, 0, STR("it does not answer")); return;
    default: say(p, AUTH_POST_NOBODYS, who, 0, STR("it cannot be asked (auth-call-failed says why)")); return;
    }
}
