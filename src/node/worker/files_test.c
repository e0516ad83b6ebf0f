/* Static files: which file a path is, and what of it a request gets. */
#include "node/worker/files.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static struct node_pack *pack;

static int begin(void **state) {
    static const char *const paths[] = {
        ".env",           ".git/config",          ".well-known/.x",  ".well-known/x", "404.html",
        "a b.txt",        "about.html",           "app.js",          "app.js.br",     "app.js.gz",
        "docs/.htpasswd", "docs/deep/index.html", "docs/index.html", "index.html",    "index.html.zst",
        "only/x.css",     "with%20.txt"};
    int fd = memfd_create("pack", MFD_CLOEXEC), file = memfd_create("file", MFD_CLOEXEC);
    uint8_t digest[32];
    struct diag d = DIAG_INIT;
    struct node_pack_writer *w = node_pack_begin(fd);
    if (write(file, "0123456789", 10) != 10) return 1;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        if (node_pack_add(w, str_c(paths[i]), file, 0, 10, 784111777, &d) != ERR_OK) return 1;
    close(file);
    return node_pack_end(w, digest, &d) != ERR_OK || node_pack_open(fd, digest, &pack, &d) != ERR_OK;
}
static int end(void **state) { return node_pack_unref(pack), 0; }

static const struct app_files plain = {.index = STR("index.html"), .not_found = STR("404.html")};
static const struct app_files spa = {.index = STR("index.html"), .not_found = STR("404.html"), .spa = true};
static const struct app_files bare = {};
static const struct app_files clean = {.index = STR("index.html"), .clean = true};

static void finds(const struct app_files *f, const char *rest, bool html, enum node_files_found found, const char *path) {
    const struct node_pack_file *file;
    enum node_files_found got = node_files_find(pack, f, str_c(rest), html, &file);
    str is = file ? file->path : STR("-");
    if (got != found || !str_eqc(is, path)) fail_msg("%s: %d " STR_FMT, rest, got, STR_ARG(is));
}

static void test_paths(void **state) {
    finds(&plain, "/", true, NODE_FILES_FILE, "index.html");
    finds(&plain, "", true, NODE_FILES_FILE, "index.html");
    finds(&plain, "?x=/y", true, NODE_FILES_FILE, "index.html");
    finds(&plain, "/app.js?v=1", false, NODE_FILES_FILE, "app.js");
    finds(&plain, "/a%20b.txt", false, NODE_FILES_FILE, "a b.txt");
    finds(&plain, "/with%2520.txt", false, NODE_FILES_FILE, "with%20.txt"); /* decoded once */
    finds(&plain, "/docs/", false, NODE_FILES_FILE, "docs/index.html");
    finds(&plain, "/docs", false, NODE_FILES_SLASH, "-");
    finds(&plain, "/docs/deep?x", false, NODE_FILES_SLASH, "-");
    finds(&plain, "/docs%2Fdeep/", false, NODE_FILES_FILE, "docs/deep/index.html");
    finds(&plain, "/only", false, NODE_FILES_NOT_HERE, "404.html"); /* a folder without an index */
    finds(&plain, "/only/", false, NODE_FILES_NOT_HERE, "404.html");
    finds(&plain, "/app.js/", false, NODE_FILES_NOT_HERE, "404.html");
    finds(&plain, "/nothing", true, NODE_FILES_NOT_HERE, "404.html");
    finds(&bare, "/", true, NODE_FILES_NOT_HERE, "404.html"); /* it is found by itself */
    finds(&bare, "/docs", true, NODE_FILES_NOT_HERE, "404.html");
    finds(&plain, "/about", true, NODE_FILES_NOT_HERE, "404.html");
    finds(&bare, "/index.html", true, NODE_FILES_FILE, "index.html");
}

