/* wire: encoder and decoder of each message, made of the rows of wire.def; and packets with descriptors. */
#include "node/wire.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the table ---- */

#define MSG(name, ...) enum { BYTES_OF_##name = 1
#define FLAG(f) +1
#define U8(f) +1
#define U32(f) +4
#define U64(f) +8
#define CHOICE(f, n) +1
#define CODE(f) +4
#define FIXED(f, n) +(n)
#define BYTES(f, max) +4 + (max)
#define NAME(f, max) +4 + (max)
#define TEXT(f, max) +4 + (max)
#define END(name)                                                                                                                \
    }                                                                                                                            \
    ;
#include "node/wire.def"

enum { PACKET_MAX = 64 * KiB };
#define MSG(name, from, to, fds_min, fds_max)                                                                                    \
    static_assert((size_t)BYTES_OF_##name <= (size_t)PACKET_MAX, "a packet holds it");                                           \
    static_assert((fds_max) <= NODE_WIRE_FDS_MAX, "and its descriptors");
#include "node/wire.def"

static const struct {
    const char *name;
    enum node_role from, to;
    int fds_min, fds_max;
    size_t bytes_max;
} rows[] = {
#define MSG(name, from, to, fds_min, fds_max) {#name, NODE_ROLE_##from, NODE_ROLE_##to, fds_min, fds_max, BYTES_OF_##name},
#include "node/wire.def"
};

const char *node_message_text(enum node_message_type type) { return type < NODE_MSG_COUNT ? rows[type].name : "?"; }

const char *node_role_text(enum node_role role) {
    static const char *const names[] = {
#define X(name, ...) #name,
#include "node/roles.def"
#undef X
    };
    return names[role];
}

/* ---- encoding ---- */

static void put_u32(struct buf *b, uint32_t v) { buf_put(b, &v, sizeof v); } /* both machines are little-endian */
static void put_u64(struct buf *b, uint64_t v) { buf_put(b, &v, sizeof v); }

static bool put_str(struct buf *b, str s, size_t max) {
    put_u32(b, (uint32_t)s.n);
    return buf_put(b, s.p, s.n) && s.n <= max;
}

static bool put_name(struct buf *b, str s, size_t max) { return put_str(b, s, max) && (!s.n || !memchr(s.p, 0, s.n)); }

static bool put_text(struct buf *b, str s, size_t max) {
    s.n = MIN(s.n, max);
    bool ok = put_str(b, s, max);
    if (ok && s.n) text_tame((char *)b->p + b->n - s.n, s.n);
    return ok;
}

#define MSG(name, ...)                                                                                                           \
    static bool put_##name(struct buf *b, const struct node_msg_##name *m) {                                                     \
        bool ok = true;
#define FLAG(f) buf_putc(b, m->f);
#define U8(f) buf_putc(b, m->f);
#define U32(f) put_u32(b, m->f);
#define U64(f) put_u64(b, m->f);
#define CHOICE(f, n)                                                                                                             \
    buf_putc(b, m->f);                                                                                                           \
    ok = ok && m->f < (n);
#define CODE(f) put_u32(b, m->f);
#define FIXED(f, n) buf_put(b, m->f, n);
#define BYTES(f, max) ok = put_str(b, m->f, max) && ok;
#define NAME(f, max) ok = put_name(b, m->f, max) && ok;
#define TEXT(f, max) ok = put_text(b, m->f, max) && ok;
#define END(name)                                                                                                                \
    return ok;                                                                                                                   \
    }
#include "node/wire.def"

