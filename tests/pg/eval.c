/* pg_eval: evaluates rows of the room pg, for tests/pg/oracle.py.
 *
 *   F|O|C name TAB types TAB argument TAB argument …       a line in: a function, operator or cast by its name and its parameters' types,
 *                                                          with commas ("int4,int4"; of a cast "from,to"); arguments as text, \N: null
 *   = text  |  null  |  ! SQLSTATE message                 a line out; \n, \t and \\ are escaped in both
 *
 * Only rows that are C functions: what is a template needs SQLite. --rows prints all rows instead: kind, name, types, result, flags, how. */
#include "pg/pg.h"

enum { ARGS_MAX = PG_PARAMS_MAX };

struct row {
    uint32_t types[ARGS_MAX], count, result;
    enum pg_flags flags;
    const struct pg_how *how;
};

static bool same_types(const uint32_t *a, const uint32_t *b, uint32_t n) { return !memcmp(a, b, n * sizeof *a); }

static bool find_function(str name, struct row *row) {
    uint32_t n;
    const struct pg_function *f = pg_functions_named(name, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (f[i].params_count != row->count) continue;
        uint32_t types[ARGS_MAX];
        for (uint32_t k = 0; k < row->count; k++) types[k] = f[i].params[k].type;
        if (!same_types(types, row->types, row->count)) continue;
        row->result = f[i].result, row->flags = f[i].flags, row->how = &f[i].how;
        return true;
    }
    return false;
}

static bool find_operator(str name, struct row *row) {
    uint32_t n;
    const struct pg_operator *o = pg_operators_named(name, &n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t left = row->count == 2 ? row->types[0] : PG_NO_TYPE, right = row->types[row->count - 1];
        if (o[i].left != left || o[i].right != right) continue;
        row->result = o[i].result, row->flags = o[i].flags, row->how = &o[i].how;
        return true;
    }
    return false;
}

static bool find_cast(struct row *row) {
    const struct pg_cast *c = row->count == 2 ? pg_cast_find(row->types[0], row->types[1]) : NULL;
    if (!c) return false;
    row->result = row->types[1], row->flags = c->flags, row->how = &c->how, row->count = 1;
    return true;
}

static pg_fn c_named(const char *name) {
    uint32_t n;
    const struct pg_c_function *all = pg_c_functions(&n);
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(all[i].name, name)) return all[i].fn;
    return NULL;
}

/* In place. */
static void unescape(str *s) {
    uint8_t *to = (uint8_t *)(uintptr_t)s->p, *start = to;
    for (const uint8_t *p = s->p, *end = p + s->n; p < end; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
            *to++ = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
        } else {
            *to++ = *p;
        }
    }
    s->n = (size_t)(to - start);
}

static void put_escaped(str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n') fputs("\\n", stdout);
        else if (s.p[i] == '\t') fputs("\\t", stdout);
        else if (s.p[i] == '\\') fputs("\\\\", stdout);
        else putchar(s.p[i]);
    }
}

static void put_answer(struct pg_call *call, uint32_t type, struct db_value v) {
    struct buf text = {0};
    if (v.kind == DB_INTEGER && type == PG_BOOL) /* as its cast to text has it, which is what PostgreSQL is asked for */
        buf_puts(&text, v.i ? STR("true") : STR("false"));
    else if (v.kind == DB_TEXTUAL && type == PG_TEXT) buf_puts(&text, v.s);
    else if (!pg_raised(call) && v.kind != DB_NULL && type != PG_VOID && !pg_value_out(call, type, v, &text)) v.kind = DB_NULL;
    if (pg_raised(call)) {
        printf("! %s ", call->error->state);
        put_escaped(str_c(call->error->message));
    } else if (v.kind == DB_NULL) {
        fputs("null", stdout);
    } else {
        fputs("= ", stdout);
        put_escaped(buf_str(&text));
    }
    putchar('\n');
    buf_free(&text);
}

/* The hidden arguments, by how; gives how many arguments there are. */
static uint32_t with_hidden(const struct row *row, const struct db_value *args, struct db_value *all) {
    uint32_t n = 0;
    if (row->how->kind == PG_HOW_CT) all[n++] = DB_I64(row->types[0]);
    if (row->how->kind == PG_HOW_CR) all[n++] = DB_I64(row->result);
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->how->kind == PG_HOW_CTS) all[n++] = DB_I64(row->types[i]);
        all[n++] = args[i];
    }
    return n;
}

