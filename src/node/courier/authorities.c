/* authorities: dialogues for certificates (src/acme), on control's behalf: it says what is to be had, has things signed and shown, and hears what came of it.
 *
 *   control ──acme_do──> a dialogue ──requests──> authority
 *           <─acme_sign──┤          <─answers──
 *           ──acme_signed─>
 *           <─acme_prove─┤
 *           ──acme_proven─>
 *           <─acme_did───┘ over
 *
 * 1. No key is here: what is signed is signed by keys, for control.
 * 2. A request has REQUEST_MS, however slowly its answer comes, and of an answer no more is kept than ACME_BODY_MAX.
 * 3. When control is gone, so is whatever it wanted: the next one begins anew.
 */
#include "acme/acme.h"
#include "crypto/crypto.h"
#include "net/client.h"
#include "node/courier/courier.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIALOGUES_MAX = 16, REQUEST_MS = 45'000, CONNECT_MS = 15'000, PACKETS_TURN = 32 };

struct dialogue {
    struct dialogue *next;
    struct node_courier_authorities *of;
    struct acme *acme;
    struct net_timer *timer;
    struct net_fetch *fetch; /* NULL: none is under way */
    struct buf answer;
    char length[24];
    size_t written;
    uint32_t id;
    bool cut, over; /* over: freed once nothing of it is called any more */
};
struct node_courier_authorities {
    struct net_loop *loop;
    struct net_client *client; /* NULL: none was needed so far */
    struct net_watch *watch;
    int fd; /* -1: control has not asked */
    struct dialogue *dialogues;
    uint32_t count;
    char why[800]; /* there is no client */
};

static void say(struct dialogue *g, const struct node_message *m) {
    if (node_wire_send(g->of->fd, m) != ERR_OK) g->over = true; /* it does not listen, and will ask anew */
}

/* ---- a request ---- */

static void go_on(struct dialogue *g);

static void end_fetch(struct dialogue *g) {
    net_timer_stop(g->timer);
    net_fetch_free(g->fetch);
    g->fetch = NULL;
}

static str field(const struct net_response *r, str name) {
    for (uint32_t i = 0; i < r->fields_count; i++)
        if (str_eq_nocase(r->fields[i].name, name)) return str_trim(r->fields[i].value);
    return (str){0};
}

static void answered(struct dialogue *g) {
    const struct net_response *r = net_fetch_response(g->fetch);
    const struct acme_answer answer = {.status = r->status,
                                       .nonce = field(r, STR("replay-nonce")),
                                       .location = field(r, STR("location")),
                                       .retry_after = field(r, STR("retry-after")),
                                       .body = buf_str(&g->answer),
                                       .cut = g->cut};
    acme_answered(g->acme, &answer, clock_wall_ns() / 1'000'000'000u);
    end_fetch(g);
    go_on(g);
}

static void failed(struct dialogue *g, str why) {
    char text[256];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(str_sub(why, 0, 250)));
    end_fetch(g);
    acme_unanswered(g->acme, str_c(text));
    go_on(g);
}

static void read_answer(void *arg) {
    struct dialogue *g = arg;
    struct net_source *source = net_fetch_source(g->fetch);
    enum net_flow flow;
    str data;
    while (!g->cut && (flow = net_source_peek(source, &data)) == NET_FLOW_DATA) {
        g->cut = g->answer.n + data.n > ACME_BODY_MAX;
        if (!g->cut) buf_puts(&g->answer, data);
        net_source_consume(source, data.n);
    }
    if (g->cut || flow == NET_FLOW_END) answered(g);
    else if (flow == NET_FLOW_FAILED) failed(g, STR("its answer broke off"));
}

static void on_change(void *arg) {
    struct dialogue *g = arg;
    if (!g->fetch) return;
    if (net_fetch_response(g->fetch)) {
        net_source_notify(net_fetch_source(g->fetch), read_answer, g);
        read_answer(g);
    } else if (net_fetch_error(g->fetch) != NET_OK) {
        failed(g, net_fetch_error_text(g->fetch));
    }
}

static void write_more(void *arg) {
    struct dialogue *g = arg;
    struct net_sink *sink = net_fetch_sink(g->fetch);
    str body = acme_request(g->acme).body;
    size_t room;
    while (g->written < body.n && (room = net_sink_room(sink))) {
        str some = str_sub(body, g->written, room);
        if (net_sink_write(sink, some) != ERR_OK) return; /* the fetch ends */
        g->written += some.n;
    }
    if (g->written == body.n) {
        net_sink_notify(sink, NULL, NULL);
        if (net_sink_finish(sink, NULL, 0) != ERR_OK) {}
    }
}

