/* deployment: an app on its way to being served.
 *
 *   for each function:  COMPILING ──a job──> SIGNING ──keys──> image kept     (an image: first keys, then a job that looks at it)
 *   then                WAITING ──nothing else is being published──> record staged, PUBLISHING ──live in all workers──> record in place, answered
 *
 * 1. Nothing is served or kept of a deployment that fails at whatever step; the app is as it was.
 * 2. The record takes the place of the one before when it is live already, and before anybody is told so: who was told finds it again after
 *    any crash, and who was not finds the old one or the new one, whole.
 * 3. Nobody waits: steps go on when an answer comes. Several are compiled at once; they go live one after the other.
 */
#include "node/control/control_int.h"
#include "node/control/logs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_BYTES_MAX = 1 * MiB };
static const uint64_t file_bytes_max = 1 * GiB;

struct deployment {
    struct deployment *next;
    uint32_t id;
    struct control_client *client; /* NULL: gone, or nobody asked */
    enum { COMPILING, SIGNING, WAITING, PUBLISHING } state;
    bool drops; /* the app */
    arena *mem;
    struct app_record record; /* as it is to be; of one that drops the name alone */
    int files[FILES_MAX], files_count;
    uint32_t at; /* function */
    int image;   /* of that function; -1 */
    bool is_image;
    struct abi_image_signed sign;
    struct abi_key_public key;
    uint64_t generation;
    struct control_app *app; /* what is to be put in place */
};

/* ---- ends ---- */

static void release(struct control *c, struct deployment *dep) {
    struct deployment **at = &c->deployments;
    while (*at != dep) at = &(*at)->next;
    *at = dep->next;
    if (c->publishing == dep) c->publishing = NULL;
    if (dep->client) dep->client->busy = NULL;
    for (int i = 0; i < dep->files_count; i++)
        if (dep->files[i] >= 0) close(dep->files[i]);
    if (dep->image >= 0) close(dep->image);
    if (dep->app) node_control_app_free(dep->app);
    arena_free(dep->mem);
}

static void finish(struct control *c, struct deployment *dep, err e, const struct diag *d) {
    struct node_message m = NODE_MESSAGE(deployed, .err = e, .offset = d->offset, .text = str_c(d->text), .function = dep->at,
                                         .version = dep->record.version, .url = str_c(c->url));
    if (dep->record.functions.n) m.deployed.kind = dep->record.functions.p[0].kind;
    if (dep->drops) m = NODE_MESSAGE(dropped, .err = e, .text = str_c(d->text));
    struct control_client *client = dep->client;
    release(c, dep);
    if (client) node_control_answer(c, client, &m);
}

static void tell_progress(struct control *c, const struct deployment *dep, const char *what, str of) {
    char text[300];
    snprintf(text, sizeof text, "%s " STR_FMT, what, STR_ARG(str_sub(of, 0, 200)));
    if (dep->client) node_control_answer(c, dep->client, &NODE_MESSAGE(progress, .text = str_c(text)));
}

static struct deployment *new_deployment(struct control *c, struct control_client *client) {
    arena *mem = arena_new(0);
    struct deployment *dep = arena_make(mem, struct deployment), **at = &c->deployments;
    *dep = (struct deployment){
        .id = c->last_deployment = c->last_deployment % (UINT32_MAX - 1) + 1, .client = client, .mem = mem, .image = -1};
    while (*at) at = &(*at)->next;
    *at = dep;
    if (client) client->busy = dep;
    return dep;
}

/* ---- publishing ---- */

static void add_app(arena *scratch, struct buf *b, struct node_rights *rights, const struct control_app *app, bool eager) {
    struct app_record r = app->record;
    r.eager = eager;
    node_snapshot_add(b, &(struct node_live){.record = &r});
    node_rights_join(scratch, rights, &app->rights);
}

/* All apps in order, with one in another's place. */
static void write_snapshot(arena *scratch, const struct control *c, const struct deployment *dep, struct buf *b,
                           struct node_rights *rights) {
    node_snapshot_begin(b, dep->generation, STR(""));
    bool put = !dep->app;
    for (const struct control_app *app = c->apps; app; app = app->next) {
        if (!put && app->record.id >= dep->record.id) add_app(scratch, b, rights, dep->app, dep->record.eager), put = true;
        bool replaced = str_eq(app->record.name, dep->record.name) && (dep->app || dep->drops);
        if (!replaced) add_app(scratch, b, rights, app, c->state.records < 0);
    }
    if (!put) add_app(scratch, b, rights, dep->app, dep->record.eager);
}

