"""Cases with a few tables each, and what is to be answered: of both engines. CASES: (name, SQL, [(who, request, expected)]).

expected: (state, part of the body), the state "ok" or an SQLSTATE; the rows are in the order that is asked for. All files are one project, so tables have names of their own."""
from asked import ADMIN, ANN, ANON, BANNED, BOB, CYD, MODERATOR, SERVICE, call, delete, insert, op, select, uid, update

A, B, C = uid("a1"), uid("b2"), uid("c3")
CASES = []
VIOLATES = "new row violates row-level security policy for table "


def case(name, sql, *asks):
    CASES.append((name, sql, asks))


def ok(*rows):
    return "ok", rows


RLS = "alter table {0} enable row level security;\n"

# ---- faults that @supabase/lite has ------------------------------------------------------------------------------------

case("fault: exists with aliases", """
create table fa_groups (id int primary key, name text);
create table fa_people (g int references fa_groups, who uuid);
insert into fa_groups values (1, 'ann''s'), (2, 'bob''s');
insert into fa_people values (1, '%s'), (2, '%s');
""" % (A, B) + RLS.format("fa_groups") + "create policy p on fa_groups for select using (exists (select 1 from fa_people as g where g.g = fa_groups.id and g.who = auth.uid()));",
     (ANN, select("fa_groups", "id", "name", order=["id"]), ok({"id": 1, "name": "ann's"})),
     (BOB, select("fa_groups", "id", "name", order=["id"]), ok({"id": 2, "name": "bob's"})),
     (ANON, select("fa_groups", "id", "name"), ok()))

case("fault: an unknown column is no text", "create table fb (id int primary key, name text);\ninsert into fb values (1, 'nosuch');",
     (ANN, select("fb", "nosuch"), ("42703", "column fb.nosuch does not exist")),
     (ANN, select("fb", "id", where=op("nosuch", "eq", "nosuch")), ("42703", "column fb.nosuch does not exist")),
     (ANN, select("fb", "id", order=["nosuch"]), ("42703", "column fb.nosuch does not exist")),
     (SERVICE, insert("fb", {"id": 2, "nosuch": 1}), ("", "nosuch")),
     (SERVICE, update("fb", None, nosuch=1), ("", "nosuch")))

case("fault: what is rolled back is not there", "create table fc (id int primary key, n int check (n > 0));\ninsert into fc values (1, 1);",
     (SERVICE, {"tx": "rollback", "query": insert("fc", {"id": 2, "n": 2}, select=["id", "n"])}, ok({"id": 2, "n": 2})),
     (SERVICE, {"tx": "rollback", "query": delete("fc", None, ["id", "n"])}, ok({"id": 1, "n": 1})),
     (SERVICE, {"batch": [insert("fc", {"id": 3, "n": 3}), update("fc", None, n=0)]}, ("23514", "violates check constraint")),
     (SERVICE, {"batch": [update("fc", None, n=7), insert("fc", {"id": 1, "n": 1})]}, ("23505", "duplicate key")),
     (SERVICE, select("fc", "id", "n", order=["id"]), ok({"id": 1, "n": 1})))

case("fault: subqueries in WITH CHECK", """
create table fd_owners (room int, who uuid);
create table fd_notes (id int primary key, room int, text text);
insert into fd_owners values (1, '%s'), (2, '%s');
""" % (A, B) + RLS.format("fd_notes") + "create policy r on fd_notes for select using (true);\ncreate policy w on fd_notes for insert with check (room in (select o.room from fd_owners o where o.who = auth.uid()) and (select count(*) from fd_owners o where o.room = fd_notes.room) = 1);",
     (ANN, insert("fd_notes", {"id": 1, "room": 1, "text": "x"}, select=["id", "room"]), ok({"id": 1, "room": 1})),
     (ANN, insert("fd_notes", {"id": 2, "room": 2, "text": "x"}), ("42501", VIOLATES + '\\"fd_notes\\"')),
     (ANN, insert("fd_notes", {"id": 2, "room": 3, "text": "x"}), ("42501", VIOLATES)),
     (ANON, insert("fd_notes", {"id": 2, "room": 1, "text": "x"}), ("42501", VIOLATES)),
     (SERVICE, select("fd_notes", "id", "room", order=["id"]), ok({"id": 1, "room": 1})))

case("fault: an upsert's update is checked", """
create table fe (id int primary key, owner uuid, n int);
insert into fe values (1, '%s', 1), (2, '%s', 2);
""" % (A, B) + RLS.format("fe") + "create policy r on fe for select using (true);\ncreate policy i on fe for insert with check (true);\ncreate policy u on fe for update using (owner = auth.uid()) with check (owner = auth.uid() and n < 100);",
     (ANN, insert("fe", {"id": 2, "owner": A, "n": 9}, conflict={"do": "merge"}), ("42501", "violates row-level security policy (USING expression) for table")),
     (ANN, insert("fe", {"id": 1, "owner": B, "n": 9}, conflict={"do": "merge"}), ("42501", VIOLATES)),
     (ANN, insert("fe", {"id": 1, "owner": A, "n": 100}, conflict={"do": "merge"}), ("42501", VIOLATES)),
     (ANN, insert("fe", {"id": 1, "owner": A, "n": 9}, conflict={"do": "merge"}, select=["id", "n"]), ok({"id": 1, "n": 9})),
     (ANN, insert("fe", {"id": 2, "owner": A, "n": 9}, conflict={"do": "ignore"}, select=["id"]), ok()),
     (SERVICE, select("fe", "id", "owner", "n", order=["id"]), ok({"id": 1, "owner": A, "n": 9}, {"id": 2, "owner": B, "n": 2})))

