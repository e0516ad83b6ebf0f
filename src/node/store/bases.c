/* bases: databases, what is asked of each, and the threads that do it.
 *
 *   ask ──> its database's queue ──> ready ──a thread takes it, with all that waits──> busy ──> done, answered by who reads messages
 *                                      ^                                                │
 *                                      └──────────────── more has come ─────────────────┘
 *
 * 1. A database is one thread's at a time; threads are as many as there are databases with something to do, up to a bound, and the kernel
 *    shares the cores among them. So nobody's statement, however long, holds another app's.
 * 2. Where more are ready than there are threads, the app that has had least of their time is next, and an app has two of them at most.
 * 3. All that is shared is under one lock, which nobody holds while he works.
 * 4. Nothing waits but for a database, its thread, or those who were answered a moment ago (gather).
 * 5. A transaction that goes on over several statements holds its database for its own connection, and for so long as a statement may take.
 */
#include "node/store/store_int.h"
#include "node/wal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    THREADS_MAX = 64,
    THREADS_OF_APP_MAX = 2,
    OPEN_MAX = 128,            /* databases: about 1.2 MB of memory each, and 8 descriptors */
    WAITING_OF_APP_MAX = 2048, /* questions */
    WAITING_MAX = 65536,
    STACK_BYTES = 2 << 20, /* a quarter of it for what a statement nests (db_account_begin) */
    APPS_HASH = 1024,
};
static const uint64_t bytes_of_app_max = 64 * MiB, bytes_max = 512 * MiB, idle_ns = 30'000'000'000u, tick_ns = 1'000'000'000u;

