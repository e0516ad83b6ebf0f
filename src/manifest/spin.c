/* spin: a Spin application's own manifest, of version 2. What it says becomes an app of ours:
 *
 *   [[trigger.http]] route, component   a route to a function: "/a" is exact, "/a/..." with all below it
 *   [component.NAME]                    a function that gets Spin's request headers
 *   [variables], variables = { … }      what is known now is put in; what is not is a secret of the app's, by its name
 *   allowed_outbound_hosts              grants of HTTP requests, of TCP, and of the app's other functions (*.spin.internal)
 *
 * Components that no HTTP trigger names, and that no other may call, are left out, with a remark. */
#include "manifest/manifest_int.h"

/* Components that everybody takes from their makers' release pages, and whose work the node does itself. */
enum stands_for { ITSELF, STATIC_FILES, REDIRECT };
static const struct {
    const char *file;
    enum stands_for what;
} known[] = {{"spin_static_fs.wasm", STATIC_FILES}, {"spin-fileserver.wasm", STATIC_FILES}, {"redirect.wasm", REDIRECT}};

struct component {
    str name;
    const struct toml *at;
    struct app_function f;
    bool is_wanted; /* by a trigger, or by another component */
    enum stands_for stands_for;
    str folder;     /* of files at "/" */
    uint32_t index; /* of those, or of redirects */
    bool has_index;
};
struct route {
    const struct toml *at;
    str path, component;
    bool is_private;
    struct component *own; /* written at the trigger itself */
    str location;          /* of a redirect */
    uint16_t status;
};
struct appvar {
    str name, value;
    bool has_default, required, secret;
};
struct spin {
    struct manifest *to;
    str base;
    VEC(struct appvar) variables;
    VEC(struct component *) components;
    VEC(struct route) routes;
};

#define SHAPE(name, ...)
#define KEY(...) MANIFEST_READER(__VA_ARGS__)
#define END
#include "manifest/spin.def"
#undef SHAPE
#undef KEY
#undef END

#define SHAPE(name, ...) static const struct manifest_key name##_keys[] = {
#define KEY(...) MANIFEST_ROW(__VA_ARGS__)
#define END                                                                                                                      \
    { 0 }                                                                                                                        \
    }                                                                                                                            \
    ;
#include "manifest/spin.def"
#undef SHAPE
#undef KEY
#undef END

static const struct manifest_shape shapes[] = {
#define SHAPE(name, settings, setting, help) {#name, help, name##_keys, ARRAY_COUNT(name##_keys) - 1, settings, setting},
#define KEY(...)
#define END
#include "manifest/spin.def"
#undef SHAPE
#undef KEY
#undef END
};
const struct manifest_shapes manifest_spin_shapes = {"spin.toml", shapes, ARRAY_COUNT(shapes)};

enum {
#define SHAPE(name, ...) SHAPE_##name,
#define KEY(...)
#define END
#include "manifest/spin.def"
#undef SHAPE
#undef KEY
#undef END
};

static void read_shape(struct reader *r, const struct toml *v, int shape, void *to) { manifest_table(r, v, &shapes[shape], to); }

/* What says nothing of how it is run. */
#define WITHOUT_EFFECT(key)                                                                                                      \
    static void key(struct reader *r, void *to, const struct toml *v) {}
WITHOUT_EFFECT(application_version)
WITHOUT_EFFECT(application_description)
WITHOUT_EFFECT(application_authors)
WITHOUT_EFFECT(application_targets)
WITHOUT_EFFECT(application_tool)
WITHOUT_EFFECT(appvar_description)
WITHOUT_EFFECT(trigger_id)
WITHOUT_EFFECT(component_description)
WITHOUT_EFFECT(component_dependencies_inherit_configuration)
WITHOUT_EFFECT(component_targets)
WITHOUT_EFFECT(component_tool)
WITHOUT_EFFECT(component_profile)

/* ---- the application ---- */

static void spin_spin_version(struct reader *r, void *to, const struct toml *v) {
    manifest_error(r, v, "it is a manifest of Spin 1: `spin doctor` of Spin 2 turns it into one of version 2");
}
static void spin_spin_manifest_version(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_INTEGER && v->i == 2) return;
    bool first = (v->type == TOML_INTEGER && v->i == 1) || (v->type == TOML_STRING && str_eqc(v->s, "1"));
    manifest_error(r, v,
                   first ? "it is a manifest of Spin 1: `spin doctor` of Spin 2 turns it into one of version 2" : "it takes 2");
}

static void application_name(struct reader *r, void *to, const struct toml *v) {
    struct app_record *record = &((struct spin *)to)->to->record;
    str name = manifest_host_label(r->mem, v->s);
    if (!name.n) manifest_error(r, v, "a name has letters and digits");
    else if (!record->name.n && !str_eq(name, v->s))
        manifest_remark(r, v, "the app is called " STR_FMT " here, for that is part of its host", STR_ARG(name));
    if (!record->name.n) record->name = name;
}

