// What clients know of users (auth.yaml) and of themselves (client.yaml), by supabase-js, row by row.
// node auth.mjs URL ANON SERVICE: a line of JSON, {row: null, or what went wrong}.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { createClient } from '@supabase/supabase-js'
import ws from 'ws'

const [url, anon, service] = process.argv.slice(2)
const PASSWORD = 'correct horse', realtime = { transport: ws } // Node 20 has none of its own
const ok = ({ data, error }) => { if (error) throw error; return data }
const code = ({ error }) => error?.code
const memory = () => { const m = new Map(); return { m, getItem: (k) => m.get(k) ?? null, setItem: (k, v) => { m.set(k, v) }, removeItem: (k) => { m.delete(k) } } }
const make = (auth = {}, more = {}) => createClient(url, anon, { realtime, ...more, auth: { autoRefreshToken: false, persistSession: true, detectSessionInUrl: false, storage: memory(), experimental: { passkey: true }, ...auth } })
const admin = createClient(url, service, { realtime, auth: { persistSession: false, autoRefreshToken: false, experimental: { passkey: true } } })
let count = 0
const address = () => `row${++count}@example.com`
const eq = assert.deepEqual

/** One who is signed in: his client, his address, his id. */
async function fresh(auth = {}, more = {}) {
  const c = make(auth, more), email = address()
  const { user } = ok(await c.auth.signUp({ email, password: PASSWORD }))
  return Object.assign(c, { email, id: user.id })
}

/** The newest mail to an address: what its template was given. */
async function mail(to) {
  const query = { schema: 'auth', from: 'orlo_mails', select: ['variables'], where: { column: 'recipient', op: 'eq', value: to }, order: [{ column: 'created_at', desc: true }], limit: 1 }
  const r = await fetch(`${url}/data/v1/query`, { method: 'POST', headers: { apikey: service, authorization: `Bearer ${service}` }, body: JSON.stringify({ query }) })
  return (await r.json())[0].variables
}

/** Where a mail's link leads. */
async function led(v, type, redirect_to = url) {
  const r = await fetch(`${url}/auth/v1/verify?${new URLSearchParams({ token: v.TokenHash, type, redirect_to })}`, { redirect: 'manual' })
  eq(r.status, 303)
  return new URL(r.headers.get('location'))
}

/** RFC 6238. */
function totp(secret, step = Math.floor(Date.now() / 30000)) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2))), at = Buffer.alloc(8)
  at.writeBigUInt64BE(BigInt(step))
  const mac = crypto.createHmac('sha1', key).update(at).digest(), from = mac[19] & 15
  return String((mac.readUInt32BE(from) & 0x7fffffff) % 1000000).padStart(6, '0')
}

/** One with a second factor, which he has shown. */
async function twice() {
  const c = await fresh()
  const f = ok(await c.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'clock' }))
  ok(await c.auth.mfa.challengeAndVerify({ factorId: f.id, code: totp(f.totp.secret) }))
  return Object.assign(c, { factor: f })
}