static void send(struct dialogue *g) {
    struct acme_request r = acme_request(g->acme);
    struct net_field fields[5] = {{STR("user-agent"), STR("orlo/" ORLO_VERSION)},
                                  {STR("accept"), r.pem ? STR("application/pem-certificate-chain") : STR("application/json")}};
    uint32_t n = 2;
    if (r.body.n) {
        fields[n++] = (struct net_field){STR("content-type"), STR("application/jose+json")};
        fields[n++] = (struct net_field){STR("content-length"),
                                         {(uint8_t *)g->length, (size_t)snprintf(g->length, sizeof g->length, "%zu", r.body.n)}};
    }
    const struct net_fetch_request rq = {.method = r.method,
                                         .scheme = acme_scheme(g->acme),
                                         .authority = acme_authority(g->acme),
                                         .path = r.path,
                                         .fields = fields,
                                         .fields_count = n,
                                         .has_body = r.body.n > 0,
                                         .connect_ms_max = CONNECT_MS,
                                         .first_byte_ms_max = REQUEST_MS,
                                         .between_bytes_ms_max = REQUEST_MS};
    g->written = g->answer.n = 0;
    g->cut = false;
    net_timer_start(g->timer, REQUEST_MS, 0);
    enum net_error e = g->of->client ? net_fetch_new(g->of->client, &rq, on_change, g, &g->fetch) : NET_OK;
    if (!g->fetch) {
        failed(g, str_c(g->of->client ? net_error_wit(e) : g->of->why));
        return;
    }
    if (!r.body.n) return;
    net_sink_notify(net_fetch_sink(g->fetch), write_more, g);
    write_more(g);
}

/* ---- its end ---- */

/* Of what was given: its name for renewal information. Empty: it has none. */
static str name_of(str chain, char out[ACME_CERTIFICATE_MAX]) {
    arena *scratch = arena_new(0);
    str der[ACME_CHAIN_CERTS_MAX], id, serial, name = {0};
    if (acme_chain_read(scratch, chain, der)) {
        struct crypto_cert *cert = crypto_cert_read(der[0]);
        if (cert && crypto_cert_authority(cert, &id, &serial) && acme_certificate_name(id, serial, out)) name = str_c(out);
        crypto_cert_free(cert);
    }
    arena_free(scratch);
    return name;
}

static void tell(struct dialogue *g) {
    char name[ACME_CERTIFICATE_MAX];
    struct acme_result r = acme_result(g->acme);
    say(g, &NODE_MESSAGE(acme_did, .id = g->id, .fault = (uint8_t)r.fault, .why = r.why, .retry_s = r.retry_s,
                         .account = r.account, .chain = r.chain, .certificate = name_of(r.chain, name), .informs = r.informs,
                         .from_s = r.from_s, .to_s = r.to_s));
    g->over = true;
}

static void go_on(struct dialogue *g) {
    struct acme_proof p;
    switch (acme_wants(g->acme)) {
    case ACME_WANTS_HTTP: send(g); break;
    case ACME_WANTS_SIGN:
    case ACME_WANTS_MAC:
        say(g,
            &NODE_MESSAGE(acme_sign, .id = g->id, .mac = acme_wants(g->acme) == ACME_WANTS_MAC, .message = acme_text(g->acme)));
        break;
    case ACME_WANTS_PROVE:
        p = acme_proof(g->acme);
        say(g, &NODE_MESSAGE(acme_prove, .id = g->id, .challenge = (uint8_t)p.challenge, .token = p.token, .proof = p.text));
        break;
    case ACME_WANTS_WAIT: net_timer_start(g->timer, acme_wait_ms(g->acme), 0); break;
    case ACME_WANTS_DONE:
    case ACME_WANTS_FAILED: tell(g);
    }
    if (g->over) net_timer_start(g->timer, 0, 0); /* which frees it */
}

static void free_dialogue(struct dialogue *g) {
    struct dialogue **at = &g->of->dialogues;
    while (*at != g) at = &(*at)->next;
    *at = g->next;
    g->of->count--;
    net_fetch_free(g->fetch);
    net_timer_free(g->timer);
    acme_free(g->acme);
    buf_free(&g->answer);
    free(g);
}

