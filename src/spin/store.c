/* store: key-value stores: spin:key-value@3 (async), fermyon:spin/key-value@2 and wasi:keyvalue; the one before them is in before.c. One set
 * of functions fills in the results of all that look alike. */
#include "spin/spin_int.h"
#include "spin_world.h"

/* What all kinds of handles are. */
struct store {
    struct app_object o;
    str place; /* of the grants */
};
struct spin_key_value_key_value_store {
    struct store s;
};
struct fermyon_spin_key_value_store {
    struct store s;
};
struct spin_wasi_keyvalue_store_bucket {
    struct store s;
};

static const struct app_grants *grants(const struct host_call *call) { return app_instance_of(call->instance)->app->grants; }

static bool granted(const struct host_call *call, str label, str *place) {
    if (spin_granted(grants(call)->stores.p, grants(call)->stores.n, label, place)) return true;
    app_request_lacks(app_request_of(call), APP_LACK_STORE, label);
    return false;
}

static struct app_question one_key(enum app_data_op op, str place, const struct app_value *values, uint32_t count) {
    return (struct app_question){.op = op, .place = place, .values = values, .count = count};
}

bool spin_granted(const struct app_store *list, uint32_t count, str label, str *place) {
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(list[i].label, label)) {
            *place = list[i].store;
            return true;
        }
    return false;
}

struct app_data *spin_data(const struct host_call *call) {
    return app_instance_of(call->instance)->app->data;
}

/* ---- results: those of version 3, and of version 2, which look the same ---- */

typedef struct spin_key_value_key_value_error kv_error;
typedef struct spin_world_result_key_value_key_value_store_key_value_key_value_error kv_opened;
typedef struct spin_world_result_option_list_u8_key_value_key_value_error kv_got;
typedef struct spin_world_result_void_key_value_key_value_error kv_done;
typedef struct spin_world_result_bool_key_value_key_value_error kv_bool;
typedef struct spin_world_result_list_string_spin_key_value_error kv_keys;
static_assert(sizeof(kv_opened) == sizeof(struct spin_world_result_spin_key_value_store_spin_key_value_error));
static_assert(sizeof(kv_got) == sizeof(struct spin_world_result_option_list_u8_spin_key_value_error));
static_assert(sizeof(kv_done) == sizeof(struct spin_world_result_void_spin_key_value_error));
static_assert(sizeof(kv_bool) == sizeof(struct spin_world_result_bool_spin_key_value_error));
static_assert(SPIN_KEY_VALUE_KEY_VALUE_ERROR_OTHER == (int)FERMYON_SPIN_KEY_VALUE_ERROR_OTHER);

static kv_error kv_other(const struct app_reply *r) {
    return (kv_error){.tag = SPIN_KEY_VALUE_KEY_VALUE_ERROR_OTHER, .other = app_reply_text(r)};
}

static void fill_got(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    kv_got *to = result;
    to->is_err = r->outcome != APP_DATA_OK || !r->count;
    if (to->is_err) to->err = kv_other(r);
    else to->ok.some = r->values[0].kind == APP_VALUE_BYTES;
    if (!to->is_err && to->ok.some) to->ok.value = r->values[0].s;
}

static void fill_done(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    kv_done *to = result;
    to->is_err = r->outcome != APP_DATA_OK;
    if (to->is_err) to->err = kv_other(r);
}

static void fill_bool(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    kv_bool *to = result;
    to->is_err = r->outcome != APP_DATA_OK || !r->count;
    if (to->is_err) to->err = kv_other(r);
    else to->ok = r->values[0].i;
}

/* ---- what is asked ---- */

static enum abi_trap open_store(struct host_call *call, str label, kv_opened *result) {
    str place;
    struct store *s = NULL;
    result->is_err = true;
    if (!granted(call, label, &place)) result->err.tag = SPIN_KEY_VALUE_KEY_VALUE_ERROR_ACCESS_DENIED;
    else if (!(s = app_object_new(call->instance, sizeof *s, NULL)))
        result->err.tag = SPIN_KEY_VALUE_KEY_VALUE_ERROR_STORE_TABLE_FULL;
    if (!s) return ABI_TRAP_NONE;
    s->place = place;
    result->is_err = false;
    result->ok = (void *)s;
    return ABI_TRAP_NONE;
}

