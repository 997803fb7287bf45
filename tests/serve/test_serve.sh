#!/bin/sh
# SPDX-License-Identifier: MIT
# deer-run serve, asked by robots written from the protocol (robot.py): the same actions as deer-run episode, limits,
# hostile clients, killed ones, the end. BUILD: the build folder. LONG=1: 8 clients x 500 steps, and 20 rounds of kills.
set -u
export LC_ALL=C
build=${BUILD:-build}
model=datasets/tabletop/policy.safetensors
python=/usr/bin/python3
work=$(mktemp -d) || exit 1
server=
trap '[ -z "$server" ] || kill -9 $server 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
failures=0

need() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "FAILED: $*"; exit 1; }; }

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

start() { # start OPTION...: a server at $url, under the thresholds of the file $thresholds
    : >"$work/said"
    "$build/deer-run" serve --model $model --thresholds "$thresholds" --port 0 "$@" >"$work/said" 2>"$work/errors" &
    server=$!
    for _ in $(seq 200); do
        url=$(sed -n 's/.*listening on //p' "$work/said")
        [ -z "$url" ] || break
        sleep 0.1
    done
    [ -n "$url" ] || { cat "$work/errors"; echo "FAILED: the server does not listen"; exit 1; }
    export SERVER=$server
}

stop() {
    kill -TERM $server 2>/dev/null
    wait $server || wrong "a server ended with $?: $(cat "$work/errors")"
    server=
}

robot() { # robot SCENARIO ARGUMENTS...
    scenario=$1
    shift
    timeout 300 $python tests/serve/robot.py "$scenario" "$url" "$@" || wrong "$scenario"
}

if ! "$build/deer-run" serve --model $model --exit 0 --host no.such.host.invalid 2>&1 | grep -q 'no address'; then
    "$build/deer-run" serve --model $model 2>&1 | grep -q 'without libwebsockets' || wrong "no server, and no word of why"
    echo "this deer-run has no websockets"
    exit $failures
fi

demos=$work/d.h5
thresholds=$work/t.json
log=$work/log.jsonl
need "$build/deer-sim" record --tasks lift_red,open_drawer,stack_red_on_green,push_blue_left --episodes 3 --seed 5 --out "$demos"
need "$build/deer-calib" --model $model --demos "$demos" --cache "$work/cache" --scope llm --avg-fraction 0.4 --out "$work/t.json"
need "$build/deer-run" episode --model $model --thresholds "$work/t.json" --demos "$demos" --all --log "$log"

start --threads 1 --connections 8 --log "$work/served.jsonl"
if [ "${LONG:-0}" = 1 ]; then robot same "$demos" "$log" 8 500; else robot same "$demos" "$log" 8 60; fi
robot limits "$demos" "$log" 8
robot killed "$demos" "$log" "$([ "${LONG:-0}" = 1 ] && echo 20 || echo 2)"
[ "$($python examples/serve/client.py "$url" 3 | grep -c 'exit . move')" -eq 3 ] || wrong "examples/serve/client.py"
for folder in "" board; do
    said=$(PYTHONPATH=tests/examples/viewers $python examples/serve/log_to_viewer.py "$log" $folder) || wrong "log_to_viewer.py"
    [ "$(echo "$said" | wc -l)" -eq $((5 * $(wc -l <"$log"))) ] || wrong "log_to_viewer.py $folder shows $(echo "$said" | wc -l) numbers"
done
# The tabletop's own client closes the loop: the same rollouts as with the policy in the process.
few="--tasks lift,drawer --episodes 1 --seed 3 --json"
"$build/deer-sim" eval --policy "$url" $few >"$work/there.json" || wrong "deer-sim eval --policy"
! grep -q gflops "$work/there.json" || wrong "deer-sim eval --policy says what nobody counted"
need "$build/deer-sim" eval --model $model --thresholds "$work/t.json" $few
$python tests/serve/robot.py outcomes "$work/there.json" "$work/log" || wrong "rollouts differ"
robot drain "$demos" "$log"
wait $server || wrong "SIGTERM ends it with $?"
server=
[ ! -s "$work/errors" ] || wrong "the server said: $(head -n 3 "$work/errors")"
[ "$(wc -l <"$work/served.jsonl")" -gt 480 ] || wrong "the log has $(wc -l <"$work/served.jsonl") lines"