static void test_clean(void **state) {
    finds(&clean, "/about", true, NODE_FILES_FILE, "about.html");
    finds(&clean, "/about?x=.html", true, NODE_FILES_FILE, "about.html");
    finds(&clean, "/about.html", true, NODE_FILES_CLEAN, "about.html");
    finds(&clean, "/about.html?a", true, NODE_FILES_CLEAN, "about.html");
    finds(&clean, "/about/", true, NODE_FILES_NO_SLASH, "about.html");
    finds(&clean, "/docs/index.html", true, NODE_FILES_CLEAN, "docs/index.html");
    finds(&clean, "/docs", true, NODE_FILES_SLASH, "-");
    finds(&clean, "/index", true, NODE_FILES_FILE, "index.html");
    finds(&clean, "/", true, NODE_FILES_FILE, "index.html");
    finds(&clean, "/app.js", true, NODE_FILES_FILE, "app.js");
    finds(&clean, "/404", true, NODE_FILES_FILE, "404.html");
    finds(&clean, "/none", true, NODE_FILES_NOT_HERE, "404.html");
}

/* What begins with a dot is nobody's, however it is written. */
static void test_hidden(void **state) {
    static const char *const hidden[] = {"/.env",           "/%2eenv",           "/.git/config",    "/.git/",         "/.git",
                                         "/docs/.htpasswd", "/docs/%2Ehtpasswd", "/.well-known/.x", "/.well-knownx/x"};
    for (size_t i = 0; i < ARRAY_COUNT(hidden); i++) {
        finds(&plain, hidden[i], true, NODE_FILES_NOT_HERE, "404.html");
        finds(&spa, hidden[i], true, NODE_FILES_NOT_HERE, "404.html"); /* who looks for secrets is not told that there are some */
    }
    finds(&plain, "/.well-known/x", false, NODE_FILES_FILE, ".well-known/x");
}

static void test_hashed(void **state) {
    static const char *const yes[] = {"app.3f9a1c.js",
                                      "assets/index-DiwrgTda.js",
                                      "assets/index-B-S2kQ7e.css",
                                      "static/js/main.073c9b0a.js",
                                      "a/b/assets/x-12ab_-zZ.woff2",
                                      "_next/static/chunks/main.js",
                                      "_app/immutable/start.js",
                                      "app-5XQJ7ABC.js",
                                      "bootstrap.5e3b4f.min.css",
                                      "d41d8cd98f00b204e9800998ecf8427e.png",
                                      "x_0a1b2c.svg",
                                      "_astro/hoisted.js",
                                      "main.073c9b0a.js.map"};
    static const char *const no[] = {"app.js",
                                     "index.html",
                                     "assets/index-DiwrgTda.html",
                                     "jquery-3.7.1.min.js",
                                     "assets/jquery-accessible.js",
                                     "assets/photo-20240101.jpg",
                                     "report.202401.pdf",
                                     "facade.js",
                                     "my-facade.js",
                                     "deadbeef.js",
                                     "assets/chart-component.js",
                                     "c0ffee.js",
                                     "3f9a1c.js",
                                     "a.b",
                                     "",
                                     ".",
                                     "index-DiwrgTda.js",
                                     "x_next/static/a.js",
                                     "app.3f9a1c"};
    for (size_t i = 0; i < ARRAY_COUNT(yes); i++)
        if (!node_files_hashed(str_c(yes[i]))) fail_msg("%s", yes[i]);
    for (size_t i = 0; i < ARRAY_COUNT(no); i++)
        if (node_files_hashed(str_c(no[i]))) fail_msg("%s", no[i]);
}

static void test_cache(void **state) {
    struct app_cache rules[] = {
        {STR("/assets/*"), STR("max-age=1")}, {STR("*.html"), STR("no-cache")}, {STR("/only"), STR("no-store")}};
    struct app_files f = {.cache = {rules, 3, 3}};
    static const char *const table[][2] = {{"assets/a.js", "max-age=1"},
                                           {"assets/a.html", "max-age=1"},
                                           {"index.html", "no-cache"},
                                           {"b/index.html", "no-cache"},
                                           {"only", "no-store"},
                                           {"other", "public, max-age=0, must-revalidate"},
                                           {"app.3f9a1c.js", "public, max-age=31536000, immutable"}};
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (!str_eqc(node_files_cache(&f, str_c(table[i][0])), table[i][1])) fail_msg("%s", table[i][0]);
    f.no_immutable = true;
    assert_true(str_eqc(node_files_cache(&f, STR("app.3f9a1c.js")), "public, max-age=0, must-revalidate"));
}

