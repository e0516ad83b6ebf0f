/* component: the commands of the component model's suite. Each module is compiled, loaded and instantiated as
 * the node does it. */
#include "spec.h"
#include "component/component.h"
#include "host/host.h"
#include "link/link.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct instance {
    struct host_component *component;
    struct host_instance *in; /* NULL: could not be instantiated */
};

/* In the place of an instance whose module was skipped: what acts on it is skipped, too. */
#define SKIPPED ((struct instance *)1)

struct suite {
    struct spec_file *f;
    arena *a;
    struct engine *engine;
    struct instance *current; /* NULL: could not be instantiated; SKIPPED */
    struct map instances;     /* by the test's own names */
    struct map definitions;   /* name -> command */
    VEC(struct instance *) alive;
};

static bool is(const struct json *command, const char *type) { return str_eqc(str_c(spec_member(command, "type")), type); }

bool spec_is_component(struct spec_file *f) {
    str bytes;
    JSON_EACH(command, f->commands) if (spec_read_binary(f, command, &bytes) == SPEC_BINARY) {
        enum component_kind k = component_kind(bytes, NULL);
        if (k == COMPONENT_KIND_COMPONENT) return true;
        if (k == COMPONENT_KIND_MODULE) return false;
    }
    return strstr(f->path, "component") != NULL;
}

/* ---- components ------------------------------------------------------------------------------- */

static err validate(str bytes, struct diag *d) {
    arena *a = arena_new(0);
    struct component *c;
    err e = component_decode(a, bytes, &c, d);
    if (e == ERR_OK) e = component_validate_code(c, d);
    arena_free(a);
    return e;
}

struct job {
    struct host_instance *in;
    const struct host_export *ex; /* NULL: start */
    struct host_call *call;
    const void *args;
    void *result;
    enum abi_trap trap;
    bool done;
};

static void run_job(void *arg) {
    struct job *j = arg;
    j->trap = j->ex ? host_call_export(j->call, j->ex, j->args, j->result) : host_instance_start(j->in);
    j->done = true;
}

static void run(struct suite *s, struct job *j) {
    struct engine_instance *in = host_instance_engine(j->in);
    ENSURE(engine_spawn(in, run_job, j));
    while (!j->done) engine_run(s->engine, 1); /* no further: what runs on may be meant not to */
}

static const char *trap_text(struct host_instance *in, enum abi_trap t) {
    const struct engine_trap_record *r = engine_last_trap(host_instance_engine(in));
    return r && r->text[0] ? r->text : abi_trap_text(t);
}

/* ERR_TRAP: d has the text; out may be alive all the same. */
static err instantiate_bytes(struct suite *s, str bytes, struct instance **out, struct diag *d) {
    static const struct host_offer nothing = {};
    const struct link_options o = {.no_snapshot = getenv("ORLO_SPEC_NO_SNAPSHOT") != NULL};
    struct link_stats stats;
    struct abi_image im;
    int fd;
    TRY(validate(bytes, d));
    TRY(link_file_memfd(bytes, &o, &fd, &stats, d));
    TRY(abi_image_open(fd, NULL, &im, d));
    struct instance *i = arena_make(s->a, struct instance);
    TRY(host_component_load(engine_share_own(s->engine), im, &nothing, NULL, &i->component, d));
    i->in = host_instance_acquire(i->component, NULL);
    if (!i->in) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "no slot is free");
    vec_push(s->a, &s->alive, i);
    *out = i;
    struct job j = {.in = i->in};
    run(s, &j);
    return j.trap ? diag_set(d, ERR_TRAP, DIAG_NOWHERE, "%s", trap_text(i->in, j.trap)) : ERR_OK;
}

static void set_current(struct suite *s, const char *name, struct instance *i) {
    s->current = i;
    if (name) map_put(s->a, &s->instances, str_c(name), (uintptr_t)i);
}

