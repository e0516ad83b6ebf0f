create table p (id int primary key, code text unique, n int);
create table c (id int primary key, p int references p, code text constraint by_code references p (code) on update restrict, up int references c);
create table pair (a int, b int, primary key (a, b));
create table d (id int primary key, a int, b int, constraint both_of foreign key (a, b) references pair);
create table hidden (id int primary key);
create table h (id int primary key, x int references hidden);
insert into p values (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
insert into c values (1, 1, 'one', null), (2, 2, null, 1);
insert into pair values (1, 1); insert into d values (1, 1, 1);
insert into hidden values (1); insert into h values (1, 1);
alter table hidden enable row level security;
create policy all_of on hidden for all to anon using (true);
grant all on p, c, pair, d, hidden, h to anon;
create function told(q text) returns text language plpgsql as $$ declare a text; b text; t text; d text; begin execute q; return 'done';
  exception when foreign_key_violation then get stacked diagnostics a = message_text, b = constraint_name, t = table_name, d = pg_exception_detail; return concat_ws('|', a, b, t, d); end $$;
create function ins(i int, x int) returns text language plpgsql as $$ declare a text; b text; d text; begin insert into c values (i, x); return 'done';
  exception when foreign_key_violation then get stacked diagnostics a = message_text, b = constraint_name, d = pg_exception_detail; return concat_ws('|', a, b, d); end $$;
create function plain(i int) returns text language plpgsql as $$ begin insert into c values (i, 77); return 'done'; end $$;
create function del(i int) returns text language plpgsql as $$ begin delete from p where id = i; return 'done'; end $$;
create function upd(i int) returns text language plpgsql as $$ begin update p set code = code || '!' where id = i; return 'done'; end $$;
create function two() returns text language plpgsql as $$ begin insert into d values (2, null, 7); insert into d values (3, 1, 2); return 'done'; end $$;
create function several() returns text language plpgsql as $$ begin insert into c select 10 + g, g from generate_series(1, 5) g; return 'done'; end $$;
create function selfish() returns text language plpgsql as $$ begin insert into c values (30, null, null, 31), (31, null, null, 30); return 'done'; end $$;
create function secret() returns text language plpgsql as $$ begin insert into h values (2, 5); return 'done'; end $$;
create function gone() returns text language plpgsql as $$ begin delete from hidden; return 'done'; end $$;
create function sqlish(i int) returns int language sql as $$ insert into c values (i, 78) returning id $$;
create function back(i int) returns setof int language plpgsql as $$ begin return query insert into c values (i, 79) returning id; end $$;
create table trg (id int primary key, p int references p);
grant all on trg to anon;
create function trg() returns trigger language plpgsql as $$ begin new.p := new.p + 10; return new; end $$;
create trigger t before insert or update on trg for each row execute function trg();
create function fires(i int) returns text language plpgsql as $$ begin insert into trg values (1, i); return 'done'; end $$;
-- ask
anon ins {"i": 5, "x": 9}
anon ins {"i": 5, "x": 3}
anon plain {"i": 6}
anon del {"i": 1}
anon upd {"i": 1}
anon upd {"i": 3}
anon two
anon several
anon selfish
anon secret
anon gone
anon sqlish {"i": 40}
anon back {"i": 41}
anon fires {"i": 1}
anon {"kind": "insert", "from": "trg", "rows": [{"id": 3, "p": 4}]}
anon told {"q": "insert into c values (50, 99)"}
anon told {"q": "insert into c (id, code) values (50, 'nope')"}
anon told {"q": "update c set p = 88 where id = 1"}
anon told {"q": "delete from p where id = 2"}
anon told {"q": "update pair set a = 3"}
anon {"from": "c", "select": ["*"], "order": [{"column": "id"}]}
