/* cordons: sets of workers that share no memory with others', their slots, and the ways from one to another.
 *
 *   a worker of any cordon ── pass: a connection, and what came on it ──> inbox of a cordon ──> whichever of its workers is first
 *
 * 1. Workers of cordon 0 alone listen. Whose next request is for an app of another cordon goes there, and back in the same way.
 * 2. An inbox is the cordon's, not a worker's: what lies in it when a worker dies is its successor's.
 * 3. Cordons that are configured come and go with a setup; those of apps that kill workers (quarantine) with a publication.
 * 4. Who leaves a cordon that is no more does so a moment later than its apps: what was on its way to it is still led on.
 */
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static const uint64_t on_its_way_ns = 1'000'000'000u;

static struct cordon *cordon_of(struct supervisor *s, uint32_t id) {
    for (size_t i = 0; i < ARRAY_COUNT(s->cordons); i++)
        if (s->cordons[i].used && s->cordons[i].id == id) return &s->cordons[i];
    return NULL;
}

/* ---- inboxes ---- */

static void tell_of(struct proc *p, const struct cordon *c, bool own) {
    struct node_message m = NODE_MESSAGE(inbox, .cordon = c->id, .own = own);
    if (c->used) m.fds[m.fds_count++] = c->inbox[own ? 0 : 1];
    if (p->process.wire >= 0 && node_wire_send(p->process.wire, &m) != ERR_OK)
        node_process_signal(&p->process, SIGKILL); /* it does not listen */
}

void node_cordons_tell(struct supervisor *s, struct proc *p) {
    uint32_t own = s->slots[p->slot].cordon;
    for (size_t i = 0; i < ARRAY_COUNT(s->cordons); i++)
        if (s->cordons[i].used) tell_of(p, &s->cordons[i], s->cordons[i].id == own);
}

void node_cordons_lead_back(struct supervisor *s, struct proc *p) {
    uint32_t id = s->slots[p->slot].cordon;
    for (uint32_t i = 0; i < s->slots_count; i++)
        if (s->slots[i].used && !s->slots[i].leaves && s->slots[i].cordon == id) {
            tell_of(p, cordon_of(s, id), false);
            return;
        }
}

static void put(struct buf *b, uint32_t id, str pattern) {
    uint32_t n = (uint32_t)pattern.n;
    buf_put(b, &id, sizeof id), buf_put(b, &n, sizeof n); /* both machines are little-endian */
    buf_puts(b, pattern);
}

void node_cordons_tell_control(struct supervisor *s, const struct setup *setup, uint32_t revision) {
    struct buf table = {.max = 60'000};
    for (uint32_t i = 0; i < setup->cordons.n; i++)
        for (uint32_t k = 0; k < setup->cordons.p[i].apps.n; k++)
            put(&table, setup->cordons.p[i].id, setup->cordons.p[i].apps.p[k]);
    node_singles_tell(s, &NODE_MESSAGE(places, .revision = revision, .table = buf_str(&table)));
    buf_free(&table);
}

/* One way alone. */
static bool open_inbox(int inbox[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, inbox)) return false;
    setsockopt(inbox[1], SOL_SOCKET, SO_SNDBUF, &(int){4 << 20}, sizeof(int));
    setsockopt(inbox[1], SOL_SOCKET, SO_SNDBUFFORCE, &(int){4 << 20}, sizeof(int)); /* where we may */
    shutdown(inbox[0], SHUT_WR);
    return true;
}

static struct cordon *make_cordon(struct supervisor *s, uint32_t id) {
    struct cordon *c = cordon_of(s, id);
    for (size_t i = 0; !c && i < ARRAY_COUNT(s->cordons); i++) {
        struct cordon *free = &s->cordons[i];
        if (free->used) continue;
        if (!node_takeover_inbox(s, id, free->inbox) && !open_inbox(free->inbox)) return NULL;
        free->used = true, free->id = id;
        for (struct proc *p = s->procs; p; p = p->next) tell_of(p, free, false);
        return free;
    }
    return c;
}

static void free_cordon(struct supervisor *s, struct cordon *c) {
    c->used = false;
    close(c->inbox[0]), close(c->inbox[1]);
    for (struct proc *p = s->procs; p; p = p->next) tell_of(p, c, false);
}

