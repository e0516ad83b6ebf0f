/* source: where the rows of an answer come from: one part after the other, the next one when it is wanted.
 *
 *   asked ──> the first part, or all of it ──more──> the next ──more──> … the rest, or an error
 *
 * 1. It is asked by who waits, as whoever keeps data is (app/wait.h): first the query, then for the next part.
 * 2. What comes when nobody waits stays here. Nothing is on its way that was not asked for.
 */
#include "tables/tables_int.h"
#include <stdlib.h>

struct tables_source {
    struct app_data base; /* what is asked */
    struct app_data *tables;
    struct app_ask *ask; /* NULL: all of it was told */
    app_told told;       /* who waits; NULL: nobody */
    void *arg;
    bool begun, has; /* has: a part, or the end, which nobody has taken */
    struct buf part;
    struct pg_error error;
};

static struct app_ask *as_ask(struct tables_source *s) { return (struct app_ask *)(void *)s; }

static void tell(struct tables_source *s, const struct app_answer *answer) {
    app_told told = s->told;
    s->told = NULL;
    told(s->arg, answer); /* s may be gone */
}

static void on_part(void *arg, str bytes) {
    struct tables_source *s = arg;
    if (s->told) {
        tell(s, &(struct app_answer){.values = &APP_TEXT(bytes), .count = 1});
        return;
    }
    buf_puts(&s->part, bytes);
    s->has = true;
}

/* Its error, as values in mem. */
static void take_error(struct tables_source *s, const struct app_answer *a) {
    const struct app_value *v = a->values;
    struct pg_error *e = &s->error;
    *e = (struct pg_error){.set = true, .state = "58030", .message = "what keeps the app's data failed"};
    if (a->outcome != APP_DATA_ERROR || a->count < 4) return;
    snprintf(e->state, sizeof e->state, STR_FMT, STR_ARG(v[0].s));
    snprintf(e->message, sizeof e->message, STR_FMT, STR_ARG(v[1].s));
    snprintf(e->detail, sizeof e->detail, STR_FMT, STR_ARG(v[2].s));
    snprintf(e->hint, sizeof e->hint, STR_FMT, STR_ARG(v[3].s));
}

static void on_told(void *arg, const struct app_answer *answer) {
    struct tables_source *s = arg;
    s->ask = NULL;
    if (s->told) {
        tell(s, answer);
        return;
    }
    s->has = true;
    if (answer->outcome != APP_DATA_OK) take_error(s, answer);
    else if (answer->count && answer->values[0].kind == APP_VALUE_TEXT) buf_puts(&s->part, answer->values[0].s);
}

/* Of the next part, q says nothing. */
static struct app_ask *ask(struct app_data *base, struct app *app, const struct app_question *q, app_told told, void *arg) {
    struct tables_source *s = container_of(base, struct tables_source, base);
    s->told = told, s->arg = arg;
    if (s->begun) {
        s->tables->more(s->tables, s->ask, 1);
        return as_ask(s);
    }
    struct app_question first = *q;
    first.part = on_part;
    s->begun = true;
    s->ask = s->tables->ask(s->tables, app, &first, on_told, s);
    if (!s->ask) s->told = NULL;
    return s->ask ? as_ask(s) : NULL;
}

/* Nobody waits any more: what comes stays. */
static void cancel(struct app_data *base, struct app_ask *asked) { container_of(base, struct tables_source, base)->told = NULL; }

struct tables_source *tables_source_new(struct app_data *tables) {
    struct tables_source *s = calloc(1, sizeof *s);
    ENSURE(s);
    s->base = (struct app_data){.ask = ask, .cancel = cancel};
    s->tables = tables;
    return s;
}

void tables_source_free(struct tables_source *s) {
    if (!s) return;
    if (s->ask) s->tables->cancel(s->tables, s->ask);
    buf_free(&s->part);
    free(s);
}

struct app_data *tables_source_data(struct tables_source *s) {
    return &s->base;
}
bool tables_source_lives(const struct tables_source *s) { return s && (s->ask || s->has); }
bool tables_source_waits(const struct tables_source *s) { return s->told; }

bool tables_source_take(struct tables_source *s, struct buf *part, struct pg_error *error) {
    if (!s->has) return false;
    struct buf none = {0};
    *part = s->part;
    s->part = none;
    s->has = false;
    *error = s->error;
    return true;
}

void tables_source_more(struct tables_source *s, app_told told, void *arg) {
    s->told = told, s->arg = arg;
    s->tables->more(s->tables, s->ask, 1);
}

void tables_source_leave(struct tables_source *s) {
    if (s) s->told = NULL;
}
