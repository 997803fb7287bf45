# SPDX-License-Identifier: MIT
"""C objects and who still needs them."""
import os
import threading
from types import TracebackType
from typing import Any, Callable, Optional, Type, TypeVar

from ._errors import Closed

# Held while counts change; and while a process forks, so that a child never inherits it locked. A
# finalizer may run at any moment, in a thread that holds it already.
_counting = threading.RLock()
os.register_at_fork(before=_counting.acquire, after_in_parent=_counting.release,
                    after_in_child=_counting.release)


class Shared:
    """A C object that goes away with its last user, and after that lets go of what it needs: in
    whatever order Python's objects are closed or collected, C sees the right one."""

    def __init__(self, pointer: Any, free: Callable[[Any], None], *needs: "Shared") -> None:
        self.pointer = pointer
        self._free = free
        self._users = 1
        self._needs = needs

    def retain(self, name: str) -> "Shared":
        with _counting:
            if not self._users:
                raise Closed(f"the {name} is closed")
            self._users += 1
        return self

    def release(self) -> None:
        with _counting:
            self._users -= 1
            last = self._users == 0
        if last:
            self._free(self.pointer)
            for needed in self._needs:
                needed.release()


Self = TypeVar("Self", bound="Owner")


class Owner:
    """A Python object with a C object: closed by close(), by `with`, or when nobody has it any more.
    """

    _name = "object"
    _shared: Optional[Shared] = None

    def close(self) -> None:
        """Lets go of the C object; a second time does nothing. What was made of this object keeps
        working."""
        with _counting:
            shared, self._shared = self._shared, None
        if shared:
            shared.release()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._shared is None

    def _retain(self) -> Shared:
        with _counting:
            if not self._shared:
                raise Closed(f"the {self._name} is closed")
            return self._shared.retain(self._name)

    def __enter__(self: Self) -> Self:
        if self.closed:
            raise Closed(f"the {self._name} is closed")
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        if _counting is not None:  # not while the interpreter goes away
            self.close()

    def __reduce__(self) -> Any:
        raise TypeError(f"a {self._name} cannot be pickled or copied: it is memory of this process")


class Using:
    """with Using(owner) as pointer: the C object cannot go away meanwhile."""

    def __init__(self, owner: Owner) -> None:
        self._shared = owner._retain()

    def __enter__(self) -> Any:
        return self._shared.pointer

    def __exit__(self, *_: Any) -> None:
        self._shared.release()
