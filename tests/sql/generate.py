"""Statements that are made up: expressions of every type over the tables of schema.sql, and queries of them. What is volatile, or of a row order
that nobody said, is left out."""

COLUMNS = {  # of people, by type
    "int": ["id", "age", "big", "small"], "numeric": ["score", "price"], "float8": ["ratio"], "text": ["name", "email", "code"], "bool": ["active"],
    "date": ["born"], "timestamp": ["ts"], "timestamptz": ["joined"], "interval": ["span"], "int[]": ["nums"], "text[]": ["tags"], "jsonb": ["meta"],
    "mood": ["mood"], "uuid": ["uid"], "time": ["tm"],
}
LITERALS = {
    "int": ["0", "1", "-1", "2", "7", "31", "100", "2147483647", "null::int", "'5'::int"],
    "numeric": ["0.0", "1.5", "-2.25", "10", "100.00", "'1e3'::numeric", "null::numeric"],
    "float8": ["0.5::float8", "2::float8", "-1e3::float8", "null::float8"],
    "text": ["''", "'a'", "'Ann'", "'x y'", "'É'", "'a%'", "null::text", "'42'::text", "'B'"],
    "bool": ["true", "false", "null::bool"],
    "date": ["date '2024-02-29'", "date '1999-12-31'", "null::date", "'2000-01-01'::date"],
    "timestamp": ["timestamp '2024-02-29 12:30'", "timestamp '1999-12-31 23:59:59.5'", "null::timestamp"],
    "timestamptz": ["timestamptz '2024-02-29 12:30+00'", "timestamptz '2024-06-01 00:00+02'", "null::timestamptz"],
    "interval": ["interval '1 day'", "interval '2 hours 30 minutes'", "interval '1 mon -1 day'", "null::interval"],
    "int[]": ["'{1,2,3}'::int[]", "array[4,null]", "'{}'::int[]", "null::int[]"],
    "text[]": ["'{a,b}'::text[]", "array['x','y z']", "'{}'::text[]", "null::text[]"],
    "jsonb": ["'{\"a\": 1, \"b\": [1, \"x\", null]}'::jsonb", "'[1, 2.50, \"s\"]'::jsonb", "'null'::jsonb", "null::jsonb", "'\"str\"'::jsonb"],
    "mood": ["'happy'::mood", "'sad'::mood", "null::mood"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'::uuid", "null::uuid"],
    "time": ["time '10:00'", "time '23:59:59'", "null::time"],
}
COMPARED = ["int", "numeric", "float8", "text", "bool", "date", "timestamp", "timestamptz", "interval", "int[]", "text[]", "jsonb", "mood", "uuid", "time"]
RULES = [  # result, template with {type} for operands
    *[("int", t) for t in ["({int} + {int})", "({int} - {int})", "({int} * {int})", "({int} / {int})", "({int} % {int})", "(- {int})", "abs({int})", "length({text})", "cardinality({int[]})",
                           "array_length({text[]}, 1)", "coalesce({int}, {int})", "nullif({int}, {int})", "greatest({int}, {int})", "least({int}, {int}, {int})", "({date} - {date})",
                           "extract(year from {date})::int", "({int[]})[{int}]", "add_one({int}::int)", "case when {bool} then {int} else {int} end", "position({text} in {text})",
                           "case {int} when {int} then {int} end", "({numeric})::int", "({bool})::int", "jsonb_array_length('[1,2]'::jsonb)", "ascii({text})", "(select count(*) from orders o where o.person = {int})",
                           "(select max(t.id) from teams t where t.id < {int})", "twice({int}::int)", "strictly({int}::int, {int}::int)"]],
    *[("numeric", t) for t in ["({numeric} + {numeric})", "({numeric} - {int})", "({numeric} * {numeric})", "({numeric} / {int})", "round({numeric}, 1)", "({int})::numeric", "({numeric})::numeric(8,2)",
                               "coalesce({numeric}, {int})", "greatest({numeric}, {int})", "trunc({numeric})", "spent({int}::int)", "case when {bool} then {numeric} else {int} end", "abs({numeric})", "mod({numeric}, {int})"]],
    *[("float8", t) for t in ["({float8} + {float8})", "({float8} * {int})", "({numeric})::float8", "case when {bool} then {float8} end", "floor({float8})"]],
    *[("text", t) for t in ["({text} || {text})", "({text} || {int})", "upper({text})", "lower({text})", "substr({text}, {int}::int, 2)", "left({text}, 3)", "({int})::text", "({numeric})::text", "({date})::text", "({bool})::text",
                            "coalesce({text}, {text})", "nullif({text}, {text})", "replace({text}, 'a', {text})", "concat({text}, {int}, {bool})", "trim({text})", "({jsonb} ->> {text})", "({jsonb} ->> 1)", "split_part({text}, ' ', 1)",
                            "({text})::varchar(3)", "greet({text})", "array_to_string({text[]}, ',')", "({text[]})[2]", "({mood})::text", "(select max(n.name) from teams n where n.name > {text})", "({interval})::text", "({timestamp})::text",
                            "case when {bool} then {text} else {text} end", "md5({text})", "reverse({text})", "({uuid})::text", "({int[]})::text", "({jsonb})::text"]],
    *[("bool", t) for t in ["({bool} and {bool})", "({bool} or {bool})", "(not {bool})", "({bool} is true)", "({bool} is not false)", "({int} is null)", "({text} is not null)", "({text} like {text})", "({text} ilike '%a%')", "({text} not like 'a_')",
                            "({text} ~ '^[a-z]')", "({int} in ({int}, {int}, {int}))", "({int} not in ({int}, {int}))", "({text} in ({text}, 'Ann'))", "({int} between {int} and {int})", "({numeric} between {int} and {numeric})",
                            "({int} = any({int[]}))", "({text} = any({text[]}))", "({int} > all({int[]}))", "({int} <> all({int[]}))", "({int[]} @> {int[]})", "({text[]} && {text[]})", "({jsonb} @> {jsonb})", "({jsonb} ? {text})",
                            "exists (select 1 from members m where m.person = {int})", "exists (select 1 from orders o where o.person = {int} and o.amount > {numeric})", "({int} in (select person from orders))", "({int} not in (select team from members))",
                            "is_member({int}::int, {int}::int)", "({int} = {numeric})", "({int} < {float8})", "({date} < {timestamp})", "({timestamp} >= {date})", "({int} between symmetric {int} and {int})", "(({int}, {text}) = ({int}, {text}))",
                            "(({int}, {text}) < ({int}, {text}))", "({int} > any (select age from people))", "({int} / {int} > 1)", "({int} <> 0 and 10 / {int} > 0)"]],
    *[("bool", f"({{{t}}} {op} {{{t}}})") for t in COMPARED for op in ("=", "<>", "<", ">=", "is distinct from", "is not distinct from")],
    *[("date", t) for t in ["({date} + {int}::int)", "({timestamp})::date", "coalesce({date}, {date})", "greatest({date}, {date})"]],
    *[("timestamp", t) for t in ["({timestamp} + {interval})", "({timestamp} - {interval})", "({date} + {interval})", "date_trunc('month', {timestamp})", "({timestamptz} at time zone 'UTC')", "({date})::timestamp"]],
    *[("timestamptz", t) for t in ["({timestamptz} + interval '1 day')", "({timestamp} at time zone 'UTC')", "date_trunc('hour', {timestamptz})"]],
    *[("interval", t) for t in ["({timestamp} - {timestamp})", "({interval} + {interval})", "({interval} * 2)", "(- {interval})"]],
    *[("int[]", t) for t in ["({int[]} || {int}::int)", "({int[]} || {int[]})", "array[{int}::int, {int}::int]", "array_append({int[]}, {int}::int)", "array_remove({int[]}, {int}::int)", "({int[]})[1:2]", "array(select t.id from teams t where t.id > {int} order by t.id)"]],
    *[("text[]", t) for t in ["({text[]} || {text})", "array[{text}, {text}]", "string_to_array({text}, ' ')", "({int[]})::text[]"]],
    *[("jsonb", t) for t in ["({jsonb} -> {text})", "({jsonb} -> 0)", "jsonb_build_object('k', {int}, 'v', {text}, 'n', {numeric}, 'b', {bool})", "to_jsonb({int[]})", "to_jsonb({text})", "jsonb_build_array({int}, {date}, {mood})", "({jsonb} #> '{{b,0}}')",
                             "to_jsonb({numeric})", "coalesce({jsonb}, '[]')"]],
    *[("mood", t) for t in ["coalesce({mood}, 'ok')", "greatest({mood}, {mood})", "case when {bool} then {mood} else 'sad' end", "nullif({mood}, 'ok')"]],
    *[("uuid", "coalesce({uuid}, {uuid})"), ("time", "({time} + interval '1 hour')")],
]
BY_TYPE = {}
for result, template in RULES:
    BY_TYPE.setdefault(result, []).append(template)
TYPES = list(COLUMNS)
AGGREGATES = ["count(*)", "count({any})", "count(distinct {any})", "sum({int})", "sum({numeric})", "avg({int})", "avg({numeric})", "min({ordered})", "max({ordered})", "bool_and({bool})", "bool_or({bool})", "sum({int}) filter (where {bool})",
              "string_agg({text}, ',' order by id)", "array_agg({int} order by id)", "jsonb_agg({int} order by id)", "string_agg({text}, ',' order by {int}, id)", "array_agg(distinct {int})", "count(*) filter (where {bool})"]
ORDERED = ["int", "numeric", "text", "date", "timestamp", "interval", "mood"]
WINDOWS = ["row_number() over (order by {ordered}, id)", "rank() over (order by {ordered})", "dense_rank() over (partition by {bool} order by {ordered})", "lag({any}) over (order by id)", "lead({int}, 2) over (order by id)",
           "sum({int}) over (partition by {bool})", "count(*) over (order by id)", "first_value({text}) over (order by {ordered}, id)", "max({numeric}) over (order by id rows between 1 preceding and 1 following)"]


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def fill(self, template, depth):
        out, at = "", 0
        while at < len(template):
            if template.startswith("{{", at):
                out, at = out + "{", at + 2
            elif template.startswith("}}", at):
                out, at = out + "}", at + 2
            elif template[at] == "{":
                end = template.index("}", at)
                kind = template[at + 1:end]
                kind = self.rng.choice(TYPES if kind == "any" else ORDERED) if kind in ("any", "ordered") else kind
                out, at = out + self.expression(kind, depth - 1), end + 1
            else:
                out, at = out + template[at], at + 1
        return out

    def expression(self, kind, depth):
        if depth <= 0 or self.rng.random() < 0.15:
            return self.rng.choice(COLUMNS[kind] if self.rng.random() < 0.6 else LITERALS[kind])
        return self.fill(self.rng.choice(BY_TYPE[kind]), depth)

    def any(self, depth):
        return self.expression(self.rng.choice(TYPES), depth)

    def plain(self):
        where = f" where {self.expression('bool', 2)}" if self.rng.random() < 0.5 else ""
        return f"select id, {self.any(3)} as x, {self.any(2)} as y from people{where} order by id"

    def sorted(self):
        way = self.rng.choice(["", " desc", " nulls first", " desc nulls last"])
        return f"select id from people order by {self.fill('{ordered}', 3)}{way}, id"

    def grouped(self):
        key = self.expression(self.rng.choice(["int", "text", "bool", "mood", "date"]), 2)
        having = f" having {self.fill(self.rng.choice(['count(*) > 1', 'sum({int}) > 3', 'max({text}) is not null']), 1)}" if self.rng.random() < 0.3 else ""
        return f"select {self.fill(self.rng.choice(AGGREGATES), 2)} as a, {self.fill(self.rng.choice(AGGREGATES), 2)} as b from people group by {key}{having}"

    def whole(self):
        return f"select {self.fill(self.rng.choice(AGGREGATES), 2)} as a, {self.fill(self.rng.choice(AGGREGATES), 2)} as b from people"

    def window(self):
        return f"select id, {self.fill(self.rng.choice(WINDOWS), 2)} as w from people order by id"

    def union(self):
        kind, op = self.rng.choice(["int", "text", "bool", "mood"]), self.rng.choice(["union", "union all", "intersect", "except", "intersect all", "except all"])
        return f"select {self.expression(kind, 2)} as x from people {op} select {self.expression(kind, 2)} from people"

    def joined(self):
        kind = self.rng.choice(["join", "left join", "right join", "full join"])
        on = self.rng.choice(["o.person = p.id", "o.person = p.id and o.amount > p.id", *(["p.age = o.id - 10 + p.age"] if kind != "full join" else [])])
        return f"select p.id as pid, o.id as oid from (select * from people where {self.expression('bool', 2)}) p {kind} orders o on {on}"

    def nested(self):
        return f"select q.x from (select {self.any(3)} as x, id, age from people) q where q.id in (select person from members where team = {self.rng.choice('123')})"

    def distinct(self):
        return f"select distinct on ({self.expression('int', 1)}) 1 as one from people" if self.rng.random() < 0.3 else f"select distinct {self.expression(self.rng.choice(['int', 'bool', 'mood', 'date']), 2)} as x from people"


def statements(rng, count):
    m = Maker(rng)
    shapes = [m.plain] * 6 + [m.sorted, m.grouped, m.whole, m.window, m.union, m.joined, m.nested, m.distinct]
    return [rng.choice(shapes)() for _ in range(count)]
