/* regions: the shared memory in which workers count (meters.h), one of each place after another.
 *
 *   FREE ──a worker of its place starts──> TAKEN ──it has ended──> FREE
 *
 * 1. A region is written by one worker at a time. The next one of the place counts on in it; while an old one still rests there are two.
 * 2. Control has each region to be read, from the moment that it is there, and again whenever control starts anew.
 * 3. The supervisor has a region of its own, for what is of no worker.
 */
#include "node/handover.h"
#include "node/meters.h"
#include "node/supervisor/supervisor_int.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct region {
    struct region *next;
    uint32_t slot;
    bool taken, adopted; /* adopted: it is a worker's of the node before this one, perhaps */
    int fd, read_fd;
    struct node_meters *head;
};

/* The same memory by a descriptor that cannot write. */
static int reopen_to_read(int fd) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void tell(struct supervisor *s, const struct region *r) {
    struct node_message m = NODE_MESSAGE(meters, .slot = r->slot);
    m.fds[m.fds_count++] = r->read_fd;
    node_singles_tell(s, &m);
}

static void free_region(struct region *r) {
    node_supervisor_close(&r->fd), node_supervisor_close(&r->read_fd);
    if (r->head) node_meters_close_head(r->head);
    free(r);
}

static struct region *make(struct supervisor *s, uint32_t slot) {
    struct region *r = calloc(1, sizeof *r);
    ENSURE(r);
    *r = (struct region){.next = s->regions, .slot = slot, .fd = node_meters_new(), .read_fd = -1};
    if (r->fd >= 0) r->head = node_meters_open_head(r->fd);
    if (r->head) r->read_fd = reopen_to_read(r->fd);
    if (r->read_fd < 0) {
        free_region(r);
        return NULL;
    }
    s->regions = r;
    tell(s, r);
    return r;
}

static void set_alive(struct region *r, bool alive) {
    r->taken = alive;
    __atomic_store_n(&r->head->alive, alive, __ATOMIC_RELEASE); /* pairs with control's copy of the head */
}

int node_regions_take(struct supervisor *s, struct proc *p) {
    struct region *r = s->regions;
    while (r && (r->slot != p->slot || r->taken)) r = r->next;
    if (!r) r = make(s, p->slot);
    p->region = r;
    if (r) set_alive(r, true);
    return r ? r->fd : -1;
}

void node_regions_give(struct proc *p) {
    if (p->region) set_alive(p->region, false);
    p->region = NULL;
}

static struct region *couriers(struct supervisor *s) {
    struct region *r = s->regions;
    while (r && r->slot != NODE_METERS_COURIER) r = r->next;
    return r ? r : make(s, NODE_METERS_COURIER);
}

int node_regions_courier(struct supervisor *s, bool alive) {
    struct region *r = couriers(s);
    if (r) set_alive(r, alive);
    return r ? r->fd : -1;
}

void node_regions_tell(struct supervisor *s) {
    for (const struct region *r = s->regions; r; r = r->next) tell(s, r);
}

bool node_regions_hand_on(const struct supervisor *s, int wire) {
    bool ok = true;
    for (const struct region *r = s->regions; ok && r; r = r->next) {
        struct buf b = {0};
        if (r->slot == NODE_METERS_SUPERVISOR) continue;
        node_handover_begin(&b, "region");
        node_handover_put_u64(&b, "slot", r->slot);
        ok = node_handover_send(wire, &b, (str){0}, &r->fd, 1) == ERR_OK;
    }
    return ok;
}

void node_regions_adopt(struct supervisor *s, uint32_t slot, int fd) {
    struct region *r = calloc(1, sizeof *r);
    ENSURE(r);
    *r = (struct region){
        .next = s->regions, .slot = slot, .taken = true, .adopted = true, .fd = fd, .read_fd = reopen_to_read(fd)};
    r->head = node_meters_open_head(fd);
    if (!r->head || r->read_fd < 0) free_region(r);
    else s->regions = r;
}

void node_regions_free_adopted(struct supervisor *s) {
    for (struct region *r = s->regions; r; r = r->next)
        if (r->adopted) r->adopted = false, set_alive(r, false);
}

void node_regions_open(struct supervisor *s) {
    struct region *own = make(s, NODE_METERS_SUPERVISOR);
    if (!own) return; /* then nobody sees what is counted here */
    set_alive(own, true);
    node_meters = own->head;
    node_meter_set(&node_meters->node_now.started_ns, clock_wall_ns());
    node_meter_set(&node_meters->began_ns, clock_mono_ns());
}

void node_regions_look(const struct supervisor *s) {
    uint64_t ready = 0;
    for (const struct proc *p = s->procs; p; p = p->next) ready += p->state == READY;
    node_meter_set(&node_meters->node_now.workers, ready);
    node_meter_set(&node_meters->node_now.draining, s->draining);
    node_meter_set(&node_meters->node_now.compiles_running, s->jobs.running);
    node_meter_set(&node_meters->node_now.compiles_waiting, s->jobs.waiting);
}

void node_regions_close(struct supervisor *s) {
    while (s->regions) {
        struct region *r = s->regions;
        s->regions = r->next;
        if (r->head == node_meters) node_meters = node_meters_nobodys();
        free_region(r);
    }
}
