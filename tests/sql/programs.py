"""Random programs in PL/pgSQL: functions, triggers that write other tables, DO blocks, exceptions and dynamic SQL; and what is asked of them.

A program ends (loops are bounded, functions call those before them), and says the same on each run: rows are written by their keys, one at a time, and read in
an order. Expressions are of a type, so that what fails does so when it runs: 22003, 22012, 23505 and their kin, whose words are compared too."""
import random, re

INT, BIG, TEXT, BOOL, NUM, INTS = "int", "bigint", "text", "boolean", "numeric", "int[]"
TYPES = [INT, INT, INT, BIG, TEXT, TEXT, BOOL, NUM, INTS]
TABLES = ["a", "b"]
COLUMNS = {"id": INT, "n": INT, "t": TEXT, "f": BOOL, "m": NUM}
CONDITIONS = ["division_by_zero", "numeric_value_out_of_range", "unique_violation", "check_violation", "not_null_violation", "raise_exception", "no_data_found", "too_many_rows",
              "invalid_text_representation", "foreign_key_violation", "sqlstate 'P0042'", "sqlstate '22000'", "others", "others", "array_subscript_error", "null_value_not_allowed", "case_not_found",
              "invalid_parameter_value", "data_exception", "integrity_constraint_violation", "undefined_table", "assert_failure"]

SCHEMA = """create table b (id int primary key, n int, t text unique, f boolean default false, m numeric(8, 2) default 1.5, check (n < 500));
create table a (id int primary key, n int not null default 7, t text, f boolean default true, m numeric, b int references b (id) on delete cascade, check (n > -500));
create table log (what text, n int, t text);
insert into b (id, n, t) values (1, 10, 'one'), (2, 20, 'two'), (3, null, null);
insert into a (id, n, t, m, b) values (1, 1, 'x', 1.25, 1), (2, 2, null, null, 2), (3, -3, 'zz', 100, null), (4, 400, '', -2.5, 3);
grant all on a, b, log to service_role;
"""


def literal(r, type_, nulls=False):
    if nulls and r.random() < 0.12:
        return f"null::{type_}"
    return {
        INT: lambda: r.choice(["0", "1", "2", "3", "-1", "7", "42", "2147483647", str(r.randrange(20))]),
        BIG: lambda: r.choice(["0::bigint", "5::bigint", "9223372036854775807", "-3::bigint", "4294967296"]),
        TEXT: lambda: r.choice(["''", "'a'", "'B'", "'one'", "'zz'", "'o''k'", "'12'", "'ä'", "'x y'", "'100%'"]),
        BOOL: lambda: r.choice(["true", "false"]),
        NUM: lambda: r.choice(["0.0", "1.5", "-2.25", "100.00", "3.14159", "99999.99"]),
        INTS: lambda: r.choice(["'{}'::int[]", "array[1, 2, 3]", "array[5]", "array[3, null, 1]"]),
    }[type_]()


