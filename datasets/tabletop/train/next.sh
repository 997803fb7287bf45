#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains a policy for all 45 tasks in which every exit learns: datasets/tabletop/train/next.sh FOLDER FIRST. It begins as
# FIRST, a policy that train.sh made, with 16 layers, exits after 1, 3, 5, 7, 11 and 15, and sees windows of 20 steps with
# deep steps among shallow ones. Whatever is in FOLDER already is not made again, so it can be interrupted. MINUTES: of
# training in all. DEVICE=cuda trains on a GPU. EPISODES: how much to record, relative to 80 episodes a task. The
# log is FOLDER/log.txt.
set -eu
folder=$1
first=$2
. datasets/tabletop/train/stages.sh
MINUTES=${MINUTES:-}
case $DEVICE in
cpu) EPISODES=${EPISODES:-50} MINUTES=${MINUTES:-60} WINDOWS=${WINDOWS:-5} ;; # WINDOWS: a step and worker
*) EPISODES=${EPISODES:-80} MINUTES=${MINUTES:-10} WINDOWS=${WINDOWS:-64} ;;
esac

exits="1 3 5 7 11 15"
schedule="--exit-layers $exits --window 20 --drawn 1 --runs 2 --refreshed 2 --share 0 1 1 1 1 1 1 --windows $WINDOWS
    --frames $((WINDOWS * 10)) --ground-steps 1 --clone-steps 9 --minutes $MINUTES --lr 1e-3 --init $folder/start.pt"

upto() { # upto SHARE FILES...: to that share of the schedule
    share=$1
    shift
    train "$share" $schedule --until "$share" -- "$@"
    [ -s "$folder/policy-$share.pt" ] || cp "$folder/policy.pt" "$folder/policy-$share.pt"
    success "$share" every 0 2 5
}

some() { # some PERCENT: of EPISODES, at least one
    echo $((EPISODES * $1 / 100 > 0 ? EPISODES * $1 / 100 : 1))
}

record valid --tasks every --episodes "$(some 12)" --row 2 --seed 77
record scenes --tasks every --episodes "$(some 600)" --keep-steps 2 --noise 1.5 --seed 2
record train --tasks every --episodes "$EPISODES" --row 3 --seed 1
[ -s "$folder/start.pt" ] || "$PYTHON" $here/widen.py "$first" --data "$folder/valid.h5" "$folder/scenes.h5" "$folder/train.h5" \
    --exit-layers $exits --out "$folder/start.pt"
upto 0.6 train scenes
relabel own-1 --tasks every --row 2 --episodes "$(some 24)" --seed 201
relabel own-2 --tasks every --row 2 --episodes "$(some 12)" --exit 1 --seed 202
upto 1 train scenes own-1 own-2
deliver "$folder/policy.pt"
