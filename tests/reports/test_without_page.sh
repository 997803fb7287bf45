#!/bin/sh
# SPDX-License-Identifier: MIT
# A deer-report that was built without npm: it answers as JSON and CSV, refuses to draw a page in one
# line that says what is missing, and does so before it computes anything. BUILD: the build folder.
set -u
build=${BUILD:-build}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bare=$build/tests/deer-report-bare
failures=0

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
    head -n 3 "$work/err"
}
run() {
    "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

run "$build/tests/report_cache" datasets/tabletop/policy.safetensors "$work/cache" 40 10 plain
[ "$status" -eq 0 ] || wrong "no cache to try with"
run "$bare" whatif --cache "$work/cache" --rate 10 --json "$work/bare.json" --csv "$work/bare.csv"
[ "$status" -eq 0 ] || wrong "JSON and CSV: status $status"
grep -q '^10 Hz:' "$work/out" || wrong "says nothing for people"
run "$build/deer-report" whatif --cache "$work/cache" --rate 10 --json "$work/full.json" --csv "$work/full.csv"
cmp -s "$work/bare.json" "$work/full.json" || wrong "JSON differs without the page's libraries"
cmp -s "$work/bare.csv" "$work/full.csv" || wrong "CSV differs without the page's libraries"
run "$bare" whatif --cache "$work/nowhere" --out "$work/page.html"
[ "$status" -eq 1 ] || wrong "a page: status $status, not 1"
[ "$(wc -l <"$work/err")" -eq 1 ] || wrong "a page: not one line"
grep -q 'page.html cannot be drawn.*install npm' "$work/err" || wrong "does not say how to get pages"
[ ! -e "$work/page.html" ] || wrong "a page was written"
[ "$failures" -eq 0 ]
