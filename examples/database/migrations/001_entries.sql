-- Applied once, in the order of their names, by `orlo dev` and `orlo deploy`. To change something later, write 002_….sql.
create table entries (
  id bigint generated always as identity primary key,
  name text not null default 'somebody' check (length(name) between 1 and 40),
  message text not null check (length(message) between 1 and 280),
  hidden boolean not null default false,
  at timestamptz not null default now()
);

-- Who may do what: without a policy nobody may do anything. The page's key is of the role anon.
alter table entries enable row level security;
grant select, insert (name, message) on entries to anon, authenticated;
create policy "what is not hidden is for everybody" on entries for select using (not hidden);
create policy "anybody may write, and hide nothing" on entries for insert with check (not hidden);
