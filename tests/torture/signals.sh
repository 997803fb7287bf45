#!/bin/sh
# SPDX-License-Identifier: MIT
# Killed at random moments, by SIGKILL or SIGTERM: nothing final is half there, SIGTERM leaves nothing
# temporary behind, and started again in the same folder the command comes to the same bytes.
. tests/torture/lib.sh
runs=0
findings=0
prepare

found() { # found WHAT
    findings=$((findings + 1))
    echo "FOUND in $name after $wait s, $signal: $1"
}

for name in replay dimport solve convert import; do
    box=$work/signals-$name
    mkdir -p "$box"
    command_of "$name"
    reference "$box" || exit 1
    took=$( (
        cd "$box/run" && rm -rf ./* && started=$(date +%s.%N)
        # shellcheck disable=SC2086
        "$program" $command >/dev/null 2>&1
        echo "$started $(date +%s.%N)" | awk '{ print $2 - $1 }'
    ))
    for i in $(seq 1 "$(pick 6 60)"); do
        signal=$([ $((i % 2)) = 0 ] && echo KILL || echo TERM)
        wait=$(awk -v i="$i" -v n="$name" -v t="$took" 'BEGIN { srand(i * 31 + length(n)); print rand() * t }')
        runs=$((runs + 1))
        rm -rf "$box/run"
        mkdir -p "$box/run"
        (
            cd "$box/run" || exit 99
            # shellcheck disable=SC2086
            "$program" $command >/dev/null 2>"$box/stderr" </dev/null &
            sleep "$wait"
            kill -"$signal" $! 2>/dev/null
            wait $!
        ) 2>/dev/null
        status=$? # shellcheck disable=SC2034 # half_there reads it
        half=$(half_there "$box")
        [ -z "$half" ] || found "$half"
        [ "$signal" = KILL ] || [ -z "$(find "$box/run" -name '*.tmp-*')" ] ||
            found "left behind: $(cd "$box/run" && find . -name '*.tmp-*' | head -n 1)"
        (
            cd "$box/run" || exit 99
            # shellcheck disable=SC2086
            exec "$program" $command >/dev/null 2>"$box/stderr" </dev/null
        ) || found "started again, it fails: $(head -n 1 "$box/stderr")"
        for o in $outputs; do
            cmp -s "$box/run/$o" "$box/want/$o" || found "started again, $o is another"
        done
    done
done
echo "signals: $runs runs, $findings findings"
[ "$findings" -eq 0 ]
