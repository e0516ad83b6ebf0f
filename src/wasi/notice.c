/* notice: see notice.h. */
#include "wasi/notice.h"
#include <unistd.h>

static void say_folder(struct wasi_image *image, const struct app_request *rq) {
    if (image->told_folders) return;
    image->told_folders = true;
    log_event(LOG_INFO, "no-folder-granted", LF_STR("request", rq->id), LF_STR("app", rq->app->name),
              LF_CSTR("reason", "the guest looked for a folder and was granted none"), LF_CSTR("grant", "--dir ./data::/data"));
}

static void say_env(struct wasi_image *image, const struct app_request *rq) {
    if (image->told_env) return;
    image->told_env = true;
    log_event(LOG_INFO, "no-env-granted", LF_STR("request", rq->id), LF_STR("app", rq->app->name),
              LF_CSTR("reason", "the guest looked at its environment and was granted nothing in it"),
              LF_CSTR("grant", "--env KEY=VALUE"));
}

void wasi_notice_env(struct wasi_instance *i) {
    i->sought_env = !i->base.app->grants->env.n;
    if (i->sought_env) app_request_lacks(app_request_in(i->base.in), APP_LACK_ENV, (str){0});
}

void wasi_notice_folder(struct wasi_instance *i) {
    if (i->base.app->grants->dirs.n) return;
    i->sought_folder = true;
    app_request_lacks(app_request_in(i->base.in), APP_LACK_DIR, STR("./data::/data"));
    bool program = i->image->ops->program, serves = !i->run || i->run->request->exchange;
    if (!program && serves) say_folder(i->image, app_request_in(i->base.in));
}

void wasi_notice_if_failed(struct wasi_run *run) {
    const struct app_request *rq = run->request;
    bool somebody_sees = rq->exchange || (rq->err.fd >= 0 && isatty(rq->err.fd));
    if (!(run->i->sought_folder || run->i->sought_env) || !somebody_sees) return;
    const struct wasi_outcome *o = &run->outcome;
    uint16_t status = rq->exchange ? net_exchange_stats(rq->exchange).status : 0;
    bool failed =
        o->end == WASI_END_TRAP || o->end == WASI_END_EXIT || o->end == WASI_END_NO_RESPONSE || o->end == WASI_END_BAD_RESPONSE;
    if (!failed && !o->exit_status && status < 500) return;
    if (run->i->sought_folder) say_folder(run->image, rq);
    if (run->i->sought_env && rq->exchange) say_env(run->image, rq);
}
