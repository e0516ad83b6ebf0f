#!/usr/bin/env bash
# CPU per request of our HTTP server alone against nginx `return 200`, pinned to one core, wrk on the others.
# direct: answered in on_request; later: at the end of the turn, head and body apart, as a guest on a fiber does.
# usage: bench/http_hello.sh BUILD_DIR [seconds] [connections]
set -euo pipefail
build=${1:-build} seconds=${2:-2} connections=${3:-64}
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
cpu() { awk '{print $14 * 10000, $15 * 10000}' "/proc/$1/stat"; } # µs of user and system time, at 100 ticks a second
measure() { # name pid port: one line "name user system requests"
    local before after requests
    before=$(cpu "$2")
    requests=$(taskset -c 1 wrk -t1 -c"$connections" -d"$seconds" "http://127.0.0.1:$3/" | awk '/requests in/ {print $1}')
    after=$(cpu "$2")
    awk -v n="$1" -v b="$before" -v a="$after" -v r="$requests" 'BEGIN { split(b, x, " "); split(a, y, " "); print n, (y[1] - x[1]) / r, (y[2] - x[2]) / r, r }'
}
# Rounds in turn, and the best of each: other work on the machine disturbs all alike.
for round in 1 2 3 4; do
    measure nginx "${pids[0]}" 18090
    measure direct "${pids[1]}" 18091
    measure later "${pids[2]}" 18092
done | awk -v s="$seconds" '
    { t = $2 + $3; if (!($1 in best) || t < best[$1]) { best[$1] = t; user[$1] = $2; sys[$1] = $3 } if ($4 / s > rate[$1]) rate[$1] = $4 / s }
    END {
        print "CPU per request in µs (user + system), best of 4 rounds:"
        split("nginx direct later", names, " ")
        for (i = 1; i <= 3; i++) { n = names[i]; printf "  %-7s %5.2f (%.2f + %.2f)  %.2f x nginx  %d requests a second\n", n, best[n], user[n], sys[n], best[n] / best["nginx"], rate[n] }
    }'
