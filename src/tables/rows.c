/* rows: what was answered, a text of JSON, row by row.
 *
 *   1 0 0 -1 1 ⏎ [{"id":1,"title":"one"},          one row at a time is looked at; what is in a value is not
 *    {"id":2,"title":"two"}]
 *
 * A large answer comes in parts, each a text of whole rows (source.c): the next one when the last was looked through.
 *
 * 1. The text is the instance's: charged as long as its handle is there. Of what was made of it, a page is, the last one.
 * 2. Rows have the same members in the same order, as one statement answers them; where they have not (a function's own objects), it is an error.
 */
#include "tables/tables_int.h"
#include <stdlib.h>

enum { PIECE = 64 << 10, PAGE_BYTES = 256 << 10, PAGE_ROWS = 4096 };

struct orlo_database_client_rows {
    struct app_object o;
    struct host_instance *in;
    struct tables_source *source; /* owned; NULL: all of it is here */
    str text;                     /* owned */
    size_t at, held;              /* held: charged for it */
    uint32_t most;                /* that who waits wants */
    bool over, listed;            /* listed: rows are the items of an array; else it is one value */
    uint64_t affected;
    int64_t total;
    arena *mem;          /* of the columns */
    str *columns, *keys; /* keys: as they stand in it */
    uint32_t columns_count;
    bool named;     /* columns are known */
    arena *page;    /* the last one */
    uint64_t paged; /* charged for it */
};

static void rows_destroy(struct host_instance *in, void *self) {
    struct orlo_database_client_rows *r = self;
    host_uncharge(in, r->paged);
    tables_source_free(r->source);
    arena_free(r->page);
    arena_free(r->mem);
    free((void *)(uintptr_t)r->text.p);
}

void orlo_database_client_rows_drop(struct host_instance *in, struct orlo_database_client_rows *self) {
    app_object_unref(in, self);
}

/* ---- the text ---- */

struct cursor {
    struct host_instance *in;
    str s;
    size_t at, looked;
    bool killed;
};

/* What was looked at is the guest's own work. */
static void work(struct cursor *c) {
    if (c->at - c->looked < PIECE) return;
    c->killed |= !host_work(c->in, c->at - c->looked);
    c->looked = c->at;
}

static void blanks(struct cursor *c) {
    while (c->at < c->s.n && c->s.p[c->at] <= ' ') c->at++;
}

static bool take(struct cursor *c, uint8_t what) {
    blanks(c);
    bool is = c->at < c->s.n && c->s.p[c->at] == what;
    c->at += is;
    return is;
}

static void skip_string(struct cursor *c) {
    for (c->at++; c->at < c->s.n && c->s.p[c->at] != '"'; c->at++) {
        c->at += c->s.p[c->at] == '\\';
        work(c);
    }
    c->at = MIN(c->at + 1, c->s.n);
}

/* Which stands there. */
static str take_value(struct cursor *c) {
    size_t depth = 0, from;
    blanks(c);
    for (from = c->at; c->at < c->s.n; work(c)) {
        uint8_t b = c->s.p[c->at];
        bool opens = b == '{' || b == '[', closes = b == '}' || b == ']';
        if (!depth && (closes || b == ',' || b == ':' || b <= ' ')) break; /* a number's or a word's end */
        if (b == '"') skip_string(c);
        else c->at++;
        depth = depth + opens - closes;
        if (!depth && (closes || b == '"')) break;
    }
    return str_sub(c->s, from, c->at - from);
}

static str text_of(arena *mem, str raw) {
    struct query_json v;
    struct pg_error error = {0};
    return query_json_read(mem, raw, &v, &error) && v.kind == JSON_KIND_STR ? v.s : (str){0};
}

static bool is_integer(str raw, int64_t *out) {
    bool minus = raw.n && raw.p[0] == '-';
    uint64_t v;
    if (!str_to_u64(str_sub(raw, minus, raw.n), &v) || v > (uint64_t)INT64_MAX + minus) return false;
    *out = (int64_t)(minus ? -v : v);
    return true;
}

static struct orlo_database_client_value value_of(arena *mem, str raw) {
    int64_t i;
    switch (raw.n ? raw.p[0] : 'n') {
    case 'n': return (struct orlo_database_client_value){.tag = ORLO_DATABASE_CLIENT_VALUE_NULL};
    case 't':
    case 'f': return (struct orlo_database_client_value){.tag = ORLO_DATABASE_CLIENT_VALUE_BOOLEAN, .boolean = raw.p[0] == 't'};
    case '"': return (struct orlo_database_client_value){.tag = ORLO_DATABASE_CLIENT_VALUE_TEXT, .text = text_of(mem, raw)};
    case '{':
    case '[': return (struct orlo_database_client_value){.tag = ORLO_DATABASE_CLIENT_VALUE_JSON, .json = arena_str(mem, raw)};
    default:
        if (is_integer(raw, &i))
            return (struct orlo_database_client_value){.tag = ORLO_DATABASE_CLIENT_VALUE_INTEGER, .integer = i};
        return (struct orlo_database_client_value){.tag = ORLO_DATABASE_CLIENT_VALUE_NUMERIC, .numeric = arena_str(mem, raw)};
    }
}

