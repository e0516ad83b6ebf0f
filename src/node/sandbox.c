/* sandbox: what a process gives up, for good: seccomp by a list of what is allowed and with which arguments, Landlock for files, ports,
 * signals and local sockets, every capability, rlimits for a job.
 *
 * 1. Whatever is not in sandbox.def answers EPERM (libraries probe); exec and its kin kill, in a job also sockets and processes.
 * 2. A job has no files, no sockets, and dies of its memory and CPU limits. Who holds keys has no files either, and one socket.
 * 3. A worker that was granted nothing of the network cannot make a socket at all; one that was granted no address to listen at cannot
 *    make one that listens; one that was granted no folder can open no file.
 */
#include "node/node_int.h"
#include "node/rights.h"
#include "node/secrets.h"
#include "node/state.h"
#include "node/wire.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* Linux 6.4 */
#endif

#if defined __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/* ---- seccomp ---- */

enum { J = 1, W = 2, F = 4, D = 8, N = 16, L = 32, K = 64, O = 128, P = 256 }; /* as sandbox.def says */
enum {
    SANDBOX_PAGEMAP_SCAN = (int)0xc0606610, /* _IOWR('f', 16, struct pm_scan_arg): Linux 6.7 */
    SANDBOX_TMPFILE = 020000000,            /* O_TMPFILE without O_DIRECTORY */
    SANDBOX_THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                     CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
};

/* What each role may do at the least: its letters, and whether it has files besides what it was granted. */
enum { ALL_FILES, FOLDER, DATA, GRANTED, NAMES, NO_FILES };
#define ALL ALL_FILES
#define NONE NO_FILES
static const struct {
    unsigned calls;
    int files;
} roles[] = {
#define X(name, sandbox, files, ...) {sandbox, files},
#include "node/roles.def"
#undef X
};
#undef ALL
#undef NONE

struct condition {
    enum { ANY, LOW_IS, ALL_IS, NONE_OF_THESE, SOME, ONLY_THESE, SOCKET_KIND, THIS_PROCESS } what;
    uint8_t arg;
    uint32_t value;
};
enum { CONDITIONS_MAX = 3 };
static const struct row {
    int nr;
    unsigned who;
    struct condition conditions[CONDITIONS_MAX]; /* the first ANY ends them */
} rows[] = {
#define IS(a, v)                                                                                                                 \
    { LOW_IS, a, (uint32_t)(v) }
#define ALL(a, v)                                                                                                                \
    { ALL_IS, a, (uint32_t)(v) }
#define NONE_OF(a, v)                                                                                                            \
    { NONE_OF_THESE, a, (uint32_t)(v) }
#define SOME_OF(a, v)                                                                                                            \
    { SOME, a, (uint32_t)(v) }
#define ONLY(a, v)                                                                                                               \
    { ONLY_THESE, a, (uint32_t)(v) }
#define KIND(a, v)                                                                                                               \
    { SOCKET_KIND, a, (uint32_t)(v) }
#define OWN(a)                                                                                                                   \
    { THIS_PROCESS, a, 0 }
#define X(name, who, ...) {SYS_##name, who, {__VA_ARGS__}},
#include "node/sandbox.def"
#undef X
};

/* Calls that no process of ours that touches guest bytes could need: making one is an attack or a bug. */
static const int deadly[] = {
    SYS_execve,     SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount,           SYS_umount2,
    SYS_pivot_root, SYS_chroot,   SYS_bpf,    SYS_kexec_load,       SYS_init_module,       SYS_finit_module,    SYS_delete_module,
    SYS_setns,      SYS_unshare,  SYS_keyctl, SYS_add_key,          SYS_request_key,       SYS_perf_event_open,
};
static const int deadly_in_job[] = {
    SYS_socket,
    SYS_clone,
#ifdef __x86_64__
    SYS_fork,
    SYS_vfork,
#endif
};

