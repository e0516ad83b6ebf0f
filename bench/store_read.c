/* What a read costs a worker but for HTTP, for ./dev bench store: trees run as a user on a reader's connection, in turns.
 *
 *   store_read FOLDER USER TREE…      FOLDER: has app.db, which nobody else has open; prints a JSON array for each tree: µs of processor time a read, a round each */
#include "node/tree.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 15, READS = 400 };

static struct db *db;
static struct node_tree_conn *conn;
static struct node_tree_made *made;
static str claims;

static _Noreturn void fail(const char *what, const char *why) {
    fprintf(stderr, "store_read: %s: %s\n", what, why);
    exit(1);
}

static void read_once(const char *tree) {
    arena *mem = arena_new(0);
    struct query_batch batch;
    struct pg_error error = {0};
    struct buf body = {0};
    struct node_tree_ask ask = {.role = STR("authenticated"), .claims = claims, .body = str_c(tree)};
    if (!query_read_batch(mem, ask.body, &batch, &error)) fail(tree, error.message);
    node_tree_read(
        &(struct node_tree_reading){
            .db = db, .conn = &conn, .made = &made, .ask = &ask, .batch = &batch, .mem = mem, .bytes_max = 4 << 20},
        &body, &error);
    if (error.set) fail(tree, error.message);
    if (body.n < 1000) fail(tree, "it has no rows");
    buf_free(&body);
    arena_free(mem);
}

static double processor_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
    struct diag d = DIAG_INIT;
    struct db *from;
    int files[3], copies[3];
    arena *mem = arena_new(0);
    if (argc < 4 || chdir(argv[1])) return 64;
    claims = arena_fmt(mem, "{\"role\": \"authenticated\", \"sub\": \"%s\"}", argv[2]);
    if (db_open(&(struct db_options){.name = "app.db", .sharing = DB_WRITER}, &from, &d) != ERR_OK ||
        db_files_of(from, files, &d) != ERR_OK)
        fail(argv[1], d.text);
    for (int i = 0; i < 3; i++) copies[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 3);
    /* As reader.c opens them. */
    if (db_open(
            &(struct db_options){
                .sharing = DB_READER, .files = db_files_new(copies[0], copies[1], copies[2]), .cache_kib = 512, .statements = 24},
            &db, &d) != ERR_OK)
        fail("a reader", d.text);
    double *took = calloc((size_t)argc * ROUNDS, sizeof *took);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 3; i < argc; i++) {
            int at = round % 2 ? i : argc + 2 - i;
            for (int k = 0; k < 20; k++) read_once(argv[at]);
            double began = processor_us();
            for (int k = 0; k < READS; k++) read_once(argv[at]);
            took[at * ROUNDS + round] = (processor_us() - began) / READS;
        }
    for (int i = 3; i < argc; i++)
        for (int round = 0; round < ROUNDS; round++)
            printf("%s%.2f%s", round ? ", " : "[", took[i * ROUNDS + round], round == ROUNDS - 1 ? "]\n" : "");
    fflush(stdout);
    _exit(0);
}