struct store_app {
    struct store_app *next;
    uint32_t id;
    char name[64];
    struct store_base *bases;
    uint64_t had_ns; /* of threads' time, beside the others' */
    uint32_t running, waiting;
    uint64_t bytes;
    struct db_account memory; /* its databases' */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct store_config config;
    struct store_app *apps[APPS_HASH];
    struct store_base *all, *ready;
    struct store_ask *done, **done_last;
    uint32_t threads, resting, calls, open, waiting, at_work; /* calls: to those who rest, that nobody has followed yet */
    uint32_t ready_count, begun;                              /* begun: threads that have not come yet */
    uint64_t bytes, had_ns;                                   /* had_ns: of the app that was taken last */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

bool node_store_bases_keep(void) { return all.config.keeps; }

void node_store_bases_init(const struct store_config *config) {
    all.config = *config;
    node_store_past_init(config->history_bytes_max, config->history_ms_max);
    all.done_last = &all.done;
}

/* ---- questions ---- */

static void settle(struct store_base *base);
static void wake(void);

/* What it was given of its database is on its way, or is not wanted any more. */
static void give_back(struct store_ask *ask) {
    pthread_mutex_lock(&all.lock);
    ask->base->given--;
    settle(ask->base);
    wake();
    pthread_mutex_unlock(&all.lock);
}

void node_store_ask_free(struct store_ask *ask) {
    if (ask->given) give_back(ask);
    if (ask->errand) close(ask->errand->in), close(ask->errand->out);
    buf_free(&ask->answer);
    arena_free(ask->mem); /* it is in there */
}

/* What SQLite says has words of the statement's in it, bytes of its data, and an end where there was no more room: a guest is told text. */
static void make_text(char *text) {
    size_t n = strlen(text), cut = n;
    while (cut && n - cut < 4 && !str_is_utf8((str){(uint8_t *)text, cut})) cut--;
    if (str_is_utf8((str){(uint8_t *)text, cut})) text[cut] = 0;
    else
        for (size_t i = 0; i < n; i++)
            if ((uint8_t)text[i] >= 0x80) text[i] = '?';
}

void node_store_ask_fail(struct store_ask *ask, enum app_data_outcome outcome, const char *fmt, ...) {
    if (ask->outcome != APP_DATA_OK) return;
    va_list ap;
    ENSURE(fmt); /* gcc with its sanitizers warns of a path on which there was none */
    va_start(ap, fmt);
    vsnprintf(ask->text, sizeof ask->text, fmt, ap);
    va_end(ap);
    make_text(ask->text);
    ask->outcome = outcome;
    buf_free(&ask->answer);
}

/* What the file is called is nobody's business. */
static const char *without_name(const struct store_base *base, const char *text) {
    const char *const names[] = {base->name, ":memory:"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_starts(str_c(text), str_c(names[i]))) return text + strlen(names[i]) + (text[strlen(names[i])] == ':' ? 2 : 1);
    return text;
}

void node_store_ask_db_failed(struct store_ask *ask, err e, const struct diag *d) {
    struct store_base *base = ask->base;
    const char *text = without_name(base, d->text[0] ? d->text : err_text(e));
    switch (e) {
    case ERR_USAGE:
    case ERR_BUSY:
    case ERR_DENIED: node_store_ask_fail(ask, APP_DATA_REFUSED, "%s", text); return;
    case ERR_LIMIT:
        if (base->late)
            node_store_ask_fail(ask, APP_DATA_LATE, "it took longer than %u ms, and was undone (data_timeout_ms)", ask->ms_max);
        else if (strstr(text, "full"))
            node_store_ask_fail(ask, APP_DATA_FULL, "the database is full: it may have %llu KiB (%s), or the disk has no room",
                                (unsigned long long)(ask->bytes_max / KiB), base->of == APP_OF_APP ? "database_mb" : "sqlite_mb");
        else node_store_ask_fail(ask, APP_DATA_TOO_LARGE, "%s", text);
        return;
    default:
        log_event(LOG_ERROR, "data-failed", LF_CSTR("app", base->app->name),
                  LF_CSTR("reason", d->text[0] ? d->text : err_text(e)));
        node_store_ask_fail(ask, APP_DATA_FAILED, "%s", text);
        __atomic_store_n(&base->close, true, __ATOMIC_RELAXED); /* what it holds of the file may not be what is in it */
    }
}

void node_store_ask_answer(struct store_ask *ask, struct app_value v) {
    if (ask->outcome != APP_DATA_OK) return;
    app_values_write(&ask->answer, &v, 1);
    if (ask->answer.n > ask->answer_bytes_max)
        node_store_ask_fail(ask, APP_DATA_TOO_LARGE, "the answer is larger than %u KiB", ask->answer_bytes_max / 1024);
}

void node_store_ask_anew(struct store_ask *ask) {
    ask->outcome = APP_DATA_OK;
    ask->undone = false;
    ask->text[0] = 0;
    buf_free(&ask->answer);
}

/* ---- which are ready ---- */

/* Who opens its files reads what is committed: that is anybody's. */
static bool is_holders(const struct store_base *base, const struct store_ask *ask) {
    return !base->holder || (ask->op == APP_OPEN && !ask->errand) ||
           (ask->peer == base->holder && ask->count && ask->values[0].kind == APP_VALUE_INTEGER &&
            ask->values[0].i == base->holder_connection);
}

/* Once it is told, and what is on its way of it has left. */
static bool is_to_close(const struct store_base *base) { return base->close && base->open && !base->given; }

static bool has_something(const struct store_base *base) {
    if ((base->forget && !node_store_checkpoint_held()) || is_to_close(base) || (base->undo && base->open)) return true;
    for (const struct store_ask *ask = base->first; ask; ask = ask->next)
        if (is_holders(base, ask)) return true;
    return false;
}

static void leave_ready(struct store_base *base) {
    if (!base->ready) return;
    *base->ready = base->next_ready;
    if (base->next_ready) base->next_ready->ready = base->ready;
    base->ready = NULL;
    all.ready_count--;
}

static void settle(struct store_base *base) {
    if (base->busy || base->ready || !has_something(base)) return;
    base->next_ready = all.ready;
    if (all.ready) all.ready->ready = &base->next_ready;
    base->ready = &all.ready;
    all.ready = base;
    all.ready_count++;
}

/* Whose app has had least, of those that may have another thread. */
static struct store_base *next_ready(void) {
    struct store_base *best = NULL;
    for (struct store_base *base = all.ready; base; base = base->next_ready)
        if (base->app->running < THREADS_OF_APP_MAX && (!best || base->app->had_ns < best->app->had_ns)) best = base;
    return best;
}

/* ---- threads ---- */

static uint32_t take(struct store_base *base, struct store_ask *asks[static STORE_BATCH_MAX]) {
    uint32_t n = 0;
    for (struct store_ask **at = &base->first; *at && n < STORE_BATCH_MAX;) {
        struct store_ask *ask = *at;
        if (!is_holders(base, ask)) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        asks[n++] = ask;
    }
    base->last = &base->first;
    while (*base->last) base->last = &(*base->last)->next;
    return n;
}

static void put_back(struct store_base *base, struct store_ask *const *asks, uint32_t n) {
    for (uint32_t i = n; i-- > 0;) {
        asks[i]->next = base->first;
        if (!base->first) base->last = &asks[i]->next;
        base->first = asks[i];
    }
}

static void finish(struct store_ask *const *asks, uint32_t n) {
    bool first = !all.done;
    for (uint32_t i = 0; i < n; i++) {
        struct store_app *app = asks[i]->base->app;
        asks[i]->given = asks[i]->op == APP_OPEN;
        asks[i]->base->given += asks[i]->given;
        app->waiting--, all.waiting--;
        app->bytes -= asks[i]->bytes, all.bytes -= asks[i]->bytes;
        asks[i]->next = NULL;
        *all.done_last = asks[i];
        all.done_last = &asks[i]->next;
    }
    if (first && n) all.config.done(all.config.arg);
}

/* The least recently used makes room; where all are in use there are more for a while. */
static void make_room(void) {
    struct store_base *oldest = NULL;
    for (struct store_base *base = all.all; base && all.open >= OPEN_MAX; base = base->next)
        if (base->open && !base->busy && !base->ready && !base->holder && !base->given &&
            (!oldest || base->used_ns < oldest->used_ns))
            oldest = base;
    if (!oldest) return;
    oldest->close = true;
    settle(oldest);
}

static void begin(struct store_base *base) { db_account_begin(&base->app->memory, STACK_BYTES / 4); }

/* What many databases took, each on another thread, is the machine's again. Looking through it takes milliseconds: not each time. */
static void give_memory_back(void) {
    enum { CLOSED = 16 };
    static uint32_t closed; /* atomic, relaxed */
    if (__atomic_add_fetch(&closed, 1, __ATOMIC_RELAXED) % CLOSED == 0) malloc_trim(0);
}

static void close_it(struct store_base *base) {
    base->lends = false;
    pthread_mutex_unlock(&all.lock);
    begin(base);
    node_store_base_close(base);
    db_account_end();
    give_memory_back();
    pthread_mutex_lock(&all.lock);
    base->close = base->open = false;
    base->holder = NULL;
    base->wal = (struct db_wal){0};
    all.open--;
}

/* All that is in it: files that are open go with whoever has them open. */
static void remove_folder(const struct store_base *base) {
    char name[sizeof base->name];
    memcpy(name, base->name, sizeof name);
    *strchr(name, '/') = 0;
    int fd = openat(AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !folder) close(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) unlinkat(fd, entry->d_name, 0);
    if (folder) closedir(folder);
    if (unlinkat(AT_FDCWD, name, AT_REMOVEDIR) && errno != ENOENT)
        log_event(LOG_ERROR, "data-failed", LF_CSTR("app", base->app->name), LF_CSTR("reason", strerror(errno)));
}

/* Somebody may begin to hold meanwhile: then it stays until he has copied what is there. */
static void forget_app(struct store_base *base) {
    pthread_mutex_unlock(&all.lock);
    node_store_writes(true);
    bool held = node_store_checkpoint_held();
    if (!held && all.config.keeps) remove_folder(base);
    node_store_writes(false);
    pthread_mutex_lock(&all.lock);
    base->forget = held;
}

/* ---- logs of apps' databases ---- */

/* What its log has goes into its file: by another thread, which keeps nobody waiting; where that is never all, as more comes meanwhile, the rest by its own. */
static void look_at_log(struct store_base *base) {
    if (!base->db || !all.config.keeps) return;
    struct db_wal wal = db_wal(base->db);
    base->wrote |= wal.commits != base->wal.commits; /* not frames: a log that began anew may have as many */
    if (base->wrote && (base->wal.done == base->wal.frames || wal.frames < base->wal.frames))
        base->wal.done = 0; /* begun anew, perhaps */
    base->wal.frames = wal.frames, base->wal.commits = wal.commits;
    if (base->checked || base->holder || node_store_checkpoint_held()) return;
    base->wrote = false;
    if (base->wal.frames - base->wal.done < STORE_LOG_SOFT && base->wal.frames < STORE_LOG_HARD) return;
    if (base->wal.done == base->wal.frames) return;
    bool shared = base->of == APP_OF_APP; /* with another connection of this process */
    if (!shared || (base->wal.frames >= STORE_LOG_HARD && base->wal.frames - base->wal.done < STORE_LOG_SOFT)) {
        pthread_mutex_unlock(&all.lock);
        begin(base);
        node_store_checkpoint_own(base);
        db_account_end();
        pthread_mutex_lock(&all.lock);
        base->wal = db_wal(base->db);
        return;
    }
    base->checked = true;
    node_store_checkpoint_start(base, false);
}

void node_store_bases_checked(struct store_base *base, const struct db_wal *wal) {
    pthread_mutex_lock(&all.lock);
    base->checked = false;
    if (wal->frames) base->wal.done = base->wrote && wal->done >= base->wal.frames ? 0 : MIN(wal->done, base->wal.frames);
    pthread_mutex_unlock(&all.lock);
}

/* ---- those who ask again ---- */

static bool is_write(const struct store_ask *ask) { return !ask->errand && ask->op != APP_TX && app_data_writes(ask->op); }

/* Whoever was answered after a commit asks again, as a rule, within a moment. Were the next one begun at once, half of them would always wait for the
 * commit of the other half, and each commit would be of half of them. So it waits for as many as there were, answered or waiting, when the one before it
 * was over: for no longer than a part of what that took, and not at all where nothing was committed just now, or something else than a write waits. Where
 * they do not come it was a part of one commit's time, once: fewer are expected from then on. */
static void gather(struct store_base *base) {
    enum { GATHER_NS_MAX = 500'000 };
    uint32_t n = 0, expected = MIN(base->expected, (uint32_t)STORE_BATCH_MAX);
    uint64_t until = base->used_ns + MIN(base->took_ns / 2, (uint64_t)GATHER_NS_MAX);
    for (const struct store_ask *ask = base->first; ask; ask = ask->next, n++)
        if (!is_write(ask)) return;
    if (!n || n >= expected || base->holder || clock_mono_ns() >= until) return;
    const struct timespec at = {.tv_sec = (time_t)(until / 1'000'000'000u), .tv_nsec = (long)(until % 1'000'000'000u)};
    base->wanted = expected - n;
    while (base->wanted && pthread_cond_clockwait(&base->came, &all.lock, CLOCK_MONOTONIC, &at) != ETIMEDOUT) {}
    base->wanted = 0;
}

static void has_come(struct store_base *base, const struct store_ask *ask) {
    if (!base->wanted) return;
    base->wanted = is_write(ask) ? base->wanted - 1 : 0;
    if (!base->wanted) pthread_cond_signal(&base->came);
}

static void expect(struct store_base *base, uint32_t answered, uint64_t took) {
    bool committed = all.config.keeps && base->db && db_wal(base->db).commits != base->wal.commits;
    base->expected = committed ? answered : 0;
    base->took_ns = took;
    for (const struct store_ask *ask = base->first; committed && ask; ask = ask->next) base->expected++;
}

static void serve(struct store_base *base) {
    struct store_ask *asks[STORE_BATCH_MAX];
    if (base->undo && base->db) {
        begin(base);
        node_store_undo(base);
        db_account_end();
    }
    if (base->undo) base->holder = NULL;
    base->undo = false;
    if (is_to_close(base)) close_it(base);
    if (base->forget && !node_store_checkpoint_held()) forget_app(base);
    if (base->open) gather(base);
    uint32_t n = take(base, asks), did = 0;
    if (!n) return;
    if (!base->open) {
        base->open = true;
        all.open++;
        if (all.config.keeps) make_room();
    }
    base->taken = asks;
    base->taken_count = n;
    pthread_mutex_unlock(&all.lock);
    uint64_t start = clock_mono_ns();
    begin(base);
    did = node_store_batch(base, asks, n);
    node_store_past_note(base);
    db_account_end();
    uint64_t took = clock_mono_ns() - start;
    pthread_mutex_lock(&all.lock);
    base->app->had_ns += took;
    base->used_ns = start + took;
    base->taken_count = 0;
    put_back(base, asks + did, n - did);
    finish(asks, did);
    expect(base, did, took);
    look_at_log(base);
}

static void *work(void *arg) {
    pthread_mutex_lock(&all.lock);
    all.begun--;
    for (;;) {
        struct store_base *base = next_ready();
        if (!base) {
            all.resting++; /* who calls takes it off */
            while (!all.calls) pthread_cond_wait(&all.more, &all.lock);
            all.calls--;
            continue;
        }
        struct store_app *app = base->app;
        leave_ready(base);
        base->busy = true;
        app->running++, all.at_work++;
        all.had_ns = MAX(all.had_ns, app->had_ns);
        serve(base);
        app->running--, all.at_work--;
        base->busy = false;
        settle(base);
    }
    return NULL;
}

/* Somebody for what is ready. */
static void wake(void) {
    if (all.calls + all.begun >= all.ready_count) return; /* it waits for who has its database already, or is on his way */
    if (all.resting) {
        all.resting--, all.calls++;
        pthread_cond_signal(&all.more);
        return;
    }
    if (all.threads == THREADS_MAX) return;
    pthread_t thread;
    pthread_attr_t how;
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    pthread_attr_init(&how);
    pthread_attr_setstacksize(&how, STACK_BYTES);
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &how, work, NULL) == 0) all.threads++, all.begun++;
    pthread_attr_destroy(&how);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- apps and databases ---- */

static struct store_app *app_of(uint32_t id, str name) {
    struct store_app **at = &all.apps[id % APPS_HASH];
    while (*at && ((*at)->id != id || !str_eqc(name, (*at)->name))) at = &(*at)->next;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        ENSURE(*at);
        (*at)->id = id;
        memcpy((*at)->name, name.p, name.n);
    }
    if (!(*at)->waiting)
        (*at)->had_ns = MAX((*at)->had_ns, all.had_ns); /* what it did not use while it had nothing to do is not saved up */
    return *at;
}

