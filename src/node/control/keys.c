/* keys: see keys.h.
 *
 *   change ──> (keys seals what is secret) ──> stage: rows and the app's revision, in one transaction ──> all workers get the app anew ──> done
 *                                                                                                     └─ they cannot: the rows as they were (undo)
 */
#include "node/control/keys.h"
#include "base/json.h"
#include "node/secrets.h"
#include <stdlib.h>

enum { NAME_MAX_BYTES = 64, HS256_BYTES_MIN = 32, HS256_BYTES_MAX = 256, BEGIN_MORE = 4, KID_BYTES = 16, FLUSH_MS = 60'000 };

static uint64_t now_s(void) { return clock_wall_ns() / 1'000'000'000u; }

const char *node_key_state_text(enum control_key_state s) {
    static const char *const text[CONTROL_KEY_STATES] = {"standby", "in_use", "previously_used", "revoked"};
    return text[s];
}

static err keeps(const struct control *c, struct diag *d) {
    return c->db ? ERR_OK : diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "nothing is kept here, and so no keys");
}

/* ---- what there is ---- */

/* Of many keys one write, some time later. A word of a worker's about another app's key changes nothing. */
struct use {
    uint32_t app, key;
    uint64_t at_s;
};
enum { USES_MAX = 1024 };
struct control_key_uses {
    struct net_timer *timer;
    uint32_t n;
    struct use of[USES_MAX];
};

/* What is not written yet. */
static uint64_t last_use(const struct control *c, uint32_t key, uint64_t kept_s) {
    const struct control_key_uses *uses = c->key_uses;
    for (uint32_t i = 0; uses && i < uses->n; i++)
        if (uses->of[i].key == key) kept_s = MAX(kept_s, uses->of[i].at_s);
    return kept_s;
}

static err list_opaque(struct control *c, arena *out, uint32_t app, struct control_key_list *list, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(c->db, &rows, d,
                 "select id, name, begin, secret, created, last_used, expires from api_keys where app = ? order by name, id",
                 DB_I64(app)));
    while (db_next(rows))
        *vec_add(out, &list->opaque) =
            (struct control_opaque_key){.id = (uint32_t)db_i64(rows, 0),
                                        .name = arena_str(out, db_str(rows, 1)),
                                        .begin = arena_str(out, db_str(rows, 2)),
                                        .secret = db_i64(rows, 3),
                                        .created_s = (uint64_t)db_i64(rows, 4),
                                        .last_used_s = last_use(c, (uint32_t)db_i64(rows, 0), (uint64_t)db_i64(rows, 5)),
                                        .expires_s = (uint64_t)db_i64(rows, 6)};
    return db_end(rows, d);
}

err node_keys_list(struct control *c, arena *out, str app, struct control_key_list *list, struct diag *d) {
    struct control_now now;
    struct db_rows *rows;
    *list = (struct control_key_list){0};
    TRY(keeps(c, d));
    TRY(node_store_now(c, app, &now, NULL, d));
    TRY(list_opaque(c, out, now.app, list, d));
    TRY(db_query(c->db, &rows, d,
                 "select id, kid, algorithm, state, created, changed from signing_keys where app = ? order by id",
                 DB_I64(now.app)));
    while (db_next(rows))
        *vec_add(out, &list->signing) = (struct control_signing_key){.id = (uint32_t)db_i64(rows, 0),
                                                                     .kid = arena_str(out, db_str(rows, 1)),
                                                                     .algorithm = (enum node_key_algorithm)db_i64(rows, 2),
                                                                     .state = (enum control_key_state)db_i64(rows, 3),
                                                                     .created_s = (uint64_t)db_i64(rows, 4),
                                                                     .changed_s = (uint64_t)db_i64(rows, 5)};
    return db_end(rows, d);
}

/* ---- a change ---- */

struct key_op {
    struct control_change change;
    struct control *control;
    arena *mem;
    struct control_key_wanted wanted;
    uint32_t app;
    str entry, sealed, public; /* of a signing key that is new */
    char opaque[NODE_OPAQUE_BYTES_MAX];
    str told;
    control_done_fn done;
    void *arg;
};

static void end_op(struct key_op *op, err e, const struct diag *d) {
    op->done(op->arg,
             &(struct control_result){.err = e, .d = d, .app = op->change.app, .text = e == ERR_OK ? op->told : (str){0}});
    explicit_bzero(op->opaque, sizeof op->opaque);
    arena_free(op->mem);
}

static bool is_new_signing(const struct key_op *op) { return op->sealed.n || op->public.n; }