static void instantiate(struct suite *s, const struct json *command, const struct json *definition, const char *name) {
    struct diag d = DIAG_INIT;
    struct instance *i = SKIPPED;
    str bytes;
    enum spec_source from = spec_binary(s->f, command, definition, &bytes);
    set_current(s, name, from == SPEC_TEXT ? SKIPPED : NULL);
    if (from != SPEC_BINARY) return;
    err e = s->f->validate_only ? validate(bytes, &d) : instantiate_bytes(s, bytes, &i, &d);
    if (e != ERR_OK) {
        spec_fail(s->f, command, "cannot be instantiated: %s", d.text[0] ? d.text : err_text(e));
        return;
    }
    set_current(s, name, i);
    spec_pass(s->f);
}

static void module_definition(struct suite *s, const struct json *command) {
    const char *name = spec_member(command, "name");
    struct diag d = DIAG_INIT;
    str bytes;
    map_put(s->a, &s->definitions, str_c(name ? name : ""), (uintptr_t)command);
    if (spec_binary(s->f, command, command, &bytes) != SPEC_BINARY) return;
    if (validate(bytes, &d)) spec_fail(s->f, command, "does not validate: %s", d.text);
    else spec_pass(s->f);
}

static void module_instance(struct suite *s, const struct json *command) {
    const char *module = spec_member(command, "module");
    uint64_t definition;
    if (!map_get(&s->definitions, str_c(module ? module : ""), &definition)) spec_fail(s->f, command, "no such definition");
    else instantiate(s, command, (const struct json *)(uintptr_t)definition, spec_member(command, "instance"));
}

/* ---- values ----------------------------------------------------------------------------------- */

/* What the suites call each kind of type. */
static const char *const kind_names[] = {
    [HOST_BOOL] = "bool",       [HOST_S8] = "s8",     [HOST_U8] = "u8",       [HOST_S16] = "s16",
    [HOST_U16] = "u16",         [HOST_S32] = "s32",   [HOST_U32] = "u32",     [HOST_S64] = "s64",
    [HOST_U64] = "u64",         [HOST_F32] = "f32",   [HOST_F64] = "f64",     [HOST_CHAR] = "char",
    [HOST_STRING] = "string",   [HOST_LIST] = "list", [HOST_ARRAY] = "list",  [HOST_RECORD] = "record",
    [HOST_VARIANT] = "variant", [HOST_ENUM] = "enum", [HOST_FLAGS] = "flags", [HOST_OPTION] = "option",
    [HOST_RESULT] = "result",
};

static bool is_of_kind(const struct json *json, const struct host_type *t) {
    const char *want = t->is_tuple ? "tuple" : t->kind < ARRAY_COUNT(kind_names) ? kind_names[t->kind] : NULL;
    const char *got = spec_member(json, "type");
    return want && got && !strcmp(got, want);
}

/* A number, or a float's bits: nothing is cut to size. */
static bool put_number(const struct host_type *t, const struct json *v, void *out) {
    const char *text = json_cstr(v), *digits = text && *text == '-' ? text + 1 : text;
    uint32_t bits = t->host_size * 8;
    bool is_signed = t->kind == HOST_S8 || t->kind == HOST_S16 || t->kind == HOST_S32 || t->kind == HOST_S64;
    if (!text || !*digits || strspn(digits, "0123456789") != strlen(digits)) return false;
    errno = 0;
    int64_t s = strtoll(text, NULL, 10);
    if (is_signed && (errno || s < INT64_MIN >> (64 - bits) || s > INT64_MAX >> (64 - bits))) return false;
    if (!is_signed) {
        errno = 0;
        uint64_t u = strtoull(text, NULL, 10);
        if (errno || *text == '-' || u > UINT64_MAX >> (64 - bits)) return false;
        s = (int64_t)u;
    }
    memcpy(out, &s, t->host_size);
    return true;
}

/* One character; JSON that was read is well-formed UTF-8. */
static bool put_char(const struct json *v, uint32_t *out) {
    const uint8_t *p = json_str(v).p;
    size_t n = json_str(v).n;
    if (!p || !n) return false;
    uint32_t more = p[0] < 0x80 ? 0 : p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
    uint32_t u = more ? p[0] & (0x3fu >> more) : p[0];
    if (n != 1 + more) return false;
    for (uint32_t i = 1; i <= more; i++) u = u << 6 | (p[i] & 0x3f);
    *out = u;
    return true;
}

