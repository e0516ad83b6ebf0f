#!/usr/bin/env python3
"""One project, the same files on both engines, and the same answers: app/ is a project of thirty tables, asked.py what is asked of it.

    run.py ORLO BUILD [FILTER…] [--show]      ORLO: the program; BUILD: where tests/sql/engines is

Each request is asked of SQLite and of PostgreSQL by the room that both share (engines), and of a node by POST /data/v1/query, in the same order, so that what
one changes the next one sees. Status, SQLSTATE, message, details and body have to be the same, byte for byte; PostgreSQL is who is right."""
import http.client, json, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, ".."), os.path.join(HERE, "..", "pg")]
import asked, nodes
from cluster import Cluster

# What is answered differently and known to be: (regular expression over the request's name, what SQLite says of it, reason).
KNOWN = [
    (r"write place\b", r"ok (null)?$", "a function that gives a row and finds none gives null, and no row of nulls"),
    (r"write place\b", r"42501 .*denied for table order_lines", "which of a statement's tables is looked at first"),
    (r"write (.* moderator|item of no price)", r"42501 ", "rights are asked for before a domain's check"),
    (r"write (delete a user|lead badly) ", r"23503 .*is violated by what follows from a change", "SQLite does not say which of several keys it was"),
    (r"foreign keys see what is hidden, 3", r"23503 .*is violated by what follows from a change", "the same"),
    (r"policies that go round, 2", r"42P17 .*relation ..pk", "which of a circle's is named"),
    (r"write vote by call.* service|functions that break a rule", r"23\d\d\d (?!.*(Failing row|Key) )", "the row is a function's"),
]


met = set()


def is_known(name, mine):
    found = next((k for k, says, _ in KNOWN if re.search(k, name) and re.search(says, " ".join(mine), re.S)), None)
    met.add(found)
    return found is not None


def numbered(said):
    """Of a row that failed: a sequence's number, which SQLite gives back with the transaction that took it, and a uuid that was made up."""
    return said[0], re.sub(r"(Failing row contains \()[0-9a-f-]+, (\d{4},)?", r"\1#,", said[1])


def flat(folder, seeds):
    """migrations/*.sql and seed.sql as one folder, in their order."""
    out = tempfile.mkdtemp(prefix="orlo-project-")
    os.chmod(out, 0o755)
    names = sorted(os.listdir(os.path.join(folder, "migrations")))
    for name in names:
        os.symlink(os.path.join(folder, "migrations", name), os.path.join(out, name))
    if seeds:
        os.symlink(os.path.join(folder, "seed.sql"), os.path.join(out, "zzz_seed.sql"))
    return out


def sql_of(folder):
    return "".join(open(os.path.join(folder, n)).read() + "\n" for n in sorted(os.listdir(folder)))


class Engines:
    """Asks a list of requests of both engines; None where there is no PostgreSQL."""
    count = 0

    def __init__(self, build, folder, cluster):
        self.program, self.folder, self.cluster = os.path.join(build, "tests", "sql", "engines"), folder, cluster
        if cluster and not cluster.psql("select 1 from pg_database where datname = 'platform'"):
            cluster.psql("create database platform")
            cluster.psql_in("platform", subprocess.run([self.program, "--platform"], capture_output=True, text=True, check=True).stdout)

    def ask(self, lines):
        """[(SQLite's answer, PostgreSQL's)], each (state, body)."""
        with tempfile.TemporaryDirectory(prefix="orlo-project-") as work:
            Engines.count += 1
            name = f"project{Engines.count}"
            if self.cluster:
                self.cluster.psql(f"create database {name} template platform; alter database {name} set search_path = public, extensions")
                self.cluster.psql_in(name, sql_of(self.folder))
            with open(os.path.join(work, "requests"), "w") as f:
                f.writelines(json.dumps(line) + "\n" for line in lines)
            where = [f"host={self.cluster.folder} user=postgres dbname={name}"] if self.cluster else []
            p = subprocess.run([self.program, self.folder, os.path.join(work, "app.db"), os.path.join(work, "requests"), *where],
                               capture_output=True, text=True, timeout=600, errors="surrogateescape")
            if self.cluster:
                self.cluster.psql(f"drop database {name} with (force)")
        said = [tuple(l.split("\t", 1)) for l in p.stdout.splitlines()]
        each = 2 if self.cluster else 1
        assert p.returncode == 0 and len(said) == each * len(lines), f"exit {p.returncode}, {len(said)} answers to {len(lines)}: {p.stderr[-3000:]}"
        return [(said[i * each], said[i * each + each - 1]) for i in range(len(lines))]


def line_of(who, body):
    return {"role": who.role, "claims": who.claims, **body}


class Report:
    def __init__(self):
        self.passed, self.failed = 0, 0
        self.right = []  # [(request, PostgreSQL's answer)]

    def same(self, name, mine, theirs, what="SQLite:    ", other="PostgreSQL:"):
        if mine == theirs or is_known(name, mine):
            self.passed += mine == theirs
            return
        self.failed += 1
        print(f"FAIL {name}\n  {what} {' '.join(map(str, mine))}\n  {other} {' '.join(map(str, theirs))}")


def unordered(said):
    """The rows that a write answers come in whatever order they were found in."""
    state, body = said
    if state != "ok":
        return said
    try:
        v = json.loads(body)
    except ValueError:
        return said
    return state, json.dumps(sorted(json.dumps(x) for x in v)) if isinstance(v, list) else body


