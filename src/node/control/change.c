/* change: what all workers are to serve from now on. One change after the other: its app takes the place of the one that is there, in a
 * snapshot of all apps that goes to the supervisor, and once all workers serve it, it is kept, and whoever wanted it is told.
 *
 * 1. What is served and could not be kept ends this control: the next one serves what is kept.
 * 2. No host is two apps', whether live or a canary's.
 */
#include "node/control/places.h"
#include <stdlib.h>
#include <unistd.h>

/* ---- a snapshot ---- */

struct publication {
    struct control *c;
    const struct control_change *ch;
    arena *scratch;
    struct buf b;
    struct node_rights rights;
    bool servers;
};

/* free: of an app that is another from now on, and in no quarantine for what it did before. */
static void add_app(struct publication *p, uint32_t id, str name, const struct control_state *s, bool eager, bool free) {
    struct app_record live, canary;
    struct node_live app = {.record = &live, .canary_permille = s->permille, .cordon = node_places_of(p->c, id, name, free)};
    node_rights_join(p->scratch, &p->rights, &s->live->rights);
    p->servers |= s->live->server || (s->canary && s->canary->server);
    if (s->canary) node_rights_join(p->scratch, &p->rights, &s->canary->rights);
    if (!eager) {
        node_snapshot_add_bytes(&p->b, s->live->bytes, s->canary ? s->canary->bytes : (str){0}, s->permille, app.cordon);
        return;
    }
    node_served_record(p->scratch, s->live, &live);
    live.eager = true;
    if (s->canary) {
        node_served_record(p->scratch, s->canary, &canary);
        canary.eager = true;
        app.canary = &canary;
    }
    node_snapshot_add(&p->b, &app);
}

/* All apps in order, with one in another's place. */
static void write_snapshot(struct publication *p) {
    const struct control_change *ch = p->ch;
    node_snapshot_begin(&p->b, ch->generation, str_c(p->c->domain));
    bool put = !ch->to.live;
    for (const struct control_app *app = p->c->apps; app; app = app->next) {
        bool replaced = app->id == ch->id && (ch->drops || ch->to.live);
        if (!put && app->id >= ch->id) add_app(p, ch->id, ch->app, &ch->to, ch->eager, true), put = true;
        if (!replaced) add_app(p, app->id, app->name, &app->state, !p->c->db, false);
    }
    if (!put) add_app(p, ch->id, ch->app, &ch->to, ch->eager, true);
}

