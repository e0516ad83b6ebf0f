"""PL/pgSQL and real projects' SQL on SQLite beside PostgreSQL: ./dev bench dialect, or one part: dialect-loops dialect-triggers dialect-deploy.
Called by run.py, whose rows these are. PostgreSQL is the one that is installed, in a cluster of this run's own, as it ships (its JIT has nothing to do here).

Times are processor time: of all of the node's processes for the whole request, HTTP and JSON included, and of PostgreSQL's backend for the statement. By turns, and the
median of the rounds' ratios counts. A deployment's is seconds, as whoever deploys waits for it; $ORLO_BENCH_PROJECT is a folder with migrations to deploy besides."""
import json, os, re, shutil, statistics, subprocess, sys, time

bench = sys.modules["__main__"]
sys.path.insert(0, os.path.join(bench.ROOT, "tests", "pg"))
import rest, store as stores
from cluster import Cluster

ROUNDS = 5
LIMITS = "timeout_ms = 600000, data_timeout_ms = 600000, migration_timeout_ms = 600000"

# ---- loops --------------------------------------------------------------------------------------------------------

FUNCTIONS = """
create table items (id int primary key, price int not null, name text not null);
insert into items select i, i * 7 % 1000, 'item ' || i from generate_series(1, 1000) as i;
grant all on items to service_role;

create function counted(n int) returns bigint language plpgsql as $$
declare s bigint := 0;
begin
    for i in 1..n loop
        s := s + i % 7 * 3;
    end loop;
    return s;
end $$;

create function branching(n int) returns bigint language plpgsql as $$
declare s bigint := 0; i int := 0; odd int := 0;
begin
    while i < n loop
        i := i + 1;
        if i % 3 = 0 then continue; elsif i % 2 = 1 then odd := odd + 1; else s := s + i / 2; end if;
        exit when s < 0;
    end loop;
    return s * 10 + odd;
end $$;

create function floating(n int) returns double precision language plpgsql as $$
declare x double precision := 0.5; more boolean := true; i int := 0;
begin
    while more and i < n loop
        x := x * 3.7 * (1.0 - x);
        i := i + 1;
        more := x > 0 or i = 0;
    end loop;
    return x;
end $$;

create function texts(n int) returns int language plpgsql as $$
declare t text := ''; hits int := 0;
begin
    for i in 1..n loop
        t := 'a' || i;
        if t = 'a77' or length(t) > 6 then hits := hits + 1; end if;
    end loop;
    return hits;
end $$;

create function asked(n int) returns bigint language plpgsql as $$
declare s bigint := 0; p int;
begin
    for i in 1..n loop
        select price into p from items where id = i % 1000 + 1;
        s := s + p;
    end loop;
    return s;
end $$;

create function tried(n int) returns int language plpgsql as $$
declare hits int := 0;
begin
    for i in 1..n loop
        begin
            hits := hits + 10 / (i % 2);
        exception when division_by_zero then hits := hits + 1;
        end;
    end loop;
    return hits;
end $$;
"""

LOOPS = [  # what, function, steps, bar
    ("a loop of 1,000,000 steps, FOR and integers", "counted", 1_000_000, 3),
    ("a loop of 1,000,000 steps, WHILE, IF, CONTINUE and integers", "branching", 1_000_000, 3),
    ("a loop of 1,000,000 steps, floats and booleans", "floating", 1_000_000, None),
    ("a loop of 1,000,000 steps, texts", "texts", 1_000_000, None),
    ("a loop of 100,000 steps, a query in each", "asked", 100_000, 2),
    ("a loop of 100,000 steps, an exception block in each", "tried", 100_000, None),
]


