"""What Wasmtime makes of a module, in the lines orlo-diff writes."""
import ctypes, hashlib, struct, threading, time

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import TrapCode

SECONDS_MAX = 10
TABLE_SHOWN_MAX = 64
TRAPS = {
    TrapCode.STACK_OVERFLOW: "call stack exhausted",
    TrapCode.MEMORY_OUT_OF_BOUNDS: "out of bounds memory access",
    TrapCode.TABLE_OUT_OF_BOUNDS: "out of bounds table access",
    TrapCode.INDIRECT_CALL_TO_NULL: "uninitialized element",
    TrapCode.BAD_SIGNATURE: "indirect call type mismatch",
    TrapCode.INTEGER_OVERFLOW: "integer overflow",
    TrapCode.INTEGER_DIVISION_BY_ZERO: "integer divide by zero",
    TrapCode.BAD_CONVERSION_TO_INTEGER: "invalid conversion to integer",
    TrapCode.UNREACHABLE: "unreachable",
    TrapCode.INTERRUPT: "time",
    TrapCode.NULL_REFERENCE: "null reference",
    TrapCode.ARRAY_OUT_OF_BOUNDS: "out of bounds array access",
    TrapCode.CAST_FAILURE: "cast failure",
    TrapCode.ALLOCATION_TOO_LARGE: "the instance's memory limit is reached",
    TrapCode.UNCAUGHT_EXCEPTION: "uncaught exception",
}
BY_MESSAGE = {"python exception": "a host call failed", "thrown Wasm exception": "uncaught exception"}
# Our texts for what Wasmtime does not tell apart.
SAME_TRAP = {"undefined element": "out of bounds table access"} | {
    f"null {what} reference": "null reference" for what in ("function", "structure", "array", "i31", "exception")}

KINDS = {"i32": ffi.WASMTIME_I32.value, "i64": ffi.WASMTIME_I64.value, "f32": ffi.WASMTIME_F32.value, "f64": ffi.WASMTIME_F64.value,
         "v128": ffi.WASMTIME_V128.value}
BY_KIND = {v: k for k, v in KINDS.items()}
REFERENCES = {"funcref": ffi.WASMTIME_FUNCREF.value, "externref": ffi.WASMTIME_EXTERNREF.value, "nullexternref": ffi.WASMTIME_EXTERNREF.value, "anyref": 7,
              "exnref": 8}  # wasmtime/val.h


def value_text(kind, of):
    """of: a union of which only bits are read, so that no NaN changes on its way."""
    name = BY_KIND.get(kind)
    if name in ("i32", "f32"):
        bits = of.i32 & 0xffffffff
        return "f32:nan" if name == "f32" and bits & 0x7fffffff > 0x7f800000 else f"{name}:{bits:08x}"
    if name in ("i64", "f64"):
        bits = of.i64 & (1 << 64) - 1
        return "f64:nan" if name == "f64" and bits & ~(1 << 63) > 0x7ff << 52 else f"{name}:{bits:016x}"
    if name == "v128":
        return "v128:" + bytes(of.v128)[::-1].hex()
    return "ref:" + ("x" if (of.funcref.store_id if kind == ffi.WASMTIME_FUNCREF.value else of.externref.store_id) else "-")  # all alike


