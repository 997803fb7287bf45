#!/bin/sh
# SPDX-License-Identifier: MIT
# Models of the published 3B dimensions with random weights, to measure with: 11 GB in BUILD/bench, made once.
set -eu
BUILD=${BUILD:-build}
mkdir -p "$BUILD/bench"
for dtype in f32 bf16 q8; do
    file=$BUILD/bench/3b-$dtype.safetensors
    [ -e "$file" ] || "$BUILD/deer-model" synth --config 3b --dtype $dtype --out "$file"
done
