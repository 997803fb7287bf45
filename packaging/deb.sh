#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages from what git tracks, as it lies in the working tree, and has lintian look
# at them: an error of lintian is a failure. The packages are left in $BUILD/deb. VERSION: of deer.
set -eu
mkdir -p "$BUILD"
out=$(cd "$BUILD" && pwd)/deb
tree=$out/deer-$VERSION
rm -rf "$out"
mkdir -p "$tree"
git ls-files -z | xargs -0 tar -c --ignore-failed-read | tar -x -C "$tree"
tar -c -J --exclude="deer-$VERSION/debian" -f "$out/deer_$VERSION.orig.tar.xz" -C "$out" "deer-$VERSION"
(cd "$tree" && MAKEFLAGS='' dpkg-buildpackage -j"$(nproc)" -us -uc) >"$out/build.log" 2>&1 || { tail -n 30 "$out/build.log"; exit 1; }
lintian --fail-on error --tag-display-limit 0 "$out"/*.changes
ls "$out"/*.deb
