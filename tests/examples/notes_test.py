"""examples/notes as its users have it, in headless browsers: they come by a mail's link, share, do not see what is not theirs, and ask an assistant that has moods."""
import http.server

import run as examples
from browser import *
from nodes import *

sys.path.append(os.path.join(ROOT, "tests", "apps"))
from users_test import Asker  # noqa: E402

PASSWORD = "correct horse battery"


class Model(http.server.ThreadingHTTPServer):
    """A double of what completes chats: it says which mood it was told to be in, and keeps what it was asked."""
    daemon_threads = True

    def __init__(self):
        self.asked, self.status = [], 200
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    MOODS = {"calmly": "As you wish.", "delight": "How wonderful!", "melancholy": "Oh well…", "grumbling": "What now?!"}

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        system, question = (m["content"] for m in body["messages"])
        self.server.asked.append((self.headers["authorization"], body["model"], system, question))
        said = next(v for k, v in self.MOODS.items() if k in system)
        text = json.dumps({"choices": [{"message": {"role": "assistant", "content": f"{said} <b>{question}</b>"}}]}).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def make(model):
    """The project, built by the command of its manifest, with the double as its model."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    source, work = os.path.join(examples.EXAMPLES, "notes"), os.path.join(examples.MADE, "notes")
    with examples.alone():
        for name in examples.files_of(source):
            os.makedirs(os.path.dirname(os.path.join(work, name)), exist_ok=True)
            if not os.path.exists(os.path.join(work, name)) or open(os.path.join(work, name), "rb").read() != open(os.path.join(source, name), "rb").read():
                shutil.copyfile(os.path.join(source, name), os.path.join(work, name))
        tools = os.path.join(examples.MADE, "javascript", "node_modules")  # of the same versions: most of it is there
        if os.path.isdir(tools) and not os.path.exists(os.path.join(work, "node_modules")):
            subprocess.run(["cp", "-al", tools, work], check=True)
        examples.fetch("npm install --no-audit --no-fund --prefer-offline", work)
        made = os.path.join(work, "app.wasm")
        if not os.path.exists(made) or os.path.getmtime(made) < max(os.path.getmtime(os.path.join(work, n)) for n in ("assistant.js", "package.json")):
            p = subprocess.run(["npm", "run", "build"], cwd=work, capture_output=True, text=True)
            check(p.returncode == 0, p.stdout[-2000:], p.stderr[-2000:])
        folder = tempfile.mkdtemp(prefix="notes-", dir=WORK)
        shutil.copytree(work, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    path = os.path.join(folder, "orlo.toml")
    text = open(path).read()
    for old, new in (("https://api.openai.com/v1/chat/completions", f"http://{model.address}/v1/chat/completions"), ('"https://api.openai.com"', f'"http://{model.address}"'), ("password_min = 8\n", "password_min = 8\nmail_every_s = 0\n")):
        check(text.count(old) == 1, old)
        text = text.replace(old, new)
    with open(path, "w") as f:
        f.write(text + "\n[limits]\ntimeout_ms = 60000\n")
    return folder


def sign_up(b, ask, url, email):
    """A page of who has an account, by his mail's link."""
    page = b.page(url)
    page.wait("!document.querySelector('#door').hidden")
    page.fill("#email", email), page.fill("#password", PASSWORD)
    page.press("text=Make an account")
    page.wait("!document.querySelector('#sent').hidden")
    follow(page, ask, email)
    return page


def follow(page, ask, email):
    """What a mail's link leads to, and the button there."""
    link = ask.mail(email)["variables"]["ConfirmationURL"]
    page.go(link)
    page.press("button")
    page.wait("!document.querySelector('#home')?.hidden")


def titles(page):
    page.wait("!document.querySelector('#home').hidden && (document.querySelector('#notes li') || !document.querySelector('#none').hidden)")
    return page.run("[...document.querySelectorAll('#notes b')].map(e => e.textContent)")


def write(page, title, body):
    page.press("text=New note")
    page.fill("#title", title), page.fill("#body", body)
    page.press("#save")
    page.wait(f"!document.querySelector('#note').open && [...document.querySelectorAll('#notes b')].some(e => e.textContent == {json.dumps(title)})")


def named(page):
    """Everything that a keyboard reaches has a name that is read out."""
    page.send("Accessibility.enable")
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    reached = [n for n in nodes if not n["ignored"] and n["role"]["value"] in ("button", "textbox", "radio", "link", "dialog", "list", "group", "radiogroup")
               and any(p["name"] == "focusable" for p in n["properties"])]
    check(reached and all(n.get("name", {}).get("value", "").strip() for n in reached), [n for n in reached if not n.get("name", {}).get("value")])