case("fault: RETURNING is under SELECT's policies", "create table ff (id int primary key, owner uuid, n int);\n" + RLS.format("ff") + """
insert into ff values (1, '%s', 1), (2, '%s', 2);
create policy i on ff for insert with check (true);
create policy r on ff for select using (owner = auth.uid());
create policy u on ff for update using (true) with check (true);
create policy d on ff for delete using (true);""" % (A, B),
     (ANN, insert("ff", {"id": 3, "owner": B, "n": 3}, select=["id"]), ("42501", VIOLATES)),
     (ANN, insert("ff", {"id": 4, "owner": B, "n": 4}), ("ok", None)),
     (ANN, update("ff", op("id", "eq", 2), ["id"], n=9), ok()),
     (ANN, update("ff", None, ["id", "n"], n=5), ok({"id": 1, "n": 5})),
     (ANN, update("ff", None, ["id"], owner=B), ("42501", VIOLATES)),
     (ANN, delete("ff", op("id", "gt", 1), ["id"]), ok()),
     (SERVICE, select("ff", "id", "n", order=["id"]), ok({"id": 1, "n": 5}, {"id": 2, "n": 2}, {"id": 4, "n": 4})))

case("fault: default auth.uid()", "create table fg (id int generated by default as identity primary key, owner uuid not null default auth.uid(), mail text default auth.jwt() ->> 'email');\n" + RLS.format("fg") + "create policy p on fg using (owner = auth.uid());",
     (ANN, insert("fg", {}, select=["owner", "mail"]), ok({"owner": A, "mail": "ann@example.org"})),
     (BOB, insert("fg", {"mail": None}, select=["owner", "mail"]), ok({"owner": B, "mail": None})),
     (BOB, insert("fg", {"owner": A}), ("42501", VIOLATES)),
     (BOB, select("fg", "owner"), ok({"owner": B})))

case("fault: numeric is exact", "create table fh (id int primary key, n numeric, m numeric(30,10));\ninsert into fh values (1, 0.1, 0.1), (2, 0.2, 0.2), (3, 12345678901234567890.123456789, 12345678901234567890.1234567891), (4, 1.10, 1e10), (5, 1.1, -0.00000000005);",
     (ANN, select("fh", "id", "n", "m", where=op("id", "gte", 3), order=["id"]), ("ok", '[{"id":3,"n":12345678901234567890.123456789,"m":12345678901234567890.1234567891},{"id":4,"n":1.10,"m":10000000000.0000000000},{"id":5,"n":1.1,"m":-0.0000000001}]')),
     (ANN, select("fh", {"aggregate": "sum", "column": "n"}, where=op("id", "lte", 2)), ("ok", '[{"sum":0.3}]')),
     (ANN, select("fh", "id", where=op("n", "eq", "1.1000"), order=["id"]), ok({"id": 4}, {"id": 5})),
     (ANN, select("fh", "id", where=op("n", "eq", "12345678901234567890.123456788")), ok()))

# ---- policies: kinds, commands, roles -----------------------------------------------------------------------------------

case("permissive ones add, restrictive ones take", "create table pa (id int primary key, owner uuid, kind text, open boolean);\n" + RLS.format("pa") + """
insert into pa values (1, '%s', 'a', true), (2, '%s', 'b', false), (3, '%s', 'a', true), (4, null, 'b', true), (5, null, null, null);
create policy own on pa for select using (owner = auth.uid());
create policy open on pa for select to authenticated using (open);
create policy "not b" on pa as restrictive for select using (kind <> 'b');
create policy "not the banned" on pa as restrictive to authenticated using ((auth.jwt() ->> 'banned') is null);""" % (A, A, B),
     (ANN, select("pa", "id", order=["id"]), ok({"id": 1}, {"id": 3})), (BANNED, select("pa", "id"), ok()), (ANON, select("pa", "id"), ok()), (BOB, select("pa", "id", order=["id"]), ok({"id": 1}, {"id": 3})),
     (ANN, select("pa", {"aggregate": "count"}), ok({"count": 2})), (ANN, update("pa", None, ["id"], kind="c"), ok()), (ANN, insert("pa", {"id": 9}), ("42501", VIOLATES)))

