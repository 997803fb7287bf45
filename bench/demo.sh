#!/bin/sh
# SPDX-License-Identifier: MIT
# The whole path on real input: record demonstrations in the simulator, replay them through the policy,
# choose thresholds for 40% of the full cost, and drive the robot with them. BUILD: the build folder.
set -eu
BUILD=${BUILD:-build}
out=$BUILD/demo
model=datasets/tabletop/policy.safetensors
episodes=${EPISODES:-8} # rollouts per task: 29 tasks

say() { printf '\n$ %s\n' "$*"; "$@"; }

rm -rf "$out"
mkdir -p "$out"
say "$BUILD/deer-sim" record --episodes 6 --seed 11 --out "$out/demos.h5"
say "$BUILD/deer-calib" replay --model $model --demos "$out/demos.h5" --cache "$out/cache"
say "$BUILD/deer-calib" solve --cache "$out/cache" --scope llm --avg-fraction 0.4 \
    --method official-exp --out "$out/official.json"
say "$BUILD/deer-calib" solve --cache "$out/cache" --scope llm --avg-fraction 0.4 \
    --out "$out/optimized.json"
say "$BUILD/deer-run" episode --model $model --thresholds "$out/optimized.json" \
    --demos "$out/demos.h5" --demo demo_12

evaluate() { # evaluate NAME OPTIONS...
    name=$1
    shift
    printf '\n$ deer-sim eval --model %s %s\n' "$model" "$*"
    "$BUILD/deer-sim" eval --model $model --episodes "$episodes" --seed 7000 --json "$@" \
        >"$out/$name.rollouts.json"
}
evaluate full
evaluate official --thresholds "$out/official.json"
evaluate optimized --thresholds "$out/optimized.json"
evaluate shipped --thresholds datasets/tabletop/thresholds.json # cameras too
say "$BUILD/deer-report" rollouts full="$out/full.rollouts.json" \
    official="$out/official.rollouts.json" optimized="$out/optimized.rollouts.json" \
    shipped="$out/shipped.rollouts.json" \
    --out "$out/summary.json"
if [ "${PAGE:-yes}" = no ]; then
    printf '\nwrote %s; the page of deer-report whatif is skipped: install npm and run make demo again\n' "$out/summary.json"
    exit 0
fi
say "$BUILD/deer-report" whatif --cache "$out/cache" --demos "$out/demos.h5" --model-shape 3b \
    --rate 5,10,30 --model $model --out "$out/report.html"
echo
echo "wrote $out/summary.json; open $out/report.html in a browser"
