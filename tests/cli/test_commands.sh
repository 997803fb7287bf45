#!/bin/sh
# SPDX-License-Identifier: MIT
# The manners of every program: help, version, exit statuses, one clear line for each failure, JSON
# that parses, and nothing half-written. BUILD: the build folder; MODEL: the policy to try them with.
set -u
export LC_ALL=C
build=${BUILD:-build}
model=${MODEL:-datasets/tabletop/policy.safetensors}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
files=$work/files # what the programs read and write
mkdir "$files"
out=$work/stdout
err=$work/stderr
checks=0
failures=0

# ---------------------------------------------------------------- checks --------------------------

wrong() { # wrong WHAT
    failures=$((failures + 1))
    echo "FAILED: $1"
    echo "   in: $command"
    sed 's/^/   stderr: /' "$err" | head -n 5
}

run() { # run COMMAND...: its status is in $status, its output in $out and $err
    command="$*"
    checks=$((checks + 1))
    "$@" >"$out" 2>"$err" </dev/null
    status=$?
}

one_line() { # the failure just seen is one line that starts with the program's name
    [ "$(wc -l <"$err")" -eq 1 ] || wrong "$(wc -l <"$err") lines on standard error, not 1"
    case $(cat "$err") in
    deer-*:\ *) ;;
    *) wrong "the message does not start with the program's name" ;;
    esac
    [ ! -s "$out" ] || wrong "a failure printed on standard output"
}

ok() { # ok COMMAND...
    run "$@"
    [ "$status" -eq 0 ] || wrong "status $status, not 0"
}

fails() { # fails STATUS WORDS COMMAND...: the message holds WORDS (a grep pattern)
    expected=$1
    words=$2
    shift 2
    run "$@"
    [ "$status" -eq "$expected" ] || wrong "status $status, not $expected"
    one_line
    grep -q -- "$words" "$err" || wrong "the message does not say '$words'"
}

usage() { # usage COMMAND...: wrong usage, which points to the help
    fails 2 '(see deer-.* --help)' "$@"
}

json() { # json 'KEYS' COMMAND...: prints one JSON object with these keys, and nothing else
    keys=$1
    shift
    ok "$@"
    # shellcheck disable=SC2086
    "$build/tests/command_helper" json "$out" $keys || wrong "no JSON object with $keys"
}

nowhere() { # nowhere STATUS WORDS COMMAND...: fails and leaves the folder as it was
    ls -A "$files" >"$work/before"
    fails "$@"
    ls -A "$files" >"$work/after"
    cmp -s "$work/before" "$work/after" || wrong "left behind: $(diff "$work/before" "$work/after")"
}

