#!/bin/sh
# SPDX-License-Identifier: MIT
# Which offline loss foretells closed-loop success? Rank correlation (Spearman) between the loss of thresholds
# on recorded demonstrations and the success of rollouts with them, over the settings that `make figure`
# evaluated. BUILD: the build folder.
set -eu
BUILD=${BUILD:-build}
out=$BUILD/curve
[ -s docs/curve/best.csv ] && [ -d "$out/cache" ] || { echo "run 'make figure' first" >&2; exit 1; }

number() { awk -v key="\"$2\":" '$1 == key { gsub(",", "", $2); print $2; exit }' "$1"; }

settings=$(cd "$out" && ls -- *.tau.json)
printf '%-10s %8s %12s %10s\n' "loss" "gripper" "settings" "rank corr."
for loss in deepest demo; do
    for weight in 0 0.05 0.2 1; do
        for tau in $settings; do # over their budget (status 3) or not
            "$BUILD/deer-calib" check --cache "$out/cache" --thresholds "$out/$tau" --loss $loss \
                --gripper-weight $weight --json >"$out/check.part" || [ $? -eq 3 ]
            echo "$(number "$out/check.part" loss) $(number "$out/${tau%.tau.json}.json" success)"
        done | awk -v loss=$loss -v weight=$weight '
            { x[NR] = $1; y[NR] = -$2 }
            function rank(v, i, j, below, same) {
                below = same = 0
                for (j = 1; j <= NR; j++) { below += v[j] < v[i]; same += v[j] == v[i] }
                return below + (same + 1) / 2
            }
            END {
                for (i = 1; i <= NR; i++) {
                    a = rank(x, i); b = rank(y, i)
                    sa += a; sb += b; saa += a * a; sbb += b * b; sab += a * b
                }
                r = (sab - sa * sb / NR) / sqrt((saa - sa * sa / NR) * (sbb - sb * sb / NR))
                printf "%-10s %8s %12d %10.3f\n", loss, weight, NR, r
            }'
    done
done
