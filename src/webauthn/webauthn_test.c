/* What the specification's own examples say, each byte of them changed, and CBOR that is none. */
#include "webauthn/webauthn_int.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct vector {
    const char *name, *why, *challenge, *client, *object, *challenge2, *client2, *data, *signature;
} vectors[] = {
#define X(...) {__VA_ARGS__},
#include "webauthn/vectors.def"
#undef X
};
enum { NOW = 1'750'000'000 };
static str origins[] = {STR_INIT("https://example.org"), STR_INIT("https://other.example")};
static arena *mem;

static str bytes_of(const char *hex) {
    size_t n = strlen(hex) / 2;
    uint8_t *p = arena_alloc(mem, n + 1, 1);
    assert_true(str_to_bytes((str){(const uint8_t *)hex, 2 * n}, p, n));
    return (str){p, n};
}

/* As a challenge is sent. */
static str base64url(str bytes) {
    static const char of[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct buf b = {0};
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = MIN(bytes.n - i, (size_t)3);
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (n > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) | (n > 2 ? bytes.p[i + 2] : 0);
        for (size_t k = 0; k <= n; k++) buf_putc(&b, (uint8_t)of[v >> (18 - 6 * k) & 63]);
    }
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct webauthn_party party(const char *challenge) {
    return (struct webauthn_party){.id = STR("example.org"),
                                   .origins = origins,
                                   .origins_count = 2,
                                   .challenge = base64url(bytes_of(challenge)),
                                   .now_s = NOW};
}

static struct webauthn_kept kept_of(const struct webauthn_credential *c) {
    return (struct webauthn_kept){
        .key = c->key, .count = c->count, .backup_eligible = c->flags.backup_eligible, .eligible_known = true};
}

static void test_vectors(void **state) {
    uint32_t taken = 0;
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct webauthn_party p = party(v->challenge);
        struct webauthn_credential c;
        struct webauthn_signed s;
        const char *why = NULL;
        bool ok = webauthn_register(mem, &p, bytes_of(v->client), bytes_of(v->object), &c, &why);
        if (v->why) {
            if (ok || strcmp(why, v->why) != 0) fail_msg("%s: %s", v->name, ok ? "is taken" : why);
            continue;
        }
        if (!ok) fail_msg("%s: %s", v->name, why);
        size_t format = strcspn(v->name, "-");
        assert_true(strlen(c.format) == format && !memcmp(c.format, v->name, format));
        struct webauthn_kept kept = kept_of(&c);
        p = party(v->challenge2);
        if (!webauthn_sign_in(mem, &p, &kept, bytes_of(v->client2), bytes_of(v->data), bytes_of(v->signature), &s, &why))
            fail_msg("%s: %s", v->name, why);
        taken++;
    }
    assert_true(taken >= 8);
}

/* Of what is signed, no byte can be another one. */
static void test_changed(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        if (v->why) continue;
        struct webauthn_party p = party(v->challenge), p2 = party(v->challenge2);
        struct webauthn_credential c, c2;
        struct webauthn_signed s;
        const char *why;
        str client = bytes_of(v->client), object = bytes_of(v->object),
            parts[] = {bytes_of(v->client2), bytes_of(v->data), bytes_of(v->signature)};
        assert_true(webauthn_register(mem, &p, client, object, &c, &why));
        struct webauthn_kept kept = kept_of(&c);
        for (int k = 0; k < 3; k++)
            for (size_t at = 0; at < parts[k].n; at++) {
                ((uint8_t *)(uintptr_t)parts[k].p)[at] ^= 1;
                if (webauthn_sign_in(mem, &p2, &kept, parts[0], parts[1], parts[2], &s, &why))
                    fail_msg("%s: part %d may have byte %zu changed", v->name, k, at);
                ((uint8_t *)(uintptr_t)parts[k].p)[at] ^= 1;
            }
        for (size_t n = 0; n < object.n; n++) assert_false(webauthn_register(mem, &p, client, str_sub(object, 0, n), &c2, &why));
        if (!strcmp(c.attestation, "none")) continue;
        size_t held = 0; /* x5c's later certificates, and what is in the first one beside what it has to say */
        for (size_t at = 0; at < object.n; at++) {
            ((uint8_t *)(uintptr_t)object.p)[at] ^= 0x10;
            held += !webauthn_register(mem, &p, client, object, &c2, &why);
            ((uint8_t *)(uintptr_t)object.p)[at] ^= 0x10;
        }
        if (held * 2 < object.n) fail_msg("%s: %zu of %zu changes are refused", v->name, held, object.n);
    }
}

static void refused(const struct vector *v, const struct webauthn_party *p, const char *says) {
    struct webauthn_credential c;
    const char *why = "";
    if (webauthn_register(mem, p, bytes_of(v->client), bytes_of(v->object), &c, &why)) fail_msg("is taken: %s", says);
    if (!strstr(why, says)) fail_msg("says: %s, not: %s", why, says);
}

static void test_party(void **state) {
    const struct vector *v = &vectors[0];
    struct webauthn_party p = party(v->challenge);
    p.id = STR("example.com");
    refused(v, &p, "another domain");
    p = party(v->challenge), p.origins = origins + 1, p.origins_count = 1;
    refused(v, &p, "the page is none that may ask");
    p = party(v->challenge), p.origins_count = 0;
    refused(v, &p, "the page is none that may ask");
    p = party(v->challenge2);
    refused(v, &p, "the challenge is another one");
    p = party(v->challenge), p.challenge = (str){0};
    refused(v, &p, "the challenge is another one");
    /* a sign-in is no registration */
    struct webauthn_credential c;
    const char *why;
    p = party(v->challenge2);
    assert_false(webauthn_register(mem, &p, bytes_of(v->client2), bytes_of(v->object), &c, &why));
    assert_string_equal(why, "the client data is of another ceremony");
}

