/* orlo-spec: runs the specifications' test suites from wast2json's files.
 *
 *   main.c       finds files, runs each in a process of its own, sums up, holds the list of expected failures
 *   core.c       commands of core WebAssembly            values.c   their arguments and results
 *   component.c  commands of the component model         spectest.c the module that core tests import
 */
#ifndef ORLO_TESTS_SPEC_H
#define ORLO_TESTS_SPEC_H

#include "base/base.h"
#include <jansson.h>

struct spec_file {
    const char *path, *folder; /* of the JSON file */
    json_t *commands;
    bool validate_only; /* run only what needs no execution */
    bool verbose;
    uint32_t passed, failed, skipped;
};

/* One command's outcome. line: in the .wast source. A failure is printed with its reason. */
void spec_pass(struct spec_file *f);
void spec_fail(struct spec_file *f, json_t *command, const char *fmt, ...) PRINTF_LIKE(3, 4);
void spec_skip(struct spec_file *f, json_t *command, const char *why);

/* Member of a JSON object as a string, or NULL; the other keeps NUL bytes. */
const char *spec_member(json_t *object, const char *key);
str spec_member_str(json_t *object, const char *key);
/* The bytes of the binary that a command names (its "binary_filename", else "filename"); false: text only, or
 * not there. Owned by the runner until the process ends. */
bool spec_binary(struct spec_file *f, json_t *command, str *bytes);

void spec_core(struct spec_file *f);
bool spec_is_component(struct spec_file *f); /* by the first binary it names */
void spec_component(struct spec_file *f);
extern const uint8_t spec_spectest[];
extern const size_t spec_spectest_size;

/* ---- values.c ---- */

/* Puts the slots of a JSON argument at args; gives their number, 0 when it is not understood. */
uint32_t spec_argument(json_t *value, uint64_t *args);
/* Do the slots at got match the expected JSON value? Steps *got over them. */
bool spec_matches(json_t *expected, const uint64_t *got);
uint32_t spec_slots(json_t *expected);
/* For messages; borrows static storage. */
const char *spec_value_text(json_t *expected, const uint64_t *got);

#endif
