/* certs: what a person asks about who the node is by TLS. */
#include "node/command/ask.h"
#include "node/command/table.h"

static str member(const struct json *v, const char *key) { return json_str(json_get(v, key)); }

static void put_or(struct table *t, str text) { node_table_put(t, text.n ? text : STR("-")); }

static void print(arena *mem, FILE *to, const struct json *all) {
    static const char *const heads[] = {"HOST", "STATE", "APP", "UNTIL", "DAYS", "RENEWED", "FROM", NULL};
    struct table t;
    if (!json_count(all)) {
        fprintf(to, "no certificate, and none that is to be had\n");
        return;
    }
    node_table_begin(&t, mem, heads);
    JSON_EACH(c, all) {
        node_table_put(&t, member(c, "host"));
        node_table_put(&t, member(c, "state"));
        put_or(&t, member(c, "app"));
        put_or(&t, member(c, "not_after"));
        if (json_get(c, "days_left")) node_table_fmt(&t, "%lld", (long long)json_i64(json_get(c, "days_left")));
        else node_table_put(&t, STR("-"));
        put_or(&t, member(c, "renew_at"));
        put_or(&t, member(c, "from"));
    }
    node_table_print(&t, to);
    JSON_EACH(c, all) {
        str why = member(c, "error"), next = member(c, "next_try");
        if (why.n)
            fprintf(to, "! " STR_FMT ": " STR_FMT "%s" STR_FMT "\n", STR_ARG(member(c, "host")), STR_ARG(why),
                    next.n ? "; next try " : "", STR_ARG(next));
    }
}

err node_command_certs(const struct node_where *where, const char *renew, bool json, FILE *to, struct diag *d) {
    arena *mem = arena_new(0);
    struct answer answer;
    err e = renew ? node_ask_once(where, mem, "POST", node_ask_path(mem, "/certificates/%s/renew", renew), NULL, &answer, d)
                  : node_ask_once(where, mem, "GET", STR("/certificates"), NULL, &answer, d);
    if (e == ERR_OK && renew) fprintf(to, "asked for; orlo certs shows what comes of it\n");
    else if (e == ERR_OK && json) node_table_json(to, &answer.body);
    else if (e == ERR_OK) print(mem, to, json_get(&answer.body, "certificates"));
    arena_free(mem);
    return e;
}