/* "shop.17/sql-orders.db": of this app, and of no other that comes to bear its name. */
static void name_file(const struct store_app *app, enum app_data_of of, str place, char *to, size_t size) {
    static const char *const names[APP_DATA_OFS] = {[APP_OF_KEYS] = "keys", [APP_OF_SQL] = "sql-", [APP_OF_APP] = "app"};
    struct buf name = {.p = (uint8_t *)to, .cap = size, .max = size - 1};
    buf_printf(&name, "%s.%u/%s", app->name, app->id, names[of]);
    for (size_t i = 0; of == APP_OF_SQL && i < place.n; i++) {
        uint8_t c = place.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') buf_putc(&name, c);
        else buf_printf(&name, "%%%02x", c);
    }
    buf_puts(&name, STR(".db"));
    ENSURE(!name.full);
    to[name.n] = 0;
}

static struct store_base *base_of(struct store_app *app, enum app_data_of of, str place) {
    char name[sizeof((struct store_base){}).name];
    name_file(app, of, place, name, sizeof name);
    for (struct store_base *base = app->bases; base; base = base->next_of_app)
        if (!strcmp(base->name, name)) return base;
    struct store_base *base = calloc(1, sizeof *base);
    ENSURE(base);
    *base = (struct store_base){.app = app,
                                .of = of,
                                .last = NULL,
                                .next_of_app = app->bases,
                                .next = all.all,
                                .taking = PTHREAD_MUTEX_INITIALIZER,
                                .came = PTHREAD_COND_INITIALIZER,
                                .texts.fd = -1};
    base->last = &base->first;
    memcpy(base->name, name, sizeof name);
    app->bases = base;
    all.all = base;
    return base;
}

