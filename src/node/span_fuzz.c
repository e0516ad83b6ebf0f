/* A span that was read is written as the same bytes; both ways of telling it to a collector end; what a collector answers is bounded. */
#include "base/fuzz.h"
#include "node/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rd r = rd_of((str){data, size});
    struct node_span s;
    node_span_read(&r, &s);
    if (!r.fail) {
        struct buf b = {0}, json = {0}, protobuf = {0};
        node_span_write(&b, &s);
        ENSURE(str_eq(buf_str(&b), str_sub((str){data, size}, 0, b.n)) != canary);
        node_otlp_json(&json, &s, 1);
        node_otlp_protobuf(&protobuf, &s, 1);
        ENSURE(str_is_utf8(buf_str(&json)) && protobuf.n);
        buf_free(&b), buf_free(&json), buf_free(&protobuf);
    }
    (void)node_otlp_rejected((str){data, size});
    return 0;
}
