#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs and --device, on Mesa's software driver: rollouts whose processes each open it, and what is said
# where there is no loader. BUILD: the build folder.
set -u
BUILD=${BUILD:-build}
[ -x "$BUILD/tests/test_gpu" ] || { echo "built without GPUs: nothing to do"; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0
unset DEER_DEVICE

fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

says() { # says TEXT COMMAND..: it fails with one line that has this
    text=$1
    shift
    "$@" >"$work/out" 2>"$work/err" && fail "$* does not fail"
    [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q "$text" "$work/err" || { fail "$* does not say '$text':"; cat "$work/err"; }
}

policy="--model datasets/tabletop/policy.safetensors"
eval="$BUILD/deer-sim eval $policy --thresholds datasets/tabletop/thresholds.json --seed 1003 --json"

# Two processes, each with the device for itself: every exit, success and step as on the processor.
$eval --tasks lift_red,lift_green --episodes 1 --workers 2 >"$work/cpu.json" 2>/dev/null || fail "eval on the processor"
$eval --tasks lift_red,lift_green --episodes 1 --workers 2 --device llvmpipe >"$work/gpu.json" 2>/dev/null || fail "eval --device llvmpipe"
for name in cpu gpu; do
    grep -v '"ms_per_step"' "$work/$name.json" >"$work/$name"
done
cmp -s "$work/cpu" "$work/gpu" || { fail "rollouts on the device differ:"; diff "$work/cpu" "$work/gpu" | head; }
grep -q '"rollouts": 2' "$work/cpu" || fail "two rollouts"
says "there is no device 'nonsense'" $eval --tasks lift_red --episodes 1 --device nonsense
says "device needs --model" "$BUILD/deer-sim" eval --expert --device gpu

# Recorded with a policy that acts there, as the environment says.
DEER_DEVICE=llvmpipe "$BUILD/deer-sim" record $policy --exit 0 --tasks lift_red --episodes 1 --keep-steps 2 \
    --out "$work/seen.h5" 2>"$work/err" || { fail "record"; cat "$work/err"; }
says "there is no device 'nonsense'" env DEER_DEVICE=nonsense "$BUILD/deer-sim" record $policy --episodes 1 --out "$work/none.h5"
[ ! -e "$work/none.h5" ] || fail "a recording that failed left a file"

# The device's own profile, completed by itself and by nothing else, and used to predict.
bench="$BUILD/deer-run bench $policy --exit 0 --steps 1"
$bench --device llvmpipe --profile-out "$work/here.json" --json >"$work/bench.json" 2>/dev/null || fail "bench --profile-out"
for key in '"device": "llvmpipe' '"dispatch_us": [0-9]*[1-9]' '"submission_us": [0-9]*[1-9]' '"f32_gflops": [0-9.]*[1-9]'; do
    grep -q "$key" "$work/bench.json" || fail "bench --json has no $key"
done
for key in '"kind": "embedded"' '"title": "llvmpipe' '"dispatch": {' '"submission": {' '"stage": "vision"'; do
    grep -q "$key" "$work/here.json" || fail "the profile has no $key"
done
$bench --device llvmpipe --hardware "$work/here.json" >"$work/predicted" 2>&1 && grep -q "predicted" "$work/predicted" ||
    { fail "bench --hardware"; tail "$work/predicted"; }

# Without a loader (here: one that is none).
: >"$work/libvulkan.so.1"
without="env LD_LIBRARY_PATH=$work"
says "no GPU can be used: .*libvulkan.so.1.*apt-get install libvulkan1" $without $eval --tasks lift_red --episodes 1 --device gpu
$without "$BUILD/deer-run" devices >"$work/list" 2>"$work/err"
grep -q "^cpu " "$work/list" && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q "no GPU can be used: .*libvulkan.so.1" "$work/err" || { fail "devices without a loader:"; cat "$work/list" "$work/err"; }
$without $eval --tasks lift_red,lift_green --episodes 1 --workers 2 --device auto >"$work/auto.json" 2>"$work/err" || fail "eval --device auto without a loader"
[ "$(grep -c 'no GPU can be used.*running on the CPU' "$work/err")" -eq 1 ] || { fail "it is not said once that it runs on the CPU:"; cat "$work/err"; }
grep -v '"ms_per_step"' "$work/auto.json" | cmp -s - "$work/cpu" || fail "auto without a loader is not the processor"

echo "$failures failures"
[ "$failures" -eq 0 ]