/** What a telephone keeps passkeys in: ES256, no attestation. */
class Authenticator {
  keys = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })
  id = crypto.randomBytes(16)
  count = 0
  data(rp, flags, more = []) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(++this.count)
    return Buffer.concat([crypto.createHash('sha256').update(rp).digest(), Buffer.from([flags]), counter, ...more])
  }
  client = (type, challenge) => Buffer.from(JSON.stringify({ type, challenge, origin: 'http://localhost:5173', crossOrigin: false }))
  said(response) {
    const id = this.id.toString('base64url')
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, authenticatorAttachment: 'platform', response: Object.fromEntries(Object.entries(response).map(([k, v]) => [k, Buffer.isBuffer(v) ? v.toString('base64url') : v])) }
  }
  create(options) {
    this.user = options.user.id
    const { x, y } = this.keys.publicKey.export({ format: 'jwk' })
    const key = Buffer.concat([Buffer.from('a5010203262001215820', 'hex'), Buffer.from(x, 'base64url'), Buffer.from('225820', 'hex'), Buffer.from(y, 'base64url')])
    const data = this.data(options.rp.id, 0x45, [Buffer.alloc(16), Buffer.from([0, this.id.length]), this.id, key])
    const attestationObject = Buffer.concat([Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746158', 'hex'), Buffer.from([data.length]), data])
    return this.said({ clientDataJSON: this.client('webauthn.create', options.challenge), attestationObject, transports: ['internal'] })
  }
  get(options) {
    const authenticatorData = this.data(options.rpId, 0x05), clientDataJSON = this.client('webauthn.get', options.challenge)
    const signature = crypto.sign('sha256', Buffer.concat([authenticatorData, crypto.createHash('sha256').update(clientDataJSON).digest()]), this.keys.privateKey)
    return this.said({ authenticatorData, clientDataJSON, signature, userHandle: this.user })
  }
}

async function withPasskey() {
  const c = await fresh(), a = new Authenticator()
  const { challenge_id: challengeId, options } = ok(await c.auth.passkey.startRegistration())
  const passkey = ok(await c.auth.passkey.verifyRegistration({ challengeId, credential: a.create(options) }))
  return Object.assign(c, { authenticator: a, passkey })
}

async function byPasskey(a) {
  const c = make()
  const { challenge_id: challengeId, options } = ok(await c.auth.passkey.startAuthentication())
  return c.auth.passkey.verifyAuthentication({ challengeId, credential: a.get(options) })
}

// ---- somebody else's app, whose users sign in with this one's ----

const CALLBACK = 'https://third.example/callback', VERIFIER = 'v'.repeat(64)
const third = () => admin.auth.admin.oauth.createClient({ client_name: 'Third', redirect_uris: [CALLBACK], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] })

/** What a user is asked, when he comes from there: its id. */
async function authorization(client) {
  const q = new URLSearchParams({ client_id: client.client_id, redirect_uri: CALLBACK, response_type: 'code', scope: 'openid email', state: 'xyz', code_challenge_method: 's256', code_challenge: crypto.createHash('sha256').update(VERIFIER).digest('base64url') })
  const r = await fetch(`${url}/auth/v1/oauth/authorize?${q}`, { headers: { apikey: anon }, redirect: 'manual' })
  eq(r.status, 302, await r.text())
  return new URL(r.headers.get('location'), url).searchParams.get('authorization_id')
}

async function consented() {
  const c = await fresh(), client = ok(await third()), id = await authorization(client)
  ok(await c.auth.oauth.getAuthorizationDetails(id))
  return { c, client, id }
}

const PROVIDER = { provider_type: 'oauth2', name: 'Third', client_id: 'x', client_secret: 'y', authorization_url: 'https://third.example/authorize', token_url: 'https://third.example/token', userinfo_url: 'https://third.example/userinfo' }
const provider = async () => ok(await admin.auth.admin.customProviders.createProvider({ identifier: `custom:row${++count}`, ...PROVIDER }))

