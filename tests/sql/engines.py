#!/usr/bin/env python3
"""Random schemas, rows, policies, users and requests, on SQLite and on PostgreSQL: the same answers, byte for byte, or the same errors.

    engines.py BUILD [--seconds N] [--seed N] [--keep FOLDER] [--twins]

A round is a schema with its rows and some hundred requests. --twins asks no PostgreSQL: two databases that differ in rows alone which a user may
not see answer that user alike. What differs and is known is a row of KNOWN, with its reason. Without a PostgreSQL it is skipped, by name."""
import argparse, json, os, random, re, subprocess, sys, tempfile, time, uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pg"))

USERS = [str(uuid.UUID(int=i + 1)) for i in range(4)]

# What is asked of both and answered differently, and why: (regular expression over "SQLite's answer<newline>PostgreSQL's", reason).
KNOWN = []

# ---- values ----------------------------------------------------------------------------------------


def text(r):
    return r.choice(["", "a", "A", "b", "ab", "Äpfel", "zé", "a_b", "100%", "o'hara", 'quo"te', "x\\y", "line\nbreak", "日本", " sp ", "null", "0"])


def value(r, type_):
    """A value of a type as JSON has it, or None."""
    if r.random() < 0.12:
        return None
    base = type_.split("(")[0]
    if type_.endswith("[]"):
        return [value(r, type_[:-2]) for _ in range(r.randrange(4))]
    return {
        "smallint": lambda: r.choice([0, 1, -1, 7, 32767, -32768]),
        "integer": lambda: r.choice([0, 1, -1, 42, 2147483647, -2147483648, r.randrange(100)]),
        "bigint": lambda: r.choice([0, 1, -1, 9007199254740993, 9223372036854775807, -9223372036854775808, r.randrange(100)]),
        "numeric": lambda: r.choice([0, 1, "1.0", "1.00", "-0.5", "123.45", "0.001", "99999", "-7.25"]),
        "real": lambda: r.choice([0, 1.5, -2.25, 0.1, 3e10]),
        "double precision": lambda: r.choice([0, 1.5, -2.25, 0.1, 1e300, 123456.789]),
        "boolean": lambda: r.choice([True, False]),
        "text": lambda: text(r),
        "varchar": lambda: text(r)[:5],
        "char": lambda: text(r)[:3],
        "citext": lambda: text(r),
        "uuid": lambda: r.choice(USERS),
        "bytea": lambda: r.choice(["\\x", "\\x00ff", "\\xdeadbeef"]),
        "date": lambda: r.choice(["2020-01-01", "1999-12-31", "2024-02-29", "infinity", "0044-03-15 BC"]),
        "time": lambda: r.choice(["00:00:00", "12:34:56", "23:59:59.999999"]),
        "timestamp": lambda: r.choice(["2020-01-01 00:00:00", "2024-02-29T12:00:00.5", "1969-07-20 20:17:40"]),
        "timestamptz": lambda: r.choice(["2020-01-01T00:00:00Z", "2024-02-29 12:00:00.123456+02", "1969-07-20 20:17:40-05:30", "-infinity"]),
        "interval": lambda: r.choice(["1 day", "30 days", "1 mon", "02:03:04", "1 year 2 mons -3 days", "-00:00:01.5"]),
        "json": lambda: r.choice([{"b": 1, "a": [1, 2]}, [], 1, "x", {"a": {"b": "c"}}, {"a": None}]),
        "jsonb": lambda: r.choice([{"b": 1, "a": [1, 2]}, [], 1, "x", {"a": {"b": "c"}}, {"a": None}, {"aa": 1.50, "b": 2}]),
        "mood": lambda: r.choice(["sad", "ok", "happy"]),
        "positive": lambda: r.choice([1, 2, 100]),
    }[base]()


TYPES = ["smallint", "integer", "bigint", "numeric", "numeric(10,2)", "real", "double precision", "boolean", "text", "text", "varchar(5)", "char(3)", "uuid",
         "bytea", "date", "time", "timestamp", "timestamptz", "interval", "json", "jsonb", "text[]", "integer[]", "mood", "positive"]


