/* keys: all key-value stores of an app, in one file, so that what is written to several of them is one commit.
 *
 *   pair  (id, store, key, value, version)   id is never used twice: with the version it says whether a key has what it had
 *   room  (keys, bytes)                      what there is, as of the last commit
 */
#include "node/store/store_int.h"
#include <stdio.h>

enum { PAIR_BYTES = 32 /* what a pair takes besides its names and its value */, KEY_BYTES_MAX = 1024, LIST_BYTES = 64 << 10 };

static const char *const steps[] = {
    "create table pair (id integer primary key autoincrement, store text not null, key text not null, value blob not null,"
    " version integer not null, unique (store, key));"
    "create table room (one integer primary key check (one = 1), keys integer not null, bytes integer not null);"
    "insert into room values (1, 0, 0);",
};

err node_store_keys_open(struct store_base *base, struct diag *d) {
    int64_t keys = 0, bytes = 0;
    TRY(db_upgrade(base->db, steps, ARRAY_COUNT(steps), d));
    TRY(db_one_i64(base->db, &keys, d, "select keys from room"));
    TRY(db_one_i64(base->db, &bytes, d, "select bytes from room"));
    base->keys = (uint64_t)keys;
    base->bytes = (uint64_t)bytes;
    return ERR_OK;
}

err node_store_keys_save(struct store_base *base, struct diag *d) {
    return db_run(base->db, d, "update room set keys = ?, bytes = ? where keys != ?1 or bytes != ?2", DB_I64(base->keys),
                  DB_I64(base->bytes));
}

/* ---- one pair ---- */

struct pair {
    int64_t id, version; /* 0, 0: there is none */
    uint64_t bytes;      /* of its value */
};

static bool failed(struct store_ask *ask, err e, const struct diag *d) {
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, d);
    return e != ERR_OK;
}

/* Its value is answered, or null. False: it failed. */
static bool find(struct store_base *base, struct store_ask *ask, str key, bool answers, struct pair *out) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    *out = (struct pair){0};
    const char *sql = answers ? "select id, version, length(value), value from pair where store = ? and key = ?"
                              : "select id, version, length(value) from pair where store = ? and key = ?";
    if (failed(ask, db_query(base->db, &rows, &d, sql, DB_TEXT(ask->place), DB_TEXT(key)), &d)) return false;
    bool found = db_next(rows);
    if (found) *out = (struct pair){db_i64(rows, 0), db_i64(rows, 1), (uint64_t)db_i64(rows, 2)};
    if (answers) node_store_ask_answer(ask, found ? APP_BLOB(db_str(rows, 3)) : (struct app_value){APP_VALUE_NULL, {0}});
    return !failed(ask, db_end(rows, &d), &d);
}

static uint64_t bytes_of(const struct store_ask *ask, str key, uint64_t value_bytes) {
    return PAIR_BYTES + ask->place.n + key.n + value_bytes;
}

static bool fits(const struct store_base *base, struct store_ask *ask, str key, uint64_t value_bytes, const struct pair *old) {
    uint64_t before = old->id ? bytes_of(ask, key, old->bytes) : 0,
             after = base->bytes - before + bytes_of(ask, key, value_bytes);
    if (value_bytes > ask->value_bytes_max)
        node_store_ask_fail(ask, APP_DATA_TOO_LARGE, "the value has %llu bytes, and at most %u are kept (store_value_kb)",
                            (unsigned long long)value_bytes, ask->value_bytes_max);
    else if (!old->id && base->keys >= ask->keys_max)
        node_store_ask_fail(ask, APP_DATA_FULL, "the app's stores have %llu keys, as many as they may (store_keys)",
                            (unsigned long long)base->keys);
    else if (after > base->bytes && after > ask->bytes_max)
        node_store_ask_fail(ask, APP_DATA_FULL, "the app's stores are full: they may hold %llu KiB (store_mb)",
                            (unsigned long long)(ask->bytes_max / KiB));
    return ask->outcome == APP_DATA_OK;
}

