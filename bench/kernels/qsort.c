/* Sorting: quicksort in place, and merge sort. */
#include <stdio.h>
#include <string.h>

enum { N = 400000 };
static unsigned a[N], b[N], scratch[N];

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
static void merge(unsigned *v, unsigned *t, int n) {
    if (n < 2) return;
    int h = n / 2, i = 0, j = h, k = 0;
    merge(v, t, h), merge(v + h, t, n - h);
    while (i < h && j < n) t[k++] = v[j] < v[i] ? v[j++] : v[i++];
    while (i < h) t[k++] = v[i++];
    memcpy(v, t, (size_t)k * sizeof *v);
}

int main(void) {
    unsigned seed = 1, sum = 0;
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < N; i++) a[i] = seed = seed * 1664525 + 1013904223;
        memcpy(b, a, sizeof a);
        sort(a, 0, N - 1);
        merge(b, scratch, N);
        if (memcmp(a, b, sizeof a)) puts("differ");
        for (int i = 0; i < N; i += 1000) sum = sum * 31 + a[i];
    }
    printf("%u\n", sum);
}
