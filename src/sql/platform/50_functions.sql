-- since 2: what the platform's schemas do for who calls them. It is written down in their tables; what is to become of it, their services do.
create or replace function cron.schedule(schedule text, command text) returns bigint language plpgsql as $$
declare id bigint;
begin
  insert into cron.job (schedule, command) values ($1, $2) returning jobid into id;
  return id;
end $$;
create or replace function cron.schedule(job_name text, schedule text, command text) returns bigint language plpgsql as $$
declare id bigint;
begin
  insert into cron.job (jobname, schedule, command) values ($1, $2, $3)
    on conflict (jobname, username) do update set schedule = excluded.schedule, command = excluded.command, active = true
    returning jobid into id;
  return id;
end $$;
create or replace function cron.unschedule(job_id bigint) returns boolean language plpgsql as $$
begin
  delete from cron.job where jobid = job_id;
  if not found then raise exception 'could not find valid entry for job %', job_id using errcode = 'XX000'; end if;
  return true;
end $$;
create or replace function cron.unschedule(job_name text) returns boolean language plpgsql as $$
begin
  delete from cron.job where jobname = job_name;
  if not found then raise exception 'could not find valid entry for job ''%''', job_name using errcode = 'XX000'; end if;
  return true;
end $$;
create or replace function cron.alter_job(job_id bigint, schedule text default null, command text default null, database text default null, username text default null, active boolean default null)
returns void language plpgsql as $$
begin
  update cron.job set schedule = coalesce($2, job.schedule), command = coalesce($3, job.command), database = coalesce($4, job.database),
    username = coalesce($5, job.username), active = coalesce($6, job.active) where jobid = job_id;
  if not found then raise exception 'Job % does not exist or you don''t own it', job_id using errcode = 'XX000'; end if;
end $$;

-- The last thousand requests are kept.
create or replace function net._queue(verb text, address text, params jsonb, headers jsonb, body bytea, timeout_milliseconds integer) returns bigint
language plpgsql security definer set search_path = '' as $$
declare
  number bigint;
  query text := (select string_agg(p.key || '=' || p.value, '&') from jsonb_each_text(params) as p);
begin
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (verb, address || coalesce(case when position('?' in address) > 0 then '&' else '?' end || query, ''), coalesce($4, '{}'), $5, $6)
    returning id into number;
  delete from net.http_request_queue where id <= number - 1000;
  return number;
end $$;
create or replace function net.http_post(url text, body jsonb default '{}', params jsonb default '{}', headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds integer default 5000)
returns bigint language plpgsql as $$
begin
  return net._queue('POST', url, params, headers, convert_to(body::text, 'UTF8'), timeout_milliseconds);
end $$;
create or replace function net.http_get(url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds integer default 5000)
returns bigint language plpgsql as $$
begin
  return net._queue('GET', url, params, headers, null, timeout_milliseconds);
end $$;
create or replace function net.http_delete(url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds integer default 5000)
returns bigint language plpgsql as $$
begin
  return net._queue('DELETE', url, params, headers, null, timeout_milliseconds);
end $$;
grant usage on schema net to anon, authenticated, service_role, postgres;

create or replace view vault.decrypted_secrets as
  select id, name, description, secret, secret as decrypted_secret, key_id, nonce, created_at, updated_at from vault.secrets;
create or replace function vault.create_secret(new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null)
returns uuid language plpgsql as $$
declare made uuid;
begin
  insert into vault.secrets (secret, name, description, key_id) values (new_secret, new_name, new_description, new_key_id) returning id into made;
  return made;
end $$;
create or replace function vault.update_secret(secret_id uuid, new_secret text default null, new_name text default null, new_description text default null, new_key_id uuid default null)
returns void language plpgsql as $$
begin
  update vault.secrets as s set secret = coalesce(new_secret, s.secret), name = coalesce(new_name, s.name), description = coalesce(new_description, s.description),
    key_id = coalesce(new_key_id, s.key_id), updated_at = now() where s.id = secret_id;
