/* page: the development error page: what is known of a request that failed, as HTML. Every text in it is a guest's or a client's, and escaped;
 * it loads nothing and runs nothing. */
#include "net/exchange.h"
#include "node/worker/report.h"
#include "rest_page.h"

static const char head[] =
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"
    "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "h1{font-size:1.5em;margin:0}h2{font-size:1em;margin:1.6em 0 .3em}p{margin:.3em 0}"
    "pre{background:#f4f4f2;border-left:4px solid #bbb;padding:.7em 1em;margin:.3em 0;overflow:auto;font:13px/1.45 "
    "ui-monospace,monospace}"
    "pre.bad{border-color:#c33;background:#fff3f2}pre.add{border-color:#2a7;background:#f0faf4}"
    "table{border-collapse:collapse;font:13px ui-monospace,monospace}td{padding:.1em 1em .1em "
    "0;vertical-align:top;word-break:break-all}"
    "small{color:#777}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#1c1c1e}pre{background:#29292c}pre.bad{background:#3a2322}pre."
    "add{"
    "background:#1f3328}}</style>";

static void put(struct buf *to, const char *html) { buf_puts(to, str_c(html)); }

static void put_escaped(struct buf *to, str s) {
    for (size_t i = 0; i < s.n; i++) switch (s.p[i]) {
        case '<': put(to, "&lt;"); break;
        case '>': put(to, "&gt;"); break;
        case '&': put(to, "&amp;"); break;
        case '"': put(to, "&quot;"); break;
        default: buf_putc(to, s.p[i]); break;
        }
}

static void put_block(struct buf *to, const char *title, const char *kind, str text) {
    if (!text.n) return;
    buf_printf(to, "<h2>%s</h2><pre class=%s>", title, kind);
    put_escaped(to, text);
    put(to, "</pre>\n");
}

static void put_why(struct buf *to, const struct node_dev_report *r) {
    if (!r->why[0]) return;
    put(to, "<h2>What happened</h2><pre class=bad>");
    put_escaped(to, str_c(r->why));
    if (r->exited) buf_printf(to, " (status %d)", r->exit_status);
    if (r->detail.n) put(to, ": ");
    put_escaped(to, r->detail);
    put(to, "</pre>\n");
}

static void put_lacks(struct buf *to, const struct node_dev_report *r) {
    for (uint32_t i = 0; i < r->lacks_count; i++) {
        const struct node_dev_lack *l = &r->lacks[i];
        buf_printf(to, "<h2>It asked for %s, which it was not granted</h2><p><code>", l->what);
        put_escaped(to, l->value);
        put(to, "</code> &ndash; this line in its function grants it:<pre class=add>[functions.");
        put_escaped(to, r->function.n ? r->function : STR("NAME"));
        put(to, "]\n");
        put_escaped(to, l->line);
        put(to, "</pre>\n");
    }
}

static void put_request(struct buf *to, const struct node_dev_report *r) {
    put(to, "<h2>The request</h2><pre>");
    put_escaped(to, r->request->method);
    buf_putc(to, ' ');
    put_escaped(to, r->path);
    for (uint32_t i = 0; i < r->request->fields_count; i++) {
        buf_putc(to, '\n');
        put_escaped(to, r->request->fields[i].name);
        put(to, ": ");
        put_escaped(to, r->request->fields[i].value);
    }
    put(to, "</pre>\n");
}

static void put_whose(struct buf *to, const struct node_dev_report *r) {
    put(to, "<p><small>Request <code>");
    put_escaped(to, r->id);
    put(to, "</code>");
    if (r->app.n) {
        put(to, ", app <code>");
        put_escaped(to, r->app);
        buf_printf(to, "</code> version %u", r->version);
    }
    if (r->function.n) {
        put(to, ", function <code>");
        put_escaped(to, r->function);
        buf_printf(to, "</code>, %llu ms, of them %llu.%llu computing", (unsigned long long)r->ms,
                   (unsigned long long)(r->cpu_us / 1000), (unsigned long long)(r->cpu_us / 100 % 10));
    }
    put(to, ". Only <code>orlo dev</code> shows this page: elsewhere it is the first sentence, and the rest stands in the "
            "log.</small>\n");
}

void node_dev_page(struct buf *to, const struct node_dev_report *r) {
    put(to, head);
    buf_printf(to, "<title>%u %s</title><h1>%u %s</h1><p>", r->status, r->reason, r->status, r->reason);
    put_escaped(to, str_c(r->sentence));
    if (r->advice.n) put(to, "<p>");
    put_escaped(to, r->advice);
    put_lacks(to, r);
    put_why(to, r);
    put_block(to, "Its last lines on standard error", "bad", r->err);
    put_block(to, "Backtrace, the innermost frame first", "bad", r->backtrace);
    put_block(to, "Its last lines on standard output", "out", r->out);
    put_request(to, r);
    put_whose(to, r);
}

void node_dev_rest_page(struct buf *to, str nonce) {
    static const char mark[] = "NONCE";
    for (const char *at = rest_page, *next; at; at = next ? next + sizeof mark - 1 : NULL) {
        next = strstr(at, mark);
        buf_puts(to, next ? (str){(const uint8_t *)at, (size_t)(next - at)} : str_c(at));
        if (next) buf_puts(to, nonce);
    }
}
