/* Inside the node room. */
#ifndef ORLO_NODE_INT_H
#define ORLO_NODE_INT_H

#include "abi/abi.h"
#include "abi/image.h"
#include "app/app.h"
#include "base/pool.h"
#include "crypto/crypto.h"
#include "engine/engine.h"
#include "node/node.h"
#include <sys/types.h>

struct plan; /* component/plan.h */
struct net_exchange;
struct node_worker_config;

/* ---- input.c: the file named on the command line ---- */

struct node_input {
    int fd; /* owned; read-only */
    uint64_t bytes;
    bool is_image; /* one of ours, as far as its first bytes tell */
};
[[nodiscard]] err node_input_open(const char *path, struct node_input *out, struct diag *d);

/* ---- foreign.c: what a file is that is neither WebAssembly nor an image ---- */

/* ERR_MALFORMED, and d says what it is and what makes WebAssembly of it; begin: its first bytes, 512 or all there are. */
[[nodiscard]] err node_foreign(const char *path, str begin, struct diag *d);

/* ---- key.c ---- */

enum node_key {
    NODE_KEY_OF_THE_NODE,   /* kept in the state folder: folder 0700, file 0600 */
    NODE_KEY_OF_THIS_START, /* made for one signature, and gone */
};
/* Both ask a process of the role `keys`, which holds the key and ends then; it is never in this one. state_dir NULL: $ORLO_STATE, else
 * $XDG_STATE_HOME/orlo, else ~/.local/state/orlo. ERR_NOT_FOUND (no key), ERR_DENIED (open to others), ERR_MALFORMED, ERR_IO. */
[[nodiscard]] err node_key_public(const char *state_dir, struct abi_key_public *out, struct diag *d);
/* The key is made if there is none. image_fd: written without a key, not sealed yet. */
[[nodiscard]] err node_key_sign(enum node_key which, const char *state_dir, int image_fd, struct abi_key_public *out,
                                struct diag *d);
int node_keys_main(void); /* the life of one */

/* ---- sandbox.c: what a process gives up, for good ---- */

struct node_sandbox_path {
    int fd; /* of a file or directory */
    bool write;
};
struct node_rights; /* rights.h */
struct node_sandbox {
    const struct node_sandbox_path *paths;
    size_t paths_count,
        granted_count;                /* the first granted_count are guests' folders, the rest is what the process reads itself */
    const struct node_rights *rights; /* of the network */
};
/* No exec, no ptrace, no capability, no signal to others; files only below `paths` (Landlock, where the kernel has it); new internet
 * sockets only with NODE_RIGHTS_CONNECT, that accept connections only with NODE_RIGHTS_LISTEN too. */
[[nodiscard]] err node_sandbox_worker(const struct node_sandbox *box, struct diag *d);
/* The few system calls that a computation between two descriptors needs; anything else kills. memory_bytes_max is of its own memory and
 * of the one file it can write, whose part is file_bytes_max, but no more than half. */
[[nodiscard]] err node_sandbox_job(uint64_t memory_bytes_max, uint64_t file_bytes_max, uint64_t cpu_s_max, struct diag *d);
[[nodiscard]] err node_sandbox_translator(uint64_t memory_bytes_max, uint64_t file_bytes_max, uint64_t files_max, struct diag *d);
/* As a job, less: messages over a socket that is there, and the memory files that come with them. */
[[nodiscard]] err node_sandbox_keys(struct diag *d);
/* Files in the folders of the state that are its own (-1: none), memory files, and the sockets that are there. */
struct node_state; /* state.h */
[[nodiscard]] err node_sandbox_control(const struct node_state *state, struct diag *d);
/* Files in this folder (-1: none), memory files, and the sockets that are there. */
[[nodiscard]] err node_sandbox_store(int data, struct diag *d);
/* Connections to others, and what it takes to find them. */
[[nodiscard]] err node_sandbox_courier(struct diag *d);
[[nodiscard]] err node_sandbox_hash(struct diag *d);
/* The same, and local sockets of databases. */
bool node_sandbox_has_landlock(void);
[[nodiscard]] err node_sandbox_postgres(bool servers, struct diag *d); /* servers: it connects to other machines, too */
/* Of a server that is no program of ours, between fork and exec: it writes to these folders alone, runs nothing but itself, and makes no connection.
 * False: errno. */
