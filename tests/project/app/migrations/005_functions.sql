-- Who belongs where: definers, so that policies on members may ask them.
create function is_member(o uuid, at_least member_role default 'guest') returns boolean
  language sql stable security definer set search_path = public
  as $$ select exists (select 1 from members m where m.org = o and m.who = auth.uid() and m.role >= at_least) $$;
create function my_orgs() returns setof uuid
  language sql stable security definer set search_path = public
  as $$ select org from members where who = auth.uid() order by org $$;
create function my_role(o uuid) returns member_role
  language sql stable security definer set search_path = public
  as $$ select role from members where org = o and who = auth.uid() $$;
create function is_admin() returns boolean language sql stable
  as $$ select coalesce((auth.jwt() -> 'app_metadata' ->> 'admin')::boolean, false) $$;
create function full_title(p posts) returns text language sql immutable
  as $$ select p.title || ' [' || array_to_string(p.tags, ',') || ']' $$;
create function add(a integer, b integer default 10) returns integer language sql immutable as $$ select a + b $$;
create function halve(a integer) returns integer language sql immutable strict as $$ select a / 2 $$;
create function ratio(a numeric, b numeric) returns numeric language sql immutable as $$ select a / b $$;
create function greet(name text default 'you', greeting text default 'hello') returns text
  language sql stable as $$ select greeting || ', ' || name || '!' $$;
create function whoami() returns jsonb language sql stable
  as $$ select jsonb_build_object('uid', auth.uid(), 'role', auth.role(), 'email', auth.jwt() ->> 'email') $$;
create function search_posts(term text, most integer default 10)
  returns table (id bigint, title text, seen visibility) language sql stable
  as $$ select p.id, p.title, p.seen from posts p where p.title ilike '%' || term || '%' or p.body ilike '%' || term || '%' order by p.id limit most $$;
create function posts_of(a uuid) returns setof posts language sql stable as $$ select * from posts where author = a order by id $$;
create function org_totals() returns table (org uuid, people bigint, best member_role) language sql stable security definer set search_path = public
  as $$ select m.org, count(*), max(m.role) from members m group by m.org order by m.org $$;
create function vote(p smallint, c integer) returns void language sql volatile
  as $$ insert into votes (poll, choice) values (p, c) on conflict (poll, who) do update set choice = excluded.choice $$;
create function tag_post(p bigint, t text) returns setof post_tags language sql volatile
  as $$ insert into post_tags (post, tag) values (p, t) on conflict do nothing returning * $$;
create function audit_note(what text) returns text language sql volatile security definer set search_path = private
  as $$ insert into audit (what, who) values (what, auth.uid()) returning audit.what || ' by ' || coalesce(who::text, 'nobody') $$;
create function count_secrets() returns bigint language sql stable as $$ select count(*) from secrets $$;
create function count_all_secrets() returns bigint language sql stable security definer set search_path = public as $$ select count(*) from secrets $$;
create function kept_total() returns numeric language sql stable security definer set search_path = public as $$ select sum(amount) from ledger $$;
alter function kept_total() owner to keeper;
create function shop.order_total(o bigint) returns numeric language sql stable
  as $$ select coalesce(sum(amount), 0) from shop.order_lines where order_id = o $$;
create function shop.place_order(o bigint, at timestamptz default '2024-06-01T12:00:00Z') returns shop.orders language sql volatile
  as $$ update shop.orders set state = 'placed', placed_at = at, total = shop.order_total(id) where id = o and state = 'cart' returning * $$;
create function week_of(d date) returns date language sql immutable as $$ select date_trunc('week', d::timestamp)::date $$;
create function initials(n text) returns text language sql immutable
  as $$ select string_agg(upper(left(w, 1)), '' order by i) from unnest(string_to_array(n, ' ')) with ordinality as x (w, i) where w <> '' $$;
create function series(n integer) returns setof integer language sql immutable as $$ select generate_series(1, n) $$;
create function only_admins() returns text language sql stable as $$ select 'secret' $$;
revoke execute on function only_admins() from public, anon, authenticated;
grant execute on function only_admins() to service_role;