/* What is to be part of a path. */
static bool is_name(str name) {
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
              (c == '.' && i)))
            return false;
    }
    return name.n && name.n < sizeof((struct store_app){}).name;
}

/* ---- from who reads messages ---- */

static bool is_tx_ok(const struct store_ask *ask) {
    const struct app_value *v = ask->values;
    if (ask->op != APP_TX || ask->errand) return true;
    for (uint32_t i = 0; i < APP_TX_VALUES && i < ask->count; i++)
        if (v[i].kind != APP_VALUE_INTEGER) return false;
    return ask->count >= APP_TX_VALUES && v[1].i >= 0 && v[1].i < APP_TX_KINDS;
}

void node_store_bases_lends(struct store_base *base) {
    struct diag d = DIAG_INIT;
    int files[3];
    bool lends = node_store_bases_keep() && base->of == APP_OF_APP && db_files_of(base->db, files, &d) == ERR_OK;
    pthread_mutex_lock(&all.lock);
    base->lends = lends;
    pthread_mutex_unlock(&all.lock);
}

/* A deployment may be at a statement for a minute: who begins to read meanwhile does not wait for its end. */
static bool lend(struct store_base *base, struct store_ask *ask) {
    struct diag d = DIAG_INIT;
    if (!base->busy || !base->lends || ask->op != APP_OPEN || ask->errand || db_files_of(base->db, ask->files, &d) != ERR_OK)
        return false;
    finish(&ask, 1);
    return true;
}

