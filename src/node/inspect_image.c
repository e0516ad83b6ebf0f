/* inspect: an image, read in place: it is this node's own, or it is not looked at. */
#include "base/json.h"
#include "component/component.h"
#include "component/plan.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <unistd.h>

static const struct {
    uint64_t bit;
    const char *text;
} features[] = {
#define X(name, bit, text) {1ull << bit, text},
#include "abi/cpu.def"
#undef X
};

struct image_facts {
    const char *name;
    struct abi_image im;
    struct plan plan; /* of a component; else empty */
    enum wasi_kind kind;
};

static void put_features(struct buf *b, uint64_t bits) {
    for (size_t i = 0; i < ARRAY_COUNT(features); i++)
        if (bits & features[i].bit) buf_printf(b, " %s", features[i].text);
}

static void put_core_interface(struct buf *b, const struct abi_image *im) {
    const struct abi_image_host *hosts = abi_image_at(im, im->head->hosts, struct abi_image_host);
    const struct abi_image_export *exports = abi_image_at(im, im->head->exports, struct abi_image_export);
    buf_puts(b, STR("imports:\n"));
    for (uint64_t i = 0; i < im->head->hosts.count; i++)
        buf_printf(b, "  " STR_FMT "." STR_FMT ": func\n", STR_ARG(abi_image_str(im, hosts[i].module)),
                   STR_ARG(abi_image_str(im, hosts[i].name)));
    buf_puts(b, STR("exports:\n"));
    for (uint64_t i = 0; i < im->head->exports.count; i++)
        buf_printf(b, "  " STR_FMT ": %s\n", STR_ARG(abi_image_str(im, exports[i].name)),
                   wasm_extern_text((enum wasm_extern)exports[i].kind));
}

static void print_text(const struct image_facts *f, struct buf *b) {
    const struct abi_image_head *h = f->im.head;
    buf_printf(b, "file      %s\nkind      %s\n", f->name, f->kind ? wasi_kind_text(f->kind) : "of no kind Orlo runs");
    buf_printf(b, "image     for %s", abi_machine_name(h->machine));
    if (h->cpu_features) buf_puts(b, STR(" with"));
    put_features(b, h->cpu_features);
    buf_printf(b, "\nsize      %zu bytes, %llu of them code of %llu functions, %llu core instances\n", f->im.size,
               (unsigned long long)h->text.count, (unsigned long long)h->codes.count, (unsigned long long)h->instances.count);
    if (h->start_steps.count)
        buf_printf(b, "start     %llu core instances are initialised for each request\n",
                   (unsigned long long)h->start_steps.count);
    else buf_puts(b, STR("start     from a snapshot taken after initialisation\n"));
    buf_puts(b, STR("made of   sha256:"));
    for (size_t i = 0; i < sizeof h->wasm_digest; i++) buf_printf(b, "%02x", h->wasm_digest[i]);
    buf_puts(b, STR("\n\n"));
    if (h->plan.count) component_inspect(&f->plan, b);
    else put_core_interface(b, &f->im);
}

static void print_json(const struct image_facts *f, struct buf *b) {
    const struct abi_image_head *h = f->im.head;
    struct json_writer w = json_writer_of(b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "file", f->name);
    json_put_cstr(&w, "format", "image");
    json_put_cstr(&w, "kind_text", wasi_kind_text(f->kind));
    json_put_bool(&w, "serves", wasi_kind_serves(f->kind));
    json_put_bool(&w, "runs", wasi_kind_runs(f->kind));
    json_put_u64(&w, "bytes", f->im.size);
    json_put_cstr(&w, "machine", abi_machine_name(h->machine));
    json_put_array(&w, "cpu");
    for (size_t i = 0; i < ARRAY_COUNT(features); i++)
        if (h->cpu_features & features[i].bit) json_put_cstr(&w, NULL, features[i].text);
    json_put_end(&w);
    json_put_u64(&w, "code_bytes", h->text.count);
    json_put_u64(&w, "functions", h->codes.count);
    json_put_u64(&w, "core_instances", h->instances.count);
    json_put_u64(&w, "start_steps", h->start_steps.count);
    json_put_hex(&w, "digest", "sha256:", h->wasm_digest, sizeof h->wasm_digest);
    json_put_end(&w);
    ENSURE(json_done(&w));
    buf_putc(b, '\n');
}

static err print_facts(arena *mem, struct image_facts *f, enum node_inspect_format format, struct buf *b, struct diag *d) {
    const struct abi_image_head *h = f->im.head;
    if (format == NODE_INSPECT_WAT)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "an image holds no WebAssembly: inspect the .wasm it was compiled from");
    if (h->plan.count && plan_load(mem, abi_image_str(&f->im, h->plan), &f->plan) != ERR_OK)
        return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the image's plan cannot be read");
    f->kind = wasi_kind_of(&f->im);
    if (format == NODE_INSPECT_JSON) print_json(f, b);
    else print_text(f, b);
    return ERR_OK;
}

err node_inspect_image(const struct node_input *in, const char *name, const char *state_dir, enum node_inspect_format format,
                       struct buf *b, struct diag *d) {
    struct node_image image;
    struct image_facts f = {.name = name};
    TRY(node_image_for(in, name, state_dir, NULL, &image, d));
    TRY(abi_image_open(image.fd, &image.key, &f.im, d));
    arena *mem = arena_new(0);
    err e = print_facts(mem, &f, format, b, d);
    arena_free(mem);
    abi_image_close(&f.im);
    return e;
}
