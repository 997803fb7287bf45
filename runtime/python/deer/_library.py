# SPDX-License-Identifier: MIT
"""The two C libraries: finding them, calling them."""
import functools
import os
import sys
from typing import Any, Callable, Dict, List, Type

import cffi  # type: ignore[import]

from . import _abi
from ._errors import Busy, Error, Failed, Infeasible, Usage

MAJOR = 1

ffi = cffi.FFI()
ffi.cdef(_abi.RUNTIME)
ffi.cdef(_abi.CALIBRATION)

_ERRORS: Dict[int, Type[Error]] = {-1: Failed, -2: Usage, -3: Infeasible, -4: Busy}


def _candidates(name: str) -> List[str]:
    folder = os.environ.get("DEER_LIBRARY_PATH")
    if folder:
        return [os.path.join(folder, name)]
    return [name, os.path.join("/usr/local/lib", name)]


def _open(name: str) -> Any:
    why = []
    for path in _candidates(name):
        try:
            return ffi.dlopen(path)
        except OSError as error:
            why.append(str(error))
    raise ImportError(f"{name} cannot be loaded: install it with `make install`, or let "
                      f"DEER_LIBRARY_PATH name the folder it was built in ({why[0]})")


@functools.lru_cache(maxsize=None)
def runtime() -> Any:
    """libdeer."""
    library = _open(f"libdeer.so.{MAJOR}")
    library.deer_version_number  # noqa: B018 - a library that lacks it is none of ours
    return library


@functools.lru_cache(maxsize=None)
def calibration() -> Any:
    """libdeercalib, which needs HDF5 and NLopt: loaded when it is first asked for."""
    return _open(f"libdeercalib.so.{MAJOR}")


def version() -> str:
    """The version of libdeer, "1.0.0"."""
    return text(runtime().deer_version())


def calibration_version() -> str:
    """The version of libdeercalib."""
    return text(calibration().deer_calib_version())


def text(chars: Any) -> str:
    """A C string, or an array of char, as str."""
    return str(ffi.string(chars).decode("utf-8", "replace")) if chars != ffi.NULL else ""


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a function whose last argument is a deer_error; a status other than 0 is raised."""
    error = ffi.new("deer_error *")
    status = function(*arguments, error)
    if status:
        raise _ERRORS.get(status, Failed)(text(error.message))


def path_bytes(path: Any, what: str) -> bytes:
    """A path as C wants it."""
    try:
        encoded = os.fsencode(path)
    except TypeError:
        raise TypeError(f"{what} is a path, not {type(path).__name__}") from None
    if b"\0" in encoded:
        raise Usage(f"{what} has a zero byte in its name")
    return encoded


def string_bytes(value: Any, what: str) -> bytes:
    """A text as C wants it."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, not {type(value).__name__}")
    if "\0" in value:
        raise Usage(f"{what} has a zero character")
    return value.encode("utf-8", "surrogateescape")


def integer(value: Any, what: str, least: int, most: int) -> int:
    """A whole number in a range; bool is none."""
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{what} is a whole number, not {type(value).__name__}")
    number = value.__index__()
    if not least <= number <= most:
        raise Usage(f"{what} is {number}; it must be {least} to {most}")
    return int(number)


def real(value: Any, what: str) -> float:
    """A number that is one."""
    if isinstance(value, (bool, str, bytes)):
        raise TypeError(f"{what} is a number, not {type(value).__name__}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{what} is a number, not {type(value).__name__}") from None
    if number != number:
        raise Usage(f"{what} is not a number (NaN)")
    return number


if sys.byteorder != "little":
    raise ImportError("deer runs on little-endian machines")
