/* data: what the store is told, and says; and what the role `postgres` is asked in its place. That they are there is the affair of roles.c.
 *
 *   control ── data_want ──> waits ──the store is there──> sent ──store_did──> data_done ──> control
 *                                                            └──the store is gone: data_done, ERR_CLOSED
 *
 * 1. Whatever control asks is answered once, as long as it is there itself; nothing is sent twice. */
#include "node/supervisor/supervisor_int.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct forgotten { /* an app that is no more */
    struct forgotten *next;
    uint32_t app;
    char name[64];
};

static void tell_forgotten(struct supervisor *s) {
    for (struct forgotten *f; (f = s->forgotten);) {
        node_roles_tell(s, NODE_ROLE_store, &NODE_MESSAGE(store_forget, .app = f->app, .name = str_c(f->name)));
        s->forgotten = f->next;
        free(f);
    }
}

/* ---- what control asks ---- */

enum { DATA_ASKS_MAX = 256 };
struct data_ask {
    struct data_ask *next;
    struct node_msg_data_want want; /* its name is in own */
    char own[64], secret[129];
    int fds[2]; /* until it is sent */
    bool sent;
};

static void drop_ask(struct data_ask **at) {
    struct data_ask *ask = *at;
    *at = ask->next;
    for (int i = 0; i < 2; i++)
        if (ask->fds[i] >= 0) close(ask->fds[i]);
    free(ask);
}

static enum node_role role_of(const struct data_ask *ask) { return ask->want.postgres ? NODE_ROLE_postgres : NODE_ROLE_store; }

static void send_ask(struct supervisor *s, struct data_ask *ask) {
    const struct node_msg_data_want *w = &ask->want;
    struct node_message m = NODE_MESSAGE(store_do, .id = w->id, .does = w->does, .app = w->app, .name = str_c(ask->own),
                                         .bytes = w->bytes, .bytes_max = w->bytes_max, .ms_max = w->ms_max);
    if (w->postgres)
        m = NODE_MESSAGE(postgres_do, .id = w->id, .does = w->does, .app = w->app, .name = str_c(ask->own),
                         .secret = str_c(ask->secret), .bytes = w->bytes, .bytes_max = w->bytes_max, .ms_max = w->ms_max);
    m.fds[0] = ask->fds[0], m.fds[1] = ask->fds[1], m.fds_count = 2;
    node_roles_tell(s, role_of(ask), &m);
    close(ask->fds[0]), close(ask->fds[1]);
    ask->fds[0] = ask->fds[1] = -1;
    ask->sent = true;
}

void node_data_tell(struct supervisor *s, enum node_role role) {
    for (struct data_ask *ask = s->data_asks; ask; ask = ask->next)
        if (!ask->sent && role_of(ask) == role) send_ask(s, ask);
}

static void refuse_ask(struct supervisor *s, uint32_t id, err e, const char *why) {
    node_singles_tell(s, &NODE_MESSAGE(data_done, .id = id, .err = e, .offset = DIAG_NOWHERE, .text = str_c(why)));
}

bool node_data_want(struct supervisor *s, struct node_message *m) {
    struct data_ask **at = &s->data_asks;
    uint32_t n = 0;
    for (; *at; at = &(*at)->next, n++)
        if ((*at)->want.id == m->data_want.id) return false;
    bool lets_go =
        m->data_want.does == NODE_DATA_RELEASE || m->data_want.does == NODE_DATA_THAW; /* what is held for it waits for that */
    if (n >= DATA_ASKS_MAX && !lets_go) {
        refuse_ask(s, m->data_want.id, ERR_BUSY, "the store has enough to do: try again later");
        return true;
    }
    struct data_ask *ask = calloc(1, sizeof *ask);
    ENSURE(ask && m->data_want.name.n < sizeof ask->own && m->data_want.secret.n < sizeof ask->secret);
    ask->want = m->data_want;
    memcpy(ask->own, m->data_want.name.p, m->data_want.name.n);
    memcpy(ask->secret, m->data_want.secret.p, m->data_want.secret.n);
    s->servers |= m->data_want.secret.n > 0;
    ask->fds[0] = node_message_take(m, 0), ask->fds[1] = node_message_take(m, 1);
    *at = ask;
    const struct single *one = &s->singles[role_of(ask)];
    if (one->process.wire >= 0 && !one->rests) node_data_tell(s, role_of(ask));
    else node_roles_want(s, role_of(ask));
    return true;
}

