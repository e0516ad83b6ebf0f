/* core: the commands of core WebAssembly's suite, run in one store.
 *
 * Two environment variables restrict the compiler: ORLO_SPEC_REGISTERS, baseline_options.registers; ORLO_SPEC_WITHOUT_CPU, a mask of
 * ABI_CPU_* that the code does without. */
#include "spec.h"
#include "link/store.h"

/* In the place of an instance whose module was skipped: what acts on it is skipped, too. */
#define SKIPPED ((struct link_store_instance *)1)

struct core {
    struct spec_file *f;
    arena *a;
    struct link_store *store;
    struct link_store_instance *current; /* NULL: could not be instantiated; SKIPPED */
    struct map instances;                /* by the test's own names; 0: skipped */
    struct map definitions;              /* name -> command */
};

static bool is(const struct json *command, const char *type) { return str_eqc(str_c(spec_member(command, "type")), type); }

/* ---- modules ---- */

/* Decodes and validates all of it. */
static err validate(str bytes, struct diag *d) {
    arena *a = arena_new(0);
    struct wasm_module m;
    err e = wasm_decode(a, bytes, &m, d);
    if (e == ERR_OK) e = wasm_validate(a, &m, NULL, d);
    if (e == ERR_OK) e = wasm_validate_bodies(&m, d);
    arena_free(a);
    return e;
}

static void set_current(struct core *c, const char *name, struct link_store_instance *in) {
    c->current = in;
    if (name) map_put(c->a, &c->instances, str_c(name), (uintptr_t)in);
}

static void instantiate(struct core *c, const struct json *command, const struct json *definition, const char *name) {
    struct diag d = DIAG_INIT;
    struct link_store_instance *in = NULL;
    enum abi_trap trap;
    str bytes;
    enum spec_source from = spec_binary(c->f, command, definition, &bytes);
    set_current(c, name, from == SPEC_TEXT ? SKIPPED : NULL);
    if (from != SPEC_BINARY) return;
    err e = validate(bytes, &d);
    if (e != ERR_OK) {
        spec_fail(c->f, command, "does not validate: %s (at 0x%llx)", d.text, (unsigned long long)d.offset);
        return;
    }
    if (c->f->validate_only) in = SKIPPED;
    else e = link_store_instantiate(c->store, bytes, &in, &trap, &d);
    if (e != ERR_OK) {
        spec_fail(c->f, command, "cannot be instantiated: %s", d.text[0] ? d.text : err_text(e));
        return;
    }
    set_current(c, name, in);
    spec_pass(c->f);
}

static void module_definition(struct core *c, const struct json *command) {
    const char *name = spec_member(command, "name");
    map_put(c->a, &c->definitions, str_c(name ? name : ""), (uintptr_t)command);
    str bytes;
    struct diag d = DIAG_INIT;
    if (spec_binary(c->f, command, command, &bytes) != SPEC_BINARY) return;
    if (validate(bytes, &d) != ERR_OK) spec_fail(c->f, command, "does not validate: %s", d.text);
    else spec_pass(c->f);
}

static void module_instance(struct core *c, const struct json *command) {
    const char *module = spec_member(command, "module");
    uint64_t definition;
    if (!map_get(&c->definitions, str_c(module ? module : ""), &definition)) spec_fail(c->f, command, "no such definition");
    else instantiate(c, command, (const struct json *)(uintptr_t)definition, spec_member(command, "instance"));
}

/* The instance a command names, else the current one. False: it has been reported. */
static bool target(struct core *c, const struct json *command, const char *name, struct link_store_instance **out) {
    uint64_t v = (uintptr_t)c->current;
    bool known = !name || map_get(&c->instances, str_c(name), &v);
    *out = (struct link_store_instance *)(uintptr_t)v;
    if (!known) spec_fail(c->f, command, "no such instance: %s", name);
    else if (*out == SKIPPED) spec_skip(c->f, command, c->f->validate_only ? "needs execution" : "text format");
    else if (!*out) spec_fail(c->f, command, "its module could not be instantiated");
    else return true;
    return false;
}

/* ---- actions ---- */

enum { SLOTS_MAX = 1024 };

struct outcome {
    enum abi_trap trap;
    uint64_t values[SLOTS_MAX]; /* arguments, then results */
    wasm_type types[SLOTS_MAX]; /* of the results */
    uint32_t types_count;
};