enum abi_trap spin_keys_get(struct host_call *call, str place, str key, app_fill fill, void *about, void *result) {
    struct app_question q = one_key(APP_KV_GET, place, &APP_TEXT(key), 1);
    return app_wait(call, spin_data(call), &q, fill, about, result);
}
enum abi_trap spin_keys_set(struct host_call *call, str place, str key, str value, app_fill fill, void *about, void *result) {
    struct app_question q = one_key(APP_KV_SET, place, (struct app_value[]){APP_TEXT(key), APP_BLOB(value)}, 2);
    return app_wait(call, spin_data(call), &q, fill, about, result);
}
enum abi_trap spin_keys_delete(struct host_call *call, str place, str key, app_fill fill, void *about, void *result) {
    struct app_question q = one_key(APP_KV_DELETE, place, &APP_TEXT(key), 1);
    return app_wait(call, spin_data(call), &q, fill, about, result);
}
enum abi_trap spin_keys_exists(struct host_call *call, str place, str key, app_fill fill, void *about, void *result) {
    struct app_question q = one_key(APP_KV_EXISTS, place, &APP_TEXT(key), 1);
    return app_wait(call, spin_data(call), &q, fill, about, result);
}

/* ---- all keys, page by page, for functions that answer all of them at once ---- */

static void fill_page(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    struct spin_key_page *p = result;
    p->reply = *r;
    p->more = r->outcome == APP_DATA_OK && r->count > 1 && r->values[0].i;
    size_t more = r->outcome == APP_DATA_OK && r->count ? r->count - 1 : 0;
    if (p->n + more > p->cap) {
        size_t cap = MAX(2 * p->cap, p->n + more);
        str *to = host_alloc(call, cap * sizeof *to, _Alignof(str));
        if (!to) {
            p->reply =
                (struct app_reply){.outcome = APP_DATA_TOO_LARGE, .text = STR("there are more keys than the instance may hold")};
            p->more = false;
            return;
        }
        if (p->n) memcpy(to, p->to, p->n * sizeof *to);
        p->to = to;
        p->cap = cap;
    }
    for (size_t i = 0; i < more; i++) p->to[p->n++] = r->values[i + 1].s;
}

enum abi_trap spin_keys_all(struct host_call *call, str place, void *about, struct spin_key_page *p) {
    struct app_value after = {APP_VALUE_NULL, {0}};
    do {
        struct app_question q = one_key(APP_KV_KEYS, place, &after, 1);
        enum abi_trap t = app_wait(call, spin_data(call), &q, fill_page, about, p);
        if (t) return t;
        if (p->n) after = APP_TEXT(p->to[p->n - 1]);
    } while (p->more && host_work(call->instance, p->n));
    return p->more ? ABI_TRAP_INTERRUPTED : ABI_TRAP_NONE;
}

/* ---- spin:key-value@3 ---- */

enum abi_trap spin_key_value_key_value_store_open(struct host_call *call, str label, kv_opened *result) {
    return open_store(call, label, result);
}
enum abi_trap spin_key_value_key_value_store_get(struct host_call *call, struct spin_key_value_key_value_store *self, str key,
                                                 kv_got *result) {
    return spin_keys_get(call, self->s.place, key, fill_got, self, result);
}
enum abi_trap spin_key_value_key_value_store_set(struct host_call *call, struct spin_key_value_key_value_store *self, str key,
                                                 str value, kv_done *result) {
    return spin_keys_set(call, self->s.place, key, value, fill_done, self, result);
}
enum abi_trap spin_key_value_key_value_store_delete(struct host_call *call, struct spin_key_value_key_value_store *self, str key,
                                                    kv_done *result) {
    return spin_keys_delete(call, self->s.place, key, fill_done, self, result);
}
enum abi_trap spin_key_value_key_value_store_exists(struct host_call *call, struct spin_key_value_key_value_store *self, str key,
                                                    kv_bool *result) {
    return spin_keys_exists(call, self->s.place, key, fill_bool, self, result);
}
void spin_key_value_key_value_store_drop(struct host_instance *in, struct spin_key_value_key_value_store *self) {
    app_object_unref(in, self);
}

