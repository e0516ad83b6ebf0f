/* settings: the table as data; values as people write them. */
#include "app/settings.h"

const struct app_setting app_settings[APP_SETTINGS] = {
#define SETTING(scope, field, type, value, least, most, key, flag, commands, argument, otherwise, bounds)                        \
    {APP_SCOPE_##scope, APP_##type, value, least, most, #field, key, flag, argument, otherwise, bounds},
#include "app/settings.def"
#undef SETTING
};

#define AT_APP(field) offsetof(struct app_limits, field)
#define AT_NODE(field) SIZE_MAX
#define AT_CONNECTION(field) SIZE_MAX
#define AT_COMPILE(field) SIZE_MAX
static const size_t offsets[APP_SETTINGS] = {
#define SETTING(scope, field, ...) AT_##scope(field),
#include "app/settings.def"
#undef SETTING
};

uint64_t *app_limits_at(struct app_limits *limits, enum app_setting_id id) {
    return offsets[id] == SIZE_MAX ? NULL : (uint64_t *)(void *)((char *)limits + offsets[id]);
}

void app_limits_fill(struct app_limits *limits) {
    for (int id = 0; id < APP_SETTINGS; id++) {
        uint64_t *at = app_limits_at(limits, (enum app_setting_id)id);
        if (at && !*at) *at = app_settings[id].value;
    }
}

/* ---- values ---- */

struct unit {
    const char *name;
    uint64_t of;
};

static bool number_and_unit(const char *text, const struct unit *units, size_t count, uint64_t *out) {
    str s = str_c(text);
    size_t digits = 0;
    uint64_t number;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9') digits++;
    if (!str_to_u64(str_sub(s, 0, digits), &number)) return false;
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(str_sub(s, digits, s.n), str_c(units[i].name)))
            return !__builtin_mul_overflow(number, units[i].of, out);
    return false;
}

bool app_parse_bytes(const char *text, uint64_t *out) {
    static const struct unit units[] = {{"", 1},     {"b", 1},     {"k", KiB}, {"kb", KiB}, {"kib", KiB}, {"m", MiB},
                                        {"mb", MiB}, {"mib", MiB}, {"g", GiB}, {"gb", GiB}, {"gib", GiB}};
    return number_and_unit(text, units, ARRAY_COUNT(units), out);
}

bool app_parse_ms(const char *text, uint64_t *out) {
    static const struct unit units[] = {{"ms", 1}, {"", 1000}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}};
    return number_and_unit(text, units, ARRAY_COUNT(units), out);
}

str app_value_text(arena *out, enum app_type type, uint64_t value) {
    static const struct unit bytes[] = {{"G", GiB}, {"M", MiB}, {"K", KiB}, {"", 1}},
                             ms[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}, one[] = {{"", 1}};
    const struct unit *u = type == APP_BYTES ? bytes : type == APP_MS ? ms : one;
    while (u->of > 1 && (!value || value % u->of)) u++;
    return arena_fmt(out, "%llu%s", (unsigned long long)(value / u->of), u->name);
}

str app_setting_said(arena *out, enum app_setting_id id, uint64_t value) {
    const struct app_setting *s = &app_settings[id];
    str key = str_c(s->key);
    uint64_t unit = str_ends(key, STR("_mb")) ? MiB : str_ends(key, STR("_kb")) ? KiB : 1;
    if (value % unit) { /* "body_kb=1025B" */
        str text = app_value_text(out, s->type, value);
        return arena_fmt(out, "%s=" STR_FMT "%s", s->key, STR_ARG(text), value % KiB ? "B" : "");
    }
    return arena_fmt(out, "%s=%llu", s->key, (unsigned long long)(value / unit));
}

str app_setting_default(arena *out, enum app_setting_id id) {
    const struct app_setting *s = &app_settings[id];
    return s->otherwise[0] ? str_c(s->otherwise) : app_value_text(out, s->type, s->value);
}

/* ---- ranges ---- */

static const struct {
    const char *what, *like;
    bool (*parse)(const char *text, uint64_t *out);
} types[] = {
    [APP_COUNT] = {"a number", " above 0", NULL},
    [APP_BYTES] = {"a size", " such as 64M or 1GiB", app_parse_bytes},
    [APP_MS] = {"a time", " such as 500ms, 30s or 2m", app_parse_ms},
};

err app_setting_check(enum app_setting_id id, const char *called, uint64_t value, struct diag *d) {
    const struct app_setting *s = &app_settings[id];
    if (value >= s->least && value <= s->most) return ERR_OK;
    arena *scratch = arena_new(0);
    bool small = value < s->least;
    str limit = app_value_text(scratch, s->type, small ? s->least : s->most), got = app_value_text(scratch, s->type, value);
    err e = diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s takes %s %s " STR_FMT ", not " STR_FMT, called, types[s->type].what,
                     small ? "from" : "up to", STR_ARG(limit), STR_ARG(got));
    arena_free(scratch);
    return e;
}

err app_setting_parse(enum app_setting_id id, const char *called, const char *text, uint64_t *out, struct diag *d) {
    enum app_type type = app_settings[id].type;
    bool ok = types[type].parse ? types[type].parse(text, out) : str_to_u64(str_c(text), out);
    if (!ok || !*out)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s takes %s%s, not '%s'", called, types[type].what, types[type].like, text);
    return app_setting_check(id, called, *out, d);
}

/* ---- as bytes ---- */

/* What is not the default, each by its key: a later version, which knows more of them, reads it too. */
void app_limits_write(struct buf *to, const struct app_limits *limits) {
    uint32_t count = 0;
    size_t at_count = to->n;
    buf_put(to, &count, 4);
    for (int id = 0; id < APP_SETTINGS; id++) {
        const uint64_t *at = app_limits_at((struct app_limits *)(uintptr_t)limits, (enum app_setting_id)id);
        if (!at || *at == app_settings[id].value) continue;
        str key = str_c(app_settings[id].key);
        buf_put(to, &(uint32_t){(uint32_t)key.n}, 4);
        buf_puts(to, key);
        buf_put(to, at, sizeof *at);
        count++;
    }
    memcpy(to->p + at_count, &count, 4);
}

static void read_limit(struct rd *from, struct app_limits *limits) {
    str key = rd_bytes(from, rd_u32le(from));
    uint64_t value = rd_u64le(from);
    for (int id = 0; id < APP_SETTINGS && !from->fail; id++) {
        uint64_t *at = app_limits_at(limits, (enum app_setting_id)id);
        if (!at || !str_eqc(key, app_settings[id].key)) continue;
        if (app_setting_check((enum app_setting_id)id, "", value, NULL) != ERR_OK) rd_fail(from, "a limit out of range");
        *at = value;
        return;
    }
    rd_fail(from, "a limit that is unknown here");
}

void app_limits_read(struct rd *from, struct app_limits *limits) {
    *limits = (struct app_limits){0};
    for (uint32_t n = rd_u32le(from); n && !from->fail; n--) read_limit(from, limits);
    app_limits_fill(limits);
}