/* The arguments of a call, as canonical slots. False: it has been reported. */
static bool put_args(struct core *c, const struct json *command, const struct json *args, const struct wasm_deftype *sig,
                     uint64_t *out) {
    if (json_count(args) != sig->params_count) {
        spec_fail(c->f, command, "%u arguments for %u parameters", json_count(args), sig->params_count);
        return false;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < sig->params_count; n += wasm_type_slots(sig->params[i++])) {
        if (n + 2 <= SLOTS_MAX && spec_argument(json_item(args, i), sig->params[i], &out[n])) continue;
        spec_fail(c->f, command, "argument %u is not of the parameter's type", i);
        return false;
    }
    return true;
}

/* False: it has been reported. */
static bool act(struct core *c, const struct json *command, struct outcome *out) {
    const struct json *action = json_get(command, "action");
    struct link_store_instance *in;
    struct link_store_item item;
    if (!target(c, command, spec_member(action, "module"), &in)) return false;
    str field = spec_member_str(action, "field");
    bool is_get = is(action, "get");
    if (!is_get && !is(action, "invoke")) {
        spec_fail(c->f, command, "an unknown action: %s", spec_member(action, "type"));
        return false;
    }
    if (!link_store_export(in, field, &item) || item.kind != (is_get ? WASM_EXTERN_GLOBAL : WASM_EXTERN_FUNC)) {
        spec_fail(c->f, command, "no %s \"" STR_FMT "\" is exported", is_get ? "global" : "function", STR_ARG(field));
        return false;
    }
    *out = (struct outcome){0};
    if (is_get) {
        out->types[0] = item.type;
        out->types_count = 1;
        memcpy(out->values, item.record, item.type == WASM_V128 ? 16 : 8);
        return true;
    }
    if (!put_args(c, command, json_get(action, "args"), item.sig, out->values)) return false;
    ENSURE(item.sig->results_count <= ARRAY_COUNT(out->types));
    out->types_count = item.sig->results_count;
    memcpy(out->types, item.sig->results, out->types_count * sizeof *out->types);
    out->trap = link_store_call(in, item.func, out->values);
    return true;
}

static void assert_return(struct core *c, const struct json *command) {
    static struct outcome o;
    const struct json *expected = json_get(command, "expected");
    if (!act(c, command, &o)) return;
    const char *field = spec_member(json_get(command, "action"), "field");
    if (o.trap != ABI_TRAP_NONE) {
        spec_fail(c->f, command, "%s: trapped: %s", field, abi_trap_text(o.trap));
        return;
    }
    if (json_count(expected) != o.types_count) {
        spec_fail(c->f, command, "%s: %u results, want %u", field, o.types_count, json_count(expected));
        return;
    }
    const uint64_t *value = o.values;
    for (uint32_t i = 0; i < o.types_count; value += wasm_type_slots(o.types[i++])) {
        const struct json *want = json_item(expected, i);
        if (spec_matches(want, o.types[i], value)) continue;
        spec_fail(c->f, command, "%s: %s", field, spec_value_text(want, o.types[i], value));
        return;
    }
    spec_pass(c->f);
}

/* The trap each of these stands for; NULL: the command's text says. */
static const char *trap_wanted(const struct json *command) {
    if (is(command, "assert_exception")) return abi_trap_text(ABI_TRAP_EXCEPTION);
    return spec_member(command, "text");
}

static void assert_trap(struct core *c, const struct json *command) {
    static struct outcome o;
    if (!act(c, command, &o)) return;
    const char *want = trap_wanted(command), *field = spec_member(json_get(command, "action"), "field");
    if (o.trap == ABI_TRAP_NONE) spec_fail(c->f, command, "%s: no trap, want \"%s\"", field, want);
    else if (is(command, "assert_exhaustion") != (o.trap == ABI_TRAP_STACK_OVERFLOW) ||
             !spec_text_fits(abi_trap_text(o.trap), want))
        spec_fail(c->f, command, "%s: \"%s\", want \"%s\"", field, abi_trap_text(o.trap), want);
    else spec_pass(c->f);
}

