-- What tests/sql/expressions.py asks about: the same for PostgreSQL and for sql_eval.
create type mood as enum ('sad', 'ok', 'happy');
create table people (
    id int primary key, name text not null, age int, email varchar(40) unique, born date, joined timestamptz, score numeric(8,2), ratio float8,
    active bool, mood mood, tags text[], nums int[], meta jsonb, uid uuid, code char(5), big bigint, small smallint, tm time, ts timestamp,
    span interval, data bytea, raw json, price numeric);
create table teams (id int primary key, name text not null, owner int, plan text default 'free');
create table members (team int not null, person int not null, role text not null default 'member', since date, primary key (team, person));
create table orders (id bigint primary key, person int, amount numeric not null, placed date not null, note text);
create table log (id int primary key, what text not null default 'x', at date default '2024-02-29', n int default 7, unique (what, n));
insert into people values
(1, 'Ann', 31, 'ann@example.com', '1993-02-28', '2024-01-15 10:30:00+00', 12.50, 0.5, true, 'happy', '{a,b,c}', '{1,2,3}', '{"role": "admin", "tags": ["x", "y"], "n": 1, "deep": {"a": {"b": 2}}}', '00000000-0000-0000-0000-000000000001', 'abc', 9000000000, 12, '10:00', '2024-01-15 10:30:00', '1 day 02:00:00', '\x0102ff', '{"b": 1, "a": 2}', 1.0),
(2, 'bob', 25, 'bob@example.com', '1999-12-31', '2024-02-29 23:59:59.123456+00', 7.25, -1.25, false, 'sad', '{b}', '{}', '{"role": "user", "n": null}', '00000000-0000-0000-0000-000000000002', 'de', -5, -3, '23:59:59.5', '1999-12-31 23:59:59', '1 mon', '\x', '[1, 2]', 1.00),
(3, 'Çelik', null, null, '2000-01-01', '2023-12-31 00:00:00+00', null, null, null, 'ok', null, '{3,null,1}', '[]', null, null, null, null, null, null, null, null, null, null),
(4, 'Dora', 31, 'dora@example.com', null, null, -3.10, 3e10, true, null, '{"x y",NULL,"q\"uote"}', null, null, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'abc', 0, 0, '00:00', '2024-06-30 12:00:00', '-3 days', '\x00', '"s"', 10.5),
(5, 'eve', 0, 'EVE@example.com', '1980-06-15', '2024-07-01 00:00:00+00', 0.00, 0, false, 'happy', '{}', '{10}', '{"n": 2.50, "s": "text", "b": false}', '12345678-1234-1234-1234-123456789abc', '', 1, 1, '12:34:56', '2024-02-29 00:00:00', '2 years 3 mons', '\x41', 'null', 1.50);
insert into teams values (1, 'red', 1, 'free'), (2, 'blue', 2, 'pro'), (3, 'empty', null, default);
insert into members values (1, 1, 'owner', '2024-01-01'), (1, 2, 'member', '2024-02-01'), (2, 2, 'owner', null), (2, 4, 'member', '2024-03-01'), (1, 5, 'guest', null);
insert into orders values (10, 1, 5.00, '2024-01-01', 'first'), (11, 1, 7.50, '2024-01-02', null), (12, 2, 100, '2024-02-01', 'big'), (13, 4, 0.01, '2024-02-01', 'small'), (14, null, 3, '2024-03-01', 'none'), (15, 1, 7.5, '2024-03-05', 'again');
insert into log (id) values (1);
insert into log (id, what, n) values (2, 'y', 8);
create view adults as select id, name, age, score from people where age >= 18;
create view team_sizes as select t.id, t.name, count(m.person) as size from teams t left join members m on m.team = t.id group by t.id;
create function add_one(n int) returns int language sql immutable as 'select n + 1';
create function is_member(t int, p int) returns boolean language sql stable as 'select exists (select 1 from members where team = t and person = p)';
create function full_label(p people) returns text language sql stable as 'select p.name || '' ('' || coalesce(p.age, -1) || '')''';
create function members_of(t int) returns setof int language sql stable as 'select person from members where team = t';
create function orders_of(p int, least_amount numeric default 0) returns table (order_id bigint, total numeric) language sql stable as 'select id, amount from orders where person = p and amount >= least_amount';
create function older_than(years int) returns setof people language sql stable as 'select * from people where age > years';
create function greet(name text, greeting text default 'hello') returns text language sql immutable as 'select greeting || '', '' || name';
create function strictly(a int, b int) returns int language sql strict immutable as 'select coalesce(a, 100) + coalesce(b, 100)';
create function spent(p int) returns numeric language sql stable as 'select sum(amount) from orders where person = p';
create function twice(n int) returns int language sql immutable as 'select add_one(n) + add_one(n)';
create function joined_with(sep text, variadic parts text[]) returns text language sql immutable as 'select array_to_string(parts, sep)';
create function current_person() returns int language sql stable as 'select 1';
create function my_teams() returns setof int language sql stable security definer as 'select team from members where person = current_person()';
