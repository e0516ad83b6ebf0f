/* base: what every room stands on. No I/O, no global state but the log sink.
 *
 * str   bytes by pointer and length           arena  memory with one lifetime
 * vec   growing array in an arena             map    hash map in an arena
 * err   expected failures, one table          diag   what a person reads about a failure
 * rd    sticky reader of bytes                buf    growing byte buffer on the heap
 * log   structured lines                      clock  monotonic and wall time
 */
#ifndef ORLO_BASE_H
#define ORLO_BASE_H

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/banned.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define KiB (1024ull)
#define MiB (1024ull * KiB)
#define GiB (1024ull * MiB)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline uint64_t align_up(uint64_t v, uint64_t to) { return (v + to - 1) & ~(to - 1); }

/* Our own bug: says where and aborts; stays on in release. */
#define ENSURE(cond) ((cond) ? (void)0 : base_panic(__FILE__, __LINE__, #cond))
__attribute__((noreturn)) void base_panic(const char *file, int line, const char *what);
__attribute__((noreturn)) void base_no_memory(size_t bytes); /* of what we size: no bug, and yet nothing can go on */

/* Once, by a process that guests make take memory in many small blocks; then whoever frees such blocks says how many, and from time to time
 * the pages that nothing is left on are given back: a step of 0.2 ms for each 8192. */
void base_heap_tune(void);
void base_heap_freed(uint32_t blocks);

/* ---- str: bytes by value. Not NUL-terminated; borrows. ---------------------------------------- */

typedef struct str {
    const uint8_t *p;
    size_t n;
} str;

#define STR(lit) ((str){(const uint8_t *)("" lit), sizeof(lit) - 1})
#define STR_INIT(lit)                                                                                                            \
    { (const uint8_t *)("" lit), sizeof(lit) - 1 }
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (const char *)(s).p

/* Borrows a NUL-terminated string; NULL gives the empty str. Here, so that the length of one in quotes is not counted each time. */
static inline str str_c(const char *c) { return c ? (str){(const uint8_t *)c, strlen(c)} : (str){0}; }
bool str_eq(str a, str b);
bool str_eq_nocase(str a, str b); /* ASCII */
static inline bool str_eqc(str a, const char *b) { return str_eq(a, str_c(b)); }
int str_cmp(str a, str b); /* bytewise, shorter first on a tie */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
/* In place: control characters that a terminal would obey become '?'. Newlines and tabs stay. For text that others chose. */
void text_tame(char *p, size_t n);
/* The one of words that was meant: close enough, or one that `word` is a part of; NULL: none. For "did you mean". */
const char *text_nearest(const char *word, const char *const *words, size_t count);
str str_sub(str s, size_t from, size_t n);                 /* clamped to s */
size_t str_find(str s, uint8_t c);                         /* index, or s.n */
bool str_cut(str s, uint8_t sep, str *before, str *after); /* at the first sep; false: before = s, after = empty */
str str_trim(str s);                                       /* spaces and tabs at both ends */
bool str_to_u64(str s, uint64_t *out);                     /* decimal digits only, all of s */
size_t str_utf8_prefix(str s);                             /* so many bytes of it are well-formed UTF-8; s.n: all */
bool str_to_bytes(str hex, uint8_t *to, size_t n);         /* two digits a byte, and no others */
bool str_is_utf8(str s);                                   /* well-formed UTF-8, no surrogates (Unicode 15, D92) */
uint64_t str_hash(str s);

/* ---- arena: memory with one lifetime; free is a reset ------------------------------------------ */