[[nodiscard]] bool node_sandbox_server(const int *folders, size_t n, const char *program);
/* Where those of that version of PostgreSQL are (supervisor/cluster.c). False: it is not installed. */
[[nodiscard]] bool node_postgres_programs(unsigned version, char bin[static 256]);
enum { NODE_RESOLVER_PATHS_MAX = 32 };
/* Opens what name resolution and TLS read; how many. guest.c */
size_t node_resolver_paths(struct node_sandbox_path to[static NODE_RESOLVER_PATHS_MAX]);
/* Every descriptor above stderr but those kept is closed. */
void node_close_fds_except(const int *keep, size_t count);

/* ---- job.c: a function in a sandboxed process of its own ---- */

struct node_message;    /* wire.h */
struct node_job_result; /* jobs.h: the function fills in what it has to say besides the err it returns */
typedef err (*node_job_fn)(const struct node_message *what, int in, int out, struct node_job_result *result);
err node_compile_job(const struct node_message *what, int in, int out, struct node_job_result *result);
err node_look_job(const struct node_message *what, int in, int out, struct node_job_result *result);
err node_inspect_job(const struct node_message *what, int in, int out, struct node_job_result *result);
err node_manifest_job(const struct node_message *what, int in, int out, struct node_job_result *result);
err node_migrate_job(const struct node_message *what, int in, int out, struct node_job_result *result);
err node_chain_job(const struct node_message *what, int in, int out, struct node_job_result *result); /* chain.c */
/* The life of a job. trials: what a message `trial` names (tests); ends with a NULL name. */
struct node_trial {
    const char *name;
    node_job_fn fn;
};
int node_job_main(const struct node_trial *trials);
/* Has what the message says done in a process that has `in` (read-only), `out` and nothing else; waits, with a progress line on a
 * terminal. One that dies of a limit or a bug is reported in d like any failure. title: "compiling app.wasm". */
[[nodiscard]] err node_job(const struct node_message *what, int in, int out, const struct node_limits *limits, const char *title,
                           struct diag *d);

/* ---- manifest.c ---- */

/* What fd holds, read by a job. ERR_OK though it may have errors: m->errors. */
[[nodiscard]] err node_manifest_read(arena *out, int fd, int format, str name, struct manifest *m, struct diag *d);

/* ---- compile.c ---- */

/* Whether it can be compiled, and all that it imports is offered; *kind: what it is. */
struct node_input;
[[nodiscard]] err node_compile_try(const struct node_input *in, const char *name, const struct node_limits *limits,
                                   uint32_t *kind, struct diag *d);

/* A sealed memfd with a signed image, and the key that must have signed it: whoever maps it checks. */
struct node_pack;
struct node_image {
    int fd;                 /* owned; -1: none */
    struct node_pack *pack; /* NULL: it is an image; else that alone, owned */
    str secrets;            /* of its app, as worker/secrets.c has them; heap, owned */
    struct abi_key_public key;
    struct abi_image opened; /* checked and mapped already (node_image_open); base NULL: by whoever loads it */
};
/* Checks and maps it ahead of its use, on whatever thread: of many megabytes that takes longer than a loop may stand still. */
[[nodiscard]] err node_image_open(struct node_image *image, struct diag *d);
/* What was opened ahead, once; else opened now. The caller's. ERR_SIGNATURE, ERR_UNSUPPORTED, ERR_IO. */
[[nodiscard]] err node_image_take(struct node_image *image, struct abi_image *out, struct diag *d);
void node_image_close(struct node_image *image);
/* The image for `in`: compiled in a job and signed here with a key that lives no longer than this call, or, for an image, copied
 * and checked against the node's key. */
[[nodiscard]] err node_image_for(const struct node_input *in, const char *name, const char *state_dir,
                                 const struct node_limits *limits, struct node_image *image, struct diag *d);
/* What is to be known about an image that this node's key signed. ERR_SIGNATURE, ERR_UNSUPPORTED (as WebAssembly text), as node_image_for. */
[[nodiscard]] err node_inspect_image(const struct node_input *in, const char *name, const char *state_dir,
                                     enum node_inspect_format format, struct buf *b, struct diag *d);

/* ---- grants.c ---- */

/* Every granted folder is there and may be opened. */
[[nodiscard]] err node_grants_check(const struct app_grants *g, struct diag *d);

/* ---- lines.c: what a guest prints, a log event a line ---- */

/* What the guests of a process may have logged, all together, in a second; each app has a part of it (base/pool.h). */
enum { NODE_LOG_BYTES_MAX = 8 << 20 };
struct node_log_pool {
    struct pool pool;
    uint64_t second, turn; /* that it is counted in; how many there were */
};
struct node_log_part {
    struct node_log_pool *of;
    struct pool_part part;
    uint64_t turn;     /* of the pool, in which it was taken */
    uint64_t *dropped; /* where lines that are too many are counted; NULL: nowhere */
};
void node_log_part_open(struct node_log_part *p, struct node_log_pool *of,
                        uint64_t bytes_max); /* of its own, in a second; 0: no cap */
