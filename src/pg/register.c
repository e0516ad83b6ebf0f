/* register: the C rows, onto a connection (pg_register).
 *
 * 1. What db wants to know of a function (struct db_function) is made of the rows once for a process; a connection has its session, an arena and
 *    the work it did since it asked whether it may go on, as its context.
 * 2. An arena lasts as long as one call: functions do not call each other through SQLite, and none is suspended with another one begun on the
 *    same connection. A set's rows come over many calls, so each open set has arenas of its own.
 * 3. A strict function with a null argument is not called; nor is a strict aggregate's step. A type's id, given before an argument, is no null.
 */
#include "pg/regex.h"
#include <pthread.h>
#include <stdlib.h>

struct connection {
    struct pg_session *session;
    arena *mem;
    struct pg_error error; /* where the session has none */
    uint32_t work;
    struct pg_regex_cache *regexes;
};

/* ---- a call ---- */

static bool goes_on(void *arg) { return db_call_goes_on(arg); }

static struct pg_call call_begin(struct db_call *call, arena *mem) {
    struct connection *c = db_call_context(call);
    struct pg_error *error = c->session->error ? c->session->error : &c->error;
    if (error == &c->error) error->set = false;
    return (struct pg_call){.mem = mem ? mem : c->mem,
                            .session = c->session,
                            .error = error,
                            .goes_on = goes_on,
                            .arg = call,
                            .work = c->work,
                            .regexes = &c->regexes};
}

/* answers: what it gave goes to SQLite, unless it raised. */
static void call_end(struct db_call *call, struct pg_call *with, const struct db_value *answer) {
    struct connection *c = db_call_context(call);
    c->work = with->work;
    if (with->error->set) db_refuse(call, str_c(with->error->message));
    else if (answer) db_answer(call, *answer);
    if (with->mem == c->mem) arena_reset(c->mem);
}

static bool any_null(const struct db_value *args, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (args[i].kind == DB_NULL) return true;
    return false;
}

static void call_function(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    const struct pg_c_function *f = arg;
    if (f->flags & PG_STRICT && any_null(args, n)) return;
    struct pg_call with = call_begin(call, NULL);
    struct db_value out = DB_NOTHING;
    f->fn(&with, args, n, &out);
    call_end(call, &with, &out);
}

/* pg_raise(state, message), as the translator writes it where a check failed */
static void raise_it(struct pg_call *call, const struct db_value *args, uint32_t n, struct db_value *out) {
    (void)n, (void)out;
    char state[6] = "XX000";
    if (args[0].s.n == 5) memcpy(state, args[0].s.p, 5);
    pg_raise(call, state, STR_FMT, STR_ARG(args[1].s));
}

/* ---- aggregates ---- */

static void call_step(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    const struct pg_c_aggregate *a = arg;
    if (a->flags & PG_STRICT && any_null(args, n)) return;
    struct pg_call with = call_begin(call, NULL);
    a->aggregate->step(&with, state, args, n);
    call_end(call, &with, NULL);
}

static void call_inverse(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    const struct pg_c_aggregate *a = arg;
    if (a->flags & PG_STRICT && any_null(args, n)) return;
    struct pg_call with = call_begin(call, NULL);
    if (a->aggregate->inverse) a->aggregate->inverse(&with, state, args, n);
    else pg_raise(&with, "0A000", "%s over a frame whose start moves is not supported", a->name);
    call_end(call, &with, NULL);
}

static void call_value(struct db_call *call, void *arg, void *state) {
    const struct pg_c_aggregate *a = arg;
    struct pg_call with = call_begin(call, NULL);
    struct db_value out = DB_NOTHING;
    a->aggregate->value(&with, state, &out);
    call_end(call, &with, &out);
}

static void end_aggregate(void *arg, void *state) {
    const struct pg_c_aggregate *a = arg;
    if (a->aggregate->drop) a->aggregate->drop(state);
}

/* NAME_framed, over a frame whose start moves: of those that can take back nothing all rows are kept, and each value begins anew. */
struct framed {
    struct db_value *row; /* a value's text is its own */
    size_t cap, first, n; /* values */
    uint32_t width;
};

static void framed_step(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct framed *f = state;
    struct pg_call with = call_begin(call, NULL);
    if (f->n + n > f->cap) {
        size_t more = MAX(f->cap * 2, (size_t)n * 16);
        void *q = db_take(f->row, more * sizeof *f->row);
        if (q) f->row = q, f->cap = more;
    }
    bool ok = f->n + n <= f->cap;
    for (uint32_t i = 0; i < n && ok; i++) {
        struct db_value v = args[i];
        if (v.kind >= DB_TEXTUAL) {
            uint8_t *p = db_take(NULL, v.s.n + 1);
            ok = p != NULL;
            if (ok && v.s.n) memcpy(p, v.s.p, v.s.n);
            v.s.p = p;
        }
        if (ok) f->row[f->n++] = v;
    }
    f->width = n;
    if (!ok) pg_raise(&with, "53200", "out of memory");
    call_end(call, &with, NULL);
}

