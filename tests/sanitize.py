"""Programs that are built with ASan and UBSan: how they are run, and what they said."""
import mmap, os, re, shutil, subprocess

# The engine's own handlers turn a guest's faults into traps; a fault that is ours ends the process by its signal.
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:handle_segv=0:handle_sigfpe=0:handle_sigbus=0:handle_sigill=0:allow_user_segv_handler=1",
    "TSAN_OPTIONS": "halt_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
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