static void put(struct store_base *base, struct store_ask *ask, str key, str value, const struct pair *old) {
    struct diag d = DIAG_INIT;
    if (!fits(base, ask, key, value.n, old)) return;
    err e = old->id ? db_run(base->db, &d, "update pair set value = ?, version = version + 1 where id = ?", DB_BLOB(value),
                             DB_I64(old->id))
                    : db_run(base->db, &d, "insert into pair (store, key, value, version) values (?, ?, ?, 1)",
                             DB_TEXT(ask->place), DB_TEXT(key), DB_BLOB(value));
    if (failed(ask, e, &d)) return;
    base->bytes += bytes_of(ask, key, value.n) - (old->id ? bytes_of(ask, key, old->bytes) : 0);
    base->keys += !old->id;
}

static void set(struct store_base *base, struct store_ask *ask, str key, str value) {
    struct pair old;
    if (find(base, ask, key, false, &old)) put(base, ask, key, value, &old);
}

static void drop(struct store_base *base, struct store_ask *ask, str key) {
    struct diag d = DIAG_INIT;
    struct pair old;
    if (!find(base, ask, key, false, &old) || !old.id) return;
    if (failed(ask, db_run(base->db, &d, "delete from pair where id = ?", DB_I64(old.id)), &d)) return;
    base->bytes -= bytes_of(ask, key, old.bytes);
    base->keys--;
}

/* ---- what is asked ---- */

static void list(struct store_base *base, struct store_ask *ask, const struct app_value *after) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    bool all = after->kind == APP_VALUE_NULL, more = false;
    err e = all ? db_query(base->db, &rows, &d, "select key from pair where store = ? order by key", DB_TEXT(ask->place))
                : db_query(base->db, &rows, &d, "select key from pair where store = ? and key > ? order by key",
                           DB_TEXT(ask->place), DB_TEXT(after->s));
    if (failed(ask, e, &d)) return;
    struct buf keys = {0};
    while (db_next(rows) && !more) {
        struct app_value key = APP_TEXT(db_str(rows, 0));
        more = keys.n >= MIN((uint32_t)LIST_BYTES, ask->answer_bytes_max / 2);
        if (!more) app_values_write(&keys, &key, 1);
    }
    if (!failed(ask, db_end(rows, &d), &d)) {
        node_store_ask_answer(ask, APP_I64(more));
        buf_put(&ask->answer, keys.p, keys.n);
    }
    buf_free(&keys);
}

/* As text, as people and other stores write numbers. */
static bool number_of(str s, int64_t *out) {
    uint64_t digits;
    bool minus = s.n && s.p[0] == '-';
    if (!str_to_u64(str_sub(s, minus, s.n), &digits) || digits > (uint64_t)INT64_MAX + minus) return false;
    *out = minus ? (int64_t)(0 - digits) : (int64_t)digits;
    return true;
}

static bool current_number(struct store_base *base, struct store_ask *ask, str key, int64_t *out) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    if (failed(ask,
               db_query(base->db, &rows, &d, "select value from pair where store = ? and key = ?", DB_TEXT(ask->place),
                        DB_TEXT(key)),
               &d))
        return false;
    *out = 0;
    if (db_next(rows) && !number_of(db_str(rows, 0), out))
        node_store_ask_fail(ask, APP_DATA_REFUSED,
                            "the value of the key is no number: it must be a decimal number of 64 bits, as text");
    return !failed(ask, db_end(rows, &d), &d) && ask->outcome == APP_DATA_OK;
}

static void add(struct store_base *base, struct store_ask *ask, str key, int64_t delta) {
    int64_t now, sum;
    char text[24];
    if (!current_number(base, ask, key, &now)) return;
    if (__builtin_add_overflow(now, delta, &sum)) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "the sum is beyond 64 bits");
        return;
    }
    snprintf(text, sizeof text, "%lld", (long long)sum);
    set(base, ask, key, str_c(text));
    node_store_ask_answer(ask, APP_I64(sum));
}