typedef struct arena arena;
arena *arena_new(size_t bytes_max);                  /* 0: no cap. Passing the cap aborts in arena_alloc, returns NULL in try */
void arena_free(arena *a);                           /* runs the cleanups, newest first; NULL is fine */
void arena_reset(arena *a);                          /* as free, but keeps the first chunk for reuse */
void *arena_alloc(arena *a, size_t n, size_t align); /* zeroed; never NULL */
void *arena_try_alloc(arena *a, size_t n, size_t align); /* zeroed; NULL when the cap is reached */
void arena_cleanup(arena *a, void (*fn)(void *), void *arg);
void arena_keep(void); /* this thread, which lives as long as its process, serves: some chunks stay with it for the next arenas */
size_t arena_bytes(const arena *a);
str arena_str(arena *a, str s); /* a copy; one NUL byte follows it */
char *arena_cstr(arena *a, str s);
str arena_fmt(arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
str arena_vfmt(arena *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0) __attribute__((nonnull));
#define arena_make(a, type) ((type *)arena_alloc((a), sizeof(type), _Alignof(type)))
#define arena_array(a, type, n) ((type *)arena_array_bytes((a), sizeof(type), (n), _Alignof(type)))
void *arena_array_bytes(arena *a, size_t size, size_t n, size_t align);

/* ---- vec: VEC(T) is {T *p; u32 n, cap;}, growing in an arena ------------------------------------ */

#define VEC(T)                                                                                                                   \
    struct {                                                                                                                     \
        T *p;                                                                                                                    \
        uint32_t n, cap;                                                                                                         \
    }
#define vec_push(a, v, item)                                                                                                     \
    do {                                                                                                                         \
        if ((v)->n == (v)->cap) (v)->p = base_vec_grow((a), (v)->p, &(v)->cap, sizeof *(v)->p);                                  \
        (v)->p[(v)->n++] = (item);                                                                                               \
    } while (0)
/* Room for one more, zeroed; gives its address. */
#define vec_add(a, v)                                                                                                            \
    ({                                                                                                                           \
        if ((v)->n == (v)->cap) (v)->p = base_vec_grow((a), (v)->p, &(v)->cap, sizeof *(v)->p);                                  \
        memset(&(v)->p[(v)->n], 0, sizeof *(v)->p);                                                                              \
        &(v)->p[(v)->n++];                                                                                                       \
    })
void *base_vec_grow(arena *a, void *p, uint32_t *cap, size_t size);

/* ---- map: str -> u64, open addressing, in an arena; keys are borrowed --------------------------- */

struct map {
    struct map_slot *slots;
    uint32_t cap, n;
};
bool map_get(const struct map *m, str key, uint64_t *value);
bool map_put(arena *a, struct map *m, str key, uint64_t value); /* false: replaced an older value */

/* ---- err: expected failures --------------------------------------------------------------------- */

typedef enum err {
#define X(name, text) ERR_##name,
#include "base/err.def"
#undef X
    ERR_COUNT
} err;
const char *err_text(err e);
const char *err_name(err e);
#define TRY(expr)                                                                                                                \
    do {                                                                                                                         \
        err try_err_ = (expr);                                                                                                   \
        if (UNLIKELY(try_err_ != ERR_OK)) return try_err_;                                                                       \
    } while (0)

/* What a person reads about a failure. Caller-owned; the first report stays, later ones are dropped. */
#define DIAG_NOWHERE UINT64_MAX
struct diag {
    char text[768];  /* what, and what to do about it; empty: nothing reported */
    uint64_t offset; /* byte offset in the input, or DIAG_NOWHERE */
};
#define DIAG_INIT                                                                                                                \
    { .offset = DIAG_NOWHERE }
/* Records text unless something is recorded already; returns e, so `return diag_set(d, ERR_INVALID, off, "...")`. d may be NULL. */
err diag_set(struct diag *d, err e, uint64_t offset, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Puts "prefix: " in front of what is recorded. */
void diag_prefix(struct diag *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- buf: growing bytes on the heap; freed by buf_free. Appending past max sets `full` and drops. - */

struct buf {
    uint8_t *p;
    size_t n, cap;
    size_t max; /* 0: no cap */
    bool full;
};
void buf_free(struct buf *b);
bool buf_reserve(struct buf *b, size_t more); /* room for `more` past n; false when the cap forbids */
bool buf_put(struct buf *b, const void *p, size_t n);
static inline bool buf_puts(struct buf *b, str s) {
    if (UNLIKELY(!s.n || s.n > b->cap - b->n)) return buf_put(b, s.p, s.n);
    memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    return true;
}
static inline bool buf_putc(struct buf *b, uint8_t c) {
    if (UNLIKELY(b->n == b->cap)) return buf_put(b, &c, 1);
    b->p[b->n++] = c;
    return true;
}
bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_drop(struct buf *b, size_t n); /* the first n bytes */
static inline str buf_str(const struct buf *b) { return (str){b->p, b->n}; }
bool buf_u64(struct buf *b, uint64_t v); /* in decimal; printf takes ten times as long */
bool buf_i64(struct buf *b, int64_t v);
bool buf_thousandths(struct buf *b, double v); /* a finite number with three decimals */
/* On storage of the caller's that is not to be freed: an array, that is. */
#define BUF_FIXED(storage) ((struct buf){.p = (storage), .cap = sizeof(storage), .max = sizeof(storage)})

/* ---- rd: sticky reader. The first failure parks the cursor and keeps its offset and reason. ------- */

struct rd {
    const uint8_t *p, *end, *start;
    const char *fail; /* NULL, or what went wrong first */
    uint64_t fail_at; /* offset from start */
};
static inline struct rd rd_of(str s) { return (struct rd){s.p, s.p + s.n, s.p, NULL, 0}; }
static inline size_t rd_left(const struct rd *r) { return (size_t)(r->end - r->p); }
static inline uint64_t rd_at(const struct rd *r) { return (uint64_t)(r->p - r->start); }
void rd_fail(struct rd *r, const char *why); /* keeps the first; moves the cursor to the end */
uint8_t rd_u8(struct rd *r);
uint32_t rd_u32le(struct rd *r);
uint64_t rd_u64le(struct rd *r);
str rd_bytes(struct rd *r, size_t n);

/* ---- log: one line an event; text on a terminal, JSON otherwise ----------------------------------- */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
struct log_field {
    const char *key;
    enum { LOG_STR, LOG_LINES, LOG_U64, LOG_I64, LOG_F64, LOG_BOOL } kind;
    union {
        str s;
        uint64_t u;
        int64_t i;
        double f;
        bool b;
    };
};
#define LF_STR(k, v) ((struct log_field){(k), LOG_STR, {.s = (v)}})
#define LF_LINES(k, v)                                                                                                           \
    ((struct log_field){(k), LOG_LINES, {.s = (v)}}) /* a string of lines; as text they follow the event's own line */
#define LF_CSTR(k, v) ((struct log_field){(k), LOG_STR, {.s = str_c(v)}})
#define LF_U64(k, v) ((struct log_field){(k), LOG_U64, {.u = (v)}})
#define LF_I64(k, v) ((struct log_field){(k), LOG_I64, {.i = (v)}})
#define LF_F64(k, v) ((struct log_field){(k), LOG_F64, {.f = (v)}})
#define LF_BOOL(k, v) ((struct log_field){(k), LOG_BOOL, {.b = (v)}})
void log_init(int fd, bool json, enum log_level min); /* default: stderr, JSON unless it is a terminal, LOG_INFO */
/* Where lines go instead: send takes whole lines (at most 64 KiB) or none (false), and does not wait; those are counted, and the count is
 * a line "log-lost". NULL: the descriptor again, which may wait for its reader. */
typedef bool (*log_send_fn)(void *arg, str lines);
void log_to(log_send_fn send, void *arg);
/* Whose a line is: the buffer that takes it as JSON, or NULL: nobody's. *alone: it goes nowhere else. NULL: no line is anybody's. */
typedef struct buf *(*log_tap_fn)(void *arg, enum log_level level, const struct log_field *fields, size_t n, bool *alone);
void log_tap(log_tap_fn fn, void *arg);
struct log_style {
    bool json;
    enum log_level min;
} log_style(void);
void log_format(struct buf *b, enum log_level level, const char *event, const struct log_field *fields,
                size_t n); /* appends a line */
void log_format_json(struct buf *b, enum log_level level, const char *event, const struct log_field *fields, size_t n);
void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n);
/* Lines but errors are held back until log_flush, so that a busy process writes several at once. */
void log_hold(bool hold);
void log_flush(void);
/* log_event(LOG_INFO, "started", LF_STR("address", a), LF_U64("workers", n)); one call of the sink a line, unless held. */
#define log_event(level, event, ...)                                                                                             \
    log_emit((level), (event), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, )(struct log_field){0}},                      \
             sizeof((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, )(struct log_field){0}}) / sizeof(struct log_field) - 1)

/* ---- clock ------------------------------------------------------------------------------------------ */

uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void); /* since 1970-01-01T00:00:00Z */

#endif
