/* schema: the tables of keys for people (Markdown) and for editors (JSON Schema, draft 2020-12). */
#include "manifest/manifest_int.h"

static const struct {
    const char *what, *schema;
} types[MANIFEST_TYPES] = {
#define TYPE(name, is, what, schema) [MANIFEST_##name] = {what, schema},
#include "manifest/types.def"
#undef TYPE
};

static const struct manifest_shapes *shapes_of(enum manifest_format format) {
    static const struct manifest_shapes *const all[MANIFEST_FORMATS] = {
        [MANIFEST_ORLO] = &manifest_orlo_shapes,
        [MANIFEST_SPIN] = &manifest_spin_shapes,
        [MANIFEST_SUPABASE] = &manifest_supabase_shapes,
        [MANIFEST_CONFIG] = &manifest_config_shapes,
    };
    return all[format];
}

/* ---- for people ---- */

static void put_cell(struct buf *to, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '|') buf_putc(to, '\\');
        buf_putc(to, (uint8_t)*c);
    }
}

static void put_row(struct buf *to, const char *key, const char *type, const char *help, const char *otherwise) {
    buf_printf(to, "| `%s` | ", key);
    put_cell(to, type);
    buf_puts(to, STR(" | "));
    put_cell(to, otherwise);
    buf_puts(to, STR(" | "));
    put_cell(to, help);
    buf_puts(to, STR(" |\n"));
}

static void put_settings(struct buf *to, uint32_t scopes) {
    static const char *const units[] = {[APP_COUNT] = "a number", [APP_BYTES] = "a size", [APP_MS] = "a time"};
    arena *scratch = arena_new(0);
    for (int id = 0; id < APP_SETTINGS; id++) {
        const struct app_setting *s = &app_settings[id];
        if (!(scopes >> s->scope & 1)) continue;
        str otherwise = app_setting_default(scratch, (enum app_setting_id)id);
        put_row(to, s->key, units[s->type], s->bounds, arena_cstr(scratch, otherwise));
    }
    arena_free(scratch);
}

void manifest_markdown(struct buf *to, enum manifest_format format) {
    const struct manifest_shapes *all = shapes_of(format);
    for (size_t i = 0; i < all->count; i++) {
        const struct manifest_shape *s = &all->shapes[i];
        buf_printf(to, "%s### %s\n\n%s.\n\n| key | takes | default | |\n|---|---|---|---|\n", i ? "\n" : "", s->name, s->help);
        for (size_t k = 0; k < s->count; k++)
            put_row(to, s->keys[k].key, types[s->keys[k].type].what, s->keys[k].help, s->keys[k].otherwise);
        put_settings(to, s->settings);
    }
}

/* ---- for editors ---- */

static void put_string(struct buf *to, const char *text) {
    buf_putc(to, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') buf_putc(to, '\\');
        buf_putc(to, (uint8_t)*c);
    }
    buf_putc(to, '"');
}

/* A type's schema, with the shape that it holds in SUB's place. */
static void put_type(struct buf *to, const char *schema, const char *sub) {
    for (const char *c = schema; *c; c++) {
        if (strncmp(c, "SUB", 3) != 0) {
            buf_putc(to, (uint8_t)*c);
            continue;
        }
        buf_puts(to, str_c(sub));
        c += 2;
    }
}

static void put_property(struct buf *to, bool first, const char *key, enum manifest_type type, const char *sub, const char *help,
                         const char *otherwise) {
    struct buf words = {0};
    buf_printf(&words, "%s.%s%s%s", help, otherwise[0] ? " Default: " : "", otherwise, otherwise[0] ? "." : "");
    buf_putc(&words, 0);
    buf_puts(to, first ? STR("\n        ") : STR(",\n        "));
    put_string(to, key);
    buf_puts(to, STR(": {\"description\": "));
    put_string(to, (const char *)words.p);
    if (type != MANIFEST_ANY) { /* its members, in the same object */
        buf_puts(to, STR(", "));
        put_type(to, types[type].schema + 1, sub);
    } else {
        buf_putc(to, '}');
    }
    buf_free(&words);
}

static void put_shape(struct buf *to, const struct manifest_shape *s) {
    arena *scratch = arena_new(0);
    bool first = true;
    buf_puts(to, STR("    "));
    put_string(to, s->name);
    buf_puts(to, STR(": {\n      \"type\": \"object\",\n      \"description\": "));
    put_string(to, s->help);
    buf_puts(to, STR(",\n      \"additionalProperties\": false,\n      \"properties\": {"));
    for (size_t k = 0; k < s->count; k++, first = false)
        put_property(to, first, s->keys[k].key, s->keys[k].type, s->keys[k].sub, s->keys[k].help, s->keys[k].otherwise);
    for (int id = 0; id < APP_SETTINGS; id++) {
        const struct app_setting *setting = &app_settings[id];
        if (!(s->settings >> setting->scope & 1)) continue;
        str otherwise = app_setting_default(scratch, (enum app_setting_id)id);
        put_property(to, first, setting->key, MANIFEST_SETTING, "", setting->bounds, arena_cstr(scratch, otherwise));
        first = false;
    }
    buf_puts(to, STR("\n      }\n    }"));
    arena_free(scratch);
}

void manifest_schema(struct buf *to, enum manifest_format format) {
    const struct manifest_shapes *all = shapes_of(format);
    buf_puts(to, STR("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": "));
    put_string(to, all->title);
    buf_printf(to, ",\n  \"$ref\": \"#/$defs/%s\",\n  \"$defs\": {\n", all->shapes[0].name);
    for (size_t i = 0; i < all->count; i++) {
        put_shape(to, &all->shapes[i]);
        buf_puts(to, i + 1 < all->count ? STR(",\n") : STR("\n"));
    }
    buf_puts(to, STR("  }\n}\n"));
}