static err send_publication(struct publication *p, struct diag *d) {
    struct control *c = p->c;
    struct node_snapshot *check;
    const struct node_rights *rights = &p->rights;
    if (p->ch->app.n) { /* after a start it is as it was before */
        TRY(node_snapshot_read(buf_str(&p->b), &check, d));
        node_snapshot_free(check);
    }
    if (rights->dirs.n > NODE_RIGHTS_DIRS_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "with it the apps of this node would have %u folders, %d at most are granted",
                        rights->dirs.n, NODE_RIGHTS_DIRS_MAX);
    int fd = node_snapshot_seal(buf_str(&p->b));
    if (fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file for the snapshot");
    for (uint32_t i = 0; i < rights->dirs.n; i++)
        node_control_tell(c, &NODE_MESSAGE(right, .path = rights->dirs.p[i].path, .write = rights->dirs.p[i].write));
    struct node_message m = NODE_MESSAGE(
        publish, .generation = p->ch->generation, .network = (uint8_t)rights->network, .any_port_out = rights->any_port_out,
        .ports = node_rights_ports(rights), .revision = node_places_revision(c),
        .quarantines = node_places_quarantines(c, p->ch->app.n ? p->ch->id : 0), .servers = p->servers);
    m.fds[m.fds_count++] = fd;
    node_control_tell(c, &m);
    close(fd);
    return ERR_OK;
}

static err publish(struct control *c, struct control_change *ch, struct diag *d) {
    struct publication p = {.c = c, .ch = ch, .scratch = arena_new(0)};
    ch->generation = ++c->generation;
    write_snapshot(&p);
    err e = send_publication(&p, d);
    buf_free(&p.b);
    arena_free(p.scratch);
    return e;
}

/* ---- one after the other ---- */

static void end(struct control *c, struct control_change *ch, err e, const struct diag *d) {
    node_served_free(ch->to.live);
    node_served_free(ch->to.canary);
    ch->to = (struct control_state){0};
    if (ch->over) ch->over(c, ch, e, d);
}

static void put_in_place(struct control *c, struct control_change *ch) {
    struct control_app *app = node_control_app_numbered(c, ch->id);
    if (ch->drops && app) node_control_app_remove(c, app);
    if (!ch->to.live) return;
    node_control_app_put(c, ch->id, ch->app, &ch->to);
    ch->to = (struct control_state){0};
}

static err keep(struct control *c, struct control_change *ch, struct diag *d) {
    if (ch->app.n) node_images_sweep(c);
    err e = ch->keep ? ch->keep(c, ch, d) : ERR_OK;
    if (e == ERR_OK) put_in_place(c, ch);
    if (e == ERR_OK && ch->app.n && !ch->quiet) node_places_lift(c, ch->id);
    return e;
}

/* It is live, or is not to be, and nothing of it is under way any more. */
static void conclude(struct control *c, struct control_change *ch) {
    struct diag d = ch->said_d;
    err e = ch->said;
    if (e == ERR_OK) {
        e = keep(c, ch, &d);
        if (e != ERR_OK && ch->quiet && ch->undo) ch->undo(c, ch);
        if (e != ERR_OK && !ch->quiet) {
            log_event(LOG_ERROR, "app-not-kept", LF_STR("app", ch->app), LF_CSTR("reason", d.text));
            node_control_end(c);
        }
    } else if (ch->undo) {
        ch->undo(c, ch);
    }
    c->publishing = NULL;
    end(c, ch, e, &d);
}

/* Staged, and published unless workers have nothing to do with it. */
static void start(struct control *c, struct control_change *ch) {
    struct diag d = DIAG_INIT;
    err e = ch->stage ? ch->stage(c, ch, &d) : ERR_OK;
    bool staged = e == ERR_OK;
    if (e == ERR_OK) e = node_hosts_check(c, ch->to.live, ch->id, &d);
    if (e == ERR_OK) e = node_hosts_check(c, ch->to.canary, ch->id, &d);
    if (e == ERR_OK && !ch->quiet) e = publish(c, ch, &d);
    if (e != ERR_OK) {
        if (staged && ch->undo) ch->undo(c, ch);
        end(c, ch, e, &d);
        return;
    }
    c->publishing = ch;
    ch->said_d = (struct diag)DIAG_INIT;
    ch->told = ch->quiet;
    if (ch->begun) ch->begun(c, ch);
    if (ch->told && !ch->waits) conclude(c, ch);
}

static void start_next(struct control *c) {
    while (!c->publishing && c->changes && !node_backup_waits(c)) {
        struct control_change *ch = c->changes;
        c->changes = ch->next;
        ch->next = NULL;
        start(c, ch);
    }
}

static void on_due(void *arg) {
    struct control *c = arg;
    c->changes_due = false;
    start_next(c);
}

static void start_soon(struct control *c) {
    if (c->changes_due || c->publishing || !c->changes) return;
    c->changes_due = true;
    net_loop_post(c->loop, on_due, c);
}

void node_change_begin(struct control *c, struct control_change *ch) {
    struct control_change **at = &c->changes;
    while (*at) at = &(*at)->next;
    *at = ch;
    start_soon(c);
}

void node_change_go_on(struct control *c) { start_soon(c); }

static void go_on(struct control *c, struct control_change *ch) {
    if (!ch->told || ch->waits) return;
    conclude(c, ch);
    start_next(c);
}

void node_change_ready(struct control *c, struct control_change *ch) {
    ch->waits = false;
    go_on(c, ch);
}

bool node_change_published(struct control *c, const struct node_msg_published *m) {
    struct control_change *ch = c->publishing;
    if (!ch || ch->generation != m->generation || ch->told) return false;
    ch->said = node_diag_of(&ch->said_d, m->err, m->offset, m->text);
    ch->told = true;
    go_on(c, ch);
    return true;
}

/* ---- all as they are ---- */

static void over_again(struct control *c, struct control_change *ch, err e, const struct diag *d) {
    if (e != ERR_OK) log_event(LOG_ERROR, "apps-not-served", LF_CSTR("reason", d->text));
    free(ch);
}

static struct control_change *again(void) {
    struct control_change *ch = calloc(1, sizeof *ch);
    ENSURE(ch);
    ch->over = over_again;
    return ch;
}

err node_control_publish_all(struct control *c, struct diag *d) {
    struct control_change *ch = again();
    err e = publish(c, ch, d);
    ch->said_d = (struct diag)DIAG_INIT;
    if (e == ERR_OK) c->publishing = ch;
    else free(ch);
    return e;
}

void node_control_publish_again(struct control *c) { node_change_begin(c, again()); }
