/* A CGI guest for tests of /auth/v1: what a hook is asked, it answers by a word that stands in it: refuse, text, large, status, slow, nothing, nonsense. Of a
 * token's claims it makes others (plan: gold), or fewer (fewer), or none (noclaims). What it is asked it says on its standard error. */
#include "p1.h"

struct subscription {
    uint64_t user;
    uint64_t tag; /* 0: of a clock */
    uint64_t clock, timeout, precision, flags;
};
IMPORT("poll_oneoff") int poll_oneoff(const struct subscription *in, void *out, size_t count, size_t *done);

static char body[256 << 10];

static const char *find(const char *in, const char *what) {
    size_t n = length(what);
    for (; *in; in++) {
        size_t i = 0;
        while (i < n && in[i] == what[i]) i++;
        if (i == n) return in;
    }
    return NULL;
}
static int asks(const char *word) {
    char text[64] = "do-";
    memcpy(text + 3, word, length(word) + 1);
    return find(body, text) != NULL;
}
static void head(const char *type) { put(1, "Content-Type: "), put(1, type), put(1, "\n\n"); }

/* From a brace to the one that closes it. */
static size_t object(const char *p) {
    size_t n = 0, depth = 0;
    int text = 0;
    do {
        if (p[n] == '"' && (!n || p[n - 1] != '\\')) text = !text;
        if (!text) depth += p[n] == '{', depth -= p[n] == '}';
        n++;
    } while (depth && p[n]);
    return n;
}

static void claims(const char *at) {
    size_t n = object(at);
    head("application/json; charset=utf-8");
    if (asks("noclaims")) return (void)put(1, "{}");
    if (asks("fewer")) return (void)put(1, "{\"claims\": {\"sub\": 7, \"role\": \"authenticated\", \"aud\": \"authenticated\"}}");
    put(1, "{\"claims\": {\"plan\": \"gold\", ");
    put_bytes(1, at + 1, n - 1);
    put(1, "}");
}

__attribute__((export_name("_start"))) void start(void) {
    size_t n = 0, got;
    load_environ();
    while (n < sizeof body - 1 && (got = get_bytes(0, body + n, sizeof body - 1 - n))) n += got;
    put(2, variable("PATH_INFO")), put(2, " "), put(2, body), put(2, "\n");
    const char *at = find(body, "\"claims\":{");
    if (asks("slow")) {
        const struct subscription minute = {.clock = 1, .timeout = 60000000000};
        uint64_t event[4];
        poll_oneoff(&minute, event, 1, &got);
    }
    if (asks("refuse"))
        return head("application/json"), (void)put(1, "{\"error\": {\"http_code\": 403, \"message\": \"not today\"}}");
    if (asks("text")) return head("text/plain"), (void)put(1, "yes");
    if (asks("nothing") && !at) return (void)put(1, "Status: 204 No Content\n\n");
    if (asks("nonsense")) return head("application/json"), (void)put(1, "{");
    if (asks("status")) return put(1, "Status: 418 No\n"), head("application/json"), (void)put(1, "{}");
    if (asks("large")) {
        static char piece[1024];
        memset(piece, ' ', sizeof piece);
        head("application/json");
        for (int i = 0; i < 300; i++) put_bytes(1, piece, sizeof piece);
        return (void)put(1, "{}");
    }
    if (at) return claims(at + 9);
    head("application/json");
    put(1, "{}");
}
