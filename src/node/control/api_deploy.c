/* api_deploy: deployments, as those who began them follow them.
 *
 *   POST ──> WORKING ──progress, progress …──> DONE or FAILED ── kept for a while ──> forgotten
 *              └── GET ?wait_ms=: answered when `seen` moves on
 *
 * A deployment goes on whether anybody listens or not. Its end is kept so that who lost his connection finds it again.
 */
#include "node/control/api_apps.h"
#include "node/control/api_int.h"
#include "node/control/deploy.h"
#include "node/granted.h"

enum { KEPT_MAX = 128, KEPT_MS = 15 * 60'000, REMARKS_MAX = 256, HOSTS_SHOWN_MAX = 64, WAITING_MAX = 64 };

struct api_deployment {
    struct api_deployment *next;
    struct control *control;
    arena *mem;
    uint32_t id, seen;
    str app;
    enum { WORKING, DONE, FAILED } state;
    char progress[256];
    str result; /* its members as JSON, once it has ended */
    uint64_t ended_ns;
    bool dry_run;
};
struct waiting {
    struct api_call *call;
    struct waiting *next;
    struct api_deployment *for_it;
    struct net_timer *timer;
};
static struct { /* of the one control there is in this process */
    struct api_deployment *all;
    struct waiting *waiting;
    uint32_t last_id, waiting_count, working_count;
} deployments;

uint32_t node_api_deployments_count(void) { return deployments.working_count; }

/* ---- what is there ---- */

static struct api_deployment *find(str app, uint64_t id) {
    struct api_deployment *dep = deployments.all;
    while (dep && (dep->id != id || !str_eq(dep->app, app))) dep = dep->next;
    return dep;
}

static bool is_waited_for(const struct api_deployment *dep) {
    for (const struct waiting *w = deployments.waiting; w; w = w->next)
        if (w->for_it == dep) return true;
    return false;
}

/* The latest stay, for a while. */
static void sweep(uint64_t now_ns) {
    uint32_t kept = 0;
    for (struct api_deployment **at = &deployments.all, *dep; (dep = *at);) {
        bool ended = dep->state != WORKING && !is_waited_for(dep);
        if (ended && (kept >= KEPT_MAX || now_ns - dep->ended_ns > KEPT_MS * 1000000ull)) {
            *at = dep->next;
            arena_free(dep->mem);
            continue;
        }
        kept += ended;
        at = &dep->next;
    }
}

/* ---- how it looks ---- */

static void answer(struct api_call *call, const struct api_deployment *dep) {
    static const char *const states[] = {"working", "done", "failed"};
    struct buf *b = &call->out;
    struct json_writer w = json_writer_of(b);
    json_put_object(&w, NULL);
    json_put_u64(&w, "id", dep->id);
    json_put_str(&w, "app", dep->app);
    json_put_cstr(&w, "state", states[dep->state]);
    json_put_u64(&w, "seen", dep->seen);
    json_put_text(&w, "progress", str_c(dep->progress), 1000);
    json_put_end(&w);
    if (dep->result.n) { /* its members, behind these */
        b->n--;
        buf_printf(b, ", " STR_FMT, STR_ARG(str_sub(dep->result, 1, dep->result.n)));
    }
    call->w = w;
    node_api_reply(call);
}

static void put_words(struct json_writer *w, const char *key, const node_words *words) {
    json_put_array(w, key);
    for (uint32_t i = 0; i < words->n; i++) json_put_text(w, NULL, words->p[i], 4000);
    json_put_end(w);
}

static void put_granted(arena *scratch, struct json_writer *w, const struct app_record *r) {
    json_put_array(w, "granted");
    for (uint32_t i = 0; i < r->functions.n; i++) {
        node_words words = {0};
        node_granted(scratch, &r->functions.p[i].grants, &words);
        json_put_object(w, NULL);
        json_put_str(w, "function", r->functions.p[i].name);
        put_words(w, "grants", &words);
        json_put_end(w);
    }
    json_put_end(w);
}

static void put_remarks(struct json_writer *w, const struct control_result *result) {
    json_put_array(w, "remarks");
    for (uint32_t i = 0; i < MIN(result->remarks_count, (uint32_t)REMARKS_MAX); i++) {
        json_put_object(w, NULL);
        json_put_text(w, "key", result->remarks[i].key, 4000);
        if (result->remarks[i].line) json_put_u64(w, "line", result->remarks[i].line);
        json_put_text(w, "text", result->remarks[i].text, 4000);
        if (result->remarks[i].kind) json_put_cstr(w, "kind", result->remarks[i].kind);
        json_put_end(w);
    }
    json_put_end(w);
}

static void put_migrations(struct json_writer *w, const struct control_result *result) {
    json_put_array(w, "migrations");
    for (uint32_t i = 0; i < result->migrations_count; i++) {
        json_put_object(w, NULL);
        json_put_str(w, "name", result->migrations[i].name);
        json_put_bool(w, "applied", result->migrations[i].applied);
        json_put_end(w);
    }
    json_put_end(w);
}

static void put_hosts(struct api_deployment *dep, struct json_writer *w, const struct app_record *r) {
    json_put_array(w, "hosts");
    str own = arena_fmt(dep->mem, STR_FMT ".%s", STR_ARG(dep->app), dep->control->domain);
    json_put_str(w, NULL, own);
    for (uint32_t i = 0; i < MIN(r->hosts.n, (uint32_t)HOSTS_SHOWN_MAX); i++)
        if (!str_eq(r->hosts.p[i], own)) json_put_str(w, NULL, r->hosts.p[i]);
    if (r->is_default) json_put_cstr(w, NULL, "*");
    json_put_end(w);
}

static void put_result(struct api_deployment *dep, struct json_writer *w, const struct control_result *result) {
    json_put_object(w, NULL);
    if (result->version) json_put_u64(w, "version", result->version);
    if (result->record) {
        json_put_str(w, "url", node_api_app_url(dep->mem, dep->control, result->record));
        put_hosts(dep, w, result->record);
        put_granted(dep->mem, w, result->record);
    }
    put_remarks(w, result);
    json_put_array(w, "missing");
    for (uint32_t i = 0; i < result->missing_count; i++) json_put_text(w, NULL, result->missing[i].path, 4000);
    json_put_end(w);
    if (result->migrations_count) put_migrations(w, result);
    json_put_u64(w, "compiled", result->compiled);
    if (result->err != ERR_OK) {
        struct api_problem p = node_api_problem(result->err, result->d);
        p.key = result->key, p.line = result->line;
        node_api_put_problem(w, "error", &p);
    }
    json_put_end(w);
}

/* ---- who waits ---- */

static struct api_call *stop_waiting(struct waiting *w) {
    struct waiting **at = &deployments.waiting;
    struct api_call *call = w->call;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    deployments.waiting_count--;
    net_timer_free(w->timer);
    call->on_gone = NULL;
    return call;
}

static void on_time(void *arg) {
    struct waiting *w = arg;
    struct api_deployment *dep = w->for_it;
    answer(stop_waiting(w), dep);
}

static void on_gone(struct api_call *call) { node_api_end(stop_waiting(call->state)); }

static void tell_all(struct api_deployment *dep) {
    dep->seen++;
    for (struct waiting *w = deployments.waiting, *next; w; w = next) {
        next = w->next;
        if (w->for_it == dep) answer(stop_waiting(w), dep);
    }
}

static void wait_for(struct api_call *call, struct api_deployment *dep, uint64_t ms) {
    struct waiting *w = arena_make(call->mem, struct waiting);
    *w = (struct waiting){
        .call = call, .next = deployments.waiting, .for_it = dep, .timer = net_timer_new(call->control->loop, on_time, w)};
    deployments.waiting = w;
    deployments.waiting_count++;
    call->state = w;
    call->on_gone = on_gone;
    net_timer_start(w->timer, ms, 0);
}

void node_api_deployment(struct api_call *call) {
    uint64_t id = 0, ms = node_api_number(call, "wait_ms", 0), seen = node_api_number(call, "seen", UINT64_MAX);
    ENSURE(str_to_u64(call->params[API_PARAM_deployment], &id));
    struct api_deployment *dep = find(call->params[API_PARAM_app], id);
    struct diag d = DIAG_INIT;
    if (!dep) {
        err e = diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE,
                         "there is no such deployment any more; orlo versions APP says what came of it");
        node_api_fail(call, e, &d);
    } else if (ms && dep->state == WORKING && (seen == UINT64_MAX || seen == dep->seen) &&
               deployments.waiting_count < WAITING_MAX) {
        wait_for(call, dep, ms);
    } else {
        answer(call, dep);
    }
}

