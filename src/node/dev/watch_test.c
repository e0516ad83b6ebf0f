/* watch: patterns, and what is heard of a folder. */
#include "node/dev/watch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_glob(void **state) {
    static const struct {
        const char *pattern, *path;
        bool fits;
    } rows[] = {
        {"app.js", "app.js", true},
        {"app.js", "src/app.js", false},
        {"*.ts", "app.ts", true},
        {"*.ts", "src/app.ts", false},
        {"**/*.ts", "app.ts", true},
        {"**/*.ts", "a/b/c.ts", true},
        {"**/*.ts", "a/b/c.js", false},
        {"src", "src/a/b", true},
        {"src/", "src/a", true},
        {"src", "srcs/a", false},
        {"src/**", "src/a/b", true},
        {"src/**", "src", false},
        {"src/**/x/*.c", "src/x/a.c", true},
        {"src/**/x/*.c", "src/a/x/b/x/a.c", true},
        {"src/**/x/*.c", "src/a/b.c", false},
        {"a?c", "abc", true},
        {"a?c", "a/c", false},
        {"*", "a", true},
        {"", "a", false},
        {"**", "a/b", true},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "aXbY", false},
        {"**/**/a", "b/a", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (node_dev_glob(str_c(rows[i].pattern), str_c(rows[i].path)) != rows[i].fits)
            fail_msg("%s %s", rows[i].pattern, rows[i].path);
}

/* A pattern that is nothing but ways back takes no time that grows with their product. */
static void test_hostile_glob(void **state) {
    char pattern[2001], path[2001];
    for (int i = 0; i < 2000; i++) pattern[i] = i % 2 ? '*' : 'a', path[i] = 'a';
    pattern[1999] = 'b', pattern[2000] = path[2000] = 0;
    assert_false(node_dev_glob(str_c(pattern), str_c(path)));
}

static void put(const char *folder, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("x", f);
    fclose(f);
}

static void make(const char *folder, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* All that has changed, a space behind each; inotify's events are there when the call that made them is done. */
static void heard(struct node_dev_watch *w, char *to, size_t max) {
    str path;
    size_t n = 0;
    to[0] = 0;
    while (node_dev_watch_next(w, &path) == NODE_DEV_WATCH_PATH)
        n += (size_t)snprintf(to + n, max - n, STR_FMT " ", STR_ARG(path));
}

static void test_watch(void **state) {
    char folder[] = "/tmp/orlo-watch-XXXXXX", text[512], command[300];
    struct node_dev_watch *w;
    struct diag d = DIAG_INIT;
    assert_non_null(mkdtemp(folder));
    make(folder, "src");
    make(folder, "node_modules");
    assert_int_equal(node_dev_watch_new(folder, &w, &d), ERR_OK);
    put(folder, "a");
    put(folder, "src/b");
    put(folder, "node_modules/c");
    heard(w, text, sizeof text);
    assert_string_equal(text, "a src/b ");
    make(folder, "src/deep");
    heard(w, text, sizeof text);
    assert_string_equal(text, "src/deep ");
    put(folder, "src/deep/x");
    heard(w, text, sizeof text);
    assert_string_equal(text, "src/deep/x ");
    snprintf(command, sizeof command, "%s/src/deep/x", folder);
    unlink(command);
    heard(w, text, sizeof text);
    assert_string_equal(text, "src/deep/x ");
    assert_true(node_dev_watch_whole(w));
    node_dev_watch_free(w);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_nowhere(void **state) {
    struct node_dev_watch *w;
    struct diag d = DIAG_INIT;
    assert_int_equal(node_dev_watch_new("/nowhere/at/all", &w, &d), ERR_IO);
    assert_non_null(strstr(d.text, "/nowhere/at/all"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_glob), cmocka_unit_test(test_hostile_glob),
                                       cmocka_unit_test(test_watch), cmocka_unit_test(test_nowhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
