# SPDX-License-Identifier: MIT
"""Thresholds from arrays: the numbers of deer-calib on the same table, and of plain numpy."""
import json
import math
import pickle

import numpy as np
import pytest

import deer
from conftest import program, run


def write_table(path, t, **more):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as f:
        for name in ("delta", "loss", "cost", "episode"):
            f[name] = getattr(t, name)
        for name, values in more.items():
            f[name] = values


def by_program(tmp_path, t, *options, **more):
    write_table(tmp_path / "t.h5", t, **more)
    return json.loads(run(program("deer-calib"), "solve", "--table", tmp_path / "t.h5", "--json",
                          *options))


def same_thresholds(tau, said):
    words = {"never": -math.inf, "always": math.inf, None: math.inf}
    expected = [words[x] if x in words else x for x in said]
    np.testing.assert_allclose(tau, np.float32(expected), rtol=1e-6)


@pytest.mark.parametrize("options, arguments", [
    (["--avg-cost", "2.5"], dict(budget=2.5)),
    (["--avg-fraction", "0.4", "--method", "coordinate"], dict(fraction=0.4, method="coordinate")),
    (["--avg-cost", "2.5", "--peak-cost", "4", "--seed", "5"], dict(budget=2.5, peak=4, seed=5)),
    (["--max-loss", "0.05", "--method", "coordinate"], dict(max_loss=0.05, method="coordinate")),
    (["--avg-cost", "2", "--method", "official-gauss"], dict(budget=2, method="official-gauss")),
    (["--avg-cost", "3", "--confidence", "0.9"], dict(budget=3, confidence=0.9)),
    (["--max-loss", "0.3", "--confidence", "0.9", "--largest-loss", "20", "--longest-episode", "14",
      "--method", "coordinate"],
     dict(max_loss=0.3, confidence=0.9, largest_loss=20, longest=14, method="coordinate")),
])
def test_equals_the_program(tmp_path, table, options, arguments):
    said = by_program(tmp_path, table, *options)
    found = deer.solve(table.delta, table.loss, table.cost, table.episode, **arguments)
    same_thresholds(found.tau, said["tau"])
    assert found.cost == pytest.approx(said["average_cost"], rel=1e-11)
    assert found.loss == pytest.approx(said["loss"], rel=1e-11)
    assert found.exit_fraction == pytest.approx(said["exit_fraction"])
    assert found.solver == said["solver"]
    assert found.oracle_loss == pytest.approx(said["oracle_loss"])
    if "confidence" in arguments:
        assert found.guarantee.statement == said["guarantee"]["statement"]
        assert (found.guarantee.solved_on, found.guarantee.tested_on) == (20, 60)
    else:
        assert found.guarantee is None


def test_memory_and_tasks_equal_the_program(tmp_path, table):
    memory = np.array([1e6, 2e6, 3e6, 4e6, 5e6])
    said = by_program(tmp_path, table, "--avg-cost", "3", "--memory", "3500000", "--confidence",
                      "0.9", "--per-task", memory=memory, task=table.task)
    found = deer.solve(table.delta, table.loss, table.cost, table.episode, budget=3, memory=3.5e6,
                       exit_memory=memory, confidence=0.9, task=table.task, per_task=True)
    assert found.max_exit == 2 and found.memory == 3e6 and found.peak == 3
    same_thresholds(found.tau, said["tau"])
    assert found.guarantee.statement == said["guarantee"]["statement"]


def test_frontier_equals_the_program(tmp_path, table):
    write_table(tmp_path / "t.h5", table)
    run(program("deer-calib"), "solve", "--table", tmp_path / "t.h5", "--frontier",
        tmp_path / "f.json", "--frontier-points", "4", "--confidence", "0.9", "--method",
        "coordinate")
    said = json.loads((tmp_path / "f.json").read_text())["points"]
    found = deer.frontier(table.delta, table.loss, table.cost, table.episode, points=4,
                          confidence=0.9, method="coordinate")
    assert len(found) == len(said) == 4
    for point, expected in zip(found, said):
        same_thresholds(point.tau, expected["tau"])
        assert point.budget == pytest.approx(expected["budget"])
        assert point.loss == pytest.approx(expected["loss"])
        assert (point.guarantee is None) == (expected["guarantee"] is None)
    assert sorted(p.loss for p in found) == [p.loss for p in reversed(found)]


