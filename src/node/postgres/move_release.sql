-- All rows are there: what move_hold.sql took away is as it was.
do $orlo_release$
declare
  r record;
  path constant text := current_setting('search_path');
begin
  if to_regclass('_orlo.held') is null then
    return;
  end if;
  perform set_config('search_path', 'pg_catalog', true);
  for r in select back from _orlo.held order by n loop
    execute r.back;
  end loop;
  drop table _orlo.held;
  perform set_config('search_path', path, true);
end $orlo_release$