static void application_trigger(struct reader *r, void *to, const struct toml *v) {
    const struct toml *http = manifest_toml_get(v, "http"), *base = http ? manifest_toml_get(http, "base") : NULL;
    if (!base) return;
    if (base->type != TOML_STRING || !str_starts(base->s, STR("/"))) {
        manifest_error(r, base, "the base of routes is a path, such as /");
        return;
    }
    str path = base->s;
    while (path.n && path.p[path.n - 1] == '/') path.n--;
    ((struct spin *)to)->base = path;
}
static void spin_application(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_application, to); }

static void appvar_default(struct reader *r, void *to, const struct toml *v) {
    ((struct appvar *)to)->value = v->s;
    ((struct appvar *)to)->has_default = true;
}
static void appvar_required(struct reader *r, void *to, const struct toml *v) { ((struct appvar *)to)->required = v->i; }
static void appvar_secret(struct reader *r, void *to, const struct toml *v) { ((struct appvar *)to)->secret = v->i; }
static void one_appvar(struct reader *r, void *to, const struct toml *v) {
    struct appvar a = {.name = v->key};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_appvar, &a);
    if (!manifest_name_ok(v->key, APP_NAME_MAX)) manifest_error(r, v, "a variable's name has letters, digits and _");
    if (!a.has_default && !a.required) manifest_error(r, v, "it needs a default, or required = true");
    if (a.has_default && a.required) manifest_error(r, v, "it is required and has a default: one of both");
    if (a.value.n > UINT16_MAX) manifest_error(r, v, "its default has more than %d bytes", UINT16_MAX);
    vec_push(r->mem, &((struct spin *)to)->variables, a);
}
static void spin_variables(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_appvar, to);
}

/* ---- templates ---- */

static const struct appvar *appvar_named(const struct spin *s, str name) {
    for (uint32_t i = 0; i < s->variables.n; i++)
        if (str_eq(s->variables.p[i].name, name)) return &s->variables.p[i];
    return NULL;
}

static void add_secret(struct reader *r, const struct appvar *a) {
    for (uint32_t i = 0; i < r->to->record.secrets.n; i++)
        if (str_eq(r->to->record.secrets.p[i].key, a->name)) return;
    vec_push(r->mem, &r->to->record.secrets, ((struct app_secret){a->name, a->value, !a->has_default}));
}

static size_t find_two(str s, const char *two) {
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == two[0] && s.p[i + 1] == two[1]) return i;
    return s.n;
}

/* One {{ NAME }} of a template. */
static bool expand_one(struct reader *r, const struct spin *s, const struct toml *v, str name, struct buf *b, bool *secret) {
    const struct appvar *a = appvar_named(s, name);
    if (!a) manifest_error(r, v, "there is no variable " STR_FMT " in [variables]", STR_ARG(str_sub(name, 0, 100)));
    else if (a->has_default && !a->secret) buf_puts(b, a->value);
    else {
        *secret = true;
        add_secret(r, a);
        buf_printf(b, "{{ " STR_FMT " }}", STR_ARG(a->name));
    }
    return a != NULL;
}

/* "https://{{ host }}/": what is known now is put in. *secret: it is still one, of secrets. False, and an error: it is none. */
static bool expand(struct reader *r, const struct spin *s, const struct toml *v, str *text, bool *secret) {
    struct buf b = {.max = APP_VALUE_MAX};
    bool ok = true;
    *secret = false;
    for (str rest = v->s; ok && rest.n;) {
        size_t open = find_two(rest, "{{");
        buf_puts(&b, str_sub(rest, 0, open));
        if (open == rest.n) break;
        rest = str_sub(rest, open + 2, rest.n);
        size_t close = find_two(rest, "}}");
        if (close == rest.n) manifest_error(r, v, "{{ without }}");
        ok = close < rest.n && expand_one(r, s, v, str_trim(str_sub(rest, 0, close)), &b, secret);
        rest = str_sub(rest, MIN(close + 2, rest.n), rest.n);
    }
    if (ok && b.full) manifest_error(r, v, "it has more than %d bytes", APP_VALUE_MAX);
    ok = ok && !b.full;
    *text = arena_str(r->mem, buf_str(&b));
    buf_free(&b);
    return ok;
}

/* ---- components ---- */

struct reading { /* of one */
    struct spin *s;
    struct component *c;
    bool excludes;
};
static struct app_grants *grants_of(void *reading) { return &((struct reading *)reading)->c->f.grants; }

