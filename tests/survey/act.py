#!/usr/bin/env python3
"""Real projects, deployed on both engines and used alike. Usage: act.py ORLO FOLDER [--only NAME] [--rows N]

Each project of FOLDER (one a folder, with a supabase/ of its own) that both engines take: two users sign up, rows of every table are written through
/rest/v1 as the service role and as the users, changed, deleted, functions called without arguments; then all tables are read as everybody. Statuses,
SQLSTATEs and rows are compared; what is made up (uuids, times) is numbered by its first appearance."""
import argparse, json, os, re, shutil, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
a = argparse.ArgumentParser()
a.add_argument("orlo")
a.add_argument("folder")
a.add_argument("--only", default="")
a.add_argument("--chosen", type=int, default=0, help="only so many, those with the most triggers, functions and policies")
a.add_argument("--show", type=int, default=6, help="differences of each project")
o = a.parse_args()
sys.argv = [sys.argv[0], o.orlo]
from nodes import *

USERS = ["aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\b1[78][0-9]{11}\b|20[0-9]{2}-[0-9]{2}-[0-9]{2}([T ][0-9:]{8}(\.[0-9]+)?(\+00(:00)?|Z)?)?")


def deploy(n, app, engine, folder):
    d = tempfile.mkdtemp(dir=WORK)
    shutil.copytree(os.path.join(folder, "supabase"), os.path.join(d, "supabase"))
    shutil.rmtree(os.path.join(d, "supabase", "functions"), ignore_errors=True)
    with open(os.path.join(d, "orlo.toml"), "w") as f:
        f.write(f'name = "{app}"\ndatabase = "{engine}"\nmigrations = "supabase/migrations"\n')
    code, out, error = orlo("deploy", d, "--state", n.state, timeout=900)
    shutil.rmtree(d)
    return code, re.sub(r"\x1b\[[0-9;]*m", "", out + error)


class App:
    def __init__(self, n, name):
        self.n, self.name = n, name
        code, out, error = orlo("keys", name, "--state", n.state)
        env = dict(l.split("=", 1) for l in out.splitlines() if "=" in l and not l.startswith("#"))
        self.keys = {"anon": env["SUPABASE_ANON_KEY"], "service": env["SUPABASE_SERVICE_ROLE_KEY"]}
        for u in USERS:
            code, out, error = orlo("keys", "token", name, "--as", u, "--state", n.state)
            self.keys[u] = out.strip()
        self.known = {}
        c = http.client.HTTPConnection("127.0.0.1", n.port, timeout=60)
        self.c = c

    def ask(self, who, method, path, body=None, **fields):
        key = self.keys[who]
        head = {"Host": f"{self.name}.localhost", "apikey": self.keys["anon"], "authorization": "Bearer " + key, "content-type": "application/json", **fields}
        for _ in range(2):
            try:
                self.c.request(method, path, body=json.dumps(body) if body is not None else None, headers=head)
                r = self.c.getresponse()
                text = r.read().decode("utf-8", "replace")
                return r.status, text
            except (OSError, http.client.HTTPException):
                self.c.close()
        return 0, ""

    def sql(self, text):
        return orlo("db", "query", "--write", text, "--app", self.name, "--state", self.n.state, timeout=60)

    def plain(self, text):
        """What is made up, by its number."""
        text = UUID.sub(lambda m: m[0] if m[0] in USERS or m[0].startswith("00000000-") else self.known.setdefault(m[0], f"<uuid {len(self.known)}>"), text)
        return TIME.sub("<time>", text)


def tables_of(app):
    status, text = app.ask("service", "GET", "/rest/v1/")
    doc = json.loads(text)
    paths = doc.get("paths", {})
    takes = {p: next((x.get("schema", {}) for x in v.get("post", {}).get("parameters", []) if x.get("in") == "body"), {}) for p, v in paths.items() if p.startswith("/rpc/")}
    return doc.get("definitions", {}), sorted(paths), takes


