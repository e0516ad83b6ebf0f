/* report: see report.h. */
#include "net/exchange.h"
#include "node/worker/handler_int.h"
#include "node/worker/report.h"

static str last_lines(const struct node_lines *l) {
    return l->last_n ? (str){(const uint8_t *)l->last, l->last_n - 1} : (str){0};
}

static void put_lacks(arena *out, const struct app_lacks *from, struct node_dev_report *to) {
    for (uint32_t i = 0; from && i < from->count && i < ARRAY_COUNT(to->lacks); i++) {
        enum app_lack kind = from->of[i].kind;
        str value = arena_str(out, (str){(const uint8_t *)from->of[i].value, from->of[i].n});
        const char *key = app_lack_key(kind);
        str line = kind == APP_LACK_ENV        ? arena_fmt(out, "%s = { NAME = \"value\" }", key)
                   : kind == APP_LACK_VARIABLE ? arena_fmt(out, "%s = { " STR_FMT " = \"value\" }", key, STR_ARG(value))
                                               : arena_fmt(out, "%s = [\"" STR_FMT "\"]", key, STR_ARG(value));
        to->lacks[to->lacks_count++] = (struct node_dev_lack){app_lack_what(kind), value, line};
    }
}

static void put_outcome(arena *out, const struct node_request *r, struct node_dev_report *to) {
    const struct wasi_outcome *o = r->outcome;
    struct buf trace = {.max = 32 * KiB};
    to->why = node_access_why(r, o);
    to->detail = str_c(node_access_detail(o));
    to->exited = o->end == WASI_END_EXIT;
    to->exit_status = o->exit_status;
    if (o->trap) node_backtrace_lines(o->trap, &trace);
    to->backtrace = arena_str(out, buf_str(&trace));
    buf_free(&trace);
}

void node_dev_report_of(arena *out, const struct node_request *r, struct node_dev_report *to) {
    to->why = "";
    to->id = str_c(r->id);
    to->request = net_exchange_request(r->exchange);
    to->path = r->path;
    to->ms = (clock_mono_ns() - r->started_ns) / 1'000'000;
    if (!r->app) return;
    to->app = r->app->record.name;
    to->version = r->app->record.version;
    if (!r->part || !r->part->function) return;
    to->function = r->part->function->name;
    to->out = last_lines(&r->out), to->err = last_lines(&r->err);
    to->cpu_us = r->rq.meter.used_ns / 1000;
    put_lacks(out, r->rq.lacks, to);
    if (r->outcome) put_outcome(out, r, to);
}

static void put_block(struct buf *to, const char *title, str text) {
    if (!text.n) return;
    buf_printf(to, "\n%s\n", title);
    while (text.n) {
        str line;
        str_cut(text, '\n', &line, &text);
        buf_printf(to, "    " STR_FMT "\n", STR_ARG(line));
    }
}

void node_dev_report_text(const struct node_dev_report *r, struct buf *to) {
    buf_printf(to, "%u %s\n%s\n", r->status, r->reason, r->sentence);
    if (r->advice.n) buf_printf(to, STR_FMT "\n", STR_ARG(r->advice));
    if (r->why[0]) buf_printf(to, "\n%s%s" STR_FMT "\n", r->why, r->detail.n ? ": " : "", STR_ARG(r->detail));
    put_block(to, "Backtrace, the innermost frame first:", r->backtrace);
    put_block(to, "Its last lines on standard error:", r->err);
    put_block(to, "Its last lines on standard output:", r->out);
    for (uint32_t i = 0; i < r->lacks_count; i++)
        buf_printf(to, "%s    It asked for %s, which it was not granted. For its function in orlo.toml:\n        " STR_FMT "\n",
                   i ? "" : "\n", r->lacks[i].what, STR_ARG(r->lacks[i].line));
    buf_printf(to, "\n" STR_FMT " " STR_FMT "\nRequest " STR_FMT, STR_ARG(r->request->method), STR_ARG(r->path), STR_ARG(r->id));
    if (r->app.n) buf_printf(to, ", app " STR_FMT " version %u", STR_ARG(r->app), r->version);
    if (r->function.n)
        buf_printf(to, ", function " STR_FMT ", %llu ms, of them %llu.%llu computing", STR_ARG(r->function),
                   (unsigned long long)r->ms, (unsigned long long)(r->cpu_us / 1000), (unsigned long long)(r->cpu_us / 100 % 10));
    buf_putc(to, '\n');
}
