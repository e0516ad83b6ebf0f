/* mails: see mails.h. */
#include "node/worker/mails.h"
#include "net/loop.h"
#include "node/wire.h"
#include "node/worker/gate.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LOOK_FILES = 16,
    LOOK_SERVERS = 2,
    TICK_MS = 250,
    SECRETS_MS = 100,
    APPS_HASH = 1024,
    AT_A_TIME = 32,
    SLACK_MS = 2000, /* beyond what a relay may take, and as long for its turn */
    INLINE_BYTES = 32768
};

struct node_mail { /* asked of the courier */
    struct node_mail *next, **at;
    struct node_mails *of;
    uint32_t id, nth;
    bool sent;
    uint64_t until_ns;
    struct node_message m;
    arena *mem;
    node_mail_told told;
    void *arg;
};
struct waiting { /* an app */
    struct waiting *next;
    struct node_mails *of;
    uint32_t id;
    uint64_t sum, seen; /* as it was last seen, and the snapshot that had it */
    enum { RESTS, WANTS, SENDS, WAITS } state;
    bool news, server; /* another one was written meanwhile */
    uint64_t due_ns;   /* of WAITS */
};
struct node_mails {
    struct node_mails_config c;
    struct net_loop *loop;
    struct net_watch *watch;
    struct net_timer *timer;
    int fd;
    bool wanted, over, ticks;
    uint32_t last_id, looking[2];
    struct node_mail *first, **last;
    struct waiting *all[APPS_HASH];
    uint64_t snapshots;
};

/* ---- the courier ---- */

static void end(struct node_mail *a) {
    struct node_mails *m = a->of;
    *a->at = a->next;
    if (a->next) a->next->at = a->at;
    else m->last = a->at;
    if (a->m.fds_count) close(a->m.fds[0]);
    arena_free(a->mem);
    free(a);
}

static void tell(struct node_mail *a, err e, str why) {
    node_mail_told told = a->told;
    void *arg = a->arg;
    uint32_t nth = a->nth;
    end(a);
    told(arg, nth, e, why);
}

static void send_waiting(struct node_mails *m) {
    bool full = false, waits = false;
    for (struct node_mail *a = m->first; a && !full; a = a->next) {
        if (a->sent) continue;
        waits = true;
        if (m->fd < 0) break;
        err e = node_wire_send(m->fd, &a->m);
        a->sent = e == ERR_OK;
        full = e == ERR_AGAIN;
        if (e != ERR_OK && !full) break; /* its end is seen soon */
    }
    if (m->watch) net_watch_events(m->watch, NET_READABLE | (full ? NET_WRITABLE : 0));
    if (m->fd >= 0 || !waits || m->wanted) return;
    m->wanted = true;
    m->c.want(m->c.arg);
}

static void close_channel(struct node_mails *m) {
    if (m->fd < 0) return;
    net_watch_free(m->watch);
    close(m->fd);
    m->watch = NULL;
    m->fd = -1;
    for (struct node_mail *a = m->first; a; a = a->next) a->sent = false; /* it is asked again, of the next one */
}

static bool on_told(struct node_mails *m, const struct node_message *said) {
    struct node_mail *a = m->first;
    if (said->type != NODE_MSG_mail_told) return false;
    while (a && (a->id != said->mail_told.id || !a->sent)) a = a->next;
    if (a) tell(a, said->mail_told.err, said->mail_told.text);
    return true;
}

static void on_events(void *arg, unsigned events) {
    struct node_mails *m = arg;
    struct node_message said;
    for (int i = 0; i < AT_A_TIME; i++) {
        enum node_wire_got got = node_wire_receive(m->fd, NODE_ROLE_courier, NODE_ROLE_worker, &said);
        if (got == NODE_WIRE_AGAIN) break;
        bool sense = got == NODE_WIRE_GOT && on_told(m, &said);
        if (got == NODE_WIRE_GOT) node_message_drop(&said);
        if (sense) continue;
        close_channel(m);
        break;
    }
    send_waiting(m);
}

void node_mails_channel(struct node_mails *m, int fd) {
    close_channel(m);
    m->wanted = false;
    m->fd = fd;
    m->watch = net_watch_new(m->loop, fd, NET_READABLE, on_events, m);
    send_waiting(m);
}

