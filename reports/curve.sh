#!/bin/sh
# Success against LLM GFLOPs per action: fixed exits, official heuristic, optimised thresholds, on common
# seeds. Writes docs/curve/*.csv and docs/curve.svg. BUILD: the build folder. EPISODES: rollouts per task.
set -eu
BUILD=${BUILD:-build}
out=$BUILD/curve
model=datasets/tabletop/policy.safetensors
episodes=${EPISODES:-14} # 23 tasks: 322 rollouts a point
fractions=${FRACTIONS:-"0.22 0.26 0.30 0.40 0.55 0.70"}
unset OPENBLAS_CORETYPE
export OPENBLAS_NUM_THREADS=1
mkdir -p "$out" docs/curve

if [ ! -d "$out/cache" ]; then
    "$BUILD/deer-sim" record --tasks all --episodes 12 --seed 21 --out "$out/demos.h5"
    "$BUILD/deer-calib" replay --model $model --demos "$out/demos.h5" --cache "$out/cache"
fi

evaluate() { # evaluate NAME OPTIONS...: what is there already is not done again
    [ -s "$out/$1.json" ] && return
    name=$1
    shift
    echo "$name"
    "$BUILD/deer-sim" eval --model $model --episodes "$episodes" --seed 9000 --json "$@" \
        >"$out/$name.part"
    mv "$out/$name.part" "$out/$name.json"
}

table() { # table SERIES NAME...
    series=$1
    shift
    for name in "$@"; do set -- "$@" "$name=$out/$name.json"; shift; done
    "$BUILD/deer-report" rollouts "$@" --csv "docs/curve/$series.csv"
}

fixed=""
for exit in 0 1 2 3 4 5; do
    evaluate "fixed-$exit" --exit "$exit"
    fixed="$fixed fixed-$exit"
done
table fixed $fixed
for method in official-exp best; do
    names=""
    for fraction in $fractions; do
        "$BUILD/deer-calib" solve --cache "$out/cache" --scope llm --avg-fraction "$fraction" \
            --method $method --out "$out/$method-$fraction.tau.json" >/dev/null
        evaluate "$method-$fraction" --thresholds "$out/$method-$fraction.tau.json"
        names="$names $method-$fraction"
    done
    table $method $names
done
gnuplot reports/curve.gnuplot
echo "wrote docs/curve.svg"