def value_of(name, column, k, rows):
    d, form = column.get("description", ""), column.get("format", "")
    fk = re.search(r"<fk table='([^']+)' column='([^']+)'/>", d)
    if fk:
        there = rows.get(fk[1], [])
        return there[k % len(there)].get(fk[2]) if there else None
    if column.get("enum"):
        return column["enum"][k % len(column["enum"])]
    if form == "uuid":
        return USERS[k % 2] if re.search("user|owner|profile|author|created_by|id$", name) and name != "id" else f"00000000-0000-4000-8000-{k:012d}"
    if form.startswith("timestamp"):
        return f"2031-01-{1 + k % 28:02d}T00:00:00"
    if form == "date":
        return f"2031-02-{1 + k % 28:02d}"
    if form.startswith("time"):
        return "10:00:00"
    if column.get("type") in ("integer", "number"):
        return k + 1
    if column.get("type") == "boolean":
        return k % 2 == 0
    if column.get("type") == "array" or form.endswith("[]"):
        return []
    if form in ("json", "jsonb"):
        return {"k": k}
    if column.get("type") == "string":
        return f"{name[:6]} {k}"[: int(column.get("maxLength", 40))]
    return None


def argument(name, column, rows):
    """What a function of this project would be given: a row of its own where the name says which, or a user."""
    if column.get("format") == "uuid":
        words = re.sub(r"^(p|_|in)?_|_id$|^target_|^v_", "", name)
        for t, there in sorted(rows.items()):
            if there and words and (t.startswith(words) or words in (t.rstrip("s"), t)) and there[0].get("id"):
                return there[0]["id"]
        return USERS[0]
    return value_of(name, column, 1, rows)


def row_of(table, k, rows):
    needed = set(table.get("required", []))
    row = {}
    for name, column in table.get("properties", {}).items():
        if name not in needed and k % 2 or ("default" in column and name not in needed):
            continue
        if "default" in column or (name == "id" and column.get("format") in ("bigint", "integer")):
            continue
        v = value_of(name, column, k, rows)
        if v is not None or name in needed:
            row[name] = v
    return row


def alike(text):
    """Without which one of those that are made up it is: rows that are sorted by them come in another order."""
    j = json.loads(re.sub(r"<uuid \d+>", "<uuid>", text))
    return sorted(json.dumps(r, sort_keys=True) for r in j) if isinstance(j, list) else j


def compare(s, p, differs, what, who, method, path, *bodies, **fields):
    """One body for both, or one for each: what refers to rows refers to its own engine's."""
    got = [(app, *app.ask(who, method, path, body, **fields)) for app, body in zip((s, p), bodies * 2 if len(bodies) == 1 else bodies or (None, None))]
    plain = []
    for app, status, text in got:
        try:
            j = json.loads(text) if text else None
        except ValueError:
            j = text
        if isinstance(j, dict) and "code" in j:
            j = [j["code"], j["message"]]
        elif isinstance(j, list):
            j = sorted(j, key=lambda r: app.plain(json.dumps(r, sort_keys=True)))
        plain.append((status, app.plain(json.dumps(j, sort_keys=True))))
    if plain[0] != plain[1] and (plain[0][0] != plain[1][0] or alike(plain[0][1]) != alike(plain[1][1])):
        at = max(0, len(os.path.commonprefix([plain[0][1], plain[1][1]])) - 40)
        differs.append(f"{what} as {who[:7]}: sqlite {plain[0][0]} {plain[0][1][at:at + 160]} | postgres {plain[1][0]} {plain[1][1][at:at + 160]}")
    return got


