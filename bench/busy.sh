#!/bin/sh
# SPDX-License-Identifier: MIT
# What a step takes while other programs keep cores busy: bench/busy.sh [MODEL [STEPS]]. With none, one
# and two of them, in turns: one thread, two, and as many as there are cores, which is the default.
# The medians of five turns of each. BUILD: the build folder.
set -eu
model=${1:-datasets/tabletop/policy.safetensors}
steps=${2:-2000}
BUILD=${BUILD:-build}
turns=5
box=$(mktemp -d)
neighbours=
stop() { [ -z "$neighbours" ] || kill $neighbours 2>/dev/null || true; neighbours=; }
trap 'stop; rm -rf "$box"' EXIT

once() { # once OPTIONS: p50 and p99 of the first exit's step in ms
    "$BUILD/deer-run" bench --model "$model" --steps "$steps" --exit 0 "$@" |
        awk '$1 == 0 && NF > 8 { print $3, $6 }'
}

printf '%s, %d cores; p50 and p99 of %d steps, ms: medians of %d turns\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$steps" $turns
printf '%-12s %20s %20s %20s\n' neighbours "1 thread" "2 threads" "default"
for busy in 0 1 2; do
    for _ in $(seq $busy); do
        sh -c 'while :; do :; done' &
        neighbours="$neighbours $!"
    done
    for turn in $(seq $turns); do
        once --threads 1 >>"$box/$busy.1"
        once --threads 2 >>"$box/$busy.2"
        once >>"$box/$busy.default"
    done
    stop
    for kind in 1 2 default; do
        for column in 1 2; do
            cut -d' ' -f$column "$box/$busy.$kind" | sort -n | sed -n "$(((turns + 1) / 2))p"
        done | tr '\n' ' '
    done | awk -v n=$busy '{ printf "%-12d %10.3f %9.3f %10.3f %9.3f %10.3f %9.3f\n", n, $1, $2, $3, $4, $5, $6 }'
done
