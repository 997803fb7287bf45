#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every test program and script; prints one line for each and a total. BUILD: the build folder.
set -u
BUILD=${BUILD:-build}
export BUILD
passed=0
failed=0
log=$BUILD/tests/log
mkdir -p "$log"

run() { # run NAME COMMAND...
    name=$1
    shift
    if "$@" >"$log/$name.txt" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name (see $log/$name.txt)"
        tail -n 30 "$log/$name.txt"
    fi
}

for source in tests/*/test_*.c; do
    name=$(basename "$source" .c)
    run "$name" "$BUILD/tests/$name"
done
for script in tests/*/test_*.sh; do
    [ -e "$script" ] && run "$(basename "$script" .sh)" sh "$script"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
