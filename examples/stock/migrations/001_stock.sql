create table items (
  name text primary key,
  stock int not null check (stock >= 0)
);
create table orders (
  id bigint generated always as identity primary key,
  item text not null references items (name),
  count int not null check (count > 0)
);
-- What there is everybody may see; orders are made by the function alone, which is the service_role for that.
alter table items enable row level security;
alter table orders enable row level security;
create policy "everybody sees what there is" on items for select using (true);
insert into items values ('book', 3);
