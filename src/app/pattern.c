/* pattern: see pattern.h. */
#include "app/pattern.h"

static bool in_name(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Behind a colon. */
static size_t name_at(str s, size_t at) {
    size_t n = 0;
    while (at + n < s.n && in_name(s.p[at + n])) n++;
    return n;
}

/* A segment that is a name begins at i. */
static size_t name_segment(str pattern, size_t i) {
    if (pattern.p[i] != ':' || !i || pattern.p[i - 1] != '/') return 0;
    size_t n = name_at(pattern, i + 1);
    return n && (i + 1 + n == pattern.n || pattern.p[i + 1 + n] == '/') ? n : 0;
}

const char *app_pattern_wrong(str pattern) {
    uint32_t stars = 0, names = 0;
    if (!pattern.n || pattern.n > APP_PATTERN_BYTES_MAX || (pattern.p[0] != '/' && pattern.p[0] != '*'))
        return "a pattern begins with / or *, and has up to 512 bytes";
    for (size_t i = 0; i < pattern.n; i++) {
        uint8_t c = pattern.p[i];
        if (c <= ' ' || c == 0x7f || c == '?' || c == '#' || c == '\\')
            return "a pattern is of a path: without spaces, a query or a fragment";
        stars += c == '*';
        if (stars > 1) return "a pattern has one star at most";
        if (c != ':' || !i || pattern.p[i - 1] != '/') continue;
        if (stars) return "behind a pattern's star no name is known";
        if (!name_segment(pattern, i)) return "a name in a pattern is a whole segment of letters, digits, - and _: /users/:id";
        if (++names > APP_PATTERN_NAMES_MAX) return "a pattern has up to 8 names";
    }
    return NULL;
}

static void note(struct app_matched *names, str name, str value) {
    if (names && names->n < ARRAY_COUNT(names->of)) names->of[names->n].name = name, names->of[names->n++].value = value;
}

static bool star(str after, str path, size_t at, struct app_matched *names) {
    if (path.n - at < after.n || !str_ends(path, after)) return false;
    note(names, STR("splat"), str_sub(path, at, path.n - at - after.n));
    return true;
}

bool app_pattern_match(str pattern, str path, struct app_matched *names) {
    size_t i = 0, j = 0;
    if (names) names->n = 0;
    while (i < pattern.n) {
        uint8_t c = pattern.p[i];
        size_t name;
        if (c == '*') return star(str_sub(pattern, i + 1, pattern.n), path, j, names);
        if (j == path.n) break;
        if ((name = c == ':' ? name_segment(pattern, i) : 0)) {
            size_t from = j;
            while (j < path.n && path.p[j] != '/') j++;
            if (j == from) return false;
            note(names, str_sub(pattern, i + 1, name), str_sub(path, from, j - from));
            i += 1 + name;
            continue;
        }
        if (c != path.p[j]) return false;
        i++, j++;
    }
    str left = str_sub(pattern, i, pattern.n);
    if (str_eqc(left, "/*")) {
        note(names, STR("splat"), (str){0});
        return true;
    }
    return (!left.n || str_eqc(left, "/")) && (j == path.n || (j + 1 == path.n && path.p[j] == '/'));
}

/* ---- paths ---- */

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_normal(str path) {
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = path.p[i];
        if (c == '%' || c == '\\') return false;
        if (c == '/' && i + 1 < path.n && (path.p[i + 1] == '/' || path.p[i + 1] == '.')) return false;
    }
    return true;
}

/* The segment that was put last was "." or "..". */
static void close_segment(struct buf *to, size_t *segment) {
    str last = str_sub(buf_str(to), *segment, to->n);
    if (str_eqc(last, ".")) to->n = *segment;
    else if (str_eqc(last, "..")) {
        to->n = *segment ? *segment - 1 : 0; /* its slash, and the segment before */
        while (to->n && to->p[to->n - 1] != '/') to->n--;
    }
    if (!to->n) buf_putc(to, '/');
}

static str rewrite(str path, struct buf *to, bool resolves) {
    size_t segment = 0;
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = path.p[i];
        int high = c == '%' && i + 2 < path.n ? hex(path.p[i + 1]) : -1, low = high >= 0 ? hex(path.p[i + 2]) : -1;
        bool decoded = low >= 0 && (high << 4 | low) != '/';
        if (decoded) c = (uint8_t)(high << 4 | low), i += 2;
        if (c == '\\') c = '/';
        if (c != '/') {
            buf_putc(to, c);
            continue;
        }
        if (to->n && resolves) close_segment(to, &segment);
        if (!to->n || to->p[to->n - 1] != '/') buf_putc(to, '/');
        segment = to->n;
    }
    if (resolves) close_segment(to, &segment);
    return buf_str(to);
}

