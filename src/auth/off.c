/* off: ways in that GoTrue has and Orlo does not, SAML and wallets: who asks is told as by one that has them switched off. */
#include "auth/auth_int.h"

bool auth_do_sso(struct auth_call *c) { return auth_fail(c, AUTH_ERROR_saml_provider_disabled); }

bool auth_grant_web3(struct auth_call *c) { return auth_fail(c, AUTH_ERROR_web3_provider_disabled); }
