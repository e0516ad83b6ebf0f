create table items (id int primary key, name text, price numeric(8,2), tags text[], j jsonb, at date);
insert into items values (1, 'one', 1.5, '{a,b}', '{"k": 1}', '2026-01-02'), (2, 'two', 2.25, '{}', null, null), (3, 'three', 10, null, '[1]', '2026-03-04');
create table more (id int primary key, item int, word text);
insert into more values (1, 1, 'x'), (2, 1, 'y'), (3, 3, 'z');
create table sink (id int, name text, price numeric(8,2));
grant all on items, more, sink to anon;
create function each(t text) returns text language plpgsql as $$ declare r record; s text := ''; n numeric := 0; begin
  for r in execute format('select * from %I order by id', t) loop s := s || r.id || r.name; n := n + r.price; if r.price > 2 then s := s || '!'; end if; end loop;
  return s || n || found; end $$;
create function one(q text) returns text language plpgsql as $$ declare r record; begin execute q into r; return coalesce(r.id::text, 'null') || '/' || coalesce(r.name, 'null'); end $$;
create function typed() returns text language plpgsql as $$ declare r record; s text := ''; begin
  for r in execute 'select * from items order by id' loop
    s := s || coalesce(r.tags[1], '-') || coalesce((r.j ->> 'k')::int + 1, 0) || coalesce(r.at + 1, '1999-01-01'::date) || jsonb_build_object('p', r.price, 'n', r.id)::text;
  end loop; return s; end $$;
create function fills() returns bigint language plpgsql as $$ declare r record; n bigint; begin
  for r in execute 'select id, name, price from items' loop
    insert into sink values (r.id, r.name, r.price);
    update sink set name = r.name || '+' where id = r.id and price > 2;
    if found then null; end if;
  end loop; select count(*) into n from sink where name like '%+'; return n; end $$;
create function passes() returns text language plpgsql as $$ declare r record; v int; s text := ''; begin
  for r in execute 'select id, name from items order by id' loop
    execute 'select count(*) from more where item = $1' into v using r.id;
    s := s || r.name || v; raise notice '% %', r.id, r.name;
    select count(*) into v from more where item = r.id; s := s || v;
    perform length(r.name);
  end loop; return s; end $$;
create function within() returns text language plpgsql as $$ declare r record; q record; s text := ''; begin
  for r in execute 'select id from items order by id' loop
    for q in select word, r.id * 10 as ten from more where item = r.id order by id loop s := s || r.id || q.word || q.ten; end loop;
    select word, r.id into q from more where item = r.id order by id limit 1;
    s := s || coalesce(q.word, '-');
  end loop; return s; end $$;
create function gives() returns table (a int, b text) language plpgsql as $$ declare r record; begin
  for r in execute 'select id, name from items order by id' loop a := r.id; b := upper(r.name); return next; return query select m.id, m.word from more m where m.item = r.id order by m.id; end loop; end $$;
create function changes(n int) returns text language plpgsql as $$ declare r record; s text := ''; begin
  for i in 1..n loop
    if i % 2 = 0 then execute 'select 7 as a, ''x'' as b' into r; else execute 'select ''y'' as b, 8 as a, true as c' into r; end if;
    s := s || r.a || r.b || ' ';
  end loop; return s; end $$;
create function unset(how int) returns text language plpgsql as $$ declare r record; begin
  if how = 1 then execute 'select 1 as a' into r; end if;
  if how = 2 then execute 'select 1 as a where false' into r; end if;
  if how = 3 then execute 'select 1 as a' into r; return r.b; end if;
  return coalesce(r.a::text, 'null'); end $$;
create function outer_of(x int, "Big One" text) returns text language plpgsql as $$ <<o>> declare r record; x2 int := x * 2; begin
  execute 'select 5 as v' into r;
  declare x2 int := 100; begin return r.v + x2 + o.x2 + outer_of.x || "Big One" || $1; end; end $$;
create function cursors_of(t text) returns text language plpgsql as $$ declare c refcursor; r record; s text := ''; begin
  open c for execute format('select id, name from %I order by id', t);
  loop fetch c into r; exit when not found; s := s || r.id || r.name; end loop; close c; return s; end $$;
create function returning_of() returns text language plpgsql as $$ declare r record; begin
  execute 'insert into sink values (9, $1, 1) returning *' into r using 'nine'; return r.id + 1 || r.name || r.price; end $$;
create function watched() returns trigger language plpgsql as $$ declare r record; begin
  execute format('select count(*) as n from %I', tg_table_name) into r; new.name := new.name || r.n; return new; end $$;
create table seen (id int primary key, name text);
create trigger watching before insert on seen for each row execute function watched();
grant all on seen to anon;

-- ask
anon each {"t": "items"}
anon each {"t": "more"}
anon one {"q": "select * from items where id = 2"}
anon one {"q": "select id, name from items where false"}
anon one {"q": "select name from items where id = 1"}
anon typed
anon fills
anon passes
anon within
anon gives
anon changes {"n": 4}
anon unset {"how": 0}
anon unset {"how": 1}
anon unset {"how": 2}
anon unset {"how": 3}
anon outer_of {"x": 3, "Big One": "b"}
anon cursors_of {"t": "items"}
anon returning_of
anon {"kind": "insert", "from": "seen", "rows": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], "select": ["name"], "order": [{"column": "id"}]}