static err count(struct control *c, const char *sql, uint32_t app, int64_t most, const char *what, struct diag *d) {
    int64_t n = 0;
    TRY(db_one_i64(c->db, &n, d, sql, DB_I64(app)));
    return n < most
               ? ERR_OK
               : diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "an app has at most %lld %s: revoke some first", (long long)most, what);
}

/* What is over is no more. */
static err sweep(struct control *c, uint32_t app, struct diag *d) {
    return db_run(c->db, d, "delete from api_keys where app = ? and expires <> 0 and expires <= ?", DB_I64(app), DB_I64(now_s()));
}

/* expires_s: since 1970; 0: never. */
static err put_opaque(struct control *c, struct key_op *op, bool secret, str name, uint64_t expires_s, struct diag *d) {
    uint8_t hash[CRYPTO_SHA256_BYTES];
    const struct control_key_wanted *w = &op->wanted;
    int64_t one;
    if (!w->value.n) node_opaque_make(secret, op->opaque);
    str key = w->value.n ? w->value : str_c(op->opaque);
    size_t shown = str_find(str_sub(key, 3, key.n), '_') + 4 + BEGIN_MORE;
    TRY(count(c, "select count(*) from api_keys where app = ?", op->app, NODE_KEYS_MAX, "keys", d));
    node_opaque_hash(key, hash);
    err e = db_one_i64(c->db, &one, d, "select 1 from api_keys where app = ? and hash = ?", DB_I64(op->app), DB_BLOB_OF(hash));
    if (e == ERR_OK) return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "the app has this key already");
    if (e != ERR_NOT_FOUND) return e;
    op->told = arena_str(op->mem, key);
    return db_run(
        c->db, d,
        "insert into api_keys (app, name, secret, hash, begin, created, last_used, expires) values (?, ?, ?, ?, ?, ?, 0, ?)",
        DB_I64(op->app), DB_TEXT(name), DB_I64(secret), DB_BLOB_OF(hash), DB_TEXT(str_sub(key, 0, shown)), DB_I64(now_s()),
        DB_I64(expires_s));
}

static err no_key(struct diag *d) {
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the app has no such key: orlo keys list APP shows those that there are");
}

static err make_opaque(struct control *c, struct key_op *op, struct diag *d) {
    int64_t one;
    err e = db_one_i64(c->db, &one, d, "select 1 from api_keys where app = ? and name = ?", DB_I64(op->app),
                       DB_TEXT(op->wanted.name));
    if (e == ERR_OK)
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "the app has a key " STR_FMT ": orlo keys rotate gives it another value",
                        STR_ARG(op->wanted.name));
    if (e != ERR_NOT_FOUND) return e;
    uint64_t lasts_s = op->wanted.expires_s;
    return put_opaque(c, op, op->wanted.secret, op->wanted.name, lasts_s ? now_s() + lasts_s : 0, d);
}

/* The new one lasts as long as the old one would have. */
static err rotate_opaque(struct control *c, struct key_op *op, struct diag *d) {
    struct db_rows *rows;
    int64_t newer;
    const struct control_key_wanted *w = &op->wanted;
    TRY(db_query(c->db, &rows, d, "select name, secret, expires from api_keys where app = ? and id = ?", DB_I64(op->app),
                 DB_I64(w->id)));
    bool there = db_next(rows), secret = there && db_i64(rows, 1);
    str name = there ? arena_str(op->mem, db_str(rows, 0)) : (str){0};
    uint64_t until = now_s() + w->overlap_s, expires_s = there ? (uint64_t)db_i64(rows, 2) : 0;
    TRY(db_end(rows, d));
    if (!there) return no_key(d);
    TRY(db_one_i64(c->db, &newer, d, "select count(*) from api_keys where app = ? and name = ? and id > ?", DB_I64(op->app),
                   DB_TEXT(name), DB_I64(w->id)));
    if (newer) return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "another key of that name took its place already: rotate that one");
    if (expires_s && expires_s < until) until = expires_s;
    if (!w->overlap_s) TRY(db_run(c->db, d, "delete from api_keys where id = ?", DB_I64(w->id)));
    else TRY(db_run(c->db, d, "update api_keys set expires = ? where id = ?", DB_I64(until), DB_I64(w->id)));
    return put_opaque(c, op, secret, name, expires_s, d);
}

static err revoke_opaque(struct control *c, struct key_op *op, struct diag *d) {
    int64_t one;
    err e = db_one_i64(c->db, &one, d, "select 1 from api_keys where app = ? and id = ?", DB_I64(op->app), DB_I64(op->wanted.id));
    if (e == ERR_NOT_FOUND) return no_key(d);
    TRY(e);
    return db_run(c->db, d, "delete from api_keys where id = ?", DB_I64(op->wanted.id));
}

