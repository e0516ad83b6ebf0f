/* cbor: see webauthn_int.h. */
#include "webauthn/webauthn_int.h"

enum { DEPTH_MAX = 8, ENTRIES_MAX = 64 };

static uint64_t read_number(struct rd *from, uint8_t small) {
    uint64_t n = 0;
    unsigned bytes = small < 24 ? 0 : 1u << (small - 24);
    if (small > 27) rd_fail(from, "CBOR of no length"); /* without an end, or nothing that there is */
    if (small < 24) return small;
    for (unsigned i = 0; i < bytes && !from->fail; i++) n = n << 8 | rd_u8(from);
    return n;
}

static void skip(struct rd *from, int depth, struct webauthn_cbor *item);

/* Two keys that are the same bytes are one key twice. */
static void skip_map(struct rd *from, uint64_t entries, int depth) {
    str keys[ENTRIES_MAX];
    struct webauthn_cbor one;
    for (uint64_t i = 0; i < entries && !from->fail; i++) {
        const uint8_t *at = from->p;
        skip(from, depth, &one);
        if (from->fail) return;
        keys[i] = (str){at, (size_t)(from->p - at)};
        for (uint64_t k = 0; k < i; k++)
            if (str_eq(keys[k], keys[i])) rd_fail(from, "a key of CBOR stands there twice");
        skip(from, depth, &one);
    }
}

static void skip(struct rd *from, int depth, struct webauthn_cbor *item) {
    uint8_t first = rd_u8(from), major = first >> 5, small = first & 31;
    *item = (struct webauthn_cbor){0};
    if (from->fail) return;
    if (depth > DEPTH_MAX) {
        rd_fail(from, "CBOR that is too deep");
        return;
    }
    if (major == 7) {
        if (small < 20 || small > 22) rd_fail(from, "CBOR of a kind that has no place here");
        item->kind = WEBAUTHN_CBOR_SIMPLE, item->number = small;
        return;
    }
    uint64_t n = read_number(from, small);
    if (from->fail) return;
    if (major == 6 || (major < 2 && n > INT64_MAX)) {
        rd_fail(from, "CBOR of a kind that has no place here");
        return;
    }
    item->kind = (enum webauthn_cbor_kind)major;
    item->number = major == 1 ? -1 - (int64_t)n : (int64_t)(n & INT64_MAX);
    if (major < 2) return;
    if (n > rd_left(from) || (major >= 4 && n > ENTRIES_MAX)) {
        rd_fail(from, "CBOR that is cut off, or too much");
        return;
    }
    const uint8_t *at = from->p;
    if (major < 4) {
        item->bytes = rd_bytes(from, n);
        if (major == 3 && !str_is_utf8(item->bytes)) rd_fail(from, "no text");
        return;
    }
    struct webauthn_cbor one;
    for (uint64_t i = 0; major == 4 && i < n && !from->fail; i++) skip(from, depth + 1, &one);
    if (major == 5) skip_map(from, n, depth + 1);
    if (!from->fail) item->bytes = (str){at, (size_t)(from->p - at)};
}

void webauthn_cbor_next(struct rd *from, struct webauthn_cbor *item) { skip(from, 0, item); }

bool webauthn_cbor_whole(str bytes, struct webauthn_cbor *item) {
    struct rd from = rd_of(bytes);
    if (!bytes.n) return false;
    webauthn_cbor_next(&from, item);
    return !from.fail && !rd_left(&from);
}

/* It was read whole before. */
static bool find(const struct webauthn_cbor *map, const char *text, int64_t number, struct webauthn_cbor *value) {
    struct webauthn_cbor key;
    if (map->kind != WEBAUTHN_CBOR_MAP || !map->bytes.n) return false;
    for (struct rd from = rd_of(map->bytes); rd_left(&from);) {
        webauthn_cbor_next(&from, &key);
        webauthn_cbor_next(&from, value);
        if (from.fail) return false;
        if (text ? key.kind == WEBAUTHN_CBOR_TEXT && str_eqc(key.bytes, text)
                 : (key.kind == WEBAUTHN_CBOR_UINT || key.kind == WEBAUTHN_CBOR_NINT) && key.number == number)
            return true;
    }
    return false;
}
bool webauthn_cbor_text_key(const struct webauthn_cbor *map, const char *key, struct webauthn_cbor *value) {
    return find(map, key, 0, value);
}
bool webauthn_cbor_int_key(const struct webauthn_cbor *map, int64_t key, struct webauthn_cbor *value) {
    return find(map, NULL, key, value);
}

bool webauthn_cbor_bytes_of(const struct webauthn_cbor *map, const char *key, str *bytes) {
    struct webauthn_cbor value;
    bool ok = webauthn_cbor_text_key(map, key, &value) && value.kind == WEBAUTHN_CBOR_BYTES;
    *bytes = ok ? value.bytes : (str){0};
    return ok;
}
