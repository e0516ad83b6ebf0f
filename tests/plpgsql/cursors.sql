create table nums (id int primary key, word text, n numeric(6,2));
insert into nums select i, 'w' || i, i * 1.5 from generate_series(1, 5) i;
grant all on nums to anon;
create function walks() returns text language plpgsql as $$
declare c cursor for select id, word from nums order by id; a int; b text; s text := '';
begin
  open c;
  loop
    fetch c into a, b;
    exit when not found;
    s := s || a || b || ' ';
  end loop;
  close c;
  return s || found || coalesce(a::text, '-');
end $$;
create function with_arguments(lo int) returns text language plpgsql as $$
declare c cursor (f int, t int) for select id, n from nums where id between f and t order by id desc; r record; s text := '';
begin
  open c(lo, lo + 2);
  fetch c into r; s := s || r.id || ':' || r.n || ' ';
  fetch c into r; s := s || r.id || ' ';
  close c;
  open c(t := 5, f := 5);
  fetch c into r; s := s || r.id;
  fetch c into r; s := s || found;
  close c;
  for r in c(t := 2, f := 1) loop s := s || '|' || r.id || r.n; end loop;
  return s || found;
end $$;
create function moves(how int) returns text language plpgsql as $$
declare c scroll cursor for select id from nums order by id; v int; k bigint; s text := '';
begin
  open c;
  if how = 1 then
    fetch last from c into v; s := s || v; fetch prior from c into v; s := s || v; fetch first in c into v; s := s || v;
    fetch absolute 3 from c into v; s := s || v; fetch relative 1 from c into v; s := s || v; fetch relative -2 from c into v; s := s || v;
    fetch absolute -1 from c into v; s := s || v; fetch next from c into v; s := s || coalesce(v::text, '-') || found;
    fetch prior from c into v; s := s || v; fetch relative 0 from c into v; s := s || v; fetch absolute 0 from c into v; s := s || coalesce(v::text, '-') || found;
    fetch forward from c into v; s := s || v; fetch backward from c into v; s := s || coalesce(v::text, '-') || found;
  elsif how = 2 then
    move c; fetch c into v; s := s || v; move forward 2 from c; get diagnostics k = row_count; s := s || found || k; fetch c into v; s := s || v;
    move forward 9 from c; get diagnostics k = row_count; s := s || found || k; move backward all from c; get diagnostics k = row_count; s := s || found || k;
    move forward all in c; get diagnostics k = row_count; s := s || k; fetch prior from c into v; s := s || v; move relative -3 from c; s := s || found; fetch c into v; s := s || v;
    move last from c; s := s || found; move next from c; s := s || found; move first from c; fetch c into v; s := s || v;
  elsif how = 3 then
    for i in 1..7 loop fetch c into v; s := s || coalesce(v::text, '-'); end loop;
    fetch relative -1 from c into v; s := s || v; fetch backward from c into v; s := s || v;
  end if;
  close c;
  return s;
end $$;
create function unbound(k int) returns text language plpgsql as $$
declare c refcursor; a int; b text; r nums%rowtype; s text := '';
begin
  open c for select id, word from nums where id >= k order by id;
  fetch c into a, b; s := s || a || b; close c;
  open c for select id, word from nums where id < k order by id desc;
  fetch c into a, b; s := s || coalesce(a::text, '-') || coalesce(b, '-'); close c;
  return s;
end $$;
create function executed(t text, k int) returns text language plpgsql as $$
declare c refcursor; a text; b int; s text := '';
begin
  open c for execute format('select id, n from %I where id > $1 order by id', t) using k;
  loop fetch c into a, b; exit when not found; s := s || a || ':' || b || ' '; end loop;
  close c; return s;
end $$;
create function wrong(how int) returns text language plpgsql as $$
declare c cursor for select id from nums order by id; u refcursor; v int;
begin
  if how = 1 then fetch c into v; end if;
  if how = 2 then open c; open c; end if;
  if how = 3 then open c; close c; fetch c into v; end if;
  if how = 4 then close u; end if;
  if how = 5 then open c; close c; close c; end if;
  if how = 6 then open u for select 1/0; fetch u into v; end if;
  if how = 7 then open c; fetch relative null from c into v; end if;
  if how = 8 then begin open c; fetch c into v; raise exception 'x'; exception when others then null; end; fetch c into v; return v; end if;
  return 'none';
end $$;
create function rows_of() returns setof text language plpgsql as $$
declare c cursor for select word from nums order by id; r record;
begin for r in c loop continue when r.word = 'w2'; return next r.word; exit when r.word = 'w4'; end loop; return next found::text; end $$;
create function nested() returns text language plpgsql as $$
declare a cursor for select id from nums where id < 3 order by id; b cursor (x int) for select id from nums where id > x and id < 5 order by id; s text := '';
begin for r in a loop for q in b(r.id) loop s := s || r.id || q.id || ' '; end loop; end loop; return s; end $$;
create function later() returns text language plpgsql as $$
declare c cursor for select count(*) as k from nums; r record; s text := '';
begin open c; delete from nums where id > 3; fetch c into r; s := s || r.k; close c; open c; fetch c into r; s := s || r.k; close c; insert into nums values (4, 'w4', 6), (5, 'w5', 7.5); return s; end $$;
create function into_row() returns text language plpgsql as $$
declare c cursor for select * from nums order by id; r nums%rowtype; begin open c; move c; fetch c into r; close c; return r.id || r.word || r.n; end $$;

-- ask
anon walks
anon with_arguments {"lo": 2}
anon moves {"how": 1}
anon moves {"how": 2}
anon moves {"how": 3}
anon unbound {"k": 3}
anon unbound {"k": 1}
anon executed {"t": "nums", "k": 2}
anon executed {"t": "none", "k": 2}
anon wrong {"how": 1}
anon wrong {"how": 2}
anon wrong {"how": 3}
anon wrong {"how": 4}
anon wrong {"how": 5}
anon wrong {"how": 6}
anon wrong {"how": 7}
anon wrong {"how": 9}
anon rows_of
anon nested
anon later
anon into_row
