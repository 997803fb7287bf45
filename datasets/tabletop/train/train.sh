#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains the shipped policy from nothing: datasets/tabletop/train/train.sh FOLDER. About two hours on two
# idle cores. Whatever is in FOLDER already is not made again, so it can be interrupted. The log
# (FOLDER/log.txt) has losses, held-out accuracy and, at each stop, closed-loop success per exit.
set -eu
folder=$1
BUILD=${BUILD:-build}
here=datasets/tabletop/train
unset OPENBLAS_CORETYPE
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
mkdir -p "$folder"
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac

# Of the gradient of the pseudo exit and of exits 1 to 6, what reaches the decoder.
share="0 0 0.3 1 1 1 1"

record() { # record NAME OPTIONS...
    [ -s "$folder/$1.h5" ] && return
    name=$1
    shift
    "$BUILD/deer-sim" record "$@" --out "$folder/$name.h5"
}

train() { # train CLONE STOP FILES...: up to step STOP of a schedule of CLONE cloning steps
    clone=$1
    stop=$2
    shift 2
    [ -e "$folder/trained-$stop" ] && return
    data=""
    for name in "$@"; do data="$data $folder/$name.h5"; done
    /usr/bin/python3 $here/train.py --data $data --valid "$folder/valid.h5" --out "$folder/policy.pt" \
        --ground-steps 2500 --clone-steps "$clone" --report 500 --stop "$stop" --share $share >>"$folder/log.txt" 2>&1
    (cd $here && /usr/bin/python3 export.py "$folder/policy.pt" "$folder/policy.safetensors")
    touch "$folder/trained-$stop"
}

success() { # success STOP: closed loop, on seeds of their own, at three exits
    [ -s "$folder/success-$1.txt" ] && return
    for exit in 0 2 5; do
        printf 'step %s, exit %s: ' "$1" $exit
        "$BUILD/deer-sim" eval --model "$folder/policy.safetensors" --exit $exit --episodes 4 --seed 5000 |
            grep '^all.*\['
    done >"$folder/success.part"
    cat "$folder/success.part" >>"$folder/log.txt"
    mv "$folder/success.part" "$folder/success-$1.txt"
}

relabel() { # relabel NAME OPTIONS...: the policy as it is now acts, the expert labels
    name=$1
    shift
    record "$name" --model "$folder/policy.safetensors" --noise 0.4 "$@"
}

record valid --episodes 10 --row 2 --seed 77
record scenes --episodes 600 --keep-steps 2 --noise 1.5 --seed 2
record train --episodes 80 --row 3 --seed 1
train 6000 5000 train scenes
success 5000
relabel own-1 --row 2 --episodes 16 --seed 201
relabel own-2 --row 2 --episodes 8 --exit 1 --seed 202
train 6000 7000 train scenes own-1 own-2
success 7000
relabel own-3 --row 2 --episodes 16 --seed 301
relabel own-4 --row 2 --episodes 8 --exit 0 --seed 302
train 6000 8500 train scenes own-1 own-2 own-3 own-4
success 8500
# Once more, with a higher learning rate that falls again.
train 7000 9000 train scenes own-1 own-2 own-3 own-4
[ -e "$folder/early.pt" ] || cp "$folder/policy.pt" "$folder/early.pt"
success 9000
# Whole chains, and now the first exits may ask a little of the decoder too.
relabel own-5 --row 5 --episodes 9 --seed 401
relabel own-6 --row 5 --episodes 5 --exit 1 --seed 402
share="0 0.1 0.6 1 1 1 1"
train 10000 12500 train scenes own-1 own-2 own-3 own-4 own-5 own-6
success 12500
# The mean of both stages is better than either.
(cd $here && /usr/bin/python3 export.py "$folder/early.pt:0.7" "$folder/policy.pt:0.3" "$folder/plain.safetensors")
"$build/deer-model" convert --model "$folder/plain.safetensors" --dtype f32 --out "$folder/policy.safetensors" # adds checksums
success mean