static int words_fd(str text, str html) {
    int fd = memfd_create("orlo-mail", MFD_CLOEXEC);
    bool ok = fd >= 0 && pwrite(fd, text.p, text.n, 0) == (ssize_t)text.n &&
              pwrite(fd, html.p, html.n, (off_t)text.n) == (ssize_t)html.n;
    if (ok || fd < 0) return fd;
    close(fd);
    return -1;
}

static void start_ticks(struct node_mails *m) {
    if (m->ticks) return;
    m->ticks = true;
    net_timer_start(m->timer, TICK_MS, TICK_MS);
}

static str words_of(arena *mem, str text, str html) { return arena_fmt(mem, STR_FMT STR_FMT, STR_ARG(text), STR_ARG(html)); }

struct node_mail *node_mail_ask(struct node_mails *m, struct node_app *app, const struct node_mail_what *what, uint32_t nth,
                                node_mail_told told, void *arg) {
    struct node_mail *a = calloc(1, sizeof *a);
    ENSURE(a);
    *a =
        (struct node_mail){.of = m, .at = m->last, .id = ++m->last_id, .nth = nth, .told = told, .arg = arg, .mem = arena_new(0)};
    a->until_ns = clock_mono_ns() + (2 * m->c.ms_max + SLACK_MS) * 1'000'000;
    const struct app_mail *own = &app->record.auth.mail;
    str password = {0};
    if (own->secret.n) (void)node_app_secret(app, own->secret, &password);
    bool fits = what->text.n + what->html.n <= INLINE_BYTES;
    a->m =
        NODE_MESSAGE(mail_ask, .id = a->id, .app = app->record.id, .host = arena_str(a->mem, own->host), .port = own->port,
                     .tls = own->tls, .anywhere = what->anywhere, .user = arena_str(a->mem, own->user),
                     .password = arena_str(a->mem, str_sub(password, 0, 1024)), .ms_max = (uint32_t)m->c.ms_max,
                     .sender = arena_str(a->mem, own->sender.n ? own->sender : app->record.name),
                     .from = arena_str(a->mem, own->from), .to = arena_str(a->mem, str_sub(what->to, 0, 255)),
                     .mail = arena_str(a->mem, str_sub(what->id, 0, 64)), .at_s = (uint64_t)MAX(what->made_s, 0),
                     .subject = arena_str(a->mem, str_sub(what->subject, 0, 1024)), .text_bytes = (uint32_t)what->text.n,
                     .html_bytes = (uint32_t)what->html.n, .words = fits ? words_of(a->mem, what->text, what->html) : (str){0});
    int fd = fits ? -1 : words_fd(what->text, what->html);
    if (fd >= 0) a->m.fds[0] = fd, a->m.fds_count = 1;
    *m->last = a;
    m->last = &a->next;
    start_ticks(m);
    send_waiting(m);
    return a;
}

void node_mail_cancel(struct node_mail *a) { end(a); }

uint32_t node_mails_s_max(const struct node_mails *m) { return (uint32_t)((2 * m->c.ms_max + SLACK_MS + 999) / 1000); }

/* ---- apps ---- */

static struct waiting *find(struct node_mails *m, uint32_t id) {
    struct waiting *w = m->all[id % APPS_HASH];
    while (w && w->id != id) w = w->next;
    return w;
}

static void want(struct waiting *w) {
    if (w->state == SENDS) w->news = true;
    else w->state = WANTS;
    start_ticks(w->of);
    net_timer_start(w->of->timer, 0, TICK_MS);
}

