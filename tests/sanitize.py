"""Programs that are built with ASan and UBSan: how they are run, and what they said."""
import mmap, os, re, shutil, subprocess

# The engine's own handlers turn a guest's faults into traps; a fault that is ours ends the process by its signal.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:handle_segv=0:handle_sigfpe=0:handle_sigbus=0:handle_sigill=0:allow_user_segv_handler=1",
    "TSAN_OPTIONS": "halt_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
# Tests that a sanitized build is spared, and why: what they alone show is the same however the program was built, and the release build shows it. What
# they run besides of ours, others run sanitized.
KILLED = "what SIGKILL leaves on the disk is for the release build to show: no code of ours runs then that could be watched"
SPARED = {
    "killed_at_any_moment": KILLED,
    "killed_again_and_again": KILLED,
    "store_kills": KILLED,
    "node_is_killed": KILLED,
    "database_migration_killed": KILLED,
    "database_types": "text for TypeScript's compiler, of which the time is: the command that writes it is run by others",
    "client_of_supabase": "the client computes; what it asks is asked by functions_of_supabase",
    "deployer_worker_says_nothing": "ten seconds of waiting for one that is stopped; deployer_is_answered_when_successors_serve has the same messages",
    "database_bombs": "limits of time and memory are those of a release build",
}

REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error: |Sanitizer: CHECK failed|LeakSanitizer has encountered")


def is_sanitized(program):
    with open(program, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as bytes_of_it:
        return bytes_of_it.find(b"__asan_init") >= 0


def report_in(text):
    """The first report in what a program wrote, its addresses with their functions and lines, or None. In a sandbox no sanitizer can read
    the program's file, so that is done here."""
    found = REPORT.search(text)
    if not found:
        return None
    lines = [l for l in text[text.rfind("\n", 0, found.start()) + 1:].splitlines() if not l.startswith("{")][:60]
    tool = shutil.which("addr2line")
    for i, line in enumerate(lines):
        if (m := re.match(r"( *#\d+ )0x[0-9a-f]+ +\((/[^+]+)\+(0x[0-9a-f]+)\)", line)) and tool and os.path.exists(m[2]):
            # A return address is behind its call.
            said = subprocess.run([tool, "-sfCe", m[2], hex(int(m[3], 16) - 1)], capture_output=True, text=True).stdout.split("\n")
            lines[i] = m[1] + " ".join(said[:2])
    return "\n".join(lines)
