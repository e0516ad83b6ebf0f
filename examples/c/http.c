/* http: joins a C program to wasi:http 0.2.
 *
 * The imports are those of wit/, by hand: each takes its operands flattened, and leaves a result that is larger than a word at an
 * address that it is given. Where more of the interfaces is needed, wit-bindgen makes bindings for all of it from wit/. */
#include "http.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(module, name) __attribute__((import_module(module "@0.2.10"), import_name(name)))
#define TYPES(name) IMPORT("wasi:http/types", name)
#define STREAMS(name) IMPORT("wasi:io/streams", name)

/* Where results are put: bytes, or words. */
union result {
    uint8_t tag[64];
    int32_t word[16];
    int64_t align;
};

TYPES("[method]incoming-request.path-with-query") void request_target(int32_t self, union result *r);
TYPES("[resource-drop]incoming-request") void request_drop(int32_t self);
TYPES("[constructor]fields") int32_t fields_new(void);
TYPES("[method]fields.append")
void fields_append(int32_t self, const char *name, size_t name_n, const char *value, size_t value_n, union result *r);
TYPES("[constructor]outgoing-response") int32_t response_new(int32_t fields);
TYPES("[method]outgoing-response.set-status-code") int32_t response_set_status(int32_t self, int32_t status);
TYPES("[method]outgoing-response.body") void response_body(int32_t self, union result *r);
TYPES("[static]response-outparam.set")
void outparam_set(int32_t self, int32_t is_err, int32_t a, int32_t b, int64_t c, int32_t d, int32_t e, int32_t f, int32_t g);
TYPES("[method]outgoing-body.write") void body_write(int32_t self, union result *r);
TYPES("[static]outgoing-body.finish") void body_finish(int32_t self, int32_t some, int32_t trailers, union result *r);
TYPES("[constructor]outgoing-request") int32_t fetch_new(int32_t fields);
TYPES("[method]outgoing-request.set-scheme")
int32_t fetch_set_scheme(int32_t self, int32_t some, int32_t scheme, const char *other, size_t n);
TYPES("[method]outgoing-request.set-authority") int32_t fetch_set_authority(int32_t self, int32_t some, const char *p, size_t n);
TYPES("[method]outgoing-request.set-path-with-query")
int32_t fetch_set_target(int32_t self, int32_t some, const char *p, size_t n);
IMPORT("wasi:http/outgoing-handler", "handle") void fetch_send(int32_t request, int32_t some, int32_t options, union result *r);
TYPES("[method]future-incoming-response.subscribe") int32_t future_subscribe(int32_t self);
TYPES("[method]future-incoming-response.get") void future_get(int32_t self, union result *r);
TYPES("[resource-drop]future-incoming-response") void future_drop(int32_t self);
TYPES("[method]incoming-response.status") int32_t answer_status(int32_t self);
TYPES("[method]incoming-response.consume") void answer_consume(int32_t self, union result *r);
TYPES("[resource-drop]incoming-response") void answer_drop(int32_t self);
TYPES("[method]incoming-body.stream") void download_stream(int32_t self, union result *r);
TYPES("[static]incoming-body.finish") int32_t download_finish(int32_t self);
TYPES("[resource-drop]future-trailers") void trailers_drop(int32_t self);
STREAMS("[method]output-stream.blocking-write-and-flush")
void output_write(int32_t self, const void *p, size_t n, union result *r);
STREAMS("[method]output-stream.blocking-splice") void output_splice(int32_t self, int32_t from, uint64_t n, union result *r);
STREAMS("[resource-drop]output-stream") void output_drop(int32_t self);
STREAMS("[resource-drop]input-stream") void input_drop(int32_t self);
IMPORT("wasi:io/error", "[resource-drop]error") void error_drop(int32_t self);
IMPORT("wasi:io/poll", "[method]pollable.block") void pollable_block(int32_t self);
IMPORT("wasi:io/poll", "[resource-drop]pollable") void pollable_drop(int32_t self);

