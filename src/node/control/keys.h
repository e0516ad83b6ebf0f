/* keys: what an app's callers are known by.
 *
 *   opaque keys   sb_publishable_…, sb_secret_…: as many as there are names for; their SHA-256 is kept, what they are is told once
 *   signing keys  HS256, ES256, RS256 or EdDSA: tokens are signed by the one that is in use, and verified by all but those that were revoked
 *
 *      made, taken ──> STANDBY ──rotate──> IN USE ──rotate──> PREVIOUSLY USED ──revoke──> REVOKED
 *                         └────────────────────revoke──────────────────────────────────────┘
 *
 * 1. Whatever changes is in the database, and all workers have it, before it is told to be done. A key that was revoked stays so, whatever goes wrong
 *    behind that: if not all workers can be told, this control ends, and the next one serves what is kept.
 * 2. Secret halves are sealed by keys, and opened by keys alone: to sign, or (of HS256) for workers, which verify with them.
 */
#ifndef ORLO_NODE_CONTROL_KEYS_H
#define ORLO_NODE_CONTROL_KEYS_H

#include "node/control/control_int.h"
#include "node/keyset.h"

enum control_key_state { CONTROL_KEY_STANDBY, CONTROL_KEY_IN_USE, CONTROL_KEY_PREVIOUS, CONTROL_KEY_REVOKED, CONTROL_KEY_STATES };
const char *node_key_state_text(enum control_key_state s); /* "in_use" */

struct control_opaque_key {
    uint32_t id;
    str name, begin; /* of what it is: "sb_secret_Ab3_" */
    bool secret;
    uint64_t created_s, last_used_s, expires_s; /* 0: never */
};
struct control_signing_key {
    uint32_t id;
    str kid;
    enum node_key_algorithm algorithm;
    enum control_key_state state;
    uint64_t created_s, changed_s;
};
struct control_key_list {
    VEC(struct control_opaque_key) opaque;
    VEC(struct control_signing_key) signing;
};
/* In out. ERR_NOT_FOUND: there is no such app. */
[[nodiscard]] err node_keys_list(struct control *c, arena *out, str app, struct control_key_list *list, struct diag *d);

/* What is asked is copied. done: result.text is what there is to tell, once: an opaque key, a kid, a token. */
struct control_key_wanted {
    str app;
    enum {
        CONTROL_MAKE_OPAQUE,   /* name, secret, expires_s; value: one that was made elsewhere */
        CONTROL_ROTATE_OPAQUE, /* id, overlap_s: another of that name, and the old one works for so long yet */
        CONTROL_REVOKE_OPAQUE, /* id */
        CONTROL_MAKE_SIGNING, /* algorithm; value: one that was made elsewhere, kid, verifies: it is not to sign; public: of a pair that somebody else has */
        CONTROL_ROTATE_SIGNING, /* the oldest that stands by signs from now on; where none does one is made: algorithm */
        CONTROL_REVOKE_SIGNING, /* id */
    } does;
    uint32_t id;
    str name, value, kid, public;
    bool secret, verifies;
    enum node_key_algorithm algorithm;
    uint64_t expires_s, overlap_s;
};
void node_keys_change(struct control *c, const struct control_key_wanted *wanted, control_done_fn done, void *arg);

enum { CONTROL_CLAIMS_MAX = 4 << 10 };
/* Signs claims, a JSON object of at most 4 KiB, with the key that is in use. result.text: the token. */
void node_keys_sign(struct control *c, str app, str claims, control_done_fn done, void *arg);
/* The app's key for a role, "anon" or "service_role": a token that lasts. */
void node_keys_role(struct control *c, str app, str role, control_done_fn done, void *arg);

#endif
