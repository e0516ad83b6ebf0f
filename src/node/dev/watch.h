/* watch: what changes below a folder, for `orlo dev`. inotify(7), one watch a folder.
 *
 * 1. Folders that tools fill (node_modules, target, .git …) are not looked into; others are, as they come.
 * 2. What is said is the path below the root, once for each turn, and only what was written, made, moved or deleted: not what was read.
 * 3. Where the kernel has no watch left, or lost count of what happened, that is said (NODE_DEV_WATCH_LOST): the owner looks at everything.
 */
#ifndef ORLO_NODE_DEV_WATCH_H
#define ORLO_NODE_DEV_WATCH_H

#include "base/base.h"

/* Whether a path ("src/a/b.ts") is what a pattern names: `*` and `?` within a segment, `**` any number of segments; a pattern that names a folder
 * names all below it ("src", "src/"). */
bool node_dev_glob(str pattern, str path);

enum { NODE_DEV_WATCHES_MAX = 8192 };
enum node_dev_watch_got { NODE_DEV_WATCH_NOTHING, NODE_DEV_WATCH_PATH, NODE_DEV_WATCH_LOST };
struct node_dev_watch;
/* ERR_IO: d says what the kernel lacks. */
[[nodiscard]] err node_dev_watch_new(const char *root, struct node_dev_watch **out, struct diag *d);
int node_dev_watch_fd(const struct node_dev_watch *w); /* readable: ask */
/* The next of what has changed; path lives until the next call. */
enum node_dev_watch_got node_dev_watch_next(struct node_dev_watch *w, str *path);
bool node_dev_watch_whole(const struct node_dev_watch *w); /* every folder is watched; else the rest is not */
void node_dev_watch_free(struct node_dev_watch *w);

#endif
