/* server: URLs of PostgreSQL servers that somebody else runs, on their way from where secrets are kept to the role that connects.
 *
 *   postgres ──server_want──> supervisor ──server_ask──> control ──server_give, sealed──> supervisor ──unseal──> keys ──a memory file──> postgres (server)
 *   control ──server_changed──> supervisor ──server_anew──> postgres
 *
 * 1. It is read by nobody here: what passes is sealed, or a memory file that is handed on.
 * 2. Whoever asked is told, whatever becomes of control or keys (ERR_AGAIN, ERR_IO): it asks again when somebody wants the database.
 */
#include "node/supervisor/supervisor_int.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SERVER_ASKS_MAX = 256 };
struct server_ask {
    struct server_ask *next;
    uint32_t id, app;
    char secret[129];
    int opened; /* that keys writes; -1: control has not answered */
};

static void end(struct supervisor *s, struct server_ask *ask, err e, str text) {
    struct server_ask **at = &s->server_asks;
    while (*at != ask) at = &(*at)->next;
    *at = ask->next;
    if (e == ERR_OK && fcntl(ask->opened, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) e = ERR_IO;
    struct node_message m = NODE_MESSAGE(server, .app = ask->app, .secret = str_c(ask->secret), .err = e, .text = text);
    if (e == ERR_OK) m.fds[m.fds_count++] = ask->opened;
    node_roles_tell(s, NODE_ROLE_postgres, &m);
    if (ask->opened >= 0) close(ask->opened);
    free(ask);
}

static struct server_ask *ask_of(const struct supervisor *s, uint32_t id) {
    struct server_ask *ask = s->server_asks;
    while (ask && ask->id != id) ask = ask->next;
    return ask;
}

void node_servers_want(struct supervisor *s, const struct node_msg_server_want *m) {
    uint32_t n = 0;
    for (const struct server_ask *a = s->server_asks; a; a = a->next) n++;
    struct server_ask *ask = calloc(1, sizeof *ask);
    ENSURE(ask && m->secret.n < sizeof ask->secret);
    *ask = (struct server_ask){.next = s->server_asks, .app = m->app, .opened = -1};
    ask->id = s->last_ask = s->last_ask % (UINT32_MAX - 1) + 1; /* as images' asks have them: keys is told of both */
    memcpy(ask->secret, m->secret.p, m->secret.n);
    s->server_asks = ask;
    s->servers = true;
    if (n >= SERVER_ASKS_MAX) end(s, ask, ERR_BUSY, STR("too many secrets are asked for at once"));
    else if (!s->governs) end(s, ask, ERR_AGAIN, STR("control is starting"));
    else node_singles_tell(s, &NODE_MESSAGE(server_ask, .id = ask->id, .app = ask->app, .secret = str_c(ask->secret)));
}

bool node_servers_give(struct supervisor *s, struct node_message *m) {
    const struct node_msg_server_give *g = &m->server_give;
    struct server_ask *ask = ask_of(s, g->id);
    if ((g->err == ERR_OK) != (m->fds_count == 1)) return false;
    if (!ask || ask->opened >= 0) return true; /* who asked is gone */
    if (g->err != ERR_OK) {
        end(s, ask, g->err, g->text);
        return true;
    }
    ask->opened = memfd_create("orlo-server", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ask->opened < 0) end(s, ask, ERR_IO, STR("no memory file for the database's URL"));
    else if (!node_singles_unseal(s, ask->id, ask->app, m->fds[0], ask->opened))
        end(s, ask, ERR_BUSY, STR("too many secrets are asked for at once"));
    return true;
}

bool node_servers_unsealed(struct supervisor *s, uint32_t id, err e, str text) {
    struct server_ask *ask = ask_of(s, id);
    if (ask) end(s, ask, e, text);
    return ask;
}

void node_servers_changed(struct supervisor *s, const struct node_msg_server_changed *m) {
    const struct single *one = &s->singles[NODE_ROLE_postgres];
    if (s->servers && one->process.wire >= 0)
        node_roles_tell(s, NODE_ROLE_postgres, &NODE_MESSAGE(server_anew, .app = m->app, .secret = m->secret));
}

/* Those that keys has are answered yet. */
void node_servers_lose_control(struct supervisor *s) {
    for (struct server_ask *ask = s->server_asks, *next; ask; ask = next) {
        next = ask->next;
        if (ask->opened < 0) end(s, ask, ERR_AGAIN, STR("control died"));
    }
}

void node_servers_forget(struct supervisor *s) {
    for (struct server_ask *ask; (ask = s->server_asks);) {
        s->server_asks = ask->next;
        if (ask->opened >= 0) close(ask->opened);
        free(ask);
    }
}
