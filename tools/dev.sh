#!/usr/bin/env bash
# What ./dev does; started by it in the repository's root.
set -euo pipefail

# The verbs: each with the lines that `./dev VERB --help` adds, indented.
verbs() {
    cat <<'TEXT'
./dev up [FLAG…]           install what is missing, build, serve the example, print its URL
    The first time builds for about 20 s on two cores, after what apt takes to install a compiler and five libraries.
    FLAGs are those of `orlo serve`, for instance --listen :9000 (build/orlo serve --help lists them). Ctrl-C stops it.
./dev build                 build build/orlo (release)
./dev test [-v] [FILTER…]  all tests, or those whose name contains a filter, with ASan and UBSan
    Packages that are missing: asks before it installs any, as all verbs do but up and ci; as root, or with --install, it just says which.
    The first time builds two trees, about 100 s on two cores; a third, where the tools for
    aarch64 are installed. All tests take minutes more; a filter, seconds.
    On a terminal: one line that moves, and what failed. With -v, or elsewhere: a line for each program, and what was skipped and why.
    What failed is said again at the end. Each program's whole output: build-test/logs/.
./dev spec PATH…            conformance suites (JSON made by wast2json), e.g. ./dev spec ../shared/spec/core
    README, "Conformance", says where the suites come from and how to make them. -v names what is skipped.
    --target aarch64 PATH…  the same, cross-built in build-arm64, under qemu-user
    --table                 all suites of ../shared/spec, and README's table of what passes
./dev wasi PATH…            WASI test suites, e.g. ./dev wasi ../shared/spec/wasi/p1-c
./dev fuzz [TARGET…] [--seconds N]   fuzz one target or each in turn, 60 s each (needs clang)
./dev fuzz diff [--seconds N] [--seed S]   random modules on Orlo and on Wasmtime: whatever differs is a bug
./dev fuzz sql [--seconds N] [--seed S]    random schemas, policies, requests and programs in PL/pgSQL on SQLite and on PostgreSQL: whatever differs is a bug
./dev fuzz twins [--seconds N] [--seed S]  two databases that differ in rows that a user may not see answer that user alike
./dev fuzz clients|calls|upstreams [--seconds N] [--seed S]   clients, guests and upstreams of a sanitized orlo that serves
    Inputs that fail are left in build-fuzz/found/, with the command that replays them.
./dev bench [NAME…] [--json]   measurements, as ratios against peers found on PATH
./dev fmt [--check]         clang-format over the sources
./dev fresh [--up]          a minimal Debian 12 in a folder: ./dev up and ./dev test there (root, debootstrap)
    Whether tools/packages.txt suffices, tried out. --up: without the tests. Takes half an hour on two cores.
./dev ci                    what CI runs: install packages, build, all tests
TEXT
}

usage() { verbs | grep -v '^ '; }
help_of() { verbs | awk -v verb="$1" '/^[^ ]/ { mine = $2 == verb } mine'; }

say() { echo "dev: $*" >&2; }
on_terminal() { [[ -t 2 ]]; }

# Runs a command up to four times: mirrors have moments.
persist() {
    local pause
    for pause in 2 10 30; do
        "$@" && return
        say "'$*' failed; again in $pause s"
        sleep "$pause"
    done
    "$@"
}

# Whether to install: up and ci are there for it, root and --install mean it, and on a terminal one can ask. Else says how.
may_install() { # packages…
    [[ $verb == up || $verb == ci || -n $install || $(id -u) -eq 0 ]] && return
    say "missing packages:" "$@"
    if [[ -t 0 ]] && on_terminal; then
        local answer
        read -r -p "dev: install them with sudo apt-get? [Y/n] " answer
        [[ ${answer:-y} == [yY]* ]] && return
    fi
    local first=
    if [[ "$*" == *:arm64* ]]; then first="sudo dpkg --add-architecture arm64 && sudo apt-get update && "; fi
    say "to install them: ${first}sudo apt-get install --no-install-recommends $*    (or ./dev $verb --install)"
    exit 69
}