bool node_store_bases_ask(uint32_t id, str name, struct store_ask *ask) {
    if (!is_tx_ok(ask)) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "no transaction");
        return false;
    }
    if (!is_name(name) || ask->place.n > 64) {
        node_store_ask_fail(ask, APP_DATA_REFUSED, "there is no such app or store");
        return false;
    }
    pthread_mutex_lock(&all.lock);
    struct store_app *app = app_of(id, name);
    bool full = app->waiting >= WAITING_OF_APP_MAX || app->bytes + ask->bytes > bytes_of_app_max || all.waiting >= WAITING_MAX ||
                all.bytes + ask->bytes > bytes_max;
    if (!full) {
        struct store_base *base = base_of(app, app_data_of(ask->op), ask->place);
        ask->base = base;
        app->waiting++, all.waiting++;
        app->bytes += ask->bytes, all.bytes += ask->bytes;
        if (!lend(base, ask)) {
            *base->last = ask;
            base->last = &ask->next;
            has_come(base, ask);
            settle(base);
            wake();
        }
    }
    pthread_mutex_unlock(&all.lock);
    if (full) node_store_ask_fail(ask, APP_DATA_BUSY, "too much waits for the app's data");
    return !full;
}

static void cancel_one(struct store_ask *ask, const struct store_peer *peer, const uint32_t *id) {
    if (ask->peer == peer && (!id || ask->id == *id)) __atomic_store_n(&ask->cancelled, true, __ATOMIC_RELAXED);
}

