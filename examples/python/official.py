#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From the criterion values that the official DeeR-VLA code caches to its --thresholds line.

    python3 official.py deer.pth --fraction 0.6          # a checkpoint; needs torch
    python3 official.py values.npy --fraction 0.6        # its `values` [exits, samples], saved by numpy

The budget is a share of full depth, counted in layers, as `deer-calib solve --official deer.pth
--avg-fraction 0.6 --print-official` has it.
"""
import argparse
import sys

import numpy as np

import deer


def read_values(path):
    if path.endswith(".npy"):
        return np.load(path)
    try:
        import torch
    except ImportError:
        sys.exit(f"{path} needs PyTorch: apt-get install python3-torch; or save its values by numpy")
    values = torch.load(path, map_location="cpu").get("values")
    if values is None:
        sys.exit(f"{path} has no values: the official code stores them with its first evaluation")
    return np.asarray(values)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--fraction", type=float, default=0.6)
    parser.add_argument("--distribution", default="exp", choices=["exp", "gauss", "gamma"])
    asked = parser.parse_args()
    values = read_values(asked.path)
    layers = np.arange(1, len(values) + 1)  # exits sit after every n-th layer: k + 1 parts of K
    try:
        found = deer.official_thresholds(values, asked.distribution, cost=layers,
                                         fraction=asked.fraction)
    except (deer.Error, TypeError) as error:
        sys.exit(f"{asked.path}: {error}")
    print(f"{found.solver}: {found.cost / layers[-1]:.1%} of full depth; leaving at each exit: "
          + ", ".join(f"{share:.1%}" for share in found.exit_fraction), file=sys.stderr)
    print(found.thresholds_line)


if __name__ == "__main__":
    main()
