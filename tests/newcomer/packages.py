"""Does tools/packages.txt name all that is used here? What a package needs comes with it; what was installed for another reason does not.

The cheap form of tools/fresh.sh: it asks dpkg who owns the headers that were read and the programs that are run.
"""
import glob, os, re, shutil, subprocess

# Looked up before they are run; without them something is skipped by name.
OPTIONAL = {"wasmtime", "wasm-tools", "nginx", "node", "npm", "go", "cargo", "rustup", "addr2line", "groff", "taskset", "unshare", "qemu-aarch64", "bash", "git"}


def installed():
    """{package: (is always there, [[alternatives]…])}, and {name: packages that provide it}"""
    text = subprocess.run(["dpkg-query", "-W", "-f=${Package}\t${db:Status-Status}\t${Essential}\t${Priority}\t${Pre-Depends},${Depends}\t${Provides}\n"],
                          capture_output=True, text=True, check=True).stdout
    packages, provided = {}, {}
    names = lambda field: [[re.sub(r"[\s(:].*", "", a.strip()) for a in group.split("|")] for group in field.split(",") if group.strip()]
    for line in text.splitlines():
        name, status, essential, priority, depends, provides = line.split("\t")
        if status == "installed":
            always, needs = packages.get(name, (False, []))
            packages[name] = (always or essential == "yes" or priority == "required" or name == "apt", needs + names(depends))
            for group in names(provides):
                provided.setdefault(group[0], set()).add(name)
    return packages, provided


def closure(root, needs):
    """The packages that a minimal system has once those of tools/packages.txt for these needs are installed."""
    packages, provided = installed()
    with open(os.path.join(root, "tools", "packages.txt")) as f:
        rows = [l.split() for l in f if l.strip() and not l.startswith("#")]
    todo = [p for p, (always, _) in packages.items() if always] + [p.split(":")[0] for need, p in rows if need in needs]
    seen = set()
    while todo:
        p = todo.pop()
        if p in seen:
            continue
        seen.add(p)
        for group in packages.get(p, (0, []))[1]:
            todo += next(([a] for a in group if a in packages), None) or [q for a in group for q in sorted(provided.get(a, ()))[:1]]
    return seen


def owners(paths):
    """{path: packages}; dpkg knows some files by the name they had before /usr was merged."""
    also = {p: p for p in paths}
    also.update({p[len("/usr"):]: p for p in paths if p.startswith("/usr/")})
    also.update({"/usr" + p: p for p in paths if not p.startswith("/usr/")})
    found = {p: set() for p in paths}
    for some in [sorted(also)[i:i + 500] for i in range(0, len(also), 500)]:
        out = subprocess.run(["dpkg-query", "-S", *some], capture_output=True, text=True).stdout
        for line in out.splitlines():
            names, _, path = line.rpartition(": ")
            if path in also and not names.startswith("diversion"):
                found[also[path]] |= {re.sub(r":.*", "", n.strip()) for n in names.split(",")}
    return found


def headers(build):
    """Those outside of this repository that made what a build folder makes. What was not built since its source changed does not count."""
    ask = lambda *args: subprocess.run(["ninja", "-C", build, "-t", *args], capture_output=True, text=True).stdout.splitlines()
    made, found = {l.rpartition(": ")[0] for l in ask("targets", "all")}, set()
    out, files = "", []
    time_of = lambda name: os.stat(os.path.join(build, name)).st_mtime if os.path.exists(os.path.join(build, name)) else 0
    for line in [*ask("deps"), "end: "]:
        if line.startswith("    "):
            files.append(line.strip())
        elif line:
            own = [f for f in files if not f.startswith("/")]
            if out in made and own and all(time_of(f) <= time_of(out) for f in own):
                found |= {os.path.realpath(f) for f in files if f.startswith("/usr")}
            out, files = line.split(": ")[0], []
    return sorted(found)


def programs(root):
    names = {"meson", "ninja", "cc", "pkg-config", "awk", "sort", "comm", "dpkg-query", "apt-get", "env", "mktemp", "nproc", "dirname", "grep", "tail"}  # tools/dev.sh
    for path in glob.glob(os.path.join(root, "tests", "**", "*.py"), recursive=True) + glob.glob(os.path.join(root, "tools", "*.py")) + glob.glob(os.path.join(root, "src", "**", "*.py"), recursive=True):
        with open(path) as f:
            text = f.read()
        names |= set(re.findall(r"subprocess\.\w+\(\[\s*\"([\w.+-]+)\"", text)) | set(re.findall(r"which\(\"([\w.+-]+)\"", text))
    return sorted(n for n in names - OPTIONAL if not re.search(r"-\d+$", n))


def missing(root):
    """What is used and would not be there: ["/usr/include/x.h: of libx-dev"…]."""
    where = "/usr/sbin:/usr/bin:/sbin:/bin"
    wanted = [(closure(root, {"build", "test"}), {f: f for b in ("build", "build-test") for f in headers(os.path.join(root, b))}),
              (closure(root, {"build", "test", "arm64"}), {f: f for f in headers(os.path.join(root, "build-arm64"))}),
              (closure(root, {"build", "test"}), {os.path.realpath(p): n for n in programs(root) if (p := shutil.which(n, path=where))})]
    wrong = []
    for there, files in wanted:
        for path, names in owners(list(files)).items():
            if names and not names & there:
                wrong.append(f"{files[path]}: of {', '.join(sorted(names))}")
    return wrong
