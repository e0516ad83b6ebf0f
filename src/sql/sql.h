/* sql: PostgreSQL's language, read at deployment, in a job: migrations become a catalogue and the statements that bring an app's SQLite database
 * to it. Expressions and queries are translate.h's.
 *
 *   struct sql_plan plan;
 *   struct sql_report report = {0};
 *   TRY(sql_migrate(mem, from, files, n, CATALOG_SQLITE, NULL, &plan, &report, d));
 *   if (!report.refused) … plan.catalog, plan.files …
 *
 * 1. Only what the table of statements (statements.def) names gets through, and only text that was printed here reaches SQLite: no byte of a
 *    file does. ATTACH, PRAGMA, COPY, ALTER SYSTEM and their kin are not in the table.
 * 2. Everything that is wrong is said at once, each with file, line, column, SQLSTATE and what to write instead. Where anything is, there is no
 *    plan.
 * 3. What a file did to a table is done to SQLite's when rows are next looked at, or at the end: a table that ten statements made is made once.
 */
#ifndef ORLO_SQL_H
#define ORLO_SQL_H

#include "catalog/catalog.h"

struct sql_reader; /* translate.h; NULL: what SQLite cannot read is found out when it is to */

enum {
    SQL_FILE_BYTES_MAX = 16 << 20,
    SQL_STATEMENT_BYTES_MAX = 4 << 20,
    SQL_TERMS_MAX = 10'000,
    SQL_JUDGED_MAX = 200'000,
    SQL_PLATFORM = 3 /* version of platform/ */
};

struct sql_file {
    str name, text;
    bool seed;     /* rows for a development database: no part of the history */
    bool copied;   /* … that were another database's: what triggers did for them is among them, so none fires */
    uint8_t since; /* of the platform's: the version that has it first */
    bool
        asked; /* no migration: one statement of a person's, which reads or writes rows. It becomes a function, SQL_ASKED, of the catalogue's, and nothing else does */
    bool owner; /* … and runs with the owner's rights */
};
#define SQL_ASKED "_orlo_query" /* in public */

enum sql_severity {
    SQL_REFUSAL,
    SQL_NEEDS_POSTGRES /* a refusal on SQLite, a remark elsewhere */,
    SQL_LATER /* deployed, and refused when it is run; a refusal where the report is strict */,
    SQL_RECORDED /* what it asks for is written down, and done once there is somebody who does it */,
    SQL_IGNORED /* nothing is done, and nothing is missed */,
    SQL_REMARK,
    SQL_LINT
};
struct sql_note {
    uint8_t severity;      /* enum sql_severity */
    str file;              /* empty: of the whole */
    uint32_t line, column; /* from 1, in characters; 0: not known */
    str code;              /* SQLSTATE, or a lint's name */
    str text, instead;     /* what; what to do about it (may be empty) */
};
/* What becomes of a statement: the gravest that is said of it. */
enum sql_verdict { SQL_VERDICT_RUNS, SQL_VERDICT_IGNORED, SQL_VERDICT_RECORDED, SQL_VERDICT_LATER, SQL_VERDICT_REFUSED };
struct sql_judged {
    str file;
    uint32_t line;
    uint8_t verdict; /* enum sql_verdict */
    str what, why;   /* "CREATE TABLE"; why it is not run */
};
struct sql_report {
    bool strict;                       /* in: what could wait until it is run is refused as all else is */
    bool each;                         /* in: statements are told */
    VEC(struct sql_judged) statements; /* in the order of files; at most SQL_JUDGED_MAX */
    VEC(struct sql_note) notes;        /* in the order of files and lines */
    uint32_t refused;                  /* how many keep it from being deployed on the engine that was asked for */
    uint32_t needs_postgres, raises;
};

enum sql_step_kind {
    SQL_STEP_ROWS,      /* a statement of SQLite's */
    SQL_STEP_STRUCTURE, /* … with foreign keys off, where the plan says so: tables take other tables' places */
    SQL_STEP_CALL       /* the number of a function of its catalogue's, which is run */
};
struct sql_plan_step {
    str text;
    uint32_t line; /* of the file's statement that it is; 0: of several */
    uint8_t kind;  /* enum sql_step_kind */
    uint32_t
        catalog; /* of a call: which of the plan's, from 1. They come in their order, each from some step on; all else has the last one of all */
};
struct sql_plan_file {
    str name;
    bool seed;
    VEC(struct sql_plan_step) steps;
    str catalog; /* after it, as catalog_write has it, where what comes needs that it is committed; else empty */
};
struct sql_plan {
    VEC(struct sql_plan_file) files; /* the first may be the platform's own schemas, with an empty name */
    struct catalog *catalog;         /* after all of them */
    VEC(str)
    catalogs; /* of places in between: by what each differs in from the one before (catalog_delta), the first from nothing */
    bool foreign_keys_off; /* steps of structure are run without, and `pragma foreign_key_check` comes before the commit */
};

/* from: what is there, NULL: nothing. ERR_LIMIT alone: too much altogether; all else stands in the report. Everything lives in out. */
[[nodiscard]] err sql_migrate(arena *out, const struct catalog *from, const struct sql_file *files, uint32_t n,
                              enum catalog_engine engine, const struct sql_reader *reader, struct sql_plan *plan,
                              struct sql_report *report, struct diag *d);
/* Lints of what a catalogue says, into the report; those of the platform's own objects are left out. */
void sql_lint(arena *out, const struct catalog *c, struct sql_report *report);

/* A dump of pg_dump's or Supabase's, as one migration's text: what of it is the app's own. What cannot be read is in the report. */
struct sql_pulled {
    uint32_t kept, left_out, unread;
};
void sql_pull(arena *mem, str name, str text, struct buf *to, struct sql_pulled *counts, struct sql_report *report);

/* The platform's schemas in PostgreSQL's language, in the order they are run. postgres: what that alone needs too. */
const struct sql_file *sql_platform(bool postgres, uint32_t *n);

/* The function _orlo.extension, which the steps of a plan for PostgreSQL call. own: of a server of the node's, where it runs as the superuser that makes it. */
str sql_extension_function(arena *out, bool own);

/* docs/sql.md's tables: types, statements, lints, functions, operators. */
void sql_document(struct buf *to);

#endif