def literal(v, type_):
    if v is None:
        return "null"
    if type_.endswith("[]"):
        return "'" + json.dumps(v, ensure_ascii=False).replace("[", "{").replace("]", "}").replace("'", "''").replace("\\\\", "\\\\") + f"'::{type_}"
    s = json.dumps(v, ensure_ascii=False) if type_ in ("json", "jsonb") else str(v).lower() if isinstance(v, bool) else str(v)
    return "'" + s.replace("'", "''") + f"'::{type_}"


# ---- a schema ---------------------------------------------------------------------------------------


class Table:
    def __init__(self, r, name, before):
        self.name, self.key_type = name, r.choice(["uuid", "bigint", "integer"])
        self.columns = [("id", self.key_type), ("owner", "uuid")]
        self.parents = r.sample(before, min(len(before), r.randrange(3)))
        self.columns += [(f"{p.name}_id", p.key_type) for p in self.parents]
        self.columns += [(f"c{i}", r.choice(TYPES)) for i in range(r.randrange(2, 7))]
        self.rows, self.rls = [], r.random() < 0.85
        self.taken = {}
        self.needed = {c for c, t in self.columns[2 + len(self.parents):] if r.random() < 0.15}
        self.unique = {c for c, t in self.columns[2 + len(self.parents):] if t in ("text", "integer", "numeric", "uuid") and r.random() < 0.3} - self.needed
        self.small = {c for c, t in self.columns if t == "integer" and c != "id" and not c.endswith("_id") and r.random() < 0.3}

    def ddl(self, r):
        lines = [f"  id {self.key_type} primary key", "  owner uuid default auth.uid()"]
        for p in self.parents:
            action = r.choice(["", " on delete cascade", " on delete set null", " on delete restrict"])
            lines.append(f"  {p.name}_id {p.key_type} references {p.name} (id){action}")
        for c, t in self.columns[2 + len(self.parents):]:
            extra = " not null" if c in self.needed else r.choice(["", "", "", f" default {literal(value(r, t), t)}", " unique" if c in self.unique else ""])
            if c in self.small:
                extra += f" check ({c} < 1000)"
            lines.append(f"  {c} {t}{extra}")
        out = f"create table {self.name} (\n" + ",\n".join(lines) + "\n);\n"
        if self.rls:
            out += f"alter table {self.name} enable row level security;\n"
        return out

    def condition(self, r, tables):
        plain = [c for c, t in self.columns if t in ("integer", "bigint", "boolean", "text")]
        choices = ["owner = auth.uid()", "owner = (select auth.uid())", "true", "false", "owner is null", "auth.uid() is not null",
                   "auth.role() = 'authenticated'", f"exists (select 1 from members m where m.thing = {self.name}.owner and m.who = auth.uid())",
                   f"owner in (select m.thing from members m where m.who = auth.uid())", "is_member(owner)",
                   "(auth.jwt() ->> 'email') = 'a@b.c'", f"owner = any (friends_of(auth.uid()))"]
        if plain:
            c = r.choice(plain)
            choices.append(f"{c} is not null")
        for p in self.parents:
            choices.append(f"exists (select 1 from {p.name} p where p.id = {p.name}_id and p.owner = auth.uid())")
        a = r.choice(choices)
        return a if r.random() < 0.7 else f"({a}) {r.choice(['and', 'or'])} ({r.choice(choices)})"

    def policies(self, r, tables):
        out = ""
        for i in range(r.randrange(1, 4) if self.rls else 0):
            command = r.choice(["all", "select", "insert", "update", "delete", "all", "select"])
            using = f" using ({self.condition(r, tables)})" if command != "insert" else ""
            check = f" with check ({self.condition(r, tables)})" if command in ("insert", "update", "all") and r.random() < 0.8 else ""
            if command == "insert" and not check:
                check = " with check (true)"
            kind = " as restrictive" if i and r.random() < 0.3 else ""
            to = r.choice(["", " to authenticated", " to anon, authenticated", " to authenticated"])
            out += f'create policy "p {i}" on {self.name}{kind} for {command}{to}{using}{check};\n'
        return out

    def make_rows(self, r, n):
        for i in range(n):
            key = str(uuid.UUID(int=1000 + i)) if self.key_type == "uuid" else i + 1
            row = {"id": key, "owner": r.choice(USERS + [None])}
            for p in self.parents:
                row[f"{p.name}_id"] = r.choice([x["id"] for x in p.rows] + [None])
            for c, t in self.columns[2 + len(self.parents):]:
                row[c] = value(r, t)
                while (row[c] is None and c in self.needed) or (c in self.small and (row[c] or 0) >= 1000):
                    row[c] = value(r, t)
                if c in self.unique and row[c] is not None:
                    key = float(row[c]) if t == "numeric" else row[c]
                    row[c] = None if key in self.taken.setdefault(c, set()) else row[c]
                    self.taken[c].add(key)
            self.rows.append(row)

    def inserts(self):
        out = ""
        for row in self.rows:
            names = ", ".join(row)
            values = ", ".join(literal(v, dict(self.columns)[c]) for c, v in row.items())
            out += f"insert into {self.name} ({names}) values ({values}) on conflict do nothing;\n"
        return out


