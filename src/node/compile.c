/* compile: from the file named on the command line to an image in a sealed memfd.
 *
 * 1. A job makes the image without holding any key. Then a process of the role `keys` signs it (key.c): with the node's key what
 *    is kept in a file, with one that lives for this start what is served at once.
 * 2. Workers get a sealed memfd and the public half of the key, and check the signature when they map it. An image from a file is
 *    copied into a memfd first, so that what was checked cannot change.
 */
#include "link/link.h"
#include "node/supervisor/jobs.h"
#include "node/node_int.h"
#include "node/pack.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t kind_of_this; /* a job compiles one */

static err look_at(const struct plan *plan, struct diag *d) {
    kind_of_this = node_kind_of_plan(plan);
    return node_imports_check(plan, d);
}

err node_compile_job(const struct node_message *what, int in, int out, struct node_job_result *result) {
    struct diag *d = &result->diag;
    const struct node_msg_compile *m = &what->compile;
    void *p = m->bytes ? mmap(NULL, m->bytes, PROT_READ, MAP_PRIVATE, in, 0) : NULL;
    if (p == MAP_FAILED) return diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be read: %s", strerror(errno));
    struct link_options options = {
        .memory_bytes_max = m->memory_bytes_max, .image_bytes_max = m->image_bytes_max, .check = look_at, .machine = m->machine};
    struct link_stats stats;
    err e = link_file((str){p, m->bytes}, &options, out, &stats, d);
    result->kind = kind_of_this;
    return e;
}

err node_look_job(const struct node_message *what, int in, int out, struct node_job_result *result) {
    struct abi_key_public key;
    struct abi_image im;
    memcpy(key.bytes, what->look.key, sizeof key.bytes);
    TRY(abi_image_open(fcntl(in, F_DUPFD_CLOEXEC, 3), &key, &im, &result->diag));
    result->kind = (uint32_t)wasi_kind_of(&im);
    abi_image_close(&im);
    return ERR_OK;
}

/* ---- images ---- */

err node_image_open(struct node_image *image, struct diag *d) {
    return abi_image_open(fcntl(image->fd, F_DUPFD_CLOEXEC, 3), &image->key, &image->opened, d);
}

err node_image_take(struct node_image *image, struct abi_image *out, struct diag *d) {
    if (!image->opened.base) TRY(node_image_open(image, d));
    *out = image->opened;
    image->opened = (struct abi_image){.fd = -1};
    return ERR_OK;
}

void node_image_close(struct node_image *image) {
    if (image->opened.base) abi_image_close(&image->opened);
    node_pack_unref(image->pack);
    image->pack = NULL;
    if (image->secrets.n) explicit_bzero((void *)(uintptr_t)image->secrets.p, image->secrets.n);
    free((void *)(uintptr_t)image->secrets.p);
    image->secrets = (str){0};
    if (image->fd >= 0) close(image->fd);
    image->fd = -1;
}

static int new_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }

static err seal(int fd, struct diag *d) {
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0) return ERR_OK;
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the image cannot be sealed: %s", strerror(errno));
}