/* Those that nobody has a place in. */
static void free_cordons(struct supervisor *s) {
    for (size_t i = 0; i < ARRAY_COUNT(s->cordons); i++) {
        bool has = !s->cordons[i].used;
        for (uint32_t k = 0; k < s->slots_count && !has; k++) has = s->slots[k].used && s->slots[k].cordon == s->cordons[i].id;
        if (!has) free_cordon(s, &s->cordons[i]);
    }
}

/* ---- slots ---- */

static struct slot *slot_of(struct supervisor *s, uint32_t cordon, uint32_t nth) {
    struct slot *free = NULL;
    for (struct slot *slot = s->slots; slot < s->slots + SLOTS_MAX; slot++) {
        if (slot->used && slot->cordon == cordon && slot->nth == nth && !slot->rest_at_ns) return slot;
        if (!slot->used && !free) free = slot;
    }
    if (!free) return NULL;
    *free = (struct slot){.used = true, .joins = true, .leaves = true, .cordon = cordon, .nth = nth};
    s->slots_count = MAX(s->slots_count, (uint32_t)(free - s->slots) + 1);
    return free;
}

static bool want(struct supervisor *s, uint32_t cordon, uint32_t workers) {
    if (!make_cordon(s, cordon)) return false;
    for (uint32_t nth = 0; nth < workers; nth++) {
        struct slot *slot = slot_of(s, cordon, nth);
        if (!slot) return false;
        slot->leaves = false;
    }
    return true;
}

bool node_cordons_arrange(struct supervisor *s, const struct setup *setup, uint32_t quarantines) {
    for (uint32_t i = 0; i < s->slots_count; i++) s->slots[i].leaves = true;
    bool ok = want(s, 0, setup->workers);
    for (uint32_t i = 0; i < setup->cordons.n; i++) ok = ok && want(s, setup->cordons.p[i].id, setup->cordons.p[i].workers);
    for (uint32_t i = 0; i < QUARANTINES_MAX; i++)
        if (quarantines >> i & 1) ok = ok && want(s, QUARANTINE_FIRST + i, 1);
    return ok;
}

static void free_slot(struct supervisor *s, struct slot *slot) {
    if (slot->current) node_workers_rest(s, slot->current);
    *slot = (struct slot){0};
    while (s->slots_count && !s->slots[s->slots_count - 1].used) s->slots_count--;
}

/* Who listens leaves at once: another one has his sockets by now. */
void node_cordons_settle(struct supervisor *s) {
    for (uint32_t i = s->slots_count; i-- > 0;) {
        struct slot *slot = &s->slots[i];
        if (!slot->used) continue;
        slot->joins = false;
        if (!slot->leaves || slot->rest_at_ns) continue;
        if (slot->cordon && slot->current) slot->rest_at_ns = clock_mono_ns() + on_its_way_ns;
        else free_slot(s, slot);
    }
    free_cordons(s);
}

void node_cordons_forget(struct supervisor *s) {
    for (uint32_t i = s->slots_count; i-- > 0;) {
        struct slot *slot = &s->slots[i];
        if (!slot->used || slot->rest_at_ns) continue;
        slot->leaves = false;
        if (!slot->joins) continue;
        if (slot->current) {
            slot->current->dropped = true;
            node_process_signal(&slot->current->process, SIGKILL);
            slot->current = NULL;
        }
        free_slot(s, slot);
    }
    free_cordons(s);
}

void node_cordons_act(struct supervisor *s, uint64_t now) {
    bool left = false;
    for (uint32_t i = s->slots_count; i-- > 0;)
        if (s->slots[i].used && s->slots[i].rest_at_ns && (now >= s->slots[i].rest_at_ns || !s->slots[i].current)) {
            free_slot(s, &s->slots[i]);
            left = true;
        }
    if (left) free_cordons(s);
}

void node_cordons_stop(struct supervisor *s) {
    for (size_t i = 0; i < ARRAY_COUNT(s->cordons); i++)
        if (s->cordons[i].used) shutdown(s->cordons[i].inbox[0], SHUT_RD);
}

void node_cordons_end(struct supervisor *s) {
    for (size_t i = 0; i < ARRAY_COUNT(s->cordons); i++)
        if (s->cordons[i].used) close(s->cordons[i].inbox[0]), close(s->cordons[i].inbox[1]);
}
