"""What is asked of app/: query trees (docs/query.md), each by somebody. One after the other, in one database."""
import collections

Who = collections.namedtuple("Who", "role claims")
Request = collections.namedtuple("Request", "name who body writes")
ALL = []


def uid(tail):
    return f"00000000-0000-0000-0000-0000000000{tail}"


def org(n):
    return f"10000000-0000-0000-0000-{n:012}"


def user(tail, name, role="authenticated", **more):
    return Who(role, {"role": role, "sub": uid(tail), "email": f"{name}@example.org", **more})


ANON = Who("anon", {"role": "anon"})
ANN, BOB, CYD, DEE, EVE = user("a1", "ann"), user("b2", "bob"), user("c3", "cyd"), user("d4", "dee"), user("e5", "eve")
BANNED = user("a1", "ann", banned="yes")
ADMIN = user("e5", "eve", app_metadata={"admin": True})
SERVICE = Who("service_role", {"role": "service_role"})
AUDITOR, MODERATOR = user("e5", "eve", "auditor"), user("e5", "eve", "moderator")
EVERYBODY = {"anon": ANON, "ann": ANN, "bob": BOB, "cyd": CYD, "dee": DEE, "eve": EVE, "banned": BANNED, "admin": ADMIN, "service": SERVICE,
             "auditor": AUDITOR, "moderator": MODERATOR}


def ask(name, who, *trees, tx=None):
    body = {"query": trees[0]} if len(trees) == 1 else {"batch": list(trees)}
    writes = any(t.get("kind", "select") in ("insert", "update", "delete") for t in trees)
    ALL.append(Request(name, who, {**body, **({"tx": tx} if tx else {})}, writes))


def select(relation, *items, where=None, order=(), **more):
    schema, _, relation = relation.rpartition(".")
    return {"from": relation, **({"schema": schema} if schema else {}), **({"select": list(items)} if items else {}), **({"where": where} if where else {}),
            **({"order": list(order)} if order else {}), **more}


def insert(relation, *rows, **more):
    return {"kind": "insert", **select(relation), "rows": list(rows), **more}


def update(relation, where=None, give=None, **values):
    return {"kind": "update", **select(relation, where=where), "set": values, **({"select": give} if give else {})}


def delete(relation, where=None, give=None):
    return {"kind": "delete", **select(relation, where=where), **({"select": give} if give else {})}


def call(function, where=None, give=None, order=(), **args):
    schema, _, function = function.rpartition(".")
    return {"kind": "call", "function": function, "args": args, **({"schema": schema} if schema else {}), **({"select": give} if give else {}), **({"where": where} if where else {}),
            **({"order": list(order)} if order else {})}


def op(column, op, *values, **more):
    if op in ("in", ) or "quantifier" in more:
        return {"column": column, "op": op, "values": list(values), **more}
    return {"column": column, "op": op, "value": values[0], **more}


# ---- who sees what: every table and view, by everybody ------------------------------------------------------------------

KEYS = {
    "profiles": ["id"], "organisations": ["id"], "members": ["org", "who"], "invites": ["id"], "teams": ["org", "code"], "team_members": ["org", "team", "who"],
    "devices": ["id"], "follows": ["follower", "followed"], "secrets": ["owner"], "posts": ["id"], "comments": ["id"], "likes": ["post", "who"], "tags": ["name"],
    "post_tags": ["post", "tag"], "files": ["id"], "conversations": ["id"], "messages": ["id"], "notifications": ["id"], "polls": ["id"], "votes": ["poll", "who"],
    "shop.items": ["sku"], "shop.prices": ["sku", "currency"], "shop.orders": ["id"], "shop.order_lines": ["order_id", "line"],
    "shop.shipments": ["order_id", "line", "parcel"], "events": ["id"], "attendance": ["event", "who"], "reports": ["id"], "private.audit": ["id"],
    "settings": ["key"], "ledger": ["id"], "public_posts": ["id"], "my_posts": ["id"], "org_sizes": ["id"], "feed": ["kind", "id"], "shop.catalogue": ["sku", "amount"],
    "shop.my_orders": ["id"], "upcoming": ["id"], "member_names": ["org", "handle"], "auth.users": ["id"],
}
for relation, key in KEYS.items():
    for name, who in EVERYBODY.items():
        ask(f"sees {relation} {name}", who, select(relation, "*", order=key))
        ask(f"counts {relation} {name}", who, select(relation, {"aggregate": "count"}))
    ask(f"key alone {relation}", SERVICE, select(relation, *key, order=key))
    ask(f"exact {relation}", BOB, select(relation, *key, order=key, limit=1, count="exact"), select(relation, *key, order=key, offset=1, count="exact"))

# ---- filters -----------------------------------------------------------------------------------------------------------

