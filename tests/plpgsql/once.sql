create table log (what text, n int);
create table t (id int primary key, v numeric);
insert into t values (1, 1), (2, 2.5), (3, null);
grant all on log, t to anon;
create function f(x int) returns int language plpgsql as $$ begin insert into log values ('f', x); return x; end $$;
create function g(x numeric) returns numeric language plpgsql as $$ begin insert into log values ('g', x); return x; end $$;
create function w(x text) returns text language plpgsql as $$ begin insert into log values (x, 0); return x; end $$;
create function n() returns text language plpgsql as $$ declare c text; begin select ' ' || count(*) into c from log; delete from log; return c; end $$;
create function greatests() returns text language plpgsql as $$ declare x int; s text; begin
  s := greatest(x, f(2))::text || n(); s := s || greatest(null, f(1)) || n(); s := s || (greatest(x, f(5), 3) + f(1)) || n(); s := s || least(f(4), f(2), x) || n();
  s := s || greatest('B', w('a'), 'é') || least(w('Z'), 'a') || n(); s := s || greatest(f(2), g(1.5), 2.25) || n(); return s || coalesce(greatest(x, f(null))::text, '-') || n(); end $$;
create function queries() returns text language plpgsql as $$ declare s text; begin
  select string_agg(greatest(v, f(id))::text, ',' order by id) into s from t; s := s || n();
  select s || string_agg(least(f(id), t.v, 1.5)::text, ',' order by id) into s from t where greatest(f(id), v) > 1; return s || n(); end $$;
create function nullifs() returns text language plpgsql as $$ declare s text; begin
  s := coalesce(nullif(f(1), 1.0)::text, '-') || n(); s := s || coalesce(nullif(f(2), 1::bigint)::text, '-') || n(); return s || coalesce(nullif(g(1.5), 1)::text, '-') || n(); end $$;
create function distincts() returns text language plpgsql as $$ declare s text; x int; begin
  s := (f(1) is distinct from 1.0)::text || n(); s := s || (g(1.0) is not distinct from f(1)) || n(); s := s || (f(null) is distinct from x::numeric) || n(); return s || (g(null) is distinct from 2::bigint) || n(); end $$;
create function cases() returns text language plpgsql as $$ declare s text; begin
  s := case f(2) when 1.5 then 'a' when 2::bigint then 'b' when 2 then 'c' end || n(); s := s || case f(3) when 1 then 'a' when 2 then 'b' else 'd' end || n(); return s || coalesce(case g(7) when 1::bigint then 'a' when 2.5 then 'b' end, '-') || n(); end $$;
create function ins() returns text language plpgsql as $$ declare s text; begin
  s := (f(1) in (1, 2, 3))::text || n(); s := s || (f(3) in (1.5, 2::bigint, 3)) || n(); return s || (f(3) not in (1, 2::bigint)) || n(); end $$;
-- ask
anon greatests
anon queries
anon nullifs
anon distincts
anon cases
anon ins
