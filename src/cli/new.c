/* new: see new.h. */
#include "cli/new.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct cli_template *find(const char *name) {
    for (size_t i = 0; i < cli_templates_count; i++)
        if (!strcmp(cli_templates[i].name, name)) return &cli_templates[i];
    return NULL;
}

void cli_new_list(FILE *to) {
    size_t widest = 0;
    for (size_t i = 0; i < cli_templates_count; i++) widest = MAX(widest, strlen(cli_templates[i].name));
    for (size_t i = 0; i < cli_templates_count; i++)
        fprintf(to, "%-*s  %s\n", (int)widest, cli_templates[i].name, cli_templates[i].what);
}

static err no_template(const char *name, struct diag *d) {
    const char *names[64];
    size_t n = MIN(cli_templates_count, ARRAY_COUNT(names));
    for (size_t i = 0; i < n; i++) names[i] = cli_templates[i].name;
    const char *near = text_nearest(name, names, n);
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "there is no template '%s'%s%s%s; `orlo new --list` shows them", name,
                    near ? ", did you mean '" : "", near ? near : "", near ? "'" : "");
}

/* ---- the app's name ---- */

/* "My Shop" → "my-shop": letters in lower case, digits, hyphens inside. Empty: nothing of it can be in a name. */
static str name_of(arena *out, const char *dir) {
    size_t end = strlen(dir);
    while (end && dir[end - 1] == '/') end--;
    size_t begin = end;
    while (begin && dir[begin - 1] != '/') begin--;
    struct buf b = {.max = 63};
    for (size_t i = begin; i < end; i++) {
        char c = dir[i] >= 'A' && dir[i] <= 'Z' ? (char)(dir[i] | 0x20) : dir[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (fits) buf_putc(&b, (uint8_t)c);
        else if (b.n && b.p[b.n - 1] != '-') buf_putc(&b, '-');
    }
    while (b.n && b.p[b.n - 1] == '-') b.n--;
    str name = arena_str(out, buf_str(&b));
    buf_free(&b);
    return name;
}

/* ---- files ---- */

static err cannot(struct diag *d, const char *path) {
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", path, strerror(errno));
}

static bool make_folders(int dir, const char *path) {
    char folder[256];
    for (size_t i = 0; path[i] && i < sizeof folder; i++) {
        if (path[i] == '/') {
            folder[i] = 0;
            if (mkdirat(dir, folder, 0777) && errno != EEXIST) return false;
        }
        folder[i] = path[i];
    }
    return true;
}

static bool put(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno != EINTR) return false;
        if (k > 0) p += k, n -= (size_t)k;
    }
    return true;
}

/* The first `name = "…"` of a manifest is the app's. */
static bool put_manifest(int fd, const struct cli_template_file *f, str name) {
    static const char line[] = "\nname = \"";
    const char *at = strstr(f->body, line), *end = at ? strchr(at + strlen(line), '"') : NULL;
    if (!end) return put(fd, f->body, f->bytes);
    at += strlen(line);
    return put(fd, f->body, (size_t)(at - f->body)) && put(fd, (const char *)name.p, name.n) &&
           put(fd, end, f->bytes - (size_t)(end - f->body));
}

/* The examples lie beside Orlo's source; a project of its own finds the program in its PATH. */
static bool put_readme(int fd, const struct cli_template_file *f) {
    static const char beside[] = "../../build/orlo";
    const char *from = f->body;
    for (const char *at; (at = strstr(from, beside)); from = at + strlen(beside))
        if (!put(fd, from, (size_t)(at - from)) || !put(fd, "orlo", 4)) return false;
    return put(fd, from, f->bytes - (size_t)(from - f->body));
}

static err write_file(int dir, const struct cli_template_file *f, str name, struct diag *d) {
    if (!make_folders(dir, f->path)) return cannot(d, f->path);
    int fd = openat(dir, f->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, f->executable ? 0777 : 0666);
    if (fd < 0) return cannot(d, f->path);
    bool manifest = !strcmp(f->path, "orlo.toml") || !strcmp(f->path, "spin.toml");
    bool ok = manifest                        ? put_manifest(fd, f, name)
              : !strcmp(f->path, "README.md") ? put_readme(fd, f)
                                              : put(fd, f->body, f->bytes);
    err e = ok ? ERR_OK : cannot(d, f->path);
    if (close(fd) && e == ERR_OK) e = cannot(d, f->path);
    return e;
}

/* There, or made; with nothing in it. */
static err open_folder(const char *dir, int *fd, bool *made, struct diag *d) {
    *made = mkdir(dir, 0777) == 0;
    if (!*made && errno != EEXIST) return cannot(d, dir);
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    int again = *fd >= 0 ? dup(*fd) : -1;
    DIR *all = again >= 0 ? fdopendir(again) : NULL;
    if (!all) {
        if (again >= 0) close(again);
        if (*fd >= 0) close(*fd);
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s is no folder that can be read: %s", dir, strerror(errno));
    }
    bool empty = true;
    for (struct dirent *e; (e = readdir(all));) empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    closedir(all);
    if (empty) return ERR_OK;
    close(*fd);
    return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "%s has something in it already: give a new folder, or an empty one", dir);
}

/* What a failure has left: files of the template, then folders, the deepest first. */
static void take_away(int dir, const struct cli_template *t) {
    for (size_t i = 0; i < t->files_count; i++) unlinkat(dir, t->files[i].path, 0);
    for (size_t i = 0; i < t->files_count; i++) {
        char folder[256];
        snprintf(folder, sizeof folder, "%s", t->files[i].path);
        for (char *slash; (slash = strrchr(folder, '/'));) {
            *slash = 0;
            unlinkat(dir, folder, AT_REMOVEDIR);
        }
    }
}

err cli_new(arena *out, const char *template, const char *dir, str *name, struct diag *d) {
    const struct cli_template *t = find(template ? template : "javascript");
    int fd = -1;
    bool made;
    if (!t) return no_template(template, d);
    if (!template && find(dir))
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s is a template: in which folder? orlo new %s DIR", dir, dir);
    char *whole = !strcmp(dir, ".") ? getcwd(NULL, 0) : NULL;
    *name = name_of(out, whole ? whole : dir);
    free(whole);
    if (!name->n) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%s is no name for an app: letters, digits and hyphens", dir);
    TRY(open_folder(dir, &fd, &made, d));
    err e = ERR_OK;
    for (size_t i = 0; i < t->files_count && e == ERR_OK; i++) e = write_file(fd, &t->files[i], *name, d);
    if (e != ERR_OK) take_away(fd, t);
    close(fd);
    if (e != ERR_OK && made) rmdir(dir);
    return e;
}
