# SPDX-License-Identifier: MIT
# lib.sh - for the scripts that try commands (test_commands*.sh): what to expect of a command, and small
# models, demonstrations and thresholds to try it with, good and bad ones. BUILD: the build folder; MODEL:
# the policy.
# shellcheck disable=SC2034 # used by the scripts
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

finish() { # says how many checks there were; fails if one did
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
}

# ---------------------------------------------------------------- models --------------------------

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

make_models() { # a, c, and files that are none
    ok "$build/deer-model" import --official tests/data/golden_a --out "$a"
    ok "$build/deer-model" import --official tests/data/golden_c --out "$c"
    size=$(wc -c <"$a")
    : >"$files/empty"
    echo 'this is no model' >"$files/text"
    head -c $((size - 1)) "$a" >"$files/truncated"
    damage "$a" "$files/long-header" 0 '\377\377\377\377\377\377\377\177'
    damage "$a" "$files/bad-header" 8 'x'
    damage "$a" "$files/nan" $((size - 4)) '\377\377\377\177'
}

# ---------------------------------------------------------------- demonstrations ------------------

demos=$files/demos.h5
record="$build/deer-sim record --tasks lift_red,press_button --episodes 2"

make_demos() { # four episodes, and files that are none
    # shellcheck disable=SC2086
    ok $record --seed 1 --out "$demos"
    "$build/tests/command_helper" empty "$files/empty.h5"
    "$build/tests/command_helper" sightless "$files/sightless.h5"
    head -c 5000 "$demos" >"$files/truncated.h5"
}

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

# ---------------------------------------------------------------- thresholds ----------------------

make_thresholds() { # of golden_a, as text, and files that are none
    cat >"$files/a.json" <<END
{"deer_thresholds": 1, "model_fingerprint": "$(fingerprint "$a")", "criterion": "l2",
 "exit_layers": [1, 3, 5], "tau": [0.05, 0.05, null], "steps_per_stage": 1, "promise": {}}
END
    sed 's/0\.05/"x"/' "$files/a.json" >"$files/no-number.json"
    sed 's/1, 3, 5/1, 2, 5/' "$files/a.json" >"$files/other-layers.json"
    sed 's/: 1,/: 9,/' "$files/a.json" >"$files/future.json"
    head -c 60 "$files/a.json" >"$files/truncated.json"
    head -c 100 /dev/zero >"$files/zeros.json"
}

bad_thresholds() { # bad_thresholds COMMAND...: COMMAND refuses thresholds that are none
    fails 1 'No such file' "$@" "$files/missing.json"
    for bad in no-number other-layers future truncated zeros; do
        fails 1 "$files/$bad.json" "$@" "$files/$bad.json"
    done
}

# ---------------------------------------------------------------- the policy ----------------------

calib="$build/deer-calib"
cache=$files/cache
budget='--scope llm --avg-fraction 0.6'

make_cache() { # of the policy and the demonstrations, and thresholds: t.json, s.json with a dial
    ok "$calib" replay --model "$model" --demos "$demos" --cache "$cache"
    # shellcheck disable=SC2086
    ok "$calib" solve --cache "$cache" $budget --out "$files/t.json"
    # shellcheck disable=SC2086
    ok "$calib" solve --cache "$cache" --criterion combined $budget --frontier "$files/f.json" \
        --frontier-points 3 --out "$files/s.json"
}
