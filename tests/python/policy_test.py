# SPDX-License-Identifier: MIT
"""Policies: replay, caches, calibration and steps, beside the programs that do the same."""
import json
import shutil

import numpy as np
import pytest

import deer
from conftest import POLICY, program, run

h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def model():
    with deer.Model.open(POLICY) as opened:
        yield opened


@pytest.fixture(scope="module")
def thresholds_file(recorded, cache_folder):
    out = recorded.folder / "thresholds.json"
    deer.calibrate(cache_folder, out, fraction=0.4, scope="llm", points=4, threads=1)
    return out


def test_model(model):
    said = json.loads(run(program("deer-model"), "info", POLICY, "--json"))
    assert model.exits == 6 and model.max_exit == 5 and model.type == "f32"
    assert model.fingerprint == said["fingerprint"] and len(model.fingerprint) == 32
    assert model.config["exit_layers"] == [e["layer"] for e in said["exits"]]
    assert model.config["image_size"] == 64 and model.config["lstm"] in ("layernorm", "plain")
    assert model.nbytes > 1e6
    assert model.unknown_words("lift the zebra") == 1
    with deer.Pool(1) as pool, deer.Model.open(str(POLICY), max_exit=2, pool=pool) as shallow:
        assert shallow.max_exit == 2 and shallow.fingerprint == model.fingerprint
        assert shallow.nbytes < model.nbytes and pool.threads == 1
    with deer.Model.open(POLICY, device="cpu") as here:
        assert here.device == model.device == "cpu"
    with pytest.raises(deer.Error, match="no such device|abacus"):
        deer.Model.open(POLICY, device="abacus")
    with pytest.raises(TypeError, match="device"):
        deer.Model.open(POLICY, device=7)


def test_cache_is_what_the_files_hold(recorded, cache_folder, model):
    with deer.read_cache(cache_folder) as cache, h5py.File(cache_folder / "cache.h5") as f:
        for name in ("delta", "action", "demonstration"):
            np.testing.assert_array_equal(getattr(cache, name), f[name][()])
            assert not getattr(cache, name).flags.writeable
            assert not getattr(cache, name).flags.owndata
        np.testing.assert_array_equal(cache.episode, f["episode"][()])
        features = f["features"][()]
        for i, e in enumerate(cache.episodes):
            np.testing.assert_array_equal(cache.features(i), features[e.rows])
        assert [e.task.encode() for e in cache.episodes] == list(f["episode_task"])
        assert {e.task for e in cache.episodes} == {"lift_red", "press_button"}
        assert [e.instruction.encode() for e in cache.episodes] == list(f["episode_instruction"])
        assert [e.tokens for e in cache.episodes] == list(f["episode_tokens"])
        assert cache.model == model.fingerprint and cache.config == model.config
        first = json.loads(run(program("deer-model"), "info", POLICY, "--json", "--tokens",
                               cache.episodes[0].tokens))
        for scope, name in (("llm", "llm_gflops"), ("total", "total_gflops")):
            assert cache.cost(scope).shape == (4, 6)
            assert cache.cost(scope)[0] == pytest.approx([e[name] for e in first["exits"]], rel=1e-5)


def test_arrays_outlive_their_cache(cache_folder):
    cache = deer.read_cache(cache_folder)
    delta, kept = cache.delta, cache.delta.copy()
    part = cache.action[3:5, 1]
    cache.close()
    cache.close()
    with pytest.raises(deer.Closed):
        cache.features(0)
    del cache
    np.testing.assert_array_equal(delta, kept)
    assert np.isfinite(part).all()


def test_replay_goes_on(recorded, cache_folder, tmp_path):
    seen = []
    report = deer.replay(POLICY, [recorded.demos], tmp_path / "c", threads=1, batch=4,
                         progress=lambda steps, of: seen.append((steps, of)))
    with deer.read_cache(cache_folder) as cache:
        assert report.steps == report.replayed == len(cache.delta)
        assert seen[-1] == (report.steps, report.steps) and report.missing == 0
        assert seen == sorted(seen)
        with deer.read_cache(tmp_path / "c") as same:
            np.testing.assert_allclose(same.delta, cache.delta, atol=1e-5)
    assert deer.replay(POLICY, recorded.demos, tmp_path / "c").replayed == 0
    with pytest.raises(ZeroDivisionError):
        deer.replay(POLICY, recorded.demos, tmp_path / "d", progress=lambda *_: 1 / 0)
    with pytest.raises(deer.Failed, match="No such file"):
        deer.replay(POLICY, tmp_path / "none.h5", tmp_path / "e")
    with pytest.raises(deer.Usage, match="needs a model, demos"):
        deer.replay(POLICY, [], tmp_path / "e")


