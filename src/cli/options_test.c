/* The command line: what is understood, and what is said about what is not. */
#include "cli/cli_int.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct cli_options o;
static struct diag d;

static err parse(arena *mem, const char *line) {
    static char words[512];
    char *argv[32] = {words};
    int argc = 0;
    snprintf(words, sizeof words, "orlo %s", line);
    for (char *p = words; *p;) {
        argv[argc++] = p;
        p += strcspn(p, " ");
        if (*p) *p++ = 0;
    }
    d = (struct diag)DIAG_INIT;
    return cli_parse(mem, argc, argv, &o, &d);
}

static void test_serve(void **state) {
    arena *mem = arena_new(0);
    assert_int_equal(parse(mem, "serve app.wasm --listen :80 --listen=[::1]:81 --workers 3 --timeout 500ms --max-memory 64M"),
                     ERR_OK);
    assert_int_equal(o.command, CLI_serve);
    assert_string_equal(o.operands.p[0], "app.wasm");
    assert_int_equal(o.listen.n, 2);
    assert_string_equal(o.listen.p[1], "[::1]:81");
    assert_int_equal(o.limits.workers, 3);
    assert_int_equal(o.limits.app.handler_ms_max, 500);
    assert_int_equal(o.limits.app.memory_bytes_max, 64 * MiB);
    arena_free(mem);
}

static void test_run_arguments(void **state) {
    arena *mem = arena_new(0);
    assert_int_equal(parse(mem, "run a.wasm --env A=1 -- --env -x y"), ERR_OK);
    assert_int_equal(o.env.n, 1);
    assert_int_equal(o.operands.n, 4);
    assert_string_equal(o.operands.p[1], "--env");
    assert_string_equal(o.operands.p[3], "y");
    assert_int_equal(parse(mem, "run -- a.wasm"), ERR_USAGE);
    arena_free(mem);
}

static void test_output(void **state) {
    arena *mem = arena_new(0);
    assert_int_equal(parse(mem, "compile a.wasm -o b"), ERR_OK);
    assert_string_equal(o.output, "b");
    assert_int_equal(parse(mem, "compile a.wasm -ob"), ERR_OK);
    assert_string_equal(o.output, "b");
    assert_int_equal(parse(mem, "compile a.wasm"), ERR_USAGE);
    assert_int_equal(parse(mem, "serve a.wasm -o b"), ERR_USAGE);
    arena_free(mem);
}

static void assert_says(arena *mem, const char *line, const char *part) {
    assert_int_equal(parse(mem, line), ERR_USAGE);
    if (!strstr(d.text, part)) fail_msg("'%s' says '%s', not '%s'", line, d.text, part);
}

