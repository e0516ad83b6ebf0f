/* backup: a node's state at one moment, kept in a folder in which each piece is there once.
 *
 *   PATH/backups/20260131T101500Z.orlo    "orlo-backup 1 SHA-256", then JSON: when, of what, each file's path, bytes and pieces
 *   PATH/objects/ab/abcdef…               a piece of a file, at most 1 MiB, named by its SHA-256: a later backup shares what has not changed
 *
 *   clusters ──before that: files of PostgreSQL, and of its log what there is at that moment (backup_cluster.c)──> pieces
 *   state ──the node holds still──> databases: their files with their logs over them (wal.h), all at one moment; images, packs, uploads ──> pieces
 *   PATH  ──each piece against its name──> a folder beside the state ──each database looked at──> renamed: the state
 *
 *   a moment between two backups: the first one's databases, with what their histories (node/history.h) have of later commits over them. Those are in the
 *   state itself, as long as it is there, and in every later backup, as they were then.
 *
 * 1. A backup is there when its file in backups/ is; that comes last. What was cut off leaves pieces, which the next one uses.
 * 2. Nothing is believed that has not the digest it is named by, and no path leads out of the folder.
 * 3. What secrets are encrypted with, and what images are signed with (seal.key, node.key), is not in it unless it is asked for: who has a backup alone
 *    reads no secret. It says where those keys were. */
#ifndef ORLO_NODE_COMMAND_BACKUP_H
#define ORLO_NODE_COMMAND_BACKUP_H

#include "crypto/crypto.h"
#include "node/history.h"
#include "node/node.h"

enum {
    BACKUP_PIECE_BYTES = 1 << 20,
    BACKUP_STEP_BYTES = 32 << 10,
    BACKUP_FORMAT = 1,
    BACKUP_FILES_MAX = 1'000'000,
    BACKUP_HEAD_BYTES_MAX = 512 << 20
};
struct backup_file {
    str path; /* below the state folder */
    uint64_t bytes;
    bool database, has_history;
    struct history_position history; /* of a database that has one: where it was */
    VEC(uint8_t *) pieces;           /* digests of CRYPTO_SHA256_BYTES */
};
bool node_backup_is_segment(
    const struct backup_file *f); /* of a history: no part of a state, and what goes on from an earlier backup */
struct backup {
    arena *mem;
    uint64_t at_ms; /* since 1970: the moment that it is of */
    str orlo, key_file;
    bool keys;         /* it has them */
    uint64_t left_out; /* PostgreSQLs of apps that did not answer */
    VEC(struct backup_file) files;
    uint64_t bytes, new_bytes;
};

/* ---- backup_store.c: the folder ---- */

/* Makes what is missing of it; -1. */
int node_backup_open(const char *path, bool make, struct diag *d);
[[nodiscard]] err node_backup_put(int folder, struct backup *b, const uint8_t *p, size_t n, uint8_t *digest, struct diag *d);
/* Into p, of BACKUP_PIECE_BYTES. ERR_NOT_FOUND, ERR_MALFORMED: another digest. */
[[nodiscard]] err node_backup_get(int folder, const uint8_t *digest, uint8_t *p, size_t *n, struct diag *d);
/* It is damaged: by another name it stays, and the next backup that has it writes it anew. */
void node_backup_doubt(int folder, const uint8_t *digest);
[[nodiscard]] err node_backup_write(int folder, const struct backup *b, char name[static 64], struct diag *d);
/* The latest that is not after at_ms (0: the latest). ERR_NOT_FOUND; ERR_UNSUPPORTED: of a newer format; ERR_MALFORMED: damaged, or none of ours. */
[[nodiscard]] err node_backup_read(arena *mem, int folder, uint64_t at_ms, struct backup *b, struct diag *d);

uint64_t node_backup_time(const char *name); /* of a backup, by its file's name, ms since 1970; 0: it is none */
void node_backup_remove(const char *path);   /* a folder, and all in it */

/* ---- backup_cluster.c: the PostgreSQL of apps ---- */

struct backup_cluster {
    uint32_t app;
    char start[25]; /* the first file of its log */
    str lsn;        /* how far that counts */
    bool gone;
};
struct backup_clusters {
    const struct node_where *where;
    arena *mem;
    int state, folder; /* folders: the state's, the backup's */
    struct backup *b;
    uint8_t *piece;                           /* of BACKUP_PIECE_BYTES */
    void (*moved)(void *arg, uint64_t bytes); /* NULL: nobody looks */
    void *arg;
    VEC(struct backup_cluster) all;
    bool answered;   /* the node did, whatever it said */
    struct diag why; /* one did not answer, and is left out: the first */
};
/* Before the moment: all but the log, of a node that runs. Else all. */
[[nodiscard]] err node_backup_clusters(struct backup_clusters *c, bool running, struct diag *d);
void node_backup_cluster_at(struct backup_clusters *c, uint32_t app, str lsn); /* at the moment */
[[nodiscard]] err node_backup_cluster_logs(struct backup_clusters *c, struct diag *d);
struct backup_restore;
/* Of those that were restored each is its user's, and looked at. root: r->to. */
[[nodiscard]] err node_backup_clusters_settle(struct backup_restore *r, int root, struct diag *d);

/* ---- restore.c ---- */

struct backup_restore {
    int folder;
    const struct backup *b;
    const char *to;                           /* a folder that is empty */
    const char *state;                        /* a state folder, on which no node runs: its histories go on from it; NULL */
    str below;                                /* only what is there: "data/shop.17/" */
    uint64_t until_ms;                        /* 0: as it is in the backup */
    void (*moved)(void *arg, uint64_t bytes); /* so many are there */
    void *arg;
    uint64_t reached_ms;       /* of the last commit that was found in a history; 0: none */
    uint32_t app;              /* whose a cluster will be; 0: as its folder says */
    uint32_t clusters, unseen; /* of PostgreSQL; that could not be looked at, as their version is not installed */
    unsigned unseen_version;   /* 0: as there is no box to do it in */
    uint32_t behind;           /* databases that no history goes on from */
    str first_behind;
};
/* Databases are opened there and looked at. */
[[nodiscard]] err node_backup_into(struct backup_restore *r, struct diag *d);
/* The names of all of them, the oldest first; in mem. */
uint32_t node_backup_list(arena *mem, int folder, char ***names);
[[nodiscard]] err node_backup_named(arena *mem, int folder, const char *name, struct backup *b, struct diag *d);

#endif
