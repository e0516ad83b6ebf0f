create table ta (id int primary key); insert into ta values (1);
create table tb (id int primary key); insert into tb values (1), (2);
create table tc (id int primary key); insert into tc values (1), (2), (3);
create table td (id int primary key); insert into td values (1), (2), (3), (4);
create table ruled (id int primary key, t text, k int);
insert into ruled values (1, 'ta', 1), (2, 'tb', 2), (3, 'tc', 0), (4, 'td', 4);
create table kids (id int primary key, up int references ruled, w text);
insert into kids values (1, 1, 'a'), (2, 2, 'b'), (3, 4, 'c');
grant all on ta, tb, tc, td, ruled, kids to authenticated, anon;
create function count_of(t text) returns bigint language plpgsql stable as $$ declare n bigint; begin execute format('select count(*) from %I', t) into n; return n; end $$;
create function count_kept(t text) returns bigint language plpgsql as $$ declare n bigint; begin execute format('update %I set id = id where id > 0', t); get diagnostics n = row_count; return n; end $$;
alter table ruled enable row level security;
create policy by_count on ruled for all to authenticated using (count_of(t) = k) with check (count_of(t) >= 1);
create function all_counts() returns text language plpgsql stable as $$ declare r record; s text := ''; begin
  for r in select id, count_of(t) as n, (select string_agg(w, '') from kids where up = ruled.id) as w from ruled order by id loop s := s || r.id || r.n || coalesce(r.w, '-') || ' '; end loop; return s; end $$;
create function sql_counts() returns text language sql stable as $$ select string_agg(id || ':' || count_of(t), ',' order by id) from ruled where exists (select 1 from kids where up = ruled.id) $$;
create function kept() returns text language plpgsql as $$ declare s text; begin select string_agg(id || ':' || count_kept(t), ',') into s from ruled; return s; end $$;

-- ask
authenticated:1 {"from": "ruled", "order": [{"column": "id"}]}
authenticated:1 {"from": "ruled", "select": ["id", {"embed": "kids", "select": ["w"]}], "order": [{"column": "id"}]}
authenticated:1 all_counts
authenticated:1 sql_counts
authenticated:1 kept
authenticated:1 {"kind": "update", "from": "ruled", "set": {"k": 3}, "where": {"column": "id", "op": "gt", "value": 1}, "select": ["id"], "order": [{"column": "id"}]}
authenticated:1 {"kind": "insert", "from": "ruled", "rows": [{"id": 7, "t": "td", "k": 4}], "select": ["id"]}
authenticated:1 {"kind": "insert", "from": "ruled", "rows": [{"id": 8, "t": "none", "k": 4}]}
authenticated:1 {"from": "ruled", "order": [{"column": "id"}]}
