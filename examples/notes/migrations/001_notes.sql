-- Whoever signs up has a profile, with the mood in which the assistant answers him.
create table profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  mood text not null default 'normal' check (mood in ('normal', 'happy', 'sad', 'angry'))
);

create function welcome() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id) values (new.id);
  return new;
end $$;
create trigger welcome after insert on auth.users for each row execute function welcome();

create table notes (
  id bigint generated always as identity primary key,
  owner uuid not null default auth.uid() references auth.users (id) on delete cascade,
  author text not null default auth.jwt() ->> 'email',
  title text not null check (length(title) between 1 and 100),
  body text not null default '' check (length(body) <= 10000),
  changed_at timestamptz not null default now(),
  unique (id, owner)
);
create index on notes (owner);

create function touch() returns trigger language plpgsql as $$
begin
  new.changed_at := now();
  return new;
end $$;
create trigger touch before update on notes for each row execute function touch();

-- A note is shared with an address, whether somebody has it or not: so nobody learns who is here.
create table shares (
  note bigint not null,
  owner uuid not null default auth.uid(),
  email text not null check (email = lower(email) and email like '_%@_%'),
  primary key (note, email),
  foreign key (note, owner) references notes (id, owner) on delete cascade
);

-- Who may do what. Columns first: a new table is everybody's as far as policies let him, but whose a note is, and who wrote it, nobody says himself.
revoke all on profiles, notes, shares from anon, authenticated;
alter table profiles enable row level security;
alter table notes enable row level security;
alter table shares enable row level security;
grant select, update (mood) on profiles to authenticated;
grant select, delete, insert (title, body), update (title, body) on notes to authenticated;
grant select, delete, insert (note, email) on shares to authenticated;

create policy "one's own" on profiles for all to authenticated using (id = auth.uid()) with check (id = auth.uid());
create policy "one's own" on notes for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create policy "shared with me" on notes for select to authenticated
  using (id in (select note from shares where email = auth.jwt() ->> 'email'));
create policy "of one's own notes" on shares for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
create policy "with me" on shares for select to authenticated using (email = auth.jwt() ->> 'email');
create policy "I do not want it" on shares for delete to authenticated using (email = auth.jwt() ->> 'email');
