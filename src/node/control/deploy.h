/* What may be asked of control, whoever asks: the admin API and commands by way of it. None of it waits; what was asked is answered by a call of
 * done(), once, from the loop, never from inside of the function that asked.
 *
 *   node_control_deploy ──> manifest read in a job ──> within the operator's maxima ──> what is not compiled yet compiled, static folders packed
 *                       ──> migrations applied ──> a version, kept ──> published ──> live by one switch of all workers ──> done
 *
 * 1. done(ERR_OK) of whatever changed something: it is on the disk, and it is what all workers serve.
 * 2. done(anything else): all is as it was, but that files which were made on the way stay as long as there is room, and migrations that were
 *    applied, which it says.
 * 3. Who asks has the right to: the caller has looked at his token's scope. Which hosts an app may have is looked at here.
 */
#ifndef ORLO_NODE_CONTROL_DEPLOY_H
#define ORLO_NODE_CONTROL_DEPLOY_H

#include "node/node_int.h"

struct app_record; /* app/record.h */
struct control;

/* On whose behalf. */
struct control_who {
    str name;         /* of the token; kept with the version. "" by the socket of the state folder */
    bool node;        /* whole node: any app and any host; else `hosts` besides NAME.domain */
    const str *hosts; /* "shop.example.org", "*.example.org" */
    uint32_t hosts_count;
};

/* How it went. Strings live until done returns. */
struct control_result {
    err err;
    const struct diag *d;
    str key;       /* the manifest's key that is wrong, or the limit; empty: none */
    uint32_t line; /* of the manifest; 0: not known */
    str app;
    uint32_t version; /* that it is about; 0: none */
    bool live;
    const struct app_record *record; /* of that version; NULL: it came to none */
    const struct control_remark {
        str key, text;
        uint32_t line;
        const char *kind; /* of a migration's: "raises", "recorded", "remark"; else NULL */
    } * remarks;          /* keys that are read and not honoured, and what is to be known of migrations */
    uint32_t remarks_count;
    const struct control_missing {
        str path;
        uint8_t digest[32];
    } * missing; /* of the files named, those that are not here */
    uint32_t missing_count;
    const struct control_migration { /* files of SQL that were new */
        str name;
        bool applied; /* and stay, whatever became of the rest */
    } * migrations;
    uint32_t migrations_count;
    uint32_t compiled; /* functions that had to be; the others were there */
    str text;          /* of keys.h: what there is to tell */
};
typedef void (*control_done_fn)(void *arg, const struct control_result *result);
typedef void (*control_progress_fn)(void *arg, str text); /* "compiling api.wasm" */

/* ---- deployments ---- */

struct control_file {
    str path; /* as the manifest names it, or below a folder of [[files]]: "api.wasm", "public/index.html"; no leading slash, no dots */
    uint8_t digest[32];
    uint64_t bytes;
    uint64_t modified_s; /* 0: not known */
};
struct control_deploy {
    str app;           /* empty: the manifest's name. Otherwise it takes that one's place */
    str manifest;      /* text; empty: `record` is */
    uint8_t format;    /* enum manifest_format */
    str manifest_name; /* for what is said about it: "orlo.toml" */
    str folder; /* absolute, of this machine: where the manifest's folders (dirs) that are relative lie; empty: those are refused */
    const str *hosts; /* besides the manifest's; "*": all that are no other app's */
    uint32_t hosts_count;
    const str *env; /* "KEY=VALUE": for every function, in place of what the manifest says */
    uint32_t env_count;
    const struct control_file *files;
    uint32_t files_count;
    bool dry_run;  /* everything but a version: what is missing is said, and no error */
    bool not_live; /* the version is kept, and another goes on being served */
    const struct control_who *who;
    void *arg;
    control_progress_fn progress; /* NULL: nobody wants to know */
    control_done_fn done;
};
/* All is copied but what arg points to. 0: too many are under way (done is not called). Else its number. */
uint32_t node_control_deploy(struct control *c, const struct control_deploy *what);

/* version 0: the one that was live before this one. ERR_NOT_FOUND. */
void node_control_rollback(struct control *c, str app, uint32_t version, const struct control_who *who, control_done_fn done,
                           void *arg);
/* permille 1000: live, and no canary; 0: no canary; else the canary, with that share of requests. */
void node_control_promote(struct control *c, str app, uint32_t version, uint32_t permille, const struct control_who *who,
                          control_done_fn done, void *arg);
/* With all its versions, secrets and files. */
void node_control_drop(struct control *c, str app, const struct control_who *who, control_done_fn done, void *arg);

/* ---- versions ---- */

struct control_version {
    uint32_t version;
    bool live, canary;
    uint64_t created_s, bytes; /* of its images and packs */
    str by;
    const struct app_record *record;
};
/* In out; the newest first. ERR_NOT_FOUND: there is no such app. */
[[nodiscard]] err node_control_versions(struct control *c, arena *out, str app, struct control_version **versions,
                                        uint32_t *count, struct diag *d);

/* ---- secrets ---- */

enum { NODE_SECRET_BYTES_MAX = 32 * 1024, NODE_SECRETS_MAX = 256 };
struct control_secret {
    str key;
    uint64_t changed_s;
};
/* The app's functions start anew with it. ERR_USAGE: a key has letters, digits and underscores, begins with none of the last two; ERR_LIMIT.
 * An app that is not there yet may have secrets: they wait for its first deployment. */
void node_control_secret_set(struct control *c, str app, str key, str value, control_done_fn done, void *arg);
void node_control_secret_remove(struct control *c, str app, str key, control_done_fn done, void *arg);
/* Names alone; nobody gets a value back. In out, by name. */
[[nodiscard]] err node_control_secrets(struct control *c, arena *out, str app, struct control_secret **secrets, uint32_t *count,
                                       struct diag *d);
#endif
