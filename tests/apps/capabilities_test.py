"""What clients know of a database, of users and of themselves, row by row (capabilities/*.yaml), and whether this node has it, on each engine. docs/capabilities.md
is what comes of it: a row that does not hold is marked so, with its reason; ORLO_TEST_WRITE=1 writes it anew."""

import http.client, struct, urllib.parse

from nodes import *
from admin_test import cli
from database_test import project
from front_test import keys_of
from rest_test import ENGINES

SCHEMA = """
create table items (id int primary key, name text not null, n int, tags text[] not null default '{}', meta jsonb, other int, about text);
create table owners (id int primary key, item_id int references items (id), name text not null);
create schema api;
create table api.things (id int primary key);
create function add(a int, b int) returns int language sql immutable as $$ select a + b $$;
create function slow() returns bigint language sql stable as $$
  with recursive r (n) as (select 1 union all select n + 1 from r where n < 2000000000) select count(*) from r $$;
insert into items values (1, 'one', 1, '{a,b}', '{"k": 1}', null, 'a quick fox'), (2, 'Two', 2, '{b,c}', '{"k": 2}', 2, 'a slow fish'), (3, 'three', null, '{}', null, 3, null);
insert into owners values (1, 1, 'Ada'), (2, 1, 'Bob'), (3, 2, 'Cy');
insert into api.things values (7);
grant usage on schema api to anon;
grant all on all tables in schema public, api to anon, service_role;
"""
RANGES = """
create table spans (id int primary key, during int4range not null);
insert into spans values (1, '[1,5)'), (2, '[5,9)'), (3, '[20,30)');
grant all on spans to anon, service_role;
"""
# What does not hold, and why: by row, and where it is one engine's alone by (row, engine). Whatever else fails, fails; and what stands here and holds, too.
RANGE = "SQLite has no range types: a migration that makes one is refused"
WHY = {
    "database.using_modifiers.format_geojson": "it needs PostGIS",
    **{(f"database.using_filters.{f}", "sqlite"): RANGE for f in ("range_adjacent", "range_gt", "range_gte", "range_lt", "range_lte")},
}


class Asker:
    def __init__(self, n, app):
        self.n, self.keys, self.host = n, keys_of(n, app), app + ".localhost"

    def __call__(self, method, path, body=None, key="anon", timeout=60, **fields):
        head = {"Host": self.host, "apikey": self.keys[key], "Authorization": "Bearer " + self.keys[key], **{k.replace("_", "-"): v for k, v in fields.items()}}
        c = http.client.HTTPConnection("127.0.0.1", self.n.port, timeout=timeout)
        try:
            c.request(method, "/rest/v1" + path, json.dumps(body) if body is not None else None, {**head, **({"content-type": "application/json"} if body is not None else {})})
            r = c.getresponse()
            text = r.read().decode()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, json.loads(text) if text and r.headers.get("content-type", "").split(";")[0].endswith("json") else text
        except TimeoutError:  # who shuts his half alone may still be listening
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise
        finally:
            c.close()


def ids(*wanted, of="items", **filters):
    """Rows that a filter leaves."""
    query = "&".join(f"{k}={urllib.parse.quote(v, safe='(){},.*:')}" for k, v in filters.items())
    return lambda ask: eq(ask("GET", f"/{of}?select=id&order=id&{query}")[2], [{"id": i} for i in wanted])


def answer(method, path, wanted, status=200, body=None, **fields):
    return lambda ask: eq(ask(method, path, body, **fields)[::2], (status, wanted))


def header(method, path, name, wanted, status=200, **fields):
    def look(ask):
        got = ask(method, path, **fields)
        eq((got[0], got[1].get(name)), (status, wanted))
    return look


def many(*checks):
    return lambda ask: [c(ask) for c in checks]


def dry_run(ask):
    eq(ask("DELETE", "/owners?id=eq.3", Prefer="tx=rollback, return=representation")[::2], (200, [{"id": 3, "item_id": 2, "name": "Cy"}]))
    eq(ask("GET", "/owners?select=id&id=eq.3")[2], [{"id": 3}])


def spent(n):
    """Ticks of a processor, of all of a node's processes."""
    return sum(map(processes.ticks, (n.proc.pid, *processes.descendants(n.proc.pid))))


def cut_off(ask):
    """Its statement, which would compute for a minute, ends with who asked for it."""
    with contextlib.suppress(TimeoutError):
        ask("POST", "/rpc/slow", {}, key="service_role", timeout=0.5)
        check(False, "it was answered")

    def rests():
        before = spent(ask.n)
        pace(1)
        return spent(ask.n) - before <= 5
    until(rests)
    eq(ask("GET", "/items?select=id&id=eq.1")[2], [{"id": 1}])


