/* files_words: see files.h. */
#include "app/pattern.h"
#include "node/worker/files.h"
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

/* ".env", ".git/config": nobody's but who keeps them; what is well known is everybody's (RFC 8615). */
static bool is_hidden(str path) {
    if (str_starts(path, STR(".well-known/"))) path = str_sub(path, 12, path.n);
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '.' && (!i || path.p[i - 1] == '/')) return true;
    return false;
}

static enum node_files_found not_here(const struct node_pack *p, const struct app_files *f, bool spa,
                                      const struct node_pack_file **file) {
    *file = spa ? in_folder(p, STR(""), f->index.n ? f->index : STR("index.html")) : NULL;
    if (*file) return NODE_FILES_FILE;
    *file = node_pack_find(p, f->not_found.n ? f->not_found : STR("404.html"));
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
    bool is_folder = !n || bytes[n - 1] == '/', hidden = n && is_hidden(folder);
    if (n && !node_pack_path_ok(folder)) return NODE_FILES_BAD;
    if (hidden) return not_here(p, f, false, file);
    if (is_folder) *file = in_folder(p, path, f->index);
    else *file = node_pack_find(p, path);
    if (*file && f->clean && !is_folder && str_ends(rest, STR(".html"))) return NODE_FILES_CLEAN;
    if (*file) return NODE_FILES_FILE;
    if (f->clean && folder.n && (*file = in_folder(p, folder, STR(".html"))))
        return is_folder ? NODE_FILES_NO_SLASH : NODE_FILES_FILE;
    if (!is_folder && f->index.n && node_pack_has_folder(p, path)) {
        bytes[n] = '/';
        if (n < NODE_PACK_PATH_MAX && in_folder(p, (str){bytes, n + 1}, f->index)) return NODE_FILES_SLASH;
    }
    return not_here(p, f, f->spa && (html || !names_a_file(path)), file);
}

bool node_files_earlier(const struct node_pack *p, str rest, const struct node_pack_file **file) {
    static const struct app_files bare = {0};
    return node_files_find(p, &bare, rest, false, file) == NODE_FILES_FILE && node_files_hashed((*file)->path);
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

/* ---- for how long it may be kept ---- */

/* Folders whose build tools name all that is in them by its content. */
static bool in_hashed_folder(str path) {
    static const char *const folders[] = {"_next/static/", "_app/immutable/", "_nuxt/", "_astro/"};
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++)
        if (str_starts(path, str_c(folders[i]))) return true;
    return false;
}

/* Six and more of 0-9 and a-f, or eight and more of 0-9 and A-Z, with at least one of each: no word and no number. */
static bool is_hash(str s) {
    size_t number = 0, low = 0, high = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        number += c >= '0' && c <= '9', low += c >= 'a' && c <= 'f', high += c >= 'A' && c <= 'Z';
    }
    return number && ((low && s.n >= 6 && number + low == s.n) || (high && s.n >= 8 && number + high == s.n));
}

/* "index-DiwrgTda.js", in a folder "assets": eight of base64url behind a hyphen, which are no word in small letters, and no number. */
static bool is_of_vite(str path, str name) {
    str folder = str_sub(path, 0, path.n - name.n);
    size_t low = 0, number = 0, n = str_find(name, '.');
    if (!str_eqc(folder, "assets/") && !str_ends(folder, STR("/assets/"))) return false;
    if (n < 10 || name.p[n - 9] != '-') return false;
    for (size_t i = n - 8; i < n; i++) {
        uint8_t c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        low += c >= 'a' && c <= 'z', number += c >= '0' && c <= '9';
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') return false;
    }
    return low < 8 && number < 8;
}

bool node_files_hashed(str path) {
    size_t slash = path.n;
    while (slash && path.p[slash - 1] != '/') slash--;
    str name = str_sub(path, slash, path.n);
    if (str_ends(name, STR(".html")) || str_ends(name, STR(".htm"))) return false;
    if (in_hashed_folder(path) || is_of_vite(path, name)) return true;
    for (size_t at = 0, from = 0; at < name.n; at++) {
        if (name.p[at] != '.' && name.p[at] != '-' && name.p[at] != '_') continue;
        bool alone = !from && at < 16; /* a whole name has to be a long one */
        if (name.p[at] == '.' && !alone && is_hash(str_sub(name, from, at - from))) return true;
        from = at + 1;
    }
    return false;
}

str node_files_cache(const struct app_files *f, str path) {
    uint8_t at[NODE_PACK_PATH_MAX + 1] = "/";
    if (f->cache.n && path.n < sizeof at) memcpy(at + 1, path.p, path.n);
    for (uint32_t i = 0; i < f->cache.n; i++)
        if (app_pattern_match(f->cache.p[i].match, (str){at, path.n + 1}, NULL)) return f->cache.p[i].value;
    if (!f->no_immutable && node_files_hashed(path)) return STR("public, max-age=31536000, immutable");
    return STR("public, max-age=0, must-revalidate");
}

/* ---- what is said of it ---- */

void node_files_etag(const struct node_pack_file *f, char to[NODE_FILES_ETAG]) {
    *to++ = '"';
    for (int i = 0; i < 16; i++) *to++ = "0123456789abcdef"[f->digest[i] >> 4], *to++ = "0123456789abcdef"[f->digest[i] & 15];
    *to++ = '"';
    *to = 0;
}

static char *two_digits(char *to, int v) {
    *to++ = (char)('0' + v / 10);
    *to++ = (char)('0' + v % 10);
    return to;
}

static char *word(char *to, const char *p, size_t n) { return (char *)memcpy(to, p, n) + n; }

void node_files_date(uint64_t seconds, char to[NODE_FILES_DATE]) {
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t t = (time_t)MIN(seconds, (uint64_t)253402300799); /* the last second of the year 9999 */
    struct tm tm;
    gmtime_r(&t, &tm);
    int year = tm.tm_year + 1900;
    to = word(word(to, days + 3 * tm.tm_wday, 3), ", ", 2);
    to = word(two_digits(to, tm.tm_mday), " ", 1);
    to = word(word(to, months + 3 * tm.tm_mon, 3), " ", 1);
    to = word(two_digits(two_digits(to, year / 100), year % 100), " ", 1);
    to = word(two_digits(to, tm.tm_hour), ":", 1);
    to = word(two_digits(to, tm.tm_min), ":", 1);
    *word(two_digits(to, tm.tm_sec), " GMT", 4) = 0;
}
