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

/* RFC 4231, test case 2. */
static void test_hmac(void **state) {
    uint8_t got[32], want[32];
    crypto_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), got);
    unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", want, 32);
    assert_memory_equal(got, want, 32);
}

/* The GCM specification's test case 16; and what was sealed here is of no use to others, in another place, or changed. */
static void test_seal(void **state) {
    uint8_t key[32], about[20], known[12 + 60 + 16], plain[60], out[60];
    unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key, 32);
    unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", about, 20);
    unhex("cafebabefacedbaddecaf888522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10568288"
          "38c5f61e63"
          "93ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
          known, sizeof known);
    unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b"
          "39",
          plain, sizeof plain);
    assert_true(crypto_unseal(key, (str){about, 20}, (str){known, sizeof known}, out));
    assert_memory_equal(out, plain, sizeof plain);
    uint8_t one[12 + 60 + 16], two[12 + 60 + 16];
    crypto_seal(key, STR("a"), (str){plain, 60}, one), crypto_seal(key, STR("a"), (str){plain, 60}, two);
    assert_memory_not_equal(one, two, sizeof one);
    assert_true(crypto_unseal(key, STR("a"), (str){one, sizeof one}, out));
    assert_memory_equal(out, plain, sizeof plain);
    assert_false(crypto_unseal(key, STR("b"), (str){one, sizeof one}, out));
    assert_false(crypto_unseal(key, STR("a"), (str){one, 27}, out));
    for (size_t i = 0; i < sizeof one; i++) {
        one[i] ^= 4;
        assert_false(crypto_unseal(key, STR("a"), (str){one, sizeof one}, out));
        one[i] ^= 4;
    }
    assert_int_equal(out[0], 0);
    crypto_seal(key, (str){0}, (str){0}, one);
    assert_true(crypto_unseal(key, (str){0}, (str){one, 28}, out));
    key[31] ^= 1;
    assert_false(crypto_unseal(key, (str){0}, (str){one, 28}, out));
}

/* A key and a signature of openssl's. */
static void test_rs256(void **state) {
    static uint8_t n[257], signature[256], e[] = {0, 1, 0, 1};
    n[0] = 0;
    unhex("d2f8c6931529ac7749501448953eba2444560ac918e5b946eafca7bf023f4ff14a454db5f29337a9318e11d3c959cc6a0c9c"
          "4f3a5050b1fa4b6a434cb80a96b12c155ac45b6a322955398ba7d8af84b4799e2a5e0ccf821c5427f2615acb2aec8e236cf8"
          "a1e88e7f6220a55582bda444fa40f7879a6164fe205685220d4c6d94a1168d389103dfdb900914c0689c1e9a64b33acbf7c6"
          "15b307b16f552357cdce51e4e6dbf7ebc6be1e203e5c15ec28dc304888a04b9dc33b9b08f6a07a74b71572936627215769e8"
          "b6524d66ea5bd7ec99b8369298f68173fe718a85588f08775d071128dcdb719c017a8be437a6a8dc93a7a3fb8472c1b21410"
          "34be3f1c3755",
          n + 1, 256);
    unhex("19f7dcff3cac4b62cfdad003ee9046bdc3eef661842df42493946fae3dff28847b99cdf5d92891241c2c3d80e0ec9709de6e"
          "95016c59b5cb183889d969d44a568d3cb902ccfe0542de4205364c48273a7b7147ab3f36210ef6cb8e6f7a0bccb1365eb172"
          "e73e9d54f39751254dc4561f8dc640ff8595388bd5a26f0a106f72fa9ead0e8c6511685be6d425f71dba5dd70fa2d4562610"
          "c6f5ae3620097e2e46698b89f72ed9d5f0fabf1c1cf163511501d230bc3e139b5c7e41fc1c37b18318ea10b86468f78c1594"
          "d902c0386861a61d505cdfb57b887ba47ead716409f33fe8a38f923d1574f5ae3d32d892f8faba196dc6baa4625636d46580"
          "171e624378f8",
          signature, 256);
    static const char text[] = "The true sign of intelligence";
    struct crypto_rs256 *k = crypto_rs256_public((str){n, 257}, (str){e, 4});
    assert_non_null(k);
    assert_true(crypto_rs256_verify(k, str_c(text), (str){signature, 256}));
    assert_false(crypto_rs256_verify(k, str_c("the true sign of intelligence"), (str){signature, 256}));
    assert_false(crypto_rs256_verify(k, str_c(text), (str){signature, 255}) || crypto_rs256_verify(k, str_c(text), (str){0}));
    for (size_t i = 0; i < sizeof signature; i += 5) {
        signature[i] ^= 1;
        assert_false(crypto_rs256_verify(k, str_c(text), (str){signature, 256}));
        signature[i] ^= 1;
    }
    crypto_rs256_free(k);
    assert_null(crypto_rs256_public((str){n + 129, 128}, (str){e, 4})); /* of 1024 bits */
    assert_null(crypto_rs256_public((str){n, 257}, (str){0}));
    assert_null(crypto_rs256_public((str){n, 257}, (str){e + 1, 1})); /* 1: everything is its own signature */
    assert_null(crypto_rs256_public((str){0}, (str){e, 4}));
}

