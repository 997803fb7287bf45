#!/bin/sh
# SPDX-License-Identifier: MIT
# The Python package: its declarations are those of the headers, and what tests/python/*_test.py says.
# Installing it as a person would is one of them. BUILD: the build folder; PYTHON: which one.
set -eu
build=$(cd "${BUILD:-build}" && pwd)
python=${PYTHON:-/usr/bin/python3}

if grep -q -- -fsanitize "$build/flags"; then
    echo "a build for a sanitizer cannot be loaded by an ordinary Python"
    exit 0
fi
export PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE
"$python" runtime/python/derive_abi.py --check
BUILD=$build DEER_LIBRARY_PATH=$build PYTHONPATH=$PWD/runtime/python \
    "$python" -m pytest -q -p no:cacheprovider --durations=5 tests/python
