#!/usr/bin/env python3
"""Random schemas, rows, policies, users and requests, on SQLite and on PostgreSQL: the same answers, byte for byte, or the same errors.

    engines.py BUILD [--seconds N | --rounds N] [--seed N] [--count N] [--show N] [--first] [--keep FOLDER] [--programs | --trees | --twins] [--canary]

A round is a schema with its rows and some hundred requests; a seed says all of it. Each other one is of programs (programs.py): functions, triggers, DO blocks, exceptions,
dynamic SQL. What differs and is known is a row of KNOWN, with its reason.
--twins: two databases that differ in rows alone which no user may see answer users alike, errors and counts included; each engine by itself.
--canary: SQLite lacks a policy, or what twins hide can be seen: it is well if that is noticed, and so the status is 1. Without a PostgreSQL it is skipped, by name, but for twins
of SQLite."""
import argparse, collections, json, os, random, re, shutil, subprocess, sys, tempfile, time, uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pg"))
from programs import Programs

USERS = [str(uuid.UUID(int=i + 1)) for i in range(4)]
GHOST = str(uuid.UUID(int=777))  # owns what nobody sees
ROLES = ["anon", "authenticated", "editor"]  # editor: made by a migration

# ---- what is known to differ: (how it shows, why) ----------------------------------------------------------------------------------------


def trees(line):
    return line.get("batch") or [line["query"]]


def embeds(items):
    for i in items or []:
        if isinstance(i, dict) and "embed" in i:
            yield i
            yield from embeds(i.get("select"))


def written_embeds(line, a, b):
    """Embeds of rows that were written."""
    return any(q.get("kind", "select") not in ("select", "call") and any(embeds(q.get("select"))) for q in trees(line)) and a[:2] == b[:2] == "ok"


def which_row(line, a, b):
    """Of an update or delete that would be refused for more than one row."""
    states = {x.partition("\t")[0] for x in (a, b)}
    return any(q.get("kind") in ("update", "delete") for q in trees(line)) and states <= {"42501", "23502", "23503", "23505", "23514"}


def which_table(line, a, b):
    """Of several tables that the role may not use: behind one write, or one within another."""
    several = lambda q: q.get("kind") in ("insert", "update", "delete") or any(embeds(q.get("select")))
    return all(re.match(r'42501\t{"message":"permission denied for (table|view) ', x) for x in (a, b)) and any(several(q) for q in trees(line))


def which_equal(line, a, b):
    """Of intervals that are equal and written otherwise, min, max and a group's own value are the first or the last that is found."""
    said = [re.sub(r'"30 days"', '"1 mon"', x) for x in (a, b)]
    return any("aggregate" in i for q in trees(line) for i in q.get("select") or [] if isinstance(i, dict)) and unordered(line, said[0]) == unordered(line, said[1])


def which_key(line, a, b):
    """Of several unique constraints that rows are in the way of."""
    return all(re.match(r'23505\t{"message":"duplicate key value violates unique constraint ', x) for x in (a, b)) and re.findall(r'constraint \\"(.*?)\\"', a) != re.findall(r'constraint \\"(.*?)\\"', b)


def which_tie(line, a, b):
    """Of a view that does not show its table's whole key: so many rows, and which of equal ones."""
    some = lambda q: q.get("kind", "select") == "select" and q["from"][:2] in ("v_", "w_") and ("limit" in q or "offset" in q)
    return any(some(q) for q in trees(line)) and a[:2] == b[:2] == "ok" and a.count("{") == b.count("{")


def which_filter(line, a, b):
    """A pattern that ends with its escape is refused where a text is held against it."""
    return sorted(x.partition("\t")[0] for x in (a, b)) == ["22025", "ok"]


KNOWN = [
    (which_tie, "of rows of a view that are equal in what orders them, a range has any, and each engine has its order"),
    (which_filter, "of a view's conditions and those of who asks, each engine has its order, and the first that does not hold ends it"),
    (which_key, "of several unique constraints, PostgreSQL looks at the oldest index first, SQLite at the newest"),
    (which_equal, "of equal intervals that are written otherwise, min, max and a group give the one found first or last, and each engine has its order"),
    (which_table, "of tables that a write and its policies, or a table and its embeds, may not use, each engine names the one that its plan has first"),
    (which_row, "of rows that are refused, for one reason or another, the first one found is told, and each engine has its order"),
    (written_embeds, "what is embedded in written rows is as it is after the write; PostgreSQL's is of the snapshot before it"),
]

# ---- values ----------------------------------------------------------------------------------------


def text(r):
    return r.choice(["", "a", "A", "b", "ab", "Äpfel", "zé", "a_b", "100%", "o'hara", 'quo"te', "x\\y", "line\nbreak", "日本", " sp ", "null", "0"])


def value(r, type_):
    """A value of a type as JSON has it, or None."""
    if r.random() < 0.12:
        return None
    base = type_.split("(")[0]
    if type_.endswith("[]"):
        return [value(r, type_[:-2]) for _ in range(r.randrange(4))]
    return {
        "smallint": lambda: r.choice([0, 1, -1, 7, 32767, -32768]),
        "integer": lambda: r.choice([0, 1, -1, 42, 2147483647, -2147483648, r.randrange(100)]),
        "bigint": lambda: r.choice([0, 1, -1, 9007199254740993, 9223372036854775807, -9223372036854775808, r.randrange(100)]),
        "numeric": lambda: r.choice([0, 1, "1.0", "1.00", "-0.5", "123.45", "0.001", "99999", "-7.25"]),
        "real": lambda: r.choice([0, 1.5, -2.25, 0.1, 3e10]),
        "double precision": lambda: r.choice([0, 1.5, -2.25, 0.1, 1e300, 123456.789]),
        "boolean": lambda: r.choice([True, False]),
        "text": lambda: text(r),
        "varchar": lambda: text(r)[:5],
        "char": lambda: text(r)[:3],
        "citext": lambda: text(r),
        "uuid": lambda: r.choice(USERS),
        "bytea": lambda: r.choice(["\\x", "\\x00ff", "\\xdeadbeef"]),
        "date": lambda: r.choice(["2020-01-01", "1999-12-31", "2024-02-29", "infinity", "0044-03-15 BC"]),
        "time": lambda: r.choice(["00:00:00", "12:34:56", "23:59:59.999999"]),
        "timestamp": lambda: r.choice(["2020-01-01 00:00:00", "2024-02-29T12:00:00.5", "1969-07-20 20:17:40"]),
        "timestamptz": lambda: r.choice(["2020-01-01T00:00:00Z", "2024-02-29 12:00:00.123456+02", "1969-07-20 20:17:40-05:30", "-infinity"]),
        "interval": lambda: r.choice(["1 day", "30 days", "1 mon", "02:03:04", "1 year 2 mons -3 days", "-00:00:01.5"]),
        "json": lambda: r.choice([{"b": 1, "a": [1, 2]}, [], 1, "x", {"a": {"b": "c"}}, {"a": None}]),
        "jsonb": lambda: r.choice([{"b": 1, "a": [1, 2]}, [], 1, "x", {"a": {"b": "c"}}, {"a": None}, {"aa": 1.50, "b": 2}]),
        "mood": lambda: r.choice(["sad", "ok", "happy"]),
        "positive": lambda: r.choice([1, 2, 100]),
    }[base]()


