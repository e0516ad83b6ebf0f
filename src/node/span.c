/* span: a span as bytes (span.h). Whoever reads one takes nothing for granted. */
#include "node/span.h"

void node_span_attr(struct node_span *s, const char *key, str text) {
    if (text.n && s->attrs_count < NODE_SPAN_ATTRS_MAX)
        s->attrs[s->attrs_count++] = (struct node_attr){.key = str_c(key), .text = text};
}

void node_span_attr_number(struct node_span *s, const char *key, int64_t v) {
    if (s->attrs_count < NODE_SPAN_ATTRS_MAX)
        s->attrs[s->attrs_count++] = (struct node_attr){.key = str_c(key), .number = v, .is_number = true};
}

/* ---- as bytes ---- */

static void put_u32(struct buf *b, uint32_t v) {
    for (int i = 0; i < 4; i++) buf_putc(b, (uint8_t)(v >> 8 * i));
}
static void put_u64(struct buf *b, uint64_t v) {
    put_u32(b, (uint32_t)v);
    put_u32(b, (uint32_t)(v >> 32));
}
static void put_text(struct buf *b, str s) {
    s.n = MIN(s.n, (size_t)NODE_SPAN_TEXT_MAX);
    put_u32(b, (uint32_t)s.n);
    buf_puts(b, s);
}

void node_span_write(struct buf *b, const struct node_span *s) {
    buf_put(b, s->trace, sizeof s->trace), buf_put(b, s->span, sizeof s->span), buf_put(b, s->parent, sizeof s->parent);
    buf_putc(b, s->kind), buf_putc(b, s->error);
    put_u32(b, s->version);
    put_u64(b, s->start_ns), put_u64(b, s->end_ns);
    put_text(b, s->app), put_text(b, s->name), put_text(b, s->message);
    put_text(b, s->state.n <= NODE_SPAN_TEXT_MAX ? s->state : (str){0}); /* half of one would be another */
    put_u32(b, s->attrs_count);
    for (uint32_t i = 0; i < s->attrs_count; i++) {
        const struct node_attr *a = &s->attrs[i];
        put_text(b, a->key);
        buf_putc(b, a->is_number);
        if (a->is_number) put_u64(b, (uint64_t)a->number);
        else put_text(b, a->text);
    }
}

static void get(struct rd *r, void *to, size_t n) {
    str s = rd_bytes(r, n);
    if (s.n == n) memcpy(to, s.p, n);
    else memset(to, 0, n);
}
static str get_text(struct rd *r) {
    uint32_t n = rd_u32le(r);
    if (n > NODE_SPAN_TEXT_MAX) rd_fail(r, "a text that is too long");
    return rd_bytes(r, n);
}
static bool get_flag(struct rd *r) {
    uint8_t v = rd_u8(r);
    if (v > 1) rd_fail(r, "no flag");
    return v;
}

void node_span_read(struct rd *r, struct node_span *s) {
    *s = (struct node_span){0};
    get(r, s->trace, sizeof s->trace), get(r, s->span, sizeof s->span), get(r, s->parent, sizeof s->parent);
    s->kind = rd_u8(r);
    if (s->kind < NODE_SPAN_INTERNAL || s->kind > NODE_SPAN_CLIENT) rd_fail(r, "no kind of a span");
    s->error = get_flag(r);
    s->version = rd_u32le(r);
    s->start_ns = rd_u64le(r), s->end_ns = rd_u64le(r);
    s->app = get_text(r), s->name = get_text(r), s->message = get_text(r), s->state = get_text(r);
    uint32_t n = rd_u32le(r);
    if (n > NODE_SPAN_ATTRS_MAX) rd_fail(r, "too many attributes");
    for (uint32_t i = 0; i < n && !r->fail; i++) {
        struct node_attr *a = &s->attrs[s->attrs_count++];
        a->key = get_text(r);
        a->is_number = get_flag(r);
        if (a->is_number) a->number = (int64_t)rd_u64le(r);
        else a->text = get_text(r);
    }
    if (r->fail) *s = (struct node_span){0};
}
