/* smtp: a relay's side of the dialogue is read, ours is written.
 *
 *   GREETING ──220──> HELLO ──250──┬─> STARTTLS ──220──> SECURING ──secured──> HELLO
 *                                  ├─> AUTH (LOGIN: USER, PASSWORD) ──235──┐
 *                                  └───────────────────────────────────────┴─> READY ──send──> FROM ──> TO ──> DATA ──354──> BODY ──250──> READY
 *   A message that is not taken: RESET ──250──> READY. Anything else, and whatever was not asked for: FAILED.
 */
#include "mail/mail.h"
#include <stdio.h>

enum { GREETING, HELLO, STARTTLS, SECURING, AUTH, USER, PASSWORD, READY, FROM, TO, DATA, BODY, RESET, ENDED };
enum { LINE_BYTES_MAX = 2048, REPLY_BYTES_MAX = 16 << 10 };

static enum mail_smtp_event fail(struct mail_smtp *s, const char *why) {
    s->state = ENDED;
    if (why) snprintf(s->why, sizeof s->why, "%s", why);
    return MAIL_SMTP_FAILED;
}

static void command(struct mail_smtp *s, int state, const char *line) {
    s->state = state;
    s->replied = 0;
    buf_puts(&s->out, str_c(line));
    buf_puts(&s->out, STR("\r\n"));
}

static void hello(struct mail_smtp *s) {
    s->can_starttls = s->can_plain = s->can_login = false;
    buf_printf(&s->out, "EHLO " STR_FMT "\r\n", STR_ARG(s->c.hello));
    s->state = HELLO;
    s->replied = 0;
}

static enum mail_smtp_event be_ready(struct mail_smtp *s) {
    s->state = READY;
    return MAIL_SMTP_READY;
}

/* ---- signing in ---- */

static enum mail_smtp_event sign_in(struct mail_smtp *s) {
    struct buf both = {0};
    if (!s->c.user.n) return be_ready(s);
    if (!s->can_plain && !s->can_login)
        return fail(s, "the relay has no way to sign in that is known here (AUTH PLAIN, AUTH LOGIN)");
    if (!s->can_plain) {
        command(s, USER, "AUTH LOGIN");
        return MAIL_SMTP_MORE;
    }
    buf_putc(&both, 0), buf_puts(&both, s->c.user), buf_putc(&both, 0), buf_puts(&both, s->c.pass);
    buf_puts(&s->out, STR("AUTH PLAIN "));
    mail_put_base64(&s->out, buf_str(&both));
    command(s, AUTH, "");
    explicit_bzero(both.p, both.n);
    buf_free(&both);
    return MAIL_SMTP_MORE;
}

static enum mail_smtp_event said_login(struct mail_smtp *s) {
    bool name = s->state == USER;
    mail_put_base64(&s->out, name ? s->c.user : s->c.pass);
    command(s, name ? PASSWORD : AUTH, "");
    return MAIL_SMTP_MORE;
}

/* ---- what it can ---- */

static void take_word(struct mail_smtp *s, str line) {
    str word, rest, one;
    str_cut(line, ' ', &word, &rest);
    if (str_eq_nocase(word, STR("STARTTLS"))) s->can_starttls = true;
    if (!str_eq_nocase(word, STR("AUTH")) && !(word.n > 5 && str_eq_nocase(str_sub(word, 0, 5), STR("AUTH=")))) return;
    if (word.n > 5) rest = str_sub(line, 5, line.n);
    while (rest.n) {
        str_cut(rest, ' ', &one, &rest);
        s->can_plain |= str_eq_nocase(one, STR("PLAIN"));
        s->can_login |= str_eq_nocase(one, STR("LOGIN"));
    }
}

static enum mail_smtp_event said_hello(struct mail_smtp *s) {
    if (s->c.secure || !s->c.starttls) return sign_in(s);
    if (!s->can_starttls) return fail(s, "the relay has no TLS (STARTTLS), and tls does not say that it need not");
    command(s, STARTTLS, "STARTTLS");
    return MAIL_SMTP_MORE;
}

/* ---- messages ---- */

static void put_data(struct mail_smtp *s) {
    str data = s->data, line;
    while (data.n) { /* a dot at a line's beginning is doubled (RFC 5321 4.5.2) */
        size_t end = str_find(data, '\n');
        line = str_sub(data, 0, end + 1);
        if (line.p[0] == '.') buf_putc(&s->out, '.');
        buf_puts(&s->out, line);
        data = str_sub(data, line.n, data.n);
    }
    command(s, BODY, str_ends(s->data, STR("\r\n")) ? "." : "\r\n.");
}

static enum mail_smtp_event not_taken(struct mail_smtp *s, bool never) {
    s->outcome = never ? MAIL_SMTP_REFUSED : MAIL_SMTP_LATER;
    command(s, RESET, "RSET");
    return MAIL_SMTP_MORE;
}

