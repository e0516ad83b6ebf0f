/* meters: regions of shared memory, and what every process can write in its own (meters.h). Rows of apps are worker/meters.c's. */
#include "node/meters.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

const uint64_t node_meter_bounds_ns[NODE_METER_BUCKETS] = {
#define BUCKET(ns, shown) ns,
#include "node/buckets.def"
};
const bool node_meter_bounds_shown[NODE_METER_BUCKETS] = {
#define BUCKET(ns, shown) shown,
#include "node/buckets.def"
};

static struct node_meters nobodys = {.apps = 1, .calls = 1};
struct node_meters *node_meters = &nobodys;

struct node_meters *node_meters_nobodys(void) {
    return &nobodys;
}

void node_meter_time(struct node_meter_histogram *h, uint64_t ns) {
    uint32_t low = 0, high = NODE_METER_BUCKETS; /* the first bound that is not below ns */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (node_meter_bounds_ns[middle] < ns) low = middle + 1;
        else high = middle;
    }
    node_meter_inc(&h->of[low]);
    node_meter_add(&h->sum_ns, ns);
}

static_assert(offsetof(struct node_meter_call, requests_5xx) - offsetof(struct node_meter_call, requests_gone) ==
                  5 * sizeof(uint64_t),
              "by first digit");
static_assert(offsetof(struct node_meter_app, outgoing_5xx) - offsetof(struct node_meter_app, outgoing_none) ==
                  5 * sizeof(uint64_t),
              "by first digit");

static uint32_t first_digit(uint16_t status) { return status < 100 || status == 499 || status >= 600 ? 0 : status / 100; }

void node_meter_status(struct node_meter_call *c, uint16_t status) { node_meter_inc(&c->requests_gone + first_digit(status)); }

void node_meter_outgoing(struct node_meter_app *a, uint16_t status) {
    node_meter_inc(&a->outgoing_none + (status == 499 ? 4 : first_digit(status)));
}

int node_meters_new(void) {
    int fd = memfd_create("orlo-meters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    /* Sealed: a worker that made it shorter would make control fault. */
    if (fd >= 0 && ftruncate(fd, sizeof(struct node_meters_region)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

struct node_meters_region *node_meters_open(int fd, bool write) {
    void *p = mmap(NULL, sizeof(struct node_meters_region), write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

void node_meters_close(struct node_meters_region *r) { munmap(r, sizeof *r); }

struct node_meters *node_meters_open_head(int fd) {
    void *p = mmap(NULL, sizeof(struct node_meters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

void node_meters_close_head(struct node_meters *m) { munmap(m, sizeof *m); }
