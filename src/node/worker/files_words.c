/* files_words: see files.h. */
#include "node/worker/files.h"
#include <stdio.h>
#include <time.h>

/* ---- paths ---- */

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decoded once, for all that is done with it. False: no path, or a longer one than any file's. */
static bool decode(str path, uint8_t to[NODE_PACK_PATH_MAX], size_t *n) {
    *n = 0;
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = path.p[i];
        if (c == '%') {
            int high = i + 2 < path.n ? hex(path.p[i + 1]) : -1, low = high >= 0 ? hex(path.p[i + 2]) : -1;
            if (low < 0) return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (*n == NODE_PACK_PATH_MAX) return false;
        to[(*n)++] = c;
    }
    return true;
}

/* The file of a name in a folder ("" or "a/b/"). */
static const struct node_pack_file *in_folder(const struct node_pack *p, str folder, str name) {
    uint8_t path[NODE_PACK_PATH_MAX];
    if (!name.n || folder.n + name.n > sizeof path) return NULL;
    memcpy(path, folder.p, folder.n);
    memcpy(path + folder.n, name.p, name.n);
    return node_pack_find(p, (str){path, folder.n + name.n});
}

static bool names_a_file(str path) {
    size_t dot = path.n;
    while (dot && path.p[dot - 1] != '/' && path.p[dot - 1] != '.') dot--;
    return dot && path.p[dot - 1] == '.';
}

static enum node_files_found not_here(const struct node_pack *p, const struct app_files *f, bool spa,
                                      const struct node_pack_file **file) {
    *file = spa ? in_folder(p, STR(""), f->index.n ? f->index : STR("index.html")) : NULL;
    if (*file) return NODE_FILES_FILE;
    *file = f->not_found.n ? node_pack_find(p, f->not_found) : NULL;
    return NODE_FILES_NOT_HERE;
}

enum node_files_found node_files_find(const struct node_pack *p, const struct app_files *f, str rest, bool html,
                                      const struct node_pack_file **file) {
    uint8_t bytes[NODE_PACK_PATH_MAX + 1];
    size_t n;
    rest.n = str_find(rest, '?');
    bool slash = rest.n && rest.p[0] == '/';
    *file = NULL;
    if (!decode(str_sub(rest, slash, rest.n), bytes, &n)) return NODE_FILES_BAD;
    str path = {bytes, n}, folder = {bytes, n && bytes[n - 1] == '/' ? n - 1 : n};
    bool is_folder = !n || bytes[n - 1] == '/';
    if (n && !node_pack_path_ok(folder)) return NODE_FILES_BAD;
    if (is_folder) *file = in_folder(p, path, f->index);
    else *file = node_pack_find(p, path);
    if (*file) return NODE_FILES_FILE;
    if (!is_folder && f->index.n && node_pack_has_folder(p, path)) {
        bytes[n] = '/';
        if (n < NODE_PACK_PATH_MAX && in_folder(p, (str){bytes, n + 1}, f->index)) return NODE_FILES_SLASH;
    }
    return not_here(p, f, f->spa && (html || !names_a_file(path)), file);
}

/* ---- codings ---- */

/* "0.5" as thousandths; of nothing 1000. What is none is 0: it is not taken. */
static uint32_t weight_of(str parameters) {
    uint32_t q = 0, place = 1000;
    parameters = str_trim(parameters);
    if (!parameters.n) return 1000;
    if (parameters.n < 3 || (parameters.p[0] | 0x20) != 'q' || parameters.p[1] != '=') return 0;
    for (size_t i = 2; i < parameters.n; i++) {
        uint8_t c = parameters.p[i];
        if (i == 3 ? c != '.' : c < '0' || c > '9') return 0;
        if (i != 3) q += (uint32_t)(c - '0') * place, place /= 10;
    }
    return MIN(q, 1000u);
}

/* How much who asks wants this coding, in thousandths. */
static uint32_t wanted(const struct net_field *fields, uint32_t count, str coding) {
    uint32_t any = 0;
    for (uint32_t i = 0; i < count; i++) {
        str list = fields[i].value, item, name, parameters;
        if (!str_eq_nocase(fields[i].name, STR("accept-encoding"))) continue;
        while (list.n) {
            str_cut(list, ',', &item, &list);
            str_cut(item, ';', &name, &parameters);
            name = str_trim(name);
            if (str_eq_nocase(name, coding)) return weight_of(parameters);
            if (str_eqc(name, "*")) any = weight_of(parameters);
        }
    }
    return any;
}

const struct node_pack_file *node_files_coded(const struct node_pack *p, const struct node_pack_file *f,
                                              const struct net_field *fields, uint32_t count, str *coding, bool *varies) {
    static const struct {
        str name;
        const char *end;
    } codings[] = {{STR_INIT("br"), ".br"}, {STR_INIT("zstd"), ".zst"}, {STR_INIT("gzip"), ".gz"}}; /* the smallest first */
    const struct node_pack_file *best = f;
    uint32_t most = 0;
    *coding = (str){0};
    *varies = false;
    for (size_t i = 0; i < ARRAY_COUNT(codings); i++) {
        const struct node_pack_file *coded = in_folder(p, f->path, str_c(codings[i].end));
        if (!coded) continue;
        *varies = true;
        uint32_t q = wanted(fields, count, codings[i].name);
        if (q <= most) continue;
        most = q;
        best = coded;
        *coding = codings[i].name;
    }
    return best;
}

/* ---- types ---- */