static err put_signing(struct control *c, struct key_op *op, enum control_key_state state, struct diag *d) {
    const struct control_key_wanted *w = &op->wanted;
    int64_t one;
    char digits[2 * KID_BYTES + 1];
    uint8_t chance[KID_BYTES];
    str kid = w->kid;
    if (!kid.n) {
        crypto_random(chance, sizeof chance);
        for (size_t i = 0; i < sizeof chance; i++) snprintf(digits + 2 * i, 3, "%02x", chance[i]);
        kid = str_c(digits);
    }
    TRY(count(c, "select count(*) from signing_keys where app = ? and state <> 3", op->app, NODE_SIGNING_KEYS_MAX, "signing keys",
              d));
    err e = db_one_i64(c->db, &one, d, "select 1 from signing_keys where app = ? and kid = ?", DB_I64(op->app), DB_TEXT(kid));
    if (e == ERR_OK) return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "the app has, or had, a key of that id");
    if (e != ERR_NOT_FOUND) return e;
    op->told = arena_str(op->mem, kid);
    bool any_kid = (w->value.n || w->public.n) && !w->kid.n;
    return db_run(c->db, d,
                  "insert into signing_keys (app, kid, algorithm, state, any_kid, entry, sealed, public, created, changed)"
                  " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  DB_I64(op->app), DB_TEXT(kid), DB_I64(w->algorithm), DB_I64(state), DB_I64(any_kid), DB_TEXT(op->entry),
                  DB_BLOB(op->sealed), DB_BLOB(op->public), DB_I64(now_s()), DB_I64(now_s()));
}

static err set_state(struct control *c, const struct key_op *op, int64_t id, enum control_key_state state, struct diag *d) {
    return db_run(c->db, d, "update signing_keys set state = ?, changed = ? where app = ? and id = ?", DB_I64(state),
                  DB_I64(now_s()), DB_I64(op->app), DB_I64(id));
}

static err rotate_signing(struct control *c, struct key_op *op, struct diag *d) {
    struct db_rows *rows;
    int64_t next = 0;
    TRY(db_query(c->db, &rows, d, "select id, kid from signing_keys where app = ? and state = 0 order by id limit 1",
                 DB_I64(op->app)));
    if (db_next(rows)) next = db_i64(rows, 0), op->told = arena_str(op->mem, db_str(rows, 1));
    TRY(db_end(rows, d));
    if (!next && !is_new_signing(op)) return diag_set(d, ERR_AGAIN, DIAG_NOWHERE, "the key that stood by was taken meanwhile");
    TRY(db_run(c->db, d, "update signing_keys set state = 2, changed = ? where app = ? and state = 1", DB_I64(now_s()),
               DB_I64(op->app)));
    return next ? set_state(c, op, next, CONTROL_KEY_IN_USE, d) : put_signing(c, op, CONTROL_KEY_IN_USE, d);
}

static err revoke_signing(struct control *c, struct key_op *op, struct diag *d) {
    int64_t state;
    err e = db_one_i64(c->db, &state, d, "select state from signing_keys where app = ? and id = ?", DB_I64(op->app),
                       DB_I64(op->wanted.id));
    if (e == ERR_NOT_FOUND) return no_key(d);
    TRY(e);
    if (state == CONTROL_KEY_IN_USE)
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                        "tokens are signed with this key: orlo keys rotate APP puts another one in use first");
    TRY(db_run(c->db, d, "update signing_keys set sealed = x'' where id = ?", DB_I64(op->wanted.id)));
    TRY(set_state(c, op, op->wanted.id, CONTROL_KEY_REVOKED, d));
    return db_run(c->db, d,
                  "delete from signing_keys where app = ?1 and state = 3 and id not in"
                  " (select id from signing_keys where app = ?1 and state = 3 order by changed desc, id desc limit 32)",
                  DB_I64(op->app));
}

static err make_signing(struct control *c, struct key_op *op, struct diag *d) {
    return put_signing(c, op, op->wanted.verifies ? CONTROL_KEY_PREVIOUS : CONTROL_KEY_STANDBY, d);
}

/* As the app's rows are before it, to be put back. */
static err save(struct control *c, const struct key_op *op, struct diag *d) {
    static const char *const sql[] = {"create temp table if not exists api_keys_before as select * from api_keys limit 0",
                                      "create temp table if not exists signing_keys_before as select * from signing_keys limit 0",
                                      "delete from temp.api_keys_before", "delete from temp.signing_keys_before"};
    for (size_t i = 0; i < ARRAY_COUNT(sql); i++) TRY(db_run(c->db, d, sql[i]));
    TRY(db_run(c->db, d, "insert into temp.api_keys_before select * from api_keys where app = ?", DB_I64(op->app)));
    return db_run(c->db, d, "insert into temp.signing_keys_before select * from signing_keys where app = ?", DB_I64(op->app));
}

