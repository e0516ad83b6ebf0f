/* inspect: what a file is, says it needs, and would need to be granted. Read in a job; what comes out is text. */
#include "base/json.h"
#include "component/component.h"
#include "component/plan.h"
#include "node/supervisor/jobs.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct facts {
    const char *name;
    str bytes;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    enum wasi_kind kind;
    struct plan plan;
    struct component *component; /* NULL: a core module */
    struct wasm_module module;
    struct diag missing; /* imports that are not offered; empty: all are */
};
/* ---- gathering ---- */

static err read_module(arena *mem, struct facts *f, struct diag *d) {
    TRY(wasm_decode(mem, f->bytes, &f->module, d));
    TRY(wasm_validate(mem, &f->module, NULL, d));
    TRY(wasm_validate_bodies(&f->module, d));
    wasm_names_decode(mem, &f->module);
    plan_of_core_module(mem, &f->module, 0, f->bytes.n, &f->plan);
    return ERR_OK;
}

static err gather(arena *mem, struct facts *f, struct diag *d) {
    if (wasm_is_module(f->bytes)) {
        TRY(read_module(mem, f, d));
    } else {
        TRY(component_decode(mem, f->bytes, &f->component, d));
        TRY(component_validate_code(f->component, d));
        TRY(component_plan(mem, f->component, &f->plan, d));
    }
    f->kind = (enum wasi_kind)node_kind_of_plan(&f->plan);
    crypto_sha256(f->bytes, f->digest);
    f->missing = (struct diag)DIAG_INIT;
    if (node_imports_check(&f->plan, &f->missing) != ERR_OK)
        diag_set(&f->missing, ERR_LINK, DIAG_NOWHERE, "an import is not offered");
    return ERR_OK;
}

/* ---- grants ---- */

static const struct {
    const char *module, *name; /* an imported interface (without version) and "", or a core import */
    const char *flag, *what;
} grants[] = {
    {"wasi:http/outgoing-handler", "", "--allow-http HOST[:PORT]", "sends HTTP requests"},
    {"wasi:http/client", "", "--allow-http HOST[:PORT]", "sends HTTP requests"},
    {"wasi:http/handler", "handle", "--forward URL", "passes requests on (a middleware)"},
    {"wasi:sockets/tcp", "", "--allow-net [KIND:]HOST[:PORT]", "uses sockets"},
    {"wasi:sockets/udp", "", "--allow-net [KIND:]HOST[:PORT]", "uses sockets"},
    {"wasi:sockets/types", "", "--allow-net [KIND:]HOST[:PORT]", "uses sockets"},
    {"wasi:sockets/ip-name-lookup", "", "--allow-net [KIND:]HOST[:PORT]", "uses sockets"},
    {"wasi:filesystem/preopens", "", "--dir HOST::GUEST", "opens files"},
    {"wasi:cli/environment", "", "--env KEY=VALUE", "reads environment variables or arguments"},
    {"spin:key-value/key-value", "", "--store LABEL", "keeps keys and values"},
    {"fermyon:spin/key-value", "", "--store LABEL", "keeps keys and values"},
    {"wasi:keyvalue/store", "", "--store LABEL", "keeps keys and values"},
    {"spin:sqlite/sqlite", "", "--sqlite LABEL", "has a database"},
    {"fermyon:spin/sqlite", "", "--sqlite LABEL", "has a database"},
    {"spin:variables/variables", "", "--variable NAME=VALUE", "asks for variables"},
    {"fermyon:spin/variables", "", "--variable NAME=VALUE", "asks for variables"},
    {"wasi:config/store", "", "--variable NAME=VALUE", "asks for variables"},
    {"wasi_snapshot_preview1", "environ_get", "--env KEY=VALUE", "reads environment variables"},
    {"wasi_snapshot_preview1", "path_open", "--dir HOST::GUEST", "opens files"},
};

static bool imports(const struct facts *f, const char *module, const char *name) {
    for (uint32_t i = 0; i < f->plan.imports_count; i++) {
        struct component_name n;
        component_name_split(f->plan.imports[i].interface, &n);
        if (str_eqc(n.bare, module) && (!*name || str_eqc(f->plan.imports[i].name, name))) return true;
    }
    for (uint32_t i = 0; i < f->plan.host_imports_count; i++)
        if (str_eqc(f->plan.host_imports[i].module, module) && str_eqc(f->plan.host_imports[i].name, name)) return true;
    return false;
}

