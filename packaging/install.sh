#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts programs, libraries, headers, policy, manual pages and completion in their places, or takes them
# away again: one list for both. The Makefile says where, in variables.
# Usage: install.sh install|uninstall
set -eu
what=$1
: "${BUILD:?}" "${PREFIX:?}" "${BINDIR:?}" "${LIBDIR:?}" "${INCLUDEDIR:?}" "${DATADIR:?}" "${VERSION:?}" "${SONAME:?}"
DESTDIR=${DESTDIR:-}
made=$BUILD/installed # texts that are made for the place they are installed to
own=                  # folders, for uninstall

put() { # put MODE FILE PLACE [strip OPTION]
    own="$own $(dirname "$3")"
    if [ "$what" = uninstall ]; then
        rm -f "$DESTDIR$3"
        return
    fi
    install -D -m "$1" "$2" "$DESTDIR$3"
    [ "${STRIP:-1}" = 0 ] || [ -z "${4:-}" ] || "${CROSS_COMPILE:-}strip" "$4" "$DESTDIR$3"
    echo "installed $3"
}

link() { # link TARGET PLACE
    if [ "$what" = uninstall ]; then
        rm -f "$DESTDIR$2"
    else
        ln -sf "$1" "$DESTDIR$2"
        echo "installed $2"
    fi
}

fill() { # fill TEMPLATE: what a place's texts say of it
    sed -e "s|@PREFIX@|$PREFIX|" -e "s|@LIBDIR@|$LIBDIR|" -e "s|@INCLUDEDIR@|$INCLUDEDIR|" \
        -e "s|@VERSION@|$VERSION|" -e "s|@SONAME@|$SONAME|" -e "s|@REQUIRES@|${REQUIRES:-}|" \
        -e "s|@TO_INCLUDE@|$(realpath -m --relative-to="$LIBDIR/cmake/deer" "$INCLUDEDIR")|" "$1"
}

make_texts() {
    rm -rf "$made"
    mkdir -p "$made"
    fill packaging/deer.pc.in >"$made/deer.pc"
    fill packaging/deer-config.cmake.in >"$made/deer-config.cmake"
    fill packaging/deer-config-version.cmake.in >"$made/deer-config-version.cmake"
    fill packaging/deercalib.pc.in >"$made/deercalib.pc"
    sed 's|"runtime/deer.h"|"deer.h"|' calib/deer_calib.h >"$made/deer_calib.h"
    date=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%d)
    for program in $PROGRAMS; do
        # shellcheck disable=SC2086
        ${RUN:-} "$BUILD/$program" --help-table >"$made/$program.table"
        awk -v version="$VERSION" -v date="$date" -f packaging/man.awk "$made/$program.table" >"$made/$program.1"
        awk -f packaging/bash.awk "$made/$program.table" >"$made/$program"
        awk -f packaging/zsh.awk "$made/$program.table" >"$made/_$program"
    done
}

# Empty folders go, too: all of them below DESTDIR or a PREFIX of our own, else just deer's own.
remove_folders() {
    for folder in $own; do
        while [ "$folder" != / ] && [ "$folder" != . ]; do
            case $DESTDIR:$PREFIX:$folder in
            :/usr:*/deer | :/usr/local:*/deer | :/usr:*/deer/* | :/usr/local:*/deer/*) ;;
            :/usr:* | :/usr/local:*) break ;;
            :*) [ "$folder" != "$(dirname "$PREFIX")" ] || break ;;
            esac
            rmdir "$DESTDIR$folder" 2>/dev/null || [ ! -e "$DESTDIR$folder" ] || break
            folder=$(dirname "$folder")
        done
    done
}

[ "$what" = uninstall ] || make_texts
for program in $PROGRAMS; do
    put 755 "$BUILD/$program" "$BINDIR/$program" --strip-all
    put 644 "$made/$program.1" "$DATADIR/man/man1/$program.1"
    put 644 "$made/$program" "$DATADIR/bash-completion/completions/$program"
    put 644 "$made/_$program" "$DATADIR/zsh/site-functions/_$program"
done
put 644 "$BUILD/libdeer.a" "$LIBDIR/libdeer.a" --strip-debug
for library in $LIBRARIES; do # libdeer.so.1.0.0
    name=${library%".$VERSION"}
    put 644 "$BUILD/$library" "$LIBDIR/$library" --strip-unneeded
    link "$library" "$LIBDIR/$name.${VERSION%%.*}"
    link "$name.${VERSION%%.*}" "$LIBDIR/$name"
done
case $LIBRARIES in *libdeercalib*)
    put 644 "$made/deercalib.pc" "$LIBDIR/pkgconfig/deercalib.pc"
    put 644 "$made/deer_calib.h" "$INCLUDEDIR/deer/deer_calib.h"
    ;;
esac
put 644 "$made/deer.pc" "$LIBDIR/pkgconfig/deer.pc"
put 644 "$made/deer-config.cmake" "$LIBDIR/cmake/deer/deer-config.cmake"
put 644 "$made/deer-config-version.cmake" "$LIBDIR/cmake/deer/deer-config-version.cmake"
for header in runtime/deer*.h runtime/deer.hpp; do
    put 644 "$header" "$INCLUDEDIR/deer/$(basename "$header")"
done
for file in policy.safetensors thresholds.json policy-45.safetensors thresholds-45.json policy-45-aged.safetensors \
    thresholds-45-aged.json schedule-45-aged.json; do
    put 644 "datasets/tabletop/$file" "$DATADIR/deer/$file"
done
[ "$what" = install ] || remove_folders
