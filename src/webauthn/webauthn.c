/* webauthn: the two ceremonies (§7.1, §7.2); see webauthn.h. */
#include "base/json.h"
#include "webauthn/webauthn_int.h"

enum { PRESENT = 1, VERIFIED = 4, ELIGIBLE = 8, BACKED_UP = 16, ATTESTED = 64, EXTENDED = 128 };
enum { HEAD = CRYPTO_SHA256_BYTES + 1 + 4 };

static bool refuse(const char **why, const char *text) {
    *why = text;
    return false;
}

/* ---- client data (§5.8.1) ---- */

static bool client_ok(arena *scratch, const struct webauthn_party *party, str data, const char *type, const char **why) {
    static const struct json_limits limits = {WEBAUTHN_CLIENT_DATA_MAX, 8, 128};
    struct json v;
    struct diag d = DIAG_INIT;
    bool known = false;
    if (!data.n || json_read(scratch, data, &limits, &v, &d) != ERR_OK || v.kind != JSON_KIND_OBJECT)
        return refuse(why, "the client data is no JSON");
    if (!str_eqc(json_str(json_get(&v, "type")), type)) return refuse(why, "the client data is of another ceremony");
    str challenge = json_str(json_get(&v, "challenge")), origin = json_str(json_get(&v, "origin"));
    while (challenge.n && challenge.p[challenge.n - 1] == '=') challenge.n--;
    if (!challenge.n || challenge.n != party->challenge.n || !crypto_equal(challenge.p, party->challenge.p, challenge.n))
        return refuse(why, "the challenge is another one");
    for (uint32_t i = 0; i < party->origins_count; i++) known |= str_eq(origin, party->origins[i]);
    if (!known) return refuse(why, "the page is none that may ask: auth.passkeys.origins");
    return !json_bool(json_get(&v, "crossOrigin")) || refuse(why, "a page in another's frame asked");
}

/* ---- authenticator data (§6.1) ---- */

struct data {
    uint8_t flags;
    uint32_t count;
    const uint8_t *aaguid;
    str id, key;
};

static bool read_data(const struct webauthn_party *party, str bytes, struct data *d, const char **why) {
    uint8_t own[CRYPTO_SHA256_BYTES];
    struct webauthn_cbor item;
    struct rd from = rd_of(bytes);
    *d = (struct data){0};
    if (bytes.n < HEAD) return refuse(why, "the authenticator's data is cut off");
    str hash = rd_bytes(&from, CRYPTO_SHA256_BYTES);
    d->flags = rd_u8(&from);
    for (int i = 0; i < 4; i++) d->count = d->count << 8 | rd_u8(&from);
    crypto_sha256(party->id, own);
    if (memcmp(hash.p, own, sizeof own)) return refuse(why, "it is of another domain: auth.passkeys.rp_id");
    if (d->flags & ATTESTED) {
        d->aaguid = rd_bytes(&from, WEBAUTHN_AAGUID_BYTES).p;
        uint32_t n = (uint32_t)rd_u8(&from) << 8;
        n |= rd_u8(&from);
        d->id = rd_bytes(&from, n);
        const uint8_t *at = from.p;
        webauthn_cbor_next(&from, &item);
        if (from.fail || item.kind != WEBAUTHN_CBOR_MAP || !n || n > WEBAUTHN_ID_MAX)
            return refuse(why, "the credential in the authenticator's data is none");
        d->key = (str){at, (size_t)(from.p - at)};
    }
    if (d->flags & EXTENDED) {
        webauthn_cbor_next(&from, &item);
        if (from.fail || item.kind != WEBAUTHN_CBOR_MAP) return refuse(why, "the authenticator's extensions are none");
    }
    if (rd_left(&from)) return refuse(why, "something is behind the authenticator's data");
    if (!(d->flags & PRESENT)) return refuse(why, "nobody was there (UP)");
    if (party->verify_user && !(d->flags & VERIFIED)) return refuse(why, "who was there was not verified (UV)");
    return !(d->flags & BACKED_UP) || d->flags & ELIGIBLE || refuse(why, "it is backed up and cannot be (BE, BS)");
}

