/* translator: the process that reads what the functions of one app EXECUTE (translate.h, sql/routine_text.c).
 *
 *   supervisor ── translator_peer ──> a channel, from the store or a worker     translate ──> sql ──> translated
 *
 * 1. It is sandboxed as a job is, and is one app's alone: a text that takes it over has what the functions of that app may do, and nothing of others.
 * 2. Each text has TEXT_CPU_S of the processor's time: then the process ends, and who asked sees that.
 * 3. It keeps the catalogues that its peers use: they have the same one, but for the moment of a deployment.
 */
#include "crypto/crypto.h"
#include "node/migration.h"
#include "node/node_int.h"
#include "node/role.h"
#include "node/translate.h"
#include "node/wire.h"
#include "sql/sql.h"
#include "sql/translate.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PEERS_MAX = 600, TEXT_CPU_S = 10 };
static const uint64_t memory_bytes_max = 1 * GiB;

struct known { /* a catalogue */
    struct known *next;
    arena *mem;
    uint8_t digest[32];
    struct catalog *catalog;
    uint32_t uses;
};
struct peer {
    int fd;
    struct known *known;
};
static struct {
    struct peer peers[PEERS_MAX];
    uint32_t peers_n;
    struct known *known;
    struct db *db; /* whose parser is asked what it can read */
    struct sql_reader reader;
    timer_t timer;
    uint64_t asked_ns;
} here;

/* ---- catalogues ---- */

static void let_go(struct peer *p) {
    struct known *k = p->known;
    p->known = NULL;
    if (!k || --k->uses) return;
    struct known **at = &here.known;
    while (*at != k) at = &(*at)->next;
    *at = k->next;
    arena_free(k->mem);
    free(k);
}

static err take_catalog(struct peer *p, int fd, uint64_t bytes, struct diag *d) {
    uint8_t digest[32];
    arena *scratch = arena_new(0);
    str text;
    err e = node_fd_bytes(scratch, fd, CATALOG_BYTES_MAX, &text, d);
    if (e == ERR_OK && text.n != bytes) e = ERR_INVALID;
    if (e == ERR_OK) crypto_sha256(text, digest);
    struct known *k = here.known;
    while (e == ERR_OK && k && memcmp(k->digest, digest, sizeof digest) != 0) k = k->next;
    if (e == ERR_OK && !k) {
        k = calloc(1, sizeof *k);
        ENSURE(k);
        *k = (struct known){.next = here.known, .mem = arena_new(0)};
        memcpy(k->digest, digest, sizeof digest);
        e = catalog_read(k->mem, text, &k->catalog, d);
        if (e == ERR_OK) here.known = k;
        else arena_free(k->mem), free(k);
    }
    if (e == ERR_OK) {
        k->uses++;
        let_go(p);
        p->known = k;
    }
    arena_free(scratch);
    return e;
}

/* ---- one text ---- */

static void set_timer(int seconds) {
    const struct itimerspec t = {.it_value.tv_sec = seconds};
    timer_settime(here.timer, 0, &t, NULL);
}

static err put_answer(int fd, str bytes) {
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = pwrite(fd, bytes.p + at, bytes.n - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ERR_IO;
        at += (size_t)n;
    }
    return ERR_OK;
}

static err translate(struct peer *p, struct node_message *m, uint64_t *bytes) {
    struct diag d = DIAG_INIT;
    struct buf answer = {.max = NODE_TRANSLATED_BYTES_MAX};
    arena *scratch = arena_new(0);
    str text;
    err e = m->fds_count == 3 ? take_catalog(p, m->fds[2], m->translate.catalog_bytes, &d) : ERR_OK;
    if (e == ERR_OK && !p->known) e = ERR_USAGE;
    if (e == ERR_OK) e = node_fd_bytes(scratch, m->fds[0], 8 * (size_t)CATALOG_TEXT_BYTES_MAX, &text, &d);
    if (e == ERR_OK && text.n != m->translate.bytes) e = ERR_INVALID;
    if (e == ERR_OK) e = sql_text_answers(p->known->catalog, &here.reader, text, &answer, &d);
    if (e == ERR_OK && answer.full) e = ERR_LIMIT;
    if (e == ERR_OK) e = put_answer(m->fds[1], buf_str(&answer));
    *bytes = e == ERR_OK ? answer.n : 0;
    buf_free(&answer);
    arena_free(scratch);
    return e;
}

static void close_peer(struct peer *p) {
    close(p->fd);
    let_go(p);
    *p = here.peers[--here.peers_n];
}

/* False: it is gone. */
static bool hear(struct peer *p) {
    struct node_message m;
    uint64_t bytes = 0;
    enum node_wire_got got = node_wire_receive(p->fd, NODE_ROLE_worker, NODE_ROLE_translator, &m);
    if (got == NODE_WIRE_AGAIN) return true;
    if (got != NODE_WIRE_GOT) return false;
    bool sense = m.type == NODE_MSG_translate;
    if (sense) {
        set_timer(TEXT_CPU_S);
        err e = translate(p, &m, &bytes);
        set_timer(0);
        here.asked_ns = clock_mono_ns();
        sense = node_wire_send(p->fd, &NODE_MESSAGE(translated, .id = m.translate.id, .err = e, .bytes = bytes)) == ERR_OK;
    }
    node_message_drop(&m);
    return sense;
}

/* ---- its life ---- */

static bool hear_supervisor(void) {
    struct node_message m;
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_translator, &m);
    if (got == NODE_WIRE_AGAIN) return true;
    if (got != NODE_WIRE_GOT) return false;
    if (m.type == NODE_MSG_translator_peer && here.peers_n < PEERS_MAX)
        here.peers[here.peers_n++] = (struct peer){.fd = node_message_take(&m, 0)};
    node_message_drop(&m);
    return true;
}

static bool can_read(void *db, str text) { return db_can_read(db, text); }

static err begin(struct diag *d) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    TRY(node_sandbox_translator(memory_bytes_max, CATALOG_BYTES_MAX, PEERS_MAX + 32, d));
    TRY(db_open(&(struct db_options){.name = ":memory:", .create = true}, &here.db, d));
    here.reader = (struct sql_reader){.reads = can_read, .arg = here.db};
    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &here.timer)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no timer");
    return ERR_OK;
}

int node_translator_main(void) {
    static struct pollfd fds[1 + PEERS_MAX];
    struct diag d = DIAG_INIT;
    const uint64_t idle_ns = node_role_idle_s(NODE_ROLE_translator) * 1'000'000'000ull;
    signal(SIGPIPE, SIG_IGN);
    if (begin(&d) != ERR_OK) {
        log_event(LOG_ERROR, "translator-failed", LF_CSTR("reason", d.text));
        return 1;
    }
    here.asked_ns = clock_mono_ns();
    for (;;) {
        fds[0] = (struct pollfd){.fd = NODE_WIRE_FD, .events = POLLIN};
        uint32_t n = here.peers_n;
        for (uint32_t i = 0; i < n; i++) fds[1 + i] = (struct pollfd){.fd = here.peers[i].fd, .events = POLLIN};
        uint64_t quiet = clock_mono_ns() - here.asked_ns;
        if (quiet >= idle_ns) return 0;
        int got = poll(fds, 1 + n, (int)((idle_ns - quiet) / 1'000'000u + 1));
        if (got < 0 && errno != EINTR) return 1;
        if (got <= 0) continue;
        for (uint32_t i = n; i-- > 0;)
            if (fds[1 + i].revents && !hear(&here.peers[i])) close_peer(&here.peers[i]);
        if (fds[0].revents && !hear_supervisor()) return 0;
    }
}
