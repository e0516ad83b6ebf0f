/* read: the cursor over a component's bytes, and what a file is by its first bytes. */
#include "component/component_int.h"

static err crd_eof(struct crd *r) {
    (void)diag_set(r->d, ERR_MALFORMED, crd_at(r), "unexpected end-of-file");
    return ERR_MALFORMED;
}

err crd_u8(struct crd *r, uint8_t *v) {
    if (r->p == r->end) return crd_eof(r);
    *v = *r->p++;
    return ERR_OK;
}

static err crd_leb(struct crd *r, unsigned bits, uint64_t *v) {
    uint64_t value = 0, at = crd_at(r);
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b;
        TRY(crd_u8(r, &b));
        if (shift + 7 > bits) {
            if (b & 0x80) return diag_set(r->d, ERR_MALFORMED, at, "integer representation too long");
            if (b >> (bits - shift)) return diag_set(r->d, ERR_MALFORMED, at, "integer too large");
        }
        value |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) break;
    }
    *v = value;
    return ERR_OK;
}

err crd_u32(struct crd *r, uint32_t *v) {
    uint64_t value;
    TRY(crd_leb(r, 32, &value));
    *v = (uint32_t)value;
    return ERR_OK;
}

err crd_u64(struct crd *r, uint64_t *v) { return crd_leb(r, 64, v); }

err crd_s33(struct crd *r, int64_t *v) {
    uint64_t value = 0, at = crd_at(r);
    for (unsigned shift = 0;;) {
        uint8_t b;
        TRY(crd_u8(r, &b));
        value |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
        if (!(b & 0x80)) {
            if (b & 0x40) value |= ~0ull << shift;
            break;
        }
        if (shift >= 35) return diag_set(r->d, ERR_MALFORMED, at, "integer representation too long");
    }
    *v = (int64_t)value;
    if (*v < -(1ll << 32) || *v >= 1ll << 32) return diag_set(r->d, ERR_MALFORMED, at, "integer too large");
    return ERR_OK;
}

err crd_bytes(struct crd *r, uint32_t n, str *v) {
    if ((size_t)(r->end - r->p) < n) return crd_eof(r);
    *v = (str){r->p, n};
    r->p += n;
    return ERR_OK;
}

err crd_name(struct crd *r, str *v) {
    uint32_t n;
    TRY(crd_u32(r, &n));
    uint64_t at = crd_at(r);
    TRY(crd_bytes(r, n, v));
    if (!str_is_utf8(*v)) return diag_set(r->d, ERR_MALFORMED, at, "malformed UTF-8 encoding");
    return ERR_OK;
}

err crd_count(struct crd *r, uint32_t max, const char *what, uint32_t *v) {
    uint64_t at = crd_at(r);
    TRY(crd_u32(r, v));
    if (*v > (size_t)(r->end - r->p)) return crd_eof(r);
    if (*v > max) return diag_set(r->d, ERR_LIMIT, at, "%u %s are over the limit of %u", *v, what, max);
    return ERR_OK;
}

/* ---- kinds -------------------------------------------------------------------------------------- */

enum component_kind component_kind(str bytes, struct diag *d) {
    static const uint8_t magic[4] = {0, 'a', 's', 'm'};
    if (bytes.n < 4 || memcmp(bytes.p, magic, 4) != 0) {
        if (bytes.n > 0 && bytes.n < 4 && memcmp(bytes.p, magic, bytes.n) == 0)
            diag_set(d, ERR_MALFORMED, bytes.n, "unexpected end-of-file: a .wasm starts with 8 bytes, this file has %zu",
                     bytes.n);
        else diag_set(d, ERR_MALFORMED, 0, bytes.n ? "not WebAssembly: it does not start with \"\\0asm\"" : "the file is empty");
        return COMPONENT_KIND_UNKNOWN;
    }
    if (bytes.n < 8) {
        diag_set(d, ERR_MALFORMED, bytes.n, "unexpected end-of-file: a .wasm starts with 8 bytes, this file has %zu", bytes.n);
        return COMPONENT_KIND_UNKNOWN;
    }
    unsigned version = bytes.p[4] | (unsigned)bytes.p[5] << 8, layer = bytes.p[6] | (unsigned)bytes.p[7] << 8;
    if (layer == 0 && version == 1) return COMPONENT_KIND_MODULE;
    if (layer == 1 && version == 0x0d) return COMPONENT_KIND_COMPONENT;
    if (layer == 1)
        diag_set(d, ERR_UNSUPPORTED, 4,
                 "unknown binary version: a component of pre-release version 0x%x; version 0xd is understood "
                 "(use newer tools)",
                 version);
    else
        diag_set(d, ERR_UNSUPPORTED, 4,
                 "unknown binary version 0x%x, layer %u; core modules have version 1, components 0xd and layer 1", version,
                 layer);
    return COMPONENT_KIND_UNKNOWN;
}

const char *component_type_text(enum component_type_kind k) {
    static const char *const text[] = {
#define X(name, opcode, text) text,
#include "component/type.def"
#undef X
    };
    return k < ARRAY_COUNT(text) ? text[k] : "?";
}

const char *component_canon_text(enum component_canon_kind k) {
    static const char *const text[] = {
#define X(name, opcode, text, immediates) text,
#include "component/canon.def"
#undef X
    };
    return k < ARRAY_COUNT(text) ? text[k] : "?";
}
