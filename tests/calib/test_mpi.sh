#!/bin/sh
# SPDX-License-Identifier: MIT
# Many ranks do what one process does, to the byte; a rank that is killed ends all, and the next run goes
# on. LONG=1: 20 kills in place of 3. BUILD: the build folder.
set -eu
build=${BUILD:-build}
calib=$build/mpi/deer-calib
sim=$build/mpi/deer-sim
if ! [ -x "$calib" ] || ! command -v mpirun >/dev/null; then
    echo "skipped: built without Open MPI (packages libopenmpi-dev and openmpi-bin)"
    exit 0
fi
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
model=datasets/tabletop/policy.safetensors
demos=$files/demos.h5
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 # as in a container

wrong() {
    echo "wrong: $*" >&2
    exit 1
}

ranks() { # ranks N PROGRAM ARGUMENT..
    n=$1
    shift
    mpirun --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 -n "$n" "$@"
}

same() { # same FILE FILE: but for how long it took
    sed '/seconds\|ms_per/d' "$1" >"$files/first"
    sed '/seconds\|ms_per/d' "$2" | cmp -s "$files/first" - || wrong "$2 is not $1"
}

same_cache() { # same_cache DIR DIR
    rm -f "$1/lock" "$2/lock"
    diff -r "$1" "$2" >/dev/null || wrong "the cache $2 is not $1"
}

ldd "$build/deer-calib" | grep -q 'lapack\|blas' &&
    wrong "deer-calib links LAPACK, which starts threads in every process"
ldd "$build/deer-calib" | grep -q libmpi && ! grep -q 1 "$build/with-mpi" &&
    wrong "deer-calib needs MPI, built without"