stopped() { # stopped COMMAND...: ended by a signal while it writes, it leaves the folder as it was
    ls -A "$files" >"$work/before"
    command="$*"
    checks=$((checks + 1))
    "$@" >"$out" 2>"$err" &
    tries=0
    while ls -A "$files" | cmp -s - "$work/before" && [ $tries -lt 200 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    kill -TERM $!
    wait $!
    status=$?
    [ "$status" -eq 143 ] || wrong "status $status, not 143: it was to be ended while it wrote"
    ls -A "$files" | cmp -s - "$work/before" || wrong "left behind: $(ls -A "$files")"
}

full_disk() { # full_disk KILOBYTES COMMAND...: as if the disk were full after so many kilobytes
    kilobytes=$1
    shift
    (
        ulimit -f $((2 * kilobytes))
        exec "$@"
    )
}

full_stdout() { # full_stdout COMMAND...: standard output goes to a full disk
    "$@" >/dev/full
}

# ---------------------------------------------------------------- every program -------------------

subcommands() { # as its --help lists them
    "$build/$1" --help | awk '/^  [a-z]/ { print $1 }'
}

check_program() {
    ok "$build/$1" --help
    [ ! -s "$err" ] || wrong "--help printed on standard error"
    ok "$build/$1" --version
    grep -qx "$1 [0-9.]*" "$out" || wrong "no version"
    fails 2 'see .* --help' "$build/$1"
    fails 2 'see .* --help' "$build/$1" nonsense
    fails 2 'see .* --help' "$build/$1" --nonsense
    fails 1 'standard output' full_stdout "$build/$1" --help
}

check_subcommand() { # check_subcommand PROGRAM COMMAND
    ok "$build/$1" "$2" --help
    grep -q "^usage: $1 $2" "$out" || wrong "the help does not show the usage"
    sed '1,/^examples:/d' "$out" | grep -q "^  $1" || wrong "the help gives no example"
    ok "$build/$1" "$2" --version
    usage "$build/$1" "$2" --nonsense
    usage "$build/$1" "$2" --nonsense=1
    fails 1 'standard output' full_stdout "$build/$1" "$2" --help
}

for program in deer-sim deer-data deer-model deer-calib deer-run deer-report; do
    check_program $program
    for subcommand in $(subcommands $program); do
        check_subcommand $program "$subcommand"
    done
done
for size in 0 -1 M 4X 4GB 1e999; do
    fails 2 "'$size' is no value for --memory SIZE" "$build/deer-calib" solve --memory $size
    fails 2 "'$size' is no value for --memory SIZE" "$build/deer-report" whatif --memory $size
done
fails 2 'which cache' "$build/deer-report" whatif --memory 1.5G

# ---------------------------------------------------------------- model files ---------------------

a=$files/a # small models of the architecture, without tokenizers
c=$files/c

damage() { # damage FROM TO OFFSET BYTES: a copy with other bytes at an offset (BYTES as for printf)
    cp "$1" "$2"
    # shellcheck disable=SC2059
    printf "$4" | dd of="$2" bs=1 seek="$3" conv=notrunc 2>/dev/null
}

bad_files() { # bad_files COMMAND...: COMMAND refuses every file that is no model
    fails 1 'No such file' "$@" "$files/missing"
    fails 1 . "$@" "$files"
    fails 1 "$files/empty" "$@" "$files/empty"
    fails 1 "$files/text" "$@" "$files/text"
    fails 1 "$files/long-header" "$@" "$files/long-header"
    fails 1 "$files/bad-header" "$@" "$files/bad-header"
    fails 1 "$files/truncated" "$@" "$files/truncated"
}

bad_models() { # bad_models COMMAND...: and those whose weights are no numbers
    bad_files "$@"
    fails 1 'not finite' "$@" "$files/nan"
}

ok "$build/deer-model" import --official tests/data/golden_a --out "$a"
ok "$build/deer-model" import --official tests/data/golden_c --out "$c"
size=$(wc -c <"$a")
: >"$files/empty"
echo 'this is no model' >"$files/text"
head -c $((size - 1)) "$a" >"$files/truncated"
damage "$a" "$files/long-header" 0 '\377\377\377\377\377\377\377\177'
damage "$a" "$files/bad-header" 8 'x'
damage "$a" "$files/nan" $((size - 4)) '\377\377\377\177'

json 'name fingerprint exits weight_bytes' "$build/deer-model" info "$a" --json
fails 1 'standard output' full_stdout "$build/deer-model" info "$a" --json
ok "$build/deer-model" info 3b --tokens 14 --explain
grep -q '1\.341' "$out" || wrong "the explanation lacks the cost of a decoder layer"
usage "$build/deer-model" info
usage "$build/deer-model" info "$a" "$c"
fails 2 '--tokens must be 1 to 4096, not 0' "$build/deer-model" info "$a" --tokens 0
fails 2 '3b takes at most 32 tokens; --tokens is 33' "$build/deer-model" info 3b --tokens 33
fails 2 'at most [0-9]* tokens' "$build/deer-model" info "$a" --tokens 4096
bad_files "$build/deer-model" info
for layers in 100 13 1 0 -1; do
    nowhere 2 '--layers must be 2 to 12 for --config 3b' "$build/deer-model" synth --config 3b \
        --layers $layers --out "$files/new"
done
nowhere 1 'No such file' "$build/deer-model" import --official "$files/none" --out "$files/new"
nowhere 1 . "$build/deer-model" import --official tests/data/golden_a --out "$files/none/new"
nowhere 1 . full_disk 100 \
    "$build/deer-model" import --official tests/data/golden_a --out "$files/new"
stopped "$build/deer-model" synth --config 3b --layers 4 --dtype q8 --out "$files/new"

# ---------------------------------------------------------------- demonstrations ------------------

demos=$files/demos.h5
record="$build/deer-sim record --tasks lift_red,press_button --episodes 2"

# shellcheck disable=SC2086
{
    ok $record --seed 1 --out "$demos"
    ok $record --seed 1 --out "$files/again.h5" --workers 1
    nowhere 1 'disk full' full_disk 20 $record --out "$files/new.h5"
    nowhere 1 . $record --out "$files/none/new.h5"
    usage $record --out "$files/new.h5" --tasks juggle
    usage $record
    nowhere 2 '--episodes must be 1 to 1000000, not 0' "$build/deer-sim" record --out "$files/new.h5" --episodes 0
    nowhere 2 '--workers must be 1 to 1024, not 0' $record --out "$files/new.h5" --workers 0
    nowhere 2 '--row must be 1 to 5, not 6' $record --out "$files/new.h5" --row 6
    nowhere 2 '--keep-steps must be 1 to 60, not 0' $record --out "$files/new.h5" --keep-steps 0
    nowhere 2 "--split is seen or unseen, not 'foo'" $record --out "$files/new.h5" --split foo
    nowhere 2 '--noise must be 0 or more, not -1' $record --out "$files/new.h5" --noise -1
    nowhere 2 '--exit needs --model' $record --out "$files/new.h5" --exit 2
    nowhere 2 '--thresholds needs --model' $record --out "$files/new.h5" --thresholds "$files/t.json"
}
"$build/tests/command_helper" empty "$files/empty.h5"
"$build/tests/command_helper" sightless "$files/sightless.h5"
head -c 5000 "$demos" >"$files/truncated.h5"

fingerprint() { # fingerprint FILE: of a demonstrations or a model file
    case $1 in
    *.h5) "$build/deer-data" info "$1" --json ;;
    *) "$build/deer-model" info "$1" --json ;;
    esac | sed -n 's/.*"fingerprint": "\([0-9a-f]*\)".*/\1/p'
}

