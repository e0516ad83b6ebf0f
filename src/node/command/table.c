/* table: see table.h. */
#include "node/command/table.h"
#include <unistd.h>

void node_table_begin(struct table *t, arena *mem, const char *const *heads) {
    *t = (struct table){.mem = mem, .heads = heads};
    while (heads[t->columns]) t->columns++;
    ENSURE(t->columns && t->columns <= TABLE_COLUMNS_MAX);
}

void node_table_put(struct table *t, str text) {
    str cell = arena_str(t->mem, text);
    for (size_t i = 0; i < cell.n; i++)
        if (cell.p[i] == '\t' || cell.p[i] == '\n') ((uint8_t *)(uintptr_t)cell.p)[i] = ' ';
    text_tame((char *)(uintptr_t)cell.p, cell.n);
    vec_push(t->mem, &t->cells, cell);
}

void node_table_fmt(struct table *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    node_table_put(t, arena_vfmt(t->mem, fmt, ap));
    va_end(ap);
}

static uint32_t width(str s) {
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static void print_row(const struct table *t, const str *cells, const uint32_t *widths, FILE *to) {
    for (uint32_t c = 0; c < t->columns; c++) {
        bool last = c + 1 == t->columns;
        if (cells[c].n) fwrite(cells[c].p, 1, cells[c].n, to);
        if (last) break;
        if (!widths) fputc('\t', to);
        else fprintf(to, "%*s", (int)(widths[c] - width(cells[c]) + 2), "");
    }
    fputc('\n', to);
}

void node_table_print(const struct table *t, FILE *to) {
    uint32_t widths[TABLE_COLUMNS_MAX] = {0};
    str heads[TABLE_COLUMNS_MAX];
    bool aligned = isatty(fileno(to));
    ENSURE(t->cells.n % t->columns == 0);
    for (uint32_t c = 0; c < t->columns; c++) heads[c] = str_c(t->heads[c]), widths[c] = width(heads[c]);
    for (uint32_t i = 0; i < t->cells.n; i++) widths[i % t->columns] = MAX(widths[i % t->columns], width(t->cells.p[i]));
    if (t->cells.n) print_row(t, heads, aligned ? widths : NULL, to);
    for (uint32_t i = 0; i < t->cells.n; i += t->columns) print_row(t, t->cells.p + i, aligned ? widths : NULL, to);
}

str node_table_age(arena *out, uint64_t s) {
    if (s < 120) return arena_fmt(out, "%llu s", (unsigned long long)s);
    if (s < 2 * 3600) return arena_fmt(out, "%llu min", (unsigned long long)(s / 60));
    if (s < 2 * 86'400) return arena_fmt(out, "%llu h", (unsigned long long)(s / 3600));
    return arena_fmt(out, "%llu d", (unsigned long long)(s / 86'400));
}

str node_table_bytes(arena *out, uint64_t n) {
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double v = (double)n / 1000;
    size_t unit = 0;
    if (n < 1000) return arena_fmt(out, "%llu B", (unsigned long long)n);
    while (v >= 999.95 && unit + 1 < ARRAY_COUNT(units)) v /= 1000, unit++;
    return arena_fmt(out, v < 10 ? "%.1f %s" : "%.0f %s", v, units[unit]);
}

void node_table_json(FILE *to, const struct json *v) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put(&w, NULL, v);
    fprintf(to, STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}
