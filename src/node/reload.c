/* reload: the image is made anew in a child of the supervisor, which goes on meanwhile. What comes back is a descriptor and a key's
 * public half, or why there is none. */
#include "node/node_int.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct made {
    err err;
    struct abi_key_public key;
    struct diag diag;
};

static void make(struct made *m, int *fd, const struct node_serve_config *config, const struct node_limits *limits) {
    struct node_input in;
    struct node_image image = {.fd = -1};
    m->err = node_grants_check(&config->grants, &m->diag);
    if (m->err == ERR_OK) m->err = node_input_open(config->file, &in, &m->diag);
    if (m->err == ERR_OK) m->err = node_image_for(&in, config->file, config->state_dir, limits, &image, &m->diag);
    m->key = image.key;
    *fd = image.fd;
}

static _Noreturn void child(int fd, const struct node_serve_config *config, const struct node_limits *limits) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "orlo-reload");
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN);
    node_close_fds_except(&fd, 1);
    struct made m = {.diag = DIAG_INIT};
    int image_fd = -1;
    make(&m, &image_fd, config, limits);
    _exit(node_send_fds(fd, &m, sizeof m, &image_fd, image_fd >= 0) != ERR_OK);
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
    struct made m = {.diag = DIAG_INIT};
    int n = 1;
    err e = node_recv_fds(r->fd, &m, sizeof m, &image->fd, &n);
    close(r->fd);
    r->fd = -1;
    image->key = m.key;
    if (e != ERR_OK) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the process that made the image died");
    if (m.err != ERR_OK) return diag_set(d, m.err, m.diag.offset, "%s", m.diag.text[0] ? m.diag.text : err_text(m.err));
    return n == 1 ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "no image came");
}

void node_reload_stop(struct node_reload *r) {
    if (r->fd < 0) return;
    kill(r->pid, SIGKILL);
    close(r->fd);
    r->fd = -1;
}