bad_demos() { # bad_demos COMMAND...: COMMAND refuses every demonstrations file that is none
    fails 1 'No such file' "$@" "$files/missing.h5"
    fails 1 'no demonstrations' "$@" "$files/empty.h5"
    fails 1 'camera' "$@" "$files/sightless.h5"
    fails 1 'is cut off' "$@" "$files/truncated.h5"
    fails 1 "$files/text" "$@" "$files/text"
}

json 'demonstrations steps fingerprint tasks actions' "$build/deer-data" info "$demos" --json
[ "$("$build/tests/command_helper" number "$out" demonstrations)" = 4 ] || wrong "not 4 episodes"
[ "$(fingerprint "$demos")" = "$(fingerprint "$files/again.h5")" ] ||
    wrong "the same seed recorded something else"
bad_demos "$build/deer-data" info
fails 1 'standard output' full_stdout "$build/deer-data" info "$demos"
ok "$build/deer-data" frame "$demos" --out "$files/frame.png"
nowhere 2 '--out must end in .png, not ' "$build/deer-data" frame "$demos" --out "$files/frame.jpg"
nowhere 2 '--out must end in .png, not ' "$build/deer-sim" picture --out "$files/scene.jpg"
nowhere 2 '--out must end in .png, not ' "$build/deer-sim" picture --out .png
nowhere 2 '--out must end in .webp, not ' "$build/deer-sim" watch --model "$a" --out "$files/rollout.png"
nowhere 2 '--sheet must end in .png, not ' "$build/deer-sim" watch --model "$a" --sheet "$files/rollout.webp"

