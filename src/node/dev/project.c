/* project: what orlo dev knows of a project's manifest, and what a change in its folder asks for. */
#include "node/dev/dev.h"

static bool below(str folder, str path) {
    while (folder.n && folder.p[folder.n - 1] == '/') folder.n--;
    if (str_eqc(folder, ".") || !folder.n) return true;
    return path.n > folder.n && path.p[folder.n] == '/' && str_eq(str_sub(path, 0, folder.n), folder);
}

/* Where a function says nothing of what it is made of: all that no build makes. */
static bool may_be_source(const struct node_dev_project *p, str path) {
    if (str_ends(path, STR(".wasm")) || str_ends(path, STR("~")) || str_ends(path, STR(".log"))) return false;
    for (uint32_t i = 0; i < p->folders.n; i++)
        if (below(p->folders.p[i], path)) return false;
    return true;
}

static bool made_of(const struct node_dev_project *p, const struct node_dev_function *f, str path) {
    for (uint32_t i = 0; i < f->watch.n; i++)
        if (node_dev_glob(f->watch.p[i], path)) return true;
    return !f->watch.n && may_be_source(p, path);
}

enum node_dev_due node_dev_due(const struct node_dev_project *p, str path, uint64_t *functions) {
    enum node_dev_due due = NODE_DEV_NOTHING;
    *functions = 0;
    if (str_eq(path, p->manifest)) return NODE_DEV_READ;
    for (uint32_t i = 0; i < p->functions.n; i++) {
        const struct node_dev_function *f = &p->functions.p[i];
        if (str_eq(f->source, path)) due = MAX(due, NODE_DEV_DEPLOY);
        else if (f->command && made_of(p, f, path)) due = NODE_DEV_BUILD, *functions |= i < 64 ? 1ull << i : 0;
    }
    for (uint32_t i = 0; i < p->folders.n; i++)
        if (below(p->folders.p[i], path)) due = MAX(due, NODE_DEV_DEPLOY);
    return due;
}

void node_dev_project_free(struct node_dev_project *p) {
    if (p->mem) arena_free(p->mem);
    *p = (struct node_dev_project){0};
}