def shared(ann, ben):
    write(ann, "Shopping", "Milk, bread"), write(ann, "Diary", "Nobody else's <script>alert(1)</script>")
    eq(titles(ann), ["Diary", "Shopping"])
    ben.run("document.dispatchEvent(new Event('visibilitychange'))")
    eq(titles(ben), [])
    ann.press("#notes li:nth-child(2) button")
    ann.fill("#with", "Ben@example.com"), ann.press("text=Share")
    ann.wait("document.querySelector('#shares').innerText.includes('ben@example.com')")
    named(ann)
    ann.press("#note [data-close]")
    ben.go(ben.run("location.origin"))
    eq(titles(ben), ["Shopping"])
    ben.press("#notes button")
    ben.wait("document.querySelector('#note').open")
    eq(ben.run("[document.querySelector('#body').value, document.querySelector('#body').readOnly, document.querySelector('#save').hidden, document.querySelector('#note-author').textContent]"),
       ["Milk, bread", True, True, "from ann@example.com"])
    ben.press("#note [data-close]")


def not_his(ben):
    """By hand, too, whoever the page trusts: he changes nothing, takes nothing, gives nothing on."""
    got = ben.run("""(async () => {
        const { key } = await import('/config.js'), db = supabase.createClient(location.origin, key, { auth: { flowType: 'pkce' } });
        const seen = (await db.from('notes').select('id, title')).data, id = seen[0].id;
        return [seen.length, (await db.from('notes').update({ title: 'mine' }).eq('id', id).select()).data.length, (await db.from('notes').delete().eq('id', id).select()).data.length,
                (await db.from('shares').insert({ note: id, email: 'cat@example.com' })).error.code, (await db.from('notes').insert({ title: 'x', owner: crypto.randomUUID() })).error.code, (await db.from('notes').insert({ title: 'x', author: 'ann@example.com' })).error.code,
                (await db.from('profiles').select()).data.length] })()""")
    eq(got, [1, 0, 0, "23503", "42501", "42501", 1])


def moods(page, model):
    page.press("text=Ask")
    named(page)
    seen = []
    for mood in ("normal", "happy", "sad", "angry"):
        page.press(f"#moods label:has([value={mood}])")
        page.fill("#question", f"What is {mood} to buy?")
        page.press("#send")
        page.wait(f"document.querySelector('#answer').textContent.includes('What is {mood} to buy?')")
        seen.append(page.run("[document.querySelector('#answer').dataset.mood, document.querySelector('#answer').textContent.split(' <b>')[0]]"))
    eq(seen, [["normal", "As you wish."], ["happy", "How wonderful!"], ["sad", "Oh well…"], ["angry", "What now?!"]])
    eq(page.run("document.querySelector('#answer b')"), None)
    eq({a[:2] for a in model.asked}, {("Bearer the model's key", "gpt-4o-mini")})
    model.status = 500
    page.press("#send")
    page.wait("document.querySelector('#status').textContent == 'The assistant does not answer at the moment.'")
    model.status = 200
    page.press("#assistant [data-close]")


def forgot(page, ask, email):
    """A new password by a mail, and signed in with it."""
    page.press("#account")
    page.press("#out")
    page.wait("!document.querySelector('#door').hidden")
    page.fill("#email", email), page.fill("#password", "another horse")
    page.press("text=Sign in")
    page.wait("document.querySelector('#status').textContent == 'Invalid login credentials'")
    page.press("text=I forgot my password")
    page.wait("!document.querySelector('#sent').hidden")
    follow(page, ask, email)
    page.wait("document.querySelector('#me').open")
    page.fill("#new-password", "a horse that is new"), page.press("text=Change")
    page.wait("document.querySelector('#status').textContent == 'The password is changed.'")
    page.press("#out")
    page.wait("!document.querySelector('#door').hidden")
    page.fill("#email", email), page.fill("#password", "a horse that is new")
    page.press("text=Sign in")
    page.wait("!document.querySelector('#home').hidden")


def test_notes():
    model = Model()
    with browser() as b, node("--workers", "1") as n:
        folder = make(model)
        code, out, error = orlo("deploy", folder, "--no-build", "--state", n.state)
        check(code == 0, out, error)
        code, out, error = orlo("secrets", "set", "notes", "MODEL_KEY", "--state", n.state, data=b"the model's key")
        check(code == 0, out, error)
        ask, url = Asker(n, "notes"), f"http://notes.localhost:{n.port}/"
        eq(ask.raw("POST", "/functions/v1/assistant", {"question": "?"}, bearer=ask.keys["anon"])[0], 401)  # signed in is who has a session
        ann, ben = (sign_up(b, ask, url, f"{name}@example.com") for name in ("ann", "ben"))
        shared(ann, ben)
        not_his(ben)
        moods(ann, model)
        check("Diary" in model.asked[-1][2], model.asked[-1])
        moods(ben, model)
        check("Shopping" in model.asked[-1][2] and "Diary" not in model.asked[-1][2], model.asked[-1])
        forgot(ben, ask, "ben@example.com")
        eq(titles(ben), ["Shopping"])
        faults = [f for p in (ann, ben) for f in p.faults() if "status of" not in str(f)]
        check(not faults, faults)
        if folder := os.environ.get("ORLO_TEST_PICTURES"):
            pictures(ann, folder)


def pictures(page, folder):
    page.picture(os.path.join(folder, "list.png"))
    page.press("#notes button"), page.picture(os.path.join(folder, "note.png")), page.press("#note [data-close]")
    page.press("text=Ask"), page.picture(os.path.join(folder, "assistant.png"))
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.picture(os.path.join(folder, "dark.png"))
