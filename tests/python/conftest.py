# SPDX-License-Identifier: MIT
"""What the tests of the Python package share: a made-up table, and two recorded tasks."""
import os
import pathlib
import subprocess
import types

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
POLICY = ROOT / "datasets" / "tabletop" / "policy.safetensors"


def run(*words, **more):
    """A program's standard output."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def program(name):
    return BUILD / name


@pytest.fixture(scope="session")
def table():
    """Steps that differ in difficulty, episode by episode; five exits, the last of which is right."""
    rng = np.random.default_rng(7)
    episodes, steps, exits = 80, 12, 5
    hard = np.repeat(rng.gamma(2, 0.5, episodes), steps) + rng.gamma(1, 0.3, episodes * steps)
    depth = np.exp(-0.7 * np.arange(exits))
    loss = hard[:, None] * depth * rng.uniform(0.5, 1.5, (episodes * steps, exits))
    loss[:, -1] = 0
    delta = loss * rng.lognormal(0, 0.5, loss.shape) + 0.01
    return types.SimpleNamespace(
        delta=delta.astype(np.float32), loss=loss.astype(np.float32),
        cost=np.array([1, 2, 3, 4, 6.0]), episode=np.repeat(np.arange(episodes), steps),
        task=np.repeat(np.arange(episodes) % 3, steps))


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Demonstrations of two tasks, and where things may be written."""
    folder = tmp_path_factory.mktemp("recorded")
    demos = folder / "demos.h5"
    run(program("deer-sim"), "record", "--tasks", "lift_red,press_button", "--episodes", "2",
        "--seed", "1", "--out", demos)
    return types.SimpleNamespace(folder=folder, demos=demos)


@pytest.fixture(scope="session")
def cache_folder(recorded):
    """Their feature cache, of deer.replay."""
    import deer
    folder = recorded.folder / "cache"
    deer.replay(POLICY, recorded.demos, folder, threads=1)
    return folder
