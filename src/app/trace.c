/* trace: see trace.h. Sections are those of the W3C recommendation "Trace Context". */
#include "app/trace.h"
#include "net/http.h"
#include "net/exchange.h"
#include <stdlib.h>
#include <sys/random.h>

/* ---- identifiers ---- */

static uint64_t mix(uint64_t *state) { /* splitmix64: even, quick, and predictable, which an identifier may be */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t next_random(void) {
    static uint64_t state;
    if (!state && getrandom(&state, sizeof state, 0) != sizeof state) state = clock_wall_ns() ^ clock_mono_ns() << 20;
    return mix(&state);
}

uint32_t app_trace_random(void) { return (uint32_t)(next_random() >> 32); }

void app_trace_id(uint8_t *id, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = next_random();
        memcpy(id + i, &v, MIN(n - i, (size_t)8));
    }
    if (!id[0]) id[0] = 1;
}

/* ---- traceparent: 3.2 ---- */

static int hex(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool read_hex(str s, uint8_t *to) {
    for (size_t i = 0; i < s.n; i += 2) {
        int high = hex(s.p[i]), low = hex(s.p[i + 1]);
        if (high < 0 || low < 0) return false;
        to[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

bool app_traceparent_read(str v, struct app_trace *t) {
    uint8_t version, flags;
    v = str_trim(v);
    if (v.n < APP_TRACEPARENT_BYTES || v.p[2] != '-' || v.p[35] != '-' || v.p[52] != '-') return false;
    if (!read_hex(str_sub(v, 0, 2), &version) || version == 0xff) return false;
    /* 4.3: a later version may say more, behind another dash. */
    if (v.n > APP_TRACEPARENT_BYTES && (!version || v.p[APP_TRACEPARENT_BYTES] != '-')) return false;
    bool ok =
        read_hex(str_sub(v, 3, 32), t->trace) && read_hex(str_sub(v, 36, 16), t->parent) && read_hex(str_sub(v, 53, 2), &flags);
    if (!ok || is_zero(t->trace, sizeof t->trace) || is_zero(t->parent, sizeof t->parent)) return false;
    t->sampled = flags & 1;
    t->has_parent = true;
    return true;
}

static char *write_hex(char *to, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) *to++ = "0123456789abcdef"[p[i] >> 4], *to++ = "0123456789abcdef"[p[i] & 15];
    return to;
}

void app_traceparent_write(const struct app_trace *t, const uint8_t span[8], char to[static APP_TRACEPARENT_BYTES + 1]) {
    memcpy(to, "00-", 3);
    to = write_hex(to + 3, t->trace, sizeof t->trace);
    *to++ = '-';
    to = write_hex(to, span, 8);
    memcpy(to, t->sampled ? "-01" : "-00", 4);
}

/* ---- tracestate: 3.3 ---- */

static bool is_lower(uint8_t c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_key_byte(uint8_t c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '*' || c == '/'; }

static bool key_part_ok(str s, size_t most, bool digit_first) {
    if (!s.n || s.n > most || !(is_lower(s.p[0]) || (digit_first && is_digit(s.p[0])))) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_key_byte(s.p[i])) return false;
    return true;
}

/* 3.3.1.3.1: a name, or tenant@system. */
static bool key_ok(str key) {
    str tenant, system;
    if (!str_cut(key, '@', &tenant, &system)) return key_part_ok(key, 256, false);
    return key_part_ok(tenant, 241, true) && key_part_ok(system, 14, false);
}

/* 3.3.1.3.2 */
static bool value_ok(str v) {
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x20 || v.p[i] > 0x7e || v.p[i] == '=') return false;
    return v.n && v.n <= 256;
}

/* Of what was added already: how many members; whether one has that key. */
static uint32_t members_of(str state, str key, bool *has) {
    uint32_t n = 0;
    for (str one; state.n; n++) {
        str_cut(state, ',', &one, &state);
        *has |= one.n > key.n && one.p[key.n] == '=' && str_starts(one, key);
    }
    return n;
}

bool app_tracestate_add(struct buf *to, str value) {
    for (str one, key, v; value.n;) {
        bool twice = false;
        str_cut(value, ',', &one, &value);
        one = str_trim(one);
        if (!one.n) continue;
        if (!str_cut(one, '=', &key, &v) || !key_ok(key) || !value_ok(v)) return false;
        if (members_of(buf_str(to), key, &twice) == APP_TRACESTATE_MEMBERS_MAX || twice) return false;
        if (to->n + one.n + 1 > APP_TRACESTATE_BYTES_MAX) return false;
        if (to->n) buf_putc(to, ',');
        buf_puts(to, one);
    }
    return true;
}

/* ---- of a request ---- */

static bool read_state(const struct net_request *rq, struct buf *to) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (rq->fields[i].name.n == 10 && str_eq_nocase(rq->fields[i].name, STR("tracestate")) &&
            !app_tracestate_add(to, rq->fields[i].value))
            return false;
    return true;
}

void app_trace_of(const struct net_request *rq, struct app_trace *t) {
    uint32_t parents = 0;
    *t = (struct app_trace){0};
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        const struct net_field *f = &rq->fields[i];
        if (f->name.n != 11 || !str_eq_nocase(f->name, STR("traceparent"))) continue;
        if (parents++ || !app_traceparent_read(f->value, t)) {
            *t = (struct app_trace){0};
            return;
        }
    }
    if (!parents) return;
    struct buf state = {0};
    t->on = true;
    app_trace_id(t->span, sizeof t->span);
    if (read_state(rq, &state)) t->state = buf_str(&state);
    else buf_free(&state);
}

void app_trace_begin(struct app_trace *t, bool sampled) {
    *t = (struct app_trace){.on = true, .sampled = sampled};
    app_trace_id(t->trace, sizeof t->trace);
    app_trace_id(t->span, sizeof t->span);
}

void app_trace_end(struct app_trace *t) {
    free((void *)(uintptr_t)t->state.p);
    t->state = (str){0};
    t->on = false;
}