void node_log_part_close(struct node_log_part *p);
struct node_lines {
    const char *stream; /* "stdout", "stderr" */
    const char *request_id, *app;
    str function;               /* empty: it is not known */
    struct node_log_part *part; /* its app's; NULL: not counted */
    uint32_t logged, bytes;     /* lines and bytes that became events */
    uint32_t bytes_max;
    uint64_t dropped;
    uint64_t since_ns; /* of no request: when its minute began */
    uint32_t n, last_n;
    bool spent;      /* the request's share of the log */
    char text[1024]; /* an unfinished line */
    char last[1024]; /* the last lines, for the event of a failure: whole, but that long ones are cut */
};
void node_lines_begin(struct node_lines *lines); /* of another request */
void node_lines_put(void *lines, str bytes);     /* an app_out.write */
void node_lines_end(struct node_lines *lines);

/* ---- offer.c ---- */

const struct host_offer *node_offer(void); /* all that guests are offered; lives as long as the process */

/* ---- trap.c ---- */

/* Appends a Rust or C++ function's name as its source has it. False, and nothing appended: it is no such name, or too much of one. */
bool node_demangle(str name, struct buf *out);

/* "panic (app+0x1a2b)\nhandle (app+0x22)", innermost first; names as their source has them, without control characters. */
void node_backtrace_lines(const struct engine_trap_record *r, struct buf *out);

/* ---- pulse.c: what a worker publishes of itself ---- */

enum { NODE_ID_BYTES = 16, NODE_PULSE_REQUESTS = 64, NODE_DOING_BYTES = 192, NODE_APPS_SEEN = 8 };
#define NODE_NO_APP UINT32_MAX
struct node_pulse {
    uint64_t beats;  /* net_loop_beat: odd while the loop does something */
    uint32_t served; /* a connection has come */
    uint32_t next;
    uint32_t told;                   /* running and doing are whole: it was asked, or it died. Atomic, written last */
    char running[NODE_ID_BYTES + 1]; /* the request whose guest ran */
    char doing[NODE_DOING_BYTES];    /* "wasi:io/streams@0.2.0 [method]output-stream.write", "guest code" */
    struct {
        uint32_t used, app;
        char id[NODE_ID_BYTES];
    } requests[NODE_PULSE_REQUESTS]; /* in progress; more are not named */
};
extern struct node_pulse *node_pulse; /* this process's own; never NULL */
[[nodiscard]] err node_pulse_map(int fd, struct diag *d);
void node_pulse_signals(void); /* SIGUSR1 and what ends a process: says what it is doing. Before the engine is made */
uint32_t node_pulse_begin(uint32_t app, const char id[NODE_ID_BYTES]); /* for node_pulse_end */
void node_pulse_end(uint32_t at);
/* The supervisor's side: a descriptor to hand on, or -1. */
int node_pulse_new(struct node_pulse **out);
void node_pulse_free(struct node_pulse *p);
/* What it tells of a worker that died or hangs. ids: "A B C", the one that ran first. */
struct node_death;
void node_pulse_read(const struct node_pulse *p, struct node_death *death, struct buf *ids, char doing[NODE_DOING_BYTES]);

/* ---- watch.c: does its loop turn ---- */