/* What control had it hold still for, nobody waits for any more. Nothing is answered: the number is none of control's. */
void node_data_let_go(struct supervisor *s) {
    struct node_message m =
        NODE_MESSAGE(store_do, .id = UINT32_MAX, .does = NODE_DATA_RELEASE, .name = STR("backup"), .ms_max = 1);
    for (; m.fds_count < 2; m.fds_count++) m.fds[m.fds_count] = memfd_create("orlo-nothing", MFD_CLOEXEC);
    if (m.fds[0] >= 0 && m.fds[1] >= 0) node_roles_tell(s, NODE_ROLE_store, &m);
    node_message_drop(&m);
}

void node_data_forget_asks(struct supervisor *s) {
    while (s->data_asks) drop_ask(&s->data_asks);
}

/* Of one that control did not wait for, nothing is said: it was started anew. */
void node_data_did(struct supervisor *s, enum node_role role, uint32_t id, err e, uint64_t offset, str text) {
    struct data_ask **at = &s->data_asks;
    while (*at && ((*at)->want.id != id || !(*at)->sent || role_of(*at) != role)) at = &(*at)->next;
    if (!*at) return;
    node_singles_tell(s, &NODE_MESSAGE(data_done, .id = id, .err = e, .offset = offset, .text = text));
    drop_ask(at);
}

/* ---- its life ---- */

bool node_data_begin(struct supervisor *s) {
    struct log_style log = log_style();
    struct buf settings = {0};
    node_settings_write(&settings, &s->setup->limits);
    struct node_message m =
        NODE_MESSAGE(store_open, .log_json = log.json, .log_min = (uint8_t)log.min, .settings = buf_str(&settings));
    if (s->state.data >= 0) m.fds[m.fds_count++] = s->state.data;
    err e = node_wire_send(s->singles[NODE_ROLE_store].process.wire, &m);
    buf_free(&settings);
    if (e == ERR_OK) tell_forgotten(s), node_data_tell(s, NODE_ROLE_store);
    return e == ERR_OK;
}

static void give_translator(struct supervisor *s, uint32_t app) {
    struct node_message m = NODE_MESSAGE(store_translator, .app = app);
    int fd = node_translators_channel(s, app);
    if (fd >= 0) m.fds[m.fds_count++] = fd;
    node_roles_tell(s, NODE_ROLE_store, &m);
    if (fd >= 0) close(fd);
}

bool node_data_hear(struct supervisor *s, struct node_message *m) {
    if (m->type == NODE_MSG_store_did)
        node_data_did(s, NODE_ROLE_store, m->store_did.id, m->store_did.err, m->store_did.offset, m->store_did.text);
    else if (m->type == NODE_MSG_store_translator_want) give_translator(s, m->store_translator_want.app);
    else if (m->type == NODE_MSG_store_rests) node_roles_rest(s, NODE_ROLE_store);
    else if (m->type == NODE_MSG_store_news) node_workers_news(s, m->store_news.app);
    else return false;
    return true;
}

/* Workers see it by their channels. What was sent is answered; what was not waits for the next one. */
void node_data_lost(struct supervisor *s, enum node_role role) {
    node_workers_news(s, 0); /* what it had to say of them, perhaps */
    for (struct data_ask **at = &s->data_asks; *at;) {
        if (role_of(*at) != role || !(*at)->sent) {
            if (role_of(*at) == role) node_roles_want(s, role);
            at = &(*at)->next;
            continue;
        }
        refuse_ask(s, (*at)->want.id, ERR_CLOSED, "the store ended meanwhile: it may be done, or not");
        drop_ask(at);
    }
}

void node_data_lose(struct supervisor *s, int status) { node_data_lost(s, NODE_ROLE_store); }

void node_data_forget(struct supervisor *s, const struct node_msg_data_forget *m) {
    if (m->cluster) {
        node_clusters_forget(s, m->app, m->name, true);
        return;
    }
    struct forgotten *f = calloc(1, sizeof *f);
    ENSURE(f && m->name.n < sizeof f->name);
    f->next = s->forgotten;
    f->app = m->app;
    memcpy(f->name, m->name.p, m->name.n);
    s->forgotten = f;
    const struct single *store = &s->singles[NODE_ROLE_store];
    if (store->process.wire >= 0 && !store->rests) tell_forgotten(s);
    else if (s->state.data >= 0) node_roles_want(s, NODE_ROLE_store);
    node_clusters_forget(s, m->app, m->name, false);
}