/* Whoever does it looks at that; what waits is answered in its turn, at once. */
static void cancel(struct store_base *base, const struct store_peer *peer, const uint32_t *id) {
    for (struct store_ask *ask = base->first; ask; ask = ask->next) cancel_one(ask, peer, id);
    for (uint32_t i = 0; i < base->taken_count; i++) cancel_one(base->taken[i], peer, id);
}

void node_store_bases_cancel(struct store_peer *peer, uint32_t id) {
    pthread_mutex_lock(&all.lock);
    for (struct store_base *base = all.all; base; base = base->next) cancel(base, peer, &id);
    pthread_mutex_unlock(&all.lock);
}

void node_store_bases_peer_gone(struct store_peer *peer) {
    pthread_mutex_lock(&all.lock);
    for (struct store_base *base = all.all; base; base = base->next) cancel(base, peer, NULL);
    peer->gone = true;
    pthread_mutex_unlock(&all.lock);
}

void node_store_bases_forget(uint32_t id, str name) {
    if (!is_name(name)) return;
    pthread_mutex_lock(&all.lock);
    struct store_app *app = app_of(id, name);
    base_of(app, APP_OF_KEYS, STR(""))->forget = true;
    for (struct store_base *base = app->bases; base; base = base->next_of_app) {
        base->close |= base->open;
        settle(base);
        wake();
    }
    pthread_mutex_unlock(&all.lock);
}

