/* The operator's maxima: what lies inside them is granted, what does not is refused by its key. */
#include "manifest/config.h"
#include "manifest/manifest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static arena *mem;

static struct manifest *read_file(const char *text, enum manifest_format format) {
    struct manifest *m = arena_make(mem, struct manifest);
    struct diag d = DIAG_INIT;
    if (manifest_read(mem, str_c(text), format, STR(""), m, &d) != ERR_OK) fail_msg("%s\n%s", text, d.text);
    return m;
}

/* Whether a function with these keys may be deployed; why: what is said if not, NULL: it may. */
static void may(const char *config, const struct manifest_deployer *who, const char *keys, const char *why) {
    struct diag d = DIAG_INIT;
    char text[1000];
    snprintf(text, sizeof text, "name = \"a\"\nfunctions.f.source = \"f.wasm\"\n%s\n", keys);
    err e = manifest_within(&read_file(text, MANIFEST_ORLO)->record, read_file(config, MANIFEST_CONFIG)->config, who, &d);
    if (e != (why ? ERR_DENIED : ERR_OK) || (why && !strstr(d.text, why)))
        fail_msg("%s with %s: '%s', not '%s'", keys, config, d.text, why ? why : "");
}

static const struct manifest_deployer owner = {.owner = true}, stranger = {0};

static void test_limits(void **state) {
    may("max.memory_mb = 64", &owner, "functions.f.limits.memory_mb = 64\nlimits.memory_mb = 64", NULL);
    may("max.memory_mb = 64", &owner, "functions.f.limits.memory_mb = 65\nlimits.memory_mb = 1",
        "functions.f.limits.memory_mb: 65M is more than this node's operator allows, 64M (max.memory_mb");
    may("max.memory_mb = 64", &owner, "", "limits.memory_mb: 512M is more than");
    may("max.timeout_ms = 5000", &owner, "limits.timeout_ms = 5000", NULL);
    may("", &stranger, "limits.memory_mb = 4096", NULL);
    may("max.app_memory_mb = 64", &owner, "", "limits.app_memory_mb: no limit is more than");
    may("max.requests_per_second = 5", &owner, "",
        "limits.requests_per_second: no limit is more than this node's operator allows, 5");
    may("max.requests_per_second = 5", &owner, "limits.requests_per_second = 5", NULL);
    may("max.burst = 5", &owner, "limits.requests_per_second = 6", "limits.burst: 6 is more than");
    may("max.burst = 5", &owner, "limits = { requests_per_second = 6, burst = 5 }", NULL);
    may("", &owner, "weight = 10", NULL);
    may("", &stranger, "weight = 1", NULL);
    may("", &stranger, "weight = 2", "weight: 2 is more than other apps have");
}

static void test_hosts(void **state) {
    static const str hosts[] = {STR_INIT("shop.example.org"), STR_INIT("*.a.example.org")}, all[] = {STR_INIT("*")};
    const struct manifest_deployer with = {.hosts = hosts, .hosts_count = 2}, with_all = {.hosts = all, .hosts_count = 1};
    may("", &with, "hosts = [\"shop.example.org\", \"x.a.example.org\", \"*.b.a.example.org\", \"*.a.example.org\"]", NULL);
    may("", &with, "hosts = [\"*.example.org\"]", "hosts: *.example.org is not among the hosts of this token");
    may("", &with, "hosts = [\"a.example.org\"]", "hosts: a.example.org is not");
    may("", &with, "hosts = [\"xa.example.org\"]", "hosts: xa.example.org is not");
    may("", &with, "hosts = [\"*\"]", "hosts: * is not");
    may("", &stranger, "hosts = [\"x.org\"]", "hosts: x.org is not");
    may("", &with_all, "hosts = [\"*\", \"x.org\"]", NULL);
    may("", &owner, "hosts = [\"*\", \"x.org\"]", NULL);
}

