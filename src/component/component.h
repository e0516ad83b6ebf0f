/* component: the component model's binary format: decoding, validation, types, names, the static plan
 * (plan.h).
 *
 * Follows WebAssembly/component-model design/mvp at 6d28164, the async types and built-ins included.
 * Untrusted bytes are read only here and in `wasm`, inside a compile job. What a worker reads is the plan.
 */
#ifndef ORLO_COMPONENT_H
#define ORLO_COMPONENT_H

#include "base/base.h"

/* ---- kinds -------------------------------------------------------------------------------------- */

/* Value types. COMPONENT_TYPE_BOOL … COMPONENT_TYPE_ERROR_CONTEXT are the primitives. */
enum component_type_kind {
#define X(name, opcode, text) COMPONENT_TYPE_##name,
#include "component/type.def"
#undef X
    COMPONENT_TYPE_COUNT
};
#define COMPONENT_PRIMITIVES (COMPONENT_TYPE_ERROR_CONTEXT + 1)
const char *component_type_text(enum component_type_kind k);

/* Canonical definitions. */
enum component_canon_kind {
#define X(name, opcode, text, immediates) COMPONENT_CANON_##name,
#include "component/canon.def"
#undef X
    COMPONENT_CANON_COUNT
};
const char *component_canon_text(enum component_canon_kind k);

enum component_encoding { COMPONENT_UTF8, COMPONENT_UTF16, COMPONENT_LATIN1_UTF16 };

/* ---- what a file is ----------------------------------------------------------------------------- */

enum component_kind { COMPONENT_KIND_UNKNOWN, COMPONENT_KIND_MODULE, COMPONENT_KIND_COMPONENT };
/* By the first bytes only. For UNKNOWN, d says why (empty, cut short, another version, something else). d may be NULL. */
enum component_kind component_kind(str bytes, struct diag *d);

/* ---- decoding and validation -------------------------------------------------------------------- */

struct component; /* a decoded and valid component; borrows the bytes */

/* Decodes and validates all of the component, nested components, and its core modules' declarations (sections
 * other than code: function bodies are validated where they are compiled). Everything is allocated in `out`.
 * ERR_MALFORMED, ERR_INVALID, ERR_UNSUPPORTED, ERR_LIMIT, with d's byte offset from the start of `bytes`. */
[[nodiscard]] err component_decode(arena *out, str bytes, struct component **component, struct diag *d);
/* Validates every function body of the embedded core modules too (tests, `inspect`). */
[[nodiscard]] err component_validate_code(const struct component *c, struct diag *d);

struct plan;
/* Flattens the instantiation of c as the root. ERR_UNSUPPORTED or ERR_LINK if it needs what no host can give
 * (an imported core module or component), ERR_LIMIT if it instantiates more than PLAN_INSTANCES_MAX. */
[[nodiscard]] err component_plan(arena *out, const struct component *c, struct plan *plan, struct diag *d);

/* ---- names -------------------------------------------------------------------------------------- */

/* A version of semver 2.0 (semver.org §2, §9, §10). */
struct component_version {
    bool present;
    uint64_t major, minor, patch;
    str pre;   /* pre-release, without its '-' */
    str build; /* without its '+' */
};
/* All of s is a semver. False: it is not. */
bool component_version_parse(str s, struct component_version *v);
/* Precedence, semver §11; build metadata does not count. */
int component_version_cmp(const struct component_version *a, const struct component_version *b);
/* Same semver track: 1.x.y by major, 0.x.y by minor, 0.0.x and pre-releases exactly; two absent versions
 * match. */
bool component_version_same_track(const struct component_version *a, const struct component_version *b);

/* "wasi:http/types@0.2.10" → "wasi", "http", "types", 0.2.10. A plain name ("run") has only `item`. */
struct component_name {
    str ns, package, item;
    struct component_version version;
    str bare; /* the name without "@version": "wasi:http/types" */
};
void component_name_split(str name, struct component_name *out);
/* May an import of `wanted` be served by what is offered as `offered`? Same bare name and same track. */
bool component_name_matches(str wanted, str offered);

/* "[method]fields.append" → METHOD, resource "fields", name "append". */
enum component_func_kind { COMPONENT_FUNC_PLAIN, COMPONENT_FUNC_METHOD, COMPONENT_FUNC_STATIC, COMPONENT_FUNC_CONSTRUCTOR };
struct component_func_name {
    enum component_func_kind kind;
    str resource, name;
};
void component_func_name_split(str name, struct component_func_name *out);

/* ---- printing ----------------------------------------------------------------------------------- */

/* The component as text (.wat), core modules through wasm_print. */
[[nodiscard]] err component_print(const struct component *c, struct buf *out, struct diag *d);
/* Imports and exports of a plan with their types in WIT's spelling, for people. */
void component_inspect(const struct plan *plan, struct buf *out);

#endif
