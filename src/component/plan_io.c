/* plan_io: a plan as flat bytes. One function a struct runs both ways: it writes the struct, or reads it.
 *
 *   "orlp" version  counts…  modules…  core instances…  …  exports…      numbers are u32 little-endian,
 * strings length and bytes
 *
 * The bytes come out of a signed image; still every index is checked when they are read, so that users need
 * not. */
#include "component/plan_int.h"

enum { VERSION = 1, ELEMENT_BYTES_MIN = 4 /* the least that one element of any table takes */ };

struct io {
    struct buf *out; /* writing, else NULL */
    struct rd in;
    arena *arena;
    const struct plan *plan; /* the counts, to check indices */
};

static void io_u32(struct io *io, uint32_t *v) {
    if (io->out) buf_put(io->out, v, sizeof *v);
    else *v = rd_u32le(&io->in);
}

static void io_u64(struct io *io, uint64_t *v) {
    if (io->out) buf_put(io->out, v, sizeof *v);
    else *v = rd_u64le(&io->in);
}

static void io_bool(struct io *io, bool *v) {
    uint32_t n = *v;
    io_u32(io, &n);
    *v = n != 0;
}

static void io_str(struct io *io, str *s) {
    uint32_t n = (uint32_t)s->n;
    io_u32(io, &n);
    if (io->out) buf_puts(io->out, *s);
    else *s = rd_bytes(&io->in, n);
}

/* An index below count; what is read instead of one that is not is harmless, and the load fails. */
static void io_index(struct io *io, uint32_t *v, uint32_t count) {
    io_u32(io, v);
    if (io->out || *v < count) return;
    rd_fail(&io->in, "index out of range");
    *v = 0;
}

static void io_index_or_none(struct io *io, uint32_t *v, uint32_t count) {
    io_u32(io, v);
    if (io->out || *v == PLAN_NONE || *v < count) return;
    rd_fail(&io->in, "index out of range");
    *v = PLAN_NONE;
}

static void io_range(struct io *io, uint32_t *first, uint32_t *n, uint32_t count) {
    io_u32(io, first);
    io_u32(io, n);
    if (!io->out && (*first > count || *n > count - *first)) rd_fail(&io->in, "range out of range");
}

#define IO_ENUM(io, field, count)                                                                                                \
    do {                                                                                                                         \
        uint32_t enum_ = (uint32_t)(field);                                                                                      \
        io_index(io, &enum_, count);                                                                                             \
        (field) = (typeof(field))enum_;                                                                                          \
    } while (0)

static void io_core_def(struct io *io, struct plan_core_def *d) {
    IO_ENUM(io, d->kind, PLAN_DEF_HOST + 1);
    io_u32(io, &d->extern_kind);
    io_u32(io, &d->instance);
    io_u32(io, &d->index);
    if (io->out) return;
    const struct plan *p = io->plan;
    bool bad = (d->kind == PLAN_DEF_EXPORT && d->instance >= p->core_instances_count) ||
               (d->kind == PLAN_DEF_CANON && d->index >= p->canons_count) ||
               (d->kind == PLAN_DEF_HOST && d->index >= p->host_imports_count);
    if (bad) rd_fail(&io->in, "core definition out of range");
}

static void io_func(struct io *io, struct plan_func *f) {
    IO_ENUM(io, f->kind, PLAN_FUNC_IMPORT + 1);
    io_index_or_none(io, &f->index, f->kind == PLAN_FUNC_LIFT ? io->plan->lifts_count : io->plan->imports_count);
}

static void io_layout(struct io *io, struct plan_layout *l) {
    io_u32(io, &l->size);
    io_u32(io, &l->align);
    io_index(io, &l->flat_count, PLAN_FLAT_MAX + 2);
    for (uint32_t i = 0; i < MIN(l->flat_count, (uint32_t)PLAN_FLAT_MAX); i += 4) {
        uint32_t four = 0;
        memcpy(&four, l->flat + i, 4);
        io_u32(io, &four);
        memcpy(l->flat + i, &four, 4);
    }
}

static void io_options(struct io *io, struct plan_options *o) {
    IO_ENUM(io, o->encoding, COMPONENT_LATIN1_UTF16 + 1);
    io_bool(io, &o->is_async);
    io_bool(io, &o->memory64);
    io_core_def(io, &o->memory);
    io_core_def(io, &o->realloc);
    io_core_def(io, &o->post_return);
    io_core_def(io, &o->callback);
}

/* ---- one function a table ----------------------------------------------------------------------- */

static void io_module(struct io *io, struct plan_module *m) {
    io_u64(io, &m->offset);
    io_u64(io, &m->size);
}

static void io_core_instance(struct io *io, struct plan_core_instance *c) {
    io_index(io, &c->module, io->plan->modules_count);
    io_index(io, &c->component_instance, io->plan->instances_count);
    io_range(io, &c->imports_first, &c->imports_count, io->plan->import_defs_count);
}

