#!/bin/sh
# SPDX-License-Identifier: MIT
# What make install brings, and whether others can use it: programs build against it with pkg-config
# and with CMake, from a folder of their own; libzip, libpng and zlib beside libdeer in either order;
# only deer_ names are seen; manual pages and completion are in order; uninstall leaves nothing.
# BUILD: the build folder.
# shellcheck disable=SC2086 # words are split on purpose
set -u
export LC_ALL=C
build=$(cd "${BUILD:-build}" && pwd)
source=$(pwd)
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
failures=0

if grep -q -- -fsanitize "$build/flags"; then
    echo "nothing to install from a build for a sanitizer"
    exit 0
fi
# With the variables this build was made with, so that nothing is built again.
MAKEFLAGS=$(echo "${MAKEFLAGS:-}" | sed -e 's/ -j[0-9]*//' -e 's/ --jobserver-[a-z]*=[^ ]*//g')
export MAKEFLAGS

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}
need() { # need COMMAND...: it must succeed, or nothing else makes sense
    "$@" >"$root/log" 2>&1 || { tail -n 30 "$root/log"; echo "FAILED: $*"; exit 1; }
}

place() { # place WORDS...
    make --no-print-directory BUILD="$build" DESTDIR="$root/stage" PREFIX=/opt/deer "$@"
}
stage=$root/stage/opt/deer
need mkdir "$root/stage"
need place install
grep -q '^CC\|^AR\|^LINK' "$root/log" && wrong "installing builds again, beside whoever runs the programs: $(head -n 3 "$root/log")"

# ---------------------------------------------------------------- names ---------------------------

names=$(nm -D --defined-only "$stage/lib/libdeer.so" | awk '{ print $NF }')
echo "$names" | grep -qx deer_step || wrong "the shared object does not show deer_step"
others=$(echo "$names" | grep -v '^deer_')
[ -z "$others" ] || wrong "the shared object shows more than deer_ names: $others"
others=$(nm -g --defined-only "$stage/lib/libdeer.a" | awk 'NF == 3 { print $3 }' | grep -v '^deer_')
[ -z "$others" ] || wrong "the archive shows more than deer_ names: $others"
soname=$(readelf -d "$stage/lib/libdeer.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
version=$("$stage/bin/deer-run" --version | cut -d ' ' -f 2)
[ "$soname" = "libdeer.so.${version%%.*}" ] || wrong "the shared object of version $version is called '$soname'"
[ -e "$stage/lib/$soname" ] || wrong "$soname is not there"

nm -D --defined-only "$stage/lib/libdeercalib.so" | awk '{ print $NF }' | sort >"$root/shown"
cc -E -P "$stage/include/deer/deer_calib.h" | grep -v '^typedef' | grep -o 'deer_[a-z_]*(' | tr -d '(' | sort -u >"$root/public"
cc -E -P "$stage/include/deer/deer.h" | grep -o 'deer_[a-z_]*(' | tr -d '(' | sort -u >"$root/of-runtime"
comm -23 "$root/public" "$root/of-runtime" >"$root/declared"
cmp -s "$root/shown" "$root/declared" ||
    wrong "libdeercalib shows other names than deer_calib.h declares: $(diff "$root/shown" "$root/declared")"
readelf -d "$stage/lib/libdeercalib.so" | grep -q "soname: .libdeercalib.so.${version%%.*}.$" || wrong "libdeercalib has no soname"

# ---------------------------------------------------------------- programs of others --------------

cp tests/packaging/consumer.c tests/packaging/neighbours.c tests/packaging/plugins.c tests/packaging/solver.c "$root"
cp -r tests/packaging/cmake "$root/cmake"
cp tests/packaging/consumer.c examples/cpp/robot.cpp "$root/cmake"
awk '/^<!-- run/ { wanted = /after make install/ } /^```/ { inside = wanted && !inside; wanted = wanted && inside; next } inside' \
    README.md >"$root/pasted"
mkdir "$root/tests"
cp -r examples "$root"
cp -r tests/examples "$root/tests" # drive_node.cpp includes the node
cd "$root" || exit 1
PKG_CONFIG_PATH=$stage/lib/pkgconfig
export PKG_CONFIG_PATH
about="--define-variable=prefix=$stage --define-variable=libdir=$stage/lib --define-variable=includedir=$stage/include deer"
policy=$stage/share/deer/policy.safetensors
[ "$(pkg-config --modversion deer)" = "$version" ] || wrong "deer.pc is of another version"

runs() { # runs PROGRAM: it opens the installed policy
    said=$(LD_LIBRARY_PATH=$stage/lib "$1" "$policy" 2>&1) || wrong "$1: $said"
    case $said in
    *"exits"*) ;;
    *) wrong "$1 says '$said'" ;;
    esac
}

