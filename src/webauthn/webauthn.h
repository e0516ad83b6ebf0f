/* webauthn: what an authenticator answered (Web Authentication, Level 3): whether a new credential is one, and whether who has it signed. Bytes come in, a verdict goes
 * out; nothing is kept.
 *
 *   registration   client data (JSON) ── type, challenge, origin ──┐
 *                  attestation object (CBOR) ─ authenticator data ─┴─ rpId, flags, id, key ── statement: none, packed, apple, tpm ──> webauthn_credential
 *   sign-in        client data, authenticator data, signature, and what is kept of the credential ──> webauthn_signed
 *
 * 1. What is read is bounded: bytes, depth, entries of a map; a key stands once in each; nothing is behind what was read.
 * 2. A statement that is there holds, or the credential is refused. Which maker's root its certificates lead to is not judged: nobody asked for it ("attestation": "none").
 */
#ifndef ORLO_WEBAUTHN_H
#define ORLO_WEBAUTHN_H

#include "crypto/crypto.h"

enum {
    WEBAUTHN_CLIENT_DATA_MAX = 8 << 10,
    WEBAUTHN_OBJECT_MAX = 64 << 10,
    WEBAUTHN_ID_MAX = 1023 /* §4 */,
    WEBAUTHN_KEY_MAX = 2048,
    WEBAUTHN_AAGUID_BYTES = 16
};
struct webauthn_party {
    str id; /* "shop.example" */
    const str *origins;
    uint32_t origins_count;
    bool verify_user; /* has to be verified */
    str challenge;    /* as it was sent: base64url */
    int64_t now_s;
};
struct webauthn_flags {
    bool present, verified, backup_eligible, backed_up;
};
struct webauthn_credential {
    str id, key; /* key: COSE's bytes */
    int64_t algorithm;
    const uint8_t *aaguid;
    uint32_t count;
    struct webauthn_flags flags;
    const char *format, *attestation; /* "packed"; "none", "self", "basic", "attca", "anonca" */
};
/* Strings borrow what came. False: why says what is wrong with it. scratch: for as long as the call. */
[[nodiscard]] bool webauthn_register(arena *scratch, const struct webauthn_party *party, str client_data, str object,
                                     struct webauthn_credential *to, const char **why);

struct webauthn_kept {
    str key;
    uint32_t count;
    bool backup_eligible, eligible_known;
};
struct webauthn_signed {
    uint32_t count;
    struct webauthn_flags flags;
};
[[nodiscard]] bool webauthn_sign_in(arena *scratch, const struct webauthn_party *party, const struct webauthn_kept *kept,
                                    str client_data, str data, str signature, struct webauthn_signed *to, const char **why);

#endif
