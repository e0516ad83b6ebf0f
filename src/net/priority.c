/* priority: a dictionary of structured fields (RFC 8941 §4.2.2), of which two keys are of interest. The cursor sticks at what is wrong. */
#include "net/priority.h"

struct cursor {
    str left;
    bool bad;
};
struct item {
    enum { OTHER, INTEGER, BOOLEAN } type;
    int64_t value;
};

static uint8_t next(const struct cursor *c) { return c->left.n ? c->left.p[0] : 0; }
static void skip(struct cursor *c, size_t n) { c->left = str_sub(c->left, n, c->left.n); }
static bool take(struct cursor *c, uint8_t what) {
    if (!c->left.n || c->left.p[0] != what) return false;
    skip(c, 1);
    return true;
}
static void fail(struct cursor *c) {
    c->bad = true;
    c->left = (str){0};
}
static void skip_any(struct cursor *c, const char *of) {
    while (c->left.n && strchr(of, c->left.p[0]) && c->left.p[0]) skip(c, 1);
}

static bool digit(uint8_t b) { return b >= '0' && b <= '9'; }
static bool lower(uint8_t b) { return b >= 'a' && b <= 'z'; }
static bool letter(uint8_t b) { return lower(b | 0x20); }
static bool key_byte(uint8_t b) { return lower(b) || digit(b) || b == '_' || b == '-' || b == '.' || b == '*'; }
static bool token_byte(uint8_t b) { return letter(b) || digit(b) || (b && strchr("!#$%&'*+-.^_`|~:/", b)); }
static bool base64_byte(uint8_t b) { return letter(b) || digit(b) || b == '+' || b == '/' || b == '='; }

static str take_all(struct cursor *c, bool (*of)(uint8_t b)) {
    size_t n = 0;
    while (n < c->left.n && of(c->left.p[n])) n++;
    str got = str_sub(c->left, 0, n);
    skip(c, n);
    return got;
}

static str take_key(struct cursor *c) {
    if (!lower(next(c)) && next(c) != '*') fail(c);
    return take_all(c, key_byte);
}

/* §4.2.4 */
static struct item take_number(struct cursor *c) {
    bool minus = take(c, '-');
    str whole = take_all(c, digit);
    struct item out = {.type = INTEGER};
    if (!whole.n || whole.n > 15) fail(c);
    else if (take(c, '.')) {
        str rest = take_all(c, digit);
        out.type = OTHER;
        if (!rest.n || rest.n > 3 || whole.n > 12) fail(c);
    }
    for (size_t i = 0; i < whole.n && !c->bad; i++) out.value = out.value * 10 + (whole.p[i] - '0');
    if (minus) out.value = -out.value;
    return out;
}

/* §4.2.5; behind the quote. */
static void take_string(struct cursor *c) {
    while (c->left.n && next(c) != '"') {
        if (next(c) < 0x20 || next(c) > 0x7e) return fail(c);
        if (take(c, '\\') && next(c) != '"' && next(c) != '\\') return fail(c);
        skip(c, 1);
    }
    if (!take(c, '"')) fail(c);
}

/* §4.2.3.1 */
static struct item take_bare(struct cursor *c) {
    struct item other = {.type = OTHER};
    uint8_t b = next(c);
    if (b == '-' || digit(b)) return take_number(c);
    if (take(c, '?')) {
        struct item out = {.type = BOOLEAN, .value = next(c) == '1'};
        if (!take(c, '0') && !take(c, '1')) fail(c);
        return out;
    }
    if (take(c, '"')) {
        take_string(c);
    } else if (take(c, ':')) {
        take_all(c, base64_byte);
        if (!take(c, ':')) fail(c);
    } else if (letter(b) || b == '*') {
        take_all(c, token_byte);
    } else {
        fail(c);
    }
    return other;
}

/* §4.2.3.2: none of them says anything here. */
static void take_parameters(struct cursor *c) {
    while (take(c, ';')) {
        skip_any(c, " ");
        take_key(c);
        if (take(c, '=')) take_bare(c);
    }
}

/* §4.2.1.2; behind the parenthesis. */
static void take_list(struct cursor *c) {
    for (;;) {
        skip_any(c, " ");
        if (take(c, ')')) return;
        if (!c->left.n) return fail(c);
        take_bare(c);
        take_parameters(c);
        if (next(c) != ' ' && next(c) != ')') return fail(c);
    }
}

static struct item take_member(struct cursor *c) {
    struct item out = {.type = BOOLEAN, .value = 1};
    if (take(c, '=')) {
        if (take(c, '(')) {
            out.type = OTHER;
            take_list(c);
        } else {
            out = take_bare(c);
        }
    }
    take_parameters(c);
    return out;
}

bool net_priority_read(str value, struct net_priority *p) {
    struct cursor c = {.left = value};
    struct net_priority was = *p, got = *p;
    skip_any(&c, " ");
    while (c.left.n) {
        str key = take_key(&c);
        struct item i = take_member(&c);
        if (str_eqc(key, "u")) got.urgency = i.type == INTEGER && i.value >= 0 && i.value <= 7 ? (uint8_t)i.value : was.urgency;
        if (str_eqc(key, "i")) got.incremental = i.type == BOOLEAN ? i.value : was.incremental;
        skip_any(&c, " \t");
        if (!c.left.n) break;
        if (!take(&c, ',')) fail(&c);
        skip_any(&c, " \t");
        if (!c.left.n) fail(&c); /* a comma at the end */
    }
    if (!c.bad) *p = got;
    return !c.bad;
}