case("restrictive alone is none", "create table pb (id int primary key);\n" + RLS.format("pb") + "insert into pb values (1);\ncreate policy r on pb as restrictive using (true) with check (true);",
     (ANN, select("pb", "id"), ok()), (ANN, insert("pb", {"id": 2}), ("42501", VIOLATES)), (SERVICE, select("pb", "id"), ok({"id": 1})))

case("no policy is none", "create table pc (id int primary key);\n" + RLS.format("pc") + "insert into pc values (1);",
     (ANN, select("pc", "id"), ok()), (ANN, delete("pc", None, ["id"]), ok()), (ANN, insert("pc", {"id": 1}), ("42501", VIOLATES)), (ANN, insert("pc", {"id": 1}, conflict={"do": "ignore"}), ("42501", VIOLATES)),
     (SERVICE, delete("pc", None, ["id"]), ok({"id": 1})))

case("USING alone checks, WITH CHECK alone shows", "create table pd (id int primary key, owner uuid);\n" + RLS.format("pd") + """
insert into pd values (1, '%s'), (2, '%s');
create policy u on pd for update using (owner = auth.uid());
create policy s on pd for select using (true);
create table pe (id int primary key, owner uuid);
alter table pe enable row level security;
insert into pe values (1, '%s');
create policy a on pe for all using (false) with check (owner = auth.uid());""" % (A, B, A),
     (ANN, update("pd", None, ["id"], owner=A), ok({"id": 1})), (ANN, update("pd", op("id", "eq", 1), owner=B), ("42501", VIOLATES)), (ANN, insert("pe", {"id": 2, "owner": A}), ("ok", None)),
     (ANN, insert("pe", {"id": 3, "owner": A}, select=["id"]), ("42501", VIOLATES)), (ANN, select("pe", "id"), ok()), (SERVICE, select("pe", "id", order=["id"]), ok({"id": 1}, {"id": 2})))

case("named restrictive ones say so", "create table pf (id int primary key, n int);\n" + RLS.format("pf") + "create policy p on pf using (true);\ncreate policy \"small ones\" on pf as restrictive for insert with check (n < 10);\ncreate policy \"even, ones\" on pf as restrictive for insert with check (n % 2 = 0);",
     (ANN, insert("pf", {"id": 1, "n": 12}), ("42501", 'new row violates row-level security policy \\"small ones\\" for table \\"pf\\"')),
     (ANN, insert("pf", {"id": 1, "n": 3}), ("42501", 'new row violates row-level security policy \\"even, ones\\" for table \\"pf\\"')), (ANN, insert("pf", {"id": 1, "n": None}), ("42501", "violates row-level")), (ANN, insert("pf", {"id": 1, "n": 4}, select=["n"]), ok({"n": 4})))

case("each command has its own", "create table pg_ (id int primary key, n int);\n".replace("pg_", "ph") + RLS.format("ph") + """
insert into ph values (1, 1), (2, 2), (3, 3);
create policy s on ph for select using (n >= 2);
create policy u on ph for update using (n <= 2) with check (n > 0);
create policy d on ph for delete using (n = 3);
create policy i on ph for insert to authenticated with check (n > 10);""",
     (ANN, update("ph", None, ["id", "n"], n=20), ok({"id": 2, "n": 20})), (ANN, update("ph", op("id", "eq", 2), n=0), ("ok", None)), (ANN, delete("ph", None, ["id"]), ok({"id": 3})), (ANON, insert("ph", {"id": 9, "n": 11}), ("42501", VIOLATES)),
     (ANN, insert("ph", {"id": 9, "n": 11}, select=["id"]), ok({"id": 9})), (SERVICE, select("ph", "id", "n", order=["id"]), ok({"id": 1, "n": 1}, {"id": 2, "n": 20}, {"id": 9, "n": 11})))

case("force for the owner", """create role pi_owner nologin;
grant create, usage on schema public to pi_owner;
create table pi_free (id int primary key);
create table pi_forced (id int primary key);
insert into pi_free values (1), (2);
insert into pi_forced values (1), (2);
""" + RLS.format("pi_free") + RLS.format("pi_forced") + """
alter table pi_forced force row level security;
create policy one on pi_free using (id = 1);
create policy one on pi_forced using (id = 1);
alter table pi_free owner to pi_owner;
alter table pi_forced owner to pi_owner;
create function pi_count_free() returns bigint language sql stable security definer set search_path = public as $$ select count(*) from pi_free $$;
create function pi_count_forced() returns bigint language sql stable security definer set search_path = public as $$ select count(*) from pi_forced $$;
alter function pi_count_free() owner to pi_owner;
alter function pi_count_forced() owner to pi_owner;
create view pi_view as select * from pi_free;
create view pi_view_forced as select * from pi_forced;
alter view pi_view owner to pi_owner;
alter view pi_view_forced owner to pi_owner;""",
     (ANN, call("pi_count_free"), ("ok", "2")), (ANN, call("pi_count_forced"), ("ok", "1")), (ANN, select("pi_view", "id", order=["id"]), ok({"id": 1}, {"id": 2})), (ANN, select("pi_view_forced", "id"), ok({"id": 1})),
     (ANN, select("pi_free", "id"), ok({"id": 1})), (SERVICE, select("pi_forced", {"aggregate": "count"}), ok({"count": 2})))