HEAD = """create type mood as enum ('sad', 'ok', 'happy');
create domain positive as integer check (value > 0);
create table members (who uuid, thing uuid, primary key (who, thing));
alter table members enable row level security;
create policy mine on members for select using (who = auth.uid());
create function is_member(t uuid) returns boolean language sql stable security definer set search_path = public as $$
  select exists (select 1 from members m where m.thing = t and m.who = auth.uid()) $$;
create function friends_of(w uuid) returns uuid[] language sql stable security definer set search_path = public as $$
  select coalesce(array_agg(m.thing), '{}') from members m where m.who = w $$;
"""


def schema(r):
    tables = []
    for i in range(r.randrange(2, 5)):
        tables.append(Table(r, f"t{i}", tables))
    sql = HEAD
    for w in USERS:
        for t in USERS:
            if r.random() < 0.3:
                sql += f"insert into members values ('{w}', '{t}');\n"
    for t in tables:
        sql += t.ddl(r)
        t.make_rows(r, r.randrange(0, 12))
        sql += t.inserts()
    for t in tables:
        sql += t.policies(r, tables)
    for t in tables:
        if r.random() < 0.4:
            invoker = r.choice(["", " with (security_invoker = true)"])
            sql += f"create view v_{t.name}{invoker} as select id, owner, {t.columns[-1][0]} as last from {t.name} where owner is not null;\n"
    return tables, sql


# ---- requests ---------------------------------------------------------------------------------------

COMPARES = ["eq", "neq", "gt", "gte", "lt", "lte", "isdistinct"]


def where(r, t, depth=0):
    if depth < 2 and r.random() < 0.3:
        return {r.choice(["and", "or"]): [where(r, t, depth + 1) for _ in range(r.randrange(1, 4))]}
    if r.random() < 0.1:
        return {"not": where(r, t, depth + 1)}
    c, type_ = r.choice(t.columns)
    k = r.random()
    if k < 0.15:
        return {"column": c, "op": "is", "value": r.choice(["null", "not_null"])}
    if k < 0.25:
        return {"column": c, "op": "in", "values": [plain(value(r, type_)) for _ in range(r.randrange(4))]}
    if k < 0.35 and type_ in ("text", "varchar(5)"):
        return {"column": c, "op": r.choice(["like", "ilike"]), "value": r.choice(["a*", "*b", "%", "_", "*'*", "A*"])}
    if k < 0.4:
        return {"column": r.choice(["nope", "c99", "id"]), "op": "eq", "value": "1"}
    if type_ == "jsonb" and k < 0.7:
        return {"column": c, "path": ["a"], "text": True, "op": "eq", "value": "1"}
    if type_.endswith("[]"):
        return {"column": c, "op": r.choice(["cs", "cd", "ov"]), "value": "{a,b}" if type_ == "text[]" else "{1,2}"}
    v = value(r, type_) if r.random() < 0.9 else r.choice(["x", "", "99999999999999999999", "1.5"])
    return {"column": c, "op": r.choice(COMPARES), "value": plain(v)}


def plain(v):
    return "null" if v is None else json.dumps(v) if isinstance(v, (dict, list, bool)) else str(v)