def expected_of(expected, said):
    """Is what was said what the case expects?"""
    if expected is None:
        return True
    state, body = expected
    if state == "ok" and body is None:
        return said[0] == "ok"
    if isinstance(body, tuple):
        return said[0] == state and json.loads(said[1]) == list(body)
    return said[0].startswith(state) and (state or said[0] != "ok") and body in said[1]


def run_cases(r, build, cluster, filters, show):
    """All cases are one project: a file each."""
    import cases
    with tempfile.TemporaryDirectory(prefix="orlo-cases-") as folder:
        os.chmod(folder, 0o755)
        lines = []
        for n, (name, sql, asks) in enumerate(cases.CASES):
            with open(os.path.join(folder, f"{n:03}_{re.sub(r'[^a-z]+', '_', name.lower())}.sql"), "w") as f:
                f.write(("create role moderator nologin;\n" if not n else "") + sql + "\n")
            lines += [(f"{name}, {i + 1}", who, tree if "query" in tree or "batch" in tree else {"query": tree}, expected) for i, (who, tree, expected) in enumerate(asks)]
        engines = Engines(build, folder, cluster)
        for (name, who, body, expected), (mine, theirs) in zip(lines, engines.ask([line_of(who, body) for _, who, body, _ in lines])):
            if filters and not any(f in name for f in filters):
                continue
            if show:
                print(f"{name}: {' '.join(theirs)}")
            good = expected_of(expected, theirs)
            if not good:
                print(f"  (the case expects {expected})")
                r.same(name + ", PostgreSQL itself", theirs, expected)
            r.same(f"{name} {json.dumps(body)}", mine, theirs)


def run_requests(r, build, cluster, filters, show):
    engines = Engines(build, flat(os.path.join(HERE, "app"), True), cluster)
    chosen = [q for q in asked.ALL if not filters or any(f in q.name for f in filters)]
    for q, (mine, theirs) in zip(chosen, engines.ask([line_of(q.who, q.body) for q in chosen])):
        if show:
            print(f"{q.name}: {' '.join(theirs)}")
        if q.writes:
            mine, theirs = unordered(mine), unordered(theirs)
        r.same(q.name, numbered(mine), numbered(theirs))
        r.right.append((q, numbered(theirs)))


# ---- a node -------------------------------------------------------------------------------------------------------


def by_api(n, q):
    """As an app's owner asks, for whoever he likes: the store's process runs it."""
    body = {"role": q.who.role, "claims": json.dumps(q.who.claims), "query": json.dumps(q.body)}
    a = nodes.say(n.control, "POST", "/v1/apps/guild/database/query", body)
    if a.status == 200:
        return "ok", a.text
    state, _, message = a.json["error"]["message"].partition(": ")
    return state, message


def by_door(n, q):
    """As a client asks, with one of the app's keys: a worker runs what reads."""
    n.client.request("POST", "/data/v1/query", json.dumps(q.body), {"Host": "guild.localhost", "apikey": n.keys[q.who.role], "content-type": "application/json"})
    a = n.client.getresponse()
    text = a.read().decode()
    if a.status == 200:
        return "ok", text
    v = json.loads(text)
    return v["code"], json.dumps({"message": v["message"], "details": v["details"] or "", "hint": v["hint"] or ""}, ensure_ascii=False, separators=(",", ":"))


def run_node(r, engine):
    """What PostgreSQL answered, of a node: all of it by the API, and what has a key by the door."""
    app = tempfile.mkdtemp(prefix="app-", dir=nodes.WORK)
    shutil.copytree(os.path.join(HERE, "app"), app, dirs_exist_ok=True)
    with open(os.path.join(app, "orlo.toml"), "w") as f:
        f.write(f'name = "guild"\ndatabase = "{engine}"\n')
    about = f"node, {engine}:"
    with nodes.node() as n:
        for command in (("deploy", app), ("db", "reset", app, "--yes")):
            code, out, error = nodes.orlo(*command, "--state", n.state, timeout=300)
            assert code == 0, (command, code, out, error)
        n.control, n.client = nodes.Socket(n.state), http.client.HTTPConnection("127.0.0.1", n.port, timeout=60)
        n.keys = nodes.say(n.control, "GET", "/v1/apps/guild/keys").json
        for q, right in r.right:
            said = by_api(n, q)
            words = right[1] if right[0] == "ok" else "; ".join(filter(None, json.loads(right[1]).values()))
            r.same(q.name + ", by the API", numbered(unordered(said) if q.writes else said), (right[0], words), about)
            if q.who in (asked.ANON, asked.SERVICE) and not q.name.startswith("call whoami"):  # a key has claims of its own
                said = by_door(n, q)
                r.same(q.name + ", at the door", numbered(unordered(said) if q.writes else said), right, about)
        assert not n.events("role-died"), n.log()[-3000:]


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    orlo, build, filters = os.path.abspath(args[0]), os.path.abspath(args[1]), args[2:]
    if not Cluster.installed():
        print("skipped: project: no PostgreSQL is installed")
        sys.exit(77)
    r = Report()
    for part in ([] if "--cases" in sys.argv else [run_requests]) + [run_cases]:
        with Cluster() as cluster:  # each its own: roles are a cluster's
            part(r, build, cluster, filters, "--show" in sys.argv)
    if r.right:
        for engine in ("sqlite", "postgres"):
            run_node(r, engine)
    for k, _, reason in KNOWN:
        if k not in met and not filters and "--cases" not in sys.argv:
            r.failed += 1
            print(f"FAIL {k} is known to differ ({reason}), and nothing did")
    print(f"{r.passed} passed, {r.failed} failed, 0 skipped")
    sys.exit(1 if r.failed else 0)


if __name__ == "__main__":
    main()
