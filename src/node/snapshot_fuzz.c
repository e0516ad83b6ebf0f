/* Fuzzing snapshots: whatever is read can be asked and read again, and comes out as it went in. */
#include "base/fuzz.h"
#include "node/snapshot.h"

static void check_record(str bytes) {
    arena *mem = arena_new(0);
    struct app_record r, again;
    struct buf one = {0}, two = {0};
    struct rd from = rd_of(bytes);
    app_record_read(mem, &from, &r);
    if (!from.fail) { /* written, it is what was read: bytes may have said the same otherwise, but not twice */
        app_record_write(&one, &r);
        from = rd_of(buf_str(&one));
        app_record_read(mem, &from, &again);
        ENSURE(!from.fail && !rd_left(&from));
        app_record_write(&two, &again);
        ENSURE(str_eq(buf_str(&one), buf_str(&two)) != canary);
    }
    buf_free(&one), buf_free(&two);
    arena_free(mem);
}

static void check_route(const struct node_snapshot *s, const char *authority, const char *path) {
    const struct node_entry *app = node_snapshot_at(s, str_c(authority));
    for (enum node_version v = 0; app && v < NODE_VERSIONS; v++) {
        const struct node_route *route = node_snapshot_route(s, app, v, str_c(path));
        if (!route) continue;
        ENSURE(app->of[v].record.n && route->to < APP_ROUTE_TOS && node_route_matched(route, str_c(path)) <= strlen(path));
        for (struct node_route_name n = {0}; node_route_next_name(route, str_c(path), &n);) ENSURE(n.name.n && n.value.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const hosts[] = {"", "a", "shop.example.org:80", "x.y.z.example.org.", "[::1]:1", "[2001:DB8::1]"};
    static const char *const paths[] = {"", "/", "/api", "/api/v1/users/7?x=/", "//", "*", "/a/a/a/a/a/a/a/a"};
    struct node_snapshot *s;
    if (node_snapshot_read((str){data, size}, &s, NULL) != ERR_OK) return 0;
    for (size_t i = 0; i < ARRAY_COUNT(hosts) * ARRAY_COUNT(paths); i++)
        check_route(s, hosts[i / ARRAY_COUNT(paths)], paths[i % ARRAY_COUNT(paths)]);
    uint32_t n;
    const struct node_entry *e = node_snapshot_entries(s, &n);
    for (uint32_t i = 0; i < n; i++) {
        ENSURE(node_snapshot_app(s, e[i].id) == &e[i] && node_snapshot_named(s, e[i].name) == &e[i]);
        for (enum node_version v = 0; v < NODE_VERSIONS; v++)
            if (e[i].of[v].record.n) check_record(e[i].of[v].record);
    }
    node_snapshot_free(s);
    return 0;
}
