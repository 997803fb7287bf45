#!/bin/sh
# SPDX-License-Identifier: MIT
# What the Makefile promises: it builds elsewhere and leaves the tree alone, builds again when flags or
# the compiler change and only then, keeps LEAN in a folder of its own, asks the pkg-config it is told
# to, shows commands with V=1, and gives each target the packages it needs and no more.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0
MAKEFLAGS=
export MAKEFLAGS
unset CI BUILD
object=$work/b/runtime/base/error.o

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}
build() { # build VARIABLE=VALUE...: one object; what make says is in $said
    said=$(make --no-print-directory BUILD="$work/b" "$@" "$object" 2>&1) || wrong "make $*: $said"
}
compiles() { case $said in *runtime/base/error.o*) ;; *) wrong "$1 does not compile again" ;; esac; }
rests() { case $said in *runtime/base/error.o*) wrong "$1 compiles again" ;; esac; }

git status --porcelain --ignored >"$work/before" 2>/dev/null
build CFLAGS=-O1
compiles "an empty folder"
build CFLAGS=-O1
rests "the same CFLAGS"
build CFLAGS=-O2
compiles "another CFLAGS"
build CFLAGS=-O2 EXTRA_CFLAGS=-DX
compiles "another EXTRA_CFLAGS"
build CFLAGS=-O2 EXTRA_CFLAGS=-DX V=1 -W runtime/deer.h
case $said in *" -c runtime/base/error.c "*) ;; *) wrong "a header changes nothing, or V=1 shows no command: $said" ;; esac
git status --porcelain --ignored >"$work/after" 2>/dev/null
cmp -s "$work/before" "$work/after" || wrong "building elsewhere leaves something in the tree: $(diff "$work/before" "$work/after")"

plan() { # plan WORDS...: what make would do, in full
    make --no-print-directory -n "$@" 2>/dev/null
}
plan LEAN=1 all >"$work/lean"
grep -q 'build/lean/deer-run' "$work/lean" || wrong "LEAN does not build in build/lean"
grep -q 'hdf5_io\|deer-sim' "$work/lean" && wrong "LEAN builds what needs HDF5"
printf '#!/bin/sh\necho -DASKED_%s\n' "$$" >"$work/my-pkg-config"
chmod +x "$work/my-pkg-config"
build CFLAGS=-O2 V=1 PKG_CONFIG="$work/my-pkg-config"
case $said in *"-DASKED_$$"*) ;; *) wrong "PKG_CONFIG is not asked" ;; esac

packages() { plan "$@" | grep packaging/packages.sh | head -n 1; }
packages demo NPM= >"$work/demo"
for development in chromium npm cmocka clang aarch64 qemu mandoc cmake websockets; do
    grep -q "$development" "$work/demo" && wrong "make demo asks for $development"
done
grep -q libmujoco-dev "$work/demo" || wrong "make demo does not ask for MuJoCo"
packages test | grep -q libcmocka-dev || wrong "make test does not ask for cmocka"
packages fuzz | grep -q 'clang' || wrong "make fuzz does not ask for clang"
packages figure NPM= | grep -q 'gnuplot' && wrong "make figure asks for gnuplot"
packages lean | grep -q 'hdf5\|mujoco\|nlopt' && wrong "make lean asks for what it does not use"
make --no-print-directory BUILD="$work/b" SERVE_PC=none "$work/b/runtime/cli/run_serve.o" >"$work/said" 2>&1 ||
    wrong "without libwebsockets deer-run cannot be built: $(cat "$work/said")"
nm "$work/b/runtime/cli/run_serve.o" | grep -q server_run && wrong "without libwebsockets deer-run serves all the same"
[ "$failures" -eq 0 ]