def test_numbers_are_those_of_numpy(table):
    found = deer.solve(table.delta, table.loss, table.cost, table.episode, budget=2.5)
    taken = np.full(len(table.delta), found.max_exit)
    for k in reversed(range(found.max_exit)):
        taken[table.delta[:, k] <= found.tau[k]] = k
    np.testing.assert_array_equal(found.exits(table.delta), taken)
    assert found.cost == pytest.approx(table.cost[taken].mean(), rel=1e-12)
    assert found.cost <= 2.5
    assert found.loss == pytest.approx(table.loss[np.arange(len(taken)), taken].mean(), rel=1e-6)
    np.testing.assert_allclose(found.exit_fraction, np.bincount(taken, minlength=5) / len(taken))
    assert found.official.loss >= found.loss >= found.oracle_loss
    assert found.full.cost == 6 and found.full.loss == 0
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["tau"][-1] == "always" and plain["full"]["tau"][0] == "never"
    assert plain["cost"] == found.cost and plain["guarantee"] is None
    assert pickle.loads(pickle.dumps(found)).loss == found.loss and found.tau.flags.writeable
    again = deer.evaluate(found.tau, table.delta, table.loss, table.cost, table.episode)
    assert (again.cost, again.loss) == (found.cost, found.loss) and again.official is None


def test_a_guarantee_holds_on_other_episodes(table):
    half = table.episode % 2 == 0
    found = deer.solve(table.delta[half], table.loss[half], table.cost, table.episode[half],
                       budget=3, confidence=0.9)
    other = deer.evaluate(found.tau, table.delta[~half], table.loss[~half], table.cost,
                          table.episode[~half])
    assert other.cost <= 3 and found.guarantee.budget == 3 and found.guarantee.confidence == 0.9


def test_nan_never_leaves(table):
    delta = table.delta.copy()
    delta[::2, 0] = np.nan
    delta[::3, 1] = np.inf
    found = deer.solve(delta, table.loss, table.cost, table.episode, budget=2.5)
    taken = found.exits(delta)
    assert not (taken[::2] == 0).any() and not (taken[::3] == 1).any()
    assert found.cost == pytest.approx(table.cost[taken].mean(), rel=1e-12)


def test_other_layouts_and_types_are_copied(table):
    def solved(*arrays):
        return deer.solve(*arrays, budget=2.5, method="coordinate").tau

    t = table
    tau = solved(t.delta, t.loss, t.cost, t.episode)
    np.testing.assert_array_equal(tau, solved(np.asfortranarray(t.delta), t.loss[::-1][::-1],
                                              t.cost, t.episode.astype(np.uint8)))
    np.testing.assert_array_equal(tau, solved(t.delta.astype(np.float64), t.loss.tolist(),
                                              t.cost.astype(np.float32), t.episode * -7))
    wide = np.zeros((len(t.delta), 10), np.float32)
    wide[:, ::2] = t.delta
    np.testing.assert_array_equal(tau, solved(wide[:, ::2], t.loss, [1, 2, 3, 4, 6], t.episode))
    big_endian = t.delta.astype(">f4")
    np.testing.assert_array_equal(tau, solved(big_endian, t.loss, t.cost, t.episode))
    shifted = np.frombuffer(b"x" + t.delta.tobytes(), np.uint8)[1:].view(np.float32)  # unaligned
    np.testing.assert_array_equal(tau, solved(shifted.reshape(t.delta.shape), t.loss, t.cost,
                                              t.episode))
    read_only = t.delta.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(tau, solved(read_only, t.loss, t.cost, t.episode))


def test_without_episodes_every_step_is_one(table):
    found = deer.solve(table.delta, table.loss, table.cost, budget=2.5, confidence=0.9)
    assert found.guarantee.solved_on + found.guarantee.tested_on == len(table.delta)


