#!/bin/sh
# SPDX-License-Identifier: MIT
# Options of every command of every program, from the tables they print: a value given twice is refused
# in one line, also when one of the two is an old spelling; old spellings work and say so; names that
# mean the same thing are the same. BUILD: the build folder.
# shellcheck disable=SC2086 # a command is two words
set -u
export LC_ALL=C
build=${BUILD:-build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
tab=$(printf '\t')
failures=0
twice=0
old=0

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
    sed 's/^/   stderr: /' "$work/err" | head -n 5
}

run() { # run COMMAND...: its status is in $status, what it says in $work/err
    "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

value_of() { # value_of TYPE: something of that type
    case $1 in
    integer | number | bytes) echo 1 ;;
    *) echo word ;;
    esac
}

refused_twice() { # refused_twice COMMAND NAME FIRST SECOND VALUE: as usage, in one line
    twice=$((twice + 1))
    run $1 "--$3" "$5" "--$4=$5"
    [ "$status" -eq 2 ] || wrong "$1 --$3 $5 --$4=$5: status $status, not 2"
    [ "$(grep -vc ' is now --' "$work/err")" -eq 1 ] || wrong "$1 --$3 --$4: not one line"
    grep -q -- "--$2 is given twice (see " "$work/err" || wrong "$1 --$3 --$4: does not say 'given twice'"
    [ ! -s "$work/out" ] || wrong "$1 --$3 --$4: prints on standard output"
}

for program in model run data sim calib report; do
    run "$build/deer-$program" --help-table
    [ "$status" -eq 0 ] || wrong "deer-$program --help-table: status $status"
    cp "$work/out" "$work/table"
    grep -q "^option" "$work/table" || wrong "deer-$program has no options"
    command=
    while IFS=$tab read -r kind first second third rest; do
        case $kind in
        command)
            command="$build/$first"
            ;;
        option)
            case $first in flag | files) continue ;; esac # may be repeated
            if [ "$first" = old ]; then # option old NAME PRESENT
                old=$((old + 1))
                refused_twice "$command" "$third" "$second" "$third" 1
                run $command "--$second" 1 --no-such-option
                grep -q -- "--$second is now --$third" "$work/err" || wrong "$command --$second: does not name --$third"
                $command --help | grep -q -- "--$second " && wrong "$command --help shows --$second"
                continue
            fi
            refused_twice "$command" "$second" "$second" "$second" "$(value_of "$first")"
            case $second in # what is called otherwise elsewhere
            policy) # a server's address, and nothing else
                case $command in *'deer-sim eval') ;; *) wrong "$command has --policy" ;; esac ;;
            save | output | output-file | dataset | data | max-deviation | json-out)
                wrong "$command has --$second" ;;
            esac
            ;;
        esac
    done <"$work/table"
done

# Flags may be repeated; a file that a command is about can be named with and without its option.
policy=datasets/tabletop/policy.safetensors
run "$build/deer-model" info --model $policy --json --json
[ "$status" -eq 0 ] || wrong "deer-model info --model: status $status"
cp "$work/out" "$work/named"
run "$build/deer-model" info $policy --json
cmp -s "$work/out" "$work/named" || wrong "deer-model info says something else with --model"
run "$build/deer-model" info --model $policy $policy
[ "$status" -eq 2 ] || wrong "deer-model info takes two models"

# What an old spelling does is what the new one does.
"$build/deer-sim" record --tasks lift --episodes 1 --keep-steps 2 --exit 0 --seed 3 --model $policy --out "$work/new.h5" 2>"$work/err" >&2 || wrong "record --model"
run "$build/deer-sim" record --tasks lift --episodes 1 --keep-steps 2 --exit 0 --seed 3 --policy $policy --out "$work/old.h5"
[ "$status" -eq 0 ] || wrong "record --policy: status $status"
[ "$(head -n 1 "$work/err")" = "deer-sim record: --policy is now --model; the next version takes the new name only" ] ||
    wrong "record --policy says something else"
same() { "$build/deer-data" info --json --demos "$1" | sed "s|$1||"; }
[ "$(same "$work/new.h5")" = "$(same "$work/old.h5")" ] || wrong "record --policy records something else"

[ "$twice" -ge 120 ] || wrong "only $twice options were tried"
[ "$old" -ge 3 ] || wrong "only $old old spellings were tried"
echo "$twice options refused twice, $old old spellings"
[ "$failures" -eq 0 ]
