/* new: projects to begin with. What stands in examples/ with an orlo.toml is in the program, and written where somebody wants it. */
#ifndef ORLO_CLI_NEW_H
#define ORLO_CLI_NEW_H

#include "base/base.h"
#include <stdio.h>

struct cli_template_file {
    const char *path, *body; /* below the project's folder */
    size_t bytes;
    bool executable;
};
struct cli_template {
    const char *name, *what;
    const struct cli_template_file *files;
    size_t files_count;
};
extern const struct cli_template cli_templates[]; /* made by tools/templates.py */
extern const size_t cli_templates_count;

void cli_new_list(FILE *to);
/* Writes the template's files below dir, which is made where it is not there, and names the app after it (name, heap of out). A folder with
 * something in it is left alone. template NULL: javascript. ERR_USAGE: no such template, a template's name alone, or dir is no name for an app; ERR_BUSY: dir is
 * not empty; ERR_IO: d says which file; what was written is taken away again. */
[[nodiscard]] err cli_new(arena *out, const char *template, const char *dir, str *name, struct diag *d);

#endif
