/* A recursive-descent reader of JSON over a text made first: depth, numbers, strings. */
#include <stdio.h>
#include <string.h>

static char text[1 << 20];
static const char *p;
static double numbers;
static long strings, bytes, depth_max;

static void skip_space(void) {
    while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r') p++;
}
static int parse_string(void) {
    const char *start = ++p;
    for (; *p != '"'; p++) {
        if (!*p) return 0;
        if (*p == '\\') p++;
    }
    strings++, bytes += p - start;
    p++;
    return 1;
}
static int parse_number(void) {
    int negative = *p == '-';
    double v = 0, scale = 1;
    p += negative;
    for (; *p >= '0' && *p <= '9'; p++) v = v * 10 + (*p - '0');
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++) v += (*p - '0') * (scale /= 10);
    numbers += negative ? -v : v;
    return 1;
}
static int parse_value(int depth);
static int parse_list(int depth, char close, int keyed) {
    p++;
    skip_space();
    if (*p == close) return p++, 1;
    for (;;) {
        skip_space();
        if (keyed) {
            if (*p != '"' || !parse_string()) return 0;
            skip_space();
            if (*p++ != ':') return 0;
        }
        if (!parse_value(depth + 1)) return 0;
        skip_space();
        if (*p == close) return p++, 1;
        if (*p++ != ',') return 0;
    }
}
static int parse_value(int depth) {
    if (depth > depth_max) depth_max = depth;
    skip_space();
    switch (*p) {
    case '{': return parse_list(depth, '}', 1);
    case '[': return parse_list(depth, ']', 0);
    case '"': return parse_string();
    case 't': return p += 4, 1;
    case 'n': return p += 4, 1;
    case 'f': return p += 5, 1;
    default: return parse_number();
    }
}

int main(void) {
    char *q = text;
    *q++ = '[';
    for (int i = 0; q < text + sizeof text - 400; i++) {
        if (i) *q++ = ',';
        q += sprintf(q,
                     "{\"id\": %d, \"name\": \"user \\\"%d\\\"\", \"score\": %d.%02d, \"tags\": [\"a\", \"bc\", \"%x\"], "
                     "\"nested\": {\"ok\": true, \"list\": [1, 2, [3, [4, -5.25]]], \"none\": null}}\n",
                     i, i * 7, i % 1000, i % 100, i);
    }
    strcpy(q, "]");
    int ok = 1;
    for (int i = 0; i < 400; i++) {
        p = text;
        ok &= parse_value(0);
    }
    printf("%d %.2f %ld %ld %ld\n", ok, numbers, strings, bytes, depth_max);
}
