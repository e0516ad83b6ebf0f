/* page: the development error page: what is known of a request that failed, as HTML. Every text in it is a guest's or a client's, and escaped. */
#include "node/worker/report.h"

static void put_escaped(struct buf *to, str s) {
    for (size_t i = 0; i < s.n; i++) switch (s.p[i]) {
        case '<': buf_puts(to, STR("&lt;")); break;
        case '>': buf_puts(to, STR("&gt;")); break;
        case '&': buf_puts(to, STR("&amp;")); break;
        case '"': buf_puts(to, STR("&quot;")); break;
        default: buf_putc(to, s.p[i]); break;
        }
}

void node_dev_page(struct buf *to, const struct node_dev_report *r) {
    struct buf text = {.max = 128 * KiB};
    node_dev_report_text(r, &text);
    buf_printf(to, "<!doctype html><meta charset=utf-8><title>%u %s</title><pre style=\"white-space:pre-wrap;margin:2em\">",
               r->status, r->reason);
    put_escaped(to, buf_str(&text));
    buf_puts(to, STR("</pre>\n"));
    buf_free(&text);
}