class Body:
    """A function's body while it is made."""

    def __init__(self, r, functions, arguments, returns, trigger=False, writes=True, dynamic=True):
        self.r, self.functions, self.returns, self.trigger, self.writes, self.dynamic = r, functions, returns, trigger, writes, dynamic
        self.scopes, self.made, self.labels, self.budget, self.calls = [dict(arguments)], 0, [], r.randrange(4, 16), 2

    # ---- names ----

    def name(self):
        self.made += 1
        return f"v{self.made}"

    def variables(self, type_):
        return [n for s in self.scopes for n, t in s.items() if t == type_]

    # ---- expressions ----

    def expr(self, type_, depth=0):
        r = self.r
        names = self.variables(type_)
        if depth > 2 or r.random() < 0.35:
            return r.choice(names) if names and r.random() < 0.75 else literal(r, type_, not depth)
        e, m = lambda t: self.expr(t, depth + 1), lambda t: self.moving(t, depth + 1)
        call = [f for f in self.functions if f[2] == type_]
        if call and self.calls and r.random() < 0.08:
            self.calls -= 1
            f = r.choice(call)
            return f"{f[0]}({', '.join(e(t) for t in f[1])})"
        if not depth and r.random() < 0.2:
            return self.asked(type_)
        if r.random() < 0.1:
            return r.choice([f"coalesce({e(type_)}, {e(type_)})", f"(case when {e(BOOL)} then {e(type_)} else {e(type_)} end)", f"nullif({m(type_)}, {e(type_)})"])
        return r.choice({
            INT: [lambda: f"({m(INT)} {r.choice('+-*/%')} {e(INT)})"] * 4 + [lambda: f"length({e(TEXT)})", lambda: f"abs({m(INT)})", lambda: f"greatest({e(INT)}, {e(INT)})", lambda: f"-({m(INT)})",
                  lambda: f"coalesce(array_length({e(INTS)}, 1), 0)", lambda: f"({m(INTS)})[{r.randrange(1, 4)}]", lambda: f"({m(BIG)})::int", lambda: f"({m(NUM)})::int", lambda: f"({m(TEXT)})::int",
                  lambda: f"mod({m(INT)}, {e(INT)})", lambda: f"position({e(TEXT)} in {e(TEXT)})", lambda: f"({e(BOOL)})::int"],
            BIG: [lambda: f"({m(BIG)} {r.choice('+-*/%')} {e(r.choice([INT, BIG]))})"] * 3 + [lambda: f"({e(INT)})::bigint", lambda: f"abs({m(BIG)})"],
            TEXT: [lambda: f"({e(TEXT)} || {e(TEXT)})"] * 3 + [lambda: f"upper({e(TEXT)})", lambda: f"substr({e(TEXT)}, {e(INT)})", lambda: f"({e(INT)})::text", lambda: f"concat({e(TEXT)}, {e(INT)}, {e(BOOL)})",
                   lambda: f"left({e(TEXT)}, {r.randrange(-2, 5)})", lambda: f"({e(NUM)})::text", lambda: f"({e(BOOL)})::text", lambda: f"repeat({e(TEXT)}, {r.randrange(3)})", lambda: f"({e(INTS)})::text",
                   lambda: f"replace({e(TEXT)}, {e(TEXT)}, '-')", lambda: f"format('%s-%L', {e(INT)}, {e(TEXT)})",
                   lambda: f"quote_literal({e(TEXT)})", lambda: f"array_to_string({e(INTS)}, ',')"],
            BOOL: [lambda: f"({e(INT)} {r.choice(['<', '=', '>=', '<>'])} {e(INT)})"] * 3 + [lambda: f"({m(BOOL)} {r.choice(['and', 'or'])} {m(BOOL)})", lambda: f"(not {e(BOOL)})", lambda: f"({e(TEXT)} is null)",
                   lambda: f"({e(TEXT)} {r.choice(['=', '<'])} {e(TEXT)})", lambda: f"({e(INT)} is distinct from {e(INT)})", lambda: f"({e(INT)} in ({e(INT)}, {self.plain(INT)}))", lambda: f"({e(NUM)} {r.choice('<>=')} {e(NUM)})",
                   lambda: f"({m(INT)} between {e(INT)} and {e(INT)})", lambda: f"({e(TEXT)} like {r.choice(['$$a%$$', '$$%z$$', '$$_n%$$'])})".replace("$$", "'"), lambda: f"({self.plain(INT)} = any ({e(INTS)}))", lambda: "found", lambda: f"({e(INTS)} = {e(INTS)})"],
            NUM: [lambda: f"({m(NUM)} {r.choice('+-*')} {e(NUM)})"] * 2 + [lambda: f"({m(NUM)} / {r.choice(['2', '4.0', '0'])})", lambda: f"round({m(NUM)}, {r.randrange(3)})", lambda: f"({e(INT)})::numeric", lambda: f"trunc({e(NUM)})"],
            INTS: [lambda: f"array_append({e(INTS)}, {e(INT)})", lambda: f"array[{e(INT)}, {e(INT)}]", lambda: f"({e(INTS)} || {e(INTS)})", lambda: f"({e(INTS)})[1:2]", lambda: f"array_remove({e(INTS)}, {e(INT)})"],
        }[type_])()

    def asked(self, type_):
        """What a query gives, as the whole of an expression: of what stands beside one that is null, PostgreSQL needs nothing, and does not come to it."""
        r, q, e = self.r, self.r.choice(TABLES), self.plain(INT)
        return {
            INT: lambda: r.choice([f"(select count(*)::int from {q} q where q.n > {e})", f"(select q.n from {q} q where q.id = {e})"]),
            BIG: lambda: f"(select count(*) from {q} q where q.id < {e})",
            TEXT: lambda: r.choice([f"(select q.t from {q} q where q.id = {e})", f"(select string_agg(q.t, ',' order by q.id) from {q} q)"]),
            BOOL: lambda: f"exists (select 1 from {q} q where q.id = {e})",
            NUM: lambda: f"(select max(q.m) from {q} q)",
            INTS: lambda: f"(select array_agg(q.id order by q.id) from {q} q)",
        }[type_]()

    def plain(self, type_):
        """In a statement: what hangs on no row, PostgreSQL computes when it plans, whether it comes to it or not. Of IN's list it makes an array first, whichever is met."""
        names = self.variables(type_)
        return self.r.choice(names) if names and self.r.random() < 0.7 else literal(self.r, type_, True)

    def moving(self, type_, depth):
        """No constant: what PostgreSQL computes when it plans fails even where nobody comes to it, and what decides an AND or OR keeps it from all of the rest."""
        e, names = self.expr(type_, depth), self.variables(type_)
        if re.search(r"\b(k?v\d|kk?v|p\d|k?new|select|f\d)", e):
            return e
        if names:
            return self.r.choice(names)
        return {INT: f"((random() * 0)::int + {e})", BIG: f"((random() * 0)::bigint + {e})", NUM: f"((random() * 0)::numeric + {e})", TEXT: f"(left(random()::text, 0) || {e})", BOOL: f"((random() < 2) = {e})",
                INTS: f"array_append({e}, (random() * 0)::int)"}[type_]

    # ---- statements ----

    def target(self):
        """(name, type) of a variable that may be assigned to."""
        own = [(n, t) for s in self.scopes for n, t in s.items() if not n.startswith("k")]
        return self.r.choice(own) if own else None

    def block(self, depth, pad, least=1):
        n = min(self.budget, self.r.randrange(least, 4))
        out = [s for _ in range(max(n, least)) for s in self.statement(depth, pad)]
        return out or [pad + "null;"]

    def loop(self, depth, head, pad, label=True):
        name = self.name() if label and self.r.random() < 0.2 else None
        self.labels.append(name)
        inside = self.block(depth + 1, pad + "    ")
        self.labels.pop()
        return ([f"{pad}<<{name}>>"] if name else []) + [f"{pad}{head} loop", *inside, f"{pad}end loop{' ' + name if name else ''};"]

    def statement(self, depth, pad):
        r = self.r
        self.budget -= 1
        if depth > 3 or self.budget < 0:
            return self.assign(pad)
        kinds = [self.assign] * 5 + [self.branch, self.branch, self.chosen, self.for_loop, self.while_loop, self.for_each, self.for_query, self.into, self.into, self.tried, self.tried, self.nested,
                                     self.raises, self.performs, self.returns_now, self.element, self.asserts, self.nothing]
        if self.writes:
            kinds += [self.write] * 4
        if self.dynamic:
            kinds += [self.execute]
        kind = r.choice(kinds)
        return kind(pad) if kind in (self.assign, self.into, self.raises, self.performs, self.write, self.execute, self.returns_now, self.element, self.asserts, self.nothing) else kind(depth, pad)

    def assign(self, pad):
        t = self.target()
        return [f"{pad}{t[0]} {self.r.choice([':=', '='])} {self.expr(t[1])};"] if t else [pad + "null;"]

    def nothing(self, pad):
        return [pad + "null;"]

    def element(self, pad):
        arrays = [n for n in self.variables(INTS) if not n.startswith("k") and "." not in n]
        if not arrays:
            return self.assign(pad)
        a = self.r.choice(arrays)
        return [f"{pad}{a}[{self.r.choice(['1', f'coalesce(array_length({a}, 1), 0) + 1'])}] := {self.expr(INT)};"]

    def asserts(self, pad):
        return [f"{pad}assert {self.expr(BOOL)}{', ' + self.expr(TEXT) if self.r.random() < 0.5 else ''};"] if self.r.random() < 0.3 else self.assign(pad)

    def branch(self, depth, pad):
        out = [f"{pad}if {self.expr(BOOL)} then", *self.block(depth + 1, pad + "    ")]
        if self.r.random() < 0.3:
            out += [f"{pad}elsif {self.expr(BOOL)} then", *self.block(depth + 1, pad + "    ")]
        if self.r.random() < 0.5:
            out += [f"{pad}else", *self.block(depth + 1, pad + "    ")]
        return out + [f"{pad}end if;"]

    def chosen(self, depth, pad):
        of = self.r.choice([INT, TEXT, None])
        out = [f"{pad}case {self.expr(of)}" if of else f"{pad}case"]
        for _ in range(self.r.randrange(1, 3)):
            out += [f"{pad}when {self.expr(of or BOOL)} then", *self.block(depth + 1, pad + "    ")]
        if self.r.random() < 0.7:
            out += [f"{pad}else", *self.block(depth + 1, pad + "    ")]
        return out + [f"{pad}end case;"]

    def for_loop(self, depth, pad):
        i, r = "k" + self.name(), self.r
        self.scopes.append({i: INT})
        low, high = r.randrange(-1, 3), r.randrange(0, 5)
        head = f"for {i} in reverse {high}..{low}" if r.random() < 0.25 else f"for {i} in {low}..{high}"
        out = self.loop(depth, head + (f" by {r.randrange(1, 3)}" if r.random() < 0.2 else ""), pad)
        self.scopes.pop()
        return self.leaving(out, pad)

    def leaving(self, out, pad):
        """exit and continue, somewhere in a loop that was made."""
        if self.r.random() < 0.3:
            out.insert(1 if not out[0].strip().startswith("<<") else 2, f"{pad}    {self.r.choice(['exit', 'continue'])} when {self.expr(BOOL)};")
        return out

    def while_loop(self, depth, pad):
        i = self.name()
        out = self.loop(depth, f"while k{i} < {self.r.randrange(1, 4)} and {self.expr(BOOL)}", pad + "    ", label=False)
        out.insert(1, f"{pad}        k{i} := k{i} + 1;")
        return [f"{pad}declare k{i} int := 0;", f"{pad}begin", *out, f"{pad}end;"]

    def for_each(self, depth, pad):
        i = self.name()
        self.scopes.append({"k" + i: INT})
        out = self.loop(depth, f"foreach k{i} in array {self.expr(INTS)}", pad + "    ")
        self.scopes.pop()
        return [f"{pad}declare k{i} int;", f"{pad}begin", *self.leaving(out, pad + "    "), f"{pad}end;"]

    def for_query(self, depth, pad):
        i, t, r = self.name(), self.r.choice(TABLES), self.r
        typed = r.random() < 0.3
        self.scopes.append({f"k{i}.{c}": ty for c, ty in COLUMNS.items()})
        query = f"select {'*' if typed else 'q.id, q.n, q.t, q.f, q.m'} from {t} q where q.id < {r.randrange(1, 6)} order by q.id"
        if self.dynamic and r.random() < 0.2:
            query = f"execute '{query.replace('< ' + query.split('< ')[1].split()[0], '< $1')}' using {r.randrange(1, 6)}"
        out = self.loop(depth, f"for k{i} in {query}", pad + "    ")
        self.scopes.pop()
        return [f"{pad}declare k{i} {t + '%rowtype' if typed else 'record'};", f"{pad}begin", *self.leaving(out, pad + "    "), f"{pad}end;"]

    def into(self, pad):
        t, r = self.target(), self.r
        if not t:
            return [pad + "null;"]
        column = {INT: "q.n", BIG: "q.n::bigint", TEXT: "q.t", BOOL: "q.f", NUM: "q.m", INTS: "array[q.id, q.n]"}[t[1]]
        where = r.choice([f"q.id = {self.plain(INT)}", f"q.n > {self.plain(INT)}", "true"])
        return [f"{pad}select {column} into {'strict ' if r.random() < 0.3 else ''}{t[0]} from {r.choice(TABLES)} q where {where} order by q.id{' limit 1' if r.random() < 0.3 else ''};"]

    def tried(self, depth, pad):
        r = self.r
        out = [f"{pad}begin", *self.block(depth + 1, pad + "    ", least=2), f"{pad}exception"]
        for _ in range(r.randrange(1, 3)):
            inside = self.block(depth + 1, pad + "    ")
            own = [n for n in self.variables(TEXT) if not n.startswith("k")]
            if own and r.random() < 0.6:
                inside.insert(0, f"{pad}    {r.choice(own)} := {r.choice(['sqlstate', 'sqlerrm', 'sqlstate || sqlerrm'])};")
            elif own and r.random() < 0.4:
                item = r.choice(["returned_sqlstate", "message_text", "pg_exception_detail", "pg_exception_hint", "constraint_name", "table_name", "column_name"])
                inside.insert(0, f"{pad}    get stacked diagnostics {r.choice(own)} = {item};")
            if r.random() < 0.1:
                inside.append(pad + "    raise;")
            out += [f"{pad}when {' or '.join(r.sample(CONDITIONS, r.choice([1, 1, 2])))} then", *inside]
        return out + [f"{pad}end;"]

    def nested(self, depth, pad):
        declared, r = {}, self.r
        lines = []
        for _ in range(r.randrange(1, 3)):
            n, t = self.name(), r.choice(TYPES)
            lines.append(f"{pad}    {n} {t}{' not null' if r.random() < 0.05 else ''}{f' := {self.expr(t)}' if r.random() < 0.7 else ''};")
            if "not null;" in lines[-1]:
                lines[-1] = lines[-1].replace(" not null;", ";")
            declared[n] = t
        self.scopes.append(declared)
        out = [f"{pad}declare", *lines, f"{pad}begin", *self.block(depth + 1, pad + "    "), f"{pad}end;"]
        self.scopes.pop()
        return out

    def raises(self, pad):
        r = self.r
        if r.random() < 0.3:
            return [f"{pad}raise notice 'at %', {self.expr(TEXT)};"]
        if r.random() < 0.5:
            return self.assign(pad)
        return [pad + r.choice([f"raise exception 'wrong: % and %', {self.expr(INT)}, {self.expr(TEXT)};", f"raise exception 'coded' using errcode = 'P0042', detail = coalesce({self.expr(TEXT)}, '-'), hint = 'none';",
                                "raise division_by_zero;", "raise sqlstate '22000';", "raise unique_violation using message = 'mine';", f"raise exception '%', {self.expr(NUM)};", f"raise exception 'b %', {self.expr(BOOL)};"])]

    def performs(self, pad):
        if not self.functions or not self.calls:
            return self.assign(pad)
        self.calls -= 1
        f = self.r.choice(self.functions)
        return [f"{pad}perform {f[0]}({', '.join(self.plain(t) for t in f[1])});"]

    def write(self, pad):
        r, table = self.r, self.r.choice(["a", "b", "log", "log"])
        if table == "log":
            return [f"{pad}insert into log (what, n, t) values ('{self.name()}', {self.plain(INT)}, {self.plain(TEXT)});"]
        column = r.choice(["n", "t", "f", "m"])
        value = self.plain(COLUMNS[column])
        out = r.choice([f"insert into {table} (id, {column}) values ({r.randrange(1, 12)}, {value})", f"update {table} set {column} = {value} where id = {r.randrange(1, 8)}",
                        f"update {table} set {column} = {value} where id = {r.randrange(1, 8)}", f"delete from {table} where id = {r.randrange(1, 12)}",
                        f"insert into {table} (id, {column}) values ({r.randrange(1, 12)}, {value}) on conflict (id) do {r.choice(['nothing', f'update set {column} = excluded.{column}'])}"])
        ints = [n for n in self.variables(INT) if not n.startswith("k")]
        if ints and r.random() < 0.25:
            return [f"{pad}{out} returning {r.choice(['id', 'n'])} into {'strict ' if r.random() < 0.3 else ''}{r.choice(ints)};"]
        if ints and r.random() < 0.3:
            return [f"{pad}{out};", f"{pad}get diagnostics {r.choice(ints)} = row_count;"]
        return [f"{pad}{out};"]

    def execute(self, pad):
        r, t = self.r, self.target()
        table = r.choice(TABLES)
        if self.writes and r.random() < 0.4:
            return [r.choice([f"{pad}execute format('update %I set n = $1 where id = $2', '{table}') using {self.plain(INT)}, {r.randrange(1, 8)};",
                              f"{pad}execute 'insert into log (what, t) values ($1, $2)' using 'dynamic', {self.plain(TEXT)};", f"{pad}execute 'delete from {table} where id = {r.randrange(1, 9)}';"])]
        if not t or t[1] not in (INT, TEXT):
            return self.assign(pad)
        return [r.choice([f"{pad}execute 'select {'n' if t[1] == INT else 't'} from ' || quote_ident('{table}') || ' where id = $1' into {t[0]} using {self.plain(INT)};",
                          f"{pad}execute format('select %L::{t[1]}', {self.plain(t[1])}) into {t[0]};", f"{pad}execute 'select {'n' if t[1] == INT else 't'} from nowhere_{r.randrange(2)}' into {t[0]};",
                          f"{pad}execute format('select max({'n' if t[1] == INT else 't'}) from %I', '{table}') into strict {t[0]};"])]

    def returns_now(self, pad):
        if self.r.random() < 0.7:
            return self.assign(pad)
        return [pad + self.leave()]

    def leave(self):
        if self.trigger:
            return self.r.choice(["return new;", "return new;", "return null;"]) if self.trigger == "before" else "return null;"
        if self.returns == "void" or self.returns.startswith("setof"):
            return "return;"
        return f"return {self.expr(self.returns)};"

    # ---- the whole ----

    def text(self):
        declared, lines = {}, []
        for _ in range(self.r.randrange(1, 5)):
            n, t = self.name(), self.r.choice(TYPES)
            lines.append(f"    {n} {t}{f' := {self.expr(t)}' if self.r.random() < 0.7 else ''};")
            declared[n] = t
        self.scopes.append(declared)
        inside = self.block(0, "    ", least=3)
        if self.returns and self.returns.startswith("setof"):
            of = self.returns.split()[1]
            inside += [f"    return next {self.expr(of)};"] + ([f"    return query select q.{'n' if of == INT else 't'} from {self.r.choice(TABLES)} q where q.id > {self.plain(INT)} order by q.id;"] if self.r.random() < 0.5 else [])
        return "\n".join(["declare", *lines, "begin", *inside, "    " + self.leave(), "end"])