static void test_spa(void **state) {
    finds(&spa, "/users/7", true, NODE_FILES_FILE, "index.html");
    finds(&spa, "/users/7", false, NODE_FILES_FILE, "index.html");
    finds(&spa, "/users/7.png", true, NODE_FILES_FILE, "index.html");
    finds(&spa, "/users/7.png", false, NODE_FILES_NOT_HERE, "404.html"); /* a page in its place would be taken for a picture */
    finds(&spa, "/app.js", true, NODE_FILES_FILE, "app.js");
}

/* Whatever the encoding, nobody gets out, and nobody has the server think that he did. */
static void test_traversal(void **state) {
    static const char *const bad[] = {"/../x",        "/%2e%2e/x", "/docs/..%2f..%2fx",
                                      "/docs/%2E./x", "/./app.js", "/docs//deep/",
                                      "//",           "//app.js",  "/%00",
                                      "/app.js%00",   "/a%0ab",    "/%",
                                      "/%4",          "/%zz",      "/docs/%2f/x",
                                      "/%2fapp.js",   "/..",       "/docs/.."};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) finds(&spa, bad[i], true, NODE_FILES_BAD, "-");
    finds(&plain, "/..%5capp.js", false, NODE_FILES_NOT_HERE, "404.html"); /* a name, of which there is none */
    finds(&plain, "/%252e%252e/x", false, NODE_FILES_NOT_HERE, "404.html");
    char longest[1200] = "/";
    memset(longest + 1, 'x', 1100);
    finds(&plain, longest, false, NODE_FILES_BAD, "-");
}

static void coded(const char *path, const char *accepts, const char *want, const char *coding) {
    struct net_field field = {STR("Accept-Encoding"), str_c(accepts)};
    str got;
    bool varies;
    const struct node_pack_file *f = node_files_coded(pack, node_pack_find(pack, str_c(path)), &field, 1, &got, &varies);
    if (!str_eqc(f->path, want) || !str_eqc(got, coding) || varies != !str_eqc(str_c(path), "only/x.css"))
        fail_msg("%s by %s: " STR_FMT, path, accepts, STR_ARG(f->path));
}

static void test_codings(void **state) {
    coded("app.js", "gzip, deflate, br, zstd", "app.js.br", "br");
    coded("app.js", "gzip, deflate", "app.js.gz", "gzip");
    coded("app.js", "br;q=0.1, GZIP;q=0.5", "app.js.gz", "gzip");
    coded("app.js", "br;q=0, *;q=0.001", "app.js.gz", "gzip");
    coded("app.js", "*", "app.js.br", "br");
    coded("index.html", "zstd", "index.html.zst", "zstd");
    coded("index.html", "br, gzip", "index.html", "");
    static const char *const none[] = {"", "identity", "br;q=0", "br;q=0.000", "br;q=x", "br;q=", "br;level=1", "brr", "x;q=1"};
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) coded("app.js", none[i], "app.js", "");
    coded("only/x.css", "br, gzip", "only/x.css", "");
}

static void test_types(void **state) {
    static const char *const table[][2] = {{"a/index.html", "text/html; charset=utf-8"},
                                           {"X.JS", "text/javascript; charset=utf-8"},
                                           {"a.b/c", "application/octet-stream"},
                                           {"a.tar.gz", "application/gzip"},
                                           {"zip", "application/octet-stream"},
                                           {"a.zip", "application/zip"},
                                           {"a.aac", "audio/aac"},
                                           {".css", "text/css; charset=utf-8"},
                                           {"a.", "application/octet-stream"},
                                           {"a.woff2", "font/woff2"},
                                           {"x.wasmwasmwasmwasmwasm", "application/octet-stream"}};
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (!str_eqc(node_files_type(str_c(table[i][0])), table[i][1])) fail_msg("%s", table[i][0]);
#define TYPE(end, type) assert_true(str_eqc(node_files_type(STR("a." end)), type)); /* each is found: they are in order */
#include "node/worker/files.def"
#undef TYPE
}

