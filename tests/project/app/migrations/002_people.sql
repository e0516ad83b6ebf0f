create table profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  handle citext not null unique check (char_length(handle) between 2 and 24),
  full_name text,
  first_letter text generated always as (upper(left(full_name, 1))) stored,
  birthday date,
  bio text default '',
  links text[] not null default '{}',
  settings jsonb not null default '{"theme": "light", "lang": "en"}',
  last_ip inet,
  network cidr,
  rating real,
  height_m double precision check (height_m > 0),
  wakes_at time default '07:00',
  zone_time timetz,
  joined_at timestamptz not null default '2024-01-01T00:00:00Z',
  seen_at timestamp,
  is_public boolean not null default false
);
create table organisations (
  id uuid primary key default gen_random_uuid(),
  name varchar(40) not null,
  slug slug not null unique,
  owner uuid not null default auth.uid() references auth.users (id),
  plan char(4) not null default 'free',
  seats smallint not null default 3 check (seats > 0),
  discount percent,
  created_at timestamptz not null default '2024-01-01T00:00:00Z'
);
create table members (
  org uuid not null references organisations (id) on delete cascade,
  who uuid not null references auth.users (id) on delete cascade,
  role member_role not null default 'member',
  since date not null default '2024-01-01',
  primary key (org, who)
);
create index members_who on members (who);
create table invites (
  id bigint generated always as identity primary key,
  org uuid not null references organisations (id) on delete cascade,
  mail email not null,
  token bytea not null default '\x00',
  role member_role not null default 'guest' check (role <> 'owner'),
  expires_at timestamptz,
  unique (org, mail)
);
create table teams (
  org uuid not null references organisations (id) on delete cascade,
  code varchar(8) not null,
  title text not null,
  lead uuid,
  primary key (org, code),
  foreign key (org, lead) references members (org, who) on delete no action
);
create table team_members (
  org uuid not null,
  team varchar(8) not null,
  who uuid not null,
  hours interval not null default '8 hours',
  primary key (org, team, who),
  foreign key (org, team) references teams (org, code) on update cascade on delete cascade,
  foreign key (org, who) references members (org, who) on delete cascade
);
create table devices (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null default auth.uid(),
  push_token text not null,
  platform text not null check (platform in ('ios', 'android', 'web')),
  os_version numeric(4,1),
  active boolean
);
create unique index devices_token on devices (push_token) where active;
create table follows (
  follower uuid not null default auth.uid(),
  followed uuid not null,
  primary key (follower, followed),
  check (follower <> followed)
);
create table secrets (
  owner uuid primary key default auth.uid(),
  note text not null,
  code integer not null unique
);
