/* tokens: see tokens.h. */
#include "node/control/tokens.h"
#include "db/db.h"
#include <stdlib.h>

enum { FLUSH_MS = 60'000 };

static uint64_t now_s(void) { return clock_wall_ns() / 1000000000u; }

const struct control_token *node_tokens_all(const struct control *c) { return c->tokens; }

/* ---- in memory ---- */

static void copy_who(arena *out, struct token_scope *to, const struct token_scope *from) {
    *to = (struct token_scope){.token = from->token, .node = from->node, .read_only = from->read_only};
    to->app = arena_str(out, from->app);
    for (uint32_t i = 0; i < from->hosts.n; i++) vec_push(out, &to->hosts, arena_str(out, from->hosts.p[i]));
}

static struct control_token *add(struct control *c, const struct token_scope *who, const uint8_t hash[CRYPTO_SHA256_BYTES]) {
    arena *mem = arena_new(0);
    struct control_token *t = arena_make(mem, struct control_token), **at = &c->tokens;
    *t = (struct control_token){.mem = mem};
    memcpy(t->hash, hash, sizeof t->hash);
    copy_who(mem, &t->who, who);
    while (*at && (*at)->who.token < who->token) at = &(*at)->next;
    t->next = *at;
    *at = t;
    c->tokens_count++;
    return t;
}

static void drop(struct control *c, struct control_token *t) {
    struct control_token **at = &c->tokens;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    c->tokens_count--;
    arena_free(t->mem);
}

static struct control_token *numbered(struct control *c, uint64_t id) {
    struct control_token *t = c->tokens;
    while (t && t->who.token != id) t = t->next;
    return t;
}

/* ---- who asks ---- */

static bool number_of(str text, uint64_t *id) {
    str begin = STR("orlo_"), number, secret;
    return str_starts(text, begin) && str_cut(str_sub(text, begin.n, text.n), '_', &number, &secret) && str_to_u64(number, id);
}

static void flush(void *arg) {
    struct control *c = arg;
    struct diag d = DIAG_INIT;
    err e = db_begin(c->db, &d);
    for (struct control_token *t = c->tokens; t && e == ERR_OK; t = t->next) {
        if (!t->dirty) continue;
        t->dirty = false;
        e = db_run(c->db, &d, "update tokens set last_used = ? where id = ?", DB_I64(t->last_used_s), DB_I64(t->who.token));
    }
    if (e == ERR_OK) e = db_commit(c->db, &d);
    if (e == ERR_OK) return;
    db_rollback(c->db); /* when it was used last is not worth more than a word */
    log_event(LOG_WARN, "tokens-not-kept", LF_CSTR("reason", d.text));
}

static void note_use(struct control *c, struct control_token *t) {
    uint64_t now = now_s();
    if (now < t->last_used_s + 60 && now >= t->last_used_s) return;
    t->last_used_s = now;
    t->dirty = true;
    if (!c->tokens_timer) c->tokens_timer = net_timer_new(c->loop, flush, c);
    net_timer_start(c->tokens_timer, FLUSH_MS, 0);
}

const struct control_token *node_tokens_find(struct control *c, str text, bool *expired) {
    static const uint8_t nobody[CRYPTO_SHA256_BYTES];
    uint8_t hash[CRYPTO_SHA256_BYTES];
    uint64_t id = 0;
    struct control_token *t = text.n < TOKEN_TEXT_BYTES && number_of(text, &id) ? numbered(c, id) : NULL;
    crypto_sha256(text, hash);
    *expired = false;
    if (!crypto_equal(hash, t ? t->hash : nobody, sizeof hash) || !t) return NULL;
    *expired = t->expires_s && now_s() >= t->expires_s;
    if (*expired) return NULL;
    note_use(c, t);
    return t;
}

/* ---- made, revoked ---- */

static void write_text(uint32_t id, char text[static TOKEN_TEXT_BYTES]) {
    uint8_t secret[32];
    crypto_random(secret, sizeof secret);
    int n = snprintf(text, TOKEN_TEXT_BYTES, "orlo_%u_", id);
    for (size_t i = 0; i < sizeof secret; i++) n += snprintf(text + n, TOKEN_TEXT_BYTES - (size_t)n, "%02x", secret[i]);
}

static err insert(struct control *c, const struct control_token *t, struct diag *d) {
    struct buf hosts = {0};
    for (uint32_t i = 0; i < t->who.hosts.n; i++) buf_printf(&hosts, STR_FMT "\n", STR_ARG(t->who.hosts.p[i]));
    err e = db_run(c->db, d,
                   "insert into tokens (id, hash, name, scope, app, hosts, read_only, created, last_used, expires) "
                   "values (?, ?, '', ?, ?, ?, ?, ?, 0, ?)",
                   DB_I64(t->who.token), DB_BLOB_OF(t->hash), DB_I64(!t->who.node), DB_TEXT(t->who.app), DB_TEXT(buf_str(&hosts)),
                   DB_I64(t->who.read_only), DB_I64(t->created_s), DB_I64(t->expires_s));
    buf_free(&hosts);
    return e;
}

/* Numbers are not given twice: who holds a revoked one shall not be taken for another. */
static err next_id(struct control *c, uint32_t *id, struct diag *d) {
    int64_t last = 0;
    err e = db_one_i64(c->db, &last, d, "select value from meta where key = 'last_token'");
    if (e != ERR_OK && e != ERR_NOT_FOUND) return e;
    if (last >= UINT32_MAX - 1) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "this node has had as many tokens as it can number");
    *id = (uint32_t)last + 1;
    return db_run(c->db, d, "insert or replace into meta (key, value) values ('last_token', ?)", DB_I64(*id));
}

