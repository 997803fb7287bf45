#!/bin/sh
# SPDX-License-Identifier: MIT
# Benchmarks: latency and memory per exit, recording speed, the expert, the solvers, and the official
# calibration loop beside ours where python3-torch is. BUILD: the build folder.
set -eu
BUILD=${BUILD:-build}
model=datasets/tabletop/policy.safetensors
out=$BUILD/bench
python=/usr/bin/python3
unset OPENBLAS_CORETYPE
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
mkdir -p "$out"

say() { printf '\n$ %s\n' "$*"; "$@"; }

say "$BUILD/deer-run" bench --model $model
say "$BUILD/deer-sim" record --episodes 4 --workers 1 --out "$out/demos.h5"
say "$BUILD/deer-sim" eval --expert --episodes 200
say "$BUILD/deer-calib" bench --out "$out/table.h5" | tee "$out/solvers.txt"

if $python -c 'import torch, h5py' 2>/dev/null; then
    say $python bench/official_loop.py "$out/table.h5" | tee "$out/official.txt"
    awk '/official thresholds/ { ours = $3 } /official loop/ { theirs = $(NF - 1) }
         END { printf "the same thresholds, %.0f times as fast\n", theirs / ours }' \
        "$out/solvers.txt" "$out/official.txt"
else
    printf '\npython3-torch or python3-h5py is not installed: the official loop is not compared\n'
fi
