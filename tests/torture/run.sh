#!/bin/sh
# SPDX-License-Identifier: MIT
# All of it, one driver more at once than there are cores; TORTURE=fast: a sample of five minutes or so.
# BUILD: the build folder. One line a driver, findings before it; docs/reliability.md says what it is.
set -u
export BUILD="${BUILD:-build}"
jobs=${JOBS:-$(($(nproc) + 1))} # some wait for disks
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
. tests/torture/lib.sh
prepare
export work
started=$(date +%s)
{
    for name in $cases; do
        echo "sweep.sh alloc $name"
        echo "sweep.sh calls $name"
    done
    echo "hostile.sh"
    echo "disk.sh"
    echo "signals.sh"
    echo "damaged.sh"
} | xargs -P "$jobs" -I '{}' sh -c 'sh tests/torture/{} 2>&1' >"$work/log"
grep -v ' 0 findings\|^Segmentation fault$\|^Aborted$' "$work/log"
awk '/ runs, .* findings/ { # "KIND[ CASE]: N runs, M findings[, H ended inside HDF5]"
        kind = $1
        sub(/:/, "", kind)
        for (i = 2; i <= NF; i++) {
            if ($i == "runs,") runs[kind] += $(i - 1)
            if ($i ~ /^findings/) findings[kind] += $(i - 1)
            if ($i == "ended") hdf5[kind] += $(i - 1)
        }
    }
    END {
        for (kind in runs)
            printf "%-8s %6d runs, %d findings, %d ended inside HDF5\n", kind, runs[kind], findings[kind], hdf5[kind]
    }' "$work/log" | sort
echo "in $(($(date +%s) - started)) s"
! grep -q FOUND "$work/log"
