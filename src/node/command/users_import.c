/* users_import: users of another service, in chunks, each a transaction: what of one the database refuses is looked for by halves, told by its line, and the rest
 * is there. Ids are what they were, or made of what they were called, so that a second time nothing is there twice: what broke off is begun again.
 */
#include "auth/auth.h"
#include "crypto/crypto.h"
#include "node/command/users.h"
#include <errno.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 500, CHUNK_BYTES_MAX = 2 << 20, TRIES = 5, ERRORS_SHOWN = 100, PHONE_MAX = 15, PASSES = 2, MEMORY_KIB = 19 << 10 };

struct import {
    struct users *u;
    const char *file;
    arena *mem; /* of a chunk */
    struct person people[CHUNK];
    uint32_t n;
    uint64_t made, there, refused, without_password, begun_ns;
    str now;
    struct users_reader *r;
};

static str time_or_now(const struct import *m, str s) { return str_eqc(s, "now") ? m->now : s; }

static void put_some(struct json_writer *w, const char *key, str s) {
    if (s.n) json_put_str(w, key, s);
    else json_put_null(w, key);
}

/* ---- what is wrong with one ---- */

static void complain(struct import *m, const struct person *p, const char *why) {
    if (m->refused++ < ERRORS_SHOWN) {
        str who = p->email.n ? p->email : p->phone.n ? p->phone : p->id;
        char text[256];
        snprintf(text, sizeof text, STR_FMT, STR_ARG(str_sub(who, 0, 200)));
        text_tame(text, strlen(text));
        fprintf(stderr, "%s:%llu: %s%s%s\n", m->file, (unsigned long long)p->line, text, text[0] ? ": " : "", why);
    } else if (m->refused == ERRORS_SHOWN + 1) fputs("…\n", stderr);
}

static size_t bytes_of(const struct json *v) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    if (v) json_put(&w, NULL, v);
    size_t n = b.n;
    buf_free(&b);
    return n;
}

static bool phone(arena *out, str text, str *to) {
    uint8_t *p = arena_alloc(out, text.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c >= '0' && c <= '9') p[n++] = c;
        else if (!memchr("+ -()", c, 5)) return false;
    }
    *to = (str){p, n};
    return n && n <= PHONE_MAX && p[0] != '0';
}

/* NULL: he is as a row is to be. */
static const char *settle(struct import *m, struct person *p) {
    str given = p->email;
    if (p->bad) return p->bad;
    if (given.n && auth_address(m->mem, given, &p->email)) return "its address is none that signs in here";
    if (p->phone.n && !phone(m->mem, p->phone, &p->phone)) return "its phone number is none";
    if (!p->email.n && !p->phone.n && !p->anonymous && !p->identities.n) return "it has neither an address nor a phone number";
    if (p->role.n && !str_eqc(p->role, "authenticated") && !str_eqc(p->role, "anon")) {
        if (str_eqc(p->role, "service_role") || str_starts(p->role, STR("supabase_")) || str_eqc(p->role, "postgres"))
            return "its role is one that no policy holds for";
    }
    if (bytes_of(p->user_data) > AUTH_USER_DATA_MAX) return "its user_metadata has more than 3 KiB: it is in every token";
    if (bytes_of(p->app_data) > AUTH_APP_DATA_MAX - 256)
        return "its app_metadata has more than 1,792 bytes: it is in every token";
    if (p->password.n) {
        char made[CRYPTO_ARGON2_TEXT_MAX];
        crypto_argon2_make(p->password, PASSES, MEMORY_KIB, made);
        p->hash = arena_str(m->mem, str_c(made));
    }
    if (p->hash.n && crypto_hash_known(p->hash) != CRYPTO_HASH_OK) p->hash = (str){0}, m->without_password++;
    return NULL;
}

/* ---- as rows ---- */

static bool has_identity(const struct person *p, const char *provider) {
    for (uint32_t i = 0; i < p->identities.n; i++)
        if (str_eqc(p->identities.p[i].provider, provider)) return true;
    return false;
}

static bool email_identity(const struct person *p) {
    return p->email.n && !p->sso && !has_identity(p, "email") && (p->hash.n || !p->identities.n);
}
static bool phone_identity(const struct person *p) { return p->phone.n && !has_identity(p, "phone"); }