static void remote_url(struct reader *r, void *to, const struct toml *v) {
    if (str_starts(v->s, STR("https://")) || str_starts(v->s, STR("http://"))) ((struct manifest_source *)to)->url = v->s;
    else manifest_error(r, v, "it takes an https:// or http:// URL");
}
static void remote_digest(struct reader *r, void *to, const struct toml *v) {
    struct manifest_source *s = to;
    str hex = str_starts(v->s, STR("sha256:")) ? str_sub(v->s, 7, v->s.n) : (str){0};
    bool ok = hex.n == 2 * APP_DIGEST_BYTES;
    for (size_t i = 0; ok && i < hex.n; i++) {
        uint8_t c = hex.p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        ok = digit >= 0;
        s->digest[i / 2] = (uint8_t)(s->digest[i / 2] << 4 | (digit & 15));
    }
    if (!ok) manifest_error(r, v, "it takes sha256: and 64 hexadecimal digits");
}
static void no_registry(struct reader *r, const struct toml *v) {
    manifest_error(r, v, "packages of a registry are not fetched: fetch it (wkg get), and write source = \"FILE.wasm\"");
}
static void remote_registry(struct reader *r, void *to, const struct toml *v) {}
static void remote_package(struct reader *r, void *to, const struct toml *v) { no_registry(r, v); }
static void remote_version(struct reader *r, void *to, const struct toml *v) {}

static void component_source(struct reader *r, void *to, const struct toml *v) {
    struct component *c = ((struct reading *)to)->c;
    struct manifest_source s = {.function = c->name};
    if (v->type == TOML_STRING) {
        c->f.source = manifest_bundle_path(r, v);
        return;
    }
    read_shape(r, v, SHAPE_remote, &s);
    if (manifest_toml_get(v, "package")) return;
    if (!manifest_toml_get(v, "url")) manifest_error(r, v, "it lacks a url");
    if (!manifest_toml_get(v, "digest")) manifest_error(r, v, "it lacks a digest: what is fetched has to be what was meant");
    memcpy(c->f.module, s.digest, sizeof s.digest);
    c->f.source = arena_fmt(r->mem, STR_FMT ".wasm", STR_ARG(c->name));
    vec_push(r->mem, &r->to->fetches, s);
}

static void one_variable(struct reader *r, void *to, const struct toml *v) {
    struct app_variable a = {.name = v->key};
    if (!manifest_name_ok(v->key, APP_NAME_MAX)) manifest_error(r, v, "a variable's name has letters, digits and _");
    else if (expand(r, ((struct reading *)to)->s, v, &a.value, &a.secret)) vec_push(r->mem, &grants_of(to)->variables, a);
}
static void component_variables(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_variable, to);
}

static void one_env(struct reader *r, void *to, const struct toml *v) {
    if (!v->key.n || memchr(v->key.p, '=', v->key.n)) manifest_error(r, v, "a variable's name is not empty and has no =");
    else vec_push(r->mem, &grants_of(to)->env, ((struct app_env){v->key, v->s}));
}
static void component_environment(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_env, to);
}

static bool check_label(struct reader *r, const struct toml *v) {
    if (manifest_name_ok(v->s, APP_NAME_MAX)) return true;
    manifest_error(r, v, "a label has up to %d letters, digits, - and _, not \"" STR_FMT "\"", APP_NAME_MAX,
                   STR_ARG(str_sub(v->s, 0, 100)));
    return false;
}
static void one_store(struct reader *r, void *to, const struct toml *v) {
    if (check_label(r, v)) vec_push(r->mem, &grants_of(to)->stores, ((struct app_store){v->s, v->s}));
}
static void one_database(struct reader *r, void *to, const struct toml *v) {
    if (check_label(r, v)) vec_push(r->mem, &grants_of(to)->sqlite, ((struct app_store){v->s, v->s}));
}
static void component_key_value_stores(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_store, to);
}
static void component_sqlite_databases(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_database, to);
}
static void component_ai_models(struct reader *r, void *to, const struct toml *v) {
    if (v->n) manifest_remark(r, v, "there are no models here: fermyon:spin/llm answers an error");
}
static void component_dependencies(struct reader *r, void *to, const struct toml *v) {
    if (v->n)
        manifest_error(
            r, v,
            "dependencies are not composed here: compose the component (wac plug FILE.wasm --plug DEPENDENCY.wasm -o OUT.wasm), "
            "write source = \"OUT.wasm\" and leave the dependencies out");
}

/* ---- files ---- */

/* "assets/x*.png" → "assets": the folder that a pattern begins with. */
static str folder_of(str pattern) {
    size_t end = 0;
    for (size_t i = 0; i < pattern.n && !strchr("*?[{", pattern.p[i]); i++)
        if (pattern.p[i] == '/') end = i;
    return str_sub(pattern, 0, end);
}