case("policies that read their own table", "create table pj (org int, who uuid, primary key (org, who));\n" + RLS.format("pj") + """
insert into pj values (1, '%s'), (1, '%s'), (2, '%s');
create policy p on pj for select using (org in (select m.org from pj m where m.who = auth.uid()));""" % (A, B, B),
     (ANN, select("pj", "org"), ("42P17", 'infinite recursion detected in policy for relation \\"pj\\"')), (SERVICE, select("pj", {"aggregate": "count"}), ok({"count": 3})))

case("policies that go round", "create table pk (id int primary key);\ncreate table pl (id int primary key);\n" + RLS.format("pk") + RLS.format("pl") + "create policy p on pk using (exists (select 1 from pl where pl.id = pk.id));\ncreate policy p on pl using (exists (select 1 from pk where pk.id = pl.id));",
     (ANN, select("pk", "id"), ("42P17", "infinite recursion detected in policy for relation")), (ANN, insert("pl", {"id": 1}, select=["id"]), ("42P17", "infinite recursion")))

case("a definer's function ends it", "create table pm (org int, who uuid, role text, primary key (org, who));\n" + RLS.format("pm") + """
insert into pm values (1, '%s', 'admin'), (1, '%s', 'user'), (2, '%s', 'admin');
create function pm_orgs() returns setof int language sql stable security definer set search_path = public as $$ select org from pm where who = auth.uid() $$;
create function pm_admin(o int) returns boolean language sql stable security definer set search_path = public as $$ select exists (select 1 from pm where org = o and who = auth.uid() and role = 'admin') $$;
create policy s on pm for select using (org in (select pm_orgs()));
create policy w on pm using (pm_admin(org)) with check (pm_admin(org) and role <> 'god');""" % (A, B, B),
     (ANN, select("pm", "org", "who", order=["org", "who"]), ok({"org": 1, "who": A}, {"org": 1, "who": B})), (BOB, select("pm", "org", "role", order=["org", "who"]), ok({"org": 1, "role": "admin"}, {"org": 1, "role": "user"}, {"org": 2, "role": "admin"})),
     (BOB, update("pm", op("org", "eq", 1), ["org"], role="admin"), ok()), (ANN, insert("pm", {"org": 1, "who": C, "role": "god"}), ("42501", VIOLATES)), (ANN, insert("pm", {"org": 2, "who": A, "role": "x"}), ("42501", VIOLATES)), (ANN, insert("pm", {"org": 1, "who": C, "role": "x"}, select=["role"]), ok({"role": "x"})))

# ---- shapes: what projects write -----------------------------------------------------------------------------------------

