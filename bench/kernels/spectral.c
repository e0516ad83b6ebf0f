/* The spectral norm of an infinite matrix, cut off. */
#include <math.h>
#include <stdio.h>

enum { N = 1400 };
static double u[N], v[N], t[N];

static double a(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }
static void mul(const double *x, double *y, int transposed) {
    for (int i = 0; i < N; i++) {
        double s = 0;
        for (int j = 0; j < N; j++) s += (transposed ? a(j, i) : a(i, j)) * x[j];
        y[i] = s;
    }
}

int main(void) {
    for (int i = 0; i < N; i++) u[i] = 1;
    for (int i = 0; i < 20; i++) mul(u, t, 0), mul(t, v, 1), mul(v, t, 0), mul(t, u, 1);
    double uv = 0, vv = 0;
    for (int i = 0; i < N; i++) uv += u[i] * v[i], vv += v[i] * v[i];
    printf("%.9f\n", sqrt(uv / vv));
}
