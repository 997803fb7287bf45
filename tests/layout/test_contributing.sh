#!/bin/sh
# SPDX-License-Identifier: MIT
# The ten answers of CONTRIBUTING.md are true: the folder is named in docs/design.md, the file is in it,
# and the function is defined there. Every path that the page names exists.
set -u
failures=0
answers=0

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

grep '^| .*? |' CONTRIBUTING.md >"${TMPDIR:-/tmp}/answers.$$"
while IFS='|' read -r _ question folder file begin _; do
    folder=$(echo "$folder" | tr -d ' `')
    file=$folder/$(echo "$file" | tr -d ' `')
    begin=$(echo "$begin" | tr -d ' `')
    answers=$((answers + 1))
    grep -q "\(^\|  \)$(basename "$folder")/ " docs/design.md || wrong "$question: docs/design.md does not name $folder"
    grep -q "^[a-z].*\b$begin(" "$file" || wrong "$question: $file has no function $begin"
done <"${TMPDIR:-/tmp}/answers.$$"
rm -f "${TMPDIR:-/tmp}/answers.$$"
[ "$answers" -eq 10 ] || wrong "$answers answers, not 10"

for path in $(grep -o '`[a-z/]*/[a-z_./]*`' CONTRIBUTING.md | tr -d '`' | sort -u); do
    case $path in
    build/*) ;;
    *) [ -e "$path" ] || wrong "$path does not exist" ;;
    esac
done
for test in $(grep -o '`test_[a-z_]*' CONTRIBUTING.md | tr -d '`' | sort -u); do
    set -- tests/*/"$test".c tests/*/"$test".sh
    [ -e "$1" ] || [ -e "$2" ] || wrong "there is no $test"
done
[ "$failures" -eq 0 ]