static void put_providers(const struct person *p, struct json_writer *w) {
    bool email = email_identity(p), by_phone = phone_identity(p);
    str first = email ? STR("email") : p->identities.n ? p->identities.p[0].provider : by_phone ? STR("phone") : (str){0};
    if (!first.n) return;
    if (!json_get(p->app_data, "provider")) json_put_str(w, "provider", first);
    if (json_get(p->app_data, "providers")) return;
    json_put_array(w, "providers");
    if (email) json_put_cstr(w, NULL, "email");
    for (uint32_t i = 0; i < p->identities.n; i++) json_put_str(w, NULL, p->identities.p[i].provider);
    if (by_phone) json_put_cstr(w, NULL, "phone");
    json_put_end(w);
}

static void put_user(const struct import *m, const struct person *p, struct json_writer *w) {
    static const char *const empty[] = {"confirmation_token", "recovery_token", "email_change_token_new", "email_change"};
    str created = p->created.n ? p->created : m->now;
    json_put_object(w, NULL);
    json_put_cstr(w, "instance_id", "00000000-0000-0000-0000-000000000000");
    json_put_str(w, "id", p->id);
    json_put_cstr(w, "aud", "authenticated");
    json_put_str(w, "role", p->role.n ? p->role : STR("authenticated"));
    put_some(w, "email", p->email), put_some(w, "phone", p->phone);
    json_put_str(w, "encrypted_password", p->hash);
    for (size_t i = 0; i < ARRAY_COUNT(empty); i++) json_put_cstr(w, empty[i], "");
    put_some(w, "email_confirmed_at", time_or_now(m, p->confirmed));
    put_some(w, "phone_confirmed_at", time_or_now(m, p->phone_confirmed));
    put_some(w, "last_sign_in_at", p->signed_in);
    put_some(w, "banned_until", p->banned), put_some(w, "deleted_at", p->deleted);
    json_put_object(w, "raw_app_meta_data");
    put_providers(p, w);
    for (uint32_t i = 0; p->app_data && i < p->app_data->n; i++)
        json_put(w, (const char *)p->app_data->members[i].key.p, &p->app_data->members[i].v);
    if (p->source.n && !json_get(p->app_data, (const char *)p->source.p))
        json_put_str(w, (const char *)p->source.p, str_sub(p->source_id, 0, 128));
    json_put_end(w);
    if (p->user_data) json_put(w, "raw_user_meta_data", p->user_data);
    else json_put_object(w, "raw_user_meta_data"), json_put_end(w);
    json_put_bool(w, "is_anonymous", p->anonymous), json_put_bool(w, "is_sso_user", p->sso);
    json_put_str(w, "created_at", created), json_put_str(w, "updated_at", created);
    json_put_end(w);
}

static void put_identity(const struct import *m, const struct person *p, struct json_writer *w, str provider, str id,
                         const struct json *data) {
    str created = p->created.n ? p->created : m->now;
    json_put_object(w, NULL);
    json_put_str(w, "id",
                 node_users_id_of(m->mem, provider, arena_fmt(m->mem, STR_FMT " " STR_FMT, STR_ARG(p->id), STR_ARG(id))));
    json_put_str(w, "provider_id", id), json_put_str(w, "user_id", p->id), json_put_str(w, "provider", provider);
    if (data) json_put(w, "identity_data", data);
    else {
        bool by_phone = str_eqc(provider, "phone");
        json_put_object(w, "identity_data");
        json_put_str(w, "sub", id);
        json_put_str(w, by_phone ? "phone" : "email", by_phone ? p->phone : p->email);
        json_put_bool(w, "email_verified", !by_phone && p->confirmed.n),
            json_put_bool(w, "phone_verified", by_phone && p->phone_confirmed.n);
        json_put_end(w);
    }
    put_some(w, "last_sign_in_at", p->signed_in);
    json_put_str(w, "created_at", created), json_put_str(w, "updated_at", created);
    json_put_end(w);
}

/* Who is there already stays as he is. */
static void begin_insert(struct json_writer *w, const char *table, const char *key) {
    json_put_object(w, NULL);
    json_put_cstr(w, "kind", "insert"), json_put_cstr(w, "schema", "auth"), json_put_cstr(w, "from", table);
    json_put_raw(w, "conflict", str_c(key));
}

static uint32_t put_identities(const struct import *m, const struct person *of, uint32_t n, struct json_writer *w) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < n; k++) {
        const struct person *p = &of[k];
        if (p->there) continue;
        if (email_identity(p)) put_identity(m, p, w, STR("email"), p->id, NULL), count++;
        if (phone_identity(p)) put_identity(m, p, w, STR("phone"), p->id, NULL), count++;
        for (uint32_t i = 0; i < p->identities.n; i++, count++)
            put_identity(m, p, w, p->identities.p[i].provider, p->identities.p[i].id, p->identities.p[i].data);
    }
    return count;
}