def act(s, p):
    differs, asked = [], 0
    for u in USERS:
        text = f"insert into auth.users (id, email, raw_user_meta_data, raw_app_meta_data, aud, role) values ('{u}', '{u[:4]}@example.org', '{{\"full_name\": \"N {u[0]}\", \"name\": \"N\", \"username\": \"u{u[0]}\"}}', '{{}}', 'authenticated', 'authenticated')"
        r = [app.sql(text) for app in (s, p)]
        words = [re.sub(r".*?([0-9A-Z]{5}: .*)", r"\1", (x[1] + x[2]).strip(), flags=re.S)[:200] if x[0] else "ok" for x in r]
        asked += 1
        if words[0] != words[1]:
            differs.append(f"sign up: sqlite {words[0]} | postgres {words[1]}")
    (defs, paths, _), (defs2, paths2, takes) = tables_of(s), tables_of(p)
    if paths != paths2:
        differs.append(f"paths: only sqlite {sorted(set(paths) - set(paths2))[:8]} | only postgres {sorted(set(paths2) - set(paths))[:8]}")
    tables = [t for t in defs2 if t in defs]
    rows = [{t: [] for t in tables} for _ in (s, p)]
    for app, own in zip((s, p), rows):
        for t in tables:
            status, text = app.ask("service", "GET", f"/rest/v1/{t}?limit=5")
            if status == 200:
                own[t] = sorted(json.loads(text), key=lambda r: app.plain(json.dumps(r, sort_keys=True)))
    for attempt in range(4):
        for t in tables:
            if len(rows[1][t]) >= 4 or (attempt and rows[1][t]):
                continue
            for k in range(2):
                who = ("service", *USERS)[(k + attempt) % 3]
                got = compare(s, p, differs, f"POST {t} #{attempt}.{k}", who, "POST", f"/rest/v1/{t}", *(row_of(defs2[t], 2 * attempt + k, own) for own in rows), prefer="return=representation")
                asked += 1
                if got[1][1] == 201 and got[0][1] == 201:
                    for own, answer in zip(rows, got):
                        own[t] += json.loads(answer[2])
    for t in tables:
        for who in ("anon", "service", *USERS):
            compare(s, p, differs, f"GET {t}", who, "GET", f"/rest/v1/{t}")
            asked += 1
        props = defs2[t].get("properties", {})
        texts = [c for c, d in props.items() if d.get("type") == "string" and d.get("format") in ("text", "character varying") and not d.get("enum")]
        for who in (USERS[0], "service"):
            if texts:
                compare(s, p, differs, f"PATCH {t}", who, "PATCH", f"/rest/v1/{t}?{texts[0]}=not.is.null", {texts[0]: f"changed {who[:3]}"}, prefer="return=representation")
                asked += 1
    for path in paths2:
        if path.startswith("/rpc/") and path in paths:
            for who in (USERS[0], "anon", "service"):
                compare(s, p, differs, f"call {path}", who, "POST", f"/rest/v1{path}", *({n: argument(n, c, own) for n, c in takes.get(path, {}).get("properties", {}).items()} for own in rows))
                asked += 1
    for t in reversed(tables):
        for who in (USERS[1], "service"):
            first = next(iter(defs2[t].get("properties", {"id": 0})))
            compare(s, p, differs, f"DELETE {t}", who, "DELETE", f"/rest/v1/{t}?{first}=not.is.null", prefer="return=representation")
            asked += 1
    for t in tables:
        compare(s, p, differs, f"GET {t} at the end", "service", "GET", f"/rest/v1/{t}")
        asked += 1
    return asked, differs


def weight(name):
    """How much of what has to be right while a project is used it has."""
    folder, n = os.path.join(o.folder, name, "supabase", "migrations"), 0
    for f in os.listdir(folder):
        if f.endswith(".sql"):
            with open(os.path.join(folder, f), errors="replace") as text:
                n += len(re.findall(r"(?i)create\s+(?:or\s+replace\s+)?(?:constraint\s+)?(?:trigger|function|policy)", text.read()))
    return n


names = sorted(n for n in os.listdir(o.folder) if o.only in n)
if o.chosen:
    names = sorted(sorted(names, key=weight)[-2 * o.chosen :], reverse=False)
total = wrong = used = 0
with node("--workers", "1") as n:
    for k, name in enumerate(names):
        if o.chosen and used == o.chosen:
            break
        folder = os.path.join(o.folder, name)
        code, said = deploy(n, f"s{k}", "sqlite", folder)
        if code:
            print(f"     {name}: not on SQLite", flush=True)
            continue
        code, said = deploy(n, f"p{k}", "postgres", folder)
        if not code:
            used += 1
            asked, differs = act(App(n, f"s{k}"), App(n, f"p{k}"))
            total, wrong = total + asked, wrong + len(differs)
            print(f"{'ok  ' if not differs else 'differ'} {name}: {len(differs)} of {asked}", flush=True)
            for d in differs[: o.show]:
                print("     " + d, flush=True)
        else:
            print(f"     {name}: not on PostgreSQL", flush=True)
        for app in (f"s{k}", f"p{k}"):
            orlo("delete", app, "--state", n.state)
print(f"{wrong} of {total} differ")