static const void *key_elements(arena *mem, const struct app_answer *a, size_t *n, bool *more) {
    str *keys = arena_array(mem, str, MAX(a->count, 1u));
    *n = a->outcome == APP_DATA_OK && a->count ? a->count - 1 : 0;
    *more = *n && a->values[0].i;
    for (size_t i = 0; i < *n; i++) keys[i] = arena_str(mem, a->values[i + 1].s);
    return keys;
}
static void after_keys(struct app_question *q, const struct app_answer *a, arena *mem) {
    struct app_value *after = arena_make(mem, struct app_value);
    *after = APP_TEXT(arena_str(mem, a->values[a->count - 1].s));
    q->values = after;
    q->count = 1;
}
static void keys_failed(const struct app_answer *a, arena *mem, void *result) {
    struct app_reply r = {.outcome = a->outcome, .text = arena_str(mem, a->text)};
    *(kv_done *)result = (kv_done){.is_err = true, .err = kv_other(&r)};
}
static const struct spin_giver_ops keys_ops = {sizeof(str), sizeof(kv_done), key_elements, after_keys, keys_failed};

/* It answers at once: the first page is asked for when somebody reads. */
enum abi_trap spin_key_value_key_value_store_get_keys(
    struct host_call *call, struct spin_key_value_key_value_store *self,
    struct spin_world_tuple2_stream_string_future_result_void_key_value_key_value_error *result) {
    static const struct app_value from_the_first = {APP_VALUE_NULL, {0}};
    struct app_question q = one_key(APP_KV_KEYS, self->s.place, &from_the_first, 1);
    if (spin_giver_new(call->instance, &keys_ops, &q, NULL, &result->f0, &result->f1)) return ABI_TRAP_NONE;
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for a stream of keys");
}

/* ---- fermyon:spin/key-value@2 ---- */

enum abi_trap fermyon_spin_key_value_store_open(struct host_call *call, str label,
                                                struct spin_world_result_spin_key_value_store_spin_key_value_error *result) {
    return open_store(call, label, (kv_opened *)(void *)result);
}
enum abi_trap fermyon_spin_key_value_store_get(struct host_call *call, struct fermyon_spin_key_value_store *self, str key,
                                               struct spin_world_result_option_list_u8_spin_key_value_error *result) {
    return spin_keys_get(call, self->s.place, key, fill_got, self, result);
}
enum abi_trap fermyon_spin_key_value_store_set(struct host_call *call, struct fermyon_spin_key_value_store *self, str key,
                                               str value, struct spin_world_result_void_spin_key_value_error *result) {
    return spin_keys_set(call, self->s.place, key, value, fill_done, self, result);
}
enum abi_trap fermyon_spin_key_value_store_delete(struct host_call *call, struct fermyon_spin_key_value_store *self, str key,
                                                  struct spin_world_result_void_spin_key_value_error *result) {
    return spin_keys_delete(call, self->s.place, key, fill_done, self, result);
}
enum abi_trap fermyon_spin_key_value_store_exists(struct host_call *call, struct fermyon_spin_key_value_store *self, str key,
                                                  struct spin_world_result_bool_spin_key_value_error *result) {
    return spin_keys_exists(call, self->s.place, key, fill_bool, self, result);
}
enum abi_trap fermyon_spin_key_value_store_get_keys(struct host_call *call, struct fermyon_spin_key_value_store *self,
                                                    kv_keys *result) {
    struct spin_key_page p = {0};
    enum abi_trap t = spin_keys_all(call, self->s.place, self, &p);
    result->is_err = p.reply.outcome != APP_DATA_OK;
    if (result->is_err)
        result->err = (struct fermyon_spin_key_value_error){FERMYON_SPIN_KEY_VALUE_ERROR_OTHER, {app_reply_text(&p.reply)}};
    else result->ok = (struct spin_world_list_string){p.to, p.n};
    return t;
}
void fermyon_spin_key_value_store_drop(struct host_instance *in, struct fermyon_spin_key_value_store *self) {
    app_object_unref(in, self);
}

/* ---- wasi:keyvalue ---- */

typedef struct spin_wasi_keyvalue_store_error wasi_error;
static wasi_error wasi_other(const struct app_reply *r) {
    return (wasi_error){.tag = SPIN_WASI_KEYVALUE_STORE_ERROR_OTHER, .other = app_reply_text(r)};
}

