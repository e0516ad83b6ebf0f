"""System calls made by another process that do not know it: what code that had taken over a worker could try. Needs root and x86-64."""
import contextlib, ctypes, errno, os, platform, re, signal, struct, threading

from harness import ROOT, Skip

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
PEEK, POKE, CONT, GETREGS, SETREGS, ATTACH, DETACH, SYSCALL = 1, 4, 7, 12, 13, 16, 17, 24
SENDMSG, WIRE_FD = 46, 3
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs").split()


def ptrace(request, pid, address=0, data=0):
    ctypes.set_errno(0)
    r = libc.ptrace(request, pid, address, data)
    if r == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r


class Taken:
    """A process that is stopped and made to do what is said; let go at the end of `with`."""

    def __init__(self, pid):
        if platform.machine() != "x86_64":
            raise Skip("x86-64 only")
        self.pid = pid
        self.alive = True

    def __enter__(self):
        try:
            ptrace(ATTACH, self.pid)
        except PermissionError:
            raise Skip("another process can be taken over by root only")
        self.wait()
        self.old = self.regs()
        self.code = self.old["rip"]
        self.word = ptrace(PEEK, self.pid, self.code) & (1 << 64) - 1
        return self

    def __exit__(self, *_):
        if not self.alive:
            return
        try:
            ptrace(POKE, self.pid, self.code, self.word)
            self.set(self.old)
            ptrace(DETACH, self.pid)
        except ProcessLookupError:  # it was killed meanwhile: let its parent know
            self.wait()
            raise

    def wait(self):
        _, status = os.waitpid(self.pid, 0x40000000)  # __WALL
        self.alive = os.WIFSTOPPED(status)
        return status

    def regs(self):
        b = ctypes.create_string_buffer(8 * len(NAMES))
        ptrace(GETREGS, self.pid, 0, ctypes.addressof(b))
        return dict(zip(NAMES, struct.unpack(f"{len(NAMES)}Q", b.raw)))

    def set(self, regs):
        b = ctypes.create_string_buffer(struct.pack(f"{len(NAMES)}Q", *(regs[n] & (1 << 64) - 1 for n in NAMES)))
        ptrace(SETREGS, self.pid, 0, ctypes.addressof(b))

    def run(self, code, **regs):
        """Runs code (8 bytes at most) that ends with int3: the registers after it, or None if it died."""
        ptrace(POKE, self.pid, self.code, int.from_bytes(code.ljust(8, b"\x90"), "little"))
        self.set(dict(self.old, rip=self.code, orig_rax=(1 << 64) - 1, rsp=self.old["rsp"] - 4096, **regs))
        while True:  # other signals wait: a timer's, of a process that computes
            ptrace(CONT, self.pid)
            status = self.wait()
            if not self.alive:
                return None
            if os.WSTOPSIG(status) == signal.SIGTRAP:
                return self.regs()

    def call(self, number, *args):
        """What the system call answers: a value, -errno, or "killed"."""
        regs = dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), args))
        after = self.run(b"\x0f\x05\xcc", rax=number, **{n: regs.get(n, 0) for n in ("rdi", "rsi", "rdx", "r10", "r8", "r9")})
        if after is None:
            return "killed"
        value = after["rax"]
        return value - (1 << 64) if value >= 1 << 63 else value

    def put(self, data):
        """Bytes in its memory, below its stack; the address."""
        at = (self.old["rsp"] - 3000) & ~15
        with open(f"/proc/{self.pid}/mem", "r+b", 0) as mem:
            mem.seek(at)
            mem.write(data)
        return at

    def get(self, at, n):
        with open(f"/proc/{self.pid}/mem", "rb", 0) as mem:
            mem.seek(at)
            return mem.read(n)

    def hang(self):
        """Lets it go into a loop that does nothing."""
        ptrace(POKE, self.pid, self.code, int.from_bytes(b"\xeb\xfe".ljust(8, b"\x90"), "little"))
        self.set(dict(self.old, rip=self.code, orig_rax=(1 << 64) - 1))
        ptrace(DETACH, self.pid)
        self.alive = False


MESSAGES = re.findall(r"^MSG\((\w+),", open(os.path.join(ROOT, "src", "node", "wire.def")).read(), re.M)


@contextlib.contextmanager
def held_behind(pid, message):
    """A process that stands still, from when it has said `message` to the supervisor until the end of `with`. Gives an event: it does."""
    there, enough, failed = threading.Event(), threading.Event(), []

    def stands(taken):
        r = taken.regs()
        if (r["orig_rax"], r["rdi"]) != (SENDMSG, WIRE_FD) or r["rax"] >= 1 << 63:  # going in: -ENOSYS
            return False
        (iov,) = struct.unpack("Q", taken.get(r["rsi"] + 16, 8))
        (base,) = struct.unpack("Q", taken.get(iov, 8))
        return taken.get(base, 1)[0] == MESSAGES.index(message)

    def on():  # who attaches has to be who asks
        try:
            with Taken(pid) as taken:
                told = 0
                attached.set()
                while not enough.is_set():
                    ptrace(SYSCALL, pid, 0, told)
                    status = taken.wait()
                    if not taken.alive:
                        return
                    told = 0 if os.WSTOPSIG(status) == signal.SIGTRAP else os.WSTOPSIG(status)
                    if not told and stands(taken):
                        break
                taken.old = taken.regs()
                there.set()
                enough.wait()
        except BaseException as e:
            failed.append(e)
            attached.set(), there.set()

    attached = threading.Event()
    thread = threading.Thread(target=on, daemon=True)
    thread.start()
    attached.wait()
    try:
        if failed:
            raise failed[0]
        yield there
    finally:
        enough.set()
        if there.is_set():
            thread.join()


def said(answer):
    """EPERM, 3, killed: for messages."""
    return errno.errorcode.get(-answer, answer) if isinstance(answer, int) and answer < 0 else answer