static void framed_forget(struct db_value v) {
    if (v.kind >= DB_TEXTUAL) db_give_back((void *)(uintptr_t)v.s.p);
}

static void framed_inverse(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct framed *f = state;
    for (uint32_t i = 0; i < n && f->first < f->n; i++) framed_forget(f->row[f->first++]);
    if (f->first * 2 < f->n || !f->n) return;
    memmove(f->row, f->row + f->first, (f->n - f->first) * sizeof *f->row);
    f->n -= f->first, f->first = 0;
}

static void framed_value(struct db_call *call, void *arg, void *state) {
    const struct pg_c_aggregate *a = arg;
    const struct framed *f = state;
    struct pg_call with = call_begin(call, NULL);
    struct db_value out = DB_NOTHING;
    void *own = db_take(NULL, a->aggregate->state_bytes);
    if (own) memset(own, 0, a->aggregate->state_bytes);
    else pg_raise(&with, "53200", "out of memory");
    for (size_t i = f->first; own && i < f->n && !with.error->set && pg_call_works(&with, 20); i += f->width)
        if (!(a->flags & PG_STRICT) || !any_null(f->row + i, f->width)) a->aggregate->step(&with, own, f->row + i, f->width);
    if (own && !with.error->set) a->aggregate->value(&with, own, &out);
    call_end(call, &with, &out);
    if (own && a->aggregate->drop) a->aggregate->drop(own);
    db_give_back(own);
}

static void framed_end(void *arg, void *state) {
    struct framed *f = state;
    for (size_t i = f->first; i < f->n; i++) framed_forget(f->row[i]);
    db_give_back(f->row);
}

static void ordered_step(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct pg_call with = call_begin(call, NULL);
    pg_ordered_step(&with, state, args, n);
    call_end(call, &with, NULL);
}

static void ordered_value(struct db_call *call, void *arg, void *state) {
    struct pg_call with = call_begin(call, NULL);
    struct db_value out = DB_NOTHING;
    pg_ordered_value(&with, state, arg, &out);
    call_end(call, &with, &out);
}

static void ordered_end(void *arg, void *state) { pg_ordered_drop(state); }

/* ---- sets ---- */

struct open_set {
    arena *mem, *row; /* as long as it is open; as long as a row */
    int64_t rows;
    uint64_t state[]; /* SQLite aligns to 8 */
};

static void set_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    const struct pg_c_set *s = arg;
    struct open_set *open = state;
    struct db_value own[DB_TABLE_ARGUMENTS_MAX];
    open->mem = arena_new(0);
    open->row = arena_new(0);
    for (uint32_t i = 0; i < n; i++) {
        own[i] = args[i];
        if (args[i].kind >= DB_TEXTUAL) own[i].s = arena_str(open->mem, args[i].s);
    }
    struct pg_call with = call_begin(call, open->mem);
    if (s->flags & PG_STRICT && any_null(own, n)) open->rows = -1;
    else s->set->open(&with, open->state, own, n);
    call_end(call, &with, NULL);
}

static bool set_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    const struct pg_c_set *s = arg;
    struct open_set *open = state;
    if (open->rows < 0) return false;
    arena_reset(open->row);
    struct pg_call with = call_begin(call, open->row);
    bool more = s->set->next(&with, open->state, row) && pg_call_goes_on(&with);
    row[s->set->columns] = DB_I64(++open->rows);
    call_end(call, &with, NULL);
    return more;
}

static void set_end(void *arg, void *state) {
    const struct pg_c_set *s = arg;
    struct open_set *open = state;
    if (s->set->drop && open->rows >= 0) s->set->drop(open->state);
    arena_free(open->mem);
    arena_free(open->row);
}

/* ---- what db is told, once ---- */

static struct {
    arena *mem;
    struct db_function *functions;
    struct db_aggregate *aggregates;
    struct db_table_function *sets;
    struct db_collation *collations;
    uint32_t functions_count, aggregates_count, sets_count, collations_count;
} told;

static uint32_t flags_of(enum pg_flags flags) { return DB_FN_INNOCUOUS | (flags & PG_VOLATILE ? 0 : DB_FN_DETERMINISTIC); }

/* By name, and so is what stands among them: db finds one by that. */
static void tell_functions(void) {
    const struct pg_c_function *rows = pg_c_functions(&told.functions_count);
    static const struct pg_c_function raise = {"pg_raise", raise_it, 2, PG_STRICT};
    struct db_function *to = told.functions = arena_array(told.mem, struct db_function, told.functions_count + 1);
    bool raises = false;
    for (uint32_t i = 0; i <= told.functions_count; i++) {
        bool here = !raises && (i == told.functions_count || strcmp(rows[i].name, raise.name) > 0);
        if (here) *to++ = (struct db_function){raise.name, 2, DB_FN_INNOCUOUS, call_function, (void *)(uintptr_t)&raise};
        raises |= here;
        if (i == told.functions_count) break;
        *to++ = (struct db_function){.name = rows[i].name,
                                     .arguments = rows[i].args,
                                     .flags = flags_of(rows[i].flags),
                                     .call = call_function,
                                     .arg = (void *)(uintptr_t)&rows[i]};
    }
    told.functions_count++;
}

