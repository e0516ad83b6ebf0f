"""PostgreSQL's text as statements, each with the line on which it begins: quotes, dollar quotes, comments and psql's own lines are seen."""
import re

TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|[eE]'(?:\\.|[^'\\]|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|;", re.S)


def statements(text):
    """[(line, text)]"""
    out, begin, at = [], 0, 0
    text = re.sub(r"^\\[^\n]*", lambda m: " " * len(m[0]), text, flags=re.M)
    while True:
        m = TOKEN.search(text, at)
        if not m:
            break
        at = m.end()
        if m[0] == ";":
            out.append((begin, text[begin:at]))
            begin = at
    if text[begin:].strip():
        out.append((begin, text[begin:]))
    found = []
    for begin, s in out:
        lead = len(s) - len(s.lstrip())
        while True:  # comments before it are none of it
            m = re.match(r"\s*(--[^\n]*\n|/\*.*?\*/)", s[lead:], re.S)
            if not m:
                break
            lead += m.end()
        lead += len(s[lead:]) - len(s[lead:].lstrip())
        if s[lead:].strip(" \n;"):
            found.append((text.count("\n", 0, begin + lead) + 1, s[lead:]))
    return found
