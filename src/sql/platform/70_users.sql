-- since 3: what GoTrue has had of its tables since, passkeys, other providers, third parties; and mails of users that wait to be sent.
alter table auth.sessions add column if not exists oauth_client_id uuid;
alter table auth.sessions add column if not exists refresh_token_hmac_key text;
alter table auth.sessions add column if not exists refresh_token_counter bigint;
alter table auth.sessions add column if not exists scopes text;
alter table auth.mfa_factors add column if not exists last_webauthn_challenge_data jsonb;
alter table auth.flow_state add column if not exists invite_token text;
alter table auth.flow_state add column if not exists referrer text;
alter table auth.flow_state add column if not exists oauth_client_state_id uuid;
alter table auth.flow_state add column if not exists linking_target_id uuid;
alter table auth.flow_state add column if not exists email_optional boolean not null default false;
create index if not exists sessions_not_after_idx on auth.sessions (not_after);
create index if not exists orlo_users_email_idx on auth.users (email); -- GoTrue's is of some rows, which neither planner knows a filter's "is false" to be of
create index if not exists mfa_factors_user_id_idx on auth.mfa_factors (user_id);
create index if not exists mfa_amr_claims_session_id_idx on auth.mfa_amr_claims (session_id);
create index if not exists one_time_tokens_token_hash_idx on auth.one_time_tokens (token_hash);
create index if not exists one_time_tokens_relates_to_idx on auth.one_time_tokens (relates_to);
create index if not exists flow_state_auth_code_idx on auth.flow_state (auth_code);
create index if not exists flow_state_user_id_idx on auth.flow_state (user_id, authentication_method);
create index if not exists flow_state_created_at_idx on auth.flow_state (created_at);
create index if not exists audit_log_entries_created_at_idx on auth.audit_log_entries (created_at);
create index if not exists users_created_at_idx on auth.users (created_at);
create table if not exists auth.orlo_mails (
    id uuid not null primary key,
    user_id uuid references auth.users (id) on delete cascade,
    kind text not null,
    recipient text not null,
    subject text not null,
    body text not null,
    variables jsonb not null default '{}',
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    attempts integer not null default 0,
    last_error text,
    channel text not null default 'email',
    html text not null default '',
    next_at timestamptz not null default now(),
    expires_at timestamptz not null default now(),
    failed_at timestamptz
);
create index if not exists orlo_mails_next_at_idx on auth.orlo_mails (next_at) where sent_at is null and failed_at is null;
create index if not exists orlo_mails_user_id_idx on auth.orlo_mails (user_id);
create index if not exists orlo_mails_created_at_idx on auth.orlo_mails (created_at);
alter table auth.orlo_mails enable row level security;
grant select, insert, update, delete on auth.orlo_mails to postgres, supabase_auth_admin, service_role;
alter table auth.flow_state alter column code_challenge drop not null;
alter table auth.flow_state alter column code_challenge_method drop not null;
alter table auth.flow_state alter column auth_code drop not null;

