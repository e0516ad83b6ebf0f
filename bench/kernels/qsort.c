/* Sorting: quicksort by hand, and the library's with a comparison by pointer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 400000 };
static unsigned a[N], b[N];

static void sort(unsigned *v, int lo, int hi) {
    while (lo < hi) {
        unsigned pivot = v[(lo + hi) / 2];
        int i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i <= j) {
                unsigned t = v[i];
                v[i++] = v[j], v[j--] = t;
            }
        }
        if (j - lo < hi - i) {
            sort(v, lo, j);
            lo = i;
        } else {
            sort(v, i, hi);
            hi = j;
        }
    }
}
static int compare(const void *x, const void *y) {
    unsigned p = *(const unsigned *)x, q = *(const unsigned *)y;
    return p < q ? -1 : p > q;
}

int main(void) {
    unsigned seed = 1, sum = 0;
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < N; i++) a[i] = seed = seed * 1664525 + 1013904223;
        memcpy(b, a, sizeof a);
        sort(a, 0, N - 1);
        if (round < 1) {
            qsort(b, N, sizeof *b, compare);
            if (memcmp(a, b, sizeof a)) puts("differ");
        }
        for (int i = 0; i < N; i += 1000) sum = sum * 31 + a[i];
    }
    printf("%u\n", sum);
}
