#!/usr/bin/env python3
"""PostgREST's own specification, as data: each request, and the status, fields and body that it must have, on PostgreSQL and on SQLite.

    suite.py BUILD SUITE [--only TEXT] [--show N] [--list] [--keep FOLDER] [--canary]

SUITE is a folder with cases.jsonl and the schema's *.sql. What SQLite refuses of the schema is left out of it, and so are the statements that need it;
what differs and is known is a row of known.py, with its reason. Each case is undone, but for those that ask for tx=commit."""
import argparse, atexit, collections, json, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "pg")]
from split import statements  # noqa: E402
import known, tokens  # noqa: E402

FILES = ["roles.sql", "schema.sql", "jwt.sql", "jsonschema.sql", "privileges.sql", "data.sql"]
ANON = "postgrest_test_anonymous"
# What is of the server's set-up in that suite, and has no part in what a database is made of.
NEVER = re.compile(r"^\s*(drop schema|drop role|drop type if exists jwt_token|begin|commit|grant .* to :\"?pguser|alter database|create extension if not exists plpgsql|create schema public)", re.I)

# ---- the schema -------------------------------------------------------------------------------------


COPY = re.compile(r"^COPY (\S.*?) FROM STDIN CSV DELIMITER '\|';\n(.*?)^\\\.$", re.S | re.M)


def insert_of(m):
    """Rows that psql would send are an INSERT."""
    rows = ", ".join("(" + ", ".join("'" + v.replace("'", "''") + "'" for v in line.split("|")) + ")" for line in m[2].splitlines())
    return f"INSERT INTO {m[1]} VALUES {rows};"


def schema_of(folder):
    """[(file, statement)]"""
    out = []
    for name in FILES:
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            text = COPY.sub(insert_of, f.read())
        out += [(name, s) for _, s in statements(text) if not NEVER.match(s)]
    return out


def write_schema(all_, left_out, folder, owner):
    """One file a file of the suite, a statement a line at least; gives {(file, line): statement's place}."""
    os.makedirs(folder, exist_ok=True)
    lines, texts, at = {}, collections.defaultdict(str), collections.Counter()
    for i, (name, s) in enumerate(all_):
        if i in left_out:
            continue
        file = f"{FILES.index(name) + 1}_{name}"
        n = s.count("\n") + 1
        for k in range(n):
            lines[file, at[file] + k + 1] = i
        texts[file] += s + "\n"
        at[file] += n
    for file, text in texts.items():
        with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
            f.write(text)
    return lines


def deploy(program, all_, folder, which, log):
    """Leaves out what is refused, until nothing is. [(statement, why)]"""
    left_out = {}
    for _ in range(60):
        where = os.path.join(folder, which)
        subprocess.run(["rm", "-rf", where], check=True)
        lines = write_schema(all_, left_out, where, ANON)
        db = os.path.join(folder, f"{which}.db")
        for f in (db, db + "-wal", db + "-shm"):
            if os.path.exists(f):
                os.remove(f)
        empty = os.path.join(folder, "none")
        open(empty, "w").close()
        args = [program, "--strict", where, db, empty] if which == "sqlite" else [program, os.path.join(folder, "void"), db, empty, "host=nowhere", where]
        os.makedirs(os.path.join(folder, "void"), exist_ok=True)
        p = subprocess.run(args, capture_output=True, text=True)
        if p.returncode == 0:
            return left_out
        found = 0
        for m in re.finditer(r"^(\d_\w+\.sql):(\d+):\d+: (.*)$", p.stderr, re.M):
            i = lines.get((m[1], int(m[2])))
            if i is not None and i not in left_out:
                left_out[i] = m[3]
                found += 1
        if not found:
            sys.exit(f"{which}: nothing is left out any more, and it still fails:\n{p.stderr[-3000:]}")
    sys.exit("too many rounds")


MADE = re.compile(r"create\s+(?:or replace\s+)?(?:unlogged\s+|foreign\s+|materialized\s+)?(?:table|view|function|aggregate)\s+(?:if not exists\s+)?((?:\"[^\"]*\"|[\w.])+)", re.I)
WRITES = re.compile(r"create\s+(?:constraint\s+)?(?:trigger|rule)\s+.*?\b(?:on|to)\s+(?:(?:insert|update|delete)(?:\s+or\s+\w+)*\s+(?:on|to)\s+)?((?:\"[^\"]*\"|[\w.])+)", re.I | re.S)


def lacking(all_, left_out):
    """What there is not, and what is not written to as it would be, because statements are left out: (names, names)."""
    bare = lambda name: name.split(".")[-1].strip('"')
    made, kept = (
        {bare(m[1]) for i, (_, s) in enumerate(all_) if (i in left_out) == out for m in [MADE.match(s)] if m} for out in (True, False)
    )
    written = {bare(m[1]) for i in left_out for m in [WRITES.match(all_[i][1])] if m}
    return made - kept, written


