-- since 2: hooks of tables as the dashboard makes them: a request that net keeps for each row.
create schema supabase_functions;
grant usage on schema supabase_functions to anon, authenticated, service_role, postgres;
create table supabase_functions.hooks (
    id bigserial primary key,
    hook_table_id integer not null,
    hook_name text not null,
    created_at timestamptz not null default now(),
    request_id bigint
);
create function supabase_functions.http_request() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  verb text := tg_argv[1];
  payload jsonb := jsonb_build_object('type', tg_op, 'table', tg_table_name, 'schema', tg_table_schema,
    'record', case when tg_op = 'DELETE' then null else to_jsonb(new) end, 'old_record', case when tg_op = 'INSERT' then null else to_jsonb(old) end);
begin
  if verb = 'GET' then
    perform net.http_get(tg_argv[0], coalesce(tg_argv[3], '{}')::jsonb, coalesce(tg_argv[2], '{}')::jsonb, coalesce(tg_argv[4], '1000')::integer);
  elsif verb = 'POST' then
    perform net.http_post(tg_argv[0], payload, coalesce(tg_argv[3], '{}')::jsonb, coalesce(tg_argv[2], '{}')::jsonb, coalesce(tg_argv[4], '1000')::integer);
  else
    raise exception 'method argument % is invalid', verb;
  end if;
  return coalesce(new, old);
end $$;