enum { FILTER_MAX = 1200 };
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
static void jump(struct filter *f, unsigned test, uint32_t value, unsigned if_so, unsigned if_not) {
    put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, (uint8_t)if_so, (uint8_t)if_not));
}
/* The accumulator holds the call's number: if it is nr, the action. */
static void rule(struct filter *f, int nr, uint32_t action) {
    jump(f, BPF_JEQ, (uint32_t)nr, 0, 1);
    answer(f, action);
}
static uint32_t refuse(int why) { return SECCOMP_RET_ERRNO | (uint32_t)why; }

static unsigned length(const struct condition *c) {
    return c->what == ALL_IS ? 4 : c->what == ONLY_THESE || c->what == SOCKET_KIND ? 3 : 2;
}

/* Falls through if it holds; else goes `past` instructions beyond its end. */
static void put_condition(struct filter *f, const struct condition *c, unsigned past) {
    size_t low = offsetof(struct seccomp_data, args) + 8u * c->arg; /* both machines are little-endian */
    load(f, low);
    switch (c->what) {
    case ANY: break;
    case LOW_IS: jump(f, BPF_JEQ, c->value, 0, past); break;
    case THIS_PROCESS: jump(f, BPF_JEQ, (uint32_t)getpid(), 0, past); break;
    case NONE_OF_THESE: jump(f, BPF_JSET, c->value, past, 0); break;
    case SOME: jump(f, BPF_JSET, c->value, 0, past); break;
    case ALL_IS:
        jump(f, BPF_JEQ, c->value, 0, past + 2);
        load(f, low + 4);
        jump(f, BPF_JEQ, 0, 0, past);
        break;
    case ONLY_THESE:
    case SOCKET_KIND:
        put(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, c->what == ONLY_THESE ? ~c->value : 0xf));
        jump(f, BPF_JEQ, c->what == ONLY_THESE ? 0 : c->value, 0, past);
        break;
    }
}

/* The conditions one after the other, then ALLOW; what does not hold goes to the instruction after that. */
static void put_row(struct filter *f, const struct row *r) {
    unsigned left = 1;
    for (int i = 0; i < CONDITIONS_MAX && r->conditions[i].what; i++) left += length(&r->conditions[i]);
    for (int i = 0; i < CONDITIONS_MAX && r->conditions[i].what; i++) {
        left -= length(&r->conditions[i]);
        put_condition(f, &r->conditions[i], left);
    }
    answer(f, SECCOMP_RET_ALLOW);
}

static bool among(int nr, const int *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == nr) return true;
    return false;
}

/* To a process that may open nothing there is nothing: libraries look for their configuration, and go on. */
static uint32_t denial(int nr, unsigned who) {
    if (who & (J | K) && among(nr, deadly_in_job, ARRAY_COUNT(deadly_in_job))) return SECCOMP_RET_KILL_PROCESS;
    return refuse(nr == SYS_openat && !(who & (F | N)) ? ENOENT : EPERM);
}

/* All rows of a call whose arguments are looked at, where its first one is. */
static void put_call(struct filter *f, size_t first, unsigned who) {
    int nr = rows[first].nr;
    for (size_t i = 0; i < first; i++)
        if (rows[i].nr == nr) return;
    jump(f, BPF_JEQ, (uint32_t)nr, 1, 0);
    unsigned short skip = f->n;
    put(f, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
    for (size_t i = first; i < ARRAY_COUNT(rows); i++)
        if (rows[i].nr == nr && rows[i].who & who) put_row(f, &rows[i]);
    answer(f, denial(nr, who));
    f->op[skip].k = (uint32_t)(f->n - skip - 1);
}

static bool looked_at(int nr) {
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].nr == nr && rows[i].conditions[0].what) return true;
    return false;
}