def is_lacking(case, names):
    made, written = names
    words = set(re.findall(r"[\w.]+", case["url"]))
    words |= {p for w in words for p in w.split(".")}
    return bool(words & made) or (case["method"] in ("POST", "PATCH", "PUT", "DELETE") and bool(words & written))


# ---- cases ------------------------------------------------------------------------------------------


def schemas_of(config):
    m = re.search(r"configDbSchemas = fromList \[(.*?)\]\s*\}", config or "")
    return [json.loads(f'"{s}"') for s in re.findall(r'"((?:[^"\\]|\\.)*)"', m[1])] if m else ["test"]


def plain_json(text):
    """The specification writes JSON whose keys need no quotes; what is sent has them."""
    quoted = re.sub(r'([{,]\s*)([A-Za-z_]\w*)\s*:', r'\1"\2":', text)
    for t in (text, quoted):
        try:
            json.loads(t)
            return t
        except ValueError:
            pass
    return text


def request_of(case):
    config = case.get("config") or ""
    url, _, query = case["url"].partition("?")
    line = {"role": ANON, "claims": {"role": ANON}, "secret": tokens.SECRET, "method": case["method"], "path": url, "query": query,
            "fields": tokens.fields_of(case), "body": plain_json(case.get("body") or ""), "schemas": schemas_of(config), "aggregates": "configDbAggregates = True" in config,
            "targetNames": "configUrlUseLegacyTargetNames = False" not in config}
    m = re.search(r'configDbPreRequest = Just \$ QualifiedIdentifier (mempty|"\w+") "(\w+)"', config)
    line["before"] = "test." + (m[2] if m else "switch_role")
    m = re.search(r"configDbExtraSearchPath = \[(.*?)\]\)? *\}", config)
    line["searched"] = [json.loads(f'"{s}"') for s in re.findall(r'"((?:[^"\\]|\\.)*)"', m[1])] if m else []
    line["search"] = ", ".join('"' + s.replace('"', '""') + '"' for s in line["searched"]) or "pg_catalog"
    line["plan"] = "configDbPlanEnabled = True" in config
    line["keyless"] = "configJwtSecret = Nothing" in config
    line["noOpenapi"] = "configOpenApiMode = OADisabled" in config
    m = re.search(r'configJwtAudience = Just "(.*?)"', config)
    line["audience"] = m[1] if m else ""
    m = re.search(r'configDbRootSpec = Just \$ QualifiedIdentifier mempty "(\w+)"', config)
    line["root"] = m[1] if m else ""
    m = re.search(r"configDbMaxRows = Just (\d+)", config)
    if m:
        line["rowsMax"] = int(m[1])
    return {**line, **tokens.server_of(case)}


FIELD = {"hContentType": "content-type", "hContentLength": "content-length", "hLocation": "location"}


def wrong_with(case, got):
    """None, or what differs."""
    want = case["expect"]
    fields = collections.defaultdict(list)
    for n, v in got["fields"] + ([["content-length", str(got["length"])]] if "length" in got else []):
        fields[n.lower()].append(v)
    if got["status"] != want["status"]:
        return f"status {got['status']} for {want['status']}"
    body = re.sub(r"\n +(\||$)", "\n", want.get("body") or "") if want.get("body_kind") == "str" and want.get("body") else want.get("body")  # margins
    if want.get("body_kind") == "json" and body is not None:
        try:
            if json.loads(got["body"] or "null") != json.loads(plain_json(body)):
                return "body"
        except ValueError:
            return "body is no JSON"
    elif want.get("body_kind") and body is not None and got["body"] != body:
        return "body"
    for name, value in want.get("headers") or []:
        key = FIELD.get(name, name).lower()
        if value is None:
            if key in fields:
                return f"field {key} is there"
        elif value not in fields.get(key, []):
            return f"field {key}: {fields.get(key)!r} for {value!r}"
    return None


def why_known(engine, c, got, why, one_by_one, lacks):
    file = c["file"].split("/")[-1][:-3]
    if is_lacking(c, lacks):
        return "it needs what does not deploy"
    if f"{file}:{c['line']}" in one_by_one:
        return "open"
    m = re.search(r'"code":"(\w+)","message":"(.*?)"', got["body"])
    said = f"{m[1]} {m[2]}" if m else ""
    line = f"{file}:{c['line']} {engine} {file}.hs:{c['line']} {c['title']}: {why} {c['method']} {c['url']} {c['headers']} {(c.get('body') or '')[:300]} {said}"
    return next((reason for e, pattern, reason in known.KNOWN if e in ("", engine) and re.search(pattern, line)), None)