def test_wrong_arguments_are_named(table):
    t = table

    def refuses(kind, what, *arrays, **more):
        arrays = arrays or (t.delta, t.loss, t.cost, t.episode)
        with pytest.raises(kind, match=what) as raised:
            deer.solve(*arrays, **(more or dict(budget=2.5)))
        assert "\n" not in str(raised.value)

    rows = slice(0, 60)
    d, l, e = t.delta[rows], t.loss[rows], t.episode[rows]
    refuses(deer.Usage, r"delta is \[steps, exits\]", t.delta[0], l, t.cost, e)
    refuses(deer.Usage, r"delta is \[steps, exits\]", np.zeros((4, 33)), l, t.cost, e)
    refuses(deer.Usage, r"delta is \[steps, exits\]", np.zeros((0, 5)), l, t.cost, e)
    refuses(deer.Usage, "loss is", d, l[:-1], t.cost, e)
    refuses(deer.Usage, "loss is", d, l[:, :-1], t.cost, e)
    refuses(deer.Usage, r"cost is \[exits\]", d, l, t.cost[:-1], e)
    refuses(deer.Usage, r"episode is \[steps\]", d, l, t.cost, e[:-1])
    refuses(TypeError, "episode is of whole numbers", d, l, t.cost, e.astype(float))
    refuses(TypeError, "delta is of real numbers", d > 0, l, t.cost, e)
    refuses(TypeError, "delta is of real numbers", d.astype(complex), l, t.cost, e)
    refuses(TypeError, "delta is of real numbers", d.astype(object), l, t.cost, e)
    refuses(TypeError, "delta is of real numbers", d.astype(str), l, t.cost, e)
    refuses(deer.Usage, "loss", d, np.where(l == l[7, 2], np.nan, l), t.cost, e)
    refuses(deer.Usage, "exit 1 costs 1, less", d, l, [2, 1, 3, 4, 5], e)
    refuses(deer.Usage, "the cost of exit 2", d, l, [1, 2, np.nan, 4, 5], e)
    refuses(deer.Usage, "do not lie together", d, l, t.cost, np.arange(60) % 2)
    refuses(deer.Usage, "another task", d, l, t.cost, e, budget=2.5, task=np.arange(60))
    refuses(deer.Usage, "give a budget", confidence=None)
    refuses(deer.Usage, "not both", budget=2, fraction=0.5)
    refuses(deer.Usage, "budget is -1", budget=-1)
    refuses(deer.Usage, "budget is not a number", budget=float("nan"))
    refuses(TypeError, "budget is a number", budget="2")
    refuses(deer.Usage, "fraction is 1.5", fraction=1.5)
    refuses(deer.Usage, "confidence is 1", budget=2, confidence=1)
    refuses(deer.Usage, "confidence is of", peak=3, confidence=0.9)
    refuses(deer.Usage, "per_task", budget=2, per_task=True)
    refuses(deer.Usage, "no task", budget=2, per_task=True, confidence=0.9)
    refuses(deer.Usage, "no memory", memory=2)
    refuses(deer.Usage, "largest_loss", max_loss=0.1, confidence=0.9)
    refuses(deer.Usage, "no method 'magic'", budget=2, method="magic")
    refuses(deer.Usage, "seed is 0", budget=2, seed=0)
    refuses(TypeError, "seed is a whole number", budget=2, seed=1.5)
    refuses(deer.Infeasible, "already costs 1|first exit costs 1", budget=0.5)
    refuses(deer.Infeasible, "no exit keeps a peak of 0.5", peak=0.5)
    refuses(deer.Error, "episodes", d[:24], l[:24], t.cost, e[:24], budget=2, confidence=0.9)
    with pytest.raises(deer.Usage, match="points is 1"):
        deer.frontier(d, l, t.cost, e, points=1)
    with pytest.raises(deer.Usage, match=r"tau is \[max_exit \+ 1\]"):
        deer.evaluate([], d, l, t.cost, e)
    with pytest.raises(deer.Usage, match="threshold of exit 1 is no number"):
        deer.evaluate([0.1, np.nan, 0.2], d, l, t.cost, e)
    with pytest.raises(deer.Usage, match="no thresholds up to exit 5"):
        deer.evaluate(np.zeros(6), d, l, t.cost, e)


class Elsewhere:
    """A tensor that numpy cannot read: on a GPU, of bfloat16."""

    def detach(self):
        return self

    def __array__(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def test_arrays_that_are_none_say_what_to_do(table):
    for wrong, words in ((Elsewhere(), r"delta is no array: .*tensor\.detach\(\)\.cpu\(\)\.float\(\)"),
                         ([[1.0, 2.0], [1.0]], "delta is no array|of real numbers")):
        with pytest.raises(TypeError, match=words):
            deer.solve(wrong, table.loss, table.cost, fraction=0.5)
    with pytest.raises(deer.Usage, match=r"not \[5, 960\]; turn it with \.T"):
        deer.solve(table.delta.T, table.loss.T, table.cost, fraction=0.5)
