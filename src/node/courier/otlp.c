/* otlp: spans as OpenTelemetry's protocol has them (opentelemetry-proto 1.x, trace/v1/trace.proto), in protobuf's wire format or in JSON.
 *
 *   ExportTraceServiceRequest ─ resource_spans 1 ─┬─ resource 1 ─ attributes 1: service.name (the app's), service.version …
 *                                                 └─ scope_spans 2 ─┬─ scope 1: name, version
 *                                                                   └─ spans 2 …
 *
 * In protobuf a message stands in another behind its length, so what is inside is made first; in JSON 64-bit numbers are strings,
 * identifiers hexadecimal.
 */
#include "base/json.h"
#include "node/span.h"
#include <stdlib.h>

static int by_app(const void *a, const void *b) {
    const struct node_span *x = a, *y = b;
    int c = str_cmp(x->app, y->app);
    return c ? c : x->version < y->version ? -1 : x->version > y->version;
}

/* How many from the first on are of one app in one version. */
static size_t run_of(const struct node_span *s, size_t n) {
    size_t k = 1;
    while (k < n && !by_app(&s[0], &s[k])) k++;
    return k;
}

static bool is_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

static str version_text(uint32_t version, char to[static 16]) {
    return (str){(uint8_t *)to, (size_t)snprintf(to, 16, "%u", version)};
}

static const str service_name = STR_INIT("service.name"), service_version = STR_INIT("service.version"),
                 scope_name = STR_INIT("orlo");

/* ---- protobuf ---- */

static void put_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7) buf_putc(b, (uint8_t)(v | 0x80));
    buf_putc(b, (uint8_t)v);
}
static void put_tag(struct buf *b, unsigned field, unsigned type) { put_varint(b, field << 3 | type); }
static void put_bytes(struct buf *b, unsigned field, str s) {
    put_tag(b, field, 2);
    put_varint(b, s.n);
    buf_puts(b, s);
}
static void put_number(struct buf *b, unsigned field, uint64_t v) {
    put_tag(b, field, 0);
    put_varint(b, v);
}
static void put_fixed64(struct buf *b, unsigned field, uint64_t v) {
    put_tag(b, field, 1);
    for (int i = 0; i < 8; i++) buf_putc(b, (uint8_t)(v >> 8 * i));
}

/* A string has to be UTF-8, or the whole request is refused. */
static void put_string(struct buf *b, unsigned field, str s) {
    if (str_is_utf8(s)) {
        put_bytes(b, field, s);
        return;
    }
    struct buf clean = {0};
    for (size_t i = 0; i < s.n; i++) buf_putc(&clean, s.p[i] < 0x80 ? s.p[i] : '?');
    put_bytes(b, field, buf_str(&clean));
    buf_free(&clean);
}

static void put_attr(struct buf *b, unsigned field, const struct node_attr *a) {
    struct buf key_value = {0}, value = {0};
    if (a->is_number) put_number(&value, 3, (uint64_t)a->number);
    else put_string(&value, 1, a->text);
    put_string(&key_value, 1, a->key);
    put_bytes(&key_value, 2, buf_str(&value));
    put_bytes(b, field, buf_str(&key_value));
    buf_free(&value), buf_free(&key_value);
}

static void put_span(struct buf *b, const struct node_span *s) {
    struct buf span = {0}, status = {0};
    put_bytes(&span, 1, (str){s->trace, sizeof s->trace});
    put_bytes(&span, 2, (str){s->span, sizeof s->span});
    if (s->state.n) put_string(&span, 3, s->state);
    if (!is_zero(s->parent, sizeof s->parent)) put_bytes(&span, 4, (str){s->parent, sizeof s->parent});
    put_string(&span, 5, s->name);
    put_number(&span, 6, s->kind);
    put_fixed64(&span, 7, s->start_ns);
    put_fixed64(&span, 8, s->end_ns);
    for (uint32_t i = 0; i < s->attrs_count; i++) put_attr(&span, 9, &s->attrs[i]);
    if (s->error && s->message.n) put_string(&status, 2, s->message);
    if (s->error) put_number(&status, 3, 2);
    if (status.n) put_bytes(&span, 15, buf_str(&status));
    put_bytes(b, 2, buf_str(&span));
    buf_free(&span), buf_free(&status);
}

static void put_resource(struct buf *b, const struct node_span *first) {
    struct buf resource = {0};
    char version[16];
    put_attr(&resource, 1, &(struct node_attr){.key = service_name, .text = first->app});
    put_attr(&resource, 1, &(struct node_attr){.key = service_version, .text = version_text(first->version, version)});
    put_attr(&resource, 1, &(struct node_attr){.key = STR("telemetry.sdk.name"), .text = scope_name});
    put_bytes(b, 1, buf_str(&resource));
    buf_free(&resource);
}

static void put_scope(struct buf *b) {
    struct buf scope = {0};
    put_string(&scope, 1, scope_name);
    put_string(&scope, 2, STR(ORLO_VERSION));
    put_bytes(b, 1, buf_str(&scope));
    buf_free(&scope);
}

