/* print: a module as text (§6), plain instructions, one a line, indented by block.
 *
 * Reads with the unchecked readers: module and bodies have been validated. A function is called by its name
 * where the name section gives it one that no other function has, else by its index. */
#include "wasm/wasm_int.h"
#include <math.h>

struct printer {
    struct buf *out;
    const struct wasm_module *m;
    bool *named; /* by function: its name is unique and not empty */
    arena *scratch;
};

/* ---- pieces ------------------------------------------------------------------------------------- */

static void put(struct printer *p, const char *s) { buf_puts(p->out, str_c(s)); }
#define putf(p, ...) buf_printf((p)->out, __VA_ARGS__)

static void newline(struct printer *p, uint32_t depth) {
    buf_putc(p->out, '\n');
    for (uint32_t i = 0; i < MIN(depth, 20u); i++) put(p, "  "); /* Go nests thousands of blocks */
}

static void put_string(struct printer *p, str s) {
    buf_putc(p->out, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') buf_putc(p->out, c);
        else putf(p, "\\%02x", c);
    }
    buf_putc(p->out, '"');
}

static bool is_id(str s) { /* §6.3.5 */
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || strchr("\"(),;[]{}", s.p[i])) return false;
    return s.n > 0;
}

static void put_id(struct printer *p, str s) {
    buf_putc(p->out, '$');
    if (is_id(s)) buf_puts(p->out, s);
    else put_string(p, s);
}

static void put_func(struct printer *p, uint32_t index) {
    if (p->named && p->named[index]) put_id(p, p->m->func_names[index]);
    else putf(p, "%u", index);
}

static void put_heap(struct printer *p, uint32_t heap) {
    char text[40];
    if (wasm_heap_is_index(heap)) {
        putf(p, "%u", wasm_heap_index(heap));
        return;
    }
    wasm_type_text(wasm_ref(heap, false), text, sizeof text); /* "(ref x)" */
    buf_puts(p->out, str_sub(str_c(text), 5, strlen(text) - 6));
}

static void put_type(struct printer *p, wasm_type t) {
    char text[40];
    put(p, wasm_type_text(t, text, sizeof text));
}

static void put_types(struct printer *p, const char *what, const wasm_type *t, uint32_t n) {
    if (!n) return;
    putf(p, " (%s", what);
    for (uint32_t i = 0; i < n; i++) buf_putc(p->out, ' '), put_type(p, t[i]);
    buf_putc(p->out, ')');
}

static void put_type_use(struct printer *p, uint32_t type) {
    const struct wasm_deftype *t = &p->m->types[type];
    putf(p, " (type %u)", type);
    put_types(p, "param", t->params, t->params_count);
    put_types(p, "result", t->results, t->results_count);
}

/* The shortest decimal that reads back as the same number; NaNs by their payload (§6.3.2). */
static void put_float(struct printer *p, double v, int digits_min, int digits_max, bool narrow) {
    char text[64];
    for (int digits = digits_min; digits <= digits_max; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        double back = narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (!memcmp(&back, &v, sizeof v)) break;
    }
    put(p, text);
}

static void put_f32(struct printer *p, const uint8_t *at) {
    uint32_t bits;
    float v;
    memcpy(&bits, at, sizeof bits);
    memcpy(&v, at, sizeof v);
    const char *sign = bits >> 31 ? "-" : "";
    if (isnan(v)) putf(p, "%snan:0x%x", sign, bits & 0x7fffff);
    else if (isinf(v)) putf(p, "%sinf", sign);
    else put_float(p, (double)v, 6, 9, true);
}

static void put_f64(struct printer *p, const uint8_t *at) {
    uint64_t bits;
    double v;
    memcpy(&bits, at, sizeof bits);
    memcpy(&v, at, sizeof v);
    const char *sign = bits >> 63 ? "-" : "";
    if (isnan(v)) putf(p, "%snan:0x%llx", sign, (unsigned long long)(bits & 0xfffffffffffffull));
    else if (isinf(v)) putf(p, "%sinf", sign);
    else put_float(p, v, 15, 17, false);
}

