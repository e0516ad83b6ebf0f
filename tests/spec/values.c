/* values: wast2json's spelling of values against canonical slots.
 *
 * Integers and floats are decimal strings of their bits; floats may be "nan:canonical" or "nan:arithmetic". A
 * host reference n is abi_ref_host(n).
 *
 * 1. A value is held against the type of the parameter or result it stands for: 1 as an i64 is not 1 as an i32.
 * 2. Nothing is cut to size: a number that does not fit its type matches nothing.
 */
#include "abi/abi.h"
#include "spec.h"
#include <errno.h>
#include <stdlib.h>

static bool is(const struct json *value, const char *type) { return str_eqc(str_c(spec_member(value, "type")), type); }

/* A decimal number of so many bits, signed or not. */
static bool number(const char *text, uint32_t bits, uint64_t *out) {
    if (!text || !*text || strspn(text + (*text == '-'), "0123456789") != strlen(text + (*text == '-'))) return false;
    errno = 0;
    if (*text == '-') {
        int64_t v = strtoll(text, NULL, 10);
        if (errno || v < INT64_MIN >> (64 - bits)) return false;
        *out = (uint64_t)v & UINT64_MAX >> (64 - bits);
    } else {
        *out = strtoull(text, NULL, 10);
        if (errno || *out > UINT64_MAX >> (64 - bits)) return false;
    }
    return true;
}

/* ---- numbers and vectors ---- */

static const struct form {
    const char *name;
    wasm_type type; /* 0: a lane only */
    uint32_t bits;
    bool is_float;
} forms[] = {
    {"i8", 0, 8, false},          {"i16", 0, 16, false},       {"i32", WASM_I32, 32, false},
    {"i64", WASM_I64, 64, false}, {"f32", WASM_F32, 32, true}, {"f64", WASM_F64, 64, true},
};

static const struct form *form_of(const char *name) {
    for (size_t i = 0; name && i < ARRAY_COUNT(forms); i++)
        if (!strcmp(name, forms[i].name)) return &forms[i];
    return NULL;
}

static bool nan_matches(const char *text, uint64_t got, uint32_t bits, bool *is_pattern) {
    uint64_t exponent = bits == 32 ? 0x7f800000 : 0x7ff0000000000000, quiet = bits == 32 ? 0x400000 : 0x8000000000000;
    uint64_t sign = 1ull << (bits - 1);
    bool canonical = !strcmp(text, "nan:canonical");
    *is_pattern = canonical || !strcmp(text, "nan:arithmetic");
    if (canonical) return (got & ~sign) == (exponent | quiet);
    return *is_pattern && (got & (exponent | quiet)) == (exponent | quiet);
}

/* got: as wide as the form, zero-extended. */
static bool form_matches(const struct form *f, const char *text, uint64_t got) {
    uint64_t want;
    bool is_pattern = false;
    if (!text) return false;
    if (f->is_float && nan_matches(text, got, f->bits, &is_pattern)) return true;
    return !is_pattern && number(text, f->bits, &want) && want == got;
}

/* The lane form of a vector that has as many lanes as it should; NULL: it has not. */
static const struct form *lanes_of(const struct json *value, const struct json **lanes) {
    const struct form *f = form_of(spec_member(value, "lane_type"));
    *lanes = json_get(value, "value");
    return f && json_count(*lanes) == 128 / f->bits ? f : NULL;
}

static bool vector_argument(const struct json *value, uint64_t *args) {
    const struct json *lanes;
    const struct form *f = lanes_of(value, &lanes);
    for (uint32_t i = 0; f && i < 128 / f->bits; i++) {
        uint64_t v;
        if (!number(json_cstr(json_item(lanes, i)), f->bits, &v)) return false;
        memcpy((uint8_t *)args + i * f->bits / 8, &v, f->bits / 8);
    }
    return f != NULL;
}

static bool vector_matches(const struct json *expected, const uint64_t *got) {
    const struct json *lanes;
    const struct form *f = lanes_of(expected, &lanes);
    for (uint32_t i = 0; f && i < 128 / f->bits; i++) {
        uint64_t v = 0;
        memcpy(&v, (const uint8_t *)got + i * f->bits / 8, f->bits / 8);
        if (!form_matches(f, json_cstr(json_item(lanes, i)), v)) return false;
    }
    return f != NULL;
}

/* ---- references ---- */

static const struct reference {
    const char *name;
    uint32_t heap, top; /* enum wasm_heap */
    bool is_null;       /* whatever it may say besides */
} references[] = {
    {"funcref", WASM_HEAP_FUNC, WASM_HEAP_FUNC, false},
    {"externref", WASM_HEAP_EXTERN, WASM_HEAP_EXTERN, false},
    {"anyref", WASM_HEAP_ANY, WASM_HEAP_ANY, false},
    {"eqref", WASM_HEAP_EQ, WASM_HEAP_ANY, false},
    {"i31ref", WASM_HEAP_I31, WASM_HEAP_ANY, false},
    {"structref", WASM_HEAP_STRUCT, WASM_HEAP_ANY, false},
    {"arrayref", WASM_HEAP_ARRAY, WASM_HEAP_ANY, false},
    {"exnref", WASM_HEAP_EXN, WASM_HEAP_EXN, false},
    {"nullref", WASM_HEAP_NONE, WASM_HEAP_ANY, true},
    {"nullfuncref", WASM_HEAP_NOFUNC, WASM_HEAP_FUNC, true},
    {"nullexternref", WASM_HEAP_NOEXTERN, WASM_HEAP_EXTERN, true},
    {"nullexnref", WASM_HEAP_NOEXN, WASM_HEAP_EXN, true},
    {"refnull", WASM_HEAP_BOT, WASM_HEAP_BOT, true}, /* of any type */
};