static const struct node_pack_file ten = {.bytes = 10, .modified = 784111777, .digest = {0xab, 1}};
static void part(const char *name, const char *value, const char *more, const char *more_value, uint16_t status, uint64_t from,
                 uint64_t bytes) {
    struct net_field fields[] = {{str_c(name), str_c(value)}, {str_c(more), str_c(more_value)}};
    struct node_files_part p = node_files_part(&ten, true, fields, 2);
    if (p.status != status || p.n != (status < 300) || (p.n && (p.of[0].from != from || p.of[0].bytes != bytes)))
        fail_msg("%s: %s: %u %u %llu %llu", name, value, p.status, p.n, (unsigned long long)p.of[0].from,
                 (unsigned long long)p.of[0].bytes);
}

#define ETAG "\"ab010000000000000000000000000000\""
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
static void test_parts(void **state) {
    part("x", "y", "", "", 200, 0, 10);
    part("Range", "bytes=0-3", "", "", 206, 0, 4);
    part("range", "bytes=4-", "", "", 206, 4, 6);
    part("range", "BYTES=-3", "", "", 206, 7, 3);
    part("range", "bytes=-30", "", "", 206, 0, 10);
    part("range", "bytes=9-99999999999", "", "", 206, 9, 1);
    part("range", "bytes=10-", "", "", 416, 0, 0);
    part("range", "bytes=-0", "", "", 416, 0, 0);
    static const char *const all[] = {"bytes=",      "bytes=-",   "bytes=3-2",
                                      "bytes=0-1,x", "lines=0-1", "bytes=a-b",
                                      "bytes=0-x",   "bytes= x",  "bytes=18446744073709551616-",
                                      "bytes=--1"};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) part("range", all[i], "", "", 200, 0, 10);
    part("range", "bytes=0-0", "if-range", ETAG, 206, 0, 1);
    part("range", "bytes=0-0", "if-range", "\"other\"", 200, 0, 10);
    part("range", "bytes=0-0", "if-range", DATE, 206, 0, 1);
    part("range", "bytes=0-0", "if-range", "Sun, 06 Nov 1994 08:49:38 GMT", 200, 0, 10);
    part("if-none-match", ETAG, "", "", 304, 0, 0);
    part("if-none-match", "\"x\", W/" ETAG, "", "", 304, 0, 0);
    part("if-none-match", "*", "range", "bytes=0-1", 304, 0, 0);
    part("if-none-match", "\"x\"", "if-modified-since", DATE, 200, 0, 10); /* the date is not looked at */
    part("if-modified-since", DATE, "", "", 304, 0, 0);
    part("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT", "", "", 200, 0, 10);
    part("if-modified-since", "yesterday", "", "", 200, 0, 10);
    part("if-match", "\"x\"", "", "", 412, 0, 0);
    part("if-match", "W/" ETAG, "", "", 412, 0, 0);
    part("if-match", ETAG, "range", "bytes=1-2", 206, 1, 2);
    part("if-match", "*", "", "", 200, 0, 10);
    part("if-match", "\"a,\", " ETAG, "if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT", 200, 0, 10);
    part("if-unmodified-since", DATE, "if-none-match", ETAG, 304, 0, 0);
    part("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT", "if-none-match", ETAG, 412, 0, 0);
    part("if-unmodified-since", "once", "", "", 200, 0, 10);
    part("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT", "", "", 304, 0, 0);
    part("if-modified-since", "Sun Nov  6 08:49:37 1994", "", "", 304, 0, 0);
    part("if-modified-since", DATE, "If-Modified-Since", DATE, 200, 0, 10); /* twice is nothing */
    part("range", "bytes=0-1", "Range", "bytes=2-3", 200, 0, 10);
    part("range", "bytes=0-0", "if-range", "W/" ETAG, 200, 0, 10);
    part("range", "bytes=0-0", "if-range", "", 200, 0, 10);
    part("if-none-match", "\"x" ETAG, "", "", 200, 0, 10); /* within another's quotes it is none of ours */
    struct net_field head[] = {{STR("range"), STR("bytes=0-1")}};
    assert_int_equal(node_files_part(&ten, false, head, 1).status, 200); /* HEAD has no parts */
}

