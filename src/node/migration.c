/* migration: see migration.h. Numbers are 64 bits, little-endian; a text is its length and its bytes. */
#include "node/migration.h"
#include "crypto/crypto.h"

enum { LAYOUT = 5, STEPS_MAX = 1 << 20 };

/* ---- small things ---- */

static void put(struct buf *to, uint64_t v) { buf_put(to, &v, 8); }
static void put_str(struct buf *to, str s) {
    put(to, s.n);
    buf_puts(to, s);
}
static void put_digest(struct buf *to, const uint8_t digest[APP_DIGEST_BYTES]) { buf_put(to, digest, APP_DIGEST_BYTES); }

static str get_str(struct rd *from, size_t most) {
    uint64_t n = rd_u64le(from);
    if (n > rd_left(from) || n > most) rd_fail(from, "a text longer than there is, or may be");
    return rd_bytes(from, from->fail ? 0 : (size_t)n);
}
static uint32_t get_u32(struct rd *from) {
    uint64_t v = rd_u64le(from);
    if (v > UINT32_MAX) rd_fail(from, "a number out of range");
    return (uint32_t)v;
}
static uint32_t get_count(struct rd *from, size_t least, uint64_t most) {
    uint64_t n = rd_u64le(from);
    if (n <= most && n <= rd_left(from) / least) return (uint32_t)n;
    rd_fail(from, "more than there may be");
    return 0;
}
static void get_digest(struct rd *from, uint8_t digest[APP_DIGEST_BYTES]) {
    str bytes = rd_bytes(from, APP_DIGEST_BYTES);
    if (bytes.n) memcpy(digest, bytes.p, bytes.n);
}
static str get_name(struct rd *from) {
    str s = get_str(from, MIGRATION_NAME_MAX);
    if (!from->fail && (!s.n || !str_is_utf8(s) || memchr(s.p, 0, s.n))) rd_fail(from, "no file's name");
    return s;
}

static struct rd begin(str bytes) {
    struct rd from = rd_of(bytes);
    if (rd_u64le(&from) != LAYOUT) rd_fail(&from, "of another layout");
    return from;
}
static err end(struct rd *from, const char *what, struct diag *d) {
    if (!from->fail && rd_left(from)) rd_fail(from, "bytes behind it");
    return from->fail ? diag_set(d, ERR_MALFORMED, from->fail_at, "%s: %s", what, from->fail) : ERR_OK;
}

/* ---- what a job is asked ---- */

void node_migration_ask_write(struct buf *to, const struct migration_ask *ask) {
    put(to, LAYOUT);
    put(to, ask->engine);
    put(to, ask->lint | ask->strict << 1 | ask->pull << 2);
    put_str(to, ask->catalog);
    put(to, ask->files.n);
    for (uint32_t i = 0; i < ask->files.n; i++) {
        const struct migration_file *f = &ask->files.p[i];
        put_str(to, f->name), put_digest(to, f->digest),
            put(to, f->seed | f->mark << 1 | f->asked << 2 | f->owner << 3 | f->copied << 4), put_str(to, f->text);
    }
}

err node_migration_ask_read(arena *out, str bytes, struct migration_ask *ask, struct diag *d) {
    struct rd from = begin(bytes);
    uint64_t engine = rd_u64le(&from);
    *ask = (struct migration_ask){.engine = (uint8_t)MIN(engine, (uint64_t)APP_DATABASES)};
    if (ask->engine >= APP_DATABASES) rd_fail(&from, "no engine");
    uint64_t how = rd_u64le(&from);
    ask->lint = how & 1, ask->strict = how & 2, ask->pull = how & 4;
    ask->catalog = get_str(&from, SIZE_MAX);
    for (uint32_t n = get_count(&from, 24 + APP_DIGEST_BYTES, MIGRATION_FILES_MAX); n && !from.fail; n--) {
        struct migration_file f = {.name = get_name(&from)};
        get_digest(&from, f.digest);
        uint64_t flags = rd_u64le(&from);
        if (flags > 2 && flags != 4 && flags != 12 && flags != 17) rd_fail(&from, "no file");
        f.seed = flags & 1, f.mark = flags & 2, f.asked = flags & 4, f.owner = flags & 8, f.copied = flags & 16;
        f.text = get_str(&from, MIGRATION_SQL_BYTES_MAX);
        vec_push(out, &ask->files, f);
    }
    return end(&from, "what is to be migrated", d);
}

/* ---- what it makes of that ---- */

const char *node_migration_note_word(uint8_t kind) {
    static const char *const words[] = {
#define X(name, word) word,
        MIGRATION_NOTES(X)
#undef X
    };
    return kind < ARRAY_COUNT(words) ? words[kind] : "remark";
}

const char *node_migration_verdict_word(uint8_t verdict) {
    static const char *const words[] = {
#define X(name, word) word,
        MIGRATION_VERDICTS(X)
#undef X
    };
    return verdict < ARRAY_COUNT(words) ? words[verdict] : "runs";
}

