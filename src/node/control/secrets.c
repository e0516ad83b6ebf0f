/* secrets: an app's, sealed by keys, in the database.
 *
 *   set ──value──> keys ──sealed──> a change: kept, then all workers get the app anew with it ──> answered      (or: as it was)
 *
 * 1. Whoever loads an app after a secret was kept gets it; who has loaded it before has the app anew once that is live. So it is kept first,
 *    and taken back if the app cannot be served with it.
 * 2. A value is gone from here once keys has it. Values that came sealed are opened by keys alone, into a file that is not read here.
 * 3. What an app's callers are known by is in keys.c.
 */
#include "node/control/control_int.h"
#include "node/secrets.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OPS_MAX = 64, KEY_MAX = 128, ALL_BYTES_MAX = 1024 * 1024 };

struct secret_op {
    struct control_change change;
    struct secret_op *next;
    arena *mem;
    uint32_t id, app;
    str key;
    bool removes;
    str sealed, before; /* before: what it was; empty: it was not */
    uint64_t before_s, revision_before;
    control_done_fn done;
    void *arg;
    /* of what is no change: */
    void (*said)(struct control *c, struct secret_op *op, err e, str value, const struct diag *d);
    struct control_key_ask ask; /* of node_secrets_ask */
};

/* ---- asking keys ---- */

static struct secret_op *new_op(struct control *c, str app, str key, control_done_fn done, void *arg) {
    arena *mem = arena_new(0);
    struct secret_op *op = arena_make(mem, struct secret_op);
    *op = (struct secret_op){.mem = mem, .key = arena_str(mem, key), .done = done, .arg = arg};
    op->change.app = arena_str(mem, app);
    op->change.arg = op;
    op->id = c->last_secret = c->last_secret % (UINT32_MAX - 1) + 1;
    op->next = c->secret_ops;
    c->secret_ops = op;
    return op;
}

static void forget_op(struct control *c, struct secret_op *op) {
    struct secret_op **at = &c->secret_ops;
    while (*at != op) at = &(*at)->next;
    *at = op->next;
    arena_free(op->mem);
}

static void end_op(struct control *c, struct secret_op *op, err e, const struct diag *d, str text) {
    if (op->done) op->done(op->arg, &(struct control_result){.err = e, .d = d, .app = op->change.app, .text = text});
    forget_op(c, op);
}

static void ask_keys(struct control *c, const struct secret_op *op, uint8_t does, str value, str message) {
    node_control_tell(c, &NODE_MESSAGE(secret_want, .id = op->id, .does = does, .app = op->app, .key = op->key, .value = value,
                                       .message = message));
}

static err busy(const struct control *c, struct diag *d) {
    uint32_t n = 0;
    for (const struct secret_op *op = c->secret_ops; op; op = op->next) n++;
    if (n < OPS_MAX) return ERR_OK;
    return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "too many secrets are being set at once; try again");
}

static void asked(struct control *c, struct secret_op *op, err e, str value, const struct diag *d) {
    struct control_key_ask ask = op->ask;
    ask.said(c, ask.arg, e, value, d);
    forget_op(c, op);
}

err node_secrets_ask(struct control *c, const struct control_key_ask *ask, struct diag *d) {
    TRY(busy(c, d));
    struct secret_op *op = new_op(c, (str){0}, ask->key, NULL, NULL);
    op->app = ask->app;
    op->said = asked;
    op->ask = *ask;
    ask_keys(c, op, ask->does, ask->value, ask->message);
    return ERR_OK;
}

bool node_secrets_said(struct control *c, const struct node_msg_secret_done *m) {
    struct secret_op *op = c->secret_ops;
    struct diag d = DIAG_INIT;
    while (op && op->id != m->id) op = op->next;
    if (!op || !op->said) return m->id <= c->last_secret;
    void (*said)(struct control *, struct secret_op *, err, str, const struct diag *) = op->said;
    op->said = NULL;
    err e = node_diag_of(&d, m->err, DIAG_NOWHERE, m->text);
    said(c, op, e, m->value, &d);
    return true;
}

/* ---- a secret changes ---- */

static err check_key(str key, struct diag *d) {
    bool ok = key.n && key.n <= KEY_MAX && !(key.p[0] >= '0' && key.p[0] <= '9') && key.p[0] != '_';
    for (size_t i = 0; ok && i < key.n; i++) {
        uint8_t c = key.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (ok) return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                    "a secret's key has up to %d letters, digits and underscores, and begins with a letter: not '" STR_FMT "'",
                    KEY_MAX, STR_ARG(str_sub(key, 0, 100)));
}