# What is not of REST over a database: fields that the server itself adds to all that it answers.
ELSEWHERE = ["CorsSpec", "ObservabilitySpec"]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build")
    a.add_argument("suite")
    a.add_argument("--only", default="")
    a.add_argument("--show", type=int, default=0)
    a.add_argument("--list", action="store_true", help="what of the schema is left out")
    a.add_argument("--keep", default="")
    a.add_argument("--canary", action="store_true", help="one case expects what it must not get")
    o = a.parse_args()
    from cluster import Cluster
    if not Cluster.installed():
        print("skipped: rest: no PostgreSQL is installed")
        print("0 passed, 0 failed, 1 skipped")
        return
    program = os.path.abspath(os.path.join(o.build, "tests", "sql", "engines"))
    with open(os.path.join(o.suite, "cases.jsonl"), encoding="utf-8") as f:
        cases = [json.loads(line) for line in f]
    if o.canary:
        cases[600]["expect"]["status"] = 299
    cases = [c for c in cases if not any(e in c["file"] for e in ELSEWHERE)]
    all_ = schema_of(o.suite)
    folder = o.keep or tempfile.mkdtemp(prefix="orlo-rest-")
    os.makedirs(folder, exist_ok=True)
    if not o.keep:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    left = {e: deploy(program, all_, folder, e, o.list) for e in ("sqlite", "postgres")}
    for e in left:
        print(f"{e}: {len(left[e])} of {len(all_)} statements are left out")
        if o.list:
            for i, why in sorted(left[e].items()):
                print(f"  {' '.join(all_[i][1].split())[:100]}\n      {why[:200]}")
    asked, at_of = [], []
    for c in cases:
        before, behind = tokens.around(c)
        at_of.append(len(asked) + len(before))
        asked += before + [c] + behind
    bad = []
    with Cluster() as cluster:
        cluster.psql("create database suite")
        cluster.psql("alter database suite set app.settings.app_host = 'localhost'")  # what PostgREST has of its own configuration
        cluster.psql_in("suite", subprocess.run([program, "--platform"], capture_output=True, text=True, check=True).stdout)
        cluster.psql_in("suite", "alter extension pgcrypto set schema public;")  # where the specification has it
        cluster.psql_in("suite", "".join(s + "\n" for _, s in all_) + "analyze;", stop=False)  # as it does
        db = os.path.join(folder, "sqlite.db")
        for f in (db, db + "-wal", db + "-shm"):
            if os.path.exists(f):
                os.remove(f)
        with open(os.path.join(folder, "requests"), "w", encoding="utf-8") as f:  # at last: tokens are made for this moment
            f.writelines(json.dumps(request_of(c)) + "\n" for c in asked)
        p = subprocess.run([program, "--strict", os.path.join(folder, "sqlite"), db, os.path.join(folder, "requests"),
                            f"host={cluster.folder} user=postgres dbname=suite options='-c search_path=test,public'", os.path.join(folder, "postgres")],
                           capture_output=True, text=True)
    said = p.stdout.splitlines()
    if p.returncode or len(said) != 2 * len(asked):
        print(p.stderr[-3000:])
        sys.exit(f"exit {p.returncode} after {len(said)} of {2 * len(asked)} answers: {asked[len(said) // 2]['url'] if len(said) // 2 < len(asked) else ''}")
    total = collections.Counter()
    for at, engine in enumerate(("sqlite", "postgres")):
        one_by_one, lacks = known.OPEN[engine].split(), lacking(all_, left[engine])
        for i, c in enumerate(cases):
            got = json.loads(said[2 * at_of[i] + at])
            why = wrong_with(c, got)
            reason = why and why_known(engine, c, got, why, one_by_one, lacks)
            if not is_lacking(c, lacks):
                total[engine, "deployed"] += 1
                total[engine, "of deployed"] += not why
            total[engine, "passed" if not why else "known" if reason else "failed"] += 1
            if why and not reason or why and o.show and o.only in json.dumps([c["file"], c["title"], c["url"], why, got["body"]]):
                bad.append((engine, c, got, why))
        there = total[engine, "deployed"], total[engine, "of deployed"]
        print(f"{engine}: {total[engine, 'passed']} of {len(cases)} pass, {total[engine, 'known']} are known not to; "
              f"{there[1]} of the {there[0]} whose tables and functions deploy ({100 * there[1] / max(there[0], 1):.1f} %)")
    for engine, c, got, why in bad[: max(o.show, 20)]:
        print(f"FAIL {engine} {c['file'].split('/')[-1]}:{c['line']} {c['title']}: {why}\n{c['method']} {c['url']} {c['headers']} {(c.get('body') or '')[:300]}")
        print(f"  want {c['expect']['status']} {(c['expect'].get('body') or '')[:400]}\n  got  {got['status']} {got['body'][:400]}")
    passed, failed, skipped = (sum(v for (_, k), v in total.items() if k == w) for w in ("passed", "failed", "known"))
    if o.canary:
        sys.exit(0 if failed else "the canary lives: a wrong status was not seen")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
