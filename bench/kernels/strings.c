/* String work as programs do it: split, search, upper case, concatenate, format numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *append(char *at, const char *s) {
    while (*s) *at++ = *s++;
    *at = 0;
    return at;
}
static char *number(char *at, unsigned v) {
    char digits[12];
    int n = 0;
    do digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n) *at++ = digits[--n];
    *at = 0;
    return at;
}
static int find(const char *s, const char *what) {
    size_t n = strlen(what);
    for (int i = 0; s[i]; i++)
        if (s[i] == *what && !strncmp(s + i, what, n)) return i;
    return -1;
}

int main(void) {
    static char line[4096], upper[4096];
    unsigned sum = 0;
    for (unsigned round = 0; round < 60000; round++) {
        char *q = line;
        for (unsigned i = 0; i < 60; i++) {
            q = append(q, "field");
            q = number(q, round * 131 + i);
            q = append(q, i % 5 ? "," : "; ");
        }
        size_t n = strlen(line);
        for (size_t i = 0; i <= n; i++) upper[i] = line[i] >= 'a' && line[i] <= 'z' ? line[i] - 32 : line[i];
        sum += (unsigned)find(upper, "FIELD7,") + (unsigned)find(line, "; field");
        char *copy = strdup(upper);
        for (char *t = copy, *e; t; t = e) {
            e = strchr(t, ',');
            if (e) *e++ = 0;
            sum = sum * 7 + (unsigned)strlen(t) + (unsigned)atoi(t + 5);
        }
        free(copy);
    }
    printf("%u\n", sum);
}
