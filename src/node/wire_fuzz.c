/* wire_fuzz: any bytes as a message, from anybody to anybody; the first three bytes of the input say from whom, to whom, and with how many
 * descriptors.
 *
 * What must hold: what is taken encodes to the same bytes, and is taken by nobody else. The canary breaks the first. */
#include "base/fuzz.h"
#include "node/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    enum node_role from = data[0] % NODE_ROLES, to = data[1] % NODE_ROLES;
    int fds = data[2] % (NODE_WIRE_FDS_MAX + 1);
    str bytes = {data + 3, size - 3};
    struct node_message m = {.fds_count = fds}, other = {.fds_count = fds};
    if (!node_wire_decode(bytes, from, to, &m)) return 0;
    struct buf again = {0};
    ENSURE(node_wire_encode(&m, &again));
    if (canary) again.n--;
    ENSURE(str_eq(buf_str(&again), bytes));
    buf_free(&again);
    ENSURE(from == to || !node_wire_decode(bytes, to, from, &other));
    return 0;
}