FILTERS = [
    ("posts", op("title", "eq", "Hello World")), ("posts", op("title", "neq", "Hello World")), ("posts", op("title", "gt", "b")), ("posts", op("title", "like", "%e%")),
    ("posts", op("title", "like", "Bread 100\\%")), ("posts", op("body", "like", "sour%\\_%")), ("posts", op("title", "ilike", "HELLO*")), ("posts", op("title", "ilike", "DÉJÀ*")), ("posts", op("title", "match", "^[Hh]ello")),
    ("posts", op("title", "imatch", "world$")), ("posts", op("title", "match", "(")), ("posts", op("title", "like", "ends\\")), ("posts", op("id", "in", 1, 2, 4)), ("posts", op("id", "in")),
    ("posts", op("id", "eq", "x")), ("posts", op("id", "eq", "99999999999999999999")), ("posts", op("id", "eq", "1.0")), ("posts", op("id", "eq", " 1 ")), ("posts", op("id", "in", "1", "x")), ("posts", op("score", "eq", "1.1")), ("posts", op("score", "gt", "1.0999")),
    ("posts", op("score", "lte", "-3.00")), ("posts", op("score", "eq", "NaN")), ("posts", op("score", "eq", "1e1")), ("posts", op("score", "eq", "abc")), ("posts", op("score", "in", "1.10", "10.0")), ("posts", op("seen", "eq", "public")), ("posts", op("seen", "gt", "private")), ("posts", op("seen", "eq", "nobody")),
    ("posts", op("tags", "cs", "{news}")), ("posts", op("tags", "cd", "{news,intro,food}")), ("posts", op("tags", "ov", "{food,intro}")), ("posts", op("tags", "eq", "{}")), ("posts", op("tags", "cs", "news")), ("posts", op("tags", "is", None)), ("posts", op("tags", "is", "not_null")),
    ("posts", op("meta", "cs", '{"n": 1}')), ("posts", op("meta", "cd", '{"n": 1, "lang": "en", "more": []}')), ("posts", op("meta", "eq", '{"n": 1.0, "lang": "fr"}')), ("posts", op("meta", "cs", "{")), ("posts", op("meta", "eq", "[]", path=["deep", "a"])), ("posts", op("meta", "eq", "10", path=["n"])), ("posts", op("meta", "eq", "10", path=["n"], text=True)),
    ("posts", op("meta", "eq", "x", path=["deep", "a", 2], text=True)), ("posts", op("meta", "gt", "1", path=["n"], text=True)), ("posts", op("meta", "is", None, path=["n"])), ("posts", op("meta", "is", None, path=["n"], text=True)), ("posts", op("raw", "eq", "1", path=["b"], text=True)), ("posts", op("raw", "eq", "1")), ("posts", op("title", "eq", "1", path=["b"])),
    ("posts", op("org", "eq", org(1))), ("posts", op("org", "eq", org(1).upper())), ("posts", op("org", "eq", "{" + org(1) + "}")), ("posts", op("org", "eq", "not-a-uuid")), ("posts", op("org", "is", None)), ("posts", op("published_at", "gte", "2024-02-01")), ("posts", op("published_at", "lt", "2024-02-01T01:00:00+01:00")), ("posts", op("published_at", "eq", "2024-13-01")),
    ("posts", op("published_at", "eq", "yesterdayish")), ("posts", op("published_at", "gt", "infinity")), ("posts", op("deleted_at", "is", "not_null")), ("posts", op("deleted_at", "is", True)), ("posts", op("word_count", "gt", 2)), ("posts", op("nosuch", "eq", 1)), ("posts", op("score", "isdistinct", "1.1")), ("posts", op("id", "eq", 1, 2, quantifier="any")),
    ("posts", op("title", "ilike", "hello*", "*vu", quantifier="any")), ("posts", op("title", "like", "*e*", "*l*", quantifier="all")), ("posts", op("id", "gt", 1, 2, quantifier="all")), ("posts", {"not": op("score", "gt", 1)}), ("posts", {"or": [op("id", "eq", 1), {"and": [op("id", "gt", 5), op("seen", "eq", "public")]}]}), ("posts", {"and": []}), ("posts", {"or": []}),
    ("posts", [op("id", "gt", 1), op("id", "lt", 5)]), ("posts", op("title", "fts", "hello")), ("posts", op("title", "plfts", "hello world")), ("posts", op("title", "phfts", "hello world")), ("posts", op("title", "wfts", '"hello world" or bread')), ("posts", op("title", "fts", "hello &")), ("posts", op("title", "fts", "worlds", config="english")), ("posts", op("title", "fts", "x", config="klingon")),
    ("profiles", op("handle", "eq", "ANN")), ("profiles", op("handle", "like", "a%")), ("profiles", op("handle", "in", "BOB", "dee")), ("profiles", op("birthday", "eq", "2000-02-29")), ("profiles", op("birthday", "lt", "today-ish")), ("profiles", op("rating", "eq", "0.1")), ("profiles", op("rating", "lt", "1")), ("profiles", op("height_m", "eq", "1.8000000000000003")), ("profiles", op("height_m", "gt", "1e299")), ("profiles", op("height_m", "gt", "1e999")),
    ("profiles", op("wakes_at", "eq", "06:30:00")), ("profiles", op("wakes_at", "gt", "12:00")), ("profiles", op("zone_time", "lt", "12:00Z")), ("profiles", op("zone_time", "eq", "15:30Z")), ("profiles", op("last_ip", "eq", "10.0.0.1")), ("profiles", op("last_ip", "gt", "10.0.0.0")), ("profiles", op("last_ip", "eq", "10.0.0.999")), ("profiles", op("network", "eq", "10.0.0.0/8")), ("profiles", op("is_public", "is", True)), ("profiles", op("is_public", "is", "unknown")),
    ("profiles", op("is_public", "eq", "t")), ("profiles", op("is_public", "eq", "maybe")), ("profiles", op("settings", "eq", "1.5", path=["n"])), ("profiles", op("settings", "eq", "\"", path=["quote"], text=True)), ("profiles", op("links", "cs", '{"with, comma"}')), ("profiles", op("links", "eq", '{NULL,"NULL"}')), ("profiles", op("seen_at", "lt", "1970-01-01")), ("profiles", op("joined_at", "eq", "2024-01-02 03:04:05.678901+00")), ("profiles", op("first_letter", "eq", "A")),
    ("organisations", op("plan", "eq", "pro")), ("organisations", op("plan", "eq", "pro ")), ("organisations", op("discount", "eq", "12.5")), ("organisations", op("seats", "gt", "40000")), ("organisations", op("seats", "gt", 2)), ("organisations", op("slug", "eq", "acme")), ("organisations", op("name", "like", "*&*")),
    ("members", op("role", "gte", "admin")), ("members", op("since", "lte", "2024-01-15")), ("invites", op("mail", "eq", "EVE@example.ORG")), ("invites", op("token", "eq", "\\xDEADBEEF")), ("invites", op("token", "gt", "\\x")), ("invites", op("token", "eq", "\\xzz")), ("team_members", op("hours", "eq", "1 day")), ("team_members", op("hours", "gte", "30 days")), ("team_members", op("hours", "lt", "bad interval")),
    ("devices", op("os_version", "gt", "9")), ("devices", op("active", "isdistinct", "true")), ("shop.items", op("available_from", "lt", "0001-01-01")), ("shop.items", op("available_from", "eq", "infinity")), ("shop.items", op("weight_kg", "eq", "1")), ("shop.items", op("attributes", "cs", '{"sizes": ["m"]}')), ("shop.items", op("price", "gte", 1250)), ("shop.orders", op("state", "in", "paid", "shipped")), ("shop.orders", op("state", "lt", "paid")),
    ("shop.order_lines", op("amount", "eq", "25")), ("shop.order_lines", op("unit_price", "lt", "1")), ("conversations", op("participants", "cs", "{" + uid("b2") + "}")), ("polls", op("counts", "cs", "{3}")), ("polls", op("counts", "eq", "{3,4}")), ("polls", op("id", "lt", 100000)), ("tags", op("uses", "gt", "8999999999999999999")), ("events", op("lasts", "gt", "3 hours")), ("events", op("starts_at", "eq", "2024-03-31T02:30:00+02:00")),
    ("upcoming", op("duration", "eq", "2:00")), ("upcoming", op("weekday", "eq", 7)), ("shop.catalogue", op("cheapest", "eq", 1)), ("org_sizes", op("people", "gt", 1)), ("ledger", op("amount", "eq", "100.0001")), ("feed", op("what", "like", "*o*")), ("settings", op("secret", "eq", "s1")), ("messages", op("reactions", "eq", "👍", path=[0, "e"], text=True)), ("messages", op("reactions", "eq", "1", path=[-1, "by"], text=True)),
]
for n, (relation, where) in enumerate(FILTERS):
    for name, who in (("service", SERVICE), ("ann", ANN)):
        ask(f"filter {n} {name} {relation} {str(where)[:60]}", who, select(relation, *KEYS[relation], where=where, order=KEYS[relation]))

