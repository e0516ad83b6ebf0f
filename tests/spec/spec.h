/* orlo-spec: runs the specifications' test suites from wast2json's files.
 *
 *   main.c       finds files, runs each in a process of its own, sums up, holds the list of expected failures
 *   core.c       commands of core WebAssembly            values.c   their arguments and results
 *   component.c  commands of the component model         spectest.c the module that core tests import
 *   texts.c      whether a message is the one wanted      canary.py  breaks suites to see that the runner notices
 *
 * 1. Every command of a file is passed, failed or skipped; skipped is only what exists as text alone (or, under --validate,
 *    what needs execution). A kind of command, of action or of value that is not known fails.
 * 2. A result counts only with its type and its number, a trap or a refusal only with the suite's reason.
 */
#ifndef ORLO_TESTS_SPEC_H
#define ORLO_TESTS_SPEC_H

#include "base/json.h"
#include "wasm/wasm.h"

/* Kinds of commands that may be skipped, for the summary. */
#define SPEC_SKIPPED(X) X(module) X(module_definition) X(assert_invalid) X(assert_malformed) X(others)
/* Of a suite's file. */
static const struct json_limits spec_json_limits = {.bytes_max = 256 << 20, .depth_max = 32, .values_max = 4 << 20};
struct spec_counts {
    uint32_t passed, failed, skipped;
    uint32_t skipped_of[5]; /* by SPEC_SKIPPED */
    bool whole;             /* the file was run to its end */
};

struct spec_file {
    const char *path, *folder; /* of the JSON file */
    const struct json *commands;
    bool validate_only; /* run only what needs no execution */
    bool verbose;
    struct spec_counts *counts;
};

/* One command's outcome. line: in the .wast source. A failure is printed with its reason. */
void spec_pass(struct spec_file *f);
void spec_fail(struct spec_file *f, const struct json *command, const char *fmt, ...) PRINTF_LIKE(3, 4);
void spec_skip(struct spec_file *f, const struct json *command, const char *why);

/* Member of a JSON object as a string, or NULL; the other keeps NUL bytes. */
const char *spec_member(const struct json *object, const char *key);
str spec_member_str(const struct json *object, const char *key);
enum spec_source { SPEC_BINARY, SPEC_TEXT, SPEC_MISSING };
/* The bytes of the binary that definition names (its "binary_filename", else "filename"), owned by the runner until the
 * process ends. If there is none, command has been reported: skipped if it is text only, failed if the file is missing. */
enum spec_source spec_binary(struct spec_file *f, const struct json *command, const struct json *definition, str *bytes);
enum spec_source spec_read_binary(struct spec_file *f, const struct json *definition,
                                  str *bytes); /* the same, reporting nothing */

void spec_core(struct spec_file *f);
bool spec_is_component(struct spec_file *f); /* by the first binary it names */
void spec_component(struct spec_file *f);
extern const uint8_t spec_spectest[];
extern const size_t spec_spectest_size;

/* ---- values.c ---- */

/* Puts a JSON argument for a parameter of the type at args; false: it is not of the type. */
bool spec_argument(const struct json *value, wasm_type type, uint64_t *args);
/* Do the slots at got, of the type, match the expected JSON value? */
bool spec_matches(const struct json *expected, wasm_type type, const uint64_t *got);
/* For messages; borrows static storage. */
const char *spec_value_text(const struct json *expected, wasm_type type, const uint64_t *got);

/* ---- texts.c ---- */

/* Is got, of a trap or a refusal, what the suite means by want? Neither may be NULL. */
bool spec_text_fits(const char *got, const char *want);

#endif
