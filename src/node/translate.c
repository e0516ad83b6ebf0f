/* translate: see translate.h. */
#include "node/translate.h"
#include "node/migration.h"
#include "node/tree.h"
#include "node/wire.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <stdio.h>
#include <unistd.h>

void node_translating_close(struct node_translating *t) {
    if (t->fd >= 0) close(t->fd);
    t->fd = -1;
    t->sent = NULL;
}

void node_translating_end(struct node_translating *t) {
    node_translating_close(t);
    for (int i = 0; i < 2; i++)
        if (t->files[i] > 0) close(t->files[i]);
    t->files[0] = t->files[1] = 0;
}

static bool put_file(int *fd, str bytes) {
    if (*fd <= 0) *fd = memfd_create("orlo-text", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, 0)) return false;
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = pwrite(*fd, bytes.p + at, bytes.n - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += (size_t)n;
    }
    return true;
}

err node_translate_send(struct node_translating *t, const struct catalog *c, str text) {
    bool anew = t->sent != c || t->version != c->version;
    struct buf b = {0};
    int catalog = -1;
    if (!put_file(&t->files[0], text) || !put_file(&t->files[1], (str){0})) return ERR_IO;
    if (anew) {
        catalog_write(&b, c);
        catalog = node_bytes_fd("orlo-catalog", buf_str(&b));
    }
    struct node_message m = NODE_MESSAGE(translate, .id = ++t->id, .bytes = text.n, .catalog_bytes = b.n);
    m.fds[0] = t->files[0], m.fds[1] = t->files[1], m.fds[2] = catalog;
    m.fds_count = anew ? 3 : 2;
    err e = anew && catalog < 0 ? ERR_IO : node_wire_send(t->fd, &m);
    if (catalog >= 0) close(catalog);
    buf_free(&b);
    if (e == ERR_OK) t->sent = c, t->version = c->version;
    return e == ERR_OK || e == ERR_IO ? e : ERR_CLOSED;
}

static err read_answer(const struct node_translating *t, uint64_t bytes, arena *mem, str *answer) {
    if (bytes > NODE_TRANSLATED_BYTES_MAX) return ERR_CLOSED;
    uint8_t *p = arena_alloc(mem, bytes + 1, 1);
    for (size_t at = 0; at < bytes;) {
        ssize_t n = pread(t->files[1], p + at, bytes - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ERR_CLOSED;
        at += (size_t)n;
    }
    *answer = (str){p, bytes};
    return ERR_OK;
}

/* Not by node_wire_receive: strings of a message stand in a place of the process's, and this one has none, nor any descriptor. */
err node_translate_take(struct node_translating *t, arena *mem, str *answer) {
    uint8_t packet[64];
    struct node_message m;
    ssize_t n;
    while ((n = recv(t->fd, packet, sizeof packet, MSG_DONTWAIT)) < 0 && errno == EINTR) {}
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return ERR_AGAIN;
    m.fds_count = 0;
    bool sense = n > 0 && node_wire_decode((str){packet, (size_t)n}, NODE_ROLE_translator, NODE_ROLE_worker, &m) &&
                 m.type == NODE_MSG_translated && m.translated.id == t->id;
    return !sense ? ERR_CLOSED : m.translated.err != ERR_OK ? ERR_INVALID : read_answer(t, m.translated.bytes, mem, answer);
}

void node_translate_failed(struct pg_error *error, err e) {
    switch (e) {
    case ERR_CLOSED: /* each time: it is the text */
        node_tree_fail(error, "54001", "statement is too complex");
        snprintf(error->detail, sizeof error->detail, "What reads the texts of EXECUTE ended over it.");
        break;
    case ERR_BUSY:
        node_tree_fail(error, "57P03", "EXECUTE cannot be done at the moment");
        snprintf(error->hint, sizeof error->hint,
                 "Too many apps do so, or what reads their texts ended over one just now: try again.");
        break;
    case ERR_LIMIT: node_tree_late(error); break;
    default: node_tree_fail(error, "53200", "out of memory"); break;
    }
}
