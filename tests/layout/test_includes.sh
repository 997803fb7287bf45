#!/bin/sh
# SPDX-License-Identifier: MIT
# Who may include whom: docs/design.md, "Folders". Prints each line that breaks a rule and fails, or
# one that could be dropped from the exceptions below because nothing needs it any more.
set -eu
rules=$(mktemp)
trap 'rm -f "$rules"' EXIT

# A folder and what its files may include besides itself; the longest folder that fits a file counts.
# Programs (cli folders), tests and bench may include anything, but for programs only their own folder's.
cat >"$rules" <<'END'
runtime/base        runtime/deer.h
runtime/base/json   runtime/deer.h runtime/base/
runtime/base/threads runtime/deer.h runtime/base/
runtime/kernels     runtime/deer.h runtime/base/
runtime/text        runtime/deer.h runtime/base/
runtime/model       runtime/deer.h runtime/deer_replay.h runtime/base/ runtime/kernels/ runtime/text/
runtime/thresholds  runtime/deer.h runtime/deer_replay.h runtime/deer_drift.h runtime/base/
runtime/policy      runtime/deer.h runtime/deer_replay.h runtime/base/ runtime/kernels/ runtime/text/ runtime/model/ runtime/thresholds/
runtime/processor   runtime/deer.h runtime/deer_replay.h runtime/base/ runtime/kernels/ runtime/model/ runtime/policy/
runtime/gpu         runtime/deer.h runtime/deer_replay.h runtime/base/ runtime/kernels/ runtime/model/ runtime/policy/
runtime/devices     runtime/deer.h runtime/base/ runtime/model/ runtime/gpu/
runtime/serve       runtime/deer.h runtime/deer_drift.h runtime/base/ budgets/cost/
runtime/import      runtime/deer.h runtime/base/ runtime/text/ runtime/model/
runtime             runtime/deer.h deer.h
budgets/cost        runtime/deer.h runtime/deer_replay.h runtime/base/ runtime/model/arch.h runtime/model/config.h runtime/model/modules.h
budgets/machines    runtime/deer.h runtime/base/ runtime/model/modules.h budgets/cost/
budgets/measure     runtime/deer.h runtime/base/ budgets/cost/ budgets/machines/
datasets/hdf5       runtime/deer.h runtime/base/
datasets/demos      runtime/deer.h runtime/base/ runtime/import/ datasets/hdf5/
datasets/parquet    runtime/deer.h runtime/base/ runtime/import/
datasets/tfrecord   runtime/deer.h runtime/base/ runtime/import/
datasets/video      runtime/deer.h runtime/base/ runtime/import/
datasets/sources    runtime/deer.h runtime/base/ runtime/import/ datasets/hdf5/ datasets/demos/ datasets/parquet/ datasets/tfrecord/ datasets/video/
datasets/tabletop   runtime/deer.h runtime/deer_replay.h runtime/deer_drift.h runtime/base/ datasets/demos/
calib               runtime/deer.h runtime/deer_replay.h runtime/deer_drift.h runtime/base/ runtime/import/ budgets/ datasets/ calib/
reports             runtime/deer.h runtime/deer_replay.h runtime/deer_drift.h runtime/base/ runtime/import/ budgets/ datasets/ calib/ reports/
END

# FILE INCLUDE: allowed all the same.
#   stage_log.h names the stages of a session that is being measured.
cat >>"$rules" <<'END'
budgets/measure/stage_log.h   runtime/policy/profile.h
END

git ls-files 'runtime/*.[ch]' 'budgets/*.[ch]' 'datasets/*.[ch]' 'calib/*.[ch]' 'reports/*.[ch]' |
    xargs grep -n '^#include "' /dev/null | awk -v rules="$rules" '
    BEGIN {
        while ((getline line <rules) > 0) {
            n = split(line, word, " ")
            if (word[1] ~ /\.[ch]$/) { exception[word[1] " " word[2]] = 1; continue }
            for (i = 2; i <= n; i++) may[word[1], i - 1] = word[i]
            count[word[1]] = n - 1
        }
    }
    function folder_of(path) { sub(/\/[^\/]*$/, "", path); return path }
    function cli_of(path) { sub(/\/cli\/.*/, "/cli/", path); return path }
    function allowed(from, to,   folder, i) {
        for (folder = folder_of(from); !(folder in count); folder = folder_of(folder))
            if (folder !~ /\//) return 0
        for (i = 1; i <= count[folder]; i++)
            if (index(to, may[folder, i]) == 1) return 1
        return 0
    }
    {
        split($0, part, ":")
        file = part[1]; split($0, quoted, "\""); to = quoted[2]
        if (to !~ /\//) to = folder_of(file) "/" to # beside it
        if (folder_of(file) == folder_of(to) || (file ~ /\/cli\// && cli_of(file) == cli_of(to))) next
        if (to !~ /\/cli\// && (file ~ /\/cli\// || allowed(file, to))) next
        if (file ~ /\/cli\// && to ~ /^runtime\/cli\/tool(_policy)?\.h$/) next # what every program shares
        if ((file " " to) in exception) { used[file " " to] = 1; next }
        print file ":" part[2] ": must not include " to
        bad++
    }
    END {
        for (e in exception) if (!(e in used)) { print "no longer needed: the exception for " e; bad++ }
        exit bad > 0
    }'
