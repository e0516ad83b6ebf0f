/* Inside the manifest room. */
#ifndef ORLO_MANIFEST_INT_H
#define ORLO_MANIFEST_INT_H

#include "manifest/config.h"
#include "manifest/manifest.h"
#include "manifest/toml_shim.h"

/* ---- toml.c: a file as a tree ---- */

struct toml {
    enum toml_type type;
    uint32_t line, column; /* of the value */
    str key;               /* of a table's entry */
    uint32_t key_line, key_column;
    str s;
    int64_t i; /* a bool's, too */
    double f;
    struct toml *items; /* of an array; of a table in the order in which they stand in the file */
    uint32_t n, cap;
};
enum { TOML_BYTES_MAX = 256 * 1024, TOML_KEY_PARTS_MAX = 32, TOML_VALUES_MAX = 100'000 };
/* The table that holds all. NULL: it is no TOML, or too much of it, and wrong says where. */
const struct toml *manifest_toml(arena *out, str text, struct manifest_note *wrong);
const struct toml *manifest_toml_get(const struct toml *table, const char *key); /* NULL: it has none */

/* ---- reader.c: a tree against tables of keys ---- */

struct manifest_path { /* where the reader is: "functions", "api" */
    const struct manifest_path *up;
    str name;
};
struct reader {
    arena *mem;
    struct manifest *to;
    const struct manifest_path *path;
};
/* What a value may be: one of types.def. */
enum manifest_type {
#define TYPE(name, ...) MANIFEST_##name,
#include "manifest/types.def"
#undef TYPE
    MANIFEST_TYPES
};
struct manifest_key {
    const char *key;
    enum manifest_type type;
    void (*read)(struct reader *r, void *to, const struct toml *v);
    const char *sub; /* the shape of what it holds; "": none */
    const char *help, *otherwise;
};
struct manifest_shape { /* a table, and what it may hold */
    const char *name, *help;
    const struct manifest_key *keys;
    size_t count;
    uint32_t settings;                                      /* 1 << app_scope: the keys of settings.def that it has besides */
    uint64_t *(*setting)(void *to, enum app_setting_id id); /* where their values go */
};
/* For rows of a .def with SHAPE(name, settings, where they go, help) KEY(shape, key, type, sub, help, otherwise) END: a reader a row is
 * NAME_KEY. Include it with these, then undefine them. */
#define MANIFEST_READER(shape, key, ...) static void shape##_##key(struct reader *r, void *to, const struct toml *v);
#define MANIFEST_ROW(shape, key, type, sub, help, otherwise) {#key, MANIFEST_##type, shape##_##key, #sub, help, otherwise},
void manifest_error(struct reader *r, const struct toml *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void manifest_remark(struct reader *r, const struct toml *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* What is read now stands there, for whoever finds something wrong with it later. */
void manifest_place(struct reader *r, const struct toml *at);
/* What went wrong as a flag's words, told of a key: "--allow-http 'x': …; write --allow-http y" → "'x': …; write \"y\"". */
void manifest_error_of(struct reader *r, const struct toml *at, const struct diag *d);
/* All entries of a table: those that the shape has to their readers, others are errors. */
void manifest_table(struct reader *r, const struct toml *table, const struct manifest_shape *shape, void *to);
/* Whether a value is of a type; else an error. */
bool manifest_is(struct reader *r, const struct toml *v, enum manifest_type type);
/* A bare number has the unit that the key ends with. */
void manifest_setting(struct reader *r, const struct toml *v, enum app_setting_id id, uint64_t *to);
/* Every entry of a table whose keys are anybody's, every item of an array; up to most. */
void manifest_each(struct reader *r, const struct toml *v, uint32_t most,
                   void (*read)(struct reader *r, void *to, const struct toml *v), void *to);
/* A path of a file in the bundle: relative, without "..". Empty, and an error: it is none. */
str manifest_bundle_path(struct reader *r, const struct toml *v);

/* ---- orlo.c: what manifests have in common ---- */

str manifest_host_label(arena *out, str name); /* "My App_2" → "my-app-2"; empty: nothing is left */
bool manifest_name_ok(str name, size_t most);  /* letters, digits, _, and inside - and . */
/* What limits do not say is as it is of others; 0 of both stays 0. */
void manifest_limits_below(struct app_limits *limits, const struct app_limits *of);
void manifest_add_supabase_route(struct reader *r, const struct app_function *f, uint32_t index);
void manifest_check_routes(struct reader *r, const struct toml *root);
/* The app's database: a word, or a server's URL, which becomes a secret. */
void manifest_database_word(struct reader *r, const struct toml *v);
/* Where its SQL is unless it is said: below a folder ("": the manifest's own), once all has been read. */
void manifest_database_places(struct reader *r, const struct toml *root, const char *folder);
/* A secret of the app's, that has to be set. */
void manifest_need_secret(struct reader *r, str key);
void manifest_finish(struct reader *r, const struct toml *root);

/* ---- rules.c: rules for requests ---- */

void manifest_pattern(struct reader *r, const struct toml *v, str *to);
void manifest_cache_match(struct reader *r, const struct toml *v, str *to); /* as a pattern within a folder */
void manifest_cache_value(struct reader *r, const struct toml *v, str *to);
void manifest_field(struct reader *r, const struct toml *v, enum app_field_how how, struct app_headers *to);
void manifest_method(struct reader *r, const struct toml *v, str *to); /* empty: it is none */
void manifest_rate_by(struct reader *r, const struct toml *v, struct app_rate *to);
void manifest_rate_finish(struct reader *r, const struct toml *v, struct app_rate *to);
void manifest_hsts_finish(struct reader *r, const struct toml *v);
void manifest_https(struct reader *r, const struct toml *v);
void manifest_moved_host(struct reader *r, const struct toml *v, struct app_moved *to);
void manifest_moved_condition(struct reader *r, const struct toml *v, struct app_moved *to);
/* One that is looked at before routes: it names a host, or a query. */
void manifest_moved_finish(struct reader *r, const struct toml *v, struct app_moved *to);
void manifest_target(struct reader *r, const struct toml *v, str target, str from); /* of a redirect by a route */

/* ---- a file of each kind ---- */

void manifest_read_orlo(struct reader *r, const struct toml *root);
void manifest_read_spin(struct reader *r, const struct toml *root);
void manifest_read_supabase(struct reader *r, const struct toml *root);
void manifest_read_config(struct reader *r, const struct toml *root);
struct manifest_shapes {
    const char *title;                   /* of a document */
    const struct manifest_shape *shapes; /* the first is the file's own */
    size_t count;
};
/* database.c's reader of the key `migrations` and of seeds, for who has such keys. */
void manifest_database_migrations(struct reader *r, const struct toml *v);
void manifest_database_seed(struct reader *r, const struct toml *v, const char *below);
/* What /rest/v1 shows: lists of schemas' names, a function's. */
void manifest_rest_schemas(struct reader *r, const struct toml *v);
void manifest_rest_search(struct reader *r, const struct toml *v);
void manifest_rest_function(struct reader *r, const struct toml *v, str *to);
void manifest_rest_audience(struct reader *r, const struct toml *v);
/* Users: as it is where nothing is said; a URL; globs; what a password needs; a number, within its bounds. */
enum manifest_auth_number {
#define X(name, ...) MANIFEST_AUTH_##name,
    APP_AUTH_NUMBERS(X)
#undef X
};
void manifest_auth_begin(struct reader *r);
/* A relay's: its name, its port, a word of app_mail_tls; a name, an address that mails are from; what it lacks. */
void manifest_mail_host(struct reader *r, const struct toml *v, struct app_mail *m);
void manifest_mail_port(struct reader *r, const struct toml *v, struct app_mail *m);
void manifest_mail_tls(struct reader *r, const struct toml *v, struct app_mail *m);
void manifest_mail_words(struct reader *r, const struct toml *v, str *to);
void manifest_mail_address(struct reader *r, const struct toml *v, str *to);
/* Words of mails: one more; a subject; "de-AT" in small letters; what a user is told of. */
void manifest_template_add(struct reader *r, const struct toml *v, const struct app_template *t);
void manifest_template_subject(struct reader *r, const struct toml *v, struct app_template *t);
bool manifest_language(struct reader *r, const struct toml *v, str *language);
void manifest_notify(struct reader *r, void *to, const struct toml *v);
/* Files of words, as control gives them to a job (mails.c): each "PATH\nKIND html|text\nBYTES\n", and so many bytes. */
void manifest_read_mails(struct reader *r, str text);
/* Who brings messages to telephones; his address; what they say; a number and its code; what it lacks. */
void manifest_sms_provider(struct reader *r, const struct toml *v, str word, struct app_sms *s);
void manifest_sms_url(struct reader *r, const struct toml *v, struct app_sms *s);
void manifest_sms_words(struct reader *r, const struct toml *v, struct app_sms *s);
void manifest_sms_tests(struct reader *r, const struct toml *v, struct app_sms *s);
void manifest_sms_finish(struct reader *r, const struct toml *v, struct app_sms *s);
void manifest_mail_finish(struct reader *r, const struct toml *v, struct app_mail *m, const char *from);
void manifest_auth_site(struct reader *r, const struct toml *v);
void manifest_auth_redirects(struct reader *r, const struct toml *v);
void manifest_auth_rp_id(struct reader *r, const struct toml *v);
void manifest_auth_rp_name(struct reader *r, const struct toml *v);
void manifest_auth_origins(struct reader *r, const struct toml *v);
void manifest_auth_leaked(struct reader *r, const struct toml *v);
void manifest_auth_password(struct reader *r, const struct toml *v);
bool manifest_auth_time(str text, int64_t *s); /* "1h30m", "0s": as Go writes a time; empty: 0 */
void manifest_auth_number(struct reader *r, const struct toml *v, enum manifest_auth_number which, int64_t value);
/* hooks.c: where one leads to, and what it is signed with. */
extern const char *const manifest_hook_names[APP_HOOKS];
void manifest_hook_function(struct reader *r, struct app_hook *hook, const struct toml *v);
void manifest_hook_sql(struct reader *r, struct app_hook *hook, const struct toml *v);
void manifest_hook_url(struct reader *r, struct app_hook *hook, const struct toml *v);
void manifest_hook_secret(struct reader *r, struct app_hook *hook, const struct toml *v);
void manifest_hook_uri(struct reader *r, struct app_hook *hook, const struct toml *v);
void manifest_hook_secrets(struct reader *r, struct app_hook *hook, const struct toml *v, const char *which);
void manifest_oauth_path(struct reader *r, const struct toml *v);
void manifest_captcha_provider(struct reader *r, const struct toml *v);
void manifest_captcha_secret(struct reader *r, const struct toml *v, str name);
void manifest_captcha_url(struct reader *r, const struct toml *v);
void manifest_captcha_finish(struct reader *r, const struct toml *v);
void manifest_pages_name(struct reader *r, const struct toml *v);
void manifest_pages_logo(struct reader *r, const struct toml *v);
void manifest_pages_colour(struct reader *r, const struct toml *v);
void manifest_hooks_of_functions(struct reader *r);
void manifest_check_hooks(struct reader *r, const struct toml *root);
bool manifest_is_web(str s); /* "https://…", "http://…", and no fragment */
/* Providers of identities. required: a deployment needs the secret. */
void manifest_provider_url(struct reader *r, const struct toml *v, str *to);
void manifest_provider_text(struct reader *r, const struct toml *v, str *to);
void manifest_provider_clients(struct reader *r, const struct toml *v, struct app_provider *p, bool required);
void manifest_provider_secret(struct reader *r, const struct toml *v, struct app_provider *p);
void manifest_provider_secret_of_env(struct reader *r, const struct toml *v, struct app_provider *p);
void manifest_provider_add(struct reader *r, const struct toml *v, const struct app_provider *p, bool enabled);
extern const struct manifest_shapes manifest_orlo_shapes, manifest_config_shapes, manifest_spin_shapes, manifest_supabase_shapes;

#endif
