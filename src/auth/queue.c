/* queue: mails that wait, and messages to telephones, rows of auth.orlo_mails, and their way out.
 *
 *   row ──next_at──> claimed: attempts + 1, next_at after what may take longest ──post──> sent_at
 *    ^                                                                             ├── later: last_error, next_at after a pause that doubles
 *    └─────────────────────────────────────────────────────────────────────────────┘
 *                                                                                  └── never, or expires_at: failed_at, and the owner is told
 *
 * 1. At least once: who dies between claim and outcome has his mail sent again, when the claim's time is over, under the same Message-ID.
 * 2. A claim is a guard: of two who look, one has the row.
 * 3. Once a mail has left, or is given up, its row has no words and no token any more.
 * 4. Where the relay itself fails, or who brings messages, the others that wait for it are not tried either: they are put off as one.
 */
#include "auth/auth_int.h"
#include <stdio.h>

enum {
    AT_A_TIME = 8,
    PAUSE_FIRST_S = 5,
    PAUSE_MOST_S = 900,
    GRACE_S = 5,
    SMS_MAX = 2,
    SMS_S = 5 * SMS_MAX /* they leave one after the other */
};

struct due {
    str id, kind, channel;
    bool mail; /* else it is for a telephone */
    uint32_t attempts;
    int64_t expires_us;
};

static void is_waiting(struct auth_batch *b) {
    auth_is_null(b, "sent_at");
    auth_is_null(b, "failed_at");
}

/* Those for which there is a way out. */
static void may_leave(struct auth_call *c, struct auth_batch *b) {
    struct json_writer *w = &b->w;
    json_put_object(w, NULL);
    json_put_cstr(w, "column", "channel");
    json_put_cstr(w, "op", "in");
    json_put_array(w, "values");
    if (c->host->posts) json_put_cstr(w, NULL, "email");
    if (c->config->sms.provider) json_put_cstr(w, NULL, "sms"), json_put_cstr(w, NULL, "whatsapp");
    json_put_end(w);
    json_put_end(w);
}

/* Those that come next, by their time. */
static bool read_due(struct auth_call *c, struct json *answers) {
    struct auth_batch b;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "orlo_mails");
    json_put_raw(
        &b.w, "select",
        STR("[\"id\",\"kind\",\"channel\",\"recipient\",\"subject\",\"body\",\"html\",\"attempts\",\"created_at\",\"next_at\","
            "\"expires_at\"]"));
    auth_where(&b), is_waiting(&b), may_leave(c, &b), auth_end(&b);
    json_put_raw(&b.w, "order", STR("[\"next_at\",\"id\"]"));
    json_put_u64(&b.w, "limit", AT_A_TIME + 1);
    auth_end(&b);
    return auth_run(c, &b, "Mails that wait cannot be read", answers) == AUTH_RAN;
}

static str text_of(const struct json *row, const char *key) { return json_str(json_get(row, key)); }
static str number(struct auth_call *c, uint64_t n) { return arena_fmt(c->mem, "%llu", (unsigned long long)n); }

/* Somebody else may be at one of them: then at none. */
static enum auth_ran claim(struct auth_call *c, const struct due *due, uint32_t n) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    for (uint32_t i = 0; i < n; i++) {
        auth_tree(&b, "update", "orlo_mails");
        auth_set(&b);
        json_put_u64(&b.w, "attempts", due[i].attempts + 1);
        json_put_str(&b.w, "next_at",
                     auth_time_text(c->mem, c->host->now_us + (c->host->post_s_max + SMS_S + GRACE_S) * 1'000'000ll));
        auth_end(&b);
        auth_where(&b);
        auth_eq(&b, "id", due[i].id), auth_eq(&b, "attempts", number(c, due[i].attempts)), is_waiting(&b);
        auth_end(&b);
        auth_one(&b);
        auth_end(&b);
    }
    return auth_run(c, &b, "Mails cannot be claimed", &answers);
}

/* After that many tries; so that not all come at once, a quarter more or less. */
static uint64_t pause_s(uint32_t attempts) {
    uint8_t dice;
    uint64_t s = MIN((uint64_t)PAUSE_FIRST_S << MIN(attempts, 16u), (uint64_t)PAUSE_MOST_S);
    crypto_random(&dice, 1);
    return MAX(s * (192 + dice / 2) / 256, 1u);
}

