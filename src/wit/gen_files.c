/* gen_files: writes a world's bindings to a folder. */
#include <errno.h>
#include <stdio.h>

#include "wit/gen_int.h"

static err write_file(arena *a, const char *dir, str name, const char *suffix, const struct buf *b, struct diag *d) {
    const char *path = arena_cstr(a, arena_fmt(a, "%s/" STR_FMT "%s", dir, STR_ARG(name), suffix));
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(b->p, 1, b->n, f) == b->n;
    if (f && fclose(f)) ok = false;
    return ok ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
}

err wit_gen_files(struct wit_set *set, struct wit_world *world, const struct wit_gen_options *o, const char *dir,
                  struct diag *d) {
    struct buf b = {};
    err e = wit_gen_header(set, world, o, &b, d);
    if (!e) e = write_file(set->arena, dir, o->name, ".h", &b, d);
    b.n = 0;
    if (!e) wit_gen_source(set, world, o, &b);
    if (!e) e = write_file(set->arena, dir, o->name, ".c", &b, d);
    buf_free(&b);
    return e;
}