/* ---- columns ---- */

static void name_columns(struct orlo_database_client_rows *r, struct cursor c) {
    VEC(str) keys = {0};
    if (!take(&c, '{')) {
        r->columns_count = 1;
        r->keys = NULL;
        r->columns = arena_array(r->mem, str, 1);
        r->columns[0] = STR("value");
    }
    while (!r->columns_count && c.at < c.s.n) {
        if (take(&c, '}')) break;
        vec_push(r->mem, &keys, arena_str(r->mem, take_value(&c)));
        if (!take(&c, ':')) break;
        (void)take_value(&c);
        (void)take(&c, ',');
    }
    r->named = true;
    if (r->columns_count) return;
    r->keys = keys.p;
    r->columns_count = keys.n;
    r->columns = arena_array(r->mem, str, keys.n + 1);
    for (uint32_t i = 0; i < keys.n; i++) r->columns[i] = text_of(r->mem, keys.p[i]);
}

/* At its first row; or at none. */
static struct cursor cursor_of(struct orlo_database_client_rows *r) {
    return (struct cursor){.in = r->in, .s = r->text, .at = r->at, .looked = r->at};
}

/* ---- a page ---- */

static bool no_table(struct pg_error *error) {
    *error = (struct pg_error){.set = true,
                               .state = "42804",
                               .message = "rows of the answer have different members",
                               .hint = "Select them from a table, or answer one json value."};
    return false;
}

static bool take_members(struct orlo_database_client_rows *r, struct cursor *c, arena *mem,
                         struct orlo_database_client_value *v) {
    uint32_t n = 0;
    if (!take(c, '{')) return false;
    while (!take(c, '}')) {
        str key = take_value(c);
        if (c->at >= c->s.n || !take(c, ':') || n == r->columns_count || !str_eq(key, r->keys[n])) return false;
        v[n++] = value_of(mem, take_value(c));
        (void)take(c, ',');
    }
    return n == r->columns_count;
}

static bool take_row(struct orlo_database_client_rows *r, struct cursor *c, arena *mem, struct orlo_database_client_row *row,
                     struct pg_error *error) {
    struct orlo_database_client_value *v = arena_array(mem, struct orlo_database_client_value, r->columns_count + 1);
    row->values.p = v, row->values.n = r->columns_count;
    blanks(c);
    bool object = c->at < c->s.n && c->s.p[c->at] == '{';
    if (!r->keys && (!r->listed || !object)) v[0] = value_of(mem, take_value(c));
    else if (!r->keys || !take_members(r, c, mem, v)) return no_table(error);
    return true;
}

static bool page_of(struct orlo_database_client_rows *r, arena *mem, size_t most, struct tables_page *page,
                    struct pg_error *error) {
    struct cursor c = cursor_of(r);
    VEC(struct orlo_database_client_row) rows = {0};
    while (!r->over && rows.n < MIN(most, (size_t)PAGE_ROWS) && c.at - r->at < PAGE_BYTES && !c.killed) {
        struct orlo_database_client_row row;
        if (r->listed) (void)take(&c, ',');
        r->over = r->listed && (take(&c, ']') || (c.at >= c.s.n && !tables_source_lives(r->source)));
        if (r->over || (r->listed && c.at >= c.s.n)) break;
        if (!r->named) name_columns(r, c);
        if (!take_row(r, &c, mem, &row, error)) {
            r->over = true;
            return false;
        }
        vec_push(mem, &rows, row);
        r->over = !r->listed;
    }
    r->at = c.at;
    *page = (struct tables_page){rows.p, rows.n};
    return true;
}

/* ---- one ---- */

static bool hold(struct host_instance *in, struct orlo_database_client_rows *r, str body) {
    size_t more = body.n > r->held ? body.n - r->held : 0;
    if (body.n > UINT32_MAX || !app_object_holds(in, r, (uint32_t)more)) return false;
    uint8_t *p = malloc(body.n + 1);
    ENSURE(p);
    if (body.n) memcpy(p, body.p, body.n);
    free((void *)(uintptr_t)r->text.p);
    r->text = (str){p, body.n};
    r->held += more;
    r->at = 0;
    return true;
}

struct orlo_database_client_rows *tables_rows_new(struct host_instance *in, struct tables_source *source) {
    struct orlo_database_client_rows *r = app_object_new(in, sizeof *r, rows_destroy);
    if (!r) return NULL;
    r->mem = arena_new(0);
    r->in = in;
    r->source = source;
    return r;
}

struct tables_source *tables_rows_source(struct orlo_database_client_rows *r) {
    return r->source;
}
bool tables_rows_over(const struct orlo_database_client_rows *r) { return r->over; }

static tables_error no_memory(void) {
    return tables_error_of("53200", "out of memory",
                           "The instance may hold no more of what the host keeps for it (host_memory_mb).");
}

