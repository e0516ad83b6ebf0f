/* The dialogue with an authority that is a table of answers; times, texts, chains. */
#include "acme/acme_int.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* lines of a table: what is left out is nothing */

static const char directory[] =
    "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":\"https://ca.test/account\",\"newOrder\":\"https://ca.test/order\","
    "\"renewalInfo\":\"https://ca.test/info\",\"meta\":{\"termsOfService\":\"https://ca.test/terms\"}}";
static const char pending[] =
    "{\"status\":\"pending\",\"authorizations\":[\"https://ca.test/authz/1\"],\"finalize\":\"https://ca.test/end/1\"}";
static const char ready[] =
    "{\"status\":\"ready\",\"authorizations\":[\"https://ca.test/authz/1\"],\"finalize\":\"https://ca.test/end/1\"}";
static const char processing[] = "{\"status\":\"processing\",\"finalize\":\"https://ca.test/end/1\"}";
static const char valid[] = "{\"status\":\"valid\",\"certificate\":\"https://ca.test/cert/1\"}";
static const char offers[] = "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"shop.test\"},\"challenges\":["
                             "{\"type\":\"dns-01\",\"url\":\"https://ca.test/c/0\",\"token\":\"AAAAAAAAAAAAAAAAAAAAAA\"},"
                             "{\"type\":\"http-01\",\"url\":\"https://ca.test/c/1\",\"token\":\"BBBBBBBBBBBBBBBBBBBBBB\"},"
                             "{\"type\":\"tls-alpn-01\",\"url\":\"https://ca.test/c/2\",\"token\":\"CCCCCCCCCCCCCCCCCCCCCC\"}]}";
static const char passed[] = "{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\",\"value\":\"shop.test\"}}";
static const char waits[] =
    "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"shop.test\"},\"challenges\":[]}";
static const char not_passed[] =
    "{\"status\":\"invalid\",\"identifier\":{\"type\":\"dns\",\"value\":\"shop.test\"},\"challenges\":[{\"type\":\"http-01\","
    "\"error\":"
    "{\"type\":\"urn:ietf:params:acme:error:connection\",\"detail\":\"10.0.0.1: refused\\u0007\"}}]}";
static const char chain[] =
    "-----BEGIN CERTIFICATE-----\nMTIz\nNDU2\n-----END CERTIFICATE-----\n\n-----BEGIN CERTIFICATE-----\nMQ==\n-----END "
    "CERTIFICATE-----\n";
#define PROBLEM(type, detail) "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"" detail "\"}"

static struct acme_config config(void) {
    struct acme_config c = {.directory = STR("https://ca.test/dir"),
                            .email = STR("me@shop.test"),
                            .terms = true,
                            .host = STR("shop.test"),
                            .either = true,
                            .request = STR("csr")};
    c.public[0] = 4;
    return c;
}

/* An answer to what asks for that path, once; path NULL: nobody answers. */
struct line {
    const char *method, *path;
    uint32_t status;
    const char *body, *location, *later;
};
#define DIRECTORY                                                                                                                \
    { "GET", "/dir", 200, directory }
#define NONCE                                                                                                                    \
    { "HEAD", "/nonce", 200, "" }
#define ACCOUNT                                                                                                                  \
    { "POST", "/account", 201, "{\"status\":\"valid\"}", "https://ca.test/acct/7" }
#define ORDER                                                                                                                    \
    { "POST", "/order", 201, pending, "https://ca.test/order/1" }

static uint32_t signatures, macs, proofs;
static enum acme_challenge proved;

static struct acme_result run(struct acme *a, const struct line *lines, size_t n) {
    size_t at = 0;
    signatures = macs = proofs = 0;
    for (;;) {
        switch (acme_wants(a)) {
        case ACME_WANTS_HTTP: {
            struct acme_request r = acme_request(a);
            if (at == n) fail_msg("asks " STR_FMT " " STR_FMT, STR_ARG(r.method), STR_ARG(r.path));
            const struct line *l = &lines[at++];
            if (!l->path) {
                acme_unanswered(a, STR("no\x1broute"));
                break;
            }
            if (!str_eqc(r.method, l->method) || !str_eqc(r.path, l->path))
                fail_msg("line %zu: asks " STR_FMT " " STR_FMT " and not %s", at, STR_ARG(r.method), STR_ARG(r.path), l->path);
            bool has_nonce = !str_eqc(r.method, "GET"); /* as many authorities have it */
            acme_answered(a,
                          &(struct acme_answer){l->status, has_nonce ? STR("nonce") : (str){0}, str_c(l->location),
                                                str_c(l->later), str_c(l->body), false},
                          1000);
            break;
        }
        case ACME_WANTS_SIGN: signatures++, acme_signed(a, STR("signature")); break;
        case ACME_WANTS_MAC: macs++, acme_signed(a, STR("mac")); break;
        case ACME_WANTS_PROVE: proofs++, proved = acme_proof(a).challenge, acme_proven(a, (str){0}); break;
        case ACME_WANTS_WAIT: assert_true(acme_wait_ms(a) > 0), acme_waited(a); break;
        case ACME_WANTS_DONE:
        case ACME_WANTS_FAILED:
            if (at != n) fail_msg("ends at line %zu: " STR_FMT, at, STR_ARG(acme_result(a).why));
            return acme_result(a);
        }
    }
}