static bool put(struct suite *s, const struct host_type *t, const struct json *v, uint8_t *out);

static bool put_all(struct suite *s, const struct host_type *e, const struct json *v, uint8_t *out) {
    for (uint32_t i = 0; i < json_count(v); i++)
        if (!put(s, e, json_item(v, i), out + i * e->host_size)) return false;
    return true;
}

static bool put_record(struct suite *s, const struct host_type *t, const struct json *v, uint8_t *out) {
    if (json_count(v) != t->count) return false;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct json *item = json_item(v, i);
        if (!t->is_tuple) {
            const char *name = json_cstr(json_item(item, 0));
            if (!name || strcmp(name, t->fields[i].name) != 0) return false;
            item = json_item(item, 1);
        }
        if (!put(s, t->fields[i].type, item, out + t->fields[i].host_offset)) return false;
    }
    return true;
}

static uint32_t label(const struct host_type *t, const char *name) {
    for (uint32_t i = 0; name && i < t->count; i++)
        if (!strcmp(t->fields[i].name, name)) return i;
    return UINT32_MAX;
}

static bool put_case(struct suite *s, const struct host_type *t, uint32_t i, const struct json *payload, uint8_t *out) {
    if (i >= t->count) return false;
    memcpy(out, &i, t->kind == HOST_VARIANT ? 4 : 1);
    bool given = payload && !json_is(payload, JSON_KIND_NULL);
    if (!t->fields[i].type != !given) return false;
    return !given || put(s, t->fields[i].type, payload, out + t->host_payload);
}

static bool put_flags(const struct host_type *t, const struct json *v, uint32_t *out) {
    *out = 0;
    JSON_EACH(item, v) {
        uint32_t bit = label(t, json_cstr(item));
        if (bit == UINT32_MAX) return false;
        *out |= 1u << bit;
    }
    return true;
}

/* A JSON value into host layout; false: it is not of the type. */
static bool put(struct suite *s, const struct host_type *t, const struct json *json, uint8_t *out) {
    const struct json *v = json_get(json, "value");
    memset(out, 0, t->host_size);
    if (!is_of_kind(json, t)) return false;
    switch ((enum host_kind)t->kind) {
    case HOST_BOOL: *out = json_bool(v); return json_is(v, JSON_KIND_BOOL);
    case HOST_CHAR: return put_char(v, (uint32_t *)(void *)out);
    case HOST_STRING: *(str *)(void *)out = spec_member_str(json, "value"); return json_is(v, JSON_KIND_STR);
    case HOST_LIST: {
        struct {
            uint8_t *p;
            size_t n;
        } *list = (void *)out;
        list->n = json_count(v);
        list->p = arena_alloc(s->a, list->n * t->elem->host_size + 1, 16);
        return json_is(v, JSON_KIND_ARRAY) && put_all(s, t->elem, v, list->p);
    }
    case HOST_ARRAY: return json_count(v) == t->count && put_all(s, t->elem, v, out);
    case HOST_RECORD: return put_record(s, t, v, out);
    case HOST_VARIANT: return put_case(s, t, label(t, spec_member(v, "case")), json_get(v, "payload"), out);
    case HOST_ENUM: {
        uint32_t i = label(t, json_cstr(v));
        memcpy(out, &i, 4);
        return i < t->count;
    }
    case HOST_FLAGS: return put_flags(t, v, (uint32_t *)(void *)out);
    case HOST_OPTION: return put_case(s, t, v && !json_is(v, JSON_KIND_NULL), v, out);
    case HOST_RESULT: {
        bool is_err = json_get(v, "Err") != NULL;
        return put_case(s, t, is_err, json_get(v, is_err ? "Err" : "Ok"), out);
    }
    case HOST_OWN:
    case HOST_BORROW:
    case HOST_STREAM:
    case HOST_FUTURE:
    case HOST_ERROR_CONTEXT: return false;
    default: return put_number(t, v, out);
    }
}

/* ---- actions ---------------------------------------------------------------------------------- */