# Sees to the packages of tools/packages.txt for the given needs, if any is missing. Elsewhere than on Debian and its kin, what is
# missing is meson's to say.
need_packages() {
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
    local wanted missing sudo=()
    wanted=$(awk -v needs=" $* " '!/^#/ && index(needs, " " $1 " ") { print $2 }' tools/packages.txt | sort -u)
    # A package of another architecture is listed, and asked for, with its name behind a colon.
    missing=$(comm -23 <(echo "$wanted") <(dpkg-query -W -f='${db:Status-Status} ${Package} ${Architecture}\n' $wanted 2>/dev/null |
        awk -v own="$(dpkg --print-architecture)" '$1 == "installed" { print $2 ($3 == own || $3 == "all" ? "" : ":" $3) }' | sort -u))
    [[ -n $missing ]] || return 0
    may_install $missing
    [[ $(id -u) -eq 0 ]] || sudo=(sudo)
    if [[ $missing == *:arm64* ]]; then "${sudo[@]}" dpkg --add-architecture arm64; fi
    say "installing with apt, which takes from seconds to some minutes:" $missing
    # An update that fails is no reason to stop: the lists there are may do.
    persist "${sudo[@]}" apt-get update -qq || true
    persist apt_install "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing ||
        { say "please install:" $missing; exit 69; }
}

# Runs an apt-get, and shows on a terminal how far it is: lines of its status descriptor are KIND:PACKAGE:PERCENT:TEXT.
apt_install() {
    on_terminal || { "$@" >/dev/null; return; }
    { "$@" -o APT::Status-Fd=1 -o Dpkg::Use-Pty=0 | awk -F: '/^(dl|pm)status:/ { printf "\r\033[K%3d %% %.70s", $3, $4; fflush() } END { printf "\r\033[K" }' >&2; }
}

configure() { # folder, meson options…
    local dir=$1
    shift
    [[ -f $dir/build.ninja ]] || meson setup "$dir" -Dwerror=true "$@" >/dev/null || { cat "$dir/meson-logs/meson-log.txt" >&2; exit 70; }
}

# Folder, processor seconds that it takes when nothing is there yet, targets…: says so, shows how far ninja is, and says how long it took.
compile() {
    local dir=$1 seconds=$2 quiet=--quiet started=$SECONDS
    shift 2
    [[ $(ninja -C "$dir" -n "$@" 2>/dev/null | tail -1) != "ninja: no work to do." ]] || return 0
    if [[ -f $dir/.dev-built ]]; then say "building $dir"
    else say "building $dir for the first time, about $(((seconds + $(nproc) - 1) / $(nproc))) s on the $(nproc) cores here"; fi
    if on_terminal && [[ -t 1 ]]; then quiet=; fi
    ninja -C "$dir" $quiet "$@"
    touch "$dir/.dev-built"
    say "built $dir in $((SECONDS - started)) s"
}

build_release() { # targets…
    configure build
    compile build 40 "$@"
    ln -sf build/compile_commands.json compile_commands.json
}

# What qemu-user pays for each page of: see engine_config.
export_emulated() { export ORLO_ENGINE_RESERVE=1073741824; }
# Whether programs for aarch64 can be built and run here. Looking for files would not tell: a compiler without its headers is one.
can_cross() {
    [[ $(uname -m) != aarch64 ]] && command -v aarch64-linux-gnu-gcc qemu-aarch64 >/dev/null || return 1
    PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config --exists libuv libssl libcrypto sqlite3 cmocka jansson || return 1
    local folder
    folder=$(mktemp -d)
    echo '#include <stdlib.h>
        int main(void) { return abs(0); }' >"$folder/try.c"
    local ok=0
    { aarch64-linux-gnu-gcc -o "$folder/try" "$folder/try.c" && qemu-aarch64 "$folder/try"; } >/dev/null 2>&1 || ok=1
    rm -r "$folder"
    return $ok
}

build_cross() { # targets…
    configure build-arm64 --cross-file tools/aarch64.cross
    compile build-arm64 60 "$@"
}

