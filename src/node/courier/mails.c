/* mails: brought to relays, by SMTP.
 *
 *   worker ──mail_ask──> [ an app's line: so many ] ──in turn──> a session: dial ─> TLS ─> dialogue (mail.h) ──mail_told──> worker
 *                          └─ full: told at once (ERR_BUSY)           └─ the next of the app's line for the same relay goes over it, too
 *
 * 1. Apps take turns, and none has more than OF_APP sessions: who has a relay that is slow, or does not answer, waits for himself.
 * 2. Each mail has a time, from when its turn came, and as long until then; a relay that lets it pass is left.
 * 3. A relay of an app's is where apps may reach: at public addresses, and where the operator lets them, at private ones. Never at a link-local one that is not
 *    named as such.
 * 4. Nothing is kept here: the worker has it in the app's database, and sends it anew where he hears nothing.
 */
#include "app/record.h"
#include "crypto/tls.h"
#include "mail/mail.h"
#include "net/dial.h"
#include "node/courier/courier.h"
#include <stdlib.h>
#include <unistd.h>

enum {
    OF_APP = 2,
    ALL = 256,
    LINE_MAX = 64,
    LINES_MAX = 8192, /* letters of all */
    OF_SESSION = 100, /* letters over one */
    WORDS_MAX = 4 << 20,
    RECEIVE_BYTES = 4096,
    TICK_MS = 250
};

struct letter {
    struct letter *next;
    arena *mem;
    uint64_t peer, since_ns;
    uint32_t id, app, ms_max;
    struct app_mail relay; /* secret: the password itself */
    bool anywhere;
    struct buf data;
    str to;
};
struct line { /* of an app */
    struct line *next;
    uint32_t app, n, sessions;
    struct letter *first, **last;
};
struct session {
    struct session *next;
    struct node_courier_mails *of;
    struct line *line;
    struct letter *letter; /* NULL: it says goodbye */
    uint64_t until_ns;
    uint32_t sent;
    struct app_mail relay;
    bool anywhere, shaking;
    arena *mem;
    struct net_dial *dial;
    struct net_stream *stream;
    struct mail_smtp smtp;
    size_t written; /* of smtp.out */
    bool over;      /* it is freed by the next tick */
};
struct node_courier_mails {
    struct net_loop *loop;
    struct net_timer *timer;
    struct crypto_tls_trust *trust; /* NULL: not needed so far */
    struct app_mail relay;          /* the node's */
    arena *mem;
    void (*told)(void *arg, uint64_t peer, const struct node_message *m);
    void *arg;
    struct line *lines, **last; /* whose turn was longest ago is the first */
    struct session *sessions;
    uint32_t waiting, running;
};

/* ---- letters ---- */

static void free_letter(struct letter *l) {
    if (l->data.p) explicit_bzero(l->data.p, l->data.n);
    buf_free(&l->data);
    arena_free(l->mem);
}

static void tell(struct node_courier_mails *m, struct letter *l, err e, const char *why) {
    m->told(m->arg, l->peer, &NODE_MESSAGE(mail_told, .id = l->id, .err = e, .text = str_c(why)));
    free_letter(l);
}

static void append(struct node_courier_mails *m, struct line *l) {
    l->next = NULL;
    *m->last = l;
    m->last = &l->next;
}

static void unlink_line(struct node_courier_mails *m, struct line *l) {
    struct line **at = &m->lines;
    while (*at != l) at = &(*at)->next;
    *at = l->next;
    if (!*at) m->last = at;
}

static struct line *line_of(struct node_courier_mails *m, uint32_t app) {
    for (struct line *l = m->lines; l; l = l->next)
        if (l->app == app) return l;
    struct line *l = calloc(1, sizeof *l);
    ENSURE(l);
    *l = (struct line){.app = app};
    l->last = &l->first;
    append(m, l);
    return l;
}

static void drop_line(struct node_courier_mails *m, struct line *l) {
    if (l->n || l->sessions) return;
    unlink_line(m, l);
    free(l);
}

static struct letter *pop(struct node_courier_mails *m, struct line *l) {
    struct letter *first = l->first;
    l->first = first->next;
    if (!l->first) l->last = &l->first;
    l->n--, m->waiting--;
    return first;
}

static bool same_relay(const struct session *s, const struct letter *l) {
    const struct app_mail *a = &s->relay, *b = &l->relay;
    return str_eq(a->host, b->host) && a->port == b->port && a->tls == b->tls && str_eq(a->user, b->user) &&
           str_eq(a->secret, b->secret) && str_eq(a->from, b->from) && s->anywhere == l->anywhere;
}

