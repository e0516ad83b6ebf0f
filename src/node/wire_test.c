/* Every message of the table arrives as it was sent, with its descriptors; whatever else comes is nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "node/wire.h"

/* ---- a message of each type with every field at its longest or largest ---- */

static uint8_t many[64 * KiB];
static str filled(size_t n) { return (str){many, n}; }

static const struct sample {
    enum node_role from, to;
    int fds_min, fds_max;
} samples[] = {
#define MSG(name, from, to, fds_min, fds_max) {NODE_ROLE_##from, NODE_ROLE_##to, fds_min, fds_max},
#include "node/wire.def"
};

static struct node_message sample(unsigned type, bool full) {
    struct node_message m = {.type = type, .fds_count = full ? samples[type].fds_max : samples[type].fds_min};
    switch (type) {
#define MSG(name, ...)                                                                                                           \
    case NODE_MSG_##name: {                                                                                                      \
        struct node_msg_##name *x = &m.name;                                                                                     \
        (void)x;
#define FLAG(f) x->f = full;
#define U8(f) x->f = full ? UINT8_MAX : 0;
#define U32(f) x->f = full ? UINT32_MAX : 0;
#define U64(f) x->f = full ? UINT64_MAX : 0;
#define CHOICE(f, n) x->f = full ? (n)-1 : 0;
#define CODE(f) x->f = full ? ERR_COUNT - 1 : ERR_OK;
#define FIXED(f, n) memset(x->f, full ? 0xff : 0, n);
#define BYTES(f, max) x->f = filled(full ? (max) : 0);
#define NAME(f, max) x->f = filled(full ? (max) : 0);
#define TEXT(f, max) x->f = filled(full ? (max) : 0);
#define END(name)                                                                                                                \
    break;                                                                                                                       \
    }
#include "node/wire.def"
    default: break;
    }
    return m;
}

static void encode(const struct node_message *m, struct buf *b) {
    b->n = 0;
    assert_true(node_wire_encode(m, b));
}

static void test_every_message(void **state) {
    struct buf one = {0}, two = {0};
    for (unsigned i = 0; i < 2 * NODE_MSG_COUNT; i++) {
        struct node_message m = sample(i / 2, i % 2), got = {.fds_count = m.fds_count};
        encode(&m, &one);
        assert_true(node_wire_decode(buf_str(&one), samples[i / 2].from, samples[i / 2].to, &got));
        assert_int_equal(got.type, m.type);
        encode(&got, &two);
        assert_true(str_eq(buf_str(&one), buf_str(&two)));
    }
    buf_free(&one), buf_free(&two);
}

/* Cut anywhere, longer, from somebody else, to somebody else, with too few or too many descriptors. */
static void test_nonsense(void **state) {
    struct buf b = {0};
    for (unsigned i = 0; i < 2 * NODE_MSG_COUNT; i++) {
        const struct sample *s = &samples[i / 2];
        struct node_message m = sample(i / 2, i % 2), got = {.fds_count = m.fds_count};
        encode(&m, &b);
        size_t n = b.n;
        for (size_t cut = 0; cut < n; cut++) assert_false(node_wire_decode((str){b.p, cut}, s->from, s->to, &got));
        buf_putc(&b, 0);
        assert_false(node_wire_decode(buf_str(&b), s->from, s->to, &got));
        b.n = n;
        for (unsigned from = 0; from < NODE_ROLES; from++)
            for (unsigned to = 0; to < NODE_ROLES; to++)
                assert_int_equal(node_wire_decode(buf_str(&b), from, to, &got), from == s->from && to == s->to);
        got.fds_count = s->fds_max + 1;
        assert_false(node_wire_decode(buf_str(&b), s->from, s->to, &got));
        got.fds_count = s->fds_min - 1;
        assert_false(node_wire_decode(buf_str(&b), s->from, s->to, &got));
        b.p[0] = (uint8_t)MIN(NODE_MSG_COUNT + i, 255u);
        got.fds_count = m.fds_count;
        assert_false(node_wire_decode(buf_str(&b), s->from, s->to, &got));
    }
    buf_free(&b);
}

static void test_fields_out_of_range(void **state) {
    struct buf b = {0};
    struct node_message got = {0}, m = NODE_MESSAGE(report, .err = ERR_LIMIT, .text = STR("a\x1b[2Jb\n"));
    encode(&m, &b);
    assert_true(node_wire_decode(buf_str(&b), NODE_ROLE_job, NODE_ROLE_supervisor, &got));
    assert_true(str_eqc(got.report.text, "a?[2Jb\n")); /* its sender made it fit for a terminal */
    b.p[b.n - 6] = 0x1b;                               /* a number follows */
    assert_false(node_wire_decode(buf_str(&b), NODE_ROLE_job, NODE_ROLE_supervisor, &got));
    b.p[b.n - 6] = 'b', b.p[1] = ERR_COUNT;
    assert_false(node_wire_decode(buf_str(&b), NODE_ROLE_job, NODE_ROLE_supervisor, &got));
    m = NODE_MESSAGE(trial, .name = filled(33));
    assert_false(node_wire_encode(&m, &b));
    m = NODE_MESSAGE(trial, .name = STR("a\0b"));
    assert_false(node_wire_encode(&m, &b));
    m = NODE_MESSAGE(inspect, .format = 3);
    assert_false(node_wire_encode(&m, &b));
    buf_free(&b);
}

