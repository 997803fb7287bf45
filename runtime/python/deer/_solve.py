# SPDX-License-Identifier: MIT
"""Exit thresholds for any early-exit model, from plain arrays."""
from __future__ import annotations  # help() shows them as they are written here

from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import numpy.typing as npt

from ._errors import Usage
from ._library import calibration, call, ffi, integer, real, text
from ._thresholds import Guarantee, guarantee_of, known

_METHODS = ("best", "coordinate", "nlopt", "official-exp", "official-gauss", "official-gamma")
_DISTRIBUTIONS = ("exp", "gauss", "gamma")
_MOST_EXITS = 32


# ---------------------------------------------------------------- what is found ----------------


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Thresholds, and what they do on the steps given. None: not known."""

    name: str  #: what made it: "best", "full depth"
    max_exit: int  #: the deepest exit allowed, an index from 0
    tau: npt.NDArray[np.float32]  #: [max_exit + 1]; -inf: never, the last inf: always
    cost: float  #: of a step on average
    loss: float  #: of a step on average
    peak: Optional[float]  #: cost of a step that takes the deepest exit
    memory: Optional[float]
    exit_fraction: npt.NDArray[np.float64]  #: [max_exit + 1], of the steps leaving at each exit
    budget: Optional[float]  #: of the average that it was solved for
    guarantee: Optional[Guarantee] = None

    def exits(self, delta: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """The exit each step of delta [steps, exits] takes: [steps]."""
        return exits_taken(self.tau, delta)

    @property
    def thresholds_line(self) -> str:
        """What the official DeeR-VLA code is given: "--thresholds 0.02 .. 100000.0"."""
        return _line(self.tau)

    def as_dict(self) -> Dict[str, Any]:
        """All of it as json.dump takes it: arrays are lists, and a tau of infinity is "never" or
        "always"."""
        plain: Dict[str, Any] = _plain(asdict(self))
        return plain


@dataclass(frozen=True, eq=False)
class Solution(OperatingPoint):
    """What was found, and what to compare it with on the same steps."""

    solver: str = ""  #: what produced it, with its seed or parameter
    full: Optional[OperatingPoint] = None  #: always the deepest exit allowed
    official: Optional[OperatingPoint] = None  #: the best official heuristic at the same budget
    oracle_loss: Optional[float] = None  #: of one who sees every loss before choosing
    gap_closed: Optional[float] = None  #: share of the way from the heuristic to the oracle


@dataclass(frozen=True, eq=False)
class Official:
    """Thresholds as the official DeeR-VLA code has them."""

    tau: npt.NDArray[np.float32]  #: [exits]; -1e8 or -inf: never, the last: always
    solver: str  #: "official-exp 0.713"
    cost: Optional[float]  #: of a step on average, where costs were given
    exit_fraction: npt.NDArray[np.float64]  #: [exits], of the samples leaving at each exit

    @property
    def thresholds_line(self) -> str:
        """What the official code is given: "--thresholds 0.02 .. 100000.0"."""
        return _line(self.tau)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(number) for number in value.tolist()]
    if isinstance(value, float) and np.isinf(value):
        return "always" if value > 0 else "never"
    return value


def _line(tau: npt.NDArray[np.float32]) -> str:
    numbers = [f"{min(max(float(t), -1e5), 1e5):.9g}" for t in tau[:-1]]
    return " ".join(["--thresholds", *numbers, "100000.0"])


def exits_taken(tau: npt.ArrayLike, delta: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """The rule itself: the exit that each step of delta [steps, exits] takes under tau
    [max_exit + 1], [steps]. In float32, as at run time; NaN and infinite deltas never leave before
    the deepest exit."""
    thresholds = np.asarray(tau, np.float32)
    values = _matrix(delta, "delta")
    if thresholds.ndim != 1 or not 1 <= thresholds.size <= values.shape[1]:
        raise Usage(f"tau is [max_exit + 1] of at most {values.shape[1]} exits, not "
                    f"{list(thresholds.shape)}")
    last = thresholds.size - 1
    leaves = np.isfinite(values[:, :last]) & (values[:, :last] <= thresholds[:last])
    return np.where(leaves.any(axis=1), leaves.argmax(axis=1), last)


# ---------------------------------------------------------------- arrays -----------------------


def _numpy(values: Any, name: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors that need more
        tensor = hasattr(values, "detach")
        raise TypeError(f"{name} is no array: {error}"
                        + ("; give tensor.detach().cpu().float()" if tensor else "")) from error


def _array(values: Any, name: str, dtype: Any) -> npt.NDArray[Any]:
    """The caller's own memory where it is C-contiguous and of that dtype, else a copy."""
    array = _numpy(values, name)
    if array.dtype == np.bool_ or not (np.issubdtype(array.dtype, np.floating)
                                       or np.issubdtype(array.dtype, np.integer)):
        raise TypeError(f"{name} is of real numbers, not {array.dtype}")
    with np.errstate(over="ignore"):  # too large for float32 is infinite there, too
        return np.ascontiguousarray(array, dtype)


