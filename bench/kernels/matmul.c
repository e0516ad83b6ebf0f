/* Dense matrix product of doubles, the inner loop over a row. */
#include <stdio.h>

enum { N = 320 };
static double a[N][N], b[N][N], c[N][N];

int main(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) a[i][j] = (i * j % 17) - 8, b[i][j] = (i + 3 * j) % 13;
    for (int round = 0; round < 40; round++)
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++) {
                double x = a[i][k];
                for (int j = 0; j < N; j++) c[i][j] += x * b[k][j];
            }
    double sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) sum += c[i][j] * (i ^ j);
    printf("%.0f\n", sum);
}