static void test_counters(void **state) {
    const struct vector *v = &vectors[0];
    struct webauthn_party p = party(v->challenge), p2 = party(v->challenge2);
    struct webauthn_credential c;
    struct webauthn_signed s;
    const char *why;
    assert_true(webauthn_register(mem, &p, bytes_of(v->client), bytes_of(v->object), &c, &why));
    struct webauthn_kept kept = kept_of(&c);
    kept.count = 5;
    assert_false(webauthn_sign_in(mem, &p2, &kept, bytes_of(v->client2), bytes_of(v->data), bytes_of(v->signature), &s, &why));
    assert_true(strstr(why, "counter") != NULL);
    kept.count = 0, kept.backup_eligible = !kept.backup_eligible;
    assert_false(webauthn_sign_in(mem, &p2, &kept, bytes_of(v->client2), bytes_of(v->data), bytes_of(v->signature), &s, &why));
    assert_true(strstr(why, "(BE)") != NULL);
    kept.eligible_known = false; /* of a GoTrue's that did not keep it */
    assert_true(webauthn_sign_in(mem, &p2, &kept, bytes_of(v->client2), bytes_of(v->data), bytes_of(v->signature), &s, &why));
}

static void test_cbor(void **state) {
    static const char *const bad[] = {"",
                                      "ff",
                                      "1c",
                                      "1b",
                                      "5f4100ff" /* no length */,
                                      "5a7fffffff00",
                                      "a1",
                                      "a10101ff",
                                      "a201010102" /* a key twice */,
                                      "a1016000" /* something behind it */,
                                      "c100" /* a tag */,
                                      "f90000",
                                      "fb0000000000000000",
                                      "f7",
                                      "62c328" /* no UTF-8 */,
                                      "9affffffff",
                                      "1bffffffffffffffff",
                                      "818181818181818181818100" /* deep */,
                                      "b9ffff"};
    static const char *const good[] = {
        "00", "20", "40", "60", "80", "a0", "f4", "f6", "1b7fffffffffffffff", "a2010102a10304", "8181818181818100"};
    struct webauthn_cbor item;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (webauthn_cbor_whole(bytes_of(bad[i]), &item)) fail_msg("%s is taken", bad[i]);
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        if (!webauthn_cbor_whole(bytes_of(good[i]), &item)) fail_msg("%s is refused", good[i]);
}

static void test_keys(void **state) {
    static const char *const bad[] = {
        "a0",
        "a201020326" /* no point */,
        "a50102032620012158200000000000000000000000000000000000000000000000000000000000000001225820000000000000000000000000000000"
        "000000000000000000"
        "0000000000000001" /* not of the curve */,
        "a4010103272006215820d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f70751" /* cut off */,
        "a301030339010020" /* RSA without a modulus */,
        "a40103033901002043010001214101" /* and a small one */};
    struct webauthn_key key;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (webauthn_key_read(mem, bytes_of(bad[i]), &key)) fail_msg("%s is taken", bad[i]);
    /* RFC 8032 §7.1, test 1: a key of Ed25519 */
    assert_true(webauthn_key_read(
        mem, bytes_of("a4010103272006215820d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"), &key));
    assert_int_equal(key.algorithm, CRYPTO_COSE_EDDSA);
}

static int begin(void **state) {
    mem = arena_new(0);
    return 0;
}
static int end(void **state) {
    arena_free(mem);
    return 0;
}

/* By hand: answers that real authenticators gave, a line each: name, challenge, client data, attestation object (hexadecimal), origin, rpId, when; with tabs between. */
static int replay(const char *path) {
    char line[1 << 16];
    FILE *f = fopen(path, "r");
    uint32_t taken = 0, all = 0;
    if (!f) return 1;
    for (; fgets(line, sizeof line, f); all++) {
        char *at = line, *part[7] = {0};
        for (int i = 0; i < 7 && at; i++) part[i] = strsep(&at, "\t");
        if (!part[6]) break;
        arena *own = mem = arena_new(0);
        str origin = str_c(part[4]);
        struct webauthn_party p = {
            .id = str_c(part[5]), .origins = &origin, .origins_count = 1, .challenge = str_c(part[1]), .now_s = atoll(part[6])};
        struct webauthn_credential c;
        const char *why = "";
        bool ok = webauthn_register(mem, &p, bytes_of(part[2]), bytes_of(part[3]), &c, &why);
        printf("%s %s: %s\n", ok ? "taken  " : "refused", part[0], ok ? c.attestation : why);
        taken += ok;
        arena_free(own);
    }
    fclose(f);
    printf("%u of %u are taken\n", taken, all);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2) return replay(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vectors, begin, end), cmocka_unit_test_setup_teardown(test_changed, begin, end),
        cmocka_unit_test_setup_teardown(test_party, begin, end),   cmocka_unit_test_setup_teardown(test_counters, begin, end),
        cmocka_unit_test_setup_teardown(test_cbor, begin, end),    cmocka_unit_test_setup_teardown(test_keys, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
