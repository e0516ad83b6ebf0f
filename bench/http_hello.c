/* http_hello: the HTTP server alone, answering "hello" as nginx's `return 200` does; bench/http_hello.sh measures both. */
#include "net/server.h"
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

static void on_request(struct net_exchange *x, void *arg) {
    (void)arg;
    struct net_field type = {STR("Content-Type"), STR("text/plain")};
    err e = net_exchange_reply(x, 200, &type, 1, STR("hello\n"));
    (void)e;
    net_exchange_end(x);
}

/* As a guest on a fiber does it: outside on_request, head and body apart. */
static struct net_exchange *ready[65536];
static size_t ready_count;
static struct net_loop *loop;

static bool on_turn(void *arg) {
    (void)arg;
    struct net_field type = {STR("Content-Type"), STR("text/plain")};
    for (size_t i = 0; i < ready_count; i++) {
        struct net_exchange *x = ready[i];
        err e = net_exchange_respond(x, 200, &type, 1);
        if (e == ERR_OK) e = net_sink_write(net_exchange_sink(x), STR("hello\n"));
        if (e == ERR_OK) e = net_sink_finish(net_exchange_sink(x), NULL, 0);
        net_exchange_end(x);
    }
    ready_count = 0;
    return false;
}

static void on_request_later(struct net_exchange *x, void *arg) {
    (void)arg;
    ready[ready_count++] = x;
    net_loop_wake(loop);
}

static void on_signal(void *arg, int signum) {
    (void)signum;
    net_loop_stop(arg);
}

/* address: "127.0.0.1:8081". -1: that is none, or in use. */
static int listener(const char *address) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    char host[16] = "";
    unsigned port;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sscanf(address, "%15[0-9.]:%u", host, &port) != 2 || !inet_aton(host, &a.sin_addr)) return -1;
    a.sin_port = htons((uint16_t)port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1024) == 0 ? fd : -1;
}

int main(int argc, char **argv) {
    struct diag d = DIAG_INIT;
    struct net_server *s;
    bool later = argc > 2 && strcmp(argv[2], "later") == 0;
    loop = net_loop_new();
    struct net_server_config c = {.loop = loop,
                                  .fd = listener(argc > 1 ? argv[1] : "127.0.0.1:8081"),
                                  .on_request = later ? on_request_later : on_request,
                                  .server_name = STR("orlo")};
    if (net_server_new(&c, &s, &d) != ERR_OK) {
        fprintf(stderr, "%s\n", d.text);
        return 1;
    }
    net_loop_on_turn(loop, on_turn, NULL);
    net_loop_on_signal(loop, SIGTERM, on_signal, loop);
    net_loop_on_signal(loop, SIGINT, on_signal, loop);
    fprintf(stderr, "listening on port %u\n", net_server_port(s));
    net_loop_run(loop);
    net_server_free(s);
    net_loop_free(loop);
    return 0;
}