TYPES = ["smallint", "integer", "bigint", "numeric", "numeric(10,2)", "real", "double precision", "boolean", "text", "text", "varchar(5)", "char(3)", "uuid",
         "bytea", "date", "time", "timestamp", "timestamptz", "interval", "json", "jsonb", "text[]", "integer[]", "mood", "positive", "mood[]", "numeric[]"]
KEYS = ["uuid", "bigint", "integer", "smallint", "text"]


def literal(v, type_):
    if v is None:
        return "null"
    if type_.endswith("[]"):
        return "'" + json.dumps(v, ensure_ascii=False).replace("[", "{").replace("]", "}").replace("'", "''") + f"'::{type_}"
    s = json.dumps(v, ensure_ascii=False) if type_ in ("json", "jsonb") else str(v).lower() if isinstance(v, bool) else str(v)
    return "'" + s.replace("'", "''") + f"'::{type_}"


# ---- a schema ---------------------------------------------------------------------------------------


class Table:
    def __init__(self, r, name, before, private):
        self.name, self.private = name, private
        self.key = [("id", r.choice(KEYS))] + ([("part", "text")] if r.random() < 0.15 else [])
        self.columns = self.key + [("owner", "uuid")]
        self.parents = r.sample(before, min(len(before), r.randrange(3)))
        self.columns += [(f"{p.name}_{k}", t) for p in self.parents for k, t in p.key]
        self.own = [(f"c{i}", r.choice(TYPES)) for i in range(r.randrange(2, 7))]
        self.columns += self.own
        self.rows, self.rls = [], private or r.random() < 0.85
        self.taken = {}
        self.needed = {c for c, t in self.own if r.random() < 0.15}
        self.unique = {c for c, t in self.own if t in ("text", "integer", "numeric", "uuid", "date", "mood") and r.random() < 0.3} - self.needed
        self.small = {c for c, t in self.own if t == "integer" and r.random() < 0.3}
        self.made = [("made", "text")] if r.random() < 0.2 else []  # a generated column
        self.types = dict(self.columns + self.made)

    def ddl(self, r):
        lines = [f"  {c} {t} not null" for c, t in self.key] + ["  owner uuid default auth.uid()"]
        for p in self.parents:
            lines += [f"  {p.name}_{k} {t}" for k, t in p.key]
        for c, t in self.own:
            extra = " not null" if c in self.needed else r.choice(["", "", "", f" default {literal(value(r, t), t)}", " unique" if c in self.unique else ""])
            if t == "positive" and "default" in extra:
                extra = ""
            lines.append(f"  {c} {t}{extra}" + (f" check ({c} < 1000)" if c in self.small else ""))
        if self.made:
            lines.append("  made text generated always as (coalesce(owner::text, '') || 'x') stored")
        lines.append(f"  primary key ({', '.join(c for c, _ in self.key)})")
        for p in self.parents:
            action = r.choice(["", " on delete cascade", " on delete set null", " on delete restrict", " on update cascade", " on update cascade on delete cascade"])
            here, there = ", ".join(f"{p.name}_{k}" for k, _ in p.key), ", ".join(k for k, _ in p.key)
            lines.append(f"  foreign key ({here}) references {p.name} ({there}){action}")
        out = f"create table {self.name} (\n" + ",\n".join(lines) + "\n);\n"
        if self.rls:
            out += f"alter table {self.name} enable row level security;\n"
            if r.random() < 0.2:
                out += f"alter table {self.name} force row level security;\n"
        if r.random() < 0.3:
            c = r.choice(self.own)
            if c[1] not in ("json",):
                out += f"create index on {self.name} ({c[0]});\n"
        if not self.private and r.random() < 0.25:  # rights of columns
            some = [c for c, _ in self.columns if r.random() < 0.6] or ["id"]
            role, right = r.choice(ROLES), r.choice(["select", "insert", "update"])
            out += f"revoke {right} on {self.name} from {role};\ngrant {right} ({', '.join(some)}) on {self.name} to {role};\n"
        if r.random() < 0.1:
            out += f"revoke {r.choice(['insert', 'update', 'delete', 'all'])} on {self.name} from {r.choice(ROLES)};\n"
        return out

    def conditions(self, r):
        """Those of the first row are true of nothing that GHOST owns."""
        choices = ["owner = auth.uid()", "owner = (select auth.uid())", "auth.uid() = owner", f"exists (select 1 from members m where m.thing = {self.name}.owner and m.who = auth.uid())",
                   f"exists (select 1 from members where thing = {self.name}.owner and who = (select auth.uid()))", "owner in (select m.thing from members m where m.who = auth.uid())",
                   "is_member(owner)", "owner = any (friends_of(auth.uid()))", "false", "owner = any (array(select thing from members where who = auth.uid()))",
                   "owner is not distinct from auth.uid() and auth.uid() is not null"]
        if self.private:
            return choices
        choices += ["true", "owner is null", "auth.uid() is not null", "auth.role() = 'authenticated'", "(auth.jwt() ->> 'email') = 'a@b.c'",
                    "current_user = 'editor'", "coalesce(auth.jwt() -> 'app_metadata' ->> 'plan', '') <> 'free'",
                    "(select count(*) from members m where m.who = auth.uid()) > 1", "owner not in (select m.thing from members m where m.who = auth.uid())"]
        for c, t in self.own:
            if t in ("integer", "bigint", "boolean", "text", "mood", "date", "numeric"):
                choices.append(f"{c} is not null")
            choices += {"integer": [f"{c} > 5", f"{c} between 0 and 50"], "text": [f"{c} like 'a%'", f"lower({c}) = 'a'"], "boolean": [c, f"not {c}", f"{c} is true"],
                        "mood": [f"{c} > 'sad'", f"{c} in ('ok', 'happy')"], "numeric": [f"{c} >= 1", f"round({c}) = 0"], "date": [f"{c} < '2022-01-01'"],
                        "jsonb": [f"{c} ->> 'b' = '1'", f"{c} ? 'a'"], "text[]": [f"'a' = any ({c})", f"cardinality({c}) > 1"], "integer[]": [f"1 = any ({c})"]}.get(t, [])
        for p in self.parents:
            on = " and ".join(f"p.{k} = {self.name}.{p.name}_{k}" for k, _ in p.key)
            choices.append(f"exists (select 1 from {p.name} p where {on} and p.owner = auth.uid())")
            choices.append(f"(select p.owner from {p.name} p where {on}) = auth.uid()")
        return choices

    def condition(self, r):
        choices = self.conditions(r)
        a = r.choice(choices)
        return a if r.random() < 0.7 else f"({a}) {r.choice(['and', 'or'])} ({r.choice(choices)})"

    def policies(self, r):
        out = []
        for i in range(r.randrange(1, 5) if self.rls else 0):
            command = r.choice(["all", "select", "insert", "update", "delete", "all", "select"])
            using = f" using ({self.condition(r)})" if command != "insert" else ""
            check = f" with check ({self.condition(r)})" if command in ("insert", "update", "all") and r.random() < 0.8 else ""
            if command == "insert" and not check:
                check = " with check (true)"
            kind = " as restrictive" if i and r.random() < 0.3 else ""
            to = r.choice(["", " to authenticated", " to anon, authenticated", " to editor, authenticated", " to public"])
            out.append(f'create policy "p {i}" on {self.name}{kind} for {command}{to}{using}{check};\n')
        return out

    def row(self, r, key, parents_of=None):
        row = dict(zip([c for c, _ in self.key], [key, f"p{r.randrange(2)}"]))
        row["owner"] = r.choice(USERS + [None])
        for p in self.parents:
            rows = (parents_of or (lambda p: p.rows))(p)
            parent = r.choice(rows + [None])
            row.update({f"{p.name}_{k}": parent[k] if parent else None for k, _ in p.key})
        for c, t in self.own:
            row[c] = value(r, t)
            while (row[c] is None and c in self.needed) or (c in self.small and (row[c] or 0) >= 1000):
                row[c] = value(r, t)
            if c in self.unique and row[c] is not None:
                k = float(row[c]) if t == "numeric" else row[c]
                row[c] = None if k in self.taken.setdefault(c, set()) else row[c]
                self.taken[c].add(k)
        return row

    def key_value(self, n):
        t = self.key[0][1]
        return str(uuid.UUID(int=n)) if t == "uuid" else f"k{n}" if t == "text" else n

    def make_rows(self, r, n):
        for i in range(n):
            self.rows.append(self.row(r, self.key_value(1000 + i if self.key[0][1] == "uuid" else i + 1)))

    def inserts(self, rows):
        out = ""
        for row in rows:
            out += f"insert into {self.name} ({', '.join(row)}) values ({', '.join(literal(v, self.types[c]) for c, v in row.items())}) on conflict do nothing;\n"
        return out


