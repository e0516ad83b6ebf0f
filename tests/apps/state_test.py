"""What a node keeps: versions, secrets, static folders; and how it starts with what others left."""
import hashlib, json, random, shutil, sqlite3

from nodes import *

MANIFEST = """
[functions.main]
source = "main.wasm"
routes = ["/"]
"""


def tenant():
    with open(guest("tenant"), "rb") as f:
        return f.read()


def deployed(n, app, manifest=MANIFEST, files=None, **more):
    d = deploy_manifest(n.state, app, manifest, {"main.wasm": tenant()} if files is None else files, **more)
    check(d.get("state") == "done", d)
    return d


def ask(n, method, path, body=None):
    c = Socket(n.state)
    try:
        return say(c, method, path, body)
    finally:
        c.close()


def with_app(value):
    return MANIFEST + f'env = {{ APP = "{value}" }}\n'


# ---- versions ---------------------------------------------------------------------------------------------------------


def test_state_rollback():
    state = new_state()
    with node("--workers", "1", state=state) as n:
        for v in "123":
            deployed(n, "a", with_app(v))
        eq(n.get("a").text, "3\n")
        eq(ask(n, "POST", "/v1/apps/a/rollback", {}).status, 200)
        eq(n.get("a").text, "2\n")
        eq(ask(n, "POST", "/v1/apps/a/rollback", {}).status, 200)
        eq(n.get("a").text, "1\n")
        eq(ask(n, "POST", "/v1/apps/a/rollback", {}).code(), "not_found")
        eq(ask(n, "POST", "/v1/apps/a/rollback", {"version": 9}).code(), "not_found")
        eq(ask(n, "POST", "/v1/apps/a/promote", {"version": 3}).status, 200)
        eq(n.get("a").text, "3\n")
        eq(ask(n, "POST", "/v1/apps/nobody/rollback", {}).code(), "not_found")
    with node("--workers", "1", state=state) as n:
        eq(n.get("a").text, "3\n")
        eq(ask(n, "POST", "/v1/apps/a/rollback", {"version": 1}).status, 200)
        eq(n.get("a").text, "1\n")
        deployed(n, "a", with_app("4"), live=False)
        eq(n.get("a").text, "1\n")
        eq(ask(n, "POST", "/v1/apps/a/promote", {"version": 4}).status, 200)
        eq(n.get("a").text, "4\n")


def test_state_modules_are_compiled_once():
    with node("--workers", "1") as n:
        deployed(n, "a", with_app("1"))
        images = os.listdir(os.path.join(n.state, "images"))
        eq(len(images), 1)
        deployed(n, "a", with_app("2"))
        deployed(n, "b", with_app("3"))
        eq(os.listdir(os.path.join(n.state, "images")), images)
        eq(n.get("b").text, "3\n")


# ---- secrets ----------------------------------------------------------------------------------------------------------


def everywhere(state, what):
    """Files of the state folder that have these bytes."""
    found = []
    for folder, _, names in os.walk(state):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and what in open(path, "rb").read():
                found.append(path)
    return found