static err make(struct control *c, struct control_token *t, uint32_t *id, char text[static TOKEN_TEXT_BYTES], struct diag *d) {
    TRY(next_id(c, id, d));
    t->who.token = *id;
    write_text(*id, text);
    crypto_sha256(str_c(text), t->hash);
    return insert(c, t, d);
}

err node_tokens_make(struct control *c, const struct token_scope *of, uint64_t expires_s, uint32_t *id,
                     char text[static TOKEN_TEXT_BYTES], struct diag *d) {
    struct control_token t = {.who = *of, .created_s = now_s()};
    t.expires_s = expires_s ? t.created_s + expires_s : 0;
    if (c->tokens_count >= TOKENS_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "this node has %u tokens, as many as may be: revoke some first",
                        c->tokens_count);
    TRY(db_begin(c->db, d));
    err e = make(c, &t, id, text, d);
    if (e == ERR_OK) e = db_commit(c->db, d);
    if (e != ERR_OK) {
        db_rollback(c->db);
        return e;
    }
    struct control_token *kept = add(c, &t.who, t.hash);
    kept->created_s = t.created_s, kept->expires_s = t.expires_s;
    return ERR_OK;
}

err node_tokens_revoke(struct control *c, uint32_t id, struct diag *d) {
    struct control_token *t = numbered(c, id);
    if (!t) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no token %u; orlo tokens lists those that there are", id);
    TRY(db_run(c->db, d, "delete from tokens where id = ?", DB_I64(id)));
    drop(c, t);
    return ERR_OK;
}

/* ---- at the start ---- */

static void load_one(struct control *c, struct db_rows *rows) {
    arena *scratch = arena_new(0);
    str hash = db_str(rows, 1), hosts = db_str(rows, 4);
    struct token_scope who = {.token = (uint32_t)db_i64(rows, 0),
                              .node = db_i64(rows, 2) == 0,
                              .app = db_str(rows, 3),
                              .read_only = db_i64(rows, 5) != 0};
    for (str host; hosts.n;)
        if (str_cut(hosts, '\n', &host, &hosts) || host.n) vec_push(scratch, &who.hosts, host);
    if (hash.n == CRYPTO_SHA256_BYTES && who.token) {
        struct control_token *t = add(c, &who, hash.p);
        t->created_s = (uint64_t)db_i64(rows, 6), t->last_used_s = (uint64_t)db_i64(rows, 7),
        t->expires_s = (uint64_t)db_i64(rows, 8);
    }
    arena_free(scratch);
}

err node_tokens_first(struct control *c, struct diag *d) {
    int64_t last;
    char text[TOKEN_TEXT_BYTES];
    uint32_t id;
    err e = db_one_i64(c->db, &last, d, "select value from meta where key = 'last_token'");
    if (e != ERR_NOT_FOUND) return e;
    TRY(node_tokens_make(c, &(struct token_scope){.node = true}, 0, &id, text, d));
    log_event(LOG_INFO, "first-token", LF_CSTR("token", text),
              LF_CSTR("note", "shown this once; orlo deploy --to URL --token TOKEN; orlo tokens revoke 1 takes it back"));
    return ERR_OK;
}

err node_tokens_load(struct control *c, struct diag *d) {
    struct db_rows *rows;
    if (!c->db) return ERR_OK;
    TRY(db_query(c->db, &rows, d,
                 "select id, hash, scope, app, hosts, read_only, created, last_used, expires from tokens order by id"));
    while (db_next(rows)) load_one(c, rows);
    return db_end(rows, d);
}
