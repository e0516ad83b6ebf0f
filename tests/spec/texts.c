/* texts: does what Orlo says mean what a suite wants to hear?
 *
 * The suite's words have to stand in ours, which may say more around them ("unknown type: type 0 refers to a type that
 * comes later"); a number at their end has to end there too. Where the words differ, the pair stands here with the
 * reason; a pair that no command needs is deleted.
 */
#include "spec.h"
#include <ctype.h>

static const struct {
    const char *want, *got; /* got: whole, or up to a '*' */
} pairs[] = {
    /* Core, malformed binaries: what is wrong first depends on how far ahead a decoder looks. The section with a LEB128
     * number that never ends is shorter than the number, or than the count it spells. */
    {"integer too large", "unexpected end"},
    {"integer too large", "malformed section id"},
    {"integer representation too long", "unexpected end"},
    {"integer representation too long", "malformed section id"},
    {"integer representation too long", "malformed type*"},
    {"unexpected end of section or function", "unexpected end"},
    {"malformed import kind", "unexpected end of section or function*"},
    {"malformed limits flags", "unexpected end of section or function*"},
    {"length out of bounds", "unexpected end of section or function*"},
    {"unexpected content after last section", "function and code section have inconsistent lengths"},
    {"section size mismatch", "func 0: unexpected end of section or function*"},
    /* Core: the interpreter's own phrase for "type mismatch". */
    {"type mismatch: instruction requires [i32] but stack has [i64]", "func 0: type mismatch: throw expects i32, found i64"},
    {"type mismatch: instruction requires [i32] but stack has []",
     "func 0: type mismatch: throw expects i32, but the stack is empty"},
    /* Core: the table's index is not part of the trap. */
    {"uninitialized element 2", "uninitialized element"},
    /* Component model: phrases of one runtime. */
    {"section out of order", "core module 0: unexpected content after last section*"},
    {"expected primitive, found record", "type mismatch for import `x`: expected u32, found record"},
    {"expected a result, found none", "type mismatch for import `f`: expected no result, found one"},
    {"wasm `unreachable` instruction executed", "unreachable"},
};

static bool holds(const char *got, const char *want) {
    size_t n = strlen(want);
    for (const char *p = got; n && (p = strstr(p, want)); p++)
        if (!isdigit((unsigned char)want[n - 1]) || !isdigit((unsigned char)p[n])) return true;
    return false;
}

bool spec_text_fits(const char *got, const char *want) {
    if (!want || !got) return false;
    if (!*want) return true; /* the suite does not say */
    if (str_starts(str_c(want), STR("wasm trap: "))) want += strlen("wasm trap: ");
    if (holds(got, want)) return true;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        size_t n = strcspn(pairs[i].got, "*");
        if (!strcmp(want, pairs[i].want) && !strncmp(got, pairs[i].got, n) && (pairs[i].got[n] || !got[n])) return true;
    }
    return false;
}
