/* Fields of a request, one a line "NAME: VALUE": what is taken over is well-formed, and goes out as it came in. */
#include "app/trace.h"
#include "base/fuzz.h"
#include "net/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net_field f[64];
    struct net_request rq = {.fields = f};
    struct app_trace t;
    for (str rest = {data, size}, line; rest.n && rq.fields_count < ARRAY_COUNT(f); rq.fields_count++) {
        str_cut(rest, '\n', &line, &rest);
        str_cut(line, ':', &f[rq.fields_count].name, &f[rq.fields_count].value);
    }
    app_trace_of(&rq, &t);
    if (t.on) {
        char text[APP_TRACEPARENT_BYTES + 1];
        struct app_trace back = {0};
        struct buf state = {0};
        app_traceparent_write(&t, t.parent, text);
        ENSURE(app_traceparent_read(str_c(text), &back) && (back.sampled == t.sampled) != canary);
        ENSURE(!memcmp(back.trace, t.trace, sizeof t.trace) && !memcmp(back.parent, t.parent, sizeof t.parent));
        ENSURE(app_tracestate_add(&state, t.state) && str_eq(buf_str(&state), t.state));
        buf_free(&state);
    }
    app_trace_end(&t);
    return 0;
}