static err put_back(struct control *c, uint32_t app, struct diag *d) {
    TRY(db_run(c->db, d, "delete from api_keys where app = ?", DB_I64(app)));
    TRY(db_run(c->db, d, "delete from signing_keys where app = ?", DB_I64(app)));
    TRY(db_run(c->db, d, "insert into api_keys select * from temp.api_keys_before"));
    return db_run(c->db, d, "insert into signing_keys select * from temp.signing_keys_before");
}

static err do_it(struct control *c, struct key_op *op, struct diag *d) {
    static err (*const does[])(struct control *, struct key_op *, struct diag *) = {
        [CONTROL_MAKE_OPAQUE] = make_opaque,       [CONTROL_ROTATE_OPAQUE] = rotate_opaque,
        [CONTROL_REVOKE_OPAQUE] = revoke_opaque,   [CONTROL_MAKE_SIGNING] = make_signing,
        [CONTROL_ROTATE_SIGNING] = rotate_signing, [CONTROL_REVOKE_SIGNING] = revoke_signing};
    TRY(save(c, op, d));
    TRY(sweep(c, op->app, d));
    TRY(does[op->wanted.does](c, op, d));
    return db_run(c->db, d, "update apps set secrets_revision = secrets_revision + 1 where id = ?", DB_I64(op->app));
}

static bool revokes(const struct key_op *op) {
    return op->wanted.does == CONTROL_REVOKE_OPAQUE || op->wanted.does == CONTROL_REVOKE_SIGNING ||
           (op->wanted.does == CONTROL_ROTATE_OPAQUE && !op->wanted.overlap_s);
}

static err stage(struct control *c, struct control_change *ch, struct diag *d) {
    struct key_op *op = ch->arg;
    struct control_now now;
    uint64_t revision;
    TRY(node_store_now(c, ch->app, &now, &revision, d));
    if (now.app != op->app) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the app was deleted meanwhile");
    TRY(db_begin(c->db, d));
    err e = do_it(c, op, d);
    if (e == ERR_OK) e = db_commit(c->db, d);
    if (e != ERR_OK) {
        db_rollback(c->db);
        return e;
    }
    ch->eager = !revokes(op); /* which nothing holds up that an image does not fit, or does not come */
    node_secrets_to(c, ch, op->app, revision + 1);
    return ERR_OK;
}

static void undo(struct control *c, struct control_change *ch) {
    const struct key_op *op = ch->arg;
    struct diag d = DIAG_INIT;
    err e = ERR_BUSY;
    if (!revokes(op) && (e = db_begin(c->db, &d)) == ERR_OK) {
        e = put_back(c, op->app, &d);
        if (e == ERR_OK) e = db_commit(c->db, &d);
        if (e != ERR_OK) db_rollback(c->db);
    }
    if (e == ERR_OK) return;
    log_event(LOG_ERROR, "app-not-kept", LF_STR("app", ch->app), LF_CSTR("reason", revokes(op) ? "a key was revoked" : d.text));
    node_control_end(c); /* what is kept is not what is served: the next control serves that */
}

static void over(struct control *c, struct control_change *ch, err e, const struct diag *d) {
    static const char *const words[] = {"made", "rotated", "revoked", "signing-made", "signing-rotated", "signing-revoked"};
    struct key_op *op = ch->arg;
    if (e == ERR_OK)
        log_event(LOG_INFO, "key-changed", LF_STR("app", ch->app), LF_CSTR("what", words[op->wanted.does]),
                  LF_STR("name", op->wanted.name), LF_U64("key", op->wanted.id));
    end_op(op, e, d);
}

static void begin_change(struct key_op *op) {
    op->change.stage = stage;
    op->change.undo = undo;
    op->change.over = over;
    node_change_begin(op->control, &op->change);
}

/* ---- a signing key that is new ---- */

/* What keys answered: of a pair its public half as well (secrets.h). */
static err take_new(struct key_op *op, str value, struct diag *d) {
    struct rd from = rd_of(value);
    bool pair = node_key_is_pair(op->wanted.algorithm);
    uint32_t low = pair ? rd_u8(&from) : 0;
    op->public = arena_str(op->mem, rd_bytes(&from, pair ? low | (uint32_t)rd_u8(&from) << 8 : 0));
    op->sealed = arena_str(op->mem, rd_bytes(&from, rd_left(&from)));
    if (!from.fail && op->sealed.n && (!pair || op->public.n)) return ERR_OK;
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "there is no key in what keys answered");
}