def order(r, t):
    out = [{"column": c, "desc": r.random() < 0.5} for c, type_ in r.sample(t.columns, r.randrange(0, 3)) if type_ not in ("json",)]
    for o in out:
        if r.random() < 0.5:
            o["nulls"] = r.choice(["first", "last"])
    return out + [{"column": "id"}]


def select_list(r, t, tables, depth=0):
    if r.random() < 0.3:
        items = ["*"]
    else:
        items = [c if r.random() < 0.8 else {"column": c, "as": f"x_{c}"} for c, _ in r.sample(t.columns, r.randrange(1, len(t.columns) + 1))]
    if depth < 2 and r.random() < 0.4:
        other = r.choice(t.parents + [x for x in tables if t in x.parents] or [t])
        if other is not t:
            e = {"embed": other.name, "select": select_list(r, other, tables, depth + 1)}
            if t not in other.parents or other in t.parents:
                pass
            else:
                e["order"] = order(r, other)
            if r.random() < 0.3:
                e["join"] = "inner"
            items.append(e)
    return items


def body(r, t):
    return {c: value(r, type_) for c, type_ in t.columns if c == "id" or r.random() < 0.7}


def tree(r, tables):
    t = r.choice(tables)
    k = r.random()
    if k < 0.55:
        q = {"kind": "select", "from": t.name, "select": select_list(r, t, tables), "order": order(r, t)}
        if r.random() < 0.7:
            q["where"] = where(r, t)
        if r.random() < 0.3:
            q["limit"] = r.randrange(4)
        if r.random() < 0.2:
            q["offset"] = r.randrange(4)
        if r.random() < 0.3:
            q["count"] = "exact"
        return q
    if k < 0.6:
        c, type_ = r.choice(t.columns)
        return {"kind": "select", "from": t.name, "select": [{"aggregate": "count"}, {"column": c, "aggregate": r.choice(["min", "max", "count"])}]}
    if k < 0.78:
        q = {"kind": "insert", "from": t.name, "rows": [body(r, t) for _ in range(r.choice([1, 1, 2]))]}
        if r.random() < 0.3:
            q["conflict"] = {"do": r.choice(["merge", "ignore"]), "columns": ["id"]}
        if r.random() < 0.5:
            q["missing"] = "default"
    elif k < 0.92:
        c, type_ = r.choice(t.columns)
        q = {"kind": "update", "from": t.name, "set": {c: value(r, type_)}, "where": where(r, t)}
    else:
        q = {"kind": "delete", "from": t.name, "where": where(r, t)}
    if r.random() < 0.6:
        q["select"] = select_list(r, t, tables)
    return q


def request(r, tables):
    user = r.choice(USERS + [None])
    role = r.choice(["service_role", "authenticated", "authenticated", "authenticated"]) if user else "anon"
    claims = {"role": role, "email": r.choice(["a@b.c", "x@y.z"])}
    if user:
        claims["sub"] = user
    line = {"role": role, "claims": claims}
    if r.random() < 0.1:
        line["batch"] = [tree(r, tables) for _ in range(r.randrange(1, 4))]
    else:
        line["query"] = tree(r, tables)
    if r.random() < 0.2:
        line["tx"] = "rollback"
    return line


# ---- a round ----------------------------------------------------------------------------------------


def run(program, folder, where_=None):
    args = [program, os.path.join(folder, "migrations"), os.path.join(folder, "app.db"), os.path.join(folder, "requests")]
    return subprocess.run(args + ([where_] if where_ else []), capture_output=True, text=True, timeout=300, errors="surrogateescape")


def write(folder, name, content):
    os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(content)


def values_of(text):
    """The texts of a JSON array's values, as they are: a number's digits and blanks within a document count."""
    out, depth, at, quoted, i = [], 0, 1, False, 1
    while i < len(text) - 1:
        c = text[i]
        if quoted:
            i += c == "\\"
            quoted = c != '"'
        elif c == '"':
            quoted = True
        elif c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
        elif c == "," and not depth:
            out.append(text[at:i])
            at = i + 1
        i += 1
    return out + [text[at:-1]] if len(text) > 2 else []


