/* manifest: what an app is to be, from the file that says so.
 *
 *   orlo.toml, spin.toml, supabase/config.toml ──toml++──> tree ──a table of keys (manifest.def, spin.def, supabase.def)──> struct manifest
 *   a node's configuration                     ──toml++──> tree ──config.def──> struct manifest_config (config.h)
 *
 *   the same tables ──> docs/manifest.md, docs/configuration.md, a JSON Schema for editors (schema.c)
 *
 * 1. Bytes of these kinds are read in a job and nowhere else (node's `manifest`); what it found travels as bytes (manifest_write).
 * 2. All that is wrong is found in one go: each a note with line, column and key. A manifest with an error has no record.
 * 3. What a foreign manifest says and this node does not honour is a remark: nothing is ignored without a word.
 * 4. Nothing here looks at the disk: what is a path stays one.
 */
#ifndef ORLO_MANIFEST_H
#define ORLO_MANIFEST_H

#include "app/record.h"
#include "base/json.h"

struct manifest_config;

#define MANIFEST_FORMATS_LIST(X)                                                                                                 \
    X(ORLO, "orlo.toml")                                                                                                         \
    X(SPIN, "spin.toml")                                                                                                         \
    X(SUPABASE, "supabase/config.toml")                                                                                          \
    X(CONFIG, "a node's configuration")                                                                                          \
    X(MAILS, "words of mails")
enum manifest_format {
#define X(name, file) MANIFEST_##name,
    MANIFEST_FORMATS_LIST(X)
#undef X
        MANIFEST_FORMATS
};
/* "orlo.toml": what a file of this format is called in an app's folder. */
const char *manifest_format_file(enum manifest_format format);

enum { MANIFEST_NOTES_MAX = 100, MANIFEST_WATCH_MAX = 64, MANIFEST_SEEDS_MAX = 64, MANIFEST_TEXT_MAX = 256 * 1024 };
struct manifest_note {
    uint32_t line, column; /* from 1 */
    bool is_error;         /* else a remark: what is not honoured, and what to do about it */
    str key;               /* "functions.api.limits.memory_mb"; empty: of the file */
    str text;
};
struct manifest_build {
    str function; /* empty: the app's own, that comes first */
    str command, dir;
    VEC(str) watch; /* globs of what it is made of, below the manifest's folder */
};
struct manifest_source { /* of a function, that is no file of the bundle yet */
    str function, url;
    uint8_t digest[APP_DIGEST_BYTES];
    str path; /* where who fetched it has it; empty: nobody has */
};
struct manifest_place { /* where a function, or a folder of files, stands */
    str key;            /* "functions.api" */
    uint32_t line, column;
};
/* Of the app's database, what its record does not say: where its SQL is. Paths are of files in the bundle, seeds may be patterns (dev/watch.h). */
struct manifest_database {
    str migrations;       /* a folder; empty: there are none */
    bool migrations_said; /* else the folder may be missing */
    VEC(str) seeds;
    bool seeds_said;
    str url; /* as it stands in the manifest: it becomes the secret that the record names, and goes no further */
};
struct manifest {
    enum manifest_format format;
    struct app_record
        record; /* digests, kinds, id, version: 0. Folders (dirs) as they stand there: relative to the manifest's folder */
    VEC(struct app_limits)
    said; /* the limits that stand there, 0 where none does: the app's, then each function's (the app's where it says
                                  * none). record has the defaults in their place: manifest_defaults puts a node's own there */
    VEC(struct manifest_build) builds;
    VEC(struct manifest_source) fetches;
    struct manifest_database database;
    VEC(struct manifest_place) places;
    VEC(struct manifest_note) notes;
    uint32_t errors;                /* so many of notes are; more are not kept than MANIFEST_NOTES_MAX */
    struct manifest_config *config; /* of MANIFEST_CONFIG; else NULL */
};
/* Whatever it says, notes are there, and out is whole. name: the app's, where the file says none, or another one is wanted: empty: none.
 * ERR_INVALID: there is an error; d has the first. Strings are copied to mem. */
[[nodiscard]] err manifest_read(arena *mem, str text, enum manifest_format format, str name, struct manifest *out,
                                struct diag *d);
/* "orlo.toml:7:3: unknown key `memroy_mb`, did you mean `memory_mb`?" */
str manifest_note_text(arena *out, const char *file, const struct manifest_note *note);

/* Of a key, or of what it is below: "functions.api.limits.memory_mb". NULL: that is nowhere. */
const struct manifest_place *manifest_place_of(const struct manifest *m, str key);

/* As bytes, from a job. */
void manifest_write(struct buf *to, const struct manifest *m);
/* ERR_MALFORMED: it is none. Strings borrow bytes. */
[[nodiscard]] err manifest_decode(arena *out, str bytes, struct manifest *m, struct diag *d);

/* What is not said is as the node has it (manifest_config.defaults), and no more than its operator lets anybody have (manifest_config.max). */
void manifest_defaults(struct manifest *m, const struct app_limits *defaults, const struct app_limits *max);

/* ---- of the tables (schema.c) ---- */

/* The keys of orlo.toml, or of a node's configuration, as Markdown; as a JSON Schema (draft 2020-12). */
void manifest_markdown(struct buf *to, enum manifest_format format);
void manifest_schema(struct buf *to, enum manifest_format format);

#endif