#define WASI_FILL(name, type, ...)                                                                                               \
    static void name(struct host_call *call, const struct app_reply *r, void *about, void *result) {                             \
        type *to = result;                                                                                                       \
        to->is_err = r->outcome != APP_DATA_OK;                                                                                  \
        if (to->is_err) to->err = wasi_other(r);                                                                                 \
        else { __VA_ARGS__ }                                                                                                     \
    }
WASI_FILL(wasi_fill_got, struct spin_world_result_option_list_u8_keyvalue_store_error, {
    to->ok.some = r->count && r->values[0].kind == APP_VALUE_BYTES;
    if (to->ok.some) to->ok.value = r->values[0].s;
})
WASI_FILL(wasi_fill_done, struct spin_world_result_void_keyvalue_store_error, {})
WASI_FILL(wasi_fill_bool, struct spin_world_result_bool_keyvalue_store_error, { to->ok = r->count && r->values[0].i; })
WASI_FILL(wasi_fill_sum, struct spin_world_result_s64_keyvalue_store_error, { to->ok = r->count ? r->values[0].i : 0; })

enum abi_trap spin_wasi_keyvalue_store_open(struct host_call *call, str identifier,
                                            struct spin_world_result_keyvalue_store_bucket_keyvalue_store_error *result) {
    kv_opened opened = {0};
    enum abi_trap t = open_store(call, identifier, &opened);
    result->is_err = opened.is_err;
    if (!opened.is_err) result->ok = (void *)opened.ok;
    else if (opened.err.tag == SPIN_KEY_VALUE_KEY_VALUE_ERROR_ACCESS_DENIED)
        result->err.tag = SPIN_WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED;
    else result->err = (wasi_error){SPIN_WASI_KEYVALUE_STORE_ERROR_OTHER, {STR("too many stores are open")}};
    return t;
}
enum abi_trap spin_wasi_keyvalue_store_bucket_get(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *self, str key,
                                                  struct spin_world_result_option_list_u8_keyvalue_store_error *result) {
    return spin_keys_get(call, self->s.place, key, wasi_fill_got, self, result);
}
enum abi_trap spin_wasi_keyvalue_store_bucket_set(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *self, str key,
                                                  str value, struct spin_world_result_void_keyvalue_store_error *result) {
    return spin_keys_set(call, self->s.place, key, value, wasi_fill_done, self, result);
}
enum abi_trap spin_wasi_keyvalue_store_bucket_delete(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *self,
                                                     str key, struct spin_world_result_void_keyvalue_store_error *result) {
    return spin_keys_delete(call, self->s.place, key, wasi_fill_done, self, result);
}
enum abi_trap spin_wasi_keyvalue_store_bucket_exists(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *self,
                                                     str key, struct spin_world_result_bool_keyvalue_store_error *result) {
    return spin_keys_exists(call, self->s.place, key, wasi_fill_bool, self, result);
}
void spin_wasi_keyvalue_store_bucket_drop(struct host_instance *in, struct spin_wasi_keyvalue_store_bucket *self) {
    app_object_unref(in, self);
}

/* The cursor is the last key of the page before. */
WASI_FILL(wasi_fill_keys, struct spin_world_result_keyvalue_store_key_response_keyvalue_store_error, {
    struct spin_key_page p = {0};
    fill_page(call, r, about, &p);
    to->ok.keys = (struct spin_world_list_string){p.to, p.n};
    to->ok.cursor.some = p.more;
    if (p.more) to->ok.cursor.value = p.to[p.n - 1];
})
enum abi_trap
spin_wasi_keyvalue_store_bucket_list_keys(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *self,
                                          const struct spin_world_option_string *cursor,
                                          struct spin_world_result_keyvalue_store_key_response_keyvalue_store_error *result) {
    struct app_value after = cursor->some ? APP_TEXT(cursor->value) : (struct app_value){APP_VALUE_NULL, {0}};
    struct app_question q = one_key(APP_KV_KEYS, self->s.place, &after, 1);
    return app_wait(call, spin_data(call), &q, wasi_fill_keys, self, result);
}

