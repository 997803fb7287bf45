#!/bin/sh
# SPDX-License-Identifier: MIT
# The shipped policy by its commands: rollouts judged and compared, exits and cameras from outside, a
# governor. BUILD: the build folder; MODEL: the policy.
# shellcheck disable=SC2086 # options are split on purpose
. tests/cli/lib.sh

make_models
make_demos
make_thresholds
make_cache

# ---------------------------------------------------------------- rollouts ------------------------

json 'average_llm_gflops exit_fraction memory_bytes episodes' \
    "$build/deer-run" episode --model "$model" --demos "$demos" --all --json
fails 1 'another model' "$build/deer-run" episode --model "$model" --demos "$demos" \
    --thresholds "$files/a.json"
json 'success low high rollouts exit_fractions seed split model_fingerprint weights exit thresholds' \
    "$build/deer-sim" eval --model "$model" \
    --tasks press_button --episodes 2 --json
# What is judged in time is what the curve of another evaluation says of that time.
strict="$build/deer-sim eval --model $model --exit 0 --tasks lift --episodes 2 --json"
json 'strict time_median time_p90 in_time outcomes exit_follows' $strict
in_time=$(awk '/"factor": 1\.25,/ { getline; print $2 }' "$out")
cp "$out" "$files/free.json"
json 'strict in_time outcomes' $strict --strict
cp "$out" "$files/strict.json"
[ "$(awk '/"success":/ { print $2 + 0; exit }' "$out")" = "$(echo "$in_time" | awk '{ print $1 + 0 }')" ] ||
    wrong "--strict and the curve at 1.25 are not the same"
