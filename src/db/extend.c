/* extend: functions, aggregates, collations and tables that are functions, added to a connection.
 *
 * 1. What is added is borrowed as long as the connection is there: many connections have the same rows, and each takes but two words for one.
 * 2. A function sees values as rows have them (struct db_value), and answers by struct db_call: it sees nothing of SQLite.
 * 3. A call that was told not to go on ends its statement as the progress handler would, whatever it answers.
 * 4. An aggregate's state begins with its first row and ends once, also where a step failed. Of no rows, the value is that of a zeroed state.
 * 5. A table function has its arguments before its first row: a join that would have them later is planned in another order, or refused.
 * 6. A function that is called without a statement gives what a statement would have given, and fails as that would.
 */
#include "db/db_int.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct db_call {
    struct db *db;
    sqlite3_context *to;   /* of a function; NULL: of a table */
    sqlite3_vtab *table;   /* of a table; NULL: of a function */
    struct direct *direct; /* without a statement; NULL: there is one */
    bool refused, stopped;
};
struct direct { /* where its answer goes */
    arena *mem;
    struct db_value *out;
    struct diag *d;
    err e;
};

enum { ARGUMENTS_MAX = 100 };

/* ---- values ---- */

struct db_value db_value_of(sqlite3_value *v) {
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER: return DB_I64(sqlite3_value_int64(v));
    case SQLITE_FLOAT: return DB_F64(sqlite3_value_double(v));
    case SQLITE_TEXT: {
        const uint8_t *p = sqlite3_value_text(v);
        return DB_TEXT(((str){p, (size_t)sqlite3_value_bytes(v)}));
    }
    case SQLITE_BLOB: {
        const uint8_t *p = sqlite3_value_blob(v);
        return DB_BLOB(((str){p, (size_t)sqlite3_value_bytes(v)}));
    }
    default: return DB_NOTHING;
    }
}

static void values_in(sqlite3_value **from, int n, struct db_value *to) {
    for (int i = 0; i < n; i++) to[i] = db_value_of(from[i]);
}

static void value_out(sqlite3_context *to, const struct db_value *v) {
    const char *p = v->kind >= DB_TEXTUAL && v->s.n ? (const char *)v->s.p : "";
    switch (v->kind) {
    case DB_INTEGER: return sqlite3_result_int64(to, v->i);
    case DB_REAL: return sqlite3_result_double(to, v->f);
    case DB_TEXTUAL: return sqlite3_result_text64(to, p, v->s.n, SQLITE_TRANSIENT, SQLITE_UTF8);
    case DB_BYTES: return sqlite3_result_blob64(to, p, v->s.n, SQLITE_TRANSIENT);
    case DB_NULL: return sqlite3_result_null(to);
    }
}

/* ---- a call ---- */

static void fail_direct(struct direct *to, err e, str text) {
    if (to->e == ERR_OK) to->e = diag_set(to->d, e, DIAG_NOWHERE, STR_FMT, STR_ARG(text));
}

static void answer_direct(struct db_call *call, struct db_value v) {
    struct direct *to = call->direct;
    *to->out = v.kind == DB_REAL && isnan(v.f) ? DB_NOTHING : v; /* as SQLite has it */
    if (v.kind < DB_TEXTUAL) return;
    bool large = v.s.n > db_call_value_bytes_max(call);
    uint8_t *p = large ? NULL : arena_try_alloc(to->mem, v.s.n + 1, 1);
    if (!p) {
        fail_direct(to, ERR_LIMIT, large ? STR("string or blob too big") : STR("too much memory"));
        return;
    }
    if (v.s.n) memcpy(p, v.s.p, v.s.n);
    to->out->s.p = p;
}

void db_answer(struct db_call *call, struct db_value v) {
    if (call->refused || call->stopped) return;
    if (call->to) value_out(call->to, &v);
    else if (call->direct) answer_direct(call, v);
}