static void on_delivered(void *arg, int64_t again_us) {
    struct waiting *w = arg;
    struct node_mails *m = w->of;
    int64_t now_us = (int64_t)(clock_wall_ns() / 1000);
    m->looking[w->server]--;
    w->state = again_us == INT64_MAX ? RESTS : again_us <= now_us ? WANTS : WAITS;
    if (w->news) w->state = WANTS;
    w->news = false;
    if (w->state == WAITS) w->due_ns = clock_mono_ns() + (uint64_t)MIN(again_us - now_us, 3'600'000'000) * 1000;
    if (w->state != RESTS) start_ticks(m);
    if (w->state == WANTS) net_timer_start(m->timer, 0, TICK_MS);
}

static void begin(struct node_mails *m, struct waiting *w) {
    struct node_app *app = node_apps_live_app(m->c.apps, w->id);
    struct node_part *door = app ? node_app_door(app) : NULL;
    if (!door || !(node_mails_leave(m, app, false) || node_mails_leave(m, app, true))) {
        w->state = RESTS;
        return;
    }
    if (door->state != NODE_PART_READY) { /* its secrets come with it */
        node_apps_want(m->c.apps, door);
        w->state = WAITS;
        w->due_ns = clock_mono_ns() + SECRETS_MS * 1'000'000ull;
        return;
    }
    w->server = app->record.database.engine > APP_DATABASE_SQLITE;
    if (m->looking[w->server] >= (w->server ? LOOK_SERVERS : LOOK_FILES)) return; /* it WANTS yet */
    m->looking[w->server]++;
    w->state = SENDS;
    if (!node_users_deliver(app, on_delivered, w)) on_delivered(w, (int64_t)(clock_wall_ns() / 1000) + 1'000'000);
}

static void end_late(struct node_mails *m, uint64_t now) {
    while (m->first && now >= m->first->until_ns)
        tell(m->first, ERR_BUSY, STR("the courier does not answer")); /* the oldest is the first */
}

static void on_tick(void *arg) {
    struct node_mails *m = arg;
    uint64_t now = clock_mono_ns();
    bool any = m->first;
    for (uint32_t i = 0; i < APPS_HASH; i++)
        for (struct waiting *w = m->all[i]; w; w = w->next) {
            if (w->state == WAITS && now >= w->due_ns) w->state = WANTS;
            if (w->state == WANTS && !m->over) begin(m, w);
            any |= w->state == WAITS || (w->state == WANTS && !m->over);
        }
    end_late(m, now);
    if (any || m->first) return;
    m->ticks = false;
    net_timer_stop(m->timer);
}

bool node_mails_leave(const struct node_mails *m, const struct node_app *app, bool sms) {
    const struct app_auth *a = &app->record.auth;
    if (m->c.catches || !a->on) return false;
    return sms ? a->sms.provider != APP_SMS_NONE : a->mail.host.n || m->c.relay_hour;
}

void node_mails_wait(struct node_mails *m, uint32_t app) {
    if (!m->c.sends) {
        m->c.waits(m->c.arg, app);
        return;
    }
    for (uint32_t i = app ? app % APPS_HASH : 0; i < APPS_HASH; i++) {
        for (struct waiting *w = m->all[i]; w; w = w->next)
            if (!app || w->id == app) want(w);
        if (app) return;
    }
}

/* Who is sent for at the moment is told first: on_delivered knows it. */
static void forget(struct waiting **at) {
    struct waiting *w = *at;
    if (w->state == SENDS) return;
    *at = w->next;
    free(w);
}

void node_mails_live(struct node_mails *m) {
    uint32_t n;
    const struct node_entry *e = node_apps_entries(m->c.apps, &n);
    if (m->over || !m->c.sends) return;
    m->snapshots++;
    for (uint32_t i = 0; i < n; i++) {
        if (!e[i].of[NODE_LIVE].has_users || e[i].cordon != m->c.cordon) continue;
        struct waiting *w = find(m, e[i].id);
        uint64_t sum = str_hash(e[i].of[NODE_LIVE].record);
        if (!w) {
            w = calloc(1, sizeof *w);
            ENSURE(w);
            *w = (struct waiting){.next = m->all[e[i].id % APPS_HASH], .of = m, .id = e[i].id, .sum = ~sum};
            m->all[e[i].id % APPS_HASH] = w;
        }
        w->seen = m->snapshots;
        if (w->sum != sum) want(w);
        w->sum = sum;
    }
    for (uint32_t i = 0; i < APPS_HASH; i++)
        for (struct waiting **at = &m->all[i]; *at;) {
            struct waiting *w = *at;
            if (w->seen != m->snapshots) forget(at);
            if (*at == w) at = &w->next;
        }
}

void node_mails_rest(struct node_mails *m) { m->over = true; }

struct node_mails *node_mails_new(const struct node_mails_config *config) {
    struct node_mails *m = calloc(1, sizeof *m);
    ENSURE(m);
    *m = (struct node_mails){.c = *config, .loop = config->guest->loop, .fd = -1};
    m->last = &m->first;
    m->timer = net_timer_new(m->loop, on_tick, m);
    return m;
}

void node_mails_free(struct node_mails *m) {
    if (!m) return;
    while (m->first) end(m->first);
    close_channel(m);
    for (uint32_t i = 0; i < APPS_HASH; i++)
        for (struct waiting *w; (w = m->all[i]);) {
            m->all[i] = w->next;
            free(w);
        }
    net_timer_free(m->timer);
    free(m);
}
