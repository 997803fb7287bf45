#!/bin/sh
# Benchmarks: latency and memory per exit, recording speed, the expert, the solvers. BUILD: the build folder.
set -eu
BUILD=${BUILD:-build}
model=datasets/tabletop/policy.safetensors
unset OPENBLAS_CORETYPE
export OPENBLAS_NUM_THREADS=1
mkdir -p "$BUILD/bench"

say() { printf '\n$ %s\n' "$*"; "$@"; }

say "$BUILD/deer-run" bench --model $model
say "$BUILD/deer-sim" record --episodes 4 --workers 1 --out "$BUILD/bench/demos.h5"
say "$BUILD/deer-sim" eval --expert --episodes 200