def explained(ask):
    status, _, body = ask("GET", "/items?select=id", key="service_role", Accept="application/vnd.pgrst.plan+text; options=analyze")
    check(status == 200 and body, status, body)


ROWS = {
    "query.from_table": ids(1, 2, 3),
    "query.select": answer("GET", "/items?select=name,k:meta->>k&id=eq.1", [{"name": "one", "k": "1"}]),
    "query.rpc": many(answer("POST", "/rpc/add", 3, body={"a": 1, "b": 2}), answer("GET", "/rpc/add?a=1&b=2", 3)),
    "query.schema_selection": answer("GET", "/things", [{"id": 7}], Accept_Profile="api"),
    "mutate.insert": many(answer("POST", "/owners", "", 201, {"id": 10, "name": "x"}), answer("POST", "/owners", "", 201, [{"id": 11, "name": "y"}, {"id": 12, "name": "z"}])),
    "mutate.select_after_mutation": answer("POST", "/owners?select=name", [{"name": "w"}], 201, {"id": 13, "name": "w"}, Prefer="return=representation"),
    "mutate.update": answer("PATCH", "/owners?id=eq.10", [{"id": 10, "item_id": None, "name": "X"}], 200, {"name": "X"}, Prefer="return=representation"),
    "mutate.upsert": many(answer("POST", "/owners?on_conflict=id&select=name", [{"name": "Y"}], 200, {"id": 10, "name": "Y"}, Prefer="resolution=merge-duplicates, return=representation"),
                          answer("POST", "/owners?on_conflict=id", [], 201, {"id": 10, "name": "Z"}, Prefer="resolution=ignore-duplicates, return=representation")),
    "mutate.delete": answer("DELETE", "/owners?id=gte.10&select=id", [{"id": i} for i in (10, 11, 12, 13)], 200, Prefer="return=representation"),
    "using_filters.eq": ids(2, name="eq.Two"),
    "using_filters.neq": ids(1, 3, name="neq.Two"),
    "using_filters.gt": ids(2, n="gt.1"),
    "using_filters.gte": ids(1, 2, n="gte.1"),
    "using_filters.lt": ids(1, n="lt.2"),
    "using_filters.lte": ids(1, 2, n="lte.2"),
    "using_filters.like": ids(3, name="like.t*"),
    "using_filters.ilike": ids(2, 3, name="ilike.t*"),
    "using_filters.like_all": ids(3, name="like(all).{t*,*e}"),
    "using_filters.like_any": ids(1, 3, name="like(any).{o*,t*}"),
    "using_filters.ilike_all": ids(3, name="ilike(all).{T*,*E}"),
    "using_filters.ilike_any": ids(1, 2, 3, name="ilike(any).{O*,T*}"),
    "using_filters.regex": ids(3, name="match.^t"),
    "using_filters.regex_icase": ids(2, 3, name="imatch.^t"),
    "using_filters.is": many(ids(3, n="is.null"), ids(1, 2, n="not.is.null")),
    "using_filters.is_distinct": ids(1, 2, other="isdistinct.3"),
    "using_filters.in": ids(1, 3, name="in.(one,three)"),
    "using_filters.not_in": ids(2, name="not.in.(one,three)"),
    "using_filters.contains": many(ids(1, tags="cs.{a,b}"), ids(2, meta='cs.{"k": 2}')),
    "using_filters.contained_by": ids(1, 3, tags="cd.{a,b}"),
    "using_filters.overlaps": ids(1, 2, tags="ov.{b}"),
    "using_filters.match": ids(1, name="eq.one", n="eq.1"),
    "using_filters.not": ids(1, 3, name="not.eq.Two"),
    "using_filters.or": ids(1, 3, **{"or": "(id.eq.1,name.eq.three)"}),
    "using_filters.raw": answer("GET", "/items?select=id&meta->>k=eq.2", [{"id": 2}]),
    "using_filters.text_search": many(ids(1, about="fts.fox"), ids(2, about="plfts.slow fish"), ids(1, about='wfts.quick -fish')),
    "using_filters.range_gt": ids(3, of="spans", during="sr.[5,9)"),
    "using_filters.range_gte": ids(2, 3, of="spans", during="nxl.[5,9)"),
    "using_filters.range_lt": ids(1, of="spans", during="sl.[5,9)"),
    "using_filters.range_lte": ids(1, 2, of="spans", during="nxr.[5,9)"),
    "using_filters.range_adjacent": ids(1, of="spans", during="adj.[5,9)"),
    "using_modifiers.order": answer("GET", "/items?select=id&order=n.desc.nullsfirst,id", [{"id": 3}, {"id": 2}, {"id": 1}]),
    "using_modifiers.limit": answer("GET", "/items?select=id&order=id&limit=1&offset=1", [{"id": 2}]),
    "using_modifiers.range": header("GET", "/items?select=id&order=id", "content-range", "1-2/3", 206, Range="1-2", Prefer="count=exact"),
    "using_modifiers.single_row": many(answer("GET", "/items?select=id&id=eq.1", {"id": 1}, Accept="application/vnd.pgrst.object+json"),
                                       lambda ask: eq(ask("GET", "/items?select=id", Accept="application/vnd.pgrst.object+json")[2]["code"], "PGRST116")),
    "using_modifiers.maybe_single_row": lambda ask: eq(ask("GET", "/items?id=eq.9", Accept="application/vnd.pgrst.object+json")[2]["details"], "The result contains 0 rows"),
    "using_modifiers.format_csv": answer("GET", "/items?select=id,name&id=lt.3&order=id", "id,name\n1,one\n2,Two", Accept="text/csv"),
    "using_modifiers.format_geojson": lambda ask: eq(ask("GET", "/items?select=id", Accept="application/geo+json")[0], 200),
    "using_modifiers.strip_nulls": answer("GET", "/items?select=id,other&id=eq.1", [{"id": 1}], Accept="application/vnd.pgrst.array+json;nulls=stripped"),
    "using_modifiers.explain": explained,
    "using_modifiers.dry_run": dry_run,
    "using_modifiers.max_affected_rows": lambda ask: eq(ask("DELETE", "/owners?id=gt.0", Prefer="handling=strict, max-affected=1")[2]["code"], "PGRST124"),
    "using_modifiers.relationship_embed": answer("GET", "/items?select=id,owners(name)&id=eq.1&owners.order=id", [{"id": 1, "owners": [{"name": "Ada"}, {"name": "Bob"}]}]),
    "using_modifiers.request_cancellation": cut_off,
    "configuration.request_timeout": cut_off,
    "configuration.auto_retry": many(ids(1, 2, 3), ids(1, 2, 3)),
}
NOTES = {"configuration.auto_retry": "the client's own: what it asks again is answered again", "configuration.request_timeout": "the client's own: its statement ends when it goes",
         "using_modifiers.request_cancellation": "its statement ends when it goes"}


