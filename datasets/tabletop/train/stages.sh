#!/bin/sh
# SPDX-License-Identifier: MIT
# What the recipes train.sh and next.sh are made of; they set $folder and source this. Whatever is in the folder
# already is not made again, so a recipe can be interrupted. DEVICE: cpu or cuda.
BUILD=${BUILD:-build}
DEVICE=${DEVICE:-cpu}
PYTHON=${PYTHON:-/usr/bin/python3}
here=datasets/tabletop/train
unset OPENBLAS_CORETYPE
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
mkdir -p "$folder"
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac

record() { # record NAME OPTIONS...
    [ -s "$folder/$1.h5" ] && return
    name=$1
    shift
    "$BUILD/deer-sim" record "$@" --out "$folder/$name.h5"
}

train() { # train STAGE OPTIONS... -- FILES...: goes on until the options say
    stage=$1
    shift
    [ -e "$folder/trained-$stage" ] && return
    options=
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    shift
    data=
    for name in "$@"; do data="$data $folder/$name.h5"; done
    "$PYTHON" $here/train.py --data $data --valid "$folder/valid.h5" --out "$folder/policy.pt" --report 500 \
        --device "$DEVICE" $options >>"$folder/log.txt" 2>&1
    (cd $here && "$PYTHON" export.py "$folder/policy.pt" "$folder/policy.safetensors")
    touch "$folder/trained-$stage"
}

success() { # success STAGE TASKS EXITS...: closed loop, on seeds of their own
    [ -s "$folder/success-$1.txt" ] && return
    stage=$1
    tasks=$2
    shift 2
    for exit in "$@"; do
        printf '%s, exit %s: ' "$stage" "$exit"
        "$BUILD/deer-sim" eval --model "$folder/policy.safetensors" --tasks "$tasks" --exit "$exit" --episodes 4 --seed 5000 |
            grep '^all.*\['
    done >"$folder/success.part"
    cat "$folder/success.part" >>"$folder/log.txt"
    mv "$folder/success.part" "$folder/success-$stage.txt"
}

relabel() { # relabel NAME OPTIONS...: the policy as it is now acts, the expert labels
    name=$1
    shift
    record "$name" --model "$folder/policy.safetensors" --noise 0.4 "$@"
}

deliver() { # deliver CHECKPOINT[:SHARE]...: their mean as $folder/policy.safetensors
    (cd $here && "$PYTHON" export.py "$@" "$folder/plain.safetensors")
    "$BUILD/deer-model" convert --model "$folder/plain.safetensors" --dtype f32 --out "$folder/policy.safetensors" # adds checksums
}