# ---- orders, ranges, lists -----------------------------------------------------------------------------------------------

for relation, column in [("posts", c) for c in ("title", "score", "published_at", "seen", "org", "tags", "meta", "word_count", "body", "author")] + [("profiles", c) for c in (
        "handle", "full_name", "birthday", "rating", "height_m", "wakes_at", "zone_time", "last_ip", "network", "is_public", "settings", "links", "seen_at", "joined_at")] + [
        ("organisations", "plan"), ("organisations", "discount"), ("members", "role"), ("team_members", "hours"), ("invites", "token"), ("shop.items", "available_from"), ("posts", "raw")]:
    ask(f"order {relation}.{column}", SERVICE, select(relation, *KEYS[relation], order=[{"column": column}, *KEYS[relation]]))
    ask(f"order {relation}.{column} desc", SERVICE, select(relation, *KEYS[relation], order=[{"column": column, "desc": True}, *KEYS[relation]]))
    ask(f"order {relation}.{column} nulls", SERVICE, select(relation, *KEYS[relation], order=[{"column": column, "nulls": "first"}, *KEYS[relation]], limit=3, offset=1))
for name, tree in {
    "path": select("posts", "id", {"column": "meta", "path": ["deep", "a", 2], "text": True, "as": "third"}, {"column": "meta", "path": ["n"]}, order=["id"]),
    "order by path": select("posts", "id", order=[{"column": "meta", "path": ["n"], "desc": True, "nulls": "last"}, "id"]),
    "order by path as text": select("posts", "id", order=[{"column": "meta", "path": ["n"], "text": True}, "id"]),
    "aliases": select("posts", {"column": "title", "as": "t"}, {"column": "id", "as": "the id"}, order=["id"]),
    "twice": select("posts", "id", "title", "id", order=["id"]),
    "cast": select("posts", "id", {"column": "score", "cast": "text"}, {"column": "id", "cast": "numeric", "as": "n"}, {"column": "published_at", "cast": "date", "as": "d"}, order=["id"]),
    "cast that fails": select("posts", "id", {"column": "title", "cast": "integer"}, where=op("id", "eq", 1)),
    "cast to what is not there": select("posts", "id", {"column": "title", "cast": "nosuch"}, order=["id"]),
    "limit 0": select("posts", "id", order=["id"], limit=0), "limit 2": select("posts", "id", order=["id"], limit=2), "offset beyond": select("posts", "id", order=["id"], offset=100),
    "offset": select("posts", "id", order=["id"], offset=2, limit=2), "limit less than none": select("posts", "id", limit=-1), "offset less than none": select("posts", "id", offset=-1),
    "no such table": select("nosuch", "id"), "no such schema": select("nosuch.posts", "id"), "no such column": select("posts", "nosuch"), "no such order": select("posts", "id", order=["nosuch"]),
    "platform's": select("auth.users", "id", order=["id"]), "hidden schema": select("private.audit", "*"), "an alias with marks": select("posts", {"column": "id", "as": "a\"b'c;--"}, order=["id"], limit=1),
}.items():
    for who in ("service", "ann", "anon"):
        ask(f"list {name} {who}", EVERYBODY[who], tree)