def _matrix(values: Any, name: str) -> npt.NDArray[np.float32]:
    array = _array(values, name, np.float32)
    if array.ndim != 2 or not array.shape[0] or not 1 <= array.shape[1] <= _MOST_EXITS:
        turned = array.ndim == 2 and 1 <= array.shape[0] <= _MOST_EXITS < array.shape[1]
        raise Usage(f"{name} is [steps, exits] of 1 to {_MOST_EXITS} exits, not "
                    f"{list(array.shape)}" + ("; turn it with .T" if turned else ""))
    return array


def _labels(values: Any, name: str, steps: int) -> npt.NDArray[np.int64]:
    array = _numpy(values, name)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} is of whole numbers, not {array.dtype}")
    if array.shape != (steps,):
        raise Usage(f"{name} is [steps], [{steps}], not {list(array.shape)}")
    if array.dtype == np.uint64 and array.size and array.max() >= 1 << 63:
        raise Usage(f"{name} has numbers of more than 63 bits")
    return np.ascontiguousarray(array, np.int64)


def _per_exit(values: Any, name: str, exits: int) -> npt.NDArray[np.float64]:
    array = _array(values, name, np.float64)
    if array.shape != (exits,):
        raise Usage(f"{name} is [exits], [{exits}], not {list(array.shape)}")
    return array


class _Table:
    """A deer_table, and the arrays it points to, which have to live as long."""

    def __init__(self, delta: Any, loss: Any, cost: Any, episode: Any = None, task: Any = None,
                 exit_memory: Any = None) -> None:
        self.kept: List[Any] = []
        self.table = table = ffi.new("deer_table *")
        values = _matrix(delta, "delta")
        steps, exits = self.shape = values.shape
        table.size = ffi.sizeof("deer_table")
        table.steps, table.exits = steps, exits
        table.delta = self._point("float[]", values)
        if loss is not None:
            losses = _matrix(loss, "loss")
            if losses.shape != values.shape:
                raise Usage(f"loss is {list(losses.shape)}, delta {list(values.shape)}: both are "
                            "[steps, exits]")
            table.loss = self._point("float[]", losses)
        table.cost = self._point("double[]", _per_exit(cost, "cost", exits))
        if episode is not None:
            table.episode = self._point("int64_t[]", _labels(episode, "episode", steps))
        if task is not None:
            table.task = self._point("int64_t[]", _labels(task, "task", steps))
        if exit_memory is not None:
            table.memory = self._point("double[]", _per_exit(exit_memory, "exit_memory", exits))

    def _point(self, kind: str, array: npt.NDArray[Any]) -> Any:
        self.kept.append(ffi.from_buffer(kind, array))
        return self.kept[-1]


# ---------------------------------------------------------------- budgets ----------------------


def positive(value: Optional[float], name: str) -> float:
    """What C is told: 0 where there is none."""
    if value is None:
        return 0.0
    number = real(value, name)
    if not 0 < number < float("inf"):
        raise Usage(f"{name} is {number:g}; it must be more than 0")
    return number


def options_of(budget: Optional[float], fraction: Optional[float], peak: Optional[float],
               memory: Optional[float], max_loss: Optional[float], largest_loss: Optional[float],
               confidence: Optional[float], per_task: bool, longest: Optional[int], method: str,
               seed: int, points: int = 0, deepest_may_lose: bool = False) -> Any:
    """A deer_solve_options."""
    o = ffi.new("deer_solve_options *")
    o.size = ffi.sizeof("deer_solve_options")
    if method not in _METHODS:
        raise Usage(f"there is no method {method!r}; there are: {', '.join(_METHODS)}")
    if budget is not None and fraction is not None:
        raise Usage("give budget or fraction, not both")
    if not points and all(b is None for b in (budget, fraction, peak, memory, max_loss)):
        raise Usage("give a budget: budget, fraction, peak, memory or max_loss")
    o.method = _METHODS.index(method)
    o.average, o.fraction = positive(budget, "budget"), positive(fraction, "fraction")
    o.peak, o.memory = positive(peak, "peak"), positive(memory, "memory")
    o.loss = positive(max_loss, "max_loss")
    o.largest_loss = positive(largest_loss, "largest_loss")
    o.confidence = positive(confidence, "confidence")
    o.seed = integer(seed, "seed", 1, (1 << 63) - 1)
    o.longest = 0 if longest is None else integer(longest, "longest", 1, (1 << 31) - 1)
    o.points = points
    o.per_task = bool(per_task)
    o.deepest_may_lose = bool(deepest_may_lose)
    return o


