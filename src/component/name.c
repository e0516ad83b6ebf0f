/* name: the grammar of labels, extern names and versions (Explainer.md, Import and Export Definitions;
 * semver.org 2.0.0), strong uniqueness, and how imports match what is offered. */
#include "component/component_int.h"

#include <stdio.h>

static bool is_lower(uint8_t c) { return c >= 'a' && c <= 'z'; }
static bool is_upper(uint8_t c) { return c >= 'A' && c <= 'Z'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* label ::= first-fragment ('-' fragment)*: each fragment is all lower or all upper case, the first starts
 * with a letter. */
static bool is_label(str s) {
    bool lower = false, upper = false, first = true, any = false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '-') {
            if (!any) return false;
            lower = upper = first = any = false;
            continue;
        }
        if (is_lower(c) && !upper) lower = true;
        else if (is_upper(c) && !lower) upper = true;
        else if (!is_digit(c) || (first && !any)) return false;
        any = true;
    }
    return any;
}

err cname_label(str s, const char *what, struct diag *d, uint64_t at) {
    if (s.n == 0) return diag_set(d, ERR_INVALID, at, "%s name cannot be empty", what);
    if (!is_label(s)) return diag_set(d, ERR_INVALID, at, "%s name `" STR_FMT "` is not in kebab case", what, STR_ARG(s));
    return ERR_OK;
}

static err kebab(str s, str whole, struct diag *d, uint64_t at) {
    if (is_label(s)) return ERR_OK;
    return diag_set(d, ERR_INVALID, at, "`" STR_FMT "` is not in kebab case: `" STR_FMT "` is not a valid extern name",
                    STR_ARG(s), STR_ARG(whole));
}

/* Cuts the run of label characters off the front of *s. */
static str take_label(str *s) {
    size_t n = 0;
    while (n < s->n && (is_lower(s->p[n]) || is_upper(s->p[n]) || is_digit(s->p[n]) || s->p[n] == '-')) n++;
    str label = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return label;
}

static bool take(str *s, str prefix) {
    if (!str_starts(*s, prefix)) return false;
    *s = str_sub(*s, prefix.n, s->n);
    return true;
}

/* words: a label without upper case. Anything else in place of a label is quoted whole, as far as it goes. */
static err take_part(str *rest, str whole, bool lowercase, struct diag *d, uint64_t at) {
    str part = take_label(rest);
    TRY(kebab(part, whole, d, at));
    for (size_t i = 0; lowercase && i < part.n; i++)
        if (is_upper(part.p[i]))
            return diag_set(d, ERR_INVALID, at,
                            "character `%c` is not lowercase in package name/namespace: `" STR_FMT "` is not a valid extern name",
                            part.p[i], STR_ARG(whole));
    return ERR_OK;
}

/* ---- versions ----------------------------------------------------------------------------------- */

/* Reads a numeric identifier; *why says what is wrong. */
static bool take_number(str *s, uint64_t *v, char *why, size_t why_bytes) {
    size_t n = 0;
    uint64_t value = 0;
    while (n < s->n && is_digit(s->p[n])) {
        if (n > 0 && value == 0) return snprintf(why, why_bytes, "invalid leading zero in version number"), false;
        if (value > (UINT64_MAX - 9) / 10) return snprintf(why, why_bytes, "version number is too large"), false;
        value = value * 10 + (s->p[n++] - '0');
    }
    if (n == 0) {
        if (s->n == 0) snprintf(why, why_bytes, "unexpected end of input in version number");
        else if (s->p[0] >= 0x20 && s->p[0] < 0x7f)
            snprintf(why, why_bytes, "unexpected character '%c' in version number", s->p[0]);
        else snprintf(why, why_bytes, "unexpected byte 0x%02x in version number", s->p[0]);
        return false;
    }
    *s = str_sub(*s, n, s->n);
    *v = value;
    return true;
}

static bool take_dot(str *s, char *why, size_t why_bytes) {
    if (take(s, STR("."))) return true;
    if (s->n == 0) snprintf(why, why_bytes, "unexpected end of input in version number, expected '.'");
    else snprintf(why, why_bytes, "unexpected character '%c' after version number", s->p[0]);
    return false;
}

/* Dot-separated identifiers (semver §9, §10): not empty; numeric ones of a pre-release have no leading zero.
 */
