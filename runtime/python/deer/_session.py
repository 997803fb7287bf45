# SPDX-License-Identifier: MIT
"""A robot: observation to action, one step at a time."""
from __future__ import annotations  # help() shows them as they are written here

import threading
from dataclasses import dataclass
from typing import Any, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from ._errors import Busy, Usage
from ._library import call, ffi, integer, real, runtime, string_bytes
from ._model import Model, Pool, needed_pool
from ._shared import Owner, Shared, Using
from ._thresholds import Thresholds


@dataclass(frozen=True, eq=False)
class Action:
    """What the policy does at one step."""

    command: npt.NDArray[np.float32]  #: [7] x, y, z, roll, pitch, yaw in -1..1, gripper +1 or -1
    pose: npt.NDArray[np.float32]  #: [6] before it was rounded to float16
    gripper_probability: float  #: of open
    exit: int  #: the exit taken, an index from 0
    exit_layer: int  #: its decoder layer, 0-based
    head_evaluations: int
    delta: npt.NDArray[np.float32]  #: [exit + 1] criterion at each exit; NaN where not evaluated
    static_age: int = 0  #: steps since what is used of the camera was encoded; 0: now
    gripper_age: int = 0
    late: bool = False  #: it took longer than the session's deadline


@dataclass(frozen=True)
class Governor:
    """How a governed budget stands after a step."""

    budget_gflops: float  #: of a step on average, in the thresholds' scope
    horizon: int  #: steps
    steps: int  #: since it was set, instructions and resets included
    used_gflops: float  #: by all of them together
    ahead_gflops: float  #: used beyond the budget of those steps; below 0: saved
    setting_gflops: float  #: where the dial stands


_Camera = Tuple[int, int, int]  # width, height, bytes from one row to the next


def _image(image: Any, name: str) -> Tuple[npt.NDArray[np.uint8], _Camera, int]:
    """An image as C can read it, its camera, and how many bytes there are."""
    array = image if isinstance(image, np.ndarray) else np.asarray(image)
    if array.dtype != np.uint8:
        raise TypeError(f"the {name} image is of uint8 in 0..255, not {array.dtype}")
    if array.ndim != 3 or array.shape[2] != 3:
        turned = array.ndim == 3 and array.shape[0] == 3
        raise Usage(f"the {name} image is [height, width, 3], not {list(array.shape)}"
                    + ("; turn it with image.transpose(1, 2, 0)" if turned else ""))
    height, width, _ = array.shape
    if not height or not width:
        raise Usage(f"the {name} image has no pixels: {list(array.shape)}")
    if array.flags.c_contiguous:
        row = 3 * width
    else:
        row = array.strides[0]
        if array.strides[1:] != (3, 1) or not 3 * width <= row < 1 << 31:
            array, row = np.ascontiguousarray(array), 3 * width
    return array, (width, height, row), (height - 1) * row + 3 * width


