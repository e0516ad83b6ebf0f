"""Waiting, and other processes as tests see and signal them: each may be gone at any moment. No test sleeps, looks into /proc of another process or signals
one but by this (tests/patience.py sees to it)."""
import contextlib, os, random, re, signal, socket, time

PATIENCE_S = 120  # for what must come, however long a loaded machine takes for it


class Late(AssertionError):
    """What had to come has not, in all that time: of a loaded machine, or for ever. tools/test.py asks once more, alone."""


def until(condition):
    """Waits for what must come, however long this machine takes for it."""
    deadline, pause = time.monotonic() + PATIENCE_S, 0.005
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Late("it did not come to that")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)
    return found


def until_eq(ask, want):
    """Until what ASK says is that: of what is counted, logged or told behind an answer."""
    seen = []

    def is_so():
        seen[:] = [ask()]
        return seen[0] == want
    try:
        until(is_so)
    except Late:
        raise Late(f"{seen!r} is not {[want]!r}, and does not become that") from None


def in_vain(seconds, what):
    """Waits for WHAT must not come. Where it comes late nobody sees it; but who is right never fails by it, however loaded the machine is."""
    time.sleep(seconds)


def pace(seconds):
    """A pause of a client's, or between two looks at what goes on: nothing is concluded from its length."""
    time.sleep(seconds)


def free_port():
    """One that nobody listens at, for who has to be told one. The kernel gives it to no client meanwhile: those have theirs from a range of their own."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
            most = int(f.read().split()[0])
    except OSError:
        most = 32768
    while True:
        port = random.randrange(10000, max(most, 11000))
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("0.0.0.0", port))
            return port


# ---- other processes ------------------------------------------------------------------------------------------------------


def read(pid, name):
    """What /proc/PID/NAME says; "" where the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", errors="replace") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def stat(pid):
    """The fields of its stat from the state on, as proc(5) has them from the third; [] where it is gone."""
    return read(pid, "stat").rpartition(")")[2].split()


def lives(pid):
    """Is it there, and not only the number that nobody has asked for yet?"""
    return bool((fields := stat(pid)) and fields[0] not in "ZX")


def name(pid):
    return read(pid, "comm").removesuffix("\n")


def arguments(pid):
    """Its command line; PostgreSQL's processes say there what they do."""
    return read(pid, "cmdline").replace("\0", " ").strip()


def ticks(pid):
    """What it has computed, in ticks of the kernel's clock; 0 where it is gone."""
    return sum(map(int, stat(pid)[11:13]))


def memory_kib(pid, what="Pss", file="smaps_rollup"):
    """What it holds of memory, as the kernel shares its pages out; 0 where it is gone."""
    found = re.search(rf"^{what}:\s+(\d+)", read(pid, file), re.M)
    return int(found[1]) if found else 0


def forget_peak(pid):
    """From now on VmHWM of its status is how far it grows. False: it is gone."""
    try:
        with open(f"/proc/{pid}/clear_refs", "w") as f:
            f.write("5")
        return True
    except (FileNotFoundError, ProcessLookupError):
        return False


def everybody():
    """{pid: its parent's} of all that live."""
    found = {int(p): stat(p) for p in os.listdir("/proc") if p.isdigit()}
    return {pid: int(fields[1]) for pid, fields in found.items() if fields and fields[0] not in "ZX"}


def children(pid, called=None):
    """Those that live, by their number; called: of this name alone."""
    return sorted(p for p, parent in everybody().items() if parent == pid and called in (None, name(p)))


def descendants(pid):
    parents = everybody()

    def is_below(p):
        while p in parents and p != pid:
            p = parents[p]
        return p == pid

    return sorted(p for p in parents if p != pid and is_below(p))


def descriptors(pid):
    """{descriptor: what it is of}"""
    found = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def files(pid):
    return list(descriptors(pid).values())


# ---- signals ----------------------------------------------------------------------------------------------------------


def kill_if_there(pid, number=signal.SIGKILL):
    """Whether it was there to be signalled. For who kills whoever is there: a test that needs one to be killed says kill()."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def kill(pid, number=signal.SIGKILL):
    """Signals one that is there, or what the test is about does not happen."""
    if not lives(pid) or not kill_if_there(pid, number):
        raise AssertionError(f"process {pid} had ended before it got signal {number}")


def wait_gone(*pids):
    try:
        until(lambda: not any(map(lives, pids)))
    except AssertionError:
        raise AssertionError(f"still there: {[(p, name(p), stat(p)[:1]) for p in pids if lives(p)]}") from None


def stop(pid):
    """Stops one, and comes back when all of it stands still. A number that holds this very process, for go_on()."""
    try:
        held = os.pidfd_open(pid)
    except ProcessLookupError:
        raise AssertionError(f"process {pid} had ended before it was stopped") from None
    deadline = time.monotonic() + PATIENCE_S
    while not stands_still(pid):  # again and again: somebody else may have let it go on
        try:
            signal.pidfd_send_signal(held, signal.SIGSTOP)
        except ProcessLookupError:
            pass
        if not lives(pid) or time.monotonic() > deadline:
            os.close(held)
            raise AssertionError(f"process {pid} ended, or went on, when it was to be stopped")
        time.sleep(0.002)
    return held


def stands_still(pid):
    try:
        return all((read(f"{pid}/task/{t}", "stat").rpartition(")")[2].split() or "T")[0] in "Tt" for t in os.listdir(f"/proc/{pid}/task")) and lives(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False


def go_on(held):
    """Whether it was there yet."""
    try:
        signal.pidfd_send_signal(held, signal.SIGCONT)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(held)


@contextlib.contextmanager
def stopped(*pids, may_end=False):
    """Meanwhile these stand still. Who is there no more at the end was ended by somebody: that is wrong, unless the test says that it may be."""
    held = {}
    try:
        for pid in pids:
            held[pid] = stop(pid)
        yield
        went_on = [pid for pid in held if lives(pid) and not stands_still(pid)]
    finally:
        gone = [pid for pid, fd in held.items() if not go_on(fd)]
    if (gone and not may_end) or went_on:
        raise AssertionError(f"of those that were stopped {gone} have ended meanwhile, and {went_on} went on")