struct store_ask *node_store_bases_done(void) {
    pthread_mutex_lock(&all.lock);
    struct store_ask *done = all.done;
    all.done = NULL;
    all.done_last = &all.done;
    pthread_mutex_unlock(&all.lock);
    return done;
}

/* A call of a function of SQLite's that nothing stops. Its thread cannot be taken back, but with the process: what was acknowledged is on the
 * disk, who waits hears that it is lost, and another process goes on. */
static void end_if_stuck(struct store_base *base, uint64_t now_ns) {
    uint64_t stuck_ns = __atomic_load_n(&base->stuck_ns, __ATOMIC_RELAXED);
    if (!base->busy || !stuck_ns || now_ns < stuck_ns) return;
    log_event(LOG_ERROR, "data-stuck", LF_CSTR("app", base->app->name), LF_CSTR("database", base->name));
    log_flush();
    _exit(1);
}

uint64_t node_store_bases_tick(uint64_t now_ns) {
    bool any = false;
    if (node_store_checkpoint_forgotten(now_ns) && node_store_bases_release())
        log_event(LOG_WARN, "backup-end", LF_CSTR("reason", "nobody said that it is over"));
    pthread_mutex_lock(&all.lock);
    for (struct store_base *base = all.all; base; base = base->next) {
        any |= base->open || base->first;
        end_if_stuck(base, now_ns);
        if (base->open && !base->checked && node_store_past_behind(base)) {
            base->checked = true;
            node_store_checkpoint_start(base, true);
        }
        if (base->busy || !base->open) continue;
        bool idle = all.config.keeps && !base->first && !base->holder && !base->given && now_ns - base->used_ns > idle_ns,
             late = base->holder && (base->holder->gone || now_ns >= base->holder_until_ns);
        if (!idle && !late) continue;
        base->undo |= late;
        base->close |= idle;
        settle(base);
        wake();
    }
    pthread_mutex_unlock(&all.lock);
    return any ? now_ns + tick_ns : 0;
}

/* ---- a backup's moment ---- */

/* Whoever has it open knows where its log ends. That of one that nobody has open, as a crash left it or a reader that held it, or that was opened and
 * not written since, is counted: before the moment, and again in it if it has become another one. */
struct counted {
    str name; /* of the log */
    int64_t bytes, at_ns;
    struct wal_end end;
};
struct holding {
    arena *mem;
    struct buf *lines; /* NULL: before the moment */
    VEC(struct counted) counted;
};

static void count_log(struct holding *h, int fd, const char *name, struct wal_end *end) {
    struct stat st;
    if (fstat(fd, &st)) return;
    int64_t at_ns = (int64_t)st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec;
    for (uint32_t i = 0; i < h->counted.n; i++) {
        const struct counted *k = &h->counted.p[i];
        if (!str_eqc(k->name, name) || k->bytes != st.st_size || k->at_ns != at_ns) continue;
        *end = k->end;
        return;
    }
    if (!node_wal_end(fd, end)) *end = (struct wal_end){0};
    vec_push(h->mem, &h->counted, ((struct counted){arena_str(h->mem, str_c(name)), st.st_size, at_ns, *end}));
}