static err check_value(str value, struct diag *d) {
    if (value.n > NODE_SECRET_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a secret has at most %d KiB", NODE_SECRET_BYTES_MAX / 1024);
    if (!value.n || !memchr(value.p, 0, value.n)) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a secret is to be in an environment, and so has no NUL byte");
}

static err read_before(struct control *c, struct secret_op *op, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(c->db, &rows, d, "select sealed, changed from secrets where app = ? and key = ?", DB_I64(op->app),
                 DB_TEXT(op->key)));
    if (db_next(rows)) op->before = arena_str(op->mem, db_str(rows, 0)), op->before_s = (uint64_t)db_i64(rows, 1);
    return db_end(rows, d);
}

static err put_value(struct control *c, const struct secret_op *op, str sealed, uint64_t changed_s, struct diag *d) {
    if (!sealed.n) return db_run(c->db, d, "delete from secrets where app = ? and key = ?", DB_I64(op->app), DB_TEXT(op->key));
    return db_run(c->db, d, "insert or replace into secrets (app, key, sealed, changed) values (?, ?, ?, ?)", DB_I64(op->app),
                  DB_TEXT(op->key), DB_BLOB(sealed), DB_I64(changed_s));
}

static err put(struct control *c, const struct secret_op *op, str sealed, uint64_t changed_s, uint64_t revision, struct diag *d) {
    TRY(db_begin(c->db, d));
    err e = put_value(c, op, sealed, changed_s, d);
    if (e == ERR_OK) e = db_run(c->db, d, "update apps set secrets_revision = ? where id = ?", DB_I64(revision), DB_I64(op->app));
    if (e == ERR_OK) return db_commit(c->db, d);
    db_rollback(c->db);
    return e;
}

static err check_room(struct control *c, const struct secret_op *op, struct diag *d) {
    struct db_rows *rows;
    int64_t count = 0, bytes = 0;
    TRY(db_query(c->db, &rows, d, "select count(*), coalesce(sum(length(sealed) + length(key)), 0) from secrets where app = ?",
                 DB_I64(op->app)));
    if (db_next(rows)) count = db_i64(rows, 0), bytes = db_i64(rows, 1);
    TRY(db_end(rows, d));
    if (op->before.n || op->removes) return ERR_OK;
    if (count < NODE_SECRETS_MAX && bytes + (int64_t)op->sealed.n <= ALL_BYTES_MAX) return ERR_OK;
    return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "an app has at most %d secrets, of %d KiB together", NODE_SECRETS_MAX,
                    ALL_BYTES_MAX / 1024);
}

static struct control_served *served_anew(const struct control_served *old, uint64_t revision) {
    if (!old) return NULL;
    struct app_record r;
    arena *scratch = arena_new(0);
    node_served_record(scratch, old, &r);
    r.secrets_revision = revision;
    struct control_served *s = node_served_new(&r);
    arena_free(scratch);
    return s;
}

void node_secrets_to(struct control *c, struct control_change *ch, uint32_t id, uint64_t revision) {
    const struct control_app *app = node_control_app_numbered(c, id);
    ch->id = id;
    ch->quiet = !app;
    if (app)
        ch->to = (struct control_state){.live = served_anew(app->state.live, revision),
                                        .canary = served_anew(app->state.canary, revision),
                                        .permille = app->state.permille,
                                        .secrets_revision = revision};
}

