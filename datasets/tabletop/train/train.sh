#!/bin/sh
# Trains the shipped policy from nothing: datasets/tabletop/train/train.sh FOLDER. About 75 minutes on two
# idle cores. Whatever is in FOLDER already is not made again, so it can be interrupted.
set -eu
folder=$1
BUILD=${BUILD:-build}
here=datasets/tabletop/train
unset OPENBLAS_CORETYPE
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
mkdir -p "$folder"

record() { # record NAME OPTIONS...
    [ -s "$folder/$1.h5" ] && return
    name=$1
    shift
    "$BUILD/deer-sim" record "$@" --out "$folder/$name.h5"
}

train() { # train STOP FILES...: up to step STOP of the schedule, on these demonstrations
    stop=$1
    shift
    data=""
    for name in "$@"; do data="$data $folder/$name.h5"; done
    /usr/bin/python3 $here/train.py --data $data --valid "$folder/valid.h5" --out "$folder/policy.pt" \
        --ground-steps 2500 --clone-steps 6500 --stop "$stop" 2>&1 | tee -a "$folder/log.txt"
}

relabel() { # relabel NAME SEED OPTIONS...: the policy as it is now acts, the expert labels
    [ -s "$folder/$1.h5" ] && return
    (cd $here && /usr/bin/python3 export.py "$folder/policy.pt" "$folder/acting.safetensors")
    name=$1
    seed=$2
    shift 2
    record "$name" --policy "$folder/acting.safetensors" --noise 0.4 --seed "$seed" "$@"
}

case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
record train --episodes 240 --seed 1
record scenes --episodes 500 --keep-steps 2 --noise 1.5 --seed 2
record valid --episodes 10 --seed 77
train 4500 train scenes
relabel own-1 201 --episodes 20
relabel own-2 202 --episodes 12 --exit 1
relabel own-3 203 --episodes 25 --tasks open_drawer,stack,push_blue_right,push_green_right
train 6500 train scenes own-1 own-2 own-3
relabel own-4 301 --episodes 15
relabel own-5 302 --episodes 10 --exit 0
train 9000 train scenes own-1 own-2 own-3 own-4 own-5
(cd $here && /usr/bin/python3 export.py "$folder/policy.pt" "$folder/policy.safetensors")