static enum mail_smtp_event of_message(struct mail_smtp *s) {
    bool ok = s->code / 100 == 2, never = s->code / 100 == 5;
    if (s->code == 421) return fail(s, NULL);
    if (s->state == DATA) {
        if (s->code != 354) return not_taken(s, never);
        put_data(s);
        return MAIL_SMTP_MORE;
    }
    if (!ok) return not_taken(s, never && s->state != FROM); /* a sender that it does not like is no fault of this mail's */
    if (s->state == BODY) {
        s->state = READY;
        return MAIL_SMTP_SENT;
    }
    if (s->state == FROM) buf_printf(&s->out, "RCPT TO:<" STR_FMT ">\r\n", STR_ARG(s->to)), s->state = TO;
    else buf_puts(&s->out, STR("DATA\r\n")), s->state = DATA;
    s->replied = 0;
    return MAIL_SMTP_MORE;
}

/* ---- replies ---- */

static enum mail_smtp_event replied(struct mail_smtp *s) {
    unsigned kind = s->code / 100;
    switch (s->state) {
    case GREETING:
        if (kind != 2) return fail(s, NULL);
        hello(s);
        return MAIL_SMTP_MORE;
    case HELLO: return kind == 2 ? said_hello(s) : fail(s, NULL);
    case STARTTLS:
        if (kind != 2) return fail(s, NULL);
        if (s->in.n) return fail(s, "the relay went on in the open after it had agreed to TLS");
        s->state = SECURING;
        return MAIL_SMTP_SECURE;
    case USER:
    case PASSWORD: return s->code == 334 ? said_login(s) : fail(s, NULL);
    case AUTH: return kind == 2 ? be_ready(s) : fail(s, NULL);
    case FROM:
    case TO:
    case DATA:
    case BODY: return of_message(s);
    case RESET:
        if (kind != 2) return fail(s, NULL);
        s->state = READY;
        return s->outcome;
    default: return fail(s, "the relay speaks when it was not asked");
    }
}

/* "550-5.1.1 no", "550 such user": the last line's text is why; what is no letter of it is left out. */
static void take_why(struct mail_smtp *s, str line) {
    size_t n = 0;
    if (s->state == RESET) return;
    for (size_t i = 0; i < line.n && n + 1 < sizeof s->why; i++)
        s->why[n++] = line.p[i] >= ' ' && line.p[i] < 0x7f ? (char)line.p[i] : '?';
    s->why[n] = 0;
}

/* One line of a reply. */
static enum mail_smtp_event take_line(struct mail_smtp *s, str line) {
    unsigned code = 0;
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    bool ok = line.n >= 3 && (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-');
    for (size_t i = 0; ok && i < 3; i++) {
        ok = line.p[i] >= '0' && line.p[i] <= '9';
        code = code * 10 + line.p[i] - '0';
    }
    if (!ok || code < 200 || code > 599) return fail(s, "what answers there speaks no SMTP");
    if (s->state == HELLO && code / 100 == 2) take_word(s, str_sub(line, 4, line.n));
    take_why(s, line);
    if (line.n > 3 && line.p[3] == '-') return MAIL_SMTP_MORE;
    s->code = code;
    return MAIL_SMTP_SENT; /* it is whole */
}

enum mail_smtp_event mail_smtp_feed(struct mail_smtp *s, str received) {
    if (s->state == ENDED) return MAIL_SMTP_FAILED;
    buf_puts(&s->in, received);
    s->replied += (uint32_t)MIN(received.n, (size_t)REPLY_BYTES_MAX);
    if (s->replied > REPLY_BYTES_MAX) return fail(s, "the relay says more than a reply has");
    for (;;) {
        str in = buf_str(&s->in);
        size_t end = str_find(in, '\n');
        if (s->state == SECURING || s->state == READY)
            return in.n ? fail(s, "the relay speaks when it was not asked") : MAIL_SMTP_MORE;
        if (end == in.n) return in.n > LINE_BYTES_MAX ? fail(s, "the relay's lines have no end") : MAIL_SMTP_MORE;
        enum mail_smtp_event e = take_line(s, str_sub(in, 0, end));
        memmove(s->in.p, s->in.p + end + 1, in.n - end - 1);
        s->in.n -= end + 1;
        if (e == MAIL_SMTP_SENT) e = replied(s);
        if (e != MAIL_SMTP_MORE) return e;
    }
}

void mail_smtp_begin(struct mail_smtp *s, const struct mail_smtp_config *config) { *s = (struct mail_smtp){.c = *config}; }

void mail_smtp_secured(struct mail_smtp *s) {
    s->c.secure = true;
    hello(s);
}

void mail_smtp_send(struct mail_smtp *s, str from, str to, str data) {
    ENSURE(s->state == READY);
    s->from = from, s->to = to, s->data = data;
    buf_printf(&s->out, "MAIL FROM:<" STR_FMT ">\r\n", STR_ARG(from));
    s->state = FROM;
    s->replied = 0;
}

void mail_smtp_quit(struct mail_smtp *s) {
    if (s->state == READY) command(s, ENDED, "QUIT");
}

void mail_smtp_end(struct mail_smtp *s) {
    if (s->out.p) explicit_bzero(s->out.p, s->out.cap);
    buf_free(&s->out), buf_free(&s->in);
}
