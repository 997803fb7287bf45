#!/bin/sh
# SPDX-License-Identifier: MIT
# What every file of the tree must have: a licence line in sources, and one version everywhere.
set -u
failures=0

wrong() {
    failures=$((failures + 1))
    echo "$*"
}

git ls-files -co --exclude-standard | grep -v -e ^tests/data/ -e ^tests/fuzz/corpus/ |
    grep -e '\.[ch]$' -e '\.sh$' -e '\.py$' -e '\.mjs$' -e '\.js$' -e '\.css$' -e '\.awk$' -e '^Makefile$' -e '^\.ci/run$' |
    awk '{
        found = 0
        for (i = 0; i < 3 && (there = (getline line < $0)) > 0; i++) found += line ~ /SPDX-License-Identifier: MIT/
        close($0)
        if (!found && there >= 0) print $0 ": the first lines do not name the licence"
    }' | {
    ! grep .
} || failures=1

number() { sed -n "s/^#define DEER_VERSION_$1 *\([0-9]*\).*/\1/p" runtime/deer.h; }
version=$(sed -n 's/^#define DEER_VERSION "\(.*\)"/\1/p' runtime/deer.h)
parts=$(number MAJOR).$(number MINOR).$(number PATCH)
[ "$parts" = .. ] || [ "$parts" = "$version" ] ||
    wrong "runtime/deer.h: DEER_VERSION is $version, its numbers are $parts"
grep -q "^## $version" CHANGELOG.md || wrong "CHANGELOG.md: has no entry for $version"
head -n 1 debian/changelog | grep -q "^deer ($version-[0-9.]*)" || wrong "debian/changelog: its newest entry is not $version"
[ "$failures" -eq 0 ]