void db_refuse(struct db_call *call, str text) {
    if (call->refused || call->stopped) return;
    call->refused = true;
    if (call->to) {
        sqlite3_result_error(call->to, (const char *)text.p, (int)text.n);
        return;
    }
    if (call->direct) {
        fail_direct(call->direct, ERR_USAGE, text);
        return;
    }
    sqlite3_free(call->table->zErrMsg);
    call->table->zErrMsg = sqlite3_mprintf("%.*s", STR_ARG(text));
}

bool db_call_goes_on(struct db_call *call) {
    if (call->stopped) return false;
    call->stopped = !db_guest_goes_on(call->db);
    if (call->stopped && call->to) sqlite3_result_error_code(call->to, SQLITE_INTERRUPT);
    if (call->stopped && call->direct)
        fail_direct(call->direct, ERR_LIMIT, call->db->large ? STR("too much memory") : STR("took too long"));
    return !call->stopped;
}

size_t db_call_value_bytes_max(const struct db_call *call) {
    return (size_t)sqlite3_limit(call->db->raw, SQLITE_LIMIT_LENGTH, -1);
}

void *db_take(void *p, size_t n) { return sqlite3_realloc64(p, n); }
void db_give_back(void *p) { sqlite3_free(p); }

void *db_call_context(const struct db_call *call) { return call->db->context; }

void db_context_set(struct db *db, void *context, void (*drop)(void *context)) {
    ENSURE(!db->context);
    db->context = context;
    db->context_drop = drop;
}

/* Who the connection is, to what was added to it; and what. */
struct added {
    struct db *db;
    union {
        const struct db_function *function;
        const struct db_aggregate *aggregate;
        const struct db_collation *collation;
        const struct db_table_function *table;
    };
};
struct db_added {
    struct db_added *older;
    enum { ADDED_FUNCTIONS, ADDED_COLLATIONS, ADDED_OTHERS } kind;
    uint32_t n;
    bool sorted; /* by name */
    struct added rows[];
};

static struct added *added_new(struct db *db, uint32_t n, int kind) {
    struct db_added *block = calloc(1, sizeof *block + n * sizeof *block->rows);
    ENSURE(block);
    block->older = db->added;
    block->kind = kind, block->n = n;
    db->added = block;
    for (uint32_t i = 0; i < n; i++) block->rows[i].db = db;
    return block->rows;
}

void db_extend_close(struct db *db) {
    for (struct db_added *a = db->added, *older; a; a = older) older = a->older, free(a);
    if (db->context_drop) db->context_drop(db->context);
}

static int flags_of(uint32_t flags) {
    return SQLITE_UTF8 | (flags & DB_FN_DETERMINISTIC ? SQLITE_DETERMINISTIC : 0) |
           (flags & DB_FN_INNOCUOUS ? SQLITE_INNOCUOUS : 0) | (flags & DB_FN_DIRECT_ONLY ? SQLITE_DIRECTONLY : 0);
}

/* ---- functions ---- */

static void call_function(sqlite3_context *to, int n, sqlite3_value **from) {
    const struct added *a = sqlite3_user_data(to);
    struct db_value args[ARGUMENTS_MAX];
    struct db_call call = {.db = a->db, .to = to};
    if (n > ARGUMENTS_MAX) {
        db_refuse(&call, STR("too many arguments"));
        return;
    }
    values_in(from, n, args);
    a->function->call(&call, a->function->arg, args, (uint32_t)n);
}

err db_add_functions(struct db *db, const struct db_function *rows, uint32_t n, struct diag *d) {
    struct added *a = added_new(db, n, ADDED_FUNCTIONS);
    int code = SQLITE_OK;
    db->added->sorted = true;
    for (uint32_t i = 0; i < n && code == SQLITE_OK; i++) {
        const struct db_function *f = a[i].function = &rows[i];
        if (i && strcmp(rows[i - 1].name, f->name) > 0) db->added->sorted = false;
        code = sqlite3_create_function_v2(db->raw, f->name, f->arguments, flags_of(f->flags), &a[i], call_function, NULL, NULL,
                                          NULL);
    }
    return db_says(db, code, d);
}

static int compare_name(str name, const char *with) {
    int c = strncmp((const char *)name.p, with, name.n);
    return c ? c : with[name.n] ? -1 : 0;
}

