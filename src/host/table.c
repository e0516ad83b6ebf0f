/* table: the handle table of one component instance (CanonicalABI.md, Table State). Freed indices are given
 * out again, the last freed first, as the specification's table does. */
#include <stdlib.h>

#include "host/host_int.h"

static bool grow(struct host_table *t) {
    if (t->n == t->max + 1) return false;
    uint32_t cap = MIN(MAX(t->cap * 2, 16u), t->max + 1);
    uint64_t more = (cap - t->cap) * sizeof(struct host_handle);
    if (more > t->in->component->limits.host_bytes_max - t->in->table_bytes || !host_pay(t->in, more)) return false;
    struct host_handle *p = realloc(t->p, cap * sizeof *p);
    if (!p) {
        host_unpay(t->in, more);
        return false;
    }
    t->in->table_bytes += more;
    t->p = p;
    t->cap = cap;
    if (!t->n) t->p[t->n++] = (struct host_handle){}; /* index 0 */
    return true;
}

uint32_t host_table_add(struct host_table *t, struct host_handle h) {
    uint32_t i = t->free;
    if (i) {
        t->free = (uint32_t)t->p[i].rep;
    } else {
        if (t->n == t->cap && !grow(t)) return 0;
        i = t->n++;
    }
    t->p[i] = h;
    t->alive++;
    return i;
}

void host_table_remove(struct host_table *t, uint32_t i) {
    t->p[i] = (struct host_handle){.rep = t->free};
    t->free = i;
    t->alive--;
}

void host_table_free(struct host_table *t) {
    host_unpay(t->in, t->cap * sizeof *t->p);
    t->in->table_bytes -= t->cap * sizeof *t->p;
    free(t->p);
    t->p = NULL;
    t->cap = 0;
}

void host_table_clear(struct host_table *t) {
    enum { KEPT = 1024 }; /* slots: a table that grew past this gives its memory back */
    if (t->cap > KEPT) host_table_free(t);
    t->n = t->cap ? 1 : 0;
    t->free = t->alive = 0;
}