/* Where the host asks for room for a list or string. Every request has an instance of its own: what is left goes with it. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_n, size_t align, size_t n) {
    (void)old_n, (void)align;
    void *p = realloc(old, n);
    if (n && !p) abort();
    return p;
}

struct sink {
    int32_t body, stream;
};

/* Sends the head; the body is to follow. */
static struct sink begin(struct response *response, int status, const char *type) {
    union result r;
    int32_t fields = fields_new();
    if (type) fields_append(fields, "content-type", strlen("content-type"), type, strlen(type), &r);
    int32_t handle = response_new(fields);
    response_set_status(handle, status);
    response_body(handle, &r);
    struct sink s = {.body = r.word[1]};
    outparam_set(response->outparam, 0, handle, 0, 0, 0, 0, 0, 0);
    body_write(s.body, &r);
    s.stream = r.word[1];
    return s;
}

static void end(struct sink *s) {
    union result r;
    output_drop(s->stream);
    body_finish(s->body, 0, 0, &r);
}

static bool write_all(struct sink *s, const char *p, size_t n) {
    enum { MOST = 4096 }; /* of one call, says the interface */
    union result r;
    for (size_t take; n; p += take, n -= take) {
        take = n < MOST ? n : MOST;
        output_write(s->stream, p, take, &r);
        if (r.tag[0]) return false;
    }
    return true;
}

void respond(struct response *response, int status, const char *type, const void *body, size_t n) {
    struct sink s = begin(response, status, type);
    write_all(&s, body, n);
    end(&s);
}

static void fail(struct response *response, const char *why) { respond(response, 502, "text/plain", why, strlen(why)); }

/* All of an incoming body; the host moves it. */
static void pass_on(struct sink *to, int32_t body) {
    union result r;
    download_stream(body, &r);
    int32_t stream = r.word[1];
    do output_splice(to->stream, stream, 65536, &r);
    while (!r.tag[0]);
    if (!r.tag[8]) error_drop(r.word[3]); /* else it has ended */
    input_drop(stream);
    trailers_drop(download_finish(body));
}

void fetch(struct response *response, const char *url) {
    union result r;
    bool tls = !strncmp(url, "https://", 8);
    if (!tls && strncmp(url, "http://", 7) != 0) {
        fail(response, "the URL begins with neither http:// nor https://\n");
        return;
    }
    const char *authority = url + (tls ? 8 : 7), *target = strchr(authority, '/');
    size_t authority_n = target ? (size_t)(target - authority) : strlen(authority);
    if (!target) target = "/";
    int32_t request = fetch_new(fields_new());
    fetch_set_scheme(request, 1, tls, "", 0);
    fetch_set_authority(request, 1, authority, authority_n);
    fetch_set_target(request, 1, target, strlen(target));
    fetch_send(request, 0, 0, &r);
    if (r.tag[0]) {
        fail(response, "the request was refused\n");
        return;
    }
    int32_t future = r.word[2], ready = future_subscribe(future);
    pollable_block(ready);
    pollable_drop(ready);
    future_get(future, &r);
    future_drop(future);
    if (r.tag[16]) {
        fail(response, "the request failed\n");
        return;
    }
    int32_t answer = r.word[6];
    answer_consume(answer, &r);
    struct sink s = begin(response, answer_status(answer), NULL);
    pass_on(&s, r.word[1]);
    end(&s);
    answer_drop(answer);
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void decode(char *s) {
    char *to = s;
    while (*s) {
        int high = *s == '%' ? digit(s[1]) : -1, low = high >= 0 ? digit(s[2]) : -1;
        *to++ = low >= 0 ? (char)(high << 4 | low) : *s;
        s += low >= 0 ? 3 : 1;
    }
    *to = 0;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.10#handle"))) void incoming_handle(int32_t handle_of_request,
                                                                                              int32_t outparam) {
    union result r;
    request_target(handle_of_request, &r);
    size_t n = r.tag[0] ? (size_t)r.word[2] : 0;
    char *path = malloc(n + 2);
    if (!path) abort();
    memcpy(path, n ? (char *)(intptr_t)r.word[1] : "/", n ? n : 1);
    path[n ? n : 1] = 0;
    char *query = strchr(path, '?');
    if (query) *query++ = 0;
    decode(path);
    handle(&(struct request){handle_of_request, path, query}, &(struct response){outparam});
    request_drop(handle_of_request);
}