HEAD = """create type mood as enum ('sad', 'ok', 'happy');
create domain positive as integer check (value > 0);
create role editor;
grant editor to authenticator; grant usage on schema public to editor;
create table members (who uuid, thing uuid, primary key (who, thing));
alter table members enable row level security;
grant select on members to editor;
create policy mine on members for select using (who = auth.uid());
create function is_member(t uuid) returns boolean language sql stable security definer set search_path = public as $$
  select exists (select 1 from members m where m.thing = t and m.who = auth.uid()) $$;
create function friends_of(w uuid) returns uuid[] language sql stable security definer set search_path = public as $$
  select coalesce(array_agg(m.thing), '{}') from members m where m.who = w $$;
create function add(a integer, b integer default 2) returns integer language sql immutable as $$ select a + b $$;
create function echo(t text, n numeric default 1.50, m mood default 'ok', a integer[] default '{1,2}') returns table (t2 text, n2 numeric, m2 mood, a2 integer[]) language sql stable as
  $$ select t, n, m, a $$;
create function upto(n integer) returns setof integer language sql stable as $$ select g from generate_series(1, n) g $$;
create function parts(a text[]) returns setof text language sql stable as $$ select unnest(a) $$;
create function whose() returns uuid language sql stable as $$ select auth.uid() $$;
create function sys_columns() returns table (a name, b name, c int, d text, e text, f int, g int, h int, i name, j text, k text) language sql stable as $$
  select table_name, column_name, ordinal_position::int, is_nullable::text, data_type::text, character_maximum_length::int, numeric_precision::int, numeric_scale::int, udt_name::name,
    is_generated::text, is_updatable::text from information_schema.columns where table_schema = 'public' order by 1, 3 $$;
create function sys_tables() returns table (a name, b text, c text) language sql stable as $$
  select table_name::name, table_type::text, is_insertable_into::text from information_schema.tables where table_schema = 'public' order by 1 $$;
create function sys_constraints() returns table (a name, b text, c text, d text, e boolean, f text, g text, h text, i text) language sql stable as $$
  select c.conname, c.contype::text, r.relname::text, f.relname::text, c.convalidated, c.confupdtype::text, c.confdeltype::text, c.confmatchtype::text, c.confkey::text
  from pg_constraint c join pg_class r on r.oid = c.conrelid join pg_namespace n on n.oid = r.relnamespace left join pg_class f on f.oid = c.confrelid
  where n.nspname = 'public' and c.contype in ('p', 'f') order by 1, 3 $$;
create function sys_keys() returns table (a name, b name, c text, d text, e int) language sql stable as $$
  select k.table_name::name, k.column_name::name, t.constraint_type::text, t.is_deferrable::text, k.ordinal_position::int from information_schema.table_constraints t
  join information_schema.key_column_usage k on k.constraint_name = t.constraint_name and k.table_name = t.table_name
  where t.table_schema = 'public' order by 1, 3, t.constraint_name, 5 $$;
create function sys_attributes() returns table (a text, b name, c int, d boolean, e text, f boolean) language sql stable as $$
  select a.attrelid::regclass::text, a.attname, a.attnum::int, a.attnotnull, t.typname::text, a.atthasdef from pg_attribute a join pg_type t on t.oid = a.atttypid
  join pg_catalog.pg_class r on r.oid = a.attrelid where r.relnamespace = (select oid from pg_namespace where nspname = 'public') and r.relkind in ('r', 'v') and a.attnum > 0
  and not a.attisdropped and t.typname <> 'citext' order by 1, 3 $$;
create function sys_policies() returns table (a name, b name, c text, d name[], e text) language sql stable as $$
  select tablename, policyname, permissive, roles, cmd from pg_policies where schemaname = 'public' order by 1, 2 $$;
create function sys_classes() returns table (a name, b text, c boolean, d boolean, e int) language sql stable as $$
  select relname, relkind::text, relrowsecurity, relforcerowsecurity, relnatts::int from pg_class where relnamespace = (select oid from pg_namespace where nspname = 'public') order by 1, 2 $$;
create function sys_functions() returns table (a name, b boolean, c boolean, d text, e int, f boolean) language sql stable as $$
  select p.proname, p.prosecdef, p.proretset, p.provolatile::text, p.pronargs::int, p.proisstrict from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'public' order by 1 $$;
create function sys_guards(t text, c text) returns table (a boolean, b boolean, c boolean, d boolean, e text, f boolean) language sql stable as $$
  select to_regclass('public.' || t) is null, exists (select from pg_tables where tablename = t and schemaname = 'public'),
    exists (select 1 from information_schema.columns where table_schema = 'public' and table_name = t and column_name = c),
    exists (select 1 from pg_type where typname = 'mood' and typtype = 'e'), (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid =
    (select oid from pg_type where typname = 'mood')), exists (select from pg_indexes where schemaname = 'public' and indexname = t || '_pkey') $$;
create function sys_rights(t text, r text) returns table (a boolean, b boolean, c boolean) language sql stable as $$
  select has_table_privilege('public.' || t, r), has_table_privilege('anon', 'public.' || t, r), has_column_privilege('authenticated', 'public.' || t, 'id', r) $$;
create function positively(p positive) returns integer language sql stable strict as $$ select p + 1 $$;
"""