SHAPES = {
    "owner": ("owner = auth.uid()", [1], [2], []), "owner in a subquery": ("(select auth.uid()) = owner", [1], [2], []), "true": ("true", [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]), "false": ("false", [], [], []),
    "constant": ("state = 'open'", [1, 3], [1, 3], [1, 3]), "null": ("owner is null", [3, 4], [3, 4], [3, 4]), "not null and role": ("owner is not null and auth.role() = 'authenticated'", [1, 2], [1, 2], []), "signed in": ("auth.uid() is not null", [1, 2, 3, 4], [1, 2, 3, 4], []), "signed out": ("auth.uid() is null", [], [], [1, 2, 3, 4]),
    "in": ("id in (select thing from sh_links where who = auth.uid())", [1, 4], [2], []), "not in": ("id not in (select thing from sh_links where who <> auth.uid())", [1, 3, 4], [2, 3], [1, 2, 3, 4]), "uid in": ("auth.uid() in (select who from sh_links where thing = sh_{0}.id)", [1, 4], [2], []), "any of a column": ("auth.uid() = any (people)", [2], [1, 2], []),
    "any of an array": ("id = any (array(select thing from sh_links where who = auth.uid()))", [1, 4], [2], []), "scalar": ("(select l.who from sh_links l where l.thing = sh_{0}.id order by l.who limit 1) = auth.uid()", [1, 4], [2], []), "join": ("exists (select 1 from sh_links l join sh_kinds k on k.name = l.kind where l.thing = sh_{0}.id and l.who = auth.uid() and k.strong)", [1], [2], []),
    "left join": ("exists (select 1 from sh_links l left join sh_kinds k on k.name = l.kind where l.thing = sh_{0}.id and l.who = auth.uid() and k.name is null)", [4], [], []), "claim": ("(auth.jwt() ->> 'email') = mail", [1], [2], []), "deep claim": ("coalesce((auth.jwt() -> 'app_metadata' ->> 'admin')::boolean, false)", [], [], []), "time": ("made < '2024-06-01'::timestamptz and made + interval '1 month' > '2024-02-15'::timestamptz", [2, 3], [2, 3], [2, 3]),
    "case": ("case when state = 'open' then true when owner = auth.uid() then true else false end", [1, 3], [1, 2, 3], [1, 3]), "columns": ("owner = people[1] or id > rank", [1, 2, 4], [1, 2, 4], [1, 2, 4]), "or": ("state = 'open' or owner = auth.uid() or exists (select 1 from sh_links l where l.thing = id and l.who = auth.uid())", [1, 3, 4], [1, 2, 3], [1, 3]),
    "path": ("(storage.foldername(path))[1] = auth.uid()::text", [1], [2], []), "filename": ("storage.filename(path) = 'x.png'", [2], [2], [2]), "split": ("split_part(path, '/', 2) = 'a'", [1], [1], [1]), "like": ("path like (auth.uid()::text || '/%')", [1], [2], []), "setting": ("owner::text = current_setting('request.jwt.claims', true)::json ->> 'sub'", [1], [2], []),
    "nested exists": ("exists (select 1 from sh_links l where l.thing = sh_{0}.id and exists (select 1 from sh_kinds k where k.name = l.kind and k.strong))", [1, 2], [1, 2], [1, 2]), "expression": ("coalesce(owner, '%s') = auth.uid()" % A, [1, 3, 4], [2], []), "count": ("(select count(*) from sh_links l where l.thing = sh_{0}.id) > 0", [1, 2, 4], [1, 2, 4], [1, 2, 4]), "row": ("(id, state) in (select thing, 'open' from sh_links)", [1], [1], [1]),
    "between": ("id between 2 and 3", [2, 3], [2, 3], [2, 3]), "distinct": ("owner is distinct from auth.uid()", [2, 3, 4], [1, 3, 4], [1, 2]), "invoker's function": ("sh_mine(owner)", [1], [2], []), "definer's function": ("sh_linked(id)", [1, 4], [2], []), "set of a function": ("id in (select sh_things())", [1, 4], [2], []), "boolean": ("open", [1, 2], [1, 2], [1, 2]), "not boolean": ("open is not true", [3, 4], [3, 4], [3, 4]),
}
KINDS = """create table sh_kinds (name text primary key, strong boolean);
create table sh_links (thing int, who uuid, kind text);
insert into sh_kinds values ('a', true), ('b', false);
insert into sh_links values (1, '%s', 'a'), (2, '%s', 'a'), (2, '%s', 'b'), (4, '%s', 'z');
create function sh_mine(o uuid) returns boolean language sql stable as $$ select o = auth.uid() $$;
create function sh_linked(t int) returns boolean language sql stable security definer set search_path = public as $$ select exists (select 1 from sh_links l where l.thing = t and l.who = auth.uid()) $$;
create function sh_things() returns setof int language sql stable security definer set search_path = public as $$ select thing from sh_links where who = auth.uid() $$;
""" % (A, B, B, A)
for n, (name, (condition, ann, bob, anon)) in enumerate(SHAPES.items()):
    t = f"sh_{n}"
    rows = lambda ids: ok(*({"id": i} for i in ids))
    if name == "distinct":
        anon = [1, 2]
    case("shape: " + name, (KINDS if not n else "") + f"""create table {t} (id int primary key, owner uuid, state text, people uuid[], mail text, made timestamptz, rank int, path text, open boolean);
insert into {t} values (1, '{A}', 'open', '{{{B}}}', 'ann@example.org', '2024-01-01', 0, '{A}/a/y.png', true), (2, '{B}', 'shut', '{{{B},{A}}}', 'bob@example.org', '2024-02-01', 5, '{B}/x.png', true),
  (3, null, 'open', null, null, '2024-03-01', 9, null, false), (4, null, null, '{{}}', '', '2024-07-01', 1, '', null);
""" + RLS.format(t) + f"create policy \"p\" on {t} for select using ({condition.format(n)});\ncreate policy w on {t} for insert with check ({condition.format(n)});",
         (ANN, select(t, "id", order=["id"]), rows(ann)), (BOB, select(t, "id", order=["id"]), rows(bob)), (ANON, select(t, "id", order=["id"]), rows(anon)), (SERVICE, select(t, "id", order=["id"]), rows([1, 2, 3, 4])),
         (ANN, select(t, "id", where={"or": [op("state", "eq", "open"), op("people", "cs", "{" + B + "}")]}, order=["id"]), None),
         (ANN, {"tx": "rollback", "query": insert(t, {"id": 5, "owner": A, "state": "open", "path": A + "/a/b"}, select=["id"])}, None), (BOB, {"tx": "rollback", "query": insert(t, {"id": 5, "owner": A, "state": "shut"})}, None))

# ---- views, keys, what leaks ------------------------------------------------------------------------------------------------

