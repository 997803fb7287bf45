#!/bin/sh
# SPDX-License-Identifier: MIT
# Do bfloat16 and 8-bit weights make a worse robot? Rollouts on common seeds with float32, bf16 and q8 files
# of the tabletop policy, at full depth and under thresholds calibrated for each file alone. What is there
# already is not done again: remove build/types to start over. BUILD: the build folder. EPISODES: rollouts per
# task (29 tasks). SEED: of the rollouts. FRACTION: average budget, of the LLM at full depth.
set -eu
BUILD=${BUILD:-build}
out=$BUILD/types
fraction=${FRACTION:-0.33}
mkdir -p "$out"

[ -s "$out/demos.h5" ] || "$BUILD/deer-sim" record --episodes 6 --row 2 --seed 21 --out "$out/demos.h5"

evaluate() { # evaluate NAME TYPE OPTIONS...
    [ -s "$out/$1.json" ] && return
    name=$1
    model=$out/$2.safetensors
    shift 2
    echo "$name"
    "$BUILD/deer-sim" eval --model "$model" --seed "${SEED:-31000}" --episodes "${EPISODES:-11}" --json "$@" \
        >"$out/$name.part"
    mv "$out/$name.part" "$out/$name.json"
}

for type in f32 bf16 q8; do
    model=$out/$type.safetensors
    cache=$out/$type-cache
    tau=$out/$type-$fraction.tau.json
    [ -s "$model" ] ||
        "$BUILD/deer-model" convert --model datasets/tabletop/policy.safetensors --dtype $type --out "$model"
    evaluate "$type-full" $type
    if [ ! -s "$out/$type-$fraction.json" ]; then
        "$BUILD/deer-calib" replay --model "$model" --demos "$out/demos.h5" --cache "$cache"
        "$BUILD/deer-calib" solve --cache "$cache" --scope llm --avg-fraction "$fraction" --out "$tau" >/dev/null
    fi
    evaluate "$type-$fraction" $type --thresholds "$tau"
    for name in full "$fraction"; do set -- "$@" "$type-$name=$out/$type-$name.json"; done
done
"$BUILD/deer-report" rollouts "$@" --csv docs/types.csv