class Session(Owner):
    """One robot under one model: an instruction, a recurrent state, scratch memory. It serves one
    thread at a time; a second one gets deer.Busy. Threads work side by side with a session and a
    Pool(1) each: a step lets other Python threads run.

    thresholds: when to stop; copied.
    bgr: the images' channels are in the order blue, green, red, as OpenCV has them.
    pool: whose threads compute.
    """

    _name = "session"

    def __init__(self, model: Model, thresholds: Thresholds, *, bgr: bool = False,
                 pool: Optional[Pool] = None) -> None:
        if not isinstance(model, Model):
            raise TypeError(f"model is a deer.Model, not {type(model).__name__}")
        self._door = threading.Lock()
        self._bgr = bool(bgr)
        self._seen: Optional[Tuple[_Camera, _Camera]] = None
        needs = needed_pool(pool)
        try:
            needs.append(model._retain())
            pointer = self._make(needs, _thresholds(thresholds))
        except BaseException:
            for needed in needs:
                needed.release()
            raise
        self._shared = Shared(pointer, runtime().deer_session_free, *reversed(needs))
        self._action = ffi.new("deer_action *")
        self._error = ffi.new("deer_error *")
        self._observation = ffi.new("deer_observation *")

    @staticmethod
    def _make(needs: Sequence[Shared], thresholds: Thresholds) -> Any:
        options = ffi.new("deer_session_options *")
        options.size = ffi.sizeof("deer_session_options")
        if len(needs) > 1:
            options.pool = needs[0].pointer
        made = ffi.new("deer_session **")
        with Using(thresholds) as tau:
            call(runtime().deer_session_new, needs[-1].pointer, tau, options, made)
        return made[0]

    # One thread at a time: this object's own fields need that as much as C's do.

    def _enter(self) -> Shared:
        if not self._door.acquire(blocking=False):
            raise Busy("another thread is using this session")
        try:
            return self._retain()  # closed meanwhile, it goes away when this call is over
        except BaseException:
            self._door.release()
            raise

    def _leave(self, shared: Shared) -> None:
        shared.release()
        self._door.release()

    def _call(self, function: Any, *arguments: Any) -> None:
        shared = self._enter()
        try:
            call(function, shared.pointer, *arguments)
        finally:
            self._leave(shared)

    def set_instruction(self, instruction: str) -> None:
        """Starts a new task: the recurrent state is reset."""
        self._call(runtime().deer_session_set_instruction, string_bytes(instruction, "instruction"))

    def set_tokens(self, tokens: Sequence[int]) -> None:
        """The same with token ids made elsewhere, <image> and end marks included."""
        ids = np.ascontiguousarray(tokens)
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise TypeError("tokens are whole numbers, one after the other")
        if ids.size and (ids.min() < -(1 << 31) or ids.max() >= 1 << 31):
            raise Usage("a token is no number of 32 bits")
        ids = ids.astype(np.int32)
        self._call(runtime().deer_session_set_tokens, ffi.from_buffer("int32_t[]", ids), ids.size)

    def reset(self) -> None:
        """Zeroes the recurrent state; the instruction stays."""
        self._call(runtime().deer_session_reset)

    def set_thresholds(self, thresholds: Thresholds) -> None:
        """Other thresholds from the next step on; the recurrent state stays."""
        with Using(_thresholds(thresholds)) as tau:
            self._call(runtime().deer_session_set_thresholds, tau)

    def set_budget(self, average_gflops: float) -> None:
        """Turns the dial of the thresholds, where their file has one: GFLOPs of a step on average."""
        self._call(runtime().deer_session_set_budget, real(average_gflops, "average_gflops"))

    def set_governor(self, average_gflops: float, horizon: int = 0) -> None:
        """Turns the dial before every step, so that steps take average_gflops on average, whatever
        the robot meets: within 2% over any `horizon` steps, 200 or more (0: 500). The account goes on
        over instructions and resets; set_thresholds and set_budget end it.
        """
        self._call(runtime().deer_session_set_governor, real(average_gflops, "average_gflops"),
                   integer(horizon, "horizon", 0, 1_000_000_000))

    @property
    def governor(self) -> Optional[Governor]:
        """How the budget of set_governor stands; None where nothing is governed."""
        shared = self._enter()
        try:
            g = runtime().deer_session_governor(shared.pointer)
            return Governor(g.budget_gflops, int(g.horizon), int(g.steps), g.used_gflops,
                            g.ahead_gflops, g.setting_gflops) if g else None
        finally:
            self._leave(shared)

    def set_deadline(self, seconds: float) -> None:
        """From the next step on a step takes an earlier exit than the thresholds would rather than
        last longer than this; 0: as long as it takes. Action.late says whether it did all the same.
        """
        if not 0 <= (most := real(seconds, "seconds")) <= 1e9:
            raise Usage(f"a deadline of {most} seconds is none: 0 to 1e9")
        self._call(runtime().deer_session_set_deadline,
                   max(1, round(1e6 * most)) if most else 0)

    def step(self, static_image: npt.ArrayLike, wrist_image: npt.ArrayLike) -> Action:
        """One control step.

        static_image, wrist_image: uint8 [height, width, 3], of any size, which may change from step
            to step (a new size or layout allocates). Rows may be padded, as in a part of a larger
            image, and are not copied then; arrays turned or mirrored are.

        After an exception the recurrent state is as it was, and the robot should not move.
        """
        static, static_camera, static_bytes = _image(static_image, "static")
        wrist, wrist_camera, wrist_bytes = _image(wrist_image, "wrist")
        shared = self._enter()
        try:
            pointer = shared.pointer
            if self._seen != (static_camera, wrist_camera):
                self._set_cameras(pointer, static_camera, wrist_camera)
            seen = self._observation
            seen.static_view.pixels = ffi.cast("uint8_t *", static.ctypes.data)
            seen.static_view.bytes = static_bytes
            seen.gripper_view.pixels = ffi.cast("uint8_t *", wrist.ctypes.data)
            seen.gripper_view.bytes = wrist_bytes
            call(runtime().deer_step, pointer, seen, self._action)
            return self._done()
        finally:
            self._leave(shared)

    def _set_cameras(self, pointer: Any, static: _Camera, wrist: _Camera) -> None:
        views = ffi.new("deer_camera[2]")
        for view, (width, height, row) in zip(views, (static, wrist)):
            if max(width, height, row) >= 1 << 31:
                raise Usage(f"an image of {width} x {height} pixels is too large")
            view.width, view.height, view.row_stride = width, height, row
            view.channels = 1 if self._bgr else 0
        call(runtime().deer_session_set_cameras, pointer, views, views + 1)
        self._seen = (static, wrist)

    def _done(self) -> Action:
        a = self._action
        floats = np.frombuffer(ffi.buffer(a, ffi.sizeof("deer_action")), np.float32).copy()
        first = ffi.offsetof("deer_action", "delta") // 4
        return Action(floats[:7], floats[7:13], float(a.gripper_probability),
                      int(a.exit), int(a.exit_layer), int(a.head_evaluations),
                      floats[first:first + a.exit + 1],
                      int(a.static_age), int(a.gripper_age), bool(a.late))

    def _ask(self, function: Any) -> int:
        shared = self._enter()
        try:
            return int(function(shared.pointer))
        finally:
            self._leave(shared)

    @property
    def tokens(self) -> int:
        """Of the current instruction."""
        return self._ask(runtime().deer_session_tokens)

    @property
    def nbytes(self) -> int:
        """Bytes this session holds besides the model."""
        return self._ask(runtime().deer_session_bytes)


def _thresholds(thresholds: Any) -> Thresholds:
    if not isinstance(thresholds, Thresholds):
        raise TypeError(f"thresholds are deer.Thresholds, not {type(thresholds).__name__}")
    return thresholds