case("views: whose rights", "create table va (id int primary key, owner uuid, secret text);\n" + RLS.format("va") + """
insert into va values (1, '%s', 'x'), (2, '%s', 'y');
create policy own on va using (owner = auth.uid());
create view va_owner as select id, secret from va;
create view va_invoker with (security_invoker = true) as select id, secret from va;
create view va_over with (security_invoker = true) as select id from va_owner;
create view va_under as select id from va_invoker;
create view va_counts with (security_invoker = true) as select count(*) as n from va;
create function va_by_function() returns setof va language sql stable as $$ select * from va $$;
revoke all on va_owner from anon;""" % (A, B),
     (ANN, select("va_owner", "id", order=["id"]), ok({"id": 1}, {"id": 2})), (ANN, select("va_invoker", "id"), ok({"id": 1})), (ANN, select("va_over", "id", order=["id"]), ok({"id": 1}, {"id": 2})), (ANN, select("va_under", "id", order=["id"]), None),
     (ANN, select("va_counts", "n"), ok({"n": 1})), (ANON, select("va_counts", "n"), ok({"n": 0})), (ANON, select("va_owner", "id"), ("42501", "permission denied for view va_owner")), (ANON, select("va_over", "id"), ("42501", "permission denied for view va_owner")),
     (BOB, call("va_by_function", give=["id"]), ok({"id": 2})), (BOB, select("va_invoker", "id", where=op("secret", "eq", "x")), ok()))

case("views and rights on tables", "create table vb (id int primary key, n int);\ninsert into vb values (1, 5);\nrevoke all on vb from anon, authenticated;\ncreate view vb_owner as select * from vb;\ncreate view vb_invoker with (security_invoker = true) as select * from vb;",
     (ANN, select("vb", "id"), ("42501", "permission denied for table vb")), (ANN, select("vb_owner", "id"), ok({"id": 1})), (ANN, select("vb_invoker", "id"), ("42501", "permission denied for table vb")))

case("column grants", "create table vc (id int primary key, public text, secret text, owner uuid default auth.uid());\ninsert into vc values (1, 'p', 's', null);\nrevoke all on vc from anon, authenticated;\ngrant select (id, public), insert (id, public), update (public) on vc to authenticated;",
     (ANN, select("vc", "id", "public"), ok({"id": 1, "public": "p"})), (ANN, select("vc", "*"), ("42501", "permission denied for table vc")), (ANN, select("vc", "id", where=op("secret", "eq", "s")), ("42501", "permission denied for table vc")), (ANN, select("vc", "id", order=["secret"]), ("42501", "permission denied for table vc")),
     (ANN, select("vc", {"aggregate": "count"}), ok({"count": 1})), (ANN, select("vc", {"aggregate": "max", "column": "secret"}), ("42501", "permission denied")), (ANN, insert("vc", {"id": 2, "public": "x"}, select=["id"]), ok({"id": 2})), (ANN, insert("vc", {"id": 3, "secret": "x"}), ("42501", "permission denied for table vc")),
     (ANN, update("vc", op("id", "eq", 2), ["public"], public="y"), ok({"public": "y"})), (ANN, update("vc", op("secret", "eq", "s"), public="y"), ("42501", "permission denied for table vc")), (ANN, update("vc", None, ["secret"], public="y"), ("42501", "permission denied")), (ANN, insert("vc", {"id": 2, "public": "z"}, conflict={"do": "merge"}), ("42501", "permission denied")),
     (ANN, insert("vc", {"id": 2, "public": "z"}, conflict={"do": "merge"}, columns=["public", "id"]), ("42501", "permission denied")), (ANN, delete("vc", None), ("42501", "permission denied for table vc")))

case("foreign keys see what is hidden", "create table ka (id int primary key, owner uuid);\n" + RLS.format("ka") + """
insert into ka values (1, '%s'), (2, '%s');
create policy own on ka using (owner = auth.uid());
create table kb (id int primary key, a int references ka on delete cascade, n int);
insert into kb values (10, 1, 1), (20, 2, 2);
alter table kb enable row level security;
create policy s on kb for select using (n = 1);
create policy i on kb for insert with check (true);
create table kc (id int primary key, b int references kb);
insert into kc values (1, 20);""" % (A, B),
     (ANN, insert("kb", {"id": 11, "a": 2, "n": 1}, select=["id"]), ok({"id": 11})), (ANN, insert("kb", {"id": 12, "a": 3, "n": 1}), ("23503", 'insert or update on table \\"kb\\" violates foreign key constraint \\"kb_a_fkey\\"')),
     (BOB, delete("ka", None, ["id"]), ("23503", "kc_b_fkey")), (ANN, delete("ka", None, ["id"]), ok({"id": 1})), (SERVICE, select("kb", "id", order=["id"]), ok({"id": 11}, {"id": 20})))

