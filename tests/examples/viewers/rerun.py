# SPDX-License-Identifier: MIT
"""Takes down what examples/serve/log_to_viewer.py says to rerun, which Debian 12 has not."""
Scalars = float


def init(name, spawn):
    assert name == "deer" and spawn


def set_time(name, *, sequence):
    assert name == "step" and sequence >= 0


def log(name, value):
    print("rerun", name, value)