/* Where a name stands, or would. */
static uint32_t first_named(const struct db_added *block, str name) {
    uint32_t low = 0, high = block->sorted ? block->n : 0;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (compare_name(name, block->rows[mid].function->name) > 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

const struct db_function *db_function_named(struct db *db, str name, uint32_t n) {
    for (const struct db_added *block = db->added; name.n && block; block = block->older) {
        const struct db_function *any = NULL;
        for (uint32_t i = first_named(block, name); block->kind == ADDED_FUNCTIONS && i < block->n; i++) {
            const struct db_function *f = block->rows[i].function;
            int c = compare_name(name, f->name);
            if (c && block->sorted) break;
            if (!c && f->arguments == (int32_t)n) return f;
            if (!c && f->arguments < 0) any = f;
        }
        if (any) return any;
    }
    return NULL;
}

const struct db_collation *db_collation_named(struct db *db, str name) {
    for (const struct db_added *block = db->added; name.n && block; block = block->older)
        for (uint32_t i = 0; block->kind == ADDED_COLLATIONS && i < block->n; i++)
            if (!compare_name(name, block->rows[i].collation->name)) return block->rows[i].collation;
    return NULL;
}

err db_call_function(struct db *db, const struct db_function *f, const struct db_value *args, uint32_t n, arena *mem,
                     struct db_value *out, struct diag *d) {
    struct direct to = {.mem = mem, .out = out, .d = d};
    struct db_call call = {.db = db, .direct = &to};
    *out = DB_NOTHING;
    f->call(&call, f->arg, args, n);
    return to.e;
}

/* ---- aggregates ---- */

struct group {
    bool began;
    uint64_t state[]; /* SQLite aligns to 8 */
};

static struct group *group_of(sqlite3_context *to, const struct db_aggregate *a) {
    struct group *g = sqlite3_aggregate_context(to, (int)(sizeof *g + a->state_bytes));
    if (!g) sqlite3_result_error_nomem(to);
    else g->began = true;
    return g;
}

static void step_or_inverse(sqlite3_context *to, int n, sqlite3_value **from, bool inverse) {
    const struct added *a = sqlite3_user_data(to);
    struct db_value args[ARGUMENTS_MAX];
    struct db_call call = {.db = a->db, .to = to};
    struct group *g = group_of(to, a->aggregate);
    if (!g) return;
    if (n > ARGUMENTS_MAX) {
        db_refuse(&call, STR("too many arguments"));
        return;
    }
    values_in(from, n, args);
    if (!inverse) a->aggregate->step(&call, a->aggregate->arg, g->state, args, (uint32_t)n);
    else if (a->aggregate->inverse) a->aggregate->inverse(&call, a->aggregate->arg, g->state, args, (uint32_t)n);
    else db_refuse(&call, STR("this aggregate has no windows whose begin moves"));
}

static void call_step(sqlite3_context *to, int n, sqlite3_value **from) { step_or_inverse(to, n, from, false); }
static void call_inverse(sqlite3_context *to, int n, sqlite3_value **from) { step_or_inverse(to, n, from, true); }

static void call_value(sqlite3_context *to) {
    const struct added *a = sqlite3_user_data(to);
    struct db_call call = {.db = a->db, .to = to};
    struct group *g = group_of(to, a->aggregate);
    if (g) a->aggregate->value(&call, a->aggregate->arg, g->state);
}

/* Also of a group of no rows, and of one whose step failed: then its value is of no interest, and does no harm. */
static void call_final(sqlite3_context *to) {
    const struct added *a = sqlite3_user_data(to);
    call_value(to);
    struct group *g = sqlite3_aggregate_context(to, 0);
    if (g && g->began && a->aggregate->end) a->aggregate->end(a->aggregate->arg, g->state);
    if (g) g->began = false;
}

err db_add_aggregates(struct db *db, const struct db_aggregate *rows, uint32_t n, struct diag *d) {
    struct added *a = added_new(db, n, ADDED_OTHERS);
    int code = SQLITE_OK;
    for (uint32_t i = 0; i < n && code == SQLITE_OK; i++) {
        const struct db_aggregate *g = a[i].aggregate = &rows[i];
        code = sqlite3_create_window_function(db->raw, g->name, g->arguments, flags_of(g->flags), &a[i], call_step, call_final,
                                              call_value, call_inverse, NULL);
    }
    return db_says(db, code, d);
}

/* ---- collations ---- */

static int call_collation(void *arg, int n, const void *p, int m, const void *q) {
    const struct added *a = arg;
    return a->collation->compare(a->collation->arg, (str){p, (size_t)n}, (str){q, (size_t)m});
}

err db_add_collations(struct db *db, const struct db_collation *rows, uint32_t n, struct diag *d) {
    struct added *a = added_new(db, n, ADDED_COLLATIONS);
    int code = SQLITE_OK;
    for (uint32_t i = 0; i < n && code == SQLITE_OK; i++) {
        a[i].collation = &rows[i];
        code = sqlite3_create_collation_v2(db->raw, rows[i].name, SQLITE_UTF8, &a[i], call_collation, NULL);
    }
    return db_says(db, code, d);
}

/* ---- tables that are functions ----
 *
 * Columns first, then the arguments as hidden ones. best_index says in idxNum which arguments there are (a bit each), and they come to
 * filter in that order. */

struct table {
    sqlite3_vtab base;
    const struct added *of;
    uint32_t columns;
};
struct cursor {
    sqlite3_vtab_cursor base;
    struct db_value row[DB_TABLE_COLUMNS_MAX];
    int64_t at;
    bool began, ended;
    uint64_t state[]; /* SQLite aligns to 8 */
};

static int connect_table(sqlite3 *raw, void *arg, int n, const char *const *words, sqlite3_vtab **out, char **error) {
    const struct added *a = arg;
    char text[2048];
    struct buf b = BUF_FIXED((uint8_t *)text);
    b.cap = b.max = sizeof text;
    uint32_t columns = 0;
    buf_puts(&b, STR("create table x("));
    for (; a->table->columns[columns]; columns++) buf_printf(&b, "%s\"%s\"", columns ? "," : "", a->table->columns[columns]);
    for (uint32_t i = 0; i < a->table->arguments; i++) buf_printf(&b, ",_orlo_a%u hidden", i);
    buf_put(&b, ")", 2);
    bool own = a->db->own; /* SQLite asks whoever guards the connection about a schema that nobody sees */
    a->db->own = true;
    int code = b.full ? SQLITE_TOOBIG : sqlite3_declare_vtab(raw, text);
    a->db->own = own;
    if (code != SQLITE_OK) return code;
    if (a->table->flags & DB_FN_INNOCUOUS) sqlite3_vtab_config(raw, SQLITE_VTAB_INNOCUOUS);
    if (a->table->flags & DB_FN_DIRECT_ONLY) sqlite3_vtab_config(raw, SQLITE_VTAB_DIRECTONLY);
    struct table *t = sqlite3_malloc64(sizeof *t);
    if (!t) return SQLITE_NOMEM;
    *t = (struct table){.of = a, .columns = columns};
    *out = &t->base;
    return SQLITE_OK;
}

static int disconnect_table(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

static int twice(sqlite3_vtab *base) {
    sqlite3_free(base->zErrMsg);
    base->zErrMsg = sqlite3_mprintf("an argument of a table function is given twice");
    return SQLITE_ERROR;
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    const struct table *t = container_of(base, struct table, base);
    int place[DB_TABLE_ARGUMENTS_MAX], given = 0;
    uint32_t mask = 0;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        int argument = c->iColumn - (int)t->columns;
        if (argument < 0 || c->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        if (!c->usable) return SQLITE_CONSTRAINT;      /* it is known once another table has its row */
        if (mask & 1u << argument) return twice(base); /* f(1) where its hidden column is 2: whose argument is it? */
        mask |= 1u << argument;
        place[argument] = i;
    }
    for (uint32_t i = 0; i < t->of->table->arguments; i++) {
        if (!(mask & 1u << i)) continue;
        info->aConstraintUsage[place[i]].argvIndex = ++given;
        info->aConstraintUsage[place[i]].omit = 1;
    }
    info->idxNum = (int)mask;
    info->estimatedCost = 10;
    info->estimatedRows = 10;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    const struct table *t = container_of(base, struct table, base);
    size_t bytes = sizeof(struct cursor) + t->of->table->state_bytes;
    struct cursor *c = sqlite3_malloc64(bytes);
    if (!c) return SQLITE_NOMEM;
    memset(c, 0, bytes);
    *out = &c->base;
    return SQLITE_OK;
}

static void end_rows(struct cursor *c) {
    const struct db_table_function *f = container_of(c->base.pVtab, struct table, base)->of->table;
    if (c->began && f->end) f->end(f->arg, c->state);
    c->began = false;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
    struct cursor *c = container_of(base, struct cursor, base);
    end_rows(c);
    sqlite3_free(c);
    return SQLITE_OK;
}

static int code_of(const struct db_call *call) {
    return call->stopped ? SQLITE_INTERRUPT : call->refused ? SQLITE_ERROR : SQLITE_OK;
}

static int next_row(sqlite3_vtab_cursor *base) {
    struct cursor *c = container_of(base, struct cursor, base);
    const struct added *a = container_of(base->pVtab, struct table, base)->of;
    struct db_call call = {.db = a->db, .table = base->pVtab};
    c->at++;
    memset(c->row, 0, container_of(base->pVtab, struct table, base)->columns * sizeof c->row[0]);
    c->ended = !a->table->next(&call, a->table->arg, c->state, c->row);
    return code_of(&call);
}

static int filter(sqlite3_vtab_cursor *base, int mask, const char *text, int n, sqlite3_value **from) {
    struct cursor *c = container_of(base, struct cursor, base);
    const struct added *a = container_of(base->pVtab, struct table, base)->of;
    struct db_value args[DB_TABLE_ARGUMENTS_MAX] = {0};
    struct db_call call = {.db = a->db, .table = base->pVtab};
    uint32_t count = 0;
    end_rows(c);
    for (uint32_t i = 0, given = 0; i < a->table->arguments; i++)
        if ((uint32_t)mask & 1u << i && given < (uint32_t)n) args[i] = db_value_of(from[given++]), count = i + 1;
    if (count < a->table->arguments_min) {
        db_refuse(&call, STR("a table function wants more arguments"));
        return SQLITE_ERROR;
    }
    memset(c->state, 0, a->table->state_bytes);
    c->began = true;
    c->at = 0;
    a->table->begin(&call, a->table->arg, c->state, args, count);
    return code_of(&call) == SQLITE_OK ? next_row(base) : code_of(&call);
}

static int at_end(sqlite3_vtab_cursor *base) { return container_of(base, struct cursor, base)->ended; }

static int column(sqlite3_vtab_cursor *base, sqlite3_context *to, int i) {
    const struct cursor *c = container_of(base, struct cursor, base);
    const struct table *t = container_of(base->pVtab, struct table, base);
    if (i >= 0 && (uint32_t)i < t->columns) value_out(to, &c->row[i]);
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
    *out = container_of(base, struct cursor, base)->at;
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .iVersion = 2,
    .xConnect = connect_table, /* without xCreate: it is there, and nobody makes one */
    .xBestIndex = best_index,
    .xDisconnect = disconnect_table,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = next_row,
    .xEof = at_end,
    .xColumn = column,
    .xRowid = rowid,
};

err db_add_table_functions(struct db *db, const struct db_table_function *rows, uint32_t n, struct diag *d) {
    struct added *a = added_new(db, n, ADDED_OTHERS);
    int code = SQLITE_OK;
    for (uint32_t i = 0; i < n && code == SQLITE_OK; i++) {
        ENSURE(rows[i].arguments <= DB_TABLE_ARGUMENTS_MAX && rows[i].arguments_min <= rows[i].arguments);
        a[i].table = &rows[i];
        code = sqlite3_create_module_v2(db->raw, rows[i].name, &module, &a[i], NULL);
    }
    return db_says(db, code, d);
}