static void grant_folder(struct reader *r, struct app_grants *g, const struct toml *v, str folder, str guest) {
    struct diag d = DIAG_INIT;
    str arg =
        arena_fmt(r->mem, STR_FMT "::%s" STR_FMT ":ro", STR_ARG(folder), str_starts(guest, STR("/")) ? "" : "/", STR_ARG(guest));
    for (uint32_t i = 0; i < g->dirs.n; i++)
        if (str_eq(g->dirs.p[i].host, folder) && !str_starts(guest, STR("/"))) return; /* two patterns of one folder */
    if (app_grant_dir(r->mem, g, arg, &d) != ERR_OK) manifest_error_of(r, v, &d);
}

static void mount_source(struct reader *r, void *to, const struct toml *v) {
    ((struct app_dir *)to)->host = manifest_bundle_path(r, v);
}
static void mount_destination(struct reader *r, void *to, const struct toml *v) {
    if (v->s.n && v->s.p[0] == '/') ((struct app_dir *)to)->guest = v->s;
    else manifest_error(r, v, "it takes a path that begins with a slash");
}
static void one_file(struct reader *r, void *to, const struct toml *v) {
    struct app_dir dir = {0};
    str folder = v->type == TOML_STRING ? folder_of(v->s) : (str){0};
    if (v->type == TOML_STRING && !folder.n) {
        manifest_remark(r, v, "\"" STR_FMT "\" is not there for the component: only folders are; move it into one",
                        STR_ARG(str_sub(v->s, 0, 200)));
    } else if (v->type == TOML_STRING) {
        struct toml as = *v;
        as.s = folder;
        folder = manifest_bundle_path(r, &as);
        if (folder.n) grant_folder(r, grants_of(to), v, folder, folder);
    } else if (manifest_is(r, v, MANIFEST_TABLE)) {
        read_shape(r, v, SHAPE_mount, &dir);
        if (!manifest_toml_get(v, "source") || !manifest_toml_get(v, "destination"))
            manifest_error(r, v, "it takes a source and a destination");
        else if (dir.host.n && dir.guest.n) grant_folder(r, grants_of(to), v, dir.host, dir.guest);
    }
}
static void component_files(struct reader *r, void *to, const struct toml *v) {
    struct component *c = ((struct reading *)to)->c;
    manifest_each(r, v, APP_DIRS_MAX, one_file, to);
    if (c->f.grants.dirs.n == 1 && v->n == 1 && str_eqc(c->f.grants.dirs.p[0].guest, "/")) c->folder = c->f.grants.dirs.p[0].host;
}
static void component_exclude_files(struct reader *r, void *to, const struct toml *v) {
    ((struct reading *)to)->excludes |= v->n > 0;
}

/* ---- hosts ---- */

static const struct {
    const char *scheme;
    uint16_t port;
} services[] = {{"redis", 6379}, {"postgres", 5432}, {"mysql", 3306}, {"mqtt", 1883}};

/* "8080", "*", "8000..9000" (the last one is not of it), as grants write them. */
static bool port_text(arena *out, str port, str *to) {
    uint64_t a, b;
    for (size_t i = 0; i + 1 < port.n; i++)
        if (port.p[i] == '.' && port.p[i + 1] == '.') {
            if (!str_to_u64(str_sub(port, 0, i), &a) || !str_to_u64(str_sub(port, i + 2, port.n), &b) || a >= b || b > 65536)
                return false;
            *to = arena_fmt(out, "%u-%u", (unsigned)a, (unsigned)b - 1);
            return true;
        }
    *to = port;
    return true;
}

static void grant_internal(struct reader *r, struct app_grants *g, str host) {
    vec_push(r->mem, &g->functions, manifest_host_label(r->mem, host).n ? manifest_host_label(r->mem, host) : STR("*"));
}

static void grant_host(struct reader *r, struct app_grants *g, const struct toml *v, str scheme, str host, str port) {
    struct diag d = DIAG_INIT;
    bool any = str_eqc(scheme, "*"), http = any || str_eqc(scheme, "http") || str_eqc(scheme, "https");
    str arg = arena_fmt(r->mem, STR_FMT ":" STR_FMT, STR_ARG(host), STR_ARG(port));
    str of_scheme = any ? arg : arena_fmt(r->mem, STR_FMT "://" STR_FMT, STR_ARG(scheme), STR_ARG(arg));
    err e = http ? app_grant_http(r->mem, g, of_scheme, &d) : ERR_OK;
    if (e == ERR_OK && any) e = app_grant_net(r->mem, g, arena_fmt(r->mem, "tcp:" STR_FMT, STR_ARG(arg)), &d);
    if (e != ERR_OK) manifest_error_of(r, v, &d);
    if (!http)
        manifest_remark(r, v, "there is no client for " STR_FMT ":// here: its calls answer an error",
                        STR_ARG(str_sub(scheme, 0, 40)));
}

