/* A CGI guest for tests of server-sent events: /events goes on from Last-Event-ID, one every 100 ms without end; /dots the same as plain text. */
#include "p1.h"

IMPORT("poll_oneoff") int poll_oneoff(const void *in, void *out, size_t count, size_t *done);

static void sleep_ms(uint64_t ms) {
    struct {
        uint64_t userdata;
        uint8_t tag, pad[7];
        uint32_t clock, pad2;
        uint64_t timeout, precision;
        uint16_t flags, pad3[3];
    } in = {.tag = 0, .clock = 1, .timeout = ms * 1000000};
    char out[32];
    size_t n;
    poll_oneoff(&in, out, 1, &n);
}

__attribute__((export_name("_start"))) void start(void) {
    load_environ();
    int events = same(variable("PATH_INFO"), "/events");
    uint64_t id = 0;
    for (const char *s = variable("HTTP_LAST_EVENT_ID"); *s >= '0' && *s <= '9'; s++) id = id * 10 + (uint64_t)(*s - '0');
    put(1, events ? "Content-Type: text/event-stream; charset=utf-8\n\nretry: 50\n\n" : "Content-Type: text/plain\n\n");
    for (;;) {
        if (events) put(1, "id: "), put_number(1, ++id), put(1, "\ndata: "), put_number(1, id), put(1, "\n\n");
        else put(1, ".");
        sleep_ms(100);
    }
}
