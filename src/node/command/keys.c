/* keys: what a person asks about what an app's callers are known by. */
#include "node/command/ask.h"
#include "node/command/db.h"
#include "node/command/table.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_BYTES_MAX = 16 << 10 };

struct keys {
    const struct node_keys_config *c;
    arena *mem;
    struct diag *d;
};

static str member(const struct json *v, const char *key) { return json_str(json_get(v, key)); }

/* path: below the app's. w: its object is closed here; NULL: none. */
static err ask(struct keys *k, const char *method, const char *path, struct json_writer *w, struct answer *to) {
    if (w) json_put_end(w);
    str app = node_ask_path(k->mem, "/apps/%s", k->c->app);
    return node_ask_once(k->c->where, k->mem, method, arena_fmt(k->mem, STR_FMT "%s", STR_ARG(app), path), w, to, k->d);
}

/* ---- what there is ---- */

static err show(struct keys *k) {
    struct answer a;
    TRY(ask(k, "GET", "/keys", NULL, &a));
    if (k->c->json) node_table_json(k->c->to, &a.body);
    else
        fprintf(k->c->to, "SUPABASE_URL=" STR_FMT "\nSUPABASE_ANON_KEY=" STR_FMT "\nSUPABASE_SERVICE_ROLE_KEY=" STR_FMT "\n",
                STR_ARG(member(&a.body, "url")), STR_ARG(member(&a.body, "anon")), STR_ARG(member(&a.body, "service_role")));
    return ERR_OK;
}

static void put_or(struct table *t, str text, const char *otherwise) { node_table_put(t, text.n ? text : str_c(otherwise)); }

static void print_opaque(struct keys *k, const struct json *keys) {
    static const char *const heads[] = {"NAME", "TYPE", "KEY", "MADE", "USED", "UNTIL", NULL};
    struct table t;
    node_table_begin(&t, k->mem, heads);
    JSON_EACH(key, keys) {
        node_table_put(&t, member(key, "name"));
        node_table_put(&t, member(key, "type"));
        node_table_fmt(&t, STR_FMT "…", STR_ARG(member(key, "begin")));
        node_table_put(&t, member(key, "created"));
        put_or(&t, member(key, "last_used"), "never");
        put_or(&t, member(key, "expires"), "-");
    }
    if (json_count(keys)) node_table_print(&t, k->c->to);
    else fprintf(k->c->to, "no key yet; orlo keys create %s NAME\n", k->c->app);
}

static void print_signing(struct keys *k, const struct json *keys) {
    static const char *const heads[] = {"SIGNS TOKENS", "ALGORITHM", "STATE", "SINCE", NULL};
    struct table t;
    node_table_begin(&t, k->mem, heads);
    JSON_EACH(key, keys) {
        node_table_put(&t, member(key, "kid"));
        node_table_put(&t, member(key, "algorithm"));
        node_table_put(&t, member(key, "state"));
        node_table_put(&t, member(key, "changed"));
    }
    if (json_count(keys)) node_table_print(&t, k->c->to);
}

static err list(struct keys *k) {
    struct answer opaque, signing;
    TRY(ask(k, "GET", "/api-keys", NULL, &opaque));
    TRY(ask(k, "GET", "/signing-keys", NULL, &signing));
    const struct json *a = json_get(&opaque.body, "keys"), *b = json_get(&signing.body, "keys");
    if (!k->c->json) {
        print_opaque(k, a);
        fputs("\n", k->c->to);
        print_signing(k, b);
        return ERR_OK;
    }
    struct buf text = {0};
    struct json_writer w = json_writer_of(&text);
    json_put_object(&w, NULL);
    json_put(&w, "keys", a), json_put(&w, "signing_keys", b);
    json_put_end(&w);
    fprintf(k->c->to, STR_FMT "\n", STR_ARG(buf_str(&text)));
    buf_free(&text);
    return ERR_OK;
}

/* ---- which one is meant ---- */

struct found {
    bool signing;
    int64_t id;
    str name, shown; /* name: of one that has one */
};
typedef VEC(struct found) found_list;

static bool begins(str whole, str part) { return part.n >= 4 && (str_starts(whole, part) || str_starts(part, whole)); }

