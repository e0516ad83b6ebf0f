/* wal: a SQLite database as it was at one moment: its file, with the first so many frames of its log over it. Nobody is asked, and nothing is locked:
 * whoever writes to it has promised not to touch the file meanwhile, nor those frames (node/store/checkpoint.c).
 *
 *   x.db       page 1 │ page 2 │ …
 *   x.db-wal   head: magic, version, page size, sequence, salts, sum │ frame: page, pages after a commit or 0, salts, sum; the page │ …
 *
 * 1. A frame counts if its salts are the head's, its sums follow from all before it, and a commit comes at or behind it.
 * 2. What comes out is the file as a checkpoint would have made it: it needs no log. */
#ifndef ORLO_NODE_WAL_H
#define ORLO_NODE_WAL_H

#include "base/base.h"

struct wal_image {
    int main, wal; /* borrowed */
    uint32_t page_bytes;
    uint64_t bytes; /* of the whole */
    uint32_t pages;
    uint32_t *frames; /* of each page: the frame that has it, from 1; 0: the file. NULL: no frame counts */
};
/* Where a log ends: of which beginning it is, by its salts, and how many frames of it count. */
struct wal_end {
    uint8_t salts[8];
    uint32_t frames;
};
/* False: there is nothing in it that counts. It reads all of it. */
bool node_wal_end(int wal, struct wal_end *out);
bool node_wal_salts(int wal, uint8_t salts[static 8]); /* of its head; false: it has none */

/* A log's frames one after the other, as far as they count. page: of 64 KiB. */
struct wal_cursor {
    uint8_t salts[8];
    uint32_t page_bytes, frames, sums[2]; /* frames: that it is behind */
    bool big;
};
bool node_wal_begin(int wal, struct wal_cursor *c); /* false: it has no head that counts */
/* commit: pages of the database, where the frame ends one; 0. False: it does not count, and c is as it was. */
bool node_wal_next(int wal, struct wal_cursor *c, uint8_t *page, uint32_t *number, uint32_t *commit);
bool node_wal_has(int wal, const struct wal_cursor *c); /* what it is behind is that still */
bool node_wal_frame(int wal, uint32_t page_bytes, uint32_t frame, uint32_t *number, uint8_t *page); /* from 1 */

enum { WAL_ALL = UINT32_MAX };
/* wal -1: there is none. frames: that count, at most; salts: of that log (NULL: whichever is there). Where it has begun anew since, all of them were in the
 * file by then, and nothing has touched that (see above). ERR_MALFORMED: no database; ERR_IO. */
[[nodiscard]] err node_wal_image(arena *mem, int main, int wal, uint32_t frames, const uint8_t *salts, struct wal_image *out,
                                 struct diag *d);
/* n bytes from `at`; all of them are there. */
[[nodiscard]] err node_wal_read(const struct wal_image *image, void *to, size_t n, uint64_t at, struct diag *d);

#endif
