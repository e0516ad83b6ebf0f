-- DO blocks of a deployment, and rows that migrations write: what they leave is the same on both engines.
create table t (id int primary key, n int not null default 0);
create table c (id int, t int references t on delete cascade);
create table log (id int generated always as identity primary key, w text);
grant all on t, c, log to service_role;
create function f(x int) returns int language plpgsql as $$ begin if x > 6 then raise exception 'f of %', x; end if; update t set n = n + 1 where id = x; return x; end $$;
create function tg() returns trigger language plpgsql as $$ begin
  if new.n = 13 then return null; end if;
  insert into log (w) values (tg_op || ' ' || new.id || ' ' || new.n);
  return new;
end $$;
create trigger tg before insert or update on t for each row execute function tg();
insert into t values (1, 1), (2, 2), (3, 13), (4, 4);
do $$ declare i int; r record; begin
  for r in select * from t order by id desc loop
    i := f(r.id);
    begin
      update t set n = n / (r.id - 2) where id = r.id;
      insert into log (w) values ('well ' || r.id);
    exception when division_by_zero then insert into log (w) values (sqlstate || ' ' || r.id);
    end;
  end loop;
  update t set n = n + 100 where id < 3;
  get diagnostics i = row_count;
  insert into log (w) values ('changed ' || i);
end $$;
do $$ declare k int; begin
  insert into c values (1, 1), (2, 2), (3, 4);
  begin
    perform f(1);
    perform f(7);
  exception when others then insert into log (w) values (sqlerrm);
  end;
  begin
    insert into c values (9, 99);
  exception when foreign_key_violation then insert into log (w) values (sqlstate);
  end;
  delete from t where id = 2 returning n into k;
  insert into log (w) values (k || ' ' || found::text || ' ' || (select count(*) from c));
  select n into k from t where id = 2;
  insert into log (w) values (coalesce(k, -1) || ' ' || found::text);
end $$;
alter table t rename column n to number;
create or replace function tg() returns trigger language plpgsql as $$ begin insert into log (w) values ('later ' || new.number); return new; end $$;
with up as (update t set number = number * 2 where id = 4 returning id, number) insert into log (w) select 'up ' || id || ' ' || number from up;
do $$ declare x text; n int; begin
  for n in 1..3 loop
    continue when n = 2;
    for x in execute format('select id::text || %L from t where id >= $1 order by id', '!') using n loop
      insert into log (w) values (n || x);
      exit when n = 3;
    end loop;
  end loop;
  execute 'update t set number = $1 where id = 1' using 55;
  begin
    execute 'insert into t values (1, 2)';
  exception when unique_violation then insert into log (w) values ('there');
  end;
end $$;
drop trigger tg on t;
insert into t values (8, 8);
do $$ begin if exists (select 1 from pg_trigger where tgname = 'tg') then insert into log (w) values ('a trigger'); elsif exists (select 1 from t where number = 8) then insert into log (w) values ('none, and 8'); end if; end $$;

-- ask
service_role {"kind": "select", "from": "t", "order": [{"column": "id"}]}
service_role {"kind": "select", "from": "c", "order": [{"column": "id"}]}
service_role {"kind": "select", "from": "log", "select": ["w"], "order": [{"column": "id"}]}
