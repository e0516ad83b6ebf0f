/* core: the commands of core WebAssembly's suite, run in one store.
 *
 * Two environment variables restrict the compiler: ORLO_SPEC_REGISTERS, baseline_options.registers; ORLO_SPEC_WITHOUT_CPU, a mask of
 * BASELINE_CPU_* that the code does without. */
#include "spec.h"
#include "link/store.h"

struct core {
    struct spec_file *f;
    arena *a;
    struct link_store *store;
    struct link_store_instance *current;
    bool current_skipped;   /* the last module exists only as text: what acts on it is skipped */
    struct map instances;   /* by the test's own names; 0: skipped */
    struct map definitions; /* name -> command */
};

static bool is(json_t *command, const char *type) {
    return str_eqc(str_c(spec_member(command, "type")), type);
}

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
    c->current_skipped = !in;
    if (name) map_put(c->a, &c->instances, str_c(name), (uintptr_t)in);
}

static void instantiate(struct core *c, json_t *command, json_t *definition, const char *name) {
    struct diag d = DIAG_INIT;
    str bytes;
    set_current(c, name, NULL);
    if (!spec_binary(c->f, definition, &bytes)) {
        spec_skip(c->f, command, "text format");
        return;
    }
    err e = validate(bytes, &d);
    if (e != ERR_OK) {
        spec_fail(c->f, command, "does not validate: %s (at 0x%llx)", d.text, (unsigned long long)d.offset);
        c->current_skipped = c->f->validate_only;
        return;
    }
    if (c->f->validate_only) {
        spec_pass(c->f);
        return;
    }
    struct link_store_instance *in;
    enum abi_trap trap;
    e = link_store_instantiate(c->store, bytes, &in, &trap, &d);
    if (e == ERR_OK) {
        set_current(c, name, in);
        spec_pass(c->f);
    } else {
        spec_fail(c->f, command, "cannot be instantiated: %s", d.text[0] ? d.text : err_text(e));
        c->current_skipped = false;
    }
}

static void module_definition(struct core *c, json_t *command) {
    const char *name = spec_member(command, "name");
    map_put(c->a, &c->definitions, str_c(name ? name : ""), (uintptr_t)command);
    str bytes;
    struct diag d = DIAG_INIT;
    if (!spec_binary(c->f, command, &bytes)) spec_skip(c->f, command, "text format");
    else if (validate(bytes, &d) != ERR_OK) spec_fail(c->f, command, "does not validate: %s", d.text);
    else spec_pass(c->f);
}

static void module_instance(struct core *c, json_t *command) {
    const char *module = spec_member(command, "module");
    uint64_t definition;
    if (!map_get(&c->definitions, str_c(module ? module : ""), &definition))
        spec_fail(c->f, command, "no such definition");
    else instantiate(c, command, (json_t *)(uintptr_t)definition, spec_member(command, "instance"));
}

/* The instance a command names, else the current one. False: it has been reported. */
static bool target(struct core *c, json_t *command, const char *name, struct link_store_instance **out) {
    uint64_t v = (uintptr_t)c->current;
    bool known = c->current || c->current_skipped;
    if (name) known = map_get(&c->instances, str_c(name), &v);
    *out = (struct link_store_instance *)(uintptr_t)v;
    if (*out) return true;
    if (c->f->validate_only) spec_skip(c->f, command, "needs execution");
    else if (known && c->current_skipped) spec_skip(c->f, command, "text format");
    else spec_fail(c->f, command, "its module could not be instantiated");
    return false;
}

/* ---- actions ---- */

enum { SLOTS_MAX = 1024 };

struct outcome {
    enum abi_trap trap;
    uint64_t values[SLOTS_MAX];
};

/* False: it has been reported. */
static bool act(struct core *c, json_t *command, struct outcome *out) {
    json_t *action = json_object_get(command, "action");
    struct link_store_instance *in;
    struct link_store_item item;
    if (!target(c, command, spec_member(action, "module"), &in)) return false;
    str field = spec_member_str(action, "field");
    if (!link_store_export(in, field, &item)) {
        spec_fail(c->f, command, "no export \"" STR_FMT "\"", STR_ARG(field));
        return false;
    }
    *out = (struct outcome){0};
    if (is(action, "get")) {
        memcpy(out->values, item.record, item.type == WASM_V128 ? 16 : 8);
        return true;
    }
    size_t i;
    uint32_t n = 0;
    json_t *arg;
    json_array_foreach(json_object_get(action, "args"), i, arg) {
        uint32_t slots = spec_argument(arg, &out->values[n]);
        if (!slots) {
            spec_fail(c->f, command, "an argument is not understood");
            return false;
        }
        n += slots;
    }
    out->trap = link_store_call(in, item.func, out->values);
    return true;
}