static void put_batch(const struct import *m, const struct person *of, uint32_t n, struct buf *b) {
    struct json_writer w = json_writer_of(b);
    struct buf rows = {0};
    struct json_writer i = json_writer_of(&rows);
    json_put_array(&i, NULL);
    bool any = put_identities(m, of, n, &i);
    json_put_end(&i);
    json_put_object(&w, NULL);
    json_put_array(&w, "batch");
    begin_insert(&w, "users", "{\"columns\":[\"id\"],\"do\":\"ignore\"}");
    json_put_array(&w, "rows");
    for (uint32_t k = 0; k < n; k++) put_user(m, &of[k], &w);
    json_put_end(&w), json_put_end(&w);
    if (any) {
        begin_insert(&w, "identities", "{\"columns\":[\"provider_id\",\"provider\"],\"do\":\"ignore\"}");
        json_put_raw(&w, "rows", buf_str(&rows));
        json_put_end(&w);
    }
    json_put_end(&w), json_put_end(&w);
    buf_free(&rows);
}

/* ---- a chunk ---- */

static bool passes(const char *state) {
    static const char *const classes[] = {"08", "53", "57", "40", "55", "58"};
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
        if (!strncmp(state, classes[i], 2)) return true;
    return false;
}

/* What passes is waited for. */
static err ask_again(struct import *m, str batch, str *answer, struct pg_error *error, struct diag *d) {
    err e = ERR_OK;
    for (int i = 0; i < TRIES; i++) {
        *error = (struct pg_error){0};
        e = node_users_ask(m->u, m->mem, batch, answer, error, d);
        bool again = e == ERR_BUSY || e == ERR_AGAIN || (e == ERR_INVALID && passes(error->state));
        if (!again) break;
        nanosleep(&(struct timespec){.tv_nsec = 200'000'000L << i}, NULL);
    }
    return e;
}

