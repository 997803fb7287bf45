# SPDX-License-Identifier: MIT
"""Thresholds files, and what calibration says of them."""
from __future__ import annotations  # help() shows them as they are written here

from dataclasses import dataclass
from typing import Any, Optional, Tuple

import numpy as np
import numpy.typing as npt

from ._library import call, ffi, integer, path_bytes, real, runtime, text
from ._model import Model, Path
from ._shared import Owner, Shared, Using


def known(value: float) -> Optional[float]:
    """NaN is how C says that it does not know."""
    return None if value != value else float(value)


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same, read-only."""
    array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Guarantee:
    """What holds on unseen episodes drawn like those calibrated on, except with probability
    1 - confidence."""

    confidence: float
    budget: Optional[float]  #: of a step on average, in the unit of cost
    loss: Optional[float]  #: of a step on average
    solved_on: int  #: episodes
    tested_on: int
    bound: str
    statement: str  #: the same in words


def guarantee_of(g: Any) -> Optional[Guarantee]:
    """From a deer_guarantee."""
    if g == ffi.NULL or not g.confidence > 0:
        return None
    return Guarantee(float(g.confidence), known(g.budget_gflops), known(g.loss), int(g.solved_on),
                     int(g.tested_on), text(g.bound), text(g.statement))


@dataclass(frozen=True, eq=False)
class Expected:
    """What calibration expects of a step; None where it does not know. GFLOPs count one multiply-add
    as one."""

    average_llm_gflops: Optional[float]  #: decoder layers with their cross-attention
    average_total_gflops: Optional[float]  #: everything
    peak_llm_gflops: Optional[float]
    peak_total_gflops: Optional[float]
    memory_bytes: Optional[float]  #: weights up to the deepest exit and a session
    loss: Optional[float]
    exit_fraction: npt.NDArray[np.float64]  #: [max_exit + 1], of steps leaving at each exit


class Thresholds(Owner):
    """Exit thresholds of one model; they never change.

        thresholds = deer.Thresholds.load("thresholds.json", model)
        cheaper = thresholds.with_budget(0.006)
    """

    _name = "thresholds object"
    tau: npt.NDArray[np.float32]  #: [max_exit + 1], float32; the last is infinite: always
    max_exit: int  #: the deepest exit allowed, an index from 0
    criterion: str  #: what is compared with tau: "l2", ..
    steps_per_stage: int  #: decide anew only every so many steps; 1: always
    model: str  #: fingerprint
    solver: str
    budget: Optional[float]  #: average GFLOPs of a step asked for, in scope
    scope: str  #: "llm" or "total"
    expected: Expected
    guarantee: Optional[Guarantee]
    dial: Tuple[float, ...]  #: budgets that with_budget can choose from, GFLOPs, ascending

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("thresholds are made by deer.Thresholds.load(path, model) or .fixed(model, "
                        "exit)")

    @classmethod
    def load(cls, path: Path, model: Optional[Model] = None) -> "Thresholds":
        """Reads a thresholds file; with a model it must be for that one."""
        name = path_bytes(path, "path")
        made = ffi.new("deer_thresholds **")
        if model is None:
            call(runtime().deer_thresholds_load, name, ffi.NULL, made)
        else:
            with Using(_model(model)) as pointer:
                call(runtime().deer_thresholds_load, name, pointer, made)
        return cls._of(made[0])

    @classmethod
    def fixed(cls, model: Model, exit: int) -> "Thresholds":
        """Always leaves at one exit, an index from 0."""
        number = integer(exit, "exit", 0, 31)
        made = ffi.new("deer_thresholds **")
        with Using(_model(model)) as pointer:
            call(runtime().deer_thresholds_fixed, pointer, number, made)
        return cls._of(made[0])

    def with_budget(self, average_gflops: float) -> "Thresholds":
        """Those of the dial's most expensive point within a budget of average GFLOPs a step."""
        budget = real(average_gflops, "average_gflops")
        made = ffi.new("deer_thresholds **")
        with Using(self) as pointer:
            call(runtime().deer_thresholds_copy, pointer, made)
        shared = Shared(made[0], runtime().deer_thresholds_free)
        try:
            call(runtime().deer_thresholds_set_budget, made[0], budget)
        except BaseException:
            shared.release()
            raise
        return self._of(made[0])

    @classmethod
    def _of(cls, pointer: Any) -> "Thresholds":
        lib = runtime()
        self = object.__new__(cls)
        self._shared = Shared(pointer, lib.deer_thresholds_free)
        self.max_exit = int(lib.deer_thresholds_max_exit(pointer))
        self.tau = frozen(np.array([lib.deer_thresholds_tau(pointer, k)
                                    for k in range(self.max_exit + 1)], np.float32))
        self.criterion = text(lib.deer_criterion_name(lib.deer_thresholds_criterion(pointer)))
        self.steps_per_stage = int(lib.deer_thresholds_steps_per_stage(pointer))
        self.model = text(lib.deer_thresholds_model(pointer))
        self.solver = text(lib.deer_thresholds_solver(pointer))
        self.budget = known(lib.deer_thresholds_budget(pointer))
        self.scope = "llm" if lib.deer_thresholds_budget_is_llm(pointer) else "total"
        self.expected = _expected(lib.deer_thresholds_expected(pointer), self.max_exit)
        self.guarantee = guarantee_of(lib.deer_thresholds_guarantee(pointer))
        self.dial = tuple(float(lib.deer_thresholds_point(pointer, i).budget_gflops)
                          for i in range(lib.deer_thresholds_points(pointer)))
        return self


def _model(model: Any) -> Model:
    if not isinstance(model, Model):
        raise TypeError(f"model is a deer.Model, not {type(model).__name__}")
    return model


def _expected(e: Any, max_exit: int) -> Expected:
    fraction = np.array([e.exit_fraction[k] for k in range(max_exit + 1)], np.float64)
    return Expected(known(e.average_llm_gflops), known(e.average_total_gflops),
                    known(e.peak_llm_gflops), known(e.peak_total_gflops), known(e.memory_bytes),
                    known(e.loss), frozen(fraction))