shared=$(pkg-config $about --cflags --libs)
static=$(pkg-config $about --cflags --libs --static | sed 's/-ldeer/-l:libdeer.a/')
need cc consumer.c -o with-shared $shared
need cc consumer.c -o with-archive $static
need c++ -x c++ -std=c++17 -Wall -Wextra -pedantic -Werror consumer.c -o with-cpp $shared
need cc -shared -fPIC consumer.c -o inside.so $static # the archive may go into a shared object
for program in with-shared with-archive with-cpp; do runs "./$program"; done
ldd with-archive | grep -q libdeer && wrong "the archive was not used"

# Who uses jansson as well can load and unload them in any order.
unloads() { # unloads LIBRARY...
    said=$(./plugins "$@" 2>&1)
    [ "$said" = "jansson still works" ] || wrong "loading and unloading $*: '$said'"
}
need cc plugins.c -o plugins -ljansson
need cp inside.so inside-too.so
unloads ./inside.so
unloads ./inside.so ./inside-too.so
unloads ./inside.so "$stage/lib/libdeer.so"
unloads "$stage/lib/libdeer.so" "$stage/lib/libdeercalib.so"
unloads "$stage/lib/libdeercalib.so" "$stage/lib/libdeer.so"

define="--define-variable=prefix=$stage --define-variable=libdir=$stage/lib --define-variable=includedir=$stage/include"
need cc -Wall -Wextra -Werror solver.c -o solver $(pkg-config $define --cflags --libs deercalib)
need c++ -x c++ -std=c++17 -Wall -Wextra -pedantic -Werror solver.c -o solver-cpp $(pkg-config $define --cflags --libs deercalib)
for program in solver solver-cpp; do
    said=$(LD_LIBRARY_PATH=$stage/lib ./$program 2>&1) || wrong "$program: $said"
    [ "$said" = "2 exits, costs 1.5" ] || wrong "$program says '$said'"
done

others="-lzip -lpng -lz"
need cc -I"$stage/include" neighbours.c -o so-first $shared $others
need cc -I"$stage/include" neighbours.c -o so-last $others $shared
need cc -I"$stage/include" neighbours.c -o archive-first $static $others
need cc -I"$stage/include" neighbours.c -o archive-last $others $static
for program in so-first so-last archive-first archive-last; do runs "./$program"; done

need cmake -S cmake -B cmake-build -DCMAKE_PREFIX_PATH="$stage"
need cmake --build cmake-build
for program in with-shared with-archive; do runs "cmake-build/$program"; done
cmake -S cmake -B cmake-newer -DCMAKE_PREFIX_PATH="$stage" -DWANTED=99 >"$root/log" 2>&1 &&
    wrong "CMake takes this version for version 99"

# ---------------------------------------------------------------- examples -----------------------

