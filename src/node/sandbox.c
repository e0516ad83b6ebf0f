/* sandbox: what a process gives up, for good: seccomp by a list of what is allowed, Landlock for files, rlimits for a job.
 *
 * 1. Whatever is not in sandbox.def answers EPERM (libraries probe); exec and its kin kill, in a job also sockets and processes.
 * 2. A job has no files, no sockets, and dies of its memory and CPU limits.
 * 3. A worker that was granted nothing of the network cannot make a socket at all; one that was granted no address to listen at cannot
 *    make one that listens.
 * The filter's order does not cost: Linux (5.11) keeps a bitmap of what is allowed whatever its arguments.
 */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/* ---- seccomp ---- */

static const struct {
    int nr;
    bool job, worker;
} allowed[] = {
#define X(name, job, worker) {SYS_##name, job, worker},
#include "node/sandbox.def"
#undef X
};

/* Calls that no process of ours that touches guest bytes could need: making one is an attack or a bug. */
static const int deadly[] = {
    SYS_execve,     SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount,           SYS_umount2,
    SYS_pivot_root, SYS_chroot,   SYS_bpf,    SYS_kexec_load,       SYS_init_module,       SYS_finit_module,    SYS_delete_module,
    SYS_setns,      SYS_unshare,  SYS_keyctl, SYS_add_key,          SYS_request_key,       SYS_perf_event_open,
};

enum { FILTER_MAX = 400 };
struct filter {
    struct sock_filter op[FILTER_MAX];
    unsigned short n;
};

static void put(struct filter *f, struct sock_filter op) {
    ENSURE(f->n < FILTER_MAX);
    f->op[f->n++] = op;
}
static void load(struct filter *f, size_t offset) {
    put(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}
static void answer(struct filter *f, uint32_t action) { put(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action)); }
/* The accumulator holds the call's number: if it is nr, the action. */
static void rule(struct filter *f, int nr, uint32_t action) {
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1));
    answer(f, action);
}
static uint32_t refuse(int why) { return SECCOMP_RET_ERRNO | (uint32_t)why; }

/* A thread of this process, not a process. */
static void rule_thread(struct filter *f, uint32_t otherwise) {
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
    load(f, offsetof(struct seccomp_data, args[0]));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1));
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, otherwise);
}

/* A signal to this process only: raise, abort and the preemption ticker, not a neighbour. */
static void rule_own_signal(struct filter *f, int nr) {
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 4));
    load(f, offsetof(struct seccomp_data, args[0]));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1));
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, refuse(EPERM));
}

/* Reading one's limits is fine; changing them, or another process's, is not: the third argument must be null. */
static void rule_prlimit(struct filter *f) {
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 6));
    load(f, offsetof(struct seccomp_data, args[2]));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3));
    load(f, offsetof(struct seccomp_data, args[2]) + 4);
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, refuse(EPERM));
}

/* Internet sockets for TCP and UDP (no raw ones, whatever the user may), and what name resolution asks about interfaces; no local
 * ones, which lead to other programs. */
static void rule_socket(struct filter *f) {
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 10));
    load(f, offsetof(struct seccomp_data, args[0]));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 4, 5));
    load(f, offsetof(struct seccomp_data, args[1]));
    put(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf)); /* the rest is flags */
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 0, 1));
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, refuse(EPERM));
}

static void build(struct filter *f, bool job, unsigned network) {
    load(f, offsetof(struct seccomp_data, arch));
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0));
    answer(f, SECCOMP_RET_KILL_PROCESS);
    load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1)); /* the x32 numbers */
    answer(f, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++)
        if (job ? allowed[i].job : allowed[i].worker) rule(f, allowed[i].nr, SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < ARRAY_COUNT(deadly); i++) rule(f, deadly[i], SECCOMP_RET_KILL_PROCESS);
    if (network) {
        rule_socket(f);
        rule(f, SYS_connect, SECCOMP_RET_ALLOW);
        rule(f, SYS_bind, SECCOMP_RET_ALLOW);
    }
    if (network & NODE_SANDBOX_LISTEN) rule(f, SYS_listen, SECCOMP_RET_ALLOW);
    rule(f, SYS_io_uring_setup, refuse(ENOSYS)); /* a filter does not see what goes through a ring; libraries do without */
    rule(f, SYS_clone3, refuse(ENOSYS));         /* its flags are behind a pointer; libc falls back to clone */
    if (job) {
        rule(f, SYS_openat, refuse(ENOENT)); /* libraries look for their configuration: there is none */
        rule(f, SYS_socket, SECCOMP_RET_KILL_PROCESS);
        rule_thread(f, SECCOMP_RET_KILL_PROCESS);
#ifdef __x86_64__
        rule(f, SYS_open, refuse(ENOENT));
        rule(f, SYS_fork, SECCOMP_RET_KILL_PROCESS);
        rule(f, SYS_vfork, SECCOMP_RET_KILL_PROCESS);
#endif
    } else {
        rule_thread(f, refuse(EPERM));
    }
    /* Each of these leaves the accumulator holding an argument only on paths that have answered. */
    rule_own_signal(f, SYS_tgkill);
    rule_own_signal(f, SYS_kill);
    rule_prlimit(f);
    answer(f, refuse(EPERM));
}