void node_otlp_protobuf(struct buf *to, struct node_span *spans, size_t n) {
    if (n) qsort(spans, n, sizeof *spans, by_app);
    for (size_t i = 0, count; i < n; i += count) {
        struct buf of_scope = {0}, of_resource = {0};
        count = run_of(&spans[i], n - i);
        put_scope(&of_scope);
        for (size_t k = 0; k < count; k++) put_span(&of_scope, &spans[i + k]);
        put_resource(&of_resource, &spans[i]);
        put_bytes(&of_resource, 2, buf_str(&of_scope));
        put_bytes(to, 1, buf_str(&of_resource));
        buf_free(&of_scope), buf_free(&of_resource);
    }
}

/* ---- what the collector says: partial_success 1 { rejected_spans 1 } ---- */

static uint64_t get_varint(struct rd *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = rd_u8(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return v;
    }
    rd_fail(r, "a number that is too long");
    return 0;
}

/* The value of the last field of that number and type in a message; other fields are passed over. */
static bool find_field(str message, unsigned field, unsigned type, uint64_t *number, str *bytes) {
    struct rd r = rd_of(message);
    bool found = false;
    while (rd_left(&r) && !r.fail) {
        uint64_t tag = get_varint(&r), v = 0;
        str s = {0};
        switch (tag & 7) {
        case 0: v = get_varint(&r); break;
        case 1: rd_bytes(&r, 8); break;
        case 2: v = get_varint(&r), s = rd_bytes(&r, (size_t)v), v = 0; break;
        case 5: rd_bytes(&r, 4); break;
        default: rd_fail(&r, "no type of protobuf");
        }
        if (!r.fail && tag == (uint64_t)(field << 3 | type)) found = true, *number = v, *bytes = s;
    }
    return found && !r.fail;
}

uint64_t node_otlp_rejected(str response) {
    uint64_t n = 0, none;
    str partial, nothing;
    if (!find_field(response, 1, 2, &none, &partial) || !find_field(partial, 1, 0, &n, &nothing)) return 0;
    return n;
}

/* ---- JSON ---- */

static void json_number(struct json_writer *w, const char *key, uint64_t v) {
    char text[24];
    json_put_str(w, key, (str){(uint8_t *)text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)v)});
}

static void json_attr(struct json_writer *w, const struct node_attr *a) {
    char text[24];
    json_put_object(w, NULL);
    json_put_str(w, "key", a->key);
    json_put_object(w, "value");
    if (a->is_number)
        json_put_str(w, "intValue", (str){(uint8_t *)text, (size_t)snprintf(text, sizeof text, "%lld", (long long)a->number)});
    else json_put_str(w, "stringValue", a->text);
    json_put_end(w);
    json_put_end(w);
}

static void json_span(struct json_writer *w, const struct node_span *s) {
    json_put_object(w, NULL);
    json_put_hex(w, "traceId", "", s->trace, sizeof s->trace);
    json_put_hex(w, "spanId", "", s->span, sizeof s->span);
    if (s->state.n) json_put_str(w, "traceState", s->state);
    if (!is_zero(s->parent, sizeof s->parent)) json_put_hex(w, "parentSpanId", "", s->parent, sizeof s->parent);
    json_put_str(w, "name", s->name);
    json_put_u64(w, "kind", s->kind);
    json_number(w, "startTimeUnixNano", s->start_ns);
    json_number(w, "endTimeUnixNano", s->end_ns);
    json_put_array(w, "attributes");
    for (uint32_t i = 0; i < s->attrs_count; i++) json_attr(w, &s->attrs[i]);
    json_put_end(w);
    json_put_object(w, "status");
    if (s->error && s->message.n) json_put_str(w, "message", s->message);
    if (s->error) json_put_u64(w, "code", 2);
    json_put_end(w);
    json_put_end(w);
}

static void json_resource(struct json_writer *w, const struct node_span *first) {
    char version[16];
    json_put_object(w, "resource");
    json_put_array(w, "attributes");
    json_attr(w, &(struct node_attr){.key = service_name, .text = first->app});
    json_attr(w, &(struct node_attr){.key = service_version, .text = version_text(first->version, version)});
    json_attr(w, &(struct node_attr){.key = STR("telemetry.sdk.name"), .text = scope_name});
    json_put_end(w);
    json_put_end(w);
}

void node_otlp_json(struct buf *to, struct node_span *spans, size_t n) {
    struct json_writer w = json_writer_of(to);
    if (n) qsort(spans, n, sizeof *spans, by_app);
    json_put_object(&w, NULL);
    json_put_array(&w, "resourceSpans");
    for (size_t i = 0, count; i < n; i += count) {
        count = run_of(&spans[i], n - i);
        json_put_object(&w, NULL);
        json_resource(&w, &spans[i]);
        json_put_array(&w, "scopeSpans");
        json_put_object(&w, NULL);
        json_put_object(&w, "scope");
        json_put_str(&w, "name", scope_name);
        json_put_cstr(&w, "version", ORLO_VERSION);
        json_put_end(&w);
        json_put_array(&w, "spans");
        for (size_t k = 0; k < count; k++) json_span(&w, &spans[i + k]);
        json_put_end(&w), json_put_end(&w), json_put_end(&w), json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
}