/* A value that is there, and its version. */
static void read_pair(struct store_base *base, struct store_ask *ask, str key) {
    struct pair pair;
    if (!find(base, ask, key, true, &pair)) return;
    node_store_ask_answer(ask, APP_I64(pair.id));
    node_store_ask_answer(ask, APP_I64(pair.version));
}

static void swap(struct store_base *base, struct store_ask *ask, const struct app_value *v) {
    struct pair old;
    if (!find(base, ask, v[0].s, false, &old)) return;
    bool same = old.id == v[1].i && old.version == v[2].i;
    node_store_ask_answer(ask, APP_I64(same));
    if (same) put(base, ask, v[0].s, v[3].s, &old);
    else read_pair(base, ask, v[0].s);
}

/* ---- questions ---- */

/* What each op takes: one letter a value, K a key, V a value, I a number, ? a key or nothing; in brackets: over and over. */
static const char *const forms[APP_DATA_OPS] = {
    [APP_KV_GET] = "K",  [APP_KV_SET] = "KV",      [APP_KV_DELETE] = "K",     [APP_KV_EXISTS] = "K",
    [APP_KV_KEYS] = "?", [APP_KV_GET_MANY] = "(K", [APP_KV_SET_MANY] = "(KV", [APP_KV_DELETE_MANY] = "(K",
    [APP_KV_ADD] = "KI", [APP_KV_READ] = "K",      [APP_KV_SWAP] = "KIIV",
};

static bool is_of(const struct app_value *v, char form) {
    switch (form) {
    case 'K': return v->kind == APP_VALUE_TEXT;
    case 'V': return v->kind == APP_VALUE_BYTES;
    case 'I': return v->kind == APP_VALUE_INTEGER;
    default: return v->kind == APP_VALUE_NULL || v->kind == APP_VALUE_TEXT;
    }
}

/* What a worker sends is hearsay. */
static bool well_formed(struct store_ask *ask) {
    const char *form = forms[ask->op];
    bool many = form && form[0] == '(';
    form += many;
    size_t n = form ? strlen(form) : 0;
    bool ok = n && (many ? ask->count % n == 0 : ask->count == n);
    for (uint32_t i = 0; ok && i < ask->count; i++) ok = is_of(&ask->values[i], form[i % n]);
    if (!ok) node_store_ask_fail(ask, APP_DATA_REFUSED, "this is not what is asked of a store");
    for (uint32_t i = 0; ok && i < ask->count; i++)
        if (form[i % n] == 'K' && ask->values[i].s.n > KEY_BYTES_MAX) {
            node_store_ask_fail(ask, APP_DATA_TOO_LARGE, "a key has %zu bytes, and at most %d are kept", ask->values[i].s.n,
                                KEY_BYTES_MAX);
            return false;
        }
    return ok;
}

void node_store_keys_do(struct store_base *base, struct store_ask *ask) {
    const struct app_value *v = ask->values;
    struct pair pair;
    if (!well_formed(ask)) return;
    switch (ask->op) {
    case APP_KV_GET:
    case APP_KV_GET_MANY:
        for (uint32_t i = 0; i < ask->count && ask->outcome == APP_DATA_OK; i++) (void)find(base, ask, v[i].s, true, &pair);
        break;
    case APP_KV_SET:
    case APP_KV_SET_MANY:
        for (uint32_t i = 0; i < ask->count && ask->outcome == APP_DATA_OK; i += 2) set(base, ask, v[i].s, v[i + 1].s);
        break;
    case APP_KV_DELETE:
    case APP_KV_DELETE_MANY:
        for (uint32_t i = 0; i < ask->count && ask->outcome == APP_DATA_OK; i++) drop(base, ask, v[i].s);
        break;
    case APP_KV_EXISTS:
        if (find(base, ask, v[0].s, false, &pair)) node_store_ask_answer(ask, APP_I64(pair.id != 0));
        break;
    case APP_KV_KEYS: list(base, ask, v); break;
    case APP_KV_ADD: add(base, ask, v[0].s, v[1].i); break;
    case APP_KV_READ: read_pair(base, ask, v[0].s); break;
    case APP_KV_SWAP: swap(base, ask, v); break;
    default: break;
    }
}