static void assert_return(struct core *c, json_t *command) {
    static struct outcome o;
    if (!act(c, command, &o)) return;
    if (o.trap != ABI_TRAP_NONE) {
        spec_fail(c->f, command, "%s: trapped: %s", spec_member(json_object_get(command, "action"), "field"),
                  abi_trap_text(o.trap));
        return;
    }
    size_t i;
    uint32_t n = 0;
    json_t *expected;
    json_array_foreach(json_object_get(command, "expected"), i, expected) {
        if (!spec_matches(expected, &o.values[n])) {
            spec_fail(c->f, command, "%s: %s", spec_member(json_object_get(command, "action"), "field"),
                      spec_value_text(expected, &o.values[n]));
            return;
        }
        n += spec_slots(expected);
    }
    spec_pass(c->f);
}

static bool text_fits(const char *got, const char *want) {
    return !want || str_starts(str_c(want), str_c(got)) || str_starts(str_c(got), str_c(want));
}

static void assert_trap(struct core *c, json_t *command) {
    static struct outcome o;
    if (json_object_get(command, "action")) {
        if (!act(c, command, &o)) return;
    }
    const char *want =
        is(command, "assert_exception") ? abi_trap_text(ABI_TRAP_EXCEPTION) : spec_member(command, "text");
    const char *field = spec_member(json_object_get(command, "action"), "field");
    if (o.trap == ABI_TRAP_NONE) spec_fail(c->f, command, "%s: no trap, want \"%s\"", field, want);
    else if (!text_fits(abi_trap_text(o.trap), want))
        spec_fail(c->f, command, "%s: \"%s\", want \"%s\"", field, abi_trap_text(o.trap), want);
    else spec_pass(c->f);
}

static void action(struct core *c, json_t *command) {
    static struct outcome o;
    if (!act(c, command, &o)) return;
    if (o.trap != ABI_TRAP_NONE) spec_fail(c->f, command, "trapped: %s", abi_trap_text(o.trap));
    else spec_pass(c->f);
}

/* ---- modules that must not work ---- */

static void assert_invalid(struct core *c, json_t *command) {
    str bytes;
    struct diag d = DIAG_INIT;
    if (!spec_binary(c->f, command, &bytes)) {
        spec_skip(c->f, command, "text format");
        return;
    }
    err e = validate(bytes, &d);
    if (e == ERR_OK) spec_fail(c->f, command, "accepted; want \"%s\"", spec_member(command, "text"));
    else if (e != ERR_INVALID && e != ERR_MALFORMED)
        spec_fail(c->f, command, "%s: %s; want \"%s\"", err_text(e), d.text, spec_member(command, "text"));
    else spec_pass(c->f);
}

static void assert_not_instantiated(struct core *c, json_t *command) {
    str bytes;
    struct diag d = DIAG_INIT;
    struct link_store_instance *in;
    enum abi_trap trap;
    if (!spec_binary(c->f, command, &bytes)) {
        spec_skip(c->f, command, "text format");
        return;
    }
    err e = validate(bytes, &d), want = is(command, "assert_unlinkable") ? ERR_LINK : ERR_TRAP;
    if (e == ERR_OK && c->f->validate_only) {
        spec_pass(c->f);
        return;
    }
    if (e == ERR_OK) e = link_store_instantiate(c->store, bytes, &in, &trap, &d);
    const char *text = spec_member(command, "text");
    if (e != want) spec_fail(c->f, command, "%s: %s; want \"%s\"", err_text(e), d.text, text);
    else if (!text_fits(d.text, text) && !str_starts(str_c(d.text), str_c(text)))
        spec_fail(c->f, command, "\"%s\", want \"%s\"", d.text, text);
    else spec_pass(c->f);
}

static void register_module(struct core *c, json_t *command) {
    struct link_store_instance *in;
    if (!target(c, command, spec_member(command, "name"), &in)) return;
    link_store_register(c->store, str_c(spec_member(command, "as")), in);
    spec_pass(c->f);
}

/* ---- all of it ---- */

static void run_command(struct core *c, json_t *command) {
    if (is(command, "module")) instantiate(c, command, command, spec_member(command, "name"));
    else if (is(command, "module_definition")) module_definition(c, command);
    else if (is(command, "module_instance")) module_instance(c, command);
    else if (is(command, "register")) register_module(c, command);
    else if (is(command, "action")) action(c, command);
    else if (is(command, "assert_return")) assert_return(c, command);
    else if (is(command, "assert_trap") && json_object_get(command, "filename"))
        assert_not_instantiated(c, command);
    else if (is(command, "assert_trap") || is(command, "assert_exhaustion") ||
             is(command, "assert_exception"))
        assert_trap(c, command);
    else if (is(command, "assert_invalid") || is(command, "assert_malformed")) assert_invalid(c, command);
    else if (is(command, "assert_unlinkable") || is(command, "assert_uninstantiable"))
        assert_not_instantiated(c, command);
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
        if (link_store_instantiate(c.store, (str){spec_spectest, spec_spectest_size}, &spectest, &trap, &d) ==
            ERR_OK)
            link_store_register(c.store, STR("spectest"), spectest);
        else fprintf(stderr, "spectest cannot be instantiated: %s\n", d.text);
    }
    size_t i;
    json_t *command;
    json_array_foreach(f->commands, i, command) run_command(&c, command);
    link_store_free(c.store);
    arena_free(c.a);
}