start --max-message 300K
robot hostile "$demos" "$log"
stop
start --rate 100000
robot hurried "$demos" "$log"
stop
# Thresholds with rules for cameras and a dial, in the total scope.
thresholds=datasets/tabletop/thresholds.json
need "$build/deer-run" episode --model $model --thresholds $thresholds --demos "$demos" --all --log "$work/reuse.jsonl"
start
robot same "$demos" "$work/reuse.jsonl" 3 60
stop
start --govern 0.0125 --threads 1
robot governed "$demos" "$log" 0.0125
stop
start --govern 0.0125 --threads 1
need "$build/deer-sim" eval --policy "$url" --tasks lift,stack --episodes 3 --seed 8
robot kept 500
stop
# examples/online: an evaluator that is not deer-sim, alone and in a search.
PATH=$(cd "$build" && pwd):$PATH
evaluator="$python examples/online/evaluate.py"
robot_options="--model $model --demos $demos"
$evaluator $thresholds 3 1 $robot_options >"$work/printed" || wrong "examples/online/evaluate.py"
$python tests/serve/robot.py evaluated "$work/printed" "$demos" "$work/reuse.jsonl" 3 || wrong "examples/online/evaluate.py: $(cat "$work/printed")"
need deer-calib online --thresholds $thresholds --budget 0.0118 --coordinates 1 --evaluations 4 --out "$work/online.json" \
    --eval "$evaluator {thresholds} {seed} {episodes} $robot_options"
grep -q '^4 evaluations' "$work/log" && [ -s "$work/online.json" ] || wrong "deer-calib online: $(cat "$work/log")"
deer-calib online --thresholds $thresholds --budget 0.0118 --out "$work/none.json" \
    --eval "$evaluator {thresholds} {seed} {episodes} --model $model --demos $work/no.h5" >"$work/log" 2>&1 && wrong "no robot, and a search"
[ ! -e "$work/none.json" ] && grep -q 'no.h5' "$work/log" || wrong "no robot: $(cat "$work/log")"
thresholds=$work/t.json
start --idle 1
robot idle
stop
printf 'a-key-of-letters\n' >"$work/key"
start --host 0.0.0.0 --key-file "$work/key"
url=ws://127.0.0.1:${url##*:}
robot key a-key-of-letters
stop

# ---------------------------------------------------------------- the same on recorded episodes --

need "$build/deer-run" episode --model $model --thresholds "$work/t.json" --demos "$demos" --deadline 0.001 --json
grep -q '"late": 1.0' "$work/log" || wrong "a deadline of a microsecond is kept"
need "$build/deer-run" episode --model $model --thresholds "$work/t.json" --demos "$demos" --deadline 1e9 --json
grep -q '"late": 0.0' "$work/log" || wrong "a deadline of days is not kept"
"$build/deer-run" episode --model $model --demos "$demos" --deadline 0 >"$work/log" 2>&1
[ $? -eq 2 ] || wrong "--deadline 0 is taken"

# ---------------------------------------------------------------- what is refused ----------------

refuses() { # refuses STATUS WORDS OPTION...
    expected=$1
    words=$2
    shift 2
    timeout 20 "$build/deer-run" serve --model $model "$@" >"$work/said" 2>"$work/errors"
    status=$?
    [ $status -eq "$expected" ] && grep -q -- "$words" "$work/errors" && [ "$(wc -l <"$work/errors")" -eq 1 ] ||
        wrong "$*: status $status, $(cat "$work/errors")"
}
refuses 2 'give --key-file' --host 0.0.0.0 --port 0
refuses 2 'give --key-file' --host :: --port 0
refuses 1 'no address' --host no.such.host.invalid
refuses 1 'cannot listen' --host 192.0.2.1 --insecure
refuses 1 'cannot open .*none' --key-file "$work/none"
: >"$work/empty"
refuses 1 'no key' --key-file "$work/empty"
refuses 2 'port' --port 70000
refuses 2 'connections' --connections 0
refuses 2 'max-message' --max-message 10
refuses 2 'rate' --rate 0
refuses 2 'govern needs --thresholds' --govern 0.01
refuses 2 'no dial to govern' --thresholds "$work/t.json" --govern 0.01
refuses 3 "below the dial's least" --thresholds datasets/tabletop/thresholds.json --govern 0.001
refuses 1 'cannot write' --log "$work/no/such/folder"
start
refuses 1 'choose another --port' --port "${url##*:}"
stop
[ "$failures" -eq 0 ]
