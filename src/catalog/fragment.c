/* fragment: where the marks of a fragment are. Names and literals stand in it within quotes, whatever their bytes are; so what is within quotes is
 * data, and only what is not can be a mark. */
#include "catalog/catalog.h"

/* Past the marks' kind and number; at: its \x01. */
static void read_mark(str text, size_t at, struct catalog_mark *out) {
    size_t i = at + 2;
    *out = (struct catalog_mark){.at = at, .end = at + 1};
    uint64_t id = 0;
    while (i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && id <= UINT32_MAX) id = id * 10 + (uint64_t)(text.p[i++] - '0');
    if (i == at + 2 || i >= text.n || text.p[i] != 2 || id > UINT32_MAX) return;
    *out = (struct catalog_mark){.kind = (char)text.p[at + 1], .id = (uint32_t)id, .at = at, .end = i + 1};
}

bool catalog_mark_next(str text, size_t from, struct catalog_mark *out) {
    uint8_t quote = 0; /* doubled, it ends and begins again */
    for (size_t i = from; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (quote) quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'') quote = c;
        else if (c == 1) return read_mark(text, i, out), true;
    }
    return false;
}

bool catalog_mentions(const struct catalog_fragment *f, const char *kinds, uint32_t id) {
    struct catalog_mark m = {0};
    while (catalog_mark_next(f->text, m.end, &m))
        if (m.kind && m.id == id && strchr(kinds, m.kind)) return true;
    return false;
}
