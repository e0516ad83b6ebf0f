#!/usr/bin/env python3
"""Asks a real PostgreSQL about texts, patterns, regular expressions, json, arrays, bytes and aggregates: each expression on both sides, on
ours as the translator writes it, with random and edge arguments; answers, or SQLSTATEs and messages, compared as text.

    tests/pg/texts.py PG_ASK [--count N] [--seed S] [--only REGEX] [-v]

Where no PostgreSQL is installed it says so and ends with 77 (skipped). What is known to differ stands in KNOWN, with its reason."""
import argparse, os, random, re, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, folder_of_programs
from oracle import TRY, escaped

OIDS = {"bool": 16, "int4": 23, "int8": 20, "text": 25, "varchar": 1043, "bpchar": 1042, "name": 19, "bytea": 17, "json": 114, "jsonb": 3802, "uuid": 2950, "inet": 869,
        "text[]": 1009, "int4[]": 1007, "jsonb[]": 3807, "float8": 701, "numeric": 1700, "numeric[]": 1231, "uuid[]": 2951, "float8[]": 1022, "bool[]": 1000, "tsvector": 3614, "tsquery": 3615, "float4": 700, "citext": 15000}
KNOWN = [
    (r".*", r"! 0A000 .*", r".*", "what SQLite is refused, by name"),
    (r"= .*", r"= .*|null", r"select \((regexp_(match|replace|substr)|substring|\(select string_agg\(v::text, '\|' order by o\) from regexp_matches)\(.*\(.*[*?}].*", "which part of a match a group has that is repeated or optional: the whole match is the same"),
    (r".*", r".*", r"select \(regexp.*\\[1-9].*", "a match with a back reference is PCRE2's, and the first one"),
    (r".*", r".*", r"select \('.*'::json #>>? .*", "json with a key twice on a path: the last one is taken at each step"),
    (r".*", r"! 2201B regular expression failed.*", r".*", "limits of a match"),
    (r".*", r"! 54000 array size exceeds.*", r".*", "the limit is another"),
]
# several ways to say the same: (pattern, what it becomes) on both sides
ALIKE = [(r'^! 22P02 invalid input syntax for type jsonb?.*', "! 22P02 json"), (r"^! 22P02 malformed array literal.*", "! 22P02 array")]

# ---- arguments ----

LETTERS = ["a", "b", "A", "B", "ä", "Ä", "ß", "é", "İ", "ı", "Σ", "ς", "😀", "漢", " ", "  ", "1", "0", "-", "_", "%", "\\", "'", '"', ",", ".", "x", "abc", "\n", "\t", "ǅ", "ŉ", "fi", "K"]


def text(r, longest=8):
    if r.random() < 0.1:
        return r.choice(["", " ", "abc", "hello world", "Ünïcödé", "a,b,c", "it's", "NULL", "null", "select", "a\\b", "%", "_", "aaaa", "foobarbaz", "  pad  "])
    return "".join(r.choice(LETTERS) for _ in range(r.randint(0, longest)))


def small(r):
    return r.choice([0, 1, 2, 3, -1, -2, -3, 5, 10, 100, r.randint(-12, 12)])


def like(r):
    return "".join(r.choice(["%", "_", "a", "b", "ä", "A", "\\%", "\\_", "\\\\", "x", "%%", "1", "\\"]) if r.random() < 0.95 else "😀" for _ in range(r.randint(0, 6)))


ATOMS = ["a", "b", "ä", "[abc]", "[^a]", "[a-c]", "[[:alpha:]]", "[[:digit:]]", "[[:space:]]", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", ".", "(a)", "(ab|a)", "(?:b|c)", "(a|ab)(c|bcd)?", "x", "1", r"\.", r"\m", r"\M", r"\y", "^", "$", "(?=a)", "(?!b)",
         r"(b)\1", "()", "[]a]", "[a-]", "A", "(a*)", "(a+)?b", r"\x61", r"\u00e4", "[\\d]", "[\\w-]", "foo", "bar", " ", "(?<=a)b", "{", "a|b", "|", "[[.a.]]", "[[=a=]]", "[^[:space:]]"]
QUANTIFIERS = ["", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,}", "{1,2}?", "{2}?", "{,2}"]


def regex(r):
    s = "".join(r.choice(ATOMS) + r.choice(QUANTIFIERS) for _ in range(r.randint(1, 4)))
    if r.random() < 0.15:
        s += r.choice(["(", ")", "[", "]", "\\", "**", "{3,1}", "{300}", "(?", "[z-a]", "[[:foo:]]", r"\9", r"\q", "+*"])
    return s


def subject(r):
    return "".join(r.choice(["a", "b", "c", "ab", "abc", "bcd", "ä", "1", "12", " ", "x", "foo", "bar", "A", "aa", ".", "\n", "-", "_"]) for _ in range(r.randint(0, 8)))


