/* snapshot: see snapshot.h. */
#include "node/snapshot_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SNAPSHOT_LAYOUT = 1, SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };
static const uint64_t bytes_max = GiB;
static const char magic[4] = {'o', 'r', 'l', 's'};

struct node_snapshot {
    arena *mem;
    void *mapped;
    size_t mapped_bytes;
    uint64_t generation;
    struct node_entry *entries;
    uint32_t count;
    struct node_router router;
    uint32_t *by_id, *by_name; /* indices, sorted */
};

/* ---- writing ---- */

void node_snapshot_begin(struct buf *to, uint64_t generation) {
    buf_put(to, magic, sizeof magic);
    buf_put(to, &(uint32_t){SNAPSHOT_LAYOUT}, 4);
    buf_put(to, &generation, 8);
}

void node_snapshot_add_bytes(struct buf *to, str record) {
    ENSURE(record.n <= UINT32_MAX);
    buf_put(to, &(uint32_t){(uint32_t)record.n}, 4);
    buf_puts(to, record);
}

void node_snapshot_add(struct buf *to, const struct app_record *r) {
    size_t at = to->n;
    buf_put(to, &(uint32_t){0}, 4);
    app_record_write(to, r);
    uint32_t n = (uint32_t)(to->n - at - 4);
    memcpy(to->p + at, &n, 4);
}

static bool write_all(int fd, str s) {
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        s = str_sub(s, (size_t)n, s.n);
    }
    return true;
}

int node_snapshot_seal(str bytes) {
    int fd = memfd_create("orlo-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || (write_all(fd, bytes) && fcntl(fd, F_ADD_SEALS, SEALS) == 0)) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* ---- reading ---- */

static int order_ids(const void *a, const void *b, void *entries) {
    const struct node_entry *e = entries;
    uint32_t x = e[*(const uint32_t *)a].id, y = e[*(const uint32_t *)b].id;
    return (x > y) - (x < y);
}

static int order_names(const void *a, const void *b, void *entries) {
    const struct node_entry *e = entries;
    return str_cmp(e[*(const uint32_t *)a].name, e[*(const uint32_t *)b].name);
}

/* Sorted, and so those that are the same side by side: sorting does not care what names a stranger chose. */
static uint32_t *sorted(struct node_snapshot *s, int (*order)(const void *, const void *, void *), struct rd *from,
                        const char *twice) {
    uint32_t *of = arena_array(s->mem, uint32_t, s->count);
    for (uint32_t i = 0; i < s->count; i++) of[i] = i;
    qsort_r(of, s->count, sizeof *of, order, s->entries);
    for (uint32_t i = 1; i < s->count; i++)
        if (!order(&of[i - 1], &of[i], s->entries)) rd_fail(from, twice);
    return of;
}

/* Of each app its bytes; how many hosts and routes there are decides how large the tables are. */
static void read_entries(struct node_snapshot *s, struct rd *from, arena *scratch, struct app_record *routing) {
    uint64_t hosts = 0, routes = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        str record = rd_bytes(from, rd_u32le(from));
        struct rd inside = rd_of(record);
        app_record_read_routing(scratch, &inside, &routing[i]);
        if (inside.fail) rd_fail(from, inside.fail);
        if (from->fail) return;
        s->entries[i] = (struct node_entry){routing[i].id, routing[i].version, routing[i].eager, routing[i].name, record};
        hosts += routing[i].hosts.n, routes += routing[i].routes.n;
    }
    s->by_id = sorted(s, order_ids, from, "two apps of one id");
    s->by_name = sorted(s, order_names, from, "two apps of one name");
    node_router_new(&s->router, s->mem, s->count, hosts, routes);
}

static const char *route_app(struct node_router *to, const struct app_record *r, uint32_t app) {
    const char *wrong = NULL;
    if (r->is_default && to->default_app != NODE_NOWHERE) return "two apps are the default";
    if (r->is_default) to->default_app = app;
    for (uint32_t i = 0; i < r->hosts.n && !wrong; i++) wrong = node_router_add_host(to, r->hosts.p[i], app);
    for (uint32_t i = 0; i < r->routes.n && !wrong; i++)
        wrong = r->routes.p[i].to == APP_TO_FUNCTION ? node_router_add_route(to, &r->routes.p[i], app) : "a route to no function";
    return wrong;
}

/* How many apps follow, by their lengths. */
static uint32_t count_entries(struct rd from) {
    uint32_t n = 0;
    while (rd_left(&from) && !from.fail && n <= NODE_APPS_MAX) (void)rd_bytes(&from, rd_u32le(&from)), n++;
    return n;
}

static void read_all(struct node_snapshot *s, struct rd *from) {
    str m = rd_bytes(from, sizeof magic);
    if (m.n && memcmp(m.p, magic, sizeof magic) != 0) rd_fail(from, "no snapshot");
    if (rd_u32le(from) != SNAPSHOT_LAYOUT) rd_fail(from, "a snapshot of another layout");
    s->generation = rd_u64le(from);
    s->count = count_entries(*from);
    if (s->count > NODE_APPS_MAX) rd_fail(from, "too many apps");
    if (from->fail) return;
    arena *scratch = arena_new(0);
    struct app_record *routing = arena_array(scratch, struct app_record, s->count);
    s->entries = arena_array(s->mem, struct node_entry, s->count);
    read_entries(s, from, scratch, routing);
    for (uint32_t i = 0; i < s->count && !from->fail; i++) {
        const char *wrong = route_app(&s->router, &routing[i], i);
        if (wrong) rd_fail(from, wrong);
    }
    arena_free(scratch);
}

err node_snapshot_read(str bytes, struct node_snapshot **out, struct diag *d) {
    arena *mem = arena_new(0);
    struct node_snapshot *s = arena_make(mem, struct node_snapshot);
    s->mem = mem;
    struct rd from = rd_of(bytes);
    read_all(s, &from);
    *out = from.fail ? NULL : s;
    if (!from.fail) return ERR_OK;
    arena_free(mem);
    return diag_set(d, ERR_MALFORMED, from.fail_at, "%s", from.fail);
}

err node_snapshot_map(int fd, struct node_snapshot **out, struct diag *d) {
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    *out = NULL;
    if (fstat(fd, &st)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "a snapshot cannot be looked at: %s", strerror(errno));
    if (seals < 0 || (seals & SEALS) != SEALS) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "a snapshot that is not sealed");
    if ((uint64_t)st.st_size > bytes_max)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a snapshot of more than %llu MiB", (unsigned long long)(bytes_max / MiB));
    size_t n = (size_t)st.st_size;
    void *p = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (p == MAP_FAILED) return diag_set(d, ERR_IO, DIAG_NOWHERE, "a snapshot cannot be mapped: %s", strerror(errno));
    err e = node_snapshot_read((str){p, n}, out, d);
    if (e == ERR_OK) (*out)->mapped = p, (*out)->mapped_bytes = n;
    else if (p) munmap(p, n);
    return e;
}

