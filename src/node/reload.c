/* reload: the image is made anew in a child of the supervisor, which goes on meanwhile. What comes back is a descriptor and a key's
 * public half, or why there is none. */
#include "node/node_int.h"
#include "node/wire.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static err make(struct node_image *image, const struct node_serve_config *config, const struct node_limits *limits,
                struct diag *d) {
    struct node_input in;
    TRY(node_grants_check(&config->grants, d));
    TRY(node_input_open(config->file, &in, d));
    return node_image_for(&in, config->file, config->state_dir, limits, image, d);
}

static _Noreturn void child(int fd, const struct node_serve_config *config, const struct node_limits *limits) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "orlo-reload");
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN);
    node_close_fds_except(&fd, 1);
    struct diag d = DIAG_INIT;
    struct node_image image = {.fd = -1};
    err e = make(&image, config, limits, &d);
    struct node_message m = NODE_MESSAGE(made, .err = e, .offset = d.offset, .text = str_c(d.text));
    memcpy(m.made.key, image.key.bytes, sizeof m.made.key);
    if (image.fd >= 0) m.fds[m.fds_count++] = image.fd;
    _exit(node_wire_send(fd, &m) != ERR_OK);
}

err node_reload_start(struct node_reload *r, const struct node_serve_config *config, const struct node_limits *limits,
                      struct diag *d) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "no socket: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) child(pair[1], config, limits);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "no process: %s", strerror(errno));
    }
    *r = (struct node_reload){pid, pair[0]};
    return ERR_OK;
}

err node_reload_take(struct node_reload *r, struct node_image *image, struct diag *d) {
    struct node_message m;
    enum node_wire_got got = node_wire_await(r->fd, NODE_ROLE_control, NODE_ROLE_supervisor, &m);
    close(r->fd);
    r->fd = -1;
    if (got != NODE_WIRE_GOT) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the process that made the image died");
    if (m.made.err == ERR_OK && m.fds_count) image->fd = node_message_take(&m, 0);
    memcpy(image->key.bytes, m.made.key, sizeof image->key.bytes);
    node_message_drop(&m);
    TRY(node_diag_of(d, m.made.err, m.made.offset, m.made.text));
    return image->fd >= 0 ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "no image came");
}

void node_reload_stop(struct node_reload *r) {
    if (r->fd < 0) return;
    kill(r->pid, SIGKILL);
    close(r->fd);
    r->fd = -1;
}