static void run(struct pg_call *call, const struct row *row, const str *texts) {
    struct db_value args[ARGS_MAX], all[2 * ARGS_MAX + 1], out = DB_NOTHING;
    bool null = false;
    for (uint32_t i = 0; i < row->count; i++) {
        args[i] = DB_NOTHING;
        str s = texts[i];
        if (str_eqc(s, "\\N")) {
            null = true;
            continue;
        }
        unescape(&s);
        if (row->types[i] == PG_TEXT) args[i] = DB_TEXT(s);
        else if (!pg_value_in(call, row->types[i], -1, s, &args[i])) break;
    }
    pg_fn fn = row->how->kind == PG_HOW_SQL ? NULL : c_named(row->how->text);
    if (!pg_raised(call) && row->how->kind == PG_HOW_SQL && !strcmp(row->how->text, "$1")) out = args[0];
    else if (!pg_raised(call) && !fn) pg_raise(call, "0A000", "the row is a template");
    else if (!pg_raised(call) && !(null && row->flags & PG_STRICT)) fn(call, all, with_hidden(row, args, all), &out);
    put_answer(call, row->result, out);
}

/* The cast by the text form. */
static void read_text(struct pg_call *call, const struct row *row, str text) {
    struct db_value out = DB_NOTHING;
    unescape(&text);
    if (!str_eqc(text, "\\N") && !pg_value_in(call, row->result, -1, text, &out)) out = DB_NOTHING;
    put_answer(call, row->result, out);
}

static void line_do(struct pg_call *call, str line) {
    str name, types, rest, one, texts[ARGS_MAX] = {0};
    struct row row = {0};
    str_cut(str_sub(line, 2, line.n), '\t', &name, &rest);
    str_cut(rest, '\t', &types, &rest);
    while (types.n && row.count < ARGS_MAX) {
        str_cut(types, ',', &one, &types);
        const struct pg_type *type = pg_type_by_name(one);
        row.types[row.count++] = type ? type->id : PG_NO_TYPE;
    }
    for (uint32_t i = 0; i < row.count; i++) str_cut(rest, '\t', &texts[i], &rest);
    bool found = line.p[0] == 'F' ? find_function(name, &row) : line.p[0] == 'O' ? find_operator(name, &row) : find_cast(&row);
    if (found && row.how->kind == PG_HOW_SQL && !strncmp(row.how->text, "pg_in(", 6)) {
        read_text(call, &row, texts[0]);
    } else if (found) {
        run(call, &row, texts);
    } else {
        puts("? no such row");
    }
}

static const char *type_name(uint32_t id) { return id ? pg_type_by_id(id)->name : ""; }

static void rows_print(void) {
    uint32_t n;
    const struct pg_function *f = pg_functions_all(&n);
    for (uint32_t i = 0; i < n; i++) {
        printf("F\t%s\t", f[i].name);
        for (uint32_t k = 0; k < f[i].params_count; k++) printf("%s%s", k ? "," : "", type_name(f[i].params[k].type));
        printf("\t%s\t%d\t%d\t%s\n", type_name(f[i].result), f[i].flags, f[i].how.kind, f[i].how.text);
    }
    const struct pg_operator *o = pg_operators_all(&n);
    for (uint32_t i = 0; i < n; i++)
        printf("O\t%s\t%s%s%s\t%s\t%d\t%d\t%s\n", o[i].name, type_name(o[i].left), o[i].left ? "," : "", type_name(o[i].right),
               type_name(o[i].result), o[i].flags, o[i].how.kind, o[i].how.text);
    const struct pg_cast *c = pg_casts_all(&n);
    for (uint32_t i = 0; i < n; i++)
        printf("C\t\t%s,%s\t%s\t%d\t%d\t%s\n", type_name(c[i].from), type_name(c[i].to), type_name(c[i].to), c[i].flags,
               c[i].how.kind, c[i].how.text);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--rows")) {
        rows_print();
        return 0;
    }
    struct pg_error error;
    struct pg_session session = {.role = STR("postgres"), .database = STR("postgres"), .mem = arena_new(0), .error = &error};
    session.now = session.statement_now = argc > 1 ? atoll(argv[1]) : 0;
    session.time_zone = argc > 2 ? str_c(argv[2]) : STR("UTC");
    struct pg_call call = {.mem = arena_new(0), .session = &session, .error = &error};
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 2;) {
        memset(&error, 0, sizeof error);
        line_do(&call, (str){(uint8_t *)line, (size_t)n - 1});
        fflush(stdout);
        arena_reset(call.mem);
    }
    free(line);
    arena_free(call.mem);
    arena_free(session.mem);
    return 0;
}