# ---------------------------------------------------------------- from C -----------------------


def _fields(p: Any) -> Dict[str, Any]:
    n = int(p.max_exit) + 1
    tau = np.array([p.tau[k] for k in range(n)], np.float32)
    fraction = np.array([p.exit_fraction[k] for k in range(n)], np.float64)
    return dict(name=text(p.name), max_exit=n - 1, tau=tau, cost=float(p.cost), loss=float(p.loss),
                peak=known(p.peak), memory=known(p.memory), exit_fraction=fraction,
                budget=known(p.budget))


def _point(p: Any) -> Optional[OperatingPoint]:
    return OperatingPoint(**_fields(p)) if p != ffi.NULL else None


def solution_of(pointer: Any) -> Optional[Solution]:
    """From a deer_solution; None where only points were asked for."""
    lib = calibration()
    found = lib.deer_solution_found(pointer)
    if found == ffi.NULL:
        return None
    return Solution(**_fields(found), guarantee=guarantee_of(lib.deer_solution_guarantee(pointer)),
                    solver=text(lib.deer_solution_solver(pointer)),
                    full=_point(lib.deer_solution_full(pointer)),
                    official=_point(lib.deer_solution_official(pointer)),
                    oracle_loss=known(lib.deer_solution_oracle_loss(pointer)),
                    gap_closed=known(lib.deer_solution_gap_closed(pointer)))


def points_of(pointer: Any) -> List[OperatingPoint]:
    """The frontier of a deer_solution."""
    lib = calibration()
    points = []
    for i in range(lib.deer_solution_points(pointer)):
        promised = guarantee_of(lib.deer_solution_point_guarantee(pointer, i))
        points.append(OperatingPoint(**_fields(lib.deer_solution_point(pointer, i)), guarantee=promised))
    return points


def _run(table: _Table, options: Any) -> Tuple[Optional[Solution], List[OperatingPoint]]:
    lib = calibration()
    made = ffi.new("deer_solution **")
    call(lib.deer_solve, table.table, options, made)
    try:
        return solution_of(made[0]), points_of(made[0])
    finally:
        lib.deer_solution_free(made[0])


# ---------------------------------------------------------------- asking -----------------------


def solve(delta: npt.ArrayLike, loss: npt.ArrayLike, cost: npt.ArrayLike,
          episode: Optional[npt.ArrayLike] = None, *, budget: Optional[float] = None,
          fraction: Optional[float] = None, peak: Optional[float] = None,
          memory: Optional[float] = None, max_loss: Optional[float] = None,
          confidence: Optional[float] = None, largest_loss: Optional[float] = None,
          task: Optional[npt.ArrayLike] = None, per_task: bool = False,
          exit_memory: Optional[npt.ArrayLike] = None, longest: Optional[int] = None,
          deepest_may_lose: bool = False, method: str = "best", seed: int = 1) -> Solution:
    """Exit thresholds that lose least under budgets, for any model with early exits.

    At run time a step (a frame, a token, a sample) leaves at the first exit k with
    delta[k] <= tau[k], and at the deepest allowed in any case.

    delta: [steps, exits] how little an exit may be trusted: the change since the exit before, one
        minus the confidence, an entropy. NaN: the step must not leave there.
    loss: [steps, exits] what leaving there loses, in any unit: the deviation from the last exit,
        0 or 1 for right or wrong.
    cost: [exits] what leaving there costs, in any unit (GFLOPs, milliseconds, layers), not falling.
    episode: [steps] whole numbers: the unit that is drawn independently. The steps of an episode
        lie together. None: every step is one.

    budget: average cost of a step at most; or fraction, the same as a share of the last exit's cost.
    peak: no step may cost more.  memory: of the deepest exit, by exit_memory [exits].
    max_loss: average loss at most: the cheapest thresholds that keep it.
    confidence: 0.9: budget and max_loss hold on unseen episodes, wrong in at most a tenth of all
        calibrations. For max_loss give largest_loss, what any step can lose.
    task: [steps] whole numbers, kinds of episodes; per_task: guaranteed for each by itself.
    longest: steps an episode can have at most; None: as seen, or a quarter more.
    deepest_may_lose: where the last exit loses 0 in every row that is chance, not because the loss
        is the deviation from it; for guarantees of max_loss.
    method: "best", "coordinate", "nlopt", "official-exp", "official-gauss", "official-gamma".

    float32 arrays in C order are not copied on their way to C. Raises deer.Infeasible when nothing
    keeps a budget, deer.Usage for what makes no sense.
    """
    table = _Table(delta, loss, cost, episode, task, exit_memory)
    options = options_of(budget, fraction, peak, memory, max_loss, largest_loss, confidence,
                         per_task, longest, method, seed, deepest_may_lose=deepest_may_lose)
    found, _ = _run(table, options)
    assert found is not None
    return found


