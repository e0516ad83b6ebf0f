/* orlo-wit-bindgen: C bindings of a WIT world, at build time.
 *
 *   orlo-wit-bindgen [--rename NS=PREFIX] [--feature NAME]… [--depfile FILE] --name NAME --world WORLD --out FOLDER WIT
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "wit/wit.h"

static int usage(void) {
    fputs("usage: orlo-wit-bindgen [--rename NS=PREFIX] [--feature NAME]... --name NAME --world WORLD "
          "[--depfile FILE] --out FOLDER WIT\n",
          stderr);
    return EX_USAGE;
}

/* What the header was made of, in make's words: folders too, so that a file added to one is seen. */
static err write_depfile(const char *path, const char *dir, str name, const struct wit_set *set, struct diag *d) {
    FILE *f = fopen(path, "wb");
    if (!f) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    fprintf(f, "%s/" STR_FMT ".h:", dir, STR_ARG(name));
    for (uint32_t i = 0; i < set->sources.n; i++) {
        fputc(' ', f);
        for (size_t k = 0; k < set->sources.p[i].n; k++) {
            if (set->sources.p[i].p[k] == ' ') fputc('\\', f);
            fputc(set->sources.p[i].p[k], f);
        }
    }
    fputc('\n', f);
    bool failed = ferror(f);
    return fclose(f) || failed ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno)) : ERR_OK;
}

int main(int argc, char **argv) {
    struct wit_set set = {.arena = arena_new(0)};
    struct wit_gen_options o = {};
    struct diag d = DIAG_INIT;
    const char *world_name = NULL, *dir = NULL, *path = NULL, *depfile = NULL;
    for (int i = 1; i < argc; i++) {
        str arg = str_c(argv[i]);
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (arg.n && arg.p[0] != '-') {
            path = argv[i];
            continue;
        }
        if (!value) return usage();
        i++;
        if (str_eqc(arg, "--name")) o.name = str_c(value);
        else if (str_eqc(arg, "--world")) world_name = value;
        else if (str_eqc(arg, "--out")) dir = value;
        else if (str_eqc(arg, "--depfile")) depfile = value;
        else if (str_eqc(arg, "--feature")) vec_push(set.arena, &set.features, str_c(value));
        else if (!str_eqc(arg, "--rename") || !str_cut(str_c(value), '=', &o.rename_from, &o.rename_to)) return usage();
    }
    if (!o.name.n || !world_name || !dir || !path) return usage();
    err e = wit_load(&set, path, &d);
    struct wit_world *world = e ? NULL : wit_find_world(&set, str_c(world_name));
    if (!e && !world) e = diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE, "%s: there is no world \"%s\" in it", path, world_name);
    if (!e) e = wit_gen_files(&set, world, &o, dir, &d);
    if (!e && depfile) e = write_depfile(depfile, dir, o.name, &set, &d);
    if (e) fprintf(stderr, "orlo-wit-bindgen: %s\n", d.text);
    arena_free(set.arena);
    return e ? EX_DATAERR : EX_OK;
}