static bool take_identifiers(str *s, bool pre, str *out, char *why, size_t why_bytes) {
    size_t n = 0, start = 0;
    bool all_digits = true;
    for (;; n++) {
        bool more = n < s->n && (is_lower(s->p[n]) || is_upper(s->p[n]) || is_digit(s->p[n]) || s->p[n] == '-');
        if (more) {
            all_digits &= is_digit(s->p[n]);
            continue;
        }
        if (n == start) return snprintf(why, why_bytes, "empty identifier segment in version"), false;
        if (pre && all_digits && n - start > 1 && s->p[start] == '0')
            return snprintf(why, why_bytes, "invalid leading zero in pre-release identifier"), false;
        if (n == s->n || s->p[n] != '.') break;
        start = n + 1;
        all_digits = true;
    }
    *out = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return true;
}

static bool parse_version(str s, struct component_version *v, char *why, size_t why_bytes) {
    *v = (struct component_version){.present = true};
    if (s.n == 0) return snprintf(why, why_bytes, "empty string, expected a semver version"), false;
    if (!take_number(&s, &v->major, why, why_bytes) || !take_dot(&s, why, why_bytes) ||
        !take_number(&s, &v->minor, why, why_bytes) || !take_dot(&s, why, why_bytes) ||
        !take_number(&s, &v->patch, why, why_bytes))
        return false;
    if (take(&s, STR("-")) && !take_identifiers(&s, true, &v->pre, why, why_bytes)) return false;
    if (take(&s, STR("+")) && !take_identifiers(&s, false, &v->build, why, why_bytes)) return false;
    if (s.n == 0) return true;
    return snprintf(why, why_bytes, "unexpected character '%c' after version", s.p[0]), false;
}

bool component_version_parse(str s, struct component_version *v) {
    char why[96];
    if (parse_version(s, v, why, sizeof why)) return true;
    *v = (struct component_version){.present = false};
    return false;
}