static void sealed(struct control *c, void *arg, err e, str value, const struct diag *d) {
    struct key_op *op = arg;
    struct diag own = *d;
    if (e == ERR_OK) e = take_new(op, value, &own);
    if (e != ERR_OK) end_op(op, e, &own);
    else begin_change(op);
}

/* A name of its own that it is sealed for: nobody puts one in another's place. */
static str new_entry(arena *out) {
    uint64_t chance;
    crypto_random(&chance, sizeof chance);
    return arena_fmt(out, "_jwt_%016llx", (unsigned long long)chance);
}

static uint8_t does_of(enum node_key_algorithm a, int single, int pair) {
    return (uint8_t)(node_key_is_pair(a) ? pair + (int)node_key_pair(a) : single);
}

static err ask_for_key(struct control *c, struct key_op *op, struct diag *d) {
    const struct control_key_wanted *w = &op->wanted;
    uint8_t does = does_of(w->algorithm, NODE_SECRET_MAKES, NODE_SECRET_MAKES_PAIR);
    if (w->value.n) does = does_of(w->algorithm, NODE_SECRET_SEALS, NODE_SECRET_TAKES_PAIR);
    op->entry = new_entry(op->mem);
    err e = node_secrets_ask(
        c,
        &(struct control_key_ask){.app = op->app, .key = op->entry, .does = does, .value = w->value, .said = sealed, .arg = op},
        d);
    if (op->wanted.value.n && e == ERR_OK) explicit_bzero((uint8_t *)(uintptr_t)op->wanted.value.p, op->wanted.value.n);
    return e;
}

static err stands_by(struct control *c, uint32_t app, bool *is, struct diag *d) {
    int64_t one;
    err e = db_one_i64(c->db, &one, d, "select 1 from signing_keys where app = ? and state = 0 limit 1", DB_I64(app));
    *is = e == ERR_OK;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* ---- what is asked ---- */

static err check_name(str name, struct diag *d) {
    bool ok = name.n && name.n <= NAME_MAX_BYTES && name.p[0] >= 'a' && name.p[0] <= 'z' && !node_opaque_is(name);
    for (size_t i = 0; ok && i < name.n; i++) {
        uint8_t c = name.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }
    if (ok) return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                    "a key's name has up to %d small letters, digits, - and _, and begins with a letter: not '" STR_FMT "'",
                    NAME_MAX_BYTES, STR_ARG(str_sub(name, 0, 100)));
}

/* One that was made elsewhere. */
static err check_opaque(const struct control_key_wanted *w, struct diag *d) {
    bool ok = !w->value.n || (w->value.n >= 24 && w->value.n < NODE_OPAQUE_BYTES_MAX && node_opaque_is(w->value));
    for (size_t i = 0; ok && i < w->value.n; i++) ok = w->value.p[i] > ' ' && w->value.p[i] < 127;
    if (ok && w->value.n) ok = str_starts(w->value, w->secret ? STR("sb_secret_") : STR("sb_publishable_"));
    if (ok) return check_name(w->name, d);
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                    "a key that is taken over begins with sb_publishable_, or is secret and begins with sb_secret_");
}

/* Somebody else signs with it. */
static err check_public(const struct control_key_wanted *w, struct diag *d) {
    struct crypto_pair *k = node_key_is_pair(w->algorithm) ? crypto_pair_verifier(node_key_pair(w->algorithm), w->public) : NULL;
    crypto_pair_free(k);
    if (!k) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is no public key of %s", node_key_algorithm_text(w->algorithm));
    if (w->verifies) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a public key cannot stand by: nothing is signed with it");
}

static err check_signing(const struct control_key_wanted *w, struct diag *d) {
    bool ok = w->kid.n <= NODE_KID_BYTES_MAX;
    for (size_t i = 0; ok && i < w->kid.n; i++) ok = w->kid.p[i] > ' ' && w->kid.p[i] < 127;
    if (!ok)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a key's id has up to %d characters of ASCII, and no spaces",
                        NODE_KID_BYTES_MAX);
    if (w->public.n) return check_public(w, d);
    if (w->algorithm != NODE_KEY_HS256 || !w->value.n) return ERR_OK;
    if (w->value.n >= HS256_BYTES_MIN && w->value.n <= HS256_BYTES_MAX) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a secret of HS256 has %d to %d bytes: who knows a token guesses a shorter one",
                    HS256_BYTES_MIN, HS256_BYTES_MAX);
}

