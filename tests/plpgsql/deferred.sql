create table orders (id int primary key, note text);
create table items (id int primary key, o int references orders, n int);
create table log (id int generated always as identity primary key, what text);
grant all on orders, items, log to anon;
create function has_items() returns trigger language plpgsql as $$ begin
  insert into log (what) values (tg_op || ' ' || coalesce(new.id, old.id) || ' ' || current_user);
  if tg_op <> 'DELETE' and not exists (select 1 from items where o = new.id) then raise exception 'order % has no items', new.id using errcode = '23514'; end if; return null; end $$;
create constraint trigger has_items after insert or update on orders deferrable initially deferred for each row execute function has_items();
create function told() returns trigger language plpgsql as $$ begin insert into log (what) values ('item ' || coalesce(new.id, old.id)); if new.n = 7 then insert into items values (new.id + 100, new.o, 1); end if; return null; end $$;
create constraint trigger told after insert or delete on items deferrable initially deferred for each row when (pg_trigger_depth() >= 0) execute function told();
create function at_once() returns trigger language plpgsql as $$ begin insert into log (what) values ('at once ' || new.id); return null; end $$;
create constraint trigger at_once after insert on items deferrable initially immediate for each row execute function at_once();
create function whole(i int) returns text language plpgsql as $$ begin insert into orders values (i, 'x'); insert into items values (i * 10, i, 1); return (select string_agg(what, ',' order by id) from log); end $$;
create function without(i int) returns text language plpgsql as $$ begin insert into orders values (i, 'x'); return 'inserted'; end $$;
create function caught(i int) returns text language plpgsql as $$ begin
  begin insert into orders values (i, 'x'); raise exception 'undone'; exception when raise_exception then null; end;
  begin insert into items values (i, 1, 1); insert into items values (i, 1, 1); exception when unique_violation then null; end; return 'on'; end $$;
create function gone(i int) returns text language plpgsql as $$ begin insert into orders values (i, 'x'); delete from orders where id = i; return 'gone'; end $$;
create function more(i int) returns text language plpgsql as $$ begin insert into items values (i, 1, 7); return 'more'; end $$;
create function clear() returns text language plpgsql as $$ declare s text; begin select string_agg(what, ',' order by id) into s from log; delete from log; return s; end $$;
-- ask
anon whole {"i": 1}
anon clear
anon without {"i": 2}
anon {"from": "orders", "select": ["id"], "order": [{"column": "id"}]}
anon caught {"i": 50}
anon clear
anon gone {"i": 60}
anon clear
anon more {"i": 70}
anon clear
anon {"kind": "insert", "from": "orders", "rows": [{"id": 80}]}
anon {"kind": "update", "from": "orders", "set": {"note": "y"}, "where": {"column": "id", "op": "eq", "value": 1}}
anon clear
anon {"from": "items", "select": ["id"], "order": [{"column": "id"}]}