class Schema:
    def __init__(self, r, private=False):
        self.tables, self.functions, self.views, self.private = [], [], [], private
        for i in range(r.randrange(2, 5)):
            self.tables.append(Table(r, f"t{i}", self.tables, private))
        parts = [HEAD]
        pairs = [(w, t) for w in USERS for t in USERS if r.random() < 0.3]
        parts += [f"insert into members values ('{w}', '{t}');\n" for w, t in pairs]
        for t in self.tables:
            parts.append(t.ddl(r))
            parts.append(f"grant all on {t.name} to editor;\n" if r.random() < 0.8 else "")
            t.make_rows(r, r.randrange(0, 12))
            parts.append(t.inserts(t.rows))
        self.policies = [p for t in self.tables for p in t.policies(r)]
        for t in self.tables:
            if r.random() < 0.5:
                invoker = " with (security_invoker = true)" if private else r.choice(["", " with (security_invoker = true)"])
                c = r.choice(t.own)[0]
                where_ = r.choice(["", " where owner is not null", f" where {c} is not null"])
                parts.append(f"create view v_{t.name}{invoker} as select id, owner, {c} as last from {t.name}{where_};\n")
                self.views.append(View(f"v_{t.name}", [t.key[0], ("owner", "uuid"), ("last", t.types[c])]))
                if not private and r.random() < 0.7:
                    self.writable(r, t, f"v_{t.name}", c, parts)
            if r.random() < 0.5:
                definer = "" if private else r.choice(["", " security definer set search_path = public"])
                parts.append(f"create function rows_of_{t.name}(o uuid) returns setof {t.name} language sql stable{definer} as $$ select * from {t.name} where owner = o $$;\n")
                parts.append(f"create function count_of_{t.name}(o uuid default null) returns bigint language sql stable{definer} as $$ select count(*) from {t.name} where o is null or owner = o $$;\n")
                self.functions += [(f"rows_of_{t.name}", t), (f"count_of_{t.name}", None)]
            if r.random() < 0.5: # of a row: a column of it, and what it leads to
                other, key = r.choice(self.tables), t.key[0][0]
                parts.append(f"create function key_of(x {t.name}) returns text language sql stable as $$ select x.{key}::text || coalesce(x.owner::text, '') $$;\n")
                parts.append(f"create function near_{t.name}({t.name}) returns setof {other.name} language sql stable as $$ select * from {other.name} where owner = $1.owner $$;\n")
                t.computed, t.near = [("key_of", "text")], (f"near_{t.name}", other)
        self.parts = parts

    def writable(self, r, t, below, last, parts):
        """A view of a table or of a view: with other names, with columns that are none of the table's, with conditions that hold for what is written."""
        over = r.choice([below, t.name])
        columns = [t.key[0], ("owner", "uuid")] + ([("last", t.types[last])] if over == below else r.sample(t.own, r.randrange(len(t.own) + 1)))
        names = {c: r.choice([c, f"{c}_2"]) for c, _ in columns if c != "id"}
        listed = [f"{c} as {names[c]}" if c in names else c for c, _ in columns]
        if r.random() < 0.4:
            listed.append("owner::text as who")
        r.shuffle(listed)
        where_ = r.choice(["", " where owner is not null", " where owner = auth.uid()", f" where exists (select 1 from members m where m.thing = {over}.owner)"])
        option = r.choice(["", " with check option", " with local check option"])
        invoker = r.choice(["", " with (security_invoker = true)"])
        name = f"w_{t.name}"
        parts.append(f"create view {name}{invoker} as select {', '.join(listed)} from {over}{where_}{option};\n")
        if r.random() < 0.7:
            parts.append(f"grant all on {name} to editor;\n")
        if r.random() < 0.2:
            parts.append(f"revoke {r.choice(['insert', 'update', 'delete', 'select'])} on {name} from {r.choice(ROLES)};\n")
        types = {names.get(c, c): x for c, x in columns} | {"who": "text"}
        self.views.append(View(name, [(c, types[c]) for c in (x.split(" as ")[-1] for x in listed)], t.key[0]))

    def sql(self, without=None, extra=""):
        return "".join(self.parts) + extra + "".join(p for i, p in enumerate(self.policies) if i != without)


