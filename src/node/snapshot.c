/* snapshot: see snapshot.h. */
#include "node/snapshot_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SNAPSHOT_LAYOUT = 2, SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };
static const uint64_t bytes_max = GiB;
static const char magic[4] = {'o', 'r', 'l', 's'};

struct node_snapshot {
    arena *mem;
    void *mapped;
    size_t mapped_bytes;
    uint64_t generation;
    str domain;
    struct node_entry *entries;
    uint32_t count;
    struct node_router router;
    uint32_t *by_id, *by_name; /* indices, sorted */
};

/* ---- writing ---- */

static void write_u32(struct buf *to, uint64_t v) {
    ENSURE(v <= UINT32_MAX);
    buf_put(to, &(uint32_t){(uint32_t)v}, 4);
}

static void write_str(struct buf *to, str s) {
    write_u32(to, s.n);
    buf_puts(to, s);
}

void node_snapshot_begin(struct buf *to, uint64_t generation, str domain) {
    buf_put(to, magic, sizeof magic);
    write_u32(to, SNAPSHOT_LAYOUT);
    buf_put(to, &generation, 8);
    write_str(to, domain);
}

void node_snapshot_add_bytes(struct buf *to, str live, str canary, uint32_t canary_permille, uint32_t cordon) {
    write_u32(to, cordon);
    write_u32(to, canary.n ? canary_permille : 0);
    write_str(to, live);
    write_str(to, canary);
}

static void write_record(struct buf *to, const struct app_record *r) {
    size_t at = to->n;
    write_u32(to, 0);
    if (r) app_record_write(to, r);
    uint32_t n = (uint32_t)(to->n - at - 4);
    memcpy(to->p + at, &n, 4);
}