static void no_self(struct reader *r, const struct toml *v) {
    manifest_remark(
        r, v, "requests to the app itself are not granted: name the component that answers them, http://NAME.spin.internal");
}

static bool all_letters(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z')) return false;
    return s.n;
}

/* "SCHEME://HOST[:PORT]", each of them * for any. */
static void read_host(struct reader *r, struct app_grants *g, const struct toml *v, str text) {
    size_t scheme_n = find_two(text, "//");
    str scheme = scheme_n && scheme_n < text.n && text.p[scheme_n - 1] == ':' ? str_sub(text, 0, scheme_n - 1) : (str){0};
    str rest = str_sub(text, scheme_n + 2, text.n), host, port = {0};
    while (rest.n && rest.p[rest.n - 1] == '/') rest.n--;
    size_t colon = rest.n;
    while (colon && rest.p[colon - 1] != ':' && rest.p[colon - 1] != ']') colon--;
    bool has_port = colon && rest.p[colon - 1] == ':';
    host = has_port ? str_sub(rest, 0, colon - 1) : rest;
    bool any = str_eqc(scheme, "*");
    if (!scheme.n || (!any && !all_letters(scheme)) || !host.n) {
        manifest_error(
            r, v, "it takes SCHEME://HOST[:PORT], such as https://api.example.org, each of them * for any; not \"" STR_FMT "\"",
            STR_ARG(str_sub(text, 0, 200)));
        return;
    }
    if (has_port) port = str_sub(rest, colon, rest.n);
    else if (str_eqc(scheme, "http")) port = STR("80");
    else if (str_eqc(scheme, "https")) port = STR("443");
    for (size_t i = 0; !port.n && i < ARRAY_COUNT(services); i++)
        if (str_eqc(scheme, services[i].scheme)) port = arena_fmt(r->mem, "%u", services[i].port);
    if (!port.n || !port_text(r->mem, port, &port)) manifest_error(r, v, "it takes a port: a number, FROM..TO, or * for any");
    else if (str_ends(host, STR(".spin.internal"))) grant_internal(r, g, str_sub(host, 0, host.n - 14));
    else if (str_eqc(host, "self") || str_eqc(host, "self.alt")) no_self(r, v);
    else grant_host(r, g, v, scheme, host, port);
}

static void one_outbound(struct reader *r, void *to, const struct toml *v) {
    str text;
    bool secret;
    if (!expand(r, ((struct reading *)to)->s, v, &text, &secret)) return;
    if (secret) manifest_error(r, v, "a host is granted when it is deployed: give the variable a default that is no secret");
    else read_host(r, grants_of(to), v, text);
}
static void component_allowed_outbound_hosts(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_outbound, to);
}

/* "example.org", "http://example.org:80", "self", "insecure:allow-all". */
static void one_old_host(struct reader *r, void *to, const struct toml *v) {
    struct app_grants *g = grants_of(to);
    if (str_eqc(v->s, "insecure:allow-all"))
        manifest_error(r, v, "it takes hosts; all are allowed_outbound_hosts = [\"*://*:*\"]");
    else if (str_eqc(v->s, "self")) no_self(r, v);
    else if (find_two(v->s, "//") < v->s.n) read_host(r, g, v, v->s);
    else {
        read_host(r, g, v, arena_fmt(r->mem, "https://" STR_FMT, STR_ARG(v->s)));
        read_host(r, g, v, arena_fmt(r->mem, "http://" STR_FMT, STR_ARG(v->s)));
    }
}
static void component_allowed_http_hosts(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_old_host, to);
}

/* ---- builds ---- */

static void build_command(struct reader *r, void *to, const struct toml *v) {
    struct manifest_build *b = to;
    struct buf all = {0};
    if (v->type == TOML_STRING) b->command = v->s;
    else if (v->type != TOML_ARRAY || !manifest_is(r, v, MANIFEST_STRINGS))
        manifest_error(r, v, "it takes a string, or an array of them");
    for (uint32_t i = 0; v->type == TOML_ARRAY && i < v->n; i++)
        buf_printf(&all, "%s" STR_FMT, i ? " && " : "", STR_ARG(v->items[i].s));
    if (all.n) b->command = arena_str(r->mem, buf_str(&all));
    buf_free(&all);
}
static void build_workdir(struct reader *r, void *to, const struct toml *v) {
    ((struct manifest_build *)to)->dir = manifest_bundle_path(r, v);
}
static void one_glob(struct reader *r, void *to, const struct toml *v) {
    vec_push(r->mem, &((struct manifest_build *)to)->watch, v->s);
}
static void build_watch(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, MANIFEST_WATCH_MAX, one_glob, to);
}