static err ask(struct import *m, const struct person *of, uint32_t n, uint64_t *made, struct pg_error *error, struct diag *d) {
    static const struct json_limits limits = {1 << 20, 16, 10'000};
    struct buf b = {0};
    struct json answers;
    str answer;
    put_batch(m, of, n, &b);
    err e = ask_again(m, buf_str(&b), &answer, error, d);
    buf_free(&b);
    if (e == ERR_OK) e = json_read(m->mem, answer, &limits, &answers, d);
    if (e == ERR_OK) *made = (uint64_t)json_i64(json_get(json_item(&answers, 0), "affected"));
    return e;
}

/* Whose id is an account's already, or another's before him: that stays as it is, and gets no ways to sign in. */
static err mark_there(struct import *m, struct diag *d) {
    static const struct json_limits limits = {1 << 20, 16, 10'000};
    struct pg_error error = {0};
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    struct json v;
    str answer;
    json_put_object(&w, NULL);
    json_put_array(&w, "batch");
    json_put_object(&w, NULL);
    json_put_cstr(&w, "schema", "auth"), json_put_cstr(&w, "from", "users"), json_put_raw(&w, "select", STR("[\"id\"]"));
    json_put_object(&w, "where");
    json_put_cstr(&w, "column", "id"), json_put_cstr(&w, "op", "in");
    json_put_array(&w, "values");
    for (uint32_t i = 0; i < m->n; i++) json_put_str(&w, NULL, m->people[i].id);
    json_put_end(&w), json_put_end(&w), json_put_end(&w), json_put_end(&w), json_put_end(&w);
    err e = ask_again(m, buf_str(&b), &answer, &error, d);
    buf_free(&b);
    if (e == ERR_OK) e = json_read(m->mem, answer, &limits, &v, d);
    if (e != ERR_OK) return e;
    JSON_EACH(row, json_get(json_item(&v, 0), "rows"))
    for (uint32_t i = 0; i < m->n; i++) m->people[i].there |= str_eq_nocase(m->people[i].id, json_str(json_get(row, "id")));
    for (uint32_t i = 1; i < m->n; i++)
        for (uint32_t k = 0; k < i; k++) m->people[i].there |= str_eq_nocase(m->people[i].id, m->people[k].id);
    return ERR_OK;
}

/* By halves, down to who it is: none of them is there half. */
static err insert(struct import *m, const struct person *of, uint32_t n, struct diag *d) {
    struct pg_error error;
    uint64_t made = 0;
    uint32_t from = 0, step = n;
    while (from < n) {
        uint32_t some = MIN(step, n - from);
        err e = ask(m, of + from, some, &made, &error, d);
        if (e != ERR_OK && (e != ERR_INVALID || !error.state[0] || passes(error.state))) return e;
        if (e == ERR_OK) {
            m->made += made, m->there += some - MIN(made, (uint64_t)some);
            from += some, step = MIN(step * 2, n);
        } else if (some > 1) {
            step = some / 2;
        } else {
            complain(m, &of[from], (const char *)arena_fmt(m->mem, "%s: %s", error.state, error.message).p);
            from++, step = MIN(step * 2, n);
        }
    }
    return ERR_OK;
}

static void progress(const struct import *m, bool over) {
    uint64_t ms = (clock_mono_ns() - m->begun_ns) / 1'000'000 + 1, n = m->made + m->there;
    if (m->u->c->json || (!over && !isatty(STDERR_FILENO))) return;
    fprintf(stderr, "%s%llu user%s, %llu a second%s", isatty(STDERR_FILENO) ? "\r" : "", (unsigned long long)n, n == 1 ? "" : "s",
            (unsigned long long)(n * 1000 / ms), over ? "\n" : "");
    if (!over) fprintf(stderr, ", %llu %% ", (unsigned long long)node_users_read_permille(m->r) / 10);
}

static err flush(struct import *m, struct diag *d) {
    err e = m->n ? mark_there(m, d) : ERR_OK;
    if (m->n && e == ERR_OK) e = insert(m, m->people, m->n, d);
    m->n = 0;
    arena_reset(m->mem);
    progress(m, false);
    return e;
}

static err read_all(struct import *m, struct diag *d) {
    size_t bytes = 0;
    err e = ERR_OK;
    while (e == ERR_OK) {
        struct person *p = &m->people[m->n];
        if (!node_users_next(m->r, m->mem, p)) break;
        const char *why = settle(m, p);
        if (why) {
            complain(m, p, why);
            continue;
        }
        bytes += 1500 + bytes_of(p->user_data) + bytes_of(p->app_data) + p->identities.n * 600;
        m->n++;
        if (m->n < CHUNK && bytes < CHUNK_BYTES_MAX) continue;
        bytes = 0;
        if (!m->u->c->dry_run) e = flush(m, d);
        else m->made += m->n, m->n = 0, arena_reset(m->mem);
    }
    if (e == ERR_OK && !m->u->c->dry_run) e = flush(m, d);
    else if (e == ERR_OK) m->made += m->n;
    return e;
}

static void tell(const struct import *m) {
    FILE *to = m->u->c->to;
    if (m->u->c->json) {
        struct buf b = {0};
        struct json_writer w = json_writer_of(&b);
        json_put_object(&w, NULL);
        json_put_u64(&w, "imported", m->made), json_put_u64(&w, "there", m->there), json_put_u64(&w, "refused", m->refused);
        json_put_u64(&w, "without_password", m->without_password);
        json_put_end(&w);
        fprintf(to, STR_FMT "\n", STR_ARG(buf_str(&b)));
        buf_free(&b);
        return;
    }
    fprintf(to, "%s %llu", m->u->c->dry_run ? "would import" : "imported", (unsigned long long)m->made);
    if (m->there) fprintf(to, "; %llu were there", (unsigned long long)m->there);
    if (m->refused) fprintf(to, "; %llu refused", (unsigned long long)m->refused);
    fputc('\n', to);
    if (m->without_password)
        fprintf(to, "%llu of them have a password that cannot be compared here, and come back by a link or a code\n",
                (unsigned long long)m->without_password);
}

err node_users_import(const struct node_users_config *c, uint64_t *refused, struct diag *d) {
    struct users u;
    struct import *m = arena_make(c->mem, struct import);
    struct tm tm;
    char now[32];
    time_t s = time(NULL);
    gmtime_r(&s, &tm);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
    *m = (struct import){
        .u = &u, .file = c->operand, .mem = arena_new(0), .now = arena_str(c->mem, str_c(now)), .begun_ns = clock_mono_ns()};
    err e = node_users_read(c->mem, c->operand, c->from, c->hashes, c->hash_config, &m->r, d);
    if (e == ERR_OK) e = node_users_open(c, NULL, &u, d);
    if (e == ERR_OK) {
        e = read_all(m, d);
        progress(m, true);
        tell(m);
        node_ask_close(u.a);
    }
    *refused = m->refused;
    node_users_read_end(m->r);
    arena_free(m->mem);
    return e;
}