#ifdef __SANITIZE_ADDRESS__
/* Looking for leaks takes a process that traces this one: not from inside a sandbox. */
static bool confined;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return confined; }
/* UBSan reads its options when it has something to say; what it would read them from is out of reach then. */
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) { return "halt_on_error=1:print_stacktrace=1"; }
#define CONFINED() (confined = true)
#else
#define CONFINED() ((void)0)
#endif

static err install(bool job, unsigned network, struct diag *d) {
    struct filter f = {.n = 0};
    build(&f, job, network);
    struct sock_fprog program = {.len = f.n, .filter = f.op};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this kernel refuses a seccomp filter: %s", strerror(errno));
    CONFINED();
    return ERR_OK;
}

/* ---- Landlock ---- */

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14) /* version 3: the kernel may be newer than the headers */
#endif
static const uint64_t files_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t files_of_a_file =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;

/* What this kernel can control, of what we would; 0: no Landlock. */
static uint64_t files_handled(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return 0;
    uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* version 1 */
#ifdef LANDLOCK_ACCESS_FS_REFER
    if (version >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
#endif
    if (version >= 3) all |= LANDLOCK_ACCESS_FS_TRUNCATE;
    return all;
}

static err lock_files(const struct node_sandbox_path *paths, size_t count, struct diag *d) {
    uint64_t handled = files_handled();
    if (!handled) { /* an older kernel: seccomp and the guests' own openat2 rules are what remains */
        log_event(LOG_DEBUG, "landlock-missing");
        return ERR_OK;
    }
    struct landlock_ruleset_attr attr = {.handled_access_fs = handled};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    bool ok = rules >= 0;
    for (size_t i = 0; ok && i < count; i++) {
        struct stat st;
        ok = fstat(paths[i].fd, &st) == 0;
        uint64_t want = paths[i].write ? handled & ~LANDLOCK_ACCESS_FS_EXECUTE : files_read;
        if (!S_ISDIR(st.st_mode)) want &= files_of_a_file;
        struct landlock_path_beneath_attr under = {.allowed_access = want & handled, .parent_fd = paths[i].fd};
        ok = ok && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &under, 0) == 0;
    }
    ok = ok && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    int why = errno;
    if (rules >= 0) close(rules);
    return ok ? ERR_OK : diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "Landlock refuses: %s", strerror(why));
}

/* ---- the two sandboxes ---- */

err node_sandbox_worker(const struct node_sandbox_path *paths, size_t count, unsigned network, struct diag *d) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no ptrace by the same user, no core with guests' memory */
    TRY(lock_files(paths, count, d));
    return install(false, network, d);
}

static bool cap(int which, uint64_t value) {
    struct rlimit now, want = {value, value};
    if (getrlimit((__rlimit_resource_t)which, &now)) return false;
    want.rlim_max = want.rlim_cur = MIN(value, now.rlim_max);
    return setrlimit((__rlimit_resource_t)which, &want) == 0;
}

#ifdef __SANITIZE_ADDRESS__
static const uint64_t shadow_bytes = 32ull << 40; /* a sanitizer's bookkeeping counts as data too */
#else
static const uint64_t shadow_bytes = 0;
#endif

err node_sandbox_job(uint64_t memory_bytes_max, uint64_t file_bytes_max, uint64_t cpu_s_max, struct diag *d) {
    struct rlimit cpu = {cpu_s_max, cpu_s_max + 1}; /* a signal of its own at the soft limit, SIGKILL at the hard one */
    /* RLIMIT_DATA counts private writable pages, reserved address space not: what an instance reserves is PROT_NONE. Pages of the file that
     * it writes are in memory too, and no other can be had: there is no memfd_create in a job. */
    uint64_t file = MIN(file_bytes_max, memory_bytes_max / 2);
    if (!cap(RLIMIT_DATA, memory_bytes_max - file + shadow_bytes) || setrlimit(RLIMIT_CPU, &cpu) || !cap(RLIMIT_CORE, 0) ||
        !cap(RLIMIT_FSIZE, file) || !cap(RLIMIT_NOFILE, 64))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    TRY(lock_files(NULL, 0, d));
    return install(true, 0, d);
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

void node_close_fds_except(const int *keep, size_t count) {
    int sorted[64];
    ENSURE(count <= ARRAY_COUNT(sorted));
    memcpy(sorted, keep, count * sizeof *keep);
    qsort(sorted, count, sizeof *sorted, ascending);
    unsigned from = STDERR_FILENO + 1;
    for (size_t i = 0; i < count; i++) {
        if (sorted[i] < (int)from) continue;
        if (sorted[i] > (int)from) close_range(from, (unsigned)sorted[i] - 1, 0);
        from = (unsigned)sorted[i] + 1;
    }
    close_range(from, ~0u, 0);
}
