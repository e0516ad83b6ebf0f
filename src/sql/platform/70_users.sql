-- since 3: what GoTrue has had of its tables since, and mails of users that wait to be sent.
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
    last_error text
);
create index if not exists orlo_mails_user_id_idx on auth.orlo_mails (user_id);
create index if not exists orlo_mails_created_at_idx on auth.orlo_mails (created_at);
alter table auth.orlo_mails enable row level security;
grant select, insert, update, delete on auth.orlo_mails to postgres, supabase_auth_admin, service_role;