static void tell_aggregates(void) {
    uint32_t n;
    const struct pg_c_aggregate *rows = pg_c_aggregates(&n);
    told.aggregates = arena_array(told.mem, struct db_aggregate, 3 * n);
    for (uint32_t i = 0; i < n; i++) {
        struct db_aggregate a = {.name = rows[i].name,
                                 .arguments = rows[i].args,
                                 .flags = flags_of(rows[i].flags),
                                 .state_bytes = rows[i].aggregate->state_bytes,
                                 .step = call_step,
                                 .inverse = call_inverse,
                                 .value = call_value,
                                 .end = end_aggregate,
                                 .arg = (void *)(uintptr_t)&rows[i]};
        told.aggregates[told.aggregates_count++] = a;
        struct db_aggregate framed = a; /* what can take back a row does */
        framed.name = (const char *)arena_fmt(told.mem, "%s_framed", rows[i].name).p;
        if (!rows[i].aggregate->inverse) {
            framed.state_bytes = sizeof(struct framed);
            framed.step = framed_step, framed.inverse = framed_inverse, framed.value = framed_value, framed.end = framed_end;
        }
        a.name = (const char *)arena_fmt(told.mem, "%s_ordered", rows[i].name).p;
        a.arguments = -1;
        a.state_bytes = pg_ordered_bytes;
        a.step = ordered_step, a.inverse = NULL, a.value = ordered_value, a.end = ordered_end;
        told.aggregates[told.aggregates_count++] = framed; /* by name: "framed" before "ordered" */
        told.aggregates[told.aggregates_count++] = a;
    }
}

/* The columns of the function that this set is: of a record their names, else "value"; and "ordinality". */
static void name_columns(struct db_table_function *to, const struct pg_c_set *set) {
    uint32_t n, k = 0;
    const struct pg_function *rows = pg_functions_all(&n);
    str columns = {0}, one, name, type;
    for (uint32_t i = 0; i < n; i++)
        if (rows[i].how.kind == PG_HOW_SET && !strcmp(rows[i].how.text, set->name)) columns = str_c(rows[i].columns);
    while (columns.n && k < set->set->columns) {
        str_cut(columns, ' ', &one, &columns);
        str_cut(one, ':', &name, &type);
        to->columns[k++] = arena_cstr(told.mem, name);
    }
    ENSURE(set->set->columns < DB_TABLE_COLUMNS_MAX);
    if (!k) to->columns[k++] = "value";
    to->columns[k] = "ordinality";
}

static void tell_sets(void) {
    const struct pg_c_set *rows = pg_c_sets(&told.sets_count);
    told.sets = arena_array(told.mem, struct db_table_function, told.sets_count);
    for (uint32_t i = 0; i < told.sets_count; i++) {
        told.sets[i] = (struct db_table_function){
            .name = rows[i].name,
            .arguments = rows[i].args < 0 ? DB_TABLE_ARGUMENTS_MAX : (uint32_t)rows[i].args,
            .arguments_min = rows[i].args < 0 ? 0 : (uint32_t)rows[i].args,
            .flags = DB_FN_INNOCUOUS,
            .state_bytes = sizeof(struct open_set) + rows[i].set->state_bytes,
            .begin = set_begin,
            .next = set_next,
            .end = set_end,
            .arg = (void *)(uintptr_t)&rows[i],
        };
        name_columns(&told.sets[i], &rows[i]);
    }
}

static int compare(void *arg, str a, str b) { return ((const struct pg_collation *)arg)->compare(a, b); }

static void tell_collations(void) {
    const struct pg_collation *rows = pg_collations_all(&told.collations_count);
    told.collations = arena_array(told.mem, struct db_collation, told.collations_count);
    for (uint32_t i = 0; i < told.collations_count; i++)
        told.collations[i] = (struct db_collation){rows[i].name, compare, (void *)(uintptr_t)&rows[i]};
}

static void tell(void) {
    told.mem = arena_new(0);
    tell_functions();
    tell_aggregates();
    tell_sets();
    tell_collations();
}

static void drop_connection(void *context) {
    struct connection *c = context;
    arena_free(c->mem);
    pg_regex_cache_free(c->regexes);
    free(c);
}

err pg_register(struct db *db, struct pg_session *session, struct diag *d) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, tell);
    struct connection *c = calloc(1, sizeof *c);
    ENSURE(c);
    c->session = session;
    c->mem = arena_new(0);
    db_context_set(db, c, drop_connection);
    TRY(db_add_collations(db, told.collations, told.collations_count, d));
    TRY(db_add_functions(db, told.functions, told.functions_count, d));
    TRY(db_add_aggregates(db, told.aggregates, told.aggregates_count, d));
    return db_add_table_functions(db, told.sets, told.sets_count, d);
}
