#!/bin/sh
# SPDX-License-Identifier: MIT
# A step on the GPU under Khronos' validation layer with synchronisation validation: no message. Each
# barrier left out in turn is reported, since drivers, lavapipe among them, may hide that one is missing.
# ALL=1: with weights of every type, and whole tests without a message. BUILD: the build folder.
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
[ -x "$BUILD/tests/test_gpu" ] || { echo "built without GPUs: nothing to do"; exit 0; }
[ -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] ||
    { echo "FAILED: the package vulkan-validationlayers is not installed"; exit 1; }

export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
message='Validation \(Error\|Warning\)\|SYNC-HAZARD\|VUID'
failures=0

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

rehearse() { # rehearse TYPE
    "$BUILD/tests/test_gpu" rehearse "$1" >"$work/$1" 2>&1 || { fail "rehearse $1"; tail "$work/$1"; }
    sed -n "/^without barrier -1$/,/^without barrier 0$/{/$message/p}" "$work/$1" >"$work/whole"
    [ ! -s "$work/whole" ] || { fail "$1: messages of a whole step:"; head -n 5 "$work/whole"; }
    unnoticed=$(awk '/^without barrier/ { n = $3; tried[n] = 1 } /SYNC-HAZARD/ { delete tried[n] }
                     END { for (n in tried) if (n >= 0) printf " %d", n }' "$work/$1")
    [ -z "$unnoticed" ] || fail "$1: nothing is reported without barrier$unnoticed"
    barriers=$(($(grep -c '^without barrier' "$work/$1") - 1))
    [ "$barriers" -gt 100 ] || fail "$1: only $barriers barriers"
    echo "$1: $barriers barriers, each left out in turn"
}

silent() { # silent COMMAND..: it says nothing of the layer's
    "$@" >"$work/out" 2>&1 || { fail "$* under the validation layer"; tail "$work/out"; }
    grep -q "$message" "$work/out" && { fail "messages of $*:"; grep "$message" "$work/out" | head -n 5; }
    echo "$*: no message"
}

rehearse f32
if [ "${ALL:-}" = 1 ]; then
    rehearse bf16
    rehearse q8
    silent "$BUILD/tests/test_gpu"
    silent "$BUILD/tests/test_gpu_batch"
    silent env DEER_DEVICE=llvmpipe "$BUILD/tests/test_golden" tests/data/golden_a tests/data/golden_c
fi
echo "$failures failures"
[ "$failures" -eq 0 ]
