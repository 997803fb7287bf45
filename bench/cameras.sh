#!/bin/sh
# SPDX-License-Identifier: MIT
# What old pictures cost: success of the shipped thresholds with their rules for cameras against full depth with fresh
# ones, start by start, with either of the two alone, and with cameras encoded as often at random or evenly; on seen and
# unseen starts and on rows of five. What is there already is not done again: remove build/cameras to start over. BUILD:
# the build folder. THRESHOLDS: judged. EPISODES: rollouts per task (29 tasks) and seed. SEEDS, UNSEEN (seeds, too).
# ROWS: of instructions. WITHIN: time allowed, in times the expert's.
set -eu
BUILD=${BUILD:-build}
out=$BUILD/cameras
model=datasets/tabletop/policy.safetensors
thresholds=${THRESHOLDS:-datasets/tabletop/thresholds.json}
episodes=${EPISODES:-11}
seeds=${SEEDS:-"91000 92000 93000 94000 95000"}
unseen=${UNSEEN:-"96000 97000"}
rows=${ROWS:-200}
within=${WITHIN:-1.6}
mkdir -p "$out"

# The same rules at full depth, and the same exits with fresh cameras.
/usr/bin/python3 - "$thresholds" "$out/cameras.tau" "$out/exits.tau" <<'EOF'
import json, sys

def write(path, changes):
    t = json.load(open(sys.argv[1]))
    for key in ("dial", "guarantee", "reference", "expected"):
        t.pop(key, None)
    changes(t)
    json.dump(t, open(path, "w"))

write(sys.argv[2], lambda t: t.update(tau=[-1.0] * (len(t["tau"]) - 1) + [None])) # no delta is as small
write(sys.argv[3], lambda t: t.pop("cameras"))
EOF

evaluate() { # evaluate FOLDER NAME OPTIONS...; FOLDER/: other evaluations of the same starts
    mkdir -p "$out/$1"
    file=$out/$1/$2.json
    shift 2
    [ -s "$file" ] && return
    "$BUILD/deer-sim" eval --model $model --json "$@" >"$file.part"
    mv "$file.part" "$file"
}

files() { # files NAME FOLDER..: NAME=FILE,FILE..
    name=$1
    list=
    shift
    for folder; do list="$list,$out/$folder/$name.json"; done
    echo "$name=${list#,}"
}

compare() { # compare "FOLDER.." NAME..: against the first
    folders=$1
    shift
    "$BUILD/deer-report" rollouts --paired $(for name; do files "$name" $folders; done)
    "$BUILD/deer-report" rollouts --paired --within "$within" $(for name; do files "$name" $folders; done)
}

for seed in $seeds; do
    evaluate "$seed" full --seed "$seed" --episodes "$episodes"
    evaluate "$seed" shipped --seed "$seed" --episodes "$episodes" --thresholds "$thresholds"
    evaluate "$seed" exits --seed "$seed" --episodes "$episodes" --thresholds "$out/exits.tau"
    evaluate "$seed" cameras --seed "$seed" --episodes "$episodes" --thresholds "$out/cameras.tau"
    evaluate "$seed" even --seed "$seed" --episodes "$episodes" --thresholds "$thresholds" --even-cameras "$out/$seed/shipped.json"
    evaluate "$seed" random --seed "$seed" --episodes "$episodes" --thresholds "$thresholds" --random-cameras "$out/$seed/shipped.json"
done
for seed in $unseen; do
    evaluate "$seed" full --seed "$seed" --episodes "$episodes" --split unseen
    evaluate "$seed" shipped --seed "$seed" --episodes "$episodes" --split unseen --thresholds "$thresholds"
done
evaluate rows full --seed 98000 --chains "$rows"
evaluate rows shipped --seed 98000 --chains "$rows" --thresholds "$thresholds"

printf '\nseen\n'
compare "$seeds" full exits cameras shipped
printf '\nwhen cameras are encoded\n'
compare "$seeds" shipped even random
printf '\nunseen\n'
compare "$unseen" full shipped
printf '\nrows of five\n'
"$BUILD/deer-report" rollouts full="$out/rows/full.json" shipped="$out/rows/shipped.json"
