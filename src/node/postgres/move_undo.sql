-- A move to a server that somebody runs did not come to its end: what was not there when it began (move_begin.sql) goes, and what was changed is as it was. Where none began, nothing is done.
do $orlo_undo$
declare
  r record;
  x record;
  what text;
  lacks text := '';
  path constant text := current_setting('search_path');
begin
  if to_regclass('_orlo.before') is null then
    return;
  end if;
  perform set_config('search_path', 'pg_catalog', true);
  set constraints all immediate;

  -- objects: those that hang on what was there first, then what all others hang on
  for r in
    select o.class, o.id from (
      select 1 as at, 'pg_event_trigger'::regclass::oid as class, oid as id from pg_event_trigger
      union all select 1, 'pg_publication'::regclass, oid from pg_publication
      union all select 2, 'pg_policy'::regclass, oid from pg_policy
      union all select 2, 'pg_trigger'::regclass, oid from pg_trigger where not tgisinternal
      union all select 3, 'pg_extension'::regclass, oid from pg_extension
      union all select 4, 'pg_namespace'::regclass, oid from pg_namespace where nspname !~ '^pg_'
      union all select 5, 'pg_class'::regclass, oid from pg_class
        where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and relpersistence <> 't' and not relispartition
      union all select 6, 'pg_class'::regclass, oid from pg_class where relkind in ('i', 'I', 'c') and relpersistence <> 't'
      union all select 7, 'pg_cast'::regclass, oid from pg_cast
      union all select 7, 'pg_operator'::regclass, oid from pg_operator
      union all select 8, 'pg_proc'::regclass, oid from pg_proc
      union all select 9, 'pg_type'::regclass, oid from pg_type where typrelid = 0 and typtype in ('e', 'd', 'r', 'b') and typname !~ '^_'
      union all select 9, 'pg_collation'::regclass, oid from pg_collation
      union all select 9, 'pg_ts_config'::regclass, oid from pg_ts_config
      union all select 9, 'pg_ts_dict'::regclass, oid from pg_ts_dict
      union all select 9, 'pg_constraint'::regclass, oid from pg_constraint where conrelid <> 0) o
    where not exists (select from _orlo.before b where b.class = o.class and b.id = o.id)
      and not exists (select from pg_depend d where d.classid = o.class and d.objid = o.id and d.deptype in ('e', 'i'))
      and not (o.class = 'pg_namespace'::regclass and o.id = '_orlo'::regnamespace)
    order by o.at
  loop
    select i.type, i.schema, i.identity into x from pg_identify_object(r.class, r.id, 0) i;
    if x.identity is null or x.schema ~ '^(_orlo$|pg_)' or x.identity ~ '^_orlo\.' or x.identity ~ ' on _orlo\.' then
      continue; -- it went with another
    end if;
    what := case x.type
      when 'table constraint' then (select format('alter table %s drop constraint if exists %I cascade', conrelid::regclass, conname) from pg_constraint where oid = r.id)
      when 'function' then format('drop routine if exists %s cascade', x.identity)
      else format('drop %s if exists %s cascade', x.type, x.identity) end;
    begin
      execute what;
    exception when insufficient_privilege then
      lacks := lacks || what || '; ';
    end;
  end loop;

  -- tables that were there: columns, whether policies are asked, rows
  for r in
    select c.oid, format('%I.%I', n.nspname, c.relname) as name, b.sub, coalesce(b.flags, '') as flags, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relnatts
      from _orlo.before b join pg_class c on b.class = 'pg_class'::regclass and c.oid = b.id join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'S') and n.nspname not in ('_orlo', 'pg_catalog', 'information_schema', 'pg_toast')
  loop
    begin
      if r.relkind = 'S' then
        if r.name ~ '^(auth|storage|vault|cron|net|pgmq)\.' then
          execute format('alter sequence %s restart', r.name);
        end if;
        continue;
      end if;
      for x in select attname from pg_attribute where attrelid = r.oid and attnum > r.sub and not attisdropped loop
        execute format('alter table %s drop column %I cascade', r.name, x.attname);
      end loop;
      if r.relrowsecurity <> (r.flags like '%r%') then
        execute format('alter table %s %s row level security', r.name, case when r.relrowsecurity then 'disable' else 'enable' end);
      end if;
      if r.relforcerowsecurity <> (r.flags like '%f%') then
        execute format('alter table %s %s row level security', r.name, case when r.relforcerowsecurity then 'no force' else 'force' end);
      end if;
    exception when insufficient_privilege then
      lacks := lacks || 'the columns of ' || r.name || '; ';
    end;
  end loop;
  for i in 1..8 loop -- those that others refer to go when those are empty
    what := null;
    for r in
      select format('%I.%I', n.nspname, c.relname) as name from _orlo.before b join pg_class c on c.oid = b.id join pg_namespace n on n.oid = c.relnamespace
        where b.class = 'pg_class'::regclass and b.flags like '%e%'
    loop
      begin
        execute format('delete from only %s', r.name);
      exception
        when foreign_key_violation then what := r.name;
        when insufficient_privilege then lacks := lacks || case when lacks ~ r.name then '' else 'delete from ' || r.name || '; ' end;
      end;
    end loop;
    exit when what is null;
  end loop;

  -- rights
  for r in
    select 'table' as kind, format('%I.%I', n.nspname, c.relname) as name, c.relacl as now, b.acl as old, case c.relkind when 'S' then 's' else 'r' end::"char" as type, c.relowner as owner
      from _orlo.before b join pg_class c on b.class = 'pg_class'::regclass and c.oid = b.id join pg_namespace n on n.oid = c.relnamespace
      where c.relacl is distinct from b.acl and n.nspname <> '_orlo'
    union all select 'schema', format('%I', n.nspname), n.nspacl, b.acl, 'n', n.nspowner
      from _orlo.before b join pg_namespace n on b.class = 'pg_namespace'::regclass and n.oid = b.id where n.nspacl is distinct from b.acl
    union all select 'routine', p.oid::regprocedure::text, p.proacl, b.acl, 'f', p.proowner
      from _orlo.before b join pg_proc p on b.class = 'pg_proc'::regclass and p.oid = b.id where p.proacl is distinct from b.acl
  loop
    begin
      for x in
        select 'revoke' as does, e.* from (select grantee, privilege_type from aclexplode(coalesce(r.now, acldefault(r.type, r.owner)))
          except select grantee, privilege_type from aclexplode(coalesce(r.old, acldefault(r.type, r.owner)))) e
        union all select 'grant', e.* from (select grantee, privilege_type from aclexplode(coalesce(r.old, acldefault(r.type, r.owner)))
          except select grantee, privilege_type from aclexplode(coalesce(r.now, acldefault(r.type, r.owner)))) e
      loop
        execute format('%s %s on %s %s %s %s', x.does, x.privilege_type, case when r.type = 's' then 'sequence' else r.kind end, r.name,
                       case x.does when 'grant' then 'to' else 'from' end, case x.grantee when 0 then 'public' else x.grantee::regrole::text end);
      end loop;
    exception when insufficient_privilege then
      lacks := lacks || 'rights of ' || r.name || '; ';
    end;
  end loop;
  for r in
    select d.defaclrole, d.defaclnamespace, d.defaclobjtype, d.defaclacl as now,
           coalesce(b.acl, case d.defaclnamespace when 0 then acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end, d.defaclrole) else '{}' end) as old
      from pg_default_acl d left join _orlo.before b on b.class = 'pg_default_acl'::regclass and b.id = d.oid where d.defaclacl is distinct from b.acl
  loop
    begin
      for x in
        select 'revoke' as does, e.* from (select grantee, privilege_type from aclexplode(r.now) except select grantee, privilege_type from aclexplode(r.old)) e
        union all select 'grant', e.* from (select grantee, privilege_type from aclexplode(r.old) except select grantee, privilege_type from aclexplode(r.now)) e
      loop
        execute format('alter default privileges for role %s %s %s %s on %s %s %s', r.defaclrole::regrole,
                       case r.defaclnamespace when 0 then '' else 'in schema ' || r.defaclnamespace::regnamespace end, x.does, x.privilege_type,
                       case r.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' else 'schemas' end,
                       case x.does when 'grant' then 'to' else 'from' end, case x.grantee when 0 then 'public' else x.grantee::regrole::text end);
      end loop;
    exception when insufficient_privilege then
      lacks := lacks || 'default privileges of ' || r.defaclrole::regrole || '; ';
    end;
  end loop;
  for r in select oid, rolname from pg_roles where not exists (select from _orlo.before b where b.class = 'pg_authid'::regclass and b.id = pg_roles.oid) loop
    begin
      execute format('drop role %I', r.rolname);
    exception when insufficient_privilege or dependent_objects_still_exist or object_in_use then
      lacks := lacks || format('drop role %I; ', r.rolname);
    end;
  end loop;

  drop table if exists _orlo.held;
  drop table _orlo.before;
  delete from _orlo.migrations;
  delete from _orlo.meta where key in ('catalog', 'frozen');
  perform set_config('search_path', path, true), set_config('orlo.left', lacks, true);
end $orlo_undo$