# ---------------------------------------------------------------- running -------------------------

json 'exits threads steps' "$build/deer-run" bench --model "$a" --steps 2 --json
fails 1 'standard output' full_stdout "$build/deer-run" bench --model "$a" --steps 2
json 'exits profile' "$build/deer-run" bench --model "$a" --exit 0 --steps 2 --json --profile-out "$files/here.json"
grep -q '"measured": true' "$files/here.json" || wrong "no profile of this machine"
json 'exits profile' "$build/deer-run" bench --model "$a" --exit 0 --steps 2 --json --profile-out "$files/here.json" \
    --hardware "$files/here.json"
grep -q '"model": ' "$files/here.json" || wrong "no samples in this machine's profile"
"$build/deer-run" bench --model "$a" --exit 0 --steps 2 --json --hardware raspberry-pi-5 | grep -q predicted_ms ||
    wrong "no prediction beside the measurement"
fails 2 'no machine' "$build/deer-run" bench --model "$a" --steps 2 --hardware nowhere
echo "my notes" >"$files/mine.json"
nowhere 1 'is not a profile' "$build/deer-run" bench --model "$a" --exit 0 --steps 2 --profile-out "$files/mine.json"
nowhere 2 'must end in .json' "$build/deer-run" bench --model "$a" --exit 0 --steps 2 --profile-out "$files/mine"
bad_models "$build/deer-run" bench --steps 2 --model
bad_models "$build/deer-run" episode --demos "$demos" --model
bad_demos "$build/deer-run" episode --model "$a" --demos
bad_models "$build/deer-sim" eval --tasks lift_red --episodes 1 --model
bench="$build/deer-run bench --model $a"
eval="$build/deer-sim eval --model $a"
# shellcheck disable=SC2086
{
    fails 2 '--steps must be 1 to 1000000, not 0' $bench --steps 0
    fails 2 '--side must be 1 to 4096, not 0' $bench --side 0
    fails 2 '--exit must be 0 to [0-9]*, not -1' $bench --exit -1
    fails 2 '--tokens must be 1 to 4096, not 0' $bench --tokens 0
    fails 2 'at most [0-9]* tokens; --tokens is 4096' $bench --tokens 4096
    fails 2 '--chains and --episodes exclude' $eval --chains 2 --episodes 3
    fails 2 '--chains draws its tasks itself' $eval --chains 2 --tasks lift
    fails 2 "--split is seen or unseen, not 'foo'" $eval --split foo
    fails 2 '--workers must be 1 to 1024, not 0' $eval --workers 0
    fails 2 '--exit must be 0 to [0-9]*, not -1' $eval --exit -1
    fails 2 'there is no exit 9' $eval --exit 9
    fails 2 'there is no exit 9' "$build/deer-sim" watch --model "$a" --exit 9 --out "$files/new.webp"
    nowhere 2 'there is no exit 9' $record --model "$a" --exit 9 --out "$files/new.h5"
    fails 2 'there is no exit 9' $bench --exit 9
    for threads in 0 1025; do
        fails 2 "--threads must be 1 to 1024, not $threads" $bench --threads $threads
        fails 2 "--threads must be 1 to 1024, not $threads" \
            "$build/deer-run" episode --model "$a" --demos "$demos" --threads $threads
        fails 2 "--threads must be 1 to 1024, not $threads" \
            "$build/deer-data" import --calvin "$files" --out "$files/new.h5" --threads $threads
    done
    fails 2 '--exits need --model' "$build/deer-sim" eval --expert --exit 1
    fails 2 '--fps must be 1 to 50, not 0' "$build/deer-sim" watch --model "$a" --out "$files/new.webp" --fps 0
    fails 2 '--every must be 1 to 60, not 0' "$build/deer-sim" watch --model "$a" --out "$files/new.webp" --every 0
    fails 2 '--moments must be 1 to 16, not 17' "$build/deer-sim" picture --out "$files/new.png" --moments 17
}

