/* csv: RFC 4180. The first line names the columns, each other line becomes an object of strings; the word NULL is null. */
#include "rest/rest_int.h"

struct lines {
    arena *out;
    str s;
    size_t at;
    bool wrong;
};

/* One value, and whether a line ends behind it. */
static str cell_of(struct lines *l, bool *last) {
    uint8_t *p = NULL;
    size_t from = l->at, n = 0;
    str v;
    if (l->at < l->s.n && l->s.p[l->at] == '"') {
        size_t end = l->at + 1; /* of the cell: what is taken for it is no more than it has */
        while (end < l->s.n && (l->s.p[end] != '"' || (end + 1 < l->s.n && l->s.p[end + 1] == '"')))
            end += l->s.p[end] == '"' ? 2 : 1;
        p = arena_alloc(l->out, end - l->at + 1, 1);
        for (l->at++; l->at < l->s.n; l->at++) {
            if (l->s.p[l->at] == '"') {
                if (l->at + 1 < l->s.n && l->s.p[l->at + 1] == '"') l->at++;
                else break;
            }
            p[n++] = l->s.p[l->at];
        }
        if (l->at++ >= l->s.n) l->wrong = true;
        v = (str){p, n};
    } else {
        while (l->at < l->s.n && !memchr(",\r\n", l->s.p[l->at], 3)) l->at++;
        v = str_sub(l->s, from, l->at - from);
    }
    *last = l->at >= l->s.n || l->s.p[l->at] != ',';
    if (!*last) l->at++;
    else if (l->at < l->s.n) {
        if (l->s.p[l->at] == '\r') l->at++;
        if (l->at < l->s.n && l->s.p[l->at] == '\n') l->at++;
        else if (l->at < l->s.n && l->s.p[l->at - 1] != '\r') l->wrong = true;
    }
    return v;
}

static bool skip_empty(struct lines *l) {
    while (l->at < l->s.n && (l->s.p[l->at] == '\r' || l->s.p[l->at] == '\n')) l->at++;
    return l->at < l->s.n;
}

bool rest_csv_read(arena *out, str csv, str *json, struct pg_error *error) {
    struct lines l = {out, csv, 0, false};
    rest_names names = {0};
    struct buf b = {0};
    bool last = false, same = true;
    struct json_writer w = json_writer_of(&b);
    if (!str_is_utf8(csv) || memchr(csv.p ? csv.p : (const uint8_t *)"", 0, csv.n) || !skip_empty(&l))
        return rest_fail(error, "PGRST102", "parse error (not enough input)");
    while (!last) {
        str name = cell_of(&l, &last);
        if (names.n < QUERY_ITEMS_MAX) vec_push(out, &names, name);
        else l.wrong = true;
        if (l.wrong) break;
    }
    json_put_array(&w, NULL);
    while (!l.wrong && same && skip_empty(&l)) {
        uint32_t n = 0;
        last = false;
        json_put_object(&w, NULL);
        for (; !last && !l.wrong; n++) {
            str v = cell_of(&l, &last);
            if (n >= names.n) continue;
            char *name = arena_cstr(out, names.p[n]);
            if (str_eqc(v, "NULL")) json_put_null(&w, name);
            else json_put_str(&w, name, v);
        }
        json_put_end(&w);
        same = n == names.n;
    }
    json_put_end(&w);
    *json = arena_str(out, buf_str(&b));
    buf_free(&b);
    if (l.wrong) return rest_fail(error, "PGRST102", "the CSV is malformed at byte %zu", l.at);
    return same || rest_fail(error, "PGRST102", "All lines must have same number of fields");
}