static int open_count(void) {
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_packets(void **state) {
    int pair[2], before = open_count();
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    struct node_message m = NODE_MESSAGE(order, .cpu_s_max = 7), got;
    m.fds[0] = pair[0], m.fds[1] = pair[1], m.fds_count = 2;
    assert_int_equal(node_wire_send(pair[0], &m), ERR_OK);
    assert_int_equal(node_wire_receive(pair[1], NODE_ROLE_supervisor, NODE_ROLE_job, &got), NODE_WIRE_GOT);
    assert_true(got.type == NODE_MSG_order && got.order.cpu_s_max == 7 && got.fds_count == 2);
    int taken = node_message_take(&got, 1);
    node_message_drop(&got);
    assert_int_equal(fcntl(taken, F_GETFD), FD_CLOEXEC);
    close(taken);
    assert_int_equal(node_wire_receive(pair[1], NODE_ROLE_supervisor, NODE_ROLE_job, &got), NODE_WIRE_AGAIN);
    assert_int_equal(node_wire_send(pair[0], &m), ERR_OK); /* to somebody else: refused, and its descriptors are closed */
    assert_int_equal(node_wire_receive(pair[1], NODE_ROLE_supervisor, NODE_ROLE_worker, &got), NODE_WIRE_NONSENSE);
    static const char bytes[100'000];
    assert_int_equal(send(pair[0], bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(node_wire_receive(pair[1], NODE_ROLE_supervisor, NODE_ROLE_job, &got), NODE_WIRE_NONSENSE);
    m = NODE_MESSAGE(rest);
    err e;
    while ((e = node_wire_send(pair[0], &m)) == ERR_OK) {} /* nobody reads: nobody waits */
    assert_int_equal(e, ERR_AGAIN);
    close(pair[0]);
    while (node_wire_receive(pair[1], NODE_ROLE_supervisor, NODE_ROLE_worker, &got) == NODE_WIRE_GOT) {}
    assert_int_equal(node_wire_receive(pair[1], NODE_ROLE_supervisor, NODE_ROLE_worker, &got), NODE_WIRE_CLOSED);
    assert_int_equal(node_wire_send(pair[1], &NODE_MESSAGE(applied, .err = ERR_OK)), ERR_CLOSED);
    close(pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(node_wire_send(pair[0], &m), ERR_OK); /* one that ends without having read all is closed like any */
    close(pair[1]);
    assert_int_equal(node_wire_receive(pair[0], NODE_ROLE_worker, NODE_ROLE_supervisor, &got), NODE_WIRE_CLOSED);
    close(pair[0]);
    assert_int_equal(open_count(), before);
}

/* ---- the corpus of wire_fuzz: each message, empty and full ---- */

static void corpus_file(unsigned i, const char *folder, char path[static 256], struct buf *b) {
    struct node_message m = sample(i / 2, i % 2);
    uint8_t begins[] = {(uint8_t)samples[i / 2].from, (uint8_t)samples[i / 2].to, (uint8_t)m.fds_count};
    snprintf(path, 256, "%s/%s-%s", folder, node_message_text(i / 2), i % 2 ? "full" : "empty");
    b->n = 0;
    buf_put(b, begins, sizeof begins);
    assert_true(node_wire_encode(&m, b));
}

static int write_corpus(const char *folder) {
    struct buf b = {0};
    for (unsigned i = 0; i < 2 * NODE_MSG_COUNT; i++) {
        char path[256];
        corpus_file(i, folder, path, &b);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(b.p, 1, b.n, f) != b.n || fclose(f)) return 1;
    }
    buf_free(&b);
    return 0;
}

static const char *corpus;

static void test_corpus_is_whole(void **state) {
    struct buf b = {0};
    static uint8_t there[64 * KiB];
    for (unsigned i = 0; i < 2 * NODE_MSG_COUNT; i++) {
        char path[256];
        corpus_file(i, corpus, path, &b);
        FILE *f = fopen(path, "rb");
        size_t n = f ? fread(there, 1, sizeof there, f) : 0;
        if (f) fclose(f);
        if (n != b.n || memcmp(there, b.p, n) != 0)
            fail_msg("%s is not what wire.def says; run: rm %s/*; build-test/src/node/node_wire_test --write %s", path, corpus,
                     corpus);
    }
    buf_free(&b);
}

int main(int argc, char **argv) {
    memset(many, 'x', sizeof many);
    if (argc > 2) return write_corpus(argv[2]);
    corpus = argc > 1 ? argv[1] : "tests/corpus/wire";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message), cmocka_unit_test(test_nonsense),        cmocka_unit_test(test_fields_out_of_range),
        cmocka_unit_test(test_packets),       cmocka_unit_test(test_corpus_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
