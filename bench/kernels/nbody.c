/* Planets under gravity, symplectic Euler. */
#include <math.h>
#include <stdio.h>

struct body {
    double x, y, z, vx, vy, vz, mass;
};
static struct body b[5] = {{0, 0, 0, 0, 0, 0, 39.47},
                           {4.84, -1.16, -0.10, 0.606, 2.81, -0.02, 0.0376},
                           {8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.0112},
                           {12.89, -15.11, -0.22, 1.08, 0.868, -0.01, 0.00172},
                           {15.37, -25.9, 0.179, 0.979, 0.594, -0.034, 0.00203}};

static void step(double dt) {
    for (int i = 0; i < 5; i++)
        for (int j = i + 1; j < 5; j++) {
            double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
            double d2 = dx * dx + dy * dy + dz * dz, mag = dt / (d2 * sqrt(d2));
            b[i].vx -= dx * b[j].mass * mag, b[i].vy -= dy * b[j].mass * mag, b[i].vz -= dz * b[j].mass * mag;
            b[j].vx += dx * b[i].mass * mag, b[j].vy += dy * b[i].mass * mag, b[j].vz += dz * b[i].mass * mag;
        }
    for (int i = 0; i < 5; i++) b[i].x += dt * b[i].vx, b[i].y += dt * b[i].vy, b[i].z += dt * b[i].vz;
}

int main(void) {
    for (int i = 0; i < 4000000; i++) step(0.001);
    double e = 0;
    for (int i = 0; i < 5; i++) e += b[i].mass * (b[i].vx * b[i].vx + b[i].vy * b[i].vy + b[i].vz * b[i].vz);
    printf("%.6f\n", e);
}
