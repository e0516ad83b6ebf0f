/* reader: a tree of TOML against tables of keys. A value of a wrong type, a key that is none: an error each, and the reading goes on. */
#include "manifest/manifest_int.h"
#include <stdarg.h>
#include <stdio.h>

static const struct {
    unsigned is;
    const char *what;
} types[MANIFEST_TYPES] = {
#define TYPE(name, is, what, schema) [MANIFEST_##name] = {is, what},
#include "manifest/types.def"
#undef TYPE
};
static const char *const toml_names[] = {
    [TOML_STRING] = "a string", [TOML_INTEGER] = "a number", [TOML_FLOAT] = "a number with a point",
    [TOML_BOOL] = "a boolean",  [TOML_DATE] = "a date",      [TOML_ARRAY] = "an array",
    [TOML_TABLE] = "a table"};

/* ---- notes ---- */

static void put_path(struct buf *b, const struct manifest_path *path) {
    if (!path) return;
    put_path(b, path->up);
    if (b->n) buf_putc(b, '.');
    buf_puts(b, path->name);
}

static void note(struct reader *r, const struct toml *at, bool is_error, const char *fmt, va_list ap) {
    struct manifest *m = r->to;
    struct buf key = {.max = 512};
    m->errors += is_error;
    if (m->notes.n >= MANIFEST_NOTES_MAX) return;
    put_path(&key, r->path);
    str text = arena_vfmt(r->mem, fmt, ap);
    text_tame((char *)(uintptr_t)text.p, text.n);
    struct manifest_note n = {.line = at ? MAX(at->line, 1u) : 1,
                              .column = at ? MAX(at->column, 1u) : 1,
                              .is_error = is_error,
                              .key = arena_str(r->mem, buf_str(&key)),
                              .text = str_sub(text, 0, 700)};
    text_tame((char *)(uintptr_t)n.key.p, n.key.n);
    vec_push(r->mem, &m->notes, n);
    buf_free(&key);
}

void manifest_error(struct reader *r, const struct toml *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    note(r, at, true, fmt, ap);
    va_end(ap);
}

void manifest_remark(struct reader *r, const struct toml *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    note(r, at, false, fmt, ap);
    va_end(ap);
}

void manifest_place(struct reader *r, const struct toml *at) {
    enum { MOST = APP_FUNCTIONS_MAX + APP_FILES_MAX };
    struct buf key = {.max = 512};
    if (r->to->places.n >= MOST) return;
    put_path(&key, r->path);
    vec_push(r->mem, &r->to->places,
             ((struct manifest_place){arena_str(r->mem, buf_str(&key)), MAX(at->line, 1u), MAX(at->column, 1u)}));
    buf_free(&key);
}

/* A flag's name is left out of what was said of it: "--dir 'x': why; write --dir y". */
void manifest_error_of(struct reader *r, const struct toml *at, const struct diag *d) {
    struct buf b = {.max = sizeof d->text};
    for (const char *c = d->text; *c; c++) {
        bool flag = c[0] == '-' && c[1] == '-' && (c == d->text || c[-1] == ' ');
        if (!flag) {
            buf_putc(&b, (uint8_t)*c);
            continue;
        }
        while (*c && *c != ' ' && *c != ':') c++;
        if (*c == ':') buf_puts(&b, STR("it:"));
        if (!*c) break;
    }
    manifest_error(r, at, STR_FMT, STR_ARG(buf_str(&b)));
    buf_free(&b);
}

str manifest_note_text(arena *out, const char *file, const struct manifest_note *n) {
    return arena_fmt(out, "%s:%u:%u: " STR_FMT "%s" STR_FMT, file, n->line, n->column, STR_ARG(n->key), n->key.n ? ": " : "",
                     STR_ARG(n->text));
}

/* ---- values ---- */

static bool strings_alone(struct reader *r, const struct toml *v) {
    for (uint32_t i = 0; i < v->n; i++)
        if (v->items[i].type != TOML_STRING) {
            manifest_error(r, &v->items[i], "it takes strings, not %s", toml_names[v->items[i].type]);
            return false;
        }
    return true;
}

static bool in_range(struct reader *r, const struct toml *v, enum manifest_type type) {
    if (type == MANIFEST_COUNT && v->i < 0) manifest_error(r, v, "it takes a whole number from 0, not %lld", (long long)v->i);
    else if (type == MANIFEST_RATIO && !(v->type == TOML_FLOAT ? v->f >= 0 && v->f <= 1 : v->i == 0 || v->i == 1))
        manifest_error(r, v, "it takes a number from 0 to 1");
    else return true;
    return false;
}

bool manifest_is(struct reader *r, const struct toml *v, enum manifest_type type) {
    static const enum manifest_type of_strings[] = {MANIFEST_STRINGS, MANIFEST_NAMES, MANIFEST_TEXTS, MANIFEST_STRING_OR_STRINGS};
    if (!(types[type].is >> v->type & 1)) {
        manifest_error(r, v, "it takes %s, not %s", types[type].what, toml_names[v->type]);
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(of_strings); i++)
        if (type == of_strings[i] && !strings_alone(r, v)) return false;
    if (v->type == TOML_STRING && memchr(v->s.p, 0, v->s.n)) {
        manifest_error(r, v, "it has a NUL byte");
        return false;
    }
    return in_range(r, v, type);
}

