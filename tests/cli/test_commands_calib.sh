#!/bin/sh
# SPDX-License-Identifier: MIT
# deer-calib by its commands, from the cache to the robot: replay, solve, check, online; what it is given
# and what it writes. BUILD: the build folder; MODEL: the policy.
# shellcheck disable=SC2086 # options are split on purpose
. tests/cli/lib.sh

make_models
make_demos
make_thresholds

# ---------------------------------------------------------------- from demonstrations to thresholds

bad_demos "$calib" replay --model "$model" --cache "$files/new" --demos
bad_models "$calib" replay --demos "$demos" --cache "$files/new" --model
ok "$calib" replay --model "$model" --demos "$demos" --cache "$cache"
ok "$calib" replay --model "$model" --demos "$demos" --cache "$cache" # nothing left to do
fails 1 . "$calib" replay --model "$a" --demos "$demos" --cache "$cache"
ok "$calib" solve --cache "$cache" $budget --out "$files/t.json"
json 'deer_thresholds tau expected' cat "$files/t.json"
json "tau average_cost peak_cost loss exit_fraction baseline_loss oracle_loss gap_closed evaluations
    seconds guarantee criterion history" "$calib" solve --cache "$cache" $budget \
    --out "$files/t.json" --json
json 'tau loss expected budget_kept' "$calib" check --cache "$cache" --thresholds "$files/t.json" --json
ok "$calib" --model "$model" --demos "$demos" $budget --out "$files/short.json"
! grep -q deer-calib- "$out" || wrong "it names a folder that is gone"
grep -q "^$demos: 4 episodes" "$err" || wrong "the demonstrations are not named"
! grep -q 'deer-calib-' "$err" || wrong "a folder that is gone is named"
nowhere 3 . "$calib" solve --cache "$cache" --avg-gflops 1e-6 --out "$files/new.json"
nowhere 1 . "$calib" solve --cache "$cache" $budget --out "$files/none/new.json"
fails 1 . "$calib" solve --cache "$files/none" $budget --out "$files/new.json"
# Rules of exits: chosen, written, judged, run.
json 'rules tau loss' "$calib" solve --cache "$cache" $budget --rule schedule \
    --out "$files/rule.json" --json
grep -q '"kind": "schedule"' "$files/rule.json" || wrong "no schedule in the thresholds file"
json 'episode_losses average_llm_gflops exit_fraction' "$calib" check --cache "$cache" \
    --thresholds "$files/rule.json" --json
json 'expected exit_fraction' "$build/deer-run" episode --model "$model" --demos "$demos" \
    --thresholds "$files/rule.json" --json
ok "$calib" solve --cache "$cache" $budget --rule auto
grep -q '  taken$' "$out" || wrong "no rule is taken"
fails 2 'auto, delta, refresh' "$calib" solve --cache "$cache" $budget --rule hope
fails 2 'goes without --frontier' "$calib" solve --cache "$cache" $budget --rule debt --frontier "$files/f.json"
fails 1 'takes on-policy history' "$calib" check --cache "$cache" --history full --thresholds "$files/rule.json"
ok "$calib" check --cache "$cache" --thresholds "$files/t.json"
grep -q ': kept, ' "$out" || wrong "the budget is not kept where it was solved for"
sed '/"budget"/,/}/s/"average_gflops": .*,/"average_gflops": 0.001,/' "$files/t.json" >"$files/tight.json"
for form in "" --json; do
    run "$calib" check --cache "$cache" --thresholds "$files/tight.json" $form
    [ "$status" -eq 3 ] || wrong "status $status, not 3"
    grep -q 'tight.json breaks its budget' "$err" || wrong "the message does not name the budget"
    grep -q ': exceeded, \|"budget_kept": false' "$out" || wrong "the table is not printed"
done
bad_thresholds "$calib" check --cache "$cache" --thresholds
fails 1 'another model' "$calib" check --cache "$cache" --thresholds "$files/a.json"
json 'expected exit_fraction' "$build/deer-run" episode --model "$model" --demos "$demos" \
    --thresholds "$files/t.json" --json
ok "$build/deer-run" episode --model "$model" --demos "$demos" --instruction 'lift the red zzz'
grep -q '1 of 1 instructions have words that the model does not know' "$err" || wrong 'no warning'
# A guaranteed share of full depth is of the episodes solved on, whose instructions are others.
ok "$build/tests/report_cache" "$model" "$files/made" 40 10
share="$calib solve --cache $files/made --history full --scope llm --avg-fraction 0.6 --json"
ok $share
budget_of_all=$(grep '"budget"' "$out")
ok $share --confidence 0.9
grep -q '"p_budget"' "$out" || wrong "nothing was guaranteed"
! grep -q "$budget_of_all" "$out" || wrong "held-out episodes chose the budget"
# What stands in an output's way is found out before the work.
solve="$calib solve --cache $cache $budget"
mkfifo "$files/pipe"
ln -s a "$files/link"
nowhere 1 'not a regular file' $solve --out "$files/pipe"
nowhere 1 'not a regular file' $solve --out /dev/null
nowhere 1 'No such file' $solve --out "$files/no/such/t.json"
nowhere 2 'would overwrite' $solve --frontier "$files/z" --out "$files/z"
nowhere 2 'would overwrite' $solve --out "$cache/manifest.json"
nowhere 2 'would overwrite' "$build/deer-model" convert --model "$files/a" --dtype q8 --out "$files/link"
nowhere 2 'not standard output' "$build/deer-model" convert --model "$files/a" --dtype q8 --out -
nowhere 1 'not a regular file' "$build/deer-model" import --checkpoint "$files/pipe" --out "$files/new"
ok $solve --json --print-official --out -
grep -q '"deer_thresholds"' "$out" || wrong "--out - printed no thresholds"
rm "$files/pipe" "$files/link"
# The same cache comes out as the same bytes.
ok "$calib" replay --model "$model" --demos "$demos" --cache "$files/again"
for part in shard-00000.h5 cache.h5; do
    cmp -s "$cache/$part" "$files/again/$part" || wrong "$part is not the same"
