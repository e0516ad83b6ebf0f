import { key } from './config.js';

// PKCE: what a mail's link brings back is good in this browser alone.
const db = supabase.createClient(location.origin, key, { auth: { flowType: 'pkce' } });
const $ = (id) => document.getElementById(id);
let user = null, open = null; // who is signed in; the note that is open, null: a new one

// ---- what is seen ----

/** Where it is seen and read out: what lies behind an open dialog is neither. */
function say(text = '', wrong = false) {
  const status = $('status'), place = document.querySelector('dialog[open]') ?? document.body;
  if (status.parentElement !== place) place.prepend(status);
  status.classList.toggle('wrong', wrong);
  status.textContent = text;
}

function show(name) {
  for (const main of document.querySelectorAll('main')) main.hidden = main.id !== name;
  $(name).querySelector('[tabindex="-1"], input')?.focus();
}

/** What a client answers, or its error as an exception. */
async function ok(asked) {
  const { data, error } = await asked;
  if (error) throw error;
  return data;
}

/** A handler whose buttons rest while it works, and whose errors are said. */
const does = (work) => async (event) => {
  event.preventDefault();
  const button = event.submitter ?? event.currentTarget;
  button.disabled = true;
  say();
  try {
    await work(event, button);
  } catch (e) {
    say(e.message, true);
  } finally {
    button.disabled = false;
  }
};

function element(name, text, more = {}) {
  const e = Object.assign(document.createElement(name), more);
  e.textContent = text;
  return e;
}

// ---- who comes and goes ----

$('sign').addEventListener('submit', does(async (event, button) => {
  const { email, password } = Object.fromEntries(new FormData($('sign')));
  const back = location.origin + '/';
  if (button.value === 'in') {
    await ok(db.auth.signInWithPassword({ email, password }));
    return;
  }
  if (button.value === 'up') await ok(db.auth.signUp({ email, password, options: { emailRedirectTo: back } }));
  else if (email) await ok(db.auth.resetPasswordForEmail(email, { redirectTo: back }));
  else throw new Error('Whose password? Say your address.');
  $('sent-to').textContent = email;
  show('sent');
}));
$('back').addEventListener('click', () => show('door'));
$('out').addEventListener('click', does(async () => {
  $('me').close();
  await ok(db.auth.signOut({ scope: 'local' }));
}));
$('account').addEventListener('click', () => {
  $('me-email').textContent = user.email;
  $('me').showModal();
});
$('me-form').addEventListener('submit', does(async () => {
  await ok(db.auth.updateUser({ password: $('new-password').value }));
  $('me-form').reset();
  say('The password is changed.');
}));

// Not awaited in here: the client waits for what it calls.
db.auth.onAuthStateChange((event, session) => {
  const before = user?.id;
  user = session?.user ?? null;
  if (!user && (before || event === 'INITIAL_SESSION')) {
    $('sign').reset(), $('notes').replaceChildren();
    show('door');
  }
  if (user && user.id !== before) setTimeout(() => list().then(() => show('home'), (e) => say(e.message, true)));
  if (event === 'PASSWORD_RECOVERY') setTimeout(() => $('account').click());
});

// A link that was spent, or opened in another browser than the one that asked for it.
const told = new URLSearchParams(location.search || location.hash.slice(1));
if (told.get('error_description')) say(told.get('error_description'), true);
db.auth.getSession().then(({ data }) => {
  if (told.get('code') && !data.session) say('Your address is confirmed. Sign in.');
  if (location.search || location.hash) history.replaceState(null, '', location.pathname);
});

// ---- notes ----

async function list() {
  const notes = await ok(db.from('notes').select('id, owner, author, title, body').order('changed_at', { ascending: false }));
  $('none').hidden = notes.length > 0;
  $('notes').replaceChildren(...notes.map((note) => {
    const item = document.createElement('li'), button = document.createElement('button');
    button.append(element('b', note.title), element('span', note.body));
    if (note.owner !== user.id) button.append(element('small', 'from ' + note.author));
    button.addEventListener('click', does(() => edit(note)));
    item.append(button);
    return item;
  }));
}

async function edit(note) {
  open = note;
  const mine = !note || note.owner === user.id;
  $('note-name').textContent = note ? 'Note' : 'New note';
  $('note-author').textContent = mine ? '' : 'from ' + note.author;
  $('title').value = note?.title ?? '', $('body').value = note?.body ?? '';
  $('title').readOnly = $('body').readOnly = !mine;
  $('save').hidden = !mine, $('sharing').hidden = $('delete').hidden = !note || !mine;
  if (note && mine) await shares();
  $('note').showModal();
}

async function shares() {
  const all = await ok(db.from('shares').select('email').eq('note', open.id).order('email'));
  $('shares').replaceChildren(...all.map(({ email }) => {
    const item = document.createElement('li'), button = element('button', email + ' ×', { type: 'button', className: 'second' });
    button.setAttribute('aria-label', 'No longer with ' + email);
    button.addEventListener('click', does(async () => {
      await ok(db.from('shares').delete().match({ note: open.id, email }));
      await shares();
    }));
    item.append(button);
    return item;
  }));
}

$('new').addEventListener('click', does(() => edit(null)));
$('note-form').addEventListener('submit', does(async () => {
  const note = { title: $('title').value, body: $('body').value };
  await ok(open ? db.from('notes').update(note).eq('id', open.id) : db.from('notes').insert(note));
  $('note').close();
  await list();
}));
$('share').addEventListener('click', does(async () => {
  if (!$('with').value || !$('with').reportValidity()) return;
  await ok(db.from('shares').insert({ note: open.id, email: $('with').value.toLowerCase() }));
  $('with').value = '';
  await shares();
}));
$('delete').addEventListener('click', does(async () => {
  await ok(db.from('notes').delete().eq('id', open.id));
  $('note').close();
  await list();
}));
document.addEventListener('visibilitychange', () => {
  if (user && document.visibilityState === 'visible') list().catch(() => {}); // what others share meanwhile
});

// ---- the assistant ----

$('ask').addEventListener('click', does(async () => {
  const { mood } = await ok(db.from('profiles').select('mood').single());
  $('ask-form').elements.mood.value = mood;
  $('assistant').showModal();
}));
let settled = Promise.resolve(); // the mood is kept before a question is asked
$('moods').addEventListener('change', () => {
  settled = ok(db.from('profiles').update({ mood: $('ask-form').elements.mood.value }).eq('id', user.id));
  settled.catch((e) => say(e.message, true));
});
$('ask-form').addEventListener('submit', does(async () => {
  await settled;
  const { data, error } = await db.functions.invoke('assistant', { body: { question: $('question').value } });
  if (error) throw new Error((await error.context?.json?.().catch(() => null))?.error ?? error.message);
  $('answer').dataset.mood = data.mood;
  $('answer').textContent = data.answer;
}));

for (const button of document.querySelectorAll('[data-close]')) button.addEventListener('click', () => button.closest('dialog').close());
for (const dialog of document.querySelectorAll('dialog')) dialog.addEventListener('close', () => say());
