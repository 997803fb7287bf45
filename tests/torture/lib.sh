# SPDX-License-Identifier: MIT
# lib.sh - what the drivers share: inputs made once, commands and their outputs, and the judge.
# BUILD: the build folder; TORTURE=fast: a sample for every change.
set -u
export LC_ALL=C OMP_NUM_THREADS=1
build=$(cd "${BUILD:-build}" && pwd)
root=$(pwd)
model=$root/datasets/tabletop/policy.safetensors
golden=$root/tests/data/golden_c
fast=$([ "${TORTURE:-}" = fast ] && echo 1 || echo 0)
faults=$build/tests/torture/faults.so
[ -n "${work:-}" ] || { # a driver may hand its folder on
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
}
given=$work/given

pick() { # pick FAST FULL: which of the two this run takes
    [ "$fast" = 1 ] && echo "$1" || echo "$2"
}

# An evaluator for a search by trial, which knows what it wants: the first of tau at exp(-4).
evaluator() {
    cat <<'END'
#!/bin/sh
awk '/"tau"/ && !seen++ { getline; t = $1 + 0 } END { printf "{\"success\": %f, \"cost\": 0.0049, \"rollouts\": 50}\n",
1 / (1 + (log(t) + 4) ^ 2) }'
END
}

# The folder of an import that was all there but for its end: the last file could not be named.
begin_import() {
    mkdir -p "$given/begun"
    (
        cd "$given/begun" || exit 1
        import="env LD_PRELOAD=$faults FAULT_CALL=rename FAULT_ERRNO=5 FAULT_LOG=../renames $build/deer-data import --part-episodes 1
            --calvin $root/tests/data/calvin/training --skip-bad --threads 1 --out d.h5"
        # shellcheck disable=SC2086
        FAULT_AT=0 $import && rm d.h5 && last=$(sed -n 's/^count //p' ../renames) && ! FAULT_AT=$last $import
        [ -e d.h5.parts/part-00001.h5 ] && [ ! -e d.h5 ]
    )
}

# Small inputs: demonstrations of CALVIN's test data, a cache of them, thresholds, a model; reports and
# evaluations for the commands that compare them.
prepare() {
    [ ! -e "$work/prepared" ] || return 0
    mkdir -p "$given"
    evaluator >"$given/evaluator.sh"
    chmod +x "$given/evaluator.sh"
    {
        "$build/deer-data" import --calvin tests/data/calvin/training --out "$given/d.h5" &&
            "$build/deer-calib" replay --model "$model" --demos "$given/d.h5" \
                --cache "$given/cache" &&
            "$build/deer-calib" solve --cache "$given/cache" --scope llm --avg-fraction 0.5 \
                --out "$given/t.json" &&
            "$build/deer-calib" solve --cache "$given/cache" --scope llm --avg-fraction 0.5 \
                --criterion combined --frontier "$given/f.json" --frontier-points 3 --out "$given/s.json" &&
            "$build/deer-model" import --official tests/data/golden_b --out "$given/m.safetensors" &&
            "$build/deer-report" whatif --cache "$given/cache" --rate 10 --json "$given/a.json" &&
            "$build/deer-report" whatif --cache "$given/cache" --rate 20 --json "$given/b.json" &&
            "$build/deer-sim" eval --model "$model" $rollouts --exit 0 --json >"$given/first.json" &&
            "$build/deer-sim" eval --model "$model" $rollouts --json >"$given/full.json" && begin_import
    } >"$work/prepare.log" 2>&1 || {
        cat "$work/prepare.log"
        exit 1
    }
    touch "$work/prepared"
}

rollouts='--tasks lift_red --episodes 1 --workers 1'
cases='replay solve frontier combined check episode import convert minfo dinfo dimport goon rlds lerobot whatif
frame online synth devices record eval watch picture compare rollouts paired
serve'