void node_snapshot_free(struct node_snapshot *s) {
    if (!s) return;
    if (s->mapped) munmap(s->mapped, s->mapped_bytes);
    arena_free(s->mem);
}

/* ---- asking ---- */

uint64_t node_snapshot_generation(const struct node_snapshot *s) { return s->generation; }

const struct node_entry *node_snapshot_entries(const struct node_snapshot *s, uint32_t *count) {
    *count = s->count;
    return s->entries;
}

const struct node_entry *node_snapshot_named(const struct node_snapshot *s, str name) {
    for (uint32_t from = 0, to = s->count; from < to;) {
        uint32_t middle = from + (to - from) / 2;
        const struct node_entry *e = &s->entries[s->by_name[middle]];
        int order = str_cmp(name, e->name);
        if (!order) return e;
        if (order < 0) to = middle;
        else from = middle + 1;
    }
    return NULL;
}

const struct node_entry *node_snapshot_app(const struct node_snapshot *s, uint32_t id) {
    for (uint32_t from = 0, to = s->count; from < to;) {
        uint32_t middle = from + (to - from) / 2;
        const struct node_entry *e = &s->entries[s->by_id[middle]];
        if (e->id == id) return e;
        if (id < e->id) to = middle;
        else from = middle + 1;
    }
    return NULL;
}

enum node_found node_snapshot_find(const struct node_snapshot *s, str authority, str path, const struct node_entry **app,
                                   uint32_t *function) {
    uint32_t i = node_router_app(&s->router, authority);
    *app = NULL;
    if (i == NODE_NOWHERE) return NODE_NO_HOST;
    *app = &s->entries[i];
    *function = node_router_function(&s->router, i, path);
    return *function == NODE_NOWHERE ? NODE_NO_ROUTE : NODE_FOUND;
}