class Reader:
    def __init__(self, p):
        self.p, self.at = p, 0

    def byte(self):
        self.at += 1
        return self.p[self.at - 1]

    def u(self):
        v = shift = 0
        while True:
            b = self.byte()
            v |= (b & 0x7f) << shift
            shift += 7
            if not b & 0x80:
                return v

    def bytes(self):
        n = self.u()
        self.at += n
        return self.p[self.at - n:self.at]

    def heap(self):
        """A heap type: a name, or the number of a type."""
        b = self.p[self.at]
        if b & 0xc0 == 0x40:  # one byte, negative: abstract
            self.at += 1
            return HEAPS.get(b, "any")
        return self.u()

    def type(self):
        b = self.byte()
        if b in (0x63, 0x64):  # (ref null? heap type)
            return ("ref null " if b == 0x63 else "ref ") + str(self.heap())
        return TYPES.get(b, "i32")

    def limits(self):
        if self.byte() & 1:
            self.u()
        self.u()

    def external(self):
        """What is behind the names of an import: (kind, type number of a function)."""
        kind = self.byte()
        if kind == 0:
            return kind, self.u()
        if kind in (1, 3):
            self.type()
        if kind in (1, 2):
            self.limits()
        elif kind == 3:
            self.byte()
        elif kind == 4:
            self.byte(), self.u()
        return kind, None

    def composite(self):
        """(parameters, results) of a function type; the kind of another."""
        form = self.byte()
        if form in (0x4f, 0x50):
            [self.u() for _ in range(self.u())]
            form = self.byte()
        if form == 0x60:
            return [self.type() for _ in range(self.u())], [self.type() for _ in range(self.u())]
        for _ in range(self.u() if form == 0x5f else 1):
            self.type(), self.byte()
        return "struct" if form == 0x5f else "array"

    def types(self):
        out = []
        for _ in range(self.u()):
            n = 1
            if self.p[self.at] == 0x4e:  # a recursion group
                self.at += 1
                n = self.u()
            out += [self.composite() for _ in range(n)]
        return out


def top(t, types):
    """The top of the hierarchy that a reference type belongs to: func, extern, any, exn."""
    last = t.split()[-1]
    if last.isdigit():
        return "func" if isinstance(types[int(last)], tuple) else "any"
    name = last.removesuffix("ref")
    return {"func": "func", "nofunc": "func", "nullfunc": "func", "extern": "extern", "noextern": "extern", "nullextern": "extern", "exn": "exn",
            "noexn": "exn", "nullexn": "exn"}.get(name, "any")


TYPES = {0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref", 0x6e: "anyref", 0x6d: "eqref",
         0x6c: "i31ref", 0x6b: "structref", 0x6a: "arrayref", 0x69: "exnref", 0x71: "nullref", 0x72: "nullexternref", 0x73: "nullfuncref",
         0x74: "nullexnref"}
HEAPS = {b: t[:-3] for b, t in TYPES.items() if b < 0x75}


def exports_of(wasm):
    """[(name, kind, [parameters], [results])] of a module, and the types of imported functions. Types are their names: numbers, or
    the tops of references' hierarchies ("anyref"; "nullexternref" where only null will do), with "!" where null is none of them."""
    types, funcs, out, imports = [], [], [], []

    def simple(t):
        if t in KINDS:
            return t
        if t in ("nullexternref", "ref null noextern"):
            return "nullexternref"
        return top(t, types) + "ref" + ("!" if t.startswith("ref ") and not t.startswith("ref null") else "")

    def simple_all(t):
        return [[simple(x) for x in part] for part in t]
    module = Reader(wasm)
    module.at = 8
    while module.at < len(wasm):
        number, r = module.byte(), Reader(module.bytes())
        if number == 1:
            types = r.types()
        elif number == 2:
            for _ in range(r.u()):
                r.bytes(), r.bytes()
                kind, t = r.external()
                if kind == 0:
                    funcs.append(t)
            imports = [simple_all(types[t]) for t in funcs]
        elif number == 3:
            funcs += [r.u() for _ in range(r.u())]
        elif number == 7:
            for _ in range(r.u()):
                name, kind, index = r.bytes().decode(errors="replace"), r.byte(), r.u()
                params, results = simple_all(types[funcs[index]]) if kind == 0 else ([], [])
                out.append((name, ["func", "table", "memory", "global", "tag"][kind], params, results))
    return out, imports


def import_names(wasm):
    r = Reader(wasm)
    r.at = 8
    while r.at < len(wasm):
        number, s = r.byte(), Reader(r.bytes())
        if number != 2:
            continue
        names = []
        for _ in range(s.u()):
            s.bytes()
            names.append(s.bytes().decode())
            s.external()
        return names
    return []