/* False: it has been reported. */
static bool target(struct suite *s, const struct json *command, const char *name, struct instance **out) {
    uint64_t v = (uintptr_t)s->current;
    bool known = !name || map_get(&s->instances, str_c(name), &v);
    *out = (struct instance *)(uintptr_t)v;
    if (!known) spec_fail(s->f, command, "no such instance: %s", name);
    else if (*out == SKIPPED) spec_skip(s->f, command, s->f->validate_only ? "needs execution" : "text format");
    else if (!*out) spec_fail(s->f, command, "its component could not be instantiated");
    else return true;
    return false;
}

struct outcome {
    struct instance *of;
    const struct host_export *ex;
    struct host_call call;
    void *result;
    enum abi_trap trap;
};

static bool put_args(struct suite *s, const struct json *args, const struct host_type *params, uint8_t *out) {
    if (!params) return json_count(args) == 0;
    if (json_count(args) != params->count) return false;
    for (uint32_t i = 0; i < params->count; i++)
        if (!put(s, params->fields[i].type, json_item(args, i), out + params->fields[i].host_offset)) return false;
    return true;
}

/* False: it has been reported. True: host_call_end is the caller's. */
static bool act(struct suite *s, const struct json *command, struct outcome *o) {
    const struct json *action = json_get(command, "action");
    if (!target(s, command, spec_member(action, "module"), &o->of)) return false;
    str field = spec_member_str(action, "field");
    o->ex = host_component_export_named(o->of->component, STR(""), field);
    if (!o->ex) {
        spec_fail(s->f, command, "no export \"" STR_FMT "\"", STR_ARG(field));
        return false;
    }
    const struct host_type *params = host_export_params(o->ex), *result = host_export_result(o->ex);
    uint8_t *args = arena_alloc(s->a, params ? params->host_size : 1, 16);
    o->result = result ? arena_alloc(s->a, result->host_size, 16) : NULL;
    if (!put_args(s, json_get(action, "args"), params, args)) {
        spec_fail(s->f, command, "its arguments are not of the function's type");
        return false;
    }
    if (!is(action, "invoke")) {
        spec_fail(s->f, command, "an unknown action: %s", spec_member(action, "type"));
        return false;
    }
    host_call_begin(&o->call, o->of->in);
    struct job j = {.in = o->of->in, .ex = o->ex, .call = &o->call, .args = args, .result = o->result};
    run(s, &j);
    o->trap = j.trap;
    return true;
}

static void judge(struct suite *s, const struct json *command, const struct outcome *o) {
    const char *field = spec_member(json_get(command, "action"), "field");
    const struct json *expected = json_get(command, "expected");
    const struct host_type *t = host_export_result(o->ex);
    if (o->trap) {
        spec_fail(s->f, command, "%s: trapped: %s", field, trap_text(o->of->in, o->trap));
        return;
    }
    if (json_count(expected) != (t ? 1 : 0)) {
        spec_fail(s->f, command, "%s: has %s result", field, t ? "a" : "no");
        return;
    }
    uint8_t *want = t ? arena_alloc(s->a, t->host_size, 16) : NULL;
    if (t && !put(s, t, json_item(expected, 0), want))
        spec_fail(s->f, command, "%s: the expected value is not of its type", field);
    else if (t && !host_value_equal(t, o->result, want)) spec_fail(s->f, command, "%s: another result", field);
    else spec_pass(s->f);
}

static void assert_return(struct suite *s, const struct json *command) {
    struct outcome o = {0};
    if (!act(s, command, &o)) return;
    judge(s, command, &o);
    host_call_end(&o.call);
}

static void action(struct suite *s, const struct json *command) {
    struct outcome o = {0};
    if (!act(s, command, &o)) return;
    if (o.trap) spec_fail(s->f, command, "trapped: %s", trap_text(o.of->in, o.trap));
    else spec_pass(s->f);
    host_call_end(&o.call);
}

/* A runtime may refuse a synchronous call before the callee runs into what it must not; the specification (canon lower) calls
 * it first, and what the suite's callee does next is `unreachable`. */
static bool trap_fits(const char *got, const char *want) {
    return spec_text_fits(got, want) || (want && !strcmp(want, "cannot block a synchronous task before returning") &&
                                         !strcmp(got, abi_trap_text(ABI_TRAP_UNREACHABLE)));
}

