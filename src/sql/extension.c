/* extension: what CREATE EXTENSION and its kin mean, by the table (extensions.def): on SQLite, and in the steps of a plan for PostgreSQL.
 *
 * 1. On a server of the node's an extension that PostgreSQL trusts superusers alone with is made by a function of the node's that runs as its superuser. Its
 *    script looks for names in the schema where it goes, and in those of what it requires: nobody's functions, operators and types may be there, nor come
 *    there meanwhile.
 * 2. The function names what it makes from the table, never from what it is told.
 * 3. On a server of yours it has the rights of the URL's role, and is only what leaves out the platform's. */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

enum { THERE = CATALOG_EXT_THERE, IGNORED = CATALOG_EXT_IGNORED, REFUSED = 2 };
enum on_postgres { PASSED, PLATFORM, RAISED };
static const struct extension {
    const char *name;
    int how;
    enum on_postgres on_postgres;
    const char *said;
} extensions[] = {
#define EXTENSION(name, how, on_postgres, said) {name, how, on_postgres, said},
#include "sql/extensions.def"
#undef EXTENSION
};

static const struct extension *extension_named(str name) {
    for (size_t i = 0; i < ARRAY_COUNT(extensions); i++)
        if (str_eqc(name, extensions[i].name)) return &extensions[i];
    return NULL;
}

/* ---- into the catalogue ---- */

/* What columns and arguments may be of; a row for each extension that SQLite has nothing of. */
static const struct {
    const char *extension, *types;
} brought[] = {{"postgis", "geometry geography box2d box3d"},
               {"postgis_raster", "raster"},
               {"postgis_topology", "topogeometry"},
               {"hstore", "hstore"},
               {"ltree", "ltree lquery ltxtquery"},
               {"cube", "cube"},
               {"vector", "vector halfvec sparsevec"},
               {"isn", "isbn isbn13 issn issn13 ismn ismn13 ean13 upc"},
               {"seg", "seg"},
               {"intarray", "query_int"},
               {"http", "http_response http_request http_header"}};

static void absent_types(struct sql_ddl *d, const char *extension, const struct catalog_schema *in) {
    for (size_t i = 0; in && i < ARRAY_COUNT(brought); i++) {
        str rest = str_c(brought[i].types), one;
        while (!strcmp(brought[i].extension, extension) && rest.n) {
            str_cut(rest, ' ', &one, &rest);
            sql_absent_type(d, in, one);
        }
    }
}

/* CREATE LANGUAGE is CREATE EXTENSION: c, and those that PostgreSQL calls untrusted. */
static bool is_untrusted(str name) {
    return str_eqc(name, "c") || str_eqc(name, "internal") ||
           (name.n > 3 && str_starts(name, STR("pl")) && str_ends(name, STR("u")));
}

err sql_do_create_extension(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateExtensionStmt *s = node_->create_extension_stmt;
    const struct extension *x = extension_named(str_c(s->extname));
    bool on_sqlite = d->engine == CATALOG_SQLITE;
    for (uint32_t i = 0; i < d->c->extensions.n; i++)
        if (str_eqc(d->c->extensions.p[i].name, s->extname)) return ERR_OK;
    if (is_untrusted(str_c(s->extname)))
        return sql_refuse_at(d, -1, "42501", "leave it out", "language \"%s\" reaches outside of the database", s->extname);
    bool absent = !x || x->how == REFUSED;
    const char *said = x ? x->said : "database = \"postgres\" takes it where it is installed";
    if (absent && on_sqlite && !d->report->strict)
        sql_raises(
            d, -1, "0A000", said,
            "extension \"%s\" is not there on SQLite: what it has raises 0A000 when it is called, and its types hold nothing "
            "but NULL",
            s->extname);
    else if (absent) (void)sql_needs_postgres(d, -1, said, "extension \"%s\" is not there on SQLite", s->extname);
    if (on_sqlite && x && x->how == IGNORED) sql_ignored(d, -1, "extension %s: %s", s->extname, x->said);
    str in = sql_option_text(sql_option(s->options, s->n_options, "schema"));
    const struct catalog_schema *schema = in.n ? catalog_schema_named(d->c, in) : NULL;
    vec_push(d->mem, &d->c->extensions,
             ((struct catalog_extension){.name = arena_str(d->mem, str_c(s->extname)),
                                         .how = (uint8_t)(!on_sqlite ? THERE
                                                          : absent   ? CATALOG_EXT_ABSENT
                                                                     : x->how),
                                         .schema = schema ? schema->id : 0}));
    if (on_sqlite && absent) absent_types(d, s->extname, schema ? schema : catalog_schema_named(d->c, STR("public")));
    return ERR_OK;
}

