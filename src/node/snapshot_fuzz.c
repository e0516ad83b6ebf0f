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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const hosts[] = {"", "a", "shop.example.org:80", "x.y.z.example.org.", "[::1]:1", "[2001:DB8::1]"};
    static const char *const paths[] = {"", "/", "/api", "/api/v1/users/7?x=/", "//", "*"};
    struct node_snapshot *s;
    if (node_snapshot_read((str){data, size}, &s, NULL) != ERR_OK) return 0;
    for (size_t i = 0; i < ARRAY_COUNT(hosts) * ARRAY_COUNT(paths); i++) {
        const struct node_entry *app;
        uint32_t function;
        enum node_found found =
            node_snapshot_find(s, str_c(hosts[i / ARRAY_COUNT(paths)]), str_c(paths[i % ARRAY_COUNT(paths)]), &app, &function);
        ENSURE((found == NODE_NO_HOST) == !app && (found != NODE_FOUND || function < APP_FUNCTIONS_MAX));
    }
    uint32_t n;
    const struct node_entry *e = node_snapshot_entries(s, &n);
    for (uint32_t i = 0; i < n; i++) {
        ENSURE(node_snapshot_app(s, e[i].id) == &e[i] && node_snapshot_named(s, e[i].name) == &e[i]);
        check_record(e[i].record);
    }
    node_snapshot_free(s);
    return 0;
}
