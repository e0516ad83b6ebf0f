/* compile_bench FILE...: how fast one core makes an image of a file, and how large. One JSON line a file, the
 * fastest of three runs: bytes in and out, and the processor time of each step (wall time, times the share of the
 * processor that the run got). Decoding, validation and compilation together over `code_bytes` is the figure with a
 * bar; the snapshot runs the guest's own start and is not in it. */
#include "base/json.h"
#include "link/link.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static str map_file(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || !st.st_size) return (str){0};
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    close(fd);
    return p == MAP_FAILED ? (str){0} : (str){p, (size_t)st.st_size};
}

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec;
}

static void print(const char *path, const struct link_stats *s) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "file", path);
    json_put_u64(&w, "wasm_bytes", s->wasm_bytes);
    json_put_u64(&w, "code_bytes", s->code_bytes);
    json_put_u64(&w, "text_bytes", s->text_bytes);
    json_put_u64(&w, "image_bytes", s->image_bytes);
    json_put_u64(&w, "functions", s->functions);
    json_put_bool(&w, "snapshot", s->snapshot);
    json_put_ms(&w, "decode_ms", (double)s->decode_ns / 1e6);
    json_put_ms(&w, "compile_ms", (double)s->compile_ns / 1e6);
    json_put_ms(&w, "snapshot_ms", (double)s->snapshot_ns / 1e6);
    json_put_ms(&w, "write_ms", (double)s->write_ns / 1e6);
    json_put_end(&w);
    ENSURE(json_done(&w));
    printf(STR_FMT "\n", STR_ARG(buf_str(&b)));
    buf_free(&b);
}

static bool measure(const char *path, str wasm) {
    struct link_options options = {.threads = 1, .no_snapshot = true};
    struct link_stats best = {.compile_ns = UINT64_MAX / 2};
    for (int round = 0; round < 4; round++) {
        struct diag d = DIAG_INIT;
        struct link_stats s = {0};
        options.no_snapshot = round < 3;
        int fd;
        uint64_t cpu = cpu_ns(), wall = clock_mono_ns();
        err e = link_file_memfd(wasm, &options, &fd, &s, &d);
        if (e != ERR_OK) {
            fprintf(stderr, "%s: %s\n", path, d.text);
            return false;
        }
        close(fd);
        double share = MIN((double)(cpu_ns() - cpu) / (double)(clock_mono_ns() - wall), 1.0);
        s.decode_ns = (uint64_t)((double)s.decode_ns * share);
        s.compile_ns = (uint64_t)((double)s.compile_ns * share);
        if (round == 3) best.snapshot_ns = s.snapshot_ns, best.snapshot = s.snapshot, best.image_bytes = s.image_bytes;
        else if (s.decode_ns + s.compile_ns < best.decode_ns + best.compile_ns) best = s;
    }
    print(path, &best);
    return true;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: compile_bench FILE...\n");
        return 64;
    }
    bool good = true;
    for (int i = 1; i < argc; i++) {
        str wasm = map_file(argv[i]);
        if (!wasm.n) fprintf(stderr, "compile_bench: cannot read %s\n", argv[i]);
        good &= wasm.n && measure(argv[i], wasm);
    }
    return !good;
}
