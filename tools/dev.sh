#!/usr/bin/env bash
# What ./dev does; started by it in the repository's root.
set -euo pipefail

usage() {
    cat <<'TEXT'
./dev up                    install what is missing, build, serve the example, print its URL
./dev build                 build build/orlo (release)
./dev test [FILTER…]        all tests, or those whose name contains a filter, with ASan and UBSan
./dev spec PATH…            conformance suites (JSON made by wast2json), e.g. ./dev spec ../shared/spec/core
./dev wasi PATH…            WASI test suites, e.g. ./dev wasi ../shared/spec/wasi/p1-c
./dev fuzz [TARGET] [--seconds N]   fuzz one target or each in turn (needs clang)
./dev bench [NAME…]         measurements, as ratios against peers found on PATH
./dev fmt [--check]         clang-format over the sources
./dev ci                    what CI runs: install packages, build, all tests
TEXT
}

# Installs the packages of tools/packages.txt for the given needs, if any is missing.
need_packages() {
    local missing=() need package
    while read -r need package; do
        [[ $need == "#" || -z $need ]] && continue
        [[ " $* " == *" $need "* ]] || continue
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done < <(grep -v '^#' tools/packages.txt)
    [[ ${#missing[@]} -eq 0 ]] && return
    command -v apt-get >/dev/null || { echo "dev: please install: ${missing[*]}" >&2; exit 69; }
    local sudo=""
    [[ $(id -u) -eq 0 ]] || sudo=sudo
    echo "Installing ${missing[*]}" >&2
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

configure() { # folder, meson options…
    local dir=$1
    shift
    [[ -f $dir/build.ninja ]] || meson setup "$dir" "$@" >/dev/null || { cat "$dir/meson-logs/meson-log.txt" >&2; exit 70; }
}

build_release() {
    configure build
    ninja -C build --quiet
    ln -sf build/compile_commands.json compile_commands.json
}

build_sanitized() {
    configure build-test -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
    ninja -C build-test --quiet
}

verb=${1:-help}
[[ $# -gt 0 ]] && shift
case $verb in
up)
    need_packages build
    build_release
    exec build/orlo serve examples/hello/hello.wasm "$@"
    ;;
build)
    need_packages build
    build_release
    ;;
test)
    need_packages build test
    build_release
    build_sanitized
    exec python3 tools/test.py "$@"
    ;;
spec)
    need_packages build test
    build_release
    exec build/tests/spec/orlo-spec "$@"
    ;;
wasi)
    need_packages build test
    build_release
    exec python3 tests/wasi/run.py build/orlo "$@"
    ;;
fuzz) exec bash tools/fuzz.sh "$@" ;;
bench)
    need_packages build
    build_release
    exec python3 bench/run.py "$@"
    ;;
ci)
    need_packages build test
    build_release
    build_sanitized
    exec python3 tools/test.py
    ;;
fmt)
    if [[ ${1:-} == --check ]]; then
        git ls-files '*.c' '*.h' | xargs clang-format-14 --dry-run --Werror
    else
        git ls-files '*.c' '*.h' | xargs clang-format-14 -i
    fi
    ;;
help | -h | --help) usage ;;
*)
    echo "dev: no verb '$verb'" >&2
    usage >&2
    exit 64
    ;;
esac