/* ---- a session ---- */

static void leave(struct session *s) {
    if (s->over) return;
    s->over = true;
    if (s->stream) net_stream_listen(s->stream, NULL, NULL);
    net_timer_start(s->of->timer, 0, TICK_MS);
}

static void end_letter(struct session *s, err e, const char *why) {
    struct letter *l = s->letter;
    s->letter = NULL;
    if (l) tell(s->of, l, e, why);
}

static void fail(struct session *s, const char *why) {
    end_letter(s, ERR_IO, why);
    leave(s);
}

static void free_session(struct session *s) {
    struct node_courier_mails *m = s->of;
    struct session **at = &m->sessions;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    net_dial_free(s->dial);
    if (s->stream) net_stream_close(s->stream, false);
    mail_smtp_end(&s->smtp);
    m->running--, s->line->sessions--;
    drop_line(m, s->line);
    arena_free(s->mem);
    free(s);
}

/* The next of the app's for this relay, or goodbye. */
static void next_letter(struct session *s) {
    struct line *l = s->line;
    if (!s->letter && l->n && s->sent < OF_SESSION && same_relay(s, l->first)) {
        s->letter = pop(s->of, l);
        s->until_ns = clock_mono_ns() + (uint64_t)s->letter->ms_max * 1'000'000;
    }
    if (s->letter) mail_smtp_send(&s->smtp, s->relay.from, s->letter->to, buf_str(&s->letter->data));
    else mail_smtp_quit(&s->smtp);
}

static void on_stream(void *arg);

static void shake(struct session *s) {
    const char *why = "";
    ssize_t n = net_dial_shake(s->stream, &why);
    net_stream_listen(s->stream, on_stream, s);
    if (n == NET_STREAM_WAIT) return;
    if (n == NET_STREAM_FAILED) {
        fail(s, why);
        return;
    }
    s->shaking = false;
    if (!s->smtp.c.secure) mail_smtp_secured(&s->smtp); /* else from the first byte on: its greeting comes */
}

static void secure(struct session *s) {
    struct node_courier_mails *m = s->of;
    if (!m->trust) m->trust = crypto_tls_trust_new(NULL);
    if (!m->trust) {
        fail(s, "the certificates to trust cannot be read");
        return;
    }
    s->stream = net_dial_secure(m->loop, s->stream, m->trust, net_dial_host(s->dial));
    s->shaking = true;
    shake(s);
}

static void take_event(struct session *s, enum mail_smtp_event e) {
    switch (e) {
    case MAIL_SMTP_MORE: return;
    case MAIL_SMTP_SECURE: secure(s); return;
    case MAIL_SMTP_READY: break;
    case MAIL_SMTP_SENT: s->sent++, end_letter(s, ERR_OK, ""); break;
    case MAIL_SMTP_REFUSED: s->sent++, end_letter(s, ERR_DENIED, s->smtp.why); break;
    case MAIL_SMTP_LATER: s->sent++, end_letter(s, ERR_AGAIN, s->smtp.why); break;
    case MAIL_SMTP_FAILED: fail(s, s->smtp.why); return;
    }
    next_letter(s);
}

static void write_more(struct session *s) {
    str out = buf_str(&s->smtp.out);
    while (s->written < out.n) {
        ssize_t n = net_stream_send(s->stream, out.p + s->written, out.n - s->written);
        if (n == NET_STREAM_WAIT) return;
        if (n == NET_STREAM_FAILED) {
            fail(s, "the relay closed the connection");
            return;
        }
        s->written += (size_t)n;
    }
    if (out.p) explicit_bzero((uint8_t *)(uintptr_t)out.p, out.n); /* there may have been a password in it */
    s->smtp.out.n = s->written = 0;
}

static void on_stream(void *arg) {
    struct session *s = arg;
    uint8_t bytes[RECEIVE_BYTES];
    if (s->over) return;
    if (s->shaking) shake(s);
    for (int turns = 0; turns < 16 && !s->over && !s->shaking; turns++) {
        write_more(s);
        if (s->over) return;
        if (!s->letter && !s->smtp.out.n) { /* goodbye is said */
            leave(s);
            return;
        }
        ssize_t n = net_stream_recv(s->stream, bytes, sizeof bytes);
        if (n == NET_STREAM_WAIT) return;
        if (n <= 0) {
            fail(s, "the relay closed the connection");
            return;
        }
        take_event(s, mail_smtp_feed(&s->smtp, (str){bytes, (size_t)n}));
    }
    if (!s->over && !s->shaking) net_timer_start(s->of->timer, 0, TICK_MS); /* the tick goes on with it */
}

