/* manifest: a file of each kind, by its reader. */
#include "manifest/manifest_int.h"
#include <stdio.h>

static const char *const files[] = {
#define X(name, file) file,
    MANIFEST_FORMATS_LIST(X)
#undef X
};
const char *manifest_format_file(enum manifest_format format) { return files[format]; }

/* The first error, and how many more there are. */
static err refuse(const struct manifest *m, struct diag *d) {
    uint32_t i = 0;
    while (i < m->notes.n && !m->notes.p[i].is_error) i++;
    if (i == m->notes.n) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it has errors, and more remarks than are kept");
    const struct manifest_note *n = &m->notes.p[i];
    char more[64] = "";
    if (m->errors > 1) snprintf(more, sizeof more, " (and %u more: orlo check)", m->errors - 1);
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s line %u, column %u: " STR_FMT "%s" STR_FMT "%s", files[m->format], n->line,
                    n->column, STR_ARG(n->key), n->key.n ? ": " : "", STR_ARG(n->text), more);
}

const struct manifest_place *manifest_place_of(const struct manifest *m, str key) {
    for (uint32_t i = 0; i < m->places.n; i++) {
        str place = m->places.p[i].key;
        if (str_starts(key, place) && (key.n == place.n || key.p[place.n] == '.')) return &m->places.p[i];
    }
    return NULL;
}

/* Who says nothing has as much as he may. Without a word a rate has no limit, and a burst is what comes in a second. */
static void bound(struct app_limits *to, const struct app_limits *said, const struct app_limits *max) {
    for (int id = 0; id < APP_SETTINGS; id++) {
        uint64_t *at = app_limits_at(to, (enum app_setting_id)id);
        uint64_t most = at ? *app_limits_at((struct app_limits *)(uintptr_t)max, (enum app_setting_id)id) : 0;
        if (!most || *app_limits_at((struct app_limits *)(uintptr_t)said, (enum app_setting_id)id)) continue;
        bool is_rate = id == APP_SETTING_rate_max, is_burst = id == APP_SETTING_burst_max;
        uint64_t has = is_burst && !*at ? to->rate_max : *at;
        if (has > most || (!has && (is_rate || is_burst))) *at = most;
    }
}

void manifest_defaults(struct manifest *m, const struct app_limits *defaults, const struct app_limits *max) {
    for (uint32_t i = 0; i < m->said.n; i++) {
        struct app_limits *to = i ? &m->record.functions.p[i - 1].limits : &m->record.limits;
        *to = m->said.p[i];
        manifest_limits_below(to, defaults);
        app_limits_fill(to);
        bound(to, &m->said.p[i], max);
    }
}

err manifest_read(arena *mem, str text, enum manifest_format format, str name, struct manifest *out, struct diag *d) {
    static void (*const readers[MANIFEST_FORMATS])(struct reader *, const struct toml *) = {
        [MANIFEST_ORLO] = manifest_read_orlo,
        [MANIFEST_SPIN] = manifest_read_spin,
        [MANIFEST_SUPABASE] = manifest_read_supabase,
        [MANIFEST_CONFIG] = manifest_read_config,
    };
    struct manifest_note wrong;
    struct reader r = {.mem = mem, .to = out};
    *out = (struct manifest){.format = format, .record = {.name = arena_str(mem, name), .weight = 1}};
    if (format == MANIFEST_MAILS) {
        manifest_read_mails(&r, text);
        return out->errors ? refuse(out, d) : ERR_OK;
    }
    const struct toml *root = manifest_toml(mem, arena_str(mem, text), &wrong);
    if (!root) {
        vec_push(mem, &out->notes, wrong);
        out->errors++;
    } else {
        readers[format](&r, root);
    }
    manifest_defaults(out, &(struct app_limits){0}, &(struct app_limits){0});
    return out->errors ? refuse(out, d) : ERR_OK;
}
