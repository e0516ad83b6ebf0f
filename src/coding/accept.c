/* accept: see coding.h. */
#include "coding/coding.h"

static const char *const names[CODINGS] = {
    [CODING_IDENTITY] = "",
#define X(name, said, level, window, bytes) [CODING_##name] = said,
#include "coding/codings.def"
#undef X
};
const char *coding_name(enum coding c) { return names[c]; }

/* A weight (§12.4.2) in thousandths; of nothing 1000. False: it is malformed. */
static bool weight_of(str parameters, uint32_t *q) {
    uint32_t place = 1000;
    parameters = str_trim(parameters);
    *q = 1000;
    if (!parameters.n) return true;
    if (parameters.n < 3 || parameters.n > 7 || (parameters.p[0] | 0x20) != 'q' || parameters.p[1] != '=') return false;
    *q = 0;
    for (size_t i = 2; i < parameters.n; i++) {
        uint8_t c = parameters.p[i];
        if (i == 3 ? c != '.' : c < '0' || c > '9') return false;
        if (i != 3) *q += (uint32_t)(c - '0') * place, place /= 10;
    }
    return *q <= 1000;
}

static enum coding coding_of(str name) {
    if (str_eq_nocase(name, STR("identity"))) return CODING_IDENTITY;
    if (str_eq_nocase(name, STR("x-gzip"))) return CODING_GZIP; /* §8.4.1.3 */
    for (uint32_t c = CODING_IDENTITY + 1; c < CODINGS; c++)
        if (str_eq_nocase(name, str_c(names[c]))) return (enum coding)c;
    return CODINGS;
}

void coding_accept_add(struct coding_accept *a, str value) {
    str one, name, parameters;
    a->said = true;
    while (value.n) {
        str_cut(value, ',', &one, &value);
        if (!str_cut(one, ';', &name, &parameters)) name = one, parameters = (str){0};
        name = str_trim(name);
        uint32_t q;
        if (!name.n || !weight_of(parameters, &q)) continue;
        enum coding c = coding_of(name);
        uint16_t *to = str_eqc(name, "*") ? &a->any : c < CODINGS ? &a->of[c] : NULL;
        if (to && !*to) *to = (uint16_t)(q + 1); /* of two the first is meant */
    }
}

enum coding coding_choose(const struct coding_accept *a) {
    enum coding best = CODING_IDENTITY;
    /* One that is not named is taken, but nothing is wanted less (§12.5.3). */
    uint32_t most = a->of[CODING_IDENTITY] > 1 ? a->of[CODING_IDENTITY] : 1;
    bool named = a->of[CODING_IDENTITY] > 1;
    for (uint32_t c = CODING_IDENTITY + 1; c < CODINGS; c++) {
        uint32_t q = a->of[c] ? a->of[c] : a->any;
        if (q > most || (q == most && q > 1 && named && best == CODING_IDENTITY)) best = (enum coding)c, most = q;
    }
    return best;
}

/* ---- types ---- */

static bool ends(str s, const char *end) {
    size_t n = strlen(end);
    return s.n > n && str_eq_nocase(str_sub(s, s.n - n, n), str_c(end));
}

static str bare(str type) { return str_trim(str_sub(type, 0, str_find(type, ';'))); }

bool coding_type_is(str type, str pattern) {
    type = bare(type);
    bool all = pattern.n && pattern.p[pattern.n - 1] == '/';
    return all ? type.n > pattern.n && str_eq_nocase(str_sub(type, 0, pattern.n), pattern) : str_eq_nocase(type, pattern);
}

bool coding_type_worth(str type) {
    static const str worth[] = {
#define X(type) STR_INIT(type),
#include "coding/types.def"
#undef X
    };
    type = bare(type);
    if (ends(type, "+json") || ends(type, "+xml") || ends(type, "+text")) return true;
    for (size_t i = 0; i < ARRAY_COUNT(worth); i++)
        if (coding_type_is(type, worth[i])) return true;
    return false;
}
