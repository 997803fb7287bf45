# SPDX-License-Identifier: MIT
"""deer: calibrated early exit for robot policies, and exit thresholds for any early-exit model.

    import deer

    found = deer.solve(delta, loss, cost, episode, budget=0.4, confidence=0.9)
    found.tau, found.guarantee

    with deer.Model.open("policy.safetensors") as model:
        thresholds = deer.Thresholds.load("thresholds.json", model)
        with deer.Session(model, thresholds) as session:
            session.set_instruction("lift the red block")
            action = session.step(static_image, wrist_image)

docs/python.md has the whole of it.
"""
from ._cache import Cache, Episode, ReplayReport, calibrate, read_cache, replay
from ._errors import Busy, Closed, Error, Failed, Infeasible, Usage
from ._library import calibration_version, version
from ._model import Model, Pool
from ._session import Action, Governor, Session
from ._solve import (Official, OperatingPoint, Solution, evaluate, exits_taken, frontier,
                     official_thresholds, solve)
from ._thresholds import Expected, Guarantee, Thresholds

__version__ = "1.0.0"
__all__ = [
    "Action", "Busy", "Cache", "Closed", "Episode", "Error", "Expected", "Failed", "Governor", "Guarantee",
    "Infeasible", "Model", "Official", "OperatingPoint", "Pool", "ReplayReport", "Session",
    "Solution", "Thresholds", "Usage", "calibrate", "calibration_version", "evaluate",
    "exits_taken", "frontier", "official_thresholds", "read_cache", "replay", "solve", "version",
]
