/* crypto: published vectors, and that a changed bit is noticed. */
#include "crypto/crypto.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void unhex(const char *hex, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
        out[i] = (uint8_t)v;
    }
}

/* FIPS 180-4 examples. */
static void test_sha256(void **state) {
    uint8_t got[32], want[32];
    crypto_sha256(STR("abc"), got);
    unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", want, 32);
    assert_memory_equal(got, want, 32);
    crypto_sha256((str){0}, got);
    unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", want, 32);
    assert_memory_equal(got, want, 32);
}

static void test_sha256_in_pieces(void **state) {
    uint8_t whole[32], pieces[32];
    crypto_sha256(STR("The quick brown fox"), whole);
    struct crypto_sha256_stream *h = crypto_sha256_begin();
    crypto_sha256_add(h, STR("The quick"));
    crypto_sha256_add(h, (str){0});
    crypto_sha256_add(h, STR(" brown fox"));
    crypto_sha256_end(h, pieces);
    assert_memory_equal(whole, pieces, 32);
}

/* RFC 8032 §7.1, test 3. */
static void test_ed25519(void **state) {
    uint8_t seed[32], want[64], got[64];
    unhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", seed, 32);
    struct crypto_ed25519 k;
    crypto_ed25519_of_seed(seed, &k);
    unhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", want, 32);
    assert_memory_equal(k.public, want, 32);
    str message = {(const uint8_t *)"\xaf\x82", 2};
    crypto_ed25519_sign(&k, message, got);
    unhex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
          "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
          want, 64);
    assert_memory_equal(got, want, 64);
    assert_true(crypto_ed25519_verify(k.public, message, got));
    for (int bit = 0; bit < 512; bit += 7) {
        got[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(crypto_ed25519_verify(k.public, message, got));
        got[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(crypto_ed25519_verify(k.public, STR("\xaf\x83"), got));
}

static void test_new_keys_differ(void **state) {
    struct crypto_ed25519 a, b;
    crypto_ed25519_new(&a);
    crypto_ed25519_new(&b);
    assert_false(crypto_equal(a.public, b.public, 32));
    assert_true(crypto_equal(a.public, a.public, 32));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_sha256_in_pieces),
        cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_new_keys_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