/* ---- instructions ------------------------------------------------------------------------------- */

static void put_block_type(struct printer *p, const uint8_t **c) {
    struct wasm_block_type t;
    wasm_get_block_type(p->m, c, &t);
    if (t.type != WASM_NO_INDEX) put_type_use(p, t.type);
    else put_types(p, "result", t.results, t.results_count);
}

static void put_catches(struct printer *p, const uint8_t **c) {
    static const char *const names[] = {"catch", "catch_ref", "catch_all", "catch_all_ref"};
    for (uint32_t n = wasm_get_u32(c); n--;) {
        uint8_t kind = *(*c)++;
        putf(p, " (%s", names[kind & 3]);
        if (kind < 2) putf(p, " %u", wasm_get_u32(c));
        putf(p, " %u)", wasm_get_u32(c));
    }
}

static void put_memarg(struct printer *p, const uint8_t **c, uint32_t natural) {
    struct wasm_memarg a = wasm_get_memarg(c);
    if (a.memory) putf(p, " %u", a.memory);
    if (a.offset) putf(p, " offset=%llu", (unsigned long long)a.offset);
    if (a.align != natural) putf(p, " align=%llu", 1ull << a.align);
}

static void put_vector(struct printer *p, const uint8_t **c) {
    put(p, " i32x4");
    for (int i = 0; i < 4; i++, *c += 4) {
        uint32_t lane;
        memcpy(&lane, *c, sizeof lane);
        putf(p, " 0x%08x", lane);
    }
}

/* Two indices; the text has some in the other order than the bytes. */
static void put_pair(struct printer *p, const uint8_t **c, bool swapped) {
    uint32_t a = wasm_get_u32(c), b = wasm_get_u32(c);
    putf(p, " %u %u", swapped ? b : a, swapped ? a : b);
}

static void put_ref(struct printer *p, uint32_t heap, bool null) {
    put(p, null ? " (ref null " : " (ref ");
    put_heap(p, heap);
    buf_putc(p->out, ')');
}

static void put_cast(struct printer *p, const uint8_t **c) {
    uint8_t flags = *(*c)++;
    putf(p, " %u", wasm_get_u32(c));
    put_ref(p, wasm_get_heap(c), flags & 1);
    put_ref(p, wasm_get_heap(c), flags & 2);
}

static void put_indices(struct printer *p, const uint8_t **c, uint64_t n) {
    while (n--) putf(p, " %u", wasm_get_u32(c));
}

static void put_indirect(struct printer *p, const uint8_t **c) {
    uint32_t type = wasm_get_u32(c), table = wasm_get_u32(c);
    if (table) putf(p, " %u", table);
    put_type_use(p, type);
}