-- Passkeys.
create table if not exists auth.webauthn_credentials (
    id uuid not null default gen_random_uuid() primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    credential_id bytea not null,
    public_key bytea not null,
    attestation_type text not null default '',
    aaguid uuid,
    sign_count bigint not null default 0,
    transports jsonb not null default '[]',
    backup_eligible boolean not null default false,
    backed_up boolean not null default false,
    friendly_name text not null default '',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_used_at timestamptz
);
create unique index if not exists webauthn_credentials_credential_id_key on auth.webauthn_credentials (credential_id);
create index if not exists webauthn_credentials_user_id_idx on auth.webauthn_credentials (user_id);
create table if not exists auth.webauthn_challenges (
    id uuid not null default gen_random_uuid() primary key,
    user_id uuid references auth.users (id) on delete cascade,
    challenge_type text not null check (challenge_type in ('signup', 'registration', 'authentication')),
    session_data jsonb not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index if not exists webauthn_challenges_user_id_idx on auth.webauthn_challenges (user_id);
create index if not exists webauthn_challenges_expires_at_idx on auth.webauthn_challenges (expires_at);

-- Other providers: what a sign-in at one of them is remembered by, and those that the admin's part makes.
create table if not exists auth.oauth_client_states (
    id uuid not null primary key,
    provider_type text not null,
    code_verifier text,
    created_at timestamptz not null
);
create index if not exists idx_oauth_client_states_created_at on auth.oauth_client_states (created_at);
create table if not exists auth.custom_oauth_providers (
    id uuid not null default gen_random_uuid() primary key,
    provider_type text not null check (provider_type in ('oauth2', 'oidc')),
    identifier text not null constraint custom_oauth_providers_identifier_key unique
        constraint custom_oauth_providers_identifier_format check (identifier ~ '^[a-z0-9][a-z0-9:-]{0,48}[a-z0-9]$'),
    name text not null constraint custom_oauth_providers_name_length check (char_length(name) between 1 and 100),
    client_id text not null constraint custom_oauth_providers_client_id_length check (char_length(client_id) between 1 and 512),
    client_secret text not null,
    acceptable_client_ids text[] not null default '{}',
    scopes text[] not null default '{}',
    pkce_enabled boolean not null default true,
    attribute_mapping jsonb not null default '{}',
    authorization_params jsonb not null default '{}',
    enabled boolean not null default true,
    email_optional boolean not null default false,
    issuer text,
    discovery_url text,
    skip_nonce_check boolean not null default false,
    cached_discovery jsonb,
    discovery_cached_at timestamptz,
    authorization_url text,
    token_url text,
    userinfo_url text,
    jwks_uri text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    custom_claims_allowlist text[] not null default '{}',
    constraint custom_oauth_providers_oidc_requires_issuer check (provider_type <> 'oidc' or issuer is not null),
    constraint custom_oauth_providers_oauth2_requires_endpoints
        check (provider_type <> 'oauth2' or (authorization_url is not null and token_url is not null and userinfo_url is not null))
);
create index if not exists custom_oauth_providers_created_at_idx on auth.custom_oauth_providers (created_at);

-- Third parties that sign in with the app's users.
do $$ begin create type auth.oauth_registration_type as enum ('dynamic', 'manual'); exception when duplicate_object then null; end $$;
do $$ begin create type auth.oauth_authorization_status as enum ('pending', 'approved', 'denied', 'expired'); exception when duplicate_object then null; end $$;
do $$ begin create type auth.oauth_response_type as enum ('code'); exception when duplicate_object then null; end $$;
do $$ begin create type auth.oauth_client_type as enum ('public', 'confidential'); exception when duplicate_object then null; end $$;
create table if not exists auth.oauth_clients (
    id uuid not null primary key,
    client_secret_hash text,
    registration_type auth.oauth_registration_type not null,
    redirect_uris text not null,
    grant_types text not null,
    client_name text constraint oauth_clients_client_name_length check (char_length(client_name) <= 1024),
    client_uri text constraint oauth_clients_client_uri_length check (char_length(client_uri) <= 2048),
    logo_uri text constraint oauth_clients_logo_uri_length check (char_length(logo_uri) <= 2048),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    client_type auth.oauth_client_type not null default 'confidential',
    token_endpoint_auth_method text not null check (token_endpoint_auth_method in ('client_secret_basic', 'client_secret_post', 'none'))
);
create index if not exists oauth_clients_deleted_at_idx on auth.oauth_clients (deleted_at);
create table if not exists auth.oauth_authorizations (
    id uuid not null primary key,
    authorization_id text not null unique,
    client_id uuid not null references auth.oauth_clients (id) on delete cascade,
    user_id uuid references auth.users (id) on delete cascade,
    redirect_uri text not null constraint oauth_authorizations_redirect_uri_length check (char_length(redirect_uri) <= 2048),
    scope text not null constraint oauth_authorizations_scope_length check (char_length(scope) <= 4096),
    state text constraint oauth_authorizations_state_length check (char_length(state) <= 4096),
    resource text constraint oauth_authorizations_resource_length check (char_length(resource) <= 2048),
    code_challenge text constraint oauth_authorizations_code_challenge_length check (char_length(code_challenge) <= 128),
    code_challenge_method auth.code_challenge_method,
    response_type auth.oauth_response_type not null default 'code',
    status auth.oauth_authorization_status not null default 'pending',
    authorization_code text unique constraint oauth_authorizations_authorization_code_length check (char_length(authorization_code) <= 255),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null default (now() + interval '3 minutes'),
    approved_at timestamptz,
    nonce text constraint oauth_authorizations_nonce_length check (char_length(nonce) <= 255),
    constraint oauth_authorizations_expires_at_future check (expires_at > created_at)
);
create index if not exists oauth_auth_pending_exp_idx on auth.oauth_authorizations (expires_at) where status = 'pending';
create table if not exists auth.oauth_consents (
    id uuid not null primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    client_id uuid not null references auth.oauth_clients (id) on delete cascade,
    scopes text not null constraint oauth_consents_scopes_length check (char_length(scopes) <= 2048)
        constraint oauth_consents_scopes_not_empty check (char_length(trim(scopes)) > 0),
    granted_at timestamptz not null default now(),
    revoked_at timestamptz,
    constraint oauth_consents_user_client_unique unique (user_id, client_id),
    constraint oauth_consents_revoked_after_granted check (revoked_at is null or revoked_at >= granted_at)
);
create index if not exists oauth_consents_active_user_client_idx on auth.oauth_consents (user_id, client_id) where revoked_at is null;
create index if not exists oauth_consents_user_order_idx on auth.oauth_consents (user_id, granted_at desc);
create index if not exists oauth_consents_active_client_idx on auth.oauth_consents (client_id) where revoked_at is null;
create index if not exists sessions_oauth_client_id_idx on auth.sessions (oauth_client_id);

alter table auth.webauthn_credentials enable row level security;
alter table auth.webauthn_challenges enable row level security;
alter table auth.oauth_client_states enable row level security;
alter table auth.custom_oauth_providers enable row level security;
alter table auth.oauth_clients enable row level security;
alter table auth.oauth_authorizations enable row level security;
alter table auth.oauth_consents enable row level security;
grant select, insert, update, delete on auth.webauthn_credentials, auth.webauthn_challenges, auth.oauth_client_states, auth.custom_oauth_providers, auth.oauth_clients, auth.oauth_authorizations, auth.oauth_consents
    to postgres, supabase_auth_admin, service_role;

-- Second factors: which steps of a clock were used, and what lets in who lost his factor.
create unique index if not exists mfa_factors_user_friendly_name_unique on auth.mfa_factors (friendly_name, user_id) where trim(friendly_name) <> '';
create unique index if not exists unique_phone_factor_per_user on auth.mfa_factors (user_id, phone);
create index if not exists mfa_challenges_factor_id_idx on auth.mfa_challenges (factor_id);
create index if not exists sessions_factor_id_idx on auth.sessions (factor_id);
create table if not exists auth.orlo_totp_uses (
    factor_id uuid not null references auth.mfa_factors (id) on delete cascade,
    step bigint not null,
    primary key (factor_id, step)
);
create table if not exists auth.orlo_recovery_codes (
    id uuid not null primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    code_hash text not null,
    created_at timestamptz not null default now(),
    used_at timestamptz
);
create unique index if not exists orlo_recovery_codes_key on auth.orlo_recovery_codes (user_id, code_hash);
alter table auth.orlo_totp_uses enable row level security;
alter table auth.orlo_recovery_codes enable row level security;
grant select, insert, update, delete on auth.orlo_totp_uses, auth.orlo_recovery_codes to postgres, supabase_auth_admin, service_role;

-- Which rows are a person's: keys that lead to auth.users, and columns whose comment says so (docs/auth.md). Each is one relation: joins are the caller's.
create or replace function auth.orlo_keys() returns table (relation bigint, place integer, of_relation bigint, of_place integer, on_delete text)
language sql stable as $$
  select c.conrelid::bigint, c.conkey[1]::integer, c.confrelid::bigint, c.confkey[1]::integer, c.confdeltype::text from pg_catalog.pg_constraint c where c.contype = 'f' and c.conkey[2] is null $$;
create or replace function auth.orlo_tables() returns table (relation bigint, space bigint, name text)
language sql stable as $$
  select c.oid::bigint, c.relnamespace::bigint, c.relname::text from pg_catalog.pg_class c where c.relkind in ('r', 'p') and c.oid >= 16384 $$;
create or replace function auth.orlo_schemas() returns table (space bigint, name text)
language sql stable as $$
  select n.oid::bigint, n.nspname::text from pg_catalog.pg_namespace n where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') $$;
create or replace function auth.orlo_columns() returns table (relation bigint, place integer, name text, needed boolean, made boolean)
language sql stable as $$
  select a.attrelid::bigint, a.attnum::integer, a.attname::text, a.attnotnull, a.attgenerated <> '' from pg_catalog.pg_attribute a where a.attnum > 0 and not a.attisdropped and a.attrelid >= 16384 $$;
create or replace function auth.orlo_declared() returns table (relation bigint, place integer, says text)
language sql stable as $$
  select d.objoid::bigint, d.objsubid::integer, d.description from pg_catalog.pg_description d where d.objsubid > 0 and d.description like '%orlo:person%' $$;
revoke all on function auth.orlo_keys(), auth.orlo_tables(), auth.orlo_schemas(), auth.orlo_columns(), auth.orlo_declared() from public;
grant execute on function auth.orlo_keys(), auth.orlo_tables(), auth.orlo_schemas(), auth.orlo_columns(), auth.orlo_declared() to postgres, supabase_auth_admin, service_role;

-- The audit log: who serves /auth/v1 appends, and nobody changes a line; what is old goes by a function that takes nothing else, whoever calls it.
revoke update, delete, truncate on auth.audit_log_entries from anon, authenticated, service_role, supabase_auth_admin;
create or replace function auth.orlo_audit_trim(older_days integer, most_rows integer) returns void language plpgsql security definer set search_path = '' as $$
begin
  delete from auth.audit_log_entries where id in (select e.id from auth.audit_log_entries e where e.created_at < now() - make_interval(days => greatest(older_days, 30)) order by e.created_at limit 2000);
  delete from auth.audit_log_entries where id in (select e.id from auth.audit_log_entries e where e.created_at < (select n.created_at from auth.audit_log_entries n order by n.created_at desc offset greatest(most_rows, 10000) limit 1) order by e.created_at limit 2000);
end $$;
-- Who was deleted is an id there, and no name or address.
create or replace function auth.orlo_audit_forget(person uuid) returns void language plpgsql security definer set search_path = '' as $$
begin
  update auth.audit_log_entries set payload = (payload::jsonb - 'actor_username' - 'actor_name')::json, ip_address = '' where payload ->> 'actor_id' = person::text and not exists (select 1 from auth.users u where u.id = person);
end $$;
revoke all on function auth.orlo_audit_trim(integer, integer), auth.orlo_audit_forget(uuid) from public;
grant execute on function auth.orlo_audit_trim(integer, integer), auth.orlo_audit_forget(uuid) to postgres, supabase_auth_admin, service_role;
