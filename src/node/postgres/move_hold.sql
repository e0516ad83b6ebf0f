-- Rows are put into a server that somebody runs, and set nothing off: as a replica has it, where its role may; else keys are taken away and triggers turned off until all rows are there
-- (move_release.sql), which looks at every key again. Not where no move began.
do $orlo_hold$
declare
  r record;
  path constant text := current_setting('search_path');
begin
  if to_regclass('_orlo.before') is null then
    return;
  end if;
  set constraints all immediate;
  begin
    set local session_replication_role = replica;
    return;
  exception when insufficient_privilege then
    null;
  end;
  perform set_config('search_path', 'pg_catalog', true);
  create table if not exists _orlo.held (n integer generated always as identity, back text not null);
  for r in
    select c.oid, c.conname, format('%I.%I', n.nspname, t.relname) as name from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_namespace n on n.oid = t.relnamespace
      where c.contype = 'f' and c.conparentid = 0 and n.nspname <> '_orlo' and pg_has_role(t.relowner, 'usage')
  loop
    insert into _orlo.held (back) values (format('alter table %s add constraint %I %s', r.name, r.conname, pg_get_constraintdef(r.oid)));
    if obj_description(r.oid, 'pg_constraint') is not null then
      insert into _orlo.held (back) values (format('comment on constraint %I on %s is %L', r.conname, r.name, obj_description(r.oid, 'pg_constraint')));
    end if;
    execute format('alter table %s drop constraint %I', r.name, r.conname);
  end loop;
  for r in
    select g.tgname, g.tgenabled, format('%I.%I', n.nspname, t.relname) as name from pg_trigger g join pg_class t on t.oid = g.tgrelid join pg_namespace n on n.oid = t.relnamespace
      where not g.tgisinternal and g.tgparentid = 0 and g.tgenabled <> 'D' and t.relkind in ('r', 'p') and n.nspname <> '_orlo' and pg_has_role(t.relowner, 'usage')
  loop
    insert into _orlo.held (back) values (format('alter table %s enable %s trigger %I', r.name, case r.tgenabled when 'R' then 'replica' when 'A' then 'always' else '' end, r.tgname));
    execute format('alter table %s disable trigger %I', r.name, r.tgname);
  end loop;
  for r in
    select format('%I.%I', n.nspname, t.relname) as name from pg_class t join pg_namespace n on n.oid = t.relnamespace
      where t.relforcerowsecurity and pg_has_role(t.relowner, 'usage')
  loop
    insert into _orlo.held (back) values (format('alter table %s force row level security', r.name));
    execute format('alter table %s no force row level security', r.name);
  end loop;
  perform set_config('search_path', path, true);
end $orlo_hold$