def test_calibrate_equals_the_program(recorded, cache_folder, thresholds_file, tmp_path, model):
    out = tmp_path / "t.json"
    said = json.loads(run(program("deer-calib"), "solve", "--cache", cache_folder, "--scope", "llm",
                          "--avg-fraction", "0.4", "--out", out, "--json", "--frontier",
                          tmp_path / "f.json", "--frontier-points", "4"))
    ours, theirs = (json.loads(p.read_text()) for p in (thresholds_file, out))
    assert ours == theirs
    with deer.Thresholds.load(thresholds_file, model) as t:
        words = {"never": -np.inf, None: np.inf}
        np.testing.assert_allclose(t.tau, [words.get(x, x) for x in said["tau"]], rtol=1e-6)
        assert t.max_exit == 5 and t.criterion == "l2"
        assert t.scope == "llm" and t.budget == pytest.approx(said["budget"])
        assert t.expected.average_llm_gflops == pytest.approx(said["average_cost"])
        assert t.expected.exit_fraction == pytest.approx(said["exit_fraction"], abs=1e-6)
        assert t.guarantee is None and len(t.dial) == 4 and t.model == model.fingerprint
        cheap = t.with_budget(t.dial[1])
        assert cheap.expected.average_llm_gflops <= t.dial[1]
        with pytest.raises(deer.Infeasible):
            t.with_budget(t.dial[0] / 2)
    with pytest.raises(deer.Infeasible, match="cannot be met"):
        deer.calibrate(cache_folder, fraction=0.01)
    with pytest.raises(deer.Usage, match="no criterion"):
        deer.calibrate(cache_folder, fraction=0.5, criterion="entropy")
    with pytest.raises(deer.Usage, match="besides points"):
        deer.calibrate(cache_folder, tmp_path / "x.json", points=4)


def episodes_of(path):
    with h5py.File(path) as f:
        for name in sorted(f["data"], key=lambda n: int(n.split("_")[1])):
            demo = f["data"][name]
            yield (demo.attrs["language"].decode(), demo["obs/rgb_static"][()],
                   demo["obs/rgb_gripper"][()])


def test_steps_are_those_of_deer_run(recorded, thresholds_file, model):
    said = json.loads(run(program("deer-run"), "episode", "--model", POLICY, "--thresholds",
                          thresholds_file, "--demos", recorded.demos, "--all", "--steps", "--json"))
    thresholds = deer.Thresholds.load(thresholds_file, model)
    exits = set()
    with deer.Session(model, thresholds) as session:
        for (instruction, static, wrist), expected in zip(episodes_of(recorded.demos),
                                                          said["episodes"]):
            session.set_instruction(instruction)
            assert session.tokens == expected["tokens"]
            for s, w, step in zip(static, wrist, expected["step"]):
                action = session.step(s, w)
                exits.add(action.exit)
                assert (action.exit, action.exit_layer, action.head_evaluations) == (
                    step["exit"], step["layer"], step["head_evaluations"])
                assert action.delta[-1] == pytest.approx(step["delta"], rel=1e-6, nan_ok=True)
                assert action.command[6] in (1, -1) and action.command.shape == (7,)
                np.testing.assert_array_equal(action.command[:6],
                                              action.pose.astype(np.float16).astype(np.float32))
    assert len(exits) > 1


def test_images_of_every_layout(recorded, model):
    instruction, static, wrist = next(episodes_of(recorded.demos))
    with deer.Thresholds.fixed(model, 2) as fixed, deer.Session(model, fixed) as session, \
            deer.Session(model, fixed, bgr=True) as other:
        def step(a, b, robot=session):
            robot.set_instruction(instruction)
            return robot.step(a, b).pose

        pose = step(static[0], wrist[0])
        larger = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
        larger[5:69, 11:75] = static[0]
        np.testing.assert_array_equal(pose, step(larger[5:69, 11:75], wrist[0]))  # padded rows
        mirrored = static[0][::-1, ::-1].copy()
        np.testing.assert_array_equal(pose, step(mirrored[::-1, ::-1], wrist[0]))
        channels_first = np.ascontiguousarray(static[0].transpose(2, 0, 1))
        np.testing.assert_array_equal(pose, step(channels_first.transpose(1, 2, 0), wrist[0]))
        np.testing.assert_array_equal(pose, step(np.asfortranarray(static[0]), wrist[0]))
        np.testing.assert_array_equal(pose, step(static[0][..., ::-1], wrist[0][..., ::-1], other))
        assert not np.array_equal(pose, step(static[0], wrist[0], other))
        step(larger, wrist[0][:1, :1])  # other sizes
        np.testing.assert_array_equal(pose, step(static[0], wrist[0]))
        for image, kind, what in ((static[0].astype(np.float32), TypeError, "uint8"),
                                  (channels_first, deer.Usage, "transpose"),
                                  (static, deer.Usage, r"\[height, width, 3\]"),
                                  (static[0][:0], deer.Usage, "no pixels"), (None, TypeError, "uint8"),
                                  ("image", TypeError, "uint8"),
                                  (static[0][..., :2], deer.Usage, r"\[height, width, 3\]")):
            with pytest.raises(kind, match=what):
                session.step(image, wrist[0])
            with pytest.raises(kind, match=what):
                session.step(static[0], image)
        np.testing.assert_array_equal(pose, step(static[0], wrist[0]))


