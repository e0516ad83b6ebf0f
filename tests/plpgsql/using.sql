create type addr as (street text, zip int);
create table p (id int primary key, ad addr, note text);
create table copy (id int, ad addr, note text);
create table audit (what text, n int);
insert into p values (1, row('main', 5), 'a'), (2, null, 'b');
grant all on p, copy, audit to anon;
create function of_composite() returns text language plpgsql as $$ declare a addr; s text; n int; begin
  a.street := 's'; a.zip := 3; execute 'select ($1).street || ($1).zip || $2' into s using a, 'x'; execute 'select ($1).zip + $2' into n using (select ad from p where id = 1), 4; return s || n; end $$;
create function of_field() returns text language plpgsql as $$ declare r p%rowtype; s text; begin select * into r from p where id = 1; execute 'select ($1).street || $2 || ($3).zip' into s using r.ad, r.id, r.ad; return s; end $$;
create function of_row() returns text language plpgsql as $$ declare r p%rowtype; s text; begin
  select * into r from p where id = 1; execute 'select ($1).note || (($1).ad).zip || $2' into s using r, 9; execute 'insert into copy select ($1).*' using r; execute 'insert into copy select $1.*' using r; return s || (select count(*) from copy); end $$;
create function of_null() returns text language plpgsql as $$ declare a addr; s text; begin execute 'select coalesce(($1).street, ''none'') || ($1 is null)' into s using a; return s; end $$;
create function to_columns() returns text language plpgsql as $$ declare a addr; s text; begin a := row('w', 8); execute 'update copy set ad = $1, note = ($1).street where id = 1' using a; select string_agg(note || (ad).zip, ',') into s from copy; return s; end $$;
create function made() returns text language plpgsql as $$ declare s text; begin execute 'select ($1).zip || ($1).street' into s using row('made', 12)::addr; return s; end $$;
create function trg() returns trigger language plpgsql as $$ begin
  execute format('insert into %I select ($1).*', 'copy') using new; execute 'insert into audit values ($1, ($2).id)' using tg_op, new; if tg_op = 'UPDATE' then execute 'insert into audit values ((($1).ad).street, ($2).id)' using old, new; end if; return null; end $$;
create trigger t after insert or update on p for each row execute function trg();
create function fires() returns text language plpgsql as $$ declare s text; begin delete from copy; delete from audit; insert into p values (7, row('q', 1), 'n'); update p set note = 'm' where id = 1;
  select string_agg(coalesce(what, '-') || n, ',' order by n, what) into s from audit; return s || (select string_agg(id || note, ',' order by id) from copy); end $$;
create function loops() returns text language plpgsql as $$ declare r record; a addr; s text := ''; begin a := row('z', 2); for r in execute 'select id, ($1).zip as z from p where id > $2 order by id' using a, 0 loop s := s || r.id || r.z; end loop; return s; end $$;
create function stmt() returns trigger language plpgsql as $$ declare n int; m int; begin
  execute 'select count(*), sum(id) from fresh' into n, m; execute 'insert into audit select ''x'' || f.note, f.id from fresh f where f.id > $1' using 0; execute format('insert into audit values (%L, %s)', 'n', n + m); return null; end $$;
create trigger s after insert on copy referencing new table as fresh for each statement execute function stmt();
create function both_sides() returns trigger language plpgsql as $$ declare r record; begin
  for r in execute 'select o.id, o.note as was, n.note as is from gone o join come n using (id) order by id' loop insert into audit values (r.was || r.is, r.id); end loop; return null; end $$;
create trigger b after update on copy referencing old table as gone new table as come for each statement execute function both_sides();
create function statements() returns text language plpgsql as $$ declare s text; begin delete from copy; delete from audit; insert into copy values (1, null, 'a'), (2, null, 'b'); update copy set note = note || '!'; select string_agg(what || n, ',' order by what, n) into s from audit; return s; end $$;
create function no_table() returns text language plpgsql as $$ begin execute 'select count(*) from fresh'; return 'x'; end $$;
-- ask
anon of_composite
anon of_field
anon of_row
anon of_null
anon to_columns
anon made
anon fires
anon loops
anon statements
anon no_table
