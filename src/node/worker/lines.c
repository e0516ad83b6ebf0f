/* lines: what a guest prints becomes log events, one a line, with the request it belongs to. A guest cannot flood the log: past LINES_MAX
 * lines of a request and stream, or bytes_max bytes as they are logged (log_kb), the rest is counted and the counts are logged. From
 * then on only the end of what it prints is looked at line by line, for the event of a failure. What is of no request has as much in
 * a minute. Nor can an app, by many requests: what all apps of a process may have logged in a second is a pool, of which each has a part. */
#include "node/meters.h"
#include "node/node_int.h"

enum { LINES_MAX = 1000, LINE_MAX = 8192 };

/* Lines that have no room go whole, the oldest first. */
static void keep(struct node_lines *l, str line) {
    line.n = MIN(line.n, sizeof l->last / 4 - 1);
    if (!line.n) return;
    size_t first = 0;
    while (l->last_n - first + line.n + 1 > sizeof l->last)
        first += str_find((str){(uint8_t *)l->last + first, l->last_n - first}, '\n') + 1;
    if (first) memmove(l->last, l->last + first, l->last_n -= (uint32_t)first);
    memcpy(l->last + l->last_n, line.p, line.n);
    l->last[l->last_n + line.n] = '\n';
    l->last_n += (uint32_t)line.n + 1;
}

/* As JSON: a control character takes six, whatever the log's format. */
static uint32_t logged_bytes(str line) {
    uint32_t n = (uint32_t)line.n;
    for (size_t i = 0; i < line.n; i++) n += line.p[i] < 0x20 ? 5 : line.p[i] == '"' || line.p[i] == '\\' ? 1 : 0;
    return n;
}

/* ---- an app's part of the log ---- */

void node_log_part_open(struct node_log_part *p, struct node_log_pool *of, uint64_t bytes_max) {
    of->pool.max = NODE_LOG_BYTES_MAX;
    *p = (struct node_log_part){.of = of};
    pool_part_open(&p->part, &of->pool, bytes_max);
}

/* What was taken in a second that is over is there again. */
static void look_at_second(struct node_log_part *p) {
    uint64_t second = clock_mono_ns() / 1'000'000'000;
    struct node_log_pool *of = p->of;
    if (of->second != second) {
        of->second = second;
        of->turn++;
        of->pool.used = 0;
    }
    if (p->turn != of->turn) p->part.used = 0;
    p->turn = of->turn;
}

void node_log_part_close(struct node_log_part *p) {
    look_at_second(p);
    pool_part_give(&p->part, p->part.used);
    pool_part_close(&p->part);
}

static bool has_part(struct node_log_part *p, uint64_t bytes) {
    look_at_second(p);
    return pool_part_take(&p->part, bytes) == POOL_OK;
}

/* ---- lines ---- */

static void say_dropped(struct node_lines *l) {
    if (l->dropped && l->part && l->part->dropped) node_meter_add(l->part->dropped, l->dropped);
    if (l->dropped)
        log_event(LOG_WARN, "guest-lines-dropped", LF_CSTR("request", l->request_id), LF_CSTR("app", l->app),
                  LF_CSTR("stream", l->stream), LF_U64("lines", l->dropped));
    l->dropped = 0;
}

static void emit(struct node_lines *l, str line) {
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    keep(l, line);
    l->spent |= l->logged >= LINES_MAX || l->bytes >= l->bytes_max;
    uint32_t bytes = l->spent ? 0 : logged_bytes(line);
    if (l->spent || (l->part && !has_part(l->part, bytes))) {
        l->dropped++;
        return;
    }
    l->logged++;
    l->bytes += bytes;
    log_event(LOG_INFO, "guest", LF_CSTR("request", l->request_id), LF_CSTR("app", l->app), LF_STR("function", l->function),
              LF_CSTR("stream", l->stream), LF_STR("text", line));
}

/* Nothing is logged any more: all but the end of bytes is counted. */
static str count_all_but_end(struct node_lines *l, str bytes) {
    size_t n = bytes.n - MIN(bytes.n, sizeof l->last);
    uint64_t lines = 0;
    if (!n) return bytes;
    for (size_t i = 0; i < n; i++) lines += bytes.p[i] == '\n';
    l->dropped += lines;
    l->n = 0;
    return str_sub(bytes, n, bytes.n);
}

/* Of no request: nothing begins or ends it, so time does. */
static void look_at_minute(struct node_lines *l) {
    uint64_t now = clock_mono_ns();
    if (now - l->since_ns < 60'000'000'000) return;
    say_dropped(l);
    l->logged = l->bytes = 0;
    l->spent = false;
    l->since_ns = now;
}

void node_lines_put(void *lines, str bytes) {
    struct node_lines *l = lines;
    if (!l->request_id[0]) look_at_minute(l);
    while (bytes.n) {
        if (l->spent) bytes = count_all_but_end(l, bytes);
        size_t end = str_find(bytes, '\n');
        bool whole = end < bytes.n;
        if (whole && !l->n) { /* the usual case: no copy */
            emit(l, str_sub(bytes, 0, MIN(end, (size_t)LINE_MAX)));
        } else {
            size_t take = MIN(end, sizeof l->text - l->n);
            memcpy(l->text + l->n, bytes.p, take);
            l->n += (uint32_t)take;
            if (take < end) { /* longer than what is kept: cut in several lines */
                emit(l, (str){(uint8_t *)l->text, l->n});
                l->n = 0;
                bytes = str_sub(bytes, take, bytes.n);
                continue;
            }
            if (whole) {
                emit(l, (str){(uint8_t *)l->text, l->n});
                l->n = 0;
            }
        }
        bytes = str_sub(bytes, end + whole, bytes.n);
    }
}

void node_lines_begin(struct node_lines *l) {
    l->logged = l->bytes = l->n = l->last_n = 0;
    l->dropped = 0;
    l->spent = false;
}

void node_lines_end(struct node_lines *l) {
    if (l->n) emit(l, (str){(uint8_t *)l->text, l->n});
    l->n = 0;
    say_dropped(l);
}