void tables_rows_answer(struct host_call *call, struct orlo_database_client_rows *of, str text, tables_answer *result) {
    struct query_head head;
    str body;
    struct orlo_database_client_rows *r = of ? app_object_ref(of) : tables_rows_new(call->instance, NULL);
    bool ok = r && query_head_of(r->mem, text, &head, &body) && hold(call->instance, r, body);
    result->is_err = !ok;
    if (!ok) {
        app_object_unref(call->instance, r);
        result->err = no_memory();
        return;
    }
    r->affected = head.affected;
    r->total = head.total;
    struct cursor c = cursor_of(r);
    r->over = !(head.flags & QUERY_HEAD_BODY);
    r->listed = !(head.flags & QUERY_HEAD_VALUE) && !r->over && take(&c, '[');
    if (r->listed) r->at = c.at;
    if (!r->over && !(r->listed && take(&c, ']'))) name_columns(r, cursor_of(r));
    result->ok = r;
    if (r->listed || !tables_source_lives(r->source)) return;
    app_object_unref(call->instance, r);
    result->is_err = true;
    result->err = tables_error_of("0A000", "an answer that is no list of rows is larger than 256 KiB", "");
}

bool tables_rows_refill(struct orlo_database_client_rows *r, str text, struct pg_error *error) {
    if (hold(r->in, r, text)) return true;
    *error = (struct pg_error){.set = true, .state = "53200", .message = "out of memory"};
    tables_source_free(r->source);
    r->source = NULL;
    r->over = true;
    return false;
}

/* What came meanwhile. False: *error. */
static bool take_part(struct orlo_database_client_rows *r, struct pg_error *error) {
    struct buf part;
    if (!r->source || !tables_source_take(r->source, &part, error)) return true;
    bool ok = !error->set && tables_rows_refill(r, buf_str(&part), error);
    buf_free(&part);
    r->over |= !ok;
    return ok;
}

bool tables_rows_page(struct orlo_database_client_rows *r, arena *mem, size_t most, struct tables_page *page,
                      struct pg_error *error) {
    if (!page_of(r, mem, most, page, error)) return false;
    return page->n || r->over || (take_part(r, error) && page_of(r, mem, most, page, error));
}

enum abi_trap orlo_database_client_rows_columns(struct host_call *call, struct orlo_database_client_rows *self,
                                                struct tables_wit_list_string *result) {
    result->p = self->columns, result->n = self->columns_count;
    return ABI_TRAP_NONE;
}

typedef struct tables_wit_result_list_database_client_row_database_client_error next_page;

/* False: nothing is here, and more may come. */
static bool put_page(struct host_call *call, struct orlo_database_client_rows *r, next_page *result) {
    struct pg_error error = {0};
    struct tables_page page = {0};
    host_uncharge(call->instance, r->paged);
    r->paged = 0;
    arena_free(r->page);
    r->page = arena_new(0);
    bool ok = tables_rows_page(r, r->page, r->most, &page, &error);
    uint64_t bytes = arena_bytes(r->page);
    result->is_err = !ok || !host_charge(call->instance, bytes);
    if (result->is_err) {
        result->err = ok ? no_memory() : tables_error_said(call, &error);
        return true;
    }
    r->paged = bytes;
    result->ok.p = page.rows, result->ok.n = page.n;
    return page.n || r->over;
}

static void fill_next(struct host_call *call, const struct app_reply *reply, void *about, void *result) {
    struct orlo_database_client_rows *r = about;
    next_page *to = result;
    struct pg_error error = {0};
    str text = reply->count && reply->values[0].kind == APP_VALUE_TEXT ? reply->values[0].s : (str){0};
    to->is_err = reply->outcome != APP_DATA_OK;
    if (to->is_err) {
        r->over = true;
        to->err = tables_error_reply(reply);
    } else if (!tables_rows_refill(r, text, &error)) {
        to->is_err = true;
        to->err = tables_error_said(call, &error);
    } else (void)put_page(call, r, to);
}

enum abi_trap orlo_database_client_rows_next(struct host_call *call, struct orlo_database_client_rows *self, uint32_t most,
                                             next_page *result) {
    const struct app_question nothing = {.op = APP_QUERY};
    if (self->source && tables_source_waits(self->source)) {
        result->is_err = true;
        result->err = tables_error_of("55006", "the next rows are waited for already", "");
        return ABI_TRAP_NONE;
    }
    self->most = MAX(most, 1u);
    if (put_page(call, self, result)) return ABI_TRAP_NONE;
    return app_wait(call, tables_source_data(self->source), &nothing, fill_next, self, result);
}

enum abi_trap orlo_database_client_rows_affected(struct host_call *call, struct orlo_database_client_rows *self,
                                                 uint64_t *result) {
    *result = self->affected;
    return ABI_TRAP_NONE;
}

enum abi_trap orlo_database_client_rows_total(struct host_call *call, struct orlo_database_client_rows *self,
                                              struct tables_wit_option_u64 *result) {
    result->some = self->total >= 0;
    result->value = (uint64_t)self->total;
    return ABI_TRAP_NONE;
}