static err send_publication(struct control *c, const struct node_rights *rights, str bytes, uint64_t generation, struct diag *d) {
    struct node_snapshot *check;
    TRY(node_snapshot_read(bytes, &check, d));
    node_snapshot_free(check);
    if (rights->dirs.n > NODE_RIGHTS_DIRS_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "with it the apps of this node would have %u folders, %d at most are granted",
                        rights->dirs.n, NODE_RIGHTS_DIRS_MAX);
    int fd = node_snapshot_seal(bytes);
    if (fd < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file for the snapshot");
    for (uint32_t i = 0; i < rights->dirs.n; i++)
        node_control_tell(c, &NODE_MESSAGE(right, .path = rights->dirs.p[i].path, .write = rights->dirs.p[i].write));
    struct node_message m = NODE_MESSAGE(publish, .generation = generation, .network = (uint8_t)rights->network,
                                         .any_port_out = rights->any_port_out, .ports = node_rights_ports(rights));
    m.fds[m.fds_count++] = fd;
    node_control_tell(c, &m);
    close(fd);
    return ERR_OK;
}

static err publish(struct control *c, struct deployment *dep, struct diag *d) {
    arena *scratch = arena_new(0);
    struct buf b = {0};
    struct node_rights rights = {0};
    dep->generation = ++c->generation;
    write_snapshot(scratch, c, dep, &b, &rights);
    err e = send_publication(c, &rights, buf_str(&b), dep->generation, d);
    buf_free(&b);
    arena_free(scratch);
    return e;
}

/* No host is two apps'. */
static err check_hosts(const struct control *c, const struct app_record *r, struct diag *d) {
    for (const struct control_app *other = c->apps; other; other = other->next) {
        const struct app_record *o = &other->record;
        if (str_eq(o->name, r->name)) continue;
        if (o->is_default && r->is_default)
            return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                            "the host * belongs to the app " STR_FMT ": leave it out, or delete that app first",
                            STR_ARG(o->name));
        for (uint32_t i = 0; i < r->hosts.n; i++)
            for (uint32_t k = 0; k < o->hosts.n; k++)
                if (str_eq(r->hosts.p[i], o->hosts.p[k]))
                    return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                                    "the host " STR_FMT " belongs to the app " STR_FMT ": take another, or delete that app first",
                                    STR_ARG(r->hosts.p[i]), STR_ARG(o->name));
    }
    return ERR_OK;
}

/* NAME.localhost is the app NAME's, whether there is one or not: nobody else waits there for who asks for it. */
static err check_own_hosts(const struct app_record *r, struct diag *d) {
    for (uint32_t i = 0; i < r->hosts.n; i++) {
        str host = r->hosts.p[i], label = str_sub(host, 0, str_find(host, '.'));
        if (str_eqc(str_sub(host, label.n, host.n), ".localhost") && !str_eqc(label, "*") && !str_eq(label, r->name))
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the host " STR_FMT " is for the app " STR_FMT " alone", STR_ARG(host),
                            STR_ARG(label));
    }
    return ERR_OK;
}

/* What runs has another working directory than who deploys. */
static err check_dirs(const struct app_grants *g, struct diag *d) {
    for (uint32_t i = 0; i < g->dirs.n; i++)
        if (g->dirs.p[i].host.p[0] != '/')
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the folder " STR_FMT " is no absolute path",
                            STR_ARG(g->dirs.p[i].host));
    return ERR_OK;
}

/* Number and version, and the record beside the one that is there. */
static err stage(struct control *c, struct deployment *dep, struct diag *d) {
    TRY(check_hosts(c, &dep->record, d));
    const struct control_app *old = node_control_app_named(c, dep->record.name);
    dep->record.version = old ? old->record.version + 1 : 1;
    dep->record.id = old ? old->record.id : 0;
    if (!old) TRY(node_records_next_id(c, &dep->record.id, d));
    struct app_record kept = dep->record;
    kept.eager = false; /* after a restart there is time until somebody asks for it */
    TRY(node_records_stage(c, &kept, d));
    dep->app = node_control_app_new(&kept);
    return ERR_OK;
}