static err stage(struct control *c, struct control_change *ch, struct diag *d) {
    struct secret_op *op = ch->arg;
    struct control_now now;
    uint64_t revision;
    TRY(node_store_now(c, ch->app, &now, &revision, d));
    if (now.app != op->app) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the app was deleted meanwhile");
    TRY(read_before(c, op, d));
    if (op->removes && !op->before.n)
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the app has no secret " STR_FMT, STR_ARG(str_sub(op->key, 0, KEY_MAX)));
    TRY(check_room(c, op, d));
    op->revision_before = revision;
    TRY(put(c, op, op->sealed, clock_wall_ns() / 1'000'000'000u, revision + 1, d));
    ch->eager = true;
    node_secrets_to(c, ch, op->app, revision + 1);
    return ERR_OK;
}

static void undo(struct control *c, struct control_change *ch) {
    const struct secret_op *op = ch->arg;
    struct diag d = DIAG_INIT;
    if (put(c, op, op->before, op->before_s, op->revision_before, &d) == ERR_OK) return;
    log_event(LOG_ERROR, "app-not-kept", LF_STR("app", ch->app), LF_CSTR("reason", d.text));
    node_control_end(c); /* what is kept is not what is served: the next control serves that */
}

static void over(struct control *c, struct control_change *ch, err e, const struct diag *d) {
    struct secret_op *op = ch->arg;
    if (e == ERR_OK)
        log_event(LOG_INFO, "secret-changed", LF_STR("app", ch->app), LF_STR("key", op->key), LF_BOOL("removed", op->removes));
    if (e == ERR_OK) node_control_tell(c, &NODE_MESSAGE(server_changed, .app = op->app, .secret = op->key));
    end_op(c, op, e, d, (str){0});
}

static void begin_change(struct control *c, struct secret_op *op) {
    op->change.stage = stage;
    op->change.undo = undo;
    op->change.over = over;
    node_change_begin(c, &op->change);
}

static void sealed(struct control *c, struct secret_op *op, err e, str value, const struct diag *d) {
    if (e != ERR_OK) {
        end_op(c, op, e, d, (str){0});
        return;
    }
    op->sealed = arena_str(op->mem, value);
    begin_change(c, op);
}

/* What was wrong at once is said later. */
struct refusal {
    control_done_fn done;
    void *arg;
    err e;
    struct diag d;
};

static void say_refusal(void *arg) {
    struct refusal *r = arg;
    r->done(r->arg, &(struct control_result){.err = r->e, .d = &r->d});
    free(r);
}

void node_secrets_refuse(struct control *c, control_done_fn done, void *arg, err e, const struct diag *d) {
    struct refusal *r = malloc(sizeof *r);
    ENSURE(r);
    *r = (struct refusal){done, arg, e, *d};
    net_loop_post(c->loop, say_refusal, r);
}

static err keeps(const struct control *c, struct diag *d) {
    return c->db ? ERR_OK : diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "nothing is kept here, and so no secrets");
}

void node_control_secret_set(struct control *c, str app, str key, str value, control_done_fn done, void *arg) {
    struct diag d = DIAG_INIT;
    uint32_t id = 0;
    err e = keeps(c, &d);
    if (e == ERR_OK) e = app_name_check(app, &d);
    if (e == ERR_OK) e = check_key(key, &d);
    if (e == ERR_OK) e = check_value(value, &d);
    if (e == ERR_OK) e = busy(c, &d);
    if (e == ERR_OK) e = node_store_app(c, app, &id, &d);
    if (e != ERR_OK) {
        node_secrets_refuse(c, done, arg, e, &d);
        return;
    }
    struct secret_op *op = new_op(c, app, key, done, arg);
    op->app = id;
    op->said = sealed;
    ask_keys(c, op, NODE_SECRET_SEALS, value, (str){0});
}

void node_control_secret_remove(struct control *c, str app, str key, control_done_fn done, void *arg) {
    struct diag d = DIAG_INIT;
    struct control_now now = {0};
    err e = keeps(c, &d);
    if (e == ERR_OK) e = check_key(key, &d);
    if (e == ERR_OK) e = busy(c, &d);
    if (e == ERR_OK) e = node_store_now(c, app, &now, NULL, &d);
    if (e != ERR_OK) {
        node_secrets_refuse(c, done, arg, e, &d);
        return;
    }
    struct secret_op *op = new_op(c, app, key, done, arg);
    op->app = now.app;
    op->removes = true;
    begin_change(c, op);
}

err node_control_secrets(struct control *c, arena *out, str app, struct control_secret **secrets, uint32_t *count,
                         struct diag *d) {
    struct control_now now;
    struct db_rows *rows;
    VEC(struct control_secret) all = {0};
    TRY(keeps(c, d));
    TRY(node_store_now(c, app, &now, NULL, d));
    TRY(db_query(c->db, &rows, d, "select key, changed from secrets where app = ? order by key", DB_I64(now.app)));
    while (db_next(rows))
        *vec_add(out, &all) =
            (struct control_secret){.key = arena_str(out, db_str(rows, 0)), .changed_s = (uint64_t)db_i64(rows, 1)};
    *secrets = all.p;
    *count = all.n;
    return db_end(rows, d);
}

/* ---- what a worker gets ---- */

static const struct control_served *served_in(const struct control_state *s, uint32_t version) {
    if (s->live && s->live->version == version) return s->live;
    return s->canary && s->canary->version == version ? s->canary : NULL;
}

/* Of a version that is served, or is about to be. */
static bool find_record(struct control *c, arena *scratch, uint32_t id, uint32_t version, struct app_record *r) {
    const struct control_app *app = node_control_app_numbered(c, id);
    const struct control_served *s = c->publishing && c->publishing->id == id ? served_in(&c->publishing->to, version) : NULL;
    if (!s && app) s = served_in(&app->state, version);
    if (s) node_served_record(scratch, s, r);
    return s;
}

static bool asks_for(const struct app_record *r, str key) {
    for (uint32_t i = 0; i < r->secrets.n; i++)
        if (str_eq(r->secrets.p[i].key, key)) return true;
    return false;
}

static err put_all(struct control *c, arena *scratch, const struct app_record *r, struct buf *to, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(c->db, &rows, d, "select key, sealed from secrets where app = ?", DB_I64(r->id)));
    while (db_next(rows))
        if (asks_for(r, db_str(rows, 0)) && !str_eq(db_str(rows, 0), r->database.secret)) /* whose URL is no guest's */
            node_secret_put(to, NODE_SECRET_SEALED, db_str(rows, 0), db_str(rows, 1));
    TRY(db_end(rows, d));
    return app_record_for_supabase(r) ? node_keys_put(c, scratch, r, to, d) : ERR_OK;
}