configure_tests() {
    configure build
    # Lines, and no more, for who reads a report; and what compiles in half the time that -O2 takes with sanitizers. What is never set, -O3 sees.
    # At a fixed address: the sanitizers' tables hold a million addresses, which each process would have to be told anew when it starts.
    configure build-test -Dbuildtype=custom -Db_pie=false -Dc_link_args=-no-pie -Dcpp_link_args=-no-pie -Doptimization=1 -Ddebug=true '-Dc_args=-g1 -Wno-error=maybe-uninitialized' -Dcpp_args=-g1 -Db_sanitize=address,undefined -Db_lundef=false
}

build_tests() {
    build_release orlo tests/spec/orlo-spec tests/sql/engines tests/node_job_test tests/node_control_test tests/node_steps_test tests/node_reader_test # a job's sandbox does not fit sanitizers
    configure_tests
    compile build-test 150
    # Fences are between processes alone, of which it knows nothing.
    configure build-threads -Dbuildtype=debugoptimized -Dc_args=-Wno-tsan -Db_sanitize=thread -Db_lundef=false
    compile build-threads 70 $(python3 tools/test.py --thread-targets)
    # Without the tools, tools/test.py says that these are skipped.
    if can_cross; then build_cross tests/spec/orlo-spec $(python3 tools/test.py --cross-targets) && build_release src/baseline/testrun; fi
}

verb=${1:-help}
[[ $# -gt 0 ]] && shift
if [[ " $* " == *" --help "* || " $* " == *" -h "* ]] && [[ -n $(help_of "$verb") ]]; then # helps before it installs or builds
    help_of "$verb"
    exit 0
fi
install=
args=()
for arg in "$@"; do if [[ $arg == --install ]]; then install=yes; else args+=("$arg"); fi; done
set -- "${args[@]+"${args[@]}"}"
case $verb in
up)
    need_packages build
    build_release orlo
    exec build/orlo serve examples/hello/hello.wasm "$@"
    ;;
build)
    need_packages build
    build_release orlo
    ;;
test)
    need_packages build test fmt
    configure_tests
    python3 tools/test.py --names "$@" >/dev/null # before minutes of building
    build_tests
    exec python3 tools/test.py "$@"
    ;;
spec)
    if [[ ${1:-} == --target && ${2:-} == aarch64 && $(uname -m) != aarch64 ]]; then
        need_packages build arm64
        build_cross tests/spec/orlo-spec
        export_emulated
        exec qemu-aarch64 build-arm64/tests/spec/orlo-spec "${@:3}"
    fi
    [[ ${1:-} == --target ]] && { [[ $(uname -m) == "${2/x86-64/x86_64}" ]] || { say "--target x86-64 or aarch64"; exit 64; }; shift 2; }
    need_packages build test
    build_release orlo tests/spec/orlo-spec
    [[ ${1:-} == --table ]] && exec python3 tools/conformance.py --write "${@:2}"
    exec build/tests/spec/orlo-spec "$@"
    ;;
wasi)
    need_packages build test
    build_release orlo
    exec python3 tests/wasi/run.py build/orlo "$@"
    ;;
fuzz)
    need_packages build fuzz
    exec python3 tools/fuzz.py "$@"
    ;;
bench)
    need_packages build bench
    build_release orlo $(python3 bench/run.py --targets)
    exec python3 bench/run.py "$@"
    ;;
fresh) exec tools/fresh.sh "$@" ;;
ci)
    need_packages build test fmt
    (need_packages arm64) || say "without a cross compiler: aarch64 is not tested"
    build_tests
    exec python3 tools/test.py
    ;;
fmt)
    need_packages fmt
    if [[ ${1:-} == --check ]]; then
        git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run --Werror
    else
        for _ in 1 2 3; do # what one pass breaks another may join
            git ls-files '*.c' '*.h' | xargs clang-format-14 -i
        done
    fi
    ;;
help | -h | --help) usage ;;
*)
    say "no verb '$verb'"
    usage >&2
    exit 64
    ;;
esac
