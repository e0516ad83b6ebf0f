create type addr as (street text, zip int);
create type deep as (a addr, many addr[], n int);
create table p (id int primary key, ad addr, d deep, tags text[]);
insert into p values (1, row('main', 5), row(row('s', 1), array[row('x', 1), row('y', 2)]::addr[], 3), '{a,b}');
grant all on p to anon;
create function late_element() returns text language plpgsql as $$ declare r record; a text[]; n int[]; begin
  for r in execute 'select id, tags[1] as x from p' loop a[1] := r.x; a[r.id + 1] := r.x || '!'; n[r.id] := r.id + 1; end loop; return a::text || n::text; end $$;
create function late_json() returns text language plpgsql as $$ declare r record; j jsonb := '{"k": [1, 2]}'; begin
  for r in execute 'select 1 as i, ''k'' as k, 9 as v' loop j[r.k][r.i] := to_jsonb(r.v); end loop; return j; end $$;
create function of_row() returns text language plpgsql as $$ declare r p%rowtype; begin
  select * into r from p; r.ad.street := 'new'; r.ad.zip := 1.6; return r.ad::text || (r.ad).zip; end $$;
create function of_record() returns text language plpgsql as $$ declare r record; begin
  select * into r from p; r.ad.street := r.id || 'x'; r.d.a.zip := 77; r.d.many[2].street := 'z'; r.d.many[3].zip := 8; return r.ad::text || r.d::text; end $$;
create function of_var() returns text language plpgsql as $$ declare a addr; d deep; begin
  a.street := 'q'; d.a.zip := 4; d.a := a; d.n := 1; d.many[1].street := 'o'; return a::text || d::text || (d.a).street; end $$;
create function of_nulls() returns text language plpgsql as $$ declare r p%rowtype; begin
  r.ad.street := 'only'; r.d.a.street := 'deep'; return r.ad::text || r.d::text || (r.id is null); end $$;
create function of_array() returns text language plpgsql as $$ declare a addr[]; begin
  a[1].street := 'one'; a[2].zip := 3; a[1].zip := 2; return a::text; end $$;
create function no_field() returns text language plpgsql as $$ declare r p%rowtype; begin r.ad.nope := 1; return 'no'; end $$;
create function no_part() returns text language plpgsql as $$ declare r p%rowtype; begin r.id.nope := 1; return 'no'; end $$;
create function into_part() returns text language plpgsql as $$ declare "odd ""name" addr; begin "odd ""name"."street" := 'w'; return "odd ""name"::text; end $$;
create function trig() returns trigger language plpgsql as $$ begin new.ad.street := upper((new.ad).street); new.tags[2] := 'T'; return new; end $$;
create trigger t before update on p for each row execute function trig();
create function fires() returns text language plpgsql as $$ declare s text; begin update p set id = 1 returning ad::text || tags::text into s; return s; end $$;
create function sets() returns text language plpgsql as $$ declare s text; begin update p set d.a.zip = 6, d.many[1].zip = 4 returning d::text into s; return s; end $$;
-- ask
anon late_element
anon late_json
anon of_row
anon of_record
anon of_var
anon of_nulls
anon of_array
anon no_field
anon no_part
anon into_part
anon fires
anon sets
