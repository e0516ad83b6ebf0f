#!/usr/bin/env python3
"""What holds real projects back. Usage: check.py ORLO FOLDER [--strict] [--only NAME] [--all]

FOLDER holds projects, one a folder, each with a supabase/ of its own. Prints what `orlo db check` refuses of each, and the reasons sorted
by how many projects each holds back (1/n where a project has n). No project's text is kept here: who wants the table clones them."""
import argparse, collections, json, os, re, subprocess


def reason(p):
    """A refusal with names and literals taken out, so that those of a kind come together."""
    text = re.sub(r'"[^"]*"|\'[^\']*\'|`[^`]*`', "…", p["text"].split("\n")[0])
    text = re.sub(r"\b[a-z_]+\.[a-z_0-9]+\b", "a.b", text)
    return p["code"] + " " + re.sub(r"\d+", "N", text)[:110]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("orlo")
    a.add_argument("folder")
    a.add_argument("--engine", default="sqlite")
    a.add_argument("--only", default="")
    a.add_argument("--strict", action="store_true", help="what is only refused when it is called counts, too")
    a.add_argument("--all", action="store_true", help="each refusal with its place")
    o = a.parse_args()
    held, where, fine, names = collections.Counter(), {}, 0, sorted(os.listdir(o.folder))
    many = 0
    for name in names:
        if o.only not in name or not os.path.isdir(os.path.join(o.folder, name, "supabase", "migrations")):
            continue
        many += 1
        argv = [o.orlo, "db", "check", os.path.join(o.folder, name), "--json", "--engine", o.engine] + (["--strict"] if o.strict else [])
        p = subprocess.run(argv, capture_output=True, text=True)
        try:
            problems = json.loads(p.stdout)["problems"]
        except (ValueError, KeyError):
            problems = [{"kind": "error", "code": "XXXXX", "text": (p.stderr or p.stdout)[-200:], "file": "", "line": 0}]
        errors = [e for e in problems if e["kind"] == "error"]
        fine += not errors
        kinds = {}
        for e in errors:
            kinds.setdefault(reason(e), e)
            if o.all:
                print(f"{name}/{e['file']}:{e['line']}: {e['code']}: {e['text']}")
        for k, e in kinds.items():
            held[k] += 1 / len(kinds)
            where.setdefault(k, []).append(f"{name}/{e['file']}:{e['line']}")
        print(f"{'ok  ' if not errors else 'held'} {name}: {len(errors)} of {len(kinds)} kinds")
    for k, weight in held.most_common():
        print(f"{weight:6.2f} {len(where[k]):3} {k}   {where[k][0]}")
    print(f"{fine} of {many} projects deploy on {o.engine}")


if __name__ == "__main__":
    main()