/* ---- its steps ---- */

static void on_progress(void *arg, str text) {
    struct api_deployment *dep = arg;
    snprintf(dep->progress, sizeof dep->progress, STR_FMT, STR_ARG(text));
    tell_all(dep);
}

static void on_done(void *arg, const struct control_result *result) {
    struct api_deployment *dep = arg;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    dep->state = result->err == ERR_OK ? DONE : FAILED;
    dep->progress[0] = 0;
    put_result(dep, &w, result);
    dep->result = arena_str(dep->mem, buf_str(&b));
    dep->ended_ns = net_loop_now_ns(dep->control->loop);
    deployments.working_count--;
    buf_free(&b);
    tell_all(dep);
}

static struct api_deployment *new_deployment(struct api_call *call) {
    arena *mem = arena_new(0);
    struct api_deployment *dep = arena_make(mem, struct api_deployment);
    *dep = (struct api_deployment){.next = deployments.all, .control = call->control, .mem = mem};
    dep->app = arena_str(mem, call->params[API_PARAM_app]);
    dep->id = deployments.last_id = deployments.last_id % (UINT32_MAX - 1) + 1;
    dep->dry_run = json_bool(node_api_member(call, "dry_run"));
    deployments.all = dep;
    deployments.working_count++;
    return dep;
}