static void action(struct core *c, const struct json *command) {
    static struct outcome o;
    if (!act(c, command, &o)) return;
    if (o.trap != ABI_TRAP_NONE) spec_fail(c->f, command, "trapped: %s", abi_trap_text(o.trap));
    else spec_pass(c->f);
}

/* ---- modules that must not work ---- */

static void assert_invalid(struct core *c, const struct json *command) {
    str bytes;
    struct diag d = DIAG_INIT;
    const char *text = spec_member(command, "text");
    if (spec_binary(c->f, command, command, &bytes) != SPEC_BINARY) return;
    err e = validate(bytes, &d), want = is(command, "assert_malformed") ? ERR_MALFORMED : ERR_INVALID;
    if (e != want) spec_fail(c->f, command, "%s: \"%s\"; want %s: \"%s\"", err_text(e), d.text, err_text(want), text);
    else if (!spec_text_fits(d.text, text)) spec_fail(c->f, command, "\"%s\"; want \"%s\"", d.text, text);
    else spec_pass(c->f);
}

static void assert_not_instantiated(struct core *c, const struct json *command) {
    str bytes;
    struct diag d = DIAG_INIT;
    struct link_store_instance *in;
    enum abi_trap trap;
    const char *text = spec_member(command, "text");
    if (spec_binary(c->f, command, command, &bytes) != SPEC_BINARY) return;
    err e = validate(bytes, &d), want = is(command, "assert_unlinkable") ? ERR_LINK : ERR_TRAP;
    if (e == ERR_OK && c->f->validate_only) {
        spec_skip(c->f, command, "needs execution");
        return;
    }
    if (e == ERR_OK) e = link_store_instantiate(c->store, bytes, &in, &trap, &d);
    if (e != want) spec_fail(c->f, command, "%s: \"%s\"; want %s: \"%s\"", err_text(e), d.text, err_text(want), text);
    else if (!spec_text_fits(e == ERR_TRAP ? abi_trap_text(trap) : d.text, text))
        spec_fail(c->f, command, "\"%s\", want \"%s\"", d.text, text);
    else spec_pass(c->f);
}

static void register_module(struct core *c, const struct json *command) {
    struct link_store_instance *in;
    if (!target(c, command, spec_member(command, "name"), &in)) return;
    link_store_register(c->store, str_c(spec_member(command, "as")), in);
    spec_pass(c->f);
}

/* ---- all of it ---- */

static void run_command(struct core *c, const struct json *command) {
    if (is(command, "module")) instantiate(c, command, command, spec_member(command, "name"));
    else if (is(command, "module_definition")) module_definition(c, command);
    else if (is(command, "module_instance")) module_instance(c, command);
    else if (is(command, "register")) register_module(c, command);
    else if (is(command, "action")) action(c, command);
    else if (is(command, "assert_return")) assert_return(c, command);
    else if (is(command, "assert_trap") && json_get(command, "filename")) assert_not_instantiated(c, command);
    else if (is(command, "assert_trap") || is(command, "assert_exhaustion") || is(command, "assert_exception"))
        assert_trap(c, command);
    else if (is(command, "assert_invalid") || is(command, "assert_malformed")) assert_invalid(c, command);
    else if (is(command, "assert_unlinkable") || is(command, "assert_uninstantiable")) assert_not_instantiated(c, command);
    else spec_fail(c->f, command, "an unknown command: %s", spec_member(command, "type"));
}

static uint64_t number_of(const char *variable) {
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 0) : 0;
}

void spec_core(struct spec_file *f) {
    struct core c = {.f = f, .a = arena_new(0)};
    if (!f->validate_only) {
        struct engine *e = engine_new(NULL);
        struct link_store_instance *spectest;
        enum abi_trap trap;
        struct diag d = DIAG_INIT;
        c.store = link_store_new(e);
        link_store_restrict(c.store, (uint32_t)number_of("ORLO_SPEC_REGISTERS"), number_of("ORLO_SPEC_WITHOUT_CPU"));
        if (link_store_instantiate(c.store, (str){spec_spectest, spec_spectest_size}, &spectest, &trap, &d) == ERR_OK)
            link_store_register(c.store, STR("spectest"), spectest);
        else fprintf(stderr, "spectest cannot be instantiated: %s\n", d.text);
    }
    JSON_EACH(command, f->commands) run_command(&c, command);
    link_store_free(c.store);
    arena_free(c.a);
}
