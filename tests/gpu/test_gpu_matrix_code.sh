#!/bin/sh
# SPDX-License-Identifier: MIT
# The code for matrix units, which is kept compiled, is what is made of its source; and valid, as far as the
# validator at hand knows what it is made of. BUILD: the build folder.
set -u
BUILD=${BUILD:-build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
[ -x "$BUILD/tests/test_gpu" ] || { echo "built without GPUs: nothing to do"; exit 0; }
shaders=runtime/gpu/shaders
failures=0

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

for how in -DBYTES -DHALVES; do # as the compiler has it
    glslangValidator -V $how --target-env vulkan1.1 -o "$work/code.spv" $shaders/linear_matrix.comp >"$work/said" &&
        spirv-val --target-env vulkan1.1 "$work/code.spv" || { fail "linear_matrix.comp, $how"; cat "$work/said"; }
done
if glslangValidator --version | grep -q '^Glslang Version: .*:12\.0\.0$'; then
    python3 $shaders/matrix_code.py --check || fail "$shaders/*.words"
else
    echo "another compiler than Debian 12's: the words are not compared"
fi
python3 $shaders/matrix_code.py --binary "$work" || fail "matrix_code.py --binary"
if echo 'OpCapability BFloat16CooperativeMatrixKHR' | spirv-as -o "$work/knows" - 2>"$work/said"; then
    for name in linear_matrix_q8 linear_matrix_bf16; do
        spirv-val --target-env vulkan1.3 "$work/$name.spv" || fail "$name"
    done
else
    echo "a validator that does not know VK_KHR_cooperative_matrix: not asked"
fi
echo "$failures failures"
[ "$failures" -eq 0 ]