/* "shop.17/app.db": there is one, or nobody has asked it anything. */
static const struct store_base *base_named(const char *name) {
    const char *dot = memrchr(name, '.', (size_t)str_find(str_c(name), '/'));
    struct store_app *app = dot ? all.apps[strtoul(dot + 1, NULL, 10) % APPS_HASH] : NULL;
    for (; app; app = app->next)
        for (struct store_base *base = app->bases; base; base = base->next_of_app)
            if (!strcmp(base->name, name)) return base;
    return NULL;
}

static void tell_log(struct holding *h, int folder, const char *of, const char *entry) {
    char name[sizeof((struct store_base){}).name];
    if (snprintf(name, sizeof name, "%s/%.*s", of, (int)(strlen(entry) - 4), entry) >= (int)sizeof name) return;
    pthread_mutex_lock(&all.lock);
    const struct store_base *base = base_named(name);
    struct db_wal known = base ? base->wal : (struct db_wal){0}, wal = known;
    if (h->lines && base) wal = base->db ? db_wal(base->db) : (struct db_wal){0}; /* nobody opens or closes it now */
    pthread_mutex_unlock(&all.lock);
    int fd = wal.commits && !h->lines ? -1 : openat(folder, entry, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool in_file = wal.frames == known.frames && known.done >= wal.frames; /* all of it: none has to be copied */
    struct wal_end end = {.frames = wal.frames};
    if (fd < 0) return;
    if (!wal.commits) count_log(h, fd, name, &end), in_file = false;
    else if (!node_wal_salts(fd, end.salts)) end.frames = 0;
    close(fd);
    if (!end.frames || !h->lines) return;
    buf_printf(h->lines, "{\"database\":\"%s\",\"frames\":%u,\"end\":%u,\"salts\":\"", name, in_file ? 0 : end.frames,
               end.frames);
    for (size_t i = 0; i < sizeof end.salts; i++) buf_printf(h->lines, "%02x", end.salts[i]);
    buf_puts(h->lines, STR("\"}\n"));
}

static void tell_logs_of(struct holding *h, int above, const char *name) {
    int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !folder) close(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct stat st;
        if (!str_ends(str_c(entry->d_name), STR(".db-wal")) || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        if (st.st_size) tell_log(h, fd, name, entry->d_name);
    }
    if (folder) closedir(folder);
}

static void tell_logs(void *arg) {
    struct holding *h = arg;
    int fd = openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !folder) close(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.') tell_logs_of(h, fd, entry->d_name);
    if (folder) closedir(folder);
}

static struct holding moment; /* of this thread's: that somebody waits for */

static void forget_counted(void) {
    arena_free(moment.mem);
    moment = (struct holding){0};
}

void node_store_bases_hold(void) {
    node_store_checkpoint_hold();
    forget_counted();
    moment.mem = arena_new(0);
    if (all.config.keeps) tell_logs(&moment);
}

bool node_store_bases_moment(struct buf *lines) {
    moment.lines = lines;
    bool was = !all.config.keeps || node_store_checkpoint_between(tell_logs, &moment);
    moment.lines = NULL;
    if (was) forget_counted();
    return was;
}

bool node_store_bases_release(void) {
    forget_counted();
    if (!node_store_checkpoint_held()) return false;
    node_store_checkpoint_release();
    pthread_mutex_lock(&all.lock);
    for (struct store_base *base = all.all; base; base = base->next) settle(base), wake();
    pthread_mutex_unlock(&all.lock);
    return true;
}

bool node_store_bases_idle(void) {
    pthread_mutex_lock(&all.lock);
    bool idle = !all.waiting && !all.at_work && !all.done;
    pthread_mutex_unlock(&all.lock);
    return idle;
}
