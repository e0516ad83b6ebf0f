/* Pancake flips over all permutations. */
#include <stdio.h>

enum { N = 10 };

int main(void) {
    int perm[N], perm1[N], count[N], max = 0, sum = 0, r = N, k = 0;
    for (int i = 0; i < N; i++) perm1[i] = i;
    for (;;) {
        for (; r != 1; r--) count[r - 1] = r;
        for (int i = 0; i < N; i++) perm[i] = perm1[i];
        int flips = 0;
        for (int f = perm[0]; f; f = perm[0]) {
            for (int i = 0, j = f; i < j; i++, j--) {
                int t = perm[i];
                perm[i] = perm[j], perm[j] = t;
            }
            flips++;
        }
        if (flips > max) max = flips;
        sum += k++ & 1 ? -flips : flips;
        for (;; r++) {
            if (r == N) {
                printf("%d %d\n", sum, max);
                return 0;
            }
            int first = perm1[0];
            for (int i = 0; i < r; i++) perm1[i] = perm1[i + 1];
            perm1[r] = first;
            if (--count[r] > 0) break;
        }
    }
}
