/* meters: a worker's rows of its region (meters.h).
 *
 *   FREE ──given out──> HELD ──let go, as often as it was held──> KEPT ──asked for again──> HELD
 *     ^                                                             └──all are in use──> its counts go up a level, it is given out anew
 *     └── nobody has had it yet
 *
 * 1. A row that is held never moves: who counts keeps its address.
 * 2. What is kept is found by its key, also by the worker that comes after this one.
 * 3. A region that another worker wrote before is hearsay: its counts of rows are bounded, its keys are taken as they are.
 */
#include "node/meters.h"
#include <errno.h>
#include <stdlib.h>

enum { TABLE = 2 * NODE_METERS_APPS }; /* a power of two */
static_assert(!(TABLE & (TABLE - 1)) && NODE_METERS_CALLS <= TABLE / 2, "open addressing, at most half full");

static struct node_meters_app nobodys_app = {.used = 1};
static struct node_meters_call nobodys_call = {.used = 1};
static struct rows {
    struct node_meters_region *region; /* NULL: the two above */
    uint32_t *app_holds, *call_holds;  /* by row */
    uint32_t *app_table, *call_table;  /* open addressing; a row's number, 0: none, TOMB */
    uint32_t app_hand, call_hand;      /* where the search for a row to take goes on */
} rows;
enum { TOMB = UINT32_MAX };

static struct node_meters_app *apps(void) { return rows.region ? rows.region->apps : &nobodys_app; }
static struct node_meters_call *calls(void) { return rows.region ? rows.region->calls : &nobodys_call; }

static void copy_name(char to[NODE_METERS_NAME + 1], str name) {
    size_t n = MIN(name.n, (size_t)NODE_METERS_NAME);
    memset(to, 0, NODE_METERS_NAME + 1);
    memcpy(to, name.p, n);
}

/* ---- keys ---- */

static uint32_t hash_app(uint32_t id, const char *name) { return (uint32_t)(str_hash(str_c(name)) * 31 + id * 0x9e3779b9u); }

static uint32_t hash_call(uint32_t app, uint32_t version, const char *name) {
    return (uint32_t)(str_hash(str_c(name)) * 31 + app * 0x9e3779b9u + version * 0x85ebca6bu);
}

static void table_put(uint32_t *table, uint32_t hash, uint32_t row) {
    uint32_t at = hash % TABLE;
    while (table[at] && table[at] != TOMB) at = (at + 1) % TABLE;
    table[at] = row;
}

static void table_remove(uint32_t *table, uint32_t hash, uint32_t row) {
    uint32_t at = hash % TABLE;
    while (table[at] && table[at] != row) at = (at + 1) % TABLE;
    if (table[at] == row) table[at] = TOMB;
}

static uint32_t find_app(uint32_t id, const char *name) {
    for (uint32_t at = hash_app(id, name) % TABLE, row; (row = rows.app_table[at]); at = (at + 1) % TABLE)
        if (row != TOMB && apps()[row].id == id && !strcmp(apps()[row].name, name)) return row;
    return 0;
}

static uint32_t find_call(uint32_t app, uint32_t version, const char *name) {
    for (uint32_t at = hash_call(app, version, name) % TABLE, row; (row = rows.call_table[at]); at = (at + 1) % TABLE)
        if (row != TOMB && calls()[row].app == app && calls()[row].version == version && !strcmp(calls()[row].name, name))
            return row;
    return 0;
}

/* ---- counts go up a level ---- */

static void add_words(void *to, const void *from, size_t bytes) {
    uint64_t *t = to;
    const uint64_t *f = from;
    for (size_t i = 0; i < bytes / sizeof *t; i++) node_meter_add(&t[i], f[i]);
}