static bool is_local(const struct net_addr *a) { return net_addr_class(a) == NET_ADDR_LOOPBACK; }

/* Rule 3. The operator's own relay is where he says. */
static bool may_reach(void *arg, const struct net_addr *a) {
    const struct session *s = arg;
    struct net_addr literal;
    enum net_addr_class class = net_addr_class(a);
    if (class == NET_ADDR_PUBLIC) return true;
    if (!s->anywhere || !net_addr_unicast(a)) return false;
    return class == NET_ADDR_PRIVATE || class == NET_ADDR_LOOPBACK ||
           (net_addr_parse(s->relay.host, &literal) && class != NET_ADDR_MAPPED);
}

static void on_dialled(void *arg) {
    struct session *s = arg;
    struct net_addr at;
    bool lost, denied;
    s->stream = net_dial_take(s->dial, &at);
    if (!s->stream) {
        enum net_sock_error e = net_dial_error(s->dial, &lost, &denied);
        fail(s, lost     ? "the relay's name was not found"
                : e      ? net_sock_error_text(e)
                : denied ? "the relay is at an address that apps may not reach (auth_private of the node's configuration)"
                         : "the relay has no address");
        return;
    }
    bool first = s->relay.tls == APP_MAIL_TLS_TLS || (s->relay.tls == APP_MAIL_TLS_AUTO && s->relay.port == 465);
    const struct mail_smtp_config config = {.hello = str_sub(s->relay.from, str_find(s->relay.from, '@') + 1, s->relay.from.n),
                                            .user = s->relay.user,
                                            .pass = s->relay.secret,
                                            .secure = first,
                                            .starttls = s->relay.tls == APP_MAIL_TLS_STARTTLS ||
                                                        (s->relay.tls == APP_MAIL_TLS_AUTO && !is_local(&at))};
    mail_smtp_begin(&s->smtp, &config);
    net_stream_listen(s->stream, on_stream, s);
    if (first) secure(s);
    on_stream(s);
}

static void begin(struct node_courier_mails *m, struct line *line) {
    struct session *s = calloc(1, sizeof *s);
    ENSURE(s);
    struct letter *l = pop(m, line);
    *s = (struct session){.next = m->sessions, .of = m, .line = line, .letter = l, .anywhere = l->anywhere, .mem = arena_new(0)};
    s->until_ns = clock_mono_ns() + (uint64_t)l->ms_max * 1'000'000;
    s->relay = l->relay;
    s->relay.host = arena_str(s->mem, l->relay.host), s->relay.user = arena_str(s->mem, l->relay.user);
    s->relay.secret = arena_str(s->mem, l->relay.secret), s->relay.from = arena_str(s->mem, l->relay.from);
    m->sessions = s;
    m->running++, line->sessions++;
    net_timer_start(m->timer, TICK_MS, TICK_MS);
    const struct net_dial_config dial = {.loop = m->loop, .allow = may_reach, .told = on_dialled, .arg = s};
    s->dial = net_dial_new(&dial, s->relay.host, (uint16_t)s->relay.port);
    if (!s->dial) fail(s, "the relay's name is none");
}

/* Each app has its turn: then all others have theirs. */
static void begin_more(struct node_courier_mails *m) {
    while (m->waiting && m->running < ALL) {
        struct line *l = m->lines;
        while (l && (!l->n || l->sessions >= OF_APP)) l = l->next;
        if (!l) return;
        unlink_line(m, l), append(m, l);
        begin(m, l);
    }
}

/* ---- what happens by itself ---- */

static void end_late(struct node_courier_mails *m, uint64_t now) {
    for (struct line *l = m->lines, *next; l; l = next) {
        next = l->next;
        while (l->n && now - l->first->since_ns > l->first->ms_max * 1'000'000ull)
            tell(m, pop(m, l), ERR_BUSY, "other mails of the app's wait for their relay");
        drop_line(m, l);
    }
}

