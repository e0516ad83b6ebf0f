/* input: the file named on the command line, opened, and what its first bytes tell. */
#include "component/component.h"
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t input_bytes_max = 1 * GiB;

static err open_failed(const char *path, struct diag *d) {
    switch (errno) {
    case ENOENT:
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no such file%s",
                        strstr(path, "://")  ? "; of a URL, download the file first"
                        : !strcmp(path, "-") ? "; standard input is not read, name a file"
                                             : "");
    case EACCES:
    case EPERM: return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "it may not be read: %s", strerror(errno));
    default: return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "it cannot be opened: %s", strerror(errno));
    }
}

err node_input_open(const char *path, struct node_input *out, struct diag *d) {
    *out = (struct node_input){.fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return open_failed(path, d);
    struct stat st;
    uint8_t head[1 * KiB];
    ssize_t got = -1;
    if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
        close(fd);
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "it is a folder; name the .wasm file in it");
    }
    if (S_ISREG(st.st_mode)) got = pread(fd, head, sizeof head, 0);
    if (got < 0) {
        close(fd);
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "it is no regular file that can be read");
    }
    if ((uint64_t)st.st_size > input_bytes_max) {
        close(fd);
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it is larger than 1 GiB");
    }
    *out = (struct node_input){.fd = fd, .bytes = (uint64_t)st.st_size};
    str bytes = {head, (size_t)got};
    out->is_image = abi_image_is(bytes);
    bool foreign = !out->is_image && !str_starts(STR("\0asm"), str_sub(bytes, 0, 4));
    if (out->is_image || (!foreign && component_kind(bytes, d) != COMPONENT_KIND_UNKNOWN)) return ERR_OK;
    close(fd);
    out->fd = -1;
    return foreign ? node_foreign(path, bytes, d) : ERR_MALFORMED;
}