/* Two rows may name one flag; a file needs it once. */
static bool needs_grant(const struct facts *f, size_t i) {
    if (!imports(f, grants[i].module, grants[i].name)) return false;
    for (size_t k = 0; k < i; k++)
        if (!strcmp(grants[k].flag, grants[i].flag) && imports(f, grants[k].module, grants[k].name)) return false;
    return true;
}

/* ---- text ---- */

static void put_digest(struct buf *b, const struct facts *f) {
    buf_puts(b, STR("sha256:"));
    for (size_t i = 0; i < sizeof f->digest; i++) buf_printf(b, "%02x", f->digest[i]);
}

static void put_core_type(struct buf *b, const struct wasm_module *m, const struct wasm_import *im) {
    char text[64];
    if (im->kind != WASM_EXTERN_FUNC) {
        buf_puts(b, str_c(wasm_extern_text(im->kind)));
        return;
    }
    const struct wasm_deftype *t = wasm_func_type(m, im->index);
    buf_puts(b, STR("func("));
    for (uint32_t i = 0; i < t->params_count; i++)
        buf_printf(b, "%s%s", i ? ", " : "", wasm_type_text(t->params[i], text, sizeof text));
    buf_puts(b, STR(")"));
    for (uint32_t i = 0; i < t->results_count; i++)
        buf_printf(b, "%s%s", i ? ", " : " -> ", wasm_type_text(t->results[i], text, sizeof text));
}

static void put_core_interface(struct buf *b, const struct wasm_module *m) {
    buf_puts(b, STR("imports:\n"));
    for (uint32_t i = 0; i < m->imports_count; i++) {
        const struct wasm_import *im = &m->imports[i];
        buf_printf(b, "  " STR_FMT "." STR_FMT ": ", STR_ARG(im->module), STR_ARG(im->name));
        put_core_type(b, m, im);
        buf_putc(b, '\n');
    }
    buf_puts(b, STR("exports:\n"));
    for (uint32_t i = 0; i < m->exports_count; i++)
        buf_printf(b, "  " STR_FMT ": %s\n", STR_ARG(m->exports[i].name), wasm_extern_text(m->exports[i].kind));
}

typedef void (*memory_fn)(void *out, uint32_t instance, const struct wasm_limits *l);

/* Memories that the core instances define, each once. */
static void each_memory(const struct facts *f, void *out, memory_fn fn) {
    for (uint32_t i = 0; i < f->plan.core_instances_count; i++) {
        const struct wasm_module *m = f->plan.modules[f->plan.core_instances[i].module].module;
        for (uint32_t k = m->memories_imported; k < m->memories_count; k++) fn(out, i, &m->memories[k].limits);
    }
}

static void memory_text(void *out, uint32_t instance, const struct wasm_limits *l) {
    struct buf *b = out;
    buf_printf(b, "  core instance %u: %llu KiB", instance, (unsigned long long)l->min * 64);
    if (l->has_max) buf_printf(b, ", at most %llu KiB", (unsigned long long)l->max * 64);
    buf_puts(b, l->is64 ? STR(", 64-bit addresses\n") : STR("\n"));
}

static void print_text(const struct facts *f, struct buf *b) {
    buf_printf(b, "file      %s\n", f->name);
    buf_printf(b, "kind      %s\n",
               f->kind        ? wasi_kind_text(f->kind)
               : f->component ? "component of no kind Orlo runs"
                              : "core module of no kind Orlo runs");
    buf_printf(b, "size      %zu bytes, %u core modules, %u core instances\n", f->bytes.n, f->plan.modules_count,
               f->plan.core_instances_count);
    buf_puts(b, STR("digest    "));
    put_digest(b, f);
    buf_puts(b, STR("\n\n"));
    if (f->component) component_inspect(&f->plan, b);
    else put_core_interface(b, &f->module);
    buf_puts(b, STR("memories:\n"));
    each_memory(f, b, memory_text);
    buf_puts(b, STR("grants that it may ask for; none is given unless you say so:\n"));
    bool any = false;
    for (size_t i = 0; i < ARRAY_COUNT(grants); i++)
        if (needs_grant(f, i)) {
            buf_printf(b, "  %-26s it %s\n", grants[i].flag, grants[i].what);
            any = true;
        }
    if (!any) buf_puts(b, STR("  none\n"));
    if (f->missing.text[0]) buf_printf(b, "not offered here:\n  %s\n", f->missing.text);
}

