/* tokens: who may ask by HTTP what. "orlo_ID_SECRET": ID its number, SECRET 32 random bytes in hexadecimal digits.
 *
 * 1. What makes one work is told once, when it is made; the database has its SHA-256.
 * 2. All are in memory, too: who asks is found without a file being read, in time that does not depend on the secret.
 */
#ifndef ORLO_NODE_CONTROL_TOKENS_H
#define ORLO_NODE_CONTROL_TOKENS_H

#include "node/control/control_int.h"

enum { TOKENS_MAX = 10'000, TOKEN_HOSTS_MAX = 256, TOKEN_TEXT_BYTES = 96 };
struct token_scope {
    uint32_t token; /* 0: none: the operator, by control.sock */
    bool node, read_only;
    str app;        /* of one that is not the node's */
    VEC(str) hosts; /* that its app may have besides its own; "*": any */
};
struct control_token {
    struct control_token *next;
    arena *mem;
    uint8_t hash[CRYPTO_SHA256_BYTES]; /* of its whole text */
    struct token_scope who;
    uint64_t created_s, last_used_s, expires_s; /* since 1970; 0: never */
    bool dirty;                                 /* last_used_s is not in the database */
};
[[nodiscard]] err node_tokens_load(struct control *c, struct diag *d);
/* Where none was ever made one is, for the node, and logged: whoever reads the log of that start may use it. */
[[nodiscard]] err node_tokens_first(struct control *c, struct diag *d);
/* By id. */
const struct control_token *node_tokens_all(const struct control *c);
/* Notes that it was used. NULL: there is no such token, or *expired. */
const struct control_token *node_tokens_find(struct control *c, str text, bool *expired);
/* of: its scope, app, hosts; expires_s from now, 0: never. text: what makes it work. ERR_LIMIT, ERR_IO. */
[[nodiscard]] err node_tokens_make(struct control *c, const struct token_scope *of, uint64_t expires_s, uint32_t *id,
                                   char text[static TOKEN_TEXT_BYTES], struct diag *d);
[[nodiscard]] err node_tokens_revoke(struct control *c, uint32_t id, struct diag *d); /* ERR_NOT_FOUND */

#endif