static void build(struct filter *f, unsigned who) {
    load(f, offsetof(struct seccomp_data, arch));
    jump(f, BPF_JEQ, OWN_ARCH, 1, 0);
    answer(f, SECCOMP_RET_KILL_PROCESS);
    load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    jump(f, BPF_JGE, 0x40000000, 0, 1); /* the x32 numbers */
    answer(f, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (looked_at(rows[i].nr)) put_call(f, i, who);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].who & who && !looked_at(rows[i].nr)) rule(f, rows[i].nr, SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < ARRAY_COUNT(deadly); i++) rule(f, deadly[i], SECCOMP_RET_KILL_PROCESS);
    if (!(who & O)) rule(f, SYS_openat2, refuse(ENOSYS)); /* wasi does without */
    rule(f, SYS_io_uring_setup, refuse(ENOSYS)); /* a filter does not see what goes through a ring; libraries do without */
    rule(f, SYS_clone3, refuse(ENOSYS));         /* its flags are behind a pointer; libc falls back to clone */
    if (who & (J | K)) {
        for (size_t i = 0; i < ARRAY_COUNT(deadly_in_job); i++)
            if (!looked_at(deadly_in_job[i])) rule(f, deadly_in_job[i], SECCOMP_RET_KILL_PROCESS);
    }
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

static err install(unsigned who, struct diag *d) {
    static struct filter f;
    f.n = 0;
    build(&f, who);
    struct sock_fprog program = {.len = f.n, .filter = f.op};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this kernel refuses a seccomp filter: %s", strerror(errno));
    CONFINED();
    return ERR_OK;
}

/* ---- capabilities ---- */

/* All, also of root: started so, it has opened what it may not open afterwards. */
static err drop_capabilities(struct diag *d) {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int cap = 0; cap < 64; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* who is not root any more has done so before (role.c) */
    prctl(PR_SET_SECUREBITS, SECURE_ALL_BITS | SECURE_ALL_LOCKS, 0, 0,
          0); /* what fails here needs a capability that there is none of */
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capset, &head, none) == 0) return ERR_OK;
    return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "capabilities cannot be given up: %s", strerror(errno));
}

/* ---- Landlock ---- */

/* The kernel may be newer than the headers. */
struct ruleset {
    uint64_t fs, net, scoped;
};
struct port_rule {
    uint64_t allowed, port;
};
enum {
    FS_REFER = 1 << 13,    /* version 2 */
    FS_TRUNCATE = 1 << 14, /* version 3 */
    NET_BIND_TCP = 1,      /* version 4 */
    NET_CONNECT_TCP = 2,
    FS_IOCTL_DEV = 1 << 15,         /* version 5 */
    SCOPE_ABSTRACT_UNIX_SOCKET = 1, /* version 6 */
    SCOPE_SIGNAL = 2,
    RULE_NET_PORT = 2,
};
static const uint64_t files_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t files_of_a_file =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV;

/* 0: there is none. $ORLO_LANDLOCK_MAX: as if it were an older one, for tests. */
static long landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    const char *most = getenv("ORLO_LANDLOCK_MAX");
    return MAX(most ? MIN(version, atol(most)) : version, 0L);
}

bool node_sandbox_has_landlock(void) { return landlock_version() > 0; }

/* What this kernel can control, of what we would; all 0: no Landlock. The attribute's size is that of its version. */
static struct ruleset handled(size_t *size) {
    long version = landlock_version();
    struct ruleset r = {0};
    *size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    if (version >= 1) r.fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    if (version >= 2) r.fs |= FS_REFER;
    if (version >= 3) r.fs |= FS_TRUNCATE;
    if (version >= 4) r.net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (version >= 5) r.fs |= FS_IOCTL_DEV;
    if (version >= 6) r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    return r;
}

static bool allow_path(int rules, uint64_t handled_fs, const struct node_sandbox_path *path) {
    struct stat st;
    if (fstat(path->fd, &st)) return false;
    uint64_t want = path->write ? handled_fs & ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | FS_IOCTL_DEV) : files_read;
    if (!S_ISDIR(st.st_mode)) want &= files_of_a_file;
    struct landlock_path_beneath_attr under = {.allowed_access = want & handled_fs, .parent_fd = path->fd};
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &under, 0) == 0;
}

