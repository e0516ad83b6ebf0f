/* functions: SQLite's own of some names compare each place with each other, and cannot be stopped meanwhile: the progress handler runs between
 * instructions, and a call is one. For a stranger's statements they are replaced by these, which answer the same in time that grows with the
 * sum of their arguments (https://sqlite.org/lang_corefunc.html). */
#include "db/db_int.h"
#include <stdlib.h>

static bool continues(uint8_t c) { return (c & 0xc0) == 0x80; }

/* ---- instr, replace ---- */

static str value_of(sqlite3_value *v, bool text) {
    const uint8_t *p = text ? sqlite3_value_text(v) : sqlite3_value_blob(v);
    return (str){p, (size_t)sqlite3_value_bytes(v)};
}

static const uint8_t *find(str in, str what) { return !in.n || what.n > in.n ? NULL : memmem(in.p, in.n, what.p, what.n); }

/* The first place of Y in X, from 1; 0: none. Of two blobs in bytes, else in characters. */
static void instr(sqlite3_context *to, int n, sqlite3_value **args) {
    bool bytes = sqlite3_value_type(args[0]) == SQLITE_BLOB && sqlite3_value_type(args[1]) == SQLITE_BLOB;
    if (sqlite3_value_type(args[0]) == SQLITE_NULL || sqlite3_value_type(args[1]) == SQLITE_NULL) return;
    str in = value_of(args[0], !bytes), what = value_of(args[1], !bytes);
    const uint8_t *at = what.n && (bytes || !continues(what.p[0])) ? find(in, what) : NULL;
    sqlite3_int64 place = what.n ? 0 : 1;
    if (at && bytes) place = at - in.p + 1;
    if (at && !bytes) {
        place = 1;
        for (const uint8_t *p = in.p; p < at; p++) place += !continues(*p);
    }
    sqlite3_result_int64(to, place);
}

static void replace(sqlite3_context *to, int n, sqlite3_value **args) {
    if (sqlite3_value_type(args[0]) == SQLITE_NULL || sqlite3_value_type(args[1]) == SQLITE_NULL) return;
    str in = value_of(args[0], true), what = value_of(args[1], true), by = value_of(args[2], true);
    size_t most = (size_t)sqlite3_limit(sqlite3_context_db_handle(to), SQLITE_LIMIT_LENGTH, -1), count = 0;
    if (!what.n || !what.p[0]) { /* SQLite's own takes a text to end at its first NUL here */
        sqlite3_result_value(to, args[0]);
        return;
    }
    if (sqlite3_value_type(args[2]) == SQLITE_NULL) return;
    const uint8_t *at;
    for (str rest = in; (at = find(rest, what)); count++) rest = str_sub(rest, (size_t)(at - rest.p) + what.n, rest.n);
    size_t all = in.n - count * what.n + count * by.n; /* both are shorter than an int can say */
    if (all > most) {
        sqlite3_result_error_toobig(to);
        return;
    }
    uint8_t *out = sqlite3_malloc64(all + 1), *end = out;
    if (!out) {
        sqlite3_result_error_nomem(to);
        return;
    }
    for (; (at = find(in, what)); in = str_sub(in, (size_t)(at - in.p) + what.n, in.n)) {
        memcpy(end, in.p, (size_t)(at - in.p));
        end += at - in.p;
        if (by.n) memcpy(end, by.p, by.n);
        end += by.n;
    }
    if (in.n) memcpy(end, in.p, in.n);
    sqlite3_result_text64(to, (const char *)out, all, sqlite3_free, SQLITE_UTF8);
}

/* ---- trim ---- */

enum { LEFT = 1, RIGHT = 2 };

/* A character's bytes as a number, its length among them; of bytes that are no UTF-8 the first seven. */
static uint64_t packed(const uint8_t *p, size_t n) {
    uint64_t v = n & 0xff;
    for (size_t i = 0; i < n && i < 7; i++) v = v << 8 | p[i];
    return v;
}

static size_t first_bytes(str s) {
    size_t n = 1;
    while (s.p[0] >= 0xc0 && n < s.n && continues(s.p[n])) n++;
    return n;
}

static size_t last_bytes(str s) {
    size_t n = 1;
    while (n < s.n && continues(s.p[s.n - n])) n++;
    return s.p[s.n - n] >= 0xc0 ? n : 1;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool in_set(const uint64_t *set, size_t n, uint64_t c) { return bsearch(&c, set, n, sizeof c, by_value); }

static void trim(sqlite3_context *to, int n, sqlite3_value **args) {
    int sides = (int)(intptr_t)sqlite3_user_data(to);
    for (int i = 0; i < n; i++)
        if (sqlite3_value_type(args[i]) == SQLITE_NULL) return;
    str s = value_of(args[0], true), chars = n > 1 ? value_of(args[1], true) : STR(" ");
    uint64_t *set = sqlite3_malloc64((chars.n + 1) * sizeof *set);
    size_t count = 0;
    if (!set) {
        sqlite3_result_error_nomem(to);
        return;
    }
    for (size_t k; chars.n; chars = str_sub(chars, k, chars.n)) {
        k = first_bytes(chars);
        set[count++] = packed(chars.p, k);
    }
    qsort(set, count, sizeof *set, by_value);
    while (sides & LEFT && s.n && in_set(set, count, packed(s.p, first_bytes(s)))) s = str_sub(s, first_bytes(s), s.n);
    while (sides & RIGHT && s.n && in_set(set, count, packed(s.p + s.n - last_bytes(s), last_bytes(s)))) s.n -= last_bytes(s);
    sqlite3_free(set);
    sqlite3_result_text(to, (const char *)s.p, (int)s.n, SQLITE_TRANSIENT);
}

int db_functions_add(struct db *db) {
    static const struct {
        const char *name;
        int arguments, sides;
        void (*fn)(sqlite3_context *to, int n, sqlite3_value **args);
    } rows[] = {
        {"instr", 2, 0, instr},   {"replace", 3, 0, replace}, {"trim", 1, LEFT | RIGHT, trim}, {"trim", 2, LEFT | RIGHT, trim},
        {"ltrim", 1, LEFT, trim}, {"ltrim", 2, LEFT, trim},   {"rtrim", 1, RIGHT, trim},       {"rtrim", 2, RIGHT, trim},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int code = sqlite3_create_function_v2(db->raw, rows[i].name, rows[i].arguments,
                                              SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                              (void *)(intptr_t)rows[i].sides, rows[i].fn, NULL, NULL, NULL);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}