static void test_pem(void **state) {
    static const char *const good[] = {
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2h4eQBfM6j+g5evd\n"
        "9WJ/"
        "rtXT1Ud796DpqSJvo78DFF2hRANCAAS1Nmjf822CNFIK0efyAx8kuEqXFgrf\nLWsyQMUfI1r+fNFToyBzbgQIBgtZuuUTgOzHUXgvairOVTaNnxDtJAUI\n"
        "-----END PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEINoeHkAXzOo/oOXr3fVif67V09VHe/eg6akib6O/AxRdoAoGCCqGSM49\n"
        "AwEHoUQDQgAEtTZo3/NtgjRSCtHn8gMfJLhKlxYK3y1rMkDFHyNa/nzRU6Mgc24E\nCAYLWbrlE4Dsx1F4L2oqzlU2jZ8Q7SQFCA==\n"
        "-----END EC PRIVATE KEY-----\n",
    };
    static const char other_curve[] =
        "-----BEGIN EC PRIVATE KEY-----\nMIGkAgEBBDBI6R0AmRh960TTiECaZJi8fl0Qu7CyQaUBL7VLlPf8TgqLzC/XtcWp\n"
        "h5FkuA0qUwigBwYFK4EEACKhZANiAASpMMfgu4lkWZMBdoahm1QuVwK+kM4TRvAG\nRuZtCKuXCWqqUPwG1O0lWQkpvT3Gj353DFCSA5WhtF7+"
        "p8ivLHDIaoX9jrnFe33c\n"
        "xMXbYF1xAZaR7onPcwgHcZlH1VRqg0w=\n-----END EC PRIVATE KEY-----\n";
    uint8_t secret[32], known[32];
    unhex("da1e1e4017ccea3fa0e5ebddf5627faed5d3d5477bf7a0e9a9226fa3bf03145d", known, 32);
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(crypto_es256_of_pem(str_c(good[i]), secret));
        assert_memory_equal(secret, known, 32);
    }
    assert_false(crypto_es256_of_pem(str_c(other_curve), secret) || crypto_es256_of_pem(STR("x"), secret) ||
                 crypto_es256_of_pem((str){0}, secret));
}

/* What others signed is verified; and what is signed here holds, and nothing near it. */
struct pair_case {
    enum crypto_pair_kind kind;
    const char *text, *secret, *public, *signature; /* in hexadecimal; secret NULL: it is nobody's here */
};
static str bytes_of(const char *hex, uint8_t *to) {
    unhex(hex, to, strlen(hex) / 2);
    return (str){to, strlen(hex) / 2};
}

static void no_other(struct crypto_pair *k, str text, const uint8_t *good, size_t n) {
    uint8_t bent[CRYPTO_PAIR_SIGNATURE_MAX + 1] = {0};
    memcpy(bent, good, n);
    assert_true(crypto_pair_verify(k, text, (str){bent, n}));
    for (size_t i = 0; i < n; i++) {
        bent[i] ^= 1;
        if (crypto_pair_verify(k, text, (str){bent, n})) fail_msg("byte %zu", i);
        bent[i] ^= 1;
    }
    assert_false(crypto_pair_verify(k, text, (str){bent, n - 1}) || crypto_pair_verify(k, text, (str){bent, n + 1}));
    assert_false(crypto_pair_verify(k, str_sub(text, 0, text.n - 1), (str){bent, n}) || crypto_pair_verify(k, text, (str){0}));
    for (int fill = 0; fill < 256; fill += 255) {
        memset(bent, fill, n);
        assert_false(crypto_pair_verify(k, text, (str){bent, n}));
    }
}

