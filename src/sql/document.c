/* document: the tables that the translator works by, as docs/sql.md has them. */
#include "pg/pg.h"
#include "sql/sql.h"
#include <stdio.h>

/* ---- types ---- */

static void types(struct buf *to) {
    static const char *const stored[] = {"INTEGER", "REAL", "TEXT", "BLOB", ""};
    uint32_t n;
    const struct pg_type *t = pg_types_all(&n);
    buf_puts(to, STR("### Types\n\n| type | stored as | compared by |\n| --- | --- | --- |\n"));
    for (uint32_t i = 0; i < n; i++)
        if (t[i].kind == PG_KIND_BASE)
            buf_printf(to, "| %s | %s | %s |\n", t[i].sql, stored[t[i].storage],
                       t[i].collation[0] ? t[i].collation : "its bytes or number");
    buf_puts(to, STR("| arrays of all of these | TEXT, a JSON array | elements in turn |\n| enums | INTEGER, in the labels' "
                     "order | its number |\n"
                     "| domains | as their base | as their base |\n\nRefused:"));
    for (uint32_t i = 0, some = 0; i < n; i++)
        if (t[i].kind == PG_KIND_REFUSED) buf_printf(to, "%s %s", some++ ? "," : "", t[i].sql);
    buf_puts(to, STR(".\n\n"));
}

/* ---- statements, extensions, lints ---- */

static void statements(struct buf *to) {
    static const char *const rows[][2] = {
#define STATEMENT(node, member, handler, what, how) {what, how},
#include "sql/statements.def"
#undef STATEMENT
    };
    buf_puts(to, STR("### Statements\n\n| statement | what it becomes on SQLite |\n| --- | --- |\n"));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) buf_printf(to, "| %s | %s |\n", rows[i][0], rows[i][1]);
    buf_puts(to, STR("\nEverything else is refused by its name.\n\n"));
}

static void extensions(struct buf *to) {
    static const char *const rows[][4] = {
#define EXTENSION(name, how, on_postgres, said) {name, #how, said, #on_postgres},
#include "sql/extensions.def"
#undef EXTENSION
    };
    buf_puts(to,
             STR("### Extensions\n\n| extension | on SQLite | | on a PostgreSQL of the node's |\n| --- | --- | --- | --- |\n"));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        buf_printf(to, "| %s | %s | %s | %s |\n", rows[i][0],
                   rows[i][1][0] == 'T'   ? "there"
                   : rows[i][1][0] == 'I' ? "accepted"
                                          : "not there: its use raises",
                   rows[i][2],
                   rows[i][3][1] == 'A' && rows[i][3][0] == 'R' ? "if it is installed"
                   : rows[i][3][1] == 'L'                       ? "what the platform has of it stands for it"
                                                                : "as PostgreSQL says");
    buf_putc(to, '\n');
}

static void lints(struct buf *to) {
    static const char *const rows[][5] = {
#define LINT(name, level, check, what, instead) {#name, #level, #check, what, instead},
#include "sql/lints.def"
#undef LINT
    };
    buf_puts(to, STR("### Lints\n\n| lint | level | what it finds | what to do |\n| --- | --- | --- | --- |\n"));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        buf_printf(to, "| %s | %s | %s | %s |\n", rows[i][0], strcmp(rows[i][2], "NONE") ? rows[i][1] : "not here", rows[i][3],
                   rows[i][4]);
    buf_putc(to, '\n');
}

/* ---- functions, operators ---- */

static const char *type_text(uint32_t id) {
    const struct pg_type *t = pg_type_by_id(id);
    return t ? t->sql : "?";
}

static void functions(struct buf *to, const char *title, const struct pg_function *f, uint32_t n) {
    buf_printf(to, "### %s\n\n", title);
    for (uint32_t i = 0; i < n; i++) {
        bool first = !i || strcmp(f[i].name, f[i - 1].name) != 0;
        buf_printf(to, first ? "%s- `%s(" : "%s`, `%s(", first && i ? "`\n" : "", f[i].name);
        for (uint32_t j = 0; j < f[i].params_count; j++) {
            bool last = j + 1 == f[i].params_count;
            buf_printf(to, "%s%s%s", j ? ", " : "", last && (f[i].flags & PG_VARIADIC) ? "variadic " : "",
                       type_text(f[i].params[j].type));
        }
        buf_printf(to, ")");
    }
    buf_puts(to, n ? STR("`\n\n") : STR("\n"));
}

static void operators(struct buf *to) {
    uint32_t n;
    const struct pg_operator *o = pg_operators_all(&n);
    buf_puts(to, STR("### Operators\n\n"));
    for (uint32_t i = 0; i < n; i++) {
        bool first = !i || strcmp(o[i].name, o[i - 1].name) != 0;
        if (first) buf_printf(to, "%s- `%s`: ", i ? "\n" : "", o[i].name);
        buf_printf(to, "%s%s%s%s", first ? "" : "; ", o[i].left ? type_text(o[i].left) : "", o[i].left ? ", " : "",
                   type_text(o[i].right));
    }
    buf_puts(to, STR("\n\n"));
}

void sql_document(struct buf *to) {
    uint32_t n, m;
    const struct pg_function *f = pg_functions_all(&n), *a = pg_aggregates_all(&m);
    statements(to);
    types(to);
    extensions(to);
    lints(to);
    functions(to, "Functions", f, n);
    functions(to, "Aggregates and window functions", a, m);
    operators(to);
}