static err lock_in(enum node_role role, const struct node_sandbox *box, struct diag *d) {
    static const struct node_rights none;
    const struct node_rights *rights = box->rights ? box->rights : &none;
    ENSURE(roles[role].files != NO_FILES || !box->paths_count);
    size_t size;
    struct ruleset attr = handled(&size);
    if (!attr.fs) { /* an older kernel: seccomp and the guests' own openat2 rules are what remains */
        log_event(LOG_DEBUG, "landlock-missing");
        return ERR_OK;
    }
    if (rights->any_port_out) attr.net &= ~(uint64_t)NET_CONNECT_TCP;
    if (rights->network & NODE_RIGHTS_LISTEN) attr.net &= ~(uint64_t)NET_BIND_TCP;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    bool ok = rules >= 0;
    for (size_t i = 0; ok && i < box->paths_count; i++) ok = allow_path(rules, attr.fs, &box->paths[i]);
    for (size_t i = 0; ok && attr.net & NET_CONNECT_TCP && i < rights->ports_count; i++)
        ok = syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &(struct port_rule){NET_CONNECT_TCP, rights->ports[i]}, 0) == 0;
    if (ok && attr.net & NET_BIND_TCP && rights->network) /* one that the system chooses, to connect from */
        ok = syscall(SYS_landlock_add_rule, rules, RULE_NET_PORT, &(struct port_rule){NET_BIND_TCP, 0}, 0) == 0;
    ok = ok && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    int why = errno;
    if (rules >= 0) close(rules);
    return ok ? ERR_OK : diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "Landlock refuses: %s", strerror(why));
}

/* ---- the sandboxes ---- */

err node_sandbox_worker(const struct node_sandbox *box, struct diag *d) {
    unsigned who = roles[NODE_ROLE_worker].calls;
    bool for_reading = false;
    for (size_t i = 0; i < box->granted_count; i++) {
        who |= box->paths[i].write ? F | D : F;
        for_reading |= !box->paths[i].write;
    }
    /* An open that only reads may truncate, where Landlock does not know of that. */
    if (who & F && (!for_reading || landlock_version() >= 3)) who |= O;
    if (box->rights->network) who |= N;
    if (box->rights->network & NODE_RIGHTS_LISTEN) who |= L;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);     /* no ptrace by the same user, no core with guests' memory */
    prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0); /* how long a write takes would tell a guest what others' pages hold */
    TRY(lock_in(NODE_ROLE_worker, box, d));
    TRY(drop_capabilities(d));
    return install(who, d);
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

/* As a job, for longer: it has a channel from each who asks, and each text has a time of its own. */
err node_sandbox_translator(uint64_t memory_bytes_max, uint64_t file_bytes_max, uint64_t files_max, struct diag *d) {
    if (!cap(RLIMIT_DATA, memory_bytes_max + shadow_bytes) || !cap(RLIMIT_CORE, 0) || !cap(RLIMIT_FSIZE, file_bytes_max) ||
        !cap(RLIMIT_NOFILE, files_max))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    TRY(lock_in(NODE_ROLE_translator, &(struct node_sandbox){0}, d));
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_translator].calls, d);
}

err node_sandbox_job(uint64_t memory_bytes_max, uint64_t file_bytes_max, uint64_t cpu_s_max, struct diag *d) {
    struct rlimit cpu = {cpu_s_max, cpu_s_max + 1}; /* a signal of its own at the soft limit, SIGKILL at the hard one */
    /* RLIMIT_DATA counts private writable pages, reserved address space not: what an instance reserves is PROT_NONE. Pages of the file that
     * it writes are in memory too, and no other can be had: there is no memfd_create in a job. */
    uint64_t file = MIN(file_bytes_max, memory_bytes_max / 2);
    if (!cap(RLIMIT_DATA, memory_bytes_max - file + shadow_bytes) || setrlimit(RLIMIT_CPU, &cpu) || !cap(RLIMIT_CORE, 0) ||
        !cap(RLIMIT_FSIZE, file) || !cap(RLIMIT_NOFILE, 64))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    TRY(lock_in(NODE_ROLE_job, &(struct node_sandbox){0}, d));
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_job].calls, d);
}

