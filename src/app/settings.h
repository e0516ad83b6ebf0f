/* settings: what bounds an app and the process around it, from one table (settings.def).
 *
 *   settings.def ─┬─ struct app_limits        what the host, the engine's shares and wasi ask
 *                 ├─ struct node_limits       the rest (node.h)
 *                 ├─ app_setting_*            parsing, ranges, printing: flags, and manifests
 *                 └─ help, docs/configuration.md, the manual page (cli)
 *
 * 1. A value of 0 was not said: app_limits_fill gives it its default. A setting whose default is 0 says what that means.
 * 2. A filled struct holds values within their ranges; whoever reads one from outside checks it (app_setting_check).
 */
#ifndef ORLO_APP_SETTINGS_H
#define ORLO_APP_SETTINGS_H

#include "base/base.h"

struct app_limits {
#define SETTING_FIELD_APP(field) uint64_t field;
#define SETTING_FIELD_NODE(field)
#define SETTING_FIELD_CONNECTION(field)
#define SETTING_FIELD_COMPILE(field)
#define SETTING(scope, field, ...) SETTING_FIELD_##scope(field)
#include "app/settings.def"
#undef SETTING
#undef SETTING_FIELD_APP
#undef SETTING_FIELD_NODE
#undef SETTING_FIELD_CONNECTION
#undef SETTING_FIELD_COMPILE
};
void app_limits_fill(struct app_limits *limits);

enum app_scope { APP_SCOPE_APP, APP_SCOPE_NODE, APP_SCOPE_CONNECTION, APP_SCOPE_COMPILE };
enum app_type { APP_COUNT, APP_BYTES, APP_MS };
enum app_setting_id {
#define SETTING(scope, field, ...) APP_SETTING_##field,
#include "app/settings.def"
#undef SETTING
    APP_SETTINGS,
    APP_SETTING_NONE = APP_SETTINGS
};
struct app_setting {
    enum app_scope scope;
    enum app_type type;
    uint64_t value, least, most;
    const char *field, *key, *flag, *argument, *otherwise, *bounds; /* as settings.def has them */
};
extern const struct app_setting app_settings[APP_SETTINGS];
uint64_t *app_limits_at(struct app_limits *limits, enum app_setting_id id); /* NULL: it is of another scope */

/* "65536", "64K", "64KiB", "1G": whole numbers, powers of 1024. */
bool app_parse_bytes(const char *text, uint64_t *out);
/* "500ms", "30s", "2m", "1h"; a bare number is seconds. */
bool app_parse_ms(const char *text, uint64_t *out);
/* What a person writes for a setting, within its range. ERR_USAGE: d says what it takes. called: "--timeout", "timeout_ms". */
[[nodiscard]] err app_setting_parse(enum app_setting_id id, const char *called, const char *text, uint64_t *out, struct diag *d);
[[nodiscard]] err app_setting_check(enum app_setting_id id, const char *called, uint64_t value, struct diag *d);
/* "64M", "30s", "1000". */
str app_value_text(arena *out, enum app_type type, uint64_t value);
/* "timeout_ms=30000", "body_kb=128": in the unit that the key names, where it is a whole number of those. */
str app_setting_said(arena *out, enum app_setting_id id, uint64_t value);
/* The default, as people read it. */
str app_setting_default(arena *out, enum app_setting_id id);

/* As bytes, for a snapshot or a file. Reading takes only values within their ranges, and fills in what is not there: else rd_fail. */
void app_limits_write(struct buf *to, const struct app_limits *limits);
void app_limits_read(struct rd *from, struct app_limits *limits);

#endif
