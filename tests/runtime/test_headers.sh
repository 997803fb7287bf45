#!/bin/sh
# SPDX-License-Identifier: MIT
# The public headers compile alone, as C11 and as C++17, without a warning, from the folder they are
# in: a program that includes them needs no other header of this project.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp runtime/deer*.h "$folder"

compile() { # compile HEADER LANGUAGE STANDARD COMPILER
    command -v "$4" >/dev/null || return 0
    printf '#include "%s"\nint main(void) { return 0; }\n' "$1" >"$folder/main"
    "$4" -x "$2" -std="$3" -Wall -Wextra -Wshadow -pedantic -Werror -fsyntax-only -I"$folder" "$folder/main"
    echo "ok  $1 as $3 with $4"
}

for header in runtime/deer*.h; do
    name=$(basename "$header")
    for compiler in gcc clang; do compile "$name" c c11 "$compiler"; done
    for compiler in g++ clang++; do compile "$name" c++ c++17 "$compiler"; done
done
