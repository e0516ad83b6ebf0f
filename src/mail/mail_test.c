/* Messages as they leave, and a relay's side of the dialogue, well and badly meant. */
#include "base/base.h"
#include "mail/mail.h"
#include <setjmp.h>
#include <cmocka.h>

static void test_addresses(void **state) {
    static const char *const good[] = {"ann@shop.example", "a+b@x.y", "o'neil@a-b.c", "x@localhost"};
    static const char *const bad[] = {"",       "@",       "a@",       "@b",       "a b@c.d",      "a@b\r\nBcc: x@y.z",
                                      "a@b>c",  "<a@b.c>", "a\"b@c.d", "a..b@c.d", ".a@b.c",       "a.@b.c",
                                      "a@-b.c", "a@b.c.",  "a,b@c.d",  "a@b@c.d",  "\xc3\xa4@b.c", "a@b c"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) assert_true(mail_address_ok(str_c(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (mail_address_ok(str_c(bad[i]))) fail_msg("taken: %s", bad[i]);
    assert_false(mail_address_ok((str){(const uint8_t *)"a\0b@c.d", 7}));
}

static bool has(const struct buf *b, const char *text) { return memmem(b->p, b->n, text, strlen(text)) != NULL; }

static void test_message(void **state) {
    struct buf b = {0};
    struct mail_message m = {.from_name = STR("Shop"),
                             .from = STR("a@shop.example"),
                             .to = STR("b@c.d"),
                             .subject = STR("Hello"),
                             .text = STR(".\r\n-- \nFrom here = there\nend \xc3\xa4"),
                             .html = STR("<p>x</p>"),
                             .id = STR("1-2"),
                             .at_s = 0};
    assert_true(mail_message_write(&b, &m));
    assert_true(
        has(&b, "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nFrom: Shop\r\n <a@shop.example>\r\nTo: <b@c.d>\r\nSubject: Hello\r\n"
                "Message-ID: <1-2@shop.example>\r\n"));
    assert_true(has(&b, "\r\n=2E\r\n=2D-=20\r\n=46rom here =3D there\r\nend =C3=A4\r\n--=_1-2\r\n"));
    b.n = 0;
    m.subject = STR("x\r\nBcc: evil@x.y\r\n\r\nbody"), m.from_name = STR("a\nb\", <c@d.e>"), m.html = (str){0};
    assert_true(mail_message_write(&b, &m));
    assert_false(has(&b, "Bcc") || has(&b, "c@d.e") || has(&b, "multipart"));
    for (size_t i = 0; i < b.n; i++) assert_true(b.p[i] != '\n' || b.p[i - 1] == '\r');
    m.to = STR("b@c.d>\r\nBcc: <e@f.g");
    assert_false(mail_message_write(&b, &m));
    buf_free(&b);
}

/* A subject in any bytes: encoded words are short, and hold whole characters. */
static void test_words(void **state) {
    struct buf b = {0}, subject = {0};
    for (int i = 0; i < 200; i++) buf_puts(&subject, i % 3 ? STR("\xe2\x82\xac") : STR("\xff"));
    struct mail_message m = {
        .from = STR("a@b.c"), .to = STR("b@c.d"), .subject = buf_str(&subject), .text = STR("x"), .id = STR("1")};
    assert_true(mail_message_write(&b, &m));
    size_t line = 0;
    for (size_t i = 0; i < b.n; i++) {
        line = b.p[i] == '\n' ? 0 : line + 1;
        assert_true(line <= 78 && b.p[i] < 0x80);
    }
    buf_free(&b), buf_free(&subject);
}

/* ---- SMTP ---- */

struct step {
    const char *says;           /* the relay */
    enum mail_smtp_event event; /* what that is */
    const char *sent;           /* to it then, in all of it */
};

static void play(const struct mail_smtp_config *config, const struct step *steps, size_t n, bool in_pieces) {
    struct mail_smtp s;
    mail_smtp_begin(&s, config);
    for (size_t i = 0; i < n; i++) {
        enum mail_smtp_event e = MAIL_SMTP_MORE;
        str says = str_c(steps[i].says);
        s.out.n = 0;
        for (size_t k = 0; k < says.n && e == MAIL_SMTP_MORE; k += in_pieces ? 1 : says.n)
            e = mail_smtp_feed(&s, in_pieces ? str_sub(says, k, 1) : says);
        if (e == MAIL_SMTP_READY || (e == MAIL_SMTP_SENT && steps[i].sent) ||
            ((e == MAIL_SMTP_REFUSED || e == MAIL_SMTP_LATER) && steps[i].sent))
            mail_smtp_send(&s, STR("a@b.c"), STR("d@e.f"), STR("Subject: x\r\n\r\n.dot\r\n"));
        if (e == MAIL_SMTP_SECURE) mail_smtp_secured(&s);
        if (e != steps[i].event) fail_msg("step %zu: event %d, not %d (%s)", i, e, steps[i].event, s.why);
        if (steps[i].sent && !str_eqc(buf_str(&s.out), steps[i].sent))
            fail_msg("step %zu: sent %.*s, not %s", i, (int)s.out.n, (char *)s.out.p, steps[i].sent);
    }
    mail_smtp_end(&s);
}

static void test_smtp(void **state) {
    static const struct step steps[] = {
        {"220-x\r\n220 hello\r\n", MAIL_SMTP_MORE, "EHLO me\r\n"},
        {"250-x\r\n250-SIZE 1000\r\n250 STARTTLS\r\n", MAIL_SMTP_MORE, "STARTTLS\r\n"},
        {"220 go\r\n", MAIL_SMTP_SECURE, "EHLO me\r\n"},
        {"250-x\r\n250 AUTH LOGIN PLAIN\r\n", MAIL_SMTP_MORE, "AUTH PLAIN AHUAcA==\r\n"},
        {"235 ok\r\n", MAIL_SMTP_READY, "MAIL FROM:<a@b.c>\r\n"},
        {"250 ok\r\n", MAIL_SMTP_MORE, "RCPT TO:<d@e.f>\r\n"},
        {"250 ok\r\n", MAIL_SMTP_MORE, "DATA\r\n"},
        {"354 go\r\n", MAIL_SMTP_MORE, "Subject: x\r\n\r\n..dot\r\n.\r\n"},
        {"250 queued\r\n", MAIL_SMTP_SENT, "MAIL FROM:<a@b.c>\r\n"},
        {"250 ok\r\n", MAIL_SMTP_MORE, "RCPT TO:<d@e.f>\r\n"},
        {"550 no such user\r\n", MAIL_SMTP_MORE, "RSET\r\n"},
        {"250 ok\r\n", MAIL_SMTP_REFUSED, "MAIL FROM:<a@b.c>\r\n"},
        {"451 later\r\n", MAIL_SMTP_MORE, "RSET\r\n"},
        {"250 ok\r\n", MAIL_SMTP_LATER, NULL},
    };
    const struct mail_smtp_config config = {.hello = STR("me"), .user = STR("u"), .pass = STR("p"), .starttls = true};
    play(&config, steps, ARRAY_COUNT(steps), false);
    play(&config, steps, ARRAY_COUNT(steps), true);
    static const struct step login[] = {
        {"220 x\n", MAIL_SMTP_MORE, "EHLO me\r\n"},     {"250 AUTH LOGIN\n", MAIL_SMTP_MORE, "AUTH LOGIN\r\n"},
        {"334 VXNlcg==\n", MAIL_SMTP_MORE, "dQ==\r\n"}, {"334 UGFzcw==\n", MAIL_SMTP_MORE, "cA==\r\n"},
        {"535 no\r\n", MAIL_SMTP_FAILED, NULL},
    };
    const struct mail_smtp_config secure = {.hello = STR("me"), .user = STR("u"), .pass = STR("p"), .secure = true};
    play(&secure, login, ARRAY_COUNT(login), true);
}

static void test_hostile(void **state) {
    const struct mail_smtp_config config = {.hello = STR("me"), .user = STR("u"), .pass = STR("p"), .starttls = true};
    static const struct step no_tls[] = {{"220 x\r\n", MAIL_SMTP_MORE, "EHLO me\r\n"},
                                         {"250 AUTH PLAIN\r\n", MAIL_SMTP_FAILED, ""}};
    static const struct step injected[] = {{"220 x\r\n", MAIL_SMTP_MORE, NULL},
                                           {"250 STARTTLS\r\n", MAIL_SMTP_MORE, NULL},
                                           {"220 go\r\n250 AUTH PLAIN\r\n", MAIL_SMTP_FAILED, ""}};
    static const struct step busy[] = {{"421 too many\r\n", MAIL_SMTP_FAILED, ""}};
    static const struct step http[] = {{"HTTP/1.1 400 Bad\r\n", MAIL_SMTP_FAILED, ""}};
    play(&config, no_tls, ARRAY_COUNT(no_tls), false);
    play(&config, injected, ARRAY_COUNT(injected), false);
    play(&config, busy, ARRAY_COUNT(busy), false);
    play(&config, http, ARRAY_COUNT(http), false);
    static const char *const banners[] = {"220-and on\r\n", "x"}; /* without end */
    for (size_t i = 0; i < ARRAY_COUNT(banners); i++) {
        struct mail_smtp s;
        mail_smtp_begin(&s, &config);
        uint32_t said = 0;
        while (mail_smtp_feed(&s, str_c(banners[i])) == MAIL_SMTP_MORE && said < 100'000) said++;
        assert_true(said < 20'000 && s.in.n <= 20'000);
        mail_smtp_end(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_message),
                                       cmocka_unit_test(test_words), cmocka_unit_test(test_smtp), cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
