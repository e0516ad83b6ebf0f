/* users_read: users as other services export them, one after the other: a file is mapped, cut into records, and each is read by itself, so that its size is
 * nobody's memory.
 *
 *   supabase  rows of auth.users (and of auth.identities within them, as the admin API gives them): an array, {"users": […]}, or an object a line
 *   firebase  {"users": […]} of `firebase auth:export`; passwords need the project's parameters (--hash-config)
 *   auth0     an object a line, of its export; passwords stand in another file (--hashes), by address or id
 *   csv       a head, and a line each; columns as auth.users has them, or in plain words
 */
#include "auth/auth.h"
#include "crypto/crypto.h"
#include "node/command/users.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_BYTES_MAX = 1 << 20, COLUMNS_MAX = 256, CONFIG_BYTES_MAX = 64 << 10 };
enum format { SUPABASE, FIREBASE, AUTH0, CSV, FORMATS };
static const char *const formats[FORMATS] = {"supabase", "firebase", "auth0", "csv"};

struct hash_of { /* of Auth0's second file */
    struct hash_of *next;
    str key, hash;
};
struct users_reader {
    arena *mem;
    str text;
    size_t at;
    uint64_t line; /* of at */
    enum format format;
    uint32_t depth;   /* of the records, in a document that has them all */
    VEC(str) columns; /* of a CSV's head */
    uint8_t separator;
    str signer, salt_separator; /* Firebase's */
    uint64_t rounds, mem_cost;
    struct hash_of **hashes;
    size_t hashes_size;
    str hashes_text;
};

err node_users_map(const char *path, str *text, struct diag *d) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *text = (str){0};
    if (fd < 0) return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    bool file = !fstat(fd, &st) && S_ISREG(st.st_mode);
    void *p = file && st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (!file) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s is no file", path);
    if (p == MAP_FAILED) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s: there is nothing in it", path);
    *text = (str){p, (size_t)st.st_size};
    return ERR_OK;
}