static void test_network(void **state) {
    const char *const some =
        "allow.http = [\"*.example.org:443\", \"10.0.0.0/8\"]\nallow.net = [\"tcp:db.lan:5432\", \"listen:127.0.0.1:9000-9010\"]";
    may(some, &owner,
        "functions.f.allow_http = [\"api.example.org:443\", \"*.a.example.org:443\", \"10.1.0.0/16\", \"10.1.2.3:80\"]", NULL);
    may(some, &owner, "functions.f.allow_http = [\"api.example.org\"]", "functions.f.allow_http: api.example.org is more than");
    may(some, &owner, "functions.f.allow_http = [\"*:443\"]", "functions.f.allow_http: *:443 is more than");
    may(some, &owner, "functions.f.allow_http = [\"11.0.0.1\"]", "functions.f.allow_http: 11.0.0.1/32 is more than");
    may(some, &owner, "functions.f.allow_http = [\"10.0.0.0/7\"]", "10.0.0.0/7 is more than");
    may(some, &owner, "functions.f.allow_http = [\"example.org:443\"]", "example.org:443 is more than");
    may(some, &owner, "functions.f.allow_net = [\"tcp:db.lan:5432\", \"listen:127.0.0.1:9001\"]", NULL);
    may(some, &owner, "functions.f.allow_net = [\"db.lan:5432\"]", "functions.f.allow_net: db.lan:5432 is more than");
    may(some, &owner, "functions.f.allow_net = [\"*\"]", "functions.f.allow_net: * is more than");
    may(some, &owner, "functions.f.forward = \"https://x.example.org\"", NULL);
    may(some, &owner, "functions.f.forward = \"http://x.example.org\"",
        "functions.f.forward: http://x.example.org:80 is more than");
    may("allow.http = [\"https://*\"]", &owner, "functions.f.allow_http = [\"https://x.org\", \"https://10.0.0.1\"]", NULL);
    may("allow.http = [\"https://*\"]", &owner, "functions.f.allow_http = [\"x.org:443\"]", "x.org:443 is more than");
    may("allow.http = [\"https://*\"]", &owner, "functions.f.allow_http = [\"https://x.org:8443\"]",
        "https://x.org:8443 is more than");
    may("allow.http = [\"*\"]", &stranger, "functions.f.allow_http = [\"*\", \"localhost\", \"127.0.0.1\"]", NULL);
}

static void test_strangers_network(void **state) {
    may("", &stranger, "functions.f.allow_http = [\"*\", \"api.example.org\", \"1.1.1.1\", \"*.example.org:443\"]", NULL);
    may("", &stranger, "functions.f.allow_http = [\"localhost\"]", "functions.f.allow_http: localhost is no public address");
    may("", &stranger, "functions.f.allow_http = [\"10.0.0.1\"]", "10.0.0.1/32 is no public address");
    may("", &stranger, "functions.f.allow_http = [\"0.0.0.0/0\"]", "0.0.0.0/0 is no public address");
    may("", &stranger, "functions.f.allow_net = [\"listen:8080\"]", "functions.f.allow_net: localhost:8080 is no public");
    may("", &stranger, "functions.f.forward = \"http://127.0.0.1:3000\"",
        "functions.f.forward: http://127.0.0.1/32:3000 is no public");
    may("", &owner, "functions.f.allow_net = [\"*\"]\nfunctions.f.allow_http = [\"127.0.0.1\"]", NULL);
    may("", &stranger, "functions.f.forward = \"http://063.0.0.1:3000\"",
        "functions.f.forward: 063.0.0.1:3000 is no host to connect to");
    may("", &owner, "functions.f.forward = \"http://063.0.0.1:3000\"", NULL);
}

static void test_folders(void **state) {
    const char *const some = "allow.dirs = [\"/srv/data\", \"/srv/www:ro\"]";
    may(some, &owner, "functions.f.dirs = [\"/srv/data::/a\", \"/srv/data/x::/b:ro\", \"/srv/www/x::/c:ro\"]", NULL);
    may(some, &owner, "functions.f.dirs = [\"/srv/database::/a\"]", "functions.f.dirs: /srv/database is in no folder");
    may(some, &owner, "functions.f.dirs = [\"/srv/www::/a\"]",
        "functions.f.dirs: /srv/www is in no folder that this node's operator allows for writing");
    may(some, &owner, "functions.f.dirs = [\"/srv::/a:ro\"]", "functions.f.dirs: /srv is in no folder");
    may(some, &owner, "functions.f.dirs = [\"/srv/data/../x::/a\"]", "has . or .. in it");
    may("allow.dirs = [\"/\"]", &stranger, "functions.f.dirs = [\"/etc::/a\"]", NULL);
    may("allow.dirs = []", &owner, "functions.f.dirs = [\"/etc::/a:ro\"]", "/etc is in no folder");
    may("", &stranger, "functions.f.dirs = [\"/srv/data::/a:ro\"]", "functions.f.dirs: /srv/data is in no folder");
    may("", &owner, "functions.f.dirs = [\"/srv/data::/a\"]", NULL);
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_limits, begin, end),
        cmocka_unit_test_setup_teardown(test_hosts, begin, end),
        cmocka_unit_test_setup_teardown(test_network, begin, end),
        cmocka_unit_test_setup_teardown(test_strangers_network, begin, end),
        cmocka_unit_test_setup_teardown(test_folders, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
