# SPDX-License-Identifier: MIT
"""What goes wrong, by the status of the C library."""


class Error(Exception):
    """Any failure. The message is one line: what was done, what was wrong, what to do."""


class Failed(Error, RuntimeError):
    """A file, the system or the data: missing, damaged, for another model, no memory."""


class Usage(Error, ValueError):
    """The caller's arguments: a wrong shape, a number out of range, a NaN, a wrong order."""


class Closed(Usage):
    """The object was closed."""


class Infeasible(Error):
    """A budget that nothing can meet, or a guarantee nothing can give. The message says the nearest
    that could be."""


class Busy(Error):
    """Another thread is using the object."""
