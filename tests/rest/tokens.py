"""Who asks, and of which server, where a case of PostgREST's specification does not say it: its tokens are made as it runs, and what its server was set up
with is not always among what was taken over. By the specification's file and line."""
import base64, hashlib, hmac, json, time

SECRET = "reallyreallyreallyreallyverysafe"
AUTHOR = {"role": "postgrest_test_author"}
JDOE = {**AUTHOR, "id": "jdoe"}
LASTING = {**JDOE, "exp": 9999999999}
NOT_BASE64 = "ey9zdGdyZXN0X3Rlc3RfYXV0aG9yIiwiaWQiOiJqZG9lIn0.y4vZuu1dDdwAl0"  # two parts


def for_(*audience):
    return {**LASTING, "aud": list(audience)}


# {file: {line: claims, or a token as it is, or a function that gives either}}
TOKENS = {
    "AuthSpec": {
        29: AUTHOR, 45: AUTHOR, 73: JDOE, 142: JDOE, 236: JDOE, 238: JDOE, 84: LASTING, 96: "", 119: NOT_BASE64, 130: {}, 135: {"id": "jdoe"},
        68: {**AUTHOR, "iss": "joe", "sub": "fun", "exp": 9999999999, "nbf": 1300819380, "iat": 1300819380, "jti": "foo", "http://postgrest.com/foo": True},
        78: {**JDOE, "a": 1, "b": 2, "c": 3, "key1": "value1"},
        91: lambda: {**AUTHOR, "iat": int(time.time())},
        108: {**JDOE, "exp": 1446678149},
        152: {**AUTHOR, "exp": "invalid"}, 164: {**AUTHOR, "nbf": "invalid"}, 176: {**AUTHOR, "iat": "invalid"},
        188: {**AUTHOR, "aud": {"invalid": "value"}}, 200: {**AUTHOR, "aud": [{"invalid": "value"}, "test"]},
        209: {"id": 1}, 218: {"id": 2}, 227: {"id": 3},
    },
    "AudienceJwtSecretSpec": {
        32: {**LASTING, "aud": "youraudience"}, 44: {**LASTING, "aud": "notyouraudience"}, 58: {**LASTING, "aud": ""}, 73: for_("youraudience"),
        85: for_("notyouraudience", "youraudience", "anotheraudience"), 97: for_("notyouraudience"), 112: for_("notyouraudience", "stillnotyouraudience"),
        126: for_(), 138: {**LASTING, "aud": None}, 150: LASTING, 169: {**LASTING, "aud": "youraudience"}, 181: {**LASTING, "aud": ""},
        194: for_("youraudience"), 206: for_("notyouraudience", "youraudience"), 218: for_(), 230: {**LASTING, "aud": None}, 242: LASTING,
    },
    "BinaryJwtSecretSpec": {23: LASTING},
    "JwtCacheSpec": {59: AUTHOR, 60: AUTHOR},
    "NoAnonSpec": {18: AUTHOR},
    "ErrorSpec": {
        53: NOT_BASE64, 123: {"role": "not existing"}, 180: {"aud": "not set"},
        110: lambda: token({}, "wrong secret"),
        138: lambda: {"exp": int(time.time()) - 35}, 152: lambda: {"nbf": int(time.time()) + 600}, 166: lambda: {"iat": int(time.time()) + 600},  # as long as it takes
        193: "eyJhbGciOiJIUzI1NiJ9.e30", 205: "neither.json.orbase64",
        217: lambda: encoded({"alg": "none"}) + "." + encoded({}) + "." + encoded({}),
    },
    "InsertSpec": {681: JDOE, 688: {**AUTHOR, "id": "jroe"}},
    "RpcSpec": {923: AUTHOR, 1450: {"role": "postgrest_test_superuser", "id": "jdoe"}},
}

# {file: {line: what of request_of's line is otherwise}}
SERVERS = {
    "HttpHeaderSpec": {18: {"before": "test.custom_vary_hdr"}},
    "ErrorSpec": {180: {"audience": "spec tests"}, 231: {"terse": True}},
}


COMMIT, WHOLE = ["Prefer", "tx=commit"], ["Prefer", "return=representation"]
NONE_LEFT = [("DELETE", "/items?id=lte.0", "")]
UNICODE = "/%D9%85%D9%88%D8%A7%D8%B1%D8%AF"

# {file: {line: what the specification's own steps had committed before, and what is committed behind it}}
AROUND = {
    "RollbackSpec": {
        118: ([("POST", "/items", '{"id":0}')], NONE_LEFT), 131: ([("PUT", "/items?id=eq.0", '{"id":0}')], NONE_LEFT),
        138: ([("POST", "/items", '{"id":0}')], NONE_LEFT), 147: ([("POST", "/items", '{"id":-1}')], NONE_LEFT),
        154: ([("POST", "/items", '{"id":0}')], NONE_LEFT), 111: ([], NONE_LEFT), 124: ([], NONE_LEFT),
    },
    "UnicodeSpec": {28: ([("DELETE", UNICODE, ""), ("POST", UNICODE, '{"هویت": 1}')], [("DELETE", UNICODE, "")])},
}
# {file: {line: fields}} of those that are functions' parameters there
FIELDS = {
    "RollbackSpec": {
        **{line: [WHOLE, COMMIT] for line in (111, 124, 138, 154)}, **{line: [WHOLE, ["Prefer", "tx=rollback"]] for line in (166, 178, 190, 204)},
    }
}


def encoded(part):
    raw = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token(claims, secret=SECRET):
    what = encoded({"alg": "HS256", "typ": "JWT"}) + "." + encoded(claims)
    return what + "." + encoded(hmac.new(secret.encode(), what.encode(), hashlib.sha256).digest())


def place(case):
    return case["file"].split("/")[-1].removesuffix(".hs"), case["line"]


def fields_of(case):
    """Its fields, with the token that the specification would have made."""
    file, line = place(case)
    if line in FIELDS.get(file, {}):
        return FIELDS[file][line]
    made = TOKENS.get(file, {}).get(line)
    made = made() if callable(made) else made
    if made is None:
        return case["headers"]
    made = made if isinstance(made, str) else token(made)
    return [[n, v.split(" ")[0] + " " + made if n.lower() == "authorization" else v] for n, v in case["headers"]]


def server_of(case):
    file, line = place(case)
    return SERVERS.get(file, {}).get(line, {})


def around(case):
    """Requests before it and behind it, as cases without an expectation."""
    file, line = place(case)
    made = AROUND.get(file, {}).get(line, ([], []))
    return [[{"file": "", "line": 0, "config": case.get("config"), "method": m, "url": u, "body": b, "headers": [COMMIT]} for m, u, b in part] for part in made]