def frontier(delta: npt.ArrayLike, loss: npt.ArrayLike, cost: npt.ArrayLike,
             episode: Optional[npt.ArrayLike] = None, *, points: int = 16,
             peak: Optional[float] = None, confidence: Optional[float] = None,
             task: Optional[npt.ArrayLike] = None, per_task: bool = False,
             longest: Optional[int] = None, method: str = "best",
             seed: int = 1) -> List[OperatingPoint]:
    """Thresholds for a range of average budgets, from the cheapest there are to full depth,
    ascending: loss never rises with the budget. Arguments as in solve. With a confidence each point
    has its guarantee (None where none can be given), and that any of them breaks has probability at
    most 1 - confidence."""
    table = _Table(delta, loss, cost, episode, task)
    options = options_of(None, None, peak, None, None, None, confidence, per_task, longest, method,
                         seed, integer(points, "points", 2, 200))
    return _run(table, options)[1]


def evaluate(tau: npt.ArrayLike, delta: npt.ArrayLike, loss: npt.ArrayLike, cost: npt.ArrayLike,
             episode: Optional[npt.ArrayLike] = None) -> Solution:
    """What thresholds tau [max_exit + 1] do on these steps (others than those solved on, say)."""
    lib = calibration()
    table = _Table(delta, loss, cost, episode)
    thresholds = _array(tau, "tau", np.float32)
    if thresholds.ndim != 1 or not thresholds.size:
        raise Usage(f"tau is [max_exit + 1], not {list(thresholds.shape)}")
    made = ffi.new("deer_solution **")
    call(lib.deer_evaluate, table.table, ffi.from_buffer("float[]", thresholds),
         thresholds.size - 1, made)
    try:
        found = solution_of(made[0])
    finally:
        lib.deer_solution_free(made[0])
    assert found is not None
    return found


def official_thresholds(values: npt.ArrayLike, distribution: str = "exp", *,
                        parameter: Optional[float] = None, cost: Optional[npt.ArrayLike] = None,
                        budget: Optional[float] = None, fraction: Optional[float] = None,
                        skip_first: bool = False) -> Official:
    """Thresholds of the official DeeR-VLA code, bit for bit, from the criterion values that it
    caches in its checkpoint.

    values: [exits, samples], the checkpoint's `values`.
    distribution: of the assumed exit fractions: "exp", "gauss" or "gamma".
    parameter: the distribution's; or, for one that is found for a budget:
    cost: [exits] of an action leaving there (GFLOPs, layers), with budget, the average at most, or
        fraction, the same as a share of the last exit's.
    skip_first: the first exit is never taken, as the official code has it for the 9B model.

        print(official_thresholds(values, cost=layers, fraction=0.6).thresholds_line)
    """
    if distribution not in _DISTRIBUTIONS:
        raise Usage(f"there is no distribution {distribution!r}; there are: "
                    f"{', '.join(_DISTRIBUTIONS)}")
    array = _array(values, "values", np.float32)
    if array.ndim != 2 or not 1 <= array.shape[0] <= _MOST_EXITS or not array.shape[1]:
        raise Usage(f"values is [exits, samples] of 1 to {_MOST_EXITS} exits, not "
                    f"{list(np.shape(values))}")
    asked = budget is not None or fraction is not None
    if (parameter is not None) == asked:
        raise Usage("give a parameter, or a budget or fraction with cost")
    if parameter is not None:
        return _with_parameter(array, distribution, real(parameter, "parameter"), cost, skip_first)
    if cost is None:
        raise Usage("a budget needs cost, [exits]")
    if skip_first:
        raise Usage("skip_first goes with a parameter")
    table = _Table(np.ascontiguousarray(array.T), None, cost)
    options = options_of(budget, fraction, None, None, None, None, None, False, None,
                         "official-" + distribution, 1)
    found, _ = _run(table, options)
    assert found is not None
    return Official(found.tau, found.solver, found.cost, found.exit_fraction)


def _with_parameter(values: npt.NDArray[np.float32], distribution: str, parameter: float,
                    cost: Optional[npt.ArrayLike], skip_first: bool) -> Official:
    exits, samples = values.shape
    tau = np.empty(exits, np.float32)
    call(calibration().deer_official_thresholds, ffi.from_buffer("float[]", values), exits, samples,
         _DISTRIBUTIONS.index(distribution), parameter, bool(skip_first),
         ffi.from_buffer("float[]", tau))
    taken = np.bincount(exits_taken(tau, values.T), minlength=exits) / samples
    average = None if cost is None else float(taken @ _per_exit(cost, "cost", exits))
    return Official(tau, f"official-{distribution} {parameter:.6g}", average, taken)