class Psql:
    """A session, whose backend's time is looked at."""

    def __init__(self, cluster, database):
        program = os.path.join(cluster.bin, "psql")
        self.p = subprocess.Popen([program, "-X", "-q", "-A", "-t", "-h", cluster.folder, "-U", "postgres", "-d", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = int(self.ask("select pg_backend_pid()"))

    def ask(self, sql):
        self.p.stdin.write(sql + ";\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def spent_ms(pids):
    """Processor time so far, to the nanosecond where the kernel says it."""
    total = 0.0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                total += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0]) / 1e6
        except (OSError, ValueError, IndexError):
            total += sum(bench.cpu_us([pid]).values()) / 1000
    return total


def app(s, name, sql):
    folder = stores.project(name, sql)
    with open(os.path.join(folder, "orlo.toml"), "w", encoding="utf-8") as f:
        f.write(f'name = "{name}"\ndatabase = "sqlite"\nlimits = {{ {LIMITS} }}\n')
    stores.run(bench.ORLO, "deploy", folder, "--state", s.state, timeout=600)
    return {"Host": name + ".localhost", "apikey": s.key(name)["SUPABASE_SERVICE_ROLE_KEY"]}


def loops():
    if not Cluster.installed():
        raise bench.Absent("no PostgreSQL is installed")
    with Cluster() as cluster, stores.Node("dialect", [], pin=False) as s:
        head = app(s, "loops", FUNCTIONS)
        cluster.psql("create role service_role")
        cluster.psql(FUNCTIONS)
        theirs = Psql(cluster, "postgres")
        for what, function, steps, bar in LOOPS:
            ours = lambda n: rest.call(s.port, "POST", "/rest/v1/rpc/" + function, {"n": n}, **head)
            if (one := ours(1000)) != (other := json.loads(theirs.ask(f"select {function}(1000)"))):
                raise RuntimeError(f"{function}: {one} is not {other}")
            rounds = []
            for _ in range(ROUNDS):
                a = spent_ms(s.pids())
                ours(steps)
                b = spent_ms(s.pids())
                c = spent_ms([theirs.pid])
                theirs.ask(f"select {function}({steps})")
                rounds.append((b - a, spent_ms([theirs.pid]) - c))
            row(what, rounds, bar, "PostgreSQL's")
        theirs.close()


def row(what, rounds, bar, of, unit="ms"):
    mid = lambda i: statistics.median(r[i] for r in rounds)
    bench.row("dialect", f"{what}, × {of}", statistics.median(a / b for a, b in rounds), "×", bar, note=f"{mid(0):.1f} to {mid(1):.1f} {unit}")


# ---- triggers -------------------------------------------------------------------------------------------------------

TABLE = """create table {0} (id bigint generated by default as identity primary key, email text not null, name text, created_at timestamptz not null default now(), updated_at timestamptz);
grant all on {0} to service_role;
"""
TRIGGERS = """
create table profiles (id bigint primary key references people (id) on delete cascade, email text, name text, created_at timestamptz not null default now());
create function set_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
create function handle_new_user() returns trigger language plpgsql security definer set search_path = public as $$
begin
    insert into public.profiles (id, email, name) values (new.id, new.email, coalesce(new.name, split_part(new.email, '@', 1)));
    return new;
end $$;
create trigger set_updated_at before insert or update on people for each row execute function set_updated_at();
create trigger on_user_created after insert on people for each row execute function handle_new_user();
"""


def triggers():
    bench.need("wrk")
    with stores.Node("dialect-triggers", [], pin=False) as s:
        head = app(s, "triggers", TABLE.format("people") + TABLE.format("plain") + TRIGGERS)
        body, rounds = {"email": "somebody@example.org", "name": "Somebody"}, []
        many = [body] * 1000
        bulk = []
        for _ in range(ROUNDS):
            rounds.append([rest.cost_us(s.pids, s.port, "/rest/v1/" + table, head, body) for table in ("people", "plain")])
            of = []
            for table in ("people", "plain"):
                a = spent_ms(s.pids())
                for _ in range(10):
                    rest.call(s.port, "POST", "/rest/v1/" + table, many, **head)
                of.append((spent_ms(s.pids()) - a) / 10)
            bulk.append(of)
        row("an insert that fires set_updated_at and handle_new_user", rounds, 1.5, "without", "µs")
        row("one of 1,000 rows that fires them", bulk, None, "without")


# ---- deployment -----------------------------------------------------------------------------------------------------


def large():
    """Of the size and the shape of the largest project that was seen: 4,793 statements, half of them grants and revocations, functions that are replaced, comments, policies."""
    out, tables, functions = [], 130, 480
    say = out.append
    say("create type state as enum ('new', 'open', 'done')")
    for i in range(tables):
        t = f"public.t{i}"
        say(f"create table if not exists {t} (id uuid not null default gen_random_uuid(), owner uuid not null, org bigint, state state default 'new'::state not null, name character varying not null, "
            f"price numeric(12, 2) default 0, data jsonb default '{{}}'::jsonb, tags text[] default '{{}}'::text[], created_at timestamp with time zone default now() not null, updated_at timestamp with time zone)")
        say(f"comment on table {t} is 'Rows of kind {i}'")
        say(f"alter table only {t} add constraint t{i}_pkey primary key (id)")
        if i:
            say(f"alter table {t} add column parent uuid")
            say(f"alter table only {t} add constraint t{i}_parent foreign key (parent) references public.t{i - 1} (id) on delete cascade")
        say(f"create index t{i}_owner on {t} using btree (owner, created_at desc)")
        say(f"alter table {t} enable row level security")
        say(f"create policy \"Allow owners to read\" on {t} for select to authenticated using ((select auth.uid()) = owner)")
        say(f"create policy \"Allow owners to write\" on {t} for update to authenticated using (owner = auth.uid()) with check (owner = auth.uid())")
        say(f"create policy \"Deny\" on {t} as restrictive for delete to authenticated, anon using (false)")
        for role in ("anon", "authenticated", "service_role"):
            say(f"grant all on table {t} to {role}")
        say(f"revoke all on table {t} from anon")
    for again in range(2):
        for i in range(functions):
            name, t = f"public.f{i}(text, uuid)", f"public.t{i % tables}"
            if i % 4 == 0:
                say(f"create or replace function public.f{i}(named text, who uuid) returns bigint language sql stable security definer set search_path to '' as $$\n"
                    f"    select count(*) from {t} x where x.owner = who and x.name = named and x.created_at > now() - interval '{again + 1} days'\n$$")
            else:
                say(f"""create or replace function public.f{i}(named text, who uuid) returns bigint language plpgsql security definer set search_path to '' as $$
declare found_id uuid; total bigint := {again}; r record;
begin
    if who is null then raise exception 'no user' using errcode = '22023'; end if;
    select id into found_id from {t} where owner = who and name = named limit 1;
    if not found then
        insert into {t} (owner, name) values (who, named) returning id into found_id;
    end if;
    for r in select price, tags from {t} where owner = who loop
        if r.price > 10 and 'x' = any (r.tags) then total := total + 1; else total := total + coalesce(array_length(r.tags, 1), 0); end if;
    end loop;
    update {t} set updated_at = now(), data = jsonb_build_object('total', total) where id = found_id;
    return total{f' + public.f{i - 1}(named, who)' if i % 8 == 3 else ''};
exception when unique_violation then return -1;
end $$""")
            say(f"revoke all on function {name} from public")
            say(f"grant all on function {name} to {'authenticated' if again else 'service_role'}")
            if not again:
                say(f"alter function {name} owner to postgres")
            elif i % 8 == 0:
                say(f"comment on function {name} is 'What f{i} does'")
    for i in range(tables):
        say(f"create or replace function public.touch{i}() returns trigger language plpgsql as $$ begin new.updated_at := now(); return new; end $$")
        say(f"create trigger touch before insert or update on public.t{i} for each row execute function public.touch{i}()")
    for i in range(40):
        say(f"do $$ begin if not exists (select 1 from pg_policies where tablename = 't{i}' and policyname = 'Of the service') then\n"
            f"    create policy \"Of the service\" on public.t{i} for all to service_role using (true);\nend if; end $$")
    while len(out) < 4793:
        i = len(out)
        say(f"insert into public.t{i % tables} (owner, name, price) values ('00000000-0000-4000-8000-{i:012d}', 'row {i}', {i % 100})" if i % 3 else f"drop policy if exists \"No {i}\" on public.t{i % tables}")
    return ";\n".join(out) + ";\n"


def deployed(s, name, folder, sql_folder=None):
    began = time.monotonic()
    stores.run(bench.ORLO, "deploy", folder, "--state", s.state, timeout=600)
    return time.monotonic() - began


def deploy():
    sql = large()
    with stores.Node("dialect-deploy", [], pin=False) as s:
        times = [deployed(s, f"d{i}", stores.project(f"d{i}", sql)) for i in range(3)]
        bench.row("dialect", "deployment of a project of 4,793 statements", statistics.median(times), "s", 5, note=f"{len(sql) >> 10} KiB; at best {min(times):.2f} s")
        if real := os.environ.get("ORLO_BENCH_PROJECT"):
            folder = os.path.join(bench.WORK, "real")
            shutil.copytree(real, folder)
            if not os.path.exists(os.path.join(folder, "orlo.toml")):
                with open(os.path.join(folder, "orlo.toml"), "w", encoding="utf-8") as f:
                    f.write('name = "real"\ndatabase = "sqlite"\nmigrations = "supabase/migrations"\n')
            bench.row("dialect", "deployment of the project of $ORLO_BENCH_PROJECT", deployed(s, "real", folder), "s", 5)


PARTS = {"loops": loops, "triggers": triggers, "deploy": deploy}


def measure(name):
    for part, fn in PARTS.items():
        if name in ("dialect", "dialect-" + part):
            try:
                fn()
            except bench.Absent as e:
                bench.skipped("dialect", part, str(e))
