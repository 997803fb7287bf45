#!/bin/sh
# SPDX-License-Identifier: MIT
# Success against LLM GFLOPs per action on common seeds: fixed exits, the official heuristic, optimised
# thresholds, and exits drawn at random as often as those take them; and rows of five instructions. Writes
# docs/curve/*.csv, docs/curve.svg and docs/curve-dark.svg. What is there already is not done again: remove build/curve to start
# over. BUILD: the build folder. EPISODES: rollouts per task (29 tasks). CHAINS: rows. SEED: of both.
set -eu
BUILD=${BUILD:-build}
out=$BUILD/curve
model=datasets/tabletop/policy.safetensors
episodes=${EPISODES:-11}
chains=${CHAINS:-200}
seed=${SEED:-31000}
fractions=${FRACTIONS:-"0.20 0.24 0.28 0.33 0.40 0.50 0.65 0.80"}
mkdir -p "$out" docs/curve

if [ ! -d "$out/cache" ]; then
    "$BUILD/deer-sim" record --episodes 6 --row 2 --seed 21 --out "$out/demos.h5"
    "$BUILD/deer-calib" replay --model $model --demos "$out/demos.h5" --cache "$out/cache"
fi

evaluate() { # evaluate NAME OPTIONS...
    [ -s "$out/$1.json" ] && return
    name=$1
    shift
    echo "$name"
    "$BUILD/deer-sim" eval --model $model --seed "$seed" --json "$@" >"$out/$name.part"
    mv "$out/$name.part" "$out/$name.json"
}

table() { # table SERIES NAME...
    series=$1
    shift
    for name in "$@"; do set -- "$@" "$name=$out/$name.json"; shift; done
    "$BUILD/deer-report" rollouts "$@" --csv "docs/curve/$series.csv"
}

solve() { # solve METHOD FRACTION
    "$BUILD/deer-calib" solve --cache "$out/cache" --scope llm --avg-fraction "$2" --method "$1" \
        --out "$out/$1-$2.tau.json" >/dev/null
}

series() { # series METHOD: rollouts at every budget
    names=""
    for fraction in $fractions; do
        solve "$1" "$fraction"
        evaluate "$1-$fraction" --episodes "$episodes" --thresholds "$out/$1-$fraction.tau.json"
        names="$names $1-$fraction"
    done
    table "$1" $names
}

names=""
for exit in 5 4 3 2 1 0; do
    evaluate "fixed-$exit" --episodes "$episodes" --exit "$exit"
    names="$names fixed-$exit"
done
table fixed $names
series best
series official-exp
names=""
for fraction in $fractions; do
    evaluate "random-$fraction" --episodes "$episodes" --exits "random:$out/best-$fraction.json"
    names="$names random-$fraction"
done
table random $names

rows=${ROWS:-"0.24 0.33 0.50"}
evaluate chains-full --chains "$chains"
evaluate chains-first --chains "$chains" --exit 0
names="chains-full chains-first"
for fraction in $rows; do
    evaluate "chains-$fraction" --chains "$chains" --thresholds "$out/best-$fraction.tau.json"
    names="$names chains-$fraction"
done
table chains $names
node bench/curve.mjs "$BUILD/reports/page"