static void put_immediates(struct printer *p, const uint8_t **c, enum wasm_op op) {
    const struct wasm_op_info *o = &wasm_ops[op];
    switch ((enum wasm_imm)o->imm) {
    case WASM_IMM_NONE: return;
    case WASM_IMM_FENCE: ++*c; return;
    case WASM_IMM_BLOCK: put_block_type(p, c); return;
    case WASM_IMM_TRY_TABLE: put_block_type(p, c), put_catches(p, c); return;
    case WASM_IMM_BR_TABLE: put_indices(p, c, wasm_get_u32(c) + 1ull); return;
    case WASM_IMM_FUNC: buf_putc(p->out, ' '), put_func(p, wasm_get_u32(c)); return;
    case WASM_IMM_INDIRECT: put_indirect(p, c); return;
    case WASM_IMM_SELECT:
        put(p, " (result");
        for (uint32_t n = wasm_get_u32(c); n--;) buf_putc(p->out, ' '), put_type(p, wasm_get_type(c));
        buf_putc(p->out, ')');
        return;
    case WASM_IMM_MEMARG: put_memarg(p, c, o->aux); return;
    case WASM_IMM_MEMARG_LANE: put_memarg(p, c, o->aux), putf(p, " %u", *(*c)++); return;
    case WASM_IMM_MEMORY_INIT:
    case WASM_IMM_TABLE_INIT: put_pair(p, c, true); return;
    case WASM_IMM_MEMORY_COPY:
    case WASM_IMM_TABLE_COPY:
    case WASM_IMM_TYPE_FIELD:
    case WASM_IMM_TYPE_COUNT:
    case WASM_IMM_TYPE_DATA:
    case WASM_IMM_TYPE_ELEM:
    case WASM_IMM_TYPE_TYPE: put_pair(p, c, false); return;
    case WASM_IMM_I32: putf(p, " %d", wasm_get_s32(c)); return;
    case WASM_IMM_I64: putf(p, " %lld", (long long)wasm_get_s64(c)); return;
    case WASM_IMM_F32: buf_putc(p->out, ' '), put_f32(p, *c), *c += 4; return;
    case WASM_IMM_F64: buf_putc(p->out, ' '), put_f64(p, *c), *c += 8; return;
    case WASM_IMM_V128: put_vector(p, c); return;
    case WASM_IMM_SHUFFLE:
        for (int i = 0; i < 16; i++) putf(p, " %u", *(*c)++);
        return;
    case WASM_IMM_LANE: putf(p, " %u", *(*c)++); return;
    case WASM_IMM_HEAP:
        if (op == WASM_OP_REF_NULL) buf_putc(p->out, ' '), put_heap(p, wasm_get_heap(c));
        else put_ref(p, wasm_get_heap(c), o->aux);
        return;
    case WASM_IMM_CAST: put_cast(p, c); return;
    case WASM_IMM_LABEL:
    case WASM_IMM_TYPE:
    case WASM_IMM_LOCAL:
    case WASM_IMM_GLOBAL:
    case WASM_IMM_TABLE:
    case WASM_IMM_TAG:
    case WASM_IMM_MEMORY:
    case WASM_IMM_DATA:
    case WASM_IMM_ELEM: put_indices(p, c, 1); return;
    }
}

static void put_expr(struct printer *p, wasm_expr e) {
    const uint8_t *c = e.p, *end = e.p + e.n - 1; /* not the `end` */
    while (c < end) {
        enum wasm_op op = wasm_get_op(&c);
        putf(p, " %s", wasm_ops[op].text);
        put_immediates(p, &c, op);
    }
}

static void put_body(struct printer *p, const struct wasm_func *f) {
    const uint8_t *c = f->body.p, *end = f->body.p + f->body.n;
    for (uint32_t groups = wasm_get_u32(&c); groups--;) {
        uint32_t n = wasm_get_u32(&c);
        wasm_type t = wasm_get_type(&c);
        if (!n) continue;
        newline(p, 2);
        put(p, "(local");
        while (n--) buf_putc(p->out, ' '), put_type(p, t);
        buf_putc(p->out, ')');
    }
    uint32_t depth = 2;
    while (c < end && !p->out->full) {
        enum wasm_op op = wasm_get_op(&c);
        if (c == end) break; /* the function's own `end` is the closing parenthesis */
        bool opens = op == WASM_OP_BLOCK || op == WASM_OP_LOOP || op == WASM_OP_IF || op == WASM_OP_TRY_TABLE;
        if (op == WASM_OP_END) depth--;
        newline(p, op == WASM_OP_ELSE ? depth - 1 : depth);
        put(p, wasm_ops[op].text);
        put_immediates(p, &c, op);
        if (opens) depth++;
    }
}

/* ---- fields of the module ----------------------------------------------------------------------- */

static void put_field(struct printer *p, const struct wasm_field *f) {
    if (f->mutable) put(p, "(mut ");
    put_type(p, f->type);
    if (f->mutable) buf_putc(p->out, ')');
}

