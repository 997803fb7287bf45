#!/bin/sh
# SPDX-License-Identifier: MIT
# What choosing the moment is worth when time counts: success within 1.25 times the expert's time, start by
# start, of thresholds, rules and blind controls at common budgets; then which loss of recorded episodes foretells
# it (rank correlation). Writes docs/clock/*.json, docs/clock.svg and docs/clock-dark.svg. What is there already is not done
# again: remove build/clock to start over. BUILD: the build folder. EPISODES: rollouts per task (45 tasks) and seed. SEEDS.
# BUDGETS: shares of the full LLM cost. FACTOR: rollouts end at so many times the expert's time; WITHIN: they are judged by that.
# MODEL, TASKS: another policy, with OUT and DATA, folders for what was done and for the comparisons.
set -eu
BUILD=${BUILD:-build}
out=${OUT:-$BUILD/clock}
model=${MODEL:-datasets/tabletop/policy-45.safetensors}
tasks=${TASKS:-every}
data=${DATA:-docs/clock}
episodes=${EPISODES:-12}
seeds=${SEEDS:-"31000 32000 33000"}
budgets=${BUDGETS:-"0.20 0.24 0.33 0.40"}
factor=${FACTOR:-1.6}
within=${WITHIN:-1.25}
mkdir -p "$out" "$data"

[ -s "$out/demos.h5" ] || "$BUILD/deer-sim" record --tasks "$tasks" --episodes 4 --row 2 --seed 21 --out "$out/demos.h5"
[ -s "$out/cache/cache.h5" ] || "$BUILD/deer-calib" replay --model "$model" --demos "$out/demos.h5" --cache "$out/cache"

solve() { # solve NAME OPTIONS...: thresholds for $budget
    [ -s "$out/$1-$budget.tau" ] && return
    name=$1-$budget.tau
    shift
    "$BUILD/deer-calib" solve --cache "$out/cache" --scope llm --avg-fraction "$budget" --out "$out/$name" "$@" >"$out/$name.txt"
}

evaluate() { # evaluate NAME OPTIONS...: with every seed
    name=$1
    shift
    for seed in $seeds; do
        mkdir -p "$out/$seed"
        [ -s "$out/$seed/$name.json" ] && continue
        # FILE: another evaluation of the same seed
        "$BUILD/deer-sim" eval --model "$model" --tasks "$tasks" --seed "$seed" --strict "$factor" --episodes "$episodes" --json \
            $(echo "$*" | sed "s|FILE|$out/$seed|g") >"$out/$seed/$name.part"
        mv "$out/$seed/$name.part" "$out/$seed/$name.json"
    done
}

same() { # same NAME OTHER: the same thresholds are not judged twice
    ! cmp -s "$out/$1.tau" "$out/$2.tau" ||
        for seed in $seeds; do [ -s "$out/$seed/$1.json" ] || cp "$out/$seed/$2.json" "$out/$seed/$1.json"; done
}

files() { # files NAME: NAME=FILE,FILE..
    list=
    for seed in $seeds; do list="$list,$out/$seed/$1.json"; done
    echo "$1=${list#,}"
}

evaluate full --exit 5
for exit in 0 1 2; do evaluate fixed-$exit --exits fixed:$exit; done
for budget in $budgets; do
    solve best
    solve official --method official-exp
    solve rule --rule auto
    solve schedule --rule schedule
    evaluate "best-$budget" --thresholds "$out/best-$budget.tau"
    evaluate "official-$budget" --thresholds "$out/official-$budget.tau"
    same "rule-$budget" "best-$budget"
    evaluate "rule-$budget" --thresholds "$out/rule-$budget.tau"
    evaluate "schedule-$budget" --thresholds "$out/schedule-$budget.tau"
    evaluate "random-$budget" --exits "random:FILE/best-$budget.json"
    evaluate "markov-$budget" --exits "markov:FILE/best-$budget.json"
done
evaluate oracle-0.1 --exits oracle:0.1
evaluate oracle-0.06 --exits oracle:0.06

for budget in $budgets; do
    printf '\nbudget %s, within %s times the expert'"'"'s time\n' "$budget" "$within"
    "$BUILD/deer-report" rollouts --paired --within "$within" --out "$data/$budget.json" $(for name in best-$budget rule-$budget \
        official-$budget schedule-$budget random-$budget markov-$budget fixed-0 fixed-1 fixed-2 oracle-0.06 oracle-0.1 full; do files $name; done)
done
printf '\nover all budgets\n'
/usr/bin/python3 bench/over_budgets.py "$out" "$within" "$seeds" "$budgets" best rule official random markov schedule
[ "$data" != docs/clock ] || [ ! -d "$BUILD/reports/page" ] || node bench/curve.mjs "$BUILD/reports/page"

# ---------------------------------------------------------------- which loss foretells it ---------

number() { awk -v key="\"$2\":" '$1 == key { gsub(",", "", $2); print $2; exit }' "$1"; }

printf '\nrank correlation of losses on recorded episodes with failure in time\n'
for tau in "$out"/*.tau; do
    name=$(basename "$tau" .tau)
    "$BUILD/deer-calib" check --cache "$out/cache" --thresholds "$tau" --json >"$out/check.part" || [ $? -eq 3 ]
    sum=0
    count=0
    for seed in $seeds; do
        sum=$(awk -v within="$within" -v sum="$sum" '$1 == "\"factor\":" && $2 + 0 == within + 0 { getline; print sum + $2; exit }' \
            "$out/$seed/$name.json")
        count=$((count + 1))
    done
    for loss in mean demo window gathered adrift poor runs behind; do
        echo "$loss $(number "$out/check.part" $loss) $(echo "$sum $count" | awk '{ print $1 / $2 }')"
    done
done | awk '
    { n[$1]++; x[$1, n[$1]] = $2; y[$1, n[$1]] = -$3 }
    function rank(v, key, i, count,   j, below, same) {
        below = same = 0
        for (j = 1; j <= count; j++) { below += v[key, j] < v[key, i]; same += v[key, j] == v[key, i] }
        return below + (same + 1) / 2
    }
    function correlation(key, first, step,   i, a, b, sa, sb, saa, sbb, sab, m) {
        m = sa = sb = saa = sbb = sab = 0
        for (i = first; i <= n[key]; i += step) {
            a = rank(x, key, i, n[key]); b = rank(y, key, i, n[key])
            m++; sa += a; sb += b; saa += a * a; sbb += b * b; sab += a * b
        }
        return (sab - sa * sb / m) / sqrt((saa - sa * sa / m) * (sbb - sb * sb / m))
    }
    END {
        printf "%-10s %8s %8s %8s %9s\n", "loss", "all", "odd", "even", "settings"
        for (key in n) printf "%-10s %8.3f %8.3f %8.3f %9d\n", key, correlation(key, 1, 1), correlation(key, 1, 2), correlation(key, 2, 2), n[key]
    }'
