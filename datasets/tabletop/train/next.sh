#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains a policy for all 45 tasks in which every exit learns: datasets/tabletop/train/next.sh FOLDER. 16 layers, exits
# after 1, 3, 5, 7, 11 and 15, windows of 20 steps with deep steps among shallow ones. Whatever is in FOLDER already
# is not made again, so it can be interrupted. DEVICE=cuda trains on a GPU, MINUTES of training in all (a schedule of
# STEPS without it). EPISODES: how much to record, relative to 80 episodes a task. The log is FOLDER/log.txt.
set -eu
folder=$1
. datasets/tabletop/train/stages.sh
MINUTES=${MINUTES:-}
case $DEVICE in
cpu) EPISODES=${EPISODES:-50} STEPS=${STEPS:-9000} WINDOWS=${WINDOWS:-5} ;; # WINDOWS: a step and worker
*) EPISODES=${EPISODES:-80} STEPS=${STEPS:-15000} WINDOWS=${WINDOWS:-64} ;;
esac

schedule="--exit-layers 1 3 5 7 11 15 --window 20 --drawn 1 --runs 2 --refreshed 2 --share 0 1 1 1 1 1 1
    --windows $WINDOWS --frames $((WINDOWS * 10)) --ground-steps $((STEPS / 5)) --clone-steps $((STEPS * 4 / 5)) ${MINUTES:+--minutes $MINUTES}"

upto() { # upto SHARE FILES...: to that share of the schedule
    share=$1
    shift
    train "$share" $schedule --until "$share" -- "$@"
    success "$share" every 0 2 5
}

some() { # some PERCENT: of EPISODES, at least one
    echo $((EPISODES * $1 / 100 > 0 ? EPISODES * $1 / 100 : 1))
}

record valid --tasks every --episodes "$(some 12)" --row 2 --seed 77
record scenes --tasks every --episodes "$(some 600)" --keep-steps 2 --noise 1.5 --seed 2
record train --tasks every --episodes "$EPISODES" --row 3 --seed 1
upto 0.5 train scenes
relabel own-1 --tasks every --row 2 --episodes "$(some 20)" --seed 201
relabel own-2 --tasks every --row 2 --episodes "$(some 10)" --exit 1 --seed 202
upto 0.75 train scenes own-1 own-2
relabel own-3 --tasks every --row 2 --episodes "$(some 20)" --seed 301
relabel own-4 --tasks every --row 2 --episodes "$(some 10)" --exit 0 --seed 302
upto 1 train scenes own-1 own-2 own-3 own-4
deliver "$folder/policy.pt"