static void on_tick(void *arg) {
    struct node_courier_mails *m = arg;
    uint64_t now = clock_mono_ns();
    for (struct session *s = m->sessions, *next; s; s = next) {
        next = s->next;
        if (!s->over && now >= s->until_ns) fail(s, "the relay took too long");
        else if (!s->over && s->stream) on_stream(s);
        if (s->over) free_session(s);
    }
    end_late(m, now);
    begin_more(m);
    if (!m->running && !m->waiting) net_timer_stop(m->timer);
    else net_timer_start(m->timer, TICK_MS, TICK_MS);
}

/* ---- workers ---- */

/* Its words, from the message or its descriptor. False: they are not there. */
static bool read_words(struct letter *l, const struct node_msg_mail_ask *a, int fd, str *text, str *html) {
    size_t n = (size_t)a->text_bytes + a->html_bytes;
    if (n > WORDS_MAX || (fd < 0 && n != a->words.n)) return false;
    uint8_t *p = arena_alloc(l->mem, n + 1, 1);
    if (fd >= 0 && pread(fd, p, n, 0) != (ssize_t)n) return false;
    if (fd < 0 && n) memcpy(p, a->words.p, n);
    *text = (str){p, a->text_bytes}, *html = (str){p + a->text_bytes, a->html_bytes};
    return true;
}

static struct app_mail relay_of(arena *mem, const struct node_msg_mail_ask *a) {
    return (struct app_mail){.host = arena_str(mem, a->host),
                             .user = arena_str(mem, a->user),
                             .secret = arena_str(mem, a->password),
                             .from = arena_str(mem, a->from),
                             .port = a->port,
                             .tls = a->tls};
}

bool node_courier_mails_take(struct node_courier_mails *m, uint64_t peer, struct node_message *ask) {
    const struct node_msg_mail_ask *a = &ask->mail_ask;
    arena *mem = arena_new(0);
    struct letter *l = arena_make(mem, struct letter);
    str text, html;
    *l = (struct letter){.mem = mem, .peer = peer, .id = a->id, .app = a->app, .ms_max = a->ms_max, .since_ns = clock_mono_ns()};
    if (!read_words(l, a, ask->fds_count ? ask->fds[0] : -1, &text, &html) || a->port > UINT16_MAX) {
        free_letter(l);
        return false;
    }
    l->relay = a->host.n ? relay_of(mem, a) : m->relay;
    l->anywhere = !a->host.n || a->anywhere;
    l->to = arena_str(mem, a->to);
    const struct mail_message message = {.from_name = a->sender,
                                         .from = l->relay.from,
                                         .to = a->to,
                                         .subject = a->subject,
                                         .text = text,
                                         .html = html,
                                         .id = a->mail,
                                         .at_s = (int64_t)a->at_s};
    if (!l->relay.host.n) {
        tell(m, l, ERR_IO, "there is no relay for mails");
        return true;
    }
    if (!mail_message_write(&l->data, &message)) {
        tell(m, l, ERR_DENIED, "an address of it is none");
        return true;
    }
    struct line *line = line_of(m, l->app);
    if (line->n >= LINE_MAX || m->waiting >= LINES_MAX) {
        tell(m, l, ERR_BUSY, "too many mails of the app's wait");
        return true;
    }
    *line->last = l;
    line->last = &l->next;
    line->n++, m->waiting++;
    begin_more(m);
    return true;
}

void node_courier_mails_lose(struct node_courier_mails *m, uint64_t peer) {
    for (struct line *l = m->lines; l; l = l->next)
        for (struct letter **at = &l->first, *one; (one = *at);) {
            if (one->peer != peer) {
                at = &one->next;
                continue;
            }
            *at = one->next;
            if (!*at) l->last = at;
            l->n--, m->waiting--;
            free_letter(one);
        }
}

bool node_courier_mails_busy(const struct node_courier_mails *m) { return m->running || m->waiting; }

struct node_courier_mails *node_courier_mails_new(struct net_loop *loop, const struct node_msg_courier_open *open,
                                                  void (*told)(void *arg, uint64_t peer, const struct node_message *m),
                                                  void *arg) {
    struct node_courier_mails *m = calloc(1, sizeof *m);
    ENSURE(m);
    *m = (struct node_courier_mails){.loop = loop, .told = told, .arg = arg, .mem = arena_new(0)};
    m->last = &m->lines;
    m->timer = net_timer_new(loop, on_tick, m);
    m->relay = (struct app_mail){.host = arena_str(m->mem, open->host),
                                 .user = arena_str(m->mem, open->user),
                                 .secret = arena_str(m->mem, open->password),
                                 .from = arena_str(m->mem, open->from),
                                 .port = open->port,
                                 .tls = open->tls};
    return m;
}
