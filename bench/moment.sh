#!/bin/sh
# SPDX-License-Identifier: MIT
# What the moment of a deep step is worth where cameras are looked through only now and then: the schedule that ships, deep at
# the steps that have a new picture, beside as many deep steps by chance, and at the other steps; the same cameras, starts and
# policy. Writes docs/moment.json (success against the time allowed), docs/moment.svg and docs/moment-dark.svg. What is in build/moment is not
# done again. 20 minutes on two free cores. BUILD: the build folder. EPISODES: rollouts per task (45) and seed. SEEDS.
set -eu
BUILD=${BUILD:-build}
out=$BUILD/moment
policy=datasets/tabletop/policy-45-aged.safetensors
schedule="--thresholds datasets/tabletop/schedule-45-aged.json"
seeds=${SEEDS:-"91000 92000 93000"}
mkdir -p "$out"

evaluate() { # evaluate NAME OPTIONS...: with every seed; SCHEDULE is the schedule's result of that seed
    name=$1
    shift
    for seed in $seeds; do
        [ -s "$out/$name-$seed.json" ] && continue
        "$BUILD/deer-sim" eval --model "$policy" --tasks every --episodes "${EPISODES:-12}" --seed "$seed" --json \
            $(echo "$*" | sed "s|SCHEDULE|$out/schedule-$seed.json|g") >"$out/part"
        mv "$out/part" "$out/$name-$seed.json"
    done
}

evaluate full
evaluate schedule $schedule
evaluate random $schedule --exits random:SCHEDULE
evaluate reversed $schedule --exits periodic:0,2
evaluate thresholds --thresholds datasets/tabletop/thresholds-45-aged.json

files() { # files NAME: NAME=FILE,FILE..
    list=
    for seed in $seeds; do list="$list,$out/$1-$seed.json"; done
    echo "$1=${list#,}"
}
for within in "" "--within 1.6" "--within 1.25"; do
    printf '\nsuccess %s\n' "${within:-in 60 steps}"
    "$BUILD/deer-report" rollouts --paired $within $(for name in schedule random reversed thresholds full; do files $name; done)
done
/usr/bin/python3 - "$out" $seeds >docs/moment.json <<'PY'
import json
import sys

folder, *seeds = sys.argv[1:]
settings = {}
for name in ("full", "schedule", "thresholds", "random", "reversed"):
    of = [json.load(open(f"{folder}/{name}-{seed}.json")) for seed in seeds]
    n = sum(one["rollouts"] for one in of)
    mean = lambda value: round(sum(one["rollouts"] * value(one) for one in of) / n, 6)
    settings[name] = {"rollouts": n, "success": mean(lambda one: one["success"]), "total_gflops": mean(lambda one: one["total_gflops"]),
                      "in_time": [[x["factor"], mean(lambda one: one["in_time"][i]["success"])] for i, x in enumerate(of[0]["in_time"])]}
print(json.dumps({"seeds": [int(seed) for seed in seeds], "settings": settings}, indent=1))
PY
[ ! -d "$BUILD/reports/page" ] || node bench/curve.mjs "$BUILD/reports/page"
