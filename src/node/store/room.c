/* room: how much an app's own database may have on the disk, as each that is asked of it says (database_mb): who deploys it with another limit has that at
 * once.
 *
 *   0 ── in use: pages of the file, but for those that are free ──> what it may have ── the reserve ──> nothing goes beyond
 *
 * 1. What leaves more in use than it found, and more than the app may have, is undone: 53100. So who is full, or has been given less, can read, change
 *    and delete.
 * 2. What is kept of changes (feed.c) is in the file, and counts. It may take of the reserve, so that a full database can be emptied.
 * 3. Where less than three quarters are in use, nobody looks: SQLite itself goes no further than what it may have.
 * 4. Databases in SQLite's dialect have no feed, and no reserve: SQLite holds them to what they may have.
 */
#include "node/store/store_int.h"
#include "node/tree.h"
#include <stdio.h>
#include <sys/statfs.h>

enum { RESERVE_BYTES_MIN = 256 << 10, DISK_BYTES_MIN = 1 << 20 };

static uint64_t bytes_of(const struct db_size *size) { return (size->pages - size->unused) * size->page_bytes; }

/* Near its end each ask is looked at; before that SQLite's own limit is enough. The reserve is added once: it does not grow with what was put into it. */
static err look(struct store_base *base, bool anew, struct diag *d) {
    struct db_size size;
    TRY(db_size(base->db, &size, d));
    bool near = bytes_of(&size) / 3 > base->bytes_max / 4;
    uint64_t most = MAX(base->bytes_max, size.pages * size.page_bytes);
    if (!anew && near == base->nearly_full) return ERR_OK;
    if (near) most += MAX(most / 16, (uint64_t)RESERVE_BYTES_MIN);
    TRY(db_limit(base->db, most, d));
    base->file_bytes_max = most;
    base->nearly_full = near;
    return ERR_OK;
}

err node_store_room_look(struct store_base *base, struct diag *d) { return base->bytes_max ? look(base, false, d) : ERR_OK; }

err node_store_room_hold(struct store_base *base, const struct store_ask *ask, struct diag *d) {
    if (base->of == APP_OF_KEYS || base->bytes_max == ask->bytes_max) return ERR_OK;
    base->bytes_max = ask->bytes_max;
    return base->of == APP_OF_APP ? look(base, true, d) : db_limit(base->db, ask->bytes_max, d);
}

err node_store_room_used(struct store_base *base, uint64_t *bytes, struct diag *d) {
    struct db_size size;
    TRY(db_size(base->db, &size, d));
    *bytes = bytes_of(&size);
    return ERR_OK;
}

uint64_t node_store_room_left(struct store_base *base) {
    struct db_size size;
    if (db_size(base->db, &size, NULL) != ERR_OK) return 0;
    return base->file_bytes_max - MIN(bytes_of(&size), base->file_bytes_max);
}

bool node_store_room_exceeded(const struct store_base *base, uint64_t before, uint64_t after) {
    return after > MAX(before, base->bytes_max);
}

void node_store_room_say(const struct store_base *base, struct pg_error *error) {
    struct statfs st;
    *error = (struct pg_error){0};
    if (node_store_bases_keep() && statfs(".", &st) == 0 && st.f_bavail * (uint64_t)st.f_bsize < DISK_BYTES_MIN) {
        node_tree_fail(error, "53100", "the disk is full");
        return;
    }
    node_tree_fail(error, "53100", "the database is full");
    snprintf(error->detail, sizeof error->detail, "It may have %llu KiB (database_mb), what is kept of its changes included.",
             (unsigned long long)(base->bytes_max / KiB));
    snprintf(error->hint, sizeof error->hint, "Delete rows, or deploy it with a larger database_mb.");
}
