#!/bin/sh
# SPDX-License-Identifier: MIT
# A rollout of the simulator whose policy is served, and the end of the server. What SERVER_PRELOAD names is loaded
# into the server alone. Ends as the rollout does, or else as the server does.
# Usage: served.sh BUILD MODEL
set -u
LD_PRELOAD=${SERVER_PRELOAD:-} "$1/deer-run" serve --model "$2" --port 0 --threads 1 >url 2>server.err &
server=$!

ended() { # $status: how the server ended
    wait $server
    status=$?
}

for _ in $(seq 100); do
    url=$(sed -n 's/.*listening on //p' url)
    [ -z "$url" ] && kill -0 $server 2>/dev/null || break
    sleep 0.05
done
[ -n "$url" ] || {
    kill -9 $server 2>/dev/null && exit 137 # it hangs
    ended
    cat server.err >&2
    exit $status
}
"$1/deer-sim" eval --policy "$url" --tasks lift_red --episodes 1 --workers 1 --json
rollout=$?
kill $server 2>/dev/null
ended
[ $status -lt 128 ] || exit $status
[ $rollout -eq 0 ] || exit $rollout
cat server.err >&2
exit $status