class View:
    def __init__(self, name, columns, key=None):
        self.name, self.columns, self.own, self.parents, self.key = name, columns, columns, [], [key or columns[0]]
        self.types, self.private, self.unique = dict(columns), False, set()


# ---- requests ---------------------------------------------------------------------------------------

COMPARES = ["eq", "neq", "gt", "gte", "lt", "lte", "isdistinct"]
PATTERNS = ["a*", "*b", "%", "_", "*'*", "A*", "%\\%", "", "é%", "a\\", "ä*", "%l%e%", "x\\\\y"]
REGEXES = ["^a", "b$", ".", "[[:digit:]]", "A|b", "^$", "(a)(b)?", "\\m", "日", "o'h", "a{1,2}", "\\s"]
CASTS = {"integer": ["text", "bigint", "numeric", "float8"], "bigint": ["text", "numeric"], "text": ["varchar", "text"], "numeric": ["text", "integer", "float8"], "boolean": ["text", "integer"],
         "date": ["text", "timestamp"], "mood": ["text"], "uuid": ["text"], "timestamp": ["date", "text"], "timestamptz": ["text"], "jsonb": ["text"], "integer[]": ["text"], "smallint": ["integer", "text"],
         "interval": ["text"], "double precision": ["text"], "positive": ["text", "integer"], "citext": ["text"]}


def test(r, c, type_):
    k = r.random()
    if k < 0.12:
        return {"column": c, "op": "is", "value": r.choice(["null", "not_null"] + (["true", "false", "unknown"] if type_ == "boolean" else ["null"]))}
    if k < 0.22:
        return {"column": c, "op": "in", "values": [plain(value(r, type_)) for _ in range(r.randrange(4))]}
    if k < 0.28 and type_ not in ("json",):
        return {"column": c, "op": r.choice(["eq", "gt", "lte", "lt", "gte"]), "quantifier": r.choice(["any", "all"]), "values": [typed(r, type_) for _ in range(r.randrange(1, 3))]}
    if type_ in ("text", "varchar(5)", "char(3)", "citext") and k < 0.5:
        if r.random() < 0.5:
            return {"column": c, "op": r.choice(["like", "ilike"]), "value": r.choice(PATTERNS)}
        if r.random() < 0.3:
            return {"column": c, "op": r.choice(["like", "ilike", "match"]), "quantifier": r.choice(["any", "all"]), "values": r.sample(REGEXES[:4], 2)}
        return {"column": c, "op": r.choice(["match", "imatch"]), "value": r.choice(REGEXES)}
    if type_ in ("json", "jsonb") and k < 0.7:
        path = r.choice([["a"], ["a", "b"], ["a", 0], ["b"], [0], ["a", -1], ["nope"]])
        return {"column": c, "path": path, "text": True, "op": r.choice(["eq", "neq", "gt", "like", "in", "is"]), **({} if True else {})}
    if type_ == "jsonb" and k < 0.9:
        return {"column": c, "op": r.choice(["cs", "cd", "eq"]), "value": r.choice(['{"b":1}', "[]", "1", '{"a":{"b":"c"}}', "{}", "x"])}
    if type_.endswith("[]") and k < 0.9:
        return {"column": c, "op": r.choice(["cs", "cd", "ov", "eq"]), "value": plain_array(value(r, type_))}
    return {"column": c, "op": r.choice(COMPARES), "value": typed(r, type_)}


def typed(r, type_):
    v = value(r, type_) if r.random() < 0.93 else r.choice(["x", "", "99999999999999999999", "1.5", "{"])
    return r.choice([plain, lambda v: v])(v) if isinstance(v, (int, str)) and not isinstance(v, bool) else plain_array(v) if isinstance(v, list) else plain(v)


def finish(r, t):
    """A test of a path has a value of its operator's."""
    if "path" in t:
        t.update({"values": ["1", "c", None]} if t["op"] == "in" else {"value": r.choice(["null", "not_null"])} if t["op"] == "is" else {"value": r.choice(["1", "c", "", "{"])})
    return t


def plain_array(v):
    if not isinstance(v, list):
        return plain(v)
    return "{" + ",".join("NULL" if x is None else json.dumps(x, ensure_ascii=False) for x in v) + "}"


def plain(v):
    return "null" if v is None else json.dumps(v) if isinstance(v, (dict, list, bool)) else str(v)


def where(r, t, depth=0, own=()):
    if depth < 2 and r.random() < 0.3:
        return {r.choice(["and", "or"]): [where(r, t, depth + 1, own) for _ in range(r.randrange(0 if depth else 1, 4))]}
    if r.random() < 0.1:
        return {"not": where(r, t, depth + 1, own)}
    if own and r.random() < 0.2:
        return {"embed": r.choice(own), "has": r.random() < 0.5}
    if r.random() < 0.03:
        return {"column": r.choice(["nope", "c99", "id"]), "op": "eq", "value": "1"}
    return finish(r, test(r, *r.choice(t.columns + getattr(t, "computed", []))))


def order(r, t, to_one=()):
    out = [{"column": c, "desc": r.random() < 0.5} for c, type_ in r.sample(t.columns + getattr(t, "computed", []), r.randrange(0, 3)) if type_ not in ("json",)]
    if to_one and r.random() < 0.3:
        other = r.choice(to_one)
        out.append({"embed": other.name, "column": r.choice([c for c, x in other.columns if x != "json"])})
    for o in out:
        if r.random() < 0.5:
            o["nulls"] = r.choice(["first", "last"])
    return out + [{"column": c} for c, _ in t.key]