def flags(r):
    return "".join(r.choice("icxgnpwmsqtz") if r.random() < 0.9 else "" for _ in range(r.randint(0, 2)))


def json_of(r, depth=3):
    k = r.random()
    if depth == 0 or k < 0.5:
        return r.choice(["1", "0", "-1", "1.0", "1.50", "-0", "-0.0", "1e2", "1E-3", "0.1", "123456789012345678901234567890", "true", "false", "null", '"a"', '"b"', '""', '"ä"', '"\\u00e4\\n\\"\\\\\\/"', '"\\ud83d\\ude00"', '"1"', '"null"', '" x "'])
    n = r.randint(0, 3)
    if k < 0.75:
        return "[" + r.choice(["", " "]) + ",".join(json_of(r, depth - 1) for _ in range(n)) + "]"
    return "{" + r.choice([", ", ","]).join(f'"{r.choice(["a", "b", "c", "aa", "ä", "", "1", "0"])}"{r.choice([":", " : "])}{json_of(r, depth - 1)}' for _ in range(n)) + "}"


def bad_json(r):
    s = json_of(r)
    if r.random() < 0.6 and s:
        i = r.randrange(len(s))
        s = s[:i] + r.choice(["", "x", "{", "}", "[", "]", ",", ":", '"', "\\", "01", "1.", "-", "\\u0000", '"\\ud800"', "tru", "nul", "\x01", "+1", ".5", "'"]) + s[i + r.randint(0, 1):]
    return s


def path(r):
    return "{" + ",".join(r.choice(["a", "b", "c", "0", "1", "-1", "-9", "aa", "ä", "x", "5", "2"]) for _ in range(r.randint(0, 3))) + "}"


def array(r, element, deep=True):
    if r.random() < 0.1:
        return "{}"
    if deep and r.random() < 0.15:
        n = r.randint(1, 2)
        return "{" + ",".join("{" + ",".join(element(r) for _ in range(n)) + "}" for _ in range(r.randint(1, 3))) + "}"
    return "{" + ",".join(element(r) if r.random() < 0.9 else "NULL" for _ in range(r.randint(1, 5))) + "}"


def array_text(r, deep=True):
    return array(r, lambda r: r.choice(["a", "b", "c", '"a b"', '""', '"NULL"', "ä", '"x\\"y"', '"a,b"', "1"]), deep)


def array_int(r, deep=True):
    return array(r, lambda r: str(r.choice([0, 1, 2, 3, -1, 10, 100])), deep)


def bad_array(r):
    s = array_text(r)
    if r.random() < 0.7:
        i = r.randrange(len(s) + 1)
        s = s[:i] + r.choice(["", "{", "}", ",", '"', "\\", " ", "NULL", "x", "[1:2]=", "a\\,b"]) + s[i + r.randint(0, 1):]
    return r.choice(["", " "]) + s + r.choice(["", " ", ""])


def bytes_of(r):
    return "\\x" + "".join(f"{r.choice([0, 1, 10, 32, 65, 92, 127, 128, 195, 164, 255]):02x}" for _ in range(r.randint(0, 6)))