static void test_suggestions(void **state) {
    arena *mem = arena_new(0);
    assert_says(mem, "serve a.wasm --lisen :80", "did you mean --listen?");
    assert_says(mem, "serve a.wasm --http x", "did you mean --allow-http?");
    assert_says(mem, "serve a.wasm --memory=1", "did you mean --max-memory?");
    assert_says(mem, "srve a.wasm", "did you mean serve?");
    assert_says(mem, "a.wasm", "orlo serve a.wasm");
    assert_says(mem, "serve a.wasm --qqqqqqq", "--help");
    assert_says(mem, "serve a.wasm --port 3000", "serve has no flag '--port'; write --listen 127.0.0.1:3000");
    assert_says(mem, "serve a.wasm --port=3000", "write --listen 127.0.0.1:3000");
    assert_says(mem, "serve a.wasm -p 3000", "serve has no flag '-p'; write --listen 127.0.0.1:3000");
    assert_says(mem, "serve a.wasm -p", "write --listen HOST:PORT");
    assert_says(mem, "serve a.wasm --host 0.0.0.0", "write --listen 0.0.0.0:8080");
    assert_says(mem, "run a.wasm -e A=1", "run has no flag '-e'; write --env A=1");
    assert_says(mem, "run a.wasm --mapdir /d::.", "write --dir .::/d");
    assert_says(mem, "run a.wasm --mapdir /d:./x", "write --dir ./x::/d");
    assert_says(mem, "serve a.wasm -v ./x:/d:ro", "; write --dir ./x::/d:ro");
    assert_says(mem, "serve a.wasm -p 3000:80", "; write --listen 127.0.0.1:3000");
    assert_says(mem, "serve a.wasm -p 0.0.0.0:3000:80", "; write --listen 0.0.0.0:3000");
    assert_says(mem, "serve a.wasm --port :3000", "; write --listen :3000");
    assert_says(mem, "serve a.wasm --host 127.0.0.1:3000", "; write --listen 127.0.0.1:3000");
    assert_says(mem, "serve a.wasm --host ::1", "; write --listen ::1");
    assert_says(mem, "serve a.wasm --bind http://127.0.0.1:3000", "; write --listen 127.0.0.1:3000");
    assert_says(mem, "serve a.wasm --allow-outbound https://x.example/y", "; write --allow-http https://x.example");
    assert_says(mem, "run a.wasm -p 3000", "there is no flag '-p'");
    assert_says(mem, "run a.wasm -l", "there is no flag '-l'; see: orlo run --help; what is for the guest comes behind --");
    assert_says(mem, "run a.wasm --all x", "what is for the guest comes behind --");
    assert_says(mem, "run -Scli a.wasm", "run has no flag '-S'; what a guest may use is granted by");
    assert_says(mem, "serve a.wasm -S http", "serve has no flag '-S'; what a guest may use is granted by");
    assert_says(mem, "serve a.wasm --tls-cert=a.pem", "serve has no flag '--tls-cert'; it answers plain HTTP");
    assert_says(mem, "serve a.wasm -d", "foreground");
    assert_says(mem, "serve a.wasm --watch", "SIGHUP");
    assert_says(mem, "serve a.wasm --verbose", "--log-level debug");
    assert_says(mem, "compile a.wasm -O2 -o a", "compile has no flag '-O'; there are no levels");
    assert_says(mem, "up a.wasm", "did you mean serve?");
    assert_says(mem, "validate a.wasm", "did you mean inspect?");
    assert_says(mem, "node a.wasm", "node takes no file; what is 'a.wasm'? A file is served by orlo serve");
    assert_int_equal(parse(mem, "deploy"), ERR_OK);
    assert_says(mem, "deploy a b", "deploy takes one folder or file; what is 'b'?");
    assert_says(mem, "deploy --to http://x --state y", "--to or --state, not both");
    assert_says(mem, "promote shop", "which app, and which version? orlo promote APP VERSION");
    assert_says(mem, "logs shop --folow", "did you mean --follow?");
    assert_int_equal(parse(mem, "logs shop -f"), ERR_OK);
    assert_true(o.follow);
    assert_says(mem, "secrets set", "which verb and app?");
    assert_says(mem, "deploy a.wasm --app", "--app needs a value: --app NAME");
    assert_says(mem, "deploy a.wasm --app a --listen :1", "deploy has no flag '--listen'; it is a flag of orlo serve, orlo node");
    assert_says(mem, "node --env A=b", "node has no flag '--env'; it is a flag of orlo serve, orlo run, orlo deploy");
    assert_says(mem, "apps x", "apps takes no file; what is 'x'?");
    assert_says(mem, "delete", "which app? orlo delete APP");
    assert_says(mem, "delete a b", "delete takes one app; what is 'b'?");
    assert_says(mem, "ls", "did you mean apps?");
    assert_says(mem, "version", "did you mean --version?");
    assert_says(mem, "serve", "which file?");
    assert_says(mem, "serve a.wasm b.wasm", "b.wasm");
    assert_says(mem, "serve a.wasm --listen", "needs a value");
    assert_says(mem, "serve a.wasm --state=", "--state needs a value: --state FOLDER");
    assert_says(mem, "serve a.wasm --forward=", "--forward needs a value");
    assert_says(mem, "serve a.wasm --workers many", "number");
    assert_says(mem, "serve a.wasm --workers 0", "number");
    assert_says(mem, "serve a.wasm --workers 300", "--workers takes a number up to 256, not 300");
    assert_says(mem, "serve a.wasm --max-body 5q", "size");
    assert_says(mem, "serve a.wasm --timeout soon", "time");
    assert_says(mem, "serve a.wasm --no-access-log=yes", "no value");
    assert_says(mem, "inspect a.wasm --wat --json", "not both");
    arena_free(mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serve),
        cmocka_unit_test(test_run_arguments),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
