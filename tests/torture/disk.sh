#!/bin/sh
# SPDX-License-Identifier: MIT
# A disk that is full after so many kilobytes, for every command that writes: a limit on the size of
# files, and, where one may be mounted (as root), a file system that small.
. tests/torture/lib.sh
runs=0
findings=0
prepare

check() { # check WHAT
    runs=$((runs + 1))
    judge "$box" >"$box/verdict"
    [ -s "$box/verdict" ] || return
    findings=$((findings + 1))
    echo "FOUND in $name, $1"
    sed 's/^/    /' "$box/verdict"
    head -n 3 "$box/stderr" | sed 's/^/    stderr: /'
}

limited() { # limited BLOCKS: no file grows beyond so many blocks of 512 bytes
    (
        ulimit -f "$1"
        attempt "$box"
        echo "$status" >"$box/status"
    )
    status=$(cat "$box/status")
    check "files of at most $1 blocks"
}

mounted() { # mounted KILOBYTES
    rm -rf "$box/run"
    mkdir -p "$box/run"
    mount -t tmpfs -o "size=${1}k" deer-torture "$box/run" 2>/dev/null || return 1
    (
        cd "$box/run" || exit 99
        # shellcheck disable=SC2086
        timeout -s KILL 30 "$program" $command >"$box/stdout" 2>"$box/stderr" </dev/null
    )
    status=$?
    check "a disk of $1 KB"
    umount "$box/run"
}

for name in replay solve frontier import convert dimport whatif frame rlds lerobot online synth record watch picture \
    compare rollouts; do
    box=$work/disk-$name
    mkdir -p "$box"
    command_of "$name"
    outputs=${outputs#stdout } # which does not go there
    reference "$box" || exit 1
    size=$(du -sk --apparent-size "$box/want" | cut -f 1)
    most=$(pick 4 40)
    for i in $(seq 1 "$most"); do
        limited $((8 + 2 * size * i / most)) # the shell writes a few bytes itself
    done
    [ "$(id -u)" -eq 0 ] || continue
    for i in $(seq 1 "$most"); do
        mounted $((size * 2 * i / most + 4)) || break
    done
done
echo "disk: $runs runs, $findings findings"
[ "$findings" -eq 0 ]
