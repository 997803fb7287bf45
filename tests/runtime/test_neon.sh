#!/bin/sh
# SPDX-License-Identifier: MIT
# The kernels on a 64-bit Arm: test_kernels.c, cross-compiled and emulated, on processors that have
# NEON's matrix products, its dot products alone, and neither. BUILD: the build folder.
set -eu
BUILD=${BUILD:-build}
program=$BUILD/aarch64/tests/kernels

if [ "$(uname -m)" != x86_64 ]; then
    echo "nothing to emulate on $(uname -m): test_kernels runs this machine's own instruction sets"
    exit 0
fi

MAKEFLAGS='' make -s -j"$(nproc)" BUILD="$BUILD/aarch64" CC=aarch64-linux-gnu-gcc CFLAGS=-O2 LDFLAGS= \
    BLAS=none EXTRA_CFLAGS=-Itests/cross "$program"

on() { # on PROCESSOR SETS: every check passes there, with just these instruction sets
    output=$(qemu-aarch64 -cpu "$1" "$program") || { echo "$output"; echo "FAILED on $1"; exit 1; }
    echo "on $1:"
    echo "$output"
    echo "$output" | grep -qx "instruction sets: $2" || { echo "FAILED: not $2 on $1"; exit 1; }
}
on max "neon_mmla neon_dot neon generic"
on neoverse-n1 "neon generic"
on cortex-a72 "generic"