static void put_deftype(struct printer *p, uint32_t i) {
    const struct wasm_deftype *t = &p->m->types[i];
    bool plain = t->final && t->super == WASM_NO_INDEX;
    putf(p, "(type (;%u;) ", i);
    if (!plain) {
        put(p, t->final ? "(sub final " : "(sub ");
        if (t->super != WASM_NO_INDEX) putf(p, "%u ", t->super);
    }
    if (t->comp == WASM_COMP_FUNC) {
        put(p, "(func");
        put_types(p, "param", t->params, t->params_count);
        put_types(p, "result", t->results, t->results_count);
    } else if (t->comp == WASM_COMP_ARRAY) {
        put(p, "(array ");
        put_field(p, &t->fields[0]);
    } else {
        put(p, "(struct");
        for (uint32_t k = 0; k < t->fields_count; k++) put(p, " (field "), put_field(p, &t->fields[k]), put(p, ")");
    }
    put(p, plain ? "))" : ")))");
}

static void print_types(struct printer *p) {
    const struct wasm_module *m = p->m;
    for (uint32_t i = 0; i < m->types_count; i++) {
        const struct wasm_deftype *t = &m->types[i];
        bool group = t->group_count > 1;
        if (group && i == t->group_start) newline(p, 1), put(p, "(rec");
        newline(p, group ? 2 : 1);
        put_deftype(p, i);
        if (group && i + 1 == t->group_start + t->group_count) put(p, ")");
    }
}

static void put_limits(struct printer *p, const struct wasm_limits *l) {
    putf(p, " %s%llu", l->is64 ? "i64 " : "", (unsigned long long)l->min);
    if (l->has_max) putf(p, " %llu", (unsigned long long)l->max);
    if (l->shared) put(p, " shared");
}

/* "(kind (;index;) its type", the closing parenthesis left to the caller. */
static void put_definition(struct printer *p, enum wasm_extern kind, uint32_t index) {
    const struct wasm_module *m = p->m;
    putf(p, "(%s ", wasm_extern_text(kind));
    if (kind == WASM_EXTERN_FUNC && p->named && p->named[index]) put_id(p, m->func_names[index]), buf_putc(p->out, ' ');
    putf(p, "(;%u;)", index);
    switch (kind) {
    case WASM_EXTERN_FUNC: put_type_use(p, m->funcs[index].type); return;
    case WASM_EXTERN_TABLE:
        put_limits(p, &m->tables[index].limits);
        buf_putc(p->out, ' ');
        put_type(p, m->tables[index].type);
        return;
    case WASM_EXTERN_MEMORY: put_limits(p, &m->memories[index].limits); return;
    case WASM_EXTERN_GLOBAL:
        buf_putc(p->out, ' ');
        put_field(p, &(struct wasm_field){m->globals[index].type, m->globals[index].mutable});
        return;
    case WASM_EXTERN_TAG: put_type_use(p, m->tags[index].type); return;
    }
}

static void print_imports(struct printer *p) {
    for (uint32_t i = 0; i < p->m->imports_count; i++) {
        const struct wasm_import *im = &p->m->imports[i];
        newline(p, 1);
        put(p, "(import ");
        put_string(p, im->module);
        buf_putc(p->out, ' ');
        put_string(p, im->name);
        buf_putc(p->out, ' ');
        put_definition(p, im->kind, im->index);
        put(p, "))");
    }
}

static void print_definitions(struct printer *p, enum wasm_extern kind, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to && !p->out->full; i++) {
        newline(p, 1);
        put_definition(p, kind, i);
        if (kind == WASM_EXTERN_TABLE && p->m->tables[i].init.n) put_expr(p, p->m->tables[i].init);
        if (kind == WASM_EXTERN_GLOBAL) put_expr(p, p->m->globals[i].init);
        if (kind == WASM_EXTERN_FUNC) {
            put_body(p, &p->m->funcs[i]);
            newline(p, 1);
        }
        buf_putc(p->out, ')');
    }
}

