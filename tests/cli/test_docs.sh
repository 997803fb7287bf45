#!/bin/sh
# SPDX-License-Identifier: MIT
# What README.md says to paste works, and the examples of docs/commands.md print what it says they print: every block that starts with "$ " is run, and
# each line below the commands has to be among the output. Lines with "..." stand for what differs or is left
# out; blocks with --profile show times of one machine and are not run. BUILD: the build folder.
#
# README.md's other blocks: the C program is compiled by test_headers.sh, the researcher's Python run and the package
# installed (by pip, elsewhere than sudo would) by tests/python/package_test.py, the embedder's lines run by
# test_install.sh. Run by no test, since they build: make demo, make test (.ci/run does), and the contributor's lines.
set -u
export LC_ALL=C
root=$PWD
PATH=$(cd "${BUILD:-build}" && pwd):$PATH
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1

awk '/^```/ { inside = !inside; if (inside) n++; next }
     inside && /^\$ / { shown[n] = 1 }
     inside && shown[n] { print > ("block" n) }' "$root/docs/commands.md"

lines=0
failures=0
# What README.md says to paste, where it says so (what it says after make install, test_install.sh runs).
ln -s "$root/datasets" datasets
awk '/^<!-- run -->/ { wanted = 1 } /^```/ { inside = wanted && !inside; wanted = wanted && inside; next } inside' \
    "$root/README.md" >pasted
if deer-run serve --model datasets/tabletop/policy.safetensors --host no.such.host.invalid 2>&1 | grep -q 'no address'; then
    sh -eu ./pasted >output 2>messages || { echo "FAILED: README.md: $(cat messages)"; failures=1; }
    lines=$(grep -c . pasted)
    grep -q '^lift_red ' output && [ -s steps.jsonl ] && grep -q '^30 Hz: ' output || { echo "FAILED: README.md: $(cat output)"; failures=1; }
fi
for block in block*; do
    grep -q -e '^\$ .* --profile' "$block" && continue
    sed -n 's/^\$ //p' "$block" >commands
    sh -eu ./commands >output 2>messages || {
        echo "FAILED: $(cat commands)"
        cat messages
        failures=$((failures + 1))
    }
    grep -v -e '^\$ ' -e '\.\.\.' -e '^$' "$block" >expected
    while IFS= read -r line; do
        lines=$((lines + 1))
        grep -qxF -e "$line" output || {
            echo "FAILED: docs/commands.md says '$line', which is not what this prints: $(cat commands)"
            failures=$((failures + 1))
        }
    done <expected
done

echo "$lines lines, $failures failures"
[ "$lines" -gt 0 ] && [ "$failures" -eq 0 ]