err node_secrets_file(struct control *c, uint32_t app, uint32_t version, int *fd, struct diag *d) {
    arena *scratch = arena_new(0);
    struct buf b = {0};
    struct app_record r;
    *fd = -1;
    err e = c->db && find_record(c, scratch, app, version, &r) ? put_all(c, scratch, &r, &b, d) : ERR_OK;
    if (e == ERR_OK && b.n) {
        *fd = memfd_create("orlo-sealed", MFD_CLOEXEC);
        if (*fd < 0 || write(*fd, b.p, b.n) != (ssize_t)b.n) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file for secrets");
    }
    if (e != ERR_OK && *fd >= 0) close(*fd), *fd = -1;
    buf_free(&b);
    arena_free(scratch);
    return e;
}

/* ---- what the role `postgres` gets ---- */

static err put_server(struct control *c, const struct node_msg_server_ask *m, struct buf *to, struct diag *d) {
    struct db_rows *rows;
    TRY(keeps(c, d));
    TRY(db_query(c->db, &rows, d, "select sealed from secrets where app = ? and key = ?", DB_I64(m->app), DB_TEXT(m->secret)));
    if (m->secret.n && m->secret.p[0] != '_' && db_next(rows))
        node_secret_put(to, NODE_SECRET_SEALED, m->secret, db_str(rows, 0));
    TRY(db_end(rows, d));
    if (to->n) return ERR_OK;
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE,
                    "the secret " STR_FMT
                    ", its database's URL (postgres://USER:PASSWORD@HOST/DATABASE), is not set: orlo secrets set APP " STR_FMT,
                    STR_ARG(m->secret), STR_ARG(m->secret));
}

void node_secrets_server(struct control *c, const struct node_msg_server_ask *m) {
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    err e = put_server(c, m, &b, &d);
    int fd = e == ERR_OK ? node_bytes_fd("orlo-sealed", buf_str(&b)) : -1;
    if (e == ERR_OK && fd < 0) e = diag_set(&d, ERR_IO, DIAG_NOWHERE, "no memory file for secrets");
    struct node_message give = NODE_MESSAGE(server_give, .id = m->id, .err = e, .text = str_c(d.text));
    if (fd >= 0) give.fds[give.fds_count++] = fd;
    node_control_tell(c, &give);
    if (fd >= 0) close(fd);
    buf_free(&b);
}

err node_secrets_missing(struct control *c, const struct app_record *r, arena *out, struct control_keys *missing,
                         struct diag *d) {
    int64_t one;
    for (uint32_t i = 0; i < r->secrets.n; i++) {
        err e = db_one_i64(c->db, &one, d, "select 1 from secrets s join apps a on a.id = s.app where a.name = ? and s.key = ?",
                           DB_TEXT(r->name), DB_TEXT(r->secrets.p[i].key));
        if (e == ERR_NOT_FOUND && r->secrets.p[i].required) vec_push(out, missing, r->secrets.p[i].key);
        else if (e != ERR_OK && e != ERR_NOT_FOUND) return e;
    }
    return ERR_OK;
}
