/* report: what went wrong, as a person and a script hear it; and what the flags of the command line grant. */
#include "cli/cli_int.h"
#include <sysexits.h>

static int exit_status(err e) {
    switch (e) {
    case ERR_OK: return EX_OK;
    case ERR_USAGE: return EX_USAGE;
    case ERR_MALFORMED:
    case ERR_INVALID:
    case ERR_UNSUPPORTED:
    case ERR_LINK:
    case ERR_SIGNATURE:
    case ERR_LIMIT: return EX_DATAERR;
    case ERR_NOT_FOUND: return EX_NOINPUT;
    case ERR_BUSY:
    case ERR_NETWORK: return EX_UNAVAILABLE;
    case ERR_IO: return EX_IOERR;
    case ERR_DENIED: return EX_NOPERM;
    case ERR_TRAP: return EX_SOFTWARE;
    default: return EX_SOFTWARE;
    }
}

/* "orlo: app.wasm: at byte 1234: what" */
int cli_complain(const char *about, err e, const struct diag *d) {
    const char *text = d->text[0] ? d->text : err_text(e);
    fputs("orlo: ", stderr);
    if (about) fprintf(stderr, "%s: ", about);
    if (d->offset != DIAG_NOWHERE)
        fprintf(stderr, "at byte %llu (0x%llx): ", (unsigned long long)d->offset, (unsigned long long)d->offset);
    fprintf(stderr, "%s\n", text);
    return exit_status(e);
}

err cli_read_grants(arena *mem, const struct cli_options *o, struct app_grants *g, struct diag *d) {
    for (uint32_t i = 0; i < o->env.n; i++) TRY(app_grant_env(mem, g, str_c(o->env.p[i]), d));
    for (uint32_t i = 0; i < o->dir.n; i++) TRY(app_grant_dir(mem, g, str_c(o->dir.p[i]), d));
    for (uint32_t i = 0; i < o->allow_http.n; i++) TRY(app_grant_http(mem, g, str_c(o->allow_http.p[i]), d));
    for (uint32_t i = 0; i < o->allow_net.n; i++) TRY(app_grant_net(mem, g, str_c(o->allow_net.p[i]), d));
    for (uint32_t i = 0; i < o->store.n; i++) TRY(app_grant_store(mem, g, str_c(o->store.p[i]), d));
    for (uint32_t i = 0; i < o->sqlite.n; i++) TRY(app_grant_sqlite(mem, g, str_c(o->sqlite.p[i]), d));
    for (uint32_t i = 0; i < o->variable.n; i++) TRY(app_grant_variable(mem, g, str_c(o->variable.p[i]), d));
    return o->forward ? app_grant_forward(mem, g, str_c(o->forward), d) : ERR_OK;
}