def item(r, c, type_):
    if r.random() < 0.75:
        return c
    out = {"column": c, "as": f"x_{c}"}
    if type_ in ("json", "jsonb") and r.random() < 0.5:
        out.update(path=r.choice([["a"], ["a", "b"], ["a", 0], [0]]), text=r.random() < 0.5)
    elif type_ in CASTS and r.random() < 0.5:
        out["cast"] = r.choice(CASTS[type_])
    return out


def select_list(r, t, tables, depth=0, written=None):
    items = ["*"] if r.random() < 0.3 else [item(r, c, type_) for c, type_ in r.sample(t.columns, r.randrange(1, len(t.columns) + 1))]
    if hasattr(t, "computed") and r.random() < 0.4:
        items.append(item(r, *t.computed[0]))
    if hasattr(t, "near") and depth < 2 and t.near[1] is not written and r.random() < 0.3:
        items.append({"embed": t.near[0], "select": select_list(r, t.near[1], tables, depth + 1, written), "order": order(r, t.near[1])})
    near = [x for x in dict.fromkeys(getattr(t, "parents", []) + [x for x in tables if t in x.parents]) if x is not t and x is not written]
    for other in r.sample(near, r.choice([0, 0, 1, 1, 2]) if near and depth < 2 and len(near) > 1 else (1 if near and depth < 2 and r.random() < 0.4 else 0)):
        e = {"embed": other.name, "select": select_list(r, other, tables, depth + 1, written)}
        if t in other.parents:
            e["order"] = order(r, other)
            if r.random() < 0.3:
                e["limit"] = r.randrange(3)
        if r.random() < 0.3:
            e["where"] = where(r, other, 1)
        if r.random() < 0.3:
            e["join"] = "inner"
        items.append(e)
    return items


def aggregates(r, t):
    items = [{"aggregate": "count"}] if r.random() < 0.5 else []
    for c, type_ in r.sample(t.columns, min(2, len(t.columns))):
        kinds = ["count"] + (["min", "max"] if type_ in ("integer", "bigint", "smallint", "text", "date", "timestamp", "timestamptz", "mood", "interval", "time") else [])
        kinds += ["sum", "avg"] if type_ in ("integer", "bigint", "smallint", "numeric(10,2)", "interval") else []
        items.append({"column": c, "aggregate": r.choice(kinds), "as": f"x_{c}"})
    if r.random() < 0.5:
        c, type_ = r.choice(t.columns)
        if type_ not in ("json", "numeric", "numeric[]"):
            items.append({"column": c, "as": "by"})
    return items


def body(r, t, columns=None):
    out = {c: value(r, type_) for c, type_ in columns or t.columns if c in dict(t.key) or r.random() < 0.7}
    if r.random() < 0.04:
        out[r.choice(["nope", "owner", "made"])] = r.choice([None, "x", USERS[0]])
    return out


def call(r, s, role):
    names = [("add", {"a": value(r, "integer"), **({"b": typed(r, "integer")} if r.random() < 0.6 else {})}, None),
             ("echo", {"t": text(r), **({"n": value(r, "numeric")} if r.random() < 0.5 else {}), **({"m": typed(r, "mood")} if r.random() < 0.3 else {}), **({"a": value(r, "integer[]")} if r.random() < 0.3 else {})}, None),
             ("upto", {"n": r.randrange(5)}, None), ("parts", {"a": value(r, "text[]")}, None), *([("whose", {}, None)] if role != "editor" else []), ("positively", {"p": r.choice([1, 0, None, "x", 7])}, None),
             ("is_member", {"t": r.choice(USERS)}, None), ("friends_of", {"w": r.choice(USERS)}, None) if not s.private else ("nope", {"x": 1}, None)]
    if not s.private and r.random() < 0.3:
        some = r.choice([x.name for x in s.tables + s.views] + ["members", "nope"])
        names = [(f"sys_{x}", {}, None) for x in ("columns", "tables", "constraints", "keys", "attributes", "policies", "classes", "functions")]
        names += [("sys_guards", {"t": some, "c": r.choice(["id", "owner", "c1", "nope"])}, None), ("sys_rights", {"t": some, "r": r.choice(["select", "INSERT", "update, delete", "nope"])}, None)] * 2
        return {"kind": "call", "function": (x := r.choice(names))[0], "args": x[1]}
    names += [(f, {"o": r.choice(USERS)}, t) for f, t in s.functions] * 3
    name, args, t = r.choice(names)
    q = {"kind": "call", "function": name, "args": args}
    if t:
        q.update(order=[{"column": c} for c, _ in t.key], select=[item(r, *c) for c in r.sample(t.columns, 2)] if r.random() < 0.5 else ["*"])
        if r.random() < 0.5:
            q["where"] = where(r, t, 1)
        if r.random() < 0.3:
            q["limit"] = r.randrange(3)
    return q


def tree(r, s, role):
    t = r.choice(s.tables)
    k = r.random()
    if k < 0.08 and s.views:
        t = r.choice(s.views)
    if k < 0.5:
        items = select_list(r, t, s.tables)
        own = [e["embed"] for e in items if isinstance(e, dict) and "embed" in e]
        q = {"kind": "select", "from": t.name, "select": items, "order": order(r, t, [p for p in t.parents if p.name in own])}
        if r.random() < 0.7:
            q["where"] = where(r, t, 0, own)
        if r.random() < 0.3:
            q["limit"] = r.randrange(4)
        if r.random() < 0.2:
            q["offset"] = r.randrange(4)
        if r.random() < 0.3:
            q["count"] = "exact"
        return q
    if k < 0.56:
        q = {"kind": "select", "from": t.name, "select": aggregates(r, t) or [{"aggregate": "count"}]}
        if r.random() < 0.5:
            q["where"] = where(r, t)
        return q
    if k < 0.64:
        return call(r, s, role)
    if s.views and not s.private and r.random() < 0.25:
        t = r.choice(s.views)
    if k < 0.8:
        q = {"kind": "insert", "from": t.name, "rows": [body(r, t)] if r.random() < 0.6 else same_keys(r, t)}
        if r.random() < 0.35:
            q["conflict"] = {"do": r.choice(["merge", "ignore"])}
            if r.random() < 0.7:
                keys = [[c for c, _ in t.key]] + [[c] for c in sorted(t.unique)] + [["owner"]]
                q["conflict"]["columns"] = r.choice(keys[:-1] * 3 + keys)
        if r.random() < 0.5:
            q["missing"] = "default"
        if r.random() < 0.1:
            q["columns"] = [c for c, _ in t.columns if c in dict(t.key) or r.random() < 0.5]
    elif k < 0.92:
        q = {"kind": "update", "from": t.name, "set": {c: value(r, type_) for c, type_ in r.sample(t.columns, r.choice([1, 1, 2]))}, "where": where(r, t)}
    else:
        q = {"kind": "delete", "from": t.name, "where": where(r, t)}
    if r.random() < 0.6:
        q["select"] = select_list(r, t, s.tables)
    return q


