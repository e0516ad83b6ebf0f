create view public_posts as select id, author, title, word_count, published_at from posts where seen = 'public' and deleted_at is null;
create view my_posts with (security_invoker = true) as select p.id, p.title, p.author, pr.handle, count(c.id) as comments
  from posts p join profiles pr on pr.id = p.author left join comments c on c.post = p.id group by p.id, p.title, p.author, pr.handle;
create view org_sizes as select o.id, o.name, count(m.who) as people, count(*) filter (where m.role >= 'admin') as admins
  from organisations o left join members m on m.org = o.id group by o.id, o.name;
create view feed with (security_invoker = on) as
  select 'post' as kind, id, author as who, title as what from posts
  union all select 'comment', c.id, c.author, left(c.body, 10) from comments c;
create view shop.catalogue as select i.sku, i.name, i.price, p.currency, p.amount, rank() over (partition by i.sku order by p.amount) as cheapest
  from shop.items i left join shop.prices p on p.sku = i.sku where i.active;
create view shop.my_orders with (security_invoker = true) as
  with lines as (select order_id, sum(amount) as amount, count(*) as n from shop.order_lines group by order_id)
  select o.id, o.number, o.state, coalesce(l.amount, 0) as amount, coalesce(l.n, 0) as lines from shop.orders o left join lines l on l.order_id = o.id;
create view upcoming with (security_invoker = true) as
  select id, title, starts_at at time zone 'Europe/Rome' as local_start, ends_at - starts_at as duration, extract(isodow from starts_at) as weekday from events;
create view member_names as select m.org, p.handle, m.role from members m join profiles p on p.id = m.who where m.who = auth.uid() or p.is_public;
grant select on shop.catalogue to anon, authenticated, service_role;
grant select on shop.my_orders to authenticated;
revoke all on member_names from anon;
