/* metrics: what workers and the supervisor have counted (meters.h), summed up.
 *
 * 1. Regions are mapped to be read, and hearsay: what is read is copied, counts of rows are bounded, names are cut and checked.
 */
#include "node/control/control_int.h"
#include "node/meters.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REGIONS_MAX = 4096 };
struct control_region {
    struct control_region *next;
    uint32_t slot;
    const struct node_meters_region *of;
};

bool node_metrics_add(struct control *c, uint32_t slot, int fd) {
    struct stat st;
    uint32_t n = 0;
    for (const struct control_region *r = c->regions; r; r = r->next) n++;
    bool sense = n < REGIONS_MAX && fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(struct node_meters_region);
    const struct node_meters_region *of = sense ? node_meters_open(fd, false) : NULL;
    close(fd);
    if (!of) return sense;
    struct control_region *r = calloc(1, sizeof *r);
    ENSURE(r);
    *r = (struct control_region){c->regions, slot, of};
    c->regions = r;
    return true;
}
