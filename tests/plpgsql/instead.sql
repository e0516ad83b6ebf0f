create table people (id serial primary key, name text not null, owner uuid, secret text default 's');
create table pets (id serial primary key, person int references people on delete cascade, pet text);
create table log (n serial primary key, said text);
alter table people enable row level security;
create policy own on people for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create view v as select p.id, p.name, p.owner, q.pet, upper(p.name) as shout from people p left join pets q on q.person = p.id;
create view w with (security_invoker = true) as select id, name, owner from people;
create view plain as select id, name from people;
create function v_ins() returns trigger language plpgsql as $$
declare n int;
begin
  if new.name = 'skip' then return null; end if;
  insert into people (name, owner) values (new.name, coalesce(new.owner, auth.uid())) returning id into n;
  if new.pet is not null then insert into pets (person, pet) values (n, new.pet); end if;
  new.id := n; new.shout := upper(new.name) || '!';
  insert into log (said) values (tg_op || ' ' || tg_when || ' ' || tg_level || ' ' || tg_table_name || ' ' || new.name || ' ' || current_user);
  return new;
end $$;
create function v_upd() returns trigger language plpgsql security definer as $$
begin
  if new.name is distinct from old.name then update people set name = new.name where id = old.id; end if;
  if new.pet is distinct from old.pet then update pets set pet = new.pet where person = old.id; end if;
  insert into log (said) values ('upd ' || old.name || '->' || new.name || ' ' || (new is distinct from old));
  return new;
end $$;
create function v_del() returns trigger language plpgsql security definer as $$
begin
  if old.name = 'keep' then return null; end if;
  if old.name = 'bad' then raise exception 'not %', old.name using errcode = 'P0042'; end if;
  delete from people where id = old.id;
  return old;
end $$;
create trigger ins instead of insert on v for each row execute function v_ins();
create trigger upd instead of update on v for each row execute function v_upd();
create trigger del instead of delete on v for each row execute function v_del();
create function twice() returns trigger language plpgsql as $$ begin new.name := new.name || '2'; return new; end $$;
create trigger a_first instead of insert on v for each row execute function twice();
create function statement() returns trigger language plpgsql security definer as $$ begin insert into log (said) values (tg_op || ' ' || tg_when || ' ' || tg_level); return null; end $$;
create trigger s1 before insert on v for each statement execute function statement();
create trigger s2 after insert or delete on v for each statement execute function statement();
create function w_del() returns trigger language plpgsql as $$ begin insert into log (said) values ('w ' || old.id); return old; end $$;
create trigger w_del instead of delete on w for each row execute function w_del();
grant all on people, pets, log, v, w to anon, authenticated;
grant all on all sequences in schema public to anon, authenticated;
revoke insert on v from anon;
create function said() returns setof text language sql security definer as $$ select said from log order by n $$;
create function quiet() returns void language sql security definer as $$ delete from log where true $$;
create function f_ins(x text, p text) returns text language plpgsql as $$ declare r record; begin insert into v (name, pet) values (x, p) returning id > 0 as fine, shout, pet into r; return r.fine || r.shout || coalesce(r.pet, '-') || found; end $$;
create function f_upd(x text, p text) returns text language plpgsql as $$ declare n int; s text; begin update v set name = p, pet = name || pet where name = x returning shout into s; get diagnostics n = row_count; return n || coalesce(s, '-'); end $$;
create function f_del(x text) returns int language plpgsql as $$ declare n int; begin delete from v where name like x; get diagnostics n = row_count; return n; end $$;
create function f_many() returns setof text language plpgsql as $$ begin return query insert into v (name) select 'm' || i from generate_series(1, 3) i returning name; end $$;
create function f_from(x text) returns int language plpgsql as $$ declare n int; begin update v set pet = l.said from (select 'from' as said) l where v.name = x; get diagnostics n = row_count; return n; end $$;

-- ask
authenticated:1 f_ins {"x": "ann", "p": "cat"}
authenticated:1 f_ins {"x": "skip", "p": null}
anon f_ins {"x": "no", "p": null}
authenticated:1 {"kind": "insert", "from": "v", "rows": [{"name": "rest", "pet": "dog"}, {"name": "skip", "pet": "x"}, {"name": "two", "pet": null}], "select": ["name", "shout", "pet"]}
authenticated:1 {"kind": "insert", "from": "v", "rows": [{"name": "quiet"}]}
authenticated:1 {"kind": "insert", "from": "v", "rows": [{"name": "other", "owner": "$U2"}]}
anon {"kind": "insert", "from": "v", "rows": [{"name": "anon"}]}
authenticated:1 said
authenticated:1 quiet
authenticated:1 {"from": "people", "select": ["name", "owner"], "order": [{"column": "id"}]}
authenticated:2 {"from": "people"}
authenticated:1 f_upd {"x": "ann2", "p": "anna"}
authenticated:1 {"kind": "update", "from": "v", "set": {"name": "resty"}, "where": {"column": "name", "op": "eq", "value": "rest2"}, "select": ["name", "pet", "shout"]}
authenticated:1 {"kind": "update", "from": "v", "set": {"name": "none"}, "where": {"column": "name", "op": "eq", "value": "nobody"}, "select": ["name"]}
authenticated:1 f_from {"x": "anna"}
authenticated:1 said
authenticated:1 {"from": "v", "select": ["name", "pet", "shout"], "order": [{"column": "id"}]}
authenticated:1 f_many
authenticated:1 {"kind": "delete", "from": "v", "where": {"column": "name", "op": "eq", "value": "resty"}, "select": ["name", "pet"]}
authenticated:1 f_del {"x": "m%"}
authenticated:1 {"kind": "update", "from": "v", "set": {"name": "keep"}, "where": {"column": "name", "op": "eq", "value": "two2"}}
authenticated:1 f_del {"x": "keep"}
authenticated:1 {"kind": "update", "from": "v", "set": {"name": "bad"}, "where": {"column": "name", "op": "eq", "value": "keep"}}
authenticated:1 f_del {"x": "bad"}
authenticated:1 {"kind": "delete", "from": "v", "where": {"column": "name", "op": "eq", "value": "bad"}}
authenticated:2 {"kind": "delete", "from": "w", "where": {"column": "id", "op": "gt", "value": 0}, "select": ["id"]}
authenticated:1 {"kind": "update", "from": "w", "set": {"name": "w"}, "where": {"column": "name", "op": "eq", "value": "bad"}, "select": ["name"]}
authenticated:1 {"from": "v", "select": ["name", "pet"], "order": [{"column": "id"}]}
authenticated:1 {"kind": "insert", "from": "plain", "rows": [{"name": "p"}]}