done
# The combined criterion: from the cache to the robot.
combined="$calib solve --cache $cache --criterion combined"
ok $combined $budget --frontier "$files/f.json" --frontier-points 3 --out "$files/s.json"
json 'criterion score tau dial' cat "$files/s.json"
json 'tau loss expected budget_kept' "$calib" check --cache "$cache" --thresholds "$files/s.json" --json
json 'expected exit_fraction' "$build/deer-run" episode --model "$model" --demos "$demos" \
    --thresholds "$files/s.json" --budget 0.005 --json

# ---------------------------------------------------------------- by trial ------------------------

# Thresholds by trial: an evaluator that knows what it wants; killed, the search goes on to the same answer.
cat >"$files/robot.sh" <<'END'
awk '/"tau"/ && !seen++ { getline; t = $1 + 0 } END { printf "{\"success\": %f, \"cost\": 0.0049, \"rollouts\": 50}\n",
1 / (1 + (log(t) + 4) ^ 2) }' "$1"
sleep 0.02
END
online="$calib online --thresholds $files/s.json --budget 0.005 --evaluations 14"
robot="sh $files/robot.sh {thresholds}"
ok $online --eval "$robot" --out "$files/o.json"
grep -q '^14 evaluations of ' "$out" && grep -q '^offline ' "$out" || wrong "no report"
json 'deer_thresholds tau dial expected calibration' cat "$files/o.json"
ok "$build/deer-run" episode --model "$model" --demos "$demos" --thresholds "$files/o.json"
TMPDIR=$work $online --eval "$robot" --out "$files/p.json" >"$out" 2>"$err" & # leaves its folder there
killed=$!
tries=0
while [ $tries -lt 500 ] && ! grep -q '"trial": 3' "$files/p.json.journal.json" 2>/dev/null; do
    sleep 0.02
    tries=$((tries + 1))
done
kill -9 $killed 2>/dev/null
wait $killed 2>/dev/null
json 'evaluations found offline' $online --eval "$robot" --out "$files/p.json" --json
grep -q 'goes on with [1-9]' "$err" || wrong "it did not go on"
ok cmp "$files/o.json" "$files/p.json"
fails 1 'has results of other settings' $online --eval 'true {thresholds}' --out "$files/p.json"
nowhere 1 'printed no JSON object' $online --eval 'echo {thresholds}' --out "$files/q.json"
nowhere 1 'ended with status 1 (no robot)' $online --eval 'echo no robot >&2; false {thresholds}' --out "$files/q.json"
nowhere 1 'took more than 0.2 seconds' $online --eval 'sleep 9; : {thresholds}' --timeout 0.2 --out "$files/q.json"
nowhere 2 'a place for {thresholds}' $online --eval true --out "$files/q.json"
nowhere 2 '--coordinates must be 1 to 4' $online --coordinates 5 --eval "$robot" --out "$files/q.json"
nowhere 1 'no dial to search along' "$calib" online --thresholds "$files/t.json" --budget 0.005 --eval "$robot" --out "$files/q.json"
nowhere 3 "below the dial's least" "$calib" online --thresholds "$files/s.json" --budget 0.001 --eval "$robot" --out "$files/q.json"
usage $combined $budget --print-official
usage $combined $budget --history random
usage "$calib" solve --table "$files/t.h5" --criterion combined --avg-cost 1
sed 's/"constant"/"constent"/' "$files/s.json" >"$files/bad.json"
fails 1 'score 0' "$calib" check --cache "$cache" --thresholds "$files/bad.json"
fails 1 'score 0' "$build/deer-sim" eval --model "$model" --thresholds "$files/bad.json"

whatif="$build/deer-report whatif --cache $cache --rate 10"
unmet() { # unmet WORDS COMMAND...: status 3, with the report
    words=$1
    shift
    run "$@"
    [ "$status" -eq 3 ] && [ -s "$out" ] || wrong "status $status, not 3 with a report"
    grep -q -- "$words" "$err" || wrong "the message does not say '$words'"
}
unmet 'Hailo-8 accelerator: cannot: .* only$' $whatif --hardware hailo-8
unmet 'this kind of model can run on none of these machines$' $whatif --hardware hailo-8,coral-edge-tpu
unmet 'M4, 16 GB: runtime: .*; estimate another runtime' $whatif --hardware apple-m4
fails 2 "no power mode '12W'; it has MAXN_SUPER, 25W, 15W, 7W" $whatif --hardware orin-nano-8:12W

finish
