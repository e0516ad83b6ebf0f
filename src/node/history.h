/* history: what was written to a database, kept for a while, so that it can be made what it was at any moment of it. Beside it, in segments:
 *
 *   app.db-history-GENERATION-FIRST    head │ record │ record │ …
 *   app.db-history-times               when what is in the log, and not in a record yet, was acknowledged. It is not there where commits went by since
 *                                      the last record that are in none
 *
 *   commit ──> the database's log (SQLite's WAL) ──node_history_take──> a record: when, and what has become other in which pages
 *                        └──node_history_take has seen all of it, and it is on the disk──> checkpoint: only then may the log begin anew
 *
 * 1. What was acknowledged is in the log, and the log is not written over before its commits are here: no commit is missing between two records. Where one
 *    may be (the disk was full, the file was exchanged, a history was switched off), a new generation begins, and the log says so (history-gap).
 * 2. A record's runs say what bytes are, not how they differ. So records may be applied to an image that has some of them already, if they go on to
 *    where the image is at least.
 * 3. A commit's time is when it was acknowledged (node_history_note), whoever is killed afterwards. Times never go back. Where the machine lost its power,
 *    what was not taken yet (STORE_HISTORY_MS) has the time at which the log was written last.
 * 4. One thread at a time takes; notes may come meanwhile. */
#ifndef ORLO_NODE_HISTORY_H
#define ORLO_NODE_HISTORY_H

#include "base/base.h"

enum { HISTORY_GENERATION_BYTES = 8, HISTORY_SEGMENT_BYTES = 4 << 20, HISTORY_NAME_MAX = 400 };
struct history;
struct history_options {
    const char *name;           /* of the database, below the working directory */
    int main, wal;              /* its files, borrowed; -1: they are opened here, which nobody may have locks on */
    uint64_t bytes_max, ms_max; /* of what is kept: more than either goes, a segment at a time, the oldest first */
};
/* Goes on where it was, or begins a new generation. ERR_IO: there is none. */
[[nodiscard]] err node_history_open(const struct history_options *o, struct history **out, struct diag *d);
/* A commit was acknowledged: the log has so many frames. By who writes to the database. */
void node_history_note(struct history *h, uint32_t frames);
bool node_history_behind(const struct history *h); /* something was noted that was not taken */
/* What the log has of commits becomes records. sync: they are on the disk, too. ERR_IO, ERR_LIMIT (the disk is full): a new generation begins with the
 * next one. */
[[nodiscard]] err node_history_take(struct history *h, bool sync, struct diag *d);
/* Nobody writes to the database any more. NULL is fine. */
void node_history_close(struct history *h);
/* None is kept for this database: what there was ends here. */
void node_history_none(const char *name);

/* ---- going back ---- */

struct history_position {
    uint8_t generation[HISTORY_GENERATION_BYTES];
    uint64_t commit; /* that an image has for certain */
    uint8_t salts[8];
    uint32_t frames; /* of the log, in the image; 0: it is not known, and what has the image's time is in it */
};
/* Where the newest segment of a database ends. False: there is none. folder: a descriptor; name: below it, "app.db". */
bool node_history_end(int folder, const char *name, struct history_position *p);
bool node_history_is_segment(const char *file); /* "app.db-history-…" */
/* Makes a database, an image that has p, what it was at until_ms: by segments, files of any order; of two with the same name the longer one counts.
 * reached_ms: the last commit that was applied; 0: none was. whole: the segments go on from it without a gap, to until_ms or to their end. ERR_MALFORMED: a
 * segment is damaged. */
[[nodiscard]] err node_history_apply(int database, const struct history_position *p, const char *const *segments, uint32_t n,
                                     uint64_t until_ms, uint64_t *reached_ms, bool *whole, struct diag *d);

#endif
