/* logs: what apps have logged. Control is the one writer; each app has a file, and the one before it.
 *
 *   worker ── app_lines ──> [ NAME.ID.log ] ── half of an app's quota is full ──> NAME.ID.log.1, and the one before that is gone
 *                                  └── who follows reads the file, at his own pace; he is cut when what he reads is gone
 *
 * 1. What workers say is hearsay: an app that is not there has no log, a line that does not begin as one is left out, controls are
 *    replaced. So a file is lines of JSON, whoever wrote them.
 * 2. An app's files never hold more than its quota, all together never more than theirs: then the oldest that is not being written goes.
 * 3. A file is an app's by its number, which is never given twice: nobody finds the log of who had his name before.
 * 4. Nobody who reads makes anybody wait: he takes what there is room for, and remembers where he was.
 * 5. What cannot be written (a full disk) is counted, and said once a minute.
 */
#include "node/control/logs.h"
#include "node/control/control_int.h"
#include "node/meters.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    OPEN_MAX = 64, /* files that are open to be written */
    PEERS_MAX = 1024,
    TABLE = 1024,
    PACKETS_TURN = 16, /* of one worker, before others have their turn */
    LINE_LEAST = sizeof "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\"}" - 1,
    NAME_BYTES = 96,
};

struct node_log {                   /* an app's */
    struct node_log *next;          /* in its place of the table */
    struct node_log *newer, *older; /* of those that are open, by use */
    uint32_t app;
    char name[APP_NAME_MAX + 1];
    int fd;                 /* -1: closed */
    uint64_t bytes, before; /* of the file; of the one before it */
    uint64_t turned_ns;     /* when it took that one's place */
    uint32_t turns;         /* how often */
    struct node_reader *readers;
};
struct peer {
    struct peer *next;
    struct control *control;
    struct net_watch *watch;
    int fd;
};
struct control_logs {
    struct node_log *table[TABLE], *newest, *oldest;
    uint32_t open;
    struct peer *peers;
    uint32_t peers_count;
    uint64_t bytes;         /* of all files */
    uint64_t lost, told_ns; /* lines that could not be written */
};

/* ---- files ---- */

static void file_name(const struct node_log *log, bool before, char to[static NAME_BYTES]) {
    snprintf(to, NAME_BYTES, "%s.%u.log%s", log->name, log->app, before ? ".1" : "");
}

static uint64_t file_bytes(int folder, const char *name) {
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : (uint64_t)st.st_size;
}

static void leave_open(struct control_logs *l, struct node_log *log) {
    *(log->newer ? &log->newer->older : &l->newest) = log->older;
    *(log->older ? &log->older->newer : &l->oldest) = log->newer;
    log->newer = log->older = NULL;
}

static void join_open(struct control_logs *l, struct node_log *log) {
    log->older = l->newest;
    log->newer = NULL;
    *(l->newest ? &l->newest->newer : &l->oldest) = log;
    l->newest = log;
}

static void close_log(struct control_logs *l, struct node_log *log) {
    if (log->fd < 0) return;
    leave_open(l, log);
    close(log->fd);
    log->fd = -1;
    l->open--;
}

