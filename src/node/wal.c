/* wal: see wal.h. The format is SQLite's (fileformat2.html, 4: The Write-Ahead Log). */
#include "node/wal.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WAL_HEAD = 32, FRAME_HEAD = 24, DB_HEAD = 100, PAGE_MIN = 512, PAGE_MAX = 65536 };

static err read_all(int fd, void *to, size_t n, uint64_t at, struct diag *d) {
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(fd, (uint8_t *)to + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return diag_set(d, ERR_IO, at + got, "it cannot be read: %s", r ? strerror(errno) : "it became shorter");
        got += (size_t)r;
    }
    return ERR_OK;
}

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* ---- the log ---- */

struct sums {
    uint32_t a, b;
    bool big; /* words are big-endian */
};
static void add_sums(struct sums *s, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint32_t x = be32(p + i), y = be32(p + i + 4);
        if (!s->big) x = __builtin_bswap32(x), y = __builtin_bswap32(y);
        s->a += x + s->b;
        s->b += y + s->a;
    }
}
static bool sums_are(const struct sums *s, const uint8_t *p) { return be32(p) == s->a && be32(p + 4) == s->b; }

static bool page_ok(uint32_t bytes) { return bytes >= PAGE_MIN && bytes <= PAGE_MAX && !(bytes & (bytes - 1)); }

bool node_wal_salts(int wal, uint8_t salts[static 8]) { return pread(wal, salts, 8, 16) == 8; }

/* False: it is empty, or none. */
bool node_wal_begin(int wal, struct wal_cursor *c) {
    uint8_t head[WAL_HEAD];
    if (pread(wal, head, WAL_HEAD, 0) != WAL_HEAD) return false;
    uint32_t magic = be32(head);
    struct sums s = {.big = magic & 1};
    add_sums(&s, head, WAL_HEAD - 8);
    if ((magic & ~1u) != 0x377f0682 || !page_ok(be32(head + 8)) || !sums_are(&s, head + WAL_HEAD - 8)) return false;
    *c = (struct wal_cursor){.page_bytes = be32(head + 8), .sums = {s.a, s.b}, .big = s.big};
    memcpy(c->salts, head + 16, sizeof c->salts);
    return true;
}

static uint64_t place_of(uint32_t page_bytes, uint32_t frame) {
    return WAL_HEAD + (uint64_t)(frame - 1) * (FRAME_HEAD + page_bytes);
}

bool node_wal_next(int wal, struct wal_cursor *c, uint8_t *page, uint32_t *number, uint32_t *commit) {
    uint8_t head[FRAME_HEAD];
    struct iovec to[] = {{head, sizeof head}, {page, c->page_bytes}};
    struct sums s = {.a = c->sums[0], .b = c->sums[1], .big = c->big};
    ssize_t n = (ssize_t)(sizeof head + c->page_bytes);
    if (preadv(wal, to, ARRAY_COUNT(to), (off_t)place_of(c->page_bytes, c->frames + 1)) != n) return false;
    add_sums(&s, head, 8);
    add_sums(&s, page, c->page_bytes);
    if (memcmp(head + 8, c->salts, sizeof c->salts) != 0 || !sums_are(&s, head + 16) || !be32(head)) return false;
    c->frames++, c->sums[0] = s.a, c->sums[1] = s.b;
    *number = be32(head), *commit = be32(head + 4);
    return true;
}

bool node_wal_has(int wal, const struct wal_cursor *c) {
    uint8_t head[FRAME_HEAD];
    if (!c->frames) return true;
    return pread(wal, head, sizeof head, (off_t)place_of(c->page_bytes, c->frames)) == (ssize_t)sizeof head &&
           !memcmp(head + 8, c->salts, sizeof c->salts) && be32(head + 16) == c->sums[0] && be32(head + 20) == c->sums[1];
}

bool node_wal_frame(int wal, uint32_t page_bytes, uint32_t frame, uint32_t *number, uint8_t *page) {
    uint8_t head[FRAME_HEAD];
    struct iovec to[] = {{head, sizeof head}, {page, page_bytes}};
    bool ok = preadv(wal, to, ARRAY_COUNT(to), (off_t)place_of(page_bytes, frame)) == (ssize_t)(sizeof head + page_bytes);
    *number = be32(head);
    return ok && *number;
}

/* pages: of the file at the least; grows with the pages that frames name. */
static bool note_page(struct wal_image *im, uint32_t *cap, uint32_t page, uint32_t frame) {
    if (!page) return false;
    if (page > *cap) {
        uint32_t to = MAX(page, *cap * 2);
        uint32_t *grown = realloc(im->frames, (size_t)to * sizeof *grown);
        if (!grown) return false;
        memset(grown + *cap, 0, (size_t)(to - *cap) * sizeof *grown);
        im->frames = grown, *cap = to;
    }
    im->frames[page - 1] = frame;
    return true;
}