case("unique values that are hidden", "create table ua (id int primary key, owner uuid, mail text unique, n int);\n" + RLS.format("ua") + "insert into ua values (1, '%s', 'b@x', 1);\ncreate policy own on ua using (owner = auth.uid());" % B,
     (ANN, insert("ua", {"id": 2, "owner": A, "mail": "b@x"}), ("23505", '"message":"duplicate key value violates unique constraint \\"ua_mail_key\\"","details":""')), (ANN, insert("ua", {"id": 1, "owner": A, "mail": "a@x"}), ("23505", '"details":""')),
     (ANN, insert("ua", {"id": 1, "owner": B, "mail": "b@x"}), ("42501", VIOLATES)), (ANN, insert("ua", {"id": 1, "owner": A, "mail": "a@x"}, conflict={"do": "ignore"}, select=["id"]), ok()), (ANN, insert("ua", {"id": 1, "owner": A, "mail": "a@x"}, conflict={"do": "merge"}), ("42501", "USING expression")),
     (SERVICE, insert("ua", {"id": 2, "owner": A, "mail": "b@x"}), ("23505", "Key (mail)=(b@x) already exists")), (SERVICE, select("ua", "id", "owner", order=["id"]), ok({"id": 1, "owner": B})))

case("what raises meets no hidden row", "create table ra (id int primary key, owner uuid, j text, n int, doc jsonb, d text);\n" + RLS.format("ra") + """
insert into ra values (1, '%s', '{"a": 1}', 1, '{"a": 1}', '2024-01-01'), (2, '%s', 'no json', 0, '[]', 'no date');
create policy own on ra using (owner = auth.uid());
create function ra_inverse(r ra) returns int language sql immutable as $$ select 1 / r.n $$;
create view ra_view with (security_invoker = true) as select id, 100 / n as q, j::jsonb ->> 'a' as a, d::date as d from ra;
create index on ra (n);""" % (A, B),
     (ANN, select("ra_view", "id", "q", "a", "d"), ok({"id": 1, "q": 100, "a": "1", "d": "2024-01-01"})), (ANN, select("ra_view", "id", where=op("q", "gt", 1)), ok({"id": 1})), (ANN, select("ra_view", "id", where=op("a", "eq", "1")), ok({"id": 1})), (ANN, select("ra_view", "id", where=op("d", "gt", "2000-01-01"), order=["d"]), ok({"id": 1})),
     (BOB, select("ra_view", "q"), ("22012", "division by zero")), (ANN, select("ra", "id", where=op("doc", "eq", "1", path=["a"])), ok({"id": 1})), (ANN, select("ra", {"column": "j", "cast": "jsonb"}), ok({"j": {"a": 1}})), (ANN, select("ra", {"column": "d", "cast": "date"}, where=op("n", "gte", 0), order=["n"]), ok({"d": "2024-01-01"})),
     (BOB, select("ra", {"column": "d", "cast": "date"}), ("22007", "invalid input syntax for type date")), (ANN, select("ra", "id", where=op("j", "match", "^.*a")), ok({"id": 1})), (ANN, select("ra", {"aggregate": "count"}, where=op("n", "eq", 0)), ok({"count": 0})), (ANN, {"query": select("ra", "id", count="exact", where=op("n", "gte", 0))}, ok({"id": 1})),
     (ANN, update("ra", op("n", "eq", 0), ["id"], n=7), ok()), (ANN, delete("ra", op("j", "like", "no%"), ["id"]), ok()), (ANON, select("ra_view", "q"), ok()))

case("counts of what is hidden", "create table ca (id int primary key, owner uuid);\n" + RLS.format("ca") + "insert into ca select i, case when i <= 3 then '%s'::uuid else '%s'::uuid end from generate_series(1, 10) as g (i);\ncreate policy own on ca using (owner = auth.uid());" % (A, B),
     *[(who, {"batch": [select("ca", "id", order=["id"], limit=1, count=how)]}, ("ok", f'"total":{n}')) for who, n in ((ANN, 3), (BOB, 7), (ANON, 0), (SERVICE, 10)) for how in ("exact",)],
     (ANN, {"batch": [select("ca", "id", where=op("id", "gt", 5), count="exact")]}, ("ok", '"total":0')))

case("cascades pass policies", "create table da (id int primary key);\ncreate table db (id int primary key, a int references da on delete cascade on update cascade, owner uuid);\n" + RLS.format("db") + "insert into da values (1), (2);\ninsert into db values (1, 1, '%s'), (2, 2, '%s');\ncreate policy none on db for select using (owner = auth.uid());" % (A, B),
     (ANN, update("da", op("id", "eq", 2), ["id"], id=3), ok({"id": 3})), (SERVICE, select("db", "a", order=["id"]), ok({"a": 1}, {"a": 3})), (ANN, delete("da", op("id", "eq", 3), ["id"]), ok({"id": 3})), (SERVICE, select("db", "id"), ok({"id": 1})))

