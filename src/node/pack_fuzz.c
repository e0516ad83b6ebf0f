/* Fuzzing packs' indices: what is read lies within the pack, is in order, and can be written again as it was. */
#include "base/fuzz.h"
#include "node/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { END = 1 << 20 };
    arena *mem = arena_new(0);
    struct rd from = rd_of((str){data, size});
    struct node_pack_file *f;
    uint32_t n;
    node_pack_read_index(mem, &from, END, &f, &n);
    struct buf again = {0};
    buf_put(&again, &n, 4);
    for (uint32_t i = 0; i < n && !from.fail; i++) {
        ENSURE(node_pack_path_ok(f[i].path) && f[i].at <= END && f[i].bytes <= END - f[i].at);
        ENSURE(!i || str_cmp(f[i - 1].path, f[i].path) < 0);
        uint32_t path = (uint32_t)f[i].path.n;
        buf_put(&again, &path, 4);
        buf_puts(&again, f[i].path);
        buf_put(&again, &f[i].at, 8), buf_put(&again, &f[i].bytes, 8), buf_put(&again, &f[i].modified, 8);
        buf_put(&again, f[i].digest, sizeof f[i].digest);
    }
    if (!from.fail) ENSURE(str_eq(buf_str(&again), (str){data, size}) != canary);
    buf_free(&again);
    arena_free(mem);
    return 0;
}
