# SPDX-License-Identifier: MIT
"""Wrong use never ends the process: closing, collecting, threads, forks."""
import copy
import gc
import itertools
import os
import pickle
import signal
import threading

import numpy as np
import pytest

import deer
from conftest import POLICY

IMAGE = np.zeros((64, 64, 3), np.uint8)


def made():
    model = deer.Model.open(POLICY, max_exit=1)
    thresholds = deer.Thresholds.fixed(model, 1)
    session = deer.Session(model, thresholds, pool=deer.Pool(1))
    session.set_instruction("lift the red block")
    return model, thresholds, session


def test_closed_objects_say_so():
    model, thresholds, session = made()
    session.close()
    session.close()
    for use in (session.reset, lambda: session.step(IMAGE, IMAGE), lambda: session.tokens,
                lambda: session.set_instruction("x"), session.__enter__):
        with pytest.raises(deer.Closed, match="session is closed"):
            use()
    thresholds.close()
    for use in (lambda: deer.Session(model, thresholds), lambda: thresholds.with_budget(1)):
        with pytest.raises(deer.Closed, match="thresholds object is closed"):
            use()
    assert thresholds.max_exit == 1  # what it said stays
    model.close()
    for use in (lambda: model.exits, lambda: deer.Thresholds.fixed(model, 0),
                lambda: model.unknown_words("x")):
        with pytest.raises(deer.Closed, match="model is closed"):
            use()
    assert model.closed and session.closed


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_closing(order):
    things = made()
    session = things[2]
    for i in order:
        if not session.closed:
            assert session.step(IMAGE, IMAGE).exit == 1
        things[i].close()


def test_any_order_of_collecting():
    for order in itertools.permutations(range(3)):
        things = list(made())
        cycle = {"things": things}
        things.append(cycle)  # a circle, which only the collector ends
        for i in order:
            things[i], thing = None, things[i]
            thing.circle = cycle
            del thing
        del things, cycle
        gc.collect()
    session = made()[2]  # all else is gone
    gc.collect()
    assert session.step(IMAGE, IMAGE).exit == 1


def test_failing_to_make_one_leaves_nothing_behind():
    model, thresholds, _ = made()
    other = deer.Model.open(POLICY)
    deepest = deer.Thresholds.fixed(other, 5)
    for _ in range(3):
        with pytest.raises(deer.Error):
            deer.Session(model, deepest)  # its exit is not loaded
        with pytest.raises(TypeError):
            deer.Session(model, None)
        with pytest.raises(TypeError):
            deer.Session(thresholds, thresholds)
        with pytest.raises(TypeError):
            deer.Session(model, thresholds, pool=4)
    for kind in (deer.Model, deer.Thresholds, deer.Cache):
        with pytest.raises(TypeError):
            kind()
    for thing in (model, thresholds):
        with pytest.raises(TypeError, match="memory of this process"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="memory of this process"):
            copy.copy(thing)


def test_threads_on_one_session_get_busy():
    _, _, session = made()
    counts = {"done": 0, "busy": 0, "closed": 0}
    counting, start = threading.Lock(), threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(200):
            try:
                session.step(IMAGE, IMAGE)
                outcome = "done"
            except deer.Busy:
                outcome = "busy"
            with counting:
                counts[outcome] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert counts["done"] >= 200 and counts["busy"] > 0 and sum(counts.values()) == 800
    assert session.step(IMAGE, IMAGE).exit == 1


def test_closing_while_others_step():
    for _ in range(10):
        model, thresholds, session = made()
        ends = []

        def work():
            try:
                while True:
                    try:
                        session.step(IMAGE, IMAGE)
                    except deer.Busy:
                        pass
            except deer.Closed:
                ends.append(True)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads:
            t.start()
        model.close()
        thresholds.close()
        session.close()  # at once, whoever is in a step
        for t in threads:
            t.join()
        assert len(ends) == 3


def test_threads_with_a_session_each_agree():
    model = deer.Model.open(POLICY)
    thresholds = deer.Thresholds.fixed(model, 5)
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (4, 64, 64, 3), np.uint8)
    poses = [None] * 4

    def work(i):
        with deer.Session(model, thresholds, pool=deer.Pool(1)) as session:
            session.set_instruction("lift the red block")
            poses[i] = np.array([session.step(x, x).pose for x in images])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for p in poses[1:]:
        np.testing.assert_array_equal(poses[0], p)


def in_child(work):
    """Forks; the child's exit status."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_goes_on():
    model, thresholds, session = made()
    session.reset()
    expected = session.step(IMAGE, IMAGE).pose
    session.reset()

    def work():
        assert np.array_equal(session.step(IMAGE, IMAGE).pose, expected)
        with deer.Session(model, thresholds) as another:
            another.set_instruction("lift the red block")
            assert np.array_equal(another.step(IMAGE, IMAGE).pose, expected)
        session.close()
        model.close()
        gc.collect()

    assert in_child(work) == 0
    np.testing.assert_array_equal(session.step(IMAGE, IMAGE).pose, expected)


def test_forking_while_others_open_and_close():
    model, thresholds, _ = made()
    stop = threading.Event()

    def work():
        while not stop.is_set():
            deer.Session(model, thresholds, pool=deer.Pool(1)).close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            assert in_child(lambda: deer.Thresholds.fixed(model, 0).close()) == 0
    finally:
        stop.set()
        thread.join()


def test_solving_in_threads(table):
    found = [None] * 3

    def work(i):
        found[i] = deer.solve(table.delta, table.loss, table.cost, table.episode, budget=2.5)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for f in found[1:]:
        np.testing.assert_array_equal(found[0].tau, f.tau)


def test_features_of_one_cache_in_threads(cache_folder):
    cache = deer.read_cache(cache_folder)
    counts = {"done": 0, "busy": 0}

    def work():
        for i in range(60):
            try:
                cache.features(i % 4)
                counts["done"] += 1
            except deer.Busy:
                counts["busy"] += 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert counts["done"] > 0
    with pytest.raises(deer.Usage):
        cache.features(4)
    with pytest.raises(deer.Usage):
        cache.features(-1)