static void start_next(struct control *c) {
    for (struct deployment *dep = c->deployments, *next; dep && !c->publishing; dep = next) {
        struct diag d = DIAG_INIT;
        next = dep->next;
        if (dep->state != WAITING) continue;
        dep->at = dep->record.functions.n;
        dep->state = PUBLISHING;
        bool stages = !dep->drops && dep->record.name.n;
        err e = stages ? stage(c, dep, &d) : ERR_OK;
        if (e == ERR_OK && dep->drops && !node_control_app_named(c, dep->record.name))
            e = diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no app " STR_FMT "; orlo apps lists those that there are",
                         STR_ARG(dep->record.name));
        if (e == ERR_OK) e = publish(c, dep, &d);
        if (e == ERR_OK) {
            c->publishing = dep;
            continue;
        }
        if (stages) node_records_unstage(c, dep->record.name);
        finish(c, dep, e, &d);
    }
}

static void retire(struct control *c, str name) {
    const struct control_app *old = node_control_app_named(c, name);
    for (uint32_t i = 0; i < c->retired.n; i++) node_images_release(c, c->retired.p[i].bytes);
    if (!c->retired_mem) c->retired_mem = arena_new(0);
    arena_reset(c->retired_mem);
    memset(&c->retired, 0, sizeof c->retired);
    for (uint32_t i = 0; old && i < old->record.functions.n; i++)
        memcpy(vec_add(c->retired_mem, &c->retired)->bytes, old->record.functions.p[i].digest, APP_DIGEST_BYTES);
}

static err keep(struct control *c, struct deployment *dep, struct diag *d) {
    if (!dep->record.name.n) return ERR_OK; /* all apps, as they were */
    retire(c, dep->record.name);
    if (dep->drops) {
        struct control_app *app = node_control_app_named(c, dep->record.name);
        node_logs_forget(c, app->record.id);
        node_control_app_remove(c, app);
        return node_records_remove(c, dep->record.name, d);
    }
    node_control_app_put(c, dep->app);
    dep->app = NULL;
    return node_records_commit(c, dep->record.name, d);
}

static void log_change(const struct deployment *dep) {
    if (dep->drops) log_event(LOG_INFO, "app-removed", LF_STR("app", dep->record.name));
    else log_event(LOG_INFO, "app-deployed", LF_STR("app", dep->record.name), LF_U64("version", dep->record.version));
}

bool node_deployment_published(struct control *c, const struct node_msg_published *m) {
    struct deployment *dep = c->publishing;
    struct diag d = DIAG_INIT;
    if (!dep || dep->generation != m->generation) return false;
    err e = node_diag_of(&d, m->err, m->offset, m->text);
    if (e == ERR_OK) {
        e = keep(c, dep, &d);
        if (e != ERR_OK)
            node_control_end(c); /* it is served, and is not what the folder has: the next control serves that again */
        if (e != ERR_OK) log_event(LOG_ERROR, "app-not-kept", LF_STR("app", dep->record.name), LF_CSTR("reason", d.text));
    } else if (!dep->drops && dep->record.name.n) {
        node_records_unstage(c, dep->record.name);
    }
    if (e == ERR_OK && dep->record.name.n && c->state.records >= 0) log_change(dep);
    finish(c, dep, e, &d);
    start_next(c);
    return true;
}

err node_control_publish_all(struct control *c, struct diag *d) {
    struct deployment *dep = new_deployment(c, NULL);
    dep->state = WAITING;
    start_next(c);
    return c->publishing ? ERR_OK : diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the apps of the state folder do not go together");
}

/* ---- functions ---- */

static void next_function(struct control *c, struct deployment *dep);

static void fail(struct control *c, struct deployment *dep, err e, const struct diag *d) {
    finish(c, dep, e, d);
    start_next(c);
}