static void test_pairs(void **state) {
    static const struct pair_case cases[] = {
        /* RFC 7515, A.3 */
        {CRYPTO_ES256,
         "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
         "8e9b109e719098bf980487df1f5d77e9cb29606ebed2263b5f57c213df84f4b2",
         "047fcdce2770f6c45d4183cbee6fdb4b7b580733357be9ef13bacf6e3c7bd15445c7f144cd1bbd9b7e872cdfedb9eeb9f4b3695d6ea9"
         "0b24ad8a4623288588e5ad",
         "0ed1215379636c483c2f7f155807d402a3b228033af97c7e17819ac3169ea665c50a07d38c3c70e5d8f12daf084a5480a66590c5f293"
         "509a8f3f7f8a83a354d5"},
        /* RFC 8037, A.4 */
        {CRYPTO_EDDSA, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
         "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
         "860c98d2297f3060a33f42739672d61b53cf3adefed3d3c672f320dc021b411e9d59b8628dc351e248b88b29468e0e41855b0fb7d83bb1"
         "5be902bfccb8cd0a02"},
        /* openssl genrsa, openssl dgst -sha256 -sign */
        {CRYPTO_RS256, "header.claims", NULL,
         "00010001"
         "a725716b69f0e5941e3c55e3d5ad0224d662c08be1ed0baa2b816081c52096eece953acd6616be457519016d3cd203031a8100e2dabc55"
         "8d72f8d008d50c65f1f203e058fbde103a505f1db86010bdb0616bbc235568dfb6757f359d134be98a19fe45a282db030de4f6b1c40959"
         "f2e7ff3555596bc3eb84090ee46a2a3a3071800f1dd97cf72123eae4289eb7130aba057bc0396f79f664414036782373ee0adda877d4d5"
         "6b866ebddd0f90de530a5513d68fd8faf811ca1ce04ff0ca3059069469e9daaa541c9d5b8e370c7adbfe4c9d020967572a769403b351e7"
         "966e62006625e2a945f5da7551483a142d34c64c9af801f450cc30148146e69c45a3eaf9",
         "1427651f8c86576fe57f1fb3449f38887251b23daaf3d0978cbc496bbff3a01929e3c605666449d7a789c2bdcadc38e57793a298203fc4"
         "8a5adcbe9d491422fc1e18f57e45f4a7f8770b7bcbed6b5b17690346844da1a7270dc1cc4c9efac7ab95d9fe92ea5437161142e28860a5"
         "388c5290e8166d8705aee18f970b804b890fdb2c0538a3b69b10441f3f47151e4cc75a4002b892903323f1893836eef8702d8adc9742bc"
         "5918c45aa7106df6799d1161016db13635661f303601d5603bfee8759baa09b9895c1a0b8beab45c5a2bbf9d062b7ecbf84f8ebdb853ae"
         "5a6b84f9ef6ab2471d290d9b2b852b688ee02f2af8792695b3d3285848458d3fc8677584"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct pair_case *c = &cases[i];
        uint8_t secret[CRYPTO_PAIR_SECRET_MAX], public[CRYPTO_PAIR_PUBLIC_MAX], signature[CRYPTO_PAIR_SIGNATURE_MAX];
        uint8_t found[CRYPTO_PAIR_PUBLIC_MAX];
        size_t n;
        str theirs = bytes_of(c->signature, signature), half = bytes_of(c->public, public), text = str_c(c->text);
        struct crypto_pair *k = crypto_pair_verifier(c->kind, half);
        assert_non_null(k);
        no_other(k, text, theirs.p, theirs.n);
        if (c->secret) {
            assert_true(crypto_pair_public(c->kind, bytes_of(c->secret, secret), found, &n) && str_eq((str){found, n}, half));
            struct crypto_pair *own = crypto_pair_signer(c->kind, (str){secret, strlen(c->secret) / 2});
            assert_non_null(own);
            n = crypto_pair_sign(own, text, signature);
            no_other(k, text, signature, n);
            crypto_pair_free(own);
        }
        crypto_pair_free(k);
        for (int other = 0; other < CRYPTO_PAIR_KINDS; other++) /* of one kind alone */
            if (other != (int)c->kind) assert_null(crypto_pair_verifier((enum crypto_pair_kind)other, half));
        assert_null(crypto_pair_verifier(c->kind, str_sub(half, 0, half.n - 1)));
        assert_null(crypto_pair_verifier(c->kind, (str){0}));
    }
}

static void test_pairs_made(void **state) {
    for (int kind = 0; kind < CRYPTO_PAIR_KINDS; kind++) {
        uint8_t secret[CRYPTO_PAIR_SECRET_MAX], public[CRYPTO_PAIR_PUBLIC_MAX], signature[CRYPTO_PAIR_SIGNATURE_MAX];
        size_t secret_n, public_n;
        crypto_pair_make((enum crypto_pair_kind)kind, secret, &secret_n);
        assert_true(crypto_pair_public((enum crypto_pair_kind)kind, (str){secret, secret_n}, public, &public_n));
        struct crypto_pair *own = crypto_pair_signer((enum crypto_pair_kind)kind, (str){secret, secret_n});
        struct crypto_pair *k = crypto_pair_verifier((enum crypto_pair_kind)kind, (str){public, public_n});
        assert_true(own && k);
        for (int i = 0; i < 300; i++) { /* of numbers that begin with zeroes, too */
            uint8_t text[4] = {(uint8_t)i, (uint8_t)(i >> 8)};
            size_t n = crypto_pair_sign(own, (str){text, sizeof text}, signature);
            assert_true(n && crypto_pair_verify(k, (str){text, sizeof text}, (str){signature, n}));
            if (kind == CRYPTO_RS256 && i == 20) break; /* they take long */
        }
        size_t n = crypto_pair_sign(own, (str){0}, signature);
        assert_true(crypto_pair_verify(k, (str){0}, (str){signature, n}));
        crypto_pair_free(own), crypto_pair_free(k);
        assert_null(crypto_pair_signer((enum crypto_pair_kind)kind, (str){secret, secret_n - 1}));
        assert_null(crypto_pair_signer((enum crypto_pair_kind)kind, (str){0}));
        if (kind != CRYPTO_RS256) continue;
        secret[2 + 100] ^= 4; /* of n, which the others do not belong to then */
        assert_null(crypto_pair_signer(CRYPTO_RS256, (str){secret, secret_n}));
        public[3] = 1; /* e: every message is its own signature */
        public[1] = 0;
        assert_null(crypto_pair_verifier(CRYPTO_RS256, (str){public, public_n}));
        assert_null(crypto_pair_verifier(CRYPTO_RS256, (str){public, 4 + 128})); /* 1024 bits */
    }
    uint8_t bad[65] = {0};
    assert_null(crypto_pair_signer(CRYPTO_ES256, (str){bad, 32}));
    assert_null(crypto_pair_verifier(CRYPTO_ES256, (str){bad, 65}));
    memset(bad, 255, sizeof bad);
    assert_null(crypto_pair_signer(CRYPTO_ES256, (str){bad, 32})); /* above the order */
    bad[0] = 4;
    assert_null(crypto_pair_verifier(CRYPTO_ES256, (str){bad, 65})); /* no point of the curve */
}

/* Firebase's is github.com/firebase/scrypt's own example; PBKDF2 and scrypt by Python's hashlib, bcrypt by crypt(3), argon2 by GoTrue's tests. */
static void test_imported(void **state) {
    static const struct {
        const char *password, *hash;
    } rows[] = {
        {"user1password",
         "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk="
         "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA"
         "==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="},
        {"correct horse", "$pbkdf2-sha1$i=1000,l=20$c2FsdHNhbHQ$wQoBU7GXMNo2CJC+raijrf6key4"},
        {"correct horse", "$pbkdf2$1000$c2FsdHNhbHQ$wQoBU7GXMNo2CJC.raijrf6key4"},
        {"correct horse", "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHQ$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0"},
        {"correct horse", "$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHQ$"
                          "+sUSD8jw4f8ns7m9b7kj8PeJLe8lJXO8Am09BLgO79kST9D/Ija5aKINGF5Xg7hkKXw1+fNhBzzJP3eIXcWXww"},
        {"correct horse", "$pbkdf2-sha256$1000$....c2FsdA$tzPqW15p.F4O/3UpWO5fpFQougyxC17JWl2NF8LRF50"},
        {"correct horse", "$scrypt$ln=10,r=8,p=2$c2FsdHNhbHQ$pgTH35FeNNXwG5ureqpnYYJY0IcDBi+8uqpoevyM6R0"},
        {"test", "$argon2i$v=19$m=16,t=2,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g"},
        {"test", "$argon2id$v=19$m=32,t=3,p=2$SFVpOWJ0eXhjRzVkdGN1RQ$RXnb8rh7LaDcn07xsssqqulZYXOM/EUCEFMVcAcyYVk"},
        {"correct horse", "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"},
    };
    char wrong[CRYPTO_HASH_TEXT_MAX];
    bool old;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        size_t n = strlen(rows[i].hash);
        assert_int_equal(crypto_hash_known(str_c(rows[i].hash)), CRYPTO_HASH_OK);
        assert_true(crypto_password_is(str_c(rows[i].password), rows[i].hash, 2, 19456, &old) && old);
        assert_false(crypto_password_is(STR("wrong"), rows[i].hash, 2, 19456, &old));
        assert_false(crypto_password_is((str){0}, rows[i].hash, 2, 19456, &old));
        for (size_t cut = 0; cut < (size_t)(strrchr(rows[i].hash, '$') - rows[i].hash) + 20; cut++) {
            memcpy(wrong, rows[i].hash, cut), wrong[cut] = 0;
            assert_false(crypto_password_is(str_c(rows[i].password), wrong, 2, 19456, &old)); /* no part of one lets in */
        }
        memcpy(wrong, rows[i].hash, n + 1), wrong[n - 8] = wrong[n - 8] == 'A' ? 'B' : 'A';
        assert_false(crypto_password_is(str_c(rows[i].password), wrong, 2, 19456, &old));
    }
    static const struct {
        const char *hash;
        enum crypto_hash is;
    } bounds[] = {
        {"", CRYPTO_HASH_UNKNOWN},
        {"-", CRYPTO_HASH_UNKNOWN},
        {"plain", CRYPTO_HASH_UNKNOWN},
        {"$1$salt$qJH7.N4xYta3aEG/dfqo/0", CRYPTO_HASH_UNKNOWN},
        {"$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6", CRYPTO_HASH_UNKNOWN},
        {"$2b$03$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", CRYPTO_HASH_UNKNOWN},
        {"$2b$31$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", CRYPTO_HASH_DEAR},
        {"$argon2id$v=19$m=65536,t=10,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g", CRYPTO_HASH_OK},
        {"$argon2id$v=19$m=65537,t=1,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g", CRYPTO_HASH_DEAR},
        {"$argon2id$v=19$m=64,t=4000000000,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g", CRYPTO_HASH_DEAR},
        {"$argon2d$v=19$m=64,t=4,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g", CRYPTO_HASH_UNKNOWN},
        {"$scrypt$ln=17,r=8,p=1$c2FsdHNhbHQ$pgTH35FeNNXwG5ureqpnYYJY0IcDBi+8uqpoevyM6R0", CRYPTO_HASH_OK},
        {"$scrypt$ln=17,r=8,p=2$c2FsdHNhbHQ$pgTH35FeNNXwG5ureqpnYYJY0IcDBi+8uqpoevyM6R0", CRYPTO_HASH_DEAR},
        {"$scrypt$ln=63,r=18446744073709551615,p=16$c2FsdHNhbHQ$pgTH35FeNNXwG5ureqpnYYJY0IcDBi+8uqpoevyM6R0", CRYPTO_HASH_DEAR},
        {"$scrypt$ln=10,r=8,p=0$c2FsdHNhbHQ$pgTH35FeNNXwG5ureqpnYYJY0IcDBi+8uqpoevyM6R0", CRYPTO_HASH_UNKNOWN},
        {"$pbkdf2-sha256$i=2000000$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0", CRYPTO_HASH_OK},
        {"$pbkdf2-sha256$i=2000001$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0", CRYPTO_HASH_DEAR},
        {"$pbkdf2-sha1$i=1500000$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0", CRYPTO_HASH_DEAR}, /* of two blocks */
        {"$pbkdf2-md5$i=1000$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0", CRYPTO_HASH_UNKNOWN},
        {"$pbkdf2-sha256$i=1000,l=64$c2FsdA$qQDPSZa3Ormyy9oK1Pu0ZLLwP2Svzmx3yu8OvDdq/J0", CRYPTO_HASH_UNKNOWN},
        {"$pbkdf2-sha256$i=1000$c2FsdA$qQDP", CRYPTO_HASH_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bounds); i++) assert_int_equal(crypto_hash_known(str_c(bounds[i].hash)), bounds[i].is);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),   cmocka_unit_test(test_sha256_in_pieces),
        cmocka_unit_test(test_ed25519),  cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_seal),     cmocka_unit_test(test_new_keys_differ),
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_pairs_made),
        cmocka_unit_test(test_imported), cmocka_unit_test(test_rs256),
        cmocka_unit_test(test_pem),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