# Thresholds for golden_a, as text.
cat >"$files/a.json" <<END
{"deer_thresholds": 1, "model_fingerprint": "$(fingerprint "$a")", "criterion": "l2",
 "exit_layers": [1, 3, 5], "tau": [0.05, 0.05, null], "steps_per_stage": 1, "promise": {}}
END
sed 's/0\.05/"x"/' "$files/a.json" >"$files/no-number.json"
sed 's/1, 3, 5/1, 2, 5/' "$files/a.json" >"$files/other-layers.json"
sed 's/: 1,/: 9,/' "$files/a.json" >"$files/future.json"
head -c 60 "$files/a.json" >"$files/truncated.json"
head -c 100 /dev/zero >"$files/zeros.json"

bad_thresholds() { # bad_thresholds COMMAND...: COMMAND refuses thresholds that are none
    fails 1 'No such file' "$@" "$files/missing.json"
    for bad in no-number other-layers future truncated zeros; do
        fails 1 "$files/$bad.json" "$@" "$files/$bad.json"
    done
}

bad_thresholds "$build/deer-run" episode --model "$a" --demos "$demos" --thresholds
fails 1 'another model' "$build/deer-run" episode --model "$c" --demos "$demos" \
    --thresholds "$files/a.json"
fails 1 'another model' "$build/deer-sim" eval --model "$c" --thresholds "$files/a.json"

# ---------------------------------------------------------------- official checkpoints ------------

set=tests/data/golden_c
ok "$build/deer-model" import --checkpoint $set/deer_ckpt.pth --config $set/config.json \
    --vision $set/sources/open_clip_pytorch_model.bin --out "$files/imported.m"
ok cmp "$files/imported.m" "$c"
nowhere 1 'with --vision' "$build/deer-model" import --checkpoint $set/deer_ckpt.pth \
    --config $set/config.json --out "$files/new.m"
json 'tau exit_fraction samples' "$build/deer-calib" solve --official $set/deer_ckpt.pth \
    --avg-fraction 0.6 --json
json 'tau share_of_full_depth' "$build/deer-calib" check --official $set/deer_ckpt.pth \
    --thresholds '0.05 100000.0' --json
fails 3 'already costs 0.5' "$build/deer-calib" solve --official $set/deer_ckpt.pth --avg-fraction 0.1
fails 2 'use --avg-fraction' "$build/deer-calib" solve --official $set/deer_ckpt.pth --avg-gflops 3
fails 2 '2 numbers, one per exit' "$build/deer-calib" check --official $set/deer_ckpt.pth \
    --thresholds '0.1 0.2 0.3'
fails 1 'no zip archive' "$build/deer-calib" solve --official $set/config.json --avg-fraction 0.6

# ---------------------------------------------------------------- the shipped policy --------------

