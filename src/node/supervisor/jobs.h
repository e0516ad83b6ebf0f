/* jobs: work on bytes that nobody vouched for, each done by a process of the role `job` (job.c), several at once, while the starter goes on.
 *
 *   WAITING ──there is room──> RUNNING ──reports, dies, is cancelled, is too late──> ENDING ──reaped──> done()
 *
 * 1. Nobody waits in here. The owner polls, calls node_jobs_turn, and hands on what it reaps.
 * 2. At most running_max run at once, and what they may use together is at most memory_bytes_max, but that one alone may always run. The
 *    rest wait in the order in which they came, and of those there are at most NODE_JOBS_WAITING_MAX.
 * 3. done() is called when the process is gone: nobody writes to `out` any more. After a cancellation it is not called.
 */
#ifndef ORLO_NODE_JOBS_H
#define ORLO_NODE_JOBS_H

#include "node/role.h"
#include <poll.h>

enum { NODE_JOBS_WAITING_MAX = 64, NODE_JOBS_RUNNING_MAX = 8 };

struct node_job_result {
    err err;
    struct diag diag;
    uint32_t kind; /* wasi_kind of what was compiled */
};
struct node_job_config {
    const struct node_message *what; /* copied */
    int in, out;                     /* borrowed until done or cancelled: in read-only */
    uint64_t memory_bytes_max;       /* of its own memory and of what it writes */
    uint64_t file_bytes_max;         /* what it writes; 0: no limit of its own */
    uint64_t cpu_s_max;
    uint64_t wall_s_max; /* for one that waits instead of computing; 0: four times cpu_s_max, and 30 */
    const char *title;   /* "compiling app.wasm"; copied */
    void (*done)(void *arg, const struct node_job_result *result);
    void *arg;
};
struct node_job;
struct node_jobs {
    struct node_job *first; /* in the order in which they came */
    uint32_t running_max;
    uint64_t memory_bytes_max;                /* 0: running_max alone bounds it */
    uint32_t running, waiting;                /* ENDING ones are running */
    void (*said)(const char *text, size_t n); /* what one wrote before it died, without control characters */
};
/* What reading a manifest may use. */
void node_manifest_limits(struct node_job_config *config);
/* What reading migrations may use. */
void node_migrate_limits(struct node_job_config *config);
/* What reading a chain of certificates may use. */
void node_chain_limits(struct node_job_config *config);
/* NULL: too many are waiting. */
[[nodiscard]] struct node_job *node_jobs_add(struct node_jobs *jobs, const struct node_job_config *config);
void node_jobs_cancel(struct node_jobs *jobs, struct node_job *job);
/* Starts what there is room for, and hears what is there to be heard. */
void node_jobs_turn(struct node_jobs *jobs);
size_t node_jobs_poll(const struct node_jobs *jobs, struct pollfd fds[static NODE_JOBS_RUNNING_MAX]); /* how many it filled in */
uint64_t
node_jobs_due_ns(const struct node_jobs *jobs); /* when to call turn at the latest; UINT64_MAX: when a descriptor is ready */
/* True: it was a job's. */
bool node_jobs_reap(struct node_jobs *jobs, pid_t pid, int status);
/* For an owner that has nothing else to do. Reaps jobs alone. */
void node_jobs_wait(struct node_jobs *jobs, int ms_max);
/* "compiling app.wasm … 3 s" on a terminal once the oldest job has run for a second; wiped when there is none. */
void node_jobs_show(struct node_jobs *jobs);
void node_jobs_end(struct node_jobs *jobs); /* cancels all, and sees them gone */

#endif
