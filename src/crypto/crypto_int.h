/* Inside src/crypto. */
#ifndef ORLO_CRYPTO_INT_H
#define ORLO_CRYPTO_INT_H

#include "crypto/crypto.h"

bool crypto_argon2_is(str password, const char *hash); /* of argon2id or argon2i, whatever it costs */

#endif