end $$;

-- One table has the messages of all queues.
create table if not exists pgmq.messages (
    msg_id bigserial primary key,
    queue_name text not null,
    read_ct integer not null default 0,
    enqueued_at timestamptz not null default now(),
    vt timestamptz not null,
    message jsonb,
    archived_at timestamptz
);
create index if not exists messages_queue_idx on pgmq.messages (queue_name, msg_id) where archived_at is null;
create or replace view pgmq.message_record as select msg_id, read_ct, enqueued_at, vt, message from pgmq.messages;
create or replace function pgmq.create(queue_name text) returns void language plpgsql as $$
begin
  insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ($1, false, false) on conflict do nothing;
end $$;
create or replace function pgmq.create_unlogged(queue_name text) returns void language plpgsql as $$
begin
  insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ($1, false, true) on conflict do nothing;
end $$;
create or replace function pgmq.purge_queue(queue_name text) returns bigint language plpgsql as $$
declare many bigint;
begin
  delete from pgmq.messages as m where m.queue_name = $1 and m.archived_at is null;
  get diagnostics many = row_count;
  return many;
end $$;
create or replace function pgmq.drop_queue(queue_name text) returns boolean language plpgsql as $$
begin
  delete from pgmq.messages as m where m.queue_name = $1;
  delete from pgmq.meta as q where q.queue_name = $1;
  return found;
end $$;
create or replace function pgmq.send(queue_name text, msg jsonb, delay integer default 0) returns setof bigint language plpgsql as $$
declare number bigint;
begin
  if not exists (select 1 from pgmq.meta as q where q.queue_name = $1) then
    raise exception 'relation "pgmq.q_%" does not exist', $1 using errcode = '42P01';
  end if;
  insert into pgmq.messages (queue_name, vt, message) values ($1, now() + $3 * interval '1 second', $2) returning msg_id into number;
  return next number;
end $$;
create or replace function pgmq.send_batch(queue_name text, msgs jsonb[], delay integer default 0) returns setof bigint language plpgsql as $$
declare one jsonb;
begin
  foreach one in array msgs loop
    return query select s from pgmq.send($1, one, $3) as s;
  end loop;
end $$;
create or replace function pgmq.read(queue_name text, vt integer, qty integer)
returns setof pgmq.message_record language plpgsql as $$
begin
  return query update pgmq.messages as m set read_ct = m.read_ct + 1, vt = now() + $2 * interval '1 second'
    where m.archived_at is null and m.vt <= now() and m.msg_id in (select n.msg_id from pgmq.messages as n
      where n.queue_name = $1 and n.archived_at is null and n.vt <= now() order by n.msg_id limit $3)
    returning m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message;
end $$;
create or replace function pgmq.pop(queue_name text)
returns setof pgmq.message_record language plpgsql as $$
begin
  return query delete from pgmq.messages as m
    where m.msg_id in (select n.msg_id from pgmq.messages as n
      where n.queue_name = $1 and n.archived_at is null and n.vt <= now() order by n.msg_id limit 1)
    returning m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message;
end $$;
create or replace function pgmq.delete(queue_name text, msg_id bigint) returns boolean language plpgsql as $$
begin
  delete from pgmq.messages as m where m.queue_name = $1 and m.msg_id = $2;
  return found;
end $$;
create or replace function pgmq.archive(queue_name text, msg_id bigint) returns boolean language plpgsql as $$
begin
  update pgmq.messages as m set archived_at = now() where m.queue_name = $1 and m.msg_id = $2 and m.archived_at is null;
  return found;
end $$;
create or replace function pgmq.list_queues()
returns setof pgmq.meta language sql as $$
  select * from pgmq.meta as q order by 1
$$;

create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void language plpgsql as $$
begin
  insert into realtime.messages (payload, event, topic, private, extension) values ($1, $2, $3, $4, 'broadcast');
end $$;