bool node_wire_encode(const struct node_message *m, struct buf *out) {
    buf_putc(out, (uint8_t)m->type);
#define MSG(name, ...)                                                                                                           \
    if (m->type == NODE_MSG_##name) return put_##name(out, &m->name);
#include "node/wire.def"
    return false;
}

/* ---- decoding ---- */

static uint8_t get_below(struct rd *r, unsigned n) {
    uint8_t v = rd_u8(r);
    if (v >= n) rd_fail(r, "out of range");
    return v;
}

static err get_code(struct rd *r) {
    uint32_t v = rd_u32le(r);
    if (v >= ERR_COUNT) rd_fail(r, "out of range");
    return (err)v;
}

static str get_str(struct rd *r, size_t max) {
    uint32_t n = rd_u32le(r);
    if (n > max) rd_fail(r, "too long");
    return rd_bytes(r, r->fail ? 0 : n);
}

static str get_name(struct rd *r, size_t max) {
    str s = get_str(r, max);
    if (s.n && memchr(s.p, 0, s.n)) rd_fail(r, "a NUL");
    return s;
}

static str get_text(struct rd *r, size_t max) {
    char tame[NODE_TEXT_MAX];
    str s = get_str(r, MIN(max, sizeof tame));
    if (s.n) memcpy(tame, s.p, s.n);
    text_tame(tame, s.n);
    if (s.n && memcmp(tame, s.p, s.n) != 0) rd_fail(r, "control characters");
    return s;
}

static void get_fixed(struct rd *r, uint8_t *to, size_t n) {
    str s = rd_bytes(r, n);
    if (s.n == n) memcpy(to, s.p, n);
}

#define MSG(name, ...) static void get_##name(struct rd *r, struct node_msg_##name *m) {
#define FLAG(f) m->f = get_below(r, 2);
#define U8(f) m->f = rd_u8(r);
#define U32(f) m->f = rd_u32le(r);
#define U64(f) m->f = rd_u64le(r);
#define CHOICE(f, n) m->f = get_below(r, n);
#define CODE(f) m->f = get_code(r);
#define FIXED(f, n) get_fixed(r, m->f, n);
#define BYTES(f, max) m->f = get_str(r, max);
#define NAME(f, max) m->f = get_name(r, max);
#define TEXT(f, max) m->f = get_text(r, max);
#define END(name) }
#include "node/wire.def"

static void get_fields(struct rd *r, struct node_message *m) {
#define MSG(name, ...)                                                                                                           \
    if (m->type == NODE_MSG_##name) get_##name(r, &m->name);
#include "node/wire.def"
}

bool node_wire_decode(str bytes, enum node_role from, enum node_role to, struct node_message *m) {
    struct rd r = rd_of(bytes);
    uint8_t type = rd_u8(&r);
    if (r.fail || type >= NODE_MSG_COUNT) return false;
    m->type = type;
    if (rows[type].from != from || rows[type].to != to || bytes.n > rows[type].bytes_max) return false;
    if (m->fds_count < rows[type].fds_min || m->fds_count > rows[type].fds_max) return false;
    get_fields(&r, m);
    return !r.fail && !rd_left(&r);
}

/* ---- packets ---- */

static err send_packet(int to, str bytes, const int *fds, int count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * NODE_WIRE_FDS_MAX)] = {0};
    size_t fds_bytes = sizeof(int) * (size_t)count;
    struct iovec v = {(void *)(uintptr_t)bytes.p, bytes.n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (count) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(fds_bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(fds_bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), fds, fds_bytes);
    }
    ssize_t sent;
    while ((sent = sendmsg(to, &m, MSG_NOSIGNAL)) < 0 && errno == EINTR) {}
    return sent == (ssize_t)bytes.n ? ERR_OK : sent < 0 && errno == EAGAIN ? ERR_AGAIN : ERR_CLOSED;
}

err node_wire_send(int fd, const struct node_message *m) {
    struct buf b = {0};
    ENSURE(m->fds_count >= rows[m->type].fds_min && m->fds_count <= rows[m->type].fds_max);
    err e = node_wire_encode(m, &b) ? send_packet(fd, buf_str(&b), m->fds, m->fds_count) : ERR_LIMIT;
    buf_free(&b);
    return e;
}

err node_wire_send_packet(int fd, str packet) { return send_packet(fd, packet, NULL, 0); }

/* All that came, in m->fds; those there is no room for are closed, and it was nonsense. */
static bool take_fds(struct msghdr *h, struct node_message *m) {
    bool fit = true;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < came; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (m->fds_count < NODE_WIRE_FDS_MAX) m->fds[m->fds_count++] = fd;
            else close(fd), fit = false;
        }
    }
    return fit;
}

enum node_wire_got node_wire_receive(int fd, enum node_role from, enum node_role to, struct node_message *m) {
    static uint8_t packet[PACKET_MAX];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * NODE_WIRE_FDS_MAX)];
    struct iovec v = {packet, sizeof packet};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n;
    while ((n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
    if (n < 0 && errno == EAGAIN) return NODE_WIRE_AGAIN;
    if (n < 0 || (n == 0 && !h.msg_controllen)) return NODE_WIRE_CLOSED; /* reset, where it had not read all */
    *m = (struct node_message){.fds_count = 0};
    bool fit = take_fds(&h, m) && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    if (fit && node_wire_decode((str){packet, (size_t)n}, from, to, m)) return NODE_WIRE_GOT;
    node_message_drop(m);
    return NODE_WIRE_NONSENSE;
}

enum node_wire_got node_wire_await(int fd, enum node_role from, enum node_role to, struct node_message *m) {
    enum node_wire_got got;
    while ((got = node_wire_receive(fd, from, to, m)) == NODE_WIRE_AGAIN)
        if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1) < 0 && errno != EINTR) return NODE_WIRE_CLOSED;
    return got;
}

int node_message_take(struct node_message *m, int i) {
    int fd = m->fds[i];
    m->fds[i] = -1;
    return fd;
}

void node_message_drop(struct node_message *m) {
    for (int i = 0; i < m->fds_count; i++)
        if (m->fds[i] >= 0) close(m->fds[i]);
    m->fds_count = 0;
}

err node_diag_of(struct diag *d, err e, uint64_t offset, str text) {
    if (e == ERR_OK) return e;
    if (!text.n) text = str_c(err_text(e));
    return diag_set(d, e, offset, STR_FMT, STR_ARG(text));
}