case("what an embed shows", "create table ea (id int primary key, owner uuid);\ncreate table eb (id int primary key, a int references ea, owner uuid, t text);\n" + RLS.format("ea") + RLS.format("eb") + """
insert into ea values (1, '%s'), (2, '%s');
insert into eb values (1, 1, '%s', 'x'), (2, 1, '%s', 'y'), (3, 2, '%s', 'z');
create policy own on ea using (owner = auth.uid());
create policy own on eb using (owner = auth.uid());""" % (A, B, A, B, A),
     (ANN, select("ea", "id", {"embed": "eb", "select": ["id"], "order": ["id"]}), ok({"id": 1, "eb": [{"id": 1}]})), (ANN, select("eb", "id", {"embed": "ea", "select": ["id"]}, order=["id"]), ok({"id": 1, "ea": {"id": 1}}, {"id": 3, "ea": None})),
     (ANN, select("eb", "id", {"embed": "ea", "select": ["id"], "join": "inner"}, order=["id"]), ok({"id": 1, "ea": {"id": 1}})), (BOB, select("ea", "id", {"embed": "eb", "select": [{"aggregate": "count"}]}), ok({"id": 2, "eb": [{"count": 0}]})), (ANN, select("eb", "id", {"embed": "ea", "select": []}, where={"embed": "ea", "has": False}), ok({"id": 3})))

case("roles", "create role ro_reader nologin;\ngrant ro_reader to moderator;\ngrant usage on schema public to ro_reader;\ncreate table ro (id int primary key);\n" + RLS.format("ro") + "insert into ro values (1), (2);\nrevoke all on ro from anon, authenticated;\ngrant select on ro to ro_reader;\ncreate policy r on ro to ro_reader using (id = 1);\ncreate policy p on ro to public using (id = 3);",
     (MODERATOR, select("ro", "id"), ok({"id": 1})), (ANN, select("ro", "id"), ("42501", "permission denied for table ro")), (MODERATOR, insert("ro", {"id": 5}), ("42501", "permission denied for table ro")))

case("functions that count", """create table fi (id int primary key, owner uuid);
""" + RLS.format("fi") + """insert into fi values (1, '%s'), (2, '%s'), (3, '%s');
create policy own on fi using (owner = auth.uid());
create function fi_deep(n int) returns bigint language sql stable as $$ with recursive r (i) as (select 1 union all select i + 1 from r where i < n) select count(*) from r $$;
create function fi_two() returns bigint language sql stable as $$ with fi as (select 1 from fi), g as (select 2) select count(*) from fi, g $$;
create function fi_none() returns bigint language sql stable as $$ select count(*) from fi where exists (select from fi as b) $$;
create function fi_values() returns bigint language sql stable as $$ select count(*) from (values (1), (2)) as v, generate_series(1, 3) as g, (select 1 from fi) as s $$;""" % (A, B, B),
     (ANN, call("fi_deep", n=100), ("ok", "100")), (ANN, call("fi_two"), ("ok", "1")), (BOB, call("fi_two"), ("ok", "2")), (BOB, call("fi_none"), ("ok", "2")), (ANON, call("fi_none"), ("ok", "0")), (BOB, call("fi_values"), ("ok", "12")))

case("functions that break a rule", """create table fj (id int primary key, n int not null check (n > 0), u text unique);
create table fk (id int primary key, j int references fj);
insert into fj values (1, 1, 'x');
create function fj_put(i int, m int, w text) returns void language sql as $$ insert into fj values (i, m, w) $$;
create function fk_put(i int, w int) returns void language sql as $$ insert into fk values (i, w) $$;""",
     (SERVICE, call("fj_put", i=1, m=1, w="y"), ("23505", 'duplicate key value violates unique constraint \\"fj_pkey\\"')), (SERVICE, call("fj_put", i=2, m=1, w="x"), ("23505", "fj_u_key")), (SERVICE, call("fj_put", i=2, m=None, w="y"), ("23502", 'null value in column \\"n\\" of relation \\"fj\\"')),
     (SERVICE, call("fj_put", i=2, m=0, w="y"), ("23514", 'new row for relation \\"fj\\" violates check constraint \\"fj_n_check\\"')), (SERVICE, call("fk_put", i=1, w=9), ("23503", "")), (SERVICE, call("fj_put", i=2, m=2, w="y"), ("ok", None)), (SERVICE, select("fj", "id", order=["id"]), ok({"id": 1}, {"id": 2})))

case("a view of itself", "create table fl (id int primary key);\ncreate view fl_v as select id from fl;\ncreate or replace view fl_v as select id from fl_v;",
     (ANN, select("fl_v", "id"), ("42P17", 'infinite recursion detected in rules for relation \\"fl_v\\"')))

case("domains that are not null", "create domain fm_d as int not null check (value > 0);\ncreate table fm (id int primary key, a fm_d, b fm_d default 7, c int not null);",
     (SERVICE, insert("fm", {"id": 1, "c": 1}), ("23502", "domain fm_d does not allow null values")), (SERVICE, insert("fm", {"id": 1, "a": None, "c": 1}), ("23502", "domain fm_d does not allow null values")), (SERVICE, insert("fm", {"id": 1, "a": 1}), ("23502", 'null value in column \\"c\\"')),
     (SERVICE, insert("fm", {"id": 1, "a": 0, "c": 1}), ("23514", "value for domain fm_d violates check constraint")), (SERVICE, insert("fm", {"id": 1, "a": 1, "c": 1}, select=["a", "b"], missing="default"), ok({"a": 1, "b": 7})))