/* What is watched is said from workdir, and kept from the manifest's folder. */
static void component_build(struct reader *r, void *to, const struct toml *v) {
    struct manifest_build b = {.function = ((struct reading *)to)->c->name, .dir = STR(".")};
    read_shape(r, v, SHAPE_build, &b);
    if (!manifest_toml_get(v, "command")) manifest_error(r, v, "it lacks a command");
    for (uint32_t i = 0; i < b.watch.n; i++)
        if (!str_eqc(b.dir, ".")) b.watch.p[i] = arena_fmt(r->mem, STR_FMT "/" STR_FMT, STR_ARG(b.dir), STR_ARG(b.watch.p[i]));
    if (b.command.n) vec_push(r->mem, &r->to->builds, b);
}

static str env_of(const struct component *c, const char *key) {
    for (uint32_t i = 0; i < c->f.grants.env.n; i++)
        if (str_eqc(c->f.grants.env.p[i].key, key)) return c->f.grants.env.p[i].value;
    return (str){0};
}

/* By its file's name, and by that it is used as its makers mean it. */
static enum stands_for stands_for(const struct reader *r, const struct component *c) {
    const struct manifest *m = r->to;
    str file = c->f.source, destination = env_of(c, "DESTINATION");
    for (uint32_t i = 0; i < m->fetches.n; i++)
        if (str_eq(m->fetches.p[i].function, c->name)) file = m->fetches.p[i].url;
    for (size_t i = 0; i < file.n; i++)
        if (file.p[i] == '/') file = str_sub(file, i + 1, file.n), i = SIZE_MAX;
    enum stands_for what = ITSELF;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_eqc(file, known[i].file)) what = known[i].what;
    bool place = destination.n && destination.n <= APP_URL_MAX;
    for (size_t i = 0; place && i < destination.n; i++) place = destination.p[i] > ' ' && destination.p[i] < 0x7f;
    if (what == STATIC_FILES && !c->folder.n) return ITSELF;
    return what == REDIRECT && !place ? ITSELF : what;
}

static struct component *read_component(struct reader *r, struct spin *s, const struct toml *v, str name) {
    struct component *c = arena_make(r->mem, struct component);
    struct reading reading = {.s = s, .c = c};
    c->name = name, c->at = v;
    c->f.name = name, c->f.spin = true;
    manifest_place(r, v);
    read_shape(r, v, SHAPE_component, &reading);
    if (!manifest_toml_get(v, "source")) manifest_error(r, v, "it lacks a source: the WebAssembly file");
    if (reading.excludes && c->f.grants.dirs.n) {
        manifest_remark(r, manifest_toml_get(v, "exclude_files"),
                        "files cannot be excluded from a folder, so none are there for the component");
        memset(&c->f.grants.dirs, 0, sizeof c->f.grants.dirs);
    }
    c->stands_for = stands_for(r, c);
    if (c->stands_for != ITSELF)
        manifest_remark(r, v, "what the component " STR_FMT " does, the node does itself", STR_ARG(name));
    else if (c->f.grants.dirs.n)
        manifest_remark(
            r, manifest_toml_get(v, "files"),
            "the component reads these folders where they are, so the node has to be on this machine; for files that are only "
            "served, [[files]] of orlo.toml makes them part of a version");
    vec_push(r->mem, &s->components, c);
    return c;
}

static void one_component(struct reader *r, void *to, const struct toml *v) {
    str name = manifest_host_label(r->mem, v->key);
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    if (!name.n || v->key.n > APP_NAME_MAX)
        manifest_error(r, v, "a component's name has up to %d letters, digits and hyphens", APP_NAME_MAX);
    else read_component(r, to, v, name);
}
static void spin_component(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_FUNCTIONS_MAX, one_component, to);
}

/* ---- triggers ---- */