def test_order_of_calls(recorded, model, thresholds_file):
    instruction, static, wrist = next(episodes_of(recorded.demos))
    deepest = deer.Thresholds.fixed(model, 5)
    with deer.Session(model, deepest) as session:
        with pytest.raises(deer.Usage, match="instruction"):
            session.step(static[0], wrist[0])
        session.set_instruction(instruction)
        first = session.step(static[0], wrist[0])
        second = session.step(static[0], wrist[0])
        assert not np.array_equal(first.pose, second.pose)  # it remembers
        session.reset()
        np.testing.assert_array_equal(first.pose, session.step(static[0], wrist[0]).pose)
        session.set_thresholds(deer.Thresholds.fixed(model, 0))
        assert session.step(static[0], wrist[0]).exit == 0
        with pytest.raises(deer.Usage):
            session.set_budget(1.0)  # no dial
        session.set_thresholds(deer.Thresholds.load(thresholds_file))
        with pytest.raises(deer.Infeasible):
            session.set_budget(1e-9)
        with pytest.raises(deer.Infeasible):
            session.set_governor(1e-9)
        with pytest.raises(deer.Usage, match="200 steps"):
            session.set_governor(1.0, horizon=1)
        session.set_governor(1.0, horizon=300)
        assert session.governor.steps == 0 and session.governor.horizon == 300
        session.set_budget(1.0)
        assert session.governor is None
        session.set_tokens(np.array([1, 2, 3]))
        assert session.tokens == 3 and session.nbytes > 1000
        for tokens, kind in ((["a"], TypeError), ([1.5], TypeError), ([[1]], TypeError),
                             ([1 << 40], deer.Usage), ([-1], deer.Usage), ([], Exception)):
            with pytest.raises(kind):
                session.set_tokens(tokens)
        for words, kind in ((b"lift", TypeError), ("a\0b", deer.Usage), (None, TypeError)):
            with pytest.raises(kind):
                session.set_instruction(words)


def test_a_governed_budget_holds(recorded, model):
    thresholds = deer.Thresholds.load(POLICY.with_name("thresholds.json"), model)
    asked, steps = 0.0125, 0
    with deer.Session(model, thresholds, pool=deer.Pool(1)) as session:
        session.set_governor(asked, horizon=500)
        while steps < 600:
            for instruction, static, wrist in episodes_of(recorded.demos):
                session.set_instruction(instruction)
                for images in zip(static, wrist):
                    session.step(*images)
                    steps += 1
        account = session.governor
        assert account.steps == steps and account.budget_gflops == asked
        assert abs(account.used_gflops / steps / asked - 1) < 0.02, account
        assert account.ahead_gflops == pytest.approx(account.used_gflops - steps * asked)


def test_a_deadline_makes_steps_shorter(recorded, model):
    instruction, static, wrist = next(episodes_of(recorded.demos))
    with deer.Session(model, deer.Thresholds.fixed(model, 5), pool=deer.Pool(1)) as session:
        session.set_instruction(instruction)
        assert not session.step(static[0], wrist[0]).late
        session.set_deadline(1e-6)
        action = session.step(static[0], wrist[0])
        assert action.exit == 0 and action.late
        session.set_deadline(0)
        action = session.step(static[0], wrist[0])
        assert action.exit == 5 and not action.late
        for seconds in (-1, float("nan"), 1e10):
            with pytest.raises(deer.Usage):
                session.set_deadline(seconds)


def test_wrong_files_are_named(tmp_path, cache_folder, model):
    with pytest.raises(deer.Failed, match="No such file"):
        deer.Model.open(tmp_path / "none.safetensors")
    with pytest.raises(deer.Failed, match="policy_test"):
        deer.Model.open(__file__)
    with pytest.raises(deer.Usage, match="zero byte"):
        deer.Model.open("a\0b")
    with pytest.raises(TypeError, match="path is a path"):
        deer.Model.open(7)
    with pytest.raises(deer.Usage, match="max_exit is 32"):
        deer.Model.open(POLICY, max_exit=32)
    with pytest.raises(deer.Failed):
        deer.Thresholds.load(POLICY, model)
    with pytest.raises(deer.Usage, match="exit"):
        deer.Thresholds.fixed(model, 6)
    with pytest.raises(deer.Failed):
        deer.read_cache(tmp_path)
    shutil.copytree(cache_folder, tmp_path / "c")
    shard = tmp_path / "c" / "shard-00000.h5"
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    with pytest.raises(deer.Failed):
        with deer.read_cache(tmp_path / "c") as cache:
            [cache.features(i) for i in range(len(cache.episodes))]