static void move_begin(void) {
    __atomic_store_n(&node_meters->moves, node_meters->moves + 1,
                     __ATOMIC_SEQ_CST); /* pairs with control's reads before and after */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
static void move_end(void) { __atomic_store_n(&node_meters->moves, node_meters->moves + 1, __ATOMIC_SEQ_CST); }

/* Of a version that nobody has asked for lately: to its app. */
static void call_up(uint32_t row) {
    ENSURE(rows.region); /* without one there is no row but nobody's */
    struct node_meters_call *c = &calls()[row];
    table_remove(rows.call_table, hash_call(c->app, c->version, c->name), row);
    add_words(&apps()[c->app].earlier, &c->counts, sizeof c->counts);
    c->used = 0;
    memset(&c->counts, 0, sizeof c->counts);
}

/* Of an app: to row 0, with all that its versions counted. */
static void app_up(uint32_t row) {
    struct node_meters_app *a = &apps()[row];
    for (uint32_t i = 1; i < node_meters->calls; i++)
        if (calls()[i].used && calls()[i].app == row) call_up(i);
    table_remove(rows.app_table, hash_app(a->id, a->name), row);
    add_words(&apps()[0].counts, &a->counts, sizeof a->counts);
    add_words(&apps()[0].earlier, &a->earlier, sizeof a->earlier);
    memset(a, 0, sizeof *a);
}

/* A row that nobody holds, the longest not given out first; its counts are elsewhere then. 0: all are held. */
static uint32_t take_back(uint32_t n, const uint32_t *holds, uint32_t *hand, void (*up)(uint32_t row)) {
    for (uint32_t i = 0; i < n; i++) {
        *hand = *hand % (n - 1) + 1;
        if (holds[*hand]) continue;
        up(*hand);
        return *hand;
    }
    return 0;
}

static bool app_is_used(uint32_t row) { return row && apps()[row].used; }

static void fill_tables(void) {
    for (uint32_t i = 1; i < node_meters->apps; i++)
        if (apps()[i].used) table_put(rows.app_table, hash_app(apps()[i].id, apps()[i].name), i);
    for (uint32_t i = 1; i < node_meters->calls; i++)
        if (calls()[i].used) table_put(rows.call_table, hash_call(calls()[i].app, calls()[i].version, calls()[i].name), i);
}

/* Tombs slow a search down: the tables are made anew when much has gone through them. */
static void make_tables(void) {
    memset(rows.app_table, 0, TABLE * sizeof *rows.app_table);
    memset(rows.call_table, 0, TABLE * sizeof *rows.call_table);
    fill_tables();
}

static uint32_t reclaim(bool app) {
    static uint32_t reclaimed;
    move_begin();
    uint32_t row = app ? take_back(NODE_METERS_APPS, rows.app_holds, &rows.app_hand, app_up)
                       : take_back(NODE_METERS_CALLS, rows.call_holds, &rows.call_hand, call_up);
    if (++reclaimed % (TABLE / 4) == 0) make_tables();
    move_end();
    return row;
}

/* ---- rows ---- */

struct node_meters_app *node_meters_app(uint32_t id, str name) {
    char key[NODE_METERS_NAME + 1];
    if (!rows.region) return &nobodys_app;
    copy_name(key, name);
    uint32_t row = find_app(id, key);
    if (!row) {
        row = node_meters->apps < NODE_METERS_APPS ? node_meters->apps : reclaim(true);
        if (!row) return apps();
        struct node_meters_app *a = &apps()[row];
        a->id = id;
        memcpy(a->name, key, sizeof key);
        table_put(rows.app_table, hash_app(id, key), row);
        __atomic_store_n(&a->used, 1, __ATOMIC_RELEASE); /* pairs with control's copy of the row */
        if (row == node_meters->apps) __atomic_store_n(&node_meters->apps, row + 1, __ATOMIC_RELEASE);
    }
    rows.app_holds[row]++;
    return &apps()[row];
}

void node_meters_app_drop(struct node_meters_app *app) {
    uint32_t row = (uint32_t)(app - apps());
    if (row && !--rows.app_holds[row]) memset(&app->now, 0, sizeof app->now);
}

struct node_meters_call *node_meters_call(struct node_meters_app *app, uint32_t version, str name) {
    char key[NODE_METERS_NAME + 1];
    uint32_t of = (uint32_t)(app - apps());
    if (!of) return calls();
    copy_name(key, name);
    uint32_t row = find_call(of, version, key);
    if (!row) {
        row = node_meters->calls < NODE_METERS_CALLS ? node_meters->calls : reclaim(false);
        if (!row) return calls();
        struct node_meters_call *c = &calls()[row];
        c->app = of;
        c->version = version;
        memcpy(c->name, key, sizeof key);
        table_put(rows.call_table, hash_call(of, version, key), row);
        __atomic_store_n(&c->used, 1, __ATOMIC_RELEASE);
        if (row == node_meters->calls) __atomic_store_n(&node_meters->calls, row + 1, __ATOMIC_RELEASE);
    }
    rows.app_holds[of]++; /* with its app: a held row's counts can only go up to a row that is there */
    rows.call_holds[row]++;
    return &calls()[row];
}

void node_meters_call_drop(struct node_meters_call *call) {
    uint32_t row = (uint32_t)(call - calls());
    if (!row) return;
    rows.call_holds[row]--;
    node_meters_app_drop(&apps()[call->app]);
}

/* ---- a region is taken over ---- */

/* What the one before left half done, or made up. */
static void look_over(void) {
    struct node_meters *m = node_meters;
    m->apps = MIN(MAX(m->apps, 1u), (uint32_t)NODE_METERS_APPS);
    m->calls = MIN(MAX(m->calls, 1u), (uint32_t)NODE_METERS_CALLS);
    memset(&m->worker_now, 0, sizeof m->worker_now);
    for (uint32_t i = 0; i < m->apps; i++) {
        memset(&apps()[i].now, 0, sizeof apps()[i].now);
        apps()[i].name[NODE_METERS_NAME] = 0;
    }
    for (uint32_t i = 1; i < m->calls; i++) {
        struct node_meters_call *c = &calls()[i];
        c->name[NODE_METERS_NAME] = 0;
        if (c->used && (c->app >= m->apps || !app_is_used(c->app))) c->app = 0;
    }
    apps()[0].used = calls()[0].used = 1;
    if (m->moves & 1) move_end();
}

void node_meters_unmap(void) {
    if (rows.region) node_meters_close(rows.region);
    free(rows.app_holds), free(rows.call_holds), free(rows.app_table), free(rows.call_table);
    rows = (struct rows){0};
    node_meters = node_meters_nobodys();
}

err node_meters_map(int fd, struct diag *d) {
    node_meters_unmap();
    rows.region = node_meters_open(fd, true);
    if (!rows.region) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the meters cannot be mapped: %s", strerror(errno));
    node_meters = &rows.region->head;
    rows.app_holds = calloc(NODE_METERS_APPS, sizeof *rows.app_holds);
    rows.call_holds = calloc(NODE_METERS_CALLS, sizeof *rows.call_holds);
    rows.app_table = calloc(TABLE, sizeof *rows.app_table);
    rows.call_table = calloc(TABLE, sizeof *rows.call_table);
    ENSURE(rows.app_holds && rows.call_holds && rows.app_table && rows.call_table);
    look_over();
    fill_tables();
    return ERR_OK;
}
