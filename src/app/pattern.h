/* pattern: what paths a rule of an app is for, and such a path as whoever answers will read it.
 *
 *   "/about"          that path, with or without a slash behind it
 *   "/docs/" "*"      (written together) "/docs" and all below it; what the star stands for is the splat
 *   "*.html"          whatever ends so
 *   "/users/:id/x"    :id is any one segment that is not empty, before the star if there is one
 *
 * 1. A pattern has one star at most, so that a path is held against it in one pass, whatever both say.
 * 2. One path has several readings: as it came, decoded, and with its dots resolved; guests differ in which is theirs. A rule that forbids holds where any of
 *    them matches, one that allows where all do: nobody gets round a rule by writing a path otherwise.
 */
#ifndef ORLO_APP_PATTERN_H
#define ORLO_APP_PATTERN_H

#include "base/base.h"

enum { APP_PATTERN_BYTES_MAX = 512, APP_PATTERN_NAMES_MAX = 8 };

/* NULL: it is one; else what it takes. */
const char *app_pattern_wrong(str pattern);
/* What stood where a pattern has a name, or its star ("splat"). Borrows path and pattern. */
struct app_matched {
    struct {
        str name, value;
    } of[APP_PATTERN_NAMES_MAX + 1];
    uint32_t n;
};
bool app_pattern_match(str pattern, str path, struct app_matched *names); /* names may be NULL */

/* Without its query; %41 and its kin decoded but for %2F, "//" and "\" as one slash, "." and ".." gone. to is heap (buf_free) where it was written
 * otherwise; else path's own bytes. */
str app_path_normal(str path, struct buf *to);

/* The readings of a path. */
struct app_paths {
    str of[3]; /* without a query */
    uint32_t n;
    struct buf own[2];
};
void app_paths_of(struct app_paths *p, str path); /* borrows it; app_paths_free */
void app_paths_free(struct app_paths *p);
bool app_paths_any(const struct app_paths *p, str pattern);
bool app_paths_all(const struct app_paths *p, str pattern);

/* Where a redirect leads: ":name" behind a slash or an equals sign, and behind the host, is what names have of it. */
const char *app_target_wrong(str target, str pattern, const str *more,
                             uint32_t count); /* NULL: each of its names is one of the pattern's, or of more */
bool app_target_has_names(str target);
/* A path stays one, whatever stands in for its names: it never begins with two slashes. */
void app_target_fill(struct buf *to, str target, const struct app_matched *names);

#endif
