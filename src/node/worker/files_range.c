/* files_range: what a request's fields make of a file: conditions in their order (RFC 9110 §13.2.2), and which parts of it are asked for (§14).
 *
 *   if-match, else if-unmodified-since ──no──> 412
 *   if-none-match, else if-modified-since ──the same──> 304
 *   GET with range, and if-range as it is ──> 206, 416, or all of it
 */
#include "node/worker/files.h"
#include <time.h>

/* ---- dates ---- */

/* Of any of the three forms (§5.6.7); whoever writes others is not heard. */
static bool date_of(str text, uint64_t *seconds) {
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
    char c[40];
    if (!text.n || text.n >= sizeof c) return false;
    memcpy(c, text.p, text.n);
    c[text.n] = 0;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(c, forms[i], &tm);
        time_t t = end && !*end && (i || text.n == NODE_FILES_DATE - 1) ? timegm(&tm) : -1;
        if (t < 0) continue;
        *seconds = (uint64_t)t;
        return true;
    }
    return false;
}

/* ---- entity tags ---- */

static bool has(const struct net_field *fields, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (str_eq_nocase(fields[i].name, str_c(name))) return true;
    return false;
}

/* The only one of its name. False: there is none, or several, which say nothing. */
static bool only(const struct net_field *fields, uint32_t count, const char *name, str *value) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (str_eq_nocase(fields[i].name, str_c(name))) *value = str_trim(fields[i].value), n++;
    return n == 1;
}

/* The next of a list, W/ before it or not. False: nothing that is one follows. */
static bool next_tag(str *list, str *tag, bool *weak) {
    while (list->n && (list->p[0] == ',' || list->p[0] == ' ' || list->p[0] == '\t')) *list = str_sub(*list, 1, list->n);
    *weak = str_starts(*list, STR("W/"));
    if (*weak) *list = str_sub(*list, 2, list->n);
    if (!list->n || list->p[0] != '"') return false;
    size_t end = 1;
    while (end < list->n && list->p[end] != '"') end++;
    if (end == list->n) return false;
    *tag = str_sub(*list, 0, end + 1);
    *list = str_sub(*list, end + 1, list->n);
    return true;
}

/* Whether a list of entity tags has ours; weakly: W/ before one is nothing to us (§8.8.3.2). */
static bool lists(const struct net_field *fields, uint32_t count, const char *name, const char *etag, bool weakly) {
    for (uint32_t i = 0; i < count; i++) {
        str rest = fields[i].value, tag;
        bool weak;
        if (!str_eq_nocase(fields[i].name, str_c(name))) continue;
        if (str_eqc(str_trim(rest), "*")) return true;
        while (next_tag(&rest, &tag, &weak))
            if (str_eqc(tag, etag) && (weakly || !weak)) return true;
    }
    return false;
}

/* ---- ranges ---- */

/* "A-B", "A-", "-N". False: it is none. *bytes 0: there is no such part. */
static bool range_of(str one, uint64_t size, struct node_files_range *to) {
    str first, last;
    uint64_t a, b = UINT64_MAX;
    if (!str_cut(one, '-', &first, &last) || (!first.n && !last.n)) return false;
    if (first.n ? !str_to_u64(first, &a) : !str_to_u64(last, &b)) return false;
    if (first.n && last.n && (!str_to_u64(last, &b) || b < a)) return false;
    if (!first.n) a = size - MIN(b, size), b = UINT64_MAX;
    *to = (struct node_files_range){a, a < size ? MIN(b, size - 1) - a + 1 : 0};
    return true;
}

enum { GAP = 128 /* what the head of a part takes, about */ };