static void want_job(struct control *c, struct deployment *dep, int in, struct node_msg_compile_want want) {
    char title[256];
    const struct app_function *f = &dep->record.functions.p[dep->at];
    snprintf(title, sizeof title, "%s " STR_FMT, want.is_image ? "reading" : "compiling", STR_ARG(str_sub(f->name, 0, 200)));
    want.id = dep->id;
    want.title = str_c(title);
    want.memory_bytes_max = f->limits.memory_bytes_max;
    struct node_message m = {.type = NODE_MSG_compile_want, .compile_want = want, .fds = {in, dep->image}, .fds_count = 2};
    node_control_tell(c, &m);
    dep->state = COMPILING;
    if (dep->client) node_control_answer(c, dep->client, &NODE_MESSAGE(progress, .text = want.title));
}

static err compile(struct control *c, struct deployment *dep, uint64_t bytes, struct diag *d) {
    dep->image = memfd_create("orlo-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (dep->image < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no memory file: there are too many open");
    want_job(c, dep, dep->files[dep->at], (struct node_msg_compile_want){.bytes = bytes});
    return ERR_OK;
}

/* An image: copied where nobody can change it, before anybody looks. */
static err take_image(struct control *c, struct deployment *dep, uint64_t bytes, struct diag *d) {
    if (bytes > c->limits.image_bytes_max)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it has %llu MiB, an image may have %llu (--max-image)",
                        (unsigned long long)(bytes / MiB), (unsigned long long)(c->limits.image_bytes_max / MiB));
    TRY(node_images_copy(dep->files[dep->at], bytes, &dep->image, d));
    TRY(node_images_seal(dep->image, d));
    node_control_tell(c, &NODE_MESSAGE(sign_want, .id = dep->id, .public_alone = true));
    dep->state = SIGNING;
    return ERR_OK;
}

static void next_function(struct control *c, struct deployment *dep) {
    struct diag d = DIAG_INIT;
    uint8_t head[1 * KiB];
    struct stat st = {0};
    if (dep->at == dep->record.functions.n) {
        dep->state = WAITING;
        if (dep->client) tell_progress(c, dep, "publishing", dep->record.name);
        start_next(c);
        return;
    }
    int fd = dep->files[dep->at];
    ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? pread(fd, head, sizeof head, 0) : -1;
    err e = n < 0 ? diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE, "it is no regular file that can be read")
            : (uint64_t)st.st_size > file_bytes_max ? diag_set(&d, ERR_LIMIT, DIAG_NOWHERE, "it is larger than 1 GiB")
                                                    : ERR_OK;
    dep->is_image = e == ERR_OK && abi_image_is((str){head, (size_t)n});
    if (e == ERR_OK) e = dep->is_image ? take_image(c, dep, (uint64_t)st.st_size, &d) : compile(c, dep, (uint64_t)st.st_size, &d);
    if (e != ERR_OK) fail(c, dep, e, &d);
}

static struct deployment *find(const struct control *c, uint32_t id, int state) {
    struct deployment *dep = c->deployments;
    while (dep && dep->id != id) dep = dep->next;
    return dep && (int)dep->state == state ? dep : NULL;
}

static err keep_image(struct control *c, struct deployment *dep, struct diag *d) {
    int fd = dep->image;
    dep->image = -1;
    memcpy(dep->record.functions.p[dep->at].digest, dep->sign.digest, APP_DIGEST_BYTES);
    TRY(node_images_add(c, dep->sign.digest, &dep->key, fd, d));
    dep->at++;
    next_function(c, dep);
    return ERR_OK;
}

static err ask_signature(struct control *c, struct deployment *dep, struct diag *d) {
    struct node_message ask = NODE_MESSAGE(sign_want, .id = dep->id);
    TRY(abi_image_to_sign(dep->image, &dep->sign, d));
    memcpy(ask.sign_want.purpose, dep->sign.purpose, sizeof dep->sign.purpose);
    memcpy(ask.sign_want.digest, dep->sign.digest, sizeof dep->sign.digest);
    node_control_tell(c, &ask);
    dep->state = SIGNING;
    return ERR_OK;
}