def features(area):
    """(id, name, group) of each row, in the order of the file, and the groups' titles."""
    text = open(os.path.join(ROOT, "tests", "apps", "capabilities", area + ".yaml")).read()
    titles = dict(re.findall(r"^  - id: (\w+)\n    title: (.*)$", text, re.M))
    return re.findall(rf"^  - id: ({area}\.[\w.]+)\n    name: (.*)\n(?:    .*\n)*?    group: (\w+)", text, re.M), titles


def tables(area, marks, notes):
    rows, titles = features(area)
    out = []
    for group, title in titles.items():
        out += [f"### {title}", "", "| | SQLite | PostgreSQL | |", "|---|---|---|---|"]
        out += [f"| {name} | " + " | ".join("yes" if marks[e, id] else "no" for e in ("sqlite", "postgres")) + f" | {notes(id)} |" for id, name, of in rows if of == group]
        out.append("")
    return out


def of_database(marks):
    notes = lambda id: "; ".join(WHY[k] for k in (id, (id, "sqlite"), (id, "postgres")) if k in WHY) or NOTES.get(id.removeprefix("database."), "")
    return ["# What of its clients' world is here", "",
            "The rows are those by which Supabase's clients are compared; each mark is set by a test that asks a node (tests/apps/capabilities_test.py, which also writes this page).", "",
            "## Database", "", *tables("database", marks, notes), ""]


def of_users(marks):
    notes = lambda id: USERS_WHY.get(id) or (f"`{HELD[id]}`" if id in HELD else USERS_NOTES.get(id, ""))
    return ["## Users", "", "By supabase-js (tests/apps/capabilities/auth.mjs), but for rows that name another test.", "", *tables("auth", marks, notes), "## The client itself", "", *tables("client", marks, notes)]


def is_page(half, lines):
    """The page has this half: 0, the database; 1, users."""
    path, text = os.path.join(ROOT, "docs", "capabilities.md"), "\n".join(lines)
    halves = open(path).read().split("\n## Users\n")
    halves = [halves[0] + "\n", "## Users\n" + halves[1]] if len(halves) == 2 else halves + [""]
    if os.environ.get("ORLO_TEST_WRITE"):
        halves[half] = text
        with open(path, "w") as f:
            f.write("".join(halves))
    check(halves[half] == text, "docs/capabilities.md is not what this test finds: ORLO_TEST_WRITE=1 writes it anew")