err sql_extension_drop(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    for (uint32_t i = 0; i < d->c->extensions.n; i++)
        if (str_eq(d->c->extensions.p[i].name, sql_name_of(o))) {
            memmove(&d->c->extensions.p[i], &d->c->extensions.p[i + 1],
                    (--d->c->extensions.n - i) * sizeof d->c->extensions.p[0]);
            return ERR_OK;
        }
    return s->missing_ok ? ERR_OK
                         : sql_refuse_at(d, -1, "42704", "write if exists where it may not be there",
                                         "extension \"" STR_FMT "\" does not exist", STR_ARG(sql_name_of(o)));
}

/* ---- steps on PostgreSQL ---- */

static str quoted(arena *mem, str s) {
    struct buf b = {0};
    buf_putc(&b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'') buf_putc(&b, '\'');
        buf_putc(&b, s.p[i]);
    }
    buf_putc(&b, '\'');
    str out = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return out;
}

static bool is_ours(str name) {
    const struct extension *x = extension_named(name);
    return x && x->on_postgres != PASSED;
}

static str call_of(arena *mem, const char *does, str name, str in, bool missing_ok, bool cascade) {
    return arena_fmt(mem, "select _orlo.extension('%s', " STR_FMT ", " STR_FMT ", %s, %s)", does, STR_ARG(quoted(mem, name)),
                     STR_ARG(in), missing_ok ? "true" : "false", cascade ? "true" : "false");
}

static str create_step(arena *mem, const PgQuery__CreateExtensionStmt *s) {
    if (!is_ours(str_c(s->extname))) return (str){0};
    str in = sql_option_text(sql_option(s->options, s->n_options, "schema"));
    return call_of(mem, "create", str_c(s->extname), in.n ? quoted(mem, in) : STR("null"), s->if_not_exists,
                   sql_option_true(sql_option(s->options, s->n_options, "cascade")));
}

/* Of several, each its own call where one is ours. */
static str drop_step(arena *mem, const PgQuery__DropStmt *s) {
    bool any = false, cascade = s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    struct buf b = {0};
    for (size_t i = 0; i < s->n_objects; i++) {
        str name = sql_name_of(s->objects[i]);
        any = any || is_ours(name);
        str call = call_of(mem, "drop", name, STR("null"), s->missing_ok, cascade);
        buf_printf(&b, "%s" STR_FMT, i ? ", " : "select ", STR_ARG(str_sub(call, 7, call.n)));
    }
    str out = any ? arena_str(mem, buf_str(&b)) : (str){0};
    buf_free(&b);
    return out;
}

/* A comment is no reason to refuse what stands beside it in a dump: whose extension it is, and whether it is there, the node decides. */
static str comment_step(arena *mem, const PgQuery__CommentStmt *s, str text) {
    if (s->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION) return (str){0};
    return arena_fmt(mem, "do language plpgsql %s",
                     (const char *)arena_cstr(
                         mem, quoted(mem, arena_fmt(mem,
                                                    "begin execute " STR_FMT
                                                    "; exception when undefined_object or insufficient_privilege then null; end",
                                                    STR_ARG(quoted(mem, text))))));
}

str sql_extension_step(arena *mem, const PgQuery__Node *node, str text) {
    if (node->node_case == PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT) return create_step(mem, node->create_extension_stmt);
    if (node->node_case == PG_QUERY__NODE__NODE_COMMENT_STMT) return comment_step(mem, node->comment_stmt, text);
    if (node->node_case == PG_QUERY__NODE__NODE_DROP_STMT &&
        node->drop_stmt->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION)
        return drop_step(mem, node->drop_stmt);
    return (str){0};
}

/* ---- the function that does it ---- */

static void put_names(struct buf *b, enum on_postgres which) {
    bool first = true;
    buf_puts(b, STR("array["));
    for (size_t i = 0; i < ARRAY_COUNT(extensions); i++) {
        if (extensions[i].on_postgres != which) continue;
        buf_printf(b, "%s'%s'", first ? "" : ", ", extensions[i].name);
        first = false;
    }
    buf_puts(b, STR("]::name[]"));
}

/* Nothing in schema place_id that is not the superuser's, as all is that an extension's script made: what another script could take for its own. That it is
 * a member of an extension says nothing: who owns one may put into it what is his. */
static const char is_clean[] =
    "not exists (select from pg_proc where pronamespace = place_id and proowner <> me) "
    "and not exists (select from pg_operator where oprnamespace = place_id and oprowner <> me) "
    "and not exists (select from pg_opclass where opcnamespace = place_id and opcowner <> me) "
    "and not exists (select from pg_opfamily where opfnamespace = place_id and opfowner <> me) "
    "and not exists (select from pg_type where typnamespace = place_id and typowner <> me and typtype in ('d', 'e', 'r', 'm'))";

