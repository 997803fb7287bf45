#!/bin/sh
# SPDX-License-Identifier: MIT
# For the n-th allocation or system call of a command, n = 1, 2, ..: it fails. The command then ends
# with one clear line, nothing half-written and nothing left behind, or its result is the very same.
#
#   sweep.sh KIND CASE    KIND: alloc or calls; prints "KIND CASE: N runs, M findings"
. tests/torture/lib.sh
kind=$1 name=$2
box=$work/$kind-$name
mkdir -p "$box"
runs=0
findings=0
crashed=0

preload=LD_PRELOAD
[ "$name" != serve ] || preload=SERVER_PRELOAD

count_of() { # count_of CALL OBJECT: how many there are in an undisturbed run, looked up once
    [ ! -e "$box/count-$1-$2" ] || return
    attempt "$box" $preload="$faults" FAULT_CALL="$1" ${2:+FAULT_OBJECT=$2} FAULT_AT=0 \
        FAULT_LOG="$box/log"
    sed -n 's/^count //p' "$box/log" >"$box/count-$1-$2"
}

try() { # try CALL OBJECT ERRNO N [FROM]
    attempt "$box" $preload="$faults" FAULT_CALL="$1" ${2:+FAULT_OBJECT=$2} FAULT_ERRNO="$3" \
        FAULT_AT="$4" ${5:+FAULT_FROM=1} FAULT_LOG="$box/log"
    runs=$((runs + 1))
    case $1,$2 in alloc,hdf5 | alloc,) theirs=1 ;; *) theirs=0 ;; esac
    [ "$theirs" = 0 ] || [ "$status" -lt 2 ] || crashed=$((crashed + 1))
    judge "$box" >"$box/verdict"
    [ -s "$box/verdict" ] || return
    findings=$((findings + 1))
    echo "FOUND in $name: $1 $4 of ${2:-all}, error $3${5:+, and all after}"
    sed 's/^/    /' "$box/verdict"
    sed -n '/^failed/s/^/    /p' "$box/log"
    head -n 3 "$box/stderr" | sed 's/^/    stderr: /'
}

# Every n up to MOST; spread evenly over all there are beyond. A third of them of what takes long, or is much like another.
sweep() { # sweep CALL OBJECT ERRNO MOST [FROM]
    most=$4
    case $name in online | record | eval | watch | picture | serve | rlds | lerobot | goon) most=$(((most + 2) / 3)) ;; esac
    count_of "$1" "$2"
    total=$(cat "$box/count-$1-$2")
    [ "${total:-0}" -gt 0 ] || return
    for n in $(awk -v n="$total" -v most="$most" 'BEGIN {
        if (n < most) most = n
        for (i = 1; i <= most; i++) print int((i - 0.5) * n / most) + 1 }'); do
        try "$1" "$2" "$3" "$n" "${5:-}"
    done
}

command_of "$name"
reference "$box" || exit 1
case $kind in
alloc)
    sweep alloc exe 12 "$(pick 40 300)"
    sweep alloc exe 12 "$(pick 3 30)" from
    sweep alloc jansson 12 "$(pick 12 100)"
    sweep alloc hdf5 12 "$(pick 4 30)"
    sweep alloc "" 12 "$(pick 2 20)" from
    ;;
calls)
    for errno in $(pick 5 '28 5'); do # input or output error, no room
        for call in write fsync ftruncate rename mkdir close open stat; do
            sweep $call "" $errno "$(pick 2 12)"
        done
    done
    sweep read '' 5 "$(pick 5 40)"
    for call in read write; do
        sweep $call '' SHORT "$(pick 5 40)"
        sweep $call "" 4 "$(pick 3 20)" # interrupted
    done
    sweep write "" 28 "$(pick 2 20)" from
    ;;
esac
[ "$runs" -gt 0 ] || {
    echo "FOUND: $kind $name made no run; is the library loaded?"
    findings=1
}
echo "$kind $name: $runs runs, $findings findings${crashed:+, $crashed ended inside HDF5}"
[ "$findings" -eq 0 ]