err node_sandbox_keys(struct diag *d) {
    if (!cap(RLIMIT_CORE, 0) || !cap(RLIMIT_FSIZE, NODE_SECRETS_FILE_MAX))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    TRY(lock_in(NODE_ROLE_keys, &(struct node_sandbox){0}, d));
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_keys].calls, d);
}

err node_sandbox_control(const struct node_state *state, struct diag *d) {
    const struct node_sandbox_path paths[] = {{state->records, true}, {state->images, true}, {state->db, true},
                                              {state->blobs, true},   {state->packs, true},  {state->logs, true}};
    if (!cap(RLIMIT_CORE, 0)) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    TRY(lock_in(NODE_ROLE_control,
                &(struct node_sandbox){.paths = paths, .paths_count = state->records >= 0 ? ARRAY_COUNT(paths) : 0}, d));
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_control].calls, d);
}

err node_sandbox_store(int data, struct diag *d) {
    const struct node_sandbox_path path = {data, true};
    if (!cap(RLIMIT_CORE, 0)) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    TRY(lock_in(NODE_ROLE_store, &(struct node_sandbox){.paths = &path, .paths_count = data >= 0}, d));
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_store].calls, d);
}

err node_sandbox_courier(struct diag *d) {
    struct node_sandbox_path paths[NODE_RESOLVER_PATHS_MAX];
    struct node_rights rights = {.network = NODE_RIGHTS_CONNECT, .any_port_out = true};
    size_t n = node_resolver_paths(paths);
    if (!cap(RLIMIT_CORE, 0)) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    err e = lock_in(NODE_ROLE_courier, &(struct node_sandbox){.paths = paths, .paths_count = n, .rights = &rights}, d);
    for (size_t i = 0; i < n; i++) close(paths[i].fd);
    TRY(e);
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_courier].calls, d);
}

err node_sandbox_hash(struct diag *d) {
    if (!cap(RLIMIT_CORE, 0)) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* what it is told is nobody's to read */
    TRY(lock_in(NODE_ROLE_hash, &(struct node_sandbox){0}, d));
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_hash].calls, d);
}

/* Far above all that it counts for itself: what it does not count ends it, and not others of the machine. */
static const uint64_t broker_bytes = 4ull << 30;

/* Where all servers are the node's own it resolves no names, and makes no socket but local ones. */
err node_sandbox_postgres(bool servers, struct diag *d) {
    struct node_sandbox_path paths[NODE_RESOLVER_PATHS_MAX];
    struct node_rights rights = {.network = servers ? NODE_RIGHTS_CONNECT : 0, .any_port_out = servers};
    size_t n = servers ? node_resolver_paths(paths) : 0;
    if (!cap(RLIMIT_CORE, 0) || !cap(RLIMIT_DATA, broker_bytes + shadow_bytes))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "limits cannot be set: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    err e = lock_in(NODE_ROLE_postgres, &(struct node_sandbox){.paths = paths, .paths_count = n, .rights = &rights}, d);
    for (size_t i = 0; i < n; i++) close(paths[i].fd);
    TRY(e);
    TRY(drop_capabilities(d));
    return install(roles[NODE_ROLE_postgres].calls | (servers ? N : 0), d);
}

/* ---- programs that are not ours ---- */

/* Not what it may do, which is long and another one's affair, but what it may not: sockets that lead out of its folder, and what is deadly above. */
/* One program may be begun, the one that is named at that address here; behind it there is nothing there, or what its own code puts there. */
static void let_begin(struct filter *f, const char *program) {
    jump(f, BPF_JEQ, SYS_execve, 0, 6);
    load(f, offsetof(struct seccomp_data, args));
    jump(f, BPF_JEQ, (uint32_t)(uintptr_t)program, 0, 3);
    load(f, offsetof(struct seccomp_data, args) + 4);
    jump(f, BPF_JEQ, (uint32_t)((uint64_t)(uintptr_t)program >> 32), 0, 1);
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, refuse(EPERM));
}

