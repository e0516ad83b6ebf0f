/* machine: how much memory there is for this process: the machine's, or less where a control group (a container, a unit) says so. */
#include "node/node_int.h"
#include <elf.h>
#include <link.h>
#include <fcntl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* The number in a file, or UINT64_MAX: there is none ("max"). */
static uint64_t number_in(const char *path) {
    char text[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return UINT64_MAX;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    uint64_t v;
    str line, rest;
    (void)str_cut(str_c(text), '\n', &line, &rest);
    return n > 0 && str_to_u64(line, &v) ? v : UINT64_MAX;
}

/* The least that a group or one above it may have. Within a container a group's path may be one of the host's: then its root counts. */
static uint64_t group_limit(const char *mount, str group, const char *file) {
    char path[4096];
    uint64_t least = UINT64_MAX;
    for (;;) {
        if (group.n && group.p[group.n - 1] == '/') group.n--;
        snprintf(path, sizeof path, "%s" STR_FMT "/%s", mount, STR_ARG(group), file);
        least = MIN(least, number_in(path));
        if (!group.n) return least;
        while (group.n && group.p[group.n - 1] != '/') group.n--;
    }
}

static uint64_t groups_limit(void) {
    char text[8192] = "";
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return UINT64_MAX;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    uint64_t least = UINT64_MAX;
    for (str rest = {(uint8_t *)text, n > 0 ? (size_t)n : 0}, line; rest.n;) {
        if (!str_cut(rest, '\n', &line, &rest)) line = rest, rest = (str){0};
        str id, controllers, group; /* "0::/app.slice" or "4:memory:/docker/1234" */
        if (!str_cut(line, ':', &id, &line) || !str_cut(line, ':', &controllers, &group)) continue;
        if (!controllers.n) least = MIN(least, group_limit("/sys/fs/cgroup", group, "memory.max"));
        if (str_eqc(controllers, "memory"))
            least = MIN(least, group_limit("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
    return least;
}

uint64_t node_machine_memory(void) {
    struct sysinfo info;
    uint64_t all = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 4 * GiB;
    return MIN(all, groups_limit());
}

/* ---- the program ---- */

/* The linker's note of what it made: a digest of it. */
static int find_note(struct dl_phdr_info *info, size_t size, void *arg) {
    str *found = arg;
    for (int i = 0; i < info->dlpi_phnum && !found->n; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_NOTE) continue;
        const uint8_t *p = (const uint8_t *)(uintptr_t)(info->dlpi_addr + segment->p_vaddr), *end = p + segment->p_memsz;
        while (end - p >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(const void *)p;
            const uint8_t *name = p + sizeof *note, *body = name + align_up(note->n_namesz, 4);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(name, "GNU", 4))
                *found = (str){body, note->n_descsz};
            p = body + align_up(note->n_descsz, 4);
        }
    }
    return 1; /* the first is the program itself */
}

str node_build_id(void) {
    str found = {0};
    dl_iterate_phdr(find_note, &found);
    return found.n ? found : STR(ORLO_VERSION " " __DATE__ " " __TIME__);
}
