/* Fuzzing what authenticators answer. Bytes are an attestation object, a key, the data of a sign-in: whatever is taken as a credential has a key that is one, an
 * id of a length that there may be, and a statement that was held against it; nobody signs in by chance. */
#include "base/fuzz.h"
#include "webauthn/webauthn_int.h"

static const str client =
    STR_INIT("{\"type\":\"webauthn.create\",\"challenge\":\"AAAA\",\"origin\":\"https://example.org\",\"crossOrigin\":false}");
static const str client_in = STR_INIT("{\"type\":\"webauthn.get\",\"challenge\":\"AAAA\",\"origin\":\"https://example.org\"}");
static const str origin = STR_INIT("https://example.org");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    str bytes = {data, size};
    const struct webauthn_party party = {
        .id = STR("example.org"), .origins = &origin, .origins_count = 1, .challenge = STR("AAAA"), .now_s = 1'750'000'000};
    struct webauthn_credential c;
    struct webauthn_signed s;
    struct webauthn_cbor item;
    struct webauthn_key key;
    const char *why = NULL;
    if (webauthn_register(mem, &party, client, bytes, &c, &why)) {
        ENSURE(c.id.n && c.id.n <= WEBAUTHN_ID_MAX && c.flags.present && !strcmp(c.attestation, "none") != canary);
        ENSURE(webauthn_key_read(mem, c.key, &key) && key.algorithm == c.algorithm);
        const struct webauthn_kept kept = {.key = c.key, .count = c.count};
        ENSURE(!webauthn_sign_in(mem, &party, &kept, client_in, bytes, bytes, &s, &why));
    } else {
        ENSURE(why);
    }
    bool whole = webauthn_cbor_whole(bytes, &item);
    ENSURE(!webauthn_key_read(mem, bytes, &key) || whole);
    ENSURE(!webauthn_register(mem, &party, bytes, bytes, &c, &why));
    arena_free(mem);
    return 0;
}
