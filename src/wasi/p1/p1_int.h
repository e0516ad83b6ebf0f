/* Preview 1 inside the wasi room: a run's descriptors, its standard streams, and how its functions reach memory.
 *
 *   p1/p1.c        the run: standard streams, main, table of functions
 *   p1/fd.c     descriptors: fd_*           p1/path.c   paths: path_*
 *   p1/poll.c   waiting: poll_oneoff        p1/misc.c   args, environ, clocks, random, proc, sock
 *   http/cgi.c       the request and response of a served program (RFC 3875)
 *
 * 1. A function returns ABI_TRAP_NONE and an errno in args[0]; a pointer outside of memory is errno FAULT.
 * 2. Pointers into memory are looked up anew after every park: the guest does not run meanwhile, but that is cheap to keep true.
 */
#ifndef ORLO_WASI_P1_INT_H
#define ORLO_WASI_P1_INT_H

#include "wasi/fs/file.h"

enum wasi_p1_errno {
    P1_SUCCESS = 0,
#define X(host, p1, p2) P1_##host = p1,
#include "wasi/fs/errno.def"
#undef X
    P1_NOTCAPABLE = 76,
};
uint32_t wasi_p1_errno_of(int host); /* errno.h → preview 1 */

/* rights (witx: $rights) */
#define P1_RIGHT(bit) (1ull << (bit))
enum {
    P1_R_DATASYNC,
    P1_R_READ,
    P1_R_SEEK,
    P1_R_SET_FLAGS,
    P1_R_SYNC,
    P1_R_TELL,
    P1_R_WRITE,
    P1_R_ADVISE,
    P1_R_ALLOCATE,
    P1_R_CREATE_DIRECTORY,
    P1_R_CREATE_FILE,
    P1_R_LINK_SOURCE,
    P1_R_LINK_TARGET,
    P1_R_OPEN,
    P1_R_READDIR,
    P1_R_READLINK,
    P1_R_RENAME_SOURCE,
    P1_R_RENAME_TARGET,
    P1_R_PATH_FILESTAT_GET,
    P1_R_PATH_SET_SIZE,
    P1_R_PATH_SET_TIMES,
    P1_R_FD_FILESTAT_GET,
    P1_R_FD_SET_SIZE,
    P1_R_FD_SET_TIMES,
    P1_R_SYMLINK,
    P1_R_REMOVE_DIRECTORY,
    P1_R_UNLINK_FILE,
    P1_R_POLL,
    P1_R_SHUTDOWN,
    P1_R_ACCEPT,
};
extern const uint64_t wasi_p1_rights_dir, wasi_p1_rights_file;

enum { P1_FDFLAG_APPEND = 1, P1_FDFLAG_DSYNC = 2, P1_FDFLAG_NONBLOCK = 4, P1_FDFLAG_RSYNC = 8, P1_FDFLAG_SYNC = 16 };
enum wasi_p1_filetype {
    P1_UNKNOWN,
    P1_BLOCK_DEVICE,
    P1_CHARACTER_DEVICE,
    P1_DIRECTORY,
    P1_REGULAR_FILE,
    P1_SOCKET_DGRAM,
    P1_SOCKET_STREAM,
    P1_SYMBOLIC_LINK
};

struct wasi_p1_desc {
    enum { P1_CLOSED, P1_STDIN, P1_STDOUT, P1_STDERR, P1_FILE, P1_DIR } kind;
    enum wasi_p1_filetype filetype;
    struct wasi_fs_file *file; /* FILE, DIR */
    bool is_preopen;
    str preopen; /* name */
    bool read_only;
    uint64_t base, inheriting;
    uint16_t flags;
    struct wasi_fs_dir *dir;
};

/* Standard input and output of a run: a terminal's (command) or a request's (CGI). They park the fiber as needed.
 * Each returns a trap (the run was killed, or its response is no response), or NONE with *error an errno of this system. */
struct wasi_p1_stdio {
    enum abi_trap (*read)(struct wasi_run *run, void *p, size_t n, size_t *got, int *error); /* *got 0: the end */
    enum abi_trap (*write)(struct wasi_run *run, str bytes, int *error);                     /* standard output */
    bool (*readable)(struct wasi_run *run);                                                  /* read would not wait */
    /* Calls engine_ready(fiber) when readable, until told NULL. */
    void (*notify)(struct wasi_run *run, struct engine_fiber *fiber);
};

struct wasi_p1 {
    struct wasi_run *run;
    struct engine_instance *in;
    const struct abi_func *start; /* _start */
    VEC(struct wasi_p1_desc) fds;
    const struct wasi_p1_stdio *stdio;
    struct wasi_std_watch *stdin_watch; /* command */
    const str *args;
    uint32_t args_count;
    const struct app_env *env;
    uint32_t env_count;
    struct wasi_cgi *cgi; /* served */
    uint32_t open_count;
};
struct wasi_p1 *wasi_p1_of(struct engine_call *call);

/* n bytes of memory at ptr; NULL: not all of them are inside. */
uint8_t *wasi_p1_mem(struct wasi_p1 *p, uint64_t ptr, uint64_t n);
bool wasi_p1_put_u32(struct wasi_p1 *p, uint64_t ptr, uint32_t v);
bool wasi_p1_put_u64(struct wasi_p1 *p, uint64_t ptr, uint64_t v);

/* The descriptor fd, with all of `rights`; NULL: *e is the errno. */
struct wasi_p1_desc *wasi_p1_desc(struct wasi_p1 *p, uint64_t fd, uint64_t rights, uint32_t *e);
/* A new descriptor's number in *fd; BADF when there are too many. Takes d. */
uint32_t wasi_p1_desc_add(struct wasi_p1 *p, struct wasi_p1_desc d, uint32_t *fd);
void wasi_p1_desc_close(struct wasi_p1 *p, struct wasi_p1_desc *d);
enum wasi_p1_filetype wasi_p1_filetype_of(mode_t mode);
bool wasi_p1_put_filestat(struct wasi_p1 *p, uint64_t ptr, const struct stat *st);
/* fstflags and times of *_set_times; 0 or an errno of preview 1. */
uint32_t wasi_p1_times(uint64_t atim, uint64_t mtim, uint32_t fstflags, struct timespec out[2]);

#define X(name, params) enum abi_trap wasi_p1_##name(struct engine_call *call, uint64_t *a);
#include "wasi/p1/p1.def"
#undef X
enum abi_trap wasi_p1_proc_exit(struct engine_call *call, uint64_t *a);

#endif