static void io_host_import(struct io *io, struct plan_host_import *h) {
    io_str(io, &h->module);
    io_str(io, &h->name);
    io_u32(io, &h->extern_kind);
    io_index(io, &h->core_instance, io->plan->core_instances_count);
    io_u32(io, &h->import);
}

static void io_instance(struct io *io, struct plan_instance *i) { io_index_or_none(io, &i->parent, io->plan->instances_count); }

static void io_type(struct io *io, struct plan_type *t) {
    const struct plan *p = io->plan;
    IO_ENUM(io, t->kind, COMPONENT_TYPE_COUNT);
    io_index_or_none(io, &t->element, p->types_count);
    io_index_or_none(io, &t->error, p->types_count);
    io_str(io, &t->name);
    io_u32(io, &t->length);
    io_index_or_none(io, &t->resource, p->resources_count);
    io_range(io, &t->fields_first, &t->fields_count, p->fields_count);
    io_u32(io, &t->discriminant_size);
    io_u32(io, &t->payload_offset[0]);
    io_u32(io, &t->payload_offset[1]);
    io_bool(io, &t->has_borrow);
    io_bool(io, &t->has_pointer);
    io_bool(io, &t->has_handle);
    io_layout(io, &t->layout[0]);
    io_layout(io, &t->layout[1]);
}

static void io_field(struct io *io, struct plan_field *f) {
    io_str(io, &f->name);
    io_index_or_none(io, &f->type, io->plan->types_count);
    io_u32(io, &f->offset[0]);
    io_u32(io, &f->offset[1]);
}

static void io_func_type(struct io *io, struct plan_func_type *t) {
    io_bool(io, &t->is_async);
    io_range(io, &t->params_first, &t->params_count, io->plan->fields_count);
    io_index_or_none(io, &t->result, io->plan->types_count);
    io_layout(io, &t->params[0]);
    io_layout(io, &t->params[1]);
}

static void io_resource(struct io *io, struct plan_resource *r) {
    io_bool(io, &r->imported);
    io_index_or_none(io, &r->instance, io->plan->instances_count);
    io_core_def(io, &r->destructor);
    io_bool(io, &r->rep64);
    io_str(io, &r->interface);
    io_str(io, &r->name);
    io_str(io, &r->label);
}

static void io_lift(struct io *io, struct plan_lift *l) {
    io_core_def(io, &l->func);
    io_index(io, &l->type, io->plan->func_types_count);
    io_index(io, &l->instance, io->plan->instances_count);
    io_options(io, &l->options);
}

static void io_canon(struct io *io, struct plan_canon *c) {
    const struct plan *p = io->plan;
    IO_ENUM(io, c->kind, COMPONENT_CANON_COUNT);
    io_index(io, &c->instance, p->instances_count);
    io_options(io, &c->options);
    io_func(io, &c->target);
    io_index_or_none(io, &c->func_type, p->func_types_count);
    io_index_or_none(io, &c->type, p->types_count);
    io_index_or_none(io, &c->resource, p->resources_count);
    io_bool(io, &c->is_async);
    io_bool(io, &c->cancellable);
    io_bool(io, &c->shared);
    io_u32(io, &c->immediate);
    io_bool(io, &c->immediate64);
    io_bool(io, &c->table64);
    io_core_def(io, &c->table);
    if (!io->out && c->kind == COMPONENT_CANON_LOWER && (c->target.index == PLAN_NONE || c->func_type == PLAN_NONE))
        rd_fail(&io->in, "a lower without a target");
}

static void io_import(struct io *io, struct plan_import *i) {
    io_str(io, &i->interface);
    io_str(io, &i->name);
    io_index(io, &i->type, io->plan->func_types_count);
}

static void io_export(struct io *io, struct plan_export *x) {
    const struct plan *p = io->plan;
    IO_ENUM(io, x->kind, PLAN_EXPORT_OTHER + 1);
    io_str(io, &x->name);
    io_index_or_none(io, &x->parent, p->exports_count);
    io_func(io, &x->func);
    uint32_t counts[] = {p->func_types_count, UINT32_MAX, p->resources_count, p->types_count, UINT32_MAX};
    if (x->kind == PLAN_EXPORT_INSTANCE || x->kind == PLAN_EXPORT_OTHER) io_u32(io, &x->index);
    else io_index(io, &x->index, counts[x->kind]);
}

