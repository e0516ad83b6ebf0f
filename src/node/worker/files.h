/* files: what a request for a static file is to be answered, before anything is read: pure words, for files.c and tests. RFC 9110 §8.8, 13, 14. */
#ifndef ORLO_NODE_FILES_H
#define ORLO_NODE_FILES_H

#include "app/record.h"
#include "net/http.h"
#include "node/pack.h"

enum { NODE_FILES_ETAG = 2 + 32 + 1, NODE_FILES_DATE = 30 };

enum node_files_found {
    NODE_FILES_FILE,     /* *file, 200 */
    NODE_FILES_NOT_HERE, /* *file, 404: the folder's own page; NULL: it has none */
    NODE_FILES_SLASH,    /* a folder, which is asked for with a slash at its end */
    NODE_FILES_NO_SLASH, /* *file, which is asked for without one */
    NODE_FILES_CLEAN,    /* *file, which is asked for without its .html */
    NODE_FILES_BAD,      /* no path: 400 */
};
/* rest: what is left of the path behind the route, with its query; html: whether who asks takes a page for it. */
enum node_files_found node_files_find(const struct node_pack *p, const struct app_files *f, str rest, bool html,
                                      const struct node_pack_file **file);
/* Of an earlier version: a file itself, whose name has a hash. False: there is none. */
bool node_files_earlier(const struct node_pack *p, str rest, const struct node_pack_file **file);
/* The same content as who asks takes it: "app.js.br", "app.js.zst", "app.js.gz" beside f, by the request's accept-encoding (RFC 9110 §12.5.3); else f itself.
 * *coding: "br"; empty: as it is. *varies: it would be another for others. */
const struct node_pack_file *node_files_coded(const struct node_pack *p, const struct node_pack_file *f,
                                              const struct net_field *fields, uint32_t count, str *coding, bool *varies);
str node_files_type(str path); /* the media type, by what the path ends with */
/* "\"0123…\"", strong; "Sun, 06 Nov 1994 08:49:37 GMT". */
void node_files_etag(const struct node_pack_file *f, char to[NODE_FILES_ETAG]);
void node_files_date(uint64_t seconds, char to[NODE_FILES_DATE]);

/* Its name says what is in it, by the rules of docs/routing.md: another content would have another name. */
bool node_files_hashed(str path);
str node_files_cache(const struct app_files *f, str path); /* its cache-control */

/* What the request's fields make of it: 200 all of it, 206 those parts, 304 not a byte, 412 neither, 416 no such part. */
enum { NODE_FILES_RANGES_MAX = 16 };
struct node_files_range {
    uint64_t from, bytes;
};
struct node_files_part {
    uint16_t status;
    uint32_t
        n; /* 206: of more than one, multipart/byteranges; in the order in which they were asked for, none overlaps another */
    struct node_files_range of[NODE_FILES_RANGES_MAX];
};
struct node_files_part node_files_part(const struct node_pack_file *f, bool get, const struct net_field *fields, uint32_t count);

#endif