struct trigger {
    struct spin *s;
    struct route route;
};
static void private_private(struct reader *r, void *to, const struct toml *v) { ((struct route *)to)->is_private = v->i; }
static void trigger_route(struct reader *r, void *to, const struct toml *v) {
    struct route *route = &((struct trigger *)to)->route;
    if (v->type == TOML_STRING) route->path = v->s;
    else read_shape(r, v, SHAPE_private, route);
    if (v->type == TOML_TABLE && !route->is_private) manifest_error(r, v, "it takes a path, or { private = true }");
}
static void trigger_component(struct reader *r, void *to, const struct toml *v) {
    struct trigger *t = to;
    if (v->type == TOML_STRING) t->route.component = manifest_host_label(r->mem, v->s);
    else t->route.own = read_component(r, t->s, v, arena_fmt(r->mem, "trigger-%u", t->s->routes.n));
}
static void trigger_components(struct reader *r, void *to, const struct toml *v) {
    if (v->n) manifest_error(r, v, "middleware by components is not honoured: compose it with the component (wac)");
}
static void trigger_executor(struct reader *r, void *to, const struct toml *v) {
    const struct toml *type = manifest_toml_get(v, "type");
    static const char *const known[] = {"http", "spin", "wasi", "wasip3", "wagi"};
    bool ok = type && type->type == TOML_STRING;
    size_t i = 0;
    while (ok && i < ARRAY_COUNT(known) && !str_eqc(type->s, known[i])) i++;
    if (!ok || i == ARRAY_COUNT(known)) manifest_error(r, v, "its type is http, spin, wasi or wagi");
    else if (str_eqc(type->s, "wagi") && v->n > 1)
        manifest_remark(r, v, "of wagi, argv and entrypoint are not honoured: the command is served as CGI");
}
static void trigger_static_response(struct reader *r, void *to, const struct toml *v) {
    struct route *route = &((struct trigger *)to)->route;
    const struct toml *status = manifest_toml_get(v, "status_code"), *headers = manifest_toml_get(v, "headers"), *location = NULL;
    for (uint32_t i = 0; headers && headers->type == TOML_TABLE && i < headers->n; i++)
        if (str_eq_nocase(headers->items[i].key, STR("location")) && headers->items[i].type == TOML_STRING)
            location = &headers->items[i];
    bool ok = status && status->type == TOML_INTEGER && status->i >= 301 && status->i <= 308 && status->i != 304 && location &&
              location->s.n;
    for (size_t i = 0; ok && i < location->s.n; i++) ok = location->s.p[i] > ' ' && location->s.p[i] < 0x7f;
    if (!ok)
        manifest_error(
            r, v, "of static responses only redirects are honoured: status_code 301, 302, 303, 307 or 308, and headers.location");
    else route->status = (uint16_t)status->i, route->location = location->s;
}

static void one_trigger(struct reader *r, void *to, const struct toml *v) {
    struct trigger t = {.s = to, .route = {.at = v}};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_trigger, &t);
    if (!manifest_toml_get(v, "route")) manifest_error(r, v, "it lacks a route");
    if (!manifest_toml_get(v, "component") && !t.route.status) manifest_error(r, v, "it lacks a component");
    vec_push(r->mem, &t.s->routes, t.route);
}
static void one_kind(struct reader *r, void *to, const struct toml *v) {
    if (!str_eqc(v->key, "http"))
        manifest_remark(r, v, "only HTTP triggers are run: nothing happens on " STR_FMT, STR_ARG(str_sub(v->key, 0, 60)));
    else if (manifest_is(r, v, MANIFEST_TABLES)) manifest_each(r, v, APP_ROUTES_MAX, one_trigger, to);
}
static void spin_trigger(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, 64, one_kind, to); }

/* ---- the whole ---- */

/* "/a/..." with all below it; else exact, with or without a slash behind. */
static bool parse_path(struct reader *r, const struct spin *s, const struct route *route, struct app_route *to) {
    struct diag d = DIAG_INIT;
    str path = route->path;
    bool below = str_ends(path, STR("/..."));
    if (below) path.n -= 4;
    path = arena_fmt(r->mem, "%s" STR_FMT STR_FMT, below ? "" : "=", STR_ARG(s->base), STR_ARG(path));
    if (below && !path.n) path = STR("/");
    while (path.n > 2 && path.p[path.n - 1] == '/') path.n--;
    err e = app_route_parse(r->mem, path, to, &d);
    if (e != ERR_OK) manifest_error_of(r, manifest_toml_get(route->at, "route"), &d);
    to->slash = !below;
    return e == ERR_OK;
}

static struct component *component_named(const struct spin *s, str name) {
    for (uint32_t i = 0; i < s->components.n; i++)
        if (str_eq(s->components.p[i]->name, name)) return s->components.p[i];
    return NULL;
}

static void want(const struct spin *s, struct component *c) {
    if (c->is_wanted) return;
    c->is_wanted = true;
    for (uint32_t i = 0; i < c->f.grants.functions.n; i++) {
        str name = c->f.grants.functions.p[i];
        struct component *callee = component_named(s, name);
        if (callee) want(s, callee);
        for (uint32_t k = 0; str_eqc(name, "*") && k < s->components.n; k++) want(s, s->components.p[k]);
    }
}

/* Callees that are not there would be refused when they are called; here it has a line. */
static void check_callees(struct reader *r, const struct spin *s, const struct component *c) {
    for (uint32_t i = 0; i < c->f.grants.functions.n; i++) {
        str name = c->f.grants.functions.p[i];
        if (!str_eqc(name, "*") && !component_named(s, name))
            manifest_error(r, manifest_toml_get(c->at, "allowed_outbound_hosts"),
                           "there is no component " STR_FMT ", which " STR_FMT " calls", STR_ARG(name), STR_ARG(c->name));
    }
}