/* The last frame that counts, of `most`, and ends a commit; 0: none. */
static uint32_t last_commit(int wal, uint32_t page_bytes, uint32_t most, uint32_t *pages) {
    struct wal_cursor c;
    uint32_t last = 0, page, commit;
    uint8_t *p = malloc(PAGE_MAX);
    ENSURE(p);
    bool goes = node_wal_begin(wal, &c) && (!page_bytes || c.page_bytes == page_bytes);
    while (goes && c.frames < most && node_wal_next(wal, &c, p, &page, &commit))
        if (commit) last = c.frames, *pages = commit;
    free(p);
    return last;
}

bool node_wal_end(int wal, struct wal_end *out) {
    uint32_t pages;
    out->frames = last_commit(wal, 0, WAL_ALL, &pages);
    return out->frames && node_wal_salts(wal, out->salts);
}

static err take_frames(struct wal_image *im, uint32_t last, uint32_t pages, struct diag *d) {
    uint32_t cap = pages;
    im->frames = calloc(cap, sizeof *im->frames);
    ENSURE(im->frames);
    for (uint32_t i = 0; i < last; i++) {
        uint8_t head[4];
        TRY(read_all(im->wal, head, sizeof head, place_of(im->page_bytes, i + 1), d));
        if (!note_page(im, &cap, be32(head), i + 1)) return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "its log names no page");
    }
    im->pages = pages;
    im->bytes = (uint64_t)pages * im->page_bytes;
    return ERR_OK;
}

/* ---- both ---- */

static err read_db_head(struct wal_image *im, struct diag *d) {
    uint8_t head[DB_HEAD];
    struct stat st;
    if (fstat(im->main, &st)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    im->bytes = (uint64_t)st.st_size;
    if (!im->bytes) return ERR_OK; /* nothing was ever checkpointed: the log has all */
    TRY(read_all(im->main, head, sizeof head, 0, d));
    im->page_bytes = (uint32_t)head[16] << 8 | head[17];
    if (im->page_bytes == 1) im->page_bytes = PAGE_MAX;
    bool ok = !memcmp(head, "SQLite format 3", 16) && page_ok(im->page_bytes);
    return ok ? ERR_OK : diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "it is no database of SQLite's");
}

static void free_frames(void *arg) { free(*(uint32_t **)arg); }

err node_wal_image(arena *mem, int main, int wal, uint32_t frames, const uint8_t *salts, struct wal_image *out, struct diag *d) {
    struct wal_image im = {.main = main, .wal = wal};
    uint8_t head[WAL_HEAD], has[8];
    uint32_t pages = 0, last;
    TRY(read_db_head(&im, d));
    if (salts && wal >= 0 && (!node_wal_salts(wal, has) || memcmp(has, salts, sizeof has) != 0)) frames = 0;
    if (!im.bytes && wal >= 0 && pread(wal, head, sizeof head, 0) == (ssize_t)sizeof head) im.page_bytes = be32(head + 8);
    if (!page_ok(im.page_bytes)) im.page_bytes = 0;
    last = wal >= 0 && frames && im.page_bytes ? last_commit(wal, im.page_bytes, frames, &pages) : 0;
    if (last && frames != WAL_ALL && last != frames)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "its log has %u frames of %u that were to be there", last, frames);
    err e = last ? take_frames(&im, last, pages, d) : ERR_OK;
    uint32_t **held = arena_make(mem, uint32_t *);
    *held = im.frames;
    arena_cleanup(mem, free_frames, held);
    *out = im;
    return e;
}

err node_wal_read(const struct wal_image *im, void *to, size_t n, uint64_t at, struct diag *d) {
    if (!im->frames) return read_all(im->main, to, n, at, d);
    for (size_t done = 0; done < n;) {
        uint64_t page = (at + done) / im->page_bytes, within = (at + done) % im->page_bytes;
        size_t part = MIN(n - done, (size_t)(im->page_bytes - within));
        uint32_t frame = page < im->pages ? im->frames[page] : 0;
        if (frame) TRY(read_all(im->wal, (uint8_t *)to + done, part, place_of(im->page_bytes, frame) + FRAME_HEAD + within, d));
        else TRY(read_all(im->main, (uint8_t *)to + done, part, page * im->page_bytes + within, d));
        done += part;
    }
    return ERR_OK;
}
