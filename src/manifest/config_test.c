/* A node's configuration: each key is read, every mistake is told by its key and line, and what a job found comes over as it was. */
#include "manifest/config.h"
#include "manifest/manifest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static arena *mem;

static struct manifest_config *read_config(const char *text) {
    struct manifest m, again;
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    if (manifest_read(mem, str_c(text), MANIFEST_CONFIG, STR(""), &m, &d) != ERR_OK) fail_msg("%s", d.text);
    manifest_write(&b, &m);
    str bytes = arena_str(mem, buf_str(&b));
    if (manifest_decode(mem, bytes, &again, &d) != ERR_OK) fail_msg("%s", d.text);
    b.n = 0;
    manifest_write(&b, &again);
    assert_true(str_eq(bytes, buf_str(&b)));
    for (size_t n = 0; n < b.n; n++) assert_int_equal(manifest_decode(mem, str_sub(bytes, 0, n), &m, NULL), ERR_MALFORMED);
    buf_free(&b);
    return again.config;
}

static void test_all(void **state) {
    const struct manifest_config *c = read_config(
        "listen = [\":80\", { address = \"127.0.0.1:8080\", proxy_protocol = true }]\n"
        "admin = \"127.0.0.1:8089\"\ndomain = \"Apps.Example\"\nurl = \"https://example.org/\"\nstate = \"/var/lib/orlo\"\n"
        "key_file = \"/etc/orlo.key\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\naccess_log = false\nlog_format = \"json\"\n"
        "log_level = \"warn\"\nworkers = 4\nidle_timeout_ms = \"2m\"\nimage_mb = 100\n"
        "[defaults]\ntimeout_ms = 5000\n[max]\nmemory_mb = 64\n"
        "[allow]\nhttp = [\"*.example.org:443\"]\nnet = []\ndirs = [\"/srv/data/\", \"/srv/www:ro\"]\n"
        "[cordons.team]\napps = [\"a\", \"team-*\"]\nworkers = 2\n"
        "[logs]\nstderr = false\n"
        "[otlp]\nendpoint = \"http://127.0.0.1:4318\"\nheaders = { x-key = \"k\" }\nsample = 0.25\nformat = \"json\"\n"
        "[mail]\nhost = \"10.0.0.1\"\nport = 25\ntls = \"none\"\nuser = \"u\"\npassword = \"p\"\nfrom = \"n@a.b\"\nper_app_hour "
        "= 7\n"
        "[acme]\ndirectory = [\"https://a.test/dir\", \"https://b.test:14000/dir\"]\nemail = \"me@a.test\"\nterms_agreed = true\n"
        "hosts = [\"*.Example.org\", \"*\"]\nchallenge = \"tls-alpn-01\"\nca_file = \"/etc/ca.pem\"\neab_kid = \"k\"\n"
        "eab_hmac_key = \"c2VjcmV0LXNlY3JldC1zZWNyZXQ\"\n");
    assert_true(c->listen.n == 2 && str_eqc(c->listen.p[0].address, ":80") && c->listen.p[1].proxy_protocol);
    assert_true(str_eqc(c->admin, "127.0.0.1:8089") && str_eqc(c->domain, "apps.example") &&
                str_eqc(c->url, "https://example.org"));
    assert_true(str_eqc(c->state, "/var/lib/orlo") && str_eqc(c->key_file, "/etc/orlo.key"));
    assert_true(c->trusted_proxies.n == 2 && c->trusted_proxies.p[0].bits == 8 && c->trusted_proxies.p[1].bits == 128);
    assert_true(c->access_log == 0 && c->log_json == 1 && c->log_level == LOG_WARN);
    assert_true(c->settings[APP_SETTING_workers] == 4 && c->settings[APP_SETTING_idle_ms_max] == 120000);
    assert_true(c->settings[APP_SETTING_image_bytes_max] == 100 * MiB && c->settings[APP_SETTING_connections_max] == 0);
    assert_true(c->defaults.handler_ms_max == 5000 && c->defaults.memory_bytes_max == 0 && c->max.memory_bytes_max == 64 * MiB);
    assert_true(c->allow.http_said && c->allow.net_said && c->allow.dirs_said && c->allow.http.n == 1 && c->allow.net.n == 0);
    assert_true(str_eqc(c->allow.dirs.p[0].path, "/srv/data") && !c->allow.dirs.p[0].read_only && c->allow.dirs.p[1].read_only);
    assert_true(c->cordons.n == 1 && c->cordons.p[0].apps.n == 2 && c->cordons.p[0].workers == 2);
    assert_int_equal(c->logs_stderr, 0);
    assert_true(c->otlp.sample_ppm == 250000 && c->otlp.json && str_eqc(c->otlp.headers.p[0].key, "x-key"));
    assert_true(str_eqc(c->mail.relay.host, "10.0.0.1") && c->mail.relay.port == 25 && c->mail.relay.tls == APP_MAIL_TLS_NONE &&
                str_eqc(c->mail.relay.secret, "p") && str_eqc(c->mail.relay.from, "n@a.b") && c->mail.per_app_hour == 7);
    const struct manifest_acme *a = &c->acme;
    assert_true(a->directories.n == 2 && str_eqc(a->directories.p[1], "https://b.test:14000/dir") && a->terms && a->hosts.n == 2);
    assert_true(str_eqc(a->hosts.p[0], "*.example.org") && a->challenge == MANIFEST_ACME_TLS_ALPN_01 && str_eqc(a->eab_kid, "k"));
    assert_true(str_eqc(a->email, "me@a.test") && str_eqc(a->ca_file, "/etc/ca.pem") && a->eab_key.n == 27);
}