const ROWS = {
  'sign_in.sign_up': async () => {
    const c = make(), email = address(), seen = ok(await c.auth.signUp({ email, password: PASSWORD, options: { data: { handle: 'x' } } }))
    eq([seen.user.email, seen.user.user_metadata.handle, seen.session.token_type], [email, 'x', 'bearer'])
    eq(code(await make().auth.signUp({ email, password: PASSWORD })), 'user_already_exists')
  },
  'sign_in.sign_in_with_password': async () => {
    const { email } = await fresh()
    eq(ok(await make().auth.signInWithPassword({ email, password: PASSWORD })).user.email, email)
    eq(code(await make().auth.signInWithPassword({ email, password: 'x' })), 'invalid_credentials')
  },
  'sign_in.sign_in_anonymously': async () => eq(ok(await make().auth.signInAnonymously()).user.is_anonymous, true),
  'sign_in.sign_in_with_otp': async () => {
    const email = address(), c = make()
    ok(await c.auth.signInWithOtp({ email }))
    eq(ok(await c.auth.verifyOtp({ email, token: (await mail(email)).Token, type: 'email' })).user.email, email)
  },
  'sign_in.verify_otp': async () => {
    const { email } = await fresh()
    ok(await make().auth.signInWithOtp({ email }))
    const { TokenHash: token_hash } = await mail(email)
    eq(ok(await make().auth.verifyOtp({ token_hash, type: 'email' })).user.email, email)
    eq(code(await make().auth.verifyOtp({ token_hash, type: 'email' })), 'otp_expired')
  },
  'sign_in.resend_confirmation': async () => {
    const email = address()
    ok(await admin.auth.admin.createUser({ email, password: PASSWORD }))
    ok(await make().auth.resend({ type: 'signup', email }))
    eq(ok(await make().auth.verifyOtp({ email, token: (await mail(email)).Token, type: 'signup' })).user.email, email)
  },
  'sign_in.send_password_reset_email': async () => {
    const { email } = await fresh(), c = make()
    ok(await c.auth.resetPasswordForEmail(email))
    ok(await c.auth.verifyOtp({ token_hash: (await mail(email)).TokenHash, type: 'recovery' }))
    ok(await c.auth.updateUser({ password: 'another horse' }))
    eq(ok(await make().auth.signInWithPassword({ email, password: 'another horse' })).user.email, email)
  },
  'sign_in.reauthenticate': async () => {
    const c = await fresh()
    ok(await c.auth.reauthenticate())
    eq((await mail(c.email)).Token.length, 6)
  },
  'sign_in.exchange_code_for_session': async () => {
    const { email } = await fresh(), c = make({ flowType: 'pkce' })
    ok(await c.auth.signInWithOtp({ email }))
    const to = await led(await mail(email), 'magiclink')
    eq(ok(await c.auth.exchangeCodeForSession(to.searchParams.get('code'))).user.email, email)
  },
  'sign_in.concurrent_pkce_flows': async () => {
    const { email } = await fresh(), other = (await fresh()).email, c = make({ flowType: 'pkce', experimental: { appendPkceFlowIdToRedirects: true } })
    ok(await c.auth.signInWithOtp({ email, options: { emailRedirectTo: url + '/one' } }))
    ok(await c.auth.signInWithOtp({ email: other, options: { emailRedirectTo: url + '/two' } }))
    const first = await mail(email), to = await led(first, 'magiclink', first.RedirectTo)
    eq(ok(await c.auth.exchangeCodeForSession(to.searchParams.get('code'), { flowId: to.searchParams.get('sb_flow_id') })).user.email, email)
  },
  'sign_in.sign_in_with_sso': async () => ok(await make().auth.signInWithSSO({ domain: 'example.com' })),
  'sign_in.sign_in_with_web3': async () => {
    const { error } = await make().auth.signInWithWeb3({ chain: 'solana', message: 'x'.repeat(80), signature: new Uint8Array(64) })
    assert(!/disabled/.test(error?.message), error?.message)
  },
  'session.get_session': async () => {
    const c = await fresh()
    eq(ok(await c.auth.getSession()).session.user.id, c.id)
  },
  'session.get_user': async () => {
    const c = await fresh()
    eq(ok(await c.auth.updateUser({ data: { a: 1 } })).user.user_metadata.a, 1)
    eq(ok(await c.auth.getUser()).user.user_metadata.a, 1)
  },
  'session.get_claims': async () => {
    const c = await fresh(), asked = []
    c.auth.fetch = (...a) => { asked.push(String(a[0])); return fetch(...a) }
    eq(ok(await c.auth.getClaims()).claims.sub, c.id)
    eq(asked.map((a) => a.slice(url.length)), ['/auth/v1/.well-known/jwks.json']) // nobody is asked who it is
  },
  'session.refresh_session': async () => {
    const c = await fresh(), before = ok(await c.auth.getSession()).session.refresh_token
    assert.notEqual(ok(await c.auth.refreshSession()).session.refresh_token, before)
  },
  'session.auto_refresh': async () => {
    const storage = memory(), c = await fresh({ storage }), [name] = [...storage.m.keys()], kept = JSON.parse(storage.m.get(name))
    storage.m.set(name, JSON.stringify({ ...kept, expires_at: Math.floor(Date.now() / 1000) + 5 }))
    const told = new Promise((done) => c.auth.onAuthStateChange((event) => event === 'TOKEN_REFRESHED' && done()))
    await c.auth.startAutoRefresh()
    await told
    await c.auth.stopAutoRefresh()
    assert.notEqual(JSON.parse(storage.m.get(name)).refresh_token, kept.refresh_token)
  },
  'session.set_session': async () => {
    const c = await fresh(), { access_token, refresh_token } = ok(await c.auth.getSession()).session
    eq(ok(await make().auth.setSession({ access_token, refresh_token })).user.id, c.id)
  },
  'session.sign_out': async () => {
    const c = await fresh(), { access_token, refresh_token } = ok(await c.auth.getSession()).session
    eq((await c.auth.signOut()).error, null)
    eq(code(await make().auth.refreshSession({ refresh_token })), 'refresh_token_not_found')
    eq((await make().auth.getUser(access_token)).error.name, 'AuthSessionMissingError')
  },
  'session.sign_out_reason': async () => {
    const storage = memory(), c = await fresh({ storage }), [name] = [...storage.m.keys()], kept = JSON.parse(storage.m.get(name)), events = []
    c.auth.onAuthStateChange((event) => events.push(event))
    eq((await admin.auth.admin.signOut(kept.access_token)).error, null) // by somebody else: the code is the reason
    storage.m.set(name, JSON.stringify({ ...kept, expires_at: Math.floor(Date.now() / 1000) - 5 }))
    eq([code(await c.auth.getSession()), events.at(-1)], ['refresh_token_not_found', 'SIGNED_OUT'])
  },
  'session.subscribe_auth_events': async () => {
    const c = make(), events = []
    c.auth.onAuthStateChange((event) => events.push(event))
    ok(await c.auth.signUp({ email: address(), password: PASSWORD }))
    ok(await c.auth.refreshSession())
    ok(await c.auth.updateUser({ data: { x: 1 } }))
    await c.auth.signOut()
    eq(events.filter((e) => e !== 'INITIAL_SESSION'), ['SIGNED_IN', 'TOKEN_REFRESHED', 'USER_UPDATED', 'SIGNED_OUT'])
  },
  'session.update_user': async () => {
    const c = await fresh(), next = address()
    eq(ok(await c.auth.updateUser({ data: { mood: 'happy' }, password: 'another horse' })).user.user_metadata.mood, 'happy')
    ok(await c.auth.updateUser({ email: next }))
    ok(await make().auth.verifyOtp({ token_hash: (await mail(next)).TokenHash, type: 'email_change' }))
    eq(ok(await make().auth.signInWithPassword({ email: next, password: 'another horse' })).user.id, c.id)
  },
  'identities.list_identities': async () => {
    const c = await fresh()
    eq(ok(await c.auth.getUserIdentities()).identities.map((i) => i.provider), ['email'])
  },
  'mfa.enroll': async () => {
    const c = await fresh(), f = ok(await c.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'clock' }))
    assert(f.totp.qr_code.startsWith('data:image/svg+xml;utf-8,<') && f.totp.uri.startsWith('otpauth://totp/'), f.totp.qr_code)
  },
  'mfa.challenge': async () => {
    const c = await fresh(), f = ok(await c.auth.mfa.enroll({ factorType: 'totp' }))
    eq(ok(await c.auth.mfa.challenge({ factorId: f.id })).type, 'totp')
  },
  'mfa.verify': async () => {
    const c = await fresh(), f = ok(await c.auth.mfa.enroll({ factorType: 'totp' })), said = totp(f.totp.secret)
    const wrong = ok(await c.auth.mfa.challenge({ factorId: f.id }))
    eq(code(await c.auth.mfa.verify({ factorId: f.id, challengeId: wrong.id, code: said === '000000' ? '000001' : '000000' })), 'mfa_verification_failed')
    const ch = ok(await c.auth.mfa.challenge({ factorId: f.id }))
    eq(ok(await c.auth.mfa.verify({ factorId: f.id, challengeId: ch.id, code: said })).user.id, c.id)
    eq(ok(await c.auth.getClaims()).claims.aal, 'aal2')
  },
  'mfa.challenge_and_verify': async () => eq(ok(await (await twice()).auth.getClaims()).claims.aal, 'aal2'),
  'mfa.get_authenticator_assurance_level': async () => {
    const levels = ({ currentLevel, nextLevel }) => [currentLevel, nextLevel], c = await twice(), again = make()
    eq(levels(ok(await c.auth.mfa.getAuthenticatorAssuranceLevel())), ['aal2', 'aal2'])
    ok(await again.auth.signInWithPassword({ email: c.email, password: PASSWORD }))
    eq(levels(ok(await again.auth.mfa.getAuthenticatorAssuranceLevel())), ['aal1', 'aal2'])
  },
  'mfa.list_factors': async () => {
    const f = ok(await (await twice()).auth.mfa.listFactors())
    eq([f.totp.length, f.all[0].friendly_name, f.all[0].status], [1, 'clock', 'verified'])
  },
  'mfa.unenroll': async () => {
    const c = await twice()
    ok(await c.auth.mfa.unenroll({ factorId: c.factor.id }))
    eq(ok(await c.auth.mfa.listFactors()).all, [])
  },
  'passkey.register_passkey': async () => assert((await withPasskey()).passkey.id),
  'passkey.sign_in_with_passkey': async () => {
    const c = await withPasskey()
    eq(ok(await byPasskey(c.authenticator)).user.id, c.id)
    assert(ok(await c.auth.passkey.list())[0].last_used_at)
  },
  'passkey.list_passkeys': async () => {
    const c = await withPasskey()
    eq(ok(await c.auth.passkey.list()).map((p) => p.id), [c.passkey.id])
  },
  'passkey.update_passkey': async () => {
    const c = await withPasskey()
    eq(ok(await c.auth.passkey.update({ passkeyId: c.passkey.id, friendlyName: 'telephone' })).friendly_name, 'telephone')
  },
  'passkey.delete_passkey': async () => {
    const c = await withPasskey()
    ok(await c.auth.passkey.delete({ passkeyId: c.passkey.id }))
    eq(code(await byPasskey(c.authenticator)), 'webauthn_verification_failed')
  },
  'oauth_server.get_authorization_details': async () => {
    const c = await fresh(), client = ok(await third()), d = ok(await c.auth.oauth.getAuthorizationDetails(await authorization(client)))
    eq([d.client.id, d.client.name, d.user.id, d.scope], [client.client_id, 'Third', c.id, 'openid email'])
  },
  'oauth_server.approve_authorization': async () => {
    const { c, client, id } = await consented(), to = new URL(ok(await c.auth.oauth.approveAuthorization(id, { skipBrowserRedirect: true })).redirect_url)
    eq([to.origin + to.pathname, to.searchParams.get('state')], [CALLBACK, 'xyz'])
    const r = await fetch(`${url}/auth/v1/oauth/token`, { method: 'POST', headers: { apikey: anon, 'content-type': 'application/x-www-form-urlencoded', authorization: 'Basic ' + btoa(`${client.client_id}:${client.client_secret}`) },
      body: new URLSearchParams({ grant_type: 'authorization_code', code: to.searchParams.get('code'), redirect_uri: CALLBACK, code_verifier: VERIFIER }) })
    const tokens = await r.json()
    eq(r.status, 200, JSON.stringify(tokens))
    eq(JSON.parse(Buffer.from(tokens.access_token.split('.')[1], 'base64url')).client_id, client.client_id)
  },
  'oauth_server.deny_authorization': async () => {
    const { c, id } = await consented()
    eq(new URL(ok(await c.auth.oauth.denyAuthorization(id, { skipBrowserRedirect: true })).redirect_url).searchParams.get('error'), 'access_denied')
  },
  'oauth_server.list_grants': async () => {
    const { c, client, id } = await consented()
    ok(await c.auth.oauth.approveAuthorization(id, { skipBrowserRedirect: true }))
    eq(ok(await c.auth.oauth.listGrants()).map((g) => g.client.id), [client.client_id])
  },
  'oauth_server.revoke_grant': async () => {
    const { c, client, id } = await consented()
    ok(await c.auth.oauth.approveAuthorization(id, { skipBrowserRedirect: true }))
    ok(await c.auth.oauth.revokeGrant({ clientId: client.client_id }))
    eq(ok(await c.auth.oauth.listGrants()), [])
  },
  'admin.create_user': async () => eq(ok(await admin.auth.admin.createUser({ email: address(), password: PASSWORD, email_confirm: true, app_metadata: { plan: 'pro' } })).user.app_metadata.plan, 'pro'),
  'admin.get_user': async () => {
    const c = await fresh()
    eq(ok(await admin.auth.admin.getUserById(c.id)).user.email, c.email)
  },
  'admin.list_users': async () => {
    const l = ok(await admin.auth.admin.listUsers({ page: 1, perPage: 2 }))
    eq([l.users.length, l.nextPage], [2, 2])
  },
  'admin.update_user': async () => {
    const c = await fresh()
    assert(ok(await admin.auth.admin.updateUserById(c.id, { ban_duration: '1h' })).user.banned_until)
    eq(code(await make().auth.signInWithPassword({ email: c.email, password: PASSWORD })), 'user_banned')
  },
  'admin.delete_user': async () => {
    const c = await fresh()
    ok(await admin.auth.admin.deleteUser(c.id))
    eq(code(await admin.auth.admin.getUserById(c.id)), 'user_not_found')
  },
  'admin.invite_user': async () => {
    const email = address()
    assert(ok(await admin.auth.admin.inviteUserByEmail(email, { data: { by: 'row' } })).user.invited_at)
    eq(ok(await make().auth.verifyOtp({ token_hash: (await mail(email)).TokenHash, type: 'invite' })).user.email, email)
  },
  'admin.generate_link': async () => {
    const c = await fresh(), { properties } = ok(await admin.auth.admin.generateLink({ type: 'magiclink', email: c.email }))
    eq(ok(await make().auth.verifyOtp({ token_hash: properties.hashed_token, type: 'email' })).user.id, c.id)
  },
  'admin.sign_out': async () => {
    const { access_token } = ok(await (await fresh()).auth.getSession()).session
    eq((await admin.auth.admin.signOut(access_token)).error, null)
    eq((await make().auth.getUser(access_token)).error.name, 'AuthSessionMissingError')
  },
  'admin.create_provider': async () => assert((await provider()).identifier.startsWith('custom:')),
  'admin.list_providers': async () => {
    const { identifier } = await provider()
    assert(ok(await admin.auth.admin.customProviders.listProviders()).providers.some((p) => p.identifier === identifier))
  },
  'admin.get_provider': async () => {
    const { identifier } = await provider(), p = ok(await admin.auth.admin.customProviders.getProvider(identifier))
    eq([p.identifier, p.client_id, p.client_secret], [identifier, 'x', undefined])
  },
  'admin.update_provider': async () => {
    const { identifier } = await provider()
    eq(ok(await admin.auth.admin.customProviders.updateProvider(identifier, { name: 'Fourth' })).name, 'Fourth')
  },
  'admin.delete_provider': async () => {
    const { identifier } = await provider()
    eq((await admin.auth.admin.customProviders.deleteProvider(identifier)).error, null)
    assert((await admin.auth.admin.customProviders.getProvider(identifier)).error)
  },
  'admin.list_mfa_factors': async () => {
    const c = await twice()
    eq(ok(await admin.auth.admin.mfa.listFactors({ userId: c.id })).factors.map((f) => f.id), [c.factor.id])
  },
  'admin.delete_mfa_factor': async () => {
    const c = await twice()
    ok(await admin.auth.admin.mfa.deleteFactor({ userId: c.id, id: c.factor.id }))
    eq(ok(await admin.auth.admin.mfa.listFactors({ userId: c.id })).factors, [])
  },
  'passkey_admin.list_passkeys': async () => {
    const c = await withPasskey()
    eq(ok(await admin.auth.admin.passkey.listPasskeys({ userId: c.id })).map((p) => p.id), [c.passkey.id])
  },
  'passkey_admin.delete_passkey': async () => {
    const c = await withPasskey()
    eq((await admin.auth.admin.passkey.deletePasskey({ userId: c.id, passkeyId: c.passkey.id })).error, null)
    eq(ok(await c.auth.passkey.list()), [])
  },
  'oauth_admin.create_client': async () => assert(ok(await third()).client_secret),
  'oauth_admin.list_clients': async () => {
    const { client_id } = ok(await third())
    assert(ok(await admin.auth.admin.oauth.listClients({ page: 1, perPage: 100 })).clients.some((c) => c.client_id === client_id))
  },
  'oauth_admin.get_client': async () => {
    const { client_id } = ok(await third())
    eq(ok(await admin.auth.admin.oauth.getClient(client_id)).client_name, 'Third')
  },
  'oauth_admin.update_client': async () => {
    const { client_id } = ok(await third())
    eq(ok(await admin.auth.admin.oauth.updateClient(client_id, { client_name: 'Fourth' })).client_name, 'Fourth')
  },
  'oauth_admin.delete_client': async () => {
    const { client_id } = ok(await third())
    eq((await admin.auth.admin.oauth.deleteClient(client_id)).error, null)
    assert((await admin.auth.admin.oauth.getClient(client_id)).error)
  },
  'oauth_admin.regenerate_client_secret': async () => {
    const { client_id, client_secret } = ok(await third())
    assert.notEqual(ok(await admin.auth.admin.oauth.regenerateClientSecret(client_id)).client_secret, client_secret)
  },
}