static uint8_t digit(uint8_t c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static struct control_file *files_of(struct api_call *call, uint32_t *count) {
    const struct json *list = node_api_member(call, "files");
    struct control_file *files = arena_array(call->mem, struct control_file, json_count(list)), *f = files;
    JSON_EACH(item, list) {
        str digest = json_str(json_get(item, "digest"));
        f->path = json_str(json_get(item, "path"));
        f->bytes = (uint64_t)json_i64(json_get(item, "bytes"));
        f->modified_s = (uint64_t)json_i64(json_get(item, "modified_s"));
        for (size_t i = 0; i < sizeof f->digest; i++)
            f->digest[i] = (uint8_t)(digit(digest.p[2 * i]) << 4 | digit(digest.p[2 * i + 1]));
        f++;
    }
    *count = (uint32_t)(f - files);
    return files;
}

static const str *strings_of(struct api_call *call, const char *key, uint32_t *count) {
    const struct json *list = node_api_member(call, key);
    str *strings = arena_array(call->mem, str, json_count(list));
    *count = json_count(list);
    for (uint32_t i = 0; i < *count; i++) strings[i] = json_str(json_item(list, i));
    return strings;
}

static uint8_t format_of(const struct api_call *call) {
    static const char *const formats[] = {"orlo", "spin", "supabase"};
    str name = json_str(node_api_member(call, "format"));
    uint8_t i = 0;
    while (i < ARRAY_COUNT(formats) && !str_eqc(name, formats[i])) i++;
    ENSURE(i < ARRAY_COUNT(formats)); /* schema.def's */
    return i;
}

void node_api_deploy(struct api_call *call) {
    sweep(net_loop_now_ns(call->control->loop));
    struct api_deployment *dep = new_deployment(call);
    const struct json *live = node_api_member(call, "live");
    struct control_deploy what = {.app = dep->app,
                                  .manifest = json_str(node_api_member(call, "manifest")),
                                  .format = format_of(call),
                                  .manifest_name = json_str(node_api_member(call, "name")),
                                  .dry_run = dep->dry_run,
                                  .not_live = live && !json_bool(live),
                                  .who = node_api_who(call),
                                  .arg = dep,
                                  .progress = on_progress,
                                  .done = on_done};
    what.files = files_of(call, &what.files_count);
    what.folder = json_str(node_api_member(call, "folder"));
    what.hosts = strings_of(call, "hosts", &what.hosts_count);
    what.env = strings_of(call, "env", &what.env_count);
    snprintf(dep->progress, sizeof dep->progress, "reading the manifest");
    if (node_control_deploy(call->control, &what)) {
        answer(call, dep);
        return;
    }
    deployments.all = dep->next;
    deployments.working_count--;
    arena_free(dep->mem);
    node_api_refuse(
        call, &(struct api_problem){
                  .status = 429, .code = "again", .retry_s = 2, .message = STR("too many deployments are under way; try again")});
}
