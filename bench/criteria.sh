#!/bin/sh
# SPDX-License-Identifier: MIT
# Does a better criterion make a better robot? Rollouts with thresholds on delta and on the combined criterion
# side by side, on common seeds, after `make figure`. BUILD: the build folder. EPISODES, SEED: as there.
set -eu
BUILD=${BUILD:-build}
curve=$BUILD/curve
out=$BUILD/criteria
model=datasets/tabletop/policy.safetensors
mkdir -p "$out"

for fraction in ${FRACTIONS:-0.20 0.24 0.28 0.33}; do
    name=$out/combined-$fraction
    [ -s "$curve/best-$fraction.json" ] || { echo "run 'make figure' first" >&2; exit 1; }
    if [ ! -s "$name.json" ]; then
        "$BUILD/deer-calib" solve --cache "$curve/cache" --scope llm --avg-fraction "$fraction" \
            --criterion combined --out "$name.tau.json" >/dev/null
        "$BUILD/deer-sim" eval --model $model --seed "${SEED:-31000}" --episodes "${EPISODES:-11}" \
            --thresholds "$name.tau.json" --json >"$name.part"
        mv "$name.part" "$name.json"
    fi
    set -- "$@" "delta-$fraction=$curve/best-$fraction.json" "combined-$fraction=$name.json"
done
"$BUILD/deer-report" rollouts "$@"