void manifest_each(struct reader *r, const struct toml *v, uint32_t most,
                   void (*read)(struct reader *r, void *to, const struct toml *v), void *to) {
    if (v->n > most) manifest_error(r, v, "it has %u entries, and may have %u", v->n, most);
    for (uint32_t i = 0; i < MIN(v->n, most); i++) {
        const struct toml *item = &v->items[i];
        char number[16];
        snprintf(number, sizeof number, "%u", i);
        struct manifest_path within = {r->path, v->type == TOML_TABLE ? item->key : str_c(number)};
        r->path = &within;
        if (memchr(within.name.p, 0, within.name.n)) manifest_error(r, item, "a name with a NUL byte");
        else read(r, to, item);
        r->path = within.up;
    }
}

str manifest_bundle_path(struct reader *r, const struct toml *v) {
    str path = v->s, part, rest = path;
    while (str_starts(path, STR("./"))) path = str_sub(path, 2, path.n);
    while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    bool ok = path.n && path.n <= APP_PATH_MAX && path.p[0] != '/';
    for (rest = path; ok && rest.n;) {
        str_cut(rest, '/', &part, &rest);
        ok = part.n && !str_eqc(part, "..") && (!str_eqc(part, ".") || str_eqc(path, "."));
    }
    for (size_t i = 0; ok && i < path.n; i++) ok = path.p[i] >= ' ' && path.p[i] != 0x7f && path.p[i] != '\\';
    if (ok) return path;
    manifest_error(r, v, "it takes a path below the manifest's folder, such as dist/app.wasm, not \"" STR_FMT "\"",
                   STR_ARG(str_sub(v->s, 0, 200)));
    return (str){0};
}

/* A bare number has the unit that the key ends with. */
void manifest_setting(struct reader *r, const struct toml *v, enum app_setting_id id, uint64_t *to) {
    const struct app_setting *s = &app_settings[id];
    struct diag d = DIAG_INIT;
    uint64_t unit = str_ends(str_c(s->key), STR("_mb")) ? MiB : str_ends(str_c(s->key), STR("_kb")) ? KiB : 1, value;
    err e;
    if (v->type == TOML_INTEGER) {
        bool fits = v->i > 0 && !__builtin_mul_overflow((uint64_t)v->i, unit, &value);
        e = fits ? app_setting_check(id, "it", value, &d) : ERR_USAGE;
        if (!fits) diag_set(&d, e, DIAG_NOWHERE, "it takes a number above 0, not %lld", (long long)v->i);
    } else {
        char text[64];
        snprintf(text, sizeof text, STR_FMT, STR_ARG(v->s));
        e = app_setting_parse(id, "it", text, &value, &d);
    }
    if (e == ERR_OK) *to = value;
    else manifest_error(r, v, "%s", d.text);
}

/* ---- tables ---- */

static enum app_setting_id setting_of(const struct manifest_shape *shape, str key) {
    for (int id = 0; shape->settings && id < APP_SETTINGS; id++)
        if (shape->settings >> app_settings[id].scope & 1 && str_eqc(key, app_settings[id].key)) return (enum app_setting_id)id;
    return APP_SETTINGS;
}

static void unknown(struct reader *r, const struct manifest_shape *shape, const struct toml *v) {
    const char *words[APP_SETTINGS + 64];
    size_t n = 0;
    for (size_t i = 0; i < shape->count && n < 64; i++) words[n++] = shape->keys[i].key;
    for (int id = 0; id < APP_SETTINGS; id++)
        if (shape->settings >> app_settings[id].scope & 1) words[n++] = app_settings[id].key;
    const char *meant = text_nearest(arena_cstr(r->mem, str_sub(v->key, 0, 100)), words, n);
    struct toml at = {.line = v->key_line, .column = v->key_column};
    manifest_error(r, &at, "unknown key `" STR_FMT "` at line %u%s%s%s", STR_ARG(str_sub(v->key, 0, 100)), at.line,
                   meant ? ", did you mean `" : "; docs/manifest.md lists what there is", meant ? meant : "", meant ? "`?" : "");
}

static void read_entry(struct reader *r, const struct manifest_shape *shape, void *to, const struct toml *v) {
    for (size_t i = 0; i < shape->count; i++) {
        if (!str_eqc(v->key, shape->keys[i].key)) continue;
        struct manifest_path within = {r->path, v->key};
        r->path = &within;
        if (manifest_is(r, v, shape->keys[i].type)) shape->keys[i].read(r, to, v);
        r->path = within.up;
        return;
    }
    enum app_setting_id id = setting_of(shape, v->key);
    uint64_t *at = id < APP_SETTINGS ? shape->setting(to, id) : NULL;
    if (!at) {
        unknown(r, shape, v);
        return;
    }
    struct manifest_path within = {r->path, v->key};
    r->path = &within;
    if (manifest_is(r, v, MANIFEST_SETTING)) manifest_setting(r, v, id, at);
    r->path = within.up;
}

void manifest_table(struct reader *r, const struct toml *table, const struct manifest_shape *shape, void *to) {
    for (uint32_t i = 0; i < table->n; i++) read_entry(r, shape, to, &table->items[i]);
}
