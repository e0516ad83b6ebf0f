/* wasm_validate FILE...: MB of wasm code per second that one core decodes and validates. A component counts
 * by the core modules inside it. Each figure is the best of several runs. */
#include "wasm/wasm.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static str map_file(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || !st.st_size) return (str){0};
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    close(fd);
    return p == MAP_FAILED ? (str){0} : (str){p, (size_t)st.st_size};
}

static void measure(const char *path, str bytes) {
    uint64_t best = UINT64_MAX, decode = 0, instrs = 0;
    struct wasm_module m;
    for (int round = 0; round < 7; round++) {
        arena *a = arena_new(0);
        struct diag d = DIAG_INIT;
        uint64_t t0 = clock_mono_ns();
        err e = wasm_decode(a, bytes, &m, &d);
        if (!e) e = wasm_validate(a, &m, NULL, &d);
        uint64_t t1 = clock_mono_ns();
        struct wasm_validator *v = e ? NULL : wasm_validator_new(a, &m);
        instrs = 0;
        for (uint32_t i = m.funcs_imported; i < m.funcs_count && !e; i++) {
            struct wasm_func_info info;
            e = wasm_validate_func(v, i, &info, &d);
            instrs += info.instrs_count;
        }
        uint64_t t2 = clock_mono_ns();
        if (e) {
            printf("%s: %s: %s at %llu\n", path, err_text(e), d.text, (unsigned long long)d.offset);
            arena_free(a);
            return;
        }
        if (t2 - t0 < best) best = t2 - t0, decode = t1 - t0;
        arena_free(a);
    }
    printf("%s: code %.2f MB, %llu instructions, %.2f ms (module level %.2f ms), %.0f MB/s, %.1f "
           "ns/instruction\n",
           path, (double)m.code_bytes / 1e6, (unsigned long long)instrs, (double)best / 1e6, (double)decode / 1e6,
           (double)m.code_bytes * 1e3 / (double)best, instrs ? (double)best / (double)instrs : 0.0);
}

/* Core modules of a component: sections with id 1, and inside nested components, sections with id 4. */
static void measure_inside(const char *path, str bytes) {
    if (wasm_is_module(bytes)) {
        measure(path, bytes);
        return;
    }
    const uint8_t *p = bytes.p + MIN(bytes.n, (size_t)8), *end = bytes.p + bytes.n;
    while (p < end) {
        uint8_t id = *p++;
        uint64_t size = 0;
        for (unsigned shift = 0; p < end && shift < 35; shift += 7) {
            size |= (uint64_t)(*p & 0x7f) << shift;
            if (!(*p++ & 0x80)) break;
        }
        if (size > (uint64_t)(end - p)) return;
        if (id == 1) measure(path, (str){p, size});
        if (id == 4) measure_inside(path, (str){p, size});
        p += size;
    }
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: wasm_validate FILE...\n");
        return 64;
    }
    for (int i = 1; i < argc; i++) {
        str bytes = map_file(argv[i]);
        if (bytes.n) measure_inside(argv[i], bytes);
        else fprintf(stderr, "wasm_validate: cannot read %s\n", argv[i]);
    }
    return 0;
}
