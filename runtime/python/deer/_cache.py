# SPDX-License-Identifier: MIT
"""Feature caches: replaying demonstrations, reading what every exit saw and said, calibrating."""
from __future__ import annotations  # help() shows them as they are written here

import os
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._errors import Usage
from ._library import calibration, call, ffi, integer, path_bytes, string_bytes, text
from ._model import Path, _config_dict
from ._shared import Owner, Shared, Using
from ._solve import Solution, options_of, solution_of

_CRITERIA = ("l2", "mean", "max", "cosine", "combined")
_LOSSES = ("deepest", "demo")
_SCOPES = ("total", "llm")


def _index(value: str, words: Tuple[str, ...], name: str) -> int:
    if value not in words:
        raise Usage(f"there is no {name} {value!r}; there are: {', '.join(words)}")
    return words.index(value)


def _threads(threads: Optional[int]) -> int:
    return 0 if threads is None else integer(threads, "threads", 1, 1024)


# ---------------------------------------------------------------- replay -----------------------


@dataclass(frozen=True)
class ReplayReport:
    """What replay did."""

    episodes: int  #: of the cache
    steps: int
    replayed: int  #: steps run now; the others were there
    shards: int
    missing: int  #: shards that other processes are writing
    unknown_words: int  #: episodes with words that the model does not know
    seconds: float


def _teller(progress: Optional[Callable[[int, int], Any]], raised: List[BaseException]) -> Any:
    """A C function that calls progress; an exception ends the calls, and is kept."""
    if progress is None:
        return ffi.NULL
    told = progress

    def tell(_: Any, steps: int, of: int) -> None:
        if raised:
            return
        try:
            told(int(steps), int(of))
        except BaseException as error:  # of whatever kind: C cannot pass it on
            raised.append(error)

    return ffi.callback("void(void *, int64_t, int64_t)", tell)


def replay(model: Path, demos: Union[Path, Sequence[Path]], cache: Path, *,
           static_camera: Optional[str] = None, gripper_camera: Optional[str] = None,
           instruction: Optional[str] = None, mask: Optional[str] = None,
           threads: Optional[int] = None, batch: Optional[int] = None,
           progress: Optional[Callable[[int, int], Any]] = None) -> ReplayReport:
    """Runs a model over recorded demonstrations and caches what each exit sees and says.

    model: a model file. demos: one HDF5 file of demonstrations, or several as one set. cache: the
        folder to write; what was stopped half way goes on where it was.
    static_camera, gripper_camera: names below obs/; instruction: instead of the recorded ones; mask:
        only the demonstrations that mask/.. lists.
    threads: None: one per core. batch: observations that go through the model together.
    progress: called with steps done and steps in all, from other threads, one at a time; its
        exception is raised when the replay is over.
    """
    files: List[Path] = [demos] if isinstance(demos, (str, bytes, os.PathLike)) else list(demos)
    kept: List[Any] = []

    def keep(value: bytes) -> Any:
        kept.append(ffi.new("char[]", value))
        return kept[-1]

    raised: List[BaseException] = []
    o = ffi.new("deer_replay_options *")
    o.size = ffi.sizeof("deer_replay_options")
    o.model = keep(path_bytes(model, "model"))
    o.cache = keep(path_bytes(cache, "cache"))
    names = ffi.new("const char *[]", [keep(path_bytes(f, "demos")) for f in files] + [ffi.NULL])
    o.demos, o.files = names, len(files)
    for name, value in (("static_camera", static_camera), ("gripper_camera", gripper_camera),
                        ("instruction", instruction), ("mask", mask)):
        if value is not None:
            setattr(o, name, keep(string_bytes(value, name)))
    o.threads = _threads(threads)
    o.batch = 0 if batch is None else integer(batch, "batch", 1, 4096)
    teller = o.progress = _teller(progress, raised)
    report = ffi.new("deer_replay_report *")
    call(calibration().deer_replay, o, report)
    del teller, kept
    if raised:
        raise raised[0]
    return ReplayReport(report.episodes, report.steps, report.replayed, report.shards,
                        report.missing, report.unknown_words, report.seconds)


# ---------------------------------------------------------------- reading ----------------------


@dataclass(frozen=True)
class Episode:
    """One recorded episode; its rows are cache.delta[e.rows] and so on."""

    name: str
    task: str
    instruction: str
    first: int  #: row of its first step
    steps: int
    tokens: int  #: of the instruction

    @property
    def rows(self) -> slice:
        """Of its steps."""
        return slice(self.first, self.first + self.steps)


class _Memory:
    """C memory as numpy sees it: keeps its owner until the last array is gone."""

    def __init__(self, shared: Shared, pointer: Any, shape: Tuple[int, ...], kind: str) -> None:
        self._shared = shared.retain("cache")
        self.__array_interface__ = {
            "version": 3, "shape": shape, "typestr": kind,
            "data": (int(ffi.cast("uintptr_t", pointer)), True)}

    def __del__(self) -> None:
        self._shared.release()


