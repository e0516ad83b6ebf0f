"""System calls made by another process that do not know it: what code that had taken over a worker could try. Needs root and x86-64."""
import ctypes, errno, os, platform, signal, struct

from harness import Skip

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
PEEK, POKE, CONT, GETREGS, SETREGS, ATTACH, DETACH = 1, 4, 7, 12, 13, 16, 17
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


def said(answer):
    """EPERM, 3, killed: for messages."""
    return errno.errorcode.get(-answer, answer) if isinstance(answer, int) and answer < 0 else answer