# The command of a case, its outputs in $outputs; stdout counts where it is the same every time.
command_of() {
    outputs=
    begun= # a folder to begin in, and a file of it that stays until there is an output
    kept=
    case $1 in
    replay)
        set -- deer-calib replay --model "$model" --demos "$given/d.h5" --cache cache --threads 1
        outputs='cache/shard-00000.h5 cache/cache.h5 cache/manifest.json'
        ;;
    solve)
        set -- deer-calib solve --cache "$given/cache" --scope llm --avg-fraction 0.5 --threads 1 \
            --out t.json
        outputs=t.json
        ;;
    frontier)
        set -- deer-calib solve --cache "$given/cache" --scope llm --avg-fraction 0.5 --threads 1 \
            --method coordinate --frontier f.json --frontier-points 3 --out t.json
        outputs='t.json f.json'
        ;;
    combined)
        set -- deer-calib solve --cache "$given/cache" --scope llm --avg-fraction 0.5 --threads 1 \
            --method coordinate --criterion combined --out t.json
        outputs=t.json
        ;;
    check)
        set -- deer-calib check --cache "$given/cache" --thresholds "$given/t.json" --threads 1 \
            --json
        outputs=stdout
        ;;
    episode)
        set -- deer-run episode --model "$model" --thresholds "$given/t.json" --demos "$given/d.h5" \
            --all --threads 1 --json
        outputs=stdout
        ;;
    import)
        set -- deer-model import --checkpoint "$golden/deer_ckpt.pth" --vision \
            "$golden/sources/open_clip_pytorch_model.bin" --config "$golden/config.json" --out m
        outputs=m
        ;;
    convert)
        set -- deer-model convert --model "$given/m.safetensors" --dtype q8 --out m
        outputs=m
        ;;
    minfo)
        set -- deer-model info "$model" --tokens 9 --explain
        outputs=stdout
        ;;
    dinfo)
        set -- deer-data info "$given/d.h5" --json
        outputs=stdout
        ;;
    dimport | goon)
        [ "$1" = dimport ] || begun=$given/begun kept=d.h5.parts/part-00000.h5
        set -- deer-data import --calvin "$root/tests/data/calvin/training" --part-episodes 1 \
            --skip-bad --threads 1 --out d.h5
        outputs=d.h5
        ;;
    rlds)
        set -- deer-data import --rlds "$root/tests/data/rlds" --threads 1 --out d.h5
        outputs=d.h5
        ;;
    lerobot)
        set -- deer-data import --lerobot "$root/tests/data/lerobot/v30" --threads 1 --out d.h5
        outputs=d.h5
        ;;
    whatif)
        set -- deer-report whatif --cache "$given/cache" --rate 10 --hardware raspberry-pi-5 \
            --budget-sweep 4 --threads 1 --json w.json --csv w.csv --out w.html
        outputs='w.json w.csv w.html'
        ;;
    frame)
        set -- deer-data frame "$given/d.h5" --out f.png
        outputs=f.png
        ;;
    online)
        set -- deer-calib online --eval "$given/evaluator.sh<{thresholds}" --thresholds "$given/s.json" \
            --budget 0.005 --evaluations 6 --episodes 1 --out o.json
        outputs=o.json
        ;;
    synth)
        set -- deer-model synth --config "$root/tests/torture/config.json" --out m
        outputs=m
        ;;
    devices)
        set -- deer-run devices --json
        outputs=stdout
        ;;
    record)
        set -- deer-sim record --tasks lift_red --episodes 1 --workers 1 --out d.h5
        outputs=d.h5
        ;;
    eval)
        # shellcheck disable=SC2086
        set -- deer-sim eval --model "$model" $rollouts --json
        outputs=stdout
        ;;
    watch)
        set -- deer-sim watch --model "$model" --task lift_red --every 10 --out w.webp --sheet s.png
        outputs='w.webp s.png'
        ;;
    picture)
        set -- deer-sim picture --task lift_red --moments 2 --out p.png
        outputs=p.png
        ;;
    compare)
        set -- deer-report compare "$given/a.json" "$given/b.json" --json --out c.html
        outputs='stdout c.html'
        ;;
    rollouts)
        set -- deer-report rollouts "full=$given/full.json" "first=$given/first.json" --csv r.csv --out r.json
        outputs='stdout r.json r.csv'
        ;;
    paired)
        set -- deer-report rollouts --paired "full=$given/full.json" "first=$given/first.json" --json
        outputs=stdout
        ;;
    serve)
        set -- "$root/tests/torture/served.sh" "$build" "$model"
        outputs=stdout
        ;;
    esac
    case $1 in /*) program=$1 ;; *) program=$build/$1 ;; esac
    shift
    command="$*" # no path here has a space
}

# Runs the present case in an empty folder $box/run, with the given environment.
attempt() { # attempt BOX [NAME=VALUE ...]
    box=$1
    shift
    rm -rf "$box/run"
    mkdir -p "$box/run"
    [ -z "$begun" ] || cp -r "$begun/." "$box/run"
    (
        cd "$box/run" || exit 99
        # shellcheck disable=SC2086
        timeout -s KILL 30 env "$@" "$program" $command >stdout 2>../stderr </dev/null
    )
    status=$?
    case $name in eval | episode | serve) sed -i '/"ms_/d; /"ws:/d' "$box/run/stdout" ;; esac # never the same twice
}

# The outputs of an undisturbed run, which must come out twice the same.
reference() { # reference BOX
    attempt "$1"
    [ "$status" -eq 0 ] || {
        echo "the command itself fails:"
        cat "$1/stderr"
        return 1
    }
    rm -rf "$1/want"
    mv "$1/run" "$1/want"
    attempt "$1"
    for o in $outputs; do
        cmp -s "$1/run/$o" "$1/want/$o" || {
            echo "$o differs from run to run"
            return 1
        }
    done
}

# An unfinished cache's manifest is whole: that of the finished one without which recordings all shards are of.
is_whole() { # is_whole BOX OUTPUT
    cmp -s "$1/run/$2" "$1/want/$2" && return
    [ "$2" = cache/manifest.json ] && [ "$status" -ne 0 ] && sed '/^ "demos": /d' "$1/want/$2" | cmp -s - "$1/run/$2"
}

half_there() { # half_there BOX: outputs that are there, but are not those of an undisturbed run
    for o in $outputs; do
        [ "$o" = stdout ] || [ ! -e "$1/run/$o" ] || is_whole "$1" "$o" || echo "$o is half there"
    done
}

# Prints what is wrong with the run just made, nothing where all is well. HDF5 1.10 crashes where it
# gets no memory itself: of such runs ($theirs is 1) only the outputs are judged.
judge() { # judge BOX
    [ "$status" -eq 0 ] || [ -z "$kept" ] || [ -e "$1/run/$kept" ] || [ -e "$1/run/$outputs" ] || echo "$kept is gone"
    [ "${theirs:-0}" = 0 ] || [ "$status" -eq 0 ] || {
        half_there "$1"
        return
    }
    case $status in
    0)
        for o in $outputs; do
            cmp -s "$1/run/$o" "$1/want/$o" || echo "status 0, but $o is wrong"
        done
        ;;
    1)
        [ "$(grep -vc ' warning: ' "$1/stderr")" -eq 1 ] || echo "not one line"
        grep -q '^deer-' "$1/stderr" || echo "no message"
        grep -q '()$' "$1/stderr" && echo "an empty reason"
        half_there "$1"
        ;;
    137) echo "hangs" ;;
    *) echo "ends with $status" ;;
    esac
    left=$(find "$1/run" -name '*.tmp-*' | head -n 1)
    [ -z "$left" ] || echo "left behind: ${left##*/}"
}
