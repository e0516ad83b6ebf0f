/* note: what host code is told, and the one place from which it is told (host.h, 7).
 *
 *   a host_* call, a guest's built-in, a trap ──host_note──> in->notes ──host_tell──> waker, done, on_end, on_idle, on_death, cancel, gone
 *
 * host_tell is called where nothing of the host's is on the stack that the one who is told could take away: in the engine's turn, at the
 * end of a guest's call, in one of its built-ins that had better know the answer at once (it holds its own end or subtask, which only
 * its guest can drop), and when the instance is released, which its owner does last of all.
 *
 * 1. Notes are told one after the other, never one inside of another: a chain of them, however long, takes no stack.
 * 2. Who is told runs no code of the guest's, does not park, and releases no instance: so a teller is back before anything else runs. What he reads
 *    of a guest is copied and looked at in one go, on whatever stack: others' turn comes when he is back.
 * 3. Many at once are told in slices; others have their turn between.
 */
#include "host/host_int.h"

enum { SLICE = 32 };

/* One for all instances: a worker has one thread that runs guests. */
static bool telling;

bool host_is_telling(void) { return telling; }

void host_note(struct host_instance *in, struct host_note *n, void (*fn)(struct host_note *n)) {
    if (n->node.next) return;
    n->fn = fn;
    host_list_push(&in->notes, &n->node);
    if (in->engine) engine_post(engine_instance_share(in->engine), &in->post);
}

void host_note_cancel(struct host_note *n) { host_list_remove(&n->node); }

/* At most so many. */
static void tell(struct host_instance *in, uint64_t most) {
    ENSURE(!telling);
    telling = true;
    for (; most && !host_list_empty(&in->notes); most--) {
        struct host_note *n = container_of(in->notes.next, struct host_note, node);
        host_list_remove(&n->node);
        n->fn(n);
    }
    telling = false;
}

void host_tell(struct host_instance *in) {
    if (LIKELY(host_list_empty(&in->notes))) return;
    tell(in, SLICE);
    if (!host_list_empty(&in->notes)) engine_post(engine_instance_share(in->engine), &in->post);
    else host_schedule(in);
}

void host_tell_all(struct host_instance *in) {
    tell(in, UINT64_MAX);
    engine_post_cancel(&in->post);
}

void host_notes_post(void *in) { host_tell(in); }
