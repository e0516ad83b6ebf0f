/* Fuzzing what authorities answer. The input is a dialogue: of each answer a byte of its status, a byte of what comes with it, and up to a zero byte its body.
 * Whatever it says, the dialogue ends, nothing is asked of another host, and what comes of it is a chain or says why not. */
#include "acme/acme_int.h"
#include "base/fuzz.h"

static const uint32_t statuses[] = {200, 201, 204, 302, 400, 403, 429, 500};

static str cut_zero(str *rest) {
    size_t n = rest->n ? str_find(*rest, 0) : 0;
    str one = str_sub(*rest, 0, n);
    *rest = str_sub(*rest, n + 1, rest->n);
    return one;
}

static void answer(struct acme *a, str *rest) {
    struct acme_request r = acme_request(a);
    ENSURE(r.path.n && r.path.p[0] == '/' && str_eqc(acme_authority(a), "ca.test"));
    ENSURE(str_eqc(r.method, "POST") == (r.body.n > 0));
    if (rest->n < 2) {
        acme_unanswered(a, STR("gone"));
        return;
    }
    uint8_t status = rest->p[0], with = rest->p[1];
    *rest = str_sub(*rest, 2, rest->n);
    struct acme_answer said = {.status = statuses[status % ARRAY_COUNT(statuses)], .cut = with == 0xff};
    if (with & 1) said.nonce = STR("nonce");
    if (with & 2) said.location = STR("https://ca.test/7");
    if (with & 4) said.retry_after = cut_zero(rest);
    if (with & 8) said.location = cut_zero(rest);
    said.body = cut_zero(rest);
    acme_answered(a, &said, 1'750'000'000);
}

static void talk(str rest, bool issues) {
    struct acme_config c = {.directory = STR("https://ca.test/dir"),
                            .host = STR("shop.test"),
                            .terms = true,
                            .either = true,
                            .certificate = STR("aa.bb"),
                            .request = issues ? STR("csr") : (str){0}};
    struct acme *a = acme_new(&c);
    uint32_t turns = 0;
    while (acme_wants(a) < ACME_WANTS_DONE) {
        ENSURE(++turns < 4 * ACME_STEPS_MAX);
        switch (acme_wants(a)) {
        case ACME_WANTS_HTTP: answer(a, &rest); break;
        case ACME_WANTS_PROVE:
            ENSURE(acme_proof(a).token.n && acme_token_is(acme_proof(a).token, 1, ACME_TOKEN_MAX));
            acme_proven(a, (str){0});
            break;
        case ACME_WANTS_WAIT: acme_waited(a); break;
        default: acme_signed(a, STR("signature"));
        }
    }
    struct acme_result r = acme_result(a);
    bool failed = acme_wants(a) == ACME_WANTS_FAILED;
    ENSURE(failed == (r.fault != ACME_FAULT_NONE) && r.why.n <= ACME_WHY_MAX && (!failed || r.why.n));
    ENSURE(failed || !issues || (r.chain.n > 0) != canary);
    for (size_t i = 0; i < r.why.n; i++) ENSURE(r.why.p[i] >= ' ');
    acme_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    str bytes = {data, size}, der[ACME_CHAIN_CERTS_MAX];
    uint64_t s;
    talk(bytes, true);
    talk(bytes, false);
    uint32_t n = acme_chain_read(mem, bytes, der);
    ENSURE(n <= ACME_CHAIN_CERTS_MAX);
    for (uint32_t i = 0; i < n; i++) ENSURE(der[i].n);
    ENSURE(acme_retry_after_s(bytes, 1) <= 31 * 86'400);
    if (acme_time(bytes, &s)) ENSURE(s < 300'000'000'000u);
    arena_free(mem);
    return 0;
}
