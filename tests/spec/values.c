/* values: wast2json's spelling of values against canonical slots.
 *
 * Integers and floats are decimal strings of their bits; floats may be "nan:canonical" or "nan:arithmetic". A
 * host reference n is the word n + 1, so that none is null.
 */
#include "spec.h"
#include <stdlib.h>

static bool is(json_t *value, const char *type) { return str_eqc(str_c(spec_member(value, "type")), type); }

static bool bits(const char *text, uint64_t *out) {
    if (!text || !*text) return false;
    char *end;
    *out = text[0] == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    return !*end;
}

/* Bytes of a lane type, by its name: i8 … f64. */
static uint32_t lane_bytes(const char *type) {
    str t = str_c(type);
    return str_eqc(t, "i8") ? 1 : str_eqc(t, "i16") ? 2 : str_eqc(t, "i32") || str_eqc(t, "f32") ? 4 : 8;
}

static bool vector_bits(json_t *value, uint8_t out[16]) {
    uint32_t n = lane_bytes(spec_member(value, "lane_type"));
    json_t *lanes = json_object_get(value, "value");
    for (uint32_t i = 0; i < 16 / n; i++) {
        uint64_t v;
        if (!bits(json_string_value(json_array_get(lanes, i)), &v)) return false;
        memcpy(out + i * n, &v, n);
    }
    return true;
}

static bool is_reference(json_t *value) {
    return str_ends(str_c(spec_member(value, "type")), STR("ref")) || is(value, "refnull");
}

uint32_t spec_argument(json_t *value, uint64_t *args) {
    const char *text = json_string_value(json_object_get(value, "value"));
    if (is(value, "v128")) {
        uint8_t b[16];
        if (!vector_bits(value, b)) return 0;
        memcpy(args, b, 16);
        return 2;
    }
    if (is_reference(value)) {
        args[0] = 0;
        if (text && strcmp(text, "null") != 0) {
            if (!bits(text, args)) return 0;
            args[0]++;
        }
        return 1;
    }
    if (!bits(text, args)) return 0;
    if (is(value, "i32") || is(value, "f32")) args[0] = (uint32_t)args[0];
    return 1;
}

/* text against the low n bytes of got, for a float of that size: NaN patterns or bits. */
static bool lane_matches(const char *text, uint64_t got, uint32_t n, bool is_float) {
    uint64_t mask = n == 8 ? UINT64_MAX : (1ull << 8 * n) - 1;
    uint64_t exponent = n == 4 ? 0x7f800000 : 0x7ff0000000000000, quiet = n == 4 ? 0x400000 : 0x8000000000000;
    uint64_t sign = n == 4 ? 0x80000000 : 0x8000000000000000;
    if (is_float && text && strcmp(text, "nan:canonical") == 0)
        return (got & mask & ~sign) == (exponent | quiet);
    if (is_float && text && strcmp(text, "nan:arithmetic") == 0)
        return (got & (exponent | quiet)) == (exponent | quiet);
    uint64_t want;
    return bits(text, &want) && (want & mask) == (got & mask);
}

static bool vector_matches(json_t *expected, const uint64_t *got) {
    const char *type = spec_member(expected, "lane_type");
    uint32_t n = lane_bytes(type);
    json_t *lanes = json_object_get(expected, "value");
    for (uint32_t i = 0; i < 16 / n; i++) {
        uint64_t v = 0;
        memcpy(&v, (const uint8_t *)got + i * n, n);
        if (!lane_matches(json_string_value(json_array_get(lanes, i)), v, n, type && type[0] == 'f'))
            return false;
    }
    return true;
}

static bool reference_matches(json_t *expected, uint64_t got) {
    const char *text = json_string_value(json_object_get(expected, "value"));
    str type = str_c(spec_member(expected, "type"));
    if (text && strcmp(text, "null") != 0) {
        uint64_t want;
        return bits(text, &want) && got == want + 1;
    }
    if (text || str_starts(type, STR("null")) || str_eqc(type, "refnull")) return got == 0;
    return got != 0;
}

bool spec_matches(json_t *expected, const uint64_t *got) {
    if (is(expected, "either")) {
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(expected, "values"), i,
                           one) if (spec_matches(one, got)) return true;
        return false;
    }
    if (is(expected, "v128")) return vector_matches(expected, got);
    if (is_reference(expected)) return reference_matches(expected, got[0]);
    bool is_float = is(expected, "f32") || is(expected, "f64");
    uint32_t n = is(expected, "i32") || is(expected, "f32") ? 4 : 8;
    if (is(expected, "i32") && got[0] >> 32)
        return false; /* an i32 is zero-extended; an f32 is the low half, whatever the other */
    return lane_matches(json_string_value(json_object_get(expected, "value")), got[0], n, is_float);
}

uint32_t spec_slots(json_t *expected) {
    if (is(expected, "either")) return spec_slots(json_array_get(json_object_get(expected, "values"), 0));
    return is(expected, "v128") ? 2 : 1;
}

const char *spec_value_text(json_t *expected, const uint64_t *got) {
    static char text[512];
    char *want = json_dumps(expected, JSON_COMPACT);
    int n = snprintf(text, sizeof text, "got %llu (0x%llx", (unsigned long long)got[0],
                     (unsigned long long)got[0]);
    if (spec_slots(expected) == 2)
        n += snprintf(text + n, sizeof text - (size_t)n, ", 0x%llx", (unsigned long long)got[1]);
    snprintf(text + n, sizeof text - (size_t)n, "), want %.300s", want ? want : "?");
    free(want);
    return text;
}
