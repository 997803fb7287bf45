#!/bin/sh
# SPDX-License-Identifier: MIT
# The official modules' numbers on a GPU, by Mesa's software driver. BUILD: the build folder.
set -eu
BUILD=${BUILD:-build}
[ -x "$BUILD/tests/test_gpu" ] || { echo "built without GPUs: nothing to do"; exit 0; }
DEER_DEVICE=llvmpipe "$BUILD/tests/test_golden" tests/data/golden_a tests/data/golden_c