str node_users_id_of(arena *out, str source, str id) {
    uint8_t b[CRYPTO_SHA256_BYTES];
    crypto_sha256(arena_fmt(out, STR_FMT "\n" STR_FMT, STR_ARG(source), STR_ARG(id)), b);
    b[6] = (uint8_t)((b[6] & 15) | 0x80), b[8] = (uint8_t)((b[8] & 63) | 0x80);
    return arena_fmt(out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
                     b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* ---- records of JSON ---- */

static void step(struct users_reader *r) { r->line += r->text.p[r->at++] == '\n'; }

/* To the end of what begins here: an object, with all that is in it. */
static str object(struct users_reader *r) {
    size_t from = r->at;
    uint32_t depth = 0;
    bool quoted = false;
    while (r->at < r->text.n) {
        uint8_t c = r->text.p[r->at];
        if (quoted && c == '\\' && r->at + 1 < r->text.n) r->at++;
        else if (c == '"') quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[')) depth++;
        else if (!quoted && (c == '}' || c == ']') && depth) depth--;
        step(r);
        if (!depth && !quoted) break;
    }
    return str_sub(r->text, from, r->at - from);
}

/* Nothing: there is none any more. */
static str next_object(struct users_reader *r) {
    while (r->at < r->text.n && r->text.p[r->at] != '{' && !(r->depth && r->text.p[r->at] == ']')) step(r);
    return r->at < r->text.n && r->text.p[r->at] == '{' ? object(r) : (str){0};
}

/* {"users": [: what stands before it is passed over. */
static void into_document(struct users_reader *r) {
    str name = STR("\"users\"");
    while (r->at < r->text.n && memchr(" \t\r\n\xef\xbb\xbf", r->text.p[r->at], 7)) step(r);
    if (r->at >= r->text.n) return;
    r->depth = r->text.p[r->at] == '[';
    if (r->depth) {
        step(r);
        return;
    }
    str head = str_sub(r->text, r->at, 256);
    const uint8_t *at = memmem(head.p, head.n, name.p, name.n),
                  *bracket = at ? memchr(at, '[', (size_t)(head.p + head.n - at)) : NULL;
    if (!bracket || memchr(at + name.n, '"', (size_t)(bracket - at) - name.n)) return;
    while (r->text.p + r->at <= bracket) step(r);
    r->depth = 1;
}

/* ---- records of CSV (RFC 4180) ---- */

static bool cell(struct users_reader *r, arena *out, str *value) {
    struct buf b = {0};
    bool quoted = r->at < r->text.n && r->text.p[r->at] == '"', more = false;
    if (quoted) step(r);
    while (r->at < r->text.n) {
        uint8_t c = r->text.p[r->at];
        if (quoted && c == '"') {
            step(r);
            if (r->at < r->text.n && r->text.p[r->at] == '"') buf_putc(&b, '"'), step(r);
            else quoted = false;
            continue;
        }
        if (!quoted && (c == r->separator || c == '\n')) {
            more = c == r->separator;
            break;
        }
        if (quoted || c != '\r') buf_putc(&b, c);
        step(r);
    }
    if (r->at < r->text.n) step(r);
    *value = arena_str(out, buf_str(&b));
    buf_free(&b);
    return more;
}

static void read_head(struct users_reader *r) {
    str one;
    bool more = true;
    str line = str_sub(r->text, 0, str_find(r->text, '\n'));
    if (str_starts(r->text, STR("\xef\xbb\xbf"))) r->at = 3;
    r->separator = str_find(line, ',') < line.n    ? ','
                   : str_find(line, ';') < line.n  ? ';'
                   : str_find(line, '\t') < line.n ? '\t'
                                                   : ',';
    while (more && r->columns.n < COLUMNS_MAX) {
        more = cell(r, r->mem, &one);
        vec_push(r->mem, &r->columns, str_trim(one));
    }
}

static bool next_row(struct users_reader *r, arena *out, struct json *row) {
    bool more = true;
    while (r->at < r->text.n && (r->text.p[r->at] == '\n' || r->text.p[r->at] == '\r')) step(r);
    if (r->at >= r->text.n) return false;
    *row = (struct json){.kind = JSON_KIND_OBJECT, .members = arena_array(out, struct json_member, r->columns.n + 1)};
    for (uint32_t i = 0; more; i++) {
        str value;
        more = cell(r, out, &value);
        if (i >= r->columns.n) continue;
        row->members[row->n++] =
            (struct json_member){r->columns.p[i], {.kind = value.n ? JSON_KIND_STR : JSON_KIND_NULL, .s = value}};
    }
    return true;
}

/* ---- what is in one ---- */

static str text_of(const struct json *o, const char *a, const char *b) {
    str s = json_str(json_get(o, a));
    return s.n || !b ? s : json_str(json_get(o, b));
}

static bool truth(const struct json *v) {
    str s = json_str(v);
    return json_bool(v) || str_eq_nocase(s, STR("true")) || str_eqc(s, "t") || str_eqc(s, "1") || str_eq_nocase(s, STR("yes"));
}

/* An object, or the text of one. */
static const struct json *object_of(arena *out, const struct json *v) {
    static const struct json_limits limits = {RECORD_BYTES_MAX, 32, 10'000};
    struct diag d = DIAG_INIT;
    struct json *made = arena_make(out, struct json);
    if (json_is(v, JSON_KIND_OBJECT)) return v;
    if (!json_str(v).n || json_read(out, json_str(v), &limits, made, &d) != ERR_OK || made->kind != JSON_KIND_OBJECT) return NULL;
    return made;
}

/* Milliseconds since 1970, as text or number. */
static str time_of_ms(arena *out, const struct json *v) {
    uint64_t ms = json_i64(v) > 0 ? (uint64_t)json_i64(v) : 0;
    struct tm tm;
    char text[40];
    if (!ms && !str_to_u64(json_str(v), &ms)) return (str){0};
    time_t s = (time_t)(ms / 1000);
    if (ms > 1ull << 47 || !gmtime_r(&s, &tm)) return (str){0};
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    return arena_fmt(out, "%.*s.%03uZ", (int)n, text, (unsigned)(ms % 1000));
}

/* As a database reads it: what is no time is none. */
static str time_text(str s) { return s.n >= 10 && s.n <= 40 && s.p[0] >= '0' && s.p[0] <= '9' ? s : (str){0}; }

static struct json *made_object(arena *out, uint32_t members_max) {
    struct json *o = arena_make(out, struct json);
    *o = (struct json){.kind = JSON_KIND_OBJECT, .members = arena_array(out, struct json_member, members_max + 1)};
    return o;
}
static void add_text(struct json *o, const char *key, str s) {
    if (s.n) o->members[o->n++] = (struct json_member){str_c(key), {.kind = JSON_KIND_STR, .s = s}};
}

static void add_identity(arena *out, struct person *p, str provider, str id, const struct json *data) {
    if (provider.n && id.n) vec_push(out, &p->identities, ((struct identity){provider, id, data}));
}

/* ---- rows of auth.users ---- */

static void read_supabase(struct users_reader *r, arena *out, const struct json *o, struct person *p) {
    bool admins = json_get(o, "user_metadata") || json_get(o, "app_metadata"); /* as the admin API gives them */
    p->id = text_of(o, "id", NULL);
    p->email = text_of(o, "email", NULL), p->phone = text_of(o, "phone", NULL);
    p->hash = text_of(o, "encrypted_password", "password_hash");
    p->role = text_of(o, "role", NULL);
    p->created = time_text(text_of(o, "created_at", NULL));
    p->confirmed = time_text(text_of(o, "email_confirmed_at", "confirmed_at"));
    p->phone_confirmed = time_text(text_of(o, "phone_confirmed_at", NULL));
    p->signed_in = time_text(text_of(o, "last_sign_in_at", NULL));
    p->banned = time_text(text_of(o, "banned_until", NULL));
    p->deleted = time_text(text_of(o, "deleted_at", NULL));
    p->user_data = object_of(out, json_get(o, admins ? "user_metadata" : "raw_user_meta_data"));
    p->app_data = object_of(out, json_get(o, admins ? "app_metadata" : "raw_app_meta_data"));
    p->anonymous = truth(json_get(o, "is_anonymous")), p->sso = truth(json_get(o, "is_sso_user"));
    JSON_EACH(i, json_get(o, "identities"))
    add_identity(out, p, text_of(i, "provider", NULL), text_of(i, "provider_id", "id"), json_get(i, "identity_data"));
    if (!auth_is_id(p->id)) p->bad = "id is no UUID";
}

/* ---- CSV: columns by auth.users' names, or in plain words; what else there is says something of the user ---- */

static void read_csv(struct users_reader *r, arena *out, const struct json *o, struct person *p) {
    static const char *const known[] = {"id",
                                        "email",
                                        "phone",
                                        "password",
                                        "password_hash",
                                        "encrypted_password",
                                        "role",
                                        "aud",
                                        "instance_id",
                                        "created_at",
                                        "updated_at",
                                        "email_confirmed_at",
                                        "email_verified",
                                        "confirmed_at",
                                        "phone_confirmed_at",
                                        "last_sign_in_at",
                                        "banned_until",
                                        "deleted_at",
                                        "raw_user_meta_data",
                                        "raw_app_meta_data",
                                        "user_metadata",
                                        "app_metadata",
                                        "is_anonymous",
                                        "is_sso_user",
                                        "is_super_admin",
                                        "invited_at",
                                        "confirmation_token",
                                        "confirmation_sent_at",
                                        "recovery_token",
                                        "recovery_sent_at",
                                        "email_change",
                                        "email_change_token_new",
                                        "email_change_token_current",
                                        "email_change_confirm_status",
                                        "email_change_sent_at",
                                        "phone_change",
                                        "phone_change_token",
                                        "phone_change_sent_at",
                                        "reauthentication_token",
                                        "reauthentication_sent_at"};
    struct json *said = made_object(out, o->n);
    read_supabase(r, out, o, p);
    p->bad = NULL;
    p->password = text_of(o, "password", NULL);
    if (!p->confirmed.n && truth(json_get(o, "email_verified"))) p->confirmed = p->created.n ? p->created : STR("now");
    if (!p->id.n) p->id = node_users_id_of(out, STR("csv"), p->email.n ? p->email : p->phone);
    if (!auth_is_id(p->id))
        p->source = STR("imported_id"), p->source_id = p->id, p->id = node_users_id_of(out, STR("csv"), p->id);
    for (uint32_t i = 0; i < o->n; i++) {
        bool is_known = false;
        for (size_t k = 0; k < ARRAY_COUNT(known); k++) is_known |= str_eqc(o->members[i].key, known[k]);
        if (!is_known && o->members[i].key.n && o->members[i].v.kind == JSON_KIND_STR) said->members[said->n++] = o->members[i];
    }
    if (!p->user_data && said->n) p->user_data = said;
}

/* ---- Firebase ---- */

static str hash_of_firebase(struct users_reader *r, arena *out, const struct json *o) {
    struct buf b = {0};
    str hash = text_of(o, "passwordHash", NULL), salt = text_of(o, "salt", NULL);
    if (!hash.n || !r->signer.n) return (str){0};
    buf_printf(&b, "$fbscrypt$v=1,n=%llu,r=%llu,p=1,ss=" STR_FMT ",sk=" STR_FMT "$" STR_FMT "$" STR_FMT,
               (unsigned long long)r->mem_cost, (unsigned long long)r->rounds, STR_ARG(r->salt_separator), STR_ARG(r->signer),
               STR_ARG(salt), STR_ARG(hash));
    for (size_t i = 0; i < b.n; i++) /* its base64 is that of URLs */
        if (i > 10 && (b.p[i] == '-' || b.p[i] == '_')) b.p[i] = b.p[i] == '-' ? '+' : '/';
    str made = arena_str(out, buf_str(&b));
    buf_free(&b);
    return made;
}

static str provider_of(str name) {
    static const char *const rows[][2] = {{"google.com", "google"},     {"facebook.com", "facebook"}, {"github.com", "github"},
                                          {"apple.com", "apple"},       {"twitter.com", "twitter"},   {"microsoft.com", "azure"},
                                          {"google-oauth2", "google"},  {"windowslive", "azure"},     {"yahoo.com", "yahoo"},
                                          {"linkedin", "linkedin_oidc"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eqc(name, rows[i][0])) return str_c(rows[i][1]);
    return name;
}

static void read_firebase(struct users_reader *r, arena *out, const struct json *o, struct person *p) {
    struct json *said = made_object(out, 4);
    str id = text_of(o, "localId", NULL);
    p->source = STR("firebase_uid"), p->source_id = id;
    p->id = node_users_id_of(out, STR("firebase"), id);
    p->email = text_of(o, "email", NULL), p->phone = text_of(o, "phoneNumber", NULL);
    p->hash = hash_of_firebase(r, out, o);
    p->created = time_of_ms(out, json_get(o, "createdAt")), p->signed_in = time_of_ms(out, json_get(o, "lastSignedInAt"));
    if (truth(json_get(o, "emailVerified"))) p->confirmed = p->created.n ? p->created : STR("now");
    if (p->phone.n) p->phone_confirmed = p->created.n ? p->created : STR("now"); /* it signs in by that alone */
    if (truth(json_get(o, "disabled"))) p->banned = STR("2226-01-01T00:00:00Z");
    add_text(said, "full_name", text_of(o, "displayName", NULL));
    add_text(said, "avatar_url", text_of(o, "photoUrl", NULL));
    if (said->n) p->user_data = said;
    p->app_data = object_of(out, json_get(o, "customAttributes"));
    JSON_EACH(i, json_get(o, "providerUserInfo")) {
        str provider = text_of(i, "providerId", NULL);
        struct json *data = made_object(out, 5);
        if (str_eqc(provider, "password") || str_eqc(provider, "phone")) continue;
        add_text(data, "sub", text_of(i, "rawId", NULL));
        add_text(data, "email", text_of(i, "email", NULL));
        add_text(data, "full_name", text_of(i, "displayName", NULL));
        add_text(data, "avatar_url", text_of(i, "photoUrl", NULL));
        add_identity(out, p, provider_of(provider), text_of(i, "rawId", NULL), data);
    }
    p->anonymous = !p->email.n && !p->phone.n && !p->identities.n;
    if (!id.n) p->bad = "there is no localId";
}

/* ---- Auth0 ---- */

static str id_of_auth0(const struct json *o) {
    str id = text_of(o, "user_id", "Id");
    return id.n ? id : json_str(json_get(json_get(o, "_id"), "$oid"));
}

/* {"algorithm": "bcrypt", "hash": {"value": …}} */
static str hash_of_auth0(const struct json *o) {
    str hash = text_of(o, "passwordHash", "password_hash");
    return hash.n ? hash : json_str(json_get(json_get(json_get(o, "custom_password_hash"), "hash"), "value"));
}

static str kept_hash(const struct users_reader *r, str key) {
    for (const struct hash_of *h = key.n && r->hashes ? r->hashes[str_hash(key) % r->hashes_size] : NULL; h; h = h->next)
        if (str_eq(h->key, key)) return h->hash;
    return (str){0};
}

static void read_auth0(struct users_reader *r, arena *out, const struct json *o, struct person *p) {
    struct json *said = made_object(out, 8);
    const struct json *data = object_of(out, json_get(o, "user_metadata"));
    str id = id_of_auth0(o), bare = str_starts(id, STR("auth0|")) ? str_sub(id, 6, id.n) : id;
    p->source = STR("auth0_id"), p->source_id = id;
    p->id = node_users_id_of(out, STR("auth0"), bare);
    p->email = text_of(o, "email", "Email"), p->phone = text_of(o, "phone_number", NULL);
    p->hash = hash_of_auth0(o);
    if (!p->hash.n) p->hash = kept_hash(r, bare);
    if (!p->hash.n) p->hash = kept_hash(r, p->email);
    p->created = time_text(text_of(o, "created_at", "Created At")), p->signed_in = time_text(text_of(o, "last_login", NULL));
    if (truth(json_get(o, "email_verified")) || truth(json_get(o, "Email Verified")))
        p->confirmed = p->created.n ? p->created : STR("now");
    if (truth(json_get(o, "phone_verified"))) p->phone_confirmed = p->created.n ? p->created : STR("now");
    if (truth(json_get(o, "blocked"))) p->banned = STR("2226-01-01T00:00:00Z");
    add_text(said, "full_name", text_of(o, "name", "Name"));
    add_text(said, "nickname", text_of(o, "nickname", "Nickname"));
    add_text(said, "avatar_url", text_of(o, "picture", NULL));
    p->user_data = data && data->n ? data : said->n ? said : NULL;
    p->app_data = object_of(out, json_get(o, "app_metadata"));
    JSON_EACH(i, json_get(o, "identities")) {
        str provider = text_of(i, "provider", NULL), sub = text_of(i, "user_id", NULL);
        struct json *of = made_object(out, 2);
        if (!sub.n && json_is(json_get(i, "user_id"), JSON_KIND_I64))
            sub = arena_fmt(out, "%lld", (long long)json_i64(json_get(i, "user_id")));
        if (str_eqc(provider, "auth0")) continue;
        add_text(of, "sub", sub), add_text(of, "email", p->email);
        add_identity(out, p, provider_of(provider), sub, of);
    }
    if (!id.n) p->bad = "there is no user_id";
}

/* ---- files ---- */

/* "base64_signer_key: …," of Firebase's page, or JSON. */
static str setting(str text, const char *name) {
    const uint8_t *at = memmem(text.p, text.n, name, strlen(name));
    if (!at) return (str){0};
    str rest = str_sub(text, (size_t)(at - text.p) + strlen(name), text.n);
    while (rest.n && memchr(" \t\":=", rest.p[0], 5)) rest = str_sub(rest, 1, rest.n);
    size_t n = 0;
    while (n < rest.n && !memchr(" \t\r\n\",}", rest.p[n], 7)) n++;
    return str_sub(rest, 0, n);
}

static err read_config(struct users_reader *r, const char *path, struct diag *d) {
    str text;
    TRY(node_users_map(path, &text, d));
    str all = arena_str(r->mem, str_sub(text, 0, CONFIG_BYTES_MAX));
    munmap((void *)(uintptr_t)text.p, text.n);
    r->signer = setting(all, "base64_signer_key"), r->salt_separator = setting(all, "base64_salt_separator");
    if (!r->signer.n) r->signer = setting(all, "signerKey"), r->salt_separator = setting(all, "saltSeparator");
    str cost = setting(all, "mem_cost");
    if (!cost.n) cost = setting(all, "memCost");
    if (r->signer.n && str_to_u64(setting(all, "rounds"), &r->rounds) && str_to_u64(cost, &r->mem_cost)) return ERR_OK;
    return diag_set(
        d, ERR_INVALID, DIAG_NOWHERE,
        "%s: it is to have base64_signer_key, base64_salt_separator, rounds and mem_cost, as the Firebase console shows them "
        "(Authentication, Users, Password hash parameters)",
        path);
}

static void keep_hash(struct users_reader *r, str key, str hash) {
    struct hash_of *h = arena_make(r->mem, struct hash_of), **at = &r->hashes[str_hash(key) % r->hashes_size];
    if (!key.n) return;
    *h = (struct hash_of){*at, arena_str(r->mem, key), hash};
    *at = h;
}

static err read_hashes(struct users_reader *r, const char *path, struct diag *d) {
    static const struct json_limits limits = {RECORD_BYTES_MAX, 32, 10'000};
    struct users_reader file = {.line = 1};
    arena *scratch = arena_new(0);
    TRY(node_users_map(path, &file.text, d));
    r->hashes_size = file.text.n / 128 + 64;
    r->hashes = arena_array(r->mem, struct hash_of *, r->hashes_size);
    into_document(&file);
    for (str one; (one = next_object(&file)).n; arena_reset(scratch)) {
        struct json v;
        struct diag unused = DIAG_INIT;
        if (one.n > RECORD_BYTES_MAX || json_read(scratch, one, &limits, &v, &unused) != ERR_OK) continue;
        str hash = arena_str(r->mem, hash_of_auth0(&v)), id = id_of_auth0(&v);
        if (!hash.n) continue;
        keep_hash(r, str_starts(id, STR("auth0|")) ? str_sub(id, 6, id.n) : id, hash);
        keep_hash(r, text_of(&v, "email", NULL), hash);
    }
    munmap((void *)(uintptr_t)file.text.p, file.text.n);
    arena_free(scratch);
    return ERR_OK;
}

/* By a word of the first record. */
static enum format format_of(str text) {
    str head = str_sub(text, 0, 64 << 10);
    size_t i = 0;
    while (i < head.n && memchr(" \t\r\n\xef\xbb\xbf", head.p[i], 7)) i++;
    if (i == head.n || (head.p[i] != '{' && head.p[i] != '[')) return CSV;
    if (memmem(head.p, head.n, "\"localId\"", 9)) return FIREBASE;
    bool auth0 = memmem(head.p, head.n, "\"user_id\"", 9) && !memmem(head.p, head.n, "\"aud\"", 5);
    return auth0 || memmem(head.p, head.n, "\"$oid\"", 6) ? AUTH0 : SUPABASE;
}

err node_users_read(arena *mem, const char *path, const char *format, const char *hashes, const char *config,
                    struct users_reader **out, struct diag *d) {
    struct users_reader *r = arena_make(mem, struct users_reader);
    *r = (struct users_reader){.mem = mem, .line = 1, .format = FORMATS};
    *out = r;
    for (uint32_t i = 0; format && i < FORMATS; i++)
        if (!strcmp(format, formats[i])) r->format = (enum format)i;
    if (format && r->format == FORMATS)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--from %s: it is supabase, firebase, auth0 or csv", format);
    TRY(node_users_map(path, &r->text, d));
    if (str_starts(r->text, STR("PGDMP")) || str_starts(r->text, STR("--")) || str_starts(r->text, STR("SET ")))
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s is a dump: orlo import supabase %s takes its users, and all else", path,
                        path);
    if (r->format == FORMATS) r->format = format_of(r->text);
    if (config) TRY(read_config(r, config, d));
    if (hashes) TRY(read_hashes(r, hashes, d));
    if (r->format == CSV) read_head(r);
    else into_document(r);
    return ERR_OK;
}

bool node_users_next(struct users_reader *r, arena *out, struct person *p) {
    static const struct json_limits limits = {RECORD_BYTES_MAX, 32, 10'000};
    static void (*const read[FORMATS])(struct users_reader *, arena *, const struct json *,
                                       struct person *) = {read_supabase, read_firebase, read_auth0, read_csv};
    struct json v;
    struct diag d = DIAG_INIT;
    *p = (struct person){0};
    if (r->format == CSV) {
        p->line = r->line;
        if (!next_row(r, out, &v)) return false;
    } else {
        while (r->at < r->text.n && r->text.p[r->at] != '{' && !(r->depth && r->text.p[r->at] == ']')) step(r);
        p->line = r->line;
        str one = next_object(r);
        if (!one.n) return false;
        if (one.n > RECORD_BYTES_MAX) return p->bad = "it is larger than 1 MiB", true;
        if (json_read(out, one, &limits, &v, &d) != ERR_OK)
            return p->bad = (const char *)arena_fmt(out, "it is no JSON: %s", d.text).p, true;
    }
    read[r->format](r, out, &v, p);
    return true;
}

uint64_t node_users_read_permille(const struct users_reader *r) { return r->text.n ? r->at * 1000 / r->text.n : 1000; }

void node_users_read_end(struct users_reader *r) {
    if (r && r->text.n) munmap((void *)(uintptr_t)r->text.p, r->text.n);
}