class Cache(Owner):
    """A feature cache: N steps, K exits. Arrays are views of it, read-only; they stay good when the
    cache is closed, whose memory goes away with the last of them.

        with deer.read_cache("cache") as cache:
            cache.delta, cache.action, cache.episode
    """

    _name = "cache"
    delta: npt.NDArray[np.float32]  #: [N, K] root mean square of the pose's change between exits
    action: npt.NDArray[np.float32]
    """[N, 1 + K, 7] pose in -1..1 and probability that the gripper is open, of every exit, when the
    deepest was taken at every step before; row 0 is the layer before the first exit, row 1 + k is
    exit k."""
    demonstration: npt.NDArray[np.float32]  #: [N, 7] the recorded action
    episode: npt.NDArray[np.int64]  #: [N] of each step, as solve wants it
    episodes: Tuple[Episode, ...]
    config: Dict[str, Any]  #: of the model, as Model.config
    model: str  #: its fingerprint

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("a cache is opened by deer.read_cache(folder)")

    @classmethod
    def _open(cls, folder: Path) -> "Cache":
        lib = calibration()
        made = ffi.new("deer_cache **")
        call(lib.deer_cache_open, path_bytes(folder, "folder"), made)
        self = object.__new__(cls)
        self._shared = shared = Shared(made[0], lib.deer_cache_close)
        n, k = int(lib.deer_cache_steps(made[0])), int(lib.deer_cache_exits(made[0]))

        def view(pointer: Any, *shape: int) -> npt.NDArray[np.float32]:
            return np.asarray(_Memory(shared, pointer, shape, "<f4"))

        self.delta = view(lib.deer_cache_delta(made[0]), n, k)
        self.action = view(lib.deer_cache_action(made[0]), n, 1 + k, 7)
        self.demonstration = view(lib.deer_cache_demonstration(made[0]), n, 7)
        self.episodes = tuple(
            Episode(text(e.name), text(e.task), text(e.instruction), int(e.first), int(e.steps),
                    int(e.tokens))
            for e in (lib.deer_cache_episode(made[0], i)
                      for i in range(lib.deer_cache_episodes(made[0]))))
        lengths = [e.steps for e in self.episodes]
        self.episode = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
        self.episode.flags.writeable = False
        self.config = _config_dict(lib.deer_cache_config(made[0]))
        self.model = text(lib.deer_cache_model(made[0]))
        return self

    def cost(self, scope: str = "total") -> npt.NDArray[np.float64]:
        """[episodes, K] GFLOPs of a step that leaves at each exit; it depends on the length of the
        instruction. scope: "llm", the decoder alone, or "total"."""
        llm = bool(_index(scope, _SCOPES, "scope"))
        lib = calibration()
        with Using(self) as pointer:
            return np.array([[lib.deer_cache_cost(pointer, e, k, llm)
                              for k in range(lib.deer_cache_exits(pointer))]
                             for e in range(len(self.episodes))])

    def features(self, episode: int) -> npt.NDArray[np.float16]:
        """[steps of the episode, 1 + K, width] pooled decoder states, the head's input; a copy, read
        from disk. One thread at a time: deer.Busy."""
        number = integer(episode, "episode", 0, len(self.episodes) - 1)
        lib = calibration()
        with Using(self) as pointer:
            shape = (self.episodes[number].steps, 1 + int(lib.deer_cache_exits(pointer)),
                     int(lib.deer_cache_width(pointer)))
            read = np.empty(shape, np.float16)
            call(lib.deer_cache_features, pointer, number,
                 ffi.cast("uint16_t *", read.ctypes.data), read.size)
        return read


def read_cache(folder: Path) -> Cache:
    """Opens a complete feature cache (of deer.replay or deer-calib replay), and checks it."""
    return Cache._open(folder)


# ---------------------------------------------------------------- calibrating ------------------


def calibrate(cache: Path, out: Optional[Path] = None, *, budget: Optional[float] = None,
              fraction: Optional[float] = None, peak: Optional[float] = None,
              memory: Optional[float] = None, max_loss: Optional[float] = None,
              confidence: Optional[float] = None, largest_loss: Optional[float] = None,
              per_task: bool = False, longest: Optional[int] = None, method: str = "best",
              seed: int = 1, criterion: str = "l2", loss: str = "deepest", scope: str = "total",
              points: int = 0, model: Optional[Path] = None,
              threads: Optional[int] = None) -> Solution:
    """Thresholds for the policy that a cache is of, as deer-calib solve finds them: they keep their
    budget with the exits that they take themselves.

    cache: folder. out: the thresholds file to write, for Thresholds.load.
    budget, fraction, peak, memory, max_loss, confidence, ..: as in solve; costs are GFLOPs of a step
        in the scope, "total" or "llm", memory is bytes, tasks are the recorded ones.
    criterion: "l2", "mean", "max", "cosine", "combined". loss: deviation from the "deepest" exit
        allowed, or from the recorded action, "demo".
    points: of the dial in the thresholds file, 2 to 32; 0: none.
    model: the policy's file, where it is no longer where replay found it.
    """
    lib = calibration()
    solve = options_of(budget, fraction, peak, memory, max_loss, largest_loss, confidence, per_task,
                       longest, method, seed, points and integer(points, "points", 2, 32))
    names = {"cache": path_bytes(cache, "cache")}
    if out is not None:
        names["out"] = path_bytes(out, "out")
    if model is not None:
        names["model"] = path_bytes(model, "model")
    kept = {name: ffi.new("char[]", value) for name, value in names.items()}
    o = ffi.new("deer_calibrate_options *")
    o.size = ffi.sizeof("deer_calibrate_options")
    o.solve = solve
    for name, value in kept.items():
        setattr(o, name, value)
    o.criterion = _index(criterion, _CRITERIA, "criterion")
    o.loss = _index(loss, _LOSSES, "loss")
    o.scope_llm = _index(scope, _SCOPES, "scope")
    o.threads = _threads(threads)
    made = ffi.new("deer_solution **")
    call(lib.deer_calibrate, o, made)
    try:
        found = solution_of(made[0])
    finally:
        lib.deer_solution_free(made[0])
    if found is None:
        raise Usage("give a budget besides points")
    return found


