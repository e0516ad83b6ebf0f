/* load: a WIT package from disk (WIT.md, Filesystem structure): a file, or a folder of .wit files and its
 * deps/. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "wit/wit_int.h"

enum { FILE_BYTES_MAX = 16 << 20 };

static err read_file(arena *a, const char *path, str *out, struct diag *d) {
    FILE *f = fopen(path, "rb");
    if (!f) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    struct buf b = {.max = FILE_BYTES_MAX};
    char chunk[8192];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) buf_put(&b, chunk, n);
    bool failed = ferror(f) || b.full;
    fclose(f);
    *out = arena_str(a, buf_str(&b));
    buf_free(&b);
    return failed ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: cannot be read, or is over 16 MiB", path) : ERR_OK;
}

static err load_file(struct wit_set *set, const char *path, struct wit_package **package, struct diag *d) {
    str text, name = arena_str(set->arena, str_c(path));
    vec_push(set->arena, &set->sources, name);
    TRY(read_file(set->arena, path, &text, d));
    return wit_parse(set, name, text, package, d);
}

static int wit_files(const struct dirent *e) { return str_ends(str_c(e->d_name), STR(".wit")); }
static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

/* Moves what was parsed before the package's declaration (files without one) into the package. */
static err join_nameless(struct wit_set *set, struct wit_package *package, const char *path, struct diag *d) {
    for (uint32_t i = 0; i < set->packages.n; i++) {
        struct wit_package *k = set->packages.p[i];
        if (k->ns.n) continue;
        if (!package || package == k)
            return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s: no file here says `package ns:name;`", path);
        for (uint32_t n = 0; n < k->interfaces.n; n++) {
            k->interfaces.p[n]->package = package;
            vec_push(set->arena, &package->interfaces, k->interfaces.p[n]);
        }
        for (uint32_t n = 0; n < k->worlds.n; n++) {
            k->worlds.p[n]->package = k->worlds.p[n]->types->package = package;
            for (uint32_t w = 0; w < k->worlds.p[n]->items.n; w++)
                if (k->worlds.p[n]->items.p[w].interface) k->worlds.p[n]->items.p[w].interface->package = package;
            vec_push(set->arena, &package->worlds, k->worlds.p[n]);
        }
        for (uint32_t n = 0; n < k->uses.n; n++) vec_push(set->arena, &package->uses, k->uses.p[n]);
        memmove(&set->packages.p[i], &set->packages.p[i + 1], (set->packages.n - i - 1) * sizeof *set->packages.p);
        set->packages.n--;
        return ERR_OK;
    }
    return ERR_OK;
}

static err load_folder(struct wit_set *set, const char *path, struct diag *d) {
    struct dirent **names;
    int n = scandir(path, &names, wit_files, alphasort);
    if (n < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    vec_push(set->arena, &set->sources, arena_str(set->arena, str_c(path)));
    struct wit_package *package = NULL;
    err e = n ? ERR_OK : diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s: holds no .wit file", path);
    for (int i = 0; i < n; i++) {
        struct wit_package *of_file = package && package->ns.n ? package : NULL;
        if (!e) e = load_file(set, arena_cstr(set->arena, arena_fmt(set->arena, "%s/%s", path, names[i]->d_name)), &of_file, d);
        if (!package || !package->ns.n) package = of_file ? of_file : package;
        free(names[i]);
    }
    free(names);
    return e ? e : join_nameless(set, package, path, d);
}

static err load_any(struct wit_set *set, const char *path, struct diag *d) {
    struct stat st;
    if (stat(path, &st)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return load_folder(set, path, d);
    struct wit_package *package = NULL;
    TRY(load_file(set, path, &package, d));
    return join_nameless(set, package, path, d);
}

static err load_deps(struct wit_set *set, const char *path, struct diag *d) {
    struct dirent **names;
    int n = scandir(path, &names, visible, alphasort);
    if (n < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    vec_push(set->arena, &set->sources, arena_str(set->arena, str_c(path)));
    err e = ERR_OK;
    for (int i = 0; i < n; i++) {
        if (!e) e = load_any(set, arena_cstr(set->arena, arena_fmt(set->arena, "%s/%s", path, names[i]->d_name)), d);
        free(names[i]);
    }
    free(names);
    return e;
}

err wit_load(struct wit_set *set, const char *path, struct diag *d) {
    TRY(load_any(set, path, d));
    TRY(load_deps(set, arena_cstr(set->arena, arena_fmt(set->arena, "%s/deps", path)), d));
    return wit_resolve(set, d);
}