/* By its whole name or id; or by how it begins, of one that begins with sb_ perhaps by more than is known of it here. */
static err find(struct keys *k, found_list *all) {
    struct answer opaque, signing;
    str which = str_c(k->c->which);
    TRY(ask(k, "GET", "/api-keys", NULL, &opaque));
    TRY(ask(k, "GET", "/signing-keys", NULL, &signing));
    JSON_EACH(key, json_get(&opaque.body, "keys")) {
        str begin = member(key, "begin"), name = member(key, "name");
        bool meant = str_starts(which, STR("sb_")) ? begins(begin, which) : str_eq(name, which);
        if (meant) vec_push(k->mem, all, ((struct found){false, json_i64(json_get(key, "id")), name, begin}));
    }
    JSON_EACH(key, json_get(&signing.body, "keys")) {
        str kid = member(key, "kid");
        bool meant = str_eq(kid, which) || (which.n >= 4 && str_starts(kid, which));
        if (meant && !str_eqc(member(key, "state"), "revoked"))
            vec_push(k->mem, all, ((struct found){true, json_i64(json_get(key, "id")), (str){0}, kid}));
    }
    if (all->n) return ERR_OK;
    return diag_set(k->d, ERR_NOT_FOUND, DIAG_NOWHERE, "the app %s has no key %s: orlo keys list %s shows those that there are",
                    k->c->app, k->c->which, k->c->app);
}

/* All of one name are meant by it, those that are on their way out as well. */
static err of_one(struct keys *k, const found_list *all) {
    for (uint32_t i = 1; i < all->n; i++)
        if (all->p[i].signing || !str_eq(all->p[i].name, all->p[0].name) || !str_eqc(all->p[0].name, k->c->which))
            return diag_set(k->d, ERR_USAGE, DIAG_NOWHERE, "%u keys begin with %s: say more of it", all->n, k->c->which);
    return ERR_OK;
}

static const char *path_of(const struct keys *k, const struct found *f, const char *more) {
    return (const char *)arena_fmt(k->mem, "/%s/%lld%s", f->signing ? "signing-keys" : "api-keys", (long long)f->id, more).p;
}

/* ---- changes ---- */

static err told(struct keys *k, err e, const struct answer *a, const char *what) {
    if (e == ERR_OK && k->c->json) node_table_json(k->c->to, &a->body);
    else if (e == ERR_OK) fprintf(k->c->to, STR_FMT "\n", STR_ARG(member(&a->body, what)));
    return e;
}

static err create(struct keys *k) {
    const struct node_keys_config *c = k->c;
    struct answer a;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    if (c->which) json_put_cstr(&w, "name", c->which), json_put_cstr(&w, "type", c->secret ? "secret" : "publishable");
    if (c->which && c->expires_s) json_put_u64(&w, "expires_s", c->expires_s);
    if (!c->which && c->algorithm) json_put_cstr(&w, "algorithm", c->algorithm);
    err e = ask(k, "POST", c->which ? "/api-keys" : "/signing-keys", &w, &a);
    buf_free(&b);
    return told(k, e, &a, c->which ? "key" : "kid");
}

/* The newest of a name: what is on its way out is not rotated. */
static err rotate_named(struct keys *k, struct json_writer *w, struct answer *a) {
    found_list all = {0};
    TRY(find(k, &all));
    TRY(of_one(k, &all));
    const struct found *f = &all.p[all.n - 1];
    if (f->signing)
        return diag_set(k->d, ERR_USAGE, DIAG_NOWHERE, "keys that sign are rotated in turn: orlo keys rotate %s", k->c->app);
    if (k->c->overlap_s) json_put_u64(w, "overlap_s", *k->c->overlap_s);
    return ask(k, "POST", path_of(k, f, "/rotate"), w, a);
}

static err rotate(struct keys *k) {
    struct answer a;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    if (!k->c->which && k->c->algorithm) json_put_cstr(&w, "algorithm", k->c->algorithm);
    err e = k->c->which ? rotate_named(k, &w, &a) : ask(k, "POST", "/rotate-signing-key", &w, &a);
    buf_free(&b);
    return told(k, e, &a, k->c->which ? "key" : "kid");
}