enum abi_trap spin_wasi_keyvalue_atomics_increment(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *bucket,
                                                   str key, int64_t delta,
                                                   struct spin_world_result_s64_keyvalue_store_error *result) {
    struct app_question q = one_key(APP_KV_ADD, bucket->s.place, (struct app_value[]){APP_TEXT(key), APP_I64(delta)}, 2);
    return app_wait(call, spin_data(call), &q, wasi_fill_sum, bucket, result);
}

/* ---- lists ---- */

/* The call's memory; NULL: too many. */
static struct app_value *list_of(struct host_call *call, size_t n) {
    return n < UINT32_MAX && host_work(call->instance, n) ? host_alloc(call, MAX(n, (size_t)1) * sizeof(struct app_value), 8)
                                                          : NULL;
}
static enum abi_trap too_many(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many keys in one call");
}

struct many {
    const str *keys;
    size_t n;
    struct spin_world_result_list_tuple2_string_option_list_u8_keyvalue_store_error *result;
};
static void fill_many(struct host_call *call, const struct app_reply *r, void *about, void *arg) {
    struct many *m = arg;
    m->result->is_err = r->outcome != APP_DATA_OK || r->count != m->n;
    struct spin_world_tuple2_string_option_list_u8 *to =
        m->result->is_err ? NULL : host_alloc(call, MAX(m->n, (size_t)1) * sizeof *to, 8);
    if (!to) {
        m->result->is_err = true;
        m->result->err = wasi_other(r->outcome != APP_DATA_OK ? r : &(struct app_reply){.outcome = APP_DATA_TOO_LARGE});
        return;
    }
    for (size_t i = 0; i < m->n; i++) {
        to[i].f0 = m->keys[i];
        to[i].f1.some = r->values[i].kind == APP_VALUE_BYTES;
        to[i].f1.value = to[i].f1.some ? r->values[i].s : (str){0};
    }
    m->result->ok.p = to;
    m->result->ok.n = m->n;
}

enum abi_trap
spin_wasi_keyvalue_batch_get_many(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *bucket,
                                  struct spin_world_list_string keys,
                                  struct spin_world_result_list_tuple2_string_option_list_u8_keyvalue_store_error *result) {
    struct app_value *values = list_of(call, keys.n);
    str *copies = values ? host_alloc(call, MAX(keys.n, (size_t)1) * sizeof *copies, 8) : NULL;
    bool ok = copies;
    for (size_t i = 0; ok && i < keys.n; i++) { /* while it is parked, other tasks of the guest may write to its memory */
        copies[i] = host_alloc_str(call, keys.p[i]);
        values[i] = APP_TEXT(copies[i]);
        ok = copies[i].p || !keys.p[i].n;
    }
    if (!ok) return too_many(call);
    struct app_question q = one_key(APP_KV_GET_MANY, bucket->s.place, values, (uint32_t)keys.n);
    return app_wait(call, spin_data(call), &q, fill_many, bucket, &(struct many){copies, keys.n, result});
}

enum abi_trap spin_wasi_keyvalue_batch_set_many(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *bucket,
                                                struct spin_world_list_tuple2_string_list_u8 key_values,
                                                struct spin_world_result_void_keyvalue_store_error *result) {
    struct app_value *values = list_of(call, 2 * key_values.n);
    if (!values) return too_many(call);
    for (size_t i = 0; i < key_values.n; i++) {
        values[2 * i] = APP_TEXT(key_values.p[i].f0);
        values[2 * i + 1] = APP_BLOB(key_values.p[i].f1);
    }
    struct app_question q = one_key(APP_KV_SET_MANY, bucket->s.place, values, (uint32_t)(2 * key_values.n));
    return app_wait(call, spin_data(call), &q, wasi_fill_done, bucket, result);
}

enum abi_trap spin_wasi_keyvalue_batch_delete_many(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *bucket,
                                                   struct spin_world_list_string keys,
                                                   struct spin_world_result_void_keyvalue_store_error *result) {
    struct app_value *values = list_of(call, keys.n);
    if (!values) return too_many(call);
    for (size_t i = 0; i < keys.n; i++) values[i] = APP_TEXT(keys.p[i]);
    struct app_question q = one_key(APP_KV_DELETE_MANY, bucket->s.place, values, (uint32_t)keys.n);
    return app_wait(call, spin_data(call), &q, wasi_fill_done, bucket, result);
}

