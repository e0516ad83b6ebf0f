#!/usr/bin/env python3
"""Makes calls2.wasm and calls3.wasm: guests that call every function of their world's HTTP, in whatever order a request says.

Usage: tests/guests/calls/make.py WASM-TOOLS. For each function of the interfaces below it writes a C function that takes its arguments from a
program's bytes (handles from pools of those that are alive, by type), calls, and puts the handles that come back into the pools;
calls2.c and calls3.c interpret programs with them. The numbers of the operations go to calls2.json and calls3.json, for who writes programs.
"""
import json, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
# world: (folder of its packages, interfaces whose functions become operations)
WORLDS = {
    "calls2": ("wasi-0.2", ["wasi:http/types", "wasi:http/outgoing-handler", "wasi:io/streams", "wasi:io/poll", "wasi:clocks/monotonic-clock"]),
    "calls3": ("wasi-0.3", ["wasi:http/types"]),
}
SIZE = {"bool": 1, "u8": 1, "s8": 1, "u16": 2, "s16": 2, "u32": 4, "s32": 4, "u64": 8, "s64": 8, "f32": 4, "f64": 8, "char": 4}
# Calls that would only end the guest's time.
LEFT_OUT = {"now", "resolution", "get-resolution", "subscribe-instant", "wait-until"}


