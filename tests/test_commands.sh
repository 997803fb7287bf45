#!/bin/sh
# The manners of every program: help, version, exit statuses, one clear line for each failure, JSON that
# parses, and nothing half-written. BUILD: the build folder; MODEL: the policy to try them with.
set -u
export LC_ALL=C OPENBLAS_NUM_THREADS=1
build=${BUILD:-build}
model=${MODEL:-datasets/tabletop/policy.safetensors}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
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
    ls -A "$work" >"$work/.before"
    fails "$@"
    ls -A "$work" >"$work/.after"
    cmp -s "$work/.before" "$work/.after" || wrong "left behind: $(diff "$work/.before" "$work/.after")"
}

full_disk() { # full_disk KILOBYTES COMMAND...: as if the disk were full after so many kilobytes
    kilobytes=$1
    shift
    (
        trap '' XFSZ # the write fails, as on a full disk, instead of killing the program
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
}

for program in deer-sim deer-data deer-model deer-calib deer-run deer-report; do
    check_program $program
    for subcommand in $(subcommands $program); do
        check_subcommand $program "$subcommand"
    done
done

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
