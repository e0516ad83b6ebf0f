"""What `orlo db check` says of migrations before anybody deploys them, on either engine: all of it at once, each with its place."""
from harness import *
from nodes import *


@contextlib.contextmanager
def migrations(**files):
    """A project's folder with supabase/migrations/NAME.sql."""
    with tempfile.TemporaryDirectory(prefix="sql-", dir=WORK) as folder:
        where = os.path.join(folder, "supabase", "migrations")
        os.makedirs(where)
        for name, text in files.items():
            with open(os.path.join(where, name + ".sql"), "w") as f:
                f.write(text)
        yield folder


def told(folder, *flags):
    code, out, error = orlo("db", "check", folder, "--json", *flags, timeout=120)
    check(out, code, error)
    said = json.loads(out)
    eq(said["ok"], code == 0)
    return said, [(p["kind"], p["file"], p["line"], p["code"]) for p in said["problems"]]


def test_db_check_good():
    notes = """create table notes (id bigint generated always as identity primary key, owner uuid not null default auth.uid() references auth.users on delete cascade,
      title varchar(80) not null check (title <> ''), tags text[] default '{}', at timestamptz not null default now());
      alter table notes enable row level security; create index on notes (owner);
      create policy own on notes for all to authenticated using ((select auth.uid()) = owner);"""
    with migrations(**{"1_notes": notes, "2_more": "alter table notes add column done boolean not null default false; insert into notes (owner, title) select id, 'x' from auth.users;"}) as folder:
        said, found = told(folder)
        eq((said["files"], found), (2, []))


def test_db_check_all_at_once():
    first = "create table a (id int primary key);\nselect from where;\ncreate policy p on a using (nothing = 1);\n"
    with migrations(**{"1_first": first, "2_second": "attach database 'x' as y;\ncopy a from program 'id';\ncreate rule r as on insert to a do nothing;"}) as folder:
        found = [f for f in told(folder)[1] if f[0] == "error"]
        eq(found, [("error", "1_first.sql", 2, "42601"), ("error", "1_first.sql", 3, "42703"), ("error", "2_second.sql", 1, "42601"),
                   ("error", "2_second.sql", 2, "42501"), ("error", "2_second.sql", 3, "0A000")])


def test_db_check_engine():
    with migrations(**{"1_a": "create table a (id int primary key, r int4range); alter table a enable row level security;"}) as folder:
        eq([f[0] for f in told(folder)[1] if f[3] == "0A000"], ["error"])
        said, found = told(folder, "--engine", "postgres")
        eq((said["ok"], [f[0] for f in found if f[3] == "0A000"]), (True, ["needs-postgres"]))
        code, _, error = orlo("db", "check", folder, "--engine", "oracle")
        check(code == 64 and "--engine" in error, code, error)


def test_db_check_lints():
    with migrations(**{"1_a": "create table a (id int primary key, api_key text);"}) as folder:
        kinds = {f[3] for f in told(folder)[1] if f[0] == "lint"}
        check({"rls_disabled_in_public", "sensitive_columns_exposed"} <= kinds, kinds)


def test_db_check_nothing():
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        code, out, error = orlo("db", "check", folder)
        check(code != 0 and "no migrations" in error, code, error)