#define RUN(a, ...) run((a), (const struct line[]){__VA_ARGS__}, ARRAY_COUNT(((const struct line[]){__VA_ARGS__})))
#define FAILS(fault_, why_, ...)                                                                                                 \
    do {                                                                                                                         \
        struct acme *a_ = acme_new(&c);                                                                                          \
        struct acme_result r_ = RUN(a_, __VA_ARGS__);                                                                            \
        if (r_.fault != (fault_) || !strstr((const char *)arena_cstr(mem, r_.why), why_))                                        \
            fail_msg("fault %d: " STR_FMT, (int)r_.fault, STR_ARG(r_.why));                                                      \
        acme_free(a_);                                                                                                           \
    } while (0)

static void issues(void **state) {
    struct acme_config c = config();
    struct acme *a = acme_new(&c);
    struct acme_result r =
        RUN(a, DIRECTORY, NONCE, ACCOUNT, ORDER, {"POST", "/authz/1", 200, offers}, {"POST", "/c/1", 200, "{}"},
            {"POST", "/authz/1", 200, waits}, {"POST", "/authz/1", 200, passed}, {"POST", "/end/1", 200, processing},
            {"POST", "/order/1", 200, processing}, {"POST", "/order/1", 200, valid}, {"POST", "/cert/1", 200, chain});
    assert_int_equal(r.fault, ACME_FAULT_NONE);
    assert_true(str_eqc(r.chain, chain) && str_eqc(r.account, "https://ca.test/acct/7") && r.informs);
    assert_int_equal(proofs, 1);
    assert_int_equal(proved, ACME_HTTP_01);
    acme_free(a);
    c.account = STR("https://ca.test/acct/7"), c.challenge = ACME_TLS_ALPN_01, c.certificate = STR("aa.bb");
    a = acme_new(&c); /* known there already; a nonce that is refused; replaced meanwhile; ready at once */
    r = RUN(a, DIRECTORY, NONCE, {"POST", "/order", 400, PROBLEM("badNonce", "")},
            {"POST", "/order", 409, PROBLEM("alreadyReplaced", "")}, {"POST", "/order", 201, ready, "https://ca.test/order/1"},
            {"POST", "/end/1", 200, valid}, {"POST", "/cert/1", 200, chain});
    assert_int_equal(r.fault, ACME_FAULT_NONE);
    assert_int_equal(proofs, 0);
    acme_free(a);
    a = acme_new(&c); /* silence and a moment's trouble are waited for */
    r = RUN(a, {0}, DIRECTORY, NONCE, {"POST", "/order", 503, "", NULL, "2"}, ORDER, {"POST", "/authz/1", 200, offers},
            {"POST", "/c/2", 200, "{}"}, {"POST", "/authz/1", 200, passed}, {"POST", "/end/1", 200, valid},
            {"POST", "/cert/1", 200, chain});
    assert_int_equal(r.fault, ACME_FAULT_NONE);
    assert_int_equal(proved, ACME_TLS_ALPN_01);
    acme_free(a);
}

static void binds(void **state) {
    struct acme_config c = config();
    c.binding = STR("kid-1");
    struct acme *a = acme_new(&c);
    struct acme_result r = RUN(a, DIRECTORY, NONCE, ACCOUNT, {"POST", "/order", 201, ready, "https://ca.test/order/1"},
                               {"POST", "/end/1", 200, valid}, {"POST", "/cert/1", 200, chain});
    assert_true(r.fault == ACME_FAULT_NONE && macs == 1 && signatures == 4);
    acme_free(a);
}