void node_migration_plan_write(struct buf *to, const struct migration_plan *plan) {
    put(to, LAYOUT);
    put_digest(to, plan->from);
    put(to, plan->errors);
    put(to, plan->foreign_keys_off);
    put(to, plan->notes.n);
    for (uint32_t i = 0; i < plan->notes.n; i++) {
        const struct migration_note *n = &plan->notes.p[i];
        put_str(to, n->file), put(to, n->line), put(to, n->column), put(to, n->kind), put_str(to, n->code), put_str(to, n->text);
    }
    put(to, plan->statements.n);
    for (uint32_t i = 0; i < plan->statements.n; i++) {
        const struct migration_statement *s = &plan->statements.p[i];
        put_str(to, s->file), put(to, s->line), put(to, s->verdict), put_str(to, s->what), put_str(to, s->why);
    }
    put(to, plan->catalogs.n);
    for (uint32_t i = 0; i < plan->catalogs.n; i++) put_str(to, plan->catalogs.p[i]);
    put(to, plan->parts.n);
    for (uint32_t i = 0; i < plan->parts.n; i++) {
        const struct migration_part *p = &plan->parts.p[i];
        put_str(to, p->name), put_digest(to, p->digest), put(to, p->seed), put(to, p->steps.n);
        for (uint32_t k = 0; k < p->steps.n; k++) {
            const struct migration_step *s = &p->steps.p[k];
            put_str(to, s->text), put(to, s->line), put(to, s->kind), put(to, s->catalog);
        }
        put_str(to, p->catalog);
    }
}

/* For a terminal and JSON: what a stranger's file made it say. */
static str get_words(arena *out, struct rd *from, size_t most) {
    str s = get_str(from, most);
    char *to = arena_cstr(out, s);
    text_tame(to, s.n);
    return (str){(uint8_t *)to, s.n};
}

/* Catalogues come in their order. */
static void get_step_kind(struct rd *from, const struct migration_plan *plan, uint32_t *last, struct migration_step *step) {
    step->kind = (uint8_t)get_count(from, 1, MIGRATION_CALL);
    step->catalog = get_u32(from);
    bool call = step->kind == MIGRATION_CALL, next = step->catalog && step->catalog >= *last && step->catalog - *last <= 1;
    if (call ? !next || step->catalog > plan->catalogs.n : step->catalog != 0) rd_fail(from, "a step of no kind");
    if (call) *last = step->catalog;
}

static uint8_t get_kind(struct rd *from, unsigned kinds) {
    uint64_t v = rd_u64le(from);
    if (v >= kinds) rd_fail(from, "no such kind");
    return v < kinds ? (uint8_t)v : 0;
}

static struct migration_part get_part(arena *out, struct rd *from, const struct migration_plan *plan, uint32_t *last) {
    struct migration_part p = {.name = get_name(from)};
    get_digest(from, p.digest);
    p.seed = rd_u64le(from) != 0;
    for (uint32_t n = get_count(from, 32, STEPS_MAX); n && !from->fail; n--) {
        struct migration_step step = {.text = get_str(from, SIZE_MAX)};
        step.line = get_u32(from);
        get_step_kind(from, plan, last, &step);
        vec_push(out, &p.steps, step);
    }
    p.catalog = get_str(from, SIZE_MAX);
    return p;
}

err node_migration_plan_read(arena *out, str bytes, struct migration_plan *plan, struct diag *d) {
    struct rd from = begin(bytes);
    *plan = (struct migration_plan){0};
    get_digest(&from, plan->from);
    plan->errors = get_u32(&from);
    plan->foreign_keys_off = rd_u64le(&from) != 0;
    for (uint32_t n = get_count(&from, 48, MIGRATION_NOTES_MAX); n && !from.fail; n--) {
        struct migration_note note = {.file = get_words(out, &from, MIGRATION_NAME_MAX)};
        note.line = get_u32(&from), note.column = get_u32(&from);
        note.kind = get_kind(&from, MIGRATION_NOTE_KINDS), note.is_error = note.kind == MIGRATION_NOTE_ERROR;
        note.code = get_words(out, &from, 64), note.text = get_words(out, &from, 4096);
        vec_push(out, &plan->notes, note);
    }
    for (uint32_t n = get_count(&from, 40, MIGRATION_STATEMENTS_MAX); n && !from.fail; n--) {
        struct migration_statement s = {.file = get_words(out, &from, MIGRATION_NAME_MAX)};
        s.line = get_u32(&from), s.verdict = get_kind(&from, MIGRATION_VERDICTS_COUNT);
        s.what = get_words(out, &from, 64), s.why = get_words(out, &from, 4096);
        vec_push(out, &plan->statements, s);
    }
    for (uint32_t n = get_count(&from, 8, MIGRATION_CATALOGS_MAX); n && !from.fail; n--)
        vec_push(out, &plan->catalogs, get_str(&from, SIZE_MAX));
    uint32_t last = 0;
    for (uint32_t n = get_count(&from, 32 + APP_DIGEST_BYTES, MIGRATION_FILES_MAX); n && !from.fail; n--)
        vec_push(out, &plan->parts, get_part(out, &from, plan, &last));
    if (plan->errors && plan->parts.n) rd_fail(&from, "a plan with errors");
    return end(&from, "what the job made of the migrations", d);
}

