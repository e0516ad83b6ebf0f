/* handover: see handover.h. */
#include "node/handover.h"
#include "app/record.h"
#include "crypto/crypto.h"
#include "node/meters.h"
#include "node/wire.h"
#include "node/worker/gate.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const str magic = STR_INIT("orlo 1 ");

/* ---- reading ---- */

static bool parse_field(str line, struct node_handover *m) {
    str key, value;
    if (m->count == NODE_HANDOVER_FIELDS_MAX || !str_cut(line, ' ', &key, &value) || !key.n) return false;
    m->fields[m->count].key = key;
    m->fields[m->count++].value = value;
    return true;
}

bool node_handover_parse(str bytes, struct node_handover *m) {
    str line, rest;
    m->count = 0;
    m->body = m->verb = (str){0};
    if (!str_cut(bytes, '\n', &line, &rest) || !str_starts(line, magic)) return false;
    m->verb = str_sub(line, magic.n, line.n);
    while (rest.n && rest.p[0] != '\n')
        if (!str_cut(rest, '\n', &line, &rest) || !parse_field(line, m)) return false;
    if (rest.n) m->body = str_sub(rest, 1, rest.n);
    return m->verb.n;
}

bool node_handover_is(const struct node_handover *m, const char *verb) { return str_eqc(m->verb, verb); }

str node_handover_str(const struct node_handover *m, const char *key) {
    for (uint32_t i = 0; i < m->count; i++)
        if (str_eqc(m->fields[i].key, key)) return m->fields[i].value;
    return (str){0};
}

uint64_t node_handover_u64(const struct node_handover *m, const char *key) {
    uint64_t n;
    return str_to_u64(node_handover_str(m, key), &n) ? n : 0;
}

int node_handover_take(struct node_handover *m, int i) {
    if (i < 0 || i >= m->fds_count) return -1;
    int fd = m->fds[i];
    m->fds[i] = -1;
    return fd;
}

void node_handover_drop(struct node_handover *m) {
    for (int i = 0; i < m->fds_count; i++)
        if (m->fds[i] >= 0) close(m->fds[i]);
    m->fds_count = 0;
}

static void take_fds(struct msghdr *h, struct node_handover *m) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (m->fds_count < NODE_HANDOVER_FDS_MAX) m->fds[m->fds_count++] = fd;
            else close(fd);
        }
    }
}

enum node_handover_got node_handover_receive(int fd, struct node_handover *m) {
    static uint8_t bytes[NODE_HANDOVER_BYTES_MAX];
    static _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * NODE_HANDOVER_FDS_MAX)];
    struct iovec v = {bytes, sizeof bytes};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n;
    m->fds_count = 0;
    m->count = 0;
    do n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return NODE_HANDOVER_AGAIN;
    if (n > 0) take_fds(&h, m);
    if (n > 0 && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && node_handover_parse((str){bytes, (size_t)n}, m))
        return NODE_HANDOVER_GOT;
    node_handover_drop(m);
    return NODE_HANDOVER_CLOSED;
}

/* ---- writing ---- */

void node_handover_begin(struct buf *b, const char *verb) {
    buf_puts(b, magic);
    buf_puts(b, str_c(verb));
    buf_putc(b, '\n');
}

void node_handover_put(struct buf *b, const char *key, str value) {
    buf_puts(b, str_c(key));
    buf_putc(b, ' ');
    buf_puts(b, str_sub(value, 0, str_find(value, '\n')));
    buf_putc(b, '\n');
}

void node_handover_put_u64(struct buf *b, const char *key, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    node_handover_put(b, key, str_c(text));
}

static err send_packet(int fd, str bytes, const int *fds, int count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * NODE_HANDOVER_FDS_MAX)] = {0};
    struct iovec v = {(void *)(uintptr_t)bytes.p, bytes.n};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    if (count) {
        h.msg_control = control;
        h.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
    }
    ssize_t n;
    do n = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? ERR_OK : errno == EAGAIN ? ERR_AGAIN : ERR_CLOSED;
}

err node_handover_send(int fd, struct buf *b, str body, const int *fds, int count) {
    if (body.n) buf_putc(b, '\n'), buf_puts(b, body);
    err e = fd < 0 || b->n > NODE_HANDOVER_BYTES_MAX || count > NODE_HANDOVER_FDS_MAX ? ERR_CLOSED
                                                                                      : send_packet(fd, buf_str(b), fds, count);
    buf_free(b);
    return e;
}

/* ---- layouts ---- */

/* As it is written, each row and its numbers: who changes the meaning of bytes that a row only carries counts this on. */
enum { MEANING = 1 };
static const char rows[] =
#define MSG(name, from, to, least, most) "MSG " #name " " #from " " #to " " #least " " #most "\n"
#define FLAG(f) "FLAG " #f "\n"
#define U8(f) "U8 " #f "\n"
#define U32(f) "U32 " #f "\n"
#define U64(f) "U64 " #f "\n"
#define CHOICE(f, n) "CHOICE " #f " " #n "\n"
#define CODE(f) "CODE " #f "\n"
#define FIXED(f, n) "FIXED " #f " " #n "\n"
#define BYTES(f, max) "BYTES " #f " " #max "\n"
#define NAME(f, max) "NAME " #f " " #max "\n"
#define TEXT(f, max) "TEXT " #f " " #max "\n"
#include "node/wire.def"
#define CHANNEL(name, role) "CHANNEL " #name " " #role "\n"
#include "node/channels.def"
#undef CHANNEL
#define X(name, ...) "ROLE " #name "\n"
#include "node/roles.def"
#undef X
    ;

static void digits(str of, char to[static 33]) {
    uint8_t sum[CRYPTO_SHA256_BYTES];
    crypto_sha256(of, sum);
    for (size_t i = 0; i < 16; i++) snprintf(to + 2 * i, 3, "%02x", sum[i]);
}

static void layout_of(const char *what, size_t bytes, char to[static 33]) {
    char text[128];
    int n = snprintf(text, sizeof text, "%s %zu %d", what, bytes, MEANING);
    digits((str){(const uint8_t *)text, (size_t)n}, to);
}

void node_handover_layouts(char wire[static 33], char rates[static 33], char meters[static 33]) {
    struct buf b = {0};
    buf_printf(&b, "%d %d\n", MEANING, APP_RECORD_LAYOUT);
    buf_puts(&b, (str){(const uint8_t *)rows, sizeof rows - 1});
    digits(buf_str(&b), wire);
    buf_free(&b);
    layout_of("rates", sizeof(struct node_rates), rates);
    layout_of("meters", sizeof(struct node_meters_region), meters);
}