static void informs(void **state) {
    struct acme_config c = config();
    c.request = (str){0}, c.certificate = STR("aa.bb");
    struct acme *a = acme_new(&c);
    struct acme_result r = RUN(a, DIRECTORY,
                               {"GET", "/info/aa.bb", 200,
                                "{\"suggestedWindow\":{\"start\":\"2026-12-01T00:00:00Z\",\"end\":\"2026-12-02T00:00:00.5+01:"
                                "00\"},\"explanationURL\":\"https://x.test/why\"}",
                                NULL, "21600"});
    assert_true(r.from_s == 1'796'083'200 && r.to_s == 1'796'166'000 && r.retry_s == 21600 &&
                str_eqc(r.explained, "https://x.test/why"));
    acme_free(a);
}

static void refuses(void **state) {
    arena *mem = arena_new(0);
    struct acme_config c = config();
    FAILS(ACME_FAULT_HOST, "10.0.0.1: refused ", DIRECTORY, NONCE, ACCOUNT, ORDER, {"POST", "/authz/1", 200, offers},
          {"POST", "/c/1", 200, "{}"}, {"POST", "/authz/1", 200, not_passed});
    FAILS(ACME_FAULT_LATER, "HTTP 429: rateLimited: too many", DIRECTORY, NONCE, ACCOUNT,
          {"POST", "/order", 429, PROBLEM("rateLimited", "too many"), NULL, "3600"});
    FAILS(ACME_FAULT_AWAY, "no?route", {0}, {0}, {0}, {0});
    FAILS(ACME_FAULT_AWAY, "HTTP 500", {"GET", "/dir", 500, "x"}, {"GET", "/dir", 500, "x"}, {"GET", "/dir", 500, "x"},
          {"GET", "/dir", 500, "x"});
    FAILS(ACME_FAULT_AWAY, "leads elsewhere", {"GET", "/dir", 302, "", "https://evil.test/"});
    FAILS(ACME_FAULT_AWAY, "leads elsewhere", {"GET", "/dir", 200, "{\"newNonce\":\"https://evil.test/nonce\"}"});
    FAILS(ACME_FAULT_AWAY, "leads elsewhere", {"GET", "/dir", 200, "{\"newNonce\":\"http://ca.test/nonce\"}"});
    FAILS(ACME_FAULT_AWAY, "names none", {"GET", "/dir", 200, "{\"newNonce\":7}"});
    FAILS(ACME_FAULT_AWAY, "no JSON", {"GET", "/dir", 200, "<html>"}, {"GET", "/dir", 200, ""},
          {"GET", "/dir", 200, "[[[[[[[[[[]]]]]]]]]]"}, {"GET", "/dir", 200, "{"});
    FAILS(ACME_FAULT_AWAY, "another host", DIRECTORY, NONCE, ACCOUNT, ORDER,
          {"POST", "/authz/1", 200, "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"bank.test\"}}"});
    FAILS(ACME_FAULT_AWAY, "no token", DIRECTORY, NONCE, ACCOUNT, ORDER,
          {"POST", "/authz/1", 200,
           "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"shop.test\"},\"challenges\":[{\"type\":\"http-"
           "01\",\"token\":\"../../etc/passwd-and-more\"}]}"});
    FAILS(ACME_FAULT_AWAY, "other than one", DIRECTORY, NONCE, ACCOUNT,
          {"POST", "/order", 201, "{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"https://ca.test/end/1\"}",
           "https://ca.test/order/1"});
    FAILS(ACME_FAULT_AWAY, "no chain", DIRECTORY, NONCE, ACCOUNT, {"POST", "/order", 201, ready, "https://ca.test/order/1"},
          {"POST", "/end/1", 200, valid},
          {"POST", "/cert/1", 200, "-----BEGIN PRIVATE KEY-----\nMTIz\n-----END PRIVATE KEY-----\n"});
    c.terms = false;
    FAILS(ACME_FAULT_ACCOUNT, "https://ca.test/terms", DIRECTORY);
    c.terms = true, c.account = STR("https://ca.test/acct/7");
    FAILS(ACME_FAULT_ACCOUNT, "accountDoesNotExist", DIRECTORY, NONCE,
          {"POST", "/order", 400, PROBLEM("accountDoesNotExist", "")});
    c.directory = STR("http://ca.test/dir");
    FAILS(ACME_FAULT_OWN, "directory's address");
    arena_free(mem);
}

