/* Packs: what was put in comes out, whatever is asked; what is none, or another, is refused. */
#include "node/pack.h"
#include "crypto/crypto.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static int memory_file(str bytes) {
    int fd = memfd_create("static", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
    return fd;
}

static err add(struct node_pack_writer *w, const char *path, str bytes, struct diag *d) {
    int fd = memory_file(bytes);
    err e = node_pack_add(w, str_c(path), fd, 0, bytes.n, 1700000000, d);
    close(fd);
    return e;
}

static int pack(uint8_t digest[32]) {
    static uint8_t large[700 << 10];
    int fd = memfd_create("pack", MFD_CLOEXEC);
    struct diag d = DIAG_INIT;
    struct node_pack_writer *w = node_pack_begin(fd);
    memset(large, 'x', sizeof large);
    assert_int_equal(add(w, "a b.html", STR("<p>"), &d), ERR_OK);
    assert_int_equal(add(w, "docs/index.html", STR("docs"), &d), ERR_OK);
    assert_int_equal(add(w, "docs/large.bin", (str){large, sizeof large}, &d), ERR_OK);
    assert_int_equal(add(w, "empty", STR(""), &d), ERR_OK);
    assert_int_equal(add(w, "\xc3\xbc", STR("ue"), &d), ERR_OK);
    assert_int_equal(node_pack_end(w, digest, &d), ERR_OK);
    return fd;
}

static void has(const struct node_pack *p, const char *path, const char *bytes) {
    char got[100] = {0};
    uint8_t digest[32];
    const struct node_pack_file *f = node_pack_find(p, str_c(path));
    if (!f) fail_msg("%s is not there", path);
    assert_int_equal(f->bytes, strlen(bytes));
    assert_int_equal(pread(node_pack_fd(p), got, f->bytes, (off_t)f->at), (ssize_t)f->bytes);
    assert_string_equal(got, bytes);
    crypto_sha256(str_c(bytes), digest);
    assert_memory_equal(digest, f->digest, 32);
    assert_int_equal(f->modified, 1700000000);
}

static void test_round(void **state) {
    uint8_t digest[32], again[32];
    struct diag d = DIAG_INIT;
    struct node_pack *p;
    int fd = pack(digest), other = pack(again);
    assert_memory_equal(digest, again, 32);
    close(other);
    if (node_pack_open(fd, digest, &p, &d) != ERR_OK) fail_msg("%s", d.text);
    has(p, "a b.html", "<p>"), has(p, "docs/index.html", "docs"), has(p, "empty", ""), has(p, "\xc3\xbc", "ue");
    assert_int_equal(node_pack_find(p, STR("docs/large.bin"))->bytes, 700 << 10);
    static const char *const none[] = {"",      "docs", "docs/", "a", "zzz", "docs/index.htm", "docs/index.html/", "../a b.html",
                                       "/empty"};
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) assert_null(node_pack_find(p, str_c(none[i])));
    assert_true(node_pack_has_folder(p, STR("docs")) && !node_pack_has_folder(p, STR("doc")) &&
                !node_pack_has_folder(p, STR("empty")) && !node_pack_has_folder(p, STR("")));
    assert_true(node_pack_memory(p) > 5 * 60);
    assert_true(node_pack_ref(p) == p);
    node_pack_unref(p), node_pack_unref(p), node_pack_unref(NULL);
}

static void test_paths(void **state) {
    static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\nb", "a\x7f", "a/\x01"};
    static const char *const good[] = {"a", ".well-known/x", "a/..b", "a...", "%2e%2e/a", "a\\b", "\xff"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (node_pack_path_ok(str_c(bad[i]))) fail_msg("'%s'", bad[i]);
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        if (!node_pack_path_ok(str_c(good[i]))) fail_msg("'%s'", good[i]);
}

static void test_writing_refused(void **state) {
    struct diag d = DIAG_INIT;
    uint8_t digest[32];
    int fd = memfd_create("pack", MFD_CLOEXEC), file = memory_file(STR("abc"));
    struct node_pack_writer *w = node_pack_begin(fd);
    assert_int_equal(add(w, "b", STR("1"), &d), ERR_OK);
    assert_int_equal(add(w, "b", STR("1"), &d), ERR_USAGE);
    assert_non_null(strstr(d.text, "twice"));
    assert_int_equal(add(w, "../b", STR("1"), &d), ERR_USAGE);
    assert_int_equal(node_pack_add(w, STR("c"), file, 0, 4, 0, &d), ERR_IO); /* it is shorter than was said */
    assert_int_equal(add(w, "d", STR("1"), &d), ERR_IO);
    assert_int_equal(node_pack_end(w, digest, &d), ERR_IO);
    close(fd), close(file);
    w = node_pack_begin(-1);
    assert_int_equal(add(w, "b", STR("1"), &d), ERR_IO);
    assert_int_equal(node_pack_end(w, digest, NULL), ERR_IO);
}

/* Any byte of the index or behind it bent, or the file cut anywhere, and it is not that pack. */
static void test_reading_refused(void **state) {
    uint8_t digest[32];
    struct diag d = DIAG_INIT;
    struct node_pack *p;
    int fd = pack(digest);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = size - 24 - (4 + 5 * 60 + 44); at < size; at++) { /* the index, and the tail behind it */
        uint8_t byte, bent;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        bent = byte ^ 1;
        assert_int_equal(pwrite(fd, &bent, 1, at), 1);
        assert_int_not_equal(node_pack_open(dup(fd), digest, &p, &d), ERR_OK);
        assert_null(p);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(node_pack_open(dup(fd), digest, &p, &d), ERR_OK);
    node_pack_unref(p);
    for (off_t n = 0; n < size; n += n < 100 || n > size - 100 ? 1 : 50000) {
        assert_int_equal(ftruncate(fd, size - 1 - n), 0);
        assert_int_not_equal(node_pack_open(dup(fd), digest, &p, &d), ERR_OK);
    }
    close(fd);
    assert_int_equal(node_pack_open(-1, digest, &p, &d), ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round), cmocka_unit_test(test_paths),
                                       cmocka_unit_test(test_writing_refused), cmocka_unit_test(test_reading_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