# ---- aggregates ----------------------------------------------------------------------------------------------------------

for name, tree in {
    "of all": select("posts", {"aggregate": "count"}, {"aggregate": "sum", "column": "score"}, {"aggregate": "avg", "column": "score"}, {"aggregate": "min", "column": "title"}, {"aggregate": "max", "column": "published_at"}),
    "by": select("posts", "seen", {"aggregate": "count"}, {"aggregate": "avg", "column": "id"}, order=["seen"]),
    "of bigints": select("tags", {"aggregate": "sum", "column": "uses"}, {"aggregate": "avg", "column": "uses"}),
    "of smallints": select("likes", {"aggregate": "sum", "column": "weight"}, {"aggregate": "avg", "column": "weight"}, {"aggregate": "max", "column": "weight"}),
    "of floats": select("profiles", {"aggregate": "sum", "column": "rating"}, {"aggregate": "avg", "column": "height_m"}),
    "of intervals": select("team_members", {"aggregate": "sum", "column": "hours"}, {"aggregate": "max", "column": "hours"}, {"aggregate": "avg", "column": "hours"}),
    "of enums": select("members", {"aggregate": "max", "column": "role"}, {"aggregate": "min", "column": "role"}),
    "of none": select("posts", {"aggregate": "count"}, {"aggregate": "sum", "column": "score"}, where=op("id", "lt", 0)),
    "of dates": select("profiles", {"aggregate": "min", "column": "birthday"}, {"aggregate": "max", "column": "joined_at"}),
    "of booleans": select("profiles", {"aggregate": "max", "column": "is_public"}),
    "of texts": select("posts", {"aggregate": "sum", "column": "title"}),
    "cast after": select("posts", {"aggregate": "avg", "column": "score", "castAfter": "text", "as": "a"}),
    "cast before": select("posts", {"aggregate": "sum", "column": "id", "cast": "numeric", "as": "a"}),
    "of a path": select("posts", {"aggregate": "count", "column": "meta", "path": ["n"], "as": "a"}),
    "in a view": select("shop.catalogue", "currency", {"aggregate": "sum", "column": "amount"}, order=["currency"]),
    "unknown": select("posts", {"aggregate": "string_agg", "column": "title"}),
}.items():
    for who in ("service", "bob", "anon"):
        ask(f"aggregate {name} {who}", EVERYBODY[who], tree)

# ---- embeds --------------------------------------------------------------------------------------------------------------