static void put_making(struct buf *b) {
    buf_puts(
        b,
        STR("  if not wanted = any(raised) then raise insufficient_privilege using message = "
            "format('permission denied to create extension \"%s\"', wanted); end if;\n"
            "  if there is null then raise feature_not_supported using message = format('extension \"%s\" is not "
            "available', wanted), hint = 'The extension must first be installed on the system where PostgreSQL is "
            "running.'; end if;\n"
            "  lock table pg_namespace, pg_proc, pg_operator, pg_opclass, pg_opfamily, pg_type in share row exclusive mode;\n"
            "  select schema, requires into fixed, needed from pg_available_extension_versions where name = wanted and version "
            "= there;\n"
            "  if fixed is not null and exists (select from pg_namespace where nspname = fixed and nspowner <> me) then raise "
            "insufficient_privilege using message = format('extension \"%s\" makes schema \"%s\", which is there and is "
            "yours', wanted, fixed); end if;\n"
            "  place := coalesce(fixed, place);\n"
            "  if place is null then place := first_of; named := false; end if;\n"
            "  for attempt in 1 .. 2 loop\n"
            "    select oid into place_id from pg_namespace where nspname = place;\n"
            "    if place_id is null and fixed is null then raise invalid_schema_name using message = format('schema "
            "\"%s\" does not exist', place); end if;\n"
            "    exit when place_id is null or ("));
    buf_puts(b, str_c(is_clean));
    buf_puts(b, STR(");\n"
                    "    if named or attempt = 2 then raise insufficient_privilege using message = format('extension \"%s\" "
                    "cannot go into schema \"%s\", which has functions, operators or types of yours', wanted, place), "
                    "hint = 'create it before them, or in a schema of its own: create schema gis; create extension … with "
                    "schema gis'; end if;\n"
                    "    place := 'extensions';\n"
                    "  end loop;\n"
                    /* its script looks for names there, too */
                    "  for place_id, beside in select n.oid, n.nspname from pg_extension e join pg_namespace n on n.oid = "
                    "e.extnamespace where e.extname = any(needed) loop\n"
                    "    if not ("));
    buf_puts(b, str_c(is_clean));
    buf_puts(b, STR(") then raise insufficient_privilege using message = format('extension \"%s\" needs what is in schema "
                    "\"%s\", which has functions, operators or types of yours', wanted, beside); end if;\n"
                    "  end loop;\n"
                    "  execute format('create extension %I%s%s', wanted, case when fixed is null then format(' with schema %I', "
                    "place) end, case when with_all then ' cascade' end);\n"));
}

str sql_extension_function(arena *out, bool own) {
    struct buf b = {0};
    buf_printf(&b,
               "create or replace function _orlo.extension(does text, wanted name, place name, missing_ok bool, with_all bool, "
               "first_of name default pg_catalog.current_schema()) "
               "returns void language plpgsql %s set search_path = pg_catalog, pg_temp as $orlo_f$\n"
               "declare\n  raised constant name[] := ",
               own ? "security definer" : "security invoker");
    put_names(&b, RAISED);
    buf_puts(&b, STR(";\n  platform constant name[] := "));
    put_names(&b, PLATFORM);
    buf_puts(&b, STR(";\n  here bool := exists (select from pg_extension where extname = wanted);\n"
                     "  there text := (select default_version from pg_available_extensions where name = wanted);\n"
                     "  me oid := (select oid from pg_roles where rolname = current_user);\n"
                     "  named bool := true;\n  fixed name;\n  beside name;\n  needed name[];\n  place_id oid;\n"
                     "begin\n"
                     "  if does = 'drop' then\n"
                     "    if not here then\n"
                     "      if missing_ok or wanted = any(platform) then return; end if;\n"
                     "      raise undefined_object using message = format('extension \"%s\" does not exist', wanted);\n"
                     "    end if;\n"));
    if (own)
        buf_puts(
            &b,
            STR("    if not wanted = any(raised) and exists (select from pg_extension where extname = wanted and extowner = me) "
                "then raise insufficient_privilege using message = format('must be owner of extension %s', wanted); end "
                "if;\n"));
    buf_puts(&b, STR("    execute format('drop extension %I%s', wanted, case when with_all then ' cascade' end);\n"
                     "    return;\n"
                     "  end if;\n"
                     "  if here then\n"
                     "    if missing_ok then return; end if;\n"
                     "    raise duplicate_object using message = format('extension \"%s\" already exists', wanted);\n"
                     "  end if;\n"));
    buf_puts(&b, own ? STR("  if wanted = any(platform) then return; end if;\n")
                     : STR("  if wanted = any(platform) and there is null then return; end if;\n"));
    if (own) put_making(&b);
    else
        buf_puts(&b,
                 STR("  execute format('create extension %I%s%s', wanted, case when place is not null then format(' with schema "
                     "%I', place) end, case when with_all then ' cascade' end);\n"));
    buf_puts(&b, STR("end $orlo_f$"));
    str text = arena_str(out, buf_str(&b));
    buf_free(&b);
    return text;
}