/* Those that overlap, or have less between them than a part's head takes, are one (§15.3.7.2). */
static void add_range(struct node_files_part *p, struct node_files_range r) {
    for (uint32_t i = 0; i < p->n;) {
        struct node_files_range *of = &p->of[i];
        uint64_t end = of->from + of->bytes, his_end = r.from + r.bytes;
        if (r.from > end + GAP || of->from > his_end + GAP) {
            i++;
            continue;
        }
        r.from = MIN(r.from, of->from);
        r.bytes = MAX(end, his_end) - r.from;
        memmove(of, of + 1, (p->n - i - 1) * sizeof *of);
        p->n--;
        i = 0; /* it may meet others now */
    }
    p->of[p->n++] = r;
}

/* Which parts. False: another unit, nonsense, or more than anybody means: then there is all of it. */
static bool ranges_of(str value, uint64_t size, struct node_files_part *p) {
    uint32_t said = 0, overlap = 0;
    uint64_t sum = 0;
    if (value.n < 6 || !str_eq_nocase(str_sub(value, 0, 6), STR("bytes="))) return false;
    *p = (struct node_files_part){.status = 206};
    for (str rest = str_sub(value, 6, value.n), one; rest.n;) {
        struct node_files_range r;
        str_cut(rest, ',', &one, &rest);
        one = str_trim(one);
        if (!one.n) continue; /* an empty element of a list (§5.6.1.2) */
        if (++said > NODE_FILES_RANGES_MAX || !range_of(one, size, &r)) return false;
        if (!r.bytes) continue;
        sum += r.bytes;
        for (uint32_t i = 0; i < p->n; i++)
            overlap += r.from < p->of[i].from + p->of[i].bytes && p->of[i].from < r.from + r.bytes;
        add_range(p, r);
    }
    if (!said || overlap > 2 || (said > 1 && sum > size)) return false; /* §14.2: a mistake, or an attack */
    if (!p->n) p->status = 416;
    return true;
}

/* Whether a part may be given: what who asks has of it is of this file (§13.1.5). */
static bool same_as_his(const struct net_field *fields, uint32_t count, const char *etag, const struct node_pack_file *f) {
    str if_range;
    uint64_t seconds;
    if (!has(fields, count, "if-range")) return true;
    if (!only(fields, count, "if-range", &if_range)) return false;
    if (str_eqc(if_range, etag)) return true;
    return f->modified && if_range.n && if_range.p[0] != '"' && date_of(if_range, &seconds) && seconds == f->modified;
}

static uint16_t condition(const struct node_pack_file *f, const char *etag, const struct net_field *fields, uint32_t count) {
    str value;
    uint64_t seconds;
    if (has(fields, count, "if-match")) {
        if (!lists(fields, count, "if-match", etag, false)) return 412;
    } else if (f->modified && only(fields, count, "if-unmodified-since", &value) && date_of(value, &seconds) &&
               f->modified > seconds)
        return 412;
    if (has(fields, count, "if-none-match")) return lists(fields, count, "if-none-match", etag, true) ? 304 : 200;
    bool old = f->modified && only(fields, count, "if-modified-since", &value) && date_of(value, &seconds);
    return old && f->modified <= seconds ? 304 : 200;
}

/* Most requests say nothing of it, and nothing is made for them. */
static bool says_nothing(const struct net_field *fields, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        str name = fields[i].name;
        if (name.n >= 5 &&
            ((name.p[0] | 0x20) == 'i' ? (name.p[1] | 0x20) == 'f' && name.p[2] == '-' : (name.p[0] | 0x20) == 'r'))
            return false;
    }
    return true;
}

struct node_files_part node_files_part(const struct node_pack_file *f, bool get, const struct net_field *fields, uint32_t count) {
    struct node_files_part all = {.status = 200, .n = 1}, part;
    char etag[NODE_FILES_ETAG];
    str range;
    all.of[0] = (struct node_files_range){0, f->bytes};
    if (LIKELY(says_nothing(fields, count))) return all;
    node_files_etag(f, etag);
    uint16_t status = condition(f, etag, fields, count);
    if (status != 200) return (struct node_files_part){.status = status};
    if (!get || !only(fields, count, "range", &range) || !same_as_his(fields, count, etag, f)) return all;
    return ranges_of(range, f->bytes, &part) ? part : all;
}