def bits_of(t, v):
    if v != v:
        return 0x7fc00000 if t == "f32" else 0x7ff8 << 48
    if t in ("f32", "f64"):
        return int.from_bytes(struct.pack("<f" if t == "f32" else "<d", v), "little")
    return v & (1 << (32 if t == "i32" else 64)) - 1


def host_function(number, params, results):
    """As host_hash in orlo-diff.c."""
    def run(*args):
        h = 0xcbf29ce484222325 ^ number
        for t, v in zip(params, args):
            h = (h ^ bits_of(t, v)) * 0x100000001b3 & MASK
        if h >> 32 & 0x3f == 5:
            raise RuntimeError("the host fails")
        out = []
        for k, t in enumerate(results):
            x = h * (2 * k + 1) & MASK
            x ^= x >> 29
            out.append({"i32": lambda: (x & 0xffffffff ^ 1 << 31) - (1 << 31), "i64": lambda: (x ^ 1 << 63) - (1 << 63),
                        "f32": lambda: float(x & 0xffff) - 32768, "f64": lambda: float(x & 0xffffffff) - 2147483648}[t]())
        return out[0] if len(out) == 1 else out or None
    return run


MASK = (1 << 64) - 1


class Reference:
    def __init__(self):
        config = wasmtime.Config()
        config.parallel_compilation = False
        config.cranelift_opt_level = "none"
        config.epoch_interruption = True
        config.max_wasm_stack = 3 << 19
        for feature in ("memory64", "multi_memory", "tail_call", "function_references", "gc", "exceptions", "relaxed_simd"):
            setattr(config, "wasm_" + feature, True)
        config.wasm_relaxed_simd_deterministic = True
        self.engine = wasmtime.Engine(config)
        threading.Thread(target=self.tick, daemon=True).start()

    def tick(self):
        while True:
            time.sleep(1)
            self.engine.increment_epoch()

    def module(self, wasm):
        return wasmtime.Module(self.engine, wasm)

    def run(self, module, calls, exports, imports, outer=None):
        """calls: [(export index, [slots])]. outer: (module, its bytes, the bytes of this) when it imports all of that. Lines without
        the last "end"."""
        store = wasmtime.Store(self.engine)
        store.set_epoch_deadline(SECONDS_MAX)
        instance, out, types = ffi.wasmtime_instance_t(), [], {t: getattr(wasmtime.ValType, t)() for t in ("i32", "i64", "f32", "f64")}
        if outer:
            given = self.provide(store, *outer)
            if isinstance(given, str):
                return [f"start trap {given}"]
            imports = given
        else:
            given = self.host(store, imports, types)
        text = trap_of(lambda trap: ffi.wasmtime_instance_new(store._context(), module.ptr(), given, len(imports), ctypes.byref(instance), trap))
        if text:
            return [text if text.startswith("error") else f"start trap {text}"]
        externs = []
        for i in range(len(exports)):
            item, name, n = ffi.wasmtime_extern_t(), ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
            ok = ffi.wasmtime_instance_export_nth(store._context(), ctypes.byref(instance), i, ctypes.byref(name), ctypes.byref(n), ctypes.byref(item))
            assert ok
            externs.append(item)
        for index, slots in calls:
            out.append(self.call(store, externs[index].of.func, exports[index], index, slots))
            if out[-1].endswith("trap time"):
                return ["time"]
        for i, (_, kind, _, _) in enumerate(exports):
            out += self.state(store, externs[i].of, i, kind)
        return out

    @staticmethod
    def host(store, imports, types):
        given = (ffi.wasmtime_extern_t * len(imports))()
        for i, (params, results) in enumerate(imports):
            ty = wasmtime.FuncType([types[t] for t in params], [types[t] for t in results])
            given[i] = wasmtime.Func(store, ty, host_function(i, params, results))._as_extern()
        return given

    @staticmethod
    def provide(store, module, wasm, importer):
        """What the importer wants, from an instance of module; a text if its start traps."""
        instance = ffi.wasmtime_instance_t()
        text = trap_of(lambda trap: ffi.wasmtime_instance_new(store._context(), module.ptr(), None, 0, ctypes.byref(instance), trap))
        if text:
            return text
        names = import_names(importer)
        given = (ffi.wasmtime_extern_t * len(names))()
        for i, name in enumerate(names):
            bytes_ = name.encode()
            assert ffi.wasmtime_instance_export_get(store._context(), ctypes.byref(instance), ctypes.create_string_buffer(bytes_), len(bytes_),
                                                    ctypes.byref(given[i]))
        return given

    @staticmethod
    def call(store, func, export, index, slots):
        params, results = export[2], export[3]
        args, got, at = (ffi.wasmtime_val_t * len(params))(), (ffi.wasmtime_val_t * len(results))(), 0
        for i, t in enumerate(params):
            slot = slots[at]
            at += 2 if t == "v128" else 1
            if t in ("i32", "f32"):
                args[i].kind, args[i].of.i32 = KINDS[t], ctypes.c_int32(slot & 0xffffffff).value
            elif t in ("i64", "f64"):
                args[i].kind, args[i].of.i64 = KINDS[t], ctypes.c_int64(slot).value
            elif t == "v128":
                args[i].kind = KINDS[t]
                ctypes.memmove(ctypes.byref(args[i].of), slot.to_bytes(8, "little") + slots[at - 1].to_bytes(8, "little"), 16)
            elif t == "externref":
                args[i] = wasmtime.Val.externref(slot or None)._new_raw(store)
            else:  # null
                args[i].kind = REFERENCES[t]
        head = " ".join([f"call {index}", *(f"{s:x}" for s in slots)])
        text = trap_of(lambda trap: ffi.wasmtime_func_call(store._context(), ctypes.byref(func), args, len(params), got, len(results), trap))
        if text == "uncaught exception":  # stays with the store until somebody takes it
            exception = ffi.wasmtime_exnref_t()
            ffi.wasmtime_context_take_exception(store._context(), ctypes.byref(exception))
            ffi.wasmtime_exnref_unroot(ctypes.byref(exception))
        return f"{head} trap {text}" if text else " ".join([head + " ->", *(value_text(v.kind, v.of) for v in got)])

    @staticmethod
    def state(store, of, i, kind):
        context = store._context()
        if kind == "global":
            v = ffi.wasmtime_val_t()
            ffi.wasmtime_global_get(context, ctypes.byref(of.global_), ctypes.byref(v))
            return [f"global {i} {value_text(v.kind, v.of)}"]
        if kind == "memory":
            n = ffi.wasmtime_memory_data_size(context, ctypes.byref(of.memory))
            data = ctypes.string_at(ffi.wasmtime_memory_data(context, ctypes.byref(of.memory)), n) if n else b""
            return [f"memory {i} {n} {hashlib.sha256(data).hexdigest()[:16]}"]
        if kind == "table":
            n = ffi.wasmtime_table_size(context, ctypes.byref(of.table))
            shown = ""
            for k in range(min(n, TABLE_SHOWN_MAX)):
                v = ffi.wasmtime_val_t()
                assert ffi.wasmtime_table_get(context, ctypes.byref(of.table), k, ctypes.byref(v))
                shown += value_text(v.kind, v.of)[-1]
            return [f"table {i} {n} {shown}"]
        return []


def trap_of(fn):
    """fn is given a pointer for a trap and returns an error or null. None, or the trap's text, or "error …"."""
    trap = ctypes.POINTER(ffi.wasm_trap_t)()
    error = fn(ctypes.byref(trap))
    if error:
        text = str(wasmtime.WasmtimeError._from_ptr(error)).replace("\n", " ")
        return next((ours for theirs, ours in BY_MESSAGE.items() if theirs in text), "error " + text)
    if trap:
        t = wasmtime.Trap._from_ptr(trap)
        for theirs, ours in BY_MESSAGE.items():
            if theirs in t.message:
                return ours
        return TRAPS.get(t.trap_code, f"({t.trap_code})")
    return None