/* ---- what there is ---- */

void node_migration_state_write(struct buf *to, const struct migration_state *state) {
    put(to, LAYOUT);
    put_str(to, state->catalog);
    put(to, state->bytes);
    put(to, state->applied.n);
    for (uint32_t i = 0; i < state->applied.n; i++) {
        const struct migration_applied *a = &state->applied.p[i];
        put_str(to, a->name), put_digest(to, a->digest), put(to, a->at_s);
    }
}

err node_migration_state_read(arena *out, str bytes, struct migration_state *state, struct diag *d) {
    struct rd from = begin(bytes);
    *state = (struct migration_state){.catalog = get_str(&from, SIZE_MAX)};
    state->bytes = rd_u64le(&from);
    for (uint32_t n = get_count(&from, 16 + APP_DIGEST_BYTES, MIGRATION_FILES_MAX * 10u); n && !from.fail; n--) {
        struct migration_applied a = {.name = get_name(&from)};
        get_digest(&from, a.digest);
        a.at_s = rd_u64le(&from);
        vec_push(out, &state->applied, a);
    }
    return end(&from, "what the store says of the database", d);
}

void node_migration_done_write(struct buf *to, const struct migration_done *done) {
    put(to, LAYOUT);
    put(to, done->parts), put(to, done->failed), put(to, done->step), put_str(to, done->state), put_str(to, done->text);
    put(to, done->raised.n);
    for (uint32_t i = 0; i < done->raised.n; i++) {
        const struct migration_raised *r = &done->raised.p[i];
        put(to, r->part), put(to, r->step), put(to, r->warns), put_str(to, r->text);
    }
}

err node_migration_done_read(arena *out, str bytes, struct migration_done *done, struct diag *d) {
    struct rd from = begin(bytes);
    *done = (struct migration_done){.parts = get_u32(&from), .failed = get_u32(&from), .step = get_u32(&from)};
    done->state = get_words(out, &from, 8), done->text = get_words(out, &from, 4096);
    for (uint32_t n = get_count(&from, 32, MIGRATION_RAISED_MAX); n && !from.fail; n--) {
        struct migration_raised r = {.part = get_u32(&from), .step = get_u32(&from)};
        r.warns = rd_u64le(&from) != 0, r.text = get_words(out, &from, 1024);
        vec_push(out, &done->raised, r);
    }
    return end(&from, "what the store says of the migrations", d);
}

/* ---- which are to be applied ---- */

static err gone(const struct migration_applied *a, struct diag *d) {
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                    STR_FMT
                    " was applied, and is not among the migrations any more: put the file back; what it did is undone by a new "
                    "one, or with all data by orlo db reset",
                    STR_ARG(a->name));
}
static err edited(const struct migration_applied *a, struct diag *d) {
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                    STR_FMT
                    " was applied, and has been edited since: make it what it was (SHA-256 %02x%02x%02x%02x…), and write a new "
                    "migration for what is to change",
                    STR_ARG(a->name), a->digest[0], a->digest[1], a->digest[2], a->digest[3]);
}
static err late(const struct migration_file *f, str last, struct diag *d) {
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                    STR_FMT " comes before " STR_FMT
                            ", which was applied already: give it a later name, for migrations are applied in "
                            "the order of their names",
                    STR_ARG(f->name), STR_ARG(last));
}

err node_migration_pending(arena *out, const struct migration_file *files, uint32_t n, const struct migration_state *state,
                           uint32_t **pending, uint32_t *count, struct diag *d) {
    struct map named = {0};
    uint64_t at;
    str last = {0};
    *pending = arena_array(out, uint32_t, n + 1);
    *count = 0;
    for (uint32_t i = 0; i < n; i++) map_put(out, &named, files[i].name, i);
    for (uint32_t i = 0; i < state->applied.n; i++) {
        const struct migration_applied *a = &state->applied.p[i];
        if (!map_get(&named, a->name, &at)) return gone(a, d);
        if (memcmp(files[at].digest, a->digest, sizeof a->digest) != 0) return edited(a, d);
        if (str_cmp(a->name, last) > 0) last = a->name;
    }
    struct map done = {0};
    for (uint32_t i = 0; i < state->applied.n; i++) map_put(out, &done, state->applied.p[i].name, i);
    for (uint32_t i = 0; i < n; i++) {
        if (map_get(&done, files[i].name, &at)) continue;
        if (last.n && str_cmp(files[i].name, last) < 0) return late(&files[i], last, d);
        (*pending)[(*count)++] = i;
    }
    return ERR_OK;
}
