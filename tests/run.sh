#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs test programs and scripts, two more at once than there are cores (JOBS), the longest of the last run
# first (of a first run, those that are known to be long); one line for each as it ends, and a total.
# BUILD: the build folder. SKIP: names to leave out. LONG=1: statistics and repetitions in full.
# Usage: run.sh [NAME...]
set -u
BUILD=${BUILD:-build}
JOBS=${JOBS:-$(($(nproc) + 2))} # some wait for disks and sockets
log=$BUILD/tests/log
export BUILD log
mkdir -p "$log"
touch "$log/seconds"

if [ "${1:-}" = --one ]; then # --one FILE: runs it; prints name, outcome and seconds
    name=$(basename "$2")
    name=${name%.*}
    case $2 in
    *.sh) set -- sh "$2" ;;
    *) set -- "$BUILD/tests/$name" ;;
    esac
    started=$(date +%s.%N)
    outcome=ok
    "$@" >"$log/$name.txt" 2>&1 </dev/null || outcome=FAILED
    echo "$name $outcome $(echo "$started $(date +%s.%N)" | awk '{ printf "%.1f", $2 - $1 }')"
    exit 0
fi

# Known to be long, the longest first: so that none begins when the others are done.
long="test_report_page test_python test_mpi test_gpu test_solver test_install test_commands_policy test_serve test_commands
test_published test_coverage test_report test_tabletop test_solver_table test_commands_calib test_neon test_cache test_gpu_faults"

wanted() { # every test, or those named; by the seconds it took, in which later lines win (9 where nobody knows)
    ls tests/*/test_*.c tests/*/test_*.sh |
        awk -v only=" $* " -v left_out=" ${SKIP:-} " -v long="$(echo $long)" -v took="$log/seconds" '
        BEGIN {
            for (i = split(long, names, " "); i > 0; i--) seconds[names[i]] = 9999 - i
            while ((getline line < took) > 0) { split(line, field, " "); seconds[field[1]] = field[3] }
        }
        {
            name = $0
            gsub(/.*\/|\.[a-z]*$/, "", name)
            if ((only == "  " || index(only, " " name " ")) && !index(left_out, " " name " "))
                print (name in seconds ? seconds[name] : 9), $0
        }' | sort -rn | cut -d ' ' -f 2
}

list=$(wanted "$@")
total=$(echo "$list" | wc -l)
count=0
failed=0
started=$(date +%s)
echo "$list" | xargs -P "$JOBS" -n 1 "$0" --one | {
    while read -r name outcome seconds; do
        count=$((count + 1))
        printf '%-7s %3d of %d  %-28s %6s s\n' "$outcome" "$count" "$total" "$name" "$seconds"
        echo "$name $outcome $seconds" >>"$log/new"
        if [ "$outcome" != ok ]; then
            failed=$((failed + 1))
            echo "see $log/$name.txt:"
            tail -n 30 "$log/$name.txt"
        fi
    done
    { cat "$log/seconds" "$log/new"; } | tail -n 500 >"$log/seconds.new"
    mv "$log/seconds.new" "$log/seconds"
    rm -f "$log/new"
    echo "$((count - failed)) passed, $failed failed, $((total - count)) not run, in $(($(date +%s) - started)) s"
    [ "$failed" -eq 0 ] && [ "$count" -eq "$total" ]
}