static err revoke_found(struct keys *k) {
    found_list all = {0};
    struct answer a;
    TRY(find(k, &all));
    TRY(of_one(k, &all));
    for (uint32_t i = 0; i < all.n; i++) {
        TRY(ask(k, "DELETE", path_of(k, &all.p[i], ""), NULL, &a));
        if (!k->c->json) fprintf(k->c->to, "revoked " STR_FMT "%s\n", STR_ARG(all.p[i].shown), all.p[i].signing ? "" : "…");
    }
    return ERR_OK;
}

/* ---- taken over ---- */

static err read_input(struct keys *k, str *text) {
    uint8_t *p = arena_alloc(k->mem, INPUT_BYTES_MAX, 1);
    size_t n = 0;
    for (ssize_t got; n < INPUT_BYTES_MAX && (got = read(STDIN_FILENO, p + n, INPUT_BYTES_MAX - n)) > 0;) n += (size_t)got;
    while (n && (p[n - 1] == '\n' || p[n - 1] == '\r')) n--; /* what echo and editors put there */
    *text = (str){p, n};
    if (n && n < INPUT_BYTES_MAX && str_is_utf8(*text)) return ERR_OK;
    return diag_set(k->d, ERR_USAGE, DIAG_NOWHERE, "no key came from standard input: orlo keys import %s < FILE", k->c->app);
}

static err put_import(struct keys *k, str text, struct json_writer *w, bool opaque) {
    if (opaque != (k->c->which != NULL))
        return diag_set(k->d, ERR_USAGE, DIAG_NOWHERE,
                        opaque ? "a key that begins with sb_ has a name: orlo keys import %s NAME"
                               : "what signs has no name, and what has one begins with sb_: orlo keys import %s",
                        k->c->app);
    if (opaque) {
        json_put_cstr(w, "name", k->c->which);
        json_put_cstr(w, "type", str_starts(text, STR("sb_secret_")) ? "secret" : "publishable");
        json_put_str(w, "key", text);
        if (k->c->expires_s) json_put_u64(w, "expires_s", k->c->expires_s);
        return ERR_OK;
    }
    if (text.p[0] != '{') json_put_cstr(w, "algorithm", "HS256");
    json_put_str(w, text.p[0] == '{' ? "jwk" : "secret", text);
    json_put_bool(w, "verifies", !k->c->standby);
    return ERR_OK;
}

static err import(struct keys *k) {
    struct answer a;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    str text = {0};
    TRY(read_input(k, &text));
    bool opaque = str_starts(text, STR("sb_"));
    buf_reserve(&b, 4 * INPUT_BYTES_MAX); /* it does not move, and leaves no copy behind */
    json_put_object(&w, NULL);
    err e = put_import(k, text, &w, opaque);
    if (e == ERR_OK) e = ask(k, "POST", opaque ? "/api-keys" : "/signing-keys", &w, &a);
    explicit_bzero((uint8_t *)(uintptr_t)text.p, text.n), explicit_bzero(b.p, b.cap);
    buf_free(&b);
    if (opaque && e == ERR_OK) return ERR_OK; /* who brought it knows it */
    return told(k, e, &a, "kid");
}

/* ---- tokens ---- */

static err token(struct keys *k) {
    const struct node_keys_config *c = k->c;
    struct answer a;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    if (c->as) json_put_cstr(&w, node_db_is_user(str_c(c->as)) ? "subject" : "role", c->as);
    if (c->claims) json_put_cstr(&w, "claims", c->claims);
    if (c->expires_s) json_put_u64(&w, "expires_s", c->expires_s);
    err e = ask(k, "POST", "/user-tokens", &w, &a);
    buf_free(&b);
    return told(k, e, &a, "token");
}

err node_command_keys(const struct node_keys_config *c, struct diag *d) {
    static err (*const verbs[])(struct keys *) = {
        [NODE_KEYS_SHOW] = show,           [NODE_KEYS_LIST] = list,     [NODE_KEYS_CREATE] = create, [NODE_KEYS_ROTATE] = rotate,
        [NODE_KEYS_REVOKE] = revoke_found, [NODE_KEYS_IMPORT] = import, [NODE_KEYS_TOKEN] = token};
    struct keys k = {c, arena_new(0), d};
    err e = verbs[c->verb](&k);
    arena_free(k.mem);
    return e;
}