# ---- one process
"$build/deer-sim" record --tasks lift_red --episodes 14 --seed 3 --out "$demos" 2>/dev/null
replay="replay --model $model --demos $demos --shard-episodes 1 --threads 1"
$calib $replay --cache "$files/one" 2>/dev/null
solve="solve --fresh-cameras --scope llm --cache $files/one --avg-fraction 0.4 --method coordinate"
more="solve --cache $files/one --scope llm --avg-fraction 0.5 --confidence 0.8 --frontier"
$calib $solve --out "$files/solved" >/dev/null 2>&1
$calib $more "$files/dial" --frontier-points 4 --method coordinate --json >"$files/promised"
/usr/bin/python3 - "$files/table.h5" "$files/huge.h5" <<'PY'
import sys, h5py, numpy
rng = numpy.random.default_rng(5)
n, k = 140000, 3  # more than are searched without a sample, and more deltas than levels
episode = numpy.arange(n) // 40
rest = (rng.random(n // 40)[episode] * rng.random(n))[:, None] * 0.6 ** numpy.arange(k)
delta = rest * rng.lognormal(0, 0.4, (n, k))
delta[rng.random((n, k)) < 0.001] = numpy.nan
with h5py.File(sys.argv[1], "w") as f:
    f["delta"], f["loss"] = delta.astype("f4"), (rest * rng.lognormal(0, 0.5, (n, k))).astype("f4")
    f["cost"], f["episode"], f["task"] = numpy.linspace(0.3, 1, k), episode, episode % 7
with h5py.File(sys.argv[2], "w") as f:
    f["delta"], f["loss"] = delta[:999], numpy.where(delta[:999] > 0.9, 1e30, rest[:999])
    f["cost"], f["episode"] = numpy.linspace(0.3, 1, k), episode[:999]
PY
table="solve --table $files/table.h5 --avg-fraction 0.5 --method coordinate --json"
$calib $table >"$files/tabled"
eval="eval --model $model --exit 0 --tasks lift_red --episodes 6 --workers 1 --json"
"$build/deer-sim" $eval >"$files/judged" 2>/dev/null

# ---- many
for n in 1 2 3 5; do
    ranks $n $calib $replay --cache "$files/many" 2>/dev/null
    same_cache "$files/one" "$files/many"
    rm -r "$files/many"
    ranks $n $calib $solve --out "$files/solved$n" >/dev/null 2>&1
    same "$files/solved" "$files/solved$n"
done
ranks 3 $calib $more "$files/dial3" --frontier-points 4 --method coordinate --json >"$files/promised3"
same "$files/dial" "$files/dial3"
same "$files/promised" "$files/promised3"
ranks 2 $calib $table >"$files/tabled2"
same "$files/tabled" "$files/tabled2"
ranks 3 "$sim" $eval >"$files/judged3" 2>/dev/null
same "$files/judged" "$files/judged3"

# ---- killed, and gone on with
kills=3
[ -z "${LONG:-}" ] || kills=20
seed=7
struck=0
for _ in $(seq $kills); do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    ranks 3 $calib $replay --cache "$files/many" >"$files/said" 2>&1 &
    launcher=$!
    aim=$((seed / 65536 % 12)) # shards that are there when it strikes
    until [ -e "$files/many/lock" ] && [ "$(find "$files/many" -name 'shard-*.h5' | wc -l)" -ge "$aim" ]; do
        kill -0 $launcher 2>/dev/null || break
    done
    victim=$(pgrep -P "$(pgrep -d , -P $launcher)" | sed -n "$((1 + seed / 1024 % 3))p")
    ended=0
    [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null || victim=
    wait $launcher || ended=$?
    if [ "$ended" -ne 0 ]; then
        [ -n "$victim" ] || wrong "a job ended badly by itself: $(cat "$files/said")"
        grep -q 'signal 9' "$files/said" || wrong "no line about the rank killed: $(cat "$files/said")"
        struck=$((struck + 1))
    fi
    left=$(find "$files/many" -name 'shard-*.h5' | wc -l)
    ranks 2 $calib $replay --cache "$files/many" 2>/dev/null
    same_cache "$files/one" "$files/many"
    echo "killed at shard $left of 14, and gone on with"
    rm -r "$files/many"
done
[ "$struck" -gt 0 ] || wrong "no rank was there to be killed"

# ---- bad input: one line, once, and the exit status of one process
fails() { # fails STATUS TEXT ARGUMENT..: with 3 ranks
    expected=$1 text=$2
    shift 2
    status=0
    ranks 3 $calib "$@" >/dev/null 2>"$files/said" || status=$?
    [ "$status" = "$expected" ] || wrong "status $status, not $expected: $*"
    [ "$(grep -c "^deer-calib.*$text" "$files/said")" = 1 ] || wrong "not one line: $*"
}
as_another="env GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2" # other last digits, where the processor has those
if [ "$(uname -m)" = x86_64 ] && grep -qw fma /proc/cpuinfo; then
    mpirun --oversubscribe --bind-to none -n 1 $calib --version : -n 1 $as_another $calib --version \
        >"$files/said" 2>&1 && wrong "ranks on unlike processors began"
    [ "$(grep -c 'processors that round differently' "$files/said")" = 1 ] || wrong "$(cat "$files/said")"
fi
# Other recordings of the same names and lengths, into a cache that is finished and into half of one: a
# part's ranks meet no shard of the other's until all are there.
/usr/bin/python3 - "$demos" "$files/others.h5" <<'PY'
import shutil, sys, h5py
shutil.copy(sys.argv[1], sys.argv[2])
with h5py.File(sys.argv[2], "r+") as f:
    f["data/demo_8/obs/rgb_static"][0, 0, 0, 0] ^= 1
PY
others="replay --model $model --demos $files/others.h5 --shard-episodes 1 --threads 1"
fails 1 'shard-00008.h5 is of other demonstrations' $others --cache "$files/one"
ranks 2 $calib $replay --part 0/2 --cache "$files/half" 2>/dev/null
fails 1 'shard-00008.h5 is of other demonstrations' $others --part 1/2 --cache "$files/half"
fails 1 'is unfinished' solve --cache "$files/half" --avg-fraction 0.5
ranks 2 $calib $replay --part 1/2 --cache "$files/half" 2>/dev/null
same_cache "$files/one" "$files/half"

fails 3 'cannot be met' solve --cache "$files/one" --scope llm --avg-fraction 0.001
fails 2 'without mpirun' check --cache "$files/one" --thresholds "$files/solved"
fails 1 'no-such' solve --cache "$files/no-such" --avg-fraction 0.5
fails 1 'too small beside the largest one, 1e+30' solve --table "$files/huge.h5" --avg-fraction 0.5