void node_snapshot_add(struct buf *to, const struct node_live *app) {
    write_u32(to, app->cordon);
    write_u32(to, app->canary ? app->canary_permille : 0);
    write_record(to, app->record);
    write_record(to, app->canary);
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

static bool domain_ok(str domain) {
    char normal[APP_HOST_MAX + 3];
    size_t n;
    return !domain.n ||
           (app_host_normal(domain, normal, &n) && str_eq(domain, (str){(uint8_t *)normal, n}) && domain.p[0] != '[');
}

static void read_version(struct rd *from, arena *scratch, struct app_record *routing, struct node_entry *e, enum node_version v) {
    str record = rd_bytes(from, rd_u32le(from));
    *routing = (struct app_record){0};
    if (v == NODE_CANARY && !record.n) return;
    struct rd inside = rd_of(record);
    app_record_read_routing(scratch, &inside, routing);
    if (inside.fail) rd_fail(from, inside.fail);
    e->of[v].record = record;
    e->of[v].version = routing->version;
    e->of[v].eager = routing->eager;
    e->of[v].follows = routing->follows;
    e->of[v].has_users = routing->has_users;
    if (v == NODE_CANARY && (routing->id != e->id || !str_eq(routing->name, e->name))) rd_fail(from, "a canary of another app");
    e->id = routing->id;
    e->name = routing->name;
}

/* Of each app its bytes; how many hosts and routes there are decides how large the tables are. routing: two of each app. */
static void read_entries(struct node_snapshot *s, struct rd *from, arena *scratch, struct app_record *routing) {
    struct node_router_size size = {.trees = NODE_VERSIONS * s->count};
    for (uint32_t i = 0; i < s->count; i++) {
        struct node_entry *e = &s->entries[i];
        *e = (struct node_entry){.cordon = rd_u32le(from)};
        e->canary_permille = rd_u32le(from);
        if (e->canary_permille > 1000) rd_fail(from, "more than all for a canary");
        size.hosts++;
        for (enum node_version v = 0; v < NODE_VERSIONS; v++) {
            struct app_record *r = &routing[NODE_VERSIONS * i + v];
            read_version(from, scratch, r, e, v);
            if (from->fail) return;
            size.hosts += r->hosts.n, size.routes += r->routes.n;
            for (uint32_t k = 0; k < r->routes.n; k++)
                size.segments += node_route_segments(r->routes.p[k].path, r->routes.p[k].exact);
        }
    }
    s->by_id = sorted(s, order_ids, from, "two apps of one id");
    s->by_name = sorted(s, order_names, from, "two apps of one name");
    node_router_new(&s->router, s->mem, &size);
}

static const char *add_version(struct node_router *to, const struct app_record *r, uint32_t app, enum node_version v) {
    const char *wrong = NULL;
    if (r->is_default && to->default_app != UINT32_MAX && to->default_app != app) return "two apps are the default";
    if (r->is_default) to->default_app = app;
    for (uint32_t i = 0; i < r->hosts.n; i++)
        if (!node_router_add_host(to, r->hosts.p[i], app)) return "two apps answer one host";
    for (uint32_t i = 0; i < r->routes.n && !wrong; i++)
        if (!r->routes.p[i].internal) wrong = node_router_add_route(to, NODE_VERSIONS * app + v, &r->routes.p[i]);
    return wrong;
}

/* At NAME.domain, where nobody else was given it. */
static void add_own_hosts(struct node_snapshot *s) {
    for (uint32_t i = 0; i < s->count && s->domain.n; i++)
        if (s->entries[i].name.n + 1 + s->domain.n <= APP_HOST_MAX)
            (void)node_router_add_host(
                &s->router, arena_fmt(s->mem, STR_FMT "." STR_FMT, STR_ARG(s->entries[i].name), STR_ARG(s->domain)), i);
}

/* How many apps follow, by their lengths. */
static uint32_t count_entries(struct rd from) {
    uint32_t n = 0;
    for (; rd_left(&from) && !from.fail && n <= NODE_APPS_MAX; n++) {
        (void)rd_u64le(&from);
        for (enum node_version v = 0; v < NODE_VERSIONS; v++) (void)rd_bytes(&from, rd_u32le(&from));
    }
    return n;
}

static void read_all(struct node_snapshot *s, struct rd *from) {
    str m = rd_bytes(from, sizeof magic);
    if (m.n && memcmp(m.p, magic, sizeof magic) != 0) rd_fail(from, "no snapshot");
    if (rd_u32le(from) != SNAPSHOT_LAYOUT) rd_fail(from, "a snapshot of another layout");
    s->generation = rd_u64le(from);
    s->domain = rd_bytes(from, rd_u32le(from));
    if (!from->fail && !domain_ok(s->domain)) rd_fail(from, "no domain");
    s->count = count_entries(*from);
    if (s->count > NODE_APPS_MAX) rd_fail(from, "too many apps");
    if (from->fail) return;
    arena *scratch = arena_new(0);
    struct app_record *routing = arena_array(scratch, struct app_record, NODE_VERSIONS * s->count);
    s->entries = arena_array(s->mem, struct node_entry, s->count);
    read_entries(s, from, scratch, routing);
    for (uint32_t i = 0; i < NODE_VERSIONS * s->count && !from->fail; i++) {
        const char *wrong = add_version(&s->router, &routing[i], i / NODE_VERSIONS, i % NODE_VERSIONS);
        if (wrong) rd_fail(from, wrong);
    }
    if (!from->fail) add_own_hosts(s);
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
str node_snapshot_domain(const struct node_snapshot *s) { return s->domain; }

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

const struct node_entry *node_snapshot_at(const struct node_snapshot *s, str authority) {
    uint32_t i = node_router_app(&s->router, authority);
    return i == UINT32_MAX ? NULL : &s->entries[i];
}

const struct node_route *node_snapshot_route(const struct node_snapshot *s, const struct node_entry *e, enum node_version v,
                                             str path) {
    return node_router_route(&s->router, NODE_VERSIONS * (uint32_t)(e - s->entries) + v, path);
}
