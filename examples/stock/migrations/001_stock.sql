create table items (
  name text primary key,
  stock int not null check (stock >= 0)
);
create table orders (
  id bigint generated always as identity primary key,
  customer uuid,                                        -- null: nobody who has signed in
  item text not null references items (name),
  count int not null check (count > 0)
);
create table low (
  item text primary key references items (name),
  stock int not null
);
-- What there is everybody may see; his own orders a customer; what runs low the shop alone. Orders are made by the function, which is the service_role for that.
alter table items enable row level security;
alter table orders enable row level security;
alter table low enable row level security;
create policy "everybody sees what there is" on items for select using (true);
create policy "own orders" on orders for select to authenticated using (customer = auth.uid());
create function me() returns uuid language sql stable as $$ select auth.uid() $$;
insert into items values ('book', 3);
