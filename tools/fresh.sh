#!/usr/bin/env bash
# Does a fresh machine suffice? Makes a minimal Debian 12 in a folder, clones this repository into it, and there runs what README promises:
# `./dev up` until the example answers, then `./dev test`. What tools/packages.txt does not name is not there.
#
# Usage: tools/fresh.sh [--up] [--keep] [FOLDER]     as root, with debootstrap; --up: without the tests; FOLDER is removed at the end
# What is committed is what is tested. Takes about 400 MB of packages, and the times that it prints.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=1 keep=
while [[ ${1:-} == --* ]]; do
    case $1 in
    --up) tests= ;;
    --keep) keep=1 ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; [[ $1 == --help ]] && exit 0 || exit 64 ;;
    esac
    shift
done
for tool in debootstrap unshare chroot; do
    command -v "$tool" >/dev/null || { echo "fresh: skipped: $tool is not here"; exit 77; }
done
[[ $(id -u) -eq 0 ]] || { echo "fresh: skipped: only root can make a machine in a folder"; exit 77; }

root=${1:-$(mktemp -d /var/tmp/orlo-fresh.XXXXXX)}
chmod 755 "$root" # it becomes "/", for all users
log=$root.log
[[ -n $keep ]] || trap 'rm -rf --one-file-system "$root"' EXIT
since=$SECONDS
took() { echo "fresh: $1: $((SECONDS - since)) s" | tee -a "$log"; since=$SECONDS; }
fail() { echo "fresh: FAILED: $1; the whole log: $log"; tail -40 "$log"; exit 1; }

debootstrap --variant=minbase bookworm "$root" >"$log" 2>&1 || fail "debootstrap"
for file in /etc/apt/sources.list.d/debian.sources /etc/resolv.conf /etc/hosts; do # the same mirrors, and updates, as this machine's
    [[ ! -f $file ]] || cp "$file" "$root$file"
done
[[ ! -f $root/etc/apt/sources.list.d/debian.sources ]] || rm -f "$root/etc/apt/sources.list"
git clone -q . "$root/srv/orlo"
took "a minimal Debian 12"

# In mounts and processes of its own, which are gone when it ends; its network is this machine's.
inside=(unshare --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t sysfs sysfs "$0/sys" &&
    exec chroot "$0" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 CI="${CI:-}" bash -c "cd /srv/orlo && $1"' "$root")

"${inside[@]}" './dev up --listen 127.0.0.1:0' >"$root.up" 2>&1 &
up=$!
until url=$(grep -o 'http://127.0.0.1:[0-9]*' "$root.up" | head -1) && [[ -n $url ]]; do
    kill -0 $up 2>/dev/null || { cat "$root.up" >>"$log"; fail "./dev up"; }
    sleep 1
done
answer=$(curl -s "$url/") || fail "nothing answers at $url"
echo "fresh: ./dev up answers: $answer"
took "./dev up, from nothing"
kill -KILL $up # unshare lets no other signal through; what is in it goes too
wait $up 2>/dev/null || true
cat "$root.up" >>"$log"
rm "$root.up"

if [[ -n $tests ]]; then
    "${inside[@]}" './dev test' >>"$log" 2>&1 || fail "./dev test"
    tail -1 "$log"
    took "./dev test, from there"
fi
echo "fresh: passed"
