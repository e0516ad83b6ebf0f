/* job: a function that reads untrusted bytes, run in a process that has two descriptors and nothing else.
 *
 *   starter ── order, then what is to be done ──> job: limits, Landlock, seccomp; fn(what, in, out)
 *           <─ report ──                          err and diagnostic
 *
 * jobs.c starts them, and says how they ended.
 */
#include "node/node_int.h"
#include "node/supervisor/jobs.h"
#include <unistd.h>

/* ---- in the job ---- */

static node_job_fn find(const struct node_message *m, const struct node_trial *trials) {
    switch (m->type) {
    case NODE_MSG_compile: return node_compile_job;
    case NODE_MSG_look: return node_look_job;
    case NODE_MSG_inspect: return node_inspect_job;
    case NODE_MSG_manifest: return node_manifest_job;
    case NODE_MSG_migrate: return node_migrate_job;
    case NODE_MSG_chain: return node_chain_job;
    case NODE_MSG_trial:
        for (; trials && trials->name; trials++)
            if (str_eqc(m->trial.name, trials->name)) return trials->fn;
        return NULL;
    default: return NULL;
    }
}

static err do_job(const struct node_trial *trials, struct node_job_result *result) {
    struct diag *d = &result->diag;
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_job, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_order)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
    struct node_msg_order order = m.order;
    int in = node_message_take(&m, 0), out = node_message_take(&m, 1);
    node_job_fn fn =
        node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_job, &m) == NODE_WIRE_GOT ? find(&m, trials) : NULL;
    ENSURE(fn);
    TRY(node_sandbox_job(order.memory_bytes_max, order.file_bytes_max, order.cpu_s_max, d));
    return fn(&m, in, out, result);
}

int node_job_main(const struct node_trial *trials) {
    struct node_job_result r = {.diag = DIAG_INIT};
    r.err = do_job(trials, &r);
    struct node_message report =
        NODE_MESSAGE(report, .err = r.err, .offset = r.diag.offset, .text = str_c(r.diag.text), .kind = r.kind);
    struct buf b = {0};
    bool ok = node_wire_encode(&report, &b);
    return !ok || write(NODE_WIRE_FD, b.p, b.n) != (ssize_t)b.n; /* a message as any: sendmsg is not among a job's calls */
}

/* ---- for who has one thing done, and waits ---- */

static void on_done(void *arg, const struct node_job_result *result) { *(struct node_job_result *)arg = *result; }

err node_job(const struct node_message *what, int in, int out, const struct node_limits *limits, const char *title,
             struct diag *d) {
    struct node_jobs jobs = {.running_max = 1};
    struct node_job_result result;
    struct node_job_config config = {.what = what,
                                     .in = in,
                                     .out = out,
                                     .memory_bytes_max = limits->compile_memory_bytes_max,
                                     .file_bytes_max = limits->image_bytes_max,
                                     .cpu_s_max = (limits->compile_ms_max + 999) / 1000, /* the system counts whole ones */
                                     .title = title,
                                     .done = on_done,
                                     .arg = &result};
    ENSURE(node_jobs_add(&jobs, &config));
    for (node_jobs_turn(&jobs); jobs.first; node_jobs_show(&jobs)) node_jobs_wait(&jobs, 200);
    return node_diag_of(d, result.err, result.diag.offset, str_c(result.diag.text));
}