str node_files_type(str path) {
    static const struct {
        const char *end, *type;
    } types[] = {
#define TYPE(end, type) {end, type},
#include "node/worker/files.def"
#undef TYPE
    };
    size_t dot = path.n, low = 0;
    while (dot && path.p[dot - 1] != '.' && path.p[dot - 1] != '/') dot--;
    if (!dot || path.p[dot - 1] != '.') return STR("application/octet-stream");
    uint8_t end[16];
    size_t n = MIN(path.n - dot, sizeof end);
    for (size_t i = 0; i < n; i++)
        end[i] = path.p[dot + i] >= 'A' && path.p[dot + i] <= 'Z' ? path.p[dot + i] | 0x20 : path.p[dot + i];
    for (size_t high = ARRAY_COUNT(types); low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp((str){end, n}, str_c(types[middle].end));
        if (!order && n == path.n - dot) return str_c(types[middle].type);
        if (order <= 0) high = middle;
        else low = middle + 1;
    }
    return STR("application/octet-stream");
}

/* ---- what the request says of what it has ---- */

void node_files_etag(const struct node_pack_file *f, char to[NODE_FILES_ETAG]) {
    *to++ = '"';
    for (int i = 0; i < 16; i++) *to++ = "0123456789abcdef"[f->digest[i] >> 4], *to++ = "0123456789abcdef"[f->digest[i] & 15];
    *to++ = '"';
    *to = 0;
}

void node_files_date(uint64_t seconds, char to[NODE_FILES_DATE]) {
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t t = (time_t)MIN(seconds, (uint64_t)253402300799); /* the last second of the year 9999 */
    struct tm tm;
    gmtime_r(&t, &tm);
    char text[80];
    snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
             months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(to, text, NODE_FILES_DATE - 1);
    to[NODE_FILES_DATE - 1] = 0;
}

/* An IMF-fixdate (RFC 9110 §5.6.7), which is what everybody sends. False: it is none. */
static bool date_of(str text, uint64_t *seconds) {
    char c[NODE_FILES_DATE];
    struct tm tm = {0};
    if (text.n != NODE_FILES_DATE - 1) return false;
    memcpy(c, text.p, text.n);
    c[text.n] = 0;
    const char *end = strptime(c, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    time_t t = end && !*end ? timegm(&tm) : -1;
    *seconds = (uint64_t)t;
    return t >= 0;
}

static str field(const struct net_field *fields, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (str_eq_nocase(fields[i].name, str_c(name))) return fields[i].value;
    return (str){0};
}

/* Whether a list of entity tags has ours; weak: W/ before one is nothing to us. */
static bool lists(const struct net_field *fields, uint32_t count, const char *name, const char *etag, bool weak) {
    for (uint32_t i = 0; i < count; i++) {
        str rest = fields[i].value, one;
        if (!str_eq_nocase(fields[i].name, str_c(name))) continue;
        while (rest.n) {
            str_cut(rest, ',', &one, &rest);
            one = str_trim(one);
            if (str_eqc(one, "*")) return true;
            if (weak && str_starts(one, STR("W/"))) one = str_sub(one, 2, one.n);
            if (str_eqc(one, etag)) return true;
        }
    }
    return false;
}

/* "bytes=A-B", "bytes=A-", "bytes=-N", of one part. False: another unit, several, or nonsense: then there is all of it. */
static bool range_of(str value, uint64_t size, uint64_t *from, uint64_t *bytes) {
    str first, last;
    uint64_t a, b;
    if (value.n < 6 || !str_eq_nocase(str_sub(value, 0, 6), STR("bytes="))) return false;
    value = str_trim(str_sub(value, 6, value.n));
    if (!str_cut(value, '-', &first, &last) || (!first.n && !last.n)) return false;
    if (first.n ? !str_to_u64(first, &a) : !str_to_u64(last, &b)) return false;
    if (first.n && last.n && (!str_to_u64(last, &b) || b < a)) return false;
    if (!first.n) a = size - MIN(b, size), b = b ? UINT64_MAX : 0;
    else if (!last.n) b = UINT64_MAX;
    if (!first.n && !b) a = size; /* the last nought bytes: none */
    *from = a;
    *bytes = a < size ? MIN(b, size - 1) - a + 1 : 0;
    return true;
}

/* Whether a part may be given: what who asks has of it is of this file. */
static bool same_as_his(str if_range, const char *etag, const struct node_pack_file *f) {
    uint64_t seconds;
    if (!if_range.n || str_eqc(if_range, etag)) return true;
    return f->modified && date_of(if_range, &seconds) && seconds == f->modified;
}

struct node_files_part node_files_part(const struct node_pack_file *f, const struct net_field *fields, uint32_t count) {
    struct node_files_part all = {200, 0, f->bytes}, part = {206, 0, 0};
    char etag[NODE_FILES_ETAG];
    uint64_t seconds;
    node_files_etag(f, etag);
    if (field(fields, count, "if-match").p && !lists(fields, count, "if-match", etag, false))
        return (struct node_files_part){412, 0, 0};
    if (field(fields, count, "if-none-match").p) {
        if (lists(fields, count, "if-none-match", etag, true)) return (struct node_files_part){304, 0, 0};
    } else if (f->modified && date_of(field(fields, count, "if-modified-since"), &seconds) && f->modified <= seconds)
        return (struct node_files_part){304, 0, 0};
    str range = field(fields, count, "range");
    if (!range.n || !same_as_his(field(fields, count, "if-range"), etag, f)) return all;
    if (!range_of(range, f->bytes, &part.from, &part.bytes)) return all;
    return part.bytes ? part : (struct node_files_part){416, 0, 0};
}
