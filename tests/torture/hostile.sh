#!/bin/sh
# SPDX-License-Identifier: MIT
# Demonstrations that are valid HDF5 and hostile, through every command that reads such: with 1 GB of
# address space and 20 seconds, each ends with one clear line, or does its work.
. tests/torture/lib.sh
box=$work/hostile # drivers run side by side
mkdir -p "$box"
prepare
folder=$box/hostile
mkdir -p "$folder"
mkfifo "$folder/pipe"
runs=0
findings=0

found() { # found WHAT
    findings=$((findings + 1))
    echo "FOUND: $1"
    echo "    in: $command"
    head -n 3 "$box/stderr" | sed 's/^/    stderr: /'
}

try() { # try VERDICT COMMAND...
    verdict=$1
    shift
    command="$*"
    runs=$((runs + 1))
    rm -rf "$box/cache" "$box/out.png" "$box/out.h5"
    (
        ulimit -v 1048576
        exec timeout -s KILL 20 "$@"
    ) >"$box/stdout" 2>"$box/stderr" </dev/null
    status=$?
    case $status,$verdict in
    0,any | 1,*)
        [ "$status" -eq 0 ] || [ "$(grep -vc ' warning: ' "$box/stderr")" -eq 1 ] ||
            found "not one line"
        ;;
    0,refused) found "read" ;;
    137,*) found "takes more than 20 s" ;;
    *) found "ends with $status" ;;
    esac
    ! grep -q "$(printf '\033')" "$box/stdout" "$box/stderr" || found "an escape sequence is printed"
    ! grep -aq 'root:' "$box/out.png" 2>/dev/null || found "another file's contents are shown"
}

"$build/tests/torture/hostile" "$folder" >"$box/kinds" || exit 1
while read -r kind verdict; do
    file=$folder/$kind.h5
    try "$verdict" "$build/deer-data" frame "$file" --out "$box/out.png"
    try "$verdict" "$build/deer-run" episode --model "$model" --demos "$file" --exit 0 --threads 1 --all
    rm -rf "$box/cache" # or it is refused for what is there
    try "$verdict" "$build/deer-calib" replay --model "$model" --demos "$file" --cache "$box/cache" \
        --threads 1
    try any "$build/deer-data" info "$file"
done <"$box/kinds"

# Links that stay in the folder, where that is asked for.
for kind in external_link linked_group virtual_file; do
    try any "$build/deer-data" info "$folder/$kind.h5" --follow-links
    [ "$status" -eq 0 ] || found "not followed"
done
mkdir "$folder/below"
cp "$folder/external_link.h5" "$folder/virtual_file.h5" "$folder/below"
ln -s ../plain.h5 "$folder/below/plain.h5" # not in the folder itself
for file in "$folder/link_to_pipe.h5" "$folder/external_file.h5" "$folder/below/external_link.h5" \
    "$folder/below/virtual_file.h5"; do
    try refused "$build/deer-data" info "$file" --follow-links
done

# Pipes and devices where files are expected.
for odd in "$folder/pipe" /dev/zero "$folder"; do
    try refused "$build/deer-data" info "$odd"
    try refused "$build/deer-data" frame "$odd" --out "$box/out.png"
    try refused "$build/deer-run" bench --model "$odd"
    try refused "$build/deer-run" episode --model "$odd" --demos "$folder/plain.h5"
    try refused "$build/deer-run" episode --model "$model" --demos "$odd"
    try refused "$build/deer-run" episode --model "$model" --thresholds "$odd" --demos "$folder/plain.h5"
    try refused "$build/deer-model" info "$odd"
    try refused "$build/deer-model" convert --model "$odd" --dtype q8 --out "$box/out"
    try refused "$build/deer-model" import --checkpoint "$odd" --out "$box/out"
    try refused "$build/deer-calib" solve --table "$odd" --avg-fraction 0.5 --out "$box/out"
    try refused "$build/deer-calib" solve --cache "$given/cache" --mix "$odd" --avg-fraction 0.5 --confidence 0.9 \
        --out "$box/out"
    try refused "$build/deer-model" synth --config "$odd" --out "$box/out"
    try refused "$build/deer-sim" eval --model "$model" --exits "random:$odd"
    try refused "$build/deer-run" episode --model "$model" --demos "$given/d.h5" --log "$odd"
    try refused "$build/deer-report" compare "$odd" "$odd"
    try refused "$build/deer-report" rollouts a="$odd"
done
echo "hostile: $runs runs, $findings findings"
[ "$findings" -eq 0 ]
