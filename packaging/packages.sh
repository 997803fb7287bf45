#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs Debian packages that are missing: says which and how many, and asks first unless it runs as
# root, under CI, or with YES=1. Usage: packages.sh PACKAGE...
set -eu

missing=$(dpkg-query -W -f='${Package} ${Status}\n' "$@" 2>/dev/null | awk -v wanted="$*" '
    / ok installed$/ { have[$1] }
    END { n = split(wanted, name, " "); for (i = 1; i <= n; i++) if (!(name[i] in have)) print name[i] }')
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
set -- $missing

if ! command -v apt-get >/dev/null; then
    echo "There is no apt-get here. On Debian 12, these packages would be installed now: $*"
    echo "Trying without them."
    exit 0
fi

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "missing Debian packages ($#): $*"
if [ -n "$sudo" ] && [ "${YES:-}" != 1 ] && [ "${CI:-}" != true ]; then
    all=$(apt-get -s install --no-install-recommends "$@" 2>/dev/null | grep -c '^Inst ') || all=
    [ -z "$all" ] || echo "with what they need themselves: $all packages"
    if [ ! -t 0 ]; then
        echo "Nothing was installed. Say YES=1 to install them with sudo, or: apt-get install $*" >&2
        exit 1
    fi
    printf 'Install them with sudo apt-get? [y/N] '
    read -r answer
    case $answer in
    y | Y | yes) ;;
    *)
        echo "Nothing was installed." >&2
        exit 1
        ;;
    esac
fi
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
