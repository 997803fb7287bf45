#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains the shipped policy from nothing: datasets/tabletop/train/train.sh FOLDER. About two hours on two
# idle cores. Whatever is in FOLDER already is not made again, so it can be interrupted. The log
# (FOLDER/log.txt) has losses, held-out accuracy and, at each stop, closed-loop success per exit.
set -eu
folder=$1
. datasets/tabletop/train/stages.sh

# Of the gradient of the pseudo exit and of exits 1 to 6, what reaches the decoder.
share="0 0 0.3 1 1 1 1"

upto() { # upto STEP CLONE FILES...: to that step of a schedule of 2,500 steps of grounding and CLONE of cloning
    step=$1
    clone=$2
    shift 2
    train "$step" --ground-steps 2500 --clone-steps "$clone" --share $share \
        --until "$(awk -v s="$step" -v c="$clone" 'BEGIN { printf "%.17g", s / (2500 + c) }')" -- "$@"
    success "$step" all 0 2 5
}

record valid --episodes 10 --row 2 --seed 77
record scenes --episodes 600 --keep-steps 2 --noise 1.5 --seed 2
record train --episodes 80 --row 3 --seed 1
upto 5000 6000 train scenes
relabel own-1 --row 2 --episodes 16 --seed 201
relabel own-2 --row 2 --episodes 8 --exit 1 --seed 202
upto 7000 6000 train scenes own-1 own-2
relabel own-3 --row 2 --episodes 16 --seed 301
relabel own-4 --row 2 --episodes 8 --exit 0 --seed 302
upto 8500 6000 train scenes own-1 own-2 own-3 own-4
# Once more, with a higher learning rate that falls again.
upto 9000 7000 train scenes own-1 own-2 own-3 own-4
[ -e "$folder/early.pt" ] || cp "$folder/policy.pt" "$folder/early.pt"
# Whole chains, and now the first exits may ask a little of the decoder too.
relabel own-5 --row 5 --episodes 9 --seed 401
relabel own-6 --row 5 --episodes 5 --exit 1 --seed 402
share="0 0.1 0.6 1 1 1 1"
upto 12500 10000 train scenes own-1 own-2 own-3 own-4 own-5 own-6
# The mean of both stages is better than either.
deliver "$folder/early.pt:0.7" "$folder/policy.pt:0.3"
