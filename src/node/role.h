/* role: how a process of the node's own is started, and what it finds.
 *
 *   0, 1  nothing (/dev/null)    2  its log, or what it says before it dies    3  its wire, a SOCK_SEQPACKET to who started it
 *
 * 1. It is this same program, started by exec: an address layout and canaries of its own, nothing of the starter's memory, no
 *    descriptors but these four, no terminal, and of the environment what its role needs.
 * 2. Whatever else it is to have comes as messages (wire.def).
 * 3. The starter never waits for it: its end of the wire does not block.
 */
#ifndef ORLO_NODE_ROLE_H
#define ORLO_NODE_ROLE_H

#include "node/wire.h"
#include <sys/types.h>

enum { NODE_WIRE_FD = 3 }; /* in the process that was started */

struct node_process {
    enum node_role role;
    pid_t pid;
    int wire; /* owned; -1: closed */
};
/* log: what becomes its standard error. False: errno. */
[[nodiscard]] bool node_role_start(enum node_role role, int log, struct node_process *out);

/* Started as root, each role is a user of its own (roles.def): orlo-ROLE where there is one, else this and the role's number. */
enum { NODE_USERS = 60710 };
struct node_user {
    uid_t uid; /* 0: it stays who the starter is */
    gid_t gid;
};
struct node_user node_role_user(enum node_role role);
/* Whose the PostgreSQL of an app is: a user of its own for each app, where there may be so many. */
enum { NODE_APP_USERS = 2'000'000'000 };
struct node_user node_role_app_user(uint32_t app);
/* Gives up all that root is more than that one. False: errno. uid 0: nothing. */
[[nodiscard]] bool node_role_become(struct node_user user);
/* From now on workers stay root, or not; for folders that only root reaches. */
void node_role_stay_root(bool workers);
/* For a role that becomes its user itself. False: it could not. */
[[nodiscard]] bool node_role_drop(enum node_role role);
/* The role that this process was started in, or NODE_ROLE_command. Names the process. */
enum node_role node_role_of(char **argv);
unsigned node_role_idle_s(enum node_role role); /* roles.def */
bool node_role_is_always(enum node_role role);  /* starts ALWAYS */
/* Of one that has ended and was reaped (pid 0 or less) nothing is signalled. */
void node_process_signal(const struct node_process *p, int signum);
/* Kills it, waits for its end and closes its wire; its exit status as waitpid has it. What was never started has ended, too. */
int node_process_end(struct node_process *p);

#endif