/* ---- compare and swap ---- */

struct spin_wasi_keyvalue_atomics_cas {
    struct app_object o;
    str place, key, value; /* key, value: heap, charged */
    bool some;
    int64_t id, version;
};

static void cas_destroy(struct host_instance *in, void *self) {
    struct spin_wasi_keyvalue_atomics_cas *c = self;
    app_charged_free(in, c->key);
    app_charged_free(in, c->value);
}

/* values: value or null, id, version. False: no memory for it. */
static bool cas_take(struct host_instance *in, struct spin_wasi_keyvalue_atomics_cas *c, const struct app_value *v) {
    c->some = v[0].kind == APP_VALUE_BYTES;
    c->id = v[1].i;
    c->version = v[2].i;
    return app_charged_replace(in, &c->value, c->some ? v[0].s : (str){0});
}

static void fill_cas(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    struct spin_world_result_keyvalue_atomics_cas_keyvalue_store_error *to = result;
    bool ok = r->outcome == APP_DATA_OK && r->count == 3;
    to->is_err = !ok || !cas_take(call->instance, about, r->values);
    if (!to->is_err) to->ok = app_object_ref(about);
    else to->err = wasi_other(ok ? &(struct app_reply){.outcome = APP_DATA_TOO_LARGE} : r);
}

enum abi_trap spin_wasi_keyvalue_atomics_cas_new(struct host_call *call, struct spin_wasi_keyvalue_store_bucket *bucket, str key,
                                                 struct spin_world_result_keyvalue_atomics_cas_keyvalue_store_error *result) {
    APP_OBJECT_NEW(call, c, spin_wasi_keyvalue_atomics_cas, cas_destroy);
    c->place = bucket->s.place;
    enum abi_trap t = ABI_TRAP_NONE;
    if (!app_charged_replace(call->instance, &c->key, key)) {
        t = host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "the host memory of this instance is used up");
    } else {
        struct app_question q = one_key(APP_KV_READ, c->place, &APP_TEXT(c->key), 1);
        t = app_wait(call, spin_data(call), &q, fill_cas, c, result);
    }
    app_object_unref(call->instance, c);
    return t;
}

enum abi_trap spin_wasi_keyvalue_atomics_cas_current(struct host_call *call, struct spin_wasi_keyvalue_atomics_cas *self,
                                                     struct spin_world_result_option_list_u8_keyvalue_store_error *result) {
    result->ok.some = self->some;
    result->ok.value = self->value;
    return ABI_TRAP_NONE;
}

static void fill_swap(struct host_call *call, const struct app_reply *r, void *about, void *result) {
    struct spin_world_result_void_keyvalue_atomics_cas_error *to = result;
    bool ok = r->outcome == APP_DATA_OK && r->count;
    to->is_err = !ok || !r->values[0].i;
    if (!to->is_err) return;
    if (ok && r->count == 4 && cas_take(call->instance, about, r->values + 1)) { /* what it is now, to try again with */
        to->err.tag = SPIN_WASI_KEYVALUE_ATOMICS_CAS_ERROR_CAS_FAILED;
        to->err.cas_failed = app_object_ref(about);
        return;
    }
    to->err.tag = SPIN_WASI_KEYVALUE_ATOMICS_CAS_ERROR_STORE_ERROR;
    to->err.store_error = wasi_other(ok ? &(struct app_reply){.outcome = APP_DATA_TOO_LARGE} : r);
}

/* It takes the handle. */
enum abi_trap spin_wasi_keyvalue_atomics_swap(struct host_call *call, struct spin_wasi_keyvalue_atomics_cas *cas, str value,
                                              struct spin_world_result_void_keyvalue_atomics_cas_error *result) {
    struct app_question q =
        one_key(APP_KV_SWAP, cas->place,
                (struct app_value[]){APP_TEXT(cas->key), APP_I64(cas->id), APP_I64(cas->version), APP_BLOB(value)}, 4);
    enum abi_trap t = app_wait(call, spin_data(call), &q, fill_swap, cas, result);
    app_object_unref(call->instance, cas);
    return t;
}
void spin_wasi_keyvalue_atomics_cas_drop(struct host_instance *in, struct spin_wasi_keyvalue_atomics_cas *self) {
    app_object_unref(in, self);
}
