/* inspect: an image, read in place: it is this node's own, or it is not looked at. */
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

static void put_features(struct buf *b, uint64_t bits, const char *quote, const char *between) {
    const char *lead = "";
    for (size_t i = 0; i < ARRAY_COUNT(features); i++)
        if (bits & features[i].bit) {
            buf_printf(b, "%s%s%s%s", lead, quote, features[i].text, quote);
            lead = between;
        }
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
    if (h->cpu_features) buf_puts(b, STR(" with "));
    put_features(b, h->cpu_features, "", " ");
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
    buf_puts(b, STR("{\"file\":\""));
    buf_json_escape(b, str_c(f->name));
    buf_printf(
        b, "\",\"format\":\"image\",\"kind_text\":\"%s\",\"serves\":%s,\"runs\":%s,\"bytes\":%zu,\"machine\":\"%s\",\"cpu\":[",
        wasi_kind_text(f->kind), wasi_kind_serves(f->kind) ? "true" : "false", wasi_kind_runs(f->kind) ? "true" : "false",
        f->im.size, abi_machine_name(h->machine));
    put_features(b, h->cpu_features, "\"", ",");
    buf_printf(b, "],\"code_bytes\":%llu,\"functions\":%llu,\"core_instances\":%llu,\"start_steps\":%llu,\"digest\":\"sha256:",
               (unsigned long long)h->text.count, (unsigned long long)h->codes.count, (unsigned long long)h->instances.count,
               (unsigned long long)h->start_steps.count);
    for (size_t i = 0; i < sizeof h->wasm_digest; i++) buf_printf(b, "%02x", h->wasm_digest[i]);
    buf_puts(b, STR("\"}\n"));
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
