/* node: processes around guests. The supervisor, its workers, the sandboxed jobs, what is granted, and what is logged.
 *
 *   cli ── node_serve ── supervisor ─┬─ job      untrusted wasm in, image out; no files, no network, bounded
 *                                    ├─ key      signs one digest, and ends
 *                                    ├─ worker 0 its own listening sockets, an event loop, instances, guests
 *                                    └─ worker N
 *   cli ── node_run ──── job, then this process becomes the one worker of a command
 *
 * 1. Untrusted wasm is parsed in a job and nowhere else. A worker maps images that this node, or a key it trusts, signed.
 * 2. The supervisor opens every listening socket, one per worker and address, and keeps them: a worker that dies loses the
 *    requests it had taken, not those that wait in its queue.
 * 3. Nothing is granted by default; a process that runs guests can exec nothing and reach no file that was not granted.
 */
#ifndef ORLO_NODE_H
#define ORLO_NODE_H

#include "base/base.h"

/* ---- what a guest may use ---- */

struct node_env {
    str key, value;
};
struct node_dir {
    str host, guest;
    bool read_only;
};
struct wasi_net_rule; /* wasi/wasi.h */
struct node_grants {
    VEC(struct node_env) env;
    VEC(struct node_dir) dirs;
    VEC(struct wasi_net_rule) allow_http, net;
    str forward_scheme, forward_authority; /* the server behind a middleware; empty: none */
};
/* "K=V"; "K" takes the value from this process's environment (ERR_NOT_FOUND when it has none). */
[[nodiscard]] err node_grant_env(arena *out, struct node_grants *g, str arg, struct diag *d);
/* "HOST::GUEST", "HOST" (the guest sees the same path: absolute, or "."), either with ":ro" at the end. */
[[nodiscard]] err node_grant_dir(arena *out, struct node_grants *g, str arg, struct diag *d);
/* "HOST", "HOST:PORT"; HOST a name, *.NAME, address, ADDRESS/BITS or *. */
[[nodiscard]] err node_grant_http(arena *out, struct node_grants *g, str arg, struct diag *d);
/* "tcp:HOST:PORT" and the like: grants_net.c has the forms. */
[[nodiscard]] err node_grant_net(arena *out, struct node_grants *g, str arg, struct diag *d);
/* "http://HOST[:PORT]" or https: where what a middleware passes on goes. */
[[nodiscard]] err node_grant_forward(arena *out, struct node_grants *g, str arg, struct diag *d);

/* "--FLAG 'ARG': WHY; write --FLAG BETTER": ERR_USAGE. */
err node_flag_refuse(struct diag *d, const char *flag, str arg, const char *why, str better);
/* The port that too large a number was meant to be: its first digits. */
str node_port_meant(str digits);

struct node_limits {                /* 0 takes the default that flags.def names */
    uint64_t memory_bytes_max;      /* memories, tables and heap of one instance */
    uint64_t app_memory_bytes_max;  /* of all that an app makes a worker hold */
    uint64_t node_memory_bytes_max; /* of all apps in all workers: each has an equal part */
    uint64_t image_bytes_max;
    uint64_t body_bytes_max; /* a request's body */
    uint64_t handler_ms_max; /* from the request's head to the end of its response */
    uint64_t header_ms_max, body_idle_ms_max, idle_ms_max;
    uint64_t instances_max;   /* alive at once in a worker */
    uint64_t connections_max; /* open at once in a worker */
    uint64_t
        instance_requests; /* of a WASI 0.3 service: served by one instance at a time; 0: it serves one request and is reset */
    uint64_t instance_reuse_max;  /* then it is replaced */
    uint64_t instance_idle_ms;    /* without a request, then it is given back */
    uint64_t instance_growth_max; /* bytes of memory that it may have grown by and still take a request */
    uint64_t compile_memory_bytes_max;
    uint64_t compile_s_max;
};

/* ---- serve ---- */

struct node_listen {
    str host; /* name or address; empty: every address */
    uint16_t port;
};
/* "HOST:PORT", ":PORT", "PORT", "[::1]:PORT", "HOST" (port 8080). */
[[nodiscard]] err node_listen_parse(arena *out, str arg, struct node_listen *to, struct diag *d);

struct node_serve_config {
    const char *file; /* .wasm or image */
    const struct node_listen *listen;
    size_t listen_count; /* 0: 127.0.0.1:8080 */
    uint32_t workers;    /* 0: one per core this process may use */
    struct node_grants grants;
    struct node_limits limits;
    uint64_t drain_ms_max; /* after SIGTERM, until what still runs is cut off */
    bool no_access_log;
    const char *state_dir; /* where the node's key is; NULL: the default. Read only for an image */
};
/* Runs until SIGTERM or SIGINT. ERR_OK after a drain. Otherwise d says what is wrong:
 * ERR_NOT_FOUND, ERR_IO (the file), ERR_MALFORMED, ERR_INVALID, ERR_UNSUPPORTED, ERR_LINK, ERR_SIGNATURE (its content),
 * ERR_BUSY (a port), ERR_DENIED (a folder, a privileged port), ERR_LIMIT, ERR_USAGE. */
[[nodiscard]] err node_serve(const struct node_serve_config *config, struct diag *d);

/* ---- run ---- */

struct node_run_config {
    const char *file;
    const char *const *args; /* the guest's, after its own name */
    size_t args_count;
    struct node_grants grants;
    struct node_limits limits;
    const char *state_dir;
};
/* Runs a command with this process's standard streams; *status is the guest's exit status. A guest's trap is printed to
 * stderr with its backtrace and gives ERR_TRAP. */
[[nodiscard]] err node_run(const struct node_run_config *config, int *status, struct diag *d);

/* The first thing in main: processes of the node's own are this same program. One that reads an untrusted file does not return from
 * here; one that is to be a worker reads the command line again, and becomes it in node_serve. argv stays. */
void node_be(char **argv);

/* ---- compile, inspect ---- */

struct node_compile_config {
    const char *file, *output;
    struct node_limits limits;
    const char *state_dir;
    const char *target; /* "x86-64", "aarch64"; NULL: this machine */
};
struct node_compiled {
    uint64_t wasm_bytes, image_bytes, ns;
};
/* Writes an image signed by the node's key, which is made at the first use. The output appears whole or not at all.
 * ERR_IO: the output cannot be written; otherwise as node_serve. */
[[nodiscard]] err node_compile(const struct node_compile_config *config, struct node_compiled *out, struct diag *d);

enum node_inspect_format { NODE_INSPECT_TEXT, NODE_INSPECT_JSON, NODE_INSPECT_WAT };
struct node_inspect_config {
    const char *file;
    enum node_inspect_format format; /* of an image only TEXT and JSON */
    int fd;
    struct node_limits limits;
    const char *state_dir; /* whose key an image has to be signed by */
};
/* Writes what is to be known about the file to fd: a component, a core module, an image. */
[[nodiscard]] err node_inspect(const struct node_inspect_config *config, struct diag *d);

#endif