static void print_exports(struct printer *p) {
    for (uint32_t i = 0; i < p->m->exports_count; i++) {
        const struct wasm_export *e = &p->m->exports[i];
        newline(p, 1);
        put(p, "(export ");
        put_string(p, e->name);
        putf(p, " (%s ", wasm_extern_text(e->kind));
        if (e->kind == WASM_EXTERN_FUNC) put_func(p, e->index);
        else putf(p, "%u", e->index);
        put(p, "))");
    }
}

static void put_elem(struct printer *p, const struct wasm_elem *e, uint32_t index) {
    putf(p, "(elem (;%u;)", index);
    if (e->mode == WASM_SEGMENT_DECLARATIVE) put(p, " declare");
    if (e->mode == WASM_SEGMENT_ACTIVE) {
        putf(p, " (table %u) (offset", e->table);
        put_expr(p, e->offset);
        put(p, ")");
    }
    if (e->funcs) {
        put(p, " func");
        for (uint32_t i = 0; i < e->count; i++) buf_putc(p->out, ' '), put_func(p, e->funcs[i]);
    } else {
        buf_putc(p->out, ' ');
        put_type(p, e->type);
        for (uint32_t i = 0; i < e->count; i++) put(p, " (item"), put_expr(p, e->exprs[i]), put(p, ")");
    }
    put(p, ")");
}

static void print_segments(struct printer *p) {
    const struct wasm_module *m = p->m;
    for (uint32_t i = 0; i < m->elems_count; i++) newline(p, 1), put_elem(p, &m->elems[i], i);
    for (uint32_t i = 0; i < m->datas_count && !p->out->full; i++) {
        const struct wasm_data *d = &m->datas[i];
        newline(p, 1);
        putf(p, "(data (;%u;)", i);
        if (d->mode == WASM_SEGMENT_ACTIVE) {
            if (d->memory) putf(p, " (memory %u)", d->memory);
            put(p, " (offset");
            put_expr(p, d->offset);
            put(p, ")");
        }
        buf_putc(p->out, ' ');
        put_string(p, d->bytes);
        put(p, ")");
    }
}

/* ---- names, and all together -------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) { return str_cmp(**(const str *const *)a, **(const str *const *)b); }

static void find_unique_names(struct printer *p) {
    const struct wasm_module *m = p->m;
    if (!m->func_names) return;
    p->named = arena_array(p->scratch, bool, m->funcs_count);
    const str **sorted = arena_array(p->scratch, const str *, m->funcs_count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->funcs_count; i++)
        if (m->func_names[i].n) sorted[n++] = &m->func_names[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (uint32_t i = 0; i < n; i++) {
        bool twin = (i && str_eq(*sorted[i - 1], *sorted[i])) || (i + 1 < n && str_eq(*sorted[i], *sorted[i + 1]));
        p->named[sorted[i] - m->func_names] = !twin;
    }
}

void wasm_print(struct buf *out, const struct wasm_module *m) {
    struct printer p = {.out = out, .m = m, .scratch = arena_new(0)};
    find_unique_names(&p);
    put(&p, "(module");
    if (m->name.n) buf_putc(out, ' '), put_id(&p, m->name);
    print_types(&p);
    print_imports(&p);
    print_definitions(&p, WASM_EXTERN_TABLE, m->tables_imported, m->tables_count);
    print_definitions(&p, WASM_EXTERN_MEMORY, m->memories_imported, m->memories_count);
    print_definitions(&p, WASM_EXTERN_TAG, m->tags_imported, m->tags_count);
    print_definitions(&p, WASM_EXTERN_GLOBAL, m->globals_imported, m->globals_count);
    print_exports(&p);
    if (m->start != WASM_NO_INDEX) newline(&p, 1), put(&p, "(start "), put_func(&p, m->start), put(&p, ")");
    print_segments(&p);
    print_definitions(&p, WASM_EXTERN_FUNC, m->funcs_imported, m->funcs_count);
    put(&p, ")\n");
    arena_free(p.scratch);
}