static err check(const struct control_key_wanted *w, struct diag *d) {
    if (w->does == CONTROL_MAKE_OPAQUE) return check_opaque(w, d);
    return w->does == CONTROL_MAKE_SIGNING ? check_signing(w, d) : ERR_OK;
}

static err begin(struct control *c, const struct control_key_wanted *wanted, control_done_fn done, void *arg, struct diag *d) {
    struct control_now now;
    bool asks = wanted->does == CONTROL_MAKE_SIGNING && !wanted->public.n, ready = false;
    TRY(keeps(c, d));
    TRY(node_store_now(c, wanted->app, &now, NULL, d));
    TRY(check(wanted, d));
    if (wanted->does == CONTROL_ROTATE_SIGNING) TRY(stands_by(c, now.app, &ready, d));
    asks |= wanted->does == CONTROL_ROTATE_SIGNING && !ready;
    arena *mem = arena_new(0);
    struct key_op *op = arena_make(mem, struct key_op);
    *op = (struct key_op){.control = c, .mem = mem, .wanted = *wanted, .app = now.app, .done = done, .arg = arg};
    op->wanted.name = arena_str(mem, wanted->name), op->wanted.value = arena_str(mem, wanted->value);
    op->wanted.kid = arena_str(mem, wanted->kid), op->wanted.app = (str){0};
    op->public = op->wanted.public = arena_str(mem, wanted->public);
    op->change.app = arena_str(mem, wanted->app);
    op->change.arg = op;
    err e = asks ? ask_for_key(c, op, d) : ERR_OK;
    if (e != ERR_OK) arena_free(mem);
    else if (!asks) begin_change(op);
    return e;
}

void node_keys_change(struct control *c, const struct control_key_wanted *wanted, control_done_fn done, void *arg) {
    struct diag d = DIAG_INIT;
    err e = begin(c, wanted, done, arg, &d);
    if (e != ERR_OK) node_secrets_refuse(c, done, arg, e, &d);
}

/* ---- the first one ---- */

static void first_made(struct control *c, void *arg, err e, str value, const struct diag *d) {
    struct key_op *op = arg;
    struct diag own = *d;
    int64_t others = 0; /* of a deployment beside this one */
    if (e == ERR_OK) e = take_new(op, value, &own);
    if (e == ERR_OK)
        e = db_one_i64(c->db, &others, &own, "select count(*) from signing_keys where app = ? and state = 1", DB_I64(op->app));
    if (e == ERR_OK && !others) e = put_signing(c, op, CONTROL_KEY_IN_USE, &own);
    end_op(op, e, &own);
}

bool node_keys_needed(struct control *c, uint32_t app, bool users, control_done_fn done, void *arg) {
    struct diag d = DIAG_INIT;
    int64_t one;
    if (!c->db ||
        db_one_i64(c->db, &one, &d, "select 1 from signing_keys where app = ? and state = 1", DB_I64(app)) != ERR_NOT_FOUND)
        return false;
    arena *mem = arena_new(0);
    struct key_op *op = arena_make(mem, struct key_op);
    *op = (struct key_op){.control = c, .mem = mem, .app = app, .done = done, .arg = arg, .entry = new_entry(mem)};
    op->wanted.algorithm = users ? NODE_KEY_ES256 : NODE_KEY_HS256;
    struct control_key_ask ask = {.app = app,
                                  .key = op->entry,
                                  .does = does_of(op->wanted.algorithm, NODE_SECRET_MAKES, NODE_SECRET_MAKES_PAIR),
                                  .said = first_made,
                                  .arg = op};
    err e = node_secrets_ask(c, &ask, &d);
    if (e == ERR_OK) return true;
    arena_free(mem);
    node_secrets_refuse(c, done, arg, e, &d);
    return true;
}

/* ---- tokens ---- */

struct signing {
    arena *mem;
    str app, message;
    control_done_fn done;
    void *arg;
};

/* A key in use: ERR_NOT_FOUND without a word: it has none. */
struct used {
    str kid, entry, sealed;
    enum node_key_algorithm algorithm;
    bool named; /* tokens say which it is */
    uint64_t created_s;
};
static err in_use(struct control *c, arena *out, uint32_t app, struct used *u, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(c->db, &rows, d,
                 "select kid, entry, sealed, algorithm, any_kid, created from signing_keys where app = ? and state = 1",
                 DB_I64(app)));
    bool there = db_next(rows);
    if (there)
        *u = (struct used){.kid = arena_str(out, db_str(rows, 0)),
                           .entry = arena_str(out, db_str(rows, 1)),
                           .sealed = arena_str(out, db_str(rows, 2)),
                           .algorithm = (enum node_key_algorithm)db_i64(rows, 3),
                           .named = !db_i64(rows, 4),
                           .created_s = (uint64_t)db_i64(rows, 5)};
    TRY(db_end(rows, d));
    return there ? ERR_OK : ERR_NOT_FOUND;
}

