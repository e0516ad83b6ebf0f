/* outline: what of a tree's JSON makes its statement, and which of it are values that it compares with. The same outline is the same text, whatever those are.
 *
 *   {"query":{"from":"t","where":{"column":"id","op":"eq","value":"17"}}}  ──>  {"query":{"from":"t","where":{"column":"id","op":"eq","value":^}}}  and  17
 *
 * A hole is a string behind the key "value", or in the list behind "values". Whether it is but a value there is for whoever resolved the tree to say:
 * query_bound.said. What has one that no value is said to be, is asked as it comes. */
#include "query/query.h"
#include <string.h>

enum { DEPTH_MAX = 63, HOLE = 1 };
static_assert((int)QUERY_DEPTH_MAX < (int)DEPTH_MAX);

struct outlining {
    str json;
    size_t at;
    struct query_outline *to;
    uint32_t depth;
    uint64_t lists; /* bits, by depth: its strings are holes */
    enum { AWAITS_NONE, AWAITS_VALUE, AWAITS_LIST } awaits;
};

/* Behind its last byte; 0: it has no end, or bytes that JSON does not have in one. */
static size_t end_of_string(str json, size_t at, bool *escapes) {
    for (*escapes = false, at++; at < json.n && json.p[at] >= 0x20; at++) {
        if (json.p[at] == '"') return at + 1;
        if (json.p[at] == '\\') *escapes = true, at++;
    }
    return 0;
}

static bool is_key(str json, size_t at) {
    while (at < json.n && (json.p[at] == ' ' || json.p[at] == '\n' || json.p[at] == '\r' || json.p[at] == '\t')) at++;
    return at < json.n && json.p[at] == ':';
}

static bool take_string(struct outlining *o) {
    bool escapes;
    size_t end = end_of_string(o->json, o->at, &escapes);
    if (!end) return false;
    str whole = str_sub(o->json, o->at, end - o->at), inner = str_sub(whole, 1, whole.n - 2);
    bool key = is_key(o->json, end), hole = !key && (o->awaits == AWAITS_VALUE || (o->lists >> o->depth & 1));
    o->at = end;
    o->awaits = !key                       ? AWAITS_NONE
                : str_eqc(inner, "value")  ? AWAITS_VALUE
                : str_eqc(inner, "values") ? AWAITS_LIST
                                           : AWAITS_NONE;
    if (!hole) return buf_puts(&o->to->text, whole);
    if (escapes || o->to->count == QUERY_HOLES_MAX) return false;
    o->to->holes[o->to->count++] = inner;
    return buf_putc(&o->to->text, HOLE);
}

static bool take_other(struct outlining *o) {
    uint8_t c = o->json.p[o->at++];
    if (c == '[' || c == '{') {
        if (++o->depth > DEPTH_MAX) return false;
        o->lists &= ~(1ull << o->depth);
        if (c == '[' && o->awaits == AWAITS_LIST) o->lists |= 1ull << o->depth;
    } else if (c == ']' || c == '}') {
        if (!o->depth--) return false;
    } else if (c < 0x20 && c != '\n' && c != '\r' && c != '\t') return false;
    if (c > ' ' && c != ':') o->awaits = AWAITS_NONE;
    return buf_putc(&o->to->text, c);
}

bool query_outline(str json, struct query_outline *to) {
    struct outlining o = {.json = json, .to = to};
    to->count = 0;
    while (o.at < json.n)
        if (json.p[o.at] == '"' ? !take_string(&o) : !take_other(&o)) return false;
    return true;
}

/* ---- what stands in them ---- */

str query_slot_text(arena *out, const struct query_bound *of, str hole) {
    if (!of->stars || !hole.n || !memchr(hole.p, '*', hole.n)) return hole;
    uint8_t *to = arena_alloc(out, hole.n + 1, 1);
    for (size_t i = 0; i < hole.n; i++) to[i] = hole.p[i] == '*' ? '%' : hole.p[i];
    return (str){to, hole.n};
}

bool query_slots(arena *out, const struct query_outline *o, const struct query_text *text, struct query_slot **slots,
                 uint32_t *count) {
    const struct {
        const struct query_bound *p;
        uint32_t n;
        bool there;
    } of[] = {{text->values, text->values_count, true},
              {text->count_values, text->count_values_count, text->count.n > 0},
              {text->planned_values, text->planned_values_count, text->planned.n > 0}};
    bool found[QUERY_HOLES_MAX] = {0};
    VEC(struct query_slot) all = {0};
    uint32_t statement = 0;
    for (size_t s = 0; s < ARRAY_COUNT(of); statement += of[s].there, s++)
        for (uint32_t i = 0; of[s].there && i < of[s].n; i++)
            for (uint32_t k = 0; of[s].p[i].said.n && k < o->count; k++) {
                if (o->holes[k].p != of[s].p[i].said.p + 1) continue;
                vec_push(out, &all, ((struct query_slot){statement, i, k, of[s].p[i]}));
                found[k] = true;
            }
    *slots = all.p, *count = all.n;
    for (uint32_t k = 0; k < o->count; k++)
        if (!found[k]) return false;
    return true;
}