def unordered(line, answer):
    """Of a write, and of groups, PostgreSQL says the rows in whatever order it found them; so those are compared as a set."""
    state, _, b = answer.partition("\t")
    if state != "ok" or not b.startswith("["):
        return answer
    if "query" in line:
        return (state, b if is_ordered(line["query"]) else sorted(values_of(b)))
    out = []
    for q, part in zip(line["batch"], values_of(b)):
        rows, counts = re.fullmatch(r'\{"rows":(.*?)(,"affected":\d+(?:,"total":\d+)?)\}', part, re.S).groups()
        out.append((rows if is_ordered(q) or rows == "null" else sorted(values_of(rows)), counts))
    return (state, out)


def is_ordered(q):
    return q.get("kind", "select") == "select" and "order" in q


def is_known(a, b):
    return any(re.search(k, a + "\n" + b, re.S) for k, _ in KNOWN)


def compare(lines, said):
    """[(request, SQLite's, PostgreSQL's)] that differ."""
    bad = []
    for i, line in enumerate(lines):
        a, b = said[2 * i], said[2 * i + 1]
        if a != b and unordered(line, a) != unordered(line, b) and not is_known(a, b):
            bad.append((line, a, b))
    return bad


def round_(program, cluster, seed, count):
    r = random.Random(seed)
    tables, sql = schema(r)
    lines = [request(r, tables) for _ in range(count)]
    with tempfile.TemporaryDirectory(prefix="orlo-engines-") as folder:
        write(folder, "migrations/1_schema.sql", sql)
        write(folder, "requests", "".join(json.dumps(line) + "\n" for line in lines))
        name = f"r{seed}"
        cluster.psql(f'create database "{name}" template platform')
        cluster.psql_in(name, sql)
        p = run(program, folder, f"host={cluster.folder} user=postgres dbname={name}")
        cluster.psql(f'drop database "{name}" with (force)')
    said = p.stdout.splitlines()
    if p.returncode or len(said) != 2 * len(lines):
        return [({"seed": seed}, f"exit {p.returncode} after {len(said)} of {2 * len(lines)} answers", p.stderr[-3000:])], 0
    found = compare(lines, said)
    if any("XX000" in a for _, a, _ in found):
        print("  the program says: " + p.stderr[-1500:])
    return found, len(lines)


def hide(r, tables, user):
    """Rows that `user` may not see, whatever the policies: of an owner who is nobody, in tables with a policy of owners alone."""
    extra = ""
    for t in tables:
        for i in range(5):
            row = {"id": str(uuid.UUID(int=90000 + i)) if t.key_type == "uuid" else 90000 + i, "owner": str(uuid.UUID(int=777))}
            for c, type_ in t.columns[2 + len(t.parents):]:
                row[c] = value(r, type_)
            names, values = ", ".join(row), ", ".join(literal(v, dict(t.columns)[c]) for c, v in row.items())
            extra += f"insert into {t.name} ({names}) values ({values}) on conflict do nothing;\n"
    return extra


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build")
    a.add_argument("--seconds", type=float, default=20)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--count", type=int, default=150)
    a.add_argument("--show", type=int, default=10)
    a.add_argument("--first", action="store_true", help="of a round, what differed first: what follows may follow from it")
    o = a.parse_args()
    from cluster import Cluster
    program = os.path.abspath(os.path.join(o.build, "tests", "sql", "engines"))
    if not Cluster.installed():
        print("skipped: engines: no PostgreSQL is installed")
        print("0 passed, 0 failed, 1 skipped")
        return
    passed, bad, began, seed = 0, [], time.monotonic(), o.seed
    with Cluster() as cluster:
        cluster.psql("create database platform")
        cluster.psql_in("platform", subprocess.run([program, "--platform"], capture_output=True, text=True, check=True).stdout)
        while time.monotonic() - began < o.seconds:
            found, n = round_(program, cluster, seed, o.count)
            for line, mine, theirs in found[:1] if o.first else found:
                if len(bad) < o.show:
                    print(f"FAIL seed {seed}: {json.dumps(line)}\n  SQLite:     {mine}\n  PostgreSQL: {theirs}")
                bad.append(line)
            passed += max(n - len(found), 0)
            seed += 1
    print(f"{passed} passed, {len(bad)} failed, 0 skipped")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