# shellcheck disable=SC2086
if [ -e "$model" ]; then
    cache=$files/cache
    calib="$build/deer-calib"
    budget='--scope llm --avg-fraction 0.6'
    json 'average_llm_gflops exit_fraction memory_bytes episodes' \
        "$build/deer-run" episode --model "$model" --demos "$demos" --all --json
    fails 1 'another model' "$build/deer-run" episode --model "$model" --demos "$demos" \
        --thresholds "$files/a.json"
    json 'success low high rollouts exit_fractions seed split model_fingerprint weights exit thresholds' \
        "$build/deer-sim" eval --model "$model" \
        --tasks press_button --episodes 2 --json
    # What is judged in time is what the curve of another evaluation says of that time.
    strict="$build/deer-sim eval --model $model --exit 0 --tasks lift --episodes 3 --json"
    json 'strict time_median time_p90 in_time outcomes exit_follows' $strict
    in_time=$(awk '/"factor": 1\.25,/ { getline; print $2 }' "$out")
    cp "$out" "$files/free.json"
    json 'strict in_time outcomes' $strict --strict
    cp "$out" "$files/strict.json"
    [ "$(awk '/"success":/ { print $2 + 0; exit }' "$out")" = "$(echo "$in_time" | awk '{ print $1 + 0 }')" ] ||
        wrong "--strict and the curve at 1.25 are not the same"
    [ "$in_time" != 0.0 ] && [ "$in_time" != 1.0 ] || wrong "in time: $in_time tells nothing"
    [ "$(grep -c '"expert_steps": [1-9]' "$out")" -eq 9 ] || wrong "not an outcome of every rollout"
    ok $strict --strict=1.25
    sed '/ms_per_step/d' "$out" >"$files/one" && sed '/ms_per_step/d' "$files/strict.json" >"$files/two"
    ok cmp "$files/one" "$files/two"
    # Exits chosen from outside: a periodic one is its own Markov chain; shares, whatever the workers.
    control="$build/deer-sim eval --model $model --tasks lift --episodes 2 --json"
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
    fails 2 'exclude each other' $control --exits fixed:0 --exit 1
    fails 2 '--strict must be 1 to 60, not 0.5' $strict --strict 0.5
    fails 2 "'1.2x' is no value for --strict" $strict --strict 1.2x
    json 'against pairs' "$build/deer-report" rollouts --paired "$files/strict.json" "b=$files/strict.json" --json
    ok "$build/deer-report" rollouts --paired "a=$files/free.json,$files/free.json" "b=$files/free.json,$files/free.json"
    grep -q '^against a: .* of 18 rollouts' "$out" || wrong "two files are not one comparison"
    fails 1 'not judged alike' "$build/deer-report" rollouts --paired "$files/free.json" "$files/strict.json"
    fails 2 'not as many files' "$build/deer-report" rollouts --paired "a=$files/free.json" "b=$files/free.json,$files/free.json"
    fails 2 'compares 2 to 64' "$build/deer-report" rollouts --paired "$files/free.json"
    ok "$build/deer-sim" eval --model "$model" --exit 1 --tasks press_button --episodes 1 --json
    grep -q '"mean_exit": 1\.0$' "$out" || wrong "the mean of exit 1 is not 1"
    ok "$build/deer-sim" eval --expert --tasks lift_red,push_red_left --episodes 1
    grep -q '^all .* -   *0\.00000 ' "$out" || wrong "no dash for the mean exit of the expert"
    ok "$build/deer-sim" eval --model "$model" --tasks press_button --episodes 1 # carries nothing
    grep -q '^carry  *0 .*  -$' "$out" || wrong "no dash for the mean exit of no steps"
    ! grep -q nan "$out" || wrong "a table for people has nan"
    ok "$build/deer-sim" watch --model "$model" --exit 0 --out "$files/w.webp" --sheet "$files/w.png"
    # Three frames of 512 pixels side by side, 16 apart: a PNG says its width at byte 16.
    [ "$(od -An -tu1 -j18 -N2 "$files/w.png" | tr -s ' ')" = " 6 32" ] || wrong "the sheet is not 1568 pixels wide"
    ok "$build/deer-sim" picture --moments 1 --out "$files/scene.png"
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
    json 'encoded even_cameras' $rules "$files/s.json" --even-cameras "$files/encoded.json"
    awk '/"encoded":/ { getline; s = $1 + 0; getline; exit !(s > 0.2 && s < 0.3 && $1 + 0 == 1) }' "$out" ||
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
    # A governor: the same whatever the number of processes; what was used stands beside what was asked.
    govern="--thresholds $files/s.json --govern 0.005"
    json 'budget noise light' "$build/deer-sim" eval --model "$model" $govern \
        --tasks lift --episodes 2 --light 0.5 --noise 1 --workers 1 --json
    cp "$out" "$files/lit.json"
    sed '/ms_per_step/d' "$out" >"$files/one"
    ok "$build/deer-sim" eval --model "$model" $govern --tasks lift --episodes 2 --light 0.5 --noise 1 --workers 3 --json
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
fi

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