def same_keys(r, t):
    columns = [(c, x) for c, x in t.columns if c in dict(t.key) or r.random() < 0.7]
    return [{c: value(r, x) for c, x in columns} for _ in range(r.choice([2, 2, 3]))]


def request(r, s):
    user = r.choice(USERS + [None])
    roles = ["authenticated", "authenticated", "authenticated", "editor"] + ([] if s.private else ["service_role"])
    role = r.choice(roles) if user else "anon"
    claims = {"role": role, "email": r.choice(["a@b.c", "x@y.z"])}
    if user:
        claims["sub"] = user
    if r.random() < 0.3:
        claims["app_metadata"] = {"plan": r.choice(["free", "paid"])}
    line = {"role": role, "claims": claims}
    if r.random() < 0.1:
        line["batch"] = [tree(r, s, role) for _ in range(r.randrange(1, 4))]
    else:
        line["query"] = tree(r, s, role)
        if line["query"].get("kind", "select") not in ("select", "call") and r.random() < 0.8:
            line["batch"] = [line.pop("query")]  # which says how many rows it changed
    if r.random() < 0.2:
        line["tx"] = "rollback"
    return line


def looks(s):
    """All that is there in the end."""
    return [{"role": "service_role", "claims": {"role": "service_role"}, "query": {"from": t.name, "select": ["*"], "order": [{"column": c} for c, _ in t.key]}} for t in s.tables]


# ---- answers ----------------------------------------------------------------------------------------


def values_of(text):
    """The texts of a JSON array's values, as they are: a number's digits and blanks within a document count."""
    out, depth, at, quoted, i = [], 0, 1, False, 1
    while i < len(text) - 1:
        c = text[i]
        if quoted:
            i += c == "\\"
            quoted = c != '"'
        elif c == '"':
            quoted = True
        elif c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
        elif c == "," and not depth:
            out.append(text[at:i])
            at = i + 1
        i += 1
    return out + [text[at:-1]] if len(text) > 2 else []


def is_ordered(q):
    """A view's rows have no key to be ordered by in the end."""
    return q.get("kind", "select") == "call" or (q.get("kind", "select") == "select" and "order" in q and not q["from"].startswith(("v_", "w_")))


def unordered(line, answer):
    """Of a write, and of groups, PostgreSQL says the rows in whatever order it found them; so those are compared as a set."""
    state, _, b = answer.partition("\t")
    if state != "ok" or not b.startswith("["):
        return answer
    if "query" in line:
        return (state, b if is_ordered(line["query"]) else sorted(values_of(b)))
    out = []
    for q, part in zip(line["batch"], values_of(b)):
        rows, counts = re.fullmatch(r'\{"rows":(.*?)(,"affected":\d+(?:,"total":\d+)?)\}', part, re.S).groups()
        out.append((rows if is_ordered(q) or rows == "null" else sorted(values_of(rows)), counts))
    return (state, out)


def differ(line, a, b):
    return a != b and unordered(line, a) != unordered(line, b) and not any(k(line, a, b) for k, _ in KNOWN)


# ---- a round ----------------------------------------------------------------------------------------


class Failed(Exception):
    pass


class World:
    """Where rounds are run: the program, and a PostgreSQL or none."""

    def __init__(self, build, cluster, keep):
        self.program, self.cluster, self.keep, self.said = os.path.abspath(os.path.join(build, "tests", "sql", "engines")), cluster, keep, ""
        self.refused = collections.Counter()

    def begin(self):
        self.cluster.psql("create database platform")
        self.cluster.psql("create role editor")  # a cluster's roles are those of all its databases
        self.cluster.psql_in("platform", subprocess.run([self.program, "--platform"], capture_output=True, text=True, check=True).stdout)

    def ask(self, name, sql, lines, theirs=None):
        """[(SQLite's answer, PostgreSQL's or None)]; theirs: the schema that PostgreSQL is given, if it is not the same."""
        with tempfile.TemporaryDirectory(prefix="orlo-engines-") as folder:
            write(folder, "migrations/1_schema.sql", sql)
            write(folder, "requests", "".join(json.dumps(line) + "\n" for line in lines))
            if self.keep:
                shutil.copytree(folder, os.path.join(self.keep, name), dirs_exist_ok=True)
            args = [self.program, *(os.path.join(folder, x) for x in ("migrations", "app.db", "requests"))]
            if self.cluster:
                self.cluster.psql(f'create database "{name}" template platform')
                self.cluster.psql_in(name, "begin;\n" + (theirs or sql).replace("create role editor;\n", "", 1) + "commit;\n")
                args.append(f"host={self.cluster.folder} user=postgres dbname={name}")
            p = subprocess.run(args, capture_output=True, text=True, timeout=300, errors="surrogateescape")
            if self.cluster:
                self.cluster.psql(f'drop database "{name}" with (force)')
        said, step = p.stdout.split("\n")[:-1], 2 if self.cluster else 1
        self.said = p.stderr
        if p.returncode or len(said) != step * len(lines):
            raise Failed(f"exit {p.returncode} after {len(said)} of {step * len(lines)} answers: {p.stderr[-3000:]}")
        return [(said[step * i], said[step * i + 1] if step > 1 else None) for i in range(len(lines))]


def write(folder, name, content):
    os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(content)


def both(world, seed, count, canary):
    """[(request, SQLite's, PostgreSQL's)] that differ, how many were asked."""
    r = random.Random(seed)
    s = Schema(r)
    lines = [request(r, s) for _ in range(count)] + looks(s)
    without = r.randrange(len(s.policies)) if canary and s.policies else None
    said = world.ask(f"r{seed}", s.sql(without), lines, s.sql())
    return [(line, a, b) for line, (a, b) in zip(lines, said) if differ(line, a, b)]