EMBEDS = {
    "to one": select("posts", "id", {"embed": "profiles", "select": ["handle"]}, order=["id"]),
    "to many": select("posts", "id", {"embed": "comments", "select": ["id", "body"], "order": ["id"]}, order=["id"]),
    "to many, all": select("organisations", "name", {"embed": "members", "select": ["*"], "order": ["who"]}, order=["id"]),
    "through": select("posts", "id", {"embed": "tags", "select": ["name"], "order": ["name"]}, order=["id"]),
    "inner": select("posts", "id", {"embed": "comments", "select": ["id"], "join": "inner", "order": ["id"]}, order=["id"]),
    "filtered": select("posts", "id", {"embed": "comments", "select": ["id"], "where": op("id", "gt", 1), "order": [{"column": "id", "desc": True}]}, order=["id"]),
    "inner and filtered": select("posts", "id", {"embed": "comments", "select": ["id"], "where": op("hidden", "is", True), "join": "inner"}, order=["id"]),
    "limited": select("posts", "id", {"embed": "comments", "select": ["id"], "order": ["id"], "limit": 1, "offset": 1}, order=["id"]),
    "deep": select("organisations", "name", {"embed": "teams", "select": ["code", {"embed": "team_members", "select": ["who", {"embed": "members", "select": ["role"]}], "order": ["who"]}], "order": ["code"]}, order=["id"]),
    "composite": select("teams", "code", {"embed": "members", "select": ["who", "role"]}, order=["org", "code"]),
    "itself": select("comments", "id", {"embed": "comments", "select": ["id"], "hint": "parent"}, order=["id"]),
    "ambiguous": select("comments", "id", {"embed": "comments", "select": ["id"]}, order=["id"]),
    "alias": select("posts", "id", {"embed": "profiles", "as": "writer", "select": [{"column": "handle", "as": "h"}]}, order=["id"]),
    "spread": select("posts", "id", {"embed": "profiles", "spread": True, "select": ["handle", "full_name"]}, order=["id"]),
    "by constraint": select("posts", "id", {"embed": "profiles", "hint": "posts_author_fkey", "select": ["handle"]}, order=["id"]),
    "wrong hint": select("posts", "id", {"embed": "profiles", "hint": "nosuch", "select": ["handle"]}, order=["id"]),
    "no way": select("posts", "id", {"embed": "ledger", "select": ["id"]}, order=["id"]),
    "has": select("posts", "id", {"embed": "comments", "select": ["id"]}, where={"embed": "comments", "has": True}, order=["id"]),
    "has none": select("posts", "id", {"embed": "comments", "select": []}, where={"embed": "comments", "has": False}, order=["id"]),
    "order by it": select("posts", "id", {"embed": "profiles", "select": ["handle"]}, order=[{"column": "handle", "embed": "profiles", "desc": True}, "id"]),
    "two": select("posts", "id", {"embed": "likes", "select": ["weight"], "order": ["weight"]}, {"embed": "comments", "select": ["id"], "order": ["id"]}, order=["id"]),
    "counts": select("posts", "id", {"embed": "comments", "select": [{"aggregate": "count"}]}, order=["id"]),
    "of the shop": select("shop.orders", "id", {"embed": "order_lines", "select": ["line", "amount", {"embed": "items", "select": ["name"]}], "order": ["line"]}, order=["id"]),
    "lines to shipments": select("shop.order_lines", "order_id", "line", {"embed": "shipments", "select": ["parcel", "sent_at"], "order": ["parcel"]}, order=["order_id", "line"]),
    "through a view": select("my_posts", "id", {"embed": "comments", "select": ["id"], "order": ["id"]}, order=["id"]),
}
for name, tree in EMBEDS.items():
    for who in ("service", "ann", "bob", "anon"):
        ask(f"embed {name} {who}", EVERYBODY[who], tree)

# ---- calls ---------------------------------------------------------------------------------------------------------------

CALLS = {
    "add": call("add", a=1), "add both": call("add", a=1, b=2), "add wrong": call("add", a="x"), "add none": call("add"), "add more": call("add", a=1, c=3), "add text": call("add", a="5"), "add overflow": call("add", a=2147483647, b=1), "add null": call("add", a=None),
    "halve": call("halve", a=7), "halve less": call("halve", a=-7), "halve null": call("halve", a=None), "ratio": call("ratio", a=1, b=3), "ratio of none": call("ratio", a=1, b=0), "greet": call("greet"), "greet one": call("greet", name="Ann"), "greet other": call("greet", greeting="ciao"),
    "whoami": call("whoami"), "search": call("search_posts", term="e"), "search few": call("search_posts", term="e", most=1), "search filtered": call("search_posts", term="e", where=op("id", "gt", 1), give=["id"], order=[{"column": "id", "desc": True}]), "posts_of": call("posts_of", a=uid("a1"), give=["id", "title"]), "posts_of all": call("posts_of", a=uid("b2")),
    "posts_of wrong": call("posts_of", a="nobody"), "org_totals": call("org_totals"), "my_orgs": call("my_orgs"), "my_role": call("my_role", o=org(1)), "is_member": call("is_member", o=org(1), at_least="admin"), "is_member wrong": call("is_member", o=org(1), at_least="king"), "is_admin": call("is_admin"), "count_secrets": call("count_secrets"), "count_all_secrets": call("count_all_secrets"),
    "kept_total": call("kept_total"), "order_total": call("shop.order_total", o=1), "week_of": call("week_of", d="2024-02-29"), "week_of wrong": call("week_of", d="2024-02-30"), "initials": call("initials", n="ann  b cd"), "series": call("series", n=4), "series of none": call("series", n=0), "only_admins": call("only_admins"), "nosuch": call("nosuch"),
}
for name, tree in CALLS.items():
    for who in ("service", "ann", "anon"):
        ask(f"call {name} {who}", EVERYBODY[who], tree)

# ---- writes: tried by several, undone; then done -----------------------------------------------------------------------------