drives() { # drives PROGRAM...: ten moves, the same from each
    said=$(LD_LIBRARY_PATH=$stage/lib "$@" "$policy" 2>&1) || wrong "$*: $said"
    [ "$(echo "$said" | grep -c '^move .* turn .*, \(open\|close\)$')" -eq 10 ] || wrong "$* says '$said'"
    [ -z "${drove:-}" ] || [ "$said" = "$drove" ] || wrong "$* moves otherwise: $said"
    drove=$said
}
strict="-Wall -Wextra -pedantic -Werror"
need cc -std=c11 $strict examples/c/robot.c -o drive-c $shared
need c++ -std=c++17 $strict examples/cpp/robot.cpp -o drive-cpp $shared
drives ./drive-c
drives ./drive-cpp
drives cmake-build/with-hpp
said=$(LD_LIBRARY_PATH=$stage/lib ./drive-cpp none 2>&1) && wrong "no policy is a policy"
case $said in *"none"*"(failed)") ;; *) wrong "an exception says '$said'" ;; esac
# ROS 2 is not in Debian 12: its node is compiled against stubs of the types it uses, and driven by them.
need c++ -std=c++17 $strict -Itests/examples/ros2 tests/examples/drive_node.cpp -o drive-node $shared
mkdir -p datasets/tabletop
cp "$policy" policy.safetensors
cp "$policy" datasets/tabletop
LD_LIBRARY_PATH=$stage/lib ./drive-node >"$root/log" 2>&1 || wrong "the ROS 2 node: $(cat "$root/log")"
# What the README says to paste after make install.
[ "$(grep -c . pasted)" -ge 3 ] || wrong "README.md has nothing to paste after make install"
PKG_CONFIG_SYSROOT_DIR=$root/stage LD_LIBRARY_PATH=$stage/lib sh -eu pasted >"$root/log" 2>&1 || wrong "README.md: $(cat "$root/log")"
[ "$(grep -c '^move' "$root/log")" -eq 20 ] || wrong "README.md: two robots do not move: $(cat "$root/log")"

# ---------------------------------------------------------------- pages and completion ------------

for program in "$stage"/bin/*; do
    name=$(basename "$program")
    page=$stage/share/man/man1/$name.1
    said=$(mandoc -T lint -W warning "$page" 2>&1) || wrong "$said"
    for command in $("$program" --help-table | awk -F '\t' '$1 == "command" { print $2 }' | cut -d ' ' -f 2); do
        mandoc -T utf8 "$page" | col -b | grep -q "^  *$name $command" || wrong "$page leaves out $command"
    done
    "$program" --help-table | awk -F '\t' '$1 == "option" && $2 != "old" { print $3 }' | sort -u |
        while read -r option; do
            grep -q "^.B .*$(echo "--$option" | sed 's/-/\\\\-/g')" "$page" || echo "$option"
        done >"$root/left-out"
    [ ! -s "$root/left-out" ] || wrong "$page leaves out options: $(cat "$root/left-out")"
done
cat >complete.bash <<'BASH'
complete_line() { # complete_line WORDS...: what bash offers for the last word
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _deer_calib; printf '%s ' "${COMPREPLY[@]}"
}
for f in "$1"/*; do source "$f" || exit 1; done
[[ " $(complete_line deer-calib so)" == " solve " ]] || { echo "no command is completed"; exit 1; }
[[ "$(complete_line deer-calib solve --avg)" == *--avg-fraction* ]] || { echo "no option is completed"; exit 1; }
touch here.json
[[ "$(complete_line deer-calib check --thresholds her)" == "here.json " ]] || { echo "no file is completed"; exit 1; }
BASH
said=$(bash complete.bash "$stage/share/bash-completion/completions" 2>&1) || wrong "bash completion: $said"
if command -v zsh >/dev/null; then
    for f in "$stage"/share/zsh/site-functions/*; do zsh -n "$f" || wrong "$f"; done
fi

# ---------------------------------------------------------------- and away again ------------------

cd "$source" || exit 1
readelf -S "$stage/bin/deer-run" | grep -q '\.symtab' && wrong "programs are not stripped"
need place STRIP=0 install
readelf -S "$stage/bin/deer-run" | grep -q '\.symtab' || wrong "STRIP=0 strips"
need place uninstall
left=$(find "$root/stage" -mindepth 1)
[ -z "$left" ] || wrong "uninstall leaves $left"
[ "$failures" -eq 0 ]