/* False of both: nobody asked. One that was asked for may have been given up meanwhile. */
bool node_deployment_compiled(struct control *c, const struct node_msg_compile_done *m) {
    struct deployment *dep = find(c, m->id, COMPILING);
    struct diag d = DIAG_INIT;
    if (!dep) return m->id <= c->last_deployment;
    err e = node_diag_of(&d, m->err, m->offset, m->text);
    if (e == ERR_OK && dep->is_image) e = abi_image_to_sign(dep->image, &dep->sign, &d); /* what it goes by */
    dep->record.functions.p[dep->at].kind = m->kind;
    if (e == ERR_OK) e = dep->is_image ? keep_image(c, dep, &d) : ask_signature(c, dep, &d);
    if (e != ERR_OK) fail(c, dep, e, &d);
    return true;
}

static err no_key(const struct deployment *dep, err e, struct diag *d) {
    if (!dep->is_image) return e;
    diag_prefix(d, e == ERR_NOT_FOUND ? "an image is taken only if this node's key signed it, so compile the .wasm here"
                                      : "an image is taken only if this node's key signed it");
    return e == ERR_NOT_FOUND ? ERR_SIGNATURE : e;
}

static err take_signature(struct control *c, struct deployment *dep, const struct node_msg_sign_done *m, struct diag *d) {
    err e = node_diag_of(d, m->err, DIAG_NOWHERE, m->text);
    if (e != ERR_OK) return no_key(dep, e, d);
    memcpy(dep->key.bytes, m->public, sizeof dep->key.bytes);
    if (dep->is_image) {
        struct node_msg_compile_want want = {.is_image = true};
        memcpy(want.key, m->public, sizeof want.key);
        want_job(c, dep, dep->image, want);
        return ERR_OK;
    }
    TRY(abi_image_put_signature(dep->image, m->signature, d));
    TRY(node_images_seal(dep->image, d));
    return keep_image(c, dep, d);
}

bool node_deployment_signed(struct control *c, const struct node_msg_sign_done *m) {
    struct deployment *dep = find(c, m->id, SIGNING);
    struct diag d = DIAG_INIT;
    if (!dep) return m->id <= c->last_deployment;
    err e = take_signature(c, dep, m, &d);
    if (e != ERR_OK) fail(c, dep, e, &d);
    return true;
}

/* ---- beginnings ---- */

static err read_record(struct deployment *dep, int fd, bool keeps, struct diag *d) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > (off_t)RECORD_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "a record is a file of at most 1 MiB");
    uint8_t *p = arena_alloc(dep->mem, (size_t)st.st_size + 1, 1);
    if (pread(fd, p, (size_t)st.st_size, 0) != st.st_size) return diag_set(d, ERR_IO, DIAG_NOWHERE, "the record cannot be read");
    TRY(app_record_decode(dep->mem, (str){p, (size_t)st.st_size}, &dep->record, d));
    TRY(app_name_check(dep->record.name, d));
    if (keeps) {
        TRY(check_own_hosts(&dep->record, d));
        for (uint32_t i = 0; i < dep->record.functions.n; i++) TRY(check_dirs(&dep->record.functions.p[i].grants, d));
    }
    if (dep->record.functions.n && dep->record.functions.n == (uint32_t)dep->files_count) return ERR_OK;
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the record has %u functions, and %d files came", dep->record.functions.n,
                    dep->files_count);
}

void node_deployment_begin(struct control *c, struct control_client *client, struct node_message *m) {
    struct deployment *dep = new_deployment(c, client);
    struct diag d = DIAG_INIT;
    for (int i = 1; i < m->fds_count; i++) dep->files[dep->files_count++] = node_message_take(m, i);
    err e = read_record(dep, m->fds[0], c->state.records >= 0, &d);
    if (e == ERR_OK) next_function(c, dep);
    else fail(c, dep, e, &d);
}

void node_deployment_drop(struct control *c, struct control_client *client, str name) {
    struct deployment *dep = new_deployment(c, client);
    dep->drops = true;
    dep->record.name = arena_str(dep->mem, name);
    dep->state = WAITING;
    start_next(c);
}

/* What is being published goes on: it may be live already. */
void node_deployment_client_gone(struct control *c, struct control_client *client) {
    struct deployment *dep = client->busy;
    if (!dep) return;
    dep->client = NULL;
    client->busy = NULL;
    if (dep->state == PUBLISHING) return;
    if (dep->state == COMPILING) node_control_tell(c, &NODE_MESSAGE(compile_cancel, .id = dep->id));
    release(c, dep);
}
