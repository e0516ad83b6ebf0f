/* blobs: files that deployers have uploaded, each an app's, named by the SHA-256 of its bytes.
 *
 *   STATE/blobs/APP.DIGEST        whole: its bytes are those of its name
 *   STATE/blobs/APP.DIGEST.part   what has come so far
 *
 *   (none, or a part) ──node_upload_begin──> open ──put, put …──> finish ──┬─ all of it, and the digest fits ──> synced, whole
 *            ^                                            └──leave──┐      ├─ another digest ──> gone
 *            └────────────────────────── a part ─────────────────────┴─────┘  (less of it)
 *
 * 1. Who knows a digest gets nothing by it: an app's deployment finds what was uploaded for that app alone.
 * 2. Files are read, hashed, written and synced by threads. One thing at a time is done for an upload; its fn says when it is.
 * 3. A small file is not waited for until it is on the disk, so that thousands of a static folder come as fast as they can. After a restart it is
 *    gone, unless a version is made of it: then it is looked at once more before it is used.
 * 4. What is whole has the digest of its name, whoever wrote meanwhile: a file has one writer at a time, and a thread that still writes for who has
 *    left holds the next one up.
 * 5. There is one upload of a blob at a time. One from which nothing has come for two seconds makes room for the next.
 */
#ifndef ORLO_NODE_CONTROL_BLOBS_H
#define ORLO_NODE_CONTROL_BLOBS_H

#include "node/control/control_int.h"

enum { UPLOAD_PIECE_BYTES = 256 << 10, UPLOADS_MAX = 32, BLOB_SYNCED_BYTES = 1 << 20, BLOBS_OF_APP_MAX = 65'536 };
static const uint64_t blob_bytes_max = 1 * GiB;

struct control_upload;
struct control_blob {
    struct control_blob *next, *previous, *next_like; /* of all; of those whose digest begins like this one's */
    struct blob_owner *owner;
    char app[APP_NAME_MAX + 1];
    uint8_t digest[APP_DIGEST_BYTES];
    uint64_t bytes;    /* that are here */
    uint64_t since_ns; /* it became whole; 0: before this process */
    bool whole;
    bool unsure;                   /* it was there before this process, and nobody waited until it was on the disk */
    struct control_upload *upload; /* NULL: nobody is at it */
};

/* What is there; parts of which nothing was heard for a day are removed. */
void node_blobs_load(struct control *c);
/* NULL: nothing of it is here. */
const struct control_blob *node_blob_find(const struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES]);
/* Whole, to be read; -1: it is not. */
int node_blob_open(struct control *c, str app, const uint8_t digest[APP_DIGEST_BYTES], uint64_t *bytes);
/* Removes what the app has and does not keep: keep(arg, digest) says what it does. Parts stay; what came just now does for two minutes, as somebody
 * else may be about to name it. */
void node_blob_sweep(struct control *c, str app, bool (*keep)(void *arg, const uint8_t digest[APP_DIGEST_BYTES]), void *arg);
/* Parts too: it was deleted. */
void node_blob_drop(struct control *c, str app);

struct control_upload {
    struct control *control;
    struct control_blob *blob;
    uint64_t total, news_ns;
    struct buf piece;                                   /* to be filled for node_upload_put; of UPLOAD_PIECE_BYTES at most */
    void (*fn)(void *arg, err e, const struct diag *d); /* the last thing is done */
    void (*taken_over)(void *arg);                      /* by another upload, or the app was deleted: it has been left */
    void *arg;
    /* own: */
    enum { UPLOAD_OPENS, UPLOAD_RESTS, UPLOAD_WRITES, UPLOAD_ENDS } state;
    bool left, fits;
    int fd, folder;
    uint64_t from, written;
    uint8_t digest[APP_DIGEST_BYTES];
    struct crypto_sha256_stream *hash;
    char name[APP_NAME_MAX + 80], part[APP_NAME_MAX + 88];
    err e;
    struct diag d;
};
struct control_upload_want {
    str app;
    const uint8_t *digest;
    uint64_t from, total;
    void (*fn)(void *arg, err e, const struct diag *d);
    void (*taken_over)(void *arg);
    void *arg;
};
/* ERR_BUSY: somebody else is at it; ERR_LIMIT: too large, too many; ERR_INVALID: from is not where the part ends, and not 0. fn says when it is
 * open. */
[[nodiscard]] err node_upload_begin(struct control *c, const struct control_upload_want *want, struct control_upload **out,
                                    struct diag *d);
void node_upload_put(struct control_upload *u);    /* its piece, which is empty then; fn */
void node_upload_finish(struct control_upload *u); /* no more comes; fn, and it is gone */
void node_upload_leave(struct control_upload *u);  /* at any time; fn is not called any more, and it is gone */
uint32_t node_uploads_count(const struct control *c);

#endif