static bool open_log(struct control *c, struct node_log *log) {
    struct control_logs *l = c->logs;
    char name[NAME_BYTES];
    if (log->fd >= 0) {
        leave_open(l, log);
        join_open(l, log);
        return true;
    }
    if (l->open >= OPEN_MAX) close_log(l, l->oldest);
    file_name(log, false, name);
    log->fd = openat(c->state.logs, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (log->fd < 0) return false;
    l->open++;
    join_open(l, log);
    return true;
}

static void drop_before(struct control *c, struct node_log *log) {
    char name[NAME_BYTES];
    file_name(log, true, name);
    if (unlinkat(c->state.logs, name, 0) && errno != ENOENT) return;
    c->logs->bytes -= MIN(log->before, c->logs->bytes);
    log->before = 0;
}

/* The file is full: it becomes the one before. */
static void turn_over(struct control *c, struct node_log *log) {
    char now[NAME_BYTES], before[NAME_BYTES];
    close_log(c->logs, log);
    drop_before(c, log);
    file_name(log, false, now), file_name(log, true, before);
    if (renameat(c->state.logs, now, c->state.logs, before)) return;
    log->before = log->bytes;
    log->bytes = 0;
    log->turned_ns = clock_mono_ns();
    log->turns++;
}

/* All together hold too much: the oldest goes. */
static void make_room(struct control *c) {
    struct control_logs *l = c->logs;
    while (l->bytes > c->limits.logs_bytes_max) {
        struct node_log *oldest = NULL, *largest = NULL;
        for (uint32_t i = 0; i < TABLE; i++)
            for (struct node_log *log = l->table[i]; log; log = log->next) {
                if (log->before && (!oldest || log->turned_ns < oldest->turned_ns)) oldest = log;
                if (log->bytes && (!largest || log->bytes > largest->bytes)) largest = log;
            }
        uint64_t had = l->bytes;
        if (!oldest && !largest) return;
        if (!oldest) turn_over(c, oldest = largest);
        drop_before(c, oldest);
        if (l->bytes == had) return; /* it cannot be removed */
    }
}

/* ---- whose ---- */

static struct node_log *log_at(const struct control_logs *l, uint32_t app) {
    struct node_log *log = l->table[app % TABLE];
    while (log && log->app != app) log = log->next;
    return log;
}

static struct node_log *add_log(struct control *c, uint32_t app, str name) {
    struct node_log *log = calloc(1, sizeof *log);
    ENSURE(log && name.n < sizeof log->name);
    log->app = app;
    log->fd = -1;
    memcpy(log->name, name.p, name.n);
    char now[NAME_BYTES], before[NAME_BYTES];
    file_name(log, false, now), file_name(log, true, before);
    log->bytes = file_bytes(c->state.logs, now), log->before = file_bytes(c->state.logs, before);
    log->next = c->logs->table[app % TABLE];
    c->logs->table[app % TABLE] = log;
    return log;
}

/* NULL: there is no such app. */
static struct node_log *log_of(struct control *c, uint32_t app) {
    struct node_log *log = log_at(c->logs, app);
    if (log) return log;
    const struct control_app *of = c->apps;
    while (of && of->id != app) of = of->next;
    return of ? add_log(c, app, of->name) : NULL;
}

/* ---- writing ---- */

static void wake_readers(struct node_log *log);

static void say_lost(struct control_logs *l, uint64_t lines, int why) {
    uint64_t now = clock_mono_ns();
    l->lost += lines;
    node_meter_add(&node_meters->node.app_lines_lost, lines);
    if (l->told_ns && now - l->told_ns < 60'000'000'000u) return;
    log_event(LOG_ERROR, "app-log-not-written", LF_U64("lines", l->lost), LF_CSTR("reason", strerror(why)));
    l->told_ns = now;
    l->lost = 0;
}

static void write_lines(struct control *c, struct node_log *log, str bytes, uint64_t lines) {
    uint64_t half = MAX(c->limits.log_keep_bytes_max / 2, (uint64_t)64 * KiB);
    if (log->bytes && log->bytes + bytes.n > half) turn_over(c, log);
    if (!open_log(c, log)) {
        say_lost(c->logs, lines, errno);
        return;
    }
    ssize_t n = write(log->fd, bytes.p, bytes.n);
    if (n > 0) log->bytes += (uint64_t)n, c->logs->bytes += (uint64_t)n;
    if (n != (ssize_t)bytes.n) { /* half a line is no line */
        int why = n < 0 ? errno : ENOSPC;
        if (n > 0 && ftruncate(log->fd, (off_t)(log->bytes - (uint64_t)n)) == 0)
            log->bytes -= (uint64_t)n, c->logs->bytes -= (uint64_t)n;
        say_lost(c->logs, lines, why);
        return;
    }
    if (c->logs->bytes > c->limits.logs_bytes_max) make_room(c);
    wake_readers(log);
}

static const str line_begin = STR_INIT("{\"time\":\""), line_level = STR_INIT("Z\",\"level\":\"");
enum { TIME_BYTES = sizeof "2026-01-02T03:04:05.678" - 1, LEVEL_AT = 9 + TIME_BYTES + 12 };

/* As log.c writes one; what it says is not looked at. */
static bool is_line(str line) {
    return line.n >= LINE_LEAST && line.p[line.n - 1] == '}' && str_starts(line, line_begin) &&
           str_starts(str_sub(line, line_begin.n + TIME_BYTES, line.n), line_level);
}

static uint64_t take_lines(struct buf *to, str from) {
    uint64_t n = 0;
    for (str line; from.n;) {
        str_cut(from, '\n', &line, &from);
        if (!is_line(line)) continue;
        size_t at = to->n;
        buf_puts(to, line);
        for (size_t i = at; i < to->n; i++)
            if (to->p[i] < ' ' || to->p[i] == 0x7f) to->p[i] = '?';
        buf_putc(to, '\n');
        n++;
    }
    return n;
}

static void take(struct control *c, const struct node_msg_app_lines *m) {
    static struct buf b;
    struct node_log *log = log_of(c, m->app);
    if (!log) return;
    b.n = 0;
    if (m->lost) log_format_json(&b, LOG_WARN, "log-lost", &LF_U64("lines", m->lost), 1);
    uint64_t n = take_lines(&b, m->lines) + (m->lost != 0);
    if (b.n) write_lines(c, log, buf_str(&b), n);
}

void node_logs_event(struct control *c, uint32_t app, enum log_level level, const char *event, const struct log_field *fields,
                     size_t n) {
    struct node_log *log = c->logs ? log_of(c, app) : NULL;
    struct buf b = {0};
    if (!log) return;
    log_format_json(&b, level, event, fields, n);
    write_lines(c, log, buf_str(&b), 1);
    buf_free(&b);
}

/* ---- channels ---- */

static void drop_peer(struct peer *p) {
    struct control_logs *l = p->control->logs;
    struct peer **at = &l->peers;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    l->peers_count--;
    if (p->watch) net_watch_free(p->watch);
    close(p->fd);
    free(p);
}

static void on_peer(void *arg, unsigned events) {
    struct peer *p = arg;
    struct node_message m;
    for (int i = 0; i < PACKETS_TURN; i++) {
        enum node_wire_got got = node_wire_receive(p->fd, NODE_ROLE_worker, NODE_ROLE_control, &m);
        if (got == NODE_WIRE_AGAIN) return;
        bool lines = got == NODE_WIRE_GOT && m.type == NODE_MSG_app_lines,
             used = got == NODE_WIRE_GOT && m.type == NODE_MSG_key_used;
        bool sense = lines || used;
        if (lines) take(p->control, &m.app_lines);
        if (used) node_keys_note_use(p->control, m.key_used.app, m.key_used.key);
        if (got == NODE_WIRE_GOT) node_message_drop(&m);
        if (sense) continue;
        if (got != NODE_WIRE_CLOSED) log_event(LOG_ERROR, "role-cut-off", LF_CSTR("role", "worker"), LF_CSTR("channel", "logs"));
        drop_peer(p);
        return;
    }
}

bool node_logs_peer(struct control *c, int fd) {
    struct control_logs *l = c->logs;
    if (!l || l->peers_count >= PEERS_MAX) {
        close(fd);
        return !l; /* what keeps nothing takes nothing */
    }
    struct peer *p = calloc(1, sizeof *p);
    ENSURE(p);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *p = (struct peer){.next = l->peers, .control = c, .fd = fd};
    l->peers = p;
    l->peers_count++;
    p->watch = net_watch_new(c->loop, fd, NET_READABLE, on_peer, p);
    if (!p->watch) drop_peer(p);
    return true;
}

/* ---- readers ---- */

enum { CHUNK = 64 << 10 };
struct node_reader {
    struct node_reader *next;
    struct control *control;
    struct node_log *log;
    struct node_logs_query query;
    struct node_reader_config config;
    char since[TIME_BYTES + 1]; /* as lines have it; empty: whenever */
    int fd;                     /* of what it reads; -1: nothing yet */
    uint32_t turn;              /* of the log, in which that file was the last one */
    off_t at;                   /* of what is next */
    bool waits;                 /* for room, not for lines */
    uint32_t n, from;           /* of chunk: held; given */
    uint8_t chunk[CHUNK];
};

static void leave_log(struct node_reader *r) {
    struct node_reader **at = &r->log->readers;
    while (*at && *at != r) at = &(*at)->next;
    if (*at) *at = r->next;
}

void node_reader_free(struct node_reader *r) {
    leave_log(r);
    if (r->fd >= 0) close(r->fd);
    free(r);
}

static void end_reader(struct node_reader *r, const char *why) {
    struct node_reader_config config = r->config;
    node_reader_free(r);
    config.end(config.arg, why);
}

static int open_file(const struct node_reader *r, bool before) {
    char name[NAME_BYTES];
    file_name(r->log, before, name);
    return openat(r->control->state.logs, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static bool matches(const struct node_reader *r, str line) {
    static const char *const levels[] = {"debug", "info\"", "warn\"", "error"};
    if (line.n < LINE_LEAST) return false;
    if (r->since[0] && memcmp(line.p + line_begin.n, r->since, TIME_BYTES) < 0) return false;
    if (r->query.level == LOG_DEBUG) return true;
    for (unsigned i = r->query.level; i < ARRAY_COUNT(levels); i++)
        if (str_starts(str_sub(line, LEVEL_AT, line.n), str_c(levels[i]))) return true;
    return false;
}

/* Backwards over a file: where the last *lines lines that match begin, and how many there are still to be found. */
static off_t look_back(struct node_reader *r, int fd, uint64_t *lines) {
    struct stat st;
    off_t end = fstat(fd, &st) ? 0 : st.st_size, from = end;
    while (end > 0 && *lines) {
        size_t want = (size_t)MIN(end, (off_t)CHUNK);
        ssize_t n = pread(fd, r->chunk, want, end - (off_t)want);
        if (n != (ssize_t)want) break;
        size_t stop = want; /* behind a line's end */
        for (size_t i = want; i-- > 0 && *lines;) {
            bool start = i == 0 ? end == (off_t)want : r->chunk[i - 1] == '\n';
            if (!start) continue;
            if (stop > i + 1 && matches(r, (str){r->chunk + i, stop - i - 1})) --*lines, from = end - (off_t)want + (off_t)i;
            stop = i;
        }
        if (stop == want) { /* a line longer than the chunk, which nobody writes */
            end -= (off_t)want;
            continue;
        }
        end -= (off_t)(want - stop);
    }
    return from;
}

/* Where it begins: in the file before, or in this one. */
static void begin_reading(struct node_reader *r) {
    uint64_t lines = r->query.lines;
    int now = open_file(r, false), before;
    off_t at = 0, at_before = 0;
    r->turn = r->log->turns;
    if (now >= 0) at = lines == UINT64_MAX ? 0 : look_back(r, now, &lines);
    before = lines ? open_file(r, true) : -1;
    if (before >= 0) at_before = lines == UINT64_MAX ? 0 : look_back(r, before, &lines);
    if (before >= 0) {
        if (now >= 0) close(now);
        r->fd = before;
        r->at = at_before;
        r->turn = r->log->turns - 1;
        return;
    }
    r->fd = now;
    r->at = at;
}

struct node_reader *node_reader_new(struct control *c, const struct node_logs_query *q, const struct node_reader_config *config) {
    struct node_log *log = c->logs ? log_of(c, q->app) : NULL;
    if (!log) return NULL;
    struct node_reader *r = malloc(sizeof *r);
    ENSURE(r);
    *r = (struct node_reader){.next = log->readers, .control = c, .log = log, .query = *q, .config = *config, .fd = -1};
    log->readers = r;
    time_t s = (time_t)(q->since_ms / 1000);
    struct tm tm;
    if (q->since_ms && gmtime_r(&s, &tm)) {
        strftime(r->since, sizeof r->since, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(r->since + TIME_BYTES - 4, 5, ".%03u", (unsigned)(q->since_ms % 1000));
    }
    r->waits = true;
    begin_reading(r);
    return r;
}

/* Whole lines of the chunk. False: there was no room. */
static bool give(struct node_reader *r) {
    while (r->from < r->n) {
        str rest = {r->chunk + r->from, r->n - r->from};
        size_t end = str_find(rest, '\n');
        if (end == rest.n) break;
        str line = str_sub(rest, 0, end + 1);
        if (matches(r, str_sub(line, 0, end)) && !r->config.line(r->config.arg, line)) return false;
        r->from += (uint32_t)line.n;
    }
    return true;
}

/* What of the file follows, behind a line's beginning that is there. False: nothing does. */
static bool read_on(struct node_reader *r) {
    if (r->fd < 0) return false;
    r->n -= r->from;
    memmove(r->chunk, r->chunk + r->from, r->n);
    r->from = 0;
    if (r->n == CHUNK) r->n = 0; /* no line of ours */
    ssize_t n = pread(r->fd, r->chunk + r->n, CHUNK - r->n, r->at);
    if (n <= 0) return false;
    r->at += n;
    r->n += (uint32_t)n;
    return true;
}

/* That file ends here, for good. 1: the next one was opened; 0: there is none yet; -1: it is gone, unread. */
static int next_file(struct node_reader *r) {
    if (r->fd >= 0 && r->turn == r->log->turns) return 0;
    if (r->log->turns - r->turn > 1) return -1;
    int fd = open_file(r, false);
    if (fd < 0) return 0;
    if (r->fd >= 0) close(r->fd);
    r->fd = fd;
    r->at = 0;
    r->n = r->from = 0;
    r->turn = r->log->turns;
    return 1;
}

void node_reader_more(struct node_reader *r) {
    r->waits = false;
    for (;;) {
        if (r->fd >= 0 && r->log->turns - r->turn > 1) {
            end_reader(r, "what is logged came faster than it was read: lines are missing");
            return;
        }
        if (!give(r)) {
            r->waits = true;
            return;
        }
        if (read_on(r)) continue;
        int next = next_file(r);
        if (next > 0) continue;
        if (next == 0 && r->query.follow) return;
        end_reader(r, next < 0 ? "what is logged came faster than it was read: lines are missing" : NULL);
        return;
    }
}

static void wake_readers(struct node_log *log) {
    for (struct node_reader *r = log->readers, *next; r; r = next) {
        next = r->next;
        if (!r->waits) node_reader_more(r);
    }
}

/* ---- the folder ---- */

void node_logs_forget(struct control *c, uint32_t app) {
    if (!c->logs) return;
    struct node_log **at = &c->logs->table[app % TABLE], *log;
    while (*at && (*at)->app != app) at = &(*at)->next;
    if (!(log = *at)) return; /* nobody has logged, or read */
    while (log->readers) end_reader(log->readers, "the app was deleted");
    char name[NAME_BYTES];
    close_log(c->logs, log);
    drop_before(c, log);
    file_name(log, false, name);
    if (unlinkat(c->state.logs, name, 0) == 0) c->logs->bytes -= MIN(log->bytes, c->logs->bytes);
    *at = log->next;
    free(log);
}

/* "NAME.ID.log" or "NAME.ID.log.1": whose. 0: nobody's. */
static uint32_t app_of_file(const char *name) {
    const char *end = strstr(name, ".log"), *id = end;
    uint64_t v;
    if (!end || (end[4] && strcmp(end + 4, ".1") != 0)) return 0;
    while (id > name && id[-1] != '.') id--;
    bool ok = str_to_u64((str){(const uint8_t *)id, (size_t)(end - id)}, &v) && v <= UINT32_MAX;
    return ok ? (uint32_t)v : 0;
}

static void look_at_folder(struct control *c) {
    arena *scratch = arena_new(0);
    VEC(const struct control_app *) apps = {0}; /* by id */
    for (const struct control_app *app = c->apps; app; app = app->next) vec_push(scratch, &apps, app);
    DIR *d = node_control_read_folder(c->state.logs);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        uint32_t id = app_of_file(e->d_name), low = 0, high = apps.n;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (apps.p[middle]->id < id) low = middle + 1;
            else high = middle;
        }
        bool known = low < apps.n && apps.p[low]->id == id;
        if (known && !log_at(c->logs, id)) {
            const struct node_log *log = add_log(c, id, apps.p[low]->name);
            c->logs->bytes += log->bytes + log->before;
        }
        if (!known && !c->record_broken) unlinkat(c->state.logs, e->d_name, 0);
    }
    if (d) closedir(d);
    arena_free(scratch);
    make_room(c);
}

void node_logs_open(struct control *c) {
    if (c->state.logs < 0) return;
    c->logs = calloc(1, sizeof *c->logs);
    ENSURE(c->logs);
    look_at_folder(c);
}

uint64_t node_logs_bytes(const struct control *c) { return c->logs ? c->logs->bytes : 0; }

void node_logs_close(struct control *c) {
    struct control_logs *l = c->logs;
    if (!l) return;
    while (l->peers) drop_peer(l->peers);
    for (uint32_t i = 0; i < TABLE; i++)
        while (l->table[i]) {
            struct node_log *log = l->table[i];
            while (log->readers) end_reader(log->readers, "the node stops");
            l->table[i] = log->next;
            close_log(l, log);
            free(log);
        }
    free(l);
    c->logs = NULL;
}
