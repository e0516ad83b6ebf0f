/* pack: a folder of static files as one file that never changes. Control makes it when an app is deployed; workers serve from it.
 *
 *   "orlp" layout  contents, one after another …  index  "orlp" layout  where the index is, its bytes      all numbers little-endian
 *   index: how many, then of each file: path  where  bytes  modified  SHA-256
 *
 * 1. A pack's digest is that of its index, which has the digest of each file: whoever knows it knows all of the folder.
 * 2. Paths are what a URL has when it is decoded: segments of names, none empty, "." or "..", without control characters; ascending by their
 *    bytes, so none is there twice. Nothing in a pack leads out of it.
 * 3. Contents are not read when it is opened, and not looked at when they are served: who made the pack answers for them.
 */
#ifndef ORLO_NODE_PACK_H
#define ORLO_NODE_PACK_H

#include "base/base.h"

enum { NODE_PACK_DIGEST_BYTES = 32, NODE_PACK_FILES_MAX = 65536, NODE_PACK_PATH_MAX = 1024, NODE_PACK_INDEX_MAX = 32 << 20 };

/* "a/b c.html": what 2 says. */
bool node_pack_path_ok(str path);

/* ---- making one ---- */

/* Writes to fd, which is empty and stays the caller's. Calls wait for the disk. */
struct node_pack_writer *node_pack_begin(int fd);
/* So many bytes of `from`, by offset, from start on. modified: seconds since 1970; 0: not known. ERR_USAGE (a path that cannot be, or not behind the one
 * before), ERR_LIMIT, ERR_IO. */
[[nodiscard]] err node_pack_add(struct node_pack_writer *w, str path, int from, uint64_t start, uint64_t bytes, uint64_t modified,
                                struct diag *d);
/* Frees w in any case: after an error, too (d may be NULL then). ERR_IO. */
[[nodiscard]] err node_pack_end(struct node_pack_writer *w, uint8_t digest[NODE_PACK_DIGEST_BYTES], struct diag *d);

/* ---- reading it ---- */

struct node_pack_file {
    str path;
    uint64_t at, bytes, modified;
    uint8_t digest[NODE_PACK_DIGEST_BYTES];
};
struct node_pack; /* counted; begins with one reference. Not thread-safe but for being opened */
/* fd is its from now on (also on failure), and read by offset. digest: what it has to be. ERR_MALFORMED, ERR_LIMIT, ERR_IO. */
[[nodiscard]] err node_pack_open(int fd, const uint8_t digest[NODE_PACK_DIGEST_BYTES], struct node_pack **out, struct diag *d);
struct node_pack *node_pack_ref(struct node_pack *p);
void node_pack_unref(struct node_pack *p); /* NULL is fine */
int node_pack_fd(const struct node_pack *p);
uint64_t node_pack_memory(const struct node_pack *p); /* bytes that it holds */
const struct node_pack_file *node_pack_files(const struct node_pack *p, uint32_t *count);
const struct node_pack_file *node_pack_find(const struct node_pack *p, str path); /* NULL: there is none */
/* All of a file was read from the kernel's memory just now; whether that was within a second of now. */
void node_pack_warmed(struct node_pack *p, uint32_t file, uint64_t now_ns);
bool node_pack_is_warm(const struct node_pack *p, uint32_t file, uint64_t now_ns);
/* Whether some file's path begins with this folder's: "a/b" of "a/b/c.html". */
bool node_pack_has_folder(const struct node_pack *p, str path);
/* The index alone, for who has it as bytes. Files and their paths in out. */
void node_pack_read_index(arena *out, struct rd *from, uint64_t contents_end, struct node_pack_file **files, uint32_t *count);

#endif