static void add_functions(struct reader *r, const struct spin *s) {
    struct app_record *record = &r->to->record;
    for (uint32_t i = 0; i < s->components.n; i++) {
        const struct component *c = s->components.p[i];
        check_callees(r, s, c);
        if (app_record_function(record, c->name) != UINT32_MAX)
            manifest_error(r, c->at, "two components are called " STR_FMT, STR_ARG(c->name));
        if (c->stands_for != ITSELF) continue;
        if (c->is_wanted) vec_push(r->mem, &record->functions, c->f);
        else
            manifest_remark(r, c->at, "no HTTP trigger names the component " STR_FMT ", and none calls it: it is left out",
                            STR_ARG(c->name));
    }
}

/* Once for all routes that lead there. */
static void stand_in(struct reader *r, struct component *c, struct app_route *to) {
    struct app_record *record = &r->to->record;
    bool files = c->stands_for == STATIC_FILES;
    str fallback = env_of(c, "FALLBACK_PATH");
    uint64_t status = 302;
    to->to = files ? APP_TO_FILES : APP_TO_REDIRECT;
    if (!c->has_index) c->index = files ? record->files.n : record->redirects.n;
    to->index = c->index;
    if (c->has_index) return;
    c->has_index = true;
    if (files) {
        vec_push(r->mem, &record->files,
                 ((struct app_files){.name = c->folder,
                                     .folder = c->folder,
                                     .index = fallback.n ? fallback : STR("index.html"),
                                     .not_found = env_of(c, "CUSTOM_404_PATH"),
                                     .spa = fallback.n > 0}));
        return;
    }
    if (!str_to_u64(env_of(c, "STATUSCODE"), &status) || status < 301 || status > 308) status = 302;
    vec_push(r->mem, &record->redirects, ((struct app_redirect){env_of(c, "DESTINATION"), (uint16_t)status}));
}

static void add_route(struct reader *r, const struct spin *s, const struct route *route) {
    struct app_record *record = &r->to->record;
    struct app_route to;
    if (route->is_private || !route->path.n || !parse_path(r, s, route, &to)) return;
    if (route->status) {
        to.to = APP_TO_REDIRECT, to.index = record->redirects.n;
        vec_push(r->mem, &record->redirects, ((struct app_redirect){route->location, route->status}));
    } else {
        struct component *c = route->own ? route->own : component_named(s, route->component);
        if (!c) return; /* it has been told */
        if (c->stands_for != ITSELF) stand_in(r, c, &to);
        else to.index = app_record_function(record, c->name);
    }
    vec_push(r->mem, &record->routes, to);
}

/* Of components that are left out; the builds of those that the node stands in for are the app's. */
static void drop_unbuilt(struct manifest *m, const struct spin *s) {
    uint32_t builds = 0, fetches = 0;
    for (uint32_t i = 0; i < m->builds.n; i++) {
        const struct component *c = component_named(s, m->builds.p[i].function);
        if (!c || !c->is_wanted) continue;
        m->builds.p[builds] = m->builds.p[i];
        if (c->stands_for != ITSELF) m->builds.p[builds].function = STR("");
        builds++;
    }
    for (uint32_t i = 0; i < m->fetches.n; i++)
        if (app_record_function(&m->record, m->fetches.p[i].function) != UINT32_MAX) m->fetches.p[fetches++] = m->fetches.p[i];
    m->builds.n = builds, m->fetches.n = fetches;
}

void manifest_read_spin(struct reader *r, const struct toml *root) {
    struct spin s = {.to = r->to};
    const struct toml *variables = manifest_toml_get(root, "variables");
    if (!manifest_toml_get(root, "spin_manifest_version")) manifest_error(r, root, "it lacks spin_manifest_version = 2");
    if (!manifest_toml_get(root, "trigger")) manifest_error(r, root, "it has no triggers: [[trigger.http]]");
    struct toml rest = *root; /* variables before what names them, wherever they stand */
    rest.items = arena_array(r->mem, struct toml, root->n);
    rest.n = 0;
    if (variables) rest.items[rest.n++] = *variables;
    for (uint32_t i = 0; i < root->n; i++)
        if (&root->items[i] != variables) rest.items[rest.n++] = root->items[i];
    read_shape(r, &rest, SHAPE_spin, &s);
    for (uint32_t i = 0; i < s.routes.n; i++) {
        const struct route *route = &s.routes.p[i];
        struct component *c = route->own ? route->own : component_named(&s, route->component);
        if (c) want(&s, c);
        else if (route->component.n)
            manifest_error(r, manifest_toml_get(route->at, "component"), "there is no component " STR_FMT,
                           STR_ARG(route->component));
    }
    add_functions(r, &s);
    for (uint32_t i = 0; i < s.routes.n; i++) add_route(r, &s, &s.routes.p[i]);
    drop_unbuilt(r->to, &s);
    manifest_check_routes(r, root);
    manifest_finish(r, root);
}
