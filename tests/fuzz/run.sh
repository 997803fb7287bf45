#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every fuzz target on its saved inputs, then on new ones for SECONDS each, as many targets at once
# as there are cores (JOBS). What it finds is left in $BUILD/tests/found; a found input is run again
# with: <target> FILE. Usage: tests/fuzz/run.sh SECONDS; BUILD: the build folder. Lines: target, runs,
# coverage.
set -eu
found=$BUILD/tests/found
mkdir -p "$found"

if [ "$1" != --one ]; then
    for source in tests/fuzz/fuzz_*.c; do
        basename "$source" .c
    done | xargs -P "${JOBS:-$(nproc)}" -n 1 "$0" --one "$1"
    exit
fi

# --one SECONDS TARGET
seconds=$2
target=$3
log=$found/$target.txt
work=$found/$target
rm -rf "$work"
mkdir "$work" # new inputs go here, so that the tree stays as it is
if ! "$BUILD/tests/fuzz/$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
    -malloc_limit_mb=1200 -artifact_prefix="$found/" -print_final_stats=1 \
    "$work" "tests/fuzz/corpus/${target#fuzz_}" >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "FAILED  $target (see $log)"
    exit 255 # xargs starts no other
fi
rm -rf "$work"
awk -v t="$target" '/DONE/ { cov = $4 } /number_of_executed_units/ { runs = $2 }
    END { printf "ok      %s: %d runs, %d edges covered\n", t, runs, cov }' "$log"
