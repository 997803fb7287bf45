#!/bin/sh
# SPDX-License-Identifier: MIT
# Packages are never installed without saying which and how many, and, where it is not root, without
# asking: packaging/packages.sh with an apt-get, dpkg-query, sudo and id that only take notes.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0
mkdir "$work/bin"
fake() { # fake NAME BODY
    printf '#!/bin/sh\n%s\n' "$2" >"$work/bin/$1"
    chmod +x "$work/bin/$1"
}
fake id "echo \${FAKE_USER:-1000}"
fake dpkg-query 'echo "here install ok installed"; echo "half deinstall ok config-files"'
fake sudo 'echo "sudo $*" >>"$NOTES"; "$@"'
fake apt-get 'case $1 in -s) printf "Inst a\nInst b\nInst c\n" ;; *) echo "apt-get $*" >>"$NOTES" ;; esac'
NOTES=$work/notes
PATH=$work/bin:$PATH
export NOTES PATH
unset CI YES

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
    cat "$work/out" "$NOTES"
}
run() { # run VARIABLE=VALUE... -- PACKAGE...: without a terminal
    set -- "$@"
    : >"$NOTES"
    env "$@" >"$work/out" 2>&1 </dev/null
    status=$?
}
script=packaging/packages.sh

run A=1 $script here
[ "$status" -eq 0 ] && [ ! -s "$NOTES" ] && [ ! -s "$work/out" ] || wrong "does something though all is there"
run A=1 $script here half gone
[ "$status" -eq 1 ] && [ ! -s "$NOTES" ] || wrong "installs without asking"
grep -q '^missing Debian packages (2): half gone$' "$work/out" || wrong "does not name and count what is missing"
grep -q ': 3 packages' "$work/out" || wrong "does not count what these need"
grep -q 'YES=1' "$work/out" || wrong "does not say how to go on"
run YES=1 $script gone
[ "$status" -eq 0 ] && grep -q '^sudo env .*apt-get install .* gone$' "$NOTES" || wrong "YES=1 does not install"
run CI=true $script gone
[ "$status" -eq 0 ] && grep -q '^apt-get install .* gone$' "$NOTES" || wrong "CI is asked"
run FAKE_USER=0 $script gone
[ "$status" -eq 0 ] && grep -q '^apt-get install .* gone$' "$NOTES" || wrong "root is asked"
grep -q sudo "$NOTES" && wrong "root needs sudo"
grep -q '^missing Debian packages (1): gone$' "$work/out" || wrong "root is not told what is installed"
if command -v script >/dev/null; then # with a terminal: it asks
    for answer in y n; do
        : >"$NOTES"
        (sleep 1; echo $answer) | script -qec "$script gone" /dev/null >"$work/out" 2>&1
        grep -q 'Install them with sudo apt-get?' "$work/out" || wrong "does not ask"
        grep -q 'apt-get install' "$NOTES" && installed=y || installed=n
        [ $installed = $answer ] || wrong "answered $answer: installed $installed"
    done
fi
[ "$failures" -eq 0 ]