static void on_timer(void *arg) {
    struct dialogue *g = arg;
    if (g->over) {
        free_dialogue(g);
    } else if (g->fetch) {
        failed(g, STR("its answer took too long"));
    } else if (acme_wants(g->acme) == ACME_WANTS_WAIT) {
        acme_waited(g->acme);
        go_on(g);
    }
}

/* ---- control ---- */

static void make_client(struct node_courier_authorities *a, str ca_file) {
    struct diag d = DIAG_INIT;
    const struct net_client_config config = {
        .loop = a->loop, .connections_max = DIALOGUES_MAX, .idle_max = 2, .ca_file = ca_file, .trust_now = true};
    if (net_client_new(&config, &a->client, &d) == ERR_OK) return;
    a->client = NULL;
    snprintf(a->why, sizeof a->why, "%s", d.text[0] ? d.text : "there is no TLS");
}

static bool begin(struct node_courier_authorities *a, const struct node_msg_acme_do *m) {
    uint64_t chance;
    struct acme_config c = {.directory = m->directory,
                            .account = m->account,
                            .email = m->email,
                            .terms = m->terms,
                            .binding = m->binding,
                            .host = m->host,
                            .challenge = (enum acme_challenge)m->challenge,
                            .either = m->either,
                            .request = m->request,
                            .certificate = m->certificate};
    crypto_random(&chance, sizeof chance);
    c.chance = chance;
    memcpy(c.public, m->public, sizeof c.public);
    if (a->count >= DIALOGUES_MAX) return false;
    if (!a->client && !a->why[0]) make_client(a, (str){0});
    struct dialogue *g = calloc(1, sizeof *g);
    ENSURE(g);
    *g = (struct dialogue){.next = a->dialogues, .of = a, .id = m->id, .acme = acme_new(&c)};
    g->timer = net_timer_new(a->loop, on_timer, g);
    a->dialogues = g;
    a->count++;
    go_on(g);
    return true;
}

static bool hear(struct node_courier_authorities *a, const struct node_message *m) {
    if (m->type == NODE_MSG_acme_do) return begin(a, &m->acme_do);
    bool is_signed = m->type == NODE_MSG_acme_signed;
    if (!is_signed && m->type != NODE_MSG_acme_proven) return false;
    struct dialogue *g = a->dialogues;
    while (g && g->id != (is_signed ? m->acme_signed.id : m->acme_proven.id)) g = g->next;
    enum acme_wants wants = g ? acme_wants(g->acme) : ACME_WANTS_DONE;
    if (g && g->over) return true;
    if (is_signed) {
        if (wants != ACME_WANTS_SIGN && wants != ACME_WANTS_MAC) return false;
        acme_signed(g->acme, m->acme_signed.signature);
    } else {
        if (wants != ACME_WANTS_PROVE) return false;
        str why = m->acme_proven.text;
        acme_proven(g->acme, m->acme_proven.err == ERR_OK ? (str){0} : why.n ? why : STR("nobody knows why"));
    }
    go_on(g);
    return true;
}

static void drop_channel(struct node_courier_authorities *a) {
    while (a->dialogues) free_dialogue(a->dialogues);
    if (a->watch) net_watch_free(a->watch);
    if (a->fd >= 0) close(a->fd);
    a->watch = NULL, a->fd = -1;
}

static void on_control(void *arg, unsigned events) {
    struct node_courier_authorities *a = arg;
    struct node_message m;
    for (int i = 0; i < PACKETS_TURN && a->fd >= 0; i++) {
        enum node_wire_got got = node_wire_receive(a->fd, NODE_ROLE_control, NODE_ROLE_courier, &m);
        if (got == NODE_WIRE_AGAIN) return;
        bool sense = got == NODE_WIRE_GOT && hear(a, &m);
        if (got == NODE_WIRE_GOT) node_message_drop(&m);
        if (!sense) drop_channel(a);
    }
}

void node_courier_authorities_channel(struct node_courier_authorities *a, int fd) {
    drop_channel(a);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    a->fd = fd;
    a->watch = net_watch_new(a->loop, fd, NET_READABLE, on_control, a);
    if (!a->watch) drop_channel(a);
}

void node_courier_authorities_trust(struct node_courier_authorities *a, int ca_fd) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", ca_fd);
    make_client(a, str_c(path));
}

bool node_courier_authorities_busy(const struct node_courier_authorities *a) { return a->count > 0 || a->fd >= 0; }

struct node_courier_authorities *node_courier_authorities_new(struct net_loop *loop) {
    struct node_courier_authorities *a = calloc(1, sizeof *a);
    ENSURE(a);
    a->loop = loop;
    a->fd = -1;
    return a;
}
