#!/usr/bin/env bash
# CPU per request of our HTTP server alone against nginx `return 200`, pinned to one core, wrk on the others.
# usage: bench/http_hello.sh BUILD_DIR [seconds] [connections]
set -euo pipefail
build=${1:-build} seconds=${2:-4} connections=${3:-64}
for tool in nginx wrk; do command -v $tool >/dev/null || { echo "$tool is not on PATH: nothing measured"; exit 0; }; done
tmp=$(mktemp -d)
pids=()
cleanup() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$tmp"; }
trap cleanup EXIT
cat >"$tmp/nginx.conf" <<CONF
daemon off; worker_processes 1; master_process off; pid $tmp/nginx.pid; error_log $tmp/error.log;
events { worker_connections 20000; }
http { access_log off; keepalive_requests 100000000; default_type text/plain;
  client_body_temp_path $tmp; proxy_temp_path $tmp; fastcgi_temp_path $tmp; uwsgi_temp_path $tmp; scgi_temp_path $tmp;
  server { listen 127.0.0.1:18090; location / { return 200 "hello\n"; } } }
CONF
taskset -c 0 nginx -c "$tmp/nginx.conf" 2>/dev/null & pids+=($!)
taskset -c 0 "$build/src/net/http_hello" 127.0.0.1:18091 2>/dev/null & pids+=($!)
taskset -c 0 "$build/src/net/http_hello" 127.0.0.1:18092 later 2>/dev/null & pids+=($!)
sleep 0.5
cpu() { awk '{print ($14 + $15) * 10000}' "/proc/$1/stat"; } # µs, at 100 ticks a second
measure() { # name pid port
    local before after requests out
    wrk -t1 -c"$connections" -d1 "http://127.0.0.1:$3/" >/dev/null
    before=$(cpu "$2")
    out=$(taskset -c 1 wrk -t1 -c"$connections" -d"$seconds" --latency "http://127.0.0.1:$3/")
    after=$(cpu "$2")
    requests=$(awk '/requests in/ {print $1}' <<<"$out")
    awk -v n="$1" -v b="$before" -v a="$after" -v r="$requests" -v s="$seconds" \
        'BEGIN { printf "%-14s %.2f µs CPU per request, %d requests a second\n", n, (a - b) / r, r / s }'
}
measure nginx "${pids[0]}" 18090
measure orlo "${pids[1]}" 18091
measure orlo-later "${pids[2]}" 18092