class World:
    def __init__(self, wit, interfaces):
        self.j, self.out, self.ops, self.kinds = wit, [], [], []
        for i in wit["interfaces"]:
            package = wit["packages"][i["package"]]["name"]
            name, version = package.split("@")
            if f"{name}/{i['name']}" in interfaces:
                self.interface(f"{name}/{i['name']}@{version}", i)

    # ---- types, after the canonical ABI ----

    def kind(self, t):
        """('string',), ('own', R), ('list', T), … with aliases resolved."""
        while not isinstance(t, str):
            k = self.j["types"][t]["kind"]
            if k == "resource":
                return ("resource", self.j["types"][t]["name"])
            (what, arg), = k.items()
            if what == "type":
                t = arg
            elif what == "handle":
                (mode, r), = arg.items()
                return (mode, self.kind(r)[1])
            elif what == "variant":
                return ("variant", [c["type"] for c in arg["cases"]])
            elif what == "enum":
                return ("variant", [None] * len(arg["cases"]))
            elif what == "option":
                return ("variant", [None, arg])
            elif what == "result":
                return ("variant", [arg["ok"], arg["err"]])
            elif what == "record":
                return ("tuple", [f["type"] for f in arg["fields"]])
            elif what == "tuple":
                return ("tuple", arg["types"])
            elif what in ("list", "stream", "future"):
                return (what, arg)
            else:
                raise SystemExit(f"a type that is not known here: {k}")
        return (t,)

    def layout(self, t):
        """(size, alignment)"""
        k = self.kind(t) if t is not None else ("tuple", [])
        if k[0] in SIZE:
            return SIZE[k[0]], SIZE[k[0]]
        if k[0] in ("string", "list"):
            return 8, 4
        if k[0] == "tuple":
            at, most = 0, 1
            for f in k[1]:
                n, a = self.layout(f)
                at, most = (at + a - 1) // a * a + n, max(most, a)
            return (at + most - 1) // most * most, most
        if k[0] == "variant":
            payload, a = self.payload(k[1])
            n = payload + max(self.layout(c)[0] for c in k[1])
            return (n + a - 1) // a * a, a
        return 4, 4

    def payload(self, cases):
        tag = 1 if len(cases) <= 256 else 2
        a = max([tag] + [self.layout(c)[1] for c in cases])
        first = max(self.layout(c)[1] for c in cases)
        return (tag + first - 1) // first * first, a

    def flat(self, t):
        k = self.kind(t) if t is not None else ("tuple", [])
        if k[0] in ("u64", "s64"):
            return ["int64_t"]
        if k[0] in ("string", "list"):
            return ["int", "int"]
        if k[0] == "tuple":
            return [x for f in k[1] for x in self.flat(f)]
        if k[0] == "variant":
            joined = []
            for c in k[1]:
                for i, x in enumerate(self.flat(c)):
                    if i == len(joined):
                        joined.append(x)
                    elif joined[i] != x:
                        joined[i] = "int64_t"
            return ["int"] + joined
        return ["int"]

    # ---- C ----

    def pool(self, name):
        if name not in self.kinds:
            self.kinds.append(name)
        return "K_" + re.sub(r"\W", "_", name).upper()

    def end(self, k):
        """The pool of a stream's or future's readable end."""
        if k[0] == "stream":
            return self.pool("stream")
        payload = self.kind(k[1])[1][0]
        return self.pool("future-trailers" if payload is not None else "future-sent")

    def value(self, t, to):
        """Statements that put an argument into the variables `to`."""
        k = self.kind(t)
        if k[0] in ("own", "borrow"):
            return f"{to[0]} = take({self.pool(k[1])}, {int(k[0] == 'own')}); "
        if k[0] in ("stream", "future"):
            return f"{to[0]} = take({self.end(k)}, 1); "
        if k[0] == "string" or (k[0] == "list" and self.kind(k[1]) == ("u8",)):
            return f"{to[0]} = text(&{to[1]}); "
        if k[0] == "list":
            n, a = self.layout(k[1])
            return (f"{{ int n = byte() % 4; uint8_t *p = room({n} * n); for (int i = 0; i < n; i++) {{ {self.store(k[1], f'p + {n} * i')} }} "
                    f"{to[0]} = (int)p; {to[1]} = n; }} ")
        if k[0] == "tuple":
            code = ""
            for f in k[1]:
                n = len(self.flat(f))
                code += self.value(f, to[:n])
                to = to[n:]
            return code
        if k[0] == "variant":
            code = f"{to[0]} = tag({len(k[1])}); "
            for i, c in enumerate(k[1]):
                if c is not None:
                    code += f"if ({to[0]} == {i}) {{ {self.value(c, to[1:])}}} "
            return code
        return f"{to[0]} = number(); "

    def store(self, t, at):
        k = self.kind(t)
        if k[0] == "tuple":
            code, offset = "", 0
            for f in k[1]:
                n, a = self.layout(f)
                offset = (offset + a - 1) // a * a
                code += self.store(f, f"{at} + {offset}")
                offset += n
            return code
        flat = self.flat(t)
        names = [f"v{i}" for i in range(len(flat))]
        return "{ " + "".join(f"{c} {n} = 0; " for c, n in zip(flat, names)) + self.value(t, names) + "".join(
            f"*({c} *)({at} + {4 * i}) = {n}; " for i, (c, n) in enumerate(zip(flat, names))) + "} "

    def keep(self, t, offset):
        """Statements that pool the handles in a result at ret + offset."""
        if t is None:
            return ""
        k = self.kind(t)
        if k[0] == "own":
            return f"give({self.pool(k[1])}, *(int *)(ret + {offset})); "
        if k[0] in ("stream", "future"):
            return f"give({self.end(k)}, *(int *)(ret + {offset})); "
        if k[0] == "tuple":
            code, at = "", 0
            for f in k[1]:
                n, a = self.layout(f)
                at = (at + a - 1) // a * a
                code += self.keep(f, offset + at)
                at += n
            return code
        if k[0] == "variant":
            at = self.payload(k[1])[0]
            code = ""
            for i, c in enumerate(k[1]):
                if inner := self.keep(c, offset + at):
                    code += f"if (ret[{offset}] == {i}) {{ {inner}}} "
            return code
        return ""

    def interface(self, module, i):
        for name, f in i["functions"].items():
            if name in LEFT_OUT:
                continue
            params = [x for p in f["params"] for x in self.flat(p["type"])]
            results = self.flat(f["result"]) if f.get("result") is not None else []
            self.emit(module, name, params, results, "".join(
                self.value(p["type"], [f"a{k}" for k in range(at, at + len(self.flat(p["type"])))])
                for p, at in zip(f["params"], self.starts(f["params"]))), f.get("result"))
        for t in i["types"].values():
            if self.j["types"][t]["kind"] == "resource":
                r = self.j["types"][t]["name"]
                self.emit(module, f"[resource-drop]{r}", ["int"], [], f"a0 = take({self.pool(r)}, 1); ", None)

    def starts(self, params):
        at = 0
        for p in params:
            yield at
            at += len(self.flat(p["type"]))

    def emit(self, module, name, params, results, fill, result):
        ident = re.sub(r"\[(method|static)\]", "", name)
        ident = re.sub(r"\[constructor\](.*)", r"\1_new", re.sub(r"\[resource-drop\](.*)", r"\1_drop", ident))
        if not name.startswith("["):
            ident = module.split("/")[1].split("@")[0] + "_" + ident
        ident = re.sub(r"\W", "_", ident)
        direct = len(results) <= 1
        takes = params + ([] if direct else ["void *"])
        assert len(params) <= 16, name
        self.out.append(f'IMPORT("{module}", "{name}") {results[0] if results and direct else "void"} {ident}({", ".join(takes) or "void"});')
        call = f"{ident}({', '.join([f'a{k}' for k in range(len(params))] + ([] if direct else ['ret']))})"
        keep = ""
        if results and direct:
            k = self.kind(result)
            if k[0] in ("own", "stream", "future"):
                call = f"*(int *)ret = {call}"
                keep = self.keep(result, 0)
            else:
                call = f"(void){call}"
        elif results:
            keep = self.keep(result, 0)
        self.out.append(f"static void op_{len(self.ops)}(void) {{ " + "".join(f"{c} a{k} = 0; " for k, c in enumerate(params)) + fill +
                        f"if (skip) return; {call}; {keep}}}")
        self.ops.append(name if name.startswith("[") else module.split("/")[1].split("@")[0] + "." + name)

    def header(self):
        return ("enum { " + ", ".join(self.pool(k) for k in self.kinds) + ", KINDS };\n" + "\n".join(self.out) +
                "\nstatic void (*const ops[])(void) = {" + ", ".join(f"op_{k}" for k in range(len(self.ops))) + "};\n")