static void token_begin(struct buf *to, const struct used *u, str claims) {
    node_token_begin(to, str_c(node_key_algorithm_text(u->algorithm)), u->named ? u->kid : (str){0}, claims);
}

static void token_signed(struct control *c, void *arg, err e, str signature, const struct diag *d) {
    struct signing *s = arg;
    struct buf token = {0};
    buf_puts(&token, s->message);
    buf_putc(&token, '.');
    node_base64url(&token, signature);
    s->done(s->arg, &(struct control_result){.err = e, .d = d, .app = s->app, .text = e == ERR_OK ? buf_str(&token) : (str){0}});
    buf_free(&token);
    arena_free(s->mem);
}

static err ask_signature(struct control *c, struct signing *s, uint32_t app, const struct used *u, struct diag *d) {
    uint8_t does = does_of(u->algorithm, NODE_SECRET_SIGNS, NODE_SECRET_SIGNS_PAIR);
    return node_secrets_ask(
        c,
        &(struct control_key_ask){
            .app = app, .key = u->entry, .does = does, .value = u->sealed, .message = s->message, .said = token_signed, .arg = s},
        d);
}

/* role empty: claims are told. */
static err begin_token(struct control *c, arena *scratch, str app, str role, str claims, control_done_fn done, void *arg,
                       struct diag *d) {
    struct control_now now;
    struct used u;
    TRY(keeps(c, d));
    TRY(node_store_now(c, app, &now, NULL, d));
    err e = in_use(c, scratch, now.app, &u, d);
    if (e == ERR_NOT_FOUND)
        diag_set(d, e, DIAG_NOWHERE,
                 "the app " STR_FMT
                 " has no keys: it has them once a version with a database, or a function for Supabase's clients, was deployed",
                 STR_ARG(str_sub(app, 0, APP_NAME_MAX)));
    TRY(e);
    struct buf own = {0}, message = {0};
    arena *mem = arena_new(0);
    struct signing *s = arena_make(mem, struct signing);
    if (role.n) node_token_claims(&own, app, role, u.created_s);
    token_begin(&message, &u, role.n ? buf_str(&own) : claims);
    *s = (struct signing){
        .mem = mem, .app = arena_str(mem, app), .message = arena_str(mem, buf_str(&message)), .done = done, .arg = arg};
    buf_free(&own), buf_free(&message);
    e = ask_signature(c, s, now.app, &u, d);
    if (e != ERR_OK) arena_free(mem);
    return e;
}

void node_keys_role(struct control *c, str app, str role, control_done_fn done, void *arg) {
    struct diag d = DIAG_INIT;
    arena *scratch = arena_new(0);
    err e = begin_token(c, scratch, app, role, (str){0}, done, arg, &d);
    if (e != ERR_OK) node_secrets_refuse(c, done, arg, e, &d);
    arena_free(scratch);
}

void node_keys_sign(struct control *c, str app, str claims, control_done_fn done, void *arg) {
    struct diag d = DIAG_INIT;
    arena *scratch = arena_new(0);
    err e = claims.n > CONTROL_CLAIMS_MAX
                ? diag_set(&d, ERR_LIMIT, DIAG_NOWHERE, "a token's claims have at most %d bytes", CONTROL_CLAIMS_MAX)
                : begin_token(c, scratch, app, (str){0}, claims, done, arg, &d);
    if (e != ERR_OK) node_secrets_refuse(c, done, arg, e, &d);
    arena_free(scratch);
}

/* ---- what a worker gets ---- */

static err put_signing_keys(struct control *c, uint32_t app, struct buf *set, struct buf *to, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(
        c->db, &rows, d,
        "select kid, entry, sealed, algorithm, any_kid, public, state from signing_keys where app = ? and state <> 3 order by "
        "state = 1 desc, id",
        DB_I64(app)));
    while (db_next(rows)) {
        struct node_keyset_key k = {.algorithm = (enum node_key_algorithm)db_i64(rows, 3),
                                    .any_kid = db_i64(rows, 4),
                                    .kid = db_str(rows, 0),
                                    .entry = db_str(rows, 1),
                                    .public = db_str(rows, 5)};
        k.foreign = node_key_is_pair(k.algorithm) && !db_str(rows, 2).n;
        node_keyset_put(set, &k);
        if (k.algorithm == NODE_KEY_HS256) node_secret_put(to, NODE_SECRET_SEALED, k.entry, db_str(rows, 2));
        else if (db_i64(rows, 6) == CONTROL_KEY_IN_USE)
            node_secret_put(to, NODE_SECRET_PLAIN, STR(NODE_SIGNER_ENTRY), db_str(rows, 2));
    }
    return db_end(rows, d);
}