const seen = (c) => c.from('mine').select('body')
const CLIENT = {
  'authentication_integration.third_party_auth': async () => {
    const { access_token } = ok(await (await fresh()).auth.getSession()).session, c = createClient(url, anon, { realtime, accessToken: async () => access_token })
    eq((await c.from('mine').insert({ body: 'by a token' })).error, null)
    eq(ok(await seen(c)), [{ body: 'by a token' }])
  },
  'authentication_integration.cross_client_token_sync': async () => {
    const c = await fresh()
    eq((await c.from('mine').insert({ body: 'mine' })).error, null)
    ok(await c.auth.refreshSession())
    eq(ok(await seen(c)), [{ body: 'mine' }])
    await c.auth.signOut()
    eq(ok(await seen(c)), [])
  },
  'authentication_integration.oauth_flow_type': async () => {
    const where = async (flowType) => {
      const { email } = await fresh()
      ok(await make({ flowType }).auth.signInWithOtp({ email }))
      return led(await mail(email), 'magiclink')
    }
    assert((await where('implicit')).hash.startsWith('#access_token=') && (await where('pkce')).searchParams.get('code'))
  },
  'session_management.custom_storage': async () => {
    const storage = memory(), c = await fresh({ storage })
    eq(ok(await make({ storage }).auth.getSession()).session.user.id, c.id)
  },
  'session_management.persist_session': async () => {
    const storage = memory(), c = await fresh({ storage, persistSession: false })
    eq([ok(await c.auth.getUser()).user.id, storage.m.size], [c.id, 0])
  },
  'request_configuration.custom_http_client': async () => {
    const asked = [], c = await fresh({}, { global: { fetch: (u, o) => { asked.push([new URL(u).pathname, new Headers(o.headers).get('apikey') === anon]); return fetch(u, o) } } })
    ok(await seen(c))
    eq(asked, [['/auth/v1/signup', true], ['/rest/v1/mine', true]])
  },
  'request_configuration.global_headers': async () => eq(ok(await make({}, { global: { headers: { 'x-from': 'row' } } }).rpc('header', { name: 'x-from' })), 'row'),
  'observability.trace_propagation': async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', global = { headers: { traceparent, tracestate: 'a=1', baggage: 'b=2' } }
    eq(ok(await make({}, { global }).rpc('header', { name: 'traceparent' })), traceparent)
    assert((await fresh({}, { global })).id)
  },
}

const said = {}
for (const [area, rows] of [['auth', ROWS], ['client', CLIENT]])
  for (const [id, row] of Object.entries(rows))
    try {
      await row()
      said[`${area}.${id}`] = null
    } catch (e) {
      said[`${area}.${id}`] = `${e.code ?? e.name}: ${e.message}`.slice(0, 400)
    }
console.log(JSON.stringify(said))
process.exit(0)
