# SPDX-License-Identifier: MIT
"""The official thresholds: the line of deer-calib, from the same values."""
import pickle
import zipfile

import numpy as np
import pytest

import deer
from conftest import program, run


def write_checkpoint(path, values, layers):
    """A checkpoint as torch.save packs it, with values as numpy has them: needs no torch."""
    content = {"values": values, "early_exit_layer": layers - 1,
               "exit_interval": layers // values.shape[0]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
        archive.writestr("archive/version", "3\n")


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(3)
    return (rng.gamma(2, 0.02, (6, 20000)) * np.exp(-0.3 * np.arange(6))[:, None]).astype(np.float32)


@pytest.mark.parametrize("distribution", ["exp", "gauss", "gamma"])
@pytest.mark.parametrize("fraction", [0.4, 0.75])
def test_line_equals_the_program(tmp_path, values, distribution, fraction):
    write_checkpoint(tmp_path / "deer.pth", values, 12)
    said = run(program("deer-calib"), "solve", "--official", tmp_path / "deer.pth",
               "--avg-fraction", fraction, "--method", "official-" + distribution,
               "--print-official")
    layers = np.arange(2, 13, 2) / 12
    found = deer.official_thresholds(values, distribution, cost=layers, fraction=fraction)
    assert found.thresholds_line + "\n" == said
    assert found.cost <= fraction
    taken = deer.exits_taken(found.tau, values.T)
    assert found.cost == pytest.approx(layers[taken].mean())


def test_table_line_equals_the_program(tmp_path, table):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "t.h5", "w") as f:
        for name in ("delta", "loss", "cost", "episode"):
            f[name] = getattr(table, name)
    said = run(program("deer-calib"), "solve", "--table", tmp_path / "t.h5", "--avg-cost", "2.5",
               "--print-official")
    found = deer.solve(table.delta, table.loss, table.cost, table.episode, budget=2.5)
    assert found.thresholds_line + "\n" == said


def test_sequential_quantiles(values):
    """Ratio 1: a sixth of all samples leaves at each exit, by plain sorting."""
    found = deer.official_thresholds(values, parameter=1, cost=np.arange(1, 7))
    left = np.ones(values.shape[1], bool)
    for k in range(5):
        count = int(np.floor(np.float32(values.shape[1]) * np.float32(1 / 6)))
        assert found.tau[k] == np.sort(values[k, left])[count - 1]
        left &= values[k] > found.tau[k]
    assert found.tau[5] == np.float32(1e8)
    assert found.exit_fraction == pytest.approx([1 / 6] * 6, abs=1e-3)
    assert found.cost == pytest.approx(3.5, abs=1e-2)
    skipped = deer.official_thresholds(values, parameter=1, skip_first=True)
    assert skipped.tau[0] == np.float32(-1e8) and skipped.exit_fraction[0] == 0
    assert skipped.thresholds_line.startswith("--thresholds -100000 ")
    assert skipped.cost is None


def test_wrong_arguments_are_named(values):
    def refuses(kind, what, *arguments, **more):
        with pytest.raises(kind, match=what):
            deer.official_thresholds(*arguments, **more)

    refuses(deer.Usage, r"values is \[exits, samples\]", values.T, parameter=1)
    refuses(deer.Usage, r"values is \[exits, samples\]", values[0], parameter=1)
    refuses(deer.Usage, "no distribution", values, "uniform", parameter=1)
    refuses(deer.Usage, "give a parameter, or", values)
    refuses(deer.Usage, "give a parameter, or", values, parameter=1, fraction=0.5)
    refuses(deer.Usage, "needs cost", values, fraction=0.5)
    refuses(deer.Usage, r"cost is \[exits\]", values, cost=[1, 2], fraction=0.5)
    refuses(deer.Usage, "exp has no parameter -1", values, parameter=-1)
    refuses(deer.Usage, "not a number", values, parameter=float("nan"))
    refuses(TypeError, "real numbers", values > 0, parameter=1)
    refuses(deer.Infeasible, "costs", values, cost=np.arange(1, 7), budget=0.5)
