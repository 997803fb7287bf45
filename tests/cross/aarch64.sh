#!/bin/sh
# SPDX-License-Identifier: MIT
# Cross-compiles the robot's deer-run (LEAN) and libdeer for a 64-bit Arm, and runs them under QEMU on
# the shipped policy. The Debian packages of that machine are fetched and unpacked in the build folder;
# the system's own packages stay as they are. Needs gcc-aarch64-linux-gnu, qemu-user and the network.
# BUILD: the build folder.
set -eu
BUILD=${BUILD:-build}
mkdir -p "$BUILD/aarch64"
here=$(cd "$BUILD/aarch64" && pwd)
root=$here/root
policy=datasets/tabletop/policy.safetensors

# apt with lists and settings of its own, for arm64 alone
fetch() {
    mkdir -p "$here/apt/lists/partial" "$here/apt/archives/partial" "$here/apt/debs"
    cp -r /etc/apt/. "$here/apt/etc"
    : >"$here/apt/status"
    set -- -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::Etc="$here/apt/etc" \
        -o Dir::State="$here/apt" -o Dir::State::lists="$here/apt/lists" -o Dir::State::status="$here/apt/status" \
        -o Dir::Cache="$here/apt" -o Dir::Cache::archives="$here/apt/archives" \
        -o APT::Sandbox::User= -o Acquire::Languages=none
    apt-get "$@" update
    (cd "$here/apt/debs" && apt-get "$@" download libjansson4 libjansson-dev libpcre2-8-0 libpcre2-dev \
        libutf8proc2 libutf8proc-dev libc6)
    for package in "$here"/apt/debs/*.deb; do dpkg -x "$package" "$root.new"; done
    mv "$root.new" "$root"
}

if ! [ -d "$root" ]; then
    rm -rf "$root.new" "$here/apt"
    fetch >"$here/fetch.log" 2>&1 || {
        tail -n 5 "$here/fetch.log"
        echo "skipped: the packages of arm64 cannot be fetched here, so nothing was cross-compiled"
        exit 0
    }
    rm -rf "$here/apt"
fi

libraries=$root/usr/lib/aarch64-linux-gnu
PKG_CONFIG_LIBDIR=$libraries/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$root
MAKEFLAGS=
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR MAKEFLAGS
make --no-print-directory -s -j"$(nproc)" LEAN=1 BUILD="$here/lean" CROSS_COMPILE=aarch64-linux-gnu- \
    LDFLAGS="-L$libraries -Wl,-rpath-link,$libraries" all >"$here/build.log"
file=$(aarch64-linux-gnu-readelf -h "$here/lean/deer-run" | sed -n 's/.*Machine: *//p')
[ "$file" = AArch64 ] || { echo "FAILED: deer-run is for $file"; exit 1; }

on() { # on PROCESSOR COMMAND...
    processor=$1
    shift
    qemu-aarch64 -cpu "$processor" -L "$root" "$@"
}
for processor in max cortex-a53; do
    on $processor "$here/lean/deer-run" bench --model $policy --exit 1 --steps 2 --threads 1 --json >"$here/bench.json"
    grep -q '"exit"' "$here/bench.json" || { echo "FAILED: bench says nothing on $processor"; exit 1; }
    echo "deer-run bench runs on $processor"
done
make --no-print-directory -s LEAN=1 BUILD="$here/lean" CROSS_COMPILE=aarch64-linux-gnu- DESTDIR="$here/stage" \
    LDFLAGS="-L$libraries -Wl,-rpath-link,$libraries" RUN="qemu-aarch64 -L $root" install >"$here/install.log"
aarch64-linux-gnu-gcc -I"$here/stage/usr/local/include" tests/packaging/consumer.c -o "$here/consumer" \
    -L"$here/stage/usr/local/lib" -ldeer -L"$libraries" -Wl,-rpath-link,"$libraries"
said=$(on max -E LD_LIBRARY_PATH="$here/stage/usr/local/lib" "$here/consumer" $policy)
[ "$said" = "6 exits" ] || { echo "FAILED: a program with libdeer.so says '$said'"; exit 1; }
echo "libdeer.so runs on max"