/* An authority that says the same for ever. */
static void ends(void **state) {
    struct acme_config c = config();
    for (int how = 0; how < 3; how++) {
        struct acme *a = acme_new(&c);
        int requests = 0;
        while (acme_wants(a) < ACME_WANTS_DONE) {
            switch (acme_wants(a)) {
            case ACME_WANTS_HTTP: {
                str path = acme_request(a).path;
                struct acme_answer r = {200, STR("n"), STR("https://ca.test/x"), {0}, str_c(directory), false};
                assert_true(++requests <= ACME_STEPS_MAX);
                if (how == 0 && str_eqc(path, "/account")) r.status = 400, r.body = STR(PROBLEM("badNonce", ""));
                else if (str_eqc(path, "/order")) r.status = 201, r.body = str_c(pending);
                else if (str_starts(path, STR("/authz"))) r.body = how == 1 || requests < 6 ? str_c(offers) : str_c(passed);
                else if (str_starts(path, STR("/end")) || str_eqc(path, "/x")) r.body = str_c(processing);
                acme_answered(a, &r, 1);
                break;
            }
            case ACME_WANTS_PROVE: acme_proven(a, (str){0}); break;
            case ACME_WANTS_WAIT: acme_waited(a); break;
            default: acme_signed(a, STR("s"));
            }
        }
        assert_int_equal(acme_wants(a), ACME_WANTS_FAILED);
        acme_free(a);
    }
}

static void reads_texts(void **state) {
    uint64_t s;
    arena *mem = arena_new(0);
    str der[ACME_CHAIN_CERTS_MAX];
    assert_true(acme_time(STR("1970-01-01T00:00:00Z"), &s) && s == 0);
    assert_true(acme_time(STR("2024-02-29T12:00:00.123456-08:00"), &s) && s == 1'709'236'800);
    assert_false(acme_time(STR("2024-02-29 12:00:00Z"), &s) || acme_time(STR("2024-13-01T00:00:00Z"), &s) ||
                 acme_time(STR("2024-01-01T00:00:00"), &s));
    assert_int_equal(acme_retry_after_s(STR("120"), 5), 120);
    assert_int_equal(acme_retry_after_s(STR("Thu, 01 Jan 1970 00:02:00 GMT"), 60), 60);
    assert_int_equal(acme_retry_after_s(STR("99999999999"), 60), 31 * 86'400);
    assert_int_equal(acme_retry_after_s(STR("soon"), 60), 0);
    assert_true(acme_url_is(STR("https://a.test:14000/x?y")) && !acme_url_is(STR("https://u@a.test/x")) &&
                !acme_url_is(STR("https:///x")) && !acme_url_is(STR("https://a.test/x y")) &&
                !acme_url_is(STR("https://a.test\\@b.test/")));
    assert_int_equal(acme_chain_read(mem, str_c(chain), der), 2);
    assert_true(str_eqc(der[0], "123456") && str_eqc(der[1], "1"));
    assert_int_equal(acme_chain_read(mem, STR("-----BEGIN CERTIFICATE-----\nMTI!\n-----END CERTIFICATE-----\n"), der), 0);
    assert_int_equal(acme_chain_read(mem, STR("hello"), der), 0);
    /* RFC 9773 §4.1's own example */
    static const uint8_t id[] = {0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3,
                                 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4},
                         serial[] = {0x00, 0x87, 0x65, 0x43, 0x21};
    char name[ACME_CERTIFICATE_MAX];
    assert_true(acme_certificate_name((str){id, sizeof id}, (str){serial, sizeof serial}, name));
    assert_string_equal(name, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    arena_free(mem);
}

static void makes_requests(void **state) {
    struct crypto_request r;
    uint8_t digest[32] = {1};
    str value;
    bool critical;
    assert_true(crypto_request_make(STR("shop.example.org"), &r) && r.made[0] == 0x30 && r.secret[0] == 0x30);
    assert_false(crypto_request_make(STR("a,DNS:b.test"), &r) || crypto_request_make(STR("*.a.test"), &r) ||
                 crypto_request_make(STR(""), &r));
    assert_true(crypto_challenge_make(STR("shop.example.org"), digest, &r));
    struct crypto_cert *cert = crypto_cert_read((str){r.made, r.made_n});
    assert_non_null(cert);
    assert_true(crypto_cert_extension(cert, "1.3.6.1.5.5.7.1.31", &critical, &value) && critical && value.n == 34 &&
                value.p[2] == 1);
    assert_true(crypto_cert_signed_by(cert, cert));
    crypto_cert_free(cert);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(issues),        cmocka_unit_test(binds), cmocka_unit_test(informs),
                                       cmocka_unit_test(refuses),       cmocka_unit_test(ends),  cmocka_unit_test(reads_texts),
                                       cmocka_unit_test(makes_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
