#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The official calibration loop, for comparing speed: python3 official_loop.py TABLE.h5 [RATIO]

Written after the description of ExitController.set_threshold (exp): sort every exit's values, walk them
in order past the steps that left before, stop at the wanted count, let everything at or below that value
leave. Element by element on torch tensors, as the official code does it. Needs python3-torch and
python3-h5py; TABLE.h5 is what `deer-calib bench --out TABLE.h5` writes."""
import math
import sys
import time

import h5py
import torch


def thresholds(values, ratio):
    exits, n = values.shape
    order = values.sort(dim=1).indices
    gone = torch.zeros(n)
    tau = torch.full((exits,), -1e8)
    fractions = ratio ** torch.arange(1, exits + 1)
    fractions = fractions / fractions.sum()
    for k in range(exits - 1):
        wanted, count = math.floor(n * fractions[k]), 0
        for i in range(n):
            step = order[k][i]
            if gone[step] == 0:
                count += 1
                if count == wanted:
                    tau[k] = values[k][step]
                    break
        gone += values[k] <= tau[k]
    tau[-1] = 1e8
    return tau


def main():
    torch.set_num_threads(1)
    with h5py.File(sys.argv[1], "r") as f:
        values = torch.from_numpy(f["delta"][:]).T.contiguous()
    started = time.perf_counter()
    tau = thresholds(values, float(sys.argv[2]) if len(sys.argv) > 2 else 0.8)
    print(f"{values.shape[1]} steps, {values.shape[0]} exits: official loop in Python "
          f"{1e3 * (time.perf_counter() - started):.1f} ms")
    print(" ".join(f"{t:.9g}" for t in tau.tolist()))


if __name__ == "__main__":
    main()