static void put_outcome(struct auth_call *c, struct auth_batch *b, const struct due *d, struct auth_post *p) {
    uint64_t again = p->done == AUTH_POSTED || p->done == AUTH_POST_NEVER ? 0 : pause_s(d->attempts);
    str now = auth_time_text(c->mem, p->done_us);
    int64_t next_us = p->done_us + (int64_t)again * 1'000'000;
    if (again && next_us >= d->expires_us) again = 0;
    auth_tree(b, "update", "orlo_mails");
    auth_set(b);
    if (p->done == AUTH_POSTED) json_put_str(&b->w, "sent_at", now), json_put_null(&b->w, "last_error");
    else json_put_cstr(&b->w, "last_error", p->why);
    if (again) json_put_str(&b->w, "next_at", auth_time_text(c->mem, next_us));
    else json_put_cstr(&b->w, "body", ""), json_put_cstr(&b->w, "html", ""), json_put_raw(&b->w, "variables", STR("{}"));
    if (!again && p->done != AUTH_POSTED) json_put_str(&b->w, "failed_at", now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", d->id), auth_end(b);
    auth_end(b);
    if (p->done == AUTH_POSTED) return;
    char kind[64];
    snprintf(kind, sizeof kind, STR_FMT, STR_ARG(d->kind));
    c->host->unsent(c->host->arg, d->id, kind, d->attempts + 1, again, p->why);
}

static void put_off_all(struct auth_call *c, struct auth_batch *b, bool mail, int64_t until_us) {
    auth_tree(b, "update", "orlo_mails");
    auth_set(b), json_put_str(&b->w, "next_at", auth_time_text(c->mem, until_us)), auth_end(b);
    auth_where(b), is_waiting(b), auth_op(b, "channel", mail ? "eq" : "neq", STR("email"));
    auth_op(b, "next_at", "lte", auth_time_text(c->mem, c->host->now_us));
    auth_end(b), auth_end(b);
}

static bool write_outcomes(struct auth_call *c, const struct due *due, struct auth_post *posts, uint32_t n) {
    struct auth_batch b;
    struct json answers;
    bool nobodys = false;
    auth_batch_begin(&b);
    for (uint32_t i = 0; i < n; i++) put_outcome(c, &b, &due[i], &posts[i]), nobodys |= posts[i].done == AUTH_POST_NOBODYS;
    if (nobodys) put_off_all(c, &b, due[0].mail, posts[0].done_us + (int64_t)pause_s(due[0].attempts) * 1'000'000);
    return auth_run(c, &b, "What became of mails cannot be written", &answers) == AUTH_RAN;
}

/* What waited for so long that nobody can use it. It is told once, not for each. */
static bool give_up_old(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    static const char why[] = "it was not sent in time";
    auth_batch_begin(&b);
    auth_tree(&b, "update", "orlo_mails");
    auth_set(&b);
    json_put_str(&b.w, "failed_at", c->now), json_put_cstr(&b.w, "last_error", why);
    json_put_cstr(&b.w, "body", ""), json_put_cstr(&b.w, "html", ""), json_put_raw(&b.w, "variables", STR("{}"));
    auth_end(&b);
    auth_where(&b), is_waiting(&b), may_leave(c, &b), auth_op(&b, "expires_at", "lte", c->now), auth_end(&b);
    auth_end(&b);
    if (auth_run(c, &b, "Mails cannot be given up", &answers) != AUTH_RAN) return false;
    int64_t gone = json_i64(json_get(json_item(&answers, 0), "affected"));
    if (gone > 0) c->host->unsent(c->host->arg, number(c, (uint64_t)gone), "several", 0, 0, why);
    return true;
}

static void take_row(const struct json *row, struct due *d, struct auth_post *p) {
    *d = (struct due){text_of(row, "id"),
                      text_of(row, "kind"),
                      text_of(row, "channel"),
                      str_eqc(text_of(row, "channel"), "email"),
                      (uint32_t)json_i64(json_get(row, "attempts")),
                      auth_time_of(json_get(row, "expires_at"))};
    *p = (struct auth_post){.id = d->id,
                            .to = text_of(row, "recipient"),
                            .subject = text_of(row, "subject"),
                            .text = text_of(row, "body"),
                            .html = text_of(row, "html"),
                            .made_s = auth_time_of(json_get(row, "created_at")) / 1'000'000,
                            .done = AUTH_POST_LATER};
}

static int64_t send(struct auth_call *c, struct due *due, struct auth_post *posts, uint32_t n) {
    if (claim(c, due, n) != AUTH_RAN) return c->host->now_us + 1'000'000; /* who has them writes what becomes of them */
    if (due[0].mail) c->host->post(c->host->arg, posts, n);
    for (uint32_t i = 0; i < n && !due[0].mail; i++) {
        auth_send_sms(c, str_eqc(due[i].channel, "whatsapp"), &posts[i]);
        posts[i].done_us = c->host->clock(c->host->arg);
    }
    return write_outcomes(c, due, posts, n) ? c->host->now_us : c->host->now_us + 10'000'000;
}

int64_t auth_deliver(const struct auth_host *host, const struct app_auth *config, arena *mem) {
    struct auth_call c = {.host = host, .config = config, .mem = mem, .now = auth_time_text(mem, host->now_us)};
    struct json answers;
    struct due due[AT_A_TIME];
    struct auth_post posts[AT_A_TIME];
    uint32_t n = 0;
    bool old = false;
    int64_t again_us = INT64_MAX, soon_us = host->now_us + 10'000'000;
    if (!host->posts && !config->sms.provider) return INT64_MAX;
    if (!read_due(&c, &answers)) return soon_us;
    const struct json *row, *rows = json_get(json_item(&answers, 0), "rows");
    for (uint32_t i = 0; (row = json_item(rows, i)); i++) { /* of one way out, those that are due */
        int64_t next_us = auth_time_of(json_get(row, "next_at"));
        bool mail = str_eqc(text_of(row, "channel"), "email");
        if (next_us > host->now_us || (n && mail != due[0].mail) || n == (mail ? AT_A_TIME : SMS_MAX)) {
            again_us = next_us;
            break;
        }
        take_row(row, &due[n], &posts[n]);
        old |= due[n++].expires_us <= host->now_us;
    }
    if (old) return give_up_old(&c) ? host->now_us : soon_us;
    return n ? send(&c, due, posts, n) : again_us;
}