/* ---- JSON ---- */

static void put_text(struct json_writer *w, const char *key, struct buf *text) {
    json_put_str(w, key, buf_str(text));
    buf_free(text);
}

static void json_core_interface(struct json_writer *w, const struct wasm_module *m) {
    json_put_array(w, "imports");
    for (uint32_t i = 0; i < m->imports_count; i++) {
        struct buf type = {0};
        put_core_type(&type, m, &m->imports[i]);
        json_put_object(w, NULL);
        json_put_str(w, "module", m->imports[i].module);
        json_put_str(w, "name", m->imports[i].name);
        put_text(w, "type", &type);
        json_put_end(w);
    }
    json_put_end(w);
    json_put_array(w, "exports");
    for (uint32_t i = 0; i < m->exports_count; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "name", m->exports[i].name);
        json_put_cstr(w, "type", wasm_extern_text(m->exports[i].kind));
        json_put_end(w);
    }
    json_put_end(w);
}

static void json_func(struct json_writer *w, const struct plan *plan, str interface, str name, uint32_t func_type) {
    struct buf type = {0};
    plan_print_func(plan, func_type, &type);
    json_put_object(w, NULL);
    json_put_str(w, "interface", interface);
    json_put_str(w, "name", name);
    put_text(w, "type", &type);
    json_put_end(w);
}

static void json_component_interface(struct json_writer *w, const struct plan *plan) {
    json_put_array(w, "imports");
    for (uint32_t i = 0; i < plan->imports_count; i++)
        json_func(w, plan, plan->imports[i].interface, plan->imports[i].name, plan->imports[i].type);
    json_put_end(w);
    json_put_array(w, "exports");
    for (uint32_t i = 0; i < plan->exports_count; i++) {
        const struct plan_export *ex = &plan->exports[i];
        if (ex->kind != PLAN_EXPORT_FUNC) continue;
        json_func(w, plan, ex->parent == PLAN_NONE ? (str){0} : plan->exports[ex->parent].name, ex->name, ex->index);
    }
    json_put_end(w);
}

static void memory_json(void *writer, uint32_t instance, const struct wasm_limits *l) {
    struct json_writer *w = writer;
    json_put_object(w, NULL);
    json_put_u64(w, "core_instance", instance);
    json_put_u64(w, "pages", l->min);
    if (l->has_max) json_put_u64(w, "pages_max", l->max);
    else json_put_null(w, "pages_max");
    json_put_cstr(w, "address", l->is64 ? "i64" : "i32");
    json_put_end(w);
}

static void json_grants(struct json_writer *w, const struct facts *f) {
    json_put_array(w, "grants");
    for (size_t i = 0; i < ARRAY_COUNT(grants); i++) {
        if (!needs_grant(f, i)) continue;
        json_put_object(w, NULL);
        json_put_cstr(w, "flag", grants[i].flag);
        json_put_cstr(w, "what", grants[i].what);
        json_put_end(w);
    }
    json_put_end(w);
}

static void json_head(struct json_writer *w, const struct facts *f) {
    static const char *const kind_name[] = {
#define X(name, text, serves, runs) #name,
#include "wasi/wasi_kind.def"
#undef X
    };
    json_put_cstr(w, "file", f->name);
    json_put_cstr(w, "format", f->component ? "component" : "module");
    json_put_cstr(w, "kind", kind_name[f->kind]);
    json_put_cstr(w, "kind_text", wasi_kind_text(f->kind));
    json_put_bool(w, "serves", wasi_kind_serves(f->kind));
    json_put_bool(w, "runs", wasi_kind_runs(f->kind));
    json_put_u64(w, "bytes", f->bytes.n);
    json_put_hex(w, "digest", "sha256:", f->digest, sizeof f->digest);
    json_put_u64(w, "core_modules", f->plan.modules_count);
    json_put_u64(w, "core_instances", f->plan.core_instances_count);
}

