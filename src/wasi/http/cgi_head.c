/* cgi_head: see http/cgi_head.h. Lines end with LF or CRLF; the first empty one ends the header. */
#include "wasi/http/cgi_head.h"

/* Where the header ends in s (after the empty line), looking from `from`; 0: not yet. */
static size_t end_of_head(str s, size_t from) {
    for (size_t i = from; i < s.n; i++) {
        if (s.p[i] != '\n') continue;
        if (i == 0 || (i == 1 && s.p[0] == '\r')) return i + 1;
        if (s.p[i - 1] == '\n' || (i >= 2 && s.p[i - 1] == '\r' && s.p[i - 2] == '\n')) return i + 1;
    }
    return 0;
}

/* "404 Not Found" → 404 */
static bool read_status(str value, uint16_t *out) {
    str number, reason;
    uint64_t v;
    str_cut(value, ' ', &number, &reason);
    if (!str_to_u64(number, &v) || v < 200 || v > 599) return false;
    *out = (uint16_t)v;
    return true;
}

static const char *read_line(struct wasi_cgi_head *h, arena *mem, str line, bool *location) {
    str name, value;
    if (!str_cut(line, ':', &name, &value))
        return h->fields.n || h->status ? "a line of its header has no colon" : "its first line is no header: " CGI_HEAD_HINT;
    value = str_trim(value);
    if (!net_field_name_ok(name)) return "a header name is not a token";
    if (!net_field_value_ok(value)) return "a header value has a control character";
    if (str_eq_nocase(name, STR("status"))) {
        if (h->status) return "it has two Status fields";
        return read_status(value, &h->status) ? NULL : "its Status is not a number from 200 to 599";
    }
    if (str_eq_nocase(name, STR("location"))) *location = true;
    struct net_field f = {name, value};
    vec_push(mem, &h->fields, f);
    return NULL;
}

/* local-pathquery (§6.2.2), as a request line could have it. */
static bool is_local(str location) {
    for (size_t i = 0; i < location.n; i++)
        if (location.p[i] <= ' ' || location.p[i] >= 0x7f || location.p[i] == '#') return false;
    return location.n && location.p[0] == '/' && !(location.n > 1 && location.p[1] == '/'); /* "//" begins a host */
}

enum wasi_cgi_result wasi_cgi_head_feed(struct wasi_cgi_head *h, arena *mem, str in, size_t *used, const char **why) {
    size_t before = h->bytes.n, from = before > 2 ? before - 2 : 0;
    size_t take = h->bytes.max ? MIN(in.n, h->bytes.max - before) : in.n;
    buf_put(&h->bytes, in.p, take);
    size_t end = end_of_head(buf_str(&h->bytes), from);
    if (!end) {
        *why = "its header is larger than the limit";
        return take < in.n ? CGI_BAD : CGI_MORE;
    }
    *used = end - before;
    str rest = {h->bytes.p, end}, line;
    bool location = false;
    while (str_cut(rest, '\n', &line, &rest)) {
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        if (!line.n) break;
        if ((*why = read_line(h, mem, line, &location))) return CGI_BAD;
    }
    *why = "its header is empty: " CGI_HEAD_HINT;
    if (!h->fields.n && !h->status) return CGI_BAD;
    if (location && !h->status && h->fields.n == 1 && is_local(h->fields.p[0].value)) h->local = h->fields.p[0].value;
    if (!h->status) h->status = location ? 302 : 200;
    return CGI_DONE;
}