static void test_nothing(void **state) {
    const struct manifest_config *c = read_config("");
    assert_true(!c->listen.n && !c->admin.n && !c->allow.dirs_said && c->access_log == MANIFEST_UNSAID);
    assert_true(c->otlp.sample_ppm == 10000 && !c->otlp.endpoint.n && c->logs_stderr == MANIFEST_UNSAID);
}

static void test_mistakes(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"wrokers = 3", "1:1: unknown key `wrokers` at line 1, did you mean `workers`?"},
        {"\n[defaults]\nmemroy_mb = 3", "3:1: defaults: unknown key `memroy_mb` at line 3, did you mean `memory_mb`?"},
        {"[max]\nworkers = 3", "2:1: max: unknown key `workers` at line 2"},
        {"x\n", "1:2: Error while parsing"},
        {"workers = 3\nworkers = 4", "2:11: Error while parsing key-value pair: cannot redefine existing integer 'workers'"},
        {"workers = true", "1:11: workers: it takes a number, or a string with a unit, not a boolean"},
        {"workers = 0", "1:11: workers: it takes a number above 0, not 0"},
        {"workers = -1", "1:11: workers: it takes a number above 0, not -1"},
        {"workers = 257", "1:11: workers: it takes a number up to 256, not 257"},
        {"idle_timeout_ms = \"soon\"", "idle_timeout_ms: it takes a time such as 500ms, 30s or 2m, not 'soon'"},
        {"image_mb = 9223372036854775807", "image_mb: it takes a number above 0"},
        {"listen = \":80\"", "1:10: listen: it takes an array of strings or tables, not a string"},
        {"listen = [80]", "1:11: listen.0: it takes a string, or a table with an address"},
        {"listen = [\"http://x\"]", "listen.0: it takes HOST:PORT or :PORT"},
        {"listen = [{ proxy_protocol = true }]", "listen.0: it lacks an address"},
        {"listen = [{ address = \":80\", proxy = true }]", "unknown key `proxy` at line 1, did you mean `proxy_protocol`?"},
        {"listen = [{ address = \":80\", proxy_protocol = 1 }]", "listen.0.proxy_protocol: it takes true or false, not a number"},
        {"admin = \"a/b\"", "admin: it takes HOST:PORT"},
        {"domain = \"*.x\"", "domain: it takes a name"},
        {"domain = \"a b\"", "domain: 'a b' is no host"},
        {"url = \"example.org\"", "url: it takes http://HOST[:PORT]"},
        {"url = \"https://example.org/x\"", "url: it takes http://HOST[:PORT]"},
        {"state = 1", "state: it takes a string, not a number"},
        {"key_file = [\"a\"]", "key_file: it takes a string, not an array"},
        {"trusted_proxies = [\"10.0.0.0/33\"]", "trusted_proxies.0: it takes addresses and prefixes"},
        {"trusted_proxies = [1]", "trusted_proxies: it takes strings, not a number"},
        {"access_log = \"yes\"", "access_log: it takes true or false, not a string"},
        {"log_format = \"xml\"", "log_format: it takes text or json, not \"xml\""},
        {"log_level = \"loud\"", "log_level: it takes debug, info, warn or error"},
        {"defaults = 1", "defaults: it takes a table, not a number"},
        {"allow = { http = [\"a b\"] }", "allow.http.0: 'a b': its host is no name"},
        {"allow = { net = [\"*:x\"] }", "allow.net.0: '*:x': a port is a number"},
        {"allow = { dirs = [\"data\"] }", "allow.dirs.0: it takes absolute paths"},
        {"allow = { dirs = [\"/srv/../etc\"] }", "allow.dirs.0: it takes absolute paths"},
        {"cordons = { \"A b\" = {} }", "cordons.A b: a cordon's name has letters"},
        {"cordons = { a = 1 }", "cordons.a: it takes a table, not a number"},
        {"cordons.a.apps = [\"X\"]", "cordons.a.apps.0: it takes names of apps"},
        {"cordons.a.apps = [\"x\"]\ncordons.b.apps = [\"x\"]", "cordons: the app x stands there twice"},
        {"cordons.a.workers = 0", "cordons.a.workers: it takes a number from 1 to 256"},
        {"cordons.a.data = \"here\"", "cordons.a.data: it takes an absolute path"},
        {"cordons.a.data = \"/srv/a\"", "cordons.a.data: no cordon has a folder of its own yet"},
        {"logs.stderr = 1", "logs.stderr: it takes true or false, not a number"},
        {"otlp = {}", "otlp: it lacks an endpoint"},
        {"acme = {}", "acme: it lacks a directory"},
        {"acme = { directory = \"https://a/d\" }", "acme: it lacks terms_agreed"},
        {"acme = { directory = \"http://a/d\" }", "acme.directory: it takes the address"},
        {"acme = { directory = [\"https://a/d\", \"https://a\"] }", "acme.directory.1: it takes the address"},
        {"acme = { directory = \"https://a/d\", terms_agreed = true, eab_kid = \"k\" }", "acme: it has eab_kid, and lacks"},
        {"acme = { directory = \"https://a/d\", challenge = \"dns-01\" }",
         "acme.challenge: it takes any, http-01 or tls-alpn-01"},
        {"acme = { directory = \"https://a/d\", ca_file = \"ca.pem\" }", "acme.ca_file: it takes an absolute path"},
        {"acme = { directory = \"https://a/d\", hosts = [\"a b\"] }", "acme.hosts.0: "},
        {"mail = {}", "mail: it lacks a host"},
        {"mail = { host = \"h\" }", "mail: it lacks from"},
        {"otlp.endpoint = \"collector\"", "otlp.endpoint: it takes http://HOST[:PORT]"},
        {"otlp = { endpoint = \"http://c\", headers = { a = 1 } }", "otlp.headers: it takes strings, not a number"},
        {"otlp = { endpoint = \"http://c\", headers = { \"a:b\" = \"c\" } }", "otlp.headers.a:b: no header field has that form"},
        {"otlp = { endpoint = \"http://c\", sample = 2 }", "otlp.sample: it takes a number from 0 to 1"},
        {"otlp = { endpoint = \"http://c\", format = \"xml\" }", "otlp.format: it takes protobuf or json"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct manifest m;
        struct diag d = DIAG_INIT;
        struct buf b = {0};
        if (manifest_read(mem, str_c(cases[i].text), MANIFEST_CONFIG, STR(""), &m, &d) != ERR_INVALID)
            fail_msg("%s is taken", cases[i].text);
        for (uint32_t k = 0; k < m.notes.n; k++) buf_puts(&b, manifest_note_text(mem, "f", &m.notes.p[k])), buf_putc(&b, '\n');
        buf_putc(&b, 0);
        if (!strstr((char *)b.p, cases[i].says)) fail_msg("%s\nsays: %s\nnot: %s", cases[i].text, b.p, cases[i].says);
        assert_true(strstr(d.text, "a node's configuration line ") == d.text);
        buf_free(&b);
    }
}

/* All that is wrong is told at once, and no more than can be kept. */
static void test_many(void **state) {
    struct manifest m, again;
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    for (int i = 0; i < 1000; i++) buf_printf(&b, "x%d = 1\n", i);
    assert_int_equal(manifest_read(mem, buf_str(&b), MANIFEST_CONFIG, STR(""), &m, &d), ERR_INVALID);
    assert_true(m.errors == 1000 && m.notes.n == MANIFEST_NOTES_MAX && strstr(d.text, "(and 999 more: orlo check)"));
    b.n = 0;
    manifest_write(&b, &m);
    assert_int_equal(manifest_decode(mem, buf_str(&b), &again, &d), ERR_OK);
    assert_true(again.errors == 1000 && !again.config && str_eq(again.notes.p[99].text, m.notes.p[99].text));
    buf_free(&b);
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_mistakes, begin, end),
        cmocka_unit_test_setup_teardown(test_many, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
