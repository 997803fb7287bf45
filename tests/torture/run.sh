#!/bin/sh
# SPDX-License-Identifier: MIT
# All of it, as many drivers at once as there are cores; TORTURE=fast: a sample of two minutes or so.
# BUILD: the build folder. One line a driver, findings before it; docs/reliability.md says what it is.
set -u
export BUILD="${BUILD:-build}"
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
} | xargs -P "${JOBS:-$(nproc)}" -I '{}' sh -c 'sh tests/torture/{} 2>&1' >"$work/log"
grep -v ' 0 findings\|^Segmentation fault$\|^Aborted$' "$work/log"
awk '/ runs, .* findings/ {
        runs[$1] += $(NF > 5 && $2 !~ /^[0-9]/ ? 3 : $2 ~ /^[0-9]/ ? 2 : 3)
        for (i = 2; i <= NF; i++) if ($i ~ /^findings/) findings[$1] += $(i - 1)
        for (i = 2; i <= NF; i++) if ($i == "ended") hdf5[$1] += $(i - 1)
    }
    END {
        for (k in runs) {
            sub(/:$/, "", k)
        }
        for (k in runs) printf "%-10s %6d runs, %d findings, %d ended inside HDF5\n", k, runs[k], findings[k], hdf5[k]
    }' "$work/log"
echo "in $(($(date +%s) - started)) s"
! grep -q FOUND "$work/log"
