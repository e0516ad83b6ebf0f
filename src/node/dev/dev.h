/* dev: `orlo dev`: a project built, served and seen, from the first line on.
 *
 *   dev ─┬─ node     a whole node, of this app alone, on a state folder in the project
 *        ├─ step     one build command, or the deployment, at a time: a process of its own
 *        └─ watch    what changes below the project's folder
 *
 *                       ┌──────────── a file that a function's `watch` names ────────────┐
 *   manifest read ──> BUILDING ──each function in turn──> DEPLOYING ──live──> WAITING ───┤
 *        ^                │                                    └─a database that is new──> SEEDING ─> ^
 *        ^                └──────── failed: said ─────────────┴──────────────────> ^     │
 *        └──────────────────────── the manifest itself ──────────────────────────────────┘
 *
 * 1. The app is deployed as anywhere else (`orlo deploy`): what runs here runs there. The node is told that it is one for development, which
 *    makes its error pages tell everything; no node that an operator starts is.
 * 2. What is served is the last version that could be built and deployed; no connection is dropped for the next.
 * 3. Whatever ends, all ends: the node with this process, this process with the node.
 */
#ifndef ORLO_NODE_DEV_H
#define ORLO_NODE_DEV_H

#include "node/dev/show.h"
#include "node/dev/watch.h"
#include "node/node_int.h"

/* What a project says of itself, as far as it matters here. */
struct node_dev_function {
    str name, source;    /* source: where the build leaves it */
    const char *command; /* NULL: nothing is to be built */
    const char *folder;  /* in which; below the project's */
    VEC(str) watch;      /* patterns, below the project's folder; none: everything */
};
struct node_dev_line { /* of the table of routes */
    str path, to;
};
struct node_dev_project {
    arena *mem;
    str name, manifest; /* the manifest's file name */
    VEC(struct node_dev_function) functions;
    VEC(str) folders; /* of static files */
    VEC(str) mails;   /* files with their words */
    str migrations;   /* a folder of SQL; empty: the app has no database, or none that files make */
    VEC(str) seeds;   /* patterns */
    bool has_database;
    VEC(struct node_dev_line) routes;
};
/* What is to be done about a path that changed. */
enum node_dev_due {
    NODE_DEV_NOTHING,
    NODE_DEV_SEEDS /* they are said, and not run */,
    NODE_DEV_DEPLOY,
    NODE_DEV_BUILD,
    NODE_DEV_READ /* the manifest, and then all */
};
enum node_dev_due node_dev_due(const struct node_dev_project *p, str path,
                               uint64_t *functions /* a bit each of those to be built, of the first 64 */);

/* ---- project.c ---- */

/* Its remarks and errors, a line each, are appended to said. On failure p is not touched, and d says the first. */
[[nodiscard]] err node_dev_project_read(const char *dir, struct node_dev_project *p, struct buf *said, struct diag *d);
void node_dev_project_free(struct node_dev_project *p);

/* ---- urls.c ---- */

/* A table of routes with their URLs, and how the app is reached from elsewhere. url: "http://127.0.0.1:8080"; listens: on every address? */
void node_dev_urls(const struct node_dev_project *p, str url, bool everywhere, struct buf *out);

#endif
