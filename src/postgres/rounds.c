/* rounds: how often a password is hashed for a server. SCRAM has the server say that, libpq takes its word for it, up to 2^31, and once it has begun nothing
 * ends it: neither its own times nor a thread's. What it hashes with is HMAC_Final of OpenSSL, and that name is found here first: the program's own come before
 * those of the libraries. It counts, and fails where there are no more; libpq then says that it cannot compute a proof, and gives the connection up.
 *
 * A libpq that has its own inside of it (a static one) is not counted: there it is as it was, a thread that has no end. A test sees that. */
#include "postgres/postgres_int.h"
#include <dlfcn.h>
#include <pthread.h>

enum { ROUNDS_MAX = 1'000'000 /* a second or so. PostgreSQL's own: 4096 */ };

struct hmac_ctx_st;
typedef int hmac_final(struct hmac_ctx_st *ctx, unsigned char *md, unsigned int *n);
hmac_final HMAC_Final;

static hmac_final *final;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int64_t left = INT64_MAX; /* of others' hashes nothing is counted that matters */

static void find(void) {
    void *p = dlsym(RTLD_NEXT, "HMAC_Final");
    ENSURE(p);
    memcpy(&final, &p, sizeof final);
}

void postgres_rounds_begin(void) { left = ROUNDS_MAX; }
bool postgres_rounds_over(void) { return left <= 0; }

__attribute__((visibility("default"))) int HMAC_Final(struct hmac_ctx_st *ctx, unsigned char *md, unsigned int *n) {
    pthread_once(&once, find);
    if (left <= 0) return 0;
    left--;
    return final(ctx, md, n);
}
