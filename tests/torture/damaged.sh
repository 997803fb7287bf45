#!/bin/sh
# SPDX-License-Identifier: MIT
# Damaged copies of every kind of file that is read, through a command that reads it, built with the
# address and undefined-behaviour sanitizers where SANITIZED names such a build: status 0 or one clear
# line; and where all that is read has checksums, status 0 means what the undamaged file gives. A
# damaged demonstrations file is read by HDF5, whose own crashes are counted apart.
. tests/torture/lib.sh
box=$work/damaged # drivers run side by side
mkdir -p "$box"
build=${SANITIZED:-$build}
runs=0
findings=0
crashed=0
export ASAN_OPTIONS=exitcode=99:detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4000
export UBSAN_OPTIONS=halt_on_error=1:exitcode=99
damage=$(cd "${BUILD:-build}" && pwd)/tests/torture/damage
prepare

try() { # try KIND COMMAND...
    kind=$1
    shift
    runs=$((runs + 1))
    rm -rf "$box/out" "$box/out.png" "$box/cache-out"
    timeout -s KILL 30 "$@" >"$box/stdout" 2>"$box/stderr" </dev/null
    status=$?
    case $status in
    0 | 3) return ;;
    1 | 2) [ "$(grep -vc ' warning: \|^skipped: ' "$box/stderr")" -eq 1 ] && return ;;
    99) ;;
    139 | 134 | 255)
        # inside HDF5, which is not sanitized
        case $kind in demos | shard | table)
            crashed=$((crashed + 1))
            return
            ;;
        esac
        ;;
    esac
    findings=$((findings + 1))
    echo "FOUND: $kind, seed $seed, ends with $status: $*"
    head -n 12 "$box/stderr" | sed 's/^/    /'
}

same_as() { # same_as FILE: what the last command wrote, if it did its work
    [ "$status" -ne 0 ] || cmp -s "$box/out" "$1" || {
        findings=$((findings + 1))
        echo "FOUND: $kind, seed $seed, reads something else"
    }
}

# Imports a copy of a dataset in which one file is damaged, then removes both.
import_with() { # import_with KIND OPTION FOLDER FILE
    rm -rf "$box/set" && cp -r "$3" "$box/set" && hurt "$3/$4" && cp "$bad" "$box/set/$4" &&
        try "$1" "$build/deer-data" import "$2" "$box/set" --threads 1 --out "$box/out"
    rm -rf "$box/out.parts"
}

"$build/deer-data" import --rlds tests/data/rlds --out "$given/rlds.h5" >/dev/null 2>&1
"$build/deer-report" whatif --cache "$given/cache" --rate 10 --hardware raspberry-pi-5 --budget-sweep 4 \
    --threads 1 --json "$given/w.json" --out "$given/w.html" >/dev/null 2>&1
"$build/deer-run" bench --model "$model" --exit 0 --steps 2 --threads 1 --profile-out "$given/p.json" \
    >/dev/null 2>&1
cp tests/data/official/thresholds_golden_a.h5 "$given/table.h5"

bad=$box/bad
for seed in $(seq 1 "$(pick 12 150)"); do
    hurt() { "$damage" "$1" "$bad" "$seed"; }
    hurt "$given/m.safetensors" && try model "$build/deer-model" info "$bad"
    hurt "$model" && try model "$build/deer-run" bench --model "$bad" --exit 0 --steps 1 --threads 1
    hurt "$golden/deer_ckpt.pth" && try checkpoint "$build/deer-model" import --checkpoint "$bad" \
        --vision "$golden/sources/open_clip_pytorch_model.bin" --config "$golden/config.json" --out "$box/out"
    hurt tests/torture/config.json && try config "$build/deer-model" synth --config "$bad" --out "$box/out"
    hurt "$given/t.json" && try thresholds "$build/deer-run" episode --model "$model" --thresholds "$bad" \
        --demos "$given/d.h5" --threads 1
    hurt "$given/d.h5" && try demos "$build/deer-data" info "$bad"
    hurt "$given/d.h5" && try demos "$build/deer-data" frame "$bad" --out "$box/out.png"
    rm -rf "$box/cache" && cp -r "$given/cache" "$box/cache"
    hurt "$given/cache/shard-00000.h5" && cp "$bad" "$box/cache/shard-00000.h5" &&
        try shard "$build/deer-calib" check --cache "$box/cache" --thresholds "$given/t.json" --threads 1
    rm -rf "$box/cache" && cp -r "$given/cache" "$box/cache"
    hurt "$given/cache/manifest.json" && cp "$bad" "$box/cache/manifest.json" &&
        try manifest "$build/deer-calib" check --cache "$box/cache" --thresholds "$given/t.json" --threads 1
    hurt "$given/table.h5" && try table "$build/deer-calib" solve --table "$bad" --avg-fraction 0.5
    hurt "$given/p.json" && try hardware "$build/deer-run" bench --model "$model" --exit 0 --steps 1 \
        --threads 1 --hardware "$bad"
    hurt "$given/w.json" && try report "$build/deer-report" compare "$given/w.json" "$bad"
    import_with npz --calvin tests/data/calvin/training episode_0358484.npz
    same_as "$given/d.h5"
    import_with npy --calvin tests/data/calvin/training lang_annotations/auto_lang_ann.npy
    import_with records --rlds tests/data/rlds bowls-train.tfrecord-00000-of-00002
    same_as "$given/rlds.h5"
    import_with features --rlds tests/data/rlds features.json
    lerobot=tests/data/lerobot
    import_with info --lerobot $lerobot/v21 meta/info.json
    import_with episodes --lerobot $lerobot/v21 meta/episodes.jsonl
    import_with parquet --lerobot $lerobot/v21 data/chunk-000/episode_000000.parquet
    import_with parquet --lerobot $lerobot/v30 data/chunk-000/file-000.parquet
    import_with parquet --lerobot $lerobot/v30 meta/episodes/chunk-000/file-000.parquet
    import_with video --lerobot $lerobot/v21 videos/chunk-000/observation.images.front/episode_000000.mp4
done
echo "damaged: $runs runs, $findings findings, $crashed ended inside HDF5"
[ "$findings" -eq 0 ]