static void assert_trap(struct suite *s, const struct json *command) {
    struct outcome o = {0};
    if (!act(s, command, &o)) return;
    const char *want = spec_member(command, "text"), *got = trap_text(o.of->in, o.trap);
    const char *field = spec_member(json_get(command, "action"), "field");
    if (!o.trap) spec_fail(s->f, command, "%s: no trap, want \"%s\"", field, want);
    else if (!trap_fits(got, want)) spec_fail(s->f, command, "%s: \"%s\", want \"%s\"", field, got, want);
    else spec_pass(s->f);
    host_call_end(&o.call);
}

/* ---- components that must not work ------------------------------------------------------------ */

static void assert_invalid(struct suite *s, const struct json *command) {
    str bytes;
    struct diag d = DIAG_INIT;
    const char *text = spec_member(command, "text");
    if (spec_binary(s->f, command, command, &bytes) != SPEC_BINARY) return;
    err e = validate(bytes, &d);
    /* The suite calls a byte that stands for no type invalid; to us, as to the core specification, it is malformed. */
    bool is_malformed = is(command, "assert_malformed") || (text && !strcmp(text, "invalid leading byte"));
    err want = is_malformed ? ERR_MALFORMED : ERR_INVALID;
    if (e != want) spec_fail(s->f, command, "%s: \"%s\"; want %s: \"%s\"", err_text(e), d.text, err_text(want), text);
    else if (!spec_text_fits(d.text, text)) spec_fail(s->f, command, "\"%s\"; want \"%s\"", d.text, text);
    else spec_pass(s->f);
}

static void assert_not_instantiated(struct suite *s, const struct json *command) {
    str bytes;
    struct diag d = DIAG_INIT;
    struct instance *i;
    err want = is(command, "assert_unlinkable") ? ERR_LINK : ERR_TRAP;
    const char *text = spec_member(command, "text");
    if (spec_binary(s->f, command, command, &bytes) != SPEC_BINARY) return;
    err e = s->f->validate_only ? validate(bytes, &d) : instantiate_bytes(s, bytes, &i, &d);
    if (s->f->validate_only && e == ERR_OK) spec_skip(s->f, command, "needs execution");
    else if (e != want) spec_fail(s->f, command, "%s: \"%s\"; want %s: \"%s\"", err_text(e), d.text, err_text(want), text);
    else if (!trap_fits(d.text, text)) spec_fail(s->f, command, "\"%s\", want \"%s\"", d.text, text);
    else spec_pass(s->f);
}

/* ---- all of it -------------------------------------------------------------------------------- */

static void run_command(struct suite *s, const struct json *command) {
    if (is(command, "module")) instantiate(s, command, command, spec_member(command, "name"));
    else if (is(command, "module_definition")) module_definition(s, command);
    else if (is(command, "module_instance")) module_instance(s, command);
    else if (is(command, "action")) action(s, command);
    else if (is(command, "assert_return")) assert_return(s, command);
    else if (is(command, "assert_trap") && !json_get(command, "filename")) assert_trap(s, command);
    else if (is(command, "assert_invalid") || is(command, "assert_malformed")) assert_invalid(s, command);
    else if (is(command, "assert_unlinkable") || is(command, "assert_uninstantiable") || is(command, "assert_trap"))
        assert_not_instantiated(s, command);
    else spec_fail(s->f, command, "an unknown command: %s", spec_member(command, "type"));
}

void spec_component(struct spec_file *f) {
    struct suite s = {.f = f, .a = arena_new(0)};
    const struct engine_config config = {.verify = true};
    if (!f->validate_only) s.engine = engine_new(&config);
    JSON_EACH(command, f->commands) run_command(&s, command);
    for (uint32_t k = 0; k < s.alive.n; k++) {
        host_instance_release(s.alive.p[k]->in);
        while (engine_run(s.engine, 1'000'000)) {}
        host_component_unload(s.alive.p[k]->component);
    }
    if (s.engine) engine_free(s.engine);
    arena_free(s.a);
}