def too_large(sql, a, b):
    """A program that doubles a text: 16 MiB are the end of it on SQLite, on PostgreSQL a gigabyte or the statement's time."""
    ours = 'a value would be larger than 16 MiB' in a
    return ours and a.startswith("54000") and (b.startswith("57014") or 'invalid memory alloc request size' in b)


def which_operand(sql, a, b):
    """Of two operands that cannot be read, PostgreSQL finds a constant as it plans: what it names stands in the program."""
    said = [re.fullmatch(r'22P02\t{"message":"(invalid input syntax for type .*): \\"(.*)\\"","details":"","hint":""}', x) for x in (a, b)]
    return all(said) and said[0][1] == said[1][1] and said[1][2] and f"'{said[1][2]}'" in sql


KNOWN_PROGRAMS = [
    (too_large, "a value has 16 MiB at most on SQLite"),
    (which_operand, "PostgreSQL computes constants as it plans, and their errors come first"),
]


def programs(world, seed, count, canary):
    """[(request, SQLite's, PostgreSQL's)] that differ, of random programs in PL/pgSQL. What SQLite says it has not (0A000) is counted and told apart."""
    r = random.Random(seed)
    made = Programs(r)
    lines = made.requests(min(count, 40))
    lines = [x for i, line in enumerate(lines) for x in ([line] + made.looks() if i % 8 == 7 else [line])] + made.looks()
    said = world.ask(f"p{seed}", made.sql().replace("default 7", "default 8") if canary else made.sql(), lines, made.sql())
    found = []
    for line, (a, b) in zip(lines, said):
        if a.startswith("0A000") and not b.startswith("0A000"):
            world.refused[a.partition("\t")[2][:160]] += 1
            break  # what follows follows from it
        known = any(k(made.sql(), a, b) for k, _ in KNOWN_PROGRAMS)
        if a != b and not (known or same_error(a, b) or unordered(line, a) == unordered(line, b)):
            found.append((line, a, b))
    return found


def same_error(a, b):
    """The words are the same; a detail, or a hint, is there or not."""
    (x, said), (y, theirs) = a.split("\t", 1), b.split("\t", 1)
    if x != y or x == "ok":
        return False
    one, other = json.loads(said), json.loads(theirs)
    return one["message"] == other["message"] and all(one[k] == other[k] or not one[k] for k in ("details", "hint"))


def hidden(r, s, base):
    """Rows of GHOST's that refer to no others but GHOST's, with keys and unique values that no request has."""
    mine, out = {t.name: [] for t in s.tables}, ""
    for t in s.tables:
        for i in range(r.randrange(6)):
            row = t.row(r, t.key_value(base + i), lambda p: mine[p.name])
            row["owner"] = GHOST
            row.update({c: None for c in t.unique})
            mine[t.name].append(row)
        out += t.inserts(mine[t.name])
    return out


def twins(world, seed, count, canary):
    """[(request, one's, the other's)] that differ."""
    r = random.Random(seed)
    s = Schema(r, private=True)
    lines = [request(r, s) for _ in range(count)]
    seen = "".join(f"create policy leak on {t.name} for select using (true);\n" for t in s.tables) if canary else ""
    one, other = hidden(r, s, 20000), hidden(r, s, 21000)
    a, b = world.ask(f"a{seed}", s.sql(extra=one) + seen, lines), world.ask(f"b{seed}", s.sql(extra=other) + seen, lines)
    return [(line, x, y) for line, x2, y2 in zip(lines, a, b) for x, y in zip(x2, y2) if x is not None and x != y and unordered(line, x) != unordered(line, y)]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build")
    a.add_argument("--seconds", type=float, default=20)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--rounds", type=int, help="instead of seconds")
    a.add_argument("--count", type=int, default=150)
    a.add_argument("--show", type=int, default=10)
    a.add_argument("--first", action="store_true", help="of a round, what differed first: what follows may follow from it")
    a.add_argument("--keep", help="where schemas and requests are left")
    a.add_argument("--twins", action="store_true")
    a.add_argument("--programs", action="store_true", help="programs in PL/pgSQL alone, else each other round")
    a.add_argument("--trees", action="store_true", help="no programs")
    a.add_argument("--canary", action="store_true")
    o = a.parse_args()
    from cluster import Cluster
    if not Cluster.installed() and not o.twins:
        print("skipped: engines: no PostgreSQL is installed")
        print("0 passed, 0 failed, 1 skipped")
        return
    if not Cluster.installed():
        print("note: twins on SQLite alone: no PostgreSQL is installed")
        world = World(o.build, None, o.keep)
        passed, bad = rounds(world, o)
    else:
        with Cluster() as cluster:
            world = World(o.build, cluster, o.keep)
            world.begin()
            passed, bad = rounds(world, o)
    if world.refused:
        print(f"{sum(world.refused.values())} programs came to what SQLite has not (0A000)")
        for what, n in world.refused.most_common(12):
            print(f"  {n:3} {what}")
    if o.canary:
        print("what was broken on purpose was " + ("noticed" if bad else "not noticed"))
    print(f"{passed} passed, {bad} failed, 0 skipped")
    sys.exit(1 if bad else 0)


def rounds(world, o):
    passed, bad, began, seed = 0, 0, time.monotonic(), o.seed
    while (seed < o.seed + o.rounds if o.rounds else time.monotonic() - began < o.seconds) and not (o.canary and bad):
        try:
            found = (twins if o.twins else programs if o.programs or (not o.trees and seed % 2) else both)(world, seed, o.count, o.canary)
        except (Failed, AssertionError) as e:
            found = [({"seed": seed}, str(e), "")]
        for line, mine, theirs in found[:1] if o.first else found:
            if bad < o.show and not o.canary:
                print(f"FAIL seed {seed}: {json.dumps(line)}\n  SQLite:     {mine}\n  PostgreSQL: {theirs}")
                if "XX000" in mine:
                    print("  the program says: " + world.said[-1500:])
            bad += 1
        passed += max(o.count - len(found), 0)
        seed += 1
    return passed, bad


if __name__ == "__main__":
    main()
