create table log (n serial primary key, said text not null);
create table p (id int primary key, code text unique, name text);
create table casc (id int primary key, p int references p on delete cascade on update cascade, v text default 'v');
create table nulls (id int primary key, p int references p on delete set null on update cascade, code text references p (code) on update set null on delete set null, v text default 'v');
create table deep (id int primary key, casc int references casc on delete cascade, v text default 'd');
create table loose (id int primary key, p int references p on delete set null);
create table tree (id int primary key, up int references tree on delete cascade, v text);
create table own (id int primary key, n int not null default 0, note text);
create table child_sum (id int primary key, own int references own, n int);
create function log_it() returns trigger language plpgsql as $$
begin
  insert into log (said) values (tg_table_name || ' ' || tg_when || ' ' || tg_op || ' ' || coalesce(to_jsonb(old)::text, '-') || ' ' || coalesce(to_jsonb(new)::text, '-'));
  return coalesce(new, old);
end $$;
create function log_statement() returns trigger language plpgsql as $$
begin insert into log (said) values (tg_table_name || ' ' || tg_when || ' ' || tg_op || ' statement'); return null; end $$;
create function stamp() returns trigger language plpgsql as $$ begin new.v := new.v || '!'; return new; end $$;
create trigger s before update on casc for each row execute function stamp();
create trigger s before update on nulls for each row execute function stamp();
create trigger z after update or delete on casc for each row execute function log_it();
create trigger z after update or delete on nulls for each row execute function log_it();
create trigger z after delete on deep for each row execute function log_it();
create trigger zs after update or delete on casc for each statement execute function log_statement();
create trigger bs before update or delete on nulls for each statement execute function log_statement();
create trigger zs after update or delete on nulls for each statement execute function log_statement();
create trigger z after delete on p for each row execute function log_it();

-- a row that its own trigger changes
create function meddle() returns trigger language plpgsql as $$
begin
  if new.note = 'self' then update own set n = n + 1 where id = new.id; end if;
  if new.note = 'other' then update own set n = n + 1 where id = new.id + 1; end if;
  if new.note = 'gone' then delete from own where id = new.id; end if;
  if new.note = 'log' then insert into log (said) values ('fine'); end if;
  return new;
end $$;
create trigger meddle before update of note on own for each row execute function meddle();
create function meddle_delete() returns trigger language plpgsql as $$
begin
  if old.note = 'touch' then update own set n = n + 1 where id = old.id; end if;
  if old.note = 'tidy' then delete from child_sum where own = old.id; end if;
  return old;
end $$;
create trigger meddle_delete before delete on own for each row execute function meddle_delete();
create function sum_up() returns trigger language plpgsql as $$ begin update own set n = (select sum(s.n) from child_sum s where s.own = new.own) where id = new.own; return null; end $$;
create trigger sum_up after insert or update on child_sum for each row execute function sum_up();
grant all on all tables in schema public to anon;
grant all on all sequences in schema public to anon;

create function said() returns setof text language sql as $$ select said from log order by n $$;
create function quiet() returns void language sql as $$ delete from log where true $$;
create function fill() returns void language plpgsql as $$
begin
  insert into p values (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three');
  insert into casc values (1, 1), (2, 1), (3, 2);
  insert into nulls values (1, 1, null), (2, 1, null), (3, 3, 'c'), (4, null, 'b');
  insert into deep values (1, 1), (2, 1), (3, 3);
  insert into loose values (1, 1);
  insert into own values (1), (2), (3);
end $$;
create function del(a int, b int) returns void language plpgsql as $$ begin delete from p where id between a and b; end $$;
create function move(a int, b int) returns void language plpgsql as $$ begin update p set id = b where id = a; end $$;
create function recode(a text, b text) returns void language plpgsql as $$ begin update p set code = b where code = a; end $$;
create function rename(a int) returns void language plpgsql as $$ begin update p set name = name || '.' where id = a; end $$;
create function upsert(a int, c text) returns void language plpgsql as $$ begin insert into p values (a, c, 'new') on conflict (id) do update set code = excluded.code; end $$;
create function note(a int, w text) returns void language plpgsql as $$ begin update own set note = w where id >= a; end $$;
create function drop_own(a int) returns void language plpgsql as $$ begin delete from own where id = a; end $$;
create function kid(a int, o int, x int) returns void language plpgsql as $$ begin insert into child_sum values (a, o, x); end $$;

-- ask
anon fill
anon move {"a": 2, "b": 20}
anon said
anon quiet
anon recode {"a": "c", "b": "cc"}
anon said
anon quiet
anon rename {"a": 1}
anon said
anon upsert {"a": 20, "c": "bb"}
anon said
anon quiet
anon {"kind": "update", "from": "p", "set": {"id": 30}, "where": {"column": "id", "op": "eq", "value": 3}, "select": ["id", "code"]}
anon said
anon quiet
anon del {"a": 1, "b": 1}
anon said
anon {"from": "casc", "order": [{"column": "id"}]}
anon {"from": "nulls", "order": [{"column": "id"}]}
anon {"from": "deep", "order": [{"column": "id"}]}
anon {"from": "loose", "order": [{"column": "id"}]}
anon quiet
anon {"kind": "delete", "from": "p", "where": {"column": "id", "op": "gt", "value": 10}, "select": ["id"]}
anon {"from": "casc", "order": [{"column": "id"}]}
anon {"from": "nulls", "order": [{"column": "id"}]}
anon note {"a": 1, "w": "log"}
anon note {"a": 3, "w": "self"}
anon note {"a": 2, "w": "other"}
anon note {"a": 3, "w": "gone"}
anon note {"a": 3, "w": "touch"}
anon drop_own {"a": 3}
anon {"kind": "update", "from": "own", "set": {"note": "self"}, "where": {"column": "id", "op": "eq", "value": 1}}
anon note {"a": 3, "w": "tidy"}
anon kid {"a": 1, "o": 3, "x": 5}
anon kid {"a": 2, "o": 3, "x": 6}
anon {"from": "own", "order": [{"column": "id"}]}
anon drop_own {"a": 3}
anon {"from": "own", "order": [{"column": "id"}]}