str app_path_normal(str path, struct buf *to) {
    path = str_sub(path, 0, str_find(path, '?'));
    return LIKELY(is_normal(path)) ? path : rewrite(path, to, true);
}

void app_paths_of(struct app_paths *p, str path) {
    *p = (struct app_paths){.n = 1, .of = {str_sub(path, 0, str_find(path, '?'))}};
    if (LIKELY(is_normal(p->of[0]))) return;
    p->of[1] = rewrite(p->of[0], &p->own[0], false);
    p->of[2] = rewrite(p->of[0], &p->own[1], true);
    p->n = 3;
}

void app_paths_free(struct app_paths *p) { buf_free(&p->own[0]), buf_free(&p->own[1]); }

bool app_paths_any(const struct app_paths *p, str pattern) {
    for (uint32_t i = 0; i < p->n; i++)
        if (app_pattern_match(pattern, p->of[i], NULL)) return true;
    return false;
}

bool app_paths_all(const struct app_paths *p, str pattern) {
    for (uint32_t i = 0; i < p->n; i++)
        if (!app_pattern_match(pattern, p->of[i], NULL)) return false;
    return true;
}

/* ---- where a redirect leads ---- */

/* Behind "https://host". */
static size_t behind_host(str target) {
    size_t scheme = str_starts(target, STR("https://")) ? 8 : str_starts(target, STR("http://")) ? 7 : 0;
    if (!scheme) return 0;
    size_t i = scheme;
    while (i < target.n && target.p[i] != '/' && target.p[i] != '?' && target.p[i] != '#') i++;
    return i;
}

static size_t placeholder(str target, size_t i, size_t least) {
    if (target.p[i] != ':' || i <= least || (target.p[i - 1] != '/' && target.p[i - 1] != '=')) return 0;
    return name_at(target, i + 1);
}

bool app_target_has_names(str target) {
    size_t least = behind_host(target);
    for (size_t i = least; i < target.n; i++)
        if (placeholder(target, i, least)) return true;
    return false;
}

static bool knows(str name, str pattern, const str *more, uint32_t count) {
    if (str_eqc(name, "splat") && memchr(pattern.p ? pattern.p : (const uint8_t *)"", '*', pattern.n)) return true;
    for (size_t i = 0; i < pattern.n; i++) {
        size_t n = name_segment(pattern, i);
        if (n && str_eq(str_sub(pattern, i + 1, n), name)) return true;
    }
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(more[i], name)) return true;
    return false;
}

const char *app_target_wrong(str target, str pattern, const str *more, uint32_t count) {
    size_t least = behind_host(target), n;
    for (size_t i = least; i < target.n; i++)
        if ((n = placeholder(target, i, least)) && !knows(str_sub(target, i + 1, n), pattern, more, count))
            return "it has a :name that what it is led from does not have";
    return NULL;
}

static const char digits[] = "0123456789ABCDEF";
/* As it may stand in a field and in a URL: what is none of those goes as %XX. A path of one that leads from another is one, not a host. */
static void put_value(struct buf *to, str value, bool query) {
    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = value.p[i];
        bool bare = c > ' ' && c < 0x7f && c != '\\' && c != '"' && c != '<' && c != '>' && c != '#' && c != '?' &&
                    (!query || (c != '&' && c != '+'));
        if (bare) buf_putc(to, c);
        else buf_putc(to, '%'), buf_putc(to, (uint8_t)digits[c >> 4]), buf_putc(to, (uint8_t)digits[c & 15]);
    }
}

void app_target_fill(struct buf *to, str target, const struct app_matched *names) {
    size_t least = behind_host(target), n, from = to->n, query = str_find(target, '?');
    for (size_t i = 0; i < target.n; i++) {
        if (!(n = i >= least ? placeholder(target, i, least) : 0)) {
            buf_putc(to, target.p[i]);
            continue;
        }
        for (uint32_t k = 0; k < names->n; k++) {
            str value = names->of[k].value;
            if (!str_eq(names->of[k].name, str_sub(target, i + 1, n))) continue;
            while (i < query && value.n && (value.p[0] == '/' || value.p[0] == '\\') && to->n && to->p[to->n - 1] == '/')
                value = str_sub(value, 1, value.n);
            put_value(to, value, i > query);
            break;
        }
        i += n;
    }
    if (to->n > from + 1 && to->p[from] == '/' && !least) { /* "//host" */
        size_t extra = 0;
        while (from + 1 + extra < to->n && to->p[from + 1 + extra] == '/') extra++;
        if (extra) memmove(to->p + from + 1, to->p + from + 1 + extra, to->n - from - 1 - extra), to->n -= extra;
    }
}
