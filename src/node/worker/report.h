/* report: all that is known of a request that failed or was refused, for the page of a node that is developed on (`orlo dev`). Elsewhere nobody
 * makes one: it tells of a guest's insides. */
#ifndef ORLO_NODE_REPORT_H
#define ORLO_NODE_REPORT_H

#include "base/base.h"

struct net_request;
struct node_dev_lack {
    const char *what; /* "a request to a host" */
    str value;        /* "api.example.org:443" */
    str line;         /* what to add to its function in orlo.toml: allow_http = ["api.example.org:443"] */
};
struct node_dev_report {
    uint16_t status;
    const char *reason;   /* "Internal Server Error" */
    const char *sentence; /* what everybody is told */
    str limit, advice;    /* "timeout_ms=30000", and what raises it; empty: none was met */
    const char *why;      /* "the guest trapped"; empty: no guest ran */
    str detail;           /* the trap, or what the guest said of it */
    str backtrace;        /* a frame a line, the innermost first */
    str out, err;         /* the last lines that it printed */
    bool exited;
    int exit_status;
    str app, function, id; /* id: of the request */
    uint32_t version;
    uint64_t ms, cpu_us;
    const struct net_request *request;
    str path; /* as it was asked for */
    struct node_dev_lack lacks[8];
    uint32_t lacks_count;
};
/* As HTML: node/dev/page.c. */
void node_dev_page(struct buf *to, const struct node_dev_report *r);
/* What /rest/v1 has, and how it is asked: a page that asks it for its document and puts in what that says as text. nonce: a word of this answer's
 * policy of contents. */
void node_dev_rest_page(struct buf *to, str nonce);
/* As lines of text, for a terminal. */
void node_dev_report_text(const struct node_dev_report *r, struct buf *to);

#endif