/* Fills a new memfd with the image for a machine (0: this one); not sealed yet. */
static err compile_to_memfd(const struct node_input *in, const char *name, uint32_t machine, const struct node_limits *limits,
                            int *fd, struct diag *d) {
    *fd = new_memfd("orlo-image");
    if (*fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    struct node_message what = NODE_MESSAGE(compile, .bytes = in->bytes, .memory_bytes_max = limits->app.memory_bytes_max,
                                            .image_bytes_max = limits->image_bytes_max, .machine = machine);
    char title[300];
    const char *base = strrchr(name, '/');
    snprintf(title, sizeof title, "compiling %.200s", base ? base + 1 : name);
    err e = node_job(&what, in->fd, *fd, limits, title, d);
    if (e == ERR_OK) return ERR_OK;
    close(*fd);
    *fd = -1;
    return e;
}

static void on_tried(void *arg, const struct node_job_result *result) { *(struct node_job_result *)arg = *result; }

err node_compile_try(const struct node_input *in, const char *name, const struct node_limits *limits, uint32_t *kind,
                     struct diag *d) {
    struct node_jobs jobs = {.running_max = 1};
    struct node_job_result result;
    int image = new_memfd("orlo-image");
    if (image < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    struct node_message what = NODE_MESSAGE(compile, .bytes = in->bytes, .memory_bytes_max = limits->app.memory_bytes_max,
                                            .image_bytes_max = limits->image_bytes_max);
    struct node_job_config config = {.what = &what,
                                     .in = in->fd,
                                     .out = image,
                                     .memory_bytes_max = limits->compile_memory_bytes_max,
                                     .file_bytes_max = limits->image_bytes_max,
                                     .cpu_s_max = (limits->compile_ms_max + 999) / 1000,
                                     .title = name,
                                     .done = on_tried,
                                     .arg = &result};
    ENSURE(node_jobs_add(&jobs, &config));
    for (node_jobs_turn(&jobs); jobs.first; node_jobs_show(&jobs)) node_jobs_wait(&jobs, 200);
    close(image);
    *kind = result.kind;
    return node_diag_of(d, result.err, result.diag.offset, str_c(result.diag.text));
}

static err copy_all(int from, int to, uint64_t bytes, struct diag *d) {
    off_t at = 0;
    while ((uint64_t)at < bytes) {
        ssize_t n = sendfile(to, from, &at, bytes - (uint64_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return diag_set(d, ERR_IO, DIAG_NOWHERE, "it cannot be copied: %s", n ? strerror(errno) : "it became shorter");
    }
    return ERR_OK;
}

/* The image in a file, copied where nobody can change it, if this node made it. */
static err take_image(const struct node_input *in, const char *state_dir, const struct node_limits *limits,
                      struct node_image *image, struct diag *d) {
    if (limits && in->bytes > limits->image_bytes_max) /* inspecting: what may be opened at all */
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it has %llu MiB, an image may have %llu (--max-image)",
                        (unsigned long long)(in->bytes / MiB), (unsigned long long)(limits->image_bytes_max / MiB));
    err e = node_key_public(state_dir, &image->key, d);
    if (e != ERR_OK) {
        diag_prefix(d, e == ERR_NOT_FOUND ? "an image is taken only if this node's key signed it, so compile the .wasm here"
                                          : "an image is taken only if this node's key signed it");
        return e == ERR_NOT_FOUND ? ERR_SIGNATURE : e;
    }
    int *fd = &image->fd;
    *fd = new_memfd("orlo-image");
    if (*fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    e = copy_all(in->fd, *fd, in->bytes, d);
    if (e == ERR_OK) e = seal(*fd, d);
    struct abi_image im;
    if (e == ERR_OK) e = abi_image_open(fcntl(*fd, F_DUPFD_CLOEXEC, 3), &image->key, &im, d);
    if (e == ERR_OK) {
        abi_image_close(&im);
        return ERR_OK;
    }
    close(*fd);
    *fd = -1;
    return e;
}

err node_image_for(const struct node_input *in, const char *name, const char *state_dir, const struct node_limits *limits,
                   struct node_image *image, struct diag *d) {
    if (in->is_image) return take_image(in, state_dir, limits, image, d);
    TRY(compile_to_memfd(in, name, 0, limits, &image->fd, d));
    err e = node_key_sign(NODE_KEY_OF_THIS_START, NULL, image->fd, &image->key, d);
    if (e == ERR_OK) e = seal(image->fd, d);
    if (e != ERR_OK) {
        close(image->fd);
        image->fd = -1;
    }
    return e;
}

/* The image takes the place of what is there (write_file): never of the file it is made of, and never of a device, a pipe or a socket. */
static err check_output(const char *output, int input, struct diag *d) {
    struct stat there, from;
    if (stat(output, &there)) return ERR_OK; /* it is new, or writing it says what is wrong */
    if (fstat(input, &from) == 0 && there.st_dev == from.st_dev && there.st_ino == from.st_ino)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s is the file to compile; name another with -o", output);
    if (S_ISDIR(there.st_mode))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: it is a folder; name a file in it with -o", output);
    if (!S_ISREG(there.st_mode))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s is no file that an image could replace; name another with -o", output);
    return ERR_OK;
}

/* Beside the output first, so that nobody ever sees half of it. */
static err write_file(int image_fd, uint64_t bytes, const char *output, struct diag *d) {
    arena *scratch = arena_new(0);
    char *aside = arena_cstr(scratch, arena_fmt(scratch, "%s.%d.part", output, (int)getpid()));
    err e = ERR_OK;
    unlink(aside); /* of a process with this number that was cut off */
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", output, strerror(errno));
    if (e == ERR_OK) {
        e = copy_all(image_fd, fd, bytes, d);
        if (e == ERR_OK && fsync(fd)) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", output, strerror(errno));
        close(fd);
        if (e == ERR_OK && rename(aside, output))
            e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be written: %s", output, strerror(errno));
        if (e != ERR_OK) unlink(aside);
    }
    arena_free(scratch);
    return e;
}

err node_compile(const struct node_compile_config *config, struct node_compiled *out, struct diag *d) {
    uint64_t started_ns = clock_mono_ns();
    struct node_limits limits = config->limits;
    node_limits_fill(&limits);
    struct node_input in;
    uint32_t machine = config->target ? abi_machine_named(config->target) : ABI_MACHINE;
    if (!machine) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--target is x86-64 or aarch64, not '%s'", config->target);
    TRY(node_input_open(config->file, &in, d));
    struct abi_key_public key;
    int fd = -1;
    err e = in.is_image ? diag_set(d, ERR_INVALID, DIAG_NOWHERE, "it is compiled already") : ERR_OK;
    if (e == ERR_OK) e = check_output(config->output, in.fd, d);
    if (e == ERR_OK) e = compile_to_memfd(&in, config->file, machine, &limits, &fd, d);
    if (e == ERR_OK) e = node_key_sign(NODE_KEY_OF_THE_NODE, config->state_dir, fd, &key, d);
    struct stat st = {0};
    if (e == ERR_OK) e = fstat(fd, &st) ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno)) : ERR_OK;
    if (e == ERR_OK) e = write_file(fd, (uint64_t)st.st_size, config->output, d);
    *out = (struct node_compiled){in.bytes, (uint64_t)st.st_size, clock_mono_ns() - started_ns};
    if (fd >= 0) close(fd);
    close(in.fd);
    return e;
}
