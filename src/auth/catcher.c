/* catcher: mails and messages that wait in `orlo dev`, as a page: what they look like, their codes and links. Elsewhere it is not there. */
#include "auth/auth_int.h"

enum { MOST = 50 };

static str text_of(const struct json *row, const char *key) { return json_str(json_get(row, key)); }

static void put_mail(struct buf *b, const struct json *row) {
    const struct json *variables = json_get(row, "variables");
    str code = json_str(json_get(variables, "Token")), link = json_str(json_get(variables, "ConfirmationURL")),
        html = text_of(row, "html");
    if (!code.n) code = json_str(json_get(variables, "Code"));
    buf_puts(b, STR("<article><h2>"));
    auth_put_html(b, text_of(row, "subject").n ? text_of(row, "subject") : text_of(row, "body"));
    buf_puts(b, STR("</h2><p>"));
    auth_put_html(b, text_of(row, "kind"));
    buf_puts(b, STR(" &rarr; <b>"));
    auth_put_html(b, text_of(row, "recipient"));
    buf_puts(b, STR("</b> <time>"));
    auth_put_html(b, text_of(row, "created_at"));
    buf_puts(b, STR("</time></p>"));
    if (code.n) buf_puts(b, STR("<p>code <code>")), auth_put_html(b, code), buf_puts(b, STR("</code></p>"));
    if (link.n) {
        buf_puts(b, STR("<p><a href=\"")), auth_put_html(b, link), buf_puts(b, STR("\" target=\"_blank\" rel=\"noreferrer\">"));
        auth_put_html(b, link), buf_puts(b, STR("</a></p>"));
    }
    if (html.n) { /* whatever it says, it runs nothing, and is of no origin */
        buf_puts(b, STR("<iframe sandbox=\"allow-popups allow-popups-to-escape-sandbox\" referrerpolicy=\"no-referrer\" "
                        "title=\"as it looks\" srcdoc=\""));
        auth_put_html(b, STR("<base target=\"_blank\">")), auth_put_html(b, html);
        buf_puts(b, STR("\"></iframe>"));
    }
    buf_puts(b, STR("<details><summary>as text</summary><pre>"));
    auth_put_html(b, text_of(row, "body"));
    buf_puts(b, STR("</pre></details></article>"));
}

bool auth_do_caught(struct auth_call *c) {
    struct auth_batch batch;
    struct json answers;
    struct buf *b = &c->out;
    if (!c->host->catches) return auth_fail(c, AUTH_ERROR_not_found);
    auth_batch_begin(&batch);
    auth_tree(&batch, "select", "orlo_mails");
    json_put_raw(&batch.w, "select", STR("[\"*\"]"));
    json_put_raw(&batch.w, "order", STR("[{\"column\":\"created_at\",\"desc\":true},\"id\"]"));
    json_put_u64(&batch.w, "limit", MOST);
    auth_end(&batch);
    if (auth_run(c, &batch, "Mails cannot be read", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    buf_puts(
        b,
        STR("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
            "content=\"width=device-width\">"
            "<title>Mails that were caught</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:720px;margin:2em auto;"
            "padding:0 1em;background:#f4f4f5;color:#18181b}article{background:#fff;border-radius:8px;padding:1px 1.5em "
            "1em;margin:1em 0}"
            "h2{font-size:1.1em}time{color:#71717a}code{font-size:1.4em;letter-spacing:2px}a{overflow-wrap:anywhere}"
            "iframe{width:100%;height:24em;border:1px solid "
            "#d4d4d8;border-radius:6px;background:#fff}pre{white-space:pre-wrap}</style></head><body><h1>Mails "
            "that were caught</h1>"));
    const struct json *rows = json_get(json_item(&answers, 0), "rows");
    JSON_EACH(row, rows) put_mail(b, row);
    if (!json_count(rows))
        buf_puts(b, STR("<p>None so far. What the app sends to its users comes here: load the page again.</p>"));
    buf_puts(b, STR("</body></html>\n"));
    auth_add_field(
        c, "content-security-policy",
        STR("default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; form-action 'none'; frame-ancestors 'none'"));
    auth_add_field(c, "referrer-policy", STR("no-referrer"));
    auth_add_field(c, "x-content-type-options", STR("nosniff"));
    c->to->type = STR("text/html; charset=utf-8");
    return auth_answer(c, 200);
}