static void parts(uint64_t size, const char *range, const char *want) {
    struct net_field field = {STR("range"), str_c(range)};
    struct node_pack_file f = {.bytes = size, .digest = {1}};
    struct node_files_part p = node_files_part(&f, true, &field, 1);
    struct buf b = {0};
    buf_printf(&b, "%u", p.status);
    for (uint32_t i = 0; i < p.n && p.status == 206; i++)
        buf_printf(&b, " %llu+%llu", (unsigned long long)p.of[i].from, (unsigned long long)p.of[i].bytes);
    if (!str_eqc(buf_str(&b), want)) fail_msg("%s of %llu: " STR_FMT, range, (unsigned long long)size, STR_ARG(buf_str(&b)));
    buf_free(&b);
}

/* Several: in their order, none overlaps another, and what is a mistake or an attack gets all of it. */
static void test_several(void **state) {
    parts(10000, "bytes=0-9, 5000-5009", "206 0+10 5000+10");
    parts(10000, "bytes=5000-5009,0-9", "206 5000+10 0+10");
    parts(10000, "bytes=0-9,-10", "206 0+10 9990+10");
    parts(10000, "bytes=0-9,20-29", "206 0+30"); /* closer than a head is long */
    parts(10000, "bytes=0-9,5-14,4000-4001", "206 0+15 4000+2");
    parts(10000, "bytes=0-9,5000-5009,2-5004", "206 0+5010");
    parts(10000, "bytes=0-9,10000-", "206 0+10");
    parts(10000, "bytes=10000-,-0", "416");
    parts(10000, "bytes=,0-9,,", "206 0+10");
    parts(10000, "bytes=0-,0-", "200");
    parts(10000, "bytes=0-99,0-99,0-99,0-99", "200");
    parts(10000, "bytes=0-9,1-x", "200");
    parts(0, "bytes=0-,-5", "416");
    struct buf many = {0};
    buf_printf(&many, "bytes=0-0");
    for (int i = 1; i < NODE_FILES_RANGES_MAX; i++) buf_printf(&many, ",%d-%d", i * 500, i * 500);
    buf_putc(&many, 0);
    struct net_field field = {STR("range"), str_c((char *)many.p)};
    struct node_pack_file f = {.bytes = 10000};
    assert_int_equal(node_files_part(&f, true, &field, 1).n, NODE_FILES_RANGES_MAX);
    many.n--;
    buf_printf(&many, ",9999-");
    field.value = buf_str(&many);
    assert_int_equal(node_files_part(&f, true, &field, 1).status, 200);
    buf_free(&many);
}

static void test_dates(void **state) {
    char date[NODE_FILES_DATE];
    node_files_date(784111777, date);
    assert_string_equal(date, DATE);
    node_files_date(0, date);
    assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
    node_files_date(1709210096, date);
    assert_string_equal(date, "Thu, 29 Feb 2024 12:34:56 GMT");
    node_files_date(UINT64_MAX, date);
    assert_string_equal(date, "Fri, 31 Dec 9999 23:59:59 GMT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),   cmocka_unit_test(test_spa),   cmocka_unit_test(test_traversal),
        cmocka_unit_test(test_codings), cmocka_unit_test(test_types), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_dates),   cmocka_unit_test(test_clean), cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_hashed),  cmocka_unit_test(test_cache), cmocka_unit_test(test_several)};
    return cmocka_run_group_tests(tests, begin, end);
}