def test_state_secrets():
    state, value = new_state(), "s3cret-" + "".join(random.choices("abcdef", k=20))
    manifest = MANIFEST + 'secrets = ["TOKEN"]\n'
    with node("--workers", "2", state=state) as n:
        deployed(n, "a", manifest)
        check("TOKEN" not in n.get("a", "/env").text)
        eq(ask(n, "PUT", "/v1/apps/a/secrets/TOKEN", {"value": value}).status, 204)
        for _ in range(8):
            check(f"TOKEN={value}" in n.get("a", "/env").text, n.get("a", "/env").text)
        # Another app, or a function that does not ask for it, has none of it.
        deployed(n, "b", manifest)
        deployed(n, "c", MANIFEST)
        check(value not in n.get("b", "/env").text + n.get("c", "/env").text)
        listed = ask(n, "GET", "/v1/apps/a/secrets")
        check(value not in listed.text and "TOKEN" in listed.text, listed.text)
        eq(ask(n, "PUT", "/v1/apps/a/secrets/TOKEN", {"value": value + "2"}).status, 204)
        check(f"TOKEN={value}2" in n.get("a", "/env").text)
        for bad in ("_jwt", "1A", "A-B", "A.B"):
            eq((bad, ask(n, "PUT", f"/v1/apps/a/secrets/{bad}", {"value": "x"}).status // 100), (bad, 4))
        eq(ask(n, "DELETE", "/v1/apps/a/secrets/NONE").code(), "not_found")
        check(value not in n.log(), "it is in the log")
    eq(everywhere(state, value.encode()), [])
    with node("--workers", "1", state=state) as n:
        check(f"TOKEN={value}2" in n.get("a", "/env").text)
        eq(ask(n, "DELETE", "/v1/apps/a/secrets/TOKEN").status, 204)
        check("TOKEN" not in n.get("a", "/env").text)
        eq(ask(n, "PUT", "/v1/apps/a/secrets/TOKEN", {"value": value}).status, 204)
    # What it was sealed with is another key now: it is said, and nothing else is harmed.
    with open(os.path.join(state, "seal.key"), "wb") as f:
        f.write(os.urandom(32))
    with node("--workers", "1", state=state) as n:
        eq(n.get("a", "/env").status, 503)
        until(lambda: "sealed with another key" in n.log())
        eq(n.get("c").status, 200)
        eq(ask(n, "PUT", "/v1/apps/a/secrets/TOKEN", {"value": "again"}).status, 204)
        until(lambda: "TOKEN=again" in n.get("a", "/env").text)


# ---- static folders ---------------------------------------------------------------------------------------------------


def test_state_static_folders():
    manifest = MANIFEST + '[[files]]\nroute = "/s"\nfolder = "public"\n'
    files = {"main.wasm": tenant(), "public/a.txt": b"a", "public/sub/b.txt": b"bb" * 5000}
    with node("--workers", "1") as n:
        deployed(n, "a", manifest, files)
        eq(n.get("a", "/s/sub/b.txt").text, "bb" * 5000)
        # What is not there is named, and nothing is deployed.
        listed = [{"path": p, "digest": hashlib.sha256(b).hexdigest(), "bytes": len(b)} for p, b in files.items()]
        listed.append({"path": "public/c.txt", "digest": hashlib.sha256(b"new").hexdigest(), "bytes": 3})
        wanted = {"format": "orlo", "manifest": manifest, "files": listed}
        c = Socket(n.state)
        d = say(c, "POST", "/v1/apps/a/deployments", wanted).json
        while d.get("state") == "working":
            d = say(c, "GET", f"/v1/apps/a/deployments/{d['id']}?wait_ms=20000&seen={d['seen']}").json
        check("public/c.txt" in json.dumps(d), d)
        # Of the files that a version has, none comes again.
        say(c, "PUT", f"/v1/apps/a/blobs/{listed[-1]['digest']}", b"new")
        d = say(c, "POST", "/v1/apps/a/deployments", wanted).json
        while d.get("state") == "working":
            d = say(c, "GET", f"/v1/apps/a/deployments/{d['id']}?wait_ms=20000&seen={d['seen']}").json
        eq(d.get("state"), "done")
        eq((n.get("a", "/s/c.txt").text, n.get("a", "/s/a.txt").text), ("new", "a"))
        for bad in ("public/../x", "/etc/passwd", "public//x", "public/./x", "public/a\\b", "public/\x01"):
            d = deploy_manifest(n.state, "a", manifest, {**files, bad: b"x"})
            check("error" in d, bad, d)
        eq(n.get("a", "/s/a.txt").text, "a")


# ---- what others left -------------------------------------------------------------------------------------------------


def fails(state, *words):
    p = subprocess.run([ORLO, "node", "--state", state, "--listen", "127.0.0.1:0", "--admin", "off"], capture_output=True, text=True, timeout=60)
    check(p.returncode != 0 and all(w in p.stderr for w in words), p.returncode, p.stderr)


def test_state_of_others():
    state = new_state()
    with node("--workers", "1", state=state) as n:
        deployed(n, "a", with_app("1"))
    db = os.path.join(state, "db", "node.db")
    c = sqlite3.connect(db)
    c.execute("pragma wal_checkpoint(truncate)")  # all of it in one file
    c.close()
    shutil.copy(db, db + ".kept")
    with sqlite3.connect(db) as c:
        c.execute("pragma user_version = 77")
    c.close()
    fails(state, "newer version", "77")
    shutil.copy(db + ".kept", db)
    with sqlite3.connect(db) as c:
        c.execute("update meta set value = x'00112233445566778899aabbccddeeff' where key = 'node'")
    c.close()
    fails(state, "another node")
    for name in os.listdir(os.path.join(state, "db")):
        if name != "node.db.kept":
            os.remove(os.path.join(state, "db", name))
    fails(state, "is gone")
    with open(db, "wb") as f:
        f.write(b"this is no database at all, " * 1000)
    fails(state, "node.db")
    shutil.copy(db + ".kept", db)
    with node("--workers", "1", state=state) as n:
        eq(n.get("a").text, "1\n")


# ---- what Supabase's clients bring --------------------------------------------------------------------------------------


def test_state_keys():
    state = new_state()
    manifest = '[functions.hello]\nsource = "main.wasm"\nroutes = ["/"]\nsupabase = true\nverify_jwt = true\n'
    with node("--workers", "1", state=state) as n:
        deployed(n, "a", MANIFEST)
        eq(ask(n, "GET", "/v1/apps/a/keys").code(), "not_found")
        deployed(n, "a", manifest)
        deployed(n, "b", manifest)
        keys = ask(n, "GET", "/v1/apps/a/keys").json
        others = ask(n, "GET", "/v1/apps/b/keys").json
        eq(keys["url"], n.url.replace("127.0.0.1", "a.localhost"))
        call = lambda token: n.get("a", "/functions/v1/hello", "-H", "Authorization: Bearer " + token)
        eq(n.get("a", "/functions/v1/hello").status, 401)
        eq(call(others["anon"]).status, 401)
        eq(call(keys["anon"][:-2] + "xx").status, 401)
        for role in ("anon", "service_role"):
            eq(call(keys[role]).status, 200)
        env = n.get("a", "/env", "-H", "Authorization: Bearer " + keys["anon"]).text.splitlines()
        for key, value in (("ANON_KEY", keys["anon"]), ("SERVICE_ROLE_KEY", keys["service_role"]), ("URL", keys["url"])):
            check(f"SUPABASE_{key}={value}" in env, env)
        deployed(n, "a", manifest)
    with node("--workers", "1", state=state) as n:
        eq(ask(n, "GET", "/v1/apps/a/keys").json["anon"], keys["anon"])
        eq(n.get("a", "/functions/v1/hello", "-H", "Authorization: Bearer " + keys["anon"]).status, 200)
