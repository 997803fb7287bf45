#!/bin/sh
# SPDX-License-Identifier: MIT
# The public headers compile alone, as C11 and as C++17, without a warning, from the folder they are
# in: a program that includes them needs no other header of this project. So do the examples at the
# head of deer.h and deer_drift.h and in README.md.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp runtime/deer*.h "$folder"
sed 's|"runtime/deer.h"|"deer.h"|' calib/deer_calib.h >"$folder/deer_calib.h" # as it is installed

compile() { # compile HEADER LANGUAGE STANDARD COMPILER
    command -v "$4" >/dev/null || return 0
    printf '#include "%s"\nint main(void) { return 0; }\n' "$1" >"$folder/main"
    "$4" -x "$2" -std="$3" -Wall -Wextra -Wshadow -pedantic -Werror -fsyntax-only -I"$folder" "$folder/main"
    echo "ok  $1 as $3 with $4"
}

for header in runtime/deer*.h calib/deer_calib.h; do
    name=$(basename "$header")
    for compiler in gcc clang; do compile "$name" c c11 "$compiler"; done
    for compiler in g++ clang++; do compile "$name" c++ c++17 "$compiler"; done
done

# The lines of code in the first comment of a header.
opening() { # opening HEADER
    awk '/\*\// && !/SPDX/ { exit } /^ \*   / { sub(/^ \*   /, ""); print }' "$1"
}

example() { # example NAME: compiles $folder/lines behind $folder/declared
    [ -s "$folder/lines" ] || { echo "$1 has no example" >&2; exit 1; }
    {
        cat <<'END'
#include <stdio.h>
#include <deer/deer_calib.h>
#include <deer/deer_drift.h>
void fail(const char *message);
void move_robot(const float command[DEER_COMMAND]);
void example(bool running, deer_session_options options, deer_observation observation, deer_action action);
END
        grep '^#include' "$folder/lines" || true
        echo 'void example(bool running, deer_session_options options, deer_observation observation, deer_action action) {'
        cat "$folder/declared"
        grep -v '^#include' "$folder/lines"
        echo '(void)running; (void)options; (void)observation; (void)action; }'
    } >"$folder/main"
    for compiler in gcc clang; do
        command -v $compiler >/dev/null || continue
        $compiler -x c -std=c11 -Wall -Wextra -pedantic -Werror -fsyntax-only -I"$folder/include" "$folder/main"
        echo "ok  the example of $1 with $compiler"
    done
}

mkdir -p "$folder/include/deer"
cp runtime/deer.h runtime/deer_drift.h "$folder/deer_calib.h" "$folder/include/deer"

: >"$folder/declared"
opening runtime/deer.h >"$folder/lines"
example deer.h
echo 'deer_error err; deer_thresholds *thresholds = NULL; deer_session *session = NULL;' >"$folder/declared"
opening runtime/deer_drift.h >"$folder/lines"
example deer_drift.h
echo 'deer_error err; deer_model *model; deer_thresholds *thresholds; deer_session *session;' >"$folder/declared"
awk '/^## For the embedder/ { on = 1 } on && /^```$/ { exit } on && c { print } on && /^```c/ { c = 1 }' README.md >"$folder/lines"
example README.md
cat >"$folder/declared" <<'END'
int64_t steps = 0; float *delta = NULL, *loss = NULL; double *cost = NULL; int64_t *episode = NULL;
deer_error err; void use(float tau);
END
opening calib/deer_calib.h >"$folder/lines"
example deer_calib.h