/* X(table, struct, function) in file order. */
#define PLAN_TABLES(X)                                                                                                           \
    X(modules, plan_module, io_module)                                                                                           \
    X(core_instances, plan_core_instance, io_core_instance)                                                                      \
    X(import_defs, plan_core_def, io_core_def)                                                                                   \
    X(host_imports, plan_host_import, io_host_import)                                                                            \
    X(instances, plan_instance, io_instance)                                                                                     \
    X(types, plan_type, io_type)                                                                                                 \
    X(fields, plan_field, io_field)                                                                                              \
    X(func_types, plan_func_type, io_func_type)                                                                                  \
    X(resources, plan_resource, io_resource)                                                                                     \
    X(lifts, plan_lift, io_lift)                                                                                                 \
    X(canons, plan_canon, io_canon)                                                                                              \
    X(imports, plan_import, io_import)                                                                                           \
    X(exports, plan_export, io_export)

static void io_plan(struct io *io, struct plan *p) {
    uint32_t magic = 0x706c726f, version = VERSION;
    io->plan = p;
    io_u32(io, &magic);
    io_u32(io, &version);
    if (!io->out && (magic != 0x706c726f || version != VERSION)) rd_fail(&io->in, "not a plan, or of another version");
    io_bool(io, &p->is_core);
#define X(table, type, fn)                                                                                                       \
    io_u32(io, &p->table##_count);                                                                                               \
    if (!io->out && p->table##_count > rd_left(&io->in) / ELEMENT_BYTES_MIN) rd_fail(&io->in, "count out of range");
    PLAN_TABLES(X)
#undef X
    if (!io->out && io->in.fail) return;
#define X(table, type, fn)                                                                                                       \
    if (!io->out) p->table = arena_array(io->arena, struct type, p->table##_count);                                              \
    for (uint32_t i = 0; i < p->table##_count; i++) fn(io, &p->table[i]);
    PLAN_TABLES(X)
#undef X
}

/* Types refer only to earlier ones, and have the parts that their kind has. */
static bool types_are_sound(const struct plan *p) {
    for (uint32_t i = 0; i < p->types_count; i++) {
        const struct plan_type *t = &p->types[i];
        bool handle = t->kind == COMPONENT_TYPE_OWN || t->kind == COMPONENT_TYPE_BORROW;
        bool needs = t->kind == COMPONENT_TYPE_LIST || t->kind == COMPONENT_TYPE_FIXED_LIST || t->kind == COMPONENT_TYPE_OPTION ||
                     t->kind == COMPONENT_TYPE_MAP;
        bool members = t->kind == COMPONENT_TYPE_RECORD || t->kind == COMPONENT_TYPE_TUPLE;
        if ((i < COMPONENT_PRIMITIVES) != (t->kind < COMPONENT_PRIMITIVES) || (handle && t->resource == PLAN_NONE)) return false;
        if (needs && t->element == PLAN_NONE) return false;
        if ((t->element != PLAN_NONE && t->element >= i) || (t->error != PLAN_NONE && t->error >= i)) return false;
        for (uint32_t k = 0; k < t->fields_count; k++) {
            uint32_t part = p->fields[t->fields_first + k].type;
            if (part == PLAN_NONE ? members : part >= i) return false;
        }
    }
    for (uint32_t i = 0; i < p->func_types_count; i++)
        for (uint32_t k = 0; k < p->func_types[i].params_count; k++)
            if (p->fields[p->func_types[i].params_first + k].type == PLAN_NONE) return false;
    return true;
}

/* What the kinds of canons and exports need. */
static bool items_are_sound(const struct plan *p) {
    for (uint32_t i = 0; i < p->canons_count; i++) {
        const struct plan_canon *c = &p->canons[i];
        if (c->kind >= COMPONENT_CANON_RESOURCE_NEW && c->kind <= COMPONENT_CANON_RESOURCE_REP && c->resource == PLAN_NONE)
            return false;
        if (c->kind >= COMPONENT_CANON_STREAM_NEW && c->kind <= COMPONENT_CANON_FUTURE_DROP_WRITABLE && c->type == PLAN_NONE)
            return false;
    }
    for (uint32_t i = 0; i < p->exports_count; i++) {
        const struct plan_export *x = &p->exports[i];
        if ((x->parent != PLAN_NONE && x->parent >= i) || (x->kind == PLAN_EXPORT_FUNC && x->func.index == PLAN_NONE))
            return false;
    }
    return true;
}

void plan_save(const struct plan *plan, struct buf *out) {
    struct io io = {.out = out};
    struct plan copy = *plan; /* the tables are only read when writing */
    io_plan(&io, &copy);
}

err plan_load(arena *out, str bytes, struct plan *plan) {
    struct io io = {.in = rd_of(bytes), .arena = out};
    *plan = (struct plan){0};
    io_plan(&io, plan);
    if (io.in.fail || rd_left(&io.in) || plan->types_count < COMPONENT_PRIMITIVES) return ERR_MALFORMED;
    if (!types_are_sound(plan) || !items_are_sound(plan)) return ERR_MALFORMED;
    return ERR_OK;
}