static struct webauthn_flags flags_of(uint8_t flags) {
    return (struct webauthn_flags){.present = flags & PRESENT,
                                   .verified = flags & VERIFIED,
                                   .backup_eligible = flags & ELIGIBLE,
                                   .backed_up = flags & BACKED_UP};
}

/* What is signed: the data, and the hash of what the client says. */
static str signed_of(arena *scratch, str data, str client) {
    uint8_t *p = arena_alloc(scratch, data.n + CRYPTO_SHA256_BYTES, 1);
    memcpy(p, data.p, data.n);
    crypto_sha256(client, p + data.n);
    return (str){p, data.n + CRYPTO_SHA256_BYTES};
}

/* ---- registration (§7.1) ---- */

bool webauthn_register(arena *scratch, const struct webauthn_party *party, str client_data, str object,
                       struct webauthn_credential *to, const char **why) {
    struct webauthn_cbor map, format, statement;
    struct webauthn_key key;
    struct data d;
    str data;
    *to = (struct webauthn_credential){0};
    if (!client_ok(scratch, party, client_data, "webauthn.create", why)) return false;
    if (object.n > WEBAUTHN_OBJECT_MAX || !webauthn_cbor_whole(object, &map) || !webauthn_cbor_text_key(&map, "fmt", &format) ||
        format.kind != WEBAUTHN_CBOR_TEXT || !webauthn_cbor_text_key(&map, "attStmt", &statement) ||
        statement.kind != WEBAUTHN_CBOR_MAP || !webauthn_cbor_bytes_of(&map, "authData", &data))
        return refuse(why, "the attestation object is none");
    if (!read_data(party, data, &d, why)) return false;
    if (!(d.flags & ATTESTED)) return refuse(why, "there is no credential in it");
    if (!webauthn_key_read(scratch, d.key, &key)) return refuse(why, "the credential's key is of a kind that was not asked for");
    *to = (struct webauthn_credential){
        .id = d.id, .key = d.key, .algorithm = key.algorithm, .aaguid = d.aaguid, .count = d.count, .flags = flags_of(d.flags)};
    struct webauthn_statement s = {.scratch = scratch,
                                   .now_s = party->now_s,
                                   .data = data,
                                   .data_hashed = signed_of(scratch, data, client_data),
                                   .aaguid = d.aaguid,
                                   .key = &key,
                                   .map = statement,
                                   .to = to};
    return webauthn_attest(&s, format.bytes) || refuse(why, s.why);
}

/* ---- sign-in (§7.2) ---- */

bool webauthn_sign_in(arena *scratch, const struct webauthn_party *party, const struct webauthn_kept *kept, str client_data,
                      str data, str signature, struct webauthn_signed *to, const char **why) {
    struct webauthn_key key;
    struct data d;
    *to = (struct webauthn_signed){0};
    if (!client_ok(scratch, party, client_data, "webauthn.get", why)) return false;
    if (data.n > WEBAUTHN_OBJECT_MAX || !read_data(party, data, &d, why)) return false;
    if (!webauthn_key_read(scratch, kept->key, &key)) return refuse(why, "what is kept of the credential is no key");
    if (kept->eligible_known && kept->backup_eligible != (bool)(d.flags & ELIGIBLE))
        return refuse(why, "whether it can be backed up was otherwise (BE)");
    if (!crypto_public_verify(key.public, key.algorithm, signed_of(scratch, data, client_data), signature))
        return refuse(why, "it is not signed by the credential's key");
    if ((d.count || kept->count) && d.count <= kept->count)
        return refuse(why, "its counter did not go up: there may be a copy of it");
    *to = (struct webauthn_signed){.count = d.count, .flags = flags_of(d.flags)};
    return true;
}