static int cmp_u64(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

/* semver §11.4: identifiers left to right; numbers by value and below words; more identifiers win. */
static int cmp_pre(str a, str b) {
    if (a.n == 0 || b.n == 0) return (a.n == 0) - (b.n == 0);
    for (;;) {
        str ai, bi;
        bool a_more = str_cut(a, '.', &ai, &a), b_more = str_cut(b, '.', &bi, &b);
        uint64_t an, bn;
        bool a_num = str_to_u64(ai, &an), b_num = str_to_u64(bi, &bn);
        int c = a_num && b_num ? cmp_u64(an, bn) : a_num != b_num ? (a_num ? -1 : 1) : str_cmp(ai, bi);
        if (c) return c;
        if (!a_more || !b_more) return a_more - b_more;
    }
}

int component_version_cmp(const struct component_version *a, const struct component_version *b) {
    if (a->present != b->present) return a->present - b->present;
    int c = cmp_u64(a->major, b->major);
    if (!c) c = cmp_u64(a->minor, b->minor);
    if (!c) c = cmp_u64(a->patch, b->patch);
    return c ? c : cmp_pre(a->pre, b->pre);
}

bool component_version_same_track(const struct component_version *a, const struct component_version *b) {
    if (!a->present || !b->present) return a->present == b->present;
    if (a->pre.n || b->pre.n) return component_version_cmp(a, b) == 0;
    if (a->major != b->major) return false;
    if (a->major) return true;
    if (a->minor != b->minor) return false;
    return a->minor || a->patch == b->patch;
}

bool cname_canonversion(str s) {
    uint64_t v;
    char why[96];
    str rest = s;
    if (take(&rest, STR("0."))) {
        if (take(&rest, STR("0."))) return take_number(&rest, &v, why, sizeof why) && rest.n == 0;
        return take_number(&rest, &v, why, sizeof why) && rest.n == 0 && v > 0;
    }
    return take_number(&rest, &v, why, sizeof why) && rest.n == 0 && v > 0;
}

/* ---- extern names ------------------------------------------------------------------------------- */

/* interfacename without its version; *version: what follows '@', p NULL when there is none. */
static err interface_path(str s, str *version, struct diag *d, uint64_t at) {
    str rest = s;
    *version = (str){NULL, 0};
    TRY(take_part(&rest, s, true, d, at));
    if (!take(&rest, STR(":")))
        return diag_set(d, ERR_INVALID, at, "expected `:` at `" STR_FMT "`: `" STR_FMT "` is not a valid extern name",
                        STR_ARG(rest), STR_ARG(s));
    TRY(take_part(&rest, s, true, d, at));
    if (!take(&rest, STR("/")))
        return diag_set(d, ERR_INVALID, at, "expected `/` after package name: `" STR_FMT "` is not a valid extern name",
                        STR_ARG(s));
    TRY(take_part(&rest, s, false, d, at));
    if (take(&rest, STR("@"))) {
        *version = rest;
        return ERR_OK;
    }
    if (rest.n)
        return diag_set(d, ERR_INVALID, at, "trailing characters found: `" STR_FMT "`: `" STR_FMT "` is not a valid extern name",
                        STR_ARG(rest), STR_ARG(s));
    return ERR_OK;
}

static err cname_interface(str s, struct diag *d, uint64_t at) {
    str version;
    struct component_version v;
    char why[96];
    TRY(interface_path(s, &version, d, at));
    if (version.p && !parse_version(version, &v, why, sizeof why) && !cname_canonversion(version))
        return diag_set(d, ERR_INVALID, at, "`" STR_FMT "` is not valid: invalid interface version: %s", STR_ARG(s), why);
    return ERR_OK;
}

err cname_extern(str s, bool *is_interface, struct diag *d, uint64_t at) {
    str rest = s;
    *is_interface = false;
    if (take(&rest, STR("[constructor]"))) return kebab(rest, s, d, at);
    if (take(&rest, STR("[method]")) || take(&rest, STR("[static]"))) {
        str resource, func;
        if (!str_cut(rest, '.', &resource, &func))
            return diag_set(d, ERR_INVALID, at, "failed to find `.` character: `" STR_FMT "` is not a valid extern name",
                            STR_ARG(s));
        TRY(kebab(resource, s, d, at));
        return kebab(func, s, d, at);
    }
    if (str_find(s, ':') == s.n) return kebab(s, s, d, at);
    *is_interface = true;
    return cname_interface(s, d, at);
}

str cname_canonical(arena *out, str name) {
    str rest = name;
    struct component_func_name f;
    component_func_name_split(name, &f);
    if (f.kind == COMPONENT_FUNC_METHOD || f.kind == COMPONENT_FUNC_STATIC) {
        rest = str_eq_nocase(f.resource, f.name) ? f.name : str_sub(name, str_find(name, ']') + 1, name.n);
    }
    uint8_t *p = arena_alloc(out, rest.n + 1, 1);
    for (size_t i = 0; i < rest.n; i++) p[i] = is_upper(rest.p[i]) ? (uint8_t)(rest.p[i] + 32) : rest.p[i];
    return (str){p, rest.n};
}

/* ---- splitting, matching ------------------------------------------------------------------------ */

void component_func_name_split(str name, struct component_func_name *out) {
    str rest = name;
    *out = (struct component_func_name){.kind = COMPONENT_FUNC_PLAIN, .name = name};
    if (take(&rest, STR("[constructor]"))) {
        *out = (struct component_func_name){COMPONENT_FUNC_CONSTRUCTOR, rest, STR("")};
        return;
    }
    bool method = take(&rest, STR("[method]"));
    if (!method && !take(&rest, STR("[static]"))) return;
    out->kind = method ? COMPONENT_FUNC_METHOD : COMPONENT_FUNC_STATIC;
    str_cut(rest, '.', &out->resource, &out->name);
}

/* "@1", "@0.2", "@0.0.3": a track without its suffix. */
static void canonversion_split(str s, struct component_version *v) {
    uint64_t n[3] = {0};
    char why[96];
    for (unsigned i = 0; i < 3 && s.n; i++) {
        if (!take_number(&s, &n[i], why, sizeof why)) return;
        take(&s, STR("."));
    }
    *v = (struct component_version){.present = true, .major = n[0], .minor = n[1], .patch = n[2]};
}

void component_name_split(str name, struct component_name *out) {
    str version, package, item;
    *out = (struct component_name){0};
    str_cut(name, '@', &out->bare, &version);
    if (version.n && !component_version_parse(version, &out->version) && cname_canonversion(version))
        canonversion_split(version, &out->version);
    if (!str_cut(out->bare, ':', &out->ns, &package)) {
        out->ns = STR("");
        out->item = out->bare;
        return;
    }
    str_cut(package, '/', &out->package, &item);
    out->item = item;
}

bool component_name_matches(str wanted, str offered) {
    struct component_name w, o;
    component_name_split(wanted, &w);
    component_name_split(offered, &o);
    return str_eq(w.bare, o.bare) && component_version_same_track(&w.version, &o.version);
}
