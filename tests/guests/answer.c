/* A CGI guest that answers as it is asked to: for tests of what the node makes of answers. By the query, in order:
 *
 *   s=STATUS  h=FIELD%3A%20VALUE  p=NAME (a line of the body: the request's field HTTP_NAME)  w=MS before the head  n=BYTES of the body
 *   e=COUNT events, W ms after each (e=COUNT.MS)  t=1 traps behind its head
 *
 * Each body begins with "run ", a number of 15 digits that no other run has, and a newline. */
#include "p1.h"

IMPORT("random_get") int random_get(void *p, size_t n);
IMPORT("poll_oneoff") int poll_oneoff(const void *in, void *out, size_t n, size_t *events);

static char body[1 << 20], head[16384], value[4096];
static size_t body_n, head_n;

static void add(char *to, size_t *n, size_t most, const char *s) {
    while (*s && *n < most - 1) to[(*n)++] = *s++;
}
static int hex(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

static void wait_ms(uint64_t ms) {
    struct {
        uint64_t userdata, tag, clock;
        uint64_t timeout, precision;
        uint16_t flags;
    } ask = {.clock = 1 /* monotonic */, .timeout = ms * 1000000};
    char told[32];
    size_t n;
    if (ms) poll_oneoff(&ask, told, 1, &n);
}
static uint64_t number(const char **s) {
    uint64_t v = 0;
    for (; **s >= '0' && **s <= '9'; ++*s) v = v * 10 + (uint64_t)(**s - '0');
    return v;
}

/* The next NAME=VALUE of the query, its value decoded. */
static char next(const char **q) {
    size_t n = 0;
    char name = **q;
    if (!name || (*q)[1] != '=') return 0;
    for (*q += 2; **q && **q != '&'; ++*q) {
        char c = **q;
        if (c == '%' && (*q)[1] && (*q)[2]) c = (char)(hex((*q)[1]) << 4 | hex((*q)[2])), *q += 2;
        if (n < sizeof value - 1) value[n++] = c;
    }
    value[n] = 0;
    if (**q == '&') ++*q;
    return name;
}

__attribute__((export_name("_start"))) void start(void) {
    static char field[256];
    uint64_t run = 0, wait = 0, more = 0, events = 0, each = 0;
    const char *s;
    int traps = 0, typed = 0;
    load_environ();
    random_get(&run, 6);
    add(body, &body_n, sizeof body, "run ");
    char digits[24], *d = digits + sizeof digits;
    *--d = 0;
    for (int i = 0; i < 15; i++, run /= 10) *--d = (char)('0' + run % 10);
    add(body, &body_n, sizeof body, d);
    add(body, &body_n, sizeof body, "\n");
    const char *q = variable("QUERY_STRING");
    for (char name; (name = next(&q));) {
        size_t n = 0;
        s = value;
        switch (name) {
        case 's':
            add(head, &head_n, sizeof head, "Status: "), add(head, &head_n, sizeof head, value);
            add(head, &head_n, sizeof head, " x\n");
            break;
        case 'h':
            typed |= (value[0] | 32) == 'c' && (value[8] | 32) == 't' && value[7] == '-';
            add(head, &head_n, sizeof head, value), add(head, &head_n, sizeof head, "\n");
            break;
        case 'p':
            add(field, &n, sizeof field, "HTTP_"), add(field, &n, sizeof field, value);
            field[n] = 0;
            add(body, &body_n, sizeof body, value), add(body, &body_n, sizeof body, "=");
            add(body, &body_n, sizeof body, variable(value[0] == '/' ? value + 1 : field)), add(body, &body_n, sizeof body, "\n");
            break;
        case 'w': wait = number(&s); break;
        case 'n': more = number(&s); break;
        case 'e':
            events = number(&s);
            if (*s == '.') s++, each = number(&s);
            break;
        case 't': traps = 1; break;
        }
    }
    wait_ms(wait);
    put_bytes(1, head, head_n);
    put(1, typed ? "\n" : "Content-Type: text/plain\n\n");
    put_bytes(1, body, body_n);
    if (traps) __builtin_trap();
    for (size_t i = 0; i < sizeof body && i < more; i++)
        body[i] = "the quick brown fox jumps over the lazy dog, and again\n"[i % 55];
    for (uint64_t n; (n = more < sizeof body ? more : sizeof body); more -= n) put_bytes(1, body, n);
    for (uint64_t i = 0; i < events; i++) {
        put(1, "data: "), put_number(1, i), put(1, "\n\n");
        wait_ms(each);
    }
}
