#!/bin/sh
# SPDX-License-Identifier: MIT
# Promises of an average cost, made on episodes that the policy itself acted in, hold for others drawn like them:
# a hundred repetitions, each on a random half of the episodes, judged on the other; broken in at most a tenth.
# BUILD: the build folder.
set -eu
build=${BUILD:-build}
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
model=datasets/tabletop/policy.safetensors

wrong() {
    echo "wrong: $*" >&2
    exit 1
}

"$build/deer-sim" record --model $model --thresholds datasets/tabletop/thresholds.json --noise 0 \
    --tasks lift_red,open_drawer --episodes 24 --seed 71000 --out "$files/own.h5" 2>/dev/null
"$build/deer-calib" replay --model $model --demos "$files/own.h5" --cache "$files/own" 2>/dev/null
"$build/deer-calib" bench --what halves --cache "$files/own" --draws 100 --avg-fraction 0.5 >"$files/said"
cat "$files/said"
tail -n 1 "$files/said" | {
    read -r episodes draws broken refused certain used
    [ "$episodes" = 48 ] && [ "$draws" = 100 ] || wrong "not 100 repetitions on 48 episodes"
    [ "$broken" -le 10 ] || wrong "$broken of 100 promises with confidence 0.9 broke"
    [ $((refused + certain)) -le 50 ] || wrong "too few promises that needed a test: $refused refused, $certain certain"
    [ "${used%.*}" -ge 60 ] || wrong "only $used of the budget is used"
}

status=0
"$build/deer-calib" bench --what halves 2>"$files/said" >&2 || status=$?
[ "$status" = 2 ] || wrong "status $status without a cache"
grep -q 'needs --cache' "$files/said" || wrong "$(cat "$files/said")"
