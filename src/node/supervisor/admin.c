/* admin: where the node is administered by HTTP. The supervisor opens the port, control answers there.
 *
 * Without TLS tokens would go over the wire as they are: it listens at addresses of this machine alone, whatever it is told. With [tls] client_ca it is TLS, for
 * who has a certificate of one of those authorities, and at whatever address it is told.
 */
#include "node/supervisor/supervisor_int.h"
#include "net/addr.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };
static const struct node_listen usual = {STR_INIT("127.0.0.1"), 8089, false, false};

static err resolve(arena *scratch, const struct node_listen *l, bool tls, struct sockaddr_storage *to, socklen_t *n,
                   struct diag *d) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char port[8];
    const char *host = l->host.n ? arena_cstr(scratch, l->host) : "*";
    struct net_addr address;
    snprintf(port, sizeof port, "%u", l->port);
    int bad = l->host.n || tls ? getaddrinfo(l->host.n ? host : NULL, port, &hints, &found) : EAI_NONAME;
    if (bad && l->host.n)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--admin %s: that is neither an address nor a known name (%s)", host,
                        gai_strerror(bad));
    if (found) {
        memcpy(to, found->ai_addr, found->ai_addrlen);
        *n = found->ai_addrlen;
        net_addr_of((struct sockaddr *)to, &address);
        freeaddrinfo(found);
        if (tls || net_addr_class(&address) == NET_ADDR_LOOPBACK) return ERR_OK;
    }
    return diag_set(
        d, ERR_USAGE, DIAG_NOWHERE,
        "--admin %s: tokens would go over the network in plain text, so it listens at 127.0.0.1 or [::1] alone; from elsewhere "
        "reach it by an SSH tunnel, a proxy that speaks TLS, or by TLS with certificates of clients ([tls] client_ca)",
        host);
}

static int bound(const struct sockaddr_storage *a, socklen_t n) {
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)a, n) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static str asked_as(arena *out, const struct node_listen *l) { return arena_fmt(out, STR_FMT ":%u", STR_ARG(l->host), l->port); }

static str shown(arena *out, int fd, bool tls) {
    struct sockaddr_storage got = {0};
    socklen_t n = sizeof got;
    struct net_addr address;
    char text[NET_ADDR_TEXT_MAX];
    getsockname(fd, (struct sockaddr *)&got, &n);
    net_addr_of((struct sockaddr *)&got, &address);
    return arena_fmt(out, tls ? "https://%s" : "http://%s", net_addr_text(&address, true, text));
}

err node_admin_open(struct supervisor *s, struct diag *d) {
    const struct node_listen *l = s->config->admin ? s->config->admin : &usual;
    struct sockaddr_storage a = {0};
    socklen_t n = 0;
    if (s->config->file || s->config->no_admin) return ERR_OK;
    str ca = s->file ? s->file->tls.client_ca : (str){0};
    if (ca.n) {
        const char *path = arena_cstr(s->mem, ca);
        s->client_ca_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (s->client_ca_fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    }
    TRY(resolve(s->mem, l, ca.n, &a, &n, d));
    s->admin_asked = asked_as(s->mem, l);
    s->admin_fd = node_takeover_admin(s, s->admin_asked);
    if (s->admin_fd < 0) s->admin_fd = bound(&a, n);
    if (s->admin_fd >= 0) {
        s->admin_shown = shown(s->mem, s->admin_fd, ca.n);
        return ERR_OK;
    }
    if (l != &usual)
        return diag_set(d, errno == EADDRINUSE ? ERR_BUSY : ERR_DENIED, DIAG_NOWHERE,
                        "--admin: port %u cannot be listened at: %s", l->port, strerror(errno));
    /* Nobody has asked for it: commands reach the node by its state folder. */
    log_event(LOG_WARN, "admin-not-open", LF_U64("port", usual.port), LF_CSTR("reason", strerror(errno)),
              LF_CSTR("note", "name another with --admin HOST:PORT, or --admin off"));
    return ERR_OK;
}

void node_admin_tell(struct supervisor *s) {
    struct node_message m = NODE_MESSAGE(admin);
    if (s->admin_fd < 0) return;
    m.fds[m.fds_count++] = s->admin_fd;
    if (s->client_ca_fd >= 0) m.fds[m.fds_count++] = s->client_ca_fd;
    node_singles_tell(s, &m);
}
