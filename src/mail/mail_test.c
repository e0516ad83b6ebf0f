/* Messages as they leave, and a relay's side of the dialogue, well and badly meant. */
#include "base/base.h"
#include "mail/mail.h"
#include <setjmp.h>
#include <stdio.h>
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

/* ---- templates ---- */

static const char *const names[] = {"SiteURL", "ConfirmationURL", "Email", "Token", "TokenHash", "RedirectTo", "Data", NULL};

static void find(void *arg, const str *path, uint32_t n, struct mail_value *v) {
    static const struct {
        const char *path, *text;
        bool trusted;
    } all[] = {{"SiteURL", "https://a.b/x", true},         {"ConfirmationURL", "https://a.b/v?token=1&type=x", true},
               {"Email", "o'neil+x@a.b", false},           {"Token", "123456", false},
               {"RedirectTo", "myapp://cb?x=<1>", true},   {"Data.name", "<b>\"Ann\"\n& Co</b>", false},
               {"Data.url", "javascript:alert(1)", false}, {"Data.lang", "de", false},
               {"Data.first name", "Ann", false},          {"Data.none", "", false}};
    char name[100] = "";
    for (uint32_t i = 0; i < n; i++)
        snprintf(name + strlen(name), sizeof name - strlen(name), "%s%.*s", i ? "." : "", (int)path[i].n,
                 (const char *)path[i].p);
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (!strcmp(name, all[i].path))
            *v = (struct mail_value){
                .kind = MAIL_TEXT, .text = str_c(all[i].text), .is_true = all[i].text[0], .trusted = all[i].trusted};
}

