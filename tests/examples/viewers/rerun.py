# SPDX-License-Identifier: MIT
"""Takes down what examples/serve/log_to_viewer.py says to rerun, which Debian 12 has not."""
Scalar = float


def init(name, spawn):
    assert name == "deer" and spawn


def set_time_sequence(name, i):
    assert name == "step" and i >= 0


def log(name, value):
    print("rerun", name, value)