def test_capabilities():
    rows, _ = features("database")
    eq(sorted(r[0] for r in rows), sorted("database." + k for k in ROWS))
    marks, wrong = {}, []
    with node("--workers", "1") as n:
        for engine in ENGINES:
            more = RANGES if engine == "postgres" else ""
            cli(n, "deploy", project({"migrations/1.sql": SCHEMA + more}, f'name = "{engine}"\ndatabase = "{engine}"\nlimits = {{ data_timeout_ms = "60s" }}\n[rest]\nschemas = ["public", "api"]\nplan = true\n'))
            ask = Asker(n, engine)
            for id in ["database." + k for k in ROWS]:
                why = WHY.get(id) or WHY.get((id, engine))
                try:
                    ROWS[id.removeprefix("database.")](ask)
                    marks[engine, id] = True
                    wrong += [f"{engine} {id}: it holds, and is said not to"] if why else []
                except Exception as e:
                    marks[engine, id] = False
                    wrong += [] if why else [f"{engine} {id}: {type(e).__name__}: {str(e)[:300]}"]
    check(not wrong, "\n".join(wrong))
    if len(ENGINES) < 2:
        raise Skip("the page has both engines: PostgreSQL is not here")
    is_page(0, of_database(marks))


# ---- users, and the client itself ----

USERS_SCHEMA = """
create table mine (id bigint generated always as identity primary key, owner uuid default auth.uid(), body text);
alter table mine enable row level security;
create policy own on mine for all using (owner = auth.uid()) with check (owner = auth.uid());
create function header(name text) returns text language sql stable as $$ select current_setting('request.headers', true)::json ->> name $$;
"""
USERS_TABLES = """
[auth]
anonymous = true
redirect_urls = ["http://127.0.0.1:*/**"]
sign_ins_per_5min = 100000
refreshes_per_5min = 100000
codes_per_5min = 100000
anonymous_per_hour = 100000
mails_per_hour = 100000
mail_every_s = 0
[auth.mfa]
tries_per_min = 100000
[auth.passkeys]
rp_id = "localhost"
origins = ["http://localhost:5173"]
asks_per_5min = 100000
[auth.oauth_server]
"""
# What does not hold, and why.
USERS_WHY = {
    "auth.sign_in.sign_in_with_sso": "SAML is not there: `saml_provider_disabled`, as of a GoTrue without it",
    "auth.sign_in.sign_in_with_web3": "wallets are not there: `web3_provider_disabled`, as of a GoTrue without them",
}
# Rows that another test of this repository holds: FILE:FUNCTION.
HELD = {
    "auth.sign_in.sign_in_with_oauth": "tests/apps/providers_test.py:by_github",
    "auth.sign_in.sign_in_with_id_token": "tests/apps/providers_test.py:by_token",
    "auth.identities.link_identity": "tests/apps/providers_test.py:linked",
    "auth.identities.unlink_identity": "tests/apps/providers_test.py:linked",
    "client.authentication_integration.session_url_detection": "tests/examples/notes_test.py:test_notes",
}
USERS_NOTES = {
    "auth.session.auto_refresh": "the client's own", "auth.session.subscribe_auth_events": "the client's own", "auth.sign_in.concurrent_pkce_flows": "the client's own: each flow's verifier",
    "auth.session.sign_out_reason": "by the code that is answered",
}


def is_held(at):
    path, _, name = at.partition(":")
    return re.search(rf"^(def {name}\(|void {name}\(|static void {name}\()", open(os.path.join(ROOT, path)).read(), re.M) is not None


def test_capabilities_users():
    from users_test import script
    marks, wrong = {}, []
    rows = [r[0] for area in ("auth", "client") for r in features(area)[0]]
    check(not {*USERS_WHY, *HELD, *USERS_NOTES} - set(rows), "rows that there are not")
    wrong += [f"{id}: there is no {at}" for id, at in HELD.items() if not is_held(at)]
    program = open(os.path.join(ROOT, "tests", "apps", "capabilities", "auth.mjs")).read()
    with node("--workers", "1") as n:
        for engine in ENGINES:
            cli(n, "deploy", project({"migrations/1.sql": USERS_SCHEMA}, f'name = "{engine}"\nhosts = ["127.0.0.1"]\ndatabase = "{engine}"\n{USERS_TABLES}'))
            keys = keys_of(n, engine)
            p = script(program, n.url, keys["anon"], keys["service_role"], version="2.119.1")
            check(p.returncode == 0, p.stderr[-3000:])
            said = json.loads(p.stdout.splitlines()[-1])
            for id in rows:
                ok = id in HELD or said.get(id, "no row of auth.mjs") is None
                marks[engine, id] = ok and id not in USERS_WHY
                if ok == (id in USERS_WHY):
                    wrong.append(f"{engine} {id}: " + ("it holds, and is said not to" if ok else said.get(id, "nothing holds it")))
            cli(n, "delete", engine)
    check(not wrong, "\n".join(wrong))
    if len(ENGINES) < 2:
        raise Skip("the page has both engines: PostgreSQL is not here")
    is_page(1, of_users(marks))
