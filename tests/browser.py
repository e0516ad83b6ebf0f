"""A headless Chromium, driven by its pipe with nothing but Python: pages, as somebody with a mouse and a keyboard has them.

    with browser() as b:
        page = b.page("http://shop.localhost:8080/")       # of a person by himself: cookies and storage are nobody else's
        page.fill("#email", "ann@example.com"), page.press("text=Sign in")
        page.wait("document.title == 'Shop'")

browser() skips its test where no Chromium is. page.send(METHOD, …) is any command of the DevTools protocol, such as WebAuthn.addVirtualAuthenticator."""
import base64, collections

from harness import *

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    def __init__(self, program):
        self.last, self.answers, self.buffer, self.pages = 0, {}, b"", {}
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self.folder = tempfile.mkdtemp(prefix="browser-", dir=WORK)

        def pipe():  # 3: commands, 4: answers; those two may be anything here
            high_in, high_out = os.dup2(theirs_in, 200), os.dup2(theirs_out, 201)
            os.dup2(high_in, 3), os.dup2(high_out, 4)
        flags = ("--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--no-first-run", "--no-default-browser-check", "--mute-audio", "--hide-scrollbars", "--proxy-server=direct://", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
                 "--window-size=390,844", f"--user-data-dir={self.folder}")
        self.proc = subprocess.Popen([program, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=False, preexec_fn=pipe)
        self.said = []
        threading.Thread(target=lambda: self.said.append(self.proc.stderr.read()), daemon=True).start()
        os.close(theirs_in), os.close(theirs_out)
        self.to, self.of = ours_out, ours_in

    def send(self, method, session=None, **params):
        """A command, and what is answered to it."""
        self.last += 1
        id, message = self.last, {"id": self.last, "method": method, "params": params, **({"sessionId": session} if session else {})}
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self.to, text):]
        while id not in self.answers:
            self.read()
        answer = self.answers.pop(id)
        check("error" not in answer, method, answer.get("error"))
        return answer["result"]

    def read(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.of, 1 << 16)
            if not piece:
                self.proc.wait()
                raise AssertionError(("the browser is gone", self.proc.returncode, self.said))
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        if "id" in message:
            self.answers[message["id"]] = message
        elif page := self.pages.get(message.get("sessionId")):
            page.events.append((message["method"], message["params"]))

    def page(self, url, of=None):
        """Another person's, or another tab of one's who has one."""
        return Page(self, url, of)

    def close(self):
        with contextlib.suppress(OSError, AssertionError):
            self.send("Browser.close")
        try:
            self.proc.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.proc.kill(), self.proc.wait()
        os.close(self.to), os.close(self.of)
        shutil.rmtree(self.folder, ignore_errors=True)


class Page:
    def __init__(self, browser, url, of):
        self.browser, self.events = browser, collections.deque(maxlen=5000)
        self.context = of.context if of else browser.send("Target.createBrowserContext")["browserContextId"]
        target = browser.send("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(domain + ".enable")
        self.go(url)

    def send(self, method, **params):
        return self.browser.send(method, self.session, **params)

    def go(self, url):
        got = self.send("Page.navigate", url=url)
        check("errorText" not in got, url, got)
        self.wait("document.readyState == 'complete'")

    def run(self, text):
        """What JavaScript says, a promise's value included."""
        got = self.send("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True, userGesture=True)
        check("exceptionDetails" not in got, text, got.get("exceptionDetails"))
        return got["result"].get("value")

    def wait(self, text):
        """Until it is so, whatever page is there meanwhile."""
        def so():
            try:
                return self.run(f"(x => x instanceof Node || x)({text})")  # an element is there
            except AssertionError:  # between two pages
                return None
        try:
            return until(so)
        except Exception:
            raise type(sys.exc_info()[1])(f"it never was so: {text}; there is {self.text()!r}, and {self.faults()!r}") from None

    def text(self):
        return self.run("location.href + '\\n' + document.body.innerText")

    def faults(self):
        """What the page threw, or was refused."""
        return [(m, p) for m, p in self.events if m == "Runtime.exceptionThrown" or m == "Log.entryAdded" and p["entry"]["level"] == "error" or m == "Runtime.consoleAPICalled" and p["type"] == "error"]

    def find(self, what):
        """A CSS selector's first element, or what is clicked that says "text=…": as JavaScript."""
        if not what.startswith("text="):
            return f"document.querySelector({json.dumps(what)})"
        return f"[...document.querySelectorAll('button, a, summary, label, [role=button], input[type=submit]')].find(e => e.checkVisibility() && (e.innerText || e.value || '').trim() == {json.dumps(what[5:])})"

    def at(self, what):
        """Where it is, once it can be clicked there: nothing lies above it."""
        return self.wait(f"""(() => {{
            const e = {self.find(what)};
            if (!e || e.disabled || !e.checkVisibility()) return null;
            e.scrollIntoView({{ block: 'center' }});
            if (document.getAnimations().some(a => a.playState == 'running')) return null;
            const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
            return top && (e.contains(top) || top.contains(e) && e.matches('input[type=radio], input[type=checkbox]')) ? [x, y] : null }})()""")

    def press(self, what):
        x, y = self.at(what)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def fill(self, what, text):
        self.press(what)
        self.run(f"{self.find(what)}.select()")
        self.send("Input.insertText", text=text)

    def key(self, name, code=None, modifiers=0):
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=name, code=code or name, windowsVirtualKeyCode={"Enter": 13, "Tab": 9, "Escape": 27}.get(name, 0), text="\r" if name == "Enter" else "", modifiers=modifiers)

    def picture(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


@contextlib.contextmanager
def browser():
    program = next((p for p in map(shutil.which, PROGRAMS) if p), None)
    if not program:
        raise Skip("there is no Chromium")
    b = Browser(program)
    try:
        yield b
    finally:
        b.close()
