#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a table of made-up steps for deer-calib solve --table, of any length, a stretch at a time.

    bench/large_table.py TABLE.h5 STEPS [EXITS]

Every step has a difficulty, episodes of 40 steps a part of it in common; losses fall with depth, and
deltas show them through noise. The same numbers every time.
"""
import sys

import h5py
import numpy

STRETCH = 1 << 18


def rows(first, count, exits):
    random = numpy.random.default_rng((5, first))
    episode = numpy.arange(first, first + count) // 40
    common = (episode * 2654435761 % 2**32) / 2**32  # the same wherever an episode is cut
    rest = (common * random.random(count))[:, None] * 0.6 ** numpy.arange(exits)
    noise = [random.lognormal(0, s, rest.shape).astype("f4") for s in (0.4, 0.5)]
    return (rest * noise[0]).astype("f4"), (rest * noise[1]).astype("f4"), episode.astype("i4")


def main(path, steps, exits=4):
    with h5py.File(path, "w") as file:
        file["cost"] = numpy.linspace(0.3, 1, exits)
        delta, loss = (file.create_dataset(name, (steps, exits), "f4") for name in ("delta", "loss"))
        episode = file.create_dataset("episode", (steps,), "i4")
        for first in range(0, steps, STRETCH):
            part = slice(first, min(steps, first + STRETCH))
            delta[part], loss[part], episode[part] = rows(first, part.stop - first, exits)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1], *(int(number) for number in sys.argv[2:]))
