#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Derives deer/_abi.py, the declarations that cffi is given, from the C headers.

    python3 runtime/python/derive_abi.py            # writes it
    python3 runtime/python/derive_abi.py --check    # says whether it is what the headers say
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = HERE / "deer" / "_abi.py"
HEADERS = {"RUNTIME": "runtime/deer.h", "CALIBRATION": "calib/deer_calib.h"}


def declarations(text: str) -> str:
    """A header without comments, attributes and the preprocessor but for integer constants."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    kept, skipping = [], False
    for line in text.replace("\\\n", " ").split("\n"):
        constant = re.fullmatch(r"\s*#define\s+(\w+)\s+\(?(-?\d+)\)?\s*", line)
        if line.startswith("#ifdef __cplusplus"):
            skipping = True  # extern "C"
        elif line.startswith("#endif"):
            skipping = False
        elif constant and not skipping:
            kept.append(f"#define {constant[1]} {constant[2]}")
        elif not line.startswith("#") and not skipping and line.strip():
            kept.append(line.rstrip())
    text = re.sub(r"\s*DEER_PRINTF\([^)]*\)", "", "\n".join(kept))
    return re.sub(r"DEER_API\s+", "", text)


def module() -> str:
    parts = ["# SPDX-License-Identifier: MIT",
             '"""What the headers declare. Derived by derive_abi.py; do not edit."""']
    for name, header in HEADERS.items():
        parts.append(f'\n{name} = """\n{declarations((ROOT / header).read_text())}\n"""')
    return "\n".join(parts) + "\n"


def main() -> int:
    if "--check" not in sys.argv:
        OUT.write_text(module())
        return 0
    if OUT.read_text() == module():
        return 0
    print(f"{OUT} is not what the headers say: run python3 runtime/python/derive_abi.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