static const struct reference *reference_of(const struct json *value) {
    const char *name = spec_member(value, "type");
    for (size_t i = 0; name && i < ARRAY_COUNT(references); i++)
        if (!strcmp(name, references[i].name)) return &references[i];
    return NULL;
}

static uint32_t top_of(uint32_t heap) {
    for (size_t i = 0; i < ARRAY_COUNT(references); i++)
        if (references[i].heap == heap) return references[i].top;
    return WASM_HEAP_BOT;
}

/* May a value of this reference type stand where the type is wanted? A type defined by a module is a function,
 * structure or array type: which one is the validator's matter. */
static bool reference_fits(const struct reference *r, wasm_type type) {
    if (!wasm_is_ref(type)) return false;
    if (r->top == WASM_HEAP_BOT) return true;
    if (wasm_heap_is_index(wasm_heap_of(type))) return r->top == WASM_HEAP_FUNC || r->top == WASM_HEAP_ANY;
    return r->top == top_of(wasm_heap_of(type));
}

static bool reference_argument(const struct json *value, const struct reference *r, uint64_t *args) {
    const char *text = json_cstr(json_get(value, "value"));
    args[0] = 0;
    if (r->is_null || (text && !strcmp(text, "null"))) return true;
    if (!number(text, 32, args)) return false;
    args[0] = abi_ref_host(args[0]);
    return true;
}

/* A reference that is not null says itself what it is, but for functions, whose results are funcrefs by type. */
static bool is_of_heap(uint64_t ref, uint32_t heap) {
    bool plain = !(ref & (ABI_REF_I31 | ABI_REF_HOST));
    const struct abi_gc_object *o = (const struct abi_gc_object *)(uintptr_t)ref;
    switch (heap) {
    case WASM_HEAP_EQ: return !(ref & ABI_REF_HOST);
    case WASM_HEAP_I31: return ref & ABI_REF_I31;
    case WASM_HEAP_STRUCT: return plain && o->header & ABI_OBJECT_STRUCT;
    case WASM_HEAP_ARRAY: return plain && o->header & ABI_OBJECT_ARRAY;
    case WASM_HEAP_EXN: return plain && o->header & ABI_OBJECT_WORDS;
    default: return true;
    }
}

static bool reference_matches(const struct json *expected, const struct reference *r, uint64_t got) {
    const char *text = json_cstr(json_get(expected, "value"));
    if (r->is_null || (text && !strcmp(text, "null"))) return got == 0;
    if (!text) return got != 0 && is_of_heap(got, r->heap);
    uint64_t want;
    return number(text, 32, &want) && got == abi_ref_host(want);
}

/* ---- any value ---- */

bool spec_argument(const struct json *value, wasm_type type, uint64_t *args) {
    const struct reference *r = reference_of(value);
    if (r) return reference_fits(r, type) && reference_argument(value, r, args);
    if (is(value, "v128")) return type == WASM_V128 && vector_argument(value, args);
    const struct form *f = form_of(spec_member(value, "type"));
    return f && f->type && f->type == type && number(spec_member(value, "value"), f->bits, args);
}

bool spec_matches(const struct json *expected, wasm_type type, const uint64_t *got) {
    if (is(expected, "either")) {
        const struct json *values = json_get(expected, "values");
        for (size_t i = 0; i < json_count(values); i++)
            if (spec_matches(json_item(values, (uint32_t)i), type, got)) return true;
        return false;
    }
    const struct reference *r = reference_of(expected);
    if (r) return reference_fits(r, type) && reference_matches(expected, r, got[0]);
    if (is(expected, "v128")) return type == WASM_V128 && vector_matches(expected, got);
    const struct form *f = form_of(spec_member(expected, "type"));
    if (!f || !f->type || f->type != type) return false;
    /* An i32 is zero-extended; an f32 is the low half, whatever the other. */
    uint64_t v = f->type == WASM_F32 ? (uint32_t)got[0] : got[0];
    return form_matches(f, spec_member(expected, "value"), v);
}

const char *spec_value_text(const struct json *expected, wasm_type type, const uint64_t *got) {
    static char text[512], name[64];
    struct buf want = {0};
    struct json_writer w = json_writer_of(&want);
    json_put(&w, NULL, expected);
    int n = snprintf(text, sizeof text, "got %s %llu (0x%llx", wasm_type_text(type, name, sizeof name),
                     (unsigned long long)got[0], (unsigned long long)got[0]);
    if (type == WASM_V128) n += snprintf(text + n, sizeof text - (size_t)n, ", 0x%llx", (unsigned long long)got[1]);
    snprintf(text + n, sizeof text - (size_t)n, "), want %.*s", (int)MIN(want.n, (size_t)300), (const char *)want.p);
    buf_free(&want);
    return text;
}
