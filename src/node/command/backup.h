/* backup: a node's state at one moment, kept in a folder in which each piece is there once.
 *
 *   PATH/backups/20260131T101500Z.orlo    "orlo-backup 1 SHA-256", then JSON: when, of what, each file's path, bytes and pieces
 *   PATH/objects/ab/abcdef…               a piece of a file, at most 1 MiB, named by its SHA-256: a later backup shares what has not changed
 *
 *   state ──the node holds still──> databases: their files with their logs over them (wal.h), all at one moment; images, packs, uploads ──> pieces
 *   PATH  ──each piece against its name──> a folder beside the state ──each database looked at──> renamed: the state
 *
 * 1. A backup is there when its file in backups/ is; that comes last. What was cut off leaves pieces, which the next one uses.
 * 2. Nothing is believed that has not the digest it is named by, and no path leads out of the folder.
 * 3. What secrets are encrypted with, and what images are signed with (seal.key, node.key), is not in it unless it is asked for: who has a backup alone
 *    reads no secret. It says where those keys were. */
#ifndef ORLO_NODE_COMMAND_BACKUP_H
#define ORLO_NODE_COMMAND_BACKUP_H

#include "crypto/crypto.h"
#include "node/node.h"

enum { BACKUP_PIECE_BYTES = 1 << 20, BACKUP_FORMAT = 1, BACKUP_FILES_MAX = 1'000'000, BACKUP_HEAD_BYTES_MAX = 512 << 20 };
struct backup_file {
    str path; /* below the state folder */
    uint64_t bytes;
    bool database;
    VEC(uint8_t *) pieces; /* digests of CRYPTO_SHA256_BYTES */
};
struct backup {
    arena *mem;
    uint64_t at_ms; /* since 1970: the moment that it is of */
    str orlo, key_file;
    bool keys; /* it has them */
    VEC(struct backup_file) files;
    uint64_t bytes, new_bytes;
};

/* ---- backup_store.c: the folder ---- */

/* Makes what is missing of it; -1. */
int node_backup_open(const char *path, bool make, struct diag *d);
[[nodiscard]] err node_backup_put(int folder, struct backup *b, const uint8_t *p, size_t n, uint8_t *digest, struct diag *d);
/* Into p, of BACKUP_PIECE_BYTES. ERR_NOT_FOUND, ERR_MALFORMED: another digest. */
[[nodiscard]] err node_backup_get(int folder, const uint8_t *digest, uint8_t *p, size_t *n, struct diag *d);
[[nodiscard]] err node_backup_write(int folder, const struct backup *b, char name[static 64], struct diag *d);
/* The latest that is not after at_ms (0: the latest). ERR_NOT_FOUND; ERR_UNSUPPORTED: of a newer format; ERR_MALFORMED: damaged, or none of ours. */
[[nodiscard]] err node_backup_read(arena *mem, int folder, uint64_t at_ms, struct backup *b, struct diag *d);

/* ---- restore.c ---- */

/* All files of it, or those below a folder, into one that is empty. Databases are opened there and looked at. moved: so many bytes are there. */
[[nodiscard]] err node_backup_into(int folder, const struct backup *b, const char *to, str below,
                                   void (*moved)(void *arg, uint64_t bytes), void *arg, struct diag *d);

#endif
