#!/bin/sh
# SPDX-License-Identifier: MIT
# How fast a checkpoint of 2.8 GB becomes a model file, against copying its bytes to the disk: medians
# of five, from the page cache, both synced. BUILD: the build folder; needs 9 GB of disk there.
set -eu
BUILD=${BUILD:-build}
work=$BUILD/bench/import
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

cat >"$work/config.json" <<'JSON'
{"image_size": 224, "patch": 14, "vit_layers": 24, "vit_heads": 16, "perc_depth": 6, "perc_heads": 8,
 "perc_dim_head": 64, "n_layers": 2, "d_model": 2048, "n_heads": 16, "media_id": 50278,
 "xattn_every": 1, "xattn_heads": 8, "xattn_dim_head": 64, "exit_ids": [1]}
JSON
"$BUILD/deer-model" synth --config 3b --layers 2 --out "$work/source"

seconds() { # seconds COMMAND...
    begin=$(date +%s.%N)
    "$@"
    end=$(date +%s.%N)
    echo "$begin $end" | awk '{ print $2 - $1 }'
}
copy() { cp --reflink=never "$work/source" "$work/copy" && sync "$work/copy"; }
import() {
    "$BUILD/deer-model" import --checkpoint "$work/source" --config "$work/config.json" \
        --dtype "$1" --out "$work/model"
}
median() { sort -n "$1" | sed -n 3p; }

cat "$work/source" >/dev/null
for i in 1 2 3 4 5; do
    rm -f "$work/copy" "$work/model"
    seconds copy >>"$work/copy.txt"
    rm -f "$work/copy"
    for dtype in f32 bf16 q8; do
        rm -f "$work/model"
        seconds import $dtype >>"$work/$dtype.txt"
    done
done
for dtype in f32 bf16 q8; do
    awk -v a="$(median "$work/copy.txt")" -v b="$(median "$work/$dtype.txt")" -v t=$dtype \
        'BEGIN { printf "import to %-4s %.2f times as fast as cp\n", t, a / b }'
done
