/* certificates: what workers have of certificates: the operator's files, opened here and read by keys; and all there are, as control hands them on.
 *
 * 1. A configuration whose certificates are wrong is refused whole, before anything has changed.
 * 2. Keys of tickets are in a page that keys writes and workers read, old ones and new ones: so a client resumes at any of them.
 * 3. Workers of a configuration that is to come get its certificates, those that are at work keep theirs.
 */
#include "node/certificates.h"
#include "manifest/config.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static err open_file(arena *scratch, str name, int *fd, const char **path, struct diag *d) {
    struct stat st;
    *path = arena_cstr(scratch, name);
    *fd = open(*path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, &st))
        return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s: %s", *path, strerror(errno));
    if (S_ISREG(st.st_mode) && st.st_size < NODE_CERT_FILE_BYTES_MAX) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s: it is no regular file, or too long for one of certificates or keys",
                    *path);
}

static err load(struct supervisor *s, const struct manifest_tls *tls, arena *scratch, int out, struct diag *d) {
    uint32_t n = 0;
    struct node_certificate_file *files = arena_array(scratch, struct node_certificate_file, tls->certificates.n);
    err e = ERR_OK;
    for (; n < tls->certificates.n && e == ERR_OK; n++) {
        struct node_certificate_file *f = &files[n];
        *f = (struct node_certificate_file){.cert_fd = -1, .key_fd = -1, .ocsp_fd = -1};
        e = open_file(scratch, tls->certificates.p[n].cert, &f->cert_fd, &f->cert, d);
        if (e == ERR_OK) e = open_file(scratch, tls->certificates.p[n].key, &f->key_fd, &f->key, d);
        if (e == ERR_OK && tls->certificates.p[n].ocsp.n)
            e = open_file(scratch, tls->certificates.p[n].ocsp, &f->ocsp_fd, &f->ocsp, d);
    }
    struct node_msg_open_key how = {.folder = node_state_folder(scratch, s->config->state_dir), .make = true};
    how.seal_file = node_singles_seal_file(s, scratch);
    if (e == ERR_OK) e = node_certificates_load(&how, files, n, out, d);
    for (uint32_t i = 0; i < n; i++) {
        if (files[i].cert_fd >= 0) close(files[i].cert_fd);
        if (files[i].key_fd >= 0) close(files[i].key_fd);
        if (files[i].ocsp_fd >= 0) close(files[i].ocsp_fd);
    }
    return e;
}

static err seal(int fd, struct diag *d) {
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) return ERR_OK;
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "certificates cannot be handed on: %s", strerror(errno));
}

err node_certificates_of(struct supervisor *s, const struct manifest_config *file, struct setup *setup, struct diag *d) {
    if (!file || !file->tls.certificates.n) return ERR_OK;
    if (s->config->file)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "certificates are a node's (orlo node), and not of one file that is served");
    setup->tls13_alone = file->tls.tls13_alone;
    setup->certificates = memfd_create("orlo-certificates", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (setup->certificates < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: %s", strerror(errno));
    arena *scratch = arena_new(0);
    err e = load(s, &file->tls, scratch, setup->certificates, d);
    arena_free(scratch);
    return e == ERR_OK ? seal(setup->certificates, d) : e;
}

/* ---- to workers ---- */

void node_certificates_adopt_tickets(struct supervisor *s, uint64_t bytes, int fd) {
    char path[40];
    struct stat st;
    if (fd < 0 || bytes != sizeof(struct crypto_tickets) || fstat(fd, &st) || st.st_size != (off_t)bytes) {
        if (fd >= 0) close(fd);
        return;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    s->tickets = fd;
    s->tickets_read = open(path, O_RDONLY | O_CLOEXEC);
    s->tickets_at_ns = 1;
}

static bool open_tickets(struct supervisor *s) {
    char path[64];
    if (s->tickets >= 0) return s->tickets_read >= 0;
    s->tickets = memfd_create("orlo-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    snprintf(path, sizeof path, "/proc/self/fd/%d", s->tickets);
    if (s->tickets >= 0 && ftruncate(s->tickets, sizeof(struct crypto_tickets)) == 0 &&
        fcntl(s->tickets, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        s->tickets_read = open(path, O_RDONLY | O_CLOEXEC);
    s->tickets_at_ns = 1;
    return s->tickets_read >= 0;
}

void node_certificates_act(struct supervisor *s, uint64_t now) {
    enum { AGAIN_S = 10 };
    if (!s->tickets_at_ns || now < s->tickets_at_ns) return;
    struct node_message m = NODE_MESSAGE(tickets);
    m.fds[m.fds_count++] = s->tickets;
    bool told = node_singles_tell_keys(s, &m);
    s->tickets_at_ns = now + (told ? (uint64_t)CRYPTO_TICKET_TURN_S : AGAIN_S) * 1'000'000'000u;
}

static bool send_to(struct supervisor *s, const struct proc *p, int fd, bool tls13_alone) {
    struct node_message m = NODE_MESSAGE(certificates, .tls13_alone = tls13_alone);
    if (fd < 0 || !open_tickets(s)) return true;
    m.fds[m.fds_count++] = fd, m.fds[m.fds_count++] = s->tickets_read;
    return node_wire_send(p->process.wire, &m) == ERR_OK;
}

static bool is_coming(const struct supervisor *s) {
    return s->reload.state == RELOAD_TOLD || (s->reload.state == RELOAD_COMING && s->coming_setup);
}

bool node_certificates_tell(struct supervisor *s, const struct proc *p, const struct publication *what) {
    const struct setup *setup = node_setup_of(s, what);
    bool coming = setup == s->coming_setup && s->coming_certificates >= 0;
    return send_to(s, p, coming ? s->coming_certificates : s->certificates, setup->tls13_alone);
}

bool node_certificates_set(struct supervisor *s, struct node_message *m) {
    int *at = is_coming(s) ? &s->coming_certificates : &s->certificates;
    node_supervisor_close(at);
    *at = node_message_take(m, 0);
    for (struct proc *p = s->procs; p; p = p->next) {
        bool theirs = (s->slots[p->slot].successor == p && s->coming_setup != NULL) == is_coming(s);
        if (p->process.wire < 0 || p->state == RESTING || p->dropped || !theirs) continue;
        const struct setup *setup = is_coming(s) && s->coming_setup ? s->coming_setup : s->setup;
        if (!send_to(s, p, *at, setup->tls13_alone)) node_process_signal(&p->process, SIGKILL); /* it does not listen */
    }
    return true;
}

void node_certificates_live(struct supervisor *s) {
    if (s->coming_certificates < 0) return;
    node_supervisor_close(&s->certificates);
    s->certificates = s->coming_certificates;
    s->coming_certificates = -1;
}

void node_certificates_refused(struct supervisor *s) { node_supervisor_close(&s->coming_certificates); }

void node_certificates_end(struct supervisor *s) {
    node_supervisor_close(&s->tickets), node_supervisor_close(&s->tickets_read);
    node_supervisor_close(&s->certificates);
    node_supervisor_close(&s->coming_certificates);
}
