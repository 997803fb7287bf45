# SPDX-License-Identifier: MIT
"""Models and threads."""
import os
from typing import Any, Dict, List, Optional, Union

from ._library import call, ffi, integer, path_bytes, runtime, string_bytes, text
from ._shared import Owner, Shared, Using

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_BLOCKS = ("mpt-1b", "mpt-7b")
_LSTMS = ("layernorm", "plain")


class Pool(Owner):
    """Threads that share the products of a step. A model or session without one uses the library's
    own, with one thread per core. Sessions that are stepped side by side want one each.

    threads: the calling one included, 1 to 256; None: one per core.
    pin: bind each to a core of its own; for a process that has its cores to itself.
    """

    _name = "pool"

    def __init__(self, threads: Optional[int] = None, *, pin: bool = False) -> None:
        options = ffi.new("deer_pool_options *")
        options.size = ffi.sizeof("deer_pool_options")
        options.threads = 0 if threads is None else integer(threads, "threads", 1, 256)
        options.pin = bool(pin)
        made = ffi.new("deer_pool **")
        call(runtime().deer_pool_new, options, made)
        self._shared = Shared(made[0], runtime().deer_pool_free)

    @property
    def threads(self) -> int:
        """How many, the calling one included."""
        with Using(self) as pointer:
            return int(runtime().deer_pool_threads(pointer))


def needed_pool(pool: Optional[Pool]) -> List[Shared]:
    """The C pool of a Pool that was given, retained."""
    if pool is not None and not isinstance(pool, Pool):
        raise TypeError(f"pool is a deer.Pool, not {type(pool).__name__}")
    return [pool._retain()] if pool else []


def _config_dict(config: Any) -> Dict[str, Any]:
    values: Dict[str, Any] = {}
    for name, _ in ffi.typeof("deer_config").fields:
        value = getattr(config, name)
        if name == "name":
            value = text(value)
        elif isinstance(value, ffi.CData):
            value = list(value)
        values[name] = value
    values["block"] = _BLOCKS[config.block]
    values["lstm"] = _LSTMS[config.lstm]
    values["head_mlp"] = values["head_mlp"][:config.head_mlp_layers]
    values["exit_layers"] = values["exit_layers"][:config.exits]
    return values


class Model(Owner):
    """The weights of a multi-exit policy: immutable, for any number of sessions and threads.

        with deer.Model.open("policy.safetensors") as model:
            print(model.exits, model.config["exit_layers"])
    """

    _name = "model"

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("a model is opened by deer.Model.open(path)")

    @classmethod
    def open(cls, path: Path, *, max_exit: Optional[int] = None,
             pool: Optional[Pool] = None, device: Optional[str] = None) -> "Model":
        """Loads a model file (.safetensors) into memory and checks it.

        max_exit: the deepest exit that will be used, an index from 0; what lies behind it is not
            loaded. None: all.
        pool: whose threads load the weights.
        device: "cpu", "gpu", "auto", or part of a name that `deer-run devices` lists. None: as the
            environment's DEER_DEVICE has it, or the CPU.
        """
        lib = runtime()
        name = path_bytes(path, "path")
        deepest = -1 if max_exit is None else integer(max_exit, "max_exit", 0, 31)
        needs = needed_pool(pool)
        made = ffi.new("deer_model **")
        try:
            options = ffi.new("deer_model_options *")
            options.size = ffi.sizeof("deer_model_options")
            options.pool = needs[0].pointer if needs else ffi.NULL
            wish = ffi.NULL if device is None else ffi.new("char[]", string_bytes(device, "device"))
            options.device = wish
            call(lib.deer_model_open_with, name, deepest, options, made)
        except BaseException:
            for needed in needs:
                needed.release()
            raise
        model = object.__new__(cls)
        model._shared = Shared(made[0], lib.deer_model_close, *needs)
        return model

    @property
    def config(self) -> Dict[str, Any]:
        """Every dimension, as the model file says it (deer_config of deer.h has what each is)."""
        with Using(self) as pointer:
            return _config_dict(runtime().deer_model_config(pointer))

    @property
    def exits(self) -> int:
        """How many exits the model has, K."""
        with Using(self) as pointer:
            return int(runtime().deer_model_config(pointer).exits)

    @property
    def max_exit(self) -> int:
        """The deepest exit that is loaded, an index from 0."""
        with Using(self) as pointer:
            return int(runtime().deer_model_max_exit(pointer))

    @property
    def device(self) -> str:
        """Where it runs: "cpu", or the GPU's name."""
        with Using(self) as pointer:
            return text(runtime().deer_model_device(pointer))

    @property
    def fingerprint(self) -> str:
        """Identity of weights and configuration, 32 hexadecimal digits."""
        with Using(self) as pointer:
            return text(runtime().deer_model_fingerprint(pointer))

    @property
    def type(self) -> str:
        """Of the matrices: "f32", "bf16" or "q8"."""
        with Using(self) as pointer:
            return text(runtime().deer_model_type(pointer))

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the weights take."""
        with Using(self) as pointer:
            return int(runtime().deer_model_bytes(pointer))

    def unknown_words(self, instruction: str) -> int:
        """How many words of an instruction the tokenizer does not know: with any, actions will be
        poor."""
        words = string_bytes(instruction, "instruction")
        with Using(self) as pointer:
            return int(runtime().deer_unknown_words(pointer, words))
