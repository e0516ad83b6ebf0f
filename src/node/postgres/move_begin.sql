-- A move to a server that somebody runs begins: it is empty, or nothing is done there. What is there by then is noted down, so that move_undo.sql can take away the rest.
do $orlo_begin$
declare
  r record;
  is_there boolean;
  name text;
  path constant text := pg_catalog.current_setting('search_path');
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog', true);
  if exists (select from _orlo.migrations) then
    raise object_not_in_prerequisite_state using message =
      'migrations of an app stand in its database already: a move goes into one that is empty';
  end if;
  select min(format('%s %I.%I', case x.kind when 'f' then 'the function' else 'the table' end, 'public', x.name)) into name
    from (select c.relname as name, 'r' as kind, c.oid, 'pg_class'::regclass as class from pg_class c
            where c.relnamespace = to_regnamespace('public') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          union all select p.proname, 'f', p.oid, 'pg_proc'::regclass from pg_proc p where p.pronamespace = to_regnamespace('public')) x
    where not exists (select from pg_depend d where d.classid = x.class and d.objid = x.oid and d.deptype = 'e');
  if name is not null then
    raise object_not_in_prerequisite_state using message = format('%s is in its database already: a move goes into one that is empty', name);
  end if;

  -- sub: how many columns; acl: who may what; flags: of a table: it has no rows, policies are asked, of its owner, too
  create table _orlo.before (class oid not null, id oid not null, sub integer, acl aclitem[], flags text, primary key (class, id));
  insert into _orlo.before
    select 'pg_class'::regclass, oid, relnatts, relacl, case when relrowsecurity then 'r' else '' end || case when relforcerowsecurity then 'f' else '' end
      from pg_class where relpersistence <> 't'
    union all select 'pg_namespace'::regclass, oid, null, nspacl, null from pg_namespace
    union all select 'pg_proc'::regclass, oid, null, proacl, null from pg_proc
    union all select 'pg_default_acl'::regclass, oid, null, defaclacl, null from pg_default_acl
    union all select 'pg_authid'::regclass, oid, null, null, null from pg_roles
    union all select o.class, o.id, null, null, null from (
      select 'pg_type'::regclass as class, oid as id from pg_type union all select 'pg_policy'::regclass, oid from pg_policy
      union all select 'pg_trigger'::regclass, oid from pg_trigger union all select 'pg_constraint'::regclass, oid from pg_constraint
      union all select 'pg_extension'::regclass, oid from pg_extension union all select 'pg_publication'::regclass, oid from pg_publication
      union all select 'pg_publication_rel'::regclass, oid from pg_publication_rel
      union all select 'pg_event_trigger'::regclass, oid from pg_event_trigger union all select 'pg_cast'::regclass, oid from pg_cast
      union all select 'pg_operator'::regclass, oid from pg_operator union all select 'pg_collation'::regclass, oid from pg_collation
      union all select 'pg_ts_config'::regclass, oid from pg_ts_config union all select 'pg_ts_dict'::regclass, oid from pg_ts_dict
      union all select 'pg_rewrite'::regclass, oid from pg_rewrite) o;

  -- Of the platform's tables those that have rows are somebody's users and files; but what a platform notes down of itself.
  for r in
    select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname in ('auth', 'storage', 'vault', 'cron', 'net', 'pgmq', 'realtime') and c.relname !~ 'migrations$'
        and not c.relispartition and has_table_privilege(c.oid, 'select')
  loop
    execute format('select exists (select from only %I.%I)', r.nspname, r.relname) into is_there;
    if is_there then
      raise object_not_in_prerequisite_state using message =
        format('the table %I.%I has rows in its database already: a move goes into one that is empty', r.nspname, r.relname);
    end if;
    update _orlo.before set flags = flags || 'e' where class = 'pg_class'::regclass and id = r.oid;
  end loop;
  perform set_config('search_path', path, true);
end $orlo_begin$