static void build_foreign(struct filter *f, const char *program) {
    load(f, offsetof(struct seccomp_data, arch));
    jump(f, BPF_JEQ, OWN_ARCH, 1, 0);
    answer(f, SECCOMP_RET_KILL_PROCESS);
    load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    jump(f, BPF_JGE, 0x40000000, 0, 1);
    answer(f, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < ARRAY_COUNT(deadly); i++)
        if (deadly[i] != SYS_execve) rule(f, deadly[i], refuse(EPERM));
    let_begin(f, program);
    rule(f, SYS_connect, refuse(EACCES));
    rule(f, SYS_socketpair, refuse(EPERM)); /* PostgreSQL has none; datagrams need no connect to leave */
    rule(f, SYS_io_uring_setup, refuse(ENOSYS));
    jump(f, BPF_JEQ, SYS_socket, 0, 6);
    load(f, offsetof(struct seccomp_data, args));
    jump(f, BPF_JEQ, AF_UNIX, 0, 3);
    load(f, offsetof(struct seccomp_data, args) + 8);
    put(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf));
    jump(f, BPF_JEQ, SOCK_STREAM, 1, 0);
    answer(f, refuse(EAFNOSUPPORT));
    answer(f, SECCOMP_RET_ALLOW);
}

static bool let(int rules, uint64_t fs, int fd, uint64_t rights) {
    struct stat st;
    if (fd < 0) return true; /* what is not there needs no right */
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) rights &= files_of_a_file;
    struct landlock_path_beneath_attr under = {.allowed_access = rights & fs, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &under, 0) == 0;
}

static bool let_path(int rules, uint64_t fs, const char *path, uint64_t rights) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    bool ok = let(rules, fs, fd, rights);
    if (fd >= 0) close(fd);
    return ok;
}

enum { SERVER_BYTES_MAX = 1 << 30 }; /* of its own, a process of it */

bool node_sandbox_server(const int *folders, size_t n, const char *program) {
    static const char *const read[] = {"/usr", "/lib", "/lib64", "/etc", "/proc", "/sys/devices/system"},
                             *const devices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"},
                             *const loaders[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
    static struct filter f;
    size_t size;
    if (!cap(RLIMIT_DATA, SERVER_BYTES_MAX) || !cap(RLIMIT_CORE, 0)) return false; /* what is more is answered 53200 by it */
    struct ruleset attr = handled(&size);
    int rules = attr.fs ? (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0) : -1;
    bool ok = !attr.fs || rules >= 0;
    uint64_t all = attr.fs & ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | FS_IOCTL_DEV);
    for (size_t i = 0; ok && rules >= 0 && i < n; i++) ok = let(rules, attr.fs, folders[i], all);
    for (size_t i = 0; ok && rules >= 0 && i < ARRAY_COUNT(read); i++) ok = let_path(rules, attr.fs, read[i], files_read);
    for (size_t i = 0; ok && rules >= 0 && i < ARRAY_COUNT(devices); i++)
        ok = let_path(rules, attr.fs, devices[i], files_read | LANDLOCK_ACCESS_FS_WRITE_FILE);
    for (size_t i = 0; ok && rules >= 0 && i < ARRAY_COUNT(loaders); i++)
        ok = let_path(rules, attr.fs, loaders[i], files_read | LANDLOCK_ACCESS_FS_EXECUTE);
    ok = ok && (rules < 0 || let_path(rules, attr.fs, program, files_read | LANDLOCK_ACCESS_FS_EXECUTE));
    f.n = 0;
    build_foreign(&f, program);
    struct sock_fprog filter = {.len = f.n, .filter = f.op};
    ok = ok && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    ok = ok && (rules < 0 || syscall(SYS_landlock_restrict_self, rules, 0) == 0);
    if (rules >= 0) close(rules);
    return ok && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

void node_close_fds_except(const int *keep, size_t count) {
    int sorted[512];
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
