#!/bin/sh
# SPDX-License-Identifier: MIT
# The files of a library use each other in one direction: prints each circle of objects and fails.
# Left out: hdf5_io.c opens by hdf5_open.c, which silences HDF5 as hdf5_io.c does.
set -u
BUILD=${BUILD:-build}
circles=$(mktemp)
trap 'rm -f "$circles"' EXIT

for library in "$BUILD"/lib*.a; do
    nm -A "$library" 2>/dev/null | awk '
        { split($1, part, ":"); object = part[2]; kind = $(NF - 1)
          if (kind == "U") uses[object " " $NF] = 1
          else if (kind ~ /[TDBRVW]/) at[$NF] = object }
        END { for (use in uses) {
                  split(use, word, " ")
                  if (word[2] in at && at[word[2]] != word[1]) print word[1], at[word[2]]
              } }' | grep -vxF -- "hdf5_io.o hdf5_open.o" | sort -u | tsort 2>&1 >/dev/null | sed "s|^tsort: -: |$(basename "$library"): |; s|^tsort: |    |" >>"$circles"
done
cat "$circles"
[ ! -s "$circles" ]
