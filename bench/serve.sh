#!/bin/sh
# SPDX-License-Identifier: MIT
# What asking a policy server adds to a step: bench/serve.sh [RUNS [STEPS [HZ [SIDE]]]]. A deer-run serve of one thread
# and a client in C (bench/serve.c) on this machine; HZ steps a second, 0: one after the other; images of SIDE x SIDE.
# FIRST="chrt -f 10" measures in front of whatever else runs. BUILD: the build folder.
set -eu
runs=${1:-5}
steps=${2:-4000}
rate=${3:-0}
side=${4:-64}
BUILD=${BUILD:-build}
FIRST=${FIRST:-}
model=datasets/tabletop/policy.safetensors
exit=2
box=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill $server 2>/dev/null || true; rm -rf "$box"' EXIT

make -s --no-print-directory BUILD="$BUILD" "$BUILD/deer-run" "$BUILD/bench/serve" >/dev/null
$FIRST "$BUILD/deer-run" serve --model $model --exit $exit --port 0 --threads 1 >"$box/said" &
server=$!
for _ in $(seq 100); do
    port=$(sed -n 's/.*listening on .*://p' "$box/said")
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || { echo "the server does not listen" >&2; exit 1; }
printf '%s, %d cores, load %s; %d steps a run, %s Hz, images %d x %d\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(cut -d' ' -f1 /proc/loadavg)" \
    "$steps" "$rate" "$side" "$side"
for _ in $(seq "$runs"); do
    $FIRST "$BUILD/bench/serve" "$port" $model $exit "$steps" "$rate" "$side"
done
