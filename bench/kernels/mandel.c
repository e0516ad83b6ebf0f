/* The Mandelbrot set, counted. */
#include <stdio.h>

int main(void) {
    enum { N = 1000 };
    long inside = 0, steps = 0;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            double cr = 3.0 * x / N - 2, ci = 2.0 * y / N - 1, zr = 0, zi = 0;
            int i = 0;
            for (; i < 250 && zr * zr + zi * zi < 4; i++) {
                double t = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = t;
            }
            steps += i;
            inside += i == 250;
        }
    printf("%ld %ld\n", inside, steps);
}