def uuid(r):
    return r.choice(["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "%032x" % r.getrandbits(128)])


def inet(r):
    return r.choice(["10.0.0.1", "10.0.0.0/8", "192.168.1.5/24", "::1", "2001:db8::/32", "0.0.0.0/0", "255.255.255.255", "10.0.0.1/32", "fe80::1/64", "::ffff:1.2.3.4"])


MAKERS = {"text": text, "int4": small, "like": like, "regex": regex, "subject": subject, "flags": flags, "jsonb": json_of, "json": json_of, "path": path, "text[]": array_text, "int4[]": array_int, "bytea": bytes_of, "uuid": uuid, "inet": inet,
          "bool": lambda r: r.choice(["t", "f"]), "start": lambda r: r.choice([1, 1, 2, 3, 5, 0, -1, 20]), "flat": lambda r: array_text(r, False), "flat4": lambda r: array_int(r, False), "key": lambda r: r.choice(["a", "b", "c", "aa", "ä", "", "1", "x"]),
          "index": lambda r: r.choice([0, 1, 2, -1, -2, 5]), "varchar": text, "bpchar": lambda r: text(r) + r.choice(["", "  "]), "sep": lambda r: r.choice([",", "", "a", "b", "  ", "ä", "ab"]), "times": lambda r: r.choice([0, 1, 2, 3, -1]),
          "encoding": lambda r: r.choice(["hex", "base64", "escape", "HEX", "x"]), "charset": lambda r: r.choice(["utf8", "UTF8", "latin1", "LATIN1"]), "format": lambda r: "".join(r.choice(["%s", "%I", "%L", "%%", "x", "ä", "%1$s", "%2$I", "%3$L", "%-5s", "%5s", "%*s", "%0$s", "%", "%z", "%4$s"]) for _ in range(r.randint(0, 4))),
          "chars": lambda r: r.choice(["a", " ", "ab", "äÄ", "", "x1"]), "replacement": lambda r: "".join(r.choice(["x", "\\1", "\\2", "\\&", "\\\\", "\\", "[", "ä"]) for _ in range(r.randint(0, 4))), "esc": lambda r: r.choice(["#", "\\", "", "a", "ab"]), "method": lambda r: r.choice(["sha1", "sha256", "md5", "sha512", "SHA224", "nope"]),
          "similar": lambda r: "".join(r.choice(["%", "_", "a", "b", "(a|b)", "[ab]", "*", "+", "?", "{2}", ".", "^", "$", "|", "#", '#"']) for _ in range(r.randint(0, 5))), "code": lambda r: r.choice([65, 228, 8364, 128512, 0, -1, 55296, 1114112, 2147483647])}
STORED = {"like": "text", "regex": "text", "subject": "text", "flags": "text", "path": "text[]", "start": "int4", "flat": "text[]", "flat4": "int4[]", "key": "text", "index": "int4", "sep": "text", "times": "int4", "encoding": "text", "charset": "name", "format": "text", "chars": "text", "replacement": "text", "esc": "text", "method": "text", "similar": "text", "code": "int4"}

# ---- expressions: (PostgreSQL's, ours, the arguments' makers, the answer's type); {0} an argument, {t0} its type's oid ----

F = []


def fn(name, ours, args, result, pg=None):
    F.append((pg or f"{name}({', '.join('{%d}' % i for i in range(len(args.split())))})", f"{ours}({', '.join('{%d}' % i for i in range(len(args.split())))})", args.split(), result))


def op(name, ours, left, right, result):
    F.append((f"{{0}} {name} {{1}}", f"{ours}({{0}}, {{1}})", [left, right], result))


def raw(pg, ours, args, result):
    F.append((pg, ours, args.split(), result))


for name, ours, args, result in [
    ("length", "pg_length", "text", "int4"), ("length", "pg_bpchar_length", "bpchar", "int4"), ("octet_length", "pg_octet_length", "text", "int4"), ("bit_length", "pg_bit_length", "text", "int4"), ("ascii", "pg_ascii", "text", "int4"),
    ("chr", "pg_chr", "code", "text"), ("to_hex", "pg_to_hex4", "int4", "text"), ("lower", "pg_lower", "text", "text"), ("upper", "pg_upper", "text", "text"), ("initcap", "pg_initcap", "text", "text"), ("substr", "pg_substr", "text int4", "text"),
    ("substr", "pg_substr", "text int4 int4", "text"), ("substring", "pg_bytea_substr", "bytea int4 int4", "bytea"), ("left", "pg_left", "text int4", "text"), ("right", "pg_right", "text int4", "text"), ("strpos", "pg_strpos", "text chars", "int4"),
    ("starts_with", "pg_starts_with", "text chars", "bool"), ("split_part", "pg_split_part", "text sep int4", "text"), ("overlay", "pg_overlay", "text text start", "text"), ("overlay", "pg_overlay", "text text start int4", "text"), ("lpad", "pg_lpad", "text int4", "text"),
    ("lpad", "pg_lpad", "text int4 chars", "text"), ("rpad", "pg_rpad", "text int4 chars", "text"), ("repeat", "pg_repeat", "text times", "text"), ("reverse", "pg_reverse", "text", "text"), ("btrim", "pg_btrim", "text", "text"), ("btrim", "pg_btrim", "text chars", "text"),
    ("ltrim", "pg_ltrim", "text chars", "text"), ("rtrim", "pg_rtrim", "text chars", "text"), ("replace", "pg_replace", "text chars text", "text"), ("translate", "pg_translate", "text chars text", "text"), ("quote_ident", "pg_quote_ident", "text", "text"),
    ("quote_literal", "pg_quote_literal", "text", "text"), ("quote_nullable", "pg_quote_nullable", "text", "text"), ("md5", "pg_md5", "text", "text"), ("sha256", "pg_sha256", "bytea", "bytea"), ("sha512", "pg_sha512", "bytea", "bytea"), ("sha224", "pg_sha224", "bytea", "bytea"),
    ("encode", "pg_encode", "bytea encoding", "text"), ("decode", "pg_decode", "text encoding", "bytea"), ("convert_to", "pg_convert_to", "text charset", "bytea"), ("convert_from", "pg_convert_from", "bytea charset", "text"), ("get_byte", "pg_get_byte", "bytea index", "int4"),
    ("set_byte", "pg_set_byte", "bytea index int4", "bytea"), ("like_escape", "pg_like_escape", "like esc", "text"), ("similar_to_escape", "pg_similar_to_escape", "similar esc", "text"), ("similar_to_escape", "pg_similar_to_escape", "similar", "text"),
    ("regexp_replace", "pg_regexp_replace", "subject regex replacement", "text"), ("regexp_replace", "pg_regexp_replace", "subject regex replacement flags", "text"), ("regexp_replace", "pg_regexp_replace_at", "subject regex replacement start times", "text"),
    ("regexp_match", "pg_regexp_match", "subject regex", "text[]"), ("regexp_match", "pg_regexp_match", "subject regex flags", "text[]"), ("regexp_like", "pg_regexp_like", "subject regex flags", "bool"), ("regexp_count", "pg_regexp_count", "subject regex start", "int4"),
    ("regexp_substr", "pg_regexp_substr", "subject regex start start", "text"), ("regexp_instr", "pg_regexp_instr", "subject regex start start", "int4"), ("regexp_split_to_array", "pg_regexp_split_to_array", "subject regex", "text[]"), ("substring", "pg_regex_substring", "subject regex", "text"),
    ("jsonb_typeof", "pg_json_typeof", "jsonb", "text"), ("json_typeof", "pg_json_typeof", "json", "text"), ("jsonb_array_length", "pg_json_array_length", "jsonb", "int4"), ("json_array_length", "pg_json_array_length", "json", "int4"),
    ("jsonb_set", "pg_jsonb_set", "jsonb path jsonb", "jsonb"), ("jsonb_set", "pg_jsonb_set", "jsonb path jsonb bool", "jsonb"), ("jsonb_insert", "pg_jsonb_insert", "jsonb path jsonb", "jsonb"), ("jsonb_insert", "pg_jsonb_insert", "jsonb path jsonb bool", "jsonb"),
    ("jsonb_strip_nulls", "pg_jsonb_strip_nulls", "jsonb", "jsonb"), ("json_strip_nulls", "pg_json_strip_nulls", "json", "json"), ("jsonb_pretty", "pg_jsonb_pretty", "jsonb", "text"), ("jsonb_object", "pg_jsonb_object", "text[]", "jsonb"), ("jsonb_object", "pg_jsonb_object", "text[] text[]", "jsonb"), ("json_object", "pg_json_object", "text[]", "json"),
    
    ("array_length", "pg_array_length", "text[] index", "int4"), ("array_upper", "pg_array_length", "text[] index", "int4"), ("array_lower", "pg_array_lower", "text[] index", "int4"), ("array_ndims", "pg_array_ndims", "text[]", "int4"), ("array_dims", "pg_array_dims", "text[]", "text"), ("cardinality", "pg_cardinality", "text[]", "int4"),
    ("trim_array", "pg_trim_array", "text[] index", "text[]"), ("string_to_array", "pg_string_to_array", "text sep", "text[]"), ("string_to_array", "pg_string_to_array", "text sep key", "text[]"), ("host", "pg_inet_host", "inet", "text"), ("family", "pg_inet_family", "inet", "int4"), ("masklen", "pg_inet_masklen", "inet", "int4"), ("text", "pg_inet_text", "inet", "text"),
]:
    fn(name, ours, args, result)
for name, ours, left, right, result in [
    ("~~", "pg_like", "text", "like", "bool"), ("!~~", "pg_nlike", "text", "like", "bool"), ("~~*", "pg_ilike", "text", "like", "bool"), ("~", "pg_regex_eq", "subject", "regex", "bool"), ("~*", "pg_regex_ieq", "subject", "regex", "bool"), ("!~", "pg_regex_ne", "subject", "regex", "bool"),
    ("->", "pg_jsonb_get", "jsonb", "key", "jsonb"), ("->>", "pg_jsonb_get_text", "jsonb", "key", "text"), ("->", "pg_jsonb_at", "jsonb", "index", "jsonb"), ("->>", "pg_jsonb_at_text", "jsonb", "index", "text"), ("#>", "pg_jsonb_path", "jsonb", "path", "jsonb"), ("#>>", "pg_jsonb_path_text", "jsonb", "path", "text"),
    ("->", "pg_json_get", "json", "key", "json"), ("->>", "pg_json_get_text", "json", "key", "text"), ("->", "pg_json_at", "json", "index", "json"), ("->>", "pg_json_at_text", "json", "index", "text"), ("#>", "pg_json_path", "json", "path", "json"), ("#>>", "pg_json_path_text", "json", "path", "text"),
    ("@>", "pg_jsonb_contains", "jsonb", "jsonb", "bool"), ("<@", "pg_jsonb_contained", "jsonb", "jsonb", "bool"), ("?", "pg_jsonb_exists", "jsonb", "key", "bool"), ("?|", "pg_jsonb_exists_any", "jsonb", "flat", "bool"), ("?&", "pg_jsonb_exists_all", "jsonb", "flat", "bool"), ("||", "pg_jsonb_concat", "jsonb", "jsonb", "jsonb"),
    ("-", "pg_jsonb_delete", "jsonb", "key", "jsonb"), ("-", "pg_jsonb_delete_keys", "jsonb", "flat", "jsonb"), ("-", "pg_jsonb_delete_at", "jsonb", "index", "jsonb"), ("#-", "pg_jsonb_delete_path", "jsonb", "path", "jsonb"), ("||", "pg_textcat", "text", "text", "text"), ("||", "pg_textcat", "bytea", "bytea", "bytea"),
    ("<<", "pg_inet_sub", "inet", "inet", "bool"), ("<<=", "pg_inet_subeq", "inet", "inet", "bool"), (">>", "pg_inet_sup", "inet", "inet", "bool"),
]:
    op(name, ours, left, right, result)
for t, c in [("text", ""), ("jsonb", " collate jsonb"), ("text[]", " collate array_text"), ("int4[]", " collate array_num"), ("uuid", ""), ("bytea", ""), ("inet", " collate inet"), ("bpchar", " collate RTRIM")]:
    for o in ("=", "<", ">="):
        raw(f"{{0}} {o} {{1}}", f"({{0}}{c} {o} {{1}})", f"{t} {t}", "bool")
for t in ("text[]", "int4[]"):
    e = t[:-2]
    for o, f in (("@>", "contains"), ("<@", "contained"), ("&&", "overlaps")):
        raw(f"{{0}} {o} {{1}}", f"pg_array_{f}({{t0}}, {{0}}, {{1}})", f"{t} {t}", "bool")
    raw("array_append({0}, {1})", "pg_array_append({t0}, {0}, {1})", f"{t} {e}", t)
    raw("array_prepend({0}, {1})", "pg_array_prepend({t0}, {0}, {1})", f"{e} {t}", t)
    raw("array_cat({0}, {1})", "pg_array_cat({t0}, {0}, {1})", f"{t} {t}", t)
    raw("array_remove({0}, {1})", "pg_array_remove({t0}, {0}, {1})", f"{t} {e}", t)
    raw("array_replace({0}, {1}, {2})", "pg_array_replace({t0}, {0}, {1}, {2})", f"{t} {e} {e}", t)
    raw("array_position({0}, {1})", "pg_array_position({t0}, {0}, {1})", f"{t} {e}", "int4")
    raw("array_positions({0}, {1})", "pg_array_positions({t0}, {0}, {1})", f"{t} {e}", "int4[]")
    raw("array_to_string({0}, {1})", "pg_array_to_string({t0}, {0}, {1})", f"{t} sep", "text")
    raw("array_to_string({0}, {1}, {2})", "pg_array_to_string({t0}, {0}, {1}, {2})", f"{t} sep key", "text")
    raw("to_jsonb({0})", "pg_to_jsonb({t0}, {0})", t, "jsonb")
    raw("array_to_json({0})", "pg_to_json({t0}, {0})", t, "json")
    raw("({0})[{1}]", f"pg_subscript({OIDS[e]}, {{0}}, {{1}})", f"{t} index", e)
    raw("({0})[{1}:{2}]", f"pg_slice({OIDS[e]}, {{0}}, {{1}}, {{2}})", f"{t} index index", t)
    raw("({0})[{1}:]", f"pg_slice({OIDS[e]}, {{0}}, {{1}}, null)", f"{t} index", t)
    raw("(select string_agg(coalesce(v::text, '-'), '|' order by o) from unnest({0}) with ordinality u(v, o))", "(select pg_string_agg_ordered('asc last', ordinality, coalesce(pg_out(%d, value), '-'), '|') from pg_unnest({t0}, {0}))" % OIDS[e], t, "text")
raw("array[{0}, {1}]", "pg_array(25, {0}, {1})", "text text", "text[]")
raw("array[{0}, {1}]", "pg_array2(23, {0}, {1})", "flat4 flat4", "int4[]")
raw("array_fill({0}, {1})", "pg_array_fill(23, {0}, {1})", "int4 flat4", "int4[]")
raw("concat({0}, {1}, {2}, {3})", "pg_concat({t0}, {0}, {t1}, {1}, {t2}, {2}, {t3}, {3})", "text int4 bool jsonb", "text")
raw("concat_ws({0}, {1}, {2}, {3})", "pg_concat_ws({t0}, {0}, {t1}, {1}, {t2}, {2}, {t3}, {3})", "sep text int4 flat4", "text")
raw("format({0}, {1}, {2}, {3})", "pg_format({t0}, {0}, {t1}, {1}, {t2}, {2}, {t3}, {3})", "format text int4 text", "text")
raw("jsonb_build_object({0}, {1}, {2}, {3})", "pg_jsonb_build_object({t0}, {0}, {t1}, {1}, {t2}, {2}, {t3}, {3})", "key text int4 jsonb", "jsonb")
raw("json_build_object({0}, {1}, {2}, {3})", "pg_json_build_object({t0}, {0}, {t1}, {1}, {t2}, {2}, {t3}, {3})", "key bool int4 json", "json")
raw("jsonb_build_array({0}, {1}, {2})", "pg_jsonb_build_array({t0}, {0}, {t1}, {1}, {t2}, {2})", "uuid bytea flat", "jsonb")
raw("json_build_array({0}, {1}, {2})", "pg_json_build_array({t0}, {0}, {t1}, {1}, {t2}, {2})", "inet bool text", "json")
raw("substring({0} similar {1} escape '#')", "pg_regex_substring({0}, pg_similar_to_escape({1}, '#'))", "subject similar", "text")
raw("{0} similar to {1}", "pg_regex_eq({0}, pg_similar_to_escape({1}))", "subject similar", "bool")
for t in ("bool", "int4", "numeric", "int8"):
    raw(f"({{0}})::{t}", f"pg_jsonb_bool({{0}})" if t == "bool" else f"pg_jsonb_number({OIDS[t]}, {{0}})", "jsonb", t)
raw("({0})::jsonb", "pg_json_jsonb({0})", "json", "jsonb")
for name, columns in (("each", "key, value"), ("each_text", "key, value")):
    raw(f"(select string_agg(key || '=' || coalesce(value::text, '-'), '|' order by o) from jsonb_{name}({{0}}) with ordinality u(key, value, o))", f"(select pg_string_agg_ordered('asc last', ordinality, key || '=' || coalesce(value, '-'), '|') from pg_jsonb_{name}({{0}}))", "jsonb", "text")
    raw(f"(select string_agg(key || '=' || coalesce(value::text, '-'), '|' order by o) from json_{name}({{0}}) with ordinality u(key, value, o))", f"(select pg_string_agg_ordered('asc last', ordinality, key || '=' || coalesce(value, '-'), '|') from pg_json_{name}({{0}}))", "json", "text")
for j in ("json", "jsonb"):
    raw(f"(select string_agg(v::text, '|' order by o) from {j}_array_elements({{0}}) with ordinality u(v, o))", f"(select pg_string_agg_ordered('asc last', ordinality, value, '|') from pg_{j}_array_elements({{0}}))", j, "text")
    raw(f"(select string_agg(coalesce(v, '-'), '|' order by o) from {j}_array_elements_text({{0}}) with ordinality u(v, o))", f"(select pg_string_agg_ordered('asc last', ordinality, coalesce(value, '-'), '|') from pg_{j}_array_elements_text({{0}}))", j, "text")
    raw(f"(select string_agg(v, '|' order by o) from {j}_object_keys({{0}}) with ordinality u(v, o))", f"(select pg_string_agg_ordered('asc last', ordinality, value, '|') from pg_{j}_object_keys({{0}}))", j, "text")
raw("(select string_agg(v::text, '|' order by o) from regexp_matches({0}, {1}, 'g') with ordinality u(v, o))", "(select pg_string_agg_ordered('asc last', ordinality, pg_out(1009, value), '|') from pg_regexp_matches({0}, {1}, 'g'))", "subject regex", "text")
raw("(select string_agg(v, '|' order by o) from regexp_split_to_table({0}, {1}) with ordinality u(v, o))", "(select pg_string_agg_ordered('asc last', ordinality, value, '|') from pg_regexp_split_to_table({0}, {1}))", "subject regex", "text")
for agg, ours, result in (("jsonb_agg(v order by v)", "pg_jsonb_agg_ordered('asc last', value, {t0e}, value)", "jsonb"), ("json_agg(v order by v desc)", "pg_json_agg_ordered('desc first', value, {t0e}, value)", "json"), ("array_agg(v order by v desc nulls last)", "pg_array_agg_ordered('desc last', value, value)", "text[]"),
                          ("string_agg(distinct v, ',')", "pg_string_agg_ordered('distinct;asc last,asc last', value, ',', value, ',')", "text"), ("jsonb_object_agg(coalesce(v, 'n'), v)", "pg_jsonb_object_agg(25, coalesce(value, 'n'), 25, value)", "jsonb")):
    raw(f"(select {agg} from unnest({{0}}) u(v))", f"(select {ours.replace('{t0e}', '25')} from pg_unnest({{t0}}, {{0}}))", "text[]", result)
for t, maker in (("jsonb", bad_json), ("json", bad_json), ("text[]", bad_array), ("int4[]", bad_array), ("bytea", lambda r: r.choice([bytes_of(r), text(r), "\\x0", "\\xzz", "\\001a", "\\\\"])), ("uuid", lambda r: r.choice([uuid(r), "{" + uuid(r) + "}", uuid(r)[:-1], uuid(r).replace("-", ""), "x", uuid(r)[:8] + uuid(r)[9:]])),
                 ("inet", lambda r: r.choice([inet(r), "10.0.0", "x", "10.0.0.1/33", "::1/129", ""]))):
    MAKERS["read " + t] = maker
    F.append((f"({{0}})::{t}", f"pg_in({OIDS[t]}, -1, {{0}})" if t != "inet" else "pg_inet_text(pg_in(869, -1, {0}))", ["read " + t], t if t != "inet" else "text"))
    STORED["read " + t] = "text"


WORDS = ["the", "cat", "cats", "running", "fox", "quick", "jumps", "is", "a", "databases", "PostgreSQL", "ran", "don't", "x", "Äpfel", "foo-bar", "well-known-fact", "12", "3.14", "abc123", "-5", "me@example.com", "example.com", "of", "<b>", "&amp;", "1e5", "foo_bar", "it's", "v1.2.3", "generously", "happy", "happiness"]
MAKERS["prose"] = lambda r: r.choice([" ", ", "]).join(r.choice(WORDS) for _ in range(r.randint(0, 7)))
MAKERS["regconfig"] = lambda r: r.choice(["english", "simple", "pg_catalog.english", "nope"])
MAKERS["tsvector"] = lambda r: " ".join(r.choice(["'a'", "b", "cat", "'x y'", "fox", "d"]) + r.choice(["", ":1", ":2A", ":3B,5", ":4,4C", ":1,2,3"]) for _ in range(r.randint(0, 5)))


def query(r, depth=2):
    k = r.random()
    if depth == 0 or k < 0.4:
        return r.choice(["cat", "fox", "a", "b", "'x y'", "the", "running", "d"]) + r.choice(["", "", "", ":*", ":A", ":*B", ":ab"])
    if k < 0.5:
        return "!" + query(r, depth - 1)
    if k < 0.6:
        return "(" + query(r, depth - 1) + ")"
    return query(r, depth - 1) + r.choice([" & ", " | ", " <-> ", " <2> ", "&"]) + query(r, depth - 1)


MAKERS["tsquery"] = query
MAKERS["web"] = lambda r: " ".join(r.choice(['"quick fox"', "cat", "-fox", "or", "the", "running", '"the cat"', "OR", "foo-bar", "databases", '-"a b"', '"open']) for _ in range(r.randint(0, 5)))
MAKERS["read tsvector"] = lambda r: MAKERS["tsvector"](r) + r.choice(["", "", ":", "'", ":0", "\\", ":1x"])
MAKERS["read tsquery"] = lambda r: query(r) + r.choice(["", "", "&", "(", "<", "<x>", "'", "!", "a b"])
STORED.update({"prose": "text", "web": "text", "read tsvector": "text", "read tsquery": "text", "regconfig": "regconfig", "weight": "char"})
OIDS["regconfig"] = 3734
for t in ("tsvector", "tsquery"):
    F.append((f"({{0}})::{t}", f"pg_in({OIDS[t]}, -1, {{0}})", ["read " + t], t))
for c in ("regconfig ", ""):
    p, cfg = ("{0}, {1}", "") if c else ("'pg_catalog.english', {0}", "'english', ")
    raw(f"to_tsvector({p})", "pg_to_tsvector_config({0}, {1})" if c else "pg_to_tsvector({0})", c + "prose", "tsvector")
    raw(f"to_tsquery({p})", "pg_to_tsquery({0}, {1})" if c else "pg_to_tsquery({0})", c + "tsquerytext", "tsquery")
    raw(f"plainto_tsquery({p})", "pg_plainto_tsquery({0}, {1})" if c else "pg_plainto_tsquery({0})", c + "prose", "tsquery")
    raw(f"phraseto_tsquery({p})", "pg_phraseto_tsquery({0}, {1})" if c else "pg_phraseto_tsquery({0})", c + "prose", "tsquery")
    raw(f"websearch_to_tsquery({p})", "pg_websearch_to_tsquery({0}, {1})" if c else "pg_websearch_to_tsquery({0})", c + "web", "tsquery")
MAKERS["tsquerytext"] = query
STORED["tsquerytext"] = "text"
op("@@", "pg_ts_match_vq", "tsvector", "tsquery", "bool")
op("||", "pg_tsvector_concat", "tsvector", "tsvector", "tsvector")
op("&&", "pg_tsquery_and", "tsquery", "tsquery", "tsquery")
op("||", "pg_tsquery_or", "tsquery", "tsquery", "tsquery")
op("<->", "pg_tsquery_phrase", "tsquery", "tsquery", "tsquery")
fn("numnode", "pg_numnode", "tsquery", "int4")
fn("strip", "pg_strip", "tsvector", "tsvector")
fn("length", "pg_tsvector_length", "tsvector", "int4")
raw("setweight({0}, 'B')", "pg_setweight({0}, 'B')", "tsvector", "tsvector")
fn("ts_rank", "pg_ts_rank", "tsvector tsquery", "float4")
raw("ts_rank({0}, {1}, 7)", "pg_ts_rank({0}, {1}, 7)", "tsvector tsquery", "float4")
raw("to_tsvector('english', {0}) @@ websearch_to_tsquery('english', {1})", "pg_ts_match_vq(pg_to_tsvector_config('english', {0}), pg_websearch_to_tsquery('english', {1}))", "prose web", "bool")
fn("hashtext", "pg_hashtext", "text", "int4")
fn("hashtextextended", "pg_hashtextextended", "text int4", "int8")
raw("similarity({0}, {1})", "pg_similarity({0}, {1})", "text text", "float4")
raw("digest({0}, {1})", "pg_digest({0}, {1})", "text method", "bytea")
raw("hmac({0}, {1}, {2})", "pg_hmac({0}, {1}, {2})", "text text method", "bytea")
raw("crypt({0}, '$1$abcdefgh')", "pg_crypt({0}, '$1$abcdefgh')", "text", "text")
raw("crypt({0}, '$2a$04$abcdefghijklmnopqrstuu')", "pg_crypt({0}, '$2a$04$abcdefghijklmnopqrstuu')", "text", "text")


def quoted(s):
    return "'" + s.replace("'", "''") + "'"


def case_of(r, row):
    pg, ours, args, result = row
    theirs, mine, named = [], [], {}
    for i, a in enumerate(args):
        t = STORED.get(a, a)
        named[f"t{i}"] = OIDS[t]
        if r.random() < 0.03 and "pg_slice" not in ours:
            theirs.append(f"null::{t}")
            mine.append("null")
            continue
        v = str(MAKERS[a](r)).replace("\0", "")
        theirs.append(quoted(v) + f"::{t}")
        mine.append(str(int(v)) if t == "int4" else quoted(v) if t in ("text", "varchar", "bpchar", "name") else f"pg_in({OIDS[t]}, -1, {quoted(v)})")
    return f"select ({pg.format(*theirs, **named)})::text", f"{OIDS[result]}\tselect {escaped(ours.format(*mine, **named))}"


def alike(s):
    for a, b in ALIKE:
        s = re.sub(a, b, s)
    return s


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--count", type=int, default=60)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--only", default="")
    p.add_argument("-v", action="store_true")
    o = p.parse_args()
    if not folder_of_programs():
        print("SKIP pg/texts: no PostgreSQL is installed (Debian: postgresql)")
        sys.exit(77)
    seed = o.seed or random.randrange(1 << 32)
    r = random.Random(seed)
    rows = [f for f in F if re.search(o.only, f[0] + " " + f[1])]
    cases = [case_of(r, f) for f in rows for _ in range(o.count)]
    print(f"{len(rows)} expressions, {len(cases)} cases, seed {seed}")
    with Cluster() as pg:
        pg.psql(TRY)
        pg.psql("create extension pgcrypto; create extension pg_trgm")
        lines = "".join(f"{i}\t{escaped(c[0])}\n" for i, c in enumerate(cases))
        pg.psql(f"truncate q;\n\\copy q from stdin\n{lines}\\.\n")
        theirs = [l.split("\t", 1)[1] for l in pg.psql("set statement_timeout = '5min';\n\\copy (select n, try(e) from q order by n) to stdout\n").split("\n")[:-1]]
    run = subprocess.run([o.program], input="".join(c[1] + "\n" for c in cases).encode(), capture_output=True)
    ours = run.stdout.decode(errors="replace").split("\n")[:-1]
    if run.returncode or len(ours) != len(cases):
        sys.exit(f"FAIL pg_ask ended with {run.returncode}: {run.stderr[:1000]}\nafter {cases[len(ours)][1]}")
    bad = differs = 0
    for case, a, b in zip(cases, theirs, ours, strict=True):
        if alike(a) == alike(b):
            continue
        if any(re.fullmatch(x, a) and re.fullmatch(y, b) and re.fullmatch(z, case[0], re.S) for x, y, z, _ in KNOWN):
            differs += 1
            continue
        bad += 1
        if bad <= (1000 if o.v else 40):
            print(f"FAIL {case[0]}\n     {case[1]}\n    PostgreSQL {a[:300]}\n    ours       {b[:300]}")
    print(f"{len(cases) - bad - differs} passed, {bad} failed, 0 skipped; {differs} known differences")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
