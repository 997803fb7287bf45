#!/bin/sh
# SPDX-License-Identifier: MIT
# A step on the GPU under Khronos' validation layer with synchronisation validation: no message. Each
# barrier of the step left out in turn is noticed, since drivers, lavapipe among them, may hide that it is
# missing; only the one that a unit begins with may be one that this
# order of units does not need. Few are tried unless ALL=1: those of one layer, an exit and of what goes around. BUILD: the build folder.
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
[ -x "$BUILD/tests/test_gpu" ] || { echo "built without GPUs: nothing to do"; exit 0; }
[ -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] ||
    { echo "FAILED: the package vulkan-validationlayers is not installed"; exit 1; }

export VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
failures=0

messages() { # messages NAME ARGUMENT..: how many the layer prints meanwhile
    name=$1
    shift
    "$BUILD/tests/test_gpu" rehearse "$@" >"$work/$name" 2>&1 || { echo "FAILED: rehearse $*"; cat "$work/$name"; failures=$((failures + 1)); }
    grep -c 'Validation \(Error\|Warning\)\|SYNC-HAZARD\|VUID' "$work/$name"
}

count=$(messages whole)
if [ "$count" -ne 0 ]; then
    echo "FAILED: $count messages of a whole step:"
    grep 'Validation\|VUID\|SYNC' "$work/whole" | head -n 5
    failures=$((failures + 1))
fi
barriers=$(sed -n 's/ barriers$//p' "$work/whole")
step=$([ "${ALL:-}" = 1 ] && echo 1 || echo 9)
tried=0
n=1 # the first one waits for what ran before and is not of this step
while [ "$n" -lt "${barriers:-0}" ]; do
    count=$(messages "without$n" "$n")
    tried=$((tried + 1))
    [ "$count" -gt 0 ] || grep -q 'first of a unit' "$work/without$n" || { echo "FAILED: without barrier $n of $barriers there is no message"; failures=$((failures + 1)); }
    n=$((n + step))
done
echo "$barriers barriers, $tried left out in turn, $failures failures"
[ "$tried" -gt 0 ] && [ "$failures" -eq 0 ]