static err put_opaque_keys(struct control *c, uint32_t app, struct buf *set, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query(c->db, &rows, d, "select id, secret, expires, hash from api_keys where app = ?", DB_I64(app)));
    while (db_next(rows)) {
        struct node_keyset_key k = {
            .opaque = true, .id = (uint32_t)db_i64(rows, 0), .secret = db_i64(rows, 1), .expires_s = (uint64_t)db_i64(rows, 2)};
        str hash = db_str(rows, 3);
        if (hash.n != sizeof k.hash) continue;
        memcpy(k.hash, hash.p, sizeof k.hash);
        node_keyset_put(set, &k);
    }
    return db_end(rows, d);
}

static err put_roles(struct control *c, arena *scratch, const struct app_record *r, struct buf *to, struct diag *d) {
    static const char *const tokens[][2] = {{"SUPABASE_ANON_KEY", "anon"}, {"SUPABASE_SERVICE_ROLE_KEY", "service_role"}};
    struct used u;
    err e = in_use(c, scratch, r->id, &u, d);
    if (e == ERR_NOT_FOUND) return ERR_OK;
    TRY(e);
    node_secret_put(to, (enum node_secret_kind)does_of(u.algorithm, NODE_SECRET_SIGNER, NODE_SECRET_SIGNER_PAIR), u.entry,
                    u.sealed);
    for (size_t i = 0; i < ARRAY_COUNT(tokens); i++) {
        struct buf claims = {0}, message = {0};
        node_token_claims(&claims, r->name, str_c(tokens[i][1]), u.created_s);
        token_begin(&message, &u, buf_str(&claims));
        node_secret_put(to, NODE_SECRET_TOKEN, str_c(tokens[i][0]), buf_str(&message));
        buf_free(&claims), buf_free(&message);
    }
    return ERR_OK;
}

err node_keys_put(struct control *c, arena *scratch, const struct app_record *r, struct buf *to, struct diag *d) {
    struct buf set = {0};
    node_secret_put(to, NODE_SECRET_PLAIN, STR("SUPABASE_URL"), node_control_app_url(scratch, c, r->name));
    err e = put_signing_keys(c, r->id, &set, to, d);
    if (e == ERR_OK) e = put_opaque_keys(c, r->id, &set, d);
    if (e == ERR_OK) node_secret_put(to, NODE_SECRET_PLAIN, STR(NODE_KEYSET_ENTRY), buf_str(&set));
    buf_free(&set);
    return e == ERR_OK ? put_roles(c, scratch, r, to, d) : e;
}

/* ---- their use ---- */

static void flush(void *arg) {
    struct control *c = arg;
    struct control_key_uses *uses = c->key_uses;
    struct diag d = DIAG_INIT;
    err e = db_begin(c->db, &d);
    for (uint32_t i = 0; i < uses->n && e == ERR_OK; i++)
        e = db_run(c->db, &d, "update api_keys set last_used = max(last_used, ?) where id = ? and app = ?",
                   DB_I64(uses->of[i].at_s), DB_I64(uses->of[i].key), DB_I64(uses->of[i].app));
    uses->n = 0;
    if (e == ERR_OK) e = db_commit(c->db, &d);
    if (e == ERR_OK) return;
    db_rollback(c->db); /* when it was used last is not worth more than a word */
    log_event(LOG_WARN, "tokens-not-kept", LF_CSTR("reason", d.text));
}

void node_keys_note_use(struct control *c, uint32_t app, uint32_t key) {
    struct control_key_uses *uses = c->key_uses;
    uint32_t i = 0;
    if (!c->db) return;
    if (!uses) {
        uses = c->key_uses = calloc(1, sizeof *uses);
        ENSURE(uses);
        uses->timer = net_timer_new(c->loop, flush, c);
    }
    while (i < uses->n && (uses->of[i].key != key || uses->of[i].app != app)) i++;
    if (i == USES_MAX) return;
    uses->of[i] = (struct use){app, key, now_s()};
    if (i < uses->n) return;
    if (!uses->n++) net_timer_start(uses->timer, FLUSH_MS, 0);
}