def main():
    tools = sys.argv[1]
    for name, (folder, interfaces) in WORLDS.items():
        work = tempfile.mkdtemp()
        shutil.copytree(os.path.join(ROOT, "wit", folder, "deps"), os.path.join(work, "wit", "deps"))
        shutil.copy(os.path.join(HERE, name + ".wit"), os.path.join(work, "wit"))
        wit = json.loads(subprocess.run([tools, "component", "wit", "--json", os.path.join(work, "wit")], capture_output=True, check=True).stdout)
        world = World(wit, interfaces)
        if name == "calls3":
            for kind in ("stream-out", "future-trailers-out", "future-sent-out", "set", "subtask"):
                world.pool(kind)
        with open(os.path.join(work, "ops.h"), "w") as f:
            f.write(world.header())
        core, embedded = os.path.join(work, "core.wasm"), os.path.join(work, "embedded.wasm")
        subprocess.run(["clang", "--target=wasm32", "-O2", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", "-I", work, "-I", HERE, "-o", core,
                        os.path.join(HERE, name + ".c")], check=True)
        subprocess.run([tools, "component", "embed", os.path.join(work, "wit"), "-w", name, core, "-o", embedded], check=True)
        subprocess.run([tools, "component", "new", embedded, "-o", os.path.join(HERE, name + ".wasm")], check=True)
        with open(os.path.join(HERE, name + ".c")) as f:
            more = re.findall(r"^ *OP\(\"(.*?)\"", f.read(), re.M)
        with open(os.path.join(HERE, name + ".json"), "w") as f:
            json.dump(world.ops + more, f, indent=0)
        shutil.rmtree(work)


main()
