#!/bin/sh
# SPDX-License-Identifier: MIT
# The manners of every program: help, version, exit statuses, one clear line for each failure, JSON
# that parses, and nothing half-written. BUILD: the build folder.
. tests/cli/lib.sh

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
make_models
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

make_demos
# shellcheck disable=SC2086
{
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
began=$(date +%s%N)
json 'exits rate_hz late_steps' "$build/deer-run" bench --model "$a" --exit 0 --steps 7 --rate 20 --json
[ $(($(date +%s%N) - began)) -ge 500000000 ] || wrong "ten steps 20 times a second took less than half a second" # 3 are not timed
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
    fails 2 '--rate must be from 0.001 to 100000 Hz, not 0' $bench --rate 0
    fails 2 'leave --rate out' $bench --rate 20 --profile-out "$files/here.json"
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

make_thresholds
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

finish
