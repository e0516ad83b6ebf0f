/* explain: which grants and policies hold for a role, in their own words, for an app's owner. */
#include "node/tree.h"

static void tell_policies(struct buf *b, const struct catalog *c, const struct catalog_relation *r, uint32_t role,
                          enum catalog_command command, bool permissive) {
    bool any = false;
    for (const struct catalog_policy *p = NULL; (p = catalog_policy_next(c, r, role, command, permissive, p)); any = true) {
        bool checks = command == CATALOG_FOR_INSERT || command == CATALOG_FOR_UPDATE;
        const struct catalog_expr *check = p->check_expr.source.n ? &p->check_expr : &p->using_expr;
        buf_printf(b, "  %s \"" STR_FMT "\"", permissive ? "allows:" : "and only if:", STR_ARG(p->name));
        if (command != CATALOG_FOR_INSERT) buf_printf(b, " rows where " STR_FMT, STR_ARG(p->using_expr.source));
        if (checks)
            buf_printf(b, "%s new rows where " STR_FMT, command == CATALOG_FOR_UPDATE ? ", to" : "", STR_ARG(check->source));
        buf_putc(b, '\n');
    }
    if (!any && permissive) buf_puts(b, STR("  no policy allows it: no row passes\n"));
}

static void tell_command(struct buf *b, const struct catalog *c, const struct catalog_relation *r, uint32_t role,
                         enum catalog_command command) {
    static const char *const names[] = {[CATALOG_FOR_SELECT] = "select",
                                        [CATALOG_FOR_INSERT] = "insert",
                                        [CATALOG_FOR_UPDATE] = "update",
                                        [CATALOG_FOR_DELETE] = "delete"};
    static const uint32_t rights[] = {[CATALOG_FOR_SELECT] = CATALOG_SELECT,
                                      [CATALOG_FOR_INSERT] = CATALOG_INSERT,
                                      [CATALOG_FOR_UPDATE] = CATALOG_UPDATE,
                                      [CATALOG_FOR_DELETE] = CATALOG_DELETE};
    bool granted = catalog_may_relation(c, role, r, rights[command]);
    buf_printf(b, "%s: %s\n", names[command],
               granted ? "granted" : "not granted for the whole table (42501, unless columns are)");
    if (!catalog_policies_hold(c, role, r)) {
        buf_puts(b, r->rls ? STR("  policies do not hold for this role: all rows\n")
                           : STR("  row level security is off: all rows\n"));
        return;
    }
    tell_policies(b, c, r, role, command, true);
    tell_policies(b, c, r, role, command, false);
}

/* "2 of 3 rows pass": what policies come to for the rows that there are. */
void node_explain_rows(arena *mem, str json, struct buf *b) {
    static const struct json_limits limits = {.bytes_max = 4 << 20, .depth_max = 8, .values_max = 1 << 16};
    static const char *const counts[][2] = {{"visible", "passes"}, {"accepted", "passesCheck"}};
    struct json v;
    if (json_read(mem, json, &limits, &v, NULL) != ERR_OK) return;
    long long rows = (long long)json_get(&v, "rows")->i;
    for (size_t k = 0; k < ARRAY_COUNT(counts); k++) {
        const struct json *all = json_get(&v, counts[k][0]), *policies = json_get(&v, "policies");
        if (!all) continue;
        buf_printf(b, "  %lld of %lld rows %s", (long long)all->i, rows, k ? "would be taken as new ones" : "pass");
        for (uint32_t i = 0; policies && i < policies->n; i++) {
            const struct json *p = &policies->items[i], *n = json_get(p, counts[k][1]);
            buf_printf(b, "%s \"" STR_FMT "\": %lld", i ? "," : ";", STR_ARG(json_str(json_get(p, "name"))),
                       n ? (long long)n->i : 0);
        }
        buf_putc(b, '\n');
    }
}

err node_explain(arena *mem, const struct catalog *c, str ask, struct buf *b, struct diag *d) {
    static const struct json_limits limits = {.bytes_max = 512 << 10, .depth_max = 8, .values_max = 64};
    static const char *const words[] = {"", "select", "insert", "update", "delete"};
    struct json v;
    str schema = STR("public"), table;
    TRY(json_read(mem, ask, &limits, &v, d));
    table = json_str(json_get(&v, "table"));
    size_t dot = str_find(table, '.');
    if (dot < table.n) schema = str_sub(table, 0, dot), table = str_sub(table, dot + 1, table.n);
    const struct catalog_relation *r = c ? catalog_relation_named(c, schema, table) : NULL;
    const struct catalog_role *role = c ? catalog_role_named(c, json_str(json_get(&v, "role"))) : NULL;
    if (!r)
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no table " STR_FMT "." STR_FMT, STR_ARG(schema),
                        STR_ARG(table));
    if (!role)
        return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no role " STR_FMT, STR_ARG(json_str(json_get(&v, "role"))));
    str command = json_str(json_get(&v, "command"));
    buf_printf(b, STR_FMT "." STR_FMT " as " STR_FMT "\n", STR_ARG(schema), STR_ARG(table), STR_ARG(role->name));
    for (uint32_t i = CATALOG_FOR_SELECT; i <= CATALOG_FOR_DELETE; i++)
        if (!command.n || str_eqc(command, words[i])) tell_command(b, c, r, role->id, (enum catalog_command)i);
    return ERR_OK;
}