static void print_json(const struct facts *f, struct buf *b) {
    struct json_writer w = json_writer_of(b);
    json_put_object(&w, NULL);
    json_head(&w, f);
    if (f->component) json_component_interface(&w, &f->plan);
    else json_core_interface(&w, &f->module);
    json_put_array(&w, "memories");
    each_memory(f, &w, memory_json);
    json_put_end(&w);
    json_grants(&w, f);
    json_put_cstr(&w, "not_offered", f->missing.text[0] ? f->missing.text : NULL);
    json_put_end(&w);
    ENSURE(json_done(&w));
    buf_putc(b, '\n');
}

/* ---- the job ---- */

/* Names in it are the file's: a terminal is to obey none. */
static err write_out(int out, struct buf *b, struct diag *d) {
    text_tame((char *)b->p, b->n);
    for (size_t at = 0; at < b->n;) {
        ssize_t n = write(out, b->p + at, b->n - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot write: %s", strerror(errno));
        at += (size_t)n;
    }
    return ERR_OK;
}

static err print_facts(const struct facts *f, enum node_inspect_format format, struct buf *b, struct diag *d) {
    switch (format) {
    case NODE_INSPECT_TEXT: print_text(f, b); return ERR_OK;
    case NODE_INSPECT_JSON: print_json(f, b); return ERR_OK;
    case NODE_INSPECT_WAT: break;
    }
    if (f->component) return component_print(f->component, b, d);
    wasm_print(b, &f->module);
    return ERR_OK;
}

err node_inspect_job(const struct node_message *what, int in, int out, struct node_job_result *result) {
    struct diag *d = &result->diag;
    const struct node_msg_inspect *m = &what->inspect;
    void *p = m->bytes ? mmap(NULL, m->bytes, PROT_READ, MAP_PRIVATE, in, 0) : NULL;
    if (p == MAP_FAILED) return diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be read: %s", strerror(errno));
    arena *mem = arena_new(0);
    struct facts facts = {.name = arena_cstr(mem, m->name), .bytes = {p, m->bytes}};
    TRY(gather(mem, &facts, d));
    struct buf b = {0};
    TRY(print_facts(&facts, (enum node_inspect_format)m->format, &b, d));
    return write_out(out, &b, d);
}

static err inspect_image(const struct node_input *in, const char *name, const struct node_inspect_config *c, struct diag *d) {
    struct buf b = {0};
    err e = node_inspect_image(in, name, c->state_dir, c->format, &b, d);
    if (e == ERR_OK) e = write_out(c->fd, &b, d);
    buf_free(&b);
    return e;
}

err node_inspect(const struct node_inspect_config *c, struct diag *d) {
    struct node_limits limits = c->limits;
    node_limits_fill(&limits);
    struct node_input in;
    const char *slash = strrchr(c->file, '/'), *name = slash ? slash + 1 : c->file;
    TRY(node_input_open(c->file, &in, d));
    if (in.is_image) {
        err e = inspect_image(&in, name, c, d);
        close(in.fd);
        return e;
    }
    int text = memfd_create("orlo-inspect", MFD_CLOEXEC); /* nothing is shown of a file that turns out to be bad */
    if (text < 0) {
        close(in.fd);
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    }
    struct node_message what =
        NODE_MESSAGE(inspect, .name = str_sub(str_c(name), 0, 255), .bytes = in.bytes, .format = (uint8_t)c->format);
    char title[300];
    snprintf(title, sizeof title, "reading %.200s", name);
    err e = node_job(&what, in.fd, text, &limits, title, d);
    close(in.fd);
    uint8_t bytes[16384];
    off_t at = 0;
    ssize_t n;
    while (e == ERR_OK && (n = pread(text, bytes, sizeof bytes, at)) > 0) {
        e = write_out(c->fd, &(struct buf){.p = bytes, .n = (size_t)n}, d);
        at += n;
    }
    close(text);
    return e;
}