[ "$in_time" != 0.0 ] && [ "$in_time" != 1.0 ] || wrong "in time: $in_time tells nothing"
[ "$(grep -c '"expert_steps": [1-9]' "$out")" -eq 6 ] || wrong "not an outcome of every rollout"
once="$build/deer-sim eval --model $model --exit 0 --tasks lift_red --episodes 1 --json"
ok $once --strict
sed '/ms_per_step/d' "$out" >"$files/one"
ok $once --strict=1.25
sed '/ms_per_step/d' "$out" >"$files/two"
ok cmp "$files/one" "$files/two"
# Exits chosen from outside: a periodic one is its own Markov chain; shares, whatever the workers.
control="$build/deer-sim eval --model $model --tasks lift --episodes 1 --json"
ok $control --exits periodic:0,1,2
cp "$out" "$files/periodic.json"
json 'exits first_exits exit_follows exit_fractions' $control --exits "markov:$files/periodic.json"
sed '/"exits"\|ms_per_step/d' "$out" >"$files/one" && sed '/"exits"\|ms_per_step/d' "$files/periodic.json" >"$files/two"
ok cmp "$files/one" "$files/two"
ok $control --exits "random:$files/periodic.json" --workers 1
sed '/ms_per_step/d' "$out" >"$files/one"
ok $control --exits "random:$files/periodic.json" --workers 3
sed '/ms_per_step/d' "$out" >"$files/two"
ok cmp "$files/one" "$files/two"
ok $control --exits oracle:0.05
fails 1 'what followed' $control --exits "markov:$files/a.json"
fails 2 'exits of 0 to 5 between commas' $control --exits periodic:0,6
fails 2 'fixed: takes one exit' $control --exits fixed:0,1
fails 2 'no number of 0 or more' $control --exits oracle:-1
fails 2 "oracle:EPS or expert:PRICE, not 'blind'" $control --exits blind
fails 2 'exit excludes' $control --exits fixed:0 --exit 1
# Under a file's rules for cameras: its own schedule from outside is the same, exits drawn as often look as often.
aged="$build/deer-sim eval --model datasets/tabletop/policy-45-aged.safetensors --thresholds datasets/tabletop/schedule-45-aged.json --tasks lift --episodes 1 --json"
ok $aged
sed '/"exits"\|ms_per_step/d' "$out" >"$files/one"
cp "$out" "$files/scheduled.json"
ok $aged --exits periodic:2,0
sed '/"exits"\|ms_per_step/d' "$out" >"$files/two"
ok cmp "$files/one" "$files/two"
json 'exits thresholds encoded' $aged --exits "random:$files/scheduled.json"
[ "$(grep -A1 '"encoded"' "$out" | grep -c '0\.1')" -eq 1 ] || wrong "exits from outside forget the rules for cameras"
fails 1 'which of 3 exits' $aged --exits "random:$files/a.json"
fails 2 'exits excludes' $aged --exits fixed:0 --govern 0.01
fails 2 'exits excludes' $aged --exits fixed:0 --budget 0.01
fails 2 'leave --thresholds out' $aged --exits oracle:0.1
fails 2 '--strict must be 1 to 60, not 0.5' $strict --strict 0.5
fails 2 "'1.2x' is no value for --strict" $strict --strict 1.2x
json 'against pairs' "$build/deer-report" rollouts --paired "$files/strict.json" "b=$files/strict.json" --json
grep -q '"first_llm_gflops": 0\.00' "$out" || wrong "pairs without what they cost"
# The policies of all 45 tasks, under their thresholds, at some that the first one has not learnt.
for which in thresholds-45 thresholds-45-aged schedule-45-aged; do
    ok "$build/deer-sim" eval --model datasets/tabletop/policy-${which#*-}.safetensors --thresholds datasets/tabletop/$which.json \
        --tasks lift_left_of_red,store_left_of_red,lift_farthest --episodes 2 --seed 5 --json
    [ "$(grep -c '"success": true' "$out")" -ge 4 ] || wrong "$which fails at new tasks"
done
ok "$build/deer-report" rollouts --paired "a=$files/free.json,$files/free.json" "b=$files/free.json,$files/free.json"
grep -q '^against a: .* of 12 rollouts' "$out" || wrong "two files are not one comparison"
fails 1 'not judged alike' "$build/deer-report" rollouts --paired "$files/free.json" "$files/strict.json"
fails 2 'not as many files' "$build/deer-report" rollouts --paired "a=$files/free.json" "b=$files/free.json,$files/free.json"
fails 2 'compares 2 to 64' "$build/deer-report" rollouts --paired "$files/free.json"
ok "$build/deer-sim" eval --model "$model" --exit 1 --tasks press_button --episodes 1 --json
grep -q '"mean_exit": 1\.0$' "$out" || wrong "the mean of exit 1 is not 1"
ok "$build/deer-sim" eval --expert --tasks lift_red,push_red_left --episodes 1
grep -Eq '^all .* -  +-  +-$' "$out" || wrong 'no dashes for mean exit and costs of the expert'
fails 2 'give one of --model' "$build/deer-sim" eval --expert --model "$model"
fails 2 'deer-sim tasks lists them' "$build/deer-sim" eval --expert --tasks lift_purple
ok "$build/deer-sim" eval --model "$model" --tasks press_button --episodes 1 # carries nothing
grep -q '^carry  *0 .*  -$' "$out" || wrong "no dash for the mean exit of no steps"
! grep -q nan "$out" || wrong "a table for people has nan"
ok "$build/deer-sim" watch --model "$model" --exit 0 --out "$files/w.webp" --sheet "$files/w.png"
# Three frames of 512 pixels side by side, 16 apart: a PNG says its width at byte 16.
[ "$(od -An -tu1 -j18 -N2 "$files/w.png" | tr -s ' ')" = " 6 32" ] || wrong "the sheet is not 1568 pixels wide"
ok "$build/deer-sim" picture --moments 1 --out "$files/scene.png"

# ---------------------------------------------------------------- cameras -------------------------

# Encodings of the static camera up to four steps old: how often is said, and drawn for a control.
sed 's/^ "steps_per_stage": 1/ "cameras": {"static": {"age": 4}, "gripper": {"age": 0}},\n&/' "$files/s.json" >"$files/cameras.json"
rules="$build/deer-sim eval --model $model --tasks lift --episodes 1 --json --thresholds"
json 'encoded first_total_gflops' $rules "$files/cameras.json"
cp "$out" "$files/encoded.json"
awk '/"encoded":/ { getline; s = $1 + 0; getline; exit !(s > 0.2 && s < 0.3 && $1 + 0 == 1) }' "$out" ||
    wrong "the static camera is not encoded at every fifth step, the wrist camera at every one"
json 'encoded random_cameras' $rules "$files/s.json" --random-cameras "$files/encoded.json"
awk '/"encoded":/ { getline; s = $1 + 0; getline; exit !(s > 0.1 && s < 0.5 && $1 + 0 == 1) }' "$out" ||
    wrong "cameras are not encoded as often as in the result given"
# Rollouts of a dozen steps: of each, one encoding may fall behind its end.
json 'encoded even_cameras' $rules "$files/s.json" --even-cameras "$files/encoded.json"
awk '/"encoded":/ { getline; s = $1 + 0; getline; exit !(s > 0.13 && s < 0.3 && $1 + 0 == 1) }' "$out" ||
    wrong "cameras are not encoded evenly, as often as in the result given"
fails 2 'exclude each other' $rules "$files/s.json" --even-cameras "$files/a.json" --random-cameras "$files/a.json"
fails 1 'no shares of two cameras' $rules "$files/s.json" --random-cameras "$files/a.json"
fails 2 '--random-cameras needs --model' "$build/deer-sim" eval --expert --random-cameras "$files/encoded.json"
fails 2 '--ages takes up to 7 ascending ages' "$build/deer-calib" replay --model "$model" \
    --demos "$demos" --cache "$files/aged" --ages 2,1:1
fails 1 'encodings up to 4 and 0 steps old' "$build/deer-calib" check --cache "$cache" --thresholds "$files/cameras.json"
json 'success rollouts' "$build/deer-sim" eval --model "$model" --thresholds "$files/s.json" \
    --tasks press_button --episodes 1 --seed 77 --split unseen --json
grep -q '"seed": 77' "$out" && grep -q '"split": "unseen"' "$out" &&
    grep -q "\"thresholds\": \"$files/s.json\"" "$out" || wrong "the evaluation does not say of what"

# ---------------------------------------------------------------- a governor ----------------------

# A governor: the same whatever the number of processes; what was used stands beside what was asked.
govern="--thresholds $files/s.json --govern 0.005"
json 'budget noise light' "$build/deer-sim" eval --model "$model" $govern \
    --tasks lift --episodes 1 --light 0.5 --noise 1 --workers 1 --json
cp "$out" "$files/lit.json"
sed '/ms_per_step/d' "$out" >"$files/one"
ok "$build/deer-sim" eval --model "$model" $govern --tasks lift --episodes 1 --light 0.5 --noise 1 --workers 3 --json
sed '/ms_per_step/d' "$out" >"$files/two"
ok cmp "$files/one" "$files/two"
ok "$build/deer-sim" eval --model "$model" $govern --tasks press_button --episodes 1
grep -q '^budget, LLM GFLOPs a step: asked 0.005000, governed, used 0.0[0-9]*, ' "$out" || wrong "no line of the budget"
ok "$build/deer-report" rollouts "lit=$files/lit.json"
grep -q '^lit  *llm  *0.005000  *-  *0.0.* governed' "$out" || wrong "no row of the budget"
json 'budget' "$build/deer-run" episode --model "$model" --demos "$demos" --all $govern --json
ok "$build/deer-run" episode --model "$model" --demos "$demos" --all --thresholds "$files/s.json"
grep -q '^budget, LLM GFLOPs a step: asked 0.0[0-9]*, expected 0.0[0-9]*, used ' "$out" || wrong "nothing was expected"
for program in "$build/deer-sim eval" "$build/deer-run episode --demos $demos"; do
    fails 3 "below the dial's least" $program --model "$model" --thresholds "$files/s.json" --govern 0.001
    fails 2 'no dial to govern' $program --model "$model" --thresholds "$files/t.json" --govern 0.005
    fails 2 '--govern needs --thresholds' $program --model "$model" --govern 0.005
    fails 2 '--horizon needs --govern' $program --model "$model" --horizon 500
    fails 2 '--horizon must be 200 to' $program --model "$model" $govern --horizon 199
    fails 2 'exclude each other' $program --model "$model" $govern --budget 0.005
done
fails 2 '--light above 0' "$build/deer-sim" eval --model "$model" --light 0
fails 2 '--noise must be 0 or more' "$build/deer-sim" eval --model "$model" --noise -1

finish
