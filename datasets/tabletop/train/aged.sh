#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains a policy of next.sh on, with cameras' pictures that may be old, so that it can be run with encodings used again:
# datasets/tabletop/train/aged.sh FOLDER NEXT, the latter next.sh's folder. In each window the static camera is looked through
# at every first to 13th step, the one on the wrist at every first to third. More episodes of the tasks that are learnt least
# come on top. Whatever is in FOLDER already is not made again. MINUTES: of training. EPISODES: of a task among those that
# come on top. The log is FOLDER/log.txt.
set -eu
folder=$1
next=$2
. datasets/tabletop/train/stages.sh
case $DEVICE in
cpu) MINUTES=${MINUTES:-48} WINDOWS=${WINDOWS:-5} ;; # WINDOWS: a step and worker
*) MINUTES=${MINUTES:-8} WINDOWS=${WINDOWS:-64} ;;
esac
hard=place_red,place_green,place_blue,place_middle,lift_moving_red,lift_moving_green,lift_moving_blue
hard=$hard,stack_red_on_green,stack_green_on_blue,stack_blue_on_red,lift_rightmost,lift_leftmost,lift_middle

for name in train valid; do
    [ -e "$folder/$name.h5" ] || ln -s "$(realpath "$next/$name.h5")" "$folder/$name.h5"
done
record extra --tasks "$hard" --episodes "${EPISODES:-80}" --seed 3
train 1 --init "$(realpath "$next/policy.pt")" --exit-layers 1 3 5 7 11 15 --window 20 --drawn 1 --runs 2 --refreshed 2 --share 0 1 1 1 1 1 1 \
    --windows "$WINDOWS" --ages 12 2 --ground-steps 0 --clone-steps 1 --minutes "$MINUTES" --lr 6e-4 -- train extra
success 1 every 0 2 5
deliver "$folder/policy.pt"