static void test_templates(void **state) {
    static const struct {
        const char *text, *html, *plain; /* NULL: not looked at */
    } cases[] = {
        {"Hi {{ .Token }}!", "Hi 123456!", "Hi 123456!"},
        {"{{.Data.name}}", "&lt;b&gt;&#34;Ann&#34; &amp; Co&lt;/b&gt;", "<b>\"Ann\" & Co</b>"},
        {"a {{- .Token -}} b", "a123456b", "a123456b"},
        {"a{{/* no }} */}}b", "ab", "ab"},
        {"{{ if .Data.lang }}1{{ else }}2{{ end }}", "1", "1"},
        {"{{ if eq .Data.lang \"fr\" }}fr{{ else if eq .Data.lang \"en\" \"de\" }}de{{ else }}?{{ end }}", "de", "de"},
        {"{{ if .Data.nowhere }}1{{ end }}{{ if not .Data.none }}2{{ end }}", "2", "2"},
        {"{{ if and .Token (ne .Data.lang \"en\") }}y{{ end }}", "y", "y"},
        {"{{ index .Data \"first name\" }}", "Ann", "Ann"},
        {"{{ or .Data.none .Token }}", "123456", "123456"},
        {"{{ urlquery .Email }}", "o%27neil%2Bx%40a.b", "o%27neil%2Bx%40a.b"},
        {"<a href=\"{{ .ConfirmationURL }}\">", "<a href=\"https://a.b/v?token=1&amp;type=x\">", NULL},
        {"<a href='{{ .SiteURL }}/c?e={{ .Email }}&to={{ .RedirectTo }}'>",
         "<a href='https://a.b/x/c?e=o%27neil%2Bx%40a.b&to=myapp%3A%2F%2Fcb%3Fx%3D%3C1%3E'>", NULL},
        {"<a href=\"{{ .RedirectTo }}\">", "<a href=\"myapp://cb?x=%3C1%3E\">", NULL},
        {"<a href=\"{{ .Data.url }}\">", "<a href=\"#\">", NULL},
        {"<a title=\"{{ .Data.name }}\">", "<a title=\"&lt;b&gt;&#34;Ann&#34; &amp; Co&lt;/b&gt;\">", NULL},
        {"<title>{{ .Data.name }}</title><style>p { color: red }</style>{{ .Token }}",
         "<title>&lt;b&gt;&#34;Ann&#34; &amp; Co&lt;/b&gt;</title><style>p { color: red }</style>123456", NULL},
        {"<!--[if mso]><i>{{ .Token }}</i><![endif]-->", "<!--[if mso]><i>123456</i><![endif]-->", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        for (int html = 0; html < 2; html++) {
            struct buf b = {0};
            struct mail_fault fault;
            const struct mail_template t = {.html = html, .names = names, .find = find};
            const char *want = html ? cases[i].html : cases[i].plain;
            if (!mail_template_fill(&b, str_c(cases[i].text), &t, &fault)) fail_msg("%s: %s", cases[i].text, fault.text);
            if (want && !str_eqc(buf_str(&b), want)) fail_msg("%s: %.*s", cases[i].text, (int)b.n, (const char *)b.p);
            buf_free(&b);
        }
}

static void test_templates_refused(void **state) {
    static const struct {
        const char *text, *why;
        uint32_t line;
    } cases[] = {
        {"a\nb {{ .Nothing }}", "there is no .Nothing here", 2},
        {"{{ .Email.x }}", ".Email has no parts", 1},
        {"\n\n{{ range .Data.x }}{{ end }}", "range is not there", 3},
        {"{{ with .Data }}", "with is not there", 1},
        {"{{ $x := 1 }}", "variables ($) are not there", 1},
        {"{{ .Email | html }}", "pipes (|) are not there", 1},
        {"{{ printf .Email }}", "printf is no function", 1},
        {"{{ if .Email }}", "an if has no end", 1},
        {"{{ end }}", "an end without an if", 1},
        {"{{ else }}", "an else without an if", 1},
        {"{{ .Email", "{{ has no }}", 1},
        {"{{ }}", "something is missing", 1},
        {"{{ . }}", "the dot alone", 1},
        {"<script>x = '{{ .Email }}'</script>", "in <script> nothing", 1},
        {"<style>{{ .Email }}</style>", "in <style> nothing", 1},
        {"<a onclick=\"{{ .Email }}\">", "in onclick, which is run", 1},
        {"<a style=\"color: {{ .Email }}\">", "in style nothing", 1},
        {"<a\nhref={{ .Email }}>", "the value of href needs quotes", 2},
        {"<a {{ .Email }}>", "in a tag nothing can be put", 1},
        {"<{{ .Email }}>", NULL, 0},
        {"{{ if .Email }}<a title=\"{{ end }}x\">", "branches of an if end in different places", 1},
        {"<a title=\"x", "it ends within a tag", 1},
        {"{{ if (((((.Email))))) }}{{ end }}", "more than 4 parentheses", 1},
        {"\xff", "it is no UTF-8", 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf b = {0};
        struct mail_fault fault;
        const struct mail_template t = {.html = true, .names = names};
        bool ok = mail_template_fill(&b, str_c(cases[i].text), &t, &fault);
        if (ok != !cases[i].why) fail_msg("%s: %s", cases[i].text, ok ? "it is taken" : fault.text);
        if (!ok && (!strstr(fault.text, cases[i].why) || fault.line != cases[i].line))
            fail_msg("%s: line %u, %s", cases[i].text, fault.line, fault.text);
        buf_free(&b);
    }
}

/* What a user says of himself, named as often as a template has room for: it has an end, and where no branch has it, it costs nothing. */
static void test_templates_bound(void **state) {
    static const char *const frames[][2] = {{"", ""}, {"{{ if .Data.none }}", "{{ end }}"}};
    const struct mail_template t = {.html = true, .names = names, .find = find};
    for (size_t i = 0; i < ARRAY_COUNT(frames); i++) {
        struct buf text = {0}, b = {0};
        struct mail_fault fault;
        buf_puts(&text, str_c(frames[i][0]));
        while (text.n < MAIL_TEMPLATE_BYTES_MAX - 100) buf_puts(&text, STR("{{.Data.name}}"));
        buf_puts(&text, str_c(frames[i][1]));
        bool ok = mail_template_fill(&b, buf_str(&text), &t, &fault);
        assert_int_equal(ok, i);
        if (!ok) assert_non_null(strstr(fault.text, "filled, it has more than"));
        assert_true(i ? !b.n : b.n < MAIL_FILLED_BYTES_MAX + 1000);
        buf_free(&text), buf_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses),
                                       cmocka_unit_test(test_message),
                                       cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_smtp),
                                       cmocka_unit_test(test_hostile),
                                       cmocka_unit_test(test_templates),
                                       cmocka_unit_test(test_templates_refused),
                                       cmocka_unit_test(test_templates_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