enum { NODE_STUCK_MS = 5000, NODE_BEHIND_MS = 10'000, NODE_WATCH_SAMPLE_MS = 1000 };
struct node_vitals {
    uint64_t beats, cpu_ns, now_ns;
    char state; /* of the main thread, as proc(5) names it: R S D T …; '?': not known */
};
struct node_watch {
    uint64_t sampled_ns, stuck_ns;
    struct node_vitals last;
    bool asked;
};
enum node_watch_verdict { NODE_WATCH_WELL, NODE_WATCH_ASK /* what it is doing: once, halfway */, NODE_WATCH_STUCK };
enum node_watch_verdict node_watch_sample(struct node_watch *w, const struct node_vitals *v);
bool node_vitals_read(pid_t pid, struct node_vitals *v); /* all but beats; false: it cannot be seen */

/* ---- causes.c: why workers died ---- */

struct node_death {
    bool served;                               /* it had begun to serve */
    uint32_t running;                          /* the app whose guest ran; NODE_NO_APP: not known */
    uint32_t apps[NODE_APPS_SEEN], apps_count; /* with requests in progress */
};
struct node_causes {
    struct node_cause {
        uint32_t app, deaths; /* of them each within a minute of the one before */
        uint64_t at_ns;
    } of[64];
};
struct node_fate {
    uint64_t pause_ns; /* before the successor starts; 0: at once */
    uint32_t isolate;  /* the app that is to have a worker of its own from now on, or NODE_NO_APP */
};
/* pause_ns: the pause that the one that died had been given. */
struct node_fate node_causes_death(struct node_causes *c, const struct node_death *death, uint64_t pause_ns, uint64_t now_ns);

/* ---- relay.c: the log of all processes ---- */

enum { NODE_LOG_MARK = 1 }; /* a datagram's first byte, before lines of log.c */
struct node_relay {
    int fd;
    enum { NODE_RELAY_ASKS, NODE_RELAY_WRITES, NODE_RELAY_SOCKET } kind; /* how to write without waiting */
    struct buf lines;
    size_t from;   /* what is before it has been written */
    uint64_t lost; /* lines */
    int lock_fd; /* while another process writes there, too (an upgrade): a file of which who writes has locked a byte; 0: none does */
    bool locked, torn, busy; /* torn: a line of ours is half out; busy: the other one writes */
};
void node_relay_share(struct node_relay *r, int lock_fd); /* taken; -1: no more */
void node_relay_open(struct node_relay *r);               /* this process's own lines go through it, too */
void node_relay_close(struct node_relay *r);              /* waits a second at most for what is left */
void node_relay_put(struct node_relay *r, str lines);
bool node_relay_has_room(const struct node_relay *r); /* for what workers have sent: else it is left with them */
/* Some of what one of so many workers (another role: worker NULL) has sent. False: nothing more will come. */
bool node_relay_take(struct node_relay *r, int fd, const char *role, const uint32_t *worker, uint32_t workers);
void node_relay_flush(struct node_relay *r);
bool node_relay_wants(const struct node_relay *r); /* to write to r->fd */
bool node_log_send(void *arg, str lines);          /* a worker's log_send_fn: its standard error is a socket to the relay */

/* ---- worker.c ---- */

enum { NODE_TRUSTED_MAX = 64 }; /* networks of proxies */
enum { NODE_LISTEN_MAX = 16 /* addresses */, NODE_EARS_MAX = 64 /* sockets of a worker that listen at them */ };
struct node_ear {
    int fd;        /* that listens; -1: what comes there comes by way of others' hands (inbox.c) */
    uint16_t port; /* where that is */
    bool proxied, tls;
};
struct node_worker_config {
    const struct node_limits *limits; /* defaults filled in */
    VEC(struct node_ear) ears;
    VEC(struct net_prefix) trusted;
    str shown;            /* the first address: "http://127.0.0.1:8080" */
    bool access_log, dev; /* dev: pages say all to whoever asks */
    bool traces;          /* spans are sent, of so many requests of a million */
    uint32_t sample_ppm;
    bool logs_alone; /* lines of apps are in their own logs alone */
    uint32_t index, workers;
    uint32_t cordon; /* whose apps it serves (snapshot.h); 0: all that are in none */
    bool follows;    /* it is the one of its cordon that tells functions of changes (worker/follow.h) */
};
/* Each the life of a process of its role, which began by exec; returns its exit status. */
int node_worker_main(void);
int node_control_main(void);
int node_store_main(void);
enum { NODE_PASSWORD_BYTES_MAX = 1024 }; /* as hash_ask has it */
int node_courier_main(void);
int node_hash_main(void);
int node_postgres_main(void); /* postgres/broker.c */
int node_translator_main(void);

/* ---- imports.c ---- */

/* Whether everything a plan imports is offered here, with the types it is imported with. ERR_LINK: d names what is not, the nearest that is,
 * and what to do. One check for all who read a file: serve, run, compile and inspect. */
[[nodiscard]] err node_imports_check(const struct plan *plan, struct diag *d);
uint32_t node_kind_of_plan(const struct plan *plan); /* wasi_kind, of a plan that was made of a file */

/* ---- machine.c ---- */

str node_build_id(void);            /* of this very program: another build has another */
uint64_t node_machine_memory(void); /* bytes there are for this process: the machine's, or its control group's */

/* ---- kinds, limits ---- */
const char *node_kind_text(uint32_t wasi_kind);
bool node_kind_is_service(uint32_t wasi_kind); /* of WASI 0.3: instances may be shared, requests passed on */
void node_limits_fill(struct node_limits *limits);
/* As bytes, in a message. Reading takes only values within their ranges: else rd_fail. */
void node_settings_write(struct buf *to, const struct node_limits *limits);
void node_settings_read(struct rd *from, struct node_limits *limits);

#endif