P = {"id": 200, "title": "new", "author": uid("a1")}
WRITES = {
    "post": insert("posts", P, select=["id", "author", "title", "word_count", "seen", "tags"]), "post of another": insert("posts", {**P, "author": uid("b2")}, select=["id"]), "post, nothing asked": insert("posts", P), "post with defaults": insert("posts", {"title": "mine"}, select=["author", "title", "body"]),
    "post with a number": insert("posts", {"id": None, "title": "mine"}, select=["id"]), "post without a title": insert("posts", {"author": uid("a1")}, select=["id"]), "post with an empty title": insert("posts", {**P, "title": "  "}, select=["id"]), "post with a long title": insert("posts", {**P, "title": "x" * 61}, select=["id"]), "post of a number taken": insert("posts", {**P, "id": 1}, select=["id"]), "post of a number hidden": insert("posts", {**P, "id": 3}, select=["id"]),
    "post of no organisation": insert("posts", {**P, "org": org(9)}, select=["id"]), "post with a computed column": insert("posts", {**P, "word_count": 3}, select=["id"]), "post with a wrong enum": insert("posts", {**P, "seen": "nobody"}), "post with wrong types": insert("posts", {**P, "score": "abc"}), "post with an unknown column": insert("posts", {**P, "nosuch": 1}), "posts": insert("posts", P, {**P, "id": 201}, select=["id"]), "posts, one bad": insert("posts", P, {**P, "id": 1}, select=["id"]),
    "post of all": insert("posts", {**P, "body": "some more words", "seen": "members", "org": org(1), "tags": ["a", "b,c", None], "meta": {"z": 1, "a": [1.0, 1e3]}, "raw": {"z": 1, "a": [1.0]}, "score": "1.500", "published_at": "2024-05-05T05:05:05+02:00"}, select=["*"]), "post, strings for numbers": insert("posts", {**P, "score": 12345678901234567890.123, "tags": "{x,y}"}, select=["score", "tags"]),
    "upsert": insert("posts", {"id": 1, "title": "again", "author": uid("a1")}, conflict={"columns": ["id"], "do": "merge"}, select=["id", "title"]), "upsert, ignored": insert("posts", {"id": 1, "title": "again", "author": uid("a1")}, conflict={"columns": ["id"], "do": "ignore"}, select=["id", "title"]), "upsert of another's": insert("posts", {"id": 4, "title": "again", "author": uid("a1")}, conflict={"columns": ["id"], "do": "merge"}, select=["id"]), "upsert of what is hidden": insert("posts", {"id": 3, "title": "again", "author": uid("b2")}, conflict={"do": "merge"}, select=["id"]), "upsert, no such key": insert("posts", P, conflict={"columns": ["title"], "do": "merge"}, select=["id"]),
    "upsert a new one": insert("posts", P, conflict={"do": "merge"}, select=["id", "title"]), "upsert twice the same": insert("posts", P, P, conflict={"do": "merge"}, select=["id"]), "retitle": update("posts", op("id", "in", 1, 2, 4), ["id", "title"], title="retitled"), "give away": update("posts", op("id", "eq", 1), ["id"], author=uid("b2")), "give away, no words": update("posts", op("id", "eq", 1), author=uid("b2")), "change what is computed": update("posts", op("id", "eq", 1), word_count=1),
    "empty a title": update("posts", op("id", "eq", 1), title=None), "renumber": update("posts", op("id", "eq", 1), ["id"], id=500), "renumber to what is taken": update("posts", op("id", "eq", 1), id=2), "hide": update("posts", op("id", "eq", 1), ["id", "seen"], seen="private"), "change all": update("posts", None, ["id"], body="same"), "change none": update("posts", op("id", "eq", 999), ["id"], body="same"), "set nothing": update("posts", op("id", "eq", 1), ["id"]),
    "delete": delete("posts", op("id", "eq", 1), ["id"]), "delete all": delete("posts", None, ["id"]), "delete, no words": delete("posts", op("id", "eq", 4)), "comment": insert("comments", {"post": 1, "body": "hi"}, select=["post", "author", "body", "hidden"]), "comment on what is hidden": insert("comments", {"post": 3, "body": "hi"}, select=["post"]), "comment on nothing": insert("comments", {"post": 999, "body": "hi"}), "comment empty": insert("comments", {"post": 1, "body": ""}), "comment as another": insert("comments", {"post": 1, "body": "x", "author": uid("b2")}),
    "edit a comment": update("comments", op("id", "eq", 1), ["id", "body"], body="edited"), "hide a comment": update("comments", op("id", "eq", 1), ["id"], hidden=True), "delete a comment": delete("comments", op("id", "eq", 1), ["id"]), "like": insert("likes", {"post": 2}, select=["post", "who", "weight"]), "like too much": insert("likes", {"post": 2, "weight": 9}), "like twice": insert("likes", {"post": 1, "who": uid("b2")}, select=["post"]), "like, merged": insert("likes", {"post": 1, "weight": 2}, conflict={"do": "merge"}, select=["post", "who", "weight"]),
    "tag": insert("tags", {"name": "x"}), "tag badly": insert("post_tags", {"post": 1, "tag": "nosuch"}), "tag a post": insert("post_tags", {"post": 2, "tag": "intro"}, select=["*"]), "untag": delete("post_tags", op("post", "eq", 1), ["tag"]), "rename a tag": update("tags", op("name", "eq", "news"), ["name"], name="updates"), "rename a tag badly": update("tags", op("name", "eq", "news"), name="Not A Slug"), "delete a tag": delete("tags", op("name", "eq", "news")), "found": insert("organisations", {"name": "N", "slug": "n"}, select=["name", "owner", "plan", "seats"]),
    "found, no answer": insert("organisations", {"name": "N", "slug": "n"}), "found for another": insert("organisations", {"name": "N", "slug": "n", "owner": uid("b2")}), "found twice": insert("organisations", {"name": "N", "slug": "acme"}), "found with a long name": insert("organisations", {"name": "N" * 41, "slug": "n"}), "found with a long plan": insert("organisations", {"name": "N", "slug": "n", "plan": "longer"}), "found badly": insert("organisations", {"name": "N", "slug": "Not A Slug"}), "seats": update("organisations", op("id", "eq", org(1)), ["id", "seats"], seats=20),
    "too many seats": update("organisations", op("id", "eq", org(1)), seats=40000), "no seats": update("organisations", op("id", "eq", org(1)), seats=0), "gold": update("organisations", op("id", "eq", org(1)), ["id"], plan="gold"), "discount": update("organisations", op("id", "eq", org(1)), ["discount"], discount="12.345"), "too much discount": update("organisations", op("id", "eq", org(1)), discount=101), "dissolve": delete("organisations", op("id", "eq", org(2)), ["name"]), "dissolve one": delete("organisations", op("id", "eq", org(1)), ["name"]),
    "join": insert("members", {"org": org(1), "who": uid("c3")}, select=["*"]), "join as owner": insert("members", {"org": org(1), "who": uid("c3"), "role": "owner"}, select=["role"]), "promote": update("members", [op("org", "eq", org(2)), op("who", "eq", uid("c3"))], ["role"], role="owner"), "leave": delete("members", op("who", "eq", uid("b2")), ["org"]), "leave all": delete("members", None, ["org", "who"]), "invite": insert("invites", {"org": org(1), "mail": "new@example.org"}, select=["mail", "role", "token"]),
    "invite badly": insert("invites", {"org": org(1), "mail": "nobody"}), "invite twice": insert("invites", {"org": org(1), "mail": "EVE@example.org"}), "invite an owner": insert("invites", {"org": org(1), "mail": "n@example.org", "role": "owner"}), "invite with a number": insert("invites", {"id": 7, "org": org(1), "mail": "n@example.org"}), "lead": update("teams", op("code", "eq", "core"), ["code", "lead"], lead=None), "lead badly": update("teams", op("code", "eq", "core"), lead=uid("e5")), "rename a team": update("teams", op("code", "eq", "core"), ["code"], code="kern"),
    "team of a stranger": insert("teams", {"org": org(1), "code": "x", "title": "x", "lead": uid("e5")}), "long team": insert("teams", {"org": org(1), "code": "x" * 9, "title": "x"}), "device": insert("devices", {"push_token": "t9", "platform": "ios", "os_version": 17.25, "active": True}, select=["owner", "os_version"]), "device of a token": insert("devices", {"push_token": "t1", "platform": "ios", "active": True}), "device of a free token": insert("devices", {"push_token": "t1", "platform": "ios", "active": False}, select=["push_token"]), "device of a platform": insert("devices", {"push_token": "q", "platform": "windows"}),
    "device too new": insert("devices", {"push_token": "q", "platform": "ios", "os_version": 1000}), "follow": insert("follows", {"followed": uid("d4")}, select=["*"]), "follow oneself": insert("follows", {"followed": uid("a1")}), "unfollow": delete("follows", op("followed", "eq", uid("b2")), ["*"]), "secret": insert("secrets", {"note": "n", "code": 44}, conflict={"do": "merge"}, select=["*"]), "secret of a code": update("secrets", None, ["note"], code=0), "secret of all": update("secrets", None, ["owner", "note"], note="changed"), "secret of another": insert("secrets", {"owner": uid("b2"), "note": "n", "code": 45}, conflict={"do": "merge"}),
    "file": insert("files", {"bucket": "home", "path": uid("a1") + "/n.txt", "size": 1, "digest": "\\x0102"}, select=["bucket", "path", "digest"]), "file elsewhere": insert("files", {"bucket": "home", "path": uid("b2") + "/n.txt", "size": 1}), "file of a place": insert("files", {"bucket": "home", "path": uid("b2") + "/b/c.txt", "size": 1}), "file less than nothing": insert("files", {"bucket": "home", "path": uid("a1") + "/m", "size": -1}), "message": insert("messages", {"conversation": 1, "text": "x"}, select=["conversation", "sender", "text", "reactions"]), "message elsewhere": insert("messages", {"conversation": 2, "text": "x"}),
    "message nowhere": insert("messages", {"conversation": 99, "text": "x"}), "edit a message": update("messages", None, ["id", "text"], text="edited"), "read": update("notifications", None, ["id"], read_at="2024-01-01T00:00:00Z"), "unread": update("notifications", op("id", "eq", 1), ["id"], read_at=None), "vote": insert("votes", {"poll": 3, "choice": 2}, select=["*"]), "vote beyond": insert("votes", {"poll": 3, "choice": 3}), "vote in none": insert("votes", {"poll": 9, "choice": 1}), "poll": insert("polls", {"question": "?", "choices": ["a"]}), "poll of two": insert("polls", {"question": "?", "choices": ["a", "b"], "counts": [1, None]}, select=["question", "choices", "counts"]),
    "item": insert("shop.items", {"sku": "NEW", "name": "New", "price": 1, "weight_kg": "1.23456"}, select=["*"]), "item of no price": insert("shop.items", {"sku": "NEW", "name": "New", "price": -1}), "item without one": insert("shop.items", {"sku": "NEW", "name": "New"}), "item in small": insert("shop.items", {"sku": "new", "name": "New", "price": 1}), "item renamed": update("shop.items", op("sku", "eq", "MUG"), ["sku", "name"], name="Cup"), "item's sku": update("shop.items", op("sku", "eq", "MUG"), ["sku"], sku="CUP"), "item costs": update("shop.items", None, ["sku"], price=2000000), "item gone": delete("shop.items", op("sku", "eq", "MUG")),
    "order": insert("shop.orders", {"note": "n"}, select=["buyer", "state"]), "order paid": insert("shop.orders", {"state": "paid"}), "order of another": insert("shop.orders", {"buyer": uid("b2")}), "cancel": update("shop.orders", None, ["id", "state"], state="cancelled"), "pay": update("shop.orders", op("id", "eq", 2), ["id"], state="paid"), "line": insert("shop.order_lines", {"order_id": 2, "line": 3, "sku": "MUG", "quantity": 2, "unit_price": "1.005"}, select=["amount", "unit_price"]), "line of nothing": insert("shop.order_lines", {"order_id": 2, "line": 3, "sku": "NONE", "quantity": 2, "unit_price": 1}),
    "line of another's": insert("shop.order_lines", {"order_id": 3, "line": 3, "sku": "MUG", "quantity": 2, "unit_price": 1}), "line of none": insert("shop.order_lines", {"order_id": 2, "line": 3, "sku": "MUG", "quantity": 0, "unit_price": 1}), "line too large": insert("shop.order_lines", {"order_id": 2, "line": 3, "sku": "MUG", "quantity": 1, "unit_price": "99999999999.99"}), "event": insert("events", {"org": org(1), "title": "t", "starts_at": "2024-01-01T00:00Z", "ends_at": "2024-01-02T00:00Z", "lasts": "1 day 1 hour"}, select=["title", "starts_at", "lasts"]), "event too long": insert("events", {"org": org(1), "title": "t", "starts_at": "2024-01-01T00:00Z", "ends_at": "2024-02-02T00:00Z"}),
    "event backwards": insert("events", {"org": org(1), "title": "t", "starts_at": "2024-01-03T00:00Z", "ends_at": "2024-01-02T00:00Z"}), "attend": insert("attendance", {"event": "40000000-0000-0000-0000-000000000001", "answer": "no"}, conflict={"do": "merge"}, select=["answer"]), "attend elsewhere": insert("attendance", {"event": "40000000-0000-0000-0000-000000000002", "answer": "yes"}), "report": insert("reports", {"about": "x"}), "report, answered": insert("reports", {"about": "x"}, select=["about"]), "report as another": insert("reports", {"about": "x", "reporter": uid("b2")}), "handle": update("reports", None, ["id", "about"], handled_by="me"),
    "handle nothing": update("reports", None, state="closed"), "ledger": insert("ledger", {"account": uid("a1"), "amount": 1}), "ledger changed": update("ledger", None, ["id"], amount=0), "setting": update("settings", None, value="1"), "setting read": select("settings", "key", "secret"), "setting's columns": select("settings", "key", "value", order=["key"]), "audit": insert("private.audit", {"what": "x"}), "profile": update("profiles", op("handle", "eq", "ANN"), ["handle", "first_letter"], full_name="zoe"), "profile all": update("profiles", None, ["id"], bio="b"), "profile's handle": update("profiles", None, ["id"], handle="BOB"),
    "profile's links": update("profiles", op("id", "eq", uid("a1")), ["links", "settings", "last_ip", "wakes_at", "zone_time", "rating", "height_m"], links=["a", "b c"], settings={"x": None}, last_ip="1.2.3.4/8", wakes_at="25:00"), "profile's times": update("profiles", op("id", "eq", uid("a1")), ["wakes_at", "zone_time", "rating", "height_m", "seen_at", "joined_at", "birthday"], wakes_at="24:00", zone_time="23:59:59.9999999+01", rating="3.4028235e38", height_m="1e-320", seen_at="2024-02-30", joined_at="now"),
    "profile's dates": update("profiles", op("id", "eq", uid("a1")), ["birthday", "seen_at", "rating"], birthday="January 8, 1999", seen_at="2024-02-29 23:59:60", rating=1e39), "user": insert("auth.users", {"id": uid("f6")}, select=["id"]), "a view": insert("public_posts", {"id": 1}), "a view changed": update("my_posts", None, title="x"), "delete a user": delete("auth.users", op("id", "eq", uid("c3"))),
    "vote by call": call("vote", p=3, c=1), "vote by call, beyond": call("vote", p=3, c=5), "tag by call": call("tag_post", p=2, t="food"), "tag by call, another's": call("tag_post", p=8, t="food"), "audit by call": call("audit_note", what="called"), "place": call("shop.place_order", o=2), "place another's": call("shop.place_order", o=4),
}
for name, tree in WRITES.items():
    for who in ("ann", "bob", "anon", "service", "moderator"):
        ask(f"write {name} {who}", EVERYBODY[who], tree, tx="rollback")
