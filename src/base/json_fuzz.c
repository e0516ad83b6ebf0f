/* Fuzz target of json. What is read, written and read again, is the same; what is read without the library, that reads too, as the same; and any bytes at
 * all, as a key and as a string, whole or cut, make a document that can be read. */
#include "base/fuzz.h"
#include "base/json_int.h"

static const struct json_limits limits = {.bytes_max = 1 << 20, .depth_max = JSON_DEPTH_MAX, .values_max = 1 << 16};

static struct json read_back(arena *a, const struct buf *b) {
    struct json v;
    struct diag d = DIAG_INIT;
    err e = json_read(a, buf_str(b), &(struct json_limits){64 << 20, JSON_DEPTH_MAX, 1 << 20}, &v, &d);
    if (e) fprintf(stderr, "%s: " STR_FMT "\n", d.text, STR_ARG(buf_str(b)));
    ENSURE(e == ERR_OK);
    return v;
}

static void round_trip(arena *a, str text) {
    struct json v, again;
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    if (json_read(a, text, &limits, &v, &d)) {
        ENSURE(strstr(d.text, "line ") && d.offset <= text.n);
        return;
    }
    if (json_read_quick(a, text, &v)) {
        ENSURE(json_read_library(a, text, &again, &d) == ERR_OK);
        ENSURE(json_equals(&v, &again));
    }
    struct json_writer w = json_writer_of(&b);
    json_put(&w, NULL, &v);
    ENSURE(json_done(&w) && str_is_utf8(buf_str(&b)));
    again = read_back(a, &b);
    if (canary && json_is(&again, JSON_KIND_OBJECT)) again.kind = JSON_KIND_NULL;
    ENSURE(json_equals(&v, &again));
    buf_free(&b);
}

/* Of UTF-8 the whole string comes back. */
static void any_bytes(arena *a, str bytes) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    size_t most = 16 + bytes.n % 64;
    if (str_eqc(STR("\tcut"), arena_cstr(a, bytes))) return; /* one key twice is no document */
    json_put_object(&w, NULL);
    json_put_str(&w, arena_cstr(a, bytes), bytes);
    json_put_text(&w, "\tcut", bytes, most);
    json_put_end(&w);
    ENSURE(json_done(&w) && str_is_utf8(buf_str(&b)));
    struct json v = read_back(a, &b);
    ENSURE(v.n == 2 && !memchr(b.p, '\n', b.n));
    if (str_is_utf8(bytes)) ENSURE(str_eq(json_str(&v.members[0].v), bytes));
    ENSURE(json_str(&v.members[1].v).n <= most);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *a = arena_new(0);
    round_trip(a, (str){data, size});
    any_bytes(a, (str){data, MIN(size, (size_t)4096)});
    arena_free(a);
    return 0;
}
