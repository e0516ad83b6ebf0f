"""What of migrations runs as functions do: DO blocks, rows that fire triggers, calls; what they tell, and that nothing is half done where one fails."""
from nodes import *
from admin_test import cli
from database_test import project, put, query
from front_test import keys_of
import http.client, threading

FIRST = """create table notes (id int primary key, t text);
create table log (id int generated always as identity primary key, what text);
grant all on notes, log to service_role;
create function tell(x text) returns int language plpgsql as $$ begin insert into log (what) values (x); return 1; end $$;
create function fires() returns trigger language plpgsql as $$ begin perform tell(tg_op || ' ' || new.id); return new; end $$;
create trigger fires after insert on notes for each row execute function fires();
"""
SECOND = """do $$ begin
  perform cron.unschedule('nightly');
exception when others then
  raise notice 'there is no %', 'job';
end $$;
insert into notes values (1, 'one'), (2, 'two');
alter table notes add column n int not null default 7;
do $$ declare r record; changed int; begin
  for r in select * from notes order by id loop
    update notes set n = n + r.id where id = r.id;
  end loop;
  get diagnostics changed = row_count;
  raise warning 'the last one: %', changed;
  begin
    perform tell('undone');
    insert into notes values (1, 'again', 0);
  exception when unique_violation then perform tell('caught');
  end;
end $$;
do $$ declare k int; found int; begin
  for k in execute 'select id from notes where n > $1 order by id' using 8 loop
    execute format('update notes set t = t || %L where id = %s', '!', k);
  end loop;
  execute 'select count(*) from notes' into found;
  begin execute 'insert into notes values (1)'; exception when unique_violation then perform tell('again ' || found); end;
end $$;
drop trigger fires on notes;
insert into notes values (3, 'three');
select tell('called');
"""
KEYS = "create table p (id int primary key); create table c (p int references p deferrable initially deferred);\n"
# A migration, its SQLSTATE, what is said; each is refused as it is run, and nothing of its file is there.
BAD = (
    ("begin loop begin perform 1; exception when others then null; end; end loop; end", "57014", "timeout"),
    ("declare a text := 'x'; begin loop begin a := a || a; perform 1; exception when data_exception then null; end; end loop; end", "54000", "larger"),
    ("declare a text[] := '{}'; begin loop begin a := a || repeat('x', 1000000); exception when others then null; end; perform 1; end loop; end", "5", ""),
    ("begin perform tell('gone'); raise exception 'no %', 'more' using hint = 'stop', errcode = '22000'; end", "22000", "no more"),
    ("begin begin insert into c values (9); exception when others then null; end; perform tell('late'); end", "23503", ""),
    ("begin insert into notes values (9, 'nine', 9); insert into notes values (9, 'nine', 9); end", "23505", "duplicate key"),
    ("begin perform deep(1); exception when others then null; end", "54001", "stack depth"),
    ("begin perform again() from generate_series(1, 100000); exception when others then null; end", "57014", "timeout"),
)


def test_database_blocks():
    folder = project({"migrations/1_first.sql": FIRST, "migrations/2_second.sql": SECOND},
                     'name = "notes"\ndatabase = "sqlite"\n\n[limits]\nmigration_timeout_ms = "1500ms"\n')
    with node() as n:
        said = cli(n, "deploy", folder)
        has(said, "migrations/2_second.sql:1: NOTICE: there is no job", "2_second.sql:8: WARNING: the last one: 1")

        def rows():
            return (query(n, {"from": "notes", "order": [{"column": "id"}]}, "service_role"),
                    [r["what"] for r in query(n, {"from": "log", "select": ["what"], "order": [{"column": "id"}]}, "service_role")])

        before = rows()
        eq(before, ([{"id": 1, "t": "one", "n": 8}, {"id": 2, "t": "two!", "n": 9}, {"id": 3, "t": "three", "n": 7}],
                    ["INSERT 1", "INSERT 2", "caught", "again 2", "called"]))
        for body, state, words in BAD:
            put(folder, "migrations/3_bad.sql",
                KEYS + "create function deep(n int) returns int language plpgsql as $$ begin return deep(n + 1); end $$;\n"
                "create function again() returns int language plpgsql as $$ begin return (select count(*) from generate_series(1, 100000)); end $$;\n"
                "insert into notes values (8, 'eight', 8); alter table notes rename column t to title;\n"
                "do $$ " + body + " $$;\n")
            said = cli(n, "deploy", folder, code=65)
            has(said, "3_bad.sql", ": " + state, words)
            eq(rows(), before)
        # What is told has an end; and what was refused is no one's any more.
        put(folder, "migrations/3_bad.sql", "do $$ begin for i in 1..5000 loop perform 1; raise notice 'turn %', i; end loop; end $$;\n")
        said = cli(n, "deploy", folder)
        has(said, "NOTICE: turn 1\n", "NOTICE: turn 20\n")
        check(said.count("turn") <= 200, said.count("turn"))
        eq(rows(), before)
        eq(n.events("role-died"), [])


READ = """create table notes (id int primary key, t text);
grant all on notes to anon;
insert into notes values (1, 'one');
"""


def test_database_blocks_read():
    """While a deployment is at a block, somebody who has no connection open yet, as after a worker's death, reads what is there."""
    folder = project({"migrations/1.sql": READ}, 'name = "notes"\ndatabase = "sqlite"\n\n[limits]\nmigration_timeout_ms = "6s"\n')
    with node("--workers", "1") as n:
        cli(n, "deploy", folder)
        head = {"Host": "notes.localhost", "apikey": keys_of(n, "notes")["anon"], "content-type": "application/json"}

        def ask(method, body=None):
            c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=60)
            try:
                c.request(method, "/rest/v1/notes", body, head)
                r = c.getresponse()
                return r.status, r.read()
            except OSError:  # of a worker that was killed
                return 0, b""
            finally:
                c.close()

        eq(ask("GET")[0], 200)
        put(folder, "migrations/2.sql", "do $$ begin loop perform 1; end loop; end $$;\n")
        said, seen = [], 0
        deploying = threading.Thread(target=lambda: said.append(cli(n, "deploy", folder, code=65)))
        writing = threading.Thread(target=lambda: ask("POST", '{"id": 2}'))
        deploying.start()
        while deploying.is_alive() and not writing.is_alive():
            writing = threading.Thread(target=lambda: ask("POST", '{"t": "no key"}'))
            writing.start()
            writing.join(1)  # short: one that is not done by then waits behind the block, so that runs
        while deploying.is_alive() and not seen:
            for pid in n.processes("worker"):
                processes.kill(pid)
            status, body = ask("GET")
            seen += deploying.is_alive() and status == 200 and json.loads(body) == [{"id": 1, "t": "one"}]
        deploying.join()
        writing.join()
        has(said[0], "57014")
        check(seen, "nobody could begin to read while the block ran")