class Programs:
    def __init__(self, r):
        self.r, self.functions, self.parts = r, [], [SCHEMA]
        for i in range(r.randrange(3, 7)):
            self.function(i)
        for i in range(r.randrange(0, 4)):
            self.triggered(i)
        for _ in range(r.randrange(0, 3)):
            self.block()

    def function(self, i):
        r = self.r
        arguments = {f"p{k}": r.choice([INT, INT, TEXT, BOOL, BIG]) for k in range(r.randrange(0, 3))}
        returns = r.choice([INT, INT, TEXT, BOOL, BIG, NUM, INTS, "void", "setof int", "setof text"])
        reads = r.random() < 0.15
        body = Body(r, [f for f in self.functions if not reads or f[3]], arguments, returns, writes=not reads)
        self.parts.append(f"create function f{i}({', '.join(f'{n} {t}' for n, t in arguments.items())}) returns {returns} language plpgsql{' stable' if reads else ''} as $body$\n{body.text()}\n$body$;\n")
        self.functions.append((f"f{i}", list(arguments.values()), returns, reads, list(arguments)))

    def triggered(self, i):
        r, table = self.r, self.r.choice(TABLES)
        when, events = r.choice(["before", "after"]), r.choice(["insert", "update", "insert or update"])
        fields = {f"new.{c}": t for c, t in COLUMNS.items() if c != "id"}
        body = Body(r, [], fields if when == "before" else {}, "", trigger=when, dynamic=False)
        if when == "after":
            body.scopes[0] = {f"knew.{c}": t for c, t in COLUMNS.items()}
        body.write = lambda pad: [f"{pad}insert into log (what, n, t) values (tg_op || ' ' || tg_table_name, {body.plain(INT)}, {body.plain(TEXT)});"]
        text = body.text().replace("knew.", "new.")
        condition = f" when (new.n is {r.choice(['not ', ''])}null)" if r.random() < 0.2 else ""
        self.parts.append(f"create function g{i}() returns trigger language plpgsql as $body$\n{text}\n$body$;\ncreate trigger g{i} {when} {events} on {table} for each row{condition} execute function g{i}();\n")

    def block(self):
        """What it refuses is caught: a deployment is whole, or there is none."""
        body = Body(self.r, [], {}, "void", dynamic=False)
        self.parts.append(f"do $body$\nbegin\n{indented(body.text())};\nexception when others or assert_failure then insert into log (what, t) values ('do', sqlstate || ' ' || sqlerrm);\nend $body$;\n")

    def sql(self):
        return "".join(self.parts)

    def requests(self, count):
        return [self.request() for _ in range(count)]

    def value(self, type_):
        r = self.r
        return None if r.random() < 0.1 else {INT: lambda: r.choice([0, 1, 2, 5, -1, 2147483647, r.randrange(10)]), BIG: lambda: r.choice([0, 3, 9223372036854775807]), TEXT: lambda: r.choice(["", "a", "one", "12", "zz", "ä"]),
                                              BOOL: lambda: r.random() < 0.5, NUM: lambda: r.choice(["0.5", "10", "-3.25"])}[type_]()

    def request(self):
        r = self.r
        line = {"role": "service_role", "claims": {"role": "service_role"}}
        if r.random() < 0.65:
            name, types, _, _, names = r.choice(self.functions)
            line["query"] = {"kind": "call", "function": name, "args": {n: self.value(t) for n, t in zip(names, types)}}
            return line
        table, column = r.choice(TABLES), r.choice(["n", "t", "f", "m"])
        q = r.choice([lambda: {"kind": "insert", "from": table, "rows": [{"id": r.randrange(1, 12), column: self.value(COLUMNS[column])}]},
                      lambda: {"kind": "update", "from": table, "set": {column: self.value(COLUMNS[column])}, "where": {"column": "id", "op": "eq", "value": r.randrange(1, 8)}},
                      lambda: {"kind": "delete", "from": table, "where": {"column": "id", "op": "eq", "value": r.randrange(1, 12)}}])()
        if r.random() < 0.5 and q["kind"] != "delete":
            q["select"] = ["*"]
        line["batch"] = [q]
        return line

    def looks(self):
        of = lambda t, order: {"role": "service_role", "claims": {"role": "service_role"}, "query": {"from": t, "select": ["*"], "order": [{"column": c} for c in order]}}
        return [of("a", ["id"]), of("b", ["id"]), of("log", ["what", "n", "t"])]


def indented(text):
    return "\n".join("    " + line for line in text.split("\n"))
